/*
 * The input is the target of a request. What parses stays within its limits, and written again with
 * every byte escaped parses to the same.
 */
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "common/sys/http_uri.h"
#include "tests/fuzz/fuzz.h"

static void escape(struct sf_buf *b, const char *text)
{
    for (; *text != '\0'; text++) {
        sf_buf_printf(b, "%%%02x", (unsigned char)*text);
    }
}

static void write_again(const struct sf_http_uri *u, struct sf_buf *b)
{
    if (u->part_count == 0) {
        sf_buf_text(b, "/");
    }
    for (size_t i = 0; i < u->part_count; i++) {
        sf_buf_text(b, "/");
        escape(b, u->parts[i]);
    }
    for (size_t i = 0; i < u->parameter_count; i++) {
        sf_buf_text(b, i == 0 ? "?" : "&");
        escape(b, u->parameters[i].name);
        sf_buf_text(b, "=");
        escape(b, u->parameters[i].value);
    }
}

static void check_same(const struct sf_http_uri *a, const struct sf_http_uri *b)
{
    fuzz_check(strcmp(a->path, b->path) == 0);
    fuzz_check(a->part_count == b->part_count && a->part_count <= SF_HTTP_PARTS_MAX);
    for (size_t i = 0; i < a->part_count; i++) {
        fuzz_check(strcmp(a->parts[i], b->parts[i]) == 0);
    }
    fuzz_check(a->parameter_count == b->parameter_count);
    fuzz_check(a->parameter_count <= SF_HTTP_PARAMETERS_MAX);
    for (size_t i = 0; i < a->parameter_count; i++) {
        fuzz_check(strcmp(a->parameters[i].name, b->parameters[i].name) == 0);
        fuzz_check(strcmp(a->parameters[i].value, b->parameters[i].value) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sf_http_uri u = {0};
    struct sf_http_uri again = {0};
    struct sf_buf b = {0};
    char *target = sf_strndup(data, size); /* up to its first zero byte, as MHD gives it */

    fuzz_check(target != NULL);
    if (sf_http_uri_parse(target, &u, NULL) == SF_OK) {
        write_again(&u, &b);
        fuzz_check(sf_http_uri_parse(sf_buf_cstr(&b), &again, NULL) == SF_OK);
        check_same(&u, &again);
        sf_http_uri_done(&u);
        sf_http_uri_done(&again);
    }
    sf_buf_done(&b);
    sf_free(target);
    return 0;
}
