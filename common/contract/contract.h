/*
 * The contract of a product as everything else sees it: tables, fields, types, rules, classes.
 *
 * A struct sf_product is built by product_file.h (YAML) or infer.h (from data), checked by lint.h,
 * and never changes afterwards; a new version is a new struct. Pure: no clock, no I/O.
 *
 *   Memory    Everything hangs on the product's arena: sf_product_free() releases all of it.
 *   Threads   Read-only after it is built, so any thread may read.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/attr.h"
#include "common/base/error.h"
#include "common/base/slice.h"

/* Values are stored (contract text, golden files): never renumber. */
enum sf_type {
    SF_TYPE_BOOL = 1,
    SF_TYPE_INT32 = 2,
    SF_TYPE_INT64 = 3,
    SF_TYPE_FLOAT = 4,
    SF_TYPE_DOUBLE = 5,
    SF_TYPE_DECIMAL = 6, /* precision 1..18, 0 <= scale <= precision */
    SF_TYPE_STRING = 7,
    SF_TYPE_BYTES = 8,
    SF_TYPE_DATE = 9,
    SF_TYPE_TIMESTAMP = 10, /* UTC, microseconds */
    SF_TYPE_UUID = 11,
    SF_TYPE_DECIMAL_WIDE = 12, /* also written decimal(p,s): precision 19..38 */
    SF_TYPE_JSON = 13,         /* any JSON value but null, as canonical text: wire/json_canon.h */
    SF_TYPE_LIST = 14,         /* of sf_field.item */
    SF_TYPE_STRUCT = 15,       /* of sf_field.shape */
};

enum sf_class {
    SF_CLASS_NONE, /* not given: treated as internal */
    SF_CLASS_PUBLIC,
    SF_CLASS_INTERNAL,
    SF_CLASS_CONFIDENTIAL,
    SF_CLASS_PSEUDONYMOUS,
    SF_CLASS_PII,
    SF_CLASS_SECRET,
};

enum sf_format {
    SF_FORMAT_NONE,
    SF_FORMAT_EMAIL,
    SF_FORMAT_URI,
    SF_FORMAT_HOSTNAME,
    SF_FORMAT_IPV4,
    SF_FORMAT_IPV6,
};

enum sf_table_kind { SF_TABLE_STATE, SF_TABLE_EVENT };
enum sf_status { SF_STATUS_DRAFT, SF_STATUS_ACTIVE, SF_STATUS_DEPRECATED, SF_STATUS_RETIRED };
/* Which changes within a major are refused: common/contract/compat.h. */
enum sf_compat_mode {
    SF_COMPAT_FULL_TRANSITIVE,
    SF_COMPAT_FULL,
    SF_COMPAT_BACKWARD_TRANSITIVE,
    SF_COMPAT_BACKWARD,
    SF_COMPAT_FORWARD_TRANSITIVE,
    SF_COMPAT_FORWARD,
    SF_COMPAT_NONE,
};
enum { SF_COMPAT_MODES = SF_COMPAT_NONE + 1 };
enum sf_access { SF_ACCESS_REQUEST, SF_ACCESS_OPEN, SF_ACCESS_CLOSED };

/*
 * One value. Bytes are borrowed from whoever made the value.
 *   bool: i is 0 or 1            int32, int64: i          date: i, days since 1970-01-01
 *   timestamp: i, microseconds since 1970, UTC            decimal: i, unscaled by the field's scale
 *   float, double: d (a float's value is exactly a float) string, bytes: s    uuid: s, 16 bytes
 *   wide decimal: s, 16 bytes, the unscaled value big-endian in two's complement
 *   json: s, its canonical text
 *   struct: s, its fields as in a row   list: s, as in a row (wire_value.h); absent or empty: no
 *   elements, as a list is never null
 */
struct sf_value {
    bool present; /* false: null or absent, the rest means nothing */
    int64_t i;
    double d;
    struct sf_slice s;
};

struct sf_check;   /* check.h */
struct sf_pattern; /* compiled regular expression: pattern.h */
struct sf_clean;   /* what is done to input before it is read: clean.h */

struct sf_field {
    uint32_t number; /* protobuf field number: 1..536870911 without 19000..19999 */
    const char *name;
    enum sf_type type;
    uint8_t precision; /* decimal */
    uint8_t scale;     /* decimal */
    bool required;     /* of a list: it is given, though it may be empty */
    enum sf_class class;
    enum sf_format format;

    /* Rules; each one absent when its count, presence or pointer says so. */
    const struct sf_value *enum_values;
    size_t enum_count;
    struct sf_value min; /* inclusive, of the field's type */
    struct sf_value max;
    uint32_t min_length; /* characters of a string, bytes of bytes; 0: no rule */
    uint32_t max_length; /* 0: no rule */
    const char *pattern_text;
    const struct sf_pattern *pattern;
    struct sf_value default_value;

    /*
     * list: what its elements are, never a list or json. Number, name, source and class are the
     * list's; type, rules and parse are those of an element and stand only here.
     */
    const struct sf_field *item;
    uint32_t min_items; /* of a list; 0: no rule */
    uint32_t max_items; /* 0: no rule */
    /* struct: its fields and what is reserved, as an event table of that name. Else NULL. */
    const struct sf_table *shape;

    const char *parse; /* strptime-like format of text input, or NULL; several: in clean */
    const struct sf_clean *clean; /* NULL: nothing is declared */
    const char *source;           /* name in the input when it is another than name, or NULL */

    const char *description; /* these four may be NULL */
    const char *unit;
    const char *example;
    const char *ref; /* "domain/product[.table].field" of what it points to */
    const char *const *tags;
    size_t tag_count;
};

/* What makes a record a repetition of one before. */
enum sf_dedupe { SF_DEDUPE_NONE, SF_DEDUPE_CONTENT, SF_DEDUPE_KEY, SF_DEDUPE_FIELDS };

struct sf_table {
    const char *name;
    enum sf_table_kind kind;
    const struct sf_field *fields; /* ascending field numbers */
    size_t field_count;
    const uint16_t *key; /* indexes into fields, in the order of the key; none for event tables */
    size_t key_count;
    int32_t event_time; /* index into fields, or -1 */
    enum sf_dedupe dedupe;
    const uint16_t *dedupe_fields; /* SF_DEDUPE_FIELDS: indexes into fields, ascending */
    size_t dedupe_field_count;
    int64_t dedupe_within_us;
    bool skip_unchanged; /* an upsert equal to the newest row changes nothing */
    const uint32_t *reserved; /* numbers and names that once meant another field */
    size_t reserved_count;
    const char *const *reserved_names;
    size_t reserved_name_count;
    const char *description;       /* or NULL */
    const struct sf_check *checks; /* check.h */
    size_t check_count;
};

struct sf_version {
    uint32_t major, minor, patch; /* a product's major is at least 1 */
};

/* What the owner wrote under policies, as it is: common/policy reads it. */
struct sf_product_policy {
    const char *name; /* or "" */
    const char *text; /* one line of YAML */
    uint32_t line;    /* of the file, where it says what it does */
};

struct sf_product {
    struct sf_arena arena; /* owns everything below */
    const char *domain;
    const char *name;
    struct sf_version version;
    enum sf_status status;
    enum sf_compat_mode compatibility;
    bool has_since;
    int32_t since_days; /* day it was deprecated on */
    bool has_sunset;
    int32_t sunset_days;   /* day after which a deprecated version may be gone; since 1970-01-01 */
    const char *successor; /* "sales/orders@2" of a deprecated one, or NULL */
    const char *deprecation_note; /* or NULL */
    const char *owner;            /* or NULL */
    const char *description;      /* or NULL */
    const char *support_email;    /* or NULL */
    const char *const *tags;
    size_t tag_count;
    const struct sf_table *tables;
    size_t table_count;
    enum sf_access access;
    const char *const *approvers;
    size_t approver_count;
    int64_t slo_freshness_us;     /* 0: none promised */
    int64_t slo_retention_us;     /* 0: kept for ever */
    const char *slo_availability; /* text as given, or NULL */
    const struct sf_product_policy *policies;
    size_t policy_count;
};

enum {
    SF_FIELDS_MAX = 1000,  /* per table, those inside structs counted too */
    SF_TABLES_MAX = 64,    /* per product */
    SF_POLICIES_MAX = 100, /* of the owner, per product */
    SF_KEY_FIELDS_MAX = 8,
    SF_ROW_BYTES_MAX = 256 * 1024,
    SF_KEY_BYTES_MAX = 1024,
    SF_DECIMAL_DIGITS_MAX = 38,
    SF_DECIMAL_NARROW_MAX = 18, /* digits of SF_TYPE_DECIMAL */
    SF_STRUCT_DEPTH_MAX = 8,    /* structs inside each other */
    SF_LIST_ITEMS_MAX = 64 * 1024,
};

#define SF_DEDUPE_WITHIN_MAX_US (INT64_C(30) * 24 * 3600 * 1000000)

void sf_product_free(struct sf_product *p);
SF_DEFINE_CLEANUP(struct sf_product, sf_product_free)

/* Lookups; NULL or -1 when absent. */
const struct sf_table *sf_product_table(const struct sf_product *p, const char *name);
int32_t sf_table_field_index(const struct sf_table *t, struct sf_slice name);
int32_t sf_table_field_by_number(const struct sf_table *t, uint32_t number);

/* Names as product.yaml writes them: "decimal(12,2)" needs the field, the rest only the enum. */
const char *sf_type_name(enum sf_type type);
const char *sf_class_name(enum sf_class class);
const char *sf_format_name(enum sf_format format);
const char *sf_status_name(enum sf_status status);
const char *sf_access_name(enum sf_access access);
const char *sf_compat_mode_name(enum sf_compat_mode mode);
/* Writes "decimal(12,2)", "string", ... into @ret (at least 24 bytes). */
void sf_field_type_text(const struct sf_field *f, char *ret, size_t size);

/* Whether a field leaves the owning domain when no policy says otherwise: not pii, not secret. */
bool sf_class_is_open(enum sf_class class);
/* The strictest class of the field and of all fields inside it: what decides who may see it. */
enum sf_class sf_field_class(const struct sf_field *f);
/* The fields of a struct or of the structs in a list; NULL for everything else. */
const struct sf_table *sf_field_shape(const struct sf_field *f);
/* The type of a field, or of the elements of a list. */
const struct sf_field *sf_field_item(const struct sf_field *f);
/* Whether a key may have it: not float, double, json, list and struct. */
bool sf_type_may_be_key(enum sf_type type);
/* Whether it has a value of its own: not list and struct. */
bool sf_type_is_scalar(enum sf_type type);

/* [a-z][a-z0-9-]{0,47} and [a-z][a-z0-9_]{0,62}: DESIGN 1. */
bool sf_name_is_product(struct sf_slice name); /* domains and products */
/* A name a domain may bear: such a name, and none that means somebody else ("hub", "platform"). */
bool sf_name_is_domain(struct sf_slice name);
bool sf_name_is_table(struct sf_slice name); /* tables and fields */
