/*
 * doctor: looks at what a mesh on this machine needs, says what is wrong and how to mend it.
 *
 * Each check is a row: ok, warn (it works, look at it) or fail. The exit code is 8 when one failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/api.h"
#include "cli/commands.h"
#include "cli/dev_mesh.h"
#include "cli/dev_node.h"
#include "common/bus/natsd.h"
#include "common/identity/token.h"
#include "common/sys/file.h"
#include "proto/errors.h"

enum {
    SYNCS = 9,
    SYNC_SLOW_US = 20000, /* at the median; a commit waits for one */
    FILES_LEAST = 4096,
    CLOCK_WARN_S = 5,
    CLOCK_FAIL_S = 60, /* tokens of the CLI begin then or end too early */
    VERSION_MAX = 128,
};

#define DISK_RESERVE (UINT64_C(512) << 20)

enum verdict { OK, WARN, FAIL };

struct doctor {
    struct cli *cli;
    struct api api;
    bool runs; /* a mesh */
    bool failed;
};

static void say(struct doctor *d, enum verdict v, const char *check, const char *detail,
                const char *fix)
{
    static const char *const names[] = {[OK] = "ok", [WARN] = "warn", [FAIL] = "fail"};
    struct print *p = &d->cli->print;

    d->failed = d->failed || v == FAIL;
    print_row(p);
    print_text(p, "check", check);
    print_text(p, "state", names[v]);
    print_text(p, "detail", detail);
    print_text(p, "fix", v == OK ? NULL : fix);
}

/* --- programs --------------------------------------------------------------------------------- */

/* First line that "@path --version" prints; false: it does not run. */
static bool ask_version(const char *path, char ret[VERSION_MAX])
{
    int out[2];
    pid_t pid;
    ssize_t n;
    int status = -1;

    if (pipe2(out, O_CLOEXEC) != 0) {
        return false;
    }
    pid = fork();
    if (pid == 0) {
        (void)dup2(out[1], STDOUT_FILENO);
        (void)execl(path, path, "--version", (char *)NULL);
        _exit(127);
    }
    (void)close(out[1]);
    n = pid < 0 ? -1 : read(out[0], ret, VERSION_MAX - 1);
    (void)close(out[0]);
    if (pid > 0) {
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
    }
    ret[n > 0 ? n : 0] = '\0';
    ret[strcspn(ret, "\n")] = '\0';
    return n > 0 && status == 0;
}

static void check_program(struct doctor *d, const char *name)
{
    char path[CLI_PATH_MAX];
    char version[VERSION_MAX];
    char wanted[VERSION_MAX];
    struct sf_error err;

    (void)snprintf(wanted, sizeof(wanted), "%s %s", name, SHEAF_VERSION);
    if (dev_node_program(name, path, &err) != SF_OK) {
        say(d, FAIL, name, err.text, "install it beside sheaf");
    } else if (!ask_version(path, version)) {
        say(d, FAIL, name, "it does not run", "install it anew");
    } else if (strcmp(version, wanted) != 0) {
        say(d, FAIL, name, version, "install the same version of all programs");
    } else {
        say(d, OK, name, version, NULL);
    }
}

static void check_nats_server(struct doctor *d)
{
    char path[CLI_PATH_MAX];
    char version[VERSION_MAX] = "";
    struct sf_error err;

    if (sf_natsd_find(NULL, path, sizeof(path), &err) != SF_OK) {
        say(d, FAIL, "nats-server", err.text, "install nats-server 2.15.1 or newer");
    } else if (!ask_version(path, version)) {
        say(d, FAIL, "nats-server", "it does not run", "install it anew");
    } else if (sf_natsd_check_version(version, &err) != SF_OK) {
        say(d, FAIL, "nats-server", version, "install 2.15.1 or newer");
    } else {
        say(d, OK, "nats-server", version, NULL);
    }
}

/* --- this machine ----------------------------------------------------------------------------- */

/* The directory, or the nearest above it that is there. */
static void existing(const char *path, char ret[CLI_PATH_MAX])
{
    (void)snprintf(ret, CLI_PATH_MAX, "%s", path);
    while (ret[1] != '\0' && !sf_file_exists(ret)) {
        char *slash = strrchr(ret, '/');

        slash[slash == ret ? 1 : 0] = '\0';
    }
}

static void check_directory(struct doctor *d)
{
    const char *path = d->cli->data_dir;
    char detail[CLI_PATH_MAX + 64];
    char here[CLI_PATH_MAX];
    struct stat st;

    existing(path, here);
    if (access(here, W_OK | X_OK) != 0 || stat(here, &st) != 0) {
        (void)snprintf(detail, sizeof(detail), "%s cannot be written to", here);
        say(d, FAIL, "data directory", detail, "choose another with --data, or change its rights");
    } else if (strcmp(here, path) == 0 && (st.st_mode & 0077) != 0) {
        (void)snprintf(detail, sizeof(detail), "%s has mode %03o: others may look into it", path,
                       st.st_mode & 0777U);
        say(d, WARN, "data directory", detail, "chmod 700 on it: keys are below");
    } else {
        say(d, OK, "data directory", path, NULL);
    }
}

static void check_space(struct doctor *d)
{
    char here[CLI_PATH_MAX];
    char detail[96];
    struct statvfs fs;
    uint64_t least;
    uint64_t free_bytes;

    existing(d->cli->data_dir, here);
    if (statvfs(here, &fs) != 0) {
        say(d, FAIL, "disk space", "the disk says nothing", "look at the file system");
        return;
    }
    free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    least = (uint64_t)fs.f_blocks * fs.f_frsize / 20;
    least = least > DISK_RESERVE ? least : DISK_RESERVE;
    (void)snprintf(detail, sizeof(detail),
                   "%" PRIu64 " MiB free, of which %" PRIu64 " MiB are kept in reserve",
                   free_bytes >> 20, least >> 20);
    say(d,
        free_bytes < least       ? FAIL
        : free_bytes < 2 * least ? WARN
                                 : OK,
        "disk space", detail, "free space: below the reserve a leaf takes no records");
}

static int by_size(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static int64_t now_us(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Median time of writing and syncing 4 KiB; below zero: it cannot be done. */
static int64_t measure_sync(const char *directory)
{
    static const char block[4096];
    int64_t times[SYNCS];
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    bool fine = fd >= 0;

    for (size_t i = 0; fine && i < SYNCS; i++) {
        const int64_t began = now_us(CLOCK_MONOTONIC);

        fine = write(fd, block, sizeof(block)) == (ssize_t)sizeof(block) && fdatasync(fd) == 0;
        times[i] = now_us(CLOCK_MONOTONIC) - began;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (!fine) {
        return -1;
    }
    qsort(times, SYNCS, sizeof(times[0]), by_size);
    return times[SYNCS / 2];
}

static void check_sync(struct doctor *d)
{
    char here[CLI_PATH_MAX];
    char detail[64];
    int64_t us;

    existing(d->cli->data_dir, here);
    us = measure_sync(here);
    if (us < 0) {
        say(d, WARN, "disk sync", "could not be measured", "look whether the disk can be written");
        return;
    }
    (void)snprintf(detail, sizeof(detail), "fdatasync takes %" PRId64 ".%01" PRId64 " ms",
                   us / 1000, us % 1000 / 100);
    say(d, us > SYNC_SLOW_US ? WARN : OK, "disk sync", detail,
        "every commit waits for one: use a disk with a write cache that survives power cuts");
}

static void check_files(struct doctor *d)
{
    struct rlimit limit;
    char detail[64];

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return;
    }
    (void)snprintf(detail, sizeof(detail), "%" PRIu64 " at a time", (uint64_t)limit.rlim_max);
    say(d, limit.rlim_max < FILES_LEAST ? WARN : OK, "open files", detail,
        "raise it: ulimit -n 65536, or LimitNOFILE= of the unit");
}

/* --- ports, hub and leaves -------------------------------------------------------------------- */

static void check_free_ports(struct doctor *d)
{
    static const uint16_t ports[] = {8080, 8081, 4222, 4223, 7422};
    char detail[64] = "in use:";
    size_t used = 0;

    for (size_t i = 0; i < SF_COUNT(ports); i++) {
        if (!sf_port_is_free(ports[i])) {
            const size_t size = strlen(detail);

            (void)snprintf(detail + size, sizeof(detail) - size, " %u", ports[i]);
            used++;
        }
    }
    say(d, used > 0 ? WARN : OK, "ports", used > 0 ? detail : "the usual ones are free",
        "sheaf dev takes others; or stop what uses them");
}

/* The Date of an answer against our clock. */
static void check_clock(struct doctor *d)
{
    const char *date = sf_http_answer_header(&d->api.answer, "Date");
    struct tm tm = {0};
    char detail[64];
    int64_t apart;

    if (date == NULL || strptime(date, "%a, %d %b %Y %H:%M:%S", &tm) == NULL) {
        say(d, WARN, "clock", "the hub does not say what time it is", "compare the clocks by hand");
        return;
    }
    apart = now_us(CLOCK_REALTIME) / 1000000 - (int64_t)timegm(&tm);
    apart = apart < 0 ? -apart : apart;
    (void)snprintf(detail, sizeof(detail), "%" PRId64 " s from the hub's", apart);
    say(d,
        apart > CLOCK_FAIL_S   ? FAIL
        : apart > CLOCK_WARN_S ? WARN
                               : OK,
        "clock", apart <= 1 ? "agrees with the hub's" : detail,
        "set the clock (NTP): tokens and grants end by it");
}

/* Whether a program that answers refused a token that was signed just now. */
static bool is_clock_refused(const struct sf_error *err)
{
    return err->number == SHEAF_E_TOKEN_INVALID || err->number == SHEAF_E_TOKEN_EXPIRED;
}

static void say_no_answer(struct doctor *d, const char *check, const struct sf_error *why,
                          const struct context_process *process)
{
    char fix[CLI_PATH_MAX + 64] = "set the clock of this machine, or of that one";

    if (!is_clock_refused(why)) {
        context_log_hint(process, fix, sizeof(fix));
    }
    say(d, FAIL, check, why->text, fix);
}

static void check_hub(struct doctor *d)
{
    const struct sf_json *root = NULL;
    const char *version = "?";
    struct sf_error err;

    if (api_act(&d->api, SF_TOKEN_PLATFORM, &err) != SF_OK ||
        api_get_hub(&d->api, "/v1/status", &root, &err) != SF_OK) {
        say_no_answer(d, "hub", &err, &d->api.context.hub);
        if (is_clock_refused(&err)) {
            check_clock(d);
        }
        return;
    }
    (void)sf_json_as_text(sf_json_get(root, "version"), &version);
    if (strcmp(version, SHEAF_VERSION) != 0) {
        say(d, WARN, "hub", version, "run the version of this program");
    } else {
        say(d, OK, "hub", d->api.context.hub.http, NULL);
    }
    check_clock(d);
}

static void check_link(struct doctor *d, const char *check, const struct sf_json *root)
{
    const struct sf_json *hub = sf_json_get(root, "hub");
    const char *state = sf_json_text_of(hub, "state");
    const char *store = "";
    bool in_force = false;

    (void)sf_json_as_text(sf_json_get(sf_json_get(root, "store"), "state"), &store);
    (void)sf_json_as_bool(sf_json_get(hub, "bundle_in_force"), &in_force);
    if (strcmp(store, "ok") != 0) {
        say(d, FAIL, check, "its store is read-only",
            "look for store. events in its log, mend the disk, start it again");
    } else if (strcmp(state, "up") != 0) {
        say(d, FAIL, check, "it does not reach the hub",
            "start the hub; else see log/nats-server.log of the leaf");
    } else if (!in_force) {
        say(d, FAIL, check, "its bundle has expired: other domains are not served",
            "look at the clock of leaf and hub");
    } else {
        say(d, OK, check, "linked to the hub, its bundle is in force", NULL);
    }
}

/* What the leaf has not forgotten, and a hub that was put back has. */
static void check_forgotten(struct doctor *d, const char *check, const struct sf_json *root)
{
    const struct sf_json *hub = sf_json_get(root, "hub");
    const size_t held = sf_json_count(sf_json_get(hub, "held_back"));
    char detail[128];
    uint64_t policies = 0;
    uint64_t told = 0;

    (void)sf_json_as_uint(sf_json_get(hub, "policy_version"), &policies);
    (void)sf_json_as_uint(sf_json_get(hub, "hub_policy_version"), &told);
    if (held > 0) {
        (void)snprintf(detail, sizeof(detail), "%zu grant%s had ended; the hub was put back", held,
                       held == 1 ? "" : "s");
        say(d, WARN, check, detail,
            "revoke what 'sheaf access ls' shows as held back; what is wanted: ask, approve");
    }
    if (policies > told) {
        (void)snprintf(detail, sizeof(detail),
                       "policies of version %" PRIu64 " in force; the hub has %" PRIu64, policies,
                       told);
        say(d, WARN, check, detail, "the hub was put back: apply the policies again");
    }
}

static void check_leaf(struct doctor *d, const struct context_process *leaf)
{
    const struct sf_json *root = NULL;
    struct sf_error err;
    char check[CONTEXT_USER_MAX + 8];

    (void)snprintf(check, sizeof(check), "leaf %s", leaf->domain);
    d->cli->as = leaf->domain;
    if (api_act(&d->api, NULL, &err) != SF_OK ||
        api_get_leaf(&d->api, "/v1/status", &root, &err) != SF_OK) {
        say_no_answer(d, check, &err, leaf);
        return;
    }
    check_link(d, check, root);
    check_forgotten(d, check, root);
}

static void check_mesh(struct doctor *d)
{
    struct sf_error err;

    d->runs = api_open(d->cli, &d->api, &err) == SF_OK;
    if (!d->runs) {
        check_free_ports(d);
        say(d, WARN, "mesh", "none runs here", "start one: sheaf dev --leaf DOMAIN");
        return;
    }
    check_hub(d);
    for (size_t i = 0; i < d->api.context.leaf_count; i++) {
        check_leaf(d, &d->api.context.leaves[i]);
    }
}

int cmd_doctor(struct cli *cli)
{
    struct doctor d = {.cli = cli};
    struct sf_error err;
    enum sf_code code;

    print_begin(&cli->print, PRINT_LIST, "CheckList");
    check_program(&d, "sheaf-hub");
    check_program(&d, "sheaf-leaf");
    check_nats_server(&d);
    check_directory(&d);
    check_space(&d);
    check_sync(&d);
    check_files(&d);
    check_mesh(&d);
    api_done(&d.api);
    cli->next[0] = '\0';
    code = print_end(&cli->print, &err);
    if (code != SF_OK) {
        return cli_fail(cli, &err);
    }
    return d.failed ? CLI_UNHEALTHY : CLI_OK;
}
