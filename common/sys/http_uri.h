/*
 * The target of an HTTP request, taken apart: path, its parts, the query's parameters. Pure.
 *
 *   Memory   One block, owned; texts are valid until sf_http_uri_done().
 *   Limits   SF_HTTP_PARTS_MAX parts, SF_HTTP_PARAMETERS_MAX parameters.
 */
#pragma once

#include <stddef.h>

#include "common/base/error.h"

enum {
    SF_HTTP_PARTS_MAX = 16,
    SF_HTTP_PARAMETERS_MAX = 32,
};

/* A zeroed struct is empty. */
struct sf_http_uri {
    char *memory;
    const char *path; /* decoded as a whole, for people; parts are split before they are decoded */
    const char *parts[SF_HTTP_PARTS_MAX];
    size_t part_count; /* "/" has none, "/a/" has "a" and "" */
    struct sf_http_parameter {
        const char *name;
        const char *value; /* "" when there is no '=' */
    } parameters[SF_HTTP_PARAMETERS_MAX];
    size_t parameter_count;
};

/*
 * @target as in the request line, "/a%20b/c?x=1+2": percent-decoded, in the query '+' is a space.
 * SF_INVALID: does not start with '/', a % without two hexadecimal digits, a zero byte, too many
 * parts or parameters. SF_NOMEM.
 */
enum sf_code sf_http_uri_parse(const char *target, struct sf_http_uri *ret,
                               struct sf_error *err) SF_MUST_CHECK;
void sf_http_uri_done(struct sf_http_uri *u);
/* The value of the first parameter of this name, or NULL. */
const char *sf_http_uri_parameter(const struct sf_http_uri *u, const char *name);
