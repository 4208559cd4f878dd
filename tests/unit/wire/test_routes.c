#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "common/wire/routes.h"
#include "proto/errors.h"

static const struct sf_route_parameter list_query[] = {
    {"limit", "integer", "how many", NULL},
    {"order", "string", "which first", "up down"},
    {NULL, NULL, NULL, NULL},
};
static const struct sf_route_parameter list_headers[] = {
    {"If-None-Match", "string", "an ETag", NULL},
    {NULL, NULL, NULL, NULL},
};
static const struct sf_route some[] = {
    {7, "GET", "/live", "live", "Lives.", .good = "200", .is_open = true},
    {8, "GET", "/v1/things", "things", "All.", .answer = "application/json text/csv",
     .good = "200 304", .bad = "400 404", .query = list_query, .headers = list_headers},
    {9, "POST", "/v1/things", "thing_post", "Adds.", .body = "application/json",
     .answer = "application/json", .good = "200", .bad = "400"},
    {10, "GET", "/v1/things/{thing}", "thing", "One.", .answer = "application/json", .good = "200"},
    {11, "DELETE", "/v1/things/{thing}/part", "part", "A part.", .good = "200"},
};
static const struct sf_routes routes = {"Test", "1.2.3", some, SF_COUNT(some)};

static enum sf_route_match find(const char *method, const char *a, const char *b, const char *c,
                                const char *d, unsigned *id, char allow[64])
{
    const char *parts[] = {a, b, c, d};
    const struct sf_route *found = NULL;
    size_t n = 0;
    enum sf_route_match match;

    while (n < SF_COUNT(parts) && parts[n] != NULL) {
        n++;
    }
    match = sf_route_find(&routes, method, parts, n, &found, allow);
    *id = found == NULL ? 0 : found->id;
    return match;
}

static void a_path_and_a_method_lead_to_one_route(void **state)
{
    static const struct {
        const char *method;
        const char *parts[4];
        enum sf_route_match match;
        unsigned id;
        const char *allow;
    } cases[] = {
        {"GET", {"live"}, SF_ROUTE_FOUND, 7, NULL},
        {"GET", {"v1", "things"}, SF_ROUTE_FOUND, 8, NULL},
        {"POST", {"v1", "things"}, SF_ROUTE_FOUND, 9, NULL},
        {"GET", {"v1", "things", "x"}, SF_ROUTE_FOUND, 10, NULL},
        {"GET", {"v1", "things", ""}, SF_ROUTE_FOUND, 10, NULL},
        {"DELETE", {"v1", "things", "x", "part"}, SF_ROUTE_FOUND, 11, NULL},
        {"PUT", {"v1", "things"}, SF_ROUTE_NO_METHOD, 0, "GET, HEAD, POST"},
        {"GET", {"v1", "things", "x", "part"}, SF_ROUTE_NO_METHOD, 0, "DELETE"},
        {"GET", {"v1"}, SF_ROUTE_NO_PATH, 0, ""},
        {"GET", {"v1", "thing"}, SF_ROUTE_NO_PATH, 0, ""},
        {"GET", {"v1", "things", "x", "parts"}, SF_ROUTE_NO_PATH, 0, ""},
        {"GET", {NULL}, SF_ROUTE_NO_PATH, 0, ""},
        {"GET", {"liv"}, SF_ROUTE_NO_PATH, 0, ""},
    };
    (void)state;

    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        const char *const *p = cases[i].parts;
        unsigned id;
        char allow[64];

        assert_int_equal(find(cases[i].method, p[0], p[1], p[2], p[3], &id, allow), cases[i].match);
        assert_int_equal(id, cases[i].id);
        if (cases[i].allow != NULL) {
            assert_string_equal(allow, cases[i].allow);
        }
    }
}

static void a_parameter_that_is_not_there_is_refused_with_what_was_meant(void **state)
{
    struct sf_error err;
    (void)state;

    assert_int_equal(sf_route_check_parameter(&some[1], "limit", &err), SF_OK);
    assert_int_equal(sf_route_check_parameter(&some[1], "limt", &err), SF_INVALID);
    assert_int_equal(err.number, SHEAF_E_BAD_REQUEST);
    assert_string_equal(err.text, "'limt' is not known here; did you mean 'limit'?");
    assert_int_equal(sf_route_check_parameter(&some[1], "colour", &err), SF_INVALID);
    assert_string_equal(err.text, "'colour' is not known here; known: limit, order");
    assert_int_equal(sf_route_check_parameter(&some[3], "x", &err), SF_INVALID);
    assert_string_equal(err.text, "'x' is not known here; there are no parameters");
}

static void the_table_is_an_openapi_document(void **state)
{
    struct sf_buf out = {0};
    struct sf_json_doc *doc = NULL;
    const struct sf_json *paths;
    const struct sf_json *get;
    const char *text = NULL;
    (void)state;

    sf_routes_openapi(&routes, &out);
    assert_int_equal(sf_json_parse(sf_buf_view(&out), &doc, NULL), SF_OK);
    assert_true(sf_json_as_text(sf_json_get(sf_json_root(doc), "openapi"), &text));
    assert_string_equal(text, "3.1.0");
    paths = sf_json_get(sf_json_root(doc), "paths");
    assert_int_equal(sf_json_count(paths), 4);
    assert_int_equal(sf_json_count(sf_json_get(paths, "/v1/things")), 2);
    get = sf_json_get(sf_json_get(paths, "/v1/things"), "get");
    assert_int_equal(sf_json_count(sf_json_get(get, "parameters")), 3);
    assert_int_equal(sf_json_count(sf_json_get(get, "responses")), 5); /* and default */
    assert_int_equal(
        sf_json_count(sf_json_get(sf_json_get(sf_json_get(get, "responses"), "200"), "content")),
        2);
    assert_null(sf_json_get(get, "security"));
    get = sf_json_get(sf_json_get(paths, "/live"), "get");
    assert_int_equal(sf_json_kind(sf_json_get(get, "security")), SF_JSON_ARRAY);
    sf_json_free(doc);
    sf_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_and_a_method_lead_to_one_route),
        cmocka_unit_test(a_parameter_that_is_not_there_is_refused_with_what_was_meant),
        cmocka_unit_test(the_table_is_an_openapi_document),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
