/*
 * The hub's log of events: the JetStream stream HUB_EVENTS in MESH, read and checked as a whole at
 * the start, then appended to, one event at a time.
 *
 * An append is two-sided: its build function is called when its turn has come, so that it decides
 * on the state of that moment, and either fills in the event or refuses. The event is then stored
 * with compare-and-set on the last sequence. When the answer is lost, the stream is asked what it
 * holds, so an event is never stored twice and never believed lost while it is there.
 *
 *   Threads   Loop thread.
 *   Order     on_event runs once for every event of the log, in order: all stored ones before
 *             on_open, each new one before the done of its append.
 *   Memory    An append lives in its owner until done has run or it is abandoned. What records
 *             point to is valid during the callback.
 *   Limits    EVENT_LOG_WAITING_MAX appends wait; each at most EVENT_LOG_WAIT_NS.
 *   Close     Cancels: appends that wait end with SF_CLOSED, without another callback.
 */
#pragma once

#include "hub/events/event.h"
#include "hub/events/event_read.h"

enum { EVENT_LOG_WAITING_MAX = 256 };
#define EVENT_LOG_WAIT_NS (UINT64_C(10) * SF_NS_PER_S)
#define EVENT_LOG_OPEN_NS (UINT64_C(60) * SF_NS_PER_S)

struct event_log;

struct event_append {
    /*
     * Decides: SF_OK with kind and actor of @e filled in (from @arena or what lives as long as the
     * append); SF_OK without a kind: there is nothing to store; or a refusal, which done gets as it
     * is.
     */
    enum sf_code (*build)(struct event_append *op, Sheaf__V1__Event *e, struct sf_arena *arena,
                          struct sf_error *err);
    /*
     * Once, never inside event_log_append(). SF_OK: stored and applied; @r is the event.
     * SF_TIMEOUT: its fate is not known yet (on_event tells when it is there after all). SF_CLOSED.
     */
    void (*done)(struct event_append *op, enum sf_code code, const struct event_record *r,
                 const struct sf_error *err);
    void *data;

    struct sf_list link; /* private */
    uint64_t deadline_ns;
};

struct event_log_options {
    struct sf_rt *rt;
    struct sf_bus *bus; /* account MESH, at the hub */
    const struct sf_seed *hub_key;
    /* The projection takes the event in. A failure latches the log: nothing can be appended. */
    enum sf_code (*on_event)(void *data, const struct event_record *r, struct sf_error *err);
    /* Once: SF_OK: all of the log has been applied. SF_CORRUPT: it is damaged, @err names where. */
    void (*on_open)(void *data, enum sf_code code, const struct sf_error *err);
    /* Once: the log cannot go on (another writer, the projection failed). The hub has to stop. */
    void (*on_failed)(void *data, const struct sf_error *err);
    void *data;
};

/* Starts to open; on_open follows. SF_NOMEM. */
enum sf_code event_log_open(const struct event_log_options *o, struct event_log **ret,
                            struct sf_error *err) SF_MUST_CHECK;
void event_log_close(struct event_log *log);

/* SF_BUSY (E0602): too many wait. SF_UNAVAILABLE: not open, or failed. */
enum sf_code event_log_append(struct event_log *log, struct event_append *op,
                              struct sf_error *err) SF_MUST_CHECK;
/* Its done does not run any more; the event may still be stored. */
void event_log_abandon(struct event_log *log, struct event_append *op);

/* The connection is back: what was asked on the old one is not waited for any longer. */
void event_log_reconnected(struct event_log *log);

/* Number and hash of the newest event. */
const struct event_chain *event_log_head(const struct event_log *log);
