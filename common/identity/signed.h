/*
 * The message `Signed` of proto/sheaf/v1/control.proto: bytes and who vouches for them.
 *
 * A payload is checked exactly as it was received, never decoded and encoded again. The key inside
 * a Signed is a hint: the caller says whose key must have signed.
 *
 *   Threads   Any; the functions have no state.
 *   Errors    SF_DENIED (E0407): the signature does not hold, is of another size, or its key is not
 *             the one expected. SF_INVALID: not such a message. SF_NOMEM.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/sys/crypto.h"
#include "control.pb-c.h"

/* Room for what a Signed inside another message points to. */
struct sf_signed_room {
    struct sf_signature signature;
    struct sf_public_key key;
};

/* Fills @ret so that it can stand inside another message: it borrows @payload and @room. */
enum sf_code sf_signed_fill(const char *context, struct sf_slice payload,
                            const struct sf_seed *seed, struct sf_signed_room *room,
                            Sheaf__V1__Signed *ret, struct sf_error *err) SF_MUST_CHECK;
/* Appends an encoded Signed. */
enum sf_code sf_signed_make(const char *context, struct sf_slice payload,
                            const struct sf_seed *seed, struct sf_buf *ret,
                            struct sf_error *err) SF_MUST_CHECK;
/* SF_OK: @key signed the payload of @s for this @context. NULL as @s is SF_DENIED. */
enum sf_code sf_signed_verify(const char *context, const Sheaf__V1__Signed *s,
                              const struct sf_public_key *key, struct sf_error *err) SF_MUST_CHECK;
/* Decodes a Signed and verifies it; *ret_payload lives in @arena. */
enum sf_code sf_signed_open(const char *context, struct sf_slice bytes,
                            const struct sf_public_key *key, struct sf_arena *arena,
                            struct sf_slice *ret_payload, struct sf_error *err) SF_MUST_CHECK;
