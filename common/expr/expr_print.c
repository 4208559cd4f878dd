/* Tree to text: as few parentheses as the grammar of expr_tree.c needs. */
#include "common/base/decimal.h"
#include "common/base/str.h"
#include "common/expr/expr_private.h"

/* How strong a node binds: the powers of expr_tree.c. */
static unsigned power_of(const struct sf_node *n)
{
    switch (n->op) {
    case SF_NODE_OR:
        return 1;
    case SF_NODE_AND:
        return 2;
    case SF_NODE_NOT:
        return 3;
    case SF_NODE_COMPARE:
    case SF_NODE_IN:
    case SF_NODE_BETWEEN:
    case SF_NODE_LIKE:
    case SF_NODE_IS_NULL:
        return 4;
    case SF_NODE_ADD:
    case SF_NODE_SUBTRACT:
        return 5;
    case SF_NODE_MULTIPLY:
    case SF_NODE_DIVIDE:
    case SF_NODE_MODULO:
        return 6;
    case SF_NODE_NEGATE:
        return 7;
    case SF_NODE_LITERAL:
    case SF_NODE_FIELD:
    case SF_NODE_CALLER:
    case SF_NODE_CALL:
        break;
    }
    return 8;
}

static void print_node(const struct sf_expr *e, const struct sf_node *n, struct sf_buf *out);

static const struct sf_node *child(const struct sf_expr *e, const struct sf_node *n, unsigned which)
{
    const struct sf_node *at = &e->nodes[n->first];

    for (; which > 0; which--) {
        at = &e->nodes[at->next];
    }
    return at;
}

/* In parentheses when it binds weaker than @power. */
static void print_operand(const struct sf_expr *e, const struct sf_node *n, unsigned power,
                          struct sf_buf *out)
{
    bool parentheses = power_of(n) < power;

    if (parentheses) {
        sf_buf_byte(out, '(');
    }
    print_node(e, n, out);
    if (parentheses) {
        sf_buf_byte(out, ')');
    }
}

static void print_quoted(struct sf_slice text, uint8_t quote, struct sf_buf *out)
{
    sf_buf_byte(out, quote);
    for (size_t i = 0; i < text.size; i++) {
        sf_buf_byte(out, text.data[i]);
        if (text.data[i] == quote) {
            sf_buf_byte(out, quote);
        }
    }
    sf_buf_byte(out, quote);
}

static void print_double(double value, struct sf_buf *out)
{
    char text[SF_DOUBLE_TEXT_SIZE];
    size_t size = sf_format_double(value, text);

    sf_buf_append(out, text, size);
    if (memchr(text, 'e', size) == NULL) {
        sf_buf_text(out, "e0"); /* without an exponent it would be an integer or a decimal */
    }
}

static void print_literal(const struct sf_node *n, struct sf_buf *out)
{
    char decimal[SF_DECIMAL_WIDE_TEXT_SIZE];
    uint8_t wide[SF_DECIMAL_WIDE_SIZE];

    if (n->text.data != NULL) {
        print_quoted(n->text, '\'', out);
    } else if (n->type.kind == SF_KIND_NULL) {
        sf_buf_text(out, "NULL");
    } else if (n->type.kind == SF_KIND_BOOL) {
        sf_buf_text(out, n->value.i != 0 ? "TRUE" : "FALSE");
    } else if (n->type.kind == SF_KIND_INT) {
        sf_buf_printf(out, "%lld", (long long)n->value.i);
    } else if (n->type.kind == SF_KIND_DOUBLE) {
        print_double(n->value.d, out);
    } else {
        sf_decimal_wide_put(n->value.wide, wide);
        sf_buf_append(out, decimal, sf_decimal_wide_format(wide, n->type.scale, decimal));
    }
}

static bool is_plain_name(const char *name)
{
    for (const char *c = name; *c != '\0'; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_';

        if (!letter && (c == name || *c < '0' || *c > '9')) {
            return false;
        }
    }
    return *name != '\0' && !sf_expr_is_keyword(sf_slice_text(name));
}

static void print_field(const char *name, struct sf_buf *out)
{
    if (is_plain_name(name)) {
        sf_buf_text(out, name);
    } else {
        print_quoted(sf_slice_text(name), '"', out);
    }
}

static void print_path(const struct sf_slot *s, struct sf_buf *out)
{
    print_field(s->name, out);
    for (size_t i = 1; i < s->step_count; i++) {
        if (s->steps[i].name == NULL) {
            sf_buf_printf(out, "[%u]", s->steps[i].number);
        } else {
            sf_buf_byte(out, '.');
            print_field(s->steps[i].name, out);
        }
    }
}

/* The children from @first on, with commas. */
static void print_list(const struct sf_expr *e, uint16_t first, struct sf_buf *out)
{
    sf_buf_byte(out, '(');
    for (uint16_t i = first; i != 0; i = e->nodes[i].next) {
        if (i != first) {
            sf_buf_text(out, ", ");
        }
        print_node(e, &e->nodes[i], out);
    }
    sf_buf_byte(out, ')');
}

static void print_infix(const struct sf_expr *e, const struct sf_node *n, const char *sign,
                        struct sf_buf *out)
{
    unsigned power = power_of(n);

    /* Comparisons do not chain; the others gather from the left. */
    print_operand(e, child(e, n, 0), power == 4 ? 5 : power, out);
    sf_buf_printf(out, " %s ", sign);
    print_operand(e, child(e, n, 1), power + 1, out);
}

static const char *compare_sign(unsigned bits)
{
    static const char *const signs[] = {
        [SF_COMPARE_LESS] = "<",
        [SF_COMPARE_EQUAL] = "=",
        [SF_COMPARE_MORE] = ">",
        [SF_COMPARE_LESS | SF_COMPARE_EQUAL] = "<=",
        [SF_COMPARE_MORE | SF_COMPARE_EQUAL] = ">=",
        [SF_COMPARE_LESS | SF_COMPARE_MORE] = "<>",
    };

    return signs[bits];
}

/* IN, BETWEEN, LIKE, IS NULL. */
static void print_predicate(const struct sf_expr *e, const struct sf_node *n, struct sf_buf *out)
{
    const struct sf_node *left = child(e, n, 0);

    print_operand(e, left, 5, out);
    if (n->op == SF_NODE_IS_NULL) {
        sf_buf_text(out, n->negated ? " IS NOT NULL" : " IS NULL");
        return;
    }
    sf_buf_text(out, n->negated ? " NOT" : "");
    if (n->op == SF_NODE_IN) {
        sf_buf_text(out, " IN ");
        print_list(e, left->next, out);
    } else if (n->op == SF_NODE_BETWEEN) {
        sf_buf_text(out, " BETWEEN ");
        print_operand(e, child(e, n, 1), 5, out);
        sf_buf_text(out, " AND ");
        print_operand(e, child(e, n, 2), 5, out);
    } else {
        sf_buf_text(out, " LIKE ");
        print_node(e, child(e, n, 1), out);
        if (child(e, n, 1)->next != 0) {
            sf_buf_text(out, " ESCAPE ");
            print_node(e, child(e, n, 2), out);
        }
    }
}

static bool is_signed(const struct sf_node *n)
{
    return n->op == SF_NODE_NEGATE ||
           (n->op == SF_NODE_LITERAL && n->text.data == NULL &&
            (n->type.kind == SF_KIND_INT || n->type.kind == SF_KIND_DECIMAL ||
             n->type.kind == SF_KIND_DOUBLE));
}

static void print_negate(const struct sf_expr *e, const struct sf_node *n, struct sf_buf *out)
{
    const struct sf_node *operand = child(e, n, 0);

    sf_buf_byte(out, '-');
    /* -(5) is not -5, which is one number. */
    print_operand(e, operand, is_signed(operand) ? 9 : 8, out);
}

static void print_node(const struct sf_expr *e, const struct sf_node *n, struct sf_buf *out)
{
    static const char *const signs[] = {
        [SF_NODE_AND] = "AND",    [SF_NODE_OR] = "OR",      [SF_NODE_ADD] = "+",
        [SF_NODE_SUBTRACT] = "-", [SF_NODE_MULTIPLY] = "*", [SF_NODE_DIVIDE] = "/",
        [SF_NODE_MODULO] = "%",
    };

    switch (n->op) {
    case SF_NODE_LITERAL:
        print_literal(n, out);
        break;
    case SF_NODE_FIELD:
        print_path(&e->slots[n->slot], out);
        break;
    case SF_NODE_CALLER:
        sf_buf_printf(out, "caller.%s", sf_expr_caller_names[n->which]);
        break;
    case SF_NODE_NOT:
        sf_buf_text(out, "NOT ");
        print_operand(e, child(e, n, 0), 3, out);
        break;
    case SF_NODE_COMPARE:
        print_infix(e, n, compare_sign(n->which), out);
        break;
    case SF_NODE_AND:
    case SF_NODE_OR:
    case SF_NODE_ADD:
    case SF_NODE_SUBTRACT:
    case SF_NODE_MULTIPLY:
    case SF_NODE_DIVIDE:
    case SF_NODE_MODULO:
        print_infix(e, n, signs[n->op], out);
        break;
    case SF_NODE_IN:
    case SF_NODE_BETWEEN:
    case SF_NODE_LIKE:
    case SF_NODE_IS_NULL:
        print_predicate(e, n, out);
        break;
    case SF_NODE_NEGATE:
        print_negate(e, n, out);
        break;
    case SF_NODE_CALL:
        sf_buf_text(out, sf_expr_functions[n->which].name);
        print_list(e, n->first, out);
        break;
    }
}

void sf_expr_print(const struct sf_expr *e, struct sf_buf *out)
{
    print_node(e, &e->nodes[e->root], out);
}
