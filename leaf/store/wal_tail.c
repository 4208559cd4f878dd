/*
 *   the MANIFEST (manifest_tail.h), then the logs:
 *
 *   look ---> whole: done
 *     |
 *     +-----> cut off, torn, missing ---> something speaks against cutting: refuse
 *                                    ---> try: the store with what would be left ---> behind:
 * refuse
 *                                    ---> keep the rest in cut/, newest log first ---> shorten
 *
 * A crash in the middle leaves a log that breaks off no earlier, and the next start goes on.
 */
#include "leaf/store/wal_tail.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/sys/file.h"
#include "leaf/store/cut_file.h"
#include "leaf/store/data_dir.h"
#include "leaf/store/head_file.h"
#include "leaf/store/kv_rocks.h"
#include "leaf/store/manifest_tail.h"
#include "leaf/store/wal_life.h"
#include "leaf/store/wal_scan.h"
#include "proto/errors.h"

struct mend {
    const struct wal_tail_options *o;
    struct wal_scan *scan;
    struct wal_life life;
};

static enum sf_code too_long(struct sf_error *err)
{
    return SF_RAISE(err, SF_INVALID, "data directory: path is too long");
}

static enum sf_code join(const struct mend *m, const char *name, char ret[WAL_PATH_BYTES],
                         struct sf_error *err)
{
    return snprintf(ret, WAL_PATH_BYTES, "%s/%s", m->o->store, name) < WAL_PATH_BYTES
               ? SF_OK
               : too_long(err);
}

/* --- the store with what would be left --- */

static enum sf_code keep_log(const struct mend *m, size_t i, const char *trial,
                             struct sf_error *err)
{
    char from[WAL_PATH_BYTES];
    char to[WAL_PATH_BYTES];
    struct sf_mapping file = {0};
    enum sf_code code;

    if (!wal_log_path(m->o->store, m->scan->logs[i], from) ||
        snprintf(to, sizeof(to), "%s/%06" PRIu64 ".log", trial, m->scan->logs[i]) >=
            (int)sizeof(to)) {
        return too_long(err);
    }
    if (i < m->scan->bad) {
        return link(from, to) == 0 ? SF_OK : SF_RAISE(err, SF_IO, "cannot link '%s': %m", to);
    }
    code = sf_mapping_open(from, &file, err);
    if (code == SF_OK) {
        code = sf_file_create(to, sf_slice_of(file.bytes.data, m->scan->at), 0600, err);
        sf_mapping_done(&file);
    }
    return code;
}

static enum sf_code open_trial(const struct mend *m, const char *trial, struct sf_error *err)
{
    const struct kv_rocks_options kv_options = {.read_only = true, .wal_dir = trial};
    const struct store_options options = {.read_only = true};
    struct store *store = NULL;
    struct kv *kv = NULL;
    enum sf_code code = kv_rocks_open(m->o->store, &kv_options, &kv, err);

    code = code == SF_OK ? store_open(m->o->rt, kv, &options, &store, err) : code;
    if (code == SF_OK) {
        code = head_file_check(store, m->o->heads, NULL, err);
        store_view_close(store);
    }
    return code;
}

/* Whether the store would be whole, and not behind its head record. */
static enum sf_code try_it(const struct mend *m, struct sf_error *err)
{
    char trial[WAL_PATH_BYTES];
    enum sf_code code = join(m, "trial", trial, err);

    code = code == SF_OK ? sf_dir_remove(trial, err) : code;
    code = code == SF_OK ? sf_dir_make(trial, 0700, err) : code;
    for (size_t i = 0; code == SF_OK && i <= m->scan->bad; i++) {
        code = keep_log(m, i, trial, err);
    }
    if (code == SF_OK) {
        code = open_trial(m, trial, err);
        return sf_dir_remove(trial, NULL) == SF_OK || code != SF_OK
                   ? code
                   : SF_RAISE(err, SF_IO, "cannot remove '%s'", trial);
    }
    return code;
}

/* --- cutting --- */

static enum sf_code cut(const struct mend *m, struct sf_error *err)
{
    struct data_dir dir = {.format_fd = -1};
    char name[WAL_NAME_BYTES];
    enum sf_code code = data_dir_open(m->o->store, &dir, err);

    if (code != SF_OK) {
        return code;
    }
    for (size_t i = m->scan->log_count; code == SF_OK && i-- > m->scan->bad;) {
        wal_log_name(m->scan->logs[i], name);
        code = cut_file(m->o->store, name, i == m->scan->bad ? m->scan->at : 0, err);
    }
    data_dir_done(&dir);
    return code;
}

/* --- deciding --- */

/* What speaks against a power cut; "": nothing. */
static const char *objection(const struct mend *m)
{
    switch (m->scan->verdict) {
    case WAL_WHOLE:
    case WAL_CUT_OFF:
        return "";
    case WAL_MISSING:
        return "what stands behind it says that it was synced";
    case WAL_TORN:
        break;
    }
    return wal_life_objection(&m->life, m->o->boot);
}

static enum sf_code refuse(const struct mend *m, const char *why, struct sf_error *err)
{
    return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_LOG_TORN,
                      "%s/db/%06" PRIu64 ".log from byte %" PRIu64 " on, %" PRIu64
                      " bytes with the logs behind: %s",
                      m->o->store, m->scan->logs[m->scan->bad], m->scan->at, m->scan->bytes, why);
}

/* SF_OK: it may be cut. */
static enum sf_code allow(const struct mend *m, struct sf_error *err)
{
    const char *why = objection(m);

    if (why[0] != '\0') {
        return refuse(m, why, err);
    }
    /* What a killed process leaves is cut by RocksDB too, and the store then compared as ever. */
    return m->scan->verdict == WAL_CUT_OFF ? SF_OK : try_it(m, err);
}

static enum sf_code decide(const struct mend *m, struct wal_tail *ret, struct sf_error *err)
{
    enum sf_code code;

    *ret = (struct wal_tail){
        .torn = true,
        .at = m->scan->at,
        .bytes = ret->bytes + m->scan->bytes,
        .readable = m->scan->verdict == WAL_CUT_OFF,
    };
    wal_log_name(m->scan->logs[m->scan->bad], ret->file);
    code = m->o->how == WAL_TAIL_LOSE ? SF_OK : allow(m, err);
    if (code == SF_CORRUPT && m->o->how == WAL_TAIL_LOOK) {
        ret->why = *err;
        return SF_OK;
    }
    if (code != SF_OK) {
        return code;
    }
    return m->o->how == WAL_TAIL_LOOK ? SF_OK : cut(m, err);
}

static enum sf_code mend_logs(struct mend *m, struct wal_tail *ret, struct sf_error *err)
{
    enum sf_code code = wal_scan_run(m->scan, m->o->store, m->life.life, err);

    return code == SF_OK && m->scan->verdict != WAL_WHOLE ? decide(m, ret, err) : code;
}

enum sf_code wal_tail_mend(const struct wal_tail_options *options, struct wal_tail *ret,
                           struct sf_error *err)
{
    struct mend m = {.o = options, .scan = sf_calloc(1, sizeof(struct wal_scan))};
    enum sf_code code;

    *ret = (struct wal_tail){0};
    if (m.scan == NULL) {
        return SF_RAISE(err, SF_NOMEM, "write-ahead log");
    }
    code = wal_life_read(options->store, &m.life, err);
    code = code == SF_OK ? manifest_tail_mend(options, &m.life, m.scan, ret, err) : code;
    if (code == SF_OK && !(ret->torn && options->how == WAL_TAIL_LOOK)) {
        code = mend_logs(&m, ret, err);
    }
    sf_free(m.scan);
    return code;
}
