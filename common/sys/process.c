#include "common/sys/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/base/buf.h"
#include "common/sys/crypto.h"
#include "common/sys/rt_uv.h"
#include "common/sys/rt_uv_loop.h"

/*
 *     NEW --start--> WAITING --timer--> RUNNING --exit--> REAPED --handle closed--> (down)
 *                     ^  |                |                 ^                         |
 *                     |  | start fails    | restart, stop   | exit                    |
 *                     |  v                v                 |                         |
 *                     | (down)          ENDING -------------+                         |
 *                     |                  SIGTERM, after the grace SIGKILL             |
 *                     +------------------ to be started again ------------------------+
 *                                                                                     |
 *                                         STOPPED <------------- stopping ------------+
 *
 * (down) tells the owner and decides. Everything is decided in step().
 */

#define SHIM_MARK "--sheaf-shim"

enum {
    GRACE_S = 5,
    BACKOFF_MIN_MS = 100,
    BACKOFF_MAX_MS = 5000,
    STABLE_S = 10,
    JITTER_PART = 4,
    EXIT_NO_EXEC = 127,
    EXIT_ORPHAN = 126,
    SHIM_ARGUMENTS = 4, /* program, mark, signal, parent */
};

enum state {
    NEW,
    WAITING,
    RUNNING,
    ENDING,
    REAPED,
    STOPPED,
};

struct sf_process {
    struct sf_rt *rt;
    uv_loop_t *loop;
    struct sf_process_options options; /* its pointers are ours */
    char **argv;                       /* owned, of the shim: then those of the child */
    char *texts;                       /* owned: what options and argv point to */
    enum state state;
    uv_process_t child;
    struct sf_timer timer; /* WAITING: start; ENDING: kill */
    struct sf_task stopped;
    void (*on_stopped)(struct sf_process *p, void *data);
    void *on_stopped_data;
    bool stopping;
    bool at_once; /* the next start does not wait */
    uint64_t backoff_ns;
    uint64_t started_ns;
    struct sf_process_exit exit; /* of the run that ended last */
};

/* The shim. */

void sf_process_shim(int argc, char **argv)
{
    if (argc <= SHIM_ARGUMENTS || strcmp(argv[1], SHIM_MARK) != 0) {
        return;
    }
    if (prctl(PR_SET_PDEATHSIG, (unsigned long)strtol(argv[2], NULL, 10)) != 0) {
        _exit(EXIT_NO_EXEC);
    }
    if (getppid() != (pid_t)strtol(argv[3], NULL, 10)) {
        _exit(EXIT_ORPHAN); /* The parent died before the kernel was asked. */
    }
    (void)execvp(argv[SHIM_ARGUMENTS], argv + SHIM_ARGUMENTS);
    dprintf(STDERR_FILENO, "cannot execute '%s': %s\n", argv[SHIM_ARGUMENTS], strerror(errno));
    _exit(EXIT_NO_EXEC);
}

/* Memory: all texts in one block, with argv in front of the child's own. */

static void defaults(struct sf_process_options *o)
{
    o->grace_ns = o->grace_ns == 0 ? GRACE_S * SF_NS_PER_S : o->grace_ns;
    o->backoff_min_ns = o->backoff_min_ns == 0 ? BACKOFF_MIN_MS * SF_NS_PER_MS : o->backoff_min_ns;
    o->backoff_max_ns = o->backoff_max_ns == 0 ? BACKOFF_MAX_MS * SF_NS_PER_MS : o->backoff_max_ns;
    o->stable_ns = o->stable_ns == 0 ? STABLE_S * SF_NS_PER_S : o->stable_ns;
}

static void put(struct sf_buf *b, const char *text)
{
    sf_buf_append(b, text, strlen(text) + 1);
}

static enum sf_code copy_texts(struct sf_process *p, struct sf_error *err)
{
    struct sf_process_options *o = &p->options;
    char self[4096];
    size_t self_size = sizeof(self);
    size_t count = 0;
    struct sf_buf b = {0};
    char *at;

    if (uv_exepath(self, &self_size) != 0) {
        return SF_RAISE(err, SF_UNAVAILABLE, "cannot find this program's own file");
    }
    put(&b, self);
    put(&b, SHIM_MARK);
    sf_buf_printf(&b, "%d%c%d%c", SIGKILL, 0, getpid(), 0);
    for (; o->argv[count] != NULL; count++) {
        put(&b, o->argv[count]);
    }
    put(&b, o->directory == NULL ? "" : o->directory);
    put(&b, o->log_path == NULL ? "" : o->log_path);
    p->argv = sf_calloc(SHIM_ARGUMENTS + count + 1, sizeof(*p->argv));
    if (b.failed != SF_OK || p->argv == NULL) {
        sf_buf_done(&b);
        return SF_RAISE(err, SF_NOMEM, "no memory for a child process");
    }
    p->texts = at = (char *)b.data;
    for (size_t i = 0; i < SHIM_ARGUMENTS + count; i++, at += strlen(at) + 1) {
        p->argv[i] = at;
    }
    o->argv = NULL;
    o->directory = *at == '\0' ? NULL : at;
    at += strlen(at) + 1;
    o->log_path = *at == '\0' ? NULL : at;
    return SF_OK;
}

/* Starting. */

static void exit_cb(uv_process_t *child, int64_t status, int signal);

/* The descriptor for stdout and stderr, to be closed by the caller unless it is ours. */
static int log_open(const struct sf_process *p)
{
    if (p->options.log_path == NULL) {
        return STDERR_FILENO;
    }
    return open(p->options.log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

/* A failure to open the log is one of the start. Returns as uv_spawn() does. */
static int spawn(struct sf_process *p)
{
    int log_fd = log_open(p);
    uv_stdio_container_t io[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = log_fd},
        {.flags = UV_INHERIT_FD, .data.fd = log_fd},
    };
    const uv_process_options_t options = {
        .exit_cb = exit_cb,
        .file = p->argv[0],
        .args = p->argv,
        .cwd = p->options.directory,
        .stdio = io,
        .stdio_count = SF_COUNT(io),
    };
    int r;

    if (log_fd < 0) {
        return -errno; /* as libuv's codes are */
    }
    r = uv_spawn(p->loop, &p->child, &options);
    if (p->options.log_path != NULL) {
        (void)close(log_fd);
    }
    return r;
}

static void step(struct sf_process *p);

static void closed_cb(uv_handle_t *handle)
{
    struct sf_process *p = handle->data;

    step(p);
}

static void reaped(struct sf_process *p)
{
    p->state = REAPED;
    sf_rt_timer_stop(p->rt, &p->timer);
    p->child.data = p;
    uv_close((uv_handle_t *)&p->child, closed_cb);
}

static void exit_cb(uv_process_t *child, int64_t status, int signal)
{
    struct sf_process *p = child->data;

    p->exit = (struct sf_process_exit){
        .status = signal == 0 ? (int)status : -1,
        .signal = signal,
        .ran_ns = sf_rt_now_ns(p->rt) - p->started_ns,
    };
    reaped(p);
}

static void start(struct sf_process *p)
{
    struct sf_process_exit failed = {.error.code = SF_OK};
    int r;

    if (p->options.before_start != NULL &&
        p->options.before_start(p, p->options.data, &failed.error) != SF_OK) {
        p->exit = failed;
        p->state = REAPED; /* There is no handle to close. */
        step(p);
        return;
    }
    if (p->stopping) {
        return; /* before_start said so */
    }
    p->started_ns = sf_rt_now_ns(p->rt);
    p->child = (uv_process_t){.data = p};
    r = spawn(p);
    if (r != 0) {
        (void)SF_RAISE(&failed.error, SF_UNAVAILABLE, "cannot start '%s': %s",
                       p->argv[SHIM_ARGUMENTS], uv_strerror(r));
        p->exit = failed;
        if (p->child.loop != NULL) {
            reaped(p); /* uv_spawn() wants its handle closed after a failure, too. */
            return;
        }
        p->state = REAPED;
        step(p);
        return;
    }
    p->state = RUNNING;
    if (p->options.on_up != NULL) {
        p->options.on_up(p, p->child.pid, p->options.data);
    }
}

/* Ending. */

static void end(struct sf_process *p)
{
    p->state = ENDING;
    (void)uv_process_kill(&p->child, SIGTERM);
    sf_rt_timer_start(p->rt, &p->timer, p->options.grace_ns);
}

static void timer_fire(struct sf_timer *t)
{
    struct sf_process *p = SF_CONTAINER_OF(t, struct sf_process, timer);

    if (p->state == WAITING) {
        start(p);
    } else {
        sf_assert(p->state == ENDING);
        (void)uv_process_kill(&p->child, SIGKILL);
    }
}

static void stopped_run(struct sf_task *t)
{
    struct sf_process *p = SF_CONTAINER_OF(t, struct sf_process, stopped);

    p->on_stopped(p, p->on_stopped_data);
}

/* Sets how long the next start waits. */
static uint64_t next_wait(struct sf_process *p)
{
    uint64_t wait_ns;
    uint64_t jitter_ms;

    if (SF_TAKE(p->at_once)) {
        return 0;
    }
    if (p->exit.ran_ns >= p->options.stable_ns) {
        p->backoff_ns = p->options.backoff_min_ns;
    }
    wait_ns = p->backoff_ns;
    jitter_ms = wait_ns / SF_NS_PER_MS / JITTER_PART;
    p->backoff_ns =
        wait_ns >= p->options.backoff_max_ns / 2 ? p->options.backoff_max_ns : wait_ns * 2;
    return wait_ns + sf_random_below((uint32_t)jitter_ms + 1) * SF_NS_PER_MS;
}

/* A run, or an attempt at one, is over: tells the owner and decides what is next. */
static void step(struct sf_process *p)
{
    sf_assert(p->state == REAPED);
    p->exit.stopping = p->stopping;
    p->exit.restart_in_ns = p->stopping ? 0 : next_wait(p);
    if (!p->stopping) {
        p->state = WAITING;
        sf_rt_timer_start(p->rt, &p->timer, p->exit.restart_in_ns);
    } else {
        p->state = STOPPED;
        sf_rt_post(p->rt, &p->stopped);
    }
    if (p->options.on_down != NULL) {
        struct sf_process_exit told = p->exit; /* on_down may stop or restart */

        p->options.on_down(p, &told, p->options.data);
    }
}

/* From outside. */

enum sf_code sf_process_new(struct rt_uv *rt, const struct sf_process_options *options,
                            struct sf_process **ret, struct sf_error *err)
{
    struct sf_process *p = sf_calloc(1, sizeof(*p));
    enum sf_code r;

    if (p == NULL) {
        return SF_RAISE(err, SF_NOMEM, "no memory for a child process");
    }
    sf_assert(options->argv[0] != NULL);
    p->rt = rt_uv_rt(rt);
    p->loop = rt_uv_loop(rt);
    p->options = *options;
    p->timer.fire = timer_fire;
    p->stopped.run = stopped_run;
    defaults(&p->options);
    p->backoff_ns = p->options.backoff_min_ns;
    r = copy_texts(p, err);
    if (r != SF_OK) {
        sf_process_free(p);
        return r;
    }
    *ret = p;
    return SF_OK;
}

void sf_process_start(struct sf_process *p)
{
    sf_assert(p->state == NEW);
    p->state = WAITING;
    sf_rt_timer_start(p->rt, &p->timer, 0);
}

void sf_process_restart(struct sf_process *p)
{
    switch (p->state) {
    case WAITING:
        sf_rt_timer_start(p->rt, &p->timer, 0);
        break;
    case RUNNING:
        p->at_once = true;
        end(p);
        break;
    case ENDING:
    case REAPED:
        p->at_once = true;
        break;
    case NEW:
    case STOPPED:
        break;
    }
}

void sf_process_signal(struct sf_process *p, int number)
{
    if (p->state == RUNNING) {
        (void)uv_process_kill(&p->child, number);
    }
}

int sf_process_pid(const struct sf_process *p)
{
    return p->state == RUNNING || p->state == ENDING ? p->child.pid : 0;
}

void sf_process_stop(struct sf_process *p, void (*on_stopped)(struct sf_process *p, void *data),
                     void *data)
{
    sf_assert(!p->stopping);
    p->stopping = true;
    p->on_stopped = on_stopped;
    p->on_stopped_data = data;
    switch (p->state) {
    case NEW:
    case WAITING:
        sf_rt_timer_stop(p->rt, &p->timer);
        p->state = STOPPED;
        sf_rt_post(p->rt, &p->stopped);
        break;
    case RUNNING:
        end(p);
        break;
    case ENDING:
    case REAPED:
    case STOPPED:
        break;
    }
}

void sf_process_free(struct sf_process *p)
{
    if (p == NULL) {
        return;
    }
    sf_assert(p->state == NEW || p->state == STOPPED);
    sf_free(p->argv);
    sf_free(p->texts);
    sf_free(p);
}
