/*
 * Random life of a publisher: changes arrive, bundles change who may read what, the product gets a
 * newer version, the bus refuses, loses, disconnects, the power fails. Whatever the seed:
 *   1. a message holds whole changes as its audience may see them now, without a gap inside, and
 *      its position, Sheaf-Prev, signature and subject are right;
 *   2. an audience without a grant gets nothing from the moment publisher_update() has returned;
 *   3. a consumer that follows Sheaf-Prev and Sheaf-Head knows of every change it did not get;
 *   4. without faults every change goes out exactly once per audience, in order;
 *   5. a bus that refuses, and says what it lost, makes nobody miss anything;
 *   6. when the faults are over, everybody has everything, or knows what to ask for.
 *
 * usage: sim_publisher FIRST_SEED COUNT
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/sys/encoding.h"
#include "common/sys/log.h"
#include "leaf/publish/message.h"
#include "leaf/publish/publisher.h"
#include "leaf/serving/change.h"
#include "tests/lib/fake_bus.h"
#include "tests/lib/leaf_world.h"

enum {
    AUDIENCES = 3, /* of other domains; the owner is one more */
    STREAMS = 2 * (AUDIENCES + 1),
    STEPS = 60,
    OWN = AUDIENCES,
    ROW_BYTES = 12 * 1000, /* no change takes more */
};

static const char *const audiences[AUDIENCES + 1] = {"aud0", "aud1", "aud2", "own"};
static const char *const tables[2] = {"orders", "clicks"};

/* One audience of one table, as its publisher and as its consumer see it. */
struct stream {
    uint64_t published;         /* highest seq that went to the bus */
    uint64_t published_changes; /* with those sent again */
    uint64_t known;             /* what the consumer has, or knows to be missing and replays */
    uint64_t head_told;         /* by heartbeats */
    uint64_t replayed;          /* changes it had to ask for */
};

/* A bus that looks at what is sent, and refuses or loses it. */
struct watch {
    struct sf_bus bus;
    struct sf_bus *inner;
    struct sim *sim;
    bool lost; /* what was published last: the flush behind it says so */
};

struct watch_flush {
    struct sf_bus_flush inner;
    struct sf_bus_flush *owner;
    enum sf_code code; /* SF_OK: as the inner one ends */
};

enum faults {
    FAULTS_NONE,
    FAULTS_TOLD, /* the bus refuses and loses, and says so */
    FAULTS_ALL,
};

struct sim {
    struct leaf_world w;
    struct sf_metrics metrics;
    struct fake_broker *broker;
    struct watch serve;
    struct watch own;
    struct sf_bus *consumer;
    struct sf_bus_sub subs[2];
    bool listens[2]; /* to other domains' audiences, to the owner's */
    struct publisher *publisher;
    bool is_closed;
    enum faults faults;
    unsigned refuse_percent;
    unsigned drop_percent;
    bool newer; /* the product's second version is in force */
    uint64_t version;
    bool granted[AUDIENCES];
    unsigned columns[AUDIENCES]; /* which of column_sets */
    struct stream streams[2][AUDIENCES + 1];
    unsigned row; /* makes rows differ */
};

static const char *const column_sets[3][4] = {{NULL}, {"order_id", "amount"}, {"note", "page"}};

static unsigned below(struct sim *s, unsigned bound)
{
    return (unsigned)rt_sim_random(&s->w.stores.sim, bound);
}

static bool happens(struct sim *s, unsigned percent)
{
    return below(s, 100) < percent;
}

/* --- what is published ------------------------------------------------------------------------ */

static const struct grant *grant_of(const struct sim *s, unsigned audience)
{
    const struct grant_set *set = s->w.serving.grants;

    for (size_t i = 0; set != NULL && i < set->grant_count; i++) {
        if (strcmp(set->grants[i].audience, audiences[audience]) == 0) {
            return &set->grants[i];
        }
    }
    return NULL;
}

/* What the changes (@first to @last) of a table look like to @audience now. */
static void render(struct sim *s, const struct served_table *table, unsigned audience,
                   uint64_t first, uint64_t last, struct sf_buf *out)
{
    SF_CLEANUP(served_view_unrefp) struct served_view *view = NULL;
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_log_freep) struct store_log *log = NULL;
    SF_CLEANUP(change_reader_done) struct change_reader reader = {0};
    struct store_log_entry entry;
    bool more = true;
    bool shown;

    sf_assert(serving_view(&s->w.serving, table, audience == OWN ? NULL : grant_of(s, audience),
                           /* roles= */ NULL, &view, NULL) == SF_OK);
    sf_assert(store_snapshot_new(s->w.stores.store, &snapshot, NULL) == SF_OK);
    sf_assert(store_log_new(snapshot, table->lane, first - 1, true, &log, NULL) == SF_OK);
    reader = (struct change_reader){.view = view, .columns = view->columns, .snapshot = snapshot};
    for (;;) {
        sf_assert(store_log_next(log, &entry, &more, NULL) == SF_OK && more);
        sf_assert(change_render_json(&reader, &entry, out, &shown, NULL) == SF_OK);
        if (entry.seq == last) {
            return;
        }
    }
}

static unsigned long long number_after(const char **text, char end)
{
    char *rest;
    unsigned long long n = strtoull(*text, &rest, 10);

    sf_assert(rest != *text && *rest == end);
    *text = rest + 1;
    return n;
}

struct place {
    unsigned table;
    unsigned audience;
    unsigned epoch;
    uint64_t first; /* 0: a heartbeat */
    uint64_t last;
    uint64_t prev;
    uint64_t head;
};

static struct place place_of(const struct sf_bus_msg *m)
{
    const char *position = sf_bus_msg_header(m, HEADER_POSITION);
    const char *prev = sf_bus_msg_header(m, HEADER_PREV);
    const char *head = sf_bus_msg_header(m, HEADER_HEAD);
    const char *audience = sf_bus_msg_header(m, HEADER_AUDIENCE);
    struct place p = {.table = strstr(m->subject, ".clicks.") != NULL};

    sf_assert(audience != NULL && prev != NULL && (position != NULL) != (head != NULL));
    while (strcmp(audiences[p.audience], audience) != 0) {
        p.audience++;
        sf_assert(p.audience <= AUDIENCES);
    }
    p.prev = number_after(&prev, '\0');
    if (position != NULL) {
        p.epoch = (unsigned)number_after(&position, ':');
        p.first = number_after(&position, '-');
        p.last = number_after(&position, '\0');
        sf_assert(p.first > 0 && p.first <= p.last);
    } else {
        p.epoch = (unsigned)number_after(&head, ':');
        p.head = number_after(&head, '\0');
    }
    return p;
}

static void check_signature(struct sim *s, const struct sf_bus_msg *m, const struct place *p)
{
    const char *signature = sf_bus_msg_header(m, HEADER_SIG);
    uint8_t hash[SF_HASH256_SIZE];
    char hash_text[2 * SF_HASH256_SIZE + 1];
    char text[MESSAGE_TEXT_MAX];
    struct sf_signature bytes;
    const struct subject_lane lane = {
        .domain = "sales", .product = "orders", .table = tables[p->table], .major = 1};
    char subject[SUBJECT_MAX];
    size_t n;

    if (p->audience == OWN) {
        subject_own(subject, &lane);
    } else {
        subject_live_source(subject, &lane, audiences[p->audience]);
    }
    sf_assert(strcmp(subject, m->subject) == 0);
    sf_hash256(&m->data, 1, hash);
    sf_encode(SF_HEX, sf_slice_of(hash, sizeof(hash)), hash_text);
    n = message_signed_bytes(&(struct message_texts){.lane = lane,
                                                     .audience = audiences[p->audience],
                                                     .epoch = p->epoch,
                                                     .first = p->first,
                                                     .last = p->last,
                                                     .prev = p->prev,
                                                     .head = p->head,
                                                     .payload_hash = hash_text},
                             text);
    sf_assert(sf_decode_exact(SF_BASE64, sf_slice_text(signature), bytes.bytes, sizeof(bytes.bytes),
                              NULL) == SF_OK);
    sf_assert(sf_verify(&s->w.leaf.public_key, SIGN_MESSAGE, sf_slice_of(text, n), &bytes, NULL) ==
              SF_OK);
}

static void see(struct sim *s, const struct sf_bus_msg *m)
{
    const struct place p = place_of(m);
    struct stream *stream = &s->streams[p.table][p.audience];
    SF_CLEANUP(sf_buf_done) struct sf_buf wanted = {0};

    sf_assert(p.audience == OWN || s->granted[p.audience]);
    check_signature(s, m, &p);
    if (p.first == 0) {
        sf_assert(m->data.size == 0 && p.prev <= p.head);
        return;
    }
    sf_assert(p.first == p.prev + 1);
    sf_assert(m->data.size < MESSAGE_BYTES + ROW_BYTES);
    render(s, leaf_world_table(&s->w, tables[p.table]), p.audience, p.first, p.last, &wanted);
    sf_assert(sf_slice_equal(sf_buf_view(&wanted), m->data));
    stream->published_changes += p.last - p.first + 1;
    stream->published = p.last > stream->published ? p.last : stream->published;
}

static struct watch *watch_of(struct sf_bus *bus)
{
    return SF_CONTAINER_OF(bus, struct watch, bus);
}

/* SF_OK: look at w->lost, whether it goes on to the inner bus. */
static enum sf_code watch_message(struct watch *w, const struct sf_bus_msg *m, struct sf_error *err)
{
    if (happens(w->sim, w->sim->refuse_percent)) {
        return SF_RAISE(err, happens(w->sim, 50) ? SF_BUSY : SF_UNAVAILABLE, "refused");
    }
    see(w->sim, m);
    w->lost = happens(w->sim, w->sim->refuse_percent);
    return SF_OK;
}

static enum sf_code watch_publish(struct sf_bus *bus, const struct sf_bus_msg *m,
                                  struct sf_error *err)
{
    struct watch *w = watch_of(bus);
    enum sf_code code = watch_message(w, m, err);

    return code != SF_OK || w->lost ? code : sf_bus_publish(w->inner, m, err);
}

static enum sf_code watch_request(struct sf_bus *bus, struct sf_bus_call *call,
                                  const struct sf_bus_msg *m, uint64_t timeout_ns,
                                  struct sf_error *err)
{
    struct watch *w = watch_of(bus);
    enum sf_code code = watch_message(w, m, err);

    return code != SF_OK || w->lost ? code : sf_bus_request(w->inner, call, m, timeout_ns, err);
}

static void watch_cancel(struct sf_bus *bus, struct sf_bus_call *call)
{
    sf_bus_cancel(watch_of(bus)->inner, call);
}

static void watch_flushed(struct sf_bus_flush *flush, enum sf_code code)
{
    struct watch_flush *f = SF_CONTAINER_OF(flush, struct watch_flush, inner);
    struct sf_bus_flush *owner = f->owner;

    code = f->code == SF_OK ? code : f->code;
    sf_free(f);
    owner->done(owner, code);
}

static enum sf_code watch_flush(struct sf_bus *bus, struct sf_bus_flush *flush, uint64_t timeout_ns,
                                struct sf_error *err)
{
    struct watch *w = watch_of(bus);
    struct watch_flush *f;
    enum sf_code code;

    if (happens(w->sim, w->sim->refuse_percent)) {
        return SF_RAISE(err, SF_UNAVAILABLE, "refused");
    }
    f = sf_calloc(1, sizeof(*f));
    sf_assert(f != NULL);
    f->inner.done = watch_flushed;
    f->owner = flush;
    f->code = w->lost || happens(w->sim, w->sim->refuse_percent) ? SF_TIMEOUT : SF_OK;
    code = sf_bus_flush(w->inner, &f->inner, timeout_ns, err);
    if (code != SF_OK) {
        sf_free(f);
    }
    return code;
}

static bool watch_connected(struct sf_bus *bus)
{
    return sf_bus_connected(watch_of(bus)->inner);
}

static const struct sf_bus_ops watch_ops = {
    .publish = watch_publish,
    .request = watch_request,
    .cancel = watch_cancel,
    .flush = watch_flush,
    .connected = watch_connected,
};

/* --- what arrives ----------------------------------------------------------------------------- */

/* Asks for what is missing, as sheaf sub does. */
static void replay(struct stream *stream, uint64_t to)
{
    if (to > stream->known) {
        stream->replayed += to - stream->known;
        stream->known = to;
    }
}

static void on_msg(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct sim *s = sub->data;
    const struct place p = place_of(m);
    struct stream *stream = &s->streams[p.table][p.audience];

    replay(stream, p.prev); /* Nothing when it has that. */
    if (p.first == 0) {
        stream->head_told = p.head;
        return;
    }
    sf_assert(p.first <= stream->known + 1); /* No gap that Sheaf-Prev does not show. */
    stream->known = p.last > stream->known ? p.last : stream->known;
}

static bool drop(void *data, const char *subject)
{
    struct sim *s = data;

    (void)subject;
    return happens(s, s->drop_percent);
}

static uint64_t delay(void *data, const char *subject)
{
    (void)subject;
    return below(data, 5) * SF_NS_PER_MS;
}

static void on_state(struct sf_bus *bus, bool is_connected)
{
    struct sim *s = bus->data;

    if (is_connected && s->publisher != NULL) {
        publisher_wake(s->publisher);
    }
}

/* --- what happens ----------------------------------------------------------------------------- */

static void start_publisher(struct sim *s)
{
    const struct publisher_options options = {
        .rt = &s->w.stores.sim.rt,
        .store = s->w.stores.store,
        .serving = &s->w.serving,
        .serve = &s->serve.bus,
        .own = &s->own.bus,
        .leaf_key = &s->w.leaf,
        .metrics = &s->metrics,
    };

    sf_assert(publisher_new(&options, &s->publisher, NULL) == SF_OK);
}

/* Puts the model's grants in force; a quarter of the audiences have two grants. */
static void put_in_force(struct sim *s)
{
    struct world_grant grants[2 * AUDIENCES];
    size_t n = 0;

    for (unsigned a = 0; a < AUDIENCES; a++) {
        for (unsigned twice = 0; s->granted[a] && twice < 1 + (unsigned)happens(s, 25); twice++) {
            grants[n] =
                (struct world_grant){.id = twice == 0 ? "G-1" : "G-2", .audience = audiences[a]};
            memcpy(grants[n].columns, column_sets[s->columns[a]], sizeof(grants[n].columns));
            n++;
        }
    }
    leaf_world_grant(&s->w, &(struct world_bundle){.version = ++s->version,
                                                   .expires_us = INT64_MAX,
                                                   .grants = grants,
                                                   .grant_count = n});
    sf_assert(publisher_update(s->publisher, NULL) == SF_OK);
}

static void change_grants(struct sim *s)
{
    const unsigned a = below(s, AUDIENCES);

    if (!s->granted[a]) {
        s->granted[a] = true;
    } else if (happens(s, 50)) {
        s->columns[a] = below(s, SF_COUNT(column_sets));
    } else {
        s->granted[a] = false;
    }
    put_in_force(s);
}

static void write_changes(struct sim *s, unsigned count, unsigned note_bytes)
{
    const unsigned table = below(s, 2);
    SF_CLEANUP(sf_buf_done) struct sf_buf lines = {0};

    for (unsigned i = 0; i < count; i++) {
        const unsigned n = ++s->row;

        if (table == 1) {
            sf_buf_printf(&lines, "{\"op\":\"upsert\",\"row\":{\"page\":\"%u\",\"n\":%u}}\n", n, n);
        } else {
            sf_buf_printf(&lines,
                          "{\"op\":\"%s\",\"row\":{\"order_id\":\"%u\",\"note\":\"%0*u\"}}\n",
                          happens(s, 20) ? "delete" : "upsert", n % 7, (int)note_bytes, n);
        }
    }
    leaf_world_write(&s->w, leaf_world_table(&s->w, tables[table]), sf_buf_cstr(&lines));
}

static void on_closed(void *data)
{
    ((struct sim *)data)->is_closed = true;
}

static bool is_closed(void *data)
{
    return ((struct sim *)data)->is_closed;
}

static void close_publisher(struct sim *s)
{
    s->is_closed = false;
    publisher_close(SF_TAKE(s->publisher), on_closed, s);
    sf_assert(rt_sim_run_until(&s->w.stores.sim, is_closed, s, 60 * SF_NS_PER_S));
}

static void crash(struct sim *s)
{
    leaf_world_kill(&s->w);
    close_publisher(s);
    leaf_world_crash(&s->w, world_orders);
    if (s->newer) {
        (void)leaf_world_add(&s->w, world_orders_newer);
    }
    start_publisher(s);
    put_in_force(s);
}

static void listen_to(struct sim *s, unsigned i, bool listens)
{
    if (listens && !s->listens[i]) {
        s->subs[i] = (struct sf_bus_sub){.on_msg = on_msg, .data = s};
        sf_assert(sf_bus_subscribe(s->consumer, &s->subs[i], i == 0 ? "dp.>" : "own.>", NULL,
                                   NULL) == SF_OK);
    } else if (!listens) {
        sf_bus_unsubscribe(s->consumer, &s->subs[i]);
    }
    s->listens[i] = listens;
}

static void set_connected(struct sim *s, bool is_connected)
{
    fake_bus_set_connected(happens(s, 50) ? s->serve.inner : s->own.inner, is_connected);
}

/* Nobody loses a grant. */
static void told_fault(struct sim *s)
{
    if (happens(s, 50)) {
        s->refuse_percent = below(s, 60);
    } else {
        s->columns[below(s, AUDIENCES)] = below(s, SF_COUNT(column_sets));
        put_in_force(s);
    }
}

static void fault(struct sim *s)
{
    if (s->faults == FAULTS_TOLD) {
        told_fault(s);
        return;
    }
    switch (below(s, 8)) {
    case 0:
        crash(s);
        break;
    case 1:
        set_connected(s, false);
        break;
    case 2:
    case 3:
        set_connected(s, true);
        break;
    case 4:
        s->refuse_percent = below(s, 60);
        break;
    case 5:
        s->drop_percent = below(s, 40);
        break;
    case 6:
        listen_to(s, below(s, 2), happens(s, 50));
        break;
    default:
        change_grants(s);
        break;
    }
}

static void step(struct sim *s)
{
    if (happens(s, 60)) {
        write_changes(s, 1 + below(s, 5), 1);
    } else if (happens(s, 4)) {
        write_changes(s, 30, 10000); /* More than one message holds. */
    } else if (!s->newer && happens(s, 2)) {
        s->newer = true;
        (void)leaf_world_add(&s->w, world_orders_newer);
        sf_assert(publisher_update(s->publisher, NULL) == SF_OK);
    } else if (s->faults != FAULTS_NONE && happens(s, 50)) {
        fault(s);
    }
    rt_sim_run_for(&s->w.stores.sim, below(s, happens(s, 10) ? 8000 : 40) * SF_NS_PER_MS);
}

static void finish(struct sim *s)
{
    s->refuse_percent = 0;
    s->drop_percent = 0;
    fake_bus_set_connected(s->serve.inner, true);
    fake_bus_set_connected(s->own.inner, true);
    listen_to(s, 0, true);
    listen_to(s, 1, true);
    rt_sim_run_for(&s->w.stores.sim, 30 * SF_NS_PER_S);
    for (unsigned t = 0; t < 2; t++) {
        const uint64_t head = store_lane_head(leaf_world_table(&s->w, tables[t])->lane)->seq;

        for (unsigned a = 0; a <= AUDIENCES; a++) {
            const struct stream *stream = &s->streams[t][a];

            if (a != OWN && !s->granted[a]) {
                continue;
            }
            sf_assert(stream->known == head && stream->head_told == head);
            sf_assert(stream->replayed == 0 || s->faults == FAULTS_ALL);
            /* A view that changes may cut off a message that is on its way. */
            sf_assert(stream->published_changes == head || s->faults != FAULTS_NONE || s->newer);
        }
    }
}

static void init(struct sim *s, uint64_t seed)
{
    *s = (struct sim){.faults = seed % 4 > 2 ? FAULTS_ALL : (enum faults)(seed % 4)};
    leaf_world_init(&s->w, seed);
    sf_metrics_init(&s->metrics);
    (void)leaf_world_add(&s->w, world_orders);
    s->broker = fake_broker_new(&s->w.stores.sim.rt);
    s->serve = (struct watch){.bus.ops = &watch_ops, .sim = s};
    s->serve.inner = fake_bus_connect(s->broker);
    s->own = (struct watch){.bus.ops = &watch_ops, .sim = s};
    s->own.inner = fake_bus_connect(s->broker);
    s->serve.inner->on_state = s->own.inner->on_state = on_state;
    s->serve.inner->data = s->own.inner->data = s;
    s->consumer = fake_bus_connect(s->broker);
    *fake_broker_knobs(s->broker) =
        (struct fake_broker_knobs){.drop = drop, .delay_ns = delay, .data = s};
    for (unsigned i = 0; i < 2; i++) {
        listen_to(s, i, true);
    }
    rt_sim_run_for(&s->w.stores.sim, SF_NS_PER_S); /* Until all are connected. */
    start_publisher(s);
    for (unsigned a = 0; a < AUDIENCES; a++) {
        s->granted[a] = s->faults != FAULTS_ALL || happens(s, 70);
        s->columns[a] = below(s, SF_COUNT(column_sets));
    }
    put_in_force(s);
}

static void run_seed(uint64_t seed)
{
    struct sim *s = sf_calloc(1, sizeof(*s));

    sf_assert(s != NULL);
    init(s, seed);
    for (unsigned i = 0; i < STEPS; i++) {
        step(s);
    }
    finish(s);
    close_publisher(s);
    fake_broker_free(s->broker);
    leaf_world_done(&s->w);
    sf_free(s);
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

    sf_assert(sf_crypto_init(NULL) == SF_OK);
    sf_assert(sf_log_open(&(struct sf_log_options){.level = SF_LOG_ERROR}, NULL) == SF_OK);
    for (uint64_t seed = first; seed < first + count; seed++) {
        (void)fprintf(stderr, "\rseed %llu", (unsigned long long)seed);
        run_seed(seed);
    }
    (void)fprintf(stderr, "\n");
    sf_log_close();
    return 0;
}
