/* What is remembered of decisions that have ended: its bytes, its limits. */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "leaf/serving/ended.h"
#include "proto/errors.h"

enum { DECISIONS = 16, MAX = 8 };

struct fixture {
    struct ended e;
    struct sf_arena arena;
    struct store_put *puts;
    size_t put_count;
    struct grant_decision had[DECISIONS];
    struct grant_set last;
    struct grant_set next;
};

static void setup(struct fixture *f)
{
    *f = (struct fixture){.last = {.decisions = f->had}};
    ended_init(&f->e);
    sf_arena_init(&f->arena, 0);
}

static void teardown(struct fixture *f)
{
    ended_done(&f->e);
    sf_arena_done(&f->arena);
}

/* The bundle before has the decision @n, made at that time; in the order of n. */
static struct grant_decision *had(struct fixture *f, uint8_t n, int64_t until_us)
{
    struct grant_decision *d = &f->had[f->last.decision_count++];

    *d = (struct grant_decision){.hash = {n},
                                 .until_us = until_us,
                                 .decided_us = n,
                                 .audience = "aabcdefghijkl",
                                 .in_force = true};
    return d;
}

static void learn(struct fixture *f, int64_t now_us)
{
    assert_int_equal(ended_learn(&f->e, &f->last, &f->next, now_us, NULL), SF_OK);
}

static void take_puts(struct fixture *f)
{
    sf_arena_reset(&f->arena);
    assert_int_equal(ended_puts(&f->e, &f->arena, &f->puts, &f->put_count, NULL), SF_OK);
}

static bool has(const struct fixture *f, uint8_t n)
{
    const uint8_t hash[SF_HASH256_SIZE] = {n};

    return ended_has(&f->e, hash);
}

static void a_record_has_these_bytes_and_is_read_back(void **state)
{
    static const uint8_t value[] = {0,   0,   0,   0,   0,   0,   1,   0,   0,   0,
                                    0,   0,   0,   0,   0,   7,   'a', 'a', 'b', 'c',
                                    'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l'};
    uint8_t key[6 + SF_HASH256_SIZE] = {'e', 'n', 'd', 'e', 'd', '/', 7};
    struct fixture f;
    struct ended again;
    (void)state;

    setup(&f);
    (void)had(&f, 7, 256);
    learn(&f, 1);
    take_puts(&f);
    assert_int_equal(f.put_count, 1);
    assert_int_equal(f.puts[0].space, STORE_META);
    assert_false(f.puts[0].remove);
    assert_true(sf_slice_equal(f.puts[0].key, sf_slice_of(key, sizeof(key))));
    assert_true(sf_slice_equal(f.puts[0].value, sf_slice_of(value, sizeof(value))));
    ended_init(&again);
    assert_int_equal(ended_read(&again, f.puts[0].key, f.puts[0].value, NULL), SF_OK);
    ended_loaded(&again);
    assert_int_equal(again.count, 1);
    assert_int_equal(again.items[0].until_us, 256);
    assert_int_equal(again.items[0].decided_us, 7);
    assert_string_equal(again.items[0].audience, "aabcdefghijkl");
    sf_arena_reset(&f.arena);
    assert_int_equal(ended_puts(&again, &f.arena, &f.puts, &f.put_count, NULL), SF_OK);
    assert_int_equal(f.put_count, 0); /* What was read is stored. */
    ended_done(&again);
    teardown(&f);
}

static void what_is_no_record_is_refused(void **state)
{
    uint8_t key[6 + SF_HASH256_SIZE] = {'e', 'n', 'd', 'e', 'd', '/', 7};
    uint8_t value[16 + ENDED_AUDIENCE_BYTES];
    const struct {
        size_t key;
        size_t value;
    } bad[] = {{sizeof(key) - 1, 16},
               {sizeof(key), 15},
               {sizeof(key), sizeof(value)},
               {5, 7},
               {5, 9},
               {4, 16}};
    struct fixture f;
    struct sf_error err;
    (void)state;

    setup(&f);
    memset(value, 'a', sizeof(value));
    for (size_t i = 0; i < SF_COUNT(bad); i++) {
        err = (struct sf_error){0};
        assert_int_equal(
            ended_read(&f.e, sf_slice_of(key, bad[i].key), sf_slice_of(value, bad[i].value), &err),
            SF_CORRUPT);
        assert_int_equal(err.number, SHEAF_E_STORE_CORRUPT);
    }
    value[16] = 0; /* within the name of the audience */
    assert_int_equal(ended_read(&f.e, sf_slice_of(key, sizeof(key)), sf_slice_of(value, 17), &err),
                     SF_CORRUPT);
    assert_int_equal(f.e.count, 0);
    teardown(&f);
}

static void it_is_forgotten_when_its_own_end_is_past_and_not_before(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    (void)had(&f, 1, 100);
    (void)had(&f, 2, 200);
    learn(&f, 99);
    take_puts(&f);
    assert_int_equal(f.put_count, 2);
    ended_stored(&f.e);
    take_puts(&f);
    assert_int_equal(f.put_count, 0);
    f.last.decision_count = 0;
    learn(&f, 100);
    assert_int_equal(ended_count(&f.e), 1);
    take_puts(&f);
    assert_int_equal(f.put_count, 1);
    assert_true(f.puts[0].remove);
    assert_int_equal(f.puts[0].key.data[6], 1);
    take_puts(&f);
    assert_int_equal(f.put_count, 1); /* Until the store has done it. */
    ended_stored(&f.e);
    take_puts(&f);
    assert_int_equal(f.put_count, 0);
    assert_false(has(&f, 1));
    assert_true(has(&f, 2));
    teardown(&f);
}

static void what_was_not_in_force_or_is_there_again_has_not_ended(void **state)
{
    struct grant_decision again;
    struct fixture f;
    (void)state;

    setup(&f);
    again = *had(&f, 1, 100);
    again.in_force = false; /* its grant is not understood, say */
    had(&f, 2, 100)->in_force = false;
    f.next = (struct grant_set){.decisions = &again, .decision_count = 1};
    learn(&f, 1);
    assert_int_equal(ended_count(&f.e), 0);
    teardown(&f);
}

static void when_it_is_full_the_oldest_become_a_floor(void **state)
{
    struct fixture f;
    struct grant_decision older = {.decided_us = 3};
    struct grant_decision newer = {.decided_us = 4};
    struct grant_set none = {0};
    (void)state;

    setup(&f);
    f.e.max = MAX;
    for (uint8_t n = 1; n <= MAX; n++) {
        (void)had(&f, n, 1000);
    }
    learn(&f, 1);
    assert_int_equal(ended_count(&f.e), MAX);
    assert_int_equal(f.e.floor_us, INT64_MIN);
    (void)had(&f, MAX + 1, 1000);
    learn(&f, 1);
    assert_int_equal(ended_count(&f.e), MAX - MAX / 4);
    assert_int_equal(f.e.floor_us, 3);
    assert_true(ended_is_below(&f.e, &older, &none));
    assert_true(ended_is_below(&f.e, &older, NULL));
    assert_false(ended_is_below(&f.e, &newer, &none));
    take_puts(&f);
    assert_int_equal(f.put_count, 1 + 6); /* Those given up were never stored. */
    assert_true(sf_slice_equal(f.puts[0].key, sf_slice_text(ENDED_FLOOR)));
    assert_int_equal(f.puts[0].value.size, 8);
    assert_int_equal(sf_read_be64(f.puts[0].value.data), 3);
    ended_stored(&f.e);
    take_puts(&f);
    assert_int_equal(f.put_count, 0);
    teardown(&f);
}

static void below_the_floor_goes_on_what_is_in_force(void **state)
{
    struct fixture f;
    struct grant_decision d;
    (void)state;

    setup(&f);
    f.e.floor_us = 10;
    d = *had(&f, 5, 1000);
    assert_false(ended_is_below(&f.e, &d, &f.last));
    f.had[0].in_force = false;
    assert_true(ended_is_below(&f.e, &d, &f.last));
    teardown(&f);
}

static void what_a_bundle_brings_back_is_not_given_up_for_the_floor(void **state)
{
    struct grant_decision back[2];
    struct fixture f;
    (void)state;

    setup(&f);
    f.e.max = MAX;
    for (uint8_t n = 1; n <= MAX; n++) {
        (void)had(&f, n, 1000);
    }
    learn(&f, 1);
    (void)had(&f, MAX + 1, 1000);
    for (size_t i = 0; i < SF_COUNT(back); i++) {
        back[i] = f.had[i];
        back[i].held = true;
        back[i].in_force = false;
    }
    f.next = (struct grant_set){.decisions = back, .decision_count = SF_COUNT(back)};
    learn(&f, 1);
    assert_true(has(&f, 1) && has(&f, 2));
    assert_false(has(&f, 3) || has(&f, 4) || has(&f, 5));
    assert_int_equal(f.e.floor_us, 5);
    /* Below the floor, held back, and by hash no more than a bundle ago: it is known by hash now.
     */
    back[1].hash[0] = 77;
    f.last.decision_count = 0;
    learn(&f, 1);
    assert_true(has(&f, 77));
    teardown(&f);
}

static void without_memory_nothing_is_changed(void **state)
{
    struct fixture f;
    size_t failed = 0;
    (void)state;

    setup(&f);
    for (uint8_t n = 1; n <= DECISIONS; n++) {
        (void)had(&f, n, 1000);
    }
    for (;; failed++) {
        enum sf_code code;
        bool faulted;

        sf_alloc_fail_after((long)failed, false);
        code = ended_learn(&f.e, &f.last, &f.next, 1, NULL);
        code = code == SF_OK ? ended_puts(&f.e, &f.arena, &f.puts, &f.put_count, NULL) : code;
        faulted = sf_alloc_faults() > 0;
        sf_alloc_fail_after(-1, false);
        if (!faulted) {
            assert_int_equal(code, SF_OK);
            break;
        }
        assert_int_equal(code, SF_NOMEM);
        assert_true(f.e.count == 0 || f.e.count == DECISIONS);
    }
    assert_true(failed >= 2);
    assert_int_equal(f.put_count, DECISIONS);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_has_these_bytes_and_is_read_back),
        cmocka_unit_test(what_is_no_record_is_refused),
        cmocka_unit_test(it_is_forgotten_when_its_own_end_is_past_and_not_before),
        cmocka_unit_test(what_was_not_in_force_or_is_there_again_has_not_ended),
        cmocka_unit_test(when_it_is_full_the_oldest_become_a_floor),
        cmocka_unit_test(below_the_floor_goes_on_what_is_in_force),
        cmocka_unit_test(what_a_bundle_brings_back_is_not_given_up_for_the_floor),
        cmocka_unit_test(without_memory_nothing_is_changed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
