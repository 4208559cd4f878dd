/* Changes of this domain's own products as a stream over HTTP (query_http.h). */
#include "common/base/alloc.h"
#include "leaf/query/follow_stream.h"
#include "leaf/query/query_http.h"
#include "leaf/serving/deprecation.h"
#include "leaf/serving/http_answer.h"

struct follower {
    struct follow_stream stream;
    struct follow *follow;
};

static void follower_free(struct follower *f)
{
    follow_stream_done(&f->stream);
    sf_free(f);
}

static enum follow_reply on_event(void *data, const struct follow_event *e)
{
    struct follower *f = data;
    SF_CLEANUP(sf_buf_done) struct sf_buf line = {0};

    if (e->kind == FOLLOW_END) {
        follow_stream_end(&f->stream, e);
        follower_free(f);
        return FOLLOW_DROP;
    }
    follow_write(e, &line);
    if (line.failed == SF_OK) {
        switch (follow_stream_put(&f->stream, e->kind, e->epoch, e->seq, sf_buf_view(&line))) {
        case FOLLOW_PUT_DONE:
            return FOLLOW_GO;
        case FOLLOW_PUT_HELD:
            return FOLLOW_WAIT;
        case FOLLOW_PUT_FAILED:
            break;
        }
    }
    sf_http_stream_end(f->stream.request, /* complete= */ false);
    follower_free(f);
    return FOLLOW_DROP;
}

static void on_drain(struct sf_http_request *r, void *data)
{
    struct follower *f = data;

    (void)r;
    switch (follow_stream_drain(&f->stream)) {
    case FOLLOW_PUT_HELD:
        return;
    case FOLLOW_PUT_DONE:
        follow_resume(f->follow);
        return;
    case FOLLOW_PUT_FAILED:
        follow_close(f->follow);
        sf_http_stream_end(f->stream.request, /* complete= */ false);
        follower_free(f);
        return;
    }
}

static void on_abort(struct sf_http_request *r, void *data)
{
    struct follower *f = data;

    (void)r;
    follow_close(f->follow);
    follower_free(f);
}

void query_http_follow(struct queries *qs, const struct http_read *what, struct sf_http_request *r)
{
    struct follow_spec spec = {
        .product = what->product,
        .major = what->major,
        .table = what->table,
        .select = sf_http_query(r, "select"),
        .after = follow_stream_after(r),
        .since = follow_stream_after(r) == NULL ? sf_http_query(r, "since") : NULL,
    };
    struct follower *f = sf_calloc(1, sizeof(*f));
    struct sf_error err;
    enum sf_code code =
        f == NULL ? SF_RAISE(&err, SF_NOMEM, "request") : follow_stream_params(r, &spec, &err);

    if (code == SF_OK) {
        code = follow_start(qs, &spec, on_event, f, &f->follow, &err);
    }
    if (code != SF_OK) {
        sf_free(f);
        http_problem(r, &err);
        return;
    }
    deprecation_tell_of(r, follow_product(f->follow));
    follow_stream_begin(&f->stream, r);
    sf_http_set_hooks(
        r, &(struct sf_http_hooks){.on_abort = on_abort, .on_drain = on_drain, .data = f});
}
