#include "leaf/serving/http_answer.h"

#include "proto/errors.h"

uint16_t http_error_number(const struct sf_error *err)
{
    if (err->number != 0) {
        return err->number;
    }
    switch (err->code) {
    case SF_BUSY:
    case SF_NOMEM:
        return SHEAF_E_BUSY;
    case SF_INVALID:
        return SHEAF_E_BAD_REQUEST;
    case SF_ABSENT:
        return SHEAF_E_NO_SUCH_PATH;
    case SF_DENIED:
        return SHEAF_E_DENIED;
    case SF_CONFLICT:
        return SHEAF_E_WRONG_STATE;
    case SF_IO:
        return SHEAF_E_STORE_FAILED;
    case SF_CORRUPT:
        return SHEAF_E_STORE_CORRUPT;
    case SF_TIMEOUT:
    case SF_UNAVAILABLE:
    case SF_CLOSED:
        return SHEAF_E_LEAF_UNREACHABLE;
    case SF_OK:
        break;
    }
    return SHEAF_E_INTERNAL;
}

void http_problem_begin(struct sf_json_writer *w, const struct sf_error *err)
{
    const struct sheaf_error_info *info = sheaf_error_info(http_error_number(err));

    sf_json_object_begin(w);
    sf_json_member_text(w, "type", "about:blank");
    sf_json_member_text(w, "title", info->title);
    sf_json_member_uint(w, "status", info->http_status);
    sf_json_member_text(w, "detail", err->text);
    sf_json_key(w, "code");
    sf_json_printf(w, "SHEAF-E%04u", info->number);
    sf_json_member_text(w, "next", info->next);
}

void http_problem_document(struct sf_http_request *r, const struct sf_error *err,
                           struct sf_buf *document)
{
    static const struct sf_http_header retry = {"Retry-After", "1"};
    const unsigned status = sheaf_error_info(http_error_number(err))->http_status;

    sf_http_respond(r, status, "application/problem+json", &retry, status == 429 ? 1 : 0,
                    document->failed == SF_OK ? sf_buf_view(document) : SF_LITERAL("{}"));
}

void http_problem(struct sf_http_request *r, const struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf document = {0};
    struct sf_json_writer w = {.out = &document};

    http_problem_begin(&w, err);
    sf_json_object_end(&w);
    http_problem_document(r, err, &document);
}

void http_json(struct sf_http_request *r, unsigned status, struct sf_buf *document)
{
    struct sf_error err;

    if (sf_buf_check(document, "answer", &err) != SF_OK) {
        http_problem(r, &err);
        return;
    }
    sf_http_respond(r, status, "application/json", NULL, 0, sf_buf_view(document));
}
