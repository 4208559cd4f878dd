#include "tests/lib/nats_fixture.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/bus/natsd_config.h"
#include "common/identity/creds.h"
#include "common/sys/file.h"
#include "common/wire/json.h"
#include "proto/subjects.h"
#include "tests/lib/cmocka.h"

static const char *const account_names[] = {
    "SYS", "MESH", "sales.serve", "sales", "marketing.serve", "marketing"};
static const char *const domains[] = {"sales", "marketing"};

/* --- claims ----------------------------------------------------------------------------------- */

static struct sf_account_limits limits_of(enum fixture_account account)
{
    struct sf_account_limits l = sf_account_limits_open();

    if (account >= FIXTURE_SALES_SERVE) {
        l.payload_bytes = SF_NATSD_ACCOUNT_PAYLOAD;
    }
    if (account == FIXTURE_MESH) {
        l.js_disk_bytes = -1;
        l.js_streams = -1;
        l.js_consumers = -1;
    }
    return l;
}

static void sign(struct nats_fixture *f, const struct sf_account_claims *c,
                 struct fixture_account_state *a)
{
    struct sf_nats_jwt_info info;
    struct sf_nats_signer signer = {&f->signing_key, ++a->iat_s};
    struct sf_error err = {0};

    sf_buf_clear(&a->jwt);
    if (sf_account_jwt(c, &signer, &a->jwt, &err) != SF_OK) {
        fail_msg("claims of %s: %s", c->name, err.text);
    }
    assert_int_equal(sf_nats_jwt_read(sf_buf_view(&a->jwt), &info, NULL), SF_OK);
    memcpy(a->jti, info.jti, sizeof(a->jti));
}

void nats_fixture_sign(struct nats_fixture *f, enum fixture_account account,
                       const struct sf_nats_import *imports, size_t count)
{
    struct fixture_account_state *a = &f->account[account];
    struct sf_account_claims c = {
        .name = account_names[account],
        .subject = &a->seed.public_key,
        .limits = limits_of(account),
        .imports = imports,
        .import_count = count,
    };

    sign(f, &c, a);
}

static void sign_mesh(struct nats_fixture *f)
{
    static const struct sf_nats_export exports[] = {
        {"log", "ingest.*.>", SF_NATS_SERVICE, false, 2},
        {"control", "mesh.ctl.*.>", SF_NATS_SERVICE, false, 3},
        {"deliver", "out.*.>", SF_NATS_STREAM, false, 2},
    };
    struct fixture_account_state *a = &f->account[FIXTURE_MESH];
    struct sf_account_claims c = {
        .name = "MESH",
        .subject = &a->seed.public_key,
        .limits = limits_of(FIXTURE_MESH),
        .exports = exports,
        .export_count = SF_COUNT(exports),
    };

    sign(f, &c, a);
}

static void sign_serve(struct nats_fixture *f, enum fixture_account account, const char *domain)
{
    struct fixture_account_state *a = &f->account[account];
    const char *mesh = f->account[FIXTURE_MESH].id;
    char live[64];
    char requests[SUBJECT_MAX];
    char ingest[128];
    char control[SUBJECT_MAX];
    const struct sf_nats_export exports[] = {
        {"live", live, SF_NATS_STREAM, false, 0},
        {"requests", requests, SF_NATS_SERVICE, true, 3},
    };
    const struct sf_nats_import imports[] = {
        {"log", ingest, mesh, SF_NATS_SERVICE, "ingest.>"},
        {"control", control, mesh, SF_NATS_SERVICE, "mesh.>"},
    };
    struct sf_account_claims c = {
        .name = account_names[account],
        .subject = &a->seed.public_key,
        .limits = limits_of(account),
        .exports = exports,
        .export_count = SF_COUNT(exports),
        .imports = imports,
        .import_count = SF_COUNT(imports),
    };

    (void)snprintf(live, sizeof(live), "dp.%s.>", domain);
    (void)snprintf(ingest, sizeof(ingest), "ingest.%s.>", a->id);
    subject_request_listen(requests, domain);
    subject_control_source(control, a->id);
    sign(f, &c, a);
}

void nats_fixture_sign_static(struct nats_fixture *f, enum fixture_account account)
{
    switch (account) {
    case FIXTURE_MESH:
        sign_mesh(f);
        break;
    case FIXTURE_SALES_SERVE:
        sign_serve(f, account, "sales");
        break;
    case FIXTURE_MARKETING_SERVE:
        sign_serve(f, account, "marketing");
        break;
    case FIXTURE_SYS:
    case FIXTURE_SALES:
    case FIXTURE_MARKETING:
    case FIXTURE_ACCOUNTS:
        nats_fixture_sign(f, account, NULL, 0);
        break;
    }
}

static void make_keys(struct nats_fixture *f)
{
    assert_int_equal(sf_crypto_init(NULL), SF_OK);
    assert_int_equal(sf_seed_generate(&f->operator_key, NULL), SF_OK);
    assert_int_equal(sf_seed_generate(&f->signing_key, NULL), SF_OK);
    assert_int_equal(sf_seed_generate(&f->foreign_key, NULL), SF_OK);
    for (size_t i = 0; i < FIXTURE_ACCOUNTS; i++) {
        struct fixture_account_state *a = &f->account[i];

        assert_int_equal(sf_seed_generate(&a->seed, NULL), SF_OK);
        sf_nkey_format(SF_NKEY_ACCOUNT, &a->seed.public_key, a->id);
        a->iat_s = 1700000000;
    }
    for (size_t i = 0; i < FIXTURE_LEAVES; i++) {
        assert_int_equal(sf_seed_generate(&f->leaf_system_user[i], NULL), SF_OK);
        for (size_t j = 0; j < FIXTURE_USERS; j++) {
            assert_int_equal(sf_seed_generate(&f->user[i][j], NULL), SF_OK);
        }
    }
    for (int i = 0; i < FIXTURE_ACCOUNTS; i++) {
        nats_fixture_sign_static(f, (enum fixture_account)i);
    }
}

static void user_jwt(struct nats_fixture *f, enum fixture_account account,
                     const struct sf_seed *user, const char *connection_type, struct sf_buf *ret)
{
    struct sf_user_claims c = {
        .name = "fixture",
        .subject = &user->public_key,
        .connection_type = connection_type,
    };
    struct sf_nats_signer signer = {&f->account[account].seed, 1700000000};

    assert_int_equal(sf_user_jwt(&c, &signer, ret, NULL), SF_OK);
}

/* --- servers ---------------------------------------------------------------------------------- */

static void write_file(const char *path, const struct sf_buf *text)
{
    assert_int_equal(text->failed, SF_OK);
    assert_int_equal(sf_file_write(path, sf_buf_view(text), 0600, NULL), SF_OK);
}

static void write_hub(struct nats_fixture *f, const struct nats_server *server, const char *name,
                      const struct nats_fixture_options *o)
{
    bool is_first = server == &f->hub;
    struct sf_natsd_preload preload[FIXTURE_ACCOUNTS];
    char js[PATH_MAX];
    char cache[PATH_MAX];
    struct sf_buf jwt = {0};
    struct sf_buf text = {0};
    struct sf_operator_claims claims = {
        .name = "mesh",
        .subject = &f->operator_key.public_key,
        .system_account = &f->account[FIXTURE_SYS].seed.public_key,
        .signing_keys = &f->signing_key.public_key,
        .signing_key_count = 1,
    };
    struct sf_nats_signer signer = {&f->operator_key, 1700000000};
    struct sf_natsd_hub c = {
        .name = name,
        .client_port = server->port,
        .leafnode_port = is_first ? f->leafnode_port : nats_server_port(),
        .log_path = server->log_path,
        .jetstream_dir = tmpdir_join(&f->dir, is_first ? "js" : "js2", js),
        .cache_dir = tmpdir_join(&f->dir, is_first ? "jwt" : "jwt2", cache),
        .system_account = f->account[FIXTURE_SYS].id,
        .accounts = preload,
        .account_count = o->preloads_only_system ? 1 : FIXTURE_ACCOUNTS,
    };

    assert_int_equal(sf_operator_jwt(&claims, &signer, &jwt, NULL), SF_OK);
    c.operator_jwt = sf_buf_cstr(&jwt);
    for (size_t i = 0; i < FIXTURE_ACCOUNTS; i++) {
        preload[i] = (struct sf_natsd_preload){f->account[i].id, sf_buf_cstr(&f->account[i].jwt)};
    }
    if (!o->keeps_cache) {
        assert_int_equal(sf_dir_remove(cache, NULL), SF_OK);
    }
    assert_int_equal(sf_dir_make(cache, 0700, NULL), SF_OK);
    sf_natsd_config_hub(&c, &text);
    if (o->extra_hub != NULL) {
        sf_buf_text(&text, o->extra_hub);
    }
    write_file(server->config_path, &text);
    sf_buf_done(&text);
    sf_buf_done(&jwt);
}

static void write_creds(struct nats_fixture *f, enum fixture_account account, const char *name,
                        char ret_path[PATH_MAX])
{
    struct sf_seed user = {0};
    struct sf_buf jwt = {0};
    struct sf_buf text = {0};

    assert_int_equal(sf_seed_generate(&user, NULL), SF_OK);
    user_jwt(f, account, &user, "LEAFNODE", &jwt);
    sf_creds_format(sf_buf_view(&jwt), &user, &text);
    write_file(tmpdir_join(&f->dir, name, ret_path), &text);
    sf_seed_done(&user);
    sf_buf_done(&jwt);
    sf_buf_done(&text);
}

static void start_leaf(struct nats_fixture *f, enum fixture_leaf leaf)
{
    struct nats_server *server = &f->leaf[leaf];
    enum fixture_account serve =
        leaf == FIXTURE_LEAF_SALES ? FIXTURE_SALES_SERVE : FIXTURE_MARKETING_SERVE;
    char names[3][64];
    char creds[PATH_MAX];
    char serve_creds[PATH_MAX];
    char hub_url[64];
    char users[FIXTURE_USERS][SF_NKEY_TEXT_MAX];
    char system_user[SF_NKEY_TEXT_MAX];
    const char *const apps[] = {users[FIXTURE_APP]};
    struct sf_buf text = {0};
    struct sf_natsd_leaf c = {
        .name = names[0],
        .domain = domains[leaf],
        .process_user = users[FIXTURE_PROCESS],
        .process_serve_user = users[FIXTURE_PROCESS_SERVE],
        .app_users = apps,
        .app_user_count = 1,
        .system_user = system_user,
        .hub_url = hub_url,
        .creds_path = creds,
        .serve_creds_path = serve_creds,
    };

    (void)snprintf(names[0], sizeof(names[0]), "leaf-%s", domains[leaf]);
    (void)snprintf(names[1], sizeof(names[1]), "leaf-%s.creds", domains[leaf]);
    (void)snprintf(names[2], sizeof(names[2]), "leaf-%s.serve.creds", domains[leaf]);
    (void)snprintf(hub_url, sizeof(hub_url), "nats-leaf://127.0.0.1:%u", f->leafnode_port);
    for (size_t i = 0; i < FIXTURE_USERS; i++) {
        sf_nkey_format(SF_NKEY_USER, &f->user[leaf][i].public_key, users[i]);
    }
    sf_nkey_format(SF_NKEY_USER, &f->leaf_system_user[leaf].public_key, system_user);
    write_creds(f, (enum fixture_account)(serve + 1), names[1], creds);
    write_creds(f, serve, names[2], serve_creds);
    server->port = nats_server_port();
    (void)snprintf(names[1], sizeof(names[1]), "leaf-%s.conf", domains[leaf]);
    (void)snprintf(names[2], sizeof(names[2]), "leaf-%s.log", domains[leaf]);
    (void)tmpdir_join(&f->dir, names[1], server->config_path);
    (void)tmpdir_join(&f->dir, names[2], server->log_path);
    c.client_port = server->port;
    c.log_path = server->log_path;
    sf_natsd_config_leaf(&c, &text);
    write_file(server->config_path, &text);
    sf_buf_done(&text);
    nats_server_start(server);
}

/* --- connections ------------------------------------------------------------------------------ */

static bool bus_is_up(void *data)
{
    return sf_bus_connected(data);
}

static struct sf_bus *dial(struct nats_fixture *f, uint16_t port, const struct sf_seed *user,
                           const char *jwt)
{
    char url[64];
    char nkey[SF_NKEY_TEXT_MAX];
    const char *urls[] = {url};
    struct sf_bus_nats_options o = {
        .urls = urls,
        .url_count = 1,
        .name = "fixture",
        .user = user,
        .nkey = nkey,
        .jwt = jwt,
    };
    struct sf_bus *bus = NULL;
    struct sf_bus_nats_stats stats;

    (void)snprintf(url, sizeof(url), "nats://127.0.0.1:%u", port);
    sf_nkey_format(SF_NKEY_USER, &user->public_key, nkey);
    assert_int_equal(sf_bus_nats_open(f->loop.rt, &o, &bus, NULL), SF_OK);
    if (!test_loop_wait(&f->loop, bus_is_up, bus, FIXTURE_WAIT_MS)) {
        sf_bus_nats_stats(bus, &stats);
        fail_msg("no connection to port %u: %s", port, stats.last_error);
    }
    for (size_t i = 0; i < FIXTURE_BUSES; i++) {
        if (f->buses[i] == NULL) {
            f->buses[i] = bus;
            return bus;
        }
    }
    fail_msg("more than %d connections", FIXTURE_BUSES);
    return NULL;
}

struct sf_bus *nats_fixture_leaf_bus(struct nats_fixture *f, enum fixture_leaf leaf,
                                     enum fixture_user user)
{
    return dial(f, f->leaf[leaf].port, &f->user[leaf][user], NULL);
}

struct sf_bus *nats_fixture_hub_bus(struct nats_fixture *f, enum fixture_account account)
{
    struct sf_seed user = {0};
    struct sf_buf jwt = {0};
    struct sf_bus *bus;

    assert_int_equal(sf_seed_generate(&user, NULL), SF_OK);
    user_jwt(f, account, &user, "STANDARD", &jwt);
    bus = dial(f, f->hub.port, &user, sf_buf_cstr(&jwt));
    sf_buf_done(&jwt);
    sf_seed_done(&user);
    return bus;
}

static void on_closed(void *data)
{
    struct nats_fixture *f = data;

    f->closed++;
}

void nats_fixture_close_bus(struct nats_fixture *f, struct sf_bus *bus)
{
    for (size_t i = 0; i < FIXTURE_BUSES; i++) {
        if (f->buses[i] == bus) {
            f->buses[i] = NULL;
            f->closed_want++;
            sf_bus_nats_close(bus, on_closed, f);
            test_loop_until_count(&f->loop, &f->closed, f->closed_want, "closed", FIXTURE_WAIT_MS);
            return;
        }
    }
}

static const struct fixture_account_state *account_of(const struct nats_fixture *f, const char *id,
                                                      size_t *ret)
{
    for (size_t i = 0; i < FIXTURE_ACCOUNTS; i++) {
        if (strncmp(id, f->account[i].id, strlen(f->account[i].id)) == 0) {
            *ret = i;
            return &f->account[i];
        }
    }
    return NULL;
}

static void on_lookup(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct nats_fixture *f = sub->data;
    size_t i;
    const struct fixture_account_state *a =
        account_of(f, m->subject + strlen("$SYS.REQ.ACCOUNT."), &i);
    struct sf_bus_msg answer = {.subject = m->reply};

    f->lookups++;
    if (a != NULL) {
        answer.data = sf_buf_view(&a->jwt);
    }
    assert_int_equal(sf_bus_publish(f->sys, &answer, NULL), SF_OK);
}

static void on_event(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct nats_fixture *f = sub->data;
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *doc = NULL;
    const char *kind = "";
    size_t i;

    assert_int_equal(sf_json_parse(m->data, &doc, NULL), SF_OK);
    (void)sf_json_as_text(sf_json_path(sf_json_root(doc), "client.kind"), &kind);
    if (strcmp(kind, "Leafnode") != 0 ||
        account_of(f, m->subject + strlen("$SYS.ACCOUNT."), &i) == NULL) {
        return;
    }
    if (strstr(m->subject, ".DISCONNECT") != NULL) {
        f->disconnects[i]++;
        f->leafnodes--;
    } else {
        f->leafnodes++;
    }
}

struct flushed {
    struct sf_bus_flush flush;
    bool is_done;
    enum sf_code code;
};

static void on_flushed(struct sf_bus_flush *flush, enum sf_code code)
{
    struct flushed *f = SF_CONTAINER_OF(flush, struct flushed, flush);

    f->is_done = true;
    f->code = code;
}

enum sf_code nats_flush(struct test_loop *loop, struct sf_bus *bus, unsigned timeout_ms)
{
    struct flushed flushed = {.flush = {.done = on_flushed}};

    assert_int_equal(sf_bus_flush(bus, &flushed.flush, timeout_ms * SF_NS_PER_MS, NULL), SF_OK);
    test_loop_until_flag(loop, &flushed.is_done, "flushed", FIXTURE_WAIT_MS);
    return flushed.code;
}

void nats_fixture_flush(struct nats_fixture *f, struct sf_bus *bus)
{
    assert_int_equal(nats_flush(&f->loop, bus, 10000), SF_OK);
}

static void listen_as_system(struct nats_fixture *f)
{
    f->lookup_sub = (struct sf_bus_sub){.on_msg = on_lookup, .data = f};
    f->event_sub[0] = (struct sf_bus_sub){.on_msg = on_event, .data = f};
    f->event_sub[1] = (struct sf_bus_sub){.on_msg = on_event, .data = f};
    assert_int_equal(
        sf_bus_subscribe(f->sys, &f->lookup_sub, "$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP", "hub", NULL),
        SF_OK);
    assert_int_equal(
        sf_bus_subscribe(f->sys, &f->event_sub[0], "$SYS.ACCOUNT.*.CONNECT", NULL, NULL), SF_OK);
    assert_int_equal(
        sf_bus_subscribe(f->sys, &f->event_sub[1], "$SYS.ACCOUNT.*.DISCONNECT", NULL, NULL), SF_OK);
    nats_fixture_flush(f, f->sys);
}

void nats_fixture_init(struct nats_fixture *f, const struct nats_fixture_options *o)
{
    static const struct nats_fixture_options usual;

    *f = (struct nats_fixture){0};
    o = o == NULL ? &usual : o;
    test_loop_init(&f->loop);
    tmpdir_init(&f->dir);
    make_keys(f);
    f->hub.port = nats_server_port();
    f->leafnode_port = nats_server_port();
    (void)tmpdir_join(&f->dir, "hub.conf", f->hub.config_path);
    (void)tmpdir_join(&f->dir, "hub.log", f->hub.log_path);
    write_hub(f, &f->hub, "hub1", o);
    nats_server_start(&f->hub);
    f->sys = nats_fixture_hub_bus(f, FIXTURE_SYS);
    listen_as_system(f);
    f->mesh = nats_fixture_hub_bus(f, FIXTURE_MESH);
    start_leaf(f, FIXTURE_LEAF_SALES);
    start_leaf(f, FIXTURE_LEAF_MARKETING);
    nats_fixture_wait_leafnodes(f);
}

void nats_fixture_done(struct nats_fixture *f)
{
    for (size_t i = 0; i < FIXTURE_BUSES; i++) {
        if (f->buses[i] != NULL) {
            nats_fixture_close_bus(f, f->buses[i]);
        }
    }
    for (size_t i = 0; i < FIXTURE_LEAVES; i++) {
        nats_server_kill(&f->leaf[i]);
        sf_seed_done(&f->leaf_system_user[i]);
        for (size_t j = 0; j < FIXTURE_USERS; j++) {
            sf_seed_done(&f->user[i][j]);
        }
    }
    nats_server_kill(&f->hub);
    nats_server_kill(&f->second_hub);
    for (size_t i = 0; i < FIXTURE_ACCOUNTS; i++) {
        sf_seed_done(&f->account[i].seed);
        sf_buf_done(&f->account[i].jwt);
    }
    sf_seed_done(&f->operator_key);
    sf_seed_done(&f->signing_key);
    sf_seed_done(&f->foreign_key);
    tmpdir_done(&f->dir);
    test_loop_done(&f->loop);
}

struct reconnect {
    struct sf_bus *bus;
    uint64_t connects;
};

static bool has_reconnected(void *data)
{
    const struct reconnect *r = data;
    struct sf_bus_nats_stats stats;

    sf_bus_nats_stats(r->bus, &stats);
    return stats.connects > r->connects && sf_bus_connected(r->bus);
}

void nats_fixture_restart_hub(struct nats_fixture *f, const struct nats_fixture_options *o)
{
    static const struct nats_fixture_options usual;
    struct sf_bus_nats_stats stats;
    struct reconnect r = {.bus = f->sys};

    sf_bus_nats_stats(f->sys, &stats);
    r.connects = stats.connects;
    nats_server_kill(&f->hub);
    write_hub(f, &f->hub, "hub1", o == NULL ? &usual : o);
    nats_server_start(&f->hub);
    test_loop_until(&f->loop, has_reconnected, &r, "the hub's connection is back", FIXTURE_WAIT_MS);
    nats_fixture_wait_leafnodes(f);
}

void nats_fixture_start_second_hub(struct nats_fixture *f, const char *extra)
{
    struct nats_fixture_options o = {.extra_hub = extra};

    f->second_hub.port = nats_server_port();
    (void)tmpdir_join(&f->dir, "hub2.conf", f->second_hub.config_path);
    (void)tmpdir_join(&f->dir, "hub2.log", f->second_hub.log_path);
    write_hub(f, &f->second_hub, "hub2", &o);
    nats_server_start(&f->second_hub);
}

/* --- system requests -------------------------------------------------------------------------- */

/* Answers to one request of the system account. */
struct answers {
    struct sf_bus_sub sub;
    size_t count;
    char text[16384]; /* of the last; cut */
};

static void on_answer(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct answers *a = SF_CONTAINER_OF(sub, struct answers, sub);
    const char *ok;

    (void)snprintf(a->text, sizeof(a->text), "%.*s", SF_SLICE_ARG(m->data));
    ok = strstr(a->text, "\"code\":200");
    a->count += ok != NULL || strstr(a->text, "\"code\"") == NULL;
}

struct wanted {
    const struct answers *answers;
    size_t count; /* 0: wait for the whole window */
};

static bool has_all(void *data)
{
    const struct wanted *w = data;

    return w->count != 0 && w->answers->count >= w->count;
}

/* How many answered; at most until @expected have. */
static size_t ask_system(struct nats_fixture *f, const char *subject, struct sf_slice data,
                         struct answers *a, size_t expected, unsigned window_ms)
{
    char inbox[128];
    struct sf_bus_msg m = {.subject = subject, .reply = inbox, .data = data};
    struct wanted wanted = {a, expected};

    *a = (struct answers){.sub = {.on_msg = on_answer}};
    assert_int_equal(sf_bus_new_inbox(f->sys, inbox, sizeof(inbox), NULL), SF_OK);
    assert_int_equal(sf_bus_subscribe(f->sys, &a->sub, inbox, NULL, NULL), SF_OK);
    assert_int_equal(sf_bus_publish(f->sys, &m, NULL), SF_OK);
    (void)test_loop_wait(&f->loop, has_all, &wanted, window_ms);
    sf_bus_unsubscribe(f->sys, &a->sub);
    return a->count;
}

size_t nats_fixture_push(struct nats_fixture *f, enum fixture_account account, const char *jwt,
                         size_t expected, unsigned window_ms)
{
    struct answers a;

    return ask_system(f, "$SYS.REQ.CLAIMS.UPDATE",
                      jwt == NULL ? sf_buf_view(&f->account[account].jwt) : sf_slice_text(jwt), &a,
                      expected, window_ms);
}

size_t nats_fixture_count_servers(struct nats_fixture *f, unsigned window_ms)
{
    struct answers a;

    return ask_system(f, "$SYS.REQ.SERVER.PING", SF_LITERAL(""), &a, 0, window_ms);
}

void nats_fixture_wait_servers(struct nats_fixture *f, size_t count)
{
    for (unsigned tries = 0; nats_fixture_count_servers(f, 100) != count; tries++) {
        if (tries > FIXTURE_WAIT_MS / 100) {
            fail_msg("not %zu servers within %d ms", count, FIXTURE_WAIT_MS);
        }
    }
}

static void account_info(struct nats_fixture *f, enum fixture_account account, struct answers *a)
{
    char subject[128];

    (void)snprintf(subject, sizeof(subject), "$SYS.REQ.ACCOUNT.%s.INFO", f->account[account].id);
    for (unsigned tries = 0; ask_system(f, subject, SF_LITERAL(""), a, 1, 500) == 0; tries++) {
        if (tries > FIXTURE_WAIT_MS / 500) {
            fail_msg("no answer to %s", subject);
        }
    }
}

void nats_fixture_effective_jti(struct nats_fixture *f, enum fixture_account account, char ret[72])
{
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *doc = NULL;
    struct answers a;
    const char *jti = "";

    account_info(f, account, &a);
    assert_int_equal(sf_json_parse(sf_slice_text(a.text), &doc, NULL), SF_OK);
    (void)sf_json_as_text(sf_json_path(sf_json_root(doc), "data.decoded_jwt.jti"), &jti);
    (void)snprintf(ret, 72, "%s", jti);
}

void nats_fixture_wait_leafnodes(struct nats_fixture *f)
{
    for (int i = FIXTURE_SALES_SERVE; i <= FIXTURE_MARKETING; i++) {
        struct answers a;

        for (unsigned tries = 0;; tries++) {
            account_info(f, (enum fixture_account)i, &a);
            if (strstr(a.text, "\"leafnode_connections\":1") != NULL) {
                break;
            }
            if (tries > FIXTURE_WAIT_MS / 20) {
                fail_msg("leafnode of %s is not connected", account_names[i]);
            }
            test_loop_idle(&f->loop, 10);
        }
    }
}

void nats_fixture_grant(struct nats_fixture *f, const char *const *audiences, size_t count)
{
    enum { GRANTS_MAX = 4 };
    const char *exporter = f->account[FIXTURE_SALES_SERVE].id;
    char source[GRANTS_MAX][SUBJECT_MAX];
    char local[SUBJECT_MAX];
    char requests[SUBJECT_MAX];
    char requests_local[SUBJECT_MAX];
    struct sf_nats_import imports[GRANTS_MAX + 1];

    assert_true(count <= GRANTS_MAX);
    subject_import_local(local, "sales", "orders", 1);
    subject_request_source(requests, "sales", f->account[FIXTURE_MARKETING].id);
    subject_request_local(requests_local, "sales");
    for (size_t i = 0; i < count; i++) {
        subject_import_source(source[i], "sales", "orders", 1, audiences[i]);
        imports[i] =
            (struct sf_nats_import){audiences[i], source[i], exporter, SF_NATS_STREAM, local};
    }
    imports[count] =
        (struct sf_nats_import){"requests", requests, exporter, SF_NATS_SERVICE, requests_local};
    nats_fixture_sign(f, FIXTURE_MARKETING, imports, count == 0 ? 0 : count + 1);
    assert_int_equal(nats_fixture_push(f, FIXTURE_MARKETING, NULL, 1, FIXTURE_WAIT_MS), 1);
}
