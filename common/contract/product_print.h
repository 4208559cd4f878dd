/*
 * A product as product.yaml, in one canonical form: `init` writes it, and it is what leaf and hub
 * send each other. Reading it back gives the same product.
 */
#pragma once

#include "common/base/buf.h"
#include "common/contract/contract.h"

/* Why a field looks the way it does, written as a comment behind it; one text per field, or NULL.
 */
struct sf_print_notes {
    const char *const *field_notes; /* of the first table */
    size_t count;
};

/* Appends the file. @notes may be NULL. Check @out with sf_buf_check(). */
void sf_product_print(const struct sf_product *p, const struct sf_print_notes *notes,
                      struct sf_buf *out);
/* Its line "deprecated: {...}", or nothing. */
void sf_product_print_deprecated(const struct sf_product *p, struct sf_buf *out);
/* Text in double quotes, on one line. */
void sf_product_print_quoted(struct sf_slice text, struct sf_buf *out);
/* Whether two products say the same. */
bool sf_product_equal(const struct sf_product *a, const struct sf_product *b);
