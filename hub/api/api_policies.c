/*
 * /v1/policies: the platform's, read by every member and changed by the platform.
 *
 *   APPEND (event log) --> EFFECT (leaves that are up acknowledge, or a second is over) --> answer
 *
 * Right after the hub's start no leaf has been heard of: those of that moment are waited for until
 * they count as down.
 */
#include <string.h>

#include "common/base/utf8.h"
#include "hub/api/call.h"
#include "hub/api/change_policy.h"
#include "proto/errors.h"

enum { FILES_MAX = 1000, FILE_NAME_MAX = 255 };

/* --- reading ---------------------------------------------------------------------------------- */

static void write_policy(struct answer *a, const struct registry_policy *p)
{
    sf_json_member_text(&a->json, "name", p->name);
    sf_json_member_text(&a->json, "file", p->file);
    sf_json_member_uint(&a->json, "line", p->line);
    sf_json_member_uint(&a->json, "version", p->version);
    answer_time(a, "applied", p->applied_us);
    sf_json_member_text(&a->json, "applied_by", p->applied_by);
    sf_json_member_text(&a->json, "text", p->text);
}

void policy_list(struct call *c, const char *const *part)
{
    struct sf_map_entry *entry;
    struct answer a;
    size_t at = 0;

    (void)part;
    answer_begin(&a, "PolicyList");
    sf_json_member_uint(&a.json, "version", c->state->registry.policies.version);
    sf_json_key(&a.json, "items");
    sf_json_array_begin(&a.json);
    while ((entry = sf_map_next(&c->state->registry.policies.by_name, &at)) != NULL) {
        sf_json_object_begin(&a.json);
        write_policy(&a, entry->value);
        sf_json_object_end(&a.json);
    }
    sf_json_array_end(&a.json);
    answer_send(&a, c, 200);
}

void policy_get(struct call *c, const char *const *part)
{
    const struct registry_policy *p = registry_policy(&c->state->registry, part[0]);
    struct sf_error err;
    struct answer a;

    if (p == NULL) {
        (void)SF_RAISE_E(&err, SF_ABSENT, SHEAF_E_POLICY_UNKNOWN, "there is no policy %.60s",
                         part[0]);
        call_fail(c, &err);
        return;
    }
    answer_begin(&a, "Policy");
    write_policy(&a, p);
    answer_send(&a, c, 200);
}

static void write_change(struct answer *a, const struct registry_policy_change *change)
{
    sf_json_object_begin(&a->json);
    sf_json_member_uint(&a->json, "version", change->version);
    answer_time(a, "time", change->time_us);
    sf_json_member_text(&a->json, "actor", change->actor);
    if (change->is_rollback) {
        sf_json_member_uint(&a->json, "rolled_back_to", change->rolled_back_to);
    }
    sf_json_key(&a->json, "applied");
    sf_json_array_begin(&a->json);
    for (size_t i = 0; i < change->policy_count; i++) {
        sf_json_text(&a->json, change->policies[i]->name);
    }
    sf_json_array_end(&a->json);
    answer_texts(a, "removed", change->removed, change->removed_count);
    sf_json_object_end(&a->json);
}

void policy_history(struct call *c, const char *const *part)
{
    const struct registry_policies *p = &c->state->registry.policies;
    struct answer a;

    (void)part;
    answer_begin(&a, "PolicyHistory");
    sf_json_key(&a.json, "items");
    sf_json_array_begin(&a.json);
    for (size_t n = p->change_count; n > 0; n--) {
        write_change(&a, &p->changes[n - 1]);
    }
    sf_json_array_end(&a.json);
    answer_send(&a, c, 200);
}

/* --- changing --------------------------------------------------------------------------------- */

struct policy_call {
    struct change_policy change;
    struct lease_wait *waits; /* one for each leaf that is waited for */
    size_t wait_count;
    size_t lagging;
    struct sf_timer deadline;
};

static void write_effects(struct answer *a, const struct change_policy *p)
{
    sf_json_key(&a->json, "effects");
    sf_json_array_begin(&a->json);
    for (size_t i = 0; i < p->effect_count; i++) {
        const struct policy_effect *e = &p->effects[i];

        sf_json_object_begin(&a->json);
        sf_json_member_text(&a->json, "product", e->product);
        sf_json_member_text(&a->json, "table", e->table);
        sf_json_member_text(&a->json, "consumer", e->consumer);
        sf_json_member_text(&a->json, "change", blast_kind_name(e->effect.kind));
        sf_json_member_text(&a->json, "field", e->effect.field);
        sf_json_member_text(&a->json, "before", e->effect.before);
        sf_json_member_text(&a->json, "after", e->effect.after);
        sf_json_member_text(&a->json, "policy", e->effect.policy);
        sf_json_object_end(&a->json);
    }
    sf_json_array_end(&a->json);
}

static void write_findings(struct answer *a, const struct change_policy *p)
{
    sf_json_key(&a->json, "findings");
    sf_json_array_begin(&a->json);
    for (size_t i = 0; i < p->finding_count; i++) {
        const struct policy_finding *f = &p->findings[i];

        sf_json_object_begin(&a->json);
        sf_json_member_text(&a->json, "product", f->product);
        sf_json_member_text(&a->json, "policy", f->breach.cause.policy);
        sf_json_member_bool(&a->json, "refuses", f->breach.refuses);
        sf_json_member_text(&a->json, "text", f->breach.text);
        sf_json_object_end(&a->json);
    }
    sf_json_array_end(&a->json);
}

/* Leaves that have not said that they have the newest bundle, also those that are away: they may
 * serve by the last one. */
static void write_laggards(struct answer *a, const struct call *c)
{
    struct sf_map_entry *entry;
    size_t at = 0;

    sf_json_key(&a->json, "laggards");
    sf_json_array_begin(&a->json);
    while ((entry = sf_map_next(&c->state->leases.by_domain, &at)) != NULL) {
        const struct lease *l = entry->value;

        if (!lease_is_acknowledged(l)) {
            sf_json_text(&a->json, l->domain->name);
        }
    }
    sf_json_array_end(&a->json);
}

static void send_change(struct policy_call *p)
{
    const struct change_policy *change = &p->change;
    struct call *c = change->waiter;
    struct answer a;

    answer_begin(&a, "PolicyChange");
    sf_json_member_uint(&a.json, "version", change->version);
    sf_json_member_bool(&a.json, "changed", change->changed);
    sf_json_member_bool(&a.json, "dry_run", change->dry_run);
    sf_json_key(&a.json, "applied");
    sf_json_array_begin(&a.json);
    for (size_t i = 0; i < change->applied_count; i++) {
        sf_json_text(&a.json, change->applied[i]->name);
    }
    sf_json_array_end(&a.json);
    answer_texts(&a, "removed", change->removed, change->removed_count);
    write_effects(&a, change);
    sf_json_member_uint(&a.json, "effects_left_out", change->effects_left_out);
    write_findings(&a, change);
    sf_json_member_uint(&a.json, "findings_left_out", change->findings_left_out);
    if (!change->dry_run && change->changed) {
        write_laggards(&a, c);
    }
    answer_send(&a, c, 200);
}

static void end_waits(struct policy_call *p)
{
    for (size_t i = 0; i < p->wait_count; i++) {
        lease_cancel(&p->waits[i]);
    }
    p->wait_count = 0;
    sf_rt_timer_stop(p->change.state->rt, &p->deadline);
}

static void on_deadline(struct sf_timer *t)
{
    struct policy_call *p = SF_CONTAINER_OF(t, struct policy_call, deadline);

    end_waits(p);
    send_change(p);
}

static void on_acknowledged(struct lease_wait *w)
{
    struct policy_call *p = w->data;

    if (--p->lagging == 0) {
        end_waits(p);
        send_change(p);
    }
}

static void wait_for_leaves(struct policy_call *p)
{
    struct hub_state *s = p->change.state;
    struct sf_map_entry *entry;
    uint64_t longest_ns = 0;
    size_t at = 0;

    p->waits = sf_arena_calloc(p->change.arena, s->leases.by_domain.live + 1, sizeof(*p->waits));
    while (p->waits != NULL && (entry = sf_map_next(&s->leases.by_domain, &at)) != NULL) {
        struct lease *l = entry->value;
        const uint64_t patience_ns = lease_patience_ns(l, EFFECT_REVOKE_NS);

        if (patience_ns > 0 && !lease_is_acknowledged(l)) {
            struct lease_wait *w = &p->waits[p->wait_count++];

            *w = (struct lease_wait){.done = on_acknowledged, .data = p};
            lease_wait(l, w);
            p->lagging++;
            longest_ns = patience_ns > longest_ns ? patience_ns : longest_ns;
        }
    }
    p->deadline = (struct sf_timer){.fire = on_deadline};
    sf_rt_timer_start(s->rt, &p->deadline, longest_ns);
}

static void on_changed(struct event_append *op, enum sf_code code, const struct event_record *r,
                       const struct sf_error *err)
{
    struct policy_call *p = SF_CONTAINER_OF(op, struct policy_call, change.op);

    (void)r;
    if (code != SF_OK) {
        call_fail(p->change.waiter, err);
    } else if (p->change.dry_run || !p->change.changed) {
        send_change(p);
    } else {
        wait_for_leaves(p);
    }
}

static void cancel_change(struct call *c)
{
    end_waits(c->work);
}

/* --- the request ------------------------------------------------------------------------------ */

/* The documents of all files so far; a name twice is refused. */
struct documents {
    struct call *call;
    struct sf_policy_document *items;
    const char **files;
    size_t count;
    size_t capacity;
    struct sf_map places; /* by name: the number of the document, from 1 */
};

static bool grow(struct documents *d, size_t count)
{
    if (d->count + count > d->capacity) {
        size_t capacity = 2 * (d->count + count) + 8;
        struct sf_policy_document *items =
            sf_arena_calloc(&d->call->arena, capacity, sizeof(*items));
        const char **files = sf_arena_calloc(&d->call->arena, capacity, sizeof(*files));

        if (items == NULL || files == NULL) {
            return false;
        }
        if (d->count > 0) {
            memcpy(items, d->items, d->count * sizeof(*items));
            memcpy(files, d->files, d->count * sizeof(*files));
        }
        d->items = items;
        d->files = files;
        d->capacity = capacity;
    }
    return true;
}

static enum sf_code add_document(struct documents *d, const struct sf_policy_document *doc,
                                 const char *file, struct sf_error *err)
{
    const uintptr_t before = (uintptr_t)sf_map_get(&d->places, doc->name);

    if (before > 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_DUPLICATE_KEY,
                          "policy '%s' stands twice: %s:%u and %s:%u", doc->name,
                          d->files[before - 1], d->items[before - 1].line, file, doc->line);
    }
    d->items[d->count] = *doc;
    d->files[d->count++] = file;
    return sf_map_put(&d->places, sf_slice_text(doc->name), (void *)(uintptr_t)d->count) == SF_OK
               ? SF_OK
               : SF_RAISE(err, SF_NOMEM, "policies");
}

static enum sf_code add_file(struct documents *d, const struct sf_json *v, struct sf_error *err)
{
    static const char *const names[] = {"file", "text", NULL};
    SF_CLEANUP(sf_issues_done) struct sf_issues issues = {0};
    struct sf_policy_document *docs = NULL;
    const char *file = NULL;
    const char *text = NULL;
    size_t count = 0;
    enum sf_code code = sf_json_check_names(v, names, err);

    sf_issues_init(&issues, "", sf_slice_text(NULL));
    if (code == SF_OK) {
        code = sf_json_read_text(v, "file", SF_JSON_REQUIRED, &file, err);
    }
    if (code == SF_OK) {
        code = sf_json_read_text(v, "text", SF_JSON_REQUIRED, &text, err);
    }
    if (code != SF_OK) {
        return code;
    }
    if (strlen(file) > FILE_NAME_MAX) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "a file's name is too long");
    }
    issues.file = file;
    issues.source = sf_slice_text(text);
    code = sf_policy_split(&issues, &d->call->arena, &docs, &count, err);
    if (code == SF_OK && !grow(d, count)) {
        code = SF_RAISE(err, SF_NOMEM, "policies");
    }
    for (size_t i = 0; i < count && code == SF_OK; i++) {
        code = add_document(d, &docs[i], file, err);
    }
    return code;
}

static enum sf_code read_files(struct call *c, struct change_policy *p, struct sf_error *err)
{
    struct documents d = {.call = c};
    const struct sf_json *files = NULL;
    enum sf_code code =
        sf_json_read_value(c->body, "files", SF_JSON_OPTIONAL, SF_JSON_ARRAY, &files, err);

    if (code == SF_OK && sf_json_count(files) > FILES_MAX) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "more than %d files", FILES_MAX);
    }
    for (struct sf_json_iter it = sf_json_iter(files); code == SF_OK && sf_json_next(&it);) {
        code = add_file(&d, it.value, err);
    }
    sf_map_done(&d.places);
    p->documents = d.items;
    p->files = d.files;
    p->document_count = d.count;
    return code;
}

static enum sf_code read_removed(struct call *c, struct change_policy *p, struct sf_error *err)
{
    const struct sf_json *list = NULL;
    const char **names;
    enum sf_code code =
        sf_json_read_value(c->body, "remove", SF_JSON_OPTIONAL, SF_JSON_ARRAY, &list, err);

    if (code != SF_OK) {
        return code;
    }
    names = sf_arena_calloc(&c->arena, sf_json_count(list) + 1, sizeof(*names));
    if (names == NULL) {
        return SF_RAISE(err, SF_NOMEM, "names");
    }
    p->remove = names;
    for (struct sf_json_iter it = sf_json_iter(list); sf_json_next(&it);) {
        if (!sf_json_as_text(it.value, &names[p->remove_count++])) {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'remove' is a list of names");
        }
    }
    return SF_OK;
}

static enum sf_code read_change(struct call *c, struct change_policy *p, struct sf_error *err)
{
    static const char *const names[] = {"files", "remove", "rollback_to", "dry_run", NULL};
    const struct sf_json_range range = {0, INT64_MAX};
    int64_t version = -1;
    enum sf_code code = sf_json_check_names(c->body, names, err);

    if (code == SF_OK) {
        code = read_files(c, p, err);
    }
    if (code == SF_OK) {
        code = read_removed(c, p, err);
    }
    if (code == SF_OK) {
        code = sf_json_read_bool(c->body, "dry_run", SF_JSON_OPTIONAL, &p->dry_run, err);
    }
    if (code == SF_OK) {
        code = sf_json_read_int(c->body, "rollback_to", SF_JSON_OPTIONAL, range, &version, err);
    }
    p->rollback = version >= 0;
    p->rollback_to = p->rollback ? (uint64_t)version : 0;
    if (code == SF_OK && p->rollback && p->document_count + p->remove_count > 0) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "'rollback_to' stands alone, without files and names");
    }
    return code;
}

void policy_change_post(struct call *c, const char *const *part)
{
    struct policy_call *p = call_work(c, sizeof(*p));
    struct sf_error err;
    enum sf_code code;

    (void)part;
    if (p == NULL) {
        return;
    }
    change_policy_init(&p->change, c->state, &c->arena);
    p->change.waiter = c;
    p->change.op.done = on_changed;
    p->change.actor = c->actor;
    c->cancel = cancel_change;
    code = read_change(c, &p->change, &err);
    if (code == SF_OK) {
        code = event_log_append(c->state->log, &p->change.op, &err);
    }
    if (code != SF_OK) {
        call_fail(c, &err);
    }
}
