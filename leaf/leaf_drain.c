/*
 * Draining: before a leaf is stopped for good or for long, it takes nothing new and sends what it
 * has, so that nobody waits for changes that lie on a stopped machine.
 *
 *   SERVING -- POST /v1/leaf/drain --> DRAINING -- nothing waits, all is sent --> DRAINED
 *      ^                                  |                                          |
 *      +------ DELETE /v1/leaf/drain -----+------------------------------------------+
 *
 * DRAINED is not a state of its own but what is seen when one looks. Reads go on. A restart ends
 * it.
 */
#include <string.h>

#include "leaf/leaf_private.h"
#include "leaf/serving/http_answer.h"
#include "proto/errors.h"

static void set(struct leaf *leaf, bool draining)
{
    if (leaf->draining != draining) {
        sf_log(SF_LOG_INFO, "leaf.draining", SF_F_BOOL("draining", draining));
    }
    leaf->draining = draining;
    ingest_set_draining(leaf->ingest, draining);
}

bool leaf_drain_refuses(const struct leaf *leaf, struct sf_http_request *r)
{
    struct sf_error err;

    if (!leaf->draining) {
        return false;
    }
    (void)SF_RAISE_E(&err, SF_UNAVAILABLE, SHEAF_E_DRAINING, "domain %s", leaf->config->domain);
    http_problem(r, &err);
    return true;
}

static void answer(struct leaf *leaf, struct sf_http_request *r)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    struct sf_json_writer w = {.out = &body};
    const struct store_stats stats = store_stats(leaf->store);
    const size_t writes = ingest_pending(leaf->ingest) + stats.queued_writes;
    const size_t behind = leaf->publisher == NULL ? 0 : publisher_stats(leaf->publisher).behind;
    const char *state = !leaf->draining ? "serving" : writes + behind > 0 ? "draining" : "drained";

    sf_json_object_begin(&w);
    sf_json_member_text(&w, "apiVersion", "sheaf/v1");
    sf_json_member_text(&w, "kind", "Drain");
    sf_json_member_text(&w, "domain", leaf->config->domain);
    sf_json_member_text(&w, "state", state);
    sf_json_member_uint(&w, "writes_pending", writes);
    sf_json_member_uint(&w, "feeds_behind", behind);
    sf_json_object_end(&w);
    http_json(r, 200, &body);
}

void leaf_drain_http(struct leaf *leaf, struct sf_http_request *r)
{
    if (strcmp(sf_http_method(r), "GET") != 0) {
        set(leaf, strcmp(sf_http_method(r), "POST") == 0);
    }
    answer(leaf, r);
}
