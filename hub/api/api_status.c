/* /v1/status: what is up, and how old what is known about it is. Others than its owner and the
 * platform learn of a leaf whether it is up, and of a table whether it is as fresh as promised. */
#include "hub/api/product_shown.h"
#include "hub/api/seen.h"

static const char *state_of(const struct lease *l)
{
    return !l->seen ? "never" : lease_is_up(l) ? "up" : "down";
}

static int64_t age_us(const struct lease *l)
{
    return (int64_t)((sf_rt_now_ns(l->all->rt) - l->seen_ns) / 1000);
}

/* What the leaf holds against a hub that was put back. */
static void write_seen(struct answer *a, const struct lease *l)
{
    sf_json_member_uint(&a->json, "policy_version", l->policy_version);
    sf_json_member_uint(&a->json, "held_back_count", l->held_total);
    sf_json_key(&a->json, "held_back");
    sf_json_array_begin(&a->json);
    for (size_t i = 0; i < l->held_count; i++) {
        sf_json_printf(&a->json, "G-%lu", (unsigned long)l->held[i]);
    }
    sf_json_array_end(&a->json);
}

static void write_leaf(struct answer *a, const struct call *c, const struct lease *l)
{
    sf_json_object_begin(&a->json);
    sf_json_member_text(&a->json, "domain", l->domain->name);
    sf_json_member_text(&a->json, "state", state_of(l));
    if (l->seen && call_reads_all_of(c, l->domain->name)) {
        sf_json_member_int(&a->json, "seen_age_us", age_us(l));
        sf_json_member_text(&a->json, "version", l->leaf_version);
        sf_json_member_text(&a->json, "nats_server", l->nats_version);
        sf_json_member_uint(&a->json, "bundle", l->version);
        sf_json_member_uint(&a->json, "bundle_in_force", l->in_force);
        write_seen(a, l);
    }
    sf_json_object_end(&a->json);
}

static void write_work(struct answer *a, const struct lease_head *h)
{
    sf_json_key(&a->json, "position");
    sf_json_printf(&a->json, "%u:%lu", h->epoch, (unsigned long)h->seq);
    sf_json_member_uint(&a->json, "rows", h->rows);
    sf_json_member_uint(&a->json, "quarantined", h->quarantined);
    sf_json_member_uint(&a->json, "checks_failing", h->checks_failing);
}

static void write_freshness(struct answer *a, const struct lease *l, const struct lease_head *h,
                            bool all_rows)
{
    int64_t now_us = sf_rt_wall_us(l->all->rt);

    sf_json_member_bool(&a->json, "stale", h->stale);
    if (all_rows && h->commit_us > 0 && h->commit_us <= now_us) {
        sf_json_member_int(&a->json, "commit_age_us", now_us - h->commit_us);
    }
}

static void write_head(struct answer *a, const struct call *c, const struct lease *l,
                       const struct lease_head *h)
{
    const char *owner = l->domain->name;
    const struct registry_product *p = registry_product(&c->state->registry, owner, h->product);
    const struct registry_version *v = p == NULL ? NULL : registry_version(p, h->major);
    const bool all = call_reads_all_of(c, owner);

    if (!all && (v == NULL || !product_is_shown(c, p, v))) {
        return;
    }
    sf_json_object_begin(&a->json);
    sf_json_key(&a->json, "product");
    sf_json_printf(&a->json, "%s/%s", owner, h->product);
    sf_json_member_uint(&a->json, "major", h->major);
    sf_json_member_text(&a->json, "table", h->table);
    sf_json_member_uint(&a->json, "partition", h->partition);
    if (all) {
        write_work(a, h);
    }
    if (all || v->product->slo_freshness_us > 0) {
        write_freshness(a, l, h, all || seen_all_rows(c, p, v, h->table));
    }
    sf_json_member_text(&a->json, "leaf", state_of(l));
    sf_json_object_end(&a->json);
}

static void write_leaves(struct answer *a, const struct call *c, const struct leases *leases)
{
    struct sf_map_entry *entry;
    size_t at = 0;

    sf_json_key(&a->json, "leaves");
    sf_json_array_begin(&a->json);
    while ((entry = sf_map_next(&leases->by_domain, &at)) != NULL) {
        write_leaf(a, c, entry->value);
    }
    sf_json_array_end(&a->json);
    sf_json_key(&a->json, "products");
    sf_json_array_begin(&a->json);
    at = 0;
    while ((entry = sf_map_next(&leases->by_domain, &at)) != NULL) {
        const struct lease *l = entry->value;

        for (size_t i = 0; i < l->head_count; i++) {
            write_head(a, c, l, &l->heads[i]);
        }
    }
    sf_json_array_end(&a->json);
}

void status_get(struct call *c, const char *const *part)
{
    const struct hub_state *s = c->state;
    bool connected = sf_bus_connected(s->mesh_bus);
    struct answer a;

    (void)part;
    answer_begin(&a, "Status");
    sf_json_member_text(&a.json, "mesh", s->registry.mesh);
    sf_json_member_text(&a.json, "version", SHEAF_VERSION);
    sf_json_member_uint(&a.json, "events", s->registry.events);
    sf_json_member_uint(&a.json, "policy_version", s->registry.policies.version);
    sf_json_member_uint(&a.json, "claims_pending", pusher_pending(s->pusher));
    sf_json_key(&a.json, "nats");
    sf_json_object_begin(&a.json);
    sf_json_member_text(&a.json, "server", s->nats_version);
    sf_json_member_text(&a.json, "state", connected ? "up" : "down");
    sf_json_object_end(&a.json);
    write_leaves(&a, c, &s->leases);
    answer_send(&a, c, 200);
}
