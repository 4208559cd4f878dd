/*
 * Tokens whose signature was found good a moment ago: a check of it takes 30 us, a look here less
 * than 1.
 *
 * It remembers that a key signed a text, and nothing else: whose key that is, the mesh and the time
 * are judged on every use, so a key that is no longer the issuer's ends its tokens at once. A text
 * is found by comparing all of it.
 *
 *   Threads   One user.
 *   Memory    Holds copies of the texts, wiped when they go.
 *   Limits    SF_TOKEN_CACHE_SIZE tokens. Where there is no room one of the signer that has most
 *             there goes, that which expires first.
 */
#pragma once

#include "common/identity/token.h"

enum { SF_TOKEN_CACHE_SIZE = 64 };

struct sf_token_cache;

/* SF_NOMEM. */
enum sf_code sf_token_cache_new(struct sf_token_cache **ret, struct sf_error *err) SF_MUST_CHECK;
void sf_token_cache_free(struct sf_token_cache *c); /* NULL is fine */

/* The claims of @text and the key that signed it, or NULL. Valid until the next call. */
const struct sf_token *sf_token_cache_find(struct sf_token_cache *c, struct sf_slice text,
                                           struct sf_public_key *ret_key);
/* That @key signed @text, which says @token. Without memory it is not kept. */
void sf_token_cache_keep(struct sf_token_cache *c, struct sf_slice text,
                         const struct sf_public_key *key, const struct sf_token *token);
