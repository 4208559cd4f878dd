/*
 *     IDLE --> SCANNING --> CHECKING --> REMOVING --> IDLE
 *                 |            |
 *                 +------------+--> IDLE: nothing is over
 *
 * A key that is over may be used anew at any time. So those found are claimed, as requests claim
 * theirs, then looked at again, and only then removed: a request that comes meanwhile is answered
 * that its key is busy.
 */
#include "leaf/ingest/idem_trim.h"

#include "common/base/alloc.h"
#include "common/sys/log.h"
#include "leaf/ingest/ingest_private.h"

enum trim_state { IDLE, SCANNING, CHECKING, REMOVING };

struct idem_trim {
    enum trim_state state;
    struct ingest *in;
    uint64_t rest_until_ns;
    int64_t over_us; /* put before this: over */

    /* While SCANNING and CHECKING the query thread's. */
    struct sf_buf after; /* where the next step begins; empty: at the start */
    bool at_end;
    struct sf_arena arena;
    struct sf_slice *keys; /* TRIM_KEYS */
    size_t key_count;
    enum sf_code code;
    struct sf_error error;

    struct store_put *puts; /* TRIM_KEYS */
    struct sf_work work;
    struct store_write write;
};

static void scan_work(struct sf_work *work);
static void check_work(struct sf_work *work);
static void work_done(struct sf_task *done);

/* --- query thread ----------------------------------------------------------------------------- */

/* Looks at one key; *more false at the end. */
static enum sf_code scan_one(struct idem_trim *t, struct store_small *it, bool *more)
{
    struct sf_slice key;
    struct sf_slice value;
    int64_t commit_us;
    enum sf_code code = store_small_next(it, &key, &value, &commit_us, more, &t->error);

    if (code != SF_OK || !*more) {
        return code;
    }
    sf_buf_clear(&t->after);
    sf_buf_slice(&t->after, key);
    sf_buf_byte(&t->after, 0); /* the first key that may come behind it */
    if (commit_us < t->over_us) {
        struct sf_slice kept = sf_arena_slice(&t->arena, key);

        if (kept.data == NULL) {
            return SF_RAISE(&t->error, SF_NOMEM, "idempotency keys");
        }
        t->keys[t->key_count++] = kept;
    }
    return sf_buf_check(&t->after, "key", &t->error);
}

static enum sf_code scan(struct idem_trim *t)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_small_freep) struct store_small *it = NULL;
    bool more = true;
    enum sf_code code = store_snapshot_new(t->in->store, &snapshot, &t->error);

    if (code == SF_OK) {
        code = store_small_new(snapshot, STORE_IDEM, (struct sf_slice){0}, &it, &t->error);
    }
    if (code == SF_OK) {
        code = store_small_seek(it, sf_buf_view(&t->after), &t->error);
    }
    for (size_t i = 0; code == SF_OK && more && i < TRIM_KEYS; i++) {
        code = scan_one(t, it, &more);
    }
    t->at_end = !more;
    return code;
}

static void scan_work(struct sf_work *work)
{
    struct idem_trim *t = SF_CONTAINER_OF(work, struct idem_trim, work);

    t->code = scan(t);
}

/* Keeps those keys that are still over. */
static enum sf_code check(struct idem_trim *t)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(sf_buf_done) struct sf_buf value = {0};
    enum sf_code code = store_snapshot_new(t->in->store, &snapshot, &t->error);

    for (size_t i = 0; code == SF_OK && i < t->key_count; i++) {
        int64_t commit_us = 0;
        bool found = false;

        sf_buf_clear(&value);
        code = store_small_get(snapshot, STORE_IDEM, t->keys[i], &value, &commit_us, &found,
                               &t->error);
        t->puts[i].remove = found && commit_us < t->over_us;
    }
    return code;
}

static void check_work(struct sf_work *work)
{
    struct idem_trim *t = SF_CONTAINER_OF(work, struct idem_trim, work);

    t->code = check(t);
}

/* --- the loop --------------------------------------------------------------------------------- */

static void release_claims(struct idem_trim *t)
{
    for (size_t i = 0; i < t->key_count; i++) {
        (void)sf_map_remove(&t->in->keys, t->keys[i]);
    }
    t->key_count = 0;
}

/* Ends a step; what failed is tried again with the next walk. */
static void end_step(struct idem_trim *t, const struct sf_error *err)
{
    if (err != NULL) {
        sf_log(SF_LOG_WARN, "ingest.keys_not_trimmed", SF_F_ERROR(err));
    }
    release_claims(t);
    sf_arena_reset(&t->arena);
    t->state = IDLE;
    if (t->at_end || err != NULL) {
        sf_buf_clear(&t->after);
        t->rest_until_ns = sf_rt_now_ns(t->in->rt) + TRIM_REST_NS;
    }
    t->in->pending--;
}

static void claim(struct idem_trim *t)
{
    size_t kept = 0;

    for (size_t i = 0; i < t->key_count; i++) {
        if (sf_map_find(&t->in->keys, t->keys[i]) == NULL &&
            sf_map_put(&t->in->keys, t->keys[i], t) == SF_OK) {
            t->keys[kept++] = t->keys[i];
        }
    }
    t->key_count = kept;
}

static void removed(struct store_write *w, const struct sf_error *err)
{
    struct idem_trim *t = w->data;

    if (err == NULL) {
        sf_counter_add(&t->in->trimmed, w->put_count);
    }
    end_step(t, err);
}

static void remove_keys(struct idem_trim *t)
{
    size_t count = 0;

    for (size_t i = 0; i < t->key_count; i++) {
        if (t->puts[i].remove) {
            t->puts[count++] =
                (struct store_put){.space = STORE_IDEM, .remove = true, .key = t->keys[i]};
        }
    }
    t->write =
        (struct store_write){.data = t, .puts = t->puts, .put_count = count, .unsynced = true};
    t->state = REMOVING;
    if (count == 0) {
        end_step(t, NULL);
    } else if (store_submit(t->in->store, &t->write, removed, &t->error) != SF_OK) {
        end_step(t, &t->error);
    }
}

static void start_work(struct idem_trim *t, enum trim_state state,
                       void (*run)(struct sf_work *work))
{
    t->state = state;
    t->work = (struct sf_work){.pool = SF_POOL_QUERY, .work = run, .done.run = work_done};
    sf_rt_work(t->in->rt, &t->work);
}

static void work_done(struct sf_task *done)
{
    struct idem_trim *t = SF_CONTAINER_OF(done, struct idem_trim, work.done);

    if (t->code != SF_OK) {
        t->key_count = t->state == SCANNING ? 0 : t->key_count; /* not claimed yet */
        end_step(t, &t->error);
        return;
    }
    switch (t->state) {
    case SCANNING:
        claim(t);
        if (t->key_count == 0) {
            end_step(t, NULL);
        } else {
            start_work(t, CHECKING, check_work);
        }
        break;
    case CHECKING:
        remove_keys(t);
        break;
    case IDLE:
    case REMOVING:
        break;
    }
}

void idem_trim_step(struct idem_trim *t)
{
    if (t->state != IDLE || sf_rt_now_ns(t->in->rt) < t->rest_until_ns) {
        return;
    }
    t->over_us = sf_rt_wall_us(t->in->rt) - IDEM_KEEP_US;
    t->in->pending++;
    start_work(t, SCANNING, scan_work);
}

enum sf_code idem_trim_new(struct ingest *in, struct idem_trim **ret, struct sf_error *err)
{
    struct idem_trim *t = sf_calloc(1, sizeof(*t));

    if (t == NULL) {
        return SF_RAISE(err, SF_NOMEM, "trimming of keys");
    }
    t->in = in;
    sf_arena_init(&t->arena, 0);
    t->keys = sf_calloc(TRIM_KEYS, sizeof(*t->keys));
    t->puts = sf_calloc(TRIM_KEYS, sizeof(*t->puts));
    if (t->keys == NULL || t->puts == NULL) {
        idem_trim_free(t);
        return SF_RAISE(err, SF_NOMEM, "trimming of keys");
    }
    *ret = t;
    return SF_OK;
}

void idem_trim_free(struct idem_trim *t)
{
    if (t == NULL) {
        return;
    }
    sf_arena_done(&t->arena);
    sf_buf_done(&t->after);
    sf_free(t->keys);
    sf_free(t->puts);
    sf_free(t);
}
