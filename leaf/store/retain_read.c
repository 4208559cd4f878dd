#include "leaf/store/retain_read.h"

#include "leaf/store/read_log.h"
#include "leaf/store/store_internal.h"

void retain_keys_done(struct retain_keys *k)
{
    sf_buf_done(&k->bytes);
}

static void begin(struct retain_keys *k)
{
    k->count = 0;
    k->more = false;
    sf_buf_clear(&k->bytes);
}

/* Adds a key in two pieces; its place is known when all are there. */
static void add(struct retain_keys *k, struct sf_slice a, struct sf_slice b)
{
    k->keys[k->count++].size = a.size + b.size;
    sf_buf_slice(&k->bytes, a);
    sf_buf_slice(&k->bytes, b);
}

static enum sf_code finish(struct retain_keys *k, struct sf_error *err)
{
    size_t at = 0;

    for (size_t i = 0; i < k->count; i++) {
        k->keys[i].data = k->bytes.data + at;
        at += k->keys[i].size;
    }
    return sf_buf_check(&k->bytes, "keys to drop", err);
}

enum sf_code retain_read_deletes(struct store *s, struct store_lane *lane, uint64_t *at,
                                 uint64_t to, struct retain_keys *ret, struct sf_error *err)
{
    const struct log_range range = {.first_seq = *at + 1, .last_seq = to};
    const struct keyspace_key id = keyspace_lane(lane->id);
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_log_freep) struct store_log *log = NULL;
    struct store_log_entry e;
    enum sf_code code = store_snapshot_new(s, &snapshot, err);

    begin(ret);
    code = code == SF_OK ? log_open(snapshot, lane, &range, &log, err) : code;
    for (size_t i = 0; code == SF_OK; i++) {
        bool more = true;

        ret->more = i == RETAIN_READ_CHANGES || ret->count == UPKEEP_KEYS_MAX;
        if (ret->more) {
            break;
        }
        code = store_log_next(log, &e, &more, err);
        if (code != SF_OK || !more) {
            break;
        }
        *at = e.seq;
        if (e.op == STORE_DELETE) {
            add(ret, keyspace_view(&id), e.key);
        }
    }
    return code == SF_OK ? finish(ret, err) : code;
}

enum sf_code retain_read_rejects(struct store *s, struct store_lane *lane, int64_t before_us,
                                 struct retain_keys *ret, struct sf_error *err)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_quarantine_freep) struct store_quarantine *q = NULL;
    struct store_quarantined entry;
    bool more = true;
    enum sf_code code = store_snapshot_new(s, &snapshot, err);

    begin(ret);
    code = code == SF_OK ? store_quarantine_new(snapshot, lane, 0, false, &q, err) : code;
    while (code == SF_OK && ret->count < UPKEEP_KEYS_MAX) {
        code = store_quarantine_next(q, &entry, &more, err);
        if (code != SF_OK || !more || entry.commit_us >= before_us) {
            break;
        }
        ret->qseqs[ret->count++] = entry.qseq;
    }
    ret->more = ret->count == UPKEEP_KEYS_MAX;
    return code;
}

enum sf_code retain_read_answers(struct store *s, int64_t before_us, struct sf_buf *at,
                                 struct retain_keys *ret, struct sf_error *err)
{
    static const uint8_t prints[] = {KEYSPACE_PRINT_TAG}; /* those leave with their buckets */
    struct kv_range range = {.from = sf_buf_view(at), .to = {prints, sizeof(prints)}};
    SF_CLEANUP(kv_iter_freep) struct kv_iter *it = NULL;
    enum sf_code code = s->kv->ops->iter_new(s->kv, NULL, KV_IDEM, &range, &it, err);

    begin(ret);
    if (code != SF_OK) {
        return code;
    }
    it->ops->first(it);
    for (size_t i = 0; it->ops->valid(it) && i < RETAIN_READ_CHANGES; i++) {
        struct sf_slice value = it->ops->value(it);

        ret->more = ret->count == UPKEEP_KEYS_MAX || i + 1 == RETAIN_READ_CHANGES;
        if (ret->more) {
            sf_buf_clear(at);
            sf_buf_slice(at, it->ops->key(it));
            break;
        }
        if (value.size >= KEYSPACE_SMALL_HEADER && (int64_t)sf_read_be64(value.data) < before_us) {
            add(ret, it->ops->key(it), (struct sf_slice){0});
        }
        it->ops->next(it);
    }
    code = it->ops->check(it, err);
    code = code == SF_OK ? sf_buf_check(at, "key", err) : code;
    return code == SF_OK ? finish(ret, err) : code;
}
