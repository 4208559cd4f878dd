/*
 * The list of a backup, its file BACKUP: what the backup is of, and every file with size, mode and
 * hash. It is written last: a directory without one is no backup. Bytes: docs/formats/backup.md.
 *
 *   Errors    SF_CORRUPT (SHEAF-E0612): not a whole list. SF_CONFLICT (SHEAF-E0607): of a newer
 *             version. SF_NOMEM.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/sys/crypto.h"

#define BACKUP_LIST      "BACKUP"
#define BACKUP_PART_END  ".part" /* of a directory that is not whole yet */
#define BACKUP_PATH_MAX  4096
#define BACKUP_LIST_MAX  (256 * 1024 * 1024)
#define BACKUP_FILES_MAX 1000000

struct backup_entry {
    const char *path; /* below the backup; owned */
    uint64_t size;
    uint32_t mode;
    uint8_t hash[SF_HASH256_SIZE];
};

struct backup_list {
    char domain[64];
    char mesh[64];
    uint32_t epoch;
    uint64_t commit;
    int64_t time_us;
    bool has_keys;
    struct backup_entry *entries; /* owned, by path */
    size_t count;
    size_t capacity;
};

void backup_list_done(struct backup_list *l);
/* Appends; the path is copied. SF_NOMEM. SF_INVALID: a path of another form than "a/b.c". */
enum sf_code backup_list_add(struct backup_list *l, const char *path, uint64_t size, uint32_t mode,
                             const uint8_t hash[SF_HASH256_SIZE],
                             struct sf_error *err) SF_MUST_CHECK;
/* In a list that was read. NULL: not in it. */
const struct backup_entry *backup_list_find(const struct backup_list *l, const char *path);

/* A failure is sticky in @out. */
void backup_list_encode(struct backup_list *l, struct sf_buf *out);
enum sf_code backup_list_decode(struct sf_slice bytes, struct backup_list *ret,
                                struct sf_error *err) SF_MUST_CHECK;
/* Reads <dir>/BACKUP. SF_ABSENT: there is none. */
enum sf_code backup_list_read(const char *dir, struct backup_list *ret,
                              struct sf_error *err) SF_MUST_CHECK;
/*
 * The newest whole backup in @dir, which is one itself or holds some by name: its path into @ret
 * and its list. SF_ABSENT: there is none.
 */
enum sf_code backup_list_newest(const char *dir, char ret[BACKUP_PATH_MAX],
                                struct backup_list *list, struct sf_error *err) SF_MUST_CHECK;
