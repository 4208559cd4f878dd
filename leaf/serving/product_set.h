/*
 * The products that this leaf serves: every contract it ever accepted, the newest version of each
 * major, and the lane of each of their tables.
 *
 * A row keeps the id of the contract it was written under; a major only ever gains optional fields,
 * so its newest version reads the rows of all its versions.
 *
 *   Threads   Loop thread. A struct served_table is immutable but for its lane's head, and lives
 *             until product_set_free(): work on other threads may read it.
 *   Memory    The set owns contracts; lanes are the store's. A superseded version stays in memory,
 *             as readers may still use it: PRODUCT_VERSIONS_MAX bounds them.
 */
#pragma once

#include "common/base/map.h"
#include "common/contract/contract.h"
#include "leaf/rowcodec/view.h"
#include "leaf/store/store.h"

enum {
    PRODUCT_VERSIONS_MAX = 4096,
    SERVING_VIEW_NAME = 27,
};

struct served_product;
struct served_view;
struct view_cache;

struct served_table {
    const struct served_product *product;
    const struct sf_table *contract;
    struct store_lane *lane;
    struct served_view *whole; /* owned: all fields, what the table's owner sees */
};

struct served_product {
    struct sf_product *contract; /* owned */
    uint32_t contract_id;
    struct sf_slice yaml;           /* as it was applied; in the contract's arena */
    struct sf_policy_set *policies; /* owned: those of its owner; NULL: none */
    bool closed; /* its policies cannot be read: other domains get nothing of it */
    struct served_table *tables;
    size_t table_count;
    char version[36];                    /* M.N.P */
    bool superseded;                     /* a newer version of the same major stands */
    struct served_product *next_of_name; /* the next version of a product of this name */
};

/* A major that was taken out of the mesh: nothing finds it any more. Its rows stay until purge_us,
 * and so long it can be brought back. */
struct product_removal {
    char product[64];
    uint32_t major;
    int64_t purge_us;
    bool purging; /* has begun since the leaf was started: no way back */
    bool purged;  /* the rows are gone; the record stays, so that the major is not used again */
};

struct product_set {
    char *domain;                     /* owned */
    struct store *store;              /* borrowed */
    struct served_product **versions; /* ascending contract ids */
    size_t version_count;
    struct sf_map by_name; /* the first version of each name */
    uint32_t contract_id_highest;
    struct product_removal *removals; /* in no order */
    size_t removal_count;
    size_t removal_room;
    struct view_cache *views; /* owned: what other domains see of them */
};

/* SF_NOMEM. */
enum sf_code product_set_init(struct product_set *set, const char *domain, struct store *store,
                              struct sf_error *err) SF_MUST_CHECK;
void product_set_done(struct product_set *set);

/*
 * Takes up the contract stored under @contract_id; called in ascending order when the leaf starts,
 * and for a new one once it is durable. SF_INVALID: no product of this domain. SF_BUSY: too many.
 * SF_CONFLICT: a table changed its kind. SF_NOMEM.
 */
enum sf_code product_set_add(struct product_set *set, uint32_t contract_id, struct sf_slice yaml,
                             struct sf_error *err) SF_MUST_CHECK;
/* The key under which the contract of this id lies in STORE_META. */
enum { PRODUCT_KEY_BYTES = 13 };
void product_set_key(uint32_t contract_id, uint8_t ret[PRODUCT_KEY_BYTES]);
#define PRODUCT_KEY_PREFIX "contract/"

/* The newest version of @major, or of the highest major that is active when @major is 0; or NULL.
 * @name without the domain. */
const struct served_product *product_set_find(const struct product_set *set, const char *name,
                                              uint32_t major);
/* The table, or the only one when @name is NULL or empty; NULL when there is none such. */
const struct served_table *served_product_table(const struct served_product *p, const char *name);
/* Newest versions in order of their ids: *at starts at 0 and is moved on; NULL at the end. */
const struct served_product *product_set_next(const struct product_set *set, size_t *at);

/* --- removal ---------------------------------------------------------------------------------- */

/* Key and value of a removal in STORE_META. */
enum { PRODUCT_REMOVAL_KEY_MAX = 96, PRODUCT_REMOVAL_VALUE_BYTES = 9 };
#define PRODUCT_REMOVAL_PREFIX "removed/"
size_t product_removal_key(const char *product, uint32_t major,
                           uint8_t ret[PRODUCT_REMOVAL_KEY_MAX]);
void product_removal_value(int64_t purge_us, bool purged, uint8_t ret[PRODUCT_REMOVAL_VALUE_BYTES]);
/* SF_CORRUPT E0605: not what these two write. */
enum sf_code product_removal_read(struct sf_slice key, struct sf_slice value,
                                  struct product_removal *ret, struct sf_error *err) SF_MUST_CHECK;

/* So that the next product_set_remove() needs no memory. SF_NOMEM. */
enum sf_code product_set_make_room(struct product_set *set, struct sf_error *err) SF_MUST_CHECK;
/* Hides the major from every lookup above, or changes its record. SF_NOMEM. */
enum sf_code product_set_remove(struct product_set *set, const struct product_removal *removal,
                                struct sf_error *err) SF_MUST_CHECK;
/* Shows it again. */
void product_set_restore(struct product_set *set, const char *product, uint32_t major);
/* The removal of the major, or NULL; valid until the next change of the set. */
const struct product_removal *product_set_removal(const struct product_set *set,
                                                  const char *product, uint32_t major);
