/* One entry of a quarantine, with its whole record, and what the contract in force says of it. */
#include "common/base/alloc.h"
#include "common/base/time.h"
#include "common/base/utf8.h"
#include "common/contract/message_show.h"
#include "leaf/ingest/mend_http.h"
#include "leaf/ingest/raw_place.h"
#include "leaf/serving/http_answer.h"

struct showing {
    struct sf_http_request *request; /* NULL once the client has left */
    struct mender *mender;
    struct store *store;
    const struct served_table *table;
    uint64_t qseq;
    struct store_snapshot *snapshot;
    struct sf_buf document;
    enum sf_code code;
    struct sf_error error;
    struct sf_work work;
};

static const char *form_text(uint8_t form)
{
    static const char *const names[] = {
        [BATCH_FORM_UNKNOWN] = "unknown", [BATCH_FORM_JSON] = "json",
        [BATCH_FORM_CSV] = "csv",         [BATCH_FORM_PROTOBUF] = "protobuf",
        [BATCH_FORM_CHANGE] = "change",   [BATCH_FORM_CUT] = "cut",
    };

    return form < SF_COUNT(names) ? names[form] : "unknown";
}

/* Bytes that are no text are shown as base64, a message as the record it would be too. */
static void write_raw(struct sf_json_writer *w, const struct sf_table *table,
                      const struct store_quarantined *e)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};

    if (e->form != BATCH_FORM_PROTOBUF && sf_utf8_is_valid(e->raw)) {
        sf_json_member_slice(w, "raw", e->raw);
        return;
    }
    sf_json_put_base64(&text, e->raw);
    sf_json_key(w, "raw_base64");
    sf_json_raw(w, sf_buf_view(&text));
    if (e->form == BATCH_FORM_PROTOBUF) {
        size_t read;

        sf_buf_clear(&text);
        read = sf_message_show(table, e->raw, &text);
        sf_json_key(w, "decoded");
        sf_json_raw(w, sf_buf_view(&text));
        sf_json_member_uint(w, "decoded_bytes", read);
        sf_json_member_bool(w, "decoded_whole", read == e->raw.size);
    }
    w->out->failed = text.failed != SF_OK ? text.failed : w->out->failed;
}

static void write_entry(struct sf_json_writer *w, const struct sf_table *table,
                        const struct store_quarantined *e)
{
    char time[SF_TIME_TEXT_SIZE];

    (void)sf_time_format(e->commit_us, time);
    sf_json_member_uint(w, "qseq", e->qseq);
    sf_json_member_text(w, "time", time);
    sf_json_member_uint(w, "line", e->position);
    sf_json_key(w, "codes");
    sf_json_array_begin(w);
    for (size_t i = 0; i < e->code_count; i++) {
        sf_json_printf(w, "SHEAF-E%04u", e->codes[i]);
    }
    sf_json_array_end(w);
    sf_json_member_slice(w, "field", e->field);
    sf_json_member_text(w, "form", form_text(e->form));
    if (e->context.size > 0) {
        sf_json_member_slice(w, "header", e->context);
    }
    write_raw(w, table, e);
}

static void write_error(struct sf_json_writer *w, const struct sf_table *table,
                        const struct store_quarantined *e, const struct sf_violation *v)
{
    const struct raw_place place = raw_place_find(table, e, v);

    sf_json_object_begin(w);
    sf_json_key(w, "code");
    sf_json_printf(w, "SHEAF-E%04u", v->number);
    if (v->field >= 0) {
        sf_json_member_text(w, "field", table->fields[v->field].name);
    }
    sf_json_member_text(w, "detail", v->text);
    if (place.found) {
        sf_json_member_uint(w, "at", place.at);
        sf_json_member_uint(w, "size", place.size);
    }
    sf_json_object_end(w);
}

static enum sf_code find_row(void *data, struct sf_slice key, struct sf_buf *bytes,
                             struct sf_slice *ret, uint64_t *ret_seq, bool *found,
                             struct sf_error *err)
{
    struct showing *s = data;
    struct store_row row;
    enum sf_code code = store_get(s->snapshot, s->table->lane, key, bytes, &row, found, err);

    if (code == SF_OK) {
        *ret = row.row;
        *ret_seq = row.seq;
    }
    return code;
}

/* What the contract in force says: nothing is stored of it. */
static enum sf_code write_verdict(struct showing *s, struct sf_json_writer *w,
                                  const struct store_quarantined *e, struct sf_error *err)
{
    const struct sf_product *p = s->table->product->contract;
    SF_CLEANUP(batch_reader_freep) struct batch_reader *reader = NULL;
    const struct batch_rows rows = {.find = find_row, .data = s};
    const struct batch_spec spec = {
        .table = s->table->contract,
        .contract_id = s->table->product->contract_id,
        .has_envelope = true,
        .rows = &rows,
    };
    struct sf_verdict verdict = {0};
    enum sf_code code = batch_reader_new(s->table->contract, &reader, err);

    if (code == SF_OK) {
        code = batch_judge_entry(reader, &spec, e, &verdict, err);
    }
    if (code != SF_OK) {
        return code;
    }
    sf_json_key(w, "version");
    sf_json_printf(w, "%u.%u.%u", p->version.major, p->version.minor, p->version.patch);
    sf_json_member_bool(w, "valid", verdict.found == 0);
    sf_json_key(w, "errors");
    sf_json_array_begin(w);
    for (size_t i = 0; i < verdict.count; i++) {
        write_error(w, s->table->contract, e, &verdict.list[i]);
    }
    sf_json_array_end(w);
    return SF_OK;
}

static enum sf_code write_document(struct showing *s, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf bytes = {0};
    struct sf_json_writer w = {.out = &s->document};
    struct store_quarantined e;
    bool found = false;
    enum sf_code code = store_snapshot_new(s->store, &s->snapshot, err);

    if (code == SF_OK) {
        code = store_quarantine_get(s->snapshot, s->table->lane, s->qseq, &bytes, &e, &found, err);
    }
    if (code != SF_OK) {
        return code;
    }
    if (!found) {
        return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_ENTRY_GONE, "entry %llu",
                          (unsigned long long)s->qseq);
    }
    sf_json_object_begin(&w);
    sf_json_member_text(&w, "apiVersion", "sheaf/v1");
    sf_json_member_text(&w, "kind", "QuarantineEntry");
    write_entry(&w, s->table->contract, &e);
    code = write_verdict(s, &w, &e, err);
    sf_json_object_end(&w);
    return code;
}

/* Query thread. */
static void show_work(struct sf_work *work)
{
    struct showing *s = SF_CONTAINER_OF(work, struct showing, work);

    s->code = write_document(s, &s->error);
    store_snapshot_free(SF_TAKE(s->snapshot));
}

static void show_done(struct sf_task *done)
{
    struct showing *s = SF_CONTAINER_OF(done, struct showing, work.done);

    if (s->request != NULL && s->code == SF_OK) {
        http_json(s->request, 200, &s->document);
    } else if (s->request != NULL) {
        http_problem(s->request, &s->error);
    }
    mender_release(s->mender);
    sf_buf_done(&s->document);
    sf_free(s);
}

static void on_abort(struct sf_http_request *r, void *data)
{
    struct showing *s = data;

    (void)r;
    s->request = NULL;
}

void mend_show_http(const struct mend_http *what, uint64_t qseq, struct sf_http_request *r)
{
    struct showing *s = sf_calloc(1, sizeof(*s));
    struct sf_error err;

    if (s == NULL) {
        (void)SF_RAISE(&err, SF_NOMEM, "request");
        http_problem(r, &err);
        return;
    }
    s->request = r;
    s->mender = what->mender;
    s->store = what->store;
    s->table = what->table;
    s->qseq = qseq;
    s->work = (struct sf_work){.pool = SF_POOL_QUERY, .work = show_work, .done.run = show_done};
    sf_http_set_hooks(r, &(struct sf_http_hooks){.on_abort = on_abort, .data = s});
    mender_hold(what->mender);
    sf_rt_work(what->rt, &s->work);
}
