/*
 * Syncs RocksDB's write-ahead log on a thread of its own, beside what its caller does meanwhile;
 * part of kv_rocks.c.
 *
 *   Threads   One caller at a time: begin, then end.
 *   Errors    As RocksDB has them: text, to be freed with rocksdb_free().
 */
#pragma once

#include <rocksdb/c.h>

#include "common/base/error.h"

struct wal_sync;

/* Starts the thread. @db is borrowed. SF_NOMEM, SF_UNAVAILABLE: no thread. */
enum sf_code wal_sync_new(rocksdb_t *db, struct wal_sync **ret, struct sf_error *err) SF_MUST_CHECK;
/* NULL is fine. */
void wal_sync_free(struct wal_sync *w);

/* Begins to sync what was written before. */
void wal_sync_begin(struct wal_sync *w);
/* Waits for it. NULL: it is on the disk. */
char *wal_sync_end(struct wal_sync *w);
