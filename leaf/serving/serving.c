#include "leaf/serving/serving.h"

#include <string.h>

#include "common/base/alloc.h"
#include "proto/errors.h"

int64_t serving_now_us(const struct serving *s)
{
    const int64_t wall_us = sf_rt_wall_us(s->rt);
    const int64_t known_us = s->known_us + (int64_t)((sf_rt_now_ns(s->rt) - s->known_ns) / 1000);

    return s->known_us != 0 && known_us > wall_us ? known_us : wall_us;
}

void serving_know_time(struct serving *s, int64_t us)
{
    s->known_us = us;
    s->known_ns = sf_rt_now_ns(s->rt);
}

void serving_take_grants(struct serving *s, struct grant_set *grants)
{
    grant_set_unref(s->grants);
    s->grants = grants;
    serving_know_time(s, grants->issued_us);
}

enum sf_code serving_decide(const struct serving *s, const struct serving_caller *caller,
                            const char *product, uint32_t major, struct serving_right *ret,
                            struct sf_error *err)
{
    const struct served_product *p = product_set_find(&s->products, product, major);
    const struct grant *grant = NULL;
    const int64_t now_us = serving_now_us(s);

    if (p == NULL) {
        return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_PRODUCT_UNKNOWN, "product %s/%s", s->domain,
                          product);
    }
    if (caller->account != NULL) {
        if (s->grants == NULL || s->grants->expires_us <= now_us) {
            return SF_RAISE_E(err, SF_UNAVAILABLE, SHEAF_E_BUNDLE_EXPIRED,
                              "domain %s has no grants in force", s->domain);
        }
        grant =
            grant_set_find(s->grants, caller->account, product, p->contract->version.major, now_us);
        if (grant == NULL) {
            return SF_RAISE_E(err, SF_DENIED, SHEAF_E_DENIED, "product %s/%s@%u", s->domain,
                              product, p->contract->version.major);
        }
    }
    *ret = (struct serving_right){.product = p, .grant = grant};
    return SF_OK;
}

bool serving_still_granted(const struct serving *s, const char *grant_id)
{
    const int64_t now_us = serving_now_us(s);

    if (s->grants == NULL || s->grants->expires_us <= now_us) {
        return false;
    }
    for (size_t i = 0; i < s->grants->grant_count; i++) {
        const struct grant *g = &s->grants->grants[i];

        if (strcmp(g->id, grant_id) == 0) {
            return g->until_us > now_us;
        }
    }
    return false;
}

bool serving_sees(const struct grant *grant, const struct sf_field *field)
{
    if (grant == NULL) {
        return true;
    }
    for (size_t i = 0; i < grant->column_count; i++) {
        if (strcmp(grant->columns[i], field->name) == 0) {
            return sf_class_is_open(sf_field_class(field));
        }
    }
    return grant->column_count == 0 && sf_class_is_open(sf_field_class(field));
}

enum sf_code serving_view(const struct served_table *table, const struct grant *grant,
                          const struct sf_slice *select, size_t select_count, struct row_view **ret,
                          struct sf_error *err)
{
    const struct sf_table *t = table->contract;
    SF_CLEANUP(sf_freep) struct sf_slice *names = NULL;
    struct row_view_options options = {.only_open = grant != NULL};
    size_t wanted = select_count == 0 ? t->field_count : select_count;

    for (size_t i = 0; i < select_count; i++) {
        if (sf_table_field_index(t, select[i]) < 0) {
            return SF_RAISE_E(
                err, SF_INVALID, SHEAF_E_FIELD_UNKNOWN, "table '%s' has no field '%.*s'", t->name,
                (int)(select[i].size > 64 ? 64 : select[i].size), (const char *)select[i].data);
        }
    }
    names = sf_calloc(wanted, sizeof(*names));
    if (names == NULL) {
        return SF_RAISE(err, SF_NOMEM, "view");
    }
    for (size_t i = 0; i < wanted; i++) {
        int32_t at = select_count == 0 ? (int32_t)i : sf_table_field_index(t, select[i]);

        if (serving_sees(grant, &t->fields[at])) {
            names[options.name_count++] = sf_slice_text(t->fields[at].name);
        }
    }
    options.names = names; /* Not NULL, so that no names means no fields. */
    return row_view_build(t, &options, ret, err);
}
