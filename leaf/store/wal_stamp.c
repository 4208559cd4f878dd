#include "leaf/store/wal_stamp.h"

#include <string.h>

#include "common/base/buf.h"

enum { TAG_LOG_DATA = 3 }; /* RocksDB's kTypeLogData */

static const uint8_t magic[4] = {'S', 'F', 'W', 1};

void wal_stamp_encode(const struct wal_stamp *s, uint8_t ret[WAL_STAMP_BYTES])
{
    memcpy(ret, magic, sizeof(magic));
    sf_write_be64(ret + 4, s->life);
    sf_write_be64(ret + 12, s->number);
    sf_write_be64(ret + 20, s->synced);
}

bool wal_stamp_decode(struct sf_slice tail, struct wal_stamp *ret)
{
    const uint8_t *p;

    if (tail.size < WAL_STAMP_TAIL) {
        return false;
    }
    p = tail.data + tail.size - WAL_STAMP_TAIL;
    if (p[0] != TAG_LOG_DATA || p[1] != WAL_STAMP_BYTES || memcmp(p + 2, magic, 4) != 0) {
        return false;
    }
    *ret = (struct wal_stamp){sf_read_be64(p + 6), sf_read_be64(p + 14), sf_read_be64(p + 22)};
    return true;
}
