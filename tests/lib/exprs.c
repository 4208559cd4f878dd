#include "tests/lib/exprs.h"

#include <stdio.h>

#include "common/base/assert.h"
#include "common/base/decimal.h"
#include "common/base/time.h"

enum { DEPTH = 4, TEXT_PART = 12 };

enum kind { K_BOOL, K_INT, K_DECIMAL, K_DOUBLE, K_STRING, K_BYTES, K_DATE, K_TIME, K_UUID, KINDS };

static const char *const strings[] = {
    "",
    "a",
    "b",
    "ab",
    "aB",
    "AB",
    "abc",
    "a%",
    "%",
    "_",
    "a_",
    "\\",
    "a\\%",
    "it''s",
    "NO",
    "SE",
    "no",
    "\xC3\xA9",
    "\xC3\xA9t\xC3\xA9",
    ("x\xE2\x82\xAC"
     "y"),
    "aaab",
    "baab",
    ("a\xF0\x9F\x98\x80"
     "b"),
    "long text with words",
    "ABBA!",
};
static const int64_t ints[] = {
    0, 1, -1, 2, 3, 7, -7, 10, 100, 42, 256, -99, 65536, INT32_MAX, INT32_MIN, 1999,
};
static const int64_t big_ints[] = {INT64_MAX,   INT64_MIN,          INT64_MAX - 1,   3000000000,
                                   -3000000001, 999999999999999999, 9007199254740993};
static const double doubles[] = {0,        1,      -1,     0.5, -0.25,
                                 0.1,      1.5,    2.5,    7,   100,
                                 1e300,    -1e300, 1e-300, 3e9, 9007199254740993.0,
                                 1234.5678};
static const char *const uuids[] = {
    "00000000-0000-0000-0000-000000000000", "7fffffff-ffff-ffff-ffff-ffffffffffff",
    "80000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "01234567-89ab-cdef-0123-456789abcdef",
};

/* --- tables and rows -------------------------------------------------------------------------- */

const struct sf_table *exprs_random_table(struct rows_random *r, struct sf_arena *arena)
{
    static const char *const names[] = {"a",  "b", "country", "in",    "order",
                                        "no", "x", "amount",  "caller"};
    size_t count = 1 + rows_below(r, 8);
    struct sf_field *fields = sf_arena_calloc(arena, count, sizeof(*fields));
    struct sf_table *t = sf_arena_calloc(arena, 1, sizeof(*t));
    uint32_t number = 0;
    size_t name = 0;

    sf_assert(fields != NULL && t != NULL);
    for (size_t i = 0; i < count; i++) {
        struct sf_field *f = &fields[i];

        number += 1 + (uint32_t)rows_below(r, rows_below(r, 4) == 0 ? 3000 : 3);
        f->number = number;
        f->name = names[name];
        name += 1 + (name + count - i < SF_COUNT(names) ? rows_below(r, 2) : 0);
        f->type = (enum sf_type)(1 + rows_below(r, SF_TYPE_UUID));
        if (f->type == SF_TYPE_DECIMAL) {
            f->precision = (uint8_t)(1 + rows_below(r, SF_DECIMAL_NARROW_MAX));
            f->scale = (uint8_t)rows_below(r, f->precision + 1U);
        }
    }
    *t = (struct sf_table){.name = "t",
                           .kind = SF_TABLE_EVENT,
                           .fields = fields,
                           .field_count = count,
                           .event_time = -1};
    return t;
}

static int64_t random_int(struct rows_random *r)
{
    return rows_below(r, 8) == 0 ? big_ints[rows_below(r, SF_COUNT(big_ints))]
                                 : ints[rows_below(r, SF_COUNT(ints))];
}

/* Digits of at most @precision. */
static int64_t random_decimal(struct rows_random *r, unsigned precision)
{
    int64_t limit = 1;
    unsigned digits = rows_below(r, 3) == 0 ? precision : 1 + (unsigned)rows_below(r, precision);

    for (unsigned i = 0; i < digits; i++) {
        limit *= 10;
    }
    if (rows_below(r, 6) == 0) {
        return rows_below(r, 2) == 0 ? limit - 1 : 1 - limit;
    }
    return (int64_t)(rows_next(r) % (uint64_t)limit) * (rows_below(r, 3) == 0 ? -1 : 1);
}

static int64_t random_date(struct rows_random *r)
{
    static const int64_t dates[] = {0, 1, -1, 18262, 20000, SF_DATE_MIN, SF_DATE_MAX, 19782};

    return dates[rows_below(r, SF_COUNT(dates))];
}

static int64_t random_time(struct rows_random *r)
{
    static const int64_t parts[] = {0, 1, 3599999999, 43200000000, 86399999999};

    return random_date(r) * SF_US_PER_DAY + parts[rows_below(r, SF_COUNT(parts))];
}

/* Contents of a string in quotes of SQL, where ' is written twice. */
static const char *random_text(struct rows_random *r)
{
    return strings[rows_below(r, SF_COUNT(strings))];
}

static struct sf_slice random_string(struct rows_random *r, struct sf_arena *arena)
{
    const char *text = random_text(r);
    char *copy = sf_arena_strdup(arena, text);
    char *quote;

    sf_assert(copy != NULL);
    quote = strchr(copy, '\'');
    if (quote != NULL) {
        memmove(quote, quote + 1, strlen(quote));
    }
    return sf_slice_text(copy);
}

static struct sf_slice random_uuid(struct rows_random *r, struct sf_arena *arena)
{
    const char *text = uuids[rows_below(r, SF_COUNT(uuids))];
    uint8_t *bytes = sf_arena_alloc(arena, 16);
    size_t n = 0;

    sf_assert(bytes != NULL);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c != '-') {
            uint8_t digit = (uint8_t)(*c <= '9' ? *c - '0' : *c - 'a' + 10);

            bytes[n / 2] = (uint8_t)(n % 2 == 0 ? digit << 4 : bytes[n / 2] | digit);
            n++;
        }
    }
    return sf_slice_of(bytes, 16);
}

static struct sf_value random_value(struct rows_random *r, const struct sf_field *f,
                                    struct sf_arena *arena)
{
    struct sf_value v = {.present = rows_below(r, 6) != 0};

    switch (f->type) {
    case SF_TYPE_BOOL:
        v.i = (int64_t)rows_below(r, 2);
        break;
    case SF_TYPE_INT32:
        v.i = ints[rows_below(r, SF_COUNT(ints))];
        break;
    case SF_TYPE_INT64:
        v.i = random_int(r);
        break;
    case SF_TYPE_FLOAT:
        v.d = (double)(float)doubles[rows_below(r, 10)];
        break;
    case SF_TYPE_DOUBLE:
        v.d = doubles[rows_below(r, SF_COUNT(doubles))];
        break;
    case SF_TYPE_DECIMAL:
        v.i = random_decimal(r, f->precision);
        break;
    case SF_TYPE_STRING:
    case SF_TYPE_BYTES:
        v.s = random_string(r, arena);
        break;
    case SF_TYPE_DATE:
        v.i = random_date(r);
        break;
    case SF_TYPE_TIMESTAMP:
        v.i = random_time(r);
        break;
    case SF_TYPE_UUID:
        v.s = random_uuid(r, arena);
        break;
    case SF_TYPE_DECIMAL_WIDE:
    case SF_TYPE_JSON:
    case SF_TYPE_LIST:
    case SF_TYPE_STRUCT:
        v = rows_random_value(r, f, arena);
        break;
    }
    return v;
}

struct sf_value *exprs_random_row(struct rows_random *r, const struct sf_table *t,
                                  struct sf_arena *arena)
{
    struct sf_value *row = sf_arena_calloc(arena, t->field_count, sizeof(*row));

    sf_assert(row != NULL);
    for (size_t i = 0; i < t->field_count; i++) {
        row[i] = random_value(r, &t->fields[i], arena);
    }
    return row;
}

/* --- filters ---------------------------------------------------------------------------------- */

struct maker {
    struct rows_random *r;
    const struct sf_table *t;
    struct sf_buf *out;
};

static void make(struct maker *m, enum kind kind, unsigned depth);

static void say(struct maker *m, const char *text)
{
    sf_buf_text(m->out, text);
}

static bool one_in(struct maker *m, size_t n)
{
    return rows_below(m->r, n) == 0;
}

static enum kind kind_of(enum sf_type type)
{
    static const enum kind kinds[] = {
        [SF_TYPE_BOOL] = K_BOOL,      [SF_TYPE_INT32] = K_INT,     [SF_TYPE_INT64] = K_INT,
        [SF_TYPE_FLOAT] = K_DOUBLE,   [SF_TYPE_DOUBLE] = K_DOUBLE, [SF_TYPE_DECIMAL] = K_DECIMAL,
        [SF_TYPE_STRING] = K_STRING,  [SF_TYPE_BYTES] = K_BYTES,   [SF_TYPE_DATE] = K_DATE,
        [SF_TYPE_TIMESTAMP] = K_TIME, [SF_TYPE_UUID] = K_UUID,
    };

    return kinds[type];
}

/* A field of the kind; false when the table has none. */
static bool make_field(struct maker *m, enum kind kind)
{
    size_t start = rows_below(m->r, m->t->field_count);

    for (size_t i = 0; i < m->t->field_count; i++) {
        const struct sf_field *f = &m->t->fields[(start + i) % m->t->field_count];

        if (kind_of(f->type) == kind) {
            sf_buf_printf(m->out, "\"%s\"", f->name);
            return true;
        }
    }
    return false;
}

static void make_literal(struct maker *m, enum kind kind)
{
    char text[64];
    unsigned scale;

    switch (kind) {
    case K_BOOL:
        say(m, one_in(m, 2) ? "true" : "FALSE");
        break;
    case K_INT:
        sf_buf_printf(m->out, "%lld", (long long)random_int(m->r));
        break;
    case K_DECIMAL:
        scale = 1 + (unsigned)rows_below(m->r, one_in(m, 4) ? 17 : 3);
        sf_decimal_format(random_decimal(m->r, one_in(m, 4) ? 18 : 4), scale, text);
        say(m, text);
        break;
    case K_DOUBLE:
        sf_buf_printf(m->out, "%.17e", doubles[rows_below(m->r, SF_COUNT(doubles))]);
        break;
    case K_STRING:
        sf_buf_printf(m->out, "'%s'", random_text(m->r));
        break;
    case K_BYTES: /* there are no literals of it */
        say(m, "NULL");
        break;
    case K_DATE:
        sf_date_format(random_date(m->r), text);
        sf_buf_printf(m->out, "'%s'", text);
        break;
    case K_TIME:
        sf_time_format(random_time(m->r), text);
        sf_buf_printf(m->out, "'%s'", text);
        break;
    case K_UUID:
    case KINDS:
        sf_buf_printf(m->out, "'%s'", uuids[rows_below(m->r, SF_COUNT(uuids))]);
        break;
    }
}

static void make_leaf(struct maker *m, enum kind kind)
{
    if (one_in(m, 40)) {
        say(m, "NULL");
    } else if (one_in(m, 4) || !make_field(m, kind)) {
        if (kind == K_STRING && one_in(m, 3)) {
            static const char *const callers[] = {"caller.domain", "caller.role", "CALLER.purpose"};

            say(m, callers[rows_below(m->r, 3)]);
        } else {
            make_literal(m, kind);
        }
    }
}

/* A leaf that has the type itself: where nothing beside it gives a string literal its type. */
static void make_typed(struct maker *m, enum kind kind, unsigned depth)
{
    if ((kind == K_DATE || kind == K_TIME || kind == K_UUID || kind == K_BYTES) &&
        !make_field(m, kind)) {
        say(m, "NULL");
    } else if (kind != K_DATE && kind != K_TIME && kind != K_UUID && kind != K_BYTES) {
        make(m, kind, depth);
    }
}

static enum kind random_number(struct maker *m)
{
    return (enum kind)(K_INT + rows_below(m->r, 3));
}

static void make_pair(struct maker *m, enum kind a, const char *sign, enum kind b, unsigned depth)
{
    say(m, "(");
    make(m, a, depth - 1);
    sf_buf_printf(m->out, " %s ", sign);
    make(m, b, depth - 1);
    say(m, ")");
}

static void make_function(struct maker *m, const char *name, enum kind kind, unsigned depth)
{
    sf_buf_printf(m->out, "%s(", name);
    make_typed(m, kind, depth - 1);
    say(m, ")");
}

static void make_number(struct maker *m, enum kind kind, unsigned depth)
{
    static const char *const signs[] = {"+", "-", "*"};
    const char *sign = signs[rows_below(m->r, 3)];
    static const char *const parts[] = {"year", "Month", "day"};

    switch (rows_below(m->r, kind == K_INT ? 9 : 5)) {
    case 0:
    case 1:
    case 2:
        if (kind == K_DOUBLE && one_in(m, 2)) {
            make_pair(m, random_number(m), one_in(m, 2) ? "/" : sign, K_DOUBLE, depth);
        } else if (kind == K_DECIMAL && one_in(m, 3)) {
            make_pair(m, K_INT, sign, kind, depth);
        } else if (kind == K_DOUBLE && one_in(m, 3)) {
            make_pair(m, K_INT, "/", K_INT, depth);
        } else {
            make_pair(m, kind, sign, kind, depth);
        }
        break;
    case 3:
        say(m, "- ");
        make_leaf(m, kind);
        break;
    case 4:
        say(m, "coalesce(");
        make(m, kind, depth - 1);
        say(m, ", ");
        make(m, kind == K_DOUBLE ? random_number(m) : kind, depth - 1);
        say(m, ")");
        break;
    case 5:
        make_pair(m, K_INT, "%", K_INT, depth);
        break;
    case 6:
        make_function(m, "length", one_in(m, 4) ? K_BYTES : K_STRING, depth);
        break;
    case 7:
        make_function(m, parts[rows_below(m->r, 3)], one_in(m, 2) ? K_DATE : K_TIME, depth);
        break;
    case 8:
        make_function(m, "HOUR", K_TIME, depth);
        break;
    }
}

static void make_string(struct maker *m, unsigned depth)
{
    switch (rows_below(m->r, 4)) {
    case 0:
        make_function(m, one_in(m, 2) ? "lower" : "UPPER", K_STRING, depth);
        break;
    case 1:
        say(m, "substr(");
        make(m, K_STRING, depth - 1);
        sf_buf_printf(m->out, ", %d", (int)rows_below(m->r, 12) - 5);
        if (!one_in(m, 3)) {
            say(m, ", ");
            make(m, K_INT, one_in(m, 4) ? depth - 1 : 0);
        }
        say(m, ")");
        break;
    case 2:
        say(m, "coalesce(");
        make(m, K_STRING, depth - 1);
        say(m, ", ");
        make(m, K_STRING, depth - 1);
        say(m, ")");
        break;
    case 3:
        make_leaf(m, K_STRING);
        break;
    }
}

static void make_like(struct maker *m, unsigned depth)
{
    static const char *const parts[] = {"%", "_",  "a", "b",  "ab", "\xC3\xA9",
                                        "!", "\\", "B", "''", "aa", "!!"};
    bool escape = one_in(m, 3);
    size_t count = rows_below(m->r, 6);

    make(m, K_STRING, depth - 1);
    say(m, one_in(m, 3) ? " NOT LIKE '" : " LIKE '");
    for (size_t i = 0; i < count; i++) {
        say(m, parts[rows_below(m->r, TEXT_PART)]);
    }
    say(m, escape ? "a' ESCAPE '!'" : "'");
}

/* A kind that compares with @kind, mostly itself. */
static enum kind beside(struct maker *m, enum kind kind)
{
    if (kind >= K_INT && kind <= K_DOUBLE && one_in(m, 3)) {
        return random_number(m);
    }
    if ((kind == K_DATE || kind == K_TIME) && one_in(m, 3)) {
        return kind == K_DATE ? K_TIME : K_DATE;
    }
    return kind;
}

/* @first has a type of its own, so that what follows may be a string literal. */
static void make_beside(struct maker *m, enum kind first, unsigned depth)
{
    enum kind kind = beside(m, first);

    if (kind == first && (kind == K_DATE || kind == K_TIME || kind == K_UUID)) {
        make_leaf(m, kind);
    } else {
        make_typed(m, kind, depth);
    }
}

static void make_predicate(struct maker *m, unsigned depth)
{
    static const char *const signs[] = {"=", "<>", "!=", "<", "<=", ">", ">="};
    enum kind kind = kind_of(m->t->fields[rows_below(m->r, m->t->field_count)].type);
    size_t count = 1 + rows_below(m->r, 4);

    say(m, "(");
    switch (rows_below(m->r, 6)) {
    case 0:
        make_typed(m, kind, depth - 1);
        say(m, one_in(m, 2) ? " in (" : " NOT IN (");
        for (size_t i = 0; i < count; i++) {
            say(m, i == 0 ? "" : ", ");
            make_beside(m, kind, one_in(m, 2) ? 0 : depth - 1);
        }
        say(m, ")");
        break;
    case 1:
        make_typed(m, kind, depth - 1);
        say(m, one_in(m, 2) ? " between " : " NOT BETWEEN ");
        make_beside(m, kind, depth - 1);
        say(m, " AND ");
        make_beside(m, kind, depth - 1);
        break;
    case 2:
        make_like(m, depth);
        break;
    case 3:
        make_typed(m, kind, depth - 1);
        say(m, one_in(m, 2) ? " IS NULL" : " is not null");
        break;
    default:
        make_typed(m, kind, depth - 1);
        sf_buf_printf(m->out, " %s ", signs[rows_below(m->r, SF_COUNT(signs))]);
        make_beside(m, kind, depth - 1);
        break;
    }
    say(m, ")");
}

static void make_bool(struct maker *m, unsigned depth)
{
    switch (rows_below(m->r, 6)) {
    case 0:
    case 1:
        make_pair(m, K_BOOL, one_in(m, 2) ? "and" : "OR", K_BOOL, depth);
        break;
    case 2:
        say(m, "(NOT ");
        make(m, K_BOOL, depth - 1);
        say(m, ")");
        break;
    default:
        make_predicate(m, depth);
        break;
    }
}

static void make(struct maker *m, enum kind kind, unsigned depth)
{
    bool leaf = depth == 0 || (kind != K_BOOL && one_in(m, 2));

    if (!leaf && kind == K_BOOL) {
        make_bool(m, depth);
    } else if (!leaf && kind >= K_INT && kind <= K_DOUBLE) {
        make_number(m, kind, depth);
    } else if (!leaf && kind == K_STRING) {
        make_string(m, depth);
    } else {
        make_leaf(m, kind);
    }
}

void exprs_random_filter(struct rows_random *r, const struct sf_table *t, struct sf_buf *out)
{
    struct maker m = {.r = r, .t = t, .out = out};

    if (one_in(&m, 2)) {
        make_predicate(&m, 1 + (unsigned)rows_below(r, DEPTH));
    } else {
        make_bool(&m, 1 + (unsigned)rows_below(r, DEPTH));
    }
}
