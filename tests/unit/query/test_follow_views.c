/* Follows by those who do not see all, while what they see changes. */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "leaf/query/follow_text.h"
#include "tests/unit/query/query_world.h"

struct fixture {
    struct leaf_world w;
    struct queries *queries;
    struct follow *follow;
    char log[4096]; /* of events as text */
};

static enum follow_reply on_event(void *data, const struct follow_event *e)
{
    struct fixture *f = data;
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    const size_t n = strlen(f->log);

    assert_int_not_equal(e->kind, FOLLOW_END);
    follow_write(e, &text);
    assert_true(n + text.size < sizeof(f->log));
    memcpy(f->log + n, text.data, text.size);
    f->log[n + text.size] = '\0';
    return FOLLOW_GO;
}

#define MASK(how) "---\nsheaf: policy/v1\nname: notes\nmatch: {field: note}\nmask: " how "\n"

static void put_note(struct fixture *f, char key, const char *note)
{
    char line[128];

    (void)snprintf(line, sizeof(line),
                   "{\"op\":\"upsert\",\"row\":{\"order_id\":\"%c\",\"note\":\"%s\"}}\n", key,
                   note);
    leaf_world_write(&f->w, leaf_world_table(&f->w, "orders"), line);
}

/* A table with a row in it, and one who follows it under @policies. */
static void setup(struct fixture *f, const char *policies, bool snapshot)
{
    static const struct world_grant one = {.id = "G-1"};
    const struct follow_spec spec = {.caller = {.account = WORLD_ACCOUNT},
                                     .product = "orders",
                                     .table = "orders",
                                     .snapshot = snapshot,
                                     .live = true};

    *f = (struct fixture){0};
    leaf_world_init(&f->w, 1);
    (void)leaf_world_add(&f->w, world_orders);
    f->queries = world_queries(&f->w);
    leaf_world_grant(&f->w, &(struct world_bundle){.version = 1, .grants = &one, .grant_count = 1});
    f->w.serving.mask_secret = &f->w.domain;
    leaf_world_policies(&f->w, policies);
    put_note(f, 'a', "first");
    assert_int_equal(follow_start(f->queries, &spec, on_event, f, &f->follow, NULL), SF_OK);
    rt_sim_run_for(&f->w.stores.sim, SF_NS_PER_S);
}

static void teardown(struct fixture *f)
{
    follow_close(f->follow);
    world_queries_done(&f->w, f->queries);
}

/* Policies or keys have changed; then a row is written. The log begins with what is told now. */
static void changed(struct fixture *f, char key, const char *note)
{
    f->log[0] = '\0';
    queries_serving_changed(f->queries);
    put_note(f, key, note);
    rt_sim_run_for(&f->w.stores.sim, SF_NS_PER_S);
}

/* How often @text stands in what the reader was told since the last time. */
static unsigned told(struct fixture *f, const char *text)
{
    unsigned n = 0;

    for (const char *at = strstr(f->log, text); at != NULL; at = strstr(at + 1, text)) {
        n++;
    }
    return n;
}

static void a_policy_that_changes_gives_a_copy_anew_with_the_next_change(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, MASK("keep_first(1)"), /* snapshot= */ true);
    assert_int_equal(told(&f, "\"note\":\"f***\""), 1);
    assert_int_equal(told(&f, "\"event\":\"snapshot\""), 1);
    leaf_world_policies(&f.w, MASK("redact"));
    changed(&f, 'b', "second");
    assert_int_equal(told(&f, "\"event\":\"snapshot\""), 1);
    assert_int_equal(told(&f, "\"op\":\"snapshot\""), 2);
    assert_int_equal(told(&f, "\"note\":\"***\""), 2);
    assert_int_equal(told(&f, "f***") + told(&f, "s***") + told(&f, "first"), 0);
    serving_keys_changed(&f.w.serving); /* decided anew, and the same */
    changed(&f, 'c', "third");
    assert_int_equal(told(&f, "\"event\":\"snapshot\""), 0);
    assert_int_equal(told(&f, "\"note\":\"***\""), 1);
    teardown(&f);
}

static void another_key_of_hashes_gives_a_copy_anew_with_the_next_change(void **state)
{
    struct fixture f;
    char before[64];
    (void)state;

    setup(&f, MASK("hash"), /* snapshot= */ true);
    assert_non_null(strstr(f.log, "\"note\":\""));
    (void)snprintf(before, sizeof(before), "%.41s", strstr(f.log, "\"note\":\""));
    f.w.serving.mask_secret = &f.w.stranger;
    serving_keys_changed(&f.w.serving);
    changed(&f, 'b', "first");
    assert_int_equal(told(&f, "\"event\":\"snapshot\""), 1);
    assert_int_equal(told(&f, before), 0);
    (void)snprintf(before, sizeof(before), "%.41s", strstr(f.log, "\"note\":\""));
    assert_int_equal(told(&f, before), 2); /* both rows, alike */
    teardown(&f);
}

static void a_reader_of_changes_goes_on_with_what_is_seen_now(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, MASK("keep_first(1)"), /* snapshot= */ false);
    assert_int_equal(told(&f, "\"note\":\"f***\""), 1);
    leaf_world_policies(&f.w, MASK("redact"));
    changed(&f, 'b', "second");
    assert_int_equal(told(&f, "\"seq\":"), 1);
    assert_int_equal(told(&f, "\"note\":\"***\""), 1);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_policy_that_changes_gives_a_copy_anew_with_the_next_change),
        cmocka_unit_test(another_key_of_hashes_gives_a_copy_anew_with_the_next_change),
        cmocka_unit_test(a_reader_of_changes_goes_on_with_what_is_seen_now),
    };

    return cmocka_run_group_tests_name("follow_views", tests, NULL, NULL);
}
