#include "leaf/serving/grant_index.h"

#include <string.h>

#include "common/base/hash.h"
#include "common/sys/crypto.h"
#include "leaf/serving/grant_set.h"

enum { PLACES_MIN = 16 };

int grant_compare(const void *a, const void *b)
{
    const struct grant *x = a;
    const struct grant *y = b;
    int order = strcmp(x->consumer_account, y->consumer_account);

    order = order != 0 ? order : strcmp(x->product, y->product);
    order = order != 0 ? order : (x->major > y->major) - (x->major < y->major);
    return order != 0 ? order : strcmp(x->id, y->id);
}

static uint64_t hash_of(const struct grant_index *x, const char *account, const char *product)
{
    return sf_mix64(sf_mix64(x->seed, sf_slice_text(account)), sf_slice_text(product));
}

static bool is_for(const struct grant *g, const char *account, const char *product)
{
    return strcmp(g->consumer_account, account) == 0 && strcmp(g->product, product) == 0;
}

/* The run of @account and @product, or the free place where it belongs. */
static struct grant_run *place_of(const struct grant_index *x, uint64_t hash, const char *account,
                                  const char *product)
{
    size_t i = hash & x->mask;

    while (x->runs[i].count > 0 &&
           (x->runs[i].hash != hash || !is_for(&x->grants[x->runs[i].first], account, product))) {
        i = (i + 1) & x->mask;
    }
    return &x->runs[i];
}

enum sf_code grant_index_make(struct grant_index *ret, const struct grant *grants, size_t count,
                              struct sf_arena *arena, struct sf_error *err)
{
    size_t places = PLACES_MIN;

    while (places < count * 2) {
        places *= 2;
    }
    *ret = (struct grant_index){.grants = grants, .mask = places - 1};
    ret->runs = sf_arena_calloc(arena, places, sizeof(*ret->runs));
    if (ret->runs == NULL) {
        return SF_RAISE(err, SF_NOMEM, "grants");
    }
    sf_random_bytes(&ret->seed, sizeof(ret->seed));
    for (size_t i = 0; i < count; i++) {
        const char *account = grants[i].consumer_account;
        const uint64_t hash = hash_of(ret, account, grants[i].product);
        struct grant_run *run = place_of(ret, hash, account, grants[i].product);

        if (run->count == 0) {
            *run = (struct grant_run){.hash = hash, .first = (uint32_t)i};
        }
        run->count++;
    }
    return SF_OK;
}

size_t grant_index_find(const struct grant_index *x, const char *account, const char *product,
                        const struct grant **ret)
{
    const struct grant_run *run;

    if (x->runs == NULL) {
        return 0;
    }
    run = place_of(x, hash_of(x, account, product), account, product);
    *ret = &x->grants[run->first];
    return run->count;
}
