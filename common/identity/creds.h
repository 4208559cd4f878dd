/* Credentials file of NATS: a user's JWT and its seed in one text. Holds a secret. */
#pragma once

#include "common/base/buf.h"
#include "common/identity/nkey.h"

/* Appends the file's text; the caller wipes @ret. Failure is sticky in @ret. */
void sf_creds_format(struct sf_slice jwt, const struct sf_seed *user, struct sf_buf *ret);
/* *ret_jwt points into @text. SF_INVALID: not such a file, or its seed is no user's. SF_NOMEM. */
enum sf_code sf_creds_parse(struct sf_slice text, struct sf_slice *ret_jwt,
                            struct sf_seed *ret_user, struct sf_error *err) SF_MUST_CHECK;
