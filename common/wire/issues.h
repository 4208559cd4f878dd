/*
 * What is wrong with a text a person wrote, all of it at once, told as compilers do:
 *
 *     product.yaml:21:38: error[SHEAF-E0103]: unknown class 'secrett'
 *           email:       {type: string, class: secrett, format: email}
 *                                              ^~~~~~~
 *       allowed: public internal confidential pseudonymous pii secret      did you mean 'secret'?
 *
 *   Memory    Issues are copied into the collector's arena; file name and source are borrowed and
 *             stay unchanged until sf_issues_done().
 *   Limits    The first 100 issues reported are kept, the rest is counted. Texts are cut at 400
 * bytes. Control characters of text and source are shown as '?'. Errors    Out of memory is sticky,
 * so that a run of reports is checked once: sf_issues_check().
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/error.h"

enum sf_severity { SF_SEVERITY_ERROR, SF_SEVERITY_WARNING };

/* A place in a text. Lines and columns count from 1, columns in characters; line 0: the whole. */
struct sf_place {
    uint32_t line;
    uint32_t column;
    uint32_t width; /* characters to underline */
};

struct sf_issue {
    struct sf_issue *next; /* in the order of places; of one place, in that of reporting */
    enum sf_severity severity;
    uint16_t number; /* SHEAF-E<number> of proto/errors.h; 0: none */
    struct sf_place place;
    const char *text;    /* one line, lower case, without a full stop */
    const char *allowed; /* what stands behind "allowed: ", or NULL */
    const char *meant;   /* what stands in "did you mean '...'?", or NULL */
};

struct sf_issues {
    struct sf_arena arena;
    const char *file;
    struct sf_slice source;
    struct sf_issue *first;
    struct sf_issue *latest; /* reported last; NULL when it was not kept */
    size_t error_count;      /* including those not kept */
    size_t warning_count;    /* including those not kept */
    size_t kept;
    bool failed; /* out of memory */
};

/* The names a value may have, for "allowed" and "did you mean"; @given is what stands there. */
struct sf_allowed {
    const char *const *names;
    size_t count;
    struct sf_slice given;
};

/* @file and @source are borrowed. */
void sf_issues_init(struct sf_issues *s, const char *file, struct sf_slice source);
void sf_issues_done(struct sf_issues *s);

void sf_issues_error(struct sf_issues *s, struct sf_place place, uint16_t number, const char *fmt,
                     ...) SF_PRINTF(4, 5);
void sf_issues_warning(struct sf_issues *s, struct sf_place place, const char *fmt, ...)
    SF_PRINTF(3, 4);
/* Adds the names to the issue reported last. */
void sf_issues_allowed(struct sf_issues *s, struct sf_allowed allowed);

/*
 * SF_OK when there is no error (warnings are fine); SF_INVALID with the number and text of the
 * first one otherwise; SF_NOMEM when issues were lost.
 */
enum sf_code sf_issues_check(const struct sf_issues *s, struct sf_error *err) SF_MUST_CHECK;
/* Appends all issues in order of their place, each ended by a newline. */
void sf_issues_render(const struct sf_issues *s, struct sf_buf *out);
