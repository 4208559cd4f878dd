#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "leaf/ingest/form.h"
#include "leaf/ingest/idem.h"
#include "proto/errors.h"
#include "tests/lib/leaf_world.h"

static void headers_and_parameters_make_a_request(void **state)
{
    struct ingest_request r = {0};
    (void)state;

    assert_int_equal(
        ingest_form_read(&(struct ingest_form){.content_type = "application/x-ndjson"}, &r, NULL),
        SF_OK);
    assert_int_equal(r.format, BATCH_NDJSON);
    assert_int_equal(r.coding, SF_CODING_IDENTITY);
    assert_int_equal(r.on_invalid, INGEST_QUARANTINE);
    assert_false(r.has_envelope);
    assert_int_equal(
        ingest_form_read(&(struct ingest_form){.content_type = "Application/JSON; charset=utf-8",
                                               .content_encoding = "zstd",
                                               .on_invalid = "reject",
                                               .envelope = "change"},
                         &r, NULL),
        SF_OK);
    assert_int_equal(r.format, BATCH_JSON);
    assert_int_equal(r.coding, SF_CODING_ZSTD);
    assert_int_equal(r.on_invalid, INGEST_REJECT);
    assert_true(r.has_envelope);
    assert_int_equal(
        ingest_form_read(
            &(struct ingest_form){.content_type = "text/csv;header=present", .envelope = "none"},
            &r, NULL),
        SF_OK);
    assert_int_equal(r.format, BATCH_CSV);
    assert_false(r.has_envelope);
    assert_int_equal(
        ingest_form_read(&(struct ingest_form){.content_type = "application/protobuf"}, &r, NULL),
        SF_OK);
    assert_int_equal(r.format, BATCH_PROTOBUF);
    assert_int_equal(ingest_form_read(&(struct ingest_form){.content_type = "application/protobuf",
                                                            .envelope = "change"},
                                      &r, NULL),
                     SF_INVALID);
}

static void expectations_and_keys_are_read(void **state)
{
    struct ingest_request r = {0};
    (void)state;

    assert_int_equal(ingest_form_read(&(struct ingest_form){.content_type = "text/csv",
                                                            .expected_seq = "0",
                                                            .idempotency_key = "a!~"},
                                      &r, NULL),
                     SF_OK);
    assert_int_equal(r.expect, INGEST_EXPECT_SEQ);
    assert_int_equal(r.expect_seq, 0);
    assert_string_equal(r.idempotency_key, "a!~");
    r = (struct ingest_request){0};
    assert_int_equal(
        ingest_form_read(&(struct ingest_form){.content_type = "text/csv", .if_match = "\"2:17\""},
                         &r, NULL),
        SF_OK);
    assert_int_equal(r.expect, INGEST_EXPECT_POSITION);
    assert_int_equal(r.expect_epoch, 2);
    assert_int_equal(r.expect_seq, 17);
    assert_null(r.idempotency_key);
    r = (struct ingest_request){0};
    assert_int_equal(ingest_form_read(&(struct ingest_form){.content_type = "text/csv",
                                                            .if_match = "\"2:17.mqzc.1.0.0.j\""},
                                      &r, NULL),
                     SF_OK); /* the ETag of rows */
    assert_int_equal(r.expect_epoch, 2);
    assert_int_equal(r.expect_seq, 17);
    r = (struct ingest_request){0};
    assert_int_equal(
        ingest_form_read(
            &(struct ingest_form){.content_type = "text/csv", .if_match = "*", .expected_seq = "3"},
            &r, NULL),
        SF_OK);
    assert_int_equal(r.expect, INGEST_EXPECT_SEQ);
}

static void keys_have_1_to_255_visible_characters(void **state)
{
    char key[IDEM_KEY_MAX + 2];
    (void)state;

    memset(key, 'k', sizeof(key));
    key[IDEM_KEY_MAX + 1] = '\0';
    assert_false(idem_key_is_valid(key));
    key[IDEM_KEY_MAX] = '\0';
    assert_true(idem_key_is_valid(key));
    assert_false(idem_key_is_valid(""));
    assert_false(idem_key_is_valid("a b"));
    assert_false(idem_key_is_valid("a\tb"));
    assert_false(idem_key_is_valid("a\x7f"));
    assert_false(idem_key_is_valid("\xc3\xa4"));
}

/* Callers and products end where they end: no two share the key of another. */
static void a_key_is_of_one_caller_and_one_product(void **state)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf key = {0};
    (void)state;

    idem_store_key("ab", "sales/orders", "k", &key);
    assert_true(sf_slice_equal(sf_buf_view(&key), SF_LITERAL("ab\0sales/orders\0k")));
}

static void an_answer_of_more_tables_than_it_has_outcomes_is_damaged(void **state)
{
    const struct store_outcome outcome = {1, 2, 3, 4};
    const struct idem_answer answer = {.names_tables = true, .table_count = 0};
    const uint8_t hash[SF_HASH256_SIZE] = {9};
    SF_CLEANUP(sf_buf_done) struct sf_buf value = {0};
    struct idem_answer got;
    struct sf_error err;
    (void)state;

    store_outcome_encode(&outcome, sf_buf_reserve(&value, STORE_OUTCOME_BYTES));
    value.size = STORE_OUTCOME_BYTES;
    idem_value_encode(hash, &answer, &value);
    value.data[value.size - 4] = 0x7f; /* two thousand million of them */
    sf_alloc_fail_after(0, true);      /* no memory is asked for */
    assert_int_equal(idem_value_decode(sf_buf_view(&value), hash, true, &got, &err), SF_CORRUPT);
    sf_alloc_fail_after(-1, false);
    assert_string_equal(err.text, "a stored answer is damaged");
}

static void stored_answers_come_back_for_their_request_alone(void **state)
{
    const struct idem_answer answer = {
        .accepted = 5, .quarantined = 6, .errors = SF_LITERAL("[7]")};
    const struct store_outcome outcome = {1, 2, 3, 4};
    const uint8_t hash[SF_HASH256_SIZE] = {9};
    const uint8_t other[SF_HASH256_SIZE] = {8};
    SF_CLEANUP(sf_buf_done) struct sf_buf value = {0};
    struct idem_answer got;
    struct sf_error err;
    (void)state;

    store_outcome_encode(&outcome, sf_buf_reserve(&value, STORE_OUTCOME_BYTES));
    value.size = STORE_OUTCOME_BYTES;
    idem_value_encode(hash, &answer, &value);
    assert_int_equal(idem_value_decode(sf_buf_view(&value), hash, false, &got, NULL), SF_OK);
    assert_int_equal(got.outcome.epoch, 1);
    assert_int_equal(got.outcome.commit, 2);
    assert_int_equal(got.outcome.first_seq, 3);
    assert_int_equal(got.outcome.last_seq, 4);
    assert_int_equal(got.accepted, 5);
    assert_int_equal(got.quarantined, 6);
    assert_true(sf_slice_equal(got.errors, SF_LITERAL("[7]")));
    assert_int_equal(idem_value_decode(sf_buf_view(&value), other, false, &got, &err), SF_INVALID);
    assert_int_equal(err.number, SHEAF_E_KEY_REUSED);
    for (size_t n = 0; n < value.size - 3; n++) {
        assert_int_equal(idem_value_decode(sf_slice_of(value.data, n), hash, false, &got, &err),
                         SF_CORRUPT);
    }
}

static const struct {
    struct ingest_form form;
    uint16_t number;
    const char *text;
} refused[] = {
    {{0}, SHEAF_E_UNSUPPORTED_MEDIA, "content type is missing"},
    {{.content_type = "text/plain"}, SHEAF_E_UNSUPPORTED_MEDIA, "content type is another"},
    {{.content_type = "application/jsonx"}, SHEAF_E_UNSUPPORTED_MEDIA, "content type is another"},
    {{.content_type = "text/csv", .content_encoding = "br"},
     SHEAF_E_UNSUPPORTED_MEDIA,
     "content encoding is another"},
    {{.content_type = "text/csv", .on_invalid = "ignore"},
     SHEAF_E_BAD_REQUEST,
     "'on_invalid' must be reject or quarantine"},
    {{.content_type = "text/csv", .envelope = "yes"},
     SHEAF_E_BAD_REQUEST,
     "'envelope' must be change or none"},
    {{.content_type = "text/csv", .envelope = "change"},
     SHEAF_E_UNSUPPORTED_MEDIA,
     "changes in envelopes must be application/x-ndjson or application/json, not text/csv"},
    {{.content_type = "application/protobuf", .envelope = "change"},
     SHEAF_E_UNSUPPORTED_MEDIA,
     "changes in envelopes must be application/x-ndjson or application/json, not "
     "application/protobuf"},
    {{.content_type = "text/csv", .expected_seq = "-1"},
     SHEAF_E_BAD_REQUEST,
     "'expected_seq' must be a whole number from 0 on"},
    {{.content_type = "text/csv", .expected_seq = "18446744073709551615"},
     SHEAF_E_BAD_REQUEST,
     "'expected_seq' must be a whole number from 0 on"},
    {{.content_type = "text/csv", .if_match = "1:7"},
     SHEAF_E_BAD_REQUEST,
     "If-Match must be one position in quotes: \"EPOCH:SEQ\""},
    {{.content_type = "text/csv", .if_match = "\"1:7\", \"1:8\""},
     SHEAF_E_BAD_REQUEST,
     "If-Match must be one position in quotes: \"EPOCH:SEQ\""},
    {{.content_type = "text/csv", .if_match = "\"abc.1:7\""},
     SHEAF_E_BAD_REQUEST,
     "If-Match must be one position in quotes: \"EPOCH:SEQ\""},
    {{.content_type = "text/csv", .if_match = "\"4294967296:7\""},
     SHEAF_E_BAD_REQUEST,
     "If-Match must be one position in quotes: \"EPOCH:SEQ\""},
    {{.content_type = "text/csv", .if_match = "\"1:7\"", .expected_seq = "7"},
     SHEAF_E_BAD_REQUEST,
     "give 'expected_seq' or If-Match, not both"},
    {{.content_type = "text/csv", .idempotency_key = "a key"},
     SHEAF_E_BAD_REQUEST,
     "Idempotency-Key must have 1 to 255 visible ASCII characters"},
};

static void what_is_not_understood_is_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < SF_COUNT(refused); i++) {
        struct ingest_request r = {0};
        struct sf_error err;

        assert_int_equal(ingest_form_read(&refused[i].form, &r, &err), SF_INVALID);
        assert_int_equal(err.number, refused[i].number);
        assert_string_equal(err.text, refused[i].text);
    }
}

static void answers_are_objects_of_json(void **state)
{
    const struct batch_error error = {.line = 3};
    const struct ingest_result result = {
        .epoch = 1,
        .first_seq = 4,
        .last_seq = 5,
        .commit = 2,
        .accepted = 2,
        .quarantined = 1,
        .errors = SF_LITERAL("[{\"line\":3}]"),
        .listed = &error,
        .listed_count = 1,
    };
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    struct sf_error err;
    (void)state;

    ingest_form_answer(&result, &out);
    assert_string_equal(sf_buf_cstr(&out),
                        "{\"epoch\":1,\"first_seq\":4,\"last_seq\":5,\"commit\":2,\"accepted\":2,"
                        "\"quarantined\":1,\"errors\":[{\"line\":3}]}");
    sf_buf_clear(&out);
    (void)SF_RAISE_E(&err, SF_INVALID, SHEAF_E_RECORD_INVALID, "1 of 3 records");
    ingest_form_refusal(&result, &err, &out);
    assert_non_null(strstr(sf_buf_cstr(&out), "\"code\":\"SHEAF-E0202\""));
    assert_non_null(strstr(sf_buf_cstr(&out), "\"invalid\":1,\"errors\":[{\"line\":3}]}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_and_parameters_make_a_request),
        cmocka_unit_test(expectations_and_keys_are_read),
        cmocka_unit_test(keys_have_1_to_255_visible_characters),
        cmocka_unit_test(a_key_is_of_one_caller_and_one_product),
        cmocka_unit_test(an_answer_of_more_tables_than_it_has_outcomes_is_damaged),
        cmocka_unit_test(stored_answers_come_back_for_their_request_alone),
        cmocka_unit_test(what_is_not_understood_is_refused_by_name),
        cmocka_unit_test(answers_are_objects_of_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
