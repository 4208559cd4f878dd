#include "leaf/publish/feed.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/sys/log.h"

/*
 *          changes               work done: sent              taken
 *   IDLE ----------> READING -------------------> FLUSHING ----------> IDLE or READING
 *    ^                  |                             |
 *    +--- nothing ------+---- refused ---> STALLED <--+ not taken
 *                                             |
 *                                READING <----+ bus is back, or the retry timer
 *
 *   IDLE -- nobody listens --> PARKED -- changes, and its turn --> PROBING -- no answer --> IDLE
 *                                 ^                                   |
 *                                 +------------- nobody --------------+
 *
 *   WAITING -- the feeds before it are gone (handover.h) --> IDLE
 *
 * Any state -- feed_close() --> freed at once, or CLOSING until work, flush and save are back.
 */

/* What older leaves stored: epoch and cursor, without what was sent. */
enum { CURSOR_BYTES = 12 };

#define RETRY_NS  (250 * SF_NS_PER_MS)
#define PROBE_NS  ASKING_MOMENT_NS
#define SAVE_NS   ASKING_MOMENT_NS
#define FLUSH_NS  (10 * SF_NS_PER_S)
#define ANSWER_NS (5 * SF_NS_PER_MS)

static void feed_step(struct feed *f);

/* --- cursor ----------------------------------------------------------------------------------- */

/* The key under which the place of @audience is stored; in @key. */
static struct sf_slice cursor_key(const struct feed *f, const char *audience, uint8_t key[96])
{
    static const char prefix[] = "cursor/";
    size_t n = sizeof(prefix) - 1;
    size_t size = strlen(audience);

    size = size > 96 - n - 4 ? 96 - n - 4 : size;
    memcpy(key, prefix, n);
    sf_write_be32(key + n, store_lane_id(f->table->lane));
    n += 4;
    memcpy(key + n, audience, size);
    return sf_slice_of(key, n + size);
}

static void put_be(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    }
}

/* Where the feed of @audience was; one that is ahead of the table is at its head. */
static enum sf_code read_cursor(const struct feed *f, const struct store_snapshot *snapshot,
                                const char *audience, struct feed_place *ret, bool *found,
                                struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf value = {0};
    const uint64_t head = store_lane_head(f->table->lane)->seq;
    uint8_t key[96];
    enum sf_code code = store_small_get(snapshot, STORE_META, cursor_key(f, audience, key), &value,
                                        NULL, found, err);

    if (code != SF_OK || !*found) {
        return code;
    }
    ret->looked = head;
    if (value.size >= CURSOR_BYTES && sf_read_be64(value.data + 4) <= head) {
        ret->looked = sf_read_be64(value.data + 4);
    }
    ret->sent = ret->looked;
    if (value.size == sizeof(f->cursor_value) &&
        sf_read_be64(value.data + CURSOR_BYTES) <= ret->looked) {
        ret->sent = sf_read_be64(value.data + CURSOR_BYTES);
    }
    return SF_OK;
}

/*
 * The shared audience has a cursor as long as it is the one that is fed (store_cursor()); else each
 * sole one has. When policies have come or gone while nobody was fed, the feed goes on from those
 * that were fed last.
 */
static enum sf_code load_cursor(struct feed *f, const char *sole, struct sf_error *err)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    const uint64_t head = store_lane_head(f->table->lane)->seq;
    const char *audience = f->shared;
    bool found = false;
    enum sf_code code = store_snapshot_new(f->options->store, &snapshot, err);

    f->place = (struct feed_place){head, head};
    f->cursor_saved = UINT64_MAX; /* A new feed's start is stored too. */
    if (code == SF_OK) {
        code = read_cursor(f, snapshot, audience, &f->place, &found, err);
    }
    if (code == SF_OK && !found) {
        audience = sole;
        code = read_cursor(f, snapshot, audience, &f->place, &found, err);
    }
    if (code == SF_OK && found) {
        f->origin = strcmp(audience, f->audience) == 0 ? FEED_AT_OWN : FEED_AT_OTHERS;
        f->cursor_saved = f->origin == FEED_AT_OWN ? f->place.looked : UINT64_MAX;
    }
    return code;
}

enum sf_code feed_share(struct feed *f, const struct feed_spec *spec, struct sf_error *err)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    struct feed_place place;
    bool found = false;
    enum sf_code code;

    if (f->origin == FEED_AT_OWN || strcmp(f->audience, f->shared) != 0) {
        return SF_OK;
    }
    code = store_snapshot_new(f->options->store, &snapshot, err);
    if (code == SF_OK) {
        code = read_cursor(f, snapshot, spec->sole, &place, &found, err);
    }
    if (code == SF_OK && found) {
        f->place = f->origin == FEED_AT_HEAD ? place : feed_place_lower(&f->place, &place);
        f->origin = FEED_AT_OTHERS;
    }
    return code;
}

static void saved(struct store_write *w, const struct sf_error *err)
{
    struct feed *f = w->data;

    f->saving = false;
    if (err != NULL && err->code != SF_CLOSED) {
        sf_log(SF_LOG_WARN, "publish.cursor_not_saved", SF_F_TEXT("audience", f->audience),
               SF_F_ERROR(err));
    }
    feed_step(f);
}

/* The first cursor of a sole feed takes that of the shared one away, which is fed no more. */
static void store_cursor(struct feed *f)
{
    const bool is_first = f->cursor_saved == UINT64_MAX;
    const bool is_sole = strcmp(f->audience, f->shared) != 0;
    struct sf_error err;

    put_be(f->cursor_value, store_lane_head(f->table->lane)->epoch, 4);
    put_be(f->cursor_value + 4, f->place.looked, 8);
    put_be(f->cursor_value + CURSOR_BYTES, f->place.sent, 8);
    f->puts[0] = (struct store_put){
        .space = STORE_META,
        .key = cursor_key(f, f->audience, f->cursor_keys[0]),
        .value = sf_slice_of(f->cursor_value, sizeof(f->cursor_value)),
    };
    f->puts[1] = (struct store_put){
        .space = STORE_META,
        .remove = true,
        .key = cursor_key(f, f->shared, f->cursor_keys[1]),
    };
    f->write = (struct store_write){
        .data = f, .puts = f->puts, .put_count = is_first && is_sole ? 2 : 1, .unsynced = true};
    if (store_submit(f->options->store, &f->write, saved, &err) == SF_OK) {
        f->saving = true;
        f->cursor_saved = f->place.looked;
    }
}

static void save_cursor(struct feed *f)
{
    if (!f->saving && f->place.looked != f->cursor_saved) {
        store_cursor(f);
    }
}

/* Only feeds of other audiences went on from its place: what is stored of it is theirs to take, and
 * later there may be a feed of this audience again. */
static bool is_passed_on(const struct feed *f)
{
    return f->handover.is_left && !f->handover.is_kept;
}

/* --- sending ---------------------------------------------------------------------------------- */

/*
 * What lies behind the cursor may have been trimmed while the feed was held up for longer than its
 * grace: it goes on at the first change that is left, as Sheaf-Prev tells. Query thread.
 */
static void read_work(struct sf_work *work)
{
    struct feed *f = SF_CONTAINER_OF(work, struct feed, work);

    f->code = SF_OK;
    if (!message_walk_goes_on(&f->walk, f->place.looked)) {
        f->code = message_walk_begin(&f->walk, &f->spec, f->options->store, f->table->lane,
                                     f->place.looked, &f->error);
    }
    if (f->code == SF_OK) {
        f->start = f->walk.at;
        const uint64_t prev = f->start > f->place.looked ? f->start : f->place.sent;

        f->code = message_fill(&f->message, &f->spec, &f->walk, prev, &f->error);
    }
}

static void note_gap(struct feed *f)
{
    sf_log(SF_LOG_WARN, "publish.gap", SF_F_TEXT("subject", f->subject),
           SF_F_UINT("after", f->place.looked), SF_F_UINT("to", f->start));
    sf_counter_add(&f->counters->gaps, 1);
    f->place.looked = f->start;
    f->place.sent = f->start;
}

static void stall(struct feed *f)
{
    f->state = FEED_STALLED;
    message_walk_end(&f->walk);
    sf_counter_add(&f->counters->stalls, 1);
    sf_rt_timer_start(f->options->rt, &f->retry, RETRY_NS);
}

static uint64_t head_seq(const struct feed *f)
{
    return store_lane_head(f->table->lane)->seq;
}

/* By the clock: the publisher's update may be late. */
static bool is_over(const struct feed *f)
{
    return f->until_us <= serving_now_us(f->options->serving);
}

/* FLUSHING, or CLOSING since: the server has the message. */
static void message_taken(struct feed *f)
{
    sf_counter_add(&f->counters->messages, 1);
    sf_counter_add(&f->counters->changes, f->message.changes);
    sf_counter_add(&f->counters->bytes, f->message.body.size);
    f->place.looked = f->message.looked;
    f->place.sent = f->message.last;
    if (f->state == FEED_FLUSHING) {
        f->state = f->nobody ? FEED_PARKED : FEED_IDLE;
    }
}

/* PROBING: the server has the heartbeat. Its "nobody" is sent before that answer, but comes by
 * another thread: it is waited for a moment, else for many feeds messages are made in vain. */
static void probe_taken(struct feed *f)
{
    if (!f->nobody) {
        sf_rt_timer_start(f->options->rt, &f->retry, ANSWER_NS);
        return;
    }
    f->place.looked = head_seq(f);
    f->place.sent = f->place.looked;
    f->state = FEED_PARKED;
    asking_start_timer(f->options->rt, &f->retry, PROBE_NS);
}

static void flushed(struct sf_bus_flush *flush, enum sf_code code)
{
    struct feed *f = flush->data;
    const bool is_message = f->in_flight;

    f->flush.data = NULL;
    f->in_flight = false;
    if (f->state != FEED_CLOSING && code != SF_OK) {
        stall(f);
        return;
    }
    if (is_message && code == SF_OK) {
        message_taken(f);
    } else if (f->state == FEED_PROBING) {
        probe_taken(f);
    }
    feed_step(f);
}

/* Only the server answers a message, and only when it was delivered to nobody. It may do so after
 * the flush. */
static void call_done(struct sf_bus_call *call, enum sf_bus_outcome outcome,
                      const struct sf_bus_msg *m)
{
    struct feed *f = call->data;

    (void)m;
    f->nobody = outcome == SF_BUS_NO_RESPONDERS;
    if (f->nobody && f->state == FEED_IDLE) {
        f->state = FEED_PARKED;
        feed_step(f);
    } else if (f->nobody && f->state == FEED_PROBING && f->flush.data == NULL) {
        probe_taken(f);
        feed_step(f);
    }
}

/* Sends the message and asks for two answers: that the server has it, and whether for nobody. */
static enum sf_code send(struct feed *f, struct sf_error *err)
{
    const struct sf_bus_msg m = message_of_bus(&f->message, &f->spec);
    enum sf_code code;

    sf_bus_cancel(f->bus, &f->call);
    f->nobody = false;
    f->call = (struct sf_bus_call){.done = call_done, .data = f};
    code = sf_bus_request(f->bus, &f->call, &m, FLUSH_NS, err);
    if (code != SF_OK) {
        return code;
    }
    f->flush = (struct sf_bus_flush){.done = flushed, .data = f};
    code = sf_bus_flush(f->bus, &f->flush, FLUSH_NS, err);
    if (code != SF_OK) {
        f->flush.data = NULL;
    }
    return code;
}

/* The version that the next message is of; not while one is being made. */
static void say_policy(struct feed *f)
{
    char policy[sizeof(f->policy)];

    (void)snprintf(policy, sizeof(policy), "%llu", (unsigned long long)f->policy_version);
    if (strcmp(policy, f->policy) != 0) {
        memcpy(f->policy, policy, sizeof(policy));
        message_forget(&f->message); /* A heartbeat that says it is another. */
    }
    f->spec.policy = f->policy_version == 0 ? NULL : f->policy;
}

/* Where the lane is, also when the feed has sent nothing of its epoch. */
static enum sf_code make_heartbeat(struct feed *f, struct sf_error *err)
{
    const struct store_head *head = store_lane_head(f->table->lane);

    say_policy(f);
    return message_heartbeat(&f->message, &f->spec, head->epoch, head->seq, f->place.sent, err);
}

static void probe(struct feed *f)
{
    struct sf_error err;
    enum sf_code code = make_heartbeat(f, &err);

    f->state = FEED_PROBING;
    if (code != SF_OK || send(f, &err) != SF_OK) {
        stall(f);
    }
}

/* Its turn has come. */
static void ask(struct asking_turn *turn)
{
    struct feed *f = SF_CONTAINER_OF(turn, struct feed, turn);

    if (f->state == FEED_PARKED && !is_over(f)) {
        probe(f);
    }
}

/* The view shows nothing of what was read: nobody is told, and nobody sees a gap. */
static void pass_hidden(struct feed *f)
{
    if (f->message.first == 0 && f->message.looked > f->place.looked) {
        f->place.looked = f->message.looked;
    }
}

static void read_done(struct sf_task *done)
{
    struct feed *f = SF_CONTAINER_OF(done, struct feed, work.done);
    struct sf_error err;

    f->work.done.run = NULL;
    if (f->state == FEED_CLOSING) {
        feed_step(f);
        return;
    }
    if (f->code != SF_OK) {
        sf_log(SF_LOG_ERROR, "publish.read_failed", SF_F_TEXT("subject", f->subject),
               SF_F_ERROR(&f->error));
        stall(f);
        return;
    }
    if (f->start > f->place.looked) {
        note_gap(f);
    }
    if (f->message.first == 0 || is_over(f)) {
        pass_hidden(f);
        f->state = FEED_IDLE;
        feed_step(f);
        return;
    }
    f->state = FEED_FLUSHING;
    if (send(f, &err) != SF_OK) {
        stall(f);
        return;
    }
    f->in_flight = true;
}

static void start_reading(struct feed *f)
{
    f->state = FEED_READING;
    say_policy(f);
    f->work = (struct sf_work){.pool = SF_POOL_QUERY, .work = read_work, .done.run = read_done};
    sf_rt_work(f->options->rt, &f->work);
}

static void retry_fire(struct sf_timer *timer)
{
    struct feed *f = SF_CONTAINER_OF(timer, struct feed, retry);

    if (f->state == FEED_STALLED || f->state == FEED_PROBING) {
        f->state = FEED_IDLE;
    }
    feed_step(f);
}

static void save_fire(struct sf_timer *timer)
{
    struct feed *f = SF_CONTAINER_OF(timer, struct feed, save);

    save_cursor(f);
    feed_step(f); /* A store that was busy is asked again. */
}

void feed_discard(struct feed *f)
{
    if (f == NULL) {
        return;
    }
    message_walk_end(&f->walk);
    message_done(&f->message);
    served_view_unref(f->view);
    sf_free(f->audience);
    sf_free(f->shared);
    sf_free(f);
}
SF_DEFINE_CLEANUP(struct feed, feed_discard)

static bool in_use(const struct feed *f)
{
    return f->saving || f->flush.data != NULL || f->work.done.run != NULL;
}

/* CLOSING: what was sent last is in the cursor. Whoever took over has that now; else it is stored,
 * if the store still takes it. */
static void finish(struct feed *f)
{
    void (*on_gone)(void *data) = f->on_gone;
    void *data = f->data;

    f->handed_over |= handover_end(f);
    if (!f->handed_over && !is_passed_on(f)) {
        save_cursor(f);
        if (in_use(f)) {
            return;
        }
    }
    feed_discard(f);
    on_gone(data);
}

static void feed_step(struct feed *f)
{
    switch (f->state) {
    case FEED_IDLE:
        if (head_seq(f) > f->place.looked && !is_over(f)) {
            start_reading(f);
        }
        break;
    case FEED_PARKED:
        if (head_seq(f) > f->place.looked && !sf_list_linked(&f->retry.link) &&
            !asking_waits(&f->turn) && !is_over(f)) {
            asking_want(f->asking, &f->turn);
        }
        break;
    case FEED_READING:
    case FEED_FLUSHING:
    case FEED_STALLED:
    case FEED_PROBING:
    case FEED_WAITING:
        break;
    case FEED_CLOSING:
        if (!in_use(f)) {
            finish(f);
        }
        return;
    }
    if (f->state != FEED_READING && f->state != FEED_FLUSHING) {
        message_walk_end(&f->walk); /* Who does not go on holds no snapshot. */
    }
    if (f->place.looked != f->cursor_saved && !f->saving && !sf_list_linked(&f->save.link)) {
        asking_start_timer(f->options->rt, &f->save, SAVE_NS);
    }
}

void feed_wake(struct feed *f)
{
    if (f->state == FEED_STALLED) {
        sf_rt_timer_stop(f->options->rt, &f->retry);
        f->state = FEED_IDLE;
    }
    feed_step(f);
}

bool feed_is_behind(const struct feed *f)
{
    return f->state != FEED_PARKED && head_seq(f) > f->place.looked && !is_over(f);
}

void feed_heartbeat(struct feed *f)
{
    struct sf_error err;
    enum sf_code code;

    if ((f->state != FEED_IDLE && f->state != FEED_PARKED) || is_over(f) ||
        asking_waits(&f->turn) || !sf_bus_connected(f->bus)) {
        return; /* To ask is a heartbeat too. */
    }
    code = make_heartbeat(f, &err);
    if (code == SF_OK) {
        const struct sf_bus_msg m = message_of_bus(&f->message, &f->spec);

        code = sf_bus_publish(f->bus, &m, &err);
    }
    if (code != SF_OK) {
        sf_log(SF_LOG_DEBUG, "publish.heartbeat_lost", SF_F_ERROR(&err));
    }
}

/* --- begin and end ---------------------------------------------------------------------------- */

static void make_spec(struct feed *f, const struct feed_spec *spec)
{
    const struct sf_product *p = spec->table->product->contract;

    (void)snprintf(f->contract, sizeof(f->contract), "%u.%u.%u", p->version.major, p->version.minor,
                   p->version.patch);
    f->spec = (struct message_spec){
        .lane = {.domain = p->domain,
                 .product = p->name,
                 .table = spec->table->contract->name,
                 .major = p->version.major},
        .audience = f->audience,
        .subject = f->subject,
        .contract = f->contract,
        .view = f->view,
        .leaf_key = f->options->leaf_key,
    };
    f->bus = spec->is_own ? f->options->own : f->options->serve;
    if (spec->is_own) {
        subject_own(f->subject, &f->spec.lane);
    } else {
        subject_live_source(f->subject, &f->spec.lane, f->audience);
        f->policy_version = f->options->serving->grants->policy_version;
    }
}

enum sf_code feed_new(const struct publisher_options *options, struct feed_counters *counters,
                      struct asking *asking, const struct feed_spec *spec, struct feed **ret,
                      struct sf_error *err)
{
    SF_CLEANUP(feed_discardp) struct feed *f = sf_calloc(1, sizeof(*f));
    enum sf_code code;

    if (f == NULL) {
        return SF_RAISE(err, SF_NOMEM, "feed");
    }
    f->options = options;
    f->counters = counters;
    f->asking = asking;
    f->turn.ask = ask;
    f->table = spec->table;
    f->until_us = spec->until_us;
    f->view = served_view_ref(spec->view);
    f->audience = sf_strdup(spec->audience);
    f->shared = sf_strdup(spec->shared);
    f->retry.fire = retry_fire;
    f->save.fire = save_fire;
    message_init(&f->message);
    if (f->audience == NULL || f->shared == NULL) {
        return SF_RAISE(err, SF_NOMEM, "feed");
    }
    make_spec(f, spec);
    code = load_cursor(f, spec->sole, err);
    if (code != SF_OK) {
        return code;
    }
    *ret = SF_TAKE(f);
    return SF_OK;
}

void feed_close(struct feed *f, void (*on_gone)(void *data), void *data)
{
    sf_assert(f->state != FEED_CLOSING);
    asking_forget(f->asking, &f->turn);
    sf_rt_timer_stop(f->options->rt, &f->retry);
    sf_rt_timer_stop(f->options->rt, &f->save);
    sf_bus_cancel(f->bus, &f->call);
    handover_leave(f);
    sf_list_remove(&f->link);
    sf_list_remove(&f->lane_link);
    f->on_gone = on_gone;
    f->data = data;
    f->state = FEED_CLOSING;
    if (!is_passed_on(f)) {
        save_cursor(f);
    }
    feed_step(f);
}
