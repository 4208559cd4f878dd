/* What answers say of the records of a batch that were refused. */
#include "leaf/ingest/batch.h"

#include "common/wire/json.h"

static bool names_by_index(enum batch_format format)
{
    return format == BATCH_JSON || format == BATCH_PROTOBUF;
}

void batch_write_errors(const struct batch *b, const struct batch_spec *spec,
                        struct sf_json_writer *w)
{
    for (size_t i = 0; i < b->error_count; i++) {
        const struct batch_error *e = &b->errors[i];

        sf_json_object_begin(w);
        if (spec->names_table) {
            sf_json_member_text(w, "table", spec->table->name);
        }
        sf_json_member_uint(w, names_by_index(spec->format) ? "index" : "line", e->line);
        sf_json_key(w, "code");
        sf_json_printf(w, "SHEAF-E%04u", e->violation.number);
        if (e->violation.field >= 0) {
            sf_json_member_slice(w, "field", sf_violation_path(&e->violation, spec->table));
        }
        sf_json_member_text(w, "detail", e->violation.text);
        sf_json_object_end(w);
    }
}
