#include "tests/lib/cmocka.h"

#include <string.h>

#include "cli/args.h"
#include "cli/commands.h"
#include "common/base/attr.h"
#include "proto/errors.h"

/* Splits @line at spaces and parses it by the real table. */
static enum sf_code parse(const char *line, struct args *ret, struct sf_error *err)
{
    static char words[256];
    char *argv[32];
    char *rest = words;
    int argc = 0;

    (void)snprintf(words, sizeof(words), "%s", line);
    for (char *word = strsep(&rest, " "); word != NULL; word = strsep(&rest, " ")) {
        argv[argc++] = word;
    }
    return args_parse(commands_table(), commands_globals(), argc, argv, ret, err);
}

static void refuses(const char *line, const char *text)
{
    struct args a;
    struct sf_error err;

    assert_int_equal(parse(line, &a, &err), SF_INVALID);
    assert_int_equal(err.number, SHEAF_E_USAGE);
    assert_string_equal(err.text, text);
}

static void test_flags_may_stand_anywhere(void **state)
{
    static const char *const lines[] = {
        "read sales/orders --as marketing --limit 2 -o json",
        "-o json read --limit=2 sales/orders --as marketing",
        "--as marketing --limit 2 -ojson read sales/orders",
        "read -qo json --as=marketing --limit 2 sales/orders",
    };

    (void)state;
    for (size_t i = 0; i < SF_COUNT(lines); i++) {
        struct args a;
        struct sf_error err;
        uint64_t limit = 0;

        assert_int_equal(parse(lines[i], &a, &err), SF_OK);
        assert_string_equal(a.command->path, "read");
        assert_int_equal(a.positional_count, 1);
        assert_string_equal(a.positional[0], "sales/orders");
        assert_string_equal(args_value(&a, "as"), "marketing");
        assert_string_equal(args_value(&a, "output"), "json");
        assert_int_equal(args_u64(&a, "limit", 7, &limit, &err), SF_OK);
        assert_int_equal(limit, 2);
    }
}

static void test_longest_path_is_the_command(void **state)
{
    struct args a;
    struct sf_error err;

    (void)state;
    assert_int_equal(parse("dev --leaf sales --leaf marketing -d", &a, &err), SF_OK);
    assert_string_equal(a.command->path, "dev");
    assert_string_equal(args_value_at(&a, "leaf", 0), "sales");
    assert_string_equal(args_value_at(&a, "leaf", 1), "marketing");
    assert_null(args_value_at(&a, "leaf", 2));
    assert_true(args_has(&a, "detach"));
    assert_int_equal(parse("dev stop", &a, &err), SF_OK);
    assert_string_equal(a.command->path, "dev stop");
    assert_int_equal(parse("product quarantine ls sales/orders", &a, &err), SF_OK);
    assert_string_equal(a.command->path, "product quarantine ls");
    assert_string_equal(a.positional[0], "sales/orders");
}

static void test_last_value_wins_and_dashes_end_flags(void **state)
{
    struct args a;
    struct sf_error err;

    (void)state;
    assert_int_equal(parse("read --limit 1 --limit 5 -- --odd", &a, &err), SF_OK);
    assert_string_equal(args_value(&a, "limit"), "5");
    assert_string_equal(a.positional[0], "--odd");
}

static void test_no_words_is_no_command(void **state)
{
    struct args a;
    struct sf_error err;

    (void)state;
    assert_int_equal(args_parse(commands_table(), commands_globals(), 0, NULL, &a, &err), SF_OK);
    assert_null(a.command);
    assert_int_equal(parse("--help", &a, &err), SF_OK);
    assert_null(a.command);
    assert_true(a.help);
    assert_int_equal(parse("access approve -h", &a, &err), SF_OK);
    assert_true(a.help); /* although its argument is missing */
}

static void test_what_is_wrong_is_said_with_what_is_near(void **state)
{
    (void)state;
    refuses("publihs f.csv", "unknown command 'publihs'; did you mean 'publish'?");
    refuses("revoke G-1", "unknown command 'revoke'; did you mean 'access revoke'?");
    refuses("quarantine ls", "unknown command 'quarantine'; did you mean 'product quarantine'?");
    refuses("verify", "unknown command 'verify'; did you mean 'audit verify'?");
    refuses("drop", "unknown command 'drop'; did you mean 'product quarantine drop'?");
    refuses("explain", "unknown command 'explain'; there are: access explain, policy explain");
    refuses("frobnicate", "unknown command 'frobnicate'");
    refuses("product lnit", "unknown command 'product lnit'; did you mean 'product lint'?");
    refuses("audit", "'audit' wants one of: ls, verify");
    refuses("product quarantine", "'product quarantine' wants one of: ls, show, fix, replay, drop");
    refuses("product quarantine dorp",
            "unknown command 'product quarantine dorp'; did you mean 'product quarantine drop'?");
    refuses("audit explode", "unknown command 'audit explode'; 'audit' has: ls, verify");
    refuses("read a/b --limti 2", "'sheaf read' has no flag '--limti'; did you mean '--limit'?");
    refuses("read a/b --zzz=1", "'sheaf read' has no flag '--zzz'");
    refuses("read a/b -z", "'sheaf read' has no flag '-z'");
    refuses("--zzz", "'sheaf' has no flag '--zzz'");
    refuses("read", "'sheaf read' wants D/P[@MAJOR][.TABLE]");
    refuses("read a/b c/d", "'sheaf read' does not take 'c/d'");
    refuses("read a/b --limit", "--limit wants N");
    refuses("read a/b -o", "-o wants FORMAT");
    refuses("read a/b --quiet=1", "--quiet takes no value");
}

static void test_the_beginning_of_commands_is_a_noun_when_help_is_asked_for(void **state)
{
    struct args a;
    struct sf_error err;

    (void)state;
    assert_int_equal(parse("access --help", &a, &err), SF_OK);
    assert_null(a.command);
    assert_string_equal(a.noun, "access");
    assert_int_equal(parse("-h product quarantine", &a, &err), SF_OK);
    assert_string_equal(a.noun, "product quarantine");
    assert_int_equal(parse("access ls --help", &a, &err), SF_OK);
    assert_string_equal(a.command->path, "access ls");
    assert_string_equal(a.noun, "");
    refuses("acces --help", "unknown command 'acces'; did you mean 'access'?");
    refuses("access",
            "'access' wants one of: request, ls, show, approve, deny, revoke, explain, preview");
}

static void test_numbers_are_whole(void **state)
{
    static const char *const bad[] = {"-1", "1.5", "x", "", "99999999999999999999", "1 "};
    struct args a;
    struct sf_error err;
    uint64_t n = 0;

    (void)state;
    for (size_t i = 0; i < SF_COUNT(bad); i++) {
        char word[40];
        char read[] = "read";
        char product[] = "a/b";
        char *argv[] = {read, product, word};

        (void)snprintf(word, sizeof(word), "--limit=%s", bad[i]);
        assert_int_equal(args_parse(commands_table(), commands_globals(), 3, argv, &a, &err),
                         SF_OK);
        assert_int_equal(args_u64(&a, "limit", 1, &n, &err), SF_INVALID);
        assert_int_equal(err.number, SHEAF_E_USAGE);
    }
}

/* Flags in front of the command are skipped by the table as a whole, so one name has one form. */
static void test_a_flag_takes_a_value_everywhere_or_nowhere(void **state)
{
    (void)state;
    for (const struct command *c = commands_table(); c->path != NULL; c++) {
        assert_non_null(c->run);
        assert_non_null(c->examples);
        assert_int_equal(strncmp(c->examples, "sheaf ", 6), 0);
        for (const struct flag *f = c->flags; f != NULL && f->name != NULL; f++) {
            for (const struct flag *g = commands_globals(); g->name != NULL; g++) {
                assert_string_not_equal(f->name, g->name);
                assert_true(f->letter == 0 || f->letter != g->letter);
            }
            for (const struct command *d = commands_table(); d->path != NULL; d++) {
                for (const struct flag *g = d->flags; g != NULL && g->name != NULL; g++) {
                    if (strcmp(f->name, g->name) == 0) {
                        assert_int_equal(f->value == NULL, g->value == NULL);
                    }
                }
            }
        }
    }
}

/* Every example of the help is a command line that parses. */
static void test_examples_parse(void **state)
{
    (void)state;
    for (const struct command *c = commands_table(); c->path != NULL; c++) {
        for (const char *at = c->examples; *at != '\0';) {
            char line[200];
            size_t n = strcspn(at, "\n");
            char *quote = NULL;
            struct args a;
            struct sf_error err;

            (void)snprintf(line, sizeof(line), "%.*s", (int)n - 6, at + 6);
            line[strcspn(line, ">")] = '\0';
            if (line[strlen(line) - 1] == ' ') {
                line[strlen(line) - 1] = '\0';
            }
            while ((quote = strchr(line, '"')) != NULL) { /* a shell would take them away */
                char *close = strchr(quote + 1, '"');

                for (char *p = quote; p < close; p++) {
                    *p = *p == ' ' ? '_' : *p;
                }
                *quote = *close = '_';
            }
            assert_int_equal(parse(line, &a, &err), SF_OK);
            assert_ptr_equal(a.command, c);
            at += n + (at[n] == '\n');
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags_may_stand_anywhere),
        cmocka_unit_test(test_longest_path_is_the_command),
        cmocka_unit_test(test_last_value_wins_and_dashes_end_flags),
        cmocka_unit_test(test_no_words_is_no_command),
        cmocka_unit_test(test_what_is_wrong_is_said_with_what_is_near),
        cmocka_unit_test(test_the_beginning_of_commands_is_a_noun_when_help_is_asked_for),
        cmocka_unit_test(test_numbers_are_whole),
        cmocka_unit_test(test_a_flag_takes_a_value_everywhere_or_nowhere),
        cmocka_unit_test(test_examples_parse),
    };

    return cmocka_run_group_tests_name("args", tests, NULL, NULL);
}
