/* product init, lint and apply: what is done with product files. */
#include <string.h>

#include "cli/commands.h"
#include "cli/product_apply.h"
#include "common/contract/product_file.h"
#include "common/contract/product_print.h"
#include "common/sys/file.h"
#include "proto/errors.h"

/* --- init ------------------------------------------------------------------------------------- */

/* A file to start from by hand: valid, with one table of one field. */
static void write_skeleton(const struct product_ref *r, struct sf_buf *out)
{
    sf_buf_printf(out,
                  "sheaf: product/v1\n"
                  "product: %s/%s\n"
                  "version: 1.0.0\n"
                  "status: active\n"
                  "owner: team-%s\n"
                  "description: What one row is, and where it comes from.\n"
                  "tables:\n  ",
                  r->domain, r->product, r->domain);
    for (const char *at = r->product; *at != '\0'; at++) {
        sf_buf_byte(out, *at == '-' ? '_' : (uint8_t)*at);
    }
    sf_buf_text(out, ":\n"
                     "    kind: state\n"
                     "    key: [id]\n"
                     "    fields:\n"
                     "      id: {number: 1, type: string, required: true}\n");
}

/* The product that --as names; for init and publish that is all it is. */
static enum sf_code product_of_as(struct cli *cli, struct product_ref *ret, struct sf_error *err)
{
    if (cli->as == NULL) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "say with --as D/P which product it is");
    }
    return product_ref_parse(cli->as, ret, err);
}

static enum sf_code init(struct cli *cli, struct sf_error *err)
{
    const char *from = args_value(&cli->args, "from");
    const char *out = args_value(&cli->args, "out");
    bool to_stdout = out != NULL && strcmp(out, "-") == 0;
    struct product_ref r;
    struct inferred inferred = {0};
    struct sf_buf reasons = {0};
    char path[CLI_PATH_MAX];
    bool written = false;
    enum sf_code code = product_of_as(cli, &r, err);

    if (code == SF_OK && from != NULL) {
        code = product_infer(from, NULL, &r, &inferred, err);
        if (code == SF_OK) {
            inferred_text(&inferred, &reasons);
        }
    } else if (code == SF_OK) {
        write_skeleton(&r, &inferred.text);
        code = sf_buf_check(&inferred.text, "product.yaml", err);
    }
    if (code == SF_OK && to_stdout) {
        if (cli->print.format == PRINT_TABLE) {
            (void)fwrite(inferred.text.data, 1, inferred.text.size, cli->out);
        }
    } else if (code == SF_OK) {
        (void)snprintf(path, sizeof(path), "%s/%s/product.yaml", r.domain, r.product);
        code = product_file_write(cli, out != NULL ? out : path, sf_buf_view(&inferred.text),
                                  &written, err);
        if (code == SF_OK) {
            cli_did(cli, "%s %s%s%s", written ? "wrote" : "kept", out != NULL ? out : path,
                    reasons.size > 0 ? ": " : "", reasons.size > 0 ? sf_buf_cstr(&reasons) : "");
            cli_note(cli, "next:  sheaf product apply %s", out != NULL ? out : path);
        }
    }
    if (code == SF_OK && cli->print.format != PRINT_TABLE) {
        print_begin(&cli->print, PRINT_OBJECT, "ProductFile");
        print_row(&cli->print);
        print_format_text(&cli->print, "product", "%s/%s", r.domain, r.product);
        print_text(&cli->print, "path", to_stdout ? NULL : out != NULL ? out : path);
        print_bool(&cli->print, "written", written);
        print_slice(&cli->print, "text", sf_buf_view(&inferred.text));
        code = print_end(&cli->print, err);
    }
    sf_buf_done(&reasons);
    inferred_done(&inferred);
    return code;
}

int cmd_product_init(struct cli *cli)
{
    struct sf_error err;

    return init(cli, &err) == SF_OK ? CLI_OK : cli_fail(cli, &err);
}

/* --- lint ------------------------------------------------------------------------------------- */

int cmd_product_lint(struct cli *cli)
{
    const char *path = cli->args.positional_count > 0 ? cli->args.positional[0] : "product.yaml";
    struct product_source source = {0};
    struct sf_error err;
    enum sf_code code = product_source_read(cli, path, &source, &err);
    int status = CLI_OK;

    if (code != SF_OK && !source.shown) {
        status = cli_fail(cli, &err);
    } else if (code != SF_OK) {
        status = CLI_INVALID;
    } else {
        const struct sf_product *p = source.product;

        cli_did(cli, "%s: %s/%s %u.%u.%u is valid, %zu warning%s", path, p->domain, p->name,
                p->version.major, p->version.minor, p->version.patch, source.warning_count,
                source.warning_count == 1 ? "" : "s");
    }
    if (cli->print.format != PRINT_TABLE && (code == SF_OK || source.shown)) {
        print_begin(&cli->print, PRINT_OBJECT, "LintResult");
        print_row(&cli->print);
        print_text(&cli->print, "file", path);
        print_bool(&cli->print, "valid", code == SF_OK);
        print_uint(&cli->print, "warnings", source.warning_count);
        print_text(&cli->print, "first_error", code == SF_OK ? NULL : err.text);
        if (cli_end(cli) != CLI_OK) {
            status = CLI_FAILURE;
        }
    }
    product_source_done(&source);
    return status;
}

/* --- apply ------------------------------------------------------------------------------------ */

int cmd_product_apply(struct cli *cli)
{
    struct api api = {0};
    struct product_source source = {0};
    struct apply_result result = {0};
    struct product_ref r = {0};
    struct sf_error err;
    bool dry_run = args_has(&cli->args, "dry-run");
    enum sf_code code = product_source_read(cli, cli->args.positional[0], &source, &err);

    if (code == SF_OK) {
        (void)snprintf(r.domain, sizeof(r.domain), "%s", source.product->domain);
        (void)snprintf(r.product, sizeof(r.product), "%s", source.product->name);
        code = api_open(cli, &api, &err);
    }
    code = code == SF_OK ? api_act(&api, r.domain, &err) : code;
    code = code == SF_OK
               ? product_apply(&api, &r, sf_buf_view(&source.text), dry_run, &result, &err)
               : code;
    if (code == SF_OK) {
        product_apply_report(cli, &r, &result, dry_run);
        if (cli->print.format != PRINT_TABLE) {
            print_begin(&cli->print, PRINT_OBJECT, "ApplyResult");
            print_row(&cli->print);
            print_format_text(&cli->print, "product", "%s/%s", r.domain, r.product);
            print_text(&cli->print, "version", result.version);
            print_bool(&cli->print, "changed", result.changed);
            print_bool(&cli->print, "dry_run", dry_run);
            code = print_end(&cli->print, &err);
        }
    }
    int status = code == SF_OK ? CLI_OK : source.shown ? CLI_INVALID : cli_fail(cli, &err);
    product_source_done(&source);
    api_done(&api);
    return status;
}
