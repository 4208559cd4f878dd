#include "cli/follow.h"

#include "common/base/str.h"

static bool take_number(struct sf_slice *text, char end, uint64_t *ret)
{
    size_t n = 0;

    while (n < text->size && text->data[n] != (uint8_t)end) {
        n++;
    }
    if ((end != '\0' && n == text->size) ||
        sf_parse_u64(sf_slice_of(text->data, n), ret) != SF_PARSE_OK) {
        return false;
    }
    *text = sf_slice_of(text->data + n + (end != '\0'), text->size - n - (end != '\0'));
    return true;
}

static bool take_epoch(struct sf_slice *text, uint32_t *ret)
{
    uint64_t epoch = 0;

    if (!take_number(text, ':', &epoch) || epoch > UINT32_MAX) {
        return false;
    }
    *ret = (uint32_t)epoch;
    return true;
}

bool follow_parse_position(const char *text, uint32_t *ret_epoch, uint64_t *ret_seq)
{
    struct sf_slice left = sf_slice_text(text);

    return take_epoch(&left, ret_epoch) && take_number(&left, '\0', ret_seq);
}

bool follow_parse(const char *position, const char *prev, const char *head, struct follow_span *ret)
{
    struct follow_span s = {0};
    struct sf_slice left = sf_slice_text(position);
    struct sf_slice prev_text = sf_slice_text(prev);

    if (prev == NULL || !take_number(&prev_text, '\0', &s.prev)) {
        return false;
    }
    if (position == NULL) {
        if (head == NULL || !follow_parse_position(head, &s.epoch, &s.head)) {
            return false;
        }
    } else if (!take_epoch(&left, &s.epoch) || !take_number(&left, '-', &s.first) ||
               !take_number(&left, '\0', &s.last) || s.first == 0 || s.first > s.last ||
               s.prev >= s.first) {
        return false;
    }
    *ret = s;
    return true;
}

enum follow_verdict follow_look(struct follow *f, const struct follow_span *span)
{
    if (!f->known) {
        *f = (struct follow){.known = true, .epoch = span->epoch, .at = span->prev};
    }
    if (span->epoch < f->epoch) {
        return FOLLOW_SEEN; /* of a leaf that has been replaced since */
    }
    if (span->epoch > f->epoch || span->prev > f->at) {
        return FOLLOW_GAP;
    }
    if (span->first == 0 && span->head < f->at) {
        return FOLLOW_GAP; /* A heartbeat of a table that has gone back, or an old one: ask. */
    }
    return span->last > f->at ? FOLLOW_NEW : FOLLOW_SEEN;
}

void follow_taken(struct follow *f, uint32_t epoch, uint64_t seq)
{
    f->known = true;
    f->at = epoch > f->epoch || seq > f->at ? seq : f->at;
    f->epoch = epoch > f->epoch ? epoch : f->epoch;
}

uint64_t follow_line_seq(struct sf_slice line)
{
    static const struct sf_slice start = {(const uint8_t *)"{\"seq\":", 7};
    struct sf_slice left = line;
    uint64_t seq = 0;

    if (!sf_slice_starts_with(line, start)) {
        return 0;
    }
    left = sf_slice_of(line.data + start.size, line.size - start.size);
    return take_number(&left, ',', &seq) ? seq : 0;
}
