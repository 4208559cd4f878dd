/*
 * The verdict over one value: does it keep the rules of its field?
 *
 *   Order    Pure. No heap but what PCRE2 takes for a match.
 */
#pragma once

#include "common/contract/contract.h"

/* Bytes, types and UTF-8 have been checked when the value was made; these are the rules. */
enum sf_rule {
    SF_RULE_NONE, /* no rule is broken */
    SF_RULE_REQUIRED,
    SF_RULE_ENUM,
    SF_RULE_MIN,
    SF_RULE_MAX,
    SF_RULE_MIN_LENGTH,
    SF_RULE_MAX_LENGTH,
    SF_RULE_PATTERN,
    SF_RULE_FORMAT,
    SF_RULE_MIN_ITEMS, /* these two are of a list: sf_field_check_items() */
    SF_RULE_MAX_ITEMS,
};

/* The first rule of @f that @v breaks. An absent value breaks at most SF_RULE_REQUIRED. */
enum sf_rule sf_field_check(const struct sf_field *f, const struct sf_value *v);
/* The same for a list of @count elements; its elements are checked by f->item. */
enum sf_rule sf_field_check_items(const struct sf_field *f, size_t count);
/* The number of proto/errors.h for a broken rule; 0 for SF_RULE_NONE. */
uint16_t sf_rule_number(enum sf_rule rule);
/* "min", "pattern", ...: the key of product.yaml; "" for SF_RULE_NONE. */
const char *sf_rule_name(enum sf_rule rule);

bool sf_format_matches(enum sf_format format, struct sf_slice text);
