/* What a leaf keeps of bundles: over restarts, crashes and disks that fail nothing comes back that
 * a hub has forgotten. */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/time.h"
#include "leaf/serving/bundles.h"
#include "leaf/serving/view_cache.h"
#include "proto/errors.h"
#include "tests/lib/leaf_world.h"

struct fixture {
    struct leaf_world w;
    struct bundles b;
    struct sf_error err;
    uint64_t version;
    unsigned stored; /* times it was told */
};

static void on_stored(void *data)
{
    struct fixture *f = data;

    f->stored++;
}

static bool is_quiet(void *data)
{
    return !((struct fixture *)data)->b.storing;
}

static enum sf_code load(struct fixture *f)
{
    const struct grant_trust trust = leaf_world_trust(&f->w, 0);

    bundles_init(&f->b);
    f->b.store = f->w.stores.store;
    f->b.serving = &f->w.serving;
    f->b.on_stored = on_stored;
    f->b.data = f;
    return bundles_load(&f->b, &trust, 0, &f->err);
}

static void setup(struct fixture *f)
{
    *f = (struct fixture){0};
    leaf_world_init(&f->w, 1);
    (void)leaf_world_add(&f->w, world_orders);
    assert_int_equal(load(f), SF_OK);
}

static void teardown(struct fixture *f)
{
    bundles_done(&f->b);
    leaf_world_done(&f->w);
}

/* The process is killed, or the power fails, and the leaf starts again. */
static void restart(struct fixture *f)
{
    bundles_done(&f->b);
    leaf_world_crash(&f->w, world_orders);
    assert_int_equal(load(f), SF_OK);
}

static enum sf_code take(struct fixture *f, struct world_bundle b)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf bytes = {0};
    const struct grant_trust trust = leaf_world_trust(&f->w, 0);

    b.version = b.version == 0 ? ++f->version : b.version;
    leaf_world_sign(&f->w, &b, &bytes);
    f->err = (struct sf_error){0};
    return bundles_take(&f->b, sf_buf_view(&bytes), &trust, &f->err);
}

static void take_and_store(struct fixture *f, const struct world_bundle *b)
{
    const unsigned stored = f->stored;

    assert_int_equal(take(f, *b), SF_OK);
    assert_true(f->b.storing);
    assert_int_equal(f->stored, stored); /* never inside the call */
    assert_true(rt_sim_run_until(&f->w.stores.sim, is_quiet, f, SF_NS_PER_S));
    assert_int_equal(f->stored, stored + 1);
}

static uint16_t why_not(struct fixture *f)
{
    const struct serving_caller caller = {.account = WORLD_ACCOUNT};
    struct serving_right right;
    struct sf_error err = {0};

    return serving_decide(&f->w.serving, &caller, "orders", 1, &right, &err) == SF_OK ? 0
                                                                                      : err.number;
}

static const struct world_grant first = {
    .id = "G-1", .sole = "sole1", .until_us = INT64_MAX, .decided_us = 1};
static const struct world_grant again = {
    .id = "G-2", .sole = "sole1", .until_us = INT64_MAX, .decided_us = 2};
static const struct world_grant beside = {.id = "G-3",
                                          .account = "OTHER",
                                          .consumer = "fraud",
                                          .sole = "sole3",
                                          .until_us = INT64_MAX,
                                          .decided_us = 3};

static const struct world_bundle with_first = {.grants = &first, .grant_count = 1};
static const struct world_bundle empty = {0};

/* --- grants ----------------------------------------------------------------------------------- */

static void what_a_bundle_had_and_a_later_one_has_not_comes_back_in_none(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    take_and_store(&f, &with_first);
    assert_int_equal(why_not(&f), 0);
    take_and_store(&f, &empty);
    assert_int_equal(why_not(&f), SHEAF_E_DENIED);
    take_and_store(&f, &with_first);
    assert_int_equal(why_not(&f), SHEAF_E_GRANT_HELD_BACK);
    assert_int_equal(f.w.serving.grants->grant_count, 0);
    assert_int_equal(f.w.serving.grants->refused, 0);
    assert_int_equal(f.w.serving.grants->held_count, 1);
    assert_string_equal(f.w.serving.grants->held[0].id, "G-1");
    take_and_store(&f, &with_first);
    assert_int_equal(why_not(&f), SHEAF_E_GRANT_HELD_BACK);
    take_and_store(&f, &empty);
    take_and_store(&f, &with_first);
    assert_int_equal(why_not(&f), SHEAF_E_GRANT_HELD_BACK);
    teardown(&f);
}

static void a_new_decision_of_the_same_words_is_in_force(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    take_and_store(&f, &with_first);
    take_and_store(&f, &empty);
    take_and_store(&f, &(struct world_bundle){.grants = &again, .grant_count = 1});
    assert_int_equal(why_not(&f), 0);
    restart(&f);
    assert_int_equal(why_not(&f), 0);
    take_and_store(&f, &with_first); /* The hub forgets the second and has the first again. */
    assert_int_equal(why_not(&f), SHEAF_E_GRANT_HELD_BACK);
    teardown(&f);
}

static void it_stays_ended_over_restarts_until_its_own_end(void **state)
{
    struct world_grant grant = first;
    const struct world_bundle with = {.grants = &grant, .grant_count = 1};
    struct fixture f;
    (void)state;

    setup(&f);
    grant.until_us = leaf_world_now(&f.w) + 10 * SF_US_PER_S;
    take_and_store(&f, &with);
    take_and_store(&f, &empty);
    restart(&f);
    assert_int_equal(ended_count(&f.b.ended), 1);
    take_and_store(&f, &with);
    assert_int_equal(why_not(&f), SHEAF_E_GRANT_HELD_BACK);
    restart(&f);
    assert_int_equal(why_not(&f), SHEAF_E_GRANT_HELD_BACK); /* The one that is stored has it. */
    rt_sim_set_wall_us(&f.w.stores.sim, grant.until_us);
    take_and_store(&f, &empty);
    assert_int_equal(ended_count(&f.b.ended), 0);
    restart(&f);
    assert_int_equal(f.b.ended.count, 0);
    teardown(&f);
}

static void a_clock_that_is_ahead_forgets_nothing(void **state)
{
    struct world_grant grant = first;
    struct fixture f;
    int64_t now_us;
    SF_CLEANUP(sf_buf_done) struct sf_buf bytes = {0};
    struct grant_trust trust;
    (void)state;

    setup(&f);
    now_us = leaf_world_now(&f.w);
    grant.until_us = now_us + 10 * SF_US_PER_S;
    take_and_store(&f, &(struct world_bundle){.grants = &grant, .grant_count = 1});
    take_and_store(&f, &empty);
    leaf_world_sign(&f.w, &(struct world_bundle){.version = 9}, &bytes);
    rt_sim_set_wall_us(&f.w.stores.sim, now_us + 60 * SF_US_PER_S);
    trust = leaf_world_trust(&f.w, 0);
    assert_int_equal(bundles_take(&f.b, sf_buf_view(&bytes), &trust, NULL), SF_OK);
    assert_int_equal(ended_count(&f.b.ended), 1);
    assert_true(rt_sim_run_until(&f.w.stores.sim, is_quiet, &f, SF_NS_PER_S));
    teardown(&f);
}

static void after_a_restore_nothing_is_in_force_but_what_had_been_is_known(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    take_and_store(&f, &with_first);
    bundles_done(&f.b);
    assert_int_equal(store_raise_epoch(f.w.stores.store, 0, NULL), SF_OK);
    leaf_world_crash(&f.w, world_orders);
    assert_int_equal(load(&f), SF_OK);
    assert_null(f.w.serving.grants);
    assert_int_equal(f.b.version, 1);
    take_and_store(&f, &empty); /* Revoked since the backup was taken. */
    take_and_store(&f, &with_first);
    assert_int_equal(why_not(&f), SHEAF_E_GRANT_HELD_BACK);
    teardown(&f);
}

static void a_bundle_that_has_expired_counts_for_what_has_ended(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    take_and_store(&f, &with_first);
    rt_sim_set_wall_us(&f.w.stores.sim, leaf_world_now(&f.w) + 2 * 3600 * SF_US_PER_S);
    restart(&f);
    assert_null(f.w.serving.grants);
    take_and_store(&f, &empty);
    take_and_store(&f, &with_first);
    assert_int_equal(ended_count(&f.b.ended), 1);
    teardown(&f);
}

/* The grant gets a field that this release does not know, then not: that was no end. */
static void unknown(Sheaf__V1__Grant *g, Sheaf__V1__Decision *d, void *data)
{
    static uint8_t bytes[] = {1};
    static ProtobufCMessageUnknownField field = {
        .tag = 1000, .wire_type = PROTOBUF_C_WIRE_TYPE_VARINT, .len = 1, .data = bytes};

    (void)d;
    (void)data;
    g->base.n_unknown_fields = 1;
    g->base.unknown_fields = &field;
}

static void a_grant_that_is_there_and_not_understood_has_not_ended(void **state)
{
    struct world_bundle not_understood = with_first;
    struct fixture f;
    (void)state;

    setup(&f);
    not_understood.spoil = unknown;
    take_and_store(&f, &with_first);
    take_and_store(&f, &not_understood);
    assert_int_equal(f.w.serving.grants->refused, 1);
    assert_int_equal(why_not(&f), SHEAF_E_DENIED);
    take_and_store(&f, &with_first);
    assert_int_equal(why_not(&f), 0);
    teardown(&f);
}

static void what_was_given_up_for_the_floor_stays_ended_and_what_is_in_force_goes_on(void **state)
{
    struct world_grant all[12];
    static const char *const accounts[] = {"A0", "A1", "A2", "A3", "A4", "A5",
                                           "A6", "A7", "A8", "A9", "AA", "AB"};
    struct fixture f;
    (void)state;

    setup(&f);
    f.b.ended.max = 8;
    for (size_t i = 0; i < SF_COUNT(all); i++) {
        all[i] = (struct world_grant){.id = accounts[i],
                                      .account = accounts[i],
                                      .until_us = INT64_MAX,
                                      .decided_us = 10 + (int64_t)i};
    }
    all[0].account = WORLD_ACCOUNT;
    all[1].decided_us = 0; /* the oldest, which goes on */
    take_and_store(&f, &(struct world_bundle){.grants = all, .grant_count = SF_COUNT(all)});
    take_and_store(&f, &(struct world_bundle){.grants = &all[1], .grant_count = 1});
    assert_true(f.b.ended.floor_us >= 10);
    assert_true(ended_count(&f.b.ended) <= 8);
    restart(&f);
    f.b.ended.max = 8;
    assert_int_equal(f.w.serving.grants->grant_count, 1);
    take_and_store(&f, &(struct world_bundle){.grants = all, .grant_count = 2});
    assert_int_equal(why_not(&f), SHEAF_E_GRANT_HELD_BACK);
    assert_int_equal(f.w.serving.grants->grant_count, 1);
    restart(&f);
    assert_int_equal(why_not(&f), SHEAF_E_GRANT_HELD_BACK);
    assert_int_equal(f.w.serving.grants->grant_count, 1);
    teardown(&f);
}

/* --- audiences -------------------------------------------------------------------------------- */

static void who_shares_with_what_has_ended_is_fed_apart_when_the_hub_may_have_forgotten(
    void **state)
{
    const struct world_grant both[] = {first, beside};
    const struct world_bundle with_both = {.grants = both, .grant_count = 2};
    const struct world_bundle with_beside = {.grants = &beside, .grant_count = 1};
    struct fixture f;
    (void)state;

    setup(&f);
    f.w.serving.hub_answers = true;
    take_and_store(&f, &with_both);
    assert_false(serving_feeds_apart(&f.w.serving, &f.w.serving.grants->grants[1]));
    take_and_store(&f, &with_beside);
    assert_string_equal(f.w.serving.grants->grants[0].id, "G-3");
    assert_false(serving_feeds_apart(&f.w.serving, &f.w.serving.grants->grants[0]));
    f.w.serving.hub_answers = false;
    assert_true(serving_feeds_apart(&f.w.serving, &f.w.serving.grants->grants[0]));
    restart(&f);
    assert_false(f.w.serving.hub_answers);
    assert_true(serving_feeds_apart(&f.w.serving, &f.w.serving.grants->grants[0]));
    f.w.serving.hub_answers = true;
    take_and_store(&f, &with_both);
    assert_int_equal(f.w.serving.grants->grant_count, 1);
    assert_true(serving_feeds_apart(&f.w.serving, &f.w.serving.grants->grants[0]));
    teardown(&f);
}

/* --- policies --------------------------------------------------------------------------------- */

#define POLICY(name) "sheaf: policy/v1\nname: " name "\nmatch: {field: note}\nmask: redact\n"

static bool has_policy(const struct fixture *f, const char *name)
{
    const struct grant_set *set = f->w.serving.grants;

    return set->policies != NULL && sf_policy_set_binds(set->policies, name, WORLD_DOMAIN);
}

static void policies_do_not_go_back_and_grants_do_not_wait_for_them(void **state)
{
    const struct world_bundle newer = {.policies = POLICY("newer"), .policy_version = 7};
    struct world_bundle older = {.policies = POLICY("older"), .policy_version = 4};
    struct fixture f;
    (void)state;

    setup(&f);
    take_and_store(&f, &newer);
    older.grants = &first;
    older.grant_count = 1;
    for (int round = 0; round < 3; round++) {
        take_and_store(&f, &older);
        assert_int_equal(why_not(&f), 0);
        assert_true(has_policy(&f, "newer") && !has_policy(&f, "older"));
        assert_int_equal(f.w.serving.grants->policy_version, 7);
        assert_int_equal(f.w.serving.grants->told_policy_version, 4);
        restart(&f);
        assert_true(has_policy(&f, "newer") && !has_policy(&f, "older"));
        assert_int_equal(f.w.serving.grants->policy_version, 7);
    }
    older.policy_version = 7;
    take_and_store(&f, &older);
    assert_true(has_policy(&f, "older"));
    assert_null(f.w.serving.grants->policies_of);
    restart(&f);
    assert_true(has_policy(&f, "older"));
    assert_null(f.w.serving.grants->policies_of);
    teardown(&f);
}

static void a_hub_of_before_the_first_policy_takes_none_away(void **state)
{
    const struct world_bundle newer = {.policies = POLICY("newer"), .policy_version = 1};
    struct fixture f;
    (void)state;

    setup(&f);
    take_and_store(&f, &newer);
    take_and_store(&f, &with_first);
    assert_true(has_policy(&f, "newer"));
    assert_int_equal(f.w.serving.grants->policy_version, 1);
    teardown(&f);
}

static void policies_that_are_not_understood_go_on_closing_all(void **state)
{
    const struct world_bundle newer = {.policies = "sheaf: policy/v9\n", .policy_version = 7};
    struct fixture f;
    (void)state;

    setup(&f);
    take_and_store(&f, &newer);
    assert_true(f.w.serving.grants->unread);
    take_and_store(&f, &with_first);
    assert_true(f.w.serving.grants->unread);
    assert_int_equal(why_not(&f), SHEAF_E_DENIED);
    teardown(&f);
}

/* --- what fails ------------------------------------------------------------------------------- */

static void an_older_version_is_refused_after_a_restart_too(void **state)
{
    struct world_bundle older = with_first;
    struct fixture f;
    (void)state;

    setup(&f);
    f.version = 5;
    take_and_store(&f, &empty);
    older.version = 5;
    assert_int_equal(take(&f, older), SF_CONFLICT);
    rt_sim_set_wall_us(&f.w.stores.sim, leaf_world_now(&f.w) + 2 * 3600 * SF_US_PER_S);
    restart(&f);
    assert_null(f.w.serving.grants);
    assert_int_equal(take(&f, older), SF_CONFLICT);
    assert_int_equal(f.b.version, 6);
    teardown(&f);
}

static void one_that_cannot_be_stored_is_in_force_but_not_acknowledged(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    take_and_store(&f, &with_first);
    assert_int_equal(f.b.version_stored, 1);
    f.w.stores.disk.free_bytes = 0;
    take_and_store(&f, &empty);
    assert_int_equal(why_not(&f), SHEAF_E_DENIED);
    assert_int_equal(f.b.version, 2);
    assert_int_equal(f.b.version_stored, 1);
    f.w.stores.disk.free_bytes = f.w.stores.disk.total_bytes;
    f.version--;
    take_and_store(&f, &empty); /* The hub sends it again. */
    assert_int_equal(f.b.version_stored, 2);
    restart(&f);
    take_and_store(&f, &with_first);
    assert_int_equal(why_not(&f), SHEAF_E_GRANT_HELD_BACK);
    teardown(&f);
}

static void a_crash_before_it_is_stored_leaves_the_bundle_of_before(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    take_and_store(&f, &with_first);
    leaf_world_kill(&f.w);
    assert_int_equal(take(&f, empty), SF_OK);
    assert_true(rt_sim_run_until(&f.w.stores.sim, is_quiet, &f, SF_NS_PER_S));
    assert_int_equal(f.b.version_stored, 1);
    restart(&f);
    assert_int_equal(f.b.version_stored, 1);
    assert_int_equal(why_not(&f), 0); /* Nobody was told that it is over. */
    take_and_store(&f, &empty);
    take_and_store(&f, &with_first);
    assert_int_equal(why_not(&f), SHEAF_E_GRANT_HELD_BACK);
    teardown(&f);
}

static void a_record_that_is_damaged_stops_the_start(void **state)
{
    struct sf_slice key;
    struct fixture f;
    size_t size;
    size_t i = 0;
    (void)state;

    setup(&f);
    take_and_store(&f, &with_first);
    take_and_store(&f, &empty);
    while (fake_disk_key(&f.w.stores.disk, KV_META, i, &key) &&
           (key.size < 7 || memcmp(key.data + 1, "ended/", 6) != 0)) {
        i++;
    }
    uint8_t *value = fake_disk_value(&f.w.stores.disk, KV_META, key, &size);
    value[size - 1] = 0; /* the last letter of the audience */
    bundles_done(&f.b);
    assert_int_equal(load(&f), SF_CORRUPT);
    assert_int_equal(f.err.number, SHEAF_E_STORE_CORRUPT);
    teardown(&f);
}

/* Takes the third bundle with each allocation failing once; what was revoked is in force never. */
static bool sweep_once(long fault)
{
    const struct world_bundle third = {.version = 3,
                                       .grants = &first,
                                       .grant_count = 1,
                                       .policies = POLICY("newer"),
                                       .policy_version = 3};
    SF_CLEANUP(sf_buf_done) struct sf_buf bytes = {0};
    struct grant_trust trust;
    struct fixture f;
    bool faulted;
    enum sf_code code;

    setup(&f);
    take_and_store(&f, &with_first);
    take_and_store(&f, &empty);
    leaf_world_sign(&f.w, &third, &bytes);
    trust = leaf_world_trust(&f.w, 0);
    sf_alloc_fail_after(fault, false);
    code = bundles_take(&f.b, sf_buf_view(&bytes), &trust, NULL);
    faulted = sf_alloc_faults() > 0;
    sf_alloc_fail_after(-1, false);
    assert_true(code == SF_OK || code == SF_NOMEM);
    assert_int_equal(why_not(&f), code == SF_OK ? SHEAF_E_GRANT_HELD_BACK : SHEAF_E_DENIED);
    assert_true(rt_sim_run_until(&f.w.stores.sim, is_quiet, &f, SF_NS_PER_S));
    assert_true(f.b.version_stored == 3 || f.b.version_stored == 2);
    assert_true(faulted || f.b.version_stored == 3);
    sf_alloc_fail_after(fault, false);
    bundles_done(&f.b);
    grant_set_unref(f.w.serving.grants);
    f.w.serving.grants = NULL;
    code = load(&f);
    faulted |= sf_alloc_faults() > 0;
    sf_alloc_fail_after(-1, false);
    assert_true(code == SF_OK || code == SF_NOMEM);
    assert_true(why_not(&f) != 0);
    teardown(&f);
    return faulted;
}

static void without_memory_nothing_comes_back(void **state)
{
    long fault = 0;
    (void)state;

    while (sweep_once(fault)) {
        fault++;
    }
    assert_true(fault > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_bundle_had_and_a_later_one_has_not_comes_back_in_none),
        cmocka_unit_test(a_new_decision_of_the_same_words_is_in_force),
        cmocka_unit_test(it_stays_ended_over_restarts_until_its_own_end),
        cmocka_unit_test(a_clock_that_is_ahead_forgets_nothing),
        cmocka_unit_test(after_a_restore_nothing_is_in_force_but_what_had_been_is_known),
        cmocka_unit_test(a_bundle_that_has_expired_counts_for_what_has_ended),
        cmocka_unit_test(a_grant_that_is_there_and_not_understood_has_not_ended),
        cmocka_unit_test(what_was_given_up_for_the_floor_stays_ended_and_what_is_in_force_goes_on),
        cmocka_unit_test(
            who_shares_with_what_has_ended_is_fed_apart_when_the_hub_may_have_forgotten),
        cmocka_unit_test(policies_do_not_go_back_and_grants_do_not_wait_for_them),
        cmocka_unit_test(a_hub_of_before_the_first_policy_takes_none_away),
        cmocka_unit_test(policies_that_are_not_understood_go_on_closing_all),
        cmocka_unit_test(an_older_version_is_refused_after_a_restart_too),
        cmocka_unit_test(one_that_cannot_be_stored_is_in_force_but_not_acknowledged),
        cmocka_unit_test(a_crash_before_it_is_stored_leaves_the_bundle_of_before),
        cmocka_unit_test(a_record_that_is_damaged_stops_the_start),
        cmocka_unit_test(without_memory_nothing_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
