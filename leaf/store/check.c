#include "leaf/store/check.h"

#include "common/base/alloc.h"
#include "leaf/store/read_log.h"
#include "leaf/store/store_internal.h"
#include "proto/errors.h"

enum {
    TAIL_FRAMES = 16,                 /* of each lane, verified when the store is opened */
    TAIL_BYTES = 2 * 1024 * 1024,     /* or as many as make this */
    REPLAY_BATCH_BYTES = 1024 * 1024, /* of rows, written at once */
};

static enum sf_code corrupt(const struct store_lane *lane, uint64_t seq, const char *what,
                            struct sf_error *err)
{
    char name[128];

    return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "%s, seq %llu: %s",
                      store_lane_text(lane, name, sizeof(name)), (unsigned long long)seq, what);
}

/* --- tail --- */

/* No frame may begin behind the head: it would be overwritten by the next commit. */
static enum sf_code check_beyond(const struct store_snapshot *snapshot,
                                 const struct store_lane *lane, struct sf_error *err)
{
    struct keyspace_key from = keyspace_lane_seq(lane->id, lane->head.seq + 1);
    struct keyspace_key to = keyspace_lane(lane->id + 1);
    struct kv_range range = {.from = keyspace_view(&from), .to = keyspace_view(&to)};
    struct kv *kv = snapshot->store->kv;
    SF_CLEANUP(kv_iter_freep) struct kv_iter *it = NULL;
    enum sf_code code = kv->ops->iter_new(kv, snapshot->kv, KV_LOG, &range, &it, err);

    if (code != SF_OK) {
        return code;
    }
    it->ops->first(it);
    if (it->ops->valid(it)) {
        return corrupt(lane, lane->head.seq + 1, "the log goes on behind the head", err);
    }
    return it->ops->check(it, err);
}

/* The anchor is in front of the log, or at its end when all of it was trimmed. */
static enum sf_code check_anchor(const struct store_lane *lane, struct sf_error *err)
{
    if (lane->anchor.seq > lane->head.seq ||
        (lane->anchor.seq == lane->head.seq && lane->head.seq > 0 &&
         memcmp(lane->anchor.hash, lane->head.hash, SF_HASH256_SIZE) != 0)) {
        return corrupt(lane, lane->anchor.seq, "the anchor is not of this log", err);
    }
    return SF_OK;
}

enum sf_code store_check_tail(struct store *s, struct store_lane *lane, struct sf_error *err)
{
    struct log_range range = {
        .first_seq = lane->anchor.seq + 1,
        .last_seq = lane->head.seq,
        .reverse = true,
        .verify = true,
        .head = &lane->head,
    };
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_log_freep) struct store_log *log = NULL;
    struct store_log_entry e;
    size_t bytes = 0;
    bool more = true;
    enum sf_code code = store_snapshot_new(s, &snapshot, err);

    code = code == SF_OK ? check_anchor(lane, err) : code;
    code = code == SF_OK ? check_beyond(snapshot, lane, err) : code;
    code = code == SF_OK ? log_open(snapshot, lane, &range, &log, err) : code;
    while (code == SF_OK && more && bytes < TAIL_BYTES && log_frames(log) <= TAIL_FRAMES) {
        code = store_log_next(log, &e, &more, err);
        bytes += code == SF_OK && more ? e.key.size + e.row.size : 0;
    }
    return code;
}

/* --- the rows from the log --- */

struct replay {
    struct store *store;
    const struct store_lane *lane;
    struct kv_batch *batch; /* borrowed */
    size_t bytes;
};

static enum sf_code replay_flush(struct replay *r, struct sf_error *err)
{
    struct kv *kv = r->store->kv;
    enum sf_code code = kv->ops->write(kv, r->batch, KV_VOLATILE, err);

    r->batch->ops->clear(r->batch);
    r->bytes = 0;
    return code;
}

static enum sf_code replay_change(struct replay *r, const struct store_log_entry *e,
                                  struct sf_error *err)
{
    struct keyspace_key prefix = keyspace_lane(r->lane->id);
    struct keyspace_state state = {e->seq, e->contract_id, e->op};
    uint8_t header[KEYSPACE_STATE_HEADER];

    keyspace_state_encode(&state, header);
    r->batch->ops->put(r->batch, KV_STATE, (struct kv_parts){keyspace_view(&prefix), e->key},
                       (struct kv_parts){sf_slice_of(header, sizeof(header)), e->row});
    r->bytes += e->key.size + e->row.size;
    return r->bytes < REPLAY_BATCH_BYTES ? SF_OK : replay_flush(r, err);
}

static enum sf_code replay_changes(struct replay *r, const struct store_snapshot *snapshot,
                                   uint64_t after_seq, struct sf_error *err)
{
    struct log_range range = {
        .first_seq = after_seq + 1,
        .last_seq = r->lane->head.seq,
        .verify = true,
        .head = &r->lane->head,
    };
    SF_CLEANUP(store_log_freep) struct store_log *log = NULL;
    struct store_log_entry e;
    bool more = true;
    enum sf_code code = log_open(snapshot, r->lane, &range, &log, err);

    while (code == SF_OK && more) {
        code = store_log_next(log, &e, &more, err);
        if (code == SF_OK && more) {
            code = replay_change(r, &e, err);
        }
    }
    return code;
}

enum sf_code store_replay_lane(struct store *s, struct store_lane *lane, struct sf_error *err)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    struct replay r = {.store = s, .lane = lane, .batch = s->group.rows};
    struct keyspace_key applied = keyspace_meta_applied(lane->id);
    uint8_t head[KEYSPACE_HEAD_BYTES];
    struct store_head shown;
    enum sf_code code = store_snapshot_new(s, &snapshot, err);

    code = code == SF_OK ? store_snapshot_head(snapshot, lane, &shown, err) : code;
    if (code != SF_OK) {
        return code;
    }
    if (shown.seq > lane->head.seq) {
        return corrupt(lane, shown.seq, "the rows are ahead of the log", err);
    }
    if (shown.seq == lane->head.seq && shown.quarantined == lane->head.quarantined) {
        return SF_OK;
    }
    r.batch->ops->clear(r.batch);
    if (lane->name.kind == STORE_STATE) {
        uint64_t cleared = lane->anchor.cleared;

        /* Rows were flushed before their frames were cleared; the head beside them may not be. */
        code = replay_changes(&r, snapshot, shown.seq > cleared ? shown.seq : cleared, err);
        if (code != SF_OK) {
            return code;
        }
    }
    keyspace_head_encode(&lane->head, head);
    r.batch->ops->put(r.batch, KV_META, kv_one(keyspace_view(&applied)),
                      kv_one(sf_slice_of(head, sizeof(head))));
    return replay_flush(&r, err);
}

/* Rows whose frames the log still holds go; the others are in no log any more and stay. */
static enum sf_code remove_rows(struct store *s, const struct store_lane *lane,
                                struct sf_error *err)
{
    struct keyspace_key from = keyspace_lane(lane->id);
    struct keyspace_key to = keyspace_lane(lane->id + 1);
    struct kv_range range = {.from = keyspace_view(&from), .to = keyspace_view(&to)};
    struct replay r = {.store = s, .lane = lane, .batch = s->group.rows};
    SF_CLEANUP(kv_iter_freep) struct kv_iter *it = NULL;
    enum sf_code code = s->kv->ops->iter_new(s->kv, NULL, KV_STATE, &range, &it, err);

    if (code != SF_OK) {
        return code;
    }
    for (it->ops->first(it); code == SF_OK && it->ops->valid(it); it->ops->next(it)) {
        struct keyspace_state state;
        struct sf_slice row;

        code = keyspace_state_decode(it->ops->value(it), &state, &row, err);
        if (code == SF_OK && state.seq > lane->anchor.cleared) {
            r.batch->ops->remove(r.batch, KV_STATE, it->ops->key(it));
            r.bytes += it->ops->key(it).size;
        }
        if (code == SF_OK && r.bytes >= REPLAY_BATCH_BYTES) {
            code = replay_flush(&r, err);
        }
    }
    code = code == SF_OK ? it->ops->check(it, err) : code;
    return code == SF_OK ? replay_flush(&r, err) : code;
}

/* The rows now show what was cleared, as far as anybody who opens the store is told. */
static void show_cleared(struct kv_batch *b, const struct store_lane *lane)
{
    /* Of no head, so that it is replaced also when there is nothing to replay. */
    struct store_head shown = {.seq = lane->anchor.cleared, .quarantined = UINT64_MAX};
    struct keyspace_key key = keyspace_meta_applied(lane->id);
    uint8_t head[KEYSPACE_HEAD_BYTES];

    keyspace_head_encode(&shown, head);
    b->ops->put(b, KV_META, kv_one(keyspace_view(&key)), kv_one(sf_slice_of(head, sizeof(head))));
}

enum sf_code store_rebuild_state(struct store *s, struct sf_error *err)
{
    struct kv_batch *b = s->group.rows;
    enum sf_code code;

    positions_clear(s->group.positions);
    b->ops->clear(b);
    for (size_t i = 0; i < s->lane_count; i++) {
        show_cleared(b, s->lanes[i]);
    }
    code = s->kv->ops->write(s->kv, b, KV_SYNC, err);
    b->ops->clear(b);
    for (size_t i = 0; code == SF_OK && i < s->lane_count; i++) {
        code = remove_rows(s, s->lanes[i], err);
        code = code == SF_OK ? store_replay_lane(s, s->lanes[i], err) : code;
    }
    return code;
}
