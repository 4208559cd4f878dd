/* Shared by source.c (the session with JetStream) and source_store.c (what is done with messages).
 */
#pragma once

#include "common/base/list.h"
#include "leaf/ingest/seq_set.h"
#include "leaf/ingest/source.h"

enum source_state {
    SOURCE_OFF,
    SOURCE_ASKING_STREAM,
    SOURCE_ASKING_CONSUMER,
    SOURCE_CREATING,
    SOURCE_HOLDING,
    SOURCE_RUNNING,
};

struct source_message {
    struct sf_list link;
    char *reply; /* owned */
    struct sf_buf data;
    struct sf_js_delivery delivery;
    struct seq_range range; /* of the stream: it and what no message of ours lies in */
    enum batch_format format;
    enum sf_coding coding;
    bool is_refused;
    struct sf_error refusal;
};

struct source {
    enum source_state state;
    struct source_options o;
    struct source_spec spec;
    bool closing;
    struct sf_task *gone; /* of source_close() */
    char error[360];      /* why it is not running, or not storing */

    char stream_id[SEQ_STREAM_MAX]; /* name and time of creation, of which @stored is */
    struct seq_set stored;
    bool stream_is_limits;
    struct sf_js_consumer consumer;
    struct sf_bus_call call;
    struct sf_bus_sub inbox;
    char inbox_subject[128];
    bool has_inbox;
    bool has_held;            /* nothing was pulled for the time of an ack_wait, since */
    uint64_t held_deliveries; /* the newest delivery was this one */
    uint64_t front;           /* seq of the newest message delivered for the first time */
    uint64_t deliveries;      /* consumer seq of the newest delivery */
    bool pull_open;
    uint64_t pull_left;
    struct sf_timer timer; /* of the state: try again, held long enough, pull forgotten */

    struct sf_list waiting; /* struct source_message, in order */
    size_t waiting_count;
    struct sf_list group; /* being stored */
    size_t group_count;
    size_t group_max;
    struct ingest_message *messages; /* of the group */
    struct seq_set next;             /* @stored with the group */
    struct sf_buf key;
    struct sf_buf cursor;
    struct store_put put;
    bool storing;
    struct sf_timer retry;
    struct sf_task turn;

    uint64_t stored_count;
    uint64_t repeated_count;
    uint64_t poison_count;
    uint64_t pending;
    struct sf_label label;
    struct sf_counter stored_total;
    struct sf_counter repeated_total;
    struct sf_counter poison_total;
    struct sf_gauge pending_messages;
    struct sf_gauge running;
};

/* source.c */
void source_fail(struct source *s, const char *why);
void source_pull(struct source *s);
void source_free(struct source *s);

/* source_store.c */
void source_message_free(struct source_message *m);
/* Acknowledges what is stored and stores what waits. */
void source_store(struct source *s);
void source_forget_waiting(struct source *s);
/* "source/NAME" */
void source_cursor_key(const char *name, struct sf_buf *ret);
