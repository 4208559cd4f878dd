#include "common/wire/inflate.h"

#include <strings.h>
#include <zlib.h>
#include <zstd.h>

#include "common/base/alloc.h"
#include "common/base/attr.h"
#include "proto/errors.h"

enum {
    STEP_BYTES = 64 * 1024, /* of output at a time: bounds what a lie about sizes can cost */
    GZIP_ONLY = 16,         /* added to zlib's window bits: a gzip header, nothing else */
    ZSTD_WINDOW_LOG = 23,
};

_Static_assert(1 << ZSTD_WINDOW_LOG == SF_INFLATE_WINDOW_MAX, "the window is as the header says");

static const char *const coding_names[] = {
    [SF_CODING_IDENTITY] = "identity",
    [SF_CODING_GZIP] = "gzip",
    [SF_CODING_ZSTD] = "zstd",
};

bool sf_coding_of(const char *name, enum sf_coding *ret)
{
    if (name == NULL || *name == '\0') {
        *ret = SF_CODING_IDENTITY;
        return true;
    }
    if (strcasecmp(name, "x-gzip") == 0) { /* RFC 9110 8.4.1.3: the same */
        *ret = SF_CODING_GZIP;
        return true;
    }
    for (size_t i = 0; i < SF_COUNT(coding_names); i++) {
        if (strcasecmp(name, coding_names[i]) == 0) {
            *ret = (enum sf_coding)i;
            return true;
        }
    }
    return false;
}

const char *sf_coding_text(enum sf_coding coding)
{
    return coding_names[coding];
}

static enum sf_code raise_damaged(enum sf_coding coding, const char *why, struct sf_error *err)
{
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_FRAMING, "%s body %s", coding_names[coding],
                      why);
}

/*
 * Room for the next piece, one byte beyond the limit at most: that byte tells "too much" from
 * "exactly full".
 */
static enum sf_code make_room(struct sf_buf *out, size_t size_max, uint8_t **ret, size_t *ret_size,
                              struct sf_error *err)
{
    const size_t left = size_max - out->size + 1;

    *ret_size = left < STEP_BYTES ? left : STEP_BYTES;
    *ret = sf_buf_reserve(out, *ret_size);
    return *ret == NULL ? sf_buf_check(out, "inflated body", err) : SF_OK;
}

static enum sf_code check_size(const struct sf_buf *out, size_t size_max, struct sf_error *err)
{
    return out->size > size_max ? SF_RAISE_E(err, SF_BUSY, SHEAF_E_TOO_LARGE,
                                             "body: more than %zu bytes when inflated", size_max)
                                : SF_OK;
}

/* --- gzip ------------------------------------------------------------------------------------- */

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

/* Gives zlib what is left of @packed; its counter of input has 32 bits. */
static void gzip_feed(z_stream *z, struct sf_slice *packed)
{
    const size_t n = packed->size < STEP_BYTES ? packed->size : STEP_BYTES;

    if (z->avail_in == 0) {
        z->next_in = (z_const Bytef *)(uintptr_t)packed->data;
        z->avail_in = (uInt)n;
        packed->data += n;
        packed->size -= n;
    }
}

/* One piece of output; *@ended when a member ended with it. */
static enum sf_code gzip_step(z_stream *z, size_t size_max, struct sf_buf *out, bool *ended,
                              struct sf_error *err)
{
    uint8_t *room;
    size_t size;
    enum sf_code code = make_room(out, size_max, &room, &size, err);
    int status;

    if (code != SF_OK) {
        return code;
    }
    z->next_out = room;
    z->avail_out = (uInt)size;
    status = inflate(z, Z_NO_FLUSH);
    out->size += size - z->avail_out;
    *ended = status == Z_STREAM_END;
    if (status == Z_MEM_ERROR) {
        return SF_RAISE(err, SF_NOMEM, "inflating gzip");
    }
    if (status == Z_BUF_ERROR) {
        return raise_damaged(SF_CODING_GZIP, "is cut off", err);
    }
    if (status != Z_OK && status != Z_STREAM_END) {
        return raise_damaged(SF_CODING_GZIP, "is damaged", err);
    }
    return check_size(out, size_max, err);
}

static enum sf_code gzip_members(z_stream *z, struct sf_slice packed, size_t size_max,
                                 struct sf_buf *out, struct sf_error *err)
{
    for (;;) {
        bool ended = false;
        enum sf_code code;

        gzip_feed(z, &packed);
        code = gzip_step(z, size_max, out, &ended, err);
        if (code != SF_OK) {
            return code;
        }
        if (ended && z->avail_in == 0 && packed.size == 0) {
            return SF_OK;
        }
        if (ended && inflateReset(z) != Z_OK) {
            return raise_damaged(SF_CODING_GZIP, "is damaged", err);
        }
    }
}

static enum sf_code inflate_gzip(struct sf_slice packed, size_t size_max, struct sf_buf *out,
                                 struct sf_error *err)
{
    z_stream z = {.zalloc = gzip_alloc, .zfree = gzip_free};
    enum sf_code code;

    if (inflateInit2(&z, MAX_WBITS + GZIP_ONLY) != Z_OK) {
        return SF_RAISE(err, SF_NOMEM, "inflating gzip");
    }
    code = gzip_members(&z, packed, size_max, out, err);
    (void)inflateEnd(&z);
    return code;
}

/* --- zstd ------------------------------------------------------------------------------------- */

static enum sf_code raise_zstd(size_t status, struct sf_error *err)
{
    const char *why = ZSTD_getErrorName(status);

    if (strstr(why, "Allocation") != NULL) {
        return SF_RAISE(err, SF_NOMEM, "inflating zstd");
    }
    return raise_damaged(SF_CODING_ZSTD,
                         strstr(why, "too much memory") != NULL
                             ? "was made with a window of more than 8 MiB"
                             : "is damaged",
                         err);
}

static enum sf_code zstd_frames(ZSTD_DCtx *context, struct sf_slice packed, size_t size_max,
                                struct sf_buf *out, struct sf_error *err)
{
    ZSTD_inBuffer in = {.src = packed.data, .size = packed.size};

    for (;;) {
        ZSTD_outBuffer piece = {0};
        uint8_t *room;
        size_t size;
        size_t status;
        enum sf_code code = make_room(out, size_max, &room, &size, err);

        if (code != SF_OK) {
            return code;
        }
        piece.dst = room;
        piece.size = size;
        status = ZSTD_decompressStream(context, &piece, &in);
        out->size += piece.pos;
        if (ZSTD_isError(status)) {
            return raise_zstd(status, err);
        }
        code = check_size(out, size_max, err);
        if (code != SF_OK) {
            return code;
        }
        if (in.pos == in.size && status == 0) {
            return SF_OK;
        }
        if (in.pos == in.size && piece.pos < piece.size) {
            return raise_damaged(SF_CODING_ZSTD, "is cut off", err);
        }
    }
}

static enum sf_code inflate_zstd(struct sf_slice packed, size_t size_max, struct sf_buf *out,
                                 struct sf_error *err)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    enum sf_code code;

    if (context == NULL ||
        ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG))) {
        code = SF_RAISE(err, SF_NOMEM, "inflating zstd");
    } else if (packed.size == 0) {
        code = raise_damaged(SF_CODING_ZSTD, "is cut off", err);
    } else {
        code = zstd_frames(context, packed, size_max, out, err);
    }
    (void)ZSTD_freeDCtx(context);
    return code;
}

enum sf_code sf_inflate(enum sf_coding coding, struct sf_slice packed, size_t size_max,
                        struct sf_buf *ret, struct sf_error *err)
{
    switch (coding) {
    case SF_CODING_GZIP:
        return inflate_gzip(packed, size_max, ret, err);
    case SF_CODING_ZSTD:
        return inflate_zstd(packed, size_max, ret, err);
    case SF_CODING_IDENTITY:
        break;
    }
    sf_buf_slice(ret, packed);
    return packed.size > size_max
               ? SF_RAISE_E(err, SF_BUSY, SHEAF_E_TOO_LARGE, "body: more than %zu bytes", size_max)
               : sf_buf_check(ret, "body", err);
}
