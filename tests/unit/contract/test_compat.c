#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "common/contract/compat.h"
#include "common/contract/product_file.h"
#include "proto/errors.h"

#define HEAD  "sheaf: product/v1\nproduct: d/p\nversion: "
#define TABLE "\ntables:\n  orders:\n    key: [id]\n    reserved: [9]\n    fields:\n"
#define FIELDS                                                                                     \
    "      id: {number: 1, type: string, required: true}\n"                                        \
    "      country: {number: 2, type: string, enum: [\"NO\", \"SE\"], default: \"NO\"}\n"          \
    "      amount: {number: 3, type: \"decimal(12,2)\", required: true, min: 0, unit: EUR}\n"      \
    "      code: {number: 4, type: string, max_length: 9}\n"
#define BEFORE HEAD "1.2.0" TABLE FIELDS

static struct sf_product *read(const char *text)
{
    struct sf_issues issues;
    struct sf_product *p = NULL;
    struct sf_error err;

    sf_issues_init(&issues, "p.yaml", sf_slice_text(text));
    if (sf_product_parse(&issues, &p, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    sf_issues_done(&issues);
    return p;
}

/* Compares BEFORE with @after: the code and the list of changes. */
static void assert_change(const char *after, enum sf_code wanted_code, const char *wanted)
{
    struct sf_product *a = read(BEFORE);
    struct sf_product *b = read(after);
    struct sf_compat compat;
    struct sf_buf out = {0};
    struct sf_error err;
    enum sf_code code = sf_compat_check(a, b, &compat, &err);

    sf_compat_render(&compat, &out);
    assert_string_equal(out.size == 0 ? "" : sf_buf_cstr(&out), wanted);
    assert_int_equal(code, wanted_code);
    sf_buf_done(&out);
    sf_compat_done(&compat);
    sf_product_free(a);
    sf_product_free(b);
}

#define AFTER(fields) HEAD "1.3.0" TABLE fields
#define ID            "      id: {number: 1, type: string, required: true}\n"
#define COUNTRY                                                                                    \
    "      country: {number: 2, type: string, enum: [\"NO\", \"SE\"], default: \"NO\"}\n"
#define AMOUNT                                                                                     \
    "      amount: {number: 3, type: \"decimal(12,2)\", required: true, min: 0, unit: EUR}\n"
#define CODE "      code: {number: 4, type: string, max_length: 9}\n"

static void test_optional_fields_and_tables_may_come(void **state)
{
    (void)state;
    assert_change(AFTER(FIELDS), SF_OK, "");
    assert_change(AFTER(FIELDS "      note: {number: 5, type: string}\n"), SF_OK,
                  "  + orders.note  field added string  ok\n");
    assert_change(AFTER(FIELDS) "  lines:\n    fields:\n      a: {number: 1, type: bool}\n", SF_OK,
                  "  + lines  table added table  ok\n");
}

static void test_every_breaking_change_is_listed(void **state)
{
    (void)state;
    assert_change(AFTER(ID CODE
                        "      amount: {number: 3, type: string, required: true, unit: EUR}\n"
                        "      channel: {number: 5, type: string, required: true}\n"),
                  SF_CONFLICT,
                  "  - orders.country  field removed string  BREAKING\n"
                  "  ~ orders.amount  type decimal(12,2) -> string  BREAKING\n"
                  "  + orders.channel  required field added string  BREAKING\n");
    assert_change(HEAD "1.3.0\ntables:\n  sales:\n    key: [id]\n    fields:\n" ID, SF_CONFLICT,
                  "  - orders  table removed table  BREAKING\n"
                  "  + sales  table added table  ok\n");
}

static void test_rules_may_widen_but_not_tighten(void **state)
{
    static const struct {
        const char *field; /* instead of amount and code */
        enum sf_code code;
        const char *wanted;
    } cases[] = {
        {"      amount: {number: 3, type: \"decimal(12,2)\", required: true, min: -1, unit: "
         "EUR}\n" CODE,
         SF_OK, "  ~ orders.amount  min 0.00 -> -1.00  ok\n"},
        {"      amount: {number: 3, type: \"decimal(12,2)\", required: true, min: 1, unit: "
         "EUR}\n" CODE,
         SF_CONFLICT, "  ~ orders.amount  min 0.00 -> 1.00  BREAKING\n"},
        {"      amount: {number: 3, type: \"decimal(12,2)\", required: true, unit: EUR}\n" CODE,
         SF_OK, "  ~ orders.amount  min 0.00 -> none  ok\n"},
        {"      amount: {number: 3, type: \"decimal(12,2)\", required: true, min: 0, max: 5, unit: "
         "EUR}\n" CODE,
         SF_CONFLICT, "  ~ orders.amount  max none -> 5.00  BREAKING\n"},
        {"      amount: {number: 3, type: \"decimal(12,2)\", min: 0, unit: EUR}\n" CODE,
         SF_CONFLICT, "  ~ orders.amount  required true -> false  BREAKING\n"},
        {"      amount: {number: 3, type: \"decimal(12,2)\", required: true, min: 0, unit: "
         "NOK}\n" CODE,
         SF_CONFLICT, "  ~ orders.amount  unit EUR -> NOK  BREAKING\n"},
        {"      total: {number: 3, type: \"decimal(12,2)\", required: true, min: 0, unit: "
         "EUR}\n" CODE,
         SF_CONFLICT, "  ~ orders.amount  name amount -> total  BREAKING\n"},
        {"      amount: {number: 8, type: \"decimal(12,2)\", required: true, min: 0, unit: "
         "EUR}\n" CODE,
         SF_CONFLICT, "  ~ orders.amount  number 3 -> 8  BREAKING\n"},
        {AMOUNT "      code: {number: 4, type: string, max_length: 8}\n", SF_CONFLICT,
         "  ~ orders.code  max_length 9 -> 8  BREAKING\n"},
        {AMOUNT "      code: {number: 4, type: string}\n", SF_OK,
         "  ~ orders.code  max_length 9 -> none  ok\n"},
        {AMOUNT "      code: {number: 4, type: string, max_length: 9, min_length: 2}\n",
         SF_CONFLICT, "  ~ orders.code  min_length none -> 2  BREAKING\n"},
        {AMOUNT "      code: {number: 4, type: string, max_length: 9, pattern: a+}\n", SF_CONFLICT,
         "  ~ orders.code  pattern none -> a+  BREAKING\n"},
        {AMOUNT "      code: {number: 4, type: string, max_length: 9, format: uri}\n", SF_CONFLICT,
         "  ~ orders.code  format none -> uri  BREAKING\n"},
        {AMOUNT "      code: {number: 4, type: string, max_length: 9, enum: [a]}\n", SF_CONFLICT,
         "  ~ orders.code  enum added none -> a list of values  BREAKING\n"},
        {AMOUNT "      code: {number: 4, type: string, max_length: 9, class: pii}\n", SF_OK,
         "  ~ orders.code  class none -> pii  ok\n"},
        {AMOUNT "      code: {number: 4, type: string, max_length: 9, description: x, tags: [x]}\n",
         SF_OK, ""},
        {AMOUNT "      code: {number: 4, type: string, max_length: 9, source: Code}\n", SF_OK, ""},
    };

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        struct sf_buf text = {0};

        sf_buf_text(&text, AFTER(ID COUNTRY));
        sf_buf_text(&text, cases[i].field);
        assert_change(sf_buf_cstr(&text), cases[i].code, cases[i].wanted);
        sf_buf_done(&text);
    }
}

static void test_enum_values_neither_come_nor_go(void **state)
{
    (void)state;
    assert_change(AFTER(ID
                        "      country: {number: 2, type: string, enum: [\"SE\", \"DK\"], default: "
                        "\"SE\"}\n" AMOUNT CODE),
                  SF_CONFLICT,
                  "  - orders.country  enum value removed NO  BREAKING\n"
                  "  + orders.country  enum value added DK  BREAKING\n"
                  "  ~ orders.country  default NO -> SE  ok\n");
}

static void test_keys_kinds_and_reserved_numbers_stay(void **state)
{
    (void)state;
    assert_change(HEAD "1.3.0\ntables:\n  orders:\n    key: [id, amount]\n    reserved: [9]\n"
                       "    fields:\n" FIELDS,
                  SF_CONFLICT, "  ~ orders  key id -> id, amount  BREAKING\n");
    assert_change(HEAD "1.3.0\ntables:\n  orders:\n    reserved: [9]\n    fields:\n" FIELDS,
                  SF_CONFLICT,
                  "  ~ orders  kind state -> event  BREAKING\n"
                  "  ~ orders  key id -> none  BREAKING\n");
    assert_change(HEAD "1.3.0\ntables:\n  orders:\n    key: [id]\n    fields:\n" FIELDS,
                  SF_CONFLICT, "  - orders  reserved number dropped 9  BREAKING\n");
    assert_change(HEAD "1.3.0\ntables:\n  orders:\n    key: [id]\n    fields:\n" FIELDS
                       "      back: {number: 9, type: bool}\n",
                  SF_CONFLICT, "  + orders.back  reserved number used bool  BREAKING\n");
}

static void assert_refused(const char *before, const char *after, uint16_t number,
                           const char *wanted)
{
    struct sf_product *a = read(before);
    struct sf_product *b = read(after);
    struct sf_compat compat;
    struct sf_error err;

    assert_int_equal(sf_compat_check(a, b, &compat, &err), SF_CONFLICT);
    assert_int_equal(err.number, number);
    assert_string_equal(err.text, wanted);
    sf_compat_done(&compat);
    sf_product_free(a);
    sf_product_free(b);
}

static void test_versions_only_rise(void **state)
{
    (void)state;
    assert_refused(BEFORE, BEFORE, SHEAF_E_VERSION_NOT_HIGHER,
                   "version 1.2.0 is not higher than 1.2.0, which is in force");
    assert_refused(BEFORE, HEAD "1.1.9" TABLE FIELDS, SHEAF_E_VERSION_NOT_HIGHER,
                   "version 1.1.9 is not higher than 1.2.0, which is in force");
    assert_refused(BEFORE, AFTER(ID COUNTRY AMOUNT), SHEAF_E_BREAKING_CHANGE,
                   "1 breaking change needs version 2.0.0; the first: orders.code: field removed "
                   "string -> -");
    assert_refused(
        BEFORE, AFTER(ID AMOUNT), SHEAF_E_BREAKING_CHANGE,
        "2 breaking changes need version 2.0.0; the first: orders.country: field removed "
        "string -> -");
}

static void test_another_major_may_change_anything(void **state)
{
    (void)state;
    assert_change(HEAD "2.0.0" TABLE ID CODE, SF_OK,
                  "  - orders.country  field removed string  BREAKING\n"
                  "  - orders.amount  field removed decimal(12,2)  BREAKING\n");
}

static void test_survives_every_failed_allocation(void **state)
{
    struct sf_product *a = read(BEFORE);
    struct sf_product *b =
        read(HEAD "2.0.0" TABLE ID COUNTRY
                  "      amount: {number: 3, type: \"decimal(12,2)\", min: 1}\n");

    (void)state;
    for (long after = 0;; after++) {
        struct sf_compat compat;
        struct sf_error err;
        enum sf_code code;
        bool hit;

        sf_alloc_fail_after(after, 0);
        code = sf_compat_check(a, b, &compat, &err);
        hit = sf_alloc_faults() > 0;
        sf_alloc_fail_after(-1, 0);
        assert_int_equal(code, hit ? SF_NOMEM : SF_OK);
        sf_compat_done(&compat);
        if (!hit) {
            break;
        }
    }
    sf_product_free(a);
    sf_product_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_optional_fields_and_tables_may_come),
        cmocka_unit_test(test_every_breaking_change_is_listed),
        cmocka_unit_test(test_rules_may_widen_but_not_tighten),
        cmocka_unit_test(test_enum_values_neither_come_nor_go),
        cmocka_unit_test(test_keys_kinds_and_reserved_numbers_stay),
        cmocka_unit_test(test_versions_only_rise),
        cmocka_unit_test(test_another_major_may_change_anything),
        cmocka_unit_test(test_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests_name("compat", tests, NULL, NULL);
}
