/*
 * Files, directories, locks and ports.
 *
 *   Threads   Any. All of it may block on the disk: on a loop thread only at start and stop.
 *   Errors    SF_ABSENT: no such file or directory. SF_DENIED: permissions. SF_IO: what else the
 *             system says, disk full included (its text says so). SF_NOMEM.
 */
#pragma once

#include <sys/types.h>

#include "common/base/attr.h"
#include "common/base/buf.h"
#include "common/base/error.h"

/* Appends the whole file to @ret. SF_BUSY: it is larger than @size_max. */
enum sf_code sf_file_read(const char *path, size_t size_max, struct sf_buf *ret,
                          struct sf_error *err) SF_MUST_CHECK;
/*
 * Replaces the file as a whole, durably: whoever reads it, also after a crash, sees the old content
 * or the new. @mode as in open(), whatever the umask.
 */
enum sf_code sf_file_write(const char *path, struct sf_slice content, mode_t mode,
                           struct sf_error *err) SF_MUST_CHECK;
/* The same for a file that must not be there yet; SF_CONFLICT when it is. */
enum sf_code sf_file_create(const char *path, struct sf_slice content, mode_t mode,
                            struct sf_error *err) SF_MUST_CHECK;
bool sf_file_exists(const char *path);
/* SF_OK also when it is not there. */
enum sf_code sf_file_remove(const char *path, struct sf_error *err) SF_MUST_CHECK;

/* Makes the directory and those above it; @mode for the new ones. Fine when it is there. */
enum sf_code sf_dir_make(const char *path, mode_t mode, struct sf_error *err) SF_MUST_CHECK;
/* Removes it with all it holds, following no links. SF_OK also when it is not there. */
enum sf_code sf_dir_remove(const char *path, struct sf_error *err) SF_MUST_CHECK;
/* Calls @each with every name in it but . and .., in byte order, until it returns a failure. */
enum sf_code sf_dir_each(const char *path,
                         enum sf_code (*each)(const char *name, void *data, struct sf_error *err),
                         void *data, struct sf_error *err) SF_MUST_CHECK;
/* Bytes that we may still write on the file system of @path. */
enum sf_code sf_disk_free(const char *path, uint64_t *ret, struct sf_error *err) SF_MUST_CHECK;

/* The same, and how many bytes it has in all. */
enum sf_code sf_disk_space(const char *path, uint64_t *ret_free, uint64_t *ret_total,
                           struct sf_error *err) SF_MUST_CHECK;

/* A lock on a path, held by this process until done; the kernel drops it when the process ends. */
struct sf_lock {
    int fd_plus_one; /* 0: not held, so that a zeroed struct is empty */
};
/* Makes the file when needed. SF_CONFLICT: held by another process. */
enum sf_code sf_lock_take(const char *path, struct sf_lock *ret,
                          struct sf_error *err) SF_MUST_CHECK;
void sf_lock_done(struct sf_lock *l);

/* A file as memory, read-only. Whoever shortens it while it is mapped kills us: own files only. */
struct sf_mapping {
    struct sf_slice bytes;
};
enum sf_code sf_mapping_open(const char *path, struct sf_mapping *ret,
                             struct sf_error *err) SF_MUST_CHECK;
void sf_mapping_done(struct sf_mapping *m);

/*
 * The first port from @first on, below 32768, that nobody listens on at 127.0.0.1. Below, because
 * ports above are given to outgoing connections, and a client that connects to a dead one of those
 * may reach itself. SF_BUSY: none. Another process may take it before the caller does.
 */
enum sf_code sf_port_find(uint16_t first, uint16_t *ret, struct sf_error *err) SF_MUST_CHECK;
bool sf_port_is_free(uint16_t port);
