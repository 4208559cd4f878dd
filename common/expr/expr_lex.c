#include "common/base/decimal.h"
#include "common/base/str.h"
#include "common/base/utf8.h"
#include "common/expr/expr_private.h"
#include "proto/errors.h"

static bool is_word(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* The byte at @at; 0 behind the end. */
static uint8_t byte_at(struct sf_slice text, size_t at)
{
    return at < text.size ? text.data[at] : 0;
}

static uint32_t chars(struct sf_slice text, size_t from, size_t to)
{
    return (uint32_t)sf_utf8_count(sf_slice_of(text.data + from, to - from));
}

struct sf_place sf_expr_place(const struct sf_issues *issues, size_t from, size_t to)
{
    struct sf_slice text = issues->source;
    struct sf_place place = {.line = 1};
    size_t start = 0; /* of the line */
    size_t end = from;

    for (size_t i = 0; i < from; i++) {
        if (text.data[i] == '\n') {
            place.line++;
            start = i + 1;
        }
    }
    while (end < to && text.data[end] != '\n') {
        end++;
    }
    place.column = (text.size == 0 ? 0 : chars(text, start, from)) + 1;
    place.width = end > from ? chars(text, from, end) : 1;
    return place;
}

static struct sf_token wrong(struct sf_issues *issues, size_t from, size_t to, const char *what)
{
    sf_issues_error(issues, sf_expr_place(issues, from, to), SHEAF_E_EXPR_SYNTAX, "%s", what);
    return (struct sf_token){.kind = SF_TOKEN_WRONG, .from = from, .to = to};
}

/* 'text' or "name"; the quote inside is written twice. */
static struct sf_token quoted(struct sf_issues *issues, size_t from)
{
    struct sf_slice text = issues->source;
    uint8_t quote = text.data[from];
    size_t at = from + 1;

    while (at < text.size) {
        if (text.data[at] != quote) {
            at++;
        } else if (byte_at(text, at + 1) == quote) {
            at += 2;
        } else {
            return (struct sf_token){.kind = quote == '"' ? SF_TOKEN_QUOTED : SF_TOKEN_STRING,
                                     .from = from,
                                     .to = at + 1};
        }
    }
    return wrong(issues, from, text.size, "the quote is not closed");
}

/* [0-9]*(.[0-9]+)?([eE][-+]?[0-9]+)? with a digit before or behind the point. */
static struct sf_token number(struct sf_issues *issues, size_t from)
{
    struct sf_slice text = issues->source;
    size_t at = from;

    while (is_digit(byte_at(text, at))) {
        at++;
    }
    if (byte_at(text, at) == '.' && is_digit(byte_at(text, at + 1))) {
        at++;
        while (is_digit(byte_at(text, at))) {
            at++;
        }
    }
    if (byte_at(text, at) == 'e' || byte_at(text, at) == 'E') {
        size_t digits = at + 1;

        digits += byte_at(text, digits) == '-' || byte_at(text, digits) == '+';
        while (is_digit(byte_at(text, digits))) {
            at = ++digits;
        }
    }
    if (is_word(byte_at(text, at)) || byte_at(text, at) == '.') {
        while (is_word(byte_at(text, at)) || byte_at(text, at) == '.') {
            at++;
        }
        return wrong(issues, from, at, "this is no number");
    }
    return (struct sf_token){.kind = SF_TOKEN_NUMBER, .from = from, .to = at};
}

static struct sf_token sign(struct sf_issues *issues, size_t from)
{
    static const char *const signs[] = {"<>", "!=", "<=", ">=", "(", ")", ",", ".", "[",
                                        "]",  "+",  "-",  "*",  "/", "%", "=", "<", ">"};
    struct sf_slice rest = sf_slice_of(issues->source.data + from, issues->source.size - from);

    if (sf_slice_starts_with(rest, SF_LITERAL("--")) ||
        sf_slice_starts_with(rest, SF_LITERAL("/*"))) {
        return wrong(issues, from, from + 2, "comments are not allowed here");
    }
    for (size_t i = 0; i < SF_COUNT(signs); i++) {
        if (sf_slice_starts_with(rest, sf_slice_text(signs[i]))) {
            return (struct sf_token){
                .kind = SF_TOKEN_SIGN, .from = from, .to = from + strlen(signs[i])};
        }
    }
    return wrong(issues, from, from + sf_utf8_char_size(rest), "unexpected character");
}

struct sf_token sf_expr_next_token(struct sf_issues *issues, size_t at)
{
    struct sf_slice text = issues->source;
    size_t end;
    uint8_t c;

    while (byte_at(text, at) == ' ' || byte_at(text, at) == '\t' || byte_at(text, at) == '\n' ||
           byte_at(text, at) == '\r') {
        at++;
    }
    if (at >= text.size) {
        return (struct sf_token){.kind = SF_TOKEN_END, .from = text.size, .to = text.size};
    }
    c = text.data[at];
    if (c == '\'' || c == '"') {
        return quoted(issues, at);
    }
    if (is_digit(c) || (c == '.' && is_digit(byte_at(text, at + 1)))) {
        return number(issues, at);
    }
    if (!is_word(c)) {
        return sign(issues, at);
    }
    end = at;
    while (is_word(byte_at(text, end))) {
        end++;
    }
    return (struct sf_token){.kind = SF_TOKEN_NAME, .from = at, .to = end};
}

/* --- what tokens say -------------------------------------------------------------------------- */

struct sf_slice sf_expr_unquote(struct sf_expr_build *b, struct sf_token t)
{
    struct sf_slice raw = sf_slice_of(b->issues->source.data + t.from + 1, t.to - t.from - 2);
    uint8_t *copy = sf_arena_alloc(&b->expr->arena, raw.size + 1);
    size_t size = 0;

    if (copy == NULL) {
        b->nomem = true;
        return sf_slice_of(NULL, 0);
    }
    for (size_t i = 0; i < raw.size; i++) {
        copy[size++] = raw.data[i];
        i += raw.data[i] == b->issues->source.data[t.from];
    }
    return sf_slice_of(copy, size);
}

/* Digits behind the point; whether there is an exponent. */
static unsigned scale_of(struct sf_slice text, bool *ret_exponent)
{
    const uint8_t *point = memchr(text.data, '.', text.size);

    *ret_exponent =
        memchr(text.data, 'e', text.size) != NULL || memchr(text.data, 'E', text.size) != NULL;
    return point == NULL ? 0 : (unsigned)(text.data + text.size - point - 1);
}

static unsigned digits_of(__int128 value)
{
    unsigned digits = 1;

    while (value > 9 || value < -9) {
        value /= 10;
        digits++;
    }
    return digits;
}

/* Whole numbers beyond 64 bits too. */
static const char *read_decimal(struct sf_slice text, unsigned scale, struct sf_node *ret)
{
    uint8_t wide[SF_DECIMAL_WIDE_SIZE];
    unsigned digits;

    if (scale > SF_WIDE_DIGITS_MAX ||
        sf_decimal_wide_parse(text, SF_WIDE_DIGITS_MAX, scale, wide) != SF_PARSE_OK) {
        return "a number has at most 38 digits";
    }
    ret->value.wide = sf_decimal_wide_get(wide);
    digits = digits_of(ret->value.wide);
    ret->type = (struct sf_expr_type){.kind = SF_KIND_DECIMAL,
                                      .width = (uint8_t)(digits > scale ? digits : scale),
                                      .scale = (uint8_t)scale};
    return NULL;
}

const char *sf_expr_read_number(struct sf_slice text, struct sf_node *ret)
{
    bool exponent;
    unsigned scale = scale_of(text, &exponent);

    if (exponent) {
        ret->type.kind = SF_KIND_DOUBLE;
        return sf_parse_double(text, &ret->value.d) == SF_PARSE_OK ? NULL
                                                                   : "the number is too large";
    }
    if (scale > 0 || sf_parse_i64(text, &ret->value.i) != SF_PARSE_OK) {
        return read_decimal(text, scale, ret);
    }
    ret->type.kind = SF_KIND_INT;
    return NULL;
}
