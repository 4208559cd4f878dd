#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "leaf/query/follow.h"
#include "proto/errors.h"
#include "proto/subjects.h"
#include "tests/unit/query/nats_fixture.h"

static void the_owners_apps_read_everything(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_two(&f);
    ask(&f, "q.sales.orders.get", "{\"table\":\"orders\",\"key\":[\"a\"]}");
    assert_string_equal(f.answer, "{\"order_id\":\"a\",\"amount\":null,\"note\":null,"
                                  "\"email\":\"x@y.no\",\"token\":null}\n");
    assert_string_equal(f.position, "1:2");
    assert_string_equal(f.head, "1:2");
    assert_string_equal(f.count, "1");
    assert_string_equal(f.error, "-");
    ask(&f, "q.sales.orders.scan",
        "{\"table\":\"orders\",\"select\":[\"order_id\"],\"limit\":1,\"format\":\"csv\"}");
    assert_string_equal(f.answer, "order_id\na\n");
    assert_string_not_equal(f.cursor, "-");
    ask(&f, "q.sales.orders.changes", "{\"table\":\"orders\",\"after\":\"1:1\"}");
    assert_memory_equal(f.answer, "{\"seq\":2,\"op\":\"upsert\",", 23);
    assert_string_equal(f.position, "1:2-2");
    assert_string_equal(f.cursor, "1:2");
    teardown(&f);
}

static void other_domains_read_their_view_of_what_was_granted(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_two(&f);
    ask(&f, "dpq.sales." WORLD_ACCOUNT ".orders.scan", "{\"table\":\"orders\"}");
    assert_string_equal(f.answer, "{\"order_id\":\"a\",\"amount\":null,\"note\":null}\n"
                                  "{\"order_id\":\"b\",\"amount\":null,\"note\":\"n\"}\n");
    ask(&f, "dpq.sales." WORLD_ACCOUNT ".orders.get",
        "{\"table\":\"orders\",\"key\":[\"a\"],\"select\":[\"email\",\"token\"]}");
    assert_error(&f, "SHEAF-E0304", "400");
    ask(&f, "dpq.sales.SOMEBODYELSE.orders.scan", "{\"table\":\"orders\"}");
    assert_error(&f, "SHEAF-E0401", "403");
    assert_null(strstr(f.answer, "a@"));
    teardown(&f);
}

/* How it ends. */
static void assert_answer(struct fixture *f, const char *op, const char *body, const char *want)
{
    char subject[128];

    (void)snprintf(subject, sizeof(subject), "dpq.sales.%s.orders.%s", WORLD_ACCOUNT, op);
    ask(f, subject, body);
    assert_string_equal(f->error, "-");
    assert_string_equal(f->answer + (f->bytes < strlen(want) ? 0 : f->bytes - strlen(want)), want);
}

static void events_are_seen_by_their_view_too(void **state)
{
    static const char get[] = "dpq.sales." WORLD_ACCOUNT ".orders.get";
    struct fixture f;
    (void)state;

    setup(&f);
    leaf_world_write(
        &f.w, leaf_world_table(&f.w, "clicks"),
        "{\"op\":\"upsert\",\"row\":{\"page\":\"/one\",\"n\":1,\"ip\":\"10.0.0.1\"}}\n"
        "{\"op\":\"upsert\",\"row\":{\"page\":\"/two\",\"n\":2,\"ip\":\"10.0.0.2\"}}\n");
    leaf_world_policies(&f.w, "sheaf: policy/v1\nname: pages\nmatch: {field: page}\n"
                              "mask: redact\n---\nsheaf: policy/v1\nname: second\n"
                              "match: {field: ip}\nfilter: n > 1\n");
    assert_answer(&f, "get", "{\"table\":\"clicks\",\"key\":[\"2\"]}",
                  "{\"page\":\"***\",\"n\":2}\n");
    ask(&f, get, "{\"table\":\"clicks\",\"key\":[\"1\"]}");
    assert_error(&f, "SHEAF-E0305", "404");
    assert_answer(&f, "scan", "{\"table\":\"clicks\"}", "{\"page\":\"***\",\"n\":2}\n");
    assert_answer(&f, "scan", "{\"table\":\"clicks\",\"count\":true}", "{\"count\":1}\n");
    assert_answer(&f, "changes", "{\"table\":\"clicks\",\"after\":\"1:0\"}",
                  "\"row\":{\"page\":\"***\",\"n\":2}}\n");
    assert_string_equal(f.count, "1");
    teardown(&f);
}

/* On every operation; a live stream ends when their assertion does, with where it stands. */
static void roles_come_with_the_request(void **state)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf roles = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    put_two(&f);
    leaf_world_policies(&f.w, "sheaf: policy/v1\nname: emails\nmatch: {class: pii}\n"
                              "except: {roles: analyst}\nmask: redact\n");
    ask(&f, "dpq.sales." WORLD_ACCOUNT ".orders.get",
        "{\"table\":\"orders\",\"key\":[\"a\"],\"select\":[\"email\"]}");
    assert_string_equal(f.answer, "{\"email\":\"***\"}\n");
    leaf_world_assert(&f.w, "clerk analyst", &roles);
    f.roles = (const char *)roles.data;
    for (unsigned i = 0; i < 2; i++) { /* also when the answer stands ready */
        ask(&f, "dpq.sales." WORLD_ACCOUNT ".orders.get",
            "{\"table\":\"orders\",\"key\":[\"a\"],\"select\":[\"email\"]}");
        assert_string_equal(f.answer, "{\"email\":\"x@y.no\"}\n");
        ask(&f, "dpq.sales." WORLD_ACCOUNT ".orders.get", "{\"table\":\"orders\",\"key\":[\"a\"]}");
        assert_non_null(strstr(f.answer, "x@y.no"));
    }
    ask(&f, "dpq.sales." WORLD_ACCOUNT ".orders.scan",
        "{\"table\":\"orders\",\"where\":\"email = 'x@y.no'\",\"select\":[\"order_id\"]}");
    assert_string_equal(f.answer, "{\"order_id\":\"a\"}\n");
    ask(&f, "dpq.sales." WORLD_ACCOUNT ".orders.changes", "{\"table\":\"orders\"}");
    assert_non_null(strstr(f.answer, "x@y.no"));
    send_request(&f, "dpq.sales." WORLD_ACCOUNT ".orders.changes",
                 "{\"table\":\"orders\",\"after\":\"1:2\",\"follow\":true,\"seconds\":600}");
    rt_sim_run_for(&f.w.stores.sim, 110 * SF_NS_PER_S); /* it lasts 60, and as long for the clock */
    leaf_world_write(&f.w, leaf_world_table(&f.w, "orders"),
                     "{\"op\":\"upsert\",\"row\":{\"order_id\":\"c\",\"email\":\"z@y.no\"}}\n");
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    assert_non_null(strstr(f.answer, "z@y.no"));
    assert_string_equal(f.count, "-");
    rt_sim_run_for(&f.w.stores.sim, 10 * SF_NS_PER_S);
    assert_string_equal(f.cursor, "1:3");
    leaf_world_write(&f.w, leaf_world_table(&f.w, "orders"),
                     "{\"op\":\"upsert\",\"row\":{\"order_id\":\"d\",\"email\":\"late@y.no\"}}\n");
    rt_sim_run_for(&f.w.stores.sim, 600 * SF_NS_PER_S);
    assert_null(strstr(f.answer, "late@y.no"));
    ask(&f, "dpq.sales." WORLD_ACCOUNT ".orders.scan", "{\"table\":\"orders\"}");
    assert_error(&f, "SHEAF-E0506", "403");
    assert_non_null(strstr(f.answer, "it has expired"));
    f.roles = NULL;
    ask(&f, "dpq.sales." WORLD_ACCOUNT ".orders.get", "{\"table\":\"orders\",\"key\":[\"a\"]}");
    assert_non_null(strstr(f.answer, "\"email\":\"***\""));
    teardown(&f);
}

static void describe_shows_what_the_caller_may_know(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_two(&f);
    ask(&f, "q.sales.orders.describe", "");
    assert_non_null(strstr(f.answer, "{\"apiVersion\":\"sheaf/v1\",\"kind\":\"Product\","
                                     "\"product\":\"sales/orders\",\"version\":\"1.0.0\","
                                     "\"major\":1,\"status\":\"active\",\"owner\":\"team-sales\","
                                     "\"description\":\"Orders and clicks.\",\"tables\":["));
    assert_non_null(strstr(f.answer,
                           "{\"name\":\"orders\",\"kind\":\"state\",\"key\":[\"order_id\"],"
                           "\"position\":\"1:2\",\"rows\":2,\"quarantined\":0,"));
    assert_non_null(strstr(f.answer, "{\"name\":\"amount\",\"number\":2,\"type\":\"decimal(12,2)\","
                                     "\"required\":false,\"class\":\"\",\"unit\":\"EUR\"}"));
    assert_non_null(strstr(f.answer, "{\"name\":\"email\",\"number\":4,\"type\":\"string\","
                                     "\"required\":false,\"class\":\"pii\","
                                     "\"description\":\"Of the buyer.\"}"));
    assert_null(strstr(f.answer, "\"grant\""));
    ask(&f, "dpq.sales." WORLD_ACCOUNT ".orders.describe", "{}");
    assert_non_null(strstr(f.answer, "\"grant\":\"G-1\""));
    assert_null(strstr(f.answer, "quarantined"));
    assert_null(strstr(f.answer, "email"));
    assert_null(strstr(f.answer, "token"));
    assert_null(strstr(f.answer, "\"ip\""));
    assert_non_null(strstr(f.answer, "\"amount\""));
    ask(&f, "dpq.sales.SOMEBODYELSE.orders.describe", "{}");
    assert_error(&f, "SHEAF-E0401", "403");
    teardown(&f);
}

static void describe_tells_how_many_rows_there_are_when_all_are_seen(void **state)
{
    static const char describe[] = "dpq.sales." WORLD_ACCOUNT ".orders.describe";
    struct fixture f;
    (void)state;

    setup(&f);
    put_two(&f);
    ask(&f, describe, "{}");
    assert_non_null(strstr(f.answer, "\"name\":\"orders\""));
    assert_non_null(strstr(f.answer, "\"position\":\"1:2\",\"rows\":2,"));
    leaf_world_policies(&f.w, "sheaf: policy/v1\nname: some\nmatch: {field: note}\n"
                              "filter: note IS NULL\n");
    ask(&f, describe, "{}");
    assert_non_null(strstr(f.answer, "\"position\":\"1:2\",\"view\":"));
    teardown(&f);
}

static void whatever_is_wrong_is_told_by_its_number(void **state)
{
    static const struct {
        const char *subject;
        const char *body;
        const char *error;
        const char *status;
    } cases[] = {
        {"q.sales.nothing.scan", "{}", "SHEAF-E0302", "404"},
        {"q.sales.orders.scan", "{\"table\":\"orders\",\"major\":2}", "SHEAF-E0302", "404"},
        {"q.sales.orders.scan", "{}", "SHEAF-E0303", "404"},
        {"q.sales.orders.sing", "{\"table\":\"orders\"}", "SHEAF-E0306", "404"},
        {"q.sales.orders.scan", "{\"table\":\"orders\",\"x\":1}", "SHEAF-E0301", "400"},
        {"q.sales.orders.scan", "{\"table\"", "SHEAF-E0301", "400"},
        {"q.sales.orders.scan", "[]", "SHEAF-E0301", "400"},
        {"q.sales.orders.scan", "{\"table\":\"orders\",\"cursor\":\"x\"}", "SHEAF-E0309", "400"},
        {"q.sales.orders.scan", "{\"table\":\"orders\",\"select\":[\"x\"]}", "SHEAF-E0304", "400"},
        {"q.sales.orders.get", "{\"table\":\"orders\",\"key\":[\"z\"]}", "SHEAF-E0305", "404"},
        {"q.sales.orders.changes", "{\"table\":\"orders\",\"after\":\"1:9\"}", "SHEAF-E0308",
         "410"},
        {"q.sales.orders.a.b", "{}", "SHEAF-E0306", "404"},
        {"q.sales.orders", "{}", "SHEAF-E0306", "404"},
    };
    struct fixture f;
    (void)state;

    setup(&f);
    put_two(&f);
    for (size_t i = 0; i < SF_COUNT(cases); i++) {
        ask(&f, cases[i].subject, cases[i].body);
        if (f.messages != 1 || strcmp(f.error, cases[i].error) != 0 ||
            strcmp(f.status, cases[i].status) != 0) {
            fail_msg("%s %s: %s %s", cases[i].subject, cases[i].body, f.error, f.status);
        }
        assert_non_null(strstr(f.answer, cases[i].error));
    }
    teardown(&f);
}

static void changes_are_followed_until_the_time_is_up(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_two(&f);
    send_request(&f, "dpq.sales." WORLD_ACCOUNT ".orders.changes",
                 "{\"table\":\"orders\",\"follow\":true,\"snapshot\":true,\"seconds\":12,"
                 "\"select\":[\"note\"]}");
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    assert_int_equal(f.messages, 3); /* snapshot, rows, position */
    assert_string_equal(f.event, "position");
    assert_string_equal(f.position, "1:2");
    leaf_world_write(&f.w, leaf_world_table(&f.w, "orders"),
                     "{\"op\":\"delete\",\"row\":{\"order_id\":\"a\"}}\n");
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    assert_int_equal(f.messages, 4);
    assert_string_equal(f.event, "changes");
    assert_string_equal(f.position, "1:3-3");
    assert_string_equal(f.head, "1:3");
    assert_memory_equal(f.answer, "{\"seq\":3,\"op\":\"delete\",", 23);
    rt_sim_run_for(&f.w.stores.sim, 6 * SF_NS_PER_S);
    assert_string_equal(f.event, "heartbeat");
    assert_string_equal(f.answer,
                        "{\"event\":\"heartbeat\",\"position\":\"1:3\",\"head\":\"1:3\"}\n");
    assert_int_equal(f.ends, 0);
    rt_sim_run_for(&f.w.stores.sim, 6 * SF_NS_PER_S);
    assert_int_equal(f.ends, 1);
    assert_string_equal(f.event, "end");
    assert_string_equal(f.cursor, "1:3");
    assert_string_equal(f.count, "3"); /* two rows, one change */
    ask(&f, "q.sales.orders.scan", "{\"table\":\"orders\",\"follow\":true}");
    assert_error(&f, "SHEAF-E0301", "400");
    teardown(&f);
}

static void a_follower_that_is_gone_or_loses_its_right_is_ended(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    send_request(&f, "dpq.sales." WORLD_ACCOUNT ".orders.changes",
                 "{\"table\":\"orders\",\"follow\":true,\"seconds\":600}");
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    leaf_world_grant(&f.w, &(struct world_bundle){.version = 2});
    queries_serving_changed(f.queries);
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    assert_error(&f, "SHEAF-E0401", "403");
    assert_int_equal(f.ends, 1);

    send_request(&f, "q.sales.orders.changes",
                 "{\"table\":\"orders\",\"follow\":true,\"seconds\":600}");
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    assert_int_equal(follows_count(queries_follows(f.queries)), 1);
    sf_bus_unsubscribe(f.asker, &f.inbox);
    rt_sim_run_for(&f.w.stores.sim, 6 * SF_NS_PER_S); /* the next heartbeat reaches nobody */
    assert_int_equal(follows_count(queries_follows(f.queries)), 0);
    teardown(&f);
}

#define FLOW "0123456789abcdef"

/* What the asker says of its flow, without waiting for an answer. */
static void tell_taken(struct fixture *f, const char *subject, const char *body)
{
    const struct sf_bus_msg m = {.subject = subject, .data = sf_slice_text(body)};

    assert_int_equal(sf_bus_publish(f->asker, &m, NULL), SF_OK);
    rt_sim_run_for(&f->w.stores.sim, SF_NS_PER_S);
}

/* What needs no room, as the beginning of a snapshot, fills it all the same. */
static void a_window_that_is_more_than_full_waits_until_there_is_room(void **state)
{
    static const char taken[] = "dpq.sales." WORLD_ACCOUNT ".orders.taken";
    struct fixture f;
    (void)state;

    setup(&f);
    put_two(&f);
    send_request(&f, "dpq.sales." WORLD_ACCOUNT ".orders.changes",
                 "{\"table\":\"orders\",\"snapshot\":true,\"flow\":\"" FLOW "\",\"window\":1}");
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    assert_int_equal(f.messages, 2); /* snapshot, rows */
    tell_taken(&f, taken, "{\"flow\":\"" FLOW "\",\"taken\":1}");
    assert_int_equal(f.messages, 2);
    rt_sim_set_wall_us(&f.w.stores.sim, f.w.serving.grants->expires_us); /* while it waits */
    tell_taken(&f, taken, "{\"flow\":\"" FLOW "\",\"taken\":2}");
    assert_int_equal(f.messages, 3);
    assert_string_equal(f.error, "SHEAF-E0707"); /* and not where the snapshot stands */
    teardown(&f);
}

static void with_a_window_no_more_is_sent_than_was_taken(void **state)
{
    static const char changes[] = "dpq.sales." WORLD_ACCOUNT ".orders.changes";
    static const char taken[] = "dpq.sales." WORLD_ACCOUNT ".orders.taken";
    static const char request[] = "{\"table\":\"orders\",\"follow\":true,\"snapshot\":true,"
                                  "\"seconds\":600,\"flow\":\"" FLOW "\",\"window\":2}";
    struct fixture f;
    (void)state;

    setup(&f);
    put_two(&f);
    send_request(&f, changes, request);
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    assert_int_equal(f.messages, 2); /* snapshot, rows */
    assert_string_equal(f.flow, "2");
    /* Nothing new: nonsense, more than was sent, and what another account says. */
    tell_taken(&f, taken, "{\"flow\":\"" FLOW "\",\"taken\":9}");
    tell_taken(&f, taken, "{\"flow\":\"another-flow-here\",\"taken\":1}");
    tell_taken(&f, "q.sales.orders.taken", "{\"flow\":\"" FLOW "\",\"taken\":1}");
    tell_taken(&f, "dpq.sales.AOTHER.orders.taken", "{\"flow\":\"" FLOW "\",\"taken\":1}");
    tell_taken(&f, "dpq.sales.AOTHER.orders.taken", "{\"flow\":\"" FLOW "\",\"stop\":true}");
    tell_taken(&f, taken, "[1]");
    assert_int_equal(f.messages, 2);
    tell_taken(&f, taken, "{\"flow\":\"" FLOW "\",\"taken\":1}");
    assert_int_equal(f.messages, 3);
    assert_string_equal(f.event, "position");
    assert_string_equal(f.flow, "3");
    tell_taken(&f, taken, "{\"flow\":\"" FLOW "\",\"taken\":3}");
    tell_taken(&f, taken, "{\"flow\":\"" FLOW "\",\"taken\":1}"); /* late: takes nothing back */
    leaf_world_write(&f.w, leaf_world_table(&f.w, "orders"),
                     "{\"op\":\"delete\",\"row\":{\"order_id\":\"a\"}}\n");
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    assert_string_equal(f.event, "changes");
    assert_string_equal(f.flow, "4");
    leaf_world_write(&f.w, leaf_world_table(&f.w, "orders"),
                     "{\"op\":\"upsert\",\"row\":{\"order_id\":\"b\",\"note\":\"m\"}}\n");
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    assert_string_equal(f.flow, "5");

    /* A name is good for one; stop ends it in silence, and its name is free again. */
    send_request(&f, changes, request);
    rt_sim_run_for(&f.w.stores.sim, SF_NS_PER_S);
    assert_error(&f, "SHEAF-E0301", "400");
    tell_taken(&f, taken, "{\"flow\":\"" FLOW "\",\"stop\":true}");
    assert_int_equal(follows_count(queries_follows(f.queries)), 0);

    /* Who takes nothing is ended after a while. */
    send_request(&f, changes, request);
    rt_sim_run_for(&f.w.stores.sim, FOLLOW_STALL_NS - SF_NS_PER_S);
    assert_int_equal(f.messages, 2);
    rt_sim_run_for(&f.w.stores.sim, 2 * SF_NS_PER_S);
    assert_string_equal(f.error, "SHEAF-E0316");
    assert_int_equal(f.ends, 1);
    ask(&f, "q.sales.orders.scan", "{\"table\":\"orders\",\"window\":2}");
    assert_error(&f, "SHEAF-E0301", "400");
    ask(&f, changes, "{\"table\":\"orders\",\"follow\":true,\"window\":2}");
    assert_error(&f, "SHEAF-E0301", "400");
    ask(&f, taken, "{\"flow\":\"" FLOW "\",\"taken\":1}"); /* of none: an answer all the same */
    assert_string_equal(f.answer, "{}\n");
    teardown(&f);
}

static void an_expired_bundle_serves_the_owner_only(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_two(&f);
    rt_sim_set_wall_us(&f.w.stores.sim, f.w.serving.grants->expires_us);
    ask(&f, "dpq.sales." WORLD_ACCOUNT ".orders.scan", "{\"table\":\"orders\"}");
    assert_error(&f, "SHEAF-E0707", "503");
    ask(&f, "q.sales.orders.scan", "{\"table\":\"orders\"}");
    assert_string_equal(f.error, "-");
    teardown(&f);
}

static void put_large(struct fixture *f, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct sf_buf line = {0};

        sf_buf_printf(&line,
                      "{\"op\":\"upsert\",\"row\":{\"order_id\":\"%u\",\"note\":\"%0200000u\"}}\n",
                      i, i);
        leaf_world_write(&f->w, leaf_world_table(&f->w, "orders"), sf_buf_cstr(&line));
        sf_buf_done(&line);
    }
}

static void a_long_answer_comes_in_pages_and_ends(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_large(&f, 7);
    ask(&f, "q.sales.orders.scan",
        "{\"table\":\"orders\",\"select\":[\"note\"],\"format\":\"csv\"}");
    assert_int_equal(f.messages, 3);
    assert_int_equal(f.bytes, 5 + 7 * 200001);
    assert_string_equal(f.count, "7");
    assert_string_equal(f.cursor, "-");
    teardown(&f);
}

/* A control character takes six of JSON: such a row is larger than the rest of its page. */
static void a_row_that_is_larger_as_json_goes_out_whole(void **state)
{
    struct sf_buf line = {0};
    struct fixture f;
    (void)state;

    setup(&f);
    put_large(&f, 2);
    sf_buf_text(&line, "{\"op\":\"upsert\",\"row\":{\"order_id\":\"2\",\"note\":\"");
    for (unsigned i = 0; i < 170 * 1000; i++) {
        sf_buf_text(&line, "\\u0001");
    }
    sf_buf_text(&line, "\"}}\n");
    leaf_world_write(&f.w, leaf_world_table(&f.w, "orders"), sf_buf_cstr(&line));
    sf_buf_done(&line);
    ask(&f, "q.sales.orders.scan", "{\"table\":\"orders\",\"select\":[\"note\"]}");
    assert_int_equal(f.messages, 2); /* The page was full before the end was seen. */
    assert_string_equal(f.count, "3");
    assert_int_equal(f.bytes, 3 * 12 + 2 * 200000 + 6 * 170000);
    ask(&f, "q.sales.orders.changes", "{\"table\":\"orders\"}");
    assert_string_equal(f.count, "3");
    teardown(&f);
}

static bool has_page(void *data)
{
    return ((struct fixture *)data)->messages > 0;
}

static void a_revoked_asker_gets_an_error_instead_of_the_next_page(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_large(&f, 7);
    send_request(&f, "dpq.sales." WORLD_ACCOUNT ".orders.scan", "{\"table\":\"orders\"}");
    assert_true(rt_sim_run_until(&f.w.stores.sim, has_page, &f, 10 * SF_NS_PER_S));
    leaf_world_grant(&f.w, &(struct world_bundle){.version = 2});
    rt_sim_run(&f.w.stores.sim);
    assert_string_equal(f.error, "SHEAF-E0401");
    assert_int_equal(f.ends, 1);
    assert_true(f.messages <= 3);
    teardown(&f);
}

static void end_bundle(struct fixture *f)
{
    rt_sim_set_wall_us(&f->w.stores.sim, f->w.serving.grants->expires_us);
}

/* A leaf that is cut off hears of no revocation: nothing but the clock tells it to stop. */
static void what_is_under_way_when_the_bundle_expires_ends(void **state)
{
    static const char *const requests[][2] = {
        {"changes", "{\"table\":\"orders\",\"follow\":true,\"seconds\":600}"},
        {"changes",
         "{\"table\":\"orders\",\"snapshot\":true,\"flow\":\"0123456789abcdef\",\"window\":2}"},
        {"scan", "{\"table\":\"orders\"}"},
        {"changes", "{\"table\":\"orders\",\"after\":\"1:0\"}"},
    };
    (void)state;

    for (size_t i = 0; i < SF_COUNT(requests); i++) {
        char subject[128];
        struct fixture f;
        unsigned before;

        setup(&f);
        put_large(&f, 12);
        (void)snprintf(subject, sizeof(subject), "dpq.sales.%s.orders.%s", WORLD_ACCOUNT,
                       requests[i][0]);
        send_request(&f, subject, requests[i][1]);
        assert_true(rt_sim_run_until(&f.w.stores.sim, has_page, &f, 10 * SF_NS_PER_S));
        end_bundle(&f);
        before = f.messages;
        leaf_world_write(&f.w, leaf_world_table(&f.w, "orders"),
                         "{\"op\":\"delete\",\"row\":{\"order_id\":\"1\"}}\n");
        rt_sim_run_for(&f.w.stores.sim, 12 * SF_NS_PER_S);
        assert_string_equal(f.error, "SHEAF-E0401");
        assert_true(f.messages <= before + 2);
        teardown(&f);
    }
}

static void what_stands_ready_for_the_next_get_ends_with_the_bundle_too(void **state)
{
    static const char get[] = "dpq.sales." WORLD_ACCOUNT ".orders.get";
    struct fixture f;
    (void)state;

    setup(&f);
    put_two(&f);
    for (unsigned i = 0; i < 4; i++) {
        ask(&f, get, "{\"table\":\"orders\",\"key\":[\"a\"]}");
        assert_string_equal(f.error, "-");
    }
    end_bundle(&f);
    ask(&f, get, "{\"table\":\"orders\",\"key\":[\"a\"]}");
    assert_error(&f, "SHEAF-E0707", "503");
    teardown(&f);
}

static void a_bus_that_goes_away_ends_answers_in_silence(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    put_large(&f, 7);
    send_request(&f, "q.sales.orders.scan", "{\"table\":\"orders\"}");
    assert_true(rt_sim_run_until(&f.w.stores.sim, has_page, &f, 10 * SF_NS_PER_S));
    fake_bus_set_connected(f.bus, false);
    rt_sim_run(&f.w.stores.sim);
    assert_int_equal(queries_pending(f.queries), 0);
    fake_bus_set_connected(f.bus, true);
    rt_sim_run(&f.w.stores.sim);
    fake_broker_knobs(f.broker)->busy = 1; /* The page is refused. */
    const struct sf_bus_msg m = {.subject = "q.sales.orders.scan",
                                 .reply = "inbox",
                                 .data = SF_LITERAL("{\"table\":\"orders\"}")};

    fake_broker_knobs(f.broker)->busy = 0;
    assert_int_equal(sf_bus_publish(f.asker, &m, NULL), SF_OK);
    fake_broker_knobs(f.broker)->busy = 1;
    rt_sim_run(&f.w.stores.sim);
    assert_int_equal(queries_pending(f.queries), 0);
    teardown(&f);
}

static void freeing_it_in_the_middle_of_answers_is_fine(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 60; n++) {
        struct fixture f;

        setup(&f);
        put_large(&f, 4);
        send_request(&f, "q.sales.orders.scan", "{\"table\":\"orders\"}");
        for (unsigned i = 0; i < n && rt_sim_step(&f.w.stores.sim); i++) {
        }
        teardown(&f);
    }
}

static void a_request_without_a_reply_is_nobodys(void **state)
{
    const struct sf_bus_msg m = {.subject = "q.sales.orders.scan"};
    struct fixture f;
    (void)state;

    setup(&f);
    assert_int_equal(sf_bus_publish(f.asker, &m, NULL), SF_OK);
    rt_sim_run(&f.w.stores.sim);
    assert_int_equal(f.messages + f.ends, 0);
    teardown(&f);
}

/* The leaf's process may speak where its apps may not. */
static void nobody_has_an_answer_sent_where_only_the_leaf_speaks(void **state)
{
    static const char *const places[] = {"own.orders.orders.v1.0",
                                         "dp.x",
                                         "dpq.sales.A.orders.get",
                                         "mesh.product.apply",
                                         "ingest.x",
                                         "out.x",
                                         "$SYS.x"};
    struct fixture f;
    (void)state;

    setup(&f);
    for (size_t i = 0; i < SF_COUNT(places); i++) {
        struct sf_bus_sub heard = {.on_msg = f.inbox.on_msg, .data = &f};
        const struct sf_bus_msg m = {.subject = "q.sales.orders.describe", .reply = places[i]};

        assert_int_equal(sf_bus_subscribe(f.asker, &heard, places[i], NULL, NULL), SF_OK);
        assert_int_equal(sf_bus_publish(f.asker, &m, NULL), SF_OK);
        rt_sim_run(&f.w.stores.sim);
        assert_int_equal(f.messages + f.ends, 0);
        sf_bus_unsubscribe(f.asker, &heard);
    }
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_owners_apps_read_everything),
        cmocka_unit_test(other_domains_read_their_view_of_what_was_granted),
        cmocka_unit_test(events_are_seen_by_their_view_too),
        cmocka_unit_test(roles_come_with_the_request),
        cmocka_unit_test(describe_shows_what_the_caller_may_know),
        cmocka_unit_test(describe_tells_how_many_rows_there_are_when_all_are_seen),
        cmocka_unit_test(whatever_is_wrong_is_told_by_its_number),
        cmocka_unit_test(changes_are_followed_until_the_time_is_up),
        cmocka_unit_test(a_follower_that_is_gone_or_loses_its_right_is_ended),
        cmocka_unit_test(with_a_window_no_more_is_sent_than_was_taken),
        cmocka_unit_test(a_window_that_is_more_than_full_waits_until_there_is_room),
        cmocka_unit_test(an_expired_bundle_serves_the_owner_only),
        cmocka_unit_test(a_long_answer_comes_in_pages_and_ends),
        cmocka_unit_test(a_row_that_is_larger_as_json_goes_out_whole),
        cmocka_unit_test(a_revoked_asker_gets_an_error_instead_of_the_next_page),
        cmocka_unit_test(what_is_under_way_when_the_bundle_expires_ends),
        cmocka_unit_test(what_stands_ready_for_the_next_get_ends_with_the_bundle_too),
        cmocka_unit_test(a_bus_that_goes_away_ends_answers_in_silence),
        cmocka_unit_test(freeing_it_in_the_middle_of_answers_is_fine),
        cmocka_unit_test(a_request_without_a_reply_is_nobodys),
        cmocka_unit_test(nobody_has_an_answer_sent_where_only_the_leaf_speaks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
