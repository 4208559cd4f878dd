#include "common/contract/validate.h"

#include <arpa/inet.h>

#include "common/base/utf8.h"
#include "common/contract/pattern.h"
#include "common/contract/value.h"
#include "proto/errors.h"

static bool is_alphanumeric(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_one_of(uint8_t c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* RFC 1123: labels of letters, digits and inner hyphens. */
static bool is_hostname(struct sf_slice s)
{
    size_t label = 0;

    if (s.size == 0 || s.size > 253) {
        return false;
    }
    for (size_t i = 0; i <= s.size; i++) {
        if (i == s.size || s.data[i] == '.') {
            if (label == 0 || label > 63 || s.data[i - 1] == '-') {
                return false;
            }
            label = 0;
            continue;
        }
        if (!is_alphanumeric(s.data[i]) && (s.data[i] != '-' || label == 0)) {
            return false;
        }
        label++;
    }
    return true;
}

/*
 * What people use: dot-atom@host.name. Without quoted local parts and address literals; letters
 * beyond ASCII may stand before the @ (RFC 6532).
 */
static bool is_email(struct sf_slice s)
{
    const uint8_t *at = s.size == 0 ? NULL : memrchr(s.data, '@', s.size);
    size_t local;
    struct sf_slice host;

    if (at == NULL) {
        return false;
    }
    local = (size_t)(at - s.data);
    host = sf_slice_of(at + 1, s.size - local - 1);
    if (local == 0 || local > 64 || s.data[0] == '.' || s.data[local - 1] == '.') {
        return false;
    }
    for (size_t i = 0; i < local; i++) {
        uint8_t c = s.data[i];
        bool doubled_dot = c == '.' && s.data[i + 1] == '.';

        if (doubled_dot ||
            (c < 0x80 && !is_alphanumeric(c) && !is_one_of(c, ".!#$%&'*+/=?^_`{|}~-"))) {
            return false;
        }
    }
    return is_hostname(host) && memchr(host.data, '.', host.size) != NULL;
}

/* RFC 3986 as far as characters go: scheme ":" and at least one character more. */
static bool is_uri(struct sf_slice s)
{
    size_t scheme = 0;

    while (scheme < s.size && s.data[scheme] != ':') {
        uint8_t c = s.data[scheme];

        if (!is_alphanumeric(c) && (scheme == 0 || !is_one_of(c, "+-."))) {
            return false;
        }
        scheme++;
    }
    if (scheme == 0 || scheme + 1 >= s.size || (s.data[0] >= '0' && s.data[0] <= '9')) {
        return false;
    }
    for (size_t i = scheme + 1; i < s.size; i++) {
        if (!is_alphanumeric(s.data[i]) && !is_one_of(s.data[i], "-._~:/?#[]@!$&'()*+,;=%")) {
            return false;
        }
    }
    return true;
}

static bool is_address(int family, struct sf_slice s)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t address[sizeof(struct in6_addr)];

    if (s.size == 0 || s.size >= sizeof(text)) {
        return false;
    }
    memcpy(text, s.data, s.size);
    text[s.size] = '\0';
    return strlen(text) == s.size && inet_pton(family, text, address) == 1;
}

bool sf_format_matches(enum sf_format format, struct sf_slice text)
{
    switch (format) {
    case SF_FORMAT_NONE:
        return true;
    case SF_FORMAT_EMAIL:
        return is_email(text);
    case SF_FORMAT_URI:
        return is_uri(text);
    case SF_FORMAT_HOSTNAME:
        return is_hostname(text);
    case SF_FORMAT_IPV4:
        return is_address(AF_INET, text);
    case SF_FORMAT_IPV6:
        return is_address(AF_INET6, text);
    }
    return false;
}

static bool is_in_enum(const struct sf_field *f, const struct sf_value *v)
{
    for (size_t i = 0; i < f->enum_count; i++) {
        if (sf_value_compare(f->type, &f->enum_values[i], v) == 0) {
            return true;
        }
    }
    return f->enum_count == 0;
}

static enum sf_rule check_text(const struct sf_field *f, const struct sf_value *v)
{
    size_t length = 0;

    if (f->min_length > 0 || f->max_length > 0) {
        length = f->type == SF_TYPE_STRING ? sf_utf8_count(v->s) : v->s.size;
    }
    if (length < f->min_length) {
        return SF_RULE_MIN_LENGTH;
    }
    if (f->max_length > 0 && length > f->max_length) {
        return SF_RULE_MAX_LENGTH;
    }
    if (f->pattern != NULL && !sf_pattern_matches(f->pattern, v->s)) {
        return SF_RULE_PATTERN;
    }
    if (f->format != SF_FORMAT_NONE && !sf_format_matches(f->format, v->s)) {
        return SF_RULE_FORMAT;
    }
    return SF_RULE_NONE;
}

enum sf_rule sf_field_check(const struct sf_field *f, const struct sf_value *v)
{
    if (!v->present) {
        return f->required ? SF_RULE_REQUIRED : SF_RULE_NONE;
    }
    if (!is_in_enum(f, v)) {
        return SF_RULE_ENUM;
    }
    if (f->min.present && sf_value_compare(f->type, v, &f->min) < 0) {
        return SF_RULE_MIN;
    }
    if (f->max.present && sf_value_compare(f->type, v, &f->max) > 0) {
        return SF_RULE_MAX;
    }
    if (f->type == SF_TYPE_STRING || f->type == SF_TYPE_BYTES) {
        return check_text(f, v);
    }
    return SF_RULE_NONE;
}

enum sf_rule sf_field_check_items(const struct sf_field *f, size_t count)
{
    if (count < f->min_items) {
        return SF_RULE_MIN_ITEMS;
    }
    return f->max_items > 0 && count > f->max_items ? SF_RULE_MAX_ITEMS : SF_RULE_NONE;
}

uint16_t sf_rule_number(enum sf_rule rule)
{
    switch (rule) {
    case SF_RULE_NONE:
        return 0;
    case SF_RULE_REQUIRED:
        return SHEAF_E_FIELD_MISSING;
    case SF_RULE_ENUM:
    case SF_RULE_MIN:
    case SF_RULE_MAX:
    case SF_RULE_MIN_LENGTH:
    case SF_RULE_MAX_LENGTH:
    case SF_RULE_PATTERN:
    case SF_RULE_FORMAT:
    case SF_RULE_MIN_ITEMS:
    case SF_RULE_MAX_ITEMS:
        return SHEAF_E_OUT_OF_RANGE;
    }
    return 0;
}

const char *sf_rule_name(enum sf_rule rule)
{
    static const char *const names[] = {"",       "required",   "enum",       "min",
                                        "max",    "min_length", "max_length", "pattern",
                                        "format", "min_items",  "max_items"};

    return names[rule];
}
