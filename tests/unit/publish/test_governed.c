/* Feeds of views with filters and masks. */
#include "tests/lib/cmocka.h"

#include "tests/unit/publish/fixture.h"

#define LARGE "sheaf: policy/v1\nname: large\nmatch: all\nfilter: n > 1\n"
#define PAGES "sheaf: policy/v1\nname: pages\nmatch: {field: page}\nmask: "

static void govern(struct fixture *f, const struct world_grant *grants, size_t count,
                   const char *policies)
{
    ++f->version;
    leaf_world_grant(&f->w, &(struct world_bundle){.version = f->version,
                                                   .grants = grants,
                                                   .grant_count = count,
                                                   .policies = policies,
                                                   .policy_version = f->version});
    assert_int_equal(publisher_update(f->publisher, NULL), SF_OK);
}

static void put(struct fixture *f, const char *lines)
{
    leaf_world_write(&f->w, leaf_world_table(&f->w, "clicks"), lines);
}

#define CLICK(page, n) "{\"op\":\"upsert\",\"row\":{\"page\":\"" page "\",\"n\":" #n "}}\n"

/* Sheaf-Prev names the message before, not the change before: whoever has that misses nothing. */
static void what_a_view_hides_is_no_gap(void **state)
{
    static const struct world_grant one = {.id = "G-1"};
    struct fixture f;
    (void)state;

    setup(&f);
    f.governed = true;
    govern(&f, &one, 1, LARGE);
    put(&f, CLICK("a", 1) CLICK("b", 1) CLICK("c", 2) CLICK("d", 1));
    assert_seen(&f, "aud1.clicks 1:3-3 prev 0\npolicy 1\n\"row\":{\"page\":\"c\",\"n\":2}}\n");
    put(&f, CLICK("e", 1));
    assert_seen(&f, "");
    f.heartbeats = true;
    rt_sim_run_for(&f.w.stores.sim, 4 * SF_NS_PER_S);
    assert_seen(&f, "aud1.clicks head 1:5 prev 3\npolicy 1\n");
    f.heartbeats = false;
    /* A restart remembers both: how far it has looked, and what it sent last. */
    stop(&f);
    start(&f);
    put(&f, CLICK("f", 0) CLICK("g", 3));
    assert_seen(&f, "aud1.clicks 1:7-7 prev 3\npolicy 1\n\"row\":{\"page\":\"g\",\"n\":3}}\n");
    teardown(&f);
}

/* A long run that is hidden does not hold the query thread, and is passed in the end. */
static void a_long_run_of_hidden_changes_is_passed(void **state)
{
    static const struct world_grant one = {.id = "G-1"};
    struct sf_buf lines = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    f.governed = true;
    govern(&f, &one, 1, LARGE);
    for (unsigned i = 0; i < 2 * MESSAGE_LOOKS + 5; i++) {
        sf_buf_text(&lines, CLICK("x", 1));
        if ((i & 4095) == 4095) {
            put(&f, sf_buf_cstr(&lines));
            sf_buf_clear(&lines);
        }
    }
    sf_buf_text(&lines, CLICK("last", 2));
    put(&f, sf_buf_cstr(&lines));
    sf_buf_done(&lines);
    assert_seen(&f, "aud1.clicks 1:32774-32774 prev 0\npolicy 1\n"
                    "\"row\":{\"page\":\"last\",\"n\":2}}\n");
    teardown(&f);
}

/* Under the same subject, behind what was sent, at once. */
static void a_policy_that_changes_swaps_the_view(void **state)
{
    static const struct world_grant one = {.id = "G-1"};
    struct fixture f;
    (void)state;

    setup(&f);
    f.governed = true;
    govern(&f, &one, 1, NULL);
    put(&f, CLICK("a", 1));
    assert_seen(&f, "aud1.clicks 1:1-1 prev 0\npolicy 1\n\"row\":{\"page\":\"a\",\"n\":1}}\n");
    govern(&f, &one, 1, PAGES "redact\n");
    put(&f, CLICK("b", 1));
    assert_seen(&f, "aud1.clicks 1:2-2 prev 1\npolicy 2\n\"row\":{\"page\":\"***\",\"n\":1}}\n");
    govern(&f, &one, 1, PAGES "redact\n---\n" LARGE);
    put(&f, CLICK("c", 1) CLICK("d", 2));
    assert_seen(&f, "aud1.clicks 1:4-4 prev 2\npolicy 3\n\"row\":{\"page\":\"***\",\"n\":2}}\n");
    /* Another version that changes nothing here is told too. */
    govern(&f, &one, 1, PAGES "redact\n---\n" LARGE);
    put(&f, CLICK("e", 2));
    assert_seen(&f, "aud1.clicks 1:5-5 prev 4\npolicy 4\n\"row\":{\"page\":\"***\",\"n\":2}}\n");
    govern(&f, &one, 1, "sheaf: policy/v1\nname: no\nmatch: all\ndeny: true\n");
    put(&f, CLICK("f", 2));
    assert_seen(&f, "");
    govern(&f, &one, 1, NULL);
    assert_seen(&f, "aud1.clicks 1:6-6 prev 5\npolicy 6\n\"row\":{\"page\":\"f\",\"n\":2}}\n");
    teardown(&f);
}

/* When policies may tell grants apart, each is fed alone; when the hub has no name for that, nobody
 * is. */
static void grants_that_see_different_things_are_not_fed_together(void **state)
{
    static const struct world_grant two[] = {
        {.id = "G-1", .consumer = "billing"},
        {.id = "G-2", .consumer = "support", .account = "OTHER"},
    };
    static const char *const apart[] = {
        PAGES "redact\nexcept: {consumer_domain: billing}\n",
        PAGES "redact\nexcept: {consumer_domain: support}\n",
        PAGES "hash\n",
        "sheaf: policy/v1\nname: no\nmatch: all\nexcept: {consumer_domain: billing}\ndeny: true\n",
        "sheaf: policy/v1\nname: no\nmatch: all\nexcept: {consumer_domain: support}\ndeny: true\n",
        "sheaf: policy/v1\nname: own\nmatch: all\nfilter: page = caller.domain\n",
    };
    struct fixture f;
    (void)state;

    setup(&f);
    f.governed = true;
    f.w.serving.mask_secret = &f.w.domain;
    govern(&f, two, 2, NULL);
    for (size_t i = 0; i < SF_COUNT(apart); i++) {
        govern(&f, two, 2, apart[i]);
        put(&f, CLICK("support", 1));
        assert_seen(&f, "");
    }
    govern(&f, two, 2, PAGES "redact\n");
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    assert_non_null(strstr(sf_buf_cstr(&f.seen), "aud1.clicks 1:1-6 prev 0\npolicy 8\n"));
    assert_null(strstr(sf_buf_cstr(&f.seen), "support"));
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_view_hides_is_no_gap),
        cmocka_unit_test(a_long_run_of_hidden_changes_is_passed),
        cmocka_unit_test(a_policy_that_changes_swaps_the_view),
        cmocka_unit_test(grants_that_see_different_things_are_not_fed_together),
    };

    return cmocka_run_group_tests_name("governed feeds", tests, NULL, NULL);
}
