#include "leaf/store/frame.h"

#include "common/base/assert.h"
#include "common/sys/hash_lanes.h"
#include "leaf/store/store.h"
#include "proto/errors.h"

/*
 * Offsets in the header and in an entry of the table; docs/formats/store.md is the description.
 * All integers are big-endian.
 */
enum {
    AT_MAGIC = 0, /* "SFR" and the format version */
    AT_LANE = 4,
    AT_EPOCH = 8,
    AT_COUNT = 12,
    AT_BODY_SIZE = 16,
    AT_COMMIT = 20,
    AT_COMMIT_US = 28,
    AT_FIRST_SEQ = 36,
    AT_PREV_HASH = 44,
    HASHED_PARTS = 3, /* of a change: head, key, row */
    HASHED_HEAD = 5,

    ENTRY_OP = 0,
    ENTRY_RESERVED = 1,
    ENTRY_KEY_SIZE = 2,
    ENTRY_ROW_SIZE = 4,
    ENTRY_CONTRACT = 8,
    ENTRY_PREV_SEQ = 12,
    ENTRY_DIGEST = 20,
};
#define FRAME_MAGIC UINT32_C(0x53465201)

_Static_assert(AT_PREV_HASH + SF_HASH256_SIZE == FRAME_HEADER_BYTES, "header size");
_Static_assert(ENTRY_DIGEST + SF_HASH256_SIZE == FRAME_ENTRY_BYTES, "entry size");

static void put_be16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static uint16_t get_be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

void store_change_digest(enum store_op op, struct sf_slice key, struct sf_slice row,
                         uint8_t ret[SF_HASH256_SIZE])
{
    uint8_t head[HASHED_HEAD] = {(uint8_t)op};
    struct sf_slice parts[HASHED_PARTS] = {{head, sizeof(head)}, key, row};

    sf_write_be32(head + 1, (uint32_t)key.size);
    sf_hash256(parts, SF_COUNT(parts), ret);
}

static void digest_lanes(struct store_change changes[SF_HASH_LANES])
{
    uint8_t heads[SF_HASH_LANES][HASHED_HEAD];
    struct sf_slice parts[SF_HASH_LANES * HASHED_PARTS];
    uint8_t *ret[SF_HASH_LANES];

    for (size_t i = 0; i < SF_HASH_LANES; i++) {
        struct store_change *c = &changes[i];

        heads[i][0] = (uint8_t)c->op;
        sf_write_be32(heads[i] + 1, (uint32_t)c->key.size);
        parts[i * HASHED_PARTS] = sf_slice_of(heads[i], HASHED_HEAD);
        parts[i * HASHED_PARTS + 1] = c->key;
        parts[i * HASHED_PARTS + 2] = c->row;
        ret[i] = c->digest;
    }
    sf_hash256_lanes(parts, HASHED_PARTS, ret);
}

void store_digest_changes(struct store_change *changes, size_t count)
{
    size_t i = 0;

    for (; i + SF_HASH_LANES <= count; i += SF_HASH_LANES) {
        digest_lanes(changes + i);
    }
    for (; i < count; i++) {
        store_change_digest(changes[i].op, changes[i].key, changes[i].row, changes[i].digest);
    }
}

static void write_entry(uint8_t *p, const struct frame_change *c)
{
    p[ENTRY_OP] = (uint8_t)c->op;
    p[ENTRY_RESERVED] = 0;
    put_be16(p + ENTRY_KEY_SIZE, (uint16_t)c->key.size);
    sf_write_be32(p + ENTRY_ROW_SIZE, (uint32_t)c->row.size);
    sf_write_be32(p + ENTRY_CONTRACT, c->contract_id);
    sf_write_be64(p + ENTRY_PREV_SEQ, c->prev_seq);
    memcpy(p + ENTRY_DIGEST, c->digest, SF_HASH256_SIZE);
}

static uint8_t *write_bytes(uint8_t *p, struct sf_slice s)
{
    if (s.size > 0) {
        memcpy(p, s.data, s.size);
    }
    return p + s.size;
}

void frame_encode(struct sf_buf *out, const struct frame_header *header,
                  const struct frame_change *changes, size_t count,
                  uint8_t ret_hash[SF_HASH256_SIZE])
{
    size_t table = FRAME_HEADER_BYTES + count * FRAME_ENTRY_BYTES;
    size_t body = 0;
    struct sf_slice hashed;
    uint8_t *start;
    uint8_t *p;

    sf_assert(count > 0 && count <= FRAME_CHANGES_MAX);
    for (size_t i = 0; i < count; i++) {
        sf_assert(changes[i].key.size <= UINT16_MAX && changes[i].row.size <= UINT32_MAX);
        body += changes[i].key.size + changes[i].row.size;
    }
    sf_assert(body <= UINT32_MAX);
    start = sf_buf_reserve(out, table + body + SF_HASH256_SIZE);
    if (start == NULL) {
        return;
    }
    sf_write_be32(start + AT_MAGIC, FRAME_MAGIC);
    sf_write_be32(start + AT_LANE, header->lane);
    sf_write_be32(start + AT_EPOCH, header->epoch);
    sf_write_be32(start + AT_COUNT, (uint32_t)count);
    sf_write_be32(start + AT_BODY_SIZE, (uint32_t)body);
    sf_write_be64(start + AT_COMMIT, header->commit);
    sf_write_be64(start + AT_COMMIT_US, (uint64_t)header->commit_us);
    sf_write_be64(start + AT_FIRST_SEQ, header->first_seq);
    memcpy(start + AT_PREV_HASH, header->prev_hash, SF_HASH256_SIZE);
    p = start + table;
    for (size_t i = 0; i < count; i++) {
        write_entry(start + FRAME_HEADER_BYTES + i * FRAME_ENTRY_BYTES, &changes[i]);
        p = write_bytes(p, changes[i].key);
        p = write_bytes(p, changes[i].row);
    }
    hashed = sf_slice_of(start, table);
    sf_hash256(&hashed, 1, ret_hash);
    memcpy(p, ret_hash, SF_HASH256_SIZE);
    out->size += table + body + SF_HASH256_SIZE;
}

static enum sf_code corrupt(struct sf_error *err, const char *what)
{
    return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "frame: %s", what);
}

static void read_header(const uint8_t *p, struct frame_header *h)
{
    h->lane = sf_read_be32(p + AT_LANE);
    h->epoch = sf_read_be32(p + AT_EPOCH);
    h->count = sf_read_be32(p + AT_COUNT);
    h->body_size = sf_read_be32(p + AT_BODY_SIZE);
    h->commit = sf_read_be64(p + AT_COMMIT);
    h->commit_us = (int64_t)sf_read_be64(p + AT_COMMIT_US);
    h->first_seq = sf_read_be64(p + AT_FIRST_SEQ);
    memcpy(h->prev_hash, p + AT_PREV_HASH, SF_HASH256_SIZE);
}

/* Whether every entry is one that frame_encode() can have written, and all fill the body. */
static bool table_fits(const uint8_t *table, uint32_t count, uint64_t body_size)
{
    uint64_t body = 0;

    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *e = table + (size_t)i * FRAME_ENTRY_BYTES;

        if ((e[ENTRY_OP] != STORE_UPSERT && e[ENTRY_OP] != STORE_DELETE) ||
            e[ENTRY_RESERVED] != 0) {
            return false;
        }
        body += (uint64_t)get_be16(e + ENTRY_KEY_SIZE) + sf_read_be32(e + ENTRY_ROW_SIZE);
    }
    return body == body_size;
}

enum sf_code frame_decode(struct sf_slice bytes, bool trust, struct frame *ret,
                          struct sf_error *err)
{
    struct frame f = {.bytes = bytes};
    uint64_t table;

    if (bytes.size < frame_empty_size() || sf_read_be32(bytes.data + AT_MAGIC) != FRAME_MAGIC) {
        return corrupt(err, "not one of this format");
    }
    read_header(bytes.data, &f.header);
    table = FRAME_HEADER_BYTES + (uint64_t)f.header.count * FRAME_ENTRY_BYTES;
    if (f.header.count == 0 || f.header.count > FRAME_CHANGES_MAX ||
        table + f.header.body_size + SF_HASH256_SIZE != bytes.size) {
        return corrupt(err, "sizes do not add up");
    }
    if (f.header.first_seq == 0 || f.header.first_seq > UINT64_MAX - f.header.count) {
        return corrupt(err, "seq out of range");
    }
    if (!table_fits(bytes.data + FRAME_HEADER_BYTES, f.header.count, f.header.body_size)) {
        return corrupt(err, "table of changes is damaged");
    }
    f.hash = bytes.data + bytes.size - SF_HASH256_SIZE;
    if (!trust) {
        struct sf_slice hashed = sf_slice_of(bytes.data, (size_t)table);
        uint8_t hash[SF_HASH256_SIZE];

        sf_hash256(&hashed, 1, hash);
        if (memcmp(hash, f.hash, SF_HASH256_SIZE) != 0) {
            return corrupt(err, "hash does not hold");
        }
    }
    *ret = f;
    return SF_OK;
}

static const uint8_t *entry_at(const struct frame *f, uint32_t i)
{
    return f->bytes.data + FRAME_HEADER_BYTES + (size_t)i * FRAME_ENTRY_BYTES;
}

static size_t entry_body(const uint8_t *entry)
{
    return (size_t)get_be16(entry + ENTRY_KEY_SIZE) + sf_read_be32(entry + ENTRY_ROW_SIZE);
}

void frame_cursor_init(struct frame_cursor *c, const struct frame *f)
{
    *c = (struct frame_cursor){
        .frame = f,
        .body_offset = FRAME_HEADER_BYTES + (size_t)f->header.count * FRAME_ENTRY_BYTES,
    };
}

static void read_change(const struct frame_cursor *c, struct frame_change *ret)
{
    const uint8_t *e = entry_at(c->frame, c->next);
    const uint8_t *body = c->frame->bytes.data + c->body_offset;
    size_t key_size = get_be16(e + ENTRY_KEY_SIZE);

    ret->op = e[ENTRY_OP] == STORE_UPSERT ? STORE_UPSERT : STORE_DELETE;
    ret->contract_id = sf_read_be32(e + ENTRY_CONTRACT);
    ret->prev_seq = sf_read_be64(e + ENTRY_PREV_SEQ);
    ret->key = sf_slice_of(body, key_size);
    ret->row = sf_slice_of(body + key_size, sf_read_be32(e + ENTRY_ROW_SIZE));
    ret->digest = e + ENTRY_DIGEST;
}

bool frame_cursor_next(struct frame_cursor *c, struct frame_change *ret, uint64_t *ret_seq)
{
    if (c->next == c->frame->header.count) {
        return false;
    }
    read_change(c, ret);
    *ret_seq = c->frame->header.first_seq + c->next;
    c->body_offset += entry_body(entry_at(c->frame, c->next));
    c->next++;
    return true;
}

bool frame_cursor_prev(struct frame_cursor *c, struct frame_change *ret, uint64_t *ret_seq)
{
    if (c->next == 0) {
        return false;
    }
    c->next--;
    c->body_offset -= entry_body(entry_at(c->frame, c->next));
    read_change(c, ret);
    *ret_seq = c->frame->header.first_seq + c->next;
    return true;
}

void frame_cursor_seek(struct frame_cursor *c, uint64_t seq)
{
    const struct frame_header *h = &c->frame->header;

    sf_assert(seq >= h->first_seq && seq - h->first_seq <= h->count);
    frame_cursor_init(c, c->frame);
    for (; h->first_seq + c->next < seq; c->next++) {
        c->body_offset += entry_body(entry_at(c->frame, c->next));
    }
}

enum sf_code frame_change_check(const struct frame *f, const struct frame_change *c, uint64_t seq,
                                struct sf_error *err)
{
    uint8_t digest[SF_HASH256_SIZE];

    store_change_digest(c->op, c->key, c->row, digest);
    if (memcmp(digest, c->digest, SF_HASH256_SIZE) != 0) {
        return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT,
                          "lane %u, seq %llu: digest does not hold", (unsigned)f->header.lane,
                          (unsigned long long)seq);
    }
    return SF_OK;
}
