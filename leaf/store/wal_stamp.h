/*
 * What stands at the end of each record of the write-ahead log, so that a record that is missing is
 * missed: RocksDB's own have no number. Bytes: docs/formats/store.md.
 *
 *   Threads   Any; struct wal_stamper as its owner says.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"

enum {
    WAL_STAMP_BYTES = 28,
    WAL_STAMP_TAIL =
        2 + WAL_STAMP_BYTES, /* with the tag and the size that RocksDB puts before it */
};

struct wal_stamp {
    uint64_t life;   /* drawn whenever the store is opened */
    uint64_t number; /* of the record in this life, from 1 without gaps */
    uint64_t synced; /* the newest record known to be on the disk when this one was written */
};

/* What RocksDB is given as data for the log (rocksdb_writebatch_put_log_data()). */
void wal_stamp_encode(const struct wal_stamp *s, uint8_t ret[WAL_STAMP_BYTES]);
/* From the last bytes of a record; false: there is none. */
bool wal_stamp_decode(struct sf_slice tail, struct wal_stamp *ret);
