/* What a change of many policies takes: calls of strcmp(), which the linker leads here, and not
 * time. */
#include "tests/lib/cmocka.h"

#include "tests/unit/hub/api_world.h"

int __real_strcmp(const char *a, const char *b);
int __wrap_strcmp(const char *a, const char *b);

static uint64_t calls;

int __wrap_strcmp(const char *a, const char *b)
{
    __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
    return __real_strcmp(a, b);
}

/* Two files of @count policies, of which the last has the name of the first. */
static void write_change(unsigned count, struct sf_buf *ret)
{
    sf_buf_text(ret, "{\"dry_run\":true,\"files\":[{\"file\":\"a.yaml\",\"text\":\"");
    for (unsigned i = 0; i < count; i++) {
        if (i == count / 2) {
            sf_buf_text(ret, "\"},{\"file\":\"b.yaml\",\"text\":\"");
        }
        sf_buf_printf(ret, "---\\nsheaf: policy/v1\\nname: p%u\\nmatch: all\\ndeny: true\\n",
                      (i + 1) % count);
    }
    sf_buf_printf(ret, "---\\nsheaf: policy/v1\\nname: p1\\nmatch: all\\ndeny: true\\n\"}]}");
}

static uint64_t work_of(struct api_world *w, unsigned count)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    const uint64_t before = calls;

    write_change(count, &body);
    (void)api_world_ask(w, "POST", "/v1/policies/change", sf_buf_cstr(&body), -1);
    assert_int_equal(w->answer.status, 422);
    assert_non_null(strstr(w->answer.text, "policy 'p1' stands twice: a.yaml:2 and b.yaml:"));
    return calls - before;
}

static void twice_the_policies_are_twice_the_work(void **state)
{
    struct api_world w;
    uint64_t first;
    uint64_t second;
    (void)state;

    api_world_init(&w);
    api_world_sign_as(&w, "platform", &w.keys.platform_key);
    first = work_of(&w, 500);
    second = work_of(&w, 1000);
    assert_true(first > 500);
    assert_true(2 * second < 5 * first);
    api_world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(twice_the_policies_are_twice_the_work)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
