#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "common/bus/jetstream.h"
#include "leaf/ingest/seq_set.h"
#include "leaf/ingest/source_file.h"

/* --- sets of seqs ----------------------------------------------------------------------------- */

static void ranges_grow_together(void **state)
{
    struct seq_set *s = sf_calloc(1, sizeof(*s));
    (void)state;

    assert_true(seq_set_add(s, (struct seq_range){5, 6}));
    assert_true(seq_set_add(s, (struct seq_range){10, 10}));
    assert_true(seq_set_add(s, (struct seq_range){1, 2}));
    assert_int_equal(s->count, 3);
    assert_true(seq_set_has(s, 5) && seq_set_has(s, 6) && seq_set_has(s, 10));
    assert_false(seq_set_has(s, 3) || seq_set_has(s, 7) || seq_set_has(s, 11));
    assert_true(seq_set_add(s, (struct seq_range){7, 9})); /* touches both sides */
    assert_int_equal(s->count, 2);
    assert_true(seq_set_add(s, (struct seq_range){0, 20}));
    assert_int_equal(s->count, 1);
    assert_int_equal(seq_set_highest(s), 20);
    sf_free(s);
}

/* Against a plain table of booleans. */
static void a_set_is_what_was_added(void **state)
{
    enum { SPAN = 400 };
    struct seq_set *s = sf_calloc(1, sizeof(*s));
    bool has[SPAN] = {false};
    uint64_t seed = 7;
    (void)state;

    for (int i = 0; i < 300; i++) {
        uint64_t from;
        uint64_t to;

        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
        from = (seed >> 33) % SPAN;
        to = from + (seed >> 50) % 4;
        to = to < SPAN ? to : SPAN - 1;
        assert_true(seq_set_add(s, (struct seq_range){from, to}));
        for (uint64_t n = from; n <= to; n++) {
            has[n] = true;
        }
        for (uint64_t n = 0; n < SPAN; n++) {
            assert_int_equal(seq_set_has(s, n), has[n]);
        }
        for (size_t r = 1; r < s->count; r++) {
            assert_true(s->ranges[r - 1].to + 1 < s->ranges[r].from);
        }
    }
    sf_free(s);
}

static void too_many_ranges_are_refused_and_change_nothing(void **state)
{
    struct seq_set *s = sf_calloc(1, sizeof(*s));
    (void)state;

    for (uint64_t i = 0; i < SEQ_RANGES_MAX; i++) {
        assert_true(seq_set_add(s, (struct seq_range){3 * i, 3 * i}));
    }
    assert_false(seq_set_add(s, (struct seq_range){3 * SEQ_RANGES_MAX, 3 * SEQ_RANGES_MAX}));
    assert_int_equal(s->count, SEQ_RANGES_MAX);
    assert_true(seq_set_add(s, (struct seq_range){1, 2}));
    assert_int_equal(s->count, SEQ_RANGES_MAX - 1);
    sf_free(s);
}

static void a_cursor_has_these_bytes_and_no_others(void **state)
{
    static const uint8_t golden[] = {1, 3, 'S', ' ', 't', 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0, 0,
                                     0, 9, 0,   0,   0,   0, 0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 1, 0};
    struct seq_set *s = sf_calloc(1, sizeof(*s));
    struct sf_buf bytes = {0};
    char stream[SEQ_STREAM_MAX];
    (void)state;

    assert_true(seq_set_add(s, (struct seq_range){0, 9}));
    assert_true(seq_set_add(s, (struct seq_range){11, 256}));
    seq_set_encode(s, "S t", &bytes);
    assert_int_equal(bytes.size, sizeof(golden));
    assert_memory_equal(bytes.data, golden, sizeof(golden));
    assert_int_equal(seq_set_decode(sf_buf_view(&bytes), s, stream, NULL), SF_OK);
    assert_string_equal(stream, "S t");
    assert_int_equal(s->count, 2);
    for (size_t n = 0; n < sizeof(golden); n++) {
        assert_int_equal(seq_set_decode(sf_slice_of(golden, n), s, stream, NULL),
                         n == 5 || n == 21 ? SF_OK : SF_CORRUPT);
    }
    bytes.data[20] = 10; /* The ranges touch. */
    bytes.data[28] = 10;
    assert_int_equal(seq_set_decode(sf_buf_view(&bytes), s, stream, NULL), SF_CORRUPT);
    sf_buf_done(&bytes);
    sf_free(s);
}

/* --- what JetStream says ---------------------------------------------------------------------- */

static void reply_subjects_say_where_a_message_stands(void **state)
{
    struct sf_js_delivery d;
    (void)state;

    assert_true(sf_js_delivery_parse("$JS.ACK.SHOP.c.2.70.9.1700000000000000000.3", &d));
    assert_true(d.times == 2 && d.stream_seq == 70 && d.consumer_seq == 9 && d.pending == 3);
    assert_true(sf_js_delivery_parse("$JS.ACK.hub.ACCHASH.SHOP.c.1.71.10.17.0", &d));
    assert_true(d.times == 1 && d.stream_seq == 71 && d.consumer_seq == 10 && d.pending == 0);
    assert_true(sf_js_delivery_parse("$JS.ACK.hub.ACCHASH.SHOP.c.1.71.10.17.0.rand", &d));
    assert_false(sf_js_delivery_parse(NULL, &d));
    assert_false(sf_js_delivery_parse("_INBOX.x", &d));
    assert_false(sf_js_delivery_parse("$JS.ACK.SHOP.c.2.70.9.17", &d));
    assert_false(sf_js_delivery_parse("$JS.ACK.SHOP.c.2.x.9.17.3", &d));
    assert_false(sf_js_delivery_parse("$JS.ACK.SHOP.c.0.70.9.17.3", &d));
}

static void answers_of_the_api_are_read_and_errors_told_apart(void **state)
{
    struct sf_js_consumer c;
    struct sf_js_stream stream;
    struct sf_error err;
    (void)state;

    assert_int_equal(
        sf_js_stream_read(SF_LITERAL("{\"created\":\"2026-01-01T00:00:00Z\",\"config\":{"
                                     "\"retention\":\"limits\"}}"),
                          &stream, &err),
        SF_OK);
    assert_true(stream.is_limits);
    assert_string_equal(stream.created, "2026-01-01T00:00:00Z");
    assert_int_equal(sf_js_stream_read(SF_LITERAL("{\"error\":{\"code\":404,\"err_code\":10059,"
                                                  "\"description\":\"stream not found\"}}"),
                                       &stream, &err),
                     SF_ABSENT);
    assert_string_equal(err.text, "JetStream: stream not found");
    assert_int_equal(sf_js_stream_read(SF_LITERAL("[]"), &stream, &err), SF_INVALID);
    assert_int_equal(
        sf_js_consumer_read(
            SF_LITERAL("{\"config\":{\"ack_policy\":\"explicit\",\"ack_wait\":10000000000,"
                       "\"max_ack_pending\":5,\"filter_subject\":\"a.>\"},\"delivered\":{"
                       "\"consumer_seq\":7,\"stream_seq\":9},\"ack_floor\":{\"stream_seq\":8},"
                       "\"num_ack_pending\":1,\"num_pending\":2}"),
            &c, &err),
        SF_OK);
    assert_true(c.is_pull && c.is_explicit && c.ack_wait_ns == 10 * SF_NS_PER_S);
    assert_true(c.delivered_stream_seq == 9 && c.delivered_consumer_seq == 7 &&
                c.acked_stream_seq == 8 && c.unacked == 1 && c.pending == 2);
    assert_string_equal(c.filter, "a.>");
}

/* --- the file --------------------------------------------------------------------------------- */

static enum sf_code read_file(const char *text, struct sf_arena *arena, struct source_list *ret,
                              struct sf_buf *report)
{
    struct sf_issues issues;
    struct sf_error err;
    enum sf_code code;

    sf_arena_init(arena, 0);
    sf_issues_init(&issues, "s.yaml", sf_slice_text(text));
    code = source_file_read(arena, &issues, "sales", ret, &err);
    sf_issues_render(&issues, report);
    sf_issues_done(&issues);
    return code;
}

static void a_file_names_sources(void **state)
{
    struct source_list *list = sf_calloc(1, sizeof(*list));
    struct sf_buf report = {0};
    struct sf_arena arena;
    const struct source_entry *e = &list->entries[0];
    (void)state;

    assert_int_equal(read_file("sheaf: sources/v1\nsources:\n  shop:\n    into: orders@2.lines\n"
                               "    stream: SHOP\n    start: new\n    format: csv\n  b:\n"
                               "    into: orders\n    stream: S\n    consumer: mine\n",
                               &arena, list, &report),
                     SF_OK);
    assert_int_equal(list->count, 2);
    assert_string_equal(e->spec.product, "orders");
    assert_string_equal(e->spec.table, "lines");
    assert_int_equal(e->spec.major, 2);
    assert_true(e->spec.only_new);
    assert_string_equal(e->spec.type, "text/csv");
    assert_string_equal(e->spec.consumer, "sheaf-sales-shop");
    assert_null(e->url);
    assert_null(e[1].spec.table);
    assert_string_equal(e[1].spec.consumer, "mine");
    sf_arena_done(&arena);
    sf_buf_done(&report);
    sf_free(list);
}

static void mistakes_of_a_file_are_told_all_at_once(void **state)
{
    struct source_list *list = sf_calloc(1, sizeof(*list));
    struct sf_buf report = {0};
    struct sf_arena arena;
    (void)state;

    assert_int_equal(read_file("sheaf: sources/v2\nsources:\n  shop:\n    into: Orders@0\n"
                               "    format: xml\n    fliter: a\n  b.c:\n    stream: S\n"
                               "    creds: x\n",
                               &arena, list, &report),
                     SF_INVALID);
    assert_non_null(sf_buf_cstr(&report));
    assert_non_null(strstr(sf_buf_cstr(&report), "s.yaml:1:8: error[SHEAF-E0103]: 'sheaf'"));
    assert_non_null(strstr(sf_buf_cstr(&report), "s.yaml:4:11: error[SHEAF-E0103]: 'into'"));
    assert_non_null(strstr(sf_buf_cstr(&report), "s.yaml:5:13"));
    assert_non_null(strstr(sf_buf_cstr(&report), "did you mean 'filter'?"));
    assert_non_null(strstr(sf_buf_cstr(&report), "s.yaml:7:3: error[SHEAF-E0103]: the name"));
    assert_non_null(strstr(sf_buf_cstr(&report), "'into' and 'stream' are required"));
    assert_non_null(strstr(sf_buf_cstr(&report), "'creds' are for a server that 'url' names"));
    sf_arena_done(&arena);
    sf_buf_done(&report);
    sf_free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_grow_together),
        cmocka_unit_test(a_set_is_what_was_added),
        cmocka_unit_test(too_many_ranges_are_refused_and_change_nothing),
        cmocka_unit_test(a_cursor_has_these_bytes_and_no_others),
        cmocka_unit_test(reply_subjects_say_where_a_message_stands),
        cmocka_unit_test(answers_of_the_api_are_read_and_errors_told_apart),
        cmocka_unit_test(a_file_names_sources),
        cmocka_unit_test(mistakes_of_a_file_are_told_all_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
