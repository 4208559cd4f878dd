/*
 * The first byte chooses an encoding. The rest as bytes comes back from its text; the rest as text,
 * when it decodes, is the one text of its bytes.
 */
#include <string.h>

#include "common/base/alloc.h"
#include "common/sys/encoding.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sf_slice input = sf_slice_of(data, size);
    enum sf_encoding encoding = (enum sf_encoding)(fuzz_take_byte(&input) % (SF_BASE64URL + 1));
    struct sf_buf text = {0};
    struct sf_buf bytes = {0};

    sf_buf_encode(&text, encoding, input);
    fuzz_check(text.size == sf_encoded_size(encoding, input.size));
    fuzz_check(sf_buf_decode(&bytes, encoding, sf_buf_view(&text), NULL) == SF_OK);
    fuzz_check(sf_slice_equal(sf_buf_view(&bytes), input));
    sf_buf_clear(&text);
    sf_buf_clear(&bytes);
    if (sf_buf_decode(&bytes, encoding, input, NULL) == SF_OK) {
        sf_buf_encode(&text, encoding, sf_buf_view(&bytes));
        fuzz_check(sf_slice_equal(sf_buf_view(&text), input));
    }
    sf_buf_done(&text);
    sf_buf_done(&bytes);
    return 0;
}
