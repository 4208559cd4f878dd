#include "cli/complete.h"

#include <stdlib.h>
#include <string.h>

#include "cli/api.h"
#include "cli/commands.h"
#include "common/identity/token.h"
#include "proto/errors.h"

/*
 * All shells ask this program, which knows its commands; what runs now (domains, products) it asks
 * the mesh, briefly. Where nothing is known the shell goes on with names of files.
 */

enum { WORDS_MAX = 64, ASK_MS_MAX = 300 };

static const char bash_script[] = "_sheaf() {\n"
                                  "    local IFS=$'\\n'\n"
                                  "    COMPREPLY=($(compgen -W \"$(sheaf __complete "
                                  "\"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null |\n"
                                  "        cut -f 1)\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
                                  "}\n"
                                  "complete -o default -F _sheaf sheaf\n";

static const char zsh_script[] =
    "#compdef sheaf\n"
    "_sheaf() {\n"
    "    local line\n"
    "    local -a found\n"
    "    for line in ${(f)\"$(sheaf __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)\"}; do\n"
    "        found+=(\"${${line%%$'\\t'*}//:/\\\\:}${${(M)line%$'\\t'*}/$'\\t'/:}\")\n"
    "    done\n"
    "    if (( ${#found} )); then _describe sheaf found; else _files; fi\n"
    "}\n"
    "compdef _sheaf sheaf\n";

static const char fish_script[] =
    "function __sheaf_complete\n"
    "    set -l found (sheaf __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)\n"
    "    if test (count $found) -gt 0\n"
    "        printf '%s\\n' $found\n"
    "    else\n"
    "        __fish_complete_path (commandline -ct)\n"
    "    end\n"
    "end\n"
    "complete -c sheaf -e\n"
    "complete -c sheaf -f -a '(__sheaf_complete)'\n";

int cmd_completion(struct cli *cli)
{
    static const struct {
        const char *shell;
        const char *script;
    } shells[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};
    const char *shell = cli->args.positional[0];
    struct sf_error err;

    for (size_t i = 0; i < SF_COUNT(shells); i++) {
        if (strcmp(shell, shells[i].shell) == 0) {
            (void)fputs(shells[i].script, cli->out);
            return CLI_OK;
        }
    }
    (void)SF_RAISE_E(&err, SF_INVALID, SHEAF_E_USAGE, "'%s' is not bash, zsh or fish", shell);
    return cli_fail(cli, &err);
}

/* --- what a word could be --------------------------------------------------------------------- */

struct completion {
    FILE *out;
    const char *begun; /* the word under the cursor */
    const char *data;  /* --data, or NULL */
    const char *words[WORDS_MAX];
    unsigned word_count; /* those before it that are no flags */
};

static void offer_n(struct completion *c, const char *text, size_t n, const char *note)
{
    const size_t begun = strlen(c->begun);

    if (begun <= n && memcmp(text, c->begun, begun) == 0) {
        (void)fprintf(c->out, "%.*s%s%s\n", (int)n, text, note != NULL ? "\t" : "",
                      note != NULL ? note : "");
    }
}

static void offer(struct completion *c, const char *text, const char *note)
{
    offer_n(c, text, strlen(text), note);
}

static void offer_all(struct completion *c, const char *const *names)
{
    for (; *names != NULL; names++) {
        offer(c, *names, NULL);
    }
}

static void offer_flags(struct completion *c, const struct flag *flags)
{
    char name[64];

    for (const struct flag *f = flags; f != NULL && f->name != NULL; f++) {
        (void)snprintf(name, sizeof(name), "--%s", f->name);
        offer(c, name, f->help);
    }
}

/* A cli as the flags so far make it, for calls; false: nothing to ask. */
static bool open_mesh(struct completion *c, struct cli *cli, struct api *api)
{
    char *argv[] = {(char[]){"--data"}, (char *)(uintptr_t)c->data};
    struct sf_error err;

    if (cli_init(cli, c->out, stderr, c->data == NULL ? 0 : 2, argv, &err) != SF_OK) {
        return false;
    }
    cli->timeout_ms = ASK_MS_MAX;
    return api_open(cli, api, &err) == SF_OK;
}

static void offer_domains(struct completion *c)
{
    struct cli cli;
    struct api api = {0};

    if (open_mesh(c, &cli, &api)) {
        for (size_t i = 0; i < api.context.leaf_count; i++) {
            offer(c, api.context.leaves[i].domain, NULL);
        }
        offer(c, SF_TOKEN_PLATFORM, NULL);
    }
    api_done(&api);
    cli_done(&cli);
}

/* The member @name of the items of @path, asked of the hub. */
static void offer_of_hub(struct completion *c, const char *path, const char *list, const char *name)
{
    const struct sf_json *root = NULL;
    struct cli cli;
    struct api api = {0};
    struct sf_error err;

    if (open_mesh(c, &cli, &api) && api_act(&api, SF_TOKEN_PLATFORM, &err) == SF_OK &&
        api_get_hub(&api, path, &root, &err) == SF_OK) {
        for (struct sf_json_iter it = sf_json_iter(sf_json_get(root, list)); sf_json_next(&it);) {
            const char *text = "";

            if (sf_json_as_text(sf_json_get(it.value, name), &text)) {
                offer(c, text, NULL);
            }
        }
    }
    api_done(&api);
    cli_done(&cli);
}

static void offer_errors(struct completion *c)
{
    char code[16];

    for (unsigned i = 0; sheaf_error_at(i) != NULL; i++) {
        (void)snprintf(code, sizeof(code), "E%04u", sheaf_error_at(i)->number);
        offer(c, code, sheaf_error_at(i)->title);
    }
}

/* What a flag called @name, which takes @value, can be. */
static void offer_values(struct completion *c, const char *name, const char *value)
{
    static const char *const formats[] = {"table", "json", "ndjson", "csv", "yaml", "name", NULL};
    static const char *const on_invalid[] = {"quarantine", "reject", NULL};

    if (strcmp(name, "output") == 0) {
        offer_all(c, formats);
    } else if (strcmp(name, "on-invalid") == 0) {
        offer_all(c, on_invalid);
    } else if (strncmp(value, "DOMAIN", 6) == 0) {
        offer_domains(c);
    }
}

/* What the argument of a command can be, by what its help calls it. */
static void offer_arguments(struct completion *c, const struct command *command)
{
    static const char *const shells[] = {"bash", "zsh", "fish", NULL};
    const char *what = command->arguments;

    if (strncmp(what, "D/P", 3) == 0) {
        offer_of_hub(c, "/v1/products", "items", "product");
    } else if (strncmp(what, "AR-N", 4) == 0) {
        offer_of_hub(c, "/v1/access?state=pending", "requests", "id");
    } else if (strncmp(what, "G-N", 3) == 0) {
        offer_of_hub(c, "/v1/access", "grants", "id");
    } else if (strcmp(what, "SHELL") == 0) {
        offer_all(c, shells);
    } else if (strcmp(what, "CODE") == 0) {
        offer_errors(c);
    }
}

/* What follows @words in the path of @c; NULL: it does not begin with them. */
static const char *rest_of(const struct command *c, const char *const *words, unsigned count)
{
    const char *rest = c->path;

    for (unsigned i = 0; rest != NULL && i < count; i++) {
        const size_t size = strlen(words[i]);

        rest = strncmp(rest, words[i], size) == 0 && rest[size] == ' ' ? rest + size + 1 : NULL;
    }
    return rest;
}

/* The next word of every command that begins with the words so far; each once. */
static void offer_commands(struct completion *c, const char *const *words, unsigned count)
{
    for (const struct command *at = commands_table(); at->path != NULL; at++) {
        const char *rest = rest_of(at, words, count);
        const size_t n = rest == NULL ? 0 : strcspn(rest, " ");
        bool said = n == 0;

        for (const struct command *before = commands_table(); !said && before != at; before++) {
            const char *other = rest_of(before, words, count);

            said = other != NULL && strcspn(other, " ") == n && memcmp(other, rest, n) == 0;
        }
        if (!said) {
            offer_n(c, rest, n, rest[n] == '\0' ? at->summary : NULL);
        }
    }
}

static void offer_words(struct completion *c)
{
    unsigned used = 0;
    const struct command *command = args_find(commands_table(), c->words, c->word_count, &used);

    if (c->word_count > 0 && strcmp(c->words[0], "help") == 0) {
        offer_commands(c, c->words + 1, c->word_count - 1);
        return;
    }
    offer_commands(c, c->words, c->word_count);
    if (command != NULL && c->word_count - used < command->argument_max) {
        offer_arguments(c, command);
    }
}

/* The flag that @word is, of any command, when it takes its value from the next word. */
static const struct flag *flag_before_value(const char *word)
{
    const struct flag *flags = commands_globals();

    if (word[0] != '-' || strchr(word, '=') != NULL) {
        return NULL;
    }
    for (const struct command *at = commands_table();; at++) {
        for (const struct flag *f = flags; f != NULL && f->name != NULL; f++) {
            if (f->value != NULL && ((f->letter != 0 && word[1] == f->letter && word[2] == '\0') ||
                                     (word[1] == '-' && strcmp(word + 2, f->name) == 0))) {
                return f;
            }
        }
        if (at->path == NULL) {
            return NULL;
        }
        flags = at->flags;
    }
}

int complete_run(FILE *out, int argc, char **argv)
{
    struct completion c = {.out = out, .begun = argc > 0 ? argv[argc - 1] : ""};
    const struct flag *flag = NULL;
    unsigned used = 0;

    for (int i = 0; i + 1 < argc; i++) {
        flag = flag_before_value(argv[i]);
        if (flag != NULL && i + 2 < argc) {
            c.data = strcmp(flag->name, "data") == 0 ? argv[i + 1] : c.data;
            flag = NULL;
            i++;
        } else if (argv[i][0] != '-' && c.word_count < WORDS_MAX) {
            c.words[c.word_count++] = argv[i];
        }
    }
    if (flag != NULL) {
        offer_values(&c, flag->name, flag->value);
    } else if (c.begun[0] == '-') {
        const struct command *command = args_find(commands_table(), c.words, c.word_count, &used);

        offer_flags(&c, command == NULL ? NULL : command->flags);
        offer_flags(&c, commands_globals());
    } else {
        offer_words(&c);
    }
    return CLI_OK;
}
