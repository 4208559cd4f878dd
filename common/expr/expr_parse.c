#include "common/expr/expr_parse.h"

#include "proto/errors.h"

/* --- tokens ----------------------------------------------------------------------------------- */

struct sf_slice sf_expr_token_text(const struct sf_expr_parser *p, struct sf_token t)
{
    return sf_slice_of(p->b->issues->source.data + t.from, t.to - t.from);
}

void sf_expr_advance(struct sf_expr_parser *p)
{
    p->end = p->token.to;
    p->token = sf_expr_next_token(p->b->issues, p->token.to);
}

bool sf_expr_at_word(const struct sf_expr_parser *p, const char *word)
{
    return p->token.kind == SF_TOKEN_NAME &&
           sf_expr_same_word(sf_expr_token_text(p, p->token), word);
}

bool sf_expr_at_sign(const struct sf_expr_parser *p, const char *sign)
{
    return p->token.kind == SF_TOKEN_SIGN &&
           sf_slice_equal(sf_expr_token_text(p, p->token), sf_slice_text(sign));
}

bool sf_expr_take_word(struct sf_expr_parser *p, const char *word)
{
    if (!sf_expr_at_word(p, word)) {
        return false;
    }
    sf_expr_advance(p);
    return true;
}

bool sf_expr_take_sign(struct sf_expr_parser *p, const char *sign)
{
    if (!sf_expr_at_sign(p, sign)) {
        return false;
    }
    sf_expr_advance(p);
    return true;
}

uint16_t sf_expr_fail_at(struct sf_expr_parser *p, struct sf_token t, const char *what)
{
    if (t.kind != SF_TOKEN_WRONG) {
        sf_issues_error(p->b->issues, sf_expr_place(p->b->issues, t.from, t.to),
                        SHEAF_E_EXPR_SYNTAX, "%s", what);
    }
    return 0;
}

uint16_t sf_expr_expected(struct sf_expr_parser *p, const char *what)
{
    struct sf_slice found = sf_expr_token_text(p, p->token);

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

struct sf_node *sf_expr_node(struct sf_expr_parser *p, uint16_t index)
{
    return &p->b->nodes[index];
}

uint16_t sf_expr_new_node(struct sf_expr_parser *p, enum sf_node_op op, size_t from)
{
    uint16_t index = p->b->node_count;

    if (index > SF_EXPR_NODES_MAX) {
        struct sf_token all = {.kind = SF_TOKEN_NAME, .from = from, .to = p->end};

        return sf_expr_fail_at(p, all, "the expression has more than 256 parts");
    }
    p->b->node_count++;
    *sf_expr_node(p, index) =
        (struct sf_node){.op = op, .from = (uint16_t)from, .to = (uint16_t)p->end};
    return index;
}

uint16_t sf_expr_add_child(struct sf_expr_parser *p, uint16_t parent, uint16_t child)
{
    uint16_t *link;

    if (parent == 0 || child == 0) {
        return 0;
    }
    link = &sf_expr_node(p, parent)->first;
    while (*link != 0) {
        link = &sf_expr_node(p, *link)->next;
    }
    *link = child;
    sf_expr_node(p, parent)->to = (uint16_t)p->end;
    return parent;
}
