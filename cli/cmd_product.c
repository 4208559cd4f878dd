/* product load, ls, show and export: what is done with products in force. */
#include <string.h>

#include "cli/catalog.h"
#include "cli/commands.h"
#include "cli/load.h"
#include "common/contract/export_proto.h"
#include "common/contract/product_file.h"
#include "common/identity/token.h"
#include "proto/errors.h"

/* --- load ------------------------------------------------------------------------------------- */

int cmd_product_load(struct cli *cli)
{
    struct api api = {0};
    struct product_ref r = {0};
    struct load_result result = {0};
    struct sf_error err;
    enum sf_code code = SF_OK;
    int status = CLI_OK;

    if (cli->as == NULL) {
        code = SF_RAISE_E(&err, SF_INVALID, SHEAF_E_USAGE,
                          "say with --as DOMAIN/PRODUCT[.TABLE] where the records go");
    } else {
        code = product_ref_parse(cli->as, &r, &err);
    }
    cli->as = NULL; /* it names the product; its domain is who acts */
    code = code == SF_OK ? api_open(cli, &api, &err) : code;
    code = code == SF_OK ? api_act(&api, r.domain, &err) : code;
    code = code == SF_OK ? catalog_fill_table(&api, &r, &err) : code;
    code = code == SF_OK ? load_file(&api, &r, cli->args.positional[0], &result, &err) : code;
    if (code == SF_OK) {
        status = load_report(cli, &r, &result);
    } else {
        status = load_failed(cli, &r, &result, &err);
    }
    api_done(&api);
    return status;
}

/* --- ls --------------------------------------------------------------------------------------- */

static enum sf_code list(struct cli *cli, struct api *a, struct sf_error *err)
{
    const struct sf_json *root = NULL;
    enum sf_code code = api_open(cli, a, err);

    code = code == SF_OK ? api_act(a, SF_TOKEN_PLATFORM, err) : code;
    code = code == SF_OK
               ? api_get_hub(a, args_has(&cli->args, "all") ? "/v1/products?all=1" : "/v1/products",
                             &root, err)
               : code;
    if (code != SF_OK) {
        return code;
    }
    print_begin(&cli->print, PRINT_LIST, "ProductList");
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(root, "items")); sf_json_next(&it);) {
        static const char *const columns[] = {"product", "version", "status",
                                              "access",  "owner",   "description"};

        print_row(&cli->print);
        for (size_t i = 0; i < SF_COUNT(columns); i++) {
            print_json(&cli->print, columns[i], sf_json_get(it.value, columns[i]));
        }
    }
    if (sf_json_count(sf_json_get(root, "items")) == 0) {
        cli_note(cli, "there are no products; make one: sheaf publish FILE --as DOMAIN/PRODUCT");
    }
    return print_end(&cli->print, err);
}

int cmd_product_ls(struct cli *cli)
{
    struct api api = {0};
    struct sf_error err;
    enum sf_code code = list(cli, &api, &err);

    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}

/* --- show and export -------------------------------------------------------------------------- */

static enum sf_code get_product(struct cli *cli, struct api *a, const struct sf_json **ret,
                                struct sf_error *err)
{
    struct product_ref r;
    char text[PRODUCT_REF_TEXT_MAX];
    char path[PRODUCT_REF_TEXT_MAX + 16];
    enum sf_code code = product_ref_parse(cli->args.positional[0], &r, err);

    code = code == SF_OK ? api_open(cli, a, err) : code;
    code = code == SF_OK ? api_act(a, SF_TOKEN_PLATFORM, err) : code;
    if (code != SF_OK) {
        return code;
    }
    product_ref_text(&r, text);
    (void)snprintf(path, sizeof(path), "/v1/products/%s", text);
    return api_get_hub(a, path, ret, err);
}

/* What who asks sees of a field, and the rule that says so; of what is inside a field, nothing: it
 * is seen with it. */
static void print_sees(struct print *p, const struct sf_json *field)
{
    const char *sees = sf_json_text_of(field, "sees");
    const char *by = sf_json_text_of(field, "by");
    const char *why = strcmp(by, "policy") == 0    ? sf_json_text_of(field, "policy")
                      : strcmp(by, "default") == 0 ? "its class"
                                                   : NULL;
    bool granted = true;

    (void)sf_json_as_bool(sf_json_get(field, "granted"), &granted);
    if (strcmp(sees, "omit") == 0) {
        print_text(p, "sees", "closed");
    } else if (!granted && p->format == PRINT_TABLE) {
        print_format_text(p, "sees", "not granted: %s", sees);
    } else {
        print_text(p, "sees", *sees == '\0' ? NULL : sees);
    }
    print_text(p, "by", why);
    if (p->format != PRINT_TABLE) {
        print_json(p, "granted", sf_json_get(field, "granted"));
    }
}

/* Fields of structs stand below the struct by their path: lines.qty. */
static void print_fields(struct print *p, const char *table, const char *prefix,
                         const struct sf_json *fields)
{
    static const char *const columns[] = {"type", "required", "class"};

    for (struct sf_json_iter it = sf_json_iter(fields); sf_json_next(&it);) {
        char path[SF_STRUCT_DEPTH_MAX * 64 + 64];
        const char *name = sf_json_text_of(it.value, "name");

        (void)snprintf(path, sizeof(path), "%s%s", prefix, name);
        print_row(p);
        if (table != NULL) {
            print_text(p, "table", table);
        }
        print_text(p, "name", path);
        for (size_t i = 0; i < SF_COUNT(columns); i++) {
            print_json(p, columns[i], sf_json_get(it.value, columns[i]));
        }
        print_sees(p, it.value);
        print_json(p, "unit", sf_json_get(it.value, "unit"));
        print_json(p, "description", sf_json_get(it.value, "description"));
        (void)snprintf(path + strlen(path), sizeof(path) - strlen(path), ".");
        if (strlen(path) + 64 < sizeof(path)) { /* deeper than any contract is */
            print_fields(p, table, path, sf_json_get(it.value, "fields"));
        }
    }
}

/* Which rows are seen, when not all of them; an owner's filter is named, not told. */
static void show_rows(struct cli *cli, const struct sf_json *t)
{
    const struct sf_json *denied = sf_json_get(t, "denied_by");

    if (denied != NULL) {
        (void)fprintf(cli->out, "closed by policy %s of the %s\n",
                      sf_json_text_of(denied, "policy"), sf_json_text_of(denied, "of"));
    }
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(t, "filters"));
         denied == NULL && sf_json_next(&it);) {
        const char *filter = sf_json_text_of(it.value, "filter");

        (void)fprintf(cli->out, "rows%s%s by policy %s of the %s\n",
                      *filter == '\0' ? " are filtered" : " where ", filter,
                      sf_json_text_of(it.value, "policy"), sf_json_text_of(it.value, "of"));
    }
}

static void show_heading(struct cli *cli, const struct sf_json *t)
{
    (void)fprintf(cli->out, "\n%s (%s", sf_json_text_of(t, "name"), sf_json_text_of(t, "kind"));
    for (struct sf_json_iter k = sf_json_iter(sf_json_get(t, "key")); sf_json_next(&k);) {
        const char *field = "";

        (void)sf_json_as_text(k.value, &field);
        (void)fprintf(cli->out, "%s%s", k.left + 1 == sf_json_count(k.container) ? ", key " : " ",
                      field);
    }
    (void)fprintf(cli->out, ")\n");
    show_rows(cli, t);
}

/* Of whom "sees" and "rows" tell, and what of it they have. */
static void note_reader(struct cli *cli, const struct sf_json *product)
{
    const char *who = sf_json_text_of(product, "seen_by");
    bool granted = false;

    (void)sf_json_as_bool(sf_json_get(product, "granted"), &granted);
    if (strcmp(who, "*") == 0) {
        cli_note(cli,
                 "what is seen is what a domain without an exception of its own gets; for one: "
                 "sheaf access explain");
    } else if (!granted) {
        cli_note(cli, "%s has no grant: this is what it would see with one", who);
    }
}

static enum sf_code show_for_people(struct cli *cli, const struct sf_json *product,
                                    struct sf_error *err)
{
    static const char *const members[] = {"product", "version", "status",     "owner",
                                          "access",  "tags",    "description"};
    enum sf_code code = SF_OK;

    print_begin(&cli->print, PRINT_OBJECT, "Product");
    print_row(&cli->print);
    for (size_t i = 0; i < SF_COUNT(members); i++) {
        print_json(&cli->print, members[i], sf_json_get(product, members[i]));
    }
    code = print_end(&cli->print, err);
    for (struct sf_json_iter t = sf_json_iter(sf_json_get(product, "tables"));
         code == SF_OK && sf_json_next(&t);) {
        show_heading(cli, t.value);
        print_begin(&cli->print, PRINT_LIST, "FieldList");
        print_fields(&cli->print, NULL, "", sf_json_get(t.value, "fields"));
        code = print_end(&cli->print, err);
    }
    if (code == SF_OK) {
        note_reader(cli, product);
    }
    return code;
}

static enum sf_code show_for_programs(struct cli *cli, const struct sf_json *product,
                                      struct sf_error *err)
{
    if (cli->print.format == PRINT_JSON || cli->print.format == PRINT_YAML) {
        print_begin(&cli->print, PRINT_OBJECT, "Product");
        print_answer_members(&cli->print, product);
        return print_end(&cli->print, err);
    }
    print_begin(&cli->print, PRINT_LIST, "FieldList");
    for (struct sf_json_iter t = sf_json_iter(sf_json_get(product, "tables")); sf_json_next(&t);) {
        const char *name = "";

        (void)sf_json_as_text(sf_json_get(t.value, "name"), &name);
        print_fields(&cli->print, name, "", sf_json_get(t.value, "fields"));
    }
    return print_end(&cli->print, err);
}

int cmd_product_show(struct cli *cli)
{
    struct api api = {0};
    const struct sf_json *product = NULL;
    struct sf_error err;
    enum sf_code code = get_product(cli, &api, &product, &err);

    if (code == SF_OK) {
        code = cli->print.format == PRINT_TABLE ? show_for_people(cli, product, &err)
                                                : show_for_programs(cli, product, &err);
    }
    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}

static enum sf_code export_text(const char *format, const struct sf_json *product,
                                struct sf_buf *ret, struct sf_error *err)
{
    struct sf_slice yaml = {0};
    struct sf_issues issues;
    struct sf_product *parsed = NULL;
    enum sf_code code = SF_OK;

    if (!sf_json_as_slice(sf_json_get(product, "contract"), &yaml)) {
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_POLICY_DENIES, "all tables of %s",
                          sf_json_text_of(product, "product"));
    }
    if (strcmp(format, "yaml") == 0) {
        sf_buf_slice(ret, yaml);
        return sf_buf_check(ret, "export", err);
    }
    if (strcmp(format, "proto") != 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "export knows proto and yaml, not '%s'",
                          format);
    }
    sf_issues_init(&issues, "contract of the hub", yaml);
    code = sf_product_parse(&issues, &parsed, err);
    sf_issues_done(&issues);
    if (code == SF_OK) {
        sf_product_export_proto(parsed, ret);
        code = sf_buf_check(ret, "export", err);
    }
    sf_product_free(parsed);
    return code;
}

int cmd_product_export(struct cli *cli)
{
    struct api api = {0};
    const struct sf_json *product = NULL;
    struct sf_buf text = {0};
    struct sf_error err;
    const char *format = cli->args.positional[1];
    enum sf_code code = get_product(cli, &api, &product, &err);

    code = code == SF_OK ? export_text(format, product, &text, &err) : code;
    if (code == SF_OK && cli->print.format == PRINT_TABLE) {
        if (fwrite(text.data, 1, text.size, cli->out) != text.size || fflush(cli->out) != 0) {
            code = SF_RAISE(&err, SF_IO, "standard output cannot be written");
        }
    } else if (code == SF_OK) {
        print_begin(&cli->print, PRINT_OBJECT, "ProductExport");
        print_row(&cli->print);
        print_json(&cli->print, "product", sf_json_get(product, "product"));
        print_text(&cli->print, "format", format);
        print_slice(&cli->print, "text", sf_buf_view(&text));
        code = print_end(&cli->print, &err);
    }
    sf_buf_done(&text);
    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}
