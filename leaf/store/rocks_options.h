/* How RocksDB is set up for the families of kv.h; part of kv_rocks.c. Pure. */
#pragma once

#include <rocksdb/c.h>

#include "leaf/store/kv_rocks.h"

/* Of @bytes, for all families. The caller destroys it. */
rocksdb_cache_t *rocks_cache(uint64_t bytes);

/* @family: an enum kv_family, or KV_FAMILY_COUNT for the one that RocksDB wants and nothing is in.
 * @cache is shared. The caller destroys what is returned. */
rocksdb_block_based_table_options_t *rocks_table_options(size_t family, rocksdb_cache_t *cache);

/* @table and what @options says; NULL with an error of RocksDB in *ret_text, to be freed. */
rocksdb_options_t *rocks_family_options(size_t family, rocksdb_block_based_table_options_t *table,
                                        const struct kv_rocks_options *options, char **ret_text);
