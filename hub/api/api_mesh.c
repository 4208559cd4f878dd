/* /v1/mesh, /v1/join-tokens, /v1/join */
#include <stdio.h>

#include "common/sys/encoding.h"
#include "hub/api/call.h"
#include "hub/api/change.h"
#include "proto/errors.h"
#include "proto/join.h"
#include "proto/subjects.h"

#define TOKEN_TTL_DEFAULT_US (INT64_C(24) * 3600 * 1000000)
#define TOKEN_TTL_MAX_US     (INT64_C(30) * 24 * 3600 * 1000000)
#define CREDENTIALS_LIFE_S   (INT64_C(30) * 24 * 3600)

static void write_hub(struct answer *a, const struct hub_state *s)
{
    const char *urls[] = {s->leafnode_url};

    sf_json_member_text(&a->json, "mesh", s->registry.mesh);
    answer_base64(a, "hub_key", sf_slice_of(s->keys->hub_key.public_key.bytes, SF_PUBLIC_KEY_SIZE));
    answer_texts(a, "leafnode_urls", urls, SF_COUNT(urls));
}

void mesh_get(struct call *c, const char *const *part)
{
    struct answer a;

    (void)part;
    answer_begin(&a, "Mesh");
    write_hub(&a, c->state);
    sf_json_member_text(&a.json, "version", SHEAF_VERSION);
    sf_json_member_text(&a.json, "nats_url", c->state->nats_url);
    sf_json_member_text(&a.json, "nats_server", c->state->nats_version);
    answer_send(&a, c, 200);
}

/* --- join tokens ------------------------------------------------------------------------------ */

static void on_token(struct event_append *op, enum sf_code code, const struct event_record *r,
                     const struct sf_error *err)
{
    struct change_token *t = op->data;
    struct call *c = t->waiter;
    struct answer a;

    (void)r;
    if (code != SF_OK) {
        call_fail(c, err);
        return;
    }
    answer_begin(&a, "JoinToken");
    sf_json_member_text(&a.json, "domain", t->domain);
    sf_json_member_text(&a.json, "token", t->token);
    answer_time(&a, "expires", t->expires_us);
    answer_send(&a, c, 201);
}

void join_token_post(struct call *c, const char *const *part)
{
    static const char *const names[] = {"domain", "ttl_us", NULL};
    const struct sf_json_range ttl = {1000000, TOKEN_TTL_MAX_US};
    struct change_token *t = call_work(c, sizeof(*t));
    struct sf_error err;
    enum sf_code code;

    (void)part;
    if (t == NULL) {
        return;
    }
    change_token_init(t, c->state);
    t->waiter = c;
    t->actor = c->actor;
    t->ttl_us = TOKEN_TTL_DEFAULT_US;
    t->op.done = on_token;
    code = sf_json_check_names(c->body, names, &err);
    if (code == SF_OK) {
        code = sf_json_read_text(c->body, "domain", SF_JSON_REQUIRED, &t->domain, &err);
    }
    if (code == SF_OK) {
        code = sf_json_read_int(c->body, "ttl_us", SF_JSON_OPTIONAL, ttl, &t->ttl_us, &err);
    }
    if (code == SF_OK) {
        code = event_log_append(c->state->log, &t->op, &err);
    }
    if (code != SF_OK) {
        call_fail(c, &err);
    }
}

/* --- join ------------------------------------------------------------------------------------- */

struct join_call {
    struct change_join change;
    struct join_texts texts;
    const char *proof;
    struct sf_public_key serve_user;
    struct sf_public_key user;
};

static enum sf_code read_texts(struct call *c, struct join_call *j, struct sf_error *err)
{
    static const char *const names[] = {"domain",     "token", "domain_key", "leaf_key",
                                        "serve_user", "user",  "proof",      NULL};
    const struct {
        const char *name;
        enum sf_json_need need;
        const char **to;
    } members[] = {
        {"domain", SF_JSON_REQUIRED, &j->texts.domain},
        {"token", SF_JSON_OPTIONAL, &j->texts.token},
        {"domain_key", SF_JSON_REQUIRED, &j->texts.domain_key},
        {"leaf_key", SF_JSON_REQUIRED, &j->texts.leaf_key},
        {"serve_user", SF_JSON_REQUIRED, &j->texts.serve_user},
        {"user", SF_JSON_REQUIRED, &j->texts.user},
        {"proof", SF_JSON_REQUIRED, &j->proof},
    };
    enum sf_code code = sf_json_check_names(c->body, names, err);

    j->texts.mesh = c->state->registry.mesh;
    j->texts.token = "";
    for (size_t i = 0; code == SF_OK && i < SF_COUNT(members); i++) {
        code = sf_json_read_text(c->body, members[i].name, members[i].need, members[i].to, err);
    }
    return code;
}

static enum sf_code read_key(const char *name, const char *text, struct sf_public_key *ret,
                             struct sf_error *err)
{
    if (sf_decode_exact(SF_BASE64, sf_slice_text(text), ret->bytes, sizeof(ret->bytes), NULL) !=
        SF_OK) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "'%s' must be the base64 text of 32 bytes", name);
    }
    return SF_OK;
}

static enum sf_code read_user(const char *name, const char *text, struct sf_public_key *ret,
                              struct sf_error *err)
{
    if (sf_nkey_parse_kind(sf_slice_text(text), SF_NKEY_USER, ret, NULL) != SF_OK) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "'%s' must be the public key of a NATS user (U...)", name);
    }
    return SF_OK;
}

static enum sf_code read_keys(struct join_call *j, struct sf_error *err)
{
    enum sf_code code = read_key("domain_key", j->texts.domain_key, &j->change.domain_key, err);

    if (code == SF_OK) {
        code = read_key("leaf_key", j->texts.leaf_key, &j->change.leaf_key, err);
    }
    if (code == SF_OK) {
        code = read_user("serve_user", j->texts.serve_user, &j->serve_user, err);
    }
    return code == SF_OK ? read_user("user", j->texts.user, &j->user, err) : code;
}

/* That the caller holds the domain key. */
static enum sf_code check_proof(const struct join_call *j, struct sf_error *err)
{
    char bytes[JOIN_TEXT_MAX];
    size_t size = join_signed_bytes(&j->texts, bytes);
    struct sf_signature proof;

    if (size == 0 || sf_decode_exact(SF_BASE64, sf_slice_text(j->proof), proof.bytes,
                                     sizeof(proof.bytes), NULL) != SF_OK) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "'proof' must be the base64 text of a signature of 64 bytes");
    }
    if (sf_verify(&j->change.domain_key, SIGN_JOIN, sf_slice_of(bytes, size), &proof, NULL) !=
        SF_OK) {
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_BAD_SIGNATURE,
                          "the proof is not signed by the domain key it names");
    }
    return SF_OK;
}

struct credentials {
    struct sf_buf serve;
    struct sf_buf domain;
    int64_t expires_s;
};

static enum sf_code make_credentials(const struct hub_state *s, const struct join_call *j,
                                     struct credentials *ret, struct sf_error *err)
{
    int64_t now_s = sf_rt_wall_us(s->rt) / 1000000;
    struct claims_leaf_user u = {
        .account = j->texts.domain,
        .user = &j->user,
        .iat_s = now_s,
        .expires_s = now_s + CREDENTIALS_LIFE_S,
    };
    char serve[80];
    enum sf_code code = claims_leafnode(s->keys, &u, &ret->domain, err);

    (void)snprintf(serve, sizeof(serve), "%s.serve", j->texts.domain);
    u.account = serve;
    u.user = &j->serve_user;
    ret->expires_s = u.expires_s;
    return code != SF_OK ? code : claims_leafnode(s->keys, &u, &ret->serve, err);
}

static void write_user(struct answer *a, const char *name, const char *user,
                       const struct sf_buf *jwt)
{
    sf_json_key(&a->json, name);
    sf_json_object_begin(&a->json);
    sf_json_member_text(&a->json, "user", user);
    sf_json_member_slice(&a->json, "jwt", sf_buf_view(jwt));
    sf_json_object_end(&a->json);
}

static void send_joined(struct call *c, const struct join_call *j, const struct credentials *k)
{
    const struct registry_domain *d = j->change.joined;
    struct answer a;

    answer_begin(&a, "Joined");
    sf_json_member_text(&a.json, "domain", d->name);
    write_hub(&a, c->state);
    sf_json_member_text(&a.json, "operator", c->state->operator_jwt);
    sf_json_member_text(&a.json, "system_account", c->state->system_account);
    sf_json_key(&a.json, "accounts");
    sf_json_object_begin(&a.json);
    sf_json_member_text(&a.json, "serve", d->serve_account);
    sf_json_member_text(&a.json, "domain", d->account);
    sf_json_object_end(&a.json);
    sf_json_key(&a.json, "users");
    sf_json_object_begin(&a.json);
    write_user(&a, "serve", j->texts.serve_user, &k->serve);
    write_user(&a, "domain", j->texts.user, &k->domain);
    sf_json_object_end(&a.json);
    answer_time(&a, "expires", k->expires_s * 1000000);
    answer_send(&a, c, 200);
}

static void on_joined(struct event_append *op, enum sf_code code, const struct event_record *r,
                      const struct sf_error *err)
{
    struct join_call *j = SF_CONTAINER_OF(op, struct join_call, change.op);
    struct call *c = j->change.waiter;
    struct credentials k = {0};
    struct sf_error why;

    (void)r;
    if (code != SF_OK) {
        call_fail(c, err);
        return;
    }
    change_join_finish(&j->change);
    if (make_credentials(c->state, j, &k, &why) == SF_OK) {
        send_joined(c, j, &k);
    } else {
        call_fail(c, &why);
    }
    sf_buf_done(&k.serve);
    sf_buf_done(&k.domain);
}

void join_post(struct call *c, const char *const *part)
{
    struct join_call *j = call_work(c, sizeof(*j));
    struct sf_error err;
    enum sf_code code;

    (void)part;
    if (j == NULL) {
        return;
    }
    change_join_init(&j->change, c->state);
    j->change.waiter = c;
    j->change.op.done = on_joined;
    code = read_texts(c, j, &err);
    if (code == SF_OK) {
        code = read_keys(j, &err);
    }
    if (code == SF_OK) {
        code = check_proof(j, &err);
    }
    if (code == SF_OK) {
        j->change.domain = j->texts.domain;
        j->change.token = j->texts.token;
        code = event_log_append(c->state->log, &j->change.op, &err);
    }
    if (code != SF_OK) {
        call_fail(c, &err);
    }
}
