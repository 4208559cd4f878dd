#include "leaf/admin/restore.h"

#include <stdio.h>
#include <string.h>

#include "common/sys/file.h"
#include "common/sys/rt_uv.h"
#include "leaf/admin/backup_copy.h"
#include "leaf/admin/backup_file.h"
#include "leaf/store/head_file.h"
#include "leaf/store/kv_rocks.h"
#include "proto/errors.h"

enum { STEP_BYTES = 4 * 1024 * 1024, STEP_ITEMS = 4096 };

struct restore {
    const struct restore_options *o;
    char from[BACKUP_PATH_MAX]; /* the backup */
    struct backup_list list;
    uint64_t done_bytes;
    uint64_t total_bytes;
    struct store *store;
    struct store_checker_progress found;
};

static enum sf_code join(char ret[BACKUP_PATH_MAX], const char *dir, const char *name,
                         struct sf_error *err)
{
    int n = snprintf(ret, BACKUP_PATH_MAX, "%s/%s", dir, name);

    return n < 0 || n >= BACKUP_PATH_MAX ? SF_RAISE(err, SF_INVALID, "path is too long") : SF_OK;
}

static void tell(const struct restore *r, const char *phase, uint64_t done, uint64_t total)
{
    if (r->o->on_progress != NULL) {
        r->o->on_progress(r->o->data, phase, done, total);
    }
}

/* --- the directory --- */

/* The mark while it was being written: sf_file_write() puts something behind the name. */
static bool is_begun_mark(const char *name)
{
    return strncmp(name, RESTORE_MARK ".", sizeof(RESTORE_MARK)) == 0;
}

static enum sf_code count_name(const char *name, void *data, struct sf_error *err)
{
    (void)err;
    /* The lock is ours by now. */
    *(size_t *)data += strcmp(name, "lock") == 0 || is_begun_mark(name) ? 0 : 1;
    return SF_OK;
}

static enum sf_code remove_name(const char *name, void *data, struct sf_error *err)
{
    char path[BACKUP_PATH_MAX];
    enum sf_code code;

    if (strcmp(name, RESTORE_MARK) == 0 || strcmp(name, "lock") == 0) {
        return SF_OK;
    }
    code = join(path, data, name, err);
    return code == SF_OK ? sf_dir_remove(path, err) : code;
}

/* Empty, or what an earlier restore left of itself. */
static enum sf_code clear_dir(const struct restore *r, struct sf_error *err)
{
    char dir[BACKUP_PATH_MAX];
    char mark[BACKUP_PATH_MAX];
    size_t names = 0;
    enum sf_code code = join(mark, r->o->data_dir, RESTORE_MARK, err);

    (void)snprintf(dir, sizeof(dir), "%s", r->o->data_dir);
    if (code != SF_OK) {
        return code;
    }
    if (sf_file_exists(mark)) {
        return sf_dir_each(dir, remove_name, dir, err);
    }
    code = sf_dir_each(dir, count_name, &names, err);
    if (code == SF_OK && names > 0) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_DATA_DIR_IN_USE,
                          "%s is not empty: a restore wants a new or an empty one", dir);
    }
    code = code == SF_OK ? sf_dir_each(dir, remove_name, dir, err) : code;
    return code == SF_OK ? sf_file_write(mark, SF_LITERAL("a restore is under way\n"), 0600, err)
                         : code;
}

/* --- copying --- */

static enum sf_code make_parents(const struct restore *r, const char *path, struct sf_error *err)
{
    char dir[BACKUP_PATH_MAX];
    enum sf_code code = join(dir, r->o->data_dir, path, err);
    char *slash = code == SF_OK ? strrchr(dir, '/') : NULL;

    if (slash != NULL) {
        *slash = '\0';
        code = sf_dir_make(dir, 0700, err);
    }
    return code;
}

static enum sf_code copy_file(struct restore *r, const struct backup_entry *e, struct sf_error *err)
{
    char from[BACKUP_PATH_MAX];
    char to[BACKUP_PATH_MAX];
    struct file_copy copy = {0};
    bool done = false;
    enum sf_code code = join(from, r->from, e->path, err);

    code = code == SF_OK ? join(to, r->o->data_dir, e->path, err) : code;
    code = code == SF_OK ? make_parents(r, e->path, err) : code;
    code = code == SF_OK ? file_copy_open(&copy, from, to, err) : code;
    while (code == SF_OK && !done) {
        code = file_copy_step(&copy, STEP_BYTES, &done, err);
        tell(r, "copy", r->done_bytes + copy.size, r->total_bytes);
    }
    file_copy_done(&copy);
    if (code == SF_ABSENT) {
        return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_BACKUP_BAD, "%s: file %s is missing", r->from,
                          e->path);
    }
    if (code == SF_OK &&
        (copy.size != e->size || memcmp(copy.hash, e->hash, SF_HASH256_SIZE) != 0)) {
        return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_BACKUP_BAD, "%s: file %s is damaged", r->from,
                          e->path);
    }
    r->done_bytes += e->size;
    return code;
}

static enum sf_code copy_files(struct restore *r, struct sf_error *err)
{
    static const char *const dirs[] = {"store/db", "store", "keys", "creds", "."};
    char path[BACKUP_PATH_MAX];
    enum sf_code code = SF_OK;

    for (size_t i = 0; i < r->list.count; i++) {
        r->total_bytes += r->list.entries[i].size;
    }
    for (size_t i = 0; code == SF_OK && i < r->list.count; i++) {
        /* A new record is written once the store is open. */
        if (strcmp(r->list.entries[i].path, "heads") != 0) {
            code = copy_file(r, &r->list.entries[i], err);
        }
    }
    for (size_t i = 0; code == SF_OK && i < SF_COUNT(dirs); i++) {
        code = join(path, r->o->data_dir, dirs[i], err);
        code = code == SF_OK ? dir_sync(path, err) : code;
        code = code == SF_ABSENT ? SF_OK : code;
    }
    return code;
}

/* --- the store --- */

static enum sf_code verify(struct restore *r, struct sf_error *err)
{
    SF_CLEANUP(store_checker_freep) struct store_checker *c = NULL;
    bool done = false;
    enum sf_code code = store_checker_new(r->store, &c, err);

    while (code == SF_OK && !done) {
        code = store_checker_step(c, STEP_ITEMS, &done, err);
        if (code == SF_OK) {
            r->found = store_checker_progress(c);
            r->found.texts = (struct sf_slice){0};
            tell(r, "check", r->found.done, r->found.total);
        }
    }
    if (code == SF_OK && r->found.damages > 0) {
        return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_BACKUP_BAD, "%s: %s", r->from,
                          r->found.first.text);
    }
    return code;
}

static enum sf_code open_store(struct restore *r, struct sf_error *err)
{
    char path[BACKUP_PATH_MAX];
    struct kv *kv = NULL;
    enum sf_code code = join(path, r->o->data_dir, "store", err);

    code = code == SF_OK ? kv_rocks_open(path, NULL, &kv, err) : code;
    code = code == SF_OK ? store_open(rt_uv_rt(r->o->uv), kv, NULL, &r->store, err) : code;
    if (code == SF_CORRUPT) {
        struct sf_error why = *err;

        return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_BACKUP_BAD, "%s: %s", r->from, why.text);
    }
    return code;
}

/* One table as the hub knows it. */
struct known {
    const char *product;
    const char *table;
    uint64_t major;
    uint32_t epoch;
    uint64_t seq;
};

/* False when @v is no table of this domain. */
static bool read_known(const struct restore *r, const struct sf_json *v, struct known *ret)
{
    const size_t n = strlen(r->list.domain);
    const char *position;
    unsigned long long seq = 0;
    unsigned epoch = 0;

    if (!sf_json_as_text(sf_json_get(v, "product"), &ret->product) ||
        !sf_json_as_text(sf_json_get(v, "table"), &ret->table) ||
        !sf_json_as_uint(sf_json_get(v, "major"), &ret->major) ||
        !sf_json_as_text(sf_json_get(v, "position"), &position) ||
        sscanf(position, "%u:%llu", &epoch, &seq) != 2) {
        return false;
    }
    ret->epoch = epoch;
    ret->seq = seq;
    return strncmp(ret->product, r->list.domain, n) == 0 && ret->product[n] == '/';
}

static uint32_t epoch_above_known(const struct restore *r)
{
    struct sf_json_iter it = sf_json_iter(sf_json_get(r->o->known, "products"));
    struct known k;
    uint32_t epoch = 0;

    while (sf_json_next(&it)) {
        if (read_known(r, it.value, &k) && k.epoch > epoch) {
            epoch = k.epoch;
        }
    }
    return epoch + 1;
}

static uint64_t seq_of(const struct restore *r, const struct known *k)
{
    const struct store_lane *lane;

    for (size_t i = 0; (lane = store_lane_at(r->store, i)) != NULL; i++) {
        const struct store_lane_name *n = store_lane_name(lane);

        if (n->major == k->major && strcmp(n->product, k->product) == 0 &&
            strcmp(n->table, k->table) == 0) {
            return store_lane_head(lane)->seq;
        }
    }
    return 0;
}

static void write_missing(const struct restore *r, struct sf_json_writer *w)
{
    struct sf_json_iter it = sf_json_iter(sf_json_get(r->o->known, "products"));
    struct known k;

    sf_json_member_bool(w, "hub_asked", r->o->known != NULL);
    sf_json_key(w, "missing");
    sf_json_array_begin(w);
    while (sf_json_next(&it)) {
        if (!read_known(r, it.value, &k) || k.seq <= seq_of(r, &k)) {
            continue;
        }
        sf_json_object_begin(w);
        sf_json_member_text(w, "product", k.product);
        sf_json_member_uint(w, "major", k.major);
        sf_json_member_text(w, "table", k.table);
        sf_json_member_uint(w, "epoch", k.epoch);
        sf_json_member_uint(w, "from", seq_of(r, &k) + 1);
        sf_json_member_uint(w, "to", k.seq);
        sf_json_object_end(w);
    }
    sf_json_array_end(w);
}

static enum sf_code new_epoch(struct restore *r, struct sf_error *err)
{
    char path[BACKUP_PATH_MAX];
    enum sf_code code = SF_OK;

    if (r->o->head_record != NULL) {
        (void)snprintf(path, sizeof(path), "%s", r->o->head_record);
    } else {
        code = join(path, r->o->data_dir, "heads", err);
    }
    return code == SF_OK ? head_file_accept(r->store, path, epoch_above_known(r), err) : code;
}

static void on_closed(void *data)
{
    rt_uv_stop(data);
}

static void close_store(struct restore *r)
{
    if (r->store != NULL) {
        store_close(r->store, on_closed, r->o->uv);
        r->store = NULL;
        rt_uv_run(r->o->uv);
    }
}

static void write_lanes(const struct restore *r, struct sf_json_writer *w)
{
    const struct store_lane *lane;

    sf_json_key(w, "tables");
    sf_json_array_begin(w);
    for (size_t i = 0; (lane = store_lane_at(r->store, i)) != NULL; i++) {
        const struct store_lane_name *n = store_lane_name(lane);
        const struct store_head *h = store_lane_head(lane);

        sf_json_object_begin(w);
        sf_json_member_text(w, "product", n->product);
        sf_json_member_uint(w, "major", n->major);
        sf_json_member_text(w, "table", n->table);
        sf_json_key(w, "position");
        sf_json_printf(w, "%u:%llu", (unsigned)h->epoch, (unsigned long long)h->seq);
        sf_json_member_uint(w, "rows", h->rows);
        sf_json_object_end(w);
    }
    sf_json_array_end(w);
}

static void write_report(const struct restore *r, struct sf_json_writer *w)
{
    sf_json_object_begin(w);
    sf_json_member_text(w, "apiVersion", "sheaf/v1");
    sf_json_member_text(w, "kind", "Restored");
    sf_json_member_text(w, "backup", r->from);
    sf_json_member_text(w, "domain", r->list.domain);
    sf_json_member_int(w, "time_us", r->list.time_us);
    sf_json_member_bool(w, "keys", r->list.has_keys);
    sf_json_member_uint(w, "epoch", store_epoch(r->store));
    sf_json_member_uint(w, "epoch_before", r->list.epoch);
    sf_json_member_uint(w, "commit", r->list.commit);
    sf_json_member_uint(w, "changes", r->found.found.changes);
    sf_json_member_uint(w, "rows", r->found.found.rows);
    write_lanes(r, w);
    write_missing(r, w);
    sf_json_object_end(w);
}

static enum sf_code restore_into(struct restore *r, struct sf_json_writer *report,
                                 struct sf_error *err)
{
    char mark[BACKUP_PATH_MAX];
    enum sf_code code = clear_dir(r, err);

    code = code == SF_OK ? copy_files(r, err) : code;
    code = code == SF_OK ? open_store(r, err) : code;
    code = code == SF_OK ? verify(r, err) : code;
    code = code == SF_OK ? new_epoch(r, err) : code;
    if (code == SF_OK) {
        write_report(r, report);
    }
    close_store(r);
    code = code == SF_OK ? join(mark, r->o->data_dir, RESTORE_MARK, err) : code;
    code = code == SF_OK ? sf_file_remove(mark, err) : code;
    return code == SF_OK ? dir_sync(r->o->data_dir, err) : code;
}

enum sf_code restore_run(const struct restore_options *options, struct sf_json_writer *report,
                         struct sf_error *err)
{
    struct restore r = {.o = options};
    struct sf_lock lock = {0};
    char path[BACKUP_PATH_MAX];
    enum sf_code code = backup_list_newest(options->backup, r.from, &r.list, err);

    code = code == SF_OK ? sf_dir_make(options->data_dir, 0700, err) : code;
    code = code == SF_OK ? join(path, options->data_dir, "lock", err) : code;
    if (code == SF_OK) {
        code = sf_lock_take(path, &lock, err);
        if (code == SF_CONFLICT) {
            code = SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_DATA_DIR_IN_USE, "%s", options->data_dir);
        }
    }
    code = code == SF_OK ? restore_into(&r, report, err) : code;
    sf_lock_done(&lock);
    backup_list_done(&r.list);
    if (code != SF_OK) {
        file_error_number(err);
    }
    return code;
}
