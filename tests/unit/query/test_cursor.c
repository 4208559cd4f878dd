#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "common/sys/crypto.h"
#include "common/sys/encoding.h"
#include "leaf/query/cursor.h"
#include "leaf/query/query.h"
#include "proto/errors.h"

static const uint8_t seal_key[SF_SEAL_KEY_SIZE] = {1, 2, 3};
static const uint8_t other_key[SF_SEAL_KEY_SIZE] = {3, 2, 1};

static void make(const struct query_place *place, char text[QUERY_CURSOR_MAX])
{
    assert_int_equal(query_cursor_make(seal_key, place, text, QUERY_CURSOR_MAX, NULL), SF_OK);
}

static enum sf_code open_text(const uint8_t *key, const char *text, struct sf_buf *bytes,
                              struct query_place *ret, struct sf_error *err)
{
    *err = (struct sf_error){0};
    sf_buf_clear(bytes);
    return query_cursor_open(key, text, bytes, ret, err);
}

static void a_cursor_comes_back_as_it_was_made(void **state)
{
    uint8_t longest[SF_KEY_BYTES_MAX];
    char text[QUERY_CURSOR_MAX];
    struct sf_buf bytes = {0};
    struct query_place place;
    struct sf_error err;
    (void)state;

    memset(longest, 0xa5, sizeof(longest));
    const struct query_place places[] = {
        {.lane = 7, .epoch = 2, .key = SF_LITERAL("O-1\0\0")},
        {.lane = UINT32_MAX, .epoch = UINT32_MAX, .seq = UINT64_MAX},
        {.lane = 1, .epoch = 1, .key = {longest, sizeof(longest)}},
    };

    for (size_t i = 0; i < SF_COUNT(places); i++) {
        make(&places[i], text);
        assert_int_equal(open_text(seal_key, text, &bytes, &place, &err), SF_OK);
        assert_int_equal(place.lane, places[i].lane);
        assert_int_equal(place.epoch, places[i].epoch);
        assert_true(place.seq == places[i].seq);
        assert_true(sf_slice_equal(place.key, places[i].key));
    }
    sf_buf_done(&bytes);
}

static void a_cursor_shows_nothing_of_the_key(void **state)
{
    const struct query_place place = {.lane = 1, .epoch = 1, .key = SF_LITERAL("ann@corp.no")};
    char one[QUERY_CURSOR_MAX];
    char two[QUERY_CURSOR_MAX];
    (void)state;

    make(&place, one);
    make(&place, two);
    assert_string_not_equal(one, two); /* Sealed anew: equal places do not show. */
    for (const char *at = one; *at != '\0'; at++) {
        assert_true((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                    (*at >= '0' && *at <= '9') || *at == '-' || *at == '_');
    }
}

static void a_cursor_can_hide_how_long_the_key_is(void **state)
{
    uint8_t longest[SF_KEY_BYTES_MAX];
    char text[QUERY_CURSOR_MAX];
    struct sf_buf bytes = {0};
    struct query_place got;
    struct sf_error err;
    size_t size = 0;
    (void)state;

    memset(longest, 0xa5, sizeof(longest));
    for (size_t n = 0; n <= sizeof(longest); n += 128) {
        const struct query_place place = {
            .lane = 1, .epoch = 1, .key = {longest, n}, .hides_size = true};

        make(&place, text);
        assert_true(size == 0 || strlen(text) == size);
        size = strlen(text);
        assert_int_equal(open_text(seal_key, text, &bytes, &got, &err), SF_OK);
        assert_true(sf_slice_equal(got.key, place.key));
    }
    sf_buf_done(&bytes);
}

static void whatever_else_is_no_cursor(void **state)
{
    const struct query_place place = {.lane = 1, .epoch = 1, .key = SF_LITERAL("k")};
    char text[QUERY_CURSOR_MAX];
    struct sf_buf bytes = {0};
    struct query_place got;
    struct sf_error err;
    size_t size;
    (void)state;

    make(&place, text);
    size = strlen(text);
    assert_int_equal(open_text(other_key, text, &bytes, &got, &err), SF_INVALID);
    assert_int_equal(err.number, SHEAF_E_BAD_CURSOR);
    assert_string_equal(err.text, "not a cursor of this leaf");
    for (size_t i = 0; i < size; i++) {
        const char was = text[i];

        text[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(open_text(seal_key, text, &bytes, &got, &err), SF_INVALID);
        text[i] = '\0';
        assert_int_equal(open_text(seal_key, text, &bytes, &got, &err), SF_INVALID);
        text[i] = was;
    }
    assert_int_equal(open_text(seal_key, text, &bytes, &got, &err), SF_OK);
    assert_int_equal(open_text(seal_key, "?", &bytes, &got, &err), SF_INVALID);
    assert_int_equal(err.number, SHEAF_E_BAD_CURSOR);

    /* Sealed by this leaf, but no place. */
    struct sf_buf sealed = {0};

    sf_seal(seal_key, SF_LITERAL("fifteen bytes.."), &sealed);
    sf_encode(SF_BASE64URL, sf_buf_view(&sealed), text);
    assert_int_equal(open_text(seal_key, text, &bytes, &got, &err), SF_INVALID);
    sf_buf_done(&sealed);
    sf_buf_done(&bytes);
}

static void out_of_memory_is_told_from_a_bad_cursor(void **state)
{
    const struct query_place place = {.lane = 1, .epoch = 1, .key = SF_LITERAL("k")};
    char text[QUERY_CURSOR_MAX];
    struct query_place got;
    struct sf_error err;
    long n = 0;
    (void)state;

    for (;; n++) {
        struct sf_buf bytes = {0};
        enum sf_code code;

        sf_alloc_fail_after(n, false);
        code = query_cursor_make(seal_key, &place, text, sizeof(text), &err);
        if (code == SF_OK) {
            code = query_cursor_open(seal_key, text, &bytes, &got, &err);
        }
        sf_buf_done(&bytes);
        if (sf_alloc_faults() == 0) {
            assert_int_equal(code, SF_OK);
            break;
        }
        assert_int_equal(code, SF_NOMEM);
    }
    assert_true(n >= 4);
    sf_alloc_fail_after(-1, false);
}

static int setup(void **state)
{
    (void)state;
    return sf_crypto_init(NULL) == SF_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_comes_back_as_it_was_made),
        cmocka_unit_test(a_cursor_shows_nothing_of_the_key),
        cmocka_unit_test(a_cursor_can_hide_how_long_the_key_is),
        cmocka_unit_test(whatever_else_is_no_cursor),
        cmocka_unit_test(out_of_memory_is_told_from_a_bad_cursor),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
