/*
 * The directory of a store: one owner at a time, one format.
 *
 * Its file FORMAT says what wrote it and is locked while it is open, by this process or another.
 */
#pragma once

#include <stdint.h>

#include "common/base/attr.h"
#include "common/base/error.h"

struct data_dir {
    char *path;    /* owned */
    int format_fd; /* holds the lock; -1: not open */
};

/*
 * Opens @path, or makes it (mode 0700) when its parent exists.
 *   SF_CONFLICT  SHEAF-E0606: somebody else has it; SHEAF-E0607: another format wrote it
 *   SF_DENIED, SF_ABSENT (no parent), SF_IO, SF_NOMEM
 */
enum sf_code data_dir_open(const char *path, struct data_dir *ret,
                           struct sf_error *err) SF_MUST_CHECK;
/* The same for one that stands already, changing nothing in it. SF_ABSENT. */
enum sf_code data_dir_open_read(const char *path, struct data_dir *ret,
                                struct sf_error *err) SF_MUST_CHECK;
void data_dir_done(struct data_dir *d);

/* Whether a database may be made in <path>/db: it holds no table, log or CURRENT file. One that has
 * lost its CURRENT would be taken for a new one. SF_IO, SF_DENIED. */
enum sf_code data_dir_is_new(const struct data_dir *d, bool *ret,
                             struct sf_error *err) SF_MUST_CHECK;

/* Bytes free for us, and bytes in all, of the file system. SF_IO. */
enum sf_code data_dir_space(const struct data_dir *d, uint64_t *free_bytes, uint64_t *total_bytes,
                            struct sf_error *err) SF_MUST_CHECK;
