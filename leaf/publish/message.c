#include "leaf/publish/message.h"

#include <stdio.h>

#include "common/sys/encoding.h"
#include "leaf/store/as_of.h"

void message_init(struct message *m)
{
    *m = (struct message){0};
}

void message_done(struct message *m)
{
    sf_buf_done(&m->body);
}

static void add_header(struct message *m, const char *name, const char *value)
{
    m->headers[m->header_count++] = (struct sf_bus_header){name, value};
}

/* Position, headers and signature of what the body holds. */
static enum sf_code message_close(struct message *m, const struct message_spec *spec,
                                  struct sf_error *err)
{
    const bool is_heartbeat = m->first == 0;
    uint8_t hash[SF_HASH256_SIZE];
    char hash_text[2 * SF_HASH256_SIZE + 1];
    char text[MESSAGE_TEXT_MAX];
    const struct sf_slice body = sf_buf_view(&m->body);
    struct sf_signature signature;
    enum sf_code code;

    sf_hash256(&body, 1, hash);
    sf_encode(SF_HEX, sf_slice_of(hash, sizeof(hash)), hash_text);
    const size_t n = message_signed_bytes(
        &(struct message_texts){
            .lane = spec->lane,
            .audience = spec->audience,
            .epoch = m->epoch,
            .first = m->first,
            .last = m->last,
            .prev = m->prev,
            .head = m->head,
            .payload_hash = hash_text,
        },
        text);

    code = sf_sign(spec->leaf_key, SIGN_MESSAGE, sf_slice_of(text, n), &signature, err);
    if (code != SF_OK) {
        return code;
    }
    sf_encode(SF_BASE64, sf_slice_of(signature.bytes, sizeof(signature.bytes)), m->signature);
    (void)snprintf(m->prev_text, sizeof(m->prev_text), "%llu", (unsigned long long)m->prev);
    m->header_count = 0;
    if (is_heartbeat) {
        (void)snprintf(m->head_text, sizeof(m->head_text), "%u:%llu", m->epoch,
                       (unsigned long long)m->head);
        add_header(m, HEADER_HEAD, m->head_text);
    } else {
        (void)snprintf(m->position, sizeof(m->position), "%u:%llu-%llu", m->epoch,
                       (unsigned long long)m->first, (unsigned long long)m->last);
        (void)snprintf(m->id, sizeof(m->id), "%s:%s", spec->subject, m->position);
        add_header(m, HEADER_POSITION, m->position);
        add_header(m, HEADER_MSG_ID, m->id);
        add_header(m, HEADER_TYPE, "application/x-ndjson");
    }
    add_header(m, HEADER_PREV, m->prev_text);
    add_header(m, HEADER_CONTRACT, spec->contract);
    add_header(m, HEADER_VIEW, spec->view->name);
    if (spec->policy != NULL) {
        add_header(m, HEADER_POLICY, spec->policy);
    }
    add_header(m, HEADER_AUDIENCE, spec->audience);
    add_header(m, HEADER_SIG, m->signature);
    return SF_OK;
}

/* --- the walk --------------------------------------------------------------------------------- */

void message_walk_end(struct message_walk *w)
{
    change_reader_done(&w->reader);
    store_log_free(w->log);
    store_snapshot_free(w->snapshot);
    *w = (struct message_walk){0};
}

enum sf_code message_walk_begin(struct message_walk *w, const struct message_spec *spec,
                                struct store *store, const struct store_lane *lane, uint64_t after,
                                struct sf_error *err)
{
    struct store_anchor anchor;
    enum sf_code code;

    message_walk_end(w);
    code = store_snapshot_new(store, &w->snapshot, err);
    code = code == SF_OK ? store_anchor_of(w->snapshot, lane, &anchor, err) : code;
    if (code == SF_OK) {
        w->at = anchor.seq > after ? anchor.seq : after;
        w->reader = (struct change_reader){
            .view = spec->view, .columns = spec->view->columns, .snapshot = w->snapshot};
        code = store_log_new(w->snapshot, lane, w->at, /* verify= */ false, &w->log, err);
    }
    if (code != SF_OK) {
        message_walk_end(w);
    }
    return code;
}

bool message_walk_goes_on(const struct message_walk *w, uint64_t after)
{
    return w->log != NULL && w->at == after && w->messages < MESSAGE_WALK_MAX;
}

/* Until the message is full: *@more; or nothing is left that it may hold. */
static enum sf_code append_changes(struct message *m, struct message_walk *w, bool *more,
                                   struct sf_error *err)
{
    struct store_log_entry entry;
    bool shown;

    *more = true;
    for (unsigned looks = 0; m->body.size < MESSAGE_BYTES && looks < MESSAGE_LOOKS;) {
        enum sf_code code = store_log_next(w->log, &entry, more, err);

        if (code != SF_OK) {
            return code;
        }
        *more = *more && (m->first == 0 || entry.epoch == m->epoch);
        if (!*more) {
            return SF_OK;
        }
        code = change_render_json(&w->reader, &entry, &m->body, &shown, err);
        if (code != SF_OK) {
            return code;
        }
        m->epoch = entry.epoch;
        if (shown) {
            m->changes++;
            m->first = m->first == 0 ? entry.seq : m->first;
            m->last = entry.seq;
        }
        w->at = entry.seq;
        looks += w->reader.looked_back ? 4 : 1;
    }
    return SF_OK;
}

enum sf_code message_fill(struct message *m, const struct message_spec *spec,
                          struct message_walk *walk, uint64_t prev, struct sf_error *err)
{
    bool more = false;
    enum sf_code code;

    sf_buf_clear(&m->body);
    m->header_count = 0;
    m->first = 0;
    m->last = 0;
    m->head = 0;
    m->prev = prev;
    m->changes = 0;
    code = append_changes(m, walk, &more, err);
    m->looked = walk->at;
    walk->messages++;
    if (code != SF_OK || !more) {
        message_walk_end(walk);
    }
    if (code != SF_OK || m->first == 0) {
        return code;
    }
    return message_close(m, spec, err);
}

enum sf_code message_heartbeat(struct message *m, const struct message_spec *spec, uint32_t epoch,
                               uint64_t head, uint64_t prev, struct sf_error *err)
{
    const bool is_same = m->header_count > 0 && m->first == 0 && m->epoch == epoch &&
                         m->head == head && m->prev == prev;

    if (is_same) {
        return SF_OK; /* Signing it takes longer than all else. */
    }
    sf_buf_clear(&m->body);
    m->header_count = 0;
    m->epoch = epoch;
    m->first = 0;
    m->last = 0;
    m->prev = prev;
    m->head = head;
    return message_close(m, spec, err);
}

void message_forget(struct message *m)
{
    m->header_count = 0;
}

struct sf_bus_msg message_of_bus(const struct message *m, const struct message_spec *spec)
{
    return (struct sf_bus_msg){
        .subject = spec->subject,
        .data = sf_buf_view(&m->body),
        .headers = m->headers,
        .header_count = m->header_count,
    };
}
