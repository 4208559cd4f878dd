/* /v1/products: the catalog. */
#include <string.h>

#include "common/base/time.h"
#include "hub/api/call.h"
#include "hub/api/product_ref.h"
#include "hub/api/product_shown.h"
#include "proto/errors.h"

/* The caller's own active grant on @p, or NULL. */
static const struct registry_grant *grant_of(const struct call *c, const struct registry_product *p,
                                             uint32_t major)
{
    const struct registry_access access = {
        .consumer = c->token.issuer,
        .owner = p->owner->name,
        .product = p->name,
        .major = major,
    };

    return c->is_platform ? NULL : registry_active(&c->state->registry, &access);
}

static bool owns(const struct call *c, const struct registry_product *p)
{
    return !c->is_platform && strcmp(c->token.issuer, p->owner->name) == 0;
}

static void write_life(struct answer *a, const struct registry_product *p,
                       const struct sf_product *contract)
{
    const struct registry_removal *removal = registry_removal(p, contract->version.major);
    char day[SF_DATE_TEXT_SIZE] = "";

    sf_json_member_text(&a->json, "status",
                        removal != NULL ? "removed" : sf_status_name(contract->status));
    if (contract->has_since) {
        (void)sf_date_format(contract->since_days, day);
        sf_json_member_text(&a->json, "deprecated_since", day);
    }
    if (contract->has_sunset) {
        (void)sf_date_format(contract->sunset_days, day);
        sf_json_member_text(&a->json, "sunset", day);
    }
    if (contract->successor != NULL) {
        sf_json_member_text(&a->json, "successor", contract->successor);
    }
    if (contract->deprecation_note != NULL) {
        sf_json_member_text(&a->json, "deprecation_note", contract->deprecation_note);
    }
    if (removal != NULL) {
        answer_time(a, "removed", removal->removed_us);
        answer_time(a, "purge", removal->purge_us);
        sf_json_member_text(&a->json, "removed_by", removal->removed_by);
        sf_json_member_text(&a->json, "reason", removal->reason);
    }
}

static void write_summary(struct answer *a, const struct call *c, const struct registry_product *p,
                          const struct sf_product *contract)
{
    const struct registry_grant *grant = grant_of(c, p, contract->version.major);

    sf_json_key(&a->json, "product");
    sf_json_printf(&a->json, "%s/%s", p->owner->name, p->name);
    sf_json_member_text(&a->json, "domain", p->owner->name);
    sf_json_member_text(&a->json, "name", p->name);
    sf_json_key(&a->json, "version");
    sf_json_printf(&a->json, "%u.%u.%u", contract->version.major, contract->version.minor,
                   contract->version.patch);
    sf_json_member_uint(&a->json, "major", contract->version.major);
    write_life(a, p, contract);
    sf_json_member_text(&a->json, "owner", contract->owner);
    sf_json_member_text(&a->json, "description", contract->description);
    answer_texts(a, "tags", contract->tags, contract->tag_count);
    sf_json_member_text(&a->json, "access", sf_access_name(contract->access));
    sf_json_member_bool(&a->json, "granted", grant != NULL || owns(c, p));
    if (grant != NULL) {
        sf_json_member_text(&a->json, "grant", grant->id);
    }
}

/* One item for each major: they stand side by side. */
static void write_majors(struct answer *a, const struct call *c, const struct registry_product *p,
                         bool with_removed)
{
    for (size_t i = 0; i < p->version_count; i++) {
        const uint32_t major = p->versions[i].product->version.major;
        const struct registry_version *v = registry_version(p, major);

        if (v == NULL && with_removed) {
            v = registry_highest(p, major);
        }
        if (v != &p->versions[i] || !product_is_shown(c, p, v)) {
            continue; /* another version speaks for the major, or none */
        }
        sf_json_object_begin(&a->json);
        sf_json_member_text(&a->json, "kind", "Product");
        write_summary(a, c, p, v->product);
        sf_json_object_end(&a->json);
    }
}

void product_list(struct call *c, const char *const *part)
{
    struct sf_map_entry *entry;
    struct answer a;
    size_t at = 0;
    const char *all = sf_http_query(c->r, "all");
    const bool with_removed = all != NULL && strcmp(all, "1") == 0;

    (void)part;
    answer_begin(&a, "ProductList");
    sf_json_key(&a.json, "items");
    sf_json_array_begin(&a.json);
    while ((entry = sf_map_next(&c->state->registry.products, &at)) != NULL) {
        write_majors(&a, c, entry->value, with_removed);
    }
    sf_json_array_end(&a.json);
    answer_send(&a, c, 200);
}

static void write_versions(struct answer *a, const struct call *c, const struct registry_product *p)
{
    sf_json_key(&a->json, "versions");
    sf_json_array_begin(&a->json);
    for (size_t i = 0; i < p->version_count; i++) {
        const struct registry_version *v = &p->versions[i];

        if (!product_is_shown(c, p, v)) {
            continue;
        }
        sf_json_object_begin(&a->json);
        sf_json_key(&a->json, "version");
        sf_json_printf(&a->json, "%u.%u.%u", v->product->version.major, v->product->version.minor,
                       v->product->version.patch);
        sf_json_member_text(&a->json, "status",
                            registry_removal(p, v->product->version.major) != NULL
                                ? "removed"
                                : sf_status_name(v->product->status));
        sf_json_member_text(&a->json, "compatibility",
                            sf_compat_mode_name(v->product->compatibility));
        answer_time(a, "applied", v->applied_us);
        sf_json_member_text(&a->json, "applied_by", v->applied_by);
        sf_json_object_end(&a->json);
    }
    sf_json_array_end(&a->json);
}

static enum sf_code write_product(struct answer *a, struct call *c,
                                  const struct registry_product *p,
                                  const struct registry_version *v, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf contract = {0};
    enum sf_code code = product_shown_print(c, p, v, &contract, err);

    if (code != SF_OK) {
        return code;
    }
    write_summary(a, c, p, v->product);
    if (contract.size > 0) {
        sf_json_member_slice(&a->json, "contract", sf_buf_view(&contract));
    } else {
        sf_json_member_text(&a->json, "contract", NULL);
    }
    code = product_shown_write(c, p, v, a, err);
    write_versions(a, c, p);
    return code;
}

static void send_product(struct call *c, const struct registry_product *p,
                         const struct registry_version *v)
{
    struct sf_error err;
    struct answer a;

    answer_begin(&a, "Product");
    if (write_product(&a, c, p, v, &err) != SF_OK) {
        sf_buf_done(&a.body);
        call_fail(c, &err);
        return;
    }
    answer_send(&a, c, 200);
}

void product_get(struct call *c, const char *const *part)
{
    const struct registry_product *p = NULL;
    const struct registry_version *v = NULL;
    struct product_ref ref;
    struct sf_error err;

    if (product_ref_parse(part[1], /* with_domain= */ false, &ref)) {
        p = registry_product(&c->state->registry, part[0], ref.product);
        v = p == NULL ? NULL : registry_version(p, ref.major);
        if (p != NULL && v == NULL) {
            v = registry_highest(p, ref.major); /* removed: for those who may bring it back */
        }
        v = v != NULL && product_is_shown(c, p, v) ? v : NULL;
    }
    if (v == NULL) {
        (void)SF_RAISE_E(&err, SF_ABSENT, SHEAF_E_PRODUCT_UNKNOWN,
                         "there is no product %.64s/%.64s", part[0], part[1]);
        call_fail(c, &err);
        return;
    }
    send_product(c, p, v);
}
