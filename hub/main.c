#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/settings/complain.h"
#include "common/sys/crypto.h"
#include "common/sys/memory.h"
#include "common/sys/notify.h"
#include "common/sys/process.h"
#include "common/sys/rt_uv.h"
#include "hub/hub.h"
#include "hub/options.h"
#include "proto/errors.h"

struct program {
    struct rt_uv *uv;
    const struct options *options;
    struct hub *hub;
    struct sf_task stop;
    struct sf_watchdog watchdog;
    bool is_ready;
    bool stopping;
    int exit_code;
};

static int complain(const struct sf_error *err)
{
    return sf_complain(stderr, "sheaf-hub", err);
}

static void on_stop(struct sf_task *t)
{
    hub_stop(SF_CONTAINER_OF(t, struct program, stop)->hub);
}

static void stop(struct program *p)
{
    if (!p->stopping) {
        p->stopping = true;
        sf_watchdog_stop(&p->watchdog);
        sf_notify_stopping();
        sf_rt_post(rt_uv_rt(p->uv), &p->stop);
    }
}

static void notify_ready(struct program *p)
{
    const struct hub_ports ports = hub_ports_of(p->hub);
    char status[120];

    (void)snprintf(status, sizeof(status), "HTTP on port %u, NATS on port %u, leaf nodes on %u",
                   ports.http, ports.nats, ports.leafnode);
    sf_notify_ready(status);
}

static void on_ready(void *data, struct hub *h)
{
    const struct hub_ports ports = hub_ports_of(h);
    struct program *p = data;

    p->is_ready = true;
    sf_watchdog_start(&p->watchdog, rt_uv_rt(p->uv));
    notify_ready(p);
    (void)printf("ready http=127.0.0.1:%u nats=127.0.0.1:%u leafnode=127.0.0.1:%u\n", ports.http,
                 ports.nats, ports.leafnode);
    (void)fflush(stdout);
}

static void on_failed(void *data, const struct sf_error *err)
{
    struct program *p = data;

    p->exit_code = complain(err);
    stop(p);
}

/* The loop ends by itself once everything that was begun is over. */
static void on_stopped(void *data)
{
    (void)data;
}

static void say_change(void *data, const struct sf_setting *s, const char *from, const char *to)
{
    (void)data;
    sf_log(s->reloadable ? SF_LOG_INFO : SF_LOG_WARN, "hub.setting_differs",
           SF_F_TEXT("setting", s->key), SF_F_TEXT("from", from), SF_F_TEXT("to", to),
           SF_F_BOOL("needs_restart", !s->reloadable));
}

/* The configuration file once more: how the log is written takes effect, the rest is named. What is
 * wrong changes nothing. */
static void reload(struct program *p)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf report = {0};
    struct options fresh = {0};
    struct sf_error err = {0};

    if (options_reread(p->options, &fresh, &report, &err) != SF_OK) {
        const char *text = report.size == 0 ? NULL : sf_buf_cstr(&report);

        if (text != NULL) {
            (void)snprintf(err.text, sizeof(err.text), "%.*s", (int)strcspn(text, "\n"), text);
        }
        sf_log(SF_LOG_ERROR, "hub.settings_refused", SF_F_ERROR(&err));
        return;
    }
    fresh.log.path = p->options->log.path;
    if (sf_log_open(&fresh.log, &err) != SF_OK) {
        sf_log(SF_LOG_WARN, "hub.log_not_reopened", SF_F_ERROR(&err));
    }
    sf_settings_compare(&p->options->settings, &fresh.settings, say_change, NULL);
    options_done(&fresh);
}

static void on_signal(int number, void *data)
{
    if (number == SIGHUP) {
        struct program *p = data;

        sf_notify_reloading();
        reload(p);
        if (p->is_ready) {
            notify_ready(p);
        }
    } else {
        stop(data);
    }
}

static enum sf_code serve(struct options *o, struct program *p, struct sf_error *err)
{
    enum sf_code code = sf_crypto_init(err);

    p->options = o;
    p->stop = (struct sf_task){.run = on_stop};
    o->hub.on_ready = on_ready;
    o->hub.on_failed = on_failed;
    o->hub.on_stopped = on_stopped;
    o->hub.data = p;
    o->hub.address = o->address;
    if (code == SF_OK) {
        code = sf_log_open(&o->log, err);
    }
    if (code == SF_OK) {
        code = rt_uv_new(&p->uv, err);
    }
    if (code == SF_OK) {
        code = rt_uv_catch_signals(p->uv, on_signal, p, err);
    }
    if (code == SF_OK) {
        code = hub_new(p->uv, &o->hub, &p->hub, err);
    }
    if (code == SF_OK) {
        rt_uv_run(p->uv);
        hub_free(p->hub);
    }
    rt_uv_free(p->uv);
    return code;
}

static int print_config(const struct options *o)
{
    struct sf_buf text = {0};

    sf_settings_print(&o->settings, &text);
    (void)fwrite(text.data, 1, text.size, stdout);
    sf_buf_done(&text);
    return 0;
}

/* What is wrong with the configuration file stands in @report. */
static int fail_config(struct sf_buf *report, const struct sf_error *err)
{
    if (report->size == 0) {
        (void)complain(err);
    } else {
        (void)fwrite(report->data, 1, report->size, stderr);
    }
    sf_buf_done(report);
    return 2;
}

int main(int argc, char **argv)
{
    extern char **environ;
    struct program program = {0};
    struct options options;
    struct sf_buf report = {0};
    struct sf_error err;

    sf_process_shim(argc, argv);
    sf_memory_setup();
    if (options_parse(argc, (const char *const *)argv, (const char *const *)environ, &options,
                      &report, &err) != SF_OK) {
        return fail_config(&report, &err);
    }
    if (options.check_only) {
        program.exit_code = print_config(&options);
    } else if (!options.help && serve(&options, &program, &err) != SF_OK) {
        program.exit_code = complain(&err);
    }
    options_done(&options);
    sf_log_close();
    return program.exit_code;
}
