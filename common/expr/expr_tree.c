/*
 * Text to tree: operators bind by their power, strongest last:
 *
 *     OR   AND   NOT   = <> < <= > >= IN BETWEEN LIKE IS   + -   * / %   - (sign)
 *
 * The row in the middle does not chain: a = b = c needs parentheses, because people and databases
 * read it differently.
 */
#include "common/base/utf8.h"
#include "common/expr/expr_parse.h"
#include "proto/errors.h"

/* A node over @left, which begins it. */
static uint16_t over(struct sf_expr_parser *p, enum sf_node_op op, uint16_t left)
{
    return sf_expr_add_child(p, sf_expr_new_node(p, op, sf_expr_node(p, left)->from), left);
}

/* --- operators -------------------------------------------------------------------------------- */

static uint16_t parse_minus(struct sf_expr_parser *p)
{
    size_t from = p->token.from;
    uint16_t operand;
    uint16_t index;

    sf_expr_advance(p);
    if (p->token.kind == SF_TOKEN_NUMBER) {
        return sf_expr_parse_number(p, from);
    }
    operand = sf_expr_parse_part(p, SF_POWER_SIGN);
    index = sf_expr_new_node(p, SF_NODE_NEGATE, from);
    return sf_expr_add_child(p, index, operand);
}

static uint16_t parse_not(struct sf_expr_parser *p, unsigned power)
{
    size_t from = p->token.from;
    uint16_t operand;

    if (power > SF_POWER_NOT) {
        return sf_expr_fail_at(p, p->token, "put parentheses around this NOT");
    }
    sf_expr_advance(p);
    operand = sf_expr_parse_part(p, SF_POWER_NOT);
    return sf_expr_add_child(p, operand == 0 ? 0 : sf_expr_new_node(p, SF_NODE_NOT, from), operand);
}

static uint16_t parse_parentheses(struct sf_expr_parser *p)
{
    size_t from = p->token.from;
    uint16_t inner;

    sf_expr_advance(p);
    inner = sf_expr_parse_part(p, SF_POWER_OR);
    if (inner != 0 && !sf_expr_take_sign(p, ")")) {
        return sf_expr_expected(p, "')'");
    }
    sf_expr_node(p, inner)->from = (uint16_t)from;
    sf_expr_node(p, inner)->to = (uint16_t)p->end;
    return inner;
}

/* What may begin a value, of whatever nests. */
static uint16_t parse_prefix(struct sf_expr_parser *p, unsigned power)
{
    struct sf_token t = p->token;
    uint16_t index;

    if (p->depth == SF_EXPR_DEPTH_MAX) {
        return sf_expr_fail_at(p, t, "the expression is nested deeper than 32");
    }
    p->depth++;
    if (sf_expr_at_sign(p, "(")) {
        index = parse_parentheses(p);
    } else if (sf_expr_at_sign(p, "-")) {
        index = parse_minus(p);
    } else if (sf_expr_at_word(p, "not")) {
        index = parse_not(p, power);
    } else if (t.kind == SF_TOKEN_NUMBER) {
        index = sf_expr_parse_number(p, t.from);
    } else if (t.kind == SF_TOKEN_STRING) {
        index = sf_expr_parse_string(p);
    } else if (t.kind == SF_TOKEN_QUOTED) {
        index = sf_expr_parse_field(p);
    } else if (t.kind == SF_TOKEN_NAME) {
        index = sf_expr_parse_word(p);
    } else {
        index = sf_expr_expected(p, "a value");
    }
    p->depth--;
    return index;
}

static uint16_t parse_in(struct sf_expr_parser *p, uint16_t left)
{
    uint16_t index = over(p, SF_NODE_IN, left);

    if (index == 0) {
        return 0;
    }
    if (!sf_expr_take_sign(p, "(")) {
        return sf_expr_expected(p, "'(' behind IN");
    }
    do {
        if (sf_expr_add_child(p, index, sf_expr_parse_part(p, SF_POWER_OR)) == 0) {
            return 0;
        }
    } while (sf_expr_take_sign(p, ","));
    if (!sf_expr_take_sign(p, ")")) {
        return sf_expr_expected(p, "',' or ')'");
    }
    sf_expr_node(p, index)->to = (uint16_t)p->end;
    return index;
}

static uint16_t parse_between(struct sf_expr_parser *p, uint16_t left)
{
    uint16_t index = over(p, SF_NODE_BETWEEN, left);

    if (sf_expr_add_child(p, index, sf_expr_parse_part(p, SF_POWER_SUM)) == 0) {
        return 0;
    }
    if (!sf_expr_take_word(p, "and")) {
        return sf_expr_expected(p, "AND of BETWEEN");
    }
    return sf_expr_add_child(p, index, sf_expr_parse_part(p, SF_POWER_SUM));
}

static uint16_t parse_like(struct sf_expr_parser *p, uint16_t left)
{
    uint16_t index = over(p, SF_NODE_LIKE, left);
    struct sf_token t;
    uint16_t escape;

    if (p->token.kind != SF_TOKEN_STRING) {
        return sf_expr_expected(p, "a pattern in quotes");
    }
    index = sf_expr_add_child(p, index, sf_expr_parse_string(p));
    if (index == 0 || !sf_expr_take_word(p, "escape")) {
        return index;
    }
    t = p->token;
    if (t.kind != SF_TOKEN_STRING) {
        return sf_expr_expected(p, "a character in quotes");
    }
    escape = sf_expr_parse_string(p);
    if (escape != 0 && sf_expr_node(p, escape)->text.size != 1) {
        return sf_expr_fail_at(p, t, "ESCAPE takes one ASCII character");
    }
    return sf_expr_add_child(p, index, escape);
}

static uint16_t parse_is(struct sf_expr_parser *p, uint16_t left)
{
    bool negated = sf_expr_take_word(p, "not");
    uint16_t index;

    if (!sf_expr_take_word(p, "null")) {
        return sf_expr_expected(p, "NULL or NOT NULL");
    }
    index = over(p, SF_NODE_IS_NULL, left);
    sf_expr_node(p, index)->negated = negated;
    if (left != 0) {
        sf_expr_read_as_length(p, left);
    }
    return index;
}

/* The bits of a comparison sign; 0: none. */
static uint8_t compare_of(const struct sf_expr_parser *p)
{
    static const struct {
        const char *sign;
        uint8_t bits;
    } signs[] = {
        {"=", SF_COMPARE_EQUAL},
        {"<>", SF_COMPARE_LESS | SF_COMPARE_MORE},
        {"!=", SF_COMPARE_LESS | SF_COMPARE_MORE},
        {"<", SF_COMPARE_LESS},
        {"<=", SF_COMPARE_LESS | SF_COMPARE_EQUAL},
        {">", SF_COMPARE_MORE},
        {">=", SF_COMPARE_MORE | SF_COMPARE_EQUAL},
    };

    for (size_t i = 0; i < SF_COUNT(signs); i++) {
        if (sf_expr_at_sign(p, signs[i].sign)) {
            return signs[i].bits;
        }
    }
    return 0;
}

static bool at_predicate(const struct sf_expr_parser *p)
{
    return compare_of(p) != 0 || sf_expr_at_word(p, "in") || sf_expr_at_word(p, "between") ||
           sf_expr_at_word(p, "like") || sf_expr_at_word(p, "is") || sf_expr_at_word(p, "not");
}

static uint16_t parse_predicate(struct sf_expr_parser *p, uint16_t left)
{
    uint8_t bits = compare_of(p);
    bool negated = false;
    uint16_t index;

    if (bits != 0) {
        sf_expr_advance(p);
        index = over(p, SF_NODE_COMPARE, left);
        sf_expr_node(p, index)->which = bits;
        return sf_expr_add_child(p, index, sf_expr_parse_part(p, SF_POWER_SUM));
    }
    if (sf_expr_take_word(p, "is")) {
        return parse_is(p, left);
    }
    negated = sf_expr_take_word(p, "not");
    if (sf_expr_take_word(p, "in")) {
        index = parse_in(p, left);
    } else if (sf_expr_take_word(p, "between")) {
        index = parse_between(p, left);
    } else if (sf_expr_take_word(p, "like")) {
        index = parse_like(p, left);
    } else {
        return sf_expr_expected(p, "IN, BETWEEN or LIKE behind NOT");
    }
    sf_expr_node(p, index)->negated = negated;
    return index;
}

/* How strong the operator at the token binds; 0: there is none. */
static unsigned infix_power(const struct sf_expr_parser *p, enum sf_node_op *ret_op)
{
    static const struct {
        const char *sign;
        enum sf_node_op op;
        unsigned power;
    } signs[] = {
        {"+", SF_NODE_ADD, SF_POWER_SUM},       {"-", SF_NODE_SUBTRACT, SF_POWER_SUM},
        {"*", SF_NODE_MULTIPLY, SF_POWER_TERM}, {"/", SF_NODE_DIVIDE, SF_POWER_TERM},
        {"%", SF_NODE_MODULO, SF_POWER_TERM},
    };

    for (size_t i = 0; i < SF_COUNT(signs); i++) {
        if (sf_expr_at_sign(p, signs[i].sign)) {
            *ret_op = signs[i].op;
            return signs[i].power;
        }
    }
    *ret_op = sf_expr_at_word(p, "or") ? SF_NODE_OR : SF_NODE_AND;
    if (sf_expr_at_word(p, "or") || sf_expr_at_word(p, "and")) {
        return *ret_op == SF_NODE_OR ? SF_POWER_OR : SF_POWER_AND;
    }
    return at_predicate(p) ? SF_POWER_PREDICATE : 0;
}

uint16_t sf_expr_parse_part(struct sf_expr_parser *p, unsigned power)
{
    uint16_t left = parse_prefix(p, power);
    enum sf_node_op op = SF_NODE_AND;
    unsigned next;

    while (left != 0 && (next = infix_power(p, &op)) >= power && next != 0) {
        if (next == SF_POWER_PREDICATE) {
            left = parse_predicate(p, left);
            if (left != 0 && at_predicate(p)) {
                return sf_expr_fail_at(p, p->token,
                                       "comparisons do not chain: put parentheses around one");
            }
        } else {
            sf_expr_advance(p);
            left = over(p, op, left);
            left = sf_expr_add_child(p, left, left == 0 ? 0 : sf_expr_parse_part(p, next + 1));
        }
    }
    return left;
}

/* --- the whole -------------------------------------------------------------------------------- */

bool sf_expr_build_tree(struct sf_expr_build *b)
{
    struct sf_slice text = b->issues->source;
    struct sf_expr_parser p = {.b = b};
    struct sf_token whole = {.kind = SF_TOKEN_NAME};

    b->node_count = 1;
    if (text.size > SF_EXPR_TEXT_MAX) {
        return sf_expr_fail_at(&p, whole, "the expression is longer than 4096 bytes") != 0;
    }
    if (!sf_utf8_is_valid(text) || (text.size > 0 && memchr(text.data, 0, text.size) != NULL)) {
        sf_issues_error(b->issues, (struct sf_place){0}, SHEAF_E_EXPR_SYNTAX,
                        "the expression is not UTF-8 text");
        return false;
    }
    p.token = sf_expr_next_token(b->issues, 0);
    b->expr->root = sf_expr_parse_part(&p, SF_POWER_OR);
    if (b->expr->root == 0) {
        return false;
    }
    if (p.token.kind != SF_TOKEN_END) {
        return sf_expr_expected(&p, "an operator or the end") != 0;
    }
    return sf_expr_settle_slots(b, p.slots);
}
