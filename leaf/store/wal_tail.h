/*
 * What a leaf does, before it opens its store, with a write-ahead log that breaks off:
 * docs/adr/0051. The MANIFEST is looked at first: manifest_tail.h.
 *
 * What was acknowledged was synced, and what was synced lies before whatever a power cut has left
 * of the rest: there the log may be cut. That a power cut it was is not believed when anything
 * speaks against it:
 *
 *   the machine still runs as when the log was written (or that is not known)
 *   a later record says that one was synced which is not there
 *   the store would then be behind its head record
 *
 * The bytes that are cut off are kept in the directory cut/ of the store.
 *
 *   Threads   Where store_open() is called, before it. Blocks.
 *   Limits    Logs are mapped, not read into memory; the store as it would be is opened for reading
 *             once (kv_rocks.h), if there is something to cut.
 */
#pragma once

#include "common/base/attr.h"
#include "common/base/error.h"
#include "common/sys/rt.h"

enum wal_tail_how {
    WAL_TAIL_LOOK, /* changes nothing */
    WAL_TAIL_CUT,  /* where nothing acknowledged can lie behind */
    WAL_TAIL_LOSE, /* also where it may: the owner takes the loss and begins an epoch */
};

struct wal_tail_options {
    struct sf_rt *rt;
    const char *store; /* its directory */
    const char *heads; /* its head record, head_file.h */
    const char *boot;  /* of the machine; "": not known */
    enum wal_tail_how how;
};

struct wal_tail {
    bool torn;           /* it breaks off; what follows is set then */
    char file[32];       /* the log, or MANIFEST, in which it does */
    uint64_t at;         /* bytes of it that are whole */
    uint64_t bytes;      /* behind that, and in all logs after it */
    bool readable;       /* RocksDB takes it as it is: it ends within a record */
    struct sf_error why; /* WAL_TAIL_LOOK: WAL_TAIL_CUT would say so; .code SF_OK: it would cut */
};

/*
 * Fine when the logs are whole, or RocksDB can be left to them (they are of an older release, or
 * the process was killed in the middle of a record). SF_CORRUPT  SHEAF-E0613: they, or the
 * MANIFEST, break off, and something speaks against cutting; SHEAF-E0609: the store would be behind
 * its head record. With WAL_TAIL_LOOK it is told by @ret only. SF_IO, SF_DENIED, SF_NOMEM,
 * SF_CONFLICT (SHEAF-E0606: somebody has the store open)
 */
enum sf_code wal_tail_mend(const struct wal_tail_options *options, struct wal_tail *ret,
                           struct sf_error *err) SF_MUST_CHECK;
