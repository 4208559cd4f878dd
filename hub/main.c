#include <signal.h>
#include <stdio.h>

#include "common/sys/crypto.h"
#include "common/sys/process.h"
#include "common/sys/rt_uv.h"
#include "hub/hub.h"
#include "hub/options.h"
#include "proto/errors.h"

struct program {
    struct rt_uv *uv;
    struct hub *hub;
    struct sf_task stop;
    bool stopping;
    int exit_code;
};

static int complain(const struct sf_error *err)
{
    const struct sheaf_error_info *info =
        sheaf_error_info(err->number != 0 ? err->number : SHEAF_E_INTERNAL);

    (void)fprintf(stderr, "sheaf-hub: error[SHEAF-E%04u]: %s: %s\n  next: %s\n", info->number,
                  info->title, err->text, info->next);
    return info->exit_code;
}

static void on_stop(struct sf_task *t)
{
    hub_stop(SF_CONTAINER_OF(t, struct program, stop)->hub);
}

static void stop(struct program *p)
{
    if (!p->stopping) {
        p->stopping = true;
        sf_rt_post(rt_uv_rt(p->uv), &p->stop);
    }
}

static void on_ready(void *data, struct hub *h)
{
    struct hub_ports ports = hub_ports_of(h);

    (void)data;
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

static void on_signal(int number, void *data)
{
    struct sf_error err;

    if (number != SIGHUP) {
        stop(data);
    } else if (sf_log_reopen(&err) != SF_OK) {
        (void)complain(&err);
    }
}

static enum sf_code serve(struct options *o, struct program *p, struct sf_error *err)
{
    enum sf_code code = sf_crypto_init(err);

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

int main(int argc, char **argv)
{
    extern char **environ;
    struct program program = {0};
    struct options options;
    struct sf_error err;

    sf_process_shim(argc, argv);
    if (options_parse(argc, (const char *const *)argv, (const char *const *)environ, &options,
                      &err) != SF_OK) {
        return complain(&err);
    }
    if (!options.help && serve(&options, &program, &err) != SF_OK) {
        program.exit_code = complain(&err);
    }
    options_done(&options);
    sf_log_close();
    return program.exit_code;
}
