/*
 * Removed majors whose time has come: what the retainer has emptied is cleaned up and noted.
 *
 *   WAITING --a round has emptied all tables of a major--> FORGETTING --of each table--> NOTING
 *      ^                                                       |                           |
 *      +------------------------- failed: after the next round +---------------------------+
 *
 * Until it is noted all of it is done again, so a crash at any moment leaves nothing behind.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "leaf/leaf_private.h"
#include "leaf/store/upkeep.h"

/*
 * From the time of the purge to its beginning. The hub grants a restoral up to that time by its own
 * clock, and its answer takes a while: what it granted last must not find its rows gone.
 */
#define PURGE_AFTER_US (60 * SF_US_PER_S)

/* Small values of a lane: their keys begin with one of these and its id. */
static const char *const lane_values[] = {"cursor/", "stats/", "quality/"};

enum { VALUE_KEY_BYTES = 16 };

struct purge {
    struct leaf *leaf;
    bool busy;
    struct product_removal removal;
    size_t lane_at; /* FORGETTING: the next to look at */
    struct sf_slice keys[SF_COUNT(lane_values)];
    uint8_t key_bytes[SF_COUNT(lane_values)][VALUE_KEY_BYTES];
    struct store_upkeep upkeep;
    uint8_t key[PRODUCT_REMOVAL_KEY_MAX];
    uint8_t value[PRODUCT_REMOVAL_VALUE_BYTES];
    struct store_put put;
    struct store_write write;
};

/* --- which ------------------------------------------------------------------------------------ */

bool leaf_purge_is_due(const struct leaf *leaf, const struct product_removal *removal)
{
    return removal->purging || sf_rt_wall_us(leaf->rt) >= removal->purge_us + PURGE_AFTER_US;
}

/* The lane of another major, or of one that is served, is none of the removal's. */
static bool is_of(const struct leaf *leaf, const struct product_removal *removal,
                  const struct store_lane *lane)
{
    const struct store_lane_name *name = store_lane_name(lane);
    const size_t n = strlen(leaf->config->domain);

    return name->major == removal->major && strncmp(name->product, leaf->config->domain, n) == 0 &&
           name->product[n] == '/' && strcmp(name->product + n + 1, removal->product) == 0;
}

bool leaf_purge_wants(struct leaf *leaf, const struct store_lane *lane)
{
    for (size_t i = 0; i < leaf->serving.products.removal_count; i++) {
        struct product_removal *removal = &leaf->serving.products.removals[i];

        if (!removal->purged && is_of(leaf, removal, lane) && leaf_purge_is_due(leaf, removal) &&
            !leaf_life_is_about(leaf, removal)) {
            removal->purging = true;
            return true;
        }
    }
    return false;
}

static bool is_empty(const struct leaf *leaf, const struct product_removal *removal)
{
    const struct store_lane *lane;

    for (size_t i = 0; (lane = store_lane_at(leaf->store, i)) != NULL; i++) {
        if (is_of(leaf, removal, lane) && !retain_is_purged(lane)) {
            return false;
        }
    }
    return true;
}

/* --- noting ----------------------------------------------------------------------------------- */

static void end_purge(struct purge *p, const struct sf_error *err)
{
    p->busy = false;
    if (err != NULL) {
        sf_log(SF_LOG_WARN, "leaf.purge_failed", SF_F_TEXT("product", p->removal.product),
               SF_F_UINT("major", p->removal.major), SF_F_ERROR(err));
        return;
    }
    sf_log(SF_LOG_INFO, "leaf.product_purged", SF_F_TEXT("product", p->removal.product),
           SF_F_UINT("major", p->removal.major));
    leaf_purge_round(p->leaf);
}

static void on_noted(struct store_write *w, const struct sf_error *err)
{
    struct purge *p = w->data;
    struct sf_error failed;

    p->removal.purged = true;
    if (err == NULL &&
        product_set_remove(&p->leaf->serving.products, &p->removal, &failed) != SF_OK) {
        err = &failed;
    }
    end_purge(p, err);
}

static enum sf_code note(struct purge *p, struct sf_error *err)
{
    const struct product_removal *r = &p->removal;

    product_removal_value(r->purge_us, /* purged= */ true, p->value);
    p->put = (struct store_put){
        .space = STORE_META,
        .key = sf_slice_of(p->key, product_removal_key(r->product, r->major, p->key)),
        .value = sf_slice_of(p->value, sizeof(p->value)),
    };
    p->write = (struct store_write){.data = p, .puts = &p->put, .put_count = 1};
    return store_submit(p->leaf->store, &p->write, on_noted, err);
}

/* --- forgetting ------------------------------------------------------------------------------- */

static void purge_step(struct purge *p);

static void on_forgotten(struct store_upkeep *u, const struct sf_error *err)
{
    struct purge *p = u->data;

    if (err != NULL) {
        end_purge(p, err);
    } else {
        purge_step(p);
    }
}

static enum sf_code forget(struct purge *p, const struct store_lane *lane, struct sf_error *err)
{
    const uint32_t id = store_lane_id(lane);

    for (size_t i = 0; i < SF_COUNT(lane_values); i++) {
        const size_t n = strlen(lane_values[i]);

        sf_assert(n + 4 <= VALUE_KEY_BYTES);
        memcpy(p->key_bytes[i], lane_values[i], n);
        for (size_t b = 0; b < 4; b++) {
            p->key_bytes[i][n + b] = (uint8_t)(id >> (24 - 8 * b));
        }
        p->keys[i] = sf_slice_of(p->key_bytes[i], n + 4);
    }
    p->upkeep = (struct store_upkeep){
        .kind = UPKEEP_FORGET,
        .keys = p->keys,
        .key_count = SF_COUNT(lane_values),
        .done = on_forgotten,
        .data = p,
    };
    return upkeep_submit(p->leaf->store, &p->upkeep, err);
}

static void purge_step(struct purge *p)
{
    const struct store_lane *lane;
    struct sf_error err;
    enum sf_code code;

    do {
        lane = store_lane_at(p->leaf->store, p->lane_at++);
    } while (lane != NULL && !is_of(p->leaf, &p->removal, lane));
    code = lane != NULL ? forget(p, lane, &err) : note(p, &err);
    if (code != SF_OK) {
        end_purge(p, &err);
    }
}

void leaf_purge_round(struct leaf *leaf)
{
    struct purge *p = leaf->purge;

    for (size_t i = 0; !p->busy && i < leaf->serving.products.removal_count; i++) {
        const struct product_removal *removal = &leaf->serving.products.removals[i];

        if (removal->purging && !removal->purged && is_empty(leaf, removal)) {
            p->removal = *removal;
            p->lane_at = 0;
            p->busy = true;
            purge_step(p);
        }
    }
}

bool leaf_purge_is_busy(const struct leaf *leaf)
{
    return leaf->purge != NULL && leaf->purge->busy;
}

enum sf_code leaf_purge_new(struct leaf *leaf, struct sf_error *err)
{
    leaf->purge = sf_calloc(1, sizeof(*leaf->purge));
    if (leaf->purge == NULL) {
        return SF_RAISE(err, SF_NOMEM, "purge");
    }
    leaf->purge->leaf = leaf;
    return SF_OK;
}

void leaf_purge_free(struct leaf *leaf)
{
    sf_assert(!leaf_purge_is_busy(leaf));
    sf_free(leaf->purge);
    leaf->purge = NULL;
}
