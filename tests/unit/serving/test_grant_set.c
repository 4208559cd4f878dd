#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/time.h"
#include "proto/errors.h"
#include "tests/lib/leaf_world.h"

struct fixture {
    struct leaf_world w;
    struct sf_buf bytes;
    struct grant_set *set;
    struct sf_error err;
};

static void setup(struct fixture *f)
{
    *f = (struct fixture){0};
    leaf_world_init(&f->w, 1);
}

static void teardown(struct fixture *f)
{
    grant_set_unref(f->set);
    sf_buf_done(&f->bytes);
    leaf_world_done(&f->w);
}

static enum sf_code open_with(struct fixture *f, const struct grant_trust *trust)
{
    grant_set_unref(SF_TAKE(f->set));
    f->err = (struct sf_error){0};
    return grant_set_open(sf_buf_view(&f->bytes), trust, &f->set, &f->err);
}

static enum sf_code open_bundle(struct fixture *f, const struct world_bundle *b)
{
    const struct grant_trust trust = leaf_world_trust(&f->w, 5);

    sf_buf_clear(&f->bytes);
    leaf_world_sign(&f->w, b, &f->bytes);
    return open_with(f, &trust);
}

static void assert_refused(struct fixture *f, const struct world_bundle *b, enum sf_code code,
                           uint16_t number)
{
    assert_int_equal(open_bundle(f, b), code);
    assert_null(f->set);
    assert_int_equal(f->err.code, code);
    assert_int_equal(f->err.number, number);
}

static const struct world_grant one = {.id = "G-7", .columns = {"order_id", "amount"}};

static void a_bundle_of_the_hub_with_consent_is_in_force(void **state)
{
    struct fixture f;
    const struct grant *g;
    (void)state;

    setup(&f);
    assert_int_equal(
        open_bundle(&f, &(struct world_bundle){.version = 5, .grants = &one, .grant_count = 1}),
        SF_OK);
    assert_int_equal(f.set->version, 5);
    assert_int_equal(f.set->refused, 0);
    assert_int_equal(f.set->grant_count, 1);
    assert_int_equal(f.set->expires_us, leaf_world_now(&f.w) + 3600 * SF_US_PER_S);
    g = &f.set->grants[0];
    assert_string_equal(g->id, "G-7");
    assert_string_equal(g->product, "orders");
    assert_int_equal(g->major, 1);
    assert_string_equal(g->consumer, "billing");
    assert_string_equal(g->consumer_account, WORLD_ACCOUNT);
    assert_string_equal(g->audience, "aud1");
    assert_int_equal(g->column_count, 2);
    assert_string_equal(g->columns[0], "order_id");
    assert_string_equal(g->columns[1], "amount");
    assert_int_equal(g->until_us, leaf_world_now(&f.w) + SF_US_PER_DAY);
    teardown(&f);
}

static void a_bundle_without_grants_is_in_force_too(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    assert_int_equal(open_bundle(&f, &(struct world_bundle){.version = 6}), SF_OK);
    assert_int_equal(f.set->grant_count, 0);
    teardown(&f);
}

static void a_bundle_of_another_key_mesh_or_domain_is_refused(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    assert_refused(&f, &(struct world_bundle){.version = 5, .hub = &f.w.stranger}, SF_DENIED,
                   SHEAF_E_BAD_SIGNATURE);
    assert_refused(&f, &(struct world_bundle){.version = 5, .hub = &f.w.domain}, SF_DENIED,
                   SHEAF_E_BAD_SIGNATURE);
    assert_refused(&f, &(struct world_bundle){.version = 5, .mesh = "mesh-2"}, SF_INVALID, 0);
    assert_string_equal(f.err.text, "bundle is of mesh 'mesh-2', domain 'sales'");
    assert_refused(&f, &(struct world_bundle){.version = 5, .domain = "billing"}, SF_INVALID, 0);
    assert_refused(&f, &(struct world_bundle){.version = 5, .mesh = ""}, SF_INVALID, 0);
    teardown(&f);
}

static void an_older_version_is_refused_and_the_same_one_is_not(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    assert_refused(&f, &(struct world_bundle){.version = 4}, SF_CONFLICT, 0);
    assert_refused(&f, &(struct world_bundle){.version = 0}, SF_CONFLICT, 0);
    assert_int_equal(open_bundle(&f, &(struct world_bundle){.version = 5}), SF_OK);
    teardown(&f);
}

static void an_expired_bundle_is_refused_from_its_very_microsecond_on(void **state)
{
    struct fixture f;
    struct grant_trust trust;
    (void)state;

    setup(&f);
    assert_int_equal(open_bundle(&f, &(struct world_bundle){.version = 5}), SF_OK);
    trust = leaf_world_trust(&f.w, 0);
    trust.now_us += 3600 * SF_US_PER_S - 1;
    assert_int_equal(open_with(&f, &trust), SF_OK);
    trust.now_us += 1;
    assert_int_equal(open_with(&f, &trust), SF_TIMEOUT);
    assert_int_equal(f.err.number, SHEAF_E_BUNDLE_EXPIRED);
    teardown(&f);
}

static void a_bundle_cut_at_any_byte_or_changed_in_any_is_refused(void **state)
{
    struct fixture f;
    struct grant_trust trust;
    size_t size;
    (void)state;

    setup(&f);
    assert_int_equal(
        open_bundle(&f, &(struct world_bundle){.version = 5, .grants = &one, .grant_count = 1}),
        SF_OK);
    trust = leaf_world_trust(&f.w, 0);
    size = f.bytes.size;
    for (size_t n = 0; n < size; n++) {
        f.bytes.size = n;
        assert_int_not_equal(open_with(&f, &trust), SF_OK);
        assert_null(f.set);
    }
    f.bytes.size = size;
    for (size_t i = 0; i < size; i++) {
        f.bytes.data[i] ^= 1;
        assert_int_not_equal(open_with(&f, &trust), SF_OK);
        f.bytes.data[i] ^= 1;
    }
    assert_int_equal(open_with(&f, &trust), SF_OK);
    teardown(&f);
}

/* --- consent ---------------------------------------------------------------------------------- */

static char order_id[] = "order_id";
static char amount[] = "amount";
static char note[] = "note";
static char *other_columns[] = {order_id, note};
static char *swapped_columns[] = {amount, order_id};
static char *more_columns[] = {order_id, amount, note};

#define SPOIL(name, change)                                                                        \
    static void name(Sheaf__V1__Grant *g, Sheaf__V1__Decision *d, void *data)                      \
    {                                                                                              \
        (void)g;                                                                                   \
        (void)d;                                                                                   \
        (void)data;                                                                                \
        change;                                                                                    \
    }

/* What the owner decided differs from what the grant says in one thing. */
SPOIL(other_mesh, d->mesh = world_text("mesh-2"))
SPOIL(other_request, d->request_id = world_text("AR-2"))
SPOIL(other_owner, d->owner = world_text("billing"))
SPOIL(other_product, d->product = world_text("order"))
SPOIL(other_major, d->major = 2)
SPOIL(other_consumer, d->consumer = world_text("billing2"))
SPOIL(denied, d->approved = 0)
SPOIL(other_purpose, d->purpose = world_text("advertising"))
SPOIL(shorter, d->until_us -= 1)
SPOIL(longer, d->until_us += 1)
SPOIL(fewer, d->n_columns = 1)
SPOIL(all, d->n_columns = 0)
SPOIL(swapped, d->columns = swapped_columns)
SPOIL(another, d->columns = other_columns)
SPOIL(wider, (d->columns = more_columns, d->n_columns = 3))
/* The grant asks for more than was decided. */
SPOIL(grant_of_all, g->n_columns = 0)
SPOIL(grant_wider, (g->columns = more_columns, g->n_columns = 3))
SPOIL(grant_longer, g->until_us += 1)
SPOIL(grant_of_other_owner, (g->owner = world_text("billing"), d->owner = world_text("billing")))
SPOIL(grant_of_other_product, g->product = world_text("invoices"))
SPOIL(grant_of_other_consumer, g->consumer = world_text("fraud"))

/* A field of a later release, which may restrict what the others say. */
static uint8_t unknown_value[] = {1};
static ProtobufCMessageUnknownField unknown = {
    .tag = 99, .wire_type = PROTOBUF_C_WIRE_TYPE_VARINT, .len = 1, .data = unknown_value};

static void say_more(ProtobufCMessage *m)
{
    m->n_unknown_fields = 1;
    m->unknown_fields = &unknown;
}

SPOIL(grant_says_more, say_more(&g->base))
SPOIL(decision_says_more, say_more(&d->base))

static void a_grant_whose_decision_differs_in_any_field_is_left_out_and_counted(void **state)
{
    static const struct {
        const char *name;
        void (*spoil)(Sheaf__V1__Grant *g, Sheaf__V1__Decision *d, void *data);
    } cases[] = {
        {"mesh", other_mesh},
        {"request", other_request},
        {"owner", other_owner},
        {"product", other_product},
        {"major", other_major},
        {"consumer", other_consumer},
        {"not approved", denied},
        {"purpose", other_purpose},
        {"until, earlier", shorter},
        {"until, later", longer},
        {"one column less", fewer},
        {"all columns", all},
        {"columns in another order", swapped},
        {"another column", another},
        {"one column more", wider},
        {"grant of all columns", grant_of_all},
        {"grant of one column more", grant_wider},
        {"grant that lasts longer", grant_longer},
        {"grant of another owner", grant_of_other_owner},
        {"grant of another product", grant_of_other_product},
        {"grant to another consumer", grant_of_other_consumer},
        {"grant with an unknown field", grant_says_more},
        {"decision with an unknown field", decision_says_more},
    };
    struct fixture f;
    (void)state;

    setup(&f);
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        const struct world_bundle b = {
            .version = 5, .grants = &one, .grant_count = 1, .spoil = cases[i].spoil};

        assert_int_equal(open_bundle(&f, &b), SF_OK);
        if (f.set->grant_count != 0 || f.set->refused != 1) {
            fail_msg("%s: %zu grants, %zu refused", cases[i].name, f.set->grant_count,
                     f.set->refused);
        }
    }
    teardown(&f);
}

SPOIL(words, (d->note = world_text("a note"), d->decided_by = world_text("ann"), d->decided_us = 5))

static void what_the_grant_does_not_repeat_may_be_anything(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    assert_int_equal(
        open_bundle(
            &f,
            &(struct world_bundle){.version = 5, .grants = &one, .grant_count = 1, .spoil = words}),
        SF_OK);
    assert_int_equal(f.set->grant_count, 1);
    teardown(&f);
}

static void a_decision_that_is_missing_or_of_another_key_is_no_consent(void **state)
{
    struct fixture f;
    const struct sf_seed *signers[3];
    (void)state;

    setup(&f);
    signers[0] = &f.w.hub;
    signers[1] = &f.w.leaf;
    signers[2] = &f.w.stranger;
    assert_int_equal(open_bundle(&f, &(struct world_bundle){.version = 5,
                                                            .grants = &one,
                                                            .grant_count = 1,
                                                            .undecided = true}),
                     SF_OK);
    assert_int_equal(f.set->grant_count, 0);
    assert_int_equal(f.set->refused, 1);
    for (size_t i = 0; i < SF_COUNT(signers); i++) {
        const struct world_bundle b = {
            .version = 5, .grants = &one, .grant_count = 1, .owner = signers[i]};

        assert_int_equal(open_bundle(&f, &b), SF_OK);
        assert_int_equal(f.set->grant_count, 0);
        assert_int_equal(f.set->refused, 1);
    }
    teardown(&f);
}

static void spoil_second(Sheaf__V1__Grant *g, Sheaf__V1__Decision *d, void *data)
{
    (void)data;
    if (strcmp(g->id, "G-2") == 0) {
        d->until_us++;
    }
}

static void one_grant_without_consent_does_not_take_the_others_along(void **state)
{
    static const struct world_grant three[] = {{.id = "G-1"}, {.id = "G-2"}, {.id = "G-3"}};
    struct fixture f;
    (void)state;

    setup(&f);
    assert_int_equal(open_bundle(&f, &(struct world_bundle){.version = 5,
                                                            .grants = three,
                                                            .grant_count = 3,
                                                            .spoil = spoil_second}),
                     SF_OK);
    assert_int_equal(f.set->refused, 1);
    assert_int_equal(f.set->grant_count, 2);
    assert_string_equal(f.set->grants[0].id, "G-1");
    assert_string_equal(f.set->grants[1].id, "G-3");
    teardown(&f);
}

static void an_audience_has_the_columns_of_its_first_grant(void **state)
{
    static const struct world_grant grants[] = {
        {.id = "G-1", .columns = {"order_id"}},
        {.id = "G-2", .account = "OTHER", .columns = {"order_id"}},
        {.id = "G-3", .account = "WIDER", .columns = {"order_id", "page"}},
        {.id = "G-4", .account = "WIDEST"},
        {.id = "G-5", .account = "ELSE", .audience = "aud2"},
    };
    struct fixture f;
    int64_t now;
    (void)state;

    setup(&f);
    now = leaf_world_now(&f.w);
    assert_int_equal(open_bundle(&f, &(struct world_bundle){.version = 5,
                                                            .grants = grants,
                                                            .grant_count = SF_COUNT(grants)}),
                     SF_OK);
    assert_int_equal(f.set->refused, 2);
    assert_non_null(grant_set_find(f.set, WORLD_ACCOUNT, "orders", 1, now));
    assert_non_null(grant_set_find(f.set, "OTHER", "orders", 1, now));
    assert_null(grant_set_find(f.set, "WIDER", "orders", 1, now));
    assert_null(grant_set_find(f.set, "WIDEST", "orders", 1, now));
    assert_non_null(grant_set_find(f.set, "ELSE", "orders", 1, now));
    teardown(&f);
}

/* --- finding ---------------------------------------------------------------------------------- */

static void a_grant_is_found_by_account_product_and_major_while_it_lasts(void **state)
{
    struct fixture f;
    int64_t now;
    (void)state;

    setup(&f);
    now = leaf_world_now(&f.w);
    const struct world_grant grants[] = {
        {.id = "G-1", .until_us = now + 100},
        {.id = "G-2", .account = "OTHER", .audience = "aud2"},
        {.id = "G-3", .major = 2},
    };

    assert_int_equal(open_bundle(&f, &(struct world_bundle){.version = 5,
                                                            .expires_us = now + 200,
                                                            .grants = grants,
                                                            .grant_count = 3}),
                     SF_OK);
    assert_string_equal(grant_set_find(f.set, WORLD_ACCOUNT, "orders", 1, now)->id, "G-1");
    assert_string_equal(grant_set_find(f.set, WORLD_ACCOUNT, "orders", 1, now + 99)->id, "G-1");
    assert_null(grant_set_find(f.set, WORLD_ACCOUNT, "orders", 1, now + 100));
    assert_string_equal(grant_set_find(f.set, WORLD_ACCOUNT, "orders", 2, now)->id, "G-3");
    assert_string_equal(grant_set_find(f.set, "OTHER", "orders", 1, now + 199)->id, "G-2");
    assert_null(grant_set_find(f.set, "OTHER", "orders", 1, now + 200));
    assert_null(grant_set_find(f.set, "OTHER", "orders", 2, now));
    assert_null(grant_set_find(f.set, "OTHER", "order", 1, now));
    assert_null(grant_set_find(f.set, "", "orders", 1, now));
    assert_null(grant_set_find(NULL, "OTHER", "orders", 1, now));

    assert_true(grant_set_has_audience(f.set, "aud1", now + 199)); /* G-3 lasts. */
    assert_true(grant_set_has_audience(f.set, "aud2", now));
    assert_false(grant_set_has_audience(f.set, "aud2", now + 200));
    assert_false(grant_set_has_audience(f.set, "aud", now));
    assert_false(grant_set_has_audience(NULL, "aud1", now));
    teardown(&f);
}

static void each_of_many_grants_is_found(void **state)
{
    enum { GRANTS = 97 };
    static char names[GRANTS][2][8];
    struct world_grant grants[GRANTS];
    struct fixture f;
    int64_t now;
    (void)state;

    setup(&f);
    now = leaf_world_now(&f.w);
    for (unsigned i = 0; i < GRANTS; i++) { /* In no order; every account has majors 1 to 3. */
        const unsigned n = i * 31 % GRANTS;

        (void)snprintf(names[i][0], sizeof(names[i][0]), "G-%u", n);
        (void)snprintf(names[i][1], sizeof(names[i][1]), "A%02u", n / 3);
        grants[i] = (struct world_grant){.id = names[i][0],
                                         .account = names[i][1],
                                         .major = n % 3 + 1,
                                         .until_us = now + 100 + (n % 3 == 2 ? 0 : 50)};
    }
    assert_int_equal(
        open_bundle(&f,
                    &(struct world_bundle){.version = 5, .grants = grants, .grant_count = GRANTS}),
        SF_OK);
    for (unsigned i = 0; i < GRANTS; i++) {
        const struct grant *g =
            grant_set_find(f.set, grants[i].account, "orders", grants[i].major, now);

        assert_non_null(g);
        assert_string_equal(g->id, grants[i].id);
    }
    assert_null(grant_set_find(f.set, "A33", "orders", 1, now));
    assert_int_equal(grant_set_major(f.set, "A05", "orders", now), 3);
    assert_int_equal(grant_set_major(f.set, "A05", "orders", now + 100), 2);
    assert_int_equal(grant_set_major(f.set, "A05", "orders", now + 150), 0);
    assert_int_equal(grant_set_major(f.set, "A05", "order", now), 0);
    assert_int_equal(grant_set_major(f.set, "A", "orders", now), 0);
    assert_int_equal(grant_set_major(NULL, "A05", "orders", now), 0);
    teardown(&f);
}

/* A rule that is not understood may be one that hides. */
static void a_policy_that_cannot_be_read_grants_nothing(void **state)
{
    static const char good[] =
        "sheaf: policy/v1\nname: notes\nmatch: {field: note}\nmask: redact\n";
    static const char *const wrong[] = {
        "sheaf: policy/v9\nname: notes\nmatch: {field: note}\nmask: redact\n",
        "sheaf: policy/v1\nname: notes\nmatch: {field: note}\nmask: shred\n",
        "sheaf: policy/v1\nname: notes\nmatch: {field: note}\nmask: redact\nnew_key: true\n"};
    struct leaf_world w;
    (void)state;

    leaf_world_init(&w, 1);
    leaf_world_grant(
        &w,
        &(struct world_bundle){
            .version = 1, .grants = &one, .grant_count = 1, .policies = good, .policy_version = 7});
    assert_int_equal(w.serving.grants->grant_count, 1);
    assert_int_equal(sf_policy_set_count(w.serving.grants->policies), 1);
    assert_int_equal(w.serving.grants->policy_version, 7);
    assert_false(w.serving.grants->unread);
    for (size_t i = 0; i < SF_COUNT(wrong); i++) {
        leaf_world_grant(
            &w, &(struct world_bundle){
                    .version = 2 + i, .grants = &one, .grant_count = 1, .policies = wrong[i]});
        assert_true(w.serving.grants->unread);
        assert_int_equal(w.serving.grants->grant_count, 0);
        assert_int_equal(w.serving.grants->refused, 1);
    }
    leaf_world_done(&w);
}

static void bundle_says_more(Sheaf__V1__Bundle *b)
{
    say_more(&b->base);
}

static void policy_says_more(Sheaf__V1__Bundle *b)
{
    say_more(&b->policies[0]->base);
}

static void consumer_says_more(Sheaf__V1__Bundle *b)
{
    say_more(&b->consumers[0]->base);
}

static void consumer_is_another(Sheaf__V1__Bundle *b)
{
    b->consumers[0]->domain = world_text("finance");
}

static void key_is_short(Sheaf__V1__Bundle *b)
{
    b->consumers[0]->domain_key.len--;
}

/* The keys by which the word of consumers for roles is checked. */
static void a_grant_knows_the_key_of_its_consumer_if_the_bundle_does(void **state)
{
    static void (*const cases[])(Sheaf__V1__Bundle * b) = {NULL, consumer_is_another, key_is_short};
    struct fixture f;
    (void)state;

    setup(&f);
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        const struct world_bundle b = {
            .version = 6, .grants = &one, .grant_count = 1, .spoil_bundle = cases[i]};

        assert_int_equal(open_bundle(&f, &b), SF_OK);
        assert_int_equal(f.set->grant_count, 1);
        if (i == 0) {
            assert_memory_equal(f.set->grants[0].consumer_key->bytes, f.w.billing.public_key.bytes,
                                SF_PUBLIC_KEY_SIZE);
        } else {
            assert_null(f.set->grants[0].consumer_key);
        }
    }
    teardown(&f);
}

static void a_bundle_that_says_more_than_is_known_grants_nothing_and_holds(void **state)
{
    static void (*const cases[])(Sheaf__V1__Bundle * b) = {bundle_says_more, policy_says_more,
                                                           consumer_says_more};
    struct fixture f;
    (void)state;

    setup(&f);
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        const struct world_bundle b = {
            .version = 6,
            .grants = &one,
            .grant_count = 1,
            .policies = "sheaf: policy/v1\nname: notes\nmatch: {field: note}\nmask: redact\n",
            .spoil_bundle = cases[i]};

        assert_int_equal(open_bundle(&f, &b), SF_OK);
        assert_int_equal(f.set->version, 6);
        assert_true(f.set->unread);
        assert_int_equal(f.set->grant_count, 0);
        assert_int_equal(f.set->refused, 1);
    }
    teardown(&f);
}

static void out_of_memory_leaves_nothing_behind_and_says_so(void **state)
{
    struct fixture f;
    struct grant_trust trust;
    (void)state;

    setup(&f);
    leaf_world_sign(&f.w, &(struct world_bundle){.version = 5, .grants = &one, .grant_count = 1},
                    &f.bytes);
    trust = leaf_world_trust(&f.w, 5);
    for (long n = 0;; n++) {
        enum sf_code code;

        sf_alloc_fail_after(n, false);
        code = open_with(&f, &trust);
        if (sf_alloc_faults() == 0) {
            assert_int_equal(code, SF_OK);
            break;
        }
        assert_int_equal(code, SF_NOMEM);
        assert_null(f.set);
    }
    sf_alloc_fail_after(-1, false);
    assert_int_equal(f.set->grant_count, 1);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bundle_of_the_hub_with_consent_is_in_force),
        cmocka_unit_test(a_bundle_without_grants_is_in_force_too),
        cmocka_unit_test(a_bundle_of_another_key_mesh_or_domain_is_refused),
        cmocka_unit_test(an_older_version_is_refused_and_the_same_one_is_not),
        cmocka_unit_test(an_expired_bundle_is_refused_from_its_very_microsecond_on),
        cmocka_unit_test(a_bundle_cut_at_any_byte_or_changed_in_any_is_refused),
        cmocka_unit_test(a_grant_whose_decision_differs_in_any_field_is_left_out_and_counted),
        cmocka_unit_test(what_the_grant_does_not_repeat_may_be_anything),
        cmocka_unit_test(a_decision_that_is_missing_or_of_another_key_is_no_consent),
        cmocka_unit_test(one_grant_without_consent_does_not_take_the_others_along),
        cmocka_unit_test(an_audience_has_the_columns_of_its_first_grant),
        cmocka_unit_test(a_grant_is_found_by_account_product_and_major_while_it_lasts),
        cmocka_unit_test(each_of_many_grants_is_found),
        cmocka_unit_test(a_policy_that_cannot_be_read_grants_nothing),
        cmocka_unit_test(a_grant_knows_the_key_of_its_consumer_if_the_bundle_does),
        cmocka_unit_test(a_bundle_that_says_more_than_is_known_grants_nothing_and_holds),
        cmocka_unit_test(out_of_memory_leaves_nothing_behind_and_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
