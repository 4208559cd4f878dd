/*
 * What reads a filter token by token and makes nodes of it: expr_parse.c has the tokens and nodes,
 * expr_operand.c what begins a value, expr_tree.c the operators and the whole. Nobody else includes
 * it.
 */
#pragma once

#include "common/expr/expr_private.h"

/* How strong operators bind, the strongest last. */
enum {
    SF_POWER_OR = 1,
    SF_POWER_AND,
    SF_POWER_NOT,
    SF_POWER_PREDICATE,
    SF_POWER_SUM,
    SF_POWER_TERM,
    SF_POWER_SIGN
};

struct sf_expr_parser {
    struct sf_expr_build *b;
    struct sf_token token; /* the next one */
    size_t end;            /* of the token before */
    unsigned depth;
    struct sf_slot slots[SF_EXPR_NODES_MAX + 1]; /* of the nodes that are fields; they borrow */
};

/* The text of a token. */
struct sf_slice sf_expr_token_text(const struct sf_expr_parser *p, struct sf_token t);
void sf_expr_advance(struct sf_expr_parser *p);
/* Whether the next token is this; and whether it was, and is taken. */
bool sf_expr_at_word(const struct sf_expr_parser *p, const char *word);
bool sf_expr_at_sign(const struct sf_expr_parser *p, const char *sign);
bool sf_expr_take_word(struct sf_expr_parser *p, const char *word);
bool sf_expr_take_sign(struct sf_expr_parser *p, const char *sign);

/* Each of these reports and returns 0, the node that is none. */
uint16_t sf_expr_fail_at(struct sf_expr_parser *p, struct sf_token t, const char *what);
uint16_t sf_expr_expected(struct sf_expr_parser *p, const char *what);

struct sf_node *sf_expr_node(struct sf_expr_parser *p, uint16_t index);
/* 0: there are too many. */
uint16_t sf_expr_new_node(struct sf_expr_parser *p, enum sf_node_op op, size_t from);
/* Appends a child; either may be 0, then nothing happens. Returns the parent, 0 with either. */
uint16_t sf_expr_add_child(struct sf_expr_parser *p, uint16_t parent, uint16_t child);

/* @from: of the number, or of the minus before it. */
uint16_t sf_expr_parse_number(struct sf_expr_parser *p, size_t from);
uint16_t sf_expr_parse_string(struct sf_expr_parser *p);
uint16_t sf_expr_parse_field(struct sf_expr_parser *p);
/* A literal, a field, the caller or a function. */
uint16_t sf_expr_parse_word(struct sf_expr_parser *p);
/* A list is read as the count of its elements, which is null where the list is. */
void sf_expr_read_as_length(struct sf_expr_parser *p, uint16_t index);

/* An expression whose operators bind at least as strong as @power; 0 after an error. */
uint16_t sf_expr_parse_part(struct sf_expr_parser *p, unsigned power);
