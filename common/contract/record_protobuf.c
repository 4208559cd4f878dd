/*
 * The part of record.h that reads messages. What protobuf lets a writer choose is read in every
 * form: the order of fields, the length of varints, lists packed or not.
 */
#include "common/contract/record_reader.h"

#include <math.h>
#include <stdio.h>

#include "common/base/decimal.h"
#include "common/base/time.h"
#include "common/base/utf8.h"
#include "common/contract/message_reader.h"
#include "common/contract/wire_value.h"

/* --- values ----------------------------------------------------------------------------------- */

/* The value in the range of its type, or why not. */
static enum sf_parse check_int(const struct sf_field *f, int64_t i)
{
    struct sf_value v = {.present = true, .i = i};
    uint8_t bytes[SF_PB_VARINT_MAX];
    struct sf_pb_reader again = {.p = bytes, .end = bytes};

    /* As a row would have it: one place knows the ranges. */
    again.end = sf_wire_put_bare(bytes, f->type, &v);
    return sf_wire_get(f, &again, &v) ? SF_PARSE_OK : SF_PARSE_RANGE;
}

/* A value of fixed size or a varint, behind its tag. False: the message ends inside it. */
static bool get_number(const struct sf_field *f, struct sf_pb_reader *r, struct sf_value *ret,
                       enum sf_parse *ret_parsed)
{
    uint64_t raw = 0;
    uint32_t low;
    float narrow;

    switch (sf_wire_of(f->type)) {
    case SF_PB_VARINT:
        if (!sf_message_varint(r, &raw)) {
            return false;
        }
        ret->i = f->type == SF_TYPE_BOOL ? raw != 0 : sf_pb_unzigzag(raw);
        *ret_parsed = check_int(f, ret->i);
        return true;
    case SF_PB_FIXED32:
        if (!sf_pb_get_fixed32(r, &low)) {
            return false;
        }
        memcpy(&narrow, &low, sizeof(low));
        ret->d = narrow == 0 ? 0 : (double)narrow;
        *ret_parsed = isfinite(narrow) ? SF_PARSE_OK : SF_PARSE_RANGE;
        return true;
    case SF_PB_FIXED64:
        if (!sf_pb_get_fixed64(r, &raw)) {
            return false;
        }
        if (f->type == SF_TYPE_TIMESTAMP) {
            ret->i = (int64_t)raw;
            *ret_parsed = sf_time_in_range(ret->i) ? SF_PARSE_OK : SF_PARSE_RANGE;
            return true;
        }
        memcpy(&ret->d, &raw, sizeof(raw));
        ret->d = ret->d == 0 ? 0 : ret->d;
        *ret_parsed = isfinite(ret->d) ? SF_PARSE_OK : SF_PARSE_RANGE;
        return true;
    case SF_PB_BYTES:
        break;
    }
    return false;
}

static void refuse_or_check(struct sf_record_reader *r, size_t field, const struct sf_field *f,
                            enum sf_parse parsed, const struct sf_value *value,
                            struct sf_verdict *v)
{
    if (parsed != SF_PARSE_OK) {
        sf_record_add_refused(r, field, f, parsed, v);
    } else if (r->plans[field].has_rules) {
        sf_record_check_rules(r, field, f, value, v);
    }
}

/* Text and bytes of a scalar. */
static void take_bytes(struct sf_record_reader *r, size_t field, const struct sf_field *f,
                       struct sf_slice bytes, struct sf_value *ret, struct sf_verdict *v)
{
    enum sf_parse parsed = SF_PARSE_OK;

    *ret = (struct sf_value){.present = true, .s = bytes};
    if (f->type == SF_TYPE_STRING && !sf_utf8_is_valid(bytes)) {
        sf_record_refuse(r, field, f, SHEAF_E_BAD_UTF8, "is not valid UTF-8", v);
        return;
    }
    if (f->type == SF_TYPE_STRING && r->plans[field].is_cleaned) {
        sf_record_take_cleaned(r, f, field, bytes, /* is_json= */ true, ret, v);
        return;
    }
    if (f->type == SF_TYPE_UUID && bytes.size != 16) {
        parsed = SF_PARSE_SYNTAX;
    } else if (f->type == SF_TYPE_DECIMAL_WIDE && bytes.size != SF_DECIMAL_WIDE_SIZE) {
        parsed = SF_PARSE_SYNTAX;
    } else if (f->type == SF_TYPE_DECIMAL_WIDE && !sf_decimal_wide_fits(bytes.data, f->precision)) {
        parsed = SF_PARSE_RANGE;
    }
    refuse_or_check(r, field, f, parsed, ret, v);
}

static bool read_fields(struct sf_record_reader *r, struct sf_slice message,
                        struct sf_value *values, struct sf_verdict *v);

/* The fields of a struct, as the bytes @out. */
static bool read_struct(struct sf_record_reader *r, size_t field, struct sf_slice message,
                        struct sf_buf *out, struct sf_value *ret, struct sf_verdict *v)
{
    struct sf_record_nested *n = &r->nested[field];

    if (!read_fields(n->reader, message, n->values, v)) {
        return false;
    }
    sf_buf_clear(out);
    if (v->found == 0) {
        sf_record_put_struct(r, field, out);
    }
    r->root->no_memory |= out->failed != SF_OK;
    *ret = (struct sf_value){.present = true, .s = sf_buf_view(out)};
    return true;
}

/* --- lists ------------------------------------------------------------------------------------ */

/* One more element, which is there; false when there are too many. */
static bool add_element(struct sf_record_reader *r, size_t field, const struct sf_value *item,
                        struct sf_verdict *v)
{
    struct sf_record_nested *n = &r->nested[field];

    if (n->count == SF_LIST_ITEMS_MAX) {
        sf_record_refuse(r, field, r->table->fields[field].item, SHEAF_E_RECORD_TOO_LARGE,
                         "has more than 65536 elements", v);
        return false;
    }
    if (v->found == 0) {
        sf_record_list_add(r, field, item);
    } else {
        n->count++;
    }
    return true;
}

static bool read_packed(struct sf_record_reader *r, size_t field, struct sf_pb_reader packed,
                        struct sf_verdict *v)
{
    const struct sf_field *item = r->table->fields[field].item;

    while (!sf_pb_at_end(&packed)) {
        struct sf_value value = {.present = true};
        enum sf_parse parsed = SF_PARSE_OK;

        sf_record_at_item(r, r->nested[field].count);
        if (!get_number(item, &packed, &value, &parsed)) {
            return false;
        }
        refuse_or_check(r, field, item, parsed, &value, v);
        if (!add_element(r, field, &value, v)) {
            return true;
        }
    }
    return true;
}

/* One occurrence of a list: an element, or some that are packed. */
static bool read_list(struct sf_record_reader *r, size_t field, unsigned wire,
                      struct sf_pb_reader *m, struct sf_verdict *v)
{
    const struct sf_field *item = r->table->fields[field].item;
    struct sf_value value = {.present = true};
    enum sf_parse parsed = SF_PARSE_OK;
    struct sf_slice bytes;
    bool whole = true;

    if (r->seen[field] != r->record) {
        r->seen[field] = r->record;
        sf_record_list_begin(r, field);
    }
    sf_record_enter(r, field);
    sf_record_at_item(r, r->nested[field].count);
    if (wire == SF_PB_BYTES) {
        whole = sf_message_bytes(m, &bytes);
        if (whole && sf_wire_of(item->type) != SF_PB_BYTES) {
            whole = read_packed(r, field, sf_pb_reader_of(bytes), v);
        } else if (whole) {
            if (item->type == SF_TYPE_STRUCT) {
                whole = read_struct(r, field, bytes, &r->nested[field].item, &value, v);
            } else {
                take_bytes(r, field, item, bytes, &value, v);
            }
            (void)(whole && add_element(r, field, &value, v));
        }
    } else {
        whole = get_number(item, m, &value, &parsed);
        if (whole) {
            refuse_or_check(r, field, item, parsed, &value, v);
            (void)add_element(r, field, &value, v);
        }
    }
    sf_record_leave(r);
    return whole;
}

/* --- messages --------------------------------------------------------------------------------- */

static bool read_bytes(struct sf_record_reader *r, size_t field, struct sf_slice bytes,
                       struct sf_value *ret, struct sf_verdict *v)
{
    const struct sf_field *f = &r->table->fields[field];
    bool whole;

    if (f->type == SF_TYPE_JSON) {
        sf_record_take_nested_text(r, field, bytes, ret, v);
        return true;
    }
    if (f->type != SF_TYPE_STRUCT) {
        take_bytes(r, field, f, bytes, ret, v);
        return true;
    }
    sf_record_enter(r, field);
    whole = read_struct(r, field, bytes, &r->nested[field].bytes, ret, v);
    sf_record_leave(r);
    return whole;
}

/* The field at the reader, whose tag is read. False: the message is cut off or no message. */
static bool read_field(struct sf_record_reader *r, size_t field, unsigned wire,
                       struct sf_pb_reader *m, struct sf_value *ret, struct sf_verdict *v)
{
    const struct sf_field *f = &r->table->fields[field];
    const struct sf_field *item = sf_field_item(f);
    enum sf_parse parsed = SF_PARSE_OK;
    struct sf_slice bytes;

    if (wire != (unsigned)sf_wire_of(item->type) &&
        !(f->type == SF_TYPE_LIST && wire == SF_PB_BYTES)) {
        sf_record_refuse(r, field, f, SHEAF_E_WRONG_TYPE, "is of another type in the message", v);
        return false;
    }
    if (f->type == SF_TYPE_LIST) {
        return read_list(r, field, wire, m, v);
    }
    *ret = (struct sf_value){.present = true};
    if (!sf_record_mark_seen(r, field, v)) {
        return false;
    }
    if (wire == SF_PB_BYTES) {
        return sf_message_bytes(m, &bytes) && read_bytes(r, field, bytes, ret, v);
    }
    if (!get_number(f, m, ret, &parsed)) {
        return false;
    }
    refuse_or_check(r, field, f, parsed, ret, v);
    return true;
}

static void end_lists(struct sf_record_reader *r, struct sf_value *values, struct sf_verdict *v)
{
    for (size_t i = 0; r->nested != NULL && i < r->table->field_count; i++) {
        if (r->table->fields[i].type == SF_TYPE_LIST) {
            if (r->seen[i] != r->record) { /* in a message, one without elements is given too */
                r->seen[i] = r->record;
                sf_record_list_begin(r, i);
            }
            sf_record_list_end(r, i, &values[i], v);
        }
    }
}

/* False: it is no message, or nothing more can be said about it. */
static bool read_fields(struct sf_record_reader *r, struct sf_slice message,
                        struct sf_value *values, struct sf_verdict *v)
{
    struct sf_pb_reader m = sf_pb_reader_of(message);

    sf_record_begin_fields(r);
    while (!sf_pb_at_end(&m)) {
        uint32_t number;
        unsigned wire;
        int32_t field;

        if (!sf_message_tag(&m, &number, &wire)) {
            return false;
        }
        field = sf_table_field_by_number(r->table, number);
        if (field < 0) {
            char why[48];

            (void)snprintf(why, sizeof(why), "has no field of number %u", number);
            sf_record_refuse_whole(r, SHEAF_E_UNKNOWN_FIELD, why, v);
            return false;
        }
        if (!read_field(r, (size_t)field, wire, &m, &values[field], v)) {
            return false;
        }
    }
    end_lists(r, values, v);
    sf_record_fill_absent(r, values, v);
    return true;
}

enum sf_code sf_record_from_protobuf(struct sf_record_reader *r, struct sf_slice message,
                                     struct sf_value *values, struct sf_verdict *verdict,
                                     struct sf_error *err)
{
    sf_record_begin(r, verdict);
    if (message.size > SF_RECORD_TEXT_MAX) {
        sf_verdict_add(verdict, SHEAF_E_RECORD_TOO_LARGE, -1, "longer than %d bytes",
                       SF_RECORD_TEXT_MAX);
    } else if (!read_fields(r, message, values, verdict) && verdict->found == 0) {
        sf_verdict_add(verdict, SHEAF_E_RECORD_INVALID, -1,
                       "the record is no message of the table");
    }
    return sf_record_end(r, err);
}
