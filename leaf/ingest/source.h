/*
 * A JetStream stream as source of records: its messages are stored in the order of a durable pull
 * consumer, and acknowledged once they are.
 *
 * The seqs of the stream that are stored lie in the store, written in the transaction of the
 * records (seq_set.h), so a message that is delivered again after a crash is recognized: each is
 * stored once. A message that cannot be taken goes to quarantine as a whole, under its seq, and is
 * acknowledged.
 *
 *   Threads   Loop thread.
 *   Order     Of the stream, for each consumer. After a start with messages delivered and not
 *             stored, delivery waits for the consumer's ack_wait, so that these come first.
 *   Limits    Messages pulled and not yet stored: SOURCE_PULL messages or about SOURCE_PULL_BYTES
 *             for each of at most three pulls. A full ingest or store, or a product that is not
 *             there yet, stops pulling.
 */
#pragma once

#include "common/bus/jetstream.h"
#include "leaf/ingest/ingest.h"
#include "leaf/serving/serving.h"

enum {
    SOURCE_PULL = 500,
    SOURCE_PULL_BYTES = 8 * 1024 * 1024,
    SOURCE_ACK_PENDING = 2000, /* of consumers made here, unless set */
};
/* Of consumers made here. */
#define SOURCE_ACK_WAIT_NS (10 * SF_NS_PER_S)

struct source;

/* Texts are borrowed until source_close() has ended. */
struct source_spec {
    const char *name; /* of the source: of its cursor and its metrics */
    const char *product;
    uint32_t major;    /* 0: the highest */
    const char *table; /* NULL: records name theirs */
    const char *stream;
    const char *consumer;
    const char *filter; /* NULL: all subjects */
    const char *type;   /* Content-Type of messages that have none */
    bool has_envelope;
    bool only_new; /* a consumer made here begins behind what the stream has */
    uint64_t max_ack_pending;
};

struct source_options {
    struct sf_rt *rt;
    struct sf_bus *bus;
    struct ingest *ingest;
    struct store *store;
    const struct serving *serving;
    struct sf_metrics *metrics;
};

/* All borrowed. Reads the cursor: blocks, for the start. SF_CORRUPT, SF_IO, SF_NOMEM. */
enum sf_code source_new(const struct source_options *o, const struct source_spec *spec,
                        struct source **ret, struct sf_error *err) SF_MUST_CHECK;
/* The connection came or went. */
void source_bus_changed(struct source *s);
/* Takes nothing more; it is gone once what is being stored is (ingest_pending()), and then @gone is
 * posted, unless it is NULL. NULL is fine. */
void source_close(struct source *s, struct sf_task *gone);

struct source_status {
    const char *state; /* "running", "waiting", "off" */
    const char *error; /* why it is not running; "" */
    uint64_t stored;   /* messages since the start */
    uint64_t repeated; /* delivered again and already stored */
    uint64_t poison;   /* put into quarantine as a whole */
    uint64_t pending;  /* not delivered yet, as of the last message */
    uint64_t last_seq; /* highest seq of the stream that is stored */
};
void source_status(const struct source *s, struct source_status *ret);
