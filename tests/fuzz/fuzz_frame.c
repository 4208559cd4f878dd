/*
 * The input is a frame, with its hash made right when the first byte is odd, so that what lies
 * behind that check is reached. A frame that decodes is walked forwards and backwards within its
 * bytes, and encodes to the same bytes.
 */
#include <string.h>

#include "common/base/alloc.h"
#include "leaf/store/frame.h"
#include "tests/fuzz/fuzz.h"

static void make_hash_right(uint8_t *bytes, size_t size)
{
    size_t table;
    struct sf_slice hashed;

    if (size < frame_empty_size()) {
        return;
    }
    table = FRAME_HEADER_BYTES + (size_t)sf_read_be32(bytes + 12) * FRAME_ENTRY_BYTES;
    if (table <= size - SF_HASH256_SIZE) {
        hashed = sf_slice_of(bytes, table);
        sf_hash256(&hashed, 1, bytes + size - SF_HASH256_SIZE);
    }
}

static bool inside(const struct frame *f, struct sf_slice s)
{
    return s.data >= f->bytes.data && s.data + s.size <= f->hash;
}

static void check_frame(const struct frame *f)
{
    struct frame_change *changes = sf_calloc(f->header.count, sizeof(*changes));
    struct frame_change back;
    struct frame_cursor cursor;
    struct sf_buf out = {0};
    uint8_t hash[SF_HASH256_SIZE];
    uint64_t seq = 0;
    enum sf_code code;

    fuzz_check(changes != NULL);
    frame_cursor_init(&cursor, f);
    for (uint32_t i = 0; i < f->header.count; i++) {
        fuzz_check(frame_cursor_next(&cursor, &changes[i], &seq));
        fuzz_check(seq == f->header.first_seq + i);
        fuzz_check(inside(f, changes[i].key) && inside(f, changes[i].row));
        code = frame_change_check(f, &changes[i], seq, NULL);
        fuzz_check(code == SF_OK || code == SF_CORRUPT);
    }
    fuzz_check(!frame_cursor_next(&cursor, &back, &seq));
    for (uint32_t i = f->header.count; i > 0; i--) {
        fuzz_check(frame_cursor_prev(&cursor, &back, &seq));
        fuzz_check(back.key.data == changes[i - 1].key.data && back.op == changes[i - 1].op);
    }
    frame_encode(&out, &f->header, changes, f->header.count, hash);
    fuzz_check(sf_slice_equal(sf_buf_view(&out), f->bytes));
    sf_buf_done(&out);
    sf_free(changes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frame f;
    uint8_t *bytes;
    struct sf_error err;

    if (size == 0) {
        return 0;
    }
    bytes = sf_alloc(size - 1);
    fuzz_check(bytes != NULL);
    memcpy(bytes, data + 1, size - 1);
    if (data[0] % 2 == 1) {
        make_hash_right(bytes, size - 1);
    }
    if (frame_decode(sf_slice_of(bytes, size - 1), /* trust= */ false, &f, &err) == SF_OK) {
        check_frame(&f);
    } else {
        fuzz_check(err.code == SF_CORRUPT);
    }
    sf_free(bytes);
    return 0;
}
