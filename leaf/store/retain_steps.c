/* What one lane needs in each phase of a round: the next thing is put under way. */
#include "leaf/store/retain_private.h"

enum { PIECES_MAX = 1024, PURGE_PIECES = 256 };
#define PIECE_BYTES (UINT64_C(64) << 20)

/* --- log -------------------------------------------------------------------------------------- */

static bool wants_mark(const struct retainer *r)
{
    const struct store_lane *lane = r->lane;
    const struct store_head *last =
        lane->mark_count > 0 ? &lane->marks[lane->mark_count - 1] : NULL;
    const uint64_t seq = last != NULL ? last->seq : lane->anchor.seq;
    const int64_t us = last != NULL ? last->commit_us : lane->anchor.commit_us;

    return lane->head.seq > seq && lane->mark_count < UPKEEP_MARKS_MAX &&
           (seq == 0 || r->now_us - us >= r->rule.keep_us / RETAIN_SEGMENTS);
}

/* The newest mark that may become the anchor; NULL: none. */
static const struct store_head *next_anchor(const struct retainer *r)
{
    const struct store_lane *lane = r->lane;
    const uint64_t taken = r->options.taken(r->options.data, lane);
    const struct store_head *found = NULL;

    for (size_t i = 0; i < lane->mark_count; i++) {
        const struct store_head *m = &lane->marks[i];
        const int64_t age = r->now_us - m->commit_us;

        if (m->seq > lane->anchor.seq && age >= r->rule.keep_us &&
            (m->seq <= taken || age - r->rule.keep_us >= r->options.grace_us)) {
            found = m;
        }
    }
    return found;
}

static void read_deletes(struct sf_work *w)
{
    struct retainer *r = retainer_of_work(w);

    r->code = retain_read_deletes(r->options.store, r->lane, &r->read_to, r->lane->anchor.seq,
                                  &r->keys, &r->error);
}

/* What the lane needs before it can be cleared; false: nothing more. */
bool retain_log(struct retainer *r)
{
    struct store_lane *lane = r->lane;
    const struct store_head *anchor;

    if (r->failed) {
        return false;
    }
    if (r->read) {
        r->read = false;
        if (r->keys.count > 0) {
            retain_submit(r, UPKEEP_BURY, NULL);
            return true;
        }
    }
    if (r->rule.keep_us > 0 && wants_mark(r)) {
        retain_submit(r, UPKEEP_MARK, NULL);
        return true;
    }
    anchor = r->rule.keep_us > 0 ? next_anchor(r) : NULL;
    if (anchor != NULL) {
        retain_submit(r, UPKEEP_ANCHOR, anchor);
        return true;
    }
    if (lane->name.kind == STORE_STATE && r->read_to < lane->anchor.seq) {
        r->read = true;
        retain_work(r, read_deletes);
        return true;
    }
    return false;
}

/* --- clearing --------------------------------------------------------------------------------- */

static void flush_rows(struct sf_work *w)
{
    struct retainer *r = retainer_of_work(w);
    struct kv *kv = r->options.store->kv;

    r->code = kv->ops->flush(kv, KV_STATE, &r->error);
}

static uint64_t piece_seq(const struct retainer *r, size_t piece)
{
    return r->cleared_from + (r->lane->anchor.seq + 1 - r->cleared_from) * piece / r->pieces;
}

/* Gives back the space of one piece of what was cleared. */
static void compact(struct sf_work *w)
{
    struct retainer *r = retainer_of_work(w);
    struct kv *kv = r->options.store->kv;
    struct keyspace_key from = keyspace_lane_seq(r->lane->id, piece_seq(r, r->piece - 1));
    struct keyspace_key to = keyspace_lane_seq(r->lane->id, piece_seq(r, r->piece));

    r->code = kv->ops->compact(kv, KV_LOG, keyspace_view(&from), keyspace_view(&to), &r->error);
    if (r->code == SF_OK && r->piece == r->pieces && r->lane->name.kind == STORE_STATE) {
        from = keyspace_lane_seq(r->lane->id, r->cleared_from);
        r->code = kv->ops->compact(kv, KV_OLD, keyspace_view(&from), keyspace_view(&to), &r->error);
    }
}

/* How much to compact at once: a query thread is taken for that long. */
static void plan_pieces(struct retainer *r)
{
    struct kv *kv = r->options.store->kv;
    struct keyspace_key from = keyspace_lane_seq(r->lane->id, r->lane->anchor.cleared + 1);
    struct keyspace_key to = keyspace_lane_seq(r->lane->id, r->lane->anchor.seq + 1);
    uint64_t bytes =
        kv->ops->approximate_size(kv, KV_LOG, keyspace_view(&from), keyspace_view(&to));

    r->piece = 0;
    r->pieces = bytes / PIECE_BYTES + 1 < PIECES_MAX ? bytes / PIECE_BYTES + 1 : PIECES_MAX;
    r->cleared_from = r->lane->anchor.cleared + 1;
}

bool retain_clear(struct retainer *r)
{
    const struct store_anchor *a = &r->lane->anchor;

    if (r->failed || r->lane->unburied || (a->cleared == a->seq && !r->clearing)) {
        return false;
    }
    /* What shows the anchor, and what was buried, must be on the disk before the log goes. */
    if (!r->flushed) {
        r->flushed = true;
        retain_work(r, flush_rows);
        return true;
    }
    if (!r->clearing) {
        plan_pieces(r);
        retain_submit(r, UPKEEP_CLEAR, NULL);
        r->clearing = r->busy;
        return r->busy;
    }
    if (r->piece < r->pieces) {
        r->piece++;
        retain_work(r, compact);
        return true;
    }
    return false;
}

/* --- lanes that are gone ---------------------------------------------------------------------- */

static const enum kv_family purged_families[] = {KV_STATE, KV_LOG, KV_OLD, KV_QUARANTINE};

bool retain_is_purged(const struct store_lane *lane)
{
    return lane->purged || (lane->head.seq == 0 && lane->head.quarantined == 0);
}

/* Where piece @i of the lane's keys begins: rows by the first byte of their keys, others by seq. */
static struct keyspace_key purged_bound(const struct retainer *r, size_t i)
{
    const struct store_head *head = &r->lane->head;
    const uint64_t last = head->seq > head->quarantined ? head->seq : head->quarantined;
    struct keyspace_key key = keyspace_lane(i == r->pieces ? r->lane->id + 1 : r->lane->id);

    if (i == 0 || i == r->pieces) {
        return key;
    }
    if (purged_families[r->family] != KV_STATE) {
        return keyspace_lane_seq(r->lane->id, last / r->pieces * i);
    }
    key.bytes[key.size++] = (uint8_t)i;
    return key;
}

static void compact_family(struct sf_work *w)
{
    struct retainer *r = retainer_of_work(w);
    struct kv *kv = r->options.store->kv;
    struct keyspace_key from = purged_bound(r, r->piece - 1);
    struct keyspace_key to = purged_bound(r, r->piece);

    r->code = kv->ops->compact(kv, purged_families[r->family], keyspace_view(&from),
                               keyspace_view(&to), &r->error);
}

static void plan_family(struct retainer *r)
{
    struct kv *kv = r->options.store->kv;
    struct keyspace_key from = keyspace_lane(r->lane->id);
    struct keyspace_key to = keyspace_lane(r->lane->id + 1);

    r->piece = 0;
    r->pieces = kv->ops->approximate_size(kv, purged_families[r->family], keyspace_view(&from),
                                          keyspace_view(&to)) > PIECE_BYTES
                    ? PURGE_PIECES
                    : 1;
}

bool retain_purge(struct retainer *r)
{
    if (r->failed || !r->rule.gone || retain_is_purged(r->lane)) {
        return false;
    }
    if (!r->clearing) {
        r->family = 0;
        plan_family(r);
        retain_submit(r, UPKEEP_PURGE, NULL);
        return r->busy;
    }
    if (r->piece == r->pieces && ++r->family < SF_COUNT(purged_families)) {
        plan_family(r);
    }
    if (r->family < SF_COUNT(purged_families)) {
        r->piece++;
        retain_work(r, compact_family);
        return true;
    }
    r->lane->purged = true;
    r->stats.purges++;
    return false;
}

/* --- quarantine, answers ---------------------------------------------------------------------- */

static void read_rejects(struct sf_work *w)
{
    struct retainer *r = retainer_of_work(w);

    r->code = retain_read_rejects(r->options.store, r->lane, r->now_us - r->rule.quarantine_us,
                                  &r->keys, &r->error);
}

static void on_dropped(struct store_write *w, const struct sf_error *err)
{
    struct retainer *r = w->data;

    r->busy = false;
    if (err == NULL) {
        r->stats.rejects += r->lane_write.resolve_count;
        sf_counter_add(&r->rejects, r->lane_write.resolve_count);
    } else if (err->code != SF_CONFLICT) { /* Else somebody else has resolved one: next round. */
        retain_note_failure(r, err);
    }
    r->failed = r->failed || err != NULL;
    retain_step(r);
}

static void drop_rejects(struct retainer *r)
{
    struct sf_error err;

    for (size_t i = 0; i < r->keys.count; i++) {
        r->resolves[i] = (struct store_resolve){.qseq = r->keys.qseqs[i]};
    }
    r->lane_write = (struct store_lane_write){.lane = r->lane,
                                              .resolves = r->resolves,
                                              .resolve_count = r->keys.count,
                                              .expect_seq = STORE_ANY};
    r->write = (struct store_write){.data = r, .lanes = &r->lane_write, .lane_count = 1};
    r->busy = store_submit(r->options.store, &r->write, on_dropped, &err) == SF_OK;
    if (!r->busy) {
        retain_note_failure(r, &err);
    }
}

bool retain_rejects(struct retainer *r)
{
    if (r->failed || r->rule.quarantine_us == 0 || store_lane_held(r->lane).entries == 0) {
        return false;
    }
    if (!r->read) {
        r->read = true;
        retain_work(r, read_rejects);
        return true;
    }
    r->read = r->keys.more ? false : r->read;
    if (r->keys.count > 0) {
        drop_rejects(r);
        r->keys.count = 0;
        return r->busy;
    }
    return false;
}

static void read_answers(struct sf_work *w)
{
    struct retainer *r = retainer_of_work(w);

    r->code = retain_read_answers(r->options.store, r->now_us - r->options.idem_us, &r->answers_at,
                                  &r->keys, &r->error);
}

bool retain_answers(struct retainer *r)
{
    if (r->failed || r->options.idem_us == 0) {
        return false;
    }
    if (!r->read) {
        r->read = true;
        retain_work(r, read_answers);
        return true;
    }
    r->read = r->keys.more ? false : r->read;
    if (r->keys.count > 0) {
        retain_submit(r, UPKEEP_IDEM, NULL);
        r->keys.count = 0;
        return r->busy;
    }
    return !r->read;
}
