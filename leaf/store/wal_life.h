/*
 * Which opening of the store writes the log, in which run of the machine, and what was on the disk
 * when it began: file LIFE beside it. Written when the store is open and before its first record.
 * Bytes: docs/formats/store.md.
 *
 *   Threads   Any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/attr.h"
#include "common/base/error.h"

enum { WAL_BOOT_BYTES = 64 };

struct wal_life {
    uint64_t life;             /* of the stamps; 0: not known */
    char boot[WAL_BOOT_BYTES]; /* "": not known */
    uint64_t log;            /* the first log of this life; 0: not known, as of an older release */
    uint64_t manifest;       /* number of the MANIFEST */
    uint64_t manifest_bytes; /* of it, that were synced */
};

/* The run of the machine, as the kernel names it; "" when it does not. */
void wal_boot_id(char ret[WAL_BOOT_BYTES]);

/* What speaks against a power cut since @life began, when the machine runs as @boot; "": nothing.
 */
const char *wal_life_objection(const struct wal_life *life, const char *boot);

/* Of the store in directory @path. One that is missing or damaged is not known. SF_IO, SF_DENIED,
 * SF_NOMEM. */
enum sf_code wal_life_read(const char *path, struct wal_life *ret,
                           struct sf_error *err) SF_MUST_CHECK;
/* Durably. What sf_file_write() says. */
enum sf_code wal_life_write(const char *path, const struct wal_life *life,
                            struct sf_error *err) SF_MUST_CHECK;
