/*
 * The bytes that a joining domain signs (SIGN_JOIN) with its domain key, so that the hub can see
 * that the caller holds it. Built by the leaf that asks and by the hub that checks, from the same
 * texts that stand in the JSON of POST /v1/join.
 */
#pragma once

#include <stddef.h>

struct join_texts {
    const char *mesh; /* id, from GET /v1/mesh */
    const char *domain;
    const char *token;      /* one-time token; "" when a joined domain renews its credentials */
    const char *domain_key; /* base64 of 32 bytes: signs decisions and HTTP tokens */
    const char *leaf_key;   /* base64 of 32 bytes: signs messages */
    const char *serve_user; /* U...: user key of the leafnode remote of <d>.serve */
    const char *user;       /* U...: user key of the leafnode remote of <d> */
};

enum { JOIN_TEXT_MAX = 1024 };

/* Writes the bytes and returns their number; 0: too long, or a text holds a line feed. */
size_t join_signed_bytes(const struct join_texts *t, char ret[JOIN_TEXT_MAX]);
