/*
 * A whole NATS layer in a test, made by the modules of the product: an operator-mode hub server and
 * the leaf servers of two domains (sales and marketing), two accounts each, MESH and SYS; the hub's
 * connections, which answer lookups; and connections of every kind of user.
 *
 * All functions fail the test on what they cannot do. Ports and directories are the test's own.
 */
#pragma once

#include "common/bus/bus_nats.h"
#include "common/identity/nats_jwt.h"
#include "tests/lib/nats_server.h"
#include "tests/lib/test_loop.h"
#include "tests/lib/tmpdir.h"

enum { FIXTURE_WAIT_MS = 60000, FIXTURE_BUSES = 24 };

enum fixture_account {
    FIXTURE_SYS,
    FIXTURE_MESH,
    FIXTURE_SALES_SERVE,
    FIXTURE_SALES,
    FIXTURE_MARKETING_SERVE,
    FIXTURE_MARKETING,
    FIXTURE_ACCOUNTS,
};

enum fixture_leaf { FIXTURE_LEAF_SALES, FIXTURE_LEAF_MARKETING, FIXTURE_LEAVES };

/* Who connects to a leaf's server. */
enum fixture_user {
    FIXTURE_PROCESS,       /* the leaf process in <domain> */
    FIXTURE_PROCESS_SERVE, /* ... in <domain>.serve */
    FIXTURE_APP,           /* an app of the domain */
    FIXTURE_USERS,
};

struct nats_fixture {
    struct test_loop loop;
    struct tmpdir dir;
    struct nats_server hub;
    struct nats_server second_hub; /* not running unless started */
    uint16_t leafnode_port;
    struct nats_server leaf[FIXTURE_LEAVES];
    struct sf_seed operator_key;
    struct sf_seed signing_key;
    struct sf_seed foreign_key; /* an operator that nobody trusts */
    struct fixture_account_state {
        struct sf_seed seed;
        char id[SF_NKEY_TEXT_MAX];
        struct sf_buf jwt; /* the newest */
        char jti[72];
        int64_t iat_s;
    } account[FIXTURE_ACCOUNTS];
    struct sf_seed user[FIXTURE_LEAVES][FIXTURE_USERS];
    struct sf_seed leaf_system_user[FIXTURE_LEAVES];
    struct sf_bus *sys; /* of the hub */
    struct sf_bus *mesh;
    struct sf_bus_sub lookup_sub;
    struct sf_bus_sub event_sub[2];
    size_t lookups;
    size_t leafnodes;                     /* connected now, as SYS tells */
    size_t disconnects[FIXTURE_ACCOUNTS]; /* of leafnodes, since the start */
    struct sf_bus *buses[FIXTURE_BUSES];  /* open ones */
    size_t closed;
    size_t closed_want;
};

struct nats_fixture_options {
    bool preloads_only_system; /* else every account, as the product does */
    bool keeps_cache;          /* else the resolver's directory is emptied, as the product does */
    const char *extra_hub;     /* appended to the hub's configuration; NULL: nothing */
};

/* Everything runs and all leafnodes are connected afterwards. */
void nats_fixture_init(struct nats_fixture *f, const struct nats_fixture_options *o);
void nats_fixture_done(struct nats_fixture *f);

/* A connected bus; closed with the fixture. */
struct sf_bus *nats_fixture_leaf_bus(struct nats_fixture *f, enum fixture_leaf leaf,
                                     enum fixture_user user);
/* A user of @account at the hub's server. */
struct sf_bus *nats_fixture_hub_bus(struct nats_fixture *f, enum fixture_account account);
void nats_fixture_close_bus(struct nats_fixture *f, struct sf_bus *bus);
/* Waits until the server has taken all that was sent, up to @timeout_ms. */
enum sf_code nats_flush(struct test_loop *loop, struct sf_bus *bus,
                        unsigned timeout_ms) SF_MUST_CHECK;
/* The same for a bus of the fixture, and it does. */
void nats_fixture_flush(struct nats_fixture *f, struct sf_bus *bus);

/* Signs a new JWT of @account with these imports, without pushing it. */
void nats_fixture_sign(struct nats_fixture *f, enum fixture_account account,
                       const struct sf_nats_import *imports, size_t count);
/* Signs the claims that @account had at the start once more. */
void nats_fixture_sign_static(struct nats_fixture *f, enum fixture_account account);
/* Pushes @jwt (NULL: the newest of @account); the number of answers with code 200 within @window.
 */
size_t nats_fixture_push(struct nats_fixture *f, enum fixture_account account, const char *jwt,
                         size_t expected, unsigned window_ms);
/* Imports of marketing: requests to sales, and its product orders for @count audiences. Pushed. */
void nats_fixture_grant(struct nats_fixture *f, const char *const *audiences, size_t count);
/* The jti of the claims that the hub's server applies for @account. */
void nats_fixture_effective_jti(struct nats_fixture *f, enum fixture_account account, char ret[72]);

/* A second node of the hub; @extra is appended to its configuration. Stopped with the fixture. */
void nats_fixture_start_second_hub(struct nats_fixture *f, const char *extra);
/* Servers that answer a ping of the system account within @window_ms. */
size_t nats_fixture_count_servers(struct nats_fixture *f, unsigned window_ms);
void nats_fixture_wait_servers(struct nats_fixture *f, size_t count);
/* Kills the hub's server and starts it again with the newest claims, until all are connected. */
void nats_fixture_restart_hub(struct nats_fixture *f, const struct nats_fixture_options *o);
/* Waits until both leaves are connected with both accounts. */
void nats_fixture_wait_leafnodes(struct nats_fixture *f);
