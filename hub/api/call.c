#include "hub/api/call.h"

#include <string.h>

#include "common/base/time.h"
#include "common/bus/service.h"
#include "common/wire/base64.h"
#include "common/wire/problem.h"
#include "proto/errors.h"

#define JSON    "application/json"
#define PROBLEM "application/problem+json"

/* Defined by the api, which owns the calls. */
void api_end_call(struct api *a, struct call *c);

void call_answer(struct call *c, unsigned status, const struct sf_buf *body)
{
    if (c->r != NULL) {
        sf_http_respond(c->r, status, JSON, NULL, 0, sf_buf_view(body));
        c->r = NULL;
    }
    api_end_call(c->api, c);
}

/* The number of an error that was raised without one. */
static uint16_t number_of(const struct sf_error *err)
{
    if (err->number != 0) {
        return err->number;
    }
    switch (err->code) {
    case SF_NOMEM:
    case SF_BUSY:
        return SHEAF_E_BUSY;
    case SF_INVALID:
        return SHEAF_E_BAD_REQUEST;
    case SF_TIMEOUT:
    case SF_UNAVAILABLE:
    case SF_CLOSED:
        return SHEAF_E_LOG_AWAY;
    case SF_OK:
    case SF_ABSENT:
    case SF_DENIED:
    case SF_CONFLICT:
    case SF_IO:
    case SF_CORRUPT:
        break;
    }
    return SHEAF_E_INTERNAL;
}

void call_fail(struct call *c, const struct sf_error *err)
{
    struct sf_error numbered = *err;
    struct sf_buf body = {0};
    const struct sf_http_header retry[] = {{"Retry-After", "1"}};
    const struct sheaf_error_info *info;

    numbered.number = number_of(err);
    info = sheaf_error_info(numbered.number);
    sf_service_problem(&numbered, &body);
    if (c->r != NULL) {
        sf_http_respond(c->r, info->http_status, PROBLEM, retry,
                        info->http_status == 429 || info->http_status == 503,
                        sf_problem_view(&body, &numbered));
        c->r = NULL;
    }
    sf_buf_done(&body);
    api_end_call(c->api, c);
}

void *call_work(struct call *c, size_t size)
{
    struct sf_error err;

    c->work = sf_arena_calloc(&c->arena, 1, size);
    if (c->work == NULL) {
        (void)SF_RAISE(&err, SF_NOMEM, "request");
        call_fail(c, &err);
        return NULL;
    }
    return c->work;
}

bool call_reads_all_of(const struct call *c, const char *domain)
{
    return c->is_platform || strcmp(c->token.issuer, domain) == 0;
}

const struct registry_domain *call_domain(struct call *c)
{
    struct sf_error err;
    const struct registry_domain *d = NULL;

    if (!c->is_platform) {
        d = registry_domain(&c->state->registry, c->token.issuer);
    }
    if (d == NULL) {
        (void)SF_RAISE_E(&err, SF_DENIED, SHEAF_E_WRONG_ACTOR,
                         "only a joined domain may do this; '%s' is none", c->token.issuer);
        call_fail(c, &err);
    }
    return d;
}

/* --- answers ---------------------------------------------------------------------------------- */

void answer_begin(struct answer *a, const char *kind)
{
    *a = (struct answer){0};
    a->json.out = &a->body;
    sf_json_object_begin(&a->json);
    sf_json_member_text(&a->json, "apiVersion", "sheaf/v1");
    sf_json_member_text(&a->json, "kind", kind);
}

void answer_send(struct answer *a, struct call *c, unsigned status)
{
    struct sf_error err;
    struct sf_buf body;

    sf_json_object_end(&a->json);
    body = a->body; /* @a may live in the call, which is gone once it is answered */
    a->body = (struct sf_buf){0};
    if (sf_buf_check(&body, "answer", &err) != SF_OK) {
        call_fail(c, &err);
    } else {
        call_answer(c, status, &body);
    }
    sf_buf_done(&body);
}

void answer_time(struct answer *a, const char *name, int64_t us)
{
    char text[SF_TIME_TEXT_SIZE];

    if (us < SF_TIME_US_MIN || us > SF_TIME_US_MAX) {
        sf_json_key(&a->json, name);
        sf_json_null(&a->json);
        return;
    }
    (void)sf_time_format(us, text);
    sf_json_member_text(&a->json, name, text);
}

void answer_base64(struct answer *a, const char *name, struct sf_slice bytes)
{
    struct sf_buf quoted = {0};

    sf_json_put_base64(&quoted, bytes);
    sf_json_key(&a->json, name);
    sf_json_raw(&a->json, sf_buf_view(&quoted));
    if (quoted.failed != SF_OK) {
        a->body.failed = quoted.failed;
    }
    sf_buf_done(&quoted);
}

void answer_texts(struct answer *a, const char *name, const char *const *texts, size_t count)
{
    sf_json_key(&a->json, name);
    sf_json_array_begin(&a->json);
    for (size_t i = 0; i < count; i++) {
        sf_json_text(&a->json, texts[i]);
    }
    sf_json_array_end(&a->json);
}
