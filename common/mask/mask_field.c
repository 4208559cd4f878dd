/* Which masks fit which fields, what they make of them, and which is stricter. */
#include <stdio.h>

#include "common/contract/value.h"
#include "common/mask/mask_private.h"
#include "proto/errors.h"

/* --- fitting ---------------------------------------------------------------------------------- */

static bool refuse(char why[SF_MASK_WHY_SIZE], const struct sf_field *f, const char *what)
{
    char type[24];

    sf_field_type_text(f, type, sizeof(type));
    (void)snprintf(why, SF_MASK_WHY_SIZE, "%s %s", what, type);
    return false;
}

static bool truncate_fits(const struct sf_mask *m, const struct sf_field *f,
                          char why[SF_MASK_WHY_SIZE])
{
    if (f->type != SF_TYPE_DATE && f->type != SF_TYPE_TIMESTAMP) {
        return refuse(why, f, "is for dates and timestamps, not for");
    }
    return f->type == SF_TYPE_TIMESTAMP || m->part >= SF_MASK_MONTH ||
           refuse(why, f, "hides nothing of");
}

static bool constant_fits(const struct sf_mask *m, const struct sf_field *f,
                          char why[SF_MASK_WHY_SIZE])
{
    struct sf_field iso = *f;
    struct sf_arena scratch;
    struct sf_value value;
    bool fits;

    iso.parse = NULL;
    if (f->type == SF_TYPE_JSON) {
        return refuse(why, f, "is not for");
    }
    sf_arena_init(&scratch, 0);
    fits = sf_value_parse(&iso, m->text, &scratch, &value) == SF_PARSE_OK;
    sf_arena_done(&scratch);
    return fits || refuse(why, f, "holds no value of");
}

bool sf_mask_fits(const struct sf_mask *m, const struct sf_field *f, char why[SF_MASK_WHY_SIZE])
{
    struct sf_mask_grid grid;

    if (m->kind == SF_MASK_NONE || m->kind == SF_MASK_NULL || m->kind == SF_MASK_OMIT) {
        return true;
    }
    if (!sf_type_is_scalar(f->type)) {
        return refuse(why, f, "is for single values (null and omit are for all), not for");
    }
    switch (m->kind) {
    case SF_MASK_BUCKET:
    case SF_MASK_ROUND:
        return sf_mask_grid_of(m, f, &grid, why);
    case SF_MASK_TRUNCATE:
        return truncate_fits(m, f, why);
    case SF_MASK_KEEP_FIRST:
    case SF_MASK_KEEP_LAST:
    case SF_MASK_KEEP_DOMAIN:
        return f->type == SF_TYPE_STRING || refuse(why, f, "is for strings, not for");
    case SF_MASK_CONSTANT:
        return constant_fits(m, f, why);
    case SF_MASK_HASH:
    case SF_MASK_REDACT:
    case SF_MASK_NONE:
    case SF_MASK_NULL:
    case SF_MASK_OMIT:
        break;
    }
    return true;
}

bool sf_mask_check(struct sf_issues *issues, struct sf_place place, const struct sf_mask *m,
                   const struct sf_field *f)
{
    char why[SF_MASK_WHY_SIZE];

    if (sf_mask_fits(m, f, why)) {
        return true;
    }
    sf_issues_error(issues, place, SHEAF_E_BAD_VALUE, "mask '%s' of field '%s' %s",
                    sf_mask_name(m->kind), f->name, why);
    return false;
}

/* The names of a table, for "allowed"; those that find no memory are missing. */
static void report_field(struct sf_issues *issues, struct sf_place place, const struct sf_table *t,
                         struct sf_slice name)
{
    const char **names = sf_arena_calloc(&issues->arena, t->field_count, sizeof(*names));

    sf_issues_error(issues, place, SHEAF_E_BAD_REFERENCE, "table '%s' has no field '%.*s'", t->name,
                    SF_SLICE_ARG(name));
    if (names == NULL) {
        issues->failed = true;
        return;
    }
    for (size_t i = 0; i < t->field_count; i++) {
        names[i] = t->fields[i].name;
    }
    sf_issues_allowed(issues, (struct sf_allowed){names, t->field_count, name});
}

int32_t sf_mask_field(struct sf_issues *issues, struct sf_place place, const struct sf_table *t,
                      struct sf_slice name)
{
    int32_t index = sf_table_field_index(t, name);
    struct sf_slice outer = name;

    outer.size = 0;
    while (outer.size < name.size && name.data[outer.size] != '.' && name.data[outer.size] != '[') {
        outer.size++;
    }
    if (index >= 0) {
        return index;
    }
    index = outer.size < name.size ? sf_table_field_index(t, outer) : -1;
    if (index >= 0 && !sf_type_is_scalar(t->fields[index].type)) {
        sf_issues_error(issues, place, SHEAF_E_BAD_REFERENCE,
                        "a value inside '%s' has no mask of its own: mask '%s' with null or omit",
                        t->fields[index].name, t->fields[index].name);
    } else {
        report_field(issues, place, t, name);
    }
    return -1;
}

/* --- what becomes of the field ---------------------------------------------------------------- */

enum sf_type sf_mask_type(const struct sf_mask *m, const struct sf_field *f)
{
    if (m->kind == SF_MASK_HASH || m->kind == SF_MASK_REDACT) {
        return SF_TYPE_STRING;
    }
    /* The multiples that matter are not floats, but they are doubles. */
    if (f->type == SF_TYPE_FLOAT && (m->kind == SF_MASK_BUCKET || m->kind == SF_MASK_ROUND)) {
        return SF_TYPE_DOUBLE;
    }
    return f->type;
}

bool sf_mask_may_fail(const struct sf_mask *m, const struct sf_field *f)
{
    return m->kind == SF_MASK_NULL || (sf_mask_type(m, f) == SF_TYPE_DOUBLE &&
                                       (m->kind == SF_MASK_BUCKET || m->kind == SF_MASK_ROUND));
}

bool sf_mask_is_idempotent(const struct sf_mask *m)
{
    if (m->kind == SF_MASK_KEEP_FIRST || m->kind == SF_MASK_KEEP_LAST) {
        /* What was masked is longer than that, so that it is seen again. */
        return m->longer < m->keep + strlen(SF_MASK_STARS);
    }
    return m->kind != SF_MASK_HASH;
}

/* --- order ------------------------------------------------------------------------------------ */

unsigned sf_mask_level(enum sf_mask_kind kind)
{
    switch (kind) {
    case SF_MASK_NONE:
        return 0;
    case SF_MASK_BUCKET:
    case SF_MASK_ROUND:
    case SF_MASK_TRUNCATE:
    case SF_MASK_KEEP_FIRST:
    case SF_MASK_KEEP_LAST:
    case SF_MASK_KEEP_DOMAIN:
        return 1;
    case SF_MASK_HASH:
        return 2;
    case SF_MASK_REDACT:
        return 3;
    case SF_MASK_CONSTANT:
        return 4;
    case SF_MASK_NULL:
        return 5;
    case SF_MASK_OMIT:
        break;
    }
    return 6;
}

static const struct sf_mask redact = {.kind = SF_MASK_REDACT};

/* The bucket whose ends are ends of both. */
static struct sf_mask combine_buckets(const struct sf_field *f, const struct sf_mask *a,
                                      const struct sf_mask *b)
{
    struct sf_mask ret = {.kind = SF_MASK_BUCKET};
    struct sf_mask fine = a->scale >= b->scale ? *a : *b;
    struct sf_mask coarse = a->scale >= b->scale ? *b : *a;
    char why[SF_MASK_WHY_SIZE];
    __int128 x;
    __int128 y;

    for (; coarse.scale < fine.scale; coarse.scale++) {
        if (__builtin_mul_overflow(coarse.step, 10, &coarse.step)) {
            return redact;
        }
    }
    x = fine.step;
    y = coarse.step;
    while (y != 0) { /* x becomes the greatest common divisor */
        __int128 rest = x % y;

        x = y;
        y = rest;
    }
    if (__builtin_mul_overflow(fine.step / x, coarse.step, &ret.step)) {
        return redact;
    }
    ret.scale = fine.scale;
    while (ret.scale > 0 && ret.step % 10 == 0) {
        ret.step /= 10;
        ret.scale--;
    }
    return sf_mask_fits(&ret, f, why) ? ret : redact;
}

static struct sf_mask combine_alike(const struct sf_field *f, const struct sf_mask *a,
                                    const struct sf_mask *b)
{
    struct sf_mask ret = *a;

    switch (a->kind) {
    case SF_MASK_BUCKET:
        return combine_buckets(f, a, b);
    case SF_MASK_ROUND:
        ret.digits = a->digits < b->digits ? a->digits : b->digits;
        break;
    case SF_MASK_TRUNCATE:
        ret.part = a->part > b->part ? a->part : b->part;
        break;
    case SF_MASK_KEEP_FIRST:
    case SF_MASK_KEEP_LAST:
        ret.keep = a->keep < b->keep ? a->keep : b->keep;
        ret.longer = a->longer > b->longer ? a->longer : b->longer;
        break;
    case SF_MASK_CONSTANT:
        /* Neither is stricter, and the order of policies must not matter. */
        ret = sf_slice_equal(a->text, b->text) ? *a : (struct sf_mask){.kind = SF_MASK_NULL};
        break;
    case SF_MASK_NONE:
    case SF_MASK_KEEP_DOMAIN:
    case SF_MASK_HASH:
    case SF_MASK_REDACT:
    case SF_MASK_NULL:
    case SF_MASK_OMIT:
        break;
    }
    return ret;
}

struct sf_mask sf_mask_combine(const struct sf_field *f, const struct sf_mask *a,
                               const struct sf_mask *b)
{
    unsigned level_a = sf_mask_level(a->kind);
    unsigned level_b = sf_mask_level(b->kind);

    if (a->kind == b->kind) {
        return combine_alike(f, a, b);
    }
    if (level_a == 0 || level_b == 0 || level_a >= sf_mask_level(SF_MASK_REDACT) ||
        level_b >= sf_mask_level(SF_MASK_REDACT)) {
        return level_a > level_b ? *a : *b;
    }
    return redact; /* each shows what the other hides */
}
