/* Between relay_http.c (one answer of another domain's leaf) and relay_follow.c (a stream of them).
 */
#pragma once

#include "common/bus/flow.h"
#include "common/bus/service.h"
#include "common/wire/json.h"
#include "leaf/query/follow_stream.h"
#include "leaf/query/http_page.h"
#include "leaf/query/query_http.h"
#include "proto/subjects.h"

struct relay_stream {
    struct follow_stream out;
    struct sf_flow flow;
    bool ask_waits;  /* until the client has taken what is held */
    unsigned losses; /* in a row */
    char *table;     /* owned, as the one below */
    char *select;
    char *since;
    bool live;
    bool snapshot;
    uint64_t seconds; /* 0: no end */
    int64_t ends_s;   /* else it does then, by the clock of tokens */
    uint64_t asked_s; /* of the request under way */
    bool is_cut;      /* that is less, as the roles of the caller end before */
    uint32_t epoch;
    uint64_t seq;
    char after[64]; /* EPOCH:SEQ that the reader has; "": none yet */
};

struct relay {
    const struct relay_host *host;
    struct sf_http_request *request;
    struct sf_service_ask ask;
    char subject[SUBJECT_MAX]; /* of a request for one answer, and its body */
    struct sf_buf body;
    uint64_t began_ns;
    struct sf_timer again;
    enum http_form form;
    const char *kind; /* as in struct http_page; static */
    bool is_document;
    struct sf_buf lines;
    char position[64];
    char head[64];
    char view[32];
    char contract[32];
    char work[3][24]; /* as in struct http_page; "": none */
    struct sf_buf cursor;

    struct sf_token assertion; /* of the caller's roles; times are set when it is signed */
    int64_t token_expires_s;

    char owner[64];
    char product[64];
    uint32_t major;
    struct sf_timer silence;
    struct sf_bus_call explain;
    bool is_explaining;
    bool told;             /* that the product is deprecated, or nothing of it */
    bool has_ended;        /* the request failed and only the explanation is waited for */
    struct sf_error error; /* what it failed with */

    bool is_follow; /* relay_follow.c: a stream of changes, request by request */
    struct relay_stream follow;
};

void relay_free(struct relay *relay);
/* Sends a request with the roles of the caller, if it has any. SF_DENIED E0503: its token has
 * expired meanwhile. And as sf_service_ask_start(). */
enum sf_code relay_ask(struct relay *relay, const char *subject, struct sf_slice body,
                       uint64_t idle_ns, struct sf_error *err) SF_MUST_CHECK;
int64_t relay_now_s(const struct relay *relay); /* by the clock of tokens */
/* Seconds for which an answer that is asked for now may keep the roles of the caller: as long as
 * its token goes on, and what is signed of it. UINT64_MAX: it has none. */
uint64_t relay_roles_left_s(const struct relay *relay);
/* A list of texts joined by commas, as an array. */
void relay_member_list(struct sf_json_writer *w, const char *name, const char *text);
/* Answers with an error: a problem, or the last event of a stream that has begun. */
void relay_fail(struct relay *relay, const struct sf_error *err, struct sf_slice problem);

/* Reads the request. SF_INVALID E0301, SF_NOMEM. */
enum sf_code relay_follow_prepare(struct relay *relay, const struct http_read *what,
                                  struct sf_error *err) SF_MUST_CHECK;
void relay_follow_done(struct relay *relay);
/* Asks the owner's leaf for what comes behind the position reached. */
enum sf_code relay_follow_ask(struct relay *relay, struct sf_error *err) SF_MUST_CHECK;
/* One message of it; may free the relay. */
void relay_follow_page(struct relay *relay, const struct sf_bus_msg *m);
/* The answer is whole: asks on, or ends and frees the relay. */
void relay_follow_end(struct relay *relay);
/* The client reads again. */
void relay_follow_drain(struct sf_http_request *r, void *relay);
