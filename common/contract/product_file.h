/*
 * product.yaml to struct sf_product, strictly: unknown and duplicate keys, bad names, numbers,
 * rules and references are issues with their place, all of a file at once.
 *
 * Keys of the format that this release does not act on (ports, inputs, transform, resources) are
 * checked for their shape and left out of the product; policies are kept as they are.
 *
 *   Memory    The product owns everything it holds; free it with sf_product_free().
 *   Limits    Those of wire/yaml.h, and SF_TABLES_MAX, SF_FIELDS_MAX, SF_KEY_FIELDS_MAX.
 */
#pragma once

#include "common/contract/contract.h"
#include "common/wire/issues.h"

/*
 * Reads issues->source. SF_OK: *ret is a product that holds all rules of contract.h (there may be
 * warnings). SF_INVALID: there are errors among the issues; @err has the first. SF_NOMEM.
 */
enum sf_code sf_product_parse(struct sf_issues *issues, struct sf_product **ret,
                              struct sf_error *err) SF_MUST_CHECK;

/* [0-9]+.[0-9]+.[0-9]+ without leading zeros, each at most 999,999. */
bool sf_version_parse(struct sf_slice text, struct sf_version *ret) SF_MUST_CHECK;
/* Below 0, 0, above 0. */
int sf_version_compare(const struct sf_version *a, const struct sf_version *b);
