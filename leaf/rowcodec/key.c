#include "leaf/rowcodec/key.h"

#include "common/base/assert.h"
#include "common/base/decimal.h"
#include "common/base/time.h"
#include "common/base/utf8.h"
#include "common/contract/record.h"
#include "common/contract/value.h"
#include "leaf/rowcodec/row.h"
#include "proto/errors.h"

static const uint8_t SIGN8 = 0x80;
static const uint32_t SIGN32 = UINT32_C(1) << 31;
static const uint64_t SIGN64 = UINT64_C(1) << 63;

/* --- encode ----------------------------------------------------------------------------------- */

/* Bytes with NULs escaped, without the terminator: a NUL sorts before everything that may follow a
 * text that ends here, and behind its end. */
static void put_escaped(struct sf_buf *out, struct sf_slice s)
{
    while (s.size > 0) {
        const uint8_t *nul = memchr(s.data, 0, s.size);
        size_t size = nul == NULL ? s.size : (size_t)(nul - s.data) + 1;

        sf_buf_append(out, s.data, size);
        if (nul != NULL) {
            sf_buf_byte(out, 0xff);
        }
        s = sf_slice_of(s.data + size, s.size - size);
    }
}

static void put_part(struct sf_buf *out, const struct sf_field *f, const struct sf_value *v)
{
    switch (f->type) {
    case SF_TYPE_BOOL:
        sf_buf_byte(out, (uint8_t)(v->i != 0));
        return;
    case SF_TYPE_INT32:
    case SF_TYPE_DATE:
        sf_buf_be32(out, (uint32_t)v->i ^ SIGN32);
        return;
    case SF_TYPE_INT64:
    case SF_TYPE_DECIMAL:
    case SF_TYPE_TIMESTAMP:
        sf_buf_be64(out, (uint64_t)v->i ^ SIGN64);
        return;
    case SF_TYPE_UUID:
        sf_buf_slice(out, v->s);
        return;
    case SF_TYPE_DECIMAL_WIDE:
        sf_buf_byte(out, v->s.data[0] ^ SIGN8);
        sf_buf_append(out, v->s.data + 1, SF_DECIMAL_WIDE_SIZE - 1);
        return;
    case SF_TYPE_STRING:
    case SF_TYPE_BYTES:
        put_escaped(out, v->s);
        sf_buf_append(out, "\0", 2);
        return;
    case SF_TYPE_FLOAT:
    case SF_TYPE_DOUBLE:
    case SF_TYPE_JSON:
    case SF_TYPE_LIST:
    case SF_TYPE_STRUCT:
        break;
    }
    sf_assert(sf_type_may_be_key(f->type)); /* the contract's checks refuse such keys */
}

/* Checks what was appended from @start on; takes it back when it is not good. */
static enum sf_code end_key(struct sf_buf *out, size_t start, struct sf_error *err)
{
    enum sf_code code = sf_buf_check(out, "key", err);

    if (code == SF_OK && out->size - start > SF_KEY_BYTES_MAX) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_RECORD_TOO_LARGE,
                          "the key is longer than %d bytes", SF_KEY_BYTES_MAX);
    }
    if (code != SF_OK) {
        out->size = start;
    }
    return code;
}

enum sf_code key_encode(const struct sf_table *t, const struct sf_value *values, struct sf_buf *out,
                        struct sf_error *err)
{
    size_t start = out->size;

    for (size_t i = 0; i < t->key_count; i++) {
        sf_assert(values[t->key[i]].present);
        put_part(out, &t->fields[t->key[i]], &values[t->key[i]]);
    }
    return end_key(out, start, err);
}

enum sf_code key_encode_parts(const struct sf_table *t, const struct key_parts *parts,
                              enum key_last last, struct sf_buf *out, struct sf_error *err)
{
    size_t start = out->size;

    sf_assert(parts->count <= t->key_count);
    for (size_t i = 0; i < parts->count; i++) {
        const struct sf_field *f = &t->fields[t->key[i]];
        bool begun = last == KEY_LAST_BEGUN && i + 1 == parts->count;

        if (begun && f->type != SF_TYPE_STRING && f->type != SF_TYPE_BYTES) {
            out->size = start;
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                              "'%s' is no text: only whole values select its keys", f->name);
        }
        if (begun) {
            put_escaped(out, parts->parts[i].s);
        } else {
            put_part(out, f, &parts->parts[i]);
        }
    }
    return end_key(out, start, err);
}

bool key_prefix_end(struct sf_buf *prefix)
{
    while (prefix->size > 0) {
        if (prefix->data[prefix->size - 1] != 0xff) {
            prefix->data[prefix->size - 1]++;
            return true;
        }
        prefix->size--;
    }
    return false;
}

/* --- decode ----------------------------------------------------------------------------------- */

/* What is left of a key. */
struct walk {
    const uint8_t *p;
    const uint8_t *end;
    struct sf_arena *arena;
    bool no_memory;
};

/* The size of the escaped text at the walk, without terminator; false when it is not canonical. */
static bool measure_text(const struct walk *w, size_t *ret_size, size_t *ret_nuls)
{
    const uint8_t *p = w->p;
    size_t nuls = 0;

    for (;;) {
        p = p == w->end ? NULL : memchr(p, 0, (size_t)(w->end - p));
        if (p == NULL || p + 1 == w->end) {
            return false;
        }
        if (p[1] == 0) {
            *ret_size = (size_t)(p - w->p);
            *ret_nuls = nuls;
            return true;
        }
        if (p[1] != 0xff) {
            return false;
        }
        nuls++;
        p += 2;
    }
}

static bool read_text(struct walk *w, const struct sf_field *f, struct sf_value *ret)
{
    size_t size;
    size_t nuls;

    if (!measure_text(w, &size, &nuls)) {
        return false;
    }
    ret->s = sf_slice_of(w->p, size);
    if (nuls > 0) {
        uint8_t *text = sf_arena_alloc(w->arena, size);
        size_t n = 0;

        if (text == NULL) {
            w->no_memory = true;
            return false;
        }
        for (size_t i = 0; i < size; i++) {
            text[n++] = w->p[i];
            i += w->p[i] == 0;
        }
        ret->s = sf_slice_of(text, n);
    }
    w->p += size + 2;
    return f->type == SF_TYPE_BYTES || sf_utf8_is_valid(ret->s);
}

static bool in_range(const struct sf_field *f, int64_t i)
{
    switch (f->type) {
    case SF_TYPE_DATE:
        return sf_date_in_range(i);
    case SF_TYPE_TIMESTAMP:
        return sf_time_in_range(i);
    case SF_TYPE_DECIMAL: {
        int64_t limit = 1;

        for (unsigned d = 0; d < f->precision; d++) {
            limit *= 10;
        }
        return i > -limit && i < limit;
    }
    case SF_TYPE_BOOL:
        return i == 0 || i == 1;
    case SF_TYPE_INT32:
    case SF_TYPE_INT64:
    case SF_TYPE_FLOAT:
    case SF_TYPE_DOUBLE:
    case SF_TYPE_STRING:
    case SF_TYPE_BYTES:
    case SF_TYPE_UUID:
    case SF_TYPE_DECIMAL_WIDE:
    case SF_TYPE_JSON:
    case SF_TYPE_LIST:
    case SF_TYPE_STRUCT:
        break;
    }
    return true;
}

/* Bytes of a part of fixed size; 0 for text. */
static size_t part_size(enum sf_type type)
{
    switch (type) {
    case SF_TYPE_BOOL:
        return 1;
    case SF_TYPE_INT32:
    case SF_TYPE_DATE:
        return 4;
    case SF_TYPE_INT64:
    case SF_TYPE_DECIMAL:
    case SF_TYPE_TIMESTAMP:
        return 8;
    case SF_TYPE_UUID:
    case SF_TYPE_DECIMAL_WIDE:
        return 16;
    case SF_TYPE_STRING:
    case SF_TYPE_BYTES:
    case SF_TYPE_FLOAT:
    case SF_TYPE_DOUBLE:
    case SF_TYPE_JSON:
    case SF_TYPE_LIST:
    case SF_TYPE_STRUCT:
        break;
    }
    return 0;
}

/* The sign is flipped back in a copy. */
static bool read_wide(struct walk *w, const struct sf_field *f, struct sf_value *ret)
{
    uint8_t *value = sf_arena_alloc(w->arena, SF_DECIMAL_WIDE_SIZE);

    if (value == NULL) {
        w->no_memory = true;
        return false;
    }
    memcpy(value, w->p, SF_DECIMAL_WIDE_SIZE);
    value[0] ^= SIGN8;
    w->p += SF_DECIMAL_WIDE_SIZE;
    ret->s = sf_slice_of(value, SF_DECIMAL_WIDE_SIZE);
    return sf_decimal_wide_fits(value, f->precision);
}

static bool read_part(struct walk *w, const struct sf_field *f, struct sf_value *ret)
{
    size_t size = part_size(f->type);

    *ret = (struct sf_value){.present = true};
    if (size == 0) {
        return read_text(w, f, ret);
    }
    if ((size_t)(w->end - w->p) < size) {
        return false;
    }
    if (size == 1) {
        ret->i = w->p[0];
    } else if (size == 4) {
        ret->i = (int32_t)(sf_read_be32(w->p) ^ SIGN32);
    } else if (size == 8) {
        ret->i = (int64_t)(sf_read_be64(w->p) ^ SIGN64);
    } else if (f->type == SF_TYPE_DECIMAL_WIDE) {
        return read_wide(w, f, ret);
    } else {
        ret->s = sf_slice_of(w->p, size);
    }
    w->p += size;
    return in_range(f, ret->i);
}

static enum sf_code raise_part(const struct sf_table *t, const struct walk *w, size_t part,
                               struct sf_error *err)
{
    if (w->no_memory) {
        return SF_RAISE(err, SF_NOMEM, "key of table '%s': out of memory", t->name);
    }
    if (part == t->key_count) {
        return SF_RAISE(err, SF_CORRUPT, "key of table '%s': bytes behind its end", t->name);
    }
    return SF_RAISE(err, SF_CORRUPT, "key of table '%s': no value of '%s'", t->name,
                    t->fields[t->key[part]].name);
}

enum sf_code key_decode(const struct sf_table *t, struct sf_slice key, struct sf_value *values,
                        struct sf_arena *arena, struct sf_error *err)
{
    struct walk w = {.p = key.data, .end = key.data + key.size, .arena = arena};

    for (size_t i = 0; i < t->key_count; i++) {
        if (!read_part(&w, &t->fields[t->key[i]], &values[t->key[i]])) {
            return raise_part(t, &w, i, err);
        }
    }
    return w.p == w.end ? SF_OK : raise_part(t, &w, t->key_count, err);
}

/* --- text ------------------------------------------------------------------------------------- */

enum sf_code key_parse_text(const struct sf_table *t, const struct sf_slice *texts, size_t count,
                            struct sf_arena *arena, struct key_parts *ret, struct sf_error *err)
{
    struct key_parts parts = {.count = count};
    char scratch[64];

    if (count > t->key_count) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "%zu key parts, but the key of table '%s' has %zu", count, t->name,
                          t->key_count);
    }
    for (size_t i = 0; i < count; i++) {
        struct sf_field f = t->fields[t->key[i]];
        enum sf_parse parsed = SF_PARSE_SYNTAX;

        f.parse = NULL; /* the format of the source is not that of URLs */
        if (f.type != SF_TYPE_STRING || sf_utf8_is_valid(texts[i])) {
            parsed = sf_value_parse(&f, texts[i], arena, &parts.parts[i]);
        }
        if (parsed != SF_PARSE_OK) {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "key part %zu: '%s' %s", i + 1,
                              f.name, sf_field_hint(&f, parsed, scratch));
        }
    }
    *ret = parts;
    return SF_OK;
}

enum sf_code key_render_json(const struct row_view *view, struct sf_slice key, struct sf_buf *out,
                             struct sf_error *err)
{
    const struct sf_table *t = view->table;
    SF_CLEANUP(sf_arena_done) struct sf_arena arena = {0};
    struct walk w = {.p = key.data, .end = key.data + key.size, .arena = &arena};
    size_t start = out->size;
    const char *before = "{\""; /* without printf, which took longer than all else */
    enum sf_code code;

    for (size_t i = 0; i < t->key_count; i++) {
        const struct sf_field *f = &t->fields[t->key[i]];
        struct sf_value value;

        if (!read_part(&w, f, &value)) {
            out->size = start;
            return raise_part(t, &w, i, err);
        }
        if (row_view_has(view, f->number)) {
            sf_buf_text(out, before);
            sf_buf_text(out, f->name);
            sf_buf_text(out, "\":");
            row_render_value_json(f, &value, out);
            before = ",\"";
        }
    }
    sf_buf_text(out, before[0] == '{' ? "{}" : "}");
    code = w.p == w.end ? sf_buf_check(out, "key", err) : raise_part(t, &w, t->key_count, err);
    if (code != SF_OK) {
        out->size = start;
    }
    return code;
}
