#include "common/wire/routes.h"

#include <stdio.h>
#include <string.h>

#include "common/base/str.h"
#include "proto/errors.h"

/* --- finding ---------------------------------------------------------------------------------- */

/* Cuts the next piece off @rest at @at: NULL behind the last. */
static struct sf_slice cut(const char **rest, char at)
{
    const char *from = *rest;
    size_t n = strcspn(from, (const char[]){at, '\0'});

    *rest = from[n] == '\0' ? NULL : from + n + 1;
    return sf_slice_of(from, n);
}

/* The end of the part of a path at @at, when it matches @part; else NULL. */
static const char *part_matches(const char *at, const char *part)
{
    if (*at == '{') {
        while (*at != '/' && *at != '\0') {
            at++;
        }
        return at;
    }
    for (; *at != '/' && *at != '\0'; at++, part++) {
        if (*at != *part) {
            return NULL;
        }
    }
    return *part == '\0' ? at : NULL;
}

static bool path_matches(const char *path, const char *const *parts, size_t part_count)
{
    const char *at = path;

    for (size_t i = 0; i < part_count; i++) {
        if (*at != '/') {
            return false;
        }
        at = part_matches(at + 1, parts[i]);
        if (at == NULL) {
            return false;
        }
    }
    return *at == '\0';
}

static void add_method(char allow[64], const char *method)
{
    size_t n = strlen(allow);

    (void)snprintf(allow + n, 64 - n, "%s%s%s", n == 0 ? "" : ", ", method,
                   strcmp(method, "GET") == 0 ? ", HEAD" : "");
}

enum sf_route_match sf_route_find(const struct sf_routes *routes, const char *method,
                                  const char *const *parts, size_t part_count,
                                  const struct sf_route **ret, char allow[64])
{
    allow[0] = '\0';
    for (size_t i = 0; part_count > 0 && i < routes->count; i++) {
        const struct sf_route *r = &routes->routes[i];

        if ((r->parts == 0 || r->parts == part_count) && strcmp(r->method, method) == 0 &&
            path_matches(r->path, parts, part_count)) {
            *ret = r;
            return SF_ROUTE_FOUND;
        }
    }
    for (size_t i = 0; part_count > 0 && i < routes->count; i++) {
        const struct sf_route *r = &routes->routes[i];

        if (path_matches(r->path, parts, part_count) && strstr(allow, r->method) == NULL) {
            add_method(allow, r->method);
        }
    }
    return allow[0] == '\0' ? SF_ROUTE_NO_PATH : SF_ROUTE_NO_METHOD;
}

/* --- parameters ------------------------------------------------------------------------------- */

static enum sf_code refuse(const char *name, const char *const *names, size_t count,
                           struct sf_error *err)
{
    const char *meant = sf_text_nearest(sf_slice_text(name), names, count);
    char all[256] = "";
    size_t n = 0;

    if (meant != NULL) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "'%.64s' is not known here; did you mean '%s'?", name, meant);
    }
    for (size_t i = 0; i < count && n < sizeof(all); i++) {
        n += (size_t)snprintf(all + n, sizeof(all) - n, "%s%s", i == 0 ? "" : ", ", names[i]);
    }
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'%.64s' is not known here; %s%s", name,
                      count == 0 ? "there are no parameters" : "known: ", all);
}

enum sf_code sf_route_check_name(const char *name, const char *const *names, size_t count,
                                 struct sf_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return SF_OK;
        }
    }
    return refuse(name, names, count, err);
}

enum sf_code sf_route_check_parameter(const struct sf_route *route, const char *name,
                                      struct sf_error *err)
{
    const char *names[SF_ROUTE_PARAMETERS_MAX];
    size_t count = 0;

    for (const struct sf_route_parameter *p = route->query;
         p != NULL && p->name != NULL && count < SF_ROUTE_PARAMETERS_MAX; p++) {
        names[count++] = p->name;
    }
    return sf_route_check_name(name, names, count, err);
}

/* --- OpenAPI ---------------------------------------------------------------------------------- */

static void member_schema(struct sf_json_writer *w, const char *type, const char *values)
{
    sf_json_key(w, "schema");
    sf_json_object_begin(w);
    sf_json_member_text(w, "type", type);
    if (values != NULL) {
        sf_json_key(w, "enum");
        sf_json_array_begin(w);
        while (values != NULL) {
            sf_json_slice(w, cut(&values, ' '));
        }
        sf_json_array_end(w);
    }
    sf_json_object_end(w);
}

static void write_parameter(struct sf_json_writer *w, const char *in,
                            const struct sf_route_parameter *p)
{
    sf_json_object_begin(w);
    sf_json_member_text(w, "name", p->name);
    sf_json_member_text(w, "in", in);
    sf_json_member_bool(w, "required", false);
    sf_json_member_text(w, "description", p->text);
    member_schema(w, p->type, p->values);
    sf_json_object_end(w);
}

static void write_path_parameters(struct sf_json_writer *w, const char *path)
{
    for (const char *at = strchr(path, '{'); at != NULL; at = strchr(at + 1, '{')) {
        sf_json_object_begin(w);
        sf_json_member_slice(w, "name", sf_slice_of(at + 1, strcspn(at + 1, "}")));
        sf_json_member_text(w, "in", "path");
        sf_json_member_bool(w, "required", true);
        member_schema(w, "string", NULL);
        sf_json_object_end(w);
    }
}

static void write_parameters(struct sf_json_writer *w, const struct sf_route *r)
{
    sf_json_key(w, "parameters");
    sf_json_array_begin(w);
    write_path_parameters(w, r->path);
    for (const struct sf_route_parameter *p = r->query; p != NULL && p->name != NULL; p++) {
        write_parameter(w, "query", p);
    }
    for (const struct sf_route_parameter *p = r->headers; p != NULL && p->name != NULL; p++) {
        write_parameter(w, "header", p);
    }
    sf_json_array_end(w);
}

/* {"application/json":{"schema":{}}, ...} */
static void member_content(struct sf_json_writer *w, const char *types)
{
    sf_json_key(w, "content");
    sf_json_object_begin(w);
    while (types != NULL) {
        sf_json_key_slice(w, cut(&types, ' '));
        sf_json_object_begin(w);
        sf_json_object_end(w);
    }
    sf_json_object_end(w);
}

static void member_reference(struct sf_json_writer *w, struct sf_slice name, const char *to)
{
    sf_json_key_slice(w, name);
    sf_json_object_begin(w);
    sf_json_member_text(w, "$ref", to);
    sf_json_object_end(w);
}

static void write_responses(struct sf_json_writer *w, const struct sf_route *r)
{
    const char *good = r->good;
    const char *bad = r->bad;

    sf_json_key(w, "responses");
    sf_json_object_begin(w);
    while (good != NULL) {
        const struct sf_slice status = cut(&good, ' ');

        sf_json_key_slice(w, status);
        sf_json_object_begin(w);
        if (sf_slice_equal(status, SF_LITERAL("304"))) {
            sf_json_member_text(w, "description", "Not Modified");
        } else {
            sf_json_member_text(w, "description", "OK");
            if (r->answer != NULL) {
                member_content(w, r->answer);
            }
        }
        sf_json_object_end(w);
    }
    while (bad != NULL) {
        member_reference(w, cut(&bad, ' '), "#/components/responses/Problem");
    }
    member_reference(w, SF_LITERAL("default"), "#/components/responses/Unavailable");
    sf_json_object_end(w);
}

static void write_operation(struct sf_json_writer *w, const struct sf_route *r)
{
    char method[16] = "";

    for (size_t i = 0; i + 1 < sizeof(method) && r->method[i] != '\0'; i++) {
        method[i] = (char)(r->method[i] | 0x20);
    }
    sf_json_key(w, method);
    sf_json_object_begin(w);
    sf_json_member_text(w, "operationId", r->name);
    sf_json_member_text(w, "summary", r->text);
    if (r->is_open) {
        sf_json_key(w, "security");
        sf_json_array_begin(w);
        sf_json_array_end(w);
    }
    write_parameters(w, r);
    if (r->body != NULL) {
        sf_json_key(w, "requestBody");
        sf_json_object_begin(w);
        member_content(w, r->body);
        sf_json_object_end(w);
    }
    write_responses(w, r);
    sf_json_object_end(w);
}

static bool is_first_of_path(const struct sf_routes *routes, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (strcmp(routes->routes[k].path, routes->routes[i].path) == 0) {
            return false;
        }
    }
    return true;
}

static void write_paths(struct sf_json_writer *w, const struct sf_routes *routes)
{
    sf_json_key(w, "paths");
    sf_json_object_begin(w);
    for (size_t i = 0; i < routes->count; i++) {
        if (!is_first_of_path(routes, i)) {
            continue;
        }
        sf_json_key(w, routes->routes[i].path);
        sf_json_object_begin(w);
        for (size_t k = i; k < routes->count; k++) {
            if (strcmp(routes->routes[k].path, routes->routes[i].path) == 0) {
                write_operation(w, &routes->routes[k]);
            }
        }
        sf_json_object_end(w);
    }
    sf_json_object_end(w);
}

static const char components[] =
    "{\"securitySchemes\":{\"token\":{\"type\":\"http\",\"scheme\":\"bearer\","
    "\"bearerFormat\":\"JWT\"}},"
    "\"responses\":{"
    "\"Problem\":{\"description\":\"The request is refused\",\"content\":{"
    "\"application/problem+json\":{\"schema\":{\"$ref\":\"#/components/schemas/Problem\"}}}},"
    "\"Unavailable\":{\"description\":\"Busy (429), the store fails (500, 507), or something "
    "needed is away (503)\",\"content\":{"
    "\"application/problem+json\":{\"schema\":{\"$ref\":\"#/components/schemas/Problem\"}}}}},"
    "\"schemas\":{\"Problem\":{\"type\":\"object\","
    "\"required\":[\"type\",\"title\",\"status\",\"detail\",\"code\",\"next\"],"
    "\"properties\":{\"type\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"},"
    "\"status\":{\"type\":\"integer\"},\"detail\":{\"type\":\"string\"},"
    "\"code\":{\"type\":\"string\",\"pattern\":\"^SHEAF-E[0-9]{4}$\"},"
    "\"next\":{\"type\":\"string\"}}}}}";

void sf_routes_openapi(const struct sf_routes *routes, struct sf_buf *out)
{
    struct sf_json_writer w = {.out = out};

    sf_json_object_begin(&w);
    sf_json_member_text(&w, "openapi", "3.1.0");
    sf_json_key(&w, "info");
    sf_json_object_begin(&w);
    sf_json_member_text(&w, "title", routes->title);
    sf_json_member_text(&w, "version", routes->version);
    sf_json_object_end(&w);
    sf_json_key(&w, "security");
    sf_json_raw(&w, SF_LITERAL("[{\"token\":[]}]"));
    write_paths(&w, routes);
    sf_json_key(&w, "components");
    sf_json_raw(&w, sf_slice_text(components));
    sf_json_object_end(&w);
}
