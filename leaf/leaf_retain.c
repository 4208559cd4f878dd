/* What this leaf promises to keep: the products' retention, for leaf/store/retain.h. */
#include <string.h>

#include "leaf/ingest/idem.h"
#include "leaf/leaf_private.h"

/* The contract in force of a lane's product; NULL: it is not served now, and nothing is dropped. */
static const struct sf_product *contract_of(const struct leaf *leaf, const struct store_lane *lane)
{
    const struct store_lane_name *name = store_lane_name(lane);
    const char *slash = strchr(name->product, '/');
    const struct served_product *p =
        slash == NULL ? NULL : product_set_find(&leaf->serving.products, slash + 1, name->major);

    return p == NULL ? NULL : p->contract;
}

static struct retain_rule rule_of(void *data, const struct store_lane *lane)
{
    struct leaf *leaf = data;
    const struct sf_product *p = contract_of(leaf, lane);
    struct retain_rule rule = {.quarantine_us = leaf->config->quarantine_keep_us};

    if (p == NULL) {
        return (struct retain_rule){.gone = leaf_purge_wants(leaf, lane)};
    }
    rule.keep_us = p->slo_retention_us;
    if (rule.keep_us > 0 && (rule.quarantine_us == 0 || rule.keep_us < rule.quarantine_us)) {
        rule.quarantine_us = rule.keep_us;
    }
    return rule;
}

static void on_purged(void *data)
{
    leaf_purge_round(data);
}

static uint64_t taken_of(void *data, const struct store_lane *lane)
{
    const struct leaf *leaf = data;

    return leaf->publisher == NULL ? 0 : publisher_taken(leaf->publisher, lane);
}

void leaf_retain_changed(struct leaf *leaf)
{
    if (leaf->retainer != NULL) {
        retainer_wake(leaf->retainer);
    }
}

enum sf_code leaf_retain_start(struct leaf *leaf, struct sf_error *err)
{
    const struct retainer_options options = {
        .rt = leaf->rt,
        .store = leaf->store,
        .metrics = &leaf->metrics,
        .rule = rule_of,
        .taken = taken_of,
        .purged = on_purged,
        .data = leaf,
        .every_ns = leaf->config->retain_every_ns,
        .idem_us = IDEM_KEEP_US,
    };

    enum sf_code code = leaf_purge_new(leaf, err);

    return code == SF_OK ? retainer_new(&options, &leaf->retainer, err) : code;
}
