/*
 * A whole leaf whose hub is away, asked over HTTP while memory runs out: each allocation fails
 * once, whoever makes it. It answers honestly, goes on, and leaves nothing behind.
 */
#include "tests/lib/cmocka.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/identity/token.h"
#include "common/sys/process.h"
#include "leaf/leaf.h"
#include "tests/lib/nats_server.h"
#include "tests/lib/proc.h"
#include "tests/lib/raw_http.h"
#include "tests/lib/tmpdir.h"

#define MESH "m-faults"

struct world {
    struct tmpdir tmp;
    char http[32]; /* borrowed by the settings */
    char nats[16];
    struct leaf *leaf;
    int status; /* of its end */
    uint16_t port;
    char authorization[1200];
    unsigned refused;
    struct raw_http_answer answer;
    char whole[RAW_HTTP_MAX];
};

struct question {
    const char *method;
    const char *path;
    const char *body;
    unsigned status;
    bool changes; /* its answer is another each time */
    bool large;   /* only its beginning is looked at */
};

/* --- the sweep --- */

static bool ask(struct world *w, const struct question *q, long fault)
{
    bool failed;

    sf_alloc_fail_after(fault, false);
    raw_http_call(w->port, q->method, q->path, w->authorization, sf_slice_text(q->body),
                  &w->answer);
    failed = sf_alloc_faults() > 0;
    sf_alloc_fail_after(-1, false);
    return failed;
}

static void assert_honest(struct world *w, const struct question *q)
{
    const struct raw_http_answer *a = &w->answer;

    if (a->status >= 400 && !raw_http_is_problem(a)) {
        fail_msg("%s %s: %u '%s'", q->method, q->path, a->status, a->text);
    }
    if (a->status == q->status && (a->is_complete || q->large)) {
        if (a->status >= 400 && strcmp(a->text, w->whole) != 0) {
            w->refused++; /* There was no memory for the detail. */
        } else if (!q->changes) {
            assert_string_equal(a->text, w->whole);
        }
        return;
    }
    if (a->status != 0 && a->status != q->status && a->status != 429 && a->status != 500 &&
        a->status != 503) {
        fail_msg("%s %s: %u %s", q->method, q->path, a->status, a->text);
    }
    w->refused++;
}

static void sweep(struct world *w, const struct question *q)
{
    long n = 0;

    assert_false(ask(w, q, -1));
    if (w->answer.status != q->status || w->answer.is_complete == q->large) {
        fail_msg("%s %s: %u %s", q->method, q->path, w->answer.status, w->answer.text);
    }
    memcpy(w->whole, w->answer.text, sizeof(w->whole));
    w->refused = 0;
    while (ask(w, q, n)) {
        assert_honest(w, q);
        n++;
    }
    assert_honest(w, q);
    assert_true(n > 3 && w->refused > 1);
}

static bool is_ready(void *data)
{
    struct world *w = data;

    (void)ask(w, &(struct question){"GET", "/readyz", "", 200, true}, -1);
    return w->answer.status == 200;
}

static void run_sweeps(struct world *w)
{
    char backup[4200];
    const struct question questions[] = {
        {"GET", "/v1/status", "", 200, true},
        {"GET", "/v1/settings", "", 200, false},
        {"GET", "/metrics", "", 200, true, true},
        {"GET", "/openapi.json", "", 200, false, true},
        {"GET", "/v1/products", "", 200, false},
        {"GET", "/v1/products/sales/orders", "", 404, false},
        {"PUT", "/v1/products/sales/orders", "sheaf: product/v1\n", 422, false},
        {"POST", "/v1/leaf/check", "", 202, true},
        {"GET", "/v1/leaf/check", "", 200, true},
        {"DELETE", "/v1/leaf/check", "", 202, true},
        {"POST", "/v1/leaf/backup", backup, 202, true},
        {"GET", "/v1/leaf/backup", "", 200, true},
        {"DELETE", "/v1/leaf/backup", "", 202, true},
        {"DELETE", "/v1/products/sales/orders", "", 400, false},
        {"POST", "/v1/products/sales/orders/restore", "", 400, false},
        {"POST", "/v1/leaf/drain", "", 200, true},
        {"GET", "/v1/leaf/drain", "", 200, true},
        {"DELETE", "/v1/leaf/drain", "", 200, true},
    };

    (void)snprintf(backup, sizeof(backup), "{\"repository\":\"%s/backups\"}", w->tmp.path);
    sf_alloc_spare(true);
    wait_until(is_ready, w, "the leaf is ready", 30000); /* a start that finds no memory ends */
    for (size_t i = 0; i < SF_COUNT(questions); i++) {
        sweep(w, &questions[i]);
    }
    sf_alloc_spare(false);
}

/* --- the leaf --- */

/* As if it had joined: the hub is not asked before its credentials are old. */
static void join(struct world *w)
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

    assert_int_equal(identity_open(w->tmp.path, "sales", &id, NULL), SF_OK);
    assert_int_equal(
        identity_store(&id, &mesh, sf_slice_text("jwt.serve"), sf_slice_text("jwt.domain"), NULL),
        SF_OK);
    claims.issued_s = time(NULL);
    claims.expires_s = claims.issued_s + 3600;
    assert_int_equal(sf_token_make(&claims, &id.keys.domain, &token, NULL), SF_OK);
    (void)snprintf(w->authorization, sizeof(w->authorization), "Authorization: Bearer %s\r\n",
                   sf_buf_cstr(&token));
    sf_buf_done(&token);
    identity_done(&id);
}

static void *run_leaf(void *data)
{
    struct world *w = data;

    w->status = leaf_run(w->leaf);
    return NULL;
}

static void start_leaf(struct world *w, struct leaf_config *config, pthread_t *ret)
{
    extern char **environ;
    struct sf_buf report = {0};
    struct sf_error err = {0};
    const char *const argv[] = {"--data", w->tmp.path,   "--domain", "sales",       "--http",
                                w->http,  "--nats-port", w->nats,    "--log-level", "error"};

    (void)snprintf(w->http, sizeof(w->http), "127.0.0.1:%u", w->port);
    (void)snprintf(w->nats, sizeof(w->nats), "%u", nats_server_port());
    if (leaf_config_read((int)SF_COUNT(argv), argv, (const char *const *)environ, config, &report,
                         &err) != SF_OK) {
        fail_msg("%s %.*s", err.text, (int)report.size, (const char *)report.data);
    }
    if (leaf_new(config, &w->leaf, &err) != SF_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(pthread_create(ret, NULL, run_leaf, w), 0);
    sf_buf_done(&report);
}

static void a_leaf_without_memory_answers_honestly_and_goes_on(void **state)
{
    static struct world w;
    struct leaf_config config;
    pthread_t thread;
    (void)state;

    tmpdir_init(&w.tmp);
    join(&w);
    w.port = nats_server_port();
    start_leaf(&w, &config, &thread);
    run_sweeps(&w);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(w.status, 0);
    leaf_config_done(&config);
    tmpdir_done(&w.tmp);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leaf_without_memory_answers_honestly_and_goes_on),
    };

    sf_process_shim(argc, argv);
    assert_int_equal(sf_crypto_init(NULL), SF_OK);
    return cmocka_run_group_tests_name("leaf_faults", tests, NULL, NULL);
}
