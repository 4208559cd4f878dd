#include "common/wire/base64.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

uint8_t *sf_base64_write(uint8_t *out, struct sf_slice bytes)
{
    const uint8_t *p = bytes.data;
    size_t left = bytes.size;

    for (; left >= 3; left -= 3, p += 3) {
        uint32_t bits = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];

        *out++ = (uint8_t)letters[bits >> 18];
        *out++ = (uint8_t)letters[bits >> 12 & 63];
        *out++ = (uint8_t)letters[bits >> 6 & 63];
        *out++ = (uint8_t)letters[bits & 63];
    }
    if (left > 0) {
        uint32_t bits = (uint32_t)p[0] << 16 | (left == 2 ? (uint32_t)p[1] << 8 : 0);

        *out++ = (uint8_t)letters[bits >> 18];
        *out++ = (uint8_t)letters[bits >> 12 & 63];
        *out++ = left == 2 ? (uint8_t)letters[bits >> 6 & 63] : (uint8_t)'=';
        *out++ = '=';
    }
    return out;
}

/* The six bits of a letter; 64 and more for anything else. */
static uint32_t bits_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return (uint32_t)(c - 'A');
    }
    if (c >= 'a' && c <= 'z') {
        return (uint32_t)(c - 'a') + 26;
    }
    if (c >= '0' && c <= '9') {
        return (uint32_t)(c - '0') + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

bool sf_base64_read(struct sf_slice text, uint8_t *out, size_t *ret_size)
{
    size_t padding = 0;
    size_t n = 0;

    if (text.size % 4 != 0) {
        return false;
    }
    while (padding < 2 && padding < text.size && text.data[text.size - 1 - padding] == '=') {
        padding++;
    }
    for (size_t i = 0; i < text.size; i += 4) {
        size_t missing = i + 4 == text.size ? padding : 0;
        uint32_t bits = 0;
        uint32_t wrong = 0;

        for (size_t k = 0; k < 4; k++) {
            uint32_t six = k < 4 - missing ? bits_of(text.data[i + k]) : 0;

            wrong |= six & 64;
            bits = bits << 6 | six;
        }
        if (wrong != 0 || (bits & ((1U << (8 * missing)) - 1)) != 0) {
            return false;
        }
        for (size_t k = 0; k < 3 - missing; k++) {
            out[n++] = (uint8_t)(bits >> (16 - 8 * k));
        }
    }
    *ret_size = n;
    return true;
}
