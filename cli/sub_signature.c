#include <string.h>

#include "cli/sub.h"
#include "common/sys/encoding.h"
#include "proto/message.h"
#include "proto/subjects.h"

bool sub_is_signed(const struct sub_options *o, const struct sf_bus_msg *m,
                   const struct follow_span *span)
{
    const char *audience = sf_bus_msg_header(m, HEADER_AUDIENCE);
    const char *text = sf_bus_msg_header(m, HEADER_SIG);
    const struct product_ref *r = &o->product;
    uint8_t hash[SF_HASH256_SIZE];
    char hash_text[2 * SF_HASH256_SIZE + 1];
    char bytes[MESSAGE_TEXT_MAX];
    struct sf_signature signature;
    struct sf_error err;

    if (audience == NULL || text == NULL || strlen(audience) > 64 ||
        sf_decode_exact(SF_BASE64, sf_slice_text(text), signature.bytes, SF_SIGNATURE_SIZE, &err) !=
            SF_OK) {
        return false;
    }
    sf_hash256(&m->data, 1, hash);
    sf_encode(SF_HEX, sf_slice_of(hash, sizeof(hash)), hash_text);
    size_t n = message_signed_bytes(&(struct message_texts){.lane = {.domain = r->domain,
                                                                     .product = r->product,
                                                                     .table = r->table,
                                                                     .major = r->major,
                                                                     .partition = 0},
                                                            .audience = audience,
                                                            .epoch = span->epoch,
                                                            .first = span->first,
                                                            .last = span->last,
                                                            .prev = span->prev,
                                                            .head = span->head,
                                                            .payload_hash = hash_text},
                                    bytes);
    return sf_verify(&o->leaf_key, SIGN_MESSAGE, sf_slice_of(bytes, n), &signature, &err) == SF_OK;
}
