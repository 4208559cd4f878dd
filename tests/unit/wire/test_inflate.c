#include "tests/lib/cmocka.h"

#include <zlib.h>
#include <zstd.h>

#include "common/base/alloc.h"
#include "common/wire/inflate.h"
#include "proto/errors.h"

enum { ROOM = 1024 * 1024, ZEROS = 50 * ROOM, LIMIT = 1000 * 1000, STEP = 64 * 1024 };

static void pack_gzip(struct sf_slice text, struct sf_buf *ret)
{
    z_stream z = {0};

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (z_const Bytef *)(uintptr_t)text.data;
    z.avail_in = (uInt)text.size;
    z.next_out = sf_buf_reserve(ret, ROOM);
    z.avail_out = ROOM;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    ret->size += ROOM - z.avail_out;
    (void)deflateEnd(&z);
}

static void pack_zstd(struct sf_slice text, struct sf_buf *ret)
{
    size_t n = ZSTD_compress(sf_buf_reserve(ret, ROOM), ROOM, text.data, text.size, 3);

    assert_false(ZSTD_isError(n));
    ret->size += n;
}

static void pack(enum sf_coding coding, struct sf_slice text, struct sf_buf *ret)
{
    (coding == SF_CODING_GZIP ? pack_gzip : pack_zstd)(text, ret);
}

struct fixture {
    struct sf_buf packed;
    struct sf_buf out;
    enum sf_code code;
    struct sf_error err;
};

static void teardown(struct fixture *f)
{
    sf_buf_done(&f->packed);
    sf_buf_done(&f->out);
}

static void run(struct fixture *f, enum sf_coding coding, struct sf_slice packed, size_t size_max)
{
    sf_buf_clear(&f->out);
    f->err = (struct sf_error){0};
    f->code = sf_inflate(coding, packed, size_max, &f->out, &f->err);
}

static void assert_damaged(const struct fixture *f, const char *text)
{
    assert_int_equal(f->code, SF_INVALID);
    assert_int_equal(f->err.number, SHEAF_E_BAD_FRAMING);
    assert_string_equal(f->err.text, text);
}

/* Larger than one step, and not the same everywhere. */
static void fill(struct sf_buf *text, size_t size)
{
    for (unsigned i = 0; text->size < size; i++) {
        sf_buf_printf(text, "{\"order_id\":\"%u\"}\n", i * 7919U);
    }
    text->size = size;
}

static const enum sf_coding codings[] = {SF_CODING_GZIP, SF_CODING_ZSTD};

static void what_was_packed_comes_back(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 65535, 65536, 65537, 300000};
    (void)state;

    for (size_t c = 0; c < SF_COUNT(codings); c++) {
        for (size_t i = 0; i < SF_COUNT(sizes); i++) {
            SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
            struct fixture f = {0};

            fill(&text, sizes[i]);
            pack(codings[c], sf_buf_view(&text), &f.packed);
            run(&f, codings[c], sf_buf_view(&f.packed), LIMIT);
            assert_int_equal(f.code, SF_OK);
            assert_true(sf_slice_equal(sf_buf_view(&f.out), sf_buf_view(&text)));
            teardown(&f);
        }
    }
}

static void several_members_are_one_body(void **state)
{
    (void)state;
    for (size_t c = 0; c < SF_COUNT(codings); c++) {
        struct fixture f = {0};

        pack(codings[c], SF_LITERAL("one\n"), &f.packed);
        pack(codings[c], SF_LITERAL(""), &f.packed);
        pack(codings[c], SF_LITERAL("two\n"), &f.packed);
        run(&f, codings[c], sf_buf_view(&f.packed), LIMIT);
        assert_int_equal(f.code, SF_OK);
        assert_true(sf_slice_equal(sf_buf_view(&f.out), SF_LITERAL("one\ntwo\n")));
        teardown(&f);
    }
}

static void the_limit_is_exact_and_holds_before_memory_is_taken(void **state)
{
    (void)state;
    for (size_t c = 0; c < SF_COUNT(codings); c++) {
        SF_CLEANUP(sf_buf_done) struct sf_buf zeros = {0};
        struct fixture f = {0};

        memset(sf_buf_reserve(&zeros, ZEROS), 0, ZEROS);
        zeros.size = ZEROS;
        pack(codings[c], sf_buf_view(&zeros), &f.packed);
        assert_true(f.packed.size < 60000);
        run(&f, codings[c], sf_buf_view(&f.packed), zeros.size);
        assert_int_equal(f.code, SF_OK);
        assert_int_equal(f.out.size, zeros.size);
        run(&f, codings[c], sf_buf_view(&f.packed), zeros.size - 1);
        assert_int_equal(f.code, SF_BUSY);
        assert_int_equal(f.err.number, SHEAF_E_TOO_LARGE);
        sf_buf_done(&f.out);
        run(&f, codings[c], sf_buf_view(&f.packed), 1000);
        assert_int_equal(f.code, SF_BUSY);
        assert_string_equal(f.err.text, "body: more than 1000 bytes when inflated");
        assert_true(f.out.capacity <= STEP);
        sf_buf_clear(&f.packed);
        pack(codings[c], SF_LITERAL("small"), &f.packed);
        run(&f, codings[c], sf_buf_view(&f.packed), zeros.size);
        assert_int_equal(f.code, SF_OK);
        assert_true(f.out.capacity <= (size_t)2 * STEP); /* not what it might become */
        teardown(&f);
    }
}

static void a_body_that_is_cut_off_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t c = 0; c < SF_COUNT(codings); c++) {
        struct fixture f = {0};

        pack(codings[c], SF_LITERAL("{\"order_id\":\"1\"}\n{\"order_id\":\"2\"}\n"), &f.packed);
        for (size_t n = 0; n < f.packed.size; n++) {
            run(&f, codings[c], sf_slice_of(f.packed.data, n), LIMIT);
            assert_damaged(&f, codings[c] == SF_CODING_GZIP ? "gzip body is cut off"
                                                            : "zstd body is cut off");
        }
        teardown(&f);
    }
}

static void damage_and_what_follows_the_end_are_refused(void **state)
{
    struct fixture f = {0};
    (void)state;

    pack_gzip(SF_LITERAL("{\"order_id\":\"1\"}\n"), &f.packed);
    f.packed.data[f.packed.size - 6] ^= 1; /* of the checksum */
    run(&f, SF_CODING_GZIP, sf_buf_view(&f.packed), LIMIT);
    assert_damaged(&f, "gzip body is damaged");
    f.packed.data[f.packed.size - 6] ^= 1;
    sf_buf_text(&f.packed, "more");
    run(&f, SF_CODING_GZIP, sf_buf_view(&f.packed), LIMIT);
    assert_damaged(&f, "gzip body is damaged");
    run(&f, SF_CODING_GZIP, SF_LITERAL("{\"order_id\":\"1\"}\n"), LIMIT);
    assert_damaged(&f, "gzip body is damaged");
    sf_buf_clear(&f.packed);
    pack_zstd(SF_LITERAL("{\"order_id\":\"1\"}\n"), &f.packed);
    sf_buf_text(&f.packed, "more bytes");
    run(&f, SF_CODING_ZSTD, sf_buf_view(&f.packed), LIMIT);
    assert_damaged(&f, "zstd body is damaged");
    run(&f, SF_CODING_ZSTD, SF_LITERAL("{\"order_id\":\"1\"}\n"), LIMIT);
    assert_damaged(&f, "zstd body is damaged");
    teardown(&f);
}

static void a_zstd_window_beyond_8_mib_is_refused(void **state)
{
    /* A frame header that asks for 2 GiB, as a sender with --ultra --long=31 makes it. */
    static const uint8_t frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00};
    struct fixture f = {0};
    (void)state;

    run(&f, SF_CODING_ZSTD, sf_slice_of(frame, sizeof(frame)), LIMIT);
    assert_damaged(&f, "zstd body was made with a window of more than 8 MiB");
    teardown(&f);
}

static void codings_go_by_their_names(void **state)
{
    static const struct {
        const char *name;
        bool known;
        enum sf_coding coding;
    } names[] = {
        {NULL, true, SF_CODING_IDENTITY},
        {"", true, SF_CODING_IDENTITY},
        {"identity", true, SF_CODING_IDENTITY},
        {"gzip", true, SF_CODING_GZIP},
        {"GZip", true, SF_CODING_GZIP},
        {"x-gzip", true, SF_CODING_GZIP},
        {"zstd", true, SF_CODING_ZSTD},
        {"br", false, SF_CODING_IDENTITY},
        {"gzip, zstd", false, SF_CODING_IDENTITY},
    };
    (void)state;

    for (size_t i = 0; i < SF_COUNT(names); i++) {
        enum sf_coding coding = SF_CODING_IDENTITY;

        assert_int_equal(sf_coding_of(names[i].name, &coding), names[i].known);
        assert_int_equal(coding, names[i].coding);
    }
    assert_string_equal(sf_coding_text(SF_CODING_ZSTD), "zstd");
}

static void identity_copies_within_its_limit(void **state)
{
    struct fixture f = {0};
    (void)state;

    run(&f, SF_CODING_IDENTITY, SF_LITERAL("abc"), 3);
    assert_int_equal(f.code, SF_OK);
    assert_true(sf_slice_equal(sf_buf_view(&f.out), SF_LITERAL("abc")));
    run(&f, SF_CODING_IDENTITY, SF_LITERAL("abc"), 2);
    assert_int_equal(f.err.number, SHEAF_E_TOO_LARGE);
    teardown(&f);
}

static void out_of_memory_says_so(void **state)
{
    bool over = false;
    (void)state;

    for (long n = 0; !over; n++) {
        struct fixture f = {0};

        pack_gzip(SF_LITERAL("{\"order_id\":\"1\"}\n"), &f.packed);
        sf_alloc_fail_after(n, false);
        run(&f, SF_CODING_GZIP, sf_buf_view(&f.packed), LIMIT);
        over = sf_alloc_faults() == 0;
        sf_alloc_fail_after(-1, false);
        assert_int_equal(f.code, over ? SF_OK : SF_NOMEM);
        teardown(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_packed_comes_back),
        cmocka_unit_test(several_members_are_one_body),
        cmocka_unit_test(the_limit_is_exact_and_holds_before_memory_is_taken),
        cmocka_unit_test(a_body_that_is_cut_off_anywhere_is_refused),
        cmocka_unit_test(damage_and_what_follows_the_end_are_refused),
        cmocka_unit_test(a_zstd_window_beyond_8_mib_is_refused),
        cmocka_unit_test(codings_go_by_their_names),
        cmocka_unit_test(identity_copies_within_its_limit),
        cmocka_unit_test(out_of_memory_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
