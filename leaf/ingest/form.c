#include "leaf/ingest/form.h"

#include <string.h>
#include <strings.h>

#include "common/wire/problem.h"

static const struct {
    const char *type;
    enum batch_format format;
} types[] = {
    {"application/x-ndjson", BATCH_NDJSON},
    {"application/json", BATCH_JSON},
    {"text/csv", BATCH_CSV},
};

static enum sf_code read_type(const char *text, enum batch_format *ret, struct sf_error *err)
{
    const size_t n = text == NULL ? 0 : strcspn(text, "; ");

    for (size_t i = 0; i < SF_COUNT(types); i++) {
        if (n == strlen(types[i].type) && strncasecmp(text, types[i].type, n) == 0) {
            *ret = types[i].format;
            return SF_OK;
        }
    }
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_UNSUPPORTED_MEDIA, "content type is %s",
                      text == NULL ? "missing" : "another");
}

static enum sf_code read_coding(const char *text, enum sf_coding *ret, struct sf_error *err)
{
    return sf_coding_of(text, ret) ? SF_OK
                                   : SF_RAISE_E(err, SF_INVALID, SHEAF_E_UNSUPPORTED_MEDIA,
                                                "content encoding is another");
}

/* Whether @text is @yes (true), @no or absent (false). */
static enum sf_code read_choice(const char *name, const char *text, const char *yes, const char *no,
                                bool *ret, struct sf_error *err)
{
    *ret = text != NULL && strcmp(text, yes) == 0;
    if (text != NULL && !*ret && strcmp(text, no) != 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'%s' must be %s or %s", name, yes,
                          no);
    }
    return SF_OK;
}

enum sf_code ingest_form_read(const struct ingest_form *form, struct ingest_request *ret,
                              struct sf_error *err)
{
    bool reject = false;
    enum sf_code code = read_type(form->content_type, &ret->format, err);

    if (code == SF_OK) {
        code = read_coding(form->content_encoding, &ret->coding, err);
    }
    if (code == SF_OK) {
        code = read_choice("on_invalid", form->on_invalid, "reject", "quarantine", &reject, err);
    }
    if (code == SF_OK) {
        ret->on_invalid = reject ? INGEST_REJECT : INGEST_QUARANTINE;
        code = read_choice("envelope", form->envelope, "change", "none", &ret->has_envelope, err);
    }
    if (code == SF_OK && ret->has_envelope && ret->format == BATCH_CSV) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'envelope' needs NDJSON or JSON");
    }
    return code;
}

static void write_errors(struct sf_json_writer *w, const struct sf_table *table,
                         const struct ingest_result *result)
{
    sf_json_key(w, "errors");
    sf_json_array_begin(w);
    for (size_t i = 0; i < result->error_count; i++) {
        const struct batch_error *e = &result->errors[i];

        sf_json_object_begin(w);
        sf_json_member_uint(w, result->by_index ? "index" : "line", e->line);
        sf_json_key(w, "code");
        sf_json_printf(w, "SHEAF-E%04u", e->violation.number);
        if (e->violation.field >= 0) {
            sf_json_member_text(w, "field", table->fields[e->violation.field].name);
        }
        sf_json_member_text(w, "detail", e->violation.text);
        sf_json_object_end(w);
    }
    sf_json_array_end(w);
}

void ingest_form_answer(const struct sf_table *table, const struct ingest_result *result,
                        struct sf_buf *out)
{
    struct sf_json_writer w = {.out = out};

    sf_json_object_begin(&w);
    sf_json_member_uint(&w, "epoch", result->epoch);
    sf_json_member_uint(&w, "first_seq", result->first_seq);
    sf_json_member_uint(&w, "last_seq", result->last_seq);
    sf_json_member_uint(&w, "commit", result->commit);
    sf_json_member_uint(&w, "accepted", result->accepted);
    sf_json_member_uint(&w, "quarantined", result->quarantined);
    write_errors(&w, table, result);
    sf_json_object_end(&w);
}

void ingest_form_refusal(const struct sf_table *table, const struct ingest_result *result,
                         const struct sf_error *err, struct sf_buf *out)
{
    struct sf_json_writer w = {.out = out};

    sf_problem_begin(&w, err);
    if (result->error_count > 0) {
        sf_json_member_uint(&w, "invalid", result->quarantined);
        write_errors(&w, table, result);
    }
    sf_json_object_end(&w);
}
