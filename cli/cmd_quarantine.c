/* product quarantine ls, show, replay and drop; fix is in cmd_quarantine_fix.c. */
#include <inttypes.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/quarantine.h"
#include "common/base/utf8.h"
#include "proto/errors.h"

enum { RAW_COLUMNS = 60, SHOWN_BEFORE = 60, SHOWN_MAX = 110 };

/* --- ls --------------------------------------------------------------------------------------- */

/* The beginning of a text, as many bytes at most, whole characters. */
static struct sf_slice cut(struct sf_slice s, size_t max)
{
    size_t n = s.size > max ? max : s.size;

    while (n < s.size && n > 0 && (s.data[n] & 0xc0) == 0x80) {
        n--;
    }
    return sf_slice_of(s.data, n);
}

static void print_raw_cell(struct print *p, const struct sf_json *item)
{
    struct sf_slice raw = {0};
    struct sf_slice shown;

    if (!sf_json_as_slice(sf_json_get(item, "raw"), &raw)) {
        print_text(p, "raw", "(no text)");
        return;
    }
    shown = cut(raw, RAW_COLUMNS);
    if (shown.size == raw.size) {
        print_slice(p, "raw", raw);
    } else {
        print_format_text(p, "raw", "%.*s...", SF_SLICE_ARG(shown));
    }
}

static void print_entry(struct print *p, const struct sf_json *item)
{
    static const char *const columns[] = {"qseq", "time", "line", "codes", "field"};

    print_row(p);
    for (size_t i = 0; i < SF_COUNT(columns); i++) {
        print_json(p, columns[i], sf_json_get(item, columns[i]));
    }
    if (p->format == PRINT_TABLE) {
        print_raw_cell(p, item);
        return;
    }
    print_json(p, "raw", sf_json_get(item, "raw"));
    print_json(p, "raw_base64", sf_json_get(item, "raw_base64"));
    print_json(p, "cut", sf_json_get(item, "cut"));
}

static enum sf_code list_pages(struct quarantine *q, const char *filter, uint64_t limit,
                               uint64_t *seen, struct sf_error *err)
{
    uint64_t after = 0;
    bool more = true;
    enum sf_code code = SF_OK;

    while (code == SF_OK && more) {
        SF_CLEANUP(sf_buf_done) struct sf_buf path = {0};
        const struct sf_json *root = NULL;

        more = false;
        sf_buf_printf(&path, "%safter=%" PRIu64, filter, after);
        if (sf_buf_cstr(&path) == NULL) {
            return sf_buf_check(&path, "path", err);
        }
        code = quarantine_call(q, "GET", (const char *)path.data, &root, err);
        if (code != SF_OK) {
            break;
        }
        (void)sf_json_as_bool(sf_json_get(root, "more"), &more);
        (void)sf_json_as_uint(sf_json_get(root, "last"), &after);
        for (struct sf_json_iter it = sf_json_iter(sf_json_get(root, "items"));
             (limit == 0 || *seen < limit) && sf_json_next(&it);) {
            ++*seen;
            print_entry(&q->cli->print, it.value);
        }
        more = more && (limit == 0 || *seen < limit);
    }
    return code;
}

static enum sf_code list(struct quarantine *q, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf filter = {0};
    uint64_t limit = 0;
    uint64_t seen = 0;
    bool any = false;
    enum sf_code code = args_u64(&q->cli->args, "limit", 1000, &limit, err);

    code = code == SF_OK ? quarantine_filter(q, &filter, &any, err) : code;
    if (code == SF_OK && sf_buf_cstr(&filter) == NULL) {
        code = sf_buf_check(&filter, "path", err);
    }
    if (code != SF_OK) {
        return code;
    }
    print_begin(&q->cli->print, PRINT_LIST, "QuarantineList");
    code = list_pages(q, (const char *)filter.data, limit, &seen, err);
    code = code == SF_OK ? print_end(&q->cli->print, err) : code;
    if (code == SF_OK && seen == 0) {
        cli_note(q->cli,
                 any ? "nothing in quarantine is chosen by that" : "nothing is in quarantine");
    }
    return code;
}

/* How many of which code and field. */
static enum sf_code summarize(struct quarantine *q, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf path = {0};
    const struct sf_json *root = NULL;
    bool any = false;
    enum sf_code code = quarantine_filter(q, &path, &any, err);

    sf_buf_text(&path, "by=code");
    if (code == SF_OK && sf_buf_cstr(&path) == NULL) {
        code = sf_buf_check(&path, "path", err);
    }
    code = code == SF_OK ? quarantine_call(q, "GET", (const char *)path.data, &root, err) : code;
    if (code != SF_OK) {
        return code;
    }
    print_begin(&q->cli->print, PRINT_LIST, "QuarantineSummary");
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(root, "items")); sf_json_next(&it);) {
        print_answer_members(&q->cli->print, it.value);
    }
    if (sf_json_count(sf_json_get(root, "items")) == 0) {
        cli_note(q->cli, "nothing is in quarantine");
    }
    return print_end(&q->cli->print, err);
}

static int finish(struct quarantine *q, enum sf_code code, const struct sf_error *err)
{
    struct cli *cli = q->cli;
    int status = code == SF_OK ? CLI_OK : cli_fail(cli, err);

    quarantine_done(q);
    return status;
}

int cmd_product_quarantine_ls(struct cli *cli)
{
    struct quarantine q;
    struct sf_error err;
    enum sf_code code = quarantine_open(cli, &q, &err);

    if (code == SF_OK) {
        code = args_has(&cli->args, "summary") ? summarize(&q, &err) : list(&q, &err);
    }
    return finish(&q, code, &err);
}

/* --- show ------------------------------------------------------------------------------------- */

/* The line of @raw around @at; *ret_at: where in it. A long one is cut on both sides. */
static struct sf_slice line_around(struct sf_slice raw, size_t at, size_t *ret_at)
{
    size_t from = at;
    size_t to = at;

    while (from > 0 && raw.data[from - 1] != '\n') {
        from--;
    }
    while (to < raw.size && raw.data[to] != '\n') {
        to++;
    }
    if (at - from > SHOWN_BEFORE) {
        from = at - SHOWN_BEFORE;
        while (from < at && (raw.data[from] & 0xc0) == 0x80) {
            from++;
        }
    }
    *ret_at = at - from;
    return cut(sf_slice_of(raw.data + from, to - from), SHOWN_MAX);
}

/* The line with the cause of an error, and marks under it. */
static void print_marked(struct cli *cli, struct sf_slice raw, uint64_t at, uint64_t size)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    size_t column = 0;
    struct sf_slice line;
    unsigned before;
    unsigned width;

    if (at > raw.size) {
        return;
    }
    line = line_around(raw, (size_t)at, &column);
    column = column > line.size ? line.size : column;
    size = size > line.size - column ? line.size - column : size;
    before = print_width(sf_slice_of(line.data, column));
    width = print_width(sf_slice_of(line.data + column, (size_t)size));
    print_append_shown(&out, line);
    (void)fprintf(cli->out, "    %.*s\n    %*s^", (int)out.size, (const char *)out.data,
                  (int)before, "");
    for (unsigned i = 1; i < width; i++) {
        (void)fputc('~', cli->out);
    }
    (void)fputc('\n', cli->out);
}

static void print_error_shown(struct cli *cli, struct sf_slice raw, const struct sf_json *e)
{
    const char *code = sf_json_text_of(e, "code");
    const char *detail = "";
    uint64_t at = 0;
    uint64_t size = 0;

    (void)sf_json_as_text(sf_json_get(e, "detail"), &detail);
    (void)fprintf(cli->out, "  %s: %s\n", code, detail);
    if (sf_json_as_uint(sf_json_get(e, "at"), &at) &&
        sf_json_as_uint(sf_json_get(e, "size"), &size)) {
        print_marked(cli, raw, at, size);
    }
}

static void print_text_shown(struct cli *cli, const char *title, struct sf_slice text)
{
    (void)fprintf(cli->out, "\n%s\n", title);
    while (text.size > 0) {
        SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
        const uint8_t *end = memchr(text.data, '\n', text.size);
        const size_t n = end == NULL ? text.size : (size_t)(end - text.data);

        print_append_shown(&out, sf_slice_of(text.data, n));
        (void)fprintf(cli->out, "    %.*s\n", (int)out.size, (const char *)out.data);
        text = sf_slice_of(text.data + n, text.size - n);
        if (text.size > 0) {
            text = sf_slice_of(text.data + 1, text.size - 1);
        }
    }
}

/* A record that is no text: what can be read of it, and its bytes unless that is all. */
static enum sf_code show_message(struct cli *cli, const struct sf_json *entry, struct sf_error *err)
{
    const struct sf_json *decoded = sf_json_get(entry, "decoded");
    SF_CLEANUP(sf_buf_done) struct sf_buf json = {0};
    struct sf_json_writer w = {.out = &json, .pretty = true};
    struct sf_slice bytes = {0};
    char title[96] = "record, in base64";
    uint64_t read = 0;
    bool whole = false;

    (void)sf_json_as_slice(sf_json_get(entry, "raw_base64"), &bytes);
    (void)sf_json_as_bool(sf_json_get(entry, "decoded_whole"), &whole);
    (void)sf_json_as_uint(sf_json_get(entry, "decoded_bytes"), &read);
    if (decoded != NULL) {
        sf_json_value(&w, decoded);
        if (sf_buf_check(&json, "record", err) != SF_OK) {
            return err->code;
        }
        print_text_shown(cli, "record, decoded", sf_buf_view(&json));
        (void)snprintf(title, sizeof(title),
                       "record, in base64; from byte %" PRIu64 " on it is no message", read);
    }
    if (!whole) {
        print_text_shown(cli, title, bytes);
    }
    return SF_OK;
}

static enum sf_code show_for_people(struct cli *cli, const struct sf_json *entry,
                                    struct sf_error *err)
{
    static const char *const members[] = {"qseq", "time", "line", "codes", "field", "form"};
    const struct sf_json *errors = sf_json_get(entry, "errors");
    const char *version = "";
    struct sf_slice text = {0};
    enum sf_code code;

    print_begin(&cli->print, PRINT_OBJECT, "QuarantineEntry");
    print_row(&cli->print);
    for (size_t i = 0; i < SF_COUNT(members); i++) {
        print_json(&cli->print, members[i], sf_json_get(entry, members[i]));
    }
    code = print_end(&cli->print, err);
    if (code != SF_OK) {
        return code;
    }
    if (sf_json_as_slice(sf_json_get(entry, "header"), &text)) {
        print_text_shown(cli, "header", text);
    }
    text = (struct sf_slice){0};
    if (sf_json_as_slice(sf_json_get(entry, "raw"), &text)) {
        print_text_shown(cli, "record", text);
    } else {
        code = show_message(cli, entry, err);
        if (code != SF_OK) {
            return code;
        }
    }
    (void)sf_json_as_text(sf_json_get(entry, "version"), &version);
    if (sf_json_count(errors) == 0) {
        (void)fprintf(cli->out, "\nversion %s of the contract takes it: replay it\n", version);
        return SF_OK;
    }
    (void)fprintf(cli->out, "\nagainst version %s of the contract\n", version);
    for (struct sf_json_iter it = sf_json_iter(errors); sf_json_next(&it);) {
        print_error_shown(cli, text, it.value);
    }
    return SF_OK;
}

int cmd_product_quarantine_show(struct cli *cli)
{
    struct quarantine q;
    const struct sf_json *entry = NULL;
    uint64_t qseq = 0;
    struct sf_error err;
    enum sf_code code = quarantine_open(cli, &q, &err);

    code = code == SF_OK ? quarantine_get(&q, &qseq, &entry, &err) : code;
    if (code == SF_OK && cli->print.format == PRINT_TABLE) {
        code = show_for_people(cli, entry, &err);
    } else if (code == SF_OK) {
        print_begin(&cli->print, PRINT_OBJECT, "QuarantineEntry");
        print_answer_members(&cli->print, entry);
        code = print_end(&cli->print, &err);
    }
    return finish(&q, code, &err);
}

/* --- replay and drop -------------------------------------------------------------------------- */

/* Sums over the requests of one command. */
struct tally {
    uint64_t seen;
    uint64_t resolved;
    uint64_t left;
    uint64_t first_seq; /* 0: no row was stored */
    uint64_t last_seq;
    uint64_t epoch;
    unsigned errors_shown;
};

static uint64_t number_of(const struct sf_json *root, const char *name)
{
    uint64_t value = 0;

    (void)sf_json_as_uint(sf_json_get(root, name), &value);
    return value;
}

static void add(struct quarantine *q, struct tally *t, const struct sf_json *root, bool is_drop)
{
    const uint64_t first = number_of(root, "first_seq");

    t->seen += number_of(root, "seen");
    t->resolved += number_of(root, is_drop ? "dropped" : "accepted");
    t->left += number_of(root, "left");
    t->epoch = number_of(root, "epoch");
    if (first != 0) {
        t->first_seq = t->first_seq == 0 ? first : t->first_seq;
        t->last_seq = number_of(root, "last_seq");
    }
    if (t->errors_shown < 10 && !q->cli->quiet) {
        quarantine_print_errors(q->cli, sf_json_get(root, "errors"));
        t->errors_shown += (unsigned)sf_json_count(sf_json_get(root, "errors"));
    }
}

/* By filters, request after request. @begin: method and path up to the filters. */
static enum sf_code by_filter(struct quarantine *q, const char *method, const char *begin,
                              struct tally *t, struct sf_error *err)
{
    const bool is_drop = strcmp(method, "DELETE") == 0;
    uint64_t after = 0;
    uint64_t until = 0;
    bool more = true;
    enum sf_code code = SF_OK;

    while (code == SF_OK && more) {
        SF_CLEANUP(sf_buf_done) struct sf_buf path = {0};
        const struct sf_json *root = NULL;
        bool any = false;

        more = false;
        sf_buf_text(&path, begin);
        code = quarantine_filter(q, &path, &any, err);
        sf_buf_printf(&path, "after=%" PRIu64 "&until=%" PRIu64 "&overwrite=%s", after, until,
                      args_has(&q->cli->args, "overwrite") ? "true" : "false");
        if (code == SF_OK && sf_buf_cstr(&path) == NULL) {
            code = sf_buf_check(&path, "path", err);
        }
        code =
            code == SF_OK ? quarantine_call(q, method, (const char *)path.data, &root, err) : code;
        if (code == SF_OK) {
            after = number_of(root, "last");
            until = number_of(root, "until");
            (void)sf_json_as_bool(sf_json_get(root, "more"), &more);
            add(q, t, root, is_drop);
        }
    }
    return code;
}

static enum sf_code by_number(struct quarantine *q, const char *method, struct tally *t,
                              struct sf_error *err)
{
    const bool is_drop = strcmp(method, "DELETE") == 0;
    enum sf_code code = SF_OK;

    for (unsigned i = 1; code == SF_OK && i < q->cli->args.positional_count; i++) {
        const struct sf_json *root = NULL;
        char path[96];
        uint64_t qseq = 0;

        code = quarantine_number(q->cli, i, &qseq, err);
        (void)snprintf(path, sizeof(path),
                       is_drop ? "/%" PRIu64 : "/replay?entry=%" PRIu64 "&overwrite=%s", qseq,
                       args_has(&q->cli->args, "overwrite") ? "true" : "false");
        code = code == SF_OK ? quarantine_call(q, method, path, &root, err) : code;
        if (code == SF_OK) {
            add(q, t, root, is_drop);
        }
    }
    return code;
}

/* Numbers, filters, or --all: nobody replays or drops everything by leaving something out. */
static enum sf_code check_choice(const struct cli *cli, struct sf_error *err)
{
    static const char *const filters[] = {"code", "field", "older-than", "newer-than"};
    const bool numbers = cli->args.positional_count > 1;
    bool any = args_has(&cli->args, "all");

    for (size_t i = 0; i < SF_COUNT(filters); i++) {
        any = any || args_has(&cli->args, filters[i]);
    }
    return any != numbers ? SF_OK
                          : SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                                       "say which entries: their numbers, or --code, --field, "
                                       "--older-than, --newer-than, or --all");
}

static enum sf_code act(struct quarantine *q, const char *method, struct tally *t,
                        struct sf_error *err)
{
    const bool is_drop = strcmp(method, "DELETE") == 0;

    return q->cli->args.positional_count > 1
               ? by_number(q, method, t, err)
               : by_filter(q, method, is_drop ? "" : "/replay", t, err);
}

static enum sf_code print_tally(struct quarantine *q, const char *kind, const struct tally *t,
                                bool is_drop, struct sf_error *err)
{
    struct print *p = &q->cli->print;

    if (p->format == PRINT_TABLE) {
        return SF_OK;
    }
    print_begin(p, PRINT_OBJECT, kind);
    print_row(p);
    print_format_text(p, "product", "%s/%s", q->ref.domain, q->ref.product);
    print_text(p, "table", q->ref.table);
    print_uint(p, "seen", t->seen);
    print_uint(p, is_drop ? "dropped" : "accepted", t->resolved);
    if (!is_drop) {
        print_uint(p, "left", t->left);
        print_uint(p, "epoch", t->epoch);
        print_uint(p, "first_seq", t->first_seq);
        print_uint(p, "last_seq", t->last_seq);
    }
    return print_end(p, err);
}

static void say_replayed(struct quarantine *q, const struct tally *t)
{
    char rows[64] = "";

    if (t->first_seq != 0) {
        (void)snprintf(rows, sizeof(rows), ", now at %" PRIu64 ":%" PRIu64, t->epoch, t->last_seq);
    }
    cli_did(q->cli,
            "replayed %" PRIu64 " record%s into %s/%s.%s: %" PRIu64 " taken%s, %" PRIu64 " stay%s",
            t->seen, t->seen == 1 ? "" : "s", q->ref.domain, q->ref.product, q->ref.table,
            t->resolved, rows, t->left, t->left == 1 ? "s" : "");
}

int cmd_product_quarantine_replay(struct cli *cli)
{
    struct quarantine q = {.cli = cli};
    struct tally t = {0};
    struct sf_error err;
    enum sf_code code = check_choice(cli, &err);

    code = code == SF_OK ? quarantine_open(cli, &q, &err) : code;
    code = code == SF_OK ? act(&q, "POST", &t, &err) : code;
    if (code == SF_OK || t.resolved > 0) {
        say_replayed(&q, &t);
    }
    code = code == SF_OK ? print_tally(&q, "QuarantineReplay", &t, false, &err) : code;
    return finish(&q, code, &err);
}

int cmd_product_quarantine_drop(struct cli *cli)
{
    struct quarantine q = {.cli = cli};
    struct tally t = {0};
    char question[256];
    struct sf_error err;
    enum sf_code code = check_choice(cli, &err);

    code = code == SF_OK ? quarantine_open(cli, &q, &err) : code;
    if (code == SF_OK) {
        (void)snprintf(question, sizeof(question),
                       "dropped records of %s/%s.%s cannot be brought back; drop them?",
                       q.ref.domain, q.ref.product, q.ref.table);
        code = cli_confirm(cli, question, &err);
    }
    code = code == SF_OK ? act(&q, "DELETE", &t, &err) : code;
    if (code == SF_OK || t.resolved > 0) {
        cli_did(cli, "dropped %" PRIu64 " record%s from the quarantine of %s/%s.%s", t.resolved,
                t.resolved == 1 ? "" : "s", q.ref.domain, q.ref.product, q.ref.table);
    }
    code = code == SF_OK ? print_tally(&q, "QuarantineDrop", &t, true, &err) : code;
    return finish(&q, code, &err);
}
