#include "cli/load_journal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/sys/crypto.h"
#include "common/sys/encoding.h"
#include "common/sys/file.h"
#include "proto/errors.h"

enum { ID_BYTES = 12, NAME_BYTES = 16, JOURNAL_BYTES_MAX = 64 * 1024, PATH_BYTES = 4096 };

#define NOTE_NS UINT64_C(1000000000)

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void hex(const uint8_t *bytes, size_t size, char *ret)
{
    for (size_t i = 0; i < size; i++) {
        (void)snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
    }
}

/* <data>/loads/HASH.json; the hash is of what makes a load the same one. */
static enum sf_code find_path(const struct api *a, const struct product_ref *r, const char *file,
                              struct load_journal *ret, struct sf_error *err)
{
    char full[PATH_BYTES];
    char target[PRODUCT_REF_TEXT_MAX];
    char dir[sizeof(ret->path) - 64];
    char name[2 * NAME_BYTES + 1];
    uint8_t hash[SF_HASH256_SIZE];
    struct sf_hash h;
    enum sf_code code;

    if (realpath(file, full) == NULL) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_FILE_UNREADABLE, "%s: %s", file,
                          strerror(errno));
    }
    product_ref_text(r, target);
    sf_hash_init(&h, sizeof(hash));
    sf_hash_field(&h, sf_slice_text(a->context.mesh));
    sf_hash_field(&h, sf_slice_text(target));
    sf_hash_field(&h, sf_slice_text(r->table));
    sf_hash_field(&h, sf_slice_text(a->who.user));
    sf_hash_field(&h, sf_slice_text(full));
    sf_hash_end(&h, hash, sizeof(hash));
    hex(hash, NAME_BYTES, name);
    (void)snprintf(dir, sizeof(dir), "%s/loads", a->cli->data_dir);
    code = sf_dir_make(dir, 0700, err);
    if (code == SF_OK) {
        (void)snprintf(ret->path, sizeof(ret->path), "%s/%s.json", dir, name);
    }
    return code;
}

static enum sf_code describe_file(const char *path, struct load_journal *ret, struct sf_error *err)
{
    struct stat s;

    if (stat(path, &s) != 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_FILE_UNREADABLE, "%s: %s", path,
                          strerror(errno));
    }
    ret->file = path;
    ret->file_bytes = (uint64_t)s.st_size;
    ret->file_mtime_ns = (int64_t)s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec;
    return SF_OK;
}

static bool is_text(const struct sf_json *root, const char *name, const char *wanted)
{
    const char *text = NULL;

    return sf_json_as_text(sf_json_get(root, name), &text) && strcmp(text, wanted) == 0;
}

/* Whether what was broken off is what is asked for now; else why not. */
static enum sf_code compare(const struct load_journal *j, const struct sf_json *root,
                            struct sf_error *err)
{
    uint64_t bytes = 0;
    int64_t mtime = 0;
    uint64_t rows = 0;

    (void)sf_json_as_uint(sf_json_get(root, "file_bytes"), &bytes);
    (void)sf_json_as_int(sf_json_get(root, "file_mtime_ns"), &mtime);
    (void)sf_json_as_uint(sf_json_get(root, "batch"), &rows);
    if (bytes != j->file_bytes || mtime != j->file_mtime_ns) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "%s has changed since its load broke off after %llu records; "
                          "--again loads it from the start",
                          j->file, (unsigned long long)j->records);
    }
    if (rows != j->batch_rows || !is_text(root, "on_invalid", j->on_invalid) ||
        !is_text(root, "format", j->format)) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "the load that broke off had another --batch, --format or --on-invalid; "
                          "give the same, or --again to load from the start");
    }
    return SF_OK;
}

/* Takes up what an earlier run left. SF_ABSENT: there is nothing, or nothing to be read. */
static enum sf_code take_up(struct load_journal *j, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *doc = NULL;
    const struct sf_json *root;
    const char *id = "";
    enum sf_code code;

    if (sf_file_read(j->path, JOURNAL_BYTES_MAX, &text, err) != SF_OK ||
        sf_json_parse(sf_buf_view(&text), &doc, err) != SF_OK) {
        return SF_ABSENT;
    }
    root = sf_json_root(doc);
    if (!sf_json_as_text(sf_json_get(root, "load"), &id) || strlen(id) >= sizeof(j->id) ||
        !sf_json_as_uint(sf_json_get(root, "records"), &j->records)) {
        return SF_ABSENT;
    }
    code = compare(j, root, err);
    if (code == SF_OK) {
        (void)snprintf(j->id, sizeof(j->id), "%s", id);
        (void)sf_json_as_uint(sf_json_get(root, "accepted"), &j->accepted);
        (void)sf_json_as_uint(sf_json_get(root, "quarantined"), &j->quarantined);
        j->resumed = true;
    }
    return code;
}

static enum sf_code write_file(const struct load_journal *j, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    struct sf_json_writer w = {.out = &text, .pretty = true};
    enum sf_code code;

    sf_json_object_begin(&w);
    sf_json_member_text(&w, "load", j->id);
    sf_json_member_text(&w, "file", j->file);
    sf_json_member_uint(&w, "file_bytes", j->file_bytes);
    sf_json_member_int(&w, "file_mtime_ns", j->file_mtime_ns);
    sf_json_member_text(&w, "on_invalid", j->on_invalid);
    sf_json_member_text(&w, "format", j->format);
    sf_json_member_uint(&w, "batch", j->batch_rows);
    sf_json_member_uint(&w, "records", j->records);
    sf_json_member_uint(&w, "accepted", j->accepted);
    sf_json_member_uint(&w, "quarantined", j->quarantined);
    sf_json_object_end(&w);
    sf_buf_byte(&text, '\n');
    code = sf_buf_check(&text, "journal", err);
    return code == SF_OK ? sf_file_write(j->path, sf_buf_view(&text), 0600, err) : code;
}

/* A load without an earlier one. One that cannot be written down can still be run. */
static void begin(struct api *a, struct load_journal *j)
{
    uint8_t id[ID_BYTES];
    struct sf_error err;

    sf_random_bytes(id, sizeof(id));
    hex(id, sizeof(id), j->id);
    j->records = 0;
    if (j->path[0] == '\0' || write_file(j, &err) != SF_OK) {
        cli_warn(a->cli, "this load cannot be gone on with when it breaks off: %s",
                 j->path[0] == '\0' ? "there is no place for its journal" : err.text);
        j->path[0] = '\0';
    }
}

enum sf_code load_journal_open(struct api *a, const struct product_ref *r, const char *path,
                               const struct load_flags *flags, struct load_journal *ret,
                               struct sf_error *err)
{
    enum sf_code code;

    *ret = (struct load_journal){
        .on_invalid = flags->on_invalid,
        .format = flags->format == NULL ? "" : flags->format,
        .batch_rows = flags->batch_rows,
    };
    code = describe_file(path, ret, err);
    if (code != SF_OK) {
        return code;
    }
    if (find_path(a, r, path, ret, err) != SF_OK) {
        ret->path[0] = '\0';
    }
    code = ret->path[0] == '\0' || flags->again ? SF_ABSENT : take_up(ret, err);
    if (code == SF_ABSENT) {
        begin(a, ret);
        return SF_OK;
    }
    return code;
}

void load_journal_note(struct load_journal *j, bool now)
{
    const uint64_t at = now_ns();
    struct sf_error err;

    if (j->path[0] == '\0' || (!now && at - j->written_ns < NOTE_NS)) {
        return;
    }
    j->written_ns = at;
    (void)(write_file(j, &err) == SF_OK); /* An old one is as right. */
}

void load_journal_end(struct load_journal *j)
{
    if (j->path[0] != '\0') {
        (void)unlink(j->path);
    }
}
