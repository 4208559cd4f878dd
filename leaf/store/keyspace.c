#include "leaf/store/keyspace.h"

#include "common/base/assert.h"
#include "proto/errors.h"

enum {
    TAG_FORMAT = 'f',
    TAG_COMMIT = 'c',
    TAG_LANE = 'l',
    TAG_HEAD = 'h',
    TAG_ANCHOR = 'a',
    TAG_MARK = 'm',
    TAG_APPLIED = 's',
    TAG_SMALL = 'u',
    TAG_HELD = 'q',
    TAG_WINDOW = 'w',
};

/* Of the epoch's bits. */
#define OUTCOME_MORE UINT32_C(0x80000000)

void store_outcome_encode(const struct store_outcome *outcome, uint8_t ret[STORE_OUTCOME_BYTES])
{
    sf_write_be32(ret, outcome->epoch | (outcome->more ? OUTCOME_MORE : 0));
    sf_write_be64(ret + 4, outcome->commit);
    sf_write_be64(ret + 12, outcome->first_seq);
    sf_write_be64(ret + 20, outcome->last_seq);
}

bool store_outcome_decode(struct sf_slice *value, struct store_outcome *ret)
{
    if (value->size < STORE_OUTCOME_BYTES) {
        return false;
    }
    *ret = (struct store_outcome){
        .epoch = sf_read_be32(value->data) & ~OUTCOME_MORE,
        .more = (sf_read_be32(value->data) & OUTCOME_MORE) != 0,
        .commit = sf_read_be64(value->data + 4),
        .first_seq = sf_read_be64(value->data + 12),
        .last_seq = sf_read_be64(value->data + 20),
    };
    value->data += STORE_OUTCOME_BYTES;
    value->size -= STORE_OUTCOME_BYTES;
    return true;
}

struct keyspace_key keyspace_lane_seq(uint32_t lane, uint64_t seq)
{
    struct keyspace_key k = {.size = 12};

    sf_write_be32(k.bytes, lane);
    sf_write_be64(k.bytes + 4, seq);
    return k;
}

struct keyspace_key keyspace_lane(uint32_t lane)
{
    struct keyspace_key k = {.size = 4};

    sf_write_be32(k.bytes, lane);
    return k;
}

void keyspace_after_prefix(struct sf_buf *b)
{
    while (b->size > 0 && b->data[b->size - 1] == 0xff) {
        b->size--;
    }
    if (b->size > 0) {
        b->data[b->size - 1]++;
    }
}

static struct keyspace_key tagged(uint8_t tag)
{
    return (struct keyspace_key){.bytes = {tag}, .size = 1};
}

static struct keyspace_key tagged_lane(uint8_t tag, uint32_t lane)
{
    struct keyspace_key k = {.bytes = {tag}, .size = 5};

    sf_write_be32(k.bytes + 1, lane);
    return k;
}

struct keyspace_key keyspace_meta_format(void)
{
    return tagged(TAG_FORMAT);
}

struct keyspace_key keyspace_meta_commit(void)
{
    return tagged(TAG_COMMIT);
}

struct keyspace_key keyspace_meta_lane(uint32_t lane)
{
    return tagged_lane(TAG_LANE, lane);
}

struct keyspace_key keyspace_meta_head(uint32_t lane)
{
    return tagged_lane(TAG_HEAD, lane);
}

struct keyspace_key keyspace_meta_applied(uint32_t lane)
{
    return tagged_lane(TAG_APPLIED, lane);
}

struct keyspace_key keyspace_meta_window(uint32_t lane)
{
    return tagged_lane(TAG_WINDOW, lane);
}

struct keyspace_key keyspace_meta_held(uint32_t lane)
{
    return tagged_lane(TAG_HELD, lane);
}

struct keyspace_key keyspace_meta_anchor(uint32_t lane)
{
    return tagged_lane(TAG_ANCHOR, lane);
}

struct keyspace_key keyspace_meta_mark(uint32_t lane, uint64_t seq)
{
    struct keyspace_key k = tagged_lane(TAG_MARK, lane);

    sf_write_be64(k.bytes + k.size, seq);
    k.size += 8;
    return k;
}

struct keyspace_key keyspace_meta_small(void)
{
    return tagged(TAG_SMALL);
}

static enum sf_code corrupt(struct sf_error *err, const char *what)
{
    return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "%s is damaged", what);
}

void keyspace_commit_encode(const struct keyspace_commit *c, uint8_t ret[KEYSPACE_COMMIT_BYTES])
{
    sf_write_be64(ret, c->commit);
    sf_write_be64(ret + 8, (uint64_t)c->commit_us);
    sf_write_be32(ret + 16, c->epoch);
}

enum sf_code keyspace_commit_decode(struct sf_slice s, struct keyspace_commit *ret,
                                    struct sf_error *err)
{
    if (s.size != KEYSPACE_COMMIT_BYTES) {
        return corrupt(err, "record of the last commit");
    }
    *ret = (struct keyspace_commit){
        .commit = sf_read_be64(s.data),
        .commit_us = (int64_t)sf_read_be64(s.data + 8),
        .epoch = sf_read_be32(s.data + 16),
    };
    return SF_OK;
}

void keyspace_head_encode(const struct store_head *h, uint8_t ret[KEYSPACE_HEAD_BYTES])
{
    sf_write_be32(ret, h->epoch);
    sf_write_be64(ret + 4, h->seq);
    sf_write_be64(ret + 12, h->commit);
    sf_write_be64(ret + 20, (uint64_t)h->commit_us);
    sf_write_be64(ret + 28, h->rows);
    sf_write_be64(ret + 36, h->quarantined);
    memcpy(ret + 44, h->hash, SF_HASH256_SIZE);
}

enum sf_code keyspace_head_decode(struct sf_slice s, struct store_head *ret, struct sf_error *err)
{
    if (s.size != KEYSPACE_HEAD_BYTES) {
        return corrupt(err, "head of a lane");
    }
    *ret = (struct store_head){
        .epoch = sf_read_be32(s.data),
        .seq = sf_read_be64(s.data + 4),
        .commit = sf_read_be64(s.data + 12),
        .commit_us = (int64_t)sf_read_be64(s.data + 20),
        .rows = sf_read_be64(s.data + 28),
        .quarantined = sf_read_be64(s.data + 36),
    };
    memcpy(ret->hash, s.data + 44, SF_HASH256_SIZE);
    return SF_OK;
}

void keyspace_window_encode(const struct store_window *w, uint8_t ret[KEYSPACE_WINDOW_BYTES])
{
    sf_write_be64(ret, (uint64_t)w->within_us);
    sf_write_be64(ret + 8, w->bucket);
    sf_write_be64(ret + 16, w->count);
    sf_write_be64(ret + 24, w->before);
}

enum sf_code keyspace_window_decode(struct sf_slice s, struct store_window *ret,
                                    struct sf_error *err)
{
    if (s.size != KEYSPACE_WINDOW_BYTES) {
        return corrupt(err, "window of fingerprints");
    }
    *ret = (struct store_window){
        .within_us = (int64_t)sf_read_be64(s.data),
        .bucket = sf_read_be64(s.data + 8),
        .count = sf_read_be64(s.data + 16),
        .before = sf_read_be64(s.data + 24),
    };
    return SF_OK;
}

void keyspace_held_encode(const struct store_held *h, uint8_t ret[KEYSPACE_HELD_BYTES])
{
    sf_write_be64(ret, h->entries);
    sf_write_be64(ret + 8, h->bytes);
}

enum sf_code keyspace_held_decode(struct sf_slice s, struct store_held *ret, struct sf_error *err)
{
    if (s.size != KEYSPACE_HELD_BYTES) {
        return corrupt(err, "count of a quarantine");
    }
    *ret = (struct store_held){.entries = sf_read_be64(s.data), .bytes = sf_read_be64(s.data + 8)};
    return SF_OK;
}

void keyspace_anchor_encode(const struct store_anchor *a, uint8_t ret[KEYSPACE_ANCHOR_BYTES])
{
    sf_write_be32(ret, a->epoch);
    sf_write_be64(ret + 4, a->seq);
    sf_write_be64(ret + 12, a->commit);
    sf_write_be64(ret + 20, (uint64_t)a->commit_us);
    sf_write_be64(ret + 28, a->cleared);
    memcpy(ret + 36, a->hash, SF_HASH256_SIZE);
}

enum sf_code keyspace_anchor_decode(struct sf_slice s, struct store_anchor *ret,
                                    struct sf_error *err)
{
    if (s.size != KEYSPACE_ANCHOR_BYTES) {
        return corrupt(err, "anchor of a lane");
    }
    *ret = (struct store_anchor){
        .epoch = sf_read_be32(s.data),
        .seq = sf_read_be64(s.data + 4),
        .commit = sf_read_be64(s.data + 12),
        .commit_us = (int64_t)sf_read_be64(s.data + 20),
        .cleared = sf_read_be64(s.data + 28),
    };
    memcpy(ret->hash, s.data + 36, SF_HASH256_SIZE);
    return ret->cleared <= ret->seq ? SF_OK : corrupt(err, "anchor of a lane");
}

void keyspace_lane_encode(const struct store_lane_name *n, struct sf_buf *out)
{
    struct sf_slice product = sf_slice_text(n->product);

    sf_assert(product.size <= KEYSPACE_NAME_BYTES_MAX);
    sf_buf_be32(out, n->major);
    sf_buf_be32(out, n->partition);
    sf_buf_byte(out, (uint8_t)n->kind);
    sf_buf_byte(out, (uint8_t)product.size);
    sf_buf_slice(out, product);
    sf_buf_text(out, n->table);
}

enum sf_code keyspace_lane_decode(struct sf_slice s, struct store_lane_name *ret,
                                  struct sf_slice *product, struct sf_slice *table,
                                  struct sf_error *err)
{
    if (s.size < 10 || (s.data[8] != STORE_STATE && s.data[8] != STORE_EVENT) ||
        s.size < (size_t)10 + s.data[9]) {
        return corrupt(err, "record of a lane");
    }
    ret->major = sf_read_be32(s.data);
    ret->partition = sf_read_be32(s.data + 4);
    ret->kind = s.data[8] == STORE_STATE ? STORE_STATE : STORE_EVENT;
    *product = sf_slice_of(s.data + 10, s.data[9]);
    *table = sf_slice_of(s.data + 10 + product->size, s.size - 10 - product->size);
    return SF_OK;
}

void keyspace_state_encode(const struct keyspace_state *v, uint8_t ret[KEYSPACE_STATE_HEADER])
{
    sf_write_be64(ret, v->seq);
    sf_write_be32(ret + 8, v->contract_id);
    ret[12] = (uint8_t)v->op;
}

enum sf_code keyspace_state_decode(struct sf_slice s, struct keyspace_state *ret,
                                   struct sf_slice *row, struct sf_error *err)
{
    if (s.size < KEYSPACE_STATE_HEADER ||
        (s.data[12] != STORE_UPSERT && s.data[12] != STORE_DELETE)) {
        return corrupt(err, "row");
    }
    *ret = (struct keyspace_state){
        .seq = sf_read_be64(s.data),
        .contract_id = sf_read_be32(s.data + 8),
        .op = s.data[12] == STORE_UPSERT ? STORE_UPSERT : STORE_DELETE,
    };
    *row = sf_slice_of(s.data + KEYSPACE_STATE_HEADER, s.size - KEYSPACE_STATE_HEADER);
    return SF_OK;
}

/*
 * commit_us 8 | position 8 | contract 4 | codes 1 | field 1 | code 2 each | field | raw
 * With the highest bit of codes set, behind field: form 1 | size of context 4 | context
 */
enum { REJECT_FIXED = 22, REJECT_HAS_FORM = 0x80, REJECT_FORM_FIXED = 5 };

void keyspace_reject_encode(const struct store_reject *r, int64_t commit_us, struct sf_buf *out)
{
    sf_assert(r->code_count <= STORE_REJECT_CODES_MAX && r->field.size <= UINT8_MAX);
    sf_buf_be64(out, (uint64_t)commit_us);
    sf_buf_be64(out, r->position);
    sf_buf_be32(out, r->contract_id);
    sf_buf_byte(out, (uint8_t)(r->code_count | (r->form == 0 ? 0 : REJECT_HAS_FORM)));
    sf_buf_byte(out, (uint8_t)r->field.size);
    for (size_t i = 0; i < r->code_count; i++) {
        sf_buf_byte(out, (uint8_t)(r->codes[i] >> 8));
        sf_buf_byte(out, (uint8_t)r->codes[i]);
    }
    sf_buf_slice(out, r->field);
    if (r->form != 0) {
        sf_buf_byte(out, r->form);
        sf_buf_be32(out, (uint32_t)r->context.size);
        sf_buf_slice(out, r->context);
    }
}

/* Takes form and context off the front of what is behind the field. */
static bool take_form(struct sf_slice *rest, struct store_quarantined *ret)
{
    size_t size;

    if (rest->size < REJECT_FORM_FIXED) {
        return false;
    }
    ret->form = rest->data[0];
    size = sf_read_be32(rest->data + 1);
    if (size > rest->size - REJECT_FORM_FIXED) {
        return false;
    }
    ret->context = sf_slice_of(rest->data + REJECT_FORM_FIXED, size);
    *rest =
        sf_slice_of(rest->data + REJECT_FORM_FIXED + size, rest->size - REJECT_FORM_FIXED - size);
    return true;
}

enum sf_code keyspace_reject_decode(struct sf_slice s, struct store_quarantined *ret,
                                    struct sf_error *err)
{
    const bool has_form = s.size >= REJECT_FIXED && (s.data[20] & REJECT_HAS_FORM) != 0;
    size_t codes = s.size < REJECT_FIXED ? 0 : s.data[20] & ~(unsigned)REJECT_HAS_FORM;
    size_t field = s.size < REJECT_FIXED ? 0 : s.data[21];
    size_t fixed = REJECT_FIXED + codes * 2 + field;

    if (s.size < fixed || codes > STORE_REJECT_CODES_MAX) {
        return corrupt(err, "quarantine entry");
    }
    ret->commit_us = (int64_t)sf_read_be64(s.data);
    ret->position = sf_read_be64(s.data + 8);
    ret->contract_id = sf_read_be32(s.data + 16);
    ret->code_count = codes;
    for (size_t i = 0; i < codes; i++) {
        const uint8_t *p = s.data + REJECT_FIXED + i * 2;

        ret->codes[i] = (uint16_t)(p[0] << 8 | p[1]);
    }
    ret->field = sf_slice_of(s.data + REJECT_FIXED + codes * 2, field);
    ret->raw = sf_slice_of(s.data + fixed, s.size - fixed);
    ret->form = 0;
    ret->context = (struct sf_slice){0};
    return has_form && !take_form(&ret->raw, ret) ? corrupt(err, "quarantine entry") : SF_OK;
}
