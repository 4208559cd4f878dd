/* Policies that tell the consumers of one audience apart, and no longer do: each goes on with the
 * feed that is now his, from his place. */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "tests/unit/publish/fixture.h"

#define NAMED(name, rest) "sheaf: policy/v1\nname: " name "\n" rest
#define PAGES(who, mask)  NAMED("p", "match: {field: page}\n" who "mask: " mask "\n")

enum { CONSUMERS = 2, SWITCHES = 150 };

static const struct world_grant two[] = {
    {.id = "G-1", .consumer = "billing", .sole = "sole0"},
    {.id = "G-2", .consumer = "support", .sole = "sole1", .account = "OTHER"},
};

/* What is in force, and who sees pages as they are. */
struct rule {
    const char *policies; /* NULL: none */
    bool parts;
    bool clear[CONSUMERS];
};

static const struct rule rules[] = {
    {NULL, false, {true, true}},
    {PAGES("except: {consumer_domain: billing}\n", "redact"), true, {true, false}},
    {PAGES("except: {consumer_domain: support}\n", "redact"), true, {false, true}},
    {PAGES("", "redact"), false, {false, false}},
    {PAGES("except: {purposes: invoices}\n", "redact"), true, {true, true}},
    {NAMED("f", "match: all\nfilter: n > 0 OR caller.domain = 'hr'\n"), true, {true, true}},
};

struct world;

/* A consumer: hears the shared audience and his own. */
struct consumer {
    struct world *w;
    unsigned number;
    struct sf_bus_sub subs[2];
    uint64_t at;
    unsigned repeats; /* messages with something that he had */
    unsigned gaps;    /* messages behind something that he has not */
};

struct world {
    struct fixture f;
    struct consumer consumers[CONSUMERS];
    const struct rule *in_force;
    const struct rule *of_version[SWITCHES * 2];
    uint64_t random;
    uint64_t written;
};

static uint64_t below(struct world *w, uint64_t limit)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random % limit;
}

static uint64_t number_at(const char *text)
{
    uint64_t n = 0;

    while (*text >= '0' && *text <= '9') {
        n = n * 10 + (uint64_t)(*text++ - '0');
    }
    return n;
}

/* Each row as the policies of the version that the message names show it. */
static void check_rows(const struct consumer *c, const struct rule *rule, struct sf_slice body)
{
    while (body.size > 0) {
        const uint8_t *end = memchr(body.data, '\n', body.size);
        struct sf_slice line = sf_slice_of(body.data, (size_t)(end - body.data));
        const bool masked = memmem(line.data, line.size, "\"***\"", 5) != NULL;

        assert_int_equal(masked, !rule->clear[c->number]);
        body = sf_slice_of(end + 1, body.size - line.size - 1);
    }
}

static void on_changes(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct consumer *c = sub->data;
    const char *position = sf_bus_msg_header(m, HEADER_POSITION);
    const char *policy = sf_bus_msg_header(m, HEADER_POLICY);
    const struct rule *rule;
    uint64_t first;
    uint64_t last;

    if (position == NULL) {
        return;
    }
    rule = c->w->of_version[number_at(policy)];
    first = number_at(strchr(position, ':') + 1);
    last = number_at(strchr(position, '-') + 1);
    check_rows(c, rule, m->data);
    assert_int_equal(strstr(m->subject, ".sole") != NULL, rule->parts);
    /* All rules show all rows. */
    c->gaps += first > c->at + 1 || number_at(sf_bus_msg_header(m, HEADER_PREV)) > c->at;
    c->repeats += first <= c->at;
    c->at = last > c->at ? last : c->at;
}

/* When it is published, nothing is of policies that are over. */
static bool on_publish(void *data, const char *subject)
{
    const struct world *w = data;

    assert_true(strncmp(subject, "dp.", 3) != 0 ||
                (strstr(subject, ".sole") != NULL) == w->in_force->parts);
    return false;
}

/* The next bundle, which the publisher has not looked at yet. */
static void put_in_force(struct world *w)
{
    leaf_world_grant(&w->f.w, &(struct world_bundle){.version = w->f.version,
                                                     .grants = two,
                                                     .grant_count = SF_COUNT(two),
                                                     .policies = w->in_force->policies,
                                                     .policy_version = w->f.version});
}

static void govern(struct world *w, const struct rule *rule)
{
    w->in_force = rule;
    w->of_version[++w->f.version] = rule;
    put_in_force(w);
    assert_int_equal(publisher_update(w->f.publisher, NULL), SF_OK);
}

/* Policies change while nobody is fed. */
static void restart_under(struct world *w, const struct rule *rule)
{
    if (w->f.publisher != NULL) {
        stop(&w->f);
    }
    w->in_force = rule;
    w->of_version[++w->f.version] = rule;
    put_in_force(w);
    start(&w->f);
}

static void put(struct world *w, unsigned count)
{
    struct sf_buf lines = {0};

    for (unsigned i = 0; i < count; i++) {
        w->written++;
        sf_buf_printf(&lines, "{\"op\":\"upsert\",\"row\":{\"page\":\"p%lu\",\"n\":1}}\n",
                      (unsigned long)w->written);
    }
    leaf_world_write(&w->f.w, leaf_world_table(&w->f.w, "clicks"), sf_buf_cstr(&lines));
    sf_buf_done(&lines);
}

static void run(struct world *w)
{
    rt_sim_run_for(&w->f.w.stores.sim, SF_NS_PER_S);
}

static void begin(struct world *w, uint64_t seed)
{
    *w = (struct world){.random = seed};
    setup(&w->f);
    sf_bus_unsubscribe(w->f.consumer, &w->f.subs[0]);
    fake_broker_knobs(w->f.broker)->drop = on_publish;
    fake_broker_knobs(w->f.broker)->data = w;
    w->in_force = &rules[0];
    for (unsigned i = 0; i < CONSUMERS; i++) {
        struct consumer *c = &w->consumers[i];
        char sole[64];

        *c = (struct consumer){.w = w, .number = i};
        (void)snprintf(sole, sizeof(sole), "dp.sales.orders.clicks.v1.*.sole%u", i);
        c->subs[0] = (struct sf_bus_sub){.on_msg = on_changes, .data = c};
        c->subs[1] = c->subs[0];
        assert_int_equal(sf_bus_subscribe(w->f.consumer, &c->subs[0],
                                          "dp.sales.orders.clicks.v1.*.aud1", NULL, NULL),
                         SF_OK);
        assert_int_equal(sf_bus_subscribe(w->f.consumer, &c->subs[1], sole, NULL, NULL), SF_OK);
    }
    govern(w, &rules[0]);
    run(w);
}

static void finish(struct world *w)
{
    for (unsigned i = 0; i < CONSUMERS; i++) {
        assert_int_equal(w->consumers[i].at, w->written);
        assert_int_equal(w->consumers[i].gaps, 0);
    }
    teardown(&w->f);
}

static void each_consumer_goes_on_with_the_feed_that_is_now_his(void **state)
{
    struct world w;
    (void)state;

    begin(&w, 5);
    for (unsigned i = 0; i < 3 * SF_COUNT(rules); i++) {
        put(&w, 2);
        run(&w);
        govern(&w, &rules[i % SF_COUNT(rules)]);
        run(&w); /* Nothing but the switch, too. */
    }
    put(&w, 1);
    run(&w);
    for (unsigned i = 0; i < CONSUMERS; i++) {
        assert_int_equal(w.consumers[i].repeats, 0);
    }
    finish(&w);
}

/* The next bundle: somebody had a grant beside these, which is held back or may be forgotten. */
static void take_beside(struct world *w, bool held, bool hub_answers)
{
    static const struct rule apart = {NULL, true, {true, true}};
    struct serving *s = &w->f.w.serving;

    w->in_force = held || !hub_answers ? &apart : &rules[0];
    w->of_version[++w->f.version] = w->in_force;
    put_in_force(w);
    for (size_t i = 0; i < s->grants->grant_count; i++) {
        s->grants->grants[i].beside_held = held;
        s->grants->grants[i].beside_ended = true;
    }
    s->hub_answers = hub_answers;
    assert_int_equal(publisher_update(w->f.publisher, NULL), SF_OK);
}

static void what_others_may_hear_again_is_sent_to_each_alone_and_none_misses_anything(void **state)
{
    struct world w;
    (void)state;

    begin(&w, 5);
    for (unsigned i = 0; i < 8; i++) {
        put(&w, 2);
        run(&w);
        take_beside(&w, /* held= */ (i & 2) != 0, /* hub_answers= */ (i & 1) != 0);
        put(&w, 2);
        run(&w);
    }
    finish(&w);
}

/* Changes come, or not, and some of what follows from them happens. */
static void stir(struct world *w)
{
    if (below(w, 3) != 0) {
        put(w, 1 + (unsigned)below(w, 3));
    }
    for (uint64_t n = below(w, 60); n > 0; n--) {
        (void)rt_sim_step(&w->f.w.stores.sim);
    }
}

/* Whatever is under way when the policies change, and when they change again. */
static void switches_lose_nothing_and_show_nothing_of_the_rule_before(void **state)
{
    unsigned repeats = 0;
    (void)state;

    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct world w;

        begin(&w, seed * 7919);
        for (unsigned i = 0; i < SWITCHES; i++) {
            stir(&w);
            govern(&w, &rules[below(&w, SF_COUNT(rules))]);
        }
        run(&w);
        put(&w, 1);
        run(&w);
        repeats += w.consumers[0].repeats + w.consumers[1].repeats;
        finish(&w);
    }
    assert_in_range(repeats, 1, 33); /* 20; 45 when nobody waits for what is being sent. */
}

/* What the server took and could not say comes again, and nothing is missing. */
static void links_that_break_and_restarts_between_switches_lose_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 15; seed++) {
        struct world w;

        begin(&w, seed * 104729);
        for (unsigned i = 0; i < SWITCHES; i++) {
            stir(&w);
            fake_bus_set_connected(w.f.serve, below(&w, 8) != 0);
            if (below(&w, 20) == 0) {
                restart_under(&w, &rules[below(&w, SF_COUNT(rules))]);
                stir(&w);
            }
            govern(&w, &rules[below(&w, SF_COUNT(rules))]);
        }
        fake_bus_set_connected(w.f.serve, true);
        run(&w);
        put(&w, 1);
        run(&w);
        finish(&w);
    }
}

/* A switch that finds no memory shows nothing that is over, and the next one makes good. */
static void a_switch_out_of_memory_is_made_up_for(void **state)
{
    (void)state;
    for (long n = 0;; n++) {
        struct world w;
        enum sf_code code;
        bool over;

        begin(&w, 3);
        put(&w, 2);
        run(&w);
        w.in_force = &rules[n % 2 == 0 ? 1 : 3];
        w.of_version[++w.f.version] = w.in_force;
        put_in_force(&w);
        sf_alloc_fail_after(n / 2, false);
        code = publisher_update(w.f.publisher, NULL);
        over = sf_alloc_faults() == 0;
        sf_alloc_fail_after(-1, false);
        assert_int_equal(code, over ? SF_OK : SF_NOMEM);
        put(&w, 2);
        run(&w);
        assert_int_equal(publisher_update(w.f.publisher, NULL), SF_OK);
        put(&w, 1);
        run(&w);
        for (unsigned i = 0; i < CONSUMERS; i++) {
            assert_int_equal(w.consumers[i].at, w.written);
        }
        teardown(&w.f);
        if (over && n % 2 == 1) {
            break;
        }
    }
}

/* The place of each is stored under the name that it has now. */
static void after_a_restart_each_goes_on_from_his_place(void **state)
{
    struct world w;
    (void)state;

    begin(&w, 5);
    put(&w, 2);
    run(&w);
    govern(&w, &rules[1]);
    put(&w, 2);
    run(&w);
    stop(&w.f);
    put(&w, 2);
    start(&w.f);
    run(&w);
    assert_int_equal(w.consumers[0].at, 6);
    assert_int_equal(w.consumers[1].at, 6);
    /* The policies change while the leaf is down. */
    govern(&w, &rules[0]);
    put(&w, 2);
    run(&w);
    stop(&w.f);
    put(&w, 2);
    restart_under(&w, &rules[2]);
    run(&w);
    for (unsigned i = 0; i < CONSUMERS; i++) {
        assert_int_equal(w.consumers[i].repeats, 0);
    }
    finish(&w);
}

/* As it is each time: from the one to the soles, back, with places of before the last time about.
 */
static void rules_that_change_while_nobody_is_fed_lose_nothing_and_repeat_nothing(void **state)
{
    static const unsigned order[] = {0, 1, 0, 2, 3, 4, 5, 3};
    struct world w;
    (void)state;

    begin(&w, 5);
    for (unsigned i = 0; i < 3 * SF_COUNT(order); i++) {
        put(&w, 2);
        run(&w);
        stop(&w.f);
        put(&w, 2); /* For a place at the head this would be missing. */
        restart_under(&w, &rules[order[i % SF_COUNT(order)]]);
        if (i % 3 != 0) {
            run(&w); /* Else nothing is stored of it but its end. */
        }
    }
    run(&w);
    for (unsigned i = 0; i < CONSUMERS; i++) {
        assert_int_equal(w.consumers[i].repeats, 0);
    }
    finish(&w);
}

/* Killed behind a switch, before anything is stored of it: each goes on, none at the head. */
static void who_is_killed_right_behind_a_switch_has_lost_no_place(void **state)
{
    static const unsigned switches[][2] = {{0, 1}, {1, 0}, {1, 2}, {0, 3}};
    (void)state;

    for (unsigned i = 0; i < SF_COUNT(switches); i++) {
        struct world w;

        begin(&w, 5);
        govern(&w, &rules[switches[i][0]]);
        put(&w, 2);
        run(&w);
        govern(&w, &rules[switches[i][1]]);
        put(&w, 2);
        rt_sim_run_for(&w.f.w.stores.sim, ASKING_MOMENT_NS / 2);
        assert_int_equal(w.consumers[0].at, 4);
        assert_int_equal(w.consumers[1].at, 4);
        fake_bus_set_connected(w.f.serve, false);
        put(&w, 2);
        leaf_world_kill(&w.f.w);
        stop(&w.f);
        leaf_world_crash(&w.f.w, world_orders);
        fake_bus_set_connected(w.f.serve, true);
        run(&w);
        put_in_force(&w);
        start(&w.f);
        run(&w);
        finish(&w);
    }
}

/* Two that were at different places share a feed: it begins where the slower one was. */
static void who_was_behind_misses_nothing_when_feeds_become_one_while_nobody_is_fed(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 2; first++) {
        struct world w;

        begin(&w, 5);
        govern(&w, &rules[4]);
        put(&w, 2);
        run(&w);
        w.f.version++; /* One goes without for a time. */
        w.of_version[w.f.version] = &rules[4];
        leaf_world_grant(&w.f.w, &(struct world_bundle){.version = w.f.version,
                                                        .grants = &two[first],
                                                        .grant_count = 1,
                                                        .policies = rules[4].policies,
                                                        .policy_version = w.f.version});
        assert_int_equal(publisher_update(w.f.publisher, NULL), SF_OK);
        put(&w, 3);
        run(&w);
        assert_int_equal(w.consumers[first].at, 5);
        assert_int_equal(w.consumers[1 - first].at, 2);
        restart_under(&w, &rules[0]);
        put(&w, 1);
        run(&w);
        assert_int_equal(w.consumers[first].repeats, 1);
        assert_int_equal(w.consumers[1 - first].repeats, 0);
        finish(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_consumer_goes_on_with_the_feed_that_is_now_his),
        cmocka_unit_test(what_others_may_hear_again_is_sent_to_each_alone_and_none_misses_anything),
        cmocka_unit_test(switches_lose_nothing_and_show_nothing_of_the_rule_before),
        cmocka_unit_test(links_that_break_and_restarts_between_switches_lose_nothing),
        cmocka_unit_test(a_switch_out_of_memory_is_made_up_for),
        cmocka_unit_test(after_a_restart_each_goes_on_from_his_place),
        cmocka_unit_test(who_is_killed_right_behind_a_switch_has_lost_no_place),
        cmocka_unit_test(rules_that_change_while_nobody_is_fed_lose_nothing_and_repeat_nothing),
        cmocka_unit_test(who_was_behind_misses_nothing_when_feeds_become_one_while_nobody_is_fed),
    };

    return cmocka_run_group_tests_name("switches of policies", tests, NULL, NULL);
}
