/* Inference from JSON: what is inside objects and arrays. */
#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "common/contract/infer.h"
#include "common/contract/product_file.h"
#include "common/contract/record.h"
#include "proto/errors.h"

static const struct sf_infer_options options = {"sales", "orders", NULL};

/* Feeds lines of JSON. */
static enum sf_code feed(struct sf_infer *i, const char *const *lines, size_t count,
                         struct sf_error *err)
{
    struct sf_json_reader reader = {0};
    enum sf_code code = SF_OK;

    for (size_t n = 0; n < count && code == SF_OK; n++) {
        const struct sf_json *row = NULL;

        code = sf_json_read(&reader, sf_slice_text(lines[n]), &row, err);
        code = code == SF_OK ? sf_infer_json(i, row, err) : code;
    }
    sf_json_reader_done(&reader);
    return code;
}

/* The fields that inference writes; the file reads back the same, and takes every line. */
static void assert_inferred(const char *const *lines, size_t count, const char *wanted)
{
    struct sf_infer *i = NULL;
    struct sf_product *p = NULL;
    struct sf_product *back = NULL;
    struct sf_record_reader *reader = NULL;
    struct sf_value values[16];
    struct sf_verdict verdict;
    struct sf_print_notes notes;
    struct sf_issues issues;
    struct sf_buf out = {0};
    struct sf_error err;
    const char *fields;

    assert_int_equal(sf_infer_new(&i, &err), SF_OK);
    assert_int_equal(feed(i, lines, count, &err), SF_OK);
    assert_int_equal(sf_infer_product(i, &options, &p, &notes, &err), SF_OK);
    sf_product_print(p, &notes, &out);
    fields = strstr(sf_buf_cstr(&out), "    fields:\n");
    if (strncmp(fields + 12, wanted, strlen(wanted)) != 0 ||
        strcmp(fields + 12 + strlen(wanted), "access: {default: request}\n") != 0) {
        fail_msg("inferred\n%s", fields);
    }
    sf_issues_init(&issues, "p", sf_buf_view(&out));
    assert_int_equal(sf_product_parse(&issues, &back, &err), SF_OK);
    assert_true(sf_product_equal(p, back));
    assert_int_equal(sf_record_reader_new(&back->tables[0], &reader, &err), SF_OK);
    for (size_t n = 0; n < count; n++) {
        assert_int_equal(
            sf_record_from_json(reader, sf_slice_text(lines[n]), values, &verdict, &err), SF_OK);
        if (verdict.found != 0) {
            fail_msg("%s in %s", verdict.list[0].text, lines[n]);
        }
    }
    sf_record_reader_free(reader);
    sf_issues_done(&issues);
    sf_buf_done(&out);
    sf_product_free(back);
    sf_product_free(p);
    sf_infer_free(i);
}

static void objects_become_structs_and_arrays_lists(void **state)
{
    static const char *const lines[] = {
        "{\"id\":\"a\",\"to\":{\"City Name\":\"Oslo\",\"zip\":\"0150\"},\"tags\":[\"x\"],"
        "\"lines\":[{\"sku\":\"AB\",\"qty\":1},{\"sku\":\"CD\",\"price\":2.5}]}",
        "{\"id\":\"b\",\"to\":{\"City Name\":\"Bergen\",\"zip\":\"5003\",\"at\":\"2026-01-01\"},"
        "\"lines\":[],\"tags\":[]}",
        "{\"id\":\"c\",\"to\":{\"City Name\":\"Bodo\",\"zip\":\"5003\"},"
        "\"lines\":[{\"sku\":\"E\",\"qty\":3000000000}],\"tags\":[\"y\",\"z\"]}",
    };

    (void)state;
    assert_inferred(
        lines, SF_COUNT(lines),
        "      id:    {number: 1, type: string, required: true}  # key: unique in 3 rows\n"
        "      to:    {number: 2, type: struct, required: true, fields: {"
        "city_name: {number: 1, type: string, required: true, source: City Name}, "
        "zip: {number: 2, type: string, required: true}, "
        "at: {number: 3, type: date}}}\n"
        "      tags:  {number: 3, type: \"list<string>\"}\n"
        "      lines: {number: 4, type: \"list<struct>\", fields: {"
        "sku: {number: 1, type: string, required: true}, qty: {number: 2, type: int64}, "
        "price: {number: 3, type: \"decimal(12,1)\"}}}\n");
}

static void what_has_no_one_shape_becomes_json(void **state)
{
    static const char *const lines[] = {
        "{\"kinds\":1,\"empty\":{},\"none\":[],\"nulls\":[null],\"deep\":[[1]],\"mixed\":[1,{\"a\":"
        "1}],"
        "\"both\":{\"a\":1},\"late\":[1]}",
        "{\"kinds\":{\"a\":1},\"empty\":{},\"none\":[],\"nulls\":[1],\"deep\":[],\"mixed\":[],"
        "\"both\":[1],\"late\":[null]}",
    };

    (void)state;
    assert_inferred(lines, SF_COUNT(lines),
                    "      kinds: {number: 1, type: json, required: true}  # of no one shape\n"
                    "      empty: {number: 2, type: json, required: true}  # of no one shape\n"
                    "      none:  {number: 3, type: json, required: true}  # of no one shape\n"
                    "      nulls: {number: 4, type: json, required: true}  # of no one shape\n"
                    "      deep:  {number: 5, type: json, required: true}  # of no one shape\n"
                    "      mixed: {number: 6, type: json, required: true}  # of no one shape\n"
                    "      both:  {number: 7, type: json, required: true}  # of no one shape\n"
                    "      late:  {number: 8, type: json, required: true}  # of no one shape\n");
}

/* Every row must be taken by the contract made of it: numbers are never text in JSON. */
static void numbers_keep_all_their_digits(void **state)
{
    static const char *const lines[] = {
        "{\"amount\":123456789012345678901234567890.12,\"whole\":12345678901234567890,"
        "\"exact\":12345678901234567.123456,\"ratio\":1.23456789,\"tiny\":1.5e-3,"
        "\"list\":[99999999999999999999999999999999999999]}",
        "{\"amount\":1.5,\"whole\":-1,\"exact\":1,\"ratio\":1,\"tiny\":1e25,\"list\":[1]}",
    };

    (void)state;
    assert_inferred(lines, SF_COUNT(lines),
                    "      amount: {number: 1, type: \"decimal(38,2)\", required: true}\n"
                    "      whole:  {number: 2, type: \"decimal(38,0)\", required: true}\n"
                    "      exact:  {number: 3, type: \"decimal(38,6)\", required: true}\n"
                    "      ratio:  {number: 4, type: double, required: true}\n"
                    "      tiny:   {number: 5, type: double, required: true}\n"
                    "      list:   {number: 6, type: \"list<decimal(38,0)>\"}\n");
}

static void scalars_of_several_kinds_become_json(void **state)
{
    static const char *const lines[] = {
        "{\"a\":1,\"b\":true,\"c\":1e400,\"d\":12345678901234567890,\"e\":[1,\"x\"],"
        "\"f\":[{\"g\":false}],\"h\":123456789012345678901234567890123456789}",
        "{\"a\":\"x\",\"b\":0,\"c\":\"2026-01-01\",\"d\":1e3,\"e\":[],"
        "\"f\":[{\"g\":\"00112233-4455-6677-8899-aabbccddeeff\"}],\"h\":1}",
    };

    (void)state;
    assert_inferred(lines, SF_COUNT(lines),
                    "      a: {number: 1, type: json, required: true}  # of no one kind\n"
                    "      b: {number: 2, type: json, required: true}  # of no one kind\n"
                    "      c: {number: 3, type: json, required: true}  # of no one kind\n"
                    "      d: {number: 4, type: json, required: true}  # of no one kind\n"
                    "      e: {number: 5, type: json, required: true}  # of no one shape\n"
                    "      f: {number: 6, type: \"list<struct>\", fields: {g: {number: 1, type: "
                    "json, required: true}}}  # g: of no one kind\n"
                    "      h: {number: 7, type: json, required: true}  # of no one kind\n");
}

static void personal_data_inside_is_found(void **state)
{
    static const char *const lines[] = {
        "{\"who\":{\"mail\":\"a@b.no\"},\"cc\":[\"c@d.no\"]}",
        "{\"who\":{\"mail\":\"e@f.no\"},\"cc\":[\"g@h.no\"]}",
    };

    (void)state;
    assert_inferred(
        lines, SF_COUNT(lines),
        "      who: {number: 1, type: struct, required: true, fields: {mail: {number: 1, "
        "type: string, required: true, class: pii, format: email}}}  # mail: 100% look "
        "like e-mail\n"
        "      cc:  {number: 2, type: \"list<string>\", class: pii}  # 100% look like "
        "e-mail\n");
}

/* Names that are data make no struct, and structs end where the contract ends. */
static void names_and_depth_have_limits(void **state)
{
    struct sf_buf wide = {0};
    struct sf_buf deep = {0};
    struct sf_infer *i = NULL;
    struct sf_product *p = NULL;
    const struct sf_field *f;
    const char *lines[2];
    struct sf_error err;
    unsigned depth = 0;

    (void)state;
    for (int n = 0; n < 65; n++) {
        sf_buf_printf(&wide, "%s\"k%d\":1", n == 0 ? "{\"map\":{" : ",", n);
        sf_buf_text(&deep, "{\"a\":");
    }
    sf_buf_text(&wide, "}}");
    sf_buf_clear(&deep);
    for (int n = 0; n < 20; n++) {
        sf_buf_text(&deep, "{\"a\":");
    }
    sf_buf_text(&deep, "1");
    for (int n = 0; n < 20; n++) {
        sf_buf_byte(&deep, '}');
    }
    lines[0] = sf_buf_cstr(&wide);
    lines[1] = sf_buf_cstr(&deep);
    assert_int_equal(sf_infer_new(&i, &err), SF_OK);
    assert_int_equal(feed(i, lines, 2, &err), SF_OK);
    assert_int_equal(sf_infer_product(i, &options, &p, NULL, &err), SF_OK);
    assert_int_equal(p->tables[0].fields[0].type, SF_TYPE_JSON);
    for (f = &p->tables[0].fields[1]; f->type == SF_TYPE_STRUCT; f = f->shape->fields) {
        depth++;
    }
    assert_int_equal(depth, SF_STRUCT_DEPTH_MAX);
    assert_int_equal(f->type, SF_TYPE_JSON);
    sf_product_free(p);
    sf_infer_free(i);
    sf_buf_done(&wide);
    sf_buf_done(&deep);
}

static void survives_every_failed_allocation(void **state)
{
    static const char *const line =
        "{\"a\":[{\"b\":[1,2],\"c\":\"x\"}],\"d\":{\"e\":{\"f\":true}},\"g\":[[]]}";

    (void)state;
    for (int after = 0;; after++) {
        struct sf_infer *i = NULL;
        struct sf_product *p = NULL;
        struct sf_error err;
        enum sf_code code;
        bool hit;

        sf_alloc_fail_after(after, 0);
        code = sf_infer_new(&i, &err);
        code = code == SF_OK ? feed(i, &line, 1, &err) : code;
        code = code == SF_OK ? sf_infer_product(i, &options, &p, NULL, &err) : code;
        hit = sf_alloc_faults() > 0;
        sf_alloc_fail_after(-1, 0);
        assert_int_equal(code, hit ? SF_NOMEM : SF_OK);
        sf_product_free(p);
        sf_infer_free(i);
        if (!hit) {
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_become_structs_and_arrays_lists),
        cmocka_unit_test(what_has_no_one_shape_becomes_json),
        cmocka_unit_test(numbers_keep_all_their_digits),
        cmocka_unit_test(scalars_of_several_kinds_become_json),
        cmocka_unit_test(personal_data_inside_is_found),
        cmocka_unit_test(names_and_depth_have_limits),
        cmocka_unit_test(survives_every_failed_allocation),
    };

    return cmocka_run_group_tests_name("infer_json", tests, NULL, NULL);
}
