/* Which roles make a difference to what is seen of a table. */
#include <stdlib.h>

#include "common/policy/policy_private.h"

struct collector {
    struct sf_arena *arena;
    const char **items;
    size_t count;
    size_t capacity;
};

static bool add(struct collector *c, const char *role)
{
    if (c->count == c->capacity) {
        size_t capacity = c->capacity == 0 ? 8 : 2 * c->capacity;
        const char **grown = sf_arena_calloc(c->arena, capacity, sizeof(*grown));

        if (grown == NULL) {
            return false;
        }
        if (c->count > 0) {
            memcpy(grown, c->items, c->count * sizeof(*grown));
        }
        c->items = grown;
        c->capacity = capacity;
    }
    c->items[c->count] = sf_arena_strdup(c->arena, role);
    return c->items[c->count++] != NULL;
}

static bool add_excepted(struct collector *c, const struct sf_policy *p)
{
    bool ok = true;

    for (size_t i = 0; i < p->except_count; i++) {
        const struct sf_policy_names *roles = &p->excepts[i].roles;

        for (size_t k = 0; ok && k < roles->count; k++) {
            ok = add(c, roles->items[k]);
        }
    }
    return ok;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort_once_each(struct collector *c)
{
    size_t kept = 0;

    if (c->count > 1) {
        qsort(c->items, c->count, sizeof(*c->items), compare);
    }
    for (size_t i = 0; i < c->count; i++) {
        if (kept == 0 || strcmp(c->items[kept - 1], c->items[i]) != 0) {
            c->items[kept++] = c->items[i];
        }
    }
    c->count = kept;
}

enum sf_code sf_policy_roles_about(const struct sf_policy_input *in, struct sf_arena *arena,
                                   struct sf_policy_roles *ret, struct sf_error *err)
{
    const struct sf_policy_set *const sets[2] = {in->platform, in->owner};
    struct collector c = {.arena = arena};
    struct sf_policy_target target;
    struct sf_policy_rules rules;
    enum sf_code code;

    sf_policy_target_init(&target, in->product, in->table);
    code = sf_policy_find(sets, &target, arena, &rules, err);
    for (size_t i = 0; code == SF_OK && i < rules.count; i++) {
        const struct sf_policy *p = rules.items[i];

        if (p->does != SF_POLICY_REQUIRES && p->expires_us > in->now_us &&
            sf_policy_is_about_table(p, &target) && !add_excepted(&c, p)) {
            code = SF_RAISE(err, SF_NOMEM, "roles of %s", target.name);
        }
    }
    sort_once_each(&c);
    *ret = (struct sf_policy_roles){c.items, c.count};
    return code;
}
