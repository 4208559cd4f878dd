/*
 * One file of RocksDB's write-ahead log, or its MANIFEST, read as it lies there: blocks of 32 KiB
 * of pieces, each with a checksum; a record is one piece or several.
 *
 *   Threads   One at a time.
 *   Memory    Nothing is copied; the bytes are the caller's.
 *   Limits    As old as our RocksDB: a piece of a kind that it does not write is damage.
 */
#pragma once

#include "leaf/store/wal_stamp.h"

enum wal_next {
    WAL_RECORD, /* a whole one: begins at .at, ends at .end */
    WAL_END,    /* of the file, behind a record */
    WAL_SHORT,  /* a record begins at .at, and the file ends in it */
    WAL_BAD,    /* from .at on there is no whole record; .end is behind what could be read of it */
};

enum { WAL_HEAD_BYTES = 128 };

struct wal_file {
    struct sf_slice bytes;
    uint64_t at;
    uint64_t end; /* where the next is read; 0: the first */
    bool has_stamp;
    struct wal_stamp stamp; /* of the record */
    struct {
        uint8_t bytes[WAL_HEAD_BYTES];
        size_t size;
    } head; /* the first bytes of the record */
};

enum wal_next wal_file_next(struct wal_file *f);
/* Behind WAL_BAD: finds the next stamp of any piece that is whole, wherever it lies. False: none.
 */
bool wal_file_find(struct wal_file *f);
