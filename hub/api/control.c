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
    struct sf_list asked;    /* struct asked that were let in and are not over, but for */
    struct sf_list changing; /* those that hold what a change needs: CONTROL_APPLIES_MAX */
};

/* A request, from its arrival to its answer. */
struct asked {
    struct control *control;
    const struct registry_domain *domain;
    const struct op *op;
    struct turn turn;
    struct sf_list link;
    struct sf_buf data;
    char reply[256];
};

struct op {
    const char *name;
    enum turns_way way;
    void (*handle)(struct asked *q); /* asked_free() is its */
};

static void asked_free(struct asked *q)
{
    turn_end(&q->control->state->turns, &q->turn);
    sf_list_remove(&q->link);
    sf_buf_done(&q->data);
    sf_free(q);
}

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

static void poll(struct asked *q)
{
    struct control *c = q->control;
    const struct registry_domain *d = q->domain;
    struct lease *lease = lease_of(&c->state->leases, d);
    const Sheaf__V1__PollRequest *request;
    struct sf_arena arena;
    struct sf_error err;

    sf_arena_init(&arena, CONTROL_READ_MAX);
    request = SF_CONTROL_UNPACK(poll_request, &arena, sf_buf_view(&q->data));
    if (lease == NULL) {
        (void)SF_RAISE_E(&err, SF_NOMEM, SHEAF_E_BUSY, "out of memory");
        fail(c, q->reply, &err);
    } else if (request == NULL || strcmp(request->domain, d->name) != 0) {
        (void)unreadable(&arena, "a poll", d, &err);
        fail(c, q->reply, &err);
    } else {
        lease_poll(lease, request, q->reply);
    }
    sf_arena_done(&arena);
    asked_free(q);
}

/* --- product.apply ---------------------------------------------------------------------------- */

/* A product.apply under way. */
struct apply {
    struct change_product change;
    struct asked *asked;   /* owned */
    struct sf_arena arena; /* of the request */
};

static enum sf_code check_changes(const struct asked *q, struct sf_error *err)
{
    struct sf_list *changing = &q->control->changing;
    size_t all = 0;
    size_t own = 0;

    for (struct sf_list *at = changing->next; at != changing; at = at->next) {
        all++;
        own += SF_CONTAINER_OF(at, struct asked, link)->domain == q->domain;
    }
    if (all >= CONTROL_APPLIES_MAX) {
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "%zu changes are under way", all);
    }
    if (own >= CONTROL_APPLIES_OF_ONE_MAX) {
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "%zu changes of domain %s are under way", own,
                          q->domain->name);
    }
    return SF_OK;
}

/* The request is refused: answered and gone. */
static void refuse(struct asked *q, const struct sf_error *why)
{
    fail(q->control, q->reply, why);
    asked_free(q);
}

/* Zeroed memory for one more change; NULL: the request has been refused. */
static void *begin_change(struct asked *q, size_t size)
{
    struct sf_error err;
    void *change = NULL;

    if (check_changes(q, &err) != SF_OK) {
        refuse(q, &err);
        return NULL;
    }
    change = sf_calloc(1, size);
    if (change == NULL) {
        (void)SF_RAISE_E(&err, SF_NOMEM, SHEAF_E_BUSY, "out of memory");
        refuse(q, &err);
        return NULL;
    }
    sf_list_remove(&q->link);
    sf_list_push(&q->control->changing, &q->link);
    return change;
}

static void apply_free(struct apply *a)
{
    asked_free(a->asked);
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
    return sf_service_reply(a->asked->control->state->mesh_bus, a->asked->reply, PROTOBUF,
                            sf_slice_of(bytes, size), err);
}

static void on_applied(struct event_append *op, enum sf_code code, const struct event_record *r,
                       const struct sf_error *err)
{
    struct apply *a = SF_CONTAINER_OF(op, struct apply, change.op);
    struct sf_error why;

    (void)r;
    if (code != SF_OK) {
        fail(a->asked->control, a->asked->reply, err);
    } else if (send_reply(a, &why) != SF_OK) {
        lose(a->asked->control, a->asked->reply, &why);
    }
    apply_free(a);
}

static enum sf_code read_apply(struct apply *a, struct sf_error *err)
{
    const struct registry_domain *d = a->asked->domain;
    const Sheaf__V1__ApplyRequest *m =
        SF_CONTROL_UNPACK(apply_request, &a->arena, sf_buf_view(&a->asked->data));

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

static void apply(struct asked *q)
{
    struct apply *a = begin_change(q, sizeof(*a));
    struct sf_error err;
    enum sf_code code;

    if (a == NULL) {
        return;
    }
    a->asked = q;
    sf_arena_init(&a->arena, CONTROL_READ_MAX);
    change_product_init(&a->change, q->control->state);
    a->change.op.done = on_applied;
    code = read_apply(a, &err);
    if (code == SF_OK) {
        code = event_log_append(q->control->state->log, &a->change.op, &err);
    }
    if (code != SF_OK) {
        fail(q->control, q->reply, &err);
        apply_free(a);
    }
}

/* --- product.life ----------------------------------------------------------------------------- */

/* A removal or restoral under way. */
struct life {
    struct change_life change;
    struct asked *asked;   /* owned */
    struct sf_arena arena; /* of the request */
};

static void life_free(struct life *l)
{
    asked_free(l->asked);
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
        fail(l->asked->control, l->asked->reply, err);
    } else if (sf_service_reply(l->asked->control->state->mesh_bus, l->asked->reply, PROTOBUF,
                                sf_slice_of(bytes, sheaf__v1__life_reply__pack(&m, bytes)),
                                &why) != SF_OK) {
        lose(l->asked->control, l->asked->reply, &why);
    }
    life_free(l);
}

static enum sf_code read_life(struct life *l, struct sf_error *err)
{
    const struct registry_domain *d = l->asked->domain;
    const Sheaf__V1__LifeRequest *m =
        SF_CONTROL_UNPACK(life_request, &l->arena, sf_buf_view(&l->asked->data));

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

static void life(struct asked *q)
{
    struct life *l = begin_change(q, sizeof(*l));
    struct sf_error err;
    enum sf_code code;

    if (l == NULL) {
        return;
    }
    l->asked = q;
    sf_arena_init(&l->arena, CONTROL_READ_MAX);
    change_life_init(&l->change, q->control->state);
    l->change.op.done = on_life_changed;
    code = read_life(l, &err);
    if (code == SF_OK) {
        code = event_log_append(q->control->state->log, &l->change.op, &err);
    }
    if (code != SF_OK) {
        fail(q->control, q->reply, &err);
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

static void explain(struct asked *a)
{
    struct control *c = a->control;
    const Sheaf__V1__ExplainRequest *q;
    struct sf_arena arena;
    struct sf_error err;
    enum sf_code code;

    sf_arena_init(&arena, CONTROL_READ_MAX);
    q = SF_CONTROL_UNPACK(explain_request, &arena, sf_buf_view(&a->data));
    code = q == NULL ? unreadable(&arena, "a question", a->domain, &err)
                     : explain_access(c->state, a->domain, q, &err);
    if (code != SF_OK) {
        fail(c, a->reply, &err);
    } else if (sf_service_reply(c->state->mesh_bus, a->reply, PROTOBUF, sf_slice_text(NULL),
                                &err) != SF_OK) {
        lose(c, a->reply, &err);
    }
    sf_arena_done(&arena);
    asked_free(a);
}

/* --- dispatch --------------------------------------------------------------------------------- */

static void unknown(struct asked *q)
{
    struct sf_error err;

    (void)SF_RAISE_E(&err, SF_ABSENT, SHEAF_E_NO_SUCH_PATH, "no such control operation");
    refuse(q, &err);
}

static const struct op OPS[] = {
    {"poll", TURNS_POLL, poll},
    {"product.apply", TURNS_CONTROL, apply},
    {"product.life", TURNS_CONTROL, life},
    {"access.explain", TURNS_CONTROL, explain},
    {"", TURNS_CONTROL, unknown}, /* any other */
};

static const struct op *op_of(const char *name)
{
    size_t i = 0;

    while (OPS[i].name[0] != '\0' && strcmp(OPS[i].name, name) != 0) {
        i++;
    }
    return &OPS[i];
}

static void on_turn(struct turn *t)
{
    struct asked *q = SF_CONTAINER_OF(t, struct asked, turn);

    q->op->handle(q);
}

/* What @m asks is looked at now, or when its turn comes. False: it is refused, without an answer
 * when @err has code SF_OK. */
static bool let_in(struct asked *q, const struct sf_bus_msg *m, struct sf_error *err)
{
    struct hub_state *s = q->control->state;
    const enum turn_answer answer =
        turn_take(&s->turns, q->domain->name, q->op->way, m->data.size, &q->turn);

    if (answer == TURN_DROPPED) {
        err->code = SF_OK;
        return false;
    }
    if (answer == TURN_REFUSED) {
        (void)SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "%zu requests of domain %s are under way",
                         s->turns.requests_max, q->domain->name);
        return false;
    }
    sf_buf_append(&q->data, m->data.data, m->data.size);
    if (sf_buf_check(&q->data, "request", err) != SF_OK) {
        return false;
    }
    if (answer == TURN_NOW) {
        q->op->handle(q);
    }
    return true;
}

static void ask(struct control *c, const struct registry_domain *d, const struct op *op,
                const struct sf_bus_msg *m)
{
    struct asked *q = NULL;
    struct sf_error err;

    if (strlen(m->reply) < sizeof(q->reply)) {
        q = sf_calloc(1, sizeof(*q));
    }
    if (q == NULL) {
        (void)SF_RAISE_E(&err, SF_BUSY, SHEAF_E_BUSY, "no room for a request");
        fail(c, m->reply, &err);
        return;
    }
    q->control = c;
    q->domain = d;
    q->op = op;
    q->turn.run = on_turn;
    memcpy(q->reply, m->reply, strlen(m->reply) + 1);
    sf_list_push(&c->asked, &q->link);
    if (!let_in(q, m, &err)) {
        if (err.code != SF_OK) {
            fail(c, m->reply, &err);
        }
        asked_free(q);
    }
}

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
        return;
    }
    ask(c, d, op_of(op), m);
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
    sf_list_init(&c->asked);
    sf_list_init(&c->changing);
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
        while (!sf_list_empty(&c->asked)) { /* each waits for its turn */
            asked_free(SF_CONTAINER_OF(c->asked.next, struct asked, link));
        }
        sf_free(c);
    }
}
