#include "cli/context.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "common/contract/contract.h"
#include "common/sys/file.h"
#include "proto/errors.h"

enum { FILE_BYTES_MAX = 1024 * 1024, TOKEN_LIFETIME_S = 600 };

static const char *text_of(const struct sf_json *v, const char *name)
{
    const char *text = "";

    (void)sf_json_as_text(sf_json_get(v, name), &text);
    return text;
}

static struct context_process read_process(const struct sf_json *v)
{
    struct context_process p = {
        .http = text_of(v, "http"), .nats = text_of(v, "nats"), .data = text_of(v, "data")};

    (void)sf_json_as_int(sf_json_get(v, "pid"), &p.pid);
    (void)sf_json_as_int(sf_json_get(v, "leafnode_port"), &p.leafnode_port);
    (void)sf_json_as_bool(sf_json_get(v, "ready"), &p.ready);
    return p;
}

enum sf_code context_read(const char *data_dir, struct context *ret, struct sf_error *err)
{
    char path[CLI_PATH_MAX];
    struct sf_buf text = {0};
    struct context c = {0};
    const struct sf_json *root = NULL;
    enum sf_code code = SF_OK;

    (void)snprintf(path, sizeof(path), "%s/dev.json", data_dir);
    code = sf_file_read(path, FILE_BYTES_MAX, &text, err);
    if (code == SF_OK && sf_json_parse(sf_buf_view(&text), &c.doc, err) != SF_OK) {
        code =
            SF_RAISE(err, SF_CORRUPT, "%s is damaged; remove it and start 'sheaf dev' again", path);
    }
    sf_buf_done(&text);
    if (code != SF_OK) {
        return code;
    }
    root = sf_json_root(c.doc);
    c.mesh = text_of(root, "mesh");
    c.hub_key = text_of(root, "hub_key");
    c.error = text_of(root, "error")[0] != '\0' ? text_of(root, "error") : NULL;
    (void)sf_json_as_int(sf_json_get(root, "pid"), &c.pid);
    c.hub = read_process(sf_json_get(root, "hub"));
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(root, "leaves"));
         c.leaf_count < CONTEXT_LEAVES_MAX && sf_json_next(&it);) {
        c.leaves[c.leaf_count] = read_process(it.value);
        c.leaves[c.leaf_count++].domain = text_of(it.value, "domain");
    }
    *ret = c;
    return SF_OK;
}

enum sf_code context_open(const char *data_dir, struct context *ret, struct sf_error *err)
{
    enum sf_code code = context_read(data_dir, ret, err);

    if (code == SF_ABSENT) {
        return SF_RAISE_E(err, SF_UNAVAILABLE, SHEAF_E_NO_MESH, "%s has no mesh", data_dir);
    }
    if (code != SF_OK) {
        return code;
    }
    if (ret->pid <= 0 || kill((pid_t)ret->pid, 0) != 0) {
        (void)SF_RAISE_E(err, SF_UNAVAILABLE, SHEAF_E_NO_MESH, "the mesh of %s is stopped%s%s",
                         data_dir, ret->error != NULL ? ": " : "",
                         ret->error != NULL ? ret->error : "");
        context_done(ret);
        return SF_UNAVAILABLE;
    }
    return SF_OK;
}

void context_done(struct context *c)
{
    sf_json_free(c->doc);
    *c = (struct context){0};
}

void context_log_hint(const struct context_process *process, char *ret, size_t size)
{
    static const char see[] = "see its log: ";
    const size_t n = sizeof(see) - 1;

    (void)snprintf(ret, size, "%s%s/log/%s.log", see, process->data,
                   process->domain == NULL ? "sheaf-hub" : "sheaf-leaf");
    if (!sf_file_exists(ret + n)) {
        ret[n - 2] = '\0'; /* before the colon */
    }
}

const struct context_process *context_leaf(const struct context *c, const char *domain)
{
    for (size_t i = 0; i < c->leaf_count; i++) {
        if (strcmp(c->leaves[i].domain, domain) == 0) {
            return &c->leaves[i];
        }
    }
    return NULL;
}

static void list_domains(const struct context *c, char *ret, size_t size)
{
    size_t used = 0;

    ret[0] = '\0';
    for (size_t i = 0; i < c->leaf_count && used < size; i++) {
        int n = snprintf(ret + used, size - used, "%s%s", i == 0 ? "" : ", ", c->leaves[i].domain);

        used += n > 0 ? (size_t)n : 0;
    }
}

static bool is_known(const struct context *c, const char *domain)
{
    return strcmp(domain, SF_TOKEN_PLATFORM) == 0 || context_leaf(c, domain) != NULL;
}

enum sf_code identity_parse(const char *as, struct identity *ret, struct sf_error *err)
{
    const char *user = getenv("USER");
    size_t n = strcspn(as, "/");

    if (n == 0 || strcmp(as + n, "/") == 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "--as %s: column %zu: there is no %s; it is DOMAIN or DOMAIN/USER", as,
                          n == 0 ? 1 : n + 2, n == 0 ? "domain" : "user behind the /");
    }
    if (as[n] == '/') {
        user = as + n + 1;
    }
    if (user == NULL || user[0] == '\0') {
        user = "dev";
    }
    if (n >= sizeof(ret->domain) || strlen(user) >= sizeof(ret->user)) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "--as: the name is too long");
    }
    (void)snprintf(ret->domain, sizeof(ret->domain), "%.*s", (int)n, as);
    (void)snprintf(ret->user, sizeof(ret->user), "%s", user);
    return SF_OK;
}

enum sf_code context_identity(const struct context *c, const char *as, const char *implied,
                              struct identity *ret, struct sf_error *err)
{
    const char *domain = as;
    char domains[200];
    enum sf_code code = SF_OK;

    list_domains(c, domains, sizeof(domains));
    if (domain == NULL && implied != NULL && is_known(c, implied)) {
        domain = implied;
    }
    if (domain == NULL && c->leaf_count == 1) {
        domain = c->leaves[0].domain;
    }
    if (domain == NULL && implied != NULL) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_NO_CONTEXT,
                          "this mesh runs no leaf of domain '%s': say with --as which domain acts; "
                          "there are: %s",
                          implied, domains);
    }
    if (domain == NULL) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_NO_CONTEXT,
                          "say with --as which domain acts; there are: %s", domains);
    }
    code = identity_parse(domain, ret, err);
    if (code != SF_OK) {
        return code;
    }
    if (!is_known(c, ret->domain)) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REFERENCE,
                          "this mesh runs no leaf of domain '%s'; there are: %s", ret->domain,
                          domains);
    }
    return SF_OK;
}

enum sf_code context_key(const struct context *c, const struct identity *who, struct sf_seed *ret,
                         struct sf_error *err)
{
    char path[CLI_PATH_MAX];
    enum sf_code code = sf_crypto_init(err);

    if (code != SF_OK) {
        return code;
    }
    if (strcmp(who->domain, SF_TOKEN_PLATFORM) == 0) {
        (void)snprintf(path, sizeof(path), "%s/keys/platform.seed", c->hub.data);
    } else {
        const struct context_process *leaf = context_leaf(c, who->domain);

        (void)snprintf(path, sizeof(path), "%s/keys/domain.seed", leaf != NULL ? leaf->data : "");
    }
    code = sf_seed_load(path, ret, err);
    return code == SF_OK ? SF_OK : sf_error_wrap(err, "key of %s", who->domain);
}

enum sf_code identity_token(const struct identity *who, const char *mesh, const struct sf_seed *key,
                            struct sf_buf *ret, struct sf_error *err)
{
    struct sf_token token = {.issued_s = (int64_t)time(NULL)};

    token.expires_s = token.issued_s + TOKEN_LIFETIME_S;
    (void)snprintf(token.issuer, sizeof(token.issuer), "%s", who->domain);
    (void)snprintf(token.subject, sizeof(token.subject), "%s", who->user);
    (void)snprintf(token.audience, sizeof(token.audience), "%s", mesh);
    memcpy(token.roles, who->roles, sizeof(token.roles));
    token.role_count = who->role_count;
    return sf_token_make(&token, key, ret, err);
}

enum sf_code identity_set_roles(struct identity *who, const char *roles, struct sf_error *err)
{
    who->role_count = 0;
    while (roles != NULL && *roles != '\0') {
        const size_t n = strcspn(roles, ",");
        struct sf_token_role *role = &who->roles[who->role_count];

        if (n == 0 || n >= sizeof(role->text) || who->role_count >= SF_TOKEN_ROLES_MAX) {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                              "--role wants at most %d names of at most %zu characters: a,b",
                              SF_TOKEN_ROLES_MAX, sizeof(role->text) - 1);
        }
        (void)snprintf(role->text, sizeof(role->text), "%.*s", (int)n, roles);
        who->role_count++;
        roles += n + (roles[n] == ',');
    }
    return SF_OK;
}

enum sf_code identity_assertion(const struct identity *who, const char *mesh,
                                const struct sf_seed *key, const char *owner, const char *product,
                                struct sf_buf *ret, struct sf_error *err)
{
    struct sf_token token = {
        .kind = SF_TOKEN_ASSERTION, .issued_s = (int64_t)time(NULL), .role_count = who->role_count};

    token.expires_s = token.issued_s + SF_TOKEN_ASSERTION_LIFETIME_MAX_S;
    (void)snprintf(token.issuer, sizeof(token.issuer), "%s", who->domain);
    memcpy(token.roles, who->roles, sizeof(token.roles));
    sf_token_audience(mesh, owner, product, token.audience);
    return sf_token_make(&token, key, ret, err);
}

enum sf_code context_token(const struct context *c, const struct identity *who, struct sf_buf *ret,
                           struct sf_error *err)
{
    struct sf_seed key = {0};
    enum sf_code code = context_key(c, who, &key, err);

    if (code == SF_OK) {
        code = identity_token(who, c->mesh, &key, ret, err);
        sf_seed_done(&key);
    }
    return code;
}
