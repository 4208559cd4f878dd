/* Statistics and checks of the leaf: what keeps them, and who is told. */
#include <string.h>

#include "leaf/leaf_private.h"
#include "proto/subjects.h"

/* Verdicts go to the domain's own account; whoever is not there reads the history. */
static void on_event(void *data, const struct inspection_event *event)
{
    struct leaf *leaf = data;
    const struct sf_product *p = event->table->product->contract;
    const struct subject_lane lane = {
        .domain = p->domain,
        .product = p->name,
        .table = event->table->contract->name,
        .major = p->version.major,
    };
    char subject[SUBJECT_MAX];
    const struct sf_bus_header type = {"Content-Type", "application/cloudevents+json"};
    struct sf_error err;

    subject_own_quality(subject, &lane);
    if (leaf->own != NULL && sf_bus_publish(leaf->own,
                                            &(struct sf_bus_msg){.subject = subject,
                                                                 .headers = &type,
                                                                 .header_count = 1,
                                                                 .data = event->document},
                                            &err) != SF_OK) {
        sf_log(SF_LOG_WARN, "quality.event_not_sent", SF_F_ERROR(&err));
    }
}

enum sf_code leaf_quality_open(struct leaf *leaf, struct sf_error *err)
{
    const struct collector_options collector = {
        .rt = leaf->rt,
        .store = leaf->store,
        .serving = &leaf->serving,
        .metrics = &leaf->metrics,
    };
    enum sf_code code = collector_new(&collector, &leaf->collector, err);

    if (code == SF_OK) {
        const struct inspector_options inspector = {
            .rt = leaf->rt,
            .store = leaf->store,
            .serving = &leaf->serving,
            .collector = leaf->collector,
            .metrics = &leaf->metrics,
            .on_event = on_event,
            .data = leaf,
        };

        code = inspector_new(&inspector, &leaf->inspector, err);
    }
    if (code == SF_OK) {
        const struct quality_answers_options answers = {
            .rt = leaf->rt,
            .serving = &leaf->serving,
            .collector = leaf->collector,
            .inspector = leaf->inspector,
        };

        code = quality_answers_new(&answers, &leaf->quality, err);
    }
    if (code == SF_OK) {
        leaf_quality_update(leaf);
    }
    return code;
}

void leaf_quality_update(struct leaf *leaf)
{
    struct sf_error err;

    if (leaf->collector != NULL && collector_update(leaf->collector, &err) != SF_OK) {
        leaf->serving_late = true;
        sf_log(SF_LOG_ERROR, "leaf.statistics_missing", SF_F_ERROR(&err));
    }
    if (leaf->inspector != NULL && inspector_update(leaf->inspector, &err) != SF_OK) {
        leaf->serving_late = true;
        sf_log(SF_LOG_ERROR, "leaf.checks_missing", SF_F_ERROR(&err));
    }
}

enum sf_code leaf_quality_nats(void *data, struct sf_bus *bus, const char *reply, const char *op,
                               const struct serving_right *right, const char *table,
                               bool *ret_known, struct sf_error *err)
{
    struct leaf *leaf = data;

    return quality_nats(leaf->quality, bus, reply, op, right, table, ret_known, err);
}

void leaf_quality_stop(struct leaf *leaf, void (*closed)(void *data))
{
    quality_answers_free(leaf->quality);
    leaf->quality = NULL;
    if (leaf->inspector != NULL) {
        inspector_stop(leaf->inspector);
    }
    if (leaf->collector != NULL) {
        leaf->closing++;
        collector_close(leaf->collector, closed, leaf);
        leaf->collector = NULL;
    }
}

bool leaf_quality_is_quiet(const struct leaf *leaf)
{
    return leaf->inspector == NULL || inspector_pending(leaf->inspector) == 0;
}

void leaf_quality_done(struct leaf *leaf)
{
    inspector_free(leaf->inspector);
    leaf->inspector = NULL;
}

void leaf_quality_verdicts(const struct leaf *leaf, const struct served_table *table,
                           uint32_t *ret_failing, bool *ret_stale)
{
    size_t count = 0;
    const struct inspected *results =
        leaf->inspector == NULL ? NULL : inspector_results(leaf->inspector, table, &count);
    const bool promised = table->product->contract->slo_freshness_us > 0;

    *ret_failing = 0;
    *ret_stale = false;
    for (size_t i = 0; i < count; i++) {
        const bool fails = results[i].result.status == CHECK_FAIL;

        if (promised && i + 1 == count) {
            *ret_stale = fails;
        } else {
            *ret_failing += fails;
        }
    }
}
