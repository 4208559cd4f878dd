#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/map.h"

static void test_finds_what_was_put_and_not_what_was_removed(void **state)
{
    struct sf_map m = {0};
    int values[1000];
    char key[16];
    size_t at = 0;
    size_t seen = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        assert_int_equal(sf_map_put(&m, sf_slice_text(key), &values[i]), SF_OK);
    }
    for (int i = 0; i < 1000; i += 2) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        assert_ptr_equal(sf_map_remove(&m, sf_slice_text(key)), &values[i]);
        assert_null(sf_map_get(&m, key));
    }
    assert_int_equal(sf_map_put(&m, sf_slice_text("k1"), &values[0]), SF_OK);
    assert_ptr_equal(sf_map_get(&m, "k1"), &values[0]);
    for (struct sf_map_entry *e; (e = sf_map_next(&m, &at)) != NULL;) {
        (void)snprintf(key, sizeof(key), "k%zu", seen * 2 + 1);
        assert_string_equal(e->key, key);
        seen++;
    }
    assert_int_equal(seen, 500);
    assert_int_equal(m.live, 500);
    sf_map_done(&m);
}

static void test_churn_does_not_grow_without_end(void **state)
{
    struct sf_map m = {0};
    char key[16];

    (void)state;
    for (int i = 0; i < 100000; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        assert_int_equal(sf_map_put(&m, sf_slice_text(key), &m), SF_OK);
        assert_ptr_equal(sf_map_remove(&m, sf_slice_text(key)), &m);
    }
    assert_true(m.entry_capacity <= 64);
    sf_map_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_what_was_put_and_not_what_was_removed),
        cmocka_unit_test(test_churn_does_not_grow_without_end),
    };

    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
