#include "tests/unit/hub/api_world.h"

#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "common/identity/token.h"
#include "proto/subjects.h"

static enum sf_code on_event(void *data, const struct event_record *r, struct sf_error *err)
{
    return state_on_event(&((struct api_world *)data)->state, r, err);
}

static void on_open(void *data, enum sf_code code, const struct sf_error *err)
{
    struct api_world *w = data;

    (void)err;
    assert_int_equal(code, SF_OK);
    w->opened = true;
}

static void on_failed(void *data, const struct sf_error *err)
{
    (void)err;
    ((struct api_world *)data)->failed = true;
}

void api_world_start(struct api_world *w)
{
    const struct event_log_options log = {
        .rt = w->loop.rt,
        .bus = w->bus,
        .hub_key = &w->keys.hub_key,
        .on_event = on_event,
        .on_open = on_open,
        .on_failed = on_failed,
        .data = w,
    };
    const struct api_options api = {.uv = w->loop.uv, .state = &w->state};

    w->opened = w->failed = false;
    w->state = (struct hub_state){.rt = w->loop.rt,
                                  .mesh_bus = w->bus,
                                  .keys = &w->keys,
                                  .bundle_life_us = INT64_C(3600) * SF_US_PER_S,
                                  .domain_requests_max = w->requests_max};
    assert_int_equal(state_init(&w->state, NULL), SF_OK);
    if (w->pushes.rt != NULL) {
        assert_int_equal(pusher_new(&w->pushes, &w->state.pusher, NULL), SF_OK);
    }
    assert_int_equal(event_log_open(&log, &w->state.log, NULL), SF_OK);
    test_loop_until_flag(&w->loop, &w->opened, "log", 10000);
    assert_int_equal(state_open(&w->state, NULL), SF_OK);
    assert_int_equal(control_new(&w->state, &w->control, NULL), SF_OK);
    assert_int_equal(api_new(&api, &w->api, NULL), SF_OK);
}

void api_world_stop(struct api_world *w)
{
    state_close(&w->state);
    event_log_close(SF_TAKE(w->state.log));
    api_free(SF_TAKE(w->api));
    control_free(SF_TAKE(w->control));
    pusher_free(SF_TAKE(w->state.pusher));
    state_done(&w->state);
}

static void on_answer(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct api_world *w = sub->data;

    w->answers++;
    w->errors += sf_bus_msg_header(m, HEADER_ERROR_ID) != NULL;
    (void)snprintf(w->last, sizeof(w->last), "%.*s", (int)m->data.size,
                   m->data.size == 0 ? "" : (const char *)m->data.data);
}

void api_world_init(struct api_world *w)
{
    memset(w, 0, sizeof(*w));
    w->requests_max = API_WORLD_REQUESTS_MAX;
    world_init(&w->hub);
    world_join(&w->hub, "sales");
    world_join(&w->hub, "marketing");
    world_product(&w->hub, ORDERS_1_0);
    world_key(0x11, &w->keys.hub_key); /* as hub_world */
    world_key(0x31, &w->keys.operator_key);
    world_key(0x32, &w->keys.signing_key);
    world_key(0x33, &w->keys.platform_key);
    world_key(0x34, &w->keys.accounts_key);
    test_loop_init(&w->loop);
    w->broker = fake_broker_new(w->loop.rt);
    w->bus = fake_bus_connect(w->broker);
    w->leaf = fake_bus_connect(w->broker);
    w->inbox = (struct sf_bus_sub){.on_msg = on_answer, .data = w};
    assert_int_equal(sf_bus_subscribe(w->leaf, &w->inbox, "inbox", NULL, NULL), SF_OK);
    fake_stream_init(&w->stream, fake_bus_connect(w->broker));
    for (size_t i = 0; i < w->hub.count; i++) {
        fake_stream_put(&w->stream, sf_buf_view(&w->hub.events[i]));
    }
    api_world_start(w);
}

void api_world_done(struct api_world *w)
{
    api_world_stop(w);
    sf_bus_unsubscribe(w->leaf, &w->inbox);
    fake_stream_done(&w->stream);
    fake_broker_free(w->broker);
    test_loop_done(&w->loop);
    authority_done(&w->keys);
    world_done(&w->hub);
}

/* --- HTTP ------------------------------------------------------------------------------------- */

/* Query thread. */
static void call(struct sf_work *work)
{
    struct api_world *w = SF_CONTAINER_OF(work, struct api_world, work);

    raw_http_call(api_port(w->api), w->method, w->path, w->headers, sf_slice_text(w->body),
                  &w->answer);
}

static void called(struct sf_task *t)
{
    SF_CONTAINER_OF(t, struct api_world, work.done)->done = true;
}

void api_world_sign_as(struct api_world *w, const char *issuer, const struct sf_seed *key)
{
    const int64_t now_s = sf_rt_wall_us(w->loop.rt) / SF_US_PER_S;
    struct sf_token claims = {.issued_s = now_s, .expires_s = now_s + 600};
    struct sf_buf token = {0};

    (void)snprintf(claims.issuer, sizeof(claims.issuer), "%s", issuer);
    (void)snprintf(claims.subject, sizeof(claims.subject), "ada");
    (void)snprintf(claims.audience, sizeof(claims.audience), WORLD_MESH);
    assert_int_equal(sf_token_make(&claims, key, &token, NULL), SF_OK);
    (void)snprintf(w->headers, sizeof(w->headers), "Authorization: Bearer %s\r\n",
                   sf_buf_cstr(&token));
    sf_buf_done(&token);
}

/* Says whether an allocation has failed. */
bool api_world_ask(struct api_world *w, const char *method, const char *path, const char *body,
                   long fault)
{
    bool failed;

    w->method = method;
    w->path = path;
    w->body = body;
    w->done = false;
    w->work = (struct sf_work){.pool = SF_POOL_QUERY, .work = call, .done.run = called};
    sf_alloc_fail_after(fault, false);
    sf_rt_work(w->loop.rt, &w->work);
    test_loop_until_flag(&w->loop, &w->done, path, 20000);
    failed = sf_alloc_faults() > 0;
    sf_alloc_fail_after(-1, false);
    return failed;
}
