#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/time.h"
#include "leaf/rowcodec/row.h"
#include "leaf/serving/view_cache.h"
#include "proto/errors.h"
#include "tests/lib/leaf_world.h"

static const struct serving_caller owner = {0};
static const struct serving_caller billing = {.account = WORLD_ACCOUNT};
static const struct serving_caller nobody = {.account = "ANOTHERACCOUNT"};

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

static void the_owner_reads_without_a_grant(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    assert_int_equal(decide(&f, &owner, 0), SF_OK);
    assert_int_equal(f.right.product->contract_id, 1);
    assert_null(f.right.grant);
    assert_int_equal(decide(&f, &owner, 2), SF_ABSENT);
    assert_int_equal(f.err.number, SHEAF_E_PRODUCT_UNKNOWN);
    assert_string_equal(f.err.text, "product sales/orders@2");
    leaf_world_done(&f.w);
}

static void others_read_with_a_grant_in_force_only(void **state)
{
    static const struct world_grant one = {.id = "G-1"};
    struct fixture f;
    (void)state;

    setup(&f);
    assert_int_equal(decide(&f, &billing, 1), SF_UNAVAILABLE);
    assert_int_equal(f.err.number, SHEAF_E_BUNDLE_EXPIRED);
    leaf_world_grant(&f.w, &(struct world_bundle){.version = 1, .grants = &one, .grant_count = 1});
    assert_int_equal(decide(&f, &billing, 0), SF_OK);
    assert_string_equal(f.right.grant->id, "G-1");
    assert_true(serving_still_granted(&f.w.serving, "G-1"));
    assert_false(serving_still_granted(&f.w.serving, "G-2"));
    assert_int_equal(decide(&f, &nobody, 1), SF_DENIED);
    assert_int_equal(f.err.number, SHEAF_E_DENIED);
    assert_string_equal(f.err.text, "product sales/orders@1");
    /* What does not exist looks the same to everybody. */
    assert_int_equal(decide(&f, &nobody, 9), SF_ABSENT);
    leaf_world_done(&f.w);
}

static void a_grant_is_of_one_major(void **state)
{
    static const struct world_grant two = {.id = "G-2", .major = 2};
    struct fixture f;
    (void)state;

    setup(&f);
    leaf_world_grant(&f.w, &(struct world_bundle){.version = 1, .grants = &two, .grant_count = 1});
    assert_int_equal(decide(&f, &billing, 1), SF_DENIED);
    assert_string_equal(f.err.text, "product sales/orders@1; granted is sales/orders@2");
    assert_int_equal(decide(&f, &nobody, 1), SF_DENIED);
    assert_string_equal(f.err.text, "product sales/orders@1");
    leaf_world_done(&f.w);
}

static void a_grant_ends_at_its_time_and_with_its_bundle(void **state)
{
    struct fixture f;
    int64_t now;
    (void)state;

    setup(&f);
    now = leaf_world_now(&f.w);
    const struct world_grant grants[] = {{.id = "G-1", .until_us = now + SF_US_PER_S},
                                         {.id = "G-2", .account = "ANOTHERACCOUNT"}};

    leaf_world_grant(&f.w, &(struct world_bundle){.version = 1,
                                                  .expires_us = now + 10 * SF_US_PER_S,
                                                  .grants = grants,
                                                  .grant_count = 2});
    assert_int_equal(decide(&f, &billing, 1), SF_OK);
    rt_sim_set_wall_us(&f.w.stores.sim, now + SF_US_PER_S);
    assert_int_equal(decide(&f, &billing, 1), SF_DENIED);
    assert_false(serving_still_granted(&f.w.serving, "G-1"));
    assert_int_equal(decide(&f, &nobody, 1), SF_OK);
    rt_sim_set_wall_us(&f.w.stores.sim, now + 10 * SF_US_PER_S);
    assert_int_equal(decide(&f, &nobody, 1), SF_UNAVAILABLE);
    assert_false(serving_still_granted(&f.w.serving, "G-2"));
    assert_int_equal(decide(&f, &owner, 1), SF_OK);
    leaf_world_done(&f.w);
}

/* By a year, at once after the hub has signed: what ends by then ends when that time has passed. */
static void a_clock_that_is_set_back_brings_nothing_back(void **state)
{
    struct fixture f;
    struct rt_sim *sim = &f.w.stores.sim;
    int64_t now;
    (void)state;

    setup(&f);
    now = leaf_world_now(&f.w);
    const struct world_grant grants[] = {{.id = "G-1", .until_us = now + 2 * SF_US_PER_S},
                                         {.id = "G-2", .account = "ANOTHERACCOUNT"}};
    const struct world_bundle bundle = {
        .version = 1, .expires_us = now + 10 * SF_US_PER_S, .grants = grants, .grant_count = 2};

    leaf_world_grant(&f.w, &bundle);
    rt_sim_set_wall_us(sim, now - 365 * SF_US_PER_DAY);
    assert_int_equal(decide(&f, &billing, 1), SF_OK);
    rt_sim_run_for(sim, 2 * SF_NS_PER_S);
    assert_int_equal(decide(&f, &billing, 1), SF_DENIED);
    assert_false(serving_still_granted(&f.w.serving, "G-1"));
    assert_int_equal(decide(&f, &nobody, 1), SF_OK);
    rt_sim_run_for(sim, 8 * SF_NS_PER_S);
    assert_int_equal(decide(&f, &nobody, 1), SF_UNAVAILABLE);
    assert_int_equal(serving_now_us(&f.w.serving), now + 10 * SF_US_PER_S);
    leaf_world_done(&f.w);
}

/* Hub and leaf on one machine, whose clock is set back: the next bundle was issued before the last.
 */
static void a_hub_whose_clock_is_set_back_brings_nothing_back(void **state)
{
    struct fixture f;
    struct rt_sim *sim = &f.w.stores.sim;
    int64_t now;
    (void)state;

    setup(&f);
    now = leaf_world_now(&f.w);
    const struct world_grant grants[] = {{.id = "G-1", .until_us = now + 10 * SF_US_PER_S},
                                         {.id = "G-2", .account = "ANOTHERACCOUNT"}};
    struct world_bundle bundle = {.version = 1, .grants = grants, .grant_count = 2};

    leaf_world_grant(&f.w, &bundle);
    rt_sim_run_for(sim, 11 * SF_NS_PER_S);
    assert_int_equal(decide(&f, &billing, 1), SF_DENIED);
    rt_sim_set_wall_us(sim, now - 600 * SF_US_PER_S);
    bundle.version = 2;
    leaf_world_grant(&f.w, &bundle); /* The hub has not written down yet that G-1 is over. */
    assert_int_equal(decide(&f, &billing, 1), SF_DENIED);
    assert_false(serving_still_granted(&f.w.serving, "G-1"));
    assert_int_equal(decide(&f, &nobody, 1), SF_OK);
    assert_true(serving_now_us(&f.w.serving) >= now + 11 * SF_US_PER_S);
    leaf_world_done(&f.w);
}

/* Meanwhile others get nothing; afterwards what time has not ended is in force again. */
static void a_clock_that_jumps_forward_and_back_ends_nothing_for_good(void **state)
{
    static const struct world_grant one = {.id = "G-1"};
    struct fixture f;
    int64_t now;
    (void)state;

    setup(&f);
    now = leaf_world_now(&f.w);
    leaf_world_grant(&f.w, &(struct world_bundle){.version = 1, .grants = &one, .grant_count = 1});
    rt_sim_set_wall_us(&f.w.stores.sim, now + 365 * SF_US_PER_DAY);
    assert_int_equal(decide(&f, &billing, 1), SF_UNAVAILABLE);
    rt_sim_set_wall_us(&f.w.stores.sim, now);
    assert_int_equal(decide(&f, &billing, 1), SF_OK);
    leaf_world_done(&f.w);
}

/* --- views ------------------------------------------------------------------------------------ */

/* Names of the fields of the view, separated by blanks. */
static const char *view_of(struct fixture *f, const struct grant *grant, const char *const *select,
                           char ret[256])
{
    SF_CLEANUP(served_view_unrefp) struct served_view *view = NULL;
    SF_CLEANUP(row_view_freep) struct row_view *some = NULL;
    char name[SERVING_VIEW_NAME];
    struct sf_slice names[8];
    size_t n = 0;

    while (select != NULL && select[n] != NULL) {
        names[n] = sf_slice_text(select[n]);
        n++;
    }
    assert_int_equal(
        serving_view(&f->w.serving, leaf_world_table(&f->w, "orders"), grant, NULL, &view, NULL),
        SF_OK);
    if (served_view_select(view, names, n, &some, name, &f->err) != SF_OK) {
        (void)snprintf(ret, 256, "%.255s", f->err.text);
        return ret;
    }
    ret[0] = '\0';
    for (size_t i = 0; i < (n == 0 ? view->columns : some)->column_count; i++) {
        (void)strncat(ret, i == 0 ? "" : " ", 255 - strlen(ret));
        (void)strncat(ret, (n == 0 ? view->columns : some)->columns[i].field->name,
                      255 - strlen(ret));
    }
    return ret;
}

#define VIEW(grant, ...) view_of(&f, (grant), (const char *const[]){__VA_ARGS__ NULL}, text)

static void the_owner_sees_every_field_or_those_it_selects(void **state)
{
    struct fixture f;
    char text[256];
    (void)state;

    setup(&f);
    assert_string_equal(VIEW(NULL, ), "order_id amount note email token");
    assert_string_equal(VIEW(NULL, "token", "order_id", ), "order_id token");
    leaf_world_done(&f.w);
}

static void others_never_see_pii_and_secrets_whatever_the_grant_names(void **state)
{
    static const char *const named[] = {"order_id", "email", "token", "amount"};
    const struct grant all = {.id = "G-1"};
    const struct grant some = {.id = "G-2", .columns = named, .column_count = 4};
    const struct grant hidden = {.id = "G-3", .columns = named + 1, .column_count = 2};
    struct fixture f;
    char text[256];
    (void)state;

    setup(&f);
    assert_string_equal(VIEW(&all, ), "order_id amount note");
    assert_string_equal(VIEW(&some, ), "order_id amount");
    assert_string_equal(VIEW(&some, "order_id", ), "order_id");
    assert_string_equal(VIEW(&hidden, ), "");
    leaf_world_done(&f.w);
}

static void what_is_not_seen_is_no_field(void **state)
{
    static const char *const named[] = {"order_id", "email"};
    const struct grant some = {.id = "G-2", .columns = named, .column_count = 2};
    struct fixture f;
    char text[256];
    (void)state;

    setup(&f);
    assert_string_equal(VIEW(NULL, "colour", ), "table 'orders' has no field 'colour'");
    assert_string_equal(VIEW(&some, "order_id", "colour", ),
                        "table 'orders' has no field 'colour'");
    assert_int_equal(f.err.number, SHEAF_E_FIELD_UNKNOWN);
    assert_string_equal(VIEW(&some, "order_id", "note", ), "table 'orders' has no field 'note'");
    assert_string_equal(VIEW(&some, "email", ), "table 'orders' has no field 'email'");
    leaf_world_done(&f.w);
}

static void a_view_out_of_memory_is_none(void **state)
{
    const struct grant all = {.id = "G-1"};
    struct served_view *view = NULL;
    struct fixture f;
    (void)state;

    setup(&f);
    for (long n = 0;; n++) {
        enum sf_code code;

        sf_alloc_fail_after(n, false);
        code =
            serving_view(&f.w.serving, leaf_world_table(&f.w, "orders"), &all, NULL, &view, &f.err);
        if (sf_alloc_faults() == 0) {
            assert_int_equal(code, SF_OK);
            break;
        }
        assert_int_equal(code, SF_NOMEM);
        assert_null(view);
    }
    sf_alloc_fail_after(-1, false);
    served_view_unref(view);
    leaf_world_done(&f.w);
}

/* A later release applied it; or the file was changed. The owner's own reading goes on. */
static void policies_of_a_product_that_cannot_be_read_close_it_to_others(void **state)
{
    static const struct world_grant one = {.id = "G-1"};
    static const char newer[] =
        "policies: [{name: notes, match: {field: note}, mask: redact, unless: {hour: 3}}]\n";
    struct served_view *view = NULL;
    struct serving_right right;
    struct fixture f;
    struct sf_buf yaml = {0};
    (void)state;

    setup(&f);
    sf_buf_text(&yaml, world_orders_newer);
    sf_buf_text(&yaml, newer);
    (void)leaf_world_add(&f.w, sf_buf_cstr(&yaml));
    leaf_world_grant(&f.w, &(struct world_bundle){.version = 1, .grants = &one, .grant_count = 1});
    assert_int_equal(serving_decide(&f.w.serving,
                                    &(struct serving_caller){.account = WORLD_ACCOUNT}, "orders", 1,
                                    &right, NULL),
                     SF_OK);
    assert_true(right.product->closed);
    assert_int_equal(serving_view(&f.w.serving, leaf_world_table(&f.w, "orders"), right.grant, NULL,
                                  &view, &f.err),
                     SF_DENIED);
    assert_int_equal(f.err.number, SHEAF_E_POLICY_DENIES);
    assert_string_equal(f.err.text, "table 'orders' is closed: its policies cannot be read");
    assert_null(view);
    assert_int_equal(
        serving_view(&f.w.serving, leaf_world_table(&f.w, "orders"), NULL, NULL, &view, &f.err),
        SF_OK);
    served_view_unref(view);
    sf_buf_done(&yaml);
    leaf_world_done(&f.w);
}

/* What was asked for before is there, also under another bundle that changes nothing. */
static void a_view_is_made_once(void **state)
{
    static const struct world_grant one = {.id = "G-1"};
    static const struct world_grant less = {.id = "G-1", .columns = {"order_id"}};
    struct served_view *views[3] = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    for (unsigned i = 0; i < 3; i++) {
        leaf_world_grant(&f.w, &(struct world_bundle){.version = i + 1,
                                                      .grants = i < 2 ? &one : &less,
                                                      .grant_count = 1});
        assert_int_equal(serving_view(&f.w.serving, leaf_world_table(&f.w, "orders"),
                                      &f.w.serving.grants->grants[0], NULL, &views[i], NULL),
                         SF_OK);
    }
    assert_ptr_equal(views[0], views[1]);
    assert_ptr_not_equal(views[0], views[2]);
    assert_true(views[0]->serial != views[2]->serial);
    assert_string_not_equal(views[0]->name, views[2]->name);
    assert_int_equal(serving_still_shows(&f.w.serving, "G-1", views[2], &f.err), SF_OK);
    assert_int_equal(serving_still_shows(&f.w.serving, "G-1", views[0], &f.err), SF_BUSY);
    assert_string_equal(f.err.text, "what grant G-1 sees has changed: ask again");
    assert_int_equal(serving_still_shows(&f.w.serving, "G-2", views[0], &f.err), SF_DENIED);
    assert_string_equal(f.err.text, "grant G-2 has ended");
    for (unsigned i = 0; i < 3; i++) {
        served_view_unref(views[i]);
    }
    leaf_world_done(&f.w);
}

static struct served_view *made_of(struct fixture *f, const struct grant *grant)
{
    struct served_view *view = NULL;

    assert_int_equal(
        serving_view(&f->w.serving, leaf_world_table(&f->w, "orders"), grant, NULL, &view, NULL),
        SF_OK);
    return view;
}

static void an_answer_goes_on_under_a_newer_version_unless_that_hides_more(void **state)
{
    static const struct world_grant one = {.id = "G-1"};
    const char *at = strstr(world_orders_newer, "unit: EUR");
    SF_CLEANUP(sf_buf_done) struct sf_buf hides = {0};
    SF_CLEANUP(served_view_unrefp) struct served_view *view = NULL;
    struct fixture f;
    (void)state;

    setup(&f);
    leaf_world_grant(&f.w, &(struct world_bundle){.version = 1, .grants = &one, .grant_count = 1});
    view = made_of(&f, &f.w.serving.grants->grants[0]);
    (void)leaf_world_add(&f.w, world_orders_newer); /* with a field more */
    assert_int_equal(serving_still_shows(&f.w.serving, "G-1", view, &f.err), SF_OK);
    sf_buf_printf(&hides, "%.*sclass: pii%s", (int)(at - world_orders_newer), world_orders_newer,
                  at + strlen("unit: EUR"));
    strstr((char *)hides.data, "1.1.0")[2] = '2';
    (void)leaf_world_add(&f.w, sf_buf_cstr(&hides));
    assert_int_equal(serving_still_shows(&f.w.serving, "G-1", view, &f.err), SF_BUSY);
    assert_string_equal(f.err.text, "what grant G-1 sees has changed: ask again");
    served_view_unref(SF_TAKE(view));
    view = made_of(&f, &f.w.serving.grants->grants[0]);
    assert_int_equal(serving_still_shows(&f.w.serving, "G-1", view, &f.err), SF_OK);
    served_view_unref(SF_TAKE(view));
    leaf_world_done(&f.w);
}

static void there_is_room_for_so_many_views_and_the_oldest_goes(void **state)
{
    enum { COUNT = VIEW_CACHE_MAX + 1 };
    static char consumers[COUNT][16];
    static struct grant grants[COUNT];
    static uint64_t serials[COUNT];
    struct fixture f;
    (void)state;

    setup(&f);
    for (unsigned i = 0; i < COUNT; i++) {
        struct served_view *view;

        (void)snprintf(consumers[i], sizeof(consumers[i]), "domain-%u", i);
        grants[i] = (struct grant){.id = "G", .consumer = consumers[i], .purpose = ""};
        view = made_of(&f, &grants[i]);
        serials[i] = view->serial;
        served_view_unref(view);
    }
    for (unsigned i = COUNT; i-- > 0;) { /* the last is made anew, in the place of another */
        struct served_view *view = made_of(&f, &grants[i]);

        assert_int_equal(view->serial == serials[i], i > 0);
        served_view_unref(view);
    }
    leaf_world_done(&f.w);
}

/* --- roles ------------------------------------------------------------------------------------ */

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

/* However often it is asked for: what it shows by a policy that ends is decided anew at that time.
 */
static void a_view_ends_with_a_policy_that_expires(void **state)
{
    static const struct world_grant one = {.id = "G-1"};
    struct served_view *views[4] = {0};
    SF_CLEANUP(sf_buf_done) struct sf_buf policy = {0};
    char end[SF_TIME_TEXT_SIZE];
    struct fixture f;
    int64_t now;
    (void)state;

    setup(&f);
    now = sf_rt_wall_us(&f.w.stores.sim.rt);
    leaf_world_grant(&f.w, &(struct world_bundle){.version = 1,
                                                  .expires_us = now + 100 * SF_US_PER_S,
                                                  .grants = &one,
                                                  .grant_count = 1});
    (void)sf_time_format(now + 10 * SF_US_PER_S, end);
    sf_buf_printf(
        &policy, "sheaf: policy/v1\nname: notes\nmatch: {field: note}\nmask: redact\nexpires: %s\n",
        end);
    leaf_world_policies(&f.w, sf_buf_cstr(&policy));
    for (unsigned i = 0; i < 4; i++) {
        rt_sim_set_wall_us(&f.w.stores.sim, now + (i < 3 ? 9 : 10) * SF_US_PER_S);
        assert_int_equal(serving_view(&f.w.serving, leaf_world_table(&f.w, "orders"),
                                      &f.w.serving.grants->grants[0], NULL, &views[i], NULL),
                         SF_OK);
    }
    assert_ptr_equal(views[0], views[1]);
    assert_ptr_equal(views[1], views[2]);
    assert_non_null(views[2]->masks);
    assert_null(views[3]->masks);
    for (unsigned i = 0; i < 4; i++) {
        served_view_unref(views[i]);
    }
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
        cmocka_unit_test(the_owner_reads_without_a_grant),
        cmocka_unit_test(others_read_with_a_grant_in_force_only),
        cmocka_unit_test(a_grant_is_of_one_major),
        cmocka_unit_test(a_grant_ends_at_its_time_and_with_its_bundle),
        cmocka_unit_test(a_clock_that_is_set_back_brings_nothing_back),
        cmocka_unit_test(a_hub_whose_clock_is_set_back_brings_nothing_back),
        cmocka_unit_test(a_clock_that_jumps_forward_and_back_ends_nothing_for_good),
        cmocka_unit_test(the_owner_sees_every_field_or_those_it_selects),
        cmocka_unit_test(others_never_see_pii_and_secrets_whatever_the_grant_names),
        cmocka_unit_test(what_is_not_seen_is_no_field),
        cmocka_unit_test(policies_of_a_product_that_cannot_be_read_close_it_to_others),
        cmocka_unit_test(a_view_is_made_once),
        cmocka_unit_test(a_view_ends_with_a_policy_that_expires),
        cmocka_unit_test(an_answer_goes_on_under_a_newer_version_unless_that_hides_more),
        cmocka_unit_test(there_is_room_for_so_many_views_and_the_oldest_goes),
        cmocka_unit_test(roles_that_a_policy_names_change_what_is_seen),
        cmocka_unit_test(the_owner_looks_in_the_place_of_others),
        cmocka_unit_test(a_view_of_a_role_ends_when_a_policy_drops_the_role),
        cmocka_unit_test(a_filter_by_role_is_true_for_one_of_them),
        cmocka_unit_test(a_domain_that_invents_roles_pushes_out_its_own_views_only),
        cmocka_unit_test(the_owner_who_looks_as_many_domains_finds_room),
        cmocka_unit_test(an_assertion_that_does_not_hold_is_refused),
        cmocka_unit_test(a_view_out_of_memory_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
