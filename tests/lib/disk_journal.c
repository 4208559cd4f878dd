/*
 * Loaded in front of a program (LD_PRELOAD): writes down what a disk owes it after a power cut.
 * DISK_JOURNAL names the file. Each line is one thing, in the order in which it came true:
 *
 *   S SIZE PATH   synced: of this file so many bytes are there for good
 *   D PATH        synced: so are the names in this directory
 *   C PATH        the file was made, or emptied
 *   R PATH<TAB>PATH   renamed
 *   U PATH        unlinked
 *
 * In front of the sync of a log ("*.log") with the number DISK_DIES, if it is set, the program is
 * killed: what it wrote is there, and was not synced.
 *
 * The run of the machine, as the kernel names it, is what the file DISK_BOOT says, if it is named.
 *
 * A sync is written down before it is returned, so whatever a program says that rests on it comes
 * later.
 */
/* Programs call either name; where off_t is large by command line, open is open64. */
#undef _FILE_OFFSET_BITS
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 1024, LINE_BYTES = 2 * PATH_BYTES + 64 };

#define SEEN __attribute__((visibility("default")))

SEEN int fdatasync(int fd);
SEEN int fsync(int fd);
SEEN int open(const char *path, int flags, ...);
SEEN int open64(const char *path, int flags, ...);
SEEN int rename(const char *from, const char *to);
SEEN int unlink(const char *path);

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

static int open_really(const char *path, int flags, mode_t mode)
{
    static int (*next)(const char *, int, ...);
    const char *boot = getenv("DISK_BOOT");

    if (next == NULL) {
        *(void **)&next = real("open64");
    }
    if (boot != NULL && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) {
        path = boot;
    }
    return next(path, flags, mode);
}

__attribute__((format(printf, 1, 2))) static void note(const char *fmt, ...)
{
    const char *journal = getenv("DISK_JOURNAL");
    const int error = errno;
    char line[LINE_BYTES];
    va_list args;
    int fd;
    int n;

    if (journal == NULL) {
        return;
    }
    va_start(args, fmt);
    n = vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    fd = open_really(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)!write(fd, line, n < LINE_BYTES ? (size_t)n : LINE_BYTES - 1);
        (void)close(fd);
    }
    errno = error;
}

/* Each sync of a log is a turn. */
static void die_in_turn(const char *path)
{
    static atomic_long turn;
    const char *dies = getenv("DISK_DIES");
    const size_t size = strlen(path);

    if (dies != NULL && size > 4 && strcmp(path + size - 4, ".log") == 0 &&
        atomic_fetch_add(&turn, 1) + 1 == strtol(dies, NULL, 10)) {
        (void)kill(getpid(), SIGKILL);
    }
}

static int sync_and_note(int fd, const char *name)
{
    struct stat before = {0}; /* what is written from now on may miss this sync */
    char link[64];
    char path[PATH_BYTES] = "";
    int (*next)(int);
    int ret;

    *(void **)&next = real(name);
    (void)fstat(fd, &before);
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    if (readlink(link, path, sizeof(path) - 1) > 0) {
        die_in_turn(path);
    }
    ret = next(fd);
    if (ret == 0 && path[0] != '\0') {
        if (S_ISDIR(before.st_mode)) {
            note("D %s\n", path);
        } else {
            note("S %lld %s\n", (long long)before.st_size, path);
        }
    }
    return ret;
}

int fdatasync(int fd)
{
    return sync_and_note(fd, "fdatasync");
}

int fsync(int fd)
{
    return sync_and_note(fd, "fsync");
}

static int open_and_note(const char *path, int flags, mode_t mode)
{
    const int makes = (flags & O_CREAT) != 0 && access(path, F_OK) != 0;
    const int fd = open_really(path, flags, mode);

    if (fd >= 0 && (makes || (flags & O_TRUNC) != 0)) {
        note("C %s\n", path);
    }
    return fd;
}

int open(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_and_note(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_and_note(path, flags, mode);
}

int rename(const char *from, const char *to)
{
    int (*next)(const char *, const char *);
    int ret;

    *(void **)&next = real("rename");
    ret = next(from, to);
    if (ret == 0) {
        note("R %s\t%s\n", from, to);
    }
    return ret;
}

int unlink(const char *path)
{
    int (*next)(const char *);
    int ret;

    *(void **)&next = real("unlink");
    ret = next(path);
    if (ret == 0) {
        note("U %s\n", path);
    }
    return ret;
}
