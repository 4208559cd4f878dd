/*
 * Who this leaf is: its keys, and what the hub told it when it joined.
 *
 * Under <data>/keys, each 0600 and made at first start: domain.seed (signs decisions and HTTP
 * tokens), leaf.seed (signs messages), process.seed, process-serve.seed, system.seed (users of the
 * leaf's nats-server), uplink.seed, serve.seed (users of its two remotes), app.nk (nkey seed for
 * apps of the domain), masks.seed (what hash masks are keyed with). <data>/identity.json holds
 * what joining gave; <data>/creds the credentials of the remotes.
 *
 *   Threads   Loop thread, before it runs; identity_store() on a query thread while nothing reads.
 *   Memory    The struct owns its keys; identity_done() wipes them.
 */
#pragma once

#include "common/identity/nkey.h"
#include "common/sys/crypto.h"

struct identity_keys {
    struct sf_seed domain;
    struct sf_seed leaf;
    struct sf_seed process;       /* this process in the account <d>... */
    struct sf_seed process_serve; /* ...and in <d>.serve: one key is good for one account */
    struct sf_seed system;
    struct sf_seed uplink;
    struct sf_seed serve;
    struct sf_seed app;
    struct sf_seed masks;
    char process_user[SF_NKEY_TEXT_MAX];
    char process_serve_user[SF_NKEY_TEXT_MAX];
    char system_user[SF_NKEY_TEXT_MAX];
    char app_user[SF_NKEY_TEXT_MAX];
};

/* What joining gave. */
struct identity_mesh {
    bool joined;
    char mesh[64];
    char hub_url[256]; /* HTTP */
    char leafnode_url[256];
    struct sf_public_key hub_key;
    char account[SF_NKEY_TEXT_MAX];
    char serve_account[SF_NKEY_TEXT_MAX];
    int64_t expires_us; /* of the credentials */
    int64_t renew_us;   /* half of their life is over */
};

struct identity {
    char *data_dir; /* owned */
    const char *domain;
    struct identity_keys keys;
    struct identity_mesh mesh;
    char *creds_path; /* owned: of the remotes */
    char *serve_creds_path;
};

/* Loads the keys or makes them, and the identity when there is one: then the keys of domain and
 * leaf must be there (SF_CORRUPT, E0605). @domain is borrowed.
 * SF_INVALID: the directory belongs to another domain. SF_IO, SF_DENIED, SF_CORRUPT, SF_NOMEM. */
enum sf_code identity_open(const char *data_dir, const char *domain, struct identity *ret,
                           struct sf_error *err) SF_MUST_CHECK;
void identity_done(struct identity *id);
/*
 * Reads keys/masks.seed again, and makes a new one when it was taken away: that is how it is
 * changed. *@changed: it is another than before. As identity_open(); then the one before stays.
 */
enum sf_code identity_reload_masks(struct identity *id, bool *changed,
                                   struct sf_error *err) SF_MUST_CHECK;
/* Replaces identity.json and the two credentials files. */
enum sf_code identity_store(const struct identity *id, const struct identity_mesh *mesh,
                            struct sf_slice serve_jwt, struct sf_slice jwt,
                            struct sf_error *err) SF_MUST_CHECK;
