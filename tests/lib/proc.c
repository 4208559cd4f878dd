#include "tests/lib/proc.h"

#include "tests/lib/cmocka.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "common/sys/file.h"

enum {
    POLL_MS = 2,
    LOG_BYTES_MAX = 64 * 1024 * 1024,
    TAIL_BYTES = 4000,
};

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* In the child, before it becomes the program. Only calls that are safe after fork(). */
_Noreturn static void become(const struct proc_options *o, pid_t parent)
{
    int fd = open(o->log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || fd < 0 ||
        dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0) {
        _exit(126);
    }
    if (o->directory != NULL && chdir(o->directory) != 0) {
        _exit(126);
    }
    for (size_t i = 0; o->environment != NULL && o->environment[i] != NULL; i++) {
        union {
            const char *borrowed;
            char *kept;
        } pair = {.borrowed = o->environment[i]};

        (void)putenv(pair.kept);
    }
    {
        union {
            const char *const *borrowed;
            char *const *argv;
        } arguments = {.borrowed = o->argv};

        (void)execv(o->argv[0], arguments.argv);
    }
    dprintf(STDERR_FILENO, "exec %s: %s\n", o->argv[0], strerror(errno));
    _exit(127);
}

void proc_start(struct proc *p, const struct proc_options *options)
{
    const char *slash = strrchr(options->argv[0], '/');
    pid_t parent = getpid();

    *p = (struct proc){0};
    (void)snprintf(p->log_path, sizeof(p->log_path), "%s", options->log_path);
    (void)snprintf(p->name, sizeof(p->name), "%s", slash == NULL ? options->argv[0] : slash + 1);
    p->pid = fork();
    if (p->pid < 0) {
        fail_msg("fork: %m");
    }
    if (p->pid == 0) {
        become(options, parent);
    }
}

char *proc_log(const struct proc *p)
{
    struct sf_buf b = {0};
    struct sf_error err;
    enum sf_code r = sf_file_read(p->log_path, LOG_BYTES_MAX, &b, &err);

    if (r != SF_OK && r != SF_ABSENT) {
        fail_msg("%s", err.text);
    }
    if (sf_buf_cstr(&b) == NULL) {
        fail_msg("no memory for the log of %s", p->name);
    }
    return (char *)b.data;
}

static void fail_with_log(const struct proc *p, const char *what)
{
    char *log = proc_log(p);
    size_t size = strlen(log);

    print_message("# end of %s:\n%s\n", p->log_path,
                  size > TAIL_BYTES ? log + size - TAIL_BYTES : log);
    sf_free(log);
    fail_msg("%s (pid %d): %s", p->name, p->pid, what);
}

/* Whether the child has ended; if so, it is reaped and @ret_status set as by waitpid(). */
static bool reap(struct proc *p, int *ret_status)
{
    pid_t r = waitpid(p->pid, ret_status, WNOHANG);

    if (r < 0) {
        fail_msg("waitpid %d: %m", p->pid);
    }
    if (r == 0) {
        return false;
    }
    p->pid = 0;
    return true;
}

static bool has_line(const struct proc *p, const char *text)
{
    char *log = proc_log(p);
    const char *found = strstr(log, text);
    bool whole = found != NULL && strchr(found, '\n') != NULL;

    sf_free(log);
    return whole;
}

void proc_wait_line(struct proc *p, const char *text, unsigned deadline_ms)
{
    uint64_t end_ms = now_ms() + deadline_ms;
    char what[300];

    (void)snprintf(what, sizeof(what), "no line with '%s' after %u ms", text, deadline_ms);
    while (!has_line(p, text)) {
        int status;

        if (p->pid != 0 && reap(p, &status) && !has_line(p, text)) {
            (void)snprintf(what, sizeof(what), "ended (wait status %d) without '%s'", status, text);
            fail_with_log(p, what);
        }
        if (now_ms() >= end_ms) {
            fail_with_log(p, what);
        }
        (void)poll(NULL, 0, POLL_MS);
    }
}

void proc_signal(const struct proc *p, int number)
{
    if (p->pid == 0 || kill(p->pid, number) != 0) {
        fail_msg("%s: cannot be sent signal %d", p->name, number);
    }
}

int proc_wait_exit(struct proc *p, unsigned deadline_ms)
{
    uint64_t end_ms = now_ms() + deadline_ms;
    int status = 0;

    if (p->pid == 0) {
        fail_msg("%s does not run", p->name);
    }
    while (!reap(p, &status)) {
        if (now_ms() >= end_ms) {
            fail_with_log(p, "does not end");
        }
        (void)poll(NULL, 0, POLL_MS);
    }
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

void proc_kill(struct proc *p)
{
    if (p->pid != 0) {
        (void)kill(p->pid, SIGKILL);
        (void)waitpid(p->pid, NULL, 0);
        p->pid = 0;
    }
}

void wait_until(bool (*condition)(void *data), void *data, const char *what, unsigned deadline_ms)
{
    uint64_t end_ms = now_ms() + deadline_ms;

    while (!condition(data)) {
        if (now_ms() >= end_ms) {
            fail_msg("not within %u ms: %s", deadline_ms, what);
        }
        (void)poll(NULL, 0, POLL_MS);
    }
}
