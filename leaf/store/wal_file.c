#include "leaf/store/wal_file.h"

#include <string.h>

#include "common/base/buf.h"
#include "common/sys/crc32c.h"

enum { BLOCK_BYTES = 32768, HEADER_BYTES = 7 };
enum piece_kind { PIECE_FULL = 1, PIECE_FIRST, PIECE_MIDDLE, PIECE_LAST };

#define MASK_DELTA 0xa282ead8u

static uint32_t read_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* --- pieces --- */

struct piece {
    enum piece_kind kind;
    struct sf_slice bytes;
    uint64_t end;
};

/* In front of the header of a piece at @at: what is left of a block too small for one is skipped.
 */
static uint64_t piece_place(uint64_t at)
{
    const uint64_t left = BLOCK_BYTES - at % BLOCK_BYTES;

    return left < HEADER_BYTES ? at + left : at;
}

/* WAL_RECORD: it is whole. */
static enum wal_next read_piece(const struct wal_file *f, uint64_t at, struct piece *ret)
{
    const uint64_t block_left = BLOCK_BYTES - at % BLOCK_BYTES;
    const uint8_t *p;
    uint64_t size;
    uint32_t crc;

    if (at >= f->bytes.size) {
        return WAL_END;
    }
    p = f->bytes.data + at;
    if (f->bytes.size - at < HEADER_BYTES) {
        return WAL_SHORT;
    }
    size = (uint64_t)p[4] | (uint64_t)p[5] << 8;
    if (p[6] < PIECE_FULL || p[6] > PIECE_LAST || HEADER_BYTES + size > block_left) {
        return WAL_BAD;
    }
    if (HEADER_BYTES + size > f->bytes.size - at) {
        return WAL_SHORT;
    }
    crc = sf_crc32c(0, sf_slice_of(p + 6, 1 + size));
    if (((crc >> 15 | crc << 17) + MASK_DELTA) != read_le32(p)) {
        return WAL_BAD;
    }
    *ret = (struct piece){(enum piece_kind)p[6], sf_slice_of(p + HEADER_BYTES, size),
                          at + HEADER_BYTES + size};
    return WAL_RECORD;
}

/* --- records --- */

/* The last bytes of a record that may come in pieces. */
struct tail {
    uint8_t bytes[2 * WAL_STAMP_TAIL];
    size_t size;
};

static void tail_add(struct tail *t, struct sf_slice piece)
{
    const size_t from = piece.size > WAL_STAMP_TAIL ? piece.size - WAL_STAMP_TAIL : 0;
    const size_t n = piece.size - from;
    const size_t kept = t->size < WAL_STAMP_TAIL ? t->size : WAL_STAMP_TAIL;

    memmove(t->bytes, t->bytes + t->size - kept, kept);
    if (n > 0) {
        memcpy(t->bytes + kept, piece.data + from, n);
    }
    t->size = kept + n;
}

static void head_add(struct wal_file *f, struct sf_slice piece)
{
    const size_t left = WAL_HEAD_BYTES - f->head.size;
    const size_t n = piece.size < left ? piece.size : left;

    if (n > 0) {
        memcpy(f->head.bytes + f->head.size, piece.data, n);
        f->head.size += n;
    }
}

static enum wal_next stop(struct wal_file *f, uint64_t end, enum wal_next why)
{
    f->end = end;
    f->has_stamp = false;
    return why;
}

enum wal_next wal_file_next(struct wal_file *f)
{
    struct tail tail = {.size = 0};
    struct piece p;
    bool inside = false;
    uint64_t at = piece_place(f->end);

    f->at = at;
    f->head.size = 0;
    while (true) {
        const enum wal_next next = read_piece(f, at, &p);

        if (next != WAL_RECORD) {
            return stop(f, at, next == WAL_END && inside ? WAL_SHORT : next);
        }
        if (inside != (p.kind == PIECE_MIDDLE || p.kind == PIECE_LAST)) {
            return stop(f, at, WAL_BAD);
        }
        inside = true;
        head_add(f, p.bytes);
        tail_add(&tail, p.bytes);
        if (p.kind == PIECE_FULL || p.kind == PIECE_LAST) {
            f->end = p.end;
            f->has_stamp = wal_stamp_decode(sf_slice_of(tail.bytes, tail.size), &f->stamp);
            return WAL_RECORD;
        }
        at = piece_place(p.end);
    }
}

bool wal_file_find(struct wal_file *f)
{
    struct tail tail = {.size = 0};
    struct piece p;

    while (f->end < f->bytes.size) {
        const uint64_t at = piece_place(f->end);

        if (read_piece(f, at, &p) != WAL_RECORD) {
            tail.size = 0;
            f->end = at + 1;
            continue;
        }
        f->end = p.end;
        if (p.kind == PIECE_FULL || p.kind == PIECE_FIRST) {
            tail.size = 0;
        }
        tail_add(&tail, p.bytes);
        if ((p.kind == PIECE_FULL || p.kind == PIECE_LAST) &&
            wal_stamp_decode(sf_slice_of(tail.bytes, tail.size), &f->stamp)) {
            f->has_stamp = true;
            return true;
        }
    }
    return false;
}
