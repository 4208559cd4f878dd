#include "cli/load.h"

#include <inttypes.h>
#include <string.h>

#include "cli/catalog.h"
#include "cli/progress.h"
#include "cli/records.h"
#include "cli/rows.h"
#include "proto/errors.h"

enum { BATCH_ROWS_DEFAULT = 4000, BATCH_BYTES_MAX = 4 * 1024 * 1024 };

struct loading {
    struct api *api;
    struct records records;
    const char *path; /* of the endpoint */
    uint64_t batch_rows;
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
        const char *code = "";
        const char *field = "";
        const char *detail = "";
        uint64_t line = 0;

        (void)sf_json_as_uint(sf_json_get(it.value, "line"), &line);
        (void)sf_json_as_text(sf_json_get(it.value, "code"), &code);
        (void)sf_json_as_text(sf_json_get(it.value, "field"), &field);
        (void)sf_json_as_text(sf_json_get(it.value, "detail"), &detail);
        e->line = line_in_file(l, b, line);
        (void)snprintf(e->code, sizeof(e->code), "%s", code);
        (void)snprintf(e->field, sizeof(e->field), "%s", field);
        (void)snprintf(e->detail, sizeof(e->detail), "%s", detail);
    }
}

static enum sf_code send_batch(struct loading *l, const struct records_batch *b,
                               struct sf_error *err)
{
    const struct sf_json *answer = NULL;
    uint64_t accepted = 0;
    uint64_t quarantined = 0;
    enum sf_code code = api_leaf(l->api,
                                 &(struct api_call){.method = "POST",
                                                    .path = l->path,
                                                    .content_type = records_media(&l->records),
                                                    .body = b->body},
                                 err);

    code = code == SF_OK ? api_json(l->api, &answer, err) : code;
    if (code != SF_OK) {
        return code;
    }
    (void)sf_json_as_uint(sf_json_get(answer, "accepted"), &accepted);
    (void)sf_json_as_uint(sf_json_get(answer, "quarantined"), &quarantined);
    (void)sf_json_as_uint(sf_json_get(answer, "epoch"), &l->result->epoch);
    (void)sf_json_as_uint(sf_json_get(answer, "last_seq"), &l->result->last_seq);
    l->result->accepted += accepted;
    l->result->quarantined += quarantined;
    keep_errors(l, b, sf_json_get(answer, "errors"));
    return SF_OK;
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
        code = records_batch(&l->records, l->batch_rows, BATCH_BYTES_MAX, &batch, err);
        if (code == SF_OK) {
            code = send_batch(l, &batch, err);
        }
        progress_show(&progress, records_bytes_done(&l->records), l->records.mapping.bytes.size,
                      l->result->accepted + l->result->quarantined);
    }
    progress_end(&progress);
    l->result->seconds = progress_seconds(&progress);
    return code == SF_ABSENT && l->records.left.size == 0 ? SF_OK : code;
}

enum sf_code load_file(struct api *a, const struct product_ref *r, const char *path,
                       struct load_result *ret, struct sf_error *err)
{
    struct loading l = {.api = a, .result = ret};
    const struct args *args = &a->cli->args;
    const char *on_invalid = args_value(args, "on-invalid");
    struct sf_buf endpoint = {0};
    enum sf_code code = args_u64(args, "batch", BATCH_ROWS_DEFAULT, &l.batch_rows, err);

    *ret = (struct load_result){0};
    if (code == SF_OK && on_invalid != NULL && strcmp(on_invalid, "reject") != 0 &&
        strcmp(on_invalid, "quarantine") != 0) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "--on-invalid wants quarantine or reject, not '%s'", on_invalid);
    }
    if (code == SF_OK && l.batch_rows == 0) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "--batch wants at least 1");
    }
    catalog_table_path(r, &endpoint);
    sf_buf_printf(&endpoint, "/records?on_invalid=%s",
                  on_invalid != NULL ? on_invalid : "quarantine");
    l.path = sf_buf_cstr(&endpoint);
    if (code == SF_OK && l.path == NULL) {
        code = sf_buf_check(&endpoint, "path", err);
    }
    code = code == SF_OK ? records_open(path, args_value(args, "format"), &l.records, err) : code;
    code = code == SF_OK ? load_all(&l, path, err) : code;
    records_done(&l.records);
    sf_buf_done(&endpoint);
    return code;
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
