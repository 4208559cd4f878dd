#include "common/contract/infer.h"

#include "common/base/alloc.h"
#include "common/base/decimal.h"
#include "common/base/str.h"
#include "common/base/time.h"
#include "common/contract/infer_column.h"
#include "common/contract/validate.h"
#include "common/contract/value.h"
#include "proto/errors.h"

enum {
    HASH_BYTES_MAX = 256 * 1024 * 1024,
    HASH_SLOTS_MIN = 64,
    NAME_BYTES_MAX = 1000,
    DOUBLE_DIGITS = 15, /* every integer of so many is a double */
    TIME_TEXT_MIN = 6,  /* bytes: 1/1/01 */
    TIME_TEXT_MAX = 40,
};

const struct sf_infer_format sf_infer_formats[] = {
    {.format = NULL, .is_date = true},
    {.format = NULL},
    {.format = "%Y/%m/%d", .is_date = true},
    {.format = "%d.%m.%Y", .is_date = true},
    {.format = "%d-%b-%Y", .is_date = true},
    {.format = "%d %b %Y", .is_date = true},
    {.format = "%b %d %Y", .is_date = true},
    {.format = "%m/%d/%Y", .is_date = true, .group = 1},
    {.format = "%d/%m/%Y", .is_date = true, .day_first = true, .group = 1},
    {.format = "%m-%d-%Y", .is_date = true, .group = 2},
    {.format = "%d-%m-%Y", .is_date = true, .day_first = true, .group = 2},
    {.format = "%Y-%m-%dT%H:%M:%S"},
    {.format = "%Y-%m-%d %H:%M:%S"},
    {.format = "%Y-%m-%dT%H:%M"},
    {.format = "%Y-%m-%d %H:%M"},
    {.format = "%Y-%m-%dT%H:%M:%S.%f"},
    {.format = "%Y-%m-%d %H:%M:%S.%f"},
    {.format = "%Y-%m-%dT%H:%M:%S%z"},
    {.format = "%Y-%m-%d %H:%M:%S%z"},
    {.format = "%Y/%m/%d %H:%M:%S"},
    {.format = "%Y/%m/%d %H:%M"},
    {.format = "%d.%m.%Y %H:%M:%S"},
    {.format = "%d.%m.%Y %H:%M"},
    {.format = "%m/%d/%Y %H:%M:%S", .group = 3},
    {.format = "%d/%m/%Y %H:%M:%S", .day_first = true, .group = 3},
    {.format = "%m/%d/%Y %H:%M", .group = 4},
    {.format = "%d/%m/%Y %H:%M", .day_first = true, .group = 4},
    {.format = "%m/%d/%Y %I:%M:%S %p", .group = 5},
    {.format = "%d/%m/%Y %I:%M:%S %p", .day_first = true, .group = 5},
    {.format = "%m/%d/%Y %I:%M %p", .group = 6},
    {.format = "%d/%m/%Y %I:%M %p", .day_first = true, .group = 6},
};
const size_t sf_infer_format_count = SF_COUNT(sf_infer_formats);
_Static_assert(SF_COUNT(sf_infer_formats) <= SF_INFER_FORMATS_MAX, "one bit per format");

/* --- uniqueness ------------------------------------------------------------------------------- */

/* FNV-1a with a last mix, so that its low bits are good too. Never 0. */
static uint64_t hash_of(struct sf_slice s)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < s.size; i++) {
        h = (h ^ s.data[i]) * UINT64_C(0x100000001b3);
    }
    h = (h ^ (h >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    h ^= h >> 32;
    return h == 0 ? 1 : h;
}

/* Puts @hash in; false when it is there already. There is room. */
static bool set_add(struct sf_hash_set *s, uint64_t hash)
{
    size_t at = (size_t)hash & (s->capacity - 1);

    while (s->slots[at] != 0) {
        if (s->slots[at] == hash) {
            return false;
        }
        at = (at + 1) & (s->capacity - 1);
    }
    s->slots[at] = hash;
    s->count++;
    return true;
}

static enum sf_code set_grow(struct sf_hash_set *s, struct sf_error *err)
{
    struct sf_hash_set larger = {.capacity = s->capacity == 0 ? HASH_SLOTS_MIN : s->capacity * 2};

    larger.slots = sf_calloc(larger.capacity, sizeof(*larger.slots));
    if (larger.slots == NULL) {
        return SF_RAISE(err, SF_NOMEM, "looking for a key");
    }
    for (size_t i = 0; i < s->capacity; i++) {
        if (s->slots[i] != 0) {
            (void)set_add(&larger, s->slots[i]);
        }
    }
    sf_free(s->slots);
    *s = larger;
    return SF_OK;
}

static void stop_counting(struct sf_infer *i, struct sf_infer_column *c)
{
    i->hash_bytes -= c->seen.capacity * sizeof(*c->seen.slots);
    sf_free(c->seen.slots);
    c->seen = (struct sf_hash_set){0};
    c->unique = false;
}

static enum sf_code count_value(struct sf_infer *i, struct sf_infer_column *c, struct sf_slice text,
                                struct sf_error *err)
{
    size_t bytes = c->seen.capacity * sizeof(*c->seen.slots);
    enum sf_code code;

    if (!c->unique) {
        return SF_OK;
    }
    if (c->seen.count * 4 >= c->seen.capacity * 3) {
        size_t more = bytes == 0 ? HASH_SLOTS_MIN * sizeof(*c->seen.slots) : bytes;

        /* While it grows, the old set stands beside the new one. */
        if (i->hash_bytes + more + bytes > HASH_BYTES_MAX) {
            stop_counting(i, c);
            c->dropped = true;
            return SF_OK;
        }
        code = set_grow(&c->seen, err);
        if (code != SF_OK) {
            return code;
        }
        i->hash_bytes += more;
    }
    if (!set_add(&c->seen, hash_of(text))) {
        stop_counting(i, c);
    }
    return SF_OK;
}

/* --- types ------------------------------------------------------------------------------------ */

/* What a number's text looks like. */
struct shape {
    bool is_number;
    bool has_leading_zero; /* 007, -01.5 */
    bool has_point;
    bool has_exponent;
    size_t whole;  /* digits before the point, without a zero that stands alone */
    size_t behind; /* digits behind it */
};

static struct shape shape_of(struct sf_slice s)
{
    struct shape shape = {0};
    size_t at = s.size > 0 && s.data[0] == '-' ? 1 : 0;
    size_t start = at;
    double value = 0;

    for (; at < s.size && s.data[at] >= '0' && s.data[at] <= '9'; at++) {
    }
    shape.whole = at - start;
    shape.has_leading_zero = shape.whole > 1 && s.data[start] == '0';
    if (shape.whole == 1 && s.data[start] == '0') {
        shape.whole = 0;
    }
    if (at < s.size && s.data[at] == '.') {
        shape.has_point = true;
        for (at++; at < s.size && s.data[at] >= '0' && s.data[at] <= '9'; at++) {
            shape.behind++;
        }
    }
    shape.has_exponent = at < s.size;
    shape.is_number = sf_parse_double(s, &value) == SF_PARSE_OK;
    return shape;
}

static void test_numbers(struct sf_infer_column *c, struct sf_slice text)
{
    struct shape shape = shape_of(text);
    int64_t value = 0;

    c->leading_zero_count += shape.has_leading_zero && shape.is_number;
    if (!shape.is_number || shape.has_leading_zero) {
        c->may_be_double = false;
        c->may_be_decimal = false;
        c->may_be_int64 = false;
        c->may_be_int32 = false;
        return;
    }
    /* "-0" would become 0, which another row may hold as well. */
    if (shape.has_point || shape.has_exponent || sf_slice_equal(text, SF_LITERAL("-0"))) {
        c->has_fraction = true;
        c->may_be_int64 = false;
        c->may_be_int32 = false;
    } else if (sf_parse_i64(text, &value) != SF_PARSE_OK) {
        c->may_be_int64 = false;
        c->may_be_int32 = false;
    }
    c->has_wide_integer |= !shape.has_exponent && shape.whole > DOUBLE_DIGITS;
    if (value < INT32_MIN || value > INT32_MAX) {
        c->may_be_int32 = false;
    }
    if (shape.has_exponent || shape.behind > SF_DECIMAL_WIDE_PRECISION_MAX ||
        shape.whole > SF_DECIMAL_WIDE_PRECISION_MAX) {
        c->may_be_decimal = false;
        return;
    }
    c->whole_digits = shape.whole > c->whole_digits ? (uint8_t)shape.whole : c->whole_digits;
    c->scale = shape.behind > c->scale ? (uint8_t)shape.behind : c->scale;
    if (c->whole_digits + c->scale > SF_DECIMAL_WIDE_PRECISION_MAX) {
        c->may_be_decimal = false;
    }
}

static bool reads_by(const struct sf_infer_format *f, struct sf_slice text)
{
    int64_t us = 0;
    int32_t days = 0;

    if (f->format != NULL) {
        return sf_time_parse_as(text, f->format, &us) == SF_PARSE_OK;
    }
    return f->is_date ? sf_date_parse(text, &days) == SF_PARSE_OK
                      : sf_time_parse(text, &us) == SF_PARSE_OK;
}

static void test_times(struct sf_infer_column *c, struct sf_slice text)
{
    if (text.size < TIME_TEXT_MIN || text.size > TIME_TEXT_MAX) {
        c->formats = 0;
    }
    for (size_t i = 0; i < sf_infer_format_count && c->formats != 0; i++) {
        if ((c->formats & (1u << i)) != 0 && !reads_by(&sf_infer_formats[i], text)) {
            c->formats &= ~(1u << i);
        }
    }
}

enum sf_code sf_infer_take_cell(struct sf_infer *i, struct sf_infer_column *c,
                                const struct sf_cell *cell, struct sf_error *err)
{
    uint8_t uuid[16];

    if (c->cell_count == 0) {
        c->first_size = cell->text.size;
        c->same_size = true;
    }
    c->cell_count++;
    c->bare_count += cell->bare;
    c->same_size &= cell->text.size == c->first_size;
    if (cell->quoted) {
        c->may_be_bool = false;
        c->may_be_double = false;
        c->may_be_decimal = false;
        c->may_be_int64 = false;
        c->may_be_int32 = false;
    }
    c->may_be_bool &= sf_slice_equal(cell->text, SF_LITERAL("true")) ||
                      sf_slice_equal(cell->text, SF_LITERAL("false"));
    if (c->may_be_double) {
        test_numbers(c, cell->text);
    }
    if (c->formats != 0) {
        test_times(c, cell->text);
    }
    c->may_be_uuid &= sf_uuid_parse(cell->text, uuid);
    for (size_t k = 0; k < cell->text.size && c->may_be_uuid; k++) {
        c->has_upper_hex |= cell->text.data[k] >= 'A' && cell->text.data[k] <= 'F';
        c->has_lower_hex |= cell->text.data[k] >= 'a' && cell->text.data[k] <= 'f';
    }
    c->email_count += sf_format_matches(SF_FORMAT_EMAIL, cell->text);
    return count_value(i, c, cell->text, err);
}

/* --- columns and rows ------------------------------------------------------------------------- */

enum sf_code sf_infer_new(struct sf_infer **ret, struct sf_error *err)
{
    struct sf_infer *i = sf_calloc(1, sizeof(*i));

    if (i == NULL) {
        return SF_RAISE(err, SF_NOMEM, "inference");
    }
    i->root = i;
    *ret = i;
    return SF_OK;
}

void sf_infer_free(struct sf_infer *i)
{
    if (i == NULL) {
        return;
    }
    for (size_t c = 0; c < i->count; c++) {
        sf_free(i->columns[c].name);
        sf_free(i->columns[c].seen.slots);
        sf_infer_free(i->columns[c].fields);
        sf_infer_free(i->columns[c].items);
    }
    sf_free(i->columns);
    sf_free(i->cells);
    sf_map_done(&i->by_name);
    sf_free(i);
}

static enum sf_code check_name(const struct sf_infer *i, struct sf_slice name, struct sf_error *err)
{
    if (i->root->total >= SF_FIELDS_MAX) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_CANNOT_INFER, "more than %d columns",
                          SF_FIELDS_MAX);
    }
    if (name.size == 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_CANNOT_INFER, "column %zu has no name",
                          i->count + 1);
    }
    if (name.size > NAME_BYTES_MAX || memchr(name.data, '\0', name.size) != NULL) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_CANNOT_INFER,
                          "the name of column %zu is longer than %d bytes, or holds a NUL",
                          i->count + 1, NAME_BYTES_MAX);
    }
    return SF_OK;
}

static enum sf_code reserve_column(struct sf_infer *i, struct sf_error *err)
{
    size_t capacity = i->capacity == 0 ? 16 : i->capacity * 2;
    struct sf_infer_column *columns;

    if (i->count < i->capacity) {
        return SF_OK;
    }
    columns = sf_realloc(i->columns, capacity, sizeof(*columns));
    if (columns == NULL) {
        return SF_RAISE(err, SF_NOMEM, "columns");
    }
    i->columns = columns;
    i->capacity = capacity;
    return SF_OK;
}

static enum sf_code add_column(struct sf_infer *i, struct sf_slice name, struct sf_error *err)
{
    enum sf_code code = check_name(i, name, err);
    char *copy;

    if (code == SF_OK) {
        code = reserve_column(i, err);
    }
    if (code != SF_OK) {
        return code;
    }
    copy = sf_strndup(name.data, name.size);
    /* The map holds the number plus one, as a value is not NULL. */
    if (copy == NULL || sf_map_put(&i->by_name, name, (void *)(uintptr_t)(i->count + 1)) != SF_OK) {
        sf_free(copy);
        return SF_RAISE(err, SF_NOMEM, "columns");
    }
    i->columns[i->count++] = (struct sf_infer_column){
        .name = copy,
        .null_count = i->row_count,
        .may_be_bool = true,
        .may_be_int64 = true,
        .may_be_int32 = true,
        .may_be_decimal = true,
        .may_be_double = true,
        .may_be_uuid = true,
        .formats = (uint32_t)((UINT64_C(1) << sf_infer_format_count) - 1),
        .unique = i->row_count == 0 && i->root == i,
    };
    i->root->total++;
    return SF_OK;
}

enum sf_code sf_infer_column(struct sf_infer *i, struct sf_slice name, size_t *ret,
                             struct sf_error *err)
{
    uintptr_t number = (uintptr_t)sf_map_find(&i->by_name, name);
    enum sf_code code = number == 0 ? add_column(i, name, err) : SF_OK;

    if (code == SF_OK) {
        *ret = number == 0 ? i->count - 1 : number - 1;
    }
    return code;
}

enum sf_code sf_infer_header(struct sf_infer *i, const struct sf_slice *names, size_t count,
                             struct sf_error *err)
{
    for (size_t c = 0; c < count; c++) {
        enum sf_code code;

        if (sf_map_find(&i->by_name, names[c]) != NULL) {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_CANNOT_INFER,
                              "two columns have the name '%.*s'", SF_SLICE_ARG(names[c]));
        }
        code = add_column(i, names[c], err);
        if (code != SF_OK) {
            return code;
        }
    }
    return SF_OK;
}

enum sf_code sf_infer_row(struct sf_infer *i, const struct sf_cell *cells, size_t count,
                          struct sf_error *err)
{
    if (count > i->count) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_CANNOT_INFER,
                          "a row has %zu cells, but there are %zu columns", count, i->count);
    }
    for (size_t c = 0; c < i->count; c++) {
        struct sf_infer_column *column = &i->columns[c];
        enum sf_code code;

        if (c >= count || cells[c].null) {
            column->null_count++;
            stop_counting(i, column);
            column->dropped = false;
            continue;
        }
        if (cells[c].nested) {
            stop_counting(i, column);
            column->dropped = false;
            continue;
        }
        code = sf_infer_take_cell(i, column, &cells[c], err);
        if (code != SF_OK) {
            return code;
        }
    }
    i->row_count++;
    return SF_OK;
}
