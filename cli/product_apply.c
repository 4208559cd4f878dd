#include "cli/product_apply.h"

#include <stdio.h>

/* What governance remarks on, without refusing. */
static void show_findings(struct cli *cli, const struct sf_json *findings)
{
    for (struct sf_json_iter it = sf_json_iter(findings); sf_json_next(&it);) {
        const char *text = "";

        (void)sf_json_as_text(sf_json_get(it.value, "text"), &text);
        cli_warn(cli, "%s", text);
    }
}

enum sf_code product_apply(struct api *a, const struct product_ref *r, struct sf_slice yaml,
                           bool dry_run, struct apply_result *ret, struct sf_error *err)
{
    char path[2 * PRODUCT_NAME_MAX + 32];
    const struct sf_json *answer = NULL;
    const char *version = "";
    enum sf_code code = SF_OK;

    (void)snprintf(path, sizeof(path), "/v1/products/%s/%s%s", r->domain, r->product,
                   dry_run ? "?dry_run=1" : "");
    code = api_leaf(
        a,
        &(struct api_call){
            .method = "PUT", .path = path, .content_type = "application/yaml", .body = yaml},
        err);
    code = code == SF_OK ? api_json(a, &answer, err) : code;
    if (code != SF_OK) {
        return code;
    }
    *ret = (struct apply_result){.changed = true};
    (void)sf_json_as_bool(sf_json_get(answer, "changed"), &ret->changed);
    (void)sf_json_as_text(sf_json_get(answer, "version"), &version);
    (void)snprintf(ret->version, sizeof(ret->version), "%s", version);
    show_findings(a->cli, sf_json_get(answer, "findings"));
    return SF_OK;
}

void product_apply_report(struct cli *cli, const struct product_ref *r,
                          const struct apply_result *result, bool dry_run)
{
    const char *what = dry_run           ? "would be accepted"
                       : result->changed ? "is in force"
                                         : "was in force already";

    cli_did(cli, "contract %s/%s %s %s", r->domain, r->product, result->version, what);
}
