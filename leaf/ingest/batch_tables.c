#include "leaf/ingest/batch_tables.h"

#include <string.h>

#include "common/wire/csv.h"
#include "common/wire/json_items.h"
#include "proto/errors.h"

/* The part whose table @name is; NULL: none. */
static struct batch_part *find_part(struct batch_part *parts, size_t part_count, const char *name)
{
    for (size_t i = 0; i < part_count; i++) {
        if (strcmp(parts[i].spec.table->name, name) == 0) {
            return &parts[i];
        }
    }
    return NULL;
}

static enum sf_code read_record(struct batch_part *parts, size_t part_count,
                                struct sf_json_reader *json, struct sf_slice raw, uint64_t line,
                                struct sf_error *err)
{
    const unsigned long long at = line;
    const struct sf_json *envelope;
    struct batch_part *part;
    const char *name;
    enum sf_code code = sf_json_read(json, raw, &envelope, err);

    if (code == SF_INVALID) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_FRAMING, "record %llu is not JSON", at);
    }
    if (code != SF_OK) {
        return code;
    }
    if (!sf_json_as_text(sf_json_get(envelope, "table"), &name)) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_ENVELOPE, "record %llu names no table", at);
    }
    part = find_part(parts, part_count, name);
    if (part == NULL) {
        return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_TABLE_UNKNOWN,
                          "record %llu is of a table that the product does not have", at);
    }
    return batch_read_envelope(part->reader, &part->spec, raw, line, &part->batch, err);
}

static enum sf_code next(struct sf_ndjson *lines, struct sf_json_items *items,
                         enum batch_format format, struct sf_slice *body, struct sf_slice *raw,
                         uint64_t *line, struct sf_error *err)
{
    enum sf_code code;

    if (format == BATCH_JSON) {
        code = sf_json_items_next(items, body, raw, err);
        *line = items->index;
    } else {
        code = sf_ndjson_next(lines, body, /* last= */ true, raw, err);
        *line = lines->line;
    }
    return code;
}

enum sf_code batch_read_tables(struct batch_part *parts, size_t part_count,
                               struct sf_json_reader *json, struct sf_slice body,
                               struct sf_error *err)
{
    struct sf_ndjson lines = {.next_line = parts[0].spec.first_line};
    struct sf_json_items items = {0};

    for (;;) {
        struct sf_slice raw;
        uint64_t line;
        enum sf_code code = next(&lines, &items, parts[0].spec.format, &body, &raw, &line, err);

        if (code != SF_OK) {
            return code == SF_ABSENT ? SF_OK : code;
        }
        code = read_record(parts, part_count, json, raw, line, err);
        if (code != SF_OK) {
            return code;
        }
    }
}
