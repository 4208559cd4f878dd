#include "common/base/alloc.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static atomic_long fail_countdown = -1;
static atomic_int fail_forever;
static atomic_long faults;
static _Thread_local int spared;

void sf_alloc_fail_after(long successes, int forever)
{
    atomic_store(&faults, 0);
    atomic_store(&fail_forever, forever);
    atomic_store(&fail_countdown, successes);
}

long sf_alloc_faults(void)
{
    return atomic_load(&faults);
}

void sf_alloc_spare(int is_spared)
{
    spared = is_spared;
}

static bool must_fail(void)
{
    long left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);

    if (left < 0 || spared) {
        return false;
    }
    left = atomic_fetch_sub(&fail_countdown, 1);
    if (left > 0) {
        return false;
    }
    atomic_store(&fail_countdown, atomic_load(&fail_forever) ? 0 : -1);
    atomic_fetch_add(&faults, 1);
    return true;
}

void *sf_alloc(size_t size)
{
    return must_fail() ? NULL : malloc(size == 0 ? 1 : size);
}

void *sf_calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);
}

void *sf_realloc(void *old, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes) || must_fail()) {
        return NULL;
    }
    return realloc(old, bytes == 0 ? 1 : bytes);
}

char *sf_strndup(const void *bytes, size_t size)
{
    char *copy = size == SIZE_MAX ? NULL : sf_alloc(size + 1);

    if (copy != NULL) {
        if (size > 0) {
            memcpy(copy, bytes, size);
        }
        copy[size] = '\0';
    }
    return copy;
}

char *sf_strdup(const char *text)
{
    return sf_strndup(text, strlen(text));
}

void sf_free(void *memory)
{
    free(memory);
}
