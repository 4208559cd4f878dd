/* /v1/audit: the events as they are stored, so that whoever reads them can verify the chain; of
 * those of others that there was one, and its hash. */
#include "common/base/str.h"
#include "common/wire/control.h"
#include "hub/api/audit_reader.h"
#include "hub/registry/registry_policy.h"
#include "proto/errors.h"

enum {
    LIMIT_DEFAULT = 100,
    LIMIT_MAX = 1000,
    PAGE_BYTES_MAX = 1024 * 1024,
    PAGES_MAX = 16, /* under way */
};

struct audit_call {
    struct event_read read;
    struct call *call;
    struct answer answer;
    struct sf_arena arena; /* of one event */
    uint64_t head;
};

/* As in the set's history: "+name" or "-name", all in one text. */
static void write_policies(struct answer *a, const Sheaf__V1__Event *e)
{
    const bool applied = e->kind_case == SHEAF__V1__EVENT__KIND_POLICY_APPLIED;
    char *const *removed = applied ? e->policy_applied->removed : e->policy_removed->names;
    size_t removed_count = applied ? e->policy_applied->n_removed : e->policy_removed->n_names;
    SF_CLEANUP(sf_buf_done) struct sf_buf names = {0};

    sf_json_member_uint(&a->json, "version",
                        applied ? e->policy_applied->version : e->policy_removed->version);
    if (applied && registry_policy_is_rollback(e->policy_applied)) {
        sf_json_member_uint(&a->json, "rolled_back_to", e->policy_applied->rolled_back_to);
    }
    for (size_t i = 0; applied && i < e->policy_applied->n_policies; i++) {
        sf_buf_printf(&names, "%s+%s", names.size == 0 ? "" : " ",
                      e->policy_applied->policies[i]->name);
    }
    for (size_t i = 0; i < removed_count; i++) {
        sf_buf_printf(&names, "%s-%s", names.size == 0 ? "" : " ", removed[i]);
    }
    sf_json_member_slice(&a->json, "policies", sf_buf_view(&names));
}

/* What an event is about, in names that say so; whole payloads are there as bytes. */
static void write_detail(struct answer *a, const Sheaf__V1__Event *e)
{
    struct sf_json_writer *w = &a->json;

    sf_json_key(w, "detail");
    sf_json_object_begin(w);
    switch (e->kind_case) {
    case SHEAF__V1__EVENT__KIND_MESH_CREATED:
        sf_json_member_text(w, "mesh", e->mesh_created->mesh);
        break;
    case SHEAF__V1__EVENT__KIND_TOKEN_ISSUED:
        sf_json_member_text(w, "domain", e->token_issued->domain);
        break;
    case SHEAF__V1__EVENT__KIND_DOMAIN_JOINED:
        sf_json_member_text(w, "domain", e->domain_joined->domain);
        break;
    case SHEAF__V1__EVENT__KIND_PRODUCT_APPLIED:
        sf_json_key(w, "product");
        sf_json_printf(w, "%s/%s", e->product_applied->domain, e->product_applied->product);
        sf_json_member_text(w, "version", e->product_applied->version);
        break;
    case SHEAF__V1__EVENT__KIND_ACCESS_REQUESTED:
        sf_json_member_text(w, "request", e->access_requested->request_id);
        sf_json_key(w, "product");
        sf_json_printf(w, "%s/%s@%u", e->access_requested->owner, e->access_requested->product,
                       e->access_requested->major);
        sf_json_member_text(w, "consumer", e->access_requested->consumer);
        break;
    case SHEAF__V1__EVENT__KIND_ACCESS_DECIDED:
        sf_json_member_bool(w, "approved", e->access_decided->grant != NULL);
        if (e->access_decided->grant != NULL) {
            sf_json_member_text(w, "grant", e->access_decided->grant->id);
            sf_json_member_text(w, "request", e->access_decided->grant->request_id);
        }
        break;
    case SHEAF__V1__EVENT__KIND_GRANT_ENDED:
        sf_json_member_text(w, "grant", e->grant_ended->grant_id);
        sf_json_member_text(w, "cause", e->grant_ended->cause);
        break;
    case SHEAF__V1__EVENT__KIND_PRODUCT_REMOVED:
        sf_json_key(w, "product");
        sf_json_printf(w, "%s/%s@%u", e->product_removed->domain, e->product_removed->product,
                       e->product_removed->major);
        answer_time(a, "purge", e->product_removed->purge_us);
        sf_json_member_text(w, "reason", e->product_removed->reason);
        break;
    case SHEAF__V1__EVENT__KIND_PRODUCT_RESTORED:
        sf_json_key(w, "product");
        sf_json_printf(w, "%s/%s@%u", e->product_restored->domain, e->product_restored->product,
                       e->product_restored->major);
        break;
    case SHEAF__V1__EVENT__KIND_POLICY_APPLIED:
    case SHEAF__V1__EVENT__KIND_POLICY_REMOVED:
        write_policies(a, e);
        break;
    case SHEAF__V1__EVENT__KIND__NOT_SET:
    case _SHEAF__V1__EVENT__KIND__CASE_IS_INT_SIZE:
        break;
    }
    sf_json_object_end(w);
}

static void write_about(struct answer *a, const Sheaf__V1__Event *e, enum audit_part part)
{
    answer_time(a, "time", e->time_us);
    sf_json_member_text(&a->json, "actor", part == AUDIT_KIND ? NULL : e->actor);
    sf_json_member_text(&a->json, "kind", event_kind_name(e));
    if (part != AUDIT_KIND) {
        write_detail(a, e);
    }
}

/* What cannot be read is nobody's but the platform's. */
static enum audit_part part_of(const struct call *c, const Sheaf__V1__Event *e,
                               struct sf_arena *arena)
{
    if (e == NULL) {
        return c->is_platform ? AUDIT_WHOLE : AUDIT_KIND;
    }
    return audit_part_of(c, e, arena);
}

/* An event that cannot be read any more is shown as it is: the platform's check finds it. Without
 * memory there is no page. */
static void write_event(struct answer *a, const struct call *c, struct sf_arena *arena,
                        uint64_t number, struct sf_slice bytes)
{
    const Sheaf__V1__Signed *sealed = SF_CONTROL_UNPACK(signed, arena, bytes);
    struct sf_slice payload = sealed == NULL ? bytes : sf_control_slice(sealed->payload);
    const Sheaf__V1__Event *e = SF_CONTROL_UNPACK(event, arena, payload);
    enum audit_part part = part_of(c, e, arena);
    uint8_t hash[SF_HASH256_SIZE];

    if (arena->missed) {
        a->body.failed = SF_NOMEM;
    }
    sf_hash256(&payload, 1, hash);
    sf_json_object_begin(&a->json);
    sf_json_member_uint(&a->json, "number", number);
    if (e != NULL) {
        write_about(a, e, part);
    }
    answer_base64(a, "hash", sf_slice_of(hash, sizeof(hash)));
    sf_json_member_bool(&a->json, "withheld", part != AUDIT_WHOLE);
    if (part == AUDIT_WHOLE) {
        answer_base64(a, "payload", payload);
    }
    if (part == AUDIT_WHOLE && sealed != NULL) {
        answer_base64(a, "signature", sf_control_slice(sealed->signature));
        answer_base64(a, "key", sf_control_slice(sealed->key));
    }
    sf_json_object_end(&a->json);
}

static enum sf_code on_bytes(struct event_read *r, uint64_t number, struct sf_slice bytes,
                             struct sf_error *err)
{
    struct audit_call *x = SF_CONTAINER_OF(r, struct audit_call, read);

    sf_arena_reset(&x->arena);
    write_event(&x->answer, x->call, &x->arena, number, bytes);
    if (x->answer.body.size > PAGE_BYTES_MAX) {
        r->last = number; /* the page is full: its reader goes on behind it */
    }
    return sf_buf_check(&x->answer.body, "audit page", err);
}

static void release(struct audit_call *x)
{
    x->call->state->audit_pages--;
    sf_arena_done(&x->arena);
}

static void finish(struct audit_call *x)
{
    sf_json_array_end(&x->answer.json);
    release(x);
    answer_send(&x->answer, x->call, 200);
}

static void on_read(struct event_read *r, enum sf_code code, const struct sf_error *err)
{
    struct audit_call *x = SF_CONTAINER_OF(r, struct audit_call, read);

    if (code == SF_OK) {
        finish(x);
        return;
    }
    release(x);
    sf_buf_done(&x->answer.body);
    call_fail(x->call, err);
}

static void cancel_audit(struct call *c)
{
    struct audit_call *x = c->work;

    event_read_cancel(&x->read);
    release(x);
    sf_buf_done(&x->answer.body);
}

static enum sf_code query_number(const struct call *c, const char *name, uint64_t max,
                                 uint64_t *ret, struct sf_error *err)
{
    const char *text = sf_http_query(c->r, name);

    if (text != NULL && (sf_parse_u64(sf_slice_text(text), ret) != SF_PARSE_OK || *ret > max)) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "'%s' must be a whole number up to %lu", name, (unsigned long)max);
    }
    return SF_OK;
}

static void start(struct call *c, struct audit_call *x, uint64_t after, uint64_t limit)
{
    struct sf_error err;

    c->state->audit_pages++;
    x->head = event_log_head(c->state->log)->number;
    sf_arena_init(&x->arena, 0);
    answer_begin(&x->answer, "AuditPage");
    answer_base64(&x->answer, "hub_key",
                  sf_slice_of(c->state->keys->hub_key.public_key.bytes, SF_PUBLIC_KEY_SIZE));
    sf_json_member_uint(&x->answer.json, "head", x->head);
    sf_json_key(&x->answer.json, "items");
    sf_json_array_begin(&x->answer.json);
    if (after >= x->head || limit == 0) {
        finish(x);
        return;
    }
    x->read = (struct event_read){.on_bytes = on_bytes, .done = on_read, .next = after + 1};
    x->read.last = x->head - after > limit ? after + limit : x->head;
    c->cancel = cancel_audit;
    if (event_read_start(c->state->rt, c->state->mesh_bus, &x->read, &err) != SF_OK) {
        on_read(&x->read, err.code, &err);
    }
}

void audit_get(struct call *c, const char *const *part)
{
    struct audit_call *x;
    uint64_t after = 0;
    uint64_t limit = LIMIT_DEFAULT;
    struct sf_error err;
    enum sf_code code = query_number(c, "after", INT64_MAX, &after, &err);

    (void)part;
    if (code == SF_OK) {
        code = query_number(c, "limit", LIMIT_MAX, &limit, &err);
    }
    if (code == SF_OK && c->state->audit_pages >= PAGES_MAX) {
        code = SF_RAISE_E(&err, SF_BUSY, SHEAF_E_BUSY, "%d pages of the log are being read",
                          PAGES_MAX);
    }
    if (code != SF_OK) {
        call_fail(c, &err);
        return;
    }
    x = call_work(c, sizeof(*x));
    if (x != NULL) {
        x->call = c;
        start(c, x, after, limit);
    }
}
