#include "tests/lib/expr_sql.h"

#include <stdio.h>

#include "common/base/decimal.h"
#include "common/contract/value.h"

static void node(const struct sf_expr *e, const struct sf_node *n, struct sf_buf *out);

static void quoted(struct sf_slice text, struct sf_buf *out)
{
    sf_buf_byte(out, '\'');
    for (size_t i = 0; i < text.size; i++) {
        sf_buf_byte(out, text.data[i]);
        if (text.data[i] == '\'') {
            sf_buf_byte(out, '\'');
        }
    }
    sf_buf_byte(out, '\'');
}

/* --- values ----------------------------------------------------------------------------------- */

static void value(enum sf_type type, unsigned precision, unsigned scale, const struct sf_value *v,
                  struct sf_buf *out)
{
    char text[64];

    switch (type) {
    case SF_TYPE_BOOL:
        sf_buf_text(out, v->i != 0 ? "true" : "false");
        break;
    case SF_TYPE_INT32:
    case SF_TYPE_INT64:
        sf_buf_printf(out, "CAST('%lld' AS BIGINT)", (long long)v->i);
        break;
    case SF_TYPE_FLOAT:
    case SF_TYPE_DOUBLE:
        sf_buf_printf(out, "CAST('%.17g' AS DOUBLE)", v->d);
        break;
    case SF_TYPE_DECIMAL:
        sf_decimal_format(v->i, scale, text);
        sf_buf_printf(out, "CAST('%s' AS DECIMAL(%u,%u))", text, precision, scale);
        break;
    case SF_TYPE_STRING:
        sf_buf_text(out, "CAST(");
        quoted(v->s, out);
        sf_buf_text(out, " AS VARCHAR)");
        break;
    case SF_TYPE_BYTES:
        sf_buf_text(out, "CAST('");
        for (size_t i = 0; i < v->s.size; i++) {
            sf_buf_printf(out, "\\x%02X", v->s.data[i]);
        }
        sf_buf_text(out, "' AS BLOB)");
        break;
    case SF_TYPE_DATE:
        sf_buf_printf(out, "(DATE '1970-01-01' + CAST(%lld AS INTEGER))", (long long)v->i);
        break;
    case SF_TYPE_TIMESTAMP:
        sf_buf_printf(out, "make_timestamp(CAST('%lld' AS BIGINT))", (long long)v->i);
        break;
    case SF_TYPE_UUID:
        sf_uuid_format(v->s.data, text);
        sf_buf_printf(out, "CAST('%s' AS UUID)", text);
        break;
    case SF_TYPE_DECIMAL_WIDE:
        sf_decimal_wide_format(v->s.data, scale, text);
        sf_buf_printf(out, "CAST('%s' AS DECIMAL(%u,%u))", text, precision, scale);
        break;
    case SF_TYPE_JSON:
    case SF_TYPE_LIST:
    case SF_TYPE_STRUCT:
        break;
    }
}

static void literal(const struct sf_node *n, struct sf_buf *out)
{
    static const enum sf_type types[] = {
        [SF_KIND_BOOL] = SF_TYPE_BOOL,       [SF_KIND_INT] = SF_TYPE_INT64,
        [SF_KIND_DECIMAL] = SF_TYPE_DECIMAL, [SF_KIND_DOUBLE] = SF_TYPE_DOUBLE,
        [SF_KIND_STRING] = SF_TYPE_STRING,   [SF_KIND_BYTES] = SF_TYPE_BYTES,
        [SF_KIND_DATE] = SF_TYPE_DATE,       [SF_KIND_TIMESTAMP] = SF_TYPE_TIMESTAMP,
        [SF_KIND_UUID] = SF_TYPE_UUID,
    };
    struct sf_value v = {.present = true};

    if (n->value.null) {
        sf_buf_text(out, "NULL");
        return;
    }
    if (n->type.kind == SF_KIND_DECIMAL) {
        v.i = (int64_t)n->value.wide;
    } else if (n->type.kind == SF_KIND_DOUBLE) {
        v.d = n->value.d;
    } else if (n->type.kind == SF_KIND_STRING || n->type.kind == SF_KIND_UUID) {
        v.s = n->value.s;
    } else {
        v.i = n->value.i;
    }
    value(types[n->type.kind], n->type.width, n->type.scale, &v, out);
}

static const char *column_type(const struct sf_field *f, char *ret, size_t size)
{
    static const char *const names[] = {
        [SF_TYPE_BOOL] = "BOOLEAN",        [SF_TYPE_INT32] = "INTEGER", [SF_TYPE_INT64] = "BIGINT",
        [SF_TYPE_FLOAT] = "FLOAT",         [SF_TYPE_DOUBLE] = "DOUBLE", [SF_TYPE_DECIMAL] = "",
        [SF_TYPE_STRING] = "VARCHAR",      [SF_TYPE_BYTES] = "BLOB",    [SF_TYPE_DATE] = "DATE",
        [SF_TYPE_TIMESTAMP] = "TIMESTAMP", [SF_TYPE_UUID] = "UUID",
    };

    if (f->type != SF_TYPE_DECIMAL) {
        return names[f->type];
    }
    (void)snprintf(ret, size, "DECIMAL(%u,%u)", f->precision, f->scale);
    return ret;
}

void expr_sql_create(const struct sf_table *t, struct sf_buf *out)
{
    char text[32];

    sf_buf_text(out, "CREATE OR REPLACE TABLE t (");
    for (size_t i = 0; i < t->field_count; i++) {
        sf_buf_printf(out, "\"%s\" %s, ", t->fields[i].name,
                      column_type(&t->fields[i], text, sizeof(text)));
    }
    sf_buf_text(out, "\"caller.domain\" VARCHAR, \"caller.role\" VARCHAR, "
                     "\"caller.purpose\" VARCHAR, \"null\" VARCHAR, \"zero\" BIGINT)");
}

void expr_sql_row(const struct sf_table *t, const struct sf_value *row,
                  const struct sf_expr_caller *caller, struct sf_buf *out)
{
    const struct sf_slice *callers[] = {&caller->domain, &caller->role, &caller->purpose};

    sf_buf_byte(out, '(');
    for (size_t i = 0; i < t->field_count; i++) {
        const struct sf_field *f = &t->fields[i];

        if (row[i].present) {
            value(f->type, f->precision, f->scale, &row[i], out);
        } else {
            sf_buf_text(out, "NULL");
        }
        sf_buf_text(out, ", ");
    }
    for (size_t i = 0; i < SF_COUNT(callers); i++) {
        if (callers[i]->data == NULL) {
            sf_buf_text(out, "NULL");
        } else {
            quoted(*callers[i], out);
        }
        sf_buf_text(out, ", ");
    }
    sf_buf_text(out, "NULL, 0)");
}

/* --- expressions ------------------------------------------------------------------------------ */

static void list(const struct sf_expr *e, uint16_t first, const char *between, struct sf_buf *out)
{
    for (uint16_t i = first; i != 0; i = e->nodes[i].next) {
        sf_buf_text(out, i == first ? "" : between);
        node(e, &e->nodes[i], out);
    }
}

/* All children, @between them, in parentheses. */
static void group(const struct sf_expr *e, const struct sf_node *n, const char *between,
                  struct sf_buf *out)
{
    sf_buf_byte(out, '(');
    list(e, n->first, between, out);
    sf_buf_byte(out, ')');
}

/*
 * An argument of a function or of arithmetic, where a bare NULL gets a type, that of @beside.
 * DuckDB answers NULL where an argument is constantly NULL without computing those behind it; a
 * column that happens to be NULL does not change what is an error.
 */
static void operand(const struct sf_expr *e, const struct sf_node *n, struct sf_expr_type beside,
                    struct sf_buf *out)
{
    if (n->type.kind != SF_KIND_NULL) {
        node(e, n, out);
    } else if (beside.kind == SF_KIND_DECIMAL) {
        sf_buf_printf(out, "CAST(\"null\" AS DECIMAL(%u,%u))", beside.width, beside.scale);
    } else {
        sf_buf_printf(out, "CAST(\"null\" AS %s)",
                      beside.kind == SF_KIND_DOUBLE   ? "DOUBLE"
                      : beside.kind == SF_KIND_STRING ? "VARCHAR"
                                                      : "BIGINT");
    }
}

/* A lambda names the value once, so that nothing is computed twice. */
static void finite_only(const struct sf_expr *e, const struct sf_node *n, const char *sign,
                        struct sf_buf *out)
{
    const struct sf_node *left = &e->nodes[n->first];
    const struct sf_node *right = &e->nodes[left->next];

    sf_buf_text(out, "list_transform([CAST(");
    operand(e, left, right->type, out);
    sf_buf_printf(out, " AS DOUBLE) %s ", sign);
    if (n->op == SF_NODE_DIVIDE) {
        /* With a column in it, a division by a constant zero is not constantly NULL. */
        sf_buf_text(out, "list_transform([CAST(");
        operand(e, right, left->type, out);
        sf_buf_text(out, " AS DOUBLE) + \"zero\"], "
                         "lambda z: CASE WHEN z = 0 THEN NULL ELSE z END)[1]");
    } else {
        sf_buf_text(out, "CAST(");
        operand(e, right, left->type, out);
        sf_buf_text(out, " AS DOUBLE)");
    }
    sf_buf_text(out, "], lambda v: CASE WHEN isfinite(v) THEN v "
                     "ELSE CAST(CAST(v AS VARCHAR) AS BIGINT) END)[1]");
}

static void arithmetic(const struct sf_expr *e, const struct sf_node *n, const char *sign,
                       struct sf_buf *out)
{
    const struct sf_node *left = &e->nodes[n->first];
    const struct sf_node *right = &e->nodes[left->next];

    if (n->type.kind == SF_KIND_DOUBLE) {
        finite_only(e, n, sign, out);
        return;
    }
    sf_buf_text(out, n->op == SF_NODE_MODULO ? "((" : "(");
    operand(e, left, right->type, out);
    if (n->op == SF_NODE_MODULO) {
        sf_buf_text(out, " + \"zero\")");
    }
    sf_buf_printf(out, " %s ", sign);
    operand(e, right, left->type, out);
    sf_buf_byte(out, ')');
}

static void field(const struct sf_slot *s, struct sf_buf *out)
{
    const char *type = s->type == SF_TYPE_INT32   ? "BIGINT"
                       : s->type == SF_TYPE_FLOAT ? "DOUBLE"
                                                  : NULL;

    sf_buf_printf(out, type == NULL ? "\"%s\"" : "CAST(\"%s\" AS ", s->name);
    if (type != NULL) {
        sf_buf_printf(out, "%s)", type);
    }
}

static void call(const struct sf_expr *e, const struct sf_node *n, struct sf_buf *out)
{
    static const char *const small = "abcdefghijklmnopqrstuvwxyz";
    static const char *const large = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const struct sf_node *first = &e->nodes[n->first];
    bool bytes = first->type.kind == SF_KIND_BYTES;

    if (first->type.kind == SF_KIND_NULL && n->which != SF_FN_COALESCE) {
        operand(e, first, n->type, out); /* DuckDB would not know which function is meant */
        return;
    }
    if (n->which == SF_FN_LOWER || n->which == SF_FN_UPPER) {
        sf_buf_text(out, "translate(");
        node(e, first, out);
        sf_buf_printf(out, ", '%s', '%s')", n->which == SF_FN_LOWER ? large : small,
                      n->which == SF_FN_LOWER ? small : large);
        return;
    }
    if (n->which == SF_FN_SUBSTR) {
        sf_buf_text(out, "substr(");
        operand(e, first, (struct sf_expr_type){.kind = SF_KIND_STRING}, out);
        for (uint16_t i = first->next; i != 0; i = e->nodes[i].next) {
            sf_buf_text(out, ", ");
            operand(e, &e->nodes[i], (struct sf_expr_type){.kind = SF_KIND_INT}, out);
        }
        sf_buf_byte(out, ')');
        return;
    }
    sf_buf_text(out, bytes && n->which == SF_FN_LENGTH ? "octet_length"
                                                       : sf_expr_functions[n->which].name);
    group(e, n, ", ", out);
}

static const char *compare_sign(unsigned bits)
{
    return bits == SF_COMPARE_LESS                        ? " < "
           : bits == SF_COMPARE_EQUAL                     ? " = "
           : bits == SF_COMPARE_MORE                      ? " > "
           : bits == (SF_COMPARE_LESS | SF_COMPARE_EQUAL) ? " <= "
           : bits == (SF_COMPARE_MORE | SF_COMPARE_EQUAL) ? " >= "
                                                          : " <> ";
}

static void predicate(const struct sf_expr *e, const struct sf_node *n, struct sf_buf *out)
{
    const struct sf_node *left = &e->nodes[n->first];
    const struct sf_node *second = &e->nodes[left->next];

    sf_buf_byte(out, '(');
    node(e, left, out);
    if (n->op == SF_NODE_IS_NULL) {
        sf_buf_text(out, n->negated ? " IS NOT NULL" : " IS NULL");
    } else if (n->op == SF_NODE_IN) {
        sf_buf_text(out, n->negated ? " NOT IN (" : " IN (");
        list(e, left->next, ", ", out);
        sf_buf_byte(out, ')');
    } else if (n->op == SF_NODE_BETWEEN) {
        sf_buf_text(out, n->negated ? " NOT BETWEEN " : " BETWEEN ");
        list(e, left->next, " AND ", out);
    } else {
        sf_buf_text(out, n->negated ? " NOT LIKE " : " LIKE ");
        quoted(second->text, out);
        if (second->next != 0) {
            sf_buf_text(out, " ESCAPE ");
            quoted(e->nodes[second->next].text, out);
        }
    }
    sf_buf_byte(out, ')');
}

static void node(const struct sf_expr *e, const struct sf_node *n, struct sf_buf *out)
{
    switch (n->op) {
    case SF_NODE_LITERAL:
        literal(n, out);
        break;
    case SF_NODE_FIELD:
        field(&e->slots[n->slot], out);
        break;
    case SF_NODE_CALLER:
        sf_buf_printf(out, "\"caller.%s\"", sf_expr_caller_names[n->which]);
        break;
    case SF_NODE_NOT:
        sf_buf_text(out, "(NOT ");
        node(e, &e->nodes[n->first], out);
        sf_buf_byte(out, ')');
        break;
    case SF_NODE_NEGATE:
        sf_buf_text(out, "(- ");
        operand(e, &e->nodes[n->first], n->type, out);
        sf_buf_byte(out, ')');
        break;
    case SF_NODE_AND:
        group(e, n, " AND ", out);
        break;
    case SF_NODE_OR:
        group(e, n, " OR ", out);
        break;
    case SF_NODE_COMPARE:
        group(e, n, compare_sign(n->which), out);
        break;
    case SF_NODE_IN:
    case SF_NODE_BETWEEN:
    case SF_NODE_LIKE:
    case SF_NODE_IS_NULL:
        predicate(e, n, out);
        break;
    case SF_NODE_ADD:
        arithmetic(e, n, "+", out);
        break;
    case SF_NODE_SUBTRACT:
        arithmetic(e, n, "-", out);
        break;
    case SF_NODE_MULTIPLY:
        arithmetic(e, n, "*", out);
        break;
    case SF_NODE_DIVIDE:
        arithmetic(e, n, "/", out);
        break;
    case SF_NODE_MODULO:
        arithmetic(e, n, "%", out);
        break;
    case SF_NODE_CALL:
        call(e, n, out);
        break;
    }
}

void expr_sql_print(const struct sf_expr *e, struct sf_buf *out)
{
    node(e, &e->nodes[e->root], out);
}
