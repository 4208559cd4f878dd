/* Base64 with padding and the standard alphabet (RFC 4648, 4), as JSON values hold bytes. */
#pragma once

#include "common/base/buf.h"
#include "common/base/slice.h"

static inline size_t sf_base64_size(size_t bytes)
{
    return (bytes + 2) / 3 * 4;
}

/* Writes sf_base64_size(bytes.size) characters to @out; returns the place behind them. */
uint8_t *sf_base64_write(uint8_t *out, struct sf_slice bytes);

/*
 * Decodes @text into @out, which has room for text.size / 4 * 3 bytes. Strict: padding required,
 * unused bits zero, no white space, so that one value has one text. False when @text is not that.
 */
bool sf_base64_read(struct sf_slice text, uint8_t *out, size_t *ret_size) SF_MUST_CHECK;
