#include "leaf/store/kv_rocks.h"

#include <rocksdb/c.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/base/list.h"
#include "leaf/store/data_dir.h"
#include "proto/errors.h"

enum {
    MULTI_GET_MAX = 256, /* keys of one call down; bounds what is on the stack */
    FAMILIES = KV_FAMILY_COUNT + 1,
    BLOOM_BITS = 10,
    OBSOLETE_MAX = 65536, /* see floor_raise() */
    BLOCK_CACHE_TIER = 1, /* rocksdb::ReadTier: memtables and the block cache */
};
#define MIB         UINT64_C(1048576)
#define NEARLY_FULL (64 * MIB) /* an error in the background is one of space then */
/* Of a memtable, for its bloom filter: about 20 bits a row of 200 bytes, and it fits a cache. */
static const double MEMTABLE_BLOOM_RATIO = 0.01;

struct kv_rocks {
    struct kv kv;
    struct data_dir dir;
    rocksdb_t *db;
    rocksdb_column_family_handle_t *handles[FAMILIES]; /* in the order of family_names */
    rocksdb_options_t *options[FAMILIES];
    rocksdb_block_based_table_options_t *tables[FAMILIES];
    rocksdb_cache_t *cache;
    rocksdb_readoptions_t *read;
    rocksdb_writeoptions_t *write[3]; /* by enum kv_durability */
    bool read_only;
    _Atomic(const rocksdb_snapshot_t *) floor;
    atomic_size_t obsolete; /* about how many values were replaced or removed since */
};

/* RocksDB wants a family of this name; nothing is in it. */
static const char *const family_names[FAMILIES] = {
    [KV_LOG] = "log",
    [KV_STATE] = "state",
    [KV_OLD] = "old",
    [KV_QUARANTINE] = "quarantine",
    [KV_IDEM] = "idem",
    [KV_META] = "meta",
    [KV_FAMILY_COUNT] = "default",
};

struct rocks_batch {
    struct kv_batch batch;
    struct kv_rocks *owner;
    rocksdb_writebatch_t *wb;
    size_t obsolete; /* what it makes so, as far as that is known */
};

struct rocks_iter {
    struct kv_iter iter;
    rocksdb_iterator_t *it;
    rocksdb_readoptions_t *read;
    uint8_t bounds[]; /* from, then to: RocksDB keeps pointers */
};

static struct kv_rocks *self(struct kv *kv)
{
    return SF_CONTAINER_OF(kv, struct kv_rocks, kv);
}

/* Takes @text, which RocksDB allocated; NULL: no error. */
static enum sf_code raise_text(char *text, const char *what, struct sf_error *err)
{
    static const struct {
        const char *prefix;
        enum sf_code code;
        uint16_t number;
    } kinds[] = {
        {"Corruption", SF_CORRUPT, SHEAF_E_STORE_CORRUPT},
        {"Resource busy", SF_BUSY, SHEAF_E_BUSY},
        {"Result incomplete", SF_BUSY, SHEAF_E_BUSY}, /* not in memory */
        {"Operation failed. Try again.", SF_BUSY, SHEAF_E_BUSY},
        {"", SF_IO, SHEAF_E_STORE_FAILED},
    };
    enum sf_code code = SF_OK;

    if (text != NULL && strstr(text, "No space left on device") != NULL) {
        code = SF_RAISE_E(err, SF_IO, SHEAF_E_DISK_FULL, "%s: %s", what, text);
    }
    for (size_t i = 0; text != NULL && code == SF_OK; i++) {
        if (strncmp(text, kinds[i].prefix, strlen(kinds[i].prefix)) == 0) {
            code = SF_RAISE_E(err, kinds[i].code, kinds[i].number, "%s: %s", what, text);
        }
    }
    rocksdb_free(text);
    return code;
}

/*
 * An old snapshot is held all the time. Whenever the oldest one is released, RocksDB 7.8 marks each
 * file below which nothing lies and rewrites it, in case it holds values that the snapshot kept
 * alive: with readers coming and going that is every file once more, obsolete values or not
 * (measured: a third of all writing for keys that rise). What compactions cannot drop because of it
 * is bounded: it is renewed after OBSOLETE_MAX values, and before space is asked back. Any thread.
 */
static void floor_raise(struct kv_rocks *k)
{
    const rocksdb_snapshot_t *next = rocksdb_create_snapshot(k->db);
    const rocksdb_snapshot_t *old;

    atomic_store(&k->obsolete, 0);
    old = atomic_exchange(&k->floor, next);
    if (old != NULL) {
        rocksdb_release_snapshot(k->db, old);
    }
}

static void note_obsolete(struct kv_rocks *k, size_t count)
{
    if (count > 0 && atomic_fetch_add(&k->obsolete, count) + count >= OBSOLETE_MAX) {
        floor_raise(k);
    }
}

static void rocks_put(struct kv_batch *batch, enum kv_family f, struct kv_parts key,
                      struct kv_parts value)
{
    struct rocks_batch *b = SF_CONTAINER_OF(batch, struct rocks_batch, batch);
    const char *keys[] = {(const char *)key.a.data, (const char *)key.b.data};
    const char *values[] = {(const char *)value.a.data, (const char *)value.b.data};
    size_t key_sizes[] = {key.a.size, key.b.size};
    size_t value_sizes[] = {value.a.size, value.b.size};

    rocksdb_writebatch_putv_cf(b->wb, b->owner->handles[f], 2, keys, key_sizes, 2, values,
                               value_sizes);
}

static void rocks_remove(struct kv_batch *batch, enum kv_family f, struct sf_slice key)
{
    struct rocks_batch *b = SF_CONTAINER_OF(batch, struct rocks_batch, batch);

    rocksdb_writebatch_delete_cf(b->wb, b->owner->handles[f], (const char *)key.data, key.size);
    b->obsolete++;
}

static void rocks_remove_range(struct kv_batch *batch, enum kv_family f, struct sf_slice from,
                               struct sf_slice to)
{
    struct rocks_batch *b = SF_CONTAINER_OF(batch, struct rocks_batch, batch);

    rocksdb_writebatch_delete_range_cf(b->wb, b->owner->handles[f], (const char *)from.data,
                                       from.size, (const char *)to.data, to.size);
    b->obsolete = OBSOLETE_MAX;
}

static void rocks_clear(struct kv_batch *batch)
{
    struct rocks_batch *b = SF_CONTAINER_OF(batch, struct rocks_batch, batch);

    rocksdb_writebatch_clear(b->wb);
    b->obsolete = 0;
}

static void rocks_batch_free(struct kv_batch *batch)
{
    struct rocks_batch *b = SF_CONTAINER_OF(batch, struct rocks_batch, batch);

    rocksdb_writebatch_destroy(b->wb);
    sf_free(b);
}

static enum sf_code rocks_batch_new(struct kv *kv, struct kv_batch **ret, struct sf_error *err)
{
    static const struct kv_batch_ops ops = {
        .put = rocks_put,
        .remove = rocks_remove,
        .remove_range = rocks_remove_range,
        .clear = rocks_clear,
        .free = rocks_batch_free,
    };
    struct rocks_batch *b = sf_calloc(1, sizeof(*b));

    if (b == NULL) {
        return SF_RAISE(err, SF_NOMEM, "write batch");
    }
    b->batch.ops = &ops;
    b->owner = self(kv);
    b->wb = rocksdb_writebatch_create();
    *ret = &b->batch;
    return SF_OK;
}

/* What RocksDB met in the background, and would pass over when it can write again. */
static enum sf_code check_background(struct kv_rocks *k, struct sf_error *err)
{
    uint64_t errors = 0;
    uint64_t free_bytes = 0;
    uint64_t total_bytes = 0;

    if (rocksdb_property_int(k->db, "rocksdb.background-errors", &errors) != 0 || errors == 0) {
        return SF_OK;
    }
    if (data_dir_space(&k->dir, &free_bytes, &total_bytes, NULL) == SF_OK &&
        free_bytes < NEARLY_FULL) {
        return SF_RAISE_E(err, SF_IO, SHEAF_E_DISK_FULL, "no space in the background");
    }
    return SF_RAISE_E(err, SF_IO, SHEAF_E_STORE_FAILED,
                      "RocksDB met an error in the background; its LOG says which");
}

static enum sf_code rocks_write(struct kv *kv, struct kv_batch *batch, enum kv_durability d,
                                struct sf_error *err)
{
    struct rocks_batch *b = SF_CONTAINER_OF(batch, struct rocks_batch, batch);
    struct kv_rocks *k = self(kv);
    char *text = NULL;
    enum sf_code code = check_background(k, err);

    if (code != SF_OK) {
        return code;
    }
    if (k->read_only) {
        return SF_RAISE(err, SF_DENIED, "the store is open for reading only");
    }
    rocksdb_write(k->db, k->write[d], b->wb, &text);
    note_obsolete(k, b->obsolete);
    return raise_text(text, "write", err);
}

/* Options of one read; @snapshot may be NULL. */
static rocksdb_readoptions_t *read_options(const struct kv_snapshot *snapshot)
{
    rocksdb_readoptions_t *r = rocksdb_readoptions_create();

    rocksdb_readoptions_set_snapshot(r, (const rocksdb_snapshot_t *)(const void *)snapshot);
    return r;
}

/* Takes @read. */
static enum sf_code get_with(struct kv_rocks *k, rocksdb_readoptions_t *read, enum kv_family f,
                             struct sf_slice key, struct sf_buf *value, bool *found,
                             struct sf_error *err)
{
    rocksdb_pinnableslice_t *pinned;
    char *text = NULL;
    enum sf_code code;

    pinned =
        rocksdb_get_pinned_cf(k->db, read, k->handles[f], (const char *)key.data, key.size, &text);
    rocksdb_readoptions_destroy(read);
    code = raise_text(text, "get", err);
    if (code == SF_OK && pinned != NULL) {
        size_t size = 0;
        const char *bytes = rocksdb_pinnableslice_value(pinned, &size);

        sf_buf_clear(value);
        sf_buf_append(value, bytes, size);
        code = sf_buf_check(value, "value", err);
    }
    if (code == SF_OK) {
        *found = pinned != NULL;
    }
    rocksdb_pinnableslice_destroy(pinned);
    return code;
}

static enum sf_code rocks_get(struct kv *kv, const struct kv_snapshot *snapshot, enum kv_family f,
                              struct sf_slice key, struct sf_buf *value, bool *found,
                              struct sf_error *err)
{
    return get_with(self(kv), read_options(snapshot), f, key, value, found, err);
}

static enum sf_code rocks_get_from_memory(struct kv *kv, const struct kv_snapshot *snapshot,
                                          enum kv_family f, struct sf_slice key,
                                          struct sf_buf *value, bool *found, struct sf_error *err)
{
    rocksdb_readoptions_t *read = read_options(snapshot);

    rocksdb_readoptions_set_read_tier(read, BLOCK_CACHE_TIER);
    return get_with(self(kv), read, f, key, value, found, err);
}

static enum sf_code multi_get_some(struct kv_rocks *k, enum kv_family f,
                                   const struct sf_slice *keys, size_t first, size_t count,
                                   kv_value_cb on_value, void *data, struct sf_error *err)
{
    const char *names[MULTI_GET_MAX];
    size_t sizes[MULTI_GET_MAX];
    rocksdb_pinnableslice_t *values[MULTI_GET_MAX] = {0};
    char *texts[MULTI_GET_MAX] = {0};
    size_t found = 0;
    enum sf_code code = SF_OK;

    for (size_t i = 0; i < count; i++) {
        names[i] = (const char *)keys[first + i].data;
        sizes[i] = keys[first + i].size;
    }
    rocksdb_batched_multi_get_cf(k->db, k->read, k->handles[f], count, names, sizes, values, texts,
                                 /* sorted_input= */ false);
    for (size_t i = 0; i < count; i++) {
        enum sf_code one = raise_text(texts[i], "multi-get", code == SF_OK ? err : NULL);

        code = code == SF_OK ? one : code;
        if (code == SF_OK) {
            struct sf_slice value = {0};

            if (values[i] != NULL) {
                value.data = (const uint8_t *)rocksdb_pinnableslice_value(values[i], &value.size);
            }
            on_value(data, first + i, values[i] == NULL ? NULL : &value);
            found += values[i] == NULL ? 0 : 1;
        }
        rocksdb_pinnableslice_destroy(values[i]);
    }
    note_obsolete(k, found); /* Who looks up many values is about to replace them. */
    return code;
}

static enum sf_code rocks_multi_get(struct kv *kv, enum kv_family f, const struct sf_slice *keys,
                                    size_t count, kv_value_cb on_value, void *data,
                                    struct sf_error *err)
{
    enum sf_code code = SF_OK;

    for (size_t i = 0; i < count && code == SF_OK; i += MULTI_GET_MAX) {
        size_t some = count - i < MULTI_GET_MAX ? count - i : MULTI_GET_MAX;

        code = multi_get_some(self(kv), f, keys, i, some, on_value, data, err);
    }
    return code;
}

static enum sf_code rocks_snapshot_new(struct kv *kv, struct kv_snapshot **ret,
                                       struct sf_error *err)
{
    const rocksdb_snapshot_t *s = rocksdb_create_snapshot(self(kv)->db);

    if (s == NULL) {
        return SF_RAISE(err, SF_NOMEM, "snapshot");
    }
    /* Ours is an opaque name for RocksDB's; nobody looks inside either. */
    *ret = (struct kv_snapshot *)(uintptr_t)s;
    return SF_OK;
}

static void rocks_snapshot_free(struct kv *kv, struct kv_snapshot *snapshot)
{
    rocksdb_release_snapshot(self(kv)->db, (const rocksdb_snapshot_t *)(const void *)snapshot);
}

static rocksdb_iterator_t *rocks_it(const struct kv_iter *it)
{
    return ((const struct rocks_iter *)(const void *)it)->it;
}
_Static_assert(offsetof(struct rocks_iter, iter) == 0, "rocks_it() relies on it");

static void rocks_first(struct kv_iter *it)
{
    rocksdb_iter_seek_to_first(rocks_it(it));
}

static void rocks_last(struct kv_iter *it)
{
    rocksdb_iter_seek_to_last(rocks_it(it));
}

static void rocks_seek(struct kv_iter *it, struct sf_slice key)
{
    rocksdb_iter_seek(rocks_it(it), (const char *)key.data, key.size);
}

static void rocks_seek_back(struct kv_iter *it, struct sf_slice key)
{
    rocksdb_iter_seek_for_prev(rocks_it(it), (const char *)key.data, key.size);
}

static void rocks_next(struct kv_iter *it)
{
    rocksdb_iter_next(rocks_it(it));
}

static void rocks_prev(struct kv_iter *it)
{
    rocksdb_iter_prev(rocks_it(it));
}

static bool rocks_valid(const struct kv_iter *it)
{
    return rocksdb_iter_valid(rocks_it(it));
}

static struct sf_slice rocks_key(const struct kv_iter *it)
{
    size_t size = 0;
    const char *bytes = rocksdb_iter_key(rocks_it(it), &size);

    return sf_slice_of(bytes, size);
}

static struct sf_slice rocks_value(const struct kv_iter *it)
{
    size_t size = 0;
    const char *bytes = rocksdb_iter_value(rocks_it(it), &size);

    return sf_slice_of(bytes, size);
}

static enum sf_code rocks_check(const struct kv_iter *it, struct sf_error *err)
{
    char *text = NULL;

    rocksdb_iter_get_error(rocks_it(it), &text);
    return raise_text(text, "iterate", err);
}

static void rocks_iter_free(struct kv_iter *iter)
{
    struct rocks_iter *it = SF_CONTAINER_OF(iter, struct rocks_iter, iter);

    rocksdb_iter_destroy(it->it);
    rocksdb_readoptions_destroy(it->read);
    sf_free(it);
}

static enum sf_code rocks_iter_new(struct kv *kv, const struct kv_snapshot *snapshot,
                                   enum kv_family f, const struct kv_range *range,
                                   struct kv_iter **ret, struct sf_error *err)
{
    static const struct kv_iter_ops ops = {
        .first = rocks_first,
        .last = rocks_last,
        .seek = rocks_seek,
        .seek_back = rocks_seek_back,
        .next = rocks_next,
        .prev = rocks_prev,
        .valid = rocks_valid,
        .key = rocks_key,
        .value = rocks_value,
        .check = rocks_check,
        .free = rocks_iter_free,
    };
    struct kv_rocks *k = self(kv);
    struct rocks_iter *it = sf_alloc(sizeof(*it) + range->from.size + range->to.size);

    if (it == NULL) {
        return SF_RAISE(err, SF_NOMEM, "iterator");
    }
    it->iter.ops = &ops;
    it->read = read_options(snapshot);
    rocksdb_readoptions_set_fill_cache(it->read, range->fill_cache);
    if (range->from.size > 0) {
        memcpy(it->bounds, range->from.data, range->from.size);
        rocksdb_readoptions_set_iterate_lower_bound(it->read, (const char *)it->bounds,
                                                    range->from.size);
    }
    if (range->to.size > 0) {
        uint8_t *to = it->bounds + range->from.size;

        memcpy(to, range->to.data, range->to.size);
        rocksdb_readoptions_set_iterate_upper_bound(it->read, (const char *)to, range->to.size);
    }
    it->it = rocksdb_create_iterator_cf(k->db, it->read, k->handles[f]);
    *ret = &it->iter;
    return SF_OK;
}

static uint64_t rocks_approximate_size(struct kv *kv, enum kv_family f, struct sf_slice from,
                                       struct sf_slice to)
{
    struct kv_rocks *k = self(kv);
    const char *starts[] = {(const char *)from.data};
    const char *limits[] = {(const char *)to.data};
    uint64_t size = 0;
    char *text = NULL;

    rocksdb_approximate_sizes_cf(k->db, k->handles[f], 1, starts, &from.size, limits, &to.size,
                                 &size, &text);
    rocksdb_free(text); /* A figure for people: without one it is 0. */
    return size;
}

static enum sf_code rocks_flush(struct kv *kv, enum kv_family f, struct sf_error *err)
{
    struct kv_rocks *k = self(kv);
    rocksdb_flushoptions_t *wait = rocksdb_flushoptions_create();
    char *text = NULL;

    rocksdb_flushoptions_set_wait(wait, 1);
    rocksdb_flush_cf(k->db, wait, k->handles[f], &text);
    rocksdb_flushoptions_destroy(wait);
    return raise_text(text, "flush", err);
}

static enum sf_code rocks_compact(struct kv *kv, enum kv_family f, struct sf_slice from,
                                  struct sf_slice to, struct sf_error *err)
{
    struct kv_rocks *k = self(kv);
    rocksdb_compactoptions_t *beside = rocksdb_compactoptions_create();

    (void)err; /* RocksDB tells nothing; one that did not happen is caught up by the next. */
    floor_raise(k);
    rocksdb_compactoptions_set_exclusive_manual_compaction(beside, 0);
    rocksdb_compact_range_cf_opt(k->db, k->handles[f], beside, (const char *)from.data, from.size,
                                 (const char *)to.data, to.size);
    rocksdb_compactoptions_destroy(beside);
    return SF_OK;
}

static enum sf_code rocks_checkpoint(struct kv *kv, const char *path, struct sf_error *err)
{
    char *text = NULL;
    rocksdb_checkpoint_t *c = rocksdb_checkpoint_object_create(self(kv)->db, &text);
    enum sf_code code = raise_text(text, "checkpoint", err);

    if (code == SF_OK) {
        /* Flushes first: what is volatile is in no log that could be copied. */
        rocksdb_checkpoint_create(c, path, /* log_size_for_flush= */ 0, &text);
        rocksdb_checkpoint_object_destroy(c);
        code = raise_text(text, "checkpoint", err);
    }
    return code;
}

static enum sf_code rocks_disk(struct kv *kv, uint64_t *free_bytes, uint64_t *total_bytes,
                               struct sf_error *err)
{
    return data_dir_space(&self(kv)->dir, free_bytes, total_bytes, err);
}

/* Also of one that was opened half way. */
static void rocks_close(struct kv *kv)
{
    struct kv_rocks *k = self(kv);

    if (k->floor != NULL) {
        rocksdb_release_snapshot(k->db, k->floor);
    }
    for (size_t i = 0; k->db != NULL && i < FAMILIES; i++) {
        rocksdb_column_family_handle_destroy(k->handles[i]);
    }
    if (k->db != NULL) {
        rocksdb_close(k->db);
    }
    for (size_t i = 0; i < FAMILIES; i++) {
        if (k->tables[i] != NULL) {
            rocksdb_block_based_options_destroy(k->tables[i]);
        }
        if (k->options[i] != NULL) {
            rocksdb_options_destroy(k->options[i]);
        }
    }
    if (k->cache != NULL) {
        rocksdb_cache_destroy(k->cache);
        rocksdb_readoptions_destroy(k->read);
        for (size_t i = 0; i < SF_COUNT(k->write); i++) {
            rocksdb_writeoptions_destroy(k->write[i]);
        }
    }
    data_dir_done(&k->dir);
    sf_free(k);
}

static rocksdb_block_based_table_options_t *table_options(struct kv_rocks *k, size_t family)
{
    rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();

    rocksdb_block_based_options_set_block_cache(t, k->cache);
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
 * down a level as it is. Of the rows the newest 256 MiB are plain, because they are read and
 * rewritten most; the levels below, 90 % of a large table, are compressed.
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

static rocksdb_options_t *family_options(struct kv_rocks *k, size_t family,
                                         const struct kv_rocks_options *options)
{
    rocksdb_options_t *o = rocksdb_options_create();

    rocksdb_options_set_create_missing_column_families(o, k->read_only ? 0 : 1);
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
    rocksdb_options_set_write_buffer_size(o, options->write_buffer_bytes / 3);
    rocksdb_options_set_max_write_buffer_number(o, 4);
    /* Else a family that is seldom written keeps logs of many times the memtables on the disk. */
    rocksdb_options_set_max_total_wal_size(o, 2 * options->write_buffer_bytes);
    rocksdb_options_set_level_compaction_dynamic_level_bytes(o, 1);
    set_compression(o, family);
    if (family == KV_STATE || family == KV_IDEM) {
        rocksdb_options_set_memtable_prefix_bloom_size_ratio(o, MEMTABLE_BLOOM_RATIO);
        rocksdb_options_set_memtable_whole_key_filtering(o, 1);
    }
    rocksdb_options_set_block_based_table_factory(o, k->tables[family]);
    return o;
}

static enum sf_code open_db(struct kv_rocks *k, const struct kv_rocks_options *options,
                            struct sf_error *err)
{
    char path[4096];
    char *text = NULL;
    bool is_new = false;
    enum sf_code code = data_dir_is_new(&k->dir, &is_new, err);

    if (code != SF_OK) {
        return code;
    }
    if (snprintf(path, sizeof(path), "%s/db", k->dir.path) >= (int)sizeof(path)) {
        return SF_RAISE(err, SF_INVALID, "data directory: path is too long");
    }
    k->cache = rocksdb_cache_create_lru(options->cache_bytes);
    k->read = rocksdb_readoptions_create();
    for (size_t i = 0; i < SF_COUNT(k->write); i++) {
        k->write[i] = rocksdb_writeoptions_create();
    }
    rocksdb_writeoptions_set_sync(k->write[KV_SYNC], 1);
    /* What is in memory only is flushed when RocksDB is closed; its default. */
    rocksdb_writeoptions_disable_WAL(k->write[KV_VOLATILE], 1);
    for (size_t i = 0; i < FAMILIES; i++) {
        k->tables[i] = table_options(k, i);
        k->options[i] = family_options(k, i, options);
        rocksdb_options_set_create_if_missing(k->options[i], is_new);
    }
    if (k->read_only) {
        k->db = rocksdb_open_for_read_only_column_families(
            k->options[KV_FAMILY_COUNT], path, FAMILIES, family_names,
            (const rocksdb_options_t *const *)k->options, k->handles,
            /* error_if_wal_file_exists= */ 0, &text);
    } else {
        k->db = rocksdb_open_column_families(
            k->options[KV_FAMILY_COUNT], path, FAMILIES, family_names,
            (const rocksdb_options_t *const *)k->options, k->handles, &text);
    }
    if (text == NULL && !k->read_only) {
        floor_raise(k);
    }
    return raise_text(text, "open", err);
}

enum sf_code kv_rocks_open(const char *path, const struct kv_rocks_options *options,
                           struct kv **ret, struct sf_error *err)
{
    static const struct kv_ops ops = {
        .batch_new = rocks_batch_new,
        .write = rocks_write,
        .get = rocks_get,
        .get_from_memory = rocks_get_from_memory,
        .multi_get = rocks_multi_get,
        .snapshot_new = rocks_snapshot_new,
        .snapshot_free = rocks_snapshot_free,
        .iter_new = rocks_iter_new,
        .approximate_size = rocks_approximate_size,
        .flush = rocks_flush,
        .compact = rocks_compact,
        .checkpoint = rocks_checkpoint,
        .disk = rocks_disk,
        .close = rocks_close,
    };
    struct kv_rocks_options with = options == NULL ? (struct kv_rocks_options){0} : *options;
    struct kv_rocks *k = sf_calloc(1, sizeof(*k));
    enum sf_code code;

    if (k == NULL) {
        return SF_RAISE(err, SF_NOMEM, "store");
    }
    with.cache_bytes = with.cache_bytes == 0 ? 64 * MIB : with.cache_bytes;
    with.write_buffer_bytes = with.write_buffer_bytes == 0 ? 192 * MIB : with.write_buffer_bytes;
    k->kv.ops = &ops;
    k->dir.format_fd = -1;
    k->read_only = with.read_only;
    code =
        with.read_only ? data_dir_open_read(path, &k->dir, err) : data_dir_open(path, &k->dir, err);
    if (code == SF_OK) {
        code = open_db(k, &with, err);
    }
    if (code != SF_OK) {
        rocks_close(&k->kv);
        return code;
    }
    *ret = &k->kv;
    return SF_OK;
}

void kv_rocks_set_cache(struct kv *kv, uint64_t bytes)
{
    rocksdb_cache_set_capacity(self(kv)->cache, bytes);
}

struct kv_rocks_memory kv_rocks_memory(struct kv *kv)
{
    struct kv_rocks *k = self(kv);
    struct kv_rocks_memory m = {.cache_bytes = rocksdb_cache_get_usage(k->cache)};

    for (size_t i = 0; i < FAMILIES; i++) {
        uint64_t bytes = 0;

        if (rocksdb_property_int_cf(k->db, k->handles[i], "rocksdb.size-all-mem-tables", &bytes) ==
            0) {
            m.buffer_bytes += bytes;
        }
    }
    return m;
}
