#include "leaf/store/read_log.h"

#include "common/base/alloc.h"
#include "leaf/store/store_internal.h"
#include "proto/errors.h"

struct store_log {
    const struct store_lane *lane;
    struct store_head head;
    struct store_anchor anchor;
    struct log_range range;
    uint64_t at; /* seq of the change that comes next */
    struct kv_iter *it;
    bool in_frame; /* the iterator stands on the frame below */
    struct frame frame;
    struct frame_cursor cursor;
    uint8_t link[SF_HASH256_SIZE]; /* what joins the frame to the one that comes next */
    uint64_t frames;
};

static enum sf_code corrupt(const struct store_lane *lane, uint64_t seq, const char *what,
                            struct sf_error *err)
{
    char name[128];

    return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "%s, seq %llu: %s",
                      store_lane_text(lane, name, sizeof(name)), (unsigned long long)seq, what);
}

void store_log_free(struct store_log *log)
{
    if (log != NULL) {
        kv_iter_free(log->it);
        sf_free(log);
    }
}

uint64_t log_frames(const struct store_log *log)
{
    return log->frames;
}

enum sf_code log_open(const struct store_snapshot *snapshot, const struct store_lane *lane,
                      const struct log_range *range, struct store_log **ret, struct sf_error *err)
{
    struct keyspace_key from = keyspace_lane(lane->id);
    struct keyspace_key to = keyspace_lane(lane->id + 1);
    struct kv_range bounds = {
        .from = keyspace_view(&from),
        .to = keyspace_view(&to),
        .fill_cache = range->fill_cache,
    };
    struct kv *kv = snapshot->store->kv;
    SF_CLEANUP(store_log_freep) struct store_log *log = sf_calloc(1, sizeof(*log));
    enum sf_code code;

    if (log == NULL) {
        return SF_RAISE(err, SF_NOMEM, "log reader");
    }
    log->lane = lane;
    log->range = *range;
    log->at = range->reverse ? range->last_seq : range->first_seq;
    code = SF_OK;
    if (range->head != NULL) {
        log->head = *range->head;
        log->range.head = NULL;
    } else {
        code = store_snapshot_head(snapshot, lane, &log->head, err);
    }
    code = code == SF_OK ? store_anchor_of(snapshot, lane, &log->anchor, err) : code;
    if (code == SF_OK) {
        code = kv->ops->iter_new(kv, snapshot->kv, KV_LOG, &bounds, &log->it, err);
    }
    if (code != SF_OK) {
        return code;
    }
    *ret = SF_TAKE(log);
    return SF_OK;
}

/* The frame that comes next must hold log->at, at its end that is turned to us. */
static enum sf_code check_place(const struct store_log *log, const struct frame *f,
                                struct sf_slice key, struct sf_error *err)
{
    struct keyspace_key right = keyspace_lane_seq(log->lane->id, f->header.first_seq);
    uint64_t last = frame_last_seq(f);
    bool reverse = log->range.reverse;

    if (f->header.lane != log->lane->id || !sf_slice_equal(key, keyspace_view(&right))) {
        return corrupt(log->lane, log->at, "a frame stands in the wrong place", err);
    }
    if (f->header.first_seq > log->at || last < log->at || last > log->head.seq ||
        (log->frames > 0 && log->at != (reverse ? last : f->header.first_seq))) {
        return corrupt(log->lane, log->at, "the log has a gap or an overlap", err);
    }
    return SF_OK;
}

static enum sf_code check_chain(struct store_log *log, const struct frame *f, struct sf_error *err)
{
    bool reverse = log->range.reverse;
    const uint8_t *towards = reverse ? f->hash : f->header.prev_hash;

    if ((log->frames > 0 && memcmp(towards, log->link, SF_HASH256_SIZE) != 0) ||
        (frame_last_seq(f) == log->head.seq &&
         memcmp(f->hash, log->head.hash, SF_HASH256_SIZE) != 0) ||
        (f->header.first_seq == log->anchor.seq + 1 && /* zeros, when nothing was trimmed */
         memcmp(f->header.prev_hash, log->anchor.hash, SF_HASH256_SIZE) != 0)) {
        return corrupt(log->lane, f->header.first_seq, "the chain of frames is broken", err);
    }
    memcpy(log->link, reverse ? f->header.prev_hash : f->hash, SF_HASH256_SIZE);
    return SF_OK;
}

static void move_to_frame(struct store_log *log)
{
    if (log->frames == 0) {
        struct keyspace_key key = keyspace_lane_seq(log->lane->id, log->at);

        log->it->ops->seek_back(log->it, keyspace_view(&key));
    } else if (log->range.reverse) {
        log->it->ops->prev(log->it);
    } else {
        log->it->ops->next(log->it);
    }
}

static enum sf_code next_frame(struct store_log *log, struct sf_error *err)
{
    struct frame f;
    enum sf_code code;

    move_to_frame(log);
    if (!log->it->ops->valid(log->it)) {
        code = log->it->ops->check(log->it, err);
        return code != SF_OK ? code : corrupt(log->lane, log->at, "is not in the log", err);
    }
    code = frame_decode(log->it->ops->value(log->it), /* trust= */ false, &f, err);
    if (code != SF_OK) {
        return corrupt(log->lane, log->at, "a frame is damaged", err);
    }
    code = check_place(log, &f, log->it->ops->key(log->it), err);
    code = code == SF_OK ? check_chain(log, &f, err) : code;
    if (code != SF_OK) {
        return code;
    }
    log->frame = f;
    log->frames++;
    log->in_frame = true;
    log->cursor.frame = &log->frame;
    frame_cursor_seek(&log->cursor, log->range.reverse ? log->at + 1 : log->at);
    return SF_OK;
}

static void entry_of(const struct frame *f, const struct frame_change *c, uint64_t seq,
                     struct store_log_entry *ret)
{
    *ret = (struct store_log_entry){
        .op = c->op,
        .contract_id = c->contract_id,
        .epoch = f->header.epoch,
        .seq = seq,
        .prev_seq = c->prev_seq,
        .commit = f->header.commit,
        .commit_us = f->header.commit_us,
        .key = c->key,
        .row = c->row,
        .digest = c->digest,
    };
}

enum sf_code store_log_next(struct store_log *log, struct store_log_entry *ret, bool *more,
                            struct sf_error *err)
{
    bool reverse = log->range.reverse;
    struct frame_change c;
    uint64_t seq = 0;
    enum sf_code code = SF_OK;

    if (log->at < log->range.first_seq || log->at > log->range.last_seq) {
        *more = false;
        return SF_OK;
    }
    if (!log->in_frame || !(reverse ? frame_cursor_prev(&log->cursor, &c, &seq)
                                    : frame_cursor_next(&log->cursor, &c, &seq))) {
        code = next_frame(log, err);
        if (code != SF_OK) {
            return code;
        }
        (void)(reverse ? frame_cursor_prev(&log->cursor, &c, &seq)
                       : frame_cursor_next(&log->cursor, &c, &seq));
    }
    if (log->range.verify) {
        code = frame_change_check(&log->frame, &c, seq, err);
        if (code != SF_OK) {
            return code;
        }
    }
    entry_of(&log->frame, &c, seq, ret);
    log->at = reverse ? seq - 1 : seq + 1;
    *more = true;
    return SF_OK;
}

enum sf_code store_log_new(const struct store_snapshot *snapshot, const struct store_lane *lane,
                           uint64_t after_seq, bool verify, struct store_log **ret,
                           struct sf_error *err)
{
    struct log_range range = {.first_seq = after_seq + 1, .verify = verify};
    struct store_anchor anchor;
    struct store_head head;
    enum sf_code code = store_snapshot_head(snapshot, lane, &head, err);

    code = code == SF_OK ? store_anchor_of(snapshot, lane, &anchor, err) : code;
    if (code == SF_OK && after_seq < anchor.seq) {
        code = as_of_gone(&anchor, err);
    }
    if (code != SF_OK) {
        return code;
    }
    if (after_seq > head.seq) {
        return SF_RAISE(err, SF_INVALID, "seq %llu is beyond the head, %llu",
                        (unsigned long long)after_seq, (unsigned long long)head.seq);
    }
    range.last_seq = head.seq;
    return log_open(snapshot, lane, &range, ret, err);
}

enum sf_code store_log_new_back(const struct store_snapshot *snapshot,
                                const struct store_lane *lane, uint64_t first_seq,
                                uint64_t last_seq, struct store_log **ret, struct sf_error *err)
{
    struct log_range range = {.first_seq = first_seq, .last_seq = last_seq, .reverse = true};
    struct store_anchor anchor;
    enum sf_code code = store_anchor_of(snapshot, lane, &anchor, err);

    if (code == SF_OK && first_seq <= anchor.seq) {
        range.first_seq = anchor.seq + 1;
    }
    return code == SF_OK ? log_open(snapshot, lane, &range, ret, err) : code;
}

/* --- one version --- */

enum sf_code log_copy(const struct frame *f, const struct frame_change *c, uint64_t seq,
                      struct sf_buf *bytes, struct store_log_entry *ret, struct sf_error *err)
{
    enum sf_code code;

    sf_buf_clear(bytes);
    sf_buf_append(bytes, c->digest, SF_HASH256_SIZE);
    sf_buf_slice(bytes, c->key);
    sf_buf_slice(bytes, c->row);
    code = sf_buf_check(bytes, "version of a row", err);
    if (code != SF_OK) {
        return code;
    }
    entry_of(f, c, seq, ret);
    ret->digest = bytes->data;
    ret->key.data = bytes->data + SF_HASH256_SIZE;
    ret->row.data = ret->key.data + ret->key.size;
    return SF_OK;
}

enum sf_code log_find(const struct store_lane *lane, struct kv_iter *it, uint64_t seq,
                      struct frame *ret, struct sf_error *err)
{
    struct keyspace_key key = keyspace_lane_seq(lane->id, seq);
    enum sf_code code;

    it->ops->seek_back(it, keyspace_view(&key));
    if (!it->ops->valid(it)) {
        code = it->ops->check(it, err);
        return code != SF_OK ? code : corrupt(lane, seq, "is not in the log", err);
    }
    /* Only one of its changes is wanted, and that is checked by its digest. */
    code = frame_decode(it->ops->value(it), /* trust= */ true, ret, err);
    if (code != SF_OK || ret->header.lane != lane->id || ret->header.first_seq > seq ||
        frame_last_seq(ret) < seq) {
        return corrupt(lane, seq, "a frame is damaged or missing", err);
    }
    return SF_OK;
}

/* The frame of @seq, of which @err says that it is not there, was perhaps trimmed. */
static enum sf_code explain_missing(const struct store_snapshot *snapshot,
                                    const struct store_lane *lane, uint64_t seq,
                                    struct sf_error *err)
{
    struct store_anchor anchor;
    struct sf_error own;
    enum sf_code code = store_anchor_of(snapshot, lane, &anchor, &own);

    if (code != SF_OK) {
        *err = own;
        return code;
    }
    return seq <= anchor.seq ? as_of_gone(&anchor, err) : SF_CORRUPT;
}

enum sf_code store_read_version(const struct store_snapshot *snapshot,
                                const struct store_lane *lane, struct sf_slice key, uint64_t seq,
                                struct sf_buf *bytes, struct store_log_entry *ret,
                                struct sf_error *err)
{
    struct keyspace_key from = keyspace_lane(lane->id);
    struct keyspace_key to = keyspace_lane(lane->id + 1);
    struct kv_range range = {keyspace_view(&from), keyspace_view(&to), .fill_cache = true};
    struct kv *kv = snapshot->store->kv;
    SF_CLEANUP(kv_iter_freep) struct kv_iter *it = NULL;
    struct frame f;
    struct frame_cursor cursor = {.frame = &f};
    struct frame_change c;
    enum sf_code code;

    if (seq == 0) {
        return SF_RAISE(err, SF_INVALID, "seq 0 is no version");
    }
    code = kv->ops->iter_new(kv, snapshot->kv, KV_LOG, &range, &it, err);
    code = code == SF_OK ? log_find(lane, it, seq, &f, err) : code;
    if (code == SF_CORRUPT) {
        return explain_missing(snapshot, lane, seq, err);
    }
    if (code != SF_OK) {
        return code;
    }
    frame_cursor_seek(&cursor, seq);
    (void)frame_cursor_next(&cursor, &c, &seq);
    code = frame_change_check(&f, &c, seq, err);
    if (code != SF_OK) {
        return code;
    }
    if (key.size > 0 && !sf_slice_equal(key, c.key)) {
        return corrupt(lane, seq, "belongs to another key", err);
    }
    return log_copy(&f, &c, seq, bytes, ret, err);
}
