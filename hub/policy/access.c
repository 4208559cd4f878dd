#include "hub/policy/access.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/errors.h"

static void refuse(struct policy_verdict *v, uint16_t number, const char *fmt, ...) SF_PRINTF(3, 4);

static void refuse(struct policy_verdict *v, uint16_t number, const char *fmt, ...)
{
    va_list args;

    v->allowed = false;
    v->number = number;
    va_start(args, fmt);
    (void)vsnprintf(v->text, sizeof(v->text), fmt, args);
    va_end(args);
}

static void allow(struct policy_verdict *v)
{
    *v = (struct policy_verdict){.allowed = true};
}

/* Whether any table has the field. */
static bool has_field(const struct sf_product *contract, const char *name)
{
    for (size_t i = 0; i < contract->table_count; i++) {
        if (sf_table_field_index(&contract->tables[i], sf_slice_text(name)) >= 0) {
            return true;
        }
    }
    return false;
}

/* Every column exists, is given to the consumer by the policies in force, and is named once. */
static bool check_columns(const struct sf_product *contract, const char *const *columns,
                          const char *const *closed, size_t count, struct policy_verdict *v)
{
    if (count > POLICY_COLUMNS_MAX) {
        refuse(v, SHEAF_E_BAD_REQUEST, "more than %d columns", POLICY_COLUMNS_MAX);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!has_field(contract, columns[i])) {
            refuse(v, SHEAF_E_FIELD_UNKNOWN, "%s/%s has no field '%.64s'", contract->domain,
                   contract->name, columns[i]);
            return false;
        }
        if (closed[i] != NULL) {
            refuse(v, SHEAF_E_POLICY_DENIES, "%s", closed[i]);
            return false;
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(columns[i], columns[k]) == 0) {
                refuse(v, SHEAF_E_BAD_REQUEST, "column '%s' is named twice", columns[i]);
                return false;
            }
        }
    }
    return true;
}

static bool check_product(const struct policy_request *r, struct policy_verdict *v)
{
    const bool owns = strcmp(r->owner, r->consumer) == 0;

    if (r->contract == NULL || (!owns && r->contract->status == SF_STATUS_DRAFT)) {
        refuse(v, SHEAF_E_PRODUCT_UNKNOWN, "there is no product %.48s/%.48s@%u", r->owner,
               r->product, r->major);
        return false;
    }
    if (owns) {
        refuse(v, SHEAF_E_BAD_REQUEST, "%s owns %s/%s: nothing to ask for", r->owner, r->owner,
               r->product);
        return false;
    }
    if (r->contract->access == SF_ACCESS_CLOSED) {
        refuse(v, SHEAF_E_CLOSED_PRODUCT, "%s/%s is closed to other domains", r->owner, r->product);
        return false;
    }
    if (r->contract->status == SF_STATUS_RETIRED) {
        refuse(v, SHEAF_E_CLOSED_PRODUCT, "%s/%s@%u is retired", r->owner, r->product, r->major);
        return false;
    }
    return true;
}

void policy_check_request(const struct policy_request *r, struct policy_verdict *ret)
{
    size_t purpose = r->purpose == NULL ? 0 : strlen(r->purpose);

    if (!r->consumer_joined) {
        refuse(ret, SHEAF_E_DENIED, "domain %.48s has not joined the mesh", r->consumer);
        return;
    }
    if (!check_product(r, ret)) {
        return;
    }
    if (purpose == 0 || purpose > POLICY_PURPOSE_MAX) {
        refuse(ret, SHEAF_E_BAD_REQUEST, "'purpose' must have 1 to %d bytes", POLICY_PURPOSE_MAX);
        return;
    }
    if (r->duration_us <= 0 || r->duration_us > POLICY_DURATION_MAX_US) {
        refuse(ret, SHEAF_E_BAD_REQUEST, "the duration must be above zero and at most five years");
        return;
    }
    if (r->active_grant != NULL) {
        refuse(ret, SHEAF_E_GRANT_EXISTS, "%s has %s for %s/%s@%u already", r->consumer,
               r->active_grant, r->owner, r->product, r->major);
        return;
    }
    if (r->pending_request != NULL) {
        refuse(ret, SHEAF_E_WRONG_STATE, "%s of %s for %s/%s@%u is waiting for a decision already",
               r->pending_request, r->consumer, r->owner, r->product, r->major);
        return;
    }
    if (check_columns(r->contract, r->columns, r->closed, r->column_count, ret)) {
        allow(ret);
    }
}

/* That the signed words are about this very request in this mesh. */
static bool decision_matches(const struct policy_decision *d, struct policy_verdict *v)
{
    const Sheaf__V1__Decision *s = d->decision;

    if (strcmp(s->mesh, d->mesh) != 0) {
        refuse(v, SHEAF_E_BAD_SIGNATURE, "the decision was signed for another mesh");
        return false;
    }
    if (strcmp(s->request_id, d->request_id) != 0 || strcmp(s->owner, d->owner) != 0 ||
        strcmp(s->product, d->product) != 0 || s->major != d->major ||
        strcmp(s->consumer, d->consumer) != 0) {
        refuse(v, SHEAF_E_BAD_REQUEST, "the decision is about another request than %s",
               d->request_id);
        return false;
    }
    return true;
}

/* A decision may grant less than was asked for, never more. */
static bool within_asked(const struct policy_decision *d, struct policy_verdict *v)
{
    if (d->asked_count == 0) {
        return true;
    }
    if (d->decision->n_columns == 0) {
        refuse(v, SHEAF_E_BAD_REQUEST, "%s asks for %zu columns; the decision must name them",
               d->request_id, d->asked_count);
        return false;
    }
    for (size_t i = 0; i < d->decision->n_columns; i++) {
        bool found = false;

        for (size_t k = 0; k < d->asked_count && !found; k++) {
            found = strcmp(d->decision->columns[i], d->asked[k]) == 0;
        }
        if (!found) {
            refuse(v, SHEAF_E_BAD_REQUEST, "%s does not ask for column '%.64s'", d->request_id,
                   d->decision->columns[i]);
            return false;
        }
    }
    return true;
}

static bool check_approval(const struct policy_decision *d, struct policy_verdict *v)
{
    const char *const *columns = (const char *const *)d->decision->columns;

    if (d->contract == NULL) {
        refuse(v, SHEAF_E_PRODUCT_UNKNOWN, "there is no product %s/%s@%u", d->owner, d->product,
               d->major);
        return false;
    }
    if (d->contract->access == SF_ACCESS_CLOSED || d->contract->status == SF_STATUS_RETIRED) {
        refuse(v, SHEAF_E_CLOSED_PRODUCT, "%s/%s was closed after %s", d->owner, d->product,
               d->request_id);
        return false;
    }
    if (policy_is_over(d->decision->until_us, d->now_us)) {
        refuse(v, SHEAF_E_BAD_REQUEST, "the end of the grant is not in the future");
        return false;
    }
    if (d->decision->until_us - d->now_us > POLICY_DURATION_MAX_US) {
        refuse(v, SHEAF_E_BAD_REQUEST, "the end of the grant is more than five years away");
        return false;
    }
    if (d->active_grant != NULL) {
        refuse(v, SHEAF_E_GRANT_EXISTS, "%s has %s for %s/%s@%u already", d->consumer,
               d->active_grant, d->owner, d->product, d->major);
        return false;
    }
    return within_asked(d, v) &&
           check_columns(d->contract, columns, d->closed, d->decision->n_columns, v);
}

void policy_check_decision(const struct policy_decision *d, struct policy_verdict *ret)
{
    if (!d->signature_holds) {
        refuse(ret, SHEAF_E_BAD_SIGNATURE, "the decision on %s is not signed by the key of %s",
               d->request_id, d->owner);
        return;
    }
    if (!decision_matches(d, ret)) {
        return;
    }
    if (!d->pending) {
        refuse(ret, SHEAF_E_WRONG_STATE, "%s is decided already", d->request_id);
        return;
    }
    if (!d->decision->approved || check_approval(d, ret)) {
        allow(ret);
    }
}

void policy_check_revocation(const struct policy_revocation *r, struct policy_verdict *ret)
{
    if (!r->signature_holds) {
        refuse(ret, SHEAF_E_BAD_SIGNATURE, "the revocation of %s is not signed by its owner's key",
               r->grant_id);
    } else if (strcmp(r->revocation->mesh, r->mesh) != 0) {
        refuse(ret, SHEAF_E_BAD_SIGNATURE, "the revocation was signed for another mesh");
    } else if (strcmp(r->revocation->grant_id, r->grant_id) != 0) {
        refuse(ret, SHEAF_E_BAD_REQUEST, "the revocation is about another grant than %s",
               r->grant_id);
    } else if (!r->active) {
        refuse(ret, SHEAF_E_WRONG_STATE, "%s has ended already", r->grant_id);
    } else {
        allow(ret);
    }
}

bool policy_is_over(int64_t until_us, int64_t now_us)
{
    return until_us <= now_us;
}

bool policy_is_auto_approvable(const struct sf_product *contract)
{
    return contract->access == SF_ACCESS_OPEN;
}
