/* Where keys stand is remembered; what is forgotten is looked up. */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/sys/crypto.h"
#include "leaf/store/positions.h"
#include "tests/lib/store_world.h"

enum { LINE_BYTES = 64, WAYS = 4, KEYS = 1000 };

static void put(struct positions *p, uint32_t lane, const char *key, uint64_t seq, bool live)
{
    const struct position_place place = positions_place(p, lane, sf_slice_text(key));

    positions_fetch(p, &place);
    positions_put(p, &place, (struct position){seq, live});
}

/* "seq", "-seq" of a tombstone, or "?". */
static const char *find(const struct positions *p, uint32_t lane, const char *key)
{
    static char text[32];
    const struct position_place place = positions_place(p, lane, sf_slice_text(key));
    struct position found;

    if (!positions_find(p, &place, &found)) {
        return "?";
    }
    (void)snprintf(text, sizeof(text), "%s%llu", found.live ? "" : "-",
                   (unsigned long long)found.seq);
    return text;
}

static void test_the_newest_position_of_a_key_in_its_lane_is_found(void **state)
{
    struct positions *p = NULL;

    (void)state;
    assert_int_equal(positions_new((size_t)LINE_BYTES * 100, &p, NULL), SF_OK);
    assert_string_equal(find(p, 1, "a"), "?");
    put(p, 1, "a", 7, true);
    put(p, 2, "a", 8, true);
    put(p, 1, "b", UINT64_C(1) << 62, false);
    assert_string_equal(find(p, 1, "a"), "7");
    assert_string_equal(find(p, 2, "a"), "8");
    assert_string_equal(find(p, 3, "a"), "?");
    assert_string_equal(find(p, 1, "b"), "-4611686018427387904");
    put(p, 1, "a", 9, false);
    assert_string_equal(find(p, 1, "a"), "-9");
    assert_int_equal(positions_used(p), 3 * 16);
    positions_clear(p);
    assert_string_equal(find(p, 2, "a"), "?");
    assert_int_equal(positions_used(p), 0);
    positions_free(p);
}

static void test_of_a_full_place_the_oldest_goes(void **state)
{
    struct positions *p = NULL;

    (void)state;
    assert_int_equal(positions_new(LINE_BYTES, &p, NULL), SF_OK); /* One place. */
    put(p, 1, "a", 1, true);
    put(p, 1, "b", 2, true);
    put(p, 1, "c", 3, true);
    put(p, 1, "d", 4, true);
    put(p, 1, "a", 5, true);
    put(p, 1, "e", 6, true);
    assert_string_equal(find(p, 1, "b"), "?");
    assert_string_equal(find(p, 1, "a"), "5");
    assert_string_equal(find(p, 1, "c"), "3");
    assert_string_equal(find(p, 1, "d"), "4");
    assert_string_equal(find(p, 1, "e"), "6");
    assert_int_equal(positions_used(p), LINE_BYTES);
    positions_free(p);
}

static void test_many_keys_are_found_or_forgotten_never_mistaken(void **state)
{
    struct positions *p = NULL;
    char key[16];
    char seq[16];
    size_t found = 0;

    (void)state;
    assert_int_equal(positions_new((size_t)LINE_BYTES * (KEYS / WAYS / 2), &p, NULL), SF_OK);
    for (unsigned i = 1; i <= KEYS; i++) {
        (void)snprintf(key, sizeof(key), "key-%u", i);
        put(p, 1, key, i, true);
    }
    for (unsigned i = 1; i <= KEYS; i++) {
        (void)snprintf(key, sizeof(key), "key-%u", i);
        (void)snprintf(seq, sizeof(seq), "%u", i);
        if (find(p, 1, key)[0] != '?') {
            assert_string_equal(find(p, 1, key), seq);
            found++;
        }
    }
    assert_in_range(found, KEYS / 5, KEYS / 2);
    assert_int_equal(positions_used(p), found * 16);
    positions_free(p);
}

static void test_none_are_remembered_without_memory_for_them(void **state)
{
    struct positions *p = NULL;

    (void)state;
    assert_int_equal(positions_new(1, &p, NULL), SF_OK);
    assert_null(p);
    put(p, 1, "a", 7, true);
    assert_string_equal(find(p, 1, "a"), "?");
    positions_clear(p);
    assert_int_equal(positions_used(p), 0);
    positions_free(p);
}

static void test_what_was_written_a_moment_ago_is_not_looked_up(void **state)
{
    struct store_world w;
    struct store_lane *lane;
    char log[256];

    (void)state;
    store_world_init(&w, 1);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    assert_int_equal(store_world_put(&w, lane, "a", "1"), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "b", "2"), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "a", "3"), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "a", NULL), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "a", NULL), SF_OK); /* absent: no change */
    assert_int_equal(store_world_put(&w, lane, "a", "5"), SF_OK);
    assert_string_equal(store_world_log(&w, lane, 0, log, sizeof(log)),
                        "1+a=1<0 2+b=2<0 3+a=3<1 4-a<3 5+a=5<4");
    assert_int_equal(w.disk.keys_read, 0);
    assert_int_equal(store_stats(w.store).remembered, 4);
    assert_int_equal(store_lane_head(lane)->rows, 2);
    store_world_close(&w);
    store_world_open(&w);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    assert_int_equal(store_world_put(&w, lane, "a", "6"), SF_OK);
    assert_int_equal(store_world_put(&w, lane, "a", "7"), SF_OK);
    assert_string_equal(store_world_log(&w, lane, 5, log, sizeof(log)), "6+a=6<5 7+a=7<6");
    assert_int_equal(store_stats(w.store).reads, 1);
    store_world_done(&w);
}

static void test_a_commit_that_failed_is_not_remembered(void **state)
{
    struct store_world w;
    struct store_lane *lane;
    char log[256];

    (void)state;
    store_world_init(&w, 1);
    lane = store_world_lane(&w, "orders", STORE_STATE);
    assert_int_equal(store_world_put(&w, lane, "a", "1"), SF_OK);
    w.disk.fail_write_in = 1;
    w.disk.fail_code = SF_BUSY; /* Nothing happened. */
    assert_int_equal(store_world_put(&w, lane, "a", "no"), SF_BUSY);
    assert_int_equal(store_world_put(&w, lane, "a", "2"), SF_OK);
    assert_string_equal(store_world_log(&w, lane, 0, log, sizeof(log)), "1+a=1<0 2+a=2<1");
    store_world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_newest_position_of_a_key_in_its_lane_is_found),
        cmocka_unit_test(test_of_a_full_place_the_oldest_goes),
        cmocka_unit_test(test_many_keys_are_found_or_forgotten_never_mistaken),
        cmocka_unit_test(test_none_are_remembered_without_memory_for_them),
        cmocka_unit_test(test_what_was_written_a_moment_ago_is_not_looked_up),
        cmocka_unit_test(test_a_commit_that_failed_is_not_remembered),
    };
    struct sf_error err = {0};

    if (sf_crypto_init(&err) != SF_OK) {
        return 1;
    }
    return cmocka_run_group_tests_name("positions", tests, NULL, NULL);
}
