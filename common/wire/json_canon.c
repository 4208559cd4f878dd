#include "common/wire/json_canon.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/utf8.h"
#include "common/wire/json_text.h"

enum {
    EXPONENT_MAX = 9999,
    PLAIN_POINT_MAX = 21, /* digits before the point, beyond which there is an exponent */
    PLAIN_POINT_MIN = -5, /* zeros behind the point, the same */
    NUMBER_TEXT_SIZE = SF_JSON_CANON_DIGITS_MAX + 16,
};

/* --- numbers ---------------------------------------------------------------------------------- */

/* 0.DIGITS * 10^point, without zeros at either end. */
struct number {
    uint8_t digit[SF_JSON_CANON_DIGITS_MAX];
    size_t count;
    int64_t zeros; /* since the last digit that counts */
    int64_t point;
    bool negative;
};

static bool put_digit(struct number *n, uint8_t digit)
{
    if (digit == '0') {
        n->zeros += n->count > 0;
        return true;
    }
    if ((int64_t)n->count + n->zeros >= SF_JSON_CANON_DIGITS_MAX) {
        return false;
    }
    memset(n->digit + n->count, '0', (size_t)n->zeros);
    n->count += (size_t)n->zeros;
    n->zeros = 0;
    n->digit[n->count++] = digit;
    return true;
}

static bool is_digit(struct sf_slice s, size_t at)
{
    return at < s.size && s.data[at] >= '0' && s.data[at] <= '9';
}

/* @s has the syntax of a JSON number. */
static bool read_number(struct sf_slice s, struct number *n)
{
    size_t at = s.data[0] == '-' ? 1 : 0;
    int64_t exponent = 0;
    bool down;

    n->negative = at == 1;
    for (; is_digit(s, at); at++) {
        if (!put_digit(n, s.data[at])) {
            return false;
        }
        n->point += n->count > 0;
    }
    if (at < s.size && s.data[at] == '.') {
        for (at++; is_digit(s, at); at++) {
            if (!put_digit(n, s.data[at])) {
                return false;
            }
            n->point -= n->count == 0;
        }
    }
    if (at < s.size) {
        down = s.data[at + 1] == '-';
        for (at += down || s.data[at + 1] == '+' ? 2 : 1; is_digit(s, at); at++) {
            exponent = exponent > EXPONENT_MAX ? exponent : exponent * 10 + (s.data[at] - '0');
        }
        n->point += down ? -exponent : exponent;
    }
    return n->count == 0 || (n->point - 1 <= EXPONENT_MAX && n->point - 1 >= -EXPONENT_MAX);
}

static size_t format_number(const struct number *n, uint8_t ret[NUMBER_TEXT_SIZE])
{
    const int64_t count = (int64_t)n->count;
    uint8_t *p = ret;

    if (count == 0) {
        *p = '0';
        return 1;
    }
    if (n->negative) {
        *p++ = '-';
    }
    if (n->point > PLAIN_POINT_MAX || n->point < PLAIN_POINT_MIN) {
        *p++ = n->digit[0];
        if (count > 1) {
            *p++ = '.';
            memcpy(p, n->digit + 1, n->count - 1);
            p += n->count - 1;
        }
        return (size_t)(p - ret) + (size_t)snprintf((char *)p, (size_t)(ret + NUMBER_TEXT_SIZE - p),
                                                    "e%+lld", (long long)n->point - 1);
    }
    if (n->point <= 0) {
        memcpy(p, "0.", 2);
        memset(p + 2, '0', (size_t)-n->point);
        p += 2 + (size_t)-n->point;
    }
    for (int64_t i = 0; i < count || i < n->point; i++) {
        if (i == n->point && i > 0) {
            *p++ = '.';
        }
        *p++ = i < count ? n->digit[i] : '0';
    }
    return (size_t)(p - ret);
}

/* --- writing ---------------------------------------------------------------------------------- */

struct member {
    struct sf_slice name;
    const struct sf_json *value;
};

/* What a byte of a name begins with where it is written. */
static struct sf_slice escape_of(const uint8_t *byte, uint8_t scratch[8])
{
    return sf_slice_of(scratch,
                       (size_t)(sf_json_write_escaped(scratch, sf_slice_of(byte, 1)) - scratch));
}

/* As the names are written: no escape begins another, so the first byte that differs decides. */
static int by_name(const void *a, const void *b)
{
    const struct sf_slice x = ((const struct member *)a)->name;
    const struct sf_slice y = ((const struct member *)b)->name;
    size_t size = x.size < y.size ? x.size : y.size;
    uint8_t left[8];
    uint8_t right[8];

    for (size_t i = 0; i < size; i++) {
        if (x.data[i] != y.data[i]) {
            return sf_slice_compare(escape_of(x.data + i, left), escape_of(y.data + i, right));
        }
    }
    return (x.size > y.size) - (x.size < y.size);
}

static enum sf_json_canon write_value(const struct sf_json *v, unsigned depth,
                                      struct sf_arena *scratch, struct sf_buf *out);

static enum sf_json_canon write_object(const struct sf_json *v, unsigned depth,
                                       struct sf_arena *scratch, struct sf_buf *out)
{
    size_t count = sf_json_count(v);
    struct member *members = sf_arena_alloc(scratch, (count + 1) * sizeof(*members));
    enum sf_json_canon done = SF_JSON_CANON_OK;
    size_t n = 0;

    if (members == NULL) {
        return SF_JSON_CANON_NOMEM;
    }
    for (struct sf_json_iter it = sf_json_iter(v); sf_json_next(&it);) {
        members[n++] = (struct member){it.key, it.value};
    }
    if (n > 1) {
        qsort(members, n, sizeof(*members), by_name);
    }
    sf_buf_byte(out, '{');
    for (size_t i = 0; i < n && done == SF_JSON_CANON_OK; i++) {
        if (i > 0 && sf_slice_equal(members[i - 1].name, members[i].name)) {
            return SF_JSON_CANON_TWICE;
        }
        sf_buf_text(out, i == 0 ? "" : ",");
        sf_json_put_string(out, members[i].name);
        sf_buf_byte(out, ':');
        done = write_value(members[i].value, depth, scratch, out);
    }
    sf_buf_byte(out, '}');
    return done;
}

static enum sf_json_canon write_array(const struct sf_json *v, unsigned depth,
                                      struct sf_arena *scratch, struct sf_buf *out)
{
    enum sf_json_canon done = SF_JSON_CANON_OK;
    const char *comma = "";

    sf_buf_byte(out, '[');
    for (struct sf_json_iter it = sf_json_iter(v); done == SF_JSON_CANON_OK && sf_json_next(&it);
         comma = ",") {
        sf_buf_text(out, comma);
        done = write_value(it.value, depth, scratch, out);
    }
    sf_buf_byte(out, ']');
    return done;
}

static enum sf_json_canon write_number(const struct sf_json *v, struct sf_buf *out)
{
    struct number n = {.count = 0};
    struct sf_slice text = {0};
    uint8_t *p;

    if (!sf_json_as_number_text(v, &text) || !read_number(text, &n)) {
        return SF_JSON_CANON_NUMBER;
    }
    p = sf_buf_reserve(out, NUMBER_TEXT_SIZE);
    if (p != NULL) {
        out->size += format_number(&n, p);
    }
    return SF_JSON_CANON_OK;
}

/* @depth: levels that are open already. */
static enum sf_json_canon write_value(const struct sf_json *v, unsigned depth,
                                      struct sf_arena *scratch, struct sf_buf *out)
{
    struct sf_slice text = {0};
    bool truth = false;

    switch (sf_json_kind(v)) {
    case SF_JSON_ABSENT:
    case SF_JSON_NULL:
        sf_buf_text(out, "null");
        return SF_JSON_CANON_OK;
    case SF_JSON_BOOL:
        (void)sf_json_as_bool(v, &truth);
        sf_buf_text(out, truth ? "true" : "false");
        return SF_JSON_CANON_OK;
    case SF_JSON_NUMBER:
        return write_number(v, out);
    case SF_JSON_STRING:
        (void)sf_json_as_slice(v, &text);
        sf_json_put_string(out, text);
        return SF_JSON_CANON_OK;
    case SF_JSON_ARRAY:
        return depth == SF_JSON_CANON_DEPTH_MAX ? SF_JSON_CANON_DEEP
                                                : write_array(v, depth + 1, scratch, out);
    case SF_JSON_OBJECT:
        return depth == SF_JSON_CANON_DEPTH_MAX ? SF_JSON_CANON_DEEP
                                                : write_object(v, depth + 1, scratch, out);
    }
    return SF_JSON_CANON_OK;
}

enum sf_json_canon sf_json_canon_write(const struct sf_json *v, struct sf_arena *scratch,
                                       struct sf_buf *out)
{
    return write_value(v, 0, scratch, out);
}

/* --- checking --------------------------------------------------------------------------------- */

struct cursor {
    const uint8_t *p;
    const uint8_t *end;
};

static bool take(struct cursor *c, const char *text)
{
    size_t size = strlen(text);

    if ((size_t)(c->end - c->p) < size || memcmp(c->p, text, size) != 0) {
        return false;
    }
    c->p += size;
    return true;
}

/* Behind a backslash: an escape that has no shorter form. */
static bool check_escape(struct cursor *c)
{
    static const char hex[] = "0123456789abcdef";
    const char *digit;
    unsigned code;

    if (c->p == c->end) {
        return false;
    }
    if (*c->p != 'u') {
        return *c->p != '\0' && strchr("\"\\bfnrt", *c->p++) != NULL;
    }
    if (!take(c, "u00") || c->end - c->p < 2 || (*c->p != '0' && *c->p != '1')) {
        return false;
    }
    digit = c->p[1] == '\0' ? NULL : strchr(hex, c->p[1]);
    if (digit == NULL) {
        return false;
    }
    code = (unsigned)(*c->p - '0') * 16 + (unsigned)(digit - hex);
    c->p += 2;
    return sf_json_escape_size[code] == 6;
}

/* *ret is what stands between the quotes. */
static bool check_string(struct cursor *c, struct sf_slice *ret)
{
    const uint8_t *start;

    if (!take(c, "\"")) {
        return false;
    }
    start = c->p;
    while (c->p < c->end && *c->p != '"') {
        uint8_t byte = *c->p++;

        if (byte == '\\' ? !check_escape(c) : byte < ' ') {
            return false;
        }
    }
    *ret = sf_slice_of(start, (size_t)(c->p - start));
    return take(c, "\"");
}

static bool is_number_byte(uint8_t c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e';
}

/* Digits, at least one, without a zero in front of others. */
static bool take_digits(struct cursor *c, bool whole)
{
    const uint8_t *start = c->p;

    while (c->p < c->end && *c->p >= '0' && *c->p <= '9') {
        c->p++;
    }
    return c->p > start && (!whole || *start != '0' || c->p == start + 1);
}

static bool check_number(struct cursor *c)
{
    const uint8_t *start = c->p;
    struct number n = {.count = 0};
    uint8_t text[NUMBER_TEXT_SIZE];
    size_t size = 0;

    while (c->p + size < c->end && is_number_byte(c->p[size])) {
        size++;
    }
    /* As JSON wants it, so that it may be read; then as we would write it. */
    (void)take(c, "-");
    if (size > NUMBER_TEXT_SIZE || !take_digits(c, /* whole= */ true) ||
        (take(c, ".") && !take_digits(c, /* whole= */ false)) ||
        (take(c, "e") && (!(take(c, "+") || take(c, "-")) || !take_digits(c, false))) ||
        c->p != start + size || !read_number(sf_slice_of(start, size), &n)) {
        return false;
    }
    return format_number(&n, text) == size && memcmp(text, start, size) == 0;
}

static bool check_value(struct cursor *c, unsigned depth);

static bool check_array(struct cursor *c, unsigned depth)
{
    if (take(c, "]")) {
        return true;
    }
    do {
        if (!check_value(c, depth)) {
            return false;
        }
    } while (take(c, ","));
    return take(c, "]");
}

static bool check_object(struct cursor *c, unsigned depth)
{
    struct sf_slice before = {0};
    struct sf_slice name;
    bool first = true;

    if (take(c, "}")) {
        return true;
    }
    do {
        if (!check_string(c, &name) || (!first && sf_slice_compare(before, name) >= 0) ||
            !take(c, ":") || !check_value(c, depth)) {
            return false;
        }
        before = name;
        first = false;
    } while (take(c, ","));
    return take(c, "}");
}

static bool check_value(struct cursor *c, unsigned depth)
{
    struct sf_slice unused;

    if (c->p == c->end) {
        return false;
    }
    switch (*c->p) {
    case '"':
        return check_string(c, &unused);
    case '[':
        c->p++;
        return depth < SF_JSON_CANON_DEPTH_MAX && check_array(c, depth + 1);
    case '{':
        c->p++;
        return depth < SF_JSON_CANON_DEPTH_MAX && check_object(c, depth + 1);
    case 't':
        return take(c, "true");
    case 'f':
        return take(c, "false");
    case 'n':
        return depth > 0 && take(c, "null");
    default:
        return check_number(c);
    }
}

bool sf_json_canon_check(struct sf_slice text)
{
    struct cursor c = {.p = text.data, .end = text.data + text.size};

    return text.size > 0 && sf_utf8_is_valid(text) && check_value(&c, 0) && c.p == c.end;
}
