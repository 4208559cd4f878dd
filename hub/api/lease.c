#include "hub/api/lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/str.h"
#include "common/bus/service.h"
#include "common/sys/log.h"
#include "common/wire/control.h"
#include "proto/errors.h"

#define PROTOBUF "application/protobuf"

static void lease_free(struct lease *l)
{
    sf_rt_timer_stop(l->all->rt, &l->hold);
    sf_rt_timer_stop(l->all->rt, &l->silence);
    while (!sf_list_empty(&l->waits)) {
        (void)sf_list_pop(&l->waits);
    }
    sf_free(l->heads);
    sf_free(l->held);
    sf_buf_done(&l->bundle);
    sf_free(l);
}

void leases_close(struct leases *l)
{
    struct sf_map_entry *entry;
    size_t at = 0;

    while ((entry = sf_map_next(&l->by_domain, &at)) != NULL) {
        struct lease *lease = entry->value;

        lease->held_reply[0] = '\0';
        sf_rt_timer_stop(l->rt, &lease->hold);
        sf_rt_timer_stop(l->rt, &lease->silence);
    }
}

void leases_done(struct leases *l)
{
    struct sf_map_entry *entry;
    size_t at = 0;

    while ((entry = sf_map_next(&l->by_domain, &at)) != NULL) {
        lease_free(entry->value);
    }
    sf_map_done(&l->by_domain);
}

struct lease *lease_find(const struct leases *l, const char *domain)
{
    return sf_map_get(&l->by_domain, domain);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void send_bytes(struct lease *l, const char *reply, const Sheaf__V1__PollReply *m)
{
    size_t size = sheaf__v1__poll_reply__get_packed_size(m);
    SF_CLEANUP(sf_freep) uint8_t *bytes = sf_alloc(size + 1);
    struct sf_error err;

    if (bytes == NULL) {
        return; /* the leaf asks again */
    }
    (void)sheaf__v1__poll_reply__pack(m, bytes);
    if (sf_service_reply(l->all->bus, reply, PROTOBUF, sf_slice_of(bytes, size), &err) != SF_OK) {
        sf_log(SF_LOG_WARN, "leases.answer_lost", SF_F_TEXT("domain", l->domain->name),
               SF_F_ERROR(&err));
    }
}

static void answer(struct lease *l, const char *reply, bool with_bundle)
{
    Sheaf__V1__PollReply m;
    struct sf_arena arena;

    sheaf__v1__poll_reply__init(&m);
    sf_arena_init(&arena, 0);
    m.current_version = l->version;
    if (with_bundle) {
        l->sent = l->version;
        m.bundle = SF_CONTROL_UNPACK(signed, &arena, sf_buf_view(&l->bundle));
    }
    send_bytes(l, reply, &m);
    sf_arena_done(&arena);
}

/* A poll that is held is answered and forgotten. */
static void release(struct lease *l, bool with_bundle)
{
    char reply[sizeof(l->held_reply)];

    if (l->held_reply[0] == '\0') {
        return;
    }
    memcpy(reply, l->held_reply, sizeof(reply));
    l->held_reply[0] = '\0';
    sf_rt_timer_stop(l->all->rt, &l->hold);
    answer(l, reply, with_bundle);
}

/* --- bundles ---------------------------------------------------------------------------------- */

/*
 * Versions rise also over restarts and with a clock that went back: they are at least the wall
 * clock, and above what was issued last, what the leaf says it has, and what it ever took.
 */
static enum sf_code make_bundle(struct lease *l, struct sf_error *err)
{
    int64_t now_us = sf_rt_wall_us(l->all->rt);
    uint64_t version = (uint64_t)now_us;
    struct sf_buf bundle = {0};
    enum sf_code code;

    version = version > l->version ? version : l->version + 1;
    version = version > l->in_force ? version : l->in_force + 1;
    version = version > l->seen_version ? version : l->seen_version + 1;
    const struct bundle_terms terms = {
        .owner = l->domain,
        .version = version,
        .issued_us = now_us,
        .expires_us = now_us + l->all->bundle_life_us,
    };

    code = bundle_make(l->all->registry, &terms, l->all->hub_key, &bundle, err);
    if (code != SF_OK) {
        sf_buf_done(&bundle);
        return code;
    }
    sf_buf_done(&l->bundle);
    l->bundle = bundle;
    l->version = version;
    l->issued_us = now_us;
    l->covers = l->domain->grants_changed;
    return SF_OK;
}

static bool is_stale(const struct lease *l)
{
    int64_t age_us = sf_rt_wall_us(l->all->rt) - l->issued_us;

    return l->bundle.size == 0 || l->covers != l->domain->grants_changed ||
           age_us > l->all->bundle_life_us / 2 || age_us < 0 || l->in_force > l->version ||
           l->seen_version > l->version;
}

/* Makes a new bundle when the old one will not do. False: there is none to give. */
static bool refresh(struct lease *l)
{
    struct sf_error err;

    if (is_stale(l) && make_bundle(l, &err) != SF_OK) {
        sf_log(SF_LOG_ERROR, "leases.bundle_failed", SF_F_TEXT("domain", l->domain->name),
               SF_F_ERROR(&err));
        return false;
    }
    return true;
}

static void on_hold_over(struct sf_timer *t)
{
    struct lease *l = SF_CONTAINER_OF(t, struct lease, hold);

    release(l, refresh(l) && l->in_force != l->version);
}

void lease_renew(struct lease *l)
{
    if (refresh(l) && l->in_force != l->version) {
        release(l, /* with_bundle= */ true);
    }
}

void leases_renew(struct leases *l)
{
    struct sf_map_entry *entry;
    size_t at = 0;

    while ((entry = sf_map_next(&l->by_domain, &at)) != NULL) {
        lease_renew(entry->value);
    }
}

static void on_silence(struct sf_timer *t)
{
    struct lease *l = SF_CONTAINER_OF(t, struct lease, silence);

    if (!lease_is_acknowledged(l)) {
        l->all->on_silent(l->all->data, l);
    }
}

void lease_watch(struct lease *l)
{
    sf_rt_timer_start(l->all->rt, &l->silence, LEASE_SILENT_NS);
}

struct lease *lease_of(struct leases *all, const struct registry_domain *domain)
{
    struct lease *l = lease_find(all, domain->name);

    if (l == NULL) {
        l = sf_calloc(1, sizeof(*l));
        if (l == NULL || sf_map_put(&all->by_domain, sf_slice_text(domain->name), l) != SF_OK) {
            sf_free(l);
            return NULL;
        }
        l->all = all;
        l->domain = domain;
        l->hold = (struct sf_timer){.fire = on_hold_over};
        l->silence = (struct sf_timer){.fire = on_silence};
        sf_list_init(&l->waits);
    }
    return l;
}

/* --- polls ------------------------------------------------------------------------------------ */

static void copy_head(struct lease_head *to, const Sheaf__V1__LaneHead *from)
{
    (void)snprintf(to->product, sizeof(to->product), "%s", from->product);
    (void)snprintf(to->table, sizeof(to->table), "%s", from->table);
    to->major = from->major;
    to->partition = from->partition;
    to->epoch = from->epoch;
    to->seq = from->seq;
    to->commit_us = from->commit_us;
    to->rows = from->rows;
    to->quarantined = from->quarantined;
    to->has_hash = from->hash.len == sizeof(to->hash);
    if (to->has_hash) {
        memcpy(to->hash, from->hash.data, sizeof(to->hash));
    }
    to->checks_failing = from->checks_failing;
    to->stale = from->stale;
}

/* Of the heads that are looked at. */
static size_t count_of(const Sheaf__V1__PollRequest *m)
{
    return m->n_heads < LEASE_HEADS_MAX ? m->n_heads : LEASE_HEADS_MAX;
}

/* Out of memory keeps the heads of the last poll. */
static void take_heads(struct lease *l, const Sheaf__V1__PollRequest *m)
{
    const size_t count = count_of(m);
    struct lease_head *heads = sf_calloc(count + 1, sizeof(*heads));

    if (heads == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        copy_head(&heads[i], m->heads[i]);
    }
    sf_free(l->heads);
    l->heads = heads;
    l->head_count = count;
}

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* 0: that is no grant. */
static uint64_t grant_number(const char *id)
{
    uint64_t number = 0;

    return strncmp(id, "G-", 2) == 0 && sf_parse_u64(sf_slice_text(id + 2), &number) == SF_PARSE_OK
               ? number
               : 0;
}

/* Out of memory keeps what the last poll said. */
static void take_held(struct lease *l, const Sheaf__V1__PollRequest *m)
{
    const size_t count = m->n_held_back < LEASE_HELD_MAX ? m->n_held_back : LEASE_HELD_MAX;
    uint64_t *held = sf_calloc(count + 1, sizeof(*held));

    if (held == NULL) {
        return;
    }
    sf_free(l->held);
    l->held = held;
    l->held_count = 0;
    for (size_t i = 0; i < count; i++) {
        held[l->held_count] = grant_number(m->held_back[i]);
        l->held_count += held[l->held_count] != 0;
    }
    qsort(held, l->held_count, sizeof(*held), compare_numbers);
    l->held_total = m->held_back_count;
}

static void take_seen(struct lease *l, const Sheaf__V1__PollRequest *m)
{
    const uint64_t known = l->all->registry->policies.version;

    l->seen_version = m->seen_version < INT64_MAX ? m->seen_version : 0;
    if (m->policy_version > known && l->policy_version != m->policy_version) {
        sf_log(SF_LOG_ERROR, "leases.policies_behind", SF_F_TEXT("domain", l->domain->name),
               SF_F_UINT("policy_version", known), SF_F_UINT("of_the_leaf", m->policy_version),
               SF_F_TEXT("why", "this hub was put back: apply the policies again"));
    }
    if (m->n_held_back > 0 && l->held_count == 0) {
        sf_log(SF_LOG_ERROR, "leases.grants_held_back", SF_F_TEXT("domain", l->domain->name),
               SF_F_UINT("count", m->held_back_count), SF_F_TEXT("first", m->held_back[0]),
               SF_F_TEXT("why", "they had ended: this hub was put back"));
    }
    l->policy_version = m->policy_version;
    take_held(l, m);
}

bool lease_holds_back(const struct lease *l, const char *grant_id)
{
    const uint64_t number = grant_number(grant_id);

    return l->held_count > 0 &&
           bsearch(&number, l->held, l->held_count, sizeof(number), compare_numbers) != NULL;
}

uint64_t leases_policy_version(const struct leases *all)
{
    const uint64_t known = all->registry->policies.version;
    struct sf_map_entry *entry;
    uint64_t highest = 0;
    size_t at = 0;

    while ((entry = sf_map_next(&all->by_domain, &at)) != NULL) {
        const struct lease *l = entry->value;

        highest = l->policy_version > highest ? l->policy_version : highest;
    }
    return highest > known + LEASE_POLICIES_AHEAD_MAX ? known + LEASE_POLICIES_AHEAD_MAX : highest;
}

static void end_waits(struct lease *l)
{
    struct sf_list over;

    sf_list_move(&over, &l->waits);
    while (!sf_list_empty(&over)) {
        struct lease_wait *w = SF_CONTAINER_OF(sf_list_pop(&over), struct lease_wait, link);

        w->done(w);
    }
}

static void hold(struct lease *l, const char *reply, uint64_t wait_ns)
{
    (void)snprintf(l->held_reply, sizeof(l->held_reply), "%s", reply);
    sf_rt_timer_start(l->all->rt, &l->hold, wait_ns);
}

/* --- who holds it ----------------------------------------------------------------------------- */

static const Sheaf__V1__LaneHead *head_in(const Sheaf__V1__PollRequest *m,
                                          const struct lease_head *h)
{
    for (size_t i = 0; i < count_of(m); i++) {
        const Sheaf__V1__LaneHead *head = m->heads[i];

        if (head->major == h->major && head->partition == h->partition &&
            strcmp(head->product, h->product) == 0 && strcmp(head->table, h->table) == 0) {
            return head;
        }
    }
    return NULL;
}

/* Whether @m lacks something that the holder has told of, or has something else in its place. */
static bool is_behind(const struct lease *l, const Sheaf__V1__PollRequest *m)
{
    for (size_t i = 0; i < l->head_count; i++) {
        const struct lease_head *h = &l->heads[i];
        const Sheaf__V1__LaneHead *now = head_in(m, h);

        if (now == NULL) {
            continue; /* The table was removed, or there are too many. */
        }
        if (now->epoch < h->epoch || now->seq < h->seq ||
            (now->seq == h->seq && h->has_hash && now->hash.len == sizeof(h->hash) &&
             memcmp(now->hash.data, h->hash, sizeof(h->hash)) != 0)) {
            return true;
        }
    }
    return false;
}

/* NULL: it may go on; else why it must stop. */
static const char *why_fenced(const struct lease *l, const Sheaf__V1__PollRequest *m)
{
    const struct lease_holder *h = &l->holder;

    if (!h->known || m->boot_id.len != sizeof(h->boot_id) ||
        memcmp(m->boot_id.data, h->boot_id, sizeof(h->boot_id)) == 0 || m->epoch > h->epoch) {
        return NULL;
    }
    if (m->epoch < h->epoch) {
        return "another leaf goes on in a later epoch";
    }
    if (is_behind(l, m)) {
        return "this copy lacks changes that the hub has heard of";
    }
    if (m->boot < h->boot || (m->boot == h->boot && lease_is_up(l))) {
        return "another copy of this directory was started after it";
    }
    return NULL;
}

static void take_holder(struct lease *l, const Sheaf__V1__PollRequest *m)
{
    struct lease_holder *h = &l->holder;

    if (m->boot_id.len != sizeof(h->boot_id)) {
        return;
    }
    if (h->known && memcmp(m->boot_id.data, h->boot_id, sizeof(h->boot_id)) != 0) {
        sf_log(SF_LOG_INFO, "leases.taken_over", SF_F_TEXT("domain", l->domain->name),
               SF_F_UINT("epoch", m->epoch), SF_F_UINT("boot", m->boot));
    }
    h->known = true;
    memcpy(h->boot_id, m->boot_id.data, sizeof(h->boot_id));
    h->boot = m->boot;
    h->epoch = m->epoch;
}

static void answer_fenced(struct lease *l, const char *reply, const char *why)
{
    Sheaf__V1__PollReply m;

    sheaf__v1__poll_reply__init(&m);
    m.fenced = sf_control_text(why);
    sf_log(SF_LOG_WARN, "leases.fenced", SF_F_TEXT("domain", l->domain->name),
           SF_F_TEXT("why", why));
    send_bytes(l, reply, &m);
}

void lease_poll(struct lease *l, const Sheaf__V1__PollRequest *m, const char *reply)
{
    const char *fenced = why_fenced(l, m);

    if (fenced != NULL) {
        answer_fenced(l, reply, fenced);
        return;
    }
    take_holder(l, m);
    if (!l->seen) {
        sf_log(SF_LOG_INFO, "leases.first_poll", SF_F_TEXT("domain", l->domain->name));
    }
    l->seen = true;
    l->seen_ns = sf_rt_now_ns(l->all->rt);
    l->in_force = m->have_version < INT64_MAX ? m->have_version : 0;
    (void)snprintf(l->leaf_version, sizeof(l->leaf_version), "%s", m->leaf_version);
    (void)snprintf(l->nats_version, sizeof(l->nats_version), "%s", m->nats_server_version);
    take_heads(l, m);
    take_seen(l, m);
    release(l, /* with_bundle= */ false);
    if (!refresh(l) || strlen(reply) >= sizeof(l->held_reply) ||
        (m->lost_hub && l->in_force == l->version)) {
        answer(l, reply, /* with_bundle= */ false);
    } else if (l->in_force == l->version) {
        hold(l, reply, LEASE_HOLD_NS);
    } else if (l->sent == l->version) {
        hold(l, reply, LEASE_RESEND_NS);
    } else {
        answer(l, reply, /* with_bundle= */ true);
    }
    if (lease_is_acknowledged(l)) {
        end_waits(l);
    }
}

bool lease_is_acknowledged(const struct lease *l)
{
    return l->bundle.size > 0 && l->covers == l->domain->grants_changed &&
           l->in_force == l->version;
}

bool lease_is_up(const struct lease *l)
{
    return l->seen && sf_rt_now_ns(l->all->rt) - l->seen_ns <= LEASE_DOWN_NS;
}

uint64_t lease_patience_ns(const struct lease *l, uint64_t usual_ns)
{
    const uint64_t age_ns = sf_rt_now_ns(l->all->rt) - l->all->opened_ns;

    if (l->seen || age_ns >= LEASE_DOWN_NS) {
        return lease_is_up(l) ? usual_ns : 0;
    }
    return LEASE_DOWN_NS - age_ns > usual_ns ? LEASE_DOWN_NS - age_ns : usual_ns;
}

void lease_wait(struct lease *l, struct lease_wait *w)
{
    sf_list_push(&l->waits, &w->link);
}

void lease_cancel(struct lease_wait *w)
{
    sf_list_remove(&w->link);
}
