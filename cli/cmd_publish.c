/* publish FILE --as D/P: from a file of data to a product in one step. */
#include <string.h>

#include "cli/commands.h"
#include "cli/load.h"
#include "cli/product_apply.h"
#include "cli/rows.h"
#include "proto/errors.h"

struct publishing {
    struct cli *cli;
    struct api api;
    struct product_ref product;
    struct inferred inferred;
    struct load_result loaded;
};

static enum sf_code write_file(struct publishing *p, struct sf_error *err)
{
    char path[CLI_PATH_MAX];
    char rows[32];
    struct sf_buf reasons = {0};
    bool written = false;
    enum sf_code code = SF_OK;

    rows_count_text(p->inferred.rows, rows);
    cli_did(p->cli, "read %s: %s row%s, %zu column%s", p->cli->args.positional[0], rows,
            p->inferred.rows == 1 ? "" : "s", p->inferred.columns,
            p->inferred.columns == 1 ? "" : "s");
    (void)snprintf(path, sizeof(path), "%s/%s/product.yaml", p->product.domain, p->product.product);
    code = product_file_write(p->cli, path, sf_buf_view(&p->inferred.text), &written, err);
    if (code != SF_OK) {
        return code;
    }
    inferred_text(&p->inferred, &reasons);
    if (sf_buf_cstr(&reasons) != NULL) {
        cli_did(p->cli, "%s %s: %s", written ? "wrote" : "kept", path, sf_buf_cstr(&reasons));
    }
    sf_buf_done(&reasons);
    return SF_OK;
}

static enum sf_code publish(struct publishing *p, struct sf_error *err)
{
    struct cli *cli = p->cli;
    const char *file = cli->args.positional[0];
    struct apply_result applied = {0};
    enum sf_code code = SF_OK;

    if (cli->as == NULL) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "say with --as DOMAIN/PRODUCT what it shall be");
    }
    code = product_ref_parse(cli->as, &p->product, err);
    cli->as = NULL; /* it names the product; its domain is who acts */
    code = code == SF_OK ? api_open(cli, &p->api, err) : code;
    code = code == SF_OK ? api_act(&p->api, p->product.domain, err) : code;
    code = code == SF_OK ? product_infer(file, args_value(&cli->args, "format"), &p->product,
                                         &p->inferred, err)
                         : code;
    code = code == SF_OK ? write_file(p, err) : code;
    code = code == SF_OK ? product_apply(&p->api, &p->product, sf_buf_view(&p->inferred.text),
                                         /* dry_run= */ false, &applied, err)
                         : code;
    if (code != SF_OK) {
        return code;
    }
    product_apply_report(cli, &p->product, &applied, /* dry_run= */ false);
    (void)snprintf(p->product.table, sizeof(p->product.table), "%s",
                   p->inferred.product->tables[0].name);
    return load_file(&p->api, &p->product, file, &p->loaded, err);
}

int cmd_publish(struct cli *cli)
{
    struct publishing p = {.cli = cli};
    struct sf_error err;
    enum sf_code code = publish(&p, &err);
    int status = CLI_OK;

    if (code == SF_OK) {
        status = load_report(cli, &p.product, &p.loaded);
        cli_note(cli, "next:  sheaf read %s/%s --limit 5", p.product.domain, p.product.product);
    } else {
        status = load_failed(cli, &p.product, &p.loaded, &err);
    }
    inferred_done(&p.inferred);
    api_done(&p.api);
    return status;
}
