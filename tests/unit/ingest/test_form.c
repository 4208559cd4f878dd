#include "tests/lib/cmocka.h"

#include "leaf/ingest/form.h"
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
     SHEAF_E_BAD_REQUEST,
     "'envelope' needs NDJSON or JSON"},
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

static void answers_name_the_place_as_the_body_has_it(void **state)
{
    const struct batch_error error = {
        .line = 3, .violation = {.number = 204, .field = 0, .text = "'order_id' must be a string"}};
    struct ingest_result result = {.epoch = 1,
                                   .first_seq = 4,
                                   .last_seq = 5,
                                   .commit = 2,
                                   .accepted = 2,
                                   .quarantined = 1,
                                   .errors = &error,
                                   .error_count = 1};
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    const struct sf_table *orders;
    struct leaf_world w;
    (void)state;

    leaf_world_init(&w, 1);
    orders = served_product_table(leaf_world_add(&w, world_orders), "orders")->contract;
    ingest_form_answer(orders, &result, &out);
    assert_string_equal(sf_buf_cstr(&out),
                        "{\"epoch\":1,\"first_seq\":4,\"last_seq\":5,\"commit\":2,\"accepted\":2,"
                        "\"quarantined\":1,\"errors\":[{\"line\":3,\"code\":\"SHEAF-E0204\","
                        "\"field\":\"order_id\",\"detail\":\"'order_id' must be a string\"}]}");
    sf_buf_clear(&out);
    result.by_index = true;
    ingest_form_answer(orders, &result, &out);
    assert_non_null(strstr(sf_buf_cstr(&out), "\"errors\":[{\"index\":3,\"code\""));
    leaf_world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_and_parameters_make_a_request),
        cmocka_unit_test(what_is_not_understood_is_refused_by_name),
        cmocka_unit_test(answers_name_the_place_as_the_body_has_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
