/*
 *   LOG --> ROWS (state lanes) --> QUARANTINE --> LOG of the next lane ... --> SMALL --> DONE
 *    |        |                        |
 *    +--------+------ damage ----------+--> noted, and the next part
 */
#include "leaf/store/checker.h"

#include "common/base/alloc.h"
#include "leaf/store/read_log.h"
#include "leaf/store/store_internal.h"
#include "proto/errors.h"

enum check_part { CHECK_LOG, CHECK_ROWS, CHECK_QUARANTINE, CHECK_SMALL, CHECK_DONE };

/* Families without lanes, or with none that is walked above. */
static const enum kv_family rest[] = {KV_IDEM, KV_META, KV_OLD};

struct store_checker {
    struct store *store;
    struct store_snapshot *snapshot;
    enum check_part part;
    bool started; /* the part has its reader */

    size_t lane_at;
    const struct store_lane *lane;
    struct store_head head;  /* of the log */
    struct store_head shown; /* by the rows */
    struct store_anchor anchor;
    struct store_log *log;
    struct kv_iter *it;
    uint64_t qseq;
    uint64_t rows;
    bool log_whole; /* so that marks say something */
    size_t rest_at;
    /*
     * Behind the anchor every change is either the one before of exactly one other of its key, or
     * the newest of it: the marks of all (seq, key), less those of prev_seqs and of rows, add up to
     * 0.
     */
    uint64_t marks;

    struct sf_buf bytes; /* one version of a row */
    struct sf_buf texts;
    struct store_checker_progress progress;
};

static enum sf_code corrupt(const struct store_lane *lane, uint64_t seq, const char *what,
                            struct sf_error *err)
{
    char name[128];

    return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "%s, seq %llu: %s",
                      store_lane_text(lane, name, sizeof(name)), (unsigned long long)seq, what);
}

static uint64_t mark(uint64_t seq, struct sf_slice key)
{
    uint64_t x = seq * UINT64_C(0x9e3779b97f4a7c15); /* splitmix64, the key mixed in */
    uint64_t word;
    size_t i = 0;

    for (; i < key.size; i += sizeof(word)) {
        size_t n = key.size - i < sizeof(word) ? key.size - i : sizeof(word);

        word = n;
        memcpy(&word, key.data + i, n);
        x = (x ^ word) * UINT64_C(0xff51afd7ed558ccd);
        x ^= x >> 32;
    }
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static void end_part(struct store_checker *c)
{
    store_log_free(SF_TAKE(c->log));
    kv_iter_free(SF_TAKE(c->it));
    c->started = false;
}

/* --- the log of a lane --- */

static enum sf_code load_head(struct store_checker *c, struct sf_error *err)
{
    struct keyspace_key key = keyspace_meta_head(c->lane->id);
    struct kv *kv = c->store->kv;
    bool found = false;
    enum sf_code code =
        kv->ops->get(kv, c->snapshot->kv, KV_META, keyspace_view(&key), &c->bytes, &found, err);

    c->head = (struct store_head){0};
    if (code == SF_OK && found) {
        code = keyspace_head_decode(sf_buf_view(&c->bytes), &c->head, err);
    }
    return code == SF_OK ? store_snapshot_head(c->snapshot, c->lane, &c->shown, err) : code;
}

static enum sf_code start_log(struct store_checker *c, struct sf_error *err)
{
    struct log_range range = {.verify = true, .head = &c->head};
    enum sf_code code;

    c->lane = c->store->lanes[c->lane_at];
    c->progress.found.lanes++;
    c->marks = 0;
    c->log_whole = false;
    code = load_head(c, err);
    if (code == SF_OK && c->shown.seq > c->head.seq) {
        return corrupt(c->lane, c->shown.seq, "the rows are ahead of the log", err);
    }
    code = code == SF_OK ? store_anchor_of(c->snapshot, c->lane, &c->anchor, err) : code;
    range.first_seq = c->anchor.seq + 1;
    range.last_seq = c->head.seq;
    return code == SF_OK ? log_open(c->snapshot, c->lane, &range, &c->log, err) : code;
}

/* The row of before stands aside, because its own frame may be gone. */
static enum sf_code check_kept(struct store_checker *c, const struct store_log_entry *e,
                               struct sf_error *err)
{
    struct keyspace_key key = keyspace_lane_seq(c->lane->id, e->seq);
    struct kv *kv = c->store->kv;
    struct keyspace_state state;
    struct sf_slice row;
    bool found = false;
    enum sf_code code =
        kv->ops->get(kv, c->snapshot->kv, KV_OLD, keyspace_view(&key), &c->bytes, &found, err);

    if (code == SF_OK && found) {
        code = keyspace_state_decode(sf_buf_view(&c->bytes), &state, &row, err);
    }
    if (code == SF_OK && (!found || state.seq != e->prev_seq)) {
        code = corrupt(c->lane, e->seq, "the row it replaced was not kept", err);
    }
    return code;
}

static enum sf_code check_entry(struct store_checker *c, const struct store_log_entry *e,
                                struct sf_error *err)
{
    if (c->lane->name.kind == STORE_EVENT) {
        return e->prev_seq == 0 ? SF_OK : corrupt(c->lane, e->seq, "has a prev_seq", err);
    }
    if (e->prev_seq >= e->seq) {
        return corrupt(c->lane, e->seq, "prev_seq is not before it", err);
    }
    if (e->seq <= c->shown.seq) { /* Of what is behind that the rows know nothing yet. */
        c->marks += mark(e->seq, e->key);
        c->marks -= e->prev_seq <= c->anchor.seq ? 0 : mark(e->prev_seq, e->key);
    }
    return e->prev_seq > 0 && e->prev_seq <= c->anchor.seq ? check_kept(c, e, err) : SF_OK;
}

static enum sf_code step_log(struct store_checker *c, bool *more, struct sf_error *err)
{
    struct store_log_entry e;
    enum sf_code code = store_log_next(c->log, &e, more, err);

    if (code != SF_OK) {
        return code;
    }
    if (!*more) {
        c->progress.found.frames += log_frames(c->log);
        c->log_whole = true;
        return SF_OK;
    }
    c->progress.found.changes++;
    return check_entry(c, &e, err);
}

/* --- the rows of a lane --- */

static enum sf_code start_lane_iter(struct store_checker *c, enum kv_family family,
                                    struct sf_error *err)
{
    struct keyspace_key from = keyspace_lane(c->lane->id);
    struct keyspace_key to = keyspace_lane(c->lane->id + 1);
    struct kv_range range = {.from = keyspace_view(&from), .to = keyspace_view(&to)};
    struct kv *kv = c->store->kv;
    enum sf_code code = kv->ops->iter_new(kv, c->snapshot->kv, family, &range, &c->it, err);

    c->rows = 0;
    c->qseq = 0;
    if (code == SF_OK) {
        c->it->ops->first(c->it);
    }
    return code;
}

/* One entry of the state against the change that wrote it. */
static enum sf_code check_row(struct store_checker *c, struct sf_slice key, struct sf_slice value,
                              struct sf_error *err)
{
    struct keyspace_state state;
    struct sf_slice row;
    struct store_log_entry e;
    enum sf_code code = keyspace_state_decode(value, &state, &row, err);

    if (code != SF_OK) {
        return code;
    }
    if (state.seq == 0 || state.seq > c->shown.seq) {
        return corrupt(c->lane, state.seq, "a row is ahead of the log", err);
    }
    if (state.seq <= c->anchor.seq) { /* Its frame was trimmed: it is itself the truth. */
        c->rows += state.op == STORE_UPSERT ? 1 : 0;
        return SF_OK;
    }
    code = store_read_version(c->snapshot, c->lane, key, state.seq, &c->bytes, &e, err);
    if (code != SF_OK) {
        return code;
    }
    if (e.op != state.op || e.contract_id != state.contract_id || !sf_slice_equal(e.row, row)) {
        return corrupt(c->lane, state.seq, "the row differs from the log", err);
    }
    c->marks -= mark(state.seq, key);
    c->rows += state.op == STORE_UPSERT ? 1 : 0;
    return SF_OK;
}

static enum sf_code step_rows(struct store_checker *c, bool *more, struct sf_error *err)
{
    struct sf_slice key;
    enum sf_code code;

    *more = c->it->ops->valid(c->it);
    if (!*more) {
        code = c->it->ops->check(c->it, err);
        c->progress.found.rows += c->rows;
        if (code == SF_OK && ((c->log_whole && c->marks != 0) || c->rows != c->shown.rows)) {
            return corrupt(c->lane, c->shown.seq, "the rows are not those of the log", err);
        }
        return code;
    }
    key = c->it->ops->key(c->it);
    if (key.size <= 4) {
        return corrupt(c->lane, 0, "key is damaged", err);
    }
    code = check_row(c, sf_slice_of(key.data + 4, key.size - 4), c->it->ops->value(c->it), err);
    c->it->ops->next(c->it);
    return code;
}

/* --- its quarantine --- */

static enum sf_code step_quarantine(struct store_checker *c, bool *more, struct sf_error *err)
{
    struct store_quarantined q;
    struct sf_slice key;
    uint64_t qseq;
    enum sf_code code;

    *more = c->it->ops->valid(c->it);
    if (!*more) {
        return c->it->ops->check(c->it, err);
    }
    key = c->it->ops->key(c->it);
    qseq = key.size == 12 ? sf_read_be64(key.data + 4) : 0;
    if (qseq <= c->qseq || qseq > c->head.quarantined) {
        return corrupt(c->lane, qseq, "a quarantine entry has a wrong number", err);
    }
    code = keyspace_reject_decode(c->it->ops->value(c->it), &q, err);
    c->qseq = qseq;
    c->progress.found.quarantined++;
    c->it->ops->next(c->it);
    return code;
}

/* --- what is left --- */

static enum sf_code start_small(struct store_checker *c, struct sf_error *err)
{
    const struct kv_range all = {0};
    struct kv *kv = c->store->kv;
    enum sf_code code = kv->ops->iter_new(kv, c->snapshot->kv, rest[c->rest_at], &all, &c->it, err);

    if (code == SF_OK) {
        c->it->ops->first(c->it);
    }
    return code;
}

static enum sf_code step_small(struct store_checker *c, bool *more, struct sf_error *err)
{
    *more = c->it->ops->valid(c->it);
    if (!*more) {
        return c->it->ops->check(c->it, err);
    }
    c->progress.found.small++;
    c->it->ops->next(c->it);
    return SF_OK;
}

/* --- the whole --- */

static enum sf_code start_part(struct store_checker *c, struct sf_error *err)
{
    c->started = true;
    switch (c->part) {
    case CHECK_LOG:
        return start_log(c, err);
    case CHECK_ROWS:
        return start_lane_iter(c, KV_STATE, err);
    case CHECK_QUARANTINE:
        return start_lane_iter(c, KV_QUARANTINE, err);
    case CHECK_SMALL:
        return start_small(c, err);
    case CHECK_DONE:
        return SF_OK;
    }
    return SF_OK;
}

static enum sf_code step_part(struct store_checker *c, bool *more, struct sf_error *err)
{
    switch (c->part) {
    case CHECK_LOG:
        return step_log(c, more, err);
    case CHECK_ROWS:
        return step_rows(c, more, err);
    case CHECK_QUARANTINE:
        return step_quarantine(c, more, err);
    case CHECK_SMALL:
        return step_small(c, more, err);
    case CHECK_DONE:
        break;
    }
    *more = false;
    return SF_OK;
}

static enum check_part lane_or_rest(const struct store_checker *c)
{
    return c->lane_at < c->store->lane_count ? CHECK_LOG : CHECK_SMALL;
}

static enum check_part next_part(struct store_checker *c)
{
    switch (c->part) {
    case CHECK_LOG:
        if (c->lane->name.kind == STORE_STATE) {
            return CHECK_ROWS;
        }
        return CHECK_QUARANTINE;
    case CHECK_ROWS:
        return CHECK_QUARANTINE;
    case CHECK_QUARANTINE:
        c->lane_at++;
        return lane_or_rest(c);
    case CHECK_SMALL:
        c->rest_at++;
        return c->rest_at < SF_COUNT(rest) ? CHECK_SMALL : CHECK_DONE;
    case CHECK_DONE:
        break;
    }
    return CHECK_DONE;
}

static void note_damage(struct store_checker *c, const struct sf_error *err)
{
    if (c->progress.damages == 0) {
        c->progress.first = *err;
    }
    c->progress.damages++;
    if (c->progress.damages <= CHECK_DAMAGES_MAX) {
        sf_buf_text(&c->texts, err->text);
        sf_buf_byte(&c->texts, '\n');
    }
}

enum sf_code store_checker_step(struct store_checker *c, size_t items, bool *done,
                                struct sf_error *err)
{
    struct sf_error found = {0};
    enum sf_code code = SF_OK;

    while (items-- > 0 && c->part != CHECK_DONE) {
        bool more = true;

        code = c->started ? SF_OK : start_part(c, &found);
        code = code == SF_OK ? step_part(c, &more, &found) : code;
        if (code == SF_CORRUPT) {
            note_damage(c, &found);
            more = false;
        } else if (code != SF_OK) {
            if (err != NULL) {
                *err = found;
            }
            return code;
        }
        c->progress.done++;
        if (!more) {
            end_part(c);
            c->part = next_part(c);
        }
    }
    *done = c->part == CHECK_DONE;
    return sf_buf_check(&c->texts, "report", err);
}

struct store_checker_progress store_checker_progress(const struct store_checker *c)
{
    struct store_checker_progress p = c->progress;

    p.texts = sf_buf_view(&c->texts);
    return p;
}

void store_checker_free(struct store_checker *c)
{
    if (c != NULL) {
        end_part(c);
        store_snapshot_free(c->snapshot);
        sf_buf_done(&c->bytes);
        sf_buf_done(&c->texts);
        sf_free(c);
    }
}

/* What it will come to, for those who wait. */
static enum sf_code add_up(struct store_checker *c, struct sf_error *err)
{
    struct store_head shown;
    enum sf_code code = SF_OK;

    for (size_t i = 0; code == SF_OK && i < c->store->lane_count; i++) {
        code = store_snapshot_head(c->snapshot, c->store->lanes[i], &shown, err);
        c->progress.total += shown.seq;
        c->progress.total += c->store->lanes[i]->name.kind == STORE_STATE ? shown.rows : 0;
    }
    return code == SF_CORRUPT ? SF_OK : code; /* Found again by its part. */
}

enum sf_code store_checker_new(struct store *s, struct store_checker **ret, struct sf_error *err)
{
    SF_CLEANUP(store_checker_freep) struct store_checker *c = sf_calloc(1, sizeof(*c));
    enum sf_code code;

    if (c == NULL) {
        return SF_RAISE(err, SF_NOMEM, "check");
    }
    c->store = s;
    code = store_snapshot_new(s, &c->snapshot, err);
    code = code == SF_OK ? add_up(c, err) : code;
    if (code != SF_OK) {
        return code;
    }
    c->part = lane_or_rest(c);
    *ret = SF_TAKE(c);
    return SF_OK;
}

enum sf_code store_check(struct store *s, struct store_check_result *ret, struct sf_error *err)
{
    SF_CLEANUP(store_checker_freep) struct store_checker *c = NULL;
    bool done = false;
    enum sf_code code = store_checker_new(s, &c, err);

    while (code == SF_OK && !done) {
        code = store_checker_step(c, SIZE_MAX, &done, err);
    }
    if (code == SF_OK && c->progress.damages > 0) {
        if (err != NULL) {
            *err = c->progress.first;
        }
        return SF_CORRUPT;
    }
    if (code == SF_OK) {
        *ret = c->progress.found;
    }
    return code;
}
