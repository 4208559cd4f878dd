/*
 * One feed of the publisher: an audience of a lane, and its cursor.
 *
 * A message carries a reply subject that no consumer uses: the server itself answers "no
 * responders" when it delivered the message to nobody. Then the feed parks: rendering for nobody
 * would cost ingest half its speed. Parked, it asks with a heartbeat when there are changes and it
 * is its turn (asking.h), and skips what was committed before the last answer "nobody".
 *
 *   Threads   Loop thread, but for the message while it is being read.
 *   Close     Cancels; on_gone runs once nothing of the feed is in use, and the feed is freed then.
 */
#pragma once

#include "leaf/publish/asking.h"
#include "leaf/publish/message.h"
#include "leaf/publish/publisher.h"

enum feed_state {
    FEED_IDLE,     /* nothing behind the cursor */
    FEED_READING,  /* a query thread makes the message */
    FEED_FLUSHING, /* sent; waiting for the server to have it */
    FEED_STALLED,  /* the server did not take it; waits for the bus or a moment */
    FEED_PARKED,   /* nobody listens: changes are skipped as the server would drop them */
    FEED_PROBING,  /* a heartbeat asks the server whether somebody listens now */
    FEED_WAITING,  /* took over while the feed before it was flushing: begins where that ends */
    FEED_CLOSING,  /* closed while reading, flushing or saving */
};

struct feed_counters {
    struct sf_counter messages;
    struct sf_counter changes;
    struct sf_counter bytes;
    struct sf_counter gaps;
    struct sf_counter stalls;
};

struct feed {
    const struct publisher_options *options;
    struct feed_counters *counters;
    struct asking *asking;
    void (*on_gone)(void *data);
    void *data;

    const struct served_table *table;
    char *audience; /* owned; "own" for the owner's stream */
    struct sf_bus *bus;
    struct served_view *view; /* a reference */
    char subject[SUBJECT_MAX];
    char contract[40];
    struct message_spec spec;

    int64_t until_us; /* end of the last of the audience's grants: it sends nothing from then on */
    uint64_t cursor;  /* last seq that was looked at, and what the view has of it the server has */
    uint64_t sent;    /* last seq of the last message; what lies between is not in the view */
    uint64_t cursor_saved; /* as it is stored */
    uint64_t policy_version;
    char policy[24];     /* as text, of what is sent next */
    uint64_t start;      /* behind which the message under way begins */
    uint64_t sent_first; /* for tests and status: of the message under way */

    struct message message;
    struct sf_error error;
    struct sf_work work;
    struct sf_bus_call call; /* the message: the server answers it when nobody listens */
    struct sf_bus_flush flush;
    struct sf_timer retry;   /* stalled: send again; parked: not to ask before */
    struct asking_turn turn; /* parked, and there are changes */
    struct sf_timer save;
    uint8_t cursor_key[96];
    uint8_t cursor_value[20];
    struct store_put put;
    struct store_write write;

    uint32_t epoch;
    enum feed_state state;
    enum sf_code code; /* of the work */
    bool nobody;       /* the server answered the call */
    bool in_flight;    /* the flush is of a message, not of a question */
    bool saving;
    bool wanted;              /* scratch of publisher_update() */
    struct feed *before;      /* whose end a waiting feed waits for; NULL: none */
    struct feed *after;       /* who waits for the end of this one; NULL: none */
    struct sf_list link;      /* in the publisher */
    struct sf_list lane_link; /* in the publisher, beside those of its lane */
};

struct feed_spec {
    const struct served_table *table;
    const char *audience;
    const struct grant *grant; /* NULL: the owner */
    int64_t until_us;          /* when its right ends; the owner's: INT64_MAX */
};

/* The feed starts behind its stored cursor, or at the lane's head when it never was. Reads the
 * store: a few microseconds on the loop. SF_NOMEM, SF_CORRUPT, SF_IO. */
enum sf_code feed_new(const struct publisher_options *options, struct feed_counters *counters,
                      struct asking *asking, const struct feed_spec *spec, struct feed **ret,
                      struct sf_error *err) SF_MUST_CHECK;
/* Frees a feed that was never woken; its cursor stays as it is stored. NULL is fine. */
void feed_discard(struct feed *f);
/* Lets @f go on where @old, which is closed next, has got to: what @old is sending is not sent
 * again when the server takes it. @f was never woken. */
void feed_take_over(struct feed *f, struct feed *old);
/* Looks for changes behind the cursor and moves on. */
void feed_wake(struct feed *f);
/* Sends Sheaf-Head when nothing is under way. */
void feed_heartbeat(struct feed *f);
/* Whether there are changes behind the cursor that somebody may be waiting for. */
bool feed_is_behind(const struct feed *f);
void feed_close(struct feed *f, void (*on_gone)(void *data), void *data);
