#include "common/contract/message_show.h"

#include <math.h>
#include <stdio.h>

#include "common/base/arena.h"
#include "common/base/decimal.h"
#include "common/base/time.h"
#include "common/base/utf8.h"
#include "common/contract/message_reader.h"
#include "common/contract/value.h"
#include "common/contract/wire_value.h"
#include "common/wire/json_canon.h"

/* What a tag and the bytes behind it say, whatever the contract thinks of them. */
struct part {
    uint32_t number;
    unsigned wire;
    uint64_t bits; /* of a varint or fixed value */
    struct sf_slice bytes;
};

static bool read_value(struct sf_pb_reader *r, struct part *ret)
{
    uint32_t narrow = 0;
    bool whole;

    switch (ret->wire) {
    case SF_PB_VARINT:
        return sf_message_varint(r, &ret->bits);
    case SF_PB_FIXED64:
        return sf_pb_get_fixed64(r, &ret->bits);
    case SF_PB_FIXED32:
        whole = sf_pb_get_fixed32(r, &narrow);
        ret->bits = narrow;
        return whole;
    case SF_PB_BYTES:
        return sf_message_bytes(r, &ret->bytes);
    default:
        return false;
    }
}

/* --- one value -------------------------------------------------------------------------------- */

static void write_base64(struct sf_json_writer *w, struct sf_slice bytes)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};

    sf_json_put_base64(&text, bytes);
    w->out->failed = text.failed != SF_OK ? text.failed : w->out->failed;
    sf_json_raw(w, sf_buf_view(&text));
}

/* A value that the contract does not know, or not with this wire type. */
static void write_unknown(struct sf_json_writer *w, const struct part *p)
{
    if (p->wire != SF_PB_BYTES) {
        sf_json_uint(w, p->bits);
    } else if (sf_utf8_is_valid(p->bytes)) {
        sf_json_slice(w, p->bytes);
    } else {
        write_base64(w, p->bytes);
    }
}

static void write_formatted(struct sf_json_writer *w, const struct sf_field *f,
                            const struct sf_value *v)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};

    sf_value_format(f, v, &text);
    w->out->failed = text.failed != SF_OK ? text.failed : w->out->failed;
    sf_json_slice(w, sf_buf_view(&text));
}

static void write_float(struct sf_json_writer *w, double d)
{
    if (isfinite(d)) {
        sf_json_double(w, d);
    } else {
        sf_json_text(w, isnan(d) ? "NaN" : d > 0 ? "Infinity" : "-Infinity");
    }
}

static void write_number(struct sf_json_writer *w, const struct sf_field *f, uint64_t bits)
{
    const struct sf_value v = {
        .present = true, .i = f->type == SF_TYPE_TIMESTAMP ? (int64_t)bits : sf_pb_unzigzag(bits)};
    uint32_t low = (uint32_t)bits;
    double wide;
    float narrow;

    if (f->type == SF_TYPE_BOOL) {
        sf_json_bool(w, bits != 0);
    } else if (f->type == SF_TYPE_DOUBLE) {
        memcpy(&wide, &bits, sizeof(wide));
        write_float(w, wide);
    } else if (f->type == SF_TYPE_FLOAT) {
        memcpy(&narrow, &low, sizeof(narrow));
        write_float(w, (double)narrow);
    } else if (f->type == SF_TYPE_DECIMAL || (f->type == SF_TYPE_DATE && sf_date_in_range(v.i)) ||
               (f->type == SF_TYPE_TIMESTAMP && sf_time_in_range(v.i))) {
        write_formatted(w, f, &v);
    } else {
        sf_json_int(w, v.i);
    }
}

static size_t write_members(struct sf_json_writer *w, const struct sf_table *t,
                            struct sf_slice message);

/* JSON as itself, when it is JSON that a row may hold. */
static bool write_json(struct sf_json_writer *w, struct sf_slice text)
{
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *doc = NULL;
    SF_CLEANUP(sf_buf_done) struct sf_buf canonical = {0};
    struct sf_arena scratch;
    struct sf_error none;
    bool is_json = sf_json_parse(text, &doc, &none) == SF_OK;

    if (is_json) {
        sf_arena_init(&scratch, 0);
        is_json =
            sf_json_canon_write(sf_json_root(doc), &scratch, &canonical) == SF_JSON_CANON_OK &&
            canonical.failed == SF_OK;
        sf_arena_done(&scratch);
    }
    if (is_json) {
        sf_json_raw(w, sf_buf_view(&canonical));
    }
    return is_json;
}

/* False: it is a struct that is no message behind some point. */
static bool write_bytes(struct sf_json_writer *w, const struct sf_field *f, struct sf_slice bytes)
{
    const struct sf_value v = {.present = true, .s = bytes};

    if (f->type == SF_TYPE_STRUCT) {
        return write_members(w, f->shape, bytes) == bytes.size;
    }
    if (f->type == SF_TYPE_JSON && write_json(w, bytes)) {
        return true;
    }
    if ((f->type == SF_TYPE_UUID && bytes.size == 16) ||
        (f->type == SF_TYPE_DECIMAL_WIDE && bytes.size == SF_DECIMAL_WIDE_SIZE &&
         sf_decimal_wide_fits(bytes.data, SF_DECIMAL_DIGITS_MAX))) {
        write_formatted(w, f, &v);
    } else if (f->type != SF_TYPE_BYTES && sf_utf8_is_valid(bytes)) {
        sf_json_slice(w, bytes);
    } else {
        write_base64(w, bytes);
    }
    return true;
}

/* A value of the type of @f, which is no list; false as write_bytes(). */
static bool write_value(struct sf_json_writer *w, const struct sf_field *f, const struct part *p)
{
    if (p->wire != (unsigned)sf_wire_of(f->type)) {
        write_unknown(w, p);
        return true;
    }
    if (p->wire == SF_PB_BYTES) {
        return write_bytes(w, f, p->bytes);
    }
    write_number(w, f, p->bits);
    return true;
}

/* --- lists ------------------------------------------------------------------------------------ */

static bool write_packed(struct sf_json_writer *w, const struct sf_field *item,
                         struct sf_slice packed)
{
    struct sf_pb_reader r = sf_pb_reader_of(packed);

    while (!sf_pb_at_end(&r)) {
        struct part p = {.wire = (unsigned)sf_wire_of(item->type)};

        if (!read_value(&r, &p)) {
            return false;
        }
        write_number(w, item, p.bits);
    }
    return true;
}

/* @p and the occurrences of the field right behind it. */
static bool write_list(struct sf_json_writer *w, const struct sf_field *f, struct part *p,
                       struct sf_pb_reader *r)
{
    const bool is_number = sf_wire_of(f->item->type) != SF_PB_BYTES;
    bool whole = true;

    sf_json_array_begin(w);
    for (;;) {
        struct sf_pb_reader ahead;
        struct part next = {0};

        whole = is_number && p->wire == SF_PB_BYTES ? write_packed(w, f->item, p->bytes)
                                                    : write_value(w, f->item, p);
        ahead = *r;
        if (!whole || !sf_message_tag(&ahead, &next.number, &next.wire) ||
            next.number != f->number || !read_value(&ahead, &next)) {
            break;
        }
        *r = ahead;
        *p = next;
    }
    sf_json_array_end(w);
    return whole;
}

/* --- messages --------------------------------------------------------------------------------- */

static size_t write_members(struct sf_json_writer *w, const struct sf_table *t,
                            struct sf_slice message)
{
    struct sf_pb_reader r = sf_pb_reader_of(message);
    const uint8_t *read = r.p;
    bool whole = true;

    sf_json_object_begin(w);
    while (whole && !sf_pb_at_end(&r)) {
        struct part p = {0};
        char name[16];
        int32_t field;

        if (!sf_message_tag(&r, &p.number, &p.wire) || !read_value(&r, &p)) {
            break;
        }
        field = sf_table_field_by_number(t, p.number);
        if (field < 0) {
            (void)snprintf(name, sizeof(name), "#%u", p.number);
            sf_json_key(w, name);
            write_unknown(w, &p);
        } else {
            const struct sf_field *f = &t->fields[field];

            sf_json_key(w, f->name);
            whole = f->type == SF_TYPE_LIST ? write_list(w, f, &p, &r) : write_value(w, f, &p);
        }
        read = whole ? r.p : read;
    }
    sf_json_object_end(w);
    return (size_t)(read - message.data);
}

size_t sf_message_show(const struct sf_table *t, struct sf_slice message, struct sf_buf *out)
{
    struct sf_json_writer w = {.out = out};

    return write_members(&w, t, message);
}
