/*
 * The routes of an HTTP interface as one table: the router goes by it, a parameter that is not in
 * it is refused, and the OpenAPI document is made of it.
 *
 *   Threads   Pure functions over constant tables.
 *   Limits    SF_ROUTE_PARAMETERS_MAX per route.
 */
#pragma once

#include "common/wire/json.h"

enum { SF_ROUTE_PARAMETERS_MAX = 24 };

/* One of a query or one header of a request. */
struct sf_route_parameter {
    const char *name;
    const char *type;   /* "string", "integer" or "boolean" */
    const char *text;   /* what it means */
    const char *values; /* all there are, joined by ' '; NULL: any */
};

struct sf_route {
    unsigned id; /* the server's own */
    const char *method;
    const char *path;   /* "/v1/products/{domain}": a part in braces takes any one */
    const char *name;   /* operationId */
    const char *text;   /* a sentence */
    const char *body;   /* media types it takes, joined by ' '; NULL: none */
    const char *answer; /* media types of a good answer, joined by ' '; NULL: none */
    const char *good;   /* statuses of a good answer, joined by ' ' */
    const char *bad;    /* statuses of problems that the request itself causes */
    const struct sf_route_parameter *query;   /* up to one without a name; NULL: none */
    const struct sf_route_parameter *headers; /* the same */
    bool is_open;                             /* wants no token */
    uint8_t parts; /* of the path, so that others are passed over at once; 0: not said */
};

struct sf_routes {
    const char *title;
    const char *version;
    const struct sf_route *routes;
    size_t count;
};

enum sf_route_match { SF_ROUTE_FOUND, SF_ROUTE_NO_PATH, SF_ROUTE_NO_METHOD };

/* @parts of the path, as they came. NO_METHOD: the path is there; @allow, of 64 bytes, names the
 * methods it has: "GET, HEAD, POST". */
enum sf_route_match sf_route_find(const struct sf_routes *routes, const char *method,
                                  const char *const *parts, size_t part_count,
                                  const struct sf_route **ret, char allow[64]);

/*
 * That the route has a query parameter @name. SF_INVALID E0301: "'limt' is not known here; did you
 * mean 'limit'?", or with all there are.
 */
enum sf_code sf_route_check_parameter(const struct sf_route *route, const char *name,
                                      struct sf_error *err) SF_MUST_CHECK;

/* The same of one of @count names. */
enum sf_code sf_route_check_name(const char *name, const char *const *names, size_t count,
                                 struct sf_error *err) SF_MUST_CHECK;

/* OpenAPI 3.1. Failure is the buffer's. */
void sf_routes_openapi(const struct sf_routes *routes, struct sf_buf *out);
