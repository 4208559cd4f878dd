#include "leaf/serving/ended.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "proto/errors.h"

enum { PREFIX = sizeof(ENDED_PREFIX) - 1, KEY_BYTES = PREFIX + SF_HASH256_SIZE, TIMES = 16 };

void ended_init(struct ended *e)
{
    *e = (struct ended){.floor_us = INT64_MIN, .floor_stored = true};
}

void ended_done(struct ended *e)
{
    sf_free(e->items);
    ended_init(e);
}

/* --- looking up ------------------------------------------------------------------------------- */

static int by_hash(const void *a, const void *b)
{
    const struct ended_decision *x = a;
    const struct ended_decision *y = b;

    return memcmp(x->hash, y->hash, sizeof(x->hash));
}

static const struct ended_decision *find(const struct ended *e, const uint8_t *hash, size_t count)
{
    struct ended_decision key;

    if (count == 0) {
        return NULL;
    }
    memcpy(key.hash, hash, sizeof(key.hash));
    return bsearch(&key, e->items, count, sizeof(*e->items), by_hash);
}

bool ended_has(const struct ended *e, const uint8_t *hash)
{
    return find(e, hash, e->count) != NULL;
}

bool ended_is_below(const struct ended *e, const struct grant_decision *d,
                    const struct grant_set *last)
{
    const struct grant_decision *before = last == NULL ? NULL : grant_set_decision(last, d->hash);

    return d->decided_us <= e->floor_us && (before == NULL || !before->in_force);
}

size_t ended_count(const struct ended *e)
{
    size_t count = 0;

    for (size_t i = 0; i < e->count; i++) {
        count += !e->items[i].past;
    }
    return count;
}

/* --- learning --------------------------------------------------------------------------------- */

static enum sf_code reserve(struct ended *e, size_t more, struct sf_error *err)
{
    struct ended_decision *grown;
    size_t capacity = e->capacity == 0 ? 16 : e->capacity;

    while (capacity < e->count + more) {
        capacity *= 2;
    }
    if (more == 0 || capacity == e->capacity) {
        return SF_OK;
    }
    grown = sf_realloc(e->items, capacity, sizeof(*grown));
    if (grown == NULL) {
        return SF_RAISE(err, SF_NOMEM, "what has ended");
    }
    e->items = grown;
    e->capacity = capacity;
    return SF_OK;
}

static struct ended_decision *add(struct ended *e, const uint8_t *hash)
{
    struct ended_decision *item = &e->items[e->count++];

    sf_assert(e->count <= e->capacity);
    *item = (struct ended_decision){0};
    memcpy(item->hash, hash, sizeof(item->hash));
    return item;
}

/* Those that are past are kept until the store has forgotten them, too. */
static void compact(struct ended *e, bool store_has_forgotten)
{
    size_t kept = 0;

    for (size_t i = 0; i < e->count; i++) {
        const struct ended_decision *item = &e->items[i];

        if (!item->past || (item->stored && !store_has_forgotten)) {
            e->items[kept++] = *item;
        }
    }
    e->count = kept;
}

static int by_decided(const void *a, const void *b)
{
    const struct ended_decision *x = a;
    const struct ended_decision *y = b;
    const int past = x->past - y->past;

    return past != 0 ? past : (x->decided_us > y->decided_us) - (x->decided_us < y->decided_us);
}

/* Full: the oldest quarter becomes a floor. */
static void raise_floor(struct ended *e, const struct grant_set *next)
{
    const size_t max = e->max == 0 ? ENDED_MAX : e->max;
    const size_t count = ended_count(e);
    size_t over = count <= max ? 0 : count - max + max / 4;

    if (over > 0) {
        qsort(e->items, e->count, sizeof(*e->items), by_decided);
    }
    for (size_t i = 0; i < count && over > 0; i++) {
        struct ended_decision *item = &e->items[i];

        if (grant_set_decision(next, item->hash) != NULL) {
            continue;
        }
        item->past = true;
        over--;
        if (item->decided_us > e->floor_us) {
            e->floor_us = item->decided_us;
            e->floor_stored = false;
        }
    }
}

static void sort(struct ended *e)
{
    if (e->count > 0) {
        qsort(e->items, e->count, sizeof(*e->items), by_hash);
    }
}

static void add_decision(struct ended *e, const struct grant_decision *d)
{
    struct ended_decision *item = add(e, d->hash);
    const size_t n = strlen(d->audience);

    item->until_us = d->until_us;
    item->decided_us = d->decided_us;
    if (n < sizeof(item->audience)) {
        memcpy(item->audience, d->audience, n + 1);
    }
}

enum sf_code ended_learn(struct ended *e, const struct grant_set *last,
                         const struct grant_set *next, int64_t now_us, struct sf_error *err)
{
    const size_t known = e->count;
    const size_t had = last == NULL ? 0 : last->decision_count;
    enum sf_code code = reserve(e, had + next->decision_count, err);

    if (code != SF_OK) {
        return code;
    }
    for (size_t i = 0; i < had; i++) {
        const struct grant_decision *d = &last->decisions[i];

        if (d->in_force && grant_set_decision(next, d->hash) == NULL &&
            find(e, d->hash, known) == NULL) {
            add_decision(e, d);
        }
    }
    for (size_t i = 0; i < next->decision_count; i++) {
        const struct grant_decision *d = &next->decisions[i];

        if (d->held && find(e, d->hash, known) == NULL) {
            add_decision(e, d);
        }
    }
    for (size_t i = 0; i < e->count; i++) {
        e->items[i].past |= e->items[i].until_us <= now_us;
    }
    raise_floor(e, next);
    compact(e, /* store_has_forgotten= */ false);
    sort(e);
    return SF_OK;
}

/* --- storing ---------------------------------------------------------------------------------- */

static bool is_put(const struct ended_decision *item)
{
    return !item->stored || item->past;
}

static enum sf_code fill_put(const struct ended_decision *item, struct sf_arena *arena,
                             struct store_put *ret, struct sf_error *err)
{
    const size_t name = strlen(item->audience);
    uint8_t *bytes = sf_arena_alloc(arena, KEY_BYTES + TIMES + name);

    if (bytes == NULL) {
        return SF_RAISE(err, SF_NOMEM, "what has ended");
    }
    memcpy(bytes, ENDED_PREFIX, PREFIX);
    memcpy(bytes + PREFIX, item->hash, SF_HASH256_SIZE);
    sf_write_be64(bytes + KEY_BYTES, (uint64_t)item->until_us);
    sf_write_be64(bytes + KEY_BYTES + 8, (uint64_t)item->decided_us);
    memcpy(bytes + KEY_BYTES + TIMES, item->audience, name);
    *ret =
        (struct store_put){.space = STORE_META,
                           .remove = item->past,
                           .key = sf_slice_of(bytes, KEY_BYTES),
                           .value = sf_slice_of(bytes + KEY_BYTES, item->past ? 0 : TIMES + name)};
    return SF_OK;
}

enum sf_code ended_puts(const struct ended *e, struct sf_arena *arena, struct store_put **ret,
                        size_t *ret_count, struct sf_error *err)
{
    size_t count = !e->floor_stored;
    enum sf_code code = SF_OK;
    uint8_t *floor = sf_arena_alloc(arena, 8);

    for (size_t i = 0; i < e->count; i++) {
        count += is_put(&e->items[i]);
    }
    *ret_count = 0;
    *ret = sf_arena_calloc(arena, count + 1, sizeof(**ret));
    if (*ret == NULL || floor == NULL) {
        return SF_RAISE(err, SF_NOMEM, "what has ended");
    }
    if (!e->floor_stored) {
        sf_write_be64(floor, (uint64_t)e->floor_us);
        (*ret)[(*ret_count)++] = (struct store_put){
            .space = STORE_META, .key = sf_slice_text(ENDED_FLOOR), .value = sf_slice_of(floor, 8)};
    }
    for (size_t i = 0; code == SF_OK && i < e->count; i++) {
        if (is_put(&e->items[i])) {
            code = fill_put(&e->items[i], arena, &(*ret)[(*ret_count)++], err);
        }
    }
    return code;
}

void ended_stored(struct ended *e)
{
    compact(e, /* store_has_forgotten= */ true);
    for (size_t i = 0; i < e->count; i++) {
        e->items[i].stored = true;
    }
    e->floor_stored = true;
}

enum sf_code ended_read(struct ended *e, struct sf_slice key, struct sf_slice value,
                        struct sf_error *err)
{
    const bool is_floor = sf_slice_equal(key, sf_slice_text(ENDED_FLOOR));
    struct ended_decision *item;
    enum sf_code code;

    if (is_floor && value.size == 8) {
        e->floor_us = (int64_t)sf_read_be64(value.data);
        return SF_OK;
    }
    if (is_floor || key.size != KEY_BYTES || memcmp(key.data, ENDED_PREFIX, PREFIX) != 0 ||
        value.size < TIMES || value.size - TIMES >= ENDED_AUDIENCE_BYTES ||
        memchr(value.data + TIMES, 0, value.size - TIMES) != NULL) {
        return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "the record of what has ended");
    }
    code = reserve(e, 1, err);
    if (code != SF_OK) {
        return code;
    }
    item = add(e, key.data + PREFIX);
    item->until_us = (int64_t)sf_read_be64(value.data);
    item->decided_us = (int64_t)sf_read_be64(value.data + 8);
    memcpy(item->audience, value.data + TIMES, value.size - TIMES);
    item->stored = true;
    return SF_OK;
}

void ended_loaded(struct ended *e)
{
    sort(e);
}
