/* A set of rules, and which of them may be about a table. */
#include <stdlib.h>
#include <strings.h>

#include "common/base/alloc.h"
#include "common/policy/policy_private.h"

struct sf_policy_set *sf_policy_set_new(void)
{
    struct sf_policy_set *s = sf_calloc(1, sizeof(*s));

    if (s != NULL) {
        sf_arena_init(&s->arena, 0);
        s->last = &s->first;
    }
    return s;
}

static void free_buckets(struct sf_map *m)
{
    size_t at = 0;

    for (struct sf_map_entry *e = sf_map_next(m, &at); e != NULL; e = sf_map_next(m, &at)) {
        struct sf_policy_bucket *b = e->value;

        sf_free(b->rules);
        sf_free(b);
    }
    sf_map_done(m);
}

void sf_policy_set_free(struct sf_policy_set *s)
{
    if (s == NULL) {
        return;
    }
    for (struct sf_policy *p = s->first; p != NULL; p = p->next) {
        sf_policy_free_patterns(p);
    }
    free_buckets(&s->domains);
    free_buckets(&s->products);
    free_buckets(&s->tags);
    free_buckets(&s->fields);
    for (size_t i = 0; i < SF_POLICY_BITS; i++) {
        sf_free(s->classes[i].rules);
        sf_free(s->types[i].rules);
    }
    sf_free(s->rest.rules);
    sf_map_done(&s->names);
    sf_map_done(&s->roles);
    sf_arena_done(&s->arena);
    sf_free(s);
}

size_t sf_policy_set_count(const struct sf_policy_set *s)
{
    return s->count;
}

bool sf_policy_set_binds(const struct sf_policy_set *s, const char *name, const char *domain)
{
    const struct sf_policy *p = sf_map_get(&s->names, name);
    const size_t size = strlen(domain);

    if (p == NULL || p->does == SF_POLICY_REQUIRES ||
        (p->match.domains.count > 0 && !sf_policy_names_have(&p->match.domains, domain))) {
        return false;
    }
    for (size_t i = 0; i < p->match.products.count; i++) {
        const char *product = p->match.products.items[i];

        if (strchr(product, '/') == NULL ||
            (strncmp(product, domain, size) == 0 && product[size] == '/')) {
            return true;
        }
    }
    return p->match.products.count == 0;
}

bool sf_policy_set_asks_role(const struct sf_policy_set *s, const char *role)
{
    return s->filters_by_role || sf_map_get(&s->roles, role) != NULL;
}

/* What the rule wants to know of roles. A filter is not read before there is a table: one that has
 * the word asks for all. */
static bool note_roles(struct sf_policy_set *s, struct sf_policy *p)
{
    bool ok = true;

    for (size_t i = 0; i < p->except_count; i++) {
        const struct sf_policy_names *roles = &p->excepts[i].roles;

        for (size_t k = 0; ok && k < roles->count; k++) {
            ok = sf_map_put(&s->roles, sf_slice_text(roles->items[k]), p) == SF_OK;
        }
    }
    for (size_t i = 0; i + 4 <= p->filter.size && !s->filters_by_role; i++) {
        s->filters_by_role = strncasecmp((const char *)p->filter.data + i, "role", 4) == 0;
    }
    return ok;
}

/* --- the index -------------------------------------------------------------------------------- */

static bool bucket_add(struct sf_policy_bucket *b, const struct sf_policy *p)
{
    if (b->count == b->capacity) {
        size_t capacity = b->capacity == 0 ? 4 : 2 * b->capacity;
        const struct sf_policy **rules = sf_realloc(b->rules, capacity, sizeof(*rules));

        if (rules == NULL) {
            return false;
        }
        b->rules = rules;
        b->capacity = capacity;
    }
    b->rules[b->count++] = p;
    return true;
}

/* The last part of "sales/orders". */
static const char *product_key(const char *name)
{
    const char *slash = strchr(name, '/');

    return slash == NULL ? name : slash + 1;
}

/* Rules that stand under @names already. */
static size_t names_load(const struct sf_map *m, const struct sf_policy_names *names)
{
    size_t load = 0;

    for (size_t i = 0; i < names->count; i++) {
        const struct sf_policy_bucket *b = sf_map_get(m, product_key(names->items[i]));

        load += b == NULL ? 0 : b->count;
    }
    return load;
}

static size_t bits_load(const struct sf_policy_bucket *buckets, uint32_t bits)
{
    size_t load = 0;

    for (size_t i = 0; i < SF_POLICY_BITS; i++) {
        load += (bits & 1U << i) != 0 ? buckets[i].count : 0;
    }
    return load;
}

static bool names_add(struct sf_map *m, const struct sf_policy_names *names,
                      const struct sf_policy *p)
{
    for (size_t i = 0; i < names->count; i++) {
        const char *key = product_key(names->items[i]);
        struct sf_policy_bucket *b = sf_map_get(m, key);

        if (b == NULL) {
            b = sf_calloc(1, sizeof(*b));
            if (b == NULL || sf_map_put(m, sf_slice_text(key), b) != SF_OK) {
                sf_free(b);
                return false;
            }
        }
        if (!bucket_add(b, p)) {
            return false;
        }
    }
    return true;
}

static bool bits_add(struct sf_policy_bucket *buckets, uint32_t bits, const struct sf_policy *p)
{
    for (size_t i = 0; i < SF_POLICY_BITS; i++) {
        if ((bits & 1U << i) != 0 && !bucket_add(&buckets[i], p)) {
            return false;
        }
    }
    return true;
}

/* Under the condition whose buckets are the shortest, names before classes before types. */
static bool index_add(struct sf_policy_set *s, const struct sf_policy *p)
{
    const struct sf_policy_match *m = &p->match;
    const struct {
        struct sf_map *map;
        const struct sf_policy_names *names;
    } named[] = {{&s->products, &m->products},
                 {&s->domains, &m->domains},
                 {&s->fields, &m->fields},
                 {&s->tags, &m->tags}};
    size_t best = SIZE_MAX;
    size_t at = SF_COUNT(named);

    for (size_t i = 0; i < SF_COUNT(named); i++) {
        size_t load = names_load(named[i].map, named[i].names);

        if (named[i].names->count > 0 && load < best) {
            best = load;
            at = i;
        }
    }
    if (m->classes != 0 && bits_load(s->classes, m->classes) < best) {
        return bits_add(s->classes, m->classes, p);
    }
    if (at < SF_COUNT(named)) {
        return names_add(named[at].map, named[at].names, p);
    }
    return m->types != 0 ? bits_add(s->types, m->types, p) : bucket_add(&s->rest, p);
}

enum sf_code sf_policy_set_put(struct sf_policy_set *s, struct sf_policy *p, struct sf_error *err)
{
    const char *name = sf_policy_full_name(p, &s->arena);

    *s->last = p;
    s->last = &p->next;
    if (name == NULL || sf_map_put(&s->names, sf_slice_text(name), p) != SF_OK ||
        !index_add(s, p) || !note_roles(s, p)) {
        return SF_RAISE(err, SF_NOMEM, "policy %s", p->name);
    }
    s->count++;
    return SF_OK;
}

/* --- finding ---------------------------------------------------------------------------------- */

/* Rules found so far; grows in the arena. */
struct finder {
    struct sf_arena *arena;
    const struct sf_policy **items;
    size_t count;
    size_t capacity;
    bool failed;
};

static void take(struct finder *f, const struct sf_policy_bucket *b)
{
    if (b == NULL || b->count == 0 || f->failed) {
        return;
    }
    if (f->count + b->count > f->capacity) {
        size_t capacity = 2 * (f->count + b->count) + 16;
        const struct sf_policy **items = sf_arena_alloc(f->arena, capacity * sizeof(*items));

        if (items == NULL) {
            f->failed = true;
            return;
        }
        if (f->count > 0) {
            memcpy(items, f->items, f->count * sizeof(*items));
        }
        f->items = items;
        f->capacity = capacity;
    }
    memcpy(&f->items[f->count], b->rules, b->count * sizeof(*f->items));
    f->count += b->count;
}

static void take_names(struct finder *f, const struct sf_map *m, const char *const *names,
                       size_t count)
{
    for (size_t i = 0; m->live > 0 && i < count; i++) {
        take(f, sf_map_get(m, names[i]));
    }
}

static void take_bits(struct finder *f, const struct sf_policy_bucket *buckets, uint32_t bits)
{
    for (; bits != 0; bits &= bits - 1) {
        take(f, &buckets[__builtin_ctz(bits)]);
    }
}

static void take_from(struct finder *f, const struct sf_policy_set *s,
                      const struct sf_policy_target *t)
{
    uint32_t classes = 0;
    uint32_t types = 0;

    take(f, &s->rest);
    take_names(f, &s->products, &t->product->name, 1);
    take_names(f, &s->domains, &t->product->domain, 1);
    take_names(f, &s->tags, t->product->tags, t->product->tag_count);
    for (size_t i = 0; i < t->table->field_count; i++) {
        const struct sf_field *field = &t->table->fields[i];

        take_names(f, &s->fields, &field->name, 1);
        take_names(f, &s->tags, field->tags, field->tag_count);
        classes |= sf_policy_class_bits(field);
        types |= sf_policy_type_bit(field->type);
    }
    take_bits(f, s->classes, classes);
    take_bits(f, s->types, types);
}

static int compare_rules(const void *x, const void *y)
{
    const struct sf_policy *a = *(const struct sf_policy *const *)x;
    const struct sf_policy *b = *(const struct sf_policy *const *)y;

    return a->origin != b->origin ? (a->origin > b->origin) - (a->origin < b->origin)
                                  : strcmp(a->name, b->name);
}

enum sf_code sf_policy_find(const struct sf_policy_set *const sets[2],
                            const struct sf_policy_target *t, struct sf_arena *arena,
                            struct sf_policy_rules *ret, struct sf_error *err)
{
    struct finder f = {.arena = arena};
    size_t kept = 0;

    for (size_t i = 0; i < 2; i++) {
        if (sets[i] != NULL && sets[i]->count > 0) {
            take_from(&f, sets[i], t);
        }
    }
    if (f.failed) {
        return SF_RAISE(err, SF_NOMEM, "policies of %s", t->name);
    }
    for (size_t i = 0; i < f.count; i++) {
        if (sf_policy_is_about(f.items[i], t)) {
            f.items[kept++] = f.items[i];
        }
    }
    f.count = kept;
    if (f.count > 1) {
        qsort(f.items, f.count, sizeof(*f.items), compare_rules);
    }
    kept = 0;
    for (size_t i = 0; i < f.count; i++) {
        if (kept == 0 || f.items[kept - 1] != f.items[i]) {
            f.items[kept++] = f.items[i];
        }
    }
    *ret = (struct sf_policy_rules){f.items, kept};
    return SF_OK;
}
