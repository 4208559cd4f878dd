#include "tests/lib/cmocka.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/identity/signed.h"
#include "common/wire/control.h"
#include "proto/errors.h"
#include "proto/subjects.h"
#include "tests/unit/hub/hub_world.h"

struct reading {
    enum sf_code code;
    struct sf_error err;
    struct event_chain chain;
};

/* Opens @count events one behind the other. */
static struct reading read_all(const struct hub_world *w, const struct sf_slice *events,
                               size_t count)
{
    struct reading r = {.code = SF_OK};
    struct event_record record;
    struct sf_arena arena;

    sf_arena_init(&arena, 0);
    for (size_t i = 0; i < count && r.code == SF_OK; i++) {
        r.code = event_open(&r.chain, &w->hub_key.public_key, events[i], &arena, &record, &r.err);
    }
    sf_arena_done(&arena);
    return r;
}

/* A mesh of five events, and views of them. */
static void five(struct hub_world *w, struct sf_slice ret[5])
{
    world_init(w);
    world_join(w, "sales");
    world_join(w, "marketing");
    assert_int_equal(w->count, 5);
    for (size_t i = 0; i < 5; i++) {
        ret[i] = sf_buf_view(&w->events[i]);
    }
}

static void test_a_whole_chain_is_read_to_its_end(void **state)
{
    struct hub_world w;
    struct sf_slice events[5];
    struct reading r;

    (void)state;
    five(&w, events);
    r = read_all(&w, events, 5);
    assert_int_equal(r.code, SF_OK);
    assert_int_equal(r.chain.number, 5);
    assert_int_equal(r.chain.time_us, WORLD_START_US + 5000000);
    assert_memory_equal(r.chain.hash, w.chain.hash, sizeof(r.chain.hash));
    world_done(&w);
}

static void test_any_flipped_bit_is_found(void **state)
{
    struct hub_world w;
    struct sf_slice events[5];
    size_t size;

    (void)state;
    five(&w, events);
    size = w.events[2].size;
    for (size_t bit = 0; bit < size * 8; bit++) {
        struct reading r;

        w.events[2].data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        r = read_all(&w, events, 5);
        if (r.code != SF_CORRUPT || strncmp(r.err.text, "event 3: ", 9) != 0) {
            fail_msg("bit %zu: %s", bit, r.err.text);
        }
        assert_int_equal(r.err.number, SHEAF_E_STORE_CORRUPT);
        w.events[2].data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    world_done(&w);
}

static void test_left_out_swapped_and_repeated_events_are_found(void **state)
{
    struct hub_world w;
    struct sf_slice e[5];
    struct reading r;

    (void)state;
    five(&w, e);
    r = read_all(&w, (const struct sf_slice[]){e[0], e[1], e[3], e[4]}, 4);
    assert_int_equal(r.code, SF_CORRUPT);
    assert_string_equal(r.err.text, "event 3: it has another number");
    r = read_all(&w, (const struct sf_slice[]){e[0], e[2], e[1]}, 3);
    assert_string_equal(r.err.text, "event 2: it has another number");
    r = read_all(&w, (const struct sf_slice[]){e[0], e[1], e[1]}, 3);
    assert_string_equal(r.err.text, "event 3: it has another number");
    r = read_all(&w, (const struct sf_slice[]){e[1]}, 1);
    assert_string_equal(r.err.text, "event 1: it has another number");
    world_done(&w);
}

/* Seals an event with everything right but what @change breaks; gives the reader's verdict. */
static struct reading forge(struct hub_world *w, const struct sf_seed *signer, const char *context,
                            int64_t time_us, bool other_past)
{
    Sheaf__V1__Event e = SHEAF__V1__EVENT__INIT;
    Sheaf__V1__TokenIssued token = SHEAF__V1__TOKEN_ISSUED__INIT;
    uint8_t zero[32] = {0};
    uint8_t payload[256];
    struct sf_buf sealed = {0};
    struct sf_slice events[6];
    struct reading r;
    size_t size;

    e.number = 6;
    e.time_us = time_us;
    e.prev_hash = sf_control_data(sf_slice_of(other_past ? zero : w->chain.hash, 32));
    e.kind_case = SHEAF__V1__EVENT__KIND_TOKEN_ISSUED;
    e.token_issued = &token;
    size = sheaf__v1__event__pack(&e, payload);
    assert_int_equal(sf_signed_make(context, sf_slice_of(payload, size), signer, &sealed, NULL),
                     SF_OK);
    for (size_t i = 0; i < 5; i++) {
        events[i] = sf_buf_view(&w->events[i]);
    }
    events[5] = sf_buf_view(&sealed);
    r = read_all(w, events, 6);
    sf_buf_done(&sealed);
    return r;
}

static void test_a_forged_event_is_found(void **state)
{
    struct hub_world w;
    struct sf_slice e[5];
    struct reading r;
    int64_t now_us;

    (void)state;
    five(&w, e);
    now_us = w.now_us;
    r = forge(&w, &w.hub_key, SIGN_EVENT, now_us, false);
    assert_int_equal(r.code, SF_OK);
    r = forge(&w, &w.domain_keys[0], SIGN_EVENT, now_us, false);
    assert_string_equal(r.err.text, "event 6: its signature does not hold");
    r = forge(&w, &w.hub_key, SIGN_BUNDLE, now_us, false);
    assert_string_equal(r.err.text, "event 6: its signature does not hold");
    r = forge(&w, &w.hub_key, SIGN_EVENT, now_us - 1, false);
    assert_string_equal(r.err.text, "event 6: it is older than the event before it");
    r = forge(&w, &w.hub_key, SIGN_EVENT, now_us, true);
    assert_string_equal(r.err.text, "event 6: it does not follow the event before it");
    world_done(&w);
}

static void test_a_clock_that_went_back_does_not_break_the_chain(void **state)
{
    struct hub_world w;

    (void)state;
    world_init(&w);
    w.now_us -= 3600 * INT64_C(1000000);
    world_join(&w, "sales"); /* opens what it seals */
    assert_int_equal(w.chain.time_us, WORLD_START_US + 1000000);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_chain_is_read_to_its_end),
        cmocka_unit_test(test_any_flipped_bit_is_found),
        cmocka_unit_test(test_left_out_swapped_and_repeated_events_are_found),
        cmocka_unit_test(test_a_forged_event_is_found),
        cmocka_unit_test(test_a_clock_that_went_back_does_not_break_the_chain),
    };

    return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
