/*
 * The keys of the hub: operator of the NATS layer, signer of bundles and events, and the platform's
 * own key.
 *
 * Files in <data>/keys, 0600, made at the first start: operator.seed (identity), signing.seed
 * (signs accounts), hub.seed (bundles and events), platform.seed (HTTP tokens of the platform),
 * accounts.seed. The key of every NATS account is derived from accounts.seed and the account's
 * name, so these five files are all there is to back up, and a join writes no secret.
 *
 *   Threads   Loop thread. authority_open() reads and writes files: at start only.
 *   Memory    Secrets are in locked memory until authority_done().
 */
#pragma once

#include "common/identity/nkey.h"

struct authority {
    struct sf_seed operator_key;
    struct sf_seed signing_key;
    struct sf_seed hub_key;
    struct sf_seed platform_key;
    struct sf_seed accounts_key;
};

/*
 * @keys_dir and what is missing in it are made, but of a hub that @has_run only the platform key:
 * the others are those of its mesh. SF_CORRUPT, E0605: one is missing. Codes of
 * sf_seed_load_or_create() and sf_dir_make().
 */
enum sf_code authority_open(const char *keys_dir, bool has_run, struct authority *ret,
                            struct sf_error *err) SF_MUST_CHECK;
void authority_done(struct authority *a);

/* The key pair of an account ("SYS", "MESH", "sales", "sales.serve") or, with @user, of the hub's
 * own user in it. SF_NOMEM. */
enum sf_code authority_derive(const struct authority *a, enum sf_nkey_kind kind, const char *name,
                              struct sf_seed *ret, struct sf_error *err) SF_MUST_CHECK;
