/* access preview: rows of a product as another domain would get them, for its owner. */
#include <inttypes.h>

#include "cli/catalog.h"
#include "cli/commands.h"
#include "proto/errors.h"

enum { LIMIT_DEFAULT = 10 };

static void add_parameter(struct sf_buf *path, const char *name, const char *value)
{
    if (value != NULL) {
        sf_buf_printf(path, "&%s=", name);
        api_escape(path, value);
    }
}

/* --as and --role are of whom is looked for, who acts is the owner. */
static enum sf_code ask(struct cli *cli, struct api *a, const char *as, struct product_ref *r,
                        const struct sf_json **ret, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf path = {0};
    const char *roles = cli->roles;
    uint64_t limit = LIMIT_DEFAULT;
    enum sf_code code = args_u64(&cli->args, "limit", LIMIT_DEFAULT, &limit, err);

    cli->as = NULL;
    cli->roles = NULL;
    code = code == SF_OK ? product_ref_parse(cli->args.positional[0], r, err) : code;
    code = code == SF_OK ? api_open(cli, a, err) : code;
    code = code == SF_OK ? api_act(a, r->domain, err) : code;
    code = code == SF_OK ? catalog_fill_table(a, r, err) : code;
    if (code != SF_OK) {
        return code;
    }
    catalog_table_path(r, &path);
    sf_buf_printf(&path, "/preview?limit=%" PRIu64, limit);
    add_parameter(&path, "as", as);
    add_parameter(&path, "role", roles);
    add_parameter(&path, "purpose", args_value(&cli->args, "purpose"));
    return sf_buf_cstr(&path) == NULL ? sf_buf_check(&path, "path", err)
                                      : api_get_leaf(a, sf_buf_cstr(&path), ret, err);
}

/* "by policy emails of the platform (p.yaml:5)" */
static void add_cause(struct sf_buf *out, const struct sf_json *v)
{
    const char *by = sf_json_text_of(v, "by");

    if (strcmp(by, "policy") == 0) {
        sf_buf_printf(out, "by policy %s of the %s (%s)", sf_json_text_of(v, "policy"),
                      sf_json_text_of(v, "of"), sf_json_text_of(v, "place"));
    } else if (strcmp(by, "default") == 0) {
        sf_buf_printf(out, "by default, as it is %s", sf_json_text_of(v, "class"));
    } else {
        sf_buf_text(out, "by the columns of the grant");
    }
}

static void note_cause(struct cli *cli, const char *what, const char *sees, const struct sf_json *v)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};

    sf_buf_printf(&text, "%s: %s, ", what, sees);
    add_cause(&text, v);
    if (sf_buf_cstr(&text) != NULL) {
        cli_note(cli, "%s", sf_buf_cstr(&text));
    }
}

/* What is not as it is stored, and which rule says so. */
static void print_notes(struct cli *cli, const char *as, uint64_t count, const struct sf_json *root)
{
    cli_note(cli, "%" PRIu64 " row%s as %s would get %s · at %s", count, count == 1 ? "" : "s", as,
             count == 1 ? "it" : "them", sf_json_text_of(root, "position"));
    if (sf_json_kind(sf_json_get(root, "grant")) != SF_JSON_STRING) {
        cli_note(cli, "%s has no grant: this is what it would see with one of all columns", as);
    }
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(root, "fields")); sf_json_next(&it);) {
        if (strcmp(sf_json_text_of(it.value, "sees"), "clear") != 0) {
            note_cause(cli, sf_json_text_of(it.value, "field"), sf_json_text_of(it.value, "sees"),
                       it.value);
        }
    }
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(root, "filters")); sf_json_next(&it);) {
        note_cause(cli, "rows", sf_json_text_of(it.value, "filter"), it.value);
    }
}

static enum sf_code preview(struct cli *cli, struct api *a, struct sf_error *err)
{
    const char *as = cli->as;
    const struct sf_json *root = NULL;
    struct product_ref r = {0};
    uint64_t count = 0;
    enum sf_code code;

    if (as == NULL) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "say as whom to look: --as DOMAIN, and --role if policies ask for roles");
    }
    code = ask(cli, a, as, &r, &root, err);
    if (code != SF_OK) {
        return code;
    }
    if (cli->print.format == PRINT_JSON) {
        print_begin(&cli->print, PRINT_OBJECT, "Preview");
        print_answer_members(&cli->print, root);
        return print_end(&cli->print, err);
    }
    print_begin(&cli->print, PRINT_LIST, "Preview");
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(root, "items")); sf_json_next(&it);) {
        print_row(&cli->print);
        for (struct sf_json_iter cell = sf_json_iter(it.value); sf_json_next(&cell);) {
            print_json(&cli->print, (const char *)cell.key.data, cell.value);
        }
        count++;
    }
    code = print_end(&cli->print, err);
    if (code == SF_OK && cli->print.format == PRINT_TABLE) {
        print_notes(cli, as, count, root);
    }
    return code;
}

int cmd_access_preview(struct cli *cli)
{
    struct api api = {0};
    struct sf_error err;
    enum sf_code code = preview(cli, &api, &err);

    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}
