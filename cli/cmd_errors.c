/* errors ls and show: the table of errors that every program of ours uses. */
#include <string.h>

#include "cli/commands.h"
#include "common/base/str.h"
#include "proto/errors.h"

static const char *area_of(uint16_t number)
{
    static const char *const areas[] = {"",
                                        "product file",
                                        "records",
                                        "requests",
                                        "access",
                                        "identity",
                                        "storage and limits",
                                        "processes and mesh",
                                        "command line"};
    const size_t area = number / 100;

    return area < SF_COUNT(areas) ? areas[area] : "";
}

static void print_error(struct print *p, const struct sheaf_error_info *e)
{
    print_row(p);
    print_format_text(p, "code", "SHEAF-E%04u", e->number);
    print_text(p, "title", e->title);
    print_text(p, "area", area_of(e->number));
    print_uint(p, "http", e->http_status);
    print_uint(p, "exit", e->exit_code);
    print_text(p, "next", e->next);
}

int cmd_errors_ls(struct cli *cli)
{
    print_begin(&cli->print, PRINT_LIST, "ErrorList");
    for (unsigned i = 0; sheaf_error_at(i) != NULL; i++) {
        print_error(&cli->print, sheaf_error_at(i));
    }
    return cli_end(cli);
}

/* "412", "E0412", "SHEAF-E0412", in any case. */
static const struct sheaf_error_info *find(const char *text)
{
    uint64_t number = 0;

    if (strncasecmp(text, "sheaf-", 6) == 0) {
        text += 6;
    }
    if (*text == 'e' || *text == 'E') {
        text++;
    }
    if (sf_parse_u64(sf_slice_text(text), &number) != SF_PARSE_OK) {
        return NULL;
    }
    for (unsigned i = 0; sheaf_error_at(i) != NULL; i++) {
        if (sheaf_error_at(i)->number == number) {
            return sheaf_error_at(i);
        }
    }
    return NULL;
}

int cmd_errors_show(struct cli *cli)
{
    const char *text = cli->args.positional[0];
    const struct sheaf_error_info *e = find(text);
    struct sf_error err;

    if (e == NULL) {
        (void)SF_RAISE_E(&err, SF_INVALID, SHEAF_E_USAGE,
                         "there is no error '%s'; see 'sheaf errors ls'", text);
        return cli_fail(cli, &err);
    }
    print_begin(&cli->print, PRINT_OBJECT, "Error");
    print_error(&cli->print, e);
    return cli_end(cli);
}
