/*
 * The current JWT of every account: what lookups of a nats-server are answered from, what its
 * configuration preloads, what the pusher sends.
 *
 *   Threads   Loop thread.
 *   Memory    Owns the texts.
 */
#pragma once

#include "common/base/map.h"
#include "common/sys/crypto.h"

struct directory_account {
    char *jwt;           /* owned */
    uint64_t generation; /* rises with each new text */
};

struct directory {
    struct sf_map accounts; /* public key -> struct directory_account, owned */
};

void directory_done(struct directory *d);
/* Sets the text, which is copied; the same text again changes nothing. SF_NOMEM. */
enum sf_code directory_put(struct directory *d, const char *account, struct sf_slice jwt,
                           struct sf_error *err) SF_MUST_CHECK;
/*
 * Puts in the JWTs of the accounts that files <dir>/<key>.jwt hold and @signer (the operator's
 * signing key) has signed; other files are left out. At start only. SF_NOMEM, SF_IO, SF_DENIED.
 */
enum sf_code directory_load(struct directory *d, const char *dir,
                            const struct sf_public_key *signer, struct sf_error *err) SF_MUST_CHECK;
/* NULL when absent. */
const struct directory_account *directory_get(const struct directory *d, const char *account);
