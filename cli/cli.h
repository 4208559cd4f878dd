/*
 * One run of the command line tool: what was asked, where results and messages go.
 *
 * Results go to stdout through the printer; messages go to stderr. The lines by which an action
 * reports what it did are its result in table form, and messages in every other.
 *
 *   Threads   One thread, but for the loop of `sheaf dev` and `sheaf sub`.
 *   Memory    Lives in main(). Strings point into argv or into the struct.
 */
#pragma once

#include "cli/args.h"
#include "cli/print.h"

enum { CLI_PATH_MAX = 1024, CLI_NEXT_MAX = 320 };

/* Exit codes; docs/reference/cli.md and `sheaf help exit-codes`. */
enum cli_exit {
    CLI_OK = 0,
    CLI_FAILURE = 1,
    CLI_USAGE = 2,
    CLI_INVALID = 3,
    CLI_NOT_FOUND = 4,
    CLI_DENIED = 5,
    CLI_CONFLICT = 6,
    CLI_UNAVAILABLE = 7,
    CLI_UNHEALTHY = 8,
    CLI_INTERRUPTED = 130,
};

struct cli {
    struct args args;
    struct print print;
    FILE *out;
    FILE *err;
    bool quiet;
    bool verbose;
    bool yes;
    bool color_out; /* colour is wanted on that stream */
    bool color_err;
    bool may_ask;         /* somebody is there to answer a question */
    bool err_is_terminal; /* lines of stderr may be rewritten */
    uint64_t timeout_ms;
    const char *as;              /* DOMAIN[/USER], or NULL */
    const char *roles;           /* its roles, A,B; or NULL */
    char acting[64];             /* the domain that acts, once it is chosen, or "" */
    char data_dir[CLI_PATH_MAX]; /* state of the dev mesh */
    char next[CLI_NEXT_MAX];     /* next step that a server named with its error, or "" */
    bool told;                   /* the error was shown in its place: the next step is left */
};

/*
 * Reads the flags every command has, and the environment, into @ret. SF_INVALID: E0801.
 * On failure @ret can print errors already.
 */
enum sf_code cli_init(struct cli *ret, FILE *out, FILE *err_stream, int argc, char **argv,
                      struct sf_error *err) SF_MUST_CHECK;
void cli_done(struct cli *cli);

/* Where @given is from the root: servers and children run elsewhere. SF_INVALID: E0801. */
enum sf_code cli_whole_path(const char *given, char ret[CLI_PATH_MAX],
                            struct sf_error *err) SF_MUST_CHECK;

/* Prints the error - number, title, cause, next step - and returns its exit code. */
int cli_fail(struct cli *cli, const struct sf_error *err);
int cli_exit_of(const struct sf_error *err);

/* "✓ <text>": a step of an action that is done. */
void cli_did(struct cli *cli, const char *fmt, ...) SF_PRINTF(2, 3);
/* A line of an action's result without a mark. */
void cli_line(struct cli *cli, const char *fmt, ...) SF_PRINTF(2, 3);
/* A message to stderr; nothing with -q. */
void cli_note(struct cli *cli, const char *fmt, ...) SF_PRINTF(2, 3);
/* The same, only with -v. */
void cli_verbose(struct cli *cli, const char *fmt, ...) SF_PRINTF(2, 3);
/* "warning: ..." to stderr, also with -q. */
void cli_warn(struct cli *cli, const char *fmt, ...) SF_PRINTF(2, 3);

/* SF_OK: agreed (--yes, or typed). SF_INVALID, E0803: nobody there to ask, or not agreed. */
enum sf_code cli_confirm(struct cli *cli, const char *question, struct sf_error *err) SF_MUST_CHECK;

/* Columns of the terminal that @stream is; 0: it is none, or does not say. */
unsigned cli_columns(FILE *stream);

/* Lets @ms milliseconds pass. */
void cli_wait(unsigned ms);

/* print_end(), and its failure as an exit code: what most commands return. */
int cli_end(struct cli *cli);
