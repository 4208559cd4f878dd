/* Rows in an order that tells nothing of their keys: against sorting all hashes at once. */
#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/str.h"
#include "common/sys/hash_prepared.h"
#include "leaf/query/hidden_order.h"
#include "tests/lib/store_world.h"

enum { ROWS = 400, TEXT = 16 };

struct fixture {
    struct store_world w;
    struct store_lane *lane;
    struct store_snapshot *snapshot;
    struct hidden_order_options options;
    unsigned steps; /* that gave no row */
};

/* Rows k0000 and on, and the versions that they had. */
static void setup(struct fixture *f, unsigned rows)
{
    struct world_write write;

    *f = (struct fixture){0};
    store_world_init(&f->w, 3);
    f->lane = store_world_lane(&f->w, "orders", STORE_STATE);
    for (unsigned i = 0; i < rows;) {
        world_write_init(&write, f->lane);
        for (unsigned n = 0; n < WORLD_CHANGES_MAX && i < rows; n++, i++) {
            char key[TEXT];
            char row[TEXT];

            (void)snprintf(key, sizeof(key), "k%04u", i);
            (void)snprintf(row, sizeof(row), "r%u", i);
            (void)world_write_add(&write, key, row);
        }
        assert_int_equal(world_write_run(&write, &f->w), SF_OK);
    }
    assert_int_equal(store_snapshot_new(f->w.store, &f->snapshot, NULL), SF_OK);
    f->options = (struct hidden_order_options){
        .snapshot = f->snapshot, .lane = f->lane, .key = {1, 2, 3}, .bytes = HIDDEN_ORDER_BYTES};
}

static void teardown(struct fixture *f)
{
    store_snapshot_free(f->snapshot);
    store_world_done(&f->w);
}

/* What stands behind the letter. */
static unsigned number_of(const char *text)
{
    uint64_t n = 0;

    assert_int_equal(sf_parse_u64(sf_slice_text(text + 1), &n), SF_PARSE_OK);
    return (unsigned)n;
}

/* The keys of the rows from f->options.after on, at most @max, and the place of the last of them.
 */
static size_t read_keys(struct fixture *f, char ret[][TEXT], size_t max,
                        uint8_t place[HIDDEN_ORDER_PLACE])
{
    struct hidden_order *o = NULL;
    struct store_row row;
    char text[TEXT];
    size_t count = 0;
    bool more = true;

    f->steps = 0;
    assert_int_equal(hidden_order_new(&f->options, &o, NULL), SF_OK);
    while (count < max) {
        assert_int_equal(hidden_order_next(o, &row, &more, NULL), SF_OK);
        if (!more) {
            break;
        }
        if (row.seq == 0) {
            f->steps++;
            continue;
        }
        assert_false(hidden_order_is_gathering(o));
        (void)snprintf(ret[count], TEXT, "%.*s", (int)row.key.size, (const char *)row.key.data);
        (void)snprintf(text, sizeof(text), "%.*s", (int)row.row.size, (const char *)row.row.data);
        assert_int_equal(text[0], 'r');
        assert_int_equal(number_of(ret[count]), number_of(text));
        count++;
    }
    if (count > 0) {
        memcpy(place, hidden_order_place(o).data, HIDDEN_ORDER_PLACE);
    }
    hidden_order_free(o);
    return count;
}

struct ranked {
    uint8_t hash[HIDDEN_ORDER_PLACE];
    char key[TEXT];
};

static int by_hash(const void *a, const void *b)
{
    return memcmp(((const struct ranked *)a)->hash, ((const struct ranked *)b)->hash,
                  HIDDEN_ORDER_PLACE);
}

static void rank(const struct fixture *f, struct ranked ret[ROWS])
{
    struct sf_hash_prepared hash;

    sf_hash_prepare(&hash, HIDDEN_ORDER_PLACE, f->options.key);
    for (unsigned i = 0; i < ROWS; i++) {
        struct sf_slice key;

        (void)snprintf(ret[i].key, TEXT, "k%04u", i);
        key = sf_slice_text(ret[i].key);
        sf_hash_prepared_parts(&hash, &key, 1, ret[i].hash);
    }
    qsort(ret, ROWS, sizeof(ret[0]), by_hash);
}

static void every_row_comes_once_in_the_order_of_the_hashes(void **state)
{
    static const size_t bytes[] = {HIDDEN_ORDER_BYTES, HIDDEN_ORDER_BYTES_MIN};
    char keys[ROWS + 1][TEXT];
    uint8_t place[HIDDEN_ORDER_PLACE];
    struct ranked wanted[ROWS];
    struct fixture f;
    (void)state;

    setup(&f, ROWS);
    rank(&f, wanted);
    for (unsigned i = 0; i < 4; i++) {
        f.options.bytes = bytes[i % 2];
        f.options.reverse = i >= 2;
        assert_int_equal(read_keys(&f, keys, ROWS + 1, place), ROWS);
        for (unsigned n = 0; n < ROWS; n++) {
            assert_string_equal(keys[n], wanted[f.options.reverse ? ROWS - 1 - n : n].key);
        }
        /* What does not fit is found by walks of their own. */
        assert_in_range(f.steps, i % 2 == 0 ? 1 : 4, i % 2 == 0 ? 1 : 16);
    }
    teardown(&f);
}

static void a_place_goes_on_wherever_it_is(void **state)
{
    char keys[ROWS + 1][TEXT];
    char part[ROWS + 1][TEXT];
    uint8_t place[HIDDEN_ORDER_PLACE];
    struct fixture f;
    (void)state;

    setup(&f, ROWS);
    f.options.bytes = HIDDEN_ORDER_BYTES_MIN;
    for (unsigned reverse = 0; reverse < 2; reverse++) {
        f.options.reverse = reverse != 0;
        f.options.after = (struct sf_slice){0};
        assert_int_equal(read_keys(&f, keys, ROWS + 1, place), ROWS);
        for (size_t at = 0, n = 0; at < ROWS; at += n) {
            n = read_keys(&f, part, 37, place);
            assert_true(n > 0);
            for (size_t i = 0; i < n; i++) {
                assert_string_equal(part[i], keys[at + i]);
            }
            f.options.after = sf_slice_of(place, sizeof(place));
        }
        assert_int_equal(read_keys(&f, part, 1, place), 0);
    }
    teardown(&f);
}

static void each_key_of_hashes_gives_an_order_of_its_own(void **state)
{
    char one[ROWS][TEXT];
    char other[ROWS][TEXT];
    uint8_t place[HIDDEN_ORDER_PLACE];
    struct fixture f;
    unsigned rising = 0;
    unsigned same = 0;
    (void)state;

    setup(&f, ROWS);
    assert_int_equal(read_keys(&f, one, ROWS, place), ROWS);
    f.options.key[0]++;
    assert_int_equal(read_keys(&f, other, ROWS, place), ROWS);
    for (unsigned i = 0; i < ROWS; i++) {
        rising += i > 0 && strcmp(one[i - 1], one[i]) < 0;
        same += strcmp(one[i], other[i]) == 0;
    }
    assert_in_range(rising, ROWS * 2 / 5, ROWS * 3 / 5);
    assert_in_range(same, 0, ROWS / 20);
    teardown(&f);
}

static void bounds_and_the_past_hold(void **state)
{
    char keys[ROWS][TEXT];
    uint8_t place[HIDDEN_ORDER_PLACE];
    struct fixture f;
    (void)state;

    setup(&f, ROWS);
    f.options.range = (struct store_range){.from = SF_LITERAL("k0100"), .to = SF_LITERAL("k0150")};
    assert_int_equal(read_keys(&f, keys, ROWS, place), 50);
    for (unsigned i = 0; i < 50; i++) {
        assert_true(strcmp(keys[i], "k0100") >= 0 && strcmp(keys[i], "k0150") < 0);
    }
    f.options.range = (struct store_range){0};
    f.options.is_past = true;
    f.options.seq = 70;
    assert_int_equal(read_keys(&f, keys, ROWS, place), 70);
    for (unsigned i = 0; i < 70; i++) {
        assert_true(strcmp(keys[i], "k0070") < 0);
    }
    f.options.seq = 0;
    assert_int_equal(read_keys(&f, keys, ROWS, place), 0);
    teardown(&f);
}

static void out_of_memory_is_told(void **state)
{
    struct fixture f;
    long n = 0;
    (void)state;

    setup(&f, 150);
    f.options.bytes = HIDDEN_ORDER_BYTES_MIN;
    for (;; n++) {
        struct hidden_order *o = NULL;
        struct store_row row;
        unsigned rows = 0;
        bool more = true;
        enum sf_code code;

        sf_alloc_fail_after(n, false);
        code = hidden_order_new(&f.options, &o, NULL);
        while (code == SF_OK && more) {
            code = hidden_order_next(o, &row, &more, NULL);
            rows += code == SF_OK && row.seq != 0;
        }
        hidden_order_free(o);
        if (sf_alloc_faults() == 0) {
            assert_int_equal(code, SF_OK);
            assert_int_equal(rows, 150);
            break;
        }
        assert_int_equal(code, SF_NOMEM);
    }
    assert_true(n >= 6);
    sf_alloc_fail_after(-1, false);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_comes_once_in_the_order_of_the_hashes),
        cmocka_unit_test(a_place_goes_on_wherever_it_is),
        cmocka_unit_test(each_key_of_hashes_gives_an_order_of_its_own),
        cmocka_unit_test(bounds_and_the_past_hold),
        cmocka_unit_test(out_of_memory_is_told),
    };

    return cmocka_run_group_tests_name("hidden order", tests, NULL, NULL);
}
