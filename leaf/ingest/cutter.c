#include "leaf/ingest/cutter.h"

#include <string.h>

#include "proto/errors.h"

void cutter_done(struct cutter *c)
{
    sf_buf_done(&c->header);
    sf_buf_done(&c->text);
}

/* The same of messages. What has no length ends where that shows; who reads the body says so. */
static size_t message_size(struct cutter *c, struct sf_slice text)
{
    size_t at = 0;
    size_t n;

    while (!c->in_message) {
        uint8_t byte;

        if (at == text.size) {
            return 0;
        }
        byte = text.data[at++];
        c->left |= (uint64_t)(byte & 0x7f) << c->shift;
        c->shift += 7;
        c->in_message = byte < 0x80 || c->shift >= 64;
        if (byte >= 0x80 && c->in_message) {
            c->left = 0;
        }
    }
    n = text.size - at;
    if (c->left > n) {
        c->left -= n;
        return 0;
    }
    n = at + (size_t)c->left;
    c->in_message = false;
    c->left = 0;
    c->shift = 0;
    c->open_lines = 1;
    return n;
}

/* Bytes up to and with the end of the record at the front of @text; 0: it does not end there. */
static size_t record_size(struct cutter *c, struct sf_slice text)
{
    if (c->format == BATCH_PROTOBUF) {
        return message_size(c, text);
    }
    for (size_t at = 0; at < text.size;) {
        const uint8_t *end = memchr(text.data + at, '\n', text.size - at);
        const size_t n = end == NULL ? text.size : (size_t)(end - text.data) + 1;

        for (const uint8_t *q = text.data + at;
             c->format == BATCH_CSV && (q = memchr(q, '"', (size_t)(text.data + n - q))) != NULL;
             q++) {
            c->in_quotes = !c->in_quotes;
        }
        if (end == NULL) {
            return 0;
        }
        c->open_lines++;
        if (!c->in_quotes) {
            return n;
        }
        at = n;
    }
    return 0;
}

/* The record at the end of the text is whole. */
static void close_record(struct cutter *c)
{
    if (c->format == BATCH_CSV && !c->has_header) {
        c->header = c->text;
        c->text = (struct sf_buf){0};
        c->has_header = true;
        c->lines_before += c->open_lines;
        c->bytes_before += c->header.size;
    } else {
        c->whole = c->text.size;
        c->records++;
        c->lines += c->open_lines;
    }
    c->open_lines = 0;
}

static bool is_full(const struct cutter *c)
{
    return c->records >= c->limits.records_max || c->whole >= c->limits.bytes_max;
}

enum sf_code cutter_feed(struct cutter *c, struct sf_slice *text, bool *full, struct sf_error *err)
{
    while (text->size > 0 && !is_full(c)) {
        size_t n = record_size(c, *text);
        const bool ends = n > 0;

        n = ends ? n : text->size;
        if (c->text.size - c->whole + n > SF_RECORD_TEXT_MAX) {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_RECORD_TOO_LARGE,
                              "the record from line %llu on has more than 1 MiB",
                              (unsigned long long)(c->lines_before + c->lines + 1));
        }
        sf_buf_append(&c->text, text->data, n);
        if (c->text.failed != SF_OK) {
            return sf_buf_check(&c->text, "body", err);
        }
        *text = sf_slice_of(text->data + n, text->size - n);
        if (ends) {
            close_record(c);
        }
    }
    *full = is_full(c);
    return SF_OK;
}

void cutter_end(struct cutter *c)
{
    if (c->text.size > c->whole) {
        close_record(c);
    }
}

bool cutter_has_body(const struct cutter *c)
{
    return c->records > 0;
}

enum sf_code cutter_take(struct cutter *c, struct sf_buf *ret, struct sf_error *err)
{
    struct sf_buf rest = {0};
    enum sf_code code;

    sf_buf_slice(&rest, sf_slice_of(c->text.data + c->whole, c->text.size - c->whole));
    code = sf_buf_check(&rest, "body", err);
    if (code == SF_OK && c->header.size > 0) {
        sf_buf_slice(ret, sf_buf_view(&c->header));
        sf_buf_append(ret, c->text.data, c->whole);
        code = sf_buf_check(ret, "body", err);
    } else if (code == SF_OK) {
        c->text.size = c->whole;
        *ret = c->text;
        c->text = (struct sf_buf){0};
    }
    if (code != SF_OK) {
        sf_buf_done(&rest);
        return code;
    }
    sf_buf_done(&c->text);
    c->text = rest;
    c->lines_before += c->lines;
    c->bytes_before += c->whole;
    c->whole = 0;
    c->records = 0;
    c->lines = 0;
    return SF_OK;
}
