/*
 * The input is a compressed body, with a first byte that says which coding and how much it may
 * become. Whatever it is, the output stays within its limit, and a body that fits a limit is the
 * same under a larger one. Taken in pieces it becomes the same. A damaged gzip body is refused
 * either way; of zstd frames libzstd checks the window only in pieces, and the size that the header
 * tells in full only as a whole.
 */
#include "common/wire/inflate.h"
#include "tests/fuzz/fuzz.h"

/* Inflates @packed in pieces of @piece bytes, as long as it makes less than @size_max. */
static enum sf_code in_pieces(enum sf_coding coding, struct sf_slice packed, size_t piece,
                              size_t size_max, struct sf_buf *ret, struct sf_error *err)
{
    struct sf_inflater *i;
    enum sf_code code = sf_inflater_new(coding, &i, err);

    fuzz_check(code == SF_OK);
    while (code == SF_OK && packed.size > 0 && ret->size <= size_max) {
        struct sf_slice part = fuzz_take(&packed, piece);

        for (size_t before = ret->size + 1; code == SF_OK && before != ret->size;) {
            before = ret->size;
            code = sf_inflater_step(i, &part, ret, err);
        }
        fuzz_check(code != SF_OK || part.size == 0);
    }
    if (code == SF_OK && ret->size <= size_max) {
        code = sf_inflater_end(i, err);
    }
    sf_inflater_free(i);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sf_slice packed = sf_slice_of(data, size);
    uint8_t how = fuzz_take_byte(&packed);
    enum sf_coding coding = how % 2 == 0 ? SF_CODING_GZIP : SF_CODING_ZSTD;
    size_t size_max = (size_t)how * 512;
    struct sf_buf out = {0};
    struct sf_buf more = {0};
    struct sf_buf pieces = {0};
    struct sf_error err = {.text = ""};
    struct sf_error piece_err = {.text = ""};
    enum sf_code code = sf_inflate(coding, packed, size_max, &out, &err);

    if (code != SF_BUSY) {
        enum sf_code of_pieces =
            in_pieces(coding, packed, 1 + how % 5, size_max, &pieces, &piece_err);

        fuzz_check(of_pieces == SF_OK || of_pieces == SF_INVALID);
        /* Over the limit, what is behind it was not looked at. */
        fuzz_check(of_pieces == code || coding == SF_CODING_ZSTD || pieces.size > size_max);
        fuzz_check(code != SF_OK || of_pieces != SF_OK ||
                   sf_slice_equal(sf_buf_view(&out), sf_buf_view(&pieces)));
    }
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
    sf_buf_done(&pieces);
    return 0;
}
