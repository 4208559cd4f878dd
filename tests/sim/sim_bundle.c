/*
 * Random bundles against a model of who may read: good ones, replayed ones, older ones, expired
 * ones, of wrong keys, meshes and domains, damaged ones, with grants that nobody consented to;
 * time goes on in between. Whatever the seed:
 *   1. a bundle is in force if and only if the hub signed it for this leaf, it is not older than
 *      the one before, and it has not expired;
 *   2. a domain reads if and only if a grant in force, with the owner's consent, says so - and
 *      every way to ask gives the same answer;
 *   3. the owner always reads.
 *
 * usage: sim_bundle FIRST_SEED COUNT
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/base/time.h"
#include "tests/lib/leaf_world.h"

enum { ACCOUNTS = 4, MAJORS = 2, GRANTS = 6, HISTORY = 64, STEPS = 120 };

static const char second_major[] =
    "sheaf: product/v1\nproduct: sales/orders\nversion: 2.0.0\nstatus: active\ntables:\n"
    "  orders:\n    kind: event\n    fields:\n      n: {number: 1, type: int32}\n";

static const char *const accounts[ACCOUNTS] = {"ACC0", "ACC1", "ACC2", "ACC3"};
static const char *const audiences[ACCOUNTS] = {"aud0", "aud1", "aud2", "aud3"};
static const char *const ids[GRANTS] = {"G-0", "G-1", "G-2", "G-3", "G-4", "G-5"};

struct granted {
    unsigned account;
    unsigned major;
    int64_t until_us;
    bool consented;
};

/* A bundle as it was sent, and what it says. */
struct sent {
    struct sf_buf bytes;
    bool genuine; /* of the hub, for this leaf, whole */
    uint64_t version;
    int64_t expires_us;
    struct granted grants[GRANTS];
    size_t count;
};

struct sim {
    struct leaf_world w;
    struct sent history[HISTORY];
    size_t sent;
    const struct sent *in_force; /* NULL: none yet */
    uint64_t version;            /* of the newest genuine one */
    unsigned accepted;
};

static unsigned below(struct sim *s, unsigned bound)
{
    return (unsigned)rt_sim_random(&s->w.stores.sim, bound);
}

static bool happens(struct sim *s, unsigned percent)
{
    return below(s, 100) < percent;
}

/* What a hub, or somebody else, may write without the owner. */
static void spoil(Sheaf__V1__Grant *g, Sheaf__V1__Decision *d, void *data)
{
    struct sim *s = data;
    struct sent *sent = &s->history[s->sent];

    if (sent->grants[g->id[2] - '0'].consented) {
        return;
    }
    switch (below(s, 6)) {
    case 0:
        d->approved = false;
        break;
    case 1:
        d->consumer = world_text("another");
        break;
    case 2:
        d->until_us--;
        break;
    case 3:
        d->major += 2;
        break;
    case 4:
        d->mesh = world_text("another");
        break;
    default:
        d->request_id = world_text("AR-9");
        break;
    }
}

/* The next bundle of the history, of any kind. */
static const struct sent *make(struct sim *s)
{
    struct sent *sent = &s->history[s->sent];
    const int64_t now_us = leaf_world_now(&s->w);
    struct world_grant grants[GRANTS];
    struct world_bundle b = {.grants = grants, .spoil = spoil, .data = s};
    unsigned kind = below(s, 10);

    sent->count = below(s, GRANTS + 1);
    for (size_t i = 0; i < sent->count; i++) {
        struct granted *g = &sent->grants[i];

        *g = (struct granted){.account = below(s, ACCOUNTS),
                              .major = 1 + below(s, MAJORS),
                              .until_us = now_us + (int64_t)(below(s, 100) * 1000 + 1) * 1000,
                              .consented = happens(s, 75)};
        grants[i] = (struct world_grant){.id = ids[i],
                                         .account = accounts[g->account],
                                         .audience = audiences[g->account],
                                         .major = g->major,
                                         .until_us = g->until_us};
    }
    b.grant_count = sent->count;
    sent->genuine = true;
    sent->version = s->version + 1 + below(s, 3);
    sent->expires_us = now_us + (int64_t)(below(s, 60) * 1000 + 1) * 1000;
    switch (kind) {
    case 0:
        b.hub = happens(s, 50) ? &s->w.domain : &s->w.stranger;
        sent->genuine = false;
        break;
    case 1:
        b.mesh = "another";
        sent->genuine = false;
        break;
    case 2:
        b.domain = "billing";
        sent->genuine = false;
        break;
    case 3:
        sent->expires_us = now_us - (int64_t)below(s, 1000);
        break;
    case 4:
        sent->version = below(s, (unsigned)s->version + 1);
        break;
    default:
        break;
    }
    b.version = sent->version;
    b.expires_us = sent->expires_us;
    leaf_world_sign(&s->w, &b, &sent->bytes);
    if (kind == 5) {
        sent->bytes.data[below(s, (unsigned)sent->bytes.size)] ^= (uint8_t)(1 + below(s, 255));
        sent->genuine = false;
    }
    s->sent++;
    return sent;
}

static void deliver(struct sim *s, const struct sent *sent)
{
    struct grant_trust trust = leaf_world_trust(&s->w, s->version);
    const bool wanted =
        sent->genuine && sent->version >= s->version && sent->expires_us > leaf_world_now(&s->w);
    struct grant_set *set = NULL;
    size_t refused = 0;
    enum sf_code code = grant_set_open(sf_buf_view(&sent->bytes), &trust, &set, NULL);

    sf_assert((code == SF_OK) == wanted && (set != NULL) == wanted);
    if (!wanted) {
        return;
    }
    for (size_t i = 0; i < sent->count; i++) {
        refused += !sent->grants[i].consented;
    }
    sf_assert(set->refused == refused && set->grant_count == sent->count - refused);
    grant_set_unref(s->w.serving.grants);
    s->w.serving.grants = set;
    s->in_force = sent;
    s->version = sent->version;
    s->accepted++;
}

/* Whether @account may read @major, by the model; *id_at: of the grant that says so. */
static bool may_read(const struct sim *s, unsigned account, unsigned major, size_t *id_at)
{
    const int64_t now_us = leaf_world_now(&s->w);

    for (size_t i = 0; s->in_force != NULL && i < s->in_force->count; i++) {
        const struct granted *g = &s->in_force->grants[i];

        if (g->consented && g->account == account && g->major == major && g->until_us > now_us) {
            *id_at = i;
            return s->in_force->expires_us > now_us;
        }
    }
    return false;
}

static void check(struct sim *s)
{
    const int64_t now_us = leaf_world_now(&s->w);
    const struct serving *serving = &s->w.serving;
    const bool has_bundle = s->in_force != NULL && s->in_force->expires_us > now_us;
    struct serving_right right;

    for (unsigned a = 0; a < ACCOUNTS; a++) {
        bool any = false;

        for (unsigned major = 1; major <= MAJORS; major++) {
            const struct serving_caller caller = {.account = accounts[a]};
            size_t at = 0;
            const bool may = may_read(s, a, major, &at);
            enum sf_code code = serving_decide(serving, &caller, "orders", major, &right, NULL);

            any = any || may;
            sf_assert(code == (may ? SF_OK : has_bundle ? SF_DENIED : SF_UNAVAILABLE));
            if (may) {
                sf_assert(strcmp(right.grant->id, ids[at]) == 0);
                sf_assert(serving_still_granted(serving, ids[at]));
            }
        }
        sf_assert(grant_set_has_audience(serving->grants, audiences[a], now_us) == any);
    }
    sf_assert(serving_decide(serving, &(struct serving_caller){0}, "orders", 1, &right, NULL) ==
              SF_OK);
}

static void run_seed(uint64_t seed)
{
    struct sim *s = sf_calloc(1, sizeof(*s));

    sf_assert(s != NULL);
    leaf_world_init(&s->w, seed);
    (void)leaf_world_add(&s->w, world_orders);
    (void)leaf_world_add(&s->w, second_major);
    check(s);
    for (unsigned i = 0; i < STEPS; i++) {
        if (happens(s, 30)) {
            rt_sim_set_wall_us(&s->w.stores.sim,
                               leaf_world_now(&s->w) + (int64_t)below(s, 15000) * 1000);
        } else if (s->sent == HISTORY || (s->sent > 0 && happens(s, 40))) {
            deliver(s, &s->history[below(s, (unsigned)s->sent)]); /* Once more. */
        } else {
            deliver(s, make(s));
        }
        check(s);
    }
    sf_assert(s->accepted > 0);
    for (size_t i = 0; i < s->sent; i++) {
        sf_buf_done(&s->history[i].bytes);
    }
    leaf_world_done(&s->w);
    sf_free(s);
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

    sf_assert(sf_crypto_init(NULL) == SF_OK);
    for (uint64_t seed = first; seed < first + count; seed++) {
        (void)fprintf(stderr, "\rseed %llu", (unsigned long long)seed);
        run_seed(seed);
    }
    (void)fprintf(stderr, "\n");
    return 0;
}
