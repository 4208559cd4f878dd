/* What callers with roles see, and the owner who looks in their place. */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "leaf/rowcodec/row.h"
#include "leaf/serving/view_cache.h"
#include "proto/errors.h"
#include "tests/lib/leaf_world.h"

static const struct serving_caller billing = {.account = WORLD_ACCOUNT};

struct fixture {
    struct leaf_world w;
    struct serving_right right;
    struct sf_error err;
};

static void setup(struct fixture *f)
{
    *f = (struct fixture){0};
    leaf_world_init(&f->w, 1);
    (void)leaf_world_add(&f->w, world_orders);
}

static enum sf_code decide(struct fixture *f, const struct serving_caller *caller, uint32_t major)
{
    f->err = (struct sf_error){0};
    return serving_decide(&f->w.serving, caller, "orders", major, &f->right, &f->err);
}

/* Emails are shown to analysts, notes to auditors; orders above 100 to approvers, by a filter. */
#define BY_ROLE                                                                                    \
    "sheaf: policy/v1\nname: emails\nmatch: {class: pii}\nexcept: {roles: analyst}\nmask: omit\n"  \
    "---\n"                                                                                        \
    "sheaf: policy/v1\nname: notes\nmatch: {field: note}\nexcept: {roles: [auditor]}\nmask: "      \
    "null\n"

static void grant_by_role(struct fixture *f, const char *policies, bool keyless)
{
    static const struct world_grant one = {.id = "G-1"};

    setup(f);
    leaf_world_grant(&f->w, &(struct world_bundle){.version = 1,
                                                   .grants = &one,
                                                   .grant_count = 1,
                                                   .policies = policies,
                                                   .keyless = keyless});
}

/* The columns that who presents @roles sees, and how; "" or what is wrong. */
static const char *seen_by(struct fixture *f, const char *roles, struct served_view **ret,
                           char text[256])
{
    SF_CLEANUP(sf_buf_done) struct sf_buf assertion = {0};
    struct serving_caller caller = billing;
    size_t used = 0;

    if (roles != NULL) {
        leaf_world_assert(&f->w, roles, &assertion);
        caller.assertion = (const char *)assertion.data;
    }
    assert_int_equal(decide(f, &caller, 1), SF_OK);
    assert_int_equal(serving_view(&f->w.serving, leaf_world_table(&f->w, "orders"), f->right.grant,
                                  &f->right.roles, ret, NULL),
                     SF_OK);
    text[0] = '\0';
    for (size_t i = 0; i < (*ret)->columns->column_count; i++) {
        const struct sf_field *field = (*ret)->columns->columns[i].field;
        const int32_t at = sf_table_field_by_number((*ret)->table->contract, field->number);

        used += (size_t)snprintf(text + used, 256 - used, "%s%s%s", i == 0 ? "" : " ", field->name,
                                 served_view_shows_field(*ret, (size_t)at) ? "" : "*");
    }
    return text;
}

static void roles_that_a_policy_names_change_what_is_seen(void **state)
{
    static const struct {
        const char *roles;
        const char *sees;
        unsigned same_as; /* an earlier one with the very same view */
    } cases[] = {
        {NULL, "order_id amount note*", 0},
        {"", "order_id amount note*", 0},
        {"clerk boss", "order_id amount note*", 0}, /* No policy asks for them. */
        {"analyst", "order_id amount note* email", 3},
        {"clerk analyst analyst", "order_id amount note* email", 3},
        {"auditor", "order_id amount note", 5},
        {"auditor analyst", "order_id amount note email", 6},
        {"analyst clerk auditor", "order_id amount note email", 6},
    };
    struct served_view *views[SF_COUNT(cases)];
    struct fixture f;
    char text[256];
    (void)state;

    grant_by_role(&f, BY_ROLE, /* keyless= */ false);
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        assert_string_equal(seen_by(&f, cases[i].roles, &views[i], text), cases[i].sees);
        assert_ptr_equal(views[i], views[cases[i].same_as]);
        assert_int_equal(serving_still_shows(&f.w.serving, "G-1", views[i], &f.err), SF_OK);
    }
    /* Whoever is told nothing of keys takes nobody's word for roles. */
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        served_view_unref(views[i]);
    }
    leaf_world_done(&f.w);
    grant_by_role(&f, BY_ROLE, /* keyless= */ true);
    assert_string_equal(seen_by(&f, "analyst", &views[0], text), "order_id amount note*");
    served_view_unref(views[0]);
    leaf_world_done(&f.w);
}

static void a_view_of_a_role_ends_when_a_policy_drops_the_role(void **state)
{
    struct served_view *view = NULL;
    struct fixture f;
    char text[256];
    (void)state;

    grant_by_role(&f, BY_ROLE, /* keyless= */ false);
    assert_string_equal(seen_by(&f, "analyst", &view, text), "order_id amount note* email");
    leaf_world_policies(&f.w, "sheaf: policy/v1\nname: emails\nmatch: {class: pii}\nmask: omit\n");
    assert_int_equal(serving_still_shows(&f.w.serving, "G-1", view, &f.err), SF_BUSY);
    served_view_unref(view);
    leaf_world_done(&f.w);
}

/* A row is shown when the filter is true for one of the roles; without any, caller.role is null. */
static void a_filter_by_role_is_true_for_one_of_them(void **state)
{
    static const char *const roles[] = {NULL, "clerk", "boss", "approver boss"};
    struct served_view *view;
    struct fixture f;
    struct sf_value values[5] = {0};
    SF_CLEANUP(sf_buf_done) struct sf_buf row = {0};
    char text[256];
    (void)state;

    grant_by_role(&f,
                  "sheaf: policy/v1\nname: rows\nmatch: all\n"
                  "filter: \"caller.Role = 'boss'\"\n",
                  /* keyless= */ false);
    values[0] = (struct sf_value){.present = true, .s = SF_LITERAL("a")};
    assert_int_equal(row_encode(leaf_world_table(&f.w, "orders")->contract, values, &row, NULL),
                     SF_OK);
    for (size_t i = 0; i < SF_COUNT(roles); i++) {
        (void)seen_by(&f, roles[i], &view, text);
        assert_int_equal(served_view_admits(view, sf_buf_view(&row)), i >= 2);
        served_view_unref(view);
    }
    leaf_world_done(&f.w);
}

/* The serial of the view of @grant for who has @role. */
static uint64_t serial_of(struct fixture *f, const struct grant *grant, const char *role)
{
    struct served_roles roles = {0};
    struct sf_token_role one = {0};
    struct served_view *view = NULL;
    uint64_t serial;

    (void)snprintf(one.text, sizeof(one.text), "%s", role == NULL ? "" : role);
    if (role != NULL) {
        served_roles_add(&roles, &one);
    }
    assert_int_equal(
        serving_view(&f->w.serving, leaf_world_table(&f->w, "orders"), grant, &roles, &view, NULL),
        SF_OK);
    serial = view->serial;
    served_view_unref(view);
    return serial;
}

static void a_domain_that_invents_roles_pushes_out_its_own_views_only(void **state)
{
    enum { INVENTED = 2 * VIEW_CACHE_MAX };
    static const struct grant hostile = {.id = "G-1", .consumer = "mallory", .purpose = ""};
    static const struct grant grant = {.id = "G-2", .consumer = "billing", .purpose = ""};
    struct view_cache_stats stats;
    struct fixture f;
    uint64_t plain;
    uint64_t clerk;
    uint64_t own;
    uint64_t first;
    char role[32];
    (void)state;

    grant_by_role(&f,
                  "sheaf: policy/v1\nname: rows\nmatch: all\n"
                  "filter: \"caller.role = 'boss'\"\n",
                  /* keyless= */ false);
    plain = serial_of(&f, &grant, NULL);
    clerk = serial_of(&f, &grant, "clerk");
    own = serial_of(&f, &hostile, NULL);
    first = serial_of(&f, &hostile, "role-0");
    for (unsigned i = 1; i < INVENTED; i++) {
        (void)snprintf(role, sizeof(role), "role-%u", i);
        (void)serial_of(&f, &hostile, role);
    }
    stats = view_cache_stats(f.w.serving.products.views);
    assert_int_equal(stats.views, 2);
    assert_int_equal(stats.views_by_role_most, VIEW_CACHE_BY_ROLE_MAX);
    assert_int_equal(stats.pushed_out, 0);
    assert_int_equal(stats.pushed_out_by_role, INVENTED - VIEW_CACHE_BY_ROLE_MAX);
    assert_int_equal(serial_of(&f, &grant, NULL), plain);
    assert_int_equal(serial_of(&f, &grant, "clerk"), clerk);
    assert_int_equal(serial_of(&f, &hostile, NULL), own);
    assert_int_not_equal(serial_of(&f, &hostile, "role-0"), first);
    leaf_world_done(&f.w);
}

static void the_owner_who_looks_as_many_domains_finds_room(void **state)
{
    struct fixture f;
    char name[32];
    (void)state;

    grant_by_role(&f, BY_ROLE, /* keyless= */ false);
    for (unsigned i = 0; i < VIEW_CACHE_DOMAINS_MAX + 2; i++) {
        struct grant grant = {.id = "", .consumer = name, .purpose = ""};
        uint64_t serial;

        (void)snprintf(name, sizeof(name), "domain-%u", i);
        serial = serial_of(&f, &grant, "analyst");
        assert_int_equal(serial_of(&f, &grant, "analyst"), serial);
    }
    leaf_world_done(&f.w);
}

static void refused(struct fixture *f, struct sf_token t, const struct sf_seed *key,
                    const char *text)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf assertion = {0};
    struct serving_caller caller = billing;

    assert_int_equal(sf_token_make(&t, key, &assertion, NULL), SF_OK);
    sf_buf_byte(&assertion, '\0');
    caller.assertion = (const char *)assertion.data;
    assert_int_equal(decide(f, &caller, 1), SF_DENIED);
    assert_int_equal(f->err.number, SHEAF_E_ROLES_REFUSED);
    assert_string_equal(f->err.text, text);
}

/* None is taken as if there were none: who asks would not know why it sees less. */
static void an_assertion_that_does_not_hold_is_refused(void **state)
{
    struct serving_caller caller = billing;
    struct fixture f;
    struct sf_token t;
    int64_t now_s;
    (void)state;

    grant_by_role(&f, BY_ROLE, /* keyless= */ false);
    now_s = leaf_world_now(&f.w) / SF_US_PER_S;
    t = (struct sf_token){.kind = SF_TOKEN_ASSERTION,
                          .issuer = "billing",
                          .audience = WORLD_MESH "/sales/orders",
                          .roles = {{"analyst"}},
                          .role_count = 1,
                          .issued_s = now_s,
                          .expires_s = now_s + 60};
    refused(&f, t, &f.w.stranger, "its signature does not hold");
    refused(&f, t, &f.w.domain, "its signature does not hold");
    (void)snprintf(t.issuer, sizeof(t.issuer), "sales");
    refused(&f, t, &f.w.domain, "its issuer is not the domain that asks");
    (void)snprintf(t.issuer, sizeof(t.issuer), "billing");
    (void)snprintf(t.audience, sizeof(t.audience), WORLD_MESH "/sales/clicks");
    refused(&f, t, &f.w.billing, "it is for another product");
    (void)snprintf(t.audience, sizeof(t.audience), WORLD_MESH "/crm/orders");
    refused(&f, t, &f.w.billing, "it is for another product");
    (void)snprintf(t.audience, sizeof(t.audience), WORLD_MESH);
    refused(&f, t, &f.w.billing, "it is for another product");
    sf_token_audience(WORLD_MESH, "sales", "orders", t.audience);
    t.issued_s -= 180;
    t.expires_s -= 180;
    refused(&f, t, &f.w.billing, "it has expired");
    t = (struct sf_token){.issuer = "billing",
                          .subject = "ann",
                          .audience = WORLD_MESH,
                          .issued_s = now_s,
                          .expires_s = now_s + 60};
    refused(&f, t, &f.w.billing, "it is malformed"); /* a token for HTTP */
    caller.assertion = "";
    assert_int_equal(decide(&f, &caller, 1), SF_DENIED);
    assert_string_equal(f.err.text, "it is empty");
    /* The owner's own requests have no need of any. */
    assert_int_equal(decide(&f, &(struct serving_caller){.assertion = "?"}, 1), SF_OK);
    leaf_world_done(&f.w);
}

/* Who looks in others' place one after another gets the view of each, and theirs when they have a
 * grant. */
static void the_owner_looks_in_the_place_of_others(void **state)
{
    static const char *const domains[] = {"billing", "finance", "billing", "crm"};
    struct served_view *views[SF_COUNT(domains)];
    struct served_view *own = NULL;
    struct fixture f;
    char text[256];
    (void)state;

    grant_by_role(&f,
                  "sheaf: policy/v1\nname: notes\nmatch: {field: note}\n"
                  "except: {consumer_domain: billing}\nmask: hash\n",
                  /* keyless= */ false);
    f.w.serving.mask_secret = &f.w.leaf;
    assert_string_equal(seen_by(&f, NULL, &own, text), "order_id amount note");
    for (size_t i = 0; i < SF_COUNT(domains); i++) {
        struct serving_as as = {.domain = domains[i]};

        assert_int_equal(serving_decide_as(&f.w.serving, &as, "orders", 1, &f.right, &f.err),
                         SF_OK);
        assert_int_equal(as.granted != NULL, i % 2 == 0);
        assert_int_equal(serving_view(&f.w.serving, leaf_world_table(&f.w, "orders"), f.right.grant,
                                      &f.right.roles, &views[i], NULL),
                         SF_OK);
    }
    assert_ptr_equal(views[0], own);
    assert_ptr_equal(views[2], own);
    assert_string_not_equal(views[1]->name, own->name);
    assert_string_not_equal(views[3]->name, views[1]->name); /* hashes are of a domain */
    for (size_t i = 0; i < SF_COUNT(domains); i++) {
        served_view_unref(views[i]);
    }
    served_view_unref(own);
    f.w.serving.mask_secret = NULL;
    leaf_world_done(&f.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_that_a_policy_names_change_what_is_seen),
        cmocka_unit_test(the_owner_looks_in_the_place_of_others),
        cmocka_unit_test(a_view_of_a_role_ends_when_a_policy_drops_the_role),
        cmocka_unit_test(a_filter_by_role_is_true_for_one_of_them),
        cmocka_unit_test(a_domain_that_invents_roles_pushes_out_its_own_views_only),
        cmocka_unit_test(the_owner_who_looks_as_many_domains_finds_room),
        cmocka_unit_test(an_assertion_that_does_not_hold_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
