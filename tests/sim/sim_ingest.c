/*
 * Random life of ingest: producers send batches into a keyed and an event table, some records are
 * invalid, some requests want all or nothing, all have an Idempotency-Key; the disk refuses for a
 * moment or fills up, the power fails, and a producer that got no answer sends its request again.
 * Whatever the seed:
 *   1. what was acknowledged is there, once, in one run of seqs, after any power cut;
 *   2. a request that was sent again is there once, and answered as the first time;
 *   3. a request that was refused, and not sent again, left nothing behind;
 *   4. invalid records are in quarantine, exactly as many as the answer says;
 *   5. the rows of the keyed table are those of the changes in the order of their seqs;
 *   6. seqs have no gap, and commit numbers rise with them.
 *
 * usage: sim_ingest FIRST_SEED COUNT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/sys/log.h"
#include "leaf/ingest/ingest.h"
#include "leaf/rowcodec/row.h"
#include "proto/errors.h"
#include "tests/lib/cmocka.h"
#include "tests/lib/leaf_world.h"

enum { REQUESTS = 60, RECORDS_MAX = 12, KEYS = 25, STEPS = 150 };

enum fate {
    FATE_NEW,
    FATE_UNDER_WAY,
    FATE_UNKNOWN, /* no answer: the power failed, or the disk did */
    FATE_REFUSED, /* told so: nothing of it is there */
    FATE_ACKED,
};

struct sim;

/* A request of a producer, in every attempt. */
struct job {
    struct sim *sim;
    unsigned number;
    bool events;
    bool reject; /* on_invalid=reject */
    unsigned records;
    unsigned invalid;
    unsigned keys[RECORDS_MAX]; /* KEYS: invalid */
    enum fate fate;
    char key[16];
    uint64_t first, last, commit; /* of the answer */
    uint64_t accepted, quarantined;
};

struct sim {
    struct leaf_world w;
    struct sf_metrics metrics;
    struct ingest *ingest;
    struct job jobs[REQUESTS];
    unsigned begun;
    unsigned under_way;
    uint64_t refused_commits;
};

static uint64_t below(struct sim *s, uint64_t bound)
{
    return rt_sim_random(&s->w.stores.sim, bound);
}

static const struct served_table *table_of(const struct sim *s, bool events)
{
    return leaf_world_table(&s->w, events ? "clicks" : "orders");
}

static void open_ingest(struct sim *s)
{
    const struct ingest_options options = {.products = &s->w.serving.products, .inline_bytes = 200};

    assert_int_equal(
        ingest_new(&s->w.stores.sim.rt, s->w.stores.store, &s->metrics, &options, &s->ingest, NULL),
        SF_OK);
}

/* --- producers ----------------------------------------------------------------------------------
 */

static void plan(struct sim *s, struct job *j, unsigned number)
{
    *j = (struct job){.sim = s,
                      .number = number,
                      .events = below(s, 2) == 0,
                      .reject = below(s, 4) == 0,
                      .records = 1 + (unsigned)below(s, RECORDS_MAX)};
    (void)snprintf(j->key, sizeof(j->key), "key-%u", number);
    for (unsigned i = 0; i < j->records; i++) {
        const bool bad = below(s, 8) == 0;

        j->keys[i] = bad ? KEYS : (unsigned)below(s, KEYS);
        j->invalid += bad;
    }
}

/* Which request, and which record of it, a row says it came with. */
static unsigned mark_of(const struct job *j, unsigned record)
{
    return j->number * RECORDS_MAX + record;
}

static void write_body(const struct job *j, struct sf_buf *out)
{
    for (unsigned i = 0; i < j->records; i++) {
        if (j->keys[i] == KEYS) {
            sf_buf_text(out, j->events ? "{\"n\":\"no number\"}\n" : "{\"note\":\"no key\"}\n");
        } else if (j->events) {
            sf_buf_printf(out, "{\"page\":\"/\",\"n\":%u}\n", mark_of(j, i));
        } else {
            sf_buf_printf(out, "{\"order_id\":\"o%u\",\"amount\":\"%u\"}\n", j->keys[i],
                          mark_of(j, i));
        }
    }
}

static void on_answer(void *data, const struct ingest_result *result, const struct sf_error *err)
{
    struct job *j = data;
    struct sim *s = j->sim;

    sf_assert(j->fate == FATE_UNDER_WAY);
    s->under_way--;
    if (s->w.stores.disk.killed) {
        j->fate = FATE_UNKNOWN; /* Nobody is there any more to hear it. */
    } else if (err == NULL) {
        j->fate = FATE_ACKED;
        if (j->commit != 0) { /* answered before: the same again */
            sf_assert(result->replayed);
            sf_assert(result->first_seq == j->first && result->last_seq == j->last);
            sf_assert(result->accepted == j->accepted && result->quarantined == j->quarantined);
        }
        j->first = result->first_seq;
        j->last = result->last_seq;
        j->commit = result->commit;
        j->accepted = result->accepted;
        j->quarantined = result->quarantined;
        sf_assert(j->accepted == j->records - j->invalid && j->quarantined == j->invalid);
    } else if (err->code == SF_INVALID) {
        sf_assert(j->reject && j->invalid > 0 && err->number == SHEAF_E_RECORD_INVALID);
        j->fate = FATE_REFUSED;
    } else if (err->code == SF_BUSY) {
        j->fate = FATE_REFUSED; /* below the disk reserve: before anything was written */
    } else {
        j->fate = FATE_UNKNOWN;
    }
}

static void send(struct sim *s, struct job *j)
{
    struct ingest_request request = {
        .table = table_of(s, j->events),
        .on_invalid = j->reject ? INGEST_REJECT : INGEST_QUARANTINE,
        .caller = "producer",
        .idempotency_key = j->key,
    };
    const enum fate before = j->fate;
    struct sf_error err;

    write_body(j, &request.body);
    j->fate = FATE_UNDER_WAY;
    s->under_way++;
    if (ingest_start(s->ingest, &request, on_answer, j, &err) != SF_OK) {
        s->under_way--;
        j->fate = before;
    }
}

/* A new request, or one that is sent again: without an answer, or with one that was lost. */
static void produce(struct sim *s)
{
    struct job *j = &s->jobs[below(s, REQUESTS)];

    if (s->begun < REQUESTS && below(s, 2) == 0) {
        j = &s->jobs[s->begun];
        plan(s, j, s->begun++);
    }
    if (j->sim != NULL && j->fate != FATE_UNDER_WAY &&
        (j->fate != FATE_ACKED || below(s, 4) == 0) &&
        (j->fate != FATE_REFUSED || j->invalid == 0 || !j->reject)) {
        send(s, j);
    }
}

/* --- the world ----------------------------------------------------------------------------------
 */

static bool all_answered(void *data)
{
    return ((struct sim *)data)->under_way == 0;
}

static void drain(struct sim *s)
{
    sf_assert(rt_sim_run_until(&s->w.stores.sim, all_answered, s, 600 * SF_NS_PER_S));
}

static void cut_power(struct sim *s)
{
    leaf_world_kill(&s->w);
    drain(s);
    ingest_free(s->ingest);
    leaf_world_crash(&s->w, world_orders);
    open_ingest(s);
}

static void step(struct sim *s)
{
    switch (below(s, 12)) {
    case 0:
        if (below(s, 3) == 0) {
            cut_power(s);
        }
        return;
    case 1:
    case 2:
    case 3:
        rt_sim_run_for(&s->w.stores.sim, below(s, 20) * SF_NS_PER_MS);
        return;
    default:
        produce(s);
        return;
    }
}

/* --- what is there -------------------------------------------------------------------------------
 */

struct found {
    unsigned times[REQUESTS * RECORDS_MAX];
    uint64_t seqs[REQUESTS * RECORDS_MAX];
    unsigned newest[KEYS]; /* mark + 1 of the last change; 0: none */
};

static unsigned mark_in(const struct served_table *table, bool events, struct sf_slice row)
{
    struct sf_value values[8];
    int64_t mark;

    sf_assert(row_decode(table->contract, row, values, NULL) == SF_OK);
    mark = events ? values[1].i : values[1].i / 100; /* n; amount is a decimal of scale 2 */
    sf_assert(mark >= 0 && mark < REQUESTS * RECORDS_MAX);
    return (unsigned)mark;
}

static void read_log(struct sim *s, bool events, struct found *found)
{
    const struct served_table *table = table_of(s, events);
    struct store_snapshot *snapshot;
    struct store_log *log;
    struct store_log_entry e;
    uint64_t seq = 0;
    uint64_t commit = 0;
    bool more = true;

    sf_assert(store_snapshot_new(s->w.stores.store, &snapshot, NULL) == SF_OK);
    sf_assert(store_log_new(snapshot, table->lane, 0, true, &log, NULL) == SF_OK);
    while (sf_assert(store_log_next(log, &e, &more, NULL) == SF_OK), more) {
        const unsigned mark = mark_in(table, events, e.row);

        sf_assert(e.seq == ++seq);
        sf_assert(e.commit >= commit);
        commit = e.commit;
        found->times[mark]++;
        found->seqs[mark] = e.seq;
        if (!events) {
            found->newest[s->jobs[mark / RECORDS_MAX].keys[mark % RECORDS_MAX]] = mark + 1;
        }
    }
    sf_assert(seq == store_lane_head(table->lane)->seq);
    store_log_free(log);
    store_snapshot_free(snapshot);
}

static void check_job(const struct job *j, const struct found *found)
{
    uint64_t before = 0;
    unsigned there = 0;

    for (unsigned i = 0; i < j->records; i++) {
        const unsigned mark = mark_of(j, i);

        if (j->keys[i] == KEYS) {
            sf_assert(found->times[mark] == 0);
            continue;
        }
        sf_assert(found->times[mark] <= 1);
        there += found->times[mark];
        if (found->times[mark] == 1) {
            sf_assert(before == 0 || found->seqs[mark] == before + 1);
            before = found->seqs[mark];
        }
    }
    sf_assert(there == 0 || there == j->records - j->invalid); /* as a whole */
    if (j->fate == FATE_ACKED && j->accepted > 0) {
        sf_assert(there == j->accepted && before == j->last);
        sf_assert(j->last - j->first + 1 == j->accepted);
    }
    if (j->fate == FATE_REFUSED || j->fate == FATE_NEW) {
        sf_assert(there == 0);
    }
}

static void check_rows(struct sim *s, const struct found *found)
{
    const struct served_table *table = table_of(s, false);
    struct store_snapshot *snapshot;
    struct store_scan *scan;
    struct store_row row;
    unsigned seen = 0;
    unsigned wanted = 0;
    bool more = true;

    sf_assert(store_snapshot_new(s->w.stores.store, &snapshot, NULL) == SF_OK);
    sf_assert(store_scan_new(snapshot, table->lane, &(struct store_range){0}, &scan, NULL) ==
              SF_OK);
    while (sf_assert(store_scan_next(scan, &row, &more, NULL) == SF_OK), more) {
        const unsigned mark = mark_in(table, false, row.row);

        sf_assert(found->newest[s->jobs[mark / RECORDS_MAX].keys[mark % RECORDS_MAX]] == mark + 1);
        seen++;
    }
    for (unsigned i = 0; i < KEYS; i++) {
        wanted += found->newest[i] != 0;
    }
    sf_assert(seen == wanted);
    store_scan_free(scan);
    store_snapshot_free(snapshot);
}

static void finish(struct sim *s)
{
    struct found *found = sf_calloc(1, sizeof(*found));
    uint64_t quarantined = 0;

    sf_assert(found != NULL);
    drain(s);
    for (unsigned i = 0; i < s->begun; i++) { /* Every producer hears of its request in the end. */
        struct job *j = &s->jobs[i];

        if (j->fate == FATE_UNKNOWN || j->fate == FATE_NEW) {
            send(s, j);
            drain(s);
            sf_assert(j->fate == FATE_ACKED || j->fate == FATE_REFUSED);
        }
    }
    read_log(s, false, found);
    read_log(s, true, found);
    for (unsigned i = 0; i < s->begun; i++) {
        check_job(&s->jobs[i], found);
        quarantined += s->jobs[i].fate == FATE_ACKED ? s->jobs[i].quarantined : 0;
    }
    sf_assert(quarantined == store_lane_head(table_of(s, false)->lane)->quarantined +
                                 store_lane_head(table_of(s, true)->lane)->quarantined);
    check_rows(s, found);
    sf_free(found);
}

static void run_seed(uint64_t seed)
{
    struct sim *s = sf_calloc(1, sizeof(*s));

    sf_assert(s != NULL);
    leaf_world_init(&s->w, seed);
    sf_metrics_init(&s->metrics);
    (void)leaf_world_add(&s->w, world_orders);
    open_ingest(s);
    for (unsigned i = 0; i < STEPS; i++) {
        step(s);
    }
    finish(s);
    ingest_free(s->ingest);
    leaf_world_done(&s->w);
    sf_free(s);
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

    sf_assert(sf_crypto_init(NULL) == SF_OK);
    sf_assert(sf_log_open(&(struct sf_log_options){.level = SF_LOG_ERROR}, NULL) == SF_OK);
    for (uint64_t seed = first; seed < first + count; seed++) {
        (void)fprintf(stderr, "\rseed %llu", (unsigned long long)seed);
        run_seed(seed);
    }
    (void)fprintf(stderr, "\n");
    sf_log_close();
    return 0;
}
