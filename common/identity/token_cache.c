#include "common/identity/token_cache.h"

#include "common/base/alloc.h"
#include "common/base/hash.h"

enum {
    WAYS = 4, /* places a token may have */
    SETS = SF_TOKEN_CACHE_SIZE / WAYS,
    TAIL = 32, /* bytes at the end of a token: of its signature, as good as random */
};

struct entry {
    uint64_t hash; /* of the tail */
    uint8_t *text; /* owned; NULL: free */
    size_t size;
    struct sf_public_key key;
    struct sf_token token;
};

struct sf_token_cache {
    struct entry entries[SETS][WAYS];
    uint64_t seed; /* of the hashes */
};

enum sf_code sf_token_cache_new(struct sf_token_cache **ret, struct sf_error *err)
{
    struct sf_token_cache *c = sf_calloc(1, sizeof(*c));

    if (c == NULL) {
        return SF_RAISE(err, SF_NOMEM, "cache of tokens");
    }
    sf_random_bytes(&c->seed, sizeof(c->seed));
    *ret = c;
    return SF_OK;
}

static void entry_done(struct entry *e)
{
    if (e->text != NULL) {
        sf_wipe(e->text, e->size);
        sf_free(e->text);
    }
    *e = (struct entry){0};
}

void sf_token_cache_free(struct sf_token_cache *c)
{
    for (size_t i = 0; c != NULL && i < SF_TOKEN_CACHE_SIZE; i++) {
        entry_done(&c->entries[i / WAYS][i % WAYS]);
    }
    sf_free(c);
}

static uint64_t hash_of(const struct sf_token_cache *c, struct sf_slice text)
{
    const size_t n = text.size < TAIL ? text.size : TAIL;

    return sf_mix64(c->seed, sf_slice_of(text.data + text.size - n, n));
}

const struct sf_token *sf_token_cache_find(struct sf_token_cache *c, struct sf_slice text,
                                           struct sf_public_key *ret_key)
{
    const uint64_t hash = hash_of(c, text);

    for (size_t i = 0; i < WAYS; i++) {
        const struct entry *e = &c->entries[hash % SETS][i];

        if (e->hash == hash && e->text != NULL &&
            sf_slice_equal(sf_slice_of(e->text, e->size), text)) {
            *ret_key = e->key;
            return &e->token;
        }
    }
    return NULL;
}

/* How many of the set the signer has. */
static unsigned share_of(const struct entry *set, const struct sf_public_key *key)
{
    unsigned n = 0;

    for (size_t i = 0; i < WAYS; i++) {
        n += set[i].text != NULL && memcmp(&set[i].key, key, sizeof(*key)) == 0;
    }
    return n;
}

/*
 * Where a token of @key goes: to the place of that hash, else a free one. Else the signer who has
 * most, with this token, loses the one that expires first: whoever signs many pushes out its own.
 */
static struct entry *place_of(struct sf_token_cache *c, uint64_t hash,
                              const struct sf_public_key *key)
{
    struct entry *set = c->entries[hash % SETS];
    struct entry *best = NULL;
    unsigned most = 0;

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].text == NULL || set[i].hash == hash) {
            return &set[i];
        }
    }
    for (size_t i = 0; i < WAYS; i++) {
        const unsigned share =
            share_of(set, &set[i].key) + (memcmp(&set[i].key, key, sizeof(*key)) == 0);

        if (share > most || (share == most && set[i].token.expires_s < best->token.expires_s)) {
            best = &set[i];
            most = share;
        }
    }
    return best;
}

void sf_token_cache_keep(struct sf_token_cache *c, struct sf_slice text,
                         const struct sf_public_key *key, const struct sf_token *token)
{
    const uint64_t hash = hash_of(c, text);
    struct entry *e = place_of(c, hash, key);
    uint8_t *copy = sf_alloc(text.size);

    if (copy == NULL) {
        return;
    }
    memcpy(copy, text.data, text.size);
    entry_done(e);
    *e =
        (struct entry){.hash = hash, .text = copy, .size = text.size, .key = *key, .token = *token};
}
