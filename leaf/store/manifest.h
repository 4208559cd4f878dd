/*
 * RocksDB's MANIFEST, which says what tables there are, as it lies there: a file like those of the
 * log, of edits that are synced one after the other (several that belong together at once).
 *
 *   Threads   Any. Blocks.
 */
#pragma once

#include "common/base/attr.h"
#include "common/base/error.h"
#include "leaf/store/wal_file.h"

struct manifest {
    uint64_t number; /* in its name; 0: CURRENT names none, RocksDB's own checks are all there is */
    uint64_t size;   /* of the file */
    uint64_t whole;  /* bytes up to the end of its last whole edit */
    enum wal_next end; /* why there: WAL_END, WAL_SHORT, WAL_BAD */
    uint64_t log;      /* the oldest log with something that is in no table; 0: it does not say */
};

/* "MANIFEST-000005" */
enum { MANIFEST_NAME_BYTES = 32 };
void manifest_name(uint64_t number, char ret[MANIFEST_NAME_BYTES]);

/* Of the store in directory @store; one that is missing has number 0. SF_IO, SF_DENIED, SF_NOMEM.
 */
enum sf_code manifest_read(const char *store, struct manifest *ret,
                           struct sf_error *err) SF_MUST_CHECK;
/* What it holds is on the disk when this returns. SF_IO, SF_DENIED. */
enum sf_code manifest_sync(const char *store, const struct manifest *m,
                           struct sf_error *err) SF_MUST_CHECK;
