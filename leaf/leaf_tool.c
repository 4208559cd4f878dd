#include "leaf/leaf_tool.h"

#include <stdio.h>
#include <string.h>

#include "common/settings/config.h"
#include "common/sys/crypto.h"
#include "common/sys/file.h"
#include "common/sys/rt_uv.h"
#include "leaf/admin/check_report.h"
#include "leaf/admin/restore.h"
#include "leaf/leaf_private.h"
#include "leaf/store/head_file.h"
#include "leaf/store/kv_rocks.h"
#include "leaf/store/wal_life.h"
#include "leaf/store/wal_tail.h"
#include "proto/errors.h"

enum { EXIT_UNHEALTHY = 8, STEP_ITEMS = 4096, KNOWN_BYTES_MAX = 64 * 1024 * 1024 };

static const struct sf_setting settings[] = {
    {.key = "data", .type = SF_SETTING_TEXT, .doc = "Directory of the leaf."},
    {.key = "head-record",
     .type = SF_SETTING_TEXT,
     .doc = "Its head record, when it is not DIR/heads."},
    {.key = "rebuild",
     .type = SF_SETTING_SWITCH,
     .doc = "check: make the newest rows again from the log."},
    {.key = "accept-loss",
     .type = SF_SETTING_SWITCH,
     .doc = "check: go on with what is there, in a new epoch."},
    {.key = "from", .type = SF_SETTING_TEXT, .doc = "restore: a backup, or where backups are."},
    {.key = "known",
     .type = SF_SETTING_TEXT,
     .doc = "restore: file with the hub's answer to GET /v1/status."},
    {.key = "remove-known",
     .type = SF_SETTING_SWITCH,
     .doc = "restore: remove that file once it is read."},
    {.key = "json", .type = SF_SETTING_SWITCH, .doc = "The result as JSON."},
};

struct tool {
    struct sf_config *values;
    const char *data_dir;
    char heads[LEAF_PATH_BYTES];
    bool rebuild;
    bool accept;
    bool json;
    struct rt_uv *uv;
    struct store *store;
    struct store_checker *checker;
    struct store_checker_progress found;
    struct head_lack lack;
    struct wal_tail tail;
    uint32_t epoch;
    struct sf_buf problems; /* a line each: what stops the leaf from starting */
};

static void tool_done(struct tool *t)
{
    store_checker_free(t->checker);
    head_lack_done(&t->lack);
    sf_buf_done(&t->problems);
    rt_uv_free(t->uv);
    sf_config_free(t->values);
}

static void on_closed(void *data)
{
    rt_uv_stop(data);
}

static void close_store(struct tool *t)
{
    store_checker_free(SF_TAKE(t->checker));
    if (t->store == NULL) {
        return;
    }
    if (store_get_options(t->store)->read_only) {
        store_view_close(t->store);
    } else {
        store_close(t->store, on_closed, t->uv);
        rt_uv_run(t->uv);
    }
    t->store = NULL;
}

/* --- check --- */

static void note(struct tool *t, const char *text)
{
    sf_buf_text(&t->problems, text);
    sf_buf_byte(&t->problems, '\n');
}

/* With its number, and what to do. */
static void note_error(struct tool *t, const struct sf_error *err)
{
    const struct sheaf_error_info *info = sheaf_error_info(err->number);

    sf_buf_printf(&t->problems, "SHEAF-E%04u: %s; next: %s\n", info->number, err->text, info->next);
}

static enum sf_code check_marks(struct tool *t, struct sf_error *err)
{
    char path[LEAF_PATH_BYTES];

    (void)snprintf(path, sizeof(path), "%s/" LEAF_RESTORING, t->data_dir);
    if (sf_file_exists(path)) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_RESTORE_UNFINISHED, "%s is there", path);
    }
    (void)snprintf(path, sizeof(path), "%s/" LEAF_FENCED, t->data_dir);
    if (!sf_file_exists(path)) {
        return SF_OK;
    }
    if (!t->accept) {
        note(t, "another leaf of this domain has taken over (FENCED is there)");
        return SF_OK;
    }
    return sf_file_remove(path, err);
}

/* A write-ahead log that breaks off: what a start would do with it, or what is done now. */
static enum sf_code mend_log(struct tool *t, const char *store, const char *boot,
                             struct sf_error *err)
{
    const bool changes = t->rebuild || t->accept;
    const struct wal_tail_options options = {
        .rt = rt_uv_rt(t->uv),
        .store = store,
        .heads = t->heads,
        .boot = boot,
        .how = t->accept ? WAL_TAIL_LOSE : (changes ? WAL_TAIL_CUT : WAL_TAIL_LOOK),
    };
    struct wal_tail *tail = &t->tail;
    enum sf_code code = wal_tail_mend(&options, tail, err);

    if (code != SF_OK || changes || !tail->torn || tail->readable) {
        return code;
    }
    if (tail->why.code != SF_OK) {
        *err = tail->why;
        return tail->why.code;
    }
    return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_LOG_TORN,
                      "%s/db/%s from byte %llu on, %llu bytes: a power cut has left them, "
                      "nothing acknowledged is lost, and the leaf cuts them off when it starts",
                      store, tail->file, (unsigned long long)tail->at,
                      (unsigned long long)tail->bytes);
}

static enum sf_code open_store(struct tool *t, struct sf_error *err)
{
    const bool changes = t->rebuild || t->accept;
    char boot[WAL_BOOT_BYTES];
    const struct kv_rocks_options kv_options = {.read_only = !changes, .boot = boot};
    const struct store_options options = {.read_only = !changes};
    char path[LEAF_PATH_BYTES];
    struct kv *kv = NULL;
    enum sf_code code;

    (void)snprintf(path, sizeof(path), "%s/store", t->data_dir);
    wal_boot_id(boot);
    code = mend_log(t, path, boot, err);
    code = code == SF_OK ? kv_rocks_open(path, &kv_options, &kv, err) : code;
    code = code == SF_OK ? store_open(rt_uv_rt(t->uv), kv, &options, &t->store, err) : code;
    t->epoch = code == SF_OK ? store_epoch(t->store) : 0;
    return code;
}

static enum sf_code check_all(struct tool *t, struct sf_error *err)
{
    bool done = false;
    enum sf_code code = store_checker_new(t->store, &t->checker, err);

    while (code == SF_OK && !done) {
        code = store_checker_step(t->checker, STEP_ITEMS, &done, err);
    }
    if (code == SF_OK) {
        t->found = store_checker_progress(t->checker);
    }
    return code;
}

/* The store against its head record; what is missing is a finding. */
static enum sf_code check_heads(struct tool *t, struct sf_error *err)
{
    enum sf_code code = head_file_check(t->store, t->heads, &t->lack, err);

    if (code == SF_CORRUPT) {
        note_error(t, err);
        code = SF_OK;
    }
    if (code == SF_OK && t->accept) {
        code = head_file_accept(t->store, t->heads, 0, err);
        t->epoch = store_epoch(t->store);
    }
    return code;
}

static enum sf_code check(struct tool *t, struct sf_error *err)
{
    struct sf_lock lock = {0};
    char path[LEAF_PATH_BYTES];
    enum sf_code code = check_marks(t, err);

    (void)snprintf(path, sizeof(path), "%s/lock", t->data_dir);
    if (code == SF_OK && !sf_file_exists(path)) {
        return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_FILE_UNREADABLE, "%s is no directory of a leaf",
                          t->data_dir);
    }
    code = code == SF_OK ? sf_lock_take(path, &lock, err) : code;
    if (code == SF_CONFLICT && err->number == 0) {
        code = SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_DATA_DIR_IN_USE,
                          "%s: a leaf that runs is checked without --dir", t->data_dir);
    }
    code = code == SF_OK ? open_store(t, err) : code;
    if (code == SF_OK && t->rebuild) {
        code = store_rebuild_state(t->store, err);
    }
    code = code == SF_OK ? check_heads(t, err) : code;
    code = code == SF_OK ? check_all(t, err) : code;
    if (code == SF_CORRUPT) {
        note_error(t, err); /* Damage is what was asked about. */
        code = SF_OK;
    }
    sf_lock_done(&lock);
    return code;
}

static void print_lines(struct sf_slice text, const char *before)
{
    while (text.size > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        const size_t n = end == NULL ? text.size : (size_t)(end - text.data);

        (void)printf("%s%.*s\n", before, (int)n, (const char *)text.data);
        text = end == NULL ? (struct sf_slice){0} : sf_slice_of(end + 1, text.size - n - 1);
    }
}

static bool was_cut(const struct tool *t)
{
    return t->tail.torn && (t->rebuild || t->accept);
}

static void print_check_json(const struct tool *t, bool healthy)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    struct sf_json_writer w = {.out = &out, .pretty = true};

    sf_json_object_begin(&w);
    sf_json_member_text(&w, "apiVersion", "sheaf/v1");
    sf_json_member_text(&w, "kind", "Check");
    sf_json_member_bool(&w, "healthy", healthy);
    sf_json_member_uint(&w, "epoch", t->epoch);
    if (was_cut(t)) {
        sf_json_member_uint(&w, "cut_bytes", t->tail.bytes);
    }
    check_report(&t->found, &w);
    check_report_lines(&w, "problems", sf_buf_view(&t->problems));
    check_report_lines(&w, "missing", sf_buf_view(&t->lack.text));
    sf_json_object_end(&w);
    sf_buf_byte(&out, '\n');
    (void)fwrite(out.data, 1, out.size, stdout);
}

static void print_check(const struct tool *t, bool healthy)
{
    const struct store_check_result *r = &t->found.found;

    (void)printf(
        "%llu tables, %llu frames, %llu changes, %llu rows, %llu in quarantine, epoch %u\n",
        (unsigned long long)r->lanes, (unsigned long long)r->frames, (unsigned long long)r->changes,
        (unsigned long long)r->rows, (unsigned long long)r->quarantined, (unsigned)t->epoch);
    print_lines(t->found.texts, "damaged: ");
    print_lines(sf_buf_view(&t->problems), "problem: ");
    print_lines(sf_buf_view(&t->lack.text), "missing: ");
    if (was_cut(t)) {
        (void)printf("cut off the write-ahead log: %llu bytes, kept in %s/store/cut\n",
                     (unsigned long long)t->tail.bytes, t->data_dir);
    }
    if (t->rebuild) {
        (void)printf("the newest rows were made again from the log\n");
    }
    if (t->accept) {
        (void)printf("goes on in epoch %u\n", (unsigned)t->epoch);
    }
    (void)printf(healthy ? "nothing is damaged or missing\n" : "not healthy\n");
}

static int run_check(struct tool *t, struct sf_error *err)
{
    enum sf_code code = check(t, err);
    bool healthy;

    if (code != SF_OK) {
        close_store(t);
        return sheaf_error_info(err->number)->exit_code;
    }
    *err = (struct sf_error){.code = SF_OK}; /* What was found stands in the report. */
    healthy = t->found.damages == 0 && t->problems.size == 0;
    if (t->json) {
        print_check_json(t, healthy);
    } else {
        print_check(t, healthy);
    }
    close_store(t);
    return healthy || (t->accept && t->found.damages == 0) ? 0 : EXIT_UNHEALTHY;
}

/* --- restore --- */

static void print_restored(const struct sf_json *v)
{
    const char *backup = "?";
    const char *product = "?";
    const char *table = "?";
    uint64_t epoch = 0;
    uint64_t from = 0;
    uint64_t to = 0;
    uint64_t rows = 0;
    bool hub_asked = false;
    bool keys = false;

    (void)sf_json_as_text(sf_json_get(v, "backup"), &backup);
    (void)sf_json_as_uint(sf_json_get(v, "epoch"), &epoch);
    (void)sf_json_as_uint(sf_json_get(v, "rows"), &rows);
    (void)sf_json_as_bool(sf_json_get(v, "hub_asked"), &hub_asked);
    (void)sf_json_as_bool(sf_json_get(v, "keys"), &keys);
    (void)printf("restored %s: %llu rows, checked, in epoch %llu\n", backup,
                 (unsigned long long)rows, (unsigned long long)epoch);
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(v, "missing")); sf_json_next(&it);) {
        (void)sf_json_as_text(sf_json_get(it.value, "product"), &product);
        (void)sf_json_as_text(sf_json_get(it.value, "table"), &table);
        (void)sf_json_as_uint(sf_json_get(it.value, "epoch"), &epoch);
        (void)sf_json_as_uint(sf_json_get(it.value, "from"), &from);
        (void)sf_json_as_uint(sf_json_get(it.value, "to"), &to);
        (void)printf("missing: %s.%s: %llu to %llu (epoch %llu)\n", product, table,
                     (unsigned long long)from, (unsigned long long)to, (unsigned long long)epoch);
    }
    if (!hub_asked) {
        (void)printf("what came after the backup is not known: the hub was not asked\n");
    }
    if (!keys) {
        (void)printf("the backup has no keys: put keys/, creds/ and identity.json back first\n");
    }
}

static int restore(struct tool *t, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    SF_CLEANUP(sf_buf_done) struct sf_buf file = {0};
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *known = NULL;
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *doc = NULL;
    struct sf_json_writer w = {.out = &out, .pretty = true};
    const char *path = sf_config_text(t->values, "known");
    struct restore_options o = {
        .uv = t->uv,
        .backup = sf_config_text(t->values, "from"),
        .data_dir = t->data_dir,
        .head_record = sf_config_text(t->values, "head-record"),
    };
    enum sf_code code = SF_OK;

    if (o.backup == NULL) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "--from says which backup");
    }
    if (code == SF_OK && path != NULL) {
        code = sf_file_read(path, KNOWN_BYTES_MAX, &file, err);
        if (code == SF_OK && sf_config_switch(t->values, "remove-known")) {
            code = sf_file_remove(path, err);
        }
        code = code == SF_OK ? sf_json_parse(sf_buf_view(&file), &known, err) : code;
        o.known = code == SF_OK ? sf_json_root(known) : NULL;
    }
    code = code == SF_OK ? restore_run(&o, &w, err) : code;
    code = code == SF_OK ? sf_buf_check(&out, "report", err) : code;
    if (code == SF_OK && t->json) {
        sf_buf_byte(&out, '\n');
        (void)fwrite(out.data, 1, out.size, stdout);
    } else if (code == SF_OK) {
        code = sf_json_parse(sf_buf_view(&out), &doc, err);
        if (code == SF_OK) {
            print_restored(sf_json_root(doc));
        }
    }
    if (code != SF_OK) {
        return sheaf_error_info(err->number)->exit_code;
    }
    *err = (struct sf_error){.code = SF_OK}; /* What was only looked for left its trace. */
    return 0;
}

/* --- both --- */

bool leaf_tool_is_one(int argc, const char *const *argv)
{
    return argc > 0 && (strcmp(argv[0], "check") == 0 || strcmp(argv[0], "restore") == 0);
}

static enum sf_code open_tool(struct tool *t, int argc, const char *const *argv,
                              struct sf_error *err)
{
    const struct sf_config_source source = {
        .table = settings,
        .table_count = SF_COUNT(settings),
        .argc = argc - 1,
        .argv = argv + 1,
    };
    enum sf_code code = sf_config_parse(&source, &t->values, err);
    const char *heads;

    if (code != SF_OK) {
        err->number = SHEAF_E_USAGE;
        return code;
    }
    t->data_dir = sf_config_text(t->values, "data");
    if (t->data_dir == NULL) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "--data names the leaf's directory");
    }
    heads = sf_config_text(t->values, "head-record");
    (void)snprintf(t->heads, sizeof(t->heads), heads == NULL ? "%s/heads" : "%s",
                   heads == NULL ? t->data_dir : heads);
    t->rebuild = sf_config_switch(t->values, "rebuild");
    t->accept = sf_config_switch(t->values, "accept-loss");
    t->json = sf_config_switch(t->values, "json");
    code = sf_crypto_init(err);
    return code == SF_OK ? rt_uv_new(&t->uv, err) : code;
}

int leaf_tool_run(int argc, const char *const *argv, struct sf_error *err)
{
    struct tool t = {0};
    int status = 0;

    *err = (struct sf_error){.code = SF_OK};
    if (open_tool(&t, argc, argv, err) != SF_OK) {
        status = sheaf_error_info(err->number)->exit_code;
    } else if (strcmp(argv[0], "check") == 0) {
        status = run_check(&t, err);
    } else {
        status = restore(&t, err);
    }
    tool_done(&t);
    return status;
}
