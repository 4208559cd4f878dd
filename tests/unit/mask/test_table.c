#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/contract/product_file.h"
#include "common/contract/product_print.h"
#include "tests/lib/masks.h"

static const char product_text[] =
    "sheaf: product/v1\n"
    "product: crm/people\n"
    "version: 1.0.0\n"
    "status: active\n"
    "tables:\n"
    "  people:\n"
    "    kind: state\n"
    "    key: [id]\n"
    "    event_time: seen_at\n"
    "    checks: [\"rows >= 1\", \"nulls(email) <= 5%\", \"max(score) < 10\"]\n"
    "    fields:\n"
    "      id: {number: 1, type: int64, required: true}\n"
    "      email: {number: 2, type: string, required: true, class: pii, format: email, "
    "max_length: 200, example: a@b.example}\n"
    "      phone: {number: 3, type: string, class: pii, pattern: \"^[0-9]+$\"}\n"
    "      salary: {number: 4, type: \"decimal(12,2)\", required: true, min: 0.5, max: 99999}\n"
    "      born: {number: 5, type: date, min: \"1900-05-05\"}\n"
    "      score: {number: 6, type: double, required: true, min: 0.5, max: 9.99}\n"
    "      gone: {number: 7, type: string}\n"
    "      seen_at: {number: 8, type: timestamp, required: true}\n"
    "      tags: {number: 9, type: \"list<string>\", required: true, enum: [vip, lost]}\n"
    "      home: {number: 10, type: struct, fields: {street: {number: 1, type: string, "
    "pattern: \"^A\", example: Avenue}, since: {number: 2, type: date}}}\n";

static struct sf_product *read_product(struct sf_slice text)
{
    struct sf_issues issues;
    struct sf_product *p = NULL;
    struct sf_buf out = {0};
    struct sf_error err;

    sf_issues_init(&issues, "product.yaml", text);
    if (sf_product_parse(&issues, &p, &err) != SF_OK) {
        sf_issues_render(&issues, &out);
        fail_msg("%s", sf_buf_cstr(&out));
    }
    sf_issues_done(&issues);
    return p;
}

/* The product with its table masked, as text, which reads back as the same. */
static void assert_seen(const char *const *texts, const char *wanted)
{
    SF_CLEANUP(sf_product_freep) struct sf_product *p = read_product(sf_slice_text(product_text));
    struct sf_product seen = *p;
    struct sf_product *again;
    struct sf_mask masks[16] = {0};
    struct sf_arena arena;
    struct sf_buf out = {0};
    struct sf_error err;
    char why[SF_MASK_WHY_SIZE] = "";

    sf_arena_init(&arena, 0);
    for (size_t i = 0; i < p->tables[0].field_count; i++) {
        if (texts[i] != NULL) {
            masks[i] = masks_of(texts[i], &arena);
        }
        if (!sf_mask_fits(&masks[i], &p->tables[0].fields[i], why)) {
            fail_msg("%s %s", texts[i], why);
        }
    }
    seen.tables = sf_mask_table(&p->tables[0], masks, &arena);
    assert_non_null(seen.tables);
    sf_product_print(&seen, NULL, &out);
    assert_int_equal(sf_buf_check(&out, "product", &err), SF_OK);
    assert_non_null(strstr(sf_buf_cstr(&out), "tables:\n"));
    assert_string_equal(strstr(sf_buf_cstr(&out), "tables:\n"), wanted);
    again = read_product(sf_buf_view(&out));
    assert_true(sf_product_equal(&seen, again));
    sf_product_free(again);
    sf_buf_done(&out);
    sf_arena_done(&arena);
}

static void test_types_and_rules_are_those_that_hold_for_what_is_seen(void **state)
{
    static const char *const masks[] = {
        "hash",     "keep_domain", "keep_last(4)",  "round(-2)", "truncate(month)",
        "round(1)", "omit",        "truncate(day)", "null",      "null"};

    (void)state;
    assert_seen(masks,
                "tables:\n"
                "  people:\n"
                "    kind: state\n"
                "    key: [id]\n"
                "    event_time: seen_at\n"
                "    checks: [\"rows >= 1\"]\n"
                "    fields:\n"
                "      id:      {number: 1, type: string, required: true, min_length: 32, "
                "max_length: 32}\n"
                "      email:   {number: 2, type: string, required: true, class: pii, "
                "min_length: 3}\n"
                "      phone:   {number: 3, type: string, class: pii, min_length: 7, "
                "max_length: 7}\n"
                "      salary:  {number: 4, type: \"decimal(12,2)\", required: true, min: 0.00, "
                "max: 100000.00}\n"
                "      born:    {number: 5, type: date, min: \"1900-05-01\"}\n"
                "      score:   {number: 6, type: double, min: 0.5, max: 10}\n"
                "      seen_at: {number: 8, type: timestamp, required: true}\n"
                "      tags:    {number: 9, type: \"list<string>\"}\n"
                "      home:    {number: 10, type: struct, fields: {street: {number: 1, type: "
                "string}, since: {number: 2, type: date}}}\n"
                "access: {default: request}\n");
}

static void test_a_table_whose_key_is_not_seen_is_one_of_events(void **state)
{
    static const char *const masks[] = {"bucket(10)", NULL, "omit", "omit", "omit",
                                        "omit",       NULL, "null", NULL,   "omit"};

    (void)state;
    assert_seen(masks, "tables:\n"
                       "  people:\n"
                       "    kind: event\n"
                       "    checks: [\"rows >= 1\", \"nulls(email) <= 5%\"]\n"
                       "    fields:\n"
                       "      id:      {number: 1, type: int64, required: true}\n"
                       "      email:   {number: 2, type: string, required: true, class: pii, "
                       "format: email, max_length: 200, example: a@b.example}\n"
                       "      gone:    {number: 7, type: string}\n"
                       "      seen_at: {number: 8, type: timestamp}\n"
                       "      tags:    {number: 9, type: \"list<string>\", required: true, "
                       "enum: [\"vip\", \"lost\"]}\n"
                       "access: {default: request}\n");
}

static void test_no_memory_gives_no_table(void **state)
{
    SF_CLEANUP(sf_product_freep) struct sf_product *p = read_product(sf_slice_text(product_text));
    struct sf_mask masks[16] = {
        [3] = {.kind = SF_MASK_ROUND, .digits = -2}, [9] = {.kind = SF_MASK_NULL}};
    long faults = 1;

    (void)state;
    for (long n = 0; faults > 0; n++) {
        const struct sf_table *seen;
        struct sf_arena arena;

        sf_arena_init(&arena, 0);
        sf_alloc_fail_after(n, 0);
        seen = sf_mask_table(&p->tables[0], masks, &arena);
        faults = sf_alloc_faults();
        sf_alloc_fail_after(-1, 0);
        assert_int_equal(seen == NULL, faults > 0);
        sf_arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types_and_rules_are_those_that_hold_for_what_is_seen),
        cmocka_unit_test(test_a_table_whose_key_is_not_seen_is_one_of_events),
        cmocka_unit_test(test_no_memory_gives_no_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
