/* Masks as text: name, or name(arguments). */
#include <stdio.h>

#include "common/base/str.h"
#include "common/base/utf8.h"
#include "common/mask/mask_private.h"
#include "proto/errors.h"

/* In the order of enum sf_mask_kind, without the first. */
static const char *const mask_names[] = {
    "bucket", "round",  "truncate", "keep_first", "keep_last", "keep_domain",
    "hash",   "redact", "constant", "null",       "omit",
};
/* In the order of enum sf_mask_part. */
static const char *const part_names[] = {"hour", "day", "month", "quarter", "year"};

const char *sf_mask_name(enum sf_mask_kind kind)
{
    return kind == SF_MASK_NONE ? "none" : mask_names[kind - 1];
}

/* A mask being read: bytes of text, and where in the source they begin. */
struct reader {
    struct sf_issues *issues;
    struct sf_arena *arena;
    struct sf_place place;
    bool whole; /* the place is marked as a whole: the text is not what stands there */
    struct sf_slice text;
};

static struct sf_slice trimmed(struct sf_slice s)
{
    while (s.size > 0 && strchr(" \t\r\n", s.data[0]) != NULL && s.data[0] != '\0') {
        s = sf_slice_of(s.data + 1, s.size - 1);
    }
    while (s.size > 0 && strchr(" \t\r\n", s.data[s.size - 1]) != NULL &&
           s.data[s.size - 1] != '\0') {
        s.size--;
    }
    return s;
}

/* Where @part of the text stands in the source. */
static struct sf_place place_of(const struct reader *r, struct sf_slice part)
{
    struct sf_place place = r->place;
    size_t from = part.data == NULL ? 0 : (size_t)(part.data - r->text.data);
    size_t width = sf_utf8_count(part);

    if (r->whole) {
        return place;
    }
    for (size_t i = 0; i < from; i++) {
        if (r->text.data[i] == '\n') {
            place.line++;
            place.column = 1;
        } else if ((r->text.data[i] & 0xc0) != 0x80) {
            place.column++;
        }
    }
    place.width = width == 0 ? 1 : (uint32_t)width;
    return place;
}

static bool wrong(const struct reader *r, struct sf_slice part, const char *what)
{
    sf_issues_error(r->issues, place_of(r, part), SHEAF_E_BAD_VALUE, "%s", what);
    return false;
}

/* [0-9]+ within @min .. @max. */
static bool read_count(const struct reader *r, struct sf_slice text, uint32_t min, uint32_t max,
                       uint32_t *ret)
{
    char what[80];
    uint64_t value;

    if (sf_parse_u64(text, &value) == SF_PARSE_OK && value >= min && value <= max) {
        *ret = (uint32_t)value;
        return true;
    }
    (void)snprintf(what, sizeof(what), "here stands a whole number from %u to %u", min, max);
    return wrong(r, text, what);
}

/* keep_first(n) and keep_last(n): or (n, longer). */
static bool read_keep(const struct reader *r, struct sf_slice args, struct sf_mask *ret)
{
    const uint8_t *comma = args.size == 0 ? NULL : memchr(args.data, ',', args.size);
    struct sf_slice first = args;
    struct sf_slice second;

    if (comma == NULL) {
        if (!read_count(r, args, 1, SF_MASK_KEEP_MAX, &ret->keep)) {
            return false;
        }
        ret->longer = ret->keep;
        return true;
    }
    first.size = (size_t)(comma - args.data);
    second = trimmed(sf_slice_of(comma + 1, args.size - first.size - 1));
    return read_count(r, trimmed(first), 1, SF_MASK_KEEP_MAX, &ret->keep) &&
           read_count(r, second, ret->keep, SF_MASK_LONGER_MAX, &ret->longer);
}

static bool read_step(const struct reader *r, struct sf_slice text, struct sf_mask *ret)
{
    const uint8_t *point = text.size == 0 ? NULL : memchr(text.data, '.', text.size);
    size_t scale = point == NULL ? 0 : text.size - (size_t)(point - text.data) - 1;
    uint8_t wide[SF_DECIMAL_WIDE_SIZE];
    bool plain = text.size > 0 && text.data[0] >= '0' && text.data[0] <= '9';

    for (size_t i = 0; i < text.size; i++) {
        plain = plain && ((text.data[i] >= '0' && text.data[i] <= '9') || text.data[i] == '.');
    }
    if (!plain || scale > SF_MASK_DIGITS_MAX ||
        sf_decimal_wide_parse(text, SF_MASK_DIGITS_MAX, (unsigned)scale, wide) != SF_PARSE_OK ||
        sf_decimal_wide_get(wide) == 0) {
        return wrong(r, text, "here stands a number above 0 of at most 38 digits");
    }
    ret->step = sf_decimal_wide_get(wide);
    while (scale > 0 && ret->step % 10 == 0) {
        ret->step /= 10;
        scale--;
    }
    ret->scale = (uint8_t)scale;
    return true;
}

static bool read_digits(const struct reader *r, struct sf_slice text, struct sf_mask *ret)
{
    int64_t digits;

    if (sf_parse_i64(text, &digits) != SF_PARSE_OK || digits < -SF_MASK_DIGITS_MAX ||
        digits > SF_MASK_DIGITS_MAX) {
        return wrong(r, text, "here stands a whole number from -38 to 38");
    }
    ret->digits = (int32_t)digits;
    return true;
}

static bool read_part(const struct reader *r, struct sf_slice text, struct sf_mask *ret)
{
    for (size_t i = 0; i < SF_COUNT(part_names); i++) {
        if (sf_slice_equal(text, sf_slice_text(part_names[i]))) {
            ret->part = (enum sf_mask_part)i;
            return true;
        }
    }
    (void)wrong(r, text, "no part of a date is called so");
    sf_issues_allowed(r->issues, (struct sf_allowed){part_names, SF_COUNT(part_names), text});
    return false;
}

/* 'text', a quote inside written twice; or text without quotes, commas and parentheses. */
static bool read_constant(const struct reader *r, struct sf_slice text, struct sf_mask *ret)
{
    bool quoted = text.size > 0 && text.data[0] == '\'';
    uint8_t *copy = sf_arena_alloc(r->arena, text.size + 1);
    size_t end = text.size;
    size_t size = 0;
    size_t i = quoted ? 1 : 0;

    if (copy == NULL) {
        r->issues->failed = true;
        return false;
    }
    if (quoted && (text.size < 2 || text.data[text.size - 1] != '\'')) {
        return wrong(r, text, "the quote is not closed");
    }
    end -= quoted;
    for (; i < end; i++) {
        if (quoted && text.data[i] == '\'' && (++i == end || text.data[i] != '\'')) {
            return wrong(r, text, "a quote inside is written twice");
        }
        if (!quoted && memchr("'(),", text.data[i], 4) != NULL) {
            return wrong(r, text, "this text stands in quotes: constant('...')");
        }
        copy[size++] = text.data[i];
    }
    ret->text = sf_slice_of(copy, size);
    return true;
}

static bool read_args(const struct reader *r, struct sf_slice args, struct sf_mask *ret)
{
    switch (ret->kind) {
    case SF_MASK_BUCKET:
        return read_step(r, args, ret);
    case SF_MASK_ROUND:
        return read_digits(r, args, ret);
    case SF_MASK_TRUNCATE:
        return read_part(r, args, ret);
    case SF_MASK_KEEP_FIRST:
    case SF_MASK_KEEP_LAST:
        return read_keep(r, args, ret);
    case SF_MASK_CONSTANT:
        return read_constant(r, args, ret);
    case SF_MASK_NONE:
    case SF_MASK_KEEP_DOMAIN:
    case SF_MASK_HASH:
    case SF_MASK_REDACT:
    case SF_MASK_NULL:
    case SF_MASK_OMIT:
        break;
    }
    return wrong(r, args, "this mask takes nothing in parentheses");
}

static bool takes_args(enum sf_mask_kind kind)
{
    return kind == SF_MASK_BUCKET || kind == SF_MASK_ROUND || kind == SF_MASK_TRUNCATE ||
           kind == SF_MASK_KEEP_FIRST || kind == SF_MASK_KEEP_LAST || kind == SF_MASK_CONSTANT;
}

static bool read_name(const struct reader *r, struct sf_slice name, struct sf_mask *ret)
{
    for (size_t i = 0; i < SF_COUNT(mask_names); i++) {
        if (sf_slice_equal(name, sf_slice_text(mask_names[i]))) {
            ret->kind = (enum sf_mask_kind)(i + 1);
            return true;
        }
    }
    (void)wrong(r, name, "no mask is called so");
    sf_issues_allowed(r->issues, (struct sf_allowed){mask_names, SF_COUNT(mask_names), name});
    return false;
}

static bool read_mask(const struct reader *r, struct sf_mask *ret)
{
    struct sf_slice text = trimmed(r->text);
    const uint8_t *open = text.size == 0 ? NULL : memchr(text.data, '(', text.size);
    struct sf_slice name = text;
    struct sf_slice args;

    *ret = (struct sf_mask){0};
    if (r->text.size > SF_MASK_TEXT_MAX || !sf_utf8_is_valid(r->text)) {
        return wrong(r, sf_slice_of(r->text.data, 0), "a mask is UTF-8 text of at most 1024 bytes");
    }
    name.size = open == NULL ? text.size : (size_t)(open - text.data);
    if (!read_name(r, trimmed(name), ret)) {
        return false;
    }
    if (open == NULL) {
        return !takes_args(ret->kind) ||
               wrong(r, text, "this mask takes something in parentheses behind its name");
    }
    if (text.data[text.size - 1] != ')') {
        return wrong(r, sf_slice_of(open, 1), "the parenthesis is not closed");
    }
    args = sf_slice_of(open + 1, text.size - name.size - 2);
    return read_args(r, trimmed(args), ret);
}

enum sf_code sf_mask_parse(struct sf_issues *issues, struct sf_arena *arena, struct sf_mask *ret,
                           struct sf_error *err)
{
    const struct reader r = {.issues = issues,
                             .arena = arena,
                             .place = {.line = 1, .column = 1, .width = 1},
                             .text = issues->source};
    enum sf_code code;

    if (read_mask(&r, ret)) {
        return SF_OK;
    }
    code = sf_issues_check(issues, err);
    return code;
}

bool sf_mask_read(struct sf_issues *issues, const struct sf_yaml_node *node, struct sf_arena *arena,
                  struct sf_mask *ret)
{
    static const char *const keys[] = {"with"};
    size_t errors = issues->error_count;
    struct reader r = {.issues = issues, .arena = arena};

    if (node->kind == SF_YAML_MAP) {
        const struct sf_yaml_node *with = sf_yaml_get(node, "with");

        sf_yaml_check_keys(issues, node, keys, SF_COUNT(keys));
        if (with == NULL) {
            sf_issues_error(issues, node->place, SHEAF_E_MISSING_KEY, "a mask has a key 'with'");
        }
        if (with == NULL || issues->error_count > errors) {
            return false;
        }
        node = with;
    }
    /* The mask null is written like the value null. */
    if (!(node->kind == SF_YAML_SCALAR && sf_slice_equal(node->text, SF_LITERAL("null"))) &&
        !sf_yaml_expect(issues, node, SF_YAML_SCALAR, "mask")) {
        return false;
    }
    r.place = node->place;
    r.whole = !node->plain;
    r.text = node->text;
    return read_mask(&r, ret);
}

/* --- printing --------------------------------------------------------------------------------- */

static void print_step(const struct sf_mask *m, struct sf_buf *out)
{
    uint8_t wide[SF_DECIMAL_WIDE_SIZE];
    char text[SF_DECIMAL_WIDE_TEXT_SIZE];

    sf_decimal_wide_put(m->step, wide);
    (void)sf_decimal_wide_format(wide, m->scale, text);
    sf_buf_text(out, text);
}

static void print_quoted(struct sf_slice text, struct sf_buf *out)
{
    sf_buf_byte(out, '\'');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\'') {
            sf_buf_byte(out, '\'');
        }
        sf_buf_byte(out, text.data[i]);
    }
    sf_buf_byte(out, '\'');
}

static void print_args(const struct sf_mask *m, struct sf_buf *out)
{
    switch (m->kind) {
    case SF_MASK_BUCKET:
        print_step(m, out);
        break;
    case SF_MASK_ROUND:
        sf_buf_printf(out, "%d", (int)m->digits);
        break;
    case SF_MASK_TRUNCATE:
        sf_buf_text(out, part_names[m->part]);
        break;
    case SF_MASK_KEEP_FIRST:
    case SF_MASK_KEEP_LAST:
        sf_buf_printf(out, "%u", m->keep);
        if (m->longer != m->keep) {
            sf_buf_printf(out, ", %u", m->longer);
        }
        break;
    case SF_MASK_CONSTANT:
        print_quoted(m->text, out);
        break;
    case SF_MASK_NONE:
    case SF_MASK_KEEP_DOMAIN:
    case SF_MASK_HASH:
    case SF_MASK_REDACT:
    case SF_MASK_NULL:
    case SF_MASK_OMIT:
        break;
    }
}

void sf_mask_print(const struct sf_mask *m, struct sf_buf *out)
{
    if (m->kind == SF_MASK_NONE) {
        return;
    }
    sf_buf_text(out, sf_mask_name(m->kind));
    if (takes_args(m->kind)) {
        sf_buf_byte(out, '(');
        print_args(m, out);
        sf_buf_byte(out, ')');
    }
}
