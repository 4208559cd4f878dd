#include "tests/lib/cmocka.h"

#include "cli/follow.h"

static struct follow_span span(uint64_t first, uint64_t last, uint64_t prev)
{
    return (struct follow_span){.epoch = 1, .first = first, .last = last, .prev = prev};
}

static enum follow_verdict look(struct follow *f, struct follow_span s)
{
    return follow_look(f, &s);
}

static void test_headers_give_spans(void **state)
{
    struct follow_span s;

    (void)state;
    assert_true(follow_parse("3:10-12", "9", NULL, &s));
    assert_int_equal(s.epoch, 3);
    assert_int_equal(s.first, 10);
    assert_int_equal(s.last, 12);
    assert_int_equal(s.prev, 9);
    assert_true(follow_parse(NULL, "9", "3:14", &s));
    assert_int_equal(s.first, 0);
    assert_int_equal(s.head, 14);
}

static void test_headers_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "1",
                                      "1:",
                                      "1:2",
                                      "1:5-4",
                                      "1:0-4",
                                      "x:1-2",
                                      "1:1-2 ",
                                      "4294967296:1-2",
                                      "1:1-99999999999999999999"};
    struct follow_span s;
    uint32_t epoch = 0;
    uint64_t seq = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(follow_parse(bad[i], "0", NULL, &s));
    }
    assert_false(follow_parse("1:1-2", NULL, NULL, &s));
    assert_false(follow_parse("1:1-2", "1", NULL, &s)); /* before itself */
    assert_false(follow_parse(NULL, "1", NULL, &s));
    assert_false(follow_parse(NULL, "1", "1:2-3", &s));
    assert_false(follow_parse_position("1:2-3", &epoch, &seq));
    assert_false(follow_parse_position(NULL, &epoch, &seq));
}

static void test_what_is_new_seen_or_missing(void **state)
{
    struct follow f = {.known = true, .epoch = 1, .at = 5};

    (void)state;
    assert_int_equal(look(&f, span(6, 8, 5)), FOLLOW_NEW);
    assert_int_equal(look(&f, span(4, 5, 3)), FOLLOW_SEEN);
    assert_int_equal(look(&f, span(4, 7, 3)), FOLLOW_NEW); /* overlaps: its end is new */
    assert_int_equal(look(&f, span(9, 9, 8)), FOLLOW_GAP);
    assert_int_equal(look(&f, span(9, 9, 5)), FOLLOW_NEW); /* 6 to 8 are not for us */
    follow_taken(&f, 1, 9);
    assert_int_equal(look(&f, span(9, 9, 5)), FOLLOW_SEEN);
    follow_taken(&f, 1, 2);
    assert_int_equal(f.at, 9);
}

static void test_heartbeats_show_a_loss(void **state)
{
    struct follow f = {.known = true, .epoch = 1, .at = 5};
    struct follow_span s = {.epoch = 1, .prev = 5, .head = 9};

    (void)state;
    assert_int_equal(look(&f, s), FOLLOW_SEEN);
    s.prev = 7;
    assert_int_equal(look(&f, s), FOLLOW_GAP);
}

static void test_heartbeats_show_a_table_that_went_back(void **state)
{
    struct follow f = {.known = true, .epoch = 1, .at = 5};
    struct follow_span s = {.epoch = 1, .prev = 3, .head = 5};

    (void)state;
    assert_int_equal(look(&f, s), FOLLOW_SEEN);
    s.head = 4;
    assert_int_equal(look(&f, s), FOLLOW_GAP);
}

static void test_first_message_decides_where_to_start(void **state)
{
    struct follow f = {.known = false};

    (void)state;
    assert_int_equal(look(&f, span(6, 8, 5)), FOLLOW_NEW);
    assert_int_equal(f.at, 5);
}

static void test_another_epoch_is_a_gap_and_an_old_one_is_seen(void **state)
{
    struct follow f = {.known = true, .epoch = 2, .at = 100};
    struct follow_span newer = {.epoch = 3, .first = 3, .last = 4, .prev = 2};

    (void)state;
    assert_int_equal(look(&f, span(101, 102, 100)), FOLLOW_SEEN);
    assert_int_equal(look(&f, newer), FOLLOW_GAP);
    follow_taken(&f, 3, 4);
    assert_int_equal(f.at, 4);
    assert_int_equal(f.epoch, 3);
}

static void test_lines_start_with_their_seq(void **state)
{
    (void)state;
    assert_int_equal(follow_line_seq(SF_LITERAL("{\"seq\":17,\"op\":\"upsert\"}")), 17);
    assert_int_equal(follow_line_seq(SF_LITERAL("{\"op\":\"upsert\",\"seq\":17}")), 0);
    assert_int_equal(follow_line_seq(SF_LITERAL("{\"seq\":17}")), 0);
    assert_int_equal(follow_line_seq(SF_LITERAL("")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers_give_spans),
        cmocka_unit_test(test_headers_that_are_none_are_refused),
        cmocka_unit_test(test_what_is_new_seen_or_missing),
        cmocka_unit_test(test_heartbeats_show_a_loss),
        cmocka_unit_test(test_heartbeats_show_a_table_that_went_back),
        cmocka_unit_test(test_first_message_decides_where_to_start),
        cmocka_unit_test(test_another_epoch_is_a_gap_and_an_old_one_is_seen),
        cmocka_unit_test(test_lines_start_with_their_seq),
    };

    return cmocka_run_group_tests_name("follow", tests, NULL, NULL);
}
