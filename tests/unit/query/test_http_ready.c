/* Answers to reads of one row that stand ready, and what they must not miss. */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "leaf/query/get_cache.h"
#include "tests/lib/leaf_world.h"
#include "tests/lib/raw_http.h"
#include "tests/unit/query/http_fixture.h"

static uint64_t hits(const struct fixture *f)
{
    return get_cache_stats(queries_get_cache(f->queries)).hits;
}

/* Until its answer is one that stood ready. */
static void get_ready(struct fixture *f, const char *path)
{
    const uint64_t before = hits(f);

    for (unsigned i = 0; i < 4; i++) {
        get(f, path, NULL, 200);
    }
    assert_true(hits(f) >= before + 2);
}

static void a_row_that_is_asked_for_again_has_the_answer_of_the_first(void **state)
{
    static struct call first;
    struct fixture f;
    (void)state;

    setup(&f);
    put_three(&f);
    get(&f, "/orders/records/b", NULL, 200);
    first = f.call;
    get_ready(&f, "/orders/records/b");
    assert_string_equal(f.call.text, first.text);
    assert_string_equal(f.call.answer_type, "application/json");
    assert_string_equal(f.call.position, "1:3");
    assert_string_equal(f.call.head, "1:3");
    assert_string_equal(f.call.etag, first.etag);
    assert_string_equal(f.call.view, first.view);
    assert_string_equal(f.call.contract, "1.0.0");
    assert_string_equal(f.call.deprecated, "-");
    run(&f,
        (struct call){.method = "GET", .path = "/orders/records/b", .if_none_match = first.etag});
    assert_int_equal(f.call.status, 304);
    assert_string_equal(f.call.text, "");
    assert_string_equal(f.call.etag, first.etag);
    /* Forms and columns that differ are other answers. */
    get(&f, "/orders/records/b", NDJSON, 200);
    assert_string_equal(f.call.answer_type, NDJSON);
    assert_string_not_equal(f.call.etag, first.etag);
    get(&f, "/orders/records/b", CSV, 200);
    assert_string_equal(f.call.text, "order_id,amount,note,email,token\nb,,2,,\n");
    get(&f, "/orders/records/b?select=note", NULL, 200);
    assert_string_equal(f.call.text, "{\"note\":\"2\"}\n");
    get(&f, "/orders/records/b?as_of=1:1", NULL, 404);
    teardown(&f);
}

static void a_ready_answer_is_that_of_the_newest_commit(void **state)
{
    static struct call first;
    struct fixture f;
    char note[80];
    (void)state;

    setup(&f);
    put_three(&f);
    get_ready(&f, "/orders/records/b");
    first = f.call;
    /* Another row: the same row at another position, which is another ETag. */
    post(&f, "/orders/records", NDJSON, "{\"order_id\":\"e\"}\n", 200);
    get(&f, "/orders/records/b", NULL, 200);
    assert_string_equal(f.call.text, first.text);
    assert_string_equal(f.call.position, "1:4");
    assert_string_equal(f.call.head, "1:4");
    assert_string_not_equal(f.call.etag, first.etag);
    run(&f,
        (struct call){.method = "GET", .path = "/orders/records/b", .if_none_match = first.etag});
    assert_int_equal(f.call.status, 200);
    /* This row: each write is seen by the get behind its answer. */
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(note, sizeof(note), "{\"order_id\":\"b\",\"note\":\"n%u\"}\n", i);
        post(&f, "/orders/records", NDJSON, note, 200);
        (void)snprintf(note, sizeof(note), "\"note\":\"n%u\"", i);
        for (unsigned k = 0; k < 3; k++) {
            get(&f, "/orders/records/b", NULL, 200);
            assert_non_null(strstr(f.call.text, note));
        }
        (void)snprintf(note, sizeof(note), "1:%u", i + 5);
        assert_string_equal(f.call.position, note);
    }
    post(&f, "/orders/records?envelope=change", NDJSON,
         "{\"op\":\"delete\",\"row\":{\"order_id\":\"b\"}}\n", 200);
    get(&f, "/orders/records/b", NULL, 404);
    teardown(&f);
}

/* What is ready for one of them is the head. */
static void rows_have_their_own_bodies_in_ready_answers(void **state)
{
    enum { ROWS = 30 };
    struct fixture f;
    char path[64];
    char body[200];
    struct get_cache_stats s;
    (void)state;

    setup(&f);
    for (unsigned i = 0; i < ROWS; i++) { /* two of each size */
        (void)snprintf(body, sizeof(body), "{\"order_id\":\"r%02u\",\"note\":\"%0*u\"}\n", i,
                       (int)(i / 2) + 2, i);
        post(&f, "/orders/records", NDJSON, body, 200);
    }
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < ROWS; i++) {
            (void)snprintf(path, sizeof(path), "/orders/records/r%02u", i);
            get(&f, path, NULL, 200);
            (void)snprintf(body, sizeof(body),
                           "{\"order_id\":\"r%02u\",\"amount\":null,\"note\":\"%0*u\","
                           "\"email\":null,\"token\":null}\n",
                           i, (int)(i / 2) + 2, i);
            assert_string_equal(f.call.text, body);
            assert_string_equal(f.call.position, "1:30");
        }
    }
    s = get_cache_stats(queries_get_cache(f.queries));
    assert_int_equal(s.hits, 3 * ROWS);
    assert_true(s.bytes > 0 && s.bytes <= s.bytes_max);
    get_cache_set_max(queries_get_cache(f.queries), 0);
    assert_int_equal(get_cache_stats(queries_get_cache(f.queries)).bytes, 0);
    get(&f, path, NULL, 200);
    assert_string_equal(f.call.text, body);
    teardown(&f);
}

/* As many as there is room for heads, and more: each has its own. */
static void a_ready_answer_names_the_contract_in_force(void **state)
{
    struct fixture f;
    char version[16];
    (void)state;

    setup(&f);
    put_three(&f);
    for (unsigned i = 1; i < 10; i++) {
        SF_CLEANUP(sf_freep) char *newer = sf_strdup(world_orders);

        strstr(newer, "1.0.0\n")[2] = (char)('0' + i);
        assert_int_equal(product_set_add(&f.serving.products, i + 1, sf_slice_text(newer), NULL),
                         SF_OK);
        (void)snprintf(version, sizeof(version), "1.%u.0", i);
        get_ready(&f, "/orders/records/b");
        assert_string_equal(f.call.contract, version);
    }
    teardown(&f);
}

static void a_ready_answer_says_what_the_product_says(void **state)
{
    SF_CLEANUP(sf_freep) char *newer = sf_strdup(world_orders);
    struct sf_buf yaml = {0};
    struct fixture f;
    char *at;
    (void)state;

    setup(&f);
    put_three(&f);
    get_ready(&f, "/orders/records/b");
    at = strstr(newer, "1.0.0\nstatus: active\n");
    *at = '\0';
    sf_buf_printf(
        &yaml,
        "%s1.1.0\nstatus: deprecated\ndeprecated: {since: 2026-11-20, sunset: 2027-03-01}\n%s",
        newer, at + strlen("1.0.0\nstatus: active\n"));
    assert_int_equal(product_set_add(&f.serving.products, 2, sf_buf_view(&yaml), NULL), SF_OK);
    get_ready(&f, "/orders/records/b");
    assert_string_equal(f.call.contract, "1.1.0");
    assert_string_equal(f.call.deprecated,
                        "status=deprecated; since=2026-11-20; sunset=2027-03-01");
    assert_string_equal(f.call.sunset, "Mon, 01 Mar 2027 23:59:59 GMT");
    assert_int_equal(product_set_remove(&f.serving.products,
                                        &(struct product_removal){.product = "orders", .major = 1},
                                        NULL),
                     SF_OK);
    run(&f, (struct call){.method = "GET", .path = "/orders/records/b"});
    assert_int_equal(f.call.status, 404);
    product_set_restore(&f.serving.products, "orders", 1);
    get(&f, "/orders/records/b", NULL, 200);
    sf_buf_done(&yaml);
    teardown(&f);
}

struct other {
    struct fixture *f;
    struct sf_work work;
    struct raw_http_answer answer;
    bool done;
};

/* Query thread. */
static void ask_other(struct sf_work *w)
{
    struct other *o = SF_CONTAINER_OF(w, struct other, work);

    raw_http_call(sf_http_server_port(o->f->server), "GET", "/orders/records/a", "",
                  sf_slice_text(NULL), &o->answer);
}

static void other_done(struct sf_task *t)
{
    SF_CONTAINER_OF(t, struct other, work.done)->done = true;
}

/* Rows of one size have one head, which is one request's until its answer is sent. */
static void a_row_is_answered_while_another_with_its_head_is_being_sent(void **state)
{
    static struct other other;
    struct fixture f;
    uint64_t before;
    (void)state;

    setup(&f);
    put_three(&f);
    get_ready(&f, "/orders/records/a");
    get_ready(&f, "/orders/records/b");
    before = hits(&f);
    f.pairs = true;
    other = (struct other){
        .f = &f,
        .work = {.pool = SF_POOL_QUERY, .work = ask_other, .done.run = other_done},
    };
    sf_rt_work(f.loop.rt, &other.work);
    get(&f, "/orders/records/b", NULL, 200);
    test_loop_until_flag(&f.loop, &other.done, "the other", 15000);
    assert_int_equal(hits(&f), before + 2);
    assert_string_equal(f.call.text, "{\"order_id\":\"b\",\"amount\":null,\"note\":\"2\","
                                     "\"email\":null,\"token\":null}\n");
    assert_string_equal(f.call.position, "1:3");
    assert_int_equal(other.answer.status, 200);
    assert_string_equal(other.answer.text, "{\"order_id\":\"a\",\"amount\":null,\"note\":\"1\","
                                           "\"email\":null,\"token\":null}\n");
    f.pairs = false;
    get_ready(&f, "/orders/records/b");
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_that_is_asked_for_again_has_the_answer_of_the_first),
        cmocka_unit_test(a_ready_answer_is_that_of_the_newest_commit),
        cmocka_unit_test(rows_have_their_own_bodies_in_ready_answers),
        cmocka_unit_test(a_ready_answer_names_the_contract_in_force),
        cmocka_unit_test(a_ready_answer_says_what_the_product_says),
        cmocka_unit_test(a_row_is_answered_while_another_with_its_head_is_being_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
