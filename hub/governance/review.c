#include "hub/governance/review.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/contract/compat.h"
#include "common/contract/lint.h"
#include "common/contract/product_file.h"
#include "proto/errors.h"

enum { FINDINGS_MAX = 256 };

static enum sf_code add_text(struct review *r, uint16_t number, bool is_error, const char *text,
                             struct sf_error *err)
{
    if (r->finding_count == FINDINGS_MAX) {
        return SF_OK;
    }
    if (r->findings == NULL) {
        r->findings = sf_arena_calloc(&r->arena, FINDINGS_MAX, sizeof(*r->findings));
    }
    const char *kept = sf_arena_strdup(&r->arena, text);

    if (r->findings == NULL || kept == NULL) {
        return SF_RAISE(err, SF_NOMEM, "findings");
    }
    r->findings[r->finding_count++] = (struct review_finding){
        .number = number,
        .is_error = is_error,
        .text = kept,
    };
    return SF_OK;
}

static enum sf_code add(struct review *r, uint16_t number, struct sf_error *err, const char *fmt,
                        ...) SF_PRINTF(4, 5);

/* An error. */
static enum sf_code add(struct review *r, uint16_t number, struct sf_error *err, const char *fmt,
                        ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return add_text(r, number, /* is_error= */ true, text, err);
}

/* "12:3: text", allowed names and suggestion included. */
static enum sf_code add_issues(struct review *r, const struct sf_issues *issues,
                               struct sf_error *err)
{
    for (const struct sf_issue *i = issues->first; i != NULL; i = i->next) {
        char text[700];
        char place[32] = "";
        enum sf_code code;

        if (i->place.line > 0) {
            (void)snprintf(place, sizeof(place), "%u:%u: ", i->place.line, i->place.column);
        }
        (void)snprintf(text, sizeof(text), "%s%s%s%s%s%s%s", place, i->text,
                       i->allowed != NULL ? "; allowed: " : "",
                       i->allowed != NULL ? i->allowed : "",
                       i->meant != NULL ? "; did you mean '" : "", i->meant != NULL ? i->meant : "",
                       i->meant != NULL ? "'?" : "");
        code = add_text(r, i->number, i->severity == SF_SEVERITY_ERROR, text, err);
        if (code != SF_OK) {
            return code;
        }
    }
    return SF_OK;
}

enum sf_code review_read(struct review *r, struct sf_slice yaml, struct sf_error *err)
{
    struct sf_issues issues;
    enum sf_code code;

    *r = (struct review){0};
    sf_arena_init(&r->arena, 0);
    sf_issues_init(&issues, "product.yaml", yaml);
    code = sf_product_parse(&issues, &r->product, err);
    if (code == SF_OK) {
        sf_product_lint(r->product, &issues);
        code = sf_policy_check_file(&issues, r->product, err);
    }
    if (code == SF_INVALID) {
        sf_product_free(r->product);
        r->product = NULL;
    }
    if (code != SF_NOMEM) {
        code = add_issues(r, &issues, err);
    }
    sf_issues_done(&issues);
    return code;
}

/* "orders.amount: type decimal(12,2) -> string", "orders.amount: field removed string", and what it
 * breaks with. */
static enum sf_code add_note(struct review *r, const struct sf_change_note *n, struct sf_error *err)
{
    const char *since = n->against[0] == '\0' ? "" : ", breaks with ";

    if (n->breaking) {
        return add(r, SHEAF_E_BREAKING_CHANGE, err, "%s: %s %s%s%s%s%s", n->path, n->what,
                   n->before, sf_change_arrow(n), n->after, since, n->against);
    }
    if (n->breaks != 0) {
        char text[512];

        (void)snprintf(text, sizeof(text), "%s: %s %s%s%s breaks %s; compatibility %s allows it",
                       n->path, n->what, n->before, sf_change_arrow(n), n->after,
                       n->breaks == SF_BREAKS_BACKWARD  ? "producers of older versions"
                       : n->breaks == SF_BREAKS_FORWARD ? "consumers of older versions"
                                                        : "users of older versions",
                       sf_compat_mode_name(r->product->compatibility));
        return add_text(r, SHEAF_E_BREAKING_CHANGE, /* is_error= */ false, text, err);
    }
    return SF_OK;
}

static enum sf_code compare(struct review *r, const struct review_input *in, struct sf_error *err)
{
    struct sf_compat compat;
    struct sf_error why;
    enum sf_code code =
        sf_compat_check(in->standing, in->standing_count, r->product, &compat, &why);

    if (code == SF_CONFLICT) {
        r->accepted = false;
        code = why.number == SHEAF_E_BREAKING_CHANGE /* the notes below name each one */
                   ? SF_OK
                   : add_text(r, why.number, /* is_error= */ true, why.text, err);
    } else if (code != SF_OK && err != NULL) {
        *err = why;
    }
    for (size_t i = 0; code == SF_OK && i < compat.count; i++) {
        code = add_note(r, &compat.notes[i], err);
    }
    sf_compat_done(&compat);
    return code;
}

/* The same version again: fine with the same bytes while it is the newest, else a change without a
 * new number. */
static enum sf_code check_repeat(struct review *r, const struct review_input *in,
                                 struct sf_error *err)
{
    if (in->standing_count > 0 &&
        sf_version_compare(&r->product->version, &in->standing[in->standing_count - 1]->version) <
            0) {
        return compare(r, in, err);
    }
    if (sf_slice_equal(in->yaml, in->same_version_yaml)) {
        r->changed = false;
        return SF_OK;
    }
    r->accepted = false;
    return add(r, SHEAF_E_VERSION_NOT_HIGHER, err, "version %u.%u.%u is there with another content",
               r->product->version.major, r->product->version.minor, r->product->version.patch);
}

/* What the platform's policies have against it. */
static enum sf_code check_policies(struct review *r, const struct review_input *in,
                                   struct sf_error *err)
{
    struct sf_policy_breach *breaches;
    size_t count;
    enum sf_code code = sf_policy_check_product(in->policies, r->product, in->now_us, &r->arena,
                                                &breaches, &count, err);

    for (size_t i = 0; i < count && code == SF_OK; i++) {
        const struct sf_policy_breach *b = &breaches[i];
        char text[700];

        (void)snprintf(text, sizeof(text), "%s (policy %s, %s:%u)", b->text, b->cause.policy,
                       b->cause.file, b->cause.line);
        r->accepted &= !b->refuses;
        code = add_text(r, SHEAF_E_POLICY_BREACH, b->refuses, text, err);
    }
    return code;
}

enum sf_code review_check(struct review *r, const struct review_input *in, struct sf_error *err)
{
    enum sf_code code;

    if (r->product == NULL) {
        return SF_OK;
    }
    r->accepted = true;
    r->changed = true;
    if (strcmp(r->product->domain, in->domain) != 0) {
        r->accepted = false;
        return add(r, SHEAF_E_NOT_OWNER, err, "%s/%s belongs to domain %s, not to %s",
                   r->product->domain, r->product->name, r->product->domain, in->domain);
    }
    if (in->same_version_yaml.size > 0) {
        return check_repeat(r, in, err);
    }
    code = check_policies(r, in, err);
    if (code == SF_OK && in->standing_count > 0) {
        code = compare(r, in, err);
    }
    return code;
}

void review_done(struct review *r)
{
    sf_product_free(r->product);
    sf_arena_done(&r->arena);
    *r = (struct review){0};
}
