#include "leaf/quality/table_stats.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/base/time.h"
#include "leaf/rowcodec/row.h"
#include "proto/errors.h"

enum { FLAG_LOOSE = 1 };

enum sf_code table_stats_init(struct table_stats *s, const struct sf_table *table,
                              struct sf_error *err)
{
    *s = (struct table_stats){.table = table, .event_us = INT64_MIN};
    s->fields = sf_calloc(table->field_count + 1, sizeof(*s->fields));
    return s->fields == NULL ? SF_RAISE(err, SF_NOMEM, "statistics of a table") : SF_OK;
}

static void free_fields(struct sketch *fields, size_t count)
{
    for (size_t i = 0; fields != NULL && i < count; i++) {
        sketch_done(&fields[i]);
    }
    sf_free(fields);
}

void table_stats_done(struct table_stats *s)
{
    if (s->table != NULL) {
        free_fields(s->fields, s->table->field_count);
    }
    sf_free(s->values);
    *s = (struct table_stats){0};
}

/* Whether values of @before are counted as they stand among those of @after. */
static bool same_values(const struct sf_field *before, const struct sf_field *after)
{
    const bool integers = (before->type == SF_TYPE_INT32 || before->type == SF_TYPE_INT64) &&
                          (after->type == SF_TYPE_INT32 || after->type == SF_TYPE_INT64);

    return integers || (before->type == after->type && before->scale == after->scale);
}

enum sf_code table_stats_move(struct table_stats *s, const struct sf_table *table,
                              struct sf_error *err)
{
    struct sketch *fields = sf_calloc(table->field_count + 1, sizeof(*fields));

    if (fields == NULL) {
        return SF_RAISE(err, SF_NOMEM, "statistics of a table");
    }
    for (size_t i = 0; i < table->field_count; i++) {
        const int32_t at = sf_table_field_by_number(s->table, table->fields[i].number);

        if (at >= 0 && same_values(&s->table->fields[at], &table->fields[i])) {
            fields[i] = s->fields[at];
            s->fields[at] = (struct sketch){0};
        } else {
            fields[i].nulls = s->rows;
        }
    }
    free_fields(s->fields, s->table->field_count);
    s->fields = fields;
    s->table = table;
    return SF_OK;
}

/* --- rows ---------------------------------------------------------------------------------------
 */

static void see_time(struct table_stats *s, const struct sf_table *of,
                     const struct sf_value *values)
{
    const struct sf_value *v;
    int64_t us;

    if (of->event_time < 0 || !values[of->event_time].present) {
        return;
    }
    v = &values[of->event_time];
    us = of->fields[of->event_time].type == SF_TYPE_DATE ? v->i * SF_US_PER_DAY : v->i;
    if (us > s->event_us) {
        s->event_us = us;
    }
}

/* Room for @count values, none of them there yet; kept from row to row. NULL: out of memory. */
static struct sf_value *fresh_values(struct table_stats *s, size_t count)
{
    if (count > s->value_room) {
        struct sf_value *larger = sf_realloc(s->values, count, sizeof(*larger));

        if (larger == NULL) {
            return NULL;
        }
        s->values = larger;
        s->value_room = count;
    }
    memset(s->values, 0, count * sizeof(*s->values));
    return s->values;
}

static enum sf_code count_row(struct table_stats *s, const struct sf_table *of, struct sf_slice row,
                              bool in, struct sf_error *err)
{
    struct sf_value *values = fresh_values(s, of->field_count + 1);
    static const struct sf_value absent = {0};
    enum sf_code code = values == NULL ? SF_RAISE(err, SF_NOMEM, "statistics of a table")
                                       : row_decode(of, row, values, err);

    for (size_t i = 0; code == SF_OK && i < s->table->field_count; i++) {
        const struct sf_field *f = &s->table->fields[i];
        const int32_t at = of == s->table ? (int32_t)i : sf_table_field_by_number(of, f->number);
        const struct sf_value *v =
            at >= 0 && same_values(&of->fields[at], f) ? &values[at] : &absent;

        if (in) {
            code = sketch_add(&s->fields[i], f, v, err);
        } else {
            sketch_remove(&s->fields[i], f, v);
        }
    }
    if (code == SF_OK && in) {
        s->rows++;
        see_time(s, of, values);
    } else if (code == SF_OK) {
        s->rows -= s->rows > 0;
    }
    return code;
}

enum sf_code table_stats_add(struct table_stats *s, const struct sf_table *of, struct sf_slice row,
                             struct sf_error *err)
{
    return count_row(s, of, row, /* in= */ true, err);
}

enum sf_code table_stats_remove(struct table_stats *s, const struct sf_table *of,
                                struct sf_slice row, struct sf_error *err)
{
    return count_row(s, of, row, /* in= */ false, err);
}

bool table_stats_is_loose(const struct table_stats *s)
{
    bool loose = s->loose;

    for (size_t i = 0; i < s->table->field_count; i++) {
        loose |= s->fields[i].loose;
    }
    return loose;
}

/* --- as they are stored -------------------------------------------------------------------------
 */

void table_stats_encode(const struct table_stats *s, struct sf_buf *out)
{
    sf_buf_byte(out, s->loose ? FLAG_LOOSE : 0);
    sf_buf_be64(out, s->rows);
    sf_buf_be64(out, (uint64_t)s->event_us);
    sf_buf_be32(out, (uint32_t)s->table->field_count);
    for (size_t i = 0; i < s->table->field_count; i++) {
        sf_buf_be32(out, s->table->fields[i].number);
        sf_buf_byte(out, (uint8_t)s->table->fields[i].type);
        sketch_encode(&s->fields[i], out);
    }
}

static enum sf_code corrupt(struct sf_error *err)
{
    return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "stored statistics of a table");
}

static enum sf_code decode_field(struct sf_slice *bytes, struct table_stats *ret,
                                 struct sf_error *err)
{
    struct sketch sketch = {0};
    uint32_t number;
    uint8_t type;
    int32_t at;
    enum sf_code code;

    if (bytes->size < 5) {
        return corrupt(err);
    }
    number = sf_read_be32(bytes->data);
    type = bytes->data[4];
    *bytes = sf_slice_of(bytes->data + 5, bytes->size - 5);
    code = sketch_decode(bytes, &sketch, err);
    at = sf_table_field_by_number(ret->table, number);
    if (code == SF_OK && at >= 0 && ret->table->fields[at].type == (enum sf_type)type) {
        sketch_done(&ret->fields[at]);
        ret->fields[at] = sketch;
    } else if (code == SF_OK) {
        sketch_done(&sketch);
    }
    return code;
}

static void clear(struct table_stats *s)
{
    for (size_t i = 0; i < s->table->field_count; i++) {
        sketch_done(&s->fields[i]);
    }
    s->rows = 0;
    s->event_us = INT64_MIN;
    s->loose = false;
}

static enum sf_code decode_all(struct sf_slice *bytes, struct table_stats *ret,
                               struct sf_error *err)
{
    uint32_t count;
    enum sf_code code = SF_OK;

    if (bytes->size < 21 || bytes->data[0] > FLAG_LOOSE) {
        return corrupt(err);
    }
    ret->loose = bytes->data[0] == FLAG_LOOSE;
    ret->rows = sf_read_be64(bytes->data + 1);
    ret->event_us = (int64_t)sf_read_be64(bytes->data + 9);
    count = sf_read_be32(bytes->data + 17);
    *bytes = sf_slice_of(bytes->data + 21, bytes->size - 21);
    for (size_t i = 0; i < ret->table->field_count; i++) {
        ret->fields[i].nulls = ret->rows; /* unless it is among those stored */
    }
    for (uint32_t i = 0; code == SF_OK && i < count; i++) {
        code = decode_field(bytes, ret, err);
    }
    return code;
}

enum sf_code table_stats_decode(struct sf_slice *bytes, struct table_stats *ret,
                                struct sf_error *err)
{
    enum sf_code code = decode_all(bytes, ret, err);

    if (code != SF_OK) {
        clear(ret);
    }
    return code;
}
