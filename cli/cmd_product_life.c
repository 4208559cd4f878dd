/*
 * product deprecate, retire, activate, rm, restore and history: the life of a version.
 *
 * Status is a line of the product file: deprecate, retire and activate take the file in force,
 * change that line, raise the patch version and apply it, so that the file stays the whole truth.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cli/catalog.h"
#include "cli/commands.h"
#include "cli/product_apply.h"
#include "common/base/time.h"
#include "common/contract/product_edit.h"
#include "common/contract/product_file.h"
#include "common/identity/token.h"
#include "proto/errors.h"

/* What all of these begin with: who acts, and the product as the hub has it. */
static enum sf_code open_product(struct cli *cli, struct api *api, struct product_ref *r,
                                 bool as_owner, const struct sf_json **ret, struct sf_error *err)
{
    char text[PRODUCT_REF_TEXT_MAX];
    char path[PRODUCT_REF_TEXT_MAX + 16];
    enum sf_code code = product_ref_parse(cli->args.positional[0], r, err);

    code = code == SF_OK ? api_open(cli, api, err) : code;
    code = code == SF_OK ? api_act(api, as_owner ? r->domain : SF_TOKEN_PLATFORM, err) : code;
    if (code != SF_OK) {
        return code;
    }
    product_ref_text(r, text);
    (void)snprintf(path, sizeof(path), "/v1/products/%s", text);
    code = api_get_hub(api, path, ret, err);
    if (code == SF_OK && r->major == 0) {
        uint64_t major = 0;

        (void)sf_json_as_uint(sf_json_get(*ret, "major"), &major);
        r->major = (uint32_t)major;
    }
    return code;
}

/* --- deprecate, retire, activate ---------------------------------------------------------------
 */

static enum sf_code read_flags(const struct args *args, struct sf_product_edit *edit,
                               struct sf_error *err)
{
    const char *sunset = args_value(args, "sunset");

    edit->successor = args_value(args, "successor");
    edit->note = args_value(args, "note");
    edit->has_sunset = sunset != NULL;
    if (sunset != NULL && sf_date_parse(sf_slice_text(sunset), &edit->sunset_days) != SF_PARSE_OK) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "--sunset takes a day: 2027-03-01");
    }
    return SF_OK;
}

static int32_t today(void)
{
    return (int32_t)(time(NULL) / 86400);
}

/* Keeps what the file says already of the deprecation, where no flag says otherwise. */
static enum sf_code edit_of(struct cli *cli, const struct sf_product *p, enum sf_status status,
                            struct sf_product_edit *ret, struct sf_error *err)
{
    enum sf_code code = read_flags(&cli->args, ret, err);

    ret->version = p->version;
    ret->version.patch++;
    ret->status = status;
    if (code == SF_OK && status != SF_STATUS_ACTIVE) {
        ret->has_since = p->has_since || p->status != status;
        ret->since_days = p->has_since ? p->since_days : today();
        if (!ret->has_sunset) {
            ret->has_sunset = p->has_sunset;
            ret->sunset_days = p->sunset_days;
        }
        ret->successor = ret->successor != NULL ? ret->successor : p->successor;
        ret->note = ret->note != NULL ? ret->note : p->deprecation_note;
    }
    return code;
}

static enum sf_code parse_contract(const struct sf_json *product, struct sf_slice *ret_yaml,
                                   struct sf_product **ret, struct sf_error *err)
{
    struct sf_issues issues;
    enum sf_code code = catalog_file(product, ret_yaml, err);

    if (code != SF_OK) {
        return code;
    }
    sf_issues_init(&issues, "contract of the hub", *ret_yaml);
    code = sf_product_parse(&issues, ret, err);
    sf_issues_done(&issues);
    return code;
}

static enum sf_code change_status(struct cli *cli, struct api *api, enum sf_status status,
                                  struct sf_error *err)
{
    SF_CLEANUP(sf_product_freep) struct sf_product *p = NULL;
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    const struct sf_json *product = NULL;
    struct apply_result result = {0};
    struct sf_product_edit edit = {0};
    struct sf_slice yaml = {0};
    struct product_ref r;
    enum sf_code code = open_product(cli, api, &r, /* as_owner= */ true, &product, err);

    code = code == SF_OK ? parse_contract(product, &yaml, &p, err) : code;
    code = code == SF_OK ? edit_of(cli, p, status, &edit, err) : code;
    if (code == SF_OK && p->status == status && args_value(&cli->args, "sunset") == NULL &&
        args_value(&cli->args, "successor") == NULL && args_value(&cli->args, "note") == NULL) {
        cli_did(cli, "%s/%s@%u is %s already", r.domain, r.product, r.major,
                sf_status_name(status));
        edit.version = p->version;
    } else {
        code = code == SF_OK ? sf_product_edit(yaml, &edit, &text, err) : code;
        if (code == SF_INVALID && err->number == SHEAF_E_BAD_VALUE) {
            (void)snprintf(cli->next, sizeof(cli->next),
                           "export it, change status and version by hand, then apply it");
        }
        code =
            code == SF_OK ? product_apply(api, &r, sf_buf_view(&text), false, &result, err) : code;
        if (code == SF_OK) {
            cli_did(cli, "%s/%s %s is %s", r.domain, r.product, result.version,
                    sf_status_name(status));
            cli_note(cli, "take the new file over:  sheaf product export %s/%s@%u yaml", r.domain,
                     r.product, r.major);
        }
    }
    if (code == SF_OK && cli->print.format != PRINT_TABLE) {
        print_begin(&cli->print, PRINT_OBJECT, "ProductStatus");
        print_row(&cli->print);
        print_format_text(&cli->print, "product", "%s/%s", r.domain, r.product);
        print_format_text(&cli->print, "version", "%u.%u.%u", edit.version.major,
                          edit.version.minor, edit.version.patch);
        print_text(&cli->print, "status", sf_status_name(status));
        code = print_end(&cli->print, err);
    }
    return code;
}

static int run_status(struct cli *cli, enum sf_status status)
{
    struct api api = {0};
    struct sf_error err;
    enum sf_code code = change_status(cli, &api, status, &err);

    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}

int cmd_product_deprecate(struct cli *cli)
{
    return run_status(cli, SF_STATUS_DEPRECATED);
}

int cmd_product_retire(struct cli *cli)
{
    return run_status(cli, SF_STATUS_RETIRED);
}

int cmd_product_activate(struct cli *cli)
{
    return run_status(cli, SF_STATUS_ACTIVE);
}

/* --- rm and restore ----------------------------------------------------------------------------
 */

static enum sf_code call_life(struct cli *cli, struct api *api, const struct product_ref *r,
                              bool restore, const struct sf_json **ret, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf path = {0};
    const char *keep = args_value(&cli->args, "keep");
    const char *reason = args_value(&cli->args, "note");
    enum sf_code code;

    sf_buf_printf(&path, "/v1/products/%s/%s@%u", r->domain, r->product, r->major);
    if (restore) {
        sf_buf_text(&path, "/restore");
    } else {
        sf_buf_text(&path, "?reason=");
        api_escape(&path, reason == NULL ? "" : reason);
    }
    if (!restore && keep != NULL) {
        sf_buf_text(&path, "&keep=");
        api_escape(&path, keep);
    }
    code = sf_buf_cstr(&path) == NULL ? sf_buf_check(&path, "path", err) : SF_OK;
    code = code == SF_OK ? api_leaf(api,
                                    &(struct api_call){
                                        .method = restore ? "POST" : "DELETE",
                                        .path = sf_buf_cstr(&path),
                                    },
                                    err)
                         : code;
    return code == SF_OK ? api_json(api, ret, err) : code;
}

static enum sf_code change_life(struct cli *cli, struct api *api, bool restore,
                                struct sf_error *err)
{
    const struct sf_json *answer = NULL;
    const char *purge = "";
    struct product_ref r;
    enum sf_code code = open_product(cli, api, &r, /* as_owner= */ true, &answer, err);

    if (code == SF_OK && !restore) {
        char question[2 * PRODUCT_NAME_MAX + 64];

        (void)snprintf(question, sizeof(question), "take %s/%s@%u out of the mesh?", r.domain,
                       r.product, r.major);
        code = cli_confirm(cli, question, err);
    }
    code = code == SF_OK ? call_life(cli, api, &r, restore, &answer, err) : code;
    if (code != SF_OK) {
        return code;
    }
    if (restore) {
        cli_did(cli, "%s/%s@%u is back; grants it had are not: they are asked for again", r.domain,
                r.product, r.major);
    } else {
        int64_t purge_us = 0;
        char until[PRINT_TIME_SIZE];

        (void)sf_json_as_text(sf_json_get(answer, "purge"), &purge);
        (void)!sf_time_parse(sf_slice_text(purge), &purge_us);
        print_until_text(purge_us, (int64_t)time(NULL) * SF_US_PER_SEC, until);
        cli_did(cli, "%s/%s@%u is removed; its rows are kept until %s", r.domain, r.product,
                r.major, until);
        cli_note(cli, "until then:  sheaf product restore %s/%s@%u", r.domain, r.product, r.major);
    }
    if (cli->print.format == PRINT_TABLE) {
        return SF_OK;
    }
    print_begin(&cli->print, PRINT_OBJECT, restore ? "Restored" : "Removed");
    print_answer_members(&cli->print, answer);
    return print_end(&cli->print, err);
}

int cmd_product_rm(struct cli *cli)
{
    struct api api = {0};
    struct sf_error err;
    enum sf_code code = change_life(cli, &api, /* restore= */ false, &err);

    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}

int cmd_product_restore(struct cli *cli)
{
    struct api api = {0};
    struct sf_error err;
    enum sf_code code = change_life(cli, &api, /* restore= */ true, &err);

    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}

/* --- history -----------------------------------------------------------------------------------
 */

static enum sf_code history(struct cli *cli, struct api *api, struct sf_error *err)
{
    static const char *const columns[] = {"version", "status", "compatibility", "applied",
                                          "applied_by"};
    const struct sf_json *product = NULL;
    struct product_ref r;
    enum sf_code code = open_product(cli, api, &r, /* as_owner= */ false, &product, err);

    if (code != SF_OK) {
        return code;
    }
    print_begin(&cli->print, PRINT_LIST, "VersionList");
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(product, "versions"));
         sf_json_next(&it);) {
        print_row(&cli->print);
        for (size_t i = 0; i < SF_COUNT(columns); i++) {
            print_json(&cli->print, columns[i], sf_json_get(it.value, columns[i]));
        }
    }
    return print_end(&cli->print, err);
}

int cmd_product_history(struct cli *cli)
{
    struct api api = {0};
    struct sf_error err;
    enum sf_code code = history(cli, &api, &err);

    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}
