#include "cli/product_ref.h"

#include <stdio.h>
#include <string.h>

#include "common/contract/contract.h"
#include "proto/errors.h"

static enum sf_code take_name(const char *text, size_t size, bool is_table, const char *whole,
                              char ret[PRODUCT_NAME_MAX], struct sf_error *err)
{
    struct sf_slice name = sf_slice_of(text, size);

    if (size >= PRODUCT_NAME_MAX ||
        !(is_table ? sf_name_is_table(name) : sf_name_is_product(name))) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_NAME,
                          "'%s': '%.*s' is not a name; a product is DOMAIN/NAME[@MAJOR][.TABLE]",
                          whole, (int)size, text);
    }
    memcpy(ret, text, size);
    ret[size] = '\0';
    return SF_OK;
}

static enum sf_code take_major(const char **at, const char *whole, uint32_t *ret,
                               struct sf_error *err)
{
    uint32_t major = 0;
    const char *start = *at;

    for (; **at >= '0' && **at <= '9' && major < 100000; *at += 1) {
        major = major * 10 + (uint32_t)(**at - '0');
    }
    if (*at == start || (**at != '\0' && **at != '.')) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_NAME,
                          "'%s': behind '@' stands a major version, like @1", whole);
    }
    *ret = major;
    return SF_OK;
}

enum sf_code product_ref_parse(const char *text, struct product_ref *ret, struct sf_error *err)
{
    struct product_ref r = {0};
    const char *at = text;
    size_t n = strcspn(at, "/");
    enum sf_code code = SF_OK;

    if (at[n] == '\0') {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "'%s' names no product, which is DOMAIN/NAME[@MAJOR][.TABLE]", text);
    }
    code = take_name(at, n, /* is_table= */ false, text, r.domain, err);
    if (code != SF_OK) {
        return code;
    }
    at += n + 1;
    n = strcspn(at, "@.");
    code = take_name(at, n, /* is_table= */ false, text, r.product, err);
    if (code != SF_OK) {
        return code;
    }
    at += n;
    if (*at == '@') {
        at++;
        code = take_major(&at, text, &r.major, err);
        if (code != SF_OK) {
            return code;
        }
    }
    if (*at == '.') {
        code = take_name(at + 1, strlen(at + 1), /* is_table= */ true, text, r.table, err);
        if (code != SF_OK) {
            return code;
        }
    }
    *ret = r;
    return SF_OK;
}

void product_ref_text(const struct product_ref *r, char ret[PRODUCT_REF_TEXT_MAX])
{
    if (r->major == 0) {
        (void)snprintf(ret, PRODUCT_REF_TEXT_MAX, "%s/%s", r->domain, r->product);
    } else {
        (void)snprintf(ret, PRODUCT_REF_TEXT_MAX, "%s/%s@%u", r->domain, r->product, r->major);
    }
}
