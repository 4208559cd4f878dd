#include "leaf/admin/backup_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/str.h"
#include "common/sys/encoding.h"
#include "common/sys/file.h"
#include "proto/errors.h"

/*
 * sheaf backup 1
 * domain sales
 * mesh m2k...
 * epoch 1
 * commit 42
 * time_us 1767225600000000
 * keys yes
 * file <64 hex digits> <size> <mode in octal> <path>
 * end <64 hex digits: hash of all before this line>
 */
static const char first_line[] = "sheaf backup 1";

enum { HEX = 2 * SF_HASH256_SIZE };

void backup_list_done(struct backup_list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        sf_free((void *)(uintptr_t)l->entries[i].path);
    }
    sf_free(l->entries);
    *l = (struct backup_list){0};
}

/* Nothing that leads out of the directory, and nothing that breaks a line. */
static bool is_plain_path(const char *path)
{
    bool at_start = true;

    if (*path == '\0') {
        return false;
    }
    for (const char *p = path; *p != '\0'; p++) {
        if ((unsigned char)*p <= ' ' || *p == 127 || (at_start && (*p == '/' || *p == '.'))) {
            return false;
        }
        at_start = *p == '/';
    }
    return !at_start;
}

enum sf_code backup_list_add(struct backup_list *l, const char *path, uint64_t size, uint32_t mode,
                             const uint8_t hash[SF_HASH256_SIZE], struct sf_error *err)
{
    struct backup_entry *e;

    if (!is_plain_path(path) || strlen(path) >= BACKUP_PATH_MAX / 2 ||
        l->count == BACKUP_FILES_MAX) {
        return SF_RAISE(err, SF_INVALID, "a backup cannot hold '%.100s'", path);
    }
    if (l->count == l->capacity) {
        size_t more = l->capacity == 0 ? 64 : l->capacity * 2;

        e = sf_realloc(l->entries, more, sizeof(*e));
        if (e == NULL) {
            return SF_RAISE(err, SF_NOMEM, "list of a backup");
        }
        l->entries = e;
        l->capacity = more;
    }
    e = &l->entries[l->count];
    *e = (struct backup_entry){.path = sf_strdup(path), .size = size, .mode = mode};
    if (e->path == NULL) {
        return SF_RAISE(err, SF_NOMEM, "list of a backup");
    }
    memcpy(e->hash, hash, SF_HASH256_SIZE);
    l->count++;
    return SF_OK;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct backup_entry *)a)->path, ((const struct backup_entry *)b)->path);
}

static void sort(struct backup_list *l)
{
    if (l->count > 1) {
        qsort(l->entries, l->count, sizeof(*l->entries), by_path);
    }
}

const struct backup_entry *backup_list_find(const struct backup_list *l, const char *path)
{
    const struct backup_entry key = {.path = path};

    return l->count == 0 ? NULL : bsearch(&key, l->entries, l->count, sizeof(*l->entries), by_path);
}

/* --- bytes --- */

void backup_list_encode(struct backup_list *l, struct sf_buf *out)
{
    uint8_t hash[SF_HASH256_SIZE];
    struct sf_slice all;

    sort(l);
    sf_buf_clear(out);
    sf_buf_printf(out, "%s\ndomain %s\nmesh %s\nepoch %u\ncommit %llu\ntime_us %lld\nkeys %s\n",
                  first_line, l->domain, l->mesh[0] == '\0' ? "-" : l->mesh, (unsigned)l->epoch,
                  (unsigned long long)l->commit, (long long)l->time_us, l->has_keys ? "yes" : "no");
    for (size_t i = 0; i < l->count; i++) {
        const struct backup_entry *e = &l->entries[i];

        sf_buf_text(out, "file ");
        sf_buf_encode(out, SF_HEX, sf_slice_of(e->hash, SF_HASH256_SIZE));
        sf_buf_printf(out, " %llu %o %s\n", (unsigned long long)e->size, (unsigned)e->mode,
                      e->path);
    }
    if (out->failed == SF_OK) {
        all = sf_buf_view(out);
        sf_hash256(&all, 1, hash);
        sf_buf_text(out, "end ");
        sf_buf_encode(out, SF_HEX, sf_slice_of(hash, sizeof(hash)));
        sf_buf_byte(out, '\n');
    }
}

static enum sf_code damaged(struct sf_error *err)
{
    return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_BACKUP_BAD, "its list of files is damaged");
}

/* Takes the next line off @text; false when there is none. */
static bool take_line(struct sf_slice *text, char *ret, size_t size)
{
    const uint8_t *end = memchr(text->data, '\n', text->size);
    const size_t n = end == NULL ? 0 : (size_t)(end - text->data);

    if (end == NULL || n >= size) {
        return false;
    }
    memcpy(ret, text->data, n);
    ret[n] = '\0';
    *text = sf_slice_of(end + 1, text->size - n - 1);
    return true;
}

static enum sf_code take_file(struct backup_list *l, const char *line, struct sf_error *err)
{
    uint8_t hash[SF_HASH256_SIZE];
    unsigned long long size = 0;
    unsigned mode = 0;
    int at = 0;

    if (strlen(line) < HEX + 2 ||
        sf_decode_exact(SF_HEX, sf_slice_of(line, HEX), hash, sizeof(hash), NULL) != SF_OK ||
        sscanf(line + HEX, " %llu %o %n", &size, &mode, &at) != 2 || at == 0) {
        return damaged(err);
    }
    return backup_list_add(l, line + HEX + at, size, mode, hash, err) == SF_NOMEM
               ? SF_RAISE(err, SF_NOMEM, "list of a backup")
               : SF_OK;
}

static enum sf_code take_head(struct backup_list *l, struct sf_slice *text, struct sf_error *err)
{
    char line[256];
    char keys[8] = "";
    unsigned long long commit = 0;
    long long time_us = 0;
    unsigned epoch = 0;
    bool ok = take_line(text, line, sizeof(line)) && sscanf(line, "domain %63s", l->domain) == 1 &&
              take_line(text, line, sizeof(line)) && sscanf(line, "mesh %63s", l->mesh) == 1 &&
              take_line(text, line, sizeof(line)) && sscanf(line, "epoch %u", &epoch) == 1 &&
              take_line(text, line, sizeof(line)) && sscanf(line, "commit %llu", &commit) == 1 &&
              take_line(text, line, sizeof(line)) && sscanf(line, "time_us %lld", &time_us) == 1 &&
              take_line(text, line, sizeof(line)) && sscanf(line, "keys %7s", keys) == 1;

    if (!ok) {
        return damaged(err);
    }
    l->mesh[0] = strcmp(l->mesh, "-") == 0 ? '\0' : l->mesh[0];
    l->epoch = epoch;
    l->commit = commit;
    l->time_us = time_us;
    l->has_keys = strcmp(keys, "yes") == 0;
    return SF_OK;
}

/* Sets *body to what the last line vouches for. */
static enum sf_code check_end(struct sf_slice bytes, struct sf_slice *body, struct sf_error *err)
{
    enum { LAST = 4 + HEX + 1 };
    uint8_t stated[SF_HASH256_SIZE];
    uint8_t hash[SF_HASH256_SIZE];

    if (bytes.size < LAST || memcmp(bytes.data + bytes.size - LAST, "end ", 4) != 0 ||
        bytes.data[bytes.size - 1] != '\n' ||
        sf_decode_exact(SF_HEX, sf_slice_of(bytes.data + bytes.size - LAST + 4, HEX), stated,
                        sizeof(stated), NULL) != SF_OK) {
        return damaged(err);
    }
    *body = sf_slice_of(bytes.data, bytes.size - LAST);
    sf_hash256(body, 1, hash);
    return memcmp(hash, stated, sizeof(hash)) == 0 ? SF_OK : damaged(err);
}

enum sf_code backup_list_decode(struct sf_slice bytes, struct backup_list *ret,
                                struct sf_error *err)
{
    struct backup_list l = {0};
    struct sf_slice text;
    char line[BACKUP_PATH_MAX];
    enum sf_code code = check_end(bytes, &text, err);

    if (code != SF_OK) {
        return code;
    }
    if (!take_line(&text, line, sizeof(line))) {
        return damaged(err);
    }
    if (strcmp(line, first_line) != 0) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_DATA_DIR_VERSION, "the backup is '%.40s'",
                          line);
    }
    code = take_head(&l, &text, err);
    while (code == SF_OK && text.size > 0) {
        if (!take_line(&text, line, sizeof(line)) || strncmp(line, "file ", 5) != 0) {
            code = damaged(err);
        } else {
            code = take_file(&l, line + 5, err);
        }
    }
    if (code != SF_OK) {
        backup_list_done(&l);
        return code;
    }
    sort(&l);
    *ret = l;
    return SF_OK;
}

/* --- files --- */

enum sf_code backup_list_read(const char *dir, struct backup_list *ret, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf file = {0};
    char path[BACKUP_PATH_MAX];
    enum sf_code code;

    if (snprintf(path, sizeof(path), "%s/" BACKUP_LIST, dir) >= (int)sizeof(path)) {
        return SF_RAISE(err, SF_INVALID, "path is too long");
    }
    code = sf_file_read(path, BACKUP_LIST_MAX, &file, err);
    return code == SF_OK ? backup_list_decode(sf_buf_view(&file), ret, err) : code;
}

struct newest {
    const char *dir;
    char name[256];
};

/* Names come in order, and names of backups are times. */
static enum sf_code each_name(const char *name, void *data, struct sf_error *err)
{
    struct newest *n = data;
    char path[BACKUP_PATH_MAX];
    const size_t length = strlen(name);
    const size_t part = sizeof(BACKUP_PART_END) - 1;

    (void)err;
    if (length >= sizeof(n->name) ||
        (length > part && strcmp(name + length - part, BACKUP_PART_END) == 0) ||
        snprintf(path, sizeof(path), "%s/%s/" BACKUP_LIST, n->dir, name) >= (int)sizeof(path)) {
        return SF_OK;
    }
    if (sf_file_exists(path)) {
        memcpy(n->name, name, length + 1);
    }
    return SF_OK;
}

enum sf_code backup_list_newest(const char *dir, char ret[BACKUP_PATH_MAX],
                                struct backup_list *list, struct sf_error *err)
{
    struct newest n = {.dir = dir};
    enum sf_code code = backup_list_read(dir, list, err);

    (void)snprintf(ret, BACKUP_PATH_MAX, "%s", dir);
    if (code != SF_ABSENT) {
        return code;
    }
    code = sf_dir_each(dir, each_name, &n, err);
    if (code == SF_OK && n.name[0] == '\0') {
        return SF_RAISE(err, SF_ABSENT, "no backup in %s", dir);
    }
    if (code == SF_OK && snprintf(ret, BACKUP_PATH_MAX, "%s/%s", dir, n.name) >= BACKUP_PATH_MAX) {
        return SF_RAISE(err, SF_INVALID, "path is too long");
    }
    return code == SF_OK ? backup_list_read(ret, list, err) : code;
}
