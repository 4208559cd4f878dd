/*
 * The input is a product file. A refused one is told with a number, a place inside the file and
 * text that is safe to show; an accepted one reads the same after it was written, is compatible
 * with itself but for its version, and can be linted and exported.
 */
#include "common/base/utf8.h"
#include "common/contract/compat.h"
#include "common/contract/export_proto.h"
#include "common/contract/lint.h"
#include "common/contract/product_file.h"
#include "common/contract/product_print.h"
#include "proto/errors.h"
#include "tests/fuzz/fuzz.h"

static void check_issues(const struct sf_issues *issues)
{
    struct sf_buf shown = {0};
    size_t lines = 1;
    size_t kept = 0;

    for (size_t i = 0; i < issues->source.size; i++) {
        lines += issues->source.data[i] == '\n';
    }
    for (const struct sf_issue *i = issues->first; i != NULL; i = i->next) {
        fuzz_check(i->place.line <= lines + 1);
        fuzz_check(i->place.line == 0 || i->place.column >= 1);
        fuzz_check(i->severity == SF_SEVERITY_WARNING || i->number != 0);
        kept++;
    }
    fuzz_check(kept == issues->kept && kept <= issues->error_count + issues->warning_count);
    sf_issues_render(issues, &shown);
    fuzz_check(shown.failed == SF_OK);
    fuzz_check(sf_utf8_is_valid(sf_buf_view(&shown)));
    for (size_t i = 0; i < shown.size; i++) {
        fuzz_check(shown.data[i] == '\n' || (shown.data[i] >= ' ' && shown.data[i] != 0x7f));
    }
    sf_buf_done(&shown);
}

static void check_compat(const struct sf_product *p)
{
    struct sf_compat compat;
    struct sf_error err = {.text = ""};

    fuzz_check(sf_compat_check((const struct sf_product *const *)&p, 1, p, &compat, &err) ==
               SF_CONFLICT);
    fuzz_check(err.number == SHEAF_E_VERSION_NOT_HIGHER);
    fuzz_check(compat.count == 0);
    sf_compat_done(&compat);
}

static void check_product(const struct sf_product *p)
{
    struct sf_product *back = NULL;
    struct sf_issues issues;
    struct sf_buf written = {0};
    struct sf_buf proto = {0};
    struct sf_error err;

    sf_product_print(p, NULL, &written);
    fuzz_check(written.failed == SF_OK);
    sf_issues_init(&issues, "again", sf_buf_view(&written));
    /* Written out, a product may pass the size of a file. */
    if (written.size <= 1024 * 1024) {
        fuzz_check(sf_product_parse(&issues, &back, &err) == SF_OK);
        fuzz_check(sf_product_equal(p, back));
        sf_product_lint(back, &issues);
        check_issues(&issues);
    }
    sf_product_export_proto(p, &proto);
    fuzz_check(proto.failed == SF_OK && proto.size > 0);
    check_compat(p);
    sf_buf_done(&proto);
    sf_buf_done(&written);
    sf_issues_done(&issues);
    sf_product_free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sf_product *p = NULL;
    struct sf_issues issues;
    struct sf_error err = {.number = 0};
    enum sf_code code;

    sf_issues_init(&issues, "product.yaml", sf_slice_of(data, size));
    code = sf_product_parse(&issues, &p, &err);
    fuzz_check(code == SF_OK || code == SF_INVALID);
    fuzz_check((code == SF_OK) == (p != NULL));
    fuzz_check((code == SF_OK) == (issues.error_count == 0));
    fuzz_check(code == SF_OK || err.number != 0);
    check_issues(&issues);
    if (p != NULL) {
        check_product(p);
    }
    sf_issues_done(&issues);
    sf_product_free(p);
    return 0;
}
