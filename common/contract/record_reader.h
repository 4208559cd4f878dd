/*
 * What the files of the record reader share; everything else uses record.h.
 *
 * record.c: the reader, names, JSON. record_csv.c: rows of CSV. record_value.c: text to values.
 * record_text.c: the words of violations.
 */
#pragma once

#include "common/contract/record.h"

enum {
    SF_RECORD_NO_NAME = UINT16_MAX,
    SF_RECORD_NAME_SHOWN_MAX = 40, /* characters of an unknown name */
};

/* A name that input may use for a field: its source name, its own. */
struct sf_record_name {
    struct sf_slice text;
    uint16_t field;
};

struct sf_record_plan {
    bool is_key;
    bool must;      /* required, or of the key */
    bool has_rules; /* beyond required */
};

struct sf_record_reader {
    const struct sf_table *table; /* borrowed */
    struct sf_record_plan *plans; /* per field */
    struct sf_record_name *names;
    size_t name_count;
    uint16_t *slots; /* open addressing: index into names, or SF_RECORD_NO_NAME */
    uint32_t slot_mask;
    uint16_t *order; /* name at each place of the last record */
    uint32_t *seen;  /* per field: the record in which it was last given */
    uint32_t record;
    uint8_t (*uuids)[16]; /* per field: what the value borrows */
    uint16_t *columns;    /* fields of the CSV header */
    size_t column_count;
    struct sf_json_reader json;
    struct sf_arena arena; /* decoded bytes of this record */
    bool no_memory;        /* met while reading this record */
};

/* Index into names, or SF_RECORD_NO_NAME. */
uint16_t sf_record_find_name(const struct sf_record_reader *r, struct sf_slice text);

/* Around every record. Absent fields get their defaults, or are missing. */
void sf_record_begin(struct sf_record_reader *r, struct sf_verdict *v);
void sf_record_fill_absent(struct sf_record_reader *r, struct sf_value *values,
                           struct sf_verdict *v);
enum sf_code sf_record_end(const struct sf_record_reader *r, struct sf_error *err) SF_MUST_CHECK;

/* Text of any type but bool: cells, strings and numbers. *ret is present and otherwise zero. */
enum sf_parse sf_record_convert(struct sf_record_reader *r, size_t field, struct sf_slice text,
                                struct sf_value *ret) SF_MUST_CHECK;

/* The value was refused; it breaks a rule; the name is no field's. */
void sf_record_add_refused(struct sf_record_reader *r, size_t field, enum sf_parse why,
                           struct sf_verdict *v);
void sf_record_check_rules(struct sf_record_reader *r, size_t field, const struct sf_value *value,
                           struct sf_verdict *v);
void sf_record_add_unknown(struct sf_record_reader *r, struct sf_slice name, struct sf_verdict *v);
