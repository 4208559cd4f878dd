/*
 * leaf check, backup, restore.
 *
 * What works on the directory of a leaf that does not run is done by sheaf-leaf, which takes this
 * process' place.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/api.h"
#include "cli/commands.h"
#include "cli/dev_node.h"
#include "cli/progress.h"
#include "cli/rows.h"
#include "common/identity/token.h"
#include "common/sys/file.h"
#include "proto/errors.h"

enum { LOOK_MS = 100, ARGV_MAX = 16 };

/* --- by sheaf-leaf --- */

struct program {
    char path[CLI_PATH_MAX];
    const char *argv[ARGV_MAX];
    size_t argc;
};

static void add(struct program *p, const char *argument)
{
    if (p->argc < ARGV_MAX - 1) {
        p->argv[p->argc++] = argument;
    }
}

static void add_value(struct program *p, const char *flag, const char *value)
{
    if (value != NULL) {
        add(p, flag);
        add(p, value);
    }
}

/* Does not return when all goes well. */
static int become(struct cli *cli, struct program *p)
{
    struct sf_error err;

    if (cli->print.format == PRINT_JSON || cli->print.format == PRINT_NDJSON) {
        add(p, "--json");
    }
    if (dev_node_program("sheaf-leaf", p->path, &err) != SF_OK) {
        return cli_fail(cli, &err);
    }
    p->argv[0] = p->path;
    (void)fflush(cli->out);
    (void)execv(p->path, (char *const *)(uintptr_t)p->argv);
    (void)SF_RAISE_E(&err, SF_IO, SHEAF_E_FILE_UNREADABLE, "%s: %m", p->path);
    return cli_fail(cli, &err);
}

/* --- by a leaf that runs --- */

/* The error of a job that failed, as its problem document tells it. */
static enum sf_code raise_job(struct cli *cli, const struct sf_json *problem, struct sf_error *err)
{
    const char *detail = "the leaf says no more";
    const char *code_text = "SHEAF-E0708";
    const char *next = sf_json_text_of(problem, "next");
    unsigned number = SHEAF_E_INTERNAL;

    (void)sf_json_as_text(sf_json_get(problem, "detail"), &detail);
    (void)sf_json_as_text(sf_json_get(problem, "code"), &code_text);
    (void)sscanf(code_text, "SHEAF-E%u", &number);
    (void)snprintf(cli->next, sizeof(cli->next), "%s", next);
    return SF_RAISE_E(err, SF_IO, (uint16_t)number, "%s", detail);
}

/* Starts the job at @path and follows it to its end; *ret is its report. */
static enum sf_code run_job(struct api *a, const char *path, struct sf_slice body,
                            const char *doing, const struct sf_json **ret, struct sf_error *err)
{
    const struct api_call post = {
        .method = "POST", .path = path, .content_type = "application/json", .body = body};
    const struct sf_json *root = NULL;
    struct progress progress;
    const char *state = "";
    uint64_t done = 0;
    uint64_t total = 0;
    enum sf_code code = api_leaf(a, &post, err);

    progress_start(&progress, a->cli, doing);
    while (code == SF_OK) {
        code = api_get_leaf(a, path, &root, err);
        if (code != SF_OK || !sf_json_as_text(sf_json_get(root, "state"), &state) ||
            strcmp(state, "running") != 0) {
            break;
        }
        (void)sf_json_as_uint(sf_json_path(root, "report.done"), &done);
        (void)sf_json_as_uint(sf_json_path(root, "report.total"), &total);
        progress_show(&progress, done, total, 0);
        (void)poll(NULL, 0, LOOK_MS); /* A signal ends us, not the job. */
    }
    progress_end(&progress);
    if (code == SF_OK && strcmp(state, "done") != 0) {
        return raise_job(a->cli, sf_json_get(root, "error"), err);
    }
    *ret = sf_json_get(root, "report");
    return code;
}

static enum sf_code open_leaf(struct cli *cli, struct api *a, struct sf_error *err)
{
    enum sf_code code = api_open(cli, a, err);

    return code == SF_OK ? api_act(a, NULL, err) : code;
}

static uint64_t number(const struct sf_json *v, const char *name)
{
    uint64_t n = 0;

    (void)sf_json_as_uint(sf_json_get(v, name), &n);
    return n;
}

/* --- check --- */

static int print_checked(struct cli *cli, const struct sf_json *report)
{
    const uint64_t damages = number(report, "damages");
    char counts[5][ROWS_TEXT_MAX];
    int status;

    if (cli->print.format != PRINT_TABLE) {
        print_begin(&cli->print, PRINT_OBJECT, "Check");
        print_answer_members(&cli->print, report);
        status = cli_end(cli);
        return status == CLI_OK && damages > 0 ? CLI_UNHEALTHY : status;
    }
    rows_named_text(number(report, "lanes"), "table", counts[0]);
    rows_named_text(number(report, "frames"), "frame", counts[1]);
    rows_named_text(number(report, "changes"), "change", counts[2]);
    rows_named_text(number(report, "rows"), "row", counts[3]);
    rows_count_text(number(report, "quarantined"), counts[4]);
    cli_line(cli, "%s, %s, %s, %s, %s in quarantine", counts[0], counts[1], counts[2], counts[3],
             counts[4]);
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(report, "damage")); sf_json_next(&it);) {
        const char *text = "?";

        (void)sf_json_as_text(it.value, &text);
        cli_line(cli, "damaged: %s", text);
    }
    cli_line(cli, damages == 0 ? "nothing is damaged" : "not healthy");
    return damages == 0 ? CLI_OK : CLI_UNHEALTHY;
}

static int check_offline(struct cli *cli, const char *dir)
{
    struct program p = {.argc = 1};

    add(&p, "check");
    add_value(&p, "--data", dir);
    add_value(&p, "--head-record", args_value(&cli->args, "head-record"));
    if (args_has(&cli->args, "rebuild")) {
        add(&p, "--rebuild");
    }
    if (args_has(&cli->args, "accept-loss")) {
        add(&p, "--accept-loss");
    }
    return become(cli, &p);
}

int cmd_leaf_check(struct cli *cli)
{
    const char *dir = args_value(&cli->args, "dir");
    const struct sf_json *report = NULL;
    struct api a = {0};
    struct sf_error err;
    enum sf_code code = SF_OK;
    int status;

    if (dir != NULL) {
        return check_offline(cli, dir);
    }
    if (args_has(&cli->args, "rebuild") || args_has(&cli->args, "accept-loss")) {
        code = SF_RAISE_E(&err, SF_INVALID, SHEAF_E_USAGE,
                          "--rebuild and --accept-loss want a leaf that is stopped, and --dir");
    }
    code = code == SF_OK ? open_leaf(cli, &a, &err) : code;
    code = code == SF_OK
               ? run_job(&a, "/v1/leaf/check", SF_LITERAL("{}"), "checking", &report, &err)
               : code;
    status = code == SF_OK ? print_checked(cli, report) : cli_fail(cli, &err);
    api_done(&a);
    return status;
}

/* --- backup --- */

static int print_backup(struct cli *cli, const struct sf_json *report)
{
    const struct sf_json *check = sf_json_get(report, "check");
    char rows[ROWS_TEXT_MAX];
    char bytes[ROWS_TEXT_MAX];
    char linked[ROWS_TEXT_MAX];
    const char *repository = "?";
    const char *name = "?";

    (void)sf_json_as_text(sf_json_get(report, "repository"), &repository);
    (void)sf_json_as_text(sf_json_get(report, "name"), &name);
    if (cli->print.format != PRINT_TABLE) {
        print_begin(&cli->print, PRINT_OBJECT, "Backup");
        print_answer_members(&cli->print, report);
        return cli_end(cli);
    }
    rows_named_text(number(check, "rows"), "row", rows);
    rows_named_text(number(report, "total"), "byte", bytes);
    rows_count_text(number(report, "linked_bytes"), linked);
    cli_did(cli,
            "backup %s/%s: %s at commit %" PRIu64
            ", read back and checked; %s, %s of them shared with the backup before",
            repository, name, rows, number(report, "commit"), bytes, linked);
    return CLI_OK;
}

static enum sf_code backup_body(struct cli *cli, struct sf_buf *body, struct sf_error *err)
{
    struct sf_json_writer w = {.out = body};
    char path[CLI_PATH_MAX];

    if (cli_whole_path(cli->args.positional[0], path, err) != SF_OK) {
        return err->code;
    }
    sf_json_object_begin(&w);
    sf_json_member_text(&w, "repository", path);
    sf_json_member_bool(&w, "without_keys", args_has(&cli->args, "without-keys"));
    sf_json_object_end(&w);
    return sf_buf_check(body, "request", err);
}

int cmd_leaf_backup(struct cli *cli)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    const struct sf_json *report = NULL;
    struct api a = {0};
    struct sf_error err;
    enum sf_code code = backup_body(cli, &body, &err);
    int status;

    code = code == SF_OK ? open_leaf(cli, &a, &err) : code;
    code = code == SF_OK
               ? run_job(&a, "/v1/leaf/backup", sf_buf_view(&body), "backing up", &report, &err)
               : code;
    status = code == SF_OK ? print_backup(cli, report) : cli_fail(cli, &err);
    api_done(&a);
    return status;
}

/* --- restore --- */

/* What the hub knows of the domain, in a file for sheaf-leaf; no file when it does not answer. */
static bool ask_hub(struct cli *cli, char ret[CLI_PATH_MAX])
{
    struct api a = {0};
    struct sf_error err;
    enum sf_code code = api_open(cli, &a, &err);
    int fd;

    (void)snprintf(ret, CLI_PATH_MAX, "/tmp/sheaf-known.XXXXXX");
    code = code == SF_OK ? api_act(&a, SF_TOKEN_PLATFORM, &err) : code;
    code = code == SF_OK
               ? api_hub(&a, &(struct api_call){.method = "GET", .path = "/v1/status"}, &err)
               : code;
    if (code == SF_OK) {
        fd = mkstemp(ret);
        if (fd < 0) {
            code = SF_RAISE(&err, SF_IO, "%s: %m", ret);
        } else {
            (void)close(fd); /* Written as a whole below. */
            code = sf_file_write(ret, sf_buf_view(&a.answer.body), 0600, &err);
        }
    }
    if (code != SF_OK) {
        cli_warn(cli, "the hub does not say what it has seen of this leaf: %s", err.text);
        cli->next[0] = '\0';
    }
    api_done(&a);
    return code == SF_OK;
}

int cmd_leaf_restore(struct cli *cli)
{
    const char *dir = args_value(&cli->args, "dir");
    struct program p = {.argc = 1};
    char known[CLI_PATH_MAX];
    struct sf_error err;

    if (dir == NULL) {
        (void)SF_RAISE_E(&err, SF_INVALID, SHEAF_E_USAGE, "--dir says where to restore to");
        return cli_fail(cli, &err);
    }
    add(&p, "restore");
    add_value(&p, "--data", dir);
    add_value(&p, "--from", cli->args.positional[0]);
    add_value(&p, "--head-record", args_value(&cli->args, "head-record"));
    if (!args_has(&cli->args, "no-hub") && ask_hub(cli, known)) {
        add_value(&p, "--known", known);
        add(&p, "--remove-known");
    }
    return become(cli, &p);
}
