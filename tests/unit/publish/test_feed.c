/* One feed: places that retention has taken, versions that change under it, and no memory. */
#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "leaf/store/as_of.h"
#include "proto/subjects.h"
#include "tests/unit/publish/fixture.h"

static struct store_lane *clicks(struct fixture *f)
{
    return leaf_world_table(&f->w, "clicks")->lane;
}

static void let_run(struct fixture *f)
{
    rt_sim_run_for(&f->w.stores.sim, SF_NS_PER_S);
}

static uint64_t counted(const struct fixture *f, const char *what)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    const char *at;

    sf_metrics_render(&f->metrics, &text);
    at = strstr(sf_buf_cstr(&text), what);
    assert_non_null(at);
    return strtoull(strchr(strchr(at, '\n'), ' '), NULL, 10);
}

/* Until messages cannot hold them: each about half of one. */
static void click_much(struct fixture *f, unsigned count)
{
    struct sf_buf lines = {0};

    for (unsigned i = 0; i < count; i++) {
        sf_buf_printf(&lines, "{\"op\":\"upsert\",\"row\":{\"page\":\"%0*u\"}}\n",
                      MESSAGE_BYTES * 2 / 3, i);
    }
    leaf_world_write(&f->w, leaf_world_table(&f->w, "clicks"), sf_buf_cstr(&lines));
    sf_buf_done(&lines);
}

static uint64_t gaps(const struct fixture *f)
{
    return counted(f, "gaps_total counter\n");
}

static uint64_t messages(const struct fixture *f)
{
    return counted(f, "messages_total counter\n");
}

static void a_feed_held_up_for_too_long_goes_on_behind_what_was_trimmed(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    click(&f, 2);
    assert_seen(&f, "own.clicks 1:1-2 prev 0\n");
    fake_bus_set_connected(f.own, false);
    let_run(&f);
    click(&f, 3);
    let_run(&f);
    store_world_trim(&f.w.stores, clicks(&f));
    click(&f, 2);
    let_run(&f);
    assert_int_equal(f.seen.size, 0);
    fake_bus_set_connected(f.own, true);
    let_run(&f);
    publisher_wake(f.publisher);
    /* Sheaf-Prev is not the 2 that the consumer has: it knows that something is missing. */
    assert_seen(&f, "own.clicks 1:6-7 prev 5\n");
    assert_int_equal(gaps(&f), 1);
    click(&f, 1);
    assert_seen(&f, "own.clicks 1:8-8 prev 7\n");
    assert_int_equal(gaps(&f), 1);
    stop(&f); /* The place behind the gap was stored. */
    click(&f, 1);
    start(&f);
    assert_seen(&f, "own.clicks 1:9-9 prev 8\n");
    teardown(&f);
}

static void what_the_server_did_not_take_comes_again_and_nobody_else_holds_a_snapshot(void **state)
{
    struct fixture f;
    uint64_t open_things;
    (void)state;

    setup(&f);
    let_run(&f);
    open_things = f.w.stores.disk.open_things;
    fake_broker_knobs(f.broker)->busy = 1; /* The first of three. */
    click_much(&f, 6);
    let_run(&f);
    assert_int_equal(f.w.stores.disk.open_things, open_things);
    assert_seen(&f, "own.clicks 1:1-2 prev 0\n"
                    "own.clicks 1:3-4 prev 2\n"
                    "own.clicks 1:5-6 prev 4\n");
    fake_bus_set_connected(f.own, false);
    let_run(&f);
    click_much(&f, 6);
    let_run(&f);
    /* It tries again and again; when it does not, it holds none. */
    assert_int_equal(f.w.stores.disk.open_things, open_things);
    fake_bus_set_connected(f.own, true);
    let_run(&f);
    publisher_wake(f.publisher);
    assert_seen(&f, "own.clicks 1:7-8 prev 6\n"
                    "own.clicks 1:9-10 prev 8\n"
                    "own.clicks 1:11-12 prev 10\n");
    teardown(&f);
}

/* docs/formats/store.md */
static void where_a_feed_is_is_stored_with_the_epoch_of_its_lane(void **state)
{
    static const uint8_t wanted[] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 3};
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(sf_buf_done) struct sf_buf value = {0};
    uint8_t key[] = "cursor/....own";
    bool found = false;
    struct fixture f;
    (void)state;

    setup(&f);
    click(&f, 3);
    assert_seen(&f, "own.clicks 1:1-3 prev 0\n");
    stop(&f);
    sf_write_be32(key + 7, store_lane_id(clicks(&f)));
    assert_int_equal(store_snapshot_new(f.w.stores.store, &snapshot, NULL), SF_OK);
    assert_int_equal(store_small_get(snapshot, STORE_META, sf_slice_of(key, sizeof(key) - 1),
                                     &value, NULL, &found, NULL),
                     SF_OK);
    assert_true(found);
    assert_true(sf_slice_equal(sf_buf_view(&value), sf_slice_of(wanted, sizeof(wanted))));
    store_snapshot_free(SF_TAKE(snapshot));
    start(&f);
    teardown(&f);
}

/* A stop waits for what is under way, and knows then what the server has. */
static void what_a_stopping_feed_has_sent_does_not_come_again(void **state)
{
    (void)state;
    for (unsigned steps = 0; steps < 40; steps++) {
        struct fixture f;

        setup(&f);
        let_run(&f);
        click(&f, 1);
        for (unsigned i = 0; i < steps; i++) {
            (void)rt_sim_step(&f.w.stores.sim);
        }
        stop(&f);
        start(&f);
        assert_seen(&f, "own.clicks 1:1-1 prev 0\n");
        teardown(&f);
    }
}

static void a_feed_whose_changes_were_all_trimmed_sends_the_next(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    fake_bus_set_connected(f.own, false);
    let_run(&f);
    click(&f, 3);
    let_run(&f);
    store_world_trim(&f.w.stores, clicks(&f));
    fake_bus_set_connected(f.own, true);
    let_run(&f);
    publisher_wake(f.publisher);
    assert_seen(&f, "");
    assert_int_equal(gaps(&f), 1);
    assert_true(publisher_taken(f.publisher, clicks(&f)) == UINT64_MAX);
    assert_heartbeats(&f, "own.orders head 0:0 prev 0\nown.clicks head 1:3 prev 3\n");
    click(&f, 1);
    assert_seen(&f, "own.clicks 1:4-4 prev 3\n");
    teardown(&f);
}

/* A feed that starts while its place is trimmed, and one that is closed and opened there. */
static void a_restart_in_a_trimmed_place_says_what_is_missing(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    click(&f, 1);
    assert_seen(&f, "own.clicks 1:1-1 prev 0\n");
    stop(&f);
    click(&f, 3);
    store_world_trim(&f.w.stores, clicks(&f));
    click(&f, 1);
    start(&f);
    assert_seen(&f, "own.clicks 1:5-5 prev 4\n");
    assert_int_equal(gaps(&f), 1);
    teardown(&f);
}

/* --- versions --------------------------------------------------------------------------------- */

/* Who follows one stream of orders, message by message. */
struct follower {
    struct sf_bus_sub sub;
    uint64_t at;
    bool may_repeat; /* what the server took without saying so */
    unsigned older;  /* messages of 1.0.0 */
    unsigned newer;  /* of 1.1.0 */
};

static void on_orders(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct follower *r = sub->data;
    const char *position = sf_bus_msg_header(m, HEADER_POSITION);
    const char *contract = sf_bus_msg_header(m, HEADER_CONTRACT);
    unsigned long long first;
    unsigned long long last;
    bool has_country;

    if (position == NULL) {
        return;
    }
    assert_int_equal(sscanf(position, "1:%llu-%llu", &first, &last), 2);
    assert_int_equal(strtoull(sf_bus_msg_header(m, HEADER_PREV), NULL, 10), first - 1);
    assert_true(first == r->at + 1 ||
                (r->may_repeat && first <= r->at)); /* nothing lost, or twice */
    r->at = last > r->at ? last : r->at;
    has_country = memmem(m->data.data, m->data.size, "\"country\":", 10) != NULL;
    if (strcmp(contract, "1.1.0") == 0) {
        assert_true(has_country);
        r->newer++;
    } else {
        assert_string_equal(contract, "1.0.0");
        assert_false(has_country);
        assert_int_equal(r->newer, 0); /* never back */
        r->older++;
    }
}

static void order(struct fixture *f, unsigned n, bool newer)
{
    char line[120];

    (void)snprintf(line, sizeof(line), "{\"op\":\"upsert\",\"row\":{\"order_id\":\"o%u\"%s}}\n", n,
                   newer ? ",\"country\":\"NO\"" : "");
    leaf_world_write(&f->w, leaf_world_table(&f->w, "orders"), line);
}

/* The new version comes after @steps events from a write; with @cut, while the connection fails. */
static void change_version_after(unsigned steps, bool cut)
{
    static const struct world_grant one = {.id = "G-1"};
    struct follower readers[2] = {{.at = 0}, {.at = 0}};
    static const char *const subjects[] = {"own.orders.orders.>", "dp.sales.orders.orders.>"};
    struct fixture f;

    setup(&f);
    sf_bus_unsubscribe(f.consumer, &f.subs[0]);
    sf_bus_unsubscribe(f.consumer, &f.subs[1]);
    for (unsigned i = 0; i < 2; i++) {
        readers[i].may_repeat = cut;
        readers[i].sub = (struct sf_bus_sub){.on_msg = on_orders, .data = &readers[i]};
        assert_int_equal(sf_bus_subscribe(f.consumer, &readers[i].sub, subjects[i], NULL, NULL),
                         SF_OK);
    }
    grant_all(&f, &one, 1);
    let_run(&f);
    for (unsigned n = 1; n <= 3; n++) {
        order(&f, n, false);
    }
    for (unsigned i = 0; i < steps; i++) {
        (void)rt_sim_step(&f.w.stores.sim);
    }
    fake_bus_set_connected(f.own, !cut);
    fake_bus_set_connected(f.serve, !cut);
    (void)leaf_world_add(&f.w, world_orders_newer);
    assert_int_equal(publisher_update(f.publisher, NULL), SF_OK);
    let_run(&f);
    fake_bus_set_connected(f.own, true);
    fake_bus_set_connected(f.serve, true);
    for (unsigned n = 4; n <= 6; n++) {
        order(&f, n, true);
    }
    let_run(&f);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(readers[i].at, 6);
        assert_true(readers[i].newer > 0);
    }
    stop(&f);
    fake_broker_free(f.broker);
    sf_buf_done(&f.seen);
    leaf_world_done(&f.w);
}

static void a_stream_goes_on_over_a_new_version_without_gap_or_double(void **state)
{
    (void)state;
    for (unsigned steps = 0; steps < 40; steps++) {
        change_version_after(steps, false);
    }
}

static void what_was_under_way_when_the_link_failed_comes_in_the_new_version(void **state)
{
    (void)state;
    for (unsigned steps = 0; steps < 40; steps++) {
        change_version_after(steps, true);
    }
}

static bool lose(void *data, const char *subject)
{
    return *(bool *)data && strncmp(subject, "own.", 4) == 0;
}

/* The server loses what it has not said it took. */
static void what_the_server_has_not_taken_is_sent_again_by_whoever_takes_over(void **state)
{
    unsigned tried = 0;
    (void)state;

    for (unsigned steps = 0; steps < 40; steps++) {
        struct follower reader = {.at = 0};
        bool loses = false;
        struct fixture f;

        setup(&f);
        sf_bus_unsubscribe(f.consumer, &f.subs[1]);
        reader.sub = (struct sf_bus_sub){.on_msg = on_orders, .data = &reader};
        assert_int_equal(
            sf_bus_subscribe(f.consumer, &reader.sub, "own.orders.orders.>", NULL, NULL), SF_OK);
        let_run(&f);
        fake_broker_knobs(f.broker)->drop = lose;
        fake_broker_knobs(f.broker)->data = &loses;
        loses = true;
        order(&f, 1, false);
        for (unsigned i = 0; i < steps; i++) {
            (void)rt_sim_step(&f.w.stores.sim);
        }
        if (messages(&f) == 0) {
            tried++;
            fake_bus_set_connected(f.own, false);
            (void)leaf_world_add(&f.w, world_orders_newer);
            assert_int_equal(publisher_update(f.publisher, NULL), SF_OK);
            let_run(&f);
            loses = false;
            fake_bus_set_connected(f.own, true);
            let_run(&f);
            publisher_wake(f.publisher);
            let_run(&f);
            assert_int_equal(reader.at, 1);
        }
        teardown(&f);
    }
    assert_true(tried > 0);
}

/* What nobody listens to holds no retention back. */
static void a_parked_feed_needs_nothing_of_the_log(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    sf_bus_unsubscribe(f.consumer, &f.subs[1]);
    click(&f, 1);
    let_run(&f);
    click(&f, 1);
    rt_sim_run_for(&f.w.stores.sim,
                   20 * SF_NS_PER_MS); /* It has asked, and waits until it may again. */
    click(&f, 1);
    assert_true(publisher_taken(f.publisher, clicks(&f)) == UINT64_MAX);
    assert_int_equal(publisher_stats(f.publisher).behind, 0);
    teardown(&f);
}

/* --- cursors ---------------------------------------------------------------------------------- */

static void on_put(struct store_write *w, const struct sf_error *err)
{
    assert_null(err);
    *(bool *)w->data = true;
}

/* As a store has it that was restored from a time before. */
static void put_cursor(struct fixture *f, uint64_t seq)
{
    uint8_t key[14] = "cursor/";
    uint8_t value[12] = {0, 0, 0, 1};
    bool done = false;
    const struct store_put put = {.space = STORE_META,
                                  .key = sf_slice_of(key, sizeof(key)),
                                  .value = sf_slice_of(value, sizeof(value))};
    struct store_write write = {.data = &done, .puts = &put, .put_count = 1};

    sf_write_be32(key + 7, store_lane_id(clicks(f)));
    memcpy(key + 11, "own", 3);
    value[11] = (uint8_t)seq;
    assert_int_equal(store_submit(f->w.stores.store, &write, on_put, NULL), SF_OK);
    let_run(f);
    assert_true(done);
}

static void a_cursor_ahead_of_the_table_starts_at_its_head(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    click(&f, 2);
    assert_seen(&f, "own.clicks 1:1-2 prev 0\n");
    stop(&f);
    put_cursor(&f, 1);
    start(&f);
    assert_seen(&f, "own.clicks 1:2-2 prev 1\n"); /* it is the one that is read */
    stop(&f);
    put_cursor(&f, 99);
    start(&f);
    assert_seen(&f, "");
    click(&f, 1);
    assert_seen(&f, "own.clicks 1:3-3 prev 2\n");
    teardown(&f);
}

/* --- nobody listens --------------------------------------------------------------------------- */

/* The server's "nobody" comes 2 ms after its answer to the flush: by another thread. */
static uint64_t late_answers(void *data, const char *subject)
{
    (void)data;
    return strncmp(subject, "_INBOX", 6) == 0 ? 2 * SF_NS_PER_MS : 0;
}

static void a_nobody_that_comes_late_keeps_the_feed_parked(void **state)
{
    struct fixture f;
    uint64_t before;
    (void)state;

    setup(&f);
    click(&f, 1);
    assert_seen(&f, "own.clicks 1:1-1 prev 0\n");
    sf_bus_unsubscribe(f.consumer, &f.subs[1]);
    fake_broker_knobs(f.broker)->delay_ns = late_answers;
    click(&f, 1);
    let_run(&f);
    before = messages(&f);
    for (unsigned i = 0; i < 5; i++) {
        click(&f, 1);
        let_run(&f);
    }
    assert_int_equal(messages(&f), before);
    assert_int_equal(sf_bus_subscribe(f.consumer, &f.subs[1], "own.>", NULL, NULL), SF_OK);
    let_run(&f);
    click(&f, 1);
    assert_seen(&f, "own.clicks 1:8-8 prev 7\n");
    teardown(&f);
}

/* --- no memory -------------------------------------------------------------------------------- */

/* Every message in order behind the one before; one may come again, as the same. */
static uint64_t read_seen(struct fixture *f, uint64_t at)
{
    char *rest = f->seen.size == 0 ? NULL : (char *)f->seen.data;

    if (f->seen.size > 0) {
        assert_non_null(sf_buf_cstr(&f->seen));
    }
    for (char *line = strsep(&rest, "\n"); line != NULL && *line != '\0';
         line = strsep(&rest, "\n")) {
        unsigned long long first;
        unsigned long long last;
        unsigned long long prev;

        assert_int_equal(sscanf(line, "own.clicks 1:%llu-%llu prev %llu", &first, &last, &prev), 3);
        assert_true(prev + 1 == first && first <= at + 1 && last >= at);
        at = last;
    }
    sf_buf_clear(&f->seen);
    return at;
}

static void a_feed_without_memory_tries_again_and_loses_nothing(void **state)
{
    struct fixture f;
    uint64_t committed = 0;
    uint64_t at = 0;
    unsigned late = 0;
    bool failed = true;
    (void)state;

    setup(&f);
    assert_non_null(sf_buf_reserve(&f.seen, 4096)); /* who listens needs none */
    for (long n = 0; failed; n++) {
        click(&f, 1);
        committed++;
        sf_alloc_fail_after(n, false);
        rt_sim_run_for(&f.w.stores.sim, 100 * SF_NS_PER_MS);
        failed = sf_alloc_faults() > 0;
        sf_alloc_fail_after(-1, false);
        at = read_seen(&f, at);
        late += at != committed;
        let_run(&f);
        at = read_seen(&f, at);
        assert_int_equal(at, committed);
    }
    assert_true(late > 3);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_feed_held_up_for_too_long_goes_on_behind_what_was_trimmed),
        cmocka_unit_test(what_a_stopping_feed_has_sent_does_not_come_again),
        cmocka_unit_test(a_feed_whose_changes_were_all_trimmed_sends_the_next),
        cmocka_unit_test(what_the_server_did_not_take_comes_again_and_nobody_else_holds_a_snapshot),
        cmocka_unit_test(where_a_feed_is_is_stored_with_the_epoch_of_its_lane),
        cmocka_unit_test(a_restart_in_a_trimmed_place_says_what_is_missing),
        cmocka_unit_test(a_stream_goes_on_over_a_new_version_without_gap_or_double),
        cmocka_unit_test(what_was_under_way_when_the_link_failed_comes_in_the_new_version),
        cmocka_unit_test(what_the_server_has_not_taken_is_sent_again_by_whoever_takes_over),
        cmocka_unit_test(a_parked_feed_needs_nothing_of_the_log),
        cmocka_unit_test(a_cursor_ahead_of_the_table_starts_at_its_head),
        cmocka_unit_test(a_nobody_that_comes_late_keeps_the_feed_parked),
        cmocka_unit_test(a_feed_without_memory_tries_again_and_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
