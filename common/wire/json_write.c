/* The part of json.h that writes. */
#include <stdarg.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/base/str.h"
#include "common/base/utf8.h"
#include "common/wire/base64.h"
#include "common/wire/json.h"
#include "common/wire/json_text.h"

/* Size of a character in a JSON string: 1, 2 for a short escape, 6 for \u00xx. */
const uint8_t sf_json_escape_size[256] = {
    [0 ... 7] = 6,     ['\b'] = 2, ['\t'] = 2,        ['\n'] = 2,        [11] = 6,
    ['\f'] = 2,        ['\r'] = 2, [14 ... 31] = 6,   [' ' ... '!'] = 1, ['"'] = 2,
    ['#' ... '['] = 1, ['\\'] = 2, [']' ... 255] = 1,
};

size_t sf_json_escaped_size(struct sf_slice s)
{
    size_t size = 0;

    for (size_t i = 0; i < s.size; i++) {
        size += sf_json_escape_size[s.data[i]];
    }
    return size;
}

uint8_t *sf_json_write_escaped(uint8_t *p, struct sf_slice s)
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};

    for (size_t i = 0; i < s.size; i++) {
        uint8_t c = s.data[i];

        if (sf_json_escape_size[c] == 1) {
            *p++ = c;
            continue;
        }
        *p++ = '\\';
        if (sf_json_escape_size[c] == 2) {
            *p++ = c < 32 ? (uint8_t)letters[c] : c;
            continue;
        }
        memcpy(p, "u00", 3);
        p[3] = (uint8_t)hex[c >> 4];
        p[4] = (uint8_t)hex[c & 15];
        p += 5;
    }
    return p;
}

void sf_json_put_string(struct sf_buf *out, struct sf_slice utf8)
{
    size_t size = sf_json_string_size(utf8);
    uint8_t *p = sf_buf_reserve(out, size);

    if (p != NULL) {
        (void)sf_json_write_string(p, utf8, size);
        out->size += size;
    }
}

void sf_json_put_double(struct sf_buf *out, double value)
{
    char text[SF_DOUBLE_TEXT_SIZE];
    size_t size = sf_format_double(value, text);

    sf_buf_append(out, text, size);
}

void sf_json_put_base64(struct sf_buf *out, struct sf_slice bytes)
{
    size_t size = sf_base64_size(bytes.size) + 2;
    uint8_t *p = sf_buf_reserve(out, size);

    if (p != NULL) {
        *p++ = '"';
        p = sf_base64_write(p, bytes);
        *p = '"';
        out->size += size;
    }
}

static void new_line(struct sf_json_writer *w)
{
    if (w->pretty) {
        sf_buf_byte(w->out, '\n');
        for (uint32_t i = 0; i < w->depth; i++) {
            sf_buf_text(w->out, "  ");
        }
    }
}

/* Levels are counted from 1; level 0, outside of everything, has no bit of its own. */
static uint64_t level_bit(const struct sf_json_writer *w)
{
    return (uint64_t)1 << ((w->depth + 63) & 63);
}

/* Comma and line before the next item of the level. */
static void next_item(struct sf_json_writer *w)
{
    uint64_t level = level_bit(w);

    if (w->depth == 0) {
        return;
    }
    if ((w->has_items & level) != 0) {
        sf_buf_byte(w->out, ',');
    }
    w->has_items |= level;
    new_line(w);
}

static void before_value(struct sf_json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    sf_assert(w->depth == 0 || (w->is_object & level_bit(w)) == 0);
    next_item(w);
}

static void begin(struct sf_json_writer *w, bool object)
{
    before_value(w);
    sf_assert(w->depth < SF_JSON_DEPTH_MAX);
    w->depth++;
    w->has_items &= ~level_bit(w);
    w->is_object &= ~level_bit(w);
    w->is_object |= object ? level_bit(w) : 0;
    sf_buf_byte(w->out, object ? '{' : '[');
}

static void end(struct sf_json_writer *w, bool object)
{
    uint64_t level = level_bit(w);

    sf_assert(w->depth > 0 && !w->after_key && ((w->is_object & level) != 0) == object);
    w->depth--;
    if ((w->has_items & level) != 0) {
        new_line(w);
    }
    sf_buf_byte(w->out, object ? '}' : ']');
}

void sf_json_object_begin(struct sf_json_writer *w)
{
    begin(w, true);
}

void sf_json_object_end(struct sf_json_writer *w)
{
    end(w, true);
}

void sf_json_array_begin(struct sf_json_writer *w)
{
    begin(w, false);
}

void sf_json_array_end(struct sf_json_writer *w)
{
    end(w, false);
}

/* A string of any bytes: each one that is no part of a UTF-8 character becomes U+FFFD. */
static void put_any(struct sf_buf *out, struct sf_slice s)
{
    struct sf_buf clean = {0};

    if (sf_utf8_is_valid(s)) {
        sf_json_put_string(out, s);
        return;
    }
    while (s.size > 0) {
        size_t size = sf_utf8_char_size(s);

        sf_buf_slice(&clean, size > 0 ? sf_slice_of(s.data, size) : SF_LITERAL("\xef\xbf\xbd"));
        size += size == 0;
        s = sf_slice_of(s.data + size, s.size - size);
    }
    if (clean.failed != SF_OK) {
        out->failed = clean.failed;
    } else {
        sf_json_put_string(out, sf_buf_view(&clean));
    }
    sf_buf_done(&clean);
}

void sf_json_key_slice(struct sf_json_writer *w, struct sf_slice name)
{
    sf_assert(!w->after_key && w->depth > 0 && (w->is_object & level_bit(w)) != 0);
    next_item(w);
    put_any(w->out, name);
    sf_buf_text(w->out, w->pretty ? ": " : ":");
    w->after_key = true;
}

void sf_json_key(struct sf_json_writer *w, const char *name)
{
    sf_json_key_slice(w, sf_slice_text(name));
}

void sf_json_slice(struct sf_json_writer *w, struct sf_slice s)
{
    before_value(w);
    put_any(w->out, s);
}

void sf_json_text(struct sf_json_writer *w, const char *text)
{
    if (text == NULL) {
        sf_json_null(w);
    } else {
        sf_json_slice(w, sf_slice_text(text));
    }
}

void sf_json_printf(struct sf_json_writer *w, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    int size;

    va_start(args, fmt);
    size = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    text = size < 0 ? NULL : sf_alloc((size_t)size + 1);
    if (text == NULL) {
        w->out->failed = w->out->failed == SF_OK ? SF_NOMEM : w->out->failed;
    } else {
        va_start(args, fmt);
        (void)vsnprintf(text, (size_t)size + 1, fmt, args);
        va_end(args);
    }
    sf_json_text(w, text);
    sf_free(text);
}

void sf_json_int(struct sf_json_writer *w, int64_t value)
{
    uint8_t text[SF_JSON_INT_SIZE];

    before_value(w);
    sf_buf_append(w->out, text, (size_t)(sf_json_write_int(text, value) - text));
}

void sf_json_uint(struct sf_json_writer *w, uint64_t value)
{
    uint8_t text[SF_JSON_INT_SIZE];

    before_value(w);
    sf_buf_append(w->out, text, (size_t)(sf_json_write_uint(text, value) - text));
}

void sf_json_double(struct sf_json_writer *w, double value)
{
    before_value(w);
    sf_json_put_double(w->out, value);
}

void sf_json_bool(struct sf_json_writer *w, bool value)
{
    before_value(w);
    sf_buf_text(w->out, value ? "true" : "false");
}

void sf_json_null(struct sf_json_writer *w)
{
    before_value(w);
    sf_buf_text(w->out, "null");
}

void sf_json_raw(struct sf_json_writer *w, struct sf_slice json)
{
    before_value(w);
    sf_buf_slice(w->out, json);
}

/* A container on one line. Recursion is bounded: documents have at most SF_JSON_DEPTH_MAX levels.
 */
static void put_value(struct sf_buf *out, const struct sf_json *v)
{
    enum sf_json_kind kind = sf_json_kind(v);
    const char *comma = "";

    if (kind != SF_JSON_ARRAY && kind != SF_JSON_OBJECT) {
        struct sf_json_writer w = {.out = out};

        sf_json_value(&w, v);
        return;
    }
    sf_buf_byte(out, kind == SF_JSON_ARRAY ? '[' : '{');
    for (struct sf_json_iter it = sf_json_iter(v); sf_json_next(&it); comma = ",") {
        sf_buf_text(out, comma);
        if (kind == SF_JSON_OBJECT) {
            sf_json_put_string(out, it.key);
            sf_buf_byte(out, ':');
        }
        put_value(out, it.value);
    }
    sf_buf_byte(out, kind == SF_JSON_ARRAY ? ']' : '}');
}

void sf_json_value(struct sf_json_writer *w, const struct sf_json *v)
{
    struct sf_slice s = {0};
    bool b = false;

    switch (sf_json_kind(v)) {
    case SF_JSON_ABSENT:
    case SF_JSON_NULL:
        sf_json_null(w);
        return;
    case SF_JSON_BOOL:
        (void)sf_json_as_bool(v, &b);
        sf_json_bool(w, b);
        return;
    case SF_JSON_NUMBER:
        (void)sf_json_as_number_text(v, &s);
        sf_json_raw(w, s);
        return;
    case SF_JSON_STRING:
        (void)sf_json_as_slice(v, &s);
        sf_json_slice(w, s);
        return;
    case SF_JSON_ARRAY:
    case SF_JSON_OBJECT:
        before_value(w);
        put_value(w->out, v);
        return;
    }
}

void sf_json_member_text(struct sf_json_writer *w, const char *name, const char *text)
{
    sf_json_key(w, name);
    sf_json_text(w, text);
}

void sf_json_member_slice(struct sf_json_writer *w, const char *name, struct sf_slice s)
{
    sf_json_key(w, name);
    sf_json_slice(w, s);
}

void sf_json_member_int(struct sf_json_writer *w, const char *name, int64_t value)
{
    sf_json_key(w, name);
    sf_json_int(w, value);
}

void sf_json_member_uint(struct sf_json_writer *w, const char *name, uint64_t value)
{
    sf_json_key(w, name);
    sf_json_uint(w, value);
}

void sf_json_member_bool(struct sf_json_writer *w, const char *name, bool value)
{
    sf_json_key(w, name);
    sf_json_bool(w, value);
}
