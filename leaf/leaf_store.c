/* The store of the leaf: opening it, with its head record. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "common/base/str.h"
#include "common/settings/complain.h"
#include "common/sys/file.h"
#include "leaf/leaf_private.h"
#include "leaf/store/head_file.h"
#include "leaf/store/kv_rocks.h"
#include "leaf/store/wal_life.h"
#include "leaf/store/wal_tail.h"
#include "proto/errors.h"

void leaf_heads_path(const struct leaf_config *config, char ret[LEAF_PATH_BYTES])
{
    if (config->head_record != NULL) {
        (void)snprintf(ret, LEAF_PATH_BYTES, "%s", config->head_record);
    } else {
        (void)snprintf(ret, LEAF_PATH_BYTES, "%s/heads", config->data_dir);
    }
}

/* Every line of what is missing, for the log. */
static void log_lack(const struct head_lack *lack)
{
    struct sf_slice left = sf_buf_view(&lack->text);
    char line[512];

    while (left.size > 0) {
        const uint8_t *end = memchr(left.data, '\n', left.size);
        const size_t n = end == NULL ? left.size : (size_t)(end - left.data);

        (void)snprintf(line, sizeof(line), "%.*s", (int)n, (const char *)left.data);
        sf_log(SF_LOG_ERROR, "leaf.missing", SF_F_TEXT("what", line));
        left = end == NULL ? (struct sf_slice){0} : sf_slice_of(end + 1, left.size - n - 1);
    }
}

static enum sf_code check_heads(struct leaf *leaf, struct sf_error *err)
{
    char path[LEAF_PATH_BYTES];
    struct head_lack lack;
    enum sf_code code;

    leaf_heads_path(leaf->config, path);
    code = head_file_check(leaf->store, path, &lack, err);
    log_lack(&lack);
    head_lack_done(&lack);
    return code == SF_OK ? head_keeper_new(leaf->rt, leaf->store, path, &leaf->heads_kept, err)
                         : code;
}

/* Marks in the data directory that forbid to go on as if nothing were. */
static enum sf_code check_marks(const struct leaf *leaf, struct sf_error *err)
{
    char path[LEAF_PATH_BYTES];

    (void)snprintf(path, sizeof(path), "%s/" LEAF_RESTORING, leaf->config->data_dir);
    if (sf_file_exists(path)) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_RESTORE_UNFINISHED, "%s is there", path);
    }
    (void)snprintf(path, sizeof(path), "%s/" LEAF_FENCED, leaf->config->data_dir);
    if (sf_file_exists(path)) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_FENCED, "%s is there", path);
    }
    return SF_OK;
}

/* Counts this start; the number is on the disk before anything else happens. */
static enum sf_code count_boot(struct leaf *leaf, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf file = {0};
    char path[LEAF_PATH_BYTES];
    char text[32];
    enum sf_code code;

    (void)snprintf(path, sizeof(path), "%s/boot", leaf->config->data_dir);
    sf_random_bytes(leaf->boot_id, sizeof(leaf->boot_id));
    code = sf_file_read(path, sizeof(text), &file, err);
    if (code != SF_OK && code != SF_ABSENT && code != SF_BUSY) {
        return code;
    }
    while (file.size > 0 && file.data[file.size - 1] <= ' ') {
        file.size--;
    }
    if (file.size > 0 && sf_parse_u64(sf_buf_view(&file), &leaf->boot) != SF_PARSE_OK) {
        leaf->boot = 0; /* A number that cannot be read: the hub sees a start before all others. */
    }
    leaf->boot++;
    (void)snprintf(text, sizeof(text), "%llu\n", (unsigned long long)leaf->boot);
    return sf_file_write(path, sf_slice_text(text), 0600, err);
}

void leaf_store_fenced(struct leaf *leaf, const char *why)
{
    char path[LEAF_PATH_BYTES];
    struct sf_error fenced;
    struct sf_error err;

    if (leaf->stop != STOP_NONE) {
        return;
    }
    (void)SF_RAISE_E(&fenced, SF_CONFLICT, SHEAF_E_FENCED, "%s", why);
    store_fail(leaf->store, &fenced);
    sf_log(SF_LOG_ERROR, "leaf.fenced", SF_F_ERROR(&fenced));
    (void)sf_complain(stderr, "sheaf-leaf", &fenced);
    (void)snprintf(path, sizeof(path), "%s/" LEAF_FENCED, leaf->config->data_dir);
    if (sf_file_write(path, sf_slice_text(why), 0600, &err) != SF_OK) {
        sf_log(SF_LOG_ERROR, "leaf.mark_not_written", SF_F_ERROR(&err));
    }
    leaf->fenced = true; /* From the next tick on: we are inside a callback of the uplink. */
}

/* What a power cut has left of a write-ahead log is cut off, when that is what it is. */
static enum sf_code mend_log(struct leaf *leaf, const char *store, const char *boot,
                             struct sf_error *err)
{
    char heads[LEAF_PATH_BYTES];
    const struct wal_tail_options options = {
        .rt = leaf->rt,
        .store = store,
        .heads = heads,
        .boot = boot,
        .how = WAL_TAIL_CUT,
    };
    struct wal_tail tail;
    enum sf_code code;

    leaf_heads_path(leaf->config, heads);
    code = wal_tail_mend(&options, &tail, err);
    sf_gauge_set(&leaf->store_cut_bytes, (int64_t)tail.bytes);
    return code;
}

enum sf_code leaf_store_open(struct leaf *leaf, struct sf_error *err)
{
    char boot[WAL_BOOT_BYTES];
    const struct kv_rocks_options kv_options = {
        .cache_bytes = leaf->config->cache_bytes,
        .write_buffer_bytes = leaf->config->write_buffer_bytes,
        .boot = boot,
    };
    const struct store_options options = {
        .queue_bytes_max = leaf->config->commit_queue_bytes_max,
        .disk_reserve_bytes = leaf->config->disk_reserve_bytes,
        .positions_bytes = leaf->config->positions_bytes,
    };
    char path[LEAF_PATH_BYTES];
    enum sf_code code = check_marks(leaf, err);

    code = code == SF_OK ? count_boot(leaf, err) : code;
    /* What a backup that was cut off has left: links that would keep old tables alive. */
    (void)snprintf(path, sizeof(path), "%s/" LEAF_CHECKPOINT, leaf->config->data_dir);
    code = code == SF_OK ? sf_dir_remove(path, err) : code;
    (void)snprintf(path, sizeof(path), "%s/store", leaf->config->data_dir);
    wal_boot_id(boot);
    code = code == SF_OK ? mend_log(leaf, path, boot, err) : code;
    code = code == SF_OK ? kv_rocks_open(path, &kv_options, &leaf->kv, err) : code;
    code = code == SF_OK ? store_open(leaf->rt, leaf->kv, &options, &leaf->store, err) : code;
    return code == SF_OK ? check_heads(leaf, err) : code;
}

/* --- want of space --- */

#define MIB        UINT64_C(1048576)
#define START_ROOM (16 * MIB) /* a start writes a few files and tables */

enum { LOOK_MS = 500, LOOKS_TOLD = 20 };

/* Free bytes, and those that must be for writes to be accepted. False: it cannot be told. */
static bool space_of(const struct leaf_config *c, const char *path, uint64_t *ret_free,
                     uint64_t *ret_reserve)
{
    uint64_t total;

    if (sf_disk_space(path, ret_free, &total, NULL) != SF_OK) {
        return false;
    }
    *ret_reserve = store_disk_reserve(c->disk_reserve_bytes, total);
    return true;
}

void leaf_store_tick(struct leaf *leaf)
{
    const struct sf_error *why = store_failure(leaf->store);
    uint64_t free_bytes;
    uint64_t reserve;

    if (leaf->fenced) {
        leaf_begin_stop(leaf, sheaf_error_info(SHEAF_E_FENCED)->exit_code);
        return;
    }
    if (why == NULL || why->number != SHEAF_E_DISK_FULL ||
        !space_of(leaf->limits, leaf->config->data_dir, &free_bytes, &reserve) ||
        free_bytes < reserve) {
        return;
    }
    sf_log(SF_LOG_WARN, "leaf.starts_again", SF_F_TEXT("why", "there is space again"),
           SF_F_UINT("free_bytes", free_bytes));
    leaf_begin_stop(leaf, LEAF_AGAIN);
}

void leaf_wait_for_space(const struct leaf_config *config)
{
    uint64_t free_bytes;
    uint64_t reserve;

    for (unsigned looks = 0; space_of(config, config->data_dir, &free_bytes, &reserve) &&
                             free_bytes < (reserve < START_ROOM ? reserve : START_ROOM);
         looks++) {
        if (looks % LOOKS_TOLD == 0) {
            sf_log(SF_LOG_WARN, "leaf.waits_for_space", SF_F_UINT("free_bytes", free_bytes));
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
}
