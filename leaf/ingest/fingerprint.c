#include "leaf/ingest/fingerprint.h"

#include "common/base/alloc.h"
#include "common/sys/crypto.h"
#include "leaf/rowcodec/row.h"

enum sf_code fingerprint_init(struct fingerprint *ret, const struct sf_table *table,
                              struct sf_error *err)
{
    const size_t count = table->dedupe_field_count;

    ret->table = table;
    if (table->dedupe != SF_DEDUPE_FIELDS) {
        return SF_OK;
    }
    ret->fields = sf_calloc(count, sizeof(*ret->fields));
    ret->values = sf_calloc(count, sizeof(*ret->values));
    if (ret->fields == NULL || ret->values == NULL) {
        return SF_RAISE(err, SF_NOMEM, "record reader");
    }
    for (size_t i = 0; i < count; i++) {
        ret->fields[i] = table->fields[table->dedupe_fields[i]];
    }
    ret->part = (struct sf_table){
        .name = table->name,
        .kind = SF_TABLE_EVENT,
        .fields = ret->fields,
        .field_count = count,
        .event_time = -1,
    };
    return SF_OK;
}

void fingerprint_done(struct fingerprint *f)
{
    sf_free(f->fields);
    sf_free(f->values);
    sf_buf_done(&f->row);
}

enum sf_code fingerprint_make(struct fingerprint *f, const struct sf_value *values,
                              struct sf_slice key, struct sf_slice row,
                              uint8_t ret[STORE_FINGERPRINT_BYTES], struct sf_error *err)
{
    struct sf_slice same = f->table->dedupe == SF_DEDUPE_KEY ? key : row;
    enum sf_code code = SF_OK;

    if (f->table->dedupe == SF_DEDUPE_FIELDS) {
        for (size_t i = 0; i < f->table->dedupe_field_count; i++) {
            f->values[i] = values[f->table->dedupe_fields[i]];
        }
        sf_buf_clear(&f->row);
        code = row_encode(&f->part, f->values, &f->row, err);
        same = sf_buf_view(&f->row);
    }
    if (code == SF_OK) {
        sf_hash128(&same, 1, ret);
    }
    return code;
}
