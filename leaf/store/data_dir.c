#include "leaf/store/data_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/slice.h"
#include "proto/errors.h"

static const char format_text[] = "sheaf store 1\n";

static enum sf_code io_error(struct sf_error *err, const char *path, const char *what, int why)
{
    enum sf_code code = SF_IO;

    if (why == ENOSPC || why == EDQUOT) {
        return SF_RAISE_E(err, SF_IO, SHEAF_E_DISK_FULL, "data directory %s: %s: %s", path, what,
                          strerror(why));
    }
    if (why == EACCES || why == EPERM || why == EROFS) {
        code = SF_DENIED;
    } else if (why == ENOENT || why == ENOTDIR) {
        code = SF_ABSENT;
    }
    return SF_RAISE(err, code, "data directory %s: %s: %s", path, what, strerror(why));
}

static enum sf_code sync_dir(const char *path, struct sf_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int why = 0;

    if (fd < 0) {
        return io_error(err, path, "open", errno);
    }
    if (fsync(fd) != 0) {
        why = errno;
    }
    (void)close(fd); /* Opened for reading: nothing can be lost. */
    return why == 0 ? SF_OK : io_error(err, path, "sync", why);
}

/* Only an empty directory but for the file itself may get a format. */
static bool holds_data(const char *path)
{
    char db[4096];
    struct stat st;

    (void)snprintf(db, sizeof(db), "%s/db", path);
    return stat(db, &st) == 0;
}

static enum sf_code check_format(struct data_dir *d, bool read_only, struct sf_error *err)
{
    char found[sizeof(format_text)] = {0};
    ssize_t n = pread(d->format_fd, found, sizeof(found), 0);

    if (n < 0) {
        return io_error(err, d->path, "read FORMAT", errno);
    }
    if (n == 0 && !read_only && !holds_data(d->path)) {
        if (pwrite(d->format_fd, format_text, sizeof(format_text) - 1, 0) !=
                (ssize_t)sizeof(format_text) - 1 ||
            fdatasync(d->format_fd) != 0) {
            return io_error(err, d->path, "write FORMAT", errno);
        }
        return sync_dir(d->path, err);
    }
    if (!sf_slice_equal(sf_slice_of(found, (size_t)n), sf_slice_text(format_text))) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_DATA_DIR_VERSION,
                          "data directory %s: FORMAT is not \"sheaf store 1\"", d->path);
    }
    return SF_OK;
}

static enum sf_code lock_format(struct data_dir *d, bool read_only, struct sf_error *err)
{
    char file[4096];

    if (snprintf(file, sizeof(file), "%s/FORMAT", d->path) >= (int)sizeof(file)) {
        return io_error(err, d->path, "open FORMAT", ENAMETOOLONG);
    }
    d->format_fd = read_only ? open(file, O_RDONLY | O_CLOEXEC)
                             : open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->format_fd < 0) {
        return io_error(err, d->path, "open FORMAT", errno);
    }
    if (flock(d->format_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_DATA_DIR_IN_USE,
                              "data directory %s: another process has it open", d->path);
        }
        return io_error(err, d->path, "lock FORMAT", errno);
    }
    return check_format(d, read_only, err);
}

static enum sf_code open_dir(const char *path, bool read_only, struct data_dir *ret,
                             struct sf_error *err)
{
    struct data_dir d = {.format_fd = -1};
    enum sf_code code;

    d.path = sf_strdup(path);
    if (d.path == NULL) {
        return SF_RAISE(err, SF_NOMEM, "data directory");
    }
    if (!read_only && mkdir(path, 0700) != 0 && errno != EEXIST) {
        code = io_error(err, path, "make", errno);
    } else {
        code = lock_format(&d, read_only, err);
    }
    if (code != SF_OK) {
        data_dir_done(&d);
        return code;
    }
    *ret = d;
    return SF_OK;
}

enum sf_code data_dir_open(const char *path, struct data_dir *ret, struct sf_error *err)
{
    return open_dir(path, /* read_only= */ false, ret, err);
}

enum sf_code data_dir_open_read(const char *path, struct data_dir *ret, struct sf_error *err)
{
    return open_dir(path, /* read_only= */ true, ret, err);
}

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text);
    const size_t m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

enum sf_code data_dir_is_new(const struct data_dir *d, bool *ret, struct sf_error *err)
{
    char path[4096];
    const struct dirent *e;
    DIR *dir;

    *ret = true;
    if (snprintf(path, sizeof(path), "%s/db", d->path) >= (int)sizeof(path)) {
        return io_error(err, d->path, "open db", ENAMETOOLONG);
    }
    dir = opendir(path);
    if (dir == NULL) {
        return errno == ENOENT ? SF_OK : io_error(err, d->path, "open db", errno);
    }
    while ((e = readdir(dir)) != NULL) {
        *ret = *ret && strcmp(e->d_name, "CURRENT") != 0 && !ends_with(e->d_name, ".sst") &&
               !ends_with(e->d_name, ".log");
    }
    (void)closedir(dir);
    return SF_OK;
}

void data_dir_done(struct data_dir *d)
{
    if (d->format_fd >= 0) {
        (void)close(d->format_fd); /* Synced when it was written. */
    }
    sf_free(d->path);
    *d = (struct data_dir){.format_fd = -1};
}

enum sf_code data_dir_space(const struct data_dir *d, uint64_t *free_bytes, uint64_t *total_bytes,
                            struct sf_error *err)
{
    struct statvfs fs;

    if (fstatvfs(d->format_fd, &fs) != 0) {
        return io_error(err, d->path, "statvfs", errno);
    }
    *free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    *total_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
    return SF_OK;
}
