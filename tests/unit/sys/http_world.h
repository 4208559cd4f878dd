/* For tests of HTTP: the server on a thread with its loop, clients in the test, a free port. */
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "common/sys/http_client.h"
#include "common/sys/http_server.h"
#include "common/sys/rt_uv.h"

enum {
    BODY_MAX = 100 * 1000,
    BODY_TOTAL_MAX = 150 * 1000,
    STREAM_MAX = 64 * 1024,
    BIG_ANSWER = 32 * 1024 * 1024, /* of /big: more than sockets hold */
    DEADLINE_MS = 60000,
};

/* One request that is answered later. */
struct later {
    struct sf_timer timer;
    struct sf_http_request *request;
    struct sf_http_prepared *prepared; /* with this; NULL: with "later" */
};

struct fixture {
    pthread_t thread;
    sem_t started;
    struct rt_uv *uv;
    struct sf_rt *rt;
    struct sf_http_server *server;
    struct sf_http_options options;
    struct sf_task stop;
    struct later later;
    struct sf_timer idle; /* keeps the loop running */
    uint16_t port;

    struct sf_http_prepared *prepared;
    struct sf_http_request *held; /* by /hold and /follow */
    struct sf_task release;       /* posted by the test */
    struct sf_task last_words;
    atomic_uint handled;
    atomic_uint aborted;
    atomic_uint busy;
    atomic_uint drained;
    atomic_uint stream_left; /* lines of /stream */
};

/* cmocka's fixture: *state is a struct fixture. The second stops the server; twice is fine. */
int world_setup(void **state);
int world_setup_slow(void **state, uint64_t slow_ns);
int world_teardown(void **state);

bool was_handled(void *data);
bool were_two_handled(void *data);
bool was_aborted(void *data);

/* The client library, with what every call needs. */
struct client {
    struct sf_http_client *http;
    struct sf_http_answer answer;
    struct sf_error err;
    char url[200];
};

void client_init(struct client *c);
void client_done(struct client *c);
enum sf_code client_call(struct client *c, const struct fixture *f, const char *path,
                         struct sf_http_call *http);
const char *client_body(struct client *c);

/* A connection without a client library. */
int raw_open(const struct fixture *f);
void raw_send(int fd, const char *text);
/* Reads until @text was seen; false at the end of the connection. */
bool raw_expect(int fd, const char *text);
