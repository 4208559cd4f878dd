#include "common/sys/encoding.h"

#include "common/base/assert.h"

/* All of them are one thing: groups of bits, most significant first, as characters. */
struct scheme {
    const char *alphabet;
    unsigned bits;        /* per character */
    size_t padding_group; /* characters are padded with '=' to a multiple of this; 0: not */
};

static const struct scheme *scheme_of(enum sf_encoding encoding)
{
    static const struct scheme schemes[] = {
        [SF_HEX] = {"0123456789abcdef", 4, 0},
        [SF_BASE32] = {"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 5, 0},
        [SF_BASE32_LOWER] = {"abcdefghijklmnopqrstuvwxyz234567", 5, 0},
        [SF_BASE64] = {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 6, 4},
        [SF_BASE64URL] = {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", 6, 0},
    };

    return &schemes[encoding];
}

size_t sf_encoded_size(enum sf_encoding encoding, size_t size)
{
    const struct scheme *s = scheme_of(encoding);
    size_t characters = (size * 8 + s->bits - 1) / s->bits;

    if (s->padding_group != 0) {
        characters = (characters + s->padding_group - 1) / s->padding_group * s->padding_group;
    }
    return characters;
}

size_t sf_decoded_size_max(enum sf_encoding encoding, size_t size)
{
    return size / 8 * scheme_of(encoding)->bits + size % 8 * scheme_of(encoding)->bits / 8;
}

static void encode(const struct scheme *s, struct sf_slice bytes, char *to, size_t to_size)
{
    uint32_t pending = 0;
    unsigned pending_bits = 0;
    size_t at = 0;

    sf_assert(s->bits < 8);
    for (size_t i = 0; i < bytes.size; i++) {
        pending = pending << 8 | bytes.data[i];
        pending_bits += 8;
        while (pending_bits >= s->bits) {
            pending_bits -= s->bits;
            to[at++] = s->alphabet[pending >> pending_bits & ((1U << s->bits) - 1)];
        }
        pending &= (1U << pending_bits) - 1;
    }
    if (pending_bits > 0) {
        to[at++] = s->alphabet[pending << (s->bits - pending_bits)];
    }
    while (at < to_size) {
        to[at++] = '=';
    }
}

void sf_encode(enum sf_encoding encoding, struct sf_slice bytes, char *ret)
{
    size_t size = sf_encoded_size(encoding, bytes.size);

    encode(scheme_of(encoding), bytes, ret, size);
    ret[size] = '\0';
}

void sf_buf_encode(struct sf_buf *b, enum sf_encoding encoding, struct sf_slice bytes)
{
    size_t size = sf_encoded_size(encoding, bytes.size);
    uint8_t *to = sf_buf_reserve(b, size);

    if (to != NULL) {
        encode(scheme_of(encoding), bytes, (char *)to, size);
        b->size += size;
    }
}

/* Cuts the padding off @text; false when it is not as it has to be. */
static bool unpad(const struct scheme *s, struct sf_slice *text)
{
    size_t padding = 0;

    if (s->padding_group == 0) {
        return true;
    }
    if (text->size % s->padding_group != 0) {
        return false;
    }
    while (padding < 2 && text->size > 0 && text->data[text->size - 1] == '=') {
        text->size--;
        padding++;
    }
    return true;
}

/* The value of @c, or -1. */
static int value_of(const struct scheme *s, uint8_t c)
{
    const char *found = c == '\0' ? NULL : strchr(s->alphabet, c);

    return found == NULL ? -1 : (int)(found - s->alphabet);
}

/* Whether @text was decoded; @capacity bytes at @to are enough for it. */
static bool decode(const struct scheme *s, struct sf_slice text, uint8_t *to)
{
    uint32_t pending = 0;
    unsigned pending_bits = 0;

    for (size_t i = 0; i < text.size; i++) {
        int value = value_of(s, text.data[i]);

        if (value < 0) {
            return false;
        }
        pending = pending << s->bits | (uint32_t)value;
        pending_bits += s->bits;
        if (pending_bits >= 8) {
            pending_bits -= 8;
            *to++ = (uint8_t)(pending >> pending_bits);
        }
        pending &= (1U << pending_bits) - 1;
    }
    /* A whole character of nothing, or bits behind the last byte, would be a second spelling. */
    return pending_bits < s->bits && pending == 0;
}

enum sf_code sf_decode(enum sf_encoding encoding, struct sf_slice text, uint8_t *ret,
                       size_t capacity, size_t *ret_size, struct sf_error *err)
{
    const struct scheme *s = scheme_of(encoding);
    size_t size;

    if (!unpad(s, &text)) {
        return SF_RAISE(err, SF_INVALID, "text has the wrong length for its encoding");
    }
    size = sf_decoded_size_max(encoding, text.size);
    if (size > capacity) {
        return SF_RAISE(err, SF_INVALID, "%zu encoded bytes where at most %zu are expected", size,
                        capacity);
    }
    if (!decode(s, text, ret)) {
        return SF_RAISE(err, SF_INVALID, "text is not validly encoded");
    }
    *ret_size = size;
    return SF_OK;
}

enum sf_code sf_decode_exact(enum sf_encoding encoding, struct sf_slice text, uint8_t *ret,
                             size_t size, struct sf_error *err)
{
    size_t found;
    enum sf_code r = sf_decode(encoding, text, ret, size, &found, err);

    if (r == SF_OK && found != size) {
        return SF_RAISE(err, SF_INVALID, "%zu encoded bytes where %zu are expected", found, size);
    }
    return r;
}

enum sf_code sf_buf_decode(struct sf_buf *b, enum sf_encoding encoding, struct sf_slice text,
                           struct sf_error *err)
{
    size_t capacity = sf_decoded_size_max(encoding, text.size);
    uint8_t *to = sf_buf_reserve(b, capacity);
    size_t size;
    enum sf_code r;

    if (to == NULL) {
        return sf_buf_check(b, "decoded text", err);
    }
    r = sf_decode(encoding, text, to, capacity, &size, err);
    if (r == SF_OK) {
        b->size += size;
    }
    return r;
}
