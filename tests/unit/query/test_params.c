#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "leaf/query/cursor.h"
#include "leaf/query/params.h"
#include "leaf/rowcodec/key.h"
#include "proto/errors.h"
#include "tests/lib/leaf_world.h"

#define DAILY                                                                                      \
    "sheaf: product/v1\nproduct: sales/daily\nversion: 1.0.0\ntables:\n"                           \
    "  daily:\n    kind: state\n    key: [day, shop]\n    fields:\n"                               \
    "      day: {number: 1, type: date, required: true}\n"                                         \
    "      shop: {number: 2, type: string, required: true}\n"                                      \
    "      n: {number: 3, type: int32}\n"

static const uint8_t seal_key[SF_SEAL_KEY_SIZE] = {9};

struct fixture {
    struct leaf_world w;
    struct serving_right orders;
    struct serving_right daily;
    struct query_request request;
    struct sf_error err;
};

static void setup(struct fixture *f)
{
    *f = (struct fixture){0};
    leaf_world_init(&f->w, 1);
    f->orders.product = leaf_world_add(&f->w, world_orders);
    f->daily.product = leaf_world_add(&f->w, DAILY);
}

static void teardown(struct fixture *f)
{
    query_request_done(&f->request);
    leaf_world_done(&f->w);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static enum sf_code from_json(struct fixture *f, const char *text, struct query_params *ret,
                              struct sf_arena *arena)
{
    struct sf_json_doc *doc = NULL;
    enum sf_code code;

    f->err = (struct sf_error){0};
    assert_int_equal(sf_json_parse(sf_slice_text(text), &doc, NULL), SF_OK);
    code = query_params_from_json(sf_json_root(doc), arena, ret, &f->err);
    if (code == SF_OK && ret->table != NULL) {
        ret->table = sf_arena_strdup(arena, ret->table);
    }
    sf_json_free(doc);
    return code;
}

static void a_json_object_may_give_every_parameter(void **state)
{
    struct query_params p = {0};
    struct sf_arena arena;
    struct fixture f;
    (void)state;

    setup(&f);
    sf_arena_init(&arena, 0);
    assert_int_equal(from_json(&f, "{}", &p, &arena), SF_OK);
    assert_null(p.table);
    assert_null(p.key);
    assert_null(p.select);
    assert_int_equal(p.major + p.limit + p.pages, 0);
    assert_int_equal(from_json(&f,
                               "{\"table\":\"orders\",\"major\":2,\"key\":[\"a,b%\",7,\"\\u0001\"],"
                               "\"limit\":5,\"pages\":3,\"select\":[\"note\",\"amount\"]}",
                               &p, &arena),
                     SF_OK);
    assert_string_equal(p.table, "orders");
    assert_int_equal(p.major, 2);
    assert_string_equal(p.key, "a%2Cb%25,7,%01");
    assert_string_equal(p.select, "note,amount");
    assert_int_equal(p.limit, 5);
    assert_int_equal(p.pages, 3);
    assert_int_equal(from_json(&f, "{\"key\":null,\"table\":null}", &p, &arena), SF_OK);
    assert_null(p.key);
    sf_arena_done(&arena);
    teardown(&f);
}

static void every_member_of_a_json_object_is_read(void **state)
{
    static const char body[] =
        "{\"table\":\"t\",\"major\":1,\"key\":[\"k\"],\"from\":\"f\",\"to\":\"o\",\"prefix\":\"x\","
        "\"limit\":2,\"pages\":3,\"cursor\":\"c\",\"select\":[\"s\"],\"after\":\"a\","
        "\"format\":\"m\",\"where\":\"w\",\"reverse\":true,\"count\":true,\"follow\":true,"
        "\"snapshot\":true,\"seconds\":4,\"as_of\":\"p\",\"since\":\"n\",\"flow\":\"l\",\"window\":"
        "5}";
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *doc = NULL;
    struct query_params p = {0};
    struct sf_arena arena;
    (void)state;

    sf_arena_init(&arena, 0);
    assert_int_equal(sf_json_parse(sf_slice_text(body), &doc, NULL), SF_OK);
    assert_int_equal(query_params_from_json(sf_json_root(doc), &arena, &p, NULL), SF_OK);
    const char *const texts[] = {p.table, p.key,    p.from,  p.to,    p.prefix, p.cursor, p.select,
                                 p.after, p.format, p.where, p.as_of, p.since,  p.flow};
    for (size_t i = 0; i < SF_COUNT(texts); i++) {
        assert_non_null(texts[i]);
        assert_int_equal(texts[i][0], "tkfoxcsamwpnl"[i]);
        assert_int_equal(texts[i][1], '\0');
    }
    assert_int_equal(p.major * 10000 + p.limit * 1000 + p.pages * 100 + p.seconds * 10 + p.window,
                     12345);
    assert_true(p.reverse && p.count && p.follow && p.snapshot);
    sf_arena_done(&arena);
}

static void a_plain_get_names_a_key_and_nothing_beside_the_table(void **state)
{
    static const struct {
        const char *body;
        bool is_plain;
    } cases[] = {
        {"{\"key\":[\"a\"]}", true},
        {"{\"key\":[\"a\",\"b\"],\"table\":\"t\",\"major\":1}", true},
        {"{}", false},
        {"{\"table\":\"t\"}", false},
        {"{\"key\":null}", false},
        {"{\"key\":[\"a\"],\"select\":[\"b\"]}", false},
        {"{\"key\":[\"a\"],\"as_of\":\"1:1\"}", false},
        {"{\"key\":[\"a\"],\"format\":\"csv\"}", false},
        {"{\"key\":[\"a\"],\"where\":\"x\"}", false},
        {"{\"key\":[\"a\"],\"count\":true}", false},
        {"{\"key\":[\"a\"],\"window\":1}", false},
    };
    struct sf_arena arena;
    struct fixture f;
    (void)state;

    setup(&f);
    sf_arena_init(&arena, 0);
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        struct query_params p = {.is_plain_get = !cases[i].is_plain};

        assert_int_equal(from_json(&f, cases[i].body, &p, &arena), SF_OK);
        assert_int_equal(p.is_plain_get, cases[i].is_plain);
    }
    sf_arena_done(&arena);
    teardown(&f);
}

static void a_json_object_with_anything_else_is_refused_by_name(void **state)
{
    static const struct {
        const char *body;
        const char *named;
    } cases[] = {
        {"{\"tabel\":\"x\"}", "tabel"},
        {"{\"table\":1}", "table"},
        {"{\"major\":-1}", "major"},
        {"{\"major\":4294967296}", "major"},
        {"{\"major\":\"1\"}", "major"},
        {"{\"limit\":-1}", "limit"},
        {"{\"limit\":1.5}", "limit"},
        {"{\"pages\":\"2\"}", "pages"},
        {"{\"key\":\"a\"}", "key"},
        {"{\"key\":[true]}", "key"},
        {"{\"key\":[[\"a\"]]}", "key"},
        {"{\"select\":\"a\"}", "select"},
        {"{\"select\":[null]}", "select"},
        {"{\"from\":[\"a\"]}", "from"},
        {"{\"cursor\":{}}", "cursor"},
        {"{\"after\":1}", "after"},
        {"{\"format\":false}", "format"},
        {"{\"table\":\"a\",\"table\":\"b\"}", "table"},
        {"{\"table\":\"a\\u0000b\"}", "table"},
        {"[]", ""},
        {"7", ""},
        {"null", ""},
    };
    struct query_params p;
    struct sf_arena arena;
    struct fixture f;
    (void)state;

    setup(&f);
    sf_arena_init(&arena, 0);
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        if (from_json(&f, cases[i].body, &p, &arena) != SF_INVALID ||
            f.err.number != SHEAF_E_BAD_REQUEST || strstr(f.err.text, cases[i].named) == NULL) {
            fail_msg("%s: %u %s", cases[i].body, f.err.number, f.err.text);
        }
    }
    sf_arena_done(&arena);
    teardown(&f);
}

static void a_key_comes_apart_as_it_was_joined(void **state)
{
    static const char *const wanted[] = {"a,b%", "7", "\x01", ""};
    struct sf_slice parts[SF_KEY_FIELDS_MAX];
    struct sf_arena arena;
    struct sf_error err;
    size_t count = 0;
    (void)state;

    sf_arena_init(&arena, 0);
    assert_int_equal(query_params_split("key", "a%2Cb%25,7,%01,", &arena, parts, &count, &err),
                     SF_OK);
    assert_int_equal(count, SF_COUNT(wanted));
    for (size_t i = 0; i < count; i++) {
        assert_true(sf_slice_equal(parts[i], sf_slice_text(wanted[i])));
    }
    assert_int_equal(query_params_split("key", "1,2,3,4,5,6,7,8,9", &arena, parts, &count, &err),
                     SF_INVALID);
    assert_int_equal(err.number, SHEAF_E_BAD_REQUEST);
    sf_arena_done(&arena);
}

static void numbers_of_a_url_are_whole(void **state)
{
    struct sf_error err;
    uint64_t n = 1;
    (void)state;

    assert_int_equal(query_params_number("limit", NULL, &n, &err), SF_OK);
    assert_int_equal(n, 0);
    assert_int_equal(query_params_number("limit", "18446744073709551615", &n, &err), SF_OK);
    assert_true(n == UINT64_MAX);
    assert_int_equal(query_params_number("limit", "", &n, &err), SF_INVALID);
    assert_int_equal(query_params_number("limit", "-1", &n, &err), SF_INVALID);
    assert_int_equal(query_params_number("limit", "18446744073709551616", &n, &err), SF_INVALID);
    assert_int_equal(err.number, SHEAF_E_BAD_REQUEST);
    assert_string_equal(err.text, "'limit' must be a whole number");
}

/* --- building --------------------------------------------------------------------------------- */

static enum sf_code build(struct fixture *f, const struct serving_right *right, enum query_op op,
                          struct query_params p)
{
    query_request_done(&f->request);
    f->err = (struct sf_error){0};
    return query_request_build(&p, op, right, seal_key, &f->request, &f->err);
}

static void assert_refused(struct fixture *f, const struct serving_right *right, enum query_op op,
                           struct query_params p, uint16_t number)
{
    if (build(f, right, op, p) == SF_OK || f->err.number != number) {
        fail_msg("%u instead of %u: %s", f->err.number, number, f->err.text);
    }
}

static void the_table_is_named_or_the_only_one(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    assert_refused(&f, &f.orders, QUERY_SCAN, (struct query_params){0}, SHEAF_E_TABLE_UNKNOWN);
    assert_string_equal(f.err.text, "product sales/orders: name one of its tables");
    assert_refused(&f, &f.orders, QUERY_SCAN, (struct query_params){.table = "x"},
                   SHEAF_E_TABLE_UNKNOWN);
    assert_string_equal(f.err.text, "product sales/orders: table x");
    assert_int_equal(f.err.code, SF_ABSENT);
    assert_int_equal(build(&f, &f.daily, QUERY_SCAN, (struct query_params){0}), SF_OK);
    assert_string_equal(f.request.table->contract->name, "daily");
    assert_int_equal(f.request.view->column_count, 3);
    assert_string_equal(f.request.grant_id, "");
    assert_int_equal(f.request.from.size + f.request.to.size + f.request.prefix.size, 0);
    teardown(&f);
}

static void keys_and_bounds_are_encoded_as_keys_are(void **state)
{
    struct query_params p = {
        .key = "2026-11-20,Oslo%2C%20N", .from = "2026-11-20", .to = "2026-11-21,B"};
    struct sf_value values[3] = {{.present = true, .i = 20777},
                                 {.present = true, .s = SF_LITERAL("Oslo, N")}};
    const struct sf_table *t;
    struct sf_buf key = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    t = f.daily.product->tables[0].contract;
    assert_int_equal(build(&f, &f.daily, QUERY_GET, p), SF_OK);
    assert_int_equal(key_encode(t, values, &key, NULL), SF_OK);
    assert_true(sf_slice_equal(sf_buf_view(&f.request.key), sf_buf_view(&key)));
    assert_int_equal(f.request.from.size, 0); /* A get has no bounds. */

    assert_int_equal(build(&f, &f.daily, QUERY_SCAN, p), SF_OK);
    assert_int_equal(f.request.key.size, 0);
    assert_memory_equal(f.request.from.data, key.data, 4); /* The day alone. */
    assert_int_equal(f.request.from.size, 4);
    values[0].i++;
    values[1].s = SF_LITERAL("B");
    sf_buf_clear(&key);
    assert_int_equal(key_encode(t, values, &key, NULL), SF_OK);
    assert_true(sf_slice_equal(sf_buf_view(&f.request.to), sf_buf_view(&key)));

    /* A beginning of a string is cut open; a whole part of another type is not. */
    p = (struct query_params){.prefix = "2026-11-21,B"};
    assert_int_equal(build(&f, &f.daily, QUERY_SCAN, p), SF_OK);
    assert_int_equal(f.request.prefix.size, 5);
    assert_memory_equal(f.request.prefix.data, key.data, 5);
    p.prefix = "2026-11-21";
    assert_int_equal(build(&f, &f.daily, QUERY_SCAN, p), SF_OK);
    assert_int_equal(f.request.prefix.size, 4);
    sf_buf_done(&key);
    teardown(&f);
}

static void keys_that_are_none_are_refused(void **state)
{
    static const char *const keys[] = {"", "2026-11-20", "2026-11-20,a,b", "yesterday,a",
                                       "1,2,3,4,5,6,7,8,9"};
    struct fixture f;
    (void)state;

    setup(&f);
    assert_refused(&f, &f.daily, QUERY_GET, (struct query_params){0}, SHEAF_E_BAD_REQUEST);
    assert_string_equal(f.err.text, "'key' is missing");
    for (size_t i = 0; i < SF_COUNT(keys); i++) {
        assert_refused(&f, &f.daily, QUERY_GET, (struct query_params){.key = keys[i]},
                       SHEAF_E_BAD_REQUEST);
    }
    assert_refused(&f, &f.daily, QUERY_GET, (struct query_params){.key = "2026-11-20"},
                   SHEAF_E_BAD_REQUEST);
    assert_string_equal(f.err.text, "'key' has 1 of its 2 parts");
    assert_refused(&f, &f.daily, QUERY_SCAN, (struct query_params){.to = "2026-13-01"},
                   SHEAF_E_BAD_REQUEST);
    assert_refused(&f, &f.daily, QUERY_SCAN, (struct query_params){.prefix = "2026"},
                   SHEAF_E_BAD_REQUEST);
    assert_refused(&f, &f.daily, QUERY_SCAN, (struct query_params){.prefix = "1,2,3,4,5,6,7,8,9"},
                   SHEAF_E_BAD_REQUEST);
    teardown(&f);
}

static void rows_of_event_tables_go_by_their_seqs(void **state)
{
    struct query_params p = {.table = "clicks", .from = "5", .to = "9"};
    struct fixture f;
    (void)state;

    setup(&f);
    assert_int_equal(build(&f, &f.orders, QUERY_SCAN, p), SF_OK);
    assert_int_equal(f.request.after_seq, 4);
    assert_int_equal(f.request.before_seq, 9);
    p.from = "0";
    p.to = NULL;
    assert_int_equal(build(&f, &f.orders, QUERY_SCAN, p), SF_OK);
    assert_int_equal(f.request.after_seq, 0);
    assert_true(f.request.before_seq == UINT64_MAX);
    p.from = "x";
    assert_refused(&f, &f.orders, QUERY_SCAN, p, SHEAF_E_BAD_REQUEST);
    assert_string_equal(f.err.text, "'from' must be a whole number");
    p.from = NULL;
    p.prefix = "1";
    assert_refused(&f, &f.orders, QUERY_SCAN, p, SHEAF_E_BAD_REQUEST);
    assert_string_equal(f.err.text, "table 'clicks' has no key: use from and to with seqs");
    p = (struct query_params){.table = "clicks", .key = "7"};
    assert_int_equal(build(&f, &f.orders, QUERY_GET, p), SF_OK);
    assert_memory_equal(f.request.key.data, "\0\0\0\0\0\0\0\7", 8);
    teardown(&f);
}

static void fields_are_selected_within_the_right(void **state)
{
    static const char *const named[] = {"order_id", "amount", "email"};
    const struct grant grant = {
        .id = "G-9", .consumer = "billing", .columns = named, .column_count = 3};
    struct query_params p = {.table = "orders", .select = "email,amount"};
    struct fixture f;
    (void)state;

    setup(&f);
    assert_int_equal(build(&f, &f.orders, QUERY_SCAN, p), SF_OK);
    assert_int_equal(f.request.view->column_count, 2);
    f.orders.serving = &f.w.serving;
    f.orders.grant = &grant;
    assert_refused(&f, &f.orders, QUERY_SCAN, p, SHEAF_E_FIELD_UNKNOWN); /* hidden is unknown */
    assert_string_equal(f.err.text, "table 'orders' has no field 'email'");
    p.select = "amount";
    assert_int_equal(build(&f, &f.orders, QUERY_SCAN, p), SF_OK);
    assert_int_equal(f.request.view->column_count, 1);
    assert_string_equal(f.request.view->columns[0].field->name, "amount");
    assert_string_equal(f.request.grant_id, "G-9");
    assert_string_equal(f.request.consumer, "billing");
    p.select = "amount,nothing";
    assert_refused(&f, &f.orders, QUERY_SCAN, p, SHEAF_E_FIELD_UNKNOWN);
    p.select = "amount,";
    assert_int_equal(build(&f, &f.orders, QUERY_SCAN, p), SF_OK);
    p.select = NULL;
    assert_int_equal(build(&f, &f.orders, QUERY_SCAN, p), SF_OK);
    assert_int_equal(f.request.view->column_count, 2);
    teardown(&f);
}

/* What is found, or not, by a value of a field tells that value. */
static void nobody_asks_by_fields_of_the_key_that_the_grant_leaves_out(void **state)
{
    static const char people[] =
        "sheaf: product/v1\nproduct: sales/people\nversion: 1.0.0\ntables:\n"
        "  people:\n    kind: state\n    key: [email]\n    fields:\n"
        "      email: {number: 1, type: string, required: true, class: pii}\n"
        "      n: {number: 2, type: int32}\n";
    static const char *const no_day[] = {"shop", "n"};
    static const char *const no_shop[] = {"day", "n"};
    const struct grant all = {.id = "G-1", .consumer = "billing"};
    const struct grant shops = {
        .id = "G-2", .consumer = "billing", .columns = no_day, .column_count = 2};
    const struct grant days = {
        .id = "G-3", .consumer = "billing", .columns = no_shop, .column_count = 2};
    const struct query_params whole = {.key = "2026-11-20,a"};
    const struct query_params first[] = {
        {.from = "2026-11-20"}, {.to = "2026-11-20"}, {.prefix = "2026-11-20"}};
    const struct query_params second[] = {
        {.from = "2026-11-20,a"}, {.to = "2026-11-20,a"}, {.prefix = "2026-11-20,a"}};
    struct serving_right by_email;
    struct fixture f;
    (void)state;

    setup(&f);
    by_email = (struct serving_right){
        .serving = &f.w.serving, .product = leaf_world_add(&f.w, people), .grant = &all};
    assert_refused(&f, &by_email, QUERY_GET, (struct query_params){.key = "a@b.example"},
                   SHEAF_E_POLICY_DENIES);
    assert_string_equal(f.err.text, "'key': you do not see the key of table 'people', or not as it "
                                    "is; 'where' goes by what you see");
    assert_refused(&f, &by_email, QUERY_SCAN, (struct query_params){.prefix = "a"},
                   SHEAF_E_POLICY_DENIES);
    assert_int_equal(build(&f, &by_email, QUERY_SCAN, (struct query_params){0}), SF_OK);

    f.daily.serving = &f.w.serving;
    f.daily.grant = &shops;
    assert_refused(&f, &f.daily, QUERY_GET, whole, SHEAF_E_POLICY_DENIES);
    for (size_t i = 0; i < SF_COUNT(first); i++) {
        f.daily.grant = &shops;
        assert_refused(&f, &f.daily, QUERY_SCAN, first[i], SHEAF_E_POLICY_DENIES);
        f.daily.grant = &days;
        assert_int_equal(build(&f, &f.daily, QUERY_SCAN, first[i]), SF_OK);
        assert_refused(&f, &f.daily, QUERY_SCAN, second[i], SHEAF_E_POLICY_DENIES);
        f.daily.grant = &all;
        assert_int_equal(build(&f, &f.daily, QUERY_SCAN, second[i]), SF_OK);
    }
    f.daily.grant = &days;
    assert_refused(&f, &f.daily, QUERY_GET, whole, SHEAF_E_POLICY_DENIES);
    /* The right decides, not what is shown of it. */
    f.daily.grant = &all;
    assert_int_equal(
        build(&f, &f.daily, QUERY_SCAN, (struct query_params){.from = "2026-11-20", .select = "n"}),
        SF_OK);
    teardown(&f);
}

static void formats_and_positions_are_checked(void **state)
{
    static const char *const positions[] = {"",     "7",    "1:", ":7", "1:x", "4294967296:1",
                                            "1:-1", "1:2:3"};
    struct query_params p = {.table = "orders", .format = "csv", .after = "3:17"};
    struct fixture f;
    (void)state;

    setup(&f);
    assert_int_equal(build(&f, &f.orders, QUERY_SCAN, p), SF_OK);
    assert_int_equal(f.request.format, QUERY_CSV);
    assert_false(f.request.has_after);
    assert_refused(&f, &f.orders, QUERY_CHANGES, p, SHEAF_E_BAD_REQUEST);
    assert_string_equal(f.err.text, "'format' must be ndjson");
    p.format = "ndjson";
    assert_int_equal(build(&f, &f.orders, QUERY_CHANGES, p), SF_OK);
    assert_true(f.request.has_after);
    assert_int_equal(f.request.after_epoch, 3);
    assert_int_equal(f.request.after_seq, 17);
    p.format = "xml";
    assert_refused(&f, &f.orders, QUERY_SCAN, p, SHEAF_E_BAD_REQUEST);
    assert_string_equal(f.err.text, "'format' must be ndjson or csv");
    p.format = NULL;
    for (size_t i = 0; i < SF_COUNT(positions); i++) {
        p.after = positions[i];
        assert_refused(&f, &f.orders, QUERY_CHANGES, p, SHEAF_E_BAD_REQUEST);
    }
    teardown(&f);
}

static void a_cursor_is_good_for_its_table_and_epoch(void **state)
{
    struct query_place place = {.epoch = 1, .key = SF_LITERAL("O-1\0\0")};
    struct query_params p = {.table = "orders", .from = "A"};
    char text[QUERY_CURSOR_MAX];
    struct fixture f;
    (void)state;

    setup(&f);
    place.lane = store_lane_id(served_product_table(f.orders.product, "orders")->lane);
    place.epoch = store_lane_head(served_product_table(f.orders.product, "orders")->lane)->epoch;
    p.cursor = text;
    assert_int_equal(query_cursor_make(seal_key, &place, text, sizeof(text), NULL), SF_OK);
    assert_int_equal(build(&f, &f.orders, QUERY_SCAN, p), SF_OK);
    /* It goes on behind the key, whatever from says. */
    assert_memory_equal(f.request.from.data, "O-1\0\0\0", 6);
    assert_int_equal(f.request.from.size, 6);
    p.table = "clicks";
    p.from = NULL;
    assert_refused(&f, &f.orders, QUERY_SCAN, p, SHEAF_E_BAD_CURSOR);
    p.table = "orders";
    text[3] = text[3] == 'A' ? 'B' : 'A';
    assert_refused(&f, &f.orders, QUERY_SCAN, p, SHEAF_E_BAD_CURSOR);
    place.epoch++;
    assert_int_equal(query_cursor_make(seal_key, &place, text, sizeof(text), NULL), SF_OK);
    assert_refused(&f, &f.orders, QUERY_SCAN, p, SHEAF_E_BAD_CURSOR);
    teardown(&f);
}

static void out_of_memory_is_an_error_at_every_allocation(void **state)
{
    const struct query_params p = {.table = "orders",
                                   .from = "a%2C",
                                   .to = "b",
                                   .prefix = "a",
                                   .select = "amount,note",
                                   .where = "amount > 1",
                                   .reverse = true};
    struct fixture f;
    (void)state;

    setup(&f);
    for (long n = 0;; n++) {
        enum sf_code code;

        sf_alloc_fail_after(n, false);
        code = build(&f, &f.orders, QUERY_SCAN, p);
        if (sf_alloc_faults() == 0) {
            assert_int_equal(code, SF_OK);
            break;
        }
        assert_int_equal(code, SF_NOMEM);
    }
    sf_alloc_fail_after(-1, false);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_json_object_may_give_every_parameter),
        cmocka_unit_test(every_member_of_a_json_object_is_read),
        cmocka_unit_test(a_plain_get_names_a_key_and_nothing_beside_the_table),
        cmocka_unit_test(a_json_object_with_anything_else_is_refused_by_name),
        cmocka_unit_test(a_key_comes_apart_as_it_was_joined),
        cmocka_unit_test(numbers_of_a_url_are_whole),
        cmocka_unit_test(the_table_is_named_or_the_only_one),
        cmocka_unit_test(keys_and_bounds_are_encoded_as_keys_are),
        cmocka_unit_test(keys_that_are_none_are_refused),
        cmocka_unit_test(rows_of_event_tables_go_by_their_seqs),
        cmocka_unit_test(fields_are_selected_within_the_right),
        cmocka_unit_test(nobody_asks_by_fields_of_the_key_that_the_grant_leaves_out),
        cmocka_unit_test(formats_and_positions_are_checked),
        cmocka_unit_test(a_cursor_is_good_for_its_table_and_epoch),
        cmocka_unit_test(out_of_memory_is_an_error_at_every_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
