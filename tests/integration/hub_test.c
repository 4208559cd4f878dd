#include "tests/integration/hub_test.h"

#include "tests/lib/cmocka.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/alloc.h"
#include "common/bus/bus_nats.h"
#include "common/bus/natsd_config.h"
#include "common/bus/service.h"
#include "common/identity/creds.h"
#include "common/identity/signed.h"
#include "common/sys/encoding.h"
#include "common/sys/file.h"
#include "common/wire/control.h"
#include "hub/claims/account_claims.h"
#include "proto/join.h"
#include "proto/subjects.h"

enum { READY_MS = 60000, STEP_MS = 60000 };

#define OK(call)                                                                                   \
    do {                                                                                           \
        struct sf_error *e_ = &err;                                                                \
        if ((call) != SF_OK) {                                                                     \
            fail_msg("%s: %s", #call, e_->text);                                                   \
        }                                                                                          \
    } while (0)

/* --- the hub ---------------------------------------------------------------------------------- */

static void spawn(struct hub_test *h)
{
    char log[4200];
    char nats[8];
    char leafnode[8];
    const char *argv[] = {getenv("TEST_HUB"), "--data", h->data,           "--http", "127.0.0.1:0",
                          "--nats-port",      nats,     "--leafnode-port", leafnode, NULL};

    assert_non_null(argv[0]);
    if (h->nats == 0) { /* ports that no other test takes, also while the hub is down */
        h->nats = nats_server_port();
        h->leafnode = nats_server_port();
    }
    (void)snprintf(nats, sizeof(nats), "%u", h->nats);
    (void)snprintf(leafnode, sizeof(leafnode), "%u", h->leafnode);
    (void)snprintf(log, sizeof(log), "%s.log", h->data);
    (void)remove(log);
    proc_start(&h->proc, &(struct proc_options){.argv = argv, .log_path = log});
}

static void read_description(struct hub_test *h)
{
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *doc = NULL;
    struct sf_buf text = {0};
    struct sf_error err;
    char path[4200];
    const char *mesh = "";
    int64_t port = 0;

    (void)snprintf(path, sizeof(path), "%s/hub.json", h->data);
    OK(sf_file_read(path, 65536, &text, &err));
    OK(sf_json_parse(sf_buf_view(&text), &doc, &err));
    assert_true(sf_json_as_int(sf_json_path(sf_json_root(doc), "http"), &port));
    h->http = (uint16_t)port;
    assert_true(sf_json_as_int(sf_json_path(sf_json_root(doc), "nats"), &port));
    h->nats = (uint16_t)port;
    assert_true(sf_json_as_int(sf_json_path(sf_json_root(doc), "leafnode"), &port));
    h->leafnode = (uint16_t)port;
    assert_true(sf_json_as_text(sf_json_path(sf_json_root(doc), "mesh"), &mesh));
    (void)snprintf(h->mesh, sizeof(h->mesh), "%s", mesh);
    sf_buf_done(&text);
}

void hub_test_start(struct hub_test *h)
{
    spawn(h);
    proc_wait_line(&h->proc, "ready http=", READY_MS);
    read_description(h);
}

int hub_test_start_fails(struct hub_test *h)
{
    spawn(h);
    return proc_wait_exit(&h->proc, READY_MS);
}

void hub_test_init(struct hub_test *h)
{
    struct sf_error err;
    char keys[4200];

    memset(h, 0, sizeof(*h));
    OK(sf_crypto_init(&err));
    test_loop_init(&h->loop);
    tmpdir_init(&h->tmp);
    (void)tmpdir_join(&h->tmp, "hub", h->data);
    hub_test_start(h);
    (void)snprintf(keys, sizeof(keys), "%s/keys", h->data);
    OK(authority_open(keys, /* has_run= */ true, &h->keys, &err));
    OK(sf_http_client_new(&h->client, &err));
}

static void on_closed(void *data)
{
    *(bool *)data = true;
}

static void close_bus(struct hub_test *h, struct sf_bus *bus)
{
    bool closed = false;

    if (bus != NULL) {
        sf_bus_nats_close(bus, on_closed, &closed);
        test_loop_until_flag(&h->loop, &closed, "connection closed", STEP_MS);
    }
}

void hub_test_done(struct hub_test *h)
{
    close_bus(h, h->system);
    if (h->proc.pid != 0) {
        proc_signal(&h->proc, SIGTERM);
        assert_int_equal(proc_wait_exit(&h->proc, STEP_MS), 0);
    }
    sf_http_client_free(h->client);
    authority_done(&h->keys);
    test_loop_done(&h->loop);
    tmpdir_done(&h->tmp);
}

/* --- connections ------------------------------------------------------------------------------ */

static bool is_connected(void *data)
{
    return sf_bus_connected(data);
}

static struct sf_bus *dial(struct hub_test *h, uint16_t port, const struct sf_seed *user,
                           const char *nkey, const char *jwt)
{
    char url[64];
    const char *const urls[] = {url};
    const struct sf_bus_nats_options o = {
        .urls = urls,
        .url_count = 1,
        .name = "test",
        .user = user,
        .nkey = nkey,
        .jwt = jwt,
    };
    struct sf_bus *bus = NULL;
    struct sf_error err;

    (void)snprintf(url, sizeof(url), "nats://127.0.0.1:%u", port);
    OK(sf_bus_nats_open(h->loop.rt, &o, &bus, &err));
    test_loop_until(&h->loop, is_connected, bus, "connected", STEP_MS);
    return bus;
}

struct answer_wait {
    bool done;
    enum sf_bus_outcome outcome;
    struct sf_buf data;
    struct sf_error err; /* of the service */
    enum sf_code code;
};

static void on_answer(struct sf_bus_call *call, enum sf_bus_outcome outcome,
                      const struct sf_bus_msg *m)
{
    struct answer_wait *w = call->data;

    w->done = true;
    w->outcome = outcome;
    if (m != NULL) {
        w->code = sf_service_check(m, &w->err);
        sf_buf_slice(&w->data, m->data);
    }
}

/* Who answers may not be known here yet: a leafnode tells its servers whom it serves once it is
 * connected. As long as nobody is, the request has reached nobody; all else is final. */
static void ask(struct hub_test *h, struct sf_bus *bus, const char *subject, struct sf_slice body,
                struct answer_wait *ret)
{
    const struct sf_bus_msg m = {.subject = subject, .data = body};
    const uint64_t deadline_ns = sf_rt_now_ns(h->loop.rt) + STEP_MS * SF_NS_PER_MS;
    struct sf_error err;

    do {
        struct sf_bus_call call = {.done = on_answer, .data = ret};

        *ret = (struct answer_wait){0};
        OK(sf_bus_request(bus, &call, &m, STEP_MS * SF_NS_PER_MS, &err));
        test_loop_until_flag(&h->loop, &ret->done, subject, 2 * STEP_MS);
        if (ret->outcome == SF_BUS_ANSWERED) {
            return;
        }
        test_loop_idle(&h->loop, 20);
    } while (ret->outcome == SF_BUS_NO_RESPONDERS && sf_rt_now_ns(h->loop.rt) < deadline_ns);
    fail_msg("no answer to %s: outcome %d", subject, (int)ret->outcome);
}

struct sf_bus *hub_test_dial(struct hub_test *h, const struct sf_seed *user, const char *jwt)
{
    return dial(h, h->nats, user, NULL, jwt);
}

void hub_test_close(struct hub_test *h, struct sf_bus *bus)
{
    close_bus(h, bus);
}

void hub_test_ask(struct hub_test *h, struct sf_bus *bus, const struct sf_bus_msg *m)
{
    struct answer_wait w;

    ask(h, bus, m->subject, m->data, &w);
    sf_buf_done(&w.data);
}

void hub_test_block_path(const struct hub_test *h, char *ret, size_t size)
{
    char account[SF_NKEY_TEXT_MAX];
    struct sf_error err;

    OK(claims_account_key(&h->keys, "MESH", account, &err));
    (void)snprintf(ret, size, "%s/nats/jetstream/jetstream/%s/streams/HUB_EVENTS/msgs/1.blk",
                   h->data, account);
}

static void open_system(struct hub_test *h)
{
    struct sf_seed user = {0};
    struct sf_buf jwt = {0};
    struct sf_error err;

    OK(sf_seed_generate(&user, &err));
    OK(claims_hub_user(&h->keys, "SYS", &user.public_key, 1000000000, &jwt, &err));
    h->system = dial(h, h->nats, &user, NULL, sf_buf_cstr(&jwt));
    sf_buf_done(&jwt);
    sf_seed_done(&user);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

size_t hub_test_imports(struct hub_test *h, const char *account, struct sf_buf *ret)
{
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *doc = NULL;
    struct answer_wait w;
    struct sf_error err;
    char subject[128];
    const char *names[64];
    size_t n = 0;

    if (h->system == NULL) {
        open_system(h);
    }
    (void)snprintf(subject, sizeof(subject), "$SYS.REQ.ACCOUNT.%s.INFO", account);
    ask(h, h->system, subject, SF_LITERAL(""), &w);
    OK(sf_json_parse(sf_buf_view(&w.data), &doc, &err));
    for (struct sf_json_iter it =
             sf_json_iter(sf_json_path(sf_json_root(doc), "data.decoded_jwt.nats.imports"));
         sf_json_next(&it);) {
        assert_true(n < SF_COUNT(names));
        assert_true(sf_json_as_text(sf_json_get(it.value, "subject"), &names[n]));
        n++;
    }
    qsort(names, n, sizeof(names[0]), by_text);
    for (size_t i = 0; i < n; i++) {
        sf_buf_printf(ret, "%s\n", names[i]);
    }
    sf_buf_done(&w.data);
    return n;
}

/* --- HTTP ------------------------------------------------------------------------------------- */

struct http_job {
    struct sf_work work;
    struct hub_test *hub;
    const char *method;
    char url[512];
    char authorization[SF_TOKEN_MAX + 16];
    const char *body;
    struct sf_http_answer answer;
    struct sf_error err;
    enum sf_code code;
    bool done;
};

static void run_http(struct sf_work *w)
{
    struct http_job *j = SF_CONTAINER_OF(w, struct http_job, work);
    const struct sf_http_header headers[] = {{"Content-Type", "application/json"},
                                             {"Authorization", j->authorization}};
    const struct sf_http_call call = {
        .method = j->method,
        .url = j->url,
        .headers = headers,
        .header_count = j->authorization[0] == '\0' ? 1 : 2,
        .body = sf_slice_text(j->body),
        .total_ms_max = 15000,
    };

    j->code = sf_http_client_call(j->hub->client, &call, &j->answer, &j->err);
}

static void on_http(struct sf_task *t)
{
    struct sf_work *w = SF_CONTAINER_OF(t, struct sf_work, done);

    SF_CONTAINER_OF(w, struct http_job, work)->done = true;
}

static void make_token(struct hub_test *h, const char *issuer, const struct sf_seed *key, char *ret,
                       size_t size)
{
    struct sf_token t = {.issued_s = time(NULL), .expires_s = time(NULL) + 600};
    struct sf_buf token = {0};
    struct sf_error err;

    (void)snprintf(t.issuer, sizeof(t.issuer), "%s", issuer);
    (void)snprintf(t.subject, sizeof(t.subject), "test");
    (void)snprintf(t.audience, sizeof(t.audience), "%s", h->mesh);
    (void)snprintf(t.roles[0].text, sizeof(t.roles[0].text), "owner");
    t.role_count = 1;
    OK(sf_token_make(&t, key, &token, &err));
    (void)snprintf(ret, size, "Bearer %s", sf_buf_cstr(&token));
    sf_buf_done(&token);
}

struct hub_answer hub_call(struct hub_test *h, const char *issuer, const struct sf_seed *key,
                           const char *method, const char *path, const char *body)
{
    struct http_job j = {.hub = h, .method = method, .body = body};
    struct hub_answer a = {0};
    uint64_t started_ns = sf_rt_now_ns(h->loop.rt);

    (void)snprintf(j.url, sizeof(j.url), "http://127.0.0.1:%u%s", h->http, path);
    if (issuer != NULL) {
        make_token(h, issuer, key, j.authorization, sizeof(j.authorization));
    }
    j.work = (struct sf_work){.pool = SF_POOL_QUERY, .work = run_http, .done = {.run = on_http}};
    sf_rt_work(h->loop.rt, &j.work);
    test_loop_until_flag(&h->loop, &j.done, path, 20000);
    if (j.code != SF_OK && j.code != SF_UNAVAILABLE) {
        fail_msg("%s %s: %s", method, path, j.err.text);
    }
    a.status = j.answer.status;
    a.took_ns = sf_rt_now_ns(h->loop.rt) - started_ns;
    sf_buf_slice(&a.body, sf_buf_view(&j.answer.body));
    sf_http_answer_done(&j.answer);
    if (sf_json_parse(sf_buf_view(&a.body), &a.doc, NULL) == SF_OK) {
        a.root = sf_json_root(a.doc);
    }
    return a;
}

struct hub_answer hub_call_platform(struct hub_test *h, const char *method, const char *path,
                                    const char *body)
{
    return hub_call(h, "platform", &h->keys.platform_key, method, path, body);
}

struct hub_answer hub_call_domain(const struct hub_domain *d, const char *method, const char *path,
                                  const char *body)
{
    return hub_call(d->hub, d->name, &d->domain_key, method, path, body);
}

void hub_answer_done(struct hub_answer *a)
{
    sf_json_free(a->doc);
    sf_buf_done(&a->body);
}

void hub_expect_text(const struct hub_answer *a, const char *path, const char *text)
{
    const char *value = NULL;

    if (!sf_json_as_text(sf_json_path(a->root, path), &value) || strcmp(value, text) != 0) {
        fail_msg("%s is '%s', not '%s': %.*s", path, value == NULL ? "(none)" : value, text,
                 SF_SLICE_ARG(sf_buf_view(&a->body)));
    }
}

void hub_expect_problem(const struct hub_answer *a, unsigned status, const char *code,
                        const char *detail)
{
    if (a->status != status) {
        fail_msg("status %u, not %u: %.*s", a->status, status, SF_SLICE_ARG(sf_buf_view(&a->body)));
    }
    hub_expect_text(a, "code", code);
    hub_expect_text(a, "detail", detail);
}

/* --- domains ---------------------------------------------------------------------------------- */

static void fixed_key(uint8_t base, uint8_t n, struct sf_seed *ret)
{
    uint8_t bytes[SF_SEED_SIZE];
    struct sf_error err;

    memset(bytes, base, sizeof(bytes));
    bytes[0] = n;
    OK(sf_seed_from_bytes(sf_slice_of(bytes, sizeof(bytes)), ret, &err));
}

void hub_domain_init(struct hub_test *h, struct hub_domain *d, const char *name, uint8_t seed)
{
    memset(d, 0, sizeof(*d));
    d->hub = h;
    d->name = name;
    fixed_key(seed, 1, &d->domain_key);
    fixed_key(seed, 2, &d->leaf_key);
    fixed_key(seed, 3, &d->serve_user);
    fixed_key(seed, 4, &d->user);
    for (uint8_t i = 0; i < 3; i++) {
        fixed_key(seed, (uint8_t)(5 + i), &d->process[i]);
    }
}

void hub_domain_done(struct hub_domain *d)
{
    if (d->serve != NULL) {
        sf_bus_cancel(d->serve, &d->poll);
    }
    close_bus(d->hub, d->serve);
    close_bus(d->hub, d->own);
    nats_server_kill(&d->server);
    sf_seed_done(&d->domain_key);
    sf_seed_done(&d->leaf_key);
    sf_seed_done(&d->serve_user);
    sf_seed_done(&d->user);
    for (size_t i = 0; i < 3; i++) {
        sf_seed_done(&d->process[i]);
    }
}

void hub_domain_join_body(const struct hub_domain *d, const char *token,
                          const struct sf_seed *signer, struct sf_buf *ret)
{
    char domain_key[64];
    char leaf_key[64];
    char serve_user[SF_NKEY_TEXT_MAX];
    char user[SF_NKEY_TEXT_MAX];
    char proof[128];
    char bytes[JOIN_TEXT_MAX];
    struct sf_signature signature;
    struct sf_error err;
    const struct join_texts t = {
        .mesh = d->hub->mesh,
        .domain = d->name,
        .token = token,
        .domain_key = domain_key,
        .leaf_key = leaf_key,
        .serve_user = serve_user,
        .user = user,
    };

    sf_encode(SF_BASE64, sf_slice_of(d->domain_key.public_key.bytes, 32), domain_key);
    sf_encode(SF_BASE64, sf_slice_of(d->leaf_key.public_key.bytes, 32), leaf_key);
    sf_nkey_format(SF_NKEY_USER, &d->serve_user.public_key, serve_user);
    sf_nkey_format(SF_NKEY_USER, &d->user.public_key, user);
    OK(sf_sign(signer, SIGN_JOIN, sf_slice_of(bytes, join_signed_bytes(&t, bytes)), &signature,
               &err));
    sf_encode(SF_BASE64, sf_slice_of(signature.bytes, sizeof(signature.bytes)), proof);
    sf_buf_printf(ret,
                  "{\"domain\":\"%s\",\"token\":\"%s\",\"domain_key\":\"%s\",\"leaf_key\":\"%s\","
                  "\"serve_user\":\"%s\",\"user\":\"%s\",\"proof\":\"%s\"}",
                  d->name, token, domain_key, leaf_key, serve_user, user, proof);
}

static void write_creds(const struct hub_domain *d, const struct hub_answer *joined,
                        const char *member, const struct sf_seed *seed, char *ret_path)
{
    struct sf_buf text = {0};
    struct sf_error err;
    char name[128];
    char path[64];
    const char *jwt = "";

    (void)snprintf(path, sizeof(path), "users.%s.jwt", member);
    assert_true(sf_json_as_text(sf_json_path(joined->root, path), &jwt));
    sf_creds_format(sf_slice_text(jwt), seed, &text);
    (void)snprintf(name, sizeof(name), "%s-%s.creds", d->name, member);
    (void)tmpdir_join(&d->hub->tmp, name, ret_path);
    OK(sf_file_write(ret_path, sf_buf_view(&text), 0600, &err));
    sf_buf_done(&text);
}

static void start_leaf_server(struct hub_domain *d, const struct hub_answer *joined)
{
    char users[3][SF_NKEY_TEXT_MAX];
    char creds[2][4096];
    char url[64];
    char name[128];
    struct sf_buf text = {0};
    struct sf_error err;

    for (size_t i = 0; i < 3; i++) {
        sf_nkey_format(SF_NKEY_USER, &d->process[i].public_key, users[i]);
    }
    write_creds(d, joined, "domain", &d->user, creds[0]);
    write_creds(d, joined, "serve", &d->serve_user, creds[1]);
    (void)snprintf(url, sizeof(url), "nats-leaf://127.0.0.1:%u", d->hub->leafnode);
    (void)snprintf(name, sizeof(name), "leaf-%s.log", d->name);
    (void)tmpdir_join(&d->hub->tmp, name, d->server.log_path);
    (void)snprintf(name, sizeof(name), "leaf-%s.conf", d->name);
    (void)tmpdir_join(&d->hub->tmp, name, d->server.config_path);
    d->server.port = nats_server_port();
    const struct sf_natsd_leaf config = {
        .name = d->name,
        .domain = d->name,
        .client_port = d->server.port,
        .log_path = d->server.log_path,
        .process_user = users[0],
        .process_serve_user = users[1],
        .system_user = users[2],
        .hub_url = url,
        .creds_path = creds[0],
        .serve_creds_path = creds[1],
    };

    sf_natsd_config_leaf(&config, &text);
    OK(sf_file_write(d->server.config_path, sf_buf_view(&text), 0600, &err));
    sf_buf_done(&text);
    nats_server_start(&d->server);
    d->own = dial(d->hub, d->server.port, &d->process[0], users[0], NULL);
    d->serve = dial(d->hub, d->server.port, &d->process[1], users[1], NULL);
}

/* --- the stand-in for the leaf process -------------------------------------------------------- */

static void poll_again(struct hub_domain *d);

static void take_bundle(struct hub_domain *d, const Sheaf__V1__Signed *sealed,
                        struct sf_arena *arena)
{
    const Sheaf__V1__Bundle *b;
    struct sf_error err;

    OK(sf_signed_verify(SIGN_BUNDLE, sealed, &d->hub->keys.hub_key.public_key, &err));
    b = SF_CONTROL_UNPACK(bundle, arena, sf_control_slice(sealed->payload));
    assert_non_null(b);
    assert_string_equal(b->domain, d->name);
    assert_string_equal(b->mesh, d->hub->mesh);
    assert_true(b->version > d->have_version);
    for (size_t i = 0; i < b->n_grants; i++) {
        OK(sf_signed_verify(SIGN_DECISION, b->grants[i]->decision, &d->domain_key.public_key,
                            &err));
    }
    d->bundles++;
    d->grants = b->n_grants;
    if (!d->deaf) {
        d->have_version = b->version;
    }
}

static void on_polled(struct sf_bus_call *call, enum sf_bus_outcome outcome,
                      const struct sf_bus_msg *m)
{
    struct hub_domain *d = call->data;
    struct sf_arena arena;

    sf_arena_init(&arena, 0);
    if (outcome == SF_BUS_ANSWERED) {
        d->polls++;
        const Sheaf__V1__PollReply *reply = SF_CONTROL_UNPACK(poll_reply, &arena, m->data);
        struct sf_error err;

        OK(sf_service_check(m, &err));
        assert_non_null(reply);
        if (reply->bundle != NULL) {
            take_bundle(d, reply->bundle, &arena);
        }
    }
    sf_arena_done(&arena);
    poll_again(d);
}

static void poll_again(struct hub_domain *d)
{
    Sheaf__V1__PollRequest q = SHEAF__V1__POLL_REQUEST__INIT;
    Sheaf__V1__LaneHead head = SHEAF__V1__LANE_HEAD__INIT;
    Sheaf__V1__LaneHead *heads[] = {&head};
    uint8_t bytes[512];
    char subject[SUBJECT_MAX];
    struct sf_bus_msg m = {.subject = subject};
    struct sf_error err;

    q.domain = (char *)(uintptr_t)d->name;
    q.have_version = d->have_version;
    q.leaf_version = (char *)(uintptr_t) "0.1.0-test";
    q.nats_server_version = (char *)(uintptr_t) "2.15.1";
    head.product = (char *)(uintptr_t) "orders";
    head.table = (char *)(uintptr_t) "orders";
    head.major = 1;
    head.epoch = 3;
    head.seq = 41;
    head.rows = 40;
    q.heads = heads;
    q.n_heads = 1;
    subject_control(subject, "poll");
    m.data = sf_slice_of(bytes, sheaf__v1__poll_request__pack(&q, bytes));
    d->poll = (struct sf_bus_call){.done = on_polled, .data = d};
    OK(sf_bus_request(d->serve, &d->poll, &m, UINT64_C(3000) * SF_NS_PER_MS, &err));
}

void hub_domain_join(struct hub_domain *d)
{
    struct sf_buf body = {0};
    struct hub_answer token;
    struct hub_answer joined;
    const char *text = "";
    char request[128];

    (void)snprintf(request, sizeof(request), "{\"domain\":\"%s\"}", d->name);
    token = hub_call_platform(d->hub, "POST", "/v1/join-tokens", request);
    assert_int_equal(token.status, 201);
    assert_true(sf_json_as_text(sf_json_get(token.root, "token"), &text));
    hub_domain_join_body(d, text, &d->domain_key, &body);
    joined = hub_call(d->hub, NULL, NULL, "POST", "/v1/join", sf_buf_cstr(&body));
    assert_int_equal(joined.status, 200);
    assert_true(sf_json_as_text(sf_json_path(joined.root, "accounts.domain"), &text));
    (void)snprintf(d->account, sizeof(d->account), "%s", text);
    assert_true(sf_json_as_text(sf_json_path(joined.root, "accounts.serve"), &text));
    (void)snprintf(d->serve_account, sizeof(d->serve_account), "%s", text);
    start_leaf_server(d, &joined);
    poll_again(d);
    test_loop_until_count(&d->hub->loop, &d->bundles, 1, "first bundle", STEP_MS);
    hub_answer_done(&token);
    hub_answer_done(&joined);
    sf_buf_done(&body);
}

struct hub_apply hub_domain_apply(struct hub_domain *d, const char *yaml, bool dry_run)
{
    Sheaf__V1__ApplyRequest q = SHEAF__V1__APPLY_REQUEST__INIT;
    const Sheaf__V1__ApplyReply *reply;
    struct hub_apply result = {0};
    struct answer_wait w;
    struct sf_arena arena;
    uint8_t bytes[8192];
    char subject[SUBJECT_MAX];

    q.domain = (char *)(uintptr_t)d->name;
    q.product_yaml = sf_control_data(sf_slice_text(yaml));
    q.applied_by = (char *)(uintptr_t) "ada";
    q.dry_run = dry_run;
    assert_true(sheaf__v1__apply_request__get_packed_size(&q) <= sizeof(bytes));
    subject_control(subject, "product.apply");
    ask(d->hub, d->serve, subject, sf_slice_of(bytes, sheaf__v1__apply_request__pack(&q, bytes)),
        &w);
    if (w.code != SF_OK) {
        fail_msg("apply: %s", w.err.text);
    }
    sf_arena_init(&arena, 0);
    reply = SF_CONTROL_UNPACK(apply_reply, &arena, sf_buf_view(&w.data));
    assert_non_null(reply);
    result.accepted = reply->accepted;
    result.changed = reply->changed;
    result.findings = reply->n_findings;
    (void)snprintf(result.version, sizeof(result.version), "%s", reply->version);
    if (reply->n_findings > 0) {
        result.number = reply->findings[0]->number;
        (void)snprintf(result.finding, sizeof(result.finding), "%s", reply->findings[0]->text);
    }
    sf_arena_done(&arena);
    sf_buf_done(&w.data);
    return result;
}
