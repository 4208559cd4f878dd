#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

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
    enum sf_code code = sf_compat_check((const struct sf_product *const[]){a}, 1, b, &compat, &err);

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

static void test_policies_of_the_owner_are_told_and_break_nothing(void **state)
{
    struct sf_product *a = read(AFTER(FIELDS) "policies: [{name: x, mask: hash}, {name: y, deny: "
                                              "true}]\n");
    struct sf_product *b = read(
        HEAD "1.4.0" TABLE FIELDS "policies: [{name: z, deny: true}, {name: x, mask: redact}]\n");
    struct sf_compat compat;
    struct sf_buf out = {0};
    struct sf_error err;

    (void)state;
    assert_int_equal(sf_compat_check((const struct sf_product *const[]){a}, 1, b, &compat, &err),
                     SF_OK);
    sf_compat_render(&compat, &out);
    assert_string_equal(sf_buf_cstr(&out),
                        "  ~ policies.x  policy {name: x, mask: hash} -> {name: x, mask: redact}  "
                        "ok\n"
                        "  - policies.y  policy removed policy  ok\n"
                        "  + policies.z  policy added policy  ok\n");
    sf_buf_done(&out);
    sf_compat_done(&compat);
    sf_product_free(a);
    sf_product_free(b);
}

/* Compares two versions with these fields beside the key. */
static void assert_fields(const char *before, const char *after, const char *wanted)
{
    struct sf_buf a = {0};
    struct sf_buf b = {0};
    struct sf_product *old;
    struct sf_product *new;
    struct sf_compat compat;
    struct sf_buf out = {0};
    struct sf_error err;

    sf_buf_printf(&a, HEAD "1.2.0" TABLE ID "%s", before);
    sf_buf_printf(&b, HEAD "1.3.0" TABLE ID "%s", after);
    old = read(sf_buf_cstr(&a));
    new = read(sf_buf_cstr(&b));
    (void)!sf_compat_check((const struct sf_product *const[]){old}, 1, new, &compat, &err);
    sf_compat_render(&compat, &out);
    assert_string_equal(out.size == 0 ? "" : sf_buf_cstr(&out), wanted);
    sf_buf_done(&a);
    sf_buf_done(&b);
    sf_buf_done(&out);
    sf_compat_done(&compat);
    sf_product_free(old);
    sf_product_free(new);
}

#define LINES(rest) "      lines: {number: 2, type: list<struct>" rest "}\n"

static void test_changes_inside_structs_are_named_by_their_path(void **state)
{
    (void)state;
    assert_fields(
        LINES(", max_items: 5, reserved: [9], fields: {qty: {number: 1, type: int32, min: 0}, at: "
              "{number: 2, type: struct, fields: {lat: {number: 1, type: double}}}, sku: {number: "
              "3, type: string}}"),
        LINES(", max_items: 4, fields: {qty: {number: 1, type: string}, at: {number: 2, type: "
              "struct, fields: {lat: {number: 1, type: double, required: true}, lon: {number: 2, "
              "type: double}}}, note: {number: 9, type: string}}"),
        "  ~ orders.lines  max_items 5 -> 4  BREAKING\n"
        "  ~ orders.lines.qty  type int32 -> string  BREAKING\n"
        "  ~ orders.lines.at.lat  required false -> true  BREAKING\n"
        "  + orders.lines.at.lon  field added double  ok\n"
        "  - orders.lines.sku  field removed string  BREAKING\n"
        "  + orders.lines.note  reserved number used string  BREAKING\n");
}

static void test_types_inside_lists_change_as_others(void **state)
{
    (void)state;
    assert_fields("      n: {number: 2, type: list<int32>, min: 0}\n",
                  "      n: {number: 2, type: list<int64>, min: 0}\n",
                  "  ~ orders.n  type list<int32> -> list<int64>  BREAKING\n");
    assert_fields("      n: {number: 2, type: list<int32>, min: 0}\n",
                  "      n: {number: 2, type: list<int32>, min: 1}\n",
                  "  ~ orders.n  min 0 -> 1  BREAKING\n");
    assert_fields("      n: {number: 2, type: int32}\n",
                  "      n: {number: 2, type: list<int32>}\n",
                  "  ~ orders.n  type int32 -> list<int32>  BREAKING\n");
    assert_fields("      n: {number: 2, type: \"decimal(18,2)\"}\n",
                  "      n: {number: 2, type: \"decimal(19,2)\"}\n",
                  "  ~ orders.n  type decimal(18,2) -> decimal(19,2)  BREAKING\n");
    assert_fields("      n: {number: 2, type: list<date>, parse: \"%d.%m.%Y\"}\n",
                  "      n: {number: 2, type: list<date>}\n",
                  "  ~ orders.n  parse %d.%m.%Y -> none  BREAKING\n");
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

    assert_int_equal(sf_compat_check((const struct sf_product *const[]){a}, 1, b, &compat, &err),
                     SF_CONFLICT);
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
                   "string");
    assert_refused(
        BEFORE, AFTER(ID AMOUNT), SHEAF_E_BREAKING_CHANGE,
        "2 breaking changes need version 2.0.0; the first: orders.country: field removed "
        "string");
}

static void test_a_removed_number_must_be_reserved(void **state)
{
    (void)state;
    assert_refused(BEFORE, HEAD "1.3.0\ncompatibility: none" TABLE ID COUNTRY AMOUNT,
                   SHEAF_E_BREAKING_CHANGE,
                   "orders.code is removed: its number 4 and its name must not come back as "
                   "another field, reserve both in its table or struct: reserved: [9, 4, code]");
    assert_refused(BEFORE,
                   HEAD "1.3.0\ncompatibility: none\ntables:\n  orders:\n    key: [id]\n"
                        "    reserved: [4, 9]\n    fields:\n" ID COUNTRY AMOUNT,
                   SHEAF_E_BREAKING_CHANGE,
                   "orders.code is removed: its number 4 and its name must not come back as "
                   "another field, reserve both in its table or struct: reserved: [4, 9, code]");
    assert_refused(BEFORE,
                   HEAD "1.3.0\ncompatibility: none\ntables:\n  orders:\n    key: [id]\n"
                        "    reserved: [9, code]\n    fields:\n" ID COUNTRY AMOUNT,
                   SHEAF_E_BREAKING_CHANGE,
                   "orders.code is removed: its number 4 and its name must not come back as "
                   "another field, reserve both in its table or struct: reserved: [9, code, 4]");
    assert_change(HEAD "1.3.0\ncompatibility: none\ntables:\n  orders:\n    key: [id]\n"
                       "    reserved: [4, 9, code]\n    fields:\n" ID COUNTRY AMOUNT,
                  SF_OK, "  - orders.code  field removed string  breaking, allowed\n");
}

static void test_checks_are_told_and_break_nothing(void **state)
{
    (void)state;
    assert_change(AFTER(FIELDS "    checks: [\"rows >= 1\"]\n"), SF_OK,
                  "  + orders  check added rows >= 1  ok\n");
}

static void test_another_major_may_change_anything(void **state)
{
    (void)state;
    assert_change(HEAD "2.0.0" TABLE ID CODE, SF_OK,
                  "  - orders.country  field removed string  BREAKING\n"
                  "  - orders.amount  field removed decimal(12,2)  BREAKING\n");
}

/* Whether each mode refuses @fields, '!' where it does: full_transitive, full, backward_transitive,
 * backward, forward_transitive, forward, none. */
static void assert_modes(const char *fields, const char *wanted)
{
    struct sf_product *a = read(BEFORE);
    char got[SF_COMPAT_MODES + 1] = "";

    for (size_t i = 0; i < SF_COMPAT_MODES; i++) {
        char text[1024];
        struct sf_product *b;
        struct sf_compat compat;
        struct sf_error err;

        (void)snprintf(text, sizeof(text), HEAD "1.3.0\ncompatibility: %s" TABLE "%s",
                       sf_compat_mode_name((enum sf_compat_mode)i), fields);
        b = read(text);
        got[i] = sf_compat_check((const struct sf_product *const[]){a}, 1, b, &compat, &err) ==
                         SF_CONFLICT
                     ? '!'
                     : '.';
        sf_compat_done(&compat);
        sf_product_free(b);
    }
    sf_product_free(a);
    if (strcmp(got, wanted) != 0) {
        fail_msg("%s: got %s, wanted %s", fields, got, wanted);
    }
}

static void test_a_mode_refuses_what_it_protects_from(void **state)
{
    (void)state;
    assert_modes(FIELDS "      note: {number: 5, type: string}\n", ".......");
    assert_modes(FIELDS "      note: {number: 5, type: string, required: true}\n", "!!!!...");
    assert_modes(
        ID "      country: {number: 2, type: string, enum: [\"NO\", \"SE\", \"DK\"]}\n" AMOUNT CODE,
        "!!..!!.");
    assert_modes(
        ID
        "      country: {number: 2, type: string, enum: [\"NO\"], default: \"NO\"}\n" AMOUNT CODE,
        "!!!!...");
    /* A new name breaks consumers; producers only when their name is no source. */
    assert_modes(ID COUNTRY AMOUNT "      sku: {number: 4, type: string, max_length: 9}\n",
                 "!!!!!!.");
    assert_modes(ID COUNTRY AMOUNT
                 "      sku: {number: 4, type: string, max_length: 9, source: code}\n",
                 "!!..!!.");
    /* A wider decimal holds the old rows. */
    assert_modes(ID COUNTRY "      amount: {number: 3, type: \"decimal(14,2)\", required: true, "
                            "min: 0, unit: EUR}\n" CODE,
                 "!!..!!.");
}

static void test_no_mode_allows_what_makes_stored_rows_unreadable(void **state)
{
    (void)state;
    assert_modes(ID COUNTRY AMOUNT "      code: {number: 4, type: int64}\n", "!!!!!!!");
    assert_modes(ID COUNTRY AMOUNT, "!!!!!!!"); /* number 4 could come back */
    assert_modes(ID COUNTRY AMOUNT "      code: {number: 5, type: string, max_length: 9}\n",
                 "!!!!!!!");
    assert_modes(ID COUNTRY "      amount: {number: 3, type: \"decimal(14,3)\", required: true, "
                            "min: 0, unit: EUR}\n" CODE,
                 "!!!!!!!");
    assert_modes(ID COUNTRY "      amount: {number: 3, type: \"decimal(10,2)\", required: true, "
                            "min: 0, unit: EUR}\n" CODE,
                 "!!!!!!!");
}

/* Versions 1.0.0, 1.1.0 and then @after, each a list of fields. */
static void assert_history(const char *first, const char *second, const char *mode,
                           const char *after, enum sf_code wanted_code, const char *wanted)
{
    char text[1024];
    struct sf_product *before[2];
    struct sf_product *p;
    struct sf_compat compat;
    struct sf_buf out = {0};
    struct sf_error err;

    (void)snprintf(text, sizeof(text), HEAD "1.0.0" TABLE "%s", first);
    before[0] = read(text);
    (void)snprintf(text, sizeof(text), HEAD "1.1.0" TABLE "%s", second);
    before[1] = read(text);
    (void)snprintf(text, sizeof(text), HEAD "1.2.0\ncompatibility: %s" TABLE "%s", mode, after);
    p = read(text);
    assert_int_equal(sf_compat_check((const struct sf_product *const *)before, 2, p, &compat, &err),
                     wanted_code);
    sf_compat_render(&compat, &out);
    assert_string_equal(out.size == 0 ? "" : sf_buf_cstr(&out), wanted);
    sf_buf_done(&out);
    sf_compat_done(&compat);
    sf_product_free(p);
    sf_product_free(before[0]);
    sf_product_free(before[1]);
}

static void test_a_transitive_mode_looks_at_every_version(void **state)
{
    static const char with[] = ID "      a: {number: 5, type: string, enum: [\"x\", \"y\"]}\n";
    static const char without[] = ID;
    static const char back[] = ID "      a: {number: 5, type: string, enum: [\"x\"]}\n";
    static const char another[] = ID "      a: {number: 5, type: int64}\n";

    (void)state;
    assert_history(with, without, "full", back, SF_OK, "  + orders.a  field added string  ok\n");
    assert_history(with, without, "full_transitive", back, SF_CONFLICT,
                   "  + orders.a  field added string  ok\n"
                   "  - orders.a  enum value removed y  BREAKING since 1.0.0\n");
    assert_history(with, without, "forward_transitive", back, SF_OK,
                   "  + orders.a  field added string  ok\n");
    /* The number once meant text: rows of 1.0.0 would be read as numbers. */
    assert_history(with, without, "none", another, SF_CONFLICT,
                   "  + orders.a  field added int64  ok\n"
                   "  ~ orders.a  type string -> int64  BREAKING since 1.0.0\n");
    /* What the newest version says already is not said again. */
    assert_history(with, with, "full_transitive", back, SF_CONFLICT,
                   "  - orders.a  enum value removed y  BREAKING\n");
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
        code = sf_compat_check((const struct sf_product *const[]){a}, 1, b, &compat, &err);
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
        cmocka_unit_test(test_policies_of_the_owner_are_told_and_break_nothing),
        cmocka_unit_test(test_changes_inside_structs_are_named_by_their_path),
        cmocka_unit_test(test_types_inside_lists_change_as_others),
        cmocka_unit_test(test_every_breaking_change_is_listed),
        cmocka_unit_test(test_rules_may_widen_but_not_tighten),
        cmocka_unit_test(test_enum_values_neither_come_nor_go),
        cmocka_unit_test(test_keys_kinds_and_reserved_numbers_stay),
        cmocka_unit_test(test_versions_only_rise),
        cmocka_unit_test(test_a_removed_number_must_be_reserved),
        cmocka_unit_test(test_checks_are_told_and_break_nothing),
        cmocka_unit_test(test_another_major_may_change_anything),
        cmocka_unit_test(test_a_mode_refuses_what_it_protects_from),
        cmocka_unit_test(test_no_mode_allows_what_makes_stored_rows_unreadable),
        cmocka_unit_test(test_a_transitive_mode_looks_at_every_version),
        cmocka_unit_test(test_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests_name("compat", tests, NULL, NULL);
}
