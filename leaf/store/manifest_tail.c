#include "leaf/store/manifest_tail.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "leaf/store/cut_file.h"
#include "leaf/store/data_dir.h"
#include "leaf/store/manifest.h"
#include "proto/errors.h"

struct tail {
    const struct wal_tail_options *o;
    const struct wal_life *life;
    struct wal_scan *logs;
    struct manifest manifest;
    bool gap; /* a log is gone: what the others hold does not follow on the tables */
};

static enum sf_code refuse(const struct tail *t, const char *why, struct sf_error *err)
{
    char name[MANIFEST_NAME_BYTES];

    manifest_name(t->manifest.number, name);
    return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_LOG_TORN,
                      "%s/db/%s from byte %" PRIu64 " on, %" PRIu64 " bytes: %s", t->o->store, name,
                      t->manifest.whole, t->manifest.size - t->manifest.whole, why);
}

static bool is_there(const struct wal_scan *logs, uint64_t log)
{
    for (size_t i = 0; i < logs->log_count; i++) {
        if (logs->logs[i] == log) {
            return true;
        }
    }
    return false;
}

/* Whether synced edits are missing. The MANIFEST of a later opening, which was cut off before its
 * life began, tells of the logs of that one. */
static enum sf_code check_synced(struct tail *t, struct sf_error *err)
{
    const struct manifest *m = &t->manifest;
    const uint64_t log = m->log > t->life->log ? m->log : t->life->log;
    char name[WAL_NAME_BYTES];
    char why[128];
    enum sf_code code;

    if (m->number > t->life->manifest) {
        return SF_OK;
    }
    if (m->number < t->life->manifest) {
        return refuse(t, "CURRENT names it, but a later one was synced", err);
    }
    if (m->whole < t->life->manifest_bytes) {
        return refuse(t, "more of it was synced", err);
    }
    code = wal_scan_list(t->logs, t->o->store, err);
    if (code != SF_OK || is_there(t->logs, log)) {
        return code;
    }
    t->gap = true;
    wal_log_name(log, name);
    (void)snprintf(why, sizeof(why),
                   "more of it was synced: %s, whose records are in none of its tables, is gone",
                   name);
    return refuse(t, why, err);
}

static enum sf_code check(struct tail *t, struct sf_error *err)
{
    enum sf_code code = t->life->manifest == 0 ? SF_OK : check_synced(t, err);
    const char *why = "";

    if (code == SF_OK && t->manifest.end == WAL_BAD) {
        why = wal_life_objection(t->life, t->o->boot);
    }
    return why[0] == '\0' ? code : refuse(t, why, err);
}

static enum sf_code cut(const struct tail *t, struct sf_error *err)
{
    struct data_dir dir = {.format_fd = -1};
    char name[MANIFEST_NAME_BYTES];
    char log[WAL_NAME_BYTES];
    enum sf_code code = data_dir_open(t->o->store, &dir, err);

    if (code != SF_OK) {
        return code;
    }
    for (size_t i = t->gap ? t->logs->log_count : 0; code == SF_OK && i-- > 0;) {
        wal_log_name(t->logs->logs[i], log);
        code = cut_file(t->o->store, log, 0, err);
    }
    manifest_name(t->manifest.number, name);
    code = code == SF_OK ? cut_file(t->o->store, name, t->manifest.whole, err) : code;
    data_dir_done(&dir);
    return code;
}

enum sf_code manifest_tail_mend(const struct wal_tail_options *options, const struct wal_life *life,
                                struct wal_scan *scratch, struct wal_tail *ret,
                                struct sf_error *err)
{
    struct tail t = {.o = options, .life = life, .logs = scratch};
    enum sf_code code = manifest_read(options->store, &t.manifest, err);
    struct sf_error why = {0};

    if (code != SF_OK || t.manifest.number == 0) {
        return code;
    }
    code = check(&t, &why);
    if (code != SF_OK && (code != SF_CORRUPT || options->how == WAL_TAIL_CUT)) {
        *err = why;
        return code;
    }
    /* An edit that the file ends in is passed over by RocksDB, as a killed process leaves it. */
    if (code == SF_OK && t.manifest.end != WAL_BAD) {
        return SF_OK;
    }
    ret->torn = true;
    manifest_name(t.manifest.number, ret->file);
    ret->at = t.manifest.whole;
    ret->bytes = t.manifest.size - t.manifest.whole;
    ret->why = options->how == WAL_TAIL_LOOK ? why : ret->why;
    return options->how == WAL_TAIL_LOOK ? SF_OK : cut(&t, err);
}

enum sf_code manifest_tail_note(const char *store, struct wal_life *life, struct sf_error *err)
{
    struct wal_scan *logs = sf_calloc(1, sizeof(*logs));
    struct manifest m = {0};
    enum sf_code code;

    if (logs == NULL) {
        return SF_RAISE(err, SF_NOMEM, "write-ahead log");
    }
    code = wal_scan_list(logs, store, err);
    code = code == SF_OK ? manifest_read(store, &m, err) : code;
    code = code == SF_OK && m.number > 0 ? manifest_sync(store, &m, err) : code;
    if (code == SF_OK && logs->log_count > 0) {
        life->log = logs->logs[logs->log_count - 1];
        life->manifest = m.number;
        life->manifest_bytes = m.whole;
    }
    sf_free(logs);
    return code;
}
