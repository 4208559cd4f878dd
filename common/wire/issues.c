#include "common/wire/issues.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/base/str.h"
#include "common/base/utf8.h"
#include "proto/errors.h"

enum {
    ISSUES_MAX = 100,
    TEXT_BYTES_MAX = 400,
    LINE_CHARS_MAX = 160,   /* of the source, before it is shown in part */
    LINE_CHARS_BEFORE = 80, /* of the marked place, when it is */
};

void sf_issues_init(struct sf_issues *s, const char *file, struct sf_slice source)
{
    *s = (struct sf_issues){.file = file, .source = source};
    sf_arena_init(&s->arena, 0);
}

void sf_issues_done(struct sf_issues *s)
{
    sf_arena_done(&s->arena);
    *s = (struct sf_issues){0};
}

/* Makes text safe to show: no control characters, valid UTF-8 (a cut may have split a character).
 */
static void sanitize(char *text)
{
    struct sf_slice rest = sf_slice_text(text);

    while (rest.size > 0) {
        size_t size = sf_utf8_char_size(rest);

        if (size == 0 || (size == 1 && (rest.data[0] < ' ' || rest.data[0] == 0x7f))) {
            text[rest.data - (const uint8_t *)text] = '?';
            size = 1;
        }
        rest = sf_slice_of(rest.data + size, rest.size - size);
    }
}

static bool stands_behind(const struct sf_issue *a, const struct sf_issue *b)
{
    return a->place.line != b->place.line ? a->place.line > b->place.line
                                          : a->place.column > b->place.column;
}

static void insert(struct sf_issues *s, struct sf_issue *issue)
{
    struct sf_issue **link = &s->first;

    while (*link != NULL && !stands_behind(*link, issue)) {
        link = &(*link)->next;
    }
    issue->next = *link;
    *link = issue;
    s->kept++;
}

SF_PRINTF(3, 0)
static void add(struct sf_issues *s, const struct sf_issue *what, const char *fmt, va_list args)
{
    char text[TEXT_BYTES_MAX + 1];
    struct sf_issue *issue;

    s->latest = NULL;
    if (what->severity == SF_SEVERITY_ERROR) {
        s->error_count++;
    } else {
        s->warning_count++;
    }
    if (s->kept == ISSUES_MAX || s->failed) {
        return;
    }
    (void)vsnprintf(text, sizeof(text), fmt, args);
    sanitize(text);
    issue = sf_arena_alloc(&s->arena, sizeof(*issue));
    if (issue == NULL) {
        s->failed = true;
        return;
    }
    *issue = *what;
    issue->text = sf_arena_strdup(&s->arena, text);
    if (issue->text == NULL) {
        s->failed = true;
        return;
    }
    insert(s, issue);
    s->latest = issue;
}

void sf_issues_error(struct sf_issues *s, struct sf_place place, uint16_t number, const char *fmt,
                     ...)
{
    va_list args;

    va_start(args, fmt);
    add(s, &(struct sf_issue){.severity = SF_SEVERITY_ERROR, .number = number, .place = place}, fmt,
        args);
    va_end(args);
}

void sf_issues_warning(struct sf_issues *s, struct sf_place place, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    add(s, &(struct sf_issue){.severity = SF_SEVERITY_WARNING, .place = place}, fmt, args);
    va_end(args);
}

void sf_issues_allowed(struct sf_issues *s, struct sf_allowed allowed)
{
    const char *meant;
    char *list;
    size_t size = 0;

    if (s->latest == NULL || allowed.count == 0) {
        return;
    }
    for (size_t i = 0; i < allowed.count; i++) {
        size += strlen(allowed.names[i]) + 1;
    }
    list = sf_arena_alloc(&s->arena, size);
    if (list == NULL) {
        s->failed = true;
        return;
    }
    size = 0;
    for (size_t i = 0; i < allowed.count; i++) {
        size_t length = strlen(allowed.names[i]);

        memcpy(list + size, allowed.names[i], length);
        list[size + length] = ' ';
        size += length + 1;
    }
    list[size - 1] = '\0';
    sanitize(list); /* names of fields may be among them, right or wrong */
    s->latest->allowed = list;
    meant = sf_text_nearest(allowed.given, allowed.names, allowed.count);
    if (meant != NULL) {
        char *copy = sf_arena_strdup(&s->arena, meant);

        s->failed |= copy == NULL;
        if (copy != NULL) {
            sanitize(copy);
        }
        s->latest->meant = copy;
    }
}

enum sf_code sf_issues_check(const struct sf_issues *s, struct sf_error *err)
{
    if (s->failed) {
        return SF_RAISE(err, SF_NOMEM, "%s: out of memory while reading", s->file);
    }
    if (s->error_count == 0) {
        return SF_OK;
    }
    for (const struct sf_issue *i = s->first; i != NULL; i = i->next) {
        if (i->severity == SF_SEVERITY_ERROR && i->place.line > 0) {
            return SF_RAISE_E(err, SF_INVALID, i->number, "%s:%u:%u: %s", s->file, i->place.line,
                              i->place.column, i->text);
        }
        if (i->severity == SF_SEVERITY_ERROR) {
            return SF_RAISE_E(err, SF_INVALID, i->number, "%s: %s", s->file, i->text);
        }
    }
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_VALUE, "%s: more issues than are kept", s->file);
}

/* The bytes of line @line, without its end; empty when there is none. */
static struct sf_slice source_line(struct sf_slice source, uint32_t line)
{
    const uint8_t *at = source.data;
    const uint8_t *end = source.size > 0 ? source.data + source.size : source.data;
    const uint8_t *stop;

    for (uint32_t i = 1; i < line && at < end; i++) {
        stop = memchr(at, '\n', (size_t)(end - at));
        at = stop == NULL ? end : stop + 1;
    }
    if (at == end) {
        return sf_slice_of(NULL, 0);
    }
    stop = memchr(at, '\n', (size_t)(end - at));
    stop = stop == NULL ? end : stop;
    if (stop > at && stop[-1] == '\r') {
        stop--;
    }
    return sf_slice_of(at, (size_t)(stop - at));
}

/* Takes one character off the line and shows it, one column wide as far as we can tell. */
static void take_char(struct sf_slice *line, struct sf_buf *out)
{
    size_t size = sf_utf8_char_size(*line);

    if (size == 1 && line->data[0] == '\t') {
        sf_buf_byte(out, ' ');
    } else if (size == 0 || (size == 1 && (line->data[0] < ' ' || line->data[0] == 0x7f))) {
        sf_buf_byte(out, '?');
        size = 1;
    } else {
        sf_buf_append(out, line->data, size);
    }
    *line = sf_slice_of(line->data + size, line->size - size);
}

/* The marked line, and below it a caret and tildes. */
static void render_source(struct sf_slice line, struct sf_place place, struct sf_buf *out)
{
    uint32_t skip = 0;
    uint32_t shown = 0;
    uint32_t pad;

    if (place.column > LINE_CHARS_MAX) {
        struct sf_buf hidden = {0};

        skip = place.column - 1 - LINE_CHARS_BEFORE;
        for (uint32_t i = 0; i < skip && line.size > 0; i++) {
            sf_buf_clear(&hidden);
            take_char(&line, &hidden);
        }
        sf_buf_done(&hidden);
        sf_buf_text(out, "...");
    }
    for (; line.size > 0 && shown < LINE_CHARS_MAX; shown++) {
        take_char(&line, out);
    }
    sf_buf_text(out, line.size > 0 ? "...\n" : "\n");
    pad = place.column - 1 - skip + (skip > 0 ? 3 : 0);
    for (uint32_t i = 0; i < pad; i++) {
        sf_buf_byte(out, ' ');
    }
    sf_buf_byte(out, '^');
    for (uint32_t i = 1; i < place.width && place.column - 1 - skip + i < shown; i++) {
        sf_buf_byte(out, '~');
    }
    sf_buf_byte(out, '\n');
}

static void render_issue(const struct sf_issues *s, const struct sf_issue *issue,
                         struct sf_buf *out)
{
    const char *severity = issue->severity == SF_SEVERITY_ERROR ? "error" : "warning";
    struct sf_slice line;

    sf_buf_text(out, s->file);
    if (issue->place.line > 0) {
        sf_buf_printf(out, ":%u:%u", issue->place.line, issue->place.column);
    }
    sf_buf_printf(out, ": %s", severity);
    if (issue->number != 0) {
        sf_buf_printf(out, "[SHEAF-E%04u]", issue->number);
    }
    sf_buf_printf(out, ": %s\n", issue->text);
    line = source_line(s->source, issue->place.line);
    if (issue->place.line > 0 && line.size > 0) {
        render_source(line, issue->place, out);
    }
    if (issue->allowed != NULL) {
        sf_buf_printf(out, "  allowed: %s", issue->allowed);
    }
    if (issue->meant != NULL) {
        sf_buf_printf(out, "      did you mean '%s'?", issue->meant);
    }
    if (issue->allowed != NULL || issue->meant != NULL) {
        sf_buf_byte(out, '\n');
    }
}

void sf_issues_render(const struct sf_issues *s, struct sf_buf *out)
{
    size_t total = s->error_count + s->warning_count;

    for (const struct sf_issue *issue = s->first; issue != NULL; issue = issue->next) {
        render_issue(s, issue, out);
    }
    if (total > s->kept) {
        sf_buf_printf(out, "%s: %zu more are not shown\n", s->file, total - s->kept);
    }
}
