#include "common/identity/signed.h"

#include "common/wire/control.h"
#include "proto/errors.h"

/* protobuf-c has no const: what stands in a Signed that is encoded is read only. */
static ProtobufCBinaryData borrowed(const void *data, size_t size)
{
    union {
        const void *from;
        uint8_t *to;
    } pun = {.from = data};

    return (ProtobufCBinaryData){.len = size, .data = pun.to};
}

enum sf_code sf_signed_fill(const char *context, struct sf_slice payload,
                            const struct sf_seed *seed, struct sf_signed_room *room,
                            Sheaf__V1__Signed *ret, struct sf_error *err)
{
    enum sf_code code = sf_sign(seed, context, payload, &room->signature, err);

    if (code != SF_OK) {
        return code;
    }
    room->key = seed->public_key;
    sheaf__v1__signed__init(ret);
    ret->payload = borrowed(payload.data, payload.size);
    ret->signature = borrowed(room->signature.bytes, sizeof(room->signature.bytes));
    ret->key = borrowed(room->key.bytes, sizeof(room->key.bytes));
    return SF_OK;
}

enum sf_code sf_signed_make(const char *context, struct sf_slice payload,
                            const struct sf_seed *seed, struct sf_buf *ret, struct sf_error *err)
{
    struct sf_signed_room room;
    Sheaf__V1__Signed message;
    enum sf_code code = sf_signed_fill(context, payload, seed, &room, &message, err);
    uint8_t *at;
    size_t size;

    if (code != SF_OK) {
        return code;
    }
    size = sheaf__v1__signed__get_packed_size(&message);
    at = sf_buf_reserve(ret, size);
    if (at != NULL) {
        ret->size += sheaf__v1__signed__pack(&message, at);
    }
    return sf_buf_check(ret, "signed message", err);
}

enum sf_code sf_signed_verify(const char *context, const Sheaf__V1__Signed *s,
                              const struct sf_public_key *key, struct sf_error *err)
{
    struct sf_signature signature;
    enum sf_code code;

    if (s == NULL) {
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_BAD_SIGNATURE, "%s: not signed", context);
    }
    if (s->key.len != sizeof(key->bytes) || memcmp(s->key.data, key->bytes, s->key.len) != 0) {
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_BAD_SIGNATURE, "%s: signed by another key",
                          context);
    }
    if (s->signature.len != sizeof(signature.bytes)) {
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_BAD_SIGNATURE, "%s: signature of %zu bytes",
                          context, s->signature.len);
    }
    memcpy(signature.bytes, s->signature.data, sizeof(signature.bytes));
    code = sf_verify(key, context, sf_slice_of(s->payload.data, s->payload.len), &signature, err);
    if (code != SF_DENIED) {
        return code;
    }
    return SF_RAISE_E(err, SF_DENIED, SHEAF_E_BAD_SIGNATURE, "%s: the signature does not hold",
                      context);
}

/* Whether @bytes are what sf_signed_make() writes for @s: whoever passes it on can add nothing, and
 * there is one form of it. Sizes that are wrong are left to sf_signed_verify(). */
static bool is_as_made(const Sheaf__V1__Signed *s, struct sf_slice bytes)
{
    const size_t key_size = sizeof(((struct sf_public_key *)0)->bytes);
    const size_t signature_size = sizeof(((struct sf_signature *)0)->bytes);
    const uint8_t *end = bytes.data + bytes.size;

    if (s->key.len != key_size || s->signature.len != signature_size) {
        return true;
    }
    return s->base.n_unknown_fields == 0 && sheaf__v1__signed__get_packed_size(s) == bytes.size &&
           memcmp(end - key_size, s->key.data, key_size) == 0 &&
           memcmp(end - key_size - 2 - signature_size, s->signature.data, signature_size) == 0;
}

enum sf_code sf_signed_open(const char *context, struct sf_slice bytes,
                            const struct sf_public_key *key, struct sf_arena *arena,
                            struct sf_slice *ret_payload, struct sf_error *err)
{
    const Sheaf__V1__Signed *s = SF_CONTROL_UNPACK(signed, arena, bytes);
    enum sf_code code;

    if (s == NULL && sf_control_why(arena) == SF_NOMEM) {
        return SF_RAISE(err, SF_NOMEM, "%s", context);
    }
    if (s == NULL || !is_as_made(s, bytes)) {
        return SF_RAISE(err, SF_INVALID, "%s: not a signed message", context);
    }
    code = sf_signed_verify(context, s, key, err);
    if (code == SF_OK) {
        *ret_payload = sf_control_slice(s->payload);
    }
    return code;
}
