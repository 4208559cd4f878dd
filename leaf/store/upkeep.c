#include "leaf/store/upkeep.h"

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "leaf/store/store_internal.h"
#include "proto/errors.h"

/* --- commit thread --- */

static void put_meta(struct commit_group *g, struct keyspace_key key, const uint8_t *bytes,
                     size_t size)
{
    g->batch->ops->put(g->batch, KV_META, kv_one(keyspace_view(&key)),
                       kv_one(sf_slice_of(bytes, size)));
    g->dirty = true;
}

static void put_anchor(struct commit_group *g, const struct store_upkeep *u)
{
    uint8_t bytes[KEYSPACE_ANCHOR_BYTES];

    keyspace_anchor_encode(&u->anchor, bytes);
    put_meta(g, keyspace_meta_anchor(u->lane->id), bytes, sizeof(bytes));
}

static void apply_mark(struct commit_group *g, struct store_upkeep *u)
{
    uint8_t bytes[KEYSPACE_HEAD_BYTES];

    u->mark = u->lane->tip;
    keyspace_head_encode(&u->mark, bytes);
    put_meta(g, keyspace_meta_mark(u->lane->id, u->mark.seq), bytes, sizeof(bytes));
    /* From this group on; should it fail, rows are kept that nobody needs. */
    u->lane->keep_to = u->mark.seq;
}

static void remove_to(struct commit_group *g, enum kv_family f, const struct store_upkeep *u,
                      uint64_t to)
{
    struct keyspace_key from = keyspace_lane(u->lane->id);
    struct keyspace_key end = keyspace_lane_seq(u->lane->id, to + 1);

    g->batch->ops->remove_range(g->batch, f, keyspace_view(&from), keyspace_view(&end));
    g->dirty = true;
}

static void apply_clear(struct commit_group *g, struct store_upkeep *u)
{
    remove_to(g, KV_LOG, u, u->anchor.seq);
    remove_to(g, KV_OLD, u, u->anchor.seq);
    for (size_t i = 0; i < u->lane->mark_count && u->lane->marks[i].seq <= u->anchor.seq; i++) {
        struct keyspace_key key = keyspace_meta_mark(u->lane->id, u->lane->marks[i].seq);

        g->batch->ops->remove(g->batch, KV_META, keyspace_view(&key));
    }
    put_anchor(g, u);
}

static void remove_lane(struct commit_group *g, enum kv_family f, const struct store_lane *lane)
{
    struct keyspace_key from = keyspace_lane(lane->id);
    struct keyspace_key end = keyspace_lane(lane->id + 1);

    g->batch->ops->remove_range(g->batch, f, keyspace_view(&from), keyspace_view(&end));
}

/* Fingerprints of a lane stand behind the answers. */
static void remove_prints(struct commit_group *g, const struct store_lane *lane)
{
    struct keyspace_key window = keyspace_meta_window(lane->id);
    uint8_t from[5] = {KEYSPACE_PRINT_TAG};
    uint8_t end[5] = {KEYSPACE_PRINT_TAG};

    sf_write_be32(from + 1, lane->id);
    sf_write_be32(end + 1, lane->id + 1);
    g->batch->ops->remove_range(g->batch, KV_IDEM, sf_slice_of(from, sizeof(from)),
                                sf_slice_of(end, sizeof(end)));
    g->batch->ops->remove(g->batch, KV_META, keyspace_view(&window));
}

/*
 * Rows are removed in the batch that is synced, with the head that they show: were they removed
 * with the volatile ones, a power cut would bring them back without a log that says whose they are.
 */
static void apply_purge(struct commit_group *g, struct store_upkeep *u)
{
    const struct store_lane *lane = u->lane;
    struct keyspace_key marks_from = keyspace_meta_mark(lane->id, 0);
    struct keyspace_key marks_to = keyspace_meta_mark(lane->id + 1, 0);
    struct keyspace_key held = keyspace_meta_held(lane->id);
    struct store_head head = lane->tip;
    uint8_t bytes[KEYSPACE_HEAD_BYTES];

    u->removed = 0;
    if (sf_list_linked(&lane->touched)) {
        return; /* It is written to, or not stored yet: there is nothing to purge, or not now. */
    }
    store_places_note_all(g);
    remove_lane(g, KV_STATE, lane);
    remove_lane(g, KV_LOG, lane);
    remove_lane(g, KV_OLD, lane);
    remove_lane(g, KV_QUARANTINE, lane);
    remove_prints(g, lane);
    g->batch->ops->remove_range(g->batch, KV_META, keyspace_view(&marks_from),
                                keyspace_view(&marks_to));
    g->batch->ops->remove(g->batch, KV_META, keyspace_view(&held));
    head.rows = 0;
    keyspace_head_encode(&head, bytes);
    put_meta(g, keyspace_meta_head(lane->id), bytes, sizeof(bytes));
    put_meta(g, keyspace_meta_applied(lane->id), bytes, sizeof(bytes));
    u->anchor = (struct store_anchor){
        .epoch = head.epoch,
        .seq = head.seq,
        .commit = head.commit,
        .commit_us = head.commit_us,
        .cleared = head.seq,
    };
    memcpy(u->anchor.hash, head.hash, SF_HASH256_SIZE);
    put_anchor(g, u);
    u->removed = 1;
}

static enum sf_code apply_forget(struct commit_group *g, const struct store_upkeep *u)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf from = {0};
    SF_CLEANUP(sf_buf_done) struct sf_buf end = {0};
    struct keyspace_key small = keyspace_meta_small();
    enum sf_code code = SF_OK;

    for (size_t i = 0; code == SF_OK && i < u->key_count; i++) {
        sf_buf_clear(&from);
        sf_buf_clear(&end);
        sf_buf_slice(&from, keyspace_view(&small));
        sf_buf_slice(&from, u->keys[i]);
        sf_buf_slice(&end, sf_buf_view(&from));
        keyspace_after_prefix(&end);
        code = sf_buf_check(&from, "upkeep", &g->error);
        code = code == SF_OK ? sf_buf_check(&end, "upkeep", &g->error) : code;
        if (code == SF_OK) {
            g->batch->ops->remove_range(g->batch, KV_META, sf_buf_view(&from), sf_buf_view(&end));
            g->dirty = true;
        }
    }
    return code;
}

/* What was found at the keys of a step. */
struct found {
    struct commit_group *g;
    struct store_upkeep *u;
    enum sf_code code;
};

static void bury_one(void *data, size_t i, const struct sf_slice *value)
{
    struct found *f = data;
    struct keyspace_state state;
    struct sf_slice row;

    if (value == NULL || f->code != SF_OK) {
        return;
    }
    f->code = keyspace_state_decode(*value, &state, &row, &f->g->error);
    if (f->code == SF_OK && state.op == STORE_DELETE && state.seq <= f->u->lane->gone_to) {
        f->g->rows->ops->remove(f->g->rows, KV_STATE, f->u->keys[i]);
        f->g->has_rows = true;
        f->u->removed++;
    }
}

static void forget_one(void *data, size_t i, const struct sf_slice *value)
{
    struct found *f = data;

    if (value != NULL && value->size >= KEYSPACE_SMALL_HEADER &&
        (int64_t)sf_read_be64(value->data) < f->u->before_us) {
        f->g->batch->ops->remove(f->g->batch, KV_IDEM, f->u->keys[i]);
        f->g->dirty = true;
        f->u->removed++;
    }
}

static enum sf_code apply_keys(struct commit_group *g, struct store_upkeep *u, enum kv_family f,
                               kv_value_cb on_value)
{
    struct found found = {.g = g, .u = u};
    enum sf_code code;

    u->removed = 0;
    code = g->kv->ops->multi_get(g->kv, f, u->keys, u->key_count, on_value, &found, &g->error);
    return code != SF_OK ? code : found.code;
}

static enum sf_code apply_step(struct commit_group *g, struct store_upkeep *u)
{
    switch (u->kind) {
    case UPKEEP_MARK:
        apply_mark(g, u);
        return SF_OK;
    case UPKEEP_ANCHOR:
        put_anchor(g, u);
        return SF_OK;
    case UPKEEP_BURY:
        return apply_keys(g, u, KV_STATE, bury_one);
    case UPKEEP_CLEAR:
        apply_clear(g, u);
        return SF_OK;
    case UPKEEP_IDEM:
        return apply_keys(g, u, KV_IDEM, forget_one);
    case UPKEEP_PURGE:
        apply_purge(g, u);
        return SF_OK;
    case UPKEEP_FORGET:
        return apply_forget(g, u);
    }
    return SF_OK;
}

enum sf_code upkeep_apply(struct commit_group *g)
{
    enum sf_code code = SF_OK;

    for (struct sf_list *at = g->writes.next; code == SF_OK && at != &g->writes; at = at->next) {
        struct store_write *w = SF_CONTAINER_OF(at, struct store_write, link);

        code = w->upkeep == NULL ? SF_OK : apply_step(g, w->upkeep);
    }
    return code;
}

void upkeep_applied(struct commit_group *g)
{
    for (struct sf_list *at = g->writes.next; at != &g->writes; at = at->next) {
        struct store_upkeep *u = SF_CONTAINER_OF(at, struct store_write, link)->upkeep;

        if (u != NULL && u->kind == UPKEEP_ANCHOR) {
            u->lane->gone_to = u->anchor.seq;
        } else if (u != NULL && u->kind == UPKEEP_PURGE && u->removed > 0) {
            u->lane->gone_to = u->anchor.seq;
            u->lane->keep_to = u->anchor.seq;
            u->lane->tip.rows = 0;
            u->lane->tip_held = (struct store_held){0};
            u->lane->tip_window = (struct store_window){0};
        }
    }
}

/* --- loop --- */

static void drop_marks(struct store_lane *lane, uint64_t to)
{
    size_t n = 0;

    while (n < lane->mark_count && lane->marks[n].seq <= to) {
        n++;
    }
    lane->mark_count -= n;
    memmove(lane->marks, lane->marks + n, lane->mark_count * sizeof(*lane->marks));
}

static void settle_step(struct store_upkeep *u)
{
    struct store_lane *lane = u->lane;

    if (u->kind == UPKEEP_MARK) {
        lane->marks[lane->mark_count++] = u->mark;
    } else if (u->kind == UPKEEP_ANCHOR || u->kind == UPKEEP_CLEAR) {
        lane->anchor = u->anchor;
    }
    if (u->kind == UPKEEP_CLEAR) {
        drop_marks(lane, u->anchor.seq);
    } else if (u->kind == UPKEEP_PURGE && u->removed > 0) {
        lane->anchor = u->anchor;
        lane->mark_count = 0;
        lane->head.rows = 0;
        lane->held = (struct store_held){0};
    }
}

static void on_written(struct store_write *w, const struct sf_error *err)
{
    struct store_upkeep *u = w->data;

    if (err == NULL) {
        settle_step(u);
    }
    u->done(u, err);
}

static enum sf_code reserve_marks(struct store_lane *lane, struct sf_error *err)
{
    sf_assert(lane->mark_count < UPKEEP_MARKS_MAX);
    if (lane->marks == NULL) {
        lane->marks = sf_calloc(UPKEEP_MARKS_MAX, sizeof(*lane->marks));
    }
    return lane->marks == NULL ? SF_RAISE(err, SF_NOMEM, "marks of a lane") : SF_OK;
}

static void aim(struct store_upkeep *u)
{
    u->anchor = u->lane->anchor;
    if (u->kind == UPKEEP_CLEAR) {
        u->anchor.cleared = u->anchor.seq;
    } else if (u->kind == UPKEEP_ANCHOR) {
        sf_assert(u->mark.seq > u->anchor.seq);
        u->anchor.epoch = u->mark.epoch;
        u->anchor.seq = u->mark.seq;
        u->anchor.commit = u->mark.commit;
        u->anchor.commit_us = u->mark.commit_us;
        memcpy(u->anchor.hash, u->mark.hash, SF_HASH256_SIZE);
    }
}

enum sf_code upkeep_submit(struct store *s, struct store_upkeep *u, struct sf_error *err)
{
    enum sf_code code = u->kind == UPKEEP_MARK ? reserve_marks(u->lane, err) : SF_OK;

    sf_assert(u->key_count <= UPKEEP_KEYS_MAX);
    if (code != SF_OK) {
        return code;
    }
    if (u->lane != NULL) {
        aim(u);
    }
    u->write = (struct store_write){
        .data = u,
        .upkeep = u,
        .unsynced = u->kind != UPKEEP_ANCHOR && u->kind != UPKEEP_PURGE,
    };
    return store_submit(s, &u->write, on_written, err);
}

/* --- opening --- */

static enum sf_code load_anchor(struct store *s, struct store_lane *lane, struct sf_error *err)
{
    struct keyspace_key key = keyspace_meta_anchor(lane->id);
    struct sf_buf *b = &s->group.bytes_out;
    bool found = false;
    enum sf_code code = s->kv->ops->get(s->kv, NULL, KV_META, keyspace_view(&key), b, &found, err);

    if (code == SF_OK && found) {
        code = keyspace_anchor_decode(sf_buf_view(b), &lane->anchor, err);
        lane->gone_to = lane->anchor.seq;
        lane->keep_to = lane->anchor.seq;
    }
    return code;
}

static enum sf_code load_mark(struct store *s, struct sf_slice key, struct sf_slice value,
                              struct sf_error *err)
{
    uint32_t id = key.size == 13 ? sf_read_be32(key.data + 1) : 0;
    struct store_lane *lane = id == 0 ? NULL : store_lane_at(s, id - 1);
    enum sf_code code;

    if (lane == NULL || lane->mark_count == UPKEEP_MARKS_MAX) {
        return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "a mark of lane %u is damaged",
                          (unsigned)id);
    }
    code = reserve_marks(lane, err);
    if (code == SF_OK) {
        code = keyspace_head_decode(value, &lane->marks[lane->mark_count], err);
    }
    if (code == SF_OK) {
        uint64_t seq = lane->marks[lane->mark_count++].seq;

        lane->keep_to = seq > lane->keep_to ? seq : lane->keep_to;
    }
    return code;
}

enum sf_code upkeep_load(struct store *s, struct sf_error *err)
{
    struct keyspace_key from = keyspace_meta_mark(0, 0);
    struct keyspace_key to = keyspace_meta_mark(UINT32_MAX, 0);
    struct kv_range range = {.from = keyspace_view(&from), .to = keyspace_view(&to)};
    SF_CLEANUP(kv_iter_freep) struct kv_iter *it = NULL;
    enum sf_code code = SF_OK;

    for (size_t i = 0; code == SF_OK && i < s->lane_count; i++) {
        code = load_anchor(s, s->lanes[i], err);
    }
    code = code == SF_OK ? s->kv->ops->iter_new(s->kv, NULL, KV_META, &range, &it, err) : code;
    if (code != SF_OK) {
        return code;
    }
    for (it->ops->first(it); it->ops->valid(it); it->ops->next(it)) {
        code = load_mark(s, it->ops->key(it), it->ops->value(it), err);
        if (code != SF_OK) {
            return code;
        }
    }
    return it->ops->check(it, err);
}
