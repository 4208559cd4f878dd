#include "tests/integration/leaf_inside.h"

#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/identity/token.h"
#include "tests/lib/cmocka.h"
#include "tests/lib/nats_server.h"
#include "tests/lib/proc.h"

#define MESH "m-faults"

/* As if it had joined: the hub is not asked before its credentials are old. */
static void join(struct leaf_inside *l)
{
    struct identity id;
    struct identity_mesh mesh = {
        .joined = true,
        .mesh = MESH,
        .hub_url = "http://127.0.0.1:9",
        .leafnode_url = "nats://127.0.0.1:9",
        .account = "ACCD",
        .serve_account = "ACCS",
        .expires_us = INT64_MAX,
        .renew_us = INT64_MAX,
    };
    struct sf_token claims = {.issuer = "sales", .subject = "ada", .audience = MESH};
    struct sf_buf token = {0};

    assert_int_equal(identity_open(l->tmp.path, "sales", &id, NULL), SF_OK);
    assert_int_equal(
        identity_store(&id, &mesh, sf_slice_text("jwt.serve"), sf_slice_text("jwt.domain"), NULL),
        SF_OK);
    claims.issued_s = time(NULL);
    claims.expires_s = claims.issued_s + 3600;
    assert_int_equal(sf_token_make(&claims, &id.keys.domain, &token, NULL), SF_OK);
    (void)snprintf(l->authorization, sizeof(l->authorization), "Authorization: Bearer %s\r\n",
                   sf_buf_cstr(&token));
    sf_buf_done(&token);
    identity_done(&id);
}

void leaf_inside_init(struct leaf_inside *l)
{
    memset(l, 0, sizeof(*l));
    tmpdir_init(&l->tmp);
    join(l);
    l->port = nats_server_port();
    l->nats_port = nats_server_port();
    (void)snprintf(l->http, sizeof(l->http), "127.0.0.1:%u", l->port);
    (void)snprintf(l->nats, sizeof(l->nats), "%u", l->nats_port);
    sf_alloc_spare(true);
}

void leaf_inside_done(struct leaf_inside *l)
{
    sf_alloc_spare(false);
    tmpdir_done(&l->tmp);
}

static void *run_leaf(void *data)
{
    struct leaf_inside *l = data;

    l->status = leaf_run(l->leaf);
    return NULL;
}

void leaf_inside_open(struct leaf_inside *l)
{
    extern char **environ;
    struct sf_buf report = {0};
    struct sf_error err = {0};
    const char *const argv[] = {"--data", l->tmp.path,   "--domain", "sales",       "--http",
                                l->http,  "--nats-port", l->nats,    "--log-level", "error"};

    if (leaf_config_read((int)SF_COUNT(argv), argv, (const char *const *)environ, &l->config,
                         &report, &err) != SF_OK) {
        fail_msg("%s %.*s", err.text, (int)report.size, (const char *)report.data);
    }
    if (leaf_new(&l->config, &l->leaf, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    sf_buf_done(&report);
}

static bool is_ready(void *data)
{
    struct leaf_inside *l = data;

    (void)leaf_inside_ask(l, "GET", "/readyz", "", -1);
    return l->answer.status == 200;
}

void leaf_inside_run(struct leaf_inside *l)
{
    assert_int_equal(pthread_create(&l->thread, NULL, run_leaf, l), 0);
    wait_until(is_ready, l, "the leaf is ready", 30000); /* a start that finds no memory ends */
}

void leaf_inside_stop(struct leaf_inside *l)
{
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(pthread_join(l->thread, NULL), 0);
    assert_int_equal(l->status, 0);
    leaf_config_done(&l->config);
}

bool leaf_inside_ask(struct leaf_inside *l, const char *method, const char *path, const char *body,
                     long fault)
{
    bool failed;

    sf_alloc_fail_after(fault, false);
    raw_http_call(l->port, method, path, l->authorization, sf_slice_text(body), &l->answer);
    failed = sf_alloc_faults() > 0;
    sf_alloc_fail_after(-1, false);
    return failed;
}

/* --- looking --- */

struct look {
    struct sf_task task;
    struct sf_timer again;
    struct leaf *leaf;
    bool (*holds)(struct leaf *leaf, void *data);
    void *data;
    uint64_t until_ns;
    bool held;
    sem_t ended;
};

/* Loop of the leaf. */
static void look(struct look *k)
{
    const uint64_t now_ns = sf_rt_now_ns(k->leaf->rt);

    k->held = k->holds(k->leaf, k->data);
    if (k->held || now_ns >= k->until_ns) {
        (void)sem_post(&k->ended);
    } else {
        sf_rt_timer_start(k->leaf->rt, &k->again, SF_NS_PER_MS);
    }
}

static void look_first(struct sf_task *t)
{
    struct look *k = SF_CONTAINER_OF(t, struct look, task);

    k->until_ns += sf_rt_now_ns(k->leaf->rt);
    look(k);
}

static void look_again(struct sf_timer *t)
{
    look(SF_CONTAINER_OF(t, struct look, again));
}

void leaf_inside_until(struct leaf_inside *l, bool (*holds)(struct leaf *leaf, void *data),
                       void *data, const char *what, unsigned deadline_ms)
{
    struct look k = {
        .task.run = look_first,
        .again.fire = look_again,
        .leaf = l->leaf,
        .holds = holds,
        .data = data,
        .until_ns = deadline_ms * SF_NS_PER_MS,
    };

    assert_int_equal(sem_init(&k.ended, 0, 0), 0);
    sf_rt_post_remote(l->leaf->rt, &k.task);
    while (sem_wait(&k.ended) != 0) {
        /* interrupted */
    }
    assert_int_equal(sem_destroy(&k.ended), 0);
    if (!k.held) {
        fail_msg("not within %u ms: %s", deadline_ms, what);
    }
}
