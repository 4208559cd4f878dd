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
#include "leaf/publish/handover.h"
#include "leaf/publish/message.h"
#include "leaf/publish/publisher.h"

enum feed_state {
    FEED_IDLE,     /* nothing behind the cursor */
    FEED_READING,  /* a query thread makes the message */
    FEED_FLUSHING, /* sent; waiting for the server to have it */
    FEED_STALLED,  /* the server did not take it; waits for the bus or a moment */
    FEED_PARKED,   /* nobody listens: changes are skipped as the server would drop them */
    FEED_PROBING,  /* a heartbeat asks the server whether somebody listens now */
    FEED_WAITING,  /* follows feeds that are flushing: begins where they end (handover.h) */
    FEED_CLOSING,  /* closed while reading, flushing or saving */
};

enum feed_wanted {
    FEED_UNWANTED, /* no grant in force has it */
    FEED_WANTED,
    FEED_SPLIT, /* grants of it see different things: nobody is fed */
};

/* Where it began. */
enum feed_origin {
    FEED_AT_HEAD,   /* nothing is stored of it */
    FEED_AT_OWN,    /* at its own cursor */
    FEED_AT_OTHERS, /* at that of the shared audience, or the lowest of the sole ones */
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
    char *shared;   /* owned; the shared audience of its grants, maybe the same */
    struct sf_bus *bus;
    struct served_view *view; /* a reference */
    char subject[SUBJECT_MAX];
    char contract[40];
    struct message_spec spec;

    int64_t until_us; /* end of the last of the audience's grants: it sends nothing from then on */
    struct feed_place place; /* what the view has of it the server has; what lies between looked and
                                sent is not in the view */
    struct feed_handover handover;
    enum feed_origin origin;
    uint64_t cursor_saved; /* place.looked as it is stored; UINT64_MAX: under this name nothing */
    uint64_t policy_version;
    char policy[24];     /* as text, of what is sent next */
    uint64_t start;      /* behind which the message under way begins */
    uint64_t sent_first; /* for tests and status: of the message under way */

    struct message message;
    struct message_walk walk; /* of READING, and on to the next of FLUSHING */
    struct sf_error error;
    struct sf_work work;
    struct sf_bus_call call; /* the message: the server answers it when nobody listens */
    struct sf_bus_flush flush;
    struct sf_timer retry;   /* stalled: send again; parked: not to ask before */
    struct asking_turn turn; /* parked, and there are changes */
    struct sf_timer save;
    uint8_t cursor_keys[2][96]; /* of its audience; of the shared one */
    uint8_t cursor_value[20];
    struct store_put puts[2];
    struct store_write write;

    enum feed_state state;
    enum sf_code code; /* of the work */
    bool nobody;       /* the server answered the call */
    bool in_flight;    /* the flush is of a message, not of a question */
    bool saving;
    bool handed_over; /* CLOSING: others have gone on from its place */
    bool is_new;      /* scratch of publisher_update(), as this: */
    enum feed_wanted wanted;
    struct sf_list link;      /* in the publisher */
    uint64_t heartbeat_ns;    /* the publisher's: when the last one was due, or it began */
    struct sf_list lane_link; /* in the publisher, beside those of its lane */
};

struct feed_spec {
    const struct served_table *table;
    const char *audience;     /* that it is fed under */
    const char *shared;       /* of its grants */
    const char *sole;         /* of this grant */
    struct served_view *view; /* of it */
    bool is_own;              /* the owner's */
    int64_t until_us;         /* when its right ends; the owner's: INT64_MAX */
};

/* The feed starts behind its stored cursor, else where the feeds were that its grants had before,
 * else at the lane's head. Reads the store: a few microseconds on the loop. SF_NOMEM, SF_CORRUPT,
 * SF_IO. */
enum sf_code feed_new(const struct publisher_options *options, struct feed_counters *counters,
                      struct asking *asking, const struct feed_spec *spec, struct feed **ret,
                      struct sf_error *err) SF_MUST_CHECK;
/* @f, which was never woken, feeds the grant of @spec too, and misses nothing of it that it can
 * know of. Errors as of feed_new(). */
enum sf_code feed_share(struct feed *f, const struct feed_spec *spec,
                        struct sf_error *err) SF_MUST_CHECK;
/* Frees a feed that was never woken; its cursor stays as it is stored. NULL is fine. */
void feed_discard(struct feed *f);
/* Looks for changes behind the cursor and moves on. */
void feed_wake(struct feed *f);
/* Sends Sheaf-Head when nothing is under way. */
void feed_heartbeat(struct feed *f);
/* Whether there are changes behind the cursor that somebody may be waiting for. */
bool feed_is_behind(const struct feed *f);
void feed_close(struct feed *f, void (*on_gone)(void *data), void *data);
