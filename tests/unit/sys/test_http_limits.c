#include "tests/lib/cmocka.h"

#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "tests/lib/proc.h"
#include "tests/unit/sys/http_world.h"

enum { ANSWERS_MAX = 1024 * 1024 };

/* Runs @f on the loop, and waits for it. */
struct on_loop {
    struct sf_task task;
    struct fixture *world;
    struct sf_http_limits limits;
    struct sf_http_stats stats;
    sem_t done;
};

static void on_loop_run(struct sf_task *t)
{
    struct on_loop *o = SF_CONTAINER_OF(t, struct on_loop, task);

    if (o->limits.body_bytes_max > 0) {
        sf_http_server_set_limits(o->world->server, &o->limits);
    }
    o->stats = sf_http_server_stats(o->world->server);
    assert_int_equal(sem_post(&o->done), 0);
}

static struct sf_http_stats stats_with(struct fixture *f, struct sf_http_limits limits)
{
    struct on_loop o = {.task.run = on_loop_run, .world = f, .limits = limits};

    assert_int_equal(sem_init(&o.done, 0, 0), 0);
    sf_rt_post_remote(f->rt, &o.task);
    assert_int_equal(sem_wait(&o.done), 0);
    return o.stats;
}

static struct sf_http_stats stats_of(struct fixture *f)
{
    return stats_with(f, (struct sf_http_limits){0});
}

static unsigned status_of(struct client *c, struct fixture *f, const char *path, size_t body_size)
{
    uint8_t *bytes = sf_calloc(1, body_size + 1);
    struct sf_http_call http = {.method = body_size > 0 ? "POST" : "GET",
                                .body = sf_slice_of(bytes, body_size)};

    assert_int_equal(client_call(c, f, path, &http), SF_OK);
    sf_free(bytes);
    return c->answer.status;
}

struct taken {
    struct client *c;
    struct fixture *f;
    size_t body_size;
};

static bool is_taken(void *data)
{
    const struct taken *t = data;

    return status_of(t->c, t->f, "/echo", t->body_size) == 201;
}

static void until_taken(struct client *c, struct fixture *f, size_t body_size)
{
    struct taken t = {c, f, body_size};

    wait_until(is_taken, &t, "the server has room for another", DEADLINE_MS);
}

/* Starts with the options, and a client that asks for /big and reads nothing. */
static int start_unread(void **state, uint64_t slow_ns)
{
    struct fixture *f;
    int fd;

    assert_int_equal(world_setup_slow(state, slow_ns), 0);
    f = *state;
    assert_int_equal(
        stats_with(f, (struct sf_http_limits){BODY_MAX, BODY_TOTAL_MAX, ANSWERS_MAX}).answer_bytes,
        0);
    fd = raw_open(f);
    raw_send(fd, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_until(was_handled, f, "the request is handled", DEADLINE_MS);
    return fd;
}

static void test_answers_that_nobody_reads_are_bounded(void **state)
{
    int fd = start_unread(state, 0);
    struct fixture *f = *state;
    struct sf_http_stats stats;
    struct client c;

    client_init(&c);
    assert_int_equal(status_of(&c, f, "/echo", 0), 429);
    assert_string_equal(sf_http_answer_header(&c.answer, "Retry-After"), "1");
    assert_int_equal(status_of(&c, f, "/echo", 10), 429);
    assert_int_equal(status_of(&c, f, "/", 0), 204); /* one of the vital ones */
    stats = stats_of(f);
    assert_int_equal(stats.answer_bytes, BIG_ANSWER);
    assert_int_equal(stats.refused_answers, 2);
    assert_int_equal(stats.cut, 0); /* it has not waited long enough */
    assert_int_equal(stats.connections, 2);
    assert_int_equal(close(fd), 0);
    until_taken(&c, f, 0); /* once the server knows */
    assert_int_equal(stats_of(f).answer_bytes, 0);
    client_done(&c);
}

static void test_who_does_not_read_is_cut_off_when_room_is_needed(void **state)
{
    int fd = start_unread(state, 1);
    struct fixture *f = *state;
    struct client c;

    client_init(&c);
    assert_int_equal(status_of(&c, f, "/echo", 0), 429);
    until_taken(&c, f, 0); /* once the server knows */
    assert_int_equal(stats_of(f).cut, 1);
    assert_int_equal(stats_of(f).answer_bytes, 0);
    assert_false(raw_expect(fd, "never sent"));
    assert_int_equal(close(fd), 0);
    client_done(&c);
}

static void test_who_hardly_sends_is_cut_off_when_room_is_needed(void **state)
{
    struct fixture *f;
    struct client c;
    int fd;

    assert_int_equal(world_setup_slow(state, 1), 0);
    f = *state;
    fd = raw_open(f);
    client_init(&c);
    raw_send(fd, "POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\nbegin");
    assert_int_equal(status_of(&c, f, "/echo", 1), 201); /* the server has the one above */
    assert_int_equal(status_of(&c, f, "/echo", 70000), 429);
    until_taken(&c, f, 70000);
    assert_int_equal(stats_of(f).cut, 1);
    assert_false(raw_expect(fd, "never sent"));
    assert_int_equal(close(fd), 0);
    client_done(&c);
}

static void test_limits_may_change_while_the_server_runs(void **state)
{
    struct fixture *f;
    struct client c;

    assert_int_equal(world_setup(state), 0);
    f = *state;
    client_init(&c);
    assert_int_equal(status_of(&c, f, "/echo", 2000), 201);
    (void)stats_with(f, (struct sf_http_limits){1000, 5000, 0});
    assert_int_equal(status_of(&c, f, "/echo", 2000), 413);
    (void)stats_with(f, (struct sf_http_limits){2000, 1000, 0});
    assert_int_equal(status_of(&c, f, "/echo", 2000), 429);
    assert_int_equal(stats_of(f).refused_bodies, 1);
    (void)stats_with(f, (struct sf_http_limits){2000, 2000, 0});
    assert_int_equal(status_of(&c, f, "/echo", 2000), 201);
    client_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_answers_that_nobody_reads_are_bounded, world_teardown),
        cmocka_unit_test_teardown(test_who_does_not_read_is_cut_off_when_room_is_needed,
                                  world_teardown),
        cmocka_unit_test_teardown(test_who_hardly_sends_is_cut_off_when_room_is_needed,
                                  world_teardown),
        cmocka_unit_test_teardown(test_limits_may_change_while_the_server_runs, world_teardown),
    };

    return cmocka_run_group_tests_name("http limits", tests, NULL, NULL);
}
