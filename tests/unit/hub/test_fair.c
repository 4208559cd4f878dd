/* One domain asks the hub without pause; what another asks is answered as if it did not. */
#include "tests/lib/cmocka.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/wire/control.h"
#include "hub/api/control.h"
#include "proto/subjects.h"
#include "tests/unit/hub/api_world.h"

enum {
    FLOOD = 500,
    CALLS = API_WORLD_REQUESTS_MAX,
    LOOKED_AT = 1 + API_WORLD_REQUESTS_MAX, /* of a flood: at once, and of what may wait */
    ANSWERS = LOOKED_AT + API_WORLD_REQUESTS_MAX,
};

/* In the order they came: 's' sales was looked at, 'b' it was told that it asks too much, 'm'
 * marketing was looked at. */
struct told {
    struct sf_bus_sub sub;
    char order[2 * FLOOD + 1];
    size_t count;
    size_t of_marketing;
};

static void on_told(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct told *t = sub->data;
    const char *number = sf_bus_msg_header(m, HEADER_ERROR_ID);
    const bool is_busy = number != NULL && strcmp(number, "SHEAF-E0602") == 0;

    assert_true(t->count < sizeof(t->order) - 1);
    if (strcmp(m->subject, "told.marketing") == 0) {
        assert_false(is_busy);
        t->of_marketing++;
        t->order[t->count++] = 'm';
    } else {
        t->order[t->count++] = is_busy ? 'b' : 's';
    }
}

static void publish(struct api_world *w, const char *domain, const char *op,
                    const ProtobufCMessage *m)
{
    uint8_t bytes[2048];
    char subject[SUBJECT_MAX];
    char reply[64];

    assert_true(protobuf_c_message_get_packed_size(m) <= sizeof(bytes));
    (void)snprintf(subject, sizeof(subject), "mesh.ctl.A%sSERVE.%s", domain, op);
    (void)snprintf(reply, sizeof(reply), "told.%s", domain);
    assert_int_equal(
        sf_bus_publish(w->leaf,
                       &(struct sf_bus_msg){
                           .subject = subject,
                           .reply = reply,
                           .data = sf_slice_of(bytes, protobuf_c_message_pack(m, bytes)),
                       },
                       NULL),
        SF_OK);
}

static void explain(struct api_world *w, const char *domain)
{
    static char owner[] = "sales";
    static char product[] = "orders";
    Sheaf__V1__ExplainRequest m = SHEAF__V1__EXPLAIN_REQUEST__INIT;

    m.owner = owner;
    m.product = product;
    publish(w, domain, "access.explain", &m.base);
}

static void hear(struct api_world *w, struct told *t)
{
    memset(t, 0, sizeof(*t));
    t->sub = (struct sf_bus_sub){.on_msg = on_told, .data = t};
    assert_int_equal(sf_bus_subscribe(w->leaf, &t->sub, "told.*", NULL, NULL), SF_OK);
}

static size_t count_until(const struct told *t, char what, char end)
{
    size_t n = 0;

    for (const char *at = t->order; *at != '\0' && *at != end; at++) {
        n += *at == what;
    }
    return n;
}

/* Five hundred of one domain are there when another asks: one of them is looked at before it. */
static void a_leaf_that_floods_keeps_others_from_one_turn(void **state)
{
    struct told t;
    struct api_world w;
    (void)state;

    api_world_init(&w);
    hear(&w, &t);
    for (unsigned n = 0; n < FLOOD; n++) {
        explain(&w, "sales");
    }
    explain(&w, "marketing");
    test_loop_until_count(&w.loop, &t.of_marketing, 1, "an answer to marketing", 20000);
    assert_true(count_until(&t, 's', 'm') <= 2);
    assert_true(count_until(&t, 'b', 'm') <= API_WORLD_REQUESTS_MAX);
    test_loop_until_count(&w.loop, &t.count, ANSWERS + 1, "all answers", 20000);
    test_loop_idle(&w.loop, 50);
    assert_int_equal(count_until(&t, 's', '\0'), LOOKED_AT);
    assert_int_equal(count_until(&t, 'b', '\0'), API_WORLD_REQUESTS_MAX);
    (void)api_world_ask(&w, "GET", "/metrics", "", -1);
    assert_non_null(strstr(w.answer.text, "sheaf_hub_requests_refused_total{caller=\"sales\","
                                          "way=\"control\"} 491\n"));
    sf_bus_unsubscribe(w.leaf, &t.sub);
    api_world_done(&w);
}

/* What a leaf asks for its users is no reason to keep its bundle from it. */
static void polls_of_a_leaf_do_not_wait_for_what_it_asks_besides(void **state)
{
    static char sales[] = "sales";
    Sheaf__V1__PollRequest poll = SHEAF__V1__POLL_REQUEST__INIT;
    struct told t;
    struct api_world w;
    (void)state;

    api_world_init(&w);
    hear(&w, &t);
    poll.domain = sales;
    for (unsigned n = 0; n < FLOOD; n++) {
        explain(&w, "sales");
    }
    publish(&w, "sales", "poll", &poll.base);
    test_loop_until_count(&w.loop, &t.count, ANSWERS + 1, "all answers", 20000);
    assert_true(lease_is_up(lease_find(&w.state.leases, "sales")));
    assert_int_equal(count_until(&t, 's', '\0'), LOOKED_AT + 1);
    sf_bus_unsubscribe(w.leaf, &t.sub);
    api_world_done(&w);
}

/* --- what is under way ------------------------------------------------------------------------ */

static bool is_of_log(void *data, const char *subject)
{
    (void)data;
    return strcmp(subject, EVENT_SUBJECT) == 0;
}

/* The log does not answer: changes stay under way. Some of one domain's keep nothing of another's.
 */
static void changes_of_one_domain_leave_room_for_others(void **state)
{
    static char sales[] = "sales";
    Sheaf__V1__ApplyRequest apply = SHEAF__V1__APPLY_REQUEST__INIT;
    struct told t;
    struct api_world w;
    (void)state;

    api_world_init(&w);
    api_world_stop(&w);
    w.requests_max = 4 * CONTROL_APPLIES_OF_ONE_MAX;
    api_world_start(&w);
    hear(&w, &t);
    fake_broker_knobs(w.broker)->drop = is_of_log;
    apply.domain = sales;
    apply.product_yaml = sf_control_data(sf_slice_text(ORDERS_WITH("1.1.0", "")));
    for (unsigned n = 0; n < CONTROL_APPLIES_OF_ONE_MAX + 1; n++) {
        publish(&w, "sales", "product.apply", &apply.base);
    }
    test_loop_until_count(&w.loop, &t.count, 1, "a refusal", 20000);
    assert_string_equal(t.order, "b");
    sf_bus_unsubscribe(w.leaf, &t.sub);
    api_world_done(&w);
}

static int begin_http(const struct api_world *w, const char *body)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(api_port(w->api)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_true(dprintf(fd,
                        "POST /v1/access/requests HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n"
                        "%s\r\n%s",
                        strlen(body), w->headers, body) > 0);
    return fd;
}

/* Until the hub has seen so many calls: the test's own look at it is one as well. */
static void until_calls(struct api_world *w, unsigned count)
{
    unsigned seen = 0;

    while (seen < count) {
        const char *at;

        (void)api_world_ask(w, "GET", "/metrics", "", -1);
        at = strstr(w->answer.text, "\nsheaf_hub_http_requests_total ");
        assert_non_null(at);
        assert_int_equal(sscanf(at, "\nsheaf_hub_http_requests_total %u", &seen), 1);
        count++;
    }
}

static void a_domain_with_many_calls_under_way_is_refused_and_others_are_not(void **state)
{
    static const char body[] =
        "{\"product\":\"sales/orders\",\"purpose\":\"p\",\"duration_us\":3600000000}";
    int fds[CALLS];
    struct api_world w;
    (void)state;

    api_world_init(&w);
    api_world_sign_as(&w, "marketing", &w.hub.domain_keys[1]);
    fake_broker_knobs(w.broker)->drop = is_of_log;
    for (size_t i = 0; i < CALLS; i++) {
        fds[i] = begin_http(&w, body);
    }
    until_calls(&w, CALLS);
    (void)api_world_ask(&w, "GET", "/v1/domains", "", -1);
    assert_int_equal(w.answer.status, 429);
    assert_non_null(strstr(w.answer.head, "Retry-After: 1"));
    assert_non_null(strstr(w.answer.text, "SHEAF-E0602"));
    api_world_sign_as(&w, "sales", &w.hub.domain_keys[0]);
    (void)api_world_ask(&w, "GET", "/v1/domains", "", -1);
    assert_int_equal(w.answer.status, 200);
    for (size_t i = 0; i < CALLS; i++) {
        (void)close(fds[i]);
    }
    api_world_done(&w); /* with all of them under way */
}

/* Some while they wait for their turn: nothing is left to be looked at then. */
static void clients_that_leave_at_once_are_forgotten(void **state)
{
    enum { CLIENTS = 200 };
    struct api_world w;
    (void)state;

    api_world_init(&w);
    api_world_stop(&w);
    w.requests_max = CLIENTS;
    api_world_start(&w);
    api_world_sign_as(&w, "marketing", &w.hub.domain_keys[1]);
    for (size_t i = 0; i < CLIENTS; i++) {
        (void)close(begin_http(&w, "{}"));
    }
    (void)api_world_ask(&w, "GET", "/v1/domains", "", -1); /* accepted behind all of them */
    assert_int_equal(w.answer.status, 200);
    api_world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leaf_that_floods_keeps_others_from_one_turn),
        cmocka_unit_test(polls_of_a_leaf_do_not_wait_for_what_it_asks_besides),
        cmocka_unit_test(changes_of_one_domain_leave_room_for_others),
        cmocka_unit_test(a_domain_with_many_calls_under_way_is_refused_and_others_are_not),
        cmocka_unit_test(clients_that_leave_at_once_are_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
