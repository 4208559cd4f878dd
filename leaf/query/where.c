#include "leaf/query/where.h"

enum sf_code query_where_parse(const char *text, const struct sf_table *seen, struct sf_expr **ret,
                               struct sf_buf *findings, struct sf_error *err)
{
    struct sf_issues issues;
    enum sf_code code;

    sf_issues_init(&issues, "where", sf_slice_text(text));
    code = sf_expr_parse(&issues, seen, ret, err);
    if (code == SF_INVALID && findings != NULL) {
        sf_issues_render(&issues, findings);
        code = sf_buf_check(findings, "findings", err) == SF_OK ? SF_INVALID : SF_NOMEM;
    }
    sf_issues_done(&issues);
    return code;
}
