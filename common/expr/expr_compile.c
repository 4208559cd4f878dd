/*
 * Tree to program. The machine has a stack of cells; what stands left is computed first.
 *
 * AND and OR compute both sides, so that an error on one side is an error whatever the other says
 * and the order does not matter; where the right side cannot fail, it is skipped when the left
 * decides.
 */
#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/base/utf8.h"
#include "common/expr/expr_private.h"
#include "proto/errors.h"

enum { CODE_MAX = 6 * SF_EXPR_NODES_MAX };

struct compiler {
    struct sf_expr_build *b;
    struct sf_instruction code[CODE_MAX];
    size_t code_count;
    struct sf_cell constants[SF_EXPR_NODES_MAX];
    size_t constant_count;
    struct sf_like likes[SF_EXPR_NODES_MAX];
    size_t like_count;
    unsigned height; /* cells on the stack */
    unsigned height_max;
};

static void emit(struct compiler *c, struct sf_node *n);

/* --- conversions ------------------------------------------------------------------------------ */

__int128 sf_wide_power(unsigned digits)
{
    static const int64_t powers[] = {
        1,
        10,
        100,
        1000,
        10000,
        100000,
        1000000,
        10000000,
        100000000,
        1000000000,
        10000000000,
        100000000000,
        1000000000000,
        10000000000000,
        100000000000000,
        1000000000000000,
        10000000000000000,
        100000000000000000,
        1000000000000000000,
    };
    enum { LAST = SF_COUNT(powers) - 1 };

    if (digits <= LAST) {
        return powers[digits];
    }
    return powers[LAST] * sf_wide_power(digits - LAST);
}

double sf_wide_to_double(__int128 value, unsigned scale)
{
    static const double powers[] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11, 1e12,
        1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24, 1e25,
        1e26, 1e27, 1e28, 1e29, 1e30, 1e31, 1e32, 1e33, 1e34, 1e35, 1e36, 1e37, 1e38,
    };
    const __int128 exact = (__int128)1 << 53;
    __int128 whole;
    __int128 rest;

    if (scale == 0 || (value <= exact && value >= -exact)) {
        return (double)value / powers[scale];
    }
    whole = value / sf_wide_power(scale);
    rest = value % sf_wide_power(scale);
    return (double)whole + (double)rest / powers[scale];
}

void sf_cell_convert(struct sf_cell *cell, struct sf_expr_type from, struct sf_expr_type to)
{
    if (cell->null || from.kind == SF_KIND_NULL) {
        return;
    }
    if (to.kind == SF_KIND_DOUBLE && from.kind == SF_KIND_INT) {
        cell->d = (double)cell->i;
    } else if (to.kind == SF_KIND_DOUBLE && from.kind == SF_KIND_DECIMAL) {
        cell->d = sf_wide_to_double(cell->wide, from.scale);
    } else if (to.kind == SF_KIND_DECIMAL && from.kind == SF_KIND_INT) {
        cell->wide = cell->i * sf_wide_power(to.scale);
    } else if (to.kind == SF_KIND_DECIMAL && from.kind == SF_KIND_DECIMAL) {
        cell->wide *= sf_wide_power((unsigned)(to.scale - from.scale));
    }
}

static enum sf_cell_class class_of(struct sf_expr_type type)
{
    switch (type.kind) {
    case SF_KIND_DECIMAL:
        return SF_CELL_WIDE;
    case SF_KIND_DOUBLE:
        return SF_CELL_DOUBLE;
    case SF_KIND_STRING:
    case SF_KIND_BYTES:
    case SF_KIND_UUID:
        return SF_CELL_TEXT;
    case SF_KIND_WRONG:
    case SF_KIND_NULL:
    case SF_KIND_BOOL:
    case SF_KIND_INT:
    case SF_KIND_DATE:
    case SF_KIND_TIMESTAMP:
        break;
    }
    return SF_CELL_INT;
}

/* --- instructions ----------------------------------------------------------------------------- */

static struct sf_node *child(struct compiler *c, const struct sf_node *n, unsigned which)
{
    struct sf_node *at = &c->b->nodes[n->first];

    for (; which > 0; which--) {
        at = &c->b->nodes[at->next];
    }
    return at;
}

static size_t put(struct compiler *c, struct sf_instruction i, int change)
{
    sf_assert(c->code_count < CODE_MAX);
    c->code[c->code_count] = i;
    c->height = (unsigned)((int)c->height + change);
    c->height_max = c->height > c->height_max ? c->height : c->height_max;
    return c->code_count++;
}

static size_t add_constant(struct compiler *c, struct sf_cell value)
{
    c->constants[c->constant_count] = value;
    return c->constant_count++;
}

/* The digits that a decimal of @type has to be checked for when it is made of @from; 0: it fits. */
static uint16_t checked_digits(struct sf_expr_type from, struct sf_expr_type type)
{
    unsigned whole = from.kind == SF_KIND_DECIMAL ? (unsigned)(from.width - from.scale)
                                                  : (unsigned)SF_INT_DIGITS;

    return type.kind == SF_KIND_DECIMAL && whole + type.scale > type.width ? type.width : 0;
}

/* The value of @n as one of @type. */
static void emit_as(struct compiler *c, struct sf_node *n, struct sf_expr_type type)
{
    struct sf_expr_type from = n->type;
    uint16_t digits = checked_digits(from, type);

    if (n->op == SF_NODE_LITERAL) {
        struct sf_cell value = n->value;

        if (digits == 0) {
            sf_cell_convert(&value, from, type);
        }
        put(c, (struct sf_instruction){SF_OP_CONSTANT, 0, (uint16_t)add_constant(c, value), 0}, 1);
        if (digits == 0) {
            return;
        }
    } else {
        emit(c, n);
    }
    if (type.kind == SF_KIND_DOUBLE && from.kind == SF_KIND_INT) {
        put(c, (struct sf_instruction){.op = SF_OP_INT_TO_DOUBLE}, 0);
    } else if (type.kind == SF_KIND_DOUBLE && from.kind == SF_KIND_DECIMAL) {
        put(c, (struct sf_instruction){.op = SF_OP_WIDE_TO_DOUBLE, .a = from.scale}, 0);
    } else if (type.kind == SF_KIND_DECIMAL && from.kind == SF_KIND_INT) {
        put(c, (struct sf_instruction){SF_OP_INT_TO_WIDE, type.scale, digits, 0}, 0);
    } else if (type.kind == SF_KIND_DECIMAL && from.kind == SF_KIND_DECIMAL &&
               type.scale != from.scale) {
        uint8_t shift = (uint8_t)(type.scale - from.scale);

        put(c, (struct sf_instruction){SF_OP_WIDE_SHIFT, shift, digits, 0}, 0);
    } else if (type.kind == SF_KIND_TIMESTAMP && from.kind == SF_KIND_DATE) {
        put(c, (struct sf_instruction){.op = SF_OP_DATE_TO_TIME}, 0);
    }
}

/* What all children become together: types were checked, so there is one. */
static struct sf_expr_type common_of(struct compiler *c, const struct sf_node *n)
{
    struct sf_expr_type common = {.kind = SF_KIND_NULL};

    for (uint16_t i = n->first; i != 0; i = c->b->nodes[i].next) {
        common = sf_expr_common_type(common, c->b->nodes[i].type);
    }
    return common;
}

/* Whether running @n may end in an error. */
static bool may_fail(const struct compiler *c, const struct sf_node *n)
{
    bool fails = (n->op >= SF_NODE_NEGATE && n->op <= SF_NODE_MODULO) ||
                 (n->op == SF_NODE_CALL && n->which == SF_FN_SUBSTR);

    for (uint16_t i = n->first; i != 0 && !fails; i = c->b->nodes[i].next) {
        fails = may_fail(c, &c->b->nodes[i]);
    }
    return fails;
}

/* --- operators -------------------------------------------------------------------------------- */

static void emit_both(struct compiler *c, struct sf_node *n)
{
    struct sf_node *right = child(c, n, 1);
    bool skips = !may_fail(c, right);
    size_t skip = 0;

    emit_as(c, child(c, n, 0), n->type);
    if (skips) {
        skip = put(c,
                   (struct sf_instruction){.op = n->op == SF_NODE_AND ? SF_OP_SKIP_FALSE
                                                                      : SF_OP_SKIP_TRUE},
                   0);
    }
    emit_as(c, right, n->type);
    put(c, (struct sf_instruction){.op = n->op == SF_NODE_AND ? SF_OP_AND : SF_OP_OR}, -1);
    if (skips) {
        c->code[skip].b = (uint16_t)c->code_count;
    }
}

static bool all_constants(struct compiler *c, const struct sf_node *n)
{
    for (uint16_t i = child(c, n, 0)->next; i != 0; i = c->b->nodes[i].next) {
        if (c->b->nodes[i].op != SF_NODE_LITERAL || c->b->nodes[i].value.null) {
            return false;
        }
    }
    return true;
}

static void emit_in(struct compiler *c, struct sf_node *n)
{
    struct sf_expr_type type = common_of(c, n);
    struct sf_node *left = child(c, n, 0);
    uint8_t class = (uint8_t)class_of(type);

    emit_as(c, left, type);
    if (all_constants(c, n)) {
        struct sf_instruction i = {SF_OP_IN_CONSTANTS, class, (uint16_t)c->constant_count, 0};

        for (uint16_t k = left->next; k != 0; k = c->b->nodes[k].next) {
            struct sf_cell value = c->b->nodes[k].value;

            sf_cell_convert(&value, c->b->nodes[k].type, type);
            (void)add_constant(c, value);
            i.c++;
        }
        put(c, i, 0);
        return;
    }
    /* What is known so far: nothing is equal. */
    put(c,
        (struct sf_instruction){.op = SF_OP_CONSTANT,
                                .b = (uint16_t)add_constant(c, (struct sf_cell){.i = 0})},
        1);
    for (uint16_t k = left->next; k != 0; k = c->b->nodes[k].next) {
        emit_as(c, &c->b->nodes[k], type);
        put(c, (struct sf_instruction){.op = SF_OP_IN_STEP, .a = class}, -1);
    }
    put(c, (struct sf_instruction){.op = SF_OP_IN_END}, -1);
}

static bool starts(struct sf_slice text, size_t at, struct sf_slice what)
{
    return what.size > 0 && text.size - at >= what.size &&
           memcmp(text.data + at, what.data, what.size) == 0;
}

static void emit_like(struct compiler *c, struct sf_node *n)
{
    struct sf_node *pattern = child(c, n, 1);
    struct sf_slice text = pattern->text;
    struct sf_slice escape = {0};
    uint16_t *items = sf_arena_calloc(&c->b->expr->arena, text.size + 1, sizeof(*items));
    size_t count = 0;

    c->b->nomem |= items == NULL;
    if (items == NULL) {
        return;
    }
    if (pattern->next != 0) {
        escape = c->b->nodes[pattern->next].text;
    }
    for (size_t i = 0; i < text.size; i++) {
        bool literal = starts(text, i, escape);

        i += literal ? escape.size : 0;
        items[count++] = literal               ? text.data[i]
                         : text.data[i] == '%' ? SF_LIKE_ANY
                         : text.data[i] == '_' ? SF_LIKE_ONE
                                               : text.data[i];
    }
    c->likes[c->like_count] = (struct sf_like){.items = items, .count = count};
    emit_as(c, child(c, n, 0), (struct sf_expr_type){.kind = SF_KIND_STRING});
    put(c, (struct sf_instruction){SF_OP_LIKE, 0, (uint16_t)c->like_count++, 0}, 0);
}

static void emit_arithmetic(struct compiler *c, struct sf_node *n)
{
    struct sf_instruction i = {SF_OP_ARITHMETIC, (uint8_t)class_of(n->type), n->type.width,
                               (uint32_t)n->op};

    for (unsigned k = 0; k < 2; k++) {
        struct sf_node *operand = child(c, n, k);
        struct sf_expr_type type = n->type;

        /* A product has the digits of both; the others are of one scale. */
        if (n->op == SF_NODE_MULTIPLY && type.kind == SF_KIND_DECIMAL) {
            type.scale = operand->type.kind == SF_KIND_DECIMAL ? operand->type.scale : 0;
        }
        emit_as(c, operand, type);
    }
    put(c, i, -1);
}

static void emit_coalesce(struct compiler *c, struct sf_node *n)
{
    size_t first = c->code_count;

    for (uint16_t i = n->first; i != 0; i = c->b->nodes[i].next) {
        emit_as(c, &c->b->nodes[i], n->type);
        if (c->b->nodes[i].next != 0) {
            put(c, (struct sf_instruction){.op = SF_OP_SKIP_PRESENT}, -1);
        }
    }
    for (size_t i = first; i < c->code_count; i++) {
        if (c->code[i].op == SF_OP_SKIP_PRESENT && c->code[i].b == 0) {
            c->code[i].b = (uint16_t)c->code_count;
        }
    }
}

static void emit_call(struct compiler *c, struct sf_node *n)
{
    struct sf_instruction i = {.op = SF_OP_CALL, .a = n->which};

    if (n->which == SF_FN_COALESCE) {
        emit_coalesce(c, n);
        return;
    }
    if (n->which == SF_FN_LEN) {
        emit(c, child(c, n, 0));
        return;
    }
    i.c = (uint32_t)child(c, n, 0)->type.kind;
    for (uint16_t k = n->first; k != 0; k = c->b->nodes[k].next) {
        emit_as(c, &c->b->nodes[k], c->b->nodes[k].type);
        i.b++;
    }
    put(c, i, 1 - (int)i.b);
}

static void emit_compared(struct compiler *c, struct sf_node *n)
{
    struct sf_expr_type type = common_of(c, n);
    uint8_t class = (uint8_t)class_of(type);

    for (uint16_t k = n->first; k != 0; k = c->b->nodes[k].next) {
        emit_as(c, &c->b->nodes[k], type);
    }
    if (n->op == SF_NODE_COMPARE) {
        put(c, (struct sf_instruction){SF_OP_COMPARE, class, n->which, 0}, -1);
    } else {
        put(c, (struct sf_instruction){SF_OP_BETWEEN, class, 0, 0}, -2);
    }
}

static void emit_operator(struct compiler *c, struct sf_node *n)
{
    switch (n->op) {
    case SF_NODE_LITERAL:
        emit_as(c, n, n->type);
        break;
    case SF_NODE_FIELD:
        put(c, (struct sf_instruction){.op = SF_OP_SLOT, .b = n->slot}, 1);
        break;
    case SF_NODE_CALLER:
        put(c, (struct sf_instruction){.op = SF_OP_CALLER, .a = n->which}, 1);
        break;
    case SF_NODE_NOT:
        emit_as(c, child(c, n, 0), n->type);
        put(c, (struct sf_instruction){.op = SF_OP_NOT}, 0);
        break;
    case SF_NODE_AND:
    case SF_NODE_OR:
        emit_both(c, n);
        break;
    case SF_NODE_COMPARE:
    case SF_NODE_BETWEEN:
        emit_compared(c, n);
        break;
    case SF_NODE_IN:
        emit_in(c, n);
        break;
    case SF_NODE_LIKE:
        emit_like(c, n);
        break;
    case SF_NODE_IS_NULL:
        emit(c, child(c, n, 0));
        put(c, (struct sf_instruction){.op = SF_OP_IS_NULL}, 0);
        break;
    case SF_NODE_NEGATE:
        emit_as(c, child(c, n, 0), n->type);
        put(c, (struct sf_instruction){.op = SF_OP_NEGATE, .a = (uint8_t)class_of(n->type)}, 0);
        break;
    case SF_NODE_ADD:
    case SF_NODE_SUBTRACT:
    case SF_NODE_MULTIPLY:
    case SF_NODE_DIVIDE:
    case SF_NODE_MODULO:
        emit_arithmetic(c, n);
        break;
    case SF_NODE_CALL:
        emit_call(c, n);
        break;
    }
}

static void emit(struct compiler *c, struct sf_node *n)
{
    emit_operator(c, n);
    if (n->negated) {
        put(c, (struct sf_instruction){.op = SF_OP_NOT}, 0);
    }
}

/* --- the whole -------------------------------------------------------------------------------- */

static bool keep(struct compiler *c)
{
    struct sf_expr_build *b = c->b;
    struct sf_arena *arena = &b->expr->arena;
    size_t code_size = c->code_count * sizeof(c->code[0]);
    size_t constant_size = c->constant_count * sizeof(c->constants[0]);
    size_t like_size = c->like_count * sizeof(c->likes[0]);
    struct sf_slice code = sf_arena_slice(arena, sf_slice_of(c->code, code_size));
    struct sf_slice constants = sf_arena_slice(arena, sf_slice_of(c->constants, constant_size));
    struct sf_slice likes = sf_arena_slice(arena, sf_slice_of(c->likes, like_size));
    struct sf_slice nodes =
        sf_arena_slice(arena, sf_slice_of(b->nodes, b->node_count * sizeof(b->nodes[0])));

    if (code.data == NULL || (constant_size > 0 && constants.data == NULL) ||
        (like_size > 0 && likes.data == NULL) || nodes.data == NULL || b->nomem) {
        b->nomem = true;
        return false;
    }
    b->expr->code = (const void *)code.data;
    b->expr->code_count = c->code_count;
    b->expr->height = c->height_max;
    b->expr->constants = (const void *)constants.data;
    b->expr->likes = (const void *)likes.data;
    b->expr->nodes = (const void *)nodes.data;
    b->expr->node_count = b->node_count;
    return true;
}

static void free_compiler(struct compiler **c)
{
    sf_free(*c);
}

bool sf_expr_compile(struct sf_expr_build *b)
{
    SF_CLEANUP(free_compiler) struct compiler *c = sf_calloc(1, sizeof(*c));

    if (c == NULL) {
        b->nomem = true;
        return false;
    }
    c->b = b;
    emit(c, &b->nodes[b->expr->root]);
    if (c->height_max > SF_EXPR_STACK_MAX) {
        sf_issues_error(b->issues, (struct sf_place){0}, SHEAF_E_EXPR_SYNTAX,
                        "the expression is nested too deep");
        return false;
    }
    return keep(c);
}
