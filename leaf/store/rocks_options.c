#include "leaf/store/rocks_options.h"

#include <stdio.h>

enum {
    BLOOM_BITS = 10,
    LEVEL0_FILES = 8, /* are merged into the first level together */
    LEVEL0_SLOW = LEVEL0_FILES + 16,
    LEVEL0_STOP = LEVEL0_FILES + 32,
    SHARD_BITS_MAX = 6,
};
#define MIB             UINT64_C(1048576)
#define SHARD_BYTES_MIN (16 * MIB)
/* Of a memtable, for its bloom filter: about 20 bits a row of 200 bytes, and it fits a cache. */
static const double MEMTABLE_BLOOM_RATIO = 0.01;

/*
 * RocksDB would make shards of 1 MiB of 64 MiB. Filter and index of a table are half a MiB each:
 * two in the same shard push each other out, and are read again as a whole, long before the cache
 * is full. Measured at 8 million rows: 14 GB of filters read instead of 23 MB.
 */
rocksdb_cache_t *rocks_cache(uint64_t bytes)
{
    rocksdb_lru_cache_options_t *o = rocksdb_lru_cache_options_create();
    int bits = 0;
    rocksdb_cache_t *cache;

    while (bits < SHARD_BITS_MAX && bytes >> (bits + 1) >= SHARD_BYTES_MIN) {
        bits++;
    }
    rocksdb_lru_cache_options_set_capacity(o, bytes);
    rocksdb_lru_cache_options_set_num_shard_bits(o, bits);
    cache = rocksdb_cache_create_lru_opts(o);
    rocksdb_lru_cache_options_destroy(o);
    return cache;
}

rocksdb_block_based_table_options_t *rocks_table_options(size_t family, rocksdb_cache_t *cache)
{
    rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();

    rocksdb_block_based_options_set_block_cache(t, cache);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(t, 1);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(t, 1);
    rocksdb_block_based_options_set_format_version(t, 5);
    if (family == KV_LOG || family == KV_OLD || family == KV_QUARANTINE) {
        rocksdb_block_based_options_set_block_size(t, (size_t)32 * 1024); /* Read in order. */
    } else {
        rocksdb_block_based_options_set_filter_policy(
            t, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS)); /* taken */
        rocksdb_block_based_options_set_whole_key_filtering(t, 1);
        rocksdb_block_based_options_set_data_block_index_type(
            t, rocksdb_block_based_table_data_block_index_type_binary_search_and_hash);
    }
    return t;
}

/*
 * A frame is digests for a third, which nothing compresses; and what is not compressed can be moved
 * down a level as it is. Of the rows the two newest levels, up to a GiB, are plain, because they
 * are read and rewritten most; the levels below, 90 % of a large table, are compressed.
 */
static void set_compression(rocksdb_options_t *o, size_t family)
{
    const int by_level[] = {rocksdb_no_compression, rocksdb_no_compression,
                            rocksdb_lz4_compression};

    rocksdb_options_set_compression(o, rocksdb_lz4_compression);
    if (family == KV_LOG) {
        rocksdb_options_set_compression(o, rocksdb_no_compression);
    } else if (family == KV_STATE) {
        rocksdb_options_set_compression_per_level(o, by_level,
                                                  sizeof(by_level) / sizeof(by_level[0]));
    }
}

/*
 * Keys of many lanes, or random ones, overlap in all tables that memtables have left: these are
 * merged with the whole of the first level. So eight of them, instead of four, with a level of
 * their size: measured a third less time in compactions. A lookup asks the filters of up to four
 * more.
 */
static void set_levels(rocksdb_options_t *o, uint64_t memtable_bytes)
{
    rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
    rocksdb_options_set_level0_file_num_compaction_trigger(o, LEVEL0_FILES);
    rocksdb_options_set_level0_slowdown_writes_trigger(o, LEVEL0_SLOW);
    rocksdb_options_set_level0_stop_writes_trigger(o, LEVEL0_STOP);
    rocksdb_options_set_max_bytes_for_level_base(o, LEVEL0_FILES * memtable_bytes);
}

static void set_common(rocksdb_options_t *o, const struct kv_rocks_options *options)
{
    const uint64_t memtable_bytes = options->write_buffer_bytes / 3;

    rocksdb_options_set_create_missing_column_families(o, options->read_only ? 0 : 1);
    rocksdb_options_set_paranoid_checks(o, 1);
    /* Torn tail only; and never over old bytes, which could look like records. */
    rocksdb_options_set_wal_recovery_mode(o, rocksdb_tolerate_corrupted_tail_records_recovery);
    rocksdb_options_set_recycle_log_file_num(o, 0);
    rocksdb_options_set_use_fsync(o, 0);
    rocksdb_options_set_allow_concurrent_memtable_write(o, 0); /* One writer: no atomics. */
    rocksdb_options_set_max_background_jobs(o, 2);
    /* All families move to disk together: the heads that rows show never come before the rows. */
    rocksdb_options_set_atomic_flush(o, 1);
    rocksdb_options_set_bytes_per_sync(o, MIB);
    rocksdb_options_set_max_open_files(o, 512);
    rocksdb_options_set_keep_log_file_num(o, 4);
    rocksdb_options_set_max_log_file_size(o, 8 * MIB);
    rocksdb_options_set_info_log_level(o, 2); /* warnings */
    rocksdb_options_set_stats_dump_period_sec(o, 0);
    rocksdb_options_set_stats_persist_period_sec(o, 0);
    rocksdb_options_set_db_write_buffer_size(o, options->write_buffer_bytes);
    rocksdb_options_set_write_buffer_size(o, memtable_bytes);
    rocksdb_options_set_max_write_buffer_number(o, 4);
    /* Else a family that is seldom written keeps logs of many times the memtables on the disk. */
    rocksdb_options_set_max_total_wal_size(o, 2 * options->write_buffer_bytes);
    set_levels(o, memtable_bytes);
}

/*
 * A commit writes the rows of a lane in the order of their keys: each is looked for from where the
 * one before went, not from the top of the memtable. C has no call for it. Takes @o.
 *
 * A range that is removed stands in a list of its own, but RocksDB would look for its place by the
 * hints of the rows with the same prefix, and write into their list. So the prefix is longer by a
 * byte than where any range begins, which has no hint then.
 */
static rocksdb_options_t *with_hints(rocksdb_options_t *o, char **ret_text)
{
    rocksdb_options_t *hinted = rocksdb_options_create();
    char option[64];

    (void)snprintf(option, sizeof(option), "memtable_insert_with_hint_prefix_extractor=fixed:%d",
                   KV_LANE_BYTES + 1);
    rocksdb_get_options_from_string(o, option, hinted, ret_text);
    rocksdb_options_destroy(o);
    if (*ret_text != NULL) {
        rocksdb_options_destroy(hinted);
        return NULL;
    }
    return hinted;
}

rocksdb_options_t *rocks_family_options(size_t family, rocksdb_block_based_table_options_t *table,
                                        const struct kv_rocks_options *options, char **ret_text)
{
    rocksdb_options_t *o = rocksdb_options_create();

    set_common(o, options);
    set_compression(o, family);
    if (family == KV_STATE || family == KV_IDEM) {
        rocksdb_options_set_memtable_prefix_bloom_size_ratio(o, MEMTABLE_BLOOM_RATIO);
        rocksdb_options_set_memtable_whole_key_filtering(o, 1);
    }
    rocksdb_options_set_block_based_table_factory(o, table);
    return family == KV_STATE ? with_hints(o, ret_text) : o;
}
