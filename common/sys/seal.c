#include "common/sys/seal.h"

#include <sodium.h>

enum {
    NONCE_SIZE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    TAG_SIZE = crypto_aead_xchacha20poly1305_ietf_ABYTES,
};

void sf_seal(const uint8_t key[SF_SEAL_KEY_SIZE], struct sf_slice plain, struct sf_buf *ret)
{
    uint8_t *at = sf_buf_reserve(ret, NONCE_SIZE + plain.size + TAG_SIZE);
    unsigned long long size = 0;

    if (at == NULL) {
        return;
    }
    randombytes_buf(at, NONCE_SIZE);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(at + NONCE_SIZE, &size, plain.data, plain.size,
                                                     NULL, 0, NULL, at, key);
    ret->size += NONCE_SIZE + (size_t)size;
}

enum sf_code sf_seal_open(const uint8_t key[SF_SEAL_KEY_SIZE], struct sf_slice sealed,
                          struct sf_buf *ret, struct sf_error *err)
{
    unsigned long long size = 0;
    uint8_t *at;

    if (sealed.size < NONCE_SIZE + TAG_SIZE) {
        return SF_RAISE(err, SF_DENIED, "not sealed here");
    }
    at = sf_buf_reserve(ret, sealed.size);
    if (at == NULL) {
        return sf_buf_check(ret, "sealed bytes", err);
    }
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(at, &size, NULL, sealed.data + NONCE_SIZE,
                                                   sealed.size - NONCE_SIZE, NULL, 0, sealed.data,
                                                   key) != 0) {
        return SF_RAISE(err, SF_DENIED, "not sealed here");
    }
    ret->size += (size_t)size;
    return SF_OK;
}
