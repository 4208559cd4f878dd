/*
 * All files of RocksDB's write-ahead log in their order: how far they hold what was written, and
 * what stands behind that.
 *
 *   Threads   One at a time. Blocks.
 *   Limits    WAL_LOGS_MAX files.
 */
#pragma once

#include "common/base/attr.h"
#include "common/base/error.h"
#include "leaf/store/wal_file.h"

enum { WAL_LOGS_MAX = 4096, WAL_PATH_BYTES = 4096, WAL_NAME_BYTES = 32 };

enum wal_verdict {
    WAL_WHOLE,   /* or of another life, or without stamps: RocksDB's own checks are all there is */
    WAL_CUT_OFF, /* a record begins and the file ends: a killed process leaves that too */
    WAL_TORN,    /* no process leaves that; nothing behind it says that it was ever synced */
    WAL_MISSING, /* what is behind it says that it was synced */
};

struct wal_scan {
    uint64_t logs[WAL_LOGS_MAX]; /* numbers, rising */
    size_t log_count;
    uint64_t life;

    /* Out. */
    enum wal_verdict verdict;
    size_t bad;     /* index of the log that is cut off */
    uint64_t at;    /* bytes of it that are whole */
    uint64_t bytes; /* behind that, in it and the logs after it */

    /* Under way. */
    bool begun; /* a record of this life was read */
    uint64_t last;
};

/* "000012.log" */
void wal_log_name(uint64_t log, char ret[WAL_NAME_BYTES]);
/* The path of a log of the store in directory @store; false: too long. */
bool wal_log_path(const char *store, uint64_t log, char ret[WAL_PATH_BYTES]);
/* Its .logs only. What wal_scan_run() says. */
enum sf_code wal_scan_list(struct wal_scan *s, const char *store,
                           struct sf_error *err) SF_MUST_CHECK;
/* @life: of wal_life_read(). No directory is no log. SF_IO, SF_DENIED, SF_BUSY: too many files. */
enum sf_code wal_scan_run(struct wal_scan *s, const char *store, uint64_t life,
                          struct sf_error *err) SF_MUST_CHECK;
