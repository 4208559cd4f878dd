/*
 * Reads over HTTP: one page per request.
 *
 *   GET .../{table}/records         from, to, prefix, limit, cursor, select, where, reverse, count
 *   GET .../{table}/records/{key}
 *   GET .../{table}/changes         after=EPOCH:SEQ, limit, select; follow, snapshot, seconds
 *   GET .../{table}/quarantine      after=N, limit, code, field, older_than, newer_than, by=code
 *
 * Sheaf-Position says what the answer shows, Sheaf-Cursor where to go on. Products of this domain
 * are read here; those of others by asking their leaf in this domain's name (relay).
 *
 *   Threads   Loop thread.
 */
#pragma once

#include "common/bus/bus.h"
#include "common/identity/token.h"
#include "common/sys/http_server.h"
#include "common/sys/steady.h"
#include "leaf/query/query.h"

/* What the URL says, cut to pieces by the caller. */
struct http_read {
    const char *product; /* name without domain */
    uint32_t major;      /* 0: highest active */
    const char *table;
    enum query_op op;
    const char *key;               /* get: percent-decoded path part */
    const struct sf_token *caller; /* who asks: its token, which was verified */
};

/* Of this leaf's own domain; the caller's token was checked. Answers @r, now or later. */
void query_http(struct queries *qs, const struct http_read *what, struct sf_http_request *r);

/* Changes as a stream that goes on: follow_stream_wanted(). query_http() calls it. */
void query_http_follow(struct queries *qs, const struct http_read *what, struct sf_http_request *r);

/* What reads of other domains' products go through. */
struct relay_host {
    struct sf_rt *rt;
    struct sf_steady *clock; /* of tokens */
    struct sf_bus *own;      /* this domain's account: requests go out in its name */
    struct sf_bus *serve;    /* <d>.serve: asks the hub why there is no answer */
    uint64_t nobody_ns;      /* how long to ask again while nobody serves it; 0: 5 s */
    const char *mesh;        /* its id */
    const char *domain;      /* this leaf's, and its key: vouch for the roles of who asks */
    const struct sf_seed *domain_key;
};

/*
 * Of another domain: asks q.<domain>.<product>.<op>, so the owner's leaf decides what is seen. When
 * it is silent, the hub is asked why: no such product (404), not granted (403), leaf down (503).
 * When the hub knows nothing against it, the leaf is asked again for a while: links that have just
 * come up and grants just given are not known everywhere at once.
 *
 * The roles of the caller's token go along as an assertion of this domain, for this product alone;
 * the token and who the caller is do not. A live stream ends with E0503 when the token does, if
 * there were roles in it.
 */
void query_http_relay(const struct relay_host *host, const char *domain,
                      const struct http_read *what, struct sf_http_request *r);
/* The same for what is answered by one document: describe, stats, profile. */
void query_http_relay_document(const struct relay_host *host, const char *domain, const char *op,
                               const struct http_read *what, struct sf_http_request *r);

/* Quarantined records of a table: its owner only. */
void query_http_quarantine(struct queries *qs, const struct http_read *what,
                           struct sf_http_request *r);
