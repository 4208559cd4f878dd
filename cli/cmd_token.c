/* token create: a short-lived token for a tool that is not ours, as curl. */
#include "cli/commands.h"
#include "cli/context.h"

static enum sf_code create(struct cli *cli, struct context *context, struct sf_buf *token,
                           struct sf_error *err)
{
    struct identity who;
    enum sf_code code = context_open(cli->data_dir, context, err);

    code = code == SF_OK ? context_identity(context, cli->as, NULL, &who, err) : code;
    code = code == SF_OK ? context_token(context, &who, token, err) : code;
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
