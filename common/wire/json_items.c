#include "common/wire/json_items.h"

#include "proto/errors.h"

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip(struct sf_slice *text, size_t n)
{
    text->data += n;
    text->size -= n;
}

static void skip_space(struct sf_slice *text)
{
    while (text->size > 0 && is_space(text->data[0])) {
        skip(text, 1);
    }
}

static bool starts(const struct sf_slice *text, char c)
{
    return text->size > 0 && text->data[0] == (uint8_t)c;
}

/* Behind the string that begins at @at; the size of the text when it never ends. */
static size_t string_end(struct sf_slice text, size_t at)
{
    for (at++; at < text.size; at++) {
        if (text.data[at] == '\\') {
            at++;
        } else if (text.data[at] == '"') {
            return at + 1;
        }
    }
    return text.size;
}

/* The size of the element that @text begins with: up to the end of its brackets, or for anything
 * else up to a comma, bracket or space. false: it never ends. */
static bool element_size(struct sf_slice text, size_t *ret)
{
    size_t depth = 0;
    size_t at = 0;

    while (at < text.size) {
        const uint8_t c = text.data[at];

        if (depth == 0 && at > 0 && (c == ',' || c == ']' || c == '}' || is_space(c))) {
            break;
        }
        if (c == '"') {
            at = string_end(text, at);
            continue;
        }
        at++;
        if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            break;
        }
    }
    *ret = at;
    return depth == 0;
}

static enum sf_code raise(const struct sf_json_items *it, const char *what, struct sf_error *err)
{
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_FRAMING, "%s behind element %llu", what,
                      (unsigned long long)it->index);
}

/* From the start of the text, or from behind an element, to the next element or the end. */
static enum sf_code step(struct sf_json_items *it, struct sf_slice *text, struct sf_error *err)
{
    skip_space(text);
    if (!it->in_array && it->index == 0) {
        if (starts(text, '{')) {
            return SF_OK;
        }
        if (!starts(text, '[')) {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_FRAMING,
                              "a JSON array or object is expected");
        }
        it->in_array = true;
        skip(text, 1);
        skip_space(text);
        it->ended = starts(text, ']');
    } else if (it->in_array && starts(text, ',')) {
        skip(text, 1);
        skip_space(text);
    } else {
        it->ended = !it->in_array || starts(text, ']');
        if (!it->ended) {
            return raise(it, "',' or ']' is missing", err);
        }
    }
    if (it->ended && it->in_array) {
        skip(text, 1);
        skip_space(text);
    }
    return SF_OK;
}

enum sf_code sf_json_items_next(struct sf_json_items *it, struct sf_slice *text,
                                struct sf_slice *ret, struct sf_error *err)
{
    enum sf_code code = it->ended ? SF_OK : step(it, text, err);
    size_t size;

    if (code != SF_OK) {
        return code;
    }
    if (it->ended) {
        return text->size == 0 ? SF_ABSENT : raise(it, "the body goes on after its end", err);
    }
    if (text->size == 0 || starts(text, ',') || starts(text, ']') || starts(text, '}')) {
        return raise(it, "an element is missing", err);
    }
    if (!element_size(*text, &size)) {
        return raise(it, "the element never ends", err);
    }
    *ret = sf_slice_of(text->data, size);
    skip(text, size);
    it->index++;
    return SF_OK;
}
