#include "common/sys/memory.h"

#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    ARENAS = 2,
    /* Fixed, so that it does not grow with what is freed. Above the usual size of a body. */
    MMAP_THRESHOLD = 8 * 1024 * 1024,
    COLLAPSE = 25, /* MADV_COLLAPSE of Linux 6.1, which older headers do not know */
};

void sf_memory_setup(void)
{
    (void)mallopt(M_ARENA_MAX, ARENAS);
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
    (void)mallopt(M_TRIM_THRESHOLD, 2 * MMAP_THRESHOLD);
}

uint64_t sf_memory_resident(void)
{
    char text[128];
    const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    const ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    const char *second;

    if (fd >= 0) {
        (void)close(fd);
    }
    if (size <= 0) {
        return 0;
    }
    text[size] = '\0';
    second = strchr(text, ' ');
    return second == NULL ? 0 : strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

void sf_memory_forget_code(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];

    while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
        char rights[5] = "";
        uintptr_t from = 0;
        uintptr_t to = 0;

        /* Private, from a file and never written: not even by the linker, as tables may be. */
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to, rights) == 3 &&
            strcmp(rights, "r-xp") == 0 && strchr(line, '/') != NULL) {
            (void)madvise((void *)from, to - from, MADV_DONTNEED);
        }
    }
    if (maps != NULL) {
        (void)fclose(maps);
    }
}

void sf_memory_trim(void)
{
    (void)malloc_trim(0);
}

void sf_memory_large_pages(void *from, size_t bytes)
{
    const uintptr_t mask = SF_MEMORY_LARGE_PAGE - 1;
    const uintptr_t begin = ((uintptr_t)from + mask) & ~mask;
    const uintptr_t end = ((uintptr_t)from + bytes) & ~mask;

    if (begin < end) {
        /* The first for what is not in use yet. Either may be refused: then all stays as it is. */
        (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE);
        (void)madvise((void *)begin, end - begin, COLLAPSE);
    }
}
