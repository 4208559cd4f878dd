/* product diff: what a product file would change. */
#include "cli/api.h"
#include "cli/catalog.h"
#include "cli/commands.h"
#include "cli/product_source.h"
#include "common/contract/compat.h"
#include "common/contract/product_file.h"
#include "common/identity/token.h"
#include "proto/errors.h"

/*
 * The version of the file's major that is in force, else the highest; NULL: there is none.
 * *ret_same: its file is @text, and can be applied again.
 */
static enum sf_code fetch_standing(struct api *api, const struct sf_product *p,
                                   struct sf_slice text, struct sf_product **ret, bool *ret_same,
                                   struct sf_error *err)
{
    char path[2 * PRODUCT_NAME_MAX + 48];
    const struct sf_json *root = NULL;
    struct sf_slice yaml = {0};
    struct sf_issues issues;
    enum sf_code code;

    (void)snprintf(path, sizeof(path), "/v1/products/%s/%s@%u", p->domain, p->name,
                   p->version.major);
    code = api_get_hub(api, path, &root, err);
    if (code == SF_ABSENT) {
        (void)snprintf(path, sizeof(path), "/v1/products/%s/%s", p->domain, p->name);
        code = api_get_hub(api, path, &root, err);
    }
    if (code != SF_OK) {
        return code == SF_ABSENT ? SF_OK : code;
    }
    code = catalog_file(root, &yaml, err);
    if (code != SF_OK) {
        return code;
    }
    *ret_same = sf_slice_equal(yaml, text);
    sf_issues_init(&issues, "contract of the hub", yaml);
    code = sf_product_parse(&issues, ret, err);
    sf_issues_done(&issues);
    return code;
}

static const char *verdict(const struct sf_change_note *n)
{
    if (n->breaking) {
        return "breaking";
    }
    return n->breaks != 0 ? "breaking, allowed" : "ok";
}

static void print_notes(struct print *p, const struct sf_compat *compat)
{
    for (size_t i = 0; i < compat->count; i++) {
        const struct sf_change_note *n = &compat->notes[i];

        print_row(p);
        print_text(p, "path", n->path);
        print_text(p, "change", n->what);
        print_text(p, "before", n->before[0] == '\0' ? NULL : n->before);
        print_text(p, "after", n->after[0] == '\0' ? NULL : n->after);
        print_text(p, "verdict", verdict(n));
    }
}

static enum sf_code diff(struct cli *cli, struct api *api, const struct product_source *source,
                         struct sf_error *err)
{
    const struct sf_product *p = source->product;
    bool same = false;
    SF_CLEANUP(sf_product_freep) struct sf_product *standing = NULL;
    struct sf_compat compat;
    struct sf_error refused;
    enum sf_code verdict_code;
    enum sf_code code = api_open(cli, api, err);

    code = code == SF_OK ? api_act(api, SF_TOKEN_PLATFORM, err) : code;
    code = code == SF_OK ? fetch_standing(api, p, sf_buf_view(&source->text), &standing, &same, err)
                         : code;
    if (code != SF_OK) {
        return code;
    }
    print_begin(&cli->print, PRINT_LIST, "ProductDiff");
    if (standing == NULL || same) {
        cli_did(cli, standing == NULL ? "%s/%s is new" : "nothing changes: %s/%s is in force so",
                p->domain, p->name);
        return print_end(&cli->print, err);
    }
    verdict_code =
        sf_compat_check((const struct sf_product *const *)&standing, 1, p, &compat, &refused);
    print_notes(&cli->print, &compat);
    code = print_end(&cli->print, err);
    if (code == SF_OK && compat.count == 0) {
        cli_note(cli, "tables and fields are those of %u.%u.%u", standing->version.major,
                 standing->version.minor, standing->version.patch);
    }
    sf_compat_done(&compat);
    if (code == SF_OK && verdict_code != SF_OK) {
        *err = refused;
        code = verdict_code;
    }
    return code;
}

int cmd_product_diff(struct cli *cli)
{
    const char *path = cli->args.positional_count > 0 ? cli->args.positional[0] : "product.yaml";
    struct product_source source = {0};
    struct api api = {0};
    struct sf_error err;
    enum sf_code code = product_source_read(cli, path, &source, &err);
    int status = CLI_OK;

    if (code != SF_OK) {
        status = source.shown ? CLI_INVALID : cli_fail(cli, &err);
    } else if (diff(cli, &api, &source, &err) != SF_OK) {
        status = cli_fail(cli, &err);
    }
    product_source_done(&source);
    api_done(&api);
    return status;
}
