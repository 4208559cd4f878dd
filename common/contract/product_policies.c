/* The key policies: each policy as one line of YAML, whatever it says. common/policy reads it. */
#include "common/contract/product_field.h"
#include "common/contract/product_print.h"
#include "proto/errors.h"

/* Text that is the same without quotes in a flow collection. */
static bool is_word(struct sf_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c != '\0' && i > 0 && strchr("_.:/-", c) != NULL))) {
            return false;
        }
    }
    return text.size > 0 && text.data[text.size - 1] != ':';
}

static void put_scalar(const struct sf_yaml_node *n, struct sf_buf *out)
{
    if (n->plain && (n->text.size == 0 || is_word(n->text))) {
        sf_buf_text(out, n->text.size == 0 ? "null" : (const char *)n->text.data);
    } else {
        sf_product_print_quoted(n->text, out);
    }
}

static void put_node(const struct sf_yaml_node *n, struct sf_buf *out)
{
    if (n->kind == SF_YAML_SCALAR) {
        put_scalar(n, out);
        return;
    }
    sf_buf_byte(out, n->kind == SF_YAML_MAP ? '{' : '[');
    for (const struct sf_yaml_node *c = n->first; c != NULL; c = c->next) {
        sf_buf_text(out, c == n->first ? "" : ", ");
        if (n->kind == SF_YAML_MAP && is_word(sf_slice_text(c->key))) {
            sf_buf_printf(out, "%s: ", c->key);
        } else if (n->kind == SF_YAML_MAP) {
            sf_product_print_quoted(sf_slice_text(c->key), out);
            sf_buf_text(out, ": ");
        }
        put_node(c, out);
    }
    sf_buf_byte(out, n->kind == SF_YAML_MAP ? '}' : ']');
}

/* The line on which it says what it does. */
static uint32_t line_of(const struct sf_yaml_node *n)
{
    static const char *const effects[] = {"mask", "filter", "deny"};

    for (size_t i = 0; i < SF_COUNT(effects); i++) {
        const struct sf_yaml_node *effect = sf_yaml_get(n, effects[i]);

        if (effect != NULL) {
            return effect->key_place.line;
        }
    }
    return n->place.line;
}

static void read_policy(struct sf_product_reader *r, const struct sf_yaml_node *n,
                        struct sf_product_policy *ret)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    const struct sf_yaml_node *name;

    ret->name = "";
    ret->text = "{}";
    if (n->kind == SF_YAML_SCALAR) {
        sf_issues_error(r->issues, n->place, SHEAF_E_BAD_VALUE,
                        "a policy stands here itself: {name: ..., match: ..., mask: ...}");
        return;
    }
    if (!sf_yaml_expect(r->issues, n, SF_YAML_MAP, "a policy")) {
        return;
    }
    name = sf_yaml_get(n, "name");
    if (name != NULL) {
        sf_product_read_text(r, name, "name", &ret->name);
    }
    put_node(n, &text);
    ret->text = sf_arena_strndup(r->arena, text.data, text.size);
    ret->line = line_of(n);
    r->failed |= text.failed != SF_OK || ret->text == NULL;
}

void sf_product_read_policies(struct sf_product_reader *r, const struct sf_yaml_node *node,
                              struct sf_product *p)
{
    struct sf_product_policy *policies;

    if (node == NULL || !sf_yaml_expect(r->issues, node, SF_YAML_LIST, "policies")) {
        return;
    }
    if (node->count > SF_POLICIES_MAX) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "a product has at most %d policies", SF_POLICIES_MAX);
        return;
    }
    policies = sf_arena_calloc(r->arena, node->count + 1, sizeof(*policies));
    if (policies == NULL) {
        r->failed = true;
        return;
    }
    p->policies = policies;
    for (const struct sf_yaml_node *n = node->first; n != NULL && !r->failed; n = n->next) {
        read_policy(r, n, &policies[p->policy_count++]);
    }
}
