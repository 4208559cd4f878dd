/* "sales/orders@1" or "orders@1" taken apart. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct product_ref {
    char domain[64]; /* "" where the text has none */
    char product[64];
    uint32_t major; /* 0: not given */
};

/* false: not of that form. @with_domain: whether D/ has to be there. */
bool product_ref_parse(const char *text, bool with_domain, struct product_ref *ret);
