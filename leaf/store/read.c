#include "leaf/store/read.h"

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "leaf/store/read_log.h"
#include "leaf/store/store_internal.h"

/* --- snapshots --- */

enum sf_code store_snapshot_new(struct store *s, struct store_snapshot **ret, struct sf_error *err)
{
    struct store_snapshot *snapshot = sf_calloc(1, sizeof(*snapshot));
    enum sf_code code;

    if (snapshot == NULL) {
        return SF_RAISE(err, SF_NOMEM, "snapshot");
    }
    snapshot->store = s;
    code = s->kv->ops->snapshot_new(s->kv, &snapshot->kv, err);
    if (code != SF_OK) {
        sf_free(snapshot);
        return code;
    }
    (void)atomic_fetch_add(&s->readers, 1);
    *ret = snapshot;
    return SF_OK;
}

void store_snapshot_free(struct store_snapshot *snapshot)
{
    if (snapshot != NULL) {
        struct store *s = snapshot->store;

        s->kv->ops->snapshot_free(s->kv, snapshot->kv);
        (void)atomic_fetch_sub(&s->readers, 1);
        sf_free(snapshot);
    }
}

static enum sf_code snapshot_get(const struct store_snapshot *snapshot, enum kv_family family,
                                 struct sf_slice key, struct sf_buf *value, bool *found,
                                 struct sf_error *err)
{
    struct kv *kv = snapshot->store->kv;

    return kv->ops->get(kv, snapshot->kv, family, key, value, found, err);
}

enum sf_code store_snapshot_head(const struct store_snapshot *snapshot,
                                 const struct store_lane *lane, struct store_head *ret,
                                 struct sf_error *err)
{
    struct keyspace_key key = keyspace_meta_applied(lane->id);
    SF_CLEANUP(sf_buf_done) struct sf_buf value = {0};
    bool found = false;
    enum sf_code code = snapshot_get(snapshot, KV_META, keyspace_view(&key), &value, &found, err);

    if (code == SF_OK && !found) {
        *ret = (struct store_head){0};
    } else if (code == SF_OK) {
        code = keyspace_head_decode(sf_buf_view(&value), ret, err);
    }
    return code;
}

/* --- rows by key --- */

static enum sf_code get_event(const struct store_snapshot *snapshot, const struct store_lane *lane,
                              struct sf_slice key, struct sf_buf *bytes, struct store_row *ret,
                              bool *found, struct sf_error *err)
{
    struct store_log_entry e;
    struct store_head head;
    struct store_anchor anchor;
    uint64_t seq = key.size == 8 ? sf_read_be64(key.data) : 0;
    enum sf_code code = store_snapshot_head(snapshot, lane, &head, err);

    code = code == SF_OK ? store_anchor_of(snapshot, lane, &anchor, err) : code;
    if (code != SF_OK) {
        return code;
    }
    *found = false;
    *ret = (struct store_row){.key = key};
    if (seq <= anchor.seq || seq > head.seq) {
        return SF_OK;
    }
    code = store_read_version(snapshot, lane, (struct sf_slice){0}, seq, bytes, &e, err);
    if (code == SF_OK) {
        *ret = (struct store_row){key, e.row, seq, e.contract_id};
        *found = true;
    }
    return code;
}

enum sf_code store_get(const struct store_snapshot *snapshot, const struct store_lane *lane,
                       struct sf_slice key, struct sf_buf *bytes, struct store_row *ret,
                       bool *found, struct sf_error *err)
{
    uint8_t full[KEYSPACE_KEY_BYTES_MAX];
    struct keyspace_state state;
    struct sf_slice row;
    bool there = false;
    enum sf_code code;

    if (lane->name.kind == STORE_EVENT) {
        return get_event(snapshot, lane, key, bytes, ret, found, err);
    }
    *found = false;
    *ret = (struct store_row){.key = key};
    if (key.size == 0 || key.size > STORE_KEY_BYTES_MAX) {
        return SF_OK; /* No row can have it. */
    }
    sf_write_be32(full, lane->id);
    memcpy(full + 4, key.data, key.size);
    code = snapshot_get(snapshot, KV_STATE, sf_slice_of(full, 4 + key.size), bytes, &there, err);
    if (code != SF_OK || !there) {
        return code;
    }
    code = keyspace_state_decode(sf_buf_view(bytes), &state, &row, err);
    if (code == SF_OK) {
        *ret = (struct store_row){key, row, state.seq, state.contract_id};
        *found = state.op == STORE_UPSERT;
    }
    return code;
}

enum sf_code store_get_now(struct store *s, const struct store_lane *lane, struct sf_slice key,
                           struct sf_buf *bytes, struct store_row *ret, bool *found,
                           struct sf_error *err)
{
    uint8_t full[KEYSPACE_KEY_BYTES_MAX];
    struct keyspace_state state;
    struct sf_slice row;
    bool there = false;
    enum sf_code code;

    sf_assert(lane->name.kind == STORE_STATE);
    *found = false;
    *ret = (struct store_row){.key = key};
    if (key.size == 0 || key.size > STORE_KEY_BYTES_MAX) {
        return SF_OK;
    }
    sf_write_be32(full, lane->id);
    memcpy(full + 4, key.data, key.size);
    code = s->kv->ops->get_from_memory(s->kv, NULL, KV_STATE, sf_slice_of(full, 4 + key.size),
                                       bytes, &there, err);
    if (code == SF_OK && there) {
        code = keyspace_state_decode(sf_buf_view(bytes), &state, &row, err);
    }
    if (code != SF_OK || !there) {
        return code;
    }
    if (state.seq > lane->head.seq) {
        return SF_RAISE(err, SF_BUSY, "the row is of a commit that is not answered yet");
    }
    *ret = (struct store_row){key, row, state.seq, state.contract_id};
    *found = state.op == STORE_UPSERT;
    return SF_OK;
}

/* --- scans --- */

struct store_scan {
    const struct store_lane *lane;
    struct store_log *log; /* event lanes */
    uint8_t seq_key[8];    /* key of the current event */
    struct kv_iter *it;    /* state lanes */
    bool reverse;
    bool started;
};

void store_scan_free(struct store_scan *scan)
{
    if (scan != NULL) {
        store_log_free(scan->log);
        kv_iter_free(scan->it);
        sf_free(scan);
    }
}

/* Sets the bounds of a state scan: the narrower of each pair, all behind the lane's id. */
enum sf_code scan_bounds(const struct store_lane *lane, const struct store_range *range,
                         struct sf_buf *from, struct sf_buf *to, struct sf_error *err)
{
    struct keyspace_key id = keyspace_lane(lane->id);
    bool prefix_first = sf_slice_compare(range->prefix, range->from) > 0;
    SF_CLEANUP(sf_buf_done) struct sf_buf limit = {0};
    enum sf_code code;

    sf_buf_slice(from, keyspace_view(&id));
    sf_buf_slice(from, prefix_first ? range->prefix : range->from);
    sf_buf_slice(to, keyspace_view(&id));
    sf_buf_slice(to, range->prefix);
    sf_buf_slice(&limit, keyspace_view(&id));
    sf_buf_slice(&limit, range->to);
    code = sf_buf_check(from, "scan", err);
    code = code == SF_OK ? sf_buf_check(to, "scan", err) : code;
    code = code == SF_OK ? sf_buf_check(&limit, "scan", err) : code;
    if (code != SF_OK) {
        return code;
    }
    keyspace_after_prefix(to); /* Lane ids are far below 2^32: something is left. */
    if (range->to.size > 0 && sf_slice_compare(sf_buf_view(&limit), sf_buf_view(to)) < 0) {
        sf_buf_clear(to);
        sf_buf_slice(to, sf_buf_view(&limit));
        code = sf_buf_check(to, "scan", err);
    }
    return code;
}

static enum sf_code open_state_scan(const struct store_snapshot *snapshot,
                                    const struct store_range *range, struct store_scan *scan,
                                    struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf from = {0};
    SF_CLEANUP(sf_buf_done) struct sf_buf to = {0};
    struct kv_range bounds = {.fill_cache = !range->keep_cache};
    struct kv *kv = snapshot->store->kv;
    enum sf_code code = scan_bounds(scan->lane, range, &from, &to, err);

    if (code != SF_OK) {
        return code;
    }
    bounds.from = sf_buf_view(&from);
    bounds.to = sf_buf_view(&to);
    return kv->ops->iter_new(kv, snapshot->kv, KV_STATE, &bounds, &scan->it, err);
}

/* The lowest seq whose 8 bytes are not below @bound; 0 stays 0, UINT64_MAX may stand for "none". */
static uint64_t bound_seq(struct sf_slice bound)
{
    uint8_t bytes[8] = {0};
    uint64_t seq;

    if (bound.size > 0) {
        memcpy(bytes, bound.data, bound.size < 8 ? bound.size : 8);
    }
    seq = sf_read_be64(bytes);
    return bound.size > 8 && seq < UINT64_MAX ? seq + 1 : seq;
}

static enum sf_code open_event_scan(const struct store_snapshot *snapshot,
                                    const struct store_range *range, struct store_scan *scan,
                                    struct sf_error *err)
{
    struct log_range log = {.reverse = range->reverse, .fill_cache = !range->keep_cache};
    SF_CLEANUP(sf_buf_done) struct sf_buf after = {0};
    struct store_head head;
    struct store_anchor anchor;
    uint64_t from = bound_seq(range->from);
    uint64_t prefix_from = bound_seq(range->prefix);
    enum sf_code code = store_snapshot_head(snapshot, scan->lane, &head, err);

    code = code == SF_OK ? store_anchor_of(snapshot, scan->lane, &anchor, err) : code;
    if (code != SF_OK) {
        return code;
    }
    sf_buf_slice(&after, range->prefix);
    code = sf_buf_check(&after, "scan", err);
    if (code != SF_OK) {
        return code;
    }
    keyspace_after_prefix(&after);
    log.first_seq = from > prefix_from ? from : prefix_from;
    log.first_seq = log.first_seq <= anchor.seq ? anchor.seq + 1 : log.first_seq;
    log.last_seq = head.seq;
    if (range->to.size > 0 && bound_seq(range->to) <= log.last_seq) {
        log.last_seq = bound_seq(range->to) - (bound_seq(range->to) > 0 ? 1 : 0);
    }
    if (after.size > 0 && bound_seq(sf_buf_view(&after)) <= log.last_seq) {
        log.last_seq = bound_seq(sf_buf_view(&after)) - 1;
    }
    if (range->prefix.size > 8) {
        log.last_seq = 0;
    }
    return log_open(snapshot, scan->lane, &log, &scan->log, err);
}

enum sf_code store_scan_new(const struct store_snapshot *snapshot, const struct store_lane *lane,
                            const struct store_range *range, struct store_scan **ret,
                            struct sf_error *err)
{
    SF_CLEANUP(store_scan_freep) struct store_scan *scan = sf_calloc(1, sizeof(*scan));
    enum sf_code code;

    if (scan == NULL) {
        return SF_RAISE(err, SF_NOMEM, "scan");
    }
    scan->lane = lane;
    scan->reverse = range->reverse;
    if (lane->name.kind == STORE_EVENT) {
        code = open_event_scan(snapshot, range, scan, err);
    } else {
        code = open_state_scan(snapshot, range, scan, err);
    }
    if (code != SF_OK) {
        return code;
    }
    *ret = SF_TAKE(scan);
    return SF_OK;
}

static enum sf_code next_event(struct store_scan *scan, struct store_row *ret, bool *more,
                               struct sf_error *err)
{
    struct store_log_entry e;
    enum sf_code code = store_log_next(scan->log, &e, more, err);

    if (code == SF_OK && *more) {
        sf_write_be64(scan->seq_key, e.seq);
        *ret = (struct store_row){
            .key = sf_slice_of(scan->seq_key, sizeof(scan->seq_key)),
            .row = e.row,
            .seq = e.seq,
            .contract_id = e.contract_id,
        };
    }
    return code;
}

static void move_scan(struct store_scan *scan)
{
    const struct kv_iter_ops *ops = scan->it->ops;

    if (scan->started && !ops->valid(scan->it)) {
        return; /* It stays at its end. */
    }
    if (scan->started) {
        (scan->reverse ? ops->prev : ops->next)(scan->it);
    } else {
        (scan->reverse ? ops->last : ops->first)(scan->it);
    }
    scan->started = true;
}

enum sf_code store_scan_next(struct store_scan *scan, struct store_row *ret, bool *more,
                             struct sf_error *err)
{
    struct keyspace_state state;
    struct sf_slice row;

    if (scan->log != NULL) {
        return next_event(scan, ret, more, err);
    }
    for (;;) {
        struct sf_slice key;
        enum sf_code code;

        move_scan(scan);
        if (!scan->it->ops->valid(scan->it)) {
            *more = false;
            return scan->it->ops->check(scan->it, err);
        }
        key = scan->it->ops->key(scan->it);
        code = keyspace_state_decode(scan->it->ops->value(scan->it), &state, &row, err);
        if (code != SF_OK) {
            return code;
        }
        if (state.op == STORE_UPSERT) {
            *ret = (struct store_row){
                .key = sf_slice_of(key.data + 4, key.size - 4),
                .row = row,
                .seq = state.seq,
                .contract_id = state.contract_id,
            };
            *more = true;
            return SF_OK;
        }
    }
}

uint64_t store_lane_bytes(struct store *s, const struct store_lane *lane)
{
    struct keyspace_key from = keyspace_lane(lane->id);
    struct keyspace_key to = keyspace_lane(lane->id + 1);

    return s->kv->ops->approximate_size(s->kv, KV_LOG, keyspace_view(&from), keyspace_view(&to)) +
           s->kv->ops->approximate_size(s->kv, KV_STATE, keyspace_view(&from), keyspace_view(&to));
}
