#include "leaf/ingest/mend_http.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/base/str.h"
#include "common/wire/problem.h"
#include "leaf/ingest/form.h"
#include "leaf/serving/http_answer.h"

struct mending {
    struct sf_http_request *request; /* NULL once the client has left */
    enum mend_what what;
};

bool mend_http_entry(const char *text, uint64_t *ret)
{
    return sf_parse_u64(sf_slice_text(text), ret) == SF_PARSE_OK && *ret > 0;
}

static const char *kind_of(enum mend_what what)
{
    switch (what) {
    case MEND_REPLAY:
        return "QuarantineReplay";
    case MEND_FIX:
        return "QuarantineFix";
    case MEND_DROP:
        return "QuarantineDrop";
    }
    return "";
}

static void answer(const struct mending *g, const struct mend_result *result)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    struct sf_json_writer w = {.out = &out};

    sf_json_object_begin(&w);
    sf_json_member_text(&w, "apiVersion", "sheaf/v1");
    sf_json_member_text(&w, "kind", kind_of(g->what));
    sf_json_member_uint(&w, "seen", result->seen);
    sf_json_member_uint(&w, g->what == MEND_DROP ? "dropped" : "accepted", result->resolved);
    if (g->what != MEND_DROP) {
        sf_json_member_uint(&w, "left", result->left);
        sf_json_member_uint(&w, "epoch", result->epoch);
        sf_json_member_uint(&w, "first_seq", result->first_seq);
        sf_json_member_uint(&w, "last_seq", result->last_seq);
    }
    sf_json_member_uint(&w, "last", result->last);
    sf_json_member_uint(&w, "until", result->until);
    sf_json_member_bool(&w, "more", result->more);
    if (g->what != MEND_DROP) {
        sf_json_key(&w, "errors");
        sf_json_raw(&w, result->errors);
    }
    sf_json_object_end(&w);
    http_json(g->request, 200, &out);
}

static void refuse(const struct mending *g, const struct mend_result *result,
                   const struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    struct sf_json_writer w = {.out = &out};

    sf_problem_begin(&w, err);
    if (err->number == SHEAF_E_RECORD_INVALID) {
        sf_json_key(&w, "errors");
        sf_json_raw(&w, result->errors);
    }
    sf_json_object_end(&w);
    http_problem_document(g->request, err, &out);
}

static void on_done(void *data, const struct mend_result *result, const struct sf_error *err)
{
    struct mending *g = data;

    if (g->request != NULL && err == NULL) {
        answer(g, result);
    } else if (g->request != NULL) {
        refuse(g, result, err);
    }
    sf_free(g);
}

static void on_abort(struct sf_http_request *r, void *data)
{
    struct mending *g = data;

    (void)r;
    g->request = NULL;
}

/* --- parameters ------------------------------------------------------------------------------- */

static enum sf_code read_number(struct sf_http_request *r, const char *name, uint64_t *ret,
                                struct sf_error *err)
{
    const char *text = sf_http_query(r, name);

    if (text != NULL && sf_parse_u64(sf_slice_text(text), ret) != SF_PARSE_OK) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'%s' must be a whole number",
                          name);
    }
    return SF_OK;
}

static enum sf_code read_overwrite(struct sf_http_request *r, bool *ret, struct sf_error *err)
{
    const char *text = sf_http_query(r, "overwrite");

    *ret = text != NULL && strcmp(text, "true") == 0;
    return text == NULL || *ret || strcmp(text, "false") == 0
               ? SF_OK
               : SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                            "'overwrite' must be true or false");
}

static enum sf_code read_choice(struct sf_http_request *r, int64_t now_us, struct mend_request *ret,
                                struct sf_error *err)
{
    const struct quarantine_filter_form form = {
        .code = sf_http_query(r, "code"),
        .field = sf_http_query(r, "field"),
        .older_than = sf_http_query(r, "older_than"),
        .newer_than = sf_http_query(r, "newer_than"),
    };
    enum sf_code code = quarantine_filter_read(&form, now_us, &ret->filter, err);

    code = code == SF_OK ? read_number(r, "after", &ret->after, err) : code;
    code = code == SF_OK ? read_number(r, "until", &ret->until, err) : code;
    code = code == SF_OK ? read_number(r, "limit", &ret->limit, err) : code;
    return ret->entry == 0 && code == SF_OK ? read_number(r, "entry", &ret->entry, err) : code;
}

static enum sf_code read_fix(struct sf_http_request *r, struct mend_request *ret,
                             struct sf_error *err)
{
    struct ingest_request as_ingest = {0};
    const struct ingest_form form = {
        .content_type = sf_http_header_of(r, "Content-Type"),
        .envelope = sf_http_query(r, "envelope"),
    };
    enum sf_code code = sf_http_header_of(r, "Content-Encoding") == NULL
                            ? ingest_form_read(&form, &as_ingest, err)
                            : SF_RAISE_E(err, SF_INVALID, SHEAF_E_UNSUPPORTED_MEDIA,
                                         "a fix is one record, not compressed");

    ret->format = as_ingest.format;
    ret->has_envelope = as_ingest.has_envelope;
    if (code == SF_OK) {
        sf_http_take_body(r, &ret->body);
    }
    return code;
}

/* What method and path ask for. SF_ABSENT: the path is none of ours. */
static enum sf_code read_what(const struct mend_http *what, const char *method,
                              struct mend_request *ret, struct sf_error *err)
{
    const bool is_post = strcmp(method, "POST") == 0;

    if (what->entry != NULL && !(is_post && strcmp(what->entry, "replay") == 0) &&
        !mend_http_entry(what->entry, &ret->entry)) {
        return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_NO_SUCH_PATH, "quarantine/%.40s", what->entry);
    }
    ret->what = strcmp(method, "DELETE") == 0 ? MEND_DROP
                : ret->entry != 0             ? MEND_FIX
                                              : MEND_REPLAY;
    return ret->what == MEND_DROP || (is_post && what->entry != NULL)
               ? SF_OK
               : SF_RAISE_E(err, SF_INVALID, SHEAF_E_METHOD_NOT_ALLOWED, "%s", method);
}

static enum sf_code read_request(const struct mend_http *what, struct sf_http_request *r,
                                 struct mend_request *ret, struct sf_error *err)
{
    enum sf_code code = read_what(what, sf_http_method(r), ret, err);

    if (code == SF_OK) {
        code = read_overwrite(r, &ret->overwrite, err);
    }
    if (code != SF_OK) {
        return code;
    }
    return ret->what == MEND_FIX ? read_fix(r, ret, err)
                                 : read_choice(r, sf_rt_wall_us(what->rt), ret, err);
}

void mend_http(const struct mend_http *what, struct sf_http_request *r)
{
    struct mend_request request = {.table = what->table, .user = what->user};
    struct mending *g = NULL;
    uint64_t qseq = 0;
    struct sf_error err;
    enum sf_code code;

    if (strcmp(sf_http_method(r), "GET") == 0 && what->entry != NULL &&
        mend_http_entry(what->entry, &qseq)) {
        mend_show_http(what, qseq, r);
        return;
    }
    code = read_request(what, r, &request, &err);
    if (code == SF_OK) {
        g = sf_calloc(1, sizeof(*g));
        code = g == NULL ? SF_RAISE(&err, SF_NOMEM, "request") : SF_OK;
    }
    if (code == SF_OK) {
        *g = (struct mending){.request = r, .what = request.what};
        sf_http_set_hooks(r, &(struct sf_http_hooks){.on_abort = on_abort, .data = g});
        code = mend_start(what->mender, &request, on_done, g, &err);
    } else {
        sf_buf_done(&request.body);
    }
    if (code != SF_OK) {
        sf_http_set_hooks(r, &(struct sf_http_hooks){0});
        sf_free(g);
        http_problem(r, &err);
    }
}
