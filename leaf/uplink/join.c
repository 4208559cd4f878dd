#include "leaf/uplink/join.h"

#include <stdio.h>
#include <string.h>

#include "common/base/time.h"
#include "common/sys/encoding.h"
#include "common/sys/http_client.h"
#include "common/wire/json.h"
#include "proto/errors.h"
#include "proto/join.h"
#include "proto/subjects.h"

enum { TOTAL_MS = 10 * 1000 };

/* Texts of the request, as JSON and signature have them. */
struct join_call {
    char domain_key[64];
    char leaf_key[64];
    char serve_user[SF_NKEY_TEXT_MAX];
    char user[SF_NKEY_TEXT_MAX];
    char proof[128];
};

static enum sf_code prepare(const struct join_request *q, const char *mesh, struct join_call *c,
                            struct sf_error *err)
{
    const struct identity_keys *k = &q->identity->keys;
    char text[JOIN_TEXT_MAX];
    struct sf_signature signature;
    enum sf_code code;
    size_t n;

    sf_encode(SF_BASE64, sf_slice_of(k->domain.public_key.bytes, SF_PUBLIC_KEY_SIZE),
              c->domain_key);
    sf_encode(SF_BASE64, sf_slice_of(k->leaf.public_key.bytes, SF_PUBLIC_KEY_SIZE), c->leaf_key);
    sf_nkey_format(SF_NKEY_USER, &k->serve.public_key, c->serve_user);
    sf_nkey_format(SF_NKEY_USER, &k->uplink.public_key, c->user);
    n = join_signed_bytes(
        &(struct join_texts){
            .mesh = mesh,
            .domain = q->identity->domain,
            .token = q->token,
            .domain_key = c->domain_key,
            .leaf_key = c->leaf_key,
            .serve_user = c->serve_user,
            .user = c->user,
        },
        text);
    if (n == 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_JOIN_REFUSED, "the join token is no token");
    }
    code = sf_sign(&k->domain, SIGN_JOIN, sf_slice_of(text, n), &signature, err);
    if (code == SF_OK) {
        sf_encode(SF_BASE64, sf_slice_of(signature.bytes, sizeof(signature.bytes)), c->proof);
    }
    return code;
}

static void write_body(const struct join_request *q, const struct join_call *c, struct sf_buf *out)
{
    struct sf_json_writer w = {.out = out};

    sf_json_object_begin(&w);
    sf_json_member_text(&w, "domain", q->identity->domain);
    if (*q->token != '\0') {
        sf_json_member_text(&w, "token", q->token);
    }
    sf_json_member_text(&w, "domain_key", c->domain_key);
    sf_json_member_text(&w, "leaf_key", c->leaf_key);
    sf_json_member_text(&w, "serve_user", c->serve_user);
    sf_json_member_text(&w, "user", c->user);
    sf_json_member_text(&w, "proof", c->proof);
    sf_json_object_end(&w);
}

/* Turns a problem document into an error. */
static enum sf_code raise_problem(const struct sf_http_answer *a, const char *url,
                                  struct sf_error *err)
{
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *doc = NULL;
    const char *detail = "";

    if (sf_json_parse(sf_buf_view(&a->body), &doc, NULL) == SF_OK) {
        (void)sf_json_as_text(sf_json_get(sf_json_root(doc), "detail"), &detail);
    }
    if (a->status == 401 || a->status == 403) {
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_JOIN_REFUSED, "%s", detail);
    }
    return SF_RAISE_E(err, SF_UNAVAILABLE, SHEAF_E_HUB_UNREACHABLE, "%s answered %u: %s", url,
                      a->status, detail);
}

static enum sf_code call(struct sf_http_client *client, const char *method, const char *url,
                         struct sf_slice body, struct sf_json_doc **ret, struct sf_error *err)
{
    static const struct sf_http_header json = {"Content-Type", "application/json"};
    struct sf_http_answer answer = {0};
    const struct sf_http_call c = {
        .method = method,
        .url = url,
        .headers = &json,
        .header_count = 1,
        .body = body,
        .total_ms_max = TOTAL_MS,
    };
    enum sf_code code = sf_http_client_call(client, &c, &answer, err);

    if (code == SF_UNAVAILABLE || code == SF_TIMEOUT) {
        err->number = SHEAF_E_HUB_UNREACHABLE;
    } else if (code == SF_OK && answer.status / 100 != 2) {
        code = raise_problem(&answer, url, err);
    } else if (code == SF_OK) {
        code = sf_json_parse(sf_buf_view(&answer.body), ret, err);
        code = code == SF_INVALID ? SF_RAISE(err, SF_CORRUPT, "%s: not JSON", url) : code;
    }
    sf_http_answer_done(&answer);
    return code;
}

static bool copy(const struct sf_json *v, const char *path, char *ret, size_t size)
{
    const char *text;
    int n;

    if (!sf_json_as_text(sf_json_path(v, path), &text)) {
        return false;
    }
    n = snprintf(ret, size, "%s", text);
    return n >= 0 && (size_t)n < size;
}

static enum sf_code read_joined(const struct sf_json *v, const struct join_request *q,
                                struct identity_mesh *ret, struct sf_error *err)
{
    const struct sf_json *url = sf_json_at(sf_json_get(v, "leafnode_urls"), 0);
    const char *leafnode_url = "";
    char key[64];
    char expires[64];

    *ret = (struct identity_mesh){.joined = true};
    if (!copy(v, "mesh", ret->mesh, sizeof(ret->mesh)) ||
        !copy(v, "accounts.domain", ret->account, sizeof(ret->account)) ||
        !copy(v, "accounts.serve", ret->serve_account, sizeof(ret->serve_account)) ||
        !copy(v, "hub_key", key, sizeof(key)) || !copy(v, "expires", expires, sizeof(expires)) ||
        !sf_json_as_text(url, &leafnode_url) ||
        sf_time_parse(sf_slice_text(expires), &ret->expires_us) != SF_PARSE_OK ||
        sf_decode_exact(SF_BASE64, sf_slice_text(key), ret->hub_key.bytes,
                        sizeof(ret->hub_key.bytes), NULL) != SF_OK) {
        return SF_RAISE(err, SF_CORRUPT, "the hub's answer to joining is not whole");
    }
    ret->renew_us = q->now_us + (ret->expires_us - q->now_us) / 2;
    (void)snprintf(ret->leafnode_url, sizeof(ret->leafnode_url), "%s", leafnode_url);
    (void)snprintf(ret->hub_url, sizeof(ret->hub_url), "%s", q->hub_url);
    return SF_OK;
}

static enum sf_code raise_other_mesh(const struct join_request *q, struct sf_error *err)
{
    return SF_RAISE(err, SF_CONFLICT, "%s is the hub of another mesh than the one joined",
                    q->hub_url);
}

static enum sf_code take_joined(const struct sf_json *v, const struct join_request *q,
                                struct identity_mesh *ret, struct sf_error *err)
{
    const struct identity_mesh *before = &q->identity->mesh;
    struct sf_slice serve_jwt;
    struct sf_slice jwt;
    struct identity_mesh joined;
    enum sf_code code = read_joined(v, q, &joined, err);

    if (code != SF_OK) {
        return code;
    }
    if (!sf_json_as_slice(sf_json_path(v, "users.serve.jwt"), &serve_jwt) ||
        !sf_json_as_slice(sf_json_path(v, "users.domain.jwt"), &jwt)) {
        return SF_RAISE(err, SF_CORRUPT, "the hub's answer to joining has no credentials");
    }
    if (before->joined &&
        (strcmp(before->mesh, joined.mesh) != 0 ||
         memcmp(&before->hub_key, &joined.hub_key, sizeof(joined.hub_key)) != 0)) {
        return raise_other_mesh(q, err);
    }
    code = identity_store(q->identity, &joined, serve_jwt, jwt, err);
    if (code == SF_OK) {
        *ret = joined;
    }
    return code;
}

enum sf_code join_perform(const struct join_request *q, struct identity_mesh *ret,
                          struct sf_error *err)
{
    SF_CLEANUP(sf_http_client_freep) struct sf_http_client *client = NULL;
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *mesh = NULL;
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *joined = NULL;
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    struct join_call c;
    char url[512];
    char mesh_id[64];
    enum sf_code code = sf_http_client_new(&client, err);

    if (code != SF_OK) {
        return code;
    }
    (void)snprintf(url, sizeof(url), "%s/v1/mesh", q->hub_url);
    code = call(client, "GET", url, sf_slice_text(NULL), &mesh, err);
    if (code == SF_OK && !copy(sf_json_root(mesh), "mesh", mesh_id, sizeof(mesh_id))) {
        code = SF_RAISE(err, SF_CORRUPT, "%s: no mesh id", url);
    }
    if (code == SF_OK && q->identity->mesh.joined && strcmp(q->identity->mesh.mesh, mesh_id) != 0) {
        code = raise_other_mesh(q, err); /* Before it is told anything. */
    }
    if (code == SF_OK) {
        code = prepare(q, mesh_id, &c, err);
    }
    if (code == SF_OK) {
        write_body(q, &c, &body);
        code = sf_buf_check(&body, "join", err);
    }
    if (code == SF_OK) {
        (void)snprintf(url, sizeof(url), "%s/v1/join", q->hub_url);
        code = call(client, "POST", url, sf_buf_view(&body), &joined, err);
    }
    return code == SF_OK ? take_joined(sf_json_root(joined), q, ret, err) : code;
}
