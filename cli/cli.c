#include "cli/cli.h"

#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/next_step.h"
#include "common/base/alloc.h"
#include "common/base/str.h"
#include "proto/errors.h"

enum { TIMEOUT_MS_DEFAULT = 30000, LINE_FEW = 1024 };

static enum sf_code read_format(struct cli *cli, struct sf_error *err)
{
    static const char *const names[] = {
        [PRINT_TABLE] = "table", [PRINT_JSON] = "json", [PRINT_NDJSON] = "ndjson",
        [PRINT_CSV] = "csv",     [PRINT_YAML] = "yaml", [PRINT_NAME] = "name"};
    const char *text = args_value(&cli->args, "output");

    text = text != NULL ? text : getenv("SHEAF_OUTPUT");
    if (text == NULL || text[0] == '\0') {
        return SF_OK;
    }
    for (unsigned i = 0; i < SF_COUNT(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            cli->print.format = (enum print_format)i;
            return SF_OK;
        }
    }
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                      "-o wants table, json, ndjson, csv, yaml or name, not '%s'", text);
}

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);

    return value != NULL && value[0] != '\0';
}

static bool wants_color(const struct cli *cli, FILE *stream)
{
    if (args_has(&cli->args, "no-color") || is_set("NO_COLOR") || is_set("SHEAF_NO_COLOR")) {
        return false;
    }
    return is_set("FORCE_COLOR") || isatty(fileno(stream)) == 1;
}

enum sf_code cli_whole_path(const char *given, char ret[CLI_PATH_MAX], struct sf_error *err)
{
    char here[CLI_PATH_MAX] = "";
    int n;

    if (given[0] != '/' && getcwd(here, sizeof(here)) == NULL) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "the current directory is gone");
    }
    while (given[0] == '.' && (given[1] == '/' || given[1] == '\0')) {
        given += 1 + strspn(given + 1, "/");
    }
    n = snprintf(ret, CLI_PATH_MAX, "%s%s%s", strcmp(here, "/") == 0 ? "" : here,
                 given[0] == '/' ? "" : "/", given);
    if (n < 0 || n >= CLI_PATH_MAX) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "the path is too long: %.60s...", given);
    }
    while (n > 1 && ret[n - 1] == '/') {
        ret[--n] = '\0';
    }
    return SF_OK;
}

/* --data, SHEAF_DEV_DIR, or sheaf/dev where programs keep their state. */
static enum sf_code find_data_dir(struct cli *cli, struct sf_error *err)
{
    const char *given = args_value(&cli->args, "data");
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    char *path = cli->data_dir;
    int n = 0;

    given = given != NULL ? given : getenv("SHEAF_DEV_DIR");
    if (given != NULL && given[0] != '\0') {
        /* Children run elsewhere: the path has to be whole. */
        if (cli_whole_path(given, path, err) != SF_OK) {
            return err->code;
        }
        n = (int)strlen(path);
    } else if (state != NULL && state[0] == '/') {
        n = snprintf(path, CLI_PATH_MAX, "%s/sheaf/dev", state);
    } else if (home != NULL && home[0] == '/') {
        n = snprintf(path, CLI_PATH_MAX, "%s/.local/state/sheaf/dev", home);
    } else {
        n = snprintf(path, CLI_PATH_MAX, "/tmp/sheaf-dev-%u", (unsigned)getuid());
    }
    if (n < 0 || n >= CLI_PATH_MAX - 128) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "--data: the path is too long");
    }
    return SF_OK;
}

static enum sf_code read_timeout(struct cli *cli, struct sf_error *err)
{
    const char *text = args_value(&cli->args, "timeout");
    int64_t us = 0;

    cli->timeout_ms = TIMEOUT_MS_DEFAULT;
    if (text == NULL) {
        return SF_OK;
    }
    if (sf_parse_duration(sf_slice_text(text), &us) != SF_PARSE_OK || us < 1000) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "--timeout wants a time like 500ms, 30s or 2m, not '%s'", text);
    }
    cli->timeout_ms = (uint64_t)us / 1000;
    return SF_OK;
}

unsigned cli_columns(FILE *stream)
{
    struct winsize size = {.ws_col = 0};

    return ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

enum sf_code cli_init(struct cli *ret, FILE *out, FILE *err_stream, int argc, char **argv,
                      struct sf_error *err)
{
    enum sf_code code = SF_OK;

    *ret = (struct cli){.out = out, .err = err_stream, .print = {.out = out}};
    code = args_parse(commands_table(), commands_globals(), argc, argv, &ret->args, err);
    if (code != SF_OK) {
        return code;
    }
    ret->quiet = args_has(&ret->args, "quiet");
    ret->verbose = args_has(&ret->args, "verbose");
    ret->yes = args_has(&ret->args, "yes");
    ret->as = args_value(&ret->args, "as");
    ret->roles = args_value(&ret->args, "role");
    ret->color_out = wants_color(ret, out);
    ret->color_err = wants_color(ret, err_stream);
    ret->print.width = cli_columns(out);
    ret->err_is_terminal = isatty(fileno(err_stream)) == 1;
    ret->may_ask = !args_has(&ret->args, "no-input") && isatty(STDIN_FILENO) == 1;
    code = read_format(ret, err);
    code = code == SF_OK ? read_timeout(ret, err) : code;
    return code == SF_OK ? find_data_dir(ret, err) : code;
}

void cli_done(struct cli *cli)
{
    print_done(&cli->print);
}

int cli_exit_of(const struct sf_error *err)
{
    if (err->number != 0) {
        return sheaf_error_info(err->number)->exit_code;
    }
    switch (err->code) {
    case SF_OK:
        return CLI_OK;
    case SF_INVALID:
        return CLI_USAGE;
    case SF_ABSENT:
        return CLI_NOT_FOUND;
    case SF_DENIED:
        return CLI_DENIED;
    case SF_CONFLICT:
        return CLI_CONFLICT;
    case SF_BUSY:
    case SF_TIMEOUT:
    case SF_UNAVAILABLE:
        return CLI_UNAVAILABLE;
    case SF_NOMEM:
    case SF_IO:
    case SF_CORRUPT:
    case SF_CLOSED:
        return CLI_FAILURE;
    }
    return CLI_FAILURE;
}

/* Writes @text, in which others may have had a say; it has its own lines and no other controls. */
static void put_shown(FILE *to, const char *text)
{
    struct sf_buf shown = {0};

    while (*text != '\0') {
        const size_t n = strcspn(text, "\n");

        print_append_shown(&shown, sf_slice_of(text, n));
        text += n;
        if (*text == '\n') {
            sf_buf_byte(&shown, '\n');
            text++;
        }
    }
    if (shown.size > 0) {
        (void)fwrite(shown.data, 1, shown.size, to);
    }
    sf_buf_done(&shown);
}

static void put_member(FILE *to, const char *name, const char *text)
{
    (void)fprintf(to, "  %s", name);
    put_shown(to, text);
    (void)fputc('\n', to);
}

static void put_error(const struct cli *cli, const struct sf_error *err)
{
    const char *on = cli->color_err ? "\033[1;31m" : "";
    const char *off = cli->color_err ? "\033[0m" : "";

    if (err->number != 0) {
        const char *title = sheaf_error_info(err->number)->title;

        (void)fprintf(cli->err, "%serror[SHEAF-E%04u]%s: %s\n", on, err->number, off, title);
        if (strcmp(err->text, title) != 0) {
            put_member(cli->err, "", err->text);
        }
    } else {
        (void)fprintf(cli->err, "%serror%s: ", on, off);
        put_shown(cli->err, err->text);
        (void)fputc('\n', cli->err);
    }
}

/* What a command may be given is in its help, whoever found it wrong; "": no command is known. */
static const char *help_of(const struct cli *cli, const struct sf_error *err, char ret[80])
{
    const char *path = cli->args.command != NULL ? cli->args.command->path : cli->args.noun;
    const bool is_general = cli->args.command == NULL && path[0] == '\0';

    if ((err->number != SHEAF_E_USAGE && err->number != SHEAF_E_BAD_REQUEST) || is_general) {
        return "";
    }
    (void)snprintf(ret, 80, "see 'sheaf %s%s--help'", path, path[0] == '\0' ? "" : " ");
    return ret;
}

int cli_fail(struct cli *cli, const struct sf_error *err)
{
    const char *next = cli->next;
    char help[80];
    char filled[CLI_NEXT_MAX];

    (void)fflush(cli->out);
    if (!cli->told) {
        put_error(cli, err);
    }
    next = next[0] != '\0' ? next : help_of(cli, err, help);
    if (next[0] == '\0' && err->number != 0) {
        next = sheaf_error_info(err->number)->next;
    }
    if (next[0] != '\0') {
        next_step_fill(cli, next, filled);
        put_member(cli->err, "next: ", filled);
    }
    if (cli->verbose && err->where != NULL) {
        (void)fprintf(cli->err, "  raised at %s as %s\n", err->where, sf_code_name(err->code));
    }
    return cli_exit_of(err);
}

/* Where the lines of an action go: stdout belongs to JSON and CSV when they were asked for. */
static FILE *result_stream(const struct cli *cli)
{
    return cli->print.format == PRINT_TABLE ? cli->out : cli->err;
}

/* __attribute__ because gcc otherwise takes its own UBSan check for a NULL that might come. */
__attribute__((nonnull)) SF_PRINTF(2, 0) static void put_line(FILE *to, const char *fmt, va_list ap)
{
    char few[LINE_FEW];
    char *many = NULL;
    va_list again;
    int size;

    va_copy(again, ap);
    size = vsnprintf(few, sizeof(few), fmt, ap);
    if (size >= (int)sizeof(few)) {
        many = sf_alloc((size_t)size + 1);
    }
    if (many != NULL) {
        (void)vsnprintf(many, (size_t)size + 1, fmt, again);
    }
    va_end(again);
    put_shown(to, many != NULL ? many : few);
    sf_free(many);
    (void)fputc('\n', to);
    (void)fflush(to);
}

void cli_did(struct cli *cli, const char *fmt, ...)
{
    FILE *to = result_stream(cli);
    bool color = to == cli->out ? cli->color_out : cli->color_err;
    va_list ap;

    if (cli->quiet) {
        return;
    }
    (void)fputs(color ? "\033[32m✓\033[0m " : "✓ ", to);
    va_start(ap, fmt);
    put_line(to, fmt, ap);
    va_end(ap);
}

void cli_line(struct cli *cli, const char *fmt, ...)
{
    FILE *to = result_stream(cli);
    va_list ap;

    if (cli->quiet) {
        return;
    }
    va_start(ap, fmt);
    put_line(to, fmt, ap);
    va_end(ap);
}

void cli_note(struct cli *cli, const char *fmt, ...)
{
    va_list ap;

    if (cli->quiet) {
        return;
    }
    (void)fflush(cli->out);
    va_start(ap, fmt);
    put_line(cli->err, fmt, ap);
    va_end(ap);
}

void cli_verbose(struct cli *cli, const char *fmt, ...)
{
    va_list ap;

    if (!cli->verbose) {
        return;
    }
    va_start(ap, fmt);
    put_line(cli->err, fmt, ap);
    va_end(ap);
}

void cli_warn(struct cli *cli, const char *fmt, ...)
{
    va_list ap;

    (void)fflush(cli->out);
    (void)fputs(cli->color_err ? "\033[33mwarning\033[0m: " : "warning: ", cli->err);
    va_start(ap, fmt);
    put_line(cli->err, fmt, ap);
    va_end(ap);
}

enum sf_code cli_confirm(struct cli *cli, const char *question, struct sf_error *err)
{
    char answer[16];

    if (cli->yes) {
        return SF_OK;
    }
    if (cli->may_ask) {
        put_shown(cli->err, question);
        (void)fputs(" [y/N] ", cli->err);
        (void)fflush(cli->err);
        if (fgets(answer, sizeof(answer), stdin) != NULL &&
            (answer[0] == 'y' || answer[0] == 'Y')) {
            return SF_OK;
        }
    }
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_NEEDS_YES, "%s", question);
}

void cli_wait(unsigned ms)
{
    (void)poll(NULL, 0, (int)ms);
}

int cli_end(struct cli *cli)
{
    struct sf_error err;

    return print_end(&cli->print, &err) == SF_OK ? CLI_OK : cli_fail(cli, &err);
}
