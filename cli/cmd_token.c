/* token create: a short-lived token for a tool that is not ours, as curl. */
#include "cli/commands.h"
#include "cli/context.h"
#include "proto/errors.h"

/* For a mesh that does not run here: key, mesh and who acts are all given. */
static enum sf_code create_by_key(struct cli *cli, const char *path, struct sf_buf *token,
                                  struct sf_error *err)
{
    const char *mesh = args_value(&cli->args, "mesh");
    struct identity who;
    struct sf_seed key = {0};
    enum sf_code code = SF_OK;

    if (mesh == NULL || cli->as == NULL) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "with --key, say --mesh ID and --as DOMAIN[/USER] as well");
    }
    code = identity_parse(cli->as, &who, err);
    code = code == SF_OK ? sf_crypto_init(err) : code;
    code = code == SF_OK ? sf_seed_load(path, &key, err) : code;
    if (code == SF_OK) {
        code = identity_token(&who, mesh, &key, token, err);
        sf_seed_done(&key);
    }
    return code;
}

static enum sf_code create(struct cli *cli, struct context *context, struct sf_buf *token,
                           struct sf_error *err)
{
    const char *key = args_value(&cli->args, "key");
    struct identity who;
    enum sf_code code = SF_OK;

    if (key != NULL) {
        code = create_by_key(cli, key, token, err);
    } else {
        code = context_open(cli->data_dir, context, err);
        code = code == SF_OK ? context_identity(context, cli->as, NULL, &who, err) : code;
        code = code == SF_OK ? context_token(context, &who, token, err) : code;
    }
    if (code == SF_OK) {
        sf_buf_byte(token, '\0');
        code = sf_buf_check(token, "token", err);
    }
    return code;
}

int cmd_token_create(struct cli *cli)
{
    struct context context = {0};
    struct sf_buf token = {0};
    struct sf_error err;
    enum sf_code code = create(cli, &context, &token, &err);
    int status;

    if (code != SF_OK) {
        status = cli_fail(cli, &err);
    } else if (cli->print.format == PRINT_TABLE) {
        (void)fprintf(cli->out, "%s\n", (const char *)token.data); /* To be used as it is. */
        status = CLI_OK;
    } else {
        print_begin(&cli->print, PRINT_OBJECT, "Token");
        print_row(&cli->print);
        print_text(&cli->print, "token", (const char *)token.data);
        status = cli_end(cli);
    }
    context_done(&context);
    if (token.data != NULL) {
        sf_wipe(token.data, token.capacity);
    }
    sf_buf_done(&token);
    return status;
}
