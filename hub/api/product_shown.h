/*
 * Which products, and what of them, the catalog shows to whom (docs/adr/0057): the platform and the
 * owner all; another domain what it sees by its grant and the roles of its token, or would see with
 * a grant of all columns.
 *
 *   Threads   Loop thread.
 */
#pragma once

#include "hub/api/call.h"

/* Whether the catalog has that version for the caller: a draft is its owner's business, and so is
 * what was removed. The platform sees both. */
bool product_is_shown(const struct call *c, const struct registry_product *p,
                      const struct registry_version *v);

/*
 * Appends product.yaml: as it was applied, or of the caller's view, without tables of which it sees
 * nothing; nothing when it sees none. SF_NOMEM, SF_CORRUPT.
 */
enum sf_code product_shown_print(struct call *c, const struct registry_product *p,
                                 const struct registry_version *v, struct sf_buf *out,
                                 struct sf_error *err) SF_MUST_CHECK;
/*
 * Writes "seen_by" and "tables": each field with what who is named there sees of it and why, which
 * for who reads all is any other domain ("*"). A field that another domain may not see has name,
 * class and description. Codes of product_shown_print().
 */
enum sf_code product_shown_write(struct call *c, const struct registry_product *p,
                                 const struct registry_version *v, struct answer *a,
                                 struct sf_error *err) SF_MUST_CHECK;
