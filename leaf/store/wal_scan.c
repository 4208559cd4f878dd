#include "leaf/store/wal_scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/str.h"
#include "common/sys/file.h"

void wal_log_name(uint64_t log, char ret[WAL_NAME_BYTES])
{
    (void)snprintf(ret, WAL_NAME_BYTES, "%06" PRIu64 ".log", log);
}

bool wal_log_path(const char *store, uint64_t log, char ret[WAL_PATH_BYTES])
{
    char name[WAL_NAME_BYTES];

    wal_log_name(log, name);
    return snprintf(ret, WAL_PATH_BYTES, "%s/db/%s", store, name) < WAL_PATH_BYTES;
}

/* --- the files --- */

static enum sf_code add_log(const char *name, void *data, struct sf_error *err)
{
    static const char suffix[] = ".log";
    struct wal_scan *s = data;
    const size_t size = strlen(name);
    uint64_t number;

    if (size < sizeof(suffix) || strcmp(name + size - (sizeof(suffix) - 1), suffix) != 0 ||
        sf_parse_u64(sf_slice_of(name, size - (sizeof(suffix) - 1)), &number) != SF_PARSE_OK) {
        return SF_OK;
    }
    if (s->log_count == WAL_LOGS_MAX) {
        return SF_RAISE(err, SF_BUSY, "more than %d files of the write-ahead log", WAL_LOGS_MAX);
    }
    s->logs[s->log_count++] = number;
    return SF_OK;
}

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

enum sf_code wal_scan_list(struct wal_scan *s, const char *store, struct sf_error *err)
{
    char db[WAL_PATH_BYTES];
    enum sf_code code;

    s->log_count = 0;
    if (snprintf(db, sizeof(db), "%s/db", store) >= (int)sizeof(db)) {
        return SF_RAISE(err, SF_INVALID, "data directory: path is too long");
    }
    code = sf_dir_each(db, add_log, s, err);
    qsort(s->logs, s->log_count, sizeof(s->logs[0]), compare_numbers);
    return code == SF_ABSENT ? SF_OK : code;
}

/* --- one file --- */

/* Whether a whole record is the one that is to come next. */
static bool is_next(const struct wal_scan *s, const struct wal_file *f, bool first_of_file)
{
    const struct wal_stamp *stamp = &f->stamp;

    if (!f->has_stamp || stamp->life != s->life) {
        return false;
    }
    if (!s->begun) {
        return true;
    }
    /* Twice: RocksDB was asked again. A file may be gone in between when it is of no use any more,
     * and an older one still there. */
    return stamp->number == s->last || stamp->number == s->last + 1 ||
           (first_of_file && stamp->number > s->last);
}

static void note_bad(struct wal_scan *s, size_t i, uint64_t at, enum wal_verdict verdict)
{
    s->verdict = verdict;
    s->bad = i;
    s->at = at;
}

/* What stands behind the bad place; what is older there, or of another life, is what the disk held
 * before. */
static void look_behind(struct wal_scan *s, struct wal_file *f)
{
    const uint64_t missing = s->last + 1;

    do {
        if (f->has_stamp && f->stamp.life == s->life &&
            (f->stamp.synced >= missing || f->stamp.number == missing)) {
            s->verdict = WAL_MISSING;
        }
    } while (wal_file_find(f));
}

static void scan_file(struct wal_scan *s, size_t i, struct sf_slice bytes)
{
    struct wal_file f = {.bytes = bytes};
    bool first = true;
    enum wal_next next;

    while (s->verdict == WAL_WHOLE && (next = wal_file_next(&f)) != WAL_END) {
        if (next == WAL_RECORD && is_next(s, &f, first)) {
            s->begun = true;
            s->last = f.stamp.number;
            first = false;
        } else if (!s->begun && first && next == WAL_RECORD) {
            return; /* Of an older release, or of a life before this one, whose rows are tables. */
        } else {
            note_bad(s, i, f.at, next == WAL_SHORT ? WAL_CUT_OFF : WAL_TORN);
        }
    }
    if (s->verdict == WAL_WHOLE) {
        return;
    }
    if (s->verdict == WAL_CUT_OFF && i != s->bad && bytes.size > 0) {
        s->verdict = WAL_TORN; /* A process goes on only behind whole records. */
    }
    s->bytes += i == s->bad ? bytes.size - s->at : bytes.size;
    look_behind(s, &f);
}

enum sf_code wal_scan_run(struct wal_scan *s, const char *store, uint64_t life,
                          struct sf_error *err)
{
    char path[WAL_PATH_BYTES];
    enum sf_code code;

    memset(s, 0, sizeof(*s));
    s->life = life;
    code = life == 0 ? SF_OK : wal_scan_list(s, store, err);
    for (size_t i = 0; code == SF_OK && i < s->log_count; i++) {
        struct sf_mapping file = {0};

        if (!wal_log_path(store, s->logs[i], path)) {
            return SF_RAISE(err, SF_INVALID, "data directory: path is too long");
        }
        code = sf_mapping_open(path, &file, err);
        if (code == SF_OK) {
            scan_file(s, i, file.bytes);
            sf_mapping_done(&file);
        }
    }
    return code;
}
