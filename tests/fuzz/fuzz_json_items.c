/*
 * The input is a body of JSON. What the JSON reader takes as an array or object splits into
 * elements that the reader takes too, as many as it counts, and with the same values.
 */
#include "common/wire/json.h"
#include "common/wire/json_items.h"
#include "tests/fuzz/fuzz.h"

/* Checks that @element is the same JSON as @wanted. */
static void check_element(struct sf_slice element, const struct sf_json *wanted)
{
    struct sf_json_doc *doc = NULL;
    struct sf_buf a = {0};
    struct sf_buf b = {0};
    struct sf_json_writer wa = {.out = &a};
    struct sf_json_writer wb = {.out = &b};

    fuzz_check(sf_json_parse(element, &doc, NULL) == SF_OK);
    sf_json_value(&wa, sf_json_root(doc));
    sf_json_value(&wb, wanted);
    fuzz_check(sf_slice_equal(sf_buf_view(&a), sf_buf_view(&b)));
    sf_buf_done(&a);
    sf_buf_done(&b);
    sf_json_free(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sf_slice text = sf_slice_of(data, size);
    struct sf_json_items items = {0};
    struct sf_json_doc *doc = NULL;
    const struct sf_json *root = NULL;
    struct sf_json_iter it = {0};
    struct sf_slice element;
    struct sf_error err = {.text = ""};
    enum sf_code code;

    if (sf_json_parse(text, &doc, &err) == SF_OK) {
        root = sf_json_root(doc);
        it = sf_json_iter(sf_json_kind(root) == SF_JSON_ARRAY ? root : NULL);
    }
    while ((code = sf_json_items_next(&items, &text, &element, &err)) == SF_OK) {
        fuzz_check(element.size > 0);
        if (sf_json_kind(root) == SF_JSON_ARRAY) {
            fuzz_check(sf_json_next(&it));
            check_element(element, it.value);
        } else if (root != NULL) {
            check_element(element, root);
        }
    }
    fuzz_check(code == SF_ABSENT || (code == SF_INVALID && err.number == 201));
    if (sf_json_kind(root) == SF_JSON_ARRAY || sf_json_kind(root) == SF_JSON_OBJECT) {
        fuzz_check(code == SF_ABSENT && !sf_json_next(&it));
    }
    sf_json_free(doc);
    return 0;
}
