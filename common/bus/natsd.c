/*
 *   CHECKING --- version too old --------------------> FAILED
 *       |                                                ^
 *       v                                                | port taken, or five starts in vain
 *   STARTING --- before it was ever up, it ended --------+
 *     |   ^
 *     |   +--- ended: the process starts it again, with backoff ---+
 *     | greets at its port                                         |
 *     v                                                            |
 *     UP ----------------------------------------------------------+
 *
 *   any --- sf_natsd_close() ---> CLOSING --- child gone, query thread done ---> gone
 *
 * What blocks - asking the binary for its version, the greeting at the port - is done on a query
 * thread, one thing at a time, and its result looked at by step().
 */
#include "common/bus/natsd.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/bus/natsd_find.h"
#include "common/sys/file.h"
#include "common/sys/log.h"
#include "common/sys/process.h"
#include "common/sys/rt_uv.h"
#include "proto/errors.h"

enum {
    FIRST_STARTS_MAX = 5,
    LOOK_MS = 10, /* between looks at the port */
    UP_WITHIN_S = 10,
};

enum natsd_state {
    NATSD_CHECKING,
    NATSD_STARTING,
    NATSD_UP,
    NATSD_FAILED,
    NATSD_CLOSING,
};

struct sf_natsd {
    struct rt_uv *uv;
    struct sf_rt *rt;
    struct sf_natsd_options options; /* texts point into what follows */
    char binary[PATH_MAX];
    char config_path[PATH_MAX];
    char output_path[PATH_MAX];
    char wipe_dir[PATH_MAX];
    char version[32];
    enum natsd_state state;
    struct sf_process *process; /* NULL: none */
    bool is_process_stopping;
    bool was_up;
    unsigned starts_in_vain;
    uint64_t started_ns;
    struct sf_timer look; /* at the port */
    struct sf_work work;
    bool is_working;
    bool is_version_known;
    /* Of the query thread while is_working. */
    char answer[128];
    enum sf_code work_code;
    struct sf_error work_error;
    bool greets;
    void (*closed)(void *data);
    void *closed_data;
};

static void step(struct sf_natsd *d);

/* --- the query thread ------------------------------------------------------------------------- */

static void do_work(struct sf_work *w)
{
    struct sf_natsd *d = SF_CONTAINER_OF(w, struct sf_natsd, work);

    if (d->is_version_known) {
        d->greets = sf_natsd_greets(d->options.client_port);
    } else {
        d->work_code =
            sf_natsd_ask_version(d->binary, d->answer, sizeof(d->answer), &d->work_error);
    }
}

static void on_work_done(struct sf_task *t)
{
    struct sf_natsd *d = SF_CONTAINER_OF(t, struct sf_natsd, work.done);

    d->is_working = false;
    step(d);
}

static void start_work(struct sf_natsd *d)
{
    sf_assert(!d->is_working);
    d->is_working = true;
    d->greets = false;
    d->work.pool = SF_POOL_QUERY;
    d->work.work = do_work;
    d->work.done.run = on_work_done;
    sf_rt_work(d->rt, &d->work);
}

static void on_look(struct sf_timer *t)
{
    struct sf_natsd *d = SF_CONTAINER_OF(t, struct sf_natsd, look);

    if (d->state == NATSD_STARTING && !d->is_working) {
        start_work(d);
    }
}

/* --- the child -------------------------------------------------------------------------------- */

static enum sf_code before_start(struct sf_process *p, void *data, struct sf_error *err)
{
    struct sf_natsd *d = data;
    struct sf_buf text = {0};
    enum sf_code code = SF_OK;

    (void)p;
    if (!sf_port_is_free(d->options.client_port)) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_PORT_IN_USE, "port %u is in use",
                          d->options.client_port);
    }
    if (d->options.wipe_dir != NULL) {
        code = sf_dir_remove(d->wipe_dir, err);
        if (code == SF_OK) {
            code = sf_dir_make(d->wipe_dir, 0700, err);
        }
    }
    if (code == SF_OK) {
        code = d->options.configure(d->options.data, &text, err);
    }
    if (code == SF_OK) {
        code = sf_buf_check(&text, "configuration of nats-server", err);
    }
    if (code == SF_OK) {
        code = sf_file_write(d->config_path, sf_buf_view(&text), 0600, err);
    }
    sf_buf_done(&text);
    return code;
}

static void on_child_up(struct sf_process *p, int pid, void *data)
{
    struct sf_natsd *d = data;

    (void)p;
    (void)pid;
    d->started_ns = sf_rt_now_ns(d->rt);
    sf_rt_timer_start(d->rt, &d->look, LOOK_MS * SF_NS_PER_MS);
}

static void on_stopped(struct sf_process *p, void *data)
{
    struct sf_natsd *d = data;

    sf_process_free(p);
    d->process = NULL;
    step(d);
}

static void stop_child(struct sf_natsd *d)
{
    if (d->process != NULL && !d->is_process_stopping) {
        d->is_process_stopping = true;
        sf_process_stop(d->process, on_stopped, d);
    }
}

static void fail(struct sf_natsd *d, const struct sf_error *why)
{
    d->state = NATSD_FAILED;
    sf_rt_timer_stop(d->rt, &d->look);
    stop_child(d);
    if (d->options.on_failed != NULL) {
        d->options.on_failed(d->options.data, why);
    }
}

/* It ended before it was ever up. */
static void count_vain_start(struct sf_natsd *d, const struct sf_process_exit *e)
{
    struct sf_error err = {0};

    if (e->error.code != SF_OK && !sf_code_is_transient(e->error.code)) {
        fail(d, &e->error);
    } else if (++d->starts_in_vain == FIRST_STARTS_MAX) {
        (void)SF_RAISE_E(&err, SF_UNAVAILABLE, SHEAF_E_INTERNAL,
                         "nats-server ended %d times before it took connections; see '%s' and the "
                         "log it names",
                         FIRST_STARTS_MAX,
                         d->options.output_path == NULL ? d->config_path : d->output_path);
        fail(d, &err);
    }
}

static void on_child_down(struct sf_process *p, const struct sf_process_exit *e, void *data)
{
    struct sf_natsd *d = data;
    bool was_up = d->state == NATSD_UP;

    (void)p;
    sf_rt_timer_stop(d->rt, &d->look);
    if (e->stopping || (d->state != NATSD_UP && d->state != NATSD_STARTING)) {
        return;
    }
    sf_log(SF_LOG_WARN, "natsd.ended", SF_F_INT("status", e->status), SF_F_INT("signal", e->signal),
           SF_F_UINT("restart_in_ms", e->restart_in_ns / SF_NS_PER_MS), SF_F_ERROR(&e->error));
    d->state = NATSD_STARTING;
    if (was_up && d->options.on_down != NULL) {
        d->options.on_down(d->options.data);
    } else if (!d->was_up) {
        count_vain_start(d, e);
    }
}

static void start_child(struct sf_natsd *d)
{
    const char *argv[] = {d->binary, "-c", d->config_path, NULL};
    struct sf_process_options o = {
        .argv = argv,
        .log_path = d->options.output_path,
        .before_start = before_start,
        .on_up = on_child_up,
        .on_down = on_child_down,
        .data = d,
    };
    struct sf_error err = {0};

    if (sf_process_new(d->uv, &o, &d->process, &err) != SF_OK) {
        fail(d, &err);
        return;
    }
    d->state = NATSD_STARTING;
    sf_process_start(d->process);
}

/* --- decisions -------------------------------------------------------------------------------- */

static void take_version(struct sf_natsd *d)
{
    const char *digits;

    if (d->work_code == SF_OK) {
        d->work_code = sf_natsd_check_version(d->answer, &d->work_error);
    }
    if (d->work_code != SF_OK) {
        fail(d, &d->work_error);
        return;
    }
    digits = d->answer + strcspn(d->answer, "0123456789");
    (void)snprintf(d->version, sizeof(d->version), "%.*s", (int)strcspn(digits, " \r\n"), digits);
    d->is_version_known = true;
    start_child(d);
}

static void take_look(struct sf_natsd *d)
{
    if (sf_process_pid(d->process) == 0) {
        return; /* it ended meanwhile: the next start looks again */
    }
    if (d->greets) {
        d->state = NATSD_UP;
        d->was_up = true;
        d->starts_in_vain = 0;
        if (d->options.on_up != NULL) {
            d->options.on_up(d->options.data);
        }
    } else if (sf_rt_now_ns(d->rt) - d->started_ns > UP_WITHIN_S * SF_NS_PER_S) {
        sf_process_restart(d->process);
    } else {
        sf_rt_timer_start(d->rt, &d->look, LOOK_MS * SF_NS_PER_MS);
    }
}

static void finish(struct sf_natsd *d)
{
    void (*closed)(void *data) = d->closed;
    void *data = d->closed_data;

    sf_free(d);
    if (closed != NULL) {
        closed(data);
    }
}

static void step(struct sf_natsd *d)
{
    switch (d->state) {
    case NATSD_CHECKING:
        take_version(d);
        break;
    case NATSD_STARTING:
        take_look(d);
        break;
    case NATSD_UP:
    case NATSD_FAILED:
        break;
    case NATSD_CLOSING:
        if (d->process == NULL && !d->is_working) {
            finish(d);
        }
        break;
    }
}

/* --- API -------------------------------------------------------------------------------------- */

static bool copy_path(const char *path, char ret[PATH_MAX])
{
    if (path != NULL && strlen(path) >= PATH_MAX) {
        return false;
    }
    (void)snprintf(ret, PATH_MAX, "%s", path == NULL ? "" : path);
    return true;
}

enum sf_code sf_natsd_start(struct rt_uv *uv, const struct sf_natsd_options *o,
                            struct sf_natsd **ret, struct sf_error *err)
{
    struct sf_natsd *d = sf_calloc(1, sizeof(*d));
    enum sf_code code;

    if (d == NULL) {
        return SF_RAISE(err, SF_NOMEM, "supervisor of nats-server");
    }
    code = sf_natsd_find(o->binary, d->binary, sizeof(d->binary), err);
    if (code == SF_OK &&
        (!copy_path(o->config_path, d->config_path) || !copy_path(o->wipe_dir, d->wipe_dir) ||
         !copy_path(o->output_path, d->output_path))) {
        code = SF_RAISE(err, SF_INVALID, "a path for nats-server is too long");
    }
    if (code != SF_OK) {
        sf_free(d);
        return code;
    }
    d->uv = uv;
    d->rt = rt_uv_rt(uv);
    d->options = *o;
    d->options.wipe_dir = o->wipe_dir == NULL ? NULL : d->wipe_dir;
    d->options.output_path = o->output_path == NULL ? NULL : d->output_path;
    d->look.fire = on_look;
    start_work(d);
    *ret = d;
    return SF_OK;
}

void sf_natsd_close(struct sf_natsd *d, void (*closed)(void *data), void *data)
{
    sf_assert(d->state != NATSD_CLOSING);
    d->state = NATSD_CLOSING;
    d->closed = closed;
    d->closed_data = data;
    sf_rt_timer_stop(d->rt, &d->look);
    if (d->process != NULL) {
        stop_child(d);
    } else if (!d->is_working) {
        /* Nothing runs: the callback still comes from outside this call. */
        start_work(d);
    }
}

int sf_natsd_pid(const struct sf_natsd *d)
{
    return d->process == NULL ? 0 : sf_process_pid(d->process);
}

const char *sf_natsd_version(const struct sf_natsd *d)
{
    return d->version;
}
