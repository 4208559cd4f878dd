#include "leaf/serving/product_set.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/base/buf.h"
#include "common/base/str.h"
#include "common/contract/product_file.h"
#include "common/sys/log.h"
#include "leaf/serving/view_cache.h"
#include "proto/errors.h"

enum sf_code product_set_init(struct product_set *set, const char *domain, struct store *store,
                              struct sf_error *err)
{
    enum sf_code code;

    *set = (struct product_set){.store = store};
    code = view_cache_new(&set->views, err);
    if (code != SF_OK) {
        return code;
    }
    set->domain = sf_strdup(domain);
    return set->domain == NULL ? SF_RAISE(err, SF_NOMEM, "products") : SF_OK;
}

static void served_product_free(struct served_product *p)
{
    if (p != NULL) {
        for (size_t i = 0; p->tables != NULL && i < p->table_count; i++) {
            served_view_unref(p->tables[i].whole);
        }
        sf_policy_set_free(p->policies);
        sf_product_free(p->contract);
        sf_free(p->tables);
        sf_free(p);
    }
}
SF_DEFINE_CLEANUP(struct served_product, served_product_free)

void product_set_done(struct product_set *set)
{
    view_cache_free(set->views);
    for (size_t i = 0; i < set->version_count; i++) {
        served_product_free(set->versions[i]);
    }
    sf_map_done(&set->by_name);
    sf_free(set->versions);
    sf_free(set->removals);
    sf_free(set->domain);
    *set = (struct product_set){0};
}

void product_set_key(uint32_t contract_id, uint8_t ret[PRODUCT_KEY_BYTES])
{
    static const char prefix[] = PRODUCT_KEY_PREFIX;

    memcpy(ret, prefix, sizeof(prefix) - 1);
    sf_write_be32(ret + sizeof(prefix) - 1, contract_id);
}

static enum sf_code open_lanes(struct product_set *set, struct served_product *p,
                               struct sf_error *err)
{
    char product[128];

    (void)snprintf(product, sizeof(product), "%s/%s", p->contract->domain, p->contract->name);
    for (size_t i = 0; i < p->table_count; i++) {
        const struct sf_table *t = &p->contract->tables[i];
        const struct store_lane_name name = {
            .product = product,
            .table = t->name,
            .major = p->contract->version.major,
            .kind = t->kind == SF_TABLE_STATE ? STORE_STATE : STORE_EVENT,
        };
        enum sf_code code = store_lane_open(set->store, &name, &p->tables[i].lane, err);

        if (code != SF_OK) {
            return code;
        }
        p->tables[i].product = p;
        p->tables[i].contract = t;
    }
    return SF_OK;
}

static enum sf_code make_views(struct product_set *set, struct served_product *p,
                               struct sf_error *err)
{
    enum sf_code code = SF_OK;

    for (size_t i = 0; code == SF_OK && i < p->table_count; i++) {
        const struct served_view_spec spec = {.table = &p->tables[i],
                                              .serial = view_cache_serial(set->views)};

        code = served_view_new(&spec, &p->tables[i].whole, err);
    }
    return code;
}

/* What was applied was checked; what cannot be read all the same lets nobody in. */
static enum sf_code read_policies(struct served_product *p, struct sf_error *err)
{
    struct sf_error why;
    enum sf_code code;

    if (p->contract->policy_count == 0) {
        return SF_OK;
    }
    p->policies = sf_policy_set_new();
    if (p->policies == NULL) {
        return SF_RAISE(err, SF_NOMEM, "policies");
    }
    code = sf_policy_set_add_product(p->policies, p->contract, &why);
    if (code == SF_NOMEM) {
        return SF_RAISE(err, SF_NOMEM, "policies");
    }
    p->closed = code != SF_OK;
    if (p->closed) {
        sf_log(SF_LOG_ERROR, "serving.policies_unread", SF_F_TEXT("product", p->contract->name),
               SF_F_ERROR(&why));
    }
    return SF_OK;
}

/* Behind the versions of the same name: they are looked through in the order of their ids. */
static enum sf_code link_name(struct product_set *set, struct served_product *p,
                              struct sf_error *err)
{
    struct served_product *at = sf_map_get(&set->by_name, p->contract->name);

    if (at == NULL) {
        return sf_map_put(&set->by_name, sf_slice_text(p->contract->name), p) == SF_OK
                   ? SF_OK
                   : SF_RAISE(err, SF_NOMEM, "contract");
    }
    while (at->next_of_name != NULL) {
        at = at->next_of_name;
    }
    at->next_of_name = p;
    return SF_OK;
}

static enum sf_code parse(const struct product_set *set, struct sf_slice yaml,
                          struct sf_product **ret, struct sf_error *err)
{
    SF_CLEANUP(sf_product_freep) struct sf_product *product = NULL;
    struct sf_issues issues;
    enum sf_code code;

    sf_issues_init(&issues, "product.yaml", yaml);
    code = sf_product_parse(&issues, &product, err);
    sf_issues_done(&issues);
    if (code != SF_OK) {
        return code;
    }
    if (strcmp(product->domain, set->domain) != 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_NOT_OWNER, "product %s/%s is not of domain %s",
                          product->domain, product->name, set->domain);
    }
    *ret = SF_TAKE(product);
    return SF_OK;
}

enum sf_code product_set_add(struct product_set *set, uint32_t contract_id, struct sf_slice yaml,
                             struct sf_error *err)
{
    SF_CLEANUP(served_product_freep) struct served_product *p = sf_calloc(1, sizeof(*p));
    struct served_product **versions;
    const struct served_product *before;
    enum sf_code code;

    if (set->version_count == PRODUCT_VERSIONS_MAX) {
        return SF_RAISE(err, SF_BUSY, "%d contract versions", PRODUCT_VERSIONS_MAX);
    }
    versions = sf_realloc(set->versions, set->version_count + 1, sizeof(struct served_product *));
    if (versions == NULL || p == NULL) {
        set->versions = versions == NULL ? set->versions : versions;
        return SF_RAISE(err, SF_NOMEM, "contract");
    }
    set->versions = versions;
    code = parse(set, yaml, &p->contract, err);
    if (code != SF_OK) {
        return code;
    }
    p->contract_id = contract_id;
    p->yaml = sf_arena_slice(&p->contract->arena, yaml);
    p->table_count = p->contract->table_count;
    p->tables = sf_calloc(p->table_count, sizeof(*p->tables));
    if (p->tables == NULL || p->yaml.data == NULL) {
        return SF_RAISE(err, SF_NOMEM, "contract");
    }
    (void)snprintf(p->version, sizeof(p->version), "%u.%u.%u", p->contract->version.major,
                   p->contract->version.minor, p->contract->version.patch);
    code = open_lanes(set, p, err);
    if (code == SF_OK) {
        code = read_policies(p, err);
    }
    if (code == SF_OK) {
        code = make_views(set, p, err);
    }
    if (code != SF_OK) {
        return code;
    }
    before = product_set_find(set, p->contract->name, p->contract->version.major);
    code = link_name(set, p, err);
    if (code != SF_OK) {
        return code;
    }
    for (size_t i = 0; i < set->version_count; i++) {
        if (before != NULL && set->versions[i] == before) {
            set->versions[i]->superseded = true;
        }
    }
    set->contract_id_highest = contract_id;
    set->versions[set->version_count++] = SF_TAKE(p);
    return SF_OK;
}

static bool is_shown(const struct product_set *set, const struct served_product *p)
{
    return !p->superseded &&
           product_set_removal(set, p->contract->name, p->contract->version.major) == NULL;
}

const struct served_product *product_set_find(const struct product_set *set, const char *name,
                                              uint32_t major)
{
    const struct served_product *best = NULL;

    for (const struct served_product *p = sf_map_get(&set->by_name, name); p != NULL;
         p = p->next_of_name) {
        const struct sf_product *c = p->contract;

        if (!is_shown(set, p) || (major != 0 && c->version.major != major)) {
            continue;
        }
        if (major != 0) {
            return p;
        }
        /* Any major: the highest that is active, else the highest. */
        if (best == NULL ||
            (c->status == SF_STATUS_ACTIVE && best->contract->status != SF_STATUS_ACTIVE) ||
            ((c->status == SF_STATUS_ACTIVE) == (best->contract->status == SF_STATUS_ACTIVE) &&
             c->version.major > best->contract->version.major)) {
            best = p;
        }
    }
    return best;
}

const struct served_table *served_product_table(const struct served_product *p, const char *name)
{
    if (name == NULL || *name == '\0') {
        return p->table_count == 1 ? &p->tables[0] : NULL;
    }
    for (size_t i = 0; i < p->table_count; i++) {
        if (strcmp(p->tables[i].contract->name, name) == 0) {
            return &p->tables[i];
        }
    }
    return NULL;
}

const struct served_product *product_set_next(const struct product_set *set, size_t *at)
{
    while (*at < set->version_count) {
        const struct served_product *p = set->versions[(*at)++];

        if (is_shown(set, p)) {
            return p;
        }
    }
    return NULL;
}

/* --- removal ---------------------------------------------------------------------------------- */

size_t product_removal_key(const char *product, uint32_t major,
                           uint8_t ret[PRODUCT_REMOVAL_KEY_MAX])
{
    int n = snprintf((char *)ret, PRODUCT_REMOVAL_KEY_MAX, PRODUCT_REMOVAL_PREFIX "%s@%u", product,
                     major);

    sf_assert(n > 0 && n < PRODUCT_REMOVAL_KEY_MAX);
    return (size_t)n;
}

void product_removal_value(int64_t purge_us, bool purged, uint8_t ret[PRODUCT_REMOVAL_VALUE_BYTES])
{
    sf_write_be64(ret, (uint64_t)purge_us);
    ret[8] = purged ? 1 : 0;
}

enum sf_code product_removal_read(struct sf_slice key, struct sf_slice value,
                                  struct product_removal *ret, struct sf_error *err)
{
    const size_t prefix = sizeof(PRODUCT_REMOVAL_PREFIX) - 1;
    const uint8_t *at =
        key.size > prefix ? memchr(key.data + prefix, '@', key.size - prefix) : NULL;
    const size_t n = at == NULL ? 0 : (size_t)(at - key.data) - prefix;
    uint64_t major = 0;

    *ret = (struct product_removal){0};
    if (n == 0 || n >= sizeof(ret->product) || value.size != PRODUCT_REMOVAL_VALUE_BYTES ||
        sf_parse_u64(sf_slice_of(at + 1, key.size - prefix - n - 1), &major) != SF_PARSE_OK ||
        major == 0 || major > UINT32_MAX || value.data[8] > 1) {
        return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "the record of a removal");
    }
    memcpy(ret->product, key.data + prefix, n);
    ret->major = (uint32_t)major;
    ret->purge_us = (int64_t)sf_read_be64(value.data);
    ret->purged = value.data[8] == 1;
    return SF_OK;
}

static struct product_removal *find_removal(const struct product_set *set, const char *product,
                                            uint32_t major)
{
    for (size_t i = 0; i < set->removal_count; i++) {
        struct product_removal *r = &set->removals[i];

        if (r->major == major && strcmp(r->product, product) == 0) {
            return r;
        }
    }
    return NULL;
}

const struct product_removal *product_set_removal(const struct product_set *set,
                                                  const char *product, uint32_t major)
{
    return find_removal(set, product, major);
}

enum sf_code product_set_make_room(struct product_set *set, struct sf_error *err)
{
    struct product_removal *grown;

    if (set->removal_room > set->removal_count) {
        return SF_OK;
    }
    grown = sf_realloc(set->removals, set->removal_count + 1, sizeof(*grown));
    if (grown == NULL) {
        return SF_RAISE(err, SF_NOMEM, "removal");
    }
    set->removals = grown;
    set->removal_room = set->removal_count + 1;
    return SF_OK;
}

enum sf_code product_set_remove(struct product_set *set, const struct product_removal *removal,
                                struct sf_error *err)
{
    struct product_removal *r = find_removal(set, removal->product, removal->major);

    if (r == NULL) {
        enum sf_code code = product_set_make_room(set, err);

        if (code != SF_OK) {
            return code;
        }
        r = &set->removals[set->removal_count++];
    }
    *r = *removal;
    return SF_OK;
}

void product_set_restore(struct product_set *set, const char *product, uint32_t major)
{
    struct product_removal *r = find_removal(set, product, major);

    if (r != NULL) {
        *r = set->removals[--set->removal_count];
    }
}
