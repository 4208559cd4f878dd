/* What a change needs room for. */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "hub/api/state.h"
#include "proto/errors.h"
#include "tests/unit/hub/hub_world.h"

/* marketing holds @count grants, which are one and the same; asks for one more. */
static enum sf_code ask_with(struct hub_world *w, size_t count, struct sf_error *err)
{
    struct registry *r = &w->registry;
    struct sf_map before = r->active;
    struct sf_map crowd = {0};
    struct authority keys = {0};
    struct hub_state s = {.keys = &keys};
    enum sf_code code;

    world_key(1, &keys.signing_key);
    world_key(2, &keys.accounts_key);
    for (size_t i = 0; i < count; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "grant %zu", i);
        assert_int_equal(sf_map_put(&crowd, sf_slice_text(name), r->grants[0]), SF_OK);
    }
    r->active = crowd;
    s.registry = *r;
    code = state_check_claims(&s, registry_request(r, "AR-2"), err);
    r->active = before;
    sf_map_done(&crowd);
    sf_seed_done(&keys.signing_key);
    sf_seed_done(&keys.accounts_key);
    return code;
}

static void a_grant_that_its_consumers_account_cannot_hold_is_refused(void **state)
{
    struct hub_world w;
    struct sf_error err = {0};

    (void)state;
    world_init(&w);
    world_join(&w, "sales");
    world_join(&w, "marketing");
    world_product(&w, ORDERS_1_0);
    world_request(&w, NULL, 0);
    world_decide(&w, &(struct world_decision){.request_id = "AR-1",
                                              .approved = true,
                                              .until_us = w.now_us + WORLD_DAY_US});
    world_end_grant(&w, "G-1", "revoked");
    world_request(&w, NULL, 0);
    assert_int_equal(ask_with(&w, 0, &err), SF_OK);
    assert_int_equal(ask_with(&w, 1000, &err), SF_OK);
    assert_int_equal(ask_with(&w, 4000, &err), SF_BUSY);
    assert_int_equal(err.number, SHEAF_E_LIMIT);
    assert_string_equal(err.text, "marketing has 4000 grants, and its account takes no more");
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_grant_that_its_consumers_account_cannot_hold_is_refused),
    };

    return cmocka_run_group_tests_name("state of the hub", tests, NULL, NULL);
}
