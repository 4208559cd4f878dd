#include "leaf/serving/serving.h"

#include <string.h>

#include "leaf/serving/view_cache.h"
#include "proto/errors.h"

int64_t serving_now_us(const struct serving *s)
{
    const int64_t wall_us = sf_rt_wall_us(s->rt);
    const int64_t known_us = sf_known_time_us(&s->known, sf_rt_now_ns(s->rt));

    return known_us > wall_us ? known_us : wall_us;
}

void serving_know_time(struct serving *s, int64_t us)
{
    const uint64_t now_ns = sf_rt_exact_ns(s->rt);
    const int64_t known_us = sf_known_time_us(&s->known, now_ns);

    /* A hub whose clock was set back says less than is known: that brings nothing back either. */
    s->known = (struct sf_known_time){known_us > us ? known_us : us, now_ns};
}

void serving_take_grants(struct serving *s, struct grant_set *grants)
{
    grant_set_unref(s->grants);
    s->grants = grants;
    s->generation++;
    serving_know_time(s, grants->issued_us);
}

bool serving_feeds_apart(const struct serving *s, const struct grant *grant)
{
    return grant->beside_held || (grant->beside_ended && !s->hub_answers);
}

/* Names the major that the caller may read instead, if there is one. */
static enum sf_code deny(const struct serving *s, const struct serving_caller *caller,
                         const struct sf_product *product, struct sf_error *err)
{
    const uint32_t granted =
        grant_set_major(s->grants, caller->account, product->name, serving_now_us(s));
    const struct grant *held =
        grant_set_held(s->grants, caller->account, product->name, product->version.major);

    if (granted != 0) {
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_DENIED, "product %s/%s@%u; granted is %s/%s@%u",
                          s->domain, product->name, product->version.major, s->domain,
                          product->name, granted);
    }
    if (held != NULL) {
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_GRANT_HELD_BACK, "grant %s on %s/%s@%u", held->id,
                          s->domain, product->name, product->version.major);
    }
    return SF_RAISE_E(err, SF_DENIED, SHEAF_E_DENIED, "product %s/%s@%u", s->domain, product->name,
                      product->version.major);
}

/* --- roles ------------------------------------------------------------------------------------ */

static bool find_consumer_key(void *data, const char *issuer, struct sf_public_key *ret)
{
    const struct grant *grant = data;

    if (strcmp(issuer, grant->consumer) != 0) {
        return false;
    }
    *ret = *grant->consumer_key;
    return true;
}

/* The roles that the domain of @grant says who asks has; none when the hub has not told its key. */
static enum sf_code read_roles(const struct serving *s, const struct grant *grant,
                               const char *assertion, struct serving_right *ret,
                               struct sf_error *err)
{
    char audience[SF_TOKEN_AUDIENCE_SIZE];
    const struct sf_token_check check = {
        .find_key = find_consumer_key,
        .data = (struct grant *)(uintptr_t)grant,
        .audience = audience,
        .now_s = serving_now_us(s) / SF_US_PER_S,
        .cache = s->assertions,
        .kind = SF_TOKEN_ASSERTION,
    };
    struct sf_token token;
    enum sf_token_verdict verdict;

    if (grant->consumer_key == NULL) {
        return SF_OK;
    }
    sf_token_audience(s->mesh, s->domain, grant->product, audience);
    verdict = sf_token_verify(&check, sf_slice_text(assertion), &token);
    if (verdict != SF_TOKEN_GOOD) {
        return sf_token_raise(SF_TOKEN_ASSERTION, verdict, err);
    }
    for (size_t i = 0; i < token.role_count; i++) {
        served_roles_add(&ret->roles, &token.roles[i]);
    }
    ret->roles_until_s = sf_token_ends_s(&token);
    return SF_OK;
}

/* --- deciding --------------------------------------------------------------------------------- */

enum sf_code serving_decide(const struct serving *s, const struct serving_caller *caller,
                            const char *product, uint32_t major, struct serving_right *ret,
                            struct sf_error *err)
{
    const struct served_product *p = product_set_find(&s->products, product, major);
    const struct grant *grant = NULL;
    enum sf_code code = SF_OK;

    ret->roles_until_s = INT64_MAX;
    ret->roles.count = 0; /* and no more: clearing room for all takes as long as deciding */
    if (p == NULL) {
        return major == 0 ? SF_RAISE_E(err, SF_ABSENT, SHEAF_E_PRODUCT_UNKNOWN, "product %s/%s",
                                       s->domain, product)
                          : SF_RAISE_E(err, SF_ABSENT, SHEAF_E_PRODUCT_UNKNOWN, "product %s/%s@%u",
                                       s->domain, product, major);
    }
    if (caller->account != NULL) {
        const int64_t now_us = serving_now_us(s);

        if (s->grants == NULL || s->grants->expires_us <= now_us) {
            return SF_RAISE_E(err, SF_UNAVAILABLE, SHEAF_E_BUNDLE_EXPIRED,
                              "domain %s has no grants in force", s->domain);
        }
        grant =
            grant_set_find(s->grants, caller->account, product, p->contract->version.major, now_us);
        if (grant == NULL) {
            return deny(s, caller, p->contract, err);
        }
        if (caller->roles != NULL) {
            ret->roles = *caller->roles;
        } else if (caller->assertion != NULL) {
            code = read_roles(s, grant, caller->assertion, ret, err);
        }
    }
    if (code == SF_OK) {
        ret->serving = s;
        ret->product = p;
        ret->grant = grant;
    }
    return code;
}

/* The grant of the domain, by whatever account, if one is in force; or NULL. */
static const struct grant *grant_of_domain(const struct serving *s, const char *domain,
                                           const struct sf_product *p)
{
    const int64_t now_us = serving_now_us(s);

    for (size_t i = 0;
         s->grants != NULL && s->grants->expires_us > now_us && i < s->grants->grant_count; i++) {
        const struct grant *g = &s->grants->grants[i];

        if (strcmp(g->consumer, domain) == 0 && strcmp(g->product, p->name) == 0 &&
            g->major == p->version.major && g->until_us > now_us) {
            return g;
        }
    }
    return NULL;
}

enum sf_code serving_decide_as(const struct serving *s, struct serving_as *as, const char *product,
                               uint32_t major, struct serving_right *ret, struct sf_error *err)
{
    enum sf_code code = serving_decide(s, &(struct serving_caller){0}, product, major, ret, err);

    if (code != SF_OK) {
        return code;
    }
    as->granted = grant_of_domain(s, as->domain, ret->product->contract);
    as->grant = (struct grant){.consumer = as->domain, .purpose = ""};
    if (as->granted != NULL) {
        as->grant = *as->granted;
    }
    as->grant.id = ""; /* nobody has it: it is not asked whether it still holds */
    as->grant.purpose = as->purpose == NULL ? as->grant.purpose : as->purpose;
    ret->grant = &as->grant;
    ret->roles = as->roles;
    return SF_OK;
}

/* The grant of this id, if it is in force; or NULL. */
static const struct grant *serving_grant(const struct serving *s, const char *grant_id)
{
    const int64_t now_us = serving_now_us(s);
    const struct grant *g = NULL;

    if (s->grants != NULL && s->grants->expires_us > now_us) {
        g = grant_index_id(&s->grants->index, grant_id);
    }
    return g != NULL && g->until_us > now_us ? g : NULL;
}

bool serving_still_granted(const struct serving *s, const char *grant_id)
{
    return serving_grant(s, grant_id) != NULL;
}

/* --- views ------------------------------------------------------------------------------------ */

/* Texts that grants may do without. */
static const char *text_of(const char *text)
{
    return text == NULL ? "" : text;
}

/* What a view depends on besides the policies: the table as of its contract, and the rights. */
static enum sf_code make_key(const struct served_table *table, const struct grant *grant,
                             const struct served_roles *roles, struct sf_buf *ret,
                             struct sf_error *err)
{
    sf_buf_be32(ret, table->product->contract_id);
    sf_buf_be32(ret, (uint32_t)(table - table->product->tables));
    sf_buf_append(ret, text_of(grant->consumer), strlen(text_of(grant->consumer)) + 1);
    sf_buf_append(ret, text_of(grant->purpose), strlen(text_of(grant->purpose)) + 1);
    sf_buf_be32(ret, (uint32_t)grant->column_count);
    for (size_t i = 0; i < grant->column_count; i++) {
        sf_buf_append(ret, grant->columns[i], strlen(grant->columns[i]) + 1);
    }
    for (size_t i = 0; i < roles->count; i++) {
        sf_buf_append(ret, roles->items[i].text, strlen(roles->items[i].text) + 1);
    }
    return sf_buf_check(ret, "view", err);
}

/* Those of @roles that may make a difference: views are as many as policies make them. */
static struct served_roles roles_asked_for(const struct serving *s,
                                           const struct served_table *table,
                                           const struct served_roles *roles)
{
    const struct sf_policy_set *platform = s->grants == NULL ? NULL : s->grants->policies;
    const struct sf_policy_set *owner = table->product->policies;
    struct served_roles asked = {0};

    for (size_t i = 0; roles != NULL && i < roles->count; i++) {
        const char *role = roles->items[i].text;

        if ((platform != NULL && sf_policy_set_asks_role(platform, role)) ||
            (owner != NULL && sf_policy_set_asks_role(owner, role))) {
            asked.items[asked.count++] = roles->items[i];
        }
    }
    return asked;
}

static const char *purpose_of(const struct grant *grant)
{
    return *text_of(grant->purpose) == '\0' ? NULL : grant->purpose;
}

static enum sf_code decide_view(const struct serving *s, const struct served_table *table,
                                const struct grant *grant, const struct served_roles *roles,
                                int64_t now_us, struct sf_policy_view **ret, struct sf_error *err)
{
    const char *names[SF_TOKEN_ROLES_MAX];
    const struct sf_policy_input input = {
        .platform = s->grants == NULL ? NULL : s->grants->policies,
        .owner = table->product->policies,
        .product = table->product->contract,
        .table = table->contract,
        .subject = {.domain = text_of(grant->consumer),
                    .roles = names,
                    .role_count = roles->count,
                    .purpose = purpose_of(grant)},
        .columns = grant->columns,
        .column_count = grant->column_count,
        .now_us = now_us,
    };

    for (size_t i = 0; i < roles->count; i++) {
        names[i] = roles->items[i].text;
    }
    return sf_policy_decide(&input, ret, err);
}

/* The key of the domain, when something is hashed for it. */
static enum sf_code hash_key_of(const struct serving *s, const struct sf_policy_view *decision,
                                const char *domain, uint8_t ret[SF_HASH_KEY_SIZE],
                                struct sf_error *err)
{
    const struct sf_slice parts[] = {SF_LITERAL("sheaf mask v1"), sf_slice_of("", 1),
                                     sf_slice_text(domain)};

    if (!decision->hashes) {
        return SF_OK;
    }
    if (s->mask_secret == NULL) {
        return SF_RAISE(err, SF_UNAVAILABLE, "there is no key to hash with");
    }
    sf_hash256_keyed(sf_seed_bytes(s->mask_secret).data, parts, SF_COUNT(parts), ret);
    return SF_OK;
}

static enum sf_code make_view(const struct serving *s, const struct served_table *table,
                              const struct grant *grant, const struct served_roles *roles,
                              const struct view_rights *rights, struct served_view **ret,
                              struct sf_error *err)
{
    struct view_cache *cache = s->products.views;
    SF_CLEANUP(served_view_unrefp) struct served_view *view = NULL;
    SF_CLEANUP(sf_policy_view_freep) struct sf_policy_view *decision = NULL;
    uint8_t hash_key[SF_HASH_KEY_SIZE];
    struct served_view *same;
    enum sf_code code = decide_view(s, table, grant, roles, rights->now_us, &decision, err);

    if (code == SF_OK) {
        code = hash_key_of(s, decision, text_of(grant->consumer), hash_key, err);
    }
    if (code != SF_OK) {
        return code;
    }
    same = view_cache_renew(cache, rights, decision, hash_key);
    if (same != NULL) {
        *ret = served_view_ref(same);
        return SF_OK;
    }
    const struct served_view_spec spec = {
        .table = table,
        .serial = view_cache_serial(cache),
        .hash_key = decision->hashes ? hash_key : NULL,
        .decision = decision,
        .domain = text_of(grant->consumer),
        .purpose = purpose_of(grant),
        .roles = roles,
        .counts = view_cache_counts(cache),
    };

    decision = NULL; /* taken over */
    code = served_view_new(&spec, &view, err);
    sf_wipe(hash_key, sizeof(hash_key));
    if (code == SF_OK) {
        code = view_cache_put(cache, rights, view, err);
    }
    if (code == SF_OK) {
        *ret = SF_TAKE(view);
    }
    return code;
}

enum sf_code serving_view(const struct serving *s, const struct served_table *table,
                          const struct grant *grant, const struct served_roles *roles,
                          struct served_view **ret, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf key = {0};
    bool is_of_set;
    struct served_roles asked;
    struct view_rights rights;
    struct served_view *found;
    int64_t until_us = 0;
    enum sf_code code;

    if (grant == NULL) {
        *ret = served_view_ref(table->whole);
        return SF_OK;
    }
    if (table->product->closed) {
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_POLICY_DENIES,
                          "table '%s' is closed: its policies cannot be read",
                          table->contract->name);
    }
    is_of_set = *text_of(grant->id) != '\0' && (roles == NULL || roles->count == 0);
    rights = (struct view_rights){
        .grant = is_of_set ? grant : NULL, .table = table, .generation = s->generation};
    found = is_of_set ? view_cache_recall(s->products.views, &rights, &until_us) : NULL;
    if (found != NULL && (until_us == INT64_MAX || serving_now_us(s) < until_us)) {
        *ret = served_view_ref(found);
        return SF_OK;
    }
    asked = roles_asked_for(s, table, roles);
    code = make_key(table, grant, &asked, &key, err);
    if (code != SF_OK) {
        return code;
    }
    rights.roles_of = asked.count == 0 ? NULL : text_of(grant->consumer);
    rights.key = sf_buf_view(&key);
    rights.now_us = serving_now_us(s);
    found = view_cache_find(s->products.views, &rights);
    if (found != NULL) {
        *ret = served_view_ref(found);
        return SF_OK;
    }
    return make_view(s, table, grant, &asked, &rights, ret, err);
}

/* Whether a newer version of the product shows less of what @view shows. */
static bool is_overtaken(const struct serving *s, const struct grant *grant,
                         const struct served_view *view)
{
    const struct served_product *p = view->table->product;
    SF_CLEANUP(served_view_unrefp) struct served_view *now = NULL;
    const struct served_table *table;
    const struct served_product *newest;
    struct sf_error err;

    if (!p->superseded) {
        return false;
    }
    newest = product_set_find(&s->products, p->contract->name, p->contract->version.major);
    table = newest == NULL ? NULL : served_product_table(newest, view->table->contract->name);
    return table == NULL || serving_view(s, table, grant, &view->roles, &now, &err) != SF_OK ||
           !served_view_is_within(view, now);
}

enum sf_code serving_still_shows(const struct serving *s, const char *grant_id,
                                 const struct served_view *view, struct sf_error *err)
{
    const struct grant *grant = serving_grant(s, grant_id);
    SF_CLEANUP(served_view_unrefp) struct served_view *now = NULL;
    enum sf_code code;

    if (grant == NULL) {
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_DENIED, "grant %s has ended", grant_id);
    }
    code = serving_view(s, view->table, grant, &view->roles, &now, err);
    if (code == SF_OK && (strcmp(now->name, view->name) != 0 || is_overtaken(s, grant, view))) {
        code = SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "what grant %s sees has changed: ask again",
                          grant_id);
    }
    return code;
}

void serving_keys_changed(struct serving *s)
{
    s->generation++;
}
