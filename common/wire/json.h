/*
 * JSON: documents that are read once and never change, and a writer that puts the commas itself.
 *
 * Numbers keep their text, so that every int64 and every decimal is exact. Strings are valid UTF-8.
 *
 *   Memory    A document owns its values; a value and its strings live as long as the document.
 *             sf_json_free() releases it.
 *   Limits    SF_JSON_DEPTH_MAX levels; the caller bounds the size of the text. Reading takes up to
 *             about 14 times the text for the time of the call.
 *   Threads   A document is read-only, so any thread may read it; a reader or writer has one user.
 */
#pragma once

#include "common/base/attr.h"
#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/slice.h"

enum { SF_JSON_DEPTH_MAX = 64 };

enum sf_json_kind {
    SF_JSON_ABSENT, /* a NULL value: no such member */
    SF_JSON_NULL,
    SF_JSON_BOOL,
    SF_JSON_NUMBER,
    SF_JSON_STRING,
    SF_JSON_ARRAY,
    SF_JSON_OBJECT,
};

struct sf_json_doc;
struct sf_json; /* a value inside a document; every function takes NULL as "absent" */

/* --- reading ---------------------------------------------------------------------------------- */

/*
 * Reads one JSON text into a document of its own. @text is copied.
 * SF_INVALID: not JSON, not UTF-8, or too deep ("line 2, column 7: ..."; number E0301, which a
 * caller that knows better overwrites); SF_NOMEM.
 */
enum sf_code sf_json_parse(struct sf_slice text, struct sf_json_doc **ret,
                           struct sf_error *err) SF_MUST_CHECK;
void sf_json_free(struct sf_json_doc *doc);
SF_DEFINE_CLEANUP(struct sf_json_doc, sf_json_free)
const struct sf_json *sf_json_root(const struct sf_json_doc *doc);

/* Reads one text after another with the same memory, so that most reads take nothing from the heap.
 */
struct sf_json_reader {
    void *memory; /* owned */
    size_t capacity;
};

void sf_json_reader_done(struct sf_json_reader *r);
/* As sf_json_parse(); the value lives until the next read with @r. A zeroed reader is ready. */
enum sf_code sf_json_read(struct sf_json_reader *r, struct sf_slice text,
                          const struct sf_json **ret, struct sf_error *err) SF_MUST_CHECK;

enum sf_json_kind sf_json_kind(const struct sf_json *v);
/* "a string", "an object", ... */
const char *sf_json_kind_text(enum sf_json_kind kind);
/* Members of an object, elements of an array; 0 for anything else. */
size_t sf_json_count(const struct sf_json *v);
/* Member of an object, the first one of that name; NULL when absent or @v is not an object. */
const struct sf_json *sf_json_get(const struct sf_json *v, const char *name);
/* Member of a member: "spec.grant.id". Names that hold a dot cannot be reached this way. */
const struct sf_json *sf_json_path(const struct sf_json *v, const char *path);
/* Element of an array; NULL behind its end. Takes time in proportion to @index: iterate instead. */
const struct sf_json *sf_json_at(const struct sf_json *v, size_t index);

/* for (struct sf_json_iter it = sf_json_iter(v); sf_json_next(&it);) { it.key, it.value } */
struct sf_json_iter {
    const struct sf_json *container;
    const struct sf_json *at;
    size_t left;
    struct sf_slice key; /* of an object's member; NUL-terminated */
    const struct sf_json *value;
};

/* Over the members of an object or the elements of an array; over nothing for other values. */
struct sf_json_iter sf_json_iter(const struct sf_json *v);
bool sf_json_next(struct sf_json_iter *it);

/* False, with *ret untouched, when @v is absent, of another kind, or does not fit. */
bool sf_json_as_slice(const struct sf_json *v, struct sf_slice *ret); /* string */
bool sf_json_as_text(const struct sf_json *v, const char **ret); /* string without a NUL inside */
bool sf_json_as_bool(const struct sf_json *v, bool *ret);
bool sf_json_as_int(const struct sf_json *v, int64_t *ret); /* digits only: not 1.0, not 1e3 */
bool sf_json_as_uint(const struct sf_json *v, uint64_t *ret);
bool sf_json_as_double(const struct sf_json *v, double *ret); /* any finite number */
/* Member @name of @object as text; "" when there is none, or no text. As long as the document. */
const char *sf_json_text_of(const struct sf_json *object, const char *name);
/* The characters of a number as they were written. */
bool sf_json_as_number_text(const struct sf_json *v, struct sf_slice *ret);

/*
 * Members of a request body. With SF_JSON_OPTIONAL, absent and null leave *ret untouched and are
 * SF_OK; with SF_JSON_REQUIRED they are SF_INVALID, as another kind is: "'purpose' is missing",
 * "'limit' must be a whole number from 0 to 1000" (number E0301).
 */
enum sf_json_need { SF_JSON_OPTIONAL, SF_JSON_REQUIRED };

enum sf_code sf_json_read_text(const struct sf_json *object, const char *name,
                               enum sf_json_need need, const char **ret,
                               struct sf_error *err) SF_MUST_CHECK;
enum sf_code sf_json_read_bool(const struct sf_json *object, const char *name,
                               enum sf_json_need need, bool *ret,
                               struct sf_error *err) SF_MUST_CHECK;
struct sf_json_range {
    int64_t min;
    int64_t max;
};
enum sf_code sf_json_read_int(const struct sf_json *object, const char *name,
                              enum sf_json_need need, struct sf_json_range range, int64_t *ret,
                              struct sf_error *err) SF_MUST_CHECK;
/* *ret is an object or array of this kind. */
enum sf_code sf_json_read_value(const struct sf_json *object, const char *name,
                                enum sf_json_need need, enum sf_json_kind kind,
                                const struct sf_json **ret, struct sf_error *err) SF_MUST_CHECK;
/*
 * That @v is an object with no member twice and none but @names (NULL-terminated, at most 64).
 * SF_INVALID: "'limt' is not known here; known: limit, cursor". The second tells which of them it
 * has: bit i stands for names[i].
 */
enum sf_code sf_json_check_names(const struct sf_json *v, const char *const *names,
                                 struct sf_error *err) SF_MUST_CHECK;
enum sf_code sf_json_match_names(const struct sf_json *v, const char *const *names, uint64_t *ret,
                                 struct sf_error *err) SF_MUST_CHECK;

/* --- writing ---------------------------------------------------------------------------------- */

/*
 * Writes into @out; failure is the buffer's sticky one (sf_buf_check). Wrong nesting is a bug.
 *     struct sf_json_writer w = {.out = &body};
 *     sf_json_object_begin(&w); sf_json_member_text(&w, "kind", "Product"); sf_json_object_end(&w);
 */
struct sf_json_writer {
    struct sf_buf *out; /* borrowed */
    bool pretty;        /* two spaces per level; otherwise one line */
    bool after_key;
    uint32_t depth;
    uint64_t is_object; /* bit per level */
    uint64_t has_items; /* bit per level: a comma is due */
};

void sf_json_object_begin(struct sf_json_writer *w);
void sf_json_object_end(struct sf_json_writer *w);
void sf_json_array_begin(struct sf_json_writer *w);
void sf_json_array_end(struct sf_json_writer *w);
void sf_json_key(struct sf_json_writer *w, const char *name);
void sf_json_key_slice(struct sf_json_writer *w, struct sf_slice name);

/* Bytes that are not UTF-8 become U+FFFD. */
void sf_json_slice(struct sf_json_writer *w, struct sf_slice s);
void sf_json_text(struct sf_json_writer *w, const char *text); /* NULL: null */
void sf_json_printf(struct sf_json_writer *w, const char *fmt, ...) SF_PRINTF(2, 3);
void sf_json_int(struct sf_json_writer *w, int64_t value);
void sf_json_uint(struct sf_json_writer *w, uint64_t value);
void sf_json_double(struct sf_json_writer *w, double value); /* shortest that reads back equal */
void sf_json_bool(struct sf_json_writer *w, bool value);
void sf_json_null(struct sf_json_writer *w);
void sf_json_raw(struct sf_json_writer *w, struct sf_slice json);      /* one JSON value as it is */
void sf_json_value(struct sf_json_writer *w, const struct sf_json *v); /* a copy; absent: null */

void sf_json_member_text(struct sf_json_writer *w, const char *name, const char *text);
void sf_json_member_slice(struct sf_json_writer *w, const char *name, struct sf_slice s);
void sf_json_member_int(struct sf_json_writer *w, const char *name, int64_t value);
void sf_json_member_uint(struct sf_json_writer *w, const char *name, uint64_t value);
void sf_json_member_bool(struct sf_json_writer *w, const char *name, bool value);

/* Pieces for those who build lines by hand. */
void sf_json_put_string(struct sf_buf *out, struct sf_slice utf8);  /* quoted; must be UTF-8 */
void sf_json_put_double(struct sf_buf *out, double value);          /* finite */
void sf_json_put_base64(struct sf_buf *out, struct sf_slice bytes); /* quoted, with padding */
