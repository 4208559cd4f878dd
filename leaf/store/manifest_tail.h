/*
 * What a leaf does, before it opens its store, with a MANIFEST that breaks off: docs/adr/0058.
 *
 * RocksDB takes a MANIFEST without its end as it is, and looks for no log that its edits do not
 * name. So two things are asked first:
 *
 *   what was synced when the life began is there
 *   the oldest log with something that is in no table is there: a log goes only when the edit that
 *   makes it needless is synced
 *
 * Whatever else is missing was never synced, and may be cut off, when a power cut can have done it.
 *
 *   Threads   As wal_tail.h, which asks first.
 */
#pragma once

#include "leaf/store/wal_life.h"
#include "leaf/store/wal_scan.h"
#include "leaf/store/wal_tail.h"

/* As wal_tail_mend(); @ret is set when it is torn. @scratch: where the logs are listed. */
enum sf_code manifest_tail_mend(const struct wal_tail_options *options, const struct wal_life *life,
                                struct wal_scan *scratch, struct wal_tail *ret,
                                struct sf_error *err) SF_MUST_CHECK;
/* What @life says of the logs and the MANIFEST of a store that was opened just now, once that is on
 * the disk. SF_IO, SF_DENIED, SF_NOMEM, SF_BUSY. */
enum sf_code manifest_tail_note(const char *store, struct wal_life *life,
                                struct sf_error *err) SF_MUST_CHECK;
