#include "leaf/ingest/form.h"

#include <string.h>
#include <strings.h>

#include "common/base/str.h"
#include "common/wire/problem.h"
#include "leaf/ingest/idem.h"

static const struct {
    const char *type;
    enum batch_format format;
} types[] = {
    {"application/x-ndjson", BATCH_NDJSON},
    {"application/json", BATCH_JSON},
    {"text/csv", BATCH_CSV},
    {"application/protobuf", BATCH_PROTOBUF},
    {"application/x-protobuf", BATCH_PROTOBUF},
};

static enum sf_code read_type(const char *text, enum batch_format *ret, struct sf_error *err)
{
    const size_t n = text == NULL ? 0 : strcspn(text, "; ");

    for (size_t i = 0; text != NULL && i < SF_COUNT(types); i++) {
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

/* "EPOCH:SEQ" with the quotes of an entity tag, or the ETag of rows, which begins so and goes on
 * behind a dot. */
static bool read_tag(const char *text, struct ingest_request *ret)
{
    const size_t n = strlen(text);
    const char *colon = strchr(text, ':');
    const size_t end = strcspn(text, ".");
    const size_t last = end < n ? end : n - 1;
    uint64_t epoch;

    if (n < 2 || text[0] != '"' || text[n - 1] != '"' || colon == NULL || colon > text + last ||
        sf_parse_u64(sf_slice_of(text + 1, (size_t)(colon - text) - 1), &epoch) != SF_PARSE_OK ||
        epoch > UINT32_MAX ||
        sf_parse_u64(sf_slice_of(colon + 1, last - (size_t)(colon + 1 - text)), &ret->expect_seq) !=
            SF_PARSE_OK) {
        return false;
    }
    ret->expect_epoch = (uint32_t)epoch;
    return true;
}

static enum sf_code read_expectation(const struct ingest_form *form, struct ingest_request *ret,
                                     struct sf_error *err)
{
    const bool has_tag = form->if_match != NULL && strcmp(form->if_match, "*") != 0;

    if (ret->product != NULL) { /* TABLE:SEQ,..., read with the tables at hand */
        ret->expect_tables = form->expected_seq;
        return !has_tag ? SF_OK
                        : SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                                     "If-Match is of one table; give 'expected_seq'");
    }
    if (has_tag && form->expected_seq != NULL) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "give 'expected_seq' or If-Match, not both");
    }
    if (has_tag) {
        ret->expect = INGEST_EXPECT_POSITION;
        return read_tag(form->if_match, ret)
                   ? SF_OK
                   : SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                                "If-Match must be one position in quotes: \"EPOCH:SEQ\"");
    }
    if (form->expected_seq != NULL) {
        ret->expect = INGEST_EXPECT_SEQ;
        if (sf_parse_u64(sf_slice_text(form->expected_seq), &ret->expect_seq) != SF_PARSE_OK ||
            ret->expect_seq == STORE_ANY) {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                              "'expected_seq' must be a whole number from 0 on");
        }
    }
    return SF_OK;
}

static enum sf_code read_key(const char *key, struct ingest_request *ret, struct sf_error *err)
{
    ret->idempotency_key = key;
    return key == NULL || idem_key_is_valid(key)
               ? SF_OK
               : SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                            "Idempotency-Key must have 1 to %d visible ASCII characters",
                            IDEM_KEY_MAX);
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
    ret->has_envelope = ret->has_envelope || ret->product != NULL;
    if (code == SF_OK && ret->has_envelope &&
        (ret->format == BATCH_CSV || ret->format == BATCH_PROTOBUF)) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_UNSUPPORTED_MEDIA,
                          "%s must be application/x-ndjson or application/json, not %s",
                          ret->product != NULL ? "records that name their table"
                                               : "changes in envelopes",
                          ret->format == BATCH_CSV ? "text/csv" : "application/protobuf");
    }
    if (code == SF_OK) {
        code = read_expectation(form, ret, err);
    }
    if (code == SF_OK) {
        code = read_key(form->idempotency_key, ret, err);
    }
    return code;
}

static void write_tables(const struct ingest_result *result, struct sf_json_writer *w)
{
    sf_json_key(w, "tables");
    sf_json_array_begin(w);
    for (size_t i = 0; i < result->table_count; i++) {
        const struct ingest_table_result *t = &result->tables[i];

        sf_json_object_begin(w);
        sf_json_member_slice(w, "table", t->table);
        sf_json_member_uint(w, "first_seq", t->first_seq);
        sf_json_member_uint(w, "last_seq", t->last_seq);
        sf_json_member_uint(w, "accepted", t->accepted);
        sf_json_member_uint(w, "quarantined", t->quarantined);
        sf_json_object_end(w);
    }
    sf_json_array_end(w);
}

void ingest_form_members(const struct ingest_result *result, struct sf_json_writer *w)
{
    sf_json_member_uint(w, "epoch", result->epoch);
    if (!result->names_tables) {
        sf_json_member_uint(w, "first_seq", result->first_seq);
        sf_json_member_uint(w, "last_seq", result->last_seq);
    }
    sf_json_member_uint(w, "commit", result->commit);
    sf_json_member_uint(w, "accepted", result->accepted);
    sf_json_member_uint(w, "quarantined", result->quarantined);
    if (result->names_tables) {
        write_tables(result, w);
    }
    if (result->duplicates > 0) {
        sf_json_member_uint(w, "duplicates", result->duplicates);
    }
    if (result->unchanged > 0) {
        sf_json_member_uint(w, "unchanged", result->unchanged);
    }
    if (result->cleaned.size > 0) {
        sf_json_key(w, "cleaned");
        sf_json_raw(w, result->cleaned);
    }
    sf_json_key(w, "errors");
    sf_json_raw(w, result->errors);
}

void ingest_form_answer(const struct ingest_result *result, struct sf_buf *out)
{
    struct sf_json_writer w = {.out = out};

    sf_json_object_begin(&w);
    ingest_form_members(result, &w);
    sf_json_object_end(&w);
}

void ingest_form_refusal(const struct ingest_result *result, const struct sf_error *err,
                         struct sf_buf *out)
{
    struct sf_json_writer w = {.out = out};

    sf_problem_begin(&w, err);
    if (result->quarantined > 0 && result->errors.size > 0) {
        sf_json_member_uint(&w, "invalid", result->quarantined);
        sf_json_key(&w, "errors");
        sf_json_raw(&w, result->errors);
    }
    sf_json_object_end(&w);
}
