/* What a contract declares of its input: trimmed, recased, missing, parsed; in this order, counted.
 */
#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/contract/compat.h"
#include "common/contract/product_file.h"
#include "common/contract/product_print.h"
#include "common/contract/record.h"
#include "common/contract/value.h"
#include "proto/errors.h"

#define HEAD                                                                                       \
    "sheaf: product/v1\nproduct: d/p\nversion: 1.0.0\nowner: t\ndescription: d\ntables:\n  t:\n"   \
    "    fields:\n"

static const char cleaned[] =
    HEAD "      a: {number: 1, type: string, trim: true, case: lower, missing: [\"\", \"n/a\"]}\n"
         "      b: {number: 2, type: int32, trim: true, missing: {texts: [\"-\"], as: \"null\"}, "
         "default: 7}\n"
         "      c: {number: 3, type: \"decimal(9,2)\", parse: \"1.234,56\"}\n"
         "      d: {number: 4, type: date, parse: [iso, \"%d.%m.%Y\", \"%Y%m%d\"]}\n"
         "      e: {number: 5, type: timestamp, parse: [\"%Y/%m/%d %H:%M\", unix]}\n"
         "      f: {number: 6, type: bool, trim: true, missing: {texts: [\"?\"], as: refuse}}\n"
         "      g: {number: 7, type: string, case: upper, default: \"NO\"}\n"
         "      h: {number: 8, type: double, parse: \"1 234,56\"}\n"
         "      i: {number: 9, type: string}\n";

static struct sf_product *product_of(const char *text)
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

struct world {
    struct sf_product *p;
    const struct sf_table *t;
    struct sf_record_reader *reader;
    struct sf_value values[16];
    struct sf_verdict verdict;
    char text[512];
};

static void open_world(struct world *w)
{
    *w = (struct world){.p = product_of(cleaned)};
    w->t = &w->p->tables[0];
    assert_int_equal(sf_record_reader_new(w->t, &w->reader, NULL), SF_OK);
}

static void close_world(struct world *w)
{
    sf_record_reader_free(w->reader);
    sf_product_free(w->p);
}

/* "a|7||..." of the values, or "204 'c' ..." of what is wrong. */
static const char *said(struct world *w)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};

    for (uint32_t i = 0; i < w->verdict.count; i++) {
        sf_buf_printf(&out, "%s%u %s", i == 0 ? "" : "; ", w->verdict.list[i].number,
                      w->verdict.list[i].text);
    }
    for (size_t i = 0; w->verdict.found == 0 && i < w->t->field_count; i++) {
        sf_buf_text(&out, i == 0 ? "" : "|");
        if (w->values[i].present) {
            sf_value_format(&w->t->fields[i], &w->values[i], &out);
        }
    }
    (void)snprintf(w->text, sizeof(w->text), "%.*s", (int)out.size, (const char *)out.data);
    return w->text;
}

static const char *json(struct world *w, const char *line)
{
    assert_int_equal(
        sf_record_from_json(w->reader, sf_slice_text(line), w->values, &w->verdict, NULL), SF_OK);
    return said(w);
}

static const char *csv(struct world *w, const char *text)
{
    SF_CLEANUP(sf_csv_done) struct sf_csv c = {0};
    struct sf_slice rest = sf_slice_text(text);

    assert_int_equal(sf_csv_next(&c, &rest, true, NULL), SF_OK);
    assert_int_equal(sf_record_bind_csv(w->reader, &c, NULL), SF_OK);
    assert_int_equal(sf_csv_next(&c, &rest, true, NULL), SF_OK);
    assert_int_equal(sf_record_from_csv(w->reader, &c, w->values, &w->verdict, NULL), SF_OK);
    return said(w);
}

static void texts_are_cleaned_before_they_are_read(void **state)
{
    struct world w;

    (void)state;
    open_world(&w);
    assert_string_equal(
        json(&w, "{\"a\":\"  \\u00c6bC \\u00a0\",\"b\":5,\"c\":\"-1.234,5\",\"d\":\"20.11.2026\","
                 "\"e\":\"2026/11/20 08:01\",\"f\":true,\"g\":\"\\u00e5 b\",\"h\":\"1 000\","
                 "\"i\":\" x \"}"),
        "\xc3\xa6"
        "bc|5|-1234.50|2026-11-20|2026-11-20T08:01:00.000000Z|true|\xc3\x85 B|1000| x ");
    assert_string_equal(json(&w, "{\"d\":\"2026-11-20\",\"e\":1795159260,\"c\":12.5,\"h\":2.5}"),
                        "|7|12.50|2026-11-20|2026-11-20T07:21:00.000000Z||NO|2.5|");
    assert_string_equal(json(&w, "{\"c\":\"12.5\"}"), "204 'c' must be a number like 1.234,56");
    assert_string_equal(json(&w, "{\"d\":\"20261120\",\"e\":1795159260}"),
                        "|7||2026-11-20|2026-11-20T07:21:00.000000Z||NO||");
    assert_string_equal(csv(&w, "a,b,c,d,e,f,g,h\n Ab ,\" 12\",\"1.000,01\",20.11.2026,1795159260,"
                                " 0,x,\"-7,25\"\n"),
                        "ab|12|1000.01|2026-11-20|2026-11-20T07:21:00.000000Z|false|X|-7.25|");
    close_world(&w);
}

static void a_missing_value_becomes_what_is_declared(void **state)
{
    struct world w;

    (void)state;
    open_world(&w);
    assert_string_equal(json(&w, "{\"a\":\" \",\"b\":\" - \"}"), "||||||NO||");
    assert_string_equal(json(&w, "{\"a\":\"N/A\",\"b\":null}"),
                        "n/a|7|||||NO||"); /* trim, missing, case */
    assert_string_equal(csv(&w, "a,b,f\nn/a,-,\n"), "||||||NO||");
    assert_string_equal(json(&w, "{\"f\":\" ?\"}"), "206 'f' is missing");
    close_world(&w);
}

/* Only what is declared is converted. */
static void in_json_a_string_is_still_no_number(void **state)
{
    struct world w;

    (void)state;
    open_world(&w);
    assert_string_equal(json(&w, "{\"b\":\" 5 \"}"), "204 'b' must be a whole number");
    assert_string_equal(json(&w, "{\"f\":\"true\"}"), "204 'f' must be true or false");
    assert_string_equal(json(&w, "{\"d\":20261120}"),
                        "204 'd' must be text like 'iso', or as its other formats");
    assert_string_equal(json(&w, "{\"d\":\"31.02.2026\"}"), "205 'd' is not in the calendar");
    assert_string_equal(json(&w, "{\"e\":99999999999999}"), "205 'e' is not in the calendar");
    close_world(&w);
}

static void what_was_done_is_counted_per_field(void **state)
{
    const struct sf_clean_counts *c;
    struct world w;

    (void)state;
    open_world(&w);
    (void)json(&w, "{\"a\":\" A\",\"c\":\"1,5\",\"d\":\"2026-11-20\",\"g\":\"x\"}");
    (void)json(&w, "{\"a\":\"a\",\"b\":\"-\",\"c\":\"?\"}");
    c = sf_record_counts(w.reader);
    assert_int_equal(c[0].trimmed, 1);
    assert_int_equal(c[0].cased, 1);
    assert_int_equal(c[0].missing, 0);
    assert_int_equal(c[1].missing, 1);
    assert_int_equal(c[1].defaulted, 1);
    assert_int_equal(c[2].parsed, 1);
    assert_int_equal(c[3].parsed, 1);
    assert_int_equal(c[6].cased, 1);
    assert_int_equal(c[6].defaulted, 1);
    assert_false(sf_clean_counts_any(&c[8]));
    sf_record_counts_reset(w.reader);
    /* A record that is read a second time, as a document, counts once. */
    (void)json(&w, "{\"a\":\" A\",\"i\":\"\\u0041\"}");
    (void)json(&w, "{\"a\":\" A\",\"nobody\":1}");
    assert_int_equal(c[0].trimmed, 2);
    sf_record_counts_reset(w.reader);
    assert_false(sf_clean_counts_any(&c[0]));
    close_world(&w);
}

static void fields_that_declare_nothing_have_no_counters(void **state)
{
    struct sf_product *p = product_of(HEAD "      a: {number: 1, type: string}\n");
    struct sf_record_reader *reader = NULL;

    (void)state;
    assert_int_equal(sf_record_reader_new(&p->tables[0], &reader, NULL), SF_OK);
    assert_null(p->tables[0].fields[0].clean);
    assert_null(sf_record_counts(reader));
    sf_record_reader_free(reader);
    sf_product_free(p);
}

/* Every number of three styles, written by a model, is read back; nothing else is. */
static void numbers_are_read_in_their_style_only(void **state)
{
    static const struct {
        enum sf_number_style style;
        const char *good;
        const char *read;
        const char *bad[6];
    } cases[] = {
        {SF_NUMBER_COMMA_POINT,
         "-1,234,567.89",
         "-1234567.89",
         {"1,23.4", "1234,567", ",123", "1,234,56", "1.2.3", "1,234.5,6"}},
        {SF_NUMBER_POINT_COMMA, "+12.345,6", "12345.6", {"1,2,3", "1.23", "", "-", "1,", "1e5"}},
        {SF_NUMBER_SPACE_COMMA,
         "1\xc2\xa0"
         "234\xe2\x80\xaf"
         "567 890,5",
         "1234567890.5",
         {"1 23", "1  234", " 1", "1 ", "1.5", "1,5 "}},
        {SF_NUMBER_APOSTROPHE_POINT,
         "999'000.25",
         "999000.25",
         {"9'99", "'999", "1'2345", "1,5", "x", "1'234'"}},
    };
    struct sf_arena arena;

    (void)state;
    sf_arena_init(&arena, 0);
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        struct sf_slice text = sf_slice_text(cases[i].good);
        bool no_memory;

        assert_int_equal(sf_clean_number(cases[i].style, &arena, &text, &no_memory), SF_PARSE_OK);
        assert_true(sf_slice_equal(text, sf_slice_text(cases[i].read)));
        for (size_t b = 0; b < SF_COUNT(cases[i].bad); b++) {
            text = sf_slice_text(cases[i].bad[b]);
            if (sf_clean_number(cases[i].style, &arena, &text, &no_memory) != SF_PARSE_SYNTAX) {
                fail_msg("'%s' was read", cases[i].bad[b]);
            }
        }
    }
    for (uint32_t n = 1; n < 4000000000U / 3; n = n * 3 + 1) {
        char written[32];
        char plain[32];
        struct sf_slice text;
        bool no_memory;
        size_t at = 0;
        const int digits = snprintf(plain, sizeof(plain), "%u", n);

        for (int i = 0; i < digits; i++) {
            if (i > 0 && (digits - i) % 3 == 0) {
                written[at++] = '.';
            }
            written[at++] = plain[i];
        }
        text = sf_slice_of((const uint8_t *)written, at);
        assert_int_equal(sf_clean_number(SF_NUMBER_POINT_COMMA, &arena, &text, &no_memory),
                         SF_PARSE_OK);
        assert_true(sf_slice_equal(text, sf_slice_text(plain)));
    }
    sf_arena_done(&arena);
}

static void the_file_is_printed_as_it_is_read(void **state)
{
    struct sf_product *p = product_of(cleaned);
    SF_CLEANUP(sf_buf_done) struct sf_buf first = {0};
    SF_CLEANUP(sf_buf_done) struct sf_buf second = {0};

    (void)state;
    sf_product_print(p, NULL, &first);
    sf_product_free(p);
    assert_non_null(
        strstr(sf_buf_cstr(&first), "trim: true, missing: {texts: [\"-\"], as: \"null\"}"));
    assert_non_null(strstr(sf_buf_cstr(&first), "parse: [iso, \"%d.%m.%Y\", \"%Y%m%d\"]"));
    assert_non_null(strstr(sf_buf_cstr(&first), "case: lower, missing: [\"\", \"n/a\"]"));
    p = product_of(sf_buf_cstr(&first));
    sf_product_print(p, NULL, &second);
    sf_product_free(p);
    assert_string_equal(sf_buf_cstr(&first), sf_buf_cstr(&second));
}

static void mistakes_are_told_at_their_place(void **state)
{
    static const struct {
        const char *field;
        const char *wanted;
    } cases[] = {
        {"type: string, trim: yes", "9:42: trim must be true or false"},
        {"type: string, case: loud", "9:42: unknown case 'loud'"},
        {"type: int32, case: lower", "9:35: case is for strings, not for int32"},
        {"type: json, trim: true", "9:34: trim is for single values, not for json"},
        {"type: list<string>, case: lower", "9:42: case is for single values, not for list"},
        {"type: string, parse: \"%Y\"",
         "9:36: parse is for dates, timestamps and numbers, not for string"},
        {"type: int32, parse: \"1_000\"", "9:42: unknown parse '1_000'"},
        {"type: date, parse: [unix]", "9:42: unix is for timestamps"},
        {"type: date, parse: []", "9:41: parse has 1 to 8 formats"},
        {"type: date, parse: [iso, iso]", "9:47: 'iso' stands twice in parse"},
        {"type: string, missing: []", "9:45: missing has 1 to 32 texts"},
        {"type: string, missing: {as: \"null\"}", "9:36: missing has no texts"},
        {"type: string, missing: {texts: [x], as: zero}", "9:62: unknown as 'zero'"},
        {"type: string, required: true, missing: {texts: [x], as: null}",
         "9:78: field 'a' is required, so a missing value is refused: as: refuse"},
        {"type: string, missing: {texts: [x], as: default}", "9:62: field 'a' has no default"},
        {"type: string, required: true, missing: {texts: [x], as: \"null\"}",
         "9:78: field 'a' is required, so a missing value is refused: as: refuse"},
        {"type: string, missing: [x, x]", "9:49: 'x' stands twice in missing"},
        {"type: string, trim: true, missing: [\" \"]",
         "9:58: ' ' never comes: white space at its ends is trimmed before"},
        {"type: string, case: lower, enum: [a, B]",
         "9:59: enum value 'B' never comes: it would be stored as 'b'"},
        {"type: string, trim: true, default: \" a\"",
         "9:57: default ' a' never comes: it would be stored as 'a'"},
    };

    int wrong = 0;

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        struct sf_issues issues;
        struct sf_product *p = NULL;
        struct sf_error err = {.text = ""};
        char text[512];

        (void)snprintf(text, sizeof(text), HEAD "      a: {number: 1, %s}\n", cases[i].field);
        sf_issues_init(&issues, "p.yaml", sf_slice_text(text));
        assert_int_equal(sf_product_parse(&issues, &p, &err), SF_INVALID);
        if (strncmp(err.text, "p.yaml:", 7) != 0 ||
            strncmp(err.text + 7, cases[i].wanted, strlen(cases[i].wanted)) != 0) {
            print_message("%s\ngives  '%s'\nwanted '%s'\n", cases[i].field, err.text,
                          cases[i].wanted);
            wrong++;
        }
        sf_product_free(p);
        sf_issues_done(&issues);
    }
    assert_int_equal(wrong, 0);
}

/* dedupe and unchanged of a table: read, printed, and their mistakes. */
static void repetitions_are_declared_per_table(void **state)
{
    static const char *const bad[][2] = {
        {"dedupe: {by: content}", "p.yaml:9:5: dedupe has no within"},
        {"dedupe: {within: 1h}", "p.yaml:9:5: dedupe has no by"},
        {"dedupe: {by: contents, within: 1h}", "p.yaml:9:18: unknown by 'contents'"},
        {"dedupe: {by: [a, z], within: 1h}", "p.yaml:9:22: dedupe 'z' is no field"},
        {"dedupe: {by: [a, a], within: 1h}", "p.yaml:9:22: 'a' stands twice in dedupe"},
        {"dedupe: {by: content, within: 31d}", "p.yaml:9:35: within is between 1s and 30d"},
        {"dedupe: {by: content, withn: 1h}", "p.yaml:9:5: dedupe has no within"},
        {"unchanged: never", "p.yaml:9:16: unknown unchanged 'never'"},
        {"kind: event\n    dedupe: {by: key, within: 1h}",
         "p.yaml:10:18: an event table has no key: name content, or fields"},
        {"kind: event\n    unchanged: skip",
         "p.yaml:10:5: unchanged is for state tables: events replace nothing"},
    };
    static const char good[] = "sheaf: product/v1\nproduct: d/p\nversion: 1.0.0\nowner: t\n"
                               "description: d\ntables:\n  t:\n    key: [a]\n"
                               "    dedupe: {by: [b, a], within: 90m}\n    unchanged: skip\n"
                               "    fields:\n      a: {number: 1, type: string, required: true}\n"
                               "      b: {number: 2, type: string}\n";
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    struct sf_product *p = product_of(good);

    (void)state;
    assert_int_equal(p->tables[0].dedupe, SF_DEDUPE_FIELDS);
    assert_int_equal(p->tables[0].dedupe_fields[0], 0); /* ascending */
    assert_int_equal(p->tables[0].dedupe_within_us, INT64_C(5400000000));
    assert_true(p->tables[0].skip_unchanged);
    sf_product_print(p, NULL, &out);
    assert_non_null(strstr(sf_buf_cstr(&out), "    dedupe: {by: [a, b], within: 90m}\n"
                                              "    unchanged: skip\n"));
    sf_product_free(p);
    for (size_t i = 0; i < SF_COUNT(bad); i++) {
        struct sf_issues issues;
        struct sf_error err = {.text = ""};
        char text[512];

        (void)snprintf(text, sizeof(text),
                       "sheaf: product/v1\nproduct: d/p\nversion: 1.0.0\nowner: t\n"
                       "description: d\ntables:\n  t:\n    %s\n    %s\n    fields:\n"
                       "      a: {number: 1, type: string, required: true}\n",
                       strncmp(bad[i][0], "kind: event", 11) == 0 ? "description: e" : "key: [a]",
                       bad[i][0]);
        sf_issues_init(&issues, "p.yaml", sf_slice_text(text));
        p = NULL;
        assert_int_equal(sf_product_parse(&issues, &p, &err), SF_INVALID);
        assert_string_equal(err.text, bad[i][1]);
        sf_issues_done(&issues);
    }
}

static void changes_that_lose_input_are_breaking(void **state)
{
    static const struct {
        const char *before;
        const char *after;
        const char *notes;
    } cases[] = {
        {"type: date", "type: date, parse: [iso, \"%d.%m.%Y\"]",
         "  ~ t.a  parse iso -> iso, %d.%m.%Y  ok\n"},
        {"type: date, parse: \"%d.%m.%Y\"", "type: date, parse: [\"%d.%m.%Y\", iso]",
         "  ~ t.a  parse %d.%m.%Y -> %d.%m.%Y, iso  ok\n"},
        {"type: date", "type: date, parse: \"%d.%m.%Y\"",
         "  ~ t.a  parse none -> %d.%m.%Y  BREAKING\n"},
        {"type: int32", "type: int32, parse: \"1,234.56\"",
         "  ~ t.a  parse none -> 1,234.56  BREAKING\n"},
        {"type: string", "type: string, trim: true", "  ~ t.a  trim false -> true  ok\n"},
        {"type: string", "type: string, case: lower", "  ~ t.a  case none -> lower  BREAKING\n"},
        {"type: int32", "type: int32, missing: [\"NA\"]", "  + t.a  missing text added NA  ok\n"},
        {"type: string", "type: string, missing: [\"NA\"]",
         "  + t.a  missing text added NA  BREAKING\n"},
        {"type: int32, missing: [\"NA\"]", "type: int32",
         "  - t.a  missing text removed NA  BREAKING\n"},
        {"type: int32, missing: [\"NA\"]", "type: int32, missing: {texts: [\"NA\"], as: refuse}",
         "  ~ t.a  missing default -> refuse  BREAKING\n"},
    };

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        char text[2][512];
        struct sf_product *p[2];
        struct sf_compat compat;
        SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
        struct sf_error err;

        for (int k = 0; k < 2; k++) {
            (void)snprintf(text[k], sizeof(text[k]), HEAD "      a: {number: 1, %s}\n",
                           k == 0 ? cases[i].before : cases[i].after);
            text[k][strlen("sheaf: product/v1\nproduct: d/p\nversion: 1.")] = k == 0 ? '0' : '1';
            p[k] = product_of(text[k]);
        }
        assert_int_equal(
            sf_compat_check((const struct sf_product *const[]){p[0]}, 1, p[1], &compat, &err),
            strstr(cases[i].notes, "BREAKING") != NULL ? SF_CONFLICT : SF_OK);
        sf_compat_render(&compat, &out);
        assert_string_equal(out.size == 0 ? "" : sf_buf_cstr(&out), cases[i].notes);
        sf_compat_done(&compat);
        sf_product_free(p[0]);
        sf_product_free(p[1]);
    }
}

static void every_failed_allocation_is_said(void **state)
{
    static const char line[] =
        "{\"a\":\" A\",\"c\":\"1,5\",\"d\":\"20.11.2026\",\"g\":\"x\",\"h\":\"1\"}";
    bool failed = true;

    (void)state;
    for (long n = 0; failed; n++) {
        struct sf_issues issues;
        struct sf_product *p = NULL;
        struct sf_record_reader *reader = NULL;
        struct sf_value values[16];
        struct sf_verdict verdict;
        struct sf_error err;
        enum sf_code code;

        sf_issues_init(&issues, "p.yaml", sf_slice_text(cleaned));
        sf_alloc_fail_after(n, 0);
        code = sf_product_parse(&issues, &p, &err);
        code = code == SF_OK ? sf_record_reader_new(&p->tables[0], &reader, &err) : code;
        code = code == SF_OK
                   ? sf_record_from_json(reader, sf_slice_text(line), values, &verdict, &err)
                   : code;
        failed = sf_alloc_faults() > 0;
        sf_alloc_fail_after(-1, 0);
        assert_int_equal(code, failed ? SF_NOMEM : SF_OK);
        sf_record_reader_free(reader);
        sf_product_free(p);
        sf_issues_done(&issues);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_cleaned_before_they_are_read),
        cmocka_unit_test(a_missing_value_becomes_what_is_declared),
        cmocka_unit_test(in_json_a_string_is_still_no_number),
        cmocka_unit_test(what_was_done_is_counted_per_field),
        cmocka_unit_test(fields_that_declare_nothing_have_no_counters),
        cmocka_unit_test(numbers_are_read_in_their_style_only),
        cmocka_unit_test(the_file_is_printed_as_it_is_read),
        cmocka_unit_test(mistakes_are_told_at_their_place),
        cmocka_unit_test(repetitions_are_declared_per_table),
        cmocka_unit_test(changes_that_lose_input_are_breaking),
        cmocka_unit_test(every_failed_allocation_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
