#include "leaf/rowcodec/view.h"

#include "common/base/alloc.h"
#include "proto/errors.h"

static void free_build(bool **wanted)
{
    sf_free(*wanted);
}

/* Marks the fields that are named; all without names. */
static enum sf_code mark_named(const struct sf_table *t, const struct row_view_options *options,
                               bool *wanted, struct sf_error *err)
{
    if (options->names == NULL) {
        memset(wanted, 1, t->field_count);
        return SF_OK;
    }
    for (size_t i = 0; i < options->name_count; i++) {
        int32_t field = sf_table_field_index(t, options->names[i]);

        if (field < 0) {
            struct sf_slice name = options->names[i];

            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_FIELD_UNKNOWN,
                              "table '%s' has no field '%.*s'", t->name,
                              (int)(name.size > 64 ? 64 : name.size), (const char *)name.data);
        }
        wanted[field] = true;
    }
    return SF_OK;
}

/* One allocation: the struct, its columns, their labels. */
static struct row_view *build(const struct sf_table *t, const bool *wanted)
{
    size_t count = 0;
    size_t label_bytes = 0;
    struct row_view *view;
    char *label;

    for (size_t i = 0; i < t->field_count; i++) {
        if (wanted[i]) {
            count++;
            label_bytes += strlen(t->fields[i].name) + 4;
        }
    }
    view = sf_alloc(sizeof(*view) + count * sizeof(view->columns[0]) + label_bytes);
    if (view == NULL) {
        return NULL;
    }
    *view = (struct row_view){.table = t, .label_bytes = label_bytes, .has_key = t->key_count > 0};
    label = (char *)(view->columns + count);
    for (size_t i = 0; i < t->field_count; i++) {
        size_t size = strlen(t->fields[i].name);

        if (!wanted[i]) {
            continue;
        }
        /* Names of fields need no escapes: [a-z0-9_]. */
        memcpy(label, ",\"", 2);
        memcpy(label + 2, t->fields[i].name, size);
        memcpy(label + 2 + size, "\":", 2);
        view->columns[view->column_count++] = (struct row_column){
            .field = &t->fields[i],
            .label = label,
            .label_size = (uint32_t)size + 4,
            .number = t->fields[i].number,
        };
        label += size + 4;
    }
    for (size_t i = 0; i < t->key_count; i++) {
        view->has_key = view->has_key && wanted[t->key[i]];
    }
    return view;
}

enum sf_code row_view_build(const struct sf_table *t, const struct row_view_options *options,
                            struct row_view **ret, struct sf_error *err)
{
    SF_CLEANUP(free_build) bool *wanted = sf_calloc(t->field_count, sizeof(*wanted));
    struct row_view *view;
    enum sf_code code;

    if (wanted == NULL) {
        return SF_RAISE(err, SF_NOMEM, "view of table '%s': out of memory", t->name);
    }
    code = mark_named(t, options, wanted, err);
    if (code != SF_OK) {
        return code;
    }
    view = build(t, wanted);
    if (view == NULL) {
        return SF_RAISE(err, SF_NOMEM, "view of table '%s': out of memory", t->name);
    }
    if (options->stored != NULL) {
        view->table = options->stored;
    }
    *ret = view;
    return SF_OK;
}

void row_view_free(struct row_view *view)
{
    sf_free(view);
}

bool row_view_has(const struct row_view *view, uint32_t number)
{
    size_t low = 0;
    size_t high = view->column_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (view->columns[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < view->column_count && view->columns[low].number == number;
}

void row_view_canonical(const struct row_view *view, struct sf_buf *out)
{
    for (size_t i = 0; i < view->column_count; i++) {
        sf_buf_be32(out, view->columns[i].number);
    }
}
