#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

void fuzz_failed(const char *expression, const char *file, int line)
{
    (void)fprintf(stderr, "%s:%d: promise does not hold: %s\n", file, line, expression);
    abort();
}

struct sf_slice fuzz_take(struct sf_slice *input, size_t size)
{
    struct sf_slice taken = sf_slice_of(input->data, size < input->size ? size : input->size);

    *input = sf_slice_of(input->data + taken.size, input->size - taken.size);
    return taken;
}

uint8_t fuzz_take_byte(struct sf_slice *input)
{
    struct sf_slice taken = fuzz_take(input, 1);

    return taken.size == 0 ? 0 : taken.data[0];
}
