/* What holds of any policies: their order, and what one more may do. */
#include "tests/lib/cmocka.h"

#include <stdlib.h>

#include "tests/lib/policies.h"

enum { ROUNDS = 400, RULES_MAX = 6 };

static const int64_t now_us = INT64_C(1790000000000000); /* 2026 */

/* Policies as texts, so that they can be put together in any order. */
struct world {
    struct rows_random random;
    struct sf_product *product;
    struct sf_buf texts[RULES_MAX];
    size_t count;
};

static void world_done(struct world *w)
{
    for (size_t i = 0; i < w->count; i++) {
        sf_buf_done(&w->texts[i]);
    }
    w->count = 0;
}

static void world_draw(struct world *w)
{
    w->count = 1 + rows_below(&w->random, RULES_MAX - 1);
    for (size_t i = 0; i < w->count; i++) {
        w->texts[i] = (struct sf_buf){0};
        policies_random(&w->random, (unsigned)i, &w->texts[i]);
    }
}

/* The texts from..to-1, rotated by @turn; NULL when there are none. */
static struct sf_policy_set *set_of(struct world *w, size_t from, size_t to, size_t turn)
{
    struct sf_buf all = {0};
    struct sf_policy_set *s;

    for (size_t i = from; i < to; i++) {
        sf_buf_slice(&all, sf_buf_view(&w->texts[from + (i - from + turn) % (to - from)]));
    }
    s = policies_set(sf_buf_cstr(&all));
    sf_buf_done(&all);
    return s;
}

static const char *const dpo[] = {"dpo"};

static struct sf_policy_view *view(struct world *w, const struct sf_policy_set *platform,
                                   const struct sf_policy_set *owner)
{
    static const char *const domains[] = {"marketing", "finance", "hr"};
    struct sf_policy_input in = {.platform = platform,
                                 .owner = owner,
                                 .product = w->product,
                                 .table = w->product->tables,
                                 .now_us = now_us};
    struct sf_policy_view *v = NULL;
    struct sf_error err;
    uint64_t who = w->random.state; /* the same until the next draw */

    in.subject.domain = domains[who % 3];
    in.subject.roles = dpo;
    in.subject.role_count = who / 3 % 2;
    in.subject.purpose = who / 6 % 2 == 0 ? "fraud" : "churn";
    assert_int_equal(sf_policy_decide(&in, &v, &err), SF_OK);
    return v;
}

static void assert_same_view(const struct sf_policy_view *a, const struct sf_policy_view *b)
{
    assert_int_equal(a->canon.size, b->canon.size);
    assert_memory_equal(a->canon.data, b->canon.data, a->canon.size);
    assert_int_equal(a->until_us, b->until_us);
    for (size_t i = 0; i < a->field_count; i++) {
        assert_int_equal(a->causes[i].by, b->causes[i].by);
        if (a->causes[i].by == SF_POLICY_BY_RULE) {
            assert_string_equal(a->causes[i].policy, b->causes[i].policy);
        }
    }
}

static bool has_filter(const struct sf_policy_view *v, const char *text)
{
    for (size_t i = 0; i < v->filter_count; i++) {
        if (strcmp(v->filters[i].text, text) == 0) {
            return true;
        }
    }
    return false;
}

/* Nothing is seen in @after that is not seen in @before, but for what the safe default hid. */
static void assert_no_looser(const struct world *w, const struct sf_policy_view *before,
                             const struct sf_policy_view *after)
{
    if (before->denied) {
        assert_true(after->denied);
    }
    for (size_t i = 0; i < before->filter_count && !after->denied; i++) {
        assert_true(has_filter(after, before->filters[i].text));
    }
    for (size_t i = 0; i < before->field_count && !after->denied; i++) {
        const struct sf_mask both =
            sf_mask_combine(&w->product->tables->fields[i], &before->masks[i], &after->masks[i]);

        if (before->causes[i].by != SF_POLICY_BY_DEFAULT) {
            assert_int_equal(both.kind, after->masks[i].kind);
        }
    }
}

static void test_the_order_of_policies_never_matters(void **state)
{
    struct world w = {.random = {.state = 7}, .product = policies_product(policies_customers)};

    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct sf_policy_set *one;
        struct sf_policy_set *other;
        struct sf_policy_view *a;
        struct sf_policy_view *b;

        world_draw(&w);
        one = set_of(&w, 0, w.count, 0);
        other = set_of(&w, 0, w.count, rows_below(&w.random, w.count));
        a = view(&w, one, NULL);
        b = view(&w, other, NULL);
        assert_same_view(a, b);
        sf_policy_view_free(a);
        sf_policy_view_free(b);
        sf_policy_set_free(one);
        sf_policy_set_free(other);
        world_done(&w);
    }
    sf_product_free(w.product);
}

static void test_a_deny_or_a_filter_more_never_adds_output(void **state)
{
    static const char *const more[] = {
        "---\nsheaf: policy/v1\nname: more\nmatch: {class: pii}\ndeny: true\n",
        "---\nsheaf: policy/v1\nname: more\nmatch: {tag: eu-only}\nfilter: id = 'a'\n",
        "---\nsheaf: policy/v1\nname: more\nmatch: {domain: hr}\ndeny: true\n"};
    struct world w = {.random = {.state = 8}, .product = policies_product(policies_customers)};

    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct sf_policy_set *one;
        struct sf_policy_set *other;
        struct sf_policy_view *a;
        struct sf_policy_view *b;

        world_draw(&w);
        one = set_of(&w, 0, w.count, 0);
        sf_buf_text(&w.texts[w.count - 1], more[i % 3]);
        other = set_of(&w, 0, w.count, 0);
        a = view(&w, one, NULL);
        b = view(&w, other, NULL);
        assert_no_looser(&w, a, b);
        for (size_t f = 0; f < a->field_count && !b->denied; f++) {
            assert_int_equal(a->masks[f].kind, b->masks[f].kind);
        }
        if (i % 3 == 0) {
            assert_true(b->denied);
        }
        sf_policy_view_free(a);
        sf_policy_view_free(b);
        sf_policy_set_free(one);
        sf_policy_set_free(other);
        world_done(&w);
    }
    sf_product_free(w.product);
}

/* An owner's policy: the same text as a platform's, without domain and product. */
static struct sf_product *with_policies(struct world *w, size_t from)
{
    struct sf_buf yaml = {0};
    struct sf_product *p;

    sf_buf_text(&yaml, policies_customers);
    sf_buf_text(&yaml, "policies:\n");
    for (size_t i = from; i < w->count; i++) {
        struct sf_slice rest = sf_buf_view(&w->texts[i]);
        bool first = true;

        while (rest.size > 0) {
            const uint8_t *end = memchr(rest.data, '\n', rest.size);
            struct sf_slice line;

            assert_non_null(end);
            line = sf_slice_of(rest.data, (size_t)(end - rest.data));

            rest = sf_slice_of(end + 1, rest.size - line.size - 1);
            if (line.size == 3) {
                continue; /* the dashes */
            }
            if (memmem(line.data, line.size, "domain: ", 8) != NULL ||
                memmem(line.data, line.size, "product: ", 9) != NULL) {
                line = sf_slice_starts_with(line, SF_LITERAL("match"))
                           ? SF_LITERAL("match: {class: pii}")
                           : line;
            }
            sf_buf_printf(&yaml, "  %s %.*s\n", first ? "-" : " ", SF_SLICE_ARG(line));
            first = false;
        }
    }
    p = policies_product(sf_buf_cstr(&yaml));
    sf_buf_done(&yaml);
    return p;
}

static void test_an_owners_policy_never_loosens_a_platforms(void **state)
{
    struct world w = {.random = {.state = 9}, .product = policies_product(policies_customers)};
    struct sf_error err = {0};

    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct sf_policy_set *platform;
        struct sf_policy_set *owner = sf_policy_set_new();
        struct sf_product *product;
        struct sf_policy_view *a;
        struct sf_policy_view *b;
        size_t half;

        world_draw(&w);
        half = w.count / 2;
        platform = half == 0 ? NULL : set_of(&w, 0, half, 0);
        product = with_policies(&w, half);
        assert_int_equal(sf_policy_set_add_product(owner, product, &err), SF_OK);
        assert_int_equal(sf_policy_set_count(owner), w.count - half);
        a = view(&w, platform, NULL);
        b = view(&w, platform, owner);
        assert_no_looser(&w, a, b);
        sf_policy_view_free(a);
        sf_policy_view_free(b);
        sf_policy_set_free(platform);
        sf_policy_set_free(owner);
        sf_product_free(product);
        world_done(&w);
    }
    sf_product_free(w.product);
}

static void test_policies_about_others_change_nothing(void **state)
{
    struct world w = {.random = {.state = 10}, .product = policies_product(policies_customers)};

    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct sf_buf *last;
        struct sf_policy_set *one;
        struct sf_policy_set *other;
        struct sf_policy_view *a;
        struct sf_policy_view *b;

        world_draw(&w);
        last = &w.texts[w.count - 1];
        one = set_of(&w, 0, w.count, 0);
        for (unsigned n = 0; n < 20; n++) {
            sf_buf_printf(last,
                          "---\nsheaf: policy/v1\nname: other%u\nmatch: {class: [pii, internal], "
                          "%s}\ndeny: true\n",
                          n, n % 2 == 0 ? "domain: hr" : "product: sales/orders");
        }
        other = set_of(&w, 0, w.count, 0);
        a = view(&w, one, NULL);
        b = view(&w, other, NULL);
        assert_same_view(a, b);
        sf_policy_view_free(a);
        sf_policy_view_free(b);
        sf_policy_set_free(one);
        sf_policy_set_free(other);
        world_done(&w);
    }
    sf_product_free(w.product);
}

enum { CALLERS = 9 };

/* What each of the callers sees who have no roles. */
static void view_of_all(struct world *w, const struct sf_policy_set *s,
                        struct sf_policy_view *ret[CALLERS])
{
    static const char *const domains[] = {"marketing", "finance", "hr"};
    static const char *const purposes[] = {"fraud", "churn", NULL};
    struct sf_error err;

    for (size_t i = 0; i < CALLERS; i++) {
        const struct sf_policy_input in = {
            .platform = s,
            .product = w->product,
            .table = w->product->tables,
            .subject = {.domain = domains[i % 3], .purpose = purposes[i / 3]},
            .now_us = now_us};

        assert_int_equal(sf_policy_decide(&in, &ret[i], &err), SF_OK);
    }
}

static void test_callers_who_are_not_parted_get_one_view(void **state)
{
    struct world w = {.random = {.state = 11}, .product = policies_product(policies_customers)};
    unsigned together = 0;
    unsigned apart = 0;

    (void)state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct sf_policy_view *views[CALLERS];
        struct sf_policy_set *s;
        bool differ = false;

        world_draw(&w);
        s = set_of(&w, 0, w.count, 0);
        view_of_all(&w, s, views);
        for (size_t v = 0; v < CALLERS; v++) {
            assert_int_equal(views[v]->parts, views[0]->parts);
            differ = differ || !sf_slice_equal(views[v]->canon, views[0]->canon);
        }
        assert_true(views[0]->parts || !differ);
        together += !views[0]->parts;
        apart += differ;
        for (size_t v = 0; v < CALLERS; v++) {
            sf_policy_view_free(views[v]);
        }
        sf_policy_set_free(s);
        world_done(&w);
    }
    assert_true(together > ROUNDS / 10 && apart > ROUNDS / 10);
    sf_product_free(w.product);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_order_of_policies_never_matters),
        cmocka_unit_test(test_a_deny_or_a_filter_more_never_adds_output),
        cmocka_unit_test(test_an_owners_policy_never_loosens_a_platforms),
        cmocka_unit_test(test_policies_about_others_change_nothing),
        cmocka_unit_test(test_callers_who_are_not_parted_get_one_view),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
