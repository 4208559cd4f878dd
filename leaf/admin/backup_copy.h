/*
 * Copying files so that what was copied is known and on the disk: in pieces, hashed on the way,
 * synced at the end.
 *
 *   Threads   Any; blocks.
 *   Errors    SF_IO with SHEAF-E0601 when the disk is full; SF_ABSENT, SF_DENIED, SF_IO.
 */
#pragma once

#include "common/base/attr.h"
#include "common/base/error.h"
#include "common/sys/crypto.h"

struct file_copy {
    const char *from; /* borrowed, also to */
    const char *to;   /* NULL: only hashed */
    int in;
    int out;
    uint64_t size; /* so far */
    uint32_t mode; /* of the source */
    struct sf_hash state;
    uint8_t hash[SF_HASH256_SIZE]; /* once done */
};

/* Opens both; @to must not be there and gets the mode of @from, without rights for others. */
enum sf_code file_copy_open(struct file_copy *c, const char *from, const char *to,
                            struct sf_error *err) SF_MUST_CHECK;
/* Copies about @bytes more; *done once all is there, synced. Ends the copy on failure. */
enum sf_code file_copy_step(struct file_copy *c, size_t bytes, bool *done,
                            struct sf_error *err) SF_MUST_CHECK;
/* Fine at any point, also of a zeroed one. */
void file_copy_done(struct file_copy *c);

/* A file whose content is on the disk is known to be there by name, too. */
enum sf_code dir_sync(const char *path, struct sf_error *err) SF_MUST_CHECK;
/* An error about a path that has no number yet gets that of unreadable files (SHEAF-E0804). */
void file_error_number(struct sf_error *err);
/* A second name for @from. SF_CONFLICT: not on the same file system, or no more names. */
enum sf_code file_link(const char *from, const char *to, struct sf_error *err) SF_MUST_CHECK;
