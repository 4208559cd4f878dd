/*
 * The mesh that runs on this machine, as <data>/dev.json tells: addresses, processes, keys.
 *
 * `sheaf dev` writes the file whenever something changes and leaves it in place with pid 0 when the
 * mesh stops, so that the next start finds the same ports and leaves.
 *
 *   Memory    A struct context owns its document; texts live as long.
 *   Errors    SF_UNAVAILABLE, E0806: no mesh runs here.
 */
#pragma once

#include "common/base/attr.h"
#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/identity/token.h"
#include "common/sys/crypto.h"
#include "common/wire/json.h"

enum { CONTEXT_LEAVES_MAX = 64, CONTEXT_USER_MAX = 64 };

struct context_process {
    const char *domain;    /* NULL for the hub */
    const char *http;      /* "http://127.0.0.1:8080" */
    const char *nats;      /* "nats://127.0.0.1:4222" */
    const char *data;      /* directory */
    int64_t leafnode_port; /* of the hub */
    int64_t pid;           /* 0: does not run */
    bool ready;
};

struct context {
    struct sf_json_doc *doc; /* owned */
    const char *mesh;        /* id; "" until the hub has said it */
    const char *hub_key;     /* base64, as the hub first showed it; "" until then */
    int64_t pid;             /* of the supervisor; 0: stopped */
    const char *error;       /* why the mesh does not come up, or NULL */
    struct context_process hub;
    struct context_process leaves[CONTEXT_LEAVES_MAX];
    size_t leaf_count;
};

/* Reads the file whether the mesh runs or not. SF_ABSENT: there is none. SF_CORRUPT, SF_IO. */
enum sf_code context_read(const char *data_dir, struct context *ret,
                          struct sf_error *err) SF_MUST_CHECK;
/* The same for a mesh that runs. */
enum sf_code context_open(const char *data_dir, struct context *ret,
                          struct sf_error *err) SF_MUST_CHECK;
void context_done(struct context *c);

/* "see its log", and where that is of a hub or leaf that `sheaf dev` started, which keeps one. */
void context_log_hint(const struct context_process *process, char *ret, size_t size);

/* NULL: no such leaf. */
const struct context_process *context_leaf(const struct context *c, const char *domain);

/* Who acts. */
struct identity {
    char domain[CONTEXT_USER_MAX]; /* or "platform" */
    char user[CONTEXT_USER_MAX];
    struct sf_token_role roles[SF_TOKEN_ROLES_MAX];
    size_t role_count;
};

/* DOMAIN[/USER], the user by default from the environment; any name. SF_INVALID, E0801: a part
 * is missing or too long. */
enum sf_code identity_parse(const char *as, struct identity *ret,
                            struct sf_error *err) SF_MUST_CHECK;
/* The roles of @who from now on: names with commas between; NULL: none. SF_INVALID, E0801. */
enum sf_code identity_set_roles(struct identity *who, const char *roles,
                                struct sf_error *err) SF_MUST_CHECK;
/* Appends the assertion of its roles for requests about @product of @owner, for 5 minutes. */
enum sf_code identity_assertion(const struct identity *who, const char *mesh,
                                const struct sf_seed *key, const char *owner, const char *product,
                                struct sf_buf *ret, struct sf_error *err) SF_MUST_CHECK;
/* Appends a token of @who in the mesh @mesh for 10 minutes, signed by @key. */
enum sf_code identity_token(const struct identity *who, const char *mesh, const struct sf_seed *key,
                            struct sf_buf *ret, struct sf_error *err) SF_MUST_CHECK;

/*
 * @as as given (DOMAIN[/USER]), or NULL; then @implied (may be NULL), when it is one of this mesh;
 * then the only domain there is. "platform" is an identity as well. SF_INVALID, E0802: none can be
 * told; names the domains. SF_INVALID, E0107: there is no such domain.
 */
enum sf_code context_identity(const struct context *c, const char *as, const char *implied,
                              struct identity *ret, struct sf_error *err) SF_MUST_CHECK;
/* The key that signs for @who: <data>/leaf-D/keys/domain.seed or <data>/hub/keys/platform.seed. */
enum sf_code context_key(const struct context *c, const struct identity *who, struct sf_seed *ret,
                         struct sf_error *err) SF_MUST_CHECK;
/* Appends a token of @who for 10 minutes. */
enum sf_code context_token(const struct context *c, const struct identity *who, struct sf_buf *ret,
                           struct sf_error *err) SF_MUST_CHECK;
