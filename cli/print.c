#include "cli/print.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "cli/print_table.h"
#include "common/base/alloc.h"
#include "common/base/assert.h"

enum { SCRATCH_MAX = 512 };

unsigned print_width(struct sf_slice text)
{
    unsigned width = 0;

    for (size_t i = 0; i < text.size; i++) {
        width += (text.data[i] & 0xC0) != 0x80; /* one per code point */
    }
    return width;
}

void print_time_text(int64_t wall_us, char ret[PRINT_TIME_SIZE])
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm tm;

    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(ret, PRINT_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        (void)snprintf(ret, PRINT_TIME_SIZE, "?");
    }
}

void print_until_text(int64_t wall_us, int64_t now_us, char ret[PRINT_TIME_SIZE])
{
    const int64_t two_days_us = (int64_t)2 * 86400 * 1000000;
    const int64_t away = wall_us > now_us ? wall_us - now_us : now_us - wall_us;

    print_time_text(wall_us, ret);
    if (away > two_days_us && strlen(ret) > 10) {
        ret[10] = '\0'; /* the day */
    } else if (strlen(ret) > 16) {
        memcpy(ret + 16, "Z", 2);
    }
}

void print_fail(struct print *p, enum sf_code code)
{
    if (p->failed == SF_OK) { /* the first one; SF_OK changes nothing */
        p->failed = code;
    }
}

void print_put(struct print *p, struct sf_slice bytes)
{
    if (bytes.size > 0 && fwrite(bytes.data, 1, bytes.size, p->out) != bytes.size) {
        print_fail(p, SF_IO);
    }
}

static void put_text(struct print *p, const char *text)
{
    print_put(p, sf_slice_text(text));
}

void print_done(struct print *p)
{
    for (size_t i = 0; i < p->column_count; i++) {
        sf_free(p->columns[i]);
    }
    sf_free(p->cells);
    sf_buf_done(&p->text);
    sf_buf_done(&p->members);
    sf_buf_done(&p->line);
    *p = (struct print){.out = p->out, .format = p->format, .width = p->width};
}

void print_begin(struct print *p, enum print_shape shape, const char *kind)
{
    sf_assert(p->kind == NULL);
    p->shape = shape;
    p->kind = kind;
}

static void put_yaml_head(struct print *p)
{
    if (p->header_done) {
        return;
    }
    p->header_done = true;
    put_text(p, "apiVersion: sheaf/v1\nkind: ");
    put_text(p, p->kind);
    put_text(p, p->shape == PRINT_LIST ? "\nitems:" : "\n");
}

/* Not before the first row: a command that fails at once leaves stdout empty. */
static void put_json_head(struct print *p)
{
    if (p->header_done || p->format != PRINT_JSON) {
        return;
    }
    p->header_done = true;
    put_text(p, "{\"apiVersion\":\"sheaf/v1\",\"kind\":\"");
    put_text(p, p->kind);
    put_text(p, p->shape == PRINT_LIST ? "\",\"items\":[" : "\"");
}

void print_append_shown(struct sf_buf *b, struct sf_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        /* C1 controls are 0xC2 0x80..0x9F in UTF-8. */
        bool c1 = c == 0xC2 && i + 1 < text.size && text.data[i + 1] < 0xA0;

        if (c == '\n') {
            sf_buf_text(b, "\\n");
        } else if (c == '\t') {
            sf_buf_text(b, "\\t");
        } else if (c < 0x20 || c == 0x7F) {
            sf_buf_printf(b, "\\x%02x", c);
        } else if (c1) {
            sf_buf_printf(b, "\\x%02x", text.data[++i]);
        } else {
            sf_buf_byte(b, c);
        }
    }
}

/* --- rows and cells --------------------------------------------------------------------------- */

static void end_row(struct print *p)
{
    if (p->at == 0) {
        return;
    }
    p->at = 0;
    p->row_count++;
    switch (p->format) {
    case PRINT_TABLE:
        if (p->shape == PRINT_LIST && p->row_count % PRINT_ROWS_MAX == 0) {
            print_table_flush(p);
        }
        return;
    case PRINT_JSON:
        put_json_head(p);
        if (p->shape == PRINT_LIST) {
            sf_buf_byte(&p->text, '}');
        }
        break;
    case PRINT_NDJSON:
        sf_buf_text(&p->text, "}\n");
        break;
    case PRINT_YAML:
        put_yaml_head(p);
        break;
    case PRINT_NAME:
        sf_buf_byte(&p->text, '\n');
        break;
    case PRINT_CSV:
        if (!p->header_done) {
            for (size_t i = 0; i < p->column_count; i++) {
                put_text(p, p->columns[i]);
                put_text(p, i + 1 < p->column_count ? "," : "\n");
            }
            p->header_done = true;
        }
        sf_buf_byte(&p->text, '\n');
        break;
    }
    print_fail(p, p->text.failed);
    print_put(p, sf_buf_view(&p->text));
    sf_buf_clear(&p->text);
}

void print_row(struct print *p)
{
    sf_assert(p->kind != NULL);
    end_row(p);
    sf_assert(p->shape == PRINT_LIST || p->row_count == 0);
}

static void name_column(struct print *p, const char *name)
{
    if (p->row_count > 0 || p->failed != SF_OK) {
        return;
    }
    sf_assert(p->at == p->column_count && p->at < PRINT_COLUMNS_MAX);
    p->columns[p->at] = sf_strdup(name);
    if (p->columns[p->at] == NULL) {
        print_fail(p, SF_NOMEM);
        return;
    }
    p->column_count++;
}

static void append_json(struct sf_buf *b, enum print_cell_kind kind, struct sf_slice text)
{
    struct sf_json_writer w = {.out = b};

    switch (kind) {
    case PRINT_NULL:
        sf_buf_text(b, "null");
        break;
    case PRINT_TEXT:
        sf_json_slice(&w, text);
        break;
    case PRINT_NUMBER:
    case PRINT_BOOL:
    case PRINT_RAW:
        sf_buf_slice(b, text);
        break;
    }
}

static void append_csv(struct sf_buf *b, enum print_cell_kind kind, struct sf_slice text)
{
    bool quote = kind == PRINT_TEXT && text.size == 0;

    for (size_t i = 0; i < text.size; i++) {
        quote = quote || text.data[i] == ',' || text.data[i] == '"' || text.data[i] == '\n' ||
                text.data[i] == '\r';
    }
    if (!quote) {
        sf_buf_slice(b, text);
        return;
    }
    sf_buf_byte(b, '"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"') {
            sf_buf_byte(b, '"');
        }
        sf_buf_byte(b, text.data[i]);
    }
    sf_buf_byte(b, '"');
}

/* Whether YAML takes @text for nothing but a text when it stands without quotes. */
static bool is_plain_yaml(struct sf_slice text)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no",
                                        "on",   "off",   "y",    "n"};

    for (size_t i = 0; i < SF_COUNT(words); i++) {
        if (sf_slice_equal(text, sf_slice_text(words[i]))) {
            return false;
        }
    }
    for (size_t i = 0; i < text.size; i++) {
        const uint8_t c = text.data[i];
        const bool letter = (c >= 'a' && c <= 'z') || (i > 0 && c >= 'A' && c <= 'Z');
        const bool other = (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '/' || c == '.';

        if (!letter && (i == 0 || !other)) {
            return false;
        }
    }
    return text.size > 0;
}

/* JSON is YAML: what is not plain stands as it does there. */
static void append_yaml(struct sf_buf *b, enum print_cell_kind kind, struct sf_slice text)
{
    if (kind == PRINT_TEXT && is_plain_yaml(text)) {
        sf_buf_slice(b, text);
    } else {
        append_json(b, kind, text);
    }
}

static void add_yaml_cell(struct print *p, const char *name, enum print_cell_kind kind,
                          struct sf_slice text)
{
    if (p->shape == PRINT_LIST) {
        sf_buf_text(&p->text, p->at > 0 ? "    " : p->row_count == 0 ? "\n  - " : "  - ");
    }
    append_yaml(&p->text, PRINT_TEXT, sf_slice_text(name));
    sf_buf_text(&p->text, ": ");
    append_yaml(&p->text, kind, text);
    sf_buf_byte(&p->text, '\n');
}

/* Keeps the cell when it names its row better than the one kept. */
static void add_name_cell(struct print *p, const char *name, struct sf_slice text)
{
    static const char *const naming[] = {"id", "name", "product", "domain", "code"};
    unsigned rank = 0;

    while (rank < SF_COUNT(naming) && strcmp(name, naming[rank]) != 0) {
        rank++;
    }
    if (p->at == 0 || rank < p->name_rank) {
        p->name_rank = rank;
        sf_buf_clear(&p->text);
        print_append_shown(&p->text, text);
    }
}

static void start_json_row(struct print *p)
{
    if (p->shape == PRINT_LIST) {
        sf_buf_text(&p->text, p->format == PRINT_NDJSON ? "{" : p->row_count == 0 ? "\n{" : ",\n{");
    } else if (p->format == PRINT_NDJSON) {
        sf_buf_printf(&p->text, "{\"apiVersion\":\"sheaf/v1\",\"kind\":\"%s\"", p->kind);
    }
}

static void add_cell(struct print *p, const char *name, enum print_cell_kind kind,
                     struct sf_slice text)
{
    sf_assert(p->kind != NULL);
    name_column(p, name);
    if (p->failed != SF_OK || p->at >= p->column_count) {
        print_fail(p, SF_NOMEM);
        return;
    }
    switch (p->format) {
    case PRINT_TABLE:
        print_table_hold(p, kind, kind == PRINT_NULL ? (struct sf_slice){0} : text);
        break;
    case PRINT_JSON:
    case PRINT_NDJSON:
        if (p->at == 0) {
            start_json_row(p);
        }
        if (p->at > 0 || p->shape == PRINT_OBJECT) {
            sf_buf_byte(&p->text, ',');
        }
        append_json(&p->text, PRINT_TEXT, sf_slice_text(name));
        sf_buf_byte(&p->text, ':');
        append_json(&p->text, kind, text);
        break;
    case PRINT_CSV:
        if (p->at > 0) {
            sf_buf_byte(&p->text, ',');
        }
        append_csv(&p->text, kind, kind == PRINT_NULL ? (struct sf_slice){0} : text);
        break;
    case PRINT_YAML:
        add_yaml_cell(p, name, kind, text);
        break;
    case PRINT_NAME:
        add_name_cell(p, name, kind == PRINT_NULL ? (struct sf_slice){0} : text);
        break;
    }
    p->at++;
}

void print_slice(struct print *p, const char *name, struct sf_slice text)
{
    add_cell(p, name, PRINT_TEXT, text);
}

void print_text(struct print *p, const char *name, const char *text)
{
    add_cell(p, name, text == NULL ? PRINT_NULL : PRINT_TEXT, sf_slice_text(text));
}

void print_format_text(struct print *p, const char *name, const char *fmt, ...)
{
    char text[SCRATCH_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    print_text(p, name, text);
}

void print_int(struct print *p, const char *name, int64_t value)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%" PRId64, value);
    add_cell(p, name, PRINT_NUMBER, sf_slice_text(text));
}

void print_double(struct print *p, const char *name, double value)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};

    if (p->format == PRINT_TABLE) {
        sf_buf_printf(&text, fabs(value) >= 1e6 && fabs(value) < 1e15 ? "%.0f" : "%.6g", value);
    } else {
        sf_json_put_double(&text, value);
    }
    add_cell(p, name, PRINT_NUMBER, sf_buf_view(&text));
}

void print_uint(struct print *p, const char *name, uint64_t value)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    add_cell(p, name, PRINT_NUMBER, sf_slice_text(text));
}

void print_bool(struct print *p, const char *name, bool value)
{
    add_cell(p, name, PRINT_BOOL, sf_slice_text(value ? "true" : "false"));
}

void print_time(struct print *p, const char *name, int64_t wall_us)
{
    char text[PRINT_TIME_SIZE];

    print_time_text(wall_us, text);
    print_text(p, name, wall_us == 0 ? NULL : text);
}

/* "a, b" and "k=v k=v" read better than JSON where nobody parses them. False: not so simple. */
static bool join_words(const struct sf_json *value, struct sf_buf *ret)
{
    bool is_object = sf_json_kind(value) == SF_JSON_OBJECT;

    for (struct sf_json_iter it = sf_json_iter(value); sf_json_next(&it);) {
        struct sf_json_writer w = {.out = ret};
        struct sf_slice word;

        if (sf_json_count(it.value) > 0) {
            return false;
        }
        if (ret->size > 0) {
            sf_buf_text(ret, is_object ? " " : ", ");
        }
        if (is_object) {
            sf_buf_slice(ret, it.key);
            sf_buf_byte(ret, '=');
        }
        if (sf_json_as_slice(it.value, &word)) {
            sf_buf_slice(ret, word);
        } else {
            sf_json_value(&w, it.value);
        }
    }
    return true;
}

/* CSV has no form for objects: JSON then, which keeps everything. */
static bool is_plain(const struct print *p, const struct sf_json *value)
{
    return p->format == PRINT_TABLE ||
           (p->format == PRINT_CSV && sf_json_kind(value) == SF_JSON_ARRAY);
}

static void print_container(struct print *p, const char *name, const struct sf_json *value)
{
    struct sf_buf raw = {0};
    struct sf_json_writer w = {.out = &raw};

    if (!is_plain(p, value) || !join_words(value, &raw)) {
        sf_buf_clear(&raw);
        sf_json_value(&w, value);
    }
    print_fail(p, raw.failed);
    add_cell(p, name, PRINT_RAW, sf_buf_view(&raw));
    sf_buf_done(&raw);
}

void print_json(struct print *p, const char *name, const struct sf_json *value)
{
    struct sf_slice text = {0};
    bool truth = false;

    switch (sf_json_kind(value)) {
    case SF_JSON_ABSENT:
    case SF_JSON_NULL:
        add_cell(p, name, PRINT_NULL, text);
        break;
    case SF_JSON_BOOL:
        (void)sf_json_as_bool(value, &truth);
        print_bool(p, name, truth);
        break;
    case SF_JSON_NUMBER:
        (void)sf_json_as_number_text(value, &text);
        add_cell(p, name, PRINT_NUMBER, text);
        break;
    case SF_JSON_STRING:
        (void)sf_json_as_slice(value, &text);
        print_slice(p, name, text);
        break;
    case SF_JSON_ARRAY:
    case SF_JSON_OBJECT:
        print_container(p, name, value);
        break;
    }
}

void print_answer_members(struct print *p, const struct sf_json *answer)
{
    print_row(p);
    for (struct sf_json_iter it = sf_json_iter(answer); sf_json_next(&it);) {
        const char *name = (const char *)it.key.data;

        if (strcmp(name, "apiVersion") != 0 && strcmp(name, "kind") != 0) {
            print_json(p, name, it.value);
        }
    }
}

static void add_member(struct print *p, const char *name, enum print_cell_kind kind,
                       struct sf_slice text)
{
    if (p->format == PRINT_YAML) {
        sf_buf_printf(&p->members, "%s: ", name);
        append_yaml(&p->members, kind, text);
        sf_buf_byte(&p->members, '\n');
    } else {
        sf_buf_printf(&p->members, ",\"%s\":", name);
        append_json(&p->members, kind, text);
    }
}

void print_member_text(struct print *p, const char *name, const char *text)
{
    add_member(p, name, text == NULL ? PRINT_NULL : PRINT_TEXT, sf_slice_text(text));
}

void print_member_uint(struct print *p, const char *name, uint64_t value)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    add_member(p, name, PRINT_NUMBER, sf_slice_text(text));
}

enum sf_code print_end(struct print *p, struct sf_error *err)
{
    enum sf_code code = SF_OK;

    end_row(p);
    if (p->format == PRINT_TABLE) {
        print_table_flush(p);
    } else if (p->format == PRINT_JSON) {
        put_json_head(p);
        if (p->shape == PRINT_LIST) {
            put_text(p, p->row_count == 0 ? "]" : "\n]");
        }
        print_fail(p, p->members.failed);
        print_put(p, sf_buf_view(&p->members));
        put_text(p, "}\n");
    } else if (p->format == PRINT_YAML) {
        put_yaml_head(p);
        put_text(p, p->shape == PRINT_LIST && p->row_count == 0 ? " []\n" : "");
        print_fail(p, p->members.failed);
        print_put(p, sf_buf_view(&p->members));
    }
    if (fflush(p->out) != 0) {
        print_fail(p, SF_IO);
    }
    code = p->failed;
    print_done(p);
    if (code == SF_IO) {
        return SF_RAISE(err, code, "standard output cannot be written");
    }
    return code == SF_OK ? SF_OK : SF_RAISE(err, code, "standard output: %s", sf_code_text(code));
}
