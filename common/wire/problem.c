#include "common/wire/problem.h"

static uint16_t number_of(const struct sf_error *err)
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

const struct sheaf_error_info *sf_problem_info(const struct sf_error *err)
{
    return sheaf_error_info(number_of(err));
}

void sf_problem_begin(struct sf_json_writer *w, const struct sf_error *err)
{
    const struct sheaf_error_info *info = sf_problem_info(err);

    sf_json_object_begin(w);
    sf_json_member_text(w, "type", "about:blank");
    sf_json_member_text(w, "title", info->title);
    sf_json_member_uint(w, "status", info->http_status);
    sf_json_member_text(w, "detail", err->text);
    sf_json_key(w, "code");
    sf_json_printf(w, "SHEAF-E%04u", info->number);
    sf_json_member_text(w, "next", info->next);
}

struct sf_slice sf_problem_view(const struct sf_buf *document, const struct sf_error *err)
{
    return document->failed == SF_OK
               ? sf_buf_view(document)
               : sf_slice_text(sheaf_error_document_of(sf_problem_info(err)->number));
}

enum sf_code sf_problem_code(unsigned http_status)
{
    switch (http_status) {
    case 401:
    case 403:
        return SF_DENIED;
    case 404:
    case 410:
        return SF_ABSENT;
    case 409:
        return SF_CONFLICT;
    case 429:
        return SF_BUSY;
    case 503:
    case 504:
        return SF_UNAVAILABLE;
    default:
        return http_status >= 500 ? SF_IO : SF_INVALID;
    }
}
