#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cli/catalog.h"
#include "cli/commands.h"
#include "cli/rows.h"
#include "common/base/time.h"
#include "proto/errors.h"

enum { LIMIT_DEFAULT = 1000 };

static bool is_printed(void *data, const char *name)
{
    const struct print *p = data;

    for (size_t i = 0; i < p->column_count; i++) {
        if (strcmp(p->columns[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* The line under a table: how many rows, what is not shown, at which position. */
static void print_foot(struct api *a, const struct product_ref *r, const struct rows *rows,
                       struct sf_buf *left_out)
{
    char count[32];

    rows_count_text(rows->count, count);
    cli_note(a->cli, "%s row%s%s%s%s%s", count, rows->count == 1 ? "" : "s",
             left_out->size > 0 ? " · left out: " : "",
             left_out->size > 0 ? sf_buf_cstr(left_out) : "",
             rows->position[0] != '\0' ? " · at " : "", rows->position);
    if (rows->more && !args_has(&a->cli->args, "limit")) {
        cli_note(a->cli, "there are more: --limit 0 reads all of %s/%s", r->domain, r->product);
    }
}

static void add_parameter(struct sf_buf *path, const struct args *args, const char *name)
{
    const char *value = args_value(args, name);

    if (value != NULL) {
        sf_buf_printf(path, "&%s=", name);
        api_escape(path, value);
    }
}

/* Parts of a key are joined by commas, so a comma inside one is written twice encoded. */
static void add_key_part(struct sf_buf *path, const char *part)
{
    for (; *part != '\0'; part++) {
        char c[2] = {*part, '\0'};

        if (*part == ',' || *part == '%') {
            sf_buf_printf(path, "%%25%02X", (unsigned)*part);
        } else {
            api_escape(path, c);
        }
    }
}

/* A time back, as 1h, becomes the time that it was; what else there is the leaf understands. */
static void add_as_of(struct sf_buf *path, const struct args *args)
{
    const char *value = args_value(args, "as-of");
    char text[SF_TIME_TEXT_SIZE];
    struct timespec now;
    int64_t back_us = 0;

    if (value == NULL) {
        return;
    }
    if (sf_parse_duration(sf_slice_text(value), &back_us) == SF_PARSE_OK) {
        int64_t us;

        (void)clock_gettime(CLOCK_REALTIME, &now);
        us = (int64_t)now.tv_sec * SF_US_PER_SEC + now.tv_nsec / 1000 - back_us;
        if (sf_time_in_range(us)) {
            (void)sf_time_format(us, text);
            value = text;
        }
    }
    sf_buf_text(path, "&as_of=");
    api_escape(path, value);
}

/* ".../records?..." or ".../records/KEY?". */
static void read_path(const struct args *args, const struct product_ref *r, struct sf_buf *path)
{
    const char *key = args_value_at(args, "key", 0);

    catalog_table_path(r, path);
    sf_buf_text(path, "/records");
    for (unsigned i = 0; key != NULL; key = args_value_at(args, "key", ++i)) {
        sf_buf_text(path, i == 0 ? "/" : ",");
        add_key_part(path, key);
    }
    sf_buf_text(path, "?");
    add_parameter(path, args, "from");
    add_parameter(path, args, "to");
    add_parameter(path, args, "prefix");
    add_parameter(path, args, "select");
    add_parameter(path, args, "where");
    add_as_of(path, args);
    if (args_has(args, "reverse")) {
        sf_buf_text(path, "&reverse=true");
    }
    if (args_has(args, "only-count")) {
        sf_buf_text(path, "&count=true");
    }
}

/* What --where left out because it could not be decided. */
static void print_undecided(struct cli *cli, const struct rows *rows)
{
    if (rows->nulls > 0 || rows->errors > 0) {
        cli_note(cli, "--where was null for %" PRIu64 " row%s and failed for %" PRIu64, rows->nulls,
                 rows->nulls == 1 ? "" : "s", rows->errors);
    }
}

static enum sf_code count_rows(struct api *a, struct sf_buf *path, struct sf_error *err)
{
    struct cli *cli = a->cli;
    struct rows rows = {.print = &cli->print};
    enum sf_code code = sf_buf_cstr(path) == NULL ? sf_buf_check(path, "path", err)
                                                  : rows_count(a, sf_buf_cstr(path), &rows, err);

    if (code != SF_OK) {
        return code;
    }
    print_begin(&cli->print, PRINT_OBJECT, "Count");
    print_row(&cli->print);
    print_uint(&cli->print, "count", rows.counted);
    print_text(&cli->print, "position", rows.position);
    code = print_end(&cli->print, err);
    if (code == SF_OK) {
        print_undecided(cli, &rows);
    }
    return code;
}

static enum sf_code explain(struct api *a, const struct product_ref *r, enum sf_code code,
                            struct sf_error *err)
{
    if (code == SF_OK) {
        return SF_OK;
    }
    rows_show_findings(a);
    if (err->number == SHEAF_E_POSITION_GONE) {
        (void)snprintf(a->cli->next, sizeof(a->cli->next),
                       "name a point that is held; without --as-of come the newest rows");
    }
    return catalog_explain(a, r, code, err);
}

static enum sf_code run(struct cli *cli, struct api *a, struct sf_error *err)
{
    struct rows rows = {.print = &cli->print};
    struct sf_buf path = {0};
    struct sf_buf left_out = {0};
    struct product_ref r;
    enum sf_code code = product_ref_parse(cli->args.positional[0], &r, err);

    code = code == SF_OK ? args_u64(&cli->args, "limit", LIMIT_DEFAULT, &rows.limit, err) : code;
    code = code == SF_OK ? api_open(cli, a, err) : code;
    code = code == SF_OK ? api_act(a, r.domain, err) : code;
    if (code != SF_OK) {
        return code;
    }
    code = catalog_fill_table(a, &r, err);
    if (code != SF_OK) {
        return catalog_explain(a, &r, code, err);
    }
    read_path(&cli->args, &r, &path);
    if (args_has(&cli->args, "only-count")) {
        code = count_rows(a, &path, err);
        sf_buf_done(&path);
        if (code == SF_OK) {
            catalog_note_end(a, &r, NULL);
        }
        return explain(a, &r, code, err);
    }
    rows.is_one = args_has(&cli->args, "key");
    print_begin(&cli->print, PRINT_LIST, "RowList");
    code = sf_buf_cstr(&path) == NULL ? sf_buf_check(&path, "path", err)
                                      : rows_print(a, sf_buf_cstr(&path), &rows, err);
    sf_buf_done(&path);
    if (code != SF_OK) {
        return explain(a, &r, code, err);
    }
    catalog_note_end(a, &r, NULL);
    if (cli->print.format == PRINT_TABLE && rows.count > 0 &&
        strcmp(a->who.domain, r.domain) != 0 && !args_has(&cli->args, "select")) {
        catalog_left_out(a, &r, is_printed, &cli->print, &left_out);
    }
    if (rows.position[0] != '\0') {
        print_member_text(&cli->print, "position", rows.position);
    }
    code = print_end(&cli->print, err);
    if (code == SF_OK && cli->print.format == PRINT_TABLE) {
        print_foot(a, &r, &rows, &left_out);
        print_undecided(cli, &rows);
    }
    sf_buf_done(&left_out);
    return code;
}

int cmd_read(struct cli *cli)
{
    struct api api = {0};
    struct sf_error err;
    enum sf_code code = run(cli, &api, &err);

    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}
