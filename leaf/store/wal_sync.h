/*
 * Syncs RocksDB's write-ahead log on a thread of its own, beside what its caller does meanwhile;
 * part of kv_rocks.c.
 *
 *   Threads   One caller at a time: begin, then end, or leave and, before the next begin, wait.
 *   Errors    As RocksDB has them: text, to be freed with rocksdb_free(). NULL: it is on the disk.
 */
#pragma once

#include <rocksdb/c.h>
#include <stdbool.h>

#include "common/base/error.h"

struct wal_sync;

/* How a sync that was left has ended; on its thread. Takes @text. */
typedef void (*wal_sync_left_cb)(void *data, char *text);

/* Starts the thread. @db is borrowed. SF_NOMEM, SF_UNAVAILABLE: no thread. */
enum sf_code wal_sync_new(rocksdb_t *db, wal_sync_left_cb on_left, void *data,
                          struct wal_sync **ret, struct sf_error *err) SF_MUST_CHECK;
/* Behind what was begun. NULL is fine. */
void wal_sync_free(struct wal_sync *w);

/* Begins to sync what was written before. */
void wal_sync_begin(struct wal_sync *w);
/* Waits for it. */
char *wal_sync_end(struct wal_sync *w);
/* Does not wait: the callback is told. False when it has ended already, and end() does not wait. */
bool wal_sync_leave(struct wal_sync *w);
/* Until the callback was told of what was left. */
void wal_sync_wait(struct wal_sync *w);
