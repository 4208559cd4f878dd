#include "hub/claims/authority.h"

#include <stdio.h>

#include "common/sys/file.h"
#include "proto/errors.h"

enum { PATH_MAX_BYTES = 4096 };

static enum sf_code load(const char *keys_dir, const char *file, bool is_new, struct sf_seed *ret,
                         struct sf_error *err)
{
    char path[PATH_MAX_BYTES];
    const int n = snprintf(path, sizeof(path), "%s/%s", keys_dir, file);

    if (n < 0 || (size_t)n >= sizeof(path)) {
        return SF_RAISE(err, SF_INVALID, "path of keys is too long");
    }
    if (!is_new && !sf_file_exists(path)) {
        return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT,
                          "'%s' is missing, and the mesh was made with it: put it back", path);
    }
    return sf_seed_load_or_create(path, ret, err);
}

enum sf_code authority_open(const char *keys_dir, bool has_run, struct authority *ret,
                            struct sf_error *err)
{
    struct authority a = {0};
    const struct {
        const char *file;
        struct sf_seed *seed;
    } keys[] = {
        {"operator.seed", &a.operator_key}, {"signing.seed", &a.signing_key},
        {"hub.seed", &a.hub_key},           {"platform.seed", &a.platform_key},
        {"accounts.seed", &a.accounts_key},
    };
    enum sf_code code = sf_dir_make(keys_dir, 0700, err);

    for (size_t i = 0; code == SF_OK && i < SF_COUNT(keys); i++) {
        const bool is_new = !has_run || keys[i].seed == &a.platform_key;

        code = load(keys_dir, keys[i].file, is_new, keys[i].seed, err);
    }
    if (code != SF_OK) {
        authority_done(&a);
        return code;
    }
    *ret = a;
    return SF_OK;
}

void authority_done(struct authority *a)
{
    sf_seed_done(&a->operator_key);
    sf_seed_done(&a->signing_key);
    sf_seed_done(&a->hub_key);
    sf_seed_done(&a->platform_key);
    sf_seed_done(&a->accounts_key);
}

enum sf_code authority_derive(const struct authority *a, enum sf_nkey_kind kind, const char *name,
                              struct sf_seed *ret, struct sf_error *err)
{
    const struct sf_slice parts[] = {
        SF_LITERAL("sheaf.v1.account"),
        sf_slice_of("", 1),
        sf_slice_text(sf_nkey_kind_name(kind)),
        sf_slice_of("", 1),
        sf_slice_text(name),
    };
    uint8_t seed[SF_HASH256_SIZE];
    enum sf_code code;

    sf_hash256_keyed(sf_seed_bytes(&a->accounts_key).data, parts, SF_COUNT(parts), seed);
    code = sf_seed_from_bytes(sf_slice_of(seed, sizeof(seed)), ret, err);
    sf_wipe(seed, sizeof(seed));
    return code;
}
