#include "tests/unit/hub/hub_world.h"

#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/identity/signed.h"
#include "common/wire/control.h"
#include "proto/subjects.h"

static char *text(const char *s)
{
    return (char *)(uintptr_t)s;
}

void world_key(uint8_t byte, struct sf_seed *ret)
{
    uint8_t seed[SF_SEED_SIZE];

    assert_int_equal(sf_crypto_init(NULL), SF_OK);
    memset(seed, byte, sizeof(seed));
    assert_int_equal(sf_seed_from_bytes(sf_slice_of(seed, sizeof(seed)), ret, NULL), SF_OK);
}

void world_event(struct hub_world *w, Sheaf__V1__Event *e)
{
    struct event_chain before = w->chain;
    struct event_record record;
    struct sf_arena arena;
    struct sf_error err = {0};
    struct sf_buf *bytes = &w->events[w->count];

    assert_true(w->count < WORLD_EVENTS_MAX);
    w->now_us += w->step_us;
    e->time_us = w->now_us;
    if (*e->actor == '\0') {
        e->actor = text("test/user");
    }
    sf_arena_init(&arena, 0);
    assert_int_equal(event_seal(&before, &w->hub_key, e, bytes, &err), SF_OK);
    assert_int_equal(
        event_open(&w->chain, &w->hub_key.public_key, sf_buf_view(bytes), &arena, &record, &err),
        SF_OK);
    if (registry_apply(&w->registry, record.event, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    sf_arena_done(&arena);
    w->count++;
}

void world_init(struct hub_world *w)
{
    Sheaf__V1__Event e = SHEAF__V1__EVENT__INIT;
    Sheaf__V1__MeshCreated m = SHEAF__V1__MESH_CREATED__INIT;

    memset(w, 0, sizeof(*w));
    world_key(0x11, &w->hub_key);
    world_key(0x21, &w->domain_keys[0]);
    world_key(0x22, &w->domain_keys[1]);
    world_key(0x23, &w->domain_keys[2]);
    w->consumer = "marketing";
    registry_init(&w->registry);
    w->now_us = WORLD_START_US;
    w->step_us = 1000000;
    m.mesh = text(WORLD_MESH);
    m.hub_key = sf_control_data(sf_slice_of(w->hub_key.public_key.bytes, SF_PUBLIC_KEY_SIZE));
    e.kind_case = SHEAF__V1__EVENT__KIND_MESH_CREATED;
    e.mesh_created = &m;
    world_event(w, &e);
}

void world_done(struct hub_world *w)
{
    registry_done(&w->registry);
    sf_seed_done(&w->hub_key);
    sf_seed_done(&w->domain_keys[0]);
    sf_seed_done(&w->domain_keys[1]);
    sf_seed_done(&w->domain_keys[2]);
    for (size_t i = 0; i < w->count; i++) {
        sf_buf_done(&w->events[i]);
    }
}

void world_join(struct hub_world *w, const char *domain)
{
    Sheaf__V1__Event issued = SHEAF__V1__EVENT__INIT;
    Sheaf__V1__TokenIssued token = SHEAF__V1__TOKEN_ISSUED__INIT;
    Sheaf__V1__Event joined = SHEAF__V1__EVENT__INIT;
    Sheaf__V1__DomainJoined m = SHEAF__V1__DOMAIN_JOINED__INIT;
    const struct sf_seed *key = &w->domain_keys[domain[0] == 's' ? 0 : domain[0] == 'm' ? 1 : 2];
    char hash[128];
    char account[64];
    char serve[64];

    (void)snprintf(hash, sizeof(hash), "hash-of-%s-%zu", domain, w->count);
    (void)snprintf(account, sizeof(account), "A%s", domain);
    (void)snprintf(serve, sizeof(serve), "A%sSERVE", domain);
    token.token_hash = hash;
    token.domain = text(domain);
    token.expires_us = w->now_us + WORLD_DAY_US;
    issued.kind_case = SHEAF__V1__EVENT__KIND_TOKEN_ISSUED;
    issued.token_issued = &token;
    world_event(w, &issued);
    m.domain = text(domain);
    m.domain_key = sf_control_data(sf_slice_of(key->public_key.bytes, SF_PUBLIC_KEY_SIZE));
    m.leaf_key = m.domain_key;
    m.account = account;
    m.serve_account = serve;
    m.token_hash = hash;
    joined.kind_case = SHEAF__V1__EVENT__KIND_DOMAIN_JOINED;
    joined.domain_joined = &m;
    world_event(w, &joined);
}

/* What stands behind @key in the file, up to the end of the line. */
static void value_of(const char *yaml, const char *key, char ret[64])
{
    const char *at = strstr(yaml, key);

    assert_non_null(at);
    (void)snprintf(ret, 64, "%.*s", (int)strcspn(at + strlen(key), "\n"), at + strlen(key));
}

void world_product(struct hub_world *w, const char *yaml)
{
    char product[64];
    char version[64];
    Sheaf__V1__Event e = SHEAF__V1__EVENT__INIT;
    Sheaf__V1__ProductApplied m = SHEAF__V1__PRODUCT_APPLIED__INIT;

    m.domain = text("sales");
    value_of(yaml, "product: sales/", product);
    value_of(yaml, "version: ", version);
    m.product = product;
    m.version = version;
    m.product_yaml = sf_control_data(sf_slice_text(yaml));
    e.kind_case = SHEAF__V1__EVENT__KIND_PRODUCT_APPLIED;
    e.product_applied = &m;
    world_event(w, &e);
}

void world_request(struct hub_world *w, const char *const *columns, size_t column_count)
{
    Sheaf__V1__Event e = SHEAF__V1__EVENT__INIT;
    Sheaf__V1__AccessRequested m = SHEAF__V1__ACCESS_REQUESTED__INIT;
    char id[REGISTRY_ID_MAX];

    registry_next_request_id(&w->registry, id);
    m.request_id = id;
    m.owner = text("sales");
    m.product = text("orders");
    m.major = 1;
    m.consumer = text(w->consumer);
    m.purpose = text("churn model");
    m.duration_us = 90 * WORLD_DAY_US;
    m.columns = (char **)(uintptr_t)columns;
    m.n_columns = column_count;
    e.kind_case = SHEAF__V1__EVENT__KIND_ACCESS_REQUESTED;
    e.access_requested = &m;
    world_event(w, &e);
}

void world_sign_decision(struct hub_world *w, const struct world_decision *d, struct sf_buf *ret)
{
    Sheaf__V1__Decision m = SHEAF__V1__DECISION__INIT;
    uint8_t payload[1024];
    size_t size;

    m.mesh = text(WORLD_MESH);
    m.request_id = text(d->request_id);
    m.owner = text("sales");
    m.product = text("orders");
    m.major = 1;
    m.consumer = text(w->consumer);
    m.approved = d->approved;
    m.columns = (char **)(uintptr_t)d->columns;
    m.n_columns = d->column_count;
    m.until_us = d->until_us;
    m.purpose = text("churn model");
    m.note = text("fine");
    m.decided_by = text("ada");
    m.decided_us = w->now_us;
    assert_true(sheaf__v1__decision__get_packed_size(&m) <= sizeof(payload));
    size = sheaf__v1__decision__pack(&m, payload);
    assert_int_equal(sf_signed_make(SIGN_DECISION, sf_slice_of(payload, size),
                                    d->signer != NULL ? d->signer : &w->domain_keys[0], ret, NULL),
                     SF_OK);
}

void world_decide(struct hub_world *w, const struct world_decision *d)
{
    Sheaf__V1__Event e = SHEAF__V1__EVENT__INIT;
    Sheaf__V1__AccessDecided m = SHEAF__V1__ACCESS_DECIDED__INIT;
    Sheaf__V1__Grant grant = SHEAF__V1__GRANT__INIT;
    struct sf_buf sealed = {0};
    struct sf_arena arena;
    char id[REGISTRY_ID_MAX];

    sf_arena_init(&arena, 0);
    world_sign_decision(w, d, &sealed);
    m.decision = SF_CONTROL_UNPACK(signed, &arena, sf_buf_view(&sealed));
    registry_next_grant_id(&w->registry, id);
    grant.id = id;
    grant.request_id = text(d->request_id);
    grant.columns = (char **)(uintptr_t)d->columns;
    grant.n_columns = d->column_count;
    grant.until_us = d->until_us;
    grant.purpose = text("churn model");
    grant.audience = text("told-by-an-older-hub");
    m.grant = d->approved ? &grant : NULL;
    e.kind_case = SHEAF__V1__EVENT__KIND_ACCESS_DECIDED;
    e.access_decided = &m;
    world_event(w, &e);
    sf_arena_done(&arena);
    sf_buf_done(&sealed);
}

void world_end_grant(struct hub_world *w, const char *grant_id, const char *cause)
{
    Sheaf__V1__Event e = SHEAF__V1__EVENT__INIT;
    Sheaf__V1__GrantEnded m = SHEAF__V1__GRANT_ENDED__INIT;

    m.grant_id = text(grant_id);
    m.cause = text(cause);
    m.reason = text("no longer needed");
    e.kind_case = SHEAF__V1__EVENT__KIND_GRANT_ENDED;
    e.grant_ended = &m;
    world_event(w, &e);
}
