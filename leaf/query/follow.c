#include "leaf/query/follow.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/arena.h"
#include "common/base/assert.h"
#include "leaf/query/params.h"
#include "proto/errors.h"

/*
 *              something to read               page given to the reader: it waits
 *   IDLE -----------------------> READING --------------------------------------> PAUSED
 *    ^  \                          |   ^                                          |  |
 *    |   +-- heartbeat: it waits --|---|------------------------------------------+  |
 *    +------- all is told ---------+   +------------------- resumed -----------------+
 *
 *   Any state -- close, dropped, end --> freed
 *
 * step() decides what there is to read, when no query is open.
 */
enum follow_state { FOLLOW_IDLE, FOLLOW_READING, FOLLOW_PAUSED };

#define RETRY_NS (250 * SF_NS_PER_MS)

struct follow {
    struct follows *owner;
    struct follow_spec spec; /* texts in the arena */
    struct sf_arena arena;
    const struct store_lane *lane;
    const struct sf_product *product;
    const char *consumer; /* "": the owner */
    follow_cb cb;
    void *data;

    enum follow_state state;
    struct query *query;     /* open, also while PAUSED within it */
    bool page_is_last;       /* of the query that waits for the reader */
    bool wants_snapshot;     /* one is to be given, or is being given */
    bool snapshot_announced; /* this one */
    bool wants_since;        /* the first changes are those from spec.since on */
    bool epoch_told; /* @epoch is an older one, and the query decides whether @at still stands */
    struct served_roles roles; /* of who follows, for as long as it does */
    bool in_callback;
    bool looks_again; /* products, grants or policies have changed since the last step */
    bool busy;        /* no room for a query: the timer tries again */
    const struct served_table *seen_table; /* of the last request */
    char seen[SERVING_VIEW_NAME];          /* its view */
    uint32_t epoch;
    uint64_t at; /* last seq told */
    uint64_t count;
    struct sf_timer timer;    /* IDLE: heartbeat, or try again; PAUSED: the reader is too slow */
    struct sf_timer deadline; /* @spec.seconds */
    struct sf_list link;
};

struct follows {
    struct queries *qs;
    struct store_listener listener;
    struct sf_list all;
    size_t max;
    uint64_t refused;
};

static void step(struct follow *f);

static const struct queries_options *options_of(const struct follow *f)
{
    return queries_get_options(f->owner->qs);
}

/* --- ending ----------------------------------------------------------------------------------- */

void follow_close(struct follow *f)
{
    struct sf_rt *rt = options_of(f)->rt;

    sf_assert(!f->in_callback);
    sf_rt_timer_stop(rt, &f->timer);
    sf_rt_timer_stop(rt, &f->deadline);
    if (f->query != NULL) {
        query_close(f->query);
    }
    sf_list_remove(&f->link);
    sf_arena_done(&f->arena);
    sf_free(f);
}

/* @why NULL: as it should. */
static void end(struct follow *f, const struct sf_error *why)
{
    const struct follow_event e = {
        .kind = FOLLOW_END, .epoch = f->epoch, .seq = f->at, .count = f->count, .err = why};

    f->in_callback = true;
    (void)f->cb(f->data, &e);
    f->in_callback = false;
    follow_close(f);
}

/* --- telling ---------------------------------------------------------------------------------- */

/* Whether to go on at once; after FOLLOW_DROP the follow is gone, and after FOLLOW_WAIT it pauses.
 */
static bool tell(struct follow *f, struct follow_event e)
{
    struct sf_rt *rt = options_of(f)->rt;
    enum follow_reply reply;

    e.count = f->count;
    f->in_callback = true;
    reply = f->cb(f->data, &e);
    f->in_callback = false;
    switch (reply) {
    case FOLLOW_GO:
        return true;
    case FOLLOW_WAIT:
        f->state = FOLLOW_PAUSED;
        sf_rt_timer_start(rt, &f->timer, FOLLOW_STALL_NS);
        return false;
    case FOLLOW_DROP:
        follow_close(f);
        return false;
    }
    return false;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Whether it may still be followed; a version may also leave a table out (compatibility: none). */
static enum sf_code decide(const struct follow *f, struct serving_right *right,
                           struct sf_error *err)
{
    enum sf_code code = serving_decide(options_of(f)->serving, &f->spec.caller, f->spec.product,
                                       f->spec.major, right, err);

    if (code == SF_OK && served_product_table(right->product, f->spec.table) == NULL) {
        return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_TABLE_UNKNOWN, "product %s/%s: table %s",
                          right->product->contract->domain, f->spec.product, f->spec.table);
    }
    return code;
}

/* The query has given its last page, and the reader has it, which may have taken long. */
static void query_is_over(struct follow *f)
{
    struct serving_right right;
    struct sf_error err;

    query_close(SF_TAKE(f->query));
    f->state = FOLLOW_IDLE;
    if (f->wants_snapshot) {
        if (decide(f, &right, &err) != SF_OK) {
            end(f, &err);
            return;
        }
        f->wants_snapshot = false;
        if (!tell(f, (struct follow_event){.kind = FOLLOW_POSITION,
                                           .epoch = f->epoch,
                                           .seq = f->at,
                                           .head_seq = f->at})) {
            return;
        }
    }
    step(f);
}

static void go_on_with_query(struct follow *f)
{
    if (f->page_is_last) {
        query_is_over(f);
        return;
    }
    f->state = FOLLOW_READING;
    query_next(f->query);
}

static bool is_gone(const struct follow *f, const struct sf_error *why)
{
    return why->number == SHEAF_E_POSITION_GONE && !f->wants_snapshot;
}

/* Its position is no longer held, or it is of another view: who wants a snapshot gets one. */
static void begin_anew(struct follow *f)
{
    f->at = 0;
    f->wants_since = false;
    f->epoch_told = false;
    f->wants_snapshot = true;
    f->snapshot_announced = false;
    f->state = FOLLOW_IDLE;
    step(f);
}

static void on_page(void *data, const struct query_page *page, const struct sf_error *err)
{
    struct follow *f = data;

    if (err != NULL) {
        const struct sf_error why = *err; /* it is the query's */

        query_close(SF_TAKE(f->query));
        if (why.code == SF_BUSY && !f->wants_snapshot) { /* It sees other things: step() knows. */
            f->state = FOLLOW_IDLE;
            step(f);
        } else if (f->spec.snapshot && (why.code == SF_BUSY || is_gone(f, &why))) {
            begin_anew(f);
        } else {
            end(f, &why);
        }
        return;
    }
    f->page_is_last = page->is_last;
    f->count += page->rows;
    f->epoch = page->epoch;
    if (!f->wants_snapshot || page->is_last) {
        f->at = page->last_seq;
    }
    if (f->wants_since && page->rows == 0) { /* nothing since then */
        f->at = page->head_seq;
    }
    f->wants_since = false;
    f->epoch_told = false;
    if (page->rows > 0 &&
        !tell(f, (struct follow_event){.kind = f->wants_snapshot ? FOLLOW_ROWS : FOLLOW_CHANGES,
                                       .lines = page->data,
                                       .epoch = page->epoch,
                                       .first_seq = page->first_seq,
                                       .seq = f->wants_snapshot ? 0 : page->last_seq,
                                       .head_seq = page->head_seq})) {
        return;
    }
    go_on_with_query(f);
}

static enum sf_code build(const struct follow *f, const struct serving_right *right,
                          struct query_request *ret, struct sf_error *err)
{
    char after[48];
    const struct query_params p = {
        .table = f->spec.table,
        .select = f->spec.select,
        .after = f->wants_snapshot || f->wants_since ? NULL : after,
        .since = f->wants_since ? f->spec.since : NULL,
    };
    enum sf_code code;

    (void)snprintf(after, sizeof(after), "%u:%llu", f->epoch, (unsigned long long)f->at);
    code = query_request_build(&p, f->wants_snapshot ? QUERY_SCAN : QUERY_CHANGES, right,
                               options_of(f)->seal_key, ret, err);
    if (code == SF_OK) {
        ret->marked = f->wants_snapshot;
    }
    return code;
}

static void wait_for(struct follow *f, uint64_t ns)
{
    f->state = FOLLOW_IDLE;
    sf_rt_timer_start(options_of(f)->rt, &f->timer, ns);
}

/*
 * Whether what is seen of the table has changed, other than by a newer version of it, since the
 * last request. What the reader has of it may hold rows that it sees no more.
 */
static bool sees_otherwise(struct follow *f, const struct query_request *request)
{
    const bool other = f->seen_table == request->table &&
                       memcmp(f->seen, request->view_name, sizeof(f->seen)) != 0;

    f->seen_table = request->table;
    memcpy(f->seen, request->view_name, sizeof(f->seen));
    return other;
}

/* Whether the copy that the reader has is still of what it may see; else the follow has begun anew,
 * or ended. */
static bool sees_the_same(struct follow *f, const struct serving_right *right)
{
    struct query_request request;
    struct sf_error err;
    bool other;

    if (!f->looks_again || !f->spec.snapshot || f->wants_snapshot) {
        return true;
    }
    f->looks_again = false;
    if (build(f, right, &request, &err) != SF_OK) {
        end(f, &err);
        return false;
    }
    other = sees_otherwise(f, &request);
    query_request_done(&request);
    if (other) {
        begin_anew(f);
    }
    return !other;
}

static void read_on(struct follow *f, const struct serving_right *right)
{
    struct query_request request;
    struct sf_error err;
    enum sf_code code = build(f, right, &request, &err);

    if (code == SF_OK && sees_otherwise(f, &request) && f->spec.snapshot && !f->wants_snapshot) {
        query_request_done(&request);
        begin_anew(f);
        return;
    }
    if (code == SF_OK) {
        code = query_start(f->owner->qs, &request, on_page, f, &f->query, &err);
    }
    f->busy = code == SF_BUSY;
    if (f->busy) {
        wait_for(f, RETRY_NS);
    } else if (code != SF_OK) {
        end(f, &err);
    } else {
        sf_rt_timer_stop(options_of(f)->rt, &f->timer);
        f->state = FOLLOW_READING;
    }
}

/*
 * The table was restored or taken over: behind what both epochs have in common its seqs mean
 * something else. Who wants a snapshot gets a new one; for the others the query knows whether their
 * position is still one (E0308 when not).
 */
static void change_epoch(struct follow *f, const struct store_head *head)
{
    const uint64_t at = f->at;

    if (f->spec.snapshot) {
        f->epoch = head->epoch;
        f->at = 0;
        f->wants_snapshot = true;
        f->snapshot_announced = false;
    } else {
        f->epoch_told = true;
    }
    if (tell(f,
             (struct follow_event){
                 .kind = FOLLOW_EPOCH, .epoch = head->epoch, .seq = at, .head_seq = head->seq})) {
        step(f);
    }
}

/* What comes next, when no query is open and the reader does not wait. */
static void step(struct follow *f)
{
    const struct store_head *head = store_lane_head(f->lane);
    struct serving_right right;
    struct sf_error err;

    if (decide(f, &right, &err) != SF_OK) {
        end(f, &err);
        return;
    }
    if (f->at != 0 && f->epoch != head->epoch && !f->epoch_told) {
        change_epoch(f, head);
        return;
    }
    if (!f->epoch_told) {
        f->epoch = head->epoch;
    }
    if (!sees_the_same(f, &right)) {
        return;
    }
    if (f->wants_snapshot && !f->snapshot_announced) {
        f->snapshot_announced = true;
        if (!tell(f, (struct follow_event){
                         .kind = FOLLOW_SNAPSHOT, .epoch = head->epoch, .head_seq = head->seq})) {
            return;
        }
    }
    if (f->wants_snapshot || f->wants_since || f->epoch_told || head->seq > f->at) {
        read_on(f, &right);
    } else if (!f->spec.live) {
        end(f, NULL);
    } else if (!sf_list_linked(&f->timer.link)) { /* The next heartbeat is not put off. */
        wait_for(f, FOLLOW_HEARTBEAT_NS);
    }
}

/* --- what moves it ---------------------------------------------------------------------------- */

const struct sf_product *follow_product(const struct follow *f)
{
    return f->product;
}

void follow_resume(struct follow *f)
{
    sf_assert(f->state == FOLLOW_PAUSED && !f->in_callback);
    sf_rt_timer_stop(options_of(f)->rt, &f->timer);
    f->state = FOLLOW_IDLE;
    if (f->query != NULL) {
        go_on_with_query(f);
    } else {
        step(f);
    }
}

static void timer_fire(struct sf_timer *timer)
{
    struct follow *f = SF_CONTAINER_OF(timer, struct follow, timer);
    struct sf_error err;

    if (f->state == FOLLOW_PAUSED) {
        (void)SF_RAISE_E(&err, SF_BUSY, SHEAF_E_TOO_SLOW, "nothing was taken for %d s",
                         (int)(FOLLOW_STALL_NS / SF_NS_PER_S));
        f->owner->refused++;
        end(f, &err);
        return;
    }
    if (f->busy) {
        f->busy = false;
        step(f);
        return;
    }
    if (!tell(f,
              (struct follow_event){
                  .kind = FOLLOW_HEARTBEAT, .epoch = f->epoch, .seq = f->at, .head_seq = f->at})) {
        return;
    }
    step(f);
}

static void deadline_fire(struct sf_timer *timer)
{
    struct follow *f = SF_CONTAINER_OF(timer, struct follow, deadline);

    if (f->wants_snapshot) { /* without its end it is worth nothing */
        sf_rt_timer_start(options_of(f)->rt, timer, SF_NS_PER_S);
        return;
    }
    end(f, NULL);
}

static void on_changes(struct store_listener *l, struct store_lane *lane)
{
    struct follows *fs = SF_CONTAINER_OF(l, struct follows, listener);

    for (struct sf_list *at = fs->all.next, *next; at != &fs->all; at = next) {
        struct follow *f = SF_CONTAINER_OF(at, struct follow, link);

        next = at->next;
        if (f->state == FOLLOW_IDLE && !f->busy && f->lane == lane) {
            step(f);
        }
    }
}

void follows_set_max(struct follows *fs, size_t max)
{
    fs->max = max == 0 ? FOLLOWS_MAX : max;
}

size_t follows_count(const struct follows *fs)
{
    size_t n = 0;

    for (const struct sf_list *at = fs->all.next; at != &fs->all; at = at->next) {
        n++;
    }
    return n;
}

uint64_t follows_refused(const struct follows *fs)
{
    return fs->refused;
}

void follows_check(struct follows *fs)
{
    for (struct sf_list *at = fs->all.next, *next; at != &fs->all; at = next) {
        struct follow *f = SF_CONTAINER_OF(at, struct follow, link);
        struct serving_right right;
        struct sf_error err;

        next = at->next;
        f->looks_again = true;
        if (f->state == FOLLOW_IDLE && !f->busy) {
            step(f);
        } else if (decide(f, &right, &err) != SF_OK) {
            end(f, &err);
        }
    }
}

/* --- starting --------------------------------------------------------------------------------- */

static enum sf_code check_room(struct follows *fs, const char *consumer, struct sf_error *err)
{
    size_t all = 0;
    size_t of_others = 0;
    size_t of_this = 0;

    for (struct sf_list *at = fs->all.next; at != &fs->all; at = at->next) {
        const struct follow *f = SF_CONTAINER_OF(at, struct follow, link);

        all++;
        of_others += *f->consumer != '\0';
        of_this += strcmp(f->consumer, consumer) == 0;
    }
    if (all >= fs->max) {
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "%zu follow already", all);
    }
    if (*consumer == '\0') {
        return SF_OK;
    }
    if (of_this >= fs->max / FOLLOWS_CONSUMER_PART) {
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "%zu of %s follow already", of_this,
                          consumer);
    }
    if (of_others >= fs->max / 4 * 3) {
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "%zu of other domains follow already",
                          of_others);
    }
    return SF_OK;
}

/* @text, also NULL, in the arena of @f. */
static const char *copy(struct follow *f, const char *text, bool *lost)
{
    const char *c = text == NULL ? NULL : sf_arena_strdup(&f->arena, text);

    *lost |= text != NULL && c == NULL;
    return c;
}

static enum sf_code copy_spec(struct follow *f, const struct follow_spec *spec,
                              const struct serving_right *right, const char *table,
                              struct sf_error *err)
{
    bool lost = false;

    f->spec = *spec;
    f->spec.caller.account = copy(f, spec->caller.account, &lost);
    f->spec.caller.assertion = NULL; /* which will have expired */
    f->roles = right->roles;
    f->spec.caller.roles = &f->roles;
    f->spec.product = copy(f, spec->product, &lost);
    f->spec.table =
        copy(f, table, &lost); /* by its name: one that was the only one may not stay so */
    f->spec.select = copy(f, spec->select, &lost);
    f->spec.since = copy(f, spec->since, &lost);
    f->spec.after = NULL;
    f->spec.major = right->product->contract->version.major;
    f->consumer = copy(f, right->grant == NULL ? "" : right->grant->consumer, &lost);
    return lost ? SF_RAISE(err, SF_NOMEM, "request") : SF_OK;
}

/* Where to begin, once the request proved to be one. */
static enum sf_code place(struct follow *f, const struct query_request *request,
                          struct sf_error *err)
{
    const struct store_head *head = store_lane_head(f->lane);
    const bool is_here = !request->has_after || request->after_epoch == head->epoch;

    f->wants_since = f->spec.since != NULL;
    f->wants_snapshot = f->spec.snapshot && !request->has_after && !f->wants_since;
    f->epoch = request->has_after ? request->after_epoch : head->epoch;
    f->at = request->after_seq;
    if (is_here && f->at > head->seq) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_POSITION_GONE,
                          "position %u:%llu, the table is at %u:%llu", f->epoch,
                          (unsigned long long)f->at, head->epoch, (unsigned long long)head->seq);
    }
    return SF_OK;
}

/* A live one keeps the roles it began with, so it ends with what asserts them; who follows it goes
 * on with a new assertion. */
static void end_with_roles(struct follow_spec *spec, const struct serving *serving,
                           const struct serving_right *right)
{
    const int64_t left_s = right->roles_until_s - serving_now_us(serving) / SF_US_PER_S;

    if (spec->live && right->roles_until_s != INT64_MAX &&
        (spec->seconds == 0 || (int64_t)spec->seconds > left_s)) {
        spec->seconds = left_s > 0 ? (uint64_t)left_s : 1;
    }
}

/* The request is built once for the errors in it, before anything is answered. */
static enum sf_code prepare(struct follow *f, const struct follow_spec *spec, struct sf_error *err)
{
    const struct queries_options *o = options_of(f);
    const struct query_params p = {
        .table = spec->table,
        .select = spec->select,
        .after = spec->after,
        .since = spec->since,
    };
    struct serving_right right;
    struct query_request request;
    enum sf_code code =
        serving_decide(o->serving, &spec->caller, spec->product, spec->major, &right, err);

    if (code == SF_OK) {
        code = query_request_build(&p, QUERY_CHANGES, &right, o->seal_key, &request, err);
    }
    if (code != SF_OK) {
        return code;
    }
    f->lane = request.table->lane;
    f->product = right.product->contract;
    code = copy_spec(f, spec, &right, request.table->contract->name, err);
    if (code == SF_OK) {
        code = check_room(f->owner, f->consumer, err);
        f->owner->refused += code != SF_OK;
    }
    end_with_roles(&f->spec, o->serving, &right);
    if (code == SF_OK) {
        code = place(f, &request, err);
    }
    (void)sees_otherwise(f, &request); /* It is what the reader sees from here on. */
    query_request_done(&request);
    return code;
}

enum sf_code follow_start(struct queries *qs, const struct follow_spec *spec, follow_cb cb,
                          void *data, struct follow **ret, struct sf_error *err)
{
    struct follow *f = sf_calloc(1, sizeof(*f));
    enum sf_code code;

    if (f == NULL) {
        return SF_RAISE(err, SF_NOMEM, "request");
    }
    f->owner = queries_follows(qs);
    f->cb = cb;
    f->data = data;
    f->timer.fire = timer_fire;
    f->deadline.fire = deadline_fire;
    sf_arena_init(&f->arena, 0);
    code = prepare(f, spec, err);
    if (code != SF_OK) {
        sf_arena_done(&f->arena);
        sf_free(f);
        return code;
    }
    sf_list_push(&f->owner->all, &f->link);
    f->busy = true; /* the first step comes by the timer, on a later turn */
    wait_for(f, 0);
    if (f->spec.seconds != 0) {
        sf_rt_timer_start(options_of(f)->rt, &f->deadline, f->spec.seconds * SF_NS_PER_S);
    }
    *ret = f;
    return SF_OK;
}

enum sf_code follows_new(struct queries *qs, struct follows **ret, struct sf_error *err)
{
    struct follows *fs = sf_calloc(1, sizeof(*fs));

    if (fs == NULL) {
        return SF_RAISE(err, SF_NOMEM, "requests");
    }
    fs->qs = qs;
    fs->max = FOLLOWS_MAX;
    fs->listener.on_changes = on_changes;
    sf_list_init(&fs->all);
    store_listen(queries_get_options(qs)->store, &fs->listener);
    *ret = fs;
    return SF_OK;
}

void follows_free(struct follows *fs)
{
    if (fs != NULL) {
        sf_assert(sf_list_empty(&fs->all));
        store_unlisten(queries_get_options(fs->qs)->store, &fs->listener);
        sf_free(fs);
    }
}
