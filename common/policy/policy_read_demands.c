/* What a policy requires: the map of require. */
#include <stdio.h>

#include "common/base/str.h"
#include "common/contract/pattern.h"
#include "common/policy/policy_private.h"
#include "proto/errors.h"

static void read_present(struct sf_policy_reader *r, const struct sf_yaml_node *n, bool *ret)
{
    static const char *const words[] = {"present"};
    const struct sf_allowed allowed = {words, 1, {0}};
    size_t choice;

    *ret = sf_yaml_choice(r->issues, n, &allowed, n->key, &choice);
}

/* present, or min_length(n) */
static void read_length(struct sf_policy_reader *r, const struct sf_yaml_node *n, uint32_t *ret)
{
    const struct sf_slice head = SF_LITERAL("min_length(");
    uint64_t length = 0;
    struct sf_slice digits;

    if (!sf_yaml_expect(r->issues, n, SF_YAML_SCALAR, n->key)) {
        return;
    }
    if (sf_slice_equal(n->text, SF_LITERAL("present"))) {
        *ret = 1;
        return;
    }
    if (sf_slice_starts_with(n->text, head) && n->text.data[n->text.size - 1] == ')') {
        digits = sf_slice_of(n->text.data + head.size, n->text.size - head.size - 1);
        if (sf_parse_u64(digits, &length) == SF_PARSE_OK && length >= 1 && length <= 10000) {
            *ret = (uint32_t)length;
            return;
        }
    }
    sf_issues_error(r->issues, n->place, SHEAF_E_BAD_VALUE,
                    "%s is present or min_length(n), n from 1 to 10000", n->key);
}

static void read_true(struct sf_policy_reader *r, const struct sf_yaml_node *n, bool *ret)
{
    if (sf_yaml_bool(r->issues, n, n->key, ret) && !*ret) {
        sf_issues_error(r->issues, n->place, SHEAF_E_BAD_VALUE, "%s is true, or left out", n->key);
    }
}

static void read_pattern(struct sf_policy_reader *r, const struct sf_yaml_node *n,
                         const char **ret_text, struct sf_pattern **ret)
{
    struct sf_error err;
    enum sf_code code;

    if (*ret != NULL || !sf_policy_read_text(r, n, n->key, ret_text)) {
        return;
    }
    code = sf_pattern_new(sf_slice_text(*ret_text), ret, &err);
    if (code == SF_INVALID) {
        sf_issues_error(r->issues, n->place, SHEAF_E_BAD_VALUE, "%s", err.text);
    }
    r->failed |= code == SF_NOMEM;
}

static void read_span(struct sf_policy_reader *r, const struct sf_yaml_node *n, int64_t *ret)
{
    if (n != NULL && (n->kind != SF_YAML_SCALAR || sf_parse_duration(n->text, ret) != SF_PARSE_OK ||
                      *ret == 0)) {
        sf_issues_error(r->issues, n->place, SHEAF_E_BAD_VALUE,
                        "%s must be a span of time: 30d, 12h", n->key);
    }
}

static void read_retention(struct sf_policy_reader *r, const struct sf_yaml_node *n,
                           struct sf_policy_demands *ret)
{
    static const char *const keys[] = {"min", "max"};

    if (!sf_yaml_expect(r->issues, n, SF_YAML_MAP, "retention")) {
        return;
    }
    sf_yaml_check_keys(r->issues, n, keys, SF_COUNT(keys));
    read_span(r, sf_yaml_get(n, "min"), &ret->retention_min_us);
    read_span(r, sf_yaml_get(n, "max"), &ret->retention_max_us);
    if (ret->retention_min_us == 0 && ret->retention_max_us == 0) {
        sf_issues_error(r->issues, n->place, SHEAF_E_MISSING_KEY, "retention has min, max or both");
    } else if (ret->retention_max_us != 0 && ret->retention_min_us > ret->retention_max_us) {
        sf_issues_error(r->issues, n->place, SHEAF_E_BAD_VALUE, "min is more than max");
    }
}

static void read_demand(struct sf_policy_reader *r, const struct sf_yaml_node *n,
                        struct sf_policy_demands *d)
{
    const struct {
        const char *key;
        bool *present;
    } presents[] = {{"owner", &d->owner}, {"support", &d->support}, {"tags", &d->tags}};

    for (size_t i = 0; i < SF_COUNT(presents); i++) {
        if (strcmp(n->key, presents[i].key) == 0) {
            read_present(r, n, presents[i].present);
        }
    }
    if (strcmp(n->key, "description") == 0) {
        read_length(r, n, &d->description);
    } else if (strcmp(n->key, "field_descriptions") == 0) {
        read_length(r, n, &d->field_descriptions);
    } else if (strcmp(n->key, "fields_have_class") == 0) {
        read_true(r, n, &d->fields_have_class);
    } else if (strcmp(n->key, "pii_fields_have_class") == 0) {
        read_true(r, n, &d->pii_fields_have_class);
    } else if (strcmp(n->key, "product_name") == 0) {
        read_pattern(r, n, &d->product_name_text, &d->product_name);
    } else if (strcmp(n->key, "field_name") == 0) {
        read_pattern(r, n, &d->field_name_text, &d->field_name);
    } else if (strcmp(n->key, "types") == 0) {
        (void)!sf_policy_read_types(r, n, &d->types);
    } else if (strcmp(n->key, "retention") == 0) {
        read_retention(r, n, d);
    }
}

void sf_policy_read_demands(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                            struct sf_policy_demands *ret)
{
    if (!sf_yaml_expect(r->issues, node, SF_YAML_MAP, "require")) {
        return;
    }
    sf_policy_check_keys(r, node, "require");
    if (node->count == 0) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE, "require is empty");
    }
    for (const struct sf_yaml_node *n = node->first; n != NULL; n = n->next) {
        read_demand(r, n, ret);
    }
}

void sf_policy_free_patterns(struct sf_policy *p)
{
    sf_pattern_free(p->demands.product_name);
    sf_pattern_free(p->demands.field_name);
}
