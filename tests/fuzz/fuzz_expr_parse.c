/*
 * The input is the text of a filter over the table with every type. It parses or is reported; what
 * parses prints to a text that parses to the same again, and answers about any row.
 */
#include "common/expr/expr.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/rows.h"

static struct sf_expr *parse(struct sf_slice text)
{
    struct sf_issues issues;
    struct sf_expr *e = NULL;
    struct sf_buf shown = {0};
    struct sf_error err;
    enum sf_code code;

    sf_issues_init(&issues, "filter", text);
    code = sf_expr_parse(&issues, rows_all_types(), &e, &err);
    fuzz_check((code == SF_OK) == (e != NULL));
    fuzz_check((code == SF_OK) == (issues.error_count == 0));
    sf_issues_render(&issues, &shown);
    fuzz_check((code == SF_OK) == (shown.size == 0));
    sf_buf_done(&shown);
    sf_issues_done(&issues);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sf_expr_caller nobody = {0};
    struct sf_expr *e = parse(sf_slice_of(data, size));
    struct sf_expr *again;
    struct sf_buf once = {0};
    struct sf_buf twice = {0};

    if (e == NULL) {
        return 0;
    }
    sf_expr_print(e, &once);
    /* Spaces, quotes and parentheses come in: the text may outgrow what is read. */
    if (once.size <= SF_EXPR_TEXT_MAX) {
        again = parse(sf_buf_view(&once));
        fuzz_check(again != NULL);
        sf_expr_print(again, &twice);
        fuzz_check(sf_slice_equal(sf_buf_view(&once), sf_buf_view(&twice)));
        fuzz_check(sf_expr_run(e, SF_LITERAL(""), &nobody) ==
                   sf_expr_run(again, SF_LITERAL(""), &nobody));
        sf_expr_free(again);
    }
    (void)sf_expr_run(e, sf_slice_of(data, size), &nobody);
    sf_buf_done(&once);
    sf_buf_done(&twice);
    sf_expr_free(e);
    return 0;
}
