/*
 * The bytes that a leaf signs (SIGN_MESSAGE) for each message it publishes, and what Sheaf-Sig
 * holds: base64 of the ed25519 signature. Built by the leaf that sends and by who checks, from the
 * same values that stand in subject and headers.
 */
#pragma once

#include <stddef.h>

#include "proto/subjects.h"

#define HEADER_AUDIENCE "Sheaf-Audience" /* opaque id; "own" on the owner's stream */

struct message_texts {
    struct subject_lane lane;
    const char *audience;
    uint32_t epoch;
    uint64_t first; /* first and last seq of the message; both 0 in a heartbeat */
    uint64_t last;
    uint64_t prev;            /* last seq of the audience's message before */
    uint64_t head;            /* of the lane, in a heartbeat; else 0 */
    const char *payload_hash; /* BLAKE2b-256 of the payload, lower-case hexadecimal */
};

enum { MESSAGE_TEXT_MAX = 640 };

/* Writes the bytes and returns their number. */
size_t message_signed_bytes(const struct message_texts *t, char ret[MESSAGE_TEXT_MAX]);
