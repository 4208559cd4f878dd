/* What begins a value: literals, fields and what is inside them, the caller, functions. */
#include "common/base/str.h"
#include "common/expr/expr_parse.h"
#include "proto/errors.h"

/* --- literals and names ----------------------------------------------------------------------- */

uint16_t sf_expr_parse_number(struct sf_expr_parser *p, size_t from)
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
        return sf_expr_fail_at(p, t, wrong);
    }
    sf_expr_advance(p);
    index = sf_expr_new_node(p, SF_NODE_LITERAL, from);
    if (index != 0) {
        sf_expr_node(p, index)->type = n.type;
        sf_expr_node(p, index)->value = n.value;
    }
    return index;
}

uint16_t sf_expr_parse_string(struct sf_expr_parser *p)
{
    struct sf_slice text = sf_expr_unquote(p->b, p->token);
    size_t from = p->token.from;
    uint16_t index;

    sf_expr_advance(p);
    index = sf_expr_new_node(p, SF_NODE_LITERAL, from);
    if (index != 0) {
        sf_expr_node(p, index)->type.kind = SF_KIND_STRING;
        sf_expr_node(p, index)->value.s = text;
        sf_expr_node(p, index)->text = text;
    }
    return index;
}

/* TRUE, FALSE, NULL: the token is one of them. */
static uint16_t parse_word_literal(struct sf_expr_parser *p, enum sf_kind kind, bool value)
{
    size_t from = p->token.from;
    uint16_t index;

    sf_expr_advance(p);
    index = sf_expr_new_node(p, SF_NODE_LITERAL, from);
    if (index != 0) {
        sf_expr_node(p, index)->type.kind = kind;
        sf_expr_node(p, index)->value.null = kind == SF_KIND_NULL;
        sf_expr_node(p, index)->value.i = value;
    }
    return index;
}

/* What is not right about the step that begins at @from. */
static bool refuse_step(struct sf_expr_parser *p, size_t from, const struct sf_field *f,
                        const char *what)
{
    sf_issues_error(p->b->issues, sf_expr_place(p->b->issues, from, p->end), SHEAF_E_EXPR_TYPE,
                    "%s, and '%s' is a %s", what, f->name, sf_type_name(f->type));
    return false;
}

/* Behind a '.': a member of the struct @f. */
static bool parse_member(struct sf_expr_parser *p, const struct sf_field **f,
                         struct sf_path_step *ret)
{
    struct sf_token t = p->token;
    struct sf_slice name;
    int32_t field;

    if (t.kind != SF_TOKEN_NAME && t.kind != SF_TOKEN_QUOTED) {
        (void)sf_expr_expected(p, "the name of a field behind '.'");
        return false;
    }
    name = t.kind == SF_TOKEN_QUOTED ? sf_expr_unquote(p->b, t) : sf_expr_token_text(p, t);
    sf_expr_advance(p);
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
static bool parse_element(struct sf_expr_parser *p, const struct sf_field **f,
                          struct sf_path_step *ret)
{
    struct sf_token t = p->token;
    int64_t index = 0;

    if (t.kind != SF_TOKEN_NUMBER ||
        sf_parse_i64(sf_expr_token_text(p, t), &index) != SF_PARSE_OK || index < 1 ||
        index > SF_LIST_ITEMS_MAX) {
        (void)sf_expr_expected(p, "the number of an element, 1 for the first");
        return false;
    }
    sf_expr_advance(p);
    if (!sf_expr_take_sign(p, "]")) {
        (void)sf_expr_expected(p, "']'");
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
static bool parse_steps(struct sf_expr_parser *p, const struct sf_field *f, struct sf_slot *slot)
{
    struct sf_path_step steps[SF_EXPR_STEPS_MAX];
    size_t count = 1;
    bool member;

    steps[0] = (struct sf_path_step){.name = f->name, .number = f->number};
    for (;; count++) {
        /* As deep as contracts go: one list and one member for each struct. */
        steps[count - 1].type = f->type;
        steps[count - 1].item = sf_field_item(f)->type;
        member = sf_expr_take_sign(p, ".");
        if (!member && !sf_expr_take_sign(p, "[")) {
            break;
        }
        if (count == SF_EXPR_STEPS_MAX) {
            (void)sf_expr_fail_at(p, p->token, "too many steps");
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
static bool skip_steps(struct sf_expr_parser *p)
{
    for (;;) {
        if (sf_expr_take_sign(p, ".")) {
            if (p->token.kind != SF_TOKEN_NAME && p->token.kind != SF_TOKEN_QUOTED) {
                return sf_expr_expected(p, "the name of a field") != 0;
            }
            sf_expr_advance(p);
        } else if (sf_expr_take_sign(p, "[")) {
            if (p->token.kind != SF_TOKEN_NUMBER) {
                return sf_expr_expected(p, "a number") != 0;
            }
            sf_expr_advance(p);
            if (!sf_expr_take_sign(p, "]")) {
                return sf_expr_expected(p, "']'") != 0;
            }
        } else {
            return true;
        }
    }
}

uint16_t sf_expr_parse_field(struct sf_expr_parser *p)
{
    struct sf_token t = p->token;
    struct sf_slice name =
        t.kind == SF_TOKEN_QUOTED ? sf_expr_unquote(p->b, t) : sf_expr_token_text(p, t);
    int32_t field = p->b->table == NULL ? -1 : sf_table_field_index(p->b->table, name);
    const struct sf_field *f;
    uint16_t index;

    sf_expr_advance(p);
    index = sf_expr_new_node(p, SF_NODE_FIELD, t.from);
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
    sf_expr_node(p, index)->to = (uint16_t)p->end;
    sf_expr_node(p, index)->which = 1; /* found */
    return index;
}

static uint16_t parse_caller(struct sf_expr_parser *p)
{
    size_t from = p->token.from;
    struct sf_token t;
    uint16_t index;

    sf_expr_advance(p);
    if (!sf_expr_take_sign(p, ".")) {
        return sf_expr_expected(p, "'.' and domain, role or purpose");
    }
    t = p->token;
    for (unsigned i = 0; i < SF_CALLER_NAMES; i++) {
        if (sf_expr_at_word(p, sf_expr_caller_names[i])) {
            sf_expr_advance(p);
            index = sf_expr_new_node(p, SF_NODE_CALLER, from);
            sf_expr_node(p, index)->which = (uint8_t)i;
            return index;
        }
    }
    if (t.kind != SF_TOKEN_NAME) {
        return sf_expr_expected(p, "domain, role or purpose");
    }
    sf_issues_error(p->b->issues, sf_expr_place(p->b->issues, t.from, t.to), SHEAF_E_BAD_REFERENCE,
                    "a caller has no '%.*s'", SF_SLICE_ARG(sf_expr_token_text(p, t)));
    sf_issues_allowed(p->b->issues, (struct sf_allowed){sf_expr_caller_names, SF_CALLER_NAMES,
                                                        sf_expr_token_text(p, t)});
    return 0;
}

/* --- functions -------------------------------------------------------------------------------- */

static void report_unknown_function(struct sf_expr_parser *p, struct sf_token t)
{
    const char *names[SF_FUNCTIONS];

    for (size_t i = 0; i < SF_FUNCTIONS; i++) {
        names[i] = sf_expr_functions[i].name;
    }
    sf_issues_error(p->b->issues, sf_expr_place(p->b->issues, t.from, t.to), SHEAF_E_BAD_REFERENCE,
                    "no function is called '%.*s'", SF_SLICE_ARG(sf_expr_token_text(p, t)));
    sf_issues_allowed(p->b->issues,
                      (struct sf_allowed){names, SF_FUNCTIONS, sf_expr_token_text(p, t)});
}

static uint16_t check_arguments(struct sf_expr_parser *p, uint16_t call, unsigned count)
{
    const struct sf_expr_function *f = &sf_expr_functions[sf_expr_node(p, call)->which];
    struct sf_node *n = sf_expr_node(p, call);

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

void sf_expr_read_as_length(struct sf_expr_parser *p, uint16_t index)
{
    struct sf_slot *slot = &p->slots[index];

    slot->is_length = sf_expr_node(p, index)->op == SF_NODE_FIELD && slot->type == SF_TYPE_LIST;
}

/* The token is the name, "(" stands behind it. */
static uint16_t parse_call(struct sf_expr_parser *p)
{
    struct sf_token name = p->token;
    uint16_t call = 0;
    unsigned count = 0;
    uint8_t which = 0;

    while (which < SF_FUNCTIONS && !sf_expr_at_word(p, sf_expr_functions[which].name)) {
        which++;
    }
    if (which == SF_FUNCTIONS) {
        report_unknown_function(p, name);
        return 0;
    }
    sf_expr_advance(p);
    call = sf_expr_new_node(p, SF_NODE_CALL, name.from);
    if (call == 0) {
        return 0;
    }
    sf_expr_node(p, call)->which = which;
    sf_expr_advance(p); /* "(" */
    if (!sf_expr_at_sign(p, ")")) {
        do {
            if (sf_expr_add_child(p, call, sf_expr_parse_part(p, SF_POWER_OR)) == 0) {
                return 0;
            }
            count++;
        } while (sf_expr_take_sign(p, ","));
    }
    if (!sf_expr_take_sign(p, ")")) {
        return sf_expr_expected(p, "',' or ')'");
    }
    sf_expr_node(p, call)->to = (uint16_t)p->end;
    if (which == SF_FN_LEN && count == 1) {
        sf_expr_read_as_length(p, sf_expr_node(p, call)->first);
    }
    return check_arguments(p, call, count);
}

/* Whether "(" stands behind the token. */
static bool opens_behind(const struct sf_expr_parser *p)
{
    struct sf_slice text = p->b->issues->source;
    size_t at = p->token.to;

    while (at < text.size && memchr(" \t\r\n", text.data[at], 4) != NULL) {
        at++;
    }
    return at < text.size && text.data[at] == '(';
}

uint16_t sf_expr_parse_word(struct sf_expr_parser *p)
{
    if (sf_expr_at_word(p, "true") || sf_expr_at_word(p, "false")) {
        return parse_word_literal(p, SF_KIND_BOOL, sf_expr_at_word(p, "true"));
    }
    if (sf_expr_at_word(p, "null")) {
        return parse_word_literal(p, SF_KIND_NULL, false);
    }
    if (sf_expr_at_word(p, "caller")) {
        return parse_caller(p);
    }
    if (sf_expr_is_keyword(sf_expr_token_text(p, p->token))) {
        return sf_expr_expected(p, "a value");
    }
    return opens_behind(p) ? parse_call(p) : sf_expr_parse_field(p);
}
