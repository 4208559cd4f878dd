/*
 * Calls to the HTTP interfaces of hub and leaves, as an identity of the mesh.
 *
 *   Order     api_open(), calls, api_done(). The connection and the token serve all calls.
 *   Memory    Paths and bodies are borrowed during a call; the answer is valid until the next one.
 *   Errors    What went wrong on the way has E0704 or E0705; what the server refused has the number
 *             and text of its problem document, and its next step is left in cli->next.
 */
#pragma once

#include "cli/cli.h"
#include "cli/context.h"
#include "common/sys/http_client.h"

struct api {
    struct cli *cli;
    struct context context;
    struct identity who;
    bool has_identity;
    struct sf_http_client *client;
    struct sf_buf token; /* "Bearer ..." of who */
    struct sf_http_answer answer;
    struct sf_json_doc *doc; /* of the answer, once asked for */
};

/* Reads the context of a running mesh; as nobody yet. */
enum sf_code api_open(struct cli *cli, struct api *ret, struct sf_error *err) SF_MUST_CHECK;
void api_done(struct api *a);

/* Chooses who acts: --as, else @implied (a domain, "platform", or NULL). */
enum sf_code api_act(struct api *a, const char *implied, struct sf_error *err) SF_MUST_CHECK;

struct api_call {
    const char *method;
    const char *path; /* with its query, "/v1/..." */
    const char *content_type;
    const char *accept;
    const char *idempotency_key;
    struct sf_slice body;
};

/* SF_OK: a 2xx answer, in a->answer. */
enum sf_code api_hub(struct api *a, const struct api_call *call,
                     struct sf_error *err) SF_MUST_CHECK;
/* To the leaf of the identity that acts. */
enum sf_code api_leaf(struct api *a, const struct api_call *call,
                      struct sf_error *err) SF_MUST_CHECK;

/* The answer as JSON; an answer that is none is E0708. Valid until the next call. */
enum sf_code api_json(struct api *a, const struct sf_json **ret,
                      struct sf_error *err) SF_MUST_CHECK;
/* GET of JSON. */
enum sf_code api_get_hub(struct api *a, const char *path, const struct sf_json **ret,
                         struct sf_error *err) SF_MUST_CHECK;
enum sf_code api_get_leaf(struct api *a, const char *path, const struct sf_json **ret,
                          struct sf_error *err) SF_MUST_CHECK;

/* Appends @text percent-encoded, as one part of a path or a value of a query. */
void api_escape(struct sf_buf *b, const char *text);
