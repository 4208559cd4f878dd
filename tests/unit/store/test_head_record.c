/* The record beside the store: what it holds, and that a store that is behind it is told from one
 * that is not. */
#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/sys/file.h"
#include "leaf/store/head_keeper.h"
#include "leaf/store/head_record.h"
#include "leaf/store/keyspace.h"
#include "proto/errors.h"
#include "tests/lib/store_world.h"
#include "tests/lib/tmpdir.h"

static void put_rows(struct store_world *w, const char *table, int count)
{
    struct store_lane *lane = store_world_lane(w, table, STORE_STATE);
    char key[16];

    for (int i = 0; i < count; i++) {
        (void)snprintf(key, sizeof(key), "key-%d", i);
        assert_int_equal(store_world_put(w, lane, key, "row"), SF_OK);
    }
}

static const char *lack_of(struct store_world *w, const struct sf_buf *record, char *ret,
                           size_t size)
{
    struct head_lack lack;
    struct sf_error err = {0};

    if (head_record_compare(w->store, sf_buf_view(record), &lack, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    (void)snprintf(ret, size, "%llu lanes, %llu changes\n%.*s", (unsigned long long)lack.lanes,
                   (unsigned long long)lack.changes, SF_SLICE_ARG(sf_buf_view(&lack.text)));
    head_lack_done(&lack);
    return ret;
}

static void test_a_store_that_is_behind_its_record_is_told_lane_by_lane(void **state)
{
    struct store_world w;
    struct store_world old;
    struct sf_buf record = {0};
    char text[512];

    (void)state;
    store_world_init(&w, 1);
    put_rows(&w, "orders", 5);
    put_rows(&w, "items", 2);
    head_record_encode(w.store, &record);
    assert_string_equal(lack_of(&w, &record, text, sizeof(text)), "0 lanes, 0 changes\n");
    put_rows(&w, "orders", 1); /* ahead of the record: fine */
    assert_string_equal(lack_of(&w, &record, text, sizeof(text)), "0 lanes, 0 changes\n");

    store_world_init(&old, 1);
    put_rows(&old, "orders", 3);
    assert_string_equal(lack_of(&old, &record, text, sizeof(text)),
                        "2 lanes, 4 changes\n"
                        "sales/orders@1.orders: 4 to 5 (epoch 1)\n"
                        "sales/orders@1.items: 1 to 2 (epoch 1)\n");
    sf_buf_done(&record);
    store_world_done(&w);
    store_world_done(&old);
}

static void test_another_history_of_the_same_length_is_told(void **state)
{
    struct store_world w;
    struct store_world other;
    struct sf_buf record = {0};
    char text[512];

    (void)state;
    store_world_init(&w, 1);
    put_rows(&w, "orders", 3);
    head_record_encode(w.store, &record);
    store_world_init(&other, 1);
    assert_int_equal(store_world_put(&other, store_world_lane(&other, "orders", STORE_STATE), "key",
                                     "another row"),
                     SF_OK);
    put_rows(&other, "orders", 4);
    assert_string_equal(lack_of(&other, &record, text, sizeof(text)),
                        "1 lanes, 0 changes\n"
                        "sales/orders@1.orders: another history at 3 (epoch 1)\n");
    sf_buf_done(&record);
    store_world_done(&w);
    store_world_done(&other);
}

/* The log is all there, an entry of the quarantine is not. */
static void test_a_quarantine_that_is_behind_its_record_is_told(void **state)
{
    static const uint16_t codes[] = {202};
    const struct store_reject reject = {.codes = codes, .code_count = 1, .raw = SF_LITERAL("x")};
    struct world_write ww;
    struct store_world w;
    struct sf_buf record = {0};
    char text[512];

    (void)state;
    store_world_init(&w, 1);
    put_rows(&w, "orders", 2);
    world_write_init(&ww, store_world_lane(&w, "orders", STORE_STATE));
    ww.lane.rejects = &reject;
    ww.lane.reject_count = 1;
    assert_int_equal(world_write_run(&ww, &w), SF_OK);
    head_record_encode(w.store, &record);
    assert_string_equal(lack_of(&w, &record, text, sizeof(text)), "0 lanes, 0 changes\n");
    store_world_done(&w);
    store_world_init(&w, 1);
    put_rows(&w, "orders", 2);
    assert_non_null(strstr(lack_of(&w, &record, text, sizeof(text)), "sales/orders@1.orders"));
    sf_buf_done(&record);
    store_world_done(&w);
}

static void test_a_store_of_an_earlier_epoch_is_told(void **state)
{
    struct store_world w;
    struct sf_buf record = {0};
    char text[512];
    struct sf_error err;

    (void)state;
    store_world_init(&w, 1);
    put_rows(&w, "orders", 3);
    store_world_close(&w);
    store_world_open(&w);
    assert_int_equal(store_raise_epoch(w.store, 0, &err), SF_OK);
    assert_int_equal(store_epoch(w.store), 2);
    assert_int_equal(store_raise_epoch(w.store, 9, &err), SF_OK);
    head_record_encode(w.store, &record);
    store_world_close(&w);
    store_world_open(&w);
    assert_int_equal(store_epoch(w.store), 9);
    assert_string_equal(lack_of(&w, &record, text, sizeof(text)), "0 lanes, 0 changes\n");
    store_world_done(&w);
    store_world_init(&w, 1);
    put_rows(&w, "orders", 3);
    assert_string_equal(lack_of(&w, &record, text, sizeof(text)),
                        "1 lanes, 0 changes\n"
                        "the leaf: commit 3 of epoch 9; the store has 3 of 1\n");
    sf_buf_done(&record);
    store_world_done(&w);
}

static void test_every_flipped_bit_and_every_cut_is_found(void **state)
{
    struct store_world w;
    struct sf_buf record = {0};
    struct head_record r;
    struct sf_error err;

    (void)state;
    store_world_init(&w, 1);
    put_rows(&w, "orders", 2);
    head_record_encode(w.store, &record);
    for (size_t bit = 0; bit < record.size * 8; bit++) {
        record.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(head_record_decode(sf_buf_view(&record), &r, &err), SF_CORRUPT);
        record.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t size = 0; size < record.size; size++) {
        assert_int_equal(head_record_decode(sf_slice_of(record.data, size), &r, &err), SF_CORRUPT);
    }
    assert_int_equal(head_record_decode(sf_buf_view(&record), &r, &err), SF_OK);
    sf_buf_done(&record);
    store_world_done(&w);
}

/* One lane "sales/orders@1.orders" at seq 2 in epoch 3, as the golden file has it. */
static void write_golden(const char *path, struct sf_slice head)
{
    struct sf_buf b = {0};
    uint8_t hash[SF_HASH256_SIZE];
    struct sf_slice all;

    sf_buf_slice(&b, head);
    all = sf_buf_view(&b);
    sf_hash256(&all, 1, hash);
    sf_buf_append(&b, hash, sizeof(hash));
    assert_int_equal(sf_file_write(path, sf_buf_view(&b), 0644, NULL), SF_OK);
    sf_buf_done(&b);
}

static void encode_sample(uint8_t version, struct sf_buf *out)
{
    const struct store_lane_name name = {"sales/orders", "orders", 1, 0, STORE_STATE};

    sf_buf_text(out, "SFH");
    sf_buf_byte(out, version);
    sf_buf_be32(out, 3);
    sf_buf_be64(out, 77);
    sf_buf_be64(out, UINT64_C(1767225600000000));
    sf_buf_be32(out, 1);
    sf_buf_append(out, "\0\x1c", 2);
    keyspace_lane_encode(&name, out);
    sf_buf_be32(out, 3);
    sf_buf_be64(out, 2);
    sf_buf_be64(out, 1);
    for (int i = 0; i < SF_HASH256_SIZE; i++) {
        sf_buf_byte(out, 0xab);
    }
}

static void test_the_golden_bytes_are_read(void **state)
{
    const char *path = GOLDEN_DIR "/head-record-v1.bin";
    struct sf_buf file = {0};
    struct sf_buf sample = {0};
    struct head_record r;
    struct head_entry e;
    bool more = false;
    struct sf_error err;

    (void)state;
    assert_int_equal(sf_crypto_init(NULL), SF_OK);
    encode_sample(1, &sample);
    if (getenv("TEST_WRITE_GOLDEN") != NULL) {
        write_golden(path, sf_buf_view(&sample));
    }
    assert_int_equal(sf_file_read(path, 4096, &file, &err), SF_OK);
    assert_int_equal(file.size, sample.size + SF_HASH256_SIZE);
    assert_memory_equal(file.data, sample.data, sample.size);
    assert_int_equal(head_record_decode(sf_buf_view(&file), &r, &err), SF_OK);
    assert_int_equal(r.epoch, 3);
    assert_int_equal(r.commit, 77);
    assert_int_equal(head_record_next(&r, &e, &more, &err), SF_OK);
    assert_true(more);
    assert_true(sf_slice_equal(e.product, SF_LITERAL("sales/orders")));
    assert_true(sf_slice_equal(e.table, SF_LITERAL("orders")));
    assert_int_equal(e.seq, 2);
    assert_int_equal(e.quarantined, 1);
    assert_int_equal(e.hash[31], 0xab);
    assert_int_equal(head_record_next(&r, &e, &more, &err), SF_OK);
    assert_false(more);
    sf_buf_done(&file);
    sf_buf_done(&sample);
}

/* And a real record has the form of the sample. */
static void test_a_record_is_written_as_the_format_says(void **state)
{
    struct store_world w;
    struct sf_buf record = {0};
    struct head_record r;
    struct head_entry e;
    bool more = false;

    (void)state;
    store_world_init(&w, 1);
    put_rows(&w, "orders", 2);
    head_record_encode(w.store, &record);
    assert_memory_equal(record.data, "SFH\x01\0\0\0\x01\0\0\0\0\0\0\0\x02", 16);
    assert_memory_equal(record.data + 24, "\0\0\0\x01\0\x1c\0\0\0\x01\0\0\0\0\x01\x0c", 16);
    assert_memory_equal(record.data + 40, "sales/ordersorders", 18);
    assert_int_equal(head_record_decode(sf_buf_view(&record), &r, NULL), SF_OK);
    assert_int_equal(head_record_next(&r, &e, &more, NULL), SF_OK);
    assert_memory_equal(e.hash, store_lane_head(store_world_lane(&w, "orders", STORE_STATE))->hash,
                        32);
    sf_buf_done(&record);
    store_world_done(&w);
}

static void test_a_newer_format_is_refused_by_its_number(void **state)
{
    struct sf_buf sample = {0};
    uint8_t hash[SF_HASH256_SIZE];
    struct sf_slice all;
    struct head_record r;
    struct sf_error err;

    (void)state;
    encode_sample(2, &sample);
    all = sf_buf_view(&sample);
    sf_hash256(&all, 1, hash);
    sf_buf_append(&sample, hash, sizeof(hash));
    assert_int_equal(head_record_decode(sf_buf_view(&sample), &r, &err), SF_CONFLICT);
    assert_int_equal(err.number, SHEAF_E_DATA_DIR_VERSION);
    sf_buf_done(&sample);
}

static void read_record(const char *path, struct head_record *ret)
{
    static struct sf_buf file; /* the record points into it */

    sf_buf_clear(&file);
    assert_int_equal(sf_file_read(path, 4096, &file, NULL), SF_OK);
    assert_int_equal(head_record_decode(sf_buf_view(&file), ret, NULL), SF_OK);
    sf_buf_done(&file);
}

static void test_the_record_follows_within_a_second_and_a_stop_writes_the_last(void **state)
{
    struct store_world w;
    struct tmpdir dir;
    char path[PATH_MAX];
    struct head_keeper *k = NULL;
    struct head_record r;
    struct sf_error err;

    (void)state;
    tmpdir_init(&dir);
    (void)tmpdir_join(&dir, "heads", path);
    store_world_init(&w, 1);
    assert_int_equal(head_keeper_new(&w.sim.rt, w.store, path, &k, &err), SF_OK);
    rt_sim_run_for(&w.sim, 2 * HEAD_KEEPER_NS);
    read_record(path, &r);
    assert_int_equal(r.commit, 0);
    rt_sim_run_for(&w.sim, 60 * HEAD_KEEPER_NS);
    assert_int_equal(head_keeper_stats(k).written, 1); /* nothing came: nothing is written */

    struct world_write ww;
    struct store_lane *lane = store_world_lane(&w, "orders", STORE_STATE);

    world_write_init(&ww, lane);
    (void)world_write_add(&ww, "a", "row");
    assert_int_equal(world_write_submit(&ww, w.store, &err), SF_OK);
    rt_sim_run_for(&w.sim, 2 * HEAD_KEEPER_NS);
    assert_true(ww.done);
    read_record(path, &r);
    assert_int_equal(r.commit, 1);

    struct world_write last;

    world_write_init(&last, lane);
    (void)world_write_add(&last, "b", "row");
    assert_int_equal(world_write_submit(&last, w.store, &err), SF_OK);
    while (!last.done || head_keeper_is_busy(k)) {
        assert_true(rt_sim_step(&w.sim));
    }
    head_keeper_free(k);
    read_record(path, &r);
    assert_int_equal(r.commit, 2);
    store_world_done(&w);
    tmpdir_done(&dir);
}

static void test_a_record_that_cannot_be_written_is_tried_again(void **state)
{
    struct store_world w;
    struct tmpdir dir;
    char path[PATH_MAX];
    char parent[PATH_MAX];
    struct head_keeper *k = NULL;
    struct sf_error err;

    (void)state;
    tmpdir_init(&dir);
    (void)tmpdir_join(&dir, "there", parent);
    (void)tmpdir_join(&dir, "there/heads", path);
    store_world_init(&w, 1);
    assert_int_equal(head_keeper_new(&w.sim.rt, w.store, path, &k, &err), SF_OK);
    rt_sim_run_for(&w.sim, 3 * HEAD_KEEPER_NS);
    assert_true(head_keeper_stats(k).failures >= 1);
    assert_int_equal(head_keeper_stats(k).written, 0);
    assert_int_equal(sf_dir_make(parent, 0700, &err), SF_OK);
    rt_sim_run_for(&w.sim, 3 * HEAD_KEEPER_NS);
    assert_int_equal(head_keeper_stats(k).written, 1);
    while (head_keeper_is_busy(k)) {
        assert_true(rt_sim_step(&w.sim));
    }
    head_keeper_free(k);
    store_world_done(&w);
    tmpdir_done(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_store_that_is_behind_its_record_is_told_lane_by_lane),
        cmocka_unit_test(test_another_history_of_the_same_length_is_told),
        cmocka_unit_test(test_a_quarantine_that_is_behind_its_record_is_told),
        cmocka_unit_test(test_a_store_of_an_earlier_epoch_is_told),
        cmocka_unit_test(test_every_flipped_bit_and_every_cut_is_found),
        cmocka_unit_test(test_the_golden_bytes_are_read),
        cmocka_unit_test(test_a_record_is_written_as_the_format_says),
        cmocka_unit_test(test_a_newer_format_is_refused_by_its_number),
        cmocka_unit_test(test_the_record_follows_within_a_second_and_a_stop_writes_the_last),
        cmocka_unit_test(test_a_record_that_cannot_be_written_is_tried_again),
    };

    return cmocka_run_group_tests_name("store/head_record", tests, NULL, NULL);
}
