#include "leaf/query/params.h"

#include <stdio.h>
#include <string.h>

#include "common/base/str.h"
#include "common/sys/crypto.h"
#include "leaf/query/as_of.h"
#include "leaf/query/cursor.h"
#include "leaf/query/where.h"
#include "leaf/rowcodec/key.h"
#include "proto/errors.h"

enum sf_code query_params_number(const char *name, const char *text, uint64_t *ret,
                                 struct sf_error *err)
{
    if (text == NULL) {
        *ret = 0;
        return SF_OK;
    }
    if (sf_parse_u64(sf_slice_text(text), ret) != SF_PARSE_OK) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'%s' must be a whole number",
                          name);
    }
    return SF_OK;
}

enum sf_code query_params_bool(const char *name, const char *text, bool *ret, struct sf_error *err)
{
    const bool yes =
        text != NULL && (*text == '\0' || strcmp(text, "true") == 0 || strcmp(text, "1") == 0);

    *ret = yes;
    if (!yes && text != NULL && strcmp(text, "false") != 0 && strcmp(text, "0") != 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'%s' must be true or false", name);
    }
    return SF_OK;
}

enum sf_code query_params_seconds(const char *text, uint64_t *ret, struct sf_error *err)
{
    enum sf_code code = query_params_number("seconds", text, ret, err);

    if (code == SF_OK && text != NULL && (*ret == 0 || *ret > QUERY_SECONDS_MAX)) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'seconds' must be 1 to %d",
                          QUERY_SECONDS_MAX);
    }
    return code;
}

/* --- building --------------------------------------------------------------------------------- */

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum sf_code query_params_split(const char *name, const char *text, struct sf_arena *arena,
                                struct sf_slice parts[SF_KEY_FIELDS_MAX], size_t *count,
                                struct sf_error *err)
{
    uint8_t *out = sf_arena_alloc(arena, strlen(text) + 1);
    uint8_t *start = out;

    *count = 0;
    if (out == NULL) {
        return SF_RAISE(err, SF_NOMEM, "request");
    }
    for (const char *at = text;; at++) {
        if (*at == ',' || *at == '\0') {
            if (*count == SF_KEY_FIELDS_MAX) {
                return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'%s' has too many parts",
                                  name);
            }
            parts[(*count)++] = sf_slice_of(start, (size_t)(out - start));
            start = out;
            if (*at == '\0') {
                return SF_OK;
            }
        } else if (*at == '%' && hex_digit((uint8_t)at[1]) >= 0 && hex_digit((uint8_t)at[2]) >= 0) {
            *out++ = (uint8_t)(hex_digit((uint8_t)at[1]) << 4 | hex_digit((uint8_t)at[2]));
            at += 2;
        } else {
            *out++ = (uint8_t)*at;
        }
    }
}

/* One bound of a scan, or the key of a get, encoded into @out. */
struct bound {
    const struct served_view *served; /* of who asks */
    const char *name;
    const char *text; /* NULL: not given */
    struct sf_buf *out;
    enum key_last last;
    bool is_key; /* all of its parts must be there */
};

static enum sf_code encode_event_bound(const struct bound *b, struct sf_error *err)
{
    uint64_t seq;
    enum sf_code code = query_params_number(b->name, b->text, &seq, err);

    if (code == SF_OK) {
        sf_buf_be64(b->out, seq);
        code = sf_buf_check(b->out, b->name, err);
    }
    return code;
}

/*
 * That who asks sees the first @count fields of the key as they are stored: what is found at a key,
 * or between two, tells their values as well as showing them would. Said of every key alike, so
 * that it tells nothing of any.
 */
static enum sf_code check_sees_key(const struct sf_table *t, const struct bound *b, size_t count,
                                   struct sf_error *err)
{
    return served_view_shows_key(b->served, count)
               ? SF_OK
               : SF_RAISE_E(err, SF_DENIED, SHEAF_E_POLICY_DENIES,
                            "'%s': you do not see the key of table '%s', or not as it is; 'where' "
                            "goes by what you see",
                            b->name, t->name);
}

static enum sf_code encode_bound(const struct sf_table *t, const struct bound *b,
                                 struct sf_arena *arena, struct sf_error *err)
{
    struct sf_slice texts[SF_KEY_FIELDS_MAX];
    struct key_parts parts;
    size_t count;
    enum sf_code code;

    if (b->text == NULL) {
        return SF_OK;
    }
    if (t->kind == SF_TABLE_EVENT) {
        return encode_event_bound(b, err);
    }
    code = query_params_split(b->name, b->text, arena, texts, &count, err);
    if (code == SF_OK) {
        code = check_sees_key(t, b, count, err);
    }
    if (code == SF_OK && b->last == KEY_LAST_BEGUN) {
        /* A beginning of a string, or whole parts of other types. */
        enum sf_type type = t->fields[t->key[count <= t->key_count ? count - 1 : 0]].type;
        bool begun = type == SF_TYPE_STRING;

        code = key_parse_text(t, texts, count, arena, &parts, err);
        return code == SF_OK ? key_encode_parts(t, &parts, begun ? KEY_LAST_BEGUN : KEY_LAST_WHOLE,
                                                b->out, err)
                             : code;
    }
    if (code == SF_OK && b->is_key && count < t->key_count) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'key' has %zu of its %zu parts",
                          count, t->key_count);
    }
    if (code == SF_OK) {
        code = key_parse_text(t, texts, count, arena, &parts, err);
    }
    return code == SF_OK ? key_encode_parts(t, &parts, KEY_LAST_WHOLE, b->out, err) : code;
}

static enum sf_code read_position(const char *text, struct query_request *r, struct sf_error *err)
{
    const char *colon = text == NULL ? NULL : strchr(text, ':');
    uint64_t epoch;

    if (text == NULL) {
        return SF_OK;
    }
    if (colon == NULL ||
        sf_parse_u64(sf_slice_of(text, (size_t)(colon - text)), &epoch) != SF_PARSE_OK ||
        epoch > UINT32_MAX ||
        sf_parse_u64(sf_slice_text(colon + 1), &r->after_seq) != SF_PARSE_OK) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "'after' must be a position, EPOCH:SEQ");
    }
    r->has_after = true;
    r->after_epoch = (uint32_t)epoch;
    return SF_OK;
}

static enum sf_code apply_place(const struct query_place *place, struct query_request *r,
                                struct sf_error *err)
{
    struct sf_buf *bound = r->hides_key ? &r->key : r->reverse ? &r->to : &r->from;

    if (r->reverse && place->seq != 0) {
        r->before_seq = place->seq < r->before_seq ? place->seq : r->before_seq;
    } else {
        r->after_seq = place->seq > r->after_seq ? place->seq : r->after_seq;
    }
    if (place->key.size > 0) {
        sf_buf_clear(bound);
        sf_buf_slice(bound, place->key);
        if (!r->reverse && !r->hides_key) {
            sf_buf_byte(bound, 0); /* the first key behind the last one */
        }
    }
    return sf_buf_check(bound, "cursor", err);
}

/* A cursor goes on with the point that it began with; saying it again is fine. */
static bool same_past(const struct query_place *place, const struct query_point *asked)
{
    switch (asked->kind) {
    case QUERY_AT_NOW:
    case QUERY_AT_SEQ:
        return true;
    case QUERY_AT_POSITION:
        return place->as_of == asked->seq;
    case QUERY_AT_TIME:
        return place->as_of != QUERY_NOT_PAST;
    }
    return false;
}

static enum sf_code apply_cursor(const char *text, const uint8_t *seal_key, struct query_request *r,
                                 struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf bytes = {0};
    const struct store_head *head = store_lane_head(r->table->lane);
    struct query_place place;
    enum sf_code code;

    if (text == NULL || *text == '\0') {
        return SF_OK;
    }
    code = query_cursor_open(seal_key, text, &bytes, &place, err);
    if (code != SF_OK) {
        return code;
    }
    if (place.lane != store_lane_id(r->table->lane) || place.epoch != head->epoch) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_CURSOR, "cursor is of another table");
    }
    if (memcmp(place.shape, r->shape, sizeof(place.shape)) != 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_CURSOR,
                          "cursor is of another 'where', 'reverse' or view");
    }
    if (!same_past(&place, &r->as_of)) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_CURSOR, "cursor is of another 'as_of'");
    }
    if (place.as_of != QUERY_NOT_PAST) {
        r->as_of = (struct query_point){.kind = QUERY_AT_SEQ, .seq = place.as_of};
    }
    return apply_place(&place, r, err);
}

/* What a cursor must have in common with the request that it goes on with. */
static enum sf_code make_shape(struct query_request *r, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    uint8_t hash[SF_HASH256_SIZE];
    struct sf_slice bytes;
    enum sf_code code;

    if (!r->reverse && !r->hides_key && r->where == NULL) {
        return SF_OK; /* all zeros */
    }
    sf_buf_byte(&text, (uint8_t)(r->reverse | r->hides_key << 1));
    if (r->where != NULL) {
        sf_expr_print(r->where, &text);
    }
    code = sf_buf_check(&text, "cursor", err);
    if (code == SF_OK) {
        bytes = sf_buf_view(&text);
        sf_hash256(&bytes, 1, hash);
        memcpy(r->shape, hash, sizeof(r->shape));
    }
    return code;
}

/* Which rows of a scan, and how: where, reverse, count. */
static enum sf_code build_filter(const struct query_params *p, struct query_request *r,
                                 struct sf_error *err)
{
    enum sf_code code = SF_OK;

    if (r->op != QUERY_SCAN) {
        const char *name = p->where != NULL ? "where"
                           : p->reverse     ? "reverse"
                           : p->count       ? "count"
                                            : NULL;

        return name == NULL
                   ? SF_OK
                   : SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'%s' is for scans", name);
    }
    r->reverse = p->reverse;
    r->count = p->count;
    r->pages = r->count ? 1 : r->pages;
    if (p->where != NULL) {
        code = query_where_parse(p->where, r->served->seen, &r->where, p->findings, err);
    }
    return code == SF_OK ? make_shape(r, err) : code;
}

/* The columns that are selected. */
static enum sf_code select_columns(const struct query_params *p, struct sf_arena *arena,
                                   struct query_request *r, struct sf_error *err)
{
    struct sf_slice *names;
    size_t count = 0;
    size_t capacity = 1;

    for (const char *at = p->select; *at != '\0'; at++) {
        capacity += *at == ',';
    }
    names = sf_arena_calloc(arena, capacity, sizeof(*names));
    if (names == NULL) {
        return SF_RAISE(err, SF_NOMEM, "request");
    }
    for (const char *at = p->select; *at != '\0';) {
        size_t n = strcspn(at, ",");

        names[count++] = sf_slice_of(at, n);
        at += n + (at[n] == ',');
    }
    return served_view_select(r->served, names, count, &r->own_view, r->view_name, err);
}

static enum sf_code take_view(const struct query_params *p, const struct serving_right *right,
                              struct sf_arena *arena, struct query_request *r, struct sf_error *err)
{
    enum sf_code code =
        serving_view(right->serving, r->table, right->grant, &right->roles, &r->served, err);

    if (code != SF_OK) {
        return code;
    }
    r->hides_key = r->op == QUERY_SCAN && r->table->contract->kind == SF_TABLE_STATE &&
                   !served_view_shows_key(r->served, r->table->contract->key_count);
    if (p->select != NULL && *p->select != '\0') {
        code = select_columns(p, arena, r, err);
        r->view = r->own_view;
        return code;
    }
    r->view = r->served->columns;
    memcpy(r->view_name, r->served->name, sizeof(r->view_name));
    return SF_OK;
}

static enum sf_code read_format(const struct query_params *p, struct query_request *r,
                                struct sf_error *err)
{
    if (p->format == NULL || strcmp(p->format, "ndjson") == 0) {
        r->format = QUERY_NDJSON;
        return SF_OK;
    }
    if (strcmp(p->format, "csv") == 0 && r->op != QUERY_CHANGES) {
        r->format = QUERY_CSV;
        return SF_OK;
    }
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'format' must be ndjson%s",
                      r->op == QUERY_CHANGES ? "" : " or csv");
}

/* Rows of an event table go by their seq: from and to are seqs, and a prefix means nothing. */
static enum sf_code bound_events(const struct query_params *p, struct query_request *r,
                                 struct sf_error *err)
{
    if (r->table->contract->kind != SF_TABLE_EVENT) {
        return SF_OK;
    }
    if (p->prefix != NULL) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "table '%s' has no key: use from and to with seqs",
                          r->table->contract->name);
    }
    if (r->from.size == 8) {
        uint64_t from = sf_read_be64(r->from.data);

        r->after_seq = from == 0 ? 0 : from - 1;
    }
    r->before_seq = r->to.size == 8 ? sf_read_be64(r->to.data) : UINT64_MAX;
    return SF_OK;
}

/* Which point in the past: as_of of rows, since of changes. */
static enum sf_code build_point(const struct query_params *p, struct query_request *r,
                                struct sf_error *err)
{
    enum sf_code code = query_point_parse("as_of", p->as_of, &r->as_of, err);

    if (code == SF_OK) {
        code = query_time_parse("since", p->since, &r->since, err);
    }
    if (code == SF_OK && p->as_of != NULL && r->op == QUERY_CHANGES) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'as_of' is for rows");
    }
    if (code == SF_OK && p->since != NULL && (r->op != QUERY_CHANGES || p->after != NULL)) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "'since' is for changes, instead of 'after'");
    }
    return code;
}

/* The key of a get and the bounds of a scan, as far as the view lets rows be found by them. */
static enum sf_code encode_bounds(const struct query_params *p, struct sf_arena *arena,
                                  struct query_request *r, struct sf_error *err)
{
    const struct served_view *v = r->served;
    const bool is_get = r->op == QUERY_GET;
    const bool is_scan = r->op == QUERY_SCAN;
    const struct bound bounds[] = {
        {v, "key", is_get ? p->key : NULL, &r->key, KEY_LAST_WHOLE, true},
        {v, "from", is_scan ? p->from : NULL, &r->from, KEY_LAST_WHOLE, false},
        {v, "to", is_scan ? p->to : NULL, &r->to, KEY_LAST_WHOLE, false},
        {v, "prefix", is_scan ? p->prefix : NULL, &r->prefix, KEY_LAST_BEGUN, false},
    };
    enum sf_code code = SF_OK;

    for (size_t i = 0; code == SF_OK && i < SF_COUNT(bounds); i++) {
        code = encode_bound(r->table->contract, &bounds[i], arena, err);
    }
    return code;
}

static enum sf_code build(const struct query_params *p, const struct serving_right *right,
                          const uint8_t *seal_key, struct sf_arena *arena, struct query_request *r,
                          struct sf_error *err)
{
    enum sf_code code = read_format(p, r, err);

    if (code == SF_OK) {
        code = take_view(p, right, arena, r, err);
    }
    if (code == SF_OK) {
        code = encode_bounds(p, arena, r, err);
    }
    if (code == SF_OK) {
        code = build_filter(p, r, err);
    }
    if (code == SF_OK) {
        code = build_point(p, r, err);
    }
    if (code == SF_OK && r->op == QUERY_GET && r->key.size == 0) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'key' is missing");
    }
    if (code == SF_OK && r->op == QUERY_CHANGES) {
        code = read_position(p->after, r, err);
    }
    if (code == SF_OK && r->op == QUERY_SCAN) {
        code = bound_events(p, r, err);
    }
    if (code == SF_OK && r->op == QUERY_SCAN) {
        code = apply_cursor(p->cursor, seal_key, r, err);
    }
    return code;
}

enum sf_code query_request_build(const struct query_params *p, enum query_op op,
                                 const struct serving_right *right,
                                 const uint8_t seal_key[SF_SEAL_KEY_SIZE],
                                 struct query_request *ret, struct sf_error *err)
{
    struct query_request r = {
        .op = op, .limit = p->limit, .pages = p->pages, .before_seq = UINT64_MAX};
    struct sf_arena arena;
    enum sf_code code;

    r.table = served_product_table(right->product, p->table);
    if (r.table == NULL) {
        return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_TABLE_UNKNOWN, "product %s/%s: %s%s",
                          right->product->contract->domain, right->product->contract->name,
                          p->table == NULL ? "name one of its tables" : "table ",
                          p->table == NULL ? "" : p->table);
    }
    if (right->grant != NULL) {
        (void)snprintf(r.grant_id, sizeof(r.grant_id), "%s", right->grant->id);
        (void)snprintf(r.consumer, sizeof(r.consumer), "%s", right->grant->consumer);
    }
    r.contract = right->product->version;
    sf_arena_init(&arena, 0);
    code = build(p, right, seal_key, &arena, &r, err);
    sf_arena_done(&arena);
    if (code != SF_OK) {
        query_request_done(&r);
        return code;
    }
    *ret = r;
    return SF_OK;
}
