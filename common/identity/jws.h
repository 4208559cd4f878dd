/*
 * The three parts of a compact JWS, shared by the JWTs of NATS and our tokens: base64url, dots and
 * an ed25519 signature. What the header must be is the caller's: it is compared byte for byte, so
 * that no other algorithm can be named.
 */
#pragma once

#include "common/base/buf.h"
#include "common/sys/crypto.h"

/* Appends header.payload.signature. The failure of @ret is raised. */
enum sf_code sf_jws_make(struct sf_slice header, struct sf_slice payload,
                         const struct sf_seed *seed, struct sf_buf *ret,
                         struct sf_error *err) SF_MUST_CHECK;

struct sf_jws {
    struct sf_slice signed_text; /* header.payload, in the text that was split */
    struct sf_signature signature;
};

/*
 * Splits @text, decodes header and payload into the two buffers and the signature into *ret.
 * SF_INVALID: not three parts of strict base64url. SF_NOMEM.
 */
enum sf_code sf_jws_split(struct sf_slice text, struct sf_buf *ret_header,
                          struct sf_buf *ret_payload, struct sf_jws *ret,
                          struct sf_error *err) SF_MUST_CHECK;
/* SF_OK or SF_DENIED. */
enum sf_code sf_jws_verify(const struct sf_jws *jws, const struct sf_public_key *key,
                           struct sf_error *err) SF_MUST_CHECK;
