#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "leaf/ingest/batch.h"
#include "leaf/rowcodec/key.h"
#include "leaf/rowcodec/row.h"
#include "proto/errors.h"
#include "tests/lib/leaf_world.h"

#define ITEMS                                                                                      \
    "sheaf: product/v1\nproduct: sales/items\nversion: 1.0.0\ntables:\n"                           \
    "  items:\n    kind: state\n    key: [id]\n    fields:\n"                                      \
    "      id: {number: 1, type: string, required: true}\n"                                        \
    "      qty: {number: 2, type: int32, min: 0, max: 100}\n"                                      \
    "      price: {number: 3, type: \"decimal(6,2)\"}\n"                                           \
    "      size: {number: 4, type: string, enum: [s, m, l]}\n"                                     \
    "      code: {number: 5, type: string, min_length: 2, max_length: 5, pattern: \"[A-Z]+\"}\n"   \
    "      mail: {number: 6, type: string, format: email}\n"                                       \
    "      day: {number: 7, type: date}\n"                                                         \
    "      at: {number: 8, type: timestamp}\n"                                                     \
    "      flag: {number: 9, type: bool}\n"                                                        \
    "      blob: {number: 10, type: bytes}\n"                                                      \
    "      uid: {number: 11, type: uuid}\n"                                                        \
    "      ratio: {number: 12, type: double}\n"                                                    \
    "      must: {number: 13, type: string, required: true, default: none}\n"

struct fixture {
    struct leaf_world w;
    const struct sf_table *items;
    const struct sf_table *clicks;
    struct batch batch;
    struct batch_spec spec;
    enum sf_code code;
    struct sf_error err;
    struct sf_buf text;
    uint64_t expect_seq; /* what changes() asserts of each */
};

static void setup(struct fixture *f)
{
    *f = (struct fixture){.expect_seq = STORE_ANY};
    leaf_world_init(&f->w, 1);
    f->items = leaf_world_add(&f->w, ITEMS)->tables[0].contract;
    f->clicks = served_product_table(leaf_world_add(&f->w, world_orders), "clicks")->contract;
}

static void teardown(struct fixture *f)
{
    batch_done(&f->batch);
    sf_buf_done(&f->text);
    leaf_world_done(&f->w);
}

static void read_slice(struct fixture *f, struct batch_spec spec, struct sf_slice body)
{
    SF_CLEANUP(batch_reader_freep) struct batch_reader *reader = NULL;

    batch_done(&f->batch);
    batch_init(&f->batch);
    spec.table = spec.table == NULL ? f->items : spec.table;
    spec.contract_id = 7;
    f->spec = spec;
    f->err = (struct sf_error){0};
    f->code = batch_reader_new(spec.table, &reader, &f->err);
    if (f->code == SF_OK) {
        f->code = batch_read(reader, &spec, body, &f->batch, &f->err);
    }
}

static void read_text(struct fixture *f, struct batch_spec spec, const char *body)
{
    read_slice(f, spec, sf_slice_text(body));
}

static const struct batch_spec ndjson = {.format = BATCH_NDJSON};
static const struct batch_spec csv = {.format = BATCH_CSV};
static const struct batch_spec json = {.format = BATCH_JSON};
static const struct batch_spec protobuf = {.format = BATCH_PROTOBUF};
static const struct batch_spec envelope = {.format = BATCH_NDJSON, .has_envelope = true};

/* The changes as text, one per line: "+ key row" and "- key". */
static const char *changes(struct fixture *f)
{
    SF_CLEANUP(row_view_freep) struct row_view *view = NULL;
    const struct row_view_options all = {0};

    assert_int_equal(row_view_build(f->spec.table, &all, &view, NULL), SF_OK);
    sf_buf_clear(&f->text);
    for (size_t i = 0; i < f->batch.change_count; i++) {
        const struct store_change *c = &f->batch.changes[i];
        uint8_t digest[SF_HASH256_SIZE];

        store_change_digest(c->op, c->key, c->row, digest);
        assert_memory_equal(digest, c->digest, sizeof(digest));
        assert_int_equal(c->contract_id, 7);
        assert_true(c->expect_seq == f->expect_seq);
        sf_buf_text(&f->text, c->op == STORE_DELETE ? "- " : "+ ");
        if (f->spec.table->kind == SF_TABLE_STATE) {
            assert_int_equal(key_render_json(view, c->key, &f->text, NULL), SF_OK);
        } else {
            assert_int_equal(c->key.size, 0);
        }
        if (c->op == STORE_UPSERT) {
            assert_int_equal(row_render_csv(view, c->row, &f->text, NULL), SF_OK);
        } else {
            assert_int_equal(c->row.size, 0);
            sf_buf_byte(&f->text, '\n');
        }
    }
    return f->text.size == 0 ? "" : sf_buf_cstr(&f->text);
}

/* The rejects: "position code,code field raw". */
static const char *rejects(struct fixture *f)
{
    sf_buf_clear(&f->text);
    for (size_t i = 0; i < f->batch.reject_count; i++) {
        const struct store_reject *r = &f->batch.rejects[i];

        assert_int_equal(r->contract_id, 7);
        sf_buf_printf(&f->text, "%u ", (unsigned)r->position);
        for (size_t c = 0; c < r->code_count; c++) {
            sf_buf_printf(&f->text, "%s%u", c == 0 ? "" : ",", r->codes[c]);
        }
        sf_buf_printf(&f->text, " %.*s [%.*s]\n", SF_SLICE_ARG(r->field), SF_SLICE_ARG(r->raw));
    }
    return f->text.size == 0 ? "" : sf_buf_cstr(&f->text);
}

/* --- good records ----------------------------------------------------------------------------- */

static void lines_of_json_become_upserts_in_order(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    read_text(&f, ndjson,
              "{\"id\":\"a\",\"qty\":1,\"price\":\"2.50\",\"size\":\"m\",\"code\":\"AB\"}\r\n\n"
              "{\"id\":\"b\",\"day\":\"2026-11-20\",\"at\":\"2026-11-20T08:01:12Z\",\"flag\":true,"
              "\"blob\":\"AQI=\",\"uid\":\"00010203-0405-0607-0809-0a0b0c0d0e0f\",\"ratio\":0.5}\n"
              "{\"id\":\"a\",\"must\":\"x\"}");
    assert_int_equal(f.code, SF_OK);
    assert_int_equal(f.batch.reject_count, 0);
    assert_string_equal(changes(&f),
                        "+ {\"id\":\"a\"}a,1,2.50,m,AB,,,,,,,,none\n"
                        "+ {\"id\":\"b\"}b,,,,,,2026-11-20,2026-11-20T08:01:12.000000Z,true,AQI=,"
                        "00010203-0405-0607-0809-0a0b0c0d0e0f,0.5,none\n"
                        "+ {\"id\":\"a\"}a,,,,,,,,,,,,x\n");
    teardown(&f);
}

static void an_array_of_json_becomes_upserts_in_order(void **state)
{
    struct batch_spec with_envelope = envelope;
    struct fixture f;
    (void)state;

    setup(&f);
    read_text(&f, json, "[{\"id\":\"a\",\"qty\":1},\n {\"id\":\"b,]\"} ]");
    assert_int_equal(f.code, SF_OK);
    assert_string_equal(rejects(&f), "");
    assert_string_equal(changes(&f), "+ {\"id\":\"a\"}a,1,,,,,,,,,,,none\n"
                                     "+ {\"id\":\"b,]\"}\"b,]\",,,,,,,,,,,,none\n");
    read_text(&f, json, "{\n  \"id\": \"a\"\n}\n");
    assert_string_equal(changes(&f), "+ {\"id\":\"a\"}a,,,,,,,,,,,,none\n");
    with_envelope.format = BATCH_JSON;
    read_text(
        &f, with_envelope,
        "[{\"op\":\"upsert\",\"row\":{\"id\":\"a\"}},{\"op\":\"delete\",\"row\":{\"id\":\"b\"}}]");
    assert_string_equal(changes(&f), "+ {\"id\":\"a\"}a,,,,,,,,,,,,none\n"
                                     "- {\"id\":\"b\"}\n");
    teardown(&f);
}

static void bad_elements_of_an_array_are_rejected_by_index(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    read_text(&f, json, "[{\"id\":\"a\"},\n\n{\"id\":1},7,{\"id\":NaN}, {\"id\":\"b\"},\n\"x\"]");
    assert_int_equal(f.code, SF_OK);
    assert_int_equal(f.batch.change_count, 2);
    assert_string_equal(rejects(&f), "2 204 id [{\"id\":1}]\n"
                                     "3 202  [7]\n"
                                     "4 202  [{\"id\":NaN}]\n"
                                     "6 202  [\"x\"]\n");
    assert_int_equal(f.batch.errors[0].line, 2);
    assert_int_equal(f.batch.errors[3].line, 6);
    teardown(&f);
}

static void an_array_that_does_not_end_is_no_body(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    read_text(&f, json, "[{\"id\":\"a\"},{\"id\":\"b\"}");
    assert_int_equal(f.code, SF_INVALID);
    assert_int_equal(f.err.number, SHEAF_E_BAD_FRAMING);
    assert_string_equal(f.err.text, "',' or ']' is missing behind element 2");
    read_text(&f, json, "");
    assert_int_equal(f.code, SF_INVALID);
    assert_int_equal(f.err.number, SHEAF_E_BAD_FRAMING);
    teardown(&f);
}

static void rows_of_csv_become_upserts_whatever_the_order_of_columns(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    read_text(&f, csv, "qty,id,must\n1,a,\n\n,\"b\nc\",\"\"\r\n3,\"q\"\"x\",z");
    assert_int_equal(f.code, SF_OK);
    assert_string_equal(rejects(&f), "");
    assert_string_equal(changes(&f), "+ {\"id\":\"a\"}a,1,,,,,,,,,,,none\n"
                                     "+ {\"id\":\"b\\nc\"}\"b\nc\",,,,,,,,,,,,\"\"\n"
                                     "+ {\"id\":\"q\\\"x\"}\"q\"\"x\",3,,,,,,,,,,,z\n");
    teardown(&f);
}

static void envelopes_upsert_and_delete(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    read_text(&f, envelope,
              "{\"op\":\"upsert\",\"row\":{\"id\":\"a\",\"qty\":1}}\n"
              "{\"row\":{\"id\":\"a\"},\"op\":\"delete\"}\n"
              "{\"op\":\"delete\",\"row\":{\"id\":\"b\",\"qty\":1000}}\n");
    assert_int_equal(f.code, SF_OK);
    assert_string_equal(rejects(&f), "");
    assert_string_equal(changes(&f), "+ {\"id\":\"a\"}a,1,,,,,,,,,,,none\n"
                                     "- {\"id\":\"a\"}\n"
                                     "- {\"id\":\"b\"}\n");
    teardown(&f);
}

static void envelopes_may_say_where_the_row_must_be(void **state)
{
    struct batch_spec events = envelope;
    struct fixture f;
    (void)state;

    setup(&f);
    f.expect_seq = 7;
    read_text(&f, envelope,
              "{\"op\":\"upsert\",\"row\":{\"id\":\"a\"},\"expected_seq\":7}\n\n"
              "{\"expected_seq\":7,\"op\":\"delete\",\"row\":{\"id\":\"b\"}}\n");
    assert_string_equal(changes(&f), "+ {\"id\":\"a\"}a,,,,,,,,,,,,none\n- {\"id\":\"b\"}\n");
    assert_int_equal(f.batch.places[0].line, 1);
    assert_int_equal(f.batch.places[1].line, 3);
    f.expect_seq = 0;
    read_text(&f, envelope, "{\"op\":\"upsert\",\"row\":{\"id\":\"a\"},\"expected_seq\":0}\n");
    assert_string_equal(changes(&f), "+ {\"id\":\"a\"}a,,,,,,,,,,,,none\n");
    read_text(&f, envelope,
              "{\"op\":\"upsert\",\"row\":{\"id\":\"a\"},\"expected_seq\":-1}\n"
              "{\"op\":\"upsert\",\"row\":{\"id\":\"a\"},\"expected_seq\":\"1\"}\n"
              "{\"op\":\"upsert\",\"row\":{\"id\":\"a\"},\"expected_seq\":null}\n"
              "{\"op\":\"upsert\",\"row\":{\"id\":\"a\"},\"expected_seq\":18446744073709551615}\n");
    assert_int_equal(f.batch.change_count, 0);
    assert_int_equal(f.batch.reject_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(f.batch.errors[i].violation.number, SHEAF_E_BAD_ENVELOPE);
        assert_string_equal(f.batch.errors[i].violation.text,
                            "expected_seq must be a whole number from 0 on");
    }
    read_text(&f, envelope,
              "{\"op\":\"upsert\",\"row\":{\"id\":\"a\"},\"if_match\":7}\n"
              "{\"op\":\"upsert\",\"row\":{\"id\":\"a\"},\"if_match\":\"7\"}\n"
              "{\"op\":\"upsert\",\"row\":{\"id\":\"a\"},\"if_match\":\"1:\"}\n"
              "{\"op\":\"upsert\",\"row\":{\"id\":\"a\"},\"if_match\":\"4294967296:7\"}\n");
    assert_int_equal(f.batch.reject_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(f.batch.errors[i].violation.text,
                            "if_match must be a position, \"EPOCH:SEQ\"");
    }
    read_text(&f, envelope,
              "{\"op\":\"delete\",\"row\":{\"id\":\"a\"},\"if_match\":\"1:7\",\"expected_seq\":1}");
    assert_string_equal(f.batch.errors[0].violation.text,
                        "expected_seq and if_match are not given together");
    events.table = f.clicks;
    read_text(&f, events, "{\"op\":\"upsert\",\"row\":{\"n\":2},\"expected_seq\":0}");
    assert_string_equal(f.batch.errors[0].violation.text,
                        "an event table takes no expected_seq and no if_match");
    teardown(&f);
}

static void events_have_rows_without_keys_and_may_be_empty(void **state)
{
    struct batch_spec spec = ndjson;
    struct fixture f;
    (void)state;

    setup(&f);
    spec.table = f.clicks;
    read_text(&f, spec, "{\"page\":\"/\",\"n\":1}\n{}\n");
    assert_int_equal(f.code, SF_OK);
    assert_string_equal(changes(&f), "+ /,1,\n+ ,,\n");
    spec.has_envelope = true;
    read_text(&f, spec, "{\"op\":\"upsert\",\"row\":{\"n\":2}}");
    assert_string_equal(changes(&f), "+ ,2,\n");
    teardown(&f);
}

static void nothing_is_nothing(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    read_text(&f, ndjson, "");
    assert_int_equal(f.code, SF_OK);
    assert_int_equal(f.batch.change_count, 0);
    read_text(&f, ndjson, "\n\r\n\n");
    assert_int_equal(f.code, SF_OK);
    assert_int_equal(f.batch.change_count + f.batch.reject_count, 0);
    read_text(&f, csv, "id\n");
    assert_int_equal(f.code, SF_OK);
    assert_int_equal(f.batch.change_count + f.batch.reject_count, 0);
    teardown(&f);
}

/* --- bad records ------------------------------------------------------------------------------ */

static const struct {
    const char *line;
    uint16_t number;
    const char *field;
    const char *text;
} bad_records[] = {
    {"{\"id\":\"a\"", SHEAF_E_RECORD_INVALID, "", "?"},
    {"{\"id\":\"a\"} x", SHEAF_E_RECORD_INVALID, "", "?"},
    {"[1]", SHEAF_E_RECORD_INVALID, "", "a JSON object is expected"},
    {"7", SHEAF_E_RECORD_INVALID, "", "a JSON object is expected"},
    {"null", SHEAF_E_RECORD_INVALID, "", "a JSON object is expected"},
    {"{\"id\":\"a\",\"colour\":1}", SHEAF_E_UNKNOWN_FIELD, "", "'colour' is not in the contract"},
    {"{\"id\":\"a\",\"prize\":1}", SHEAF_E_UNKNOWN_FIELD, "",
     "'prize' is not in the contract; did you mean 'price'?"},
    {"{\"id\":\"a\",\"Ann Smith\":1}", SHEAF_E_UNKNOWN_FIELD, "", "a field is not in the contract"},
    {"{\"id\":\"a\",\"qty\":1,\"qty\":1}", SHEAF_E_RECORD_INVALID, "qty", "'qty' is given twice"},
    {"{\"id\":\"a\",\"qty\":\"1\"}", SHEAF_E_WRONG_TYPE, "qty", "'qty' must be a whole number"},
    {"{\"id\":\"a\",\"qty\":1.5}", SHEAF_E_WRONG_TYPE, "qty", "'qty' must be a whole number"},
    {"{\"id\":\"a\",\"qty\":3000000000}", SHEAF_E_OUT_OF_RANGE, "qty", "'qty' does not fit int32"},
    {"{\"id\":\"a\",\"qty\":-1}", SHEAF_E_OUT_OF_RANGE, "qty", "'qty' is below its min"},
    {"{\"id\":\"a\",\"qty\":101}", SHEAF_E_OUT_OF_RANGE, "qty", "'qty' is above its max"},
    {"{\"id\":\"a\",\"price\":\"x\"}", SHEAF_E_WRONG_TYPE, "price", "'price' must be a number"},
    {"{\"id\":\"a\",\"price\":1.005}", SHEAF_E_OUT_OF_RANGE, "price",
     "'price' has more than 2 digits behind the point"},
    {"{\"id\":\"a\",\"price\":10000}", SHEAF_E_OUT_OF_RANGE, "price",
     "'price' does not fit decimal(6,2)"},
    {"{\"id\":\"a\",\"size\":\"xl\"}", SHEAF_E_OUT_OF_RANGE, "size",
     "'size' is none of the values of its enum"},
    {"{\"id\":\"a\",\"code\":\"A\"}", SHEAF_E_OUT_OF_RANGE, "code",
     "'code' is shorter than its min_length"},
    {"{\"id\":\"a\",\"code\":\"ABCDEF\"}", SHEAF_E_OUT_OF_RANGE, "code",
     "'code' is longer than its max_length"},
    {"{\"id\":\"a\",\"code\":\"ab\"}", SHEAF_E_OUT_OF_RANGE, "code",
     "'code' does not match its pattern"},
    {"{\"id\":\"a\",\"mail\":\"x\"}", SHEAF_E_OUT_OF_RANGE, "mail", "'mail' is not of its format"},
    {"{\"id\":\"a\",\"day\":\"20.11.2026\"}", SHEAF_E_WRONG_TYPE, "day",
     "'day' must be a date like 2026-11-20"},
    {"{\"id\":\"a\",\"day\":\"2026-02-30\"}", SHEAF_E_OUT_OF_RANGE, "day",
     "'day' is not in the calendar"},
    {"{\"id\":\"a\",\"at\":\"2026-11-20T08:01:12\"}", SHEAF_E_WRONG_TYPE, "at",
     "'at' must be a time like 2026-11-20T08:01:12Z"},
    {"{\"id\":\"a\",\"flag\":1}", SHEAF_E_WRONG_TYPE, "flag", "'flag' must be true or false"},
    {"{\"id\":\"a\",\"blob\":\"?\"}", SHEAF_E_WRONG_TYPE, "blob", "'blob' must be base64"},
    {"{\"id\":\"a\",\"uid\":\"1\"}", SHEAF_E_WRONG_TYPE, "uid", "'uid' must be a UUID"},
    {"{\"id\":\"a\",\"ratio\":\"1\"}", SHEAF_E_WRONG_TYPE, "ratio", "'ratio' must be a number"},
    {"{\"id\":1}", SHEAF_E_WRONG_TYPE, "id", "'id' must be a string"},
    {"{\"id\":[\"a\"]}", SHEAF_E_WRONG_TYPE, "id", "'id' must be a string"},
    {"{\"id\":null}", SHEAF_E_FIELD_MISSING, "id", "'id' is missing"},
    {"{}", SHEAF_E_FIELD_MISSING, "id", "'id' is missing"},
    {"{\"id\":\"\xff\"}", SHEAF_E_BAD_UTF8, "", "the record is not valid UTF-8"},
};

static void every_kind_of_bad_record_has_its_number_field_and_words(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    for (size_t i = 0; i < SF_COUNT(bad_records); i++) {
        const struct batch_error *e = &f.batch.errors[0];
        char body[256];

        (void)snprintf(body, sizeof(body), "{\"id\":\"ok\"}\n\n%s\n{\"id\":\"ok\"}\n",
                       bad_records[i].line);
        read_text(&f, ndjson, body);
        assert_int_equal(f.code, SF_OK);
        assert_int_equal(f.batch.change_count, 2);
        assert_int_equal(f.batch.reject_count, 1);
        assert_int_equal(f.batch.error_count, 1);
        if (e->violation.number != bad_records[i].number ||
            (*bad_records[i].text != '?' && strcmp(e->violation.text, bad_records[i].text) != 0)) {
            fail_msg("%s: %u %s", bad_records[i].line, e->violation.number, e->violation.text);
        }
        assert_int_equal(e->line, 3);
        assert_int_equal(f.batch.rejects[0].position, 3);
        assert_int_equal(f.batch.rejects[0].codes[0], bad_records[i].number);
        assert_true(sf_slice_equal(f.batch.rejects[0].field, sf_slice_text(bad_records[i].field)));
        assert_true(sf_slice_equal(f.batch.rejects[0].raw, sf_slice_text(bad_records[i].line)));
    }
    teardown(&f);
}

static void a_record_has_all_its_violations_and_the_first_is_listed(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    read_text(&f, ndjson, "{\"x\":1,\"qty\":\"1\",\"size\":\"xl\"}");
    assert_string_equal(rejects(&f),
                        "1 203,204,205,206  [{\"x\":1,\"qty\":\"1\",\"size\":\"xl\"}]\n");
    assert_int_equal(f.batch.error_count, 1);
    assert_int_equal(f.batch.errors[0].violation.number, 203);
    teardown(&f);
}

static void bad_envelopes_are_rejected_one_by_one(void **state)
{
    struct batch_spec events = envelope;
    struct fixture f;
    (void)state;

    setup(&f);
    read_text(&f, envelope,
              "{\"op\":\"insert\",\"row\":{\"id\":\"a\"}}\n"
              "{\"op\":\"upsert\"}\n"
              "{\"row\":{\"id\":\"a\"}}\n"
              "{\"op\":\"upsert\",\"row\":[]}\n"
              "{\"op\":\"upsert\",\"row\":{\"id\":\"a\"},\"x\":1}\n"
              "{\"op\":1,\"row\":{\"id\":\"a\"}}\n"
              "7\n"
              "{\"op\"\n"
              "{\"op\":\"delete\",\"row\":{\"qty\":1}}\n"
              "{\"op\":\"upsert\",\"row\":{\"id\":\"ok\"}}\n");
    assert_int_equal(f.code, SF_OK);
    assert_string_equal(rejects(&f), "1 209  [{\"op\":\"insert\",\"row\":{\"id\":\"a\"}}]\n"
                                     "2 209  [{\"op\":\"upsert\"}]\n"
                                     "3 209  [{\"row\":{\"id\":\"a\"}}]\n"
                                     "4 209  [{\"op\":\"upsert\",\"row\":[]}]\n"
                                     "5 209  [{\"op\":\"upsert\",\"row\":{\"id\":\"a\"},\"x\":1}]\n"
                                     "6 209  [{\"op\":1,\"row\":{\"id\":\"a\"}}]\n"
                                     "7 209  [7]\n"
                                     "8 202  [{\"op\"]\n"
                                     "9 206 id [{\"op\":\"delete\",\"row\":{\"qty\":1}}]\n");
    assert_string_equal(f.batch.errors[0].violation.text, "op must be upsert, patch or delete");
    assert_int_equal(f.batch.change_count, 1);

    events.table = f.clicks;
    read_text(&f, events, "{\"op\":\"delete\",\"row\":{\"n\":1}}\n");
    assert_string_equal(rejects(&f), "1 209  [{\"op\":\"delete\",\"row\":{\"n\":1}}]\n");
    assert_string_equal(f.batch.errors[0].violation.text, "an event table takes op upsert only");
    teardown(&f);
}

static void bad_cells_of_csv_keep_the_bytes_of_their_record(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    read_text(&f, csv, "id,qty,day\na,x,\r\n\n\"b\nb\",101,2026-02-30\r\n,1,\nc,1\nd,1,,\ne,1,");
    assert_int_equal(f.code, SF_OK);
    assert_string_equal(rejects(&f), "2 204 qty [a,x,]\n"
                                     "4 205,205 qty [\"b\nb\",101,2026-02-30]\n"
                                     "6 206 id [,1,]\n"
                                     "7 202  [c,1]\n"
                                     "8 202  [d,1,,]\n");
    assert_string_equal(changes(&f), "+ {\"id\":\"e\"}e,1,,,,,,,,,,,none\n");
    teardown(&f);
}

static void too_long_keys_and_rows_are_rejected_as_records(void **state)
{
    struct sf_buf body = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    sf_buf_text(&body, "{\"id\":\"");
    for (size_t i = 0; i < SF_KEY_BYTES_MAX; i++) {
        sf_buf_byte(&body, 'k');
    }
    sf_buf_text(&body, "\"}\n{\"id\":\"ok\",\"must\":\"");
    for (size_t i = 0; i < SF_ROW_BYTES_MAX; i++) {
        sf_buf_byte(&body, 'r');
    }
    sf_buf_text(&body, "\"}\n{\"id\":\"ok\"}");
    read_slice(&f, ndjson, sf_buf_view(&body));
    assert_int_equal(f.code, SF_OK);
    assert_int_equal(f.batch.change_count, 1);
    assert_int_equal(f.batch.reject_count, 2);
    assert_int_equal(f.batch.rejects[0].codes[0], SHEAF_E_RECORD_TOO_LARGE);
    assert_int_equal(f.batch.rejects[1].codes[0], SHEAF_E_RECORD_TOO_LARGE);
    assert_int_equal(f.batch.rejects[1].raw.size, STORE_ROW_BYTES_MAX); /* Cut. */
    assert_memory_equal(f.batch.rejects[1].raw.data, "{\"id\":\"ok\",\"must\":\"rrr", 21);
    sf_buf_done(&body);
    teardown(&f);
}

static void the_first_ten_rejects_are_listed_and_all_are_kept(void **state)
{
    struct sf_buf body = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    for (unsigned i = 1; i <= 200; i++) {
        sf_buf_printf(&body, "{\"id\":\"a\",\"qty\":%s}\n", i % 2 == 0 ? "1000" : "1");
    }
    read_slice(&f, ndjson, sf_buf_view(&body));
    assert_int_equal(f.batch.change_count, 100);
    assert_int_equal(f.batch.reject_count, 100);
    assert_int_equal(f.batch.error_count, BATCH_ERRORS_MAX);
    for (size_t i = 0; i < BATCH_ERRORS_MAX; i++) {
        assert_int_equal(f.batch.errors[i].line, 2 * (i + 1));
    }
    assert_int_equal(f.batch.rejects[99].position, 200);
    sf_buf_done(&body);
    teardown(&f);
}

/* --- the body as a whole ---------------------------------------------------------------------- */

static void headers_that_do_not_fit_refuse_the_body(void **state)
{
    static const struct {
        const char *body;
        uint16_t number;
    } cases[] = {
        {"", SHEAF_E_BAD_FRAMING},
        {"\n\n", SHEAF_E_BAD_FRAMING},
        {"id,colour\na,b\n", SHEAF_E_UNKNOWN_FIELD},
        {"id,\na,b\n", SHEAF_E_UNKNOWN_FIELD},
        {"id,qty,qty\na,1,1\n", SHEAF_E_BAD_FRAMING},
        {"qty\n1\n", SHEAF_E_FIELD_MISSING},
    };
    struct fixture f;
    (void)state;

    setup(&f);
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        read_text(&f, csv, cases[i].body);
        assert_int_equal(f.code, SF_INVALID);
        assert_int_equal(f.err.number, cases[i].number);
    }
    teardown(&f);
}

static void what_cannot_be_split_is_refused_as_a_whole(void **state)
{
    struct sf_buf body = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    read_text(&f, csv, "id,qty\na,1\n\"b,1\n");
    assert_int_equal(f.code, SF_INVALID);
    assert_int_equal(f.err.number, SHEAF_E_BAD_FRAMING);
    read_text(&f, csv, "id,qty\na,1\n\"b\"x,1\n");
    assert_int_equal(f.code, SF_INVALID);
    assert_int_equal(f.err.number, SHEAF_E_BAD_FRAMING);
    assert_string_equal(f.err.text, "line 3, column 4: more behind the closing quote of a cell");
    sf_buf_text(&body, "{\"id\":\"a\"}\n");
    for (size_t i = 0; i <= SF_RECORD_TEXT_MAX; i++) {
        sf_buf_byte(&body, 'x');
    }
    read_slice(&f, ndjson, sf_buf_view(&body));
    assert_int_equal(f.code, SF_INVALID);
    assert_int_equal(f.err.number, SHEAF_E_BAD_FRAMING);
    sf_buf_done(&body);
    teardown(&f);
}

static void a_reader_reads_one_body_after_the_other(void **state)
{
    struct batch_reader *reader = NULL;
    struct fixture f;
    (void)state;

    setup(&f);
    struct batch_spec spec = {.table = f.items, .contract_id = 7, .format = BATCH_CSV};

    assert_int_equal(batch_reader_new(f.items, &reader, NULL), SF_OK);
    assert_ptr_equal(batch_reader_table(reader), f.items);
    batch_init(&f.batch);
    assert_int_equal(batch_read(reader, &spec, SF_LITERAL("id,qty\na,x\n\"b"), &f.batch, &f.err),
                     SF_INVALID);
    batch_done(&f.batch);
    batch_init(&f.batch);
    assert_int_equal(batch_read(reader, &spec, SF_LITERAL("qty,id\n1,a\nx,b\n"), &f.batch, &f.err),
                     SF_OK);
    f.spec = spec;
    assert_string_equal(rejects(&f), "3 204 qty [x,b]\n");
    assert_string_equal(changes(&f), "+ {\"id\":\"a\"}a,1,,,,,,,,,,,none\n");
    batch_reader_free(reader);
    teardown(&f);
}

/* The limit is the arena's; a smaller one shows what the real one does. */
static void a_batch_over_its_bytes_is_too_large(void **state)
{
    struct batch_reader *reader = NULL;
    struct sf_buf body = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    struct batch_spec spec = {.table = f.items, .contract_id = 7};

    for (size_t i = 0; i < 6000; i++) {
        sf_buf_printf(&body, "{\"id\":\"%zu\",\"qty\":%zu}\n", i, i % 200);
    }
    assert_int_equal(batch_reader_new(f.items, &reader, NULL), SF_OK);
    batch_init(&f.batch);
    assert_int_equal(f.batch.arena.size_max, BATCH_BYTES_MAX);
    f.batch.arena.size_max = 100 * 1024;
    assert_int_equal(batch_read(reader, &spec, sf_buf_view(&body), &f.batch, &f.err), SF_BUSY);
    assert_int_equal(f.err.number, SHEAF_E_TOO_LARGE);
    batch_reader_free(reader);
    sf_buf_done(&body);
    teardown(&f);
}

static void out_of_memory_is_an_error_at_every_allocation(void **state)
{
    static const char bodies[3][200] = {
        "{\"id\":\"a\",\"qty\":1,\"blob\":\"AQID\"}\n{\"id\":\"b\",\"qty\":1000,\"x\":1}\n",
        "id,qty\na,1\n\"b\"\"\",1000\n",
        "{\"op\":\"delete\",\"row\":{\"id\":\"a\"}}\n{\"op\":\"upsert\",\"row\":{\"id\":\"a\"}}\n",
    };
    const struct batch_spec specs[3] = {ndjson, csv, envelope};
    struct fixture f;
    (void)state;

    setup(&f);
    for (size_t i = 0; i < 3; i++) {
        for (long n = 0;; n++) {
            sf_alloc_fail_after(n, false);
            read_text(&f, specs[i], bodies[i]);
            if (sf_alloc_faults() == 0) {
                break;
            }
            assert_int_equal(f.code, SF_NOMEM);
        }
        sf_alloc_fail_after(-1, false);
        assert_int_equal(f.code, SF_OK);
        assert_int_equal(f.batch.change_count + f.batch.reject_count, 2);
    }
    teardown(&f);
}

static void messages_become_upserts_and_bad_ones_rejects_by_index(void **state)
{
    /* id "a", qty 1; qty before id; no id; qty 101 */
    static const char body[] = "\x05\x0a\x01"
                               "a\x10\x02\x05\x10\x04\x0a\x01"
                               "b\x02\x10\x02\x06\x0a\x01"
                               "c\x10\xca\x01";
    struct sf_buf errors = {0};
    struct sf_json_writer w = {.out = &errors};
    struct fixture f;
    (void)state;

    setup(&f);
    read_slice(&f, protobuf, sf_slice_of(body, sizeof(body) - 1));
    assert_int_equal(f.code, SF_OK);
    assert_string_equal(changes(&f), "+ {\"id\":\"a\"}a,1,,,,,,,,,,,none\n"
                                     "+ {\"id\":\"b\"}b,2,,,,,,,,,,,none\n");
    assert_string_equal(rejects(&f), "3 206 id [\x10\x02]\n"
                                     "4 205 qty [\x0a\x01"
                                     "c\x10\xca\x01]\n");
    assert_int_equal(f.batch.rejects[0].form, BATCH_FORM_PROTOBUF);
    sf_json_array_begin(&w);
    batch_write_errors(&f.batch, &f.spec, &w);
    sf_json_array_end(&w);
    assert_string_equal(sf_buf_cstr(&errors),
                        "[{\"index\":3,\"code\":\"SHEAF-E0206\",\"field\":\"id\",\"detail\":"
                        "\"'id' is missing\"},{\"index\":4,\"code\":\"SHEAF-E0205\",\"field\":"
                        "\"qty\",\"detail\":\"'qty' is above its max\"}]");
    sf_buf_done(&errors);
    teardown(&f);
}

static void a_message_longer_than_the_body_refuses_it(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    read_slice(&f, protobuf,
               SF_LITERAL("\x05\x0a\x01"
                          "a\x10\x02\x06\x0a\x01"
                          "a\x10\x02"));
    assert_int_equal(f.code, SF_INVALID);
    assert_int_equal(f.err.number, SHEAF_E_BAD_FRAMING);
    assert_string_equal(f.err.text,
                        "message 2: its length is none, or goes beyond the end of the body");
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_json_become_upserts_in_order),
        cmocka_unit_test(an_array_of_json_becomes_upserts_in_order),
        cmocka_unit_test(bad_elements_of_an_array_are_rejected_by_index),
        cmocka_unit_test(an_array_that_does_not_end_is_no_body),
        cmocka_unit_test(rows_of_csv_become_upserts_whatever_the_order_of_columns),
        cmocka_unit_test(envelopes_upsert_and_delete),
        cmocka_unit_test(envelopes_may_say_where_the_row_must_be),
        cmocka_unit_test(messages_become_upserts_and_bad_ones_rejects_by_index),
        cmocka_unit_test(a_message_longer_than_the_body_refuses_it),
        cmocka_unit_test(events_have_rows_without_keys_and_may_be_empty),
        cmocka_unit_test(nothing_is_nothing),
        cmocka_unit_test(every_kind_of_bad_record_has_its_number_field_and_words),
        cmocka_unit_test(a_record_has_all_its_violations_and_the_first_is_listed),
        cmocka_unit_test(bad_envelopes_are_rejected_one_by_one),
        cmocka_unit_test(bad_cells_of_csv_keep_the_bytes_of_their_record),
        cmocka_unit_test(too_long_keys_and_rows_are_rejected_as_records),
        cmocka_unit_test(the_first_ten_rejects_are_listed_and_all_are_kept),
        cmocka_unit_test(headers_that_do_not_fit_refuse_the_body),
        cmocka_unit_test(what_cannot_be_split_is_refused_as_a_whole),
        cmocka_unit_test(a_reader_reads_one_body_after_the_other),
        cmocka_unit_test(a_batch_over_its_bytes_is_too_large),
        cmocka_unit_test(out_of_memory_is_an_error_at_every_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
