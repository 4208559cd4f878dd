#include "hub/api/api.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/sys/rt_uv.h"
#include "common/wire/routes.h"
#include "hub/api/call.h"
#include "proto/errors.h"

enum {
    PARTS_MAX = 6,
    CONNECTIONS_MAX = 512,
    BODY_MAX = 1024 * 1024,
    BODIES_MAX = 32 * 1024 * 1024,
    STREAM_MAX = 1024 * 1024,
    CALL_ARENA_MAX = 16 * 1024 * 1024,
    CALLS_MAX = 1024,
    QUERY_MAX = 6,
};

enum who { ANYBODY, MEMBER, PLATFORM };

struct route {
    const char *method;
    const char *parts[PARTS_MAX]; /* "*" takes any one; ends with NULL */
    enum who who;
    call_handler handler;
    const char *query[QUERY_MAX]; /* parameters; ends with NULL */
};

static const struct route ROUTES[] = {
    {"GET", {"v1", "mesh"}, ANYBODY, mesh_get},
    {"POST", {"v1", "join-tokens"}, PLATFORM, join_token_post},
    {"POST", {"v1", "join"}, ANYBODY, join_post},
    {"GET", {"v1", "domains"}, MEMBER, domain_list},
    {"GET", {"v1", "domains", "*"}, MEMBER, domain_get},
    {"GET", {"v1", "products"}, MEMBER, product_list, {"all"}},
    {"GET", {"v1", "products", "*", "*"}, MEMBER, product_get},
    {"GET", {"v1", "access"}, MEMBER, access_list, {"role", "state"}},
    {"GET", {"v1", "access", "*"}, MEMBER, access_get},
    {"POST", {"v1", "access", "requests"}, MEMBER, request_post},
    {"POST", {"v1", "access", "requests", "*", "decision"}, MEMBER, decision_post},
    {"POST", {"v1", "access", "grants", "*", "revoke"}, MEMBER, revocation_post},
    {"GET", {"v1", "policies"}, MEMBER, policy_list},
    {"GET", {"v1", "policies", "*"}, MEMBER, policy_get},
    {"GET", {"v1", "policy-history"}, MEMBER, policy_history},
    {"POST", {"v1", "policies", "change"}, PLATFORM, policy_change_post},
    {"GET", {"v1", "explain"}, MEMBER, explain_get, {"who", "role", "purpose", "product"}},
    {"GET", {"v1", "audit"}, MEMBER, audit_get, {"after", "limit"}},
    {"GET", {"v1", "status"}, MEMBER, status_get},
};

struct api {
    struct hub_state *state;
    struct sf_http_server *server;
    struct sf_list calls;
    size_t call_count;
    struct sf_counter requests;
    struct sf_counter refusals;
    struct sf_gauge events;
    struct sf_gauge domains;
    struct sf_gauge grants;
    struct sf_gauge pushes;
};

/* --- calls ------------------------------------------------------------------------------------ */

void api_end_call(struct api *a, struct call *c);

void api_end_call(struct api *a, struct call *c)
{
    a->call_count--;
    turn_end(&a->state->turns, &c->turn);
    sf_list_remove(&c->link);
    sf_json_free(c->doc);
    sf_arena_done(&c->arena);
    sf_free(c);
}

/* The client has gone: what was begun goes on, its answer is dropped. */
static void on_abort(struct sf_http_request *r, void *data)
{
    struct call *c = data;

    (void)r;
    c->r = NULL;
    if (turn_waits(&c->turn)) {
        api_end_call(c->api, c);
    }
}

static void respond_plain(struct sf_http_request *r, unsigned status, const char *text)
{
    sf_http_respond(r, status, "text/plain; charset=utf-8", NULL, 0, sf_slice_text(text));
}

static void respond_busy(struct sf_http_request *r)
{
    const struct sf_http_header retry = {"Retry-After", "1"};

    sf_http_respond(r, 429, "application/problem+json", &retry, 1,
                    sf_slice_text(sheaf_error_document_of(SHEAF_E_BUSY)));
}

static struct call *begin_call(struct api *a, struct sf_http_request *r)
{
    const struct sf_http_hooks hooks = {.on_abort = on_abort};
    struct sf_http_hooks own = hooks;
    struct call *c = a->call_count < CALLS_MAX ? sf_calloc(1, sizeof(*c)) : NULL;

    if (c == NULL) {
        respond_busy(r);
        return NULL;
    }
    c->api = a;
    c->state = a->state;
    c->r = r;
    sf_arena_init(&c->arena, CALL_ARENA_MAX);
    sf_list_push(&a->calls, &c->link);
    a->call_count++;
    own.data = c;
    sf_http_set_hooks(r, &own);
    return c;
}

/* --- who asks --------------------------------------------------------------------------------- */

static bool find_key(void *data, const char *issuer, struct sf_public_key *ret)
{
    const struct hub_state *s = data;
    const struct registry_domain *d;

    if (strcmp(issuer, SF_TOKEN_PLATFORM) == 0) {
        *ret = s->keys->platform_key.public_key;
        return true;
    }
    d = registry_domain(&s->registry, issuer);
    if (d != NULL) {
        *ret = d->domain_key;
    }
    return d != NULL;
}

static enum sf_code authenticate(struct call *c, enum who who, struct sf_error *err)
{
    const struct sf_token_check check = {
        .find_key = find_key,
        .data = c->state,
        .audience = c->state->registry.mesh,
        .now_s = sf_steady_us(&c->state->clock) / SF_US_PER_S,
    };
    enum sf_token_verdict verdict;

    if (who == ANYBODY) {
        return SF_OK;
    }
    verdict = sf_token_verify(&check, sf_token_of_header(sf_http_header_of(c->r, "Authorization")),
                              &c->token);
    if (verdict != SF_TOKEN_GOOD) {
        return sf_token_raise(SF_TOKEN_HTTP, verdict, err);
    }
    c->is_platform = strcmp(c->token.issuer, SF_TOKEN_PLATFORM) == 0;
    (void)snprintf(c->actor, sizeof(c->actor), "%s/%s", c->token.issuer, c->token.subject);
    if (who == PLATFORM && !c->is_platform) {
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_WRONG_ACTOR,
                          "only the platform may do this, and the token is of domain %s",
                          c->token.issuer);
    }
    return SF_OK;
}

/* --- routes ----------------------------------------------------------------------------------- */

static bool path_matches(const struct route *route, const struct sf_http_request *r,
                         const char **ret_parts)
{
    size_t n = 0;
    size_t i = 0;

    for (; i < PARTS_MAX && route->parts[i] != NULL; i++) {
        const char *part = sf_http_part(r, i);

        if (part == NULL) {
            return false;
        }
        if (strcmp(route->parts[i], "*") == 0) {
            ret_parts[n++] = part;
        } else if (strcmp(route->parts[i], part) != 0) {
            return false;
        }
    }
    return i == sf_http_part_count(r);
}

/* NULL with @err: no such path (404) or another method (405), which Allow says more of. */
static const struct route *find_route(struct sf_http_request *r, const char **ret_parts,
                                      struct sf_error *err)
{
    char allow[64] = "";

    for (size_t i = 0; i < SF_COUNT(ROUTES); i++) {
        if (path_matches(&ROUTES[i], r, ret_parts)) {
            size_t n = strlen(allow);

            if (strcmp(ROUTES[i].method, sf_http_method(r)) == 0) {
                return &ROUTES[i];
            }
            (void)snprintf(allow + n, sizeof(allow) - n, "%s%s", n == 0 ? "" : ", ",
                           strcmp(ROUTES[i].method, "GET") == 0 ? "GET, HEAD" : ROUTES[i].method);
        }
    }
    if (allow[0] != '\0') {
        sf_http_add_header(r, "Allow", allow);
        (void)SF_RAISE_E(err, SF_INVALID, SHEAF_E_METHOD_NOT_ALLOWED, "%.10s is not allowed here",
                         sf_http_method(r));
    } else {
        (void)SF_RAISE_E(err, SF_ABSENT, SHEAF_E_NO_SUCH_PATH, "nothing is served at %.200s",
                         sf_http_path(r));
    }
    return NULL;
}

/* One that is not known is a typing error, not nothing. */
static enum sf_code check_query(const struct route *route, const struct sf_http_request *r,
                                struct sf_error *err)
{
    const char *name;
    const char *value;
    size_t count = 0;
    enum sf_code code = SF_OK;

    while (count < QUERY_MAX && route->query[count] != NULL) {
        count++;
    }
    for (size_t i = 0; code == SF_OK && sf_http_query_at(r, i, &name, &value); i++) {
        code = sf_route_check_name(name, route->query, count, err);
        if (code == SF_OK && sf_http_query(r, name) != value) {
            code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'%s' is given twice", name);
        }
    }
    return code;
}

static enum sf_code read_body(struct call *c, struct sf_error *err)
{
    struct sf_slice body = sf_http_body(c->r);
    enum sf_code code;

    if (strcmp(sf_http_method(c->r), "POST") != 0) {
        return SF_OK;
    }
    code = sf_json_parse(body, &c->doc, err);
    if (code != SF_OK) {
        return code;
    }
    c->body = sf_json_root(c->doc);
    if (sf_json_kind(c->body) != SF_JSON_OBJECT) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "the body must be a JSON object");
    }
    return SF_OK;
}

static void refuse(struct call *c, const struct sf_error *why)
{
    sf_counter_add(&c->api->refusals, 1);
    call_fail(c, why);
}

/* The call's turn has come. */
static void handle(struct call *c)
{
    const struct route *route = c->route;
    const char *parts[PARTS_MAX] = {NULL};
    struct sf_error err;
    enum sf_code code = check_query(route, c->r, &err);

    (void)path_matches(route, c->r, parts);
    if (code == SF_OK) {
        code = read_body(c, &err);
    }
    if (code != SF_OK) {
        refuse(c, &err);
        return;
    }
    route->handler(c, parts);
}

static void on_turn(struct turn *t)
{
    handle(SF_CONTAINER_OF(t, struct call, turn));
}

/* Who shows no token is one caller, whoever he is. */
static const char *caller_of(const struct call *c)
{
    return c->route->who == ANYBODY ? "" : c->token.issuer;
}

static void take_turn(struct call *c)
{
    struct turns *turns = &c->state->turns;
    struct sf_error err;

    c->turn.run = on_turn;
    switch (turn_take(turns, caller_of(c), TURNS_HTTP, 0, &c->turn)) {
    case TURN_NOW:
        handle(c);
        break;
    case TURN_LATER:
        break;
    case TURN_REFUSED:
    case TURN_DROPPED:
        (void)SF_RAISE_E(&err, SF_BUSY, SHEAF_E_BUSY, "%zu requests of the caller are under way",
                         turns->requests_max);
        refuse(c, &err);
        break;
    }
}

static void dispatch(struct call *c)
{
    const char *parts[PARTS_MAX];
    struct sf_error err;
    enum sf_code code = SF_OK;

    c->route = find_route(c->r, parts, &err);
    if (c->route == NULL) {
        code = err.code;
    } else if (!c->state->open) {
        code = SF_RAISE_E(&err, SF_UNAVAILABLE, SHEAF_E_LOG_AWAY, "the hub is starting");
    } else {
        code = authenticate(c, c->route->who, &err);
    }
    if (code == SF_OK) {
        take_turn(c);
    } else {
        refuse(c, &err);
    }
}

static void render_metrics(struct api *a, struct sf_http_request *r)
{
    struct sf_buf text = {0};

    sf_gauge_set(&a->events, (int64_t)a->state->registry.events);
    sf_gauge_set(&a->domains, (int64_t)a->state->registry.domains.live);
    sf_gauge_set(&a->grants, (int64_t)a->state->registry.active.live);
    sf_gauge_set(&a->pushes,
                 a->state->pusher == NULL ? 0 : (int64_t)pusher_pending(a->state->pusher));
    sf_metrics_render(&a->state->metrics, &text);
    if (text.failed == SF_OK) {
        sf_http_respond(r, 200, SF_METRICS_CONTENT_TYPE, NULL, 0, sf_buf_view(&text));
    } else {
        respond_busy(r);
    }
    sf_buf_done(&text);
}

/* What needs no token and no JSON. False: it is something else. */
static bool serve_plain(struct api *a, struct sf_http_request *r)
{
    const char *path = sf_http_path(r);

    if (strcmp(sf_http_method(r), "GET") != 0) {
        return false;
    }
    if (strcmp(path, "/livez") == 0) {
        respond_plain(r, 200, "ok\n");
    } else if (strcmp(path, "/readyz") == 0) {
        bool ready = a->state->open && sf_bus_connected(a->state->mesh_bus);

        respond_plain(r, ready ? 200 : 503, ready ? "ok\n" : "not ready\n");
    } else if (strcmp(path, "/metrics") == 0) {
        render_metrics(a, r);
    } else {
        return false;
    }
    return true;
}

static void on_request(struct sf_http_request *r, void *data)
{
    struct api *a = data;
    struct call *c;

    sf_counter_add(&a->requests, 1);
    if (serve_plain(a, r)) {
        return;
    }
    c = begin_call(a, r);
    if (c != NULL) {
        dispatch(c);
    }
}

/* --- life ------------------------------------------------------------------------------------- */

static void register_metrics(struct api *a)
{
    static const struct sf_metric_spec specs[] = {
        {.name = "hub_http_requests_total", .help = "HTTP requests received."},
        {.name = "hub_http_refusals_total",
         .help = "HTTP requests refused before they reached a handler."},
        {.name = "hub_events", .help = "Events in the log of the hub."},
        {.name = "hub_domains", .help = "Domains that have joined."},
        {.name = "hub_grants_active", .help = "Grants in force."},
        {.name = "hub_claims_pending", .help = "Accounts whose claims are not in force yet."},
    };

    sf_counter_register(&a->state->metrics, &specs[0], &a->requests);
    sf_counter_register(&a->state->metrics, &specs[1], &a->refusals);
    sf_gauge_register(&a->state->metrics, &specs[2], &a->events);
    sf_gauge_register(&a->state->metrics, &specs[3], &a->domains);
    sf_gauge_register(&a->state->metrics, &specs[4], &a->grants);
    sf_gauge_register(&a->state->metrics, &specs[5], &a->pushes);
}

static void remove_metrics(struct api *a)
{
    struct sf_metric *const all[] = {
        &a->requests.metric, &a->refusals.metric, &a->events.metric,
        &a->domains.metric,  &a->grants.metric,   &a->pushes.metric,
    };

    for (size_t i = 0; i < SF_COUNT(all); i++) {
        sf_metric_remove(all[i]);
    }
}

enum sf_code api_new(const struct api_options *o, struct api **ret, struct sf_error *err)
{
    struct api *a = sf_calloc(1, sizeof(*a));
    const struct sf_http_options http = {
        .address = o->address,
        .port = o->port,
        .connections_max = CONNECTIONS_MAX,
        .body_bytes_max = BODY_MAX,
        .body_total_bytes_max = BODIES_MAX,
        .stream_bytes_max = STREAM_MAX,
        .problem = sheaf_error_document,
        .handler = on_request,
        .data = a,
    };
    enum sf_code code;

    if (a == NULL) {
        return SF_RAISE(err, SF_NOMEM, "HTTP interface");
    }
    a->state = o->state;
    sf_list_init(&a->calls);
    register_metrics(a);
    code = sf_http_server_new(o->uv, &http, &a->server, err);
    if (code != SF_OK) {
        remove_metrics(a);
        sf_free(a);
        return code;
    }
    *ret = a;
    return SF_OK;
}

uint16_t api_port(const struct api *a)
{
    return sf_http_server_port(a->server);
}

void api_free(struct api *a)
{
    if (a == NULL) {
        return;
    }
    sf_http_server_free(a->server);
    remove_metrics(a);
    while (!sf_list_empty(&a->calls)) {
        struct call *c = SF_CONTAINER_OF(a->calls.next, struct call, link);

        if (c->cancel != NULL) {
            c->cancel(c);
        }
        api_end_call(a, c);
    }
    sf_free(a);
}
