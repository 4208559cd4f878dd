#include "tests/lib/policies.h"

#include "common/contract/product_file.h"
#include "tests/lib/cmocka.h"

const char policies_customers[] =
    "sheaf: product/v1\n"
    "product: sales/customers\n"
    "version: 1.0.0\n"
    "tags: [eu-only]\n"
    "tables:\n"
    "  customers:\n"
    "    fields:\n"
    "      id:      {number: 1, type: string, class: pseudonymous}\n"
    "      email:   {number: 2, type: string, class: pii, tags: [contact]}\n"
    "      token:   {number: 3, type: string, class: secret}\n"
    "      country: {number: 4, type: string, class: public}\n"
    "      home:    {number: 5, type: struct, fields: {\n"
    "        street: {number: 1, type: string, class: pii},\n"
    "        level:  {number: 2, type: int32, class: confidential}}}\n"
    "      born:    {number: 6, type: date, class: pii}\n"
    "      amount:  {number: 7, type: \"decimal(12,2)\", class: confidential}\n"
    "      note:    {number: 8, type: string, tags: [contact]}\n";

struct sf_product *policies_product(const char *yaml)
{
    struct sf_product *p = NULL;
    struct sf_issues issues;
    struct sf_error err = {0};

    sf_issues_init(&issues, "product.yaml", sf_slice_text(yaml));
    if (sf_product_parse(&issues, &p, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    sf_issues_done(&issues);
    return p;
}

struct sf_policy_set *policies_set(const char *yaml)
{
    struct sf_policy_set *s = sf_policy_set_new();
    struct sf_issues issues;
    struct sf_error err = {0};

    assert_non_null(s);
    sf_issues_init(&issues, "policies/f.yaml", sf_slice_text(yaml));
    if (sf_policy_set_add(s, &issues, 1, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    sf_issues_done(&issues);
    return s;
}

void policies_issues(const char *yaml, struct sf_buf *out)
{
    struct sf_policy_set *s = sf_policy_set_new();
    struct sf_issues issues;
    struct sf_error err = {0};
    enum sf_code code;

    assert_non_null(s);
    sf_issues_init(&issues, "f.yaml", sf_slice_text(yaml));
    code = sf_policy_set_add(s, &issues, 1, &err);
    sf_issues_render(&issues, out);
    assert_int_equal(code, issues.error_count == 0 ? SF_OK : SF_INVALID);
    sf_buf_byte(out, '\0');
    sf_issues_done(&issues);
    sf_policy_set_free(s);
}

/* --- random ones ------------------------------------------------------------------------------ */

static const char *pick(struct rows_random *r, const char *const *from, size_t count)
{
    return from[rows_below(r, count)];
}

static void put_match(struct rows_random *r, struct sf_buf *out)
{
    static const char *const conditions[] = {"class: pii",
                                             "class: [secret, confidential]",
                                             "class: internal",
                                             "tag: eu-only",
                                             "tag: contact",
                                             "tag: other",
                                             "domain: sales",
                                             "domain: [hr, sales]",
                                             "domain: hr",
                                             "product: sales/customers",
                                             "product: orders",
                                             "field: email",
                                             "field: [home, note]",
                                             "type: string",
                                             "type: [date, decimal]",
                                             "status: active",
                                             "status: [draft, active]",
                                             "product: [customers, other]"};
    const size_t count = 1 + rows_below(r, 2);
    const char *first = pick(r, conditions, SF_COUNT(conditions));
    const char *second = pick(r, conditions, SF_COUNT(conditions));

    sf_buf_printf(out, "match: {%s", first);
    if (count == 2 && strncmp(first, second, 4) != 0) {
        sf_buf_printf(out, ", %s", second);
    }
    sf_buf_text(out, "}\n");
}

void policies_random(struct rows_random *r, unsigned number, struct sf_buf *out)
{
    static const char *const excepts[] = {
        "",
        "",
        "except: {consumer_domain: owner}\n",
        "except: {consumer_domain: [marketing, finance]}\n",
        "except: {roles: dpo}\n",
        "except: [{purposes: fraud}, {consumer_domain: finance, roles: [dpo, ada]}]\n"};
    static const char *const does[] = {"mask: hash\n",
                                       "mask: omit\n",
                                       "mask: keep_domain\n",
                                       "mask: keep_last(4)\n",
                                       "mask: redact\n",
                                       "mask: null\n",
                                       "mask: constant('x')\n",
                                       "mask: bucket(100)\n",
                                       "mask: truncate(year)\n",
                                       "mask: keep_first(2)\n",
                                       "deny: true\n",
                                       "filter: country = 'NO'\n",
                                       "filter: country <> caller.domain\n",
                                       "filter: elsewhere = 1\n"};
    static const char *const expires[] = {"", "", "", "expires: 2020-01-01\n",
                                          "expires: 2030-01-01\n"};
    /* Denials hide what else goes on. */
    const size_t kinds = rows_below(r, 8) == 0 ? SF_COUNT(does) : SF_COUNT(does) - 4;

    sf_buf_printf(out, "---\nsheaf: policy/v1\nname: p%u\n", number);
    put_match(r, out);
    sf_buf_text(out, pick(r, excepts, SF_COUNT(excepts)));
    sf_buf_text(out, pick(r, does, kinds));
    sf_buf_text(out, pick(r, expires, SF_COUNT(expires)));
}
