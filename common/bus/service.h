/*
 * Answers of NATS services (ADR-32), so that leaf and hub answer alike: pages, the headers of the
 * last one, the empty message that ends them, errors. And the asking side of it.
 *
 * An answer is one or more messages. Every page has a header (an empty body without one would end
 * the stream for the server's reply mapping); the last has Sheaf-Count, and Sheaf-Cursor when there
 * is more; then an empty message without headers. An error is one message with the error headers
 * and a problem document (RFC 9457 with "code" and "next"), then the empty message.
 *
 *   Threads   Loop thread.
 *   Limits    Pages of at most SF_SERVICE_PAGE_MAX bytes: half a MiB and the largest row, which as
 *             JSON takes six times its size when it is full of control characters.
 */
#pragma once

#include "common/base/buf.h"
#include "common/bus/bus.h"

enum { SF_SERVICE_PAGE_MAX = 3 * 1024 * 1024 };

/* --- answering -------------------------------------------------------------------------------- */

struct sf_service_page {
    const char *content_type;
    struct sf_slice data;
    const struct sf_bus_header *headers; /* more headers, as the position; may be NULL */
    size_t header_count;
    bool is_last;
    uint64_t count;     /* of the last: rows in all pages */
    const char *cursor; /* of the last: where the next request starts; NULL or "": at the end */
};

/*
 * Publishes a page to @reply, and with is_last the end. SF_BUSY: nothing was sent, try again when
 * the bus has room. Others as sf_bus_publish().
 */
enum sf_code sf_service_send_page(struct sf_bus *bus, const char *reply,
                                  const struct sf_service_page *page,
                                  struct sf_error *err) SF_MUST_CHECK;
/* A whole answer in one message and the end. */
enum sf_code sf_service_send(struct sf_bus *bus, const char *reply, const char *content_type,
                             struct sf_slice data, struct sf_error *err) SF_MUST_CHECK;
/* The same with @count more headers. */
enum sf_code sf_service_send_with(struct sf_bus *bus, const char *reply, const char *content_type,
                                  const struct sf_bus_header *headers, size_t count,
                                  struct sf_slice data, struct sf_error *err) SF_MUST_CHECK;
/* @why as an error answer, then the end. Its number decides status and text (INTERNAL without). */
enum sf_code sf_service_send_error(struct sf_bus *bus, const char *reply,
                                   const struct sf_error *why, struct sf_error *err) SF_MUST_CHECK;
/* The same with another problem document, which says more. */
enum sf_code sf_service_send_problem(struct sf_bus *bus, const char *reply,
                                     const struct sf_error *why, struct sf_slice document,
                                     struct sf_error *err) SF_MUST_CHECK;
/* One answer of a service that is asked by sf_bus_request(): no end message. */
enum sf_code sf_service_reply(struct sf_bus *bus, const char *reply, const char *content_type,
                              struct sf_slice data, struct sf_error *err) SF_MUST_CHECK;
enum sf_code sf_service_reply_error(struct sf_bus *bus, const char *reply,
                                    const struct sf_error *why, struct sf_error *err) SF_MUST_CHECK;

/* The same with another problem document, which says more. */
enum sf_code sf_service_reply_problem(struct sf_bus *bus, const char *reply,
                                      const struct sf_error *why, struct sf_slice document,
                                      struct sf_error *err) SF_MUST_CHECK;

/* The problem document of @why: application/problem+json, also for HTTP. */
void sf_service_problem(const struct sf_error *why, struct sf_buf *ret);

/* --- asking ----------------------------------------------------------------------------------- */

/* SF_OK when @m is no error answer; else SF code and number of the answer's error in @err. */
enum sf_code sf_service_check(const struct sf_bus_msg *m, struct sf_error *err) SF_MUST_CHECK;

/* A request with a streamed answer; lives in its owner until on_end has run or it is cancelled. */
struct sf_service_ask {
    /* Each page in order; @m with its headers is valid during the call. May cancel. */
    void (*on_page)(struct sf_service_ask *ask, const struct sf_bus_msg *m);
    /*
     * Once, at the end: SF_OK: complete. SF_UNAVAILABLE (E0705): nobody serves it, or silence past
     * the idle time - behind a leafnode the two look alike. Else the error of the answer.
     */
    void (*on_end)(struct sf_service_ask *ask, enum sf_code code, const struct sf_error *err);
    struct sf_slice problem; /* during on_end, of an error answer: its document; else empty */
    void *data;
    void *private;
};

/* @idle_ns: the longest silence that is waited for. SF_BUSY, SF_UNAVAILABLE, SF_INVALID, SF_NOMEM.
 */
enum sf_code sf_service_ask_start(struct sf_rt *rt, struct sf_bus *bus, struct sf_service_ask *ask,
                                  const struct sf_bus_msg *request, uint64_t idle_ns,
                                  struct sf_error *err) SF_MUST_CHECK;
/* Silence is ours until sf_service_ask_awake(), or the next page: it is not counted. Fine on one
 * that is not under way, as the one below. */
void sf_service_ask_hold(struct sf_service_ask *ask);
void sf_service_ask_awake(struct sf_service_ask *ask);
/* Afterwards no callback runs. Fine on one that is not under way. */
void sf_service_ask_cancel(struct sf_service_ask *ask);
