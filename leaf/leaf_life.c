/* The end of a product's major, and the way back: DELETE /v1/products/D/P@MAJOR and POST
 * .../restore.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/time.h"
#include "leaf/leaf_private.h"
#include "leaf/serving/http_answer.h"
#include "leaf/store/read.h"
#include "proto/errors.h"

/* How long a removed major can be brought back when neither its contract nor the caller says. */
#define KEEP_DEFAULT_US (30 * SF_US_PER_DAY)

enum { REASON_MAX = 1000 };

/*
 *            hub agrees                durable
 *   ASKING ------------> STORING ------------> answered, and hidden or shown
 *      |                     |
 *      +--- refused, away ---+--- store failed --> answered with a problem
 *
 * The hub's word comes first: a leaf that dies in between is asked again, and the hub says yes
 * again.
 */
struct life {
    struct leaf *leaf;
    struct sf_http_request *request; /* NULL once the client has left */
    struct product_removal removal;
    bool restore;
    bool storing;
    char reason[REASON_MAX + 1];
    uint8_t key[PRODUCT_REMOVAL_KEY_MAX];
    uint8_t value[PRODUCT_REMOVAL_VALUE_BYTES];
    struct store_put put;
    struct store_write write;
};

/* --- loading ---------------------------------------------------------------------------------- */

enum sf_code leaf_removals_load(struct leaf *leaf, struct sf_error *err)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_small_freep) struct store_small *it = NULL;
    struct product_removal removal;
    struct sf_slice key;
    struct sf_slice value;
    bool more = true;
    enum sf_code code = store_snapshot_new(leaf->store, &snapshot, err);

    if (code == SF_OK) {
        code =
            store_small_new(snapshot, STORE_META, sf_slice_text(PRODUCT_REMOVAL_PREFIX), &it, err);
    }
    while (code == SF_OK) {
        code = store_small_next(it, &key, &value, NULL, &more, err);
        if (code != SF_OK || !more) {
            break;
        }
        code = product_removal_read(key, value, &removal, err);
        if (code == SF_OK) {
            code = product_set_remove(&leaf->serving.products, &removal, err);
        }
    }
    return code;
}

/* --- answering -------------------------------------------------------------------------------- */

static void life_free(struct life *l)
{
    if (l->leaf->life == l) {
        l->leaf->life = NULL;
    }
    sf_free(l);
}

static void answer_problem(struct life *l, const struct sf_error *err)
{
    if (l->request != NULL) {
        http_problem(l->request, err);
    }
    life_free(l);
}

static void answer_changed(struct life *l)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    struct sf_json_writer w = {.out = &body};
    char text[SF_TIME_TEXT_SIZE];

    sf_json_object_begin(&w);
    sf_json_member_text(&w, "apiVersion", "sheaf/v1");
    sf_json_member_text(&w, "kind", l->restore ? "Restored" : "Removed");
    sf_json_key(&w, "product");
    sf_json_printf(&w, "%s/%s", l->leaf->config->domain, l->removal.product);
    sf_json_member_uint(&w, "major", l->removal.major);
    if (!l->restore) {
        (void)sf_time_format(l->removal.purge_us, text);
        sf_json_member_text(&w, "purge", text);
    }
    sf_json_object_end(&w);
    if (l->request != NULL) {
        http_json(l->request, 200, &body);
    }
    life_free(l);
}

/* --- storing ---------------------------------------------------------------------------------- */

static void life_stored(struct store_write *w, const struct sf_error *err)
{
    struct life *l = w->data;
    struct leaf *leaf = l->leaf;
    struct sf_error failed;

    if (err != NULL) {
        answer_problem(l, err);
        return;
    }
    if (l->restore) {
        product_set_restore(&leaf->serving.products, l->removal.product, l->removal.major);
    } else if (product_set_remove(&leaf->serving.products, &l->removal, &failed) != SF_OK) {
        answer_problem(l, &failed);
        return;
    }
    if (l->restore) {
        sf_log(SF_LOG_INFO, "leaf.product_restored", SF_F_TEXT("product", l->removal.product),
               SF_F_UINT("major", l->removal.major));
    } else {
        sf_log(SF_LOG_INFO, "leaf.product_removed", SF_F_TEXT("product", l->removal.product),
               SF_F_UINT("major", l->removal.major));
    }
    leaf_serving_changed(leaf);
    leaf_retain_changed(leaf);
    answer_changed(l);
}

static void hub_agreed(void *data, const Sheaf__V1__LifeReply *reply, const struct sf_error *err)
{
    struct life *l = data;
    const struct product_removal *stands =
        product_set_removal(&l->leaf->serving.products, l->removal.product, l->removal.major);
    struct sf_error failed;

    if (err != NULL) {
        answer_problem(l, err);
        return;
    }
    if (stands != NULL) { /* Removed once more: what has gone stays gone. */
        l->removal = *stands;
    }
    l->removal.purge_us = reply->purge_us;
    product_removal_value(reply->purge_us, l->removal.purged, l->value);
    l->put = (struct store_put){
        .space = STORE_META,
        .remove = l->restore,
        .key =
            sf_slice_of(l->key, product_removal_key(l->removal.product, l->removal.major, l->key)),
        .value = l->restore ? sf_slice_text(NULL) : sf_slice_of(l->value, sizeof(l->value)),
    };
    l->write = (struct store_write){.data = l, .puts = &l->put, .put_count = 1};
    /* What is stored must be hidden too. */
    if (product_set_make_room(&l->leaf->serving.products, &failed) != SF_OK ||
        store_submit(l->leaf->store, &l->write, life_stored, &failed) != SF_OK) {
        answer_problem(l, &failed);
        return;
    }
    l->storing = true;
}

bool leaf_life_is_about(const struct leaf *leaf, const struct product_removal *removal)
{
    return leaf->life != NULL && leaf->life->removal.major == removal->major &&
           strcmp(leaf->life->removal.product, removal->product) == 0;
}

void leaf_life_cancel(struct leaf *leaf)
{
    if (leaf->life != NULL && !leaf->life->storing) {
        life_free(leaf->life);
    }
}

/* --- starting --------------------------------------------------------------------------------- */

static void on_abort(struct sf_http_request *r, void *data)
{
    struct life *l = data;

    (void)r;
    l->request = NULL; /* It goes on: the hub may have taken it up. */
}

/* keep and reason of a removal. */
static enum sf_code read_removal(struct life *l, const struct served_product *p,
                                 int64_t *ret_keep_us, struct sf_error *err)
{
    const char *keep = sf_http_query(l->request, "keep");
    const char *reason = sf_http_query(l->request, "reason");

    *ret_keep_us = p != NULL && p->contract->slo_retention_us > 0 ? p->contract->slo_retention_us
                                                                  : KEEP_DEFAULT_US;
    if (keep != NULL && strcmp(keep, "0") == 0) {
        *ret_keep_us = 0;
    } else if (keep != NULL && sf_parse_duration(sf_slice_text(keep), ret_keep_us) != SF_PARSE_OK) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "keep must be a span of time: 30d, 12h, or 0");
    }
    if (reason != NULL && strlen(reason) > REASON_MAX) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "reason has more than %d bytes",
                          REASON_MAX);
    }
    (void)snprintf(l->reason, sizeof(l->reason), "%s", reason == NULL ? "" : reason);
    return SF_OK;
}

static enum sf_code check_leaf(const struct leaf *leaf, const struct product_removal *removal,
                               bool restore, struct sf_error *err)
{
    const struct product_removal *stands =
        product_set_removal(&leaf->serving.products, removal->product, removal->major);

    if (leaf->uplink == NULL) {
        return SF_RAISE_E(err, SF_UNAVAILABLE, SHEAF_E_HUB_UNREACHABLE,
                          "this leaf has not joined a mesh");
    }
    if (removal->major == 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "say which major version: %s/%s@1",
                          leaf->config->domain, removal->product);
    }
    if (restore && stands != NULL && (stands->purged || leaf_purge_is_due(leaf, stands))) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_PRODUCT_REMOVED,
                          "the rows of %s/%s@%u are gone for good", leaf->config->domain,
                          removal->product, removal->major);
    }
    return SF_OK;
}

void leaf_life_http(struct leaf *leaf, struct sf_http_request *r,
                    const struct leaf_life_order *order)
{
    struct life *l = leaf->life == NULL ? sf_calloc(1, sizeof(*l)) : NULL;
    int64_t keep_us = 0;
    struct sf_error err;
    enum sf_code code;

    if (l == NULL) {
        (void)SF_RAISE_E(&err, SF_BUSY, SHEAF_E_BUSY, "another product is being changed");
        http_problem(r, &err);
        return;
    }
    l->leaf = leaf;
    l->request = r;
    l->restore = order->restore;
    l->removal.major = order->major;
    (void)snprintf(l->removal.product, sizeof(l->removal.product), "%s", order->product);
    leaf->life = l;
    code = check_leaf(leaf, &l->removal, l->restore, &err);
    if (code == SF_OK && !l->restore) {
        code =
            read_removal(l, product_set_find(&leaf->serving.products, order->product, order->major),
                         &keep_us, &err);
    }
    if (code == SF_OK) {
        const struct uplink_life what = {
            .product = l->removal.product,
            .major = order->major,
            .restore = l->restore,
            .keep_us = keep_us,
            .reason = l->reason,
            .changed_by = order->user,
        };

        sf_http_set_hooks(r, &(struct sf_http_hooks){.on_abort = on_abort, .data = l});
        code = uplink_change_life(leaf->uplink, &what, hub_agreed, l, &err);
    }
    if (code != SF_OK) {
        sf_http_set_hooks(r, &(struct sf_http_hooks){0});
        answer_problem(l, &err);
    }
}
