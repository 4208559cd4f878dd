/*
 * The one way to the heap, so that tests can make any allocation fail.
 *
 *   Threads   All functions but the fault switch may be called from any thread.
 *   Errors    NULL when out of memory; a size that overflows counts as out of memory.
 */
#pragma once

#include <stddef.h>

#include "common/base/attr.h"

/* @size bytes, not initialised. Size 0 gives a pointer that may be freed. */
void *sf_alloc(size_t size) SF_MUST_CHECK;
/* Zeroed array of @count elements of @size bytes. */
void *sf_calloc(size_t count, size_t size) SF_MUST_CHECK;
/* Resizes an array to @count elements of @size bytes; on failure @old is untouched. */
void *sf_realloc(void *old, size_t count, size_t size) SF_MUST_CHECK;
/* A copy of @text with its terminator. */
char *sf_strdup(const char *text) SF_MUST_CHECK;
/* A NUL-terminated copy of @size bytes. */
char *sf_strndup(const void *bytes, size_t size) SF_MUST_CHECK;
/* Releases what any function above returned; NULL is fine. */
void sf_free(void *memory);
static inline void sf_freep(void *owner)
{
    sf_free(*(void **)owner);
}

/*
 * Tests only: after @successes more allocations one fails - or, with @forever, all that follow.
 * -1 turns it off. sf_alloc_faults() counts the failures injected since it was last set.
 */
void sf_alloc_fail_after(long successes, int forever);
long sf_alloc_faults(void);
/* What this thread allocates until it says otherwise neither fails nor counts: it plays the world
 * outside. */
void sf_alloc_spare(int spared);
