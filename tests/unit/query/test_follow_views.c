/* Follows by those who do not see all, while what they see changes. */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "leaf/query/follow_text.h"
#include "tests/unit/query/query_world.h"

struct fixture {
    struct leaf_world w;
    struct queries *queries;
    struct follow *follow;
    bool waits;     /* with the next event */
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
    return f->waits ? FOLLOW_WAIT : FOLLOW_GO;
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

/* A table with a row in it, and one who follows it under @policies, behind @after (or NULL). */
static void setup_at(struct fixture *f, const char *policies, bool snapshot, const char *after)
{
    static const struct world_grant one = {.id = "G-1"};
    const struct follow_spec spec = {.caller = {.account = WORLD_ACCOUNT},
                                     .product = "orders",
                                     .table = "orders",
                                     .after = after,
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

static void setup(struct fixture *f, const char *policies, bool snapshot)
{
    setup_at(f, policies, snapshot, NULL);
}

static void teardown(struct fixture *f)
{
    follow_close(f->follow);
    world_queries_done(&f->w, f->queries);
}

static void let_run(struct fixture *f)
{
    rt_sim_run_for(&f->w.stores.sim, SF_NS_PER_S);
}

/* Policies or keys have changed. The log begins with what is told now. */
static void changed(struct fixture *f)
{
    f->log[0] = '\0';
    queries_serving_changed(f->queries);
    let_run(f);
}

static void written(struct fixture *f, char key, const char *note)
{
    f->log[0] = '\0';
    put_note(f, key, note);
    let_run(f);
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

/* Of @rows, as policies show them now, and whole. */
static void assert_anew(struct fixture *f, unsigned rows, const char *shown)
{
    assert_int_equal(told(f, "\"event\":\"snapshot\""), 1);
    assert_int_equal(told(f, "\"op\":\"snapshot\""), rows);
    assert_int_equal(told(f, shown), rows);
    assert_int_equal(told(f, "\"event\":\"position\""), 1);
    assert_int_equal(told(f, "\"op\":\"upsert\""), 0);
}

static void a_policy_that_changes_gives_a_copy_anew_at_once(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, MASK("keep_first(1)"), /* snapshot= */ true);
    assert_anew(&f, 1, "\"note\":\"f***\"");
    leaf_world_policies(&f.w, MASK("redact")); /* tighter */
    changed(&f);
    assert_anew(&f, 1, "\"note\":\"***\"");
    assert_int_equal(told(&f, "f***") + told(&f, "first"), 0);
    written(&f, 'b', "second");
    assert_int_equal(told(&f, "\"seq\":2,\"op\":\"upsert\""), 1);
    assert_int_equal(told(&f, "\"event\":"), 0);
    leaf_world_policies(&f.w, MASK("keep_first(2)")); /* wider */
    changed(&f);
    assert_anew(&f, 2, "***\"");
    assert_int_equal(told(&f, "fi***") + told(&f, "se***"), 2);
    serving_keys_changed(&f.w.serving); /* decided anew, and the same */
    changed(&f);
    assert_string_equal(f.log, "");
    written(&f, 'c', "third");
    assert_int_equal(told(&f, "\"seq\":3,\"op\":\"upsert\""), 1);
    assert_int_equal(told(&f, "\"event\":"), 0);
    teardown(&f);
}

static void another_key_of_hashes_gives_a_copy_anew_at_once(void **state)
{
    struct fixture f;
    char before[64];
    (void)state;

    setup(&f, MASK("hash"), /* snapshot= */ true);
    assert_non_null(strstr(f.log, "\"note\":\""));
    (void)snprintf(before, sizeof(before), "%.41s", strstr(f.log, "\"note\":\""));
    f.w.serving.mask_secret = &f.w.stranger;
    serving_keys_changed(&f.w.serving);
    changed(&f);
    assert_anew(&f, 1, "\"note\":\"");
    assert_int_equal(told(&f, before), 0);
    (void)snprintf(before, sizeof(before), "%.41s", strstr(f.log, "\"note\":\""));
    written(&f, 'b', "first");
    assert_int_equal(told(&f, before), 1);
    teardown(&f);
}

/* It is told when the reader takes something again, and not with the next change. */
static void who_waits_while_policies_change_is_given_a_copy_anew_when_he_goes_on(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, MASK("keep_first(1)"), /* snapshot= */ true);
    f.waits = true;
    written(&f, 'b', "second");
    assert_int_equal(told(&f, "\"note\":\"s***\""), 1);
    leaf_world_policies(&f.w, MASK("redact"));
    changed(&f);
    assert_string_equal(f.log, "");
    f.waits = false;
    follow_resume(f.follow);
    let_run(&f);
    assert_anew(&f, 2, "\"note\":\"***\"");
    teardown(&f);
}

/* What he holds was of the view that was there when he began. */
static void who_began_behind_a_position_and_has_been_told_nothing_is_given_a_copy_too(void **state)
{
    struct fixture f;
    (void)state;

    setup_at(&f, MASK("keep_first(1)"), /* snapshot= */ true, "1:1");
    assert_string_equal(f.log, "");
    leaf_world_policies(&f.w, MASK("redact"));
    changed(&f);
    assert_anew(&f, 1, "\"note\":\"***\"");
    teardown(&f);
}

static void what_changes_nothing_for_a_reader_puts_no_heartbeat_off(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, MASK("keep_first(1)"), /* snapshot= */ true);
    f.log[0] = '\0';
    for (unsigned i = 0; i < 11; i++) {
        queries_serving_changed(f.queries);
        let_run(&f);
    }
    assert_int_equal(told(&f, "\"event\":\"heartbeat\""), 2);
    assert_int_equal(told(&f, "\"event\":"), 2);
    teardown(&f);
}

static void a_reader_of_changes_goes_on_with_what_is_seen_now(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f, MASK("keep_first(1)"), /* snapshot= */ false);
    assert_int_equal(told(&f, "\"note\":\"f***\""), 1);
    leaf_world_policies(&f.w, MASK("redact"));
    changed(&f);
    assert_string_equal(f.log, "");
    written(&f, 'b', "second");
    assert_int_equal(told(&f, "\"seq\":"), 1);
    assert_int_equal(told(&f, "\"note\":\"***\""), 1);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_policy_that_changes_gives_a_copy_anew_at_once),
        cmocka_unit_test(another_key_of_hashes_gives_a_copy_anew_at_once),
        cmocka_unit_test(who_waits_while_policies_change_is_given_a_copy_anew_when_he_goes_on),
        cmocka_unit_test(who_began_behind_a_position_and_has_been_told_nothing_is_given_a_copy_too),
        cmocka_unit_test(what_changes_nothing_for_a_reader_puts_no_heartbeat_off),
        cmocka_unit_test(a_reader_of_changes_goes_on_with_what_is_seen_now),
    };

    return cmocka_run_group_tests_name("follow_views", tests, NULL, NULL);
}
