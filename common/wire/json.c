#include "common/wire/json.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/str.h"
#include "common/wire/json_read.h"
#include "proto/errors.h"

/* Numbers stay text: yyjson would turn those beyond 64 bits, and all fractions, into doubles. */
static const yyjson_read_flag READ_FLAGS = YYJSON_READ_NUMBER_AS_RAW;

enum {
    FIRST_READER_BYTES = 16 * 1024,
    /* A reader that once read something large does not keep its memory for small texts. */
    KEPT_READER_BYTES = 1024 * 1024,
};

/* A struct sf_json_doc is a yyjson_doc, a struct sf_json a yyjson_val; neither is ever written. */
static yyjson_doc *doc_of(const struct sf_json_doc *doc)
{
    return (yyjson_doc *)(uintptr_t)doc;
}

static void *heap_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return sf_alloc(size);
}

static void *heap_realloc(void *ctx, void *old, size_t old_size, size_t size)
{
    (void)ctx;
    (void)old_size;
    return sf_realloc(old, size, 1);
}

static void heap_free(void *ctx, void *memory)
{
    (void)ctx;
    sf_free(memory);
}

static char *text_of(struct sf_slice s)
{
    /* yyjson takes a char * because it can be told to write there; READ_FLAGS does not. */
    return (char *)(uintptr_t)(s.size == 0 ? (const uint8_t *)"" : s.data);
}

static enum sf_code raise_read(const yyjson_read_err *why, struct sf_slice text,
                               struct sf_error *err)
{
    size_t line = 1;
    size_t column = 1;
    size_t character = 0;

    if (why->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) {
        return SF_RAISE(err, SF_NOMEM, "JSON of %zu bytes: out of memory", text.size);
    }
    if (text.size == 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "JSON expected, found nothing");
    }
    (void)yyjson_locate_pos(text_of(text), text.size, why->pos, &line, &column, &character);
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "line %zu, column %zu: %s", line,
                      column, why->msg);
}

static enum sf_code raise_deep(struct sf_error *err)
{
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "more than %d levels deep",
                      SF_JSON_DEPTH_MAX);
}

/* Values lie in one array in the order of the text; a container knows where its last one ends. */
bool sf_json_is_deep(const struct sf_json *v)
{
    yyjson_val *at = sf_json_yy(v);
    yyjson_val *end = unsafe_yyjson_get_next(at);
    yyjson_val *ends[SF_JSON_DEPTH_MAX];
    size_t depth = 0;

    for (; at < end; at++) {
        while (depth > 0 && at >= ends[depth - 1]) {
            depth--;
        }
        if (unsafe_yyjson_is_ctn(at)) {
            if (depth == SF_JSON_DEPTH_MAX) {
                return true;
            }
            ends[depth++] = unsafe_yyjson_get_next(at);
        }
    }
    return false;
}

static yyjson_doc *read_on_heap(struct sf_slice text, yyjson_read_err *why)
{
    const yyjson_alc heap = {.malloc = heap_alloc, .realloc = heap_realloc, .free = heap_free};

    return yyjson_read_opts(text_of(text), text.size, READ_FLAGS, &heap, why);
}

enum sf_code sf_json_parse(struct sf_slice text, struct sf_json_doc **ret, struct sf_error *err)
{
    yyjson_read_err why;
    yyjson_doc *doc = read_on_heap(text, &why);

    if (doc == NULL) {
        return raise_read(&why, text, err);
    }
    if (sf_json_is_deep(sf_json_of_yy(doc->root))) {
        yyjson_doc_free(doc);
        return raise_deep(err);
    }
    *ret = (struct sf_json_doc *)(void *)doc;
    return SF_OK;
}

void sf_json_free(struct sf_json_doc *doc)
{
    yyjson_doc_free(doc_of(doc));
}

const struct sf_json *sf_json_root(const struct sf_json_doc *doc)
{
    return sf_json_of_yy(doc_of(doc)->root);
}

void sf_json_reader_done(struct sf_json_reader *r)
{
    sf_free(r->memory);
    *r = (struct sf_json_reader){0};
}

static bool reader_reserve(struct sf_json_reader *r, size_t text_size)
{
    size_t wanted = yyjson_read_max_memory_usage(text_size, READ_FLAGS);
    size_t capacity = r->capacity < FIRST_READER_BYTES ? FIRST_READER_BYTES : r->capacity;

    if (wanted <= r->capacity &&
        (r->capacity <= KEPT_READER_BYTES || wanted > KEPT_READER_BYTES / 16)) {
        return true;
    }
    capacity = wanted <= capacity ? FIRST_READER_BYTES : capacity;
    while (capacity < wanted) {
        if (__builtin_mul_overflow(capacity, (size_t)2, &capacity)) {
            return false;
        }
    }
    sf_json_reader_done(r);
    r->memory = sf_alloc(capacity);
    r->capacity = r->memory == NULL ? 0 : capacity;
    return r->memory != NULL;
}

static yyjson_doc *read_into(struct sf_json_reader *r, struct sf_slice text, yyjson_read_err *why)
{
    yyjson_alc pool;
    yyjson_doc *doc;

    if (!reader_reserve(r, text.size)) {
        why->code = YYJSON_READ_ERROR_MEMORY_ALLOCATION;
        return NULL;
    }
    (void)yyjson_alc_pool_init(&pool, r->memory, r->capacity);
    /* The document is never freed: the next read starts over in the same memory. */
    doc = yyjson_read_opts(text_of(text), text.size, READ_FLAGS, &pool, why);
    if (doc == NULL && why->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) {
        /* What was reserved is enough for JSON, but not for some text that is none ("[[[[["). It is
         * not memory that is missing: the heap gives the true reason. */
        yyjson_doc *other = read_on_heap(text, why);

        if (other != NULL) {
            why->code = YYJSON_READ_ERROR_MEMORY_ALLOCATION;
            yyjson_doc_free(other);
        }
    }
    return doc;
}

enum sf_code sf_json_read(struct sf_json_reader *r, struct sf_slice text,
                          const struct sf_json **ret, struct sf_error *err)
{
    yyjson_read_err why;
    yyjson_doc *doc = read_into(r, text, &why);

    if (doc == NULL) {
        return raise_read(&why, text, err);
    }
    if (sf_json_is_deep(sf_json_of_yy(doc->root))) {
        return raise_deep(err);
    }
    *ret = sf_json_of_yy(doc->root);
    return SF_OK;
}

const struct sf_json *sf_json_read_quick(struct sf_json_reader *r, struct sf_slice text,
                                         enum sf_code *ret_code)
{
    yyjson_read_err why;
    yyjson_doc *doc = read_into(r, text, &why);

    if (doc == NULL) {
        *ret_code = why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? SF_NOMEM : SF_INVALID;
        return NULL;
    }
    return sf_json_of_yy(doc->root);
}

enum sf_json_kind sf_json_kind(const struct sf_json *v)
{
    return sf_json_kind_inline(v);
}

const char *sf_json_kind_text(enum sf_json_kind kind)
{
    static const char *const texts[] = {
        [SF_JSON_ABSENT] = "absent",      [SF_JSON_NULL] = "null",
        [SF_JSON_BOOL] = "true or false", [SF_JSON_NUMBER] = "a number",
        [SF_JSON_STRING] = "a string",    [SF_JSON_ARRAY] = "an array",
        [SF_JSON_OBJECT] = "an object",
    };

    return texts[kind];
}

size_t sf_json_count(const struct sf_json *v)
{
    enum sf_json_kind kind = sf_json_kind_inline(v);

    return kind == SF_JSON_ARRAY || kind == SF_JSON_OBJECT ? unsafe_yyjson_get_len(sf_json_yy(v))
                                                           : 0;
}

struct sf_json_iter sf_json_iter(const struct sf_json *v)
{
    struct sf_json_iter it = {.container = v, .left = sf_json_count(v)};

    if (it.left > 0) {
        it.at = sf_json_of_yy(unsafe_yyjson_get_first(sf_json_yy(v)));
    }
    return it;
}

bool sf_json_next(struct sf_json_iter *it)
{
    if (sf_json_kind_inline(it->container) == SF_JSON_OBJECT) {
        return sf_json_next_inline(it);
    }
    if (it->left == 0) {
        return false;
    }
    it->left--;
    it->value = it->at;
    it->at = sf_json_of_yy(unsafe_yyjson_get_next(sf_json_yy(it->at)));
    return true;
}

static const struct sf_json *get(const struct sf_json *v, struct sf_slice name)
{
    if (sf_json_kind_inline(v) == SF_JSON_OBJECT) {
        for (struct sf_json_iter it = sf_json_iter(v); sf_json_next_inline(&it);) {
            if (sf_slice_equal(it.key, name)) {
                return it.value;
            }
        }
    }
    return NULL;
}

const struct sf_json *sf_json_get(const struct sf_json *v, const char *name)
{
    return get(v, sf_slice_text(name));
}

const struct sf_json *sf_json_path(const struct sf_json *v, const char *path)
{
    for (;;) {
        size_t size = strcspn(path, ".");

        v = get(v, sf_slice_of(path, size));
        if (v == NULL || path[size] == '\0') {
            return v;
        }
        path += size + 1;
    }
}

const struct sf_json *sf_json_at(const struct sf_json *v, size_t index)
{
    if (sf_json_kind_inline(v) == SF_JSON_ARRAY) {
        for (struct sf_json_iter it = sf_json_iter(v); sf_json_next(&it);) {
            if (index-- == 0) {
                return it.value;
            }
        }
    }
    return NULL;
}

bool sf_json_as_slice(const struct sf_json *v, struct sf_slice *ret)
{
    if (sf_json_kind_inline(v) != SF_JSON_STRING) {
        return false;
    }
    *ret = sf_json_chars(v);
    return true;
}

bool sf_json_as_text(const struct sf_json *v, const char **ret)
{
    struct sf_slice s;

    if (!sf_json_as_slice(v, &s) || memchr(s.data, '\0', s.size) != NULL) {
        return false;
    }
    *ret = (const char *)s.data;
    return true;
}

const char *sf_json_text_of(const struct sf_json *object, const char *name)
{
    const char *text = "";

    (void)sf_json_as_text(sf_json_get(object, name), &text);
    return text;
}

bool sf_json_as_bool(const struct sf_json *v, bool *ret)
{
    if (sf_json_kind_inline(v) != SF_JSON_BOOL) {
        return false;
    }
    *ret = unsafe_yyjson_get_bool(sf_json_yy(v));
    return true;
}

bool sf_json_as_number_text(const struct sf_json *v, struct sf_slice *ret)
{
    if (sf_json_kind_inline(v) != SF_JSON_NUMBER) {
        return false;
    }
    *ret = sf_json_chars(v);
    return true;
}

bool sf_json_as_int(const struct sf_json *v, int64_t *ret)
{
    struct sf_slice s;

    return sf_json_as_number_text(v, &s) && sf_parse_i64(s, ret) == SF_PARSE_OK;
}

bool sf_json_as_uint(const struct sf_json *v, uint64_t *ret)
{
    struct sf_slice s;

    return sf_json_as_number_text(v, &s) && sf_parse_u64(s, ret) == SF_PARSE_OK;
}

bool sf_json_as_double(const struct sf_json *v, double *ret)
{
    struct sf_slice s;

    return sf_json_as_number_text(v, &s) && sf_parse_double(s, ret) == SF_PARSE_OK;
}
