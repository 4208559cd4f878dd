/* D/P[@MAJOR][.TABLE]: how users name a product or a table of it. Pure. */
#pragma once

#include "common/base/error.h"

enum { PRODUCT_NAME_MAX = 64 };

struct product_ref {
    char domain[PRODUCT_NAME_MAX];
    char product[PRODUCT_NAME_MAX];
    char table[PRODUCT_NAME_MAX]; /* "": not named */
    uint32_t major;               /* 0: not named, or of a product that is still at 0.x */
};

/* SF_INVALID; E0106: which part is not a name; E0801: there is but one. */
enum sf_code product_ref_parse(const char *text, struct product_ref *ret,
                               struct sf_error *err) SF_MUST_CHECK;
/* "sales/orders" or "sales/orders@2" into @ret: the part that paths of the HTTP APIs take. */
enum { PRODUCT_REF_TEXT_MAX = 2 * PRODUCT_NAME_MAX + 16 };
void product_ref_text(const struct product_ref *r, char ret[PRODUCT_REF_TEXT_MAX]);
