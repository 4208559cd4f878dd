/*
 * Whoever passes bundles on - the network, a nats-server, another leaf - may change them as it
 * likes: none of a million changed ones is taken. And a hub that turned against its domains may
 * sign what it likes: nobody gets more than the owner has consented to.
 *
 *     TEST_MUTATIONS  changed bundles (1000000; a twentieth of it are signed again by the hub)
 *     TEST_SEED       of them (1)
 */
#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/time.h"
#include "common/identity/signed.h"
#include "proto/errors.h"
#include "proto/subjects.h"
#include "tests/lib/leaf_world.h"

enum {
    IN_FORCE,
    NEWER,
    OLDER,
    EXPIRED,
    OF_OTHER_MESH,
    OF_OTHER_DOMAIN,
    OF_STRANGER,
    OF_DOMAIN,
    BUNDLES
};

/* What of a Signed can be told apart: the fields as they stand there, tags and all. */
enum { PAYLOAD, SIGNATURE, KEY, FIELDS };

#define COUNT(name, transient, text) +1
enum { CODES = 0 SF_CODES(COUNT) };
#undef COUNT

struct attack {
    struct leaf_world w;
    struct sf_buf bundles[BUNDLES]; /* the first two are good, everything else is not */
    struct sf_buf mutant;
    unsigned long reached[CODES];
};

static const struct world_grant grants[] = {
    {.id = "G-1", .columns = {"order_id", "amount"}},
    {.id = "G-2", .account = "ACCOUNTOFFRAUD", .consumer = "fraud", .audience = "aud2"}};

static unsigned long setting(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);

    return text == NULL ? otherwise : strtoul(text, NULL, 10);
}

static size_t below(struct attack *a, size_t bound)
{
    return rt_sim_random(&a->w.stores.sim, bound);
}

static void attack_init(struct attack *a)
{
    struct world_bundle all[BUNDLES] = {
        [IN_FORCE] = {.version = 5, .grant_count = 1},
        [NEWER] = {.version = 6, .grant_count = 0},
        [OLDER] = {.version = 4, .grant_count = 2},
        [EXPIRED] = {.version = 9, .grant_count = 2, .expires_us = 1},
        [OF_OTHER_MESH] = {.version = 9, .grant_count = 2, .mesh = "mesh-2"},
        [OF_OTHER_DOMAIN] = {.version = 9, .grant_count = 2, .domain = "billing"},
        [OF_STRANGER] = {.version = 9, .grant_count = 2},
        [OF_DOMAIN] = {.version = 9, .grant_count = 2},
    };

    *a = (struct attack){0};
    leaf_world_init(&a->w, setting("TEST_SEED", 1));
    all[OF_STRANGER].hub = &a->w.stranger;
    all[OF_DOMAIN].hub = &a->w.domain;
    for (size_t i = 0; i < BUNDLES; i++) {
        all[i].grants = grants;
        leaf_world_sign(&a->w, &all[i], &a->bundles[i]);
    }
}

static void attack_done(struct attack *a)
{
    for (size_t i = 0; i < BUNDLES; i++) {
        sf_buf_done(&a->bundles[i]);
    }
    sf_buf_done(&a->mutant);
    leaf_world_done(&a->w);
}

/* Opens the mutant where version 5 is in force. */
static enum sf_code open_mutant(struct attack *a, struct grant_set **ret)
{
    const struct grant_trust trust = leaf_world_trust(&a->w, 5);
    struct sf_error err;

    *ret = NULL;
    return grant_set_open(sf_buf_view(&a->mutant), &trust, ret, &err);
}

/* --- changes by whoever passes a bundle on ---------------------------------------------------- */

static struct sf_slice any_bundle(struct attack *a)
{
    return sf_buf_view(&a->bundles[below(a, BUNDLES)]);
}

/* A field of a Signed as sf_signed_make() writes it. */
static struct sf_slice field_of(struct sf_slice bundle, unsigned field)
{
    const size_t signature_at = bundle.size - (2 + 32) - (2 + 64);

    switch (field) {
    case PAYLOAD:
        return sf_slice_of(bundle.data, signature_at);
    case SIGNATURE:
        return sf_slice_of(bundle.data + signature_at, 2 + 64);
    default:
        return sf_slice_of(bundle.data + bundle.size - (2 + 32), 2 + 32);
    }
}

/* Fields of any bundles in any order, some twice, with fields that nobody knows between them. */
static void put_fields(struct attack *a)
{
    const size_t count = 2 + below(a, 4);

    for (size_t i = 0; i < count; i++) {
        if (below(a, 4) == 0) {
            sf_buf_byte(&a->mutant, (uint8_t)((4 + below(a, 12)) << 3)); /* a varint */
            sf_buf_byte(&a->mutant, (uint8_t)below(a, 128));
        }
        sf_buf_slice(&a->mutant, field_of(any_bundle(a), (unsigned)below(a, FIELDS)));
    }
}

/* A good one, and something that says nothing behind, before or in it. */
static void put_surrounded(struct attack *a)
{
    const struct sf_slice good = sf_buf_view(&a->bundles[below(a, 2)]);
    const unsigned gap = (unsigned)below(a, FIELDS + 1);

    for (unsigned field = 0; field <= FIELDS; field++) {
        if (field == gap) {
            sf_buf_byte(&a->mutant, (uint8_t)((4 + below(a, 12)) << 3));
            sf_buf_byte(&a->mutant, (uint8_t)below(a, 128));
        }
        if (field < FIELDS) {
            sf_buf_slice(&a->mutant, field_of(good, field));
        }
    }
}

static void put_splice(struct attack *a)
{
    const struct sf_slice head = any_bundle(a);
    const struct sf_slice tail = any_bundle(a);

    sf_buf_append(&a->mutant, head.data, below(a, head.size + 1));
    const size_t from = below(a, tail.size + 1);
    sf_buf_append(&a->mutant, tail.data + from, tail.size - from);
}

static void put_bytes_changed(struct attack *a)
{
    const size_t count = 1 + below(a, 4);

    sf_buf_slice(&a->mutant, any_bundle(a));
    for (size_t i = 0; i < count; i++) {
        a->mutant.data[below(a, a->mutant.size)] ^= (uint8_t)(1U << below(a, 8));
    }
}

/* The first bytes say how long the payload is: that is where a reader goes astray. */
static void put_head_changed(struct attack *a)
{
    sf_buf_slice(&a->mutant, any_bundle(a));
    a->mutant.data[below(a, 8)] = (uint8_t)below(a, 256);
}

static void put_piece_moved(struct attack *a)
{
    const struct sf_slice from = any_bundle(a);
    const size_t at = below(a, from.size);
    const size_t size = below(a, from.size - at);
    const size_t to = below(a, from.size - size);

    sf_buf_slice(&a->mutant, from);
    memmove(a->mutant.data + to, from.data + at, size);
}

static void put_cut(struct attack *a)
{
    const struct sf_slice from = any_bundle(a);

    sf_buf_append(&a->mutant, from.data, below(a, from.size));
}

static void put_longer(struct attack *a)
{
    const size_t count = 1 + below(a, 8);

    sf_buf_slice(&a->mutant, any_bundle(a));
    for (size_t i = 0; i < count; i++) {
        sf_buf_byte(&a->mutant, (uint8_t)below(a, 256));
    }
}

static void mutate(struct attack *a)
{
    static void (*const ways[])(struct attack * a) = {
        put_fields,       put_surrounded,  put_splice, put_bytes_changed,
        put_head_changed, put_piece_moved, put_cut,    put_longer};

    sf_buf_clear(&a->mutant);
    ways[below(a, SF_COUNT(ways))](a);
    assert_int_equal(sf_buf_check(&a->mutant, "mutant", NULL), SF_OK);
}

static bool is_good(const struct attack *a)
{
    const struct sf_slice mutant = sf_buf_view(&a->mutant);

    return sf_slice_equal(mutant, sf_buf_view(&a->bundles[IN_FORCE])) ||
           sf_slice_equal(mutant, sf_buf_view(&a->bundles[NEWER]));
}

static void print_mutant(const struct attack *a)
{
    for (size_t i = 0; i < a->mutant.size; i++) {
        print_error("%02x", a->mutant.data[i]);
    }
}

static void no_changed_bundle_is_taken(void **state)
{
    const unsigned long count = setting("TEST_MUTATIONS", 1000000);
    struct attack a;
    struct grant_set *set;
    unsigned long same = 0;
    (void)state;

    attack_init(&a);
    for (unsigned long i = 0; i < count; i++) {
        mutate(&a);
        const enum sf_code code = open_mutant(&a, &set);

        grant_set_unref(set);
        if ((code == SF_OK) != is_good(&a)) {
            print_mutant(&a);
            fail_msg("mutant %lu of seed %lu: %s", i, setting("TEST_SEED", 1), sf_code_name(code));
        }
        same += code == SF_OK;
        a.reached[code]++;
    }
    print_message(
        "# %lu mutants: %lu with another signature, %lu not read, %lu older, %lu expired; %lu "
        "that are a good one\n",
        count, a.reached[SF_DENIED], a.reached[SF_INVALID], a.reached[SF_CONFLICT],
        a.reached[SF_TIMEOUT], same);
    assert_true(a.reached[SF_DENIED] > count / 10 && a.reached[SF_INVALID] > count / 10);
    attack_done(&a);
}

/* --- changes by the hub itself ---------------------------------------------------------------- */

/* The payload of a bundle: all but its tag and the two bytes of its length. */
static struct sf_slice payload_of(struct sf_slice bundle)
{
    const struct sf_slice field = field_of(bundle, PAYLOAD);

    assert_true(field.size > 3 + 127 && field.size < 3 + (1 << 14)); /* a length of two bytes */
    return sf_slice_of(field.data + 3, field.size - 3);
}

static void put_signed_again(struct attack *a)
{
    const struct sf_slice from = payload_of(sf_buf_view(&a->bundles[OLDER]));
    const size_t count = 1 + below(a, 6);
    SF_CLEANUP(sf_buf_done) struct sf_buf payload = {0};

    sf_buf_slice(&payload, from);
    for (size_t i = 0; i < count; i++) {
        payload.data[below(a, payload.size)] =
            below(a, 2) == 0 ? (uint8_t)below(a, 256) : from.data[below(a, from.size)];
    }
    sf_buf_clear(&a->mutant);
    assert_int_equal(
        sf_signed_make(SIGN_BUNDLE, sf_buf_view(&payload), &a->w.hub, &a->mutant, NULL), SF_OK);
}

/* The owner has said this once: who may see which columns of what, and until when. */
static bool is_consented(const struct attack *a, const struct grant *g)
{
    const int64_t until_us = leaf_world_now(&a->w) + SF_US_PER_DAY;

    if (strcmp(g->product, "orders") != 0 || g->major != 1 || g->until_us != until_us ||
        strcmp(g->purpose, "invoices") != 0) {
        return false;
    }
    if (strcmp(g->consumer, "billing") == 0) {
        return g->column_count == 2 && strcmp(g->columns[0], "order_id") == 0 &&
               strcmp(g->columns[1], "amount") == 0;
    }
    return strcmp(g->consumer, "fraud") == 0 && g->column_count == 0;
}

static void a_hub_gives_nobody_more_than_the_owner_has_consented_to(void **state)
{
    const unsigned long count = setting("TEST_MUTATIONS", 1000000) / 20;
    unsigned long taken = 0;
    unsigned long kept = 0;
    unsigned long refused = 0;
    struct attack a;
    struct grant_set *set;
    (void)state;

    attack_init(&a);
    for (unsigned long i = 0; i < count; i++) {
        struct grant_trust trust = leaf_world_trust(&a.w, 0);

        put_signed_again(&a);
        if (grant_set_open(sf_buf_view(&a.mutant), &trust, &set, NULL) != SF_OK) {
            continue;
        }
        taken++;
        kept += set->grant_count;
        refused += set->refused;
        for (size_t g = 0; g < set->grant_count; g++) {
            if (!is_consented(&a, &set->grants[g])) {
                print_mutant(&a);
                fail_msg("mutant %lu of seed %lu widens %s", i, setting("TEST_SEED", 1),
                         set->grants[g].id);
            }
        }
        grant_set_unref(set);
    }
    print_message("# %lu bundles signed again: %lu taken, with %lu grants; %lu left out\n", count,
                  taken, kept, refused);
    assert_true(taken > count / 100 && kept > taken / 10 && refused > taken / 10);
    attack_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_changed_bundle_is_taken),
        cmocka_unit_test(a_hub_gives_nobody_more_than_the_owner_has_consented_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
