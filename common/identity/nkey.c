#include "common/identity/nkey.h"

#include <string.h>

#include "common/sys/encoding.h"

enum {
    PREFIX_SEED = 18 << 3,
    PUBLIC_SIZE = 1 + SF_PUBLIC_KEY_SIZE + 2, /* prefix, key, CRC */
    SEED_SIZE = 2 + SF_SEED_SIZE + 2,
};

static const struct {
    const char *name;
    uint8_t prefix; /* its upper five bits are the first letter */
} kinds[] = {
    [SF_NKEY_OPERATOR] = {"operator", 14 << 3},
    [SF_NKEY_ACCOUNT] = {"account", 0},
    [SF_NKEY_USER] = {"user", 20 << 3},
    [SF_NKEY_SERVER] = {"server", 13 << 3},
};

const char *sf_nkey_kind_name(enum sf_nkey_kind kind)
{
    return kinds[kind].name;
}

/* CRC-16/XMODEM: polynomial 0x1021, from 0. */
static uint16_t crc16(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0;

    for (size_t i = 0; i < size; i++) {
        crc ^= (uint32_t)bytes[i] << 8;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
        }
    }
    return (uint16_t)crc;
}

/* Writes the CRC of what stands in front of it, low byte first. */
static void put_crc(uint8_t *bytes, size_t size)
{
    uint16_t crc = crc16(bytes, size);

    bytes[size] = (uint8_t)crc;
    bytes[size + 1] = (uint8_t)(crc >> 8);
}

static bool crc_holds(const uint8_t *bytes, size_t size)
{
    uint16_t crc = crc16(bytes, size);

    return bytes[size] == (uint8_t)crc && bytes[size + 1] == (uint8_t)(crc >> 8);
}

static bool find_kind(uint8_t prefix, enum sf_nkey_kind *ret)
{
    for (size_t i = 0; i < SF_COUNT(kinds); i++) {
        if (kinds[i].prefix == prefix) {
            *ret = (enum sf_nkey_kind)i;
            return true;
        }
    }
    return false;
}

void sf_nkey_format(enum sf_nkey_kind kind, const struct sf_public_key *key,
                    char ret[SF_NKEY_TEXT_MAX])
{
    uint8_t bytes[PUBLIC_SIZE];

    bytes[0] = kinds[kind].prefix;
    memcpy(bytes + 1, key->bytes, SF_PUBLIC_KEY_SIZE);
    put_crc(bytes, sizeof(bytes) - 2);
    sf_encode(SF_BASE32, sf_slice_of(bytes, sizeof(bytes)), ret);
}

enum sf_code sf_nkey_parse(struct sf_slice text, enum sf_nkey_kind *ret_kind,
                           struct sf_public_key *ret_key, struct sf_error *err)
{
    uint8_t bytes[PUBLIC_SIZE];
    enum sf_nkey_kind kind;

    if (text.size != SF_NKEY_TEXT_MAX - 1 ||
        sf_decode_exact(SF_BASE32, text, bytes, sizeof(bytes), NULL) != SF_OK ||
        !crc_holds(bytes, sizeof(bytes) - 2) || !find_kind(bytes[0], &kind)) {
        return SF_RAISE(err, SF_INVALID, "not a public key in the form of NATS");
    }
    *ret_kind = kind;
    memcpy(ret_key->bytes, bytes + 1, SF_PUBLIC_KEY_SIZE);
    return SF_OK;
}

enum sf_code sf_nkey_parse_kind(struct sf_slice text, enum sf_nkey_kind kind,
                                struct sf_public_key *ret_key, struct sf_error *err)
{
    enum sf_nkey_kind found;
    struct sf_public_key key;
    enum sf_code code = sf_nkey_parse(text, &found, &key, err);

    if (code != SF_OK) {
        return code;
    }
    if (found != kind) {
        return SF_RAISE(err, SF_INVALID, "the key is of kind %s, not %s", kinds[found].name,
                        kinds[kind].name);
    }
    *ret_key = key;
    return SF_OK;
}

/*
 * A seed starts with the five bits of 'S', then the eight of its kind's prefix, so that its text
 * starts with S and the letter of the kind.
 */
void sf_nkey_format_seed(enum sf_nkey_kind kind, const struct sf_seed *seed,
                         char ret[SF_NKEY_SEED_MAX])
{
    uint8_t bytes[SEED_SIZE];

    bytes[0] = (uint8_t)(PREFIX_SEED | kinds[kind].prefix >> 5);
    bytes[1] = (uint8_t)((kinds[kind].prefix & 31) << 3);
    memcpy(bytes + 2, sf_seed_bytes(seed).data, SF_SEED_SIZE);
    put_crc(bytes, sizeof(bytes) - 2);
    sf_encode(SF_BASE32, sf_slice_of(bytes, sizeof(bytes)), ret);
    sf_wipe(bytes, sizeof(bytes));
}

enum sf_code sf_nkey_parse_seed(struct sf_slice text, enum sf_nkey_kind *ret_kind,
                                struct sf_seed *ret_seed, struct sf_error *err)
{
    uint8_t bytes[SEED_SIZE];
    enum sf_nkey_kind kind;
    enum sf_code code;

    if (text.size != SF_NKEY_SEED_MAX - 1 ||
        sf_decode_exact(SF_BASE32, text, bytes, sizeof(bytes), NULL) != SF_OK ||
        !crc_holds(bytes, sizeof(bytes) - 2) || (bytes[0] & 0xf8) != PREFIX_SEED ||
        (bytes[1] & 7) != 0 || !find_kind((uint8_t)((bytes[0] & 7) << 5 | bytes[1] >> 3), &kind)) {
        sf_wipe(bytes, sizeof(bytes));
        return SF_RAISE(err, SF_INVALID, "not a seed in the form of NATS");
    }
    code = sf_seed_from_bytes(sf_slice_of(bytes + 2, SF_SEED_SIZE), ret_seed, err);
    sf_wipe(bytes, sizeof(bytes));
    if (code == SF_OK) {
        *ret_kind = kind;
    }
    return code;
}
