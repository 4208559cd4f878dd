/*
 *            input, its end, or time
 *     IDLE ---------------------------> CUTTING (query thread) --> CUT
 *      ^  <------ no body is full -------------------------------- |
 *      |                                   | a body
 *      |  stored                           v        busy
 *      +---------------------------- STORING <----------> WAITING
 *      |
 *      +--> ENDED (told on a turn of its own, freed)
 *
 * stream_step() decides; callbacks note what they were told and call it.
 */
#include "leaf/ingest/stream.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/str.h"
#include "leaf/ingest/cutter.h"
#include "leaf/ingest/ingest_private.h"

enum stream_state { IDLE, CUTTING, CUT, STORING, WAITING, ENDED };

#define BUSY_WAIT_NS (20 * SF_NS_PER_MS)
#define LINGER_NS    SF_NS_PER_S /* records wait so long for others to fill their batch */

enum { KEY_MAX = IDEM_KEY_MAX + 24 };

struct ingest_stream {
    enum stream_state state;
    struct ingest *in;
    struct ingest_stream_spec spec;
    struct ingest_request request;
    char *key;    /* owned; NULL: none */
    char *caller; /* owned; of the key */
    struct ingest_stream_totals totals;
    bool finished;
    bool abandoned;
    bool room_wanted;
    bool wait_over;
    bool lingering;
    bool linger_over;

    struct sf_buf input; /* not cut yet */

    /* While CUTTING the query thread's. */
    struct sf_buf packed; /* input being taken */
    size_t packed_used;
    struct sf_buf plain; /* inflated, not cut yet */
    size_t plain_used;
    struct sf_inflater *inflater; /* NULL: not compressed */
    struct cutter cutter;
    bool is_last; /* nothing follows @packed */
    bool is_full;
    bool is_done; /* everything is cut */
    enum sf_code code;
    struct sf_error error;
    struct sf_work work;

    struct sf_buf body; /* to be stored */
    uint64_t body_line;
    struct sf_timer wait;   /* WAITING, or for memory */
    struct sf_timer linger; /* records are waiting for others */
    struct sf_task turn;
};

static void stream_step(struct ingest_stream *s);

/* --- cutting: query thread -------------------------------------------------------------------- */

/* Makes more plain text of what is packed; nothing when there is none. */
static enum sf_code inflate_more(struct ingest_stream *s)
{
    struct sf_slice packed =
        sf_slice_of(s->packed.data + s->packed_used, s->packed.size - s->packed_used);
    enum sf_code code;

    sf_buf_clear(&s->plain);
    s->plain_used = 0;
    code = sf_inflater_step(s->inflater, &packed, &s->plain, &s->error);
    s->packed_used = s->packed.size - packed.size;
    if (code == SF_OK && s->plain.size == 0 && s->is_last) {
        code = sf_inflater_end(s->inflater, &s->error);
    }
    return code;
}

/* Gives the cutter what there is of @from. */
static enum sf_code cut_from(struct ingest_stream *s, struct sf_buf *from, size_t *used)
{
    struct sf_slice text = sf_slice_of(from->data + *used, from->size - *used);
    enum sf_code code = cutter_feed(&s->cutter, &text, &s->is_full, &s->error);

    *used = from->size - text.size;
    return code;
}

static enum sf_code cut(struct ingest_stream *s)
{
    enum sf_code code = SF_OK;
    bool more = true;

    s->is_full = false;
    if (s->inflater == NULL) {
        code = cut_from(s, &s->packed, &s->packed_used);
    }
    while (s->inflater != NULL && code == SF_OK && more && !s->is_full) {
        if (s->plain_used == s->plain.size) {
            code = inflate_more(s);
        }
        more = s->plain.size > s->plain_used;
        if (code == SF_OK && more) {
            code = cut_from(s, &s->plain, &s->plain_used);
        }
    }
    if (code == SF_OK && !s->is_full && s->is_last) {
        cutter_end(&s->cutter);
        s->is_done = true;
    }
    return code;
}

static void cut_work(struct sf_work *work)
{
    struct ingest_stream *s = SF_CONTAINER_OF(work, struct ingest_stream, work);

    s->code = cut(s);
}

static void cut_done(struct sf_task *done)
{
    struct ingest_stream *s = SF_CONTAINER_OF(done, struct ingest_stream, work.done);

    s->state = CUT;
    stream_step(s);
}

/* --- the loop --------------------------------------------------------------------------------- */

static void stream_free(struct ingest_stream *s)
{
    struct ingest *in = s->in;

    sf_rt_timer_stop(in->rt, &s->wait);
    sf_rt_timer_stop(in->rt, &s->linger);
    sf_list_remove(&s->turn.link);
    in->stream_count--;
    sf_gauge_set(&in->streams, (int64_t)in->stream_count);
    in->pending--;
    sf_inflater_free(s->inflater);
    cutter_done(&s->cutter);
    sf_buf_done(&s->input);
    sf_buf_done(&s->packed);
    sf_buf_done(&s->plain);
    sf_buf_done(&s->body);
    sf_free(s->key);
    sf_free(s->caller);
    sf_free(s);
}

static void wait_fire(struct sf_timer *timer)
{
    struct ingest_stream *s = SF_CONTAINER_OF(timer, struct ingest_stream, wait);

    s->wait_over = true;
    stream_step(s);
}

static void linger_fire(struct sf_timer *timer)
{
    struct ingest_stream *s = SF_CONTAINER_OF(timer, struct ingest_stream, linger);

    s->linger_over = true;
    stream_step(s);
}

static void turn_run(struct sf_task *turn)
{
    stream_step(SF_CONTAINER_OF(turn, struct ingest_stream, turn));
}

static void step_soon(struct ingest_stream *s)
{
    if (!sf_list_linked(&s->turn.link)) {
        sf_rt_post(s->in->rt, &s->turn);
    }
}

static void wait_a_little(struct ingest_stream *s)
{
    s->state = WAITING;
    s->wait_over = false;
    sf_rt_timer_start(s->in->rt, &s->wait, BUSY_WAIT_NS);
}

static void end_with(struct ingest_stream *s, enum sf_code code)
{
    s->code = code;
    s->state = ENDED;
}

static void on_stored(void *data, const struct ingest_result *result, const struct sf_error *err)
{
    struct ingest_stream *s = data;

    if (err == NULL) {
        s->totals.batches++;
        s->totals.accepted += result->accepted;
        s->totals.quarantined += result->quarantined;
        s->totals.lines = s->cutter.lines_before;
        s->totals.bytes = s->cutter.bytes_before;
        s->state = IDLE;
        if (!s->abandoned) {
            s->spec.on_batch(s->spec.data, result, &s->totals);
        }
    } else if (err->code == SF_BUSY && err->number == SHEAF_E_BUSY) {
        s->body = *result->body;
        *result->body = (struct sf_buf){0};
        wait_a_little(s);
    } else {
        s->error = *err;
        end_with(s, err->code);
    }
    step_soon(s);
}

/* A stream may outlive the contract it began with: each batch goes by the one in force. */
static enum sf_code renew_target(const struct ingest *in, struct ingest_request *r,
                                 struct sf_error *err)
{
    const struct served_product *before = r->product != NULL ? r->product : r->table->product;
    const struct sf_product *c = before->contract;
    const struct served_product *now = product_set_find(in->products, c->name, c->version.major);
    const struct served_table *table;

    if (now == NULL) {
        return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_PRODUCT_UNKNOWN,
                          "product %s/%s@%u was removed meanwhile", c->domain, c->name,
                          (unsigned)c->version.major);
    }
    if (r->product != NULL) {
        r->product = now;
    } else {
        table = served_product_table(now, r->table->contract->name);
        if (table == NULL) {
            return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_TABLE_UNKNOWN,
                              "table '%s' is not in version %s", r->table->contract->name,
                              now->version);
        }
        r->table = table;
    }
    return SF_OK;
}

/* Hands the body to ingest, or waits. */
static void store_body(struct ingest_stream *s)
{
    struct ingest_request request;
    char key[KEY_MAX];

    if (s->abandoned) {
        end_with(s, SF_OK);
        return;
    }
    if (ingest_is_full(s->in, s->body.size)) {
        wait_a_little(s);
        return;
    }
    s->code = renew_target(s->in, &s->request, &s->error);
    if (s->code != SF_OK) {
        s->state = ENDED;
        return;
    }
    request = s->request;
    if (s->key != NULL) {
        (void)snprintf(key, sizeof(key), "%s/%llu", s->key,
                       (unsigned long long)s->totals.batches + 1);
        request.idempotency_key = key;
    }
    request.first_line = s->body_line;
    request.body = s->body;
    s->body = (struct sf_buf){0};
    s->state = STORING;
    s->code = ingest_start(s->in, &request, on_stored, s, &s->error);
    if (s->code != SF_OK) {
        s->state = ENDED;
    }
}

static void take_body(struct ingest_stream *s)
{
    s->body_line = s->cutter.lines_before;
    s->code = cutter_take(&s->cutter, &s->body, &s->error);
    s->lingering = false;
    s->linger_over = false;
    sf_rt_timer_stop(s->in->rt, &s->linger);
    if (s->code != SF_OK) {
        s->state = ENDED;
        return;
    }
    store_body(s);
}

static bool has_input(const struct ingest_stream *s)
{
    return s->input.size > 0 || s->packed_used < s->packed.size || s->plain_used < s->plain.size;
}

static void tell_room(struct ingest_stream *s)
{
    if (s->room_wanted && !s->abandoned && s->input.size < STREAM_INPUT_MAX) {
        s->room_wanted = false;
        s->spec.on_room(s->spec.data);
    }
}

static void start_cutting(struct ingest_stream *s)
{
    if (s->packed_used == s->packed.size) {
        struct sf_buf empty = s->packed;

        sf_buf_clear(&empty);
        s->packed = s->input;
        s->packed_used = 0;
        s->input = empty;
    }
    s->is_last = s->finished && s->input.size == 0;
    s->state = CUTTING;
    sf_rt_work(s->in->rt, &s->work);
    tell_room(s);
}

/* Records wait for others, but not for ever. */
static void keep_lingering(struct ingest_stream *s)
{
    if (!s->lingering && s->key == NULL && cutter_has_body(&s->cutter)) {
        s->lingering = true;
        sf_rt_timer_start(s->in->rt, &s->linger, LINGER_NS);
    }
}

/* Input that found no memory is asked for again a little later: nothing else would do it. */
static void await_memory(struct ingest_stream *s)
{
    if (s->room_wanted && s->wait_over) {
        s->wait_over = false;
        tell_room(s);
    } else if (s->room_wanted) {
        sf_rt_timer_start(s->in->rt, &s->wait, BUSY_WAIT_NS);
    }
}

/* IDLE: what there is to do next. */
static void look_around(struct ingest_stream *s)
{
    const bool is_due = s->is_full || s->linger_over || s->is_done;

    if (!s->abandoned && is_due && cutter_has_body(&s->cutter)) {
        s->is_full = false;
        take_body(s);
    } else if (s->abandoned || s->is_done) {
        end_with(s, SF_OK);
    } else if (has_input(s) || s->finished) {
        start_cutting(s);
    } else {
        s->linger_over = false;
        keep_lingering(s);
        await_memory(s);
    }
}

static void tell_end(struct ingest_stream *s)
{
    if (!s->abandoned) {
        s->spec.on_end(s->spec.data, &s->totals, s->code == SF_OK ? NULL : &s->error);
    }
    stream_free(s);
}

static void stream_step(struct ingest_stream *s)
{
    switch (s->state) {
    case CUTTING:
    case STORING:
        return;
    case CUT:
        s->state = s->code == SF_OK ? IDLE : ENDED;
        keep_lingering(s);
        stream_step(s);
        return;
    case IDLE:
        look_around(s);
        break;
    case WAITING:
        if (s->wait_over || s->abandoned) {
            store_body(s);
        }
        break;
    case ENDED:
        tell_end(s);
        return;
    }
    if (s->state == ENDED) {
        step_soon(s);
    }
}

/* --- called by its owner ---------------------------------------------------------------------- */

static enum sf_code stream_init(struct ingest_stream *s, const struct ingest_request *r,
                                struct sf_error *err)
{
    const struct ingest *in = s->in;
    const uint64_t records = s->spec.batch_records;
    const bool is_own = records > 0 && records < in->batch_records;

    s->request = *r;
    s->request.caller = NULL;
    s->request.idempotency_key = NULL;
    s->cutter.format = r->format;
    s->cutter.limits =
        (struct cutter_limits){is_own ? records : in->batch_records, in->batch_bytes};
    s->work = (struct sf_work){.pool = SF_POOL_QUERY, .work = cut_work, .done.run = cut_done};
    s->turn.run = turn_run;
    s->wait.fire = wait_fire;
    s->linger.fire = linger_fire;
    if (r->idempotency_key != NULL) {
        s->key = sf_strdup(r->idempotency_key);
        s->caller = sf_strdup(r->caller == NULL ? "" : r->caller);
        s->request.caller = s->caller;
        if (s->key == NULL || s->caller == NULL) {
            return SF_RAISE(err, SF_NOMEM, "stream");
        }
    }
    return r->coding == SF_CODING_IDENTITY ? SF_OK : sf_inflater_new(r->coding, &s->inflater, err);
}

enum sf_code ingest_stream_new(struct ingest *in, const struct ingest_stream_spec *spec,
                               struct ingest_stream **ret, struct sf_error *err)
{
    struct ingest_stream *s;
    enum sf_code code;

    if (in->stream_count >= in->streams_max) {
        in->streams_refused++;
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "%zu streams are open", in->stream_count);
    }
    s = sf_calloc(1, sizeof(*s));
    if (s == NULL) {
        return SF_RAISE(err, SF_NOMEM, "stream");
    }
    in->stream_count++;
    sf_gauge_set(&in->streams, (int64_t)in->stream_count);
    in->pending++;
    s->in = in;
    s->spec = *spec;
    s->spec.request = NULL;
    code = stream_init(s, spec->request, err);
    if (code != SF_OK) {
        stream_free(s);
        return code;
    }
    s->request.coding = SF_CODING_IDENTITY; /* What is cut is plain. */
    *ret = s;
    return SF_OK;
}

size_t ingest_stream_feed(struct ingest_stream *s, struct sf_slice bytes)
{
    const size_t room = STREAM_INPUT_MAX - s->input.size;
    const size_t n = bytes.size < room ? bytes.size : room;

    sf_buf_append(&s->input, bytes.data, n);
    s->room_wanted = n < bytes.size;
    if (s->input.failed != SF_OK) {
        s->input.failed = SF_OK; /* What is in it is whole. */
        s->room_wanted = true;
        step_soon(s);
        return 0;
    }
    step_soon(s);
    return n;
}

void ingest_stream_finish(struct ingest_stream *s)
{
    s->finished = true;
    step_soon(s);
}

void ingest_stream_abandon(struct ingest_stream *s)
{
    s->abandoned = true;
    step_soon(s);
}
