/* token create: a short-lived token for a tool that is not ours, as curl, or with --for an
 * assertion of roles for requests over NATS. */
#include "cli/commands.h"
#include "cli/context.h"
#include "cli/product_ref.h"
#include "proto/errors.h"

/* Who signs, with what, and for which mesh. */
struct signer {
    struct context context;
    struct identity who;
    struct sf_seed key;
    const char *mesh;
};

static void signer_done(struct signer *s)
{
    sf_seed_done(&s->key);
    context_done(&s->context);
}

/* For a mesh that does not run here: key, mesh and who acts are all given. */
static enum sf_code by_key(struct cli *cli, const char *path, struct signer *ret,
                           struct sf_error *err)
{
    enum sf_code code;

    ret->mesh = args_value(&cli->args, "mesh");
    if (ret->mesh == NULL || cli->as == NULL) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "with --key, say --mesh ID and --as DOMAIN[/USER] as well");
    }
    code = identity_parse(cli->as, &ret->who, err);
    code = code == SF_OK ? sf_crypto_init(err) : code;
    return code == SF_OK ? sf_seed_load(path, &ret->key, err) : code;
}

static enum sf_code find_signer(struct cli *cli, struct signer *ret, struct sf_error *err)
{
    const char *path = args_value(&cli->args, "key");
    enum sf_code code;

    if (path != NULL) {
        code = by_key(cli, path, ret, err);
    } else {
        code = context_open(cli->data_dir, &ret->context, err);
        ret->mesh = ret->context.mesh;
        code =
            code == SF_OK ? context_identity(&ret->context, cli->as, NULL, &ret->who, err) : code;
        code = code == SF_OK ? context_key(&ret->context, &ret->who, &ret->key, err) : code;
    }
    return code == SF_OK ? identity_set_roles(&ret->who, cli->roles, err) : code;
}

static enum sf_code create(struct cli *cli, struct sf_buf *token, struct sf_error *err)
{
    SF_CLEANUP(signer_done) struct signer s = {0};
    const char *product = args_value(&cli->args, "for");
    struct product_ref ref;
    enum sf_code code = find_signer(cli, &s, err);

    if (code == SF_OK && product == NULL) {
        code = identity_token(&s.who, s.mesh, &s.key, token, err);
    } else if (code == SF_OK && s.who.role_count == 0) {
        code =
            SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "with --for, say which roles: --role A,B");
    } else if (code == SF_OK) {
        code = product_ref_parse(product, &ref, err);
        code = code == SF_OK
                   ? identity_assertion(&s.who, s.mesh, &s.key, ref.domain, ref.product, token, err)
                   : code;
    }
    if (code == SF_OK) {
        sf_buf_byte(token, '\0');
        code = sf_buf_check(token, "token", err);
    }
    return code;
}

int cmd_token_create(struct cli *cli)
{
    struct sf_buf token = {0};
    struct sf_error err;
    enum sf_code code = create(cli, &token, &err);
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
    if (token.data != NULL) {
        sf_wipe(token.data, token.capacity);
    }
    sf_buf_done(&token);
    return status;
}
