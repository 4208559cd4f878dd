/* Compressed bodies piece by piece. */
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "common/base/alloc.h"
#include "common/wire/inflate.h"
#include "proto/errors.h"

enum {
    STEP_BYTES = 64 * 1024,
    GZIP_ONLY = 16, /* added to zlib's window bits: a gzip header, nothing else */
    ZSTD_WINDOW_LOG = 23,
};

struct sf_inflater {
    enum sf_coding coding;
    bool whole; /* what came so far ends with a member or frame */
    bool any;   /* something came */
    z_stream gzip;
    ZSTD_DCtx *zstd;
};

static void *gzip_alloc(void *opaque, unsigned count, unsigned size)
{
    (void)opaque;
    return sf_calloc(count, size);
}

static void gzip_free(void *opaque, void *memory)
{
    (void)opaque;
    sf_free(memory);
}

enum sf_code sf_inflater_new(enum sf_coding coding, struct sf_inflater **ret, struct sf_error *err)
{
    struct sf_inflater *i = sf_calloc(1, sizeof(*i));
    bool fine = false;

    if (i == NULL) {
        return SF_RAISE(err, SF_NOMEM, "inflating");
    }
    i->coding = coding;
    if (coding == SF_CODING_GZIP) {
        i->gzip = (z_stream){.zalloc = gzip_alloc, .zfree = gzip_free};
        fine = inflateInit2(&i->gzip, MAX_WBITS + GZIP_ONLY) == Z_OK;
    } else {
        i->zstd = ZSTD_createDCtx();
        fine = i->zstd != NULL &&
               !ZSTD_isError(ZSTD_DCtx_setParameter(i->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG));
    }
    if (!fine) {
        sf_inflater_free(i);
        return SF_RAISE(err, SF_NOMEM, "inflating");
    }
    *ret = i;
    return SF_OK;
}

void sf_inflater_free(struct sf_inflater *i)
{
    if (i == NULL) {
        return;
    }
    if (i->coding == SF_CODING_GZIP) {
        (void)inflateEnd(&i->gzip);
    }
    (void)ZSTD_freeDCtx(i->zstd);
    sf_free(i);
}

static enum sf_code damaged(const struct sf_inflater *i, const char *why, struct sf_error *err)
{
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_FRAMING, "%s body %s", sf_coding_text(i->coding),
                      why);
}

static enum sf_code gzip_step(struct sf_inflater *i, struct sf_slice *packed, uint8_t *room,
                              size_t *made, struct sf_error *err)
{
    z_stream *z = &i->gzip;
    const size_t n = packed->size < STEP_BYTES ? packed->size : STEP_BYTES;
    int status;

    if (i->whole && n > 0) { /* another member */
        i->whole = false;
        if (inflateReset(z) != Z_OK) {
            return damaged(i, "is damaged", err);
        }
    }
    z->next_in = (z_const Bytef *)(uintptr_t)packed->data;
    z->avail_in = (uInt)n;
    z->next_out = room;
    z->avail_out = STEP_BYTES;
    status = i->whole ? Z_BUF_ERROR : inflate(z, Z_NO_FLUSH);
    *made = STEP_BYTES - z->avail_out;
    *packed = sf_slice_of(packed->data + (n - z->avail_in), packed->size - (n - z->avail_in));
    if (status == Z_MEM_ERROR) {
        return SF_RAISE(err, SF_NOMEM, "inflating gzip");
    }
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
        return damaged(i, "is damaged", err);
    }
    i->whole = i->whole || status == Z_STREAM_END;
    return SF_OK;
}

static enum sf_code zstd_step(struct sf_inflater *i, struct sf_slice *packed, uint8_t *room,
                              size_t *made, struct sf_error *err)
{
    ZSTD_inBuffer in = {.src = packed->data, .size = packed->size};
    ZSTD_outBuffer out = {.dst = room, .size = STEP_BYTES};
    size_t status;

    if (i->whole && packed->size == 0) {
        *made = 0;
        return SF_OK;
    }
    status = ZSTD_decompressStream(i->zstd, &out, &in);
    *made = out.pos;
    *packed = sf_slice_of(packed->data + in.pos, packed->size - in.pos);
    if (ZSTD_isError(status)) {
        const char *why = ZSTD_getErrorName(status);

        return strstr(why, "Allocation") != NULL ? SF_RAISE(err, SF_NOMEM, "inflating zstd")
               : strstr(why, "too much memory") != NULL
                   ? damaged(i, "was made with a window of more than 8 MiB", err)
                   : damaged(i, "is damaged", err);
    }
    i->whole = status == 0;
    return SF_OK;
}

enum sf_code sf_inflater_step(struct sf_inflater *i, struct sf_slice *packed, struct sf_buf *ret,
                              struct sf_error *err)
{
    enum sf_code code = SF_OK;

    i->any = i->any || packed->size > 0;
    for (size_t before = packed->size + 1; before != packed->size;) {
        uint8_t *room = sf_buf_reserve(ret, STEP_BYTES);
        size_t made = 0;

        if (room == NULL) {
            return sf_buf_check(ret, "inflated body", err);
        }
        before = packed->size;
        code = i->coding == SF_CODING_GZIP ? gzip_step(i, packed, room, &made, err)
                                           : zstd_step(i, packed, room, &made, err);
        ret->size += code == SF_OK ? made : 0;
        if (code != SF_OK || made > 0) {
            return code;
        }
    }
    return SF_OK;
}

enum sf_code sf_inflater_end(const struct sf_inflater *i, struct sf_error *err)
{
    return i->whole && i->any ? SF_OK : damaged(i, "is cut off", err);
}
