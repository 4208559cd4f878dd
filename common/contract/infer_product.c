/* What the columns have shown, as a product: names, types, key, event time, classes. */
#include "common/contract/infer_column.h"

#include "common/base/alloc.h"
#include "common/base/decimal.h"
#include "common/contract/contract.h"
#include "common/contract/lint.h"
#include "proto/errors.h"

#include <stdio.h>

enum {
    NAME_MAX_BYTES = 63,
    EMAIL_PERCENT = 90,
    DECIMAL_PRECISION_USUAL = 12, /* room above what was seen; more than this is taken whole */
    ROWS_FOR_PLAIN_KEY = 100,     /* fewer are unique by chance too often */
};

struct builder {
    const struct sf_infer *infer;
    struct sf_product *product;
    struct sf_arena *arena;
    struct sf_field *fields;
    const char **notes;
    bool failed; /* out of memory */
};

static void note(struct builder *b, size_t column, const char *text)
{
    char *joined = b->notes[column] == NULL
                       ? sf_arena_strdup(b->arena, text)
                       : sf_arena_printf(b->arena, "%s; %s", b->notes[column], text);

    b->failed |= joined == NULL;
    b->notes[column] = joined;
}

/* --- names ------------------------------------------------------------------------------------ */

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/*
 * "Order No" -> order_no, "customerID" -> customer_id, "HTTPStatus" -> http_status, "2nd" -> c_2nd.
 * What is neither letter nor digit of ASCII becomes one underscore. Empty when nothing is left.
 */
static void make_name(const char *source, char ret[NAME_MAX_BYTES + 1])
{
    size_t size = 0;

    for (const char *s = source; *s != '\0' && size < NAME_MAX_BYTES - 1; s++) {
        bool begins_word =
            is_upper(*s) && s > source &&
            (is_lower(s[-1]) || is_digit(s[-1]) || (is_upper(s[-1]) && is_lower(s[1])));

        if (begins_word && size > 0 && ret[size - 1] != '_') {
            ret[size++] = '_';
        }
        if (is_digit(*s) && size == 0) {
            ret[size++] = 'c';
            ret[size++] = '_';
        }
        if (is_lower(*s) || is_digit(*s)) {
            ret[size++] = *s;
        } else if (is_upper(*s)) {
            ret[size++] = (char)(*s - 'A' + 'a');
        } else if (size > 0 && ret[size - 1] != '_') {
            ret[size++] = '_';
        }
    }
    while (size > 0 && ret[size - 1] == '_') {
        size--;
    }
    ret[size] = '\0';
}

/* A field name that is not taken, from the column's. */
static void name_column(struct builder *b, struct sf_map *taken, size_t column)
{
    struct sf_field *f = &b->fields[column];
    const char *source = b->infer->columns[column].name;
    char base[NAME_MAX_BYTES + 1];
    char name[NAME_MAX_BYTES + 16];

    make_name(source, base);
    if (base[0] == '\0') {
        (void)snprintf(base, sizeof(base), "column_%zu", column + 1);
    }
    (void)snprintf(name, sizeof(name), "%s", base);
    for (unsigned n = 2; sf_map_get(taken, name) != NULL; n++) {
        (void)snprintf(name, sizeof(name), "%.55s_%u", base, n);
    }
    f->name = sf_arena_strdup(b->arena, name);
    f->source = sf_arena_strdup(b->arena, source);
    b->failed |= f->name == NULL || f->source == NULL;
    b->failed |= sf_map_put(taken, sf_slice_text(name), f) != SF_OK;
}

/* Names that are right already come first, so that no other column takes them. */
static void name_columns(struct builder *b)
{
    struct sf_map taken = {0};

    for (size_t i = 0; i < b->infer->count; i++) {
        struct sf_slice name = sf_slice_text(b->infer->columns[i].name);

        if (sf_name_is_table(name)) {
            b->fields[i].name = sf_arena_strdup(b->arena, b->infer->columns[i].name);
            b->failed |= b->fields[i].name == NULL;
            b->failed |= sf_map_put(&taken, name, &b->fields[i]) != SF_OK;
        }
    }
    for (size_t i = 0; i < b->infer->count && !b->failed; i++) {
        if (b->fields[i].name == NULL) {
            name_column(b, &taken, i);
        }
    }
    sf_map_done(&taken);
}

/* --- types ------------------------------------------------------------------------------------ */

/* The format all cells read by; NULL when there is none, or two that disagree on the day. */
static const struct sf_infer_format *time_format(const struct sf_infer_column *c,
                                                 bool *ret_ambiguous)
{
    for (size_t i = 0; i < sf_infer_format_count; i++) {
        const struct sf_infer_format *f = &sf_infer_formats[i];

        if ((c->formats & (1u << i)) == 0) {
            continue;
        }
        /* The other of a group stands right behind. */
        if (f->group != 0 && !f->day_first && (c->formats & (2u << i)) != 0) {
            *ret_ambiguous = true;
            return NULL;
        }
        return f;
    }
    return NULL;
}

/* Amounts, and what a double would lose digits of; whole numbers only where no text takes them. */
static bool is_decimal(const struct sf_infer_column *c)
{
    bool is_amount = c->scale > 0 && c->scale <= SF_INFER_SCALE_MAX;
    bool is_wide = c->has_wide_integer && (c->scale > 0 || c->bare_count > 0);

    return c->may_be_decimal && (is_amount || is_wide);
}

static void set_decimal(const struct sf_infer_column *c, struct sf_field *f)
{
    unsigned digits = c->whole_digits + c->scale;

    f->type = digits <= SF_DECIMAL_NARROW_MAX ? SF_TYPE_DECIMAL : SF_TYPE_DECIMAL_WIDE;
    f->precision = digits <= DECIMAL_PRECISION_USUAL ? DECIMAL_PRECISION_USUAL
                   : digits <= SF_DECIMAL_NARROW_MAX ? SF_DECIMAL_NARROW_MAX
                                                     : SF_DECIMAL_WIDE_PRECISION_MAX;
    f->scale = c->scale;
}

static void set_scalar(struct builder *b, size_t column)
{
    const struct sf_infer_column *c = &b->infer->columns[column];
    struct sf_field *f = &b->fields[column];
    bool ambiguous = false;
    const struct sf_infer_format *format;

    f->type = SF_TYPE_STRING;
    if (c->cell_count == 0) {
        note(b, column, "always empty");
        return;
    }
    format = time_format(c, &ambiguous);
    if (c->may_be_bool) {
        f->type = SF_TYPE_BOOL;
    } else if (c->may_be_int64) {
        f->type = c->may_be_int32 ? SF_TYPE_INT32 : SF_TYPE_INT64;
    } else if (is_decimal(c)) {
        set_decimal(c, f);
    } else if (c->may_be_double && c->has_fraction && !c->has_wide_integer) {
        f->type = SF_TYPE_DOUBLE;
    } else if (c->bare_count > 0) {
        f->type = SF_TYPE_JSON;
        note(b, column, "of no one kind");
    } else if (c->may_be_uuid) {
        f->type = SF_TYPE_UUID;
    } else if (format != NULL) {
        f->type = format->is_date ? SF_TYPE_DATE : SF_TYPE_TIMESTAMP;
        f->parse = format->format;
    }
    if (ambiguous) {
        note(b, column, "dates, but day and month cannot be told apart: name type and parse");
    }
    if (f->type == SF_TYPE_STRING && c->leading_zero_count > 0) {
        note(b, column, "digits with leading zeros stay text");
    }
    f->required = c->null_count == 0;
}

/* Fields out of columns; @b has room for them. */
static void build_fields(struct builder *b);

/* What the objects of a column have in common, as the shape of a struct. */
static const struct sf_table *build_shape(struct builder *b, size_t column,
                                          const struct sf_infer *inner, const char *name)
{
    struct sf_table *shape = sf_arena_calloc(b->arena, 1, sizeof(*shape));
    struct builder inside = {
        .infer = inner,
        .arena = b->arena,
        .fields = sf_arena_calloc(b->arena, inner->count, sizeof(*inside.fields)),
        .notes = (const char **)sf_arena_calloc(b->arena, inner->count, sizeof(*inside.notes)),
    };

    if (shape == NULL || inside.fields == NULL || inside.notes == NULL) {
        b->failed = true;
        return NULL;
    }
    build_fields(&inside);
    b->failed |= inside.failed;
    for (size_t i = 0; i < inner->count && !b->failed; i++) {
        if (inside.notes[i] != NULL) {
            const char *text =
                sf_arena_printf(b->arena, "%s: %s", inside.fields[i].name, inside.notes[i]);

            b->failed |= text == NULL;
            note(b, column, text == NULL ? "" : text);
        }
    }
    *shape = (struct sf_table){.name = name,
                               .kind = SF_TABLE_EVENT,
                               .fields = inside.fields,
                               .field_count = inner->count,
                               .event_time = -1};
    return shape;
}

/* The elements of arrays, which are all there; false when they are of no one kind. */
static bool build_item(struct builder *b, size_t column, struct sf_field *item)
{
    const struct sf_infer *inner = b->infer->columns[column].items;
    const struct sf_infer_column *c = &inner->columns[0];
    struct builder inside = {.infer = inner, .arena = b->arena, .fields = item};
    const char *notes[1] = {NULL};

    inside.notes = notes;
    if (c->is_json || (c->object_count > 0 && c->cell_count > 0)) {
        return false;
    }
    if (c->object_count > 0) {
        item->type = SF_TYPE_STRUCT;
        item->shape = build_shape(b, column, c->fields, item->name);
        return true;
    }
    set_scalar(&inside, 0);
    b->failed |= inside.failed;
    if (item->type == SF_TYPE_JSON) {
        return false;
    }
    if (notes[0] != NULL) {
        note(b, column, notes[0]);
    }
    item->required = false;
    return true;
}

/* A column with objects or arrays in it. */
static void set_nested(struct builder *b, size_t column)
{
    const struct sf_infer_column *c = &b->infer->columns[column];
    struct sf_field *f = &b->fields[column];
    bool is_struct = !c->is_json && c->object_count > 0 && c->array_count + c->cell_count == 0;
    bool is_list = !c->is_json && c->array_count > 0 && c->object_count + c->cell_count == 0 &&
                   c->items->count > 0;

    f->required = c->null_count == 0;
    f->type = SF_TYPE_JSON;
    if (is_struct) {
        f->type = SF_TYPE_STRUCT;
        f->shape = build_shape(b, column, c->fields, f->name);
    } else if (is_list) {
        struct sf_field *item = sf_arena_calloc(b->arena, 1, sizeof(*item));

        if (item == NULL) {
            b->failed = true;
            return;
        }
        item->number = f->number;
        item->name = f->name;
        if (build_item(b, column, item)) {
            f->type = SF_TYPE_LIST;
            f->item = item;
            f->required = false; /* one that is not given is empty */
        }
    }
    if (f->type == SF_TYPE_JSON) {
        note(b, column, "of no one shape");
    }
}

static void set_type(struct builder *b, size_t column)
{
    const struct sf_infer_column *c = &b->infer->columns[column];

    if (c->object_count + c->array_count > 0) {
        set_nested(b, column);
    } else {
        set_scalar(b, column);
    }
}

static void set_class(struct builder *b, size_t column)
{
    struct sf_field *f = &b->fields[column];
    bool is_list = f->type == SF_TYPE_LIST && f->item->type == SF_TYPE_STRING;
    const struct sf_infer_column *c =
        is_list ? &b->infer->columns[column].items->columns[0] : &b->infer->columns[column];
    uint64_t percent = c->cell_count == 0 ? 0 : c->email_count * 100 / c->cell_count;
    char text[64];

    if ((is_list || f->type == SF_TYPE_STRING) && percent >= EMAIL_PERCENT) {
        f->class = SF_CLASS_PII;
        /* As a rule only if it holds: what was loaded today must not be refused tomorrow. */
        f->format = !is_list && c->email_count == c->cell_count ? SF_FORMAT_EMAIL : SF_FORMAT_NONE;
        (void)snprintf(text, sizeof(text), "%llu%% look like e-mail", (unsigned long long)percent);
        note(b, column, text);
    } else if (sf_name_suggests_pii(sf_slice_text(f->name))) {
        f->class = SF_CLASS_PII;
        note(b, column, "the name suggests personal data");
    }
}

/* --- key and event time ----------------------------------------------------------------------- */

static bool ends_with(const char *name, const char *end)
{
    size_t size = strlen(name);

    return size >= strlen(end) && strcmp(name + size - strlen(end), end) == 0;
}

static bool is_key_name(const char *name)
{
    return strcmp(name, "id") == 0 || strcmp(name, "key") == 0 || strcmp(name, "code") == 0 ||
           ends_with(name, "_id") || ends_with(name, "_key") || ends_with(name, "_code") ||
           ends_with(name, "_no") || ends_with(name, "_number") || ends_with(name, "_uuid");
}

/*
 * How good a key the column makes; 0: none. Equal texts and equal values are the same thing for
 * strings, integers, dates of one width and uuids in one case; not for timestamps with zones, nor
 * for decimals.
 */
static unsigned rank_key(const struct builder *b, size_t column)
{
    const struct sf_infer_column *c = &b->infer->columns[column];
    const struct sf_field *f = &b->fields[column];
    bool allowed = f->type == SF_TYPE_STRING || f->type == SF_TYPE_INT32 ||
                   f->type == SF_TYPE_INT64 || (f->type == SF_TYPE_DATE && c->same_size) ||
                   (f->type == SF_TYPE_UUID && !(c->has_upper_hex && c->has_lower_hex));

    if (!c->unique || !f->required || !allowed || f->class == SF_CLASS_PII) {
        return 0;
    }
    if (is_key_name(f->name)) {
        return column == 0 ? 4 : 3;
    }
    if (column == 0) {
        return 2;
    }
    return f->type == SF_TYPE_STRING && b->infer->row_count >= ROWS_FOR_PLAIN_KEY ? 1 : 0;
}

static void set_key(struct builder *b, struct sf_table *table)
{
    unsigned best = 0;
    size_t column = 0;
    uint16_t *key;
    char text[64];

    table->kind = SF_TABLE_EVENT;
    for (size_t i = 0; i < b->infer->count; i++) {
        unsigned rank = rank_key(b, i);

        if (rank > best) {
            best = rank;
            column = i;
        }
        if (b->infer->columns[i].dropped) {
            note(b, i, "unique so far, but too many rows to be sure");
        }
    }
    if (best == 0) {
        return;
    }
    key = sf_arena_calloc(b->arena, 1, sizeof(*key));
    if (key == NULL) {
        b->failed = true;
        return;
    }
    key[0] = (uint16_t)column;
    table->kind = SF_TABLE_STATE;
    table->key = key;
    table->key_count = 1;
    if (b->fields[column].type == SF_TYPE_INT32) {
        b->fields[column].type = SF_TYPE_INT64; /* identifiers grow, and a type cannot */
    }
    (void)snprintf(text, sizeof(text), "key: unique in %llu rows",
                   (unsigned long long)b->infer->row_count);
    note(b, column, text);
}

/* The first timestamp that is never null, or else the first such date. */
static int32_t find_event_time(const struct builder *b)
{
    int32_t date = -1;

    for (size_t i = 0; i < b->infer->count; i++) {
        if (b->fields[i].required && b->fields[i].type == SF_TYPE_TIMESTAMP) {
            return (int32_t)i;
        }
        if (b->fields[i].required && b->fields[i].type == SF_TYPE_DATE && date < 0) {
            date = (int32_t)i;
        }
    }
    return date;
}

/* --- the product ------------------------------------------------------------------------------ */

static const char *table_name(struct builder *b, const struct sf_infer_options *options)
{
    char *name =
        sf_arena_strdup(b->arena, options->table != NULL ? options->table : options->product);

    b->failed |= name == NULL;
    for (char *c = name; c != NULL && *c != '\0'; c++) {
        *c = *c == '-' ? '_' : *c;
    }
    return name;
}

static void build_fields(struct builder *b)
{
    name_columns(b);
    for (size_t i = 0; i < b->infer->count && !b->failed; i++) {
        b->fields[i].number = (uint32_t)i + 1;
        set_type(b, i);
        set_class(b, i);
    }
}

static void build_table(struct builder *b, struct sf_table *table)
{
    build_fields(b);
    if (b->failed) {
        return;
    }
    set_key(b, table);
    table->event_time = find_event_time(b);
    if (table->event_time >= 0) {
        note(b, (size_t)table->event_time, "event time");
    }
    table->fields = b->fields;
    table->field_count = b->infer->count;
}

static void build_product(struct builder *b, const struct sf_infer_options *options)
{
    struct sf_product *p = b->product;
    struct sf_table *table = sf_arena_calloc(b->arena, 1, sizeof(*table));

    b->fields = sf_arena_calloc(b->arena, b->infer->count, sizeof(*b->fields));
    b->notes = (const char **)sf_arena_calloc(b->arena, b->infer->count, sizeof(*b->notes));
    p->domain = sf_arena_strdup(b->arena, options->domain);
    p->name = sf_arena_strdup(b->arena, options->product);
    if (table == NULL || b->fields == NULL || b->notes == NULL || p->domain == NULL ||
        p->name == NULL) {
        b->failed = true;
        return;
    }
    p->version = (struct sf_version){.major = 1};
    p->status = SF_STATUS_ACTIVE;
    p->access = SF_ACCESS_REQUEST;
    table->name = table_name(b, options);
    build_table(b, table);
    p->tables = table;
    p->table_count = 1;
}

enum sf_code sf_infer_product(struct sf_infer *i, const struct sf_infer_options *options,
                              struct sf_product **ret, struct sf_print_notes *ret_notes,
                              struct sf_error *err)
{
    SF_CLEANUP(sf_product_freep) struct sf_product *p = NULL;
    struct builder b = {.infer = i};

    if (i->count == 0 || i->row_count == 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_CANNOT_INFER, "there are no %s to infer from",
                          i->count == 0 ? "columns" : "rows");
    }
    p = sf_calloc(1, sizeof(*p));
    if (p != NULL) {
        sf_arena_init(&p->arena, 0);
        b.product = p;
        b.arena = &p->arena;
        build_product(&b, options);
    }
    if (p == NULL || b.failed) {
        return SF_RAISE(err, SF_NOMEM, "a product from data");
    }
    if (ret_notes != NULL) {
        *ret_notes = (struct sf_print_notes){.field_notes = b.notes, .count = i->count};
    }
    *ret = SF_TAKE(p);
    return SF_OK;
}
