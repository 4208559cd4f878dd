#include "cli/api.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/str.h"
#include "common/identity/token.h"
#include "common/wire/problem.h"
#include "proto/errors.h"

enum { URL_MAX = 8192, PROBLEM_BYTES_MAX = 64 * 1024 };

enum sf_code api_open(struct cli *cli, struct api *ret, struct sf_error *err)
{
    *ret = (struct api){.cli = cli};
    return context_open(cli->data_dir, &ret->context, err);
}

void api_done(struct api *a)
{
    sf_json_free(a->doc);
    sf_http_answer_done(&a->answer);
    sf_http_client_free(a->client);
    sf_buf_done(&a->token);
    context_done(&a->context);
    *a = (struct api){0};
}

enum sf_code api_act(struct api *a, const char *implied, struct sf_error *err)
{
    enum sf_code code = context_identity(&a->context, a->cli->as, implied, &a->who, err);

    code = code == SF_OK ? identity_set_roles(&a->who, a->cli->roles, err) : code;
    if (code != SF_OK) {
        return code;
    }
    (void)snprintf(a->cli->acting, sizeof(a->cli->acting), "%s", a->who.domain);
    sf_buf_clear(&a->token);
    sf_buf_text(&a->token, "Bearer ");
    code = context_token(&a->context, &a->who, &a->token, err);
    if (code != SF_OK) {
        return code;
    }
    a->has_identity = true;
    cli_verbose(a->cli, "acting as %s/%s", a->who.domain, a->who.user);
    return sf_buf_cstr(&a->token) != NULL ? SF_OK : sf_buf_check(&a->token, "token", err);
}

/* What a server refused, as it said it. */
static enum sf_code raise_problem(struct api *a, struct sf_error *err)
{
    enum sf_code code = sf_problem_code(a->answer.status);
    struct sf_slice body = sf_buf_view(&a->answer.body);
    struct sf_json_doc *doc = NULL;
    const struct sf_json *root = NULL;
    const char *number_text = "";
    const char *detail = NULL;
    const char *next = "";
    uint64_t number = 0;

    if (body.size > PROBLEM_BYTES_MAX || sf_json_parse(body, &doc, err) != SF_OK) {
        return SF_RAISE(err, code, "the server answered %u", a->answer.status);
    }
    root = sf_json_root(doc);
    (void)sf_json_as_text(sf_json_get(root, "code"), &number_text);
    (void)sf_json_as_text(sf_json_get(root, "next"), &next);
    if (!sf_json_as_text(sf_json_get(root, "detail"), &detail)) {
        (void)sf_json_as_text(sf_json_get(root, "title"), &detail);
    }
    if (strncmp(number_text, "SHEAF-E", 7) != 0 ||
        sf_parse_u64(sf_slice_text(number_text + 7), &number) != SF_PARSE_OK) {
        number = 0;
    }
    if (number != SHEAF_E_BAD_REQUEST) { /* it names parameters of HTTP: ours are in the help */
        (void)snprintf(a->cli->next, sizeof(a->cli->next), "%s", next);
    }
    code = SF_RAISE_E(err, code, (uint16_t)number, "%s",
                      detail != NULL ? detail : "the server gave no reason");
    if (number == SHEAF_E_BAD_REQUEST) {
        args_name_flag(&a->cli->args, err);
    }
    sf_json_free(doc);
    return code;
}

static enum sf_code call_url(struct api *a, const char *base, const struct api_call *call,
                             struct sf_error *err)
{
    char url[URL_MAX];
    struct sf_http_header headers[4];
    struct sf_http_call http = {.method = call->method,
                                .url = url,
                                .headers = headers,
                                .body = call->body,
                                .idle_ms_max = a->cli->timeout_ms,
                                .connect_ms_max =
                                    a->cli->timeout_ms < 5000 ? a->cli->timeout_ms : 5000};
    enum sf_code code = SF_OK;

    if (a->client == NULL) {
        code = sf_http_client_new(&a->client, err);
    }
    if (code != SF_OK) {
        return code;
    }
    if (a->has_identity) {
        headers[http.header_count++] =
            (struct sf_http_header){"Authorization", sf_buf_cstr(&a->token)};
    }
    if (call->content_type != NULL) {
        headers[http.header_count++] = (struct sf_http_header){"Content-Type", call->content_type};
    }
    if (call->idempotency_key != NULL) {
        headers[http.header_count++] =
            (struct sf_http_header){"Idempotency-Key", call->idempotency_key};
    }
    if (call->accept != NULL) {
        headers[http.header_count++] = (struct sf_http_header){"Accept", call->accept};
    }
    if ((size_t)snprintf(url, sizeof(url), "%s%s", base, call->path) >= sizeof(url)) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "the request is too long");
    }
    sf_json_free(a->doc);
    a->doc = NULL;
    a->cli->next[0] = '\0';
    code = sf_http_client_call(a->client, &http, &a->answer, err);
    cli_verbose(a->cli, "%s %s: %s %u", call->method, url, sf_code_name(code),
                code == SF_OK ? a->answer.status : 0);
    if (code == SF_TIMEOUT && strcmp(call->method, "GET") != 0 && call->idempotency_key == NULL) {
        (void)snprintf(a->cli->next, sizeof(a->cli->next),
                       "it may have been done all the same: look before you ask again, or give it "
                       "longer with --timeout");
    }
    if (code != SF_OK) {
        return code;
    }
    return a->answer.status / 100 == 2 ? SF_OK : raise_problem(a, err);
}

/* A call that had no answer: @number when nobody was there. One that somebody heard may wait for
 * somebody else, as a leaf does for the hub. */
static void say_who_is_away(struct sf_error *err, uint16_t number)
{
    if (err->number == 0 && err->code == SF_UNAVAILABLE) {
        err->number = number;
    } else if (err->number == 0 && err->code == SF_TIMEOUT) {
        err->number = SHEAF_E_NO_ANSWER;
    }
}

enum sf_code api_hub(struct api *a, const struct api_call *call, struct sf_error *err)
{
    enum sf_code code = call_url(a, a->context.hub.http, call, err);

    if (code != SF_OK) {
        say_who_is_away(err, SHEAF_E_HUB_UNREACHABLE);
    }
    return code;
}

enum sf_code api_leaf(struct api *a, const struct api_call *call, struct sf_error *err)
{
    const struct context_process *leaf = context_leaf(&a->context, a->who.domain);
    enum sf_code code = SF_OK;

    if (leaf == NULL) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_NO_CONTEXT,
                          "the platform has no leaf; name a domain with --as");
    }
    code = call_url(a, leaf->http, call, err);
    if (code != SF_OK) {
        say_who_is_away(err, SHEAF_E_LEAF_UNREACHABLE);
    }
    return code;
}

enum sf_code api_json(struct api *a, const struct sf_json **ret, struct sf_error *err)
{
    sf_json_free(a->doc);
    a->doc = NULL;
    if (sf_json_parse(sf_buf_view(&a->answer.body), &a->doc, err) != SF_OK) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_INTERNAL, "the server's answer is not JSON");
    }
    *ret = sf_json_root(a->doc);
    return SF_OK;
}

enum sf_code api_get_hub(struct api *a, const char *path, const struct sf_json **ret,
                         struct sf_error *err)
{
    enum sf_code code = api_hub(a, &(struct api_call){.method = "GET", .path = path}, err);

    return code == SF_OK ? api_json(a, ret, err) : code;
}

enum sf_code api_get_leaf(struct api *a, const char *path, const struct sf_json **ret,
                          struct sf_error *err)
{
    enum sf_code code = api_leaf(a, &(struct api_call){.method = "GET", .path = path}, err);

    return code == SF_OK ? api_json(a, ret, err) : code;
}

void api_escape(struct sf_buf *b, const char *text)
{
    for (; *text != '\0'; text++) {
        char c = *text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.' || c == '~';

        if (plain) {
            sf_buf_byte(b, (uint8_t)c);
        } else {
            sf_buf_printf(b, "%%%02X", (unsigned)(uint8_t)c);
        }
    }
}
