#include "common/sys/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/sys/encoding.h"
#include "common/sys/file.h"

enum {
    SEED_FILE_SIZE = 2 * SF_SEED_SIZE + 1,
    SIGN_STACK_SIZE = 1024 + 128, /* the payload promised without the heap, and its context */
};

_Static_assert((int)SF_SEED_SIZE == (int)crypto_sign_SEEDBYTES, "seed");
_Static_assert((int)SF_PUBLIC_KEY_SIZE == (int)crypto_sign_PUBLICKEYBYTES, "public key");
_Static_assert((int)SF_SIGNATURE_SIZE == (int)crypto_sign_BYTES, "signature");
_Static_assert(sizeof(struct sf_hash) >= sizeof(crypto_generichash_state), "hash state");
_Static_assert(alignof(struct sf_hash) >= alignof(crypto_generichash_state), "hash state");

enum sf_code sf_crypto_init(struct sf_error *err)
{
    if (sodium_init() < 0) {
        return SF_RAISE(err, SF_UNAVAILABLE, "the system gives no random bytes");
    }
    return SF_OK;
}

/* Seeds. */

static enum sf_code seed_set(const uint8_t seed[SF_SEED_SIZE], struct sf_seed *ret,
                             struct sf_error *err)
{
    uint8_t *secret = sodium_malloc(crypto_sign_SECRETKEYBYTES);

    if (secret == NULL) {
        return SF_RAISE(err, SF_NOMEM, "no locked memory for a key");
    }
    (void)crypto_sign_seed_keypair(ret->public_key.bytes, secret, seed);
    ret->secret = secret;
    return SF_OK;
}

enum sf_code sf_seed_generate(struct sf_seed *ret, struct sf_error *err)
{
    uint8_t seed[SF_SEED_SIZE];
    enum sf_code r;

    randombytes_buf(seed, sizeof(seed));
    r = seed_set(seed, ret, err);
    sodium_memzero(seed, sizeof(seed));
    return r;
}

enum sf_code sf_seed_from_bytes(struct sf_slice seed, struct sf_seed *ret, struct sf_error *err)
{
    if (seed.size != SF_SEED_SIZE) {
        return SF_RAISE(err, SF_INVALID, "a seed has %d bytes, not %zu", SF_SEED_SIZE, seed.size);
    }
    return seed_set(seed.data, ret, err);
}

static enum sf_code seed_open(const char *path, int *ret_fd, struct sf_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0) {
        return SF_RAISE(err,
                        errno == ENOENT || errno == ENOTDIR ? SF_ABSENT
                        : errno == EACCES || errno == ELOOP ? SF_DENIED
                                                            : SF_IO,
                        "key file '%s': %m", path);
    }
    *ret_fd = fd;
    return SF_OK;
}

/* Checked on the open file, so that it cannot be exchanged in between. */
static enum sf_code seed_read(int fd, const char *path, char text[SEED_FILE_SIZE + 1],
                              struct sf_error *err)
{
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) != 0) {
        return SF_RAISE(err, SF_IO, "key file '%s': %m", path);
    }
    if ((st.st_mode & 077) != 0) {
        return SF_RAISE(err, SF_DENIED,
                        "key file '%s' is open to others than its owner: chmod 600 it", path);
    }
    n = read(fd, text, SEED_FILE_SIZE + 1);
    if (n < 0) {
        return SF_RAISE(err, SF_IO, "key file '%s': %m", path);
    }
    if (n != SEED_FILE_SIZE || text[SEED_FILE_SIZE - 1] != '\n') {
        return SF_RAISE(err, SF_CORRUPT, "'%s' is not a key file", path);
    }
    return SF_OK;
}

enum sf_code sf_seed_load(const char *path, struct sf_seed *ret, struct sf_error *err)
{
    char text[SEED_FILE_SIZE + 1];
    uint8_t seed[SF_SEED_SIZE];
    enum sf_code r;
    int fd;

    r = seed_open(path, &fd, err);
    if (r != SF_OK) {
        return r;
    }
    r = seed_read(fd, path, text, err);
    (void)close(fd);
    if (r == SF_OK) {
        r = sf_decode_exact(SF_HEX, sf_slice_of(text, SEED_FILE_SIZE - 1), seed, sizeof(seed),
                            NULL);
        r = r == SF_OK ? seed_set(seed, ret, err)
                       : SF_RAISE(err, SF_CORRUPT, "'%s' is not a key file", path);
    }
    sodium_memzero(text, sizeof(text));
    sodium_memzero(seed, sizeof(seed));
    return r;
}

enum sf_code sf_seed_store(const struct sf_seed *s, const char *path, struct sf_error *err)
{
    char text[SEED_FILE_SIZE + 1];
    enum sf_code r;

    sf_encode(SF_HEX, sf_seed_bytes(s), text);
    text[SEED_FILE_SIZE - 1] = '\n';
    r = sf_file_create(path, sf_slice_of(text, SEED_FILE_SIZE), 0600, err);
    sodium_memzero(text, sizeof(text));
    return r;
}

enum sf_code sf_seed_load_or_create(const char *path, struct sf_seed *ret, struct sf_error *err)
{
    struct sf_seed made = {0};
    enum sf_code r = sf_seed_load(path, ret, err);

    if (r != SF_ABSENT) {
        return r;
    }
    r = sf_seed_generate(&made, err);
    if (r == SF_OK) {
        r = sf_seed_store(&made, path, err);
    }
    if (r == SF_OK) {
        *ret = made;
    } else {
        sf_seed_done(&made);
    }
    return r;
}

struct sf_slice sf_seed_bytes(const struct sf_seed *s)
{
    sf_assert(s->secret != NULL);
    return sf_slice_of(s->secret, SF_SEED_SIZE);
}

void sf_seed_done(struct sf_seed *s)
{
    sodium_free(s->secret); /* wipes */
    *s = (struct sf_seed){0};
}

/* Signatures. */

struct message {
    uint8_t stack[SIGN_STACK_SIZE];
    uint8_t *heap; /* owned, or NULL */
    struct sf_slice bytes;
};

static enum sf_code message_build(struct message *m, const char *context, struct sf_slice payload,
                                  struct sf_error *err)
{
    struct sf_slice prefix = sf_slice_text(context);
    uint8_t *to = m->stack;
    size_t size;

    m->heap = NULL;
    if (context == NULL) {
        m->bytes = payload;
        return SF_OK;
    }
    size = prefix.size + 1 + payload.size;
    if (size > sizeof(m->stack)) {
        m->heap = sf_alloc(size);
        if (m->heap == NULL) {
            return SF_RAISE(err, SF_NOMEM, "no memory to sign %zu bytes", payload.size);
        }
        to = m->heap;
    }
    memcpy(to, context, prefix.size + 1); /* with its zero byte */
    if (payload.size > 0) {
        memcpy(to + prefix.size + 1, payload.data, payload.size);
    }
    m->bytes = sf_slice_of(to, size);
    return SF_OK;
}

enum sf_code sf_sign(const struct sf_seed *s, const char *context, struct sf_slice payload,
                     struct sf_signature *ret, struct sf_error *err)
{
    struct message m;
    enum sf_code r;

    sf_assert(s->secret != NULL);
    r = message_build(&m, context, payload, err);
    if (r != SF_OK) {
        return r;
    }
    (void)crypto_sign_detached(ret->bytes, NULL, m.bytes.data, m.bytes.size, s->secret);
    sf_free(m.heap);
    return SF_OK;
}

enum sf_code sf_verify(const struct sf_public_key *key, const char *context,
                       struct sf_slice payload, const struct sf_signature *signature,
                       struct sf_error *err)
{
    struct message m;
    enum sf_code r;
    int verdict;

    r = message_build(&m, context, payload, err);
    if (r != SF_OK) {
        return r;
    }
    verdict = crypto_sign_verify_detached(signature->bytes, m.bytes.data, m.bytes.size, key->bytes);
    sf_free(m.heap);
    if (verdict != 0) {
        return SF_RAISE(err, SF_DENIED, "signature does not hold");
    }
    return SF_OK;
}

/* Hashes. */

static crypto_generichash_state *state_of(struct sf_hash *h)
{
    return (crypto_generichash_state *)(void *)h->opaque;
}

void sf_hash_init(struct sf_hash *h, size_t size)
{
    sf_assert(size >= crypto_generichash_BYTES_MIN && size <= crypto_generichash_BYTES_MAX);
    (void)crypto_generichash_init(state_of(h), NULL, 0, size);
}

void sf_hash_init_keyed(struct sf_hash *h, size_t size, const uint8_t key[SF_HASH_KEY_SIZE])
{
    sf_assert(size >= crypto_generichash_BYTES_MIN && size <= crypto_generichash_BYTES_MAX);
    (void)crypto_generichash_init(state_of(h), key, SF_HASH_KEY_SIZE, size);
}

void sf_hash_add(struct sf_hash *h, struct sf_slice bytes)
{
    if (bytes.size > 0) {
        (void)crypto_generichash_update(state_of(h), bytes.data, bytes.size);
    }
}

void sf_hash_field(struct sf_hash *h, struct sf_slice bytes)
{
    uint8_t size[8];

    sf_write_be64(size, bytes.size);
    sf_hash_add(h, sf_slice_of(size, sizeof(size)));
    sf_hash_add(h, bytes);
}

void sf_hash_end(struct sf_hash *h, uint8_t *ret, size_t size)
{
    (void)crypto_generichash_final(state_of(h), ret, size);
}

static void hash_parts(struct sf_hash *h, const struct sf_slice *parts, size_t count, uint8_t *ret,
                       size_t size)
{
    for (size_t i = 0; i < count; i++) {
        sf_hash_add(h, parts[i]);
    }
    sf_hash_end(h, ret, size);
}

void sf_hash256(const struct sf_slice *parts, size_t count, uint8_t ret[SF_HASH256_SIZE])
{
    struct sf_hash h;

    sf_hash_init(&h, SF_HASH256_SIZE);
    hash_parts(&h, parts, count, ret, SF_HASH256_SIZE);
}

void sf_hash128(const struct sf_slice *parts, size_t count, uint8_t ret[SF_HASH128_SIZE])
{
    struct sf_hash h;

    sf_hash_init(&h, SF_HASH128_SIZE);
    hash_parts(&h, parts, count, ret, SF_HASH128_SIZE);
}

void sf_hash128_short(const uint8_t key[SF_SHORT_KEY_SIZE], struct sf_slice bytes,
                      uint8_t ret[SF_HASH128_SIZE])
{
    _Static_assert(SF_HASH128_SIZE == crypto_shorthash_siphashx24_BYTES, "as libsodium has it");
    _Static_assert(SF_SHORT_KEY_SIZE == crypto_shorthash_siphashx24_KEYBYTES, "likewise");
    (void)crypto_shorthash_siphashx24(ret, bytes.data, bytes.size, key);
}

void sf_hash256_keyed(const uint8_t key[SF_HASH_KEY_SIZE], const struct sf_slice *parts,
                      size_t count, uint8_t ret[SF_HASH256_SIZE])
{
    struct sf_hash h;

    sf_hash_init_keyed(&h, SF_HASH256_SIZE, key);
    hash_parts(&h, parts, count, ret, SF_HASH256_SIZE);
    sodium_memzero(&h, sizeof(h));
}

/* Randomness and secrets. */

void sf_random_bytes(void *ret, size_t size)
{
    randombytes_buf(ret, size);
}

uint32_t sf_random_below(uint32_t bound)
{
    return randombytes_uniform(bound);
}

void sf_wipe(void *memory, size_t size)
{
    sodium_memzero(memory, size);
}

bool sf_equal_secret(struct sf_slice a, struct sf_slice b)
{
    return a.size == b.size && (a.size == 0 || sodium_memcmp(a.data, b.data, a.size) == 0);
}
