/*
 * The bundle of one domain, signed by the hub: the grants in force on its products, the
 * keys of the domains that have them, and the platform's policies that may decide what others see.
 */
#pragma once

#include "common/base/buf.h"
#include "hub/registry/registry.h"

struct bundle_terms {
    const struct registry_domain *owner;
    uint64_t version;
    int64_t issued_us;
    int64_t expires_us;
};

/* Appends an encoded Signed (SIGN_BUNDLE) to @ret. SF_NOMEM; SF_CORRUPT: a policy cannot be read.
 */
enum sf_code bundle_make(struct registry *r, const struct bundle_terms *terms,
                         const struct sf_seed *hub_key, struct sf_buf *ret,
                         struct sf_error *err) SF_MUST_CHECK;
