/* The part of infer.h that takes JSON: objects inside objects, and arrays. */
#include "common/contract/infer_column.h"

#include "common/base/alloc.h"
#include "proto/errors.h"

enum {
    MEMBERS_MAX = 64,      /* an object with more names holds data in its names */
    NAME_BYTES_MAX = 1000, /* as of a column */
};

static enum sf_code take_value(struct sf_infer *i, size_t column, const struct sf_json *value,
                               struct sf_error *err);

/* What the column holds is of no one kind: it becomes json, and what was seen inside is dropped. */
static void give_up(struct sf_infer_column *c)
{
    c->is_json = true;
    sf_infer_free(c->fields);
    sf_infer_free(c->items);
    c->fields = NULL;
    c->items = NULL;
}

/* Inference over what is inside @c, made when it is first needed. */
static enum sf_code open_inner(struct sf_infer *i, struct sf_infer **inner, unsigned depth,
                               struct sf_error *err)
{
    enum sf_code code;

    if (*inner != NULL) {
        return SF_OK;
    }
    code = sf_infer_new(inner, err);
    if (code == SF_OK) {
        (*inner)->root = i->root;
        (*inner)->depth = depth;
    }
    return code;
}

static enum sf_code reserve_cells(struct sf_infer *i, struct sf_error *err)
{
    struct sf_cell *cells;

    if (i->count <= i->cell_capacity) {
        return SF_OK;
    }
    cells = sf_realloc(i->cells, i->capacity, sizeof(*cells));
    if (cells == NULL) {
        return SF_RAISE(err, SF_NOMEM, "a row of %zu columns", i->count);
    }
    for (size_t c = i->cell_capacity; c < i->capacity; c++) {
        cells[c] = (struct sf_cell){.null = true};
    }
    i->cells = cells;
    i->cell_capacity = i->capacity;
    return SF_OK;
}

/* Whether a struct can have these names. */
static bool members_fit(const struct sf_infer *inner, const struct sf_json *object)
{
    size_t new_names = 0;

    if (sf_json_count(object) == 0) {
        return false;
    }
    for (struct sf_json_iter it = sf_json_iter(object); sf_json_next(&it);) {
        bool known = sf_map_find(&inner->by_name, it.key) != NULL;

        if (!known && (it.key.size == 0 || it.key.size > NAME_BYTES_MAX ||
                       memchr(it.key.data, '\0', it.key.size) != NULL)) {
            return false;
        }
        new_names += !known;
    }
    return new_names <= SF_FIELDS_MAX - inner->root->total &&
           inner->count + new_names <= MEMBERS_MAX;
}

static enum sf_code take_object(struct sf_infer *i, size_t column, const struct sf_json *value,
                                struct sf_error *err)
{
    struct sf_infer_column *c = &i->columns[column];
    enum sf_code code;

    if (i->depth == SF_STRUCT_DEPTH_MAX) {
        give_up(c);
        return SF_OK;
    }
    code = open_inner(i, &c->fields, i->depth + 1, err);
    if (code != SF_OK) {
        return code;
    }
    if (!members_fit(c->fields, value)) {
        give_up(c);
        return SF_OK;
    }
    return sf_infer_json(c->fields, value, err);
}

/* One element as a row of one column. */
static enum sf_code take_element(struct sf_infer *items, const struct sf_json *value,
                                 struct sf_error *err)
{
    struct sf_cell cell;
    size_t column = 0;
    enum sf_code code = sf_infer_column(items, SF_LITERAL("item"), &column, err);

    if (code == SF_OK) {
        code = reserve_cells(items, err);
    }
    if (code == SF_OK) {
        code = take_value(items, column, value, err);
    }
    if (code == SF_OK) {
        cell = items->cells[column];
        items->cells[column] = (struct sf_cell){.null = true};
        code = sf_infer_row(items, &cell, 1, err);
    }
    return code;
}

static enum sf_code take_array(struct sf_infer *i, size_t column, const struct sf_json *value,
                               struct sf_error *err)
{
    struct sf_infer_column *c = &i->columns[column];
    enum sf_code code = open_inner(i, &c->items, i->depth, err);

    for (struct sf_json_iter it = sf_json_iter(value); code == SF_OK && sf_json_next(&it);) {
        enum sf_json_kind kind = sf_json_kind(it.value);

        if (kind == SF_JSON_NULL || kind == SF_JSON_ARRAY) {
            give_up(c); /* no list has such elements */
            return SF_OK;
        }
        code = take_element(c->items, it.value, err);
    }
    return code;
}

/* Into the cell of the column; what is nested goes further down. */
static enum sf_code take_value(struct sf_infer *i, size_t column, const struct sf_json *value,
                               struct sf_error *err)
{
    struct sf_infer_column *c = &i->columns[column];
    struct sf_cell *cell = &i->cells[column];
    bool truth = false;

    *cell = (struct sf_cell){.null = false};
    switch (sf_json_kind(value)) {
    case SF_JSON_ABSENT:
    case SF_JSON_NULL:
        cell->null = true;
        return SF_OK;
    case SF_JSON_BOOL:
        (void)sf_json_as_bool(value, &truth);
        cell->bare = true;
        cell->text = truth ? SF_LITERAL("true") : SF_LITERAL("false");
        return SF_OK;
    case SF_JSON_NUMBER:
        cell->bare = true;
        (void)sf_json_as_number_text(value, &cell->text);
        return SF_OK;
    case SF_JSON_STRING:
        cell->quoted = true;
        (void)sf_json_as_slice(value, &cell->text);
        return SF_OK;
    case SF_JSON_ARRAY:
        cell->nested = true;
        c->array_count++;
        return c->is_json ? SF_OK : take_array(i, column, value, err);
    case SF_JSON_OBJECT:
        cell->nested = true;
        c->object_count++;
        return c->is_json ? SF_OK : take_object(i, column, value, err);
    }
    return SF_OK;
}

enum sf_code sf_infer_json(struct sf_infer *i, const struct sf_json *object, struct sf_error *err)
{
    enum sf_code code = SF_OK;

    for (size_t c = 0; c < i->count && c < i->cell_capacity; c++) {
        i->cells[c] = (struct sf_cell){.null = true};
    }
    for (struct sf_json_iter it = sf_json_iter(object); code == SF_OK && sf_json_next(&it);) {
        size_t column = 0;

        code = sf_infer_column(i, it.key, &column, err);
        if (code == SF_OK) {
            code = reserve_cells(i, err);
        }
        if (code == SF_OK) {
            code = take_value(i, column, it.value, err);
        }
    }
    return code == SF_OK ? sf_infer_row(i, i->cells, i->count, err) : code;
}
