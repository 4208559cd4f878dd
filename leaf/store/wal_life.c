#include "leaf/store/wal_life.h"

#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/sys/crypto.h"
#include "common/sys/file.h"

enum {
    PATH_BYTES = 4096,
    MAGIC = 4,
    FIXED = MAGIC + 4 * 8,  /* in front of the boot */
    FIXED_OF_1 = MAGIC + 8, /* of older releases */
    BYTES_MIN = FIXED_OF_1 + SF_HASH256_SIZE,
    BYTES_MAX = FIXED + WAL_BOOT_BYTES - 1 + SF_HASH256_SIZE,
};

static const uint8_t magic[MAGIC] = {'S', 'F', 'L', 2};
static const uint8_t magic_of_1[MAGIC] = {'S', 'F', 'L', 1};
static const char boot_path[] = "/proc/sys/kernel/random/boot_id";

static bool is_plain(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-';
}

void wal_boot_id(char ret[WAL_BOOT_BYTES])
{
    SF_CLEANUP(sf_buf_done) struct sf_buf file = {0};
    size_t n = 0;

    ret[0] = '\0';
    if (sf_file_read(boot_path, WAL_BOOT_BYTES, &file, NULL) != SF_OK) {
        return;
    }
    while (n < file.size && n < WAL_BOOT_BYTES - 1 && is_plain((char)file.data[n])) {
        ret[n] = (char)file.data[n];
        n++;
    }
    ret[n] = '\0';
}

const char *wal_life_objection(const struct wal_life *life, const char *boot)
{
    if (life->boot[0] == '\0' || boot[0] == '\0') {
        return "whether the machine was started since is not known";
    }
    return strcmp(life->boot, boot) == 0
               ? "the machine was not started since, so no power cut has done it"
               : "";
}

static bool path_of(const char *path, char ret[PATH_BYTES])
{
    return snprintf(ret, PATH_BYTES, "%s/LIFE", path) < PATH_BYTES;
}

static enum sf_code too_long(struct sf_error *err)
{
    return SF_RAISE(err, SF_INVALID, "data directory: path is too long");
}

static void set_boot(struct wal_life *life, struct sf_slice body, size_t from)
{
    const size_t size = body.size - from < WAL_BOOT_BYTES ? body.size - from : WAL_BOOT_BYTES - 1;

    memcpy(life->boot, body.data + from, size);
}

static void decode(struct sf_slice body, struct wal_life *ret)
{
    const uint8_t *p = body.data + MAGIC;

    if (memcmp(body.data, magic_of_1, MAGIC) == 0) {
        ret->life = sf_read_be64(p);
        set_boot(ret, body, FIXED_OF_1);
    } else if (memcmp(body.data, magic, MAGIC) == 0 && body.size >= FIXED) {
        ret->life = sf_read_be64(p);
        ret->log = sf_read_be64(p + 8);
        ret->manifest = sf_read_be64(p + 16);
        ret->manifest_bytes = sf_read_be64(p + 24);
        set_boot(ret, body, FIXED);
    }
}

enum sf_code wal_life_read(const char *path, struct wal_life *ret, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf file = {0};
    char name[PATH_BYTES];
    uint8_t hash[SF_HASH256_SIZE];
    struct sf_slice body;
    enum sf_code code;

    *ret = (struct wal_life){0};
    if (!path_of(path, name)) {
        return too_long(err);
    }
    code = sf_file_read(name, BYTES_MAX, &file, err);
    if (code == SF_ABSENT || code == SF_BUSY || (code == SF_OK && file.size < BYTES_MIN)) {
        return SF_OK;
    }
    if (code != SF_OK) {
        return code;
    }
    body = sf_slice_of(file.data, file.size - SF_HASH256_SIZE);
    sf_hash256(&body, 1, hash);
    if (memcmp(hash, body.data + body.size, sizeof(hash)) == 0) {
        decode(body, ret);
    }
    return SF_OK;
}

enum sf_code wal_life_write(const char *path, const struct wal_life *life, struct sf_error *err)
{
    uint8_t bytes[BYTES_MAX];
    const size_t boot_size = strnlen(life->boot, WAL_BOOT_BYTES - 1);
    const struct sf_slice body = sf_slice_of(bytes, FIXED + boot_size);
    char name[PATH_BYTES];

    if (!path_of(path, name)) {
        return too_long(err);
    }
    memcpy(bytes, magic, MAGIC);
    sf_write_be64(bytes + MAGIC, life->life);
    sf_write_be64(bytes + MAGIC + 8, life->log);
    sf_write_be64(bytes + MAGIC + 16, life->manifest);
    sf_write_be64(bytes + MAGIC + 24, life->manifest_bytes);
    memcpy(bytes + FIXED, life->boot, boot_size);
    sf_hash256(&body, 1, bytes + body.size);
    return sf_file_write(name, sf_slice_of(bytes, body.size + SF_HASH256_SIZE), 0600, err);
}
