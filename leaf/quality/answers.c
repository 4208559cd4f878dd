#include "leaf/quality/answers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/time.h"
#include "common/bus/service.h"
#include "common/sys/log.h"
#include "leaf/quality/stats_json.h"
#include "leaf/serving/deprecation.h"
#include "leaf/serving/http_answer.h"
#include "proto/errors.h"
#include "proto/subjects.h"

enum { HISTORY_SHOWN = 100 };

/* Somebody who waits for an answer: over HTTP (request) or over NATS (bus and reply). */
struct asker {
    struct sf_list link;
    struct quality_answers *owner;
    enum quality_op op;
    const struct served_table *table;
    struct served_view *view;        /* a reference */
    char grant_id[64];               /* "": the owner */
    struct sf_http_request *request; /* NULL: over NATS, or the client has left */
    struct sf_bus *bus;
    char *reply; /* owned */
    struct collector_wait wait;
    struct inspection inspection;
};

struct quality_answers {
    struct quality_answers_options options;
    struct sf_list askers;
    size_t count;
};

static void asker_free(struct asker *k)
{
    sf_list_remove(&k->link);
    k->owner->count--;
    served_view_unref(k->view);
    sf_free(k->reply);
    sf_free(k);
}

static void fail(struct asker *k, const struct sf_error *why)
{
    struct sf_error err;

    if (k->request != NULL) {
        http_problem(k->request, why);
    } else if (k->bus != NULL && sf_service_send_error(k->bus, k->reply, why, &err) != SF_OK) {
        sf_log(SF_LOG_WARN, "quality.answer_lost", SF_F_ERROR(&err));
    }
    asker_free(k);
}

static void send(struct asker *k, struct sf_buf *document)
{
    char text[DEPRECATION_TEXT];
    const struct sf_bus_header header = {HEADER_DEPRECATED, text};
    struct sf_error err;

    if (k->request != NULL) {
        http_json(k->request, 200, document);
    } else if (k->bus != NULL &&
               sf_service_send_with(k->bus, k->reply, "application/json", &header,
                                    deprecation_text(k->table->product->contract, text) ? 1 : 0,
                                    sf_buf_view(document), &err) != SF_OK) {
        sf_log(SF_LOG_WARN, "quality.answer_lost", SF_F_ERROR(&err));
    }
    asker_free(k);
}

/* --- statistics ---------------------------------------------------------------------------------
 */

static void on_statistics(struct collector_wait *w, const struct collected *found,
                          const struct sf_error *why)
{
    struct asker *k = w->data;
    SF_CLEANUP(sf_buf_done) struct sf_buf document = {0};
    struct sf_error err;
    enum sf_code code;

    if (why != NULL) {
        fail(k, why);
        return;
    }
    if (k->grant_id[0] != '\0' &&
        serving_still_shows(k->owner->options.serving, k->grant_id, k->view, &err) != SF_OK) {
        fail(k, &err);
        return;
    }
    if (k->table->product->superseded) {
        /* The newer version may have closed a field that the asker's view still shows. */
        (void)SF_RAISE_E(&err, SF_BUSY, SHEAF_E_BUSY, "a newer version came into force: ask again");
        fail(k, &err);
        return;
    }
    code = stats_write(&(struct stats_page){.table = k->table,
                                            .view = k->view,
                                            .found = found,
                                            .now_us = sf_rt_wall_us(k->owner->options.rt)},
                       &document, &err);
    if (code != SF_OK) {
        fail(k, &err);
        return;
    }
    send(k, &document);
}

/* --- checks -------------------------------------------------------------------------------------
 */

static void write_verdict(struct sf_json_writer *w, const struct inspected *v)
{
    char time[SF_TIME_TEXT_SIZE];

    sf_json_object_begin(w);
    sf_json_member_text(w, "check", v->check);
    sf_json_member_text(w, "status", check_status_name(v->result.status));
    if (v->result.has_actual) {
        sf_json_key(w, "actual");
        sf_json_double(w, v->result.actual);
        sf_json_member_bool(w, "estimated", v->result.estimated);
    }
    if (v->judged_us != 0) {
        (void)sf_time_format(v->since_us, time);
        sf_json_member_text(w, "since", time);
        (void)sf_time_format(v->judged_us, time);
        sf_json_member_text(w, "judged", time);
    }
    sf_json_object_end(w);
}

static enum sf_code write_checks(const struct asker *k, struct sf_buf *out, struct sf_error *err)
{
    const struct sf_product *p = k->table->product->contract;
    const struct inspector *in = k->owner->options.inspector;
    struct sf_json_writer w = {.out = out};
    size_t count = 0;
    const struct inspected *results = inspector_results(in, k->table, &count);
    enum sf_code code;

    sf_json_object_begin(&w);
    sf_json_member_text(&w, "apiVersion", "sheaf/v1");
    sf_json_member_text(&w, "kind", "CheckList");
    sf_json_key(&w, "product");
    sf_json_printf(&w, "%s/%s", p->domain, p->name);
    sf_json_member_uint(&w, "major", p->version.major);
    sf_json_member_text(&w, "table", k->table->contract->name);
    sf_json_key(&w, "items");
    sf_json_array_begin(&w);
    for (size_t i = 0; i < count; i++) {
        write_verdict(&w, &results[i]);
    }
    sf_json_array_end(&w);
    sf_json_key(&w, "history");
    sf_json_array_begin(&w);
    code = inspector_history(in, k->table, HISTORY_SHOWN, &w, err);
    sf_json_array_end(&w);
    sf_json_object_end(&w);
    return code == SF_OK ? sf_buf_check(out, "checks", err) : code;
}

static void send_checks(struct asker *k)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf document = {0};
    struct sf_error err;

    if (write_checks(k, &document, &err) != SF_OK) {
        fail(k, &err);
        return;
    }
    send(k, &document);
}

static void on_inspected(struct inspection *i, const struct sf_error *why)
{
    struct asker *k = i->data;

    if (why != NULL) {
        fail(k, why);
    } else {
        send_checks(k);
    }
}

/* --- asking -------------------------------------------------------------------------------------
 */

/* An asker in the list; without anybody to answer yet. @right NULL: the owner asks. */
static enum sf_code asker_new(struct quality_answers *a, enum quality_op op,
                              const struct served_table *table, const struct serving_right *right,
                              struct asker **ret, struct sf_error *err)
{
    const struct grant *grant = right == NULL ? NULL : right->grant;
    struct asker *k;
    enum sf_code code;

    if (a->count >= ANSWERS_MAX) {
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "%d questions about quality are under way",
                          ANSWERS_MAX);
    }
    k = sf_calloc(1, sizeof(*k));
    if (k == NULL) {
        return SF_RAISE(err, SF_NOMEM, "statistics");
    }
    k->owner = a;
    k->op = op;
    k->table = table;
    if (grant != NULL) {
        (void)snprintf(k->grant_id, sizeof(k->grant_id), "%s", grant->id);
    }
    code = serving_view(a->options.serving, table, grant, right == NULL ? NULL : &right->roles,
                        &k->view, err);
    if (code == SF_OK && served_view_has_filter(k->view)) {
        code = SF_RAISE_E(err, SF_DENIED, SHEAF_E_POLICY_DENIES,
                          "statistics of table '%s' count rows that you do not see",
                          table->contract->name);
    }
    if (code != SF_OK) {
        served_view_unref(k->view);
        sf_free(k);
        return code;
    }
    a->count++;
    sf_list_push(&a->askers, &k->link);
    *ret = k;
    return SF_OK;
}

static enum sf_code start(struct asker *k, struct sf_error *err)
{
    if (k->op == QUALITY_TEST) {
        k->inspection = (struct inspection){.done = on_inspected, .data = k};
        return inspector_test(k->owner->options.inspector, k->table, &k->inspection, err);
    }
    k->wait = (struct collector_wait){
        .ready = on_statistics, .data = k, .anew = k->op == QUALITY_PROFILE};
    return collector_get(k->owner->options.collector, k->table, &k->wait, err);
}

static void on_abort(struct sf_http_request *r, void *data)
{
    (void)r;
    ((struct asker *)data)->request = NULL; /* Its answer is dropped. */
}

void quality_http(struct quality_answers *a, enum quality_op op, const struct served_table *table,
                  struct sf_http_request *r)
{
    struct asker *k = NULL;
    struct sf_error err;

    if (asker_new(a, op, table, NULL, &k, &err) != SF_OK) {
        http_problem(r, &err);
        return;
    }
    k->request = r;
    if (op == QUALITY_CHECKS) {
        send_checks(k);
        return;
    }
    sf_http_set_hooks(r, &(struct sf_http_hooks){.on_abort = on_abort, .data = k});
    if (start(k, &err) != SF_OK) {
        sf_http_set_hooks(r, &(struct sf_http_hooks){0});
        fail(k, &err);
    }
}

enum sf_code quality_nats(struct quality_answers *a, struct sf_bus *bus, const char *reply,
                          const char *op, const struct serving_right *right, const char *table,
                          bool *ret_known, struct sf_error *err)
{
    const bool is_profile = strcmp(op, "profile") == 0;
    const struct served_table *t = served_product_table(right->product, table);
    struct asker *k = NULL;
    enum sf_code code;

    *ret_known = is_profile || strcmp(op, "stats") == 0;
    if (!*ret_known) {
        return SF_OK;
    }
    if (t == NULL) {
        return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_TABLE_UNKNOWN, "table '%.64s'",
                          table == NULL ? "" : table);
    }
    code = asker_new(a, is_profile ? QUALITY_PROFILE : QUALITY_STATS, t, right, &k, err);
    if (code != SF_OK) {
        return code;
    }
    k->bus = bus;
    k->reply = sf_strdup(reply);
    code = k->reply == NULL ? SF_RAISE(err, SF_NOMEM, "statistics") : start(k, err);
    if (code != SF_OK) {
        asker_free(k);
    }
    return code;
}

static void forget(struct asker *k)
{
    if (k->op == QUALITY_TEST) {
        inspection_forget(&k->inspection);
    } else {
        collector_forget(&k->wait);
    }
}

void quality_nats_forget(struct quality_answers *a, const struct sf_bus *bus)
{
    for (struct sf_list *next, *at = a->askers.next; at != &a->askers; at = next) {
        struct asker *k = SF_CONTAINER_OF(at, struct asker, link);

        next = at->next;
        if (k->bus == bus) {
            forget(k);
            asker_free(k);
        }
    }
}

/* --- life ---------------------------------------------------------------------------------------
 */

enum sf_code quality_answers_new(const struct quality_answers_options *options,
                                 struct quality_answers **ret, struct sf_error *err)
{
    struct quality_answers *a = sf_calloc(1, sizeof(*a));

    if (a == NULL) {
        return SF_RAISE(err, SF_NOMEM, "answers about quality");
    }
    a->options = *options;
    sf_list_init(&a->askers);
    *ret = a;
    return SF_OK;
}

void quality_answers_free(struct quality_answers *a)
{
    struct sf_error err;

    if (a == NULL) {
        return;
    }
    (void)SF_RAISE(&err, SF_CLOSED, "the leaf stops");
    while (!sf_list_empty(&a->askers)) {
        struct asker *k = SF_CONTAINER_OF(a->askers.next, struct asker, link);

        forget(k);
        k->bus = NULL;
        fail(k, &err);
    }
    sf_free(a);
}
