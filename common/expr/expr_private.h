/* The tree and the program of a filter, for the files of this directory and for tests. */
#pragma once

#include "common/expr/expr.h"
#include "common/wire/pbwire.h"

enum sf_kind {
    SF_KIND_WRONG, /* an error was reported: nothing more is said about what depends on it */
    SF_KIND_NULL,
    SF_KIND_BOOL,
    SF_KIND_INT, /* 64 bits */
    SF_KIND_DECIMAL,
    SF_KIND_DOUBLE,
    SF_KIND_STRING,
    SF_KIND_BYTES,
    SF_KIND_DATE,
    SF_KIND_TIMESTAMP,
    SF_KIND_UUID,
};

/* Digits of a decimal: those of a column fit into 64 bits, results go up to 38. */
enum { SF_WIDE_DIGITS_MAX = 38, SF_INT_DIGITS = 19 };

struct sf_expr_type {
    enum sf_kind kind;
    uint8_t width; /* decimal: digits in all and behind the point */
    uint8_t scale;
};

/* How letters of a string are to be seen, so that lower() and upper() copy nothing. */
enum sf_fold { SF_FOLD_NONE, SF_FOLD_LOWER, SF_FOLD_UPPER };

/* A value while a filter runs. */
struct sf_cell {
    bool null;
    enum sf_fold fold; /* string */
    union {
        int64_t i; /* bool, int, date, timestamp */
        double d;
        __int128 wide;     /* decimal, unscaled */
        struct sf_slice s; /* string, bytes, uuid */
    };
};

enum sf_compare { SF_COMPARE_LESS = 1, SF_COMPARE_EQUAL = 2, SF_COMPARE_MORE = 4 };

enum sf_node_op {
    SF_NODE_LITERAL,
    SF_NODE_FIELD,  /* which: index into the slots */
    SF_NODE_CALLER, /* which: 0 domain, 1 role, 2 purpose */
    SF_NODE_NOT,
    SF_NODE_AND,
    SF_NODE_OR,
    SF_NODE_COMPARE, /* which: bits of enum sf_compare */
    SF_NODE_IN,
    SF_NODE_BETWEEN,
    SF_NODE_LIKE, /* second child: the pattern; a third: the escape character */
    SF_NODE_IS_NULL,
    SF_NODE_NEGATE,
    SF_NODE_ADD,
    SF_NODE_SUBTRACT,
    SF_NODE_MULTIPLY,
    SF_NODE_DIVIDE,
    SF_NODE_MODULO,
    SF_NODE_CALL, /* which: enum sf_function */
};

enum sf_function {
    SF_FN_LOWER,
    SF_FN_UPPER,
    SF_FN_LENGTH,
    SF_FN_SUBSTR,
    SF_FN_COALESCE,
    SF_FN_YEAR,
    SF_FN_MONTH,
    SF_FN_DAY,
    SF_FN_HOUR,
    SF_FN_LEN, /* its argument is a slot with is_length, and the value */
};

struct sf_node {
    enum sf_node_op op;
    bool negated;   /* NOT IN, NOT BETWEEN, NOT LIKE, IS NOT NULL */
    uint8_t which;  /* see enum sf_node_op */
    uint16_t slot;  /* field */
    uint16_t first; /* child; 0: none */
    uint16_t next;  /* sibling; 0: none */
    uint16_t from;  /* the place in the text: bytes from .. to-1 */
    uint16_t to;
    struct sf_expr_type type; /* of the value; of a literal, as what its surroundings took it */
    struct sf_cell value;     /* literal */
    struct sf_slice text; /* string literal as written, without quotes; also when it is a date */
};

/* A step to a value inside a field; the first is the field itself. */
struct sf_path_step {
    const char *name;  /* of a member; NULL: an element */
    uint32_t number;   /* of the member; of the element, counted from 1 */
    enum sf_type type; /* of what is there */
    enum sf_type item; /* when that is a list: of its elements */
};

enum { SF_EXPR_STEPS_MAX = 2 * SF_STRUCT_DEPTH_MAX + 2 };

/* A field the filter reads, or a value inside one; the type is of that value. */
struct sf_slot {
    const struct sf_path_step *steps;
    uint8_t step_count; /* 0: the field itself, which is a scalar */
    bool is_length;     /* how many elements the list at the end has */
    bool is_plain;      /* the field itself, and the only slot of it */
    uint32_t number;    /* of the field */
    enum sf_type type;
    uint8_t precision;
    uint8_t scale;
    int64_t limit; /* decimal: every value is below it, unscaled */
    const char *name;
};

enum sf_op {
    SF_OP_CONSTANT,    /* b: index */
    SF_OP_SLOT,        /* b: index */
    SF_OP_CALLER,      /* a: which */
    SF_OP_INT_TO_WIDE, /* a: power of ten, b: digits it must have at most; 0: it has */
    SF_OP_WIDE_SHIFT,  /* the same */
    SF_OP_INT_TO_DOUBLE,
    SF_OP_WIDE_TO_DOUBLE, /* a: scale */
    SF_OP_DATE_TO_TIME,
    SF_OP_NOT,
    SF_OP_AND,
    SF_OP_OR,
    SF_OP_SKIP_FALSE,   /* b: where to go on when the top is false; it stays */
    SF_OP_SKIP_TRUE,    /* b: the same for true */
    SF_OP_SKIP_PRESENT, /* b: the same for anything but null, which is dropped */
    SF_OP_COMPARE,      /* a: class, b: bits of enum sf_compare */
    SF_OP_BETWEEN,      /* a: class */
    SF_OP_IN_STEP,      /* a: class; below the top: the value, and what is known so far */
    SF_OP_IN_END,
    SF_OP_IN_CONSTANTS, /* a: class, b: first constant, c: how many; none of them null */
    SF_OP_LIKE,         /* b: pattern */
    SF_OP_IS_NULL,
    SF_OP_NEGATE,     /* a: class, b: digits */
    SF_OP_ARITHMETIC, /* a: class, b: digits of a decimal, c: enum sf_node_op */
    SF_OP_CALL,       /* a: enum sf_function, b: count of arguments, c: enum sf_kind of the first */
};

/* What decides how two cells compare and compute. */
enum sf_cell_class { SF_CELL_INT, SF_CELL_WIDE, SF_CELL_DOUBLE, SF_CELL_TEXT };

struct sf_instruction {
    uint8_t op; /* enum sf_op */
    uint8_t a;
    uint16_t b;
    uint32_t c;
};

/* A pattern of LIKE: bytes of text (0..255), and two that stand for more. */
enum { SF_LIKE_ONE = 256, SF_LIKE_ANY = 257 };

struct sf_like {
    const uint16_t *items;
    size_t count;
};

enum { SF_EXPR_STACK_MAX = 256 };

struct sf_expr {
    struct sf_arena arena; /* owns everything below */
    const struct sf_node *nodes;
    uint16_t node_count;
    uint16_t root;
    const struct sf_slot *slots; /* ascending numbers; those of one field stand together */
    size_t slot_count;
    const uint32_t *numbers; /* of the slots, each once */
    size_t number_count;
    const struct sf_instruction *code;
    size_t code_count;
    size_t height; /* cells the program has on its stack at most */
    const struct sf_cell *constants;
    const struct sf_like *likes;
};

/* --- expr_words.c ------------------------------------------------------------------------------
 */

enum { SF_FUNCTIONS = SF_FN_LEN + 1, SF_CALLER_NAMES = 3 };

struct sf_expr_function {
    const char *name;
    uint8_t args_min;
    uint8_t args_max; /* 0: no limit */
};
extern const struct sf_expr_function sf_expr_functions[SF_FUNCTIONS];
extern const char *const sf_expr_caller_names[SF_CALLER_NAMES];
/* Without looking at case; @wanted is lower. */
bool sf_expr_same_word(struct sf_slice word, const char *wanted);
bool sf_expr_is_keyword(struct sf_slice word);

/* --- expr_lex.c ------------------------------------------------------------------------------- */

enum sf_token_kind {
    SF_TOKEN_END,
    SF_TOKEN_NAME,   /* word, also a keyword */
    SF_TOKEN_QUOTED, /* "name" */
    SF_TOKEN_NUMBER,
    SF_TOKEN_STRING,
    SF_TOKEN_SIGN,  /* ( ) , . + - * / % = <> != < <= > >= */
    SF_TOKEN_WRONG, /* reported */
};

struct sf_token {
    enum sf_token_kind kind;
    size_t from; /* bytes of the text */
    size_t to;
};

/* Reads the token at or behind @at. */
struct sf_token sf_expr_next_token(struct sf_issues *issues, size_t at);
/* The place of the bytes @from .. @to-1. */
struct sf_place sf_expr_place(const struct sf_issues *issues, size_t from, size_t to);

/* --- expr_tree.c, expr_types.c, expr_compile.c ------------------------------------------------ */

/* A filter under construction. */
struct sf_expr_build {
    struct sf_issues *issues;
    const struct sf_table *table; /* NULL: any, so that fields have no types */
    struct sf_expr *expr;
    struct sf_node *nodes; /* SF_EXPR_NODES_MAX + 1, the first is unused */
    uint16_t node_count;
    bool nomem;
};

/* The contents of a quoted token, with doubled quotes single. */
struct sf_slice sf_expr_unquote(struct sf_expr_build *b, struct sf_token t);
/* Type and value of the text of a number; returns what is wrong with it, or NULL. */
const char *sf_expr_read_number(struct sf_slice text, struct sf_node *ret);

/* Each reports into b->issues and returns false when it did, or when there is no memory. */
bool sf_expr_build_tree(struct sf_expr_build *b);
bool sf_expr_check_types(struct sf_expr_build *b);
bool sf_expr_compile(struct sf_expr_build *b);

/* What both sides of a comparison become; kind WRONG: they do not compare. */
struct sf_expr_type sf_expr_common_type(struct sf_expr_type a, struct sf_expr_type b);
/* The type of a decimal column or "decimal(12,2)", "integer", ... into @ret (at least 24 bytes). */
void sf_expr_type_text(struct sf_expr_type type, char *ret, size_t size);
/* Makes @cell, a literal of type @from, one of type @to, which it can be without loss or error. No
 * literal is a date beside timestamps: it was read as one of those. */
void sf_cell_convert(struct sf_cell *cell, struct sf_expr_type from, struct sf_expr_type to);
__int128 sf_wide_power(unsigned digits);
double sf_wide_to_double(__int128 value, unsigned scale);

/* --- expr_path.c ------------------------------------------------------------------------------ */

/* Reports that @name at @t is no field of @table, which is a "table" or a "struct". */
void sf_expr_report_field(struct sf_expr_build *b, const struct sf_table *table, const char *what,
                          struct sf_token t, struct sf_slice name);
/* Takes over what the slot reads from the field, or the element of a list. */
void sf_slot_set_type(struct sf_slot *s, const struct sf_field *f);
/* Makes the expression's slots of those of the nodes, which borrow, and numbers the nodes. */
bool sf_expr_settle_slots(struct sf_expr_build *b, const struct sf_slot *of_nodes);
/* The value of a path that ends at @step: null, or no elements. */
void sf_slot_absent(const struct sf_slot *s, size_t step, struct sf_cell *ret);
/* Fills the cells of @count slots, all of the field behind @tag. False: it is no field of a row. */
bool sf_expr_read_paths(const struct sf_slot *slots, size_t count, const uint8_t *tag,
                        enum sf_pb_wire wire, struct sf_pb_reader r, struct sf_cell *ret);

/* --- expr_row.c, expr_text.c ------------------------------------------------------------------ */

/* Fills one cell per slot from the row; false when the bytes are no row of the table. */
bool sf_expr_read_slots(const struct sf_expr *e, struct sf_slice row, struct sf_cell *ret);

/* A scalar of the slot's type. */
bool sf_slot_read(const struct sf_slot *s, enum sf_pb_wire wire, struct sf_pb_reader *r,
                  struct sf_cell *ret);

int sf_cell_order_text(const struct sf_cell *a, const struct sf_cell *b);
int64_t sf_text_length(struct sf_slice s);
/* False: positions out of range. */
bool sf_text_substr(struct sf_slice *s, int64_t start, const int64_t *length);
/* Takes from *steps; false when there are none left. */
bool sf_text_like(const struct sf_like *like, const struct sf_cell *s, int64_t *steps, bool *ret);
