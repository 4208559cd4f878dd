/* Text of rows: any bytes. A character begins at every byte that does not continue one (10xxxxxx).
 */
#include "common/expr/expr_private.h"

static uint8_t fold(uint8_t c, enum sf_fold how)
{
    if (how == SF_FOLD_LOWER && c >= 'A' && c <= 'Z') {
        return (uint8_t)(c + ('a' - 'A'));
    }
    if (how == SF_FOLD_UPPER && c >= 'a' && c <= 'z') {
        return (uint8_t)(c - ('a' - 'A'));
    }
    return c;
}

int sf_cell_order_text(const struct sf_cell *a, const struct sf_cell *b)
{
    size_t n = a->s.size < b->s.size ? a->s.size : b->s.size;

    if (a->fold == SF_FOLD_NONE && b->fold == SF_FOLD_NONE) {
        return sf_slice_compare(a->s, b->s);
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t left = fold(a->s.data[i], a->fold);
        uint8_t right = fold(b->s.data[i], b->fold);

        if (left != right) {
            return left < right ? -1 : 1;
        }
    }
    return (a->s.size > b->s.size) - (a->s.size < b->s.size);
}

static bool continues(uint8_t c)
{
    return (c & 0xC0) == 0x80;
}

int64_t sf_text_length(struct sf_slice s)
{
    int64_t count = 0;

    for (size_t i = 0; i < s.size; i++) {
        count += !continues(s.data[i]);
    }
    return count;
}

/* Bytes before the character @index. */
static size_t offset_of(struct sf_slice s, int64_t index)
{
    size_t at = 0;

    for (; at < s.size; at++) {
        if (!continues(s.data[at]) && index-- == 0) {
            return at;
        }
    }
    return at;
}

bool sf_text_substr(struct sf_slice *s, int64_t start, const int64_t *length)
{
    const int64_t limit = UINT32_MAX; /* DuckDB's */
    int64_t size = sf_text_length(*s);
    int64_t from = start > 0 ? start - 1 : start < 0 ? size + start : -1;
    int64_t to = size;
    size_t begin;

    if (start > limit || start < -limit - 1 ||
        (length != NULL && (*length > limit || *length < -limit - 1))) {
        return false;
    }
    if (length != NULL) {
        to = from + *length;
    }
    if (to < from) {
        int64_t swap = from;

        from = to;
        to = swap;
    }
    from = from < 0 ? 0 : from;
    to = to > size ? size : to;
    if (to <= from) {
        *s = sf_slice_of(s->data, 0);
        return true;
    }
    begin = offset_of(*s, from);
    *s = sf_slice_of(s->data + begin, offset_of(*s, to) - begin);
    return true;
}

static size_t after_char(struct sf_slice s, size_t at)
{
    at++;
    while (at < s.size && continues(s.data[at])) {
        at++;
    }
    return at;
}

/* The usual walk: at a mismatch, the last % takes one character more. */
bool sf_text_like(const struct sf_like *like, const struct sf_cell *s, int64_t *steps, bool *ret)
{
    size_t at = 0;
    size_t item = 0;
    size_t star = like->count; /* behind the last %; count: there was none */
    size_t resume = 0;
    bool starred = false;

    while (at < s->s.size || item < like->count) {
        uint16_t want = item < like->count ? like->items[item] : 0;
        bool match = item < like->count && at < s->s.size;

        if ((*steps)-- <= 0) {
            return false;
        }
        if (item < like->count && want == SF_LIKE_ANY) {
            star = ++item;
            resume = at;
            starred = true;
            if (star == like->count) {
                break;
            }
        } else if (match && want == SF_LIKE_ONE) {
            at = after_char(s->s, at);
            item++;
        } else if (match && want == fold(s->s.data[at], s->fold)) {
            at++;
            item++;
        } else if (starred && resume < s->s.size) {
            resume = after_char(s->s, resume);
            at = resume;
            item = star;
        } else {
            *ret = false;
            return true;
        }
    }
    *ret = true;
    return true;
}
