/* product stats, profile, checks and test: what is known of the rows of a table. */
#include <inttypes.h>
#include <string.h>

#include "cli/catalog.h"
#include "cli/commands.h"
#include "cli/rows.h"
#include "proto/errors.h"

/* Asks the leaf of who acts for @what of the table that is named. */
static enum sf_code ask(struct cli *cli, struct api *a, const char *method, const char *what,
                        const struct sf_json **ret, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf path = {0};
    struct product_ref r = {0};
    enum sf_code code = product_ref_parse(cli->args.positional[0], &r, err);

    code = code == SF_OK ? api_open(cli, a, err) : code;
    code = code == SF_OK ? api_act(a, r.domain, err) : code;
    code = code == SF_OK ? catalog_fill_table(a, &r, err) : code;
    if (code != SF_OK) {
        return code;
    }
    catalog_table_path(&r, &path);
    sf_buf_printf(&path, "/%s", what);
    code = sf_buf_cstr(&path) == NULL ? sf_buf_check(&path, "path", err) : SF_OK;
    code = code == SF_OK
               ? api_leaf(a, &(struct api_call){.method = method, .path = sf_buf_cstr(&path)}, err)
               : code;
    code = code == SF_OK ? api_json(a, ret, err) : code;
    return code == SF_UNAVAILABLE ? catalog_explain(a, &r, code, err) : code;
}

/* --- stats and profile -------------------------------------------------------------------------
 */

static void print_top(struct print *p, const struct sf_json *top)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    size_t shown = 0;

    for (struct sf_json_iter it = sf_json_iter(top); sf_json_next(&it) && shown < 3; shown++) {
        const struct sf_json *value = sf_json_get(it.value, "value");
        const char *as_text = NULL;
        uint64_t count = 0;

        (void)sf_json_as_uint(sf_json_get(it.value, "count"), &count);
        sf_buf_text(&text, shown == 0 ? "" : ", ");
        if (sf_json_as_text(value, &as_text)) {
            sf_buf_text(&text, as_text);
        } else {
            sf_json_value(&(struct sf_json_writer){.out = &text}, value);
        }
        sf_buf_printf(&text, " (%" PRIu64 ")", count);
    }
    print_slice(p, "top", sf_buf_view(&text));
}

static void print_moment(struct print *p, const char *name, const struct sf_json *value)
{
    double d;

    if (sf_json_as_double(value, &d)) {
        print_double(p, name, d);
    } else {
        print_json(p, name, value);
    }
}

static enum sf_code print_stats(struct cli *cli, const struct sf_json *root, struct sf_error *err)
{
    static const char *const columns[] = {"name",     "type", "values", "nulls",
                                          "distinct", "min",  "max"};
    const char *position = sf_json_text_of(root, "position");
    const char *event = "";
    char rows_text[ROWS_TEXT_MAX];
    uint64_t rows = 0;
    bool loose = false;

    if (cli->print.format == PRINT_JSON) {
        print_begin(&cli->print, PRINT_OBJECT, "TableStats");
        print_answer_members(&cli->print, root);
        return print_end(&cli->print, err);
    }
    (void)sf_json_as_uint(sf_json_get(root, "rows"), &rows);
    (void)sf_json_as_bool(sf_json_get(root, "loose"), &loose);
    (void)sf_json_as_text(sf_json_get(sf_json_get(root, "freshness"), "event"), &event);
    print_begin(&cli->print, PRINT_LIST, "FieldStatsList");
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(root, "fields")); sf_json_next(&it);) {
        print_row(&cli->print);
        for (size_t i = 0; i < SF_COUNT(columns); i++) {
            print_json(&cli->print, columns[i], sf_json_get(it.value, columns[i]));
        }
        print_moment(&cli->print, "mean", sf_json_get(it.value, "mean"));
        print_moment(&cli->print, "deviation", sf_json_get(it.value, "deviation"));
        print_top(&cli->print, sf_json_get(it.value, "top"));
    }
    if (print_end(&cli->print, err) != SF_OK) {
        return err->code;
    }
    rows_named_text(rows, "row", rows_text);
    cli_note(cli, "%s at %s%s%s%s", rows_text, position, *event == '\0' ? "" : ", newest event ",
             *event == '\0' ? "" : event,
             loose
                 ? "; bounds, distinct and top values count rows that are gone: see product profile"
                 : "");
    return SF_OK;
}

static int run_stats(struct cli *cli, const char *what)
{
    struct api api = {0};
    const struct sf_json *root = NULL;
    struct sf_error err;
    enum sf_code code = ask(cli, &api, "GET", what, &root, &err);

    code = code == SF_OK ? print_stats(cli, root, &err) : code;
    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}

int cmd_product_stats(struct cli *cli)
{
    return run_stats(cli, "stats");
}

int cmd_product_profile(struct cli *cli)
{
    return run_stats(cli, "profile");
}

/* --- checks and test ----------------------------------------------------------------------------
 */

static enum sf_code print_checks(struct cli *cli, const struct sf_json *root, size_t *ret_failing,
                                 struct sf_error *err)
{
    static const char *const columns[] = {"check", "status", "actual", "estimated", "since"};

    *ret_failing = 0;
    print_begin(&cli->print, PRINT_LIST, "CheckList");
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(root, "items")); sf_json_next(&it);) {
        const char *status = "";

        (void)sf_json_as_text(sf_json_get(it.value, "status"), &status);
        *ret_failing += strcmp(status, "fail") == 0;
        print_row(&cli->print);
        for (size_t i = 0; i < SF_COUNT(columns); i++) {
            print_json(&cli->print, columns[i], sf_json_get(it.value, columns[i]));
        }
    }
    if (sf_json_count(sf_json_get(root, "items")) == 0) {
        cli_note(cli, "the contract has no checks and promises no freshness");
    }
    return print_end(&cli->print, err);
}

static enum sf_code print_history(struct cli *cli, const struct sf_json *root, struct sf_error *err)
{
    static const char *const columns[] = {"check",  "status",   "before",
                                          "actual", "position", "on_demand"};

    print_begin(&cli->print, PRINT_LIST, "CheckEventList");
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(root, "history")); sf_json_next(&it);) {
        const struct sf_json *data = sf_json_get(it.value, "data");

        print_row(&cli->print);
        print_json(&cli->print, "time", sf_json_get(it.value, "time"));
        for (size_t i = 0; i < SF_COUNT(columns); i++) {
            print_json(&cli->print, columns[i], sf_json_get(data, columns[i]));
        }
    }
    return print_end(&cli->print, err);
}

int cmd_product_checks(struct cli *cli)
{
    struct api api = {0};
    const struct sf_json *root = NULL;
    struct sf_error err;
    size_t failing = 0;
    enum sf_code code = ask(cli, &api, "GET", "checks", &root, &err);

    if (code == SF_OK) {
        code = args_has(&cli->args, "history") ? print_history(cli, root, &err)
                                               : print_checks(cli, root, &failing, &err);
    }
    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}

int cmd_product_test(struct cli *cli)
{
    struct api api = {0};
    const struct sf_json *root = NULL;
    struct sf_error err;
    size_t failing = 0;
    enum sf_code code = ask(cli, &api, "POST", "checks", &root, &err);

    code = code == SF_OK ? print_checks(cli, root, &failing, &err) : code;
    api_done(&api);
    if (code != SF_OK) {
        return cli_fail(cli, &err);
    }
    if (failing > 0) {
        cli_note(cli, "%zu check%s not hold", failing, failing == 1 ? " does" : "s do");
    }
    return failing == 0 ? CLI_OK : CLI_INVALID;
}
