#include "cli/next_step.h"

#include <stdio.h>
#include <string.h>

#include "cli/product_ref.h"

/* The product that the command is about: its first argument, --as of those that load, or --what. */
static bool find_product(const struct cli *cli, struct product_ref *ret)
{
    const struct command *c = cli->args.command;
    const char *text = args_value(&cli->args, "what");
    struct sf_error err;

    if (c != NULL && strncmp(c->arguments, "D/P", 3) == 0 && cli->args.positional_count > 0) {
        text = cli->args.positional[0];
    } else if (c != NULL &&
               (strcmp(c->path, "publish") == 0 || strcmp(c->path, "product load") == 0)) {
        text = args_value(&cli->args, "as");
    }
    return text != NULL && product_ref_parse(text, ret, &err) == SF_OK;
}

void next_step_fill(const struct cli *cli, const char *next, char ret[CLI_NEXT_MAX])
{
    struct product_ref r;
    const bool has_product = find_product(cli, &r);
    size_t used = 0;

    ret[0] = '\0';
    while (*next != '\0' && used < CLI_NEXT_MAX - 1) {
        const bool product = has_product && strncmp(next, "D/P", 3) == 0;
        const bool domain = cli->acting[0] != '\0' && strncmp(next, "DOMAIN", 6) == 0;
        int n;

        if (product) {
            n = snprintf(ret + used, CLI_NEXT_MAX - used, "%s/%s", r.domain, r.product);
        } else {
            n = snprintf(ret + used, CLI_NEXT_MAX - used, "%.*s",
                         domain ? (int)strlen(cli->acting) : 1, domain ? cli->acting : next);
        }
        used += (size_t)n;
        next += product ? 3 : domain ? 6 : 1;
    }
}
