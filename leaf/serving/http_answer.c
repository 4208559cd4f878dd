#include "leaf/serving/http_answer.h"

#include "common/wire/problem.h"

void http_problem_document(struct sf_http_request *r, const struct sf_error *err,
                           struct sf_buf *document)
{
    static const struct sf_http_header retry = {"Retry-After", "1"};
    const unsigned status = sf_problem_info(err)->http_status;

    sf_http_respond(r, status, "application/problem+json", &retry, status == 429 ? 1 : 0,
                    document->failed == SF_OK ? sf_buf_view(document) : SF_LITERAL("{}"));
}

void http_problem(struct sf_http_request *r, const struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf document = {0};
    struct sf_json_writer w = {.out = &document};

    sf_problem_begin(&w, err);
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
