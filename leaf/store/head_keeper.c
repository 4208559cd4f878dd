/*
 *            due, and a commit since            written or failed
 *   WAITING --------------------------> WRITING ------------------> WAITING
 *
 * step() decides; the timer and the end of the work call it.
 */
#include "leaf/store/head_keeper.h"

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/sys/file.h"
#include "common/sys/log.h"
#include "leaf/store/head_record.h"
#include "leaf/store/store_internal.h"

enum { IDLE_SHARE = 10 }; /* writing takes at most one part of so many */

struct head_keeper {
    struct sf_rt *rt;
    struct store *store;
    char *path; /* owned */
    bool writing;
    uint64_t began_ns;
    uint64_t shown; /* commit of the record under way or written; UINT64_MAX: none */
    struct sf_buf record;
    enum sf_code code; /* out, of the work */
    struct sf_error error;
    struct sf_work work;
    struct sf_timer timer;
    struct head_keeper_stats stats;
};

static void step(struct head_keeper *k);

static void fill(struct head_keeper *k)
{
    sf_buf_clear(&k->record);
    head_record_encode(k->store, &k->record);
    k->shown = k->store->last.commit;
}

static void write_work(struct sf_work *w)
{
    struct head_keeper *k = SF_CONTAINER_OF(w, struct head_keeper, work);

    k->code = sf_buf_check(&k->record, "head record", &k->error);
    if (k->code == SF_OK) {
        k->code = sf_file_write(k->path, sf_buf_view(&k->record), 0600, &k->error);
    }
}

static void settle(struct head_keeper *k)
{
    if (k->code == SF_OK) {
        k->stats.written++;
        k->stats.written_us = sf_rt_wall_us(k->rt);
        return;
    }
    k->shown = UINT64_MAX;
    k->stats.failures++;
    sf_log(SF_LOG_WARN, "store.head_record_not_written", SF_F_ERROR(&k->error));
}

static void write_done(struct sf_task *t)
{
    struct head_keeper *k = SF_CONTAINER_OF(t, struct head_keeper, work.done);

    k->writing = false;
    settle(k);
    step(k);
}

static void on_timer(struct sf_timer *t)
{
    struct head_keeper *k = SF_CONTAINER_OF(t, struct head_keeper, timer);

    if (k->shown != k->store->last.commit) {
        fill(k);
        k->writing = true;
        k->began_ns = sf_rt_now_ns(k->rt);
    }
    step(k);
}

static void step(struct head_keeper *k)
{
    const uint64_t took_ns = sf_rt_now_ns(k->rt) - k->began_ns;
    const uint64_t pause_ns = k->began_ns == 0 ? 0 : took_ns * IDLE_SHARE;

    if (k->writing) {
        sf_rt_work(k->rt, &k->work);
        return;
    }
    k->began_ns = 0;
    sf_rt_timer_start(k->rt, &k->timer, pause_ns > HEAD_KEEPER_NS ? pause_ns : HEAD_KEEPER_NS);
}

enum sf_code head_keeper_new(struct sf_rt *rt, struct store *s, const char *path,
                             struct head_keeper **ret, struct sf_error *err)
{
    struct head_keeper *k = sf_calloc(1, sizeof(*k));

    if (k == NULL || (k->path = sf_strdup(path)) == NULL) {
        sf_free(k);
        return SF_RAISE(err, SF_NOMEM, "head record");
    }
    k->rt = rt;
    k->store = s;
    k->shown = UINT64_MAX;
    k->record.size_max = HEAD_RECORD_BYTES_MAX;
    k->work = (struct sf_work){.pool = SF_POOL_QUERY, .work = write_work, .done.run = write_done};
    k->timer.fire = on_timer;
    step(k);
    *ret = k;
    return SF_OK;
}

bool head_keeper_is_busy(const struct head_keeper *k)
{
    return k->writing;
}

void head_keeper_free(struct head_keeper *k)
{
    if (k == NULL) {
        return;
    }
    sf_assert(!k->writing);
    sf_rt_timer_stop(k->rt, &k->timer);
    if (k->shown != k->store->last.commit) {
        fill(k);
        write_work(&k->work);
        settle(k);
    }
    sf_buf_done(&k->record);
    sf_free(k->path);
    sf_free(k);
}

struct head_keeper_stats head_keeper_stats(const struct head_keeper *k)
{
    return k->stats;
}
