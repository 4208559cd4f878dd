/* Reading of NATS JWTs; making them is nats_jwt.c. */
#include "common/identity/jws.h"
#include "common/identity/nats_jwt.h"
#include "common/wire/json.h"

#define HEADER SF_LITERAL("{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey\"}")

static const struct {
    const char *text;
    enum sf_nkey_kind subject;
    enum sf_nkey_kind issuer;
} types[] = {
    [SF_NATS_OPERATOR] = {"operator", SF_NKEY_OPERATOR, SF_NKEY_OPERATOR},
    [SF_NATS_ACCOUNT] = {"account", SF_NKEY_ACCOUNT, SF_NKEY_OPERATOR},
    [SF_NATS_USER] = {"user", SF_NKEY_USER, SF_NKEY_ACCOUNT},
};

static bool find_type(const char *text, enum sf_nats_jwt_type *ret)
{
    for (size_t i = 0; i < SF_COUNT(types); i++) {
        if (strcmp(types[i].text, text) == 0) {
            *ret = (enum sf_nats_jwt_type)i;
            return true;
        }
    }
    return false;
}

/* Copies a text member into @ret of @size bytes; SF_INVALID when it is absent or too long. */
static enum sf_code take_text(const struct sf_json *object, const char *name, char *ret,
                              size_t size, struct sf_error *err)
{
    const char *text = NULL;
    enum sf_code code = sf_json_read_text(object, name, SF_JSON_REQUIRED, &text, err);

    if (code != SF_OK) {
        return code;
    }
    if (strlen(text) >= size) {
        return SF_RAISE(err, SF_INVALID, "'%s' is longer than %zu characters", name, size - 1);
    }
    memcpy(ret, text, strlen(text) + 1);
    return SF_OK;
}

static enum sf_code take_key(const struct sf_json *object, const char *name, enum sf_nkey_kind kind,
                             char ret[SF_NKEY_TEXT_MAX], struct sf_public_key *ret_key,
                             struct sf_error *err)
{
    enum sf_code code = take_text(object, name, ret, SF_NKEY_TEXT_MAX, err);

    if (code != SF_OK) {
        return code;
    }
    code = sf_nkey_parse_kind(sf_slice_text(ret), kind, ret_key, err);
    return code == SF_OK || err == NULL ? code : sf_error_wrap(err, "'%s'", name);
}

static enum sf_code read_nats(const struct sf_json *nats, struct sf_nats_jwt_info *ret,
                              struct sf_error *err)
{
    struct sf_public_key key;
    int64_t version = 0;
    char type[16];
    enum sf_code code = take_text(nats, "type", type, sizeof(type), err);

    if (code != SF_OK) {
        return code;
    }
    if (!find_type(type, &ret->type)) {
        return SF_RAISE(err, SF_INVALID, "claims of another type than operator, account or user");
    }
    code = sf_json_read_int(nats, "version", SF_JSON_REQUIRED, (struct sf_json_range){2, 2},
                            &version, err);
    if (code == SF_OK && sf_json_get(nats, "issuer_account") != NULL) {
        code = take_key(nats, "issuer_account", SF_NKEY_ACCOUNT, ret->issuer_account, &key, err);
    }
    return code;
}

static enum sf_code read_claims(const struct sf_json *root, struct sf_nats_jwt_info *ret,
                                struct sf_public_key *ret_issuer, struct sf_error *err)
{
    static const char *const names[] = {"jti", "iat", "iss", "name", "sub",
                                        "exp", "nbf", "aud", "nats", NULL};
    struct sf_json_range times = {0, INT64_MAX};
    const struct sf_json *nats = NULL;
    struct sf_public_key subject;
    enum sf_code code = sf_json_check_names(root, names, err);

    if (code == SF_OK) {
        code = sf_json_read_value(root, "nats", SF_JSON_REQUIRED, SF_JSON_OBJECT, &nats, err);
    }
    if (code == SF_OK) {
        code = read_nats(nats, ret, err);
    }
    if (code == SF_OK) {
        code = take_key(root, "iss", types[ret->type].issuer, ret->issuer, ret_issuer, err);
    }
    if (code == SF_OK) {
        code = take_key(root, "sub", types[ret->type].subject, ret->subject, &subject, err);
    }
    if (code == SF_OK) {
        code = take_text(root, "name", ret->name, sizeof(ret->name), err);
    }
    if (code == SF_OK) {
        code = take_text(root, "jti", ret->jti, sizeof(ret->jti), err);
    }
    if (code == SF_OK) {
        code = sf_json_read_int(root, "iat", SF_JSON_REQUIRED, times, &ret->iat_s, err);
    }
    if (code == SF_OK) {
        code = sf_json_read_int(root, "exp", SF_JSON_OPTIONAL, times, &ret->expires_s, err);
    }
    return code;
}

/* The parts of a JWT while it is read. */
struct parts {
    struct sf_buf header;
    struct sf_buf payload;
    struct sf_jws jws;
    struct sf_json_doc *doc;
};

static void parts_done(struct parts *p)
{
    sf_json_free(p->doc);
    sf_buf_done(&p->payload);
    sf_buf_done(&p->header);
}

static enum sf_code read_parts(struct sf_slice text, struct parts *p, struct sf_nats_jwt_info *ret,
                               struct sf_error *err)
{
    struct sf_public_key issuer;
    enum sf_code code = sf_jws_split(text, &p->header, &p->payload, &p->jws, err);

    if (code != SF_OK) {
        return code;
    }
    if (!sf_slice_equal(sf_buf_view(&p->header), HEADER)) {
        return SF_RAISE(err, SF_INVALID, "the header of the JWT is not that of NATS");
    }
    code = sf_json_parse(sf_buf_view(&p->payload), &p->doc, err);
    if (code == SF_OK) {
        code = read_claims(sf_json_root(p->doc), ret, &issuer, err);
    }
    if (code == SF_OK) {
        code = sf_jws_verify(&p->jws, &issuer, err);
    }
    return code;
}

enum sf_code sf_nats_jwt_read(struct sf_slice text, struct sf_nats_jwt_info *ret,
                              struct sf_error *err)
{
    SF_CLEANUP(parts_done) struct parts p = {0};
    struct sf_nats_jwt_info info = {0};
    enum sf_code code;

    if (text.size > SF_NATS_JWT_MAX) {
        return SF_RAISE(err, SF_INVALID, "a JWT of %zu bytes", text.size);
    }
    code = read_parts(text, &p, &info, err);
    if (code == SF_OK) {
        *ret = info;
    }
    return code;
}
