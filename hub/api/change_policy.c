#include "hub/api/change_policy.h"

#include <stdlib.h>

#include "common/wire/control.h"
#include "proto/errors.h"

enum { EFFECTS_MAX = 10000, FINDINGS_MAX = 1000 };

static enum sf_code no_memory(struct sf_error *err)
{
    return SF_RAISE(err, SF_NOMEM, "change of policies");
}

/* --- the next set ----------------------------------------------------------------------------- */

static bool put(struct sf_map *m, const struct registry_policy *p)
{
    return sf_map_put(m, sf_slice_text(p->name), (void *)(uintptr_t)p) == SF_OK;
}

static enum sf_code put_document(struct change_policy *c, size_t at, struct sf_map *next,
                                 struct sf_error *err)
{
    const struct sf_policy_document *d = &c->documents[at];
    struct registry_policy *p = sf_arena_calloc(c->arena, 1, sizeof(*p));
    char *text = sf_arena_strndup(c->arena, d->text.data, d->text.size);

    if (p == NULL || text == NULL) {
        return no_memory(err);
    }
    *p = (struct registry_policy){
        .name = d->name, .text = text, .file = c->files[at], .line = d->line};
    return put(next, p) ? SF_OK : no_memory(err);
}

static enum sf_code make_next(struct change_policy *c, struct sf_map *next, struct sf_error *err)
{
    const struct registry *r = &c->state->registry;
    enum sf_code code;

    if (c->rollback) {
        if (c->rollback_to > r->policies.version) {
            return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_POLICY_VERSION_UNKNOWN,
                              "the policies have no version %lu; the newest is %lu",
                              (unsigned long)c->rollback_to, (unsigned long)r->policies.version);
        }
        return registry_policies_of(r, c->rollback_to, next, err);
    }
    code = registry_policies_of(r, r->policies.version, next, err);
    for (size_t i = 0; code == SF_OK && i < c->remove_count; i++) {
        if (sf_map_remove(next, sf_slice_text(c->remove[i])) == NULL) {
            code = SF_RAISE_E(err, SF_ABSENT, SHEAF_E_POLICY_UNKNOWN, "there is no policy %.60s",
                              c->remove[i]);
        }
    }
    for (size_t i = 0; code == SF_OK && i < c->document_count; i++) {
        code = put_document(c, i, next, err);
    }
    return code;
}

static bool same(const struct registry_policy *a, const struct registry_policy *b)
{
    return a != NULL && strcmp(a->text, b->text) == 0 && strcmp(a->file, b->file) == 0 &&
           a->line == b->line;
}

/* Whether leaves have seen later policies than there are here: this hub was put back. What is
 * applied now is stated whole, in a version above theirs, which they take. */
static bool is_behind(const struct change_policy *c)
{
    return leases_policy_version(&c->state->leases) > c->state->registry.policies.version;
}

/* What of @next is not in force, and the other way round. */
static enum sf_code compare_sets(struct change_policy *c, const struct sf_map *next,
                                 struct sf_error *err)
{
    const struct sf_map *now = &c->state->registry.policies.by_name;
    struct sf_map_entry *e;
    size_t bytes = 0;
    size_t at = 0;

    c->applied = sf_arena_calloc(c->arena, next->live + 1, sizeof(*c->applied));
    c->removed = sf_arena_calloc(c->arena, now->live + 1, sizeof(*c->removed));
    if (c->applied == NULL || c->removed == NULL) {
        return no_memory(err);
    }
    while ((e = sf_map_next(next, &at)) != NULL) {
        const struct registry_policy *p = e->value;

        bytes += strlen(p->text);
        if (is_behind(c) || !same(sf_map_get(now, p->name), p)) {
            c->applied[c->applied_count++] = p;
        }
    }
    at = 0;
    while ((e = sf_map_next(now, &at)) != NULL) {
        const struct registry_policy *p = e->value;

        if (sf_map_get(next, p->name) == NULL) {
            c->removed[c->removed_count++] = p->name;
        }
    }
    if (next->live > REGISTRY_POLICIES_MAX || bytes > REGISTRY_POLICY_BYTES_MAX) {
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_LIMIT,
                          "%zu policies of %zu bytes are more than the limit: %d, %d bytes",
                          next->live, bytes, REGISTRY_POLICIES_MAX, REGISTRY_POLICY_BYTES_MAX);
    }
    return SF_OK;
}

/* --- what it changes -------------------------------------------------------------------------- */

/* Both sets, and the version at hand. */
struct scope {
    struct change_policy *c;
    const struct sf_policy_set *before;
    const struct sf_policy_set *after;
    const struct registry_version *version;
    const char *name; /* "sales/orders@1" */
    int64_t now_us;
    struct sf_arena *scratch; /* for what is not told */
};

/* What goes where the answer is made from while there is room in it. */
static struct sf_arena *arena_for(const struct scope *s, bool has_room)
{
    if (!has_room) {
        sf_arena_reset(s->scratch);
    }
    return has_room ? s->c->arena : s->scratch;
}

/* For one consumer: a grant, or "*". */
static enum sf_code compare_for(const struct scope *s, const struct registry_grant *g,
                                struct sf_error *err)
{
    const struct sf_product *p = s->version->product;
    enum sf_code code = SF_OK;

    for (size_t t = 0; t < p->table_count && code == SF_OK; t++) {
        struct sf_policy_input before = {.platform = s->before,
                                         .owner = s->version->policies,
                                         .product = p,
                                         .table = &p->tables[t],
                                         .subject = {.domain = "*"},
                                         .now_us = s->now_us};
        struct sf_policy_input after;
        struct blast_effect *effects = NULL;
        size_t count = 0;

        if (g != NULL) {
            before.subject.domain = g->request->consumer->name;
            before.subject.purpose = g->purpose;
            before.columns = g->columns;
            before.column_count = g->column_count;
        }
        after = before;
        after.platform = s->after;
        code = blast_compare(&before, &after, arena_for(s, s->c->effect_count < EFFECTS_MAX),
                             &effects, &count, err);
        for (size_t i = 0; i < count; i++) {
            if (s->c->effect_count == EFFECTS_MAX) {
                s->c->effects_left_out++;
                continue;
            }
            s->c->effects[s->c->effect_count++] = (struct policy_effect){
                s->name, p->tables[t].name, before.subject.domain, effects[i]};
        }
    }
    return code;
}

static enum sf_code compare_grants(const struct scope *s, const struct registry_product *p,
                                   struct sf_error *err)
{
    const struct registry *r = &s->c->state->registry;
    struct sf_map_entry *e;
    size_t at = 0;
    enum sf_code code = compare_for(s, NULL, err);

    while (code == SF_OK && (e = sf_map_next(&r->active, &at)) != NULL) {
        const struct registry_grant *g = e->value;

        if (g->request->product == p && g->request->major == s->version->product->version.major) {
            code = compare_for(s, g, err);
        }
    }
    return code;
}

static enum sf_code check_product(const struct scope *s, struct sf_error *err)
{
    struct sf_policy_breach *breaches;
    size_t count;
    enum sf_code code = sf_policy_check_product(s->after, s->version->product, s->now_us,
                                                arena_for(s, s->c->finding_count < FINDINGS_MAX),
                                                &breaches, &count, err);

    for (size_t i = 0; i < count; i++) {
        if (s->c->finding_count == FINDINGS_MAX) {
            s->c->findings_left_out++;
            continue;
        }
        s->c->findings[s->c->finding_count++] = (struct policy_finding){s->name, breaches[i]};
    }
    return code;
}

static bool is_newest_of_major(const struct registry_product *p, size_t at)
{
    const struct sf_version *v = &p->versions[at].product->version;
    const struct registry_version *newest = registry_version(p, v->major);

    return newest == &p->versions[at];
}

static enum sf_code compare_product(struct scope *s, const struct registry_product *p,
                                    struct sf_error *err)
{
    enum sf_code code = SF_OK;

    for (size_t i = 0; i < p->version_count && code == SF_OK; i++) {
        if (!is_newest_of_major(p, i)) {
            continue;
        }
        s->version = &p->versions[i];
        s->name = sf_arena_printf(s->c->arena, "%s/%s@%u", p->owner->name, p->name,
                                  s->version->product->version.major);
        code = s->name == NULL ? no_memory(err) : compare_grants(s, p, err);
        if (code == SF_OK) {
            code = check_product(s, err);
        }
    }
    return code;
}

static enum sf_code compare_all(struct change_policy *c, const struct sf_policy_set *next,
                                struct sf_error *err)
{
    SF_CLEANUP(sf_arena_done) struct sf_arena scratch = {0};
    struct scope s = {
        .c = c, .after = next, .now_us = sf_rt_wall_us(c->state->rt), .scratch = &scratch};
    struct sf_map_entry *e;
    size_t at = 0;
    enum sf_code code = registry_policy_set(&c->state->registry, &s.before, err);

    sf_arena_init(&scratch, 0);
    c->effects = sf_arena_calloc(c->arena, EFFECTS_MAX, sizeof(*c->effects));
    c->findings = sf_arena_calloc(c->arena, FINDINGS_MAX, sizeof(*c->findings));
    if (c->effects == NULL || c->findings == NULL) {
        return no_memory(err);
    }
    while (code == SF_OK && (e = sf_map_next(&c->state->registry.products, &at)) != NULL) {
        code = compare_product(&s, e->value, err);
    }
    return code;
}

/* --- the event -------------------------------------------------------------------------------- */

static enum sf_code fill_removed(const struct change_policy *c, Sheaf__V1__Event *e,
                                 struct sf_arena *arena, struct sf_error *err)
{
    Sheaf__V1__PolicyRemoved *m = sf_arena_alloc(arena, sizeof(*m));

    if (m == NULL) {
        return no_memory(err);
    }
    sheaf__v1__policy_removed__init(m);
    m->version = c->version;
    m->names = (char **)(uintptr_t)c->removed;
    m->n_names = c->removed_count;
    e->kind_case = SHEAF__V1__EVENT__KIND_POLICY_REMOVED;
    e->policy_removed = m;
    return SF_OK;
}

static enum sf_code fill_applied(const struct change_policy *c, Sheaf__V1__Event *e,
                                 struct sf_arena *arena, struct sf_error *err)
{
    Sheaf__V1__PolicyApplied *m = sf_arena_alloc(arena, sizeof(*m));
    Sheaf__V1__Policy *policies = sf_arena_calloc(arena, c->applied_count + 1, sizeof(*policies));
    Sheaf__V1__Policy **list = sf_arena_calloc(arena, c->applied_count + 1, sizeof(*list));

    if (m == NULL || policies == NULL || list == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < c->applied_count; i++) {
        const struct registry_policy *p = c->applied[i];

        list[i] = &policies[i];
        sheaf__v1__policy__init(list[i]);
        list[i]->name = sf_control_text(p->name);
        list[i]->text = sf_control_text(p->text);
        list[i]->file = sf_control_text(p->file);
        list[i]->line = p->line;
        list[i]->version = c->version;
    }
    sheaf__v1__policy_applied__init(m);
    m->version = c->version;
    m->policies = list;
    m->n_policies = c->applied_count;
    m->removed = (char **)(uintptr_t)c->removed;
    m->n_removed = c->removed_count;
    m->rolled_back_to = c->rollback ? c->rollback_to : 0;
    e->kind_case = SHEAF__V1__EVENT__KIND_POLICY_APPLIED;
    e->policy_applied = m;
    return SF_OK;
}

static enum sf_code fill(const struct change_policy *c, Sheaf__V1__Event *e, struct sf_arena *arena,
                         struct sf_error *err)
{
    e->actor = sf_arena_strdup(arena, c->actor);
    if (e->actor == NULL) {
        return no_memory(err);
    }
    return c->applied_count == 0 && !c->rollback ? fill_removed(c, e, arena, err)
                                                 : fill_applied(c, e, arena, err);
}

static enum sf_code build(struct event_append *op, Sheaf__V1__Event *e, struct sf_arena *arena,
                          struct sf_error *err)
{
    struct change_policy *c = op->data;
    SF_CLEANUP(sf_policy_set_freep) struct sf_policy_set *set = NULL;
    SF_CLEANUP(sf_map_done) struct sf_map next = {0};
    enum sf_code code = make_next(c, &next, err);

    c->version = c->state->registry.policies.version;
    if (code == SF_OK) {
        code = compare_sets(c, &next, err);
    }
    c->changed = c->applied_count + c->removed_count > 0 || is_behind(c);
    if (code != SF_OK || !c->changed) {
        return code;
    }
    code = registry_policies_read(&next, &set, err);
    if (code == SF_OK) {
        code = compare_all(c, set, err);
    }
    if (code != SF_OK || c->dry_run) {
        return code;
    }
    c->version = (is_behind(c) ? leases_policy_version(&c->state->leases) : c->version) + 1;
    return fill(c, e, arena, err);
}

void change_policy_init(struct change_policy *c, struct hub_state *s, struct sf_arena *arena)
{
    *c = (struct change_policy){.state = s, .arena = arena, .op = {.build = build, .data = c}};
}
