/*
 * What the files of the record reader share; everything else uses record.h.
 *
 * record.c: the reader, names, JSON. record_scan.c: plain JSON without a document. record_csv.c:
 * rows of CSV. record_protobuf.c: messages. record_nested.c: what is inside lists, structs and
 * json. record_value.c: text to values. record_text.c: the words of violations.
 *
 * A struct is read by a reader of its own, whose table is the struct's shape. Readers inside each
 * other share the arena and the path of the outermost, the root.
 */
#pragma once

#include "common/contract/record.h"

enum {
    SF_RECORD_NO_NAME = UINT16_MAX,
    SF_RECORD_NAME_SHOWN_MAX = 40, /* characters of an unknown name */
    SF_RECORD_PATH_SIZE = 68,      /* of a path in a violation, with the terminator */
};

/* A name that input may use for a field: its source name, its own. */
struct sf_record_name {
    struct sf_slice text;
    uint16_t field;
};

struct sf_record_plan {
    bool is_key;
    bool must;       /* required, or of the key */
    bool has_rules;  /* beyond required; of a list: its elements have */
    bool is_cleaned; /* its texts are: record_clean.c */
};

/* Of a field that is a list, a struct or json. */
struct sf_record_nested {
    struct sf_record_reader *reader; /* of the structs; NULL without */
    struct sf_value *values;         /* of one struct */
    struct sf_buf bytes;             /* the value of this record: what it borrows */
    struct sf_buf item;              /* one struct of a list */
    size_t count;                    /* elements so far */
};

/* A step from the record to the value that is being read: lines, or lines[3]. */
struct sf_record_step {
    const char *name;
    int64_t index; /* -1: no element */
};

/* What was done to one value. */
struct sf_clean_mark {
    uint16_t field;
    bool trimmed;
    bool cased;
    bool parsed;
    bool missing;
};

struct sf_record_reader {
    const struct sf_table *table;  /* borrowed; of a struct: its shape */
    struct sf_record_reader *root; /* itself, but in structs */
    struct sf_record_plan *plans;  /* per field */
    struct sf_record_name *names;
    size_t name_count;
    uint16_t *slots; /* open addressing: index into names, or SF_RECORD_NO_NAME */
    uint32_t slot_mask;
    uint16_t *order; /* name at each place of the last record */
    uint32_t *seen;  /* per field: the record in which it was last given */
    uint32_t record;
    uint8_t (*uuids)[16]; /* per field: what a uuid or wide decimal borrows */
    uint16_t *columns;    /* fields of the CSV header */
    size_t column_count;
    struct sf_record_nested *nested; /* per field; NULL when no field needs one */
    struct sf_json_reader json;
    bool can_scan; /* sf_record_can_scan() */
    /* What follows is of the root only. */
    struct sf_json_reader cell;     /* JSON inside a cell or message */
    struct sf_arena arena;          /* decoded bytes of this record */
    bool no_memory;                 /* met while reading this record */
    struct sf_clean_counts *counts; /* per field; NULL: nothing is declared that counts */
    struct sf_clean_mark *marks;    /* of this record, until its end: it may be read anew */
    size_t mark_count;
    struct sf_record_step steps[SF_STRUCT_DEPTH_MAX + 2];
    size_t step_count;
    size_t field; /* of the table, when step_count is not 0 */
};

/* Index into names, or SF_RECORD_NO_NAME. */
uint16_t sf_record_find_name(const struct sf_record_reader *r, struct sf_slice text);

/* Around every record. Absent fields get their defaults, or are missing. */
void sf_record_begin(struct sf_record_reader *r, struct sf_verdict *v);
void sf_record_fill_absent(struct sf_record_reader *r, struct sf_value *values,
                           struct sf_verdict *v);
enum sf_code sf_record_end(struct sf_record_reader *r, struct sf_error *err) SF_MUST_CHECK;
/* Around every struct: sf_record_begin() without what is of the root. */
void sf_record_begin_fields(struct sf_record_reader *r);
/* Whether the field is given for the first time in this record; a second time is a violation. */
bool sf_record_mark_seen(struct sf_record_reader *r, size_t field, struct sf_verdict *v);

/* Text of any type that has text, but bool: cells, strings and numbers. *ret is present and
 * otherwise zero. @scratch has 16 bytes that *ret may borrow. */
enum sf_parse sf_record_convert(struct sf_record_reader *r, const struct sf_field *f,
                                uint8_t *scratch, struct sf_slice text,
                                struct sf_value *ret) SF_MUST_CHECK;

/* The members of @row as values; fields that are not there are left to sf_record_fill_absent(). */
void sf_record_read_members(struct sf_record_reader *r, const struct sf_json *row, bool only_key,
                            struct sf_value *values, struct sf_verdict *v);
/* One value that is no list, struct or json, checked: of the field @field, @f or its elements. */
void sf_record_take_scalar(struct sf_record_reader *r, const struct sf_field *f, size_t field,
                           const struct sf_json *json, struct sf_value *ret, struct sf_verdict *v);

/* A value of JSON that is no container, nor null. */
struct sf_record_json {
    enum sf_json_kind kind;
    bool truth;           /* SF_JSON_BOOL */
    struct sf_slice text; /* of a string or number */
};

/* The value of a scalar field: the one place that says which JSON is which value. */
enum sf_parse sf_record_value_of(struct sf_record_reader *r, const struct sf_field *f, size_t field,
                                 const struct sf_record_json *json,
                                 struct sf_value *ret) SF_MUST_CHECK;

/* Whether records of this reader may be scanned. */
bool sf_record_can_scan(const struct sf_record_reader *r);
/* Reads the members of a plain record that is all right. False: no word about it, values undefined;
 * sf_record_begin() and read it with a document. Absent fields are left. */
bool sf_record_scan(struct sf_record_reader *r, struct sf_slice line,
                    struct sf_value *values) SF_MUST_CHECK;
/* record_clean.c: text of a field that is cleaned, as take_scalar(). @is_json: it was a string
 * there, so that it must be one of the type too, but where the contract says how texts are read. */
void sf_record_take_cleaned(struct sf_record_reader *r, const struct sf_field *f, size_t field,
                            struct sf_slice text, bool is_json, struct sf_value *ret,
                            struct sf_verdict *v);
bool sf_record_is_cleaned(const struct sf_field *f);
bool sf_record_takes_text(const struct sf_field *f, enum sf_json_kind kind);
void sf_record_count_marks(struct sf_record_reader *r);
/* Counters of the field, or NULL; of a field in a struct those of the struct. */
struct sf_clean_counts *sf_record_counters(struct sf_record_reader *r, size_t field);
/* "true", "false", and in CSV "1", "0". */
enum sf_parse sf_record_convert_bool(struct sf_slice text, struct sf_value *ret) SF_MUST_CHECK;
/* In an absent value: null by the contract, so that no default is filled in. */
enum { SF_RECORD_NULL = 1 };

/* A list, struct or json; what is refused is a violation with its path. */
void sf_record_take_nested(struct sf_record_reader *r, size_t field, const struct sf_json *json,
                           struct sf_value *ret, struct sf_verdict *v);
/* The same from JSON text, of a cell or message. */
void sf_record_take_nested_text(struct sf_record_reader *r, size_t field, struct sf_slice text,
                                struct sf_value *ret, struct sf_verdict *v);
/* For readers of lists: an empty one; one more element, which is room on the path until the next
 * call; the end, which checks how many there are. */
void sf_record_list_begin(struct sf_record_reader *r, size_t field);
void sf_record_list_add(struct sf_record_reader *r, size_t field, const struct sf_value *item);
void sf_record_list_end(struct sf_record_reader *r, size_t field, struct sf_value *ret,
                        struct sf_verdict *v);
/* For readers of structs: n->values as the bytes of the value. */
void sf_record_put_struct(struct sf_record_reader *r, size_t field, struct sf_buf *out);

/* Into the field and out of it: what is refused in between is told with the path. */
void sf_record_enter(struct sf_record_reader *r, size_t field);
void sf_record_leave(struct sf_record_reader *r);
static inline void sf_record_at_item(struct sf_record_reader *r, size_t index)
{
    r->root->steps[r->root->step_count - 1].index = (int64_t)index;
}

/* Adds a violation about the field @f, or about the element at the path when it is those of the
 * list: "'lines[3].qty' %s". */
void sf_record_refuse(struct sf_record_reader *r, size_t field, const struct sf_field *f,
                      enum sheaf_error_number number, const char *why, struct sf_verdict *v);
/* The same about the struct that is entered, or the record: "'lines[3]' %s", "the record %s". */
void sf_record_refuse_whole(struct sf_record_reader *r, enum sheaf_error_number number,
                            const char *why, struct sf_verdict *v);
/* The value was refused; it breaks a rule; the name is no field's. @f is the field, or the elements
 * of the list that is entered. */
void sf_record_add_refused(struct sf_record_reader *r, size_t field, const struct sf_field *f,
                           enum sf_parse why, struct sf_verdict *v);
void sf_record_check_rules(struct sf_record_reader *r, size_t field, const struct sf_field *f,
                           const struct sf_value *value, struct sf_verdict *v);
void sf_record_add_unknown(struct sf_record_reader *r, struct sf_slice name, struct sf_verdict *v);
