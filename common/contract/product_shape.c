/* Keys of the product file that this release does not act on: strict all the same, so that a file
 * that passes today means the same when they take effect. */
#include "common/contract/product_field.h"

#include "common/base/str.h"
#include "proto/errors.h"

static void warn(struct sf_product_reader *r, const struct sf_yaml_node *node)
{
    sf_issues_warning(r->issues, node->key_place, "%s has no effect in this release", node->key);
}

static void check_choice(struct sf_product_reader *r, const struct sf_yaml_node *node,
                         struct sf_allowed allowed)
{
    size_t choice = 0;

    if (node != NULL) {
        /* Only the shape matters; what is wrong is among the issues. */
        (void)!sf_yaml_choice(r->issues, node, &allowed, "format", &choice);
    }
}

static void check_every(struct sf_product_reader *r, const struct sf_yaml_node *node)
{
    int64_t us = 0;

    if (node != NULL && (node->kind != SF_YAML_SCALAR ||
                         sf_parse_duration(node->text, &us) != SF_PARSE_OK || us == 0)) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "every must be a span of time: 15m, 1h, 1d");
    }
}

static void check_port(struct sf_product_reader *r, const struct sf_yaml_node *port)
{
    static const char *const stream_keys[] = {"format"};
    static const char *const stream_formats[] = {"json", "protobuf"};
    static const char *const file_keys[] = {"format", "every"};
    static const char *const file_formats[] = {"parquet", "csv", "ndjson"};
    const struct sf_yaml_node *format;

    if (!sf_yaml_expect(r->issues, port, SF_YAML_MAP, "a port")) {
        return;
    }
    format = sf_yaml_get(port, "format");
    if (strcmp(port->key, "stream") == 0) {
        sf_yaml_check_keys(r->issues, port, stream_keys, SF_COUNT(stream_keys));
        check_choice(r, format, (struct sf_allowed){stream_formats, 2, {0}});
    } else if (strcmp(port->key, "files") == 0) {
        sf_yaml_check_keys(r->issues, port, file_keys, SF_COUNT(file_keys));
        check_choice(r, format, (struct sf_allowed){file_formats, 3, {0}});
        check_every(r, sf_yaml_get(port, "every"));
    } else {
        sf_yaml_check_keys(r->issues, port, NULL, 0);
    }
}

static void check_ports(struct sf_product_reader *r, const struct sf_yaml_node *node)
{
    static const char *const keys[] = {"stream", "http", "files"};

    if (sf_yaml_expect(r->issues, node, SF_YAML_MAP, "ports")) {
        sf_yaml_check_keys(r->issues, node, keys, SF_COUNT(keys));
        for (const struct sf_yaml_node *n = node->first; n != NULL; n = n->next) {
            check_port(r, n);
        }
    }
}

static void check_inputs(struct sf_product_reader *r, const struct sf_yaml_node *node)
{
    if (!sf_yaml_expect(r->issues, node, SF_YAML_LIST, "inputs")) {
        return;
    }
    for (const struct sf_yaml_node *n = node->first; n != NULL; n = n->next) {
        struct sf_slice rest = n->text;

        if (n->kind != SF_YAML_SCALAR || !sf_product_take_name(&rest) || rest.size > 0) {
            sf_issues_error(r->issues, n->place, SHEAF_E_BAD_REFERENCE,
                            "an input is DOMAIN/PRODUCT or DOMAIN/PRODUCT@MAJOR");
        }
    }
}

static void check_transform(struct sf_product_reader *r, const struct sf_yaml_node *node)
{
    static const char *const keys[] = {"sql"};
    const char *text = NULL;

    if (sf_yaml_expect(r->issues, node, SF_YAML_MAP, "transform")) {
        sf_yaml_check_keys(r->issues, node, keys, SF_COUNT(keys));
        for (const struct sf_yaml_node *n = node->first; n != NULL; n = n->next) {
            sf_product_read_text(r, n, n->key, &text);
        }
    }
}

static void check_resources(struct sf_product_reader *r, const struct sf_yaml_node *node)
{
    static const char *const keys[] = {"memory", "disk"};
    uint64_t bytes = 0;

    if (!sf_yaml_expect(r->issues, node, SF_YAML_MAP, "resources")) {
        return;
    }
    sf_yaml_check_keys(r->issues, node, keys, SF_COUNT(keys));
    for (const struct sf_yaml_node *n = node->first; n != NULL; n = n->next) {
        if (n->kind != SF_YAML_SCALAR || sf_parse_size(n->text, &bytes) != SF_PARSE_OK) {
            sf_issues_error(r->issues, n->place, SHEAF_E_BAD_VALUE,
                            "%s must be a number of bytes: 256MiB, 10GiB", n->key);
        }
    }
}

void sf_product_check_shapes(struct sf_product_reader *r, const struct sf_yaml_node *root)
{
    static const struct {
        const char *key;
        void (*check)(struct sf_product_reader *r, const struct sf_yaml_node *node);
    } parts[] = {
        {"ports", check_ports},
        {"inputs", check_inputs},
        {"transform", check_transform},
        {"resources", check_resources},
    };

    for (size_t i = 0; i < SF_COUNT(parts); i++) {
        const struct sf_yaml_node *n = sf_yaml_get(root, parts[i].key);

        if (n != NULL) {
            warn(r, n);
            parts[i].check(r, n);
        }
    }
}
