#include "cli/help.h"

#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/man.h"
#include "proto/errors.h"

enum { NAME_WIDTH = 26, TEXT_WIDTH = 80 - 2 - NAME_WIDTH - 1, LABEL_MAX = 48 };

static const char *const group_titles[GROUP_COUNT] = {
    [GROUP_START] = "START",   [GROUP_USE] = "FIND AND USE", [GROUP_PRODUCT] = "PRODUCT",
    [GROUP_ACCESS] = "ACCESS", [GROUP_POLICY] = "POLICY",    [GROUP_OPERATE] = "OPERATE",
    [GROUP_OTHER] = "OTHER",
};

static const struct {
    int code;
    const char *text;
} exit_codes[] = {
    {CLI_OK, "done"},
    {CLI_FAILURE, "failure"},
    {CLI_USAGE, "wrong usage, or an answer is needed"},
    {CLI_INVALID, "a document or record is not valid"},
    {CLI_NOT_FOUND, "not found"},
    {CLI_DENIED, "denied by policy, grant or token"},
    {CLI_CONFLICT, "conflict, or a breaking change refused"},
    {CLI_UNAVAILABLE, "unavailable, or out of time"},
    {CLI_UNHEALTHY, "a check found something unhealthy"},
    {CLI_INTERRUPTED, "interrupted"},
};

static const struct {
    const char *name;
    const char *text;
} environment[] = {
    {"SHEAF_DEV_DIR", "state of the mesh that runs here, like --data"},
    {"XDG_STATE_HOME", "where that is by default: in sheaf/dev below it, or below ~/.local/state"},
    {"SHEAF_OUTPUT", "form of results, like -o"},
    {"NO_COLOR, SHEAF_NO_COLOR", "no colours, like --no-color"},
    {"FORCE_COLOR", "colours also where there is no terminal"},
    {"SHEAF_NATS_SERVER", "path of the nats-server for sheaf dev"},
    {"USER", "who acts in a domain when --as names none"},
    {"EDITOR", "what product quarantine fix opens"},
};

const char *help_environment(size_t i, const char **ret_name)
{
    if (i >= SF_COUNT(environment)) {
        return NULL;
    }
    *ret_name = environment[i].name;
    return environment[i].text;
}

const char *help_exit_code(size_t i, int *code)
{
    if (i >= SF_COUNT(exit_codes)) {
        return NULL;
    }
    if (code != NULL) {
        *code = exit_codes[i].code;
    }
    return exit_codes[i].text;
}

/* "  label    text", whose words go on below where 80 columns end. */
static void print_entry(FILE *out, const char *label, const char *text)
{
    (void)fprintf(out, "  %-*s ", NAME_WIDTH, label);
    while (strlen(text) > TEXT_WIDTH) {
        int n = TEXT_WIDTH;

        while (n > 0 && text[n] != ' ') {
            n--;
        }
        if (n == 0) {
            break;
        }
        (void)fprintf(out, "%.*s\n%*s", n, text, NAME_WIDTH + 3, "");
        text += n + 1;
    }
    (void)fprintf(out, "%s\n", text);
}

void help_overview(FILE *out, const struct command *commands)
{
    static const char *const daily[] = {
        "dev",  "publish", "product ls", "access request", "access approve",
        "read", "sub",     "status"};

    (void)fprintf(out, "sheaf - data products with contracts, governed where the rows are\n\n");
    for (size_t i = 0; i < SF_COUNT(daily); i++) {
        for (const struct command *c = commands; c->path != NULL; c++) {
            if (strcmp(c->path, daily[i]) == 0) {
                char label[LABEL_MAX];

                (void)snprintf(label, sizeof(label), "sheaf %s", c->path);
                print_entry(out, label, c->summary);
            }
        }
    }
    (void)fprintf(out, "\nAll commands: sheaf help\n");
}

static void print_flags(FILE *out, const struct flag *flags)
{
    for (const struct flag *f = flags; f != NULL && f->name != NULL; f++) {
        char label[LABEL_MAX];

        (void)snprintf(label, sizeof(label), "%c%c%s--%s%s%s", f->letter != 0 ? '-' : ' ',
                       f->letter != 0 ? f->letter : ' ', f->letter != 0 ? ", " : "  ", f->name,
                       f->value != NULL ? " " : "", f->value != NULL ? f->value : "");
        print_entry(out, label, f->help);
    }
}

void help_all(FILE *out, const struct command *commands, const struct flag *flags)
{
    (void)fprintf(out, "USAGE\n  sheaf COMMAND [ARGUMENTS] [FLAGS]\n");
    for (unsigned g = 0; g < GROUP_COUNT; g++) {
        (void)fprintf(out, "\n%s\n", group_titles[g]);
        for (const struct command *c = commands; c->path != NULL; c++) {
            if (c->group == (enum command_group)g) {
                print_entry(out, c->path, c->summary);
            }
        }
    }
    (void)fprintf(out, "\nFLAGS OF EVERY COMMAND\n");
    print_flags(out, flags);
    (void)fprintf(out, "\nMore: sheaf help COMMAND, sheaf help exit-codes\n");
}

void help_noun(FILE *out, const struct command *commands, const char *noun)
{
    size_t size = strlen(noun);

    (void)fprintf(out, "USAGE\n  sheaf %s COMMAND [ARGUMENTS] [FLAGS]\n\nCOMMANDS\n", noun);
    for (const struct command *c = commands; c->path != NULL; c++) {
        if (strncmp(c->path, noun, size) == 0 && c->path[size] == ' ') {
            print_entry(out, c->path, c->summary);
        }
    }
    (void)fprintf(out, "\nMore: sheaf help COMMAND\n");
}

void help_command(FILE *out, const struct command *c, const struct flag *flags)
{
    (void)fprintf(out, "%s.\n\nUSAGE\n  sheaf %s%s%s%s\n", c->summary, c->path,
                  c->arguments[0] != '\0' ? " " : "", c->arguments,
                  c->flags != NULL ? " [FLAGS]" : "");
    if (commands_as_is_product(c)) {
        (void)fprintf(out, "\n");
        print_entry(out, "--as D/P", "the product: domain and name, as in sales/orders");
    }
    if (strncmp(c->arguments, "D/P", 3) == 0) {
        (void)fprintf(out, "\n");
        print_entry(out, "D/P", "a product: domain and name, as in sales/orders");
    }
    if (strstr(c->arguments, "[@MAJOR]") != NULL) {
        print_entry(out, "@MAJOR", "its major version; the highest when left out");
    }
    if (strstr(c->arguments, "[.TABLE]") != NULL) {
        print_entry(out, ".TABLE", "needed only when it has several tables");
    }
    (void)fprintf(out, "\nEXAMPLES\n");
    for (const char *at = c->examples; *at != '\0';) {
        size_t n = strcspn(at, "\n");

        (void)fprintf(out, "  $ %.*s\n", (int)n, at);
        at += n + (at[n] == '\n');
    }
    if (c->flags != NULL) {
        (void)fprintf(out, "\nFLAGS\n");
        print_flags(out, c->flags);
    }
    (void)fprintf(out, "\nFLAGS OF EVERY COMMAND\n");
    print_flags(out, flags);
}

static void reference_flags(FILE *out, const struct flag *flags)
{
    (void)fprintf(out, "\n| flag | |\n|---|---|\n");
    for (const struct flag *f = flags; f->name != NULL; f++) {
        (void)fprintf(out, "| `");
        if (f->letter != 0) {
            (void)fprintf(out, "-%c`, `", f->letter);
        }
        (void)fprintf(out, "--%s%s%s` | %s |\n", f->name, f->value != NULL ? " " : "",
                      f->value != NULL ? f->value : "", f->help);
    }
}

void help_reference(FILE *out, const struct command *commands, const struct flag *flags)
{
    (void)fprintf(out, "# Command line\n\n"
                       "Written by `sheaf help reference > docs/reference/cli.md`; a test compares "
                       "it.\n\n"
                       "Results go to stdout, messages to stderr. With `-o json` the result is one "
                       "document\n`{\"apiVersion\":\"sheaf/v1\",\"kind\":...}`, lists have "
                       "`items`. An error is its number, its cause and\na next step; the number "
                       "decides the exit code ([errors](errors.md)).\n");
    for (unsigned g = 0; g < GROUP_COUNT; g++) {
        for (const struct command *c = commands; c->path != NULL; c++) {
            if (c->group != (enum command_group)g) {
                continue;
            }
            (void)fprintf(out, "\n## sheaf %s%s%s\n\n%s.\n\n```\n%s\n```\n", c->path,
                          c->arguments[0] != '\0' ? " " : "", c->arguments, c->summary,
                          c->examples);
            if (c->flags != NULL) {
                reference_flags(out, c->flags);
            }
        }
    }
    (void)fprintf(out, "\n## Flags of every command\n");
    reference_flags(out, flags);
    (void)fprintf(out, "\n## Environment\n\n| variable | |\n|---|---|\n");
    for (size_t i = 0; i < SF_COUNT(environment); i++) {
        (void)fprintf(out, "| `%s` | %s |\n", environment[i].name, environment[i].text);
    }
    (void)fprintf(out, "\n## Exit codes\n\n| code | |\n|---|---|\n");
    for (size_t i = 0; i < SF_COUNT(exit_codes); i++) {
        (void)fprintf(out, "| %d | %s |\n", exit_codes[i].code, exit_codes[i].text);
    }
}

void help_exit_codes(FILE *out)
{
    for (size_t i = 0; i < SF_COUNT(exit_codes); i++) {
        unsigned on_line = 0;

        (void)fprintf(out, "%3d  %s\n", exit_codes[i].code, exit_codes[i].text);
        for (unsigned e = 0; sheaf_error_at(e) != NULL; e++) {
            if (sheaf_error_at(e)->exit_code != exit_codes[i].code) {
                continue;
            }
            (void)fprintf(out, "%s%04u",
                          on_line % 12 == 0 ? on_line == 0 ? "     E" : "\n     E" : " E",
                          sheaf_error_at(e)->number);
            on_line++;
        }
        if (on_line > 0) {
            (void)fputc('\n', out);
        }
    }
}

int cmd_help(struct cli *cli)
{
    const struct args *a = &cli->args;
    unsigned used = 0;
    char noun[ARGS_NOUN_MAX];
    const struct command *c =
        args_find(commands_table(), a->positional, a->positional_count, &used);
    struct sf_error err;

    if (a->positional_count == 0) {
        help_all(cli->out, commands_table(), commands_globals());
        return CLI_OK;
    }
    if (a->positional_count == 1 && strcmp(a->positional[0], "exit-codes") == 0) {
        help_exit_codes(cli->out);
        return CLI_OK;
    }
    if (a->positional_count == 1 && strcmp(a->positional[0], "reference") == 0) {
        help_reference(cli->out, commands_table(), commands_globals());
        return CLI_OK;
    }
    if (a->positional_count == 1 && strcmp(a->positional[0], "man") == 0) {
        man_page(cli->out, commands_table(), commands_globals());
        return CLI_OK;
    }
    if (args_is_noun(commands_table(), a->positional, a->positional_count, noun) && c == NULL) {
        help_noun(cli->out, commands_table(), noun);
        return CLI_OK;
    }
    if (c == NULL || used != a->positional_count) {
        if (c == NULL) {
            (void)args_unknown(commands_table(), a->positional, a->positional_count, &err);
        } else {
            (void)SF_RAISE_E(&err, SF_INVALID, SHEAF_E_USAGE, "'sheaf %s' has no command '%s'",
                             c->path, a->positional[used]);
        }
        (void)snprintf(cli->next, sizeof(cli->next), "see 'sheaf help'");
        return cli_fail(cli, &err);
    }
    help_command(cli->out, c, commands_globals());
    return CLI_OK;
}

int cmd_version(struct cli *cli)
{
    if (cli->print.format == PRINT_TABLE) {
        (void)fprintf(cli->out, "sheaf %s\n", SHEAF_VERSION);
        return CLI_OK;
    }
    print_begin(&cli->print, PRINT_OBJECT, "Version");
    print_text(&cli->print, "version", SHEAF_VERSION);
    return cli_end(cli);
}
