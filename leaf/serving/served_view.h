/*
 * A view: what some consumer sees of one table, compiled once and never changed.
 *
 * Three things stand between a stored row and whoever asks: filters, which decide by the row as it
 * is stored whether there is one at all; masks, which make the row that is seen; and the columns,
 * which are all that is rendered. A consumer's own conditions (where, select) come after them and
 * work on the masked row by the masked table, so that nothing hidden decides what comes out.
 *
 *   Threads   Made, taken and given back on the loop thread; read by any that holds a reference.
 *   Memory    Borrows the served_table, which lives as long as its product_set. Owns the rest.
 *   Errors    Closed: a row that a filter does not find true, and bytes that are no row, are hidden
 *             and counted.
 */
#pragma once

#include <stdatomic.h>

#include "common/expr/expr.h"
#include "common/identity/token.h"
#include "common/mask/mask.h"
#include "common/policy/policy.h"
#include "common/sys/hash_prepared.h"
#include "leaf/serving/product_set.h"

/* Rows that views have left out, of all of them together; counted on any thread. */
struct served_counts {
    _Atomic uint64_t hidden;   /* by a filter that was false */
    _Atomic uint64_t nulls;    /* ... null */
    _Atomic uint64_t errors;   /* ... an error, or the bytes were no row */
    _Atomic uint64_t unmasked; /* values that had no masked form and are null */
};

/* Roles of who asks, ascending, each once. */
struct served_roles {
    size_t count;
    struct sf_token_role items[SF_TOKEN_ROLES_MAX];
};

/* Where it belongs, unless it is there already. There is room for one. */
void served_roles_add(struct served_roles *roles, const struct sf_token_role *role);

struct served_view {
    unsigned refs;
    uint64_t serial; /* never given twice in a process: what was rendered of a row under it is what
                        it would be rendered as again */
    const struct served_table *table; /* as it is stored */
    const struct sf_table *seen;      /* as it is seen: fields, types and key */
    struct row_view *columns;         /* owned: all that is seen */
    char name[SERVING_VIEW_NAME];     /* Sheaf-View: equal names, equal bytes */
    struct sf_policy_view *decision;  /* owned; NULL: the owner, who sees all */
    struct sf_mask_program *masks;    /* owned; NULL: what is seen is seen as it is stored */
    struct sf_mask_hasher hasher;
    uint8_t hash_key[SF_HASH_KEY_SIZE];
    struct sf_hash_prepared hash_ready; /* under that key; the hasher's context */
    struct sf_expr_caller caller; /* who asks, for filters; in the arena; with the first role */
    struct served_roles roles;    /* of who asks, those that policies ask for */
    bool key_is_masked;           /* of a part of the key that is seen */
    struct served_counts *counts; /* borrowed, or NULL */
    struct sf_arena arena;
};

/* Of whom a view is. Borrowed while it is made. */
struct served_view_spec {
    const struct served_table *table;
    uint64_t serial;                 /* view_cache_serial() */
    struct sf_policy_view *decision; /* taken over, also when this fails; NULL: the owner */
    const char *domain;              /* of who asks */
    const char *purpose;             /* or NULL */
    const struct served_roles *roles;
    const uint8_t *hash_key; /* of the domain that asks: SF_HASH_KEY_SIZE bytes; may be NULL when
                                nothing is hashed */
    struct served_counts *counts;
};

/* With one reference. SF_NOMEM. SF_DENIED E0416: the decision denies the table. */
enum sf_code served_view_new(const struct served_view_spec *spec, struct served_view **ret,
                             struct sf_error *err) SF_MUST_CHECK;
struct served_view *served_view_ref(struct served_view *v);
void served_view_unref(struct served_view *v); /* NULL is fine */
SF_DEFINE_CLEANUP(struct served_view, served_view_unref)

/* Whether rows are seen as they are stored, all of them; fields may be left out. */
static inline bool served_view_is_plain(const struct served_view *v)
{
    return v->masks == NULL && (v->decision == NULL || v->decision->filter_count == 0);
}
/* Whether consumers with the same columns may get another view than this. */
static inline bool served_view_parts(const struct served_view *v)
{
    return v->decision != NULL && v->decision->parts;
}
/* Whether there may be rows that are not seen. */
static inline bool served_view_has_filter(const struct served_view *v)
{
    return v->decision != NULL && v->decision->filter_count > 0;
}
/* Whether the first @parts fields of the key are seen as they are stored, so that rows can be
 * looked up by them: what is found at a key tells its value as well as showing it would. */
bool served_view_shows_key(const struct served_view *v, size_t parts);
/* Whether the field of the stored table is seen as it is stored. */
bool served_view_shows_field(const struct served_view *v, size_t field);

/* Whether whatever @v shows, @now, of a newer version of the table, shows alike: fields it has not
 * may have come, and nothing is hidden that was not. */
bool served_view_is_within(const struct served_view *v, const struct served_view *now);

/*
 * The columns of the view that are named, for rows of it. What is not seen is no field: SF_INVALID
 * E0304, as for any name that is none. SF_NOMEM. *@name is the name of the narrowed view.
 */
enum sf_code served_view_select(const struct served_view *v, const struct sf_slice *names,
                                size_t count, struct row_view **ret, char name[SERVING_VIEW_NAME],
                                struct sf_error *err) SF_MUST_CHECK;

/*
 * What is seen of a stored row: *@shown says whether it is there at all, and @ret then is the row
 * to render with columns of the view; it lies in @row or in @scratch, whose contents are replaced.
 * SF_NOMEM.
 */
enum sf_code served_view_row(const struct served_view *v, struct sf_slice row,
                             struct sf_buf *scratch, bool *shown, struct sf_slice *ret,
                             struct sf_error *err) SF_MUST_CHECK;
/* Whether the filters let the stored row through. One that asks for caller.role does when it is
 * true for one of the roles. */
bool served_view_admits(const struct served_view *v, struct sf_slice row);

/*
 * Appends the key as it is seen, {"order_id":"O-1"}: of its fields those in @columns, masked as
 * they are in rows. SF_CORRUPT, SF_NOMEM.
 */
enum sf_code served_view_key_json(const struct served_view *v, const struct row_view *columns,
                                  struct sf_slice key, struct sf_buf *out,
                                  struct sf_error *err) SF_MUST_CHECK;
