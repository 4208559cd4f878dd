/* The hub and its nats-server die and come back; the log is read, checked, and damage is found. */
#include "tests/integration/hub_test.h"

#include "tests/lib/cmocka.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/bus/bus_nats.h"
#include "common/sys/encoding.h"
#include "common/sys/file.h"
#include "hub/claims/account_claims.h"
#include "hub/events/event.h"

#define PRODUCT                                                                                    \
    "sheaf: product/v1\nproduct: sales/orders\nversion: 1.0.0\nstatus: active\n"                   \
    "owner: team-sales\ndescription: Orders placed in the web shop, one row per order.\n"          \
    "tables:\n  orders:\n    kind: event\n    fields:\n      a: {number: 1, type: string}\n"

#define REQUEST                                                                                    \
    "{\"product\":\"sales/orders\",\"purpose\":\"churn model\",\"duration_us\":7776000000000}"

struct mesh {
    struct hub_test hub;
    struct hub_domain sales;
    struct hub_domain marketing;
};

static void mesh_init(struct mesh *m)
{
    struct hub_answer a;

    hub_test_init(&m->hub);
    hub_domain_init(&m->hub, &m->sales, "sales", 0x51);
    hub_domain_init(&m->hub, &m->marketing, "marketing", 0x61);
    hub_domain_join(&m->sales);
    hub_domain_join(&m->marketing);
    assert_true(hub_domain_apply(&m->sales, PRODUCT, false).changed);
    a = hub_call_domain(&m->marketing, "POST", "/v1/access/requests", REQUEST);
    assert_int_equal(a.status, 201);
    hub_answer_done(&a);
}

static void mesh_done(struct mesh *m)
{
    hub_domain_done(&m->sales);
    hub_domain_done(&m->marketing);
    hub_test_done(&m->hub);
}

/* The bodies of what can be read of the state, one behind the other. */
static void read_state(struct mesh *m, struct sf_buf *ret)
{
    static const char *const paths[] = {"/v1/mesh", "/v1/products/sales/orders", "/v1/access",
                                        "/v1/audit?limit=1000"};

    for (size_t i = 0; i < SF_COUNT(paths); i++) {
        struct hub_answer a = hub_call_platform(&m->hub, "GET", paths[i], NULL);

        assert_int_equal(a.status, 200);
        sf_buf_slice(ret, sf_buf_view(&a.body));
        sf_buf_byte(ret, '\n');
        hub_answer_done(&a);
    }
}

static void expect_next_poll(struct mesh *m)
{
    size_t before = m->sales.polls;

    test_loop_until_count(&m->hub.loop, &m->sales.polls, before + 2, "the leaf polls again", 15000);
}

static void test_a_killed_hub_comes_back_to_the_same_state(void **state)
{
    struct mesh m;
    struct sf_buf before = {0};
    struct sf_buf after = {0};
    struct hub_answer a;

    (void)state;
    mesh_init(&m);
    read_state(&m, &before);
    for (unsigned i = 0; i < 3; i++) {
        proc_kill(&m.hub.proc);
        hub_test_start(&m.hub);
    }
    read_state(&m, &after);
    assert_string_equal(sf_buf_cstr(&after), sf_buf_cstr(&before));
    expect_next_poll(&m);
    a = hub_call_domain(&m.marketing, "GET", "/v1/domains/sales", NULL);
    hub_expect_text(&a, "leaf.state", "up");
    hub_answer_done(&a);
    sf_buf_done(&before);
    sf_buf_done(&after);
    mesh_done(&m);
}

/* The one child of the hub. */
static int nats_pid(const struct hub_test *h)
{
    char path[64];
    struct sf_buf text = {0};
    int pid = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", h->proc.pid, h->proc.pid);
    assert_int_equal(sf_file_read(path, 4096, &text, NULL), SF_OK);
    for (size_t i = 0; i < text.size && text.data[i] >= '0' && text.data[i] <= '9'; i++) {
        pid = pid * 10 + (text.data[i] - '0');
    }
    sf_buf_done(&text);
    return pid;
}

static void test_a_killed_nats_server_is_started_again(void **state)
{
    struct mesh m;
    struct hub_answer a;
    int pid;

    (void)state;
    mesh_init(&m);
    pid = nats_pid(&m.hub);
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    /* A change that is asked for meanwhile waits until the log answers, and is made once. */
    a = hub_call_platform(&m.hub, "POST", "/v1/join-tokens", "{\"domain\":\"finance\"}");
    assert_int_equal(a.status, 201);
    hub_answer_done(&a);
    assert_true(nats_pid(&m.hub) != pid);
    expect_next_poll(&m);
    a = hub_call_platform(&m.hub, "GET", "/v1/status", NULL);
    hub_expect_text(&a, "nats.state", "up");
    hub_answer_done(&a);
    a = hub_call_platform(&m.hub, "GET", "/v1/audit?after=7", NULL);
    assert_int_equal(sf_json_count(sf_json_get(a.root, "items")), 1);
    hub_answer_done(&a);
    mesh_done(&m);
}

static void decode(const struct sf_json *item, const char *name, struct sf_buf *ret)
{
    struct sf_slice text;

    assert_true(sf_json_as_slice(sf_json_get(item, name), &text));
    assert_int_equal(sf_buf_decode(ret, SF_BASE64, text, NULL), SF_OK);
}

static void test_the_audit_log_verifies_from_the_first_event(void **state)
{
    struct mesh m;
    struct event_chain chain = {0};
    struct sf_arena arena;
    struct hub_answer a;
    size_t n = 0;

    (void)state;
    mesh_init(&m);
    sf_arena_init(&arena, 0);
    for (;;) {
        char path[64];
        size_t items;

        (void)snprintf(path, sizeof(path), "/v1/audit?after=%zu&limit=3", n);
        a = hub_call_platform(&m.hub, "GET", path, NULL);
        assert_int_equal(a.status, 200);
        items = sf_json_count(sf_json_get(a.root, "items"));
        for (struct sf_json_iter it = sf_json_iter(sf_json_get(a.root, "items"));
             sf_json_next(&it);) {
            Sheaf__V1__Signed s = SHEAF__V1__SIGNED__INIT;
            struct sf_buf payload = {0};
            struct sf_buf signature = {0};
            struct sf_buf key = {0};
            struct event_record record;
            struct sf_error err;
            uint8_t bytes[8192];

            decode(it.value, "payload", &payload);
            decode(it.value, "signature", &signature);
            decode(it.value, "key", &key);
            s.payload = (ProtobufCBinaryData){payload.size, payload.data};
            s.signature = (ProtobufCBinaryData){signature.size, signature.data};
            s.key = (ProtobufCBinaryData){key.size, key.data};
            if (event_open(&chain, &m.hub.keys.hub_key.public_key,
                           sf_slice_of(bytes, sheaf__v1__signed__pack(&s, bytes)), &arena, &record,
                           &err) != SF_OK) {
                fail_msg("%s", err.text);
            }
            sf_buf_done(&payload);
            sf_buf_done(&signature);
            sf_buf_done(&key);
            n++;
        }
        hub_answer_done(&a);
        if (items == 0) {
            break;
        }
    }
    assert_int_equal(n, 7);
    assert_int_equal(chain.number, 7);
    sf_arena_done(&arena);
    mesh_done(&m);
}

static void expect_logged(const struct hub_test *h, const char *what)
{
    char *log = proc_log(&h->proc);

    if (strstr(log, what) == NULL) {
        fail_msg("'%s' is not in the log: %s", what, log);
    }
    sf_free(log);
}

static void expect_refused_start(struct hub_test *h, const char *why)
{
    assert_int_equal(hub_test_start_fails(h), 1);
    expect_logged(h, why);
}

/* Writes a message into the stream with the rights of the hub process, as an intruder could. */
static void intrude(struct hub_test *h, struct sf_slice bytes)
{
    struct sf_seed user = {0};
    struct sf_buf jwt = {0};
    struct sf_bus *bus;
    const struct sf_bus_msg m = {.subject = "hub.events", .data = bytes};
    struct sf_error err;

    assert_int_equal(sf_seed_generate(&user, &err), SF_OK);
    assert_int_equal(claims_hub_user(&h->keys, "MESH", &user.public_key, 1000000000, &jwt, &err),
                     SF_OK);
    bus = hub_test_dial(h, &user, sf_buf_cstr(&jwt));
    hub_test_ask(h, bus, &m);
    hub_test_close(h, bus);
    sf_buf_done(&jwt);
    sf_seed_done(&user);
}

static void test_an_event_that_somebody_else_wrote_is_found(void **state)
{
    struct hub_test h;
    struct hub_answer a;

    (void)state;
    hub_test_init(&h);
    intrude(&h, SF_LITERAL("sales may see everything"));
    /* The running hub sees at its next change that it is not alone, and stops at once: what it had
     * to say may still have gone out. */
    a = hub_call_platform(&h, "POST", "/v1/join-tokens", "{\"domain\":\"sales\"}");
    assert_true(a.status == 0 || a.status == 409);
    hub_answer_done(&a);
    assert_int_equal(proc_wait_exit(&h.proc, 10000), 6);
    expect_logged(&h, "event 2 was written by another hub");
    expect_refused_start(&h, "event 2: it is not a signed message");
    hub_test_done(&h);
}

static void test_a_changed_byte_on_the_disk_is_found(void **state)
{
    static const char needle[] = "churn model";
    struct mesh m;
    struct sf_buf block = {0};
    char path[4300];
    uint8_t *at;

    (void)state;
    mesh_init(&m);
    proc_signal(&m.hub.proc, SIGTERM);
    assert_int_equal(proc_wait_exit(&m.hub.proc, 10000), 0);
    hub_test_block_path(&m.hub, path, sizeof(path));
    assert_int_equal(sf_file_read(path, 1 << 24, &block, NULL), SF_OK);
    at = memmem(block.data, block.size, needle, sizeof(needle) - 1);
    assert_non_null(at);
    *at = 'C';
    assert_int_equal(sf_file_write(path, sf_buf_view(&block), 0600, NULL), SF_OK);
    sf_buf_done(&block);
    expect_refused_start(&m.hub, "error=\"event 7 of 7 is missing\"");
    mesh_done(&m);
}

static void test_a_second_hub_on_the_same_directory_is_refused(void **state)
{
    struct hub_test h;
    struct hub_test second;

    (void)state;
    hub_test_init(&h);
    second = h;
    assert_int_equal(hub_test_start_fails(&second), 6);
    assert_true(h.proc.pid > 0);
    hub_test_done(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_killed_hub_comes_back_to_the_same_state),
        cmocka_unit_test(test_a_killed_nats_server_is_started_again),
        cmocka_unit_test(test_the_audit_log_verifies_from_the_first_event),
        cmocka_unit_test(test_an_event_that_somebody_else_wrote_is_found),
        cmocka_unit_test(test_a_changed_byte_on_the_disk_is_found),
        cmocka_unit_test(test_a_second_hub_on_the_same_directory_is_refused),
    };

    return cmocka_run_group_tests_name("hub_restart", tests, NULL, NULL);
}
