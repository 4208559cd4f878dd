#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "proto/errors.h"
#include "tests/unit/publish/fixture.h"

static void every_change_goes_out_once_per_audience(void **state)
{
    static const struct world_grant grants[] = {
        {.id = "G-1", .audience = "aud1"},
        {.id = "G-2", .audience = "aud1", .account = "OTHER"}, /* Equal rights: one feed. */
        {.id = "G-3", .audience = "aud2", .columns = {"page"}},
    };
    struct fixture f;
    (void)state;

    setup(&f);
    click(&f, 2);
    assert_seen(&f, "own.clicks 1:1-2 prev 0\n");
    grant_all(&f, grants, 3); /* From now on. */
    assert_seen(&f, "");
    click(&f, 1);
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    assert_int_equal(f.seen.size, strlen("own.clicks 1:3-3 prev 2\n") + 2 * 25);
    assert_non_null(strstr(sf_buf_cstr(&f.seen), "own.clicks 1:3-3 prev 2\n"));
    assert_non_null(strstr(sf_buf_cstr(&f.seen), "aud1.clicks 1:3-3 prev 2\n"));
    assert_non_null(strstr(sf_buf_cstr(&f.seen), "aud2.clicks 1:3-3 prev 2\n"));
    teardown(&f);
}

/* Whether the audience has been sent a change. */
static bool was_sent(struct fixture *f)
{
    const char *seen = sf_buf_cstr(&f->seen);

    return seen != NULL && strstr(seen, "aud1.") != NULL;
}

static void a_revoked_audience_gets_nothing_more_even_of_what_is_under_way(void **state)
{
    static const struct world_grant one = {.id = "G-1"};
    unsigned sent = 0;
    struct fixture f;
    (void)state;

    setup(&f);
    grant_all(&f, &one, 1);
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    /* Each number of events between the commit and the revocation. */
    for (unsigned n = 0; n < 40; n++) {
        sf_buf_clear(&f.seen);
        click(&f, 1);
        for (unsigned i = 0; i < n; i++) {
            (void)rt_sim_step(&f.w.stores.sim);
        }
        grant_all(&f, NULL, 0);
        f.revoked = true;
        rt_sim_run_for(&f.w.stores.sim, 6 * SF_NS_PER_S);
        sent += was_sent(&f);
        f.revoked = false;
        grant_all(&f, &one, 1);
        rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    }
    assert_in_range(sent, 1, 39); /* before the revocation, or not at all */
    teardown(&f);
}

static void a_view_that_changes_swaps_behind_the_last_change_sent(void **state)
{
    static const struct world_grant before[] = {{.id = "G-1"}, {.id = "G-2"}};
    static const struct world_grant after[] = {{.id = "G-1", .columns = {"n"}},
                                               {.id = "G-2", .columns = {"n"}}};
    struct fixture f;
    (void)state;

    setup(&f);
    grant_all(&f, before, 2);
    click(&f, 2);
    rt_sim_run_for(&f.w.stores.sim, 20 * SF_NS_PER_MS); /* The cursor is not stored yet. */
    grant_all(&f, after, 2);
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    sf_buf_clear(&f.seen);
    click(&f, 1);
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    assert_int_equal(f.seen.size, 24 + 25); /* One message for the two grants. */
    assert_non_null(strstr(sf_buf_cstr(&f.seen), "aud1.clicks 1:3-3 prev 2\n"));

    /* What the old one could not send the new one sends. */
    fake_bus_set_connected(f.serve, false);
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    click(&f, 2);
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    sf_buf_clear(&f.seen);
    grant_all(&f, before, 2);
    fake_bus_set_connected(f.serve, true);
    assert_seen(&f, "aud1.clicks 1:4-5 prev 3\n");

    /* What the old one has sent is not sent again, although its cursor is not stored yet. */
    click(&f, 1);
    rt_sim_run_for(&f.w.stores.sim, 40 * SF_NS_PER_MS);
    sf_buf_clear(&f.seen);
    grant_all(&f, after, 2);
    assert_seen(&f, "");
    teardown(&f);
}

static void the_start_of_a_feed_is_stored_too(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    click(&f, 1); /* Its fdatasync covers the cursor. */
    rt_sim_run_for(&f.w.stores.sim, 20 * SF_NS_PER_MS);
    leaf_world_kill(&f.w);
    stop(&f);
    leaf_world_crash(&f.w, world_orders);
    sf_buf_clear(&f.seen);
    start(&f);
    assert_seen(&f, "own.clicks 1:1-1 prev 0\n");
    teardown(&f);
}

static void a_grant_ends_by_the_clock_whether_there_is_an_update_or_not(void **state)
{
    struct fixture f;
    int64_t start_us;
    (void)state;

    setup(&f);
    start_us = leaf_world_now(&f.w);
    const struct world_grant three[] = {
        {.id = "G-1", .until_us = start_us + 30 * SF_US_PER_S},
        {.id = "G-2", .account = "OTHER", .until_us = start_us + 60 * SF_US_PER_S},
        {.id = "G-3", .audience = "aud2", .until_us = start_us + 900 * SF_US_PER_S},
    };

    leaf_world_grant(&f.w, &(struct world_bundle){.version = 1,
                                                  .expires_us = start_us + 90 * SF_US_PER_S,
                                                  .grants = three,
                                                  .grant_count = 3});
    assert_int_equal(publisher_update(f.publisher, NULL), SF_OK);
    rt_sim_set_wall_us(&f.w.stores.sim, start_us + 59 * SF_US_PER_S);
    click(&f, 1);
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S / 2);
    assert_non_null(strstr(sf_buf_cstr(&f.seen), "aud1.clicks 1:1-1 prev 0\n"));
    sf_buf_clear(&f.seen);
    f.revoked = true;
    rt_sim_set_wall_us(&f.w.stores.sim, start_us + 60 * SF_US_PER_S);
    click(&f, 1);
    rt_sim_run_for(&f.w.stores.sim, 12 * SF_NS_PER_S); /* Heartbeats too. */
    assert_non_null(strstr(sf_buf_cstr(&f.seen), "aud2.clicks 1:2-2 prev 1\n"));
    sf_buf_clear(&f.seen);
    rt_sim_set_wall_us(&f.w.stores.sim, start_us + 90 * SF_US_PER_S); /* The bundle's end. */
    click(&f, 1);
    assert_seen(&f, "own.clicks 1:3-3 prev 2\n");
    assert_int_equal(publisher_update(f.publisher, NULL), SF_OK);
    click(&f, 1);
    assert_seen(&f, "own.clicks 1:4-4 prev 3\n");
    teardown(&f);
}

static void a_newer_bundle_lets_a_feed_go_on(void **state)
{
    static const struct world_grant one = {.id = "G-1"};
    struct fixture f;
    int64_t start_us;
    (void)state;

    setup(&f);
    start_us = leaf_world_now(&f.w);
    for (unsigned i = 1; i <= 3; i++) {
        leaf_world_grant(&f.w,
                         &(struct world_bundle){.version = i,
                                                .expires_us = start_us + i * 100 * SF_US_PER_S,
                                                .grants = &one,
                                                .grant_count = 1});
        assert_int_equal(publisher_update(f.publisher, NULL), SF_OK);
        rt_sim_set_wall_us(&f.w.stores.sim, start_us + (i * 100 - 10) * SF_US_PER_S);
        sf_buf_clear(&f.seen);
        click(&f, 1);
        rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
        assert_non_null(strstr(sf_buf_cstr(&f.seen), "aud1.clicks"));
    }
    teardown(&f);
}

static void a_message_that_is_read_when_its_grant_ends_is_not_sent(void **state)
{
    unsigned sent = 0;

    (void)state;
    for (unsigned n = 0; n < 20; n++) {
        struct fixture f;
        uint64_t reads;

        setup(&f);
        const struct world_grant one = {.id = "G-1",
                                        .until_us = leaf_world_now(&f.w) + 60 * SF_US_PER_S};

        grant_all(&f, &one, 1);
        rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
        click(&f, 1);
        for (unsigned i = 0; i < n; i++) {
            (void)rt_sim_step(&f.w.stores.sim);
        }
        rt_sim_set_wall_us(&f.w.stores.sim, one.until_us);
        f.revoked = true;
        reads = f.w.stores.disk.reads;
        rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
        assert_in_range(f.w.stores.disk.reads - reads, 0, 20); /* nor read again and again */
        sent += was_sent(&f);
        teardown(&f);
    }
    assert_in_range(sent, 1, 19); /* before the end, or not at all */
}

static void a_server_that_takes_nothing_holds_the_feed_where_it_is(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    fake_bus_set_connected(f.own, false);
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    click(&f, 1);
    assert_seen(&f, "");
    click(&f, 1);
    assert_seen(&f, "");
    fake_bus_set_connected(f.own, true);
    publisher_wake(f.publisher);
    assert_seen(&f, "own.clicks 1:1-2 prev 0\n");
    fake_broker_knobs(f.broker)->busy = 3;
    click(&f, 1);
    assert_seen(&f, "own.clicks 1:3-3 prev 2\n"); /* By its own retry. */
    teardown(&f);
}

static void what_nobody_listens_to_is_skipped_and_shows_as_missing(void **state)
{
    struct fixture f;
    uint64_t published;
    (void)state;

    setup(&f);
    click(&f, 1);
    assert_seen(&f, "own.clicks 1:1-1 prev 0\n");
    sf_bus_unsubscribe(f.consumer, &f.subs[1]);
    published = fake_broker_counts(f.broker).published;
    for (unsigned i = 0; i < 20; i++) {
        click(&f, 1);
        rt_sim_run_for(&f.w.stores.sim, 10 * SF_NS_PER_MS);
    }
    assert_in_range(fake_broker_counts(f.broker).published - published, 1, 6);
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S); /* The last of them are asked about too. */
    assert_int_equal(sf_bus_subscribe(f.consumer, &f.subs[1], "own.>", NULL, NULL), SF_OK);
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    assert_seen(&f, "");
    click(&f, 1);
    assert_seen(&f, "own.clicks 1:22-22 prev 21\n");
    click(&f, 1);
    assert_seen(&f, "own.clicks 1:23-23 prev 22\n");
    teardown(&f);
}

static void heartbeats_say_where_the_head_is(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    click(&f, 3);
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    sf_buf_clear(&f.seen);
    /* A table that never had a change has no epoch yet. */
    assert_heartbeats(&f, "own.orders head 0:0 prev 0\nown.clicks head 1:3 prev 3\n");
    fake_bus_set_connected(f.own, false);
    assert_heartbeats(&f, "");
    teardown(&f);
}

static void heartbeats_of_many_feeds_are_spread(void **state)
{
    enum { AUDIENCES = 40, FEEDS = 2 * (AUDIENCES + 1) }; /* two tables; and their owner */
    static char names[AUDIENCES][2][8];
    struct world_grant grants[AUDIENCES] = {0};
    struct fixture f;
    size_t seen = 0;
    (void)state;

    setup(&f);
    for (size_t i = 0; i < AUDIENCES; i++) {
        (void)snprintf(names[i][0], sizeof(names[i][0]), "G-%zu", i);
        (void)snprintf(names[i][1], sizeof(names[i][1]), "a%zu", i);
        grants[i] = (struct world_grant){.id = names[i][0], .audience = names[i][1]};
    }
    grant_all(&f, grants, AUDIENCES);
    f.heartbeats = true;
    for (unsigned ms = 0; ms < 5100; ms += 5) {
        size_t now = 0;

        rt_sim_run_for(&f.w.stores.sim, 5 * SF_NS_PER_MS);
        for (size_t i = 0; i < f.seen.size; i++) {
            now += f.seen.data[i] == '\n';
        }
        assert_in_range(now, 0, 64);
        seen += now;
        sf_buf_clear(&f.seen);
    }
    assert_int_equal(seen, FEEDS);
    teardown(&f);
}

static void after_a_restart_it_goes_on_behind_the_stored_cursor(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    click(&f, 2);
    assert_seen(&f, "own.clicks 1:1-2 prev 0\n");
    stop(&f);
    click(&f, 1); /* While nothing publishes. */
    start(&f);
    assert_seen(&f, "own.clicks 1:3-3 prev 2\n");
    /* Killed before the cursor was stored: sent again. */
    click(&f, 1);
    rt_sim_run_for(&f.w.stores.sim, 20 * SF_NS_PER_MS);
    leaf_world_kill(&f.w);
    stop(&f);
    leaf_world_crash(&f.w, world_orders);
    sf_buf_clear(&f.seen);
    start(&f);
    assert_seen(&f, "own.clicks 1:4-4 prev 3\n");
    teardown(&f);
}

static void feeds_beyond_the_limit_are_refused_and_the_others_stay(void **state)
{
    static const struct world_grant grants[] = {{.id = "G-1", .audience = "aud1"},
                                                {.id = "G-2", .audience = "aud2"}};
    static const struct world_grant narrower[] = {
        {.id = "G-1", .audience = "aud1", .columns = {"order_id", "page"}}};
    struct sf_error err = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    stop(&f);
    f.feeds_max = 3; /* The owner's two and one more. */
    start(&f);
    leaf_world_grant(&f.w,
                     &(struct world_bundle){.version = 1, .grants = grants, .grant_count = 2});
    for (unsigned i = 0; i < 2; i++) { /* Also when it is full before. */
        assert_int_equal(publisher_update(f.publisher, &err), SF_BUSY);
        assert_int_equal(err.number, SHEAF_E_BUSY);
        assert_string_equal(err.text, "3 feeds");
    }
    leaf_world_write(&f.w, leaf_world_table(&f.w, "orders"),
                     "{\"op\":\"upsert\",\"row\":{\"order_id\":\"1\"}}\n");
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    assert_non_null(strstr(sf_buf_cstr(&f.seen), "own.orders 1:1-1 prev 0\n"));
    assert_non_null(strstr(sf_buf_cstr(&f.seen), "aud1.orders 1:1-1 prev 0\n"));
    assert_null(strstr(sf_buf_cstr(&f.seen), "aud2"));

    /* One that only changes its view needs no room. */
    leaf_world_grant(&f.w,
                     &(struct world_bundle){.version = 2, .grants = narrower, .grant_count = 1});
    assert_int_equal(publisher_update(f.publisher, &err), SF_BUSY); /* For aud1.clicks. */
    leaf_world_write(&f.w, leaf_world_table(&f.w, "orders"),
                     "{\"op\":\"upsert\",\"row\":{\"order_id\":\"1\"}}\n");
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    assert_non_null(strstr(sf_buf_cstr(&f.seen), "aud1.orders 1:2-2 prev 1\n"));
    teardown(&f);
}

static void an_update_out_of_memory_grants_nothing_by_mistake(void **state)
{
    static const struct world_grant one = {.id = "G-1"};
    struct fixture f;
    (void)state;

    setup(&f);
    grant_all(&f, &one, 1);
    leaf_world_grant(&f.w, &(struct world_bundle){.version = 9});
    for (long n = 0;; n++) {
        enum sf_code code;

        sf_alloc_fail_after(n, false);
        code = publisher_update(f.publisher, NULL);
        if (sf_alloc_faults() == 0) {
            assert_int_equal(code, SF_OK);
            break;
        }
        sf_alloc_fail_after(-1, false);
        assert_int_equal(code, SF_NOMEM);
        rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
        click(&f, 1);
        rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
        assert_null(f.seen.size == 0 ? NULL : strstr(sf_buf_cstr(&f.seen), "aud1"));
    }
    sf_alloc_fail_after(-1, false);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_change_goes_out_once_per_audience),
        cmocka_unit_test(a_revoked_audience_gets_nothing_more_even_of_what_is_under_way),
        cmocka_unit_test(a_view_that_changes_swaps_behind_the_last_change_sent),
        cmocka_unit_test(the_start_of_a_feed_is_stored_too),
        cmocka_unit_test(a_grant_ends_by_the_clock_whether_there_is_an_update_or_not),
        cmocka_unit_test(a_newer_bundle_lets_a_feed_go_on),
        cmocka_unit_test(a_message_that_is_read_when_its_grant_ends_is_not_sent),
        cmocka_unit_test(a_server_that_takes_nothing_holds_the_feed_where_it_is),
        cmocka_unit_test(what_nobody_listens_to_is_skipped_and_shows_as_missing),
        cmocka_unit_test(heartbeats_say_where_the_head_is),
        cmocka_unit_test(heartbeats_of_many_feeds_are_spread),
        cmocka_unit_test(after_a_restart_it_goes_on_behind_the_stored_cursor),
        cmocka_unit_test(feeds_beyond_the_limit_are_refused_and_the_others_stay),
        cmocka_unit_test(an_update_out_of_memory_grants_nothing_by_mistake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
