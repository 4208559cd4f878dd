/*
 * Where a consumer stands in a lane, and what a message from its stream means there: new, seen
 * before, or behind a gap. Pure; `sheaf sub` acts on it.
 *
 * Positions are EPOCH:SEQ. A message says which seqs it holds and, in Sheaf-Prev, the last one of
 * the message before it to the same audience; so what policy left out is no gap, and what the
 * network lost is one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"

struct follow {
    bool known; /* a position is known; otherwise the first message decides it */
    uint32_t epoch;
    uint64_t at; /* everything up to here has been taken */
};

/* What headers of one message say. A heartbeat holds nothing: first and last are 0. */
struct follow_span {
    uint32_t epoch;
    uint64_t first;
    uint64_t last;
    uint64_t prev;
    uint64_t head; /* of a heartbeat */
};

enum follow_verdict {
    FOLLOW_SEEN, /* nothing new in it */
    FOLLOW_NEW,  /* take the changes behind the position */
    FOLLOW_GAP,  /* something before it is missing: replay */
};

/* Texts may be NULL. False: not a position, or none at all. */
bool follow_parse(const char *position, const char *prev, const char *head,
                  struct follow_span *ret);
enum follow_verdict follow_look(struct follow *f, const struct follow_span *span);
/* Everything up to @seq has been taken. */
void follow_taken(struct follow *f, uint32_t epoch, uint64_t seq);

/* "E:S"; false for anything else. */
bool follow_parse_position(const char *text, uint32_t *ret_epoch, uint64_t *ret_seq);
/* The seq of a line `{"seq":N,...`; 0: not such a line. */
uint64_t follow_line_seq(struct sf_slice line);
