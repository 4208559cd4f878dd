/* What the files of this directory share. */
#pragma once

#include "common/base/decimal.h"
#include "common/mask/mask.h"

/* How redacted text looks, and what stands where characters were. */
#define SF_MASK_STARS "***"

/* A number's mask about one field: multiples of step from low to high, unscaled. */
struct sf_mask_grid {
    enum sf_mask_kind kind; /* bucket or round */
    bool exact;             /* int and decimal; else what follows is of doubles */
    __int128 step;
    __int128 low;
    __int128 high;
    double bucket; /* bucket */
    double scale;  /* round: a power of ten */
    bool to_scale; /* round: digits behind the point */
};

/* False: the mask does not fit the field; @why as of sf_mask_fits(). */
bool sf_mask_grid_of(const struct sf_mask *m, const struct sf_field *f, struct sf_mask_grid *ret,
                     char why[SF_MASK_WHY_SIZE]);
/* Masks a number, date or timestamp in place, whose wide bytes go to @wide; false: it cannot. */
bool sf_mask_number(const struct sf_mask_grid *g, enum sf_type type, struct sf_value *v,
                    uint8_t wide[SF_DECIMAL_WIDE_SIZE]);
int64_t sf_mask_truncate(enum sf_mask_part part, enum sf_type type, int64_t value);
/* The type of the masked field. */
enum sf_type sf_mask_type(const struct sf_mask *m, const struct sf_field *f);
/* Whether the masked field can be null though the field is not. */
bool sf_mask_may_fail(const struct sf_mask *m, const struct sf_field *f);
const char *sf_mask_name(enum sf_mask_kind kind);
