/* Rows whose answers stand ready (get_cache.h), as those who ask over NATS see them. */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "leaf/query/get_cache.h"
#include "tests/unit/query/nats_fixture.h"

#define OWN_A     "q.sales.orders.get", "{\"table\":\"orders\",\"key\":[\"a\"]}"
#define GRANTED_A "dpq.sales." WORLD_ACCOUNT ".orders.get", "{\"table\":\"orders\",\"key\":[\"a\"]}"

static uint64_t hits(const struct fixture *f)
{
    return get_cache_stats(queries_get_cache(f->queries)).hits;
}

static void a_row_that_is_asked_for_again_is_what_a_reader_would_see(void **state)
{
    struct fixture f;
    static char owners[sizeof(f.answer)];
    static char granted[sizeof(f.answer)];

    (void)state;
    setup(&f);
    put_two(&f);
    for (unsigned i = 0; i < 4; i++) {
        ask(&f, OWN_A);
        if (i > 0) {
            assert_string_equal(f.answer, owners);
        }
        (void)snprintf(owners, sizeof(owners), "%s", f.answer);
        assert_string_equal(f.position, "1:2");
        assert_string_equal(f.head, "1:2");
        assert_string_equal(f.count, "1");
        assert_string_equal(f.cursor, "-");
        ask(&f, GRANTED_A);
        if (i > 0) {
            assert_string_equal(f.answer, granted);
        }
        (void)snprintf(granted, sizeof(granted), "%s", f.answer);
    }
    assert_int_equal(hits(&f), 4);
    assert_non_null(strstr(owners, "x@y.no"));
    assert_null(strstr(granted, "email"));
    /* Another row moves the position and nothing else. */
    leaf_world_write(&f.w, leaf_world_table(&f.w, "orders"),
                     "{\"op\":\"upsert\",\"row\":{\"order_id\":\"new\"}}\n");
    ask(&f, OWN_A);
    assert_string_equal(f.answer, owners);
    assert_string_equal(f.position, "1:3");
    assert_string_equal(f.head, "1:3");
    /* An answer with other columns is another answer. */
    ask(&f, "q.sales.orders.get", "{\"table\":\"orders\",\"key\":[\"a\"],\"select\":[\"note\"]}");
    assert_string_equal(f.answer, "{\"note\":null}\n");
    teardown(&f);
}

static void a_kept_row_that_changes_is_read_anew(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    put_two(&f);
    for (unsigned i = 0; i < 3; i++) {
        ask(&f, OWN_A);
        ask(&f, GRANTED_A);
    }
    leaf_world_write(&f.w, leaf_world_table(&f.w, "orders"),
                     "{\"op\":\"upsert\",\"row\":{\"order_id\":\"a\",\"note\":\"second\"}}\n");
    for (unsigned i = 0; i < 2; i++) {
        ask(&f, OWN_A);
        assert_non_null(strstr(f.answer, "\"note\":\"second\""));
        assert_string_equal(f.position, "1:3");
        ask(&f, GRANTED_A);
        assert_non_null(strstr(f.answer, "\"note\":\"second\""));
    }
    leaf_world_write(&f.w, leaf_world_table(&f.w, "orders"),
                     "{\"op\":\"delete\",\"row\":{\"order_id\":\"a\"}}\n");
    ask(&f, OWN_A);
    assert_error(&f, "SHEAF-E0305", "404");
    ask(&f, GRANTED_A);
    assert_error(&f, "SHEAF-E0305", "404");
    leaf_world_write(&f.w, leaf_world_table(&f.w, "orders"),
                     "{\"op\":\"upsert\",\"row\":{\"order_id\":\"a\",\"note\":\"third\"}}\n");
    ask(&f, OWN_A);
    assert_non_null(strstr(f.answer, "\"note\":\"third\""));
    teardown(&f);
}

static void a_kept_row_is_for_those_who_may_see_it_now(void **state)
{
    static const struct world_grant narrow = {.id = "G-2", .columns = {"order_id"}};
    struct world_grant brief = {.id = "G-3"};
    struct fixture f;

    (void)state;
    setup(&f);
    put_two(&f);
    for (unsigned i = 0; i < 3; i++) {
        ask(&f, GRANTED_A);
    }
    assert_true(hits(&f) > 0);
    leaf_world_grant(&f.w,
                     &(struct world_bundle){.version = 2, .grants = &narrow, .grant_count = 1});
    ask(&f, GRANTED_A); /* other columns */
    assert_string_equal(f.answer, "{\"order_id\":\"a\"}\n");
    ask(&f, GRANTED_A);
    leaf_world_grant(&f.w, &(struct world_bundle){.version = 3}); /* revoked */
    ask(&f, GRANTED_A);
    assert_error(&f, "SHEAF-E0401", "403");
    brief.until_us = leaf_world_now(&f.w) + 60 * SF_US_PER_S;
    leaf_world_grant(&f.w,
                     &(struct world_bundle){.version = 4, .grants = &brief, .grant_count = 1});
    ask(&f, GRANTED_A);
    ask(&f, GRANTED_A);
    ask(&f, GRANTED_A);
    assert_string_equal(f.error, "-");
    rt_sim_run_for(&f.w.stores.sim, 61 * SF_NS_PER_S); /* it ends */
    ask(&f, GRANTED_A);
    assert_error(&f, "SHEAF-E0401", "403");
    rt_sim_run_for(&f.w.stores.sim, 3600 * SF_NS_PER_S); /* so does the bundle */
    ask(&f, GRANTED_A);
    assert_error(&f, "SHEAF-E0707", "503");
    ask(&f, OWN_A);
    assert_non_null(strstr(f.answer, "x@y.no"));
    teardown(&f);
}

#define MASK(how)    "---\nsheaf: policy/v1\nname: emails\nmatch: {field: email}\nmask: " how "\n"
#define FILTER(what) "---\nsheaf: policy/v1\nname: rows\nmatch: all\nfilter: \"" what "\"\n"

/* Until its answer is one that was kept. */
static void ask_kept(struct fixture *f)
{
    const uint64_t before = hits(f);

    for (unsigned i = 0; i < 4; i++) {
        ask(f, GRANTED_A);
    }
    assert_true(hits(f) >= before + 2);
}

static void a_kept_row_is_masked_as_the_policies_in_force_say(void **state)
{
    static char hash[sizeof(((struct fixture *)NULL)->answer)];
    struct fixture f;

    (void)state;
    setup(&f);
    f.w.serving.mask_secret = &f.w.domain;
    put_two(&f);
    leaf_world_policies(&f.w, MASK("keep_domain"));
    ask_kept(&f);
    assert_non_null(strstr(f.answer, "\"email\":\"***@y.no\""));
    ask(&f, OWN_A);
    ask(&f, OWN_A);
    ask(&f, OWN_A);
    assert_non_null(strstr(f.answer, "\"email\":\"x@y.no\""));
    leaf_world_policies(&f.w, MASK("redact"));
    ask(&f, GRANTED_A);
    assert_non_null(strstr(f.answer, "\"email\":\"***\""));
    ask_kept(&f);
    assert_non_null(strstr(f.answer, "\"email\":\"***\""));
    leaf_world_policies(&f.w, "");
    ask(&f, GRANTED_A);
    assert_null(strstr(f.answer, "email"));
    ask_kept(&f);
    assert_null(strstr(f.answer, "email"));
    leaf_world_policies(&f.w, MASK("hash"));
    ask_kept(&f);
    (void)snprintf(hash, sizeof(hash), "%s", f.answer);
    f.w.serving.mask_secret = &f.w.stranger; /* another key */
    serving_keys_changed(&f.w.serving);
    ask(&f, GRANTED_A);
    assert_non_null(strstr(f.answer, "\"email\":\""));
    assert_string_not_equal(f.answer, hash);
    teardown(&f);
}

static void a_kept_row_is_gone_when_a_filter_leaves_it_out(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    put_two(&f);
    leaf_world_write(&f.w, leaf_world_table(&f.w, "orders"),
                     "{\"op\":\"upsert\",\"row\":{\"order_id\":\"a\",\"note\":\"open\"}}\n");
    ask_kept(&f);
    leaf_world_policies(&f.w, FILTER("note = 'closed'"));
    ask(&f, GRANTED_A);
    assert_error(&f, "SHEAF-E0305", "404");
    leaf_world_policies(&f.w, FILTER("note = 'open'"));
    ask(&f, GRANTED_A);
    assert_non_null(strstr(f.answer, "\"note\":\"open\""));
    ask_kept(&f);
    /* The row itself leaves what the filter lets through, and comes back. */
    leaf_world_write(&f.w, leaf_world_table(&f.w, "orders"),
                     "{\"op\":\"upsert\",\"row\":{\"order_id\":\"a\",\"note\":\"closed\"}}\n");
    for (unsigned i = 0; i < 3; i++) {
        ask(&f, GRANTED_A);
        assert_error(&f, "SHEAF-E0305", "404");
    }
    ask(&f, OWN_A);
    assert_non_null(strstr(f.answer, "\"note\":\"closed\""));
    leaf_world_write(&f.w, leaf_world_table(&f.w, "orders"),
                     "{\"op\":\"upsert\",\"row\":{\"order_id\":\"a\",\"note\":\"open\"}}\n");
    ask(&f, GRANTED_A);
    assert_non_null(strstr(f.answer, "\"note\":\"open\""));
    teardown(&f);
}

/* Who does not see the key is told so, whatever others have asked for. */
static void a_kept_row_is_not_found_by_a_key_that_is_masked(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    f.w.serving.mask_secret = &f.w.domain;
    put_two(&f);
    ask_kept(&f);
    ask(&f, OWN_A);
    ask(&f, OWN_A);
    ask(&f, OWN_A);
    leaf_world_policies(&f.w, "---\nsheaf: policy/v1\nname: ids\nmatch: {field: order_id}\n"
                              "mask: hash\n");
    for (unsigned i = 0; i < 3; i++) {
        ask(&f, GRANTED_A);
        assert_error(&f, "SHEAF-E0416", "403");
    }
    teardown(&f);
}

static void a_kept_row_is_shown_as_the_contract_in_force_has_it(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    put_two(&f);
    for (unsigned i = 0; i < 3; i++) {
        ask(&f, OWN_A);
        ask(&f, GRANTED_A);
    }
    (void)leaf_world_add(&f.w, world_orders_newer);
    ask(&f, OWN_A);
    assert_non_null(strstr(f.answer, "\"country\":null"));
    ask(&f, GRANTED_A);
    assert_non_null(strstr(f.answer, "\"country\":null"));
    assert_int_equal(product_set_remove(&f.w.serving.products,
                                        &(struct product_removal){.product = "orders", .major = 1},
                                        NULL),
                     SF_OK);
    ask(&f, OWN_A);
    assert_error(&f, "SHEAF-E0302", "404");
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_that_is_asked_for_again_is_what_a_reader_would_see),
        cmocka_unit_test(a_kept_row_that_changes_is_read_anew),
        cmocka_unit_test(a_kept_row_is_for_those_who_may_see_it_now),
        cmocka_unit_test(a_kept_row_is_masked_as_the_policies_in_force_say),
        cmocka_unit_test(a_kept_row_is_gone_when_a_filter_leaves_it_out),
        cmocka_unit_test(a_kept_row_is_not_found_by_a_key_that_is_masked),
        cmocka_unit_test(a_kept_row_is_shown_as_the_contract_in_force_has_it),
    };

    return cmocka_run_group_tests_name("kept", tests, NULL, NULL);
}
