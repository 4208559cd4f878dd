/* policy ls, show and history: the platform's policies, as the hub has them. */
#include "cli/api.h"
#include "cli/commands.h"
#include "common/identity/token.h"

static enum sf_code get(struct cli *cli, struct api *a, const char *path,
                        const struct sf_json **ret, struct sf_error *err)
{
    enum sf_code code = api_open(cli, a, err);

    code = code == SF_OK ? api_act(a, SF_TOKEN_PLATFORM, err) : code;
    return code == SF_OK ? api_get_hub(a, path, ret, err) : code;
}

/* --- ls --------------------------------------------------------------------------------------- */

static void print_policy(struct print *p, const struct sf_json *v)
{
    const char *file = sf_json_text_of(v, "file");
    int64_t line = 0;

    (void)sf_json_as_int(sf_json_get(v, "line"), &line);
    print_row(p);
    print_json(p, "name", sf_json_get(v, "name"));
    print_json(p, "version", sf_json_get(v, "version"));
    print_format_text(p, "place", "%s:%d", file, (int)line);
    print_json(p, "applied", sf_json_get(v, "applied"));
    print_json(p, "applied_by", sf_json_get(v, "applied_by"));
}

int cmd_policy_ls(struct cli *cli)
{
    struct api api = {0};
    const struct sf_json *root = NULL;
    struct sf_error err;
    enum sf_code code = get(cli, &api, "/v1/policies", &root, &err);

    if (code == SF_OK) {
        print_begin(&cli->print, PRINT_LIST, "PolicyList");
        for (struct sf_json_iter it = sf_json_iter(sf_json_get(root, "items"));
             sf_json_next(&it);) {
            print_policy(&cli->print, it.value);
        }
        if (sf_json_count(sf_json_get(root, "items")) == 0) {
            cli_note(cli, "there are no policies: fields of class pii and secret stay in their "
                          "domain");
        }
        code = print_end(&cli->print, &err);
    }
    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}

/* --- show ------------------------------------------------------------------------------------- */

int cmd_policy_show(struct cli *cli)
{
    struct api api = {0};
    SF_CLEANUP(sf_buf_done) struct sf_buf path = {0};
    const struct sf_json *root = NULL;
    const char *text = "";
    struct sf_error err;
    enum sf_code code;

    sf_buf_text(&path, "/v1/policies/");
    api_escape(&path, cli->args.positional[0]);
    (void)sf_buf_cstr(&path);
    code = sf_buf_check(&path, "path", &err);
    code = code == SF_OK ? get(cli, &api, sf_buf_cstr(&path), &root, &err) : code;
    if (code == SF_OK && cli->print.format == PRINT_TABLE) {
        SF_CLEANUP(sf_buf_done) struct sf_buf shown = {0};

        (void)sf_json_as_text(sf_json_get(root, "text"), &text);
        for (const char *at = text; *at != '\0';) {
            const char *end = at + strcspn(at, "\n");

            print_append_shown(&shown, sf_slice_of(at, (size_t)(end - at)));
            sf_buf_byte(&shown, '\n');
            at = *end == '\0' ? end : end + 1;
        }
        (void)fwrite(shown.data, 1, shown.size, cli->out);
    } else if (code == SF_OK) {
        print_begin(&cli->print, PRINT_OBJECT, "Policy");
        print_answer_members(&cli->print, root);
        code = print_end(&cli->print, &err);
    }
    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}

/* --- history ---------------------------------------------------------------------------------- */

int cmd_policy_history(struct cli *cli)
{
    struct api api = {0};
    const struct sf_json *root = NULL;
    struct sf_error err;
    enum sf_code code = get(cli, &api, "/v1/policy-history", &root, &err);

    if (code == SF_OK) {
        print_begin(&cli->print, PRINT_LIST, "PolicyHistory");
        for (struct sf_json_iter it = sf_json_iter(sf_json_get(root, "items"));
             sf_json_next(&it);) {
            print_row(&cli->print);
            print_json(&cli->print, "version", sf_json_get(it.value, "version"));
            print_json(&cli->print, "time", sf_json_get(it.value, "time"));
            print_json(&cli->print, "actor", sf_json_get(it.value, "actor"));
            print_json(&cli->print, "applied", sf_json_get(it.value, "applied"));
            print_json(&cli->print, "removed", sf_json_get(it.value, "removed"));
            print_json(&cli->print, "rolled_back_to", sf_json_get(it.value, "rolled_back_to"));
        }
        if (sf_json_count(sf_json_get(root, "items")) == 0) {
            cli_note(cli, "there never was a policy; to put one in force: sheaf policy apply FILE");
        }
        code = print_end(&cli->print, &err);
    }
    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}
