/*
 * A leaf's HTTP server over a store in a directory, with one client: for the tests of what is read
 * over HTTP, here and by way of another leaf.
 *
 *   Threads   The client runs on a query thread, all else on the loop.
 */
#pragma once

#include "leaf/ingest/ingest_http.h"
#include "leaf/query/query_http.h"
#include "leaf/query/query_nats.h"
#include "tests/lib/fake_bus.h"
#include "tests/lib/test_loop.h"
#include "tests/lib/tmpdir.h"
#include "tests/sim/rt_sim.h"

#define NDJSON "application/x-ndjson"
#define CSV    "text/csv"

/* One call of a client, on a query thread. */
struct call {
    const char *method;
    const char *path;
    const char *type;          /* of the body; NULL: none is sent */
    const char *accept;        /* NULL: none */
    const char *last_event_id; /* NULL: none */
    const char *if_none_match; /* NULL: none */
    struct sf_slice body;
    bool is_raw; /* private */
    unsigned status;
    bool is_complete; /* of run_raw() */
    char text[8192];
    char answer_type[64];
    char position[64];
    char cursor[2048];
    char head[64];
    char etag[160];
    char view[32];
    char contract[32];
    char deprecated[256];
    char sunset[64];
};

struct fixture {
    struct tmpdir dir;
    struct test_loop loop;
    struct store *store;
    struct serving serving;
    struct sf_metrics metrics;
    struct ingest *ingest;
    struct queries *queries;
    struct sf_http_server *server;

    struct fake_broker *broker; /* for reads of another leaf's products, which is this one */
    struct rt_sim hours;        /* tells the time of tokens, which stands still */
    struct sf_steady clock;
    struct relay_host relay;
    struct query_nats *requests; /* NULL: that leaf is away */
    struct sf_token caller;      /* who asks */
    struct sf_seed key;          /* of its domain */
    struct sf_bus_sub overheard; /* what is asked of the other leaf */
    char roles[4096];            /* Sheaf-Roles of the last request; "-": none */
    uint64_t asked_s;            /* how long the last stream of it was to last */
    struct sf_bus *hub;
    struct sf_bus_sub hub_sub;
    bool hub_refuses; /* says why there is no answer */
    unsigned asked;   /* that leaf, by tests that answer in its place */
    bool comes_late;  /* that leaf: when the hub has been asked why */

    bool pairs; /* of requests are handled one behind the other, before either has its answer */
    struct sf_http_request *held; /* the first of one */
    bool leave;                   /* the server is closed while the next request is handled */
    struct sf_task closing;
    struct call call;
    struct sf_work work;
    bool done;
    bool closed;
};

void setup(struct fixture *f);
void teardown(struct fixture *f);
/* From request to answer, or to the connection's end: status 0. */
void run(struct fixture *f, struct call call);
/* The same over a connection of its own, without an allocation, so that each one that fails is the
 * server's; the call's text is the body as it stands on the wire, and @complete whether it ended as
 * it should: all bytes that were promised, or the last chunk. */
void run_raw(struct fixture *f, struct call call);
/* Fail the test on another status. */
void get(struct fixture *f, const char *path, const char *accept, unsigned status);
void post(struct fixture *f, const char *path, const char *type, const char *body, unsigned status);
/* Orders a, b and "c,d". */
void put_three(struct fixture *f);
/* Whether nothing of any request is left. */
bool is_quiet(void *data);
