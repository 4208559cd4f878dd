/* What masks do to numbers and times. */
#include <math.h>
#include <stdio.h>

#include "common/base/time.h"
#include "common/mask/mask_private.h"

/* Doubles: a bucket is exact below 2^53, a count of steps so far from it that a second rounding
 * finds the same one. */
#define WHOLE_MAX 9007199254740992.0
#define STEPS_MAX 1125899906842624.0
enum { DOUBLE_DIGITS_MAX = 15 };

static __int128 power_of_ten(unsigned digits)
{
    __int128 power = 1;

    while (digits-- > 0) {
        power *= 10;
    }
    return power;
}

static bool refuse(char why[SF_MASK_WHY_SIZE], const struct sf_field *f, const char *what)
{
    char type[24];

    sf_field_type_text(f, type, sizeof(type));
    (void)snprintf(why, SF_MASK_WHY_SIZE, "%s %s", what, type);
    return false;
}

static bool double_grid(const struct sf_mask *m, const struct sf_field *f, struct sf_mask_grid *ret,
                        char why[SF_MASK_WHY_SIZE])
{
    if (m->kind == SF_MASK_BUCKET) {
        ret->bucket = (double)m->step;
        return (m->scale == 0 && m->step <= INT32_MAX) ||
               refuse(why, f, "takes a whole number up to 2147483647 for");
    }
    ret->to_scale = m->digits > 0;
    if (m->digits > DOUBLE_DIGITS_MAX || m->digits < -DOUBLE_DIGITS_MAX) {
        return refuse(why, f, "takes -15 to 15 for");
    }
    ret->scale = (double)power_of_ten((unsigned)(m->digits < 0 ? -m->digits : m->digits));
    return true;
}

/* Fills the ends of the type's range, unscaled; false: no exact number. */
static bool range_of(const struct sf_field *f, struct sf_mask_grid *ret)
{
    if (f->type == SF_TYPE_INT32 || f->type == SF_TYPE_INT64) {
        ret->low = f->type == SF_TYPE_INT32 ? INT32_MIN : INT64_MIN;
        ret->high = f->type == SF_TYPE_INT32 ? INT32_MAX : INT64_MAX;
        return true;
    }
    if (f->type == SF_TYPE_DECIMAL || f->type == SF_TYPE_DECIMAL_WIDE) {
        ret->high = power_of_ten(f->precision) - 1;
        ret->low = -ret->high;
        return true;
    }
    return false;
}

bool sf_mask_grid_of(const struct sf_mask *m, const struct sf_field *f, struct sf_mask_grid *ret,
                     char why[SF_MASK_WHY_SIZE])
{
    int finer; /* power of ten that makes a step of the mask one of the field */

    *ret = (struct sf_mask_grid){.kind = m->kind};
    if (f->type == SF_TYPE_FLOAT || f->type == SF_TYPE_DOUBLE) {
        return double_grid(m, f, ret, why);
    }
    if (!range_of(f, ret)) {
        return refuse(why, f, "is for numbers, not for");
    }
    ret->exact = true;
    finer = (int)f->scale - (m->kind == SF_MASK_BUCKET ? m->scale : m->digits);
    ret->step = m->kind == SF_MASK_BUCKET ? m->step : 1;
    if (finer < 0 && m->kind == SF_MASK_BUCKET) {
        return refuse(why, f, "is finer than");
    }
    if (finer > SF_MASK_DIGITS_MAX ||
        (finer > 0 && ret->step > ret->high / power_of_ten((unsigned)finer)) ||
        (finer == 0 && ret->step > ret->high)) {
        return refuse(why, f, "is larger than any value of");
    }
    ret->step *= finer > 0 ? power_of_ten((unsigned)finer) : 1;
    return ret->step > 1 || refuse(why, f, "hides nothing of");
}

/* The multiple of the step at or below @v, or nearest to it; where that is out of the range of the
 * type, the one next to it towards zero. */
static __int128 to_grid(const struct sf_mask_grid *g, __int128 v)
{
    __int128 rest = v % g->step;
    __int128 inner = v - rest;
    __int128 size = rest < 0 ? -rest : rest;
    bool outwards = g->kind == SF_MASK_BUCKET ? rest < 0 : rest != 0 && size >= g->step - size;

    if (outwards && rest < 0 && inner >= g->low + g->step) {
        return inner - g->step;
    }
    if (outwards && rest > 0 && inner <= g->high - g->step) {
        return inner + g->step;
    }
    return inner;
}

static bool double_to_grid(const struct sf_mask_grid *g, double *v)
{
    double rest;
    double steps;

    if (g->kind == SF_MASK_BUCKET) {
        rest = fmod(*v, g->bucket);
        *v -= rest;
        *v -= rest < 0 ? g->bucket : 0;
        return fabs(*v) < WHOLE_MAX;
    }
    steps = round(g->to_scale ? *v * g->scale : *v / g->scale);
    *v = g->to_scale ? steps / g->scale : steps * g->scale;
    return fabs(steps) < STEPS_MAX;
}

bool sf_mask_number(const struct sf_mask_grid *g, enum sf_type type, struct sf_value *v,
                    uint8_t wide[SF_DECIMAL_WIDE_SIZE])
{
    if (!g->exact) {
        return double_to_grid(g, &v->d);
    }
    if (type == SF_TYPE_DECIMAL_WIDE) {
        sf_decimal_wide_put(to_grid(g, sf_decimal_wide_get(v->s.data)), wide);
        v->s = sf_slice_of(wide, SF_DECIMAL_WIDE_SIZE);
        return true;
    }
    v->i = (int64_t)to_grid(g, v->i);
    return true;
}

static int64_t first_day(enum sf_mask_part part, int64_t days)
{
    struct sf_civil c = sf_civil_of_days(days);
    unsigned month = part == SF_MASK_YEAR      ? 1
                     : part == SF_MASK_QUARTER ? (c.month - 1U) / 3 * 3 + 1
                                               : c.month;

    return sf_days_of(c.year, month, 1);
}

/* @value down to a multiple of @step. */
static int64_t floor_to(int64_t value, int64_t step)
{
    int64_t rest = value % step;

    return value - rest - (rest < 0 ? step : 0);
}

int64_t sf_mask_truncate(enum sf_mask_part part, enum sf_type type, int64_t value)
{
    if (type == SF_TYPE_DATE) {
        return first_day(part, value);
    }
    if (part == SF_MASK_HOUR) {
        return floor_to(value, SF_US_PER_DAY / 24);
    }
    value = floor_to(value, SF_US_PER_DAY);
    return part == SF_MASK_DAY ? value : first_day(part, value / SF_US_PER_DAY) * SF_US_PER_DAY;
}
