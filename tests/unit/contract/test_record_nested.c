/* Records with lists, structs and json: the bytes of the values, and what is wrong by its path. */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/contract/message_show.h"
#include "common/contract/product_file.h"
#include "common/contract/record.h"

static const char *const file =
    "sheaf: product/v1\nproduct: d/p\nversion: 1.0.0\ntables:\n t:\n  fields:\n"
    "   id: {number: 1, type: int32, required: true}\n"
    "   big: {number: 2, type: \"decimal(20,2)\", min: 0}\n"
    "   tags: {number: 3, type: list<string>, max_items: 3, pattern: \"[a-z]*\"}\n"
    "   nums: {number: 4, type: list<int32>, min: -5}\n"
    "   doc: {number: 5, type: json}\n"
    "   to: {number: 6, type: struct, fields: {\n"
    "     city: {number: 1, type: string, required: true, source: \"City Name\"},\n"
    "     zip: {number: 2, type: string, default: \"0150\"},\n"
    "     at: {number: 3, type: struct, fields: {lat: {number: 1, type: double}}}}}\n"
    "   lines: {number: 7, type: list<struct>, fields: {\n"
    "     sku: {number: 1, type: string, required: true},\n"
    "     qty: {number: 2, type: int32, required: true, min: 1},\n"
    "     day: {number: 3, type: date, parse: \"%d.%m.%Y\"},\n"
    "     note: {number: 4, type: json}}}\n"
    "   ids: {number: 8, type: list<uuid>}\n"
    "   box: {number: 9, type: struct, fields: {few: {number: 1, type: list<int32>, min_items: "
    "1}}}\n";

enum { ID, BIG, TAGS, NUMS, DOC, TO, LINES, IDS, BOX, FIELDS };

struct fixture {
    struct sf_product *product;
    struct sf_record_reader *reader;
    struct sf_value values[FIELDS];
    struct sf_verdict verdict;
};

static void setup(struct fixture *f)
{
    struct sf_issues issues;
    struct sf_error err;

    memset(f, 0, sizeof(*f));
    sf_issues_init(&issues, "p.yaml", sf_slice_text(file));
    assert_int_equal(sf_product_parse(&issues, &f->product, &err), SF_OK);
    sf_issues_done(&issues);
    assert_int_equal(sf_record_reader_new(&f->product->tables[0], &f->reader, &err), SF_OK);
}

static void teardown(struct fixture *f)
{
    sf_record_reader_free(f->reader);
    sf_product_free(f->product);
}

static void read_json(struct fixture *f, const char *text)
{
    struct sf_error err;

    assert_int_equal(
        sf_record_from_json(f->reader, sf_slice_text(text), f->values, &f->verdict, &err), SF_OK);
}

/* The bytes of a value, in hexadecimal digits. */
static void assert_bytes(const struct fixture *f, size_t field, const char *wanted)
{
    char shown[400] = "";

    if (f->verdict.found != 0) {
        fail_msg("%s", f->verdict.list[0].text);
    }
    for (size_t i = 0; i < f->values[field].s.size && i < 190; i++) {
        (void)snprintf(shown + 2 * i, 3, "%02x", f->values[field].s.data[i]);
    }
    assert_string_equal(shown, wanted);
}

static void values_become_the_bytes_of_a_row(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    read_json(&f,
              "{\"id\":1,\"big\":-0.00,\"tags\":[\"a\",\"\"],\"nums\":[1,-1,300],"
              "\"doc\":{\"b\":[1.0,null],\"a\":\"\\u00e9\"},"
              "\"to\":{\"City Name\":\"Oslo\",\"at\":{\"lat\":1.5}},"
              "\"lines\":[{\"qty\":2,\"sku\":\"X\"},{\"sku\":\"\",\"qty\":1,\"day\":\"02.01.1970\","
              "\"note\":[]}],\"ids\":[\"00112233-4455-6677-8899-AABBCCDDEEFF\"]}");
    assert_bytes(&f, BIG, "00000000000000000000000000000000");
    assert_bytes(&f, TAGS, "1a01611a00"); /* a tag before each */
    assert_bytes(&f, NUMS, "0201d804");   /* packed */
    assert_bytes(&f, DOC, "7b2261223a22c3a9222c2262223a5b312c6e756c6c5d7d");
    assert_bytes(&f, TO, "0a044f736c6f1204303135301a0909000000000000f83f");
    assert_bytes(&f, LINES,
                 "3a050a015810043a0a0a00100218022202"
                 "5b5d");
    assert_bytes(&f, IDS, "421000112233445566778899aabbccddeeff");
    teardown(&f);
}

static void what_is_not_given_is_empty_or_null(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    read_json(&f,
              "{\"id\":1,\"tags\":[\"a\"],\"nums\":[],\"lines\":null,\"to\":null,\"doc\":null}");
    assert_bytes(&f, NUMS, "");
    assert_false(f.values[LINES].present);
    assert_false(f.values[TO].present);
    assert_false(f.values[DOC].present);
    assert_false(f.values[IDS].present);
    teardown(&f);
}

static void violations_name_the_path(void **state)
{
    static const struct {
        const char *json;
        const char *path;
        const char *text;
    } cases[] = {
        {"\"lines\":[{\"sku\":\"X\",\"qty\":1},{\"sku\":\"X\",\"qty\":0}]", "lines[1].qty",
         "'lines[1].qty' is below its min"},
        {"\"lines\":[{\"sku\":\"X\"}]", "lines[0].qty", "'lines[0].qty' is missing"},
        {"\"lines\":[{\"sku\":\"X\",\"qty\":1,\"qtty\":1}]", "lines[0].qtty",
         "'lines[0].qtty' is not in the contract; did you mean 'qty'?"},
        {"\"lines\":[{\"sku\":\"X\",\"qty\":1,\"qty\":1}]", "lines[0].qty",
         "'lines[0].qty' is given twice"},
        {"\"lines\":[{\"sku\":\"X\",\"qty\":1,\"day\":\"1970-01-02\"}]", "lines[0].day",
         "'lines[0].day' must be text like '%d.%m.%Y'"},
        {"\"lines\":{}", "lines", "'lines' must be a list"},
        {"\"lines\":[1]", "lines[0]", "'lines[0]' must be an object"},
        {"\"lines\":[null]", "lines[0]", "'lines[0]' must not be null: it is in a list"},
        {"\"to\":[]", "to", "'to' must be an object"},
        {"\"to\":{\"at\":{\"lat\":\"x\"}, \"City Name\":\"O\"}", "to.at.lat",
         "'to.at.lat' must be a number"},
        {"\"to\":{}", "to.city", "'to.city' is missing"},
        {"\"tags\":[\"a\",\"B\"]", "tags[1]", "'tags[1]' does not match its pattern"},
        {"\"box\":{}", "box.few", "'box.few' has fewer elements than its min_items"},
        {"\"box\":{\"few\":[]}", "box.few", "'box.few' has fewer elements than its min_items"},
        {"\"tags\":[\"a\",\"a\",\"a\",\"a\"]", "tags",
         "'tags' has more elements than its max_items"},
        {"\"nums\":[1,2147483648]", "nums[1]", "'nums[1]' does not fit int32"},
        {"\"nums\":[1,-6]", "nums[1]", "'nums[1]' is below its min"},
        {"\"nums\":[\"1\"]", "nums[0]", "'nums[0]' must be a whole number"},
        {"\"ids\":[\"x\"]", "ids[0]", "'ids[0]' must be a UUID"},
        {"\"doc\":{\"a\":1,\"a\":2}", "doc", "'doc' has an object in which a name stands twice"},
        {"\"doc\":1e99999", "doc",
         "'doc' has a number of more than 100 digits, or with too large an exponent"},
        {"\"big\":\"1000000000000000000.00\"", "big", "'big' does not fit decimal(20,2)"},
        {"\"big\":1.005", "big", "'big' has more than 2 digits behind the point"},
        {"\"big\":-0.01", "big", "'big' is below its min"},
    };
    struct fixture f;

    (void)state;
    setup(&f);
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        const struct sf_violation *v = &f.verdict.list[0];
        char text[300];
        struct sf_slice path;

        (void)snprintf(text, sizeof(text), "{\"id\":1,%s}", cases[i].json);
        read_json(&f, text);
        if (f.verdict.found != 1 || strcmp(v->text, cases[i].text) != 0) {
            fail_msg("%s: %u, '%s'", text, f.verdict.found, f.verdict.found > 0 ? v->text : "");
        }
        path = sf_violation_path(v, &f.product->tables[0]);
        assert_true(sf_slice_equal(path, sf_slice_text(cases[i].path)));
    }
    teardown(&f);
}

static void cells_of_csv_hold_json(void **state)
{
    static const char text[] =
        "id,to,tags,doc,big\n"
        "1,\"{\"\"City Name\"\":\"\"Oslo\"\"}\",\"[\"\"a\"\"]\",\"\"\"x\"\"\",12345678901234567.5\n"
        "2,,\"[\"\"a\"\"]\",,\n"
        "3,{,{},null,1\n";
    struct sf_slice rest = sf_slice_text(text);
    struct sf_csv csv = {0};
    struct fixture f;
    struct sf_error err;

    (void)state;
    setup(&f);
    assert_int_equal(sf_csv_next(&csv, &rest, true, &err), SF_OK);
    assert_int_equal(sf_record_bind_csv(f.reader, &csv, &err), SF_OK);
    assert_int_equal(sf_csv_next(&csv, &rest, true, &err), SF_OK);
    assert_int_equal(sf_record_from_csv(f.reader, &csv, f.values, &f.verdict, &err), SF_OK);
    assert_bytes(&f, TO, "0a044f736c6f120430313530");
    assert_bytes(&f, TAGS, "1a0161");
    assert_bytes(&f, DOC, "227822");
    assert_bytes(&f, BIG, "0000000000000000112210f47de980ee");
    assert_int_equal(sf_csv_next(&csv, &rest, true, &err), SF_OK);
    assert_int_equal(sf_record_from_csv(f.reader, &csv, f.values, &f.verdict, &err), SF_OK);
    assert_bytes(&f, DOC, "");
    assert_false(f.values[TO].present);
    assert_int_equal(sf_csv_next(&csv, &rest, true, &err), SF_OK);
    assert_int_equal(sf_record_from_csv(f.reader, &csv, f.values, &f.verdict, &err), SF_OK);
    assert_int_equal(f.verdict.found, 2);
    assert_string_equal(f.verdict.list[0].text, "'to' must be JSON text");
    assert_string_equal(f.verdict.list[1].text, "'tags' must be a list");
    sf_csv_done(&csv);
    teardown(&f);
}

static void read_message(struct fixture *f, const char *bytes, size_t size)
{
    struct sf_error err;

    assert_int_equal(
        sf_record_from_protobuf(f->reader, sf_slice_of(bytes, size), f->values, &f->verdict, &err),
        SF_OK);
}
#define READ(f, bytes) read_message((f), (bytes), sizeof(bytes) - 1)

static void messages_in_any_form_become_the_same_bytes(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    /* Lists in pieces, packed and not, fields out of order, a varint that is too long. */
    READ(&f, "\x20\x02\x1a\x01"
             "b\x22\x02\x01\x06\x1a\x01"
             "a\x08\x82\x00"
             "\x32\x08\x12\x01z\x0a\x03"
             "Lom"
             "\x2a\x07{\"a\":1}"
             "\x3a\x06\x10\x04\x0a\x02XY");
    assert_int_equal(f.values[ID].i, 1);
    assert_bytes(&f, NUMS, "020106");
    assert_bytes(&f, TAGS, "1a01621a0161");
    assert_bytes(&f, TO, "0a034c6f6d12017a");
    assert_bytes(&f, DOC, "7b2261223a317d");
    assert_bytes(&f, LINES, "3a060a0258591004");
    teardown(&f);
}

static void messages_are_refused_with_the_path(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *text;
    } cases[] = {
#define BYTES(b) (b), sizeof(b) - 1
        {BYTES("\x08\x02\x08\x02"), "'id' is given twice"},
        {BYTES("\x50\x02"), "the record has no field of number 10"},
        {BYTES("\x08\x02\x32\x02\x48\x02"), "'to' has no field of number 9"},
        {BYTES("\x08\x02\x4a\x00"), "'box.few' has fewer elements than its min_items"},
        {BYTES("\x08\x02\x3a\x05\x0a\x01X\x10\x00"), "'lines[0].qty' is below its min"},
        {BYTES("\x08\x02\x3a\x03\x0a\x01X"), "'lines[0].qty' is missing"},
        {BYTES("\x09\x02"), "'id' is of another type in the message"},
        {BYTES("\x08\x80\x80\x80\x80\x20"), "'id' does not fit int32"},
        {BYTES("\x08"), "the record is no message of the table"},
        {BYTES("\x08\x02\x1a\x05"
               "a"),
         "the record is no message of the table"},
        {BYTES("\x08\x02\x1a\x01\xff"), "'tags[0]' is not valid UTF-8"},
        {BYTES("\x08\x02\x42\x01x"), "'ids[0]' must be a UUID"},
        {BYTES("\x08\x02\x2a\x01{"), "'doc' must be JSON text"},
        {BYTES("\x08\x02\x12\x01\x00"), "'big' must be a number"},
        {BYTES("\x08\x02\x0b\x0c"), "'id' is of another type in the message"},
        {BYTES(""), "'id' is missing"},
        {BYTES("\x00\x01"), "the record is no message of the table"},
        {BYTES("\x08\x02\x32\x0e\x0a\x01O\x1a\x09\x09\0\0\0\0\0\0\xf0\x7f"),
         "'to.at.lat' does not fit double"},
    };
    struct fixture f;

    (void)state;
    setup(&f);
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        read_message(&f, cases[i].bytes, cases[i].size);
        if (f.verdict.found != 1 || strcmp(f.verdict.list[0].text, cases[i].text) != 0) {
            fail_msg("%zu: %u, '%s'", i, f.verdict.found,
                     f.verdict.found > 0 ? f.verdict.list[0].text : "");
        }
    }
    teardown(&f);
}

static void survives_every_failed_allocation(void **state)
{
    static const char json[] = "{\"id\":1,\"nums\":[1],\"doc\":{\"a\":[{}]},\"to\":{\"City Name\":"
                               "\"O\"},\"lines\":[{\"sku\":\"X\",\"qty\":1,\"note\":{\"b\":1}}]}";
    struct fixture f;

    (void)state;
    setup(&f);
    for (int after = 0;; after++) {
        struct sf_record_reader *reader = NULL;
        struct sf_error err;
        enum sf_code code;
        bool hit;

        sf_alloc_fail_after(after, 0);
        code = sf_record_reader_new(&f.product->tables[0], &reader, &err);
        if (code == SF_OK) {
            code = sf_record_from_json(reader, sf_slice_text(json), f.values, &f.verdict, &err);
        }
        hit = sf_alloc_faults() > 0;
        sf_alloc_fail_after(-1, 0);
        assert_int_equal(code, hit ? SF_NOMEM : SF_OK);
        sf_record_reader_free(reader);
        if (!hit) {
            break;
        }
    }
    teardown(&f);
}

/* The reader keeps its memory (a pattern takes some for each match): a second record of the same
 * kind takes nothing from the heap. */
static void valid_records_take_nothing_from_the_heap(void **state)
{
    static const char json[] = "{\"id\":1,\"nums\":[1],\"doc\":{\"a\":[{}]},\"to\":{\"City Name\":"
                               "\"O\"},\"lines\":[{\"sku\":\"X\",\"qty\":1,\"note\":{\"b\":1}}]}";
    struct fixture f;

    (void)state;
    setup(&f);
    read_json(&f, json);
    read_json(&f, json);
    sf_alloc_fail_after(0, 0);
    read_json(&f, json);
    assert_int_equal(sf_alloc_faults(), 0);
    sf_alloc_fail_after(-1, 0);
    assert_int_equal(f.verdict.found, 0);
    teardown(&f);
}

static void a_message_is_shown_as_far_as_it_can_be_read(void **state)
{
    /* What a message has; what stands behind it is no message. */
    static const struct {
        struct sf_slice message;
        size_t read;
        const char *shown;
    } cases[] = {
        {SF_LITERAL("\x08\x02\x1a\x01"
                    "a\x1a\x01"
                    "b\x22\x02\x02\x04\x2a\x09{ \"b\":1 }"),
         23, "{\"id\":1,\"tags\":[\"a\",\"b\"],\"nums\":[1,2],\"doc\":{\"b\":1}}"},
        {SF_LITERAL("\x32\x08\x0a\x04Oslo\x18\x05\x3a\x03\x0a\x01X\x3a\x02\x10\x08"), 19,
         "{\"to\":{\"city\":\"Oslo\",\"at\":5},\"lines\":[{\"sku\":\"X\"},{\"qty\":4}]}"},
        {SF_LITERAL("\x88\x01\x07\x92\x01\x02hi\x92\x01\x02\xff\xfe\x9d\x01\x01\0\0\0"), 19,
         "{\"#17\":7,\"#18\":\"hi\",\"#18\":\"//4=\",\"#19\":1}"},
        {SF_LITERAL("\x0a\x01z\x12\x02no\x2a\x01{"), 10,
         "{\"id\":\"z\",\"big\":\"no\",\"doc\":\"{\"}"},
        {SF_LITERAL("\x08\x02\x1a\x09"
                    "a"),
         2, "{\"id\":1}"},
        {SF_LITERAL("\x08\x02\x0b"), 2, "{\"id\":1}"},
        {SF_LITERAL("\x32\x03\x0a\x09y"), 0, "{\"to\":{}}"},
        {SF_LITERAL(""), 0, "{}"},
    };
    struct fixture f;
    (void)state;

    setup(&f);
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        struct sf_buf out = {0};
        size_t read = sf_message_show(&f.product->tables[0], cases[i].message, &out);

        assert_string_equal(sf_buf_cstr(&out), cases[i].shown);
        assert_int_equal(read, cases[i].read);
        sf_buf_done(&out);
    }
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_become_the_bytes_of_a_row),
        cmocka_unit_test(what_is_not_given_is_empty_or_null),
        cmocka_unit_test(violations_name_the_path),
        cmocka_unit_test(cells_of_csv_hold_json),
        cmocka_unit_test(messages_in_any_form_become_the_same_bytes),
        cmocka_unit_test(messages_are_refused_with_the_path),
        cmocka_unit_test(survives_every_failed_allocation),
        cmocka_unit_test(valid_records_take_nothing_from_the_heap),
        cmocka_unit_test(a_message_is_shown_as_far_as_it_can_be_read),
    };

    return cmocka_run_group_tests_name("record_nested", tests, NULL, NULL);
}
