/*
 * One HTTP request over a connection of its own, without an allocation: in a test that makes
 * allocations fail, each that does is the server's.
 *
 *   Threads   Any; blocks.
 *   Limits    A server that sends nothing for RAW_HTTP_WAIT_S ends the process, with a message.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/slice.h"

enum { RAW_HTTP_MAX = 8192, RAW_HTTP_WAIT_S = 20 };

struct raw_http_answer {
    unsigned status;  /* 0: the connection ended before an answer */
    bool is_complete; /* all bytes came that were promised, or the last chunk */
    char head[RAW_HTTP_MAX];
    char text[RAW_HTTP_MAX]; /* the body, cut there; chunks are joined */
};

/* Whether it is a problem document that came whole, or an answer that did not come whole. */
bool raw_http_is_problem(const struct raw_http_answer *a);
/* @headers: whole lines. */
void raw_http_call(uint16_t port, const char *method, const char *path, const char *headers,
                   struct sf_slice body, struct raw_http_answer *ret);
