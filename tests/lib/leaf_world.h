/*
 * The inside of a leaf for tests: a store on a fake disk, products, keys, bundles of grants.
 *
 *   Threads   One.
 */
#pragma once

#include "control.pb-c.h"
#include "leaf/ingest/batch.h"
#include "leaf/serving/serving.h"
#include "tests/lib/store_world.h"

#define WORLD_MESH    "mesh-1"
#define WORLD_DOMAIN  "sales"
#define WORLD_ACCOUNT "ACCOUNTOFBILLING"

/*
 * sales/orders 1.0.0: "orders" (state, key order_id; fields order_id, amount, note, email (pii),
 * token (secret)) and "clicks" (event; fields page, n, ip (pii)).
 */
extern const char world_orders[];
/* The same as 1.1.0, with "country" behind the other fields of orders. */
extern const char world_orders_newer[];

struct leaf_world {
    struct store_world stores;
    struct serving serving;
    struct sf_seed hub;
    struct sf_seed domain;
    struct sf_seed leaf;
    struct sf_seed stranger;
    struct sf_seed billing; /* the key of that domain, which bundles tell */
};

/* Without a product or a grant. */
void leaf_world_init(struct leaf_world *w, uint64_t seed);
/* Closes the store; whatever uses it is gone. */
void leaf_world_done(struct leaf_world *w);
/* The disk takes nothing any more: whatever is closed now, until leaf_world_crash(), is dead. */
void leaf_world_kill(struct leaf_world *w);
/* The power fails and the leaf starts again: of what was not synced a part is lost, as the seed has
 * it. Products and lanes are new; grants are gone. Takes up @yaml as contract 1. */
void leaf_world_crash(struct leaf_world *w, const char *yaml);

/* Takes up the next contract; fails the test when it cannot. */
const struct served_product *leaf_world_add(struct leaf_world *w, const char *yaml);
/* The table of the newest version of "orders". */
const struct served_table *leaf_world_table(const struct leaf_world *w, const char *name);
/* Stores NDJSON with envelopes and waits for it; fails the test when a record is refused. */
void leaf_world_write(struct leaf_world *w, const struct served_table *table, const char *lines);

struct world_grant {
    const char *id;
    const char *account;    /* NULL: WORLD_ACCOUNT */
    const char *audience;   /* NULL: "aud1" */
    const char *sole;       /* audience; NULL: none */
    const char *consumer;   /* NULL: "billing" */
    const char *columns[4]; /* NULL: no more */
    uint32_t major;         /* 0: 1 */
    int64_t until_us;       /* 0: a day from now */
    int64_t decided_us;     /* another time is another decision */
};

struct world_bundle {
    uint64_t version;
    int64_t expires_us;          /* 0: an hour from now */
    const char *mesh;            /* NULL: ours */
    const char *domain;          /* NULL: ours */
    const struct sf_seed *hub;   /* who signs; NULL: the hub */
    const struct sf_seed *owner; /* who decides; NULL: the domain */
    const struct world_grant *grants;
    size_t grant_count;
    const char *policies; /* of the platform, one text; NULL: none */
    uint64_t policy_version;
    /* Before the decision is signed and after: to make a bundle that is wrong. */
    void (*spoil)(Sheaf__V1__Grant *g, Sheaf__V1__Decision *d, void *data);
    void *data;
    void (*spoil_bundle)(Sheaf__V1__Bundle *b); /* before it is signed; NULL: not at all */
    bool undecided;                             /* grants without a decision */
    bool keyless;                               /* nothing is said of the keys of consumers */
};

/* protobuf-c takes char * for texts that it only reads. */
char *world_text(const char *text);
int64_t leaf_world_now(const struct leaf_world *w);
/* Appends the encoded Signed. */
void leaf_world_sign(const struct leaf_world *w, const struct world_bundle *b, struct sf_buf *ret);
/* What this leaf trusts now. */
struct grant_trust leaf_world_trust(const struct leaf_world *w, uint64_t version_min);
/* The documents of @yaml are the policies of the platform from now on, until the next bundle. */
void leaf_world_policies(struct leaf_world *w, const char *yaml);
/* Appends, ended by a zero, what billing says of somebody's roles for requests about sales/orders:
 * names separated by blanks. */
void leaf_world_assert(const struct leaf_world *w, const char *roles, struct sf_buf *ret);
/* Makes a bundle, opens it, and puts it in force. */
void leaf_world_grant(struct leaf_world *w, const struct world_bundle *b);
