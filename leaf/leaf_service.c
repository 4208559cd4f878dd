/* The leaf as a NATS service (ADR-32): `nats micro ls|info|stats` in its domain's account. */
#include <stdio.h>

#include "common/base/alloc.h"
#include "leaf/leaf_private.h"
#include "proto/subjects.h"

enum { ENDPOINTS = QUERY_NATS_OPS + 1 }; /* requests, and records in */

struct leaf_service {
    struct leaf *leaf;
    struct sf_micro *micro;
    char name[80];
    char description[160];
    char subjects[ENDPOINTS][SUBJECT_MAX];
    struct sf_micro_endpoint endpoints[ENDPOINTS];
};

static void stats(void *data, size_t endpoint, struct sf_micro_stats *ret)
{
    const struct leaf_service *s = data;

    if (endpoint == QUERY_NATS_OPS) {
        ingest_nats_stats(s->leaf->records_own, ret);
    } else {
        query_nats_stats(s->leaf->requests_own, endpoint, ret);
    }
}

enum sf_code leaf_service_new(struct leaf *leaf, struct leaf_service **ret, struct sf_error *err)
{
    struct leaf_service *s = sf_calloc(1, sizeof(*s));
    enum sf_code code;

    if (s == NULL) {
        return SF_RAISE(err, SF_NOMEM, "service");
    }
    s->leaf = leaf;
    (void)snprintf(s->name, sizeof(s->name), "sheaf-%s", leaf->config->domain);
    (void)snprintf(s->description, sizeof(s->description),
                   "Products of domain %s: describe, rows, changes, statistics, records in",
                   leaf->config->domain);
    for (size_t i = 0; i < QUERY_NATS_OPS; i++) {
        subject_request_any(s->subjects[i], leaf->config->domain, query_nats_ops[i]);
        s->endpoints[i] =
            (struct sf_micro_endpoint){.name = query_nats_ops[i], .subject = s->subjects[i]};
    }
    subject_ingest_listen(s->subjects[QUERY_NATS_OPS]);
    s->endpoints[QUERY_NATS_OPS] =
        (struct sf_micro_endpoint){.name = "in", .subject = s->subjects[QUERY_NATS_OPS]};
    const struct sf_micro_options options = {
        .name = s->name,
        .version = SHEAF_VERSION,
        .description = s->description,
        .endpoints = s->endpoints,
        .endpoint_count = ENDPOINTS,
        .started_us = leaf->started_us,
        .stats = stats,
        .data = s,
    };

    code = sf_micro_new(leaf->own, &options, &s->micro, err);
    if (code != SF_OK) {
        sf_free(s);
        return code;
    }
    *ret = s;
    return SF_OK;
}

void leaf_service_free(struct leaf_service *s)
{
    if (s != NULL) {
        sf_micro_free(s->micro);
        sf_free(s);
    }
}
