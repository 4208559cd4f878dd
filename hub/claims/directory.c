#include "hub/claims/directory.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/identity/nats_jwt.h"
#include "common/sys/file.h"
#include "common/sys/log.h"

static void account_free(struct directory_account *a)
{
    if (a != NULL) {
        sf_free(a->jwt);
        sf_free(a);
    }
}

void directory_done(struct directory *d)
{
    struct sf_map_entry *entry;
    size_t at = 0;

    while ((entry = sf_map_next(&d->accounts, &at)) != NULL) {
        account_free(entry->value);
    }
    sf_map_done(&d->accounts);
}

enum sf_code directory_put(struct directory *d, const char *account, struct sf_slice jwt,
                           struct sf_error *err)
{
    struct directory_account *a = sf_map_get(&d->accounts, account);
    SF_CLEANUP(sf_freep) char *text = NULL;

    if (a != NULL && sf_slice_equal(sf_slice_text(a->jwt), jwt)) {
        return SF_OK;
    }
    text = sf_strndup(jwt.data, jwt.size);
    if (text == NULL) {
        return SF_RAISE(err, SF_NOMEM, "JWT of account %.56s", account);
    }
    if (a == NULL) {
        a = sf_calloc(1, sizeof(*a));
        if (a == NULL || sf_map_put(&d->accounts, sf_slice_text(account), a) != SF_OK) {
            sf_free(a);
            return SF_RAISE(err, SF_NOMEM, "account %.56s", account);
        }
    }
    sf_free(a->jwt);
    a->jwt = SF_TAKE(text);
    a->generation++;
    return SF_OK;
}

const struct directory_account *directory_get(const struct directory *d, const char *account)
{
    return sf_map_get(&d->accounts, account);
}

struct loading {
    struct directory *directory;
    const char *dir;
    char signer[SF_NKEY_TEXT_MAX];
};

/* Whether @jwt is what we once signed for the account that the file is named after. */
static bool is_ours(const struct loading *x, const char *name, struct sf_slice jwt)
{
    struct sf_nats_jwt_info info;
    char expected[SF_NKEY_TEXT_MAX + 4];

    if (sf_nats_jwt_read(jwt, &info, NULL) != SF_OK) {
        return false;
    }
    (void)snprintf(expected, sizeof(expected), "%s.jwt", info.subject);
    return info.type == SF_NATS_ACCOUNT && strcmp(info.issuer, x->signer) == 0 &&
           strcmp(name, expected) == 0;
}

static enum sf_code load_file(const char *name, void *data, struct sf_error *err)
{
    struct loading *x = data;
    struct sf_buf jwt = {0};
    char path[4096];
    char account[SF_NKEY_TEXT_MAX];
    enum sf_code code;

    (void)snprintf(path, sizeof(path), "%s/%s", x->dir, name);
    (void)snprintf(account, sizeof(account), "%s", name);
    code = sf_file_read(path, SF_NATS_JWT_MAX, &jwt, err);
    if (code == SF_OK && is_ours(x, name, sf_buf_view(&jwt))) {
        code = directory_put(x->directory, account, sf_buf_view(&jwt), err);
    } else if (code == SF_OK || code == SF_BUSY || code == SF_ABSENT) {
        sf_log(SF_LOG_WARN, "claims.file_left_out", SF_F_TEXT("path", path));
        code = SF_OK;
    }
    sf_buf_done(&jwt);
    return code;
}

enum sf_code directory_load(struct directory *d, const char *dir,
                            const struct sf_public_key *signer, struct sf_error *err)
{
    struct loading x = {.directory = d, .dir = dir};

    sf_nkey_format(SF_NKEY_OPERATOR, signer, x.signer);
    return sf_dir_each(dir, load_file, &x, err);
}
