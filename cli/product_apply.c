#include "cli/product_apply.h"

#include <stdio.h>
#include <string.h>

/* Those lines of @text that begin with @mark: how many, and with @out not NULL, shown there. */
static size_t show_lines(struct sf_slice text, const char *mark, FILE *out)
{
    const size_t mark_size = strlen(mark);
    size_t count = 0;

    while (text.size > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        const size_t n = end == NULL ? text.size : (size_t)(end - text.data);

        if (n > mark_size && memcmp(text.data, mark, mark_size) == 0) {
            count++;
            if (out != NULL) {
                (void)fprintf(out, "product.yaml: %.*s\n", (int)n, (const char *)text.data);
            }
        }
        text = end == NULL ? (struct sf_slice){0} : sf_slice_of(end + 1, text.size - n - 1);
    }
    return count;
}

/* What the hub found, line by line: what has a number. Warnings without one are about the file
 * alone, and were shown when it was read. An error alone is told at the end; of several the end
 * says how many. */
static void show_findings(struct api *a, const char *member, struct sf_error *err)
{
    const struct sf_json *answer = NULL;
    struct sf_slice text = {0};
    struct sf_error ignored;
    size_t errors;

    if (api_json(a, &answer, &ignored) != SF_OK ||
        !sf_json_as_slice(sf_json_get(answer, member), &text)) {
        return;
    }
    (void)show_lines(text, "warning[", a->cli->err);
    errors = show_lines(text, "error[", NULL);
    if (errors > 1 && err != NULL) {
        (void)show_lines(text, "error[", a->cli->err);
        (void)snprintf(err->text, sizeof(err->text), "%zu errors, named above", errors);
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
            show_findings(a, "findings", err);
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
    show_findings(a, "warnings", NULL);
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
