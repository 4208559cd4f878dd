/*
 * Sealed bytes: what we hand out and get back later, unreadable and unchangeable in between.
 * XChaCha20-Poly1305 with a random nonce; under one key, any number of seals.
 *
 *   Threads   Any, after sf_crypto_init().
 */
#pragma once

#include "common/base/buf.h"

enum { SF_SEAL_KEY_SIZE = 32, SF_SEAL_OVERHEAD = 24 + 16 };

/* Appends nonce and sealed @plain to @ret; failure is sticky in @ret. */
void sf_seal(const uint8_t key[SF_SEAL_KEY_SIZE], struct sf_slice plain, struct sf_buf *ret);
/* Appends what was sealed. SF_DENIED: not sealed under @key, or changed since. SF_NOMEM. */
enum sf_code sf_seal_open(const uint8_t key[SF_SEAL_KEY_SIZE], struct sf_slice sealed,
                          struct sf_buf *ret, struct sf_error *err) SF_MUST_CHECK;
