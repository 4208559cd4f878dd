#include "hub/api/product_ref.h"

#include <string.h>

#include "common/base/str.h"
#include "common/contract/contract.h"

static bool take(struct sf_slice s, char *ret, size_t size)
{
    if (!sf_name_is_product(s) || s.size >= size) {
        return false;
    }
    memcpy(ret, s.data, s.size);
    ret[s.size] = '\0';
    return true;
}

bool product_ref_parse(const char *text, bool with_domain, struct product_ref *ret)
{
    const char *at = strchr(text, '@');
    size_t size = at == NULL ? strlen(text) : (size_t)(at - text);
    const char *slash = memchr(text, '/', size);
    uint64_t major = 0;

    *ret = (struct product_ref){0};
    if (at != NULL && (sf_parse_u64(sf_slice_text(at + 1), &major) != SF_PARSE_OK || major == 0 ||
                       major > UINT32_MAX)) {
        return false;
    }
    ret->major = (uint32_t)major;
    if ((slash != NULL) != with_domain) {
        return false;
    }
    if (slash != NULL) {
        size_t n = (size_t)(slash - text);

        return take(sf_slice_of(text, n), ret->domain, sizeof(ret->domain)) &&
               take(sf_slice_of(slash + 1, size - n - 1), ret->product, sizeof(ret->product));
    }
    return take(sf_slice_of(text, size), ret->product, sizeof(ret->product));
}
