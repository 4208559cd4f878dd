#include "hub/registry/registry_policy.h"

#include "common/base/alloc.h"
#include "proto/errors.h"

static enum sf_code misfit(const Sheaf__V1__Event *e, const char *what, struct sf_error *err)
{
    return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "event %lu: %s",
                      (unsigned long)e->number, what);
}

static enum sf_code no_memory(const Sheaf__V1__Event *e, struct sf_error *err)
{
    return SF_RAISE(err, SF_NOMEM, "event %lu", (unsigned long)e->number);
}

void registry_policies_done(struct registry_policies *p)
{
    sf_map_done(&p->by_name);
    sf_policy_set_free(p->set);
    sf_free(p->changes);
}

/* --- taking in -------------------------------------------------------------------------------- */

static struct registry_policy_change *new_change(struct registry_policies *p, uint64_t version)
{
    if (p->change_count == p->change_capacity) {
        size_t capacity = p->change_capacity == 0 ? 16 : 2 * p->change_capacity;
        struct registry_policy_change *grown = sf_realloc(p->changes, capacity, sizeof(*grown));

        if (grown == NULL) {
            return NULL;
        }
        p->changes = grown;
        p->change_capacity = capacity;
    }
    p->changes[p->change_count] = (struct registry_policy_change){.version = version};
    return &p->changes[p->change_count++];
}

static const struct registry_policy *keep(struct registry *r, const Sheaf__V1__Event *e,
                                          const Sheaf__V1__Policy *m)
{
    struct registry_policy *p = sf_arena_calloc(&r->arena, 1, sizeof(*p));

    if (p == NULL) {
        return NULL;
    }
    p->name = sf_arena_strdup(&r->arena, m->name);
    p->text = sf_arena_strdup(&r->arena, m->text);
    p->file = sf_arena_strdup(&r->arena, m->file);
    p->line = m->line == 0 ? 1 : m->line;
    p->version = m->version;
    p->applied_us = e->time_us;
    p->applied_by = sf_arena_strdup(&r->arena, e->actor);
    return p->name == NULL || p->text == NULL || p->file == NULL || p->applied_by == NULL ? NULL
                                                                                          : p;
}

static void drop(struct registry_policies *p, const char *name)
{
    const struct registry_policy *old = sf_map_remove(&p->by_name, sf_slice_text(name));

    p->bytes -= old == NULL ? 0 : strlen(old->text);
}

/* Maps hold pointers that may be changed; policies are not. */
static bool put(struct sf_map *m, const struct registry_policy *p)
{
    return sf_map_put(m, sf_slice_text(p->name), (void *)(uintptr_t)p) == SF_OK;
}

static bool take_policies(struct registry *r, const Sheaf__V1__Event *e,
                          const Sheaf__V1__PolicyApplied *m, struct registry_policy_change *c)
{
    c->policies = sf_arena_calloc(&r->arena, m->n_policies + 1, sizeof(*c->policies));
    if (c->policies == NULL) {
        return false;
    }
    for (size_t i = 0; i < m->n_policies; i++) {
        const struct registry_policy *p = keep(r, e, m->policies[i]);

        if (p == NULL) {
            return false;
        }
        drop(&r->policies, p->name);
        if (!put(&r->policies.by_name, p)) {
            return false;
        }
        r->policies.bytes += strlen(p->text);
        c->policies[c->policy_count++] = p;
    }
    return true;
}

static bool take_removed(struct registry *r, char *const *names, size_t count,
                         struct registry_policy_change *c)
{
    const char **kept = sf_arena_calloc(&r->arena, count + 1, sizeof(*kept));

    if (kept == NULL) {
        return false;
    }
    c->removed = kept;
    for (size_t i = 0; i < count; i++) {
        kept[i] = sf_arena_strdup(&r->arena, names[i]);
        if (kept[i] == NULL) {
            return false;
        }
        drop(&r->policies, names[i]);
        c->removed_count++;
    }
    return true;
}

/* Every leaf gets another bundle. */
static void touch_all(struct registry *r, const Sheaf__V1__Event *e)
{
    struct sf_map_entry *entry;
    size_t at = 0;

    while ((entry = sf_map_next(&r->domains, &at)) != NULL) {
        struct registry_domain *d = entry->value;

        d->grants_changed = e->number;
    }
    sf_policy_set_free(r->policies.set);
    r->policies.set = NULL;
}

bool registry_policy_is_rollback(const Sheaf__V1__PolicyApplied *m)
{
    return m->rolled_back_to != 0 || m->n_policies == 0;
}

enum sf_code registry_policy_apply(struct registry *r, const Sheaf__V1__Event *e,
                                   struct sf_error *err)
{
    const bool applied = e->kind_case == SHEAF__V1__EVENT__KIND_POLICY_APPLIED;
    const uint64_t version = applied ? e->policy_applied->version : e->policy_removed->version;
    char *const *removed = applied ? e->policy_applied->removed : e->policy_removed->names;
    size_t removed_count = applied ? e->policy_applied->n_removed : e->policy_removed->n_names;
    struct registry_policy_change *c;
    bool fine;

    if (version <= r->policies.version) {
        return misfit(e, "the set of policies has another version", err);
    }
    for (size_t i = 0; i < removed_count; i++) {
        if (registry_policy(r, removed[i]) == NULL) {
            return misfit(e, "a policy is removed that is not there", err);
        }
    }
    c = new_change(&r->policies, version);
    if (c == NULL) {
        return no_memory(e, err);
    }
    c->time_us = e->time_us;
    c->actor = sf_arena_strdup(&r->arena, e->actor);
    fine = c->actor != NULL && take_removed(r, removed, removed_count, c);
    if (fine && applied) {
        c->is_rollback = registry_policy_is_rollback(e->policy_applied);
        c->rolled_back_to = e->policy_applied->rolled_back_to;
        fine = take_policies(r, e, e->policy_applied, c);
    }
    if (!fine) {
        return no_memory(e, err);
    }
    r->policies.version = version;
    touch_all(r, e);
    return SF_OK;
}

/* --- reading ---------------------------------------------------------------------------------- */

const struct registry_policy *registry_policy(const struct registry *r, const char *name)
{
    return sf_map_get(&r->policies.by_name, name);
}

enum sf_code registry_policies_read(const struct sf_map *policies, struct sf_policy_set **ret,
                                    struct sf_error *err)
{
    SF_CLEANUP(sf_policy_set_freep) struct sf_policy_set *set = sf_policy_set_new();
    enum sf_code code = set == NULL ? SF_RAISE(err, SF_NOMEM, "policies") : SF_OK;
    struct sf_map_entry *entry;
    size_t at = 0;

    while (code == SF_OK && (entry = sf_map_next(policies, &at)) != NULL) {
        const struct registry_policy *p = entry->value;
        struct sf_issues issues;

        sf_issues_init(&issues, p->file, sf_slice_text(p->text));
        code = sf_policy_set_add(set, &issues, p->line, err);
        sf_issues_done(&issues);
    }
    if (code == SF_OK) {
        *ret = SF_TAKE(set);
    }
    return code == SF_INVALID ? SF_CORRUPT : code;
}

enum sf_code registry_policy_set(struct registry *r, const struct sf_policy_set **ret,
                                 struct sf_error *err)
{
    enum sf_code code = SF_OK;

    if (r->policies.set == NULL) {
        code = registry_policies_read(&r->policies.by_name, &r->policies.set, err);
    }
    *ret = r->policies.set;
    return code;
}

enum sf_code registry_policies_of(const struct registry *r, uint64_t version, struct sf_map *ret,
                                  struct sf_error *err)
{
    *ret = (struct sf_map){0};
    for (size_t n = 0; n < r->policies.change_count; n++) {
        const struct registry_policy_change *c = &r->policies.changes[n];

        if (c->version > version) {
            break;
        }
        for (size_t i = 0; i < c->removed_count; i++) {
            (void)sf_map_remove(ret, sf_slice_text(c->removed[i]));
        }
        for (size_t i = 0; i < c->policy_count; i++) {
            if (!put(ret, c->policies[i])) {
                sf_map_done(ret);
                return SF_RAISE(err, SF_NOMEM, "policies of version %lu", (unsigned long)version);
            }
        }
    }
    return SF_OK;
}
