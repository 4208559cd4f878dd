/* status: hub, leaves and tables on one screen, what is down first said by the exit code. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cli/api.h"
#include "cli/commands.h"
#include "cli/dev_mesh.h"
#include "cli/rows.h"
#include "common/base/str.h"
#include "common/base/time.h"
#include "common/identity/token.h"
#include "proto/errors.h"

enum {
    INTERVAL_MS = 2000,
    INTERVAL_US_LEAST = 100 * 1000,
};
#define INTERVAL_US_MOST (3600 * SF_US_PER_SEC)

/* "3 s ago" */
static void print_age(struct print *p, const char *name, const struct sf_json *age_us)
{
    char text[SF_DURATION_TEXT_SIZE];
    int64_t us = 0;

    if (!sf_json_as_int(age_us, &us) || us < 0) {
        print_text(p, name, NULL);
        return;
    }
    (void)sf_format_duration(us / SF_US_PER_SEC * SF_US_PER_SEC, text);
    print_text(p, name, text);
}

static void print_line(struct print *p, const char *what, const char *name, const char *state)
{
    print_row(p);
    print_text(p, "what", what);
    print_text(p, "name", name);
    print_text(p, "state", state);
}

/* Without the hub only the leaves themselves can say how they are. */
static enum sf_code status_without_hub(struct cli *cli, struct api *a, struct sf_error *err)
{
    char hint[CLI_PATH_MAX + 64];

    context_log_hint(&a->context.hub, hint, sizeof(hint));
    print_line(&cli->print, "hub", a->context.hub.http, "down");
    print_text(&cli->print, "age", NULL);
    print_text(&cli->print, "detail",
               dev_mesh_is_running(cli->data_dir) ? hint
                                                  : "nothing runs here: start it with 'sheaf dev'");
    for (size_t i = 0; i < a->context.leaf_count; i++) {
        const struct context_process *leaf = &a->context.leaves[i];
        struct sf_error ignored;

        (void)snprintf(a->who.domain, sizeof(a->who.domain), "%s", leaf->domain);
        bool up =
            api_leaf(a, &(struct api_call){.method = "GET", .path = "/livez"}, &ignored) == SF_OK;

        print_line(&cli->print, "leaf", leaf->domain, up ? "up" : "down");
        print_text(&cli->print, "age", NULL);
        print_text(&cli->print, "detail", up ? "works without the hub" : NULL);
    }
    cli->next[0] = '\0';
    return print_end(&cli->print, err);
}

/* "holds back G-1 and 2 more: they had ended", or what the leaf has that the hub has lost. */
static void print_grants(struct print *p, const struct sf_json *leaf, int64_t hub_policies)
{
    char text[160];
    const char *first = "?";
    int64_t bundle = 0;
    int64_t in_force = 0;
    int64_t held = 0;
    int64_t policies = 0;
    struct sf_json_iter it = sf_json_iter(sf_json_get(leaf, "held_back"));

    (void)sf_json_as_int(sf_json_get(leaf, "bundle"), &bundle);
    (void)sf_json_as_int(sf_json_get(leaf, "bundle_in_force"), &in_force);
    (void)sf_json_as_int(sf_json_get(leaf, "held_back_count"), &held);
    (void)sf_json_as_int(sf_json_get(leaf, "policy_version"), &policies);
    if (held > 0 && sf_json_next(&it) && sf_json_as_text(it.value, &first)) {
        (void)snprintf(text, sizeof(text),
                       held == 1 ? "holds back %s, which had ended: revoke it"
                                 : "holds back %s and %" PRId64
                                   " more, which had ended: revoke them",
                       first, held - 1);
    } else if (policies > hub_policies) {
        (void)snprintf(text, sizeof(text),
                       "has policies of version %" PRId64 ", the hub %" PRId64 ": apply them again",
                       policies, hub_policies);
    } else {
        (void)snprintf(text, sizeof(text), "%s",
                       in_force == bundle ? "grants are up to date"
                                          : "newer grants are on their way");
    }
    print_text(p, "detail", text);
}

static bool print_leaves(struct print *p, const struct sf_json *leaves, int64_t hub_policies)
{
    bool healthy = true;

    for (struct sf_json_iter it = sf_json_iter(leaves); sf_json_next(&it);) {
        const char *domain = "?";
        const char *state = "?";

        (void)sf_json_as_text(sf_json_get(it.value, "domain"), &domain);
        (void)sf_json_as_text(sf_json_get(it.value, "state"), &state);
        healthy = healthy && strcmp(state, "up") == 0;
        print_line(p, "leaf", domain, state);
        print_age(p, "age", sf_json_get(it.value, "seen_age_us"));
        if (sf_json_get(it.value, "bundle") == NULL) { /* another domain's affair */
            print_text(p, "detail", NULL);
        } else {
            print_grants(p, it.value, hub_policies);
        }
    }
    return healthy;
}

/* What the hub tells of a table: its owner and the platform its position and what goes wrong,
 * others whether it is as fresh as promised. */
static void print_detail(struct print *p, const struct sf_json *table)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    const char *position = NULL;
    char rows_text[ROWS_TEXT_MAX];
    char quarantined_text[ROWS_TEXT_MAX];
    uint64_t rows = 0;
    uint64_t quarantined = 0;
    int64_t failing = 0;
    bool stale = false;

    (void)sf_json_as_uint(sf_json_get(table, "rows"), &rows);
    (void)sf_json_as_uint(sf_json_get(table, "quarantined"), &quarantined);
    (void)sf_json_as_int(sf_json_get(table, "checks_failing"), &failing);
    (void)sf_json_as_bool(sf_json_get(table, "stale"), &stale);
    if (sf_json_as_text(sf_json_get(table, "position"), &position)) {
        rows_named_text(rows, "row", rows_text);
        rows_count_text(quarantined, quarantined_text);
        sf_buf_printf(&text, "%s at %s, %s in quarantine", rows_text, position, quarantined_text);
    }
    if (failing > 0) {
        sf_buf_printf(&text, ", %" PRId64 " check%s failing", failing, failing == 1 ? "" : "s");
    }
    if (stale) {
        sf_buf_printf(&text, "%sstale", text.size == 0 ? "" : ", ");
    }
    print_text(p, "detail", sf_buf_cstr(&text));
}

static void print_products(struct print *p, const struct sf_json *products)
{
    for (struct sf_json_iter it = sf_json_iter(products); sf_json_next(&it);) {
        char name[256];
        const char *product = "?";
        const char *table = "?";
        const char *state = "?";
        int64_t major = 0;

        (void)sf_json_as_text(sf_json_get(it.value, "product"), &product);
        (void)sf_json_as_text(sf_json_get(it.value, "table"), &table);
        (void)sf_json_as_text(sf_json_get(it.value, "leaf"), &state);
        (void)sf_json_as_int(sf_json_get(it.value, "major"), &major);
        (void)snprintf(name, sizeof(name), "%s@%" PRId64 ".%s", product, major, table);
        print_line(p, "table", name, state);
        print_age(p, "age", sf_json_get(it.value, "commit_age_us"));
        print_detail(p, it.value);
    }
}

static enum sf_code status(struct cli *cli, struct api *a, bool *ret_healthy, struct sf_error *err)
{
    const struct sf_json *root = NULL;
    const char *version = "?";
    int64_t events = 0;
    int64_t policies = 0;
    enum sf_code code = api_open(cli, a, err);

    code = code == SF_OK ? api_act(a, SF_TOKEN_PLATFORM, err) : code;
    if (code != SF_OK) {
        return code;
    }
    print_begin(&cli->print, PRINT_LIST, "StatusList");
    code = api_get_hub(a, "/v1/status", &root, err);
    if (code == SF_UNAVAILABLE || code == SF_TIMEOUT) {
        *ret_healthy = false;
        return status_without_hub(cli, a, err);
    }
    if (code != SF_OK) {
        return code;
    }
    (void)sf_json_as_text(sf_json_get(root, "version"), &version);
    (void)sf_json_as_int(sf_json_get(root, "events"), &events);
    print_line(&cli->print, "hub", a->context.hub.http, "up");
    print_text(&cli->print, "age", NULL);
    print_format_text(&cli->print, "detail", "version %s, %" PRId64 " events", version, events);
    (void)sf_json_as_int(sf_json_get(root, "policy_version"), &policies);
    *ret_healthy = print_leaves(&cli->print, sf_json_get(root, "leaves"), policies);
    print_products(&cli->print, sf_json_get(root, "products"));
    return print_end(&cli->print, err);
}

/* One look: exit code. */
static int look(struct cli *cli)
{
    struct api api = {0};
    bool healthy = true;
    struct sf_error err;
    enum sf_code code = status(cli, &api, &healthy, &err);

    api_done(&api);
    if (code != SF_OK) {
        print_done(&cli->print);
        return cli_fail(cli, &err);
    }
    return healthy ? CLI_OK : CLI_UNHEALTHY;
}

static ssize_t keep(void *buf, const char *bytes, size_t size)
{
    sf_buf_append(buf, bytes, size);
    return (ssize_t)size;
}

/*
 * A terminal is drawn anew, in one write so that it does not flicker. Elsewhere the looks follow
 * each other: tables with an empty line between, documents and lines as they are.
 */
static int look_again(struct cli *cli, unsigned number)
{
    const bool redraws = isatty(fileno(cli->out)) == 1 && cli->print.format == PRINT_TABLE;
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    FILE *kept = fopencookie(&text, "w", (cookie_io_functions_t){.write = keep});
    int exit_code;

    if (kept == NULL) {
        return look(cli);
    }
    cli->print.out = kept;
    cli->print.width = cli_columns(cli->out); /* it may have changed since the last look */
    exit_code = look(cli);
    cli->print.out = cli->out;
    (void)fclose(kept);
    if (redraws) {
        (void)fputs("\033[H\033[J", cli->out);
    } else if (number > 0 && cli->print.format == PRINT_TABLE) {
        (void)fputc('\n', cli->out);
    }
    (void)fwrite(sf_buf_cstr(&text) == NULL ? "" : sf_buf_cstr(&text), 1, text.size, cli->out);
    (void)fflush(cli->out);
    return exit_code;
}

static enum sf_code read_interval(const struct cli *cli, unsigned *ret_ms, struct sf_error *err)
{
    const char *text = args_value(&cli->args, "interval");
    int64_t us = 0;

    *ret_ms = INTERVAL_MS;
    if (text == NULL) {
        return SF_OK;
    }
    if (sf_parse_duration(sf_slice_text(text), &us) != SF_PARSE_OK || us < INTERVAL_US_LEAST ||
        us > INTERVAL_US_MOST) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "--interval wants a time from 100ms to 1h, not '%s'", text);
    }
    *ret_ms = (unsigned)(us / 1000);
    return SF_OK;
}

int cmd_status(struct cli *cli)
{
    const bool until_healthy = args_has(&cli->args, "exit-when-healthy");
    struct sf_error err;
    unsigned interval_ms;
    int exit_code;

    if (read_interval(cli, &interval_ms, &err) != SF_OK) {
        return cli_fail(cli, &err);
    }
    if (!until_healthy && !args_has(&cli->args, "watch")) {
        return look(cli);
    }
    for (unsigned number = 0;; number++) {
        exit_code = look_again(cli, number);
        if (ferror(cli->out) != 0 || (exit_code != CLI_OK && exit_code != CLI_UNHEALTHY) ||
            (until_healthy && exit_code == CLI_OK)) {
            return exit_code;
        }
        cli_wait(interval_ms);
    }
}
