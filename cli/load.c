#include "cli/load.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "cli/catalog.h"
#include "cli/load_journal.h"
#include "cli/progress.h"
#include "cli/records.h"
#include "cli/rows.h"
#include "proto/errors.h"

enum {
    BATCH_ROWS_DEFAULT = 4000,
    BATCH_BYTES_MAX = 4 * 1024 * 1024,
    BUSY_TRIES = 300, /* of one batch: 429, or what a killed run has sent is on its way */
    AWAY_TRIES = 20,  /* the leaf does not answer, but did */
    TOKEN_S = 300,    /* tokens live for 600 s */
};

struct loading {
    struct api *api;
    struct records records;
    const char *path; /* of the endpoint */
    const struct product_ref *target;
    struct load_journal journal;
    uint64_t batches; /* acknowledged in this run */
    double token_s;   /* when the token was made */
    sigset_t signals; /* that end the load between two batches */
    struct load_result *result;
};

/* The answer counts lines within the batch; the user has the file. */
static uint64_t line_in_file(const struct loading *l, const struct records_batch *b, uint64_t line)
{
    switch (l->records.format) {
    case RECORDS_CSV:
        return b->first_line + (line > 2 ? line - 2 : 0);
    case RECORDS_NDJSON:
        return b->first_line + (line > 1 ? line - 1 : 0);
    case RECORDS_JSON:
        return b->first_index + line;
    }
    return line;
}

static void keep_errors(struct loading *l, const struct records_batch *b,
                        const struct sf_json *errors)
{
    struct load_result *result = l->result;

    for (struct sf_json_iter it = sf_json_iter(errors);
         result->error_count < LOAD_ERRORS_SHOWN && sf_json_next(&it);) {
        struct load_error *e = &result->errors[result->error_count++];
        const char *code = sf_json_text_of(it.value, "code");
        const char *field = "";
        const char *detail = "";
        uint64_t line = 0;

        (void)sf_json_as_uint(sf_json_get(it.value, "line"), &line);
        (void)sf_json_as_text(sf_json_get(it.value, "field"), &field);
        (void)sf_json_as_text(sf_json_get(it.value, "detail"), &detail);
        e->line = line_in_file(l, b, line);
        (void)snprintf(e->code, sizeof(e->code), "%s", code);
        (void)snprintf(e->field, sizeof(e->field), "%s", field);
        (void)snprintf(e->detail, sizeof(e->detail), "%s", detail);
    }
}

/* Waits up to @ms; whether a signal has come meanwhile, or before. */
static bool is_interrupted(const struct loading *l, long ms)
{
    const struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    int number;

    do {
        number = sigtimedwait(&l->signals, NULL, &wait);
    } while (number < 0 && errno == EINTR);
    return number > 0;
}

static bool is_silent(const struct sf_error *err)
{
    return err->number == SHEAF_E_LEAF_UNREACHABLE || err->number == SHEAF_E_NO_ANSWER;
}

/* Whether it is worth to send the same again, after a wait. */
static bool try_again(struct loading *l, const struct sf_error *err, unsigned *tries)
{
    const bool is_busy =
        (err->code == SF_BUSY && l->api->answer.status == 429) || err->number == SHEAF_E_KEY_BUSY;
    const bool is_away = is_silent(err) && l->batches > 0;

    if (++*tries > (is_busy ? BUSY_TRIES : AWAY_TRIES) || (!is_busy && !is_away)) {
        return false;
    }
    l->result->interrupted = is_interrupted(l, is_busy ? 1000 : 500);
    return !l->result->interrupted;
}

static enum sf_code renew_token(struct loading *l, double now_s, struct sf_error *err)
{
    if (now_s - l->token_s < TOKEN_S) {
        return SF_OK;
    }
    l->token_s = now_s;
    return api_act(l->api, l->target->domain, err);
}

static enum sf_code post(struct loading *l, const struct records_batch *b, struct sf_error *err)
{
    char key[64];
    unsigned tries = 0;
    enum sf_code code;

    (void)snprintf(key, sizeof(key), "%s-%" PRIu64, l->journal.id, b->first_index);
    do {
        code = api_leaf(l->api,
                        &(struct api_call){.method = "POST",
                                           .path = l->path,
                                           .content_type = records_media(&l->records),
                                           .idempotency_key = key,
                                           .body = b->body},
                        err);
    } while (code != SF_OK && try_again(l, err, &tries));
    return code;
}

static enum sf_code send_batch(struct loading *l, const struct records_batch *b,
                               struct sf_error *err)
{
    const struct sf_json *answer = NULL;
    uint64_t accepted = 0;
    uint64_t quarantined = 0;
    uint64_t duplicates = 0;
    uint64_t unchanged = 0;
    enum sf_code code = post(l, b, err);

    code = code == SF_OK ? api_json(l->api, &answer, err) : code;
    if (code != SF_OK) {
        return code;
    }
    (void)sf_json_as_uint(sf_json_get(answer, "accepted"), &accepted);
    (void)sf_json_as_uint(sf_json_get(answer, "quarantined"), &quarantined);
    (void)sf_json_as_uint(sf_json_get(answer, "epoch"), &l->result->epoch);
    (void)sf_json_as_uint(sf_json_get(answer, "last_seq"), &l->result->last_seq);
    (void)sf_json_as_uint(sf_json_get(answer, "duplicates"), &duplicates);
    (void)sf_json_as_uint(sf_json_get(answer, "unchanged"), &unchanged);
    l->result->accepted += accepted;
    l->result->duplicates += duplicates;
    l->result->unchanged += unchanged;
    l->result->quarantined += quarantined;
    keep_errors(l, b, sf_json_get(answer, "errors"));
    l->batches++;
    l->journal.records = b->first_index + b->rows;
    l->journal.accepted += accepted;
    l->journal.quarantined += quarantined;
    load_journal_note(&l->journal, /* now= */ false);
    return SF_OK;
}

/* Passes over what an earlier run has stored. */
static enum sf_code skip_stored(struct loading *l, struct sf_error *err)
{
    char count[32];
    struct sf_slice text;
    enum sf_code code = SF_OK;

    while (code == SF_OK && l->records.index < l->journal.records) {
        code = records_next(&l->records, &text, err);
    }
    if (code == SF_ABSENT) {
        return SF_RAISE(err, SF_CORRUPT, "%s has fewer records than were stored", l->journal.file);
    }
    if (code == SF_OK && l->journal.resumed) {
        l->result->resumed = l->journal.records;
        rows_count_text(l->journal.records, count);
        cli_note(l->api->cli, "going on behind %s record%s that are stored", count,
                 l->journal.records == 1 ? "" : "s");
    }
    return code;
}

static enum sf_code load_all(struct loading *l, const char *name, struct sf_error *err)
{
    struct progress progress;
    struct records_batch batch;
    char what[128];
    const char *base = strrchr(name, '/') != NULL ? strrchr(name, '/') + 1 : name;
    enum sf_code code = SF_OK;

    (void)snprintf(what, sizeof(what), "loading %s", base);
    progress_start(&progress, l->api->cli, what);
    while (code == SF_OK) {
        code = renew_token(l, progress_seconds(&progress), err);
        code = code == SF_OK
                   ? records_batch(&l->records, l->journal.batch_rows, BATCH_BYTES_MAX, &batch, err)
                   : code;
        if (code == SF_OK) {
            code = send_batch(l, &batch, err);
        }
        progress_show(&progress, records_bytes_done(&l->records), l->records.mapping.bytes.size,
                      l->result->accepted + l->result->quarantined);
        if (code == SF_OK && is_interrupted(l, 0)) {
            l->result->interrupted = true;
            code = SF_RAISE(err, SF_CLOSED, "interrupted");
        }
    }
    progress_end(&progress);
    l->result->seconds = progress_seconds(&progress);
    return code == SF_ABSENT && l->records.left.size == 0 ? SF_OK : code;
}

/* Whether the batch that failed may be stored all the same: nobody has said otherwise. */
static bool is_open(const struct loading *l, const struct sf_error *err)
{
    return l->result->interrupted || is_silent(err) || err->number == 0;
}

/* Signals wait until a batch is acknowledged; one that comes before the first does so too. */
static enum sf_code load_guarded(struct loading *l, const char *name, struct sf_error *err)
{
    sigset_t before;
    enum sf_code code;

    (void)sigemptyset(&l->signals);
    (void)sigaddset(&l->signals, SIGINT);
    (void)sigaddset(&l->signals, SIGTERM);
    (void)sigaddset(&l->signals, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &l->signals, &before);
    code = skip_stored(l, err);
    code = code == SF_OK ? load_all(l, name, err) : code;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (code == SF_OK || (l->journal.records == 0 && !is_open(l, err))) {
        load_journal_end(&l->journal);
        return code;
    }
    load_journal_note(&l->journal, /* now= */ true);
    l->result->resumable = l->journal.records;
    return code;
}

/* What the flags say of the load. */
static enum sf_code read_flags(const struct args *args, struct load_flags *ret,
                               struct sf_error *err)
{
    const char *on_invalid = args_value(args, "on-invalid");
    enum sf_code code = args_u64(args, "batch", BATCH_ROWS_DEFAULT, &ret->batch_rows, err);

    if (code == SF_OK && on_invalid != NULL && strcmp(on_invalid, "reject") != 0 &&
        strcmp(on_invalid, "quarantine") != 0) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "--on-invalid wants quarantine or reject, not '%s'", on_invalid);
    }
    if (code == SF_OK && ret->batch_rows == 0) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "--batch wants at least 1");
    }
    ret->on_invalid = on_invalid != NULL ? on_invalid : "quarantine";
    ret->format = args_value(args, "format");
    ret->again = args_has(args, "again");
    return code;
}

enum sf_code load_file(struct api *a, const struct product_ref *r, const char *path,
                       struct load_result *ret, struct sf_error *err)
{
    struct loading l = {.api = a, .target = r, .result = ret};
    struct load_flags flags;
    struct sf_buf endpoint = {0};
    enum sf_code code = read_flags(&a->cli->args, &flags, err);

    *ret = (struct load_result){0};
    catalog_table_path(r, &endpoint);
    sf_buf_printf(&endpoint, "/records?on_invalid=%s", flags.on_invalid);
    l.path = sf_buf_cstr(&endpoint);
    if (code == SF_OK && l.path == NULL) {
        code = sf_buf_check(&endpoint, "path", err);
    }
    code = code == SF_OK ? records_open(path, flags.format, &l.records, err) : code;
    code = code == SF_OK ? load_journal_open(a, r, path, &flags, &l.journal, err) : code;
    code = code == SF_OK ? load_guarded(&l, path, err) : code;
    records_done(&l.records);
    sf_buf_done(&endpoint);
    return code;
}

int load_failed(struct cli *cli, const struct product_ref *r, const struct load_result *result,
                const struct sf_error *err)
{
    enum { INTERRUPTED = 130 };
    char count[32];
    int status = INTERRUPTED;

    if (result->interrupted) {
        cli_warn(cli, "interrupted");
    } else {
        status = cli_fail(cli, err);
    }
    if (result->accepted > 0) {
        load_report(cli, r, result); /* what was acked before stays */
    }
    if (result->resumable > 0) {
        rows_count_text(result->resumable, count);
        cli_note(cli, "%s record%s of the file are stored; the same command goes on behind them",
                 count, result->resumable == 1 ? "" : "s");
    }
    return status;
}

/* What was taken and takes no position: else the count of rows would not fit the position. */
static void say_left_out(struct cli *cli, const struct load_result *result)
{
    char count[32];

    if (result->duplicates > 0) {
        rows_count_text(result->duplicates, count);
        cli_note(cli, "%s of them repeated earlier ones and %s left out (dedupe)", count,
                 result->duplicates == 1 ? "was" : "were");
    }
    if (result->unchanged > 0) {
        rows_count_text(result->unchanged, count);
        cli_note(cli, "%s of them stood there as they were (unchanged: skip)", count);
    }
}

int load_report(struct cli *cli, const struct product_ref *r, const struct load_result *result)
{
    char accepted[32];
    char quarantined[32];

    rows_count_text(result->accepted, accepted);
    rows_count_text(result->quarantined, quarantined);
    cli_did(cli, "loaded %s row%s in %.2f s into %s/%s.%s, now at %" PRIu64 ":%" PRIu64, accepted,
            result->accepted == 1 ? "" : "s", result->seconds, r->domain, r->product, r->table,
            result->epoch, result->last_seq);
    say_left_out(cli, result);
    if (result->quarantined > 0) {
        cli_warn(cli, "%s record%s went to quarantine:", quarantined,
                 result->quarantined == 1 ? "" : "s");
        for (unsigned i = 0; i < result->error_count; i++) {
            const struct load_error *e = &result->errors[i];

            (void)fprintf(cli->err, "  line %" PRIu64 ": %s%s%s: %s\n", e->line, e->code,
                          e->field[0] != '\0' ? " " : "", e->field, e->detail);
        }
        cli_note(cli, "all of them: sheaf product quarantine ls %s/%s", r->domain, r->product);
    }
    if (cli->print.format != PRINT_TABLE) {
        print_begin(&cli->print, PRINT_OBJECT, "LoadResult");
        print_row(&cli->print);
        print_format_text(&cli->print, "product", "%s/%s", r->domain, r->product);
        print_text(&cli->print, "table", r->table);
        print_uint(&cli->print, "accepted", result->accepted);
        print_uint(&cli->print, "duplicates", result->duplicates);
        print_uint(&cli->print, "unchanged", result->unchanged);
        print_uint(&cli->print, "quarantined", result->quarantined);
        print_uint(&cli->print, "epoch", result->epoch);
        print_uint(&cli->print, "last_seq", result->last_seq);
        int code = cli_end(cli);
        if (code != CLI_OK) {
            return code;
        }
    }
    return result->quarantined > 0 && args_has(&cli->args, "strict") ? CLI_INVALID : CLI_OK;
}
