#include "tests/lib/cmocka.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/identity/signed.h"
#include "proto/errors.h"
#include "proto/subjects.h"

struct world {
    struct sf_seed owner;
    struct sf_seed other;
    struct sf_arena arena;
};

static int make_world(void **state)
{
    static struct world w;

    w = (struct world){0};
    assert_int_equal(sf_seed_generate(&w.owner, NULL), SF_OK);
    assert_int_equal(sf_seed_generate(&w.other, NULL), SF_OK);
    sf_arena_init(&w.arena, 0);
    *state = &w;
    return 0;
}

static int free_world(void **state)
{
    struct world *w = *state;

    sf_seed_done(&w->owner);
    sf_seed_done(&w->other);
    sf_arena_done(&w->arena);
    return 0;
}

static void assert_denied(struct world *w, const char *context, struct sf_slice bytes,
                          const struct sf_seed *expected, const char *want)
{
    struct sf_slice payload = SF_LITERAL("untouched");
    struct sf_error err = {0};

    assert_int_equal(
        sf_signed_open(context, bytes, &expected->public_key, &w->arena, &payload, &err),
        SF_DENIED);
    assert_int_equal(err.number, SHEAF_E_BAD_SIGNATURE);
    assert_string_equal(err.text, want);
    assert_true(sf_slice_equal(payload, SF_LITERAL("untouched")));
}

static void test_a_payload_comes_back_from_its_signer_only(void **state)
{
    struct world *w = *state;
    struct sf_buf bytes = {0};
    struct sf_slice payload;

    assert_int_equal(sf_signed_make(SIGN_DECISION, SF_LITERAL("yes\0!"), &w->owner, &bytes, NULL),
                     SF_OK);
    assert_int_equal(sf_signed_open(SIGN_DECISION, sf_buf_view(&bytes), &w->owner.public_key,
                                    &w->arena, &payload, NULL),
                     SF_OK);
    assert_true(sf_slice_equal(payload, SF_LITERAL("yes\0!")));
    assert_denied(w, SIGN_DECISION, sf_buf_view(&bytes), &w->other,
                  "sheaf.v1.decision: signed by another key");
    assert_denied(w, SIGN_REVOCATION, sf_buf_view(&bytes), &w->owner,
                  "sheaf.v1.revocation: the signature does not hold");
    sf_buf_done(&bytes);
}

static void test_a_key_inside_does_not_make_itself_trusted(void **state)
{
    struct world *w = *state;
    struct sf_signed_room room;
    Sheaf__V1__Signed s;
    struct sf_error err = {0};

    assert_int_equal(sf_signed_fill(SIGN_BUNDLE, SF_LITERAL("x"), &w->other, &room, &s, NULL),
                     SF_OK);
    assert_int_equal(sf_signed_verify(SIGN_BUNDLE, &s, &w->other.public_key, NULL), SF_OK);
    room.key = w->owner.public_key; /* names the owner, but was not signed by it */
    assert_int_equal(sf_signed_verify(SIGN_BUNDLE, &s, &w->owner.public_key, &err), SF_DENIED);
    assert_string_equal(err.text, "sheaf.v1.bundle: the signature does not hold");
    assert_int_equal(sf_signed_verify(SIGN_BUNDLE, NULL, &w->owner.public_key, &err), SF_DENIED);
    assert_string_equal(err.text, "sheaf.v1.bundle: not signed");
    room.key = w->other.public_key;
    s.signature.len--;
    assert_int_equal(sf_signed_verify(SIGN_BUNDLE, &s, &w->other.public_key, &err), SF_DENIED);
    assert_string_equal(err.text, "sheaf.v1.bundle: signature of 63 bytes");
}

static void test_every_changed_byte_is_refused(void **state)
{
    struct world *w = *state;
    struct sf_buf bytes = {0};
    struct sf_slice payload;

    assert_int_equal(sf_signed_make(SIGN_EVENT, SF_LITERAL("event"), &w->owner, &bytes, NULL),
                     SF_OK);
    for (size_t at = 0; at < bytes.size; at++) {
        bytes.data[at] ^= 0x04;
        assert_int_not_equal(sf_signed_open(SIGN_EVENT, sf_buf_view(&bytes), &w->owner.public_key,
                                            &w->arena, &payload, NULL),
                             SF_OK);
        bytes.data[at] ^= 0x04;
    }
    for (size_t n = 0; n < bytes.size; n++) {
        assert_int_not_equal(sf_signed_open(SIGN_EVENT, sf_slice_of(bytes.data, n),
                                            &w->owner.public_key, &w->arena, &payload, NULL),
                             SF_OK);
    }
    sf_buf_done(&bytes);
}

static void test_who_passes_it_on_can_add_nothing_and_change_no_order(void **state)
{
    static const uint8_t unknown[] = {15 << 3, 1};
    struct world *w = *state;
    struct sf_buf good = {0};
    struct sf_buf bytes = {0};
    struct sf_slice payload;
    size_t sizes[] = {7, 66, 34}; /* payload, signature, key: with tags and lengths */

    assert_int_equal(sf_signed_make(SIGN_EVENT, SF_LITERAL("event"), &w->owner, &good, NULL),
                     SF_OK);
    assert_int_equal(good.size, 7 + 66 + 34);
    for (unsigned gap = 0; gap <= 3; gap++) {
        size_t at = 0;

        sf_buf_clear(&bytes);
        for (unsigned i = 0; i < 3; i++) {
            sf_buf_append(&bytes, unknown, i == gap ? sizeof(unknown) : 0);
            sf_buf_append(&bytes, good.data + at, sizes[i]);
            at += sizes[i];
        }
        sf_buf_append(&bytes, unknown, gap == 3 ? sizeof(unknown) : 0);
        assert_int_equal(sf_signed_open(SIGN_EVENT, sf_buf_view(&bytes), &w->owner.public_key,
                                        &w->arena, &payload, NULL),
                         SF_INVALID);
    }
    for (unsigned turn = 1; turn <= 2; turn++) { /* The same fields from another one on. */
        const size_t head = turn == 1 ? sizes[0] : sizes[0] + sizes[1];

        sf_buf_clear(&bytes);
        sf_buf_append(&bytes, good.data + head, good.size - head);
        sf_buf_append(&bytes, good.data, head);
        assert_int_equal(sf_signed_open(SIGN_EVENT, sf_buf_view(&bytes), &w->owner.public_key,
                                        &w->arena, &payload, NULL),
                         SF_INVALID);
    }
    sf_buf_clear(&bytes); /* The payload twice: the last of them would count. */
    sf_buf_append(&bytes, good.data, sizes[0]);
    sf_buf_slice(&bytes, sf_buf_view(&good));
    assert_int_equal(sf_signed_open(SIGN_EVENT, sf_buf_view(&bytes), &w->owner.public_key,
                                    &w->arena, &payload, NULL),
                     SF_INVALID);
    sf_buf_done(&good);
    sf_buf_done(&bytes);
}

static void test_an_empty_payload_can_be_signed(void **state)
{
    struct world *w = *state;
    struct sf_buf bytes = {0};
    struct sf_slice payload = SF_LITERAL("before");

    assert_int_equal(sf_signed_make(SIGN_EVENT, SF_LITERAL(""), &w->owner, &bytes, NULL), SF_OK);
    assert_int_equal(sf_signed_open(SIGN_EVENT, sf_buf_view(&bytes), &w->owner.public_key,
                                    &w->arena, &payload, NULL),
                     SF_OK);
    assert_int_equal(payload.size, 0);
    sf_buf_done(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_payload_comes_back_from_its_signer_only),
        cmocka_unit_test(test_a_key_inside_does_not_make_itself_trusted),
        cmocka_unit_test(test_every_changed_byte_is_refused),
        cmocka_unit_test(test_who_passes_it_on_can_add_nothing_and_change_no_order),
        cmocka_unit_test(test_an_empty_payload_can_be_signed),
    };

    return sf_crypto_init(NULL) != SF_OK ||
           cmocka_run_group_tests_name("signed", tests, make_world, free_world) != 0;
}
