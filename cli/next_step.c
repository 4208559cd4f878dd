#include "cli/next_step.h"

#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/product_ref.h"

/* The product that the command is about: its first argument, --as of those that load, or --what. */
static bool find_product(const struct cli *cli, struct product_ref *ret)
{
    const struct command *c = cli->args.command;
    const char *text = args_value(&cli->args, "what");
    struct sf_error err;

    if (c != NULL && strncmp(c->arguments, "D/P", 3) == 0 && cli->args.positional_count > 0) {
        text = cli->args.positional[0];
    } else if (c != NULL && commands_as_is_product(c)) {
        text = args_value(&cli->args, "as");
    }
    return text != NULL && product_ref_parse(text, ret, &err) == SF_OK;
}

/* The domain that a next step is about: who acts, or as whom it looks; "" when it is not known. */
static struct sf_slice find_domain(const struct cli *cli)
{
    const struct command *c = cli->args.command;
    const char *as = args_value(&cli->args, "as");

    if (c != NULL && strcmp(c->path, "access preview") == 0 && as != NULL) {
        return sf_slice_of(as, strcspn(as, "/"));
    }
    return sf_slice_text(cli->acting);
}

void next_step_fill(const struct cli *cli, const char *next, char ret[CLI_NEXT_MAX])
{
    struct product_ref r;
    const bool has_product = find_product(cli, &r);
    const struct sf_slice who = find_domain(cli);
    size_t used = 0;

    ret[0] = '\0';
    while (*next != '\0' && used < CLI_NEXT_MAX - 1) {
        const bool product = has_product && strncmp(next, "D/P", 3) == 0;
        const bool domain = who.size > 0 && strncmp(next, "DOMAIN", 6) == 0;
        int n;

        if (product) {
            n = snprintf(ret + used, CLI_NEXT_MAX - used, "%s/%s", r.domain, r.product);
        } else {
            n = snprintf(ret + used, CLI_NEXT_MAX - used, "%.*s", domain ? (int)who.size : 1,
                         domain ? (const char *)who.data : next);
        }
        used += (size_t)n;
        next += product ? 3 : domain ? 6 : 1;
    }
}
