#include "cli/product_apply.h"

#include <stdio.h>
#include <string.h>

/* What the hub found, line by line: what has a number. Warnings without one are about the file
 * alone, and were shown when it was read. */
static void show_findings(struct api *a, const char *member)
{
    const struct sf_json *answer = NULL;
    struct sf_slice rest = {0};
    struct sf_error ignored;

    if (api_json(a, &answer, &ignored) != SF_OK ||
        !sf_json_as_slice(sf_json_get(answer, member), &rest)) {
        return;
    }
    while (rest.size > 0) {
        const uint8_t *end = memchr(rest.data, '\n', rest.size);
        const size_t n = end == NULL ? rest.size : (size_t)(end - rest.data);

        if ((n > 6 && memcmp(rest.data, "error[", 6) == 0) ||
            (n > 8 && memcmp(rest.data, "warning[", 8) == 0)) {
            (void)fprintf(a->cli->err, "product.yaml: %.*s\n", (int)n, (const char *)rest.data);
        }
        rest = end == NULL ? (struct sf_slice){0} : sf_slice_of(end + 1, rest.size - n - 1);
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
    if (code != SF_OK) {
        if (a->answer.status / 100 == 4) {
            show_findings(a, "findings");
        }
        return code;
    }
    code = api_json(a, &answer, err);
    if (code != SF_OK) {
        return code;
    }
    *ret = (struct apply_result){.changed = true};
    (void)sf_json_as_bool(sf_json_get(answer, "changed"), &ret->changed);
    (void)sf_json_as_text(sf_json_get(answer, "version"), &version);
    (void)snprintf(ret->version, sizeof(ret->version), "%s", version);
    show_findings(a, "warnings");
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
