#include "tests/lib/cmocka.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "leaf/store/frame.h"
#include "proto/errors.h"

static const struct {
    enum store_op op;
    const char *key;
    const char *row;
    uint64_t prev_seq;
} samples[] = {
    {STORE_UPSERT, "O-1001", "\x0a\x06O-1001\x12\x02NO", 0},
    {STORE_UPSERT, "O-1002", "", 0},
    {STORE_DELETE, "O-1001", "", 41},
};

/* The frame of the samples; its changes and digests stay valid as long as @out and @digests. */
static void encode_samples(struct sf_buf *out, uint8_t digests[][SF_HASH256_SIZE],
                           uint8_t hash[SF_HASH256_SIZE])
{
    struct frame_header h = {
        .lane = 7,
        .epoch = 2,
        .commit = 99,
        .commit_us = INT64_C(1767225600000000),
        .first_seq = 41,
    };
    struct frame_change changes[SF_COUNT(samples)];

    assert_int_equal(sf_crypto_init(NULL), SF_OK);
    memset(h.prev_hash, 0xab, sizeof(h.prev_hash));
    for (size_t i = 0; i < SF_COUNT(samples); i++) {
        changes[i] = (struct frame_change){
            .op = samples[i].op,
            .contract_id = 5,
            .prev_seq = samples[i].prev_seq,
            .key = sf_slice_text(samples[i].key),
            .row = sf_slice_text(samples[i].row),
            .digest = digests[i],
        };
        store_change_digest(changes[i].op, changes[i].key, changes[i].row, digests[i]);
    }
    frame_encode(out, &h, changes, SF_COUNT(samples), hash);
    assert_int_equal(out->failed, SF_OK);
}

static void test_a_frame_comes_back_as_it_was(void **state)
{
    uint8_t digests[SF_COUNT(samples)][SF_HASH256_SIZE];
    uint8_t hash[SF_HASH256_SIZE];
    struct sf_buf out = {0};
    struct frame f;
    struct frame_cursor cursor;
    struct frame_change c;
    struct sf_error err = {0};
    uint64_t seq = 0;

    (void)state;
    encode_samples(&out, digests, hash);
    assert_int_equal(frame_decode(sf_buf_view(&out), false, &f, &err), SF_OK);
    assert_int_equal(f.header.lane, 7);
    assert_int_equal(f.header.epoch, 2);
    assert_int_equal(f.header.count, 3);
    assert_int_equal(f.header.commit, 99);
    assert_int_equal(f.header.commit_us, INT64_C(1767225600000000));
    assert_int_equal(f.header.first_seq, 41);
    assert_int_equal(frame_last_seq(&f), 43);
    assert_memory_equal(f.hash, hash, SF_HASH256_SIZE);
    frame_cursor_init(&cursor, &f);
    for (size_t i = 0; i < SF_COUNT(samples); i++) {
        assert_true(frame_cursor_next(&cursor, &c, &seq));
        assert_int_equal(seq, 41 + i);
        assert_int_equal(c.op, samples[i].op);
        assert_int_equal(c.contract_id, 5);
        assert_int_equal(c.prev_seq, samples[i].prev_seq);
        assert_true(sf_slice_equal(c.key, sf_slice_text(samples[i].key)));
        assert_true(sf_slice_equal(c.row, sf_slice_text(samples[i].row)));
        assert_memory_equal(c.digest, digests[i], SF_HASH256_SIZE);
        assert_int_equal(frame_change_check(&f, &c, seq, &err), SF_OK);
    }
    assert_false(frame_cursor_next(&cursor, &c, &seq));
    for (size_t i = SF_COUNT(samples); i > 0; i--) {
        assert_true(frame_cursor_prev(&cursor, &c, &seq));
        assert_int_equal(seq, 40 + i);
        assert_true(sf_slice_equal(c.key, sf_slice_text(samples[i - 1].key)));
    }
    assert_false(frame_cursor_prev(&cursor, &c, &seq));
    frame_cursor_seek(&cursor, 43);
    assert_true(frame_cursor_next(&cursor, &c, &seq));
    assert_int_equal(seq, 43);
    sf_buf_done(&out);
}

/* Whether @bytes pass as the frame of the samples that the chain expects. */
static bool passes(struct sf_slice bytes, const uint8_t hash[SF_HASH256_SIZE])
{
    struct frame f;
    struct frame_cursor cursor;
    struct frame_change c;
    struct sf_error err;
    uint64_t seq = 0;

    if (frame_decode(bytes, false, &f, &err) != SF_OK) {
        assert_int_equal(err.code, SF_CORRUPT);
        assert_int_equal(err.number, SHEAF_E_STORE_CORRUPT);
        return false;
    }
    frame_cursor_init(&cursor, &f);
    while (frame_cursor_next(&cursor, &c, &seq)) {
        if (frame_change_check(&f, &c, seq, &err) != SF_OK) {
            assert_int_equal(err.number, SHEAF_E_STORE_CORRUPT);
            return false;
        }
    }
    return memcmp(f.hash, hash, SF_HASH256_SIZE) == 0;
}

static void test_every_flipped_bit_is_found(void **state)
{
    uint8_t digests[SF_COUNT(samples)][SF_HASH256_SIZE];
    uint8_t hash[SF_HASH256_SIZE];
    struct sf_buf out = {0};

    (void)state;
    encode_samples(&out, digests, hash);
    assert_true(passes(sf_buf_view(&out), hash));
    for (size_t bit = 0; bit < out.size * 8; bit++) {
        out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (passes(sf_buf_view(&out), hash)) {
            fail_msg("bit %zu of byte %zu", bit % 8, bit / 8);
        }
        out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    sf_buf_done(&out);
}

static void test_every_cut_is_found(void **state)
{
    uint8_t digests[SF_COUNT(samples)][SF_HASH256_SIZE];
    uint8_t hash[SF_HASH256_SIZE];
    struct sf_buf out = {0};

    (void)state;
    encode_samples(&out, digests, hash);
    for (size_t size = 0; size < out.size; size++) {
        uint8_t *cut = sf_alloc(size); /* So that a read behind it is seen. */

        memcpy(cut, out.data, size);
        assert_false(passes(sf_slice_of(cut, size), hash));
        sf_free(cut);
    }
    sf_buf_byte(&out, 0);
    assert_false(passes(sf_buf_view(&out), hash));
    sf_buf_done(&out);
}

static void test_refusals_say_why(void **state)
{
    uint8_t digests[SF_COUNT(samples)][SF_HASH256_SIZE];
    uint8_t hash[SF_HASH256_SIZE];
    struct sf_buf out = {0};
    struct frame f;
    struct sf_error err = {0};

    (void)state;
    encode_samples(&out, digests, hash);
    out.data[3] = 2;
    assert_int_equal(frame_decode(sf_buf_view(&out), false, &f, &err), SF_CORRUPT);
    assert_string_equal(err.text, "frame: not one of this format");
    out.data[3] = 1;
    out.data[FRAME_HEADER_BYTES] = 3;
    assert_int_equal(frame_decode(sf_buf_view(&out), true, &f, &err), SF_CORRUPT);
    assert_string_equal(err.text, "frame: table of changes is damaged");
    out.data[FRAME_HEADER_BYTES] = 1;
    out.data[8] = 9; /* epoch */
    assert_int_equal(frame_decode(sf_buf_view(&out), false, &f, &err), SF_CORRUPT);
    assert_string_equal(err.text, "frame: hash does not hold");
    assert_int_equal(frame_decode(sf_buf_view(&out), /* trust= */ true, &f, &err), SF_OK);
    sf_buf_done(&out);
}

static void test_the_bytes_are_those_of_the_first_release(void **state)
{
    uint8_t digests[SF_COUNT(samples)][SF_HASH256_SIZE];
    uint8_t hash[SF_HASH256_SIZE];
    uint8_t golden[4096];
    struct sf_buf out = {0};
    ssize_t size;
    int fd = open(GOLDEN_DIR "/frame-v1.bin", O_RDONLY);

    (void)state;
    encode_samples(&out, digests, hash);
    if (fd < 0 && getenv("TEST_WRITE_GOLDEN") != NULL) {
        fd = open(GOLDEN_DIR "/frame-v1.bin", O_RDWR | O_CREAT, 0644);
        assert_int_equal(write(fd, out.data, out.size), out.size);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    }
    assert_true(fd >= 0);
    size = read(fd, golden, sizeof(golden));
    assert_int_equal(size, out.size);
    assert_memory_equal(golden, out.data, out.size);
    (void)close(fd);
    sf_buf_done(&out);
}

static void test_a_digest_tells_op_key_and_row_apart(void **state)
{
    uint8_t a[SF_HASH256_SIZE];
    uint8_t b[SF_HASH256_SIZE];

    (void)state;
    store_change_digest(STORE_UPSERT, SF_LITERAL("ab"), SF_LITERAL("c"), a);
    store_change_digest(STORE_UPSERT, SF_LITERAL("a"), SF_LITERAL("bc"), b);
    assert_memory_not_equal(a, b, sizeof(a));
    store_change_digest(STORE_DELETE, SF_LITERAL("ab"), SF_LITERAL("c"), b);
    assert_memory_not_equal(a, b, sizeof(a));
    store_change_digest(STORE_UPSERT, SF_LITERAL("ab"), SF_LITERAL("c"), b);
    assert_memory_equal(a, b, sizeof(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_frame_comes_back_as_it_was),
        cmocka_unit_test(test_every_flipped_bit_is_found),
        cmocka_unit_test(test_every_cut_is_found),
        cmocka_unit_test(test_refusals_say_why),
        cmocka_unit_test(test_the_bytes_are_those_of_the_first_release),
        cmocka_unit_test(test_a_digest_tells_op_key_and_row_apart),
    };

    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
