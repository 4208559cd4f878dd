/*
 * One wire message: a run of whole changes of one lane, as one audience may see them, with the
 * headers that say where it stands and who vouches for it.
 *
 *   Threads   Any; one message belongs to one thread at a time.
 *   Memory    A message owns its text and borrows the spec.
 *   Limits    MESSAGE_BYTES of changes, one change may exceed; a run never crosses an epoch.
 */
#pragma once

#include "common/bus/bus.h"
#include "common/sys/crypto.h"
#include "leaf/serving/change.h"
#include "leaf/store/read.h"
#include "proto/message.h"

enum {
    MESSAGE_BYTES = 192 * 1024,
    MESSAGE_LOOKS = 16 * 1024, /* changes; with the rows before them a quarter */
    MESSAGE_WALK_MAX = 16,     /* messages made from one snapshot, which holds what was deleted */
};

/* What all messages of one audience of one lane have in common. Immutable while in use. */
struct message_spec {
    struct subject_lane lane; /* borrowed names */
    const char *audience;
    const char *subject;  /* full subject to publish on */
    const char *contract; /* version, "1.2.0" */
    const char *policy;   /* version of the policies, or NULL: no policy binds the reader */
    const struct served_view *view;
    const struct sf_seed *leaf_key;
};

struct message {
    struct sf_buf body;
    uint32_t epoch;
    uint64_t first;
    uint64_t last;
    uint64_t prev;
    uint64_t looked; /* last change looked at, shown or not; of the same epoch */
    uint64_t changes;
    uint64_t head; /* heartbeats */

    /* Made by message_close(). */
    char position[64];
    char prev_text[48];
    char head_text[48];
    char id[SUBJECT_MAX + 64];
    char signature[96];
    struct sf_bus_header headers[10];
    size_t header_count;
};

void message_init(struct message *m);
void message_done(struct message *m);

/*
 * A walk along the log that messages are made from, one behind the other. A frame holds several,
 * and is checked when the walk comes to it: its bytes stay where they are until the walk leaves it.
 * Zeroed: no walk. Between two messages it may go to another thread.
 */
struct message_walk {
    uint64_t at; /* last seq that was looked at */

    struct store_snapshot *snapshot; /* private, as all that follows */
    struct store_log *log;
    struct change_reader reader;
    unsigned messages;
};

/* The walk begins behind @after, or behind what was trimmed since, as w->at tells; one that was
 * under way ends. @w borrows the view of @spec. SF_CORRUPT, SF_IO, SF_NOMEM. */
enum sf_code message_walk_begin(struct message_walk *w, const struct message_spec *spec,
                                struct store *store, const struct store_lane *lane, uint64_t after,
                                struct sf_error *err) SF_MUST_CHECK;
/* Whether the next message may come from @w, which ends by itself where its snapshot does. */
bool message_walk_goes_on(const struct message_walk *w, uint64_t after);
/* Harmless on one that has ended. */
void message_walk_end(struct message_walk *w);

/*
 * Fills @m with what the view has of the changes that come next on @walk, as much as fits, and
 * closes it. Of a long run that the view does not show it looks at MESSAGE_LOOKS, then returns:
 * @m is empty (first 0) when there is nothing to send, and m->looked says how far that goes. @prev
 * is the last seq of the audience's message before.
 * SF_CORRUPT, SF_IO, SF_NOMEM: the walk has ended.
 */
enum sf_code message_fill(struct message *m, const struct message_spec *spec,
                          struct message_walk *walk, uint64_t prev,
                          struct sf_error *err) SF_MUST_CHECK;
/* A heartbeat: an empty body and Sheaf-Head. One that @m is already stays as it is. SF_NOMEM. */
enum sf_code message_heartbeat(struct message *m, const struct message_spec *spec, uint32_t epoch,
                               uint64_t head, uint64_t prev, struct sf_error *err) SF_MUST_CHECK;
/* @m is nothing any more: the spec has changed. */
void message_forget(struct message *m);
/* As the bus wants it; borrows @m and @spec. */
struct sf_bus_msg message_of_bus(const struct message *m, const struct message_spec *spec);
