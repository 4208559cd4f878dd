#include "leaf/ingest/idem.h"

#include <string.h>

bool idem_key_is_valid(const char *key)
{
    const size_t n = strlen(key);

    for (size_t i = 0; i < n; i++) {
        if (key[i] <= ' ' || key[i] > '~') {
            return false;
        }
    }
    return n >= 1 && n <= IDEM_KEY_MAX;
}

void idem_store_key(const char *caller, const char *product, const char *key, struct sf_buf *ret)
{
    sf_buf_text(ret, caller);
    sf_buf_byte(ret, 0);
    sf_buf_text(ret, product);
    sf_buf_byte(ret, 0);
    sf_buf_text(ret, key);
}

void idem_value_encode(const uint8_t hash[SF_HASH256_SIZE], const struct idem_answer *answer,
                       struct sf_buf *ret)
{
    sf_buf_append(ret, hash, SF_HASH256_SIZE);
    sf_buf_be64(ret, answer->accepted);
    sf_buf_be64(ret, answer->quarantined);
    sf_buf_slice(ret, answer->errors);
}

enum sf_code idem_value_decode(struct sf_slice value, const uint8_t hash[SF_HASH256_SIZE],
                               struct idem_answer *ret, struct sf_error *err)
{
    enum { FIXED = SF_HASH256_SIZE + 2 * 8 };

    if (!store_outcome_decode(&value, &ret->outcome) || value.size < FIXED) {
        return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "a stored answer is damaged");
    }
    if (memcmp(value.data, hash, SF_HASH256_SIZE) != 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_KEY_REUSED,
                          "the key belongs to a request with another body or other parameters");
    }
    ret->accepted = sf_read_be64(value.data + SF_HASH256_SIZE);
    ret->quarantined = sf_read_be64(value.data + SF_HASH256_SIZE + 8);
    ret->errors = sf_slice_of(value.data + FIXED, value.size - FIXED);
    return SF_OK;
}
