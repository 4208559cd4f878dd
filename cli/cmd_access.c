/* access ls and show: what was asked for, and what is granted. */

#include "cli/api.h"
#include "cli/commands.h"
#include "common/base/str.h"
#include "common/base/time.h"
#include "common/identity/token.h"

#include <time.h>

static int64_t int_of(const struct sf_json *v, const char *name)
{
    int64_t n = 0;

    (void)sf_json_as_int(sf_json_get(v, name), &n);
    return n;
}

/* For people: how much of it is seen now, "2 of 4, 1 masked, some rows". */
static void print_columns(struct print *p, const struct sf_json *v)
{
    const struct sf_json *opens = sf_json_get(v, "opens");
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    bool filtered = false;

    if (p->format != PRINT_TABLE) {
        print_json(p, "columns", sf_json_get(v, "columns"));
    } else if (opens == NULL) {
        print_text(p, "columns", NULL);
    } else {
        (void)sf_json_as_bool(sf_json_get(opens, "filtered"), &filtered);
        sf_buf_printf(&text, "%d of %d", (int)int_of(opens, "columns"), (int)int_of(opens, "of"));
        if (int_of(opens, "masked") > 0) {
            sf_buf_printf(&text, ", %d masked", (int)int_of(opens, "masked"));
        }
        sf_buf_text(&text, filtered ? ", some rows" : "");
        print_slice(p, "columns", sf_buf_view(&text));
    }
}

/* When it ends; of a request that waits, for how long it asks. */
static void print_until(struct print *p, const struct sf_json *v)
{
    const char *until = NULL;
    char text[SF_DURATION_TEXT_SIZE];
    char end[PRINT_TIME_SIZE];
    int64_t us = 0;

    if (p->format != PRINT_TABLE) {
        print_json(p, "until", sf_json_get(v, "until"));
    } else if (sf_json_as_text(sf_json_get(v, "until"), &until)) {
        if (sf_time_parse(sf_slice_text(until), &us) == SF_PARSE_OK) {
            print_until_text(us, (int64_t)time(NULL) * 1000000, end);
            print_text(p, "until", end);
        } else {
            print_text(p, "until", until);
        }
    } else if (sf_json_as_int(sf_json_get(v, "duration_us"), &us)) {
        (void)sf_format_duration(us, text);
        print_format_text(p, "until", "for %s", text);
    } else {
        print_text(p, "until", NULL);
    }
}

/* Active is what the hub knows; held back what its leaf does. */
static void print_state(struct print *p, const struct sf_json *v)
{
    bool held_back = false;

    (void)sf_json_as_bool(sf_json_get(v, "held_back"), &held_back);
    if (held_back) {
        print_text(p, "state", "held back");
    } else {
        print_json(p, "state", sf_json_get(v, "state"));
    }
}

static void print_entry(struct print *p, const struct sf_json *v)
{
    int64_t major = 0;
    const char *product = sf_json_text_of(v, "product");

    (void)sf_json_as_int(sf_json_get(v, "major"), &major);
    print_row(p);
    print_json(p, "id", sf_json_get(v, "id"));
    print_state(p, v);
    print_format_text(p, "product", "%s@%u", product, (unsigned)major);
    print_json(p, "consumer", sf_json_get(v, "consumer"));
    print_json(p, "purpose", sf_json_get(v, "purpose"));
    print_columns(p, v);
    print_until(p, v);
}

static enum sf_code list(struct cli *cli, struct api *a, struct sf_error *err)
{
    bool pending = args_has(&cli->args, "pending");
    const struct sf_json *root = NULL;
    enum sf_code code = api_open(cli, a, err);

    code = code == SF_OK ? api_act(a, SF_TOKEN_PLATFORM, err) : code;
    code = code == SF_OK
               ? api_get_hub(a, pending ? "/v1/access?state=pending" : "/v1/access", &root, err)
               : code;
    if (code != SF_OK) {
        return code;
    }
    print_begin(&cli->print, PRINT_LIST, "AccessList");
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(root, "requests")); sf_json_next(&it);) {
        print_entry(&cli->print, it.value);
    }
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(root, "grants"));
         !pending && sf_json_next(&it);) {
        print_entry(&cli->print, it.value);
    }
    if (cli->print.format == PRINT_TABLE && sf_json_count(sf_json_get(root, "requests")) == 0) {
        cli_note(cli, pending ? "nothing waits for a decision" : "nobody has asked for anything");
    }
    return print_end(&cli->print, err);
}

int cmd_access_ls(struct cli *cli)
{
    struct api api = {0};
    struct sf_error err;
    enum sf_code code = list(cli, &api, &err);

    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}

/* --- show ------------------------------------------------------------------------------------- */

/* A list as "a, b". */
static void print_texts(struct print *p, const char *name, const struct sf_json *list)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};

    for (struct sf_json_iter it = sf_json_iter(list); sf_json_next(&it);) {
        struct sf_slice one = {0};

        (void)sf_json_as_slice(it.value, &one);
        sf_buf_text(&text, text.size == 0 ? "" : ", ");
        sf_buf_slice(&text, one);
    }
    print_slice(p, name, sf_buf_view(&text));
}

/* A time to the second. */
static void print_moment(struct print *p, const char *name, const struct sf_json *value)
{
    const char *text = NULL;
    int64_t us = 0;

    if (sf_json_as_text(value, &text) && sf_time_parse(sf_slice_text(text), &us) == SF_PARSE_OK) {
        print_time(p, name, us);
    } else {
        print_json(p, name, value);
    }
}

/* Appends "people.email (redact)" behind what is there; the table where there are several. */
static void add_field(struct sf_buf *out, const char *table, const char *field, const char *more)
{
    sf_buf_text(out, out->size == 0 ? "" : ", ");
    sf_buf_printf(out, "%s%s%s", table == NULL ? "" : table, table == NULL ? "" : ".", field);
    if (*more != '\0') {
        sf_buf_printf(out, " (%s)", more);
    }
}

static void add_fields(const struct sf_json *table, const char *name, struct sf_buf *open,
                       struct sf_buf *closed)
{
    for (struct sf_json_iter f = sf_json_iter(sf_json_get(table, "fields")); sf_json_next(&f);) {
        const char *sees = sf_json_text_of(f.value, "sees");
        const char *policy = sf_json_text_of(f.value, "policy");

        if (strcmp(sees, "omit") == 0) {
            add_field(closed, name, sf_json_text_of(f.value, "field"),
                      *policy != '\0' ? policy : sf_json_text_of(f.value, "by"));
        } else {
            add_field(open, name, sf_json_text_of(f.value, "field"),
                      strcmp(sees, "clear") == 0 ? "" : sees);
        }
    }
}

static void add_rows(const struct sf_json *table, const char *name, struct sf_buf *rows)
{
    for (struct sf_json_iter f = sf_json_iter(sf_json_get(table, "filters")); sf_json_next(&f);) {
        const char *filter = sf_json_text_of(f.value, "filter");

        add_field(rows, name, *filter == '\0' ? "some" : filter,
                  sf_json_text_of(f.value, "policy"));
    }
}

static void print_unless_empty(struct print *p, const char *name, const struct sf_buf *text)
{
    if (text->size > 0) {
        print_slice(p, name, sf_buf_view(text));
    }
}

/* What it opens now: columns as they are seen, what is closed and by what, rows, roles. */
static void print_opens(struct print *p, const struct sf_json *opens)
{
    const struct sf_json *tables = sf_json_get(opens, "tables");
    const bool several = sf_json_count(tables) > 1;
    struct sf_buf open = {0};
    struct sf_buf closed = {0};
    struct sf_buf rows = {0};
    struct sf_buf roles = {0};

    for (struct sf_json_iter t = sf_json_iter(tables); sf_json_next(&t);) {
        const char *name = several ? sf_json_text_of(t.value, "table") : NULL;

        add_fields(t.value, name, &open, &closed);
        add_rows(t.value, name, &rows);
    }
    for (struct sf_json_iter r = sf_json_iter(sf_json_get(opens, "by_role")); sf_json_next(&r);) {
        const char *field = sf_json_text_of(r.value, "field");

        sf_buf_printf(&roles, "%s%s: ", roles.size == 0 ? "" : "; ",
                      sf_json_text_of(r.value, "role"));
        sf_buf_printf(&roles, "%s%s%s%s%s", several ? sf_json_text_of(r.value, "table") : "",
                      several ? (*field == '\0' ? " " : ".") : "", field, *field == '\0' ? "" : " ",
                      sf_json_text_of(r.value, "sees"));
    }
    print_unless_empty(p, "columns", &open);
    print_unless_empty(p, "closed", &closed);
    print_unless_empty(p, "rows", &rows);
    print_unless_empty(p, "roles", &roles);
    print_format_text(p, "policies", "version %d", (int)int_of(opens, "policy_version"));
    sf_buf_done(&open);
    sf_buf_done(&closed);
    sf_buf_done(&rows);
    sf_buf_done(&roles);
}

/* What a request or grant says, in words: durations, times, lists; how it came about, last. */
static void print_for_people(struct print *p, const struct sf_json *root)
{
    static const char *const first[] = {"id",    "request", "state",    "product",
                                        "major", "owner",   "consumer", "purpose"};
    static const char *const times[] = {"created", "until", "ended"};
    static const char *const last[] = {"requested_by", "decided_by", "note",         "reason",
                                       "grant",        "audience",   "sole_audience"};
    char text[SF_DURATION_TEXT_SIZE];
    int64_t us = 0;

    print_row(p);
    for (size_t i = 0; i < SF_COUNT(first); i++) {
        if (strcmp(first[i], "state") == 0) {
            print_state(p, root);
        } else if (sf_json_get(root, first[i]) != NULL) {
            print_json(p, first[i], sf_json_get(root, first[i]));
        }
    }
    if (sf_json_get(root, "opens") != NULL) {
        print_opens(p, sf_json_get(root, "opens"));
    } else if (sf_json_count(sf_json_get(root, "columns")) > 0) {
        print_texts(p, "columns", sf_json_get(root, "columns"));
    }
    if (sf_json_as_int(sf_json_get(root, "duration_us"), &us)) {
        (void)sf_format_duration(us, text);
        print_text(p, "for", text);
    }
    for (size_t i = 0; i < SF_COUNT(times); i++) {
        if (sf_json_get(root, times[i]) != NULL) {
            print_moment(p, times[i], sf_json_get(root, times[i]));
        }
    }
    for (size_t i = 0; i < SF_COUNT(last); i++) {
        if (sf_json_get(root, last[i]) != NULL) {
            print_json(p, last[i], sf_json_get(root, last[i]));
        }
    }
}

static enum sf_code show(struct cli *cli, struct api *a, struct sf_error *err)
{
    struct sf_buf path = {0};
    const struct sf_json *root = NULL;
    const char *kind = "Access";
    enum sf_code code = api_open(cli, a, err);

    sf_buf_text(&path, "/v1/access/");
    api_escape(&path, cli->args.positional[0]);
    code = code == SF_OK ? api_act(a, SF_TOKEN_PLATFORM, err) : code;
    if (code == SF_OK && sf_buf_cstr(&path) == NULL) {
        code = sf_buf_check(&path, "path", err);
    }
    code = code == SF_OK ? api_get_hub(a, sf_buf_cstr(&path), &root, err) : code;
    sf_buf_done(&path);
    if (code != SF_OK) {
        return code;
    }
    (void)sf_json_as_text(sf_json_get(root, "kind"), &kind);
    print_begin(&cli->print, PRINT_OBJECT, kind);
    if (cli->print.format == PRINT_TABLE) {
        print_for_people(&cli->print, root);
    } else {
        print_answer_members(&cli->print, root);
    }
    return print_end(&cli->print, err);
}

int cmd_access_show(struct cli *cli)
{
    struct api api = {0};
    struct sf_error err;
    enum sf_code code = show(cli, &api, &err);

    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}
