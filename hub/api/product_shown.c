#include "hub/api/product_shown.h"

bool product_is_shown(const struct call *c, const struct registry_product *p,
                      const struct registry_version *v)
{
    return call_reads_all_of(c, p->owner->name) ||
           (v->product->status != SF_STATUS_DRAFT &&
            registry_removal(p, v->product->version.major) == NULL);
}
