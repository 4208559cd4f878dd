/* What the files of kv_rocks.h share; nobody else includes it. */
#pragma once

#include <pthread.h>
#include <rocksdb/c.h>
#include <stdatomic.h>

#include "leaf/store/data_dir.h"
#include "leaf/store/kv_rocks.h"
#include "leaf/store/wal_stamp.h"
#include "leaf/store/wal_sync.h"

enum { ROCKS_FAMILIES = KV_FAMILY_COUNT + 1 }; /* The last is RocksDB's own, and empty. */

/* Shared by those who ask for one while two writes are under way. */
struct rocks_snapshot {
    const rocksdb_snapshot_t *s;
    size_t users;
};

struct kv_rocks {
    struct kv kv;
    struct data_dir dir;
    rocksdb_t *db;
    rocksdb_column_family_handle_t *handles[ROCKS_FAMILIES]; /* in the order of family_names */
    rocksdb_options_t *options[ROCKS_FAMILIES];
    rocksdb_block_based_table_options_t *tables[ROCKS_FAMILIES];
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write[3]; /* by enum kv_durability */
    bool read_only;
    struct wal_sync *sync;      /* NULL when read_only */
    struct wal_stamp stamp;     /* of the newest record in the write-ahead log; whoever writes */
    struct kv_pending *pending; /* of the sync that was left */
    bool half_written;          /* rows or a sync have failed: nothing is written any more */
    _Atomic(const rocksdb_snapshot_t *) floor;
    atomic_size_t obsolete;        /* about how many values were replaced or removed since */
    pthread_mutex_t lock;          /* of what follows */
    struct rocks_snapshot *before; /* what is shown while two writes are under way, else NULL */
};

struct kv_rocks *rocks_self(struct kv *kv);
/* Takes @text, which RocksDB allocated; NULL: no error. */
enum sf_code rocks_raise(char *text, const char *what, struct sf_error *err);

/* rocks_snapshot.c. Renews the snapshot that is held all the time; any thread. */
void rocks_floor_raise(struct kv_rocks *k);
/* @count values were, or are about to be, replaced or removed. */
void rocks_note_obsolete(struct kv_rocks *k, size_t count);
/* From now on snapshots show what there is now, until it is shown again. SF_NOMEM. */
enum sf_code rocks_hide(struct kv_rocks *k, struct sf_error *err) SF_MUST_CHECK;
void rocks_show(struct kv_rocks *k);
/* kv_ops. */
enum sf_code rocks_snapshot_new(struct kv *kv, struct kv_snapshot **ret, struct sf_error *err);
void rocks_snapshot_free(struct kv *kv, struct kv_snapshot *snapshot);

/* rocks_read.c: kv_ops. */
enum sf_code rocks_get(struct kv *kv, const struct kv_snapshot *snapshot, enum kv_family f,
                       struct sf_slice key, struct sf_buf *value, bool *found,
                       struct sf_error *err);
enum sf_code rocks_get_from_memory(struct kv *kv, const struct kv_snapshot *snapshot,
                                   enum kv_family f, struct sf_slice key, struct sf_buf *value,
                                   bool *found, struct sf_error *err);
enum sf_code rocks_multi_get(struct kv *kv, enum kv_family f, const struct sf_slice *keys,
                             size_t count, kv_value_cb on_value, void *data, struct sf_error *err);
enum sf_code rocks_iter_new(struct kv *kv, const struct kv_snapshot *snapshot, enum kv_family f,
                            const struct kv_range *range, struct kv_iter **ret,
                            struct sf_error *err);
