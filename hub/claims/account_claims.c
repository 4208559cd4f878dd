#include "hub/claims/account_claims.h"

#include <stdio.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/bus/natsd_config.h"
#include "proto/subjects.h"

enum sf_code claims_account_key(const struct authority *a, const char *name,
                                char ret[SF_NKEY_TEXT_MAX], struct sf_error *err)
{
    struct sf_seed seed = {0};
    enum sf_code code = authority_derive(a, SF_NKEY_ACCOUNT, name, &seed, err);

    if (code == SF_OK) {
        sf_nkey_format(SF_NKEY_ACCOUNT, &seed.public_key, ret);
        sf_seed_done(&seed);
    }
    return code;
}

enum sf_code claims_operator(const struct authority *a, int64_t iat_s, struct sf_buf *ret,
                             struct sf_error *err)
{
    struct sf_seed system = {0};
    enum sf_code code = authority_derive(a, SF_NKEY_ACCOUNT, "SYS", &system, err);

    if (code != SF_OK) {
        return code;
    }
    const struct sf_operator_claims claims = {
        .name = "sheaf",
        .subject = &a->operator_key.public_key,
        .system_account = &system.public_key,
        .signing_keys = &a->signing_key.public_key,
        .signing_key_count = 1,
    };
    const struct sf_nats_signer signer = {.seed = &a->operator_key, .iat_s = iat_s};

    code = sf_operator_jwt(&claims, &signer, ret, err);
    sf_seed_done(&system);
    return code;
}

/* Fills in the subject of @claims and signs them. */
static enum sf_code sign_account(const struct authority *a, struct sf_account_claims *claims,
                                 int64_t iat_s, struct sf_buf *ret, struct sf_error *err)
{
    const struct sf_nats_signer signer = {.seed = &a->signing_key, .iat_s = iat_s};
    struct sf_seed account = {0};
    enum sf_code code = authority_derive(a, SF_NKEY_ACCOUNT, claims->name, &account, err);

    if (code != SF_OK) {
        return code;
    }
    claims->subject = &account.public_key;
    code = sf_account_jwt(claims, &signer, ret, err);
    claims->subject = NULL;
    sf_seed_done(&account);
    return code;
}

enum sf_code claims_system(const struct authority *a, int64_t iat_s, struct sf_buf *ret,
                           struct sf_error *err)
{
    struct sf_account_claims claims = {.name = "SYS", .limits = sf_account_limits_open()};

    return sign_account(a, &claims, iat_s, ret, err);
}

enum sf_code claims_mesh(const struct authority *a, int64_t iat_s, struct sf_buf *ret,
                         struct sf_error *err)
{
    char control[SUBJECT_MAX];
    struct sf_nats_export exports[] = {{
        .name = "control",
        .subject = control,
        .flow = SF_NATS_SERVICE,
        .account_token = 3,
    }};
    struct sf_account_claims claims = {
        .name = "MESH",
        .limits = sf_account_limits_open(),
        .exports = exports,
        .export_count = SF_COUNT(exports),
    };

    subject_control_listen(control);
    claims.limits.js_disk_bytes = -1;
    claims.limits.js_streams = -1;
    claims.limits.js_consumers = -1;
    return sign_account(a, &claims, iat_s, ret, err);
}

static struct sf_account_limits domain_limits(void)
{
    struct sf_account_limits limits = sf_account_limits_open();

    limits.payload_bytes = SF_NATSD_ACCOUNT_PAYLOAD;
    return limits;
}

enum sf_code claims_serve(const struct authority *a, const struct claims_domain *d,
                          struct sf_buf *ret, struct sf_error *err)
{
    char name[128];
    char live[SUBJECT_MAX];
    char requests[SUBJECT_MAX];
    char control[SUBJECT_MAX];
    char control_local[SUBJECT_MAX];
    char self[SF_NKEY_TEXT_MAX];
    struct sf_nats_export exports[] = {
        {.name = "live", .subject = live, .flow = SF_NATS_STREAM},
        {.name = "requests",
         .subject = requests,
         .flow = SF_NATS_SERVICE,
         .is_streamed = true,
         .account_token = 3},
    };
    struct sf_nats_import imports[] = {{
        .name = "control",
        .subject = control,
        .exporter = d->mesh_account,
        .flow = SF_NATS_SERVICE,
        .local_subject = control_local,
    }};
    struct sf_account_claims claims = {
        .name = name,
        .limits = domain_limits(),
        .exports = exports,
        .export_count = SF_COUNT(exports),
        .imports = imports,
        .import_count = SF_COUNT(imports),
    };
    enum sf_code code;

    (void)snprintf(name, sizeof(name), "%s.serve", d->name);
    code = claims_account_key(a, name, self, err);
    if (code != SF_OK) {
        return code;
    }
    subject_live_export(live, d->name);
    subject_request_listen(requests, d->name);
    subject_control_source(control, self);
    subject_control_local(control_local);
    return sign_account(a, &claims, d->serve_iat_s, ret, err);
}

/* The import of the live changes of one grant as @audience; names are unique. Both audiences of a
 * grant have one local subject, and the owner's leaf feeds one of the two. */
static bool import_live(struct sf_arena *arena, const struct claims_grant *g, const char *what,
                        const char *audience, struct sf_nats_import *ret)
{
    char source[SUBJECT_MAX];
    char local[SUBJECT_MAX];

    subject_import_source(source, g->owner, g->product, g->major, audience);
    subject_import_local(local, g->owner, g->product, g->major);
    *ret = (struct sf_nats_import){
        .name = sf_arena_printf(arena, "%s %s/%s@%u", what, g->owner, g->product, g->major),
        .subject = sf_arena_strdup(arena, source),
        .exporter = g->owner_serve_account,
        .flow = SF_NATS_STREAM,
        .local_subject = sf_arena_strdup(arena, local),
    };
    return ret->name != NULL && ret->subject != NULL && ret->local_subject != NULL;
}

static bool import_requests(struct sf_arena *arena, const char *account,
                            const struct claims_grant *g, struct sf_nats_import *ret)
{
    char source[SUBJECT_MAX];
    char local[SUBJECT_MAX];

    subject_request_source(source, g->owner, account);
    subject_request_local(local, g->owner);
    *ret = (struct sf_nats_import){
        .name = sf_arena_printf(arena, "requests %s", g->owner),
        .subject = sf_arena_strdup(arena, source),
        .exporter = g->owner_serve_account,
        .flow = SF_NATS_SERVICE,
        .local_subject = sf_arena_strdup(arena, local),
    };
    return ret->name != NULL && ret->subject != NULL && ret->local_subject != NULL;
}

/* Whether an earlier grant of the list has the same owner. */
static bool owner_seen(const struct claims_domain *d, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (strcmp(d->grants[k].owner, d->grants[i].owner) == 0) {
            return true;
        }
    }
    return false;
}

static bool fill_imports(struct sf_arena *arena, const struct claims_domain *d,
                         struct sf_account_claims *claims)
{
    struct sf_nats_import *imports =
        sf_arena_calloc(arena, d->grant_count * 3 + 1, sizeof(*imports));
    size_t n = 0;

    if (imports == NULL) {
        return false;
    }
    for (size_t i = 0; i < d->grant_count; i++) {
        const struct claims_grant *g = &d->grants[i];

        if (!import_live(arena, g, "live", g->audience, &imports[n++]) ||
            !import_live(arena, g, "sole", g->sole_audience, &imports[n++])) {
            return false;
        }
    }
    for (size_t i = 0; i < d->grant_count; i++) {
        if (!owner_seen(d, i) &&
            !import_requests(arena, d->account, &d->grants[i], &imports[n++])) {
            return false;
        }
    }
    claims->imports = imports;
    claims->import_count = n;
    return true;
}

enum sf_code claims_consume(const struct authority *a, const struct claims_domain *d,
                            struct sf_buf *ret, struct sf_error *err)
{
    struct sf_account_claims claims = {.name = d->name, .limits = domain_limits()};
    struct sf_arena arena;
    enum sf_code code;

    sf_arena_init(&arena, 0);
    if (fill_imports(&arena, d, &claims)) {
        code = sign_account(a, &claims, d->iat_s, ret, err);
    } else {
        code = SF_RAISE(err, SF_NOMEM, "claims of %s", d->name);
    }
    sf_arena_done(&arena);
    return code;
}

static enum sf_code sign_user(const struct authority *a, const char *account,
                              const struct sf_user_claims *claims, int64_t iat_s,
                              struct sf_buf *ret, struct sf_error *err)
{
    struct sf_seed key = {0};
    enum sf_code code = authority_derive(a, SF_NKEY_ACCOUNT, account, &key, err);

    if (code == SF_OK) {
        const struct sf_nats_signer signer = {.seed = &key, .iat_s = iat_s};

        code = sf_user_jwt(claims, &signer, ret, err);
        sf_seed_done(&key);
    }
    return code;
}

enum sf_code claims_hub_user(const struct authority *a, const char *account,
                             const struct sf_public_key *user, int64_t iat_s, struct sf_buf *ret,
                             struct sf_error *err)
{
    static const char *const publish[] = {
        "$SYS.REQ.CLAIMS.UPDATE",
        "$SYS.REQ.ACCOUNT.*.*",
        "$SYS.REQ.SERVER.>",
        "$SYS._INBOX.>",
        "_INBOX.>",
    };
    static const char *const subscribe[] = {
        "_INBOX.>",
        "$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP",
        "$SYS.ACCOUNT.*.CONNECT",
        "$SYS.ACCOUNT.*.DISCONNECT",
        "$SYS.SERVER.*.STATSZ",
    };
    struct sf_user_claims claims = {
        .name = "hub",
        .subject = user,
        .connection_type = "STANDARD",
    };

    if (strcmp(account, "SYS") == 0) {
        claims.publish_allow = (struct sf_text_list){publish, SF_COUNT(publish)};
        claims.subscribe_allow = (struct sf_text_list){subscribe, SF_COUNT(subscribe)};
    }
    return sign_user(a, account, &claims, iat_s, ret, err);
}

enum sf_code claims_leafnode(const struct authority *a, const struct claims_leaf_user *u,
                             struct sf_buf *ret, struct sf_error *err)
{
    const struct sf_user_claims claims = {
        .name = u->account,
        .subject = u->user,
        .connection_type = "LEAFNODE",
        .expires_s = u->expires_s,
    };

    return sign_user(a, u->account, &claims, u->iat_s, ret, err);
}
