#include "common/expr/expr.h"

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/expr/expr_private.h"

static void free_nodes(struct sf_node **nodes)
{
    sf_free(*nodes);
}

static enum sf_code read(struct sf_issues *issues, const struct sf_table *t, struct sf_expr **ret,
                         struct sf_error *err)
{
    SF_CLEANUP(sf_expr_freep) struct sf_expr *e = sf_calloc(1, sizeof(*e));
    SF_CLEANUP(free_nodes)
    struct sf_node *nodes = sf_calloc(SF_EXPR_NODES_MAX + 1, sizeof(*nodes));
    struct sf_expr_build b = {.issues = issues, .table = t, .expr = e, .nodes = nodes};
    enum sf_code code;

    if (e == NULL || nodes == NULL) {
        return SF_RAISE(err, SF_NOMEM, "%s: out of memory", issues->file);
    }
    sf_arena_init(&e->arena, 0);
    if (sf_expr_build_tree(&b) && !b.nomem && sf_expr_check_types(&b) &&
        (t == NULL || sf_expr_compile(&b))) {
        *ret = SF_TAKE(e);
        return SF_OK;
    }
    if (b.nomem) {
        return SF_RAISE(err, SF_NOMEM, "%s: out of memory", issues->file);
    }
    code = sf_issues_check(issues, err);
    return code;
}

enum sf_code sf_expr_parse(struct sf_issues *issues, const struct sf_table *t, struct sf_expr **ret,
                           struct sf_error *err)
{
    sf_assert(t != NULL);
    return read(issues, t, ret, err);
}

enum sf_code sf_expr_check(struct sf_issues *issues, struct sf_error *err)
{
    SF_CLEANUP(sf_expr_freep) struct sf_expr *e = NULL;

    return read(issues, NULL, &e, err);
}

void sf_expr_free(struct sf_expr *e)
{
    if (e != NULL) {
        sf_arena_done(&e->arena);
        sf_free(e);
    }
}

const uint32_t *sf_expr_fields(const struct sf_expr *e, size_t *ret_count)
{
    *ret_count = e->number_count;
    return e->numbers;
}

unsigned sf_expr_callers(const struct sf_expr *e)
{
    unsigned callers = 0;

    for (size_t i = 0; i < e->code_count; i++) {
        if (e->code[i].op == SF_OP_CALLER) {
            callers |= 1U << e->code[i].a;
        }
    }
    return callers;
}
