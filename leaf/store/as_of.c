#include "leaf/store/as_of.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/time.h"
#include "leaf/store/read_log.h"
#include "leaf/store/store_internal.h"
#include "proto/errors.h"

static enum sf_code corrupt(const struct store_lane *lane, uint64_t seq, const char *what,
                            struct sf_error *err)
{
    char name[128];

    return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "%s, seq %llu: %s",
                      store_lane_text(lane, name, sizeof(name)), (unsigned long long)seq, what);
}

/* --- what is held --- */

enum sf_code store_anchor_of(const struct store_snapshot *snapshot, const struct store_lane *lane,
                             struct store_anchor *ret, struct sf_error *err)
{
    struct keyspace_key key = keyspace_meta_anchor(lane->id);
    SF_CLEANUP(sf_buf_done) struct sf_buf value = {0};
    struct kv *kv = snapshot->store->kv;
    bool found = false;
    enum sf_code code =
        kv->ops->get(kv, snapshot->kv, KV_META, keyspace_view(&key), &value, &found, err);

    *ret = (struct store_anchor){0};
    return code == SF_OK && found ? keyspace_anchor_decode(sf_buf_view(&value), ret, err) : code;
}

const struct store_anchor *store_lane_anchor(const struct store_lane *lane)
{
    return &lane->anchor;
}

enum sf_code as_of_gone(const struct store_anchor *anchor, struct sf_error *err)
{
    char time[SF_TIME_TEXT_SIZE];

    (void)sf_time_format(sf_time_in_range(anchor->commit_us) ? anchor->commit_us : 0, time);
    return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_POSITION_GONE,
                      "what came before was trimmed; the first position held is %u:%llu, of %s",
                      (unsigned)anchor->epoch, (unsigned long long)anchor->seq, time);
}

/* An iterator over the frames of a lane. */
static enum sf_code open_frames(const struct store_snapshot *snapshot,
                                const struct store_lane *lane, enum kv_family family,
                                struct kv_iter **ret, struct sf_error *err)
{
    struct keyspace_key from = keyspace_lane(lane->id);
    struct keyspace_key to = keyspace_lane(lane->id + 1);
    struct kv_range range = {keyspace_view(&from), keyspace_view(&to), .fill_cache = true};
    struct kv *kv = snapshot->store->kv;

    return kv->ops->iter_new(kv, snapshot->kv, family, &range, ret, err);
}

enum sf_code store_epoch_at(const struct store_snapshot *snapshot, const struct store_lane *lane,
                            uint64_t seq, uint32_t *ret, struct sf_error *err)
{
    SF_CLEANUP(kv_iter_freep) struct kv_iter *it = NULL;
    struct store_anchor anchor;
    struct store_head head;
    struct frame f;
    enum sf_code code = store_anchor_of(snapshot, lane, &anchor, err);

    code = code == SF_OK ? store_snapshot_head(snapshot, lane, &head, err) : code;
    if (code != SF_OK) {
        return code;
    }
    if (seq < anchor.seq) {
        return as_of_gone(&anchor, err);
    }
    if (seq > head.seq) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_POSITION_AHEAD,
                          "seq %llu is ahead of the table, which is at %u:%llu",
                          (unsigned long long)seq, (unsigned)head.epoch,
                          (unsigned long long)head.seq);
    }
    *ret = seq == head.seq ? head.epoch : anchor.epoch;
    if (seq > anchor.seq && seq < head.seq) {
        code = open_frames(snapshot, lane, KV_LOG, &it, err);
        code = code == SF_OK ? log_find(lane, it, seq, &f, err) : code;
        *ret = code == SF_OK ? f.header.epoch : 0;
    }
    return code;
}

enum sf_code store_check_position(const struct store_snapshot *snapshot,
                                  const struct store_lane *lane, uint32_t epoch, uint64_t seq,
                                  struct sf_error *err)
{
    uint32_t there = 0;
    enum sf_code code = store_epoch_at(snapshot, lane, seq, &there, err);

    if (code == SF_OK && seq != 0 && epoch != there) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_POSITION_GONE,
                          "epoch %u, but seq %llu of the table was written in epoch %u",
                          (unsigned)epoch, (unsigned long long)seq, (unsigned)there);
    }
    return code;
}

enum sf_code store_find_time(const struct store_snapshot *snapshot, const struct store_lane *lane,
                             int64_t us, uint64_t *ret_seq, struct sf_error *err)
{
    SF_CLEANUP(kv_iter_freep) struct kv_iter *it = NULL;
    struct store_anchor anchor;
    struct store_head head;
    struct frame f;
    uint64_t low;  /* was committed by then */
    uint64_t high; /* behind it nothing was */
    enum sf_code code = store_anchor_of(snapshot, lane, &anchor, err);

    code = code == SF_OK ? store_snapshot_head(snapshot, lane, &head, err) : code;
    code = code == SF_OK ? open_frames(snapshot, lane, KV_LOG, &it, err) : code;
    if (code == SF_OK && anchor.seq > 0 && us < anchor.commit_us) {
        code = as_of_gone(&anchor, err);
    }
    if (code != SF_OK) {
        return code;
    }
    low = anchor.seq;
    high = head.seq;
    while (low < high) {
        code = log_find(lane, it, low + (high - low + 1) / 2, &f, err);
        if (code != SF_OK) {
            return code;
        }
        if (f.header.commit_us <= us) {
            low = frame_last_seq(&f);
        } else {
            high = f.header.first_seq - 1;
        }
    }
    *ret_seq = low;
    return SF_OK;
}

/* --- one row --- */

/* What following a key into the past needs; kept from key to key. */
struct follow {
    const struct store_snapshot *snapshot;
    const struct store_lane *lane;
    struct store_anchor anchor;
    uint64_t seq; /* as of which */
    struct kv_iter *log;
    bool in_frame; /* the iterator stands on the frame below */
    struct frame frame;
    struct sf_buf *bytes; /* of the row found */
};

static void follow_done(struct follow *f)
{
    kv_iter_free(f->log);
}

static enum sf_code follow_init(struct follow *f, struct sf_error *err)
{
    enum sf_code code = store_anchor_of(f->snapshot, f->lane, &f->anchor, err);

    if (code == SF_OK && f->seq < f->anchor.seq) {
        code = as_of_gone(&f->anchor, err);
    }
    return code == SF_OK ? open_frames(f->snapshot, f->lane, KV_LOG, &f->log, err) : code;
}

/* The change at @seq, which must be of @key. */
static enum sf_code read_change(struct follow *f, struct sf_slice key, uint64_t seq,
                                struct frame_change *ret, struct sf_error *err)
{
    struct frame_cursor cursor = {.frame = &f->frame};
    uint64_t at;

    if (!f->in_frame || seq < f->frame.header.first_seq || seq > frame_last_seq(&f->frame)) {
        enum sf_code code = log_find(f->lane, f->log, seq, &f->frame, err);

        f->in_frame = code == SF_OK;
        if (code != SF_OK) {
            return code;
        }
    }
    frame_cursor_seek(&cursor, seq);
    (void)frame_cursor_next(&cursor, ret, &at);
    if (!sf_slice_equal(ret->key, key) || ret->prev_seq >= seq) {
        return corrupt(f->lane, seq, "belongs to another key", err);
    }
    return SF_OK;
}

/* The row that change @seq overwrote, kept because its own frame may be gone. */
static enum sf_code read_kept(struct follow *f, struct sf_slice key, uint64_t seq,
                              uint64_t prev_seq, struct store_row *ret, bool *found,
                              struct sf_error *err)
{
    struct keyspace_key at = keyspace_lane_seq(f->lane->id, seq);
    struct kv *kv = f->snapshot->store->kv;
    struct keyspace_state state;
    struct sf_slice row;
    bool there = false;
    enum sf_code code =
        kv->ops->get(kv, f->snapshot->kv, KV_OLD, keyspace_view(&at), f->bytes, &there, err);

    if (code == SF_OK && there) {
        code = keyspace_state_decode(sf_buf_view(f->bytes), &state, &row, err);
    }
    if (code != SF_OK) {
        return code;
    }
    if (!there || state.seq != prev_seq) {
        return corrupt(f->lane, seq, "the row it replaced was not kept", err);
    }
    *ret = (struct store_row){key, row, state.seq, state.contract_id};
    *found = state.op == STORE_UPSERT;
    return SF_OK;
}

/* What @key held as of f->seq, when its newest change is @newest, which is later. */
static enum sf_code follow_key(struct follow *f, struct sf_slice key, uint64_t newest,
                               struct store_row *ret, bool *found, struct sf_error *err)
{
    struct frame_change c;
    struct store_log_entry e;
    uint64_t seq = newest;
    enum sf_code code;

    *found = false;
    while (seq > f->seq) {
        code = read_change(f, key, seq, &c, err);
        if (code != SF_OK || c.prev_seq == 0) {
            return code;
        }
        if (c.prev_seq <= f->anchor.seq) {
            return read_kept(f, key, seq, c.prev_seq, ret, found, err);
        }
        seq = c.prev_seq;
    }
    code = read_change(f, key, seq, &c, err);
    code = code == SF_OK ? frame_change_check(&f->frame, &c, seq, err) : code;
    code = code == SF_OK ? log_copy(&f->frame, &c, seq, f->bytes, &e, err) : code;
    if (code == SF_OK) {
        *ret = (struct store_row){key, e.row, seq, e.contract_id};
        *found = c.op == STORE_UPSERT;
    }
    return code;
}

enum sf_code store_get_as_of(const struct store_snapshot *snapshot, const struct store_lane *lane,
                             struct sf_slice key, uint64_t seq, struct sf_buf *bytes,
                             struct store_row *ret, bool *found, struct sf_error *err)
{
    SF_CLEANUP(follow_done)
    struct follow f = {.snapshot = snapshot, .lane = lane, .seq = seq, .bytes = bytes};
    enum sf_code code = store_get(snapshot, lane, key, bytes, ret, found, err);

    if (code != SF_OK || ret->seq <= seq) {
        return code;
    }
    if (lane->name.kind == STORE_EVENT) {
        *found = false;
        return SF_OK;
    }
    code = follow_init(&f, err);
    return code == SF_OK ? follow_key(&f, key, ret->seq, ret, found, err) : code;
}

/* --- what a change replaced --- */

struct store_before {
    struct follow follow;
};

void store_before_free(struct store_before *b)
{
    if (b != NULL) {
        follow_done(&b->follow);
        sf_free(b);
    }
}

enum sf_code store_before_new(const struct store_snapshot *snapshot, const struct store_lane *lane,
                              struct store_before **ret, struct sf_error *err)
{
    SF_CLEANUP(store_before_freep) struct store_before *b = sf_calloc(1, sizeof(*b));
    enum sf_code code;

    if (b == NULL) {
        return SF_RAISE(err, SF_NOMEM, "changes");
    }
    b->follow = (struct follow){.snapshot = snapshot, .lane = lane, .seq = UINT64_MAX};
    code = follow_init(&b->follow, err);
    if (code == SF_OK) {
        *ret = SF_TAKE(b);
    }
    return code;
}

enum sf_code store_before_read(struct store_before *b, const struct store_log_entry *change,
                               struct sf_buf *bytes, struct store_row *ret, bool *found,
                               struct sf_error *err)
{
    struct follow *f = &b->follow;

    *found = false;
    if (change->prev_seq == 0) {
        return SF_OK;
    }
    if (change->seq <= f->anchor.seq) {
        return as_of_gone(&f->anchor, err);
    }
    f->bytes = bytes;
    f->seq = change->seq - 1;
    if (change->prev_seq <= f->anchor.seq) {
        return read_kept(f, change->key, change->seq, change->prev_seq, ret, found, err);
    }
    return follow_key(f, change->key, change->prev_seq, ret, found, err);
}

/* --- scans --- */

struct store_past {
    struct follow follow;
    struct kv_iter *it;
    struct sf_buf bytes;
    bool reverse;
    bool started;
};

void store_past_free(struct store_past *past)
{
    if (past != NULL) {
        follow_done(&past->follow);
        kv_iter_free(past->it);
        sf_buf_done(&past->bytes);
        sf_free(past);
    }
}

enum sf_code store_past_new(const struct store_snapshot *snapshot, const struct store_lane *lane,
                            const struct store_range *range, uint64_t seq, struct store_past **ret,
                            struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf from = {0};
    SF_CLEANUP(sf_buf_done) struct sf_buf to = {0};
    SF_CLEANUP(store_past_freep) struct store_past *past = sf_calloc(1, sizeof(*past));
    struct kv_range bounds = {.fill_cache = !range->keep_cache};
    struct kv *kv = snapshot->store->kv;
    enum sf_code code;

    if (past == NULL) {
        return SF_RAISE(err, SF_NOMEM, "scan");
    }
    past->reverse = range->reverse;
    past->follow =
        (struct follow){.snapshot = snapshot, .lane = lane, .seq = seq, .bytes = &past->bytes};
    code = follow_init(&past->follow, err);
    code = code == SF_OK ? scan_bounds(lane, range, &from, &to, err) : code;
    if (code != SF_OK) {
        return code;
    }
    bounds.from = sf_buf_view(&from);
    bounds.to = sf_buf_view(&to);
    code = kv->ops->iter_new(kv, snapshot->kv, KV_STATE, &bounds, &past->it, err);
    if (code != SF_OK) {
        return code;
    }
    *ret = SF_TAKE(past);
    return SF_OK;
}

/* Moves on; whether it stands on a key. It stays at its end. */
static bool step(struct store_past *past)
{
    const struct kv_iter_ops *ops = past->it->ops;

    if (!past->started) {
        (past->reverse ? ops->last : ops->first)(past->it);
    } else if (ops->valid(past->it)) {
        (past->reverse ? ops->prev : ops->next)(past->it);
    }
    past->started = true;
    return ops->valid(past->it);
}

/* The key it stands on, as of the seq. */
static enum sf_code read_here(struct store_past *past, struct store_row *ret, bool *found,
                              struct sf_error *err)
{
    struct sf_slice key = past->it->ops->key(past->it);
    struct keyspace_state state;
    struct sf_slice row;
    enum sf_code code = keyspace_state_decode(past->it->ops->value(past->it), &state, &row, err);

    if (code != SF_OK) {
        return code;
    }
    key = sf_slice_of(key.data + 4, key.size - 4);
    *ret = (struct store_row){key, row, state.seq, state.contract_id};
    *found = state.op == STORE_UPSERT;
    return state.seq <= past->follow.seq
               ? SF_OK
               : follow_key(&past->follow, key, state.seq, ret, found, err);
}

enum sf_code store_past_next(struct store_past *past, struct store_row *ret, bool *more,
                             struct sf_error *err)
{
    for (unsigned i = 0; i < STORE_PAST_STEP; i++) {
        bool found = false;
        enum sf_code code;

        *more = step(past);
        if (!*more) {
            return past->it->ops->check(past->it, err);
        }
        code = read_here(past, ret, &found, err);
        if (code != SF_OK || found) {
            return code;
        }
    }
    ret->seq = 0;
    return SF_OK;
}
