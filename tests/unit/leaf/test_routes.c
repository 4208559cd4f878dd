#include "tests/lib/cmocka.h"

#include "leaf/leaf_routes.h"

/* A wrong number would hide a route. */
static void test_every_route_tells_how_many_parts_its_path_has(void **state)
{
    const struct sf_routes *routes = leaf_routes();

    (void)state;
    assert_true(routes->count > 30);
    for (size_t i = 0; i < routes->count; i++) {
        size_t parts = 0;

        for (const char *at = routes->routes[i].path; *at != '\0'; at++) {
            parts += *at == '/';
        }
        assert_int_equal(routes->routes[i].parts, parts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_route_tells_how_many_parts_its_path_has),
    };

    return cmocka_run_group_tests_name("routes", tests, NULL, NULL);
}
