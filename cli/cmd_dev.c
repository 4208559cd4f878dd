/* dev and dev stop: a mesh on this machine, in the foreground or behind. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/context.h"
#include "cli/dev_mesh.h"
#include "common/base/str.h"
#include "common/sys/file.h"
#include "proto/errors.h"

enum {
    HTTP_PORT_FIRST = 8080,
    NATS_PORT_FIRST = 4222,
    UP_MS_MAX = 90000,   /* longer than the mesh itself waits */
    STOP_MS_MAX = 60000, /* leaves, then the hub, each with its nats-server */
    LOOK_MS = 50,
};

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Path with the home directory written as ~, as people read it. */
static const char *short_path(const char *path, char *ret, size_t size)
{
    const char *home = getenv("HOME");
    size_t n = home != NULL ? strlen(home) : 0;

    if (n > 1 && strncmp(path, home, n) == 0 && path[n] == '/') {
        (void)snprintf(ret, size, "~%s", path + n);
        return ret;
    }
    return path;
}

static void print_process(struct print *p, const char *what, const struct context_process *c)
{
    print_row(p);
    print_text(p, "what", what);
    print_text(p, "domain", c->domain);
    print_text(p, "http", c->http);
    print_text(p, "nats", c->nats);
    print_int(p, "pid", c->pid);
    print_text(p, "data", c->data);
}

/* Coming up takes a second or two: on a terminal a line says so and goes away again. */
static void show_starting(struct cli *cli, bool begins)
{
    if (cli->err_is_terminal && !cli->quiet) {
        (void)fputs(begins ? "starting hub and leaves ..." : "\r\033[K", cli->err);
        (void)fflush(cli->err);
    }
}

/* What stands, for people or for programs. */
static int show_mesh(struct cli *cli)
{
    struct context c = {.doc = NULL};
    struct sf_buf names = {0};
    struct sf_error err;
    char path[CLI_PATH_MAX];
    size_t ready = 0;

    if (context_read(cli->data_dir, &c, &err) != SF_OK) {
        return cli_fail(cli, &err);
    }
    for (size_t i = 0; i < c.leaf_count; i++) {
        sf_buf_printf(&names, "%sleaf %s", i == 0 ? "" : ", ", c.leaves[i].domain);
        ready += c.leaves[i].ready;
    }
    cli_did(cli, "hub        %s   %s", c.hub.http, c.hub.nats);
    if (sf_buf_cstr(&names) != NULL) {
        cli_did(cli, "%s connected (%zu/%zu)", sf_buf_cstr(&names), ready, c.leaf_count);
    }
    cli_line(cli, "state: %s (kept by 'sheaf dev stop')",
             short_path(cli->data_dir, path, sizeof(path)));
    if (cli->print.format == PRINT_TABLE && c.leaf_count > 0) {
        const bool elsewhere = args_value(&cli->args, "data") != NULL;

        cli_note(cli, "next:  %s%s%ssheaf publish FILE.csv --as %s/NAME",
                 elsewhere ? "export SHEAF_DEV_DIR=" : "", elsewhere ? cli->data_dir : "",
                 elsewhere ? "; " : "", c.leaves[0].domain);
    } else {
        print_begin(&cli->print, PRINT_LIST, "DevMesh");
        print_process(&cli->print, "hub", &c.hub);
        for (size_t i = 0; i < c.leaf_count; i++) {
            print_process(&cli->print, "leaf", &c.leaves[i]);
        }
    }
    sf_buf_done(&names);
    context_done(&c);
    return cli->print.format == PRINT_TABLE ? CLI_OK : cli_end(cli);
}

/* --- adding to one that runs ------------------------------------------------------------------ */

/* SF_OK: all leaves asked for are ready. SF_BUSY: not yet. */
static enum sf_code check_leaves(const struct cli *cli, const struct dev_options *o,
                                 int64_t *ret_pid, struct sf_error *err)
{
    struct context c = {.doc = NULL};
    enum sf_code code = context_open(cli->data_dir, &c, err);

    if (code != SF_OK) {
        return code;
    }
    *ret_pid = c.pid;
    for (size_t i = 0; i < o->leaf_count && code == SF_OK; i++) {
        const struct context_process *leaf = context_leaf(&c, o->leaves[i]);

        if (leaf == NULL || !leaf->ready) {
            code = SF_RAISE(err, SF_BUSY, "leaf %s is not ready", o->leaves[i]);
        }
    }
    context_done(&c);
    return code;
}

static int add_to_running(struct cli *cli, const struct dev_options *o)
{
    int64_t deadline = now_ms() + UP_MS_MAX;
    int64_t pid = 0;
    struct sf_error err;
    enum sf_code code = check_leaves(cli, o, &pid, &err);

    if (code == SF_BUSY) {
        code = dev_mesh_ask(cli->data_dir, pid, o->leaves, o->leaf_count, &err);
        while (code == SF_OK && (code = check_leaves(cli, o, &pid, &err)) == SF_BUSY &&
               now_ms() < deadline) {
            code = poll(NULL, 0, LOOK_MS) < 0 && errno == EINTR ? SF_CLOSED : SF_OK;
        }
    }
    if (code != SF_OK) {
        return cli_fail(cli, &err);
    }
    return show_mesh(cli);
}

/* --- running one ------------------------------------------------------------------------------ */

static void on_up_foreground(void *data)
{
    struct cli *cli = data;

    show_starting(cli, /* begins= */ false);
    (void)show_mesh(cli);
    cli_note(cli, "Ctrl-C stops it");
}

static int run_foreground(struct cli *cli, struct dev_options *o)
{
    struct sf_error err;

    o->on_up = on_up_foreground;
    o->data = cli;
    show_starting(cli, /* begins= */ true);
    if (dev_mesh_run(o, &err) != SF_OK) {
        show_starting(cli, /* begins= */ false);
        return cli_fail(cli, &err);
    }
    return CLI_OK;
}

/* The supervisor tells its parent through a pipe: one byte when up; nothing when it fails. */
static void on_up_behind(void *data)
{
    const int *fd = data;

    (void)!write(*fd, "u", 1);
    (void)close(*fd);
}

static _Noreturn void run_behind(struct cli *cli, struct dev_options *o, int fd)
{
    char path[CLI_PATH_MAX + 16];
    struct sf_error err;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int log = -1;
    int status = 0;

    (void)setsid();
    (void)snprintf(path, sizeof(path), "%s/dev.log", cli->data_dir);
    log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(log >= 0 ? log : null, STDOUT_FILENO);
    (void)dup2(log >= 0 ? log : null, STDERR_FILENO);
    o->on_up = on_up_behind;
    o->data = &fd;
    if (dev_mesh_run(o, &err) != SF_OK) {
        status = cli_fail(cli, &err);
        /* The parent, when it still listens, shows it too. */
        (void)!write(fd, &err, sizeof(err));
    }
    _exit(status);
}

static int wait_for_up(struct cli *cli, int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    struct sf_error err;
    ssize_t n = 0;

    show_starting(cli, /* begins= */ true);
    if (poll(&poll_fd, 1, UP_MS_MAX) == 1) {
        n = read(fd, &err, sizeof(err));
    }
    (void)close(fd);
    show_starting(cli, /* begins= */ false);
    if (n == 1) {
        return show_mesh(cli);
    }
    if (n != (ssize_t)sizeof(err)) {
        (void)SF_RAISE_E(&err, SF_UNAVAILABLE, SHEAF_E_INTERNAL,
                         "the mesh did not come up; see %s/dev.log", cli->data_dir);
    }
    return cli_fail(cli, &err);
}

static int start_behind(struct cli *cli, struct dev_options *o)
{
    struct sf_error err;
    int ends[2];
    pid_t pid = 0;

    if (sf_dir_make(cli->data_dir, 0700, &err) != SF_OK) {
        err.number = SHEAF_E_FILE_UNREADABLE;
        return cli_fail(cli, &err);
    }
    if (pipe2(ends, O_CLOEXEC) != 0 || (pid = fork()) < 0) {
        (void)SF_RAISE(&err, SF_UNAVAILABLE, "no process: %s", strerror(errno));
        return cli_fail(cli, &err);
    }
    if (pid == 0) {
        (void)close(ends[0]);
        run_behind(cli, o, ends[1]);
    }
    (void)close(ends[1]);
    return wait_for_up(cli, ends[0]);
}

static enum sf_code read_options(struct cli *cli, struct dev_options *o, struct sf_error *err)
{
    uint64_t http = HTTP_PORT_FIRST;
    uint64_t nats = NATS_PORT_FIRST;
    const char *leaf = args_value_at(&cli->args, "leaf", 0);
    enum sf_code code = args_u64(&cli->args, "port", HTTP_PORT_FIRST, &http, err);

    code = code == SF_OK ? args_u64(&cli->args, "nats-port", NATS_PORT_FIRST, &nats, err) : code;
    if (code == SF_OK && (http == 0 || http > 32000 || nats == 0 || nats > 32000)) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "ports are from 1 to 32000");
    }
    *o = (struct dev_options){
        .data_dir = cli->data_dir, .http_port = (uint16_t)http, .nats_port = (uint16_t)nats};
    while (leaf != NULL && code == SF_OK && o->leaf_count < CONTEXT_LEAVES_MAX) {
        o->leaves[o->leaf_count++] = leaf;
        leaf = args_value_at(&cli->args, "leaf", (unsigned)o->leaf_count);
    }
    return code;
}

int cmd_dev(struct cli *cli)
{
    struct dev_options o;
    struct sf_error err;

    if (read_options(cli, &o, &err) != SF_OK) {
        return cli_fail(cli, &err);
    }
    /* Hub and leaves refuse variables of ours that they do not know. */
    (void)unsetenv("SHEAF_DEV_DIR");
    (void)unsetenv("SHEAF_OUTPUT");
    (void)unsetenv("SHEAF_NO_COLOR");
    if (dev_mesh_is_running(cli->data_dir)) {
        return add_to_running(cli, &o);
    }
    return args_has(&cli->args, "detach") ? start_behind(cli, &o) : run_foreground(cli, &o);
}

/* --- stop ------------------------------------------------------------------------------------- */

/* SF_OK: the process has ended. */
static enum sf_code wait_for_end(int64_t pid, struct sf_error *err)
{
    int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int n = 0;

    if (fd < 0) {
        return SF_OK; /* gone already */
    }
    n = poll(&poll_fd, 1, STOP_MS_MAX);
    (void)close(fd);
    return n == 1 ? SF_OK
                  : SF_RAISE(err, SF_TIMEOUT, "process %d has not ended within %d s", (int)pid,
                             STOP_MS_MAX / 1000);
}

int cmd_dev_stop(struct cli *cli)
{
    struct context c = {.doc = NULL};
    struct sf_error err;
    char path[CLI_PATH_MAX];
    enum sf_code code = context_open(cli->data_dir, &c, &err);

    if (code == SF_OK && !dev_mesh_is_running(cli->data_dir)) {
        code = SF_RAISE_E(&err, SF_UNAVAILABLE, SHEAF_E_NO_MESH, "the mesh of %s is stopped",
                          cli->data_dir);
    }
    if (code == SF_OK && kill((pid_t)c.pid, SIGTERM) != 0) {
        code = SF_RAISE(&err, SF_DENIED, "process %d: %s", (int)c.pid, strerror(errno));
    }
    code = code == SF_OK ? wait_for_end(c.pid, &err) : code;
    context_done(&c);
    if (code != SF_OK) {
        return cli_fail(cli, &err);
    }
    cli_did(cli, "stopped; the data stays in %s", short_path(cli->data_dir, path, sizeof(path)));
    if (cli->print.format == PRINT_TABLE) {
        return CLI_OK;
    }
    print_begin(&cli->print, PRINT_OBJECT, "DevStopped");
    print_row(&cli->print);
    print_text(&cli->print, "data", cli->data_dir);
    return cli_end(cli);
}
