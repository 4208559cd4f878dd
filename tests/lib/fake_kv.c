#include "tests/lib/fake_kv.h"

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/base/list.h"
#include "proto/errors.h"
#include "tests/lib/fake_entries.h"

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

static enum sf_code no_memory(struct sf_error *err)
{
    return SF_RAISE(err, SF_NOMEM, "fake kv");
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
        return fake_entries_add(d, op->family, key, op->kind == FAKE_PUT ? &value : NULL, stamp,
                                err);
    }
    for (i = fake_entries_from(d, op->family, key);
         code == SF_OK && i < d->families[op->family].count; i++) {
        struct sf_slice found = fake_entry_key(d->families[op->family].entries[i]);

        if (sf_slice_compare(found, value) >= 0) {
            break;
        }
        code = fake_entries_add(d, op->family, found, NULL, stamp, err);
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
        fake_entries_drop_after(d, d->writes, d->writes);
    }
    return code;
}

static enum sf_code write_now(struct fake_disk *d, struct kv_batch *batch,
                              enum kv_durability durability, struct sf_error *err)
{
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

void fake_disk_end_sync(struct fake_disk *d)
{
    struct kv_pending *p = d->pending;
    struct sf_error err = {0};

    if (p == NULL) {
        return;
    }
    d->pending = NULL;
    if (fails(d, &d->fail_sync_in)) {
        d->half_written = true;
        (void)injected(d, &err);
        p->ended(p, kv_half_written(&err), &err);
        return;
    }
    d->syncs++;
    d->durable = d->pending_number;
    d->hidden = 0;
    p->ended(p, SF_OK, NULL);
}

/* What stands against a write, once the one before has ended. */
static enum sf_code check_write(struct fake_disk *d, struct sf_error *err)
{
    fake_disk_end_sync(d);
    return d->half_written ? SF_RAISE_E(err, SF_IO, SHEAF_E_STORE_FAILED, "half written") : SF_OK;
}

static enum sf_code fake_write(struct kv *kv, struct kv_batch *batch, enum kv_durability durability,
                               struct sf_error *err)
{
    struct fake_disk *d = disk_of(kv);
    const enum sf_code code = check_write(d, err);

    return code == SF_OK ? write_now(d, batch, durability, err) : code;
}

static enum sf_code fake_write_both(struct kv *kv, struct kv_batch *batch, enum kv_durability how,
                                    struct kv_batch *after, struct kv_pending *p, bool *pending,
                                    struct sf_error *err)
{
    struct fake_disk *d = disk_of(kv);
    enum sf_code code = check_write(d, err);
    const bool hold = d->hold_syncs && how == KV_SYNC && p != NULL;
    const uint64_t before = d->writes;

    *pending = false;
    code = code == SF_OK ? write_now(d, batch, hold ? KV_PLAIN : how, err) : code;
    if (hold && d->writes > before) {
        d->hidden = before;
        d->half_written = code != SF_OK;
    }
    if (code != SF_OK) {
        return code;
    }
    d->pending_number = d->writes;
    if (write_now(d, after, KV_VOLATILE, err) != SF_OK) {
        d->half_written = true;
        return kv_half_written(err);
    }
    if (hold) {
        d->pending = p;
        *pending = true;
        if (d->on_held != NULL) {
            d->on_held(d->on_held_data);
        }
    }
    return SF_OK;
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
    v = fake_entry_seen(fake_entries_find(d, f, key), number_of(d, snapshot));
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
        const struct fake_version *v =
            fake_entry_seen(fake_entries_find(d, f, keys[i - 1]), d->writes);
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
    *number = d->hidden != 0 ? d->hidden : d->writes;
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
        const struct fake_version *v = fake_entry_seen(e, it->number);

        if (v != NULL && in_bounds(it, fake_entry_key(e))) {
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
    take_from(self(it), fake_entries_from(self(it)->disk, self(it)->family, key), 1);
}

static void fake_seek_back(struct kv_iter *it, struct sf_slice key)
{
    size_t i = fake_entries_from(self(it)->disk, self(it)->family, key);

    take_from(self(it),
              fake_entries_find(self(it)->disk, self(it)->family, key) != NULL ? i : i - 1, -1);
}

static void fake_next(struct kv_iter *it)
{
    sf_assert(self(it)->version != NULL);
    take_from(self(it),
              fake_entries_from(self(it)->disk, self(it)->family, fake_entry_key(self(it)->at)) + 1,
              1);
}

static void fake_prev(struct kv_iter *it)
{
    sf_assert(self(it)->version != NULL);
    take_from(self(it),
              fake_entries_from(self(it)->disk, self(it)->family, fake_entry_key(self(it)->at)) - 1,
              -1);
}

static bool fake_valid(const struct kv_iter *it)
{
    return self_const(it)->version != NULL;
}

static struct sf_slice fake_key(const struct kv_iter *it)
{
    return fake_entry_key(self_const(it)->at);
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

    for (size_t i = fake_entries_from(d, f, from); i < fake_entries_from(d, f, to); i++) {
        const struct fake_entry *e = d->families[f].entries[i];
        const struct fake_version *v = fake_entry_seen(e, d->writes);

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
            const struct fake_version *v = fake_entry_seen(e, d->writes);

            if (v != NULL) {
                b->ops->put(b, (enum kv_family)f, kv_one(fake_entry_key(e)),
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

    sf_assert(k->disk->open_things == 0 && k->disk->pending == NULL);
    k->disk->open = false;
    k->disk->half_written = false;
    k->disk->hidden = 0;
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
    fake_entries_drop_after(d, 0, 0);
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
    fake_entries_drop_after(d, kept, flushed);
    memset(d->moved, 0, sizeof(d->moved));
    d->durable = d->writes; /* What is left is on the disk. */
    d->flushed = d->writes;
    d->killed = false;
}

uint8_t *fake_disk_value(struct fake_disk *d, enum kv_family f, struct sf_slice key, size_t *size)
{
    struct fake_version *v = fake_entry_seen(fake_entries_find(d, f, key), d->writes);

    if (v == NULL) {
        return NULL;
    }
    *size = v->size;
    return v->bytes;
}

bool fake_disk_key(const struct fake_disk *d, enum kv_family f, size_t i, struct sf_slice *ret)
{
    for (size_t at = 0; at < d->families[f].count; at++) {
        if (fake_entry_seen(d->families[f].entries[at], d->writes) != NULL && i-- == 0) {
            *ret = fake_entry_key(d->families[f].entries[at]);
            return true;
        }
    }
    return false;
}

void fake_disk_forget(struct fake_disk *d, enum kv_family f, struct sf_slice key)
{
    struct fake_version *v = fake_entry_seen(fake_entries_find(d, f, key), d->writes);

    sf_assert(v != NULL);
    v->removed = true;
}
