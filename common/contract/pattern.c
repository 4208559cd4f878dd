#include "common/contract/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "common/base/alloc.h"

enum {
    MATCH_STEPS_MAX = 100000,
    MATCH_HEAP_KIB_MAX = 1024,
};

struct sf_pattern {
    pcre2_general_context *memory;
    pcre2_match_context *limits;
    pcre2_code *code;
};

static void *take_memory(size_t size, void *data)
{
    (void)data;
    return sf_alloc(size);
}

static void give_memory(void *memory, void *data)
{
    (void)data;
    sf_free(memory);
}

void sf_pattern_free(struct sf_pattern *p)
{
    if (p == NULL) {
        return;
    }
    pcre2_code_free(p->code);
    pcre2_match_context_free(p->limits);
    pcre2_general_context_free(p->memory);
    sf_free(p);
}

/*
 * Both ends are anchored, so that a pattern speaks of the whole text. No JIT: hardened services may
 * not make code. \C could split a character.
 */
static pcre2_code *compile(struct sf_pattern *p, struct sf_slice text, int *ret_error,
                           size_t *ret_at)
{
    pcre2_compile_context *context = pcre2_compile_context_create(p->memory);
    pcre2_code *code;

    if (context == NULL) {
        *ret_error = PCRE2_ERROR_HEAP_FAILED;
        return NULL;
    }
    code = pcre2_compile(text.size == 0 ? (PCRE2_SPTR) "" : text.data, text.size,
                         PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NEVER_BACKSLASH_C,
                         ret_error, ret_at, context);
    pcre2_compile_context_free(context);
    return code;
}

enum sf_code sf_pattern_new(struct sf_slice text, struct sf_pattern **ret, struct sf_error *err)
{
    SF_CLEANUP(sf_pattern_freep) struct sf_pattern *p = sf_calloc(1, sizeof(*p));
    char reason[128];
    int error = 0;
    size_t at = 0;

    if (text.size > SF_PATTERN_BYTES_MAX) {
        return SF_RAISE(err, SF_INVALID, "pattern is longer than %d bytes", SF_PATTERN_BYTES_MAX);
    }
    if (p != NULL) {
        p->memory = pcre2_general_context_create(take_memory, give_memory, NULL);
    }
    if (p != NULL && p->memory != NULL) {
        p->limits = pcre2_match_context_create(p->memory);
    }
    if (p == NULL || p->memory == NULL || p->limits == NULL) {
        return SF_RAISE(err, SF_NOMEM, "pattern");
    }
    (void)pcre2_set_match_limit(p->limits, MATCH_STEPS_MAX);
    (void)pcre2_set_depth_limit(p->limits, MATCH_STEPS_MAX);
    (void)pcre2_set_heap_limit(p->limits, MATCH_HEAP_KIB_MAX);
    p->code = compile(p, text, &error, &at);
    if (p->code == NULL) {
        if (error == PCRE2_ERROR_HEAP_FAILED) {
            return SF_RAISE(err, SF_NOMEM, "pattern");
        }
        (void)pcre2_get_error_message(error, (PCRE2_UCHAR *)reason, sizeof(reason));
        return SF_RAISE(err, SF_INVALID, "pattern is not a regular expression at byte %zu: %s",
                        at + 1, reason);
    }
    *ret = SF_TAKE(p);
    return SF_OK;
}

bool sf_pattern_matches(const struct sf_pattern *p, struct sf_slice text)
{
    /* One pair: whether it matches is all we ask. Per call, so that threads share the pattern. */
    pcre2_match_data *data = pcre2_match_data_create(1, p->memory);
    int result;

    if (data == NULL) {
        return false;
    }
    result = pcre2_match(p->code, text.size == 0 ? (PCRE2_SPTR) "" : text.data, text.size, 0,
                         PCRE2_NO_UTF_CHECK, data, p->limits);
    pcre2_match_data_free(data);
    return result >= 0;
}
