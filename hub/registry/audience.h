/*
 * The audiences of a grant: opaque names under which its owner publishes what it may see.
 *
 * A grant has two, and the consumer's account imports both under one local name. The shared one is
 * that of all grants of the product's major with the same columns: its owner sends one message for
 * all of them, as long as policies cannot tell them apart. The sole one is of the consumer and the
 * purpose too. The owner's leaf, which has the policies, decides which of the two it feeds, so that
 * a change of policies moves nobody's imports (docs/adr/0054-a-grant-has-two-audiences.md).
 *
 * "a" and 12 lower-case base32 letters of BLAKE2b; it tells nothing to those who see the subject.
 */
#pragma once

#include "hub/registry/registry.h"

struct audience_of {
    const char *mesh;
    const char *owner;
    const char *product;
    uint32_t major;
    const char *const *columns; /* any order, none twice */
    size_t column_count;
    const char *consumer; /* domain; NULL: the shared name */
    const char *purpose;  /* of the sole one */
};

/* SF_NOMEM. */
enum sf_code audience_name(const struct audience_of *a, char ret[REGISTRY_AUDIENCE_MAX],
                           struct sf_error *err) SF_MUST_CHECK;
