#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "leaf/query/get_cache.h"
#include "tests/lib/store_world.h"

static const struct served_view mine = {.serial = 1};
static const struct served_view theirs = {.serial = 2};

struct fixture {
    struct store_world w;
    struct store_lane *lane;
    struct get_cache *cache;
};

static void setup(struct fixture *f, size_t bytes_max)
{
    store_world_init(&f->w, 1);
    f->lane = store_world_lane(&f->w, "orders", STORE_STATE);
    assert_int_equal(get_cache_new(f->w.store, bytes_max, &f->cache, NULL), SF_OK);
}

static void teardown(struct fixture *f)
{
    get_cache_free(f->cache);
    store_world_close(&f->w);
    store_world_done(&f->w);
}

/* As a request that reads the row under @key, whose stored key it is too. */
static void offer(struct fixture *f, const struct served_view *view, const char *key,
                  const char *line)
{
    const struct store_stamp stamp = store_stamp_take(f->w.store, f->lane, sf_slice_text(key));

    get_cache_offer(f->cache, &(struct get_name){view, key}, &stamp, sf_slice_text(line));
}

static void keep(struct fixture *f, const struct served_view *view, const char *key,
                 const char *line)
{
    offer(f, view, key, line);
    offer(f, view, key, line);
}

static bool is_kept(struct fixture *f, const struct served_view *view, const char *key,
                    const char *line)
{
    const struct get_entry *e = get_cache_find(f->cache, &(struct get_name){view, key});

    return e != NULL && sf_slice_equal(get_entry_line(e), sf_slice_text(line));
}

static void put(struct fixture *f, const char *key, const char *row)
{
    assert_int_equal(store_world_put(&f->w, f->lane, key, row), SF_OK);
}

static void test_a_row_is_kept_when_it_is_asked_for_again(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f, 100000);
    put(&f, "a", "1");
    assert_false(is_kept(&f, &mine, "a", "one"));
    offer(&f, &mine, "a", "one");
    assert_false(is_kept(&f, &mine, "a", "one"));
    assert_int_equal(get_cache_stats(f.cache).entries, 0);
    offer(&f, &mine, "a", "one");
    assert_true(is_kept(&f, &mine, "a", "one"));
    assert_int_equal(get_cache_stats(f.cache).hits, 1);
    assert_int_equal(get_cache_stats(f.cache).misses, 2);
    teardown(&f);
}

static void test_a_row_that_changes_is_no_longer_found(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f, 100000);
    put(&f, "a", "1");
    keep(&f, &mine, "a", "one");
    put(&f, "a", "2");
    assert_false(is_kept(&f, &mine, "a", "one"));
    offer(&f, &mine, "a", "two"); /* at once: it was worth keeping */
    assert_true(is_kept(&f, &mine, "a", "two"));
    assert_int_equal(get_cache_stats(f.cache).entries, 1);
    put(&f, "a", NULL);
    assert_false(is_kept(&f, &mine, "a", "two"));
    teardown(&f);
}

static void test_what_one_view_shows_is_not_found_under_another(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f, 100000);
    put(&f, "a", "1");
    keep(&f, &mine, "a", "all of it");
    assert_null(get_cache_find(f.cache, &(struct get_name){&theirs, "a"}));
    keep(&f, &theirs, "a", "little");
    assert_true(is_kept(&f, &theirs, "a", "little"));
    assert_true(is_kept(&f, &mine, "a", "all of it"));
    assert_null(get_cache_find(f.cache, &(struct get_name){&mine, "b"}));
    assert_null(get_cache_find(f.cache, &(struct get_name){&mine, ""}));
    teardown(&f);
}

static void test_the_limit_holds_and_what_was_not_asked_for_goes(void **state)
{
    char key[16];
    struct fixture f;
    struct get_cache_stats s;

    (void)state;
    setup(&f, 20000);
    keep(&f, &mine, "first", "row");
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(key, sizeof(key), "k%u", i);
        keep(&f, &mine, key, "row");
        s = get_cache_stats(f.cache);
        assert_true(s.bytes <= 20000 && s.bytes_max == 20000);
        assert_true(is_kept(&f, &mine, "first", "row")); /* It was, each time. */
    }
    assert_true(s.entries > 50 && s.entries < 300);
    assert_int_equal(s.evicted + s.entries, 1001);
    assert_true(is_kept(&f, &mine, "k999", "row"));
    assert_false(is_kept(&f, &mine, "k1", "row"));
    get_cache_set_max(f.cache, 5000);
    s = get_cache_stats(f.cache);
    assert_true(s.bytes <= 5000 && s.entries > 10);
    assert_true(is_kept(&f, &mine, "k999", "row"));
    teardown(&f);
}

static void test_without_room_nothing_is_kept(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f, 100000);
    keep(&f, &mine, "a", "one");
    get_cache_set_max(f.cache, 0);
    assert_false(is_kept(&f, &mine, "a", "one"));
    assert_int_equal(get_cache_stats(f.cache).bytes, 0);
    keep(&f, &mine, "a", "one");
    assert_false(is_kept(&f, &mine, "a", "one"));
    get_cache_set_max(f.cache, 100000);
    keep(&f, &mine, "a", "one");
    assert_true(is_kept(&f, &mine, "a", "one"));
    teardown(&f);
}

/* One row must not push out most others. */
static void test_a_row_that_takes_an_eighth_of_the_room_is_not_kept(void **state)
{
    char line[1002];
    struct fixture f;

    (void)state;
    memset(line, 'x', sizeof(line));
    line[1001] = '\0';
    setup(&f, 8000);
    keep(&f, &mine, "a", line);
    assert_false(is_kept(&f, &mine, "a", line));
    line[1000] = '\0';
    keep(&f, &mine, "a", line);
    assert_true(is_kept(&f, &mine, "a", line));
    teardown(&f);
}

static void test_heads_are_for_rows_that_are_not_large(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f, 16 * 1024 * 1024);
    assert_false(get_cache_takes_head(f.cache, 1)); /* nothing was kept yet */
    keep(&f, &mine, "a", "one");
    assert_true(get_cache_takes_head(f.cache, 7 * 1024));
    assert_false(get_cache_takes_head(f.cache, 8 * 1024));
    get_cache_set_max(f.cache, 16 * 1024); /* one head */
    assert_true(get_cache_takes_head(f.cache, 1024));
    assert_false(get_cache_takes_head(f.cache, 1025));
    get_cache_set_max(f.cache, 16 * 1024 - 1);
    assert_false(get_cache_takes_head(f.cache, 1));
    teardown(&f);
}

static void test_want_of_memory_only_means_that_it_is_read_again(void **state)
{
    struct fixture f;
    long faults = 1;

    (void)state;
    for (long after = 0; faults > 0; after++) {
        setup(&f, 100000);
        put(&f, "a", "1");
        sf_alloc_fail_after(after, 0);
        keep(&f, &mine, "a", "one");
        faults = sf_alloc_faults();
        sf_alloc_fail_after(-1, 0);
        assert_int_equal(is_kept(&f, &mine, "a", "one"), faults == 0);
        keep(&f, &mine, "a", "one");
        assert_true(is_kept(&f, &mine, "a", "one"));
        teardown(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_row_is_kept_when_it_is_asked_for_again),
        cmocka_unit_test(test_a_row_that_changes_is_no_longer_found),
        cmocka_unit_test(test_what_one_view_shows_is_not_found_under_another),
        cmocka_unit_test(test_the_limit_holds_and_what_was_not_asked_for_goes),
        cmocka_unit_test(test_without_room_nothing_is_kept),
        cmocka_unit_test(test_a_row_that_takes_an_eighth_of_the_room_is_not_kept),
        cmocka_unit_test(test_heads_are_for_rows_that_are_not_large),
        cmocka_unit_test(test_want_of_memory_only_means_that_it_is_read_again),
    };

    return cmocka_run_group_tests_name("get_cache", tests, NULL, NULL);
}
