/* What a change of policies changes for a consumer. */
#include "tests/lib/cmocka.h"

#include "hub/governance/blast.h"
#include "tests/lib/policies.h"

#define HEAD(name) "sheaf: policy/v1\nname: " name "\n"

/* Lines "change field before -> after policy". */
static void assert_effects(const char *before, const char *after, const char *wanted)
{
    struct sf_product *p = policies_product(policies_customers);
    struct sf_policy_set *old = policies_set(before);
    struct sf_policy_set *new = policies_set(after);
    struct sf_policy_input in[2] = {
        {.platform = old, .product = p, .table = p->tables, .subject = {.domain = "marketing"}}};
    struct blast_effect *effects = NULL;
    struct sf_arena arena;
    struct sf_buf out = {0};
    struct sf_error err;
    size_t count;

    in[1] = in[0];
    in[1].platform = new;
    sf_arena_init(&arena, 0);
    assert_int_equal(blast_compare(&in[0], &in[1], &arena, &effects, &count, &err), SF_OK);
    for (size_t i = 0; i < count; i++) {
        const struct blast_effect *e = &effects[i];

        sf_buf_printf(&out, "%s %s: %s -> %s by %s\n", blast_kind_name(e->kind),
                      e->field == NULL ? "rows" : e->field, e->before, e->after,
                      e->policy == NULL ? "-" : e->policy);
    }
    assert_string_equal(out.size == 0 ? "" : sf_buf_cstr(&out), wanted);
    sf_buf_done(&out);
    sf_arena_done(&arena);
    sf_policy_set_free(old);
    sf_policy_set_free(new);
    sf_product_free(p);
}

static const char mail[] = HEAD("mail") "match: {field: email}\nmask: keep_domain\n";
static const char mail_hash[] = HEAD("mail") "match: {field: email}\nmask: hash\n";
static const char mail_redact[] = HEAD("mail") "match: {field: email}\nmask: redact\n";
static const char notes[] = HEAD("notes") "match: {field: note}\nmask: omit\n";
static const char rows[] = HEAD("rows") "match: all\nfilter: country = 'NO'\n";
static const char more_rows[] = HEAD("rows") "match: all\nfilter: country IN ('NO', 'SE')\n";
static const char deny[] = HEAD("deny") "match: all\ndeny: true\n";

static void test_columns_are_lost_gained_and_changed(void **state)
{
    (void)state;
    assert_effects("", mail, "gains email: omit -> keep_domain by mail\n");
    assert_effects(mail, "", "loses email: keep_domain -> omit by mail\n");
    assert_effects(mail, mail_redact, "loses email: keep_domain -> redact by mail\n");
    assert_effects(mail_redact, mail_hash, "gains email: redact -> hash by mail\n");
    assert_effects(mail, mail_hash, "changes email: keep_domain -> hash by mail\n");
    assert_effects("", notes, "loses note: clear -> omit by notes\n");
    assert_effects(notes, notes, "");
}

static void test_rows_are_lost_gained_and_changed(void **state)
{
    (void)state;
    assert_effects("", rows, "loses rows: all rows -> filter country = 'NO' by rows\n");
    assert_effects(rows, "", "gains rows: filter country = 'NO' -> all rows by rows\n");
    assert_effects(rows, more_rows,
                   "changes rows: filter country = 'NO' -> filter country IN ('NO', 'SE') by "
                   "rows\n");
    assert_effects(notes, deny, "loses rows: all rows -> denied by deny\n");
    assert_effects(deny, rows, "gains rows: denied -> filter country = 'NO' by rows\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_are_lost_gained_and_changed),
        cmocka_unit_test(test_rows_are_lost_gained_and_changed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
