/* The part of compat.h about what breaks no contract: policies and checks. */
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
