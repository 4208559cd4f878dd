#include "leaf/uplink/identity.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/alloc.h"
#include "common/identity/creds.h"
#include "common/sys/encoding.h"
#include "common/sys/file.h"
#include "common/wire/json.h"
#include "proto/errors.h"

enum { PATH_BYTES = 4096, IDENTITY_BYTES_MAX = 64 * 1024 };

static enum sf_code make_path(const struct identity *id, const char *name, char ret[PATH_BYTES],
                              struct sf_error *err)
{
    int n = snprintf(ret, PATH_BYTES, "%s/%s", id->data_dir, name);

    return n < 0 || n >= PATH_BYTES ? SF_RAISE(err, SF_INVALID, "path of '%s' is too long", name)
                                    : SF_OK;
}

/* --- keys ------------------------------------------------------------------------------------- */

static enum sf_code load_seed(const struct identity *id, const char *name, struct sf_seed *ret,
                              struct sf_error *err)
{
    char path[PATH_BYTES];
    enum sf_code code = make_path(id, name, path, err);

    return code == SF_OK ? sf_seed_load_or_create(path, ret, err) : code;
}

/* Nobody but its owner may read or write a secret. */
static enum sf_code check_secret(const char *path, struct sf_error *err)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        return SF_RAISE(err, SF_IO, "'%s' cannot be read", path);
    }
    if ((st.st_mode & 077) != 0) {
        return SF_RAISE(err, SF_DENIED, "'%s' may be read or written by others: chmod 600 it",
                        path);
    }
    return SF_OK;
}

/* The seed of local apps, as text that NATS tools read too. */
static enum sf_code load_app_seed(struct identity *id, struct sf_error *err)
{
    char path[PATH_BYTES];
    char text[SF_NKEY_SEED_MAX + 1];
    struct sf_buf file = {0};
    enum sf_nkey_kind kind;
    enum sf_code code = make_path(id, "keys/app.nk", path, err);

    if (code != SF_OK) {
        return code;
    }
    if (!sf_file_exists(path)) {
        code = sf_seed_generate(&id->keys.app, err);
        if (code == SF_OK) {
            sf_nkey_format_seed(SF_NKEY_USER, &id->keys.app, text);
            code = sf_file_create(path, sf_slice_text(text), 0600, err);
            sf_wipe(text, sizeof(text));
        }
        return code;
    }
    code = check_secret(path, err);
    if (code == SF_OK) {
        code = sf_file_read(path, sizeof(text), &file, err);
    }
    if (code == SF_OK) {
        while (file.size > 0 && file.data[file.size - 1] <= ' ') {
            file.size--;
        }
        code = sf_nkey_parse_seed(sf_buf_view(&file), &kind, &id->keys.app, err);
        code =
            code == SF_INVALID ? SF_RAISE(err, SF_CORRUPT, "'%s' is not a key file", path) : code;
        sf_wipe(file.data, file.capacity);
    }
    sf_buf_done(&file);
    return code;
}

/* A new key in place of one that the mesh knows would make a stranger of the leaf. */
static enum sf_code check_keys_of_mesh(const struct identity *id, struct sf_error *err)
{
    static const char *const known[] = {"keys/domain.seed", "keys/leaf.seed"};
    char path[PATH_BYTES];
    enum sf_code code = make_path(id, "identity.json", path, err);

    if (code != SF_OK || !sf_file_exists(path)) {
        return code;
    }
    for (size_t i = 0; code == SF_OK && i < SF_COUNT(known); i++) {
        code = make_path(id, known[i], path, err);
        if (code == SF_OK && !sf_file_exists(path)) {
            return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT,
                              "'%s' is missing, and the leaf has joined with it: put it back",
                              path);
        }
    }
    return code;
}

static enum sf_code load_keys(struct identity *id, struct sf_error *err)
{
    const struct {
        const char *name;
        struct sf_seed *seed;
    } seeds[] = {
        {"keys/domain.seed", &id->keys.domain},
        {"keys/leaf.seed", &id->keys.leaf},
        {"keys/masks.seed", &id->keys.masks},
        {"keys/process.seed", &id->keys.process},
        {"keys/system.seed", &id->keys.system},
        {"keys/uplink.seed", &id->keys.uplink},
        {"keys/serve.seed", &id->keys.serve},
        {"keys/process-serve.seed", &id->keys.process_serve},
    };
    char path[PATH_BYTES];
    enum sf_code code = make_path(id, "keys", path, err);

    if (code == SF_OK) {
        code = sf_dir_make(path, 0700, err);
    }
    for (size_t i = 0; code == SF_OK && i < SF_COUNT(seeds); i++) {
        code = load_seed(id, seeds[i].name, seeds[i].seed, err);
    }
    if (code == SF_OK) {
        code = load_app_seed(id, err);
    }
    if (code != SF_OK) {
        return code;
    }
    sf_nkey_format(SF_NKEY_USER, &id->keys.process.public_key, id->keys.process_user);
    sf_nkey_format(SF_NKEY_USER, &id->keys.process_serve.public_key, id->keys.process_serve_user);
    sf_nkey_format(SF_NKEY_USER, &id->keys.system.public_key, id->keys.system_user);
    sf_nkey_format(SF_NKEY_USER, &id->keys.app.public_key, id->keys.app_user);
    return SF_OK;
}

enum sf_code identity_reload_masks(struct identity *id, bool *changed, struct sf_error *err)
{
    SF_CLEANUP(sf_seed_done) struct sf_seed fresh = {0};
    enum sf_code code = load_seed(id, "keys/masks.seed", &fresh, err);
    struct sf_seed before;

    *changed = false;
    if (code != SF_OK) {
        return code;
    }
    *changed = !sf_equal_secret(sf_seed_bytes(&fresh), sf_seed_bytes(&id->keys.masks));
    before = id->keys.masks;
    id->keys.masks = fresh;
    fresh = before;
    return SF_OK;
}

/* --- identity.json ---------------------------------------------------------------------------- */

static bool copy_text(const struct sf_json *v, const char *name, char *ret, size_t size)
{
    const char *text;
    int n;

    if (!sf_json_as_text(sf_json_get(v, name), &text)) {
        return false;
    }
    n = snprintf(ret, size, "%s", text);
    return n >= 0 && (size_t)n < size;
}

static enum sf_code parse_identity(const struct sf_json *v, struct identity *id,
                                   struct sf_error *err)
{
    struct identity_mesh m = {.joined = true};
    char domain[64];
    char key[64];

    if (!copy_text(v, "domain", domain, sizeof(domain)) ||
        !copy_text(v, "mesh", m.mesh, sizeof(m.mesh)) ||
        !copy_text(v, "hub_url", m.hub_url, sizeof(m.hub_url)) ||
        !copy_text(v, "leafnode_url", m.leafnode_url, sizeof(m.leafnode_url)) ||
        !copy_text(v, "account", m.account, sizeof(m.account)) ||
        !copy_text(v, "serve_account", m.serve_account, sizeof(m.serve_account)) ||
        !copy_text(v, "hub_key", key, sizeof(key)) ||
        !sf_json_as_int(sf_json_get(v, "expires_us"), &m.expires_us) ||
        !sf_json_as_int(sf_json_get(v, "renew_us"), &m.renew_us) ||
        sf_decode_exact(SF_BASE64, sf_slice_text(key), m.hub_key.bytes, sizeof(m.hub_key.bytes),
                        NULL) != SF_OK) {
        return SF_RAISE(err, SF_CORRUPT, "%s/identity.json is not whole", id->data_dir);
    }
    if (strcmp(domain, id->domain) != 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_DATA_DIR_FOREIGN,
                          "%s belongs to domain '%s', not '%s'", id->data_dir, domain, id->domain);
    }
    id->mesh = m;
    return SF_OK;
}

static enum sf_code load_identity(struct identity *id, struct sf_error *err)
{
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *doc = NULL;
    SF_CLEANUP(sf_buf_done) struct sf_buf file = {0};
    char path[PATH_BYTES];
    enum sf_code code = make_path(id, "identity.json", path, err);

    if (code != SF_OK || !sf_file_exists(path)) {
        return code;
    }
    code = sf_file_read(path, IDENTITY_BYTES_MAX, &file, err);
    if (code == SF_OK) {
        code = sf_json_parse(sf_buf_view(&file), &doc, err);
        code = code == SF_INVALID ? SF_RAISE(err, SF_CORRUPT, "%s is not JSON", path) : code;
    }
    return code == SF_OK ? parse_identity(sf_json_root(doc), id, err) : code;
}

static char *join_path(const char *dir, const char *name)
{
    char path[PATH_BYTES];
    int n = snprintf(path, sizeof(path), "%s/%s", dir, name);

    return n < 0 || n >= PATH_BYTES ? NULL : sf_strdup(path);
}

enum sf_code identity_open(const char *data_dir, const char *domain, struct identity *ret,
                           struct sf_error *err)
{
    enum sf_code code;

    *ret = (struct identity){
        .data_dir = sf_strdup(data_dir),
        .domain = domain,
        .creds_path = join_path(data_dir, "creds/domain.creds"),
        .serve_creds_path = join_path(data_dir, "creds/serve.creds"),
    };
    if (ret->data_dir == NULL || ret->creds_path == NULL || ret->serve_creds_path == NULL) {
        code = SF_RAISE(err, SF_NOMEM, "identity");
    } else {
        code = check_keys_of_mesh(ret, err);
    }
    if (code == SF_OK) {
        code = load_keys(ret, err);
    }
    if (code == SF_OK) {
        code = load_identity(ret, err);
    }
    if (code != SF_OK) {
        identity_done(ret);
    }
    return code;
}

void identity_done(struct identity *id)
{
    sf_seed_done(&id->keys.domain);
    sf_seed_done(&id->keys.leaf);
    sf_seed_done(&id->keys.process);
    sf_seed_done(&id->keys.process_serve);
    sf_seed_done(&id->keys.system);
    sf_seed_done(&id->keys.uplink);
    sf_seed_done(&id->keys.serve);
    sf_seed_done(&id->keys.app);
    sf_seed_done(&id->keys.masks);
    sf_free(id->data_dir);
    sf_free(id->creds_path);
    sf_free(id->serve_creds_path);
    *id = (struct identity){0};
}

static enum sf_code store_creds(const char *path, struct sf_slice jwt, const struct sf_seed *user,
                                struct sf_error *err)
{
    struct sf_buf text = {0};
    enum sf_code code;

    sf_creds_format(jwt, user, &text);
    code = sf_buf_check(&text, "credentials", err);
    if (code == SF_OK) {
        code = sf_file_write(path, sf_buf_view(&text), 0600, err);
    }
    if (text.data != NULL) {
        sf_wipe(text.data, text.capacity);
    }
    sf_buf_done(&text);
    return code;
}

static void write_identity(const struct identity *id, const struct identity_mesh *mesh,
                           struct sf_buf *out)
{
    struct sf_json_writer w = {.out = out, .pretty = true};
    char key[64];

    sf_encode(SF_BASE64, sf_slice_of(mesh->hub_key.bytes, sizeof(mesh->hub_key.bytes)), key);
    sf_json_object_begin(&w);
    sf_json_member_text(&w, "domain", id->domain);
    sf_json_member_text(&w, "mesh", mesh->mesh);
    sf_json_member_text(&w, "hub_url", mesh->hub_url);
    sf_json_member_text(&w, "leafnode_url", mesh->leafnode_url);
    sf_json_member_text(&w, "hub_key", key);
    sf_json_member_text(&w, "account", mesh->account);
    sf_json_member_text(&w, "serve_account", mesh->serve_account);
    sf_json_member_int(&w, "expires_us", mesh->expires_us);
    sf_json_member_int(&w, "renew_us", mesh->renew_us);
    sf_json_object_end(&w);
    sf_buf_byte(out, '\n');
}

enum sf_code identity_store(const struct identity *id, const struct identity_mesh *mesh,
                            struct sf_slice serve_jwt, struct sf_slice jwt, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    char path[PATH_BYTES];
    enum sf_code code = make_path(id, "creds", path, err);

    if (code == SF_OK) {
        code = sf_dir_make(path, 0700, err);
    }
    if (code == SF_OK) {
        code = store_creds(id->serve_creds_path, serve_jwt, &id->keys.serve, err);
    }
    if (code == SF_OK) {
        code = store_creds(id->creds_path, jwt, &id->keys.uplink, err);
    }
    if (code == SF_OK) {
        write_identity(id, mesh, &text);
        code = sf_buf_check(&text, "identity", err);
    }
    if (code == SF_OK) {
        code = make_path(id, "identity.json", path, err);
    }
    /* Last: what it names is there. */
    return code == SF_OK ? sf_file_write(path, sf_buf_view(&text), 0600, err) : code;
}
