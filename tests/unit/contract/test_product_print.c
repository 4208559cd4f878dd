#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/decimal.h"
#include "common/base/time.h"
#include "common/contract/pattern.h"
#include "common/contract/product_file.h"
#include "common/contract/product_print.h"

/* Reads @text, which must be valid. */
static struct sf_product *read(struct sf_slice text)
{
    struct sf_issues issues;
    struct sf_product *p = NULL;
    struct sf_buf shown = {0};
    struct sf_error err;

    sf_issues_init(&issues, "p.yaml", text);
    if (sf_product_parse(&issues, &p, &err) != SF_OK) {
        sf_issues_render(&issues, &shown);
        print_error("%s\n%.*s\n", sf_buf_cstr(&shown), SF_SLICE_ARG(text));
        fail();
    }
    sf_issues_done(&issues);
    return p;
}

static void test_writes_one_line_per_field(void **state)
{
    static const char text[] =
        "sheaf: product/v1\n"
        "product: sales/orders\n"
        "version: 1.2.0\n"
        "status: deprecated\n"
        "compatibility: backward\n"
        "deprecated: {sunset: 2027-03-01, successor: sales/orders@2, note: \"two: better\"}\n"
        "owner: team-sales\n"
        "description: \"Orders: \\\"all\\\" of them.\\nCorrections included.\"\n"
        "tags: [orders, \"no\"]\n"
        "support: {email: sales-data@example.com}\n"
        "tables:\n"
        "  orders:\n"
        "    kind: state\n"
        "    key: [order_id]\n"
        "    event_time: ordered_at\n"
        "    reserved: [9, 10, gone]\n"
        "    description: One row per order\n"
        "    checks: [\"rows >= 1\", \"nulls(code) <= 5%\", \"duplicates(order_id, code) = 0\"]\n"
        "    fields:\n"
        "      order_id:   {number: 1, type: string, required: true, source: Order No, "
        "example: O-1001}  # key: unique\n"
        "      country:    {number: 4, type: string, enum: [\"NO\", \"SE\"], default: \"NO\"}\n"
        "      amount:     {number: 5, type: \"decimal(12,2)\", required: true, class: internal, "
        "min: 0.00, max: 99.90, unit: EUR}\n"
        "      ordered_at: {number: 6, type: timestamp, required: true, min: "
        "\"2001-01-01T00:00:00.000000Z\", parse: \"%Y/%m/%d %H:%M\"}\n"
        "      code:       {number: 7, type: string, class: pii, format: hostname, min_length: 1, "
        "max_length: 9, pattern: \"[a-z\\\\\\\\]+\", ref: a/b.c, tags: [x]}\n"
        "  \"on\":\n"
        "    kind: event\n"
        "    fields:\n"
        "      \"null\": {number: 1, type: bool, default: true}\n"
        "slo: {freshness: 15m, availability: 99.5%, retention: 400d}\n"
        "access: {default: open, approvers: [team-sales]}\n";
    static const char *const notes[] = {"key: unique"};
    struct sf_product *p = read(sf_slice_text(text));
    struct sf_buf out = {0};

    (void)state;
    sf_product_print(p, &(struct sf_print_notes){notes, 1}, &out);
    assert_string_equal(sf_buf_cstr(&out), text);
    sf_buf_done(&out);
    sf_product_free(p);
}

static void test_characters_that_may_end_a_line_are_escaped(void **state)
{
    static const char owner[] =
        "owner: \"a\\u2028b\\u2029c\\u0085d\\ufeffe\\u007f\\u00a0\xc3\xa9\"\n";
    struct sf_buf text = {0};
    struct sf_buf out = {0};
    struct sf_product *p;

    (void)state;
    sf_buf_printf(&text,
                  "sheaf: product/v1\nproduct: d/p\nversion: 1.0.0\nstatus: active\n%s"
                  "tables:\n  t:\n    kind: event\n    fields:\n"
                  "      a: {number: 1, type: bool}\naccess: {default: request}\n",
                  owner);
    p = read(sf_buf_view(&text));
    assert_string_equal(p->owner, "a\xe2\x80\xa8"
                                  "b\xe2\x80\xa9"
                                  "c\xc2\x85"
                                  "d\xef\xbb\xbf"
                                  "e\x7f\xc2\xa0\xc3\xa9");
    sf_product_print(p, NULL, &out);
    assert_string_equal(sf_buf_cstr(&out), sf_buf_cstr(&text));
    sf_buf_done(&out);
    sf_buf_done(&text);
    sf_product_free(p);
}

/* --- any product ------------------------------------------------------------------------------ */

/* A product grows from a seed: xorshift, so that a failure can be repeated. */
struct grower {
    uint64_t seed;
    struct sf_arena *arena;
};

static uint64_t next(struct grower *g, uint64_t below)
{
    g->seed ^= g->seed << 13;
    g->seed ^= g->seed >> 7;
    g->seed ^= g->seed << 17;
    return (g->seed >> 11) % below;
}

static const char *grow_text(struct grower *g)
{
    static const char *const pieces[] = {
        "a",
        "Z",
        "0",
        " ",
        "  ",
        ":",
        ": ",
        " #",
        "#",
        "-",
        "- ",
        "'",
        "\"",
        "\\",
        "\n",
        "\t",
        "\x01",
        "\x1f",
        "\x7f",
        "{",
        "}",
        "[",
        "]",
        ",",
        "&",
        "*",
        "!",
        "|",
        ">",
        "%",
        "@",
        "`",
        "?",
        "~",
        "\xc2\x85",
        "\xc2\xa0",
        "\xe2\x80\xa8",
        "\xe2\x80\xa9",
        "\xef\xbb\xbf",
        "\xef\xbf\xbe",
        "\xc3\xa9",
        "\xf0\x9f\x98\x80",
        "true",
        "null",
        "---",
        "...",
        "\r",
        "\r\n",
        "<<",
        "=",
        "0x1F",
        "1e3",
    };
    struct sf_buf text = {0};
    size_t count = 1 + next(g, 8);
    const char *kept;

    for (size_t i = 0; i < count; i++) {
        sf_buf_text(&text, pieces[next(g, SF_COUNT(pieces))]);
    }
    kept = sf_arena_strdup(g->arena, sf_buf_cstr(&text));
    sf_buf_done(&text);
    return kept;
}

static const char *maybe_text(struct grower *g)
{
    return next(g, 3) == 0 ? grow_text(g) : NULL;
}

static struct sf_value grow_value(struct grower *g, const struct sf_field *f)
{
    struct sf_value v = {.present = true};
    int64_t sign = next(g, 2) == 0 ? 1 : -1;
    uint8_t *bytes = sf_arena_alloc(g->arena, 16);

    switch (f->type) {
    case SF_TYPE_BOOL:
        v.i = (int64_t)next(g, 2);
        break;
    case SF_TYPE_INT32:
        v.i = sign * (int64_t)next(g, INT32_MAX);
        break;
    case SF_TYPE_INT64:
        v.i = sign * (int64_t)next(g, INT64_MAX);
        break;
    case SF_TYPE_DATE:
        v.i = SF_DATE_MIN + (int64_t)next(g, SF_DATE_MAX - SF_DATE_MIN + 1);
        break;
    case SF_TYPE_TIMESTAMP:
        v.i = SF_TIME_US_MIN + (int64_t)next(g, (uint64_t)(SF_TIME_US_MAX - SF_TIME_US_MIN) + 1);
        break;
    case SF_TYPE_DECIMAL:
        v.i = 0;
        for (unsigned i = 0; i < f->precision; i++) {
            v.i = v.i * 10 + (int64_t)next(g, 10);
        }
        v.i *= sign;
        break;
    case SF_TYPE_FLOAT:
        v.d = (double)((float)((double)(sign * (int64_t)next(g, 1000000)) / 1024.0));
        break;
    case SF_TYPE_DOUBLE:
        v.d = (double)(sign * (int64_t)next(g, INT64_MAX)) / 3.0;
        break;
    case SF_TYPE_STRING:
        v.s = sf_slice_text(grow_text(g));
        break;
    case SF_TYPE_BYTES:
    case SF_TYPE_UUID:
        for (size_t i = 0; i < 16; i++) {
            bytes[i] = (uint8_t)next(g, 256);
        }
        v.s = sf_slice_of(bytes, f->type == SF_TYPE_UUID ? 16 : next(g, 16));
        break;
    case SF_TYPE_DECIMAL_WIDE:
        v.s = sf_slice_of(bytes, 16);
        sf_decimal_wide_put((__int128)next(g, INT64_MAX) * sign, bytes);
        break;
    case SF_TYPE_JSON:
    case SF_TYPE_LIST:
    case SF_TYPE_STRUCT:
        v.present = false;
        break;
    }
    return v;
}

static void grow_rules(struct grower *g, struct sf_field *f)
{
    bool ordered = f->type != SF_TYPE_BOOL && f->type != SF_TYPE_STRING &&
                   f->type != SF_TYPE_BYTES && f->type != SF_TYPE_UUID;
    bool listed = f->type != SF_TYPE_BOOL && f->type != SF_TYPE_FLOAT && f->type != SF_TYPE_DOUBLE;
    bool any = f->type != SF_TYPE_JSON && f->type != SF_TYPE_STRUCT;
    struct sf_value *value = sf_arena_calloc(g->arena, 1, sizeof(*value));
    struct sf_error err;

    if (!any) {
        return;
    }
    *value = grow_value(g, f);
    if (next(g, 3) == 0) {
        f->default_value = *value;
    }
    if (listed && next(g, 3) == 0) {
        f->enum_values = value;
        f->enum_count = 1;
    }
    if (ordered && next(g, 3) == 0) {
        f->min = *value;
        f->max = *value;
    }
    if (f->type == SF_TYPE_STRING && next(g, 3) == 0) {
        struct sf_pattern *pattern = NULL;

        assert_int_equal(sf_pattern_new(SF_LITERAL("(?s).*"), &pattern, &err), SF_OK);
        f->pattern_text = "(?s).*";
        f->pattern = pattern;
        f->max_length = 1000;
    }
    if (f->type == SF_TYPE_DATE || f->type == SF_TYPE_TIMESTAMP) {
        f->parse = next(g, 2) == 0 ? "%d/%m/%Y" : NULL;
    }
}

static void grow_field(struct grower *g, struct sf_field *f, uint32_t number);

/* A type up to @last; structs are small, and rare below each other. */
static void grow_type(struct grower *g, struct sf_field *f, enum sf_type last)
{
    f->type = (enum sf_type)(1 + next(g, last));
    if (f->type == SF_TYPE_DECIMAL) {
        f->precision = (uint8_t)(1 + next(g, 18));
    } else if (f->type == SF_TYPE_DECIMAL_WIDE) {
        f->precision = (uint8_t)(19 + next(g, 20));
    } else if (f->type == SF_TYPE_STRUCT) {
        struct sf_table *shape = sf_arena_calloc(g->arena, 1, sizeof(*shape));
        struct sf_field *fields = sf_arena_calloc(g->arena, 2, sizeof(*fields));

        shape->name = f->name;
        shape->kind = SF_TABLE_EVENT;
        shape->event_time = -1;
        shape->fields = fields;
        shape->field_count = 1 + next(g, 2);
        for (uint32_t i = 0; i < shape->field_count; i++) {
            grow_field(g, &fields[i], i + 1);
        }
        f->shape = shape;
    }
    f->scale = (uint8_t)next(g, f->precision + 1u);
}

static void grow_field(struct grower *g, struct sf_field *f, uint32_t number)
{
    const char *const tags[] = {grow_text(g)};
    const char **kept = sf_arena_calloc(g->arena, 1, sizeof(*kept));

    f->number = number;
    f->name = sf_arena_printf(g->arena, "f%u_%u", number, (unsigned)next(g, 1000));
    grow_type(g, f, SF_TYPE_STRUCT);
    f->required = next(g, 2) == 0;
    f->class = (enum sf_class)next(g, SF_CLASS_SECRET + 1);
    f->description = maybe_text(g);
    f->unit = maybe_text(g);
    f->example = maybe_text(g);
    f->source = next(g, 3) == 0 ? sf_arena_printf(g->arena, "%s%u", grow_text(g), number) : NULL;
    kept[0] = tags[0];
    f->tags = kept;
    f->tag_count = next(g, 2);
    if (f->type == SF_TYPE_LIST) {
        struct sf_field *item = sf_arena_calloc(g->arena, 1, sizeof(*item));

        item->number = number;
        item->name = f->name;
        do {
            grow_type(g, item, SF_TYPE_STRUCT);
        } while (item->type == SF_TYPE_JSON || item->type == SF_TYPE_LIST);
        grow_rules(g, item);
        item->default_value.present = false;
        f->item = item;
        f->max_items = (uint32_t)next(g, 3);
    } else {
        grow_rules(g, f);
    }
}

static void grow_table(struct grower *g, struct sf_table *t, unsigned at)
{
    struct sf_field *fields;
    uint16_t *key = sf_arena_calloc(g->arena, 1, sizeof(*key));

    t->name = sf_arena_printf(g->arena, "t%u", at);
    t->field_count = 1 + next(g, 6);
    t->event_time = -1;
    t->description = maybe_text(g);
    fields = sf_arena_calloc(g->arena, t->field_count, sizeof(*fields));
    t->fields = fields;
    t->kind = SF_TABLE_EVENT;
    for (uint32_t i = 0; i < t->field_count; i++) {
        grow_field(g, &fields[i], i * 3 + 1);
        if (fields[i].type == SF_TYPE_TIMESTAMP || fields[i].type == SF_TYPE_DATE) {
            t->event_time = (int32_t)i;
        }
        if (fields[i].required && sf_type_may_be_key(fields[i].type)) {
            t->kind = SF_TABLE_STATE;
            key[0] = (uint16_t)i;
            t->key = key;
            t->key_count = 1;
        }
    }
}

static struct sf_product *grow_product(uint64_t seed)
{
    struct sf_product *p = sf_calloc(1, sizeof(*p));
    struct grower g = {.seed = seed * UINT64_C(0x9e3779b97f4a7c15) + 1, .arena = &p->arena};
    struct sf_table *tables;

    sf_arena_init(&p->arena, 0);
    for (unsigned i = 0; i < 10; i++) {
        (void)next(&g, 2);
    }
    p->domain = "sales";
    p->name = "web-orders";
    p->version = (struct sf_version){(uint32_t)next(&g, 1000000), 2, (uint32_t)next(&g, 20)};
    p->status = (enum sf_status)next(&g, 4);
    p->compatibility = (enum sf_compat_mode)next(&g, SF_COMPAT_MODES);
    if (p->status == SF_STATUS_DEPRECATED || p->status == SF_STATUS_RETIRED) {
        p->has_since = next(&g, 2) == 0;
        p->since_days = p->has_since ? (int32_t)next(&g, 30000) : 0;
        p->has_sunset = next(&g, 2) == 0;
        p->sunset_days = p->has_sunset ? (int32_t)next(&g, 30000) : 0;
        p->successor = next(&g, 2) == 0 ? "sales/web-orders@7" : NULL;
        p->deprecation_note = maybe_text(&g);
    }
    p->access = (enum sf_access)next(&g, 3);
    p->owner = maybe_text(&g);
    p->description = maybe_text(&g);
    p->slo_freshness_us = (int64_t)next(&g, 3) * 90000000;
    p->slo_retention_us = (int64_t)next(&g, 1000000);
    p->slo_availability = next(&g, 2) == 0 ? "99.95%" : NULL;
    p->table_count = 1 + next(&g, 3);
    tables = sf_arena_calloc(&p->arena, p->table_count, sizeof(*tables));
    p->tables = tables;
    for (unsigned i = 0; i < p->table_count; i++) {
        grow_table(&g, &tables[i], i);
    }
    return p;
}

static void test_reading_what_was_written_gives_the_same_product(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct sf_product *p = grow_product(seed);
        struct sf_product *back;
        struct sf_buf out = {0};
        struct sf_buf again = {0};

        sf_product_print(p, NULL, &out);
        back = read(sf_buf_view(&out));
        if (!sf_product_equal(p, back)) {
            fail_msg("seed %llu is another product:\n%s", (unsigned long long)seed,
                     sf_buf_cstr(&out));
        }
        sf_product_print(back, NULL, &again);
        assert_true(sf_slice_equal(sf_buf_view(&out), sf_buf_view(&again)));
        sf_buf_done(&out);
        sf_buf_done(&again);
        sf_product_free(back);
        sf_product_free(p);
    }
}

static void test_policies_stand_one_to_a_line_whatever_they_say(void **state)
{
    static const char head[] = "sheaf: product/v1\nproduct: d/p\nversion: 1.0.0\nstatus: active\n"
                               "tables:\n  t:\n    kind: event\n    fields:\n"
                               "      a: {number: 1, type: string}\n";
    struct sf_buf text = {0};
    struct sf_buf out = {0};
    struct sf_product *p;
    struct sf_product *back;

    (void)state;
    sf_buf_printf(&text,
                  "%spolicies:\n"
                  "  - name: mail\n"
                  "    # why\n"
                  "    match: {field: [a, 'b c'], class: pii}\n"
                  "    mask: keep_first(2, 5)\n"
                  "    expires: 2027-06-30T12:00:00Z\n"
                  "    x-empty:\n"
                  "  - {\"name\": rows, filter: \"a = 'NO'\"}\n",
                  head);
    p = read(sf_buf_view(&text));
    assert_int_equal(p->policy_count, 2);
    assert_int_equal(p->policies[0].line, 14);
    assert_int_equal(p->policies[1].line, 17);
    sf_product_print(p, NULL, &out);
    assert_non_null(strstr(sf_buf_cstr(&out),
                           "policies:\n"
                           "  - {name: mail, match: {field: [a, \"b c\"], class: pii}, mask: "
                           "\"keep_first(2, 5)\", expires: 2027-06-30T12:00:00Z, x-empty: null}\n"
                           "  - {name: rows, filter: \"a = 'NO'\"}\n"));
    back = read(sf_buf_view(&out));
    assert_true(sf_product_equal(p, back));
    sf_product_free(p);
    sf_product_free(back);
    sf_buf_done(&text);
    sf_buf_done(&out);
}

static void test_products_differ_in_every_word(void **state)
{
    static const char base[] = "sheaf: product/v1\nproduct: d/p\nversion: 1.0.0\ntables:\n"
                               "  t:\n    key: [a]\n    fields:\n"
                               "      a: {number: 1, type: string, required: true}\n"
                               "      b: {number: 2, type: \"decimal(9,2)\"}\n";
    static const char *const changes[][2] = {
        {"d/p", "d/q"},
        {"d/p", "e/p"},
        {"1.0.0", "1.0.1"},
        {"version", "status: draft\nversion"},
        {"version", "compatibility: full\nversion"},
        {"version", "owner: x\nversion"},
        {"version", "description: x\nversion"},
        {"version", "tags: [x]\nversion"},
        {"version", "support: {email: a@b.c}\nversion"},
        {"version", "slo: {freshness: 1h}\nversion"},
        {"version", "slo: {retention: 1h}\nversion"},
        {"version", "slo: {availability: 9%}\nversion"},
        {"version", "access: {default: open}\nversion"},
        {"version", "access: {approvers: [x]}\nversion"},
        {"version", "policies: [{name: a, mask: hash}]\nversion"},
        {"  t:", "  u:"},
        {"    key", "    description: x\n    key"},
        {"    key", "    reserved: [7]\n    key"},
        {"    key", "    reserved: [gone]\n    key"},
        {"    key: [a]\n", ""},
        {"a: {number: 1,", "a: {number: 3,"},
        {"b: {", "c: {"},
        {"9,2", "8,2"},
        {"9,2", "9,1"},
        {"\"decimal(9,2)\"", "bool"},
        {"2)\"", "2)\", required: true"},
        {"2)\"", "2)\", class: public"},
        {"2)\"", "2)\", min: 1"},
        {"2)\"", "2)\", max: 1"},
        {"2)\"", "2)\", default: 1"},
        {"2)\"", "2)\", enum: [1]"},
        {"2)\"", "2)\", unit: x"},
        {"2)\"", "2)\", example: x"},
        {"2)\"", "2)\", source: x"},
        {"2)\"", "2)\", ref: a/b.c"},
        {"2)\"", "2)\", tags: [x]"},
        {"string", "string, format: uri"},
        {"string", "string, min_length: 2"},
        {"string", "string, max_length: 2"},
        {"string", "string, pattern: x"},
        {"string", "string, description: x"},
    };
    struct sf_product *p = read(sf_slice_text(base));

    (void)state;
    for (size_t i = 0; i < SF_COUNT(changes); i++) {
        const char *at = strstr(base, changes[i][0]);
        struct sf_buf text = {0};
        struct sf_product *other;

        sf_buf_append(&text, base, (size_t)(at - base));
        sf_buf_text(&text, changes[i][1]);
        sf_buf_text(&text, at + strlen(changes[i][0]));
        other = read(sf_buf_view(&text));
        if (sf_product_equal(p, other) || sf_product_equal(other, p)) {
            fail_msg("'%s' makes no difference", changes[i][1]);
        }
        sf_product_free(other);
        sf_buf_done(&text);
    }
    assert_true(sf_product_equal(p, p));
    sf_product_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_one_line_per_field),
        cmocka_unit_test(test_characters_that_may_end_a_line_are_escaped),
        cmocka_unit_test(test_reading_what_was_written_gives_the_same_product),
        cmocka_unit_test(test_policies_stand_one_to_a_line_whatever_they_say),
        cmocka_unit_test(test_products_differ_in_every_word),
    };

    return cmocka_run_group_tests_name("product_print", tests, NULL, NULL);
}
