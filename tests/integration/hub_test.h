/*
 * A real hub in a test, and domains that join it: each with a nats-server of its own, connected as
 * leafnode with the credentials the hub gave, and a stand-in for the leaf process that polls.
 *
 * All functions fail the test on what they cannot do.
 */
#pragma once

#include "common/bus/bus.h"
#include "common/identity/token.h"
#include "common/sys/http_client.h"
#include "common/wire/json.h"
#include "control.pb-c.h"
#include "hub/claims/authority.h"
#include "tests/lib/nats_server.h"
#include "tests/lib/proc.h"
#include "tests/lib/test_loop.h"
#include "tests/lib/tmpdir.h"

struct hub_test {
    struct test_loop loop;
    struct tmpdir tmp;
    char data[4096];
    struct proc proc;
    uint16_t http;
    uint16_t nats;
    uint16_t leafnode;
    char mesh[64];
    struct authority keys; /* of the hub, read from its directory */
    struct sf_http_client *client;
    struct sf_bus *system; /* connection to SYS, or NULL */
};

void hub_test_init(struct hub_test *h); /* starts the hub */
void hub_test_done(struct hub_test *h);
/* Starts it (again) on the same directory and waits until it is ready. */
void hub_test_start(struct hub_test *h);
/* Starts it and expects it to end by itself: its exit status. The log is in h->proc. */
int hub_test_start_fails(struct hub_test *h);

/* A connection to the hub's nats-server as a user of the hub; closing it; one request on it. */
struct sf_bus *hub_test_dial(struct hub_test *h, const struct sf_seed *user, const char *jwt);
void hub_test_close(struct hub_test *h, struct sf_bus *bus);
void hub_test_ask(struct hub_test *h, struct sf_bus *bus, const struct sf_bus_msg *m);
/* The file that holds the event log. */
void hub_test_block_path(const struct hub_test *h, char *ret, size_t size);

struct hub_domain {
    struct hub_test *hub;
    const char *name;
    struct sf_seed domain_key;
    struct sf_seed leaf_key;
    struct sf_seed serve_user;
    struct sf_seed user;
    struct sf_seed process[3]; /* in <d>, in <d>.serve, in SYS */
    char account[64];
    char serve_account[64];
    struct nats_server server;
    struct sf_bus *own;   /* in <d> */
    struct sf_bus *serve; /* in <d>.serve */

    struct sf_bus_call poll; /* the stand-in */
    bool polling;
    bool deaf; /* takes bundles, never says that they are in force */
    uint64_t have_version;
    size_t bundles;
    size_t polls;  /* answered */
    size_t grants; /* in the newest bundle */
};

/* Fills in keys from @seed. */
void hub_domain_init(struct hub_test *h, struct hub_domain *d, const char *name, uint8_t seed);
void hub_domain_done(struct hub_domain *d);
/* Token, join, leaf server, connections; polls from then on. */
void hub_domain_join(struct hub_domain *d);
/* The body of POST /v1/join, with the proof signed by @signer. */
void hub_domain_join_body(const struct hub_domain *d, const char *token,
                          const struct sf_seed *signer, struct sf_buf *ret);

/* An HTTP call; the loop runs meanwhile. */
struct hub_answer {
    unsigned status;         /* 0: the connection broke before there was an answer */
    struct sf_json_doc *doc; /* owned; NULL: no JSON */
    const struct sf_json *root;
    struct sf_buf body;
    uint64_t took_ns;
};
void hub_answer_done(struct hub_answer *a);
/* As user "test" of @issuer, whose key is @key; NULL: without a token. */
struct hub_answer hub_call(struct hub_test *h, const char *issuer, const struct sf_seed *key,
                           const char *method, const char *path, const char *body);
struct hub_answer hub_call_platform(struct hub_test *h, const char *method, const char *path,
                                    const char *body);
struct hub_answer hub_call_domain(const struct hub_domain *d, const char *method, const char *path,
                                  const char *body);
/* Text or number of a member, by path; fails the test when it is another. */
void hub_expect_text(const struct hub_answer *a, const char *path, const char *text);
void hub_expect_problem(const struct hub_answer *a, unsigned status, const char *code,
                        const char *detail);

/* mesh.product.apply as the domain's leaf. */
struct hub_apply {
    bool accepted;
    bool changed;
    char version[32];
    char finding[512]; /* the first */
    unsigned number;
    size_t findings;
};
struct hub_apply hub_domain_apply(struct hub_domain *d, const char *yaml, bool dry_run);

/* Subjects that the account has in force as imports, as the server tells: local name or subject. */
size_t hub_test_imports(struct hub_test *h, const char *account, struct sf_buf *ret);
