/* /v1/access: requests and grants, read and made. */
#include <string.h>

#include "hub/api/access_json.h"
#include "hub/api/access_opens.h"
#include "hub/api/change.h"
#include "hub/api/product_ref.h"
#include "hub/policy/access.h"
#include "proto/errors.h"

/* --- reading ---------------------------------------------------------------------------------- */

struct filter {
    const char *role;  /* "owner", "consumer" or NULL */
    const char *state; /* or NULL */
};

static enum sf_code read_filter(const struct call *c, struct filter *ret, struct sf_error *err)
{
    static const char *const states[] = {"pending", "approved", "denied",
                                         "active",  "revoked",  "expired"};
    bool known = false;

    ret->role = sf_http_query(c->r, "role");
    ret->state = sf_http_query(c->r, "state");
    if (ret->role != NULL && strcmp(ret->role, "owner") != 0 &&
        strcmp(ret->role, "consumer") != 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'role' must be owner or consumer");
    }
    for (size_t i = 0; ret->state != NULL && i < SF_COUNT(states); i++) {
        known = known || strcmp(ret->state, states[i]) == 0;
    }
    if (ret->state != NULL && !known) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "'state' must be pending, approved, denied, active, revoked or expired");
    }
    return SF_OK;
}

static bool passes(const struct call *c, const struct filter *f, const struct registry_request *q,
                   const char *state)
{
    if (!access_is_visible(c, q) || (f->state != NULL && strcmp(f->state, state) != 0)) {
        return false;
    }
    return f->role == NULL || access_is_owner(c, q) == (strcmp(f->role, "owner") == 0);
}

static enum sf_code write_request(struct answer *a, struct call *c,
                                  const struct registry_request *q, bool whole,
                                  struct sf_error *err)
{
    const struct access_rights rights = {q, q->purpose, q->columns, q->column_count};

    access_write_request(a, q);
    return q->state == REGISTRY_PENDING ? access_write_opens(a, c, &rights, whole, err) : SF_OK;
}

static enum sf_code write_grant(struct answer *a, struct call *c, const struct registry_grant *g,
                                bool whole, struct sf_error *err)
{
    const struct access_rights rights = {g->request, g->purpose, g->columns, g->column_count};

    access_write_grant(a, c, g);
    return g->state == REGISTRY_ACTIVE ? access_write_opens(a, c, &rights, whole, err) : SF_OK;
}

static enum sf_code write_requests(struct answer *a, struct call *c, const struct filter *f,
                                   struct sf_error *err)
{
    const struct registry *r = &c->state->registry;
    enum sf_code code = SF_OK;

    sf_json_key(&a->json, "requests");
    sf_json_array_begin(&a->json);
    for (size_t i = 0; i < r->request_count && code == SF_OK; i++) {
        if (passes(c, f, r->requests[i], access_request_state(r->requests[i]))) {
            sf_json_object_begin(&a->json);
            sf_json_member_text(&a->json, "kind", "AccessRequest");
            code = write_request(a, c, r->requests[i], /* whole= */ false, err);
            sf_json_object_end(&a->json);
        }
    }
    sf_json_array_end(&a->json);
    return code;
}

static enum sf_code write_grants(struct answer *a, struct call *c, const struct filter *f,
                                 struct sf_error *err)
{
    const struct registry *r = &c->state->registry;
    enum sf_code code = SF_OK;

    sf_json_key(&a->json, "grants");
    sf_json_array_begin(&a->json);
    for (size_t i = 0; i < r->grant_count && code == SF_OK; i++) {
        if (passes(c, f, r->grants[i]->request, access_grant_state(r->grants[i]))) {
            sf_json_object_begin(&a->json);
            sf_json_member_text(&a->json, "kind", "Grant");
            code = write_grant(a, c, r->grants[i], /* whole= */ false, err);
            sf_json_object_end(&a->json);
        }
    }
    sf_json_array_end(&a->json);
    return code;
}

/* Ends the call with what was written, unless that failed. */
static void finish(struct answer *a, struct call *c, enum sf_code code, const struct sf_error *err)
{
    if (code == SF_OK) {
        answer_send(a, c, 200);
        return;
    }
    sf_buf_done(&a->body);
    call_fail(c, err);
}

void access_list(struct call *c, const char *const *part)
{
    struct filter f;
    struct sf_error err;
    struct answer a;
    enum sf_code code;

    (void)part;
    if (read_filter(c, &f, &err) != SF_OK) {
        call_fail(c, &err);
        return;
    }
    answer_begin(&a, "AccessList");
    code = write_requests(&a, c, &f, &err);
    code = code == SF_OK ? write_grants(&a, c, &f, &err) : code;
    finish(&a, c, code, &err);
}

void access_get(struct call *c, const char *const *part)
{
    const struct registry_request *q = registry_request(&c->state->registry, part[0]);
    const struct registry_grant *g = registry_grant(&c->state->registry, part[0]);
    struct sf_error err;
    struct answer a;

    if (q != NULL && access_is_visible(c, q)) {
        answer_begin(&a, "AccessRequest");
        finish(&a, c, write_request(&a, c, q, /* whole= */ true, &err), &err);
    } else if (g != NULL && access_is_visible(c, g->request)) {
        answer_begin(&a, "Grant");
        finish(&a, c, write_grant(&a, c, g, /* whole= */ true, &err), &err);
    } else {
        bool is_grant = strncmp(part[0], "G-", 2) == 0;

        (void)SF_RAISE_E(&err, SF_ABSENT,
                         is_grant ? SHEAF_E_GRANT_UNKNOWN : SHEAF_E_REQUEST_UNKNOWN,
                         "there is no %s %.24s", is_grant ? "grant" : "request", part[0]);
        call_fail(c, &err);
    }
}

/* --- asking ----------------------------------------------------------------------------------- */

static void on_requested(struct event_append *op, enum sf_code code, const struct event_record *r,
                         const struct sf_error *err)
{
    struct change_request *q = op->data;
    struct call *c = q->waiter;
    struct answer a;

    (void)r;
    if (code != SF_OK) {
        call_fail(c, err);
        return;
    }
    answer_begin(&a, "AccessRequest");
    access_write_request(&a, registry_request(&c->state->registry, q->id));
    answer_send(&a, c, 201);
}

static enum sf_code read_columns(struct call *c, struct change_request *q, struct sf_error *err)
{
    const struct sf_json *list = NULL;
    const char **columns;
    enum sf_code code =
        sf_json_read_value(c->body, "columns", SF_JSON_OPTIONAL, SF_JSON_ARRAY, &list, err);
    size_t count = sf_json_count(list);

    if (code != SF_OK || count == 0) {
        return code;
    }
    if (count > POLICY_COLUMNS_MAX) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "more than %d columns",
                          POLICY_COLUMNS_MAX);
    }
    columns = sf_arena_calloc(&c->arena, count, sizeof(*columns));
    if (columns == NULL) {
        return SF_RAISE(err, SF_NOMEM, "columns");
    }
    for (struct sf_json_iter it = sf_json_iter(list); sf_json_next(&it);) {
        if (!sf_json_as_text(it.value, &columns[q->column_count++])) {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                              "'columns' must be a list of names");
        }
    }
    q->columns = columns;
    return SF_OK;
}

static enum sf_code read_request(struct call *c, struct change_request *q, struct sf_error *err)
{
    static const char *const names[] = {"product", "purpose", "duration_us", "columns", NULL};
    const struct sf_json_range duration = {INT64_MIN, INT64_MAX}; /* policy_check_request() says */
    struct product_ref *ref = sf_arena_alloc(&c->arena, sizeof(*ref));
    const char *product = NULL;
    enum sf_code code = sf_json_check_names(c->body, names, err);

    if (code == SF_OK) {
        code = sf_json_read_text(c->body, "product", SF_JSON_REQUIRED, &product, err);
    }
    if (code == SF_OK) {
        code = sf_json_read_text(c->body, "purpose", SF_JSON_REQUIRED, &q->purpose, err);
    }
    if (code == SF_OK) {
        code = sf_json_read_int(c->body, "duration_us", SF_JSON_REQUIRED, duration, &q->duration_us,
                                err);
    }
    if (code != SF_OK) {
        return code;
    }
    if (ref == NULL || !product_ref_parse(product, /* with_domain= */ true, ref)) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "'product' must be DOMAIN/PRODUCT or DOMAIN/PRODUCT@MAJOR");
    }
    q->owner = ref->domain;
    q->product = ref->product;
    q->major = ref->major;
    return read_columns(c, q, err);
}

void request_post(struct call *c, const char *const *part)
{
    const struct registry_domain *consumer = call_domain(c);
    struct change_request *q;
    struct sf_error err;
    enum sf_code code;

    (void)part;
    if (consumer == NULL || (q = call_work(c, sizeof(*q))) == NULL) {
        return;
    }
    change_request_init(q, c->state);
    q->waiter = c;
    q->op.done = on_requested;
    q->actor = c->actor;
    q->consumer = consumer->name;
    code = read_request(c, q, &err);
    if (code == SF_OK) {
        code = event_log_append(c->state->log, &q->op, &err);
    }
    if (code != SF_OK) {
        call_fail(c, &err);
    }
}
