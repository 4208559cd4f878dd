/* Small values and the quarantine, as of a snapshot. */
#include "common/base/alloc.h"
#include "leaf/store/store_internal.h"
#include "proto/errors.h"

static enum kv_family family_of(enum store_space space)
{
    return space == STORE_IDEM ? KV_IDEM : KV_META;
}

/* What keys of @space begin with in their family. */
static struct sf_slice tag_of(enum store_space space, const struct keyspace_key *small)
{
    return space == STORE_META ? keyspace_view(small) : (struct sf_slice){0};
}

static enum sf_code split_small(struct sf_slice stored, struct sf_slice *value, int64_t *commit_us,
                                struct sf_error *err)
{
    if (stored.size < KEYSPACE_SMALL_HEADER) {
        return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "small value is damaged");
    }
    if (commit_us != NULL) {
        *commit_us = (int64_t)sf_read_be64(stored.data);
    }
    *value = sf_slice_of(stored.data + KEYSPACE_SMALL_HEADER, stored.size - KEYSPACE_SMALL_HEADER);
    return SF_OK;
}

enum sf_code store_small_get(const struct store_snapshot *snapshot, enum store_space space,
                             struct sf_slice key, struct sf_buf *value, int64_t *commit_us,
                             bool *found, struct sf_error *err)
{
    struct kv *kv = snapshot->store->kv;
    struct keyspace_key small = keyspace_meta_small();
    SF_CLEANUP(sf_buf_done) struct sf_buf full = {0};
    struct sf_slice split;
    bool there = false;
    enum sf_code code;

    sf_buf_slice(&full, tag_of(space, &small));
    sf_buf_slice(&full, key);
    code = sf_buf_check(&full, "key", err);
    if (code == SF_OK) {
        code = kv->ops->get(kv, snapshot->kv, family_of(space), sf_buf_view(&full), value, &there,
                            err);
    }
    if (code == SF_OK && there) {
        code = split_small(sf_buf_view(value), &split, commit_us, err);
    }
    if (code != SF_OK) {
        return code;
    }
    if (there) {
        memmove(value->data, split.data, split.size);
        value->size = split.size;
    }
    *found = there;
    return SF_OK;
}

struct store_small {
    struct kv_iter *it;
    size_t tag_size;
    bool started;
    bool sought; /* it stands on what comes next */
};

void store_small_free(struct store_small *it)
{
    if (it != NULL) {
        kv_iter_free(it->it);
        sf_free(it);
    }
}

enum sf_code store_small_new(const struct store_snapshot *snapshot, enum store_space space,
                             struct sf_slice prefix, struct store_small **ret, struct sf_error *err)
{
    struct kv *kv = snapshot->store->kv;
    struct keyspace_key small = keyspace_meta_small();
    SF_CLEANUP(sf_buf_done) struct sf_buf from = {0};
    SF_CLEANUP(sf_buf_done) struct sf_buf to = {0};
    SF_CLEANUP(store_small_freep) struct store_small *it = sf_calloc(1, sizeof(*it));
    struct kv_range range = {0};
    enum sf_code code;

    if (it == NULL) {
        return SF_RAISE(err, SF_NOMEM, "small values");
    }
    it->tag_size = tag_of(space, &small).size;
    sf_buf_slice(&from, tag_of(space, &small));
    sf_buf_slice(&from, prefix);
    sf_buf_slice(&to, sf_buf_view(&from));
    code = sf_buf_check(&from, "prefix", err);
    code = code == SF_OK ? sf_buf_check(&to, "prefix", err) : code;
    if (code != SF_OK) {
        return code;
    }
    keyspace_after_prefix(&to);
    range.from = sf_buf_view(&from);
    range.to = sf_buf_view(&to);
    code = kv->ops->iter_new(kv, snapshot->kv, family_of(space), &range, &it->it, err);
    if (code != SF_OK) {
        return code;
    }
    *ret = SF_TAKE(it);
    return SF_OK;
}

/* Moves @it forward; whether it stands on something. It stays at its end. */
static bool step(struct kv_iter *it, bool *started, bool reverse)
{
    const struct kv_iter_ops *ops = it->ops;

    if (!*started) {
        (reverse ? ops->last : ops->first)(it);
    } else if (ops->valid(it)) {
        (reverse ? ops->prev : ops->next)(it);
    }
    *started = true;
    return ops->valid(it);
}

enum sf_code store_small_seek(struct store_small *it, struct sf_slice from, struct sf_error *err)
{
    struct keyspace_key small = keyspace_meta_small();
    SF_CLEANUP(sf_buf_done) struct sf_buf key = {0};
    enum sf_code code;

    sf_buf_slice(&key, it->tag_size == 0 ? (struct sf_slice){0} : keyspace_view(&small));
    sf_buf_slice(&key, from);
    code = sf_buf_check(&key, "key", err);
    if (code == SF_OK) {
        it->it->ops->seek(it->it, sf_buf_view(&key));
        it->started = true;
        it->sought = true;
    }
    return code;
}

enum sf_code store_small_next(struct store_small *it, struct sf_slice *key, struct sf_slice *value,
                              int64_t *commit_us, bool *more, struct sf_error *err)
{
    struct sf_slice stored;

    const bool is_there =
        it->sought ? it->it->ops->valid(it->it) : step(it->it, &it->started, /* reverse= */ false);

    it->sought = false;
    if (!is_there) {
        *more = false;
        return it->it->ops->check(it->it, err);
    }
    stored = it->it->ops->key(it->it);
    *key = sf_slice_of(stored.data + it->tag_size, stored.size - it->tag_size);
    *more = true;
    return split_small(it->it->ops->value(it->it), value, commit_us, err);
}

struct store_quarantine {
    struct kv_iter *it;
    bool reverse;
    bool started;
};

void store_quarantine_free(struct store_quarantine *q)
{
    if (q != NULL) {
        kv_iter_free(q->it);
        sf_free(q);
    }
}

enum sf_code store_quarantine_new(const struct store_snapshot *snapshot,
                                  const struct store_lane *lane, uint64_t after, bool reverse,
                                  struct store_quarantine **ret, struct sf_error *err)
{
    struct kv *kv = snapshot->store->kv;
    struct keyspace_key from = keyspace_lane_seq(lane->id, after == UINT64_MAX ? after : after + 1);
    struct keyspace_key to = keyspace_lane(lane->id + 1);
    struct kv_range range = {.from = keyspace_view(&from), .to = keyspace_view(&to)};
    SF_CLEANUP(store_quarantine_freep) struct store_quarantine *q = sf_calloc(1, sizeof(*q));
    enum sf_code code;

    if (q == NULL) {
        return SF_RAISE(err, SF_NOMEM, "quarantine");
    }
    q->reverse = reverse;
    code = kv->ops->iter_new(kv, snapshot->kv, KV_QUARANTINE, &range, &q->it, err);
    if (code != SF_OK) {
        return code;
    }
    *ret = SF_TAKE(q);
    return SF_OK;
}

enum sf_code store_quarantine_get(const struct store_snapshot *snapshot,
                                  const struct store_lane *lane, uint64_t qseq,
                                  struct sf_buf *bytes, struct store_quarantined *ret, bool *found,
                                  struct sf_error *err)
{
    struct kv *kv = snapshot->store->kv;
    struct keyspace_key key = keyspace_lane_seq(lane->id, qseq);
    enum sf_code code =
        kv->ops->get(kv, snapshot->kv, KV_QUARANTINE, keyspace_view(&key), bytes, found, err);

    if (code != SF_OK || !*found) {
        return code;
    }
    ret->qseq = qseq;
    return keyspace_reject_decode(sf_buf_view(bytes), ret, err);
}

enum sf_code store_quarantine_next(struct store_quarantine *q, struct store_quarantined *ret,
                                   bool *more, struct sf_error *err)
{
    if (!step(q->it, &q->started, q->reverse)) {
        *more = false;
        return q->it->ops->check(q->it, err);
    }
    *more = true;
    ret->qseq = sf_read_be64(q->it->ops->key(q->it).data + 4);
    return keyspace_reject_decode(q->it->ops->value(q->it), ret, err);
}
