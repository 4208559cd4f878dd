#include "leaf/store/rocks_private.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/base/list.h"

enum {
    MULTI_GET_MAX = 256,  /* keys of one call down; bounds what is on the stack */
    BLOCK_CACHE_TIER = 1, /* rocksdb::ReadTier: memtables and the block cache */
};

struct rocks_iter {
    struct kv_iter iter;
    rocksdb_iterator_t *it;
    rocksdb_readoptions_t *read;
    uint8_t bounds[]; /* from, then to: RocksDB keeps pointers */
};

/* Options of one read; @snapshot may be NULL. */
static rocksdb_readoptions_t *read_options(const struct kv_snapshot *snapshot)
{
    rocksdb_readoptions_t *r = rocksdb_readoptions_create();

    if (snapshot != NULL) {
        rocksdb_readoptions_set_snapshot(
            r, ((const struct rocks_snapshot *)(const void *)snapshot)->s);
    }
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
    code = rocks_raise(text, "get", err);
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

enum sf_code rocks_get(struct kv *kv, const struct kv_snapshot *snapshot, enum kv_family f,
                       struct sf_slice key, struct sf_buf *value, bool *found, struct sf_error *err)
{
    return get_with(rocks_self(kv), read_options(snapshot), f, key, value, found, err);
}

enum sf_code rocks_get_from_memory(struct kv *kv, const struct kv_snapshot *snapshot,
                                   enum kv_family f, struct sf_slice key, struct sf_buf *value,
                                   bool *found, struct sf_error *err)
{
    rocksdb_readoptions_t *read = read_options(snapshot);

    rocksdb_readoptions_set_read_tier(read, BLOCK_CACHE_TIER);
    return get_with(rocks_self(kv), read, f, key, value, found, err);
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
        enum sf_code one = rocks_raise(texts[i], "multi-get", code == SF_OK ? err : NULL);

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
    rocks_note_obsolete(k, found); /* Who looks up many values is about to replace them. */
    return code;
}

enum sf_code rocks_multi_get(struct kv *kv, enum kv_family f, const struct sf_slice *keys,
                             size_t count, kv_value_cb on_value, void *data, struct sf_error *err)
{
    enum sf_code code = SF_OK;

    for (size_t i = 0; i < count && code == SF_OK; i += MULTI_GET_MAX) {
        size_t some = count - i < MULTI_GET_MAX ? count - i : MULTI_GET_MAX;

        code = multi_get_some(rocks_self(kv), f, keys, i, some, on_value, data, err);
    }
    return code;
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
    return rocks_raise(text, "iterate", err);
}

static void rocks_iter_free(struct kv_iter *iter)
{
    struct rocks_iter *it = SF_CONTAINER_OF(iter, struct rocks_iter, iter);

    rocksdb_iter_destroy(it->it);
    rocksdb_readoptions_destroy(it->read);
    sf_free(it);
}

enum sf_code rocks_iter_new(struct kv *kv, const struct kv_snapshot *snapshot, enum kv_family f,
                            const struct kv_range *range, struct kv_iter **ret,
                            struct sf_error *err)
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
    struct kv_rocks *k = rocks_self(kv);
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
