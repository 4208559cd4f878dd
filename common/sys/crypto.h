/*
 * Signatures, hashes, random bytes and secrets, over libsodium.
 *
 * A signature is plain ed25519 over: context, one zero byte, payload. The context names what is
 * signed ("sheaf decision v1"), so that bytes signed for one purpose are worth nothing for another.
 * Foreign formats that fix the signed bytes (JWT, the nonce of NATS) pass NULL as context: then
 * the payload alone is signed.
 *
 *   Threads   All functions may be called from any thread after sf_crypto_init(); a struct is used
 *             by one thread at a time, but a seed may sign on several.
 *   Memory    Secrets live in locked memory and are wiped by sf_seed_done(). They have no format
 *             function: nothing here prints one.
 */
#pragma once

#include <stdalign.h>

#include "common/base/error.h"
#include "common/base/slice.h"

enum {
    SF_SEED_SIZE = 32,
    SF_PUBLIC_KEY_SIZE = 32,
    SF_SIGNATURE_SIZE = 64,
    SF_HASH256_SIZE = 32,
    SF_HASH128_SIZE = 16,
    SF_HASH_KEY_SIZE = 32,
};

/* Once per process, before anything else here; again is harmless. SF_UNAVAILABLE: no randomness. */
enum sf_code sf_crypto_init(struct sf_error *err) SF_MUST_CHECK;

struct sf_public_key {
    uint8_t bytes[SF_PUBLIC_KEY_SIZE];
};

struct sf_signature {
    uint8_t bytes[SF_SIGNATURE_SIZE];
};

/* An ed25519 key pair. A zeroed struct is empty; sf_seed_done() makes it empty again. */
struct sf_seed {
    uint8_t *secret; /* owned, locked memory: seed, then public key */
    struct sf_public_key public_key;
};

/* A new random pair. SF_NOMEM. */
enum sf_code sf_seed_generate(struct sf_seed *ret, struct sf_error *err) SF_MUST_CHECK;
/* The pair of SF_SEED_SIZE bytes of seed, which are copied. SF_INVALID: another size. SF_NOMEM. */
enum sf_code sf_seed_from_bytes(struct sf_slice seed, struct sf_seed *ret,
                                struct sf_error *err) SF_MUST_CHECK;
/*
 * Reads what sf_seed_store() wrote. SF_ABSENT: no such file. SF_DENIED: others than its owner may
 * read or write it, or we may not. SF_CORRUPT: not a seed file. SF_IO. SF_NOMEM.
 */
enum sf_code sf_seed_load(const char *path, struct sf_seed *ret,
                          struct sf_error *err) SF_MUST_CHECK;
/* Writes a new file, mode 0600, as 64 hexadecimal digits and a newline. SF_CONFLICT: it is there.
 * SF_DENIED, SF_ABSENT (no such directory), SF_IO. */
enum sf_code sf_seed_store(const struct sf_seed *s, const char *path,
                           struct sf_error *err) SF_MUST_CHECK;
/* sf_seed_load(), or when the file is absent sf_seed_generate() and sf_seed_store(). */
enum sf_code sf_seed_load_or_create(const char *path, struct sf_seed *ret,
                                    struct sf_error *err) SF_MUST_CHECK;
/* The SF_SEED_SIZE secret bytes, for formats that wrap them; borrowed until sf_seed_done(). */
struct sf_slice sf_seed_bytes(const struct sf_seed *s);
void sf_seed_done(struct sf_seed *s);

/* SF_NOMEM (never for payloads up to 1 KiB). */
enum sf_code sf_sign(const struct sf_seed *s, const char *context, struct sf_slice payload,
                     struct sf_signature *ret, struct sf_error *err) SF_MUST_CHECK;
/* SF_OK: it holds. SF_DENIED: it does not. SF_NOMEM (never for payloads up to 1 KiB). */
enum sf_code sf_verify(const struct sf_public_key *key, const char *context,
                       struct sf_slice payload, const struct sf_signature *signature,
                       struct sf_error *err) SF_MUST_CHECK;

/* BLAKE2b of the parts one behind the other. */
void sf_hash256(const struct sf_slice *parts, size_t count, uint8_t ret[SF_HASH256_SIZE]);
void sf_hash128(const struct sf_slice *parts, size_t count, uint8_t ret[SF_HASH128_SIZE]);
/* SipHash-2-4 of 128 bits: half the time of the others for some hundred bytes, and without the key
 * nobody finds two texts with the same. For tables in memory, not for what is stored. */
enum { SF_SHORT_KEY_SIZE = 16 };
void sf_hash128_short(const uint8_t key[SF_SHORT_KEY_SIZE], struct sf_slice bytes,
                      uint8_t ret[SF_HASH128_SIZE]);
void sf_hash256_keyed(const uint8_t key[SF_HASH_KEY_SIZE], const struct sf_slice *parts,
                      size_t count, uint8_t ret[SF_HASH256_SIZE]);

/* A BLAKE2b in progress; plain memory, may be dropped at any point. */
struct sf_hash {
    alignas(64) uint8_t opaque[384];
};

/* @size: bytes of the result, 16 to 64. */
void sf_hash_init(struct sf_hash *h, size_t size);
void sf_hash_init_keyed(struct sf_hash *h, size_t size, const uint8_t key[SF_HASH_KEY_SIZE]);
void sf_hash_add(struct sf_hash *h, struct sf_slice bytes);
/* Adds the size (8 bytes, big-endian), then the bytes: ("ab","c") and ("a","bc") then differ. */
void sf_hash_field(struct sf_hash *h, struct sf_slice bytes);
/* Writes the @size bytes that sf_hash_init() was told. */
void sf_hash_end(struct sf_hash *h, uint8_t *ret, size_t size);

void sf_random_bytes(void *ret, size_t size);
/* Even over 0 .. @bound - 1; 0 when @bound is 0. */
uint32_t sf_random_below(uint32_t bound);
/* Overwrites, and is not optimised away. */
void sf_wipe(void *memory, size_t size);
/* Equality in time that depends on the sizes alone. */
bool sf_equal_secret(struct sf_slice a, struct sf_slice b);
