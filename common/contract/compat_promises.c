/* The part of compat.h about what breaks no contract, policies and checks, and about what is
 * reserved. */
#include <stdio.h>
#include <string.h>

#include "common/contract/check.h"
#include "common/contract/compat_private.h"

/* --- policies --------------------------------------------------------------------------------- */

static const struct sf_product_policy *find_policy(const struct sf_product *p, const char *name)
{
    for (size_t i = 0; i < p->policy_count; i++) {
        if (sf_compat_same(p->policies[i].name, name)) {
            return &p->policies[i];
        }
    }
    return NULL;
}

/* The owner's own: they change what others see, and break no contract. */
void sf_compat_policies(struct sf_compat *c, const struct sf_product *before,
                        const struct sf_product *after)
{
    for (size_t i = 0; i < before->policy_count; i++) {
        const struct sf_product_policy *p = &before->policies[i];
        const struct sf_product_policy *other = find_policy(after, p->name);
        const struct sf_compat_subject s = {c, "policies", p->name, false};

        if (other == NULL) {
            sf_compat_harmless(&s, "policy removed", "policy", "");
        } else if (!sf_compat_same(p->text, other->text)) {
            sf_compat_harmless(&s, "policy", p->text, other->text);
        }
    }
    for (size_t i = 0; i < after->policy_count; i++) {
        const char *name = after->policies[i].name;

        if (find_policy(before, name) == NULL) {
            sf_compat_harmless(&(struct sf_compat_subject){c, "policies", name, false},
                               "policy added", "", "policy");
        }
    }
}

/* --- checks ----------------------------------------------------------------------------------- */

static bool has_check(const struct sf_table *t, const char *text)
{
    for (size_t i = 0; i < t->check_count; i++) {
        if (strcmp(t->checks[i].text, text) == 0) {
            return true;
        }
    }
    return false;
}

/* They are judged and refuse no record, so they break nothing. */
void sf_compat_checks(struct sf_compat *c, const struct sf_table *before,
                      const struct sf_table *after)
{
    const struct sf_compat_subject s = {c, after->name, NULL, false};

    for (size_t i = 0; i < before->check_count; i++) {
        if (!has_check(after, before->checks[i].text)) {
            sf_compat_harmless(&s, "check removed", before->checks[i].text, "");
        }
    }
    for (size_t i = 0; i < after->check_count; i++) {
        if (!has_check(before, after->checks[i].text)) {
            sf_compat_harmless(&s, "check added", "", after->checks[i].text);
        }
    }
}

/* --- reserved --------------------------------------------------------------------------------- */

const char sf_compat_not_reserved[] = "number and name must be reserved";

bool sf_compat_is_reserved(const struct sf_table *t, uint32_t number)
{
    for (size_t i = 0; i < t->reserved_count; i++) {
        if (t->reserved[i] == number) {
            return true;
        }
    }
    return false;
}

bool sf_compat_is_reserved_name(const struct sf_table *t, const char *name)
{
    for (size_t i = 0; i < t->reserved_name_count; i++) {
        if (strcmp(t->reserved_names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* What is reserved already, and @f; as the file has it. */
static const char *reserved_with(struct sf_compat *c, const struct sf_table *t,
                                 const struct sf_field *f)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    const char *kept;

    sf_buf_text(&text, "reserved: [");
    for (size_t i = 0; i < t->reserved_count; i++) {
        sf_buf_printf(&text, "%u, ", t->reserved[i]);
    }
    for (size_t i = 0; i < t->reserved_name_count; i++) {
        sf_buf_printf(&text, "%s, ", t->reserved_names[i]);
    }
    if (!sf_compat_is_reserved(t, f->number)) {
        sf_buf_printf(&text, "%u%s", f->number,
                      sf_compat_is_reserved_name(t, f->name) ? "]" : ", ");
    }
    if (!sf_compat_is_reserved_name(t, f->name)) {
        sf_buf_printf(&text, "%s]", f->name);
    }
    kept = text.failed != SF_OK ? NULL : sf_arena_strdup(&c->arena, sf_buf_cstr(&text));
    c->failed |= kept == NULL;
    return kept == NULL ? "" : kept;
}

/* A number without a field and without a reservation could come back as another field, as which
 * stored rows would be read; a name, as which producers of before would go on to send it. */
void sf_compat_unreserved(const struct sf_compat_subject *s, const struct sf_field *f,
                          const struct sf_table *after)
{
    const bool is_refused_anyway =
        (s->c->refused & ((unsigned)SF_BREAKS_BACKWARD | (unsigned)SF_BREAKS_FORWARD)) != 0;
    char number[16];

    if (s->c->same_major && !is_refused_anyway &&
        (!sf_compat_is_reserved(after, f->number) || !sf_compat_is_reserved_name(after, f->name))) {
        (void)snprintf(number, sizeof(number), "%u", f->number);
        sf_compat_breaking(s, SF_BREAKS_STORAGE, sf_compat_not_reserved, number,
                           reserved_with(s->c, after, f));
    }
}
