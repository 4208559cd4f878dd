/*
 * The input is a text of records behind a byte that says format and limits. The bodies cut of it
 * hold all of it in order, each but the last is full, and it does not matter in which pieces the
 * text arrives.
 */
#include "leaf/ingest/cutter.h"
#include "tests/fuzz/fuzz.h"

static struct cutter make(uint8_t how)
{
    return (struct cutter){
        .format = how >= 224     ? BATCH_PROTOBUF
                  : how % 2 == 0 ? BATCH_NDJSON
                                 : BATCH_CSV,
        .limits = {.records_max = 1 + how / 2 % 8, .bytes_max = 1 + (size_t)(how / 16) * 20},
    };
}

/* Appends one body, behind its size; that of CSV without its header. */
static void note(struct cutter *c, struct sf_buf *ret)
{
    struct sf_buf body = {0};
    const size_t header = c->header.size;
    const uint64_t line = c->lines_before;

    fuzz_check(cutter_take(c, &body, NULL) == SF_OK);
    fuzz_check(body.size > header);
    fuzz_check(sf_slice_equal(sf_slice_of(body.data, header), sf_buf_view(&c->header)));
    fuzz_check(c->lines_before >= line);
    sf_buf_be64(ret, body.size - header);
    sf_buf_append(ret, body.data + header, body.size - header);
    sf_buf_done(&body);
}

static void cut(uint8_t how, struct sf_slice text, size_t piece, struct sf_buf *ret)
{
    struct cutter c = make(how);
    bool full;

    while (text.size > 0) {
        const size_t n = text.size < piece ? text.size : piece;
        struct sf_slice part = sf_slice_of(text.data, n);

        fuzz_check(cutter_feed(&c, &part, &full, NULL) == SF_OK);
        fuzz_check(full || part.size == 0);
        text = sf_slice_of(text.data + (n - part.size), text.size - (n - part.size));
        if (full) {
            note(&c, ret);
        }
    }
    cutter_end(&c);
    if (cutter_has_body(&c)) {
        note(&c, ret);
    }
    sf_buf_be64(ret, c.bytes_before);
    sf_buf_be64(ret, c.lines_before);
    cutter_done(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sf_slice text = sf_slice_of(data, size);
    uint8_t how = fuzz_take_byte(&text);
    struct sf_buf whole = {0};
    struct sf_buf pieces = {0};
    struct sf_buf bytes = {0};

    if (text.size <= SF_RECORD_TEXT_MAX) {
        cut(how, text, SF_RECORD_TEXT_MAX, &whole);
        cut(how, text, 7, &pieces);
        cut(how, text, 1, &bytes);
        fuzz_check(sf_slice_equal(sf_buf_view(&whole), sf_buf_view(&pieces)));
        fuzz_check(sf_slice_equal(sf_buf_view(&whole), sf_buf_view(&bytes)));
        fuzz_check(sf_read_be64(whole.data + whole.size - 16) == text.size);
    }
    sf_buf_done(&whole);
    sf_buf_done(&pieces);
    sf_buf_done(&bytes);
    return 0;
}
