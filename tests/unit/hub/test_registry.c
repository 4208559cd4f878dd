#include "tests/lib/cmocka.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/identity/signed.h"
#include "common/wire/control.h"
#include "hub/registry/audience.h"
#include "hub/registry/bundle.h"
#include "proto/subjects.h"
#include "tests/unit/hub/hub_world.h"

static const char *const COUNTRY[] = {"country"};

/* A grant, ended; then another one, in force; then a request that waits. */
static void play(struct hub_world *w)
{
    world_init(w);
    world_join(w, "sales");
    world_join(w, "marketing");
    world_product(w, ORDERS_1_0);
    world_product(w, ORDERS_WITH("1.1.0", "      note: {number: 4, type: string}\n"));
    world_request(w, NULL, 0);
    world_decide(w, &(struct world_decision){.request_id = "AR-1",
                                             .approved = true,
                                             .until_us = w->now_us + WORLD_DAY_US});
    world_end_grant(w, "G-1", "revoked");
    world_request(w, COUNTRY, 1);
    world_decide(w, &(struct world_decision){.request_id = "AR-2",
                                             .approved = true,
                                             .until_us = w->now_us + 2 * WORLD_DAY_US,
                                             .columns = COUNTRY,
                                             .column_count = 1});
}

/* Everything that can be asked of a registry, as text. */
static void describe(const struct registry *r, struct sf_buf *b)
{
    static const char *const domains[] = {"sales", "marketing"};

    sf_buf_printf(b, "mesh %s events %lu\n", r->mesh, (unsigned long)r->events);
    for (size_t i = 0; i < 2; i++) {
        const struct registry_domain *d = registry_domain(r, domains[i]);

        sf_buf_printf(b, "%s %s %s joined %ld iat %ld %ld products %zu changed %lu\n", d->name,
                      d->account, d->serve_account, d->joined_us, d->serve_iat_s, d->iat_s,
                      d->product_count, (unsigned long)d->grants_changed);
    }
    for (size_t i = 0; i < r->request_count; i++) {
        const struct registry_request *q = r->requests[i];

        sf_buf_printf(b, "%s %s@%u by %s state %d columns %zu note %s\n", q->id, q->product->name,
                      q->major, q->consumer->name, (int)q->state, q->column_count, q->note);
    }
    for (size_t i = 0; i < r->grant_count; i++) {
        const struct registry_grant *g = r->grants[i];

        sf_buf_printf(b, "%s of %s until %ld %s %s state %d ended %ld %s by %s decision %zu\n",
                      g->id, g->request->id, g->until_us, g->audience, g->sole_audience,
                      (int)g->state, g->ended_us, g->reason, g->decided_by, g->decision.size);
    }
}

static void test_a_replay_gives_the_registry_that_was_live(void **state)
{
    struct hub_world w;
    struct registry again;
    struct event_chain chain = {0};
    struct sf_buf live = {0};
    struct sf_buf replayed = {0};
    struct sf_arena arena;

    (void)state;
    play(&w);
    registry_init(&again);
    sf_arena_init(&arena, 0);
    for (size_t i = 0; i < w.count; i++) {
        struct event_record record;

        assert_int_equal(event_open(&chain, &w.hub_key.public_key, sf_buf_view(&w.events[i]),
                                    &arena, &record, NULL),
                         SF_OK);
        assert_int_equal(registry_apply(&again, record.event, NULL), SF_OK);
        sf_arena_reset(&arena); /* the registry keeps copies */
    }
    describe(&w.registry, &live);
    describe(&again, &replayed);
    assert_string_equal(sf_buf_cstr(&replayed), sf_buf_cstr(&live));
    assert_string_equal(
        sf_buf_cstr(&live),
        "mesh mtest events 12\n"
        "sales Asales AsalesSERVE joined 1790000003000000 iat 1790000003 1790000003 products 1 "
        "changed 12\n"
        "marketing Amarketing AmarketingSERVE joined 1790000005000000 iat 1790000005 1790000012 "
        "products 0 changed 0\n"
        "AR-1 orders@1 by marketing state 1 columns 0 note fine\n"
        "AR-2 orders@1 by marketing state 1 columns 1 note fine\n"
        "G-1 of AR-1 until 1790086408000000 alu44ee7wigi4 agabysegl73cb state 1 ended "
        "1790000010000000 no longer "
        "needed by ada decision 187\n"
        "G-2 of AR-2 until 1790172811000000 anzsuzac2vtok a2zxvi3qqz4mz state 0 ended 0  by ada "
        "decision 196\n");
    sf_arena_done(&arena);
    sf_buf_done(&live);
    sf_buf_done(&replayed);
    registry_done(&again);
    world_done(&w);
}

static void test_claims_get_a_later_iat_with_each_change_of_one_second(void **state)
{
    struct hub_world w;
    const struct registry_domain *d;
    int64_t before;

    (void)state;
    play(&w);
    w.step_us = 0;
    d = registry_domain(&w.registry, "marketing");
    before = d->iat_s;
    world_end_grant(&w, "G-2", "revoked");
    assert_int_equal(d->iat_s, before + 1);
    world_request(&w, NULL, 0);
    world_decide(&w, &(struct world_decision){.request_id = "AR-3",
                                              .approved = true,
                                              .until_us = w.now_us + WORLD_DAY_US});
    assert_int_equal(d->iat_s, before + 2);
    assert_int_equal(d->serve_iat_s, 1790000005); /* never pushed again */
    world_done(&w);
}

static void remove_major(struct hub_world *w, uint32_t major)
{
    Sheaf__V1__ProductRemoved m = SHEAF__V1__PRODUCT_REMOVED__INIT;
    Sheaf__V1__Event e = SHEAF__V1__EVENT__INIT;

    m.domain = sf_control_text("sales");
    m.product = sf_control_text("orders");
    m.major = major;
    m.purge_us = w->now_us + WORLD_DAY_US;
    m.reason = sf_control_text("replaced");
    e.actor = sf_control_text("sales/ada");
    e.kind_case = SHEAF__V1__EVENT__KIND_PRODUCT_REMOVED;
    e.product_removed = &m;
    world_event(w, &e);
}

static void test_a_removed_major_is_not_found_until_it_is_restored(void **state)
{
    Sheaf__V1__ProductRestored restored = SHEAF__V1__PRODUCT_RESTORED__INIT;
    Sheaf__V1__Event e = SHEAF__V1__EVENT__INIT;
    struct hub_world w;
    const struct registry_product *p;
    const struct registry_removal *r;

    (void)state;
    world_init(&w);
    world_join(&w, "sales");
    world_product(&w, ORDERS_1_0);
    world_product(&w, ORDERS_WITH("2.0.0", ""));
    world_product(&w, ORDERS_WITH("1.1.0", ""));
    p = registry_product(&w.registry, "sales", "orders");
    assert_int_equal(registry_version(p, 0)->product->version.major, 2);
    remove_major(&w, 2);
    assert_null(registry_version(p, 2));
    assert_int_equal(registry_version(p, 0)->product->version.minor, 1);
    assert_int_equal(registry_highest(p, 0)->product->version.major, 2);
    r = registry_removal(p, 2);
    assert_string_equal(r->removed_by, "sales/ada");
    assert_string_equal(r->reason, "replaced");
    assert_int_equal(r->purge_us - r->removed_us, WORLD_DAY_US - w.step_us);
    remove_major(&w, 1);
    assert_null(registry_version(p, 0));
    restored.domain = sf_control_text("sales");
    restored.product = sf_control_text("orders");
    restored.major = 1;
    e.actor = sf_control_text("sales/ada");
    e.kind_case = SHEAF__V1__EVENT__KIND_PRODUCT_RESTORED;
    e.product_restored = &restored;
    world_event(&w, &e);
    assert_int_equal(registry_version(p, 0)->product->version.minor, 1);
    assert_null(registry_removal(p, 1));
    remove_major(&w, 1); /* a second time */
    assert_null(registry_version(p, 1));
    world_done(&w);
}

static void test_lookups_find_what_is_there_and_nothing_else(void **state)
{
    const struct registry_access access = {"marketing", "sales", "orders", 1};
    const struct registry_access other_major = {"marketing", "sales", "orders", 2};
    struct hub_world w;
    const struct registry_product *p;

    (void)state;
    play(&w);
    p = registry_product(&w.registry, "sales", "orders");
    assert_non_null(p);
    assert_null(registry_product(&w.registry, "marketing", "orders"));
    assert_int_equal(registry_version(p, 0)->product->version.minor, 1);
    assert_int_equal(registry_version(p, 1)->product->version.minor, 1);
    assert_null(registry_version(p, 2));
    assert_string_equal(registry_domain_of_account(&w.registry, "AsalesSERVE")->name, "sales");
    assert_string_equal(registry_domain_of_account(&w.registry, "Asales")->name, "sales");
    assert_null(registry_domain_of_account(&w.registry, "Anobody"));
    assert_string_equal(registry_active(&w.registry, &access)->id, "G-2");
    assert_null(registry_active(&w.registry, &other_major));
    assert_null(registry_pending(&w.registry, &access));
    assert_string_equal(registry_next_to_expire(&w.registry)->id, "G-2");
    assert_string_equal(registry_request(&w.registry, "AR-2")->id, "AR-2");
    assert_null(registry_request(&w.registry, "AR-3"));
    assert_null(registry_request(&w.registry, "AR-0"));
    assert_null(registry_request(&w.registry, "AR-01"));
    assert_null(registry_request(&w.registry, "AR-18446744073709551616"));
    assert_null(registry_request(&w.registry, "G-1"));
    assert_null(registry_grant(&w.registry, "G-"));
    world_request(&w, NULL, 0);
    assert_string_equal(registry_pending(&w.registry, &access)->id, "AR-3");
    world_done(&w);
}

static void test_an_active_version_is_preferred_to_a_higher_draft(void **state)
{
    struct hub_world w;
    const struct registry_product *p;

    (void)state;
    world_init(&w);
    world_join(&w, "sales");
    world_product(&w, ORDERS_1_0);
    world_product(&w, "sheaf: product/v1\nproduct: sales/orders\nversion: 2.0.0\nstatus: draft\n"
                      "tables:\n  orders:\n    kind: event\n    fields:\n"
                      "      a: {number: 1, type: string}\n");
    p = registry_product(&w.registry, "sales", "orders");
    assert_int_equal(registry_version(p, 0)->product->version.major, 1);
    assert_int_equal(registry_highest(p, 0)->product->version.major, 2);
    world_done(&w);
}

static void refuse(struct hub_world *w, Sheaf__V1__Event *e, const char *why)
{
    struct sf_error err = {0};

    e->number = w->registry.events + 1;
    e->time_us = w->now_us;
    assert_int_equal(registry_apply(&w->registry, e, &err), SF_CORRUPT);
    assert_string_equal(err.text, why);
}

static void test_events_that_do_not_fit_are_refused(void **state)
{
    Sheaf__V1__Event e = SHEAF__V1__EVENT__INIT;
    Sheaf__V1__MeshCreated mesh = SHEAF__V1__MESH_CREATED__INIT;
    Sheaf__V1__DomainJoined join = SHEAF__V1__DOMAIN_JOINED__INIT;
    Sheaf__V1__GrantEnded end = SHEAF__V1__GRANT_ENDED__INIT;
    Sheaf__V1__ProductApplied product = SHEAF__V1__PRODUCT_APPLIED__INIT;
    struct hub_world w;

    (void)state;
    play(&w);
    refuse(&w, &e, "event 13: its kind is not known to this version");
    e.kind_case = SHEAF__V1__EVENT__KIND_MESH_CREATED;
    e.mesh_created = &mesh;
    refuse(&w, &e, "event 13: a mesh is created once, with its key and a name");
    join.domain = (char *)(uintptr_t) "sales";
    join.token_hash = (char *)(uintptr_t) "hash-of-sales-1"; /* spent */
    e.kind_case = SHEAF__V1__EVENT__KIND_DOMAIN_JOINED;
    e.domain_joined = &join;
    refuse(&w, &e, "event 13: the join token does not fit");
    end.grant_id = (char *)(uintptr_t) "G-1";
    e.kind_case = SHEAF__V1__EVENT__KIND_GRANT_ENDED;
    e.grant_ended = &end;
    refuse(&w, &e, "event 13: the end of a grant that is not active");
    product.domain = (char *)(uintptr_t) "nobody";
    e.kind_case = SHEAF__V1__EVENT__KIND_PRODUCT_APPLIED;
    e.product_applied = &product;
    refuse(&w, &e, "event 13: a product of a domain that has not joined");
    product.domain = (char *)(uintptr_t) "marketing";
    product.product = (char *)(uintptr_t) "orders";
    product.product_yaml = sf_control_data(sf_slice_text(ORDERS_1_0));
    refuse(&w, &e, "event 13: the product file is about another product");
    world_done(&w);
}

static void test_out_of_memory_is_told_at_every_allocation(void **state)
{
    struct hub_world w;
    struct event_chain chain;
    struct event_record record;
    struct sf_arena arena;

    (void)state;
    play(&w);
    sf_arena_init(&arena, 0);
    for (size_t i = 0; i < w.count; i++) {
        bool done = false;

        for (long n = 0; !done; n++) {
            struct registry r;
            enum sf_code code = SF_OK;

            chain = (struct event_chain){0};
            registry_init(&r);
            for (size_t k = 0; k <= i && code == SF_OK; k++) {
                assert_int_equal(event_open(&chain, &w.hub_key.public_key,
                                            sf_buf_view(&w.events[k]), &arena, &record, NULL),
                                 SF_OK);
                sf_alloc_fail_after(k == i ? n : -1, 0);
                code = registry_apply(&r, record.event, NULL);
                done = k == i && sf_alloc_faults() == 0;
                sf_alloc_fail_after(-1, 0);
            }
            assert_true(done ? code == SF_OK : code != SF_OK);
            registry_done(&r);
            sf_arena_reset(&arena);
        }
    }
    sf_arena_done(&arena);
    world_done(&w);
}

static void test_equal_rights_share_an_audience_and_no_others(void **state)
{
    static const char *const ab[] = {"a", "b"};
    static const char *const ba[] = {"b", "a"};
    static const char *const joined[] = {"ab"};
    struct audience_of x = {"m1", "sales", "orders", 1, ab, 2, NULL, NULL};
    const struct audience_of all[] = {
        {"m2", "sales", "orders", 1, ab, 2, NULL, NULL},
        {"m1", "sale", "sorders", 1, ab, 2, NULL, NULL},
        {"m1", "sales", "order", 1, ab, 2, NULL, NULL},
        {"m1", "sales", "orders", 2, ab, 2, NULL, NULL},
        {"m1", "sales", "orders", 1, ab, 1, NULL, NULL},
        {"m1", "sales", "orders", 1, joined, 1, NULL, NULL},
        {"m1", "sales", "orders", 1, NULL, 0, NULL, NULL},
        /* Sole ones, and their columns count too. */
        {"m1", "sales", "orders", 1, ab, 2, "hr", "churn"},
        {"m1", "sales", "orders", 1, ab, 2, "hr", ""},
        {"m1", "sales", "orders", 1, ab, 2, "h", "rchurn"},
        {"m1", "sales", "orders", 1, ab, 1, "hr", "churn"},
        {"m1", "sales", "orders", 1, ab + 1, 1, "hr", "churn"},
        {"m1", "sales", "orders", 1, NULL, 0, "a", "b"},
    };
    char first[REGISTRY_AUDIENCE_MAX];
    char second[REGISTRY_AUDIENCE_MAX];
    char other[REGISTRY_AUDIENCE_MAX];

    (void)state;
    assert_int_equal(audience_name(&x, first, NULL), SF_OK);
    assert_string_equal(first, "azyvid6ck6eni");
    x.columns = ba;
    assert_int_equal(audience_name(&x, second, NULL), SF_OK);
    assert_string_equal(first, second);
    for (size_t i = 0; i < SF_COUNT(all); i++) {
        assert_int_equal(audience_name(&all[i], second, NULL), SF_OK);
        assert_string_not_equal(first, second);
        for (size_t k = 0; k < i; k++) {
            assert_int_equal(audience_name(&all[k], other, NULL), SF_OK);
            assert_string_not_equal(other, second);
        }
    }
    x.consumer = "hr";
    x.purpose = "churn";
    assert_int_equal(audience_name(&x, first, NULL), SF_OK);
    x.columns = ab;
    assert_int_equal(audience_name(&x, second, NULL), SF_OK);
    assert_string_equal(first, second);
}

static void test_a_bundle_holds_the_active_grants_with_the_owners_consent(void **state)
{
    struct hub_world w;
    struct bundle_terms terms = {.version = 7, .issued_us = 1, .expires_us = 2};
    struct sf_buf sealed = {0};
    struct sf_arena arena;
    struct sf_slice payload;
    const Sheaf__V1__Bundle *b;

    (void)state;
    play(&w);
    sf_arena_init(&arena, 0);
    terms.owner = registry_domain(&w.registry, "sales");
    assert_int_equal(bundle_make(&w.registry, &terms, &w.hub_key, &sealed, NULL), SF_OK);
    assert_int_equal(sf_signed_open(SIGN_BUNDLE, sf_buf_view(&sealed), &w.hub_key.public_key,
                                    &arena, &payload, NULL),
                     SF_OK);
    b = SF_CONTROL_UNPACK(bundle, &arena, payload);
    assert_non_null(b);
    assert_string_equal(b->mesh, "mtest");
    assert_string_equal(b->domain, "sales");
    assert_int_equal(b->version, 7);
    assert_int_equal(b->n_grants, 1);
    assert_string_equal(b->grants[0]->id, "G-2");
    assert_string_equal(b->grants[0]->consumer, "marketing");
    assert_string_equal(b->grants[0]->consumer_account, "Amarketing");
    assert_string_equal(b->grants[0]->audience, "anzsuzac2vtok");
    assert_string_equal(b->grants[0]->sole_audience, "a2zxvi3qqz4mz");
    assert_int_equal(b->grants[0]->n_columns, 1);
    assert_int_equal(
        sf_signed_verify(SIGN_DECISION, b->grants[0]->decision, &w.domain_keys[0].public_key, NULL),
        SF_OK);
    assert_int_equal(b->n_consumers, 1);
    assert_string_equal(b->consumers[0]->domain, "marketing");
    assert_int_equal(b->consumers[0]->domain_key.len, SF_PUBLIC_KEY_SIZE);
    assert_memory_equal(b->consumers[0]->domain_key.data, w.domain_keys[1].public_key.bytes,
                        SF_PUBLIC_KEY_SIZE);
    sf_buf_done(&sealed);
    terms.owner = registry_domain(&w.registry, "marketing");
    assert_int_equal(bundle_make(&w.registry, &terms, &w.hub_key, &sealed, NULL), SF_OK);
    assert_int_equal(sf_signed_open(SIGN_BUNDLE, sf_buf_view(&sealed), &w.hub_key.public_key,
                                    &arena, &payload, NULL),
                     SF_OK);
    b = SF_CONTROL_UNPACK(bundle, &arena, payload);
    assert_int_equal(b->n_grants, 0);
    assert_int_equal(b->n_consumers, 0);
    sf_buf_done(&sealed);
    sf_arena_done(&arena);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_replay_gives_the_registry_that_was_live),
        cmocka_unit_test(test_claims_get_a_later_iat_with_each_change_of_one_second),
        cmocka_unit_test(test_a_removed_major_is_not_found_until_it_is_restored),
        cmocka_unit_test(test_lookups_find_what_is_there_and_nothing_else),
        cmocka_unit_test(test_an_active_version_is_preferred_to_a_higher_draft),
        cmocka_unit_test(test_events_that_do_not_fit_are_refused),
        cmocka_unit_test(test_out_of_memory_is_told_at_every_allocation),
        cmocka_unit_test(test_equal_rights_share_an_audience_and_no_others),
        cmocka_unit_test(test_a_bundle_holds_the_active_grants_with_the_owners_consent),
    };

    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
