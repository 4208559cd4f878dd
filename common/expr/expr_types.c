/*
 * Types from the leaves up. What two sides of a comparison become is written down in
 * docs/reference/expressions.md; the widths of decimals are DuckDB's.
 */
#include <stdio.h>

#include "common/base/decimal.h"
#include "common/base/time.h"
#include "common/contract/value.h"
#include "common/expr/expr_private.h"
#include "proto/errors.h"

static const struct sf_expr_type WRONG = {.kind = SF_KIND_WRONG};

/* --- types as values -------------------------------------------------------------------------- */

void sf_expr_type_text(struct sf_expr_type type, char *ret, size_t size)
{
    static const char *const names[] = {
        [SF_KIND_WRONG] = "nothing",       [SF_KIND_NULL] = "null",   [SF_KIND_BOOL] = "bool",
        [SF_KIND_INT] = "integer",         [SF_KIND_DECIMAL] = "",    [SF_KIND_DOUBLE] = "double",
        [SF_KIND_STRING] = "string",       [SF_KIND_BYTES] = "bytes", [SF_KIND_DATE] = "date",
        [SF_KIND_TIMESTAMP] = "timestamp", [SF_KIND_UUID] = "uuid",
    };

    if (type.kind == SF_KIND_DECIMAL) {
        (void)snprintf(ret, size, "decimal(%u,%u)", type.width, type.scale);
    } else {
        (void)snprintf(ret, size, "%s", names[type.kind]);
    }
}

static bool is_number(enum sf_kind kind)
{
    return kind == SF_KIND_INT || kind == SF_KIND_DECIMAL || kind == SF_KIND_DOUBLE;
}

/* An integer as the decimal that holds every one. */
static struct sf_expr_type as_decimal(struct sf_expr_type type)
{
    if (type.kind == SF_KIND_INT) {
        return (struct sf_expr_type){.kind = SF_KIND_DECIMAL, .width = SF_INT_DIGITS};
    }
    return type;
}

static unsigned max_of(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

static struct sf_expr_type decimal_of(unsigned width, unsigned scale)
{
    if (width > SF_WIDE_DIGITS_MAX) {
        return WRONG;
    }
    return (struct sf_expr_type){
        .kind = SF_KIND_DECIMAL, .width = (uint8_t)width, .scale = (uint8_t)scale};
}

struct sf_expr_type sf_expr_common_type(struct sf_expr_type a, struct sf_expr_type b)
{
    if (a.kind == SF_KIND_NULL || b.kind == SF_KIND_NULL) {
        return a.kind == SF_KIND_NULL ? b : a;
    }
    if (is_number(a.kind) && is_number(b.kind)) {
        if (a.kind == SF_KIND_DOUBLE || b.kind == SF_KIND_DOUBLE) {
            return (struct sf_expr_type){.kind = SF_KIND_DOUBLE};
        }
        if (a.kind == SF_KIND_INT && b.kind == SF_KIND_INT) {
            return a;
        }
        a = as_decimal(a);
        b = as_decimal(b);
        return decimal_of(max_of((unsigned)(a.width - a.scale), (unsigned)(b.width - b.scale)) +
                              max_of(a.scale, b.scale),
                          max_of(a.scale, b.scale));
    }
    if (a.kind == b.kind) {
        return a;
    }
    if ((a.kind == SF_KIND_DATE && b.kind == SF_KIND_TIMESTAMP) ||
        (a.kind == SF_KIND_TIMESTAMP && b.kind == SF_KIND_DATE)) {
        return (struct sf_expr_type){.kind = SF_KIND_TIMESTAMP};
    }
    return WRONG;
}

/* Sum, difference and product; kind WRONG: more digits than a decimal has. */
static struct sf_expr_type arithmetic_type(enum sf_node_op op, struct sf_expr_type a,
                                           struct sf_expr_type b)
{
    struct sf_expr_type common = sf_expr_common_type(a, b);
    unsigned scale;
    unsigned width;

    if (op == SF_NODE_DIVIDE || common.kind == SF_KIND_DOUBLE) {
        return (struct sf_expr_type){.kind = SF_KIND_DOUBLE};
    }
    if (common.kind == SF_KIND_NULL || common.kind == SF_KIND_INT) {
        return (struct sf_expr_type){.kind = SF_KIND_INT};
    }
    a = a.kind == SF_KIND_NULL ? b : as_decimal(a);
    b = b.kind == SF_KIND_NULL ? a : as_decimal(b);
    if (op == SF_NODE_MULTIPLY) {
        scale = (unsigned)(a.scale + b.scale);
        width = (unsigned)(a.width + b.width);
    } else {
        scale = max_of(a.scale, b.scale);
        width = max_of((unsigned)(a.width - a.scale), (unsigned)(b.width - b.scale)) + scale + 1;
    }
    /* 64 bits stay 64 bits; an overflow is an error when it happens. */
    if (width > SF_DECIMAL_NARROW_MAX && max_of(a.width, b.width) <= SF_DECIMAL_NARROW_MAX &&
        (op != SF_NODE_MULTIPLY || scale < SF_DECIMAL_NARROW_MAX)) {
        width = SF_DECIMAL_NARROW_MAX;
    }
    return decimal_of(width, scale);
}

static struct sf_expr_type type_of_slot(const struct sf_slot *s)
{
    static const enum sf_kind kinds[] = {
        [SF_TYPE_BOOL] = SF_KIND_BOOL,     [SF_TYPE_INT32] = SF_KIND_INT,
        [SF_TYPE_INT64] = SF_KIND_INT,     [SF_TYPE_FLOAT] = SF_KIND_DOUBLE,
        [SF_TYPE_DOUBLE] = SF_KIND_DOUBLE, [SF_TYPE_DECIMAL] = SF_KIND_DECIMAL,
        [SF_TYPE_STRING] = SF_KIND_STRING, [SF_TYPE_BYTES] = SF_KIND_BYTES,
        [SF_TYPE_DATE] = SF_KIND_DATE,     [SF_TYPE_TIMESTAMP] = SF_KIND_TIMESTAMP,
        [SF_TYPE_UUID] = SF_KIND_UUID,     [SF_TYPE_DECIMAL_WIDE] = SF_KIND_DECIMAL,
        [SF_TYPE_JSON] = SF_KIND_WRONG,    [SF_TYPE_LIST] = SF_KIND_WRONG,
        [SF_TYPE_STRUCT] = SF_KIND_WRONG,
    };

    return (struct sf_expr_type){.kind = kinds[s->type], .width = s->precision, .scale = s->scale};
}

/* --- reports ---------------------------------------------------------------------------------- */

static struct sf_place place_of(const struct sf_expr_build *b, const struct sf_node *n)
{
    return sf_expr_place(b->issues, n->from, n->to);
}

static struct sf_expr_type report(struct sf_expr_build *b, const struct sf_node *n,
                                  const char *text)
{
    sf_issues_error(b->issues, place_of(b, n), SHEAF_E_EXPR_TYPE, "%s", text);
    return WRONG;
}

/* "@what takes @wanted, found string", marking the argument. */
static void report_argument(struct sf_expr_build *b, const struct sf_node *n, const char *what,
                            const char *wanted)
{
    char found[24];

    sf_expr_type_text(n->type, found, sizeof(found));
    sf_issues_error(b->issues, place_of(b, n), SHEAF_E_EXPR_TYPE, "%s takes %s, found %s", what,
                    wanted, found);
}

static void report_apart(struct sf_expr_build *b, const struct sf_node *n, struct sf_expr_type a,
                         struct sf_expr_type c)
{
    char left[24];
    char right[24];

    sf_expr_type_text(a, left, sizeof(left));
    sf_expr_type_text(c, right, sizeof(right));
    if (is_number(a.kind) && is_number(c.kind)) {
        sf_issues_error(b->issues, place_of(b, n), SHEAF_E_EXPR_TYPE,
                        "%s and %s together need more than 38 digits", left, right);
    } else {
        sf_issues_error(b->issues, place_of(b, n), SHEAF_E_EXPR_TYPE, "%s and %s do not compare",
                        left, right);
    }
}

/* --- string literals -------------------------------------------------------------------------- */

static bool is_text_literal(const struct sf_node *n)
{
    return n->op == SF_NODE_LITERAL && n->type.kind == SF_KIND_STRING;
}

/* A timestamp with or without zone, or a date, which is its midnight; all UTC. */
static enum sf_parse parse_time(struct sf_slice text, int64_t *ret)
{
    char with_zone[40];
    int32_t days = 0;
    enum sf_parse parsed = sf_time_parse(text, ret);

    if (parsed == SF_PARSE_SYNTAX && sf_date_parse(text, &days) == SF_PARSE_OK) {
        *ret = days * SF_US_PER_DAY;
        return SF_PARSE_OK;
    }
    if (parsed == SF_PARSE_SYNTAX && text.size + 1 < sizeof(with_zone)) {
        (void)snprintf(with_zone, sizeof(with_zone), "%.*sZ", SF_SLICE_ARG(text));
        return sf_time_parse(sf_slice_text(with_zone), ret);
    }
    return parsed;
}

/* Reads the literal as a value of @type; a type it cannot be stays a string. */
static void adopt(struct sf_expr_build *b, struct sf_node *n, struct sf_expr_type type)
{
    enum sf_parse parsed = SF_PARSE_OK;
    struct sf_cell value = {0};
    char name[24];
    int32_t days = 0;
    int64_t i = 0;

    if (type.kind == SF_KIND_DATE) {
        parsed = sf_date_parse(n->text, &days);
        value.i = days;
    } else if (type.kind == SF_KIND_TIMESTAMP) {
        parsed = parse_time(n->text, &i);
        value.i = i;
    } else if (type.kind == SF_KIND_DECIMAL) {
        uint8_t wide[SF_DECIMAL_WIDE_SIZE] = {0};

        parsed = sf_decimal_wide_parse(n->text, type.width, type.scale, wide);
        value.wide = sf_decimal_wide_get(wide);
    } else if (type.kind == SF_KIND_UUID) {
        uint8_t *bytes = sf_arena_alloc(&b->expr->arena, 16);

        b->nomem |= bytes == NULL;
        if (bytes != NULL) {
            parsed = sf_uuid_parse(n->text, bytes) ? SF_PARSE_OK : SF_PARSE_SYNTAX;
            value.s = sf_slice_of(bytes, 16);
        }
    } else {
        return;
    }
    sf_expr_type_text(type, name, sizeof(name));
    if (parsed == SF_PARSE_OK) {
        n->type = type;
        n->value = value;
    } else {
        sf_issues_error(b->issues, place_of(b, n), SHEAF_E_EXPR_TYPE, "this is no %s", name);
        n->type = WRONG;
    }
}

/* --- nodes ------------------------------------------------------------------------------------ */

#define EACH_CHILD(b, n, c)                                                                        \
    for (struct sf_node *c = (n)->first == 0 ? NULL : &(b)->nodes[(n)->first]; c != NULL;          \
         c = c->next == 0 ? NULL : &(b)->nodes[c->next])

/* The type of all children together, string literals read as what the others are. */
static struct sf_expr_type unify(struct sf_expr_build *b, struct sf_node *n)
{
    struct sf_expr_type common = {.kind = SF_KIND_NULL};

    EACH_CHILD(b, n, c)
    {
        struct sf_expr_type before = common;

        if (c->type.kind == SF_KIND_WRONG) {
            return WRONG;
        }
        if (is_text_literal(c)) {
            continue;
        }
        common = sf_expr_common_type(common, c->type);
        if (common.kind == SF_KIND_WRONG) {
            report_apart(b, n, before, c->type);
            return WRONG;
        }
    }
    EACH_CHILD(b, n, literal)
    {
        struct sf_expr_type before = common;

        if (!is_text_literal(literal)) {
            continue;
        }
        adopt(b, literal, common);
        if (literal->type.kind == SF_KIND_WRONG) {
            return WRONG;
        }
        common = sf_expr_common_type(common, literal->type);
        if (common.kind == SF_KIND_WRONG) {
            report_apart(b, n, before, literal->type);
            return WRONG;
        }
    }
    return common;
}

/* Whether all children are of @kind or null; reports those that are not. */
static bool all_of(struct sf_expr_build *b, struct sf_node *n, enum sf_kind kind, const char *what,
                   const char *wanted)
{
    bool all = true;

    EACH_CHILD(b, n, c)
    {
        if (c->type.kind == SF_KIND_WRONG) {
            all = false;
        } else if (c->type.kind != kind && c->type.kind != SF_KIND_NULL) {
            report_argument(b, c, what, wanted);
            all = false;
        }
    }
    return all;
}

static struct sf_expr_type check_arithmetic(struct sf_expr_build *b, struct sf_node *n,
                                            const char *sign)
{
    struct sf_node *left = &b->nodes[n->first];
    struct sf_node *right = left->next == 0 ? left : &b->nodes[left->next];
    struct sf_expr_type type;

    EACH_CHILD(b, n, c)
    {
        if (c->type.kind == SF_KIND_WRONG) {
            return WRONG;
        }
        if (!is_number(c->type.kind) && c->type.kind != SF_KIND_NULL) {
            report_argument(b, c, sign, "numbers");
            return WRONG;
        }
    }
    if (n->op == SF_NODE_NEGATE) {
        return left->type.kind == SF_KIND_NULL ? (struct sf_expr_type){.kind = SF_KIND_INT}
                                               : left->type;
    }
    type = arithmetic_type(n->op, left->type, right->type);
    return type.kind == SF_KIND_WRONG ? report(b, n, "the result may have more than 38 digits")
                                      : type;
}

static struct sf_expr_type check_date_part(struct sf_expr_build *b, struct sf_node *n)
{
    struct sf_node *c = &b->nodes[n->first];
    bool hour = n->which == SF_FN_HOUR;

    if (c->type.kind != SF_KIND_WRONG && c->type.kind != SF_KIND_NULL &&
        c->type.kind != SF_KIND_TIMESTAMP && (hour || c->type.kind != SF_KIND_DATE)) {
        report_argument(b, c, sf_expr_functions[n->which].name,
                        hour ? "a timestamp" : "a date or timestamp");
    }
    return (struct sf_expr_type){.kind = SF_KIND_INT};
}

static struct sf_expr_type check_substr(struct sf_expr_build *b, struct sf_node *n)
{
    struct sf_node *c = &b->nodes[n->first];

    if (c->type.kind != SF_KIND_STRING && c->type.kind != SF_KIND_NULL &&
        c->type.kind != SF_KIND_WRONG) {
        report_argument(b, c, "substr", "a string");
    }
    for (c = &b->nodes[c->next];; c = &b->nodes[c->next]) {
        if (c->type.kind != SF_KIND_INT && c->type.kind != SF_KIND_NULL &&
            c->type.kind != SF_KIND_WRONG) {
            report_argument(b, c, "substr", "integers as positions");
        }
        if (c->next == 0) {
            return (struct sf_expr_type){.kind = SF_KIND_STRING};
        }
    }
}

static struct sf_expr_type check_len(struct sf_expr_build *b, struct sf_node *n)
{
    struct sf_node *c = &b->nodes[n->first];

    if (c->type.kind != SF_KIND_WRONG &&
        (c->op != SF_NODE_FIELD || !b->expr->slots[c->slot].is_length)) {
        report_argument(b, c, "len", "a list");
        return WRONG;
    }
    return c->type;
}

static struct sf_expr_type check_call(struct sf_expr_build *b, struct sf_node *n)
{
    struct sf_node *c = &b->nodes[n->first];

    switch ((enum sf_function)n->which) {
    case SF_FN_LOWER:
    case SF_FN_UPPER:
        (void)all_of(b, n, SF_KIND_STRING, sf_expr_functions[n->which].name, "a string");
        return (struct sf_expr_type){.kind = SF_KIND_STRING};
    case SF_FN_LENGTH:
        if (c->type.kind != SF_KIND_BYTES) {
            (void)all_of(b, n, SF_KIND_STRING, "length", "a string or bytes");
        }
        return (struct sf_expr_type){.kind = SF_KIND_INT};
    case SF_FN_SUBSTR:
        return check_substr(b, n);
    case SF_FN_COALESCE:
        return unify(b, n);
    case SF_FN_LEN:
        return check_len(b, n);
    case SF_FN_YEAR:
    case SF_FN_MONTH:
    case SF_FN_DAY:
    case SF_FN_HOUR:
        break;
    }
    return check_date_part(b, n);
}

static void check_like(struct sf_expr_build *b, struct sf_node *n)
{
    struct sf_node *c = &b->nodes[n->first];
    struct sf_node *pattern = &b->nodes[c->next];
    struct sf_slice text = pattern->text;
    struct sf_slice escape;
    bool open = false;

    if (c->type.kind != SF_KIND_STRING && c->type.kind != SF_KIND_NULL &&
        c->type.kind != SF_KIND_WRONG) {
        report_argument(b, c, "LIKE", "a string");
    }
    if (pattern->next == 0) {
        return;
    }
    escape = b->nodes[pattern->next].text;
    for (size_t i = 0; i < text.size;) {
        if (!open && text.size - i >= escape.size &&
            memcmp(text.data + i, escape.data, escape.size) == 0) {
            open = true;
            i += escape.size;
        } else {
            open = false;
            i++;
        }
    }
    if (open) {
        (void)report(b, pattern, "the pattern ends with its escape character");
    }
}

static struct sf_expr_type type_of_field(struct sf_expr_build *b, const struct sf_node *n)
{
    const struct sf_slot *s = &b->expr->slots[n->slot];
    struct sf_expr_type type =
        s->is_length ? (struct sf_expr_type){.kind = SF_KIND_INT} : type_of_slot(s);

    if (type.kind == SF_KIND_WRONG) {
        sf_issues_error(b->issues, place_of(b, n), SHEAF_E_EXPR_TYPE, "filters do not read a %s",
                        sf_type_name(s->type));
    }
    return type;
}

static struct sf_expr_type type_of(struct sf_expr_build *b, struct sf_node *n)
{
    static const struct sf_expr_type boolean = {.kind = SF_KIND_BOOL};

    switch (n->op) {
    case SF_NODE_LITERAL:
        return n->type;
    case SF_NODE_FIELD:
        return n->which == 1 ? type_of_field(b, n) : WRONG;
    case SF_NODE_CALLER:
        return (struct sf_expr_type){.kind = SF_KIND_STRING};
    case SF_NODE_NOT:
        (void)all_of(b, n, SF_KIND_BOOL, "NOT", "true or false");
        return boolean;
    case SF_NODE_AND:
        (void)all_of(b, n, SF_KIND_BOOL, "AND", "true or false");
        return boolean;
    case SF_NODE_OR:
        (void)all_of(b, n, SF_KIND_BOOL, "OR", "true or false");
        return boolean;
    case SF_NODE_COMPARE:
    case SF_NODE_IN:
    case SF_NODE_BETWEEN:
        (void)unify(b, n);
        return boolean;
    case SF_NODE_LIKE:
        check_like(b, n);
        return boolean;
    case SF_NODE_IS_NULL:
        return boolean;
    case SF_NODE_NEGATE:
    case SF_NODE_SUBTRACT:
        return check_arithmetic(b, n, "-");
    case SF_NODE_ADD:
        return check_arithmetic(b, n, "+");
    case SF_NODE_MULTIPLY:
        return check_arithmetic(b, n, "*");
    case SF_NODE_DIVIDE:
        return check_arithmetic(b, n, "/");
    case SF_NODE_MODULO:
        return all_of(b, n, SF_KIND_INT, "%", "integers")
                   ? (struct sf_expr_type){.kind = SF_KIND_INT}
                   : WRONG;
    case SF_NODE_CALL:
        return check_call(b, n);
    }
    return WRONG;
}

/* A struct or json, of which a filter knows no more than whether it is there. */
static bool is_whole(const struct sf_expr_build *b, const struct sf_node *n)
{
    const enum sf_type type =
        n->op == SF_NODE_FIELD && n->which == 1 ? b->expr->slots[n->slot].type : SF_TYPE_BOOL;

    return type == SF_TYPE_STRUCT || type == SF_TYPE_JSON;
}

/* Children first; @is_only_there: of IS NULL. As deep as the tree, which is at most
 * SF_EXPR_NODES_MAX. */
static void check(struct sf_expr_build *b, struct sf_node *n, bool is_only_there)
{
    EACH_CHILD(b, n, c)
    {
        check(b, c, n->op == SF_NODE_IS_NULL);
    }
    n->type = is_only_there && is_whole(b, n) ? (struct sf_expr_type){.kind = SF_KIND_NULL}
                                              : type_of(b, n);
}

bool sf_expr_check_types(struct sf_expr_build *b)
{
    struct sf_node *root = &b->nodes[b->expr->root];

    check(b, root, /* is_only_there= */ false);
    if (root->type.kind != SF_KIND_BOOL && root->type.kind != SF_KIND_NULL &&
        root->type.kind != SF_KIND_WRONG) {
        report_argument(b, root, "a filter", "true or false");
    }
    return b->issues->error_count == 0 && !b->nomem;
}
