/* The hub behind HTTP and NATS when memory runs out: each allocation fails once. */
#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <sys/time.h>

#include "common/base/alloc.h"
#include "common/bus/service.h"
#include "common/identity/token.h"
#include "common/sys/encoding.h"
#include "common/sys/http_server.h"
#include "common/wire/control.h"
#include "hub/api/api.h"
#include "hub/api/control.h"
#include "proto/subjects.h"
#include "tests/lib/fake_bus.h"
#include "tests/lib/raw_http.h"
#include "tests/lib/test_loop.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/hub/api_world.h"

/* The stream says what has happened; a hub that could not take an event in stops, and starts with
 * what the stream has. */
static unsigned restart_if_failed(struct api_world *w)
{
    if (w->failed) {
        api_world_stop(w);
        api_world_start(w);
        return 1;
    }
    return 0;
}

static void assert_whole(const struct api_world *w)
{
    assert_int_equal(w->state.registry.events, w->stream.count);
}

/* For the moment; or the connection was cut before there was an answer. */
static void assert_refused(const struct api_world *w)
{
    if (w->answer.status != 0 && w->answer.status != 429 && w->answer.status != 500 &&
        w->answer.status != 503) {
        fail_msg("%s: %u %s", w->path, w->answer.status, w->answer.text);
    }
    if (!raw_http_is_problem(&w->answer)) {
        fail_msg("%s: %u '%s' is no problem document", w->path, w->answer.status, w->answer.text);
    }
}

static void reads_without_memory_are_refused_and_the_next_is_answered(void **state)
{
    static const char *const paths[] = {
        "/v1/mesh",
        "/v1/domains",
        "/v1/domains/sales",
        "/v1/products",
        "/v1/products/sales/orders",
        "/v1/access",
        "/v1/audit?limit=3",
        "/metrics",
    };
    static struct raw_http_answer whole;
    struct api_world w;
    (void)state;

    api_world_init(&w);
    for (size_t i = 0; i < SF_COUNT(paths); i++) {
        const bool changes = strcmp(paths[i], "/metrics") == 0; /* counts what it is asked */

        api_world_sign_as(&w, "marketing", &w.hub.domain_keys[1]);
        assert_false(api_world_ask(&w, "GET", paths[i], "", -1));
        if (w.answer.status != 200) {
            fail_msg("%s: %s", paths[i], w.answer.text);
        }
        whole = w.answer;
        for (long n = 0; api_world_ask(&w, "GET", paths[i], "", n); n++) {
            if (w.answer.status == 200 && w.answer.is_complete && !changes) {
                assert_string_equal(w.answer.text, whole.text);
            } else if (w.answer.status != 200) {
                assert_refused(&w);
            }
        }
        assert_int_equal(w.answer.status, 200);
        assert_true(changes || strcmp(w.answer.text, whole.text) == 0);
    }
    assert_false(w.failed);
    api_world_done(&w);
}

/* @path is posted until all goes well. */
static void sweep_posts(struct api_world *w, const char *path, const char *body, unsigned status)
{
    unsigned refused = 0;

    for (long n = 0;; n++) {
        const size_t before = w->stream.count;
        const bool failed = api_world_ask(w, "POST", path, body, n);

        if (!failed || w->answer.status == status) {
            assert_int_equal(w->answer.status, status);
            assert_int_equal(w->stream.count, before + 1);
        } else {
            assert_refused(w);
            refused++;
        }
        (void)restart_if_failed(w);
        assert_whole(w);
        if (!failed || w->stream.count > before) {
            break; /* it was stored: the same again would be another thing */
        }
    }
    assert_true(refused > 3);
}

static const char ask_for_orders[] =
    "{\"product\":\"sales/orders\",\"purpose\":\"churn model\",\"duration_us\":86400000000}";

static void changes_without_memory_are_made_once_or_not_at_all(void **state)
{
    struct api_world w;
    (void)state;

    api_world_init(&w);
    api_world_sign_as(&w, "platform", &w.keys.platform_key);
    sweep_posts(&w, "/v1/join-tokens", "{\"domain\":\"finance\"}", 201);
    api_world_sign_as(&w, "marketing", &w.hub.domain_keys[1]);
    sweep_posts(&w, "/v1/access/requests", ask_for_orders, 201);
    api_world_done(&w);
}

/* marketing asks; ret is "AR-n". */
static void request_orders(struct api_world *w, char ret[REGISTRY_ID_MAX])
{
    registry_next_request_id(&w->state.registry, ret);
    api_world_sign_as(w, "marketing", &w->hub.domain_keys[1]);
    (void)api_world_ask(w, "POST", "/v1/access/requests", ask_for_orders, -1);
    assert_int_equal(w->answer.status, 201);
    api_world_sign_as(w, "sales", &w->hub.domain_keys[0]);
}

/* {"decision":"..."} in @ret. */
static void write_decision(struct api_world *w, const char *id, bool approved, struct sf_buf *ret)
{
    const struct world_decision d = {
        .request_id = id,
        .approved = approved,
        .until_us = approved ? sf_rt_wall_us(w->loop.rt) + WORLD_DAY_US / 2 : 0,
    };
    struct sf_buf bytes = {0};

    w->hub.now_us = sf_rt_wall_us(w->loop.rt);
    world_sign_decision(&w->hub, &d, &bytes);
    sf_buf_clear(ret);
    sf_buf_text(ret, "{\"decision\":\"");
    sf_buf_encode(ret, SF_BASE64, sf_buf_view(&bytes));
    sf_buf_text(ret, "\"}");
    assert_non_null(sf_buf_cstr(ret));
    sf_buf_done(&bytes);
}

/* A denial is in force at once, so that what is allocated for the answer is reached too. */
static void denials_without_memory_are_made_once_or_not_at_all(void **state)
{
    struct sf_buf body = {0};
    char id[REGISTRY_ID_MAX];
    char path[128];
    unsigned refused = 0;
    unsigned unsaid = 0;
    bool failed = true;
    unsigned status = 0;
    struct api_world w;
    (void)state;

    api_world_init(&w);
    request_orders(&w, id);
    for (long n = 0; failed; n++) {
        const size_t before = w.stream.count;

        write_decision(&w, id, false, &body);
        (void)snprintf(path, sizeof(path), "/v1/access/requests/%s/decision", id);
        failed = api_world_ask(&w, "POST", path, sf_buf_cstr(&body), n);
        status = w.answer.status;
        if (status == 200) {
            assert_int_equal(w.stream.count, before + 1);
        } else {
            assert_refused(&w);
            refused += w.stream.count == before;
            unsaid += w.stream.count > before;
        }
        (void)restart_if_failed(&w);
        assert_whole(&w);
        if (w.stream.count > before) {
            assert_int_equal(registry_request(&w.state.registry, id)->state, REGISTRY_DENIED);
            request_orders(&w, id);
        }
        assert_true(n < 250);
    }
    assert_int_equal(status, 200);
    assert_true(refused > 3 && unsaid > 0);
    sf_buf_done(&body);
    api_world_done(&w);
}

/* --- effects ---------------------------------------------------------------------------------- */

/* Who brings a change into force: the leaf of sales, which polls, and the server of the claims.
 * What they allocate is not the hub's. */
struct effect_world {
    struct api_world api;
    struct tmpdir accounts;
    struct sf_bus *outside;
    struct sf_bus_sub claims;
    struct sf_bus_sub info;
    struct sf_bus_sub polled;
    struct sf_timer again; /* of a poll that got lost */
    uint64_t version;      /* of the bundle that the leaf has */
    bool silent;           /* the server of the claims */
    size_t pushed;
    char request[REGISTRY_ID_MAX];
    char grant[REGISTRY_ID_MAX];
    char path[128];
    struct sf_buf body;
};

#define POLL_AGAIN_NS (LEASE_RESEND_NS + UINT64_C(50) * SF_NS_PER_MS)

static void say(struct effect_world *e, const struct sf_bus_msg *m)
{
    sf_alloc_spare(true);
    assert_int_equal(sf_bus_publish(e->outside, m, NULL), SF_OK);
    sf_alloc_spare(false);
}

static void on_claims(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct effect_world *e = sub->data;

    e->pushed++;
    if (!e->silent) {
        say(e, &(struct sf_bus_msg){.subject = m->reply,
                                    .data = sf_slice_text("{\"data\":{\"code\":200}}")});
    }
}

static void on_info(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    static const char unused[] = "{\"error\":{\"description\":\"Account A does not exist\"}}";

    say(sub->data, &(struct sf_bus_msg){.subject = m->reply, .data = sf_slice_text(unused)});
}

static void poll_hub(struct effect_world *e)
{
    static char domain[] = "sales";
    Sheaf__V1__PollRequest m = SHEAF__V1__POLL_REQUEST__INIT;
    uint8_t bytes[64];

    m.domain = domain;
    m.have_version = e->version;
    say(e,
        &(struct sf_bus_msg){.subject = "mesh.ctl.AsalesSERVE.poll",
                             .reply = "polled",
                             .data = sf_slice_of(bytes, sheaf__v1__poll_request__pack(&m, bytes))});
    sf_rt_timer_start(e->api.loop.rt, &e->again, POLL_AGAIN_NS);
}

static void on_again(struct sf_timer *t)
{
    poll_hub(SF_CONTAINER_OF(t, struct effect_world, again));
}

/* The next poll acknowledges what has come; without anything new it waits for its timer. */
static void on_polled(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct effect_world *e = sub->data;
    const Sheaf__V1__PollReply *reply;
    struct sf_arena arena;

    sf_alloc_spare(true);
    sf_arena_init(&arena, 0);
    reply = SF_CONTROL_UNPACK(poll_reply, &arena, m->data);
    if (reply != NULL && reply->bundle != NULL) { /* NULL: an error, as there was no memory */
        e->version = reply->current_version;
        poll_hub(e);
    }
    sf_arena_done(&arena);
    sf_alloc_spare(false);
}

static bool is_in_force(void *data)
{
    const struct effect_world *e = data;
    const struct lease *l = lease_find(&e->api.state.leases, "sales");

    return l != NULL && lease_is_acknowledged(l) && pusher_pending(e->api.state.pusher) == 0;
}

static void wait_until_in_force(struct effect_world *e)
{
    test_loop_until(&e->api.loop, is_in_force, e, "all is in force", 20000);
}

/* marketing has asked for orders; with @granted it has them. */
static void effect_init(struct effect_world *e, bool granted)
{
    struct api_world *w = &e->api;

    memset(e, 0, sizeof(*e));
    api_world_init(w);
    tmpdir_init(&e->accounts);
    e->outside = fake_bus_connect(w->broker);
    e->claims = (struct sf_bus_sub){.on_msg = on_claims, .data = e};
    e->info = (struct sf_bus_sub){.on_msg = on_info, .data = e};
    e->polled = (struct sf_bus_sub){.on_msg = on_polled, .data = e};
    e->again = (struct sf_timer){.fire = on_again};
    assert_int_equal(sf_bus_subscribe(e->outside, &e->claims, "$SYS.REQ.CLAIMS.UPDATE", NULL, NULL),
                     SF_OK);
    assert_int_equal(sf_bus_subscribe(e->outside, &e->info, "$SYS.REQ.ACCOUNT.*.INFO", NULL, NULL),
                     SF_OK);
    assert_int_equal(sf_bus_subscribe(e->outside, &e->polled, "polled", NULL, NULL), SF_OK);
    w->pushes = (struct pusher_options){.rt = w->loop.rt,
                                        .sys = fake_bus_connect(w->broker),
                                        .directory = &w->state.directory,
                                        .dir = e->accounts.path};
    api_world_stop(w);
    api_world_start(w);
    poll_hub(e);
    wait_until_in_force(e);
    request_orders(w, e->request);
    registry_next_grant_id(&w->state.registry, e->grant);
    write_decision(w, e->request, true, &e->body);
    (void)snprintf(e->path, sizeof(e->path), "/v1/access/requests/%s/decision", e->request);
    if (granted) {
        (void)api_world_ask(w, "POST", e->path, sf_buf_cstr(&e->body), -1);
        assert_int_equal(w->answer.status, 200);
        wait_until_in_force(e);
        api_world_sign_as(w, "platform", &w->keys.platform_key);
        (void)snprintf(e->path, sizeof(e->path), "/v1/access/grants/%s/revoke", e->grant);
        sf_buf_clear(&e->body);
        sf_buf_text(&e->body, "{\"reason\":\"it leaked\"}");
    }
}

static void effect_done(struct effect_world *e)
{
    sf_rt_timer_stop(e->api.loop.rt, &e->again);
    sf_bus_unsubscribe(e->outside, &e->claims);
    sf_bus_unsubscribe(e->outside, &e->info);
    sf_bus_unsubscribe(e->outside, &e->polled);
    sf_buf_done(&e->body);
    api_world_done(&e->api);
    tmpdir_done(&e->accounts);
}

/* The change is posted until all goes well. What is stored comes into force whatever was said of
 * it, and is told as such when the fault was elsewhere. */
static void sweep_effect(bool granted, enum registry_grant_state after)
{
    struct effect_world e;
    struct api_world *w = &e.api;
    unsigned refused = 0;
    unsigned unsaid = 0;
    bool failed = true;

    effect_init(&e, granted);
    for (long n = 0; failed; n++) {
        const size_t before = w->stream.count;

        failed = api_world_ask(w, "POST", e.path, sf_buf_cstr(&e.body), n);
        if (!failed || w->answer.status == 200) {
            assert_int_equal(w->answer.status, 200);
            assert_int_equal(w->stream.count, before + 1);
            assert_true(failed || strstr(w->answer.text, "\"effective\":true") != NULL);
        } else {
            assert_refused(w);
            refused += w->stream.count == before;
            unsaid += w->stream.count > before;
        }
        (void)restart_if_failed(w);
        assert_whole(w);
        if (w->stream.count > before) {
            assert_int_equal(registry_grant(&w->state.registry, e.grant)->state, after);
            wait_until_in_force(&e);
            effect_done(&e);
            effect_init(&e, granted);
        }
    }
    assert_true(refused > 3 && unsaid > 0);
    effect_done(&e);
}

static void approvals_without_memory_are_made_once_or_not_at_all(void **state)
{
    (void)state;
    sweep_effect(false, REGISTRY_ACTIVE);
}

static void revocations_without_memory_are_made_once_or_not_at_all(void **state)
{
    (void)state;
    sweep_effect(true, REGISTRY_REVOKED);
}

static void a_server_of_claims_that_is_silent_is_waited_for_and_told_of(void **state)
{
    struct effect_world e;
    struct api_world *w = &e.api;
    (void)state;

    effect_init(&e, true);
    e.silent = true;
    (void)api_world_ask(w, "POST", e.path, sf_buf_cstr(&e.body), -1);
    assert_int_equal(w->answer.status, 200);
    assert_non_null(strstr(w->answer.text, "\"effective\":false"));
    assert_int_equal(registry_grant(&w->state.registry, e.grant)->state, REGISTRY_REVOKED);
    effect_done(&e);
}

static void a_policy_and_a_version_that_are_not_there_have_numbers_of_their_own(void **state)
{
    struct api_world w;
    (void)state;

    api_world_init(&w);
    api_world_sign_as(&w, "platform", &w.keys.platform_key);
    (void)api_world_ask(&w, "POST", "/v1/policies/change", "{\"rollback_to\":9}", -1);
    assert_int_equal(w.answer.status, 404);
    assert_non_null(strstr(w.answer.text, "\"code\":\"SHEAF-E0414\""));
    assert_non_null(strstr(w.answer.text, "the policies have no version 9; the newest is 0"));
    assert_non_null(strstr(w.answer.text, "\"next\":\"see 'sheaf policy history'\""));
    (void)api_world_ask(&w, "POST", "/v1/policies/change", "{\"remove\":[\"pii\"]}", -1);
    assert_int_equal(w.answer.status, 404);
    assert_non_null(strstr(w.answer.text, "\"code\":\"SHEAF-E0413\""));
    api_world_done(&w);
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;

    for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what)) {
        count++;
    }
    return count;
}

#define POLICY_IN(file)                                                                            \
    "{\"files\":[{\"file\":\"" file "\",\"text\":\"sheaf: policy/v1\\nname: "                      \
    "north\\nmatch: all\\nfilter: country = 'NO'\\n\"}]}"

static void a_change_of_policies_is_told_for_each_version_in_force_once(void **state)
{
    struct world_decision yes = {
        .request_id = "AR-1", .approved = true, .until_us = WORLD_START_US + 800 * WORLD_DAY_US};
    struct api_world w;
    (void)state;

    api_world_init(&w);
    api_world_stop(&w);
    world_request(&w.hub, NULL, 0);
    world_decide(&w.hub, &yes);
    world_product(&w.hub, ORDERS_WITH("1.1.0", ""));
    world_product(&w.hub, ORDERS_WITH("2.0.0", ""));
    for (size_t i = w.stream.count; i < w.hub.count; i++) {
        fake_stream_put(&w.stream, sf_buf_view(&w.hub.events[i]));
    }
    api_world_start(&w);
    api_world_sign_as(&w, "platform", &w.keys.platform_key);
    (void)api_world_ask(&w, "POST", "/v1/policies/change", POLICY_IN("a.yaml"), -1);
    assert_int_equal(w.answer.status, 200);
    assert_int_equal(count_of(w.answer.text, "\"change\":\"loses\""), 3);
    assert_int_equal(count_of(w.answer.text, "\"product\":\"sales/orders@1\",\"table\":\"orders\","
                                             "\"consumer\":\"*\""),
                     1);
    assert_int_equal(count_of(w.answer.text, "\"product\":\"sales/orders@1\",\"table\":\"orders\","
                                             "\"consumer\":\"marketing\""),
                     1);
    assert_non_null(strstr(w.answer.text, "\"effects_left_out\":0"));

    /* The same again is no change; in another file it is, which a cause names. */
    (void)api_world_ask(&w, "POST", "/v1/policies/change", POLICY_IN("a.yaml"), -1);
    assert_non_null(strstr(w.answer.text, "\"version\":1,\"changed\":false"));
    (void)api_world_ask(&w, "POST", "/v1/policies/change", POLICY_IN("b.yaml"), -1);
    assert_non_null(strstr(w.answer.text, "\"version\":2,\"changed\":true"));
    assert_int_equal(count_of(w.answer.text, "\"change\":"), 0);
    api_world_done(&w);
}

/* --- control ---------------------------------------------------------------------------------- */

static void tell(struct api_world *w, const char *op, const ProtobufCMessage *m)
{
    uint8_t bytes[2048];
    char subject[SUBJECT_MAX];

    assert_true(protobuf_c_message_get_packed_size(m) <= sizeof(bytes));
    const size_t size = protobuf_c_message_pack(m, bytes);
    const struct sf_bus_msg msg = {
        .subject = subject, .reply = "inbox", .data = sf_slice_of(bytes, size)};

    (void)snprintf(subject, sizeof(subject), "mesh.ctl.AsalesSERVE.%s", op);
    assert_int_equal(sf_bus_publish(w->leaf, &msg, NULL), SF_OK);
}

/* Until a request is answered; says whether an allocation has failed. */
static bool ask_control(struct api_world *w, const char *op, const ProtobufCMessage *m, long fault)
{
    bool failed;

    w->answers = 0;
    w->errors = 0;
    tell(w, op, m);
    sf_alloc_fail_after(fault, false);
    test_loop_until_count(&w->loop, &w->answers, 1, op, 10000);
    failed = sf_alloc_faults() > 0;
    sf_alloc_fail_after(-1, false);
    assert_int_equal(w->answers, 1);
    return failed;
}

static void leaves_are_answered_without_memory_too(void **state)
{
    static char domain[] = "sales";
    static char product[] = "orders";
    Sheaf__V1__ApplyRequest apply = SHEAF__V1__APPLY_REQUEST__INIT;
    Sheaf__V1__ExplainRequest explain = SHEAF__V1__EXPLAIN_REQUEST__INIT;
    unsigned restarts = 0;
    unsigned refused = 0;
    bool failed = true;
    struct api_world w;
    (void)state;

    api_world_init(&w);
    explain.owner = domain;
    explain.product = product;
    explain.major = 1;
    for (long n = 0; failed; n++) { /* there is no grant: always an error, always one */
        failed = ask_control(&w, "access.explain", &explain.base, n);
        assert_int_equal(w.errors, 1);
    }
    apply.domain = domain;
    apply.product_yaml = sf_control_data(sf_slice_text(ORDERS_WITH("1.1.0", "")));
    failed = true;
    for (long n = 0; failed; n++) {
        const size_t before = w.stream.count;

        failed = ask_control(&w, "product.apply", &apply.base, n);
        refused += w.errors;
        if (w.errors == 0) {
            assert_non_null(strstr(w.last, "1.1.0"));
            assert_int_equal(w.stream.count, before + 1);
        }
        restarts += restart_if_failed(&w);
        assert_whole(&w);
        if (w.stream.count > before) { /* the same again would be no change */
            api_world_done(&w);
            api_world_init(&w);
        }
    }
    assert_true(refused > 5 && restarts > 0);
    api_world_done(&w);
}

/* Two bytes of a message are a head of 150 in memory: a leaf that is not what it should be sends
 * millions of them. */
static void a_request_that_takes_much_room_when_it_is_read_is_refused(void **state)
{
    enum { HEADS = 1000 * 1000 };
    SF_CLEANUP(sf_buf_done) struct sf_buf poll = {0};
    struct api_world w;
    (void)state;

    api_world_init(&w);
    sf_buf_text(&poll, "\x0a\x05sales");
    for (size_t i = 0; i < HEADS; i++) {
        sf_buf_append(&poll, "\x1a\x00", 2);
    }
    assert_int_equal(sf_bus_publish(w.leaf,
                                    &(struct sf_bus_msg){.subject = "mesh.ctl.AsalesSERVE.poll",
                                                         .reply = "inbox",
                                                         .data = sf_buf_view(&poll)},
                                    NULL),
                     SF_OK);
    test_loop_until_count(&w.loop, &w.answers, 1, "an answer", 30000);
    assert_int_equal(w.errors, 1);
    assert_null(lease_find(&w.state.leases, "sales")->heads);
    api_world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_without_memory_are_refused_and_the_next_is_answered),
        cmocka_unit_test(changes_without_memory_are_made_once_or_not_at_all),
        cmocka_unit_test(denials_without_memory_are_made_once_or_not_at_all),
        cmocka_unit_test(approvals_without_memory_are_made_once_or_not_at_all),
        cmocka_unit_test(revocations_without_memory_are_made_once_or_not_at_all),
        cmocka_unit_test(a_server_of_claims_that_is_silent_is_waited_for_and_told_of),
        cmocka_unit_test(a_policy_and_a_version_that_are_not_there_have_numbers_of_their_own),
        cmocka_unit_test(a_change_of_policies_is_told_for_each_version_in_force_once),
        cmocka_unit_test(leaves_are_answered_without_memory_too),
        cmocka_unit_test(a_request_that_takes_much_room_when_it_is_read_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
