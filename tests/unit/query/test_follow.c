/* Follows: what a reader holds at any time is what the table held at its position. */
#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "leaf/query/follow_text.h"
#include "proto/errors.h"
#include "tests/unit/query/query_world.h"

enum { KEYS = 8 };

/* One reader, and the table as it knows it. */
struct reader {
    struct follow *follow; /* NULL: not connected */
    struct rt_sim *sim;
    bool waits;        /* answered FOLLOW_WAIT */
    unsigned waits_of; /* of so many events it lets one wait; 0: none */
    bool drops;        /* at the next event */
    bool only_log;
    bool in_snapshot;
    uint32_t epoch;
    uint64_t at;
    unsigned amounts[KEYS]; /* 0: no such row */
    unsigned snapshots;
    unsigned positions;
    unsigned heartbeats;
    unsigned epochs;
    uint64_t changes;
    bool ended;
    struct sf_error err;
    char log[4096]; /* of events as text, while short */
};

struct fixture {
    struct leaf_world w;
    struct queries *queries;
    struct reader r;
};

static void setup(struct fixture *f, uint64_t seed)
{
    *f = (struct fixture){0};
    leaf_world_init(&f->w, seed);
    (void)leaf_world_add(&f->w, world_orders);
    f->queries = world_queries(&f->w);
    f->r.sim = &f->w.stores.sim;
}

static void leave(struct reader *r)
{
    if (r->follow != NULL) {
        follow_close(SF_TAKE(r->follow));
    }
    r->waits = false;
}

static void teardown(struct fixture *f)
{
    leave(&f->r);
    world_queries_done(&f->w, f->queries);
}

static uint64_t number_behind(const char *line, const char *mark)
{
    const char *at = strstr(line, mark);

    return at == NULL ? 0 : strtoull(at + strlen(mark), NULL, 10);
}

static void take_line(struct reader *r, const char *line, bool is_change)
{
    const uint64_t seq = number_behind(line, "\"seq\":");
    const char *key = strstr(line, "\"order_id\":\"");
    const bool is_delete = strstr(line, "\"op\":\"delete\"") != NULL;

    assert_non_null(key);
    assert_true(is_change || strstr(line, "\"op\":\"snapshot\"") != NULL);
    if (is_change) {
        assert_int_equal(seq, r->at + 1); /* nothing lost, nothing doubled */
        r->at = seq;
        r->changes++;
    }
    r->amounts[key[12] - 'a'] = is_delete ? 0 : (unsigned)number_behind(line, "\"amount\":\"");
}

static void take_lines(struct reader *r, struct sf_slice lines, bool is_change)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf copy = {0};
    char *rest;

    sf_buf_slice(&copy, lines);
    if (sf_buf_cstr(&copy) == NULL) {
        return; /* the test of allocations looks at the end only */
    }
    rest = (char *)copy.data;
    for (char *line = strsep(&rest, "\n"); line != NULL && *line != '\0';
         line = strsep(&rest, "\n")) {
        take_line(r, line, is_change);
    }
}

static void log_event(struct reader *r, const struct follow_event *e)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    const size_t n = strlen(r->log);

    follow_write(e, &text);
    if (text.size > 0 && n + text.size + 1 < sizeof(r->log)) {
        memcpy(r->log + n, text.data, text.size);
        r->log[n + text.size] = '\0';
    }
}

static enum follow_reply on_event(void *data, const struct follow_event *e)
{
    struct reader *r = data;

    assert_false(r->waits);
    if (r->drops && e->kind != FOLLOW_END) {
        r->drops = false;
        r->follow = NULL;
        return FOLLOW_DROP;
    }
    log_event(r, e);
    if (r->only_log) {
        r->follow = e->kind == FOLLOW_END ? NULL : r->follow;
        return FOLLOW_GO;
    }
    switch (e->kind) {
    case FOLLOW_SNAPSHOT:
        memset(r->amounts, 0, sizeof(r->amounts));
        r->in_snapshot = true;
        r->snapshots++;
        break;
    case FOLLOW_ROWS:
        assert_true(r->in_snapshot);
        take_lines(r, e->lines, false);
        break;
    case FOLLOW_POSITION:
        assert_true(r->in_snapshot);
        r->in_snapshot = false;
        r->positions++;
        r->epoch = e->epoch;
        r->at = e->seq;
        break;
    case FOLLOW_CHANGES:
        assert_false(r->in_snapshot);
        assert_int_equal(e->first_seq, r->at + 1);
        r->epoch = e->epoch;
        take_lines(r, e->lines, true);
        assert_int_equal(e->seq, r->at);
        break;
    case FOLLOW_HEARTBEAT:
        assert_int_equal(e->seq, r->at);
        r->heartbeats++;
        break;
    case FOLLOW_EPOCH:
        r->epochs++;
        break;
    case FOLLOW_END:
        r->ended = true;
        r->follow = NULL;
        r->err = e->err == NULL ? (struct sf_error){0} : *e->err;
        return FOLLOW_DROP;
    }
    if (r->waits_of != 0 && rt_sim_random(r->sim, r->waits_of) == 0) {
        r->waits = true;
        return FOLLOW_WAIT;
    }
    return FOLLOW_GO;
}

static enum sf_code start(struct fixture *f, struct reader *r, struct follow_spec spec)
{
    spec.product = "orders";
    spec.table = spec.table == NULL ? "orders" : spec.table;
    r->ended = false;
    r->waits = false;
    r->in_snapshot = false;
    r->err = (struct sf_error){0};
    return follow_start(f->queries, &spec, on_event, r, &r->follow, &r->err);
}

#define START(f, ...) start(&(f), &(f).r, (struct follow_spec){__VA_ARGS__})

static void run_for(struct fixture *f, uint64_t ns)
{
    rt_sim_run_for(&f->w.stores.sim, ns);
}

static void put(struct fixture *f, char key, unsigned amount)
{
    char line[128];

    (void)snprintf(line, sizeof(line),
                   "{\"op\":\"upsert\",\"row\":{\"order_id\":\"%c\",\"amount\":\"%u.00\"}}\n", key,
                   amount);
    leaf_world_write(&f->w, leaf_world_table(&f->w, "orders"), line);
}

static void drop(struct fixture *f, char key)
{
    char line[80];

    (void)snprintf(line, sizeof(line), "{\"op\":\"delete\",\"row\":{\"order_id\":\"%c\"}}\n", key);
    leaf_world_write(&f->w, leaf_world_table(&f->w, "orders"), line);
}

/* --- the order of things ---------------------------------------------------------------------- */

static void a_replay_goes_over_into_the_live_changes(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, 1);
    put(&f, 'a', 1);
    put(&f, 'b', 2);
    assert_int_equal(START(f, .live = true), SF_OK);
    assert_string_equal(f.r.log, ""); /* never inside the call */
    run_for(&f, SF_NS_PER_S);
    assert_int_equal(f.r.at, 2);
    put(&f, 'c', 3);
    run_for(&f, SF_NS_PER_S);
    assert_int_equal(f.r.at, 3);
    assert_int_equal(f.r.amounts[2], 3);
    assert_int_equal(f.r.heartbeats, 0);
    run_for(&f, 11 * SF_NS_PER_S);
    assert_int_equal(f.r.heartbeats, 2);
    assert_non_null(
        strstr(f.r.log, "{\"event\":\"heartbeat\",\"position\":\"1:3\",\"head\":\"1:3\"}\n"));
    assert_int_equal(f.r.snapshots, 0);
    teardown(&f);
}

static void a_snapshot_is_marked_and_the_changes_follow_it(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, 2);
    put(&f, 'a', 1);
    put(&f, 'b', 2);
    drop(&f, 'a');
    assert_int_equal(START(f, .live = true, .snapshot = true, .select = "order_id"), SF_OK);
    run_for(&f, SF_NS_PER_S);
    assert_string_equal(f.r.log, "{\"event\":\"snapshot\",\"head\":\"1:3\"}\n"
                                 "{\"seq\":2,\"op\":\"snapshot\",\"key\":{\"order_id\":\"b\"},"
                                 "\"row\":{\"order_id\":\"b\"}}\n"
                                 "{\"event\":\"position\",\"position\":\"1:3\"}\n");
    f.r.log[0] = '\0';
    drop(&f, 'b');
    run_for(&f, SF_NS_PER_S);
    assert_memory_equal(f.r.log, "{\"seq\":4,\"op\":\"delete\",", 23);
    teardown(&f);
}

static void an_empty_table_has_a_snapshot_too(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, 3);
    assert_int_equal(START(f, .snapshot = true), SF_OK);
    run_for(&f, SF_NS_PER_S);
    assert_string_equal(f.r.log, "{\"event\":\"snapshot\",\"head\":\"0:0\"}\n"
                                 "{\"event\":\"position\",\"position\":\"0:0\"}\n"
                                 "{\"event\":\"end\",\"position\":\"0:0\"}\n");
    assert_true(f.r.ended);
    teardown(&f);
}

static void an_event_table_is_followed_by_its_seqs(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, 4);
    leaf_world_write(&f.w, leaf_world_table(&f.w, "clicks"),
                     "{\"op\":\"upsert\",\"row\":{\"n\":7}}\n");
    f.r.only_log = true; /* its lines have no key */
    assert_int_equal(START(f, .table = "clicks", .snapshot = true, .live = true, .select = "n"),
                     SF_OK);
    run_for(&f, SF_NS_PER_S);
    assert_string_equal(f.r.log, "{\"event\":\"snapshot\",\"head\":\"1:1\"}\n"
                                 "{\"seq\":1,\"op\":\"snapshot\",\"row\":{\"n\":7}}\n"
                                 "{\"event\":\"position\",\"position\":\"1:1\"}\n");
    f.r.log[0] = '\0';
    leaf_world_write(&f.w, leaf_world_table(&f.w, "clicks"),
                     "{\"op\":\"upsert\",\"row\":{\"n\":8}}\n");
    run_for(&f, SF_NS_PER_S);
    assert_memory_equal(f.r.log, "{\"seq\":2,\"op\":\"upsert\",", 23);
    teardown(&f);
}

static void without_live_it_ends_at_the_head_and_with_seconds_by_time(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, 5);
    put(&f, 'a', 1);
    assert_int_equal(START(f, .after = "1:0"), SF_OK);
    run_for(&f, SF_NS_PER_S);
    assert_true(f.r.ended);
    assert_int_equal(f.r.err.code, SF_OK);
    assert_non_null(strstr(f.r.log, "{\"event\":\"end\",\"position\":\"1:1\"}\n"));
    assert_int_equal(START(f, .live = true, .after = "1:1", .seconds = 7), SF_OK);
    run_for(&f, 6 * SF_NS_PER_S);
    assert_false(f.r.ended);
    run_for(&f, 2 * SF_NS_PER_S);
    assert_true(f.r.ended);
    teardown(&f);
}

static void a_snapshot_is_told_to_its_end_however_long_it_takes(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, 5);
    put(&f, 'a', 1);
    f.r.waits_of = 1;
    assert_int_equal(START(f, .live = true, .snapshot = true, .seconds = 2), SF_OK);
    run_for(&f, 5 * SF_NS_PER_S);
    assert_true(f.r.waits && !f.r.ended);
    f.r.waits_of = 0;
    f.r.waits = false;
    follow_resume(f.r.follow);
    run_for(&f, 2 * SF_NS_PER_S);
    assert_int_equal(f.r.positions, 1);
    assert_int_equal(f.r.amounts[0], 1);
    assert_true(f.r.ended);
    assert_int_equal(f.r.err.code, SF_OK);
    teardown(&f);
}

static void a_position_decides_where_it_begins(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, 6);
    put(&f, 'a', 1);
    put(&f, 'b', 2);
    f.r.at = 1;
    /* One that has a position needs no snapshot. */
    assert_int_equal(START(f, .snapshot = true, .live = true, .after = "1:1"), SF_OK);
    run_for(&f, SF_NS_PER_S);
    assert_int_equal(f.r.snapshots, 0);
    assert_int_equal(f.r.at, 2);
    leave(&f.r);
    assert_int_equal(START(f, .after = "1:3"), SF_CONFLICT);
    assert_int_equal(f.r.err.number, SHEAF_E_POSITION_GONE);
    assert_int_equal(START(f, .after = "7:1", .live = true), SF_OK);
    run_for(&f, SF_NS_PER_S);
    assert_true(f.r.ended);
    assert_int_equal(f.r.epochs, 1);
    assert_int_equal(f.r.err.number, SHEAF_E_POSITION_GONE);
    assert_non_null(strstr(f.r.log, "{\"event\":\"epoch\",\"epoch\":1,\"head\":\"1:2\"}\n"));
    assert_int_equal(START(f, .after = "x"), SF_INVALID);
    assert_int_equal(START(f, .select = "nix"), SF_INVALID);
    assert_int_equal(START(f, .table = "nix"), SF_ABSENT);
    assert_int_equal(START(f, .major = 9), SF_ABSENT);
    assert_int_equal(queries_pending(f.queries), 0);
    teardown(&f);
}

static void a_time_decides_where_it_begins_too(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, 13);
    put(&f, 'a', 1);
    put(&f, 'b', 2);
    f.r.only_log = true;
    assert_int_equal(START(f, .live = true, .since = "2030-01-01T00:00:00Z"), SF_OK);
    run_for(&f, SF_NS_PER_S);
    assert_string_equal(f.r.log, "");
    put(&f, 'c', 3);
    run_for(&f, SF_NS_PER_S);
    assert_memory_equal(f.r.log, "{\"seq\":3,", 9);
    leave(&f.r);
    f.r.log[0] = '\0';
    assert_int_equal(START(f, .since = "2026-01-01T00:00:00Z"), SF_OK);
    run_for(&f, SF_NS_PER_S);
    assert_memory_equal(f.r.log, "{\"seq\":1,", 9);
    assert_int_equal(START(f, .since = "yesterday"), SF_INVALID);
    assert_int_equal(START(f, .since = "2026-01-01T00:00:00Z", .after = "1:1"), SF_INVALID);
    teardown(&f);
}

static void another_epoch_is_told_and_the_table_given_anew(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, 7);
    put(&f, 'a', 1);
    assert_int_equal(START(f, .snapshot = true, .live = true, .after = "7:5"), SF_OK);
    run_for(&f, SF_NS_PER_S);
    assert_string_equal(f.r.log, "{\"event\":\"epoch\",\"epoch\":1,\"head\":\"1:1\"}\n"
                                 "{\"event\":\"snapshot\",\"head\":\"1:1\"}\n"
                                 "{\"seq\":1,\"op\":\"snapshot\",\"key\":{\"order_id\":\"a\"},"
                                 "\"row\":{\"order_id\":\"a\",\"amount\":\"1.00\",\"note\":null,"
                                 "\"email\":null,\"token\":null}}\n"
                                 "{\"event\":\"position\",\"position\":\"1:1\"}\n");
    teardown(&f);
}

/* A store that was restored gives seqs in a higher epoch: who was there before is told first. */
static void a_reader_of_before_a_restore_is_told_the_new_epoch(void **state)
{
    static const char begin[] = "{\"event\":\"epoch\",\"epoch\":5,\"head\":\"5:3\"}\n{\"seq\":3,";
    struct fixture f;
    (void)state;

    setup(&f, 8);
    put(&f, 'a', 1);
    put(&f, 'b', 2);
    assert_int_equal(store_raise_epoch(f.w.stores.store, 5, NULL), SF_OK);
    put(&f, 'c', 3);
    f.r.only_log = true;
    assert_int_equal(START(f, .live = true, .after = "1:2", .select = "amount"), SF_OK);
    run_for(&f, SF_NS_PER_S);
    assert_memory_equal(f.r.log, begin, sizeof(begin) - 1);
    teardown(&f);
}

/* --- newer versions --------------------------------------------------------------------------- */

#define ONE_TABLE(version)                                                                         \
    "sheaf: product/v1\nproduct: sales/orders\nversion: " version "\nstatus: active\n"             \
    "owner: team-sales\ndescription: Orders.\ncompatibility: none\ntables:\n"
#define ORDERS_TABLE                                                                               \
    "  orders:\n    kind: state\n    key: [order_id]\n    fields:\n"                               \
    "      order_id: {number: 1, type: string, required: true}\n"                                  \
    "      amount: {number: 2, type: \"decimal(12,2)\"}\n"
#define CLICKS_TABLE                                                                               \
    "  clicks:\n    kind: event\n    fields:\n      page: {number: 1, type: string}\n"

/* Of one table, which @spec may leave out. */
static void begin_with_one_table(struct fixture *f, const struct follow_spec *spec)
{
    *f = (struct fixture){0};
    leaf_world_init(&f->w, 20);
    (void)leaf_world_add(&f->w, ONE_TABLE("1.0.0") ORDERS_TABLE);
    f->queries = world_queries(&f->w);
    f->r.sim = &f->w.stores.sim;
    put(f, 'a', 1);
    assert_int_equal(follow_start(f->queries, spec, on_event, &f->r, &f->r.follow, NULL), SF_OK);
    run_for(f, SF_NS_PER_S);
    assert_int_equal(f->r.at, 1);
}

static void the_only_table_is_followed_also_when_it_has_company(void **state)
{
    struct fixture f;
    (void)state;

    begin_with_one_table(&f, &(struct follow_spec){.product = "orders", .live = true});
    (void)leaf_world_add(&f.w, ONE_TABLE("1.1.0") CLICKS_TABLE ORDERS_TABLE);
    queries_serving_changed(f.queries);
    put(&f, 'b', 2);
    run_for(&f, SF_NS_PER_S);
    assert_false(f.r.ended);
    assert_int_equal(f.r.at, 2);
    assert_int_equal(f.r.amounts[1], 2);
    teardown(&f);
}

static void a_table_that_a_version_leaves_out_is_followed_no_more(void **state)
{
    struct fixture f;
    (void)state;

    begin_with_one_table(
        &f, &(struct follow_spec){.product = "orders", .table = "orders", .live = true});
    (void)leaf_world_add(&f.w, ONE_TABLE("1.1.0") CLICKS_TABLE);
    queries_serving_changed(f.queries);
    run_for(&f, 6 * SF_NS_PER_S);
    assert_true(f.r.ended);
    assert_int_equal(f.r.err.number, SHEAF_E_TABLE_UNKNOWN);
    assert_string_equal(f.r.err.text, "product sales/orders: table orders");
    teardown(&f);
}

/* --- rights and limits ------------------------------------------------------------------------ */

static void a_revocation_ends_it_at_once_whatever_it_does(void **state)
{
    static const struct world_grant one = {.id = "G-1"};
    struct fixture f;
    (void)state;

    for (unsigned waits = 0; waits < 2; waits++) {
        setup(&f, 8);
        leaf_world_grant(&f.w,
                         &(struct world_bundle){.version = 1, .grants = &one, .grant_count = 1});
        put(&f, 'a', 1);
        f.r.waits_of = waits; /* 1: every event */
        assert_int_equal(START(f, .caller = {.account = WORLD_ACCOUNT}, .live = true), SF_OK);
        run_for(&f, SF_NS_PER_S);
        assert_int_equal(f.r.at, 1);
        assert_null(strstr(f.r.log, "email"));
        assert_int_equal(f.r.waits, waits == 1);
        f.r.waits = false;
        leaf_world_grant(&f.w, &(struct world_bundle){.version = 2});
        queries_serving_changed(f.queries);
        assert_true(f.r.ended);
        assert_int_equal(f.r.err.number, SHEAF_E_DENIED);
        teardown(&f);
    }
}

static void a_grant_that_runs_out_ends_it_with_the_next_event(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, 9);
    const struct world_grant one = {.id = "G-1",
                                    .until_us = leaf_world_now(&f.w) + 2 * SF_US_PER_S};

    leaf_world_grant(&f.w, &(struct world_bundle){.version = 1, .grants = &one, .grant_count = 1});
    assert_int_equal(START(f, .caller = {.account = WORLD_ACCOUNT}, .live = true), SF_OK);
    run_for(&f, 3 * SF_NS_PER_S);
    assert_false(f.r.ended);
    put(&f, 'a', 1);
    run_for(&f, SF_NS_PER_S);
    assert_true(f.r.ended);
    assert_int_equal(f.r.err.number, SHEAF_E_DENIED);
    assert_int_equal(f.r.changes, 0);
    teardown(&f);
}

static void a_slow_reader_is_ended_and_holds_up_nobody(void **state)
{
    struct fixture f;
    struct reader slow = {0};
    (void)state;

    setup(&f, 10);
    slow.sim = f.r.sim;
    slow.waits_of = 1;
    put(&f, 'a', 1);
    assert_int_equal(start(&f, &slow, (struct follow_spec){.live = true}), SF_OK);
    assert_int_equal(START(f, .live = true), SF_OK);
    run_for(&f, SF_NS_PER_S);
    assert_true(slow.waits);
    for (unsigned i = 2; i < 50; i++) {
        put(&f, 'b', i);
        run_for(&f, 100 * SF_NS_PER_MS);
        assert_int_equal(f.r.at, i);
    }
    assert_int_equal(slow.at, 1);
    slow.waits = false; /* what is told now is the end */
    run_for(&f, 21 * SF_NS_PER_S);
    assert_true(slow.ended);
    assert_int_equal(slow.err.number, SHEAF_E_TOO_SLOW);
    assert_string_equal(slow.err.text, "nothing was taken for 20 s");
    assert_false(f.r.ended);
    teardown(&f);
}

static void there_is_room_for_so_many_and_fewer_of_one_domain(void **state)
{
    static const struct world_grant one = {.id = "G-1"};
    struct reader all[FOLLOWS_MAX] = {0};
    struct fixture f;
    unsigned n = 0;
    (void)state;

    setup(&f, 11);
    leaf_world_grant(&f.w, &(struct world_bundle){.version = 1, .grants = &one, .grant_count = 1});
    const struct follow_spec other = {.caller = {.account = WORLD_ACCOUNT}, .live = true};

    for (; n < FOLLOWS_MAX / FOLLOWS_CONSUMER_PART; n++) {
        assert_int_equal(start(&f, &all[n], other), SF_OK);
    }
    assert_int_equal(start(&f, &f.r, other), SF_BUSY);
    assert_int_equal(f.r.err.number, SHEAF_E_BUSY);
    for (; n < FOLLOWS_MAX; n++) {
        assert_int_equal(start(&f, &all[n], (struct follow_spec){.live = true}), SF_OK);
    }
    assert_int_equal(START(f, .live = true), SF_BUSY);
    leave(&all[0]);
    assert_int_equal(START(f, .live = true), SF_OK);
    put(&f, 'a', 1);
    run_for(&f, SF_NS_PER_S);
    assert_int_equal(f.r.at, 1);
    for (unsigned i = 1; i < FOLLOWS_MAX; i++) {
        assert_int_equal(all[i].at, 1);
        leave(&all[i]);
    }
    follows_set_max(queries_follows(f.queries), 9);
    for (n = 0; n < 8; n++) {
        assert_int_equal(start(&f, &all[n], (struct follow_spec){.live = true}), SF_OK);
    }
    assert_int_equal(START(f, .live = true), SF_BUSY); /* one follows since before */
    for (n = 0; n < 8; n++) {
        leave(&all[n]);
    }
    teardown(&f);
}

/* --- a model ---------------------------------------------------------------------------------- */

enum { READERS = 4, STEPS = 120 };

static void go_on(struct fixture *f, struct reader *r)
{
    char after[48];
    const bool has_position = r->at != 0 && !r->in_snapshot;

    (void)snprintf(after, sizeof(after), "%u:%llu", r->epoch, (unsigned long long)r->at);
    if (!has_position) {
        memset(r->amounts, 0, sizeof(r->amounts));
        r->at = 0;
    }
    assert_int_equal(start(f, r,
                           (struct follow_spec){.live = true,
                                                .snapshot = rt_sim_random(r->sim, 2) == 0,
                                                .after = has_position ? after : NULL}),
                     SF_OK);
}

static void disturb(struct fixture *f, struct reader *r)
{
    switch (rt_sim_random(r->sim, 6)) {
    case 0:
        leave(r);
        break;
    case 1:
        r->drops = true;
        break;
    case 2:
    case 3:
        if (r->follow == NULL) {
            go_on(f, r);
        }
        break;
    default:
        if (r->waits) {
            r->waits = false;
            follow_resume(r->follow);
        }
        break;
    }
}

static void write_one(struct fixture *f, unsigned truth[KEYS], unsigned step)
{
    const unsigned k = (unsigned)rt_sim_random(&f->w.stores.sim, KEYS);

    if (rt_sim_random(&f->w.stores.sim, 3) == 0 && truth[k] != 0) {
        drop(f, (char)('a' + (int)k));
        truth[k] = 0;
    } else {
        put(f, (char)('a' + (int)k), step);
        truth[k] = step;
    }
}

static void readers_that_come_and_go_hold_what_the_table_holds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct reader readers[READERS] = {0};
        unsigned truth[KEYS] = {0};
        struct fixture f;

        setup(&f, seed);
        for (unsigned i = 0; i < READERS; i++) {
            readers[i].sim = &f.w.stores.sim;
            readers[i].waits_of = 1 + i;
        }
        for (unsigned step = 1; step <= STEPS; step++) {
            write_one(&f, truth, step);
            disturb(&f, &readers[rt_sim_random(&f.w.stores.sim, READERS)]);
            run_for(&f, rt_sim_random(&f.w.stores.sim, 3 * SF_NS_PER_MS));
        }
        for (unsigned i = 0; i < READERS; i++) { /* now all catch up */
            struct reader *r = &readers[i];

            r->waits_of = 0;
            r->drops = false;
            leave(r);
            go_on(&f, r);
            run_for(&f, SF_NS_PER_S);
            assert_int_equal(r->at, store_lane_head(leaf_world_table(&f.w, "orders")->lane)->seq);
            assert_memory_equal(r->amounts, truth, sizeof(truth));
            leave(r);
        }
        teardown(&f);
    }
}

static void out_of_memory_is_an_error_at_every_allocation(void **state)
{
    struct fixture f;
    long n = 0;
    (void)state;

    setup(&f, 12);
    put(&f, 'a', 1);
    for (;; n++) {
        enum sf_code code;
        bool was_hit;

        f.r = (struct reader){.sim = &f.w.stores.sim};
        sf_alloc_fail_after(n, false);
        code = START(f, .snapshot = true, .select = "order_id,amount");
        if (code == SF_OK) {
            run_for(&f, SF_NS_PER_S);
        }
        was_hit = sf_alloc_faults() > 0;
        sf_alloc_fail_after(-1, false);
        leave(&f.r);
        run_for(&f, SF_NS_PER_S);
        assert_int_equal(queries_pending(f.queries), 0);
        if (!was_hit) {
            assert_true(f.r.ended);
            assert_int_equal(f.r.positions, 1);
            break;
        }
        if (code == SF_OK && f.r.ended && f.r.err.code != SF_OK) {
            assert_int_equal(f.r.err.code, SF_NOMEM);
        }
    }
    assert_true(n > 10);
    teardown(&f);
}

/* --- text ------------------------------------------------------------------------------------- */

static void events_are_server_sent_events_too(void **state)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    (void)state;

    follow_write_sse(FOLLOW_CHANGES, 2, 8, SF_LITERAL("{\"seq\":7,\"a\":1}\n{\"seq\":8,\"a\":2}\n"),
                     &out);
    follow_write_sse(FOLLOW_ROWS, 2, 0, SF_LITERAL("{\"seq\":3,\"op\":\"snapshot\"}\n"), &out);
    follow_write_sse(FOLLOW_POSITION, 2, 8,
                     SF_LITERAL("{\"event\":\"position\",\"position\":\"2:8\"}\n"), &out);
    follow_write_sse(FOLLOW_END, 2, 8, SF_LITERAL("{\"event\":\"error\",\"code\":\"X\"}\n"), &out);
    assert_string_equal(sf_buf_cstr(&out),
                        "id: 2:7\ndata: {\"seq\":7,\"a\":1}\n\n"
                        "id: 2:8\ndata: {\"seq\":8,\"a\":2}\n\n"
                        "data: {\"seq\":3,\"op\":\"snapshot\"}\n\n"
                        "event: position\nid: 2:8\n"
                        "data: {\"event\":\"position\",\"position\":\"2:8\"}\n\n"
                        "event: error\ndata: {\"event\":\"error\",\"code\":\"X\"}\n\n");
}

static int setup_all(void **state)
{
    (void)state;
    return sf_crypto_init(NULL) == SF_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replay_goes_over_into_the_live_changes),
        cmocka_unit_test(a_snapshot_is_marked_and_the_changes_follow_it),
        cmocka_unit_test(an_empty_table_has_a_snapshot_too),
        cmocka_unit_test(an_event_table_is_followed_by_its_seqs),
        cmocka_unit_test(without_live_it_ends_at_the_head_and_with_seconds_by_time),
        cmocka_unit_test(a_snapshot_is_told_to_its_end_however_long_it_takes),
        cmocka_unit_test(a_position_decides_where_it_begins),
        cmocka_unit_test(a_time_decides_where_it_begins_too),
        cmocka_unit_test(another_epoch_is_told_and_the_table_given_anew),
        cmocka_unit_test(a_reader_of_before_a_restore_is_told_the_new_epoch),
        cmocka_unit_test(the_only_table_is_followed_also_when_it_has_company),
        cmocka_unit_test(a_table_that_a_version_leaves_out_is_followed_no_more),
        cmocka_unit_test(a_revocation_ends_it_at_once_whatever_it_does),
        cmocka_unit_test(a_grant_that_runs_out_ends_it_with_the_next_event),
        cmocka_unit_test(a_slow_reader_is_ended_and_holds_up_nobody),
        cmocka_unit_test(there_is_room_for_so_many_and_fewer_of_one_domain),
        cmocka_unit_test(readers_that_come_and_go_hold_what_the_table_holds),
        cmocka_unit_test(out_of_memory_is_an_error_at_every_allocation),
        cmocka_unit_test(events_are_server_sent_events_too),
    };

    return cmocka_run_group_tests(tests, setup_all, NULL);
}
