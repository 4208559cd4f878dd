#include "leaf/store/manifest.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/str.h"
#include "common/sys/file.h"

enum { PATH_BYTES = 4096, CURRENT_BYTES_MAX = 64 };

/* Fields at the beginning of an edit, in RocksDB's order: a number each, but for the first. */
enum field {
    FIELD_COMPARATOR = 1, /* a text */
    FIELD_LOG = 2, /* of one family; older than what is needed, when another still has rows */
    FIELD_NEXT_FILE = 3,
    FIELD_LAST_SEQUENCE = 4,
    FIELD_PREVIOUS_LOG = 9,
    FIELD_LOG_TO_KEEP = 10,
    FIELD_LAST_FAMILY = 203,
};

/* --- an edit --- */

static bool next_number(struct sf_slice *s, uint64_t *ret)
{
    uint64_t number = 0;

    for (unsigned shift = 0; shift < 64 && s->size > 0; shift += 7) {
        const uint8_t byte = s->data[0];

        number |= (uint64_t)(byte & 0x7f) << shift;
        *s = sf_slice_of(s->data + 1, s->size - 1);
        if (byte < 0x80) {
            *ret = number;
            return true;
        }
    }
    return false;
}

static bool skip_text(struct sf_slice *s)
{
    uint64_t size;

    if (!next_number(s, &size) || size > s->size) {
        return false;
    }
    *s = sf_slice_of(s->data + size, s->size - size);
    return true;
}

/* The oldest log to keep, when the edit says so: it is the last of those that belong together. */
static void read_edit(struct sf_slice edit, uint64_t *log)
{
    uint64_t field;
    uint64_t number;

    while (next_number(&edit, &field)) {
        if (field == FIELD_COMPARATOR) {
            if (!skip_text(&edit)) {
                return;
            }
            continue;
        }
        if ((field != FIELD_LOG && field != FIELD_NEXT_FILE && field != FIELD_LAST_SEQUENCE &&
             field != FIELD_PREVIOUS_LOG && field != FIELD_LOG_TO_KEEP &&
             field != FIELD_LAST_FAMILY) ||
            !next_number(&edit, &number)) {
            return;
        }
        if (field == FIELD_LOG_TO_KEEP && number > *log) {
            *log = number;
        }
    }
}

/* --- the file --- */

void manifest_name(uint64_t number, char ret[MANIFEST_NAME_BYTES])
{
    (void)snprintf(ret, MANIFEST_NAME_BYTES, "MANIFEST-%06" PRIu64, number);
}

static enum sf_code path_of(const char *store, const char *name, char ret[PATH_BYTES],
                            struct sf_error *err)
{
    return snprintf(ret, PATH_BYTES, "%s/db/%s", store, name) < PATH_BYTES
               ? SF_OK
               : SF_RAISE(err, SF_INVALID, "data directory: path is too long");
}

/* The number of the file that CURRENT names; 0: none that RocksDB could have written. */
static enum sf_code read_current(const char *store, uint64_t *ret, struct sf_error *err)
{
    static const char prefix[] = "MANIFEST-";
    const size_t prefix_size = sizeof(prefix) - 1;
    SF_CLEANUP(sf_buf_done) struct sf_buf file = {0};
    char path[PATH_BYTES];
    enum sf_code code = path_of(store, "CURRENT", path, err);

    *ret = 0;
    code = code == SF_OK ? sf_file_read(path, CURRENT_BYTES_MAX, &file, err) : code;
    if (code == SF_ABSENT || code == SF_BUSY) {
        return SF_OK;
    }
    if (code == SF_OK && file.size > prefix_size + 1 && file.data[file.size - 1] == '\n' &&
        memcmp(file.data, prefix, prefix_size) == 0 &&
        sf_parse_u64(sf_slice_of(file.data + prefix_size, file.size - prefix_size - 1), ret) !=
            SF_PARSE_OK) {
        *ret = 0;
    }
    return code;
}

static void read_edits(struct sf_slice bytes, struct manifest *m)
{
    struct wal_file f = {.bytes = bytes};

    while ((m->end = wal_file_next(&f)) == WAL_RECORD) {
        m->whole = f.end;
        read_edit(sf_slice_of(f.head.bytes, f.head.size), &m->log);
    }
    m->size = bytes.size;
}

enum sf_code manifest_read(const char *store, struct manifest *ret, struct sf_error *err)
{
    char name[MANIFEST_NAME_BYTES];
    char path[PATH_BYTES];
    struct sf_mapping file = {0};
    uint64_t number;
    enum sf_code code = read_current(store, &number, err);

    *ret = (struct manifest){.end = WAL_END};
    if (code != SF_OK || number == 0) {
        return code;
    }
    manifest_name(number, name);
    code = path_of(store, name, path, err);
    code = code == SF_OK ? sf_mapping_open(path, &file, err) : code;
    if (code == SF_OK) {
        ret->number = number;
        read_edits(file.bytes, ret);
        sf_mapping_done(&file);
    }
    return code == SF_ABSENT ? SF_OK : code;
}

enum sf_code manifest_sync(const char *store, const struct manifest *m, struct sf_error *err)
{
    char name[MANIFEST_NAME_BYTES];
    char path[PATH_BYTES];
    bool done = false;
    enum sf_code code;
    int fd;

    manifest_name(m->number, name);
    code = path_of(store, name, path, err);
    if (code != SF_OK) {
        return code;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        done = fdatasync(fd) == 0;
        (void)close(fd); /* Opened for reading: nothing can be lost. */
    }
    return done ? SF_OK : SF_RAISE(err, SF_IO, "cannot sync '%s': %m", path);
}
