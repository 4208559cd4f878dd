#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "tests/lib/policies.h"

struct world {
    struct sf_product *product;
    struct sf_policy_input in;
};

static int setup(void **state)
{
    struct world *w = sf_calloc(1, sizeof(*w));

    w->product = policies_product(policies_customers);
    w->in = (struct sf_policy_input){.product = w->product,
                                     .table = w->product->tables,
                                     .subject = {.domain = "marketing"},
                                     .now_us = INT64_C(1790000000000000)};
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    sf_product_free(w->product);
    sf_free(w);
    return 0;
}

/* What the caller sees: lines "field mask  < policy", those that are clear left out. */
static void assert_sees(struct world *w, const char *policies, const char *wanted)
{
    struct sf_policy_set *set = policies_set(policies);
    struct sf_policy_view *v = NULL;
    struct sf_buf out = {0};
    struct sf_error err;

    w->in.platform = set;
    assert_int_equal(sf_policy_decide(&w->in, &v, &err), SF_OK);
    w->in.platform = NULL;
    sf_policy_set_free(set); /* a view borrows nothing of it */
    if (v->denied) {
        sf_buf_printf(&out, "denied by %s %s:%u%s%s\n", v->denied_by.policy, v->denied_by.file,
                      v->denied_by.line, v->denied_by.note == NULL ? "" : ": ",
                      v->denied_by.note == NULL ? "" : v->denied_by.note);
    }
    for (size_t i = 0; i < v->field_count && !v->denied; i++) {
        const struct sf_policy_cause *c = &v->causes[i];

        if (v->masks[i].kind == SF_MASK_NONE) {
            continue;
        }
        sf_buf_printf(&out, "%s ", w->in.table->fields[i].name);
        sf_mask_print(&v->masks[i], &out);
        if (c->by == SF_POLICY_BY_RULE) {
            sf_buf_printf(&out, " %s:%u%s%s", c->policy, c->line, c->note == NULL ? "" : ": ",
                          c->note == NULL ? "" : c->note);
        } else {
            sf_buf_text(&out, c->by == SF_POLICY_BY_DEFAULT ? " default" : " columns");
        }
        sf_buf_byte(&out, '\n');
    }
    for (size_t i = 0; i < v->filter_count && !v->denied; i++) {
        sf_buf_printf(&out, "where %s < %s:%u\n", v->filters[i].text, v->filters[i].cause.policy,
                      v->filters[i].cause.line);
    }
    assert_string_equal(out.size == 0 ? "" : sf_buf_cstr(&out), wanted);
    sf_buf_done(&out);
    sf_policy_view_free(v);
}

#define HEAD(name) "sheaf: policy/v1\nname: " name "\n"
#define REST       "token omit default\nhome omit default\n"

static void test_without_policies_the_safe_default_and_the_columns_hold(void **state)
{
    static const char *const columns[] = {"email", "country"};
    struct world *w = *state;

    assert_sees(w, "", "email omit default\n" REST "born omit default\n");
    w->in.columns = columns;
    w->in.column_count = 2;
    assert_sees(w, "",
                "id omit columns\nemail omit default\n" REST
                "born omit default\namount omit columns\nnote omit columns\n");
}

static void test_the_owning_domain_is_never_bound(void **state)
{
    struct world *w = *state;

    w->in.subject.domain = "sales";
    assert_sees(w, HEAD("all") "match: all\ndeny: true\n", "");
}

static void test_a_mask_that_names_the_class_stands_for_the_default(void **state)
{
    struct world *w = *state;

    assert_sees(w, HEAD("pii") "match: {class: [pii]}\nmask: {with: keep_domain}\n",
                "email keep_domain pii:4\n"
                "token omit default\n"
                "home omit pii:4: is for single values (null and omit are for all), not for "
                "struct\n"
                "born omit pii:4: is for strings, not for date\n");
    assert_sees(w, HEAD("email") "match: {field: email}\nmask: hash\n",
                "email hash email:4\n" REST "born omit default\n");
    /* Whatever the tag is on: it names neither class nor field. */
    assert_sees(w, HEAD("contact") "match: {tag: contact}\nmask: hash\n",
                "email omit default\n" REST "born omit default\nnote hash contact:4\n");
}

static void test_a_struct_is_as_closed_as_what_is_inside(void **state)
{
    struct world *w = *state;

    assert_sees(w, HEAD("some") "match: {class: confidential}\nmask: \"null\"\n",
                "email omit default\n" REST "born omit default\namount null some:4\n");
    assert_sees(w, HEAD("some") "match: {class: pii, type: struct}\nmask: \"null\"\n",
                "email omit default\ntoken omit default\nhome null some:4\nborn omit default\n");
}

static void test_the_strictest_mask_wins_and_two_may_join(void **state)
{
    struct world *w = *state;

    assert_sees(w,
                HEAD("b") "match: {field: email}\nmask: hash\n---\n" HEAD(
                    "a") "match: {field: email}\nmask: redact\n",
                "email redact a:9\n" REST "born omit default\n");
    assert_sees(w,
                HEAD("b") "match: {field: email}\nmask: hash\n---\n" HEAD(
                    "a") "match: {field: email}\nmask: keep_domain\n",
                "email redact b:4: together with another rule\n" REST "born omit default\n");
    assert_sees(w,
                HEAD("b") "match: {field: email}\nmask: hash\n---\n" HEAD(
                    "a") "match: {class: pii, field: email}\nmask: hash\n",
                "email hash a:9\n" REST "born omit default\n");
}

static void test_exceptions_are_by_domain_role_and_purpose(void **state)
{
    static const char policy[] = HEAD("p") "match: {field: note}\n"
                                           "except: [{consumer_domain: [finance, owner]},\n"
                                           "         {roles: dpo, purposes: fraud}]\n"
                                           "mask: hash\n";
    static const char hashed[] = "email omit default\n" REST "born omit default\nnote hash p:6\n";
    static const char clear[] = "email omit default\n" REST "born omit default\n";
    static const char *const roles[] = {"analyst", "dpo"};
    struct world *w = *state;

    assert_sees(w, policy, hashed);
    w->in.subject.domain = "owner"; /* A domain of that name is nobody's owner. */
    assert_sees(w, policy, hashed);
    w->in.subject.domain = "finance";
    assert_sees(w, policy, clear);
    w->in.subject.domain = "marketing";
    w->in.subject.roles = roles;
    w->in.subject.role_count = 2;
    assert_sees(w, policy, hashed);
    w->in.subject.purpose = "churn";
    assert_sees(w, policy, hashed);
    w->in.subject.purpose = "fraud";
    assert_sees(w, policy, clear);
    w->in.subject.role_count = 1;
    assert_sees(w, policy, hashed);
}

/* Whoever decides by roles may leave out those that no rule asks for. */
static void test_a_set_knows_which_roles_count(void **state)
{
    struct sf_policy_set *set;

    (void)state;
    set = policies_set(
        HEAD("p") "match: all\nexcept: [{roles: [dpo, ada]}, {roles: x}]\nmask: hash\n");
    assert_true(sf_policy_set_asks_role(set, "dpo"));
    assert_true(sf_policy_set_asks_role(set, "ada"));
    assert_true(sf_policy_set_asks_role(set, "x"));
    assert_false(sf_policy_set_asks_role(set, "boss"));
    sf_policy_set_free(set);
    set = policies_set(HEAD("p") "match: all\nfilter: \"note = 'a' OR Caller . ROLE = 'x'\"\n");
    assert_true(
        sf_policy_set_asks_role(set, "boss")); /* what the filter makes of it is not known */
    sf_policy_set_free(set);
}

static void test_who_may_have_every_role_sees_what_some_user_may(void **state)
{
    static const char text[] =
        HEAD("pii") "match: {class: pii}\n"
                    "except: {consumer_domain: marketing, roles: [z, dpo]}\n"
                    "mask: redact\n---\n" HEAD(
                        "other") "match: {product: hr/x}\nexcept: {roles: never}\n"
                                 "deny: true\n---\n" HEAD(
                                     "late") "match: all\nexcept: {roles: [late, dpo]}\n"
                                             "filter: amount > 0\n---\n" HEAD(
                                                 "over") "match: all\nexcept: {roles: over}\n"
                                                         "expires: 2020-01-01\ndeny: true\n";
    struct world *w = *state;
    struct sf_policy_set *set = policies_set(text);
    struct sf_policy_roles roles;
    struct sf_arena arena;
    struct sf_error err;

    w->in.subject.every_role = true;
    assert_sees(w, text, "token omit default\n");
    w->in.subject.domain = "finance";
    assert_sees(w, text,
                "email redact pii:5\ntoken omit default\nhome omit pii:5: is for single values "
                "(null and omit are for all), "
                "not for struct\nborn redact pii:5\n");
    sf_arena_init(&arena, 0);
    w->in.platform = set;
    assert_int_equal(sf_policy_roles_about(&w->in, &arena, &roles, &err), SF_OK);
    assert_int_equal(roles.count, 3);
    assert_string_equal(roles.items[0], "dpo");
    assert_string_equal(roles.items[1], "late");
    assert_string_equal(roles.items[2], "z");
    w->in.platform = NULL;
    assert_int_equal(sf_policy_roles_about(&w->in, &arena, &roles, &err), SF_OK);
    assert_int_equal(roles.count, 0);
    sf_arena_done(&arena);
    sf_policy_set_free(set);
}

/* The filters and causes of denial that @reader gets to know. */
static void assert_told(struct world *w, enum sf_policy_reader_is reader, const char *wanted)
{
    struct sf_policy_view *v = NULL;
    struct sf_buf out = {0};
    struct sf_json_writer json = {.out = &out};
    struct sf_error err;
    const char *end;

    assert_int_equal(sf_policy_decide(&w->in, &v, &err), SF_OK);
    sf_json_object_begin(&json);
    sf_policy_view_write(v, w->in.table, reader, &json);
    sf_json_object_end(&json);
    end = strstr(sf_buf_cstr(&out), ",\"fields\"");
    assert_non_null(end);
    out.data[end - (const char *)out.data] = '\0';
    assert_string_equal((const char *)out.data, wanted);
    assert_true(reader == SF_POLICY_FOR_OWNER || strstr(end + 1, "'DE'") == NULL);
    sf_policy_view_free(v);
    sf_buf_done(&out);
}

static struct sf_product *with_owner_policy(const char *rule)
{
    struct sf_buf text = {0};
    struct sf_product *p;

    sf_buf_printf(&text, "%spolicies:\n  - {name: own, %s}\n", policies_customers, rule);
    p = policies_product(sf_buf_cstr(&text));
    sf_buf_done(&text);
    return p;
}

static void test_others_learn_which_rule_of_the_owner_it_is_and_not_what_it_says(void **state)
{
    static const char text[] = HEAD("all") "match: all\nfilter: amount > 5\n";
    struct world *w = *state;
    struct sf_policy_set *platform = policies_set(text);
    struct sf_policy_set *owner = sf_policy_set_new();
    struct sf_policy_set *broken = sf_policy_set_new();
    struct sf_product *p = with_owner_policy("match: all, filter: \"country = 'DE'\"");
    struct sf_product *denied = with_owner_policy("match: all, filter: \"cuontry = 'DE'\"");
    struct sf_error err;

    assert_int_equal(sf_policy_set_add_product(owner, p, &err), SF_OK);
    assert_int_equal(sf_policy_set_add_product(broken, denied, &err), SF_OK);
    w->in.platform = platform;
    w->in.owner = owner;
    assert_told(w, SF_POLICY_FOR_OWNER,
                "{\"denied\":false,\"filters\":[{\"filter\":\"amount > "
                "5\",\"by\":\"policy\",\"policy\":\"all\",\"of\":\"platform\",\"place\":\"policies/"
                "f.yaml:4\"},{\"filter\":\"country = "
                "'DE'\",\"by\":\"policy\",\"policy\":\"own\",\"of\":\"owner\",\"place\":\"sales/"
                "customers:19\"}]");
    assert_told(w, SF_POLICY_FOR_OTHERS,
                "{\"denied\":false,\"filters\":[{\"filter\":\"amount > "
                "5\",\"by\":\"policy\",\"policy\":\"all\",\"of\":\"platform\",\"place\":\"policies/"
                "f.yaml:4\"},{\"by\":\"policy\",\"policy\":\"own\",\"of\":\"owner\",\"place\":"
                "\"sales/customers:19\"}]");
    w->in.owner = broken;
    assert_told(w, SF_POLICY_FOR_OWNER,
                "{\"denied\":true,\"denied_by\":{\"by\":\"policy\",\"policy\":\"own\",\"of\":"
                "\"owner\",\"place\":\"sales/customers:19\",\"note\":\"table 'customers' has no "
                "field 'cuontry'\"},\"filters\":[{\"filter\":\"amount > "
                "5\",\"by\":\"policy\",\"policy\":\"all\",\"of\":\"platform\",\"place\":\"policies/"
                "f.yaml:4\"}]");
    assert_told(w, SF_POLICY_FOR_OTHERS,
                "{\"denied\":true,\"denied_by\":{\"by\":\"policy\",\"policy\":\"own\",\"of\":"
                "\"owner\",\"place\":\"sales/customers:19\"},\"filters\":[{\"filter\":\"amount > "
                "5\",\"by\":\"policy\",\"policy\":\"all\",\"of\":\"platform\",\"place\":\"policies/"
                "f.yaml:4\"}]");
    sf_policy_set_free(platform);
    sf_policy_set_free(owner);
    sf_policy_set_free(broken);
    sf_product_free(p);
    sf_product_free(denied);
}

static void test_to_except_the_owner_alone_excepts_nobody(void **state)
{
    struct world *w = *state;

    assert_sees(w, HEAD("p") "match: {class: pii}\nexcept: {consumer_domain: owner}\nmask: omit\n",
                "email omit p:5\ntoken omit default\nhome omit p:5\nborn omit p:5\n");
    assert_sees(w,
                HEAD("p") "match: {class: pii}\nexcept: [{consumer_domain: [owner]}]\nmask: omit\n",
                "email omit p:5\ntoken omit default\nhome omit p:5\nborn omit p:5\n");
}

static void test_who_is_excepted_from_the_rule_for_a_class_sees_it(void **state)
{
    static const char policy[] = HEAD("p") "match: {class: pii, type: string}\n"
                                           "except: {consumer_domain: finance}\n"
                                           "mask: redact\n";
    struct world *w = *state;

    w->in.subject.domain = "finance";
    assert_sees(w, policy, REST "born omit default\n");
    /* Another rule holds for it all the same. */
    assert_sees(w,
                HEAD("p") "match: {class: pii, type: string}\nexcept: {consumer_domain: finance}\n"
                          "mask: redact\n---\n" HEAD("q") "match: {domain: sales, field: email}\n"
                                                          "mask: hash\n",
                "email hash q:10\n" REST "born omit default\n");
}

static void test_all_filters_hold_and_equal_ones_are_one(void **state)
{
    struct world *w = *state;

    assert_sees(
        w,
        HEAD("b") "match: {tag: eu-only}\nfilter: country IN ('NO', 'SE')\n---\n" HEAD(
            "a") "match: {field: amount}\nfilter: amount > 3\n---\n" HEAD("c") "match: {domain: "
                                                                               "sales}\nfilter: "
                                                                               "(country in "
                                                                               "('NO','SE'))\n---"
                                                                               "\n" HEAD("d") "matc"
                                                                                              "h: "
                                                                                              "{fie"
                                                                                              "ld: "
                                                                                              "else"
                                                                                              "wher"
                                                                                              "e}"
                                                                                              "\nfi"
                                                                                              "lter"
                                                                                              ": "
                                                                                              "else"
                                                                                              "wher"
                                                                                              "e = "
                                                                                              "1\n",
        "email omit default\n" REST "born omit default\n"
        "where amount > 3 < a:9\n"
        "where country IN ('NO', 'SE') < b:4\n");
}

static void test_one_deny_or_a_filter_that_cannot_be_applied_denies(void **state)
{
    struct world *w = *state;

    assert_sees(w,
                HEAD("a") "match: {class: pii}\nmask: hash\n---\n" HEAD(
                    "b") "match: {tag: eu-only}\nexcept: {consumer_domain: hr}\ndeny: true\n",
                "denied by b policies/f.yaml:10\n");
    assert_sees(w, HEAD("b") "match: {domain: sales}\nfilter: region = 'eu'\n",
                "denied by b policies/f.yaml:4: table 'customers' has no "
                "field 'region'\n");
    assert_sees(w, HEAD("b") "match: {domain: sales}\nfilter: id > 3\n",
                "denied by b policies/f.yaml:4: string and integer do not "
                "compare\n");
}

static void test_what_expired_is_not_there_and_bounds_the_view_before(void **state)
{
    struct world *w = *state;
    struct sf_policy_set *set =
        policies_set(HEAD("a") "match: {field: id}\nmask: hash\nexpires: 2026-12-31\n---\n" HEAD(
            "b") "match: {tag: eu-only}\ndeny: true\nexpires: 2026-09-21T00:00:00Z\n");
    struct sf_policy_view *v;
    struct sf_error err;

    w->in.platform = set;
    assert_int_equal(sf_policy_decide(&w->in, &v, &err), SF_OK);
    assert_false(v->denied);
    assert_int_equal(v->masks[0].kind, SF_MASK_HASH);
    assert_true(v->until_us == INT64_C(1798761600000000)); /* 2027-01-01 */
    w->in.now_us = v->until_us;
    sf_policy_view_free(v);
    assert_int_equal(sf_policy_decide(&w->in, &v, &err), SF_OK);
    assert_int_equal(v->masks[0].kind, SF_MASK_NONE);
    assert_true(v->until_us == INT64_MAX);
    sf_policy_view_free(v);
    sf_policy_set_free(set);
}

static void test_what_expired_is_no_cause(void **state)
{
    struct world *w = *state;
    struct sf_policy_set *set = policies_set(HEAD(
        "a") "match: {field: id}\nmask: hash\nexpires: "
             "2020-01-01\n---\n" HEAD("b") "match: {field: id, product: sales/customers}\nmask: "
                                           "hash\n---\n" HEAD("c") "match: {product: "
                                                                   "hr/customers}\ndeny: true\n");
    struct sf_policy_view *v;
    struct sf_error err;

    w->in.platform = set;
    assert_int_equal(sf_policy_decide(&w->in, &v, &err), SF_OK);
    assert_false(v->denied);
    assert_int_equal(v->masks[0].kind, SF_MASK_HASH);
    assert_string_equal(v->causes[0].policy, "b");
    sf_policy_view_free(v);
    assert_true(sf_policy_set_binds(set, "b", "sales"));
    assert_false(sf_policy_set_binds(set, "b", "sale"));
    assert_false(sf_policy_set_binds(set, "c", "sales"));
    sf_policy_set_free(set);
}

static void test_views_are_equal_when_their_bytes_are(void **state)
{
    static const char domain[] = HEAD("a") "match: all\nfilter: note = caller.domain\n";
    static const char hash[] = HEAD("a") "match: {field: email}\nmask: hash\n";
    static const char constant[] = HEAD("a") "match: {field: id}\nmask: constant(it)\n";
    static const struct {
        const char *policies;
        const char *canon;
    } cases[] = {
        {"", "1 \n4 \n7 \n8 \n"},
        {domain, "1 \n4 \n7 \n8 \nfilter note = caller.domain\ndomain marketing\n"},
        {hash, "1 \n2 hash\n4 \n7 \n8 \ndomain marketing\n"},
        {constant, "1 constant('it')\n4 \n7 \n8 \n"},
        {HEAD("a") "match: all\ndeny: true\n", "deny\n"},
        {HEAD("a") "match: all\nfilter: caller.purpose = 'x' AND caller.role = 'dpo'\n",
         "1 \n4 \n7 \n8 \nfilter caller.purpose = 'x' AND caller.role = 'dpo'\npurpose churn\nrole "
         "analyst\n"},
    };
    static const char *const roles[] = {"analyst"};
    struct world *w = *state;

    w->in.subject.purpose = "churn";
    w->in.subject.roles = roles;
    w->in.subject.role_count = 1;
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        struct sf_policy_set *set = policies_set(cases[i].policies);
        struct sf_policy_view *v;
        struct sf_error err;

        w->in.platform = set;
        assert_int_equal(sf_policy_decide(&w->in, &v, &err), SF_OK);
        assert_int_equal(v->canon.size, strlen(cases[i].canon));
        assert_memory_equal(v->canon.data, cases[i].canon, v->canon.size);
        assert_int_equal(v->hashes, cases[i].policies == hash);
        sf_policy_view_free(v);
        sf_policy_set_free(set);
    }
}

/* Whoever has no roles and the same columns gets one view, unless the flag says so. */
static void test_rules_part_callers_by_domain_and_purpose(void **state)
{
    static const struct {
        const char *policies;
        bool parts;
    } cases[] = {
        {"", false},
        {HEAD("a") "match: {field: email}\nmask: redact\n", false},
        {HEAD("a") "match: {field: email}\nmask: hash\n", true},
        {HEAD("a") "match: {field: other}\nmask: hash\n", false},
        {HEAD("a") "match: {field: email}\nmask: hash\nexpires: 2020-01-01\n", false},
        {HEAD("a") "match: {field: email}\nmask: hash\n---\n" HEAD(
             "b") "match: {field: email}\nmask: omit\n",
         false},
        {HEAD("a") "match: {field: id}\nexcept: {consumer_domain: hr}\nmask: redact\n", true},
        {HEAD("a") "match: {field: id}\nexcept: {purposes: fraud}\nmask: redact\n", true},
        {HEAD("a") "match: {field: id}\nexcept: {consumer_domain: hr}\nmask: redact\n"
                   "expires: 2020-01-01\n",
         false},
        {HEAD("a") "match: {domain: hr}\nexcept: {consumer_domain: hr}\nmask: redact\n", false},
        {HEAD("a") "match: all\nexcept: {consumer_domain: owner}\ndeny: true\n", false},
        {HEAD("a") "match: all\nexcept: {consumer_domain: hr}\ndeny: true\n", true},
        {HEAD("a") "match: all\nexcept: {roles: dpo}\ndeny: true\n", false},
        {HEAD("a") "match: all\nexcept: {roles: dpo, purposes: fraud}\ndeny: true\n", false},
        {HEAD("a") "match: all\nexcept: [{roles: dpo}, {purposes: fraud}]\ndeny: true\n", true},
        {HEAD("a") "match: all\nfilter: country = 'NO'\n", false},
        {HEAD("a") "match: all\nfilter: country = caller.domain\n", true},
        {HEAD("a") "match: all\nfilter: country = caller.purpose\n", true},
        {HEAD("a") "match: all\nfilter: caller.role = 'dpo'\n", false},
        {HEAD("a") "match: all\nexcept: {consumer_domain: hr}\nfilter: country = 'NO'\n", true},
    };
    static const char *const domains[] = {"marketing", "hr"};
    struct world *w = *state;

    for (size_t i = 0; i < 2 * SF_COUNT(cases); i++) {
        struct sf_policy_set *set = policies_set(cases[i / 2].policies);
        struct sf_policy_view *v = NULL;
        struct sf_error err;

        w->in.platform = set;
        w->in.subject.domain = domains[i % 2];
        assert_int_equal(sf_policy_decide(&w->in, &v, &err), SF_OK);
        assert_int_equal(v->parts, cases[i / 2].parts);
        sf_policy_view_free(v);
        sf_policy_set_free(set);
    }
    w->in.platform = NULL;
}

static void test_memory_may_end_at_any_moment(void **state)
{
    struct world *w = *state;
    struct sf_policy_set *set =
        policies_set(HEAD("a") "match: {class: pii}\nmask: constant('x')\n---\n" HEAD(
            "b") "match: {tag: eu-only}\nfilter: country = 'NO'\n---\n" HEAD("c") "match: "
                                                                                  "all\ndeny: "
                                                                                  "true\n");
    bool done = false;

    w->in.platform = set;
    for (long i = 0; !done; i++) {
        struct sf_policy_view *v = NULL;
        struct sf_error err;
        enum sf_code code;

        sf_alloc_fail_after(i, 0);
        code = sf_policy_decide(&w->in, &v, &err);
        done = sf_alloc_faults() == 0;
        sf_alloc_fail_after(-1, 0);
        assert_int_equal(code, done ? SF_OK : SF_NOMEM);
        if (code == SF_OK) {
            sf_policy_view_free(v);
        }
    }
    sf_policy_set_free(set);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_without_policies_the_safe_default_and_the_columns_hold),
        T(test_the_owning_domain_is_never_bound),
        T(test_a_mask_that_names_the_class_stands_for_the_default),
        T(test_a_struct_is_as_closed_as_what_is_inside),
        T(test_the_strictest_mask_wins_and_two_may_join),
        T(test_exceptions_are_by_domain_role_and_purpose),
        T(test_a_set_knows_which_roles_count),
        T(test_who_may_have_every_role_sees_what_some_user_may),
        T(test_others_learn_which_rule_of_the_owner_it_is_and_not_what_it_says),
        T(test_to_except_the_owner_alone_excepts_nobody),
        T(test_who_is_excepted_from_the_rule_for_a_class_sees_it),
        T(test_all_filters_hold_and_equal_ones_are_one),
        T(test_one_deny_or_a_filter_that_cannot_be_applied_denies),
        T(test_what_expired_is_not_there_and_bounds_the_view_before),
        T(test_what_expired_is_no_cause),
        T(test_views_are_equal_when_their_bytes_are),
        T(test_rules_part_callers_by_domain_and_purpose),
        T(test_memory_may_end_at_any_moment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
