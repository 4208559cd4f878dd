/* What users write to name products, fields and identities. */
#include "tests/lib/cmocka.h"

#include <limits.h>
#include <string.h>
#include <time.h>

#include "cli/columns.h"
#include "cli/context.h"
#include "cli/product_ref.h"
#include "cli/rows.h"
#include "common/identity/token.h"
#include "common/sys/file.h"
#include "proto/errors.h"
#include "tests/lib/tmpdir.h"

static void test_products_are_taken_apart(void **state)
{
    static const struct {
        const char *text;
        struct product_ref r;
        const char *path;
    } cases[] = {
        {"sales/orders", {"sales", "orders", "", 0}, "sales/orders"},
        {"a/b-2@12", {"a", "b-2", "", 12}, "a/b-2@12"},
        {"a/b.t_1", {"a", "b", "t_1", 0}, "a/b"},
        {"a/b@3.t", {"a", "b", "t", 3}, "a/b@3"},
    };

    (void)state;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        struct product_ref r;
        struct sf_error err;
        char text[PRODUCT_REF_TEXT_MAX];

        assert_int_equal(product_ref_parse(cases[i].text, &r, &err), SF_OK);
        assert_string_equal(r.domain, cases[i].r.domain);
        assert_string_equal(r.product, cases[i].r.product);
        assert_string_equal(r.table, cases[i].r.table);
        assert_int_equal(r.major, cases[i].r.major);
        product_ref_text(&r, text);
        assert_string_equal(text, cases[i].path);
    }
}

static void test_other_texts_are_no_products(void **state)
{
    static const char *const bad[] = {
        "",
        "sales",
        "/orders",
        "sales/",
        "Sales/orders",
        "sales/or ders",
        "sales/orders@",

        "a/b@x",
        "a/b@1x",
        "a/b.",
        "a/b.T",
        "a/b/c",
        "a/b@100000000000",
        "../b",
        "a/../b",
        "a/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    };

    (void)state;
    for (size_t i = 0; i < SF_COUNT(bad); i++) {
        struct product_ref r;
        struct sf_error err;

        assert_int_equal(product_ref_parse(bad[i], &r, &err), SF_INVALID);
        assert_int_equal(err.number,
                         strchr(bad[i], '/') != NULL ? SHEAF_E_BAD_NAME : SHEAF_E_USAGE);
    }
}

static void test_counts_are_read_at_a_glance(void **state)
{
    static const struct {
        uint64_t count;
        const char *text;
    } all[] = {{0, "0 rows"},
               {1, "1 row"},
               {999, "999 rows"},
               {1234567, "1,234,567 rows"},
               {UINT64_MAX, "18,446,744,073,709,551,615 rows"}};

    (void)state;
    for (size_t i = 0; i < SF_COUNT(all); i++) {
        char text[ROWS_TEXT_MAX];

        rows_named_text(all[i].count, "row", text);
        assert_string_equal(text, all[i].text);
    }
}

static void test_columns_are_names_with_commas(void **state)
{
    struct sf_arena arena;
    struct columns c;
    struct sf_error err;

    (void)state;
    sf_arena_init(&arena, 0);
    assert_int_equal(columns_split("a,b_2", &arena, &c, &err), SF_OK);
    assert_int_equal(c.count, 2);
    assert_string_equal(c.names[1], "b_2");
    assert_true(columns_have(&c, "a"));
    assert_false(columns_have(&c, "b"));
    assert_int_equal(columns_split(NULL, &arena, &c, &err), SF_OK);
    assert_int_equal(c.count, 0);
    assert_int_equal(columns_split("a,,b", &arena, &c, &err), SF_INVALID);
    assert_int_equal(columns_split("", &arena, &c, &err), SF_INVALID);
    assert_int_equal(columns_split("a, b", &arena, &c, &err), SF_INVALID);
    assert_string_equal(err.text, "' b' is not the name of a field");
    sf_arena_done(&arena);
}

/* --- contexts --------------------------------------------------------------------------------- */

/* A data directory with a dev.json that names @pid as its supervisor. */
static void write_context(const struct tmpdir *dir, int pid)
{
    char path[PATH_MAX];
    char data[PATH_MAX];
    struct sf_buf text = {0};
    struct sf_error err;

    (void)tmpdir_join(dir, "leaf-sales", data);
    sf_buf_printf(&text,
                  "{\"mesh\":\"m-1\",\"pid\":%d,\"hub\":{\"http\":\"http://127.0.0.1:1\"},"
                  "\"leaves\":[{\"domain\":\"sales\",\"data\":\"%s\",\"ready\":true},"
                  "{\"domain\":\"marketing\"}]}",
                  pid, data);
    assert_int_equal(
        sf_file_write(tmpdir_join(dir, "dev.json", path), sf_buf_view(&text), 0600, &err), SF_OK);
    sf_buf_done(&text);
}

static void test_context_of_a_mesh_that_does_not_run(void **state)
{
    struct tmpdir dir;
    struct context c;
    struct sf_error err;

    (void)state;
    tmpdir_init(&dir);
    assert_int_equal(context_open(dir.path, &c, &err), SF_UNAVAILABLE);
    assert_int_equal(err.number, SHEAF_E_NO_MESH);
    write_context(&dir, 0);
    assert_int_equal(context_open(dir.path, &c, &err), SF_UNAVAILABLE);
    assert_int_equal(err.number, SHEAF_E_NO_MESH);
    assert_int_equal(context_read(dir.path, &c, &err), SF_OK);
    assert_int_equal(c.leaf_count, 2);
    assert_true(c.leaves[0].ready);
    assert_string_equal(c.mesh, "m-1");
    context_done(&c);
    tmpdir_done(&dir);
}

static void expect_identity(const struct context *c, const char *as, const char *implied,
                            const char *domain, const char *user)
{
    struct identity who;
    struct sf_error err;

    assert_int_equal(context_identity(c, as, implied, &who, &err), SF_OK);
    assert_string_equal(who.domain, domain);
    if (user != NULL) {
        assert_string_equal(who.user, user);
    }
}

static void test_who_acts_is_said_implied_or_refused(void **state)
{
    struct context c = {.leaves = {{.domain = "sales"}, {.domain = "marketing"}}, .leaf_count = 2};
    struct identity who;
    struct sf_error err;

    (void)state;
    expect_identity(&c, "marketing/anna", "sales", "marketing", "anna");
    expect_identity(&c, "marketing", "sales", "marketing", NULL);
    expect_identity(&c, NULL, "sales", "sales", NULL);
    expect_identity(&c, "platform/ops", NULL, "platform", "ops");
    assert_int_equal(context_identity(&c, NULL, "finance", &who, &err), SF_INVALID);
    assert_int_equal(err.number, SHEAF_E_NO_CONTEXT);
    assert_int_equal(context_identity(&c, NULL, NULL, &who, &err), SF_INVALID);
    assert_int_equal(err.number, SHEAF_E_NO_CONTEXT);
    assert_string_equal(err.text, "say with --as which domain acts; there are: sales, marketing");
    assert_int_equal(context_identity(&c, "finance", NULL, &who, &err), SF_INVALID);
    assert_string_equal(err.text,
                        "this mesh runs no leaf of domain 'finance'; there are: sales, marketing");
    assert_int_equal(context_identity(&c, "sales/", NULL, &who, &err), SF_INVALID);
    assert_int_equal(err.number, SHEAF_E_USAGE);
    assert_string_equal(err.text, "--as sales/: column 7: there is no user behind the /; "
                                  "it is DOMAIN or DOMAIN/USER");
    assert_int_equal(identity_parse("/ada", &who, &err), SF_INVALID);
    assert_string_equal(err.text,
                        "--as /ada: column 1: there is no domain; it is DOMAIN or DOMAIN/USER");
    c.leaf_count = 1;
    expect_identity(&c, NULL, NULL, "sales", NULL);
}

static bool find_key(void *data, const char *issuer, struct sf_public_key *ret)
{
    *ret = ((struct sf_seed *)data)->public_key;
    return strcmp(issuer, "sales") == 0;
}

static void test_tokens_are_signed_by_the_domains_key(void **state)
{
    struct tmpdir dir;
    struct context c;
    struct identity who = {.domain = "sales", .user = "anna"};
    struct sf_seed key = {0};
    struct sf_buf text = {0};
    struct sf_token token;
    struct sf_error err;
    char path[PATH_MAX];

    (void)state;
    tmpdir_init(&dir);
    write_context(&dir, 0);
    assert_int_equal(sf_crypto_init(&err), SF_OK);
    assert_int_equal(context_read(dir.path, &c, &err), SF_OK);
    assert_int_equal(context_token(&c, &who, &text, &err), SF_ABSENT); /* no key file */
    assert_int_equal(sf_dir_make(tmpdir_join(&dir, "leaf-sales/keys", path), 0700, &err), SF_OK);
    assert_int_equal(
        sf_seed_load_or_create(tmpdir_join(&dir, "leaf-sales/keys/domain.seed", path), &key, &err),
        SF_OK);
    assert_int_equal(context_token(&c, &who, &text, &err), SF_OK);
    assert_int_equal(sf_token_verify(&(struct sf_token_check){.find_key = find_key,
                                                              .data = &key,
                                                              .audience = "m-1",
                                                              .now_s = (int64_t)time(NULL) + 590},
                                     sf_buf_view(&text), &token),
                     SF_TOKEN_GOOD);
    assert_string_equal(token.issuer, "sales");
    assert_string_equal(token.subject, "anna");
    assert_int_equal(token.expires_s - token.issued_s, 600);
    assert_int_equal(token.role_count, 0);
    sf_buf_clear(&text);
    assert_int_equal(identity_set_roles(&who, "analyst,clerk", &err), SF_OK);
    assert_int_equal(identity_assertion(&who, "m-1", &key, "crm", "people", &text, &err), SF_OK);
    assert_int_equal(sf_token_verify(&(struct sf_token_check){.find_key = find_key,
                                                              .data = &key,
                                                              .audience = "m-1/crm/people",
                                                              .now_s = (int64_t)time(NULL),
                                                              .kind = SF_TOKEN_ASSERTION},
                                     sf_buf_view(&text), &token),
                     SF_TOKEN_GOOD);
    assert_int_equal(token.role_count, 2);
    assert_string_equal(token.roles[0].text, "analyst");
    assert_string_equal(token.roles[1].text, "clerk");
    assert_int_equal(identity_set_roles(&who, NULL, &err), SF_OK);
    assert_int_equal(who.role_count, 0);
    assert_int_equal(identity_set_roles(&who, "a,,b", &err), SF_INVALID);
    assert_string_equal(err.text, "--role wants at most 16 names of at most 31 characters: a,b");
    assert_int_equal(identity_set_roles(&who, "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", &err),
                     SF_INVALID);
    sf_buf_done(&text);
    sf_seed_done(&key);
    context_done(&c);
    tmpdir_done(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products_are_taken_apart),
        cmocka_unit_test(test_other_texts_are_no_products),
        cmocka_unit_test(test_counts_are_read_at_a_glance),
        cmocka_unit_test(test_columns_are_names_with_commas),
        cmocka_unit_test(test_context_of_a_mesh_that_does_not_run),
        cmocka_unit_test(test_who_acts_is_said_implied_or_refused),
        cmocka_unit_test(test_tokens_are_signed_by_the_domains_key),
    };

    return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
