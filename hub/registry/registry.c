#include "hub/registry/registry.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/str.h"
#include "common/contract/product_file.h"
#include "hub/registry/registry_policy.h"
#include "proto/errors.h"

void registry_init(struct registry *r)
{
    *r = (struct registry){0};
    sf_arena_init(&r->arena, 0);
}

void registry_done(struct registry *r)
{
    struct sf_map_entry *entry;
    size_t at = 0;

    while ((entry = sf_map_next(&r->products, &at)) != NULL) {
        struct registry_product *p = entry->value;

        for (size_t i = 0; i < p->version_count; i++) {
            sf_product_free(p->versions[i].product);
            sf_policy_set_free(p->versions[i].policies);
        }
        sf_free(p->versions);
    }
    sf_map_done(&r->domains);
    sf_map_done(&r->accounts);
    sf_map_done(&r->products);
    sf_map_done(&r->tokens);
    sf_map_done(&r->pending);
    sf_map_done(&r->active);
    sf_free(r->requests);
    sf_free(r->grants);
    registry_policies_done(&r->policies);
    sf_arena_done(&r->arena);
    *r = (struct registry){0};
}

enum sf_code registry_check_room(const struct registry *r, enum registry_kind kind,
                                 struct sf_error *err)
{
    size_t count = 0;
    size_t max = 0;
    const char *what = "";

    switch (kind) {
    case REGISTRY_DOMAIN:
        count = r->domains.live;
        max = REGISTRY_DOMAINS_MAX;
        what = "domains";
        break;
    case REGISTRY_PRODUCT:
        count = r->products.live;
        max = REGISTRY_PRODUCTS_MAX;
        what = "products";
        break;
    case REGISTRY_REQUEST:
        count = r->request_count;
        max = REGISTRY_REQUESTS_MAX;
        what = "access requests";
        break;
    case REGISTRY_TOKEN:
        count = r->tokens.live;
        max = REGISTRY_TOKENS_MAX;
        what = "join tokens";
        break;
    }
    if (count >= max) {
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_LIMIT, "the hub holds %zu %s, its limit", max,
                          what);
    }
    return SF_OK;
}

struct registry_domain *registry_domain(const struct registry *r, const char *name)
{
    return sf_map_get(&r->domains, name);
}

struct registry_domain *registry_domain_of_account(const struct registry *r, const char *account)
{
    return sf_map_get(&r->accounts, account);
}

struct registry_product *registry_product(const struct registry *r, const char *domain,
                                          const char *name)
{
    char key[128];
    int n = snprintf(key, sizeof(key), "%s/%s", domain, name);

    return n > 0 && (size_t)n < sizeof(key) ? sf_map_get(&r->products, key) : NULL;
}

/* Whether @b is the better answer than @a for "the version of this major" or of any. */
static bool is_newer(const struct registry_version *a, const struct registry_version *b)
{
    return a == NULL || sf_version_compare(&b->product->version, &a->product->version) > 0;
}

const struct registry_version *registry_highest(const struct registry_product *p, uint32_t major)
{
    const struct registry_version *best = NULL;

    for (size_t i = 0; i < p->version_count; i++) {
        const struct registry_version *v = &p->versions[i];

        if ((major == 0 || v->product->version.major == major) && is_newer(best, v)) {
            best = v;
        }
    }
    return best;
}

const struct registry_removal *registry_removal(const struct registry_product *p, uint32_t major)
{
    for (const struct registry_removal *r = p->removals; r != NULL; r = r->next) {
        if (r->major == major && r->in_force) {
            return r;
        }
    }
    return NULL;
}

const struct registry_version *registry_version(const struct registry_product *p, uint32_t major)
{
    const struct registry_version *best = NULL;
    const struct registry_version *best_active = NULL;

    if (major != 0) {
        return registry_removal(p, major) != NULL ? NULL : registry_highest(p, major);
    }
    /* A later version of a major is a higher one: of each, the last that was applied counts. */
    for (size_t i = p->version_count; i > 0; i--) {
        const struct registry_version *v = &p->versions[i - 1];
        const uint32_t of = v->product->version.major;

        if (registry_highest(p, of) != v || registry_removal(p, of) != NULL) {
            continue;
        }
        best = is_newer(best, v) ? v : best;
        if (v->product->status == SF_STATUS_ACTIVE && is_newer(best_active, v)) {
            best_active = v;
        }
    }
    return best_active != NULL ? best_active : best;
}

/* The n of "AR-n" or "G-n", from 1; 0: not such an id. */
static uint64_t id_number(const char *id, const char *prefix)
{
    size_t n = strlen(prefix);
    uint64_t number = 0;

    if (strncmp(id, prefix, n) != 0 || id[n] == '0' ||
        sf_parse_u64(sf_slice_text(id + n), &number) != SF_PARSE_OK) {
        return 0;
    }
    return number;
}

struct registry_request *registry_request(const struct registry *r, const char *id)
{
    uint64_t n = id_number(id, "AR-");

    return n == 0 || n > r->request_count ? NULL : r->requests[n - 1];
}

struct registry_grant *registry_grant(const struct registry *r, const char *id)
{
    uint64_t n = id_number(id, "G-");

    return n == 0 || n > r->grant_count ? NULL : r->grants[n - 1];
}

struct registry_token *registry_token(const struct registry *r, const char *hash)
{
    return sf_map_get(&r->tokens, hash);
}

bool registry_token_is_over(const struct registry *r, const struct registry_token *t,
                            int64_t now_us)
{
    return t->expires_us <= now_us || (r->latest_us > t->known_us && t->expires_us <= r->latest_us);
}

static bool access_key(const struct registry_access *a, char *ret, size_t size)
{
    int n = snprintf(ret, size, "%s/%s/%s@%u", a->consumer, a->owner, a->product, a->major);

    return n > 0 && (size_t)n < size;
}

struct registry_request *registry_pending(const struct registry *r, const struct registry_access *a)
{
    char key[256];

    return access_key(a, key, sizeof(key)) ? sf_map_get(&r->pending, key) : NULL;
}

struct registry_grant *registry_active(const struct registry *r, const struct registry_access *a)
{
    char key[256];

    return access_key(a, key, sizeof(key)) ? sf_map_get(&r->active, key) : NULL;
}

struct registry_grant *registry_next_to_expire(const struct registry *r)
{
    struct registry_grant *next = NULL;
    struct sf_map_entry *entry;
    size_t at = 0;

    while ((entry = sf_map_next(&r->active, &at)) != NULL) {
        struct registry_grant *g = entry->value;

        if (next == NULL || g->until_us < next->until_us) {
            next = g;
        }
    }
    return next;
}

void registry_next_request_id(const struct registry *r, char ret[REGISTRY_ID_MAX])
{
    (void)snprintf(ret, REGISTRY_ID_MAX, "AR-%zu", r->request_count + 1);
}

void registry_next_grant_id(const struct registry *r, char ret[REGISTRY_ID_MAX])
{
    (void)snprintf(ret, REGISTRY_ID_MAX, "G-%zu", r->grant_count + 1);
}
