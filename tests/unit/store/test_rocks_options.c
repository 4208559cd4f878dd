/* What RocksDB says of the options that it was opened with: its file OPTIONS, and its LOG, which
 * alone tells of the cache. docs/adr/0061 says why they are what they are. */
#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/str.h"
#include "common/sys/file.h"
#include "leaf/store/kv_rocks.h"
#include "tests/lib/tmpdir.h"

#define MIB UINT64_C(1048576)

enum { FILE_MAX = 1 << 20 };

struct world {
    struct tmpdir tmp;
    struct sf_buf options;
    struct sf_buf log;
    unsigned newest; /* number of the file OPTIONS */
};

static enum sf_code each_file(const char *name, void *data, struct sf_error *err)
{
    struct world *w = data;
    uint64_t n;
    (void)err;

    if (strncmp(name, "OPTIONS-", 8) == 0 &&
        sf_parse_u64(sf_slice_text(name + 8), &n) == SF_PARSE_OK && n > w->newest) {
        w->newest = (unsigned)n;
    }
    return SF_OK;
}

/* Opens a new store and reads what RocksDB writes about it. */
static void open_with(struct world *w, const struct kv_rocks_options *options)
{
    char dir[PATH_MAX];
    char path[PATH_MAX + 32];
    struct kv *kv;

    *w = (struct world){0};
    tmpdir_init(&w->tmp);
    assert_int_equal(kv_rocks_open(tmpdir_join(&w->tmp, "store", dir), options, &kv, NULL), SF_OK);
    kv->ops->close(kv);
    (void)tmpdir_join(&w->tmp, "store/db", dir);
    assert_int_equal(sf_dir_each(dir, each_file, w, NULL), SF_OK);
    (void)snprintf(path, sizeof(path), "%s/OPTIONS-%06u", dir, w->newest);
    assert_int_equal(sf_file_read(path, FILE_MAX, &w->options, NULL), SF_OK);
    (void)snprintf(path, sizeof(path), "%s/LOG", dir);
    assert_int_equal(sf_file_read(path, FILE_MAX, &w->log, NULL), SF_OK);
}

static void done(struct world *w)
{
    sf_buf_done(&w->options);
    sf_buf_done(&w->log);
    tmpdir_done(&w->tmp);
}

/* @section as in "[CFOptions \"state\"]". */
static void assert_option(struct world *w, const char *section, const char *name, const char *value)
{
    const char *at = strstr(sf_buf_cstr(&w->options), section);
    const char *end = at == NULL ? NULL : strstr(at, "\n[");
    char line[160];
    const char *found;

    (void)snprintf(line, sizeof(line), "\n  %s=%s\n", name, value);
    found = at == NULL ? NULL : strstr(at, line);
    if (found == NULL || (end != NULL && found > end)) {
        fail_msg("%s %s is not %s", section, name, value);
    }
}

static const char *const families[] = {"log", "state", "old", "quarantine", "idem", "meta"};

static void test_eight_tables_are_merged_with_a_level_of_their_size(void **state)
{
    static const struct {
        uint64_t buffers;
        const char *memtable;
        const char *level;
    } sizes[] = {
        {0, "67108864", "536870912"}, /* 192 MiB */
        {48 * MIB, "16777216", "134217728"},
    };
    (void)state;

    for (size_t i = 0; i < SF_COUNT(sizes); i++) {
        struct world w;

        open_with(&w, &(struct kv_rocks_options){.write_buffer_bytes = sizes[i].buffers});
        for (size_t f = 0; f < SF_COUNT(families); f++) {
            char section[64];

            (void)snprintf(section, sizeof(section), "[CFOptions \"%s\"]", families[f]);
            assert_option(&w, section, "level0_file_num_compaction_trigger", "8");
            assert_option(&w, section, "level0_slowdown_writes_trigger", "24");
            assert_option(&w, section, "level0_stop_writes_trigger", "40");
            assert_option(&w, section, "level_compaction_dynamic_level_bytes", "true");
            assert_option(&w, section, "max_bytes_for_level_base", sizes[i].level);
            assert_option(&w, section, "write_buffer_size", sizes[i].memtable);
            assert_option(&w, section, "max_write_buffer_number", "4");
        }
        done(&w);
    }
}

static void test_shards_of_the_cache_have_room_for_many_filters(void **state)
{
    static const struct {
        uint64_t bytes;
        unsigned bits;
    } caches[] = {
        {8 * MIB, 0}, {32 * MIB - 1, 0},  {32 * MIB, 1},   {64 * MIB, 2},
        {0, 2},       {128 * MIB - 1, 2}, {1024 * MIB, 6}, {64 * 1024 * MIB, 6},
    };
    (void)state;

    for (size_t i = 0; i < SF_COUNT(caches); i++) {
        const uint64_t bytes = caches[i].bytes == 0 ? 64 * MIB : caches[i].bytes;
        char line[80];
        struct world w;

        open_with(&w, &(struct kv_rocks_options){.cache_bytes = caches[i].bytes});
        (void)snprintf(line, sizeof(line), "capacity : %llu\n    num_shard_bits : %u\n",
                       (unsigned long long)bytes, caches[i].bits);
        if (strstr(sf_buf_cstr(&w.log), line) == NULL) {
            fail_msg("not in LOG: %s", line);
        }
        done(&w);
    }
}

/* What a crash may do hangs on some of these, how much is written and logged on the others. */
static void test_the_whole_database_is_opened_as_wanted(void **state)
{
    static const char *const wanted[][2] = {
        {"wal_recovery_mode", "kTolerateCorruptedTailRecords"},
        {"recycle_log_file_num", "0"},
        {"paranoid_checks", "true"},
        {"atomic_flush", "true"},
        {"manual_wal_flush", "false"},
        {"unordered_write", "false"},
        {"max_open_files", "512"},
        {"max_total_wal_size", "100663296"},
        {"db_write_buffer_size", "50331648"},
        {"use_fsync", "false"},
        {"allow_concurrent_memtable_write", "false"},
        {"max_background_jobs", "2"},
        {"bytes_per_sync", "1048576"},
        {"keep_log_file_num", "4"},
        {"max_log_file_size", "8388608"},
        {"info_log_level", "WARN_LEVEL"},
        {"stats_dump_period_sec", "0"},
        {"stats_persist_period_sec", "0"},
    };
    struct world w;
    (void)state;

    open_with(&w, &(struct kv_rocks_options){.write_buffer_bytes = 48 * MIB});
    for (size_t i = 0; i < SF_COUNT(wanted); i++) {
        assert_option(&w, "[DBOptions]", wanted[i][0], wanted[i][1]);
    }
    done(&w);
}

static void test_each_family_is_kept_as_it_is_read(void **state)
{
    static const struct {
        const char *section;
        const char *name;
        const char *value;
    } wanted[] = {
        {"[CFOptions \"log\"]", "compression", "kNoCompression"},
        {"[CFOptions \"old\"]", "compression", "kLZ4Compression"},
        {"[CFOptions \"state\"]", "compression_per_level",
         "kNoCompression:kNoCompression:kLZ4Compression"},
        {"[CFOptions \"state\"]", "memtable_prefix_bloom_size_ratio", "0.010000"},
        {"[CFOptions \"state\"]", "memtable_whole_key_filtering", "true"},
        {"[CFOptions \"state\"]", "memtable_insert_with_hint_prefix_extractor",
         "rocksdb.FixedPrefix.5"},
        {"[CFOptions \"idem\"]", "memtable_prefix_bloom_size_ratio", "0.010000"},
        {"[TableOptions/BlockBasedTable \"log\"]", "block_size", "32768"},
        {"[TableOptions/BlockBasedTable \"old\"]", "block_size", "32768"},
        {"[TableOptions/BlockBasedTable \"quarantine\"]", "block_size", "32768"},
        {"[TableOptions/BlockBasedTable \"state\"]", "block_size", "4096"},
        {"[TableOptions/BlockBasedTable \"state\"]", "whole_key_filtering", "true"},
        {"[TableOptions/BlockBasedTable \"state\"]", "data_block_index_type",
         "kDataBlockBinaryAndHash"},
        {"[TableOptions/BlockBasedTable \"state\"]", "cache_index_and_filter_blocks", "true"},
        {"[TableOptions/BlockBasedTable \"state\"]", "pin_l0_filter_and_index_blocks_in_cache",
         "true"},
        {"[TableOptions/BlockBasedTable \"state\"]", "format_version", "5"},
    };
    struct world w;
    const char *filter;
    (void)state;

    open_with(&w, NULL);
    for (size_t i = 0; i < SF_COUNT(wanted); i++) {
        assert_option(&w, wanted[i].section, wanted[i].name, wanted[i].value);
    }
    filter = strstr(sf_buf_cstr(&w.options), "[TableOptions/BlockBasedTable \"state\"]");
    assert_non_null(filter);
    filter = strstr(filter, "\n  filter_policy=");
    assert_non_null(filter);
    assert_memory_equal(filter, "\n  filter_policy=bloomfilter", 28);
    done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eight_tables_are_merged_with_a_level_of_their_size),
        cmocka_unit_test(test_shards_of_the_cache_have_room_for_many_filters),
        cmocka_unit_test(test_the_whole_database_is_opened_as_wanted),
        cmocka_unit_test(test_each_family_is_kept_as_it_is_read),
    };

    return cmocka_run_group_tests_name("store/rocks_options", tests, NULL, NULL);
}
