/*
 * The input is a compressed body, with a first byte that says which coding and how much it may
 * become. Whatever it is, the output stays within its limit, and a body that fits a limit is the
 * same under a larger one.
 */
#include "common/wire/inflate.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sf_slice packed = sf_slice_of(data, size);
    uint8_t how = fuzz_take_byte(&packed);
    enum sf_coding coding = how % 2 == 0 ? SF_CODING_GZIP : SF_CODING_ZSTD;
    size_t size_max = (size_t)how * 512;
    struct sf_buf out = {0};
    struct sf_buf more = {0};
    struct sf_error err = {.text = ""};
    enum sf_code code = sf_inflate(coding, packed, size_max, &out, &err);

    if (code == SF_OK) {
        fuzz_check(out.size <= size_max);
        fuzz_check(sf_inflate(coding, packed, size_max + 1, &more, &err) == SF_OK);
        fuzz_check(sf_slice_equal(sf_buf_view(&out), sf_buf_view(&more)));
    } else {
        fuzz_check(out.size <= size_max + 1);
        fuzz_check((code == SF_INVALID && err.number == 201) ||
                   (code == SF_BUSY && err.number == 603));
    }
    sf_buf_done(&out);
    sf_buf_done(&more);
    return 0;
}
