#include "leaf/admin/backup_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/errors.h"

enum { CHUNK = 64 * 1024 };

static enum sf_code fail(const char *verb, const char *path, struct sf_error *err)
{
    if (errno == ENOSPC || errno == EDQUOT) {
        return SF_RAISE_E(err, SF_IO, SHEAF_E_DISK_FULL, "cannot %s '%s': %m", verb, path);
    }
    if (errno == ENOENT) {
        return SF_RAISE(err, SF_ABSENT, "cannot %s '%s': %m", verb, path);
    }
    if (errno == EACCES || errno == EPERM || errno == EROFS) {
        return SF_RAISE(err, SF_DENIED, "cannot %s '%s': %m", verb, path);
    }
    return SF_RAISE(err, SF_IO, "cannot %s '%s': %m", verb, path);
}

void file_error_number(struct sf_error *err)
{
    if (err->number == 0 &&
        (err->code == SF_ABSENT || err->code == SF_DENIED || err->code == SF_IO)) {
        err->number = SHEAF_E_FILE_UNREADABLE;
    }
}

enum sf_code file_copy_open(struct file_copy *c, const char *from, const char *to,
                            struct sf_error *err)
{
    struct stat st;

    *c = (struct file_copy){.from = from, .to = to, .in = -1, .out = -1};
    sf_hash_init(&c->state, SF_HASH256_SIZE);
    c->in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (c->in < 0 || fstat(c->in, &st) != 0) {
        return fail("read", from, err);
    }
    c->mode = (uint32_t)st.st_mode & 0700;
    if (to != NULL) {
        c->out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)c->mode | 0200);
        if (c->out < 0) {
            enum sf_code code = fail("make", to, err);

            file_copy_done(c);
            return code;
        }
    }
    return SF_OK;
}

static enum sf_code write_all(const struct file_copy *c, const uint8_t *bytes, size_t size,
                              struct sf_error *err)
{
    while (size > 0) {
        ssize_t n = write(c->out, bytes, size);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return fail("write", c->to, err);
        }
        bytes += n;
        size -= (size_t)n;
    }
    return SF_OK;
}

/* On the disk, and out of the cache: whoever checks it reads it back from there. */
static enum sf_code finish(struct file_copy *c, struct sf_error *err)
{
    enum sf_code code = SF_OK;

    sf_hash_end(&c->state, c->hash, sizeof(c->hash));
    if (c->out >= 0) {
        if (fsync(c->out) != 0) {
            code = fail("sync", c->to, err);
        }
        (void)posix_fadvise(c->out, 0, 0, POSIX_FADV_DONTNEED);
    }
    file_copy_done(c);
    return code;
}

enum sf_code file_copy_step(struct file_copy *c, size_t bytes, bool *done, struct sf_error *err)
{
    uint8_t chunk[CHUNK];
    enum sf_code code = SF_OK;

    *done = false;
    for (size_t moved = 0; code == SF_OK && moved < bytes; moved += CHUNK) {
        ssize_t n = read(c->in, chunk, CHUNK);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            code = fail("read", c->from, err);
        } else if (n == 0) {
            *done = true;
            return finish(c, err);
        } else {
            sf_hash_add(&c->state, sf_slice_of(chunk, (size_t)n));
            c->size += (uint64_t)n;
            code = c->to == NULL ? SF_OK : write_all(c, chunk, (size_t)n, err);
        }
    }
    if (code != SF_OK) {
        file_copy_done(c);
    }
    return code;
}

void file_copy_done(struct file_copy *c)
{
    if (c->from == NULL) {
        return;
    }
    if (c->in >= 0) {
        (void)close(c->in);
    }
    if (c->out >= 0) {
        (void)close(c->out); /* Synced when it was whole; else it is thrown away. */
    }
    c->in = -1;
    c->out = -1;
}

enum sf_code dir_sync(const char *path, struct sf_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum sf_code code = SF_OK;

    if (fd < 0 || fsync(fd) != 0) {
        code = fail("sync", path, err);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return code;
}

enum sf_code file_link(const char *from, const char *to, struct sf_error *err)
{
    if (link(from, to) == 0) {
        return SF_OK;
    }
    if (errno == EXDEV || errno == EMLINK || errno == EPERM || errno == ENOTSUP) {
        return SF_RAISE(err, SF_CONFLICT, "cannot link '%s': %m", to);
    }
    return fail("link", to, err);
}
