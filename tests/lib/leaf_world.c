#include "tests/lib/leaf_world.h"

#include <stdio.h>

#include "common/base/time.h"
#include "common/identity/signed.h"
#include "proto/subjects.h"
#include "tests/lib/cmocka.h"
#include "tests/lib/policies.h"

#define ORDERS(version, more)                                                                      \
    "sheaf: product/v1\n"                                                                          \
    "product: sales/orders\n"                                                                      \
    "version: " version "\n"                                                                       \
    "status: active\n"                                                                             \
    "owner: team-sales\n"                                                                          \
    "description: Orders and clicks.\n"                                                            \
    "tables:\n"                                                                                    \
    "  orders:\n"                                                                                  \
    "    kind: state\n"                                                                            \
    "    key: [order_id]\n"                                                                        \
    "    fields:\n"                                                                                \
    "      order_id: {number: 1, type: string, required: true}\n"                                  \
    "      amount: {number: 2, type: \"decimal(12,2)\", min: 0, unit: EUR}\n"                      \
    "      note: {number: 3, type: string}\n"                                                      \
    "      email: {number: 4, type: string, class: pii, description: \"Of the buyer.\"}\n"         \
    "      token: {number: 5, type: string, class: secret}\n" more "  clicks:\n"                   \
    "    kind: event\n"                                                                            \
    "    fields:\n"                                                                                \
    "      page: {number: 1, type: string}\n"                                                      \
    "      n: {number: 2, type: int32}\n"                                                          \
    "      ip: {number: 3, type: string, class: pii}\n"

const char world_orders[] = ORDERS("1.0.0", "");
const char world_orders_newer[] = ORDERS("1.1.0", "      country: {number: 6, type: string}\n");

static struct sf_seed fixed_seed(uint8_t byte)
{
    uint8_t bytes[SF_SEED_SIZE];
    struct sf_seed seed = {0};

    memset(bytes, byte, sizeof(bytes));
    assert_int_equal(sf_seed_from_bytes(sf_slice_of(bytes, sizeof(bytes)), &seed, NULL), SF_OK);
    return seed;
}

static void open_products(struct leaf_world *w)
{
    w->serving =
        (struct serving){.rt = &w->stores.sim.rt, .domain = WORLD_DOMAIN, .mesh = WORLD_MESH};
    assert_int_equal(product_set_init(&w->serving.products, WORLD_DOMAIN, w->stores.store, NULL),
                     SF_OK);
}

static void close_products(struct leaf_world *w)
{
    grant_set_unref(w->serving.grants);
    product_set_done(&w->serving.products);
}

void leaf_world_init(struct leaf_world *w, uint64_t seed)
{
    *w = (struct leaf_world){0};
    store_world_init(&w->stores, seed);
    w->hub = fixed_seed(1);
    w->domain = fixed_seed(2);
    w->leaf = fixed_seed(3);
    w->stranger = fixed_seed(4);
    w->billing = fixed_seed(5);
    open_products(w);
}

void leaf_world_done(struct leaf_world *w)
{
    close_products(w);
    store_world_done(&w->stores);
    sf_seed_done(&w->hub);
    sf_seed_done(&w->domain);
    sf_seed_done(&w->leaf);
    sf_seed_done(&w->stranger);
    sf_seed_done(&w->billing);
}

void leaf_world_kill(struct leaf_world *w)
{
    struct fake_disk *disk = &w->stores.disk;

    disk->killed = true;
    disk->fail_write_in = 1;
    disk->fail_on = true;
}

void leaf_world_crash(struct leaf_world *w, const char *yaml)
{
    struct fake_disk *disk = &w->stores.disk;
    struct rt_sim *sim = &w->stores.sim;
    uint64_t kept;
    uint64_t flushed;

    disk->killed = true;
    close_products(w);
    store_world_close(&w->stores);
    disk->fail_write_in = 0;
    disk->fail_on = false;
    kept = disk->durable + rt_sim_random(sim, disk->writes - disk->durable + 1);
    flushed = disk->flushed + rt_sim_random(sim, disk->writes - disk->flushed + 1);
    fake_disk_crash(disk, kept, flushed);
    store_world_open(&w->stores);
    open_products(w);
    (void)leaf_world_add(w, yaml);
}

const struct served_product *leaf_world_add(struct leaf_world *w, const char *yaml)
{
    struct product_set *set = &w->serving.products;
    struct sf_error err = {0};

    if (product_set_add(set, set->contract_id_highest + 1, sf_slice_text(yaml), &err) != SF_OK) {
        fail_msg("product_set_add: %s", err.text);
    }
    return set->versions[set->version_count - 1];
}

const struct served_table *leaf_world_table(const struct leaf_world *w, const char *name)
{
    const struct served_product *p = product_set_find(&w->serving.products, "orders", 1);

    assert_non_null(p);
    assert_non_null(served_product_table(p, name));
    return served_product_table(p, name);
}

struct writing {
    bool done;
    struct sf_error error;
};

static void on_written(struct store_write *w, const struct sf_error *err)
{
    struct writing *writing = w->data;

    writing->done = true;
    if (err != NULL) {
        writing->error = *err;
    }
}

static bool is_written(void *data)
{
    return ((struct writing *)data)->done;
}

void leaf_world_write(struct leaf_world *w, const struct served_table *table, const char *lines)
{
    SF_CLEANUP(batch_reader_freep) struct batch_reader *reader = NULL;
    const struct batch_spec spec = {
        .table = table->contract,
        .contract_id = table->product->contract_id,
        .format = BATCH_NDJSON,
        .has_envelope = true,
    };
    struct writing writing = {0};
    struct store_lane_write lane = {.lane = table->lane, .expect_seq = STORE_ANY};
    struct store_write write = {.data = &writing, .lanes = &lane, .lane_count = 1};
    struct batch batch;
    struct sf_error err = {0};

    batch_init(&batch);
    assert_int_equal(batch_reader_new(table->contract, &reader, NULL), SF_OK);
    if (batch_read(reader, &spec, sf_slice_text(lines), &batch, &err) != SF_OK) {
        fail_msg("batch_read: %s", err.text);
    }
    if (batch.reject_count > 0) {
        fail_msg("record refused: %s", batch.errors[0].violation.text);
    }
    lane.changes = batch.changes;
    lane.change_count = batch.change_count;
    assert_int_equal(store_submit(w->stores.store, &write, on_written, NULL), SF_OK);
    assert_true(rt_sim_run_until(&w->stores.sim, is_written, &writing, 60 * SF_NS_PER_S));
    assert_int_equal(writing.error.code, SF_OK);
    batch_done(&batch);
}

int64_t leaf_world_now(const struct leaf_world *w)
{
    return sf_rt_wall_us(w->serving.rt);
}

/* --- bundles ---------------------------------------------------------------------------------- */

char *world_text(const char *text)
{
    union {
        const char *in;
        char *out;
    } u = {.in = text};

    return u.out;
}

static char *text_of(const char *given, const char *otherwise)
{
    return world_text(given == NULL ? otherwise : given);
}

enum { GRANTS_PER_BUNDLE = 128, DECISION_BYTES = 1024 };

struct grant_room {
    Sheaf__V1__Grant grant;
    Sheaf__V1__Signed decision;
    struct sf_signed_room signed_room;
    uint8_t decision_bytes[DECISION_BYTES];
    char *columns[5];
};

static void make_grant(const struct leaf_world *w, const struct world_bundle *b,
                       const struct world_grant *from, struct grant_room *room)
{
    Sheaf__V1__Grant *g = &room->grant;
    Sheaf__V1__Decision d = SHEAF__V1__DECISION__INIT;
    size_t n = 0;

    sheaf__v1__grant__init(g);
    while (n < SF_COUNT(from->columns) && from->columns[n] != NULL) {
        room->columns[n] = text_of(from->columns[n], "");
        n++;
    }
    g->id = text_of(from->id, "G-1");
    g->request_id = d.request_id = text_of("AR-1", "");
    g->owner = d.owner = text_of(WORLD_DOMAIN, "");
    g->product = d.product = text_of("orders", "");
    g->major = d.major = from->major == 0 ? 1 : from->major;
    g->consumer = d.consumer = text_of(from->consumer, "billing");
    g->consumer_account = text_of(from->account, WORLD_ACCOUNT);
    g->audience = text_of(from->audience, "aud1");
    g->sole_audience = text_of(from->sole, "");
    g->columns = d.columns = room->columns;
    g->n_columns = d.n_columns = n;
    g->purpose = d.purpose = text_of("invoices", "");
    g->until_us = d.until_us =
        from->until_us == 0 ? leaf_world_now(w) + SF_US_PER_DAY : from->until_us;
    d.mesh = text_of(WORLD_MESH, "");
    d.approved = true;
    d.decided_us = from->decided_us;
    if (b->spoil != NULL) {
        b->spoil(g, &d, b->data);
    }
    if (!b->undecided) {
        size_t size = sheaf__v1__decision__get_packed_size(&d);

        assert_true(size <= sizeof(room->decision_bytes));
        (void)sheaf__v1__decision__pack(&d, room->decision_bytes);
        assert_int_equal(sf_signed_fill(SIGN_DECISION, sf_slice_of(room->decision_bytes, size),
                                        b->owner == NULL ? &w->domain : b->owner,
                                        &room->signed_room, &room->decision, NULL),
                         SF_OK);
        g->decision = &room->decision;
    }
}

void leaf_world_sign(const struct leaf_world *w, const struct world_bundle *b, struct sf_buf *ret)
{
    struct grant_room *rooms = test_calloc(GRANTS_PER_BUNDLE, sizeof(*rooms));
    Sheaf__V1__Grant *grants[GRANTS_PER_BUNDLE];
    Sheaf__V1__Bundle bundle = SHEAF__V1__BUNDLE__INIT;
    Sheaf__V1__Policy policy = SHEAF__V1__POLICY__INIT;
    Sheaf__V1__Policy *policies[] = {&policy};
    Sheaf__V1__Consumer consumer = SHEAF__V1__CONSUMER__INIT;
    Sheaf__V1__Consumer *consumers[] = {&consumer};
    struct sf_buf payload = {0};
    uint8_t *at;

    assert_true(b->grant_count <= GRANTS_PER_BUNDLE);
    for (size_t i = 0; i < b->grant_count; i++) {
        make_grant(w, b, &b->grants[i], &rooms[i]);
        grants[i] = &rooms[i].grant;
    }
    bundle.mesh = text_of(b->mesh, WORLD_MESH);
    bundle.domain = text_of(b->domain, WORLD_DOMAIN);
    bundle.version = b->version;
    bundle.issued_us = leaf_world_now(w);
    bundle.expires_us = b->expires_us == 0 ? leaf_world_now(w) + 3600 * SF_US_PER_S : b->expires_us;
    bundle.grants = grants;
    bundle.n_grants = b->grant_count;
    policy.name = text_of("some", "");
    policy.file = text_of("policy.yaml", "");
    policy.text = text_of(b->policies, "");
    policy.line = 1;
    bundle.policies = policies;
    bundle.n_policies = b->policies == NULL ? 0 : 1;
    bundle.policy_version = b->policy_version;
    consumer.domain = text_of("billing", "");
    consumer.domain_key.data = (uint8_t *)(uintptr_t)w->billing.public_key.bytes;
    consumer.domain_key.len = SF_PUBLIC_KEY_SIZE;
    bundle.consumers = consumers;
    bundle.n_consumers = b->keyless ? 0 : 1;
    if (b->spoil_bundle != NULL) {
        b->spoil_bundle(&bundle);
    }
    at = sf_buf_reserve(&payload, sheaf__v1__bundle__get_packed_size(&bundle));
    assert_non_null(at);
    payload.size += sheaf__v1__bundle__pack(&bundle, at);
    assert_int_equal(sf_signed_make(SIGN_BUNDLE, sf_buf_view(&payload),
                                    b->hub == NULL ? &w->hub : b->hub, ret, NULL),
                     SF_OK);
    sf_buf_done(&payload);
    test_free(rooms);
}

struct grant_trust leaf_world_trust(const struct leaf_world *w, uint64_t version_min)
{
    return (struct grant_trust){
        .mesh = WORLD_MESH,
        .domain = WORLD_DOMAIN,
        .hub_key = &w->hub.public_key,
        .domain_key = &w->domain.public_key,
        .version_min = version_min,
        .now_us = leaf_world_now(w),
    };
}

void leaf_world_assert(const struct leaf_world *w, const char *roles, struct sf_buf *ret)
{
    const int64_t now_s = leaf_world_now(w) / SF_US_PER_S;
    struct sf_token t = {.kind = SF_TOKEN_ASSERTION,
                         .issuer = "billing",
                         .issued_s = now_s,
                         .expires_s = now_s + 60};

    sf_token_audience(WORLD_MESH, WORLD_DOMAIN, "orders", t.audience);
    while (*roles != '\0') {
        size_t n = strcspn(roles, " ");

        (void)snprintf(t.roles[t.role_count].text, sizeof(t.roles[0].text), "%.*s", (int)n, roles);
        t.role_count++;
        roles += n + (roles[n] == ' ');
    }
    assert_int_equal(sf_token_make(&t, &w->billing, ret, NULL), SF_OK);
    sf_buf_byte(ret, '\0');
}

void leaf_world_grant(struct leaf_world *w, const struct world_bundle *b)
{
    const struct grant_trust trust = leaf_world_trust(w, 0);
    struct sf_buf bytes = {0};
    struct grant_set *set = NULL;
    struct sf_error err = {0};

    leaf_world_sign(w, b, &bytes);
    if (grant_set_open(sf_buf_view(&bytes), &trust, &set, &err) != SF_OK) {
        fail_msg("grant_set_open: %s", err.text);
    }
    serving_take_grants(&w->serving, set);
    sf_buf_done(&bytes);
}

void leaf_world_policies(struct leaf_world *w, const char *yaml)
{
    struct grant_set *grants = w->serving.grants;

    sf_policy_set_free(grants->policies);
    grants->policies = *yaml == '\0' ? NULL : policies_set(yaml);
    grants->policy_version++;
    serving_keys_changed(&w->serving);
}
