/* What the protocol of NATS allows as subject and header, checked before anything is sent. */
#pragma once

#include "common/bus/bus.h"

/* A subject to publish to: tokens with dots between, no wildcards, at most 1 KiB. */
bool sf_subject_is_literal(const char *subject);
/* A subject to subscribe to: '*' may be a token, '>' the last one. */
bool sf_subject_is_pattern(const char *subject);
/* Whether @subject, a literal, is matched by @pattern. */
bool sf_subject_matches(const char *pattern, const char *subject);
/* SF_INVALID: subject, reply or a header is not one. */
enum sf_code sf_bus_msg_check(const struct sf_bus_msg *m, struct sf_error *err) SF_MUST_CHECK;
