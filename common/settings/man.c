#include <string.h>

#include "common/settings/settings.h"

/* Text of ours as roff takes it for nothing but text; a line is never begun with a dot. */
static void put(struct sf_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\') {
            sf_buf_text(out, "\\e");
        } else if (text[0] == '.' && text[1] == ' ') {
            sf_buf_text(out, ".\n"); /* each sentence has its line */
            text++;
        } else if (*text == '-') {
            sf_buf_text(out, "\\-");
        } else {
            sf_buf_byte(out, (uint8_t)*text);
        }
    }
}

static void put_setting(const struct sf_setting *s, struct sf_buf *out)
{
    sf_buf_text(out, ".It Fl \\-");
    put(out, s->key);
    sf_buf_text(out, s->type == SF_SETTING_SWITCH ? "\n" : " Ar value\n");
    put(out, s->doc);
    sf_buf_byte(out, '\n');
    if (s->default_text != NULL) {
        sf_buf_text(out, "Default: ");
        put(out, *s->default_text == '\0' ? "empty" : s->default_text);
        sf_buf_text(out, ".\n");
    }
    if (s->reloadable) {
        sf_buf_text(out, "Reloadable.\n");
    }
}

void sf_settings_man(const struct sf_settings_page *page, struct sf_buf *out)
{
    sf_buf_printf(out,
                  ".Dd November 20, 2026\n.Dt %s 8\n.Os\n.Sh NAME\n.Nm %s\n.Nd %s\n"
                  ".Sh SYNOPSIS\n.Nm\n.Op Fl \\-config Ar file\n.Op Ar settings\n"
                  ".Nm\n.Fl \\-help | \\-version\n.Sh DESCRIPTION\n",
                  page->title, page->program, page->summary);
    put(out, page->description);
    sf_buf_text(out, "\n.Pp\nEvery setting is a flag, a variable (\n.Ev SHEAF_BODY_MAX\nfor\n"
                     ".Fl \\-body\\-max ) ,\nand a key of the configuration file, a YAML map.\n"
                     "A flag wins over the environment, the environment over the file.\n"
                     "SIGHUP reads the file again: reloadable settings take effect, others are\n"
                     "named in the log and wait for a restart.\n"
                     "SIGTERM and SIGINT stop the program.\n"
                     ".Bl -tag -width Ds\n");
    for (size_t i = 0; i < page->count; i++) {
        put_setting(&page->table[i], out);
    }
    sf_buf_text(out,
                ".El\n.Sh EXIT STATUS\n0 when it was stopped, 2 when settings are wrong, else\n"
                "the exit status of the error that it prints.\n.Sh SEE ALSO\n"
                ".Xr sheaf 1\n");
}
