#include "leaf/admin/backup.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/alloc.h"
#include "common/base/list.h"
#include "common/base/time.h"
#include "common/sys/file.h"
#include "common/sys/log.h"
#include "leaf/admin/backup_copy.h"
#include "leaf/admin/backup_file.h"
#include "leaf/admin/check_report.h"
#include "leaf/store/head_record.h"
#include "leaf/store/kv.h"
#include "leaf/store/kv_rocks.h"
#include "proto/errors.h"

enum { STEP_BYTES = 4 * 1024 * 1024, NAME_TRIES = 100 };
#define ROOM_LEFT (UINT64_C(64) * 1024 * 1024)

enum backup_phase {
    BACKUP_TAKE, /* the checkpoint */
    BACKUP_COPY,
    BACKUP_OPEN, /* the copy */
    BACKUP_VERIFY,
    BACKUP_FINISH,
    BACKUP_ENDED,
};

/* One file to be copied. */
struct planned {
    char *from; /* owned */
    char *path; /* owned: below the backup */
    uint64_t size;
};

struct backup {
    struct job job;
    struct sf_rt *rt;
    struct kv *kv;
    char *data_dir;
    char *repository;
    int64_t wall_us;
    bool with_keys;

    enum backup_phase phase;
    struct sf_lock lock; /* of the repository */
    char name[64];
    char part[BACKUP_PATH_MAX];   /* what is being made */
    char before[BACKUP_PATH_MAX]; /* the newest backup there; "": none */
    struct backup_list last;      /* its list */
    struct backup_list list;      /* of this one */
    struct planned *plan;
    size_t plan_count;
    size_t plan_capacity;
    size_t at; /* in the plan */
    struct file_copy copy;
    bool copying;
    bool comparing; /* the copy is only hashed: the file may be in the last backup */
    char to[BACKUP_PATH_MAX];
    uint64_t done_bytes;
    uint64_t total_bytes;
    uint64_t linked_bytes;

    struct store *view;
    struct store_checker *checker;
};

static struct backup *self(struct job *j)
{
    return SF_CONTAINER_OF(j, struct backup, job);
}

static enum sf_code join(char ret[BACKUP_PATH_MAX], const char *dir, const char *name,
                         struct sf_error *err)
{
    int n = snprintf(ret, BACKUP_PATH_MAX, "%s/%s", dir, name);

    return n < 0 || n >= BACKUP_PATH_MAX ? SF_RAISE(err, SF_INVALID, "path is too long") : SF_OK;
}

/* --- what is to be copied --- */

static enum sf_code plan_add(struct backup *b, const char *dir, const char *name, const char *below,
                             struct sf_error *err)
{
    char path[BACKUP_PATH_MAX];
    struct stat st;
    struct planned *p;
    enum sf_code code = join(path, dir, name, err);

    if (code != SF_OK) {
        return code;
    }
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        return SF_OK; /* Only files are ours. */
    }
    if (b->plan_count == b->plan_capacity) {
        size_t more = b->plan_capacity == 0 ? 64 : b->plan_capacity * 2;

        p = sf_realloc(b->plan, more, sizeof(*p));
        if (p == NULL) {
            return SF_RAISE(err, SF_NOMEM, "backup");
        }
        b->plan = p;
        b->plan_capacity = more;
    }
    p = &b->plan[b->plan_count++];
    *p = (struct planned){.from = sf_strdup(path), .size = (uint64_t)st.st_size};
    (void)snprintf(path, sizeof(path), "%s%s%s", below, *below == '\0' ? "" : "/", name);
    p->path = sf_strdup(path);
    b->total_bytes += p->size;
    return p->from == NULL || p->path == NULL ? SF_RAISE(err, SF_NOMEM, "backup") : SF_OK;
}

struct plan_dir {
    struct backup *backup;
    const char *dir;
    const char *below;
};

static enum sf_code plan_each(const char *name, void *data, struct sf_error *err)
{
    const struct plan_dir *d = data;

    return plan_add(d->backup, d->dir, name, d->below, err);
}

/* All files of <data>/@name, which may not be there. */
static enum sf_code plan_dir(struct backup *b, const char *name, const char *below,
                             struct sf_error *err)
{
    char path[BACKUP_PATH_MAX];
    struct plan_dir d = {.backup = b, .dir = path, .below = below};
    enum sf_code code = join(path, b->data_dir, name, err);

    code = code == SF_OK ? sf_dir_each(path, plan_each, &d, err) : code;
    return code == SF_ABSENT ? SF_OK : code;
}

static enum sf_code make_plan(struct backup *b, struct sf_error *err)
{
    char store[BACKUP_PATH_MAX];
    uint64_t free_bytes = 0;
    enum sf_code code = join(store, b->data_dir, "store", err);

    code = code == SF_OK ? plan_dir(b, BACKUP_CHECKPOINT, "store/db", err) : code;
    code = code == SF_OK ? plan_add(b, store, "FORMAT", "store", err) : code;
    if (code == SF_OK && b->with_keys) {
        code = plan_dir(b, "keys", "keys", err);
        code = code == SF_OK ? plan_dir(b, "creds", "creds", err) : code;
        code = code == SF_OK ? plan_add(b, b->data_dir, "identity.json", "", err) : code;
    }
    code = code == SF_OK ? sf_disk_free(b->repository, &free_bytes, err) : code;
    if (code == SF_OK && free_bytes < b->total_bytes + ROOM_LEFT) {
        return SF_RAISE_E(err, SF_IO, SHEAF_E_DISK_FULL,
                          "%s has %llu bytes free, the backup takes up to %llu", b->repository,
                          (unsigned long long)free_bytes,
                          (unsigned long long)(b->total_bytes + ROOM_LEFT));
    }
    return code;
}

/* --- beginning --- */

static enum sf_code remove_part(const char *name, void *data, struct sf_error *err)
{
    const struct backup *b = data;
    const size_t n = strlen(name);
    const size_t part = sizeof(BACKUP_PART_END) - 1;
    char path[BACKUP_PATH_MAX];
    enum sf_code code;

    if (n <= part || strcmp(name + n - part, BACKUP_PART_END) != 0) {
        return SF_OK;
    }
    code = join(path, b->repository, name, err);
    return code == SF_OK ? sf_dir_remove(path, err) : code;
}

/* "20261120T131500Z", with a number behind it when that is taken. */
static enum sf_code choose_name(struct backup *b, struct sf_error *err)
{
    char text[SF_TIME_TEXT_SIZE];
    char path[BACKUP_PATH_MAX];
    size_t n = 0;
    enum sf_code code = SF_OK;

    (void)sf_time_format(b->wall_us, text);
    for (const char *p = text; *p != '\0' && *p != '.' && n < 15; p++) {
        if (*p != '-' && *p != ':' && *p != 'Z') {
            b->name[n++] = *p;
        }
    }
    b->name[n] = '\0';
    for (int i = 0; code == SF_OK && i < NAME_TRIES; i++) {
        (void)snprintf(b->name + n, sizeof(b->name) - n, i == 0 ? "Z" : "Z-%02d", i);
        code = join(path, b->repository, b->name, err);
        if (code == SF_OK && !sf_file_exists(path)) {
            break;
        }
    }
    code = code == SF_OK ? join(b->part, b->repository, b->name, err) : code;
    if (code == SF_OK && strlen(b->part) + sizeof(BACKUP_PART_END) > sizeof(b->part)) {
        return SF_RAISE(err, SF_INVALID, "path is too long");
    }
    (void)strncat(b->part, BACKUP_PART_END, sizeof(b->part) - strlen(b->part) - 1);
    return code;
}

static enum sf_code open_repository(struct backup *b, struct sf_error *err)
{
    char path[BACKUP_PATH_MAX];
    enum sf_code code = sf_dir_make(b->repository, 0700, err);

    code = code == SF_OK ? join(path, b->repository, "lock", err) : code;
    if (code == SF_OK) {
        code = sf_lock_take(path, &b->lock, err);
        if (code == SF_CONFLICT) {
            return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_DATA_DIR_IN_USE,
                              "another backup runs in %s", b->repository);
        }
    }
    code = code == SF_OK ? sf_dir_each(b->repository, remove_part, b, err) : code;
    if (code == SF_OK && backup_list_newest(b->repository, b->before, &b->last, NULL) != SF_OK) {
        b->before[0] = '\0'; /* None, or none that helps: all is copied. */
    }
    return code;
}

static enum sf_code make_dirs(const struct backup *b, struct sf_error *err)
{
    static const char *const dirs[] = {"store/db", "keys", "creds"};
    char path[BACKUP_PATH_MAX];
    enum sf_code code = SF_OK;

    for (size_t i = 0; code == SF_OK && i < (b->with_keys ? SF_COUNT(dirs) : 1); i++) {
        code = join(path, b->part, dirs[i], err);
        code = code == SF_OK ? sf_dir_make(path, 0700, err) : code;
    }
    return code;
}

static enum sf_code take(struct backup *b, struct sf_error *err)
{
    char path[BACKUP_PATH_MAX];
    enum sf_code code = open_repository(b, err);

    code = code == SF_OK ? choose_name(b, err) : code;
    code = code == SF_OK ? make_dirs(b, err) : code;
    code = code == SF_OK ? join(path, b->data_dir, BACKUP_CHECKPOINT, err) : code;
    code = code == SF_OK ? sf_dir_remove(path, err) : code;
    code = code == SF_OK ? b->kv->ops->checkpoint(b->kv, path, err) : code;
    code = code == SF_OK ? make_plan(b, err) : code;
    b->phase = BACKUP_COPY;
    return code;
}

/* --- copying --- */

/* The same file in the newest backup, if it may be that: tables never change. */
static const struct backup_entry *in_last(const struct backup *b, const struct planned *p)
{
    const size_t n = strlen(p->path);
    const struct backup_entry *e =
        n > 4 && strcmp(p->path + n - 4, ".sst") == 0 && b->before[0] != '\0'
            ? backup_list_find(&b->last, p->path)
            : NULL;

    return e != NULL && e->size == p->size ? e : NULL;
}

static enum sf_code next_file(struct backup *b, struct sf_error *err)
{
    const struct planned *p = &b->plan[b->at];
    enum sf_code code = join(b->to, b->part, p->path, err);

    b->comparing = !b->copying && in_last(b, p) != NULL;
    b->copying = true;
    return code == SF_OK ? file_copy_open(&b->copy, p->from, b->comparing ? NULL : b->to, err)
                         : code;
}

/* A file that was only hashed: linked when the last backup has these very bytes. */
static enum sf_code settle_compared(struct backup *b, const struct planned *p, bool *again,
                                    struct sf_error *err)
{
    const struct backup_entry *e = in_last(b, p);
    char from[BACKUP_PATH_MAX];
    enum sf_code code = join(from, b->before, p->path, err);

    *again = true;
    if (code != SF_OK || e == NULL || memcmp(e->hash, b->copy.hash, SF_HASH256_SIZE) != 0) {
        return code;
    }
    code = file_link(from, b->to, err);
    if (code == SF_OK) {
        b->linked_bytes += p->size;
        *again = false;
    }
    return code == SF_CONFLICT || code == SF_ABSENT ? SF_OK : code;
}

static enum sf_code settle_file(struct backup *b, struct sf_error *err)
{
    const struct planned *p = &b->plan[b->at];
    enum sf_code code = SF_OK;
    bool again = false;

    if (b->comparing) {
        code = settle_compared(b, p, &again, err);
        if (code == SF_OK && again) {
            return next_file(b, err); /* b->copying: now it is copied. */
        }
    }
    b->copying = false;
    code = code == SF_OK
               ? backup_list_add(&b->list, p->path, b->copy.size, b->copy.mode, b->copy.hash, err)
               : code;
    b->done_bytes += b->copy.size;
    b->at++;
    return code;
}

static enum sf_code copy_some(struct backup *b, struct sf_error *err)
{
    bool done = false;
    enum sf_code code = SF_OK;

    if (b->at == b->plan_count) {
        b->phase = BACKUP_OPEN;
        return SF_OK;
    }
    code = b->copying ? SF_OK : next_file(b, err);
    code = code == SF_OK ? file_copy_step(&b->copy, STEP_BYTES, &done, err) : code;
    return code == SF_OK && done ? settle_file(b, err) : code;
}

/* --- verifying --- */

static enum sf_code write_heads(struct backup *b, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf record = {0};
    struct head_record r;
    uint8_t hash[SF_HASH256_SIZE];
    struct sf_slice all;
    enum sf_code code = join(b->to, b->part, "heads", err);

    head_record_encode(b->view, &record);
    code = code == SF_OK ? sf_buf_check(&record, "head record", err) : code;
    code = code == SF_OK ? head_record_decode(sf_buf_view(&record), &r, err) : code;
    if (code != SF_OK) {
        return code;
    }
    b->list.epoch = r.epoch;
    b->list.commit = r.commit;
    all = sf_buf_view(&record);
    sf_hash256(&all, 1, hash);
    code = sf_file_write(b->to, all, 0600, err);
    return code == SF_OK ? backup_list_add(&b->list, "heads", all.size, 0600, hash, err) : code;
}

static enum sf_code not_good(struct sf_error *err)
{
    struct sf_error why = *err;

    return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_BACKUP_BAD, "the copy: %s", why.text);
}

static enum sf_code open_copy(struct backup *b, struct sf_error *err)
{
    const struct kv_rocks_options kv_options = {.cache_bytes = (size_t)8 * 1024 * 1024,
                                                .read_only = true};
    const struct store_options options = {.read_only = true};
    struct kv *kv = NULL;
    char path[BACKUP_PATH_MAX];
    enum sf_code code = join(path, b->data_dir, BACKUP_CHECKPOINT, err);

    code = code == SF_OK ? sf_dir_remove(path, err) : code; /* Frees its links early. */
    code = code == SF_OK ? join(path, b->part, "store", err) : code;
    code = code == SF_OK ? kv_rocks_open(path, &kv_options, &kv, err) : code;
    code = code == SF_OK ? store_open(b->rt, kv, &options, &b->view, err) : code;
    code = code == SF_OK ? store_checker_new(b->view, &b->checker, err) : code;
    if (code == SF_CORRUPT) {
        return not_good(err);
    }
    b->phase = BACKUP_VERIFY;
    return code == SF_OK ? write_heads(b, err) : code;
}

static enum sf_code verify_some(struct backup *b, struct sf_error *err)
{
    bool done = false;
    enum sf_code code = store_checker_step(b->checker, CHECK_STEP_ITEMS, &done, err);

    if (code == SF_OK && done) {
        const struct store_checker_progress p = store_checker_progress(b->checker);

        b->phase = BACKUP_FINISH;
        if (p.damages > 0) {
            *err = p.first;
            return not_good(err);
        }
    }
    return code;
}

/* --- ending --- */

static void close_view(struct backup *b)
{
    store_checker_free(SF_TAKE(b->checker));
    store_view_close(SF_TAKE(b->view));
}

/* RocksDB leaves its LOG where it opens something. */
static enum sf_code remove_log(const char *name, void *data, struct sf_error *err)
{
    char path[BACKUP_PATH_MAX];
    enum sf_code code;

    if (strncmp(name, "LOG", 3) != 0) {
        return SF_OK;
    }
    code = join(path, data, name, err);
    return code == SF_OK ? sf_file_remove(path, err) : code;
}

static enum sf_code sync_dirs(const struct backup *b, struct sf_error *err)
{
    static const char *const dirs[] = {"store/db", "store", "", "keys", "creds"};
    char path[BACKUP_PATH_MAX];
    enum sf_code code = SF_OK;

    for (size_t i = 0; code == SF_OK && i < (b->with_keys ? SF_COUNT(dirs) : 3); i++) {
        code = join(path, b->part, dirs[i], err);
        code = code == SF_OK && i == 0 ? sf_dir_each(path, remove_log, path, err) : code;
        code = code == SF_OK ? dir_sync(path, err) : code;
    }
    return code;
}

static enum sf_code finish(struct backup *b, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    char path[BACKUP_PATH_MAX];
    enum sf_code code = sync_dirs(b, err);

    b->list.time_us = b->wall_us;
    b->list.has_keys = b->with_keys;
    backup_list_encode(&b->list, &text);
    code = code == SF_OK ? sf_buf_check(&text, "list of a backup", err) : code;
    code = code == SF_OK ? join(path, b->part, BACKUP_LIST, err) : code;
    code = code == SF_OK ? sf_file_write(path, sf_buf_view(&text), 0600, err) : code;
    code = code == SF_OK ? join(path, b->repository, b->name, err) : code;
    if (code == SF_OK && rename(b->part, path) != 0) {
        return SF_RAISE(err, SF_IO, "cannot rename '%s': %m", b->part);
    }
    if (code == SF_OK) {
        b->part[0] = '\0';
        b->phase = BACKUP_ENDED;
    }
    return code == SF_OK ? dir_sync(b->repository, err) : code;
}

static enum sf_code job_step(struct job *j, bool *done, struct sf_error *err)
{
    struct backup *b = self(j);
    enum sf_code code = SF_OK;

    switch (b->phase) {
    case BACKUP_TAKE:
        code = take(b, err);
        break;
    case BACKUP_COPY:
        code = copy_some(b, err);
        break;
    case BACKUP_OPEN:
        code = open_copy(b, err);
        break;
    case BACKUP_VERIFY:
        code = verify_some(b, err);
        break;
    case BACKUP_FINISH:
        code = finish(b, err);
        break;
    case BACKUP_ENDED:
        break;
    }
    *done = b->phase == BACKUP_ENDED;
    if (code != SF_OK) {
        file_error_number(err);
    }
    return code;
}

static void report(const struct job *j, struct sf_json_writer *w)
{
    static const char *const names[] = {
        [BACKUP_TAKE] = "checkpoint", [BACKUP_COPY] = "copy",     [BACKUP_OPEN] = "check",
        [BACKUP_VERIFY] = "check",    [BACKUP_FINISH] = "finish", [BACKUP_ENDED] = "ended",
    };
    const struct backup *b = (const struct backup *)(const void *)j;
    const uint64_t under_way = b->copying && !b->comparing ? b->copy.size : 0;
    struct store_checker_progress p = {0};

    sf_json_object_begin(w);
    sf_json_member_text(w, "phase", names[b->phase]);
    sf_json_member_text(w, "repository", b->repository);
    sf_json_member_text(w, "name", b->name);
    sf_json_member_uint(w, "done", b->done_bytes + under_way);
    sf_json_member_uint(w, "total", b->total_bytes);
    sf_json_member_uint(w, "linked_bytes", b->linked_bytes);
    sf_json_member_uint(w, "files", b->list.count);
    sf_json_member_uint(w, "epoch", b->list.epoch);
    sf_json_member_uint(w, "commit", b->list.commit);
    sf_json_member_bool(w, "keys", b->with_keys);
    if (b->checker != NULL) {
        p = store_checker_progress(b->checker);
        sf_json_key(w, "check");
        sf_json_object_begin(w);
        check_report(&p, w);
        sf_json_object_end(w);
    }
    sf_json_object_end(w);
}
_Static_assert(offsetof(struct backup, job) == 0, "report() relies on it");

static void remove_rest(struct backup *b)
{
    char path[BACKUP_PATH_MAX];
    struct sf_error err;

    if (join(path, b->data_dir, BACKUP_CHECKPOINT, NULL) == SF_OK &&
        sf_dir_remove(path, &err) != SF_OK) {
        sf_log(SF_LOG_WARN, "backup.rest_not_removed", SF_F_ERROR(&err));
    }
    if (b->part[0] != '\0' && sf_dir_remove(b->part, &err) != SF_OK) {
        sf_log(SF_LOG_WARN, "backup.rest_not_removed", SF_F_ERROR(&err));
    }
}

static void job_free(struct job *j)
{
    struct backup *b = self(j);

    file_copy_done(&b->copy);
    close_view(b);
    if (b->phase != BACKUP_ENDED && b->lock.fd_plus_one != 0) {
        remove_rest(b);
    }
    for (size_t i = 0; i < b->plan_count; i++) {
        sf_free(b->plan[i].from);
        sf_free(b->plan[i].path);
    }
    sf_free(b->plan);
    backup_list_done(&b->list);
    backup_list_done(&b->last);
    sf_lock_done(&b->lock);
    sf_free(b->data_dir);
    sf_free(b->repository);
    sf_free(b);
}

enum sf_code backup_job_new(const struct backup_options *o, struct job **ret, struct sf_error *err)
{
    static const struct job_ops ops = {
        .kind = "Backup", .step = job_step, .report = report, .free = job_free};
    struct backup *b = sf_calloc(1, sizeof(*b));

    if (b == NULL) {
        return SF_RAISE(err, SF_NOMEM, "backup");
    }
    b->job.ops = &ops;
    b->rt = o->rt;
    b->kv = o->kv;
    b->wall_us = o->wall_us;
    b->with_keys = !o->without_keys;
    b->data_dir = sf_strdup(o->data_dir);
    b->repository = sf_strdup(o->repository);
    (void)snprintf(b->list.domain, sizeof(b->list.domain), "%s", o->domain);
    (void)snprintf(b->list.mesh, sizeof(b->list.mesh), "%s", o->mesh);
    if (b->data_dir == NULL || b->repository == NULL) {
        job_free(&b->job);
        return SF_RAISE(err, SF_NOMEM, "backup");
    }
    *ret = &b->job;
    return SF_OK;
}
