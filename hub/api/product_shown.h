/*
 * Which products, and what of them, the hub shows to whom (docs/adr/0057).
 *
 *   Threads   Loop thread.
 */
#pragma once

#include "hub/api/call.h"

/* Whether the catalog has that version for the caller: a draft is its owner's business, and so is
 * what was removed. The platform sees both. */
bool product_is_shown(const struct call *c, const struct registry_product *p,
                      const struct registry_version *v);
