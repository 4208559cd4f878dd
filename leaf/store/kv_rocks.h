/*
 * kv.h over RocksDB; leaf/store/kv_rocks.c is the only user of <rocksdb/c.h>.
 *
 * The write-ahead log is replayed in the mode that tolerates a torn tail only: anything else that
 * fails its checksum refuses to open (the default mode would cut it off in silence); wal_tail.h is
 * asked before. Each record of it bears a stamp (wal_stamp.h). A database is made only in a
 * directory that never held one.
 *
 * An error that RocksDB met in the background (a flush, a compaction) fails the next write: RocksDB
 * would go on by itself when space returns, and versions before 9.6 come back damaged from that.
 * Only opening it again helps.
 */
#pragma once

#include "leaf/store/kv.h"

struct kv_rocks_options {
    uint64_t cache_bytes;        /* block cache; 0: 64 MiB */
    uint64_t write_buffer_bytes; /* memtables of all families together; 0: 192 MiB */
    /* A store that stands already, to be looked at: nothing in it is changed, writes are SF_DENIED.
     * Its write-ahead log is read into memory. */
    bool read_only;
    const char *wal_dir; /* where its write-ahead log is; NULL: in the store. Only with read_only */
    const char *boot;    /* run of the machine, wal_boot_id(); NULL: not known */
};

/*
 * Opens the store in directory @path, which is made if its parent exists, and owns it: one process
 * at a time. Blocks. @options NULL: defaults.
 *   SF_CONFLICT  SHEAF-E0606: another process has it open; SHEAF-E0607: another format
 *   SF_CORRUPT   SHEAF-E0605: RocksDB found damage
 *   SF_IO, SF_DENIED, SF_NOMEM
 */
enum sf_code kv_rocks_open(const char *path, const struct kv_rocks_options *options,
                           struct kv **ret, struct sf_error *err) SF_MUST_CHECK;

/* The cache of @kv, which kv_rocks_open() made, takes as much from now on. */
void kv_rocks_set_cache(struct kv *kv, uint64_t bytes);

struct kv_rocks_memory {
    uint64_t cache_bytes;  /* in use */
    uint64_t buffer_bytes; /* memtables of all families, those being written included */
};
struct kv_rocks_memory kv_rocks_memory(struct kv *kv);
