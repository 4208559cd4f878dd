/*
 * Text to tree: operators bind by their power, strongest last:
 *
 *     OR   AND   NOT   = <> < <= > >= IN BETWEEN LIKE IS   + -   * / %   - (sign)
 *
 * The row in the middle does not chain: a = b = c needs parentheses, because people and databases
 * read it differently.
 */
#include "common/base/str.h"
#include "common/base/utf8.h"
#include "common/expr/expr_private.h"
#include "proto/errors.h"

enum { POWER_OR = 1, POWER_AND, POWER_NOT, POWER_PREDICATE, POWER_SUM, POWER_TERM, POWER_SIGN };

struct parser {
    struct sf_expr_build *b;
    struct sf_token token; /* the next one */
    size_t end;            /* of the token before */
    unsigned depth;
    struct sf_slot slots[SF_EXPR_NODES_MAX + 1]; /* of the nodes that are fields; they borrow */
};

static uint16_t parse(struct parser *p, unsigned power);

/* --- tokens ----------------------------------------------------------------------------------- */

static struct sf_slice text_of(const struct parser *p, struct sf_token t)
{
    return sf_slice_of(p->b->issues->source.data + t.from, t.to - t.from);
}

static void advance(struct parser *p)
{
    p->end = p->token.to;
    p->token = sf_expr_next_token(p->b->issues, p->token.to);
}

static bool is_word(const struct parser *p, const char *word)
{
    return p->token.kind == SF_TOKEN_NAME && sf_expr_same_word(text_of(p, p->token), word);
}

static bool is_sign(const struct parser *p, const char *sign)
{
    return p->token.kind == SF_TOKEN_SIGN &&
           sf_slice_equal(text_of(p, p->token), sf_slice_text(sign));
}

static bool take_word(struct parser *p, const char *word)
{
    if (!is_word(p, word)) {
        return false;
    }
    advance(p);
    return true;
}

static bool take_sign(struct parser *p, const char *sign)
{
    if (!is_sign(p, sign)) {
        return false;
    }
    advance(p);
    return true;
}

/* Each of these reports and returns 0, the node that is none. */

static uint16_t fail_at(struct parser *p, struct sf_token t, const char *what)
{
    if (t.kind != SF_TOKEN_WRONG) {
        sf_issues_error(p->b->issues, sf_expr_place(p->b->issues, t.from, t.to),
                        SHEAF_E_EXPR_SYNTAX, "%s", what);
    }
    return 0;
}

static uint16_t expected(struct parser *p, const char *what)
{
    struct sf_slice found = text_of(p, p->token);

    if (p->token.kind == SF_TOKEN_END) {
        sf_issues_error(p->b->issues, sf_expr_place(p->b->issues, p->token.from, p->token.to),
                        SHEAF_E_EXPR_SYNTAX, "expected %s, found the end", what);
    } else if (p->token.kind != SF_TOKEN_WRONG) {
        sf_issues_error(p->b->issues, sf_expr_place(p->b->issues, p->token.from, p->token.to),
                        SHEAF_E_EXPR_SYNTAX, "expected %s, found '%.*s'", what,
                        (int)(found.size > 40 ? 40 : found.size), (const char *)found.data);
    }
    return 0;
}

/* --- nodes ------------------------------------------------------------------------------------ */

static struct sf_node *node(struct parser *p, uint16_t index)
{
    return &p->b->nodes[index];
}

static uint16_t new_node(struct parser *p, enum sf_node_op op, size_t from)
{
    uint16_t index = p->b->node_count;

    if (index > SF_EXPR_NODES_MAX) {
        struct sf_token all = {.kind = SF_TOKEN_NAME, .from = from, .to = p->end};

        return fail_at(p, all, "the expression has more than 256 parts");
    }
    p->b->node_count++;
    *node(p, index) = (struct sf_node){.op = op, .from = (uint16_t)from, .to = (uint16_t)p->end};
    return index;
}

/* Appends a child; either may be 0, then nothing happens. Returns the parent, 0 with either. */
static uint16_t add_child(struct parser *p, uint16_t parent, uint16_t child)
{
    uint16_t *link;

    if (parent == 0 || child == 0) {
        return 0;
    }
    link = &node(p, parent)->first;
    while (*link != 0) {
        link = &node(p, *link)->next;
    }
    *link = child;
    node(p, parent)->to = (uint16_t)p->end;
    return parent;
}

/* A node over @left, which begins it. */
static uint16_t over(struct parser *p, enum sf_node_op op, uint16_t left)
{
    return add_child(p, new_node(p, op, node(p, left)->from), left);
}

/* --- literals and names ----------------------------------------------------------------------- */

/* @from: of the number, or of the minus before it. */
static uint16_t parse_number(struct parser *p, size_t from)
{
    char text[SF_EXPR_TEXT_MAX + 2] = "-";
    struct sf_token t = p->token;
    size_t size = t.to - t.from;
    size_t minus = from < t.from;
    struct sf_node n = {0};
    const char *wrong;
    uint16_t index;

    memcpy(text + minus, p->b->issues->source.data + t.from, size);
    wrong = sf_expr_read_number(sf_slice_of(text, size + minus), &n);
    if (wrong != NULL) {
        return fail_at(p, t, wrong);
    }
    advance(p);
    index = new_node(p, SF_NODE_LITERAL, from);
    if (index != 0) {
        node(p, index)->type = n.type;
        node(p, index)->value = n.value;
    }
    return index;
}

static uint16_t parse_string(struct parser *p)
{
    struct sf_slice text = sf_expr_unquote(p->b, p->token);
    size_t from = p->token.from;
    uint16_t index;

    advance(p);
    index = new_node(p, SF_NODE_LITERAL, from);
    if (index != 0) {
        node(p, index)->type.kind = SF_KIND_STRING;
        node(p, index)->value.s = text;
        node(p, index)->text = text;
    }
    return index;
}

/* TRUE, FALSE, NULL: the token is one of them. */
static uint16_t parse_word_literal(struct parser *p, enum sf_kind kind, bool value)
{
    size_t from = p->token.from;
    uint16_t index;

    advance(p);
    index = new_node(p, SF_NODE_LITERAL, from);
    if (index != 0) {
        node(p, index)->type.kind = kind;
        node(p, index)->value.null = kind == SF_KIND_NULL;
        node(p, index)->value.i = value;
    }
    return index;
}

/* What is not right about the step that begins at @from. */
static bool refuse_step(struct parser *p, size_t from, const struct sf_field *f, const char *what)
{
    sf_issues_error(p->b->issues, sf_expr_place(p->b->issues, from, p->end), SHEAF_E_EXPR_TYPE,
                    "%s, and '%s' is a %s", what, f->name, sf_type_name(f->type));
    return false;
}

/* Behind a '.': a member of the struct @f. */
static bool parse_member(struct parser *p, const struct sf_field **f, struct sf_path_step *ret)
{
    struct sf_token t = p->token;
    struct sf_slice name;
    int32_t field;

    if (t.kind != SF_TOKEN_NAME && t.kind != SF_TOKEN_QUOTED) {
        (void)expected(p, "the name of a field behind '.'");
        return false;
    }
    name = t.kind == SF_TOKEN_QUOTED ? sf_expr_unquote(p->b, t) : text_of(p, t);
    advance(p);
    if ((*f)->type != SF_TYPE_STRUCT) {
        return refuse_step(p, t.from, *f, "only a struct has fields");
    }
    field = sf_table_field_index((*f)->shape, name);
    if (field < 0) {
        sf_expr_report_field(p->b, (*f)->shape, "struct", t, name);
        return false;
    }
    *f = &(*f)->shape->fields[field];
    *ret = (struct sf_path_step){.name = (*f)->name, .number = (*f)->number};
    return true;
}

/* Behind a '[': an element of the list @f. */
static bool parse_element(struct parser *p, const struct sf_field **f, struct sf_path_step *ret)
{
    struct sf_token t = p->token;
    int64_t index = 0;

    if (t.kind != SF_TOKEN_NUMBER || sf_parse_i64(text_of(p, t), &index) != SF_PARSE_OK ||
        index < 1 || index > SF_LIST_ITEMS_MAX) {
        (void)expected(p, "the number of an element, 1 for the first");
        return false;
    }
    advance(p);
    if (!take_sign(p, "]")) {
        (void)expected(p, "']'");
        return false;
    }
    if ((*f)->type != SF_TYPE_LIST) {
        return refuse_step(p, t.from - 1, *f, "only a list has elements");
    }
    *f = (*f)->item;
    *ret = (struct sf_path_step){.number = (uint32_t)index};
    return true;
}

/* The steps behind the name of the field @f; the slot is of what they lead to. */
static bool parse_steps(struct parser *p, const struct sf_field *f, struct sf_slot *slot)
{
    struct sf_path_step steps[SF_EXPR_STEPS_MAX];
    size_t count = 1;
    bool member;

    steps[0] = (struct sf_path_step){.name = f->name, .number = f->number};
    for (;; count++) {
        /* As deep as contracts go: one list and one member for each struct. */
        steps[count - 1].type = f->type;
        steps[count - 1].item = sf_field_item(f)->type;
        member = take_sign(p, ".");
        if (!member && !take_sign(p, "[")) {
            break;
        }
        if (count == SF_EXPR_STEPS_MAX) {
            (void)fail_at(p, p->token, "too many steps");
            return false;
        }
        if (!(member ? parse_member(p, &f, &steps[count]) : parse_element(p, &f, &steps[count]))) {
            return false;
        }
    }
    sf_slot_set_type(slot, f);
    if (count > 1 || f->type == SF_TYPE_LIST) {
        struct sf_slice kept =
            sf_arena_slice(&p->b->expr->arena, sf_slice_of(steps, count * sizeof(steps[0])));

        p->b->nomem |= kept.data == NULL;
        slot->steps = (const void *)kept.data;
        slot->step_count = (uint8_t)count;
    }
    return !p->b->nomem;
}

/* Without a table any step may be right. */
static bool skip_steps(struct parser *p)
{
    for (;;) {
        if (take_sign(p, ".")) {
            if (p->token.kind != SF_TOKEN_NAME && p->token.kind != SF_TOKEN_QUOTED) {
                return expected(p, "the name of a field") != 0;
            }
            advance(p);
        } else if (take_sign(p, "[")) {
            if (p->token.kind != SF_TOKEN_NUMBER) {
                return expected(p, "a number") != 0;
            }
            advance(p);
            if (!take_sign(p, "]")) {
                return expected(p, "']'") != 0;
            }
        } else {
            return true;
        }
    }
}

static uint16_t parse_field(struct parser *p)
{
    struct sf_token t = p->token;
    struct sf_slice name = t.kind == SF_TOKEN_QUOTED ? sf_expr_unquote(p->b, t) : text_of(p, t);
    int32_t field = p->b->table == NULL ? -1 : sf_table_field_index(p->b->table, name);
    const struct sf_field *f;
    uint16_t index;

    advance(p);
    index = new_node(p, SF_NODE_FIELD, t.from);
    if (index == 0) {
        return 0;
    }
    if (p->b->table == NULL) {
        return skip_steps(p) ? index : 0;
    }
    if (field < 0) {
        sf_expr_report_field(p->b, p->b->table, "table", t, name);
        return index;
    }
    f = &p->b->table->fields[field];
    p->slots[index] = (struct sf_slot){.number = f->number, .name = f->name};
    if (!parse_steps(p, f, &p->slots[index])) {
        return 0;
    }
    node(p, index)->to = (uint16_t)p->end;
    node(p, index)->which = 1; /* found */
    return index;
}

static uint16_t parse_caller(struct parser *p)
{
    size_t from = p->token.from;
    struct sf_token t;
    uint16_t index;

    advance(p);
    if (!take_sign(p, ".")) {
        return expected(p, "'.' and domain, role or purpose");
    }
    t = p->token;
    for (unsigned i = 0; i < SF_CALLER_NAMES; i++) {
        if (is_word(p, sf_expr_caller_names[i])) {
            advance(p);
            index = new_node(p, SF_NODE_CALLER, from);
            node(p, index)->which = (uint8_t)i;
            return index;
        }
    }
    if (t.kind != SF_TOKEN_NAME) {
        return expected(p, "domain, role or purpose");
    }
    sf_issues_error(p->b->issues, sf_expr_place(p->b->issues, t.from, t.to), SHEAF_E_BAD_REFERENCE,
                    "a caller has no '%.*s'", SF_SLICE_ARG(text_of(p, t)));
    sf_issues_allowed(p->b->issues,
                      (struct sf_allowed){sf_expr_caller_names, SF_CALLER_NAMES, text_of(p, t)});
    return 0;
}

/* --- functions -------------------------------------------------------------------------------- */

static void report_unknown_function(struct parser *p, struct sf_token t)
{
    const char *names[SF_FUNCTIONS];

    for (size_t i = 0; i < SF_FUNCTIONS; i++) {
        names[i] = sf_expr_functions[i].name;
    }
    sf_issues_error(p->b->issues, sf_expr_place(p->b->issues, t.from, t.to), SHEAF_E_BAD_REFERENCE,
                    "no function is called '%.*s'", SF_SLICE_ARG(text_of(p, t)));
    sf_issues_allowed(p->b->issues, (struct sf_allowed){names, SF_FUNCTIONS, text_of(p, t)});
}

static uint16_t check_arguments(struct parser *p, uint16_t call, unsigned count)
{
    const struct sf_expr_function *f = &sf_expr_functions[node(p, call)->which];
    struct sf_node *n = node(p, call);

    if (count >= f->args_min && (f->args_max == 0 || count <= f->args_max)) {
        return call;
    }
    sf_issues_error(p->b->issues, sf_expr_place(p->b->issues, n->from, n->to), SHEAF_E_EXPR_TYPE,
                    "%s takes %s, found %u", f->name,
                    f->args_max == 0             ? "1 argument or more"
                    : f->args_min != f->args_max ? "2 or 3 arguments"
                                                 : "1 argument",
                    count);
    return 0;
}

/* The token is the name, "(" stands behind it. */
/* A list is read as the count of its elements, which is null where the list is. */
static void read_as_length(struct parser *p, uint16_t index)
{
    struct sf_slot *slot = &p->slots[index];

    slot->is_length = node(p, index)->op == SF_NODE_FIELD && slot->type == SF_TYPE_LIST;
}

static uint16_t parse_call(struct parser *p)
{
    struct sf_token name = p->token;
    uint16_t call = 0;
    unsigned count = 0;
    uint8_t which = 0;

    while (which < SF_FUNCTIONS && !is_word(p, sf_expr_functions[which].name)) {
        which++;
    }
    if (which == SF_FUNCTIONS) {
        report_unknown_function(p, name);
        return 0;
    }
    advance(p);
    call = new_node(p, SF_NODE_CALL, name.from);
    if (call == 0) {
        return 0;
    }
    node(p, call)->which = which;
    advance(p); /* "(" */
    if (!is_sign(p, ")")) {
        do {
            if (add_child(p, call, parse(p, POWER_OR)) == 0) {
                return 0;
            }
            count++;
        } while (take_sign(p, ","));
    }
    if (!take_sign(p, ")")) {
        return expected(p, "',' or ')'");
    }
    node(p, call)->to = (uint16_t)p->end;
    if (which == SF_FN_LEN && count == 1) {
        read_as_length(p, node(p, call)->first);
    }
    return check_arguments(p, call, count);
}

/* Whether "(" stands behind the token. */
static bool opens_behind(const struct parser *p)
{
    struct sf_slice text = p->b->issues->source;
    size_t at = p->token.to;

    while (at < text.size && memchr(" \t\r\n", text.data[at], 4) != NULL) {
        at++;
    }
    return at < text.size && text.data[at] == '(';
}

static uint16_t parse_word(struct parser *p)
{
    if (is_word(p, "true") || is_word(p, "false")) {
        return parse_word_literal(p, SF_KIND_BOOL, is_word(p, "true"));
    }
    if (is_word(p, "null")) {
        return parse_word_literal(p, SF_KIND_NULL, false);
    }
    if (is_word(p, "caller")) {
        return parse_caller(p);
    }
    if (sf_expr_is_keyword(text_of(p, p->token))) {
        return expected(p, "a value");
    }
    return opens_behind(p) ? parse_call(p) : parse_field(p);
}

/* --- operators -------------------------------------------------------------------------------- */

static uint16_t parse_minus(struct parser *p)
{
    size_t from = p->token.from;
    uint16_t operand;
    uint16_t index;

    advance(p);
    if (p->token.kind == SF_TOKEN_NUMBER) {
        return parse_number(p, from);
    }
    operand = parse(p, POWER_SIGN);
    index = new_node(p, SF_NODE_NEGATE, from);
    return add_child(p, index, operand);
}

static uint16_t parse_not(struct parser *p, unsigned power)
{
    size_t from = p->token.from;
    uint16_t operand;

    if (power > POWER_NOT) {
        return fail_at(p, p->token, "put parentheses around this NOT");
    }
    advance(p);
    operand = parse(p, POWER_NOT);
    return add_child(p, operand == 0 ? 0 : new_node(p, SF_NODE_NOT, from), operand);
}

static uint16_t parse_parentheses(struct parser *p)
{
    size_t from = p->token.from;
    uint16_t inner;

    advance(p);
    inner = parse(p, POWER_OR);
    if (inner != 0 && !take_sign(p, ")")) {
        return expected(p, "')'");
    }
    node(p, inner)->from = (uint16_t)from;
    node(p, inner)->to = (uint16_t)p->end;
    return inner;
}

/* What may begin a value, of whatever nests. */
static uint16_t parse_prefix(struct parser *p, unsigned power)
{
    struct sf_token t = p->token;
    uint16_t index;

    if (p->depth == SF_EXPR_DEPTH_MAX) {
        return fail_at(p, t, "the expression is nested deeper than 32");
    }
    p->depth++;
    if (is_sign(p, "(")) {
        index = parse_parentheses(p);
    } else if (is_sign(p, "-")) {
        index = parse_minus(p);
    } else if (is_word(p, "not")) {
        index = parse_not(p, power);
    } else if (t.kind == SF_TOKEN_NUMBER) {
        index = parse_number(p, t.from);
    } else if (t.kind == SF_TOKEN_STRING) {
        index = parse_string(p);
    } else if (t.kind == SF_TOKEN_QUOTED) {
        index = parse_field(p);
    } else if (t.kind == SF_TOKEN_NAME) {
        index = parse_word(p);
    } else {
        index = expected(p, "a value");
    }
    p->depth--;
    return index;
}

static uint16_t parse_in(struct parser *p, uint16_t left)
{
    uint16_t index = over(p, SF_NODE_IN, left);

    if (index == 0) {
        return 0;
    }
    if (!take_sign(p, "(")) {
        return expected(p, "'(' behind IN");
    }
    do {
        if (add_child(p, index, parse(p, POWER_OR)) == 0) {
            return 0;
        }
    } while (take_sign(p, ","));
    if (!take_sign(p, ")")) {
        return expected(p, "',' or ')'");
    }
    node(p, index)->to = (uint16_t)p->end;
    return index;
}

static uint16_t parse_between(struct parser *p, uint16_t left)
{
    uint16_t index = over(p, SF_NODE_BETWEEN, left);

    if (add_child(p, index, parse(p, POWER_SUM)) == 0) {
        return 0;
    }
    if (!take_word(p, "and")) {
        return expected(p, "AND of BETWEEN");
    }
    return add_child(p, index, parse(p, POWER_SUM));
}

static uint16_t parse_like(struct parser *p, uint16_t left)
{
    uint16_t index = over(p, SF_NODE_LIKE, left);
    struct sf_token t;
    uint16_t escape;

    if (p->token.kind != SF_TOKEN_STRING) {
        return expected(p, "a pattern in quotes");
    }
    index = add_child(p, index, parse_string(p));
    if (index == 0 || !take_word(p, "escape")) {
        return index;
    }
    t = p->token;
    if (t.kind != SF_TOKEN_STRING) {
        return expected(p, "a character in quotes");
    }
    escape = parse_string(p);
    if (escape != 0 && node(p, escape)->text.size != 1) {
        return fail_at(p, t, "ESCAPE takes one ASCII character");
    }
    return add_child(p, index, escape);
}

static uint16_t parse_is(struct parser *p, uint16_t left)
{
    bool negated = take_word(p, "not");
    uint16_t index;

    if (!take_word(p, "null")) {
        return expected(p, "NULL or NOT NULL");
    }
    index = over(p, SF_NODE_IS_NULL, left);
    node(p, index)->negated = negated;
    if (left != 0) {
        read_as_length(p, left);
    }
    return index;
}

/* The bits of a comparison sign; 0: none. */
static uint8_t compare_of(const struct parser *p)
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
        if (is_sign(p, signs[i].sign)) {
            return signs[i].bits;
        }
    }
    return 0;
}

static bool at_predicate(const struct parser *p)
{
    return compare_of(p) != 0 || is_word(p, "in") || is_word(p, "between") || is_word(p, "like") ||
           is_word(p, "is") || is_word(p, "not");
}

static uint16_t parse_predicate(struct parser *p, uint16_t left)
{
    uint8_t bits = compare_of(p);
    bool negated = false;
    uint16_t index;

    if (bits != 0) {
        advance(p);
        index = over(p, SF_NODE_COMPARE, left);
        node(p, index)->which = bits;
        return add_child(p, index, parse(p, POWER_SUM));
    }
    if (take_word(p, "is")) {
        return parse_is(p, left);
    }
    negated = take_word(p, "not");
    if (take_word(p, "in")) {
        index = parse_in(p, left);
    } else if (take_word(p, "between")) {
        index = parse_between(p, left);
    } else if (take_word(p, "like")) {
        index = parse_like(p, left);
    } else {
        return expected(p, "IN, BETWEEN or LIKE behind NOT");
    }
    node(p, index)->negated = negated;
    return index;
}

/* How strong the operator at the token binds; 0: there is none. */
static unsigned infix_power(const struct parser *p, enum sf_node_op *ret_op)
{
    static const struct {
        const char *sign;
        enum sf_node_op op;
        unsigned power;
    } signs[] = {
        {"+", SF_NODE_ADD, POWER_SUM},       {"-", SF_NODE_SUBTRACT, POWER_SUM},
        {"*", SF_NODE_MULTIPLY, POWER_TERM}, {"/", SF_NODE_DIVIDE, POWER_TERM},
        {"%", SF_NODE_MODULO, POWER_TERM},
    };

    for (size_t i = 0; i < SF_COUNT(signs); i++) {
        if (is_sign(p, signs[i].sign)) {
            *ret_op = signs[i].op;
            return signs[i].power;
        }
    }
    *ret_op = is_word(p, "or") ? SF_NODE_OR : SF_NODE_AND;
    if (is_word(p, "or") || is_word(p, "and")) {
        return *ret_op == SF_NODE_OR ? POWER_OR : POWER_AND;
    }
    return at_predicate(p) ? POWER_PREDICATE : 0;
}

/* An expression whose operators bind at least as strong as @power; 0 after an error. */
static uint16_t parse(struct parser *p, unsigned power)
{
    uint16_t left = parse_prefix(p, power);
    enum sf_node_op op = SF_NODE_AND;
    unsigned next;

    while (left != 0 && (next = infix_power(p, &op)) >= power && next != 0) {
        if (next == POWER_PREDICATE) {
            left = parse_predicate(p, left);
            if (left != 0 && at_predicate(p)) {
                return fail_at(p, p->token, "comparisons do not chain: put parentheses around one");
            }
        } else {
            advance(p);
            left = over(p, op, left);
            left = add_child(p, left, left == 0 ? 0 : parse(p, next + 1));
        }
    }
    return left;
}

/* --- the whole -------------------------------------------------------------------------------- */

bool sf_expr_build_tree(struct sf_expr_build *b)
{
    struct sf_slice text = b->issues->source;
    struct parser p = {.b = b};
    struct sf_token whole = {.kind = SF_TOKEN_NAME};

    b->node_count = 1;
    if (text.size > SF_EXPR_TEXT_MAX) {
        return fail_at(&p, whole, "the expression is longer than 4096 bytes") != 0;
    }
    if (!sf_utf8_is_valid(text) || (text.size > 0 && memchr(text.data, 0, text.size) != NULL)) {
        sf_issues_error(b->issues, (struct sf_place){0}, SHEAF_E_EXPR_SYNTAX,
                        "the expression is not UTF-8 text");
        return false;
    }
    p.token = sf_expr_next_token(b->issues, 0);
    b->expr->root = parse(&p, POWER_OR);
    if (b->expr->root == 0) {
        return false;
    }
    if (p.token.kind != SF_TOKEN_END) {
        return expected(&p, "an operator or the end") != 0;
    }
    return sf_expr_settle_slots(b, p.slots);
}
