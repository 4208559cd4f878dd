/* Where a version stands in its life, and what its successors may change. */
#include "common/base/str.h"
#include "common/base/time.h"
#include "common/contract/product_field.h"
#include "proto/errors.h"

static void read_compatibility(struct sf_product_reader *r, const struct sf_yaml_node *node,
                               struct sf_product *p)
{
    const char *names[SF_COMPAT_MODES];
    struct sf_allowed allowed = {names, SF_COMPAT_MODES, {0}};
    size_t choice = SF_COMPAT_FULL_TRANSITIVE;

    for (size_t i = 0; i < SF_COMPAT_MODES; i++) {
        names[i] = sf_compat_mode_name((enum sf_compat_mode)i);
    }
    if (node == NULL || sf_yaml_choice(r->issues, node, &allowed, "compatibility", &choice)) {
        p->compatibility = (enum sf_compat_mode)choice;
    }
}

static bool read_day(struct sf_product_reader *r, const struct sf_yaml_node *node, const char *name,
                     int32_t *ret_days)
{
    if (node == NULL) {
        return false;
    }
    if (node->kind != SF_YAML_SCALAR || sf_date_parse(node->text, ret_days) != SF_PARSE_OK) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "%s must be a day, such as 2027-03-01", name);
        return false;
    }
    return true;
}

static void read_successor(struct sf_product_reader *r, const struct sf_yaml_node *node,
                           struct sf_product *p)
{
    struct sf_slice rest;

    if (node == NULL) {
        return;
    }
    rest = node->text;
    if (node->kind != SF_YAML_SCALAR || !sf_product_take_name(&rest) || rest.size > 0) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_REFERENCE,
                        "successor must be DOMAIN/PRODUCT or DOMAIN/PRODUCT@MAJOR");
        return;
    }
    sf_product_read_text(r, node, "successor", &p->successor);
}

static void read_deprecated(struct sf_product_reader *r, const struct sf_yaml_node *node,
                            struct sf_product *p)
{
    static const char *const keys[] = {"since", "sunset", "successor", "note"};
    const struct sf_yaml_node *note;

    if (node == NULL || !sf_yaml_expect(r->issues, node, SF_YAML_MAP, "deprecated")) {
        return;
    }
    sf_yaml_check_keys(r->issues, node, keys, SF_COUNT(keys));
    if (p->status != SF_STATUS_DEPRECATED && p->status != SF_STATUS_RETIRED) {
        sf_issues_error(r->issues, node->key_place, SHEAF_E_BAD_VALUE,
                        "deprecated goes with status deprecated or retired, not %s",
                        sf_status_name(p->status));
    }
    p->has_since = read_day(r, sf_yaml_get(node, "since"), "since", &p->since_days);
    p->has_sunset = read_day(r, sf_yaml_get(node, "sunset"), "sunset", &p->sunset_days);
    read_successor(r, sf_yaml_get(node, "successor"), p);
    note = sf_yaml_get(node, "note");
    if (note != NULL) {
        sf_product_read_text(r, note, "note", &p->deprecation_note);
    }
}

void sf_product_read_life(struct sf_product_reader *r, const struct sf_yaml_node *root,
                          struct sf_product *p)
{
    static const char *const names[] = {"draft", "active", "deprecated", "retired"};
    const struct sf_allowed allowed = {names, SF_COUNT(names), {0}};
    const struct sf_yaml_node *status = sf_yaml_get(root, "status");
    size_t choice = SF_STATUS_ACTIVE;

    if (status == NULL || sf_yaml_choice(r->issues, status, &allowed, "status", &choice)) {
        p->status = (enum sf_status)choice;
    }
    read_compatibility(r, sf_yaml_get(root, "compatibility"), p);
    read_deprecated(r, sf_yaml_get(root, "deprecated"), p);
}
