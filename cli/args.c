#include "cli/args.h"

#include <stdio.h>
#include <string.h>

#include "common/base/attr.h"
#include "common/base/str.h"
#include "proto/errors.h"

enum { PATH_WORDS_MAX = 3, VERBS_MAX = 256, NAMES_MAX = 64 };

static const struct flag *find_flag(const struct flag *flags, const char *name, size_t size)
{
    for (const struct flag *f = flags; f != NULL && f->name != NULL; f++) {
        if (strlen(f->name) == size && memcmp(f->name, name, size) == 0) {
            return f;
        }
    }
    return NULL;
}

static const struct flag *find_letter(const struct flag *flags, char letter)
{
    for (const struct flag *f = flags; f != NULL && f->name != NULL; f++) {
        if (f->letter == letter) {
            return f;
        }
    }
    return NULL;
}

/* Whether @word, a flag of any command, takes the next word as its value. */
static bool takes_next(const struct command *commands, const struct flag *globals, const char *word)
{
    const struct flag *f = NULL;

    if (word[1] == '-') {
        size_t size = strlen(word + 2);

        if (strchr(word, '=') != NULL) {
            return false;
        }
        f = find_flag(globals, word + 2, size);
        for (const struct command *c = commands; f == NULL && c->path != NULL; c++) {
            f = find_flag(c->flags, word + 2, size);
        }
        return f != NULL && f->value != NULL;
    }
    for (const char *at = word + 1; *at != '\0'; at++) {
        f = find_letter(globals, *at);
        for (const struct command *c = commands; f == NULL && c->path != NULL; c++) {
            f = find_letter(c->flags, *at);
        }
        if (f != NULL && f->value != NULL) {
            return at[1] == '\0';
        }
    }
    return false;
}

static bool is_flag(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

/* How many words of @path @words begin with, when all of @path is there; else 0. */
static unsigned match_path(const char *path, const char *const *words, unsigned word_count)
{
    unsigned used = 0;

    while (*path != '\0') {
        size_t n = strcspn(path, " ");

        if (used == word_count || strlen(words[used]) != n || memcmp(words[used], path, n) != 0) {
            return 0;
        }
        used++;
        path += n + (path[n] == ' ');
    }
    return used;
}

const struct command *args_find(const struct command *commands, const char *const *words,
                                unsigned word_count, unsigned *ret_used)
{
    const struct command *best = NULL;
    unsigned best_used = 0;

    for (const struct command *c = commands; c->path != NULL; c++) {
        unsigned used = match_path(c->path, words, word_count);

        if (used > best_used) {
            best = c;
            best_used = used;
        }
    }
    if (best != NULL) {
        *ret_used = best_used;
    }
    return best;
}

bool args_is_noun(const struct command *commands, const char *const *words, unsigned word_count,
                  char ret[ARGS_NOUN_MAX])
{
    size_t size = 0;

    for (unsigned i = 0; i < word_count && size < ARGS_NOUN_MAX; i++) {
        size +=
            (size_t)snprintf(ret + size, ARGS_NOUN_MAX - size, "%s%s", i == 0 ? "" : " ", words[i]);
    }
    for (const struct command *c = commands; size > 0 && size < ARGS_NOUN_MAX && c->path != NULL;
         c++) {
        if (strncmp(c->path, ret, size) == 0 && c->path[size] == ' ') {
            return true;
        }
    }
    return false;
}

/* How many of @words are the longest beginning of commands that there is. */
static unsigned noun_of(const struct command *commands, const char *const *words,
                        unsigned word_count, char ret[ARGS_NOUN_MAX])
{
    while (word_count > 0 && !args_is_noun(commands, words, word_count, ret)) {
        word_count--;
    }
    if (word_count == 0) {
        ret[0] = '\0';
    }
    return word_count;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

/* Names to choose the nearest from. */
struct names {
    const char *at[NAMES_MAX];
    size_t count;
};

static void add_name(struct names *n, const char *name)
{
    if (n->count < NAMES_MAX) {
        n->at[n->count++] = name;
    }
}

/* A noun stands alone or with a verb that it has not: names the verbs, or the nearest. */
static enum sf_code unknown_verb(const struct command *commands, const char *noun, const char *verb,
                                 struct sf_error *err)
{
    char verbs[VERBS_MAX] = "";
    struct names names = {.count = 0};
    const char *near = NULL;
    size_t n = strlen(noun);

    for (const struct command *c = commands; c->path != NULL; c++) {
        if (strncmp(noun, c->path, n) == 0 && c->path[n] == ' ') {
            size_t used = strlen(verbs);

            (void)snprintf(verbs + used, sizeof(verbs) - used, "%s%s", used == 0 ? "" : ", ",
                           c->path + n + 1);
            add_name(&names, c->path + n + 1);
        }
    }
    if (verb == NULL) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "'%s' wants one of: %s", noun, verbs);
    }
    near = sf_text_nearest(sf_slice_text(verb), names.at, names.count);
    if (near != NULL) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "unknown command '%s %s'; did you mean '%s %s'?", noun, verb, noun, near);
    }
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "unknown command '%s %s'; '%s' has: %s", noun,
                      verb, noun, verbs);
}

static bool is_noun(const struct command *commands, const char *noun)
{
    size_t n = strlen(noun);

    for (const struct command *c = commands; c->path != NULL; c++) {
        if (strncmp(noun, c->path, n) == 0 && c->path[n] == ' ') {
            return true;
        }
    }
    return false;
}

/* Bytes of @path up to the end of @word, when that is one of its words but not the first; else 0.
 */
static size_t end_of_word(const char *path, const char *word)
{
    const size_t n = strlen(word);

    for (const char *at = strchr(path, ' '); at != NULL; at = strchr(at + 1, ' ')) {
        if (strncmp(at + 1, word, n) == 0 && (at[1 + n] == ' ' || at[1 + n] == '\0')) {
            return (size_t)(at - path) + 1 + n;
        }
    }
    return 0;
}

/* A verb that stands without its noun: names the commands that it is of. */
static enum sf_code unknown_word(const struct command *commands, const char *word,
                                 struct sf_error *err)
{
    char paths[VERBS_MAX] = "";
    const char *last = "";
    size_t last_size = 0;
    unsigned count = 0;

    for (const struct command *c = commands; c->path != NULL; c++) {
        const size_t size = end_of_word(c->path, word);
        const size_t used = strlen(paths);

        if (size > 0 && (size != last_size || strncmp(c->path, last, size) != 0)) {
            (void)snprintf(paths + used, sizeof(paths) - used, "%s%.*s", used == 0 ? "" : ", ",
                           (int)size, c->path);
            last = c->path;
            last_size = size;
            count++;
        }
    }
    return count == 0   ? SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "unknown command '%s'", word)
           : count == 1 ? SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                                     "unknown command '%s'; did you mean '%s'?", word, paths)
                        : SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                                     "unknown command '%s'; there are: %s", word, paths);
}

enum sf_code args_unknown(const struct command *commands, const char *const *words,
                          unsigned word_count, struct sf_error *err)
{
    char nouns[NAMES_MAX][ARGS_NOUN_MAX];
    struct names names = {.count = 0};
    const char *near = NULL;

    for (const struct command *c = commands; c->path != NULL && names.count < NAMES_MAX; c++) {
        char *noun = nouns[names.count];

        (void)snprintf(noun, ARGS_NOUN_MAX, "%.*s", (int)strcspn(c->path, " "), c->path);
        if (strcmp(words[0], noun) == 0) {
            char deeper[ARGS_NOUN_MAX]; /* 'product quarantine' has commands as well */

            (void)snprintf(deeper, sizeof(deeper), "%s %s", noun, word_count > 1 ? words[1] : "");
            if (word_count > 1 && is_noun(commands, deeper)) {
                return unknown_verb(commands, deeper, word_count > 2 ? words[2] : NULL, err);
            }
            return unknown_verb(commands, words[0], word_count > 1 ? words[1] : NULL, err);
        }
        add_name(&names, noun);
    }
    near = sf_text_nearest(sf_slice_text(words[0]), names.at, names.count);
    if (near == NULL) {
        return unknown_word(commands, words[0], err);
    }
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "unknown command '%s'; did you mean '%s'?",
                      words[0], near);
}

/* @word begins behind the dashes and may go on with "=value". */
static enum sf_code unknown_flag(const struct args *a, const struct flag *globals, const char *word,
                                 struct sf_error *err)
{
    struct sf_slice given = sf_slice_of(word, strcspn(word, "="));
    struct names names = {.count = 0};
    const char *near = NULL;
    const char *space = a->command->path[0] == '\0' ? "" : " ";

    for (const struct flag *f = a->command->flags; f != NULL && f->name != NULL; f++) {
        add_name(&names, f->name);
    }
    for (const struct flag *f = globals; f->name != NULL; f++) {
        add_name(&names, f->name);
    }
    near = sf_text_nearest(given, names.at, names.count);
    if (near == NULL) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "'sheaf%s%s' has no flag '--%.*s'", space,
                          a->command->path, SF_SLICE_ARG(given));
    }
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                      "'sheaf%s%s' has no flag '--%.*s'; did you mean '--%s'?", space,
                      a->command->path, SF_SLICE_ARG(given), near);
}

void args_name_flag(const struct args *a, struct sf_error *err)
{
    const char *end = err->text[0] == '\'' ? strchr(err->text + 1, '\'') : NULL;
    char name[ARGS_NOUN_MAX];
    char rest[sizeof(err->text)];

    if (end == NULL || a->command == NULL || (size_t)(end - err->text) > sizeof(name)) {
        return;
    }
    (void)snprintf(name, sizeof(name), "%.*s", (int)(end - err->text - 1), err->text + 1);
    for (char *c = strchr(name, '_'); c != NULL; c = strchr(c, '_')) {
        *c = '-';
    }
    for (const struct flag *f = a->command->flags; f != NULL && f->name != NULL; f++) {
        if (strcmp(f->name, name) == 0) {
            (void)snprintf(rest, sizeof(rest), "%s", end + 1);
            (void)snprintf(err->text, sizeof(err->text), "--%s%.*s", name,
                           (int)(sizeof(rest) - sizeof(name) - 2), rest);
            return;
        }
    }
}

static enum sf_code add_flag(struct args *a, const struct flag *f, const char *value,
                             struct sf_error *err)
{
    if (a->given_count == ARGS_FLAGS_MAX) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "more than %d flags", ARGS_FLAGS_MAX);
    }
    a->given[a->given_count++] = (struct flag_given){.flag = f, .value = value};
    a->help = a->help || strcmp(f->name, "help") == 0;
    return SF_OK;
}

/* One "--name", "--name value" or "--name=value" at argv[*at]. */
static enum sf_code take_long(struct args *a, const struct flag *globals, int argc, char **argv,
                              int *at, struct sf_error *err)
{
    const char *word = argv[*at] + 2;
    size_t size = strcspn(word, "=");
    const struct flag *f = find_flag(a->command->flags, word, size);

    f = f != NULL ? f : find_flag(globals, word, size);
    if (f == NULL) {
        return unknown_flag(a, globals, word, err);
    }
    if (f->value == NULL) {
        if (word[size] == '=') {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "--%s takes no value", f->name);
        }
        return add_flag(a, f, NULL, err);
    }
    if (word[size] == '=') {
        return add_flag(a, f, word + size + 1, err);
    }
    if (*at + 1 >= argc) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "--%s wants %s", f->name, f->value);
    }
    *at += 1;
    return add_flag(a, f, argv[*at], err);
}

/* Letters at argv[*at]: switches, the last one perhaps with a value ("-qo json", "-ojson"). */
static enum sf_code take_letters(struct args *a, const struct flag *globals, int argc, char **argv,
                                 int *at, struct sf_error *err)
{
    for (const char *c = argv[*at] + 1; *c != '\0'; c++) {
        const struct flag *f = find_letter(a->command->flags, *c);
        enum sf_code code = SF_OK;

        f = f != NULL ? f : find_letter(globals, *c);
        if (f == NULL) {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "'sheaf %s' has no flag '-%c'",
                              a->command->path, *c);
        }
        if (f->value == NULL) {
            code = add_flag(a, f, NULL, err);
        } else if (c[1] != '\0') {
            return add_flag(a, f, c + 1, err);
        } else if (*at + 1 >= argc) {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "-%c wants %s", *c, f->value);
        } else {
            *at += 1;
            return add_flag(a, f, argv[*at], err);
        }
        if (code != SF_OK) {
            return code;
        }
    }
    return SF_OK;
}

static enum sf_code take_word(struct args *a, const char *word, unsigned *path_left,
                              struct sf_error *err)
{
    if (*path_left > 0) {
        *path_left -= 1;
        return SF_OK;
    }
    if (a->positional_count == ARGS_MAX) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "more than %d arguments", ARGS_MAX);
    }
    a->positional[a->positional_count++] = word;
    return SF_OK;
}

static enum sf_code check_counts(const struct args *a, struct sf_error *err)
{
    const struct command *c = a->command;

    if (a->help) {
        return SF_OK;
    }
    if (a->positional_count < c->argument_min) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "'sheaf %s' wants %s", c->path,
                          c->arguments);
    }
    if (a->positional_count > c->argument_max) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "'sheaf %s' does not take '%s'", c->path,
                          a->positional[c->argument_max]);
    }
    return SF_OK;
}

/* The first words that are neither flags nor their values. */
static unsigned leading_words(const struct command *commands, const struct flag *globals, int argc,
                              char **argv, const char *ret[PATH_WORDS_MAX])
{
    unsigned count = 0;

    for (int i = 0; i < argc && count < PATH_WORDS_MAX; i++) {
        if (strcmp(argv[i], "--") == 0) {
            break;
        }
        if (is_flag(argv[i])) {
            i += takes_next(commands, globals, argv[i]) ? 1 : 0;
            continue;
        }
        ret[count++] = argv[i];
    }
    return count;
}

enum sf_code args_parse(const struct command *commands, const struct flag *globals, int argc,
                        char **argv, struct args *ret, struct sf_error *err)
{
    static const struct command none = {.path = "", .arguments = ""};
    const char *words[PATH_WORDS_MAX] = {NULL};
    unsigned word_count = leading_words(commands, globals, argc, argv, words);
    unsigned path_left = 0;
    bool flags_over = false;

    *ret = (struct args){.command = args_find(commands, words, word_count, &path_left)};
    if (word_count > 0 && ret->command == NULL) {
        const unsigned known = noun_of(commands, words, word_count, ret->noun);

        ret->help = known == word_count && asks_for_help(argc, argv);
        return ret->help ? SF_OK : args_unknown(commands, words, word_count, err);
    }
    ret->command = ret->command != NULL ? ret->command : &none;
    for (int i = 0; i < argc; i++) {
        enum sf_code code = SF_OK;

        if (!flags_over && strcmp(argv[i], "--") == 0) {
            flags_over = true;
        } else if (!flags_over && strncmp(argv[i], "--", 2) == 0) {
            code = take_long(ret, globals, argc, argv, &i, err);
        } else if (!flags_over && is_flag(argv[i])) {
            code = take_letters(ret, globals, argc, argv, &i, err);
        } else {
            code = take_word(ret, argv[i], &path_left, err);
        }
        if (code != SF_OK) {
            return code;
        }
    }
    if (ret->command == &none) {
        ret->command = NULL;
        return SF_OK;
    }
    return check_counts(ret, err);
}

const char *args_value_at(const struct args *a, const char *name, unsigned i)
{
    for (unsigned g = 0; g < a->given_count; g++) {
        if (strcmp(a->given[g].flag->name, name) == 0 && i-- == 0) {
            return a->given[g].value;
        }
    }
    return NULL;
}

const char *args_value(const struct args *a, const char *name)
{
    const char *last = NULL;
    const char *value = NULL;

    for (unsigned i = 0; (value = args_value_at(a, name, i)) != NULL; i++) {
        last = value;
    }
    return last;
}

bool args_has(const struct args *a, const char *name)
{
    for (unsigned g = 0; g < a->given_count; g++) {
        if (strcmp(a->given[g].flag->name, name) == 0) {
            return true;
        }
    }
    return false;
}

enum sf_code args_u64(const struct args *a, const char *name, uint64_t fallback, uint64_t *ret,
                      struct sf_error *err)
{
    const char *text = args_value(a, name);

    if (text == NULL) {
        *ret = fallback;
        return SF_OK;
    }
    if (sf_parse_u64(sf_slice_text(text), ret) != SF_PARSE_OK) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "--%s wants a whole number, not '%s'",
                          name, text);
    }
    return SF_OK;
}
