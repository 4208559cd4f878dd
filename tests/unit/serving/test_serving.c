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

/* A turn of the loop that takes long: its time is that of its begin. */
struct slow_turn {
    struct sf_rt rt;
    uint64_t turn_ns;
    uint64_t exact_ns;
    int64_t wall_us;
};

static uint64_t slow_now_ns(struct sf_rt *rt)
{
    return SF_CONTAINER_OF(rt, struct slow_turn, rt)->turn_ns;
}

static uint64_t slow_exact_ns(struct sf_rt *rt)
{
    return SF_CONTAINER_OF(rt, struct slow_turn, rt)->exact_ns;
}

static int64_t slow_wall_us(struct sf_rt *rt)
{
    return SF_CONTAINER_OF(rt, struct slow_turn, rt)->wall_us;
}

/* A bundle that is taken at the end of a turn of ten seconds ends no grant ten seconds early. */
static void a_long_turn_does_not_put_the_time_ahead(void **state)
{
    static const struct sf_rt_ops ops = {
        .now_ns = slow_now_ns, .exact_ns = slow_exact_ns, .wall_us = slow_wall_us};
    const int64_t noon = INT64_C(1800000000) * SF_US_PER_S;
    struct slow_turn t = {
        .rt = {&ops}, .turn_ns = SF_NS_PER_S, .exact_ns = 11 * SF_NS_PER_S, .wall_us = noon};
    struct serving s = {.rt = &t.rt};
    (void)state;

    assert_int_equal(serving_now_us(&s), noon);
    serving_know_time(&s, noon);
    assert_int_equal(serving_now_us(&s), noon); /* in the same turn: its begin is before */
    t.turn_ns = t.exact_ns;
    assert_int_equal(serving_now_us(&s), noon);
    t.wall_us = 0;
    t.exact_ns += SF_NS_PER_S;
    t.turn_ns = t.exact_ns;
    assert_int_equal(serving_now_us(&s), noon + SF_US_PER_S);
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
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_owner_reads_without_a_grant),
        cmocka_unit_test(others_read_with_a_grant_in_force_only),
        cmocka_unit_test(a_grant_is_of_one_major),
        cmocka_unit_test(a_grant_ends_at_its_time_and_with_its_bundle),
        cmocka_unit_test(a_clock_that_is_set_back_brings_nothing_back),
        cmocka_unit_test(a_long_turn_does_not_put_the_time_ahead),
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
        cmocka_unit_test(a_view_out_of_memory_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
