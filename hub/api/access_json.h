/* Access requests and grants as JSON, and who may see them. */
#pragma once

#include "hub/api/call.h"

/* Members of the open object. */
void access_write_request(struct answer *a, const struct registry_request *q);
void access_write_grant(struct answer *a, const struct call *c, const struct registry_grant *g);
const char *access_request_state(const struct registry_request *q);
const char *access_grant_state(const struct registry_grant *g);

/* Owner, consumer and platform see a request and its grant; for anybody else they are not there. */
bool access_is_visible(const struct call *c, const struct registry_request *q);
bool access_is_owner(const struct call *c, const struct registry_request *q);

/* "effective", "laggards", "elapsed_us" */
void access_write_effect(struct answer *a, const struct effect *e,
                         const struct registry_request *q);
