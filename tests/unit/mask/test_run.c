#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "leaf/rowcodec/row.h"
#include "tests/lib/masks.h"

static const struct sf_field fields[] = {
    {.number = 1, .name = "flag", .type = SF_TYPE_BOOL},
    {.number = 2, .name = "small", .type = SF_TYPE_INT32},
    {.number = 3, .name = "price", .type = SF_TYPE_DECIMAL, .precision = 4, .scale = 2},
    {.number = 4, .name = "note", .type = SF_TYPE_STRING},
    {.number = 5, .name = "day", .type = SF_TYPE_DATE},
    {.number = 6, .name = "measure", .type = SF_TYPE_DOUBLE},
    {.number = 7, .name = "ratio", .type = SF_TYPE_FLOAT},
};
enum { FIELDS = SF_COUNT(fields) };
static const struct sf_table table = {
    .name = "t", .fields = fields, .field_count = FIELDS, .event_time = -1};

enum { OUT = 4096 };

/* Masks field @number of the row; the size, or -1 when it is dropped. */
static long run(uint32_t number, const char *text, struct sf_slice row, uint8_t *out,
                size_t *nulled)
{
    SF_CLEANUP(sf_mask_program_freep) struct sf_mask_program *p = NULL;
    struct sf_mask masks[FIELDS] = {0};
    struct sf_mask_outcome outcome;
    struct sf_arena arena;
    struct sf_error err;
    bool ok;

    sf_arena_init(&arena, 0);
    masks[number - 1] = masks_of(text, &arena);
    assert_int_equal(sf_mask_compile(&table, masks, &p, &err), SF_OK);
    assert_true(sf_mask_room(p, row.size) <= OUT);
    ok = sf_mask_run(p, row, &masks_hasher, out, &outcome);
    *nulled = outcome.nulled;
    sf_arena_done(&arena);
    return ok ? (long)outcome.size : -1;
}

#define assert_row(number, text, row, wanted)                                                      \
    check_row(number, text, SF_LITERAL(row), SF_LITERAL(wanted), 0)
#define assert_nulled(number, text, row, wanted)                                                   \
    check_row(number, text, SF_LITERAL(row), SF_LITERAL(wanted), 1)
static void check_row(uint32_t number, const char *text, struct sf_slice row,
                      struct sf_slice wanted, size_t wanted_nulled)
{
    uint8_t out[OUT];
    size_t nulled;
    long size = run(number, text, row, out, &nulled);

    assert_int_equal(size, wanted.size);
    assert_memory_equal(out, wanted.data, wanted.size);
    assert_int_equal(nulled, wanted_nulled);
}

#define assert_dropped(number, text, row) check_dropped(number, text, SF_LITERAL(row))
static void check_dropped(uint32_t number, const char *text, struct sf_slice row)
{
    uint8_t out[OUT];
    size_t nulled;

    assert_int_equal(run(number, text, row, out, &nulled), -1);
}

static void test_fields_that_are_not_seen_leave_no_bytes(void **state)
{
    (void)state;
    assert_row(4, "omit",
               "\x08\x01\x10\x04\x22\x03"
               "abc\x28\x02",
               "\x08\x01\x10\x04\x28\x02");
    assert_row(4, "null",
               "\x10\x04\x22\x03"
               "abc",
               "\x10\x04");
    assert_row(1, "omit", "", "");
    /* A field the table does not have. */
    assert_row(1, "null",
               "\x08\x01\x10\x04\x42\x03"
               "abc\x48\x02",
               "\x10\x04");
}

static void test_redacted_and_constant_values_are_the_same_for_all(void **state)
{
    (void)state;
    assert_row(4, "redact",
               "\x10\x04\x22\x03"
               "abc\x28\x02",
               "\x10\x04\x22\x03***\x28\x02");
    assert_row(2, "redact", "\x10\x04\x22\x01z", "\x12\x03***\x22\x01z");
    assert_row(4, "redact", "\x10\x04", "\x10\x04"); /* null is seen */
    assert_row(2, "constant(-1)", "\x08\x01\x10\x04\x22\x01z", "\x08\x01\x10\x01\x22\x01z");
    assert_row(2, "constant(-1)", "\x08\x01\x22\x01z", "\x08\x01\x10\x01\x22\x01z");
    assert_row(2, "constant(-1)", "", "\x10\x01");
    assert_row(7, "constant(0.5)", "\x08\x01", "\x08\x01\x3D\x00\x00\x00\x3F");
}

static void test_ends_of_texts_are_kept_in_characters(void **state)
{
    (void)state;
    assert_row(4, "keep_last(2)",
               "\x22\x05"
               "abcde",
               "\x22\x05***de");
    assert_row(4, "keep_first(2)",
               "\x22\x05"
               "abcde",
               "\x22\x05"
               "ab***");
    assert_row(4, "keep_last(2)", "\x22\x04\xC3\xA9\xC3\xB8", "\x22\x05*****");
    assert_row(4, "keep_last(2)", "\x22\x05\xC3\xA9z\xC3\xB8", "\x22\x06***z\xC3\xB8");
    assert_row(4, "keep_first(1)", "\x22\x05\xF0\x9F\x98\x80z", "\x22\x07\xF0\x9F\x98\x80***");
    assert_row(4, "keep_last(2, 5)",
               "\x22\x05"
               "abcde",
               "\x22\x05*****");
    assert_row(4, "keep_last(2)", "\x22\x00", "\x22\x05*****");
    assert_dropped(4, "keep_last(2)", "\x22\x03\x80\x80\x80");
}

static void test_domains_are_kept_when_they_are_some(void **state)
{
    (void)state;
    assert_row(4, "keep_domain",
               "\x22\x0E"
               "ab@corp.exampl",
               "\x22\x0F***@corp.exampl");
    assert_row(4, "keep_domain",
               "\x22\x05"
               "a@b@c",
               "\x22\x05***@c");
    assert_row(4, "keep_domain",
               "\x22\x03"
               "abc",
               "\x22\x03***");
    assert_row(4, "keep_domain",
               "\x22\x03"
               "ab@",
               "\x22\x03***");
    assert_row(4, "keep_domain",
               "\x22\x07"
               "a@b c.d",
               "\x22\x03***");
}

static void test_numbers_go_to_their_grid(void **state)
{
    (void)state;
    assert_row(2, "bucket(10)", "\x10\x32", "\x10\x28");                /* 25 -> 20 */
    assert_row(2, "bucket(10)", "\x10\x31", "\x10\x3B");                /* -25 -> -30 */
    assert_row(2, "round(-1)", "\x10\x32", "\x10\x3C");                 /* 25 -> 30 */
    assert_row(2, "round(-1)", "\x10\x31", "\x10\x3B");                 /* -25 -> -30 */
    assert_row(2, "round(-1)", "\x10\x30", "\x10\x28");                 /* 24 -> 20 */
    assert_row(3, "round(1)", "\x18\x0A", "\x18\x14");                  /* 0.05 -> 0.10 */
    assert_row(3, "round(0)", "\x18\x9E\x9C\x01", "\x18\xD8\x9A\x01");  /* 99.99 -> 99.00 */
    assert_row(3, "bucket(1)", "\x18\x9D\x9C\x01", "\x18\xD7\x9A\x01"); /* -99.99 -> -99.00 */
    /* INT32_MIN: the lowest bucket is cut off, its other end is -2147483640 */
    assert_row(2, "bucket(10)", "\x10\xFF\xFF\xFF\xFF\x0F", "\x10\xEF\xFF\xFF\xFF\x0F");
    assert_dropped(2, "bucket(10)", "\x10\x80\x80\x80\x80\x20");
    assert_dropped(2, "bucket(10)", "\x12\x01x");
}

static void test_doubles_that_have_no_grid_are_null_and_counted(void **state)
{
    (void)state;
    assert_row(6, "bucket(2)", "\x31\0\0\0\0\0\0\x0C\x40", "\x31\0\0\0\0\0\0\0\x40"); /* 3.5 -> 2 */
    assert_row(6, "round(0)", "\x31\0\0\0\0\0\0\x0C\x40", "\x31\0\0\0\0\0\0\x10\x40"); /* 4 */
    assert_row(6, "round(0)", "\x31\0\0\0\0\0\0\xD0\xBF", "\x31\0\0\0\0\0\0\0\0"); /* -0.25 -> 0 */
    assert_nulled(6, "round(0)", "\x31\0\0\0\0\0\0\xE0\x7F\x3D\0\0\0\x3F", "\x3D\0\0\0\x3F");
    assert_nulled(6, "bucket(10)", "\x08\x01\x31\0\0\0\0\0\0\xE0\x7F", "\x08\x01");
    assert_row(7, "round(0)", "\x3D\0\0\0\x3F", "\x39\0\0\0\0\0\0\xF0\x3F"); /* 0.5f -> 1.0 */
    assert_dropped(6, "round(0)", "\x31\0\0\0\0\0\0\xF0\x7F");               /* infinity */
}

static void test_dates_go_to_the_first_day(void **state)
{
    (void)state;
    assert_row(5, "truncate(month)", "\x28\x3C", "\x28\x00"); /* 1970-01-31 */
    assert_row(5, "truncate(month)", "\x28\x40", "\x28\x3E"); /* 1970-02-02 */
    assert_row(5, "truncate(quarter)", "\x28\x40", "\x28\x00");
    assert_row(5, "truncate(year)", "\x28\x01", "\x28\xD9\x05"); /* 1969-12-31 -> 1969-01-01 */
}

static void test_hashes_are_of_the_value_under_the_key(void **state)
{
    (void)state;
    assert_row(4, "hash",
               "\x22\x03"
               "abc",
               "\x22\x20"
               "d619332774be66b203790f1f763704c7");
    assert_row(2, "hash", "\x10\x0E",
               "\x12\x20"
               "bc85708f23e7498b2085997e8209441c");
    assert_row(4, "hash", "\x10\x0E", "\x10\x0E"); /* null is seen */
}

static void test_bytes_that_are_no_row_are_dropped(void **state)
{
    (void)state;
    assert_dropped(2, "null", "\x08");
    assert_dropped(2, "null", "\x10\x02\x10\x02");
    assert_dropped(2, "null", "\x10\x02\x08\x01");
    assert_dropped(2, "null", "\x12\x01x");        /* of another type */
    assert_dropped(2, "null", "\x10\x02\x20\x01"); /* the same of one that is kept */
    assert_dropped(4, "hash",
                   "\x22\x04"
                   "abc");
    assert_dropped(4, "redact", "\x22\x01x\x22\x01y"); /* twice */
}

static void test_no_memory_gives_no_program(void **state)
{
    struct sf_mask masks[FIELDS] = {
        [1] = {.kind = SF_MASK_REDACT}, [3] = {.kind = SF_MASK_CONSTANT, .text = SF_LITERAL("x")}};
    long faults = 1;

    (void)state;
    for (long n = 0; faults > 0; n++) {
        SF_CLEANUP(sf_mask_program_freep) struct sf_mask_program *p = NULL;
        struct sf_error err;
        enum sf_code code;

        sf_alloc_fail_after(n, 0);
        code = sf_mask_compile(&table, masks, &p, &err);
        faults = sf_alloc_faults();
        sf_alloc_fail_after(-1, 0);
        assert_int_equal(code, faults > 0 ? SF_NOMEM : SF_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_that_are_not_seen_leave_no_bytes),
        cmocka_unit_test(test_redacted_and_constant_values_are_the_same_for_all),
        cmocka_unit_test(test_ends_of_texts_are_kept_in_characters),
        cmocka_unit_test(test_domains_are_kept_when_they_are_some),
        cmocka_unit_test(test_numbers_go_to_their_grid),
        cmocka_unit_test(test_doubles_that_have_no_grid_are_null_and_counted),
        cmocka_unit_test(test_dates_go_to_the_first_day),
        cmocka_unit_test(test_hashes_are_of_the_value_under_the_key),
        cmocka_unit_test(test_bytes_that_are_no_row_are_dropped),
        cmocka_unit_test(test_no_memory_gives_no_program),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
