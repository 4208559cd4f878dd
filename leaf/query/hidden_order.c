/*
 *                the range is walked             all are given, some were cut
 *   GATHERING ------------------------> GIVING ------------------------------> GATHERING ...
 *                                         |
 *                                         +--- all are given, none was cut ---> ENDED
 *
 * While a walk gathers more than fits, the half with the larger hashes is cut off, and what comes
 * later is taken only below the largest that is left: what is kept is always the smallest.
 */
#include "leaf/query/hidden_order.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/sys/hash_prepared.h"
#include "leaf/store/as_of.h"

enum order_state { GATHERING, GIVING, ENDED };

struct found {
    uint8_t place[HIDDEN_ORDER_PLACE];
    uint32_t at; /* of its key in hidden_order.keys */
    uint32_t size;
};

struct hidden_order {
    struct hidden_order_options options;
    struct sf_hash_prepared hash;
    enum order_state state;
    struct store_scan *scan; /* while GATHERING, one of the two */
    struct store_past *past;
    struct found *found;
    size_t count;
    size_t capacity;
    struct sf_buf keys;
    bool is_cut; /* there is more behind @bound */
    uint8_t bound[HIDDEN_ORDER_PLACE];
    size_t given; /* of @found */
    bool has_place;
    uint8_t place[HIDDEN_ORDER_PLACE];
    struct sf_buf row;
};

static void end_walk(struct hidden_order *o)
{
    store_scan_free(SF_TAKE(o->scan));
    store_past_free(SF_TAKE(o->past));
}

static enum sf_code begin_walk(struct hidden_order *o, struct sf_error *err)
{
    const struct hidden_order_options *p = &o->options;

    o->state = GATHERING;
    o->count = 0;
    o->given = 0;
    o->is_cut = false;
    sf_buf_clear(&o->keys);
    return p->is_past ? store_past_new(p->snapshot, p->lane, &p->range, p->seq, &o->past, err)
                      : store_scan_new(p->snapshot, p->lane, &p->range, &o->scan, err);
}

enum sf_code hidden_order_new(const struct hidden_order_options *options, struct hidden_order **ret,
                              struct sf_error *err)
{
    struct hidden_order *o;
    enum sf_code code;

    sf_assert(options->bytes >= HIDDEN_ORDER_BYTES_MIN);
    sf_assert(options->after.size == 0 || options->after.size == HIDDEN_ORDER_PLACE);
    o = sf_calloc(1, sizeof(*o));
    if (o == NULL) {
        return SF_RAISE(err, SF_NOMEM, "order of rows");
    }
    o->options = *options;
    o->options.range.reverse = false;
    o->has_place = options->after.size > 0;
    if (o->has_place) {
        memcpy(o->place, options->after.data, sizeof(o->place));
    }
    sf_hash_prepare(&o->hash, HIDDEN_ORDER_PLACE, options->key);
    code = begin_walk(o, err);
    if (code != SF_OK) {
        hidden_order_free(o);
        return code;
    }
    *ret = o;
    return SF_OK;
}

void hidden_order_free(struct hidden_order *o)
{
    if (o == NULL) {
        return;
    }
    end_walk(o);
    sf_wipe(&o->hash, sizeof(o->hash));
    sf_wipe(o->options.key, sizeof(o->options.key));
    sf_buf_done(&o->keys);
    sf_buf_done(&o->row);
    sf_free(o->found);
    sf_free(o);
}

struct sf_slice hidden_order_place(const struct hidden_order *o)
{
    return sf_slice_of(o->place, o->has_place ? sizeof(o->place) : 0);
}

bool hidden_order_is_gathering(const struct hidden_order *o)
{
    return o->state == GATHERING;
}

/* --- gathering -------------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    return memcmp(((const struct found *)a)->place, ((const struct found *)b)->place,
                  HIDDEN_ORDER_PLACE);
}

static void sort(struct hidden_order *o)
{
    if (o->count > 1) {
        qsort(o->found, o->count, sizeof(*o->found), by_place);
    }
}

/* Keeps the half with the smaller hashes. */
static enum sf_code cut(struct hidden_order *o, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf keys = {0};
    struct sf_buf before;

    sort(o);
    o->count = (o->count + 1) / 2;
    o->is_cut = true;
    memcpy(o->bound, o->found[o->count - 1].place, sizeof(o->bound));
    for (size_t i = 0; i < o->count; i++) {
        struct found *f = &o->found[i];
        const uint32_t at = (uint32_t)keys.size;

        sf_buf_append(&keys, o->keys.data + f->at, f->size);
        f->at = at;
    }
    before = o->keys;
    o->keys = keys;
    keys = before;
    return sf_buf_check(&o->keys, "order of rows", err);
}

static bool is_wanted(const struct hidden_order *o, const uint8_t place[HIDDEN_ORDER_PLACE])
{
    return (!o->has_place || memcmp(place, o->place, HIDDEN_ORDER_PLACE) > 0) &&
           (!o->is_cut || memcmp(place, o->bound, HIDDEN_ORDER_PLACE) < 0);
}

static enum sf_code make_room(struct hidden_order *o, struct sf_error *err)
{
    const size_t capacity = o->capacity == 0 ? 64 : o->capacity * 2;
    struct found *found;

    if (o->count < o->capacity) {
        return SF_OK;
    }
    found = sf_realloc(o->found, capacity, sizeof(*found));
    if (found == NULL) {
        return SF_RAISE(err, SF_NOMEM, "order of rows");
    }
    o->found = found;
    o->capacity = capacity;
    return SF_OK;
}

static enum sf_code take(struct hidden_order *o, struct sf_slice key, struct sf_error *err)
{
    struct found f = {.at = (uint32_t)o->keys.size, .size = (uint32_t)key.size};
    enum sf_code code;

    sf_hash_prepared_parts(&o->hash, &key, 1, f.place);
    for (size_t i = 0; o->options.reverse && i < sizeof(f.place); i++) {
        f.place[i] = (uint8_t)~f.place[i];
    }
    if (!is_wanted(o, f.place)) {
        return SF_OK;
    }
    code = make_room(o, err);
    if (code != SF_OK) {
        return code;
    }
    o->found[o->count++] = f;
    sf_buf_slice(&o->keys, key);
    code = sf_buf_check(&o->keys, "order of rows", err);
    if (code == SF_OK && o->keys.size + o->count * sizeof(f) > o->options.bytes) {
        code = cut(o, err);
    }
    return code;
}

/* A step of the walk. */
static enum sf_code gather(struct hidden_order *o, struct sf_error *err)
{
    struct store_row row;
    bool more;

    for (unsigned i = 0; i < HIDDEN_ORDER_STEP; i++) {
        enum sf_code code = o->past != NULL ? store_past_next(o->past, &row, &more, err)
                                            : store_scan_next(o->scan, &row, &more, err);

        if (code == SF_OK && more && row.seq == 0) {
            return SF_OK; /* It has looked at as many itself. */
        }
        if (code == SF_OK && more) {
            code = take(o, row.key, err);
        }
        if (code != SF_OK) {
            return code;
        }
        if (!more) {
            end_walk(o);
            sort(o);
            o->state = GIVING;
            return SF_OK;
        }
    }
    return SF_OK;
}

/* --- giving ----------------------------------------------------------------------------------- */

static enum sf_code give(struct hidden_order *o, struct store_row *ret, struct sf_error *err)
{
    const struct hidden_order_options *p = &o->options;
    const struct found *f = &o->found[o->given];
    const struct sf_slice key = sf_slice_of(o->keys.data + f->at, f->size);
    bool found;
    enum sf_code code =
        p->is_past ? store_get_as_of(p->snapshot, p->lane, key, p->seq, &o->row, ret, &found, err)
                   : store_get(p->snapshot, p->lane, key, &o->row, ret, &found, err);

    if (code != SF_OK) {
        return code;
    }
    sf_assert(found); /* The snapshot is the one that was walked. */
    ret->key = key;
    memcpy(o->place, f->place, sizeof(o->place));
    o->has_place = true;
    o->given++;
    return SF_OK;
}

enum sf_code hidden_order_next(struct hidden_order *o, struct store_row *ret, bool *more,
                               struct sf_error *err)
{
    enum sf_code code = SF_OK;

    *more = true;
    *ret = (struct store_row){0};
    if (o->state == GIVING && o->given == o->count) {
        o->state = ENDED;
        code = o->is_cut ? begin_walk(o, err) : SF_OK;
    }
    if (code != SF_OK) {
        return code;
    }
    switch (o->state) {
    case GATHERING:
        return gather(o, err);
    case GIVING:
        return give(o, ret, err);
    case ENDED:
        *more = false;
        break;
    }
    return SF_OK;
}
