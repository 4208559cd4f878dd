/*
 * One HTTP request at the hub: who asks, what was sent, and the one answer.
 *
 *   Memory    A call is the api's; it ends with the answer, call_fail() or call_answer(), or when
 * the api is freed. Everything in its arena lives as long. When the client has gone, the call goes
 * on and its answer is dropped.
 */
#pragma once

#include "common/identity/token.h"
#include "common/sys/http_server.h"
#include "common/wire/json.h"
#include "hub/api/effect.h"

struct api;
struct route;

struct call {
    struct api *api;
    struct hub_state *state;
    struct sf_http_request *r; /* NULL: the client has gone */
    const struct route *route;
    struct turn turn;      /* while it waits for it, and until it is answered */
    struct sf_token token; /* zeroed where none is needed */
    char actor[160];       /* "sales/ada" */
    bool is_platform;
    struct sf_arena arena;
    struct sf_json_doc *doc;
    const struct sf_json *body;     /* an object; NULL for methods without a body */
    void *work;                     /* in the arena: what goes on behind this call */
    void (*cancel)(struct call *c); /* stops it when the api is freed; may be NULL */
    struct sf_list link;
};

/* Ends the call. @body is copied. */
void call_answer(struct call *c, unsigned status, const struct sf_buf *body);
/* Ends the call with a problem document; the number of @err decides the status. */
void call_fail(struct call *c, const struct sf_error *err);
/* Zeroed memory for @c->work; NULL: the call has been ended. */
void *call_work(struct call *c, size_t size);

/* An answer being written: {"apiVersion":"sheaf/v1","kind":KIND, ... */
struct answer {
    struct sf_buf body;
    struct sf_json_writer json;
};
void answer_begin(struct answer *a, const char *kind);
/* Closes the object and ends the call with it. */
void answer_send(struct answer *a, struct call *c, unsigned status);

/* Members that the writer has no form for. */
void answer_time(struct answer *a, const char *name, int64_t us); /* RFC 3339 */
void answer_base64(struct answer *a, const char *name, struct sf_slice bytes);
void answer_texts(struct answer *a, const char *name, const char *const *texts, size_t count);

/* Whether the caller reads all there is about @domain: it is that domain, or the platform. */
bool call_reads_all_of(const struct call *c, const char *domain);
/* The caller's domain, or NULL with the call ended: only domains may do this. */
const struct registry_domain *call_domain(struct call *c);

/* Handlers, by resource. @part: the parts of the path that the route leaves open, in order. */
typedef void (*call_handler)(struct call *c, const char *const *part);

void mesh_get(struct call *c, const char *const *part);
void join_token_post(struct call *c, const char *const *part);
void join_post(struct call *c, const char *const *part);
void domain_list(struct call *c, const char *const *part);
void domain_get(struct call *c, const char *const *part);
void product_list(struct call *c, const char *const *part);
void product_get(struct call *c, const char *const *part);
void access_list(struct call *c, const char *const *part);
void access_get(struct call *c, const char *const *part);
void request_post(struct call *c, const char *const *part);
void decision_post(struct call *c, const char *const *part);
void revocation_post(struct call *c, const char *const *part);
void policy_list(struct call *c, const char *const *part);
void policy_get(struct call *c, const char *const *part);
void policy_history(struct call *c, const char *const *part);
void policy_change_post(struct call *c, const char *const *part);
void explain_get(struct call *c, const char *const *part);
void audit_get(struct call *c, const char *const *part);
void status_get(struct call *c, const char *const *part);
