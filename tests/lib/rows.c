#include "tests/lib/rows.h"

#include <float.h>
#include <stdlib.h>

#include "common/base/assert.h"
#include "common/base/decimal.h"
#include "common/base/time.h"
#include "common/contract/wire_value.h"

uint64_t rows_next(struct rows_random *r)
{
    uint64_t x = r->state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    r->state = x;
    return x * UINT64_C(0x2545F4914F6CDD1D);
}

size_t rows_below(struct rows_random *r, size_t below)
{
    return (size_t)(rows_next(r) >> 11) % below;
}

const struct sf_table *rows_all_types(void)
{
    static const struct sf_field fields[] = {
        {.number = 1, .name = "flag", .type = SF_TYPE_BOOL},
        {.number = 2, .name = "small", .type = SF_TYPE_INT32},
        {.number = 3, .name = "big", .type = SF_TYPE_INT64},
        {.number = 4, .name = "ratio", .type = SF_TYPE_FLOAT},
        {.number = 15, .name = "measure", .type = SF_TYPE_DOUBLE},
        {.number = 16, .name = "price", .type = SF_TYPE_DECIMAL, .precision = 18, .scale = 4},
        {.number = 17, .name = "note", .type = SF_TYPE_STRING},
        {.number = 18, .name = "blob", .type = SF_TYPE_BYTES},
        {.number = 19, .name = "day", .type = SF_TYPE_DATE},
        {.number = 20, .name = "moment", .type = SF_TYPE_TIMESTAMP},
        {.number = 2000, .name = "id", .type = SF_TYPE_UUID},
    };
    static const struct sf_table table = {
        .name = "all_types",
        .kind = SF_TABLE_EVENT,
        .fields = fields,
        .field_count = SF_COUNT(fields),
        .event_time = -1,
    };

    return &table;
}

const struct sf_table *rows_nested(void)
{
    static const struct sf_field at_fields[] = {
        {.number = 1, .name = "lat", .type = SF_TYPE_DOUBLE},
        {.number = 2, .name = "seen", .type = SF_TYPE_TIMESTAMP},
    };
    static const struct sf_table at = {.name = "at",
                                       .kind = SF_TABLE_EVENT,
                                       .fields = at_fields,
                                       .field_count = SF_COUNT(at_fields),
                                       .event_time = -1};
    static const struct sf_field day = {.number = 3, .name = "days", .type = SF_TYPE_DATE};
    static const struct sf_field line_fields[] = {
        {.number = 1, .name = "sku", .type = SF_TYPE_STRING},
        {.number = 2, .name = "qty", .type = SF_TYPE_INT32},
        {.number = 3, .name = "days", .type = SF_TYPE_LIST, .item = &day},
        {.number = 40, .name = "at", .type = SF_TYPE_STRUCT, .shape = &at},
    };
    static const struct sf_table line = {.name = "lines",
                                         .kind = SF_TABLE_EVENT,
                                         .fields = line_fields,
                                         .field_count = SF_COUNT(line_fields),
                                         .event_time = -1};
    static const struct sf_field items[] = {
        {.number = 3, .name = "tags", .type = SF_TYPE_STRING},
        {.number = 4, .name = "nums", .type = SF_TYPE_INT64},
        {.number = 5, .name = "ratios", .type = SF_TYPE_FLOAT},
        {.number = 20, .name = "ids", .type = SF_TYPE_UUID},
        {.number = 300, .name = "lines", .type = SF_TYPE_STRUCT, .shape = &line},
    };
    static const struct sf_field fields[] = {
        {.number = 1, .name = "wide", .type = SF_TYPE_DECIMAL_WIDE, .precision = 38, .scale = 6},
        {.number = 2, .name = "doc", .type = SF_TYPE_JSON},
        {.number = 3, .name = "tags", .type = SF_TYPE_LIST, .item = &items[0]},
        {.number = 4, .name = "nums", .type = SF_TYPE_LIST, .item = &items[1]},
        {.number = 5, .name = "ratios", .type = SF_TYPE_LIST, .item = &items[2]},
        {.number = 6, .name = "at", .type = SF_TYPE_STRUCT, .shape = &at},
        {.number = 20, .name = "ids", .type = SF_TYPE_LIST, .item = &items[3]},
        {.number = 300, .name = "lines", .type = SF_TYPE_LIST, .item = &items[4]},
    };
    static const struct sf_table table = {
        .name = "nested",
        .kind = SF_TABLE_EVENT,
        .fields = fields,
        .field_count = SF_COUNT(fields),
        .event_time = -1,
    };

    return &table;
}

const struct sf_table *rows_all_keys(void)
{
    static const struct sf_field fields[] = {
        {.number = 1, .name = "name", .type = SF_TYPE_STRING, .required = true},
        {.number = 2, .name = "blob", .type = SF_TYPE_BYTES, .required = true},
        {.number = 3, .name = "small", .type = SF_TYPE_INT32, .required = true},
        {.number = 4,
         .name = "price",
         .type = SF_TYPE_DECIMAL,
         .precision = 9,
         .scale = 2,
         .required = true},
        {.number = 5, .name = "flag", .type = SF_TYPE_BOOL, .required = true},
        {.number = 6, .name = "day", .type = SF_TYPE_DATE, .required = true},
        {.number = 7, .name = "moment", .type = SF_TYPE_TIMESTAMP, .required = true},
        {.number = 8, .name = "id", .type = SF_TYPE_UUID, .required = true},
    };
    static const uint16_t key[] = {0, 1, 2, 3, 4, 5, 6, 7};
    static const struct sf_table table = {
        .name = "all_keys",
        .kind = SF_TABLE_STATE,
        .fields = fields,
        .field_count = SF_COUNT(fields),
        .key = key,
        .key_count = SF_COUNT(key),
        .event_time = -1,
    };

    return &table;
}

static void *piece(void *memory)
{
    sf_assert(memory != NULL);
    return memory;
}

static uint32_t next_number(struct rows_random *r, uint32_t before)
{
    static const size_t steps[] = {1, 1, 1, 3, 40, 5000, 20000000};
    uint32_t number = before + 1 + (uint32_t)rows_below(r, steps[rows_below(r, SF_COUNT(steps))]);

    return number >= 19000 && number <= 19999 ? 20000 : number;
}

static void random_key(struct rows_random *r, struct sf_table *t, struct sf_field *fields,
                       struct sf_arena *arena)
{
    uint16_t *key = piece(sf_arena_calloc(arena, 3, sizeof(*key)));

    for (size_t tries = 0; tries < 8 && t->key_count < 3; tries++) {
        uint16_t at = (uint16_t)rows_below(r, t->field_count);
        bool fits = sf_type_may_be_key(fields[at].type);

        for (size_t i = 0; i < t->key_count; i++) {
            fits = fits && key[i] != at;
        }
        if (fits) {
            fields[at].required = true;
            key[t->key_count++] = at;
        }
    }
    t->key = key;
    t->kind = t->key_count > 0 ? SF_TABLE_STATE : SF_TABLE_EVENT;
}

static struct sf_table *random_fields(struct rows_random *r, size_t fields_max, unsigned depth,
                                      struct sf_arena *arena);

/* Type, and what belongs to it, of a field whose number and name are set. Structs get rarer below
 * each other. */
static void random_type(struct rows_random *r, struct sf_field *f, unsigned depth, bool in_list,
                        struct sf_arena *arena)
{
    size_t last = depth > 3 ? SF_TYPE_DECIMAL_WIDE : SF_TYPE_STRUCT;

    do {
        f->type = (enum sf_type)(SF_TYPE_BOOL + rows_below(r, last));
    } while (in_list && (f->type == SF_TYPE_LIST || f->type == SF_TYPE_JSON));
    if (f->type == SF_TYPE_DECIMAL) {
        f->precision = (uint8_t)(1 + rows_below(r, 18));
        f->scale = (uint8_t)rows_below(r, f->precision + 1U);
    } else if (f->type == SF_TYPE_DECIMAL_WIDE) {
        f->precision = (uint8_t)(19 + rows_below(r, 20));
        f->scale = (uint8_t)rows_below(r, f->precision + 1U);
    } else if (f->type == SF_TYPE_STRUCT) {
        f->shape = random_fields(r, 4, depth + 1, arena);
    } else if (f->type == SF_TYPE_LIST) {
        struct sf_field *item = piece(sf_arena_calloc(arena, 1, sizeof(*item)));

        item->number = f->number;
        item->name = f->name;
        random_type(r, item, depth, /* in_list= */ true, arena);
        f->item = item;
    }
}

static struct sf_table *random_fields(struct rows_random *r, size_t fields_max, unsigned depth,
                                      struct sf_arena *arena)
{
    struct sf_table *t = piece(sf_arena_calloc(arena, 1, sizeof(*t)));
    struct sf_field *fields = piece(sf_arena_calloc(arena, fields_max, sizeof(*fields)));
    uint32_t number = 0;

    t->name = "random";
    t->kind = SF_TABLE_EVENT;
    t->event_time = -1;
    t->fields = fields;
    t->field_count = 1 + rows_below(r, fields_max);
    for (size_t i = 0; i < t->field_count; i++) {
        struct sf_field *f = &fields[i];

        number = next_number(r, number);
        f->number = number;
        f->name = piece(sf_arena_printf(arena, "f_%zu", i));
        f->required = rows_below(r, 3) == 0;
        random_type(r, f, depth, /* in_list= */ false, arena);
    }
    if (depth == 0) {
        random_key(r, t, fields, arena);
    }
    return t;
}

const struct sf_table *rows_random_table(struct rows_random *r, size_t fields_max,
                                         struct sf_arena *arena)
{
    return random_fields(r, fields_max, 0, arena);
}

static int64_t random_int(struct rows_random *r, int64_t min, int64_t max)
{
    uint64_t span = (uint64_t)max - (uint64_t)min;
    uint64_t bits = rows_next(r);

    switch (rows_below(r, 6)) {
    case 0:
        return min;
    case 1:
        return max;
    case 2:
        return min <= 0 && max >= 0 ? 0 : min;
    case 3: /* near zero or the lower end */
        bits &= 255;
        return min <= -128 && max >= 127 ? (int64_t)bits - 128
                                         : min + (int64_t)(bits > span ? span : bits);
    default:
        bits >>= rows_below(r, 64);
        return (int64_t)((uint64_t)min + (span == UINT64_MAX ? bits : bits % (span + 1)));
    }
}

static double random_double(struct rows_random *r, bool is_float)
{
    static const double some[] = {0, 1, -1, 0.1, 1e-7, 123456.789, 1e21, 3.4e38, 1.5e-45};
    uint64_t bits = rows_next(r);
    double d;

    if (rows_below(r, 3) == 0) {
        d = some[rows_below(r, SF_COUNT(some))];
    } else {
        memcpy(&d, &bits, sizeof(d));
    }
    if (is_float && rows_below(r, 2) == 0) {
        uint32_t low = (uint32_t)bits;
        float f;

        memcpy(&f, &low, sizeof(f));
        d = (double)f;
    } else if (is_float) {
        d = d > (double)FLT_MAX || d < -(double)FLT_MAX ? 0.25 : (double)(float)d;
    }
    return d - d != 0 ? 2.5 : d == 0 ? 0 : d; /* no infinities, no NaN, no -0 */
}

static struct sf_slice random_bytes(struct rows_random *r, bool text, struct sf_arena *arena)
{
    static const char *const pieces[] = {"a",  "0",        "\"",
                                         "\\", "\n",       ",",
                                         " ",  "\xc3\xa9", "\t",
                                         "\r", "\1",       "z",
                                         "ab", "NO",       "\xf0\x9f\x98\x80",
                                         "",   "x",        "-",
                                         "'",  "$",        "long and plain text "};
    static const uint8_t nul[1] = {0};
    size_t count = rows_below(r, 4) == 0 ? 0 : rows_below(r, 12);
    uint8_t *bytes = piece(sf_arena_alloc(arena, count * 24 + 1));
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        struct sf_slice s = sf_slice_text(pieces[rows_below(r, SF_COUNT(pieces))]);
        uint8_t any = (uint8_t)rows_next(r);

        if (!text && rows_below(r, 2) == 0) {
            s = sf_slice_of(&any, 1);
        } else if (rows_below(r, 12) == 0) {
            s = sf_slice_of(nul, 1);
        }
        if (s.size > 0) {
            memcpy(bytes + size, s.data, s.size);
        }
        size += s.size;
    }
    return sf_slice_of(bytes, size);
}

static struct sf_slice random_uuid(struct rows_random *r, struct sf_arena *arena)
{
    uint8_t *bytes = piece(sf_arena_alloc(arena, 16));

    for (size_t i = 0; i < 16; i++) {
        bytes[i] = (uint8_t)(rows_next(r) >> 32);
    }
    return sf_slice_of(bytes, 16);
}

static int64_t decimal_limit(const struct sf_field *f)
{
    int64_t limit = 1;

    for (unsigned i = 0; i < f->precision; i++) {
        limit *= 10;
    }
    return limit - 1;
}

static struct sf_slice random_wide(struct rows_random *r, unsigned precision,
                                   struct sf_arena *arena)
{
    uint8_t *bytes = piece(sf_arena_alloc(arena, SF_DECIMAL_WIDE_SIZE));
    unsigned digits = (unsigned)rows_below(r, precision + 1U);
    bool nines = rows_below(r, 4) == 0;
    __int128 value = 0;

    for (unsigned i = 0; i < digits; i++) {
        value = value * 10 + (nines ? 9 : (int)rows_below(r, 10));
    }
    sf_decimal_wide_put(rows_below(r, 2) == 0 ? value : -value, bytes);
    return sf_slice_of(bytes, SF_DECIMAL_WIDE_SIZE);
}

static struct sf_slice random_json(struct rows_random *r, struct sf_arena *arena)
{
    static const char *const texts[] = {
        "true",
        "0",
        "-1.5",
        "1e+21",
        "123456789012345678901",
        "\"\"",
        "\"a \\\"b\\\" \xc3\xa9\"",
        "[]",
        "{}",
        "[1,null,\"x\",[[]],{}]",
        "{\"\":0,\"A\":[false],\"\\u0001\":1e-7,\"a\":null,\"ab\":{\"x\":0.1}}",
    };

    (void)arena;
    return sf_slice_text(texts[rows_below(r, SF_COUNT(texts))]);
}

static struct sf_slice random_list(struct rows_random *r, const struct sf_field *f,
                                   struct sf_arena *arena)
{
    size_t count = rows_below(r, 3) == 0 ? 0 : rows_below(r, 6);
    struct sf_value items[6];
    size_t size = 1;
    uint8_t *bytes;
    uint8_t *p;

    for (size_t i = 0; i < count; i++) {
        items[i] = rows_random_value(r, f->item, arena);
        size += sf_wire_bound(f->item, &items[i]);
    }
    bytes = piece(sf_arena_alloc(arena, size));
    p = bytes;
    for (size_t i = 0; i < count; i++) {
        p = sf_wire_is_packed(f) ? sf_wire_put_bare(p, f->item->type, &items[i])
                                 : sf_wire_put(p, f->item, &items[i]);
    }
    return sf_slice_of(bytes, (size_t)(p - bytes));
}

static struct sf_slice random_struct(struct rows_random *r, const struct sf_table *shape,
                                     struct sf_arena *arena)
{
    struct sf_value *values = rows_random_row(r, shape, arena);
    size_t size = 1;
    uint8_t *bytes;
    uint8_t *p;

    for (size_t i = 0; i < shape->field_count; i++) {
        size += values[i].present ? sf_wire_bound(&shape->fields[i], &values[i]) : 0;
    }
    bytes = piece(sf_arena_alloc(arena, size));
    p = bytes;
    for (size_t i = 0; i < shape->field_count; i++) {
        p = values[i].present ? sf_wire_put(p, &shape->fields[i], &values[i]) : p;
    }
    return sf_slice_of(bytes, (size_t)(p - bytes));
}

struct sf_value rows_random_value(struct rows_random *r, const struct sf_field *f,
                                  struct sf_arena *arena)
{
    struct sf_value v = {.present = true};

    switch (f->type) {
    case SF_TYPE_BOOL:
        v.i = (int64_t)rows_below(r, 2);
        return v;
    case SF_TYPE_INT32:
        v.i = random_int(r, INT32_MIN, INT32_MAX);
        return v;
    case SF_TYPE_INT64:
        v.i = random_int(r, INT64_MIN, INT64_MAX);
        return v;
    case SF_TYPE_FLOAT:
        v.d = random_double(r, true);
        return v;
    case SF_TYPE_DOUBLE:
        v.d = random_double(r, false);
        return v;
    case SF_TYPE_DECIMAL:
        v.i = random_int(r, -decimal_limit(f), decimal_limit(f));
        return v;
    case SF_TYPE_STRING:
        v.s = random_bytes(r, true, arena);
        return v;
    case SF_TYPE_BYTES:
        v.s = random_bytes(r, false, arena);
        return v;
    case SF_TYPE_DATE:
        v.i = random_int(r, SF_DATE_MIN, SF_DATE_MAX);
        return v;
    case SF_TYPE_TIMESTAMP:
        v.i = random_int(r, SF_TIME_US_MIN, SF_TIME_US_MAX);
        return v;
    case SF_TYPE_UUID:
        v.s = random_uuid(r, arena);
        return v;
    case SF_TYPE_DECIMAL_WIDE:
        v.s = random_wide(r, f->precision, arena);
        return v;
    case SF_TYPE_JSON:
        v.s = random_json(r, arena);
        return v;
    case SF_TYPE_LIST:
        v.s = random_list(r, f, arena);
        v.present = v.s.size > 0;
        return v;
    case SF_TYPE_STRUCT:
        v.s = random_struct(r, f->shape, arena);
        return v;
    }
    return v;
}

struct sf_value *rows_random_row(struct rows_random *r, const struct sf_table *t,
                                 struct sf_arena *arena)
{
    struct sf_value *values = piece(sf_arena_calloc(arena, t->field_count, sizeof(*values)));

    for (size_t i = 0; i < t->field_count; i++) {
        if (t->fields[i].required || rows_below(r, 3) != 0) {
            values[i] = rows_random_value(r, &t->fields[i], arena);
        }
    }
    return values;
}

bool rows_equal(const struct sf_field *f, const struct sf_value *a, const struct sf_value *b)
{
    if (f->type == SF_TYPE_LIST) { /* one that is not there has no elements */
        return sf_slice_equal(a->present ? a->s : sf_slice_of(NULL, 0),
                              b->present ? b->s : sf_slice_of(NULL, 0));
    }
    if (!a->present || !b->present) {
        return a->present == b->present;
    }
    switch (f->type) {
    case SF_TYPE_BOOL:
    case SF_TYPE_INT32:
    case SF_TYPE_INT64:
    case SF_TYPE_DECIMAL:
    case SF_TYPE_DATE:
    case SF_TYPE_TIMESTAMP:
        return a->i == b->i;
    case SF_TYPE_FLOAT:
    case SF_TYPE_DOUBLE:
        return memcmp(&a->d, &b->d, sizeof(a->d)) == 0;
    case SF_TYPE_STRING:
    case SF_TYPE_BYTES:
    case SF_TYPE_UUID:
    case SF_TYPE_DECIMAL_WIDE:
    case SF_TYPE_JSON:
    case SF_TYPE_LIST:
    case SF_TYPE_STRUCT:
        return sf_slice_equal(a->s, b->s);
    }
    return false;
}
