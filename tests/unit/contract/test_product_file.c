#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/contract/product_file.h"
#include "common/contract/product_print.h"
#include "common/contract/validate.h"
#include "proto/errors.h"

/* The sample of the format's description, without what this release refuses. */
#define SAMPLE                                                                                     \
    "sheaf: product/v1\n"                                                                          \
    "product: sales/orders\n"                                                                      \
    "version: 1.2.0                   # a breaking change needs a new major\n"                     \
    "status: active\n"                                                                             \
    "owner: team-sales\n"                                                                          \
    "description: Orders placed in the web shop, one row per order, corrections included.\n"       \
    "tags: [orders, finance]\n"                                                                    \
    "support: {email: sales-data@example.com}\n"                                                   \
    "tables:\n"                                                                                    \
    "  orders:\n"                                                                                  \
    "    kind: state                  # state | event\n"                                           \
    "    key: [order_id]\n"                                                                        \
    "    event_time: ordered_at\n"                                                                 \
    "    reserved: [9]\n"                                                                          \
    "    fields:\n"                                                                                \
    "      order_id:    {number: 1, type: string, required: true, example: \"O-1001\", "           \
    "source: \"Order No\"}\n"                                                                      \
    "      customer_id: {number: 2, type: string, required: true, class: pseudonymous, "           \
    "ref: customer/customers.customer_id}\n"                                                       \
    "      email:       {number: 3, type: string, class: pii, format: email}\n"                    \
    "      country:     {number: 4, type: string, required: true, enum: [\"NO\", \"SE\", "         \
    "\"DK\"], default: \"NO\"}\n"                                                                  \
    "      amount:      {number: 5, type: \"decimal(12,2)\", required: true, min: 0, "             \
    "unit: EUR}\n"                                                                                 \
    "      ordered_at:  {number: 6, type: timestamp, required: true, "                             \
    "parse: \"%Y/%m/%d %H:%M\"}\n"                                                                 \
    "slo: {freshness: 15m, availability: 99.5%, retention: 400d}\n"                                \
    "access: {default: request, approvers: [team-sales]}\n"

/* A product of one table "t" with these lines under fields, each indented by four. */
#define HEAD                                                                                       \
    "sheaf: product/v1\nproduct: d/p\nversion: 1.0.0\ntables:\n"                                   \
    " t:\n"
#define FIELDS HEAD "  fields:\n"

struct run {
    struct sf_issues issues;
    struct sf_product *product;
    struct sf_error err;
    enum sf_code code;
    struct sf_buf text; /* the issues, rendered */
};

static void run_text(struct run *r, const char *text)
{
    memset(r, 0, sizeof(*r));
    sf_issues_init(&r->issues, "p.yaml", sf_slice_text(text));
    r->code = sf_product_parse(&r->issues, &r->product, &r->err);
    sf_issues_render(&r->issues, &r->text);
}

static void run_done(struct run *r)
{
    sf_product_free(r->product);
    sf_buf_done(&r->text);
    sf_issues_done(&r->issues);
}

static void assert_issues(const char *text, const char *wanted)
{
    struct run r;

    run_text(&r, text);
    assert_string_equal(r.text.size == 0 ? "" : sf_buf_cstr(&r.text), wanted);
    run_done(&r);
}

/* The first issue's text alone: most rules need no more. */
static void assert_refused(const char *text, uint16_t number, const char *wanted)
{
    struct run r;

    run_text(&r, text);
    if (r.code != SF_INVALID || strcmp(r.err.text, wanted) != 0 || r.err.number != number) {
        fail_msg("got code %d, E%04u '%s'\nwanted E%04u '%s'", (int)r.code, r.err.number,
                 r.err.text, number, wanted);
    }
    assert_null(r.product);
    run_done(&r);
}

static void assert_accepted(const char *text)
{
    assert_issues(text, "");
}

#define SMALL                                                                                      \
    "sheaf: product/v1\nproduct: d/p\nversion: 1.0.0\ntables: {t: {fields: {a: {number: 1, "       \
    "type: bool}}}}\n"

static void test_reads_where_a_version_stands_in_its_life(void **state)
{
    struct run r;

    (void)state;
    run_text(
        &r, SMALL
        "status: deprecated\ncompatibility: backward_transitive\n"
        "deprecated: {since: 2026-11-20, sunset: 2027-03-01, successor: d/p@2, note: use two}\n");
    assert_int_equal(r.code, SF_OK);
    assert_int_equal(r.product->status, SF_STATUS_DEPRECATED);
    assert_int_equal(r.product->compatibility, SF_COMPAT_BACKWARD_TRANSITIVE);
    assert_true(r.product->has_sunset);
    assert_int_equal(r.product->sunset_days, 20878);
    assert_true(r.product->has_since);
    assert_int_equal(r.product->since_days, 20777);
    assert_string_equal(r.product->successor, "d/p@2");
    assert_string_equal(r.product->deprecation_note, "use two");
    run_done(&r);
    run_text(&r, SMALL);
    assert_int_equal(r.product->compatibility, SF_COMPAT_FULL_TRANSITIVE);
    assert_false(r.product->has_sunset);
    run_done(&r);
    assert_refused(SMALL "compatibility: backwards\n", SHEAF_E_BAD_VALUE,
                   "p.yaml:5:16: unknown compatibility 'backwards'");
    assert_refused(SMALL "deprecated: {sunset: 2027-03-01}\n", SHEAF_E_BAD_VALUE,
                   "p.yaml:5:1: deprecated goes with status deprecated or retired, not active");
    assert_refused(SMALL "status: retired\ndeprecated: {sunset: 2027-02-29}\n", SHEAF_E_BAD_VALUE,
                   "p.yaml:6:22: sunset must be a day, such as 2027-03-01");
    assert_refused(SMALL "status: retired\ndeprecated: {successor: two}\n", SHEAF_E_BAD_REFERENCE,
                   "p.yaml:6:25: successor must be DOMAIN/PRODUCT or DOMAIN/PRODUCT@MAJOR");
    assert_refused(SMALL "status: retired\ndeprecated: {sunsets: 2027-02-28}\n",
                   SHEAF_E_UNKNOWN_KEY, "p.yaml:6:14: unknown key 'sunsets'");
}

static void test_reads_the_sample(void **state)
{
    const struct sf_table *t;
    const struct sf_field *f;
    struct run r;

    (void)state;
    run_text(&r, SAMPLE);
    assert_string_equal(r.text.size == 0 ? "" : sf_buf_cstr(&r.text), "");
    assert_int_equal(r.code, SF_OK);
    assert_string_equal(r.product->domain, "sales");
    assert_string_equal(r.product->name, "orders");
    assert_int_equal(r.product->version.major, 1);
    assert_int_equal(r.product->version.minor, 2);
    assert_int_equal(r.product->version.patch, 0);
    assert_int_equal(r.product->status, SF_STATUS_ACTIVE);
    assert_string_equal(r.product->owner, "team-sales");
    assert_int_equal(r.product->tag_count, 2);
    assert_string_equal(r.product->tags[1], "finance");
    assert_string_equal(r.product->support_email, "sales-data@example.com");
    assert_int_equal(r.product->slo_freshness_us, 900000000);
    assert_string_equal(r.product->slo_availability, "99.5%");
    assert_int_equal(r.product->slo_retention_us, INT64_C(400) * 86400000000);
    assert_int_equal(r.product->access, SF_ACCESS_REQUEST);
    assert_string_equal(r.product->approvers[0], "team-sales");
    t = sf_product_table(r.product, "orders");
    assert_non_null(t);
    assert_null(sf_product_table(r.product, "order"));
    assert_int_equal(t->kind, SF_TABLE_STATE);
    assert_int_equal(t->field_count, 6);
    assert_int_equal(t->key_count, 1);
    assert_int_equal(t->key[0], 0);
    assert_int_equal(t->event_time, 5);
    assert_int_equal(t->reserved[0], 9);
    f = &t->fields[0];
    assert_string_equal(f->source, "Order No");
    assert_string_equal(f->example, "O-1001");
    assert_true(f->required);
    f = &t->fields[1];
    assert_int_equal(f->class, SF_CLASS_PSEUDONYMOUS);
    assert_string_equal(f->ref, "customer/customers.customer_id");
    f = &t->fields[2];
    assert_int_equal(f->format, SF_FORMAT_EMAIL);
    assert_false(f->required);
    f = &t->fields[3];
    assert_int_equal(f->enum_count, 3);
    assert_memory_equal(f->enum_values[2].s.data, "DK", 2);
    assert_memory_equal(f->default_value.s.data, "NO", 2);
    f = &t->fields[4];
    assert_int_equal(f->type, SF_TYPE_DECIMAL);
    assert_int_equal(f->precision, 12);
    assert_int_equal(f->scale, 2);
    assert_true(f->min.present);
    assert_false(f->max.present);
    assert_string_equal(f->unit, "EUR");
    assert_string_equal(t->fields[5].parse, "%Y/%m/%d %H:%M");
    assert_int_equal(sf_table_field_index(t, SF_LITERAL("amount")), 4);
    assert_int_equal(sf_table_field_index(t, SF_LITERAL("amounts")), -1);
    assert_int_equal(sf_table_field_by_number(t, 6), 5);
    assert_int_equal(sf_table_field_by_number(t, 9), -1);
    run_done(&r);
}

static void test_tells_all_errors_of_a_file_at_once(void **state)
{
    (void)state;
    assert_issues(
        "sheaf: product/v1\n"
        "product: Sales/orders\n"
        "version: 1.2\n"
        "ownr: team-sales\n"
        "tables:\n"
        "  orders:\n"
        "    kind: state\n"
        "    key: [order_idd]\n"
        "    fields:\n"
        "      order_id: {number: 1, type: string, required: true}\n"
        "      email:    {type: string, class: secrett, format: email}\n"
        "      amount:   {number: 1, type: integer}\n",
        "p.yaml:2:10: error[SHEAF-E0106]: product is DOMAIN/NAME, both [a-z][a-z0-9-]*, "
        "at most 48 characters\n"
        "product: Sales/orders\n"
        "         ^~~~~~~~~~~~\n"
        "p.yaml:3:10: error[SHEAF-E0103]: version must be MAJOR.MINOR.PATCH, such as "
        "1.2.0\n"
        "version: 1.2\n"
        "         ^~~\n"
        "p.yaml:4:1: error[SHEAF-E0102]: unknown key 'ownr'\n"
        "ownr: team-sales\n"
        "^~~~\n"
        "  allowed: sheaf product version status compatibility deprecated owner description "
        "tags support tables slo ports inputs transform access policies resources      "
        "did you mean 'owner'?\n"
        "p.yaml:8:11: error[SHEAF-E0107]: key 'order_idd' is no field\n"
        "    key: [order_idd]\n"
        "          ^~~~~~~~~\n"
        "  allowed: email order_id amount      did you mean 'order_id'?\n"
        "p.yaml:11:7: error[SHEAF-E0104]: field 'email' has no number\n"
        "      email:    {type: string, class: secrett, format: email}\n"
        "      ^~~~~\n"
        "p.yaml:11:39: error[SHEAF-E0103]: unknown class 'secrett'\n"
        "      email:    {type: string, class: secrett, format: email}\n"
        "                                      ^~~~~~~\n"
        "  allowed: public internal confidential pseudonymous pii secret      "
        "did you mean 'secret'?\n"
        "p.yaml:12:26: error[SHEAF-E0105]: number 1 belongs to field 'order_id' already\n"
        "      amount:   {number: 1, type: integer}\n"
        "                         ^\n"
        "p.yaml:12:35: error[SHEAF-E0103]: unknown type 'integer'\n"
        "      amount:   {number: 1, type: integer}\n"
        "                                  ^~~~~~~\n"
        "  allowed: bool int32 int64 float double decimal(p,s) string bytes date "
        "timestamp uuid json struct list<T>      did you mean 'int64'?\n");
}

static void test_majors_start_at_one(void **state)
{
    static const char rest[] = "tables:\n"
                               "  t:\n"
                               "    kind: event\n"
                               "    fields:\n"
                               "      a: {number: 1, type: string}\n";
    char text[512];

    (void)state;
    (void)snprintf(text, sizeof(text), "sheaf: product/v1\nproduct: d/p\nversion: 0.9.9\n%s", rest);
    assert_refused(text, SHEAF_E_BAD_VALUE,
                   "p.yaml:3:10: the first version of a product is 1.0.0; a draft has 'status: "
                   "draft'");
}

static void test_required_keys_are_missed(void **state)
{
    (void)state;
    assert_issues("{}\n", "p.yaml: error[SHEAF-E0104]: the key 'sheaf' is missing\n"
                          "p.yaml: error[SHEAF-E0104]: the key 'product' is missing\n"
                          "p.yaml: error[SHEAF-E0104]: the key 'version' is missing\n"
                          "p.yaml: error[SHEAF-E0104]: the key 'tables' is missing\n");
    assert_refused("", SHEAF_E_MISSING_KEY, "p.yaml: the file is empty");
    assert_refused("[a]\n", SHEAF_E_BAD_VALUE,
                   "p.yaml:1:1: a product file must be a map, not a list");
    assert_refused(FIELDS "   a: {number: 1}\n", SHEAF_E_MISSING_KEY,
                   "p.yaml:7:4: field 'a' has no type");
    assert_refused(HEAD "  kind: event\n", SHEAF_E_MISSING_KEY,
                   "p.yaml:5:2: table 't' has no fields");
    assert_refused("a: 1\n---\nb: 2\n", SHEAF_E_MISSING_KEY, "p.yaml: the key 'sheaf' is missing");
    assert_refused(SAMPLE "---\na: 1\n", SHEAF_E_YAML_SYNTAX,
                   "p.yaml:25:1: a product file has one document");
}

static void test_field_numbers_are_protobuf_numbers(void **state)
{
    (void)state;
    assert_refused(FIELDS "   a: {number: 0, type: string}\n", SHEAF_E_BAD_VALUE,
                   "p.yaml:7:16: a field number is between 1 and 536870911");
    assert_refused(FIELDS "   a: {number: 536870912, type: string}\n", SHEAF_E_BAD_VALUE,
                   "p.yaml:7:16: a field number is between 1 and 536870911");
    assert_refused(FIELDS "   a: {number: 19000, type: string}\n", SHEAF_E_BAD_VALUE,
                   "p.yaml:7:16: field numbers 19000 to 19999 belong to protobuf");
    assert_refused(FIELDS "   a: {number: \"1\", type: string}\n", SHEAF_E_BAD_VALUE,
                   "p.yaml:7:16: number must be a whole number, 0 to 4294967295");
    assert_refused(HEAD "  reserved: [9]\n  fields:\n   a: {number: 9, type: string}\n",
                   SHEAF_E_BAD_VALUE,
                   "p.yaml:8:16: number 9 is reserved: it once meant another field");
    assert_refused(HEAD "  reserved: [9, b, a]\n  fields:\n   a: {number: 1, type: string}\n",
                   SHEAF_E_BAD_VALUE, "p.yaml:8:4: 'a' is reserved: it once meant another field");
    assert_refused(HEAD "  reserved: [b, 9, b]\n  fields:\n   a: {number: 1, type: string}\n",
                   SHEAF_E_DUPLICATE_KEY, "p.yaml:6:20: 'b' stands twice in reserved");
    assert_refused(HEAD "  reserved: [9, 8, 9]\n  fields:\n   a: {number: 1, type: string}\n",
                   SHEAF_E_DUPLICATE_KEY, "p.yaml:6:20: 9 stands twice in reserved");
    assert_accepted(FIELDS "   a: {number: 536870911, type: string}\n");
}

static void test_fields_are_ordered_by_number(void **state)
{
    struct run r;

    (void)state;
    run_text(&r, HEAD "  key: [c, a]\n  event_time: b\n  fields:\n"
                      "   c: {number: 3, type: int32, required: true}\n"
                      "   a: {number: 1, type: uuid, required: true}\n"
                      "   b: {number: 2, type: date}\n");
    assert_int_equal(r.code, SF_OK);
    assert_string_equal(r.product->tables[0].fields[0].name, "a");
    assert_string_equal(r.product->tables[0].fields[2].name, "c");
    assert_int_equal(r.product->tables[0].kind, SF_TABLE_STATE); /* the key says so */
    assert_int_equal(r.product->tables[0].key[0], 2);
    assert_int_equal(r.product->tables[0].key[1], 0);
    assert_int_equal(r.product->tables[0].event_time, 1);
    run_done(&r);
}

static void test_keys_are_required_and_ordered(void **state)
{
    (void)state;
    assert_refused(HEAD "  key: [a]\n  fields:\n   a: {number: 1, type: double, required: true}\n",
                   SHEAF_E_BAD_VALUE, "p.yaml:6:9: key field 'a' must not be a double");
    assert_refused(HEAD "  key: [a]\n  fields:\n   a: {number: 1, type: int32}\n",
                   SHEAF_E_BAD_VALUE, "p.yaml:6:9: key field 'a' must be required");
    assert_refused(HEAD
                   "  key: [a, a]\n  fields:\n   a: {number: 1, type: int32, required: true}\n",
                   SHEAF_E_DUPLICATE_KEY, "p.yaml:6:12: 'a' stands twice in key");
    assert_refused(HEAD "  key: []\n  fields:\n   a: {number: 1, type: int32, required: true}\n",
                   SHEAF_E_BAD_VALUE, "p.yaml:6:8: a key has 1 to 8 fields");
    assert_refused(HEAD "  kind: event\n  key: [a]\n  fields:\n"
                        "   a: {number: 1, type: int32, required: true}\n",
                   SHEAF_E_BAD_VALUE,
                   "p.yaml:7:3: an event table has no key: its rows are never replaced");
    assert_refused(HEAD "  kind: state\n  fields:\n   a: {number: 1, type: int32}\n",
                   SHEAF_E_MISSING_KEY, "p.yaml:6:9: state table 't' has no key");
    assert_refused(HEAD "  event_time: a\n  fields:\n   a: {number: 1, type: int32}\n",
                   SHEAF_E_BAD_VALUE, "p.yaml:6:15: event_time 'a' must be a date or timestamp");
    assert_refused(HEAD "  event_time: b\n  fields:\n   a: {number: 1, type: int32}\n",
                   SHEAF_E_BAD_REFERENCE, "p.yaml:6:15: event_time 'b' is no field");
}

static void test_decimals_have_up_to_38_digits(void **state)
{
    (void)state;
    assert_refused(FIELDS "   a: {number: 1, type: \"decimal(39,2)\"}\n", SHEAF_E_BAD_VALUE,
                   "p.yaml:7:25: a decimal has 1 to 38 digits, and at most all of them behind the "
                   "point");
    assert_refused(FIELDS "   a: {number: 1, type: \"decimal(2,3)\"}\n", SHEAF_E_BAD_VALUE,
                   "p.yaml:7:25: a decimal has 1 to 38 digits, and at most all of them behind the "
                   "point");
    assert_refused(FIELDS "   a: {number: 1, type: decimal}\n", SHEAF_E_BAD_VALUE,
                   "p.yaml:7:25: a decimal names its digits and how many of them stand behind the "
                   "point: decimal(12,2)");
    assert_accepted(FIELDS "   a: {number: 1, type: \"decimal(18, 18)\"}\n");
    assert_accepted(FIELDS "   a: {number: 1, type: \"decimal(38,38)\", default: "
                           "-0.00000000000000000000000000000000000001}\n");
}

static void test_reads_structs_and_lists(void **state)
{
    struct run r;
    const struct sf_field *f;

    (void)state;
    run_text(&r, FIELDS
             "   lines: {number: 7, type: \"list<struct>\", max_items: 50, class: internal,\n"
             "    reserved: [3], fields: {qty: {number: 2, type: int32, min: 1},\n"
             "     sku: {number: 1, type: string, required: true, class: pii}}}\n"
             "   tags: {number: 8, type: list<string>, min_items: 1, pattern: \"[a-z]+\"}\n"
             "   big: {number: 9, type: \"decimal(20,2)\"}\n"
             "   doc: {number: 10, type: json}\n");
    assert_int_equal(r.code, SF_OK);
    f = r.product->tables[0].fields;
    assert_int_equal(f[0].type, SF_TYPE_LIST);
    assert_int_equal(f[0].max_items, 50);
    assert_int_equal(f[0].item->type, SF_TYPE_STRUCT);
    assert_int_equal(f[0].item->number, 7);
    assert_null(f[0].shape);
    assert_ptr_equal(sf_field_shape(&f[0]), f[0].item->shape);
    assert_int_equal(f[0].item->shape->field_count, 2);
    assert_string_equal(f[0].item->shape->fields[0].name, "sku");
    assert_true(f[0].item->shape->fields[1].min.present);
    assert_int_equal(f[0].item->shape->reserved[0], 3);
    assert_int_equal(sf_field_class(&f[0]), SF_CLASS_PII);
    assert_int_equal(f[1].item->type, SF_TYPE_STRING);
    assert_non_null(f[1].item->pattern);
    assert_null(f[1].pattern);
    assert_int_equal(f[1].min_items, 1);
    assert_int_equal(f[2].type, SF_TYPE_DECIMAL_WIDE);
    assert_int_equal(f[3].type, SF_TYPE_JSON);
    run_done(&r);
}

static void test_mistakes_inside_structs_are_told_with_their_place(void **state)
{
    (void)state;
    assert_issues(
        FIELDS
        "   a: {number: 1, type: struct, fields: {x: {number: 1, type: strin}, y: {numbr: 2, type: "
        "bool}}}\n"
        "   b: {number: 2, type: list<object>, fields: {}}\n"
        "   c: {number: 3, type: struct, fields: {x: {number: 4, type: bool}, y: {number: 4, type: "
        "bool}}}\n"
        "   d: {number: 4, type: struct, reserved: [1], fields: {x: {number: 1, type: bool}}}\n",
        "p.yaml:7:63: error[SHEAF-E0103]: unknown type 'strin'\n"
        "   a: {number: 1, type: struct, fields: {x: {number: 1, type: strin}, y: {numbr: 2, type: "
        "bool}}}\n"
        "                                                              ^~~~~\n"
        "  allowed: bool int32 int64 float double decimal(p,s) string bytes date timestamp uuid "
        "json "
        "struct list<T>      did you mean 'string'?\n"
        "p.yaml:7:71: error[SHEAF-E0104]: field 'y' has no number\n"
        "   a: {number: 1, type: struct, fields: {x: {number: 1, type: strin}, y: {numbr: 2, type: "
        "bool}}}\n"
        "                                                                      ^\n"
        "p.yaml:7:75: error[SHEAF-E0102]: unknown key 'numbr'\n"
        "   a: {number: 1, type: struct, fields: {x: {number: 1, type: strin}, y: {numbr: 2, type: "
        "bool}}}\n"
        "                                                                          ^~~~~\n"
        "  allowed: number type required class format enum min max default min_length max_length "
        "pattern parse source description unit example ref tags fields min_items max_items "
        "reserved trim case missing      did you mean 'number'?\n"
        "p.yaml:8:25: error[SHEAF-E0103]: unknown type 'object'\n"
        "   b: {number: 2, type: list<object>, fields: {}}\n"
        "                        ^~~~~~~~~~~~\n"
        "  allowed: bool int32 int64 float double decimal(p,s) string bytes date timestamp uuid "
        "json "
        "struct list<T>      did you mean 'struct'?\n"
        "p.yaml:9:82: error[SHEAF-E0105]: number 4 belongs to field 'x' already\n"
        "   c: {number: 3, type: struct, fields: {x: {number: 4, type: bool}, y: {number: 4, type: "
        "bool}}}\n"
        "                                                                                 ^\n"
        "p.yaml:10:69: error[SHEAF-E0103]: number 1 is reserved: it once meant another field\n"
        "   d: {number: 4, type: struct, reserved: [1], fields: {x: {number: 1, type: bool}}}\n"
        "                                                                    ^\n");
}

static void test_structs_have_a_depth(void **state)
{
    struct sf_buf text = {0};

    (void)state;
    for (int depth = 8; depth <= 9; depth++) {
        sf_buf_clear(&text);
        sf_buf_text(&text, FIELDS "   a0: ");
        for (int i = 1; i <= depth; i++) {
            sf_buf_printf(&text, "{number: 1, type: struct, fields: {a%d: ", i);
        }
        sf_buf_text(&text, "{number: 1, type: bool}");
        for (int i = 0; i < depth; i++) {
            sf_buf_text(&text, "}}");
        }
        sf_buf_byte(&text, '\n');
        if (depth == 8) {
            assert_accepted(sf_buf_cstr(&text));
        } else {
            assert_refused(sf_buf_cstr(&text), SHEAF_E_BAD_VALUE,
                           "p.yaml:7:316: more than 8 structs inside each other");
        }
    }
    sf_buf_done(&text);
}

static void test_fields_of_structs_count_for_the_table(void **state)
{
    struct sf_buf text = {0};

    (void)state;
    sf_buf_text(&text,
                FIELDS "   b: {number: 2, type: bool}\n   a: {number: 1, type: struct, fields: {");
    for (int i = 1; i < 1000; i++) {
        sf_buf_printf(&text, "%sf%d: {number: %d, type: bool}", i == 1 ? "" : ", ", i, i);
    }
    sf_buf_text(&text, "}}\n");
    assert_refused(
        sf_buf_cstr(&text), SHEAF_E_BAD_VALUE,
        "p.yaml:8:41: a table has at most 1000 fields, those of its structs counted too");
    sf_buf_done(&text);
}

struct field_case {
    const char *field;
    const char *wanted;
};

static void assert_field_refused(const struct field_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[512];
        char wanted[300];
        struct run r;

        (void)snprintf(text, sizeof(text), FIELDS "   a: {number: 1, %s}\n", cases[i].field);
        (void)snprintf(wanted, sizeof(wanted), "p.yaml:%s", cases[i].wanted);
        run_text(&r, text);
        if (r.code != SF_INVALID || strcmp(r.err.text, wanted) != 0) {
            fail_msg("%s\ngives  '%s'\nwanted '%s'", cases[i].field, r.err.text, wanted);
        }
        run_done(&r);
    }
}

static void test_types_take_what_fits_them(void **state)
{
    static const struct field_case cases[] = {
        {"type: string, fields: {}", "7:33: fields is for struct and list<struct>, not for string"},
        {"type: list<string>, reserved: [1]",
         "7:39: reserved is for struct and list<struct>, not for string"},
        {"type: struct", "7:4: struct 'a' has no fields"},
        {"type: struct, fields: {}", "7:41: a struct has 1 to 1000 fields"},
        {"type: list<list<int32>>",
         "7:25: a list of lists is not possible: make it a list<struct> whose struct has the inner "
         "list, or json"},
        {"type: list<json>", "7:25: a list of json is not possible: json itself may be an array"},
        {"type: list", "7:25: unknown type 'list'"},
        {"type: string, max_items: 3", "7:33: max_items is for lists, not for string"},
        {"type: list<int32>, max_items: 0", "7:49: max_items is between 1 and 65536"},
        {"type: list<int32>, min_items: 3, max_items: 2", "7:63: max_items is less than min_items"},
        {"type: list<int32>, default: 1", "7:38: default is not for list"},
        {"type: json, default: 1", "7:31: default is not for json"},
        {"type: json, enum: [1]", "7:31: enum is not for json"},
        {"type: json, min: 1", "7:31: min is for numbers, dates and timestamps, not for json"},
        {"type: list<string>, min: 1",
         "7:39: min is for numbers, dates and timestamps, not for string"},
        {"type: list<int32>, enum: [x]", "7:45: enum value 'x' is not a valid int32"},
    };

    (void)state;
    assert_field_refused(cases, SF_COUNT(cases));
}

static void test_rules_fit_the_type(void **state)
{
    static const struct field_case cases[] = {
        {"type: string, min: 1", "7:33: min is for numbers, dates and timestamps, not for string"},
        {"type: int32, min: x", "7:37: min 'x' is not a valid int32"},
        {"type: int32, max: 2147483648", "7:37: max '2147483648' is out of the range of int32"},
        {"type: \"decimal(4,1)\", max: 1.55", "7:46: max '1.55' has more digits than decimal(4,1)"},
        {"type: int32, min: 2, max: 1", "7:45: max is less than min"},
        {"type: date, max: \"2001-02-29\"", "7:36: max '2001-02-29' is out of the range of date"},
        {"type: int32, min_length: 1", "7:32: min_length is for strings and bytes, not for int32"},
        {"type: string, min_length: 3, max_length: 2", "7:60: max_length is less than min_length"},
        {"type: string, max_length: 0", "7:45: max_length is between 1 and 262144"},
        {"type: int32, pattern: a", "7:32: pattern is for strings, not for int32"},
        {"type: string, pattern: \"(\"",
         "7:42: pattern is not a regular expression at byte 2: missing closing parenthesis"},
        {"type: int32, format: email", "7:32: format is for strings, not for int32"},
        {"type: string, format: mail", "7:41: unknown format 'mail'"},
        {"type: string, parse: \"%Y\"",
         "7:33: parse is for dates, timestamps and numbers, not for string"},
        {"type: date, parse: \"%Y-%m\"",
         "7:38: parse names a whole date, each part once, with %Y %y %m %d %e %b %j %H %I %p %M %S "
         "%f %z"},
        {"type: date, parse: \"%Y-%m-%d %H\"", "7:38: parse of a date must not read a time of day"},
        {"type: double, enum: [1]", "7:33: enum is not for double"},
        {"type: string, enum: []", "7:39: enum has 1 to 1000 values"},
        {"type: string, enum: [\"a\", \"a\"]", "7:45: 'a' stands twice in enum"},
        {"type: int32, enum: [5], min: 6", "7:39: enum value '5' breaks the rule 'min' of the same "
                                           "field"},
        {"type: string, enum: [\"a\"], default: \"b\"",
         "7:55: default 'b' breaks the rule 'enum' of the same field"},
        {"type: string, format: email, default: \"b\"",
         "7:57: default 'b' breaks the rule 'format' of the same field"},
        {"type: bool, default: yes", "7:40: default 'yes' is not a valid bool"},
        {"type: timestamp, default: \"2001-01-01\"",
         "7:45: default '2001-01-01' is not a valid timestamp"},
        {"type: string, default:", "7:33: default must be a single value, not nothing"},
        {"type: string, required: yes", "7:43: required must be true or false"},
        {"type: string, ref: customers", "7:38: ref is DOMAIN/PRODUCT.FIELD or "
                                         "DOMAIN/PRODUCT.TABLE.FIELD, not 'customers'"},
        {"type: string, ref: a/b.c.d.e", "7:38: ref is DOMAIN/PRODUCT.FIELD or "
                                         "DOMAIN/PRODUCT.TABLE.FIELD, not 'a/b.c.d.e'"},
        {"type: string, ref: a/b", "7:38: ref is DOMAIN/PRODUCT.FIELD or "
                                   "DOMAIN/PRODUCT.TABLE.FIELD, not 'a/b'"},
        {"type: string, tags: [a, a]", "7:43: 'a' stands twice in tags"},
        {"type: string, description: \"\"", "7:46: description must have 1 to 4096 bytes"},
        {"type: string, clas: pii", "7:33: unknown key 'clas'"},
    };

    (void)state;
    assert_field_refused(cases, SF_COUNT(cases));
}

static void test_rules_that_hold_are_kept(void **state)
{
    const struct sf_field *f;
    struct run r;

    (void)state;
    run_text(&r, FIELDS "   a: {number: 1, type: string, pattern: \"[A-Z]{2}\", min_length: 2, "
                        "max_length: 2, ref: \"a/b@2.t.f\", x-note: {any: [thing]}}\n"
                        "   b: {number: 2, type: date, min: \"2000-01-01\", parse: \"%d.%m.%Y\", "
                        "default: \"2001-01-01\"}\n"
                        "   c: {number: 3, type: double, min: -1.5, max: 1e3}\n"
                        "   d: {number: 4, type: uuid, "
                        "default: 00112233-4455-6677-8899-aabbccddeeff}\n");
    assert_string_equal(r.text.size == 0 ? "" : sf_buf_cstr(&r.text), "");
    f = r.product->tables[0].fields;
    assert_int_equal(
        sf_field_check(&f[0], &(struct sf_value){.present = true, .s = SF_LITERAL("NO")}),
        SF_RULE_NONE);
    assert_int_equal(
        sf_field_check(&f[0], &(struct sf_value){.present = true, .s = SF_LITERAL("no")}),
        SF_RULE_PATTERN);
    assert_int_equal(f[1].min.i, 10957);
    assert_int_equal(f[1].default_value.i, 11323);
    assert_true(f[2].min.d == -1.5 && f[2].max.d == 1000);
    assert_int_equal(f[3].default_value.s.size, 16);
    assert_int_equal(r.product->tables[0].kind, SF_TABLE_EVENT);
    run_done(&r);
}

static void test_a_source_leads_to_one_field(void **state)
{
    (void)state;
    assert_refused(FIELDS "   a: {number: 1, type: string, source: b}\n"
                          "   b: {number: 2, type: string}\n",
                   SHEAF_E_DUPLICATE_KEY, "p.yaml:7:41: source 'b' belongs to field 'b' already");
    assert_refused(FIELDS "   a: {number: 1, type: string, source: X}\n"
                          "   b: {number: 2, type: string, source: X}\n",
                   SHEAF_E_DUPLICATE_KEY, "p.yaml:8:41: source 'X' belongs to field 'a' already");
    assert_accepted(FIELDS "   a: {number: 1, type: string, source: a}\n");
}

static void test_promises_and_access_are_checked(void **state)
{
    (void)state;
    assert_refused(SAMPLE "ports: {stream: {format: avro}}\n", SHEAF_E_BAD_VALUE,
                   "p.yaml:24:26: unknown format 'avro'");
    assert_refused("slo: {freshness: soon}\n", SHEAF_E_MISSING_KEY,
                   "p.yaml: the key 'sheaf' is missing");
    assert_refused(FIELDS "   a: {number: 1, type: string}\nslo: {freshness: soon}\n",
                   SHEAF_E_BAD_VALUE,
                   "p.yaml:8:18: freshness must be a span of time: 30s, 15m, 12h, 90d");
    assert_refused(FIELDS "   a: {number: 1, type: string}\nslo: {availability: 101%}\n",
                   SHEAF_E_BAD_VALUE,
                   "p.yaml:8:21: availability must be a percentage, such as 99.5%");
    assert_refused(FIELDS "   a: {number: 1, type: string}\naccess: {default: opn}\n",
                   SHEAF_E_BAD_VALUE, "p.yaml:8:19: unknown access 'opn'");
    assert_refused(FIELDS "   a: {number: 1, type: string}\nsupport: {email: me}\n",
                   SHEAF_E_BAD_VALUE, "p.yaml:8:18: 'me' is not an e-mail address");
    assert_refused(FIELDS "   a: {number: 1, type: string}\nsheaf: product/v2\n",
                   SHEAF_E_DUPLICATE_KEY, "p.yaml:8:1: duplicate key 'sheaf'");
}

#define TEN_POLICIES "{},{},{},{},{},{},{},{},{},{}"
#define A_HUNDRED_POLICIES                                                                         \
    TEN_POLICIES "," TEN_POLICIES "," TEN_POLICIES "," TEN_POLICIES "," TEN_POLICIES               \
                 "," TEN_POLICIES "," TEN_POLICIES "," TEN_POLICIES "," TEN_POLICIES               \
                 "," TEN_POLICIES

static void test_keys_without_effect_are_told_and_checked(void **state)
{
    (void)state;
    assert_issues(FIELDS
                  "   a: {number: 1, type: string}\n"
                  "  checks: [rows >= 1]\n"
                  "ports: {stream: {format: json}, http: {}, files: {format: parquet, every: "
                  "1h}}\n"
                  "inputs: [customer/customers@1]\n"
                  "transform: {sql: transform.sql}\n"
                  "resources: {memory: 256MiB, disk: 10GiB}\n"
                  "policies: []\n",
                  "p.yaml:9:1: warning: ports has no effect in this release\n"
                  "ports: {stream: {format: json}, http: {}, files: {format: parquet, every: 1h}}\n"
                  "^~~~~\n"
                  "p.yaml:10:1: warning: inputs has no effect in this release\n"
                  "inputs: [customer/customers@1]\n"
                  "^~~~~~\n"
                  "p.yaml:11:1: warning: transform has no effect in this release\n"
                  "transform: {sql: transform.sql}\n"
                  "^~~~~~~~~\n"
                  "p.yaml:12:1: warning: resources has no effect in this release\n"
                  "resources: {memory: 256MiB, disk: 10GiB}\n"
                  "^~~~~~~~~\n");
    assert_refused(SAMPLE "policies: [pii.yaml]\n", SHEAF_E_BAD_VALUE,
                   "p.yaml:24:12: a policy stands here itself: {name: ..., match: ..., mask: ...}");
    assert_accepted(SAMPLE "policies: [" A_HUNDRED_POLICIES "]\n");
    assert_refused(SAMPLE "policies: [" A_HUNDRED_POLICIES ", {}]\n", SHEAF_E_BAD_VALUE,
                   "p.yaml:24:11: a product has at most 100 policies");
    assert_refused(SAMPLE "inputs: [customers]\n", SHEAF_E_BAD_REFERENCE,
                   "p.yaml:24:10: an input is DOMAIN/PRODUCT or DOMAIN/PRODUCT@MAJOR");
    assert_refused(SAMPLE "resources: {memory: much}\n", SHEAF_E_BAD_VALUE,
                   "p.yaml:24:21: memory must be a number of bytes: 256MiB, 10GiB");
    assert_refused(SAMPLE "ports: {files: {every: often}}\n", SHEAF_E_BAD_VALUE,
                   "p.yaml:24:24: every must be a span of time: 15m, 1h, 1d");
    assert_refused(SAMPLE "ports: {grpc: {}}\n", SHEAF_E_UNKNOWN_KEY,
                   "p.yaml:24:9: unknown key 'grpc'");
    assert_refused(SAMPLE "transform: {sql: [a]}\n", SHEAF_E_BAD_VALUE,
                   "p.yaml:24:18: sql must be a single value, not a list");
}

static void test_ambiguous_text_is_warned_of(void **state)
{
    (void)state;
    assert_issues(
        FIELDS "   a: {number: 1, type: string, enum: [NO, SE]}\n",
        "p.yaml:7:40: warning: some YAML readers take NO for true or false: write \"NO\"\n"
        "   a: {number: 1, type: string, enum: [NO, SE]}\n"
        "                                       ^~\n");
}

static void test_versions_are_three_numbers(void **state)
{
    static const char *const wrong[] = {"",          "1",      "1.2",  "1.2.3.4",     "v1.2.3",
                                        "1.2.3-rc1", "01.2.3", "1..3", "1.2.1000000", "1.2.3 ",
                                        "-1.2.3"};
    struct sf_version a = {0};
    struct sf_version b = {0};

    (void)state;
    for (size_t i = 0; i < SF_COUNT(wrong); i++) {
        if (sf_version_parse(sf_slice_text(wrong[i]), &a)) {
            fail_msg("'%s' is taken for a version", wrong[i]);
        }
    }
    assert_true(sf_version_parse(SF_LITERAL("1.10.0"), &a));
    assert_true(sf_version_parse(SF_LITERAL("1.9.999999"), &b));
    assert_true(sf_version_compare(&a, &b) > 0);
    assert_true(sf_version_compare(&b, &a) < 0);
    assert_int_equal(sf_version_compare(&a, &a), 0);
}

static void sweep(const char *text)
{
    for (long after = 0;; after++) {
        struct sf_issues issues;
        struct sf_product *p = NULL;
        struct sf_error err;
        enum sf_code code;
        bool hit;

        sf_issues_init(&issues, "p", sf_slice_text(text));
        sf_alloc_fail_after(after, 0);
        code = sf_product_parse(&issues, &p, &err);
        hit = sf_alloc_faults() > 0;
        sf_alloc_fail_after(-1, 0);
        assert_int_equal(code, hit ? SF_NOMEM : SF_OK);
        assert_int_equal(p != NULL, !hit);
        sf_product_free(p);
        sf_issues_done(&issues);
        if (!hit) {
            break;
        }
    }
}

static void test_survives_every_failed_allocation(void **state)
{
    (void)state;
    sweep(SAMPLE);
    sweep(FIELDS
          "   a: {number: 1, type: string, pattern: \"a+\", source: q, tags: [x]}\n"
          "   b: {number: 2, type: list<struct>, reserved: [9], fields: {c: {number: 1, type: "
          "list<string>, pattern: \"b+\"}}}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_the_sample),
        cmocka_unit_test(test_reads_where_a_version_stands_in_its_life),
        cmocka_unit_test(test_tells_all_errors_of_a_file_at_once),
        cmocka_unit_test(test_majors_start_at_one),
        cmocka_unit_test(test_required_keys_are_missed),
        cmocka_unit_test(test_field_numbers_are_protobuf_numbers),
        cmocka_unit_test(test_fields_are_ordered_by_number),
        cmocka_unit_test(test_keys_are_required_and_ordered),
        cmocka_unit_test(test_decimals_have_up_to_38_digits),
        cmocka_unit_test(test_reads_structs_and_lists),
        cmocka_unit_test(test_mistakes_inside_structs_are_told_with_their_place),
        cmocka_unit_test(test_structs_have_a_depth),
        cmocka_unit_test(test_fields_of_structs_count_for_the_table),
        cmocka_unit_test(test_types_take_what_fits_them),
        cmocka_unit_test(test_rules_fit_the_type),
        cmocka_unit_test(test_rules_that_hold_are_kept),
        cmocka_unit_test(test_a_source_leads_to_one_field),
        cmocka_unit_test(test_promises_and_access_are_checked),
        cmocka_unit_test(test_keys_without_effect_are_told_and_checked),
        cmocka_unit_test(test_ambiguous_text_is_warned_of),
        cmocka_unit_test(test_versions_are_three_numbers),
        cmocka_unit_test(test_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests_name("product_file", tests, NULL, NULL);
}
