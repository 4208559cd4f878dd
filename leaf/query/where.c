#include "leaf/query/where.h"

#include "common/base/alloc.h"
#include "proto/errors.h"

/* That who asks may see all fields the filter reads: which rows it keeps tells their values. */
static enum sf_code check_sees(const struct sf_expr *e, const struct sf_table *t,
                               const struct grant *grant, struct sf_error *err)
{
    size_t count;
    const uint32_t *numbers = sf_expr_fields(e, &count);

    for (size_t i = 0, f = 0; i < count && f < t->field_count; f++) {
        if (t->fields[f].number != numbers[i]) {
            continue;
        }
        if (!serving_sees(grant, &t->fields[f])) {
            return SF_RAISE_E(
                err, SF_DENIED, SHEAF_E_DENIED,
                "'where' goes by field '%s' of table '%s', which the grant leaves out",
                t->fields[f].name, t->name);
        }
        i++;
    }
    return SF_OK;
}

static enum sf_code parse(const char *text, const struct sf_table *t, struct sf_expr **ret,
                          struct sf_buf *findings, struct sf_error *err)
{
    struct sf_issues issues;
    enum sf_code code;

    sf_issues_init(&issues, "where", sf_slice_text(text));
    code = sf_expr_parse(&issues, t, ret, err);
    if (code == SF_INVALID && findings != NULL) {
        sf_issues_render(&issues, findings);
        code = sf_buf_check(findings, "findings", err) == SF_OK ? SF_INVALID : SF_NOMEM;
    }
    sf_issues_done(&issues);
    return code;
}

/* What is wrong with the text, told by a table that has only what the caller sees. */
static enum sf_code explain(const char *text, const struct sf_table *t, const struct grant *grant,
                            struct sf_buf *findings, struct sf_error *err)
{
    SF_CLEANUP(sf_expr_freep) struct sf_expr *e = NULL;
    SF_CLEANUP(sf_freep)
    struct sf_field *fields = sf_calloc(t->field_count, sizeof(*fields));
    struct sf_table seen = *t;
    enum sf_code code;

    if (fields == NULL) {
        return SF_RAISE(err, SF_NOMEM, "request");
    }
    seen.fields = fields;
    seen.field_count = 0;
    for (size_t i = 0; i < t->field_count; i++) {
        if (serving_sees(grant, &t->fields[i])) {
            fields[seen.field_count++] = t->fields[i];
        }
    }
    code = parse(text, &seen, &e, findings, err);
    return code == SF_OK ? SF_RAISE(err, SF_INVALID, "'where' cannot be read") : code;
}

enum sf_code query_where_parse(const char *text, const struct served_table *table,
                               const struct grant *grant, struct sf_expr **ret,
                               struct sf_buf *findings, struct sf_error *err)
{
    SF_CLEANUP(sf_expr_freep) struct sf_expr *e = NULL;
    enum sf_code code = parse(text, table->contract, &e, NULL, err);

    if (code == SF_INVALID) {
        return explain(text, table->contract, grant, findings, err);
    }
    if (code == SF_OK) {
        code = check_sees(e, table->contract, grant, err);
    }
    if (code == SF_OK) {
        *ret = SF_TAKE(e);
    }
    return code;
}
