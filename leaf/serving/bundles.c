#include "leaf/serving/bundles.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/sys/log.h"
#include "leaf/store/read.h"

/*
 * meta: version of the newest bundle ever taken (8 bytes), epoch of the store it came in (4 bytes),
 * then the bundle; and under the other key the bundle whose policies are in force with it, if its
 * own are older.
 */
static const struct sf_slice bundle_key = {(const uint8_t *)"bundle", 6};
static const struct sf_slice policies_key = {(const uint8_t *)"policies", 8};

enum { RECORD_HEADER = 12, PUTS_BESIDE = 2 };

void bundles_init(struct bundles *b)
{
    *b = (struct bundles){0};
    ended_init(&b->ended);
    sf_arena_init(&b->arena, 0);
}

void bundles_done(struct bundles *b)
{
    grant_set_unref(b->last);
    ended_done(&b->ended);
    sf_buf_done(&b->record);
    sf_buf_done(&b->policies);
    sf_arena_done(&b->arena);
}

static struct sf_slice bundle_in(const struct sf_buf *record)
{
    return sf_slice_of(record->data + RECORD_HEADER, record->size - RECORD_HEADER);
}

/* --- loading ---------------------------------------------------------------------------------- */

static enum sf_code load_ended(struct bundles *b, const struct store_snapshot *snapshot,
                               struct sf_error *err)
{
    SF_CLEANUP(store_small_freep) struct store_small *it = NULL;
    struct sf_slice key;
    struct sf_slice value;
    bool more = true;
    enum sf_code code = store_small_new(snapshot, STORE_META, sf_slice_text(ENDED_FLOOR), &it, err);

    while (code == SF_OK) {
        code = store_small_next(it, &key, &value, NULL, &more, err);
        if (code != SF_OK || !more) {
            break;
        }
        code = ended_read(&b->ended, key, value, err);
    }
    ended_loaded(&b->ended);
    return code;
}

/* What it says, whenever it ends; NULL when it says nothing to this leaf any more. */
static enum sf_code open_stored(struct bundles *b, struct sf_slice bytes,
                                const struct grant_trust *trust, struct grant_set **ret,
                                struct sf_error *err)
{
    struct grant_trust any = *trust;
    enum sf_code code;

    any.now_us = INT64_MIN;
    any.version_min = 0;
    any.ended = &b->ended;
    any.last = NULL;
    any.taken_before = true;
    code = grant_set_open(bytes, &any, ret, err);
    if (code != SF_OK && code != SF_NOMEM) {
        sf_log(SF_LOG_WARN, "leaf.bundle_not_in_force", SF_F_ERROR(err));
        code = SF_OK;
    }
    return code;
}

/* Those of the older bundle, which the newest has no more. */
static enum sf_code load_policies(struct bundles *b, const struct grant_trust *trust,
                                  struct sf_error *err)
{
    SF_CLEANUP(grant_set_unrefp) struct grant_set *newer = NULL;
    enum sf_code code = SF_OK;

    if (b->policies.size > 0) {
        code = open_stored(b, sf_buf_view(&b->policies), trust, &newer, err);
    }
    if (newer != NULL && b->last != NULL) {
        grant_set_keep_policies(b->last, newer);
    }
    return code;
}

static enum sf_code read_stored(struct bundles *b, int64_t *ret_stored_us, struct sf_error *err)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    bool found;
    enum sf_code code = store_snapshot_new(b->store, &snapshot, err);

    if (code == SF_OK) {
        code = load_ended(b, snapshot, err);
    }
    if (code == SF_OK) {
        code = store_small_get(snapshot, STORE_META, policies_key, &b->policies, NULL, &found, err);
    }
    if (code == SF_OK) {
        code = store_small_get(snapshot, STORE_META, bundle_key, &b->record, ret_stored_us, &found,
                               err);
    }
    return code;
}

static enum sf_code put_in_force(struct bundles *b, struct sf_error *err)
{
    const int64_t now_us = serving_now_us(b->serving);
    enum sf_code code = grant_set_mark(b->last, &b->ended, err);

    if (code != SF_OK) {
        return code;
    }
    if (b->last->expires_us <= now_us) {
        sf_log(SF_LOG_WARN, "leaf.bundle_not_in_force", SF_F_TEXT("why", "it has expired"));
        return SF_OK;
    }
    serving_take_grants(b->serving, grant_set_ref(b->last));
    return SF_OK;
}

enum sf_code bundles_load(struct bundles *b, const struct grant_trust *trust, int64_t known_us,
                          struct sf_error *err)
{
    int64_t stored_us = 0;
    enum sf_code code = read_stored(b, &stored_us, err);

    if (code != SF_OK || b->record.size < RECORD_HEADER) {
        return code;
    }
    b->version = b->version_stored = sf_read_be64(b->record.data);
    code = open_stored(b, bundle_in(&b->record), trust, &b->last, err);
    if (code == SF_OK) {
        code = load_policies(b, trust, err);
    }
    if (code != SF_OK || b->last == NULL) {
        return code;
    }
    if (sf_read_be32(b->record.data + 8) != store_epoch(b->store)) {
        sf_log(SF_LOG_WARN, "leaf.bundle_of_before",
               SF_F_TEXT("why", "the store has been restored: others are served again once the "
                                "hub has answered"));
        return SF_OK;
    }
    serving_know_time(b->serving, known_us > stored_us ? known_us : stored_us);
    return put_in_force(b, err);
}

/* --- storing ---------------------------------------------------------------------------------- */

static void on_written(struct store_write *w, const struct sf_error *err)
{
    struct bundles *b = w->data;

    b->storing = false;
    if (err != NULL) {
        sf_log(SF_LOG_WARN, "leaf.bundle_not_stored", SF_F_ERROR(err));
    } else {
        b->version_stored = b->version;
        ended_stored(&b->ended);
    }
    if (b->on_stored != NULL) {
        b->on_stored(b->data);
    }
}

/* The bundle, the one whose policies count, and what has ended. */
static enum sf_code make_write(struct bundles *b, struct sf_error *err)
{
    struct store_put *ended;
    struct store_put *puts;
    size_t count;
    enum sf_code code;

    sf_arena_reset(&b->arena);
    code = ended_puts(&b->ended, &b->arena, &ended, &count, err);
    puts = code == SF_OK ? sf_arena_calloc(&b->arena, PUTS_BESIDE + count, sizeof(*puts)) : NULL;
    if (puts == NULL) {
        return code == SF_OK ? SF_RAISE(err, SF_NOMEM, "bundle") : code;
    }
    puts[0] = (struct store_put){
        .space = STORE_META, .key = bundle_key, .value = sf_buf_view(&b->record)};
    puts[1] = (struct store_put){.space = STORE_META,
                                 .remove = b->policies.size == 0,
                                 .key = policies_key,
                                 .value = sf_buf_view(&b->policies)};
    memcpy(puts + PUTS_BESIDE, ended, count * sizeof(*puts));
    b->write = (struct store_write){.data = b, .puts = puts, .put_count = PUTS_BESIDE + count};
    return SF_OK;
}

static void store_newest(struct bundles *b)
{
    struct sf_error err;

    if (make_write(b, &err) != SF_OK ||
        store_submit(b->store, &b->write, on_written, &err) != SF_OK) {
        sf_log(SF_LOG_WARN, "leaf.bundle_not_stored", SF_F_ERROR(&err));
        return;
    }
    b->storing = true;
}

/* --- taking ----------------------------------------------------------------------------------- */

static enum sf_code make_record(const struct bundles *b, uint64_t version, struct sf_slice bytes,
                                struct sf_buf *ret, struct sf_error *err)
{
    sf_buf_be64(ret, version);
    sf_buf_be32(ret, store_epoch(b->store));
    sf_buf_slice(ret, bytes);
    return sf_buf_check(ret, "bundle", err);
}

/* Policies do not go back. Which bundle is kept for them: *ret, empty for none beside the newest.
 */
static enum sf_code keep_policies(const struct bundles *b, struct grant_set *set,
                                  struct sf_buf *ret, struct sf_error *err)
{
    if (b->last == NULL || set->policy_version >= b->last->policy_version) {
        return SF_OK;
    }
    grant_set_keep_policies(set, b->last);
    sf_buf_slice(ret, b->policies.size > 0 ? sf_buf_view(&b->policies) : bundle_in(&b->record));
    return sf_buf_check(ret, "policies", err);
}

static void replace(struct sf_buf *to, struct sf_buf *from)
{
    sf_buf_done(to);
    *to = *from;
    *from = (struct sf_buf){0};
}

/* What has ended is forgotten when it is over by both clocks: one that is ahead forgets nothing. */
static int64_t over_us(const struct grant_set *set, const struct grant_trust *trust)
{
    return set->issued_us < trust->now_us ? set->issued_us : trust->now_us;
}

static uint64_t version_least(const struct bundles *b)
{
    const struct grant_set *now = b->serving->grants;

    return now != NULL && now->version > b->version ? now->version : b->version;
}

enum sf_code bundles_take(struct bundles *b, struct sf_slice bytes, const struct grant_trust *trust,
                          struct sf_error *err)
{
    SF_CLEANUP(grant_set_unrefp) struct grant_set *set = NULL;
    SF_CLEANUP(sf_buf_done) struct sf_buf record = {0};
    SF_CLEANUP(sf_buf_done) struct sf_buf policies = {0};
    struct grant_trust known = *trust;
    enum sf_code code;

    if (b->storing) {
        return SF_RAISE(err, SF_BUSY, "a bundle is being stored");
    }
    known.version_min = version_least(b);
    known.ended = &b->ended;
    known.last = b->last;
    code = grant_set_open(bytes, &known, &set, err);
    if (code == SF_OK) {
        code = make_record(b, set->version, bytes, &record, err);
    }
    if (code == SF_OK) {
        code = keep_policies(b, set, &policies, err);
    }
    if (code == SF_OK) { /* From here on it counts: what is ended by it is ended for good. */
        code = ended_learn(&b->ended, b->last, set, over_us(set, trust), err);
    }
    if (code == SF_OK) {
        code = grant_set_mark(set, &b->ended, err);
    }
    if (code != SF_OK) {
        return code;
    }
    b->version = set->version;
    replace(&b->record, &record);
    replace(&b->policies, &policies);
    grant_set_unref(b->last);
    b->last = grant_set_ref(set);
    serving_take_grants(b->serving, SF_TAKE(set));
    store_newest(b);
    return SF_OK;
}
