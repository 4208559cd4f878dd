/*
 * May a new version of a product follow the one in force? Every difference, and whether it breaks
 * readers or writers of the same major version.
 *
 *   Order    Pure.
 */
#pragma once

#include "common/base/buf.h"
#include "common/contract/contract.h"

struct sf_change_note {
    const char *path;   /* "orders.amount", "orders" or "version" */
    const char *before; /* "decimal(12,2)", or "" when it is new */
    const char *after;  /* "string", or "" when it is gone */
    const char *what;   /* "type", "field removed", "required added" ... */
    bool breaking;
};

struct sf_compat {
    struct sf_arena arena; /* owns the notes */
    struct sf_change_note *notes;
    size_t count;
    size_t capacity;
    size_t breaking_count;
    bool failed; /* out of memory */
};

/*
 * Compares. SF_OK: @after may follow (another major may change anything). SF_CONFLICT: SHEAF-E0111
 * when the version is not higher, SHEAF-E0110 when something breaks within the major; the text
 * names the first, the notes have all. SF_NOMEM. In every case done with sf_compat_done().
 */
enum sf_code sf_compat_check(const struct sf_product *before, const struct sf_product *after,
                             struct sf_compat *ret, struct sf_error *err) SF_MUST_CHECK;
void sf_compat_done(struct sf_compat *c);
/* One line per note: "  ~ orders.amount  type decimal(12,2) -> string  BREAKING". */
void sf_compat_render(const struct sf_compat *c, struct sf_buf *out);
