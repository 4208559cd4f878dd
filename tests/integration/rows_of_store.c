/*
 * Prints the rows of a table as they are stored, one per line in hexadecimal:
 *
 *     rows_of_store DIRECTORY PRODUCT MAJOR TABLE
 *
 * DIRECTORY is the store of a leaf that has ended, or a copy of one.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/str.h"
#include "leaf/store/kv_rocks.h"
#include "leaf/store/read.h"
#include "tests/sim/rt_sim.h"

static enum sf_code print_rows(const struct store_snapshot *snapshot, const struct store_lane *lane,
                               struct sf_error *err)
{
    SF_CLEANUP(store_scan_freep) struct store_scan *scan = NULL;
    const struct store_range all = {.reverse = false};
    struct store_row row;
    bool more = true;
    enum sf_code code = store_scan_new(snapshot, lane, &all, &scan, err);

    while (code == SF_OK) {
        code = store_scan_next(scan, &row, &more, err);
        if (code != SF_OK || !more) {
            break;
        }
        for (size_t i = 0; i < row.row.size; i++) {
            (void)printf("%02x", row.row.data[i]);
        }
        (void)printf("\n");
    }
    return code;
}

static enum sf_code print_table(struct store *store, const struct store_lane_name *name,
                                struct sf_error *err)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    const struct store_lane *lane = store_lane_find(store, name);
    enum sf_code code;

    if (lane == NULL) {
        return SF_RAISE(err, SF_ABSENT, "no table %s of %s@%u", name->table, name->product,
                        name->major);
    }
    code = store_snapshot_new(store, &snapshot, err);
    return code == SF_OK ? print_rows(snapshot, lane, err) : code;
}

static void on_closed(void *data)
{
    (void)data;
}

int main(int argc, char **argv)
{
    struct rt_sim sim;
    struct kv *kv = NULL;
    struct store *store = NULL;
    struct sf_error err;
    uint64_t major = 0;
    enum sf_code code;

    if (argc != 5 || sf_parse_u64(sf_slice_text(argv[3]), &major) != SF_PARSE_OK) {
        (void)fprintf(stderr, "rows_of_store DIRECTORY PRODUCT MAJOR TABLE\n");
        return 2;
    }
    rt_sim_init(&sim, 1);
    code = kv_rocks_open(argv[1], NULL, &kv, &err);
    code = code == SF_OK ? store_open(&sim.rt, kv, &(struct store_options){.raise_epoch = false},
                                      &store, &err)
                         : code;
    if (code == SF_OK) {
        const struct store_lane_name name = {
            .product = argv[2], .table = argv[4], .major = (uint32_t)major};

        code = print_table(store, &name, &err);
        store_close(store, on_closed, NULL);
        rt_sim_run(&sim);
    }
    rt_sim_done(&sim);
    if (code != SF_OK) {
        (void)fprintf(stderr, "rows_of_store: %s\n", err.text);
    }
    return code == SF_OK ? 0 : 1;
}
