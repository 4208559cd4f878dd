#include "cli/dev_probe.h"

#include <stdio.h>
#include <string.h>

#include "cli/context.h"
#include "common/identity/token.h"
#include "common/sys/file.h"
#include "common/sys/http_client.h"

enum { CALL_MS_MAX = 10000, CONNECT_MS_MAX = 1000 };

/* What was refused for what it is will be refused again; the rest may pass. */
static enum sf_code code_of(unsigned status)
{
    return status == 404 ? SF_ABSENT : status == 400 || status == 422 ? SF_INVALID : SF_UNAVAILABLE;
}

/* One call; *ret_doc is NULL when the body is not asked for. */
static enum sf_code call(struct sf_http_client *client, const struct sf_http_call *wanted,
                         struct sf_http_answer *answer, struct sf_json_doc **ret_doc,
                         struct sf_error *err)
{
    struct sf_http_call c = *wanted;
    enum sf_code code = SF_OK;

    c.connect_ms_max = CONNECT_MS_MAX;
    c.total_ms_max = CALL_MS_MAX;
    code = sf_http_client_call(client, &c, answer, err);
    if (code != SF_OK) {
        return code;
    }
    if (answer->status / 100 != 2) {
        return SF_RAISE(err, code_of(answer->status), "%s answers %u", c.url, answer->status);
    }
    return ret_doc == NULL ? SF_OK : sf_json_parse(sf_buf_view(&answer->body), ret_doc, err);
}

static void keep_text(const struct sf_json_doc *doc, const char *name, char *ret, size_t size)
{
    const char *text = "";

    (void)sf_json_as_text(sf_json_get(sf_json_root(doc), name), &text);
    (void)snprintf(ret, size, "%s", text);
}

static enum sf_code is_ready(struct dev_probe *p, struct sf_http_client *client,
                             struct sf_http_answer *answer, struct sf_error *err)
{
    char url[128];

    (void)snprintf(url, sizeof(url), "%s/readyz", p->base);
    return call(client, &(struct sf_http_call){.method = "GET", .url = url}, answer, NULL, err);
}

/* Appends "Bearer ..." of the platform, with its terminator. */
static enum sf_code make_bearer(const struct dev_probe *p, struct sf_buf *ret, struct sf_error *err)
{
    const struct context context = {.mesh = p->mesh, .hub = {.data = p->hub_data}};
    const struct identity platform = {.domain = SF_TOKEN_PLATFORM, .user = "dev"};
    enum sf_code code = SF_OK;

    sf_buf_text(ret, "Bearer ");
    code = context_token(&context, &platform, ret, err);
    return code == SF_OK && sf_buf_cstr(ret) == NULL ? sf_buf_check(ret, "token", err) : code;
}

/* Takes our tokens? Another mesh's hub may hold the port that ours found taken. */
static enum sf_code is_ours(struct dev_probe *p, struct sf_http_client *client,
                            struct sf_http_answer *answer, struct sf_error *err)
{
    struct sf_buf bearer = {0};
    char url[128];
    enum sf_code code = make_bearer(p, &bearer, err);
    struct sf_http_header header = {"Authorization", sf_buf_cstr(&bearer)};

    (void)snprintf(url, sizeof(url), "%s/v1/domains", p->base);
    if (code == SF_OK) {
        code = call(client,
                    &(struct sf_http_call){
                        .method = "GET", .url = url, .headers = &header, .header_count = 1},
                    answer, NULL, err);
    }
    sf_buf_done(&bearer);
    return code;
}

static enum sf_code ask_hub(struct dev_probe *p, struct sf_http_client *client,
                            struct sf_http_answer *answer, struct sf_error *err)
{
    char url[128];
    struct sf_json_doc *doc = NULL;
    enum sf_code code = is_ready(p, client, answer, err);

    (void)snprintf(url, sizeof(url), "%s/v1/mesh", p->base);
    if (code == SF_OK) {
        code = call(client, &(struct sf_http_call){.method = "GET", .url = url}, answer, &doc, err);
    }
    if (code == SF_OK) {
        keep_text(doc, "mesh", p->mesh, sizeof(p->mesh));
        keep_text(doc, "hub_key", p->hub_key, sizeof(p->hub_key));
    }
    sf_json_free(doc);
    return code == SF_OK ? is_ours(p, client, answer, err) : code;
}

/* The domain as the hub knows it. SF_ABSENT: it has not joined. */
static enum sf_code get_domain(struct dev_probe *p, struct sf_http_client *client,
                               struct sf_http_answer *answer, struct sf_json_doc **ret,
                               struct sf_error *err)
{
    struct sf_buf bearer = {0};
    char url[192];
    enum sf_code code = make_bearer(p, &bearer, err);
    struct sf_http_header header = {"Authorization", sf_buf_cstr(&bearer)};

    (void)snprintf(url, sizeof(url), "%s/v1/domains/%s", p->hub, p->domain);
    if (code == SF_OK) {
        code = call(client,
                    &(struct sf_http_call){
                        .method = "GET", .url = url, .headers = &header, .header_count = 1},
                    answer, ret, err);
    }
    sf_buf_done(&bearer);
    return code;
}

/* Its own word, and the hub's that it has reported there. */
static enum sf_code ask_leaf(struct dev_probe *p, struct sf_http_client *client,
                             struct sf_http_answer *answer, struct sf_error *err)
{
    struct sf_json_doc *doc = NULL;
    const char *state = "never";
    enum sf_code code = is_ready(p, client, answer, err);

    code = code == SF_OK ? get_domain(p, client, answer, &doc, err) : code;
    if (code == SF_OK) {
        (void)sf_json_as_text(sf_json_path(sf_json_root(doc), "leaf.state"), &state);
        code = strcmp(state, "up") == 0
                   ? SF_OK
                   : SF_RAISE(err, SF_UNAVAILABLE, "leaf %s has not reached the hub", p->domain);
    }
    sf_json_free(doc);
    return code;
}

static enum sf_code make_token(struct dev_probe *p, struct sf_http_client *client,
                               struct sf_http_answer *answer, struct sf_error *err)
{
    struct sf_buf bearer = {0};
    struct sf_json_doc *doc = NULL;
    char url[192];
    char body[128];
    char token[256];
    enum sf_code code = make_bearer(p, &bearer, err);
    const struct sf_http_header headers[] = {{"Authorization", sf_buf_cstr(&bearer)},
                                             {"Content-Type", "application/json"}};

    (void)snprintf(url, sizeof(url), "%s/v1/join-tokens", p->hub);
    (void)snprintf(body, sizeof(body), "{\"domain\":\"%s\"}", p->domain);
    if (code == SF_OK) {
        code = call(client,
                    &(struct sf_http_call){.method = "POST",
                                           .url = url,
                                           .headers = headers,
                                           .header_count = 2,
                                           .body = sf_slice_text(body)},
                    answer, &doc, err);
    }
    if (code == SF_OK) {
        keep_text(doc, "token", token, sizeof(token));
        code = sf_file_write(p->token_path, sf_slice_text(token), 0600, err);
        sf_wipe(token, sizeof(token));
    }
    sf_json_free(doc);
    sf_buf_done(&bearer);
    return code;
}

/* Whether the domain has joined, and if not, a token for it. */
static enum sf_code ask_token(struct dev_probe *p, struct sf_http_client *client,
                              struct sf_http_answer *answer, struct sf_error *err)
{
    struct sf_json_doc *doc = NULL;
    enum sf_code code = get_domain(p, client, answer, &doc, err);

    sf_json_free(doc);
    return code == SF_ABSENT ? make_token(p, client, answer, err) : code;
}

/* On a thread of the query pool: touches nothing but @p. */
static void run(struct sf_work *w)
{
    struct dev_probe *p = SF_CONTAINER_OF(w, struct dev_probe, work);
    struct sf_http_client *client = NULL;
    struct sf_http_answer answer = {0};

    p->code = sf_http_client_new(&client, &p->error);
    if (p->code == SF_OK) {
        switch (p->question) {
        case DEV_ASK_HUB:
            p->code = ask_hub(p, client, &answer, &p->error);
            break;
        case DEV_ASK_TOKEN:
            p->code = ask_token(p, client, &answer, &p->error);
            break;
        case DEV_ASK_LEAF:
            p->code = ask_leaf(p, client, &answer, &p->error);
            break;
        }
    }
    sf_http_answer_done(&answer);
    sf_http_client_free(client);
}

void dev_probe_start(struct sf_rt *rt, struct dev_probe *p, void (*done)(struct sf_task *t))
{
    p->work = (struct sf_work){.pool = SF_POOL_QUERY, .work = run, .done = {.run = done}};
    sf_rt_work(rt, &p->work);
}
