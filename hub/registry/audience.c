#include "hub/registry/audience.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/sys/crypto.h"
#include "common/sys/encoding.h"

enum { LETTERS = 12, HASH_SIZE = 16 };

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

enum sf_code audience_name(const struct audience_of *a, char ret[REGISTRY_AUDIENCE_MAX],
                           struct sf_error *err)
{
    SF_CLEANUP(sf_freep) const char **sorted = sf_calloc(a->column_count + 1, sizeof(*sorted));
    uint8_t major[] = {(uint8_t)(a->major >> 24), (uint8_t)(a->major >> 16),
                       (uint8_t)(a->major >> 8), (uint8_t)a->major};
    uint8_t digest[HASH_SIZE];
    char text[64];
    struct sf_hash h;

    if (sorted == NULL) {
        return SF_RAISE(err, SF_NOMEM, "audience of %zu columns", a->column_count);
    }
    if (a->column_count > 0) {
        memcpy(sorted, a->columns, a->column_count * sizeof(*sorted));
        qsort(sorted, a->column_count, sizeof(*sorted), by_bytes);
    }
    sf_hash_init(&h, sizeof(digest));
    sf_hash_field(&h, a->consumer == NULL ? SF_LITERAL("sheaf.v1.audience")
                                          : SF_LITERAL("sheaf.v1.audience.sole"));
    sf_hash_field(&h, sf_slice_text(a->mesh));
    sf_hash_field(&h, sf_slice_text(a->owner));
    sf_hash_field(&h, sf_slice_text(a->product));
    sf_hash_field(&h, sf_slice_of(major, sizeof(major)));
    if (a->consumer != NULL) {
        sf_hash_field(&h, sf_slice_text(a->consumer));
        sf_hash_field(&h, sf_slice_text(a->purpose));
    }
    for (size_t i = 0; i < a->column_count; i++) {
        sf_hash_field(&h, sf_slice_text(sorted[i]));
    }
    sf_hash_end(&h, digest, sizeof(digest));
    sf_encode(SF_BASE32_LOWER, sf_slice_of(digest, sizeof(digest)), text);
    ret[0] = 'a';
    memcpy(ret + 1, text, LETTERS);
    ret[1 + LETTERS] = '\0';
    return SF_OK;
}
