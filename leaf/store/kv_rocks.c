#include "leaf/store/kv_rocks.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/base/list.h"
#include "common/sys/crypto.h"
#include "leaf/store/manifest_tail.h"
#include "leaf/store/rocks_crc.h"
#include "leaf/store/rocks_options.h"
#include "leaf/store/rocks_private.h"
#include "leaf/store/wal_life.h"
#include "proto/errors.h"

enum {
    OBSOLETE_RANGE = 65536, /* values that a removed range counts for */
    JOINED_BYTES = 2048,
    SIDE_BY_SIDE = 128 * 1024, /* bytes worth another thread to sync them */
};
#define MIB         UINT64_C(1048576)
#define NEARLY_FULL (64 * MIB) /* an error in the background is one of space then */

/* RocksDB wants a family of this name; nothing is in it. */
static const char *const family_names[ROCKS_FAMILIES] = {
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

struct kv_rocks *rocks_self(struct kv *kv)
{
    return SF_CONTAINER_OF(kv, struct kv_rocks, kv);
}

enum sf_code rocks_raise(char *text, const char *what, struct sf_error *err)
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

/* Both parts as one: @s itself, or a copy in @room. */
static struct sf_slice joined(const struct kv_parts *s, uint8_t *room)
{
    if (s->a.size == 0 || s->b.size == 0) {
        return s->a.size == 0 ? s->b : s->a;
    }
    memcpy(room, s->a.data, s->a.size);
    memcpy(room + s->a.size, s->b.data, s->b.size);
    return sf_slice_of(room, s->a.size + s->b.size);
}

static void rocks_put(struct kv_batch *batch, enum kv_family f, struct kv_parts key,
                      struct kv_parts value)
{
    struct rocks_batch *b = SF_CONTAINER_OF(batch, struct rocks_batch, batch);
    rocksdb_column_family_handle_t *handle = b->owner->handles[f];
    const char *keys[] = {(const char *)key.a.data, (const char *)key.b.data};
    const char *values[] = {(const char *)value.a.data, (const char *)value.b.data};
    size_t key_sizes[] = {key.a.size, key.b.size};
    size_t value_sizes[] = {value.a.size, value.b.size};
    uint8_t key_room[JOINED_BYTES];
    uint8_t value_room[JOINED_BYTES];

    /* RocksDB allocates twice for parts: for most rows a copy is cheaper. */
    if (key.a.size + key.b.size <= JOINED_BYTES &&
        (value.a.size == 0 || value.a.size + value.b.size <= JOINED_BYTES)) {
        const struct sf_slice k = joined(&key, key_room);
        const struct sf_slice v = joined(&value, value_room);

        rocksdb_writebatch_put_cf(b->wb, handle, (const char *)k.data, k.size, (const char *)v.data,
                                  v.size);
        return;
    }
    rocksdb_writebatch_putv_cf(b->wb, handle, 2, keys, key_sizes, 2, values, value_sizes);
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

    sf_assert(f != KV_STATE || from.size <= KV_LANE_BYTES); /* see with_hints() */
    rocksdb_writebatch_delete_range_cf(b->wb, b->owner->handles[f], (const char *)from.data,
                                       from.size, (const char *)to.data, to.size);
    b->obsolete = OBSOLETE_RANGE;
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
    b->owner = rocks_self(kv);
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

/* What stands against any write, once the one before has ended. */
static enum sf_code check_write(struct kv_rocks *k, struct sf_error *err)
{
    enum sf_code code = check_background(k, err);

    if (code == SF_OK && k->read_only) {
        return SF_RAISE(err, SF_DENIED, "the store is open for reading only");
    }
    if (code == SF_OK) {
        wal_sync_wait(k->sync);
    }
    return code == SF_OK && k->half_written
               ? SF_RAISE_E(err, SF_IO, SHEAF_E_STORE_FAILED, "an earlier write was not finished")
               : code;
}

/* A write that is repeated because nothing happened gets the same number again. */
static void add_stamp(struct kv_rocks *k, struct rocks_batch *b)
{
    struct wal_stamp next = k->stamp;
    uint8_t bytes[WAL_STAMP_BYTES];

    next.number++;
    wal_stamp_encode(&next, bytes);
    rocksdb_writebatch_put_log_data(b->wb, (const char *)bytes, sizeof(bytes));
}

static enum sf_code write_one(struct kv_rocks *k, struct rocks_batch *b, enum kv_durability d,
                              struct sf_error *err)
{
    char *text = NULL;
    enum sf_code code;

    if (d != KV_VOLATILE) {
        add_stamp(k, b);
    }
    rocksdb_set_perf_level(rocksdb_disable); /* Of this thread: it counts every comparison. */
    rocksdb_write(k->db, k->write[d], b->wb, &text);
    code = rocks_raise(text, "write", err);
    if (code == SF_OK && d != KV_VOLATILE) {
        k->stamp.number++;
        k->stamp.synced = d == KV_SYNC ? k->stamp.number : k->stamp.synced;
    }
    return code;
}

static enum sf_code rocks_write(struct kv *kv, struct kv_batch *batch, enum kv_durability d,
                                struct sf_error *err)
{
    struct rocks_batch *b = SF_CONTAINER_OF(batch, struct rocks_batch, batch);
    struct kv_rocks *k = rocks_self(kv);
    enum sf_code code = check_write(k, err);

    if (code == SF_OK) {
        code = write_one(k, b, d, err);
        rocks_note_obsolete(k, b->obsolete);
    }
    return code;
}

/* The end of a sync; what was written is shown, or stays hidden for good. Takes @text. */
static enum sf_code settle_sync(struct kv_rocks *k, char *text, struct sf_error *err)
{
    if (rocks_raise(text, "sync", err) != SF_OK) {
        k->half_written = true;
        return kv_half_written(err);
    }
    k->stamp.synced = k->stamp.number;
    rocks_show(k);
    return SF_OK;
}

static void on_left(void *data, char *text)
{
    struct kv_rocks *k = data;
    struct sf_error err = {0};
    const enum sf_code code = settle_sync(k, text, &err);

    k->pending->ended(k->pending, code, &err);
}

/* Inserting many rows takes as long as the disk does: one while the other. */
static enum sf_code write_side_by_side(struct kv_rocks *k, struct rocks_batch *b,
                                       struct rocks_batch *after, struct kv_pending *p,
                                       bool *pending, struct sf_error *err)
{
    enum sf_code code = rocks_hide(k, err);

    if (code != SF_OK) {
        return code;
    }
    code = write_one(k, b, KV_PLAIN, err);
    if (code != SF_OK) {
        rocks_show(k); /* Of neither is anything there. */
        return code;
    }
    wal_sync_begin(k->sync);
    code = write_one(k, after, KV_VOLATILE, err);
    if (code != SF_OK) {
        rocksdb_free(wal_sync_end(k->sync));
        k->half_written = true; /* And hidden for good. */
        return kv_half_written(err);
    }
    k->pending = p;
    *pending = p != NULL && wal_sync_leave(k->sync);
    return *pending ? SF_OK : settle_sync(k, wal_sync_end(k->sync), err);
}

static size_t size_of(const struct rocks_batch *b)
{
    size_t size = 0;

    (void)rocksdb_writebatch_data(b->wb, &size);
    return size;
}

static enum sf_code rocks_write_both(struct kv *kv, struct kv_batch *batch, enum kv_durability d,
                                     struct kv_batch *after, struct kv_pending *p, bool *pending,
                                     struct sf_error *err)
{
    struct rocks_batch *b = SF_CONTAINER_OF(batch, struct rocks_batch, batch);
    struct rocks_batch *a = SF_CONTAINER_OF(after, struct rocks_batch, batch);
    struct kv_rocks *k = rocks_self(kv);
    enum sf_code code = check_write(k, err);

    *pending = false;
    if (code != SF_OK) {
        return code;
    }
    if (d == KV_SYNC && size_of(b) + size_of(a) >= SIDE_BY_SIDE) {
        code = write_side_by_side(k, b, a, p, pending, err);
    } else {
        code = write_one(k, b, d, err);
        if (code == SF_OK && write_one(k, a, KV_VOLATILE, err) != SF_OK) {
            k->half_written = true;
            code = kv_half_written(err);
        }
    }
    rocks_note_obsolete(k, b->obsolete + a->obsolete);
    return code;
}

static uint64_t rocks_approximate_size(struct kv *kv, enum kv_family f, struct sf_slice from,
                                       struct sf_slice to)
{
    struct kv_rocks *k = rocks_self(kv);
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
    struct kv_rocks *k = rocks_self(kv);
    rocksdb_flushoptions_t *wait = rocksdb_flushoptions_create();
    char *text = NULL;

    rocksdb_flushoptions_set_wait(wait, 1);
    rocksdb_flush_cf(k->db, wait, k->handles[f], &text);
    rocksdb_flushoptions_destroy(wait);
    return rocks_raise(text, "flush", err);
}

static enum sf_code rocks_compact(struct kv *kv, enum kv_family f, struct sf_slice from,
                                  struct sf_slice to, struct sf_error *err)
{
    struct kv_rocks *k = rocks_self(kv);
    rocksdb_compactoptions_t *beside = rocksdb_compactoptions_create();

    (void)err; /* RocksDB tells nothing; one that did not happen is caught up by the next. */
    rocks_floor_raise(k);
    rocksdb_compactoptions_set_exclusive_manual_compaction(beside, 0);
    rocksdb_compact_range_cf_opt(k->db, k->handles[f], beside, (const char *)from.data, from.size,
                                 (const char *)to.data, to.size);
    rocksdb_compactoptions_destroy(beside);
    return SF_OK;
}

static enum sf_code rocks_checkpoint(struct kv *kv, const char *path, struct sf_error *err)
{
    char *text = NULL;
    rocksdb_checkpoint_t *c = rocksdb_checkpoint_object_create(rocks_self(kv)->db, &text);
    enum sf_code code = rocks_raise(text, "checkpoint", err);

    if (code == SF_OK) {
        /* Flushes first: what is volatile is in no log that could be copied. */
        rocksdb_checkpoint_create(c, path, /* log_size_for_flush= */ 0, &text);
        rocksdb_checkpoint_object_destroy(c);
        code = rocks_raise(text, "checkpoint", err);
    }
    return code;
}

static enum sf_code rocks_disk(struct kv *kv, uint64_t *free_bytes, uint64_t *total_bytes,
                               struct sf_error *err)
{
    return data_dir_space(&rocks_self(kv)->dir, free_bytes, total_bytes, err);
}

/* Also of one that was opened half way. */
static void rocks_close(struct kv *kv)
{
    struct kv_rocks *k = rocks_self(kv);

    wal_sync_free(k->sync);
    rocks_show(k);
    if (k->floor != NULL) {
        rocksdb_release_snapshot(k->db, k->floor);
    }
    for (size_t i = 0; k->db != NULL && i < ROCKS_FAMILIES; i++) {
        rocksdb_column_family_handle_destroy(k->handles[i]);
    }
    if (k->db != NULL) {
        rocksdb_close(k->db);
    }
    for (size_t i = 0; i < ROCKS_FAMILIES; i++) {
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
    (void)pthread_mutex_destroy(&k->lock);
    sf_free(k);
}

/* The log that was there is in tables by now, so that its stamps are of no use any more. */
static enum sf_code begin_life(struct kv_rocks *k, const char *boot, struct sf_error *err)
{
    struct wal_life life = {.life = 0};
    enum sf_code code;

    while (life.life == 0) {
        sf_random_bytes(&life.life, sizeof(life.life));
    }
    if (boot != NULL) {
        (void)snprintf(life.boot, sizeof(life.boot), "%s", boot);
    }
    k->stamp.life = life.life;
    code = manifest_tail_note(k->dir.path, &life, err);
    return code != SF_OK ? code : wal_life_write(k->dir.path, &life, err);
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
    rocks_crc_check();
    k->cache = rocks_cache(options->cache_bytes);
    k->read = rocksdb_readoptions_create();
    for (size_t i = 0; i < SF_COUNT(k->write); i++) {
        k->write[i] = rocksdb_writeoptions_create();
    }
    rocksdb_writeoptions_set_sync(k->write[KV_SYNC], 1);
    /* What is in memory only is flushed when RocksDB is closed; its default. */
    rocksdb_writeoptions_disable_WAL(k->write[KV_VOLATILE], 1);
    for (size_t i = 0; i < ROCKS_FAMILIES; i++) {
        k->tables[i] = rocks_table_options(i, k->cache);
        k->options[i] = rocks_family_options(i, k->tables[i], options, &text);
        if (k->options[i] == NULL) {
            return rocks_raise(text, "options", err);
        }
        rocksdb_options_set_create_if_missing(k->options[i], is_new);
        if (options->wal_dir != NULL) {
            rocksdb_options_set_wal_dir(k->options[i], options->wal_dir);
        }
    }
    if (k->read_only) {
        k->db = rocksdb_open_for_read_only_column_families(
            k->options[KV_FAMILY_COUNT], path, ROCKS_FAMILIES, family_names,
            (const rocksdb_options_t *const *)k->options, k->handles,
            /* error_if_wal_file_exists= */ 0, &text);
    } else {
        k->db = rocksdb_open_column_families(
            k->options[KV_FAMILY_COUNT], path, ROCKS_FAMILIES, family_names,
            (const rocksdb_options_t *const *)k->options, k->handles, &text);
    }
    code = rocks_raise(text, "open", err);
    if (code == SF_OK && !k->read_only) {
        rocks_floor_raise(k);
        code = wal_sync_new(k->db, on_left, k, &k->sync, err);
    }
    return code == SF_OK && !k->read_only ? begin_life(k, options->boot, err) : code;
}

enum sf_code kv_rocks_open(const char *path, const struct kv_rocks_options *options,
                           struct kv **ret, struct sf_error *err)
{
    static const struct kv_ops ops = {
        .batch_new = rocks_batch_new,
        .write = rocks_write,
        .write_both = rocks_write_both,
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
    (void)pthread_mutex_init(&k->lock, NULL);
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
    rocksdb_cache_set_capacity(rocks_self(kv)->cache, bytes);
}

struct kv_rocks_memory kv_rocks_memory(struct kv *kv)
{
    struct kv_rocks *k = rocks_self(kv);
    struct kv_rocks_memory m = {.cache_bytes = rocksdb_cache_get_usage(k->cache)};

    for (size_t i = 0; i < ROCKS_FAMILIES; i++) {
        uint64_t bytes = 0;

        if (rocksdb_property_int_cf(k->db, k->handles[i], "rocksdb.size-all-mem-tables", &bytes) ==
            0) {
            m.buffer_bytes += bytes;
        }
    }
    return m;
}
