#include "hub/api/control.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/base/time.h"
#include "common/base/utf8.h"
#include "common/bus/service.h"
#include "common/sys/log.h"
#include "common/wire/control.h"
#include "hub/api/change.h"
#include "proto/errors.h"
#include "proto/subjects.h"

#define PROTOBUF "application/protobuf"

enum { APPLIED_BY_MAX = 128, LIFE_REASON_MAX = 1000 }; /* they stand in the log for ever */
#define LIFE_KEEP_MAX_US (INT64_C(10) * 366 * SF_US_PER_DAY)

struct control {
    struct hub_state *state;
    struct sf_bus_sub sub;
    size_t applies;
};

/* A product.apply under way. */
struct apply {
    struct change_product change;
    struct control *control;
    struct sf_arena arena; /* of the request */
    char reply[256];
};

static void fail(struct control *c, const char *reply, const struct sf_error *why)
{
    struct sf_error err;
    enum sf_code code = sf_service_reply_error(c->state->mesh_bus, reply, why, &err);

    if (code == SF_NOMEM) { /* a leaf that hears nothing waits for long */
        code = sf_service_reply_error(c->state->mesh_bus, reply, why, &err);
    }
    if (code != SF_OK) {
        sf_log(SF_LOG_WARN, "control.answer_lost", SF_F_ERROR(&err));
    }
}

/* An answer that could not be sent: the leaf is told that. */
static void lose(struct control *c, const char *reply, const struct sf_error *why)
{
    sf_log(SF_LOG_WARN, "control.answer_lost", SF_F_ERROR(why));
    fail(c, reply, why);
}

/* --- poll ------------------------------------------------------------------------------------- */

/* What was sent is not what it should be, or there was no memory to read it. */
static enum sf_code unreadable(const struct sf_arena *arena, const char *what,
                               const struct registry_domain *d, struct sf_error *err)
{
    if (arena->missed) {
        return SF_RAISE_E(err, SF_NOMEM, SHEAF_E_BUSY, "out of memory");
    }
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "not %s of domain %s", what, d->name);
}

static void poll(struct control *c, const struct registry_domain *d, const struct sf_bus_msg *m)
{
    struct lease *lease = lease_of(&c->state->leases, d);
    const Sheaf__V1__PollRequest *request;
    struct sf_arena arena;
    struct sf_error err;

    sf_arena_init(&arena, CONTROL_READ_MAX);
    request = SF_CONTROL_UNPACK(poll_request, &arena, m->data);
    if (lease == NULL) {
        (void)SF_RAISE_E(&err, SF_NOMEM, SHEAF_E_BUSY, "out of memory");
        fail(c, m->reply, &err);
    } else if (request == NULL || strcmp(request->domain, d->name) != 0) {
        (void)unreadable(&arena, "a poll", d, &err);
        fail(c, m->reply, &err);
    } else {
        lease_poll(lease, request, m->reply);
    }
    sf_arena_done(&arena);
}

/* --- product.apply ---------------------------------------------------------------------------- */

static void apply_free(struct apply *a)
{
    a->control->applies--;
    review_done(&a->change.review);
    sf_arena_done(&a->arena);
    sf_free(a);
}

static bool fill_findings(struct apply *a, Sheaf__V1__ApplyReply *m)
{
    const struct review *r = &a->change.review;

    m->findings = sf_arena_calloc(&a->arena, r->finding_count + 1, sizeof(Sheaf__V1__Finding *));
    for (size_t i = 0; m->findings != NULL && i < r->finding_count; i++) {
        Sheaf__V1__Finding *f = sf_arena_alloc(&a->arena, sizeof(*f));

        if (f == NULL) {
            return false;
        }
        sheaf__v1__finding__init(f);
        f->number = r->findings[i].number;
        f->is_error = r->findings[i].is_error;
        f->text = sf_control_text(r->findings[i].text);
        m->findings[m->n_findings++] = f;
    }
    return m->findings != NULL;
}

static enum sf_code send_reply(struct apply *a, struct sf_error *err)
{
    const struct review *r = &a->change.review;
    Sheaf__V1__ApplyReply m;
    uint8_t *bytes = NULL;
    size_t size = 0;

    sheaf__v1__apply_reply__init(&m);
    m.accepted = r->accepted;
    m.changed = r->accepted && r->changed;
    if (r->product != NULL) {
        const struct sf_version *v = &r->product->version;

        m.version = sf_arena_printf(&a->arena, "%u.%u.%u", v->major, v->minor, v->patch);
    }
    if (fill_findings(a, &m) && m.version != NULL) {
        size = sheaf__v1__apply_reply__get_packed_size(&m);
        bytes = sf_arena_alloc(&a->arena, size + 1);
    }
    if (bytes == NULL) {
        return SF_RAISE_E(err, SF_NOMEM, SHEAF_E_BUSY, "out of memory");
    }
    (void)sheaf__v1__apply_reply__pack(&m, bytes);
    return sf_service_reply(a->control->state->mesh_bus, a->reply, PROTOBUF,
                            sf_slice_of(bytes, size), err);
}

static void on_applied(struct event_append *op, enum sf_code code, const struct event_record *r,
                       const struct sf_error *err)
{
    struct apply *a = SF_CONTAINER_OF(op, struct apply, change.op);
    struct sf_error why;

    (void)r;
    if (code != SF_OK) {
        fail(a->control, a->reply, err);
    } else if (send_reply(a, &why) != SF_OK) {
        lose(a->control, a->reply, &why);
    }
    apply_free(a);
}

static enum sf_code read_apply(struct apply *a, const struct registry_domain *d,
                               struct sf_slice bytes, struct sf_error *err)
{
    struct sf_slice own = sf_arena_slice(&a->arena, bytes);
    const Sheaf__V1__ApplyRequest *m =
        own.data == NULL ? NULL : SF_CONTROL_UNPACK(apply_request, &a->arena, own);

    if (m == NULL || strcmp(m->domain, d->name) != 0) {
        return unreadable(&a->arena, "an apply", d, err);
    }
    if (strlen(m->applied_by) > APPLIED_BY_MAX || !sf_utf8_is_valid(sf_slice_text(m->applied_by))) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'applied_by' is not a name");
    }
    a->change.domain = d->name;
    a->change.applied_by = *m->applied_by == '\0' ? "unknown" : m->applied_by;
    a->change.yaml = sf_control_slice(m->product_yaml);
    a->change.dry_run = m->dry_run;
    return SF_OK;
}

static void apply(struct control *c, const struct registry_domain *d, const struct sf_bus_msg *m)
{
    struct apply *a = NULL;
    struct sf_error err;
    enum sf_code code;

    if (c->applies < CONTROL_APPLIES_MAX && strlen(m->reply) < sizeof(a->reply)) {
        a = sf_calloc(1, sizeof(*a));
    }
    if (a == NULL) {
        (void)SF_RAISE_E(&err, SF_BUSY, SHEAF_E_BUSY, "%zu applies are under way", c->applies);
        fail(c, m->reply, &err);
        return;
    }
    c->applies++;
    a->control = c;
    sf_arena_init(&a->arena, CONTROL_READ_MAX);
    memcpy(a->reply, m->reply, strlen(m->reply) + 1);
    change_product_init(&a->change, c->state);
    a->change.op.done = on_applied;
    code = read_apply(a, d, m->data, &err);
    if (code == SF_OK) {
        code = event_log_append(c->state->log, &a->change.op, &err);
    }
    if (code != SF_OK) {
        fail(c, m->reply, &err);
        apply_free(a);
    }
}

/* --- product.life ----------------------------------------------------------------------------- */

/* A removal or restoral under way. */
struct life {
    struct change_life change;
    struct control *control;
    struct sf_arena arena; /* of the request */
    char reply[256];
};

static void life_free(struct life *l)
{
    l->control->applies--;
    sf_arena_done(&l->arena);
    sf_free(l);
}

static void on_life_changed(struct event_append *op, enum sf_code code,
                            const struct event_record *r, const struct sf_error *err)
{
    struct life *l = SF_CONTAINER_OF(op, struct life, change.op);
    Sheaf__V1__LifeReply m = SHEAF__V1__LIFE_REPLY__INIT;
    uint8_t bytes[32]; /* a bool and an int64 */
    struct sf_error why;

    (void)r;
    m.changed = l->change.changed;
    m.purge_us = l->change.purge_us;
    if (code != SF_OK) {
        fail(l->control, l->reply, err);
    } else if (sf_service_reply(l->control->state->mesh_bus, l->reply, PROTOBUF,
                                sf_slice_of(bytes, sheaf__v1__life_reply__pack(&m, bytes)),
                                &why) != SF_OK) {
        lose(l->control, l->reply, &why);
    }
    life_free(l);
}

static enum sf_code read_life(struct life *l, const struct registry_domain *d,
                              struct sf_slice bytes, struct sf_error *err)
{
    struct sf_slice own = sf_arena_slice(&l->arena, bytes);
    const Sheaf__V1__LifeRequest *m =
        own.data == NULL ? NULL : SF_CONTROL_UNPACK(life_request, &l->arena, own);

    if (m == NULL || strcmp(m->domain, d->name) != 0 ||
        !sf_name_is_product(sf_slice_text(m->product)) || m->keep_us < 0 ||
        m->keep_us > LIFE_KEEP_MAX_US || strlen(m->reason) > LIFE_REASON_MAX ||
        !sf_utf8_is_valid(sf_slice_text(m->reason)) || strlen(m->changed_by) > APPLIED_BY_MAX ||
        !sf_utf8_is_valid(sf_slice_text(m->changed_by))) {
        return unreadable(&l->arena, "a removal", d, err);
    }
    l->change.domain = d->name;
    l->change.product = m->product;
    l->change.major = m->major;
    l->change.restore = m->restore;
    l->change.keep_us = m->keep_us;
    l->change.reason = m->reason;
    l->change.changed_by = *m->changed_by == '\0' ? "unknown" : m->changed_by;
    return SF_OK;
}

static void life(struct control *c, const struct registry_domain *d, const struct sf_bus_msg *m)
{
    struct life *l = NULL;
    struct sf_error err;
    enum sf_code code;

    if (c->applies < CONTROL_APPLIES_MAX && strlen(m->reply) < sizeof(l->reply)) {
        l = sf_calloc(1, sizeof(*l));
    }
    if (l == NULL) {
        (void)SF_RAISE_E(&err, SF_BUSY, SHEAF_E_BUSY, "%zu applies are under way", c->applies);
        fail(c, m->reply, &err);
        return;
    }
    c->applies++;
    l->control = c;
    sf_arena_init(&l->arena, CONTROL_READ_MAX);
    memcpy(l->reply, m->reply, strlen(m->reply) + 1);
    change_life_init(&l->change, c->state);
    l->change.op.done = on_life_changed;
    code = read_life(l, d, m->data, &err);
    if (code == SF_OK) {
        code = event_log_append(c->state->log, &l->change.op, &err);
    }
    if (code != SF_OK) {
        fail(c, m->reply, &err);
        life_free(l);
    }
}

/* --- access.explain --------------------------------------------------------------------------- */

static enum sf_code no_product(const Sheaf__V1__ExplainRequest *q, struct sf_error *err)
{
    return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_PRODUCT_UNKNOWN, "product %.60s/%.60s", q->owner,
                      q->product);
}

static enum sf_code explain_access(const struct hub_state *s, const struct registry_domain *asker,
                                   const Sheaf__V1__ExplainRequest *q, struct sf_error *err)
{
    const struct registry_product *p = registry_product(&s->registry, q->owner, q->product);
    const struct registry_version *v = p == NULL ? NULL : registry_version(p, q->major);
    struct registry_access access;
    const struct lease *lease;

    if (v == NULL) {
        return no_product(q, err);
    }
    access = (struct registry_access){
        .consumer = asker->name,
        .owner = q->owner,
        .product = q->product,
        .major = v->product->version.major,
    };
    if (registry_active(&s->registry, &access) == NULL) {
        if (v->product->status ==
            SF_STATUS_DRAFT) { /* its owner's business: as if there were none */
            return no_product(q, err);
        }
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_DENIED, "product %.60s/%.60s@%u", q->owner,
                          q->product, access.major);
    }
    lease = lease_find(&s->leases, q->owner);
    if (lease == NULL || !lease_is_up(lease)) {
        return SF_RAISE_E(err, SF_UNAVAILABLE, SHEAF_E_LEAF_UNREACHABLE,
                          "the leaf of domain %.60s is down", q->owner);
    }
    return SF_OK;
}

static void explain(struct control *c, const struct registry_domain *d, const struct sf_bus_msg *m)
{
    const Sheaf__V1__ExplainRequest *q;
    struct sf_arena arena;
    struct sf_error err;
    enum sf_code code;

    sf_arena_init(&arena, CONTROL_READ_MAX);
    q = SF_CONTROL_UNPACK(explain_request, &arena, m->data);
    code = q == NULL ? unreadable(&arena, "a question", d, &err)
                     : explain_access(c->state, d, q, &err);
    if (code != SF_OK) {
        fail(c, m->reply, &err);
    } else if (sf_service_reply(c->state->mesh_bus, m->reply, PROTOBUF, sf_slice_text(NULL),
                                &err) != SF_OK) {
        lose(c, m->reply, &err);
    }
    sf_arena_done(&arena);
}

/* --- dispatch --------------------------------------------------------------------------------- */

static void on_control(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct control *c = sub->data;
    char account[64];
    char op[64];
    const struct registry_domain *d = NULL;
    struct sf_error err;

    if (m->reply == NULL || *m->reply == '\0') {
        return;
    }
    if (subject_control_parse(m->subject, account, op)) {
        d = registry_domain_of_account(&c->state->registry, account);
    }
    if (d == NULL || strcmp(account, d->serve_account) != 0) {
        (void)SF_RAISE_E(&err, SF_DENIED, SHEAF_E_DENIED, "not an account of a joined domain");
        fail(c, m->reply, &err);
    } else if (strcmp(op, "poll") == 0) {
        poll(c, d, m);
    } else if (strcmp(op, "product.apply") == 0) {
        apply(c, d, m);
    } else if (strcmp(op, "product.life") == 0) {
        life(c, d, m);
    } else if (strcmp(op, "access.explain") == 0) {
        explain(c, d, m);
    } else {
        (void)SF_RAISE_E(&err, SF_ABSENT, SHEAF_E_NO_SUCH_PATH, "no control operation '%.60s'", op);
        fail(c, m->reply, &err);
    }
}

enum sf_code control_new(struct hub_state *s, struct control **ret, struct sf_error *err)
{
    struct control *c = sf_calloc(1, sizeof(*c));
    char subject[SUBJECT_MAX];
    enum sf_code code;

    if (c == NULL) {
        return SF_RAISE(err, SF_NOMEM, "hub control");
    }
    c->state = s;
    c->sub = (struct sf_bus_sub){.on_msg = on_control, .data = c};
    subject_control_listen(subject);
    code = sf_bus_subscribe(s->mesh_bus, &c->sub, subject, NULL, err);
    if (code != SF_OK) {
        sf_free(c);
        return code;
    }
    *ret = c;
    return SF_OK;
}

void control_free(struct control *c)
{
    if (c != NULL) {
        sf_bus_unsubscribe(c->state->mesh_bus, &c->sub);
        sf_free(c);
    }
}
