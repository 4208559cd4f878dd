/* /v1/domains */
#include "hub/api/call.h"
#include "proto/errors.h"

/* Whether it is up is for all; what it is, for its domain and the platform. */
static void write_leaf(struct answer *a, const struct lease *l, bool all)
{
    const char *state = l == NULL || !l->seen ? "never" : lease_is_up(l) ? "up" : "down";

    sf_json_key(&a->json, "leaf");
    sf_json_object_begin(&a->json);
    sf_json_member_text(&a->json, "state", state);
    if (all && l != NULL && l->seen) {
        uint64_t age_ns = sf_rt_now_ns(l->all->rt) - l->seen_ns;

        sf_json_member_int(&a->json, "seen_age_us", (int64_t)(age_ns / 1000));
        sf_json_member_text(&a->json, "version", l->leaf_version);
        sf_json_member_text(&a->json, "nats_server", l->nats_version);
    }
    sf_json_object_end(&a->json);
}

static void write_members(struct answer *a, const struct call *c, const struct registry_domain *d)
{
    sf_json_member_text(&a->json, "name", d->name);
    answer_base64(a, "domain_key", sf_slice_of(d->domain_key.bytes, SF_PUBLIC_KEY_SIZE));
    answer_base64(a, "leaf_key", sf_slice_of(d->leaf_key.bytes, SF_PUBLIC_KEY_SIZE));
    sf_json_key(&a->json, "accounts");
    sf_json_object_begin(&a->json);
    sf_json_member_text(&a->json, "serve", d->serve_account);
    sf_json_member_text(&a->json, "domain", d->account);
    sf_json_object_end(&a->json);
    answer_time(a, "joined", d->joined_us);
    sf_json_member_uint(&a->json, "products", d->product_count);
    write_leaf(a, lease_find(&c->state->leases, d->name), call_reads_all_of(c, d->name));
}

void domain_list(struct call *c, const char *const *part)
{
    struct sf_map_entry *entry;
    struct answer a;
    size_t at = 0;

    (void)part;
    answer_begin(&a, "DomainList");
    sf_json_key(&a.json, "items");
    sf_json_array_begin(&a.json);
    while ((entry = sf_map_next(&c->state->registry.domains, &at)) != NULL) {
        sf_json_object_begin(&a.json);
        sf_json_member_text(&a.json, "kind", "Domain");
        write_members(&a, c, entry->value);
        sf_json_object_end(&a.json);
    }
    sf_json_array_end(&a.json);
    answer_send(&a, c, 200);
}

void domain_get(struct call *c, const char *const *part)
{
    const struct registry_domain *d = registry_domain(&c->state->registry, part[0]);
    struct sf_error err;
    struct answer a;

    if (d == NULL) {
        (void)SF_RAISE_E(&err, SF_ABSENT, SHEAF_E_NO_SUCH_PATH,
                         "no domain '%.64s' has joined the mesh", part[0]);
        call_fail(c, &err);
        return;
    }
    answer_begin(&a, "Domain");
    write_members(&a, c, d);
    answer_send(&a, c, 200);
}
