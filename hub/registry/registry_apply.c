/* Events into the registry. A refusal here means that the log is not what this hub wrote. */
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/contract/product_file.h"
#include "common/wire/control.h"
#include "hub/registry/audience.h"
#include "hub/registry/registry_policy.h"
#include "proto/errors.h"

/* What one event is applied with. */
struct apply {
    struct registry *r;
    const Sheaf__V1__Event *e;
    struct sf_arena *scratch; /* gone after this event */
    struct sf_error *err;
};

static enum sf_code misfit(const struct apply *a, const char *what)
{
    return SF_RAISE_E(a->err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "event %lu: %s",
                      (unsigned long)a->e->number, what);
}

static enum sf_code no_memory(const struct apply *a)
{
    return SF_RAISE(a->err, SF_NOMEM, "event %lu", (unsigned long)a->e->number);
}

static const char *keep_text(const struct apply *a, const char *text)
{
    return sf_arena_strdup(&a->r->arena, text);
}

static bool keep_key(ProtobufCBinaryData from, struct sf_public_key *ret)
{
    if (from.len != sizeof(ret->bytes)) {
        return false;
    }
    memcpy(ret->bytes, from.data, sizeof(ret->bytes));
    return true;
}

static bool keep_columns(const struct apply *a, char **from, size_t count, const char *const **ret)
{
    const char **columns = sf_arena_calloc(&a->r->arena, count + 1, sizeof(*columns));

    if (columns == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        columns[i] = keep_text(a, from[i]);
        if (columns[i] == NULL) {
            return false;
        }
    }
    *ret = columns;
    return true;
}

static enum sf_code mesh_created(const struct apply *a)
{
    const Sheaf__V1__MeshCreated *m = a->e->mesh_created;

    if (a->r->mesh != NULL || !keep_key(m->hub_key, &a->r->hub_key) || *m->mesh == '\0') {
        return misfit(a, "a mesh is created once, with its key and a name");
    }
    a->r->mesh = keep_text(a, m->mesh);
    return a->r->mesh == NULL ? no_memory(a) : SF_OK;
}

static enum sf_code token_issued(const struct apply *a)
{
    const Sheaf__V1__TokenIssued *m = a->e->token_issued;
    struct registry_token *t;

    if (registry_token(a->r, m->token_hash) != NULL) {
        return misfit(a, "the join token is there already");
    }
    t = sf_arena_calloc(&a->r->arena, 1, sizeof(*t));
    if (t == NULL) {
        return no_memory(a);
    }
    t->hash = keep_text(a, m->token_hash);
    t->domain = keep_text(a, m->domain);
    t->expires_us = m->expires_us;
    t->known_us = a->e->time_us > a->r->latest_us ? a->e->time_us : a->r->latest_us;
    if (t->hash == NULL || t->domain == NULL) {
        return no_memory(a);
    }
    return sf_map_put(&a->r->tokens, sf_slice_text(t->hash), t) == SF_OK ? SF_OK : no_memory(a);
}

static enum sf_code new_domain(const struct apply *a, struct registry_domain **ret)
{
    const Sheaf__V1__DomainJoined *m = a->e->domain_joined;
    struct registry_domain *d = sf_arena_calloc(&a->r->arena, 1, sizeof(*d));

    if (d == NULL || (d->name = keep_text(a, m->domain)) == NULL) {
        return no_memory(a);
    }
    if (!keep_key(m->domain_key, &d->domain_key) || strlen(m->account) >= SF_NKEY_TEXT_MAX ||
        strlen(m->serve_account) >= SF_NKEY_TEXT_MAX) {
        return misfit(a, "a key of the domain has a wrong size");
    }
    (void)snprintf(d->account, sizeof(d->account), "%s", m->account);
    (void)snprintf(d->serve_account, sizeof(d->serve_account), "%s", m->serve_account);
    d->joined_us = a->e->time_us;
    d->serve_iat_s = a->e->time_us / 1000000;
    d->iat_s = d->serve_iat_s;
    if (sf_map_put(&a->r->domains, sf_slice_text(d->name), d) != SF_OK ||
        sf_map_put(&a->r->accounts, sf_slice_text(d->account), d) != SF_OK ||
        sf_map_put(&a->r->accounts, sf_slice_text(d->serve_account), d) != SF_OK) {
        return no_memory(a);
    }
    *ret = d;
    return SF_OK;
}

/* The first join makes the domain; a later one, with a new token, gives it another leaf key. */
static enum sf_code domain_joined(const struct apply *a)
{
    const Sheaf__V1__DomainJoined *m = a->e->domain_joined;
    struct registry_domain *d = registry_domain(a->r, m->domain);
    struct registry_token *t = registry_token(a->r, m->token_hash);
    enum sf_code code;

    if (t == NULL || t->spent || strcmp(t->domain, m->domain) != 0) {
        return misfit(a, "the join token does not fit");
    }
    if (d == NULL) {
        code = new_domain(a, &d);
        if (code != SF_OK) {
            return code;
        }
    } else if (m->domain_key.len != SF_PUBLIC_KEY_SIZE ||
               memcmp(d->domain_key.bytes, m->domain_key.data, SF_PUBLIC_KEY_SIZE) != 0) {
        return misfit(a, "the domain has another key");
    }
    if (!keep_key(m->leaf_key, &d->leaf_key)) {
        return misfit(a, "the key of the leaf has a wrong size");
    }
    t->spent = true;
    return SF_OK;
}

static enum sf_code new_product(const struct apply *a, struct registry_domain *owner,
                                struct registry_product **ret)
{
    const Sheaf__V1__ProductApplied *m = a->e->product_applied;
    struct registry_product *p = sf_arena_calloc(&a->r->arena, 1, sizeof(*p));
    char *key = sf_arena_printf(&a->r->arena, "%s/%s", m->domain, m->product);

    if (p == NULL || key == NULL || (p->name = keep_text(a, m->product)) == NULL) {
        return no_memory(a);
    }
    p->owner = owner;
    if (sf_map_put(&a->r->products, sf_slice_text(key), p) != SF_OK) {
        return no_memory(a);
    }
    owner->product_count++;
    *ret = p;
    return SF_OK;
}

static enum sf_code add_version(const struct apply *a, struct registry_product *p,
                                const struct registry_version *v)
{
    if (p->version_count == p->version_capacity) {
        size_t capacity = p->version_capacity == 0 ? 4 : p->version_capacity * 2;
        struct registry_version *grown = sf_realloc(p->versions, capacity, sizeof(*grown));

        if (grown == NULL) {
            return no_memory(a);
        }
        p->versions = grown;
        p->version_capacity = capacity;
    }
    p->versions[p->version_count++] = *v;
    return SF_OK;
}

static enum sf_code parse_product(const struct apply *a, struct sf_slice yaml,
                                  struct sf_product **ret)
{
    const Sheaf__V1__ProductApplied *m = a->e->product_applied;
    struct sf_issues issues;
    enum sf_code code;

    sf_issues_init(&issues, "product.yaml", yaml);
    code = sf_product_parse(&issues, ret, a->err);
    sf_issues_done(&issues);
    if (code == SF_NOMEM) {
        return code;
    }
    if (code != SF_OK) {
        return misfit(a, "the product file cannot be read");
    }
    if (strcmp((*ret)->domain, m->domain) != 0 || strcmp((*ret)->name, m->product) != 0) {
        sf_product_free(*ret);
        *ret = NULL;
        return misfit(a, "the product file is about another product");
    }
    return SF_OK;
}

/* The owner's, which were checked before the event was made. */
static enum sf_code read_policies(const struct apply *a, const struct sf_product *p,
                                  struct sf_policy_set **ret)
{
    SF_CLEANUP(sf_policy_set_freep) struct sf_policy_set *set = sf_policy_set_new();
    enum sf_code code = set == NULL ? SF_NOMEM : sf_policy_set_add_product(set, p, a->err);

    if (code == SF_OK) {
        *ret = SF_TAKE(set);
        return SF_OK;
    }
    return code == SF_NOMEM ? no_memory(a) : misfit(a, "the product's policies cannot be read");
}

static enum sf_code product_applied(const struct apply *a)
{
    const Sheaf__V1__ProductApplied *m = a->e->product_applied;
    struct registry_domain *owner = registry_domain(a->r, m->domain);
    struct registry_product *p = registry_product(a->r, m->domain, m->product);
    struct registry_version v = {.applied_us = a->e->time_us};
    SF_CLEANUP(sf_product_freep) struct sf_product *product = NULL;
    SF_CLEANUP(sf_policy_set_freep) struct sf_policy_set *policies = NULL;
    enum sf_code code = SF_OK;

    if (owner == NULL) {
        return misfit(a, "a product of a domain that has not joined");
    }
    v.yaml = sf_arena_slice(&a->r->arena, sf_slice_of(m->product_yaml.data, m->product_yaml.len));
    v.applied_by = keep_text(a, a->e->actor);
    if (v.applied_by == NULL || (v.yaml.data == NULL && m->product_yaml.len > 0)) {
        return no_memory(a);
    }
    code = parse_product(a, v.yaml, &product);
    if (code == SF_OK && product->policy_count > 0) {
        code = read_policies(a, product, &policies);
    }
    if (code == SF_OK && p == NULL) {
        code = new_product(a, owner, &p);
    }
    if (code == SF_OK) {
        v.product = product;
        v.policies = policies;
        code = add_version(a, p, &v);
    }
    if (code == SF_OK) {
        (void)SF_TAKE(product);
        (void)SF_TAKE(policies);
    }
    return code;
}

static struct registry_product *product_of_life(const struct apply *a, const char *domain,
                                                const char *product, uint32_t major)
{
    struct registry_product *p = registry_product(a->r, domain, product);

    return p == NULL || registry_highest(p, major) == NULL ? NULL : p;
}

/* The record of @major, made when it is the first. */
static struct registry_removal *removal_of(const struct apply *a, struct registry_product *p,
                                           uint32_t major)
{
    struct registry_removal *r = p->removals;

    while (r != NULL && r->major != major) {
        r = r->next;
    }
    if (r == NULL) {
        r = sf_arena_calloc(&a->r->arena, 1, sizeof(*r));
        if (r != NULL) {
            r->major = major;
            r->next = p->removals;
            p->removals = r;
        }
    }
    return r;
}

static enum sf_code product_removed(const struct apply *a)
{
    const Sheaf__V1__ProductRemoved *m = a->e->product_removed;
    struct registry_product *p = product_of_life(a, m->domain, m->product, m->major);
    struct registry_removal *r;

    if (m->major == 0 || p == NULL || registry_removal(p, m->major) != NULL) {
        return misfit(a, "a removal of what is not there");
    }
    r = removal_of(a, p, m->major);
    if (r == NULL) {
        return no_memory(a);
    }
    r->removed_us = a->e->time_us;
    r->purge_us = m->purge_us;
    r->removed_by = keep_text(a, a->e->actor);
    r->reason = keep_text(a, m->reason);
    r->in_force = true;
    return r->removed_by == NULL || r->reason == NULL ? no_memory(a) : SF_OK;
}

static enum sf_code product_restored(const struct apply *a)
{
    const Sheaf__V1__ProductRestored *m = a->e->product_restored;
    struct registry_product *p = product_of_life(a, m->domain, m->product, m->major);

    if (p == NULL || registry_removal(p, m->major) == NULL) {
        return misfit(a, "what was not removed is brought back");
    }
    removal_of(a, p, m->major)->in_force = false;
    return SF_OK;
}

static enum sf_code add_pointer(const struct apply *a, void ***array, size_t *count,
                                size_t *capacity, void *item)
{
    if (*count == *capacity) {
        size_t wider = *capacity == 0 ? 16 : *capacity * 2;
        void **grown = sf_realloc(*array, wider, sizeof(void *));

        if (grown == NULL) {
            return no_memory(a);
        }
        *array = grown;
        *capacity = wider;
    }
    (*array)[(*count)++] = item;
    return SF_OK;
}

static struct sf_slice access_key(const struct registry_access *x, char ret[256])
{
    int n = snprintf(ret, 256, "%s/%s/%s@%u", x->consumer, x->owner, x->product, x->major);

    return sf_slice_of(ret, n > 0 && n < 256 ? (size_t)n : 0);
}

static struct registry_access access_of(const struct registry_request *q)
{
    return (struct registry_access){
        .consumer = q->consumer->name,
        .owner = q->product->owner->name,
        .product = q->product->name,
        .major = q->major,
    };
}

static enum sf_code access_requested(const struct apply *a)
{
    const Sheaf__V1__AccessRequested *m = a->e->access_requested;
    const struct registry_product *p = registry_product(a->r, m->owner, m->product);
    const struct registry_domain *consumer = registry_domain(a->r, m->consumer);
    struct registry_request *q;
    struct registry_access x;
    char id[REGISTRY_ID_MAX];
    char key[256];
    enum sf_code code;

    registry_next_request_id(a->r, id);
    if (p == NULL || consumer == NULL || strcmp(id, m->request_id) != 0) {
        return misfit(a, "an access request without product or consumer, or with a wrong number");
    }
    q = sf_arena_calloc(&a->r->arena, 1, sizeof(*q));
    if (q == NULL || !keep_columns(a, m->columns, m->n_columns, &q->columns) ||
        (q->purpose = keep_text(a, m->purpose)) == NULL ||
        (q->requested_by = keep_text(a, a->e->actor)) == NULL) {
        return no_memory(a);
    }
    memcpy(q->id, id, sizeof(q->id));
    q->product = p;
    q->major = m->major;
    q->consumer = consumer;
    q->duration_us = m->duration_us;
    q->column_count = m->n_columns;
    q->created_us = a->e->time_us;
    q->note = "";
    x = access_of(q);
    code =
        add_pointer(a, (void ***)&a->r->requests, &a->r->request_count, &a->r->request_capacity, q);
    if (code == SF_OK && sf_map_put(&a->r->pending, access_key(&x, key), q) != SF_OK) {
        return no_memory(a);
    }
    return code;
}

static enum sf_code keep_decision(const struct apply *a, struct registry_grant *g)
{
    const Sheaf__V1__Signed *s = a->e->access_decided->decision;
    size_t size = sheaf__v1__signed__get_packed_size(s);
    uint8_t *bytes = sf_arena_alloc(&a->r->arena, size);

    if (bytes == NULL) {
        return no_memory(a);
    }
    g->decision = sf_slice_of(bytes, sheaf__v1__signed__pack(s, bytes));
    return SF_OK;
}

/* From what was granted: what events of older hubs say of an audience does not count. */
static enum sf_code name_audiences(const struct apply *a, struct registry_grant *g)
{
    const struct registry_request *q = g->request;
    struct audience_of of = {
        .mesh = a->r->mesh,
        .owner = q->product->owner->name,
        .product = q->product->name,
        .major = q->major,
        .columns = g->columns,
        .column_count = g->column_count,
    };
    enum sf_code code = audience_name(&of, g->audience, a->err);

    if (code == SF_OK) {
        of.consumer = q->consumer->name;
        of.purpose = g->purpose;
        code = audience_name(&of, g->sole_audience, a->err);
    }
    return code;
}

static enum sf_code new_grant(const struct apply *a, const struct registry_request *q,
                              const Sheaf__V1__Decision *decision, struct registry_grant **ret)
{
    const Sheaf__V1__Grant *m = a->e->access_decided->grant;
    struct registry_grant *g = sf_arena_calloc(&a->r->arena, 1, sizeof(*g));
    char id[REGISTRY_ID_MAX];
    enum sf_code code;

    registry_next_grant_id(a->r, id);
    if (strcmp(id, m->id) != 0) {
        return misfit(a, "a grant with a wrong number");
    }
    if (g == NULL || !keep_columns(a, m->columns, m->n_columns, &g->columns) ||
        (g->purpose = keep_text(a, m->purpose)) == NULL ||
        (g->decided_by = keep_text(a, decision->decided_by)) == NULL) {
        return no_memory(a);
    }
    memcpy(g->id, id, sizeof(g->id));
    g->request = q;
    g->column_count = m->n_columns;
    g->until_us = m->until_us;
    g->decided_us = a->e->time_us;
    g->reason = "";
    *ret = g;
    code = name_audiences(a, g);
    return code == SF_OK ? keep_decision(a, g) : code;
}

/* Its claims and the owner's bundle change with this event. */
static void touch(const struct apply *a, const struct registry_request *q)
{
    struct registry_domain *consumer = registry_domain(a->r, q->consumer->name);
    struct registry_domain *owner = registry_domain(a->r, q->product->owner->name);
    int64_t now_s = a->e->time_us / 1000000;

    consumer->iat_s = now_s > consumer->iat_s ? now_s : consumer->iat_s + 1;
    owner->grants_changed = a->e->number;
}

static enum sf_code start_grant(const struct apply *a, struct registry_request *q,
                                const Sheaf__V1__Decision *decision)
{
    struct registry_access x = access_of(q);
    struct registry_grant *g = NULL;
    char key[256];
    enum sf_code code;

    if (registry_active(a->r, &x) != NULL) {
        return misfit(a, "a second grant for the same consumer and product");
    }
    code = new_grant(a, q, decision, &g);
    if (code == SF_OK) {
        code =
            add_pointer(a, (void ***)&a->r->grants, &a->r->grant_count, &a->r->grant_capacity, g);
    }
    if (code == SF_OK && sf_map_put(&a->r->active, access_key(&x, key), g) != SF_OK) {
        return no_memory(a);
    }
    if (code == SF_OK) {
        q->state = REGISTRY_APPROVED;
        q->grant = g;
        touch(a, q);
    }
    return code;
}

static enum sf_code access_decided(const struct apply *a)
{
    const Sheaf__V1__AccessDecided *m = a->e->access_decided;
    const Sheaf__V1__Decision *decision;
    struct registry_request *q;
    struct registry_access x;
    char key[256];
    enum sf_code code = SF_OK;

    if (m->decision == NULL) {
        return misfit(a, "a decision that nobody signed");
    }
    decision = SF_CONTROL_UNPACK(decision, a->scratch, sf_control_slice(m->decision->payload));
    if (decision == NULL) {
        return a->scratch->missed ? no_memory(a) : misfit(a, "a decision that cannot be read");
    }
    q = registry_request(a->r, decision->request_id);
    if (q == NULL || q->state != REGISTRY_PENDING || decision->approved != (m->grant != NULL)) {
        code = misfit(a, "a decision that fits no open request");
    } else if ((q->note = keep_text(a, decision->note)) == NULL) {
        code = no_memory(a);
    } else if (m->grant != NULL) {
        code = start_grant(a, q, decision);
    } else {
        q->state = REGISTRY_DENIED;
    }
    if (code == SF_OK) {
        x = access_of(q);
        (void)sf_map_remove(&a->r->pending, access_key(&x, key));
    }
    return code;
}

/* The reason that the owner signed, or the hub's. */
static enum sf_code keep_reason(const struct apply *a, struct registry_grant *g)
{
    const Sheaf__V1__GrantEnded *m = a->e->grant_ended;
    const Sheaf__V1__Revocation *words = NULL;

    if (m->revocation != NULL) {
        words = SF_CONTROL_UNPACK(revocation, a->scratch, sf_control_slice(m->revocation->payload));
        if (words == NULL) {
            return a->scratch->missed ? no_memory(a)
                                      : misfit(a, "a revocation that cannot be read");
        }
    }
    g->reason = keep_text(a, words != NULL ? words->reason : m->reason);
    return g->reason == NULL ? no_memory(a) : SF_OK;
}

static enum sf_code grant_ended(const struct apply *a)
{
    const Sheaf__V1__GrantEnded *m = a->e->grant_ended;
    struct registry_grant *g = registry_grant(a->r, m->grant_id);
    struct registry_access x;
    char key[256];
    enum sf_code code;

    if (g == NULL || g->state != REGISTRY_ACTIVE) {
        return misfit(a, "the end of a grant that is not active");
    }
    code = keep_reason(a, g);
    if (code != SF_OK) {
        return code;
    }
    g->state = strcmp(m->cause, "expired") == 0 ? REGISTRY_EXPIRED : REGISTRY_REVOKED;
    g->ended_us = a->e->time_us;
    x = access_of(g->request);
    (void)sf_map_remove(&a->r->active, access_key(&x, key));
    touch(a, g->request);
    return SF_OK;
}

static enum sf_code apply_kind(const struct apply *a)
{
    switch (a->e->kind_case) {
    case SHEAF__V1__EVENT__KIND_MESH_CREATED:
        return mesh_created(a);
    case SHEAF__V1__EVENT__KIND_TOKEN_ISSUED:
        return token_issued(a);
    case SHEAF__V1__EVENT__KIND_DOMAIN_JOINED:
        return domain_joined(a);
    case SHEAF__V1__EVENT__KIND_PRODUCT_APPLIED:
        return product_applied(a);
    case SHEAF__V1__EVENT__KIND_ACCESS_REQUESTED:
        return access_requested(a);
    case SHEAF__V1__EVENT__KIND_ACCESS_DECIDED:
        return access_decided(a);
    case SHEAF__V1__EVENT__KIND_GRANT_ENDED:
        return grant_ended(a);
    case SHEAF__V1__EVENT__KIND_PRODUCT_REMOVED:
        return product_removed(a);
    case SHEAF__V1__EVENT__KIND_PRODUCT_RESTORED:
        return product_restored(a);
    case SHEAF__V1__EVENT__KIND_POLICY_APPLIED:
    case SHEAF__V1__EVENT__KIND_POLICY_REMOVED:
        return registry_policy_apply(a->r, a->e, a->err);
    case SHEAF__V1__EVENT__KIND__NOT_SET:
    case _SHEAF__V1__EVENT__KIND__CASE_IS_INT_SIZE:
        break;
    }
    return misfit(a, "its kind is not known to this version");
}

enum sf_code registry_apply(struct registry *r, const Sheaf__V1__Event *e, struct sf_error *err)
{
    struct sf_arena scratch;
    struct apply a = {.r = r, .e = e, .scratch = &scratch, .err = err};
    enum sf_code code;

    if (e->number != r->events + 1) {
        return misfit(&a, "it has another number");
    }
    if (r->mesh == NULL && e->kind_case != SHEAF__V1__EVENT__KIND_MESH_CREATED) {
        return misfit(&a, "a mesh begins with its creation");
    }
    sf_arena_init(&scratch, 0);
    code = apply_kind(&a);
    sf_arena_done(&scratch);
    if (code == SF_OK) {
        r->events = e->number;
        r->latest_us = e->time_us > r->latest_us ? e->time_us : r->latest_us;
    }
    return code;
}
