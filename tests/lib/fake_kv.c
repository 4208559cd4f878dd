#include "tests/lib/fake_kv.h"

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/base/list.h"
#include "proto/errors.h"

struct fake_version {
    struct fake_version *older;
    uint64_t number; /* of the write that made it */
    bool removed;
    bool is_volatile;
    size_t size;
    uint8_t bytes[];
};

struct fake_entry {
    struct fake_version *newest;
    size_t size;
    uint8_t key[];
};

struct fake_kv {
    struct kv kv;
    struct fake_disk *disk;
};

enum fake_op_kind { FAKE_PUT, FAKE_REMOVE, FAKE_REMOVE_RANGE };

struct fake_op {
    enum fake_op_kind kind;
    enum kv_family family;
    size_t key_size;
    size_t value_size; /* of the range: size of its end */
};

struct fake_batch {
    struct kv_batch batch;
    struct fake_disk *disk;
    struct sf_buf ops; /* struct fake_op, key, value, and again */
};

struct fake_iter {
    struct kv_iter iter;
    struct fake_disk *disk;
    enum kv_family family;
    uint64_t number; /* newest write it sees */
    struct fake_entry *at;
    const struct fake_version *version; /* NULL: not valid */
    struct sf_error failed;
    size_t from_size;
    size_t to_size;
    uint8_t bounds[];
};

static struct fake_disk *disk_of(struct kv *kv)
{
    return SF_CONTAINER_OF(kv, struct fake_kv, kv)->disk;
}

/* Whether the call that counts down *@in fails now. */
static bool fails(struct fake_disk *d, unsigned *in)
{
    if (*in == 0) {
        return false;
    }
    if (*in == 1) {
        *in = d->fail_on ? 1 : 0;
        return true;
    }
    --*in;
    return false;
}

static enum sf_code injected(const struct fake_disk *d, struct sf_error *err)
{
    enum sf_code code = d->fail_code == SF_OK ? SF_IO : d->fail_code;

    return SF_RAISE_E(err, code, SHEAF_E_STORE_FAILED, "injected");
}

static bool read_fails(struct fake_disk *d, struct sf_error *err)
{
    d->reads++;
    if (fails(d, &d->fail_read_in)) {
        (void)injected(d, err);
        return true;
    }
    return false;
}

/* --- entries --- */

static struct sf_slice entry_key(const struct fake_entry *e)
{
    return sf_slice_of(e->key, e->size);
}

/* Index of the first entry whose key is not below @key. */
static size_t lower_bound(const struct fake_disk *d, enum kv_family f, struct sf_slice key)
{
    size_t low = 0;
    size_t high = d->families[f].count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (sf_slice_compare(entry_key(d->families[f].entries[middle]), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct fake_entry *find_entry(const struct fake_disk *d, enum kv_family f,
                                     struct sf_slice key)
{
    size_t i = lower_bound(d, f, key);

    if (i < d->families[f].count && sf_slice_equal(entry_key(d->families[f].entries[i]), key)) {
        return d->families[f].entries[i];
    }
    return NULL;
}

/* What a reader at @number sees of @e; NULL: nothing. */
static struct fake_version *seen(const struct fake_entry *e, uint64_t number)
{
    struct fake_version *v = e == NULL ? NULL : e->newest;

    while (v != NULL && v->number > number) {
        v = v->older;
    }
    return v != NULL && !v->removed ? v : NULL;
}

static enum sf_code no_memory(struct sf_error *err)
{
    return SF_RAISE(err, SF_NOMEM, "fake kv");
}

/* Finds the entry of @key, or makes one without versions. NULL: out of memory. */
static struct fake_entry *make_entry(struct fake_disk *d, enum kv_family f, struct sf_slice key)
{
    size_t i = lower_bound(d, f, key);
    struct fake_entry *e = find_entry(d, f, key);

    if (e != NULL) {
        return e;
    }
    if (d->families[f].count == d->families[f].capacity) {
        size_t capacity = d->families[f].capacity * 2 + 64;
        struct fake_entry **entries =
            sf_realloc(d->families[f].entries, capacity, sizeof(struct fake_entry *));

        if (entries == NULL) {
            return NULL;
        }
        d->families[f].entries = entries;
        d->families[f].capacity = capacity;
    }
    e = sf_alloc(sizeof(*e) + key.size);
    if (e == NULL) {
        return NULL;
    }
    e->newest = NULL;
    e->size = key.size;
    if (key.size > 0) {
        memcpy(e->key, key.data, key.size);
    }
    memmove(&d->families[f].entries[i + 1], &d->families[f].entries[i],
            (d->families[f].count - i) * sizeof(struct fake_entry *));
    d->families[f].entries[i] = e;
    d->families[f].count++;
    return e;
}

/* What all versions of one write have in common. */
struct fake_stamp {
    uint64_t number;
    bool is_volatile;
};

static enum sf_code add_version(struct fake_disk *d, const struct fake_op *op, struct sf_slice key,
                                struct sf_slice value, struct fake_stamp stamp,
                                struct sf_error *err)
{
    struct fake_entry *e = make_entry(d, op->family, key);
    struct fake_version *v = e == NULL ? NULL : sf_alloc(sizeof(*v) + value.size);

    if (v == NULL) {
        return no_memory(err);
    }
    v->older = e->newest;
    v->number = stamp.number;
    v->removed = op->kind != FAKE_PUT;
    v->is_volatile = stamp.is_volatile;
    v->size = value.size;
    if (value.size > 0) {
        memcpy(v->bytes, value.data, value.size);
    }
    e->newest = v;
    return SF_OK;
}

/* Forgets the versions behind @kept, or when volatile behind @flushed. */
static void drop_after(struct fake_disk *d, uint64_t kept, uint64_t flushed)
{
    for (int f = 0; f < KV_FAMILY_COUNT; f++) {
        for (size_t i = 0; i < d->families[f].count; i++) {
            struct fake_version **at = &d->families[f].entries[i]->newest;

            while (*at != NULL) {
                struct fake_version *v = *at;

                uint64_t stays = d->moved[f] > flushed ? d->moved[f] : flushed;

                if (v->number > (v->is_volatile ? stays : kept)) {
                    *at = v->older;
                    sf_free(v);
                } else {
                    at = &v->older;
                }
            }
        }
    }
}

/* --- batches --- */

static void batch_add(struct kv_batch *batch, enum fake_op_kind kind, enum kv_family f,
                      struct kv_parts key, struct kv_parts value)
{
    struct fake_batch *b = SF_CONTAINER_OF(batch, struct fake_batch, batch);
    struct fake_op op = {kind, f, key.a.size + key.b.size, value.a.size + value.b.size};

    sf_buf_append(&b->ops, &op, sizeof(op));
    sf_buf_slice(&b->ops, key.a);
    sf_buf_slice(&b->ops, key.b);
    sf_buf_slice(&b->ops, value.a);
    sf_buf_slice(&b->ops, value.b);
}

static void fake_put(struct kv_batch *b, enum kv_family f, struct kv_parts key,
                     struct kv_parts value)
{
    batch_add(b, FAKE_PUT, f, key, value);
}

static void fake_remove(struct kv_batch *b, enum kv_family f, struct sf_slice key)
{
    batch_add(b, FAKE_REMOVE, f, kv_one(key), (struct kv_parts){0});
}

static void fake_remove_range(struct kv_batch *b, enum kv_family f, struct sf_slice from,
                              struct sf_slice to)
{
    batch_add(b, FAKE_REMOVE_RANGE, f, kv_one(from), kv_one(to));
}

static void fake_clear(struct kv_batch *batch)
{
    sf_buf_clear(&SF_CONTAINER_OF(batch, struct fake_batch, batch)->ops);
}

static void fake_batch_free(struct kv_batch *batch)
{
    struct fake_batch *b = SF_CONTAINER_OF(batch, struct fake_batch, batch);

    b->disk->open_things--;
    sf_buf_done(&b->ops);
    sf_free(b);
}

static enum sf_code fake_batch_new(struct kv *kv, struct kv_batch **ret, struct sf_error *err)
{
    static const struct kv_batch_ops ops = {
        .put = fake_put,
        .remove = fake_remove,
        .remove_range = fake_remove_range,
        .clear = fake_clear,
        .free = fake_batch_free,
    };
    struct fake_batch *b = sf_calloc(1, sizeof(*b));

    if (b == NULL) {
        return no_memory(err);
    }
    b->batch.ops = &ops;
    b->disk = disk_of(kv);
    b->disk->open_things++;
    *ret = &b->batch;
    return SF_OK;
}

static enum sf_code apply_op(struct fake_disk *d, const struct fake_op *op, struct sf_slice key,
                             struct sf_slice value, struct fake_stamp stamp, struct sf_error *err)
{
    enum sf_code code = SF_OK;
    size_t i;

    if (op->kind != FAKE_REMOVE_RANGE) {
        return add_version(d, op, key, value, stamp, err);
    }
    for (i = lower_bound(d, op->family, key); code == SF_OK && i < d->families[op->family].count;
         i++) {
        struct sf_slice found = entry_key(d->families[op->family].entries[i]);

        if (sf_slice_compare(found, value) >= 0) {
            break;
        }
        code = add_version(d, op, found, (struct sf_slice){0}, stamp, err);
    }
    return code;
}

static enum sf_code apply_batch(struct fake_disk *d, const struct fake_batch *b, bool is_volatile,
                                struct sf_error *err)
{
    struct fake_stamp stamp = {d->writes + 1, is_volatile};
    enum sf_code code = sf_buf_check(&b->ops, "fake batch", err);

    for (size_t at = 0; code == SF_OK && at < b->ops.size;) {
        struct fake_op op;
        struct sf_slice key;

        memcpy(&op, b->ops.data + at, sizeof(op));
        key = sf_slice_of(b->ops.data + at + sizeof(op), op.key_size);
        code = apply_op(d, &op, key, sf_slice_of(key.data + key.size, op.value_size), stamp, err);
        at += sizeof(op) + op.key_size + op.value_size;
    }
    if (code != SF_OK) {
        drop_after(d, d->writes, d->writes);
    }
    return code;
}

static enum sf_code fake_write(struct kv *kv, struct kv_batch *batch, enum kv_durability durability,
                               struct sf_error *err)
{
    struct fake_disk *d = disk_of(kv);
    bool fail = fails(d, &d->fail_write_in);
    enum sf_code code = SF_OK;

    if (!fail || d->fail_applies) {
        code = apply_batch(d, SF_CONTAINER_OF(batch, struct fake_batch, batch),
                           durability == KV_VOLATILE, err);
    }
    if (code == SF_OK && (!fail || d->fail_applies)) {
        d->writes++;
        d->syncs += durability == KV_SYNC ? 1 : 0;
        d->durable = durability == KV_SYNC ? d->writes : d->durable;
    }
    return fail ? injected(d, err) : code;
}

static enum sf_code fake_write_both(struct kv *kv, struct kv_batch *batch, enum kv_durability d,
                                    struct kv_batch *after, struct sf_error *err)
{
    const enum sf_code code = fake_write(kv, batch, d, err);

    if (code == SF_OK && fake_write(kv, after, KV_VOLATILE, err) != SF_OK) {
        return kv_half_written(err);
    }
    return code;
}

/* --- reads --- */

static uint64_t number_of(const struct fake_disk *d, const struct kv_snapshot *snapshot)
{
    return snapshot == NULL ? d->writes : *(const uint64_t *)(const void *)snapshot;
}

static enum sf_code fake_get(struct kv *kv, const struct kv_snapshot *snapshot, enum kv_family f,
                             struct sf_slice key, struct sf_buf *value, bool *found,
                             struct sf_error *err)
{
    struct fake_disk *d = disk_of(kv);
    const struct fake_version *v;
    enum sf_code code = SF_OK;

    if (read_fails(d, err)) {
        return d->fail_code == SF_OK ? SF_IO : d->fail_code;
    }
    v = seen(find_entry(d, f, key), number_of(d, snapshot));
    if (v != NULL) {
        sf_buf_clear(value);
        sf_buf_append(value, v->bytes, v->size);
        code = sf_buf_check(value, "value", err);
    }
    if (code == SF_OK) {
        *found = v != NULL;
    }
    return code;
}

static enum sf_code fake_get_from_memory(struct kv *kv, const struct kv_snapshot *snapshot,
                                         enum kv_family f, struct sf_slice key,
                                         struct sf_buf *value, bool *found, struct sf_error *err)
{
    return disk_of(kv)->cold ? SF_RAISE(err, SF_BUSY, "not in memory")
                             : fake_get(kv, snapshot, f, key, value, found, err);
}

static enum sf_code fake_multi_get(struct kv *kv, enum kv_family f, const struct sf_slice *keys,
                                   size_t count, kv_value_cb on_value, void *data,
                                   struct sf_error *err)
{
    struct fake_disk *d = disk_of(kv);

    if (read_fails(d, err)) {
        return d->fail_code == SF_OK ? SF_IO : d->fail_code;
    }
    d->keys_read += count;
    for (size_t i = count; i > 0; i--) { /* "in any order" */
        const struct fake_version *v = seen(find_entry(d, f, keys[i - 1]), d->writes);
        struct sf_slice value = v == NULL ? (struct sf_slice){0} : sf_slice_of(v->bytes, v->size);

        on_value(data, i - 1, v == NULL ? NULL : &value);
    }
    return SF_OK;
}

static enum sf_code fake_snapshot_new(struct kv *kv, struct kv_snapshot **ret, struct sf_error *err)
{
    struct fake_disk *d = disk_of(kv);
    uint64_t *number;

    if (read_fails(d, err)) {
        return d->fail_code == SF_OK ? SF_IO : d->fail_code;
    }
    number = sf_alloc(sizeof(*number));
    if (number == NULL) {
        return no_memory(err);
    }
    *number = d->writes;
    d->open_things++;
    *ret = (struct kv_snapshot *)(void *)number;
    return SF_OK;
}

static void fake_snapshot_free(struct kv *kv, struct kv_snapshot *snapshot)
{
    disk_of(kv)->open_things--;
    sf_free(snapshot);
}

/* --- iterators --- */

static struct fake_iter *self(struct kv_iter *it)
{
    return SF_CONTAINER_OF(it, struct fake_iter, iter);
}

static const struct fake_iter *self_const(const struct kv_iter *it)
{
    return (const struct fake_iter *)(const void *)it;
}
_Static_assert(offsetof(struct fake_iter, iter) == 0, "self_const() relies on it");

static bool in_bounds(const struct fake_iter *it, struct sf_slice key)
{
    struct sf_slice from = sf_slice_of(it->bounds, it->from_size);
    struct sf_slice to = sf_slice_of(it->bounds + it->from_size, it->to_size);

    return sf_slice_compare(key, from) >= 0 && (to.size == 0 || sf_slice_compare(key, to) < 0);
}

/* Takes the first entry from index @i on, in steps of @by, that is there and in bounds. */
static void take_from(struct fake_iter *it, size_t i, int by)
{
    it->version = NULL;
    if (it->failed.code != SF_OK || read_fails(it->disk, &it->failed)) {
        return;
    }
    /* Below 0 wraps to above the count. */
    for (; i < it->disk->families[it->family].count; i += (size_t)by) {
        struct fake_entry *e = it->disk->families[it->family].entries[i];
        const struct fake_version *v = seen(e, it->number);

        if (v != NULL && in_bounds(it, entry_key(e))) {
            it->at = e;
            it->version = v;
            return;
        }
    }
}

static void fake_first(struct kv_iter *it)
{
    take_from(self(it), 0, 1);
}

static void fake_last(struct kv_iter *it)
{
    take_from(self(it), self(it)->disk->families[self(it)->family].count - 1, -1);
}

static void fake_seek(struct kv_iter *it, struct sf_slice key)
{
    take_from(self(it), lower_bound(self(it)->disk, self(it)->family, key), 1);
}

static void fake_seek_back(struct kv_iter *it, struct sf_slice key)
{
    size_t i = lower_bound(self(it)->disk, self(it)->family, key);

    take_from(self(it), find_entry(self(it)->disk, self(it)->family, key) != NULL ? i : i - 1, -1);
}

static void fake_next(struct kv_iter *it)
{
    sf_assert(self(it)->version != NULL);
    take_from(self(it), lower_bound(self(it)->disk, self(it)->family, entry_key(self(it)->at)) + 1,
              1);
}

static void fake_prev(struct kv_iter *it)
{
    sf_assert(self(it)->version != NULL);
    take_from(self(it), lower_bound(self(it)->disk, self(it)->family, entry_key(self(it)->at)) - 1,
              -1);
}

static bool fake_valid(const struct kv_iter *it)
{
    return self_const(it)->version != NULL;
}

static struct sf_slice fake_key(const struct kv_iter *it)
{
    return entry_key(self_const(it)->at);
}

static struct sf_slice fake_value(const struct kv_iter *it)
{
    return sf_slice_of(self_const(it)->version->bytes, self_const(it)->version->size);
}

static enum sf_code fake_check(const struct kv_iter *it, struct sf_error *err)
{
    if (self_const(it)->failed.code == SF_OK) {
        return SF_OK;
    }
    if (err != NULL) {
        *err = self_const(it)->failed;
    }
    return self_const(it)->failed.code;
}

static void fake_iter_free(struct kv_iter *it)
{
    self(it)->disk->open_things--;
    sf_free(self(it));
}

static enum sf_code fake_iter_new(struct kv *kv, const struct kv_snapshot *snapshot,
                                  enum kv_family f, const struct kv_range *range,
                                  struct kv_iter **ret, struct sf_error *err)
{
    static const struct kv_iter_ops ops = {
        .first = fake_first,
        .last = fake_last,
        .seek = fake_seek,
        .seek_back = fake_seek_back,
        .next = fake_next,
        .prev = fake_prev,
        .valid = fake_valid,
        .key = fake_key,
        .value = fake_value,
        .check = fake_check,
        .free = fake_iter_free,
    };
    struct fake_disk *d = disk_of(kv);
    struct fake_iter *it = sf_alloc(sizeof(*it) + range->from.size + range->to.size);

    if (it == NULL) {
        return no_memory(err);
    }
    *it = (struct fake_iter){
        .iter.ops = &ops,
        .disk = d,
        .family = f,
        .number = number_of(d, snapshot),
        .from_size = range->from.size,
        .to_size = range->to.size,
    };
    if (range->from.size > 0) {
        memcpy(it->bounds, range->from.data, range->from.size);
    }
    if (range->to.size > 0) {
        memcpy(it->bounds + range->from.size, range->to.data, range->to.size);
    }
    d->open_things++;
    *ret = &it->iter;
    return SF_OK;
}

/* --- the rest --- */

static uint64_t fake_approximate_size(struct kv *kv, enum kv_family f, struct sf_slice from,
                                      struct sf_slice to)
{
    struct fake_disk *d = disk_of(kv);
    uint64_t size = 0;

    for (size_t i = lower_bound(d, f, from); i < lower_bound(d, f, to); i++) {
        const struct fake_entry *e = d->families[f].entries[i];
        const struct fake_version *v = seen(e, d->writes);

        size += v == NULL ? 0 : e->size + v->size;
    }
    return size;
}

static enum sf_code fake_flush(struct kv *kv, enum kv_family f, struct sf_error *err)
{
    struct fake_disk *d = disk_of(kv);

    if (fails(d, &d->fail_flush_in)) {
        return injected(d, err);
    }
    d->flushes++;
    d->moved[f] = d->writes;
    return SF_OK;
}

static enum sf_code fake_compact(struct kv *kv, enum kv_family f, struct sf_slice from,
                                 struct sf_slice to, struct sf_error *err)
{
    (void)kv;
    (void)f;
    (void)from;
    (void)to;
    (void)err;
    return SF_OK;
}

/* The newest of each key; all of it is on the new disk for good. */
static enum sf_code fake_checkpoint(struct kv *kv, const char *path, struct sf_error *err)
{
    struct fake_disk *d = disk_of(kv);
    struct fake_disk *to = d->copy_to;
    struct kv *copy = NULL;
    struct kv_batch *b = NULL;
    enum sf_code code;

    (void)path;
    if (fails(d, &d->fail_flush_in) || to == NULL) {
        return injected(d, err);
    }
    d->flushed = d->writes;
    code = fake_kv_open(to, &copy, err);
    if (code != SF_OK) {
        return code;
    }
    code = copy->ops->batch_new(copy, &b, err);
    for (int f = 0; code == SF_OK && f < KV_FAMILY_COUNT; f++) {
        for (size_t i = 0; i < d->families[f].count; i++) {
            const struct fake_entry *e = d->families[f].entries[i];
            const struct fake_version *v = seen(e, d->writes);

            if (v != NULL) {
                b->ops->put(b, (enum kv_family)f, kv_one(entry_key(e)),
                            kv_one(sf_slice_of(v->bytes, v->size)));
            }
        }
    }
    code = code == SF_OK ? copy->ops->write(copy, b, KV_SYNC, err) : code;
    kv_batch_free(b);
    copy->ops->close(copy);
    return code;
}

static enum sf_code fake_space(struct kv *kv, uint64_t *free_bytes, uint64_t *total_bytes,
                               struct sf_error *err)
{
    (void)err;
    *free_bytes = disk_of(kv)->free_bytes;
    *total_bytes = disk_of(kv)->total_bytes;
    return SF_OK;
}

static void fake_close(struct kv *kv)
{
    struct fake_kv *k = SF_CONTAINER_OF(kv, struct fake_kv, kv);

    sf_assert(k->disk->open_things == 0);
    k->disk->open = false;
    if (!k->disk->killed) {
        k->disk->flushed = k->disk->writes;
    }
    sf_free(k);
}

void fake_disk_init(struct fake_disk *d)
{
    *d = (struct fake_disk){
        .free_bytes = UINT64_C(1) << 40,
        .total_bytes = UINT64_C(1) << 40,
    };
}

void fake_disk_done(struct fake_disk *d)
{
    sf_assert(!d->open);
    memset(d->moved, 0, sizeof(d->moved));
    drop_after(d, 0, 0);
    for (int f = 0; f < KV_FAMILY_COUNT; f++) {
        for (size_t i = 0; i < d->families[f].count; i++) {
            sf_free(d->families[f].entries[i]);
        }
        sf_free(d->families[f].entries);
    }
    fake_disk_init(d);
}

enum sf_code fake_kv_open(struct fake_disk *d, struct kv **ret, struct sf_error *err)
{
    static const struct kv_ops ops = {
        .batch_new = fake_batch_new,
        .write = fake_write,
        .write_both = fake_write_both,
        .get = fake_get,
        .get_from_memory = fake_get_from_memory,
        .multi_get = fake_multi_get,
        .snapshot_new = fake_snapshot_new,
        .snapshot_free = fake_snapshot_free,
        .iter_new = fake_iter_new,
        .approximate_size = fake_approximate_size,
        .flush = fake_flush,
        .compact = fake_compact,
        .checkpoint = fake_checkpoint,
        .disk = fake_space,
        .close = fake_close,
    };
    struct fake_kv *k;

    if (d->open) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_DATA_DIR_IN_USE, "the fake disk is in use");
    }
    k = sf_calloc(1, sizeof(*k));
    if (k == NULL) {
        return no_memory(err);
    }
    k->kv.ops = &ops;
    k->disk = d;
    d->open = true;
    *ret = &k->kv;
    return SF_OK;
}

void fake_disk_crash(struct fake_disk *d, uint64_t kept, uint64_t flushed)
{
    sf_assert(!d->open);
    sf_assert(kept >= d->durable && flushed >= d->flushed);
    drop_after(d, kept, flushed);
    memset(d->moved, 0, sizeof(d->moved));
    d->durable = d->writes; /* What is left is on the disk. */
    d->flushed = d->writes;
    d->killed = false;
}

uint8_t *fake_disk_value(struct fake_disk *d, enum kv_family f, struct sf_slice key, size_t *size)
{
    struct fake_version *v = seen(find_entry(d, f, key), d->writes);

    if (v == NULL) {
        return NULL;
    }
    *size = v->size;
    return v->bytes;
}

bool fake_disk_key(const struct fake_disk *d, enum kv_family f, size_t i, struct sf_slice *ret)
{
    for (size_t at = 0; at < d->families[f].count; at++) {
        if (seen(d->families[f].entries[at], d->writes) != NULL && i-- == 0) {
            *ret = entry_key(d->families[f].entries[at]);
            return true;
        }
    }
    return false;
}

void fake_disk_forget(struct fake_disk *d, enum kv_family f, struct sf_slice key)
{
    struct fake_version *v = seen(find_entry(d, f, key), d->writes);

    sf_assert(v != NULL);
    v->removed = true;
}
