/* What fuzzers share. */
#pragma once

#include "common/base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Aborts with the place: the promise does not hold for this input. */
#define fuzz_check(expression)                                                                     \
    ((expression) ? (void)0 : fuzz_failed(#expression, __FILE__, __LINE__))
_Noreturn void fuzz_failed(const char *expression, const char *file, int line);

/* Takes up to @size bytes, one byte, off the front of the input; 0 when there is none left. */
struct sf_slice fuzz_take(struct sf_slice *input, size_t size);
uint8_t fuzz_take_byte(struct sf_slice *input);
