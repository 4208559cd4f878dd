/*
 * Bus: messaging as the rest of the program sees it. One of the seams (ARCHITECTURE.md).
 *
 * Over nats.c in production (bus_nats.c), in memory in tests (tests/lib/fake_bus.c); one
 * conformance suite runs on both.
 *
 *   Threads   Everything is called on the loop thread, and every callback runs there. nats.c's own
 *             threads only hand messages into the mailbox of the loop.
 *   Order     Messages of one subscription arrive in the order the server sent them. A completion
 *             runs exactly once, never inside the call that started it.
 *   Memory    A struct sf_bus_sub, _call or _flush lives in its owner and is borrowed: a sub until
 *             sf_bus_unsubscribe() returns, a call or flush until its callback runs or it is
 *             cancelled. A message handed to a callback is valid during the callback only.
 *   Limits    Messages waiting for the loop and bytes waiting for the server are bounded; past the
 *             bound sf_bus_publish() answers SF_BUSY, and incoming messages are dropped and counted
 *             as NATS itself would do (positions in the messages show the loss).
 *   Errors    SF_BUSY, SF_UNAVAILABLE (not connected), SF_CLOSED, SF_NOMEM, SF_INVALID (subject or
 *             header that the protocol does not allow), as said per function.
 */
#pragma once

#include "common/base/error.h"
#include "common/base/slice.h"
#include "common/sys/rt.h"

struct sf_bus;

struct sf_bus_header {
    const char *name;
    const char *value;
};

/* A message to send (all borrowed during the call) or one received (borrowed by the callback). */
struct sf_bus_msg {
    const char *subject;
    const char *reply; /* NULL or "": none */
    struct sf_slice data;
    const struct sf_bus_header *headers;
    size_t header_count;
    /* To publish: behind it goes an empty message without headers, which ends an answer for the
     * server's mapping of the reply. Both are queued, or neither. */
    bool ends_answer;
};

/* Value of a header of @m (first of that name, case-sensitive), or NULL. */
const char *sf_bus_msg_header(const struct sf_bus_msg *m, const char *name);

struct sf_bus_sub {
    void (*on_msg)(struct sf_bus_sub *sub, const struct sf_bus_msg *m);
    void *data;    /* owner's use */
    void *private; /* implementation */
};

/* How a request ended. */
enum sf_bus_outcome {
    SF_BUS_ANSWERED,      /* @m is the answer */
    SF_BUS_NO_RESPONDERS, /* nobody serves that subject */
    SF_BUS_TIMED_OUT,     /* deadline passed; also what an asker behind a leaf sees of the above */
    SF_BUS_DISCONNECTED,  /* the connection closed for good */
};

struct sf_bus_call {
    /* @m is NULL unless ANSWERED. May start another call, also with the same struct. */
    void (*done)(struct sf_bus_call *call, enum sf_bus_outcome outcome, const struct sf_bus_msg *m);
    void *data;
    void *private;
};

struct sf_bus_flush {
    /* SF_OK: the server has taken everything published before the flush. */
    void (*done)(struct sf_bus_flush *flush, enum sf_code code);
    void *data;
    void *private;
};

struct sf_bus_ops {
    enum sf_code (*publish)(struct sf_bus *bus, const struct sf_bus_msg *m, struct sf_error *err);
    enum sf_code (*subscribe)(struct sf_bus *bus, struct sf_bus_sub *sub, const char *subject,
                              const char *queue_group, struct sf_error *err);
    void (*unsubscribe)(struct sf_bus *bus, struct sf_bus_sub *sub);
    enum sf_code (*request)(struct sf_bus *bus, struct sf_bus_call *call,
                            const struct sf_bus_msg *m, uint64_t timeout_ns, struct sf_error *err);
    void (*cancel)(struct sf_bus *bus, struct sf_bus_call *call);
    enum sf_code (*flush)(struct sf_bus *bus, struct sf_bus_flush *flush, uint64_t timeout_ns,
                          struct sf_error *err);
    bool (*connected)(struct sf_bus *bus);
    enum sf_code (*new_inbox)(struct sf_bus *bus, char *ret, size_t size, struct sf_error *err);
};

struct sf_bus {
    const struct sf_bus_ops *ops;
    /* Set by the owner; called on the loop when the connection comes and goes. May be NULL. */
    void (*on_state)(struct sf_bus *bus, bool is_connected);
    void *data;
};

/* Queues @m for the server: SF_OK is not delivery. SF_BUSY, SF_UNAVAILABLE, SF_INVALID, SF_NOMEM.
 */
static inline SF_MUST_CHECK enum sf_code sf_bus_publish(struct sf_bus *bus,
                                                        const struct sf_bus_msg *m,
                                                        struct sf_error *err)
{
    return bus->ops->publish(bus, m, err);
}

/* @queue_group may be NULL. Survives reconnects. SF_INVALID, SF_NOMEM, SF_UNAVAILABLE. */
static inline SF_MUST_CHECK enum sf_code sf_bus_subscribe(struct sf_bus *bus,
                                                          struct sf_bus_sub *sub,
                                                          const char *subject,
                                                          const char *queue_group,
                                                          struct sf_error *err)
{
    return bus->ops->subscribe(bus, sub, subject, queue_group, err);
}

/* Afterwards on_msg does not run and @sub is the caller's. Fine on one that is not subscribed. */
static inline void sf_bus_unsubscribe(struct sf_bus *bus, struct sf_bus_sub *sub)
{
    bus->ops->unsubscribe(bus, sub);
}

/* Sends @m (its reply is ignored) and answers once: see sf_bus_outcome. */
static inline SF_MUST_CHECK enum sf_code sf_bus_request(struct sf_bus *bus,
                                                        struct sf_bus_call *call,
                                                        const struct sf_bus_msg *m,
                                                        uint64_t timeout_ns, struct sf_error *err)
{
    return bus->ops->request(bus, call, m, timeout_ns, err);
}

/* Afterwards done does not run. Fine on a call that is not under way. */
static inline void sf_bus_cancel(struct sf_bus *bus, struct sf_bus_call *call)
{
    bus->ops->cancel(bus, call);
}

static inline SF_MUST_CHECK enum sf_code sf_bus_flush(struct sf_bus *bus, struct sf_bus_flush *f,
                                                      uint64_t timeout_ns, struct sf_error *err)
{
    return bus->ops->flush(bus, f, timeout_ns, err);
}

static inline bool sf_bus_connected(struct sf_bus *bus)
{
    return bus->ops->connected(bus);
}

/* A fresh subject for streamed answers; subscribe to it, then publish with it as reply. */
static inline SF_MUST_CHECK enum sf_code sf_bus_new_inbox(struct sf_bus *bus, char *ret,
                                                          size_t size, struct sf_error *err)
{
    return bus->ops->new_inbox(bus, ret, size, err);
}
