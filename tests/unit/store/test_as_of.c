/*
 * The past of a lane against a model: random upserts, deletes, marks and trims; after each of them
 * the rows as of every position that is held are those of the model, and the store checks out.
 */
#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <stdlib.h>

#include "leaf/store/as_of.h"
#include "leaf/store/check.h"
#include "leaf/store/store_internal.h"
#include "proto/errors.h"
#include "tests/lib/store_world.h"

enum { KEYS = 6, POSITIONS = 160 };

/* Rows of all keys at every position; 0: absent. */
struct model {
    unsigned rows[POSITIONS][KEYS];
    int64_t times[POSITIONS];
    uint64_t head;
};

static struct store_upkeep step_done;

static void on_step(struct store_upkeep *u, const struct sf_error *err)
{
    assert_null(err);
    u->data = &step_done;
}

static void run_step(struct store_world *w, struct store_upkeep *u)
{
    struct sf_error err = {0};

    u->done = on_step;
    if (upkeep_submit(w->store, u, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    rt_sim_run(&w->sim);
    assert_ptr_equal(u->data, &step_done);
}

static void set_mark(struct store_world *w, struct store_lane *lane)
{
    struct store_upkeep u = {.kind = UPKEEP_MARK, .lane = lane};

    run_step(w, &u);
    assert_int_equal(u.mark.seq, store_lane_head(lane)->seq);
}

static void bury(struct store_world *w, struct store_lane *lane)
{
    uint8_t bytes[KEYS][8];
    struct sf_slice keys[KEYS];
    struct store_upkeep u = {.kind = UPKEEP_BURY, .lane = lane, .keys = keys, .key_count = KEYS};

    for (unsigned k = 0; k < KEYS; k++) {
        keyspace_write_be32(bytes[k], lane->id);
        bytes[k][4] = (uint8_t)('a' + k);
        keys[k] = sf_slice_of(bytes[k], 5);
    }
    run_step(w, &u);
}

/* To the oldest mark, through all steps or only the first. */
static void trim(struct store_world *w, struct store_lane *lane, bool to_the_end)
{
    struct store_upkeep anchor = {.kind = UPKEEP_ANCHOR, .lane = lane};
    struct store_upkeep clear = {.kind = UPKEEP_CLEAR, .lane = lane};

    size_t at = 0;

    while (at < lane->mark_count && lane->marks[at].seq <= lane->anchor.seq) {
        at++;
    }
    if (at == lane->mark_count) {
        return;
    }
    anchor.mark = lane->marks[at];
    run_step(w, &anchor);
    if (!to_the_end) {
        return;
    }
    bury(w, lane);
    assert_int_equal(w->store->kv->ops->flush(w->store->kv, KV_STATE, NULL), SF_OK);
    run_step(w, &clear);
    assert_int_equal(lane->anchor.cleared, lane->anchor.seq);
}

static void change(struct store_world *w, struct store_lane *lane, struct model *m)
{
    struct rt_sim *s = &w->sim;
    unsigned k = (unsigned)rt_sim_random(s, KEYS);
    bool remove = rt_sim_random(s, 3) == 0;
    char key[2] = {(char)('a' + k), '\0'};
    char row[16];

    (void)snprintf(row, sizeof(row), "%u", (unsigned)m->head + 1);
    rt_sim_run_for(s, SF_NS_PER_MS * (1 + rt_sim_random(s, 5)));
    assert_int_equal(store_world_put(w, lane, key, remove ? NULL : row), SF_OK);
    if (store_lane_head(lane)->seq == m->head) {
        return; /* Deleted what was not there. */
    }
    m->head++;
    memcpy(m->rows[m->head], m->rows[m->head - 1], sizeof(m->rows[0]));
    m->rows[m->head][k] = remove ? 0 : (unsigned)m->head;
    m->times[m->head] = store_lane_head(lane)->commit_us;
}

static void expected_text(const struct model *m, uint64_t seq, char *ret, size_t size)
{
    size_t used = 0;

    ret[0] = '\0';
    for (unsigned k = 0; k < KEYS; k++) {
        if (m->rows[seq][k] != 0) {
            used += (size_t)snprintf(ret + used, size - used, "%c=%u@%u ", 'a' + (int)k,
                                     m->rows[seq][k], m->rows[seq][k]);
        }
    }
}

static void scan_text(const struct store_snapshot *snapshot, const struct store_lane *lane,
                      uint64_t seq, char *ret, size_t size)
{
    SF_CLEANUP(store_past_freep) struct store_past *past = NULL;
    struct store_range range = {0};
    struct store_row row;
    struct sf_error err = {0};
    size_t used = 0;
    bool more = true;

    ret[0] = '\0';
    assert_int_equal(store_past_new(snapshot, lane, &range, seq, &past, &err), SF_OK);
    for (;;) {
        if (store_past_next(past, &row, &more, &err) != SF_OK) {
            fail_msg("%s", err.text);
        }
        if (!more) {
            return;
        }
        used += (size_t)snprintf(ret + used, size - used, "%.*s=%.*s@%u ", SF_SLICE_ARG(row.key),
                                 SF_SLICE_ARG(row.row), (unsigned)row.seq);
    }
}

static void check_gets(const struct store_snapshot *snapshot, const struct store_lane *lane,
                       const struct model *m, uint64_t seq)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf bytes = {0};
    struct store_row row;
    bool found = false;

    for (unsigned k = 0; k < KEYS; k++) {
        char key[2] = {(char)('a' + k), '\0'};

        assert_int_equal(
            store_get_as_of(snapshot, lane, sf_slice_text(key), seq, &bytes, &row, &found, NULL),
            SF_OK);
        assert_int_equal(found, m->rows[seq][k] != 0);
        if (found) {
            assert_int_equal(row.seq, m->rows[seq][k]);
        }
    }
}

static void check_times(const struct store_snapshot *snapshot, const struct store_lane *lane,
                        const struct model *m, uint64_t first)
{
    struct sf_error err = {0};
    uint64_t seq = 0;

    for (uint64_t p = first; p <= m->head; p++) {
        assert_int_equal(store_find_time(snapshot, lane, m->times[p], &seq, NULL), SF_OK);
        assert_int_equal(seq, p);
        if (p > first) {
            assert_int_equal(store_find_time(snapshot, lane, m->times[p] - 1, &seq, NULL), SF_OK);
            assert_int_equal(seq, p - 1);
        }
    }
    if (first > 0) {
        assert_int_equal(store_find_time(snapshot, lane, m->times[first] - 1, &seq, &err),
                         SF_CONFLICT);
        assert_int_equal(err.number, SHEAF_E_POSITION_GONE);
    }
}

static void check_all(struct store_world *w, struct store_lane *lane, const struct model *m)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    struct store_check_result r;
    struct store_anchor anchor;
    struct sf_error err = {0};
    char found[256];
    char expected[256];

    assert_int_equal(store_snapshot_new(w->store, &snapshot, NULL), SF_OK);
    assert_int_equal(store_anchor_of(snapshot, lane, &anchor, NULL), SF_OK);
    for (uint64_t seq = anchor.seq; seq <= m->head; seq++) {
        scan_text(snapshot, lane, seq, found, sizeof(found));
        expected_text(m, seq, expected, sizeof(expected));
        assert_string_equal(found, expected);
        check_gets(snapshot, lane, m, seq);
        assert_int_equal(store_check_position(snapshot, lane, 1, seq, NULL), SF_OK);
    }
    if (anchor.seq > 0) {
        assert_int_equal(store_check_position(snapshot, lane, 1, anchor.seq - 1, &err),
                         SF_CONFLICT);
        assert_int_equal(err.number, SHEAF_E_POSITION_GONE);
    }
    assert_int_equal(store_check_position(snapshot, lane, 1, m->head + 1, &err), SF_CONFLICT);
    check_times(snapshot, lane, m, anchor.seq);
    if (store_check(w->store, &r, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
}

/* A kill, a power cut or a clean stop, and the same store again. */
static struct store_lane *reopen(struct store_world *w)
{
    bool killed = rt_sim_random(&w->sim, 2) == 0;

    w->disk.killed = killed;
    store_world_close(w);
    if (killed) {
        fake_disk_crash(&w->disk, w->disk.writes, w->disk.flushed);
    }
    store_world_open(w);
    return store_world_lane(w, "orders", STORE_STATE);
}

static void run_seed(uint64_t seed)
{
    static struct model m;
    struct store_world w;
    struct store_lane *lane;

    m = (struct model){0};
    store_world_init(&w, seed);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    for (unsigned i = 0; i < 90; i++) {
        switch (rt_sim_random(&w.sim, 10)) {
        case 0:
            if (lane->mark_count < 8 && m.head > lane->anchor.seq) {
                set_mark(&w, lane);
            }
            break;
        case 1:
            trim(&w, lane, rt_sim_random(&w.sim, 4) != 0);
            break;
        case 2:
            lane = reopen(&w);
            break;
        case 3:
            assert_int_equal(store_rebuild_state(w.store, NULL), SF_OK);
            break;
        default:
            change(&w, lane, &m);
        }
        if (i % 5 == 0) {
            check_all(&w, lane, &m);
        }
    }
    store_world_done(&w);
}

static void test_every_held_position_shows_what_the_model_had(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        run_seed(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_held_position_shows_what_the_model_had),
    };

    return cmocka_run_group_tests_name("as_of", tests, NULL, NULL);
}
