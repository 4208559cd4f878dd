#include "leaf/ingest/seq_set.h"

#include <string.h>

#include "proto/errors.h"

enum { FORMAT = 1 };

bool seq_set_has(const struct seq_set *s, uint64_t seq)
{
    for (size_t i = s->count; i-- > 0;) { /* most are asked for near the end */
        if (seq >= s->ranges[i].from) {
            return seq <= s->ranges[i].to;
        }
    }
    return false;
}

bool seq_set_add(struct seq_set *s, struct seq_range range)
{
    size_t first = 0; /* ranges that touch @range or overlap it: [first, behind) */
    size_t behind;

    while (first < s->count && s->ranges[first].to + 1 < range.from) {
        first++;
    }
    behind = first;
    while (behind < s->count && s->ranges[behind].from <= range.to + 1) {
        range.from = range.from < s->ranges[behind].from ? range.from : s->ranges[behind].from;
        range.to = range.to > s->ranges[behind].to ? range.to : s->ranges[behind].to;
        behind++;
    }
    if (behind == first && s->count == SEQ_RANGES_MAX) {
        return false;
    }
    memmove(&s->ranges[first + 1], &s->ranges[behind], (s->count - behind) * sizeof(range));
    s->ranges[first] = range;
    s->count = s->count - (behind - first) + 1;
    return true;
}

uint64_t seq_set_highest(const struct seq_set *s)
{
    return s->count == 0 ? 0 : s->ranges[s->count - 1].to;
}

void seq_set_encode(const struct seq_set *s, const char *stream, struct sf_buf *ret)
{
    sf_buf_byte(ret, FORMAT);
    sf_buf_byte(ret, (uint8_t)strlen(stream));
    sf_buf_text(ret, stream);
    for (size_t i = 0; i < s->count; i++) {
        sf_buf_be64(ret, s->ranges[i].from);
        sf_buf_be64(ret, s->ranges[i].to);
    }
}

enum sf_code seq_set_decode(struct sf_slice bytes, struct seq_set *ret,
                            char ret_stream[SEQ_STREAM_MAX], struct sf_error *err)
{
    const size_t name = bytes.size < 2 ? 0 : bytes.data[1];
    const size_t rest = bytes.size < 2 + name ? 1 : bytes.size - 2 - name;

    ret->count = 0;
    if (bytes.size < 2 + name || bytes.data[0] != FORMAT || name >= SEQ_STREAM_MAX ||
        rest % 16 != 0 || rest / 16 > SEQ_RANGES_MAX) {
        return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "the cursor of a source");
    }
    memcpy(ret_stream, bytes.data + 2, name);
    ret_stream[name] = '\0';
    for (const uint8_t *p = bytes.data + 2 + name; p < bytes.data + bytes.size; p += 16) {
        const struct seq_range range = {sf_read_be64(p), sf_read_be64(p + 8)};

        if (range.from > range.to ||
            (ret->count > 0 && range.from <= ret->ranges[ret->count - 1].to)) {
            return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "the cursor of a source");
        }
        ret->ranges[ret->count++] = range;
    }
    return SF_OK;
}
