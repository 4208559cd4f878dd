/*
 * The input is a file of policies. It is read or reported; what is read can be told apart into
 * documents, which added one by one from the last to the first decide the same, and what it decides
 * fits the fields it is about.
 */
#include "common/policy/policy.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/rows.h"

static const char *const tags[] = {"eu-only", "x"};

static struct sf_policy_view *decide(const struct sf_policy_set *s, const struct sf_table *t)
{
    struct sf_product p = {.domain = "sales", .name = "orders", .tags = tags};
    struct sf_policy_input in = {.platform = s,
                                 .product = &p,
                                 .table = t,
                                 .subject = {.domain = "marketing", .purpose = "fraud"},
                                 .now_us = INT64_C(1790000000000000)};
    struct sf_policy_view *v = NULL;

    p.tag_count = SF_COUNT(tags);
    p.version.major = 1;
    p.status = SF_STATUS_ACTIVE;
    p.tables = t;
    p.table_count = 1;
    in.subject.roles = tags;
    in.subject.role_count = SF_COUNT(tags);
    fuzz_check(sf_policy_decide(&in, &v, NULL) == SF_OK);
    for (size_t i = 0; i < t->field_count; i++) {
        char why[SF_MASK_WHY_SIZE];

        fuzz_check(sf_mask_fits(&v->masks[i], &t->fields[i], why));
        fuzz_check(!v->denied || v->masks[i].kind == SF_MASK_OMIT);
    }
    return v;
}

/* Both sets make the same of the table. */
static void compare(const struct sf_policy_set *a, const struct sf_policy_set *b,
                    const struct sf_table *t)
{
    struct sf_policy_view *x = decide(a, t);
    struct sf_policy_view *y = decide(b, t);

    fuzz_check(sf_slice_equal(x->canon, y->canon));
    fuzz_check(x->until_us == y->until_us && x->denied == y->denied);
    sf_policy_view_free(x);
    sf_policy_view_free(y);
}

static bool add(struct sf_policy_set *s, struct sf_slice text, uint32_t line)
{
    struct sf_issues issues;
    struct sf_buf shown = {0};
    enum sf_code code;

    sf_issues_init(&issues, "f.yaml", text);
    code = sf_policy_set_add(s, &issues, line, NULL);
    sf_issues_render(&issues, &shown);
    fuzz_check(code == SF_OK || code == SF_INVALID);
    fuzz_check((code == SF_OK) == (issues.error_count == 0));
    sf_buf_done(&shown);
    sf_issues_done(&issues);
    return code == SF_OK;
}

static void check_read(const struct sf_policy_set *whole, struct sf_slice text)
{
    struct sf_policy_set *parts = sf_policy_set_new();
    struct sf_policy_document *docs = NULL;
    struct sf_issues issues;
    struct sf_arena arena;
    size_t count = 0;

    sf_arena_init(&arena, 0);
    sf_issues_init(&issues, "f.yaml", text);
    fuzz_check(sf_policy_split(&issues, &arena, &docs, &count, NULL) == SF_OK);
    fuzz_check(count == sf_policy_set_count(whole));
    for (size_t i = count; i > 0; i--) {
        fuzz_check(add(parts, docs[i - 1].text, docs[i - 1].line));
    }
    fuzz_check(sf_policy_set_count(parts) == count);
    compare(whole, parts, rows_all_types());
    compare(whole, parts, rows_nested());
    sf_policy_set_free(parts);
    sf_issues_done(&issues);
    sf_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sf_policy_set *s = sf_policy_set_new();

    if (add(s, sf_slice_of(data, size), 1)) {
        check_read(s, sf_slice_of(data, size));
    } else {
        fuzz_check(sf_policy_set_count(s) == 0);
    }
    sf_policy_set_free(s);
    return 0;
}
