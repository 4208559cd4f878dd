/* Problem documents, also those for which there is no memory. */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/wire/problem.h"

static void assert_text(const struct sf_json *document, const char *name, const char *text)
{
    const char *found = "";

    assert_true(sf_json_as_text(sf_json_get(document, name), &found));
    assert_string_equal(found, text);
}

static void test_every_number_has_a_document_that_needs_no_memory(void **state)
{
    const struct sheaf_error_info *info;
    struct sf_json_reader reader = {0};

    (void)state;
    for (unsigned i = 0; (info = sheaf_error_at(i)) != NULL; i++) {
        struct sf_error err = {.code = SF_NOMEM, .number = info->number};
        struct sf_buf failed = {.failed = SF_NOMEM};
        const struct sf_json *document;
        uint64_t status = 0;
        char code[16];

        assert_int_equal(sf_json_read(&reader, sf_problem_view(&failed, &err), &document, NULL),
                         SF_OK);
        (void)snprintf(code, sizeof(code), "SHEAF-E%04u", (unsigned)info->number);
        assert_text(document, "type", "about:blank");
        assert_text(document, "title", info->title);
        assert_text(document, "detail", info->title);
        assert_text(document, "code", code);
        assert_text(document, "next", info->next);
        assert_true(sf_json_as_uint(sf_json_get(document, "status"), &status));
        assert_int_equal(status, info->http_status);
    }
    sf_json_reader_done(&reader);
}

static void test_what_there_was_memory_for_is_sent_as_it_is(void **state)
{
    struct sf_error err = {0};
    long n = 0;
    bool whole = false;

    (void)state;
    assert_int_equal(SF_RAISE(&err, SF_NOMEM, "rows"), SF_NOMEM);
    for (; !whole; n++) {
        SF_CLEANUP(sf_buf_done) struct sf_buf document = {0};
        struct sf_json_writer w = {.out = &document};
        struct sf_slice sent;

        sf_alloc_fail_after(n, 1);
        sf_problem_begin(&w, &err);
        sf_json_object_end(&w);
        sf_alloc_fail_after(-1, 0);
        sent = sf_problem_view(&document, &err);
        whole = document.failed == SF_OK;
        assert_true(sf_slice_equal(
            sent,
            sf_slice_text(whole ? sf_buf_cstr(&document) : sheaf_error_document_of(SHEAF_E_BUSY))));
    }
    assert_true(n > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_number_has_a_document_that_needs_no_memory),
        cmocka_unit_test(test_what_there_was_memory_for_is_sent_as_it_is),
    };

    return cmocka_run_group_tests_name("problem", tests, NULL, NULL);
}
