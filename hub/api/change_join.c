#include <stdio.h>
#include <string.h>

#include "common/identity/token.h"
#include "common/sys/encoding.h"
#include "common/wire/control.h"
#include "hub/api/change.h"
#include "proto/errors.h"

enum { TOKEN_BYTES = 20 };

static void hash_token(const char *token, char ret[2 * SF_HASH256_SIZE + 1])
{
    const struct sf_slice parts[] = {SF_LITERAL("sheaf.v1.join-token"), sf_slice_of("", 1),
                                     sf_slice_text(token)};
    uint8_t hash[SF_HASH256_SIZE];

    sf_hash256(parts, SF_COUNT(parts), hash);
    sf_encode(SF_HEX, sf_slice_of(hash, sizeof(hash)), ret);
}

/* A domain's name, and none that means somebody else. */
static enum sf_code check_name(const char *domain, struct sf_error *err)
{
    if (!sf_name_is_product(sf_slice_text(domain))) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_NAME,
                          "'%.64s' is not a domain's name: a letter, then letters, digits and '-', "
                          "at most 48",
                          domain);
    }
    if (!sf_name_is_domain(sf_slice_text(domain))) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_NAME, "the name '%s' is taken by the mesh",
                          domain);
    }
    return SF_OK;
}

static enum sf_code build_token(struct event_append *op, Sheaf__V1__Event *e,
                                struct sf_arena *arena, struct sf_error *err)
{
    struct change_token *c = op->data;
    Sheaf__V1__TokenIssued *m = sf_arena_alloc(arena, sizeof(*m));
    char *hash = sf_arena_alloc(arena, 2 * SF_HASH256_SIZE + 1);
    uint8_t secret[TOKEN_BYTES];
    enum sf_code code = check_name(c->domain, err);

    if (code == SF_OK) {
        code = registry_check_room(&c->state->registry, REGISTRY_TOKEN, err);
    }
    if (code != SF_OK) {
        return code;
    }
    if (m == NULL || hash == NULL) {
        return SF_RAISE(err, SF_NOMEM, "join token");
    }
    sf_random_bytes(secret, sizeof(secret));
    memcpy(c->token, "sj_", 3);
    sf_encode(SF_BASE32_LOWER, sf_slice_of(secret, sizeof(secret)), c->token + 3);
    sf_wipe(secret, sizeof(secret));
    hash_token(c->token, hash);
    c->expires_us = sf_steady_us(&c->state->clock) + c->ttl_us;
    sheaf__v1__token_issued__init(m);
    m->token_hash = hash;
    m->domain = sf_control_text(c->domain);
    m->expires_us = c->expires_us;
    e->actor = sf_control_text(c->actor);
    e->kind_case = SHEAF__V1__EVENT__KIND_TOKEN_ISSUED;
    e->token_issued = m;
    return SF_OK;
}

void change_token_init(struct change_token *c, struct hub_state *s)
{
    *c = (struct change_token){.state = s, .op = {.build = build_token, .data = c}};
}

/* That the token is known, for this domain, not spent and not too old. */
static enum sf_code check_token(const struct change_join *c, const char *hash, struct sf_error *err)
{
    const struct registry_token *t = registry_token(&c->state->registry, hash);

    if (t == NULL || t->spent || strcmp(t->domain, c->domain) != 0 ||
        registry_token_is_over(&c->state->registry, t, sf_steady_us(&c->state->clock))) {
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_JOIN_REFUSED,
                          "the join token for domain %.64s is unknown, spent or expired",
                          c->domain);
    }
    return SF_OK;
}

static bool same_key(const struct sf_public_key *a, const struct sf_public_key *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* A joined domain that keeps its leaf key needs no event: it only gets new credentials. */
static enum sf_code check_known(const struct change_join *c, const struct registry_domain *d,
                                bool *ret_renews, struct sf_error *err)
{
    if (!same_key(&d->domain_key, &c->domain_key)) {
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_JOIN_REFUSED,
                          "domain %s has joined with another key", d->name);
    }
    *ret_renews = same_key(&d->leaf_key, &c->leaf_key);
    return SF_OK;
}

static enum sf_code derive_accounts(const struct change_join *c, struct sf_arena *arena,
                                    Sheaf__V1__DomainJoined *m, struct sf_error *err)
{
    char *serve_name = sf_arena_printf(arena, "%s.serve", c->domain);
    enum sf_code code;

    m->account = sf_arena_alloc(arena, SF_NKEY_TEXT_MAX);
    m->serve_account = sf_arena_alloc(arena, SF_NKEY_TEXT_MAX);
    if (serve_name == NULL || m->account == NULL || m->serve_account == NULL) {
        return SF_RAISE(err, SF_NOMEM, "accounts of %s", c->domain);
    }
    code = claims_account_key(c->state->keys, c->domain, m->account, err);
    return code != SF_OK ? code
                         : claims_account_key(c->state->keys, serve_name, m->serve_account, err);
}

static enum sf_code fill_join(const struct change_join *c, const char *hash, struct sf_arena *arena,
                              Sheaf__V1__Event *e, struct sf_error *err)
{
    Sheaf__V1__DomainJoined *m = sf_arena_alloc(arena, sizeof(*m));

    e->actor = sf_arena_printf(arena, "%s/leaf", c->domain);
    if (m == NULL || e->actor == NULL) {
        return SF_RAISE(err, SF_NOMEM, "join of %s", c->domain);
    }
    sheaf__v1__domain_joined__init(m);
    m->domain = sf_control_text(c->domain);
    m->domain_key = sf_control_data(sf_slice_of(c->domain_key.bytes, SF_PUBLIC_KEY_SIZE));
    m->leaf_key = sf_control_data(sf_slice_of(c->leaf_key.bytes, SF_PUBLIC_KEY_SIZE));
    m->token_hash = sf_control_text(hash);
    e->kind_case = SHEAF__V1__EVENT__KIND_DOMAIN_JOINED;
    e->domain_joined = m;
    return derive_accounts(c, arena, m, err);
}

static enum sf_code build_join(struct event_append *op, Sheaf__V1__Event *e, struct sf_arena *arena,
                               struct sf_error *err)
{
    struct change_join *c = op->data;
    const struct registry_domain *d = registry_domain(&c->state->registry, c->domain);
    char *hash = sf_arena_alloc(arena, 2 * SF_HASH256_SIZE + 1);
    bool renews = false;
    enum sf_code code = check_name(c->domain, err);

    if (hash == NULL) {
        return SF_RAISE(err, SF_NOMEM, "join of %s", c->domain);
    }
    if (code == SF_OK) {
        code = d != NULL ? check_known(c, d, &renews, err)
                         : registry_check_room(&c->state->registry, REGISTRY_DOMAIN, err);
    }
    if (code != SF_OK || renews) {
        return code;
    }
    hash_token(c->token, hash);
    code = check_token(c, hash, err);
    return code != SF_OK ? code : fill_join(c, hash, arena, e, err);
}

void change_join_init(struct change_join *c, struct hub_state *s)
{
    *c = (struct change_join){.state = s, .op = {.build = build_join, .data = c}};
}

void change_join_finish(struct change_join *c)
{
    c->joined = registry_domain(&c->state->registry, c->domain);
}
