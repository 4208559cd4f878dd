/*
 * Ordered keys and values in a few named families. One of the seams (ARCHITECTURE.md).
 *
 * kv_rocks.c implements it over RocksDB, tests/lib/fake_kv.c in memory; both pass
 * tests/conformance/test_kv.c. Nothing outside leaf/store/ uses it.
 *
 *   Threads   Reads, snapshots and iterators from any thread; one iterator belongs to one thread
 *             at a time. One call that writes at a time, from one thread.
 *   Order     Keys compare as bytes. A batch is atomic: all of it is visible and durable, or none.
 *   Memory    Bytes given to a batch are copied. Bytes from an iterator live until it moves.
 *             Batches, iterators and snapshots are freed before the kv is closed.
 *   Errors    SF_IO: storage failed; with SHEAF-E0601 for want of space. SF_CORRUPT (SHEAF-E0605):
 * a checksum does not hold. SF_NOMEM, SF_BUSY: nothing happened, the call may be repeated.
 */
#pragma once

#include "common/base/attr.h"
#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/slice.h"
#include "proto/errors.h"

enum kv_family { KV_LOG, KV_STATE, KV_OLD, KV_QUARANTINE, KV_IDEM, KV_META, KV_FAMILY_COUNT };

struct kv;
struct kv_batch;
struct kv_snapshot;
struct kv_iter;

/* How a write survives a crash. */
enum kv_durability {
    KV_SYNC,  /* on the disk when it returns, and every write of before but volatile ones */
    KV_PLAIN, /* survives the end of the process, not a power cut */
    /*
     * In memory until it is moved to disk some day or the kv is closed: what can be made again. Of
     * the volatile writes to all families a crash keeps those up to some point, and none behind
     * it but what kv_ops.flush moved.
     */
    KV_VOLATILE,
};

/* Bytes in two pieces, so that a prefix need not be copied in front of a key or a row. */
struct kv_parts {
    struct sf_slice a;
    struct sf_slice b;
};

/* Who is told, once and from another thread, how a write has ended that was left pending. */
struct kv_pending {
    void (*ended)(struct kv_pending *p, enum sf_code code, const struct sf_error *err);
};

/* @value is NULL when the key is absent; valid during the call only. */
typedef void (*kv_value_cb)(void *data, size_t i, const struct sf_slice *value);

enum { KV_LANE_BYTES = 4 }; /* every key of KV_STATE begins with them, and is longer */

struct kv_batch_ops {
    void (*put)(struct kv_batch *b, enum kv_family f, struct kv_parts key, struct kv_parts value);
    void (*remove)(struct kv_batch *b, enum kv_family f, struct sf_slice key);
    /* Every key in [from, to). Of KV_STATE whole lanes: @from is KV_LANE_BYTES at most. */
    void (*remove_range)(struct kv_batch *b, enum kv_family f, struct sf_slice from,
                         struct sf_slice to);
    void (*clear)(struct kv_batch *b);
    void (*free)(struct kv_batch *b);
};

struct kv_batch {
    const struct kv_batch_ops *ops;
};

struct kv_iter_ops {
    void (*first)(struct kv_iter *it);
    void (*last)(struct kv_iter *it);
    void (*seek)(struct kv_iter *it, struct sf_slice key);      /* first key >= @key */
    void (*seek_back)(struct kv_iter *it, struct sf_slice key); /* last key <= @key */
    void (*next)(struct kv_iter *it);
    void (*prev)(struct kv_iter *it);
    /* Whether it stands on a key; false behind either end and after a failure. */
    bool (*valid)(const struct kv_iter *it);
    struct sf_slice (*key)(const struct kv_iter *it);
    struct sf_slice (*value)(const struct kv_iter *it);
    /* The failure that made it invalid, or SF_OK at an end. */
    enum sf_code (*check)(const struct kv_iter *it, struct sf_error *err);
    void (*free)(struct kv_iter *it);
};

struct kv_iter {
    const struct kv_iter_ops *ops;
};

/* What an iterator sees: keys in [from, to); an empty @to means to the end of the family. */
struct kv_range {
    struct sf_slice from; /* copied */
    struct sf_slice to;   /* copied */
    bool fill_cache;      /* whether what it reads may push other blocks out of the cache */
};

struct kv_ops {
    /* SF_NOMEM. */
    enum sf_code (*batch_new)(struct kv *kv, struct kv_batch **ret, struct sf_error *err);
    /* After SF_IO or SF_CORRUPT it is unknown what reached the disk: never call it again. */
    enum sf_code (*write)(struct kv *kv, struct kv_batch *b, enum kv_durability d,
                          struct sf_error *err);
    /*
     * Writes @b with @d, then @after with KV_VOLATILE, or both at a time: after a crash there is
     * nothing of @after without @b, and a snapshot that was made meanwhile shows neither, or @b. It
     * is SF_IO when @after alone has failed.
     *
     * With KV_SYNC and @p, which stays put, it may return SF_OK with *pending true before @b is on
     * the disk: @p is told when it is. Until then snapshots show neither, and never when it has
     * failed; who reads the latest sees both. The next write waits for it, and is SF_IO when it has
     * failed. Both batches may be used again at once.
     */
    enum sf_code (*write_both)(struct kv *kv, struct kv_batch *b, enum kv_durability d,
                               struct kv_batch *after, struct kv_pending *p, bool *pending,
                               struct sf_error *err);
    /* Sets *@found, and on true the contents of @value. @snapshot may be NULL: the latest. */
    enum sf_code (*get)(struct kv *kv, const struct kv_snapshot *snapshot, enum kv_family f,
                        struct sf_slice key, struct sf_buf *value, bool *found,
                        struct sf_error *err);
    /* As get, but SF_BUSY when it would have to ask the disk: it never blocks for long. */
    enum sf_code (*get_from_memory)(struct kv *kv, const struct kv_snapshot *snapshot,
                                    enum kv_family f, struct sf_slice key, struct sf_buf *value,
                                    bool *found, struct sf_error *err);
    /* Calls @on_value once per key, in any order; keys that ascend are found faster. Reads the
     * latest. */
    enum sf_code (*multi_get)(struct kv *kv, enum kv_family f, const struct sf_slice *keys,
                              size_t count, kv_value_cb on_value, void *data, struct sf_error *err);
    /* SF_NOMEM. Frozen at the last finished write. */
    enum sf_code (*snapshot_new)(struct kv *kv, struct kv_snapshot **ret, struct sf_error *err);
    void (*snapshot_free)(struct kv *kv, struct kv_snapshot *snapshot);
    enum sf_code (*iter_new)(struct kv *kv, const struct kv_snapshot *snapshot, enum kv_family f,
                             const struct kv_range *range, struct kv_iter **ret,
                             struct sf_error *err);
    /* About how many bytes the keys in [from, to) take on disk; not what is in memory only. */
    uint64_t (*approximate_size)(struct kv *kv, enum kv_family f, struct sf_slice from,
                                 struct sf_slice to);
    /*
     * What was written to @f before, volatile too, survives a power cut when it returns. Any
     * thread, beside a write.
     */
    enum sf_code (*flush)(struct kv *kv, enum kv_family f, struct sf_error *err);
    /*
     * Gives back the space of what was removed in [from, to). Any thread, beside writes; may take
     * long. A failure loses nothing.
     */
    enum sf_code (*compact)(struct kv *kv, enum kv_family f, struct sf_slice from,
                            struct sf_slice to, struct sf_error *err);
    /*
     * Writes what a reader would see now to the new directory @path, as a kv of its own; bytes are
     * shared with this one where the file system can. Any thread, beside writes, which go on. The
     * caller syncs what it wants to keep. SF_CONFLICT: @path is there already.
     */
    enum sf_code (*checkpoint)(struct kv *kv, const char *path, struct sf_error *err);
    /* Bytes free for us, and bytes in all, of the file system below. */
    enum sf_code (*disk)(struct kv *kv, uint64_t *free_bytes, uint64_t *total_bytes,
                         struct sf_error *err);
    void (*close)(struct kv *kv);
};

struct kv {
    const struct kv_ops *ops;
};

static inline struct kv_parts kv_one(struct sf_slice s)
{
    return (struct kv_parts){.a = s};
}

/* For who implements write_both: @err is why what was to follow a durable write has failed. It must
 * not be tried again, as SF_BUSY or SF_NOMEM would have it. */
static inline enum sf_code kv_half_written(struct sf_error *err)
{
    const uint16_t number =
        err != NULL && err->number == SHEAF_E_DISK_FULL ? SHEAF_E_DISK_FULL : SHEAF_E_STORE_FAILED;

    return SF_RAISE_E(err, SF_IO, number, "rows could not be written");
}

static inline void kv_iter_free(struct kv_iter *it)
{
    if (it != NULL) {
        it->ops->free(it);
    }
}
SF_DEFINE_CLEANUP(struct kv_iter, kv_iter_free)

static inline void kv_batch_free(struct kv_batch *b)
{
    if (b != NULL) {
        b->ops->free(b);
    }
}
SF_DEFINE_CLEANUP(struct kv_batch, kv_batch_free)
