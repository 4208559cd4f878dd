/*
 *   SERVER   the nats-server starts; the connections to SYS and MESH are made
 *   CHECK    the server is asked for its version and whether it syncs every write
 *   LOG      the event log is opened, read and checked
 *   CREATE   a new mesh: its first event is made
 *   CREATING ... and written
 *   RUNNING
 *   STOPPING interfaces, log, connections, server, in this order
 *   STOPPED
 *
 * The nats-server may die and come back at any time; connections and log cope by themselves, and
 * the version is checked again.
 */
#include "hub/hub.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/bus/bus_nats.h"
#include "common/bus/natsd.h"
#include "common/bus/natsd_config.h"
#include "common/bus/natsd_varz.h"
#include "common/sys/encoding.h"
#include "common/sys/log.h"
#include "common/sys/rt_uv.h"
#include "common/wire/json.h"
#include "hub/api/api.h"
#include "hub/api/control.h"
#include "hub/data_dir.h"
#include "proto/errors.h"

#define CHECK_WINDOW_NS (UINT64_C(3) * SF_NS_PER_S)

enum { PORT_SEARCH_FIRST = 10240, PORT_SEARCH_SPAN = 20000, MESH_ID_BYTES = 10 };

enum phase { SERVER, CHECK, LOG, CREATE, CREATING, RUNNING, STOPPING, STOPPED };

/* One connection of the hub process. */
struct link {
    struct sf_bus *bus;
    struct sf_seed user;
    char *jwt; /* owned */
};

struct hub {
    struct rt_uv *uv;
    struct hub_options o;
    enum phase phase;
    bool failed; /* on_failed has run */
    struct data_dir dir;
    char accounts_dir[DATA_PATH_MAX];
    struct authority keys;
    struct hub_state state;
    struct hub_ports ports;
    struct sf_natsd *natsd;
    struct link system;
    struct link mesh;
    struct sf_natsd_varz_call varz;
    struct event_append create;
    char mesh_id[32];
    struct api *api;
    struct control *control;
    unsigned open_links;
};

static void step(struct hub *h);

static void fail(struct hub *h, const struct sf_error *err)
{
    if (!h->failed && h->phase != STOPPING && h->phase != STOPPED) {
        h->failed = true;
        h->o.on_failed(h->o.data, err);
    }
}

/* --- nats-server ------------------------------------------------------------------------------ */

/* The configuration with every account's JWT as it is now. */
static enum sf_code configure(void *data, struct sf_buf *ret, struct sf_error *err)
{
    struct hub *h = data;
    const struct sf_map *accounts = &h->state.directory.accounts;
    struct sf_natsd_preload *preload = sf_calloc(accounts->live + 1, sizeof(*preload));
    struct sf_map_entry *entry;
    size_t at = 0;
    size_t n = 0;
    char log_path[DATA_PATH_MAX];
    char jetstream[DATA_PATH_MAX];
    char cache[DATA_PATH_MAX];

    if (preload == NULL) {
        return SF_RAISE(err, SF_NOMEM, "configuration of nats-server");
    }
    while ((entry = sf_map_next(accounts, &at)) != NULL) {
        const struct directory_account *a = entry->value;

        preload[n++] = (struct sf_natsd_preload){.account = entry->key, .jwt = a->jwt};
    }
    data_dir_path(&h->dir, "log/nats-server.log", log_path);
    data_dir_path(&h->dir, "nats/jetstream", jetstream);
    data_dir_path(&h->dir, "nats/cache", cache);
    const struct sf_natsd_hub config = {
        .name = "sheaf-hub",
        .client_port = h->ports.nats,
        .leafnode_port = h->ports.leafnode,
        .log_path = log_path,
        .jetstream_dir = jetstream,
        .cache_dir = cache,
        .operator_jwt = h->state.operator_jwt,
        .system_account = h->state.system_account,
        .accounts = preload,
        .account_count = n,
    };

    sf_natsd_config_hub(&config, ret);
    sf_free(preload);
    return sf_buf_check(ret, "configuration of nats-server", err);
}

static void on_link(struct sf_bus *bus, bool is_connected)
{
    struct hub *h = bus->data;

    if (is_connected && bus == h->mesh.bus && h->state.log != NULL) {
        event_log_reconnected(h->state.log);
    }
    if (is_connected) {
        step(h);
    }
}

static enum sf_code open_link(struct hub *h, struct link *l, const char *account,
                              struct sf_error *err)
{
    char url[64];
    char name[64];
    const char *const urls[] = {url};
    struct sf_buf jwt = {0};
    struct sf_bus_nats_options o = {
        .urls = urls,
        .url_count = SF_COUNT(urls),
        .name = "sheaf-hub",
        .user = &l->user,
    };
    enum sf_code code;

    (void)snprintf(url, sizeof(url), "nats://127.0.0.1:%u", h->ports.nats);
    (void)snprintf(name, sizeof(name), "hub@%s", account);
    code = authority_derive(&h->keys, SF_NKEY_USER, name, &l->user, err);
    if (code == SF_OK) {
        code = claims_hub_user(&h->keys, account, &l->user.public_key,
                               sf_rt_wall_us(h->state.rt) / 1000000, &jwt, err);
    }
    if (code == SF_OK) {
        l->jwt = sf_strndup(jwt.data, jwt.size);
        code = l->jwt == NULL ? SF_RAISE(err, SF_NOMEM, "connection") : SF_OK;
    }
    sf_buf_done(&jwt);
    if (code == SF_OK) {
        o.jwt = l->jwt;
        code = sf_bus_nats_open(h->state.rt, &o, &l->bus, err);
    }
    if (code == SF_OK) {
        l->bus->data = h;
        l->bus->on_state = on_link;
        h->open_links++;
    }
    return code;
}

static void on_server_up(void *data)
{
    struct hub *h = data;
    struct sf_error err;
    enum sf_code code = SF_OK;

    sf_log(SF_LOG_INFO, "hub.nats_up", SF_F_TEXT("version", sf_natsd_version(h->natsd)));
    (void)snprintf(h->state.nats_version, sizeof(h->state.nats_version), "%s",
                   sf_natsd_version(h->natsd));
    if (h->system.bus == NULL) {
        code = open_link(h, &h->system, "SYS", &err);
    }
    if (code == SF_OK && h->mesh.bus == NULL) {
        code = open_link(h, &h->mesh, "MESH", &err);
    }
    if (code != SF_OK) {
        fail(h, &err);
    }
}

static void on_server_down(void *data)
{
    (void)data;
    sf_log(SF_LOG_WARN, "hub.nats_down");
}

static void on_server_failed(void *data, const struct sf_error *err)
{
    fail(data, err);
}

/* --- start ------------------------------------------------------------------------------------ */

/* The server in use must be new enough and lose no acknowledged event. */
static void on_varz(struct sf_natsd_varz_call *call, enum sf_code code,
                    const struct sf_natsd_varz *servers, size_t count)
{
    struct hub *h = call->data;
    struct sf_error err;

    if (code != SF_OK) {
        h->phase = SERVER; /* nobody answered: connected again, it is asked again */
        step(h);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (sf_natsd_varz_check(&servers[i], /* needs_durable= */ true, &err) != SF_OK) {
            fail(h, &err);
            return;
        }
    }
    pusher_set_servers(h->state.pusher, count);
    h->phase = LOG;
    step(h);
}

static enum sf_code on_event(void *data, const struct event_record *r, struct sf_error *err)
{
    struct hub *h = data;

    return state_on_event(&h->state, r, err);
}

static void on_log_failed(void *data, const struct sf_error *err)
{
    fail(data, err);
}

static void on_log_open(void *data, enum sf_code code, const struct sf_error *err)
{
    struct hub *h = data;
    struct sf_error mismatch;

    if (code != SF_OK) {
        fail(h, err);
        return;
    }
    if (h->state.registry.mesh != NULL &&
        memcmp(h->state.registry.hub_key.bytes, h->keys.hub_key.public_key.bytes,
               SF_PUBLIC_KEY_SIZE) != 0) {
        (void)SF_RAISE_E(&mismatch, SF_CORRUPT, SHEAF_E_STORE_CORRUPT,
                         "the event log belongs to another hub key than keys/hub.seed");
        fail(h, &mismatch);
        return;
    }
    h->phase = h->state.registry.mesh == NULL ? CREATE : RUNNING;
    step(h);
}

static enum sf_code open_log(struct hub *h, struct sf_error *err)
{
    const struct event_log_options o = {
        .rt = h->state.rt,
        .bus = h->mesh.bus,
        .hub_key = &h->keys.hub_key,
        .on_event = on_event,
        .on_open = on_log_open,
        .on_failed = on_log_failed,
        .data = h,
    };

    h->state.mesh_bus = h->mesh.bus;
    return event_log_open(&o, &h->state.log, err);
}

static enum sf_code build_mesh(struct event_append *op, Sheaf__V1__Event *e, struct sf_arena *arena,
                               struct sf_error *err)
{
    struct hub *h = op->data;
    Sheaf__V1__MeshCreated *m = sf_arena_alloc(arena, sizeof(*m));
    uint8_t random[MESH_ID_BYTES];

    e->actor = sf_arena_strdup(arena, "hub");
    if (m == NULL || e->actor == NULL) {
        return SF_RAISE(err, SF_NOMEM, "new mesh");
    }
    sf_random_bytes(random, sizeof(random));
    h->mesh_id[0] = 'm';
    sf_encode(SF_BASE32_LOWER, sf_slice_of(random, sizeof(random)), h->mesh_id + 1);
    sheaf__v1__mesh_created__init(m);
    m->mesh = h->mesh_id;
    m->hub_key = (ProtobufCBinaryData){
        .len = SF_PUBLIC_KEY_SIZE,
        .data = h->keys.hub_key.public_key.bytes,
    };
    e->kind_case = SHEAF__V1__EVENT__KIND_MESH_CREATED;
    e->mesh_created = m;
    return SF_OK;
}

static void on_mesh_created(struct event_append *op, enum sf_code code,
                            const struct event_record *r, const struct sf_error *err)
{
    struct hub *h = op->data;

    (void)r;
    if (code != SF_OK) {
        fail(h, err);
        return;
    }
    h->phase = RUNNING;
    step(h);
}

/* hub.json: where this hub is, for tools on this machine. */
static enum sf_code write_description(struct hub *h, struct sf_error *err)
{
    struct sf_buf text = {0};
    struct sf_json_writer w = {.out = &text, .pretty = true};
    char key[64];
    char path[DATA_PATH_MAX];
    enum sf_code code;

    sf_encode(SF_BASE64, sf_slice_of(h->keys.hub_key.public_key.bytes, SF_PUBLIC_KEY_SIZE), key);
    sf_json_object_begin(&w);
    sf_json_member_int(&w, "pid", getpid());
    sf_json_member_int(&w, "http", h->ports.http);
    sf_json_member_int(&w, "nats", h->ports.nats);
    sf_json_member_int(&w, "leafnode", h->ports.leafnode);
    sf_json_member_text(&w, "address", h->o.address);
    sf_json_member_text(&w, "mesh", h->state.registry.mesh);
    sf_json_member_text(&w, "hub_key", key);
    sf_json_object_end(&w);
    sf_buf_byte(&text, '\n');
    data_dir_path(&h->dir, "hub.json", path);
    code = sf_buf_check(&text, "hub.json", err);
    if (code == SF_OK) {
        code = sf_file_write(path, sf_buf_view(&text), 0644, err);
    }
    sf_buf_done(&text);
    return code;
}

static void run(struct hub *h)
{
    struct sf_error err;
    enum sf_code code = state_open(&h->state, &err);

    if (code == SF_OK) {
        code = control_new(&h->state, &h->control, &err);
    }
    if (code == SF_OK) {
        code = write_description(h, &err);
    }
    if (code != SF_OK) {
        fail(h, &err);
        return;
    }
    sf_log(SF_LOG_INFO, "hub.ready", SF_F_TEXT("mesh", h->state.registry.mesh),
           SF_F_UINT("http", h->ports.http), SF_F_UINT("nats", h->ports.nats),
           SF_F_UINT("leafnode", h->ports.leafnode), SF_F_UINT("events", h->state.registry.events));
    h->o.on_ready(h->o.data, h);
}

/* Both connections stand: makes the pusher, once, and asks the server what it is. */
static enum sf_code check_server(struct hub *h, struct sf_error *err)
{
    enum sf_code code = SF_OK;

    if (h->state.pusher == NULL) {
        const struct pusher_options options = {
            .rt = h->state.rt,
            .sys = h->system.bus,
            .directory = &h->state.directory,
            .dir = h->accounts_dir,
        };

        code = pusher_new(&options, &h->state.pusher, err);
    }
    if (code == SF_OK) {
        h->phase = CHECK;
        h->varz = (struct sf_natsd_varz_call){.done = on_varz, .data = h};
        code = sf_natsd_varz_ask(h->state.rt, h->system.bus, &h->varz, 1, CHECK_WINDOW_NS, err);
    }
    return code;
}

static void step(struct hub *h)
{
    struct sf_error err;
    enum sf_code code = SF_OK;

    switch (h->phase) {
    case SERVER:
        if (h->system.bus != NULL && h->mesh.bus != NULL && sf_bus_connected(h->system.bus) &&
            sf_bus_connected(h->mesh.bus)) {
            code = check_server(h, &err);
        }
        break;
    case LOG:
        if (h->state.log == NULL) {
            code = open_log(h, &err);
        }
        break;
    case CREATE:
        h->phase = CREATING; /* a connection that comes back does not make it twice */
        h->create = (struct event_append){.build = build_mesh, .done = on_mesh_created, .data = h};
        code = event_log_append(h->state.log, &h->create, &err);
        break;
    case RUNNING:
        if (h->control == NULL) {
            run(h);
        }
        break;
    case CHECK:
    case CREATING:
    case STOPPING:
    case STOPPED:
        break;
    }
    if (code != SF_OK) {
        fail(h, &err);
    }
}

/* A given port must be free; without one, that of the last run or any other that is. */
static enum sf_code choose_port(uint16_t given, uint16_t last, const char *what, uint16_t *ret,
                                struct sf_error *err)
{
    if (given != 0 && !sf_port_is_free(given)) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_PORT_IN_USE, "port %u for %s is in use", given,
                          what);
    }
    if (given != 0 || (last != 0 && sf_port_is_free(last))) {
        *ret = given != 0 ? given : last;
        return SF_OK;
    }
    return sf_port_find((uint16_t)(PORT_SEARCH_FIRST + sf_random_below(PORT_SEARCH_SPAN)), ret,
                        err);
}

static enum sf_code choose_ports(struct hub *h, struct sf_error *err)
{
    const struct data_dir_ports last = data_dir_last_ports(&h->dir);
    enum sf_code code = choose_port(h->o.http_port, last.http, "HTTP", &h->ports.http, err);

    if (code == SF_OK) {
        code = choose_port(h->o.nats_port, last.nats, "NATS", &h->ports.nats, err);
    }
    if (code == SF_OK) {
        code =
            choose_port(h->o.leafnode_port, last.leafnode, "leaf nodes", &h->ports.leafnode, err);
    }
    (void)snprintf(h->state.nats_url, sizeof(h->state.nats_url), "nats://127.0.0.1:%u",
                   h->ports.nats);
    (void)snprintf(h->state.leafnode_url, sizeof(h->state.leafnode_url), "nats-leaf://127.0.0.1:%u",
                   h->ports.leafnode);
    return code;
}

/* Everything that needs no nats-server: directory, keys, ports, the claims as last written. */
static enum sf_code prepare(struct hub *h, struct sf_error *err)
{
    char keys[DATA_PATH_MAX];
    enum sf_code code = data_dir_open(h->o.data_dir, &h->dir, err);

    data_dir_path(&h->dir, "keys", keys);
    data_dir_path(&h->dir, "accounts", h->accounts_dir);
    if (code == SF_OK) {
        code = authority_open(keys, data_dir_has_run(&h->dir), &h->keys, err);
    }
    if (code == SF_OK) {
        code = choose_ports(h, err);
    }
    if (code == SF_OK) {
        h->state.bundle_life_us = h->o.bundle_life_us;
        h->state.domain_requests_max = h->o.domain_requests_max;
        code = state_init(&h->state, err);
    }
    if (code == SF_OK) {
        code = state_put_own_claims(&h->state, err);
    }
    if (code == SF_OK) {
        code = directory_load(&h->state.directory, h->accounts_dir, &h->keys.signing_key.public_key,
                              err);
    }
    return code;
}

static enum sf_code start_http(struct hub *h, struct sf_error *err)
{
    const struct api_options options = {
        .uv = h->uv,
        .state = &h->state,
        .address = h->o.address,
        .port = h->ports.http,
    };
    enum sf_code code = api_new(&options, &h->api, err);

    if (code == SF_CONFLICT) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_PORT_IN_USE, "port %u for HTTP is in use",
                          h->ports.http);
    }
    return code;
}

static enum sf_code start_server(struct hub *h, struct sf_error *err)
{
    char config[DATA_PATH_MAX];
    char cache[DATA_PATH_MAX];

    data_dir_path(&h->dir, "nats/server.conf", config);
    data_dir_path(&h->dir, "nats/cache", cache);
    const struct sf_natsd_options options = {
        .binary = h->o.nats_server,
        .config_path = config,
        .wipe_dir = cache,
        .client_port = h->ports.nats,
        .configure = configure,
        .on_up = on_server_up,
        .on_down = on_server_down,
        .on_failed = on_server_failed,
        .data = h,
    };

    return sf_natsd_start(h->uv, &options, &h->natsd, err);
}

static bool is_loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

enum sf_code hub_new(struct rt_uv *uv, const struct hub_options *o, struct hub **ret,
                     struct sf_error *err)
{
    struct hub *h;
    enum sf_code code;

    if (!is_loopback(o->address)) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "%.60s is not a loopback address, and HTTP without TLS listens on no "
                          "other",
                          o->address);
    }
    h = sf_calloc(1, sizeof(*h));
    if (h == NULL) {
        return SF_RAISE(err, SF_NOMEM, "hub");
    }
    h->uv = uv;
    h->o = *o;
    h->state.rt = rt_uv_rt(uv);
    h->state.keys = &h->keys;
    code = prepare(h, err);
    if (code == SF_OK) {
        code = start_http(h, err);
    }
    if (code == SF_OK) {
        code = start_server(h, err);
    }
    if (code != SF_OK) {
        api_free(SF_TAKE(h->api));
        h->phase = STOPPED;
        hub_free(h);
        return code;
    }
    *ret = h;
    return SF_OK;
}

struct hub_ports hub_ports_of(const struct hub *h)
{
    return h->ports;
}

/* --- stop ------------------------------------------------------------------------------------- */

static void on_server_closed(void *data)
{
    struct hub *h = data;

    h->natsd = NULL;
    h->phase = STOPPED;
    h->o.on_stopped(h->o.data);
}

static void on_link_closed(void *data)
{
    struct hub *h = data;

    h->open_links--;
    if (h->open_links == 0) {
        sf_natsd_close(h->natsd, on_server_closed, h);
    }
}

static void close_link(struct hub *h, struct link *l)
{
    if (l->bus != NULL) {
        l->bus->on_state = NULL;
        sf_bus_nats_close(SF_TAKE(l->bus), on_link_closed, h);
    }
}

void hub_stop(struct hub *h)
{
    if (h->phase == STOPPING || h->phase == STOPPED) {
        return;
    }
    h->phase = STOPPING;
    sf_log(SF_LOG_INFO, "hub.stopping");
    state_close(&h->state);
    event_log_close(SF_TAKE(h->state.log));
    api_free(SF_TAKE(h->api));
    control_free(SF_TAKE(h->control));
    sf_natsd_varz_cancel(&h->varz);
    pusher_free(SF_TAKE(h->state.pusher));
    if (h->open_links == 0) {
        sf_natsd_close(h->natsd, on_server_closed, h);
        return;
    }
    close_link(h, &h->system);
    close_link(h, &h->mesh);
}

static void link_done(struct link *l)
{
    sf_seed_done(&l->user);
    sf_free(l->jwt);
}

void hub_free(struct hub *h)
{
    if (h == NULL) {
        return;
    }
    state_done(&h->state);
    link_done(&h->system);
    link_done(&h->mesh);
    authority_done(&h->keys);
    data_dir_done(&h->dir);
    sf_free(h);
}
