/*
 * Products of a whole leaf leave the mesh and come back while memory runs out and the disk fails.
 * The hub is a process of this test, which says yes to everything. Whatever fails behind that yes:
 * what is stored is what is shown, and the same order succeeds when it is given again.
 */
#include "tests/lib/cmocka.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/base/time.h"
#include "common/bus/service.h"
#include "common/sys/process.h"
#include "leaf/store/kv.h"
#include "leaf/store/read.h"
#include "proto/subjects.h"
#include "tests/integration/leaf_inside.h"
#include "tests/lib/proc.h"
#include "tests/lib/test_loop.h"

#define REMOVE  "/v1/products/sales/orders@1"
#define RESTORE "/v1/products/sales/orders@1/restore"

static const char product[] = "sheaf: product/v1\n"
                              "product: sales/orders\n"
                              "version: 1.0.0\n"
                              "status: active\n"
                              "owner: team-sales\n"
                              "description: Orders.\n"
                              "tables:\n"
                              "  orders:\n"
                              "    kind: state\n"
                              "    key: [order_id]\n"
                              "    fields:\n"
                              "      order_id: {number: 1, type: string, required: true}\n";

/* --- the hub, a process of its own: the faults are none of its --- */

struct hub {
    struct test_loop loop;
    struct sf_bus *bus;
    struct sf_bus_sub sub;
    struct sf_timer hold; /* of the poll */
    char poll_reply[SUBJECT_MAX];
};

static void reply(struct hub *h, const char *subject, const uint8_t *bytes, size_t size)
{
    (void)!sf_service_reply(h->bus, subject, "application/x-protobuf", sf_slice_of(bytes, size),
                            NULL);
}

static void poll_held(struct sf_timer *t)
{
    struct hub *h = SF_CONTAINER_OF(t, struct hub, hold);

    reply(h, h->poll_reply, NULL, 0); /* nothing newer */
}

static void on_request(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct hub *h = sub->data;
    Sheaf__V1__ApplyReply applied = SHEAF__V1__APPLY_REPLY__INIT;
    Sheaf__V1__LifeReply lives = SHEAF__V1__LIFE_REPLY__INIT;
    uint8_t bytes[64];

    if (strcmp(m->subject, "mesh.poll") == 0) {
        (void)snprintf(h->poll_reply, sizeof(h->poll_reply), "%s", m->reply);
        sf_rt_timer_start(h->loop.rt, &h->hold, SF_NS_PER_S);
    } else if (strcmp(m->subject, "mesh.product.apply") == 0) {
        applied.accepted = true;
        applied.changed = true;
        reply(h, m->reply, bytes, sheaf__v1__apply_reply__pack(&applied, bytes));
    } else if (strcmp(m->subject, "mesh.product.life") == 0) {
        lives.changed = true;
        lives.purge_us = sf_rt_wall_us(h->loop.rt) + SF_US_PER_DAY;
        reply(h, m->reply, bytes, sheaf__v1__life_reply__pack(&lives, bytes));
    }
}

static bool never(void *data)
{
    (void)data;
    return false;
}

/* Until it is killed. */
static void be_the_hub(const struct leaf_inside *l)
{
    static struct hub h;
    struct identity id;
    char subject[SUBJECT_MAX];
    char url[64];
    const char *urls[] = {url};

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)snprintf(url, sizeof(url), "nats://127.0.0.1:%u", l->nats_port);
    assert_int_equal(identity_open(l->tmp.path, "sales", &id, NULL), SF_OK);
    test_loop_init(&h.loop);
    h.hold.fire = poll_held;
    h.sub = (struct sf_bus_sub){.on_msg = on_request, .data = &h};
    const struct sf_bus_nats_options options = {
        .urls = urls,
        .url_count = 1,
        .name = "hub",
        .user = &id.keys.process_serve,
        .nkey = id.keys.process_serve_user,
    };

    assert_int_equal(sf_bus_nats_open(h.loop.rt, &options, &h.bus, NULL), SF_OK);
    subject_control_local(subject);
    assert_int_equal(sf_bus_subscribe(h.bus, &h.sub, subject, NULL, NULL), SF_OK);
    for (;;) {
        (void)test_loop_wait(&h.loop, never, NULL, 60000);
    }
}

/* --- the disk --- */

static atomic_int writes_left = -1; /* until one fails; -1: none does */
static const struct kv_ops *rocks;

static bool write_fails(void)
{
    return atomic_load(&writes_left) >= 0 && atomic_fetch_sub(&writes_left, 1) == 0;
}

static enum sf_code failing_write(struct kv *kv, struct kv_batch *b, enum kv_durability d,
                                  struct sf_error *err)
{
    return write_fails() ? SF_RAISE_E(err, SF_IO, SHEAF_E_STORE_FAILED, "bad disk")
                         : rocks->write(kv, b, d, err);
}

static enum sf_code failing_write_both(struct kv *kv, struct kv_batch *b, enum kv_durability d,
                                       struct kv_batch *after, struct kv_pending *p, bool *pending,
                                       struct sf_error *err)
{
    return write_fails() ? SF_RAISE_E(err, SF_IO, SHEAF_E_STORE_FAILED, "bad disk")
                         : rocks->write_both(kv, b, d, after, p, pending, err);
}

static void start_leaf(struct leaf_inside *l)
{
    static struct kv_ops ops;

    leaf_inside_open(l);
    rocks = l->leaf->kv->ops;
    ops = *rocks;
    ops.write = failing_write;
    ops.write_both = failing_write_both;
    l->leaf->kv->ops = &ops;
    leaf_inside_run(l);
}

/* --- what stands --- */

struct major {
    uint32_t number;
    bool is_removed;
};

/* Loop of the leaf. Holds once nothing is under way, and fails when the leaf shows something else
 * than it will after the next start. */
static bool is_settled(struct leaf *leaf, void *data)
{
    struct major *m = data;
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(sf_buf_done) struct sf_buf value = {0};
    uint8_t key[PRODUCT_REMOVAL_KEY_MAX];
    const size_t key_size = product_removal_key("orders", m->number, key);

    if (leaf->life != NULL) {
        return false;
    }
    sf_assert(store_snapshot_new(leaf->store, &snapshot, NULL) == SF_OK);
    sf_assert(store_small_get(snapshot, STORE_META, sf_slice_of(key, key_size), &value, NULL,
                              &m->is_removed, NULL) == SF_OK);
    sf_assert(m->is_removed ==
              (product_set_removal(&leaf->serving.products, "orders", m->number) != NULL));
    return true;
}

static bool is_removed(struct leaf_inside *l, uint32_t major)
{
    struct major m = {.number = major};

    leaf_inside_until(l, is_settled, &m, "the change has ended", 20000);
    return m.is_removed;
}

struct order {
    const char *method;
    const char *path;
    uint32_t major;
    bool removes;
};

static void must(struct leaf_inside *l, const struct order *o)
{
    (void)leaf_inside_ask(l, o->method, o->path, "", -1);
    if (l->answer.status != 200) {
        fail_msg("%s %s: %u %s", o->method, o->path, l->answer.status, l->answer.text);
    }
    assert_int_equal(is_removed(l, o->major), o->removes);
}

/* Loop of the leaf. */
static bool has_feed(struct leaf *leaf, void *data)
{
    (void)data;
    return publisher_stats(leaf->publisher).feeds == 1;
}

static bool has_statistics(void *data)
{
    struct leaf_inside *l = data;

    (void)leaf_inside_ask(l, "GET", "/v1/products/sales/orders/orders/stats", "", -1);
    return l->answer.status == 200;
}

/* Behind a fault: who was told yes has it, who was told no may ask again. */
static void look(struct leaf_inside *l, const struct order *o)
{
    const struct raw_http_answer *a = &l->answer;
    const bool removed = is_removed(l, o->major);

    if (a->status == 200) {
        assert_int_equal(removed, o->removes);
        if (!o->removes) {
            leaf_inside_until(l, has_feed, NULL, "it is published again", 20000);
            wait_until(has_statistics, l, "it is counted again", 20000);
        }
    } else if (a->status != 0 && (!raw_http_is_problem(a) || a->status < 429)) {
        fail_msg("%s %s: %u %s", o->method, o->path, a->status, a->text);
    }
    must(l, o);
}

static const struct order remove_orders = {"DELETE", REMOVE, 1, true};
static const struct order restore_orders = {"POST", RESTORE, 1, false};

static void sweep(struct leaf_inside *l, const struct order *o, const struct order *back)
{
    unsigned refused = 0;
    long n = 0;

    while (leaf_inside_ask(l, o->method, o->path, "", n++)) {
        refused += l->answer.status != 200;
        look(l, o);
        must(l, back);
    }
    look(l, o);
    must(l, back);
    assert_true(n > 10 && refused > 5);
}

/* --- tests --- */

static void a_product_leaves_and_comes_back_without_memory(void **state)
{
    struct leaf_inside *l = *state;

    sweep(l, &remove_orders, &restore_orders);
    must(l, &remove_orders);
    sweep(l, &restore_orders, &remove_orders);
    must(l, &restore_orders);
}

/* Each is one more to be remembered, which takes memory once it is stored. */
static void what_is_removed_and_stored_is_hidden_without_memory_too(void **state)
{
    struct leaf_inside *l = *state;
    uint32_t major = 2;
    bool failed = true;

    for (long n = 0; failed; n++, major++) {
        char path[64];
        const struct order o = {"DELETE", path, major, true};

        (void)snprintf(path, sizeof(path), "/v1/products/sales/orders@%u", major);
        failed = leaf_inside_ask(l, o.method, o.path, "", n);
        look(l, &o);
    }
    assert_true(major > 10);
}

/* The store takes nothing more after a write that failed; its next start does. */
static void a_product_leaves_and_comes_back_on_a_disk_that_fails(void **state)
{
    struct leaf_inside *l = *state;
    const struct order *const orders[] = {&remove_orders, &restore_orders};

    for (size_t i = 0; i < SF_COUNT(orders); i++) {
        const struct order *o = orders[i];

        atomic_store(&writes_left, 0);
        (void)leaf_inside_ask(l, o->method, o->path, "", -1);
        atomic_store(&writes_left, -1);
        assert_int_equal(l->answer.status, 500);
        assert_non_null(strstr(l->answer.text, "SHEAF-E0604"));
        assert_int_equal(is_removed(l, 1), !o->removes);
        leaf_inside_stop(l);
        start_leaf(l);
        assert_int_equal(is_removed(l, 1), !o->removes);
        must(l, o);
        leaf_inside_stop(l);
        start_leaf(l);
        assert_int_equal(is_removed(l, 1), o->removes);
    }
}

/* --- the leaf --- */

struct world {
    struct leaf_inside leaf;
    pid_t hub;
};

static bool is_linked(struct leaf *leaf, void *data)
{
    (void)data;
    return uplink_is_up(leaf->uplink);
}

static int setup(void **state)
{
    static struct world w;

    leaf_inside_init(&w.leaf);
    w.hub = fork();
    assert_true(w.hub >= 0);
    if (w.hub == 0) {
        be_the_hub(&w.leaf);
    }
    start_leaf(&w.leaf);
    leaf_inside_until(&w.leaf, is_linked, NULL, "the hub answers", 30000);
    (void)leaf_inside_ask(&w.leaf, "PUT", "/v1/products/sales/orders", product, -1);
    assert_int_equal(w.leaf.answer.status, 200);
    *state = &w.leaf;
    return 0;
}

static int teardown(void **state)
{
    struct leaf_inside *l = *state;
    struct world *w = SF_CONTAINER_OF(l, struct world, leaf);

    leaf_inside_stop(l);
    assert_int_equal(kill(w->hub, SIGKILL), 0);
    assert_int_equal(waitpid(w->hub, NULL, 0), w->hub);
    leaf_inside_done(l);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_product_leaves_and_comes_back_without_memory),
        cmocka_unit_test(what_is_removed_and_stored_is_hidden_without_memory_too),
        cmocka_unit_test(a_product_leaves_and_comes_back_on_a_disk_that_fails),
    };

    sf_process_shim(argc, argv);
    assert_int_equal(sf_crypto_init(NULL), SF_OK);
    return cmocka_run_group_tests_name("leaf_life_faults", tests, setup, teardown);
}
