/*
 * What a source does with messages: a group of them is one transaction, with the cursor in it; then
 * they are acknowledged. A group that is refused is halved until the message that is to blame
 * stands alone and goes to quarantine.
 */
#include <stdio.h>

#include "common/base/alloc.h"
#include "leaf/ingest/source_private.h"
#include "proto/errors.h"

#define BUSY_WAIT_NS    (50 * SF_NS_PER_MS)
#define TROUBLE_WAIT_NS SF_NS_PER_S

void source_message_free(struct source_message *m)
{
    if (m != NULL) {
        sf_list_remove(&m->link);
        sf_free(m->reply);
        sf_buf_done(&m->data);
        sf_free(m);
    }
}

void source_cursor_key(const char *name, struct sf_buf *ret)
{
    sf_buf_text(ret, "source/");
    sf_buf_text(ret, name);
}

void source_forget_waiting(struct source *s)
{
    while (!sf_list_empty(&s->waiting)) {
        source_message_free(SF_CONTAINER_OF(sf_list_pop(&s->waiting), struct source_message, link));
    }
    s->waiting_count = 0;
}

/* When it is lost, the message comes again and is known. */
static void acknowledge(struct source *s, struct source_message *m)
{
    const struct sf_bus_msg ack = {.subject = m->reply, .data = SF_LITERAL("+ACK")};
    struct sf_error err;

    (void)(sf_bus_publish(s->o.bus, &ack, &err) == SF_OK);
    source_message_free(m);
}

/* Moves messages that are not stored yet from what waits into the group. */
static void fill_group(struct source *s)
{
    while (!sf_list_empty(&s->waiting) && s->group_count < s->group_max) {
        struct source_message *m =
            SF_CONTAINER_OF(sf_list_pop(&s->waiting), struct source_message, link);

        s->waiting_count--;
        if (seq_set_has(&s->stored, m->delivery.stream_seq)) {
            s->repeated_count++;
            sf_counter_add(&s->repeated_total, 1);
            acknowledge(s, m);
            continue;
        }
        sf_list_push(&s->group, &m->link);
        s->group_count++;
    }
}

/* Back to the front of what waits, in order. */
static void empty_group(struct source *s)
{
    struct sf_list old;

    sf_list_init(&old);
    while (!sf_list_empty(&s->waiting)) {
        sf_list_push(&old, sf_list_pop(&s->waiting));
    }
    while (!sf_list_empty(&s->group)) {
        sf_list_push(&s->waiting, sf_list_pop(&s->group));
    }
    while (!sf_list_empty(&old)) {
        sf_list_push(&s->waiting, sf_list_pop(&old));
    }
    s->waiting_count += s->group_count;
    s->group_count = 0;
}

/* Fills in messages and cursor of the group. False: too many gaps to keep. */
static bool describe_group(struct source *s)
{
    size_t n = 0;

    s->next = s->stored;
    for (struct sf_list *at = s->group.next; at != &s->group; at = at->next) {
        const struct source_message *m = SF_CONTAINER_OF(at, struct source_message, link);

        s->messages[n++] = (struct ingest_message){
            .body = sf_buf_view(&m->data),
            .format = m->format,
            .coding = m->coding,
            .position = m->delivery.stream_seq,
            .refusal = m->is_refused ? &m->refusal : NULL,
        };
        if (!seq_set_add(&s->next, m->range)) {
            return false;
        }
    }
    sf_buf_clear(&s->cursor);
    seq_set_encode(&s->next, s->stream_id, &s->cursor);
    s->put = (struct store_put){
        .space = STORE_META, .key = sf_buf_view(&s->key), .value = sf_buf_view(&s->cursor)};
    return s->cursor.failed == SF_OK;
}

static void note_trouble(struct source *s, const struct sf_error *err, uint64_t wait_ns)
{
    (void)snprintf(s->error, sizeof(s->error), "%s", err->text);
    sf_rt_timer_start(s->o.rt, &s->retry, wait_ns);
}

/* Whether a message of the group is to blame. */
static bool is_of_messages(const struct sf_error *err)
{
    return err->code == SF_INVALID || err->code == SF_ABSENT || err->code == SF_CONFLICT ||
           (err->code == SF_BUSY && err->number == SHEAF_E_TOO_LARGE);
}

static void refuse(struct source *s, const struct sf_error *err)
{
    if (s->group_count > 1) {
        s->group_max = s->group_count / 2;
        empty_group(s);
    } else {
        struct source_message *m = SF_CONTAINER_OF(s->group.next, struct source_message, link);

        m->is_refused = true;
        m->refusal = *err;
        if (m->refusal.number == 0) {
            m->refusal.number = SHEAF_E_RECORD_INVALID;
        }
    }
    source_store(s);
}

static void settle_group(struct source *s)
{
    s->stored = s->next;
    s->error[0] = '\0';
    s->stored_count += s->group_count;
    sf_counter_add(&s->stored_total, s->group_count);
    s->group_max = SOURCE_PULL;
    s->group_count = 0;
    while (!sf_list_empty(&s->group)) {
        struct source_message *m =
            SF_CONTAINER_OF(sf_list_pop(&s->group), struct source_message, link);

        s->poison_count += m->is_refused ? 1 : 0;
        sf_counter_add(&s->poison_total, m->is_refused ? 1 : 0);
        acknowledge(s, m);
    }
}

static void on_stored(void *data, const struct ingest_result *result, const struct sf_error *err)
{
    struct source *s = data;

    (void)result;
    s->storing = false;
    if (err == NULL) {
        settle_group(s);
    }
    if (s->closing) {
        source_close(s, s->gone);
    } else if (err == NULL) {
        source_store(s);
        source_pull(s);
    } else if (is_of_messages(err)) {
        refuse(s, err);
    } else {
        note_trouble(s, err, err->code == SF_BUSY ? BUSY_WAIT_NS : TROUBLE_WAIT_NS);
    }
}

/* Where the records go, as things stand now. */
static enum sf_code find_target(const struct source *s, struct ingest_request *ret,
                                struct sf_error *err)
{
    struct serving_right right;
    enum sf_code code = serving_decide(s->o.serving, &(struct serving_caller){0}, s->spec.product,
                                       s->spec.major, &right, err);

    if (code != SF_OK) {
        return code;
    }
    if (s->spec.table == NULL) {
        ret->product = right.product;
        return SF_OK;
    }
    ret->table = served_product_table(right.product, s->spec.table);
    return ret->table != NULL
               ? SF_OK
               : SF_RAISE_E(err, SF_ABSENT, SHEAF_E_TABLE_UNKNOWN, "table '%s'", s->spec.table);
}

void source_store(struct source *s)
{
    struct ingest_request request = {
        .has_envelope = s->spec.has_envelope,
        .messages = s->messages,
        .puts = &s->put,
        .put_count = 1,
    };
    struct sf_error err;
    enum sf_code code;

    if (s->storing || s->closing) {
        return;
    }
    fill_group(s);
    if (s->group_count == 0) {
        return;
    }
    code = find_target(s, &request, &err);
    if (code == SF_OK && !describe_group(s)) {
        empty_group(s);
        source_fail(s, "too many gaps in what is delivered");
        return;
    }
    request.message_count = s->group_count;
    if (code == SF_OK) {
        s->storing = true;
        code = ingest_start(s->o.ingest, &request, on_stored, s, &err);
    }
    if (code != SF_OK) {
        s->storing = false;
        note_trouble(s, &err, code == SF_BUSY ? BUSY_WAIT_NS : TROUBLE_WAIT_NS);
    }
}
