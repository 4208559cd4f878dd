#include "common/identity/nats_jwt.h"

#include <stdio.h>
#include <string.h>

#include "common/identity/jws.h"
#include "common/sys/encoding.h"
#include "common/wire/json.h"

#define HEADER SF_LITERAL("{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey\"}")

struct sf_account_limits sf_account_limits_open(void)
{
    return (struct sf_account_limits){
        .connections = -1,
        .leafnodes = -1,
        .subscriptions = -1,
        .payload_bytes = -1,
        .imports = -1,
        .exports = -1,
    };
}

struct sf_account_limits sf_account_limits_closed(void)
{
    return (struct sf_account_limits){0};
}

static void member_key(struct sf_json_writer *w, const char *name, enum sf_nkey_kind kind,
                       const struct sf_public_key *key)
{
    char text[SF_NKEY_TEXT_MAX];

    sf_nkey_format(kind, key, text);
    sf_json_member_text(w, name, text);
}

static void write_operator(struct sf_json_writer *w, const struct sf_operator_claims *c)
{
    char text[SF_NKEY_TEXT_MAX];

    sf_json_member_text(w, "type", "operator");
    sf_json_member_int(w, "version", 2);
    member_key(w, "system_account", SF_NKEY_ACCOUNT, c->system_account);
    sf_json_key(w, "signing_keys");
    sf_json_array_begin(w);
    for (size_t i = 0; i < c->signing_key_count; i++) {
        sf_nkey_format(SF_NKEY_OPERATOR, &c->signing_keys[i], text);
        sf_json_text(w, text);
    }
    sf_json_array_end(w);
}

static void write_limits(struct sf_json_writer *w, const struct sf_account_limits *l)
{
    sf_json_key(w, "limits");
    sf_json_object_begin(w);
    sf_json_member_int(w, "subs", l->subscriptions);
    sf_json_member_int(w, "data", -1); /* the server does not enforce it */
    sf_json_member_int(w, "payload", l->payload_bytes);
    sf_json_member_int(w, "imports", l->imports);
    sf_json_member_int(w, "exports", l->exports);
    sf_json_member_bool(w, "wildcards", true);
    sf_json_member_int(w, "conn", l->connections);
    sf_json_member_int(w, "leaf", l->leafnodes);
    if (l->js_disk_bytes != 0) {
        sf_json_member_int(w, "mem_storage", 0);
        sf_json_member_int(w, "disk_storage", l->js_disk_bytes);
        sf_json_member_int(w, "streams", l->js_streams);
        sf_json_member_int(w, "consumer", l->js_consumers);
    }
    sf_json_object_end(w);
}

static const char *flow_text(enum sf_nats_flow flow)
{
    return flow == SF_NATS_STREAM ? "stream" : "service";
}

static void write_export(struct sf_json_writer *w, const struct sf_nats_export *e)
{
    sf_json_object_begin(w);
    sf_json_member_text(w, "name", e->name);
    sf_json_member_text(w, "subject", e->subject);
    sf_json_member_text(w, "type", flow_text(e->flow));
    if (e->flow == SF_NATS_SERVICE) {
        sf_json_member_text(w, "response_type", e->is_streamed ? "Stream" : "Singleton");
    }
    if (e->account_token != 0) {
        sf_json_member_int(w, "account_token_position", e->account_token);
    }
    sf_json_object_end(w);
}

static void write_import(struct sf_json_writer *w, const struct sf_nats_import *i)
{
    sf_json_object_begin(w);
    sf_json_member_text(w, "name", i->name);
    sf_json_member_text(w, "subject", i->subject);
    sf_json_member_text(w, "account", i->exporter);
    sf_json_member_text(w, "type", flow_text(i->flow));
    if (i->local_subject != NULL) {
        sf_json_member_text(w, "local_subject", i->local_subject);
    }
    sf_json_object_end(w);
}

static void write_account(struct sf_json_writer *w, const struct sf_account_claims *c)
{
    sf_json_member_text(w, "type", "account");
    sf_json_member_int(w, "version", 2);
    write_limits(w, &c->limits);
    sf_json_key(w, "exports");
    sf_json_array_begin(w);
    for (size_t i = 0; i < c->export_count; i++) {
        write_export(w, &c->exports[i]);
    }
    sf_json_array_end(w);
    sf_json_key(w, "imports");
    sf_json_array_begin(w);
    for (size_t i = 0; i < c->import_count; i++) {
        write_import(w, &c->imports[i]);
    }
    sf_json_array_end(w);
    if (c->revocation_count != 0) {
        sf_json_key(w, "revocations");
        sf_json_object_begin(w);
        for (size_t i = 0; i < c->revocation_count; i++) {
            sf_json_member_int(w, c->revocations[i].user, c->revocations[i].until_s);
        }
        sf_json_object_end(w);
    }
}

static void write_list(struct sf_json_writer *w, const char *name, struct sf_text_list list)
{
    if (list.count == 0) {
        return;
    }
    sf_json_key(w, name);
    sf_json_array_begin(w);
    for (size_t i = 0; i < list.count; i++) {
        sf_json_text(w, list.items[i]);
    }
    sf_json_array_end(w);
}

static void write_user(struct sf_json_writer *w, const struct sf_user_claims *c)
{
    sf_json_member_text(w, "type", "user");
    sf_json_member_int(w, "version", 2);
    sf_json_key(w, "pub");
    sf_json_object_begin(w);
    write_list(w, "allow", c->publish_allow);
    write_list(w, "deny", c->publish_deny);
    sf_json_object_end(w);
    sf_json_key(w, "sub");
    sf_json_object_begin(w);
    write_list(w, "allow", c->subscribe_allow);
    write_list(w, "deny", c->subscribe_deny);
    sf_json_object_end(w);
    sf_json_member_int(w, "subs", -1);
    sf_json_member_int(w, "data", -1);
    sf_json_member_int(w, "payload", -1);
    if (c->connection_type != NULL) {
        write_list(w, "allowed_connection_types",
                   (struct sf_text_list){&c->connection_type, /* count= */ 1});
    }
    if (c->issuer_account != NULL) {
        sf_json_member_text(w, "issuer_account", c->issuer_account);
    }
}

/* The claims of any kind: exactly one of the pointers is set. */
struct claims {
    const char *name;
    enum sf_nkey_kind subject_kind;
    const struct sf_public_key *subject;
    int64_t expires_s;
    const struct sf_operator_claims *of_operator;
    const struct sf_account_claims *account;
    const struct sf_user_claims *user;
};

static void write_claims(struct sf_buf *out, const struct claims *c, const struct sf_nats_signer *s,
                         const char *jti)
{
    struct sf_json_writer w = {.out = out};

    sf_json_object_begin(&w);
    if (jti != NULL) {
        sf_json_member_text(&w, "jti", jti);
    }
    sf_json_member_int(&w, "iat", s->iat_s);
    member_key(&w, "iss", c->user != NULL ? SF_NKEY_ACCOUNT : SF_NKEY_OPERATOR,
               &s->seed->public_key);
    sf_json_member_text(&w, "name", c->name);
    member_key(&w, "sub", c->subject_kind, c->subject);
    if (c->expires_s != 0) {
        sf_json_member_int(&w, "exp", c->expires_s);
    }
    sf_json_key(&w, "nats");
    sf_json_object_begin(&w);
    if (c->of_operator != NULL) {
        write_operator(&w, c->of_operator);
    } else if (c->account != NULL) {
        write_account(&w, c->account);
    } else {
        write_user(&w, c->user);
    }
    sf_json_object_end(&w);
    sf_json_object_end(&w);
}

/* The jti is a hash of the claims without it, as in the tools of NATS: other claims, other jti. */
static enum sf_code sign_claims(const struct claims *c, const struct sf_nats_signer *s,
                                struct sf_buf *ret, struct sf_error *err)
{
    struct sf_buf body = {.size_max = SF_NATS_JWT_MAX};
    size_t start = ret->size;
    uint8_t hash[SF_HASH256_SIZE];
    char jti[64];
    enum sf_code code;

    write_claims(&body, c, s, NULL);
    code = sf_buf_check(&body, "claims", err);
    if (code == SF_OK) {
        struct sf_slice view = sf_buf_view(&body);

        sf_hash256(&view, 1, hash);
        sf_encode(SF_BASE32, sf_slice_of(hash, sizeof(hash)), jti);
        sf_buf_clear(&body);
        write_claims(&body, c, s, jti);
        code = sf_buf_check(&body, "claims", err);
    }
    if (code == SF_OK) {
        code = sf_jws_make(HEADER, sf_buf_view(&body), s->seed, ret, err);
    }
    if (code == SF_OK && ret->size - start > SF_NATS_JWT_MAX) {
        code = SF_RAISE(err, SF_BUSY, "the JWT of '%s' has %zu bytes; a server takes %d", c->name,
                        ret->size - start, SF_NATS_JWT_MAX);
    }
    sf_buf_done(&body);
    return code;
}

enum sf_code sf_operator_jwt(const struct sf_operator_claims *c, const struct sf_nats_signer *s,
                             struct sf_buf *ret, struct sf_error *err)
{
    struct claims claims = {
        .name = c->name,
        .subject_kind = SF_NKEY_OPERATOR,
        .subject = c->subject,
        .of_operator = c,
    };

    return sign_claims(&claims, s, ret, err);
}

enum sf_code sf_account_jwt(const struct sf_account_claims *c, const struct sf_nats_signer *s,
                            struct sf_buf *ret, struct sf_error *err)
{
    struct claims claims = {
        .name = c->name,
        .subject_kind = SF_NKEY_ACCOUNT,
        .subject = c->subject,
        .account = c,
    };

    return sign_claims(&claims, s, ret, err);
}

enum sf_code sf_user_jwt(const struct sf_user_claims *c, const struct sf_nats_signer *s,
                         struct sf_buf *ret, struct sf_error *err)
{
    struct claims claims = {
        .name = c->name,
        .subject_kind = SF_NKEY_USER,
        .subject = c->subject,
        .expires_s = c->expires_s,
        .user = c,
    };

    return sign_claims(&claims, s, ret, err);
}
