/*
 * The audience of a grant: the opaque name under which its owner publishes what it may see.
 *
 * "a" and 12 lower-case base32 letters of BLAKE2b over mesh, owner, product, major and the sorted
 * columns. Grants with equal rights share it, so the owner sends one message for all of them; it
 * tells nothing to those who see the subject.
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
};

/* SF_NOMEM. */
enum sf_code audience_name(const struct audience_of *a, char ret[REGISTRY_AUDIENCE_MAX],
                           struct sf_error *err) SF_MUST_CHECK;
