/* What a product lacks of what policies require, and filters and masks that cannot be applied to
 * it. */
#include <stdarg.h>
#include <stdio.h>

#include "common/base/str.h"
#include "common/base/utf8.h"
#include "common/contract/lint.h"
#include "common/contract/pattern.h"
#include "common/policy/policy_private.h"

struct checker {
    const struct sf_product *product;
    const struct sf_policy *policy;
    struct sf_policy_target target; /* of the table at hand */
    struct sf_arena *arena;
    struct sf_policy_breach *items;
    size_t count;
    size_t capacity;
    bool failed;
};

SF_PRINTF(2, 3)
static void found(struct checker *c, const char *fmt, ...)
{
    char text[400];
    struct sf_policy_breach *b;
    va_list args;

    if (c->count == c->capacity) {
        size_t capacity = 2 * c->capacity + 16;
        struct sf_policy_breach *items = sf_arena_calloc(c->arena, capacity, sizeof(*items));

        if (items == NULL) {
            c->failed = true;
            return;
        }
        if (c->count > 0) {
            memcpy(items, c->items, c->count * sizeof(*items));
        }
        c->items = items;
        c->capacity = capacity;
    }
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    b = &c->items[c->count++];
    b->refuses = c->policy->does == SF_POLICY_REQUIRES && !c->policy->warns;
    b->cause = (struct sf_policy_cause){.by = SF_POLICY_BY_RULE,
                                        .origin = c->policy->origin,
                                        .policy = sf_arena_strdup(c->arena, c->policy->name),
                                        .file = sf_arena_strdup(c->arena, c->policy->file),
                                        .line = c->policy->line};
    b->text = sf_arena_strdup(c->arena, text);
    c->failed |= b->cause.policy == NULL || b->cause.file == NULL || b->text == NULL;
}

static size_t length_of(const char *text)
{
    return text == NULL ? 0 : sf_utf8_count(sf_slice_text(text));
}

/* --- the product ------------------------------------------------------------------------------ */

static void check_retention(struct checker *c)
{
    const struct sf_policy_demands *d = &c->policy->demands;
    const int64_t kept_us = c->product->slo_retention_us; /* 0: for ever */
    char text[SF_DURATION_TEXT_SIZE];

    if (d->retention_max_us != 0 && (kept_us == 0 || kept_us > d->retention_max_us)) {
        (void)sf_format_duration(d->retention_max_us, text);
        found(c, "slo.retention has to be at most %s", text);
    }
    if (d->retention_min_us != 0 && kept_us != 0 && kept_us < d->retention_min_us) {
        (void)sf_format_duration(d->retention_min_us, text);
        found(c, "slo.retention has to be at least %s", text);
    }
}

static void check_whole(struct checker *c)
{
    const struct sf_policy_demands *d = &c->policy->demands;
    const struct sf_product *p = c->product;

    if (d->owner && p->owner == NULL) {
        found(c, "the product has no owner");
    }
    if (d->support && p->support_email == NULL) {
        found(c, "the product has no support");
    }
    if (d->tags && p->tag_count == 0) {
        found(c, "the product has no tags");
    }
    if (length_of(p->description) < d->description) {
        found(c, "the description has %zu characters of at least %u", length_of(p->description),
              d->description);
    }
    if (d->product_name != NULL && !sf_pattern_matches(d->product_name, sf_slice_text(p->name))) {
        found(c, "the product's name does not match %s", d->product_name_text);
    }
    check_retention(c);
}

/* --- fields ----------------------------------------------------------------------------------- */

/* "orders.amount", or "orders.lines.sku" inside. */
static void check_field(struct checker *c, const char *path, const struct sf_field *f)
{
    const struct sf_policy_demands *d = &c->policy->demands;
    char type[24];
    /* A struct has the classes of its fields. */
    const bool bare = f->class == SF_CLASS_NONE && sf_field_shape(f) == NULL;

    if (d->fields_have_class && bare) {
        found(c, "field %s has no class", path);
    } else if (d->pii_fields_have_class && bare && sf_name_suggests_pii(sf_slice_text(f->name))) {
        found(c, "field %s has no class, and its name suggests personal data", path);
    }
    if (length_of(f->description) < d->field_descriptions) {
        found(c, "the description of field %s has %zu characters of at least %u", path,
              length_of(f->description), d->field_descriptions);
    }
    if (d->field_name != NULL && !sf_pattern_matches(d->field_name, sf_slice_text(f->name))) {
        found(c, "field %s: its name does not match %s", path, d->field_name_text);
    }
    if (d->types != 0 && (d->types & sf_policy_type_bit(sf_field_item(f)->type)) == 0) {
        sf_field_type_text(f, type, sizeof(type));
        found(c, "field %s: type %s is not allowed", path, type);
    }
}

static void check_fields(struct checker *c, const char *prefix, const struct sf_table *t,
                         bool inside)
{
    for (size_t i = 0; i < t->field_count; i++) {
        const struct sf_field *f = &t->fields[i];
        char path[SF_STRUCT_DEPTH_MAX * 64 + 128];

        if (!inside && !sf_policy_is_about_field(c->policy, &c->target, f)) {
            continue;
        }
        (void)snprintf(path, sizeof(path), "%s.%s", prefix, f->name);
        check_field(c, path, f);
        if (sf_field_shape(f) != NULL) {
            check_fields(c, path, sf_field_shape(f), true);
        }
    }
}

static void check_filter(struct checker *c)
{
    SF_CLEANUP(sf_issues_done) struct sf_issues issues = {0};
    SF_CLEANUP(sf_expr_freep) struct sf_expr *expr = NULL;
    struct sf_error why = {0};
    enum sf_code code;

    sf_issues_init(&issues, c->policy->file, c->policy->filter);
    code = sf_expr_parse(&issues, c->target.table, &expr, &why);
    if (code == SF_INVALID) {
        found(c, "table %s is denied to other domains, as the filter cannot be applied: %s",
              c->target.table->name, issues.first->text);
    }
    c->failed |= code == SF_NOMEM;
}

/* Fields that the mask is not for. */
static void check_mask(struct checker *c)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf mask = {0};
    char why[SF_MASK_WHY_SIZE];

    sf_mask_print(&c->policy->mask, &mask);
    if (sf_buf_cstr(&mask) == NULL) {
        c->failed = true;
        return;
    }
    for (size_t i = 0; i < c->target.table->field_count; i++) {
        const struct sf_field *f = &c->target.table->fields[i];

        if (sf_policy_is_about_field(c->policy, &c->target, f) &&
            !sf_mask_fits(&c->policy->mask, f, why)) {
            found(c, "field %s.%s is omitted for other domains: %s %s", c->target.table->name,
                  f->name, sf_buf_cstr(&mask), why);
        }
    }
}

/* --- all -------------------------------------------------------------------------------------- */

/* A rule is met once; what it asks of fields, in each table it is about. */
static void check_rule(struct checker *c, bool first)
{
    if (c->policy->does == SF_POLICY_FILTERS) {
        check_filter(c);
    }
    if (c->policy->does == SF_POLICY_MASKS) {
        check_mask(c);
    }
    if (c->policy->does != SF_POLICY_REQUIRES) {
        return;
    }
    if (first) {
        check_whole(c);
    }
    check_fields(c, c->target.table->name, c->target.table, false);
}

static enum sf_code check_table(struct checker *c, const struct sf_policy_set *policies,
                                size_t table, int64_t now_us, struct sf_error *err)
{
    const struct sf_policy_set *const sets[2] = {policies, NULL};
    struct sf_policy_rules rules;
    enum sf_code code;

    sf_policy_target_init(&c->target, c->product, &c->product->tables[table]);
    code = sf_policy_find(sets, &c->target, c->arena, &rules, err);
    for (size_t i = 0; code == SF_OK && i < rules.count; i++) {
        struct sf_policy_target before = c->target;
        bool first = true;

        c->policy = rules.items[i];
        if (c->policy->expires_us <= now_us || !sf_policy_is_about_table(c->policy, &c->target)) {
            continue;
        }
        for (size_t t = 0; t < table; t++) {
            before.table = &c->product->tables[t];
            first &= !sf_policy_is_about_table(c->policy, &before);
        }
        check_rule(c, first);
    }
    return code;
}

enum sf_code sf_policy_check_product(const struct sf_policy_set *policies,
                                     const struct sf_product *p, int64_t now_us,
                                     struct sf_arena *arena, struct sf_policy_breach **ret,
                                     size_t *ret_count, struct sf_error *err)
{
    struct checker c = {.product = p, .arena = arena};
    enum sf_code code = SF_OK;

    *ret = NULL;
    *ret_count = 0;
    for (size_t i = 0; policies != NULL && i < p->table_count && code == SF_OK; i++) {
        code = check_table(&c, policies, i, now_us, err);
    }
    if (code == SF_OK && c.failed) {
        code = SF_RAISE(err, SF_NOMEM, "policies of %s/%s", p->domain, p->name);
    }
    if (code == SF_OK) {
        *ret = c.items;
        *ret_count = c.count;
    }
    return code;
}
