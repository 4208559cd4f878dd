/*
 * Loaded in front of a program (LD_PRELOAD): makes syncs of chosen files fail, and writes down
 * every one. DISK_FAULTS names a file; while it exists, its text is "WHAT", a part of the paths
 * whose fdatasync() and fsync() fail with EIO. Each call goes to the file DISK_FAULTS.calls as
 * "PATH ok|failed".
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 1024 };

static size_t path_of(int fd, char ret[PATH_BYTES])
{
    char link[64];
    ssize_t n;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, ret, PATH_BYTES - 1);
    ret[n < 0 ? 0 : n] = '\0';
    return n < 0 ? 0 : (size_t)n;
}

/* The errno to fail with, or 0. */
static int fault_of(const char *control, const char *path)
{
    const int full = sizeof("full ") - 1;
    char what[128] = "";
    int fd = open(control, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0) {
        return 0;
    }
    n = read(fd, what, sizeof(what) - 1);
    (void)close(fd);
    what[n < 0 ? 0 : n] = '\0';
    if (strncmp(what, "full ", (size_t)full) == 0) {
        return strstr(path, what + full) != NULL ? ENOSPC : 0;
    }
    return what[0] != '\0' && strstr(path, what) != NULL ? EIO : 0;
}

static int sync_or_fail(int fd, const char *name)
{
    const char *control = getenv("DISK_FAULTS");
    char path[PATH_BYTES];
    char calls[PATH_BYTES];
    char line[PATH_BYTES + 16];
    int (*real)(int) = NULL;
    int failed;
    int to;

    *(void **)&real = dlsym(RTLD_NEXT, name);
    if (control == NULL || path_of(fd, path) == 0) {
        return real(fd);
    }
    failed = fault_of(control, path);
    (void)snprintf(calls, sizeof(calls), "%s.calls", control);
    to = open(calls, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (to >= 0) {
        int n = snprintf(line, sizeof(line), "%s %s\n", path, failed ? "failed" : "ok");

        (void)!write(to, line, (size_t)n);
        (void)close(to);
    }
    if (failed) {
        errno = failed;
        return -1;
    }
    return real(fd);
}

__attribute__((visibility("default"))) int fdatasync(int fd);
__attribute__((visibility("default"))) int fsync(int fd);

int fdatasync(int fd)
{
    return sync_or_fail(fd, "fdatasync");
}

int fsync(int fd)
{
    return sync_or_fail(fd, "fsync");
}
