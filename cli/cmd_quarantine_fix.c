/* product quarantine fix: one entry, mended by --set and --unset, from a file, or in $EDITOR. */
#include <errno.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/quarantine.h"
#include "cli/record_edit.h"
#include "common/sys/file.h"
#include "proto/errors.h"

extern char **environ;

enum { RECORD_BYTES_MAX = 1024 * 1024 };

/* The entry as it is to be edited. */
struct entry {
    uint64_t qseq;
    bool is_csv;
    bool is_change;
    bool is_text;         /* or was a message that could be read, and stands in @raw as JSON */
    struct sf_buf header; /* of CSV */
    struct sf_buf raw;
};

static void entry_done(struct entry *e)
{
    sf_buf_done(&e->header);
    sf_buf_done(&e->raw);
}

static enum sf_code read_entry(struct quarantine *q, struct entry *ret, struct sf_error *err)
{
    const struct sf_json *root = NULL;
    const char *form = "";
    struct sf_slice text = {0};
    enum sf_code code = quarantine_get(q, &ret->qseq, &root, err);

    if (code != SF_OK) {
        return code;
    }
    (void)sf_json_as_text(sf_json_get(root, "form"), &form);
    ret->is_csv = strcmp(form, "csv") == 0;
    ret->is_change = strcmp(form, "change") == 0;
    ret->is_text = sf_json_as_slice(sf_json_get(root, "raw"), &text);
    sf_buf_slice(&ret->raw, text);
    if (sf_json_as_bool(sf_json_get(root, "decoded_whole"), &ret->is_text) && ret->is_text) {
        sf_json_value(&(struct sf_json_writer){.out = &ret->raw}, sf_json_get(root, "decoded"));
    }
    text = (struct sf_slice){0};
    (void)sf_json_as_slice(sf_json_get(root, "header"), &text);
    sf_buf_slice(&ret->header, text);
    code = sf_buf_check(&ret->raw, "record", err);
    return code == SF_OK ? sf_buf_check(&ret->header, "record", err) : code;
}

/* --- --set and --unset ------------------------------------------------------------------------ */

/* Types whose values are numbers or truths in JSON; all others are texts. */
static bool is_bare(const char *type)
{
    static const char *const bare[] = {"bool", "int32", "int64", "float", "double"};

    for (size_t i = 0; i < SF_COUNT(bare); i++) {
        if (strcmp(type, bare[i]) == 0) {
            return true;
        }
    }
    return strcmp(type, "json") == 0 || strncmp(type, "list", 4) == 0 ||
           strcmp(type, "struct") == 0;
}

static const struct sf_json *fields_of(const struct sf_json *product, const char *table)
{
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(product, "tables"));
         sf_json_next(&it);) {
        const char *name = "";

        if (sf_json_as_text(sf_json_get(it.value, "name"), &name) && strcmp(name, table) == 0) {
            return sf_json_get(it.value, "fields");
        }
    }
    return NULL;
}

/* Values of fields that are no texts stand in the record as JSON. */
static enum sf_code find_types(struct quarantine *q, struct record_set *sets, size_t count,
                               struct sf_error *err)
{
    char text[PRODUCT_REF_TEXT_MAX];
    char path[PRODUCT_REF_TEXT_MAX + 16];
    const struct sf_json *product = NULL;
    enum sf_code code;

    product_ref_text(&q->ref, text);
    (void)snprintf(path, sizeof(path), "/v1/products/%s", text);
    code = api_get_leaf(&q->api, path, &product, err);
    for (size_t i = 0; code == SF_OK && i < count; i++) {
        for (struct sf_json_iter it = sf_json_iter(fields_of(product, q->ref.table));
             sf_json_next(&it);) {
            const char *name = "";
            const char *type = "";
            struct sf_json_doc *doc = NULL;
            struct sf_error why;

            if (sf_json_as_text(sf_json_get(it.value, "name"), &name) &&
                sf_json_as_text(sf_json_get(it.value, "type"), &type) &&
                sf_slice_equal(sf_slice_text(name), sets[i].name) && is_bare(type)) {
                /* What is no JSON is sent as text: the contract says what is wrong with it. */
                sets[i].is_text = sf_json_parse(sets[i].value, &doc, &why) != SF_OK;
                sf_json_free(doc);
            }
        }
    }
    return code;
}

static enum sf_code read_sets(const struct args *args, struct record_set *sets, size_t *ret_count,
                              struct sf_error *err)
{
    enum sf_code code = SF_OK;
    const char *text;

    for (unsigned i = 0; code == SF_OK && (text = args_value_at(args, "set", i)) != NULL; i++) {
        if (*ret_count == RECORD_SETS_MAX) {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "at most %d fields are set at once",
                              RECORD_SETS_MAX);
        }
        code = record_set_parse(text, &sets[(*ret_count)++], err);
    }
    for (unsigned i = 0; code == SF_OK && (text = args_value_at(args, "unset", i)) != NULL; i++) {
        if (*ret_count == RECORD_SETS_MAX) {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "at most %d fields are set at once",
                              RECORD_SETS_MAX);
        }
        sets[(*ret_count)++] = (struct record_set){.name = sf_slice_text(text), .unset = true};
    }
    return code;
}

static enum sf_code by_sets(struct quarantine *q, const struct entry *e, struct sf_buf *ret,
                            struct sf_error *err)
{
    struct record_set sets[RECORD_SETS_MAX];
    struct record_edit edit = {.sets = sets};
    enum sf_code code = read_sets(&q->cli->args, sets, &edit.count, err);

    if (code == SF_OK && !e->is_text) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "the record is no text; give it as a JSON object with --file");
    }
    if (code == SF_OK && e->is_csv) {
        return record_edit_csv(&edit, sf_buf_view(&e->header), sf_buf_view(&e->raw), ret, err);
    }
    code = code == SF_OK ? find_types(q, sets, edit.count, err) : code;
    return code == SF_OK ? record_edit_json(&edit, sf_buf_view(&e->raw), e->is_change, ret, err)
                         : code;
}

/* --- the editor ------------------------------------------------------------------------------- */

static enum sf_code run_editor(const char *editor, const char *path, struct sf_error *err)
{
    /* The variable may hold arguments: it is for the shell to take apart. */
    char command[512];
    char shell[] = "sh";
    char flag[] = "-c";
    char file[CLI_PATH_MAX];
    char *argv[] = {shell, flag, command, file, NULL};
    pid_t pid;
    int status = 0;
    int failed;

    if ((size_t)snprintf(command, sizeof(command), "%s \"$0\"", editor) >= sizeof(command)) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "EDITOR is too long");
    }
    (void)snprintf(file, sizeof(file), "%s", path);
    failed = posix_spawnp(&pid, shell, NULL, NULL, argv, environ);
    if (failed != 0) {
        return SF_RAISE(err, SF_IO, "the editor cannot be started: %s", strerror(failed));
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return SF_RAISE(err, SF_IO, "the editor is lost: %s", strerror(errno));
        }
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0
               ? SF_OK
               : SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                            "the editor failed; the record is as it was");
}

static void as_edited(const struct entry *e, struct sf_buf *ret)
{
    if (e->is_csv) {
        sf_buf_slice(ret, sf_buf_view(&e->header));
        sf_buf_byte(ret, '\n');
    }
    sf_buf_slice(ret, sf_buf_view(&e->raw));
    sf_buf_byte(ret, '\n');
}

static enum sf_code edit_file(const char *editor, const char *path, const struct entry *e,
                              struct sf_buf *ret, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf before = {0};
    enum sf_code code;

    as_edited(e, &before);
    code = sf_buf_check(&before, "record", err);
    code = code == SF_OK ? sf_file_write(path, sf_buf_view(&before), 0600, err) : code;
    code = code == SF_OK ? run_editor(editor, path, err) : code;
    code = code == SF_OK ? sf_file_read(path, RECORD_BYTES_MAX, ret, err) : code;
    if (code == SF_OK && sf_slice_equal(sf_buf_view(&before), sf_buf_view(ret))) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "nothing was changed");
    }
    return code;
}

static enum sf_code by_editor(struct quarantine *q, const struct entry *e, struct sf_buf *ret,
                              struct sf_error *err)
{
    const char *editor = getenv("EDITOR");
    const char *tmp = getenv("TMPDIR");
    char dir[CLI_PATH_MAX - 128];
    char path[CLI_PATH_MAX];
    enum sf_code code;

    if (!e->is_text) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "the record is no text; give it as a JSON object with --file");
    }
    if (editor == NULL || *editor == '\0') {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "say what is to change with --set FIELD=VALUE or --file, or set EDITOR");
    }
    (void)snprintf(dir, sizeof(dir), "%s/sheaf-fix-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(dir) == NULL) {
        return SF_RAISE(err, SF_IO, "%s: %s", dir, strerror(errno));
    }
    (void)snprintf(path, sizeof(path), "%s/%s-%" PRIu64 ".%s", dir, q->ref.table, e->qseq,
                   e->is_csv ? "csv" : "json");
    code = edit_file(editor, path, e, ret, err);
    (void)unlink(path);
    (void)rmdir(dir);
    return code;
}

/* --- sending ---------------------------------------------------------------------------------- */

static enum sf_code send_fix(struct quarantine *q, const struct entry *e, bool as_csv,
                             struct sf_slice body, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf path = {0};
    const struct sf_json *errors = NULL;
    struct sf_error why;
    enum sf_code code;

    sf_buf_slice(&path, sf_buf_view(&q->path));
    sf_buf_printf(&path, "/%" PRIu64 "?overwrite=%s&envelope=%s", e->qseq,
                  args_has(&q->cli->args, "overwrite") ? "true" : "false",
                  e->is_change ? "change" : "none");
    if (sf_buf_cstr(&path) == NULL) {
        return sf_buf_check(&path, "path", err);
    }
    code = api_leaf(&q->api,
                    &(struct api_call){
                        .method = "POST",
                        .path = (const char *)path.data,
                        .content_type = as_csv ? "text/csv" : "application/json",
                        .body = body,
                    },
                    err);
    if (code == SF_INVALID && api_json(&q->api, &errors, &why) == SF_OK) {
        quarantine_print_errors(q->cli, sf_json_get(errors, "errors"));
    }
    return code;
}

static enum sf_code report(struct quarantine *q, const struct entry *e, struct sf_error *err)
{
    const struct sf_json *root = NULL;
    uint64_t epoch = 0;
    uint64_t seq = 0;
    enum sf_code code = api_json(&q->api, &root, err);

    if (code != SF_OK) {
        return code;
    }
    (void)sf_json_as_uint(sf_json_get(root, "epoch"), &epoch);
    (void)sf_json_as_uint(sf_json_get(root, "last_seq"), &seq);
    cli_did(q->cli, "fixed entry %" PRIu64 " of %s/%s.%s, now at %" PRIu64 ":%" PRIu64, e->qseq,
            q->ref.domain, q->ref.product, q->ref.table, epoch, seq);
    if (q->cli->print.format == PRINT_TABLE) {
        return SF_OK;
    }
    print_begin(&q->cli->print, PRINT_OBJECT, "QuarantineFix");
    print_answer_members(&q->cli->print, root);
    return print_end(&q->cli->print, err);
}

/* Whether a record given as a file is CSV; the entry's own form, unless it is plainly JSON. */
static bool file_is_csv(const struct entry *e, struct sf_slice text)
{
    while (text.size > 0 && text.data[0] <= ' ') {
        text = sf_slice_of(text.data + 1, text.size - 1);
    }
    return e->is_csv && text.size > 0 && text.data[0] != '{' && text.data[0] != '[';
}

static enum sf_code fix(struct quarantine *q, struct sf_error *err)
{
    SF_CLEANUP(entry_done) struct entry e = {0};
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    const struct args *args = &q->cli->args;
    const char *file = args_value(args, "file");
    const bool has_sets = args_has(args, "set") || args_has(args, "unset");
    enum sf_code code;

    if (file != NULL && has_sets) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "give --set or --file, not both");
    }
    code = read_entry(q, &e, err);
    if (code != SF_OK) {
        return code;
    }
    if (file != NULL) {
        code = sf_file_read(file, RECORD_BYTES_MAX, &body, err);
    } else {
        code = has_sets ? by_sets(q, &e, &body, err) : by_editor(q, &e, &body, err);
    }
    code = code == SF_OK
               ? send_fix(q, &e, file_is_csv(&e, sf_buf_view(&body)), sf_buf_view(&body), err)
               : code;
    return code == SF_OK ? report(q, &e, err) : code;
}

int cmd_product_quarantine_fix(struct cli *cli)
{
    struct quarantine q;
    struct sf_error err;
    enum sf_code code = quarantine_open(cli, &q, &err);
    int status;

    code = code == SF_OK ? fix(&q, &err) : code;
    status = code == SF_OK ? CLI_OK : cli_fail(cli, &err);
    quarantine_done(&q);
    return status;
}
