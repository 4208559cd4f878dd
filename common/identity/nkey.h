/*
 * Nkeys: ed25519 keys as NATS writes them. A public key is 56 characters (O operator, A account,
 * U user, N server), a seed 58 (SO, SA, SU, SN): base32 of prefix, 32 bytes and a CRC-16.
 *
 * One key has one text: letters of another case, stray bits, a wrong CRC or a prefix of another
 * kind are refused.
 *
 *   Threads   Any; the functions have no state.
 *   Memory    The text of a seed is a secret: the caller wipes it (sf_wipe) after use.
 */
#pragma once

#include "common/base/error.h"
#include "common/base/slice.h"
#include "common/sys/crypto.h"

enum sf_nkey_kind {
    SF_NKEY_OPERATOR,
    SF_NKEY_ACCOUNT,
    SF_NKEY_USER,
    SF_NKEY_SERVER,
};

enum {
    SF_NKEY_TEXT_MAX = 57, /* a public key and its NUL */
    SF_NKEY_SEED_MAX = 59, /* a seed and its NUL */
};

/* "operator", "account", "user", "server" */
const char *sf_nkey_kind_name(enum sf_nkey_kind kind);

void sf_nkey_format(enum sf_nkey_kind kind, const struct sf_public_key *key,
                    char ret[SF_NKEY_TEXT_MAX]);
/* SF_INVALID: not the public text of a key. */
enum sf_code sf_nkey_parse(struct sf_slice text, enum sf_nkey_kind *ret_kind,
                           struct sf_public_key *ret_key, struct sf_error *err) SF_MUST_CHECK;
/* The same where the kind is known; another one is SF_INVALID. */
enum sf_code sf_nkey_parse_kind(struct sf_slice text, enum sf_nkey_kind kind,
                                struct sf_public_key *ret_key, struct sf_error *err) SF_MUST_CHECK;

void sf_nkey_format_seed(enum sf_nkey_kind kind, const struct sf_seed *seed,
                         char ret[SF_NKEY_SEED_MAX]);
/* SF_INVALID, SF_NOMEM. The error never holds the text. */
enum sf_code sf_nkey_parse_seed(struct sf_slice text, enum sf_nkey_kind *ret_kind,
                                struct sf_seed *ret_seed, struct sf_error *err) SF_MUST_CHECK;
