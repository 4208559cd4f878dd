/*
 * A record of plain values without a document: its members are compared with the names in the order
 * of the record before, and each text goes straight to the conversion of its field.
 *
 * It takes a subset of what the document reader takes, with the same result, and says nothing else:
 * an escape, a nested value, a name or value it does not know, anything that is wrong, and the
 * record is read again from its start by the one reader that can explain it (record.c).
 */
#include "common/base/utf8.h"
#include "common/contract/record_reader.h"
#include "common/contract/validate.h"
#include "common/wire/json_text.h"

struct scan {
    const uint8_t *p;
    const uint8_t *end;
};

static inline void skip_blanks(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r')) {
        s->p++;
    }
}

/* Whether the next character, behind blanks, is @c; then it is passed. */
static inline bool take_char(struct scan *s, uint8_t c)
{
    skip_blanks(s);
    if (s->p == s->end || *s->p != c) {
        return false;
    }
    s->p++;
    return true;
}

/* A string behind its opening quote, up to the closing one, which is passed. */
static bool take_string(struct scan *s, struct sf_slice *ret)
{
    const uint8_t *start = s->p;
    uint64_t high = 0;
    uint64_t eight;
    uint64_t found = 0;

    while (s->end - s->p >= 8) {
        memcpy(&eight, s->p, sizeof(eight));
        high |= eight;
        found = sf_json_escape_bits(eight);
        if (found != 0) {
            break;
        }
        s->p += 8;
    }
    while (s->p < s->end && sf_json_escape_size[*s->p] == 1) {
        high |= *s->p;
        high |= (uint64_t)*s->p << 56;
        s->p++;
    }
    if (s->p == s->end || *s->p != '"') {
        return false;
    }
    *ret = sf_slice_of(start, (size_t)(s->p - start));
    s->p++;
    return (high & UINT64_C(0x8080808080808080)) == 0 || sf_utf8_is_valid(*ret);
}

static inline bool is_digit(const struct scan *s)
{
    return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static inline bool take_digits(struct scan *s)
{
    const uint8_t *start = s->p;

    while (is_digit(s)) {
        s->p++;
    }
    return s->p > start;
}

/* A number by the grammar of JSON: no leading zero, digits around a point. */
static bool take_number(struct scan *s, struct sf_slice *ret)
{
    const uint8_t *start = s->p;

    s->p += *s->p == '-' ? 1 : 0;
    if (is_digit(s) && *s->p == '0') {
        s->p++;
    } else if (!take_digits(s)) {
        return false;
    }
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!take_digits(s)) {
            return false;
        }
    }
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        s->p += s->p < s->end && (*s->p == '+' || *s->p == '-') ? 1 : 0;
        if (!take_digits(s)) {
            return false;
        }
    }
    *ret = sf_slice_of(start, (size_t)(s->p - start));
    return true;
}

static bool take_word(struct scan *s, struct sf_slice word)
{
    if ((size_t)(s->end - s->p) < word.size || memcmp(s->p, word.data, word.size) != 0) {
        return false;
    }
    s->p += word.size;
    return true;
}

/* A value that is no container. */
static bool take_value(struct scan *s, struct sf_record_json *ret)
{
    skip_blanks(s);
    if (s->p == s->end) {
        return false;
    }
    switch (*s->p) {
    case '"':
        s->p++;
        ret->kind = SF_JSON_STRING;
        return take_string(s, &ret->text);
    case 't':
        *ret = (struct sf_record_json){.kind = SF_JSON_BOOL, .truth = true};
        return take_word(s, SF_LITERAL("true"));
    case 'f':
        *ret = (struct sf_record_json){.kind = SF_JSON_BOOL};
        return take_word(s, SF_LITERAL("false"));
    case 'n':
        ret->kind = SF_JSON_NULL;
        return take_word(s, SF_LITERAL("null"));
    default:
        ret->kind = SF_JSON_NUMBER;
        return take_number(s, &ret->text);
    }
}

/* The name at place @at of the record and the colon, tried first where the last record had it. */
static bool take_name(struct sf_record_reader *r, struct scan *s, size_t at, uint16_t *ret)
{
    struct sf_slice name;

    if (!take_char(s, '"')) {
        return false;
    }
    if (at < r->name_count) {
        name = r->names[r->order[at]].text;
        if ((size_t)(s->end - s->p) > name.size && s->p[name.size] == '"' &&
            memcmp(s->p, name.data, name.size) == 0) {
            s->p += name.size + 1;
            *ret = r->order[at];
            return take_char(s, ':');
        }
    }
    if (!take_string(s, &name)) {
        return false;
    }
    *ret = sf_record_find_name(r, name);
    if (*ret != SF_RECORD_NO_NAME && at < r->name_count) {
        r->order[at] = *ret;
    }
    return *ret != SF_RECORD_NO_NAME && take_char(s, ':');
}

static bool take_cleaned(struct sf_record_reader *r, size_t field,
                         const struct sf_record_json *json, struct sf_value *ret)
{
    struct sf_verdict v;

    v.count = 0;
    v.found = 0;
    sf_record_take_cleaned(r, &r->table->fields[field], field, json->text,
                           json->kind == SF_JSON_STRING, ret, &v);
    return v.found == 0;
}

static bool take_member(struct sf_record_reader *r, struct scan *s, size_t at,
                        struct sf_value *values)
{
    struct sf_record_json json = {.kind = SF_JSON_ABSENT};
    const struct sf_field *f;
    uint16_t index;
    size_t field;

    if (!take_name(r, s, at, &index)) {
        return false;
    }
    field = r->names[index].field;
    f = &r->table->fields[field];
    if (r->seen[field] == r->record || !take_value(s, &json)) {
        return false;
    }
    r->seen[field] = r->record;
    if (json.kind == SF_JSON_NULL) {
        values[field] = (struct sf_value){0};
        return true;
    }
    if (r->plans[field].is_cleaned && sf_record_takes_text(f, json.kind)) {
        return take_cleaned(r, field, &json, &values[field]);
    }
    return sf_record_value_of(r, f, field, &json, &values[field]) == SF_PARSE_OK &&
           (!r->plans[field].has_rules || sf_field_check(f, &values[field]) == SF_RULE_NONE);
}

/* Names that JSON writes as they are: only they can be compared before they are unescaped. */
bool sf_record_can_scan(const struct sf_record_reader *r)
{
    for (size_t i = 0; i < r->name_count; i++) {
        if (!sf_json_is_plain(r->names[i].text)) {
            return false;
        }
    }
    return r->nested == NULL;
}

bool sf_record_scan(struct sf_record_reader *r, struct sf_slice line, struct sf_value *values)
{
    struct scan s = {.p = line.data, .end = line.data + line.size};

    if (!take_char(&s, '{')) {
        return false;
    }
    if (!take_char(&s, '}')) {
        for (size_t at = 0;; at++) {
            if (!take_member(r, &s, at, values)) {
                return false;
            }
            if (take_char(&s, '}')) {
                break;
            }
            if (!take_char(&s, ',')) {
                return false;
            }
        }
    }
    skip_blanks(&s);
    return s.p == s.end;
}
