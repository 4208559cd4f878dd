/* access explain: what a domain sees of a product, a table or a field of it, and the rule that says
 * so.
 */
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/product_ref.h"
#include "common/identity/token.h"
#include "proto/errors.h"

enum { NAME_MAX_BYTES = 160 };

struct question {
    char domain[NAME_MAX_BYTES];
    const char *role; /* or NULL */
    char product[NAME_MAX_BYTES];
    char table[NAME_MAX_BYTES]; /* "" : all */
    char field[NAME_MAX_BYTES]; /* "" : all */
};

static enum sf_code read_flags(struct cli *cli, struct question *q, struct sf_error *err)
{
    const char *who = args_value(&cli->args, "who");
    const char *what = args_value(&cli->args, "what");
    const char *slash;
    const char *dot;
    const char *second;

    *q = (struct question){0};
    if (who == NULL || what == NULL || strlen(who) >= NAME_MAX_BYTES ||
        strlen(what) >= NAME_MAX_BYTES) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "say who asks for what: --who marketing --what sales/orders.email");
    }
    slash = strchr(who, '/');
    (void)snprintf(q->domain, sizeof(q->domain), "%.*s",
                   (int)(slash == NULL ? strlen(who) : (size_t)(slash - who)), who);
    q->role = slash == NULL ? NULL : slash + 1;
    dot = strchr(what, '.');
    (void)snprintf(q->product, sizeof(q->product), "%.*s",
                   (int)(dot == NULL ? strlen(what) : (size_t)(dot - what)), what);
    if (dot != NULL) {
        second = strchr(dot + 1, '.');
        if (second != NULL) {
            (void)snprintf(q->table, sizeof(q->table), "%.*s", (int)(second - dot - 1), dot + 1);
        }
        (void)snprintf(q->field, sizeof(q->field), "%s", second == NULL ? dot + 1 : second + 1);
    }
    return SF_OK;
}

static void write_path(struct cli *cli, const struct question *q, struct sf_buf *path)
{
    const char *purpose = args_value(&cli->args, "purpose");

    sf_buf_text(path, "/v1/explain?who=");
    api_escape(path, q->domain);
    sf_buf_text(path, "&product=");
    api_escape(path, q->product);
    if (q->role != NULL) {
        sf_buf_text(path, "&role=");
        api_escape(path, q->role);
    }
    if (purpose != NULL) {
        sf_buf_text(path, "&purpose=");
        api_escape(path, purpose);
    }
}

/* Who decided, and where it stands. */
static void print_cause(struct print *p, const struct sf_json *v)
{
    const char *by = sf_json_text_of(v, "by");
    const char *note = sf_json_text_of(v, "note");

    if (strcmp(by, "policy") == 0) {
        print_format_text(p, "by", "policy %s of the %s", sf_json_text_of(v, "policy"),
                          sf_json_text_of(v, "of"));
    } else if (strcmp(by, "default") == 0) {
        print_text(p, "by", "safe default: pii and secret stay in their domain");
    } else if (strcmp(by, "columns") == 0) {
        print_text(p, "by", "columns of the grant");
    } else {
        print_text(p, "by", NULL);
    }
    print_json(p, "place", sf_json_get(v, "place"));
    print_text(p, "note", *note == '\0' ? NULL : note);
}

static void print_line(struct print *p, const char *table, const char *field, const char *sees,
                       const struct sf_json *cause)
{
    print_row(p);
    print_format_text(p, "what", "%s%s%s", table, *field == '\0' ? " (rows)" : ".", field);
    print_text(p, "sees", sees);
    print_cause(p, cause);
}

/* A name alone may be a table's. */
static bool asks_all_of(const struct question *q, const char *table)
{
    return q->field[0] == '\0' || (q->table[0] == '\0' && strcmp(q->field, table) == 0);
}

static bool print_table(struct print *p, const struct question *q, const struct sf_json *t)
{
    const char *table = sf_json_text_of(t, "table");
    const bool all = asks_all_of(q, table);
    bool denied = false;
    bool found = all;

    if (q->table[0] != '\0' && strcmp(q->table, table) != 0) {
        return false;
    }
    (void)sf_json_as_bool(sf_json_get(t, "denied"), &denied);
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(t, "fields")); sf_json_next(&it);) {
        const char *field = sf_json_text_of(it.value, "field");

        if (all || strcmp(q->field, field) == 0) {
            found = true;
            print_line(p, table, field, sf_json_text_of(it.value, "sees"), it.value);
        }
    }
    if (found && denied) {
        print_line(p, table, "", "denied", sf_json_get(t, "denied_by"));
    }
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(t, "filters"));
         found && !denied && sf_json_next(&it);) {
        const char *filter = sf_json_text_of(it.value, "filter");

        print_line(p, table, "", *filter == '\0' ? "some" : filter, it.value);
    }
    return found;
}

static enum sf_code explain(struct cli *cli, struct api *a, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf path = {0};
    const struct sf_json *root = NULL;
    struct question q;
    bool found = false;
    enum sf_code code = read_flags(cli, &q, err);

    if (code == SF_OK) {
        write_path(cli, &q, &path);
        (void)sf_buf_cstr(&path);
        code = sf_buf_check(&path, "path", err);
    }
    code = code == SF_OK ? api_open(cli, a, err) : code;
    code = code == SF_OK ? api_act(a, SF_TOKEN_PLATFORM, err) : code;
    code = code == SF_OK ? api_get_hub(a, sf_buf_cstr(&path), &root, err) : code;
    if (code != SF_OK) {
        return code;
    }
    print_begin(&cli->print, PRINT_LIST, "Explanation");
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(root, "tables")); sf_json_next(&it);) {
        found |= print_table(&cli->print, &q, it.value);
    }
    if (!found) {
        print_done(&cli->print);
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_FIELD_UNKNOWN, "%s has no table or field %s%s%s",
                          q.product, q.table, q.table[0] == '\0' ? "" : ".", q.field);
    }
    print_member_text(&cli->print, "product", sf_json_text_of(root, "product"));
    print_member_text(&cli->print, "grant", sf_json_text_of(root, "grant"));
    code = print_end(&cli->print, err);
    if (code == SF_OK && sf_json_kind(sf_json_get(root, "grant")) != SF_JSON_STRING &&
        strcmp(q.domain, "") != 0) {
        bool owner = false;

        (void)sf_json_as_bool(sf_json_get(root, "owner"), &owner);
        cli_note(cli,
                 owner ? "%s owns it: policies do not bind it"
                       : "%s has no grant: this is what it would see with one",
                 q.domain);
    }
    return code;
}

int cmd_access_explain(struct cli *cli)
{
    struct api api = {0};
    struct sf_error err;
    enum sf_code code = explain(cli, &api, &err);

    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}
