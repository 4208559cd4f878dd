/* Reads over HTTP when memory runs out: each allocation fails once, and nothing stays behind. */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "leaf/query/follow.h"
#include "tests/unit/query/http_fixture.h"

/* A cursor is sealed anew each time: it is there or not. */
static void blank_cursor(struct call *c)
{
    char *at = strstr(c->text, "\"cursor\":\"");

    if (at != NULL && at[10] != '"') {
        at += 10;
        memmove(at + 1, strchr(at, '"'), strlen(strchr(at, '"')) + 1);
        *at = 'C';
    }
}

/* Also of the connection, which ends with the answer. */
static bool ask(struct fixture *f, const struct call *call, long fault)
{
    bool failed;

    sf_alloc_fail_after(fault, false);
    run_raw(f, *call);
    test_loop_until(&f->loop, is_quiet, f, "quiet", 10000);
    failed = sf_alloc_faults() > 0;
    sf_alloc_fail_after(-1, false);
    blank_cursor(&f->call);
    assert_int_equal(follows_count(queries_follows(f->queries)), 0);
    return failed;
}

/* The whole answer; a refusal; or a connection that ends too early, as the client can see. */
static void assert_honest(const struct call *c, const struct call *whole)
{
    if (c->status == 200 && c->is_complete && strstr(c->text, "\"event\":\"error\"") == NULL) {
        assert_string_equal(c->text, whole->text);
        assert_int_equal(strcmp(c->cursor, "-"), strcmp(whole->cursor, "-"));
    } else if (c->status != 200 && c->status != 0) {
        assert_true(c->status == 429 || c->status == 500 || c->status == 503);
        assert_true(c->is_complete);
    }
}

static void sweep(struct fixture *f, const char *path, const char *accept)
{
    const struct call call = {.method = "GET", .path = path, .accept = accept};
    static struct call whole;
    long n;

    assert_false(ask(f, &call, -1));
    if (f->call.status != 200 || !f->call.is_complete) {
        fail_msg("%s: %u %s", path, f->call.status, f->call.text);
    }
    whole = f->call;
    for (n = 0; ask(f, &call, n); n++) {
        assert_honest(&f->call, &whole);
    }
    assert_int_equal(f->call.status, 200);
    assert_string_equal(f->call.text, whole.text);
    assert_true(n > 5);
}

static void reads_without_memory_are_refused_and_the_next_is_answered(void **state)
{
    static const char *const paths[] = {
        "/orders/records?select=order_id,note&limit=2",       "/orders/records/b?select=note",
        "/orders/records?where=note%20%3D%20%272%27",         "/orders/changes?after=1:1&limit=1",
        "/orders/changes?snapshot=true&select=order_id,note", "/orders/quarantine?limit=2",
    };
    struct fixture f;
    char path[200];
    (void)state;

    setup(&f);
    put_three(&f);
    post(&f, "/orders/records", NDJSON, "{\"order_id\":1}\n", 200);
    for (size_t i = 0; i < SF_COUNT(paths); i++) {
        sweep(&f, paths[i], "application/json");
        if (strstr(paths[i], "quarantine") == NULL) {
            (void)snprintf(path, sizeof(path), "%s%crelay=1", paths[i],
                           strchr(paths[i], '?') == NULL ? '?' : '&');
            sweep(&f, path, "application/x-ndjson");
        }
    }
    sweep(&f, "/orders/describe?relay=1", NULL);
    sweep(&f, "/orders/records", "text/csv");
    teardown(&f);
}

static uint64_t head_of_orders(const struct fixture *f)
{
    return store_lane_head(f->serving.products.versions[0]->tables[0].lane)->seq;
}

static void records_without_memory_are_refused_and_none_of_them_is_stored(void **state)
{
    const struct call call = {.method = "POST",
                              .path = "/orders/records",
                              .type = NDJSON,
                              .body = SF_LITERAL("{\"order_id\":\"z\"}\n")};
    uint64_t head = 0;
    unsigned refused = 0;
    struct fixture f;
    (void)state;

    setup(&f);
    for (long n = 0; ask(&f, &call, n); n++) {
        if (f.call.status == 200 && f.call.is_complete) {
            head++;
        } else if (f.call.status != 0 && f.call.status != 200) {
            assert_int_equal(f.call.status, 429);
            refused++;
        } else {
            head = head_of_orders(&f); /* nobody told: either */
        }
        assert_int_equal(head_of_orders(&f), head);
    }
    assert_true(refused > 5);
    assert_int_equal(f.call.status, 200);
    assert_int_equal(head_of_orders(&f), head + 1);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_without_memory_are_refused_and_the_next_is_answered),
        cmocka_unit_test(records_without_memory_are_refused_and_none_of_them_is_stored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
