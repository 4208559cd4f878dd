#include <math.h>

#include "common/base/assert.h"
#include "common/base/time.h"
#include "common/expr/expr_private.h"

/* --- comparing -------------------------------------------------------------------------------- */

static inline int order(enum sf_cell_class class, const struct sf_cell *a, const struct sf_cell *b)
{
    switch (class) {
    case SF_CELL_INT:
        return (a->i > b->i) - (a->i < b->i);
    case SF_CELL_WIDE:
        return (a->wide > b->wide) - (a->wide < b->wide);
    case SF_CELL_DOUBLE:
        return (a->d > b->d) - (a->d < b->d);
    case SF_CELL_TEXT:
        break;
    }
    return sf_cell_order_text(a, b);
}

static inline enum sf_compare compare(enum sf_cell_class class, const struct sf_cell *a,
                                      const struct sf_cell *b)
{
    int o = order(class, a, b);

    return o < 0 ? SF_COMPARE_LESS : o > 0 ? SF_COMPARE_MORE : SF_COMPARE_EQUAL;
}

static inline void set_bool(struct sf_cell *cell, bool value)
{
    cell->null = false;
    cell->i = value;
}

/* Three values: false wins in AND, true in OR, otherwise null if one is. */
static inline void both(struct sf_cell *a, const struct sf_cell *b, bool winner)
{
    if ((!a->null && a->i == winner) || (!b->null && b->i == winner)) {
        set_bool(a, winner);
    } else if (a->null || b->null) {
        a->null = true;
    } else {
        set_bool(a, !winner);
    }
}

static void between(enum sf_cell_class class, struct sf_cell *x)
{
    struct sf_cell low = {.null = x[0].null || x[1].null};
    struct sf_cell high = {.null = x[0].null || x[2].null};

    if (!low.null) {
        low.i = compare(class, &x[0], &x[1]) != SF_COMPARE_LESS;
    }
    if (!high.null) {
        high.i = compare(class, &x[0], &x[2]) != SF_COMPARE_MORE;
    }
    both(&low, &high, false);
    x[0].null = low.null;
    x[0].i = low.i;
}

static void in_constants(const struct sf_expr *e, const struct sf_instruction *i, struct sf_cell *x)
{
    const struct sf_cell *constants = &e->constants[i->b];
    bool found = false;

    if (x->null) {
        return;
    }
    for (uint32_t k = 0; k < i->c && !found; k++) {
        found = order((enum sf_cell_class)i->a, x, &constants[k]) == 0;
    }
    set_bool(x, found);
}

/* x[0] in question, x[1] what is known so far, x[2] the next one. */
static void in_step(enum sf_cell_class class, struct sf_cell *x)
{
    struct sf_cell equal = {.null = x[0].null || x[2].null};

    if (!equal.null) {
        equal.i = order(class, &x[0], &x[2]) == 0;
    }
    both(&x[1], &equal, true);
}

/* --- computing: false is an error ------------------------------------------------------------- */

static bool compute_int(enum sf_node_op op, struct sf_cell *a, int64_t b)
{
    if (op == SF_NODE_ADD) {
        return !__builtin_add_overflow(a->i, b, &a->i);
    }
    if (op == SF_NODE_SUBTRACT) {
        return !__builtin_sub_overflow(a->i, b, &a->i);
    }
    if (op == SF_NODE_MULTIPLY) {
        return !__builtin_mul_overflow(a->i, b, &a->i);
    }
    if (b == 0) {
        a->null = true;
        return true;
    }
    if (b == -1 && a->i == INT64_MIN) {
        return false;
    }
    a->i %= b;
    return true;
}

static bool fits(__int128 value, unsigned digits)
{
    __int128 limit = sf_wide_power(digits);

    return value < limit && value > -limit;
}

static bool compute_wide(enum sf_node_op op, unsigned digits, struct sf_cell *a, __int128 b)
{
    bool overflow;

    if (op == SF_NODE_MULTIPLY) {
        overflow = __builtin_mul_overflow(a->wide, b, &a->wide);
    } else if (op == SF_NODE_ADD) {
        overflow = __builtin_add_overflow(a->wide, b, &a->wide);
    } else {
        overflow = __builtin_sub_overflow(a->wide, b, &a->wide);
    }
    return !overflow && fits(a->wide, digits);
}

static bool compute_double(enum sf_node_op op, struct sf_cell *a, double b)
{
    if (op == SF_NODE_ADD) {
        a->d += b;
    } else if (op == SF_NODE_SUBTRACT) {
        a->d -= b;
    } else if (op == SF_NODE_MULTIPLY) {
        a->d *= b;
    } else if (b == 0) {
        a->null = true;
        return true;
    } else {
        a->d /= b;
    }
    return isfinite(a->d);
}

static bool arithmetic(const struct sf_instruction *i, struct sf_cell *x)
{
    enum sf_node_op op = (enum sf_node_op)i->c;

    if (x[0].null || x[1].null) {
        x[0].null = true;
        return true;
    }
    if (i->a == SF_CELL_INT) {
        return compute_int(op, x, x[1].i);
    }
    return i->a == SF_CELL_WIDE ? compute_wide(op, i->b, x, x[1].wide)
                                : compute_double(op, x, x[1].d);
}

static bool negate(enum sf_cell_class class, struct sf_cell *x)
{
    if (x->null) {
        return true;
    }
    if (class == SF_CELL_INT) {
        return !__builtin_sub_overflow(0, x->i, &x->i);
    }
    if (class == SF_CELL_WIDE) {
        x->wide = -x->wide;
    } else {
        x->d = -x->d;
    }
    return true;
}

static int64_t date_part(enum sf_function part, const struct sf_instruction *i, int64_t value)
{
    struct sf_civil civil = i->c == SF_KIND_DATE ? sf_civil_of_days(value) : sf_civil_of_us(value);

    return part == SF_FN_YEAR    ? civil.year
           : part == SF_FN_MONTH ? civil.month
           : part == SF_FN_DAY   ? civil.day
                                 : civil.hour;
}

static bool call(const struct sf_instruction *i, struct sf_cell *x)
{
    for (uint16_t k = 0; k < i->b; k++) {
        if (x[k].null) {
            x[0].null = true;
            return true;
        }
    }
    switch ((enum sf_function)i->a) {
    case SF_FN_LOWER:
        x->fold = SF_FOLD_LOWER;
        return true;
    case SF_FN_UPPER:
        x->fold = SF_FOLD_UPPER;
        return true;
    case SF_FN_LENGTH:
        x->i = i->c == SF_KIND_BYTES ? (int64_t)x->s.size : sf_text_length(x->s);
        return true;
    case SF_FN_SUBSTR:
        return sf_text_substr(&x->s, x[1].i, i->b == 3 ? &x[2].i : NULL);
    case SF_FN_COALESCE: /* is SF_OP_SKIP_PRESENT */
    case SF_FN_LEN:      /* is its argument */
        return false;
    case SF_FN_YEAR:
    case SF_FN_MONTH:
    case SF_FN_DAY:
    case SF_FN_HOUR:
        break;
    }
    x->i = date_part((enum sf_function)i->a, i, x->i);
    return true;
}

static void push_caller(unsigned which, const struct sf_expr_caller *caller, struct sf_cell *x)
{
    x->s = which == 0 ? caller->domain : which == 1 ? caller->role : caller->purpose;
    x->null = x->s.data == NULL;
    x->fold = SF_FOLD_NONE;
}

/* False: more digits than there may be. */
static bool convert(const struct sf_instruction *i, struct sf_cell *x)
{
    if (x->null) {
        return true;
    }
    if (i->op == SF_OP_INT_TO_WIDE) {
        x->wide = x->i * sf_wide_power(i->a);
        return i->b == 0 || fits(x->wide, i->b);
    }
    if (i->op == SF_OP_WIDE_SHIFT) {
        x->wide *= sf_wide_power(i->a);
        return i->b == 0 || fits(x->wide, i->b);
    }
    if (i->op == SF_OP_INT_TO_DOUBLE) {
        x->d = (double)x->i;
    } else if (i->op == SF_OP_WIDE_TO_DOUBLE) {
        x->d = sf_wide_to_double(x->wide, i->a);
    } else {
        x->i *= SF_US_PER_DAY;
    }
    return true;
}

/* --- the machine ------------------------------------------------------------------------------ */

struct machine {
    const struct sf_expr *e;
    const struct sf_expr_caller *caller;
    const struct sf_cell *slots;
    int64_t like_steps; /* left */
};

/* What works on the top of the stack only; false is an error. */
static bool run_one(struct machine *m, const struct sf_instruction *i, struct sf_cell *top)
{
    bool like = false;

    if (i->op == SF_OP_NOT) {
        top->i = !top->i;
    } else if (i->op == SF_OP_IN_CONSTANTS) {
        in_constants(m->e, i, top);
    } else if (i->op == SF_OP_IS_NULL) {
        set_bool(top, top->null);
    } else if (i->op == SF_OP_NEGATE) {
        return negate((enum sf_cell_class)i->a, top);
    } else if (i->op != SF_OP_LIKE) {
        return convert(i, top);
    } else if (!top->null) {
        if (!sf_text_like(&m->e->likes[i->b], top, &m->like_steps, &like)) {
            return false;
        }
        top->i = like;
    }
    return true;
}

/* Runs to the end; the last cell is the answer. False is an error. */
static bool run(struct machine *m, struct sf_cell *top)
{
    const struct sf_instruction *code = m->e->code;

    top--; /* the stack is empty */
    for (const struct sf_instruction *i = code; i < code + m->e->code_count; i++) {
        switch ((enum sf_op)i->op) {
        case SF_OP_CONSTANT:
            *++top = m->e->constants[i->b];
            break;
        case SF_OP_SLOT:
            *++top = m->slots[i->b];
            break;
        case SF_OP_CALLER:
            push_caller(i->a, m->caller, ++top);
            break;
        case SF_OP_COMPARE:
            top--;
            top->null = top->null || top[1].null;
            if (!top->null) {
                top->i = (compare((enum sf_cell_class)i->a, top, top + 1) & i->b) != 0;
            }
            break;
        case SF_OP_AND:
        case SF_OP_OR:
            top--;
            both(top, top + 1, i->op == SF_OP_OR);
            break;
        case SF_OP_SKIP_FALSE:
        case SF_OP_SKIP_TRUE:
            if (!top->null && top->i == (i->op == SF_OP_SKIP_TRUE)) {
                i = code + i->b - 1;
            }
            break;
        case SF_OP_SKIP_PRESENT:
            if (!top->null) {
                i = code + i->b - 1;
            } else {
                top--;
            }
            break;
        case SF_OP_BETWEEN:
            top -= 2;
            between((enum sf_cell_class)i->a, top);
            break;
        case SF_OP_IN_STEP:
            top--;
            in_step((enum sf_cell_class)i->a, top - 1);
            break;
        case SF_OP_IN_END:
            top--;
            *top = top[1];
            break;
        case SF_OP_ARITHMETIC:
            top--;
            if (!arithmetic(i, top)) {
                return false;
            }
            break;
        case SF_OP_CALL:
            top -= i->b - 1;
            if (!call(i, top)) {
                return false;
            }
            break;
        case SF_OP_NOT:
        case SF_OP_IS_NULL:
        case SF_OP_IN_CONSTANTS:
        case SF_OP_LIKE:
        case SF_OP_NEGATE:
        case SF_OP_INT_TO_WIDE:
        case SF_OP_WIDE_SHIFT:
        case SF_OP_INT_TO_DOUBLE:
        case SF_OP_WIDE_TO_DOUBLE:
        case SF_OP_DATE_TO_TIME:
            if (!run_one(m, i, top)) {
                return false;
            }
            break;
        }
    }
    return true;
}

enum sf_expr_result sf_expr_run(const struct sf_expr *e, struct sf_slice row,
                                const struct sf_expr_caller *caller)
{
    struct sf_cell slots[SF_EXPR_NODES_MAX];
    struct sf_cell stack[1 + SF_EXPR_STACK_MAX];
    struct machine m = {
        .e = e, .caller = caller, .slots = slots, .like_steps = SF_EXPR_LIKE_STEPS_MAX};

    /* What a null holds is never used, but it may be copied. */
    memset(slots, 0, e->slot_count * sizeof(slots[0]));
    memset(stack, 0, (1 + e->height) * sizeof(stack[0]));
    if (!sf_expr_read_slots(e, row, slots) || !run(&m, stack + 1)) {
        return SF_EXPR_ERROR;
    }
    if (stack[1].null) {
        return SF_EXPR_NULL;
    }
    return stack[1].i != 0 ? SF_EXPR_TRUE : SF_EXPR_FALSE;
}
