#include "common/identity/token_cache.h"

#include "common/base/alloc.h"

enum {
    WAYS = 4, /* places a token may have */
    SETS = SF_TOKEN_CACHE_SIZE / WAYS,
};

struct entry {
    uint8_t hash[SF_HASH128_SIZE];
    struct sf_public_key key;
    struct sf_token token; /* expires_s 0: free */
};

struct sf_token_cache {
    struct entry entries[SETS][WAYS];
    uint8_t key[SF_SHORT_KEY_SIZE]; /* of the hashes */
};

enum sf_code sf_token_cache_new(struct sf_token_cache **ret, struct sf_error *err)
{
    struct sf_token_cache *c = sf_calloc(1, sizeof(*c));

    if (c == NULL) {
        return SF_RAISE(err, SF_NOMEM, "cache of tokens");
    }
    sf_random_bytes(c->key, sizeof(c->key));
    *ret = c;
    return SF_OK;
}

void sf_token_cache_free(struct sf_token_cache *c)
{
    sf_free(c);
}

/* The entry of @text, or the one to replace. */
static struct entry *entry_of(struct sf_token_cache *c, const uint8_t hash[SF_HASH128_SIZE])
{
    struct entry *set = c->entries[hash[0] % SETS];
    struct entry *first = &set[0];

    for (size_t i = 0; i < WAYS; i++) {
        if (memcmp(set[i].hash, hash, SF_HASH128_SIZE) == 0) {
            return &set[i];
        }
        if (set[i].token.expires_s < first->token.expires_s) {
            first = &set[i];
        }
    }
    return first;
}

const struct sf_token *sf_token_cache_find(struct sf_token_cache *c, struct sf_slice text,
                                           struct sf_public_key *ret_key)
{
    uint8_t hash[SF_HASH128_SIZE];
    const struct entry *e;

    sf_hash128_short(c->key, text, hash);
    e = entry_of(c, hash);
    if (e->token.expires_s == 0 || memcmp(e->hash, hash, sizeof(hash)) != 0) {
        return NULL;
    }
    *ret_key = e->key;
    return &e->token;
}

void sf_token_cache_keep(struct sf_token_cache *c, struct sf_slice text,
                         const struct sf_public_key *key, const struct sf_token *token)
{
    uint8_t hash[SF_HASH128_SIZE];
    struct entry *e;

    sf_hash128_short(c->key, text, hash);
    e = entry_of(c, hash);
    memcpy(e->hash, hash, sizeof(hash));
    e->key = *key;
    e->token = *token;
}
