/*
 * The memory of the process as the system sees it.
 *
 *   Threads   Any; sf_memory_setup() before there are others.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Few arenas instead of eight for each core, and large blocks that go back to the system when they
 * are freed: what a process holds stays near what it uses.
 */
void sf_memory_setup(void);
/* Bytes resident; 0 when the system does not say. */
uint64_t sf_memory_resident(void);
/*
 * Drops the pages of code that were read so far from what counts as resident: half of what a
 * process shows behind its start is code that only the start runs. What is needed again comes from
 * the page cache.
 */
void sf_memory_forget_code(void);
/* Gives free memory back to the system. Takes milliseconds: not on the loop thread. */
void sf_memory_trim(void);
enum { SF_MEMORY_LARGE_PAGE = 2 * 1024 * 1024 };
/*
 * Makes @bytes from @from on, which are in use all over, lie in large pages where the system has
 * them: what is then read here and there is found faster. Only whole ones, at their alignment. May
 * take some milliseconds.
 */
void sf_memory_large_pages(void *from, size_t bytes);
