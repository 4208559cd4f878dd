/*
 * The command line: one table of commands, and what an invocation said.
 *
 * Everything that knows commands or flags reads the table of commands.h: parsing, --help, errors
 * with suggestions, the reference page.
 *
 *   Memory   Values point into argv; a struct args owns nothing.
 *   Limits   ARGS_MAX positionals, ARGS_FLAGS_MAX flags given.
 *   Errors   SF_INVALID with SHEAF-E0801, texts with the nearest name where there is one.
 */
#pragma once

#include "common/base/error.h"

struct cli;

struct flag {
    const char *name;  /* without dashes */
    char letter;       /* 0: none */
    const char *value; /* what the value is called in help; NULL: a switch */
    const char *help;
};

enum command_group {
    GROUP_START,
    GROUP_USE,
    GROUP_PRODUCT,
    GROUP_ACCESS,
    GROUP_POLICY,
    GROUP_OPERATE,
    GROUP_OTHER,
    GROUP_COUNT,
};

struct command {
    const char *path; /* "product quarantine ls" */
    enum command_group group;
    const char *summary;
    const char *arguments; /* "D/P[.TABLE]"; "" for none */
    unsigned argument_min;
    unsigned argument_max;
    const char *examples;     /* lines, each "sheaf ..." */
    const struct flag *flags; /* ends with a NULL name; may be NULL */
    int (*run)(struct cli *cli);
};

enum { ARGS_MAX = 16, ARGS_FLAGS_MAX = 64, ARGS_NOUN_MAX = 32 };

struct flag_given {
    const struct flag *flag;
    const char *value; /* NULL for a switch */
};

struct args {
    const struct command *command; /* NULL: none named */
    bool help;                     /* -h or --help somewhere */
    char noun[ARGS_NOUN_MAX];      /* without a command: what begins some, "access", or "" */
    const char *positional[ARGS_MAX];
    unsigned positional_count;
    struct flag_given given[ARGS_FLAGS_MAX];
    unsigned given_count;
};

/*
 * Takes @argv (without the program's name) apart by @commands, which ends with a NULL path, and
 * @globals, the flags of every command. Without any word command is NULL. With help set, counts of
 * arguments are not checked, and words that only begin commands are taken as noun.
 */
enum sf_code args_parse(const struct command *commands, const struct flag *globals, int argc,
                        char **argv, struct args *ret, struct sf_error *err) SF_MUST_CHECK;

/* The command whose path is the longest beginning of @words; *ret_used words of it. Or NULL. */
const struct command *args_find(const struct command *commands, const char *const *words,
                                unsigned word_count, unsigned *ret_used);

/* Says what else @words, which begin no command, may mean. SF_INVALID, E0801. */
enum sf_code args_unknown(const struct command *commands, const char *const *words,
                          unsigned word_count, struct sf_error *err);

/* Whether @words, joined by blanks into @ret, are the beginning of commands and no command. */
bool args_is_noun(const struct command *commands, const char *const *words, unsigned word_count,
                  char ret[ARGS_NOUN_MAX]);

/* Where @err of a server begins with a parameter, 'as_of', that a flag of the command is for, with
 * the flag instead: --as-of. */
void args_name_flag(const struct args *a, struct sf_error *err);

/* Last value given for a flag, or NULL. */
const char *args_value(const struct args *a, const char *name);
bool args_has(const struct args *a, const char *name);
/* Value number @i of a flag that may be repeated, or NULL. */
const char *args_value_at(const struct args *a, const char *name, unsigned i);
/* A count: @fallback when the flag is not given. SF_INVALID names flag and value. */
enum sf_code args_u64(const struct args *a, const char *name, uint64_t fallback, uint64_t *ret,
                      struct sf_error *err) SF_MUST_CHECK;
