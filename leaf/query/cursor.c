#include "leaf/query/cursor.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/contract/contract.h"
#include "common/sys/encoding.h"
#include "proto/errors.h"

enum { PLACE_HEADER = 4 + 4 + 8 + QUERY_SHAPE_SIZE + 8 + 4 };

enum sf_code query_cursor_make(const uint8_t seal_key[SF_SEAL_KEY_SIZE],
                               const struct query_place *place, char *ret, size_t size,
                               struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf plain = {0};
    SF_CLEANUP(sf_buf_done) struct sf_buf sealed = {0};
    enum sf_code code;

    sf_buf_be32(&plain, place->lane);
    sf_buf_be32(&plain, place->epoch);
    sf_buf_be64(&plain, place->seq);
    sf_buf_slice(&plain, sf_slice_of(place->shape, sizeof(place->shape)));
    sf_buf_be64(&plain, place->as_of);
    sf_buf_be32(&plain, (uint32_t)place->key.size);
    sf_buf_slice(&plain, place->key);
    while (place->hides_size && plain.size < PLACE_HEADER + SF_KEY_BYTES_MAX &&
           plain.failed == SF_OK) {
        sf_buf_byte(&plain, 0);
    }
    code = sf_buf_check(&plain, "cursor", err);
    if (code != SF_OK) {
        return code;
    }
    sf_seal(seal_key, sf_buf_view(&plain), &sealed);
    code = sf_buf_check(&sealed, "cursor", err);
    if (code == SF_OK) {
        sf_assert(sf_encoded_size(SF_BASE64URL, sealed.size) < size); /* Keys are bounded. */
        sf_encode(SF_BASE64URL, sf_buf_view(&sealed), ret);
    }
    return code;
}

enum sf_code query_cursor_open(const uint8_t seal_key[SF_SEAL_KEY_SIZE], const char *text,
                               struct sf_buf *bytes, struct query_place *ret, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf sealed = {0};
    size_t key_size = 0;
    bool is_place = false;
    enum sf_code code;

    code = sf_buf_decode(&sealed, SF_BASE64URL, sf_slice_text(text), NULL);
    if (code == SF_OK) {
        code = sf_seal_open(seal_key, sf_buf_view(&sealed), bytes, NULL);
    }
    if (code == SF_NOMEM) {
        return SF_RAISE(err, SF_NOMEM, "cursor");
    }
    if (code == SF_OK && bytes->size >= PLACE_HEADER) {
        key_size = sf_read_be32(bytes->data + PLACE_HEADER - 4);
        is_place = key_size <= bytes->size - PLACE_HEADER;
    }
    if (!is_place) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_CURSOR, "not a cursor of this leaf");
    }
    *ret = (struct query_place){
        .lane = sf_read_be32(bytes->data),
        .epoch = sf_read_be32(bytes->data + 4),
        .seq = sf_read_be64(bytes->data + 8),
        .as_of = sf_read_be64(bytes->data + 16 + QUERY_SHAPE_SIZE),
        .key = sf_slice_of(bytes->data + PLACE_HEADER, key_size),
    };
    memcpy(ret->shape, bytes->data + 16, sizeof(ret->shape));
    return SF_OK;
}
