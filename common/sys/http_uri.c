#include "common/sys/http_uri.h"

#include <string.h>

#include "common/base/alloc.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes @text in place, up to its end; false when it is malformed. */
static bool decode(char *text, bool plus_is_space)
{
    char *to = text + strcspn(text, plus_is_space ? "%+" : "%"); /* most have none */

    for (const char *from = to; *from != '\0'; from++) {
        char c = *from;

        if (c == '%') {
            int high = hex_value(from[1]);
            int low = high < 0 ? -1 : hex_value(from[2]);

            if (low < 0 || high * 16 + low == 0) {
                return false;
            }
            c = (char)(high * 16 + low);
            from += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        *to++ = c;
    }
    *to = '\0';
    return true;
}

/* Cuts @text at its first @separator: what stands behind it, or NULL when there is none. */
static char *cut(char *text, char separator)
{
    char *found = strchr(text, separator);

    if (found == NULL) {
        return NULL;
    }
    *found = '\0';
    return found + 1;
}

static enum sf_code malformed(struct sf_error *err)
{
    return SF_RAISE(err, SF_INVALID, "the request's path or query is malformed");
}

static enum sf_code parse_parts(char *path, struct sf_http_uri *u, struct sf_error *err)
{
    char *part = path[1] == '\0' ? NULL : path + 1;

    while (part != NULL) {
        char *next = cut(part, '/');

        if (u->part_count == SF_HTTP_PARTS_MAX) {
            return SF_RAISE(err, SF_INVALID, "the path has more than %d parts", SF_HTTP_PARTS_MAX);
        }
        if (!decode(part, false)) {
            return malformed(err);
        }
        u->parts[u->part_count++] = part;
        part = next;
    }
    return SF_OK;
}

static enum sf_code parse_query(char *query, struct sf_http_uri *u, struct sf_error *err)
{
    while (query != NULL) {
        char *next = cut(query, '&');
        char *value = cut(query, '=');

        if (*query == '\0' && value == NULL) {
            query = next; /* "a=1&" and "?" */
            continue;
        }
        if (u->parameter_count == SF_HTTP_PARAMETERS_MAX) {
            return SF_RAISE(err, SF_INVALID, "the query has more than %d parameters",
                            SF_HTTP_PARAMETERS_MAX);
        }
        if (!decode(query, true) || (value != NULL && !decode(value, true))) {
            return malformed(err);
        }
        u->parameters[u->parameter_count].name = query;
        u->parameters[u->parameter_count].value = value == NULL ? "" : value;
        u->parameter_count++;
        query = next;
    }
    return SF_OK;
}

enum sf_code sf_http_uri_parse(const char *target, struct sf_http_uri *ret, struct sf_error *err)
{
    size_t size = strlen(target) + 1;
    struct sf_http_uri u = {0};
    enum sf_code r;
    char *parts;
    char *query;

    if (target[0] != '/') {
        return malformed(err);
    }
    u.memory = sf_alloc(2 * size); /* the path as a whole, and everything in pieces */
    if (u.memory == NULL) {
        return SF_RAISE(err, SF_NOMEM, "no memory for the request's path");
    }
    parts = u.memory + size;
    memcpy(u.memory, target, size);
    memcpy(parts, target, size);
    u.path = u.memory;
    (void)cut(u.memory, '?');
    query = cut(parts, '?');
    r = decode(u.memory, false) ? parse_parts(parts, &u, err) : malformed(err);
    if (r == SF_OK) {
        r = parse_query(query, &u, err);
    }
    if (r != SF_OK) {
        sf_http_uri_done(&u);
        return r;
    }
    *ret = u;
    return SF_OK;
}

void sf_http_uri_done(struct sf_http_uri *u)
{
    sf_free(u->memory);
    *u = (struct sf_http_uri){0};
}

const char *sf_http_uri_parameter(const struct sf_http_uri *u, const char *name)
{
    for (size_t i = 0; i < u->parameter_count; i++) {
        if (strcmp(u->parameters[i].name, name) == 0) {
            return u->parameters[i].value;
        }
    }
    return NULL;
}
