#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/sys/encoding.h"
#include "leaf/publish/message.h"
#include "tests/lib/leaf_world.h"

struct fixture {
    struct leaf_world w;
    const struct served_table *table;
    struct served_view *view;
    struct message_spec spec;
    struct message message;
    struct message_walk walk;
    struct sf_error err;
};

static void setup(struct fixture *f)
{
    *f = (struct fixture){0};
    leaf_world_init(&f->w, 1);
    (void)leaf_world_add(&f->w, world_orders);
    f->table = leaf_world_table(&f->w, "clicks");
    f->view = served_view_ref(f->table->whole);
    f->spec = (struct message_spec){
        .lane = {.domain = "sales", .product = "orders", .table = "clicks", .major = 1},
        .audience = "aud1",
        .subject = "dp.sales.orders.clicks.v1.0.aud1",
        .contract = "1.0.0",
        .view = f->view,
        .leaf_key = &f->w.leaf,
    };
    message_init(&f->message);
}

static void teardown(struct fixture *f)
{
    message_walk_end(&f->walk);
    message_done(&f->message);
    served_view_unref(f->view);
    leaf_world_done(&f->w);
}

/* From a walk of its own. */
static enum sf_code fill(struct fixture *f, uint64_t after, uint64_t prev)
{
    enum sf_code code;

    f->err = (struct sf_error){0};
    code =
        message_walk_begin(&f->walk, &f->spec, f->w.stores.store, f->table->lane, after, &f->err);
    return code == SF_OK ? message_fill(&f->message, &f->spec, &f->walk, prev, &f->err) : code;
}

static void write_clicks(struct fixture *f, unsigned count, unsigned page_bytes)
{
    struct sf_buf lines = {0};

    for (unsigned i = 1; i <= count; i++) {
        sf_buf_printf(&lines, "{\"op\":\"upsert\",\"row\":{\"page\":\"%0*u\"}}\n", (int)page_bytes,
                      i);
    }
    leaf_world_write(&f->w, f->table, sf_buf_cstr(&lines));
    sf_buf_done(&lines);
}

static void assert_header(const struct fixture *f, size_t i, const char *name, const char *value)
{
    assert_string_equal(f->message.headers[i].name, name);
    assert_string_equal(f->message.headers[i].value, value);
}

/* That the last header signs exactly @text, in which %s is the hash of the body. */
static void assert_signs(const struct fixture *f, const char *text)
{
    const struct sf_slice body = sf_buf_view(&f->message.body);
    const struct sf_bus_header *h = &f->message.headers[f->message.header_count - 1];
    uint8_t hash[SF_HASH256_SIZE];
    char hash_text[2 * SF_HASH256_SIZE + 1];
    struct sf_signature signature;
    char wanted[512];
    int n;

    sf_hash256(&body, 1, hash);
    sf_encode(SF_HEX, sf_slice_of(hash, sizeof(hash)), hash_text);
    n = snprintf(wanted, sizeof(wanted), "%s%s\n", text, hash_text);
    assert_string_equal(h->name, "Sheaf-Sig");
    assert_int_equal(sf_decode_exact(SF_BASE64, sf_slice_text(h->value), signature.bytes,
                                     sizeof(signature.bytes), NULL),
                     SF_OK);
    assert_int_equal(sf_verify(&f->w.leaf.public_key, SIGN_MESSAGE, sf_slice_of(wanted, (size_t)n),
                               &signature, NULL),
                     SF_OK);
}

static void a_message_says_where_it_stands_and_is_signed(void **state)
{
    static const char row[] = "\"row\":{\"page\":\"3\",\"n\":null,\"ip\":null}}\n";
    struct fixture f;
    struct sf_bus_msg m;
    (void)state;

    setup(&f);
    write_clicks(&f, 3, 1);
    assert_int_equal(fill(&f, 1, 1), SF_OK);
    assert_int_equal(f.message.first, 2);
    assert_int_equal(f.message.last, 3);
    assert_int_equal(f.message.header_count, 8);
    assert_header(&f, 0, "Sheaf-Position", "1:2-3");
    assert_header(&f, 1, "Nats-Msg-Id", "dp.sales.orders.clicks.v1.0.aud1:1:2-3");
    assert_header(&f, 2, "Content-Type", "application/x-ndjson");
    assert_header(&f, 3, "Sheaf-Prev", "1");
    assert_header(&f, 4, "Sheaf-Contract", "1.0.0");
    assert_header(&f, 5, "Sheaf-View", f.view->name);
    assert_header(&f, 6, "Sheaf-Audience", "aud1");
    assert_signs(&f, "sales\norders\nclicks\n1\n0\naud1\n1\n2\n3\n1\n0\n");
    m = message_of_bus(&f.message, &f.spec);
    assert_string_equal(m.subject, "dp.sales.orders.clicks.v1.0.aud1");
    assert_int_equal(m.header_count, 8);
    assert_null(m.reply);
    assert_memory_equal(m.data.data, "{\"seq\":2,\"op\":\"upsert\",\"ts\":\"", 29);
    assert_memory_equal(m.data.data + m.data.size - (sizeof(row) - 1), row, sizeof(row) - 1);
    teardown(&f);
}

static void a_heartbeat_is_empty_and_signed_too(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    write_clicks(&f, 3, 1);
    assert_int_equal(fill(&f, 0, 0), SF_OK); /* What was in it before is gone. */
    assert_int_equal(message_heartbeat(&f.message, &f.spec, 2, 9, 7, &f.err), SF_OK);
    assert_int_equal(f.message.body.size, 0);
    assert_int_equal(f.message.header_count, 6);
    assert_header(&f, 0, "Sheaf-Head", "2:9");
    assert_header(&f, 1, "Sheaf-Prev", "7");
    assert_header(&f, 2, "Sheaf-Contract", "1.0.0");
    assert_header(&f, 3, "Sheaf-View", f.view->name);
    assert_header(&f, 4, "Sheaf-Audience", "aud1");
    assert_signs(&f, "sales\norders\nclicks\n1\n0\naud1\n2\n0\n0\n7\n9\n");
    teardown(&f);
}

static void behind_the_head_there_is_no_message(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    write_clicks(&f, 2, 1);
    assert_int_equal(fill(&f, 2, 2), SF_OK);
    assert_int_equal(f.message.first, 0);
    assert_int_equal(f.message.body.size, 0);
    assert_int_equal(fill(&f, 3, 3), SF_INVALID);
    teardown(&f);
}

static void a_message_ends_behind_the_change_that_fills_it(void **state)
{
    struct fixture f;
    uint64_t after = 0;
    unsigned messages = 0;
    (void)state;

    setup(&f);
    write_clicks(&f, 100, 10000);
    while (after < 100) {
        assert_int_equal(fill(&f, after, after), SF_OK);
        assert_int_equal(f.message.first, after + 1);
        after = f.message.last;
        messages++;
        assert_true(after == 100 || f.message.body.size >= MESSAGE_BYTES);
        assert_true(f.message.body.size < MESSAGE_BYTES + 11000);
    }
    assert_int_equal(messages, 5);
    teardown(&f);
}

static uint64_t open_things(const struct fixture *f)
{
    return f->w.stores.disk.open_things;
}

static void one_walk_makes_message_after_message(void **state)
{
    struct fixture f;
    uint64_t before;
    uint64_t last = 0;
    unsigned messages = 1;
    (void)state;

    setup(&f);
    write_clicks(&f, 101, 10000);
    before = open_things(&f);
    assert_int_equal(fill(&f, 0, 0), SF_OK);
    while (message_walk_goes_on(&f.walk, f.message.looked)) {
        last = f.message.last;
        assert_false(message_walk_goes_on(&f.walk, last - 1)); /* What was not sent comes again. */
        assert_int_equal(message_fill(&f.message, &f.spec, &f.walk, last, &f.err), SF_OK);
        assert_int_equal(f.message.first, last + 1);
        assert_int_equal(f.message.prev, last);
        messages++;
    }
    assert_int_equal(f.message.last, 101);
    assert_int_equal(messages, 6);
    assert_int_equal(open_things(&f), before); /* It has ended by itself. */
    teardown(&f);
}

/* Its snapshot holds what was deleted since. */
static void a_walk_makes_only_so_many_messages(void **state)
{
    struct fixture f;
    unsigned messages = 1;
    (void)state;

    setup(&f);
    write_clicks(&f, 2 * MESSAGE_WALK_MAX, MESSAGE_BYTES);
    assert_int_equal(fill(&f, 0, 0), SF_OK);
    while (message_walk_goes_on(&f.walk, f.message.looked)) {
        assert_int_equal(message_fill(&f.message, &f.spec, &f.walk, f.message.last, &f.err), SF_OK);
        messages++;
    }
    assert_int_equal(messages, MESSAGE_WALK_MAX);
    teardown(&f);
}

static void flip_a_bit(struct fixture *f, size_t frame)
{
    struct sf_slice key;
    size_t size = 0;

    assert_true(fake_disk_key(&f->w.stores.disk, KV_LOG, frame, &key));
    fake_disk_value(&f->w.stores.disk, KV_LOG, key, &size)[20] ^= 1;
}

static void a_damaged_frame_is_found_by_the_walk_that_comes_to_it_and_by_each_that_begins_there(
    void **state)
{
    struct fixture f;
    uint64_t before;
    uint64_t at;
    enum sf_code code;
    (void)state;

    setup(&f);
    write_clicks(&f, 100, 10000);
    before = open_things(&f);
    assert_int_equal(fill(&f, 0, 0), SF_OK);
    at = f.message.last;
    flip_a_bit(&f, 2);
    for (code = SF_OK; code == SF_OK;) {
        assert_true(message_walk_goes_on(&f.walk, at));
        code = message_fill(&f.message, &f.spec, &f.walk, at, &f.err);
        at = code == SF_OK ? f.message.last : at;
    }
    assert_int_equal(code, SF_CORRUPT);
    assert_true(at > 20 && at < 60);
    assert_false(message_walk_goes_on(&f.walk, at));
    assert_int_equal(open_things(&f), before);
    for (unsigned i = 0; i < 3; i++) { /* As the feed tries again. */
        assert_int_equal(fill(&f, at, at), SF_CORRUPT);
        assert_string_equal(strstr(f.err.text, ": "), ": a frame is damaged");
    }
    flip_a_bit(&f, 2);
    assert_int_equal(fill(&f, at, at), SF_OK);
    /* What was checked for one walk was not for the next. */
    assert_int_equal(fill(&f, 0, 0), SF_OK);
    flip_a_bit(&f, 0);
    assert_int_equal(fill(&f, f.message.last, f.message.last), SF_CORRUPT);
    flip_a_bit(&f, 0);
    teardown(&f);
}

static void a_message_never_crosses_an_epoch(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    write_clicks(&f, 2, 1);
    served_view_unref(SF_TAKE(f.view));
    f.w.stores.options.raise_epoch = true;
    leaf_world_crash(&f.w, world_orders);
    f.table = leaf_world_table(&f.w, "clicks");
    f.view = served_view_ref(f.table->whole);
    f.spec.view = f.view;
    write_clicks(&f, 2, 1);
    assert_int_equal(fill(&f, 1, 1), SF_OK);
    assert_header(&f, 0, "Sheaf-Position", "1:2-2");
    assert_int_equal(fill(&f, 2, 2), SF_OK);
    assert_header(&f, 0, "Sheaf-Position", "2:3-4");
    teardown(&f);
}

static void out_of_memory_is_an_error_at_every_allocation(void **state)
{
    struct fixture f;
    (void)state;

    setup(&f);
    write_clicks(&f, 3, 1);
    for (long n = 0;; n++) {
        enum sf_code code;

        message_done(&f.message);
        message_init(&f.message);
        sf_alloc_fail_after(n, false);
        code = fill(&f, 0, 0);
        if (sf_alloc_faults() == 0) {
            assert_int_equal(code, SF_OK);
            break;
        }
        assert_int_equal(code, SF_NOMEM);
    }
    sf_alloc_fail_after(-1, false);
    assert_header(&f, 0, "Sheaf-Position", "1:1-3");
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_says_where_it_stands_and_is_signed),
        cmocka_unit_test(a_heartbeat_is_empty_and_signed_too),
        cmocka_unit_test(behind_the_head_there_is_no_message),
        cmocka_unit_test(a_message_ends_behind_the_change_that_fills_it),
        cmocka_unit_test(one_walk_makes_message_after_message),
        cmocka_unit_test(a_walk_makes_only_so_many_messages),
        cmocka_unit_test(
            a_damaged_frame_is_found_by_the_walk_that_comes_to_it_and_by_each_that_begins_there),
        cmocka_unit_test(a_message_never_crosses_an_epoch),
        cmocka_unit_test(out_of_memory_is_an_error_at_every_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
