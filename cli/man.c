#include "cli/man.h"

#include <string.h>

#include "cli/help.h"

/* Text of ours as roff takes it for nothing but text. */
static void put(FILE *out, const char *text)
{
    bool begins = true;

    for (; *text != '\0'; text++) {
        if (begins && (*text == '.' || *text == '\'')) {
            (void)fputs("\\&", out);
        }
        begins = *text == '\n';
        if (*text == '\\') {
            (void)fputs("\\e", out);
        } else if (*text == '-') {
            (void)fputs("\\-", out);
        } else if (*text == '"') {
            (void)fputs("\\(dq", out);
        } else {
            (void)fputc(*text, out);
        }
    }
}

static void put_flags(FILE *out, const struct flag *flags)
{
    (void)fputs(".Bl -tag -width Ds\n", out);
    for (const struct flag *f = flags; f->name != NULL; f++) {
        (void)fputs(".It ", out);
        if (f->letter != 0) {
            (void)fprintf(out, "Fl %c , ", f->letter);
        }
        (void)fputs("Fl \\-", out);
        put(out, f->name);
        if (f->value != NULL) {
            (void)fputs(" Ar ", out);
            put(out, f->value);
        }
        (void)fputc('\n', out);
        put(out, f->help);
        (void)fputc('\n', out);
    }
    (void)fputs(".El\n", out);
}

static void put_command(FILE *out, const struct command *c)
{
    (void)fputs(".Ss sheaf ", out);
    put(out, c->path);
    if (c->arguments[0] != '\0') {
        (void)fputc(' ', out);
        put(out, c->arguments);
    }
    (void)fputc('\n', out);
    put(out, c->summary);
    (void)fputs(".\n.Bd -literal -offset indent\n", out);
    put(out, c->examples);
    (void)fputs("\n.Ed\n", out);
    if (c->flags != NULL) {
        put_flags(out, c->flags);
    }
}

static void put_environment(FILE *out)
{
    const char *name = NULL;

    (void)fputs(".Sh ENVIRONMENT\n.Bl -tag -width Ds\n", out);
    for (size_t i = 0; help_environment(i, &name) != NULL; i++) {
        (void)fprintf(out, ".It Ev %s\n", name);
        put(out, help_environment(i, &name));
        (void)fputc('\n', out);
    }
    (void)fputs(".El\n", out);
}

void man_page(FILE *out, const struct command *commands, const struct flag *flags)
{
    (void)fputs(".\\\" Written by 'sheaf help man'.\n"
                ".Dd November 20, 2026\n"
                ".Dt SHEAF 1\n"
                ".Os\n"
                ".Sh NAME\n"
                ".Nm sheaf\n"
                ".Nd data products with contracts, governed where the rows are\n"
                ".Sh SYNOPSIS\n"
                ".Nm\n"
                ".Ar command\n"
                ".Op Ar arguments\n"
                ".Op Ar flags\n"
                ".Sh DESCRIPTION\n"
                ".Nm\n"
                "works with the hub and the leaves of a mesh.\n"
                "Results go to standard output, messages to standard error.\n"
                "An error is its number, its cause and a next step.\n"
                "The commands are:\n",
                out);
    for (const struct command *c = commands; c->path != NULL; c++) {
        put_command(out, c);
    }
    (void)fputs(".Ss Flags of every command\n", out);
    put_flags(out, flags);
    put_environment(out);
    (void)fputs(".Sh EXIT STATUS\n"
                ".Bl -tag -width Ds\n",
                out);
    for (size_t i = 0; help_exit_code(i, NULL) != NULL; i++) {
        int code = 0;
        const char *text = help_exit_code(i, &code);

        (void)fprintf(out, ".It %d\n", code);
        put(out, text);
        (void)fputc('\n', out);
    }
    (void)fputs(".El\n"
                ".Sh SEE ALSO\n"
                ".Xr sheaf\\-hub 8 ,\n"
                ".Xr sheaf\\-leaf 8\n",
                out);
}
