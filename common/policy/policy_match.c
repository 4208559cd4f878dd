/* Whether a rule is about a product, a table, a field, and whether it excepts who asks. */
#include <stdio.h>
#include <stdlib.h>

#include "common/policy/policy_private.h"

void sf_policy_target_init(struct sf_policy_target *t, const struct sf_product *product,
                           const struct sf_table *table)
{
    t->product = product;
    t->table = table;
    (void)snprintf(t->name, sizeof(t->name), "%s/%s", product->domain, product->name);
}

static int compare_names(const void *key, const void *item)
{
    return strcmp(key, *(const char *const *)item);
}

bool sf_policy_names_have(const struct sf_policy_names *names, const char *name)
{
    return names->count > 0 && bsearch(name, names->items, names->count, sizeof(names->items[0]),
                                       compare_names) != NULL;
}

static bool have_one(const struct sf_policy_names *names, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (sf_policy_names_have(names, list[i])) {
            return true;
        }
    }
    return false;
}

static uint32_t class_bit(enum sf_class class)
{
    return 1U << (class == SF_CLASS_NONE ? SF_CLASS_INTERNAL : class);
}

uint32_t sf_policy_class_bits(const struct sf_field *f)
{
    const struct sf_table *shape = sf_field_shape(f);
    uint32_t bits = class_bit(f->class);

    for (size_t i = 0; shape != NULL && i < shape->field_count; i++) {
        bits |= sf_policy_class_bits(&shape->fields[i]);
    }
    return bits;
}

/* decimal is one type to those who write it. */
uint32_t sf_policy_type_bit(enum sf_type type)
{
    return 1U << (type == SF_TYPE_DECIMAL_WIDE ? SF_TYPE_DECIMAL : type);
}

bool sf_policy_is_about(const struct sf_policy *p, const struct sf_policy_target *t)
{
    const struct sf_policy_match *m = &p->match;

    return (p->product == NULL || strcmp(p->product, t->name) == 0) &&
           (m->domains.count == 0 || sf_policy_names_have(&m->domains, t->product->domain)) &&
           (m->products.count == 0 || sf_policy_names_have(&m->products, t->name) ||
            sf_policy_names_have(&m->products, t->product->name)) &&
           (m->statuses == 0 || (m->statuses & 1U << t->product->status) != 0);
}

bool sf_policy_is_about_field(const struct sf_policy *p, const struct sf_policy_target *t,
                              const struct sf_field *f)
{
    const struct sf_policy_match *m = &p->match;

    return (m->fields.count == 0 || sf_policy_names_have(&m->fields, f->name)) &&
           (m->classes == 0 || (m->classes & sf_policy_class_bits(f)) != 0) &&
           (m->types == 0 || (m->types & sf_policy_type_bit(f->type)) != 0) &&
           (m->tags.count == 0 || have_one(&m->tags, t->product->tags, t->product->tag_count) ||
            have_one(&m->tags, f->tags, f->tag_count));
}

bool sf_policy_is_about_table(const struct sf_policy *p, const struct sf_policy_target *t)
{
    for (size_t i = 0; i < t->table->field_count; i++) {
        if (sf_policy_is_about_field(p, t, &t->table->fields[i])) {
            return true;
        }
    }
    return false;
}

bool sf_policy_names_field(const struct sf_policy *p, const struct sf_field *f)
{
    return sf_policy_names_have(&p->match.fields, f->name) ||
           (p->match.classes & class_bit(sf_field_class(f))) != 0;
}

bool sf_policy_excepts(const struct sf_policy *p, const struct sf_policy_subject *s)
{
    for (size_t i = 0; i < p->except_count; i++) {
        const struct sf_policy_except *e = &p->excepts[i];

        if ((e->domains.count == 0 || sf_policy_names_have(&e->domains, s->domain)) &&
            (e->roles.count == 0 || s->every_role ||
             have_one(&e->roles, s->roles, s->role_count)) &&
            (e->purposes.count == 0 ||
             (s->purpose != NULL && sf_policy_names_have(&e->purposes, s->purpose)))) {
            return true;
        }
    }
    return false;
}

bool sf_policy_parts(const struct sf_policy *p)
{
    for (size_t i = 0; i < p->except_count; i++) {
        if (p->excepts[i].roles.count == 0) {
            return true;
        }
    }
    return false;
}
