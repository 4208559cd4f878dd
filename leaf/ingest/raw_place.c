#include "leaf/ingest/raw_place.h"

#include <string.h>

#include "common/base/str.h"

static bool is_field(const struct sf_field *f, struct sf_slice name)
{
    return sf_slice_equal(sf_slice_text(f->name), name) ||
           (f->source != NULL && sf_slice_equal(sf_slice_text(f->source), name));
}

/* --- JSON ------------------------------------------------------------------------------------- */

/* Members of an object, one after the other. */
struct members {
    struct sf_slice text;
    size_t at;
    bool started;
    struct sf_slice key; /* as it is written, without its quotes */
    struct sf_slice value;
};

static void skip_space(struct members *m)
{
    while (m->at < m->text.size && strchr(" \t\r\n", m->text.data[m->at]) != NULL &&
           m->text.data[m->at] != '\0') {
        m->at++;
    }
}

static bool take(struct members *m, uint8_t byte)
{
    skip_space(m);
    if (m->at < m->text.size && m->text.data[m->at] == byte) {
        m->at++;
        return true;
    }
    return false;
}

/* Over a string whose quote was taken. */
static bool skip_string(struct members *m)
{
    while (m->at < m->text.size) {
        const uint8_t c = m->text.data[m->at++];

        if (c == '"') {
            return true;
        }
        m->at += c == '\\' ? 1 : 0;
    }
    return false;
}

/* To the comma or bracket behind a value. */
static bool skip_value(struct members *m)
{
    size_t depth = 0;

    while (m->at < m->text.size) {
        const uint8_t c = m->text.data[m->at];

        if (depth == 0 && (c == ',' || c == '}' || c == ']')) {
            return true;
        }
        m->at++;
        if (c == '"' && !skip_string(m)) {
            return false;
        }
        depth += c == '{' || c == '[' ? 1 : 0;
        depth -= c == '}' || c == ']' ? 1 : 0;
    }
    return true; /* It is cut off. */
}

static struct sf_slice part(const struct members *m, size_t from)
{
    const size_t to = m->at < m->text.size ? m->at : m->text.size;
    struct sf_slice s = sf_slice_of(m->text.data + from, to - from);

    while (s.size > 0 && s.data[s.size - 1] <= ' ') {
        s.size--;
    }
    return s;
}

static bool next_member(struct members *m)
{
    size_t from;

    if (!take(m, m->started ? ',' : '{') || !take(m, '"')) {
        return false;
    }
    m->started = true;
    from = m->at;
    if (!skip_string(m)) {
        return false;
    }
    m->key = sf_slice_of(m->text.data + from, m->at - 1 - from);
    if (!take(m, ':')) {
        return false;
    }
    skip_space(m);
    from = m->at;
    if (!skip_value(m)) {
        return false;
    }
    m->value = part(m, from);
    return true;
}

static struct raw_place place_of(struct sf_slice raw, struct sf_slice s)
{
    return (struct raw_place){.found = true, .at = (size_t)(s.data - raw.data), .size = s.size};
}

static bool is_known(const struct sf_table *table, struct sf_slice name)
{
    for (size_t i = 0; i < table->field_count; i++) {
        if (is_field(&table->fields[i], name)) {
            return true;
        }
    }
    return false;
}

static struct raw_place find_in_object(const struct sf_table *table, struct sf_slice raw,
                                       struct sf_slice object, const struct sf_violation *v)
{
    struct members m = {.text = object};

    while (next_member(&m)) {
        if (v->field >= 0 && is_field(&table->fields[v->field], m.key)) {
            return place_of(raw, m.value);
        }
        if (v->field < 0 && v->number == SHEAF_E_UNKNOWN_FIELD && !is_known(table, m.key)) {
            return place_of(raw, m.key);
        }
    }
    return (struct raw_place){0};
}

/* "... column 17: ..." of a text that is no JSON. */
static struct raw_place find_column(struct sf_slice raw, const struct sf_violation *v)
{
    static const char word[] = "column ";
    const char *at = strstr(v->text, word);
    uint64_t column = 0;
    size_t digits;

    if (v->number != SHEAF_E_RECORD_INVALID || at == NULL) {
        return (struct raw_place){0};
    }
    at += sizeof(word) - 1;
    digits = strspn(at, "0123456789");
    if (sf_parse_u64(sf_slice_of((const uint8_t *)at, digits), &column) != SF_PARSE_OK ||
        column == 0 || column > raw.size + 1) {
        return (struct raw_place){0};
    }
    return (struct raw_place){
        .found = true, .at = (size_t)column - 1, .size = column > raw.size ? 0 : 1};
}

static struct sf_slice row_of(struct sf_slice raw, bool in_envelope)
{
    struct members m = {.text = raw};

    while (in_envelope && next_member(&m)) {
        if (sf_slice_equal(m.key, SF_LITERAL("row"))) {
            return m.value;
        }
    }
    return raw;
}

/* --- CSV -------------------------------------------------------------------------------------- */

static enum sf_code read_line(struct sf_csv *csv, struct sf_slice text)
{
    struct sf_error err;

    return sf_csv_next(csv, &text, /* last= */ true, &err);
}

static struct raw_place find_in_csv(const struct sf_table *table,
                                    const struct store_quarantined *entry,
                                    const struct sf_violation *v)
{
    SF_CLEANUP(sf_csv_done) struct sf_csv header = {0};
    SF_CLEANUP(sf_csv_done) struct sf_csv row = {0};
    const struct sf_slice raw = entry->raw;

    if (v->field < 0 || read_line(&header, entry->context) != SF_OK ||
        read_line(&row, raw) != SF_OK) {
        return (struct raw_place){0};
    }
    for (size_t i = 0; i < header.cell_count && i < row.cell_count; i++) {
        const struct sf_slice cell = row.cells[i].text;

        /* A cell with doubled quotes is not in the raw bytes. */
        if (is_field(&table->fields[v->field], header.cells[i].text) && cell.data >= raw.data &&
            cell.data + cell.size <= raw.data + raw.size) {
            return place_of(raw, cell);
        }
    }
    return (struct raw_place){0};
}

struct raw_place raw_place_find(const struct sf_table *table, const struct store_quarantined *entry,
                                const struct sf_violation *v)
{
    struct raw_place found;

    switch (entry->form) {
    case BATCH_FORM_CSV:
        return find_in_csv(table, entry, v);
    case BATCH_FORM_PROTOBUF:
        return (struct raw_place){0};
    default: /* what may be JSON */
        found = find_in_object(table, entry->raw,
                               row_of(entry->raw, entry->form == BATCH_FORM_CHANGE), v);
        return found.found ? found : find_column(entry->raw, v);
    }
}
