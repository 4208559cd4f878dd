/* The platform's policies in registry and bundles. */
#include "tests/lib/cmocka.h"

#include "common/identity/signed.h"
#include "common/wire/control.h"
#include "hub/registry/bundle.h"
#include "hub/registry/registry_policy.h"
#include "proto/subjects.h"
#include "tests/unit/hub/hub_world.h"

static Sheaf__V1__Policy policy(const char *name, const char *text, uint64_t version)
{
    Sheaf__V1__Policy m = SHEAF__V1__POLICY__INIT;

    m.name = sf_control_text(name);
    m.text = sf_control_text(text);
    m.file = sf_control_text("policies/pii.yaml");
    m.line = 7;
    m.version = version;
    return m;
}

#define TEXT(name, rest) "sheaf: policy/v1\nname: " name "\n" rest

static const char pii_text[] = TEXT("pii", "match: {class: pii}\nmask: keep_domain\n");
static const char pii_text_2[] = TEXT("pii", "match: {class: pii}\nmask: hash\n");
static const char hr_text[] = TEXT("hr", "match: {domain: hr}\ndeny: true\n");
static const char owners_text[] = TEXT("owners", "match: all\nrequire: {owner: present}\n");

static void apply(struct hub_world *w, uint64_t version, Sheaf__V1__Policy *policies, size_t count)
{
    Sheaf__V1__PolicyApplied applied = SHEAF__V1__POLICY_APPLIED__INIT;
    Sheaf__V1__Event e = SHEAF__V1__EVENT__INIT;
    Sheaf__V1__Policy *list[4];

    for (size_t i = 0; i < count; i++) {
        list[i] = &policies[i];
    }
    applied.version = version;
    applied.policies = list;
    applied.n_policies = count;
    e.actor = sf_control_text("platform/ada");
    e.kind_case = SHEAF__V1__EVENT__KIND_POLICY_APPLIED;
    e.policy_applied = &applied;
    world_event(w, &e);
}

static void remove_one(struct hub_world *w, uint64_t version, const char *name)
{
    Sheaf__V1__PolicyRemoved removed = SHEAF__V1__POLICY_REMOVED__INIT;
    Sheaf__V1__Event e = SHEAF__V1__EVENT__INIT;
    char *names[] = {sf_control_text(name)};

    removed.version = version;
    removed.names = names;
    removed.n_names = 1;
    e.actor = sf_control_text("platform/ada");
    e.kind_case = SHEAF__V1__EVENT__KIND_POLICY_REMOVED;
    e.policy_removed = &removed;
    world_event(w, &e);
}

static void set_up(struct hub_world *w)
{
    Sheaf__V1__Policy first[] = {policy("pii", pii_text, 1), policy("hr", hr_text, 1),
                                 policy("owners", owners_text, 1)};
    Sheaf__V1__Policy second[] = {policy("pii", pii_text_2, 2)};

    world_init(w);
    world_join(w, "sales");
    world_join(w, "marketing");
    apply(w, 1, first, 3);
    apply(w, 2, second, 1);
    remove_one(w, 3, "hr");
}

/* "name:version ..." in the order they came in. */
static void assert_set(const struct hub_world *w, uint64_t version, const char *wanted)
{
    struct sf_buf out = {0};
    struct sf_map_entry *entry;
    struct sf_map map;
    size_t at = 0;

    assert_int_equal(registry_policies_of(&w->registry, version, &map, NULL), SF_OK);
    while ((entry = sf_map_next(&map, &at)) != NULL) {
        const struct registry_policy *p = entry->value;

        sf_buf_printf(&out, "%s:%lu ", p->name, (unsigned long)p->version);
    }
    assert_string_equal(out.size == 0 ? "" : sf_buf_cstr(&out), wanted);
    sf_buf_done(&out);
    sf_map_done(&map);
}

static void test_every_version_of_the_set_can_be_looked_at(void **state)
{
    struct hub_world w;
    const struct sf_policy_set *set;

    (void)state;
    set_up(&w);
    assert_int_equal(w.registry.policies.version, 3);
    assert_set(&w, 0, "");
    assert_set(&w, 1, "pii:1 hr:1 owners:1 ");
    assert_set(&w, 2, "pii:2 hr:1 owners:1 ");
    assert_set(&w, 3, "pii:2 owners:1 ");
    assert_null(registry_policy(&w.registry, "hr"));
    assert_string_equal(registry_policy(&w.registry, "pii")->text, pii_text_2);
    assert_int_equal(w.registry.policies.bytes, strlen(pii_text_2) + strlen(owners_text));
    assert_int_equal(registry_policy_set(&w.registry, &set, NULL), SF_OK);
    assert_int_equal(sf_policy_set_count(set), 2);
    world_done(&w);
}

/* A hub that was put back goes on above what leaves have seen. */
static void test_a_version_may_leave_some_out(void **state)
{
    Sheaf__V1__Policy later[] = {policy("pii", pii_text, 9)};
    struct hub_world w;

    (void)state;
    set_up(&w);
    apply(&w, 9, later, 1);
    assert_int_equal(w.registry.policies.version, 9);
    assert_int_equal(w.registry.policies.change_count, 4);
    assert_set(&w, 3, "pii:2 owners:1 ");
    assert_set(&w, 8, "pii:2 owners:1 ");
    assert_set(&w, 9, "pii:9 owners:1 ");
    remove_one(&w, 10, "pii");
    assert_set(&w, 10, "owners:1 ");
    assert_set(&w, 9, "pii:9 owners:1 ");
    world_done(&w);
}

/* Events of before have no other sign of it than that they apply nothing. */
static void test_a_rollback_to_before_the_first_policy_is_one(void **state)
{
    Sheaf__V1__PolicyApplied back = SHEAF__V1__POLICY_APPLIED__INIT;
    Sheaf__V1__Event e = SHEAF__V1__EVENT__INIT;
    char *names[] = {sf_control_text("pii"), sf_control_text("owners")};
    const struct registry_policy_change *changes;
    struct hub_world w;

    (void)state;
    set_up(&w);
    back.version = 4;
    back.removed = names;
    back.n_removed = 2;
    e.actor = sf_control_text("platform/ada");
    e.kind_case = SHEAF__V1__EVENT__KIND_POLICY_APPLIED;
    e.policy_applied = &back;
    world_event(&w, &e);
    assert_set(&w, 4, "");
    changes = w.registry.policies.changes;
    for (unsigned i = 0; i < 3; i++) {
        assert_false(changes[i].is_rollback);
    }
    assert_true(changes[3].is_rollback);
    assert_int_equal(changes[3].rolled_back_to, 0);
    world_done(&w);
}

static void test_events_that_do_not_follow_are_refused(void **state)
{
    Sheaf__V1__PolicyRemoved removed = SHEAF__V1__POLICY_REMOVED__INIT;
    Sheaf__V1__Event e = SHEAF__V1__EVENT__INIT;
    char *names[] = {sf_control_text("hr")};
    struct hub_world w;
    struct sf_error err;

    (void)state;
    set_up(&w);
    e.number = w.registry.events + 1;
    e.kind_case = SHEAF__V1__EVENT__KIND_POLICY_REMOVED;
    e.policy_removed = &removed;
    removed.version = 3;
    assert_int_equal(registry_apply(&w.registry, &e, &err), SF_CORRUPT);
    removed.version = 4;
    removed.names = names;
    removed.n_names = 1;
    assert_int_equal(registry_apply(&w.registry, &e, &err), SF_CORRUPT);
    assert_non_null(strstr(err.text, "a policy is removed that is not there"));
    world_done(&w);
}

static void test_a_bundle_holds_the_policies_about_its_domain(void **state)
{
    Sheaf__V1__Policy hr[] = {policy("hr", hr_text, 4)};
    struct sf_buf sealed = {0};
    struct sf_arena arena;
    const Sheaf__V1__Signed *s;
    const Sheaf__V1__Bundle *b;
    struct hub_world w;

    (void)state;
    set_up(&w);
    apply(&w, 4, hr, 1);
    const struct bundle_terms terms = {.owner = registry_domain(&w.registry, "sales"),
                                       .version = 9,
                                       .issued_us = 1,
                                       .expires_us = 2};

    assert_int_equal(terms.owner->grants_changed, w.registry.events);
    assert_int_equal(bundle_make(&w.registry, &terms, &w.hub_key, &sealed, NULL), SF_OK);
    sf_arena_init(&arena, 0);
    s = SF_CONTROL_UNPACK(signed, &arena, sf_buf_view(&sealed));
    b = SF_CONTROL_UNPACK(bundle, &arena, sf_control_slice(s->payload));
    assert_int_equal(b->policy_version, 4);
    assert_int_equal(b->n_policies, 1); /* hr is another domain, owners requires of products */
    assert_string_equal(b->policies[0]->name, "pii");
    assert_string_equal(b->policies[0]->text, pii_text_2);
    assert_string_equal(b->policies[0]->file, "policies/pii.yaml");
    assert_int_equal(b->policies[0]->line, 7);
    assert_int_equal(b->policies[0]->version, 2);
    sf_arena_done(&arena);
    sf_buf_done(&sealed);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_version_of_the_set_can_be_looked_at),
        cmocka_unit_test(test_a_version_may_leave_some_out),
        cmocka_unit_test(test_a_rollback_to_before_the_first_policy_is_one),
        cmocka_unit_test(test_events_that_do_not_follow_are_refused),
        cmocka_unit_test(test_a_bundle_holds_the_policies_about_its_domain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
