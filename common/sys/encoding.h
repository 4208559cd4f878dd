/*
 * Bytes as text: hexadecimal, base32, base64. Decoding is strict - one text per value - so that a
 * signed or compared text cannot be varied: no white space, no stray bits, padding exactly as the
 * encoding has it.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/slice.h"

enum sf_encoding {
    SF_HEX,          /* 0-9a-f */
    SF_BASE32,       /* A-Z2-7, no padding (nkeys) */
    SF_BASE32_LOWER, /* a-z2-7, no padding (names of our own) */
    SF_BASE64,       /* RFC 4648 4, with padding */
    SF_BASE64URL,    /* RFC 4648 5, no padding (JWT) */
};

/* Characters that @size bytes take, without a terminator. */
size_t sf_encoded_size(enum sf_encoding encoding, size_t size);
/* Most bytes that @size characters can hold. */
size_t sf_decoded_size_max(enum sf_encoding encoding, size_t size);
/* Writes sf_encoded_size() characters and a NUL. */
void sf_encode(enum sf_encoding encoding, struct sf_slice bytes, char *ret);
/* Appends the text to @b; failure is sticky in @b. */
void sf_buf_encode(struct sf_buf *b, enum sf_encoding encoding, struct sf_slice bytes);

/* SF_INVALID: not the text of this encoding, or more than @capacity bytes. */
enum sf_code sf_decode(enum sf_encoding encoding, struct sf_slice text, uint8_t *ret,
                       size_t capacity, size_t *ret_size, struct sf_error *err) SF_MUST_CHECK;
/* The same for a value whose size is known: anything else is SF_INVALID. */
enum sf_code sf_decode_exact(enum sf_encoding encoding, struct sf_slice text, uint8_t *ret,
                             size_t size, struct sf_error *err) SF_MUST_CHECK;
/* Appends the bytes to @b. SF_INVALID, or the failure of @b. */
enum sf_code sf_buf_decode(struct sf_buf *b, enum sf_encoding encoding, struct sf_slice text,
                           struct sf_error *err) SF_MUST_CHECK;
