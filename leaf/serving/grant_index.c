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

/* The place of @id, or the free one where it belongs. */
static uint32_t *place_of_id(const struct grant_index *x, const char *id)
{
    size_t i = sf_mix64(x->seed, sf_slice_text(id)) & x->mask;

    while (x->ids[i] != 0 && strcmp(x->grants[x->ids[i] - 1].id, id) != 0) {
        i = (i + 1) & x->mask;
    }
    return &x->ids[i];
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
    ret->ids = sf_arena_calloc(arena, places, sizeof(*ret->ids));
    if (ret->runs == NULL || ret->ids == NULL) {
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
    for (size_t i = count; i > 0; i--) { /* the first of an id is what stays */
        *place_of_id(ret, grants[i - 1].id) = (uint32_t)i;
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

const struct grant *grant_index_id(const struct grant_index *x, const char *id)
{
    const uint32_t number = x->ids == NULL ? 0 : *place_of_id(x, id);

    return number == 0 ? NULL : &x->grants[number - 1];
}
