#include "common/identity/jws.h"

#include "common/sys/encoding.h"

enum sf_code sf_jws_make(struct sf_slice header, struct sf_slice payload,
                         const struct sf_seed *seed, struct sf_buf *ret, struct sf_error *err)
{
    size_t start = ret->size;
    struct sf_signature signature;
    enum sf_code code;

    sf_buf_encode(ret, SF_BASE64URL, header);
    sf_buf_byte(ret, '.');
    sf_buf_encode(ret, SF_BASE64URL, payload);
    code = sf_buf_check(ret, "token", err);
    if (code != SF_OK) {
        return code;
    }
    code = sf_sign(seed, NULL, sf_slice_of(ret->data + start, ret->size - start), &signature, err);
    if (code != SF_OK) {
        return code;
    }
    sf_buf_byte(ret, '.');
    sf_buf_encode(ret, SF_BASE64URL, sf_slice_of(signature.bytes, sizeof(signature.bytes)));
    return sf_buf_check(ret, "token", err);
}

/* The part in front of the next dot of *rest; false when there is no dot. */
static bool take_part(struct sf_slice *rest, struct sf_slice *ret)
{
    const uint8_t *dot = rest->size == 0 ? NULL : memchr(rest->data, '.', rest->size);

    if (dot == NULL) {
        return false;
    }
    *ret = sf_slice_of(rest->data, (size_t)(dot - rest->data));
    *rest = sf_slice_of(dot + 1, rest->size - ret->size - 1);
    return true;
}

enum sf_code sf_jws_split(struct sf_slice text, struct sf_buf *ret_header,
                          struct sf_buf *ret_payload, struct sf_jws *ret, struct sf_error *err)
{
    struct sf_slice rest = text;
    struct sf_slice header;
    struct sf_slice payload;
    enum sf_code code;

    if (!take_part(&rest, &header) || !take_part(&rest, &payload)) {
        return SF_RAISE(err, SF_INVALID, "a token has three parts with dots between");
    }
    ret->signed_text = sf_slice_of(text.data, header.size + 1 + payload.size);
    code = sf_decode_exact(SF_BASE64URL, rest, ret->signature.bytes, sizeof(ret->signature.bytes),
                           err);
    if (code == SF_OK) {
        code = sf_buf_decode(ret_header, SF_BASE64URL, header, err);
    }
    if (code == SF_OK) {
        code = sf_buf_decode(ret_payload, SF_BASE64URL, payload, err);
    }
    return code;
}

enum sf_code sf_jws_verify(const struct sf_jws *jws, const struct sf_public_key *key,
                           struct sf_error *err)
{
    return sf_verify(key, NULL, jws->signed_text, &jws->signature, err);
}
