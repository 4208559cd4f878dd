/*
 * May a new version of a product follow the ones in force? Every difference, in which direction it
 * breaks, and whether the compatibility mode of the new version refuses it.
 *
 * Modes have the names and meanings of Confluent's schema registry: BACKWARD protects what was
 * written (and who still writes) under the old contract, FORWARD who reads with it, FULL both;
 * without TRANSITIVE only the version before counts. One lane keeps the rows of all versions of a
 * major, so what would make stored rows unreadable is refused in every mode.
 *
 *   Order    Pure.
 */
#pragma once

#include "common/base/buf.h"
#include "common/contract/contract.h"

/* Flags. */
enum sf_breaks {
    SF_BREAKS_BACKWARD = 1, /* rows and producers of the old contract do not fit the new one */
    SF_BREAKS_FORWARD = 2,  /* consumers of the old contract cannot rely on it any more */
    SF_BREAKS_STORAGE = 4,  /* stored rows would be read as something else */
};

struct sf_change_note {
    const char *path;    /* "orders.amount", "orders" or "version" */
    const char *before;  /* "decimal(12,2)", or "" when it is new */
    const char *after;   /* "string", or "" when it is gone */
    const char *what;    /* "type", "field removed", "required added" ... */
    const char *against; /* the older version it breaks with; "": the newest */
    unsigned breaks;     /* enum sf_breaks; 0: nothing */
    bool breaking;       /* the mode refuses it */
};

struct sf_compat {
    struct sf_arena arena; /* owns the notes */
    struct sf_change_note *notes;
    size_t count;
    size_t capacity;
    size_t breaking_count;
    bool failed;         /* out of memory */
    unsigned refused;    /* private */
    const char *against; /* private */
    bool same_major;     /* private */
};

/*
 * Compares @after with @count >= 1 versions of one major, oldest first; the last is the one in
 * force. SF_OK: @after may follow (another major may change anything). SF_CONFLICT: SHEAF-E0111
 * when the version is not higher, SHEAF-E0110 when something breaks within the major; the text
 * names the first, the notes have all. SF_NOMEM. In every case done with sf_compat_done().
 */
enum sf_code sf_compat_check(const struct sf_product *const *before, size_t count,
                             const struct sf_product *after, struct sf_compat *ret,
                             struct sf_error *err) SF_MUST_CHECK;
void sf_compat_done(struct sf_compat *c);
/* What stands between before and after: nothing where there is only one of them. */
const char *sf_change_arrow(const struct sf_change_note *n);
/* One line per note: "  ~ orders.amount  type decimal(12,2) -> string  BREAKING". */
void sf_compat_render(const struct sf_compat *c, struct sf_buf *out);
