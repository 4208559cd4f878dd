/* GET /v1/explain: what a domain sees of a product, and the rule that made each decision. */
#include <string.h>

#include "hub/api/call.h"
#include "hub/api/product_ref.h"
#include "hub/api/product_shown.h"
#include "hub/api/seen.h"
#include "proto/errors.h"

struct question {
    const char *who;
    const char *role; /* or NULL */
    const struct registry_product *product;
    const struct registry_version *version;
    const struct registry_grant *grant; /* or NULL */
    enum sf_policy_reader_is reader;
    struct seen_by by;
};

static enum sf_code find_product(struct call *c, struct question *q, struct sf_error *err)
{
    const char *name = sf_http_query(c->r, "product");
    struct product_ref ref;

    if (name == NULL) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'product' is missing");
    }
    if (product_ref_parse(name, /* with_domain= */ true, &ref)) {
        q->product = registry_product(&c->state->registry, ref.domain, ref.product);
        q->version = q->product == NULL ? NULL : registry_version(q->product, ref.major);
    }
    if (q->version == NULL || !product_is_shown(c, q->product, q->version)) {
        return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_PRODUCT_UNKNOWN, "there is no product %.130s",
                          name);
    }
    return SF_OK;
}

/* Members ask about themselves, owners about their products, the platform about all. */
static enum sf_code check_asker(const struct call *c, const struct question *q,
                                struct sf_error *err)
{
    if (call_reads_all_of(c, q->who) || call_reads_all_of(c, q->product->owner->name)) {
        return SF_OK;
    }
    return SF_RAISE_E(err, SF_DENIED, SHEAF_E_WRONG_ACTOR,
                      "what %.60s sees of %s/%s is not yours to ask", q->who,
                      q->product->owner->name, q->product->name);
}

static enum sf_code read_question(struct call *c, struct question *q, struct sf_error *err)
{
    const char *purpose = sf_http_query(c->r, "purpose");
    enum sf_code code;

    q->who = sf_http_query(c->r, "who");
    q->role = sf_http_query(c->r, "role");
    if (q->who == NULL || !sf_name_is_product(sf_slice_text(q->who))) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'who' must be a domain");
    }
    code = find_product(c, q, err);
    if (code == SF_OK) {
        code = check_asker(c, q, err);
    }
    if (code == SF_OK) {
        q->grant = seen_grant(c->state, q->product, q->version, q->who);
        q->by = seen_by(q->who, q->grant);
        q->by.who.roles = &q->role;
        q->by.who.role_count = q->role != NULL;
        q->by.who.purpose = purpose == NULL ? q->by.who.purpose : purpose;
        q->reader = call_reads_all_of(c, q->product->owner->name) ? SF_POLICY_FOR_OWNER
                                                                  : SF_POLICY_FOR_OTHERS;
    }
    return code;
}

/* --- the answer ------------------------------------------------------------------------------- */

static enum sf_code write_tables(struct answer *a, struct hub_state *s, const struct question *q,
                                 struct sf_error *err)
{
    const struct sf_product *p = q->version->product;
    enum sf_code code = SF_OK;

    sf_json_key(&a->json, "tables");
    sf_json_array_begin(&a->json);
    for (size_t i = 0; i < p->table_count && code == SF_OK; i++) {
        SF_CLEANUP(sf_policy_view_freep) struct sf_policy_view *v = NULL;

        code = seen_table(s, q->version, &p->tables[i], &q->by, &v, err);
        if (code == SF_OK) {
            sf_json_object_begin(&a->json);
            sf_json_member_text(&a->json, "table", p->tables[i].name);
            sf_policy_view_write(v, &p->tables[i], q->reader, &a->json);
            sf_json_object_end(&a->json);
        }
    }
    sf_json_array_end(&a->json);
    return code;
}

void explain_get(struct call *c, const char *const *part)
{
    struct question q = {0};
    struct sf_error err;
    struct answer a;

    (void)part;
    if (read_question(c, &q, &err) != SF_OK) {
        call_fail(c, &err);
        return;
    }
    answer_begin(&a, "Explanation");
    sf_json_member_text(&a.json, "who", q.who);
    sf_json_member_text(&a.json, "role", q.role);
    sf_json_member_text(&a.json, "purpose", q.by.who.purpose);
    sf_json_key(&a.json, "product");
    sf_json_printf(&a.json, "%s/%s@%u", q.product->owner->name, q.product->name,
                   q.version->product->version.major);
    sf_json_member_bool(&a.json, "owner", strcmp(q.who, q.product->owner->name) == 0);
    sf_json_member_text(&a.json, "grant", q.grant == NULL ? NULL : q.grant->id);
    sf_json_member_uint(&a.json, "policy_version", c->state->registry.policies.version);
    if (write_tables(&a, c->state, &q, &err) != SF_OK) {
        sf_buf_done(&a.body);
        call_fail(c, &err);
        return;
    }
    answer_send(&a, c, 200);
}
