/*
 * access approve, deny and revoke: the owner's word, built and signed here with the key of the
 * domain, so that neither the hub nor the consumer can make one up.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cli/api.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "common/base/str.h"
#include "common/identity/signed.h"
#include "common/sys/encoding.h"
#include "control.pb-c.h"
#include "proto/errors.h"
#include "proto/subjects.h"

static int64_t wall_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Everything a decision borrows from. */
struct deciding {
    struct cli *cli;
    struct api api;
    struct sf_arena arena;
    bool approve;
    int64_t duration_us;
    Sheaf__V1__Decision decision;
};

static enum sf_code copy_text(struct deciding *d, const struct sf_json *v, const char *name,
                              char **ret, struct sf_error *err)
{
    *ret = sf_arena_strdup(&d->arena, sf_json_text_of(v, name));
    return *ret != NULL ? SF_OK : SF_RAISE(err, SF_NOMEM, "decision");
}

/* The request as the hub has it: what is decided is what was asked for, unless flags say less. */
static enum sf_code fill_from_request(struct deciding *d, const struct sf_json *request,
                                      struct sf_error *err)
{
    Sheaf__V1__Decision *m = &d->decision;
    const char *asked = args_value(&d->cli->args, "columns");
    struct columns columns = {0};
    char *product = NULL;
    int64_t major = 0;
    enum sf_code code = copy_text(d, request, "id", &m->request_id, err);

    code = code == SF_OK ? copy_text(d, request, "owner", &m->owner, err) : code;
    code = code == SF_OK ? copy_text(d, request, "product", &product, err) : code;
    code = code == SF_OK ? copy_text(d, request, "consumer", &m->consumer, err) : code;
    code = code == SF_OK ? copy_text(d, request, "purpose", &m->purpose, err) : code;
    if (code != SF_OK) {
        return code;
    }
    m->product = strchr(product, '/') != NULL ? strchr(product, '/') + 1 : product;
    (void)sf_json_as_int(sf_json_get(request, "major"), &major);
    (void)sf_json_as_int(sf_json_get(request, "duration_us"), &d->duration_us);
    m->major = (uint32_t)major;
    if (asked != NULL) {
        code = columns_split(asked, &d->arena, &columns, err);
    } else {
        code = columns_of_json(sf_json_get(request, "columns"), &d->arena, &columns, err);
    }
    m->n_columns = columns.count;
    m->columns = (char **)(void *)columns.names;
    return code;
}

static enum sf_code fill_from_flags(struct deciding *d, struct sf_error *err)
{
    Sheaf__V1__Decision *m = &d->decision;
    const char *duration = args_value(&d->cli->args, "for");
    const char *note = args_value(&d->cli->args, "note");
    int64_t now = wall_us();

    if (duration != NULL &&
        (sf_parse_duration(sf_slice_text(duration), &d->duration_us) != SF_PARSE_OK ||
         d->duration_us <= 0)) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "--for wants a time like 90d or 12h, not '%s'", duration);
    }
    m->mesh = sf_arena_strdup(&d->arena, d->api.context.mesh);
    m->note = sf_arena_strdup(&d->arena, note != NULL ? note : "");
    m->decided_by = sf_arena_strdup(&d->arena, d->api.who.user);
    if (m->mesh == NULL || m->note == NULL || m->decided_by == NULL) {
        return SF_RAISE(err, SF_NOMEM, "decision");
    }
    m->approved = d->approve;
    m->decided_us = now;
    m->until_us = d->approve ? now + d->duration_us : 0;
    return SF_OK;
}

/* Signs @payload as who acts, and posts {"<member>": base64} to @path. */
static enum sf_code post_signed(struct api *a, const char *path, const char *context,
                                const char *member, struct sf_slice payload, struct sf_error *err)
{
    struct sf_seed key = {0};
    struct sf_buf bytes = {0};
    struct sf_buf body = {0};
    enum sf_code code = context_key(&a->context, &a->who, &key, err);

    code = code == SF_OK ? sf_signed_make(context, payload, &key, &bytes, err) : code;
    sf_seed_done(&key);
    if (code == SF_OK) {
        sf_buf_printf(&body, "{\"%s\":\"", member);
        sf_buf_encode(&body, SF_BASE64, sf_buf_view(&bytes));
        sf_buf_text(&body, "\"}");
        code = sf_buf_check(&body, "body", err);
    }
    if (code == SF_OK) {
        code = api_hub(a,
                       &(struct api_call){.method = "POST",
                                          .path = path,
                                          .content_type = "application/json",
                                          .body = sf_buf_view(&body)},
                       err);
    }
    sf_buf_done(&bytes);
    sf_buf_done(&body);
    return code;
}

/* Whom the change has not reached yet, if anyone. */
static void warn_laggards(struct cli *cli, const struct sf_json *answer)
{
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(answer, "laggards"));
         sf_json_next(&it);) {
        const char *who = "?";

        (void)sf_json_as_text(it.value, &who);
        cli_warn(cli, "%s has not confirmed yet; it will take effect there when it does", who);
    }
}

static enum sf_code print_answer(struct cli *cli, const char *kind, const struct sf_json *answer,
                                 struct sf_error *err)
{
    warn_laggards(cli, answer);
    if (cli->print.format == PRINT_TABLE) {
        return SF_OK;
    }
    print_begin(&cli->print, PRINT_OBJECT, kind);
    print_answer_members(&cli->print, answer);
    return print_end(&cli->print, err);
}

static enum sf_code send_decision(struct deciding *d, struct sf_error *err)
{
    const Sheaf__V1__Decision *m = &d->decision;
    size_t size = sheaf__v1__decision__get_packed_size(m);
    uint8_t *packed = sf_arena_alloc(&d->arena, size + 1);
    const struct sf_json *answer = NULL;
    const char *grant = "?";
    char path[128];
    char until[PRINT_TIME_SIZE];
    enum sf_code code = SF_OK;

    if (packed == NULL) {
        return SF_RAISE(err, SF_NOMEM, "decision");
    }
    (void)sheaf__v1__decision__pack(m, packed);
    (void)snprintf(path, sizeof(path), "/v1/access/requests/%.64s/decision", m->request_id);
    code = post_signed(&d->api, path, SIGN_DECISION, "decision", sf_slice_of(packed, size), err);
    code = code == SF_OK ? api_json(&d->api, &answer, err) : code;
    if (code != SF_OK) {
        return code;
    }
    if (!d->approve) {
        cli_did(d->cli, "request %s of %s denied", m->request_id, m->consumer);
        return print_answer(d->cli, "AccessDecision", answer, err);
    }
    (void)sf_json_as_text(sf_json_get(answer, "grant"), &grant);
    (void)sf_json_as_text(sf_json_path(answer, "grant.id"), &grant);
    print_until_text(m->until_us, wall_us(), until);
    cli_did(d->cli, "grant %s %s → %s/%s until %s", grant, m->consumer, m->owner, m->product,
            until);
    return print_answer(d->cli, "AccessDecision", answer, err);
}

static enum sf_code decide(struct deciding *d, struct sf_error *err)
{
    struct cli *cli = d->cli;
    struct sf_buf path = {0};
    const struct sf_json *request = NULL;
    enum sf_code code = api_open(cli, &d->api, err);

    code = code == SF_OK ? api_act(&d->api, NULL, err) : code;
    sf_buf_text(&path, "/v1/access/");
    api_escape(&path, cli->args.positional[0]);
    if (code == SF_OK && sf_buf_cstr(&path) == NULL) {
        code = sf_buf_check(&path, "path", err);
    }
    code = code == SF_OK ? api_get_hub(&d->api, sf_buf_cstr(&path), &request, err) : code;
    sf_buf_done(&path);
    code = code == SF_OK ? fill_from_request(d, request, err) : code;
    code = code == SF_OK ? fill_from_flags(d, err) : code;
    return code == SF_OK ? send_decision(d, err) : code;
}

static int run_decision(struct cli *cli, bool approve)
{
    struct deciding d = {.cli = cli, .approve = approve};
    struct sf_error err;
    enum sf_code code = SF_OK;

    sheaf__v1__decision__init(&d.decision);
    sf_arena_init(&d.arena, 0);
    code = decide(&d, &err);
    sf_arena_done(&d.arena);
    api_done(&d.api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}

int cmd_access_approve(struct cli *cli)
{
    return run_decision(cli, /* approve= */ true);
}

int cmd_access_deny(struct cli *cli)
{
    return run_decision(cli, /* approve= */ false);
}

static enum sf_code revoke(struct cli *cli, struct api *a, struct sf_arena *arena,
                           struct sf_error *err)
{
    const char *reason = args_value(&cli->args, "note");
    Sheaf__V1__Revocation m;
    const struct sf_json *answer = NULL;
    struct sf_buf path = {0};
    int64_t elapsed_us = 0;
    enum sf_code code = api_open(cli, a, err);

    code = code == SF_OK ? api_act(a, NULL, err) : code;
    if (code != SF_OK) {
        return code;
    }
    sheaf__v1__revocation__init(&m);
    m.mesh = sf_arena_strdup(arena, a->context.mesh);
    m.grant_id = sf_arena_strdup(arena, cli->args.positional[0]);
    m.reason = sf_arena_strdup(arena, reason != NULL ? reason : "");
    m.revoked_by = a->who.user;
    m.revoked_us = wall_us();
    uint8_t *packed = sf_arena_alloc(arena, sheaf__v1__revocation__get_packed_size(&m) + 1);
    if (m.mesh == NULL || m.grant_id == NULL || m.reason == NULL || packed == NULL) {
        return SF_RAISE(err, SF_NOMEM, "revocation");
    }
    size_t size = sheaf__v1__revocation__pack(&m, packed);
    sf_buf_text(&path, "/v1/access/grants/");
    api_escape(&path, cli->args.positional[0]);
    sf_buf_text(&path, "/revoke");
    code = sf_buf_cstr(&path) == NULL ? sf_buf_check(&path, "path", err)
                                      : post_signed(a, sf_buf_cstr(&path), SIGN_REVOCATION,
                                                    "revocation", sf_slice_of(packed, size), err);
    sf_buf_done(&path);
    code = code == SF_OK ? api_json(a, &answer, err) : code;
    if (code != SF_OK) {
        return code;
    }
    (void)sf_json_as_int(sf_json_get(answer, "elapsed_us"), &elapsed_us);
    cli_did(cli, "grant %s revoked, in effect after %" PRId64 " ms", cli->args.positional[0],
            elapsed_us / 1000);
    return print_answer(cli, "RevocationReceipt", answer, err);
}

int cmd_access_revoke(struct cli *cli)
{
    struct api api = {0};
    struct sf_arena arena;
    struct sf_error err;
    enum sf_code code = SF_OK;

    sf_arena_init(&arena, 0);
    code = revoke(cli, &api, &arena, &err);
    sf_arena_done(&arena);
    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}
