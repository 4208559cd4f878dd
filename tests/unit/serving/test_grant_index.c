#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/sys/crypto.h"
#include "leaf/serving/grant_set.h"

enum { NAMES = 40, GRANTS = 3000, MAJORS = 3 };

struct fixture {
    struct sf_arena arena;
    struct grant grants[GRANTS];
    struct grant_index index;
    struct sf_error err;
};

/* Names of which some begin like others. */
static const char *name(struct fixture *f, uint32_t n)
{
    const char *text = sf_arena_printf(&f->arena, "N%.*s%u", (int)(n % 7), "AAAAAAA", n / 7);

    assert_non_null(text);
    return text;
}

static void setup(struct fixture *f, size_t count)
{
    struct sf_error err;

    assert_int_equal(sf_crypto_init(&err), SF_OK);
    *f = (struct fixture){0};
    sf_arena_init(&f->arena, 0);
    for (size_t i = 0; i < count; i++) {
        f->grants[i] = (struct grant){.consumer_account = name(f, sf_random_below(NAMES)),
                                      .product = name(f, sf_random_below(NAMES)),
                                      .major = 1 + sf_random_below(MAJORS),
                                      .id = ""};
    }
    qsort(f->grants, count, sizeof(*f->grants), grant_compare);
    assert_int_equal(grant_index_make(&f->index, f->grants, count, &f->arena, &f->err), SF_OK);
}

static void teardown(struct fixture *f)
{
    sf_arena_done(&f->arena);
}

/* The first by a plain scan, and how many. */
static size_t scan(const struct fixture *f, size_t count, const char *account, const char *product,
                   const struct grant **ret)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        const struct grant *g = &f->grants[i];

        if (strcmp(g->consumer_account, account) == 0 && strcmp(g->product, product) == 0) {
            *ret = n++ == 0 ? g : *ret;
        }
    }
    return n;
}

static void what_is_found_is_what_a_scan_finds(void **state)
{
    static const size_t counts[] = {0, 1, 2, 7, 8, 9, 100, GRANTS};
    static struct fixture f;
    (void)state;

    for (size_t c = 0; c < SF_COUNT(counts); c++) {
        setup(&f, counts[c]);
        for (uint32_t a = 0; a < NAMES; a++) {
            for (uint32_t p = 0; p < NAMES; p++) {
                const char *account = name(&f, a);
                const char *product = name(&f, p);
                const struct grant *expected = NULL;
                const struct grant *found = NULL;
                const size_t n = scan(&f, counts[c], account, product, &expected);

                assert_int_equal(grant_index_find(&f.index, account, product, &found), n);
                if (n > 0) {
                    assert_ptr_equal(found, expected);
                }
            }
        }
        teardown(&f);
    }
}

static void account_and_product_are_told_apart(void **state)
{
    const struct grant grants[] = {
        {.consumer_account = "AB", .product = "C", .major = 1, .id = ""}};
    struct fixture f;
    const struct grant *found;
    (void)state;

    setup(&f, 0);
    assert_int_equal(grant_index_make(&f.index, grants, 1, &f.arena, &f.err), SF_OK);
    assert_int_equal(grant_index_find(&f.index, "AB", "C", &found), 1);
    assert_ptr_equal(found, grants);
    assert_int_equal(grant_index_find(&f.index, "A", "BC", &found), 0);
    assert_int_equal(grant_index_find(&f.index, "ABC", "", &found), 0);
    assert_int_equal(grant_index_find(&f.index, "C", "AB", &found), 0);
    assert_int_equal(grant_index_find(&f.index, "", "", &found), 0);
    teardown(&f);
}

static void an_equal_hash_is_not_taken_for_an_equal_right(void **state)
{
    const struct grant asked[] = {
        {.consumer_account = "A", .product = "one", .major = 1, .id = ""}};
    const struct grant others[][1] = {
        {{.consumer_account = "A", .product = "two", .major = 1, .id = ""}},
        {{.consumer_account = "B", .product = "one", .major = 1, .id = ""}},
    };
    struct fixture f;
    const struct grant *found;
    (void)state;

    setup(&f, 0);
    assert_int_equal(grant_index_make(&f.index, asked, 1, &f.arena, &f.err), SF_OK);
    assert_int_equal(grant_index_find(&f.index, "A", "one", &found), 1);
    for (size_t i = 0; i < SF_COUNT(others); i++) {
        f.index.grants = others[i]; /* as if their hash were the same */
        assert_int_equal(grant_index_find(&f.index, "A", "one", &found), 0);
    }
    teardown(&f);
}

/* Texts lie elsewhere: a look passes by the places of others without a look at theirs. */
static void texts_of_another_hash_are_not_looked_at(void **state)
{
    static struct fixture f;
    static struct grant nameless[GRANTS];
    const struct grant *found = NULL;
    (void)state;

    setup(&f, GRANTS);
    f.index.grants = nameless;
    for (size_t i = 0; i < GRANTS; i++) {
        const struct grant *g = &f.grants[i];

        if (i > 0 && strcmp(g[-1].consumer_account, g->consumer_account) == 0 &&
            strcmp(g[-1].product, g->product) == 0) {
            continue; /* not the first of its run */
        }
        nameless[i] = *g;
        assert_true(grant_index_find(&f.index, g->consumer_account, g->product, &found) > 0);
        assert_ptr_equal(found, &nameless[i]);
        nameless[i] = (struct grant){0};
    }
    teardown(&f);
}

static void a_grant_is_found_by_its_id(void **state)
{
    static const size_t counts[] = {0, 1, 7, 8, 9, GRANTS};
    static struct fixture f;
    (void)state;

    for (size_t c = 0; c < SF_COUNT(counts); c++) {
        setup(&f, 0);
        for (size_t i = 0; i < counts[c]; i++) { /* two have each id: the first is meant */
            f.grants[i] =
                (struct grant){.consumer_account = "A",
                               .product = "one",
                               .id = sf_arena_printf(&f.arena, "G-%zu", i % (counts[c] / 2 + 1))};
        }
        assert_int_equal(grant_index_make(&f.index, f.grants, counts[c], &f.arena, &f.err), SF_OK);
        for (size_t i = 0; i < counts[c]; i++) {
            assert_ptr_equal(grant_index_id(&f.index, f.grants[i].id),
                             &f.grants[i % (counts[c] / 2 + 1)]);
        }
        assert_null(grant_index_id(&f.index, ""));
        assert_null(grant_index_id(&f.index, "G-"));
        assert_null(grant_index_id(&f.index, "G-9999"));
        teardown(&f);
    }
}

static void an_index_that_was_never_made_finds_nothing(void **state)
{
    const struct grant_index none = {0};
    const struct grant *found;
    (void)state;

    assert_int_equal(grant_index_find(&none, "A", "orders", &found), 0);
    assert_null(grant_index_id(&none, "G-1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_found_is_what_a_scan_finds),
        cmocka_unit_test(account_and_product_are_told_apart),
        cmocka_unit_test(an_equal_hash_is_not_taken_for_an_equal_right),
        cmocka_unit_test(texts_of_another_hash_are_not_looked_at),
        cmocka_unit_test(a_grant_is_found_by_its_id),
        cmocka_unit_test(an_index_that_was_never_made_finds_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
