#include "tests/lib/cmocka.h"

#include "common/contract/export_proto.h"
#include "common/contract/product_file.h"

static void assert_exported(const char *text, const char *wanted)
{
    struct sf_issues issues;
    struct sf_product *p = NULL;
    struct sf_buf out = {0};
    struct sf_error err;

    sf_issues_init(&issues, "p.yaml", sf_slice_text(text));
    if (sf_product_parse(&issues, &p, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    sf_product_export_proto(p, &out);
    assert_string_equal(sf_buf_cstr(&out), wanted);
    sf_buf_done(&out);
    sf_issues_done(&issues);
    sf_product_free(p);
}

static void test_messages_have_the_types_of_stored_rows(void **state)
{
    (void)state;
    assert_exported(
        "sheaf: product/v1\nproduct: web-shop/order-log\nversion: 2.1.0\n"
        "description: \"Orders\\nand their lines.\"\ntables:\n"
        "  order_lines:\n    key: [id]\n    reserved: [9, 12, gone, old]\n    description: One "
        "line.\n    fields:\n"
        "      id: {number: 1, type: int64, required: true}\n"
        "      b: {number: 2, type: bool}\n"
        "      i: {number: 3, type: int32, description: \"Pieces */ or\\nboxes\"}\n"
        "      f: {number: 4, type: float}\n"
        "      d: {number: 5, type: double}\n"
        "      m: {number: 6, type: \"decimal(12,2)\", unit: EUR}\n"
        "      s: {number: 7, type: string, class: pii}\n"
        "      x: {number: 8, type: bytes}\n"
        "      day: {number: 10, type: date}\n"
        "      ts: {number: 11, type: timestamp}\n"
        "      u: {number: 20, type: uuid}\n",
        "// web-shop/order-log 2.1.0, made by sheaf: do not edit.\n"
        "// Orders\n"
        "// and their lines.\n"
        "syntax = \"proto3\";\n"
        "\n"
        "package sheaf.web_shop.order_log.v2;\n"
        "\n"
        "// One line.\n"
        "// Rows of table order_lines, kind state, key id.\n"
        "message OrderLines {\n"
        "  reserved 9, 12;\n"
        "  reserved \"gone\", \"old\";\n"
        "  // int64, required\n"
        "  optional sint64 id = 1 [json_name = \"id\"];\n"
        "  // bool\n"
        "  optional bool b = 2 [json_name = \"b\"];\n"
        "  // Pieces */ or\n"
        "  // boxes\n"
        "  // int32\n"
        "  optional sint32 i = 3 [json_name = \"i\"];\n"
        "  // float\n"
        "  optional float f = 4 [json_name = \"f\"];\n"
        "  // double\n"
        "  optional double d = 5 [json_name = \"d\"];\n"
        "  // decimal(12,2): value * 10^2, unit EUR\n"
        "  optional sint64 m = 6 [json_name = \"m\"];\n"
        "  // string, class pii\n"
        "  optional string s = 7 [json_name = \"s\"];\n"
        "  // bytes\n"
        "  optional bytes x = 8 [json_name = \"x\"];\n"
        "  // date: days since 1970-01-01\n"
        "  optional sint32 day = 10 [json_name = \"day\"];\n"
        "  // timestamp: microseconds since 1970-01-01T00:00:00Z\n"
        "  optional sfixed64 ts = 11 [json_name = \"ts\"];\n"
        "  // uuid: 16 bytes\n"
        "  optional bytes u = 20 [json_name = \"u\"];\n"
        "}\n");
}

static void test_tables_whose_message_names_meet_keep_their_own(void **state)
{
    (void)state;
    assert_exported("sheaf: product/v1\nproduct: d/p\nversion: 1.0.0\ntables:\n"
                    "  a_b:\n    fields:\n      x: {number: 1, type: bool}\n"
                    "  a__b:\n    fields:\n      x: {number: 1, type: bool}\n",
                    "// d/p 1.0.0, made by sheaf: do not edit.\n"
                    "syntax = \"proto3\";\n"
                    "\n"
                    "package sheaf.d.p.v1;\n"
                    "\n"
                    "// Rows of table a_b, kind event.\n"
                    "message a_b {\n"
                    "  // bool\n"
                    "  optional bool x = 1 [json_name = \"x\"];\n"
                    "}\n"
                    "\n"
                    "// Rows of table a__b, kind event.\n"
                    "message a__b {\n"
                    "  // bool\n"
                    "  optional bool x = 1 [json_name = \"x\"];\n"
                    "}\n");
}

static void test_structs_are_messages_inside_their_message(void **state)
{
    (void)state;
    assert_exported("sheaf: product/v1\nproduct: d/p\nversion: 1.0.0\ntables:\n"
                    "  t:\n    fields:\n"
                    "      wide: {number: 1, type: \"decimal(38,2)\"}\n"
                    "      doc: {number: 2, type: json}\n"
                    "      a_b: {number: 3, type: struct, reserved: [2], fields: {c: {number: 1, "
                    "type: struct, fields: {d: {number: 1, type: bool}}}}}\n"
                    "      a__b: {number: 4, type: list<struct>, fields: {c: {number: 1, type: "
                    "bool}}}\n"
                    "      days: {number: 5, type: list<date>, required: true}\n",
                    "// d/p 1.0.0, made by sheaf: do not edit.\n"
                    "syntax = \"proto3\";\n"
                    "\n"
                    "package sheaf.d.p.v1;\n"
                    "\n"
                    "// Rows of table t, kind event.\n"
                    "message T {\n"
                    "  // decimal(38,2): value * 10^2, 16 bytes, big-endian, two's complement\n"
                    "  optional bytes wide = 1 [json_name = \"wide\"];\n"
                    "  // json: canonical JSON text\n"
                    "  optional string doc = 2 [json_name = \"doc\"];\n"
                    "  message AB_3 {\n"
                    "    reserved 2;\n"
                    "    message C {\n"
                    "      // bool\n"
                    "      optional bool d = 1 [json_name = \"d\"];\n"
                    "    }\n"
                    "    // struct\n"
                    "    optional C c = 1 [json_name = \"c\"];\n"
                    "  }\n"
                    "  // struct\n"
                    "  optional AB_3 a_b = 3 [json_name = \"a_b\"];\n"
                    "  message AB_4 {\n"
                    "    // bool\n"
                    "    optional bool c = 1 [json_name = \"c\"];\n"
                    "  }\n"
                    "  // list<struct>\n"
                    "  repeated AB_4 a__b = 4 [json_name = \"a__b\"];\n"
                    "  // list<date>, required: days since 1970-01-01\n"
                    "  repeated sint32 days = 5 [json_name = \"days\"];\n"
                    "}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_have_the_types_of_stored_rows),
        cmocka_unit_test(test_tables_whose_message_names_meet_keep_their_own),
        cmocka_unit_test(test_structs_are_messages_inside_their_message),
    };

    return cmocka_run_group_tests_name("export_proto", tests, NULL, NULL);
}
