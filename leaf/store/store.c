#include "leaf/store/store.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "leaf/store/store_internal.h"
#include "proto/errors.h"

#define MIB ((size_t)1048576)

static void lane_free(struct store_lane *lane)
{
    if (lane == NULL) {
        return;
    }
    sf_free((void *)(uintptr_t)lane->name.product);
    sf_free((void *)(uintptr_t)lane->name.table);
    sf_free(lane->marks);
    sf_free(lane);
}
SF_DEFINE_CLEANUP(struct store_lane, lane_free)

void store_free(struct store *s)
{
    if (s == NULL) {
        return;
    }
    commit_queue_done(s);
    if (s->kv != NULL) {
        s->kv->ops->close(s->kv);
    }
    for (size_t i = 0; i < s->lane_count; i++) {
        lane_free(s->lanes[i]);
    }
    sf_free(s->lanes);
    sf_map_done(&s->by_name);
    sf_free(s);
}
SF_DEFINE_CLEANUP(struct store, store_free)

const char *store_lane_text(const struct store_lane *lane, char *ret, size_t size)
{
    (void)snprintf(ret, size, "%s@%u.%s", lane->name.product, (unsigned)lane->name.major,
                   lane->name.table);
    return ret;
}

/* --- lanes --- */

enum { NAME_KEY_BYTES = 2 * KEYSPACE_NAME_BYTES_MAX + 64 };

/* Product and table names hold no newline. The kind is no part of it. */
static struct sf_slice name_key(const struct store_lane_name *n, char *ret)
{
    int size = snprintf(ret, NAME_KEY_BYTES, "%s\n%s\n%u\n%u", n->product, n->table,
                        (unsigned)n->major, (unsigned)n->partition);

    return sf_slice_of(ret, (size_t)size);
}

/* Adds the lane with the next id. */
static enum sf_code lane_add(struct store *s, const struct store_lane_name *name,
                             struct store_lane **ret, struct sf_error *err)
{
    SF_CLEANUP(lane_freep) struct store_lane *lane = NULL;
    char key[NAME_KEY_BYTES];

    if (s->lane_count == STORE_LANES_MAX) {
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "%d lanes, the most a store holds",
                          STORE_LANES_MAX);
    }
    lane = sf_calloc(1, sizeof(*lane));
    if (lane == NULL) {
        return SF_RAISE(err, SF_NOMEM, "lane");
    }
    lane->name = *name;
    lane->name.product = sf_strdup(name->product);
    lane->name.table = sf_strdup(name->table);
    if (lane->name.product == NULL || lane->name.table == NULL ||
        sf_map_put(&s->by_name, name_key(name, key), lane) != SF_OK) {
        return SF_RAISE(err, SF_NOMEM, "lane");
    }
    lane->id = (uint32_t)s->lane_count + 1;
    s->lanes[lane->id - 1] = lane;
    s->lane_count++; /* From here on other threads may see it. */
    *ret = SF_TAKE(lane);
    return SF_OK;
}

enum sf_code store_lane_open(struct store *s, const struct store_lane_name *name,
                             struct store_lane **ret, struct sf_error *err)
{
    struct store_lane *lane = NULL;
    enum sf_code code;

    if (strlen(name->product) > KEYSPACE_NAME_BYTES_MAX ||
        strlen(name->table) > KEYSPACE_NAME_BYTES_MAX) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_NAME, "name of a lane is over %d bytes",
                          KEYSPACE_NAME_BYTES_MAX);
    }
    lane = store_lane_find(s, name);
    if (lane != NULL) {
        if (lane->name.kind != name->kind) {
            return SF_RAISE(err, SF_CONFLICT, "%s@%u.%s exists with another kind", name->product,
                            (unsigned)name->major, name->table);
        }
        *ret = lane;
        return SF_OK;
    }
    code = lane_add(s, name, &lane, err);
    if (code != SF_OK) {
        return code;
    }
    s->unrecorded++;
    *ret = lane;
    return SF_OK;
}

struct store_lane *store_lane_find(const struct store *s, const struct store_lane_name *name)
{
    char key[NAME_KEY_BYTES];

    if (strlen(name->product) > KEYSPACE_NAME_BYTES_MAX ||
        strlen(name->table) > KEYSPACE_NAME_BYTES_MAX) {
        return NULL;
    }
    return sf_map_find(&s->by_name, name_key(name, key));
}

struct store_lane *store_lane_at(const struct store *s, size_t i)
{
    return i < s->lane_count ? s->lanes[i] : NULL;
}

uint32_t store_lane_id(const struct store_lane *lane)
{
    return lane->id;
}

const struct store_lane_name *store_lane_name(const struct store_lane *lane)
{
    return &lane->name;
}

const struct store_head *store_lane_head(const struct store_lane *lane)
{
    return &lane->head;
}

struct store_held store_lane_held(const struct store_lane *lane)
{
    return (struct store_held){
        .entries = lane->held.entries + lane->coming.entries,
        .bytes = lane->held.bytes + lane->coming.bytes,
    };
}

uint32_t store_epoch(const struct store *s)
{
    return s->epoch;
}

bool store_failed(const struct store *s)
{
    return s->failed;
}

const struct store_options *store_get_options(const struct store *s)
{
    return &s->options;
}

void store_set_disk_reserve(struct store *s, uint64_t bytes)
{
    s->options.disk_reserve_bytes = bytes;
}

const struct sf_error *store_failure(const struct store *s)
{
    return s->failed ? &s->failure : NULL;
}

void store_fail(struct store *s, const struct sf_error *why)
{
    if (!s->failed) {
        s->failed = true;
        s->failure = *why;
    }
}

struct store_stats store_stats(const struct store *s)
{
    struct store_stats stats = s->stats;

    stats.failed = s->failed;
    return stats;
}

/* --- opening --- */

static enum sf_code put_meta(struct store *s, const struct keyspace_key *key, struct sf_slice value,
                             struct sf_error *err)
{
    struct kv_batch *b = s->group.batch;

    b->ops->clear(b);
    b->ops->put(b, KV_META, kv_one(keyspace_view(key)), kv_one(value));
    return s->kv->ops->write(s->kv, b, KV_SYNC, err);
}

/* Only a store without a single record may be given a format. */
static enum sf_code check_is_new(struct store *s, struct sf_error *err)
{
    struct kv_range all = {0};
    SF_CLEANUP(kv_iter_freep) struct kv_iter *it = NULL;
    enum sf_code code = s->kv->ops->iter_new(s->kv, NULL, KV_META, &all, &it, err);

    if (code != SF_OK) {
        return code;
    }
    it->ops->first(it);
    if (it->ops->valid(it)) {
        return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "the store has lost its format");
    }
    return it->ops->check(it, err);
}

static enum sf_code load_format(struct store *s, struct sf_error *err)
{
    struct keyspace_key key = keyspace_meta_format();
    uint8_t ours[4];
    uint8_t first[4];
    struct sf_buf *b = &s->group.bytes_out;
    bool found = false;
    enum sf_code code;

    sf_write_be32(ours, KEYSPACE_FORMAT);
    sf_write_be32(first, 1);
    code = s->kv->ops->get(s->kv, NULL, KV_META, keyspace_view(&key), b, &found, err);
    if (code != SF_OK) {
        return code;
    }
    if (!found) {
        code = s->options.read_only
                   ? SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "the store has no format")
                   : check_is_new(s, err);
        return code == SF_OK ? put_meta(s, &key, sf_slice_of(ours, sizeof(ours)), err) : code;
    }
    if (sf_slice_equal(sf_buf_view(b), sf_slice_of(first, sizeof(first)))) {
        return store_upgrade_from_1(s, err);
    }
    if (!sf_slice_equal(sf_buf_view(b), sf_slice_of(ours, sizeof(ours)))) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_DATA_DIR_VERSION,
                          "the store has another format than %d", KEYSPACE_FORMAT);
    }
    return SF_OK;
}

enum sf_code store_raise_epoch(struct store *s, uint32_t at_least, struct sf_error *err)
{
    struct keyspace_key key = keyspace_meta_commit();
    struct keyspace_commit next = s->last;
    uint8_t record[KEYSPACE_COMMIT_BYTES];
    enum sf_code code;

    next.epoch = at_least > s->epoch ? at_least : s->epoch + 1;
    keyspace_commit_encode(&next, record);
    code = put_meta(s, &key, sf_slice_of(record, sizeof(record)), err);
    if (code == SF_OK) {
        s->last = next;
        s->epoch = next.epoch;
    }
    return code;
}

static enum sf_code load_commit(struct store *s, struct sf_error *err)
{
    struct keyspace_key key = keyspace_meta_commit();
    struct sf_buf *b = &s->group.bytes_out;
    bool found = false;
    enum sf_code code;

    s->last.epoch = 1;
    code = s->kv->ops->get(s->kv, NULL, KV_META, keyspace_view(&key), b, &found, err);
    if (code == SF_OK && found) {
        code = keyspace_commit_decode(sf_buf_view(b), &s->last, err);
    }
    s->epoch = s->last.epoch;
    return code == SF_OK && s->options.raise_epoch ? store_raise_epoch(s, 0, err) : code;
}

static enum sf_code load_lane(struct store *s, uint32_t id, struct sf_slice record,
                              struct sf_error *err)
{
    char product_text[KEYSPACE_NAME_BYTES_MAX + 1];
    char table_text[KEYSPACE_NAME_BYTES_MAX + 1];
    struct store_lane_name name = {.product = product_text, .table = table_text};
    struct sf_slice product;
    struct sf_slice table;
    struct store_lane *lane = NULL;
    enum sf_code code = keyspace_lane_decode(record, &name, &product, &table, err);

    if (code != SF_OK) {
        return code;
    }
    if (id != s->lane_count + 1 || product.size > KEYSPACE_NAME_BYTES_MAX ||
        table.size > KEYSPACE_NAME_BYTES_MAX) {
        return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "record of lane %u is damaged",
                          (unsigned)id);
    }
    (void)snprintf(product_text, sizeof(product_text), "%.*s", SF_SLICE_ARG(product));
    (void)snprintf(table_text, sizeof(table_text), "%.*s", SF_SLICE_ARG(table));
    code = lane_add(s, &name, &lane, err);
    if (code == SF_OK) {
        lane->recorded = true;
        lane->named = true;
    }
    return code;
}

static enum sf_code load_lanes(struct store *s, struct sf_error *err)
{
    struct keyspace_key from = keyspace_meta_lane(0);
    struct keyspace_key to = keyspace_meta_lane(UINT32_MAX);
    struct kv_range range = {.from = keyspace_view(&from), .to = keyspace_view(&to)};
    SF_CLEANUP(kv_iter_freep) struct kv_iter *it = NULL;
    enum sf_code code = s->kv->ops->iter_new(s->kv, NULL, KV_META, &range, &it, err);

    if (code != SF_OK) {
        return code;
    }
    for (it->ops->first(it); it->ops->valid(it); it->ops->next(it)) {
        struct sf_slice key = it->ops->key(it);

        code = load_lane(s, sf_read_be32(key.data + 1), it->ops->value(it), err);
        if (code != SF_OK) {
            return code;
        }
    }
    return it->ops->check(it, err);
}

static enum sf_code load_head(struct store *s, struct store_lane *lane, struct sf_error *err)
{
    struct keyspace_key key = keyspace_meta_head(lane->id);
    struct sf_buf *b = &s->group.bytes_out;
    bool found = false;
    enum sf_code code = s->kv->ops->get(s->kv, NULL, KV_META, keyspace_view(&key), b, &found, err);

    if (code != SF_OK) {
        return code;
    }
    if (!found) {
        return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "lane %u has no head",
                          (unsigned)lane->id);
    }
    code = keyspace_head_decode(sf_buf_view(b), &lane->head, err);
    lane->tip = lane->head;
    return code;
}

/* Entries of a store that did not count them yet. */
static enum sf_code count_held(struct store *s, struct store_lane *lane, struct sf_error *err)
{
    struct keyspace_key from = keyspace_lane(lane->id);
    struct keyspace_key to = keyspace_lane(lane->id + 1);
    struct kv_range range = {.from = keyspace_view(&from), .to = keyspace_view(&to)};
    SF_CLEANUP(kv_iter_freep) struct kv_iter *it = NULL;
    enum sf_code code = s->kv->ops->iter_new(s->kv, NULL, KV_QUARANTINE, &range, &it, err);

    if (code != SF_OK) {
        return code;
    }
    for (it->ops->first(it); it->ops->valid(it); it->ops->next(it)) {
        lane->held.entries++;
        lane->held.bytes += it->ops->value(it).size;
    }
    return it->ops->check(it, err);
}

static enum sf_code load_held(struct store *s, struct store_lane *lane, struct sf_error *err)
{
    struct keyspace_key key = keyspace_meta_held(lane->id);
    struct sf_buf *b = &s->group.bytes_out;
    bool found = false;
    enum sf_code code = SF_OK;

    if (lane->head.quarantined > 0) {
        code = s->kv->ops->get(s->kv, NULL, KV_META, keyspace_view(&key), b, &found, err);
    }
    if (code == SF_OK && found) {
        code = keyspace_held_decode(sf_buf_view(b), &lane->held, err);
    } else if (code == SF_OK && lane->head.quarantined > 0) {
        code = count_held(s, lane, err);
    }
    lane->tip_held = lane->held;
    return code;
}

static enum sf_code load_window(struct store *s, struct store_lane *lane, struct sf_error *err)
{
    struct keyspace_key key = keyspace_meta_window(lane->id);
    struct sf_buf *b = &s->group.bytes_out;
    bool found = false;
    enum sf_code code = s->kv->ops->get(s->kv, NULL, KV_META, keyspace_view(&key), b, &found, err);

    return code == SF_OK && found ? keyspace_window_decode(sf_buf_view(b), &lane->tip_window, err)
                                  : code;
}

/* The highest key of a state lane: keys above it need not be looked up. */
static enum sf_code load_max_key(struct store *s, struct store_lane *lane, struct sf_error *err)
{
    struct keyspace_key from = keyspace_lane(lane->id);
    struct keyspace_key to = keyspace_lane(lane->id + 1);
    struct kv_range range = {.from = keyspace_view(&from), .to = keyspace_view(&to)};
    SF_CLEANUP(kv_iter_freep) struct kv_iter *it = NULL;
    enum sf_code code = s->kv->ops->iter_new(s->kv, NULL, KV_STATE, &range, &it, err);

    if (code != SF_OK) {
        return code;
    }
    it->ops->last(it);
    if (it->ops->valid(it)) {
        struct sf_slice key = it->ops->key(it);

        if (key.size <= 4 || key.size > KEYSPACE_KEY_BYTES_MAX) {
            return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "lane %u: key is damaged",
                              (unsigned)lane->id);
        }
        lane->max_key_size = key.size - 4;
        memcpy(lane->max_key, key.data + 4, lane->max_key_size);
    }
    return it->ops->check(it, err);
}

/* Frames of lanes that were not loaded, or lanes that committed under no record of a commit. */
static enum sf_code check_complete(struct store *s, struct sf_error *err)
{
    struct kv_range all = {0};
    SF_CLEANUP(kv_iter_freep) struct kv_iter *it = NULL;
    enum sf_code code;

    for (size_t i = 0; i < s->lane_count; i++) {
        if (s->lanes[i]->head.commit > s->last.commit) {
            return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT,
                              "the record of the last commit is missing");
        }
    }
    code = s->kv->ops->iter_new(s->kv, NULL, KV_LOG, &all, &it, err);
    if (code != SF_OK) {
        return code;
    }
    it->ops->last(it);
    if (it->ops->valid(it) && sf_read_be32(it->ops->key(it).data) > s->lane_count) {
        return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT,
                          "a lane is stored that has no name");
    }
    return it->ops->check(it, err);
}

void store_view_close(struct store *s)
{
    sf_assert(s == NULL || (s->options.read_only && atomic_load(&s->readers) == 0));
    store_free(s);
}

static enum sf_code load(struct store *s, struct sf_error *err)
{
    enum sf_code code = s->kv->ops->batch_new(s->kv, &s->group.batch, err);

    code = code == SF_OK ? s->kv->ops->batch_new(s->kv, &s->group.rows, err) : code;
    code = code == SF_OK ? load_format(s, err) : code;
    code = code == SF_OK ? load_commit(s, err) : code;
    code = code == SF_OK ? load_lanes(s, err) : code;
    code = code == SF_OK ? upkeep_load(s, err) : code;
    for (size_t i = 0; code == SF_OK && i < s->lane_count; i++) {
        code = load_head(s, s->lanes[i], err);
        code = code == SF_OK ? load_held(s, s->lanes[i], err) : code;
        code = code == SF_OK ? load_window(s, s->lanes[i], err) : code;
        code = code == SF_OK ? store_check_tail(s, s->lanes[i], err) : code;
        if (s->options.read_only) {
            continue;
        }
        code = code == SF_OK ? store_replay_lane(s, s->lanes[i], err) : code;
        if (code == SF_OK && s->lanes[i]->name.kind == STORE_STATE) {
            code = load_max_key(s, s->lanes[i], err);
        }
    }
    return code == SF_OK ? check_complete(s, err) : code;
}

static void set_options(struct store *s, const struct store_options *options)
{
    struct store_options *o = &s->options;

    if (options != NULL) {
        *o = *options;
    }
    o->queue_bytes_max = o->queue_bytes_max == 0 ? 64 * MIB : o->queue_bytes_max;
    o->queue_writes_max = o->queue_writes_max == 0 ? 4096 : o->queue_writes_max;
    o->group_bytes_max = o->group_bytes_max == 0 ? 16 * MIB : o->group_bytes_max;
    o->positions_bytes = o->positions_bytes == 0 ? 32 * MIB : o->positions_bytes;
}

enum sf_code store_open(struct sf_rt *rt, struct kv *kv, const struct store_options *options,
                        struct store **ret, struct sf_error *err)
{
    SF_CLEANUP(store_freep) struct store *s = sf_calloc(1, sizeof(*s));
    enum sf_code code;

    if (s == NULL) {
        kv->ops->close(kv);
        return SF_RAISE(err, SF_NOMEM, "store");
    }
    s->rt = rt;
    s->kv = kv;
    set_options(s, options);
    commit_queue_init(s);
    s->lanes = sf_calloc(STORE_LANES_MAX, sizeof(struct store_lane *));
    if (s->lanes == NULL) {
        return SF_RAISE(err, SF_NOMEM, "lanes");
    }
    code = s->options.read_only
               ? SF_OK
               : positions_new(s->options.positions_bytes, &s->group.positions, err);
    code = code == SF_OK ? load(s, err) : code;
    if (code != SF_OK) {
        return code;
    }
    sf_buf_clear(&s->group.bytes_out);
    *ret = SF_TAKE(s);
    return SF_OK;
}
