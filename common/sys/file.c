#include "common/sys/file.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/base/alloc.h"

enum {
    PORT_END = 32768, /* first of Linux's default range for outgoing connections */
    TREE_FDS_MAX = 16,
};

static void fd_close(const int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
}

/* Raises what errno says about @path. */
static enum sf_code fail(const char *verb, const char *path, struct sf_error *err)
{
    enum sf_code code = SF_IO;

    if (errno == ENOENT || errno == ENOTDIR) {
        code = SF_ABSENT;
    } else if (errno == EACCES || errno == EPERM || errno == EROFS) {
        code = SF_DENIED;
    } else if (errno == ENOMEM) {
        code = SF_NOMEM;
    }
    return SF_RAISE(err, code, "cannot %s '%s': %m", verb, path);
}

/* Reading. */

static enum sf_code read_all(int fd, const char *path, size_t size_max, struct sf_buf *ret,
                             struct sf_error *err)
{
    enum { CHUNK = 65536 };
    size_t start = ret->size;
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) != 0) {
        return fail("read", path, err);
    }
    if (st.st_size > 0 && (uint64_t)st.st_size > size_max) {
        return SF_RAISE(err, SF_BUSY, "'%s' is larger than %zu bytes", path, size_max);
    }
    for (;;) {
        /* One byte more than a regular file has, so that its end is seen without growing. */
        size_t left = st.st_size > (off_t)(ret->size - start)
                          ? (size_t)st.st_size - (ret->size - start) + 1
                          : CHUNK;
        uint8_t *to = sf_buf_reserve(ret, left);

        if (to == NULL) {
            return sf_buf_check(ret, path, err);
        }
        n = read(fd, to, left);
        if (n == 0) {
            return SF_OK;
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return fail("read", path, err);
        }
        ret->size += (size_t)n;
        if (ret->size - start > size_max) {
            return SF_RAISE(err, SF_BUSY, "'%s' is larger than %zu bytes", path, size_max);
        }
    }
}

enum sf_code sf_file_read(const char *path, size_t size_max, struct sf_buf *ret,
                          struct sf_error *err)
{
    SF_CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t start = ret->size;
    enum sf_code r;

    if (fd < 0) {
        return fail("read", path, err);
    }
    r = read_all(fd, path, size_max, ret, err);
    if (r != SF_OK) {
        ret->size = start;
    }
    return r;
}

bool sf_file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Writing: everything into a temporary file beside the target, which then takes its name. */

static enum sf_code write_all(int fd, const char *path, struct sf_slice content,
                              struct sf_error *err)
{
    while (content.size > 0) {
        ssize_t n = write(fd, content.data, content.size);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return fail("write", path, err);
        }
        content = sf_slice_of(content.data + n, content.size - (size_t)n);
    }
    return SF_OK;
}

static enum sf_code sync_parent(const char *path, struct sf_error *err)
{
    const char *slash = strrchr(path, '/');
    SF_CLEANUP(sf_freep)
    char *parent = slash == NULL   ? sf_strdup(".")
                   : slash == path ? sf_strdup("/")
                                   : sf_strndup(path, (size_t)(slash - path));
    SF_CLEANUP(fd_close) int fd = -1;

    if (parent == NULL) {
        return SF_RAISE(err, SF_NOMEM, "no memory to write '%s'", path);
    }
    fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        return fail("sync", parent, err);
    }
    return SF_OK;
}

static enum sf_code write_temporary(const char *temporary, int fd, struct sf_slice content,
                                    mode_t mode, struct sf_error *err)
{
    enum sf_code r = write_all(fd, temporary, content, err);

    if (r == SF_OK && (fchmod(fd, mode) != 0 || fsync(fd) != 0)) {
        r = fail("write", temporary, err);
    }
    return r;
}

static enum sf_code write_whole(const char *path, struct sf_slice content, mode_t mode,
                                bool replace, struct sf_error *err)
{
    SF_CLEANUP(sf_freep) char *temporary = NULL;
    SF_CLEANUP(fd_close) int fd = -1;
    struct sf_buf name = {0};
    enum sf_code r;

    sf_buf_printf(&name, "%s.XXXXXX", path);
    if (sf_buf_cstr(&name) == NULL) {
        sf_buf_done(&name);
        return SF_RAISE(err, SF_NOMEM, "no memory to write '%s'", path);
    }
    temporary = (char *)name.data;
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        return fail("write", path, err);
    }
    r = write_temporary(temporary, fd, content, mode, err);
    if (r == SF_OK && replace && rename(temporary, path) != 0) {
        r = fail("write", path, err);
    } else if (r == SF_OK && !replace && link(temporary, path) != 0) {
        r = errno == EEXIST ? SF_RAISE(err, SF_CONFLICT, "'%s' is already there", path)
                            : fail("write", path, err);
    }
    if (r != SF_OK || !replace) {
        (void)unlink(temporary);
    }
    return r == SF_OK ? sync_parent(path, err) : r;
}

enum sf_code sf_file_write(const char *path, struct sf_slice content, mode_t mode,
                           struct sf_error *err)
{
    return write_whole(path, content, mode, /* replace= */ true, err);
}

enum sf_code sf_file_create(const char *path, struct sf_slice content, mode_t mode,
                            struct sf_error *err)
{
    return write_whole(path, content, mode, /* replace= */ false, err);
}

enum sf_code sf_file_remove(const char *path, struct sf_error *err)
{
    if (unlink(path) != 0 && errno != ENOENT) {
        return fail("remove", path, err);
    }
    return SF_OK;
}

/* Directories. */

static enum sf_code make_one(const char *path, mode_t mode, struct sf_error *err)
{
    struct stat st;

    if (mkdir(path, mode) == 0) {
        return SF_OK;
    }
    if (errno == EEXIST && stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode)) {
            return SF_OK;
        }
        errno = ENOTDIR;
    }
    return fail("make directory", path, err);
}

enum sf_code sf_dir_make(const char *path, mode_t mode, struct sf_error *err)
{
    SF_CLEANUP(sf_freep) char *copy = sf_strdup(path);
    enum sf_code r;

    if (copy == NULL) {
        return SF_RAISE(err, SF_NOMEM, "no memory to make directory '%s'", path);
    }
    for (char *at = copy + 1; *copy != '\0' && *at != '\0'; at++) {
        if (*at != '/') {
            continue;
        }
        *at = '\0';
        r = make_one(copy, mode, err);
        *at = '/';
        if (r != SF_OK) {
            return r;
        }
    }
    return make_one(copy, mode, err);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *place)
{
    (void)st;
    (void)type;
    (void)place;
    return remove(path);
}

enum sf_code sf_dir_remove(const char *path, struct sf_error *err)
{
    if (nftw(path, remove_one, TREE_FDS_MAX, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT) {
        return fail("remove", path, err);
    }
    return SF_OK;
}

static int byte_order(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_entry(const struct dirent *e)
{
    return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

enum sf_code sf_dir_each(const char *path,
                         enum sf_code (*each)(const char *name, void *data, struct sf_error *err),
                         void *data, struct sf_error *err)
{
    struct dirent **entries;
    int count = scandir(path, &entries, is_entry, byte_order);
    enum sf_code r = SF_OK;

    if (count < 0) {
        return fail("list", path, err);
    }
    for (int i = 0; i < count; i++) {
        if (r == SF_OK) {
            r = each(entries[i]->d_name, data, err);
        }
        free(entries[i]); /* scandir() takes them from the C library's heap. */
    }
    free(entries);
    return r;
}

enum sf_code sf_disk_free(const char *path, uint64_t *ret, struct sf_error *err)
{
    uint64_t total;

    return sf_disk_space(path, ret, &total, err);
}

enum sf_code sf_disk_space(const char *path, uint64_t *ret_free, uint64_t *ret_total,
                           struct sf_error *err)
{
    struct statvfs st;

    if (statvfs(path, &st) != 0) {
        return fail("ask the free space of", path, err);
    }
    *ret_free = (uint64_t)st.f_bavail * st.f_frsize;
    *ret_total = (uint64_t)st.f_blocks * st.f_frsize;
    return SF_OK;
}

/* Locks, mappings, ports. */

enum sf_code sf_lock_take(const char *path, struct sf_lock *ret, struct sf_error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0) {
        return fail("lock", path, err);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        enum sf_code r = errno == EWOULDBLOCK
                             ? SF_RAISE(err, SF_CONFLICT, "'%s' is held by another process", path)
                             : fail("lock", path, err);

        (void)close(fd);
        return r;
    }
    ret->fd_plus_one = fd + 1;
    return SF_OK;
}

void sf_lock_done(struct sf_lock *l)
{
    if (l->fd_plus_one != 0) {
        (void)close(l->fd_plus_one - 1);
        l->fd_plus_one = 0;
    }
}

enum sf_code sf_mapping_open(const char *path, struct sf_mapping *ret, struct sf_error *err)
{
    SF_CLEANUP(fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    void *memory;

    if (fd < 0 || fstat(fd, &st) != 0) {
        return fail("read", path, err);
    }
    if (!S_ISREG(st.st_mode)) {
        return SF_RAISE(err, SF_IO, "cannot map '%s': not a regular file", path);
    }
    if (st.st_size == 0) {
        ret->bytes = sf_slice_of(NULL, 0); /* the kernel maps no empty files */
        return SF_OK;
    }
    memory = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (memory == MAP_FAILED) {
        return fail("map", path, err);
    }
    ret->bytes = sf_slice_of(memory, (size_t)st.st_size);
    return SF_OK;
}

void sf_mapping_done(struct sf_mapping *m)
{
    union {
        const uint8_t *borrowed;
        void *mapped;
    } memory = {.borrowed = m->bytes.data};

    if (memory.mapped != NULL) {
        (void)munmap(memory.mapped, m->bytes.size);
    }
    m->bytes = sf_slice_of(NULL, 0);
}

bool sf_port_is_free(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    SF_CLEANUP(fd_close) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int yes = 1;

    /* As servers do, so that a port whose connections are only lingering counts as free. */
    return fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
           bind(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) == 0;
}

enum sf_code sf_port_find(uint16_t first, uint16_t *ret, struct sf_error *err)
{
    for (uint32_t port = first; port < PORT_END; port++) {
        if (sf_port_is_free((uint16_t)port)) {
            *ret = (uint16_t)port;
            return SF_OK;
        }
    }
    return SF_RAISE(err, SF_BUSY, "no free port from %u to %d", first, PORT_END - 1);
}
