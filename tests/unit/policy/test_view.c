#include "tests/lib/cmocka.h"

#include "common/contract/product_file.h"
#include "common/policy/policy.h"

static const char customers[] = "sheaf: product/v1\n"
                                "product: sales/customers\n"
                                "version: 1.0.0\n"
                                "tables:\n"
                                "  customers:\n"
                                "    fields:\n"
                                "      id:      {number: 1, type: string}\n"
                                "      email:   {number: 2, type: string, class: pii}\n"
                                "      token:   {number: 3, type: string, class: secret}\n"
                                "      country: {number: 4, type: string}\n"
                                "      home:    {number: 5, type: struct, fields: {\n"
                                "        street: {number: 1, type: string, class: pii}}}\n";

static struct sf_product *product_of(const char *yaml)
{
    struct sf_product *p = NULL;
    struct sf_issues issues;
    struct sf_error err;

    sf_issues_init(&issues, "product.yaml", sf_slice_text(yaml));
    assert_int_equal(sf_product_parse(&issues, &p, &err), SF_OK);
    sf_issues_done(&issues);
    return p;
}

static void test_a_view_without_rules_is_the_safe_default_and_the_columns(void **state)
{
    static const char *const columns[] = {"email", "country"};
    struct sf_product *p = product_of(customers);
    struct sf_policy_input in = {.product = p, .table = p->tables, .subject = {"marketing"}};
    struct sf_policy_view *v;
    struct sf_error err;

    (void)state;
    assert_int_equal(sf_policy_decide(&in, &v, &err), SF_OK);
    assert_int_equal(v->masks[0].kind, SF_MASK_NONE);
    assert_int_equal(v->masks[1].kind, SF_MASK_OMIT);
    assert_int_equal(v->causes[1].by, SF_POLICY_BY_DEFAULT);
    assert_int_equal(v->masks[2].kind, SF_MASK_OMIT);
    assert_int_equal(v->masks[3].kind, SF_MASK_NONE);
    assert_int_equal(v->masks[4].kind, SF_MASK_OMIT);
    assert_memory_equal(v->canon.data, "1 \n4 \n", v->canon.size);
    assert_int_equal(v->canon.size, 6);
    sf_policy_view_free(v);
    in.columns = columns;
    in.column_count = 2;
    assert_int_equal(sf_policy_decide(&in, &v, &err), SF_OK);
    assert_int_equal(v->causes[0].by, SF_POLICY_BY_COLUMNS);
    assert_int_equal(v->causes[1].by, SF_POLICY_BY_DEFAULT);
    assert_memory_equal(v->canon.data, "4 \n", v->canon.size);
    sf_policy_view_free(v);
    in.subject.domain = "sales";
    assert_int_equal(sf_policy_decide(&in, &v, &err), SF_OK);
    assert_memory_equal(v->canon.data, "1 \n2 \n3 \n4 \n5 \n", v->canon.size);
    sf_policy_view_free(v);
    sf_product_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_view_without_rules_is_the_safe_default_and_the_columns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
