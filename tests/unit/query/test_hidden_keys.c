/* What is told to whoever does not see the keys, or not the rows, of the keys themselves. */
#include "tests/lib/cmocka.h"

#include <stdio.h>

#include "leaf/query/page.h"
#include "leaf/query/params.h"
#include "tests/lib/policies.h"
#include "tests/unit/query/query_world.h"

static const char product[] =
    "sheaf: product/v1\nproduct: sales/orders\nversion: 1.0.0\nowner: t\ndescription: d\ntables:\n"
    "  people:\n    kind: state\n    key: [id]\n    fields:\n"
    "      id: {number: 1, type: string, required: true}\n"
    "      n: {number: 2, type: int32}\n";

static const char redacted[] = "sheaf: policy/v1\nname: ids\nmatch: {field: id}\nmask: redact\n";
static const char filtered[] = "sheaf: policy/v1\nname: rows\nmatch: all\nfilter: n >= 0\n";

enum { PEOPLE = 40 };

struct fixture {
    struct leaf_world w;
    struct queries *queries;
    struct page_reader reader;
    const char *consumer; /* NULL: who has the grant */
    struct sf_error err;
};

static void setup(struct fixture *f, const char *policies)
{
    static const struct world_grant one = {.id = "G-1"};

    *f = (struct fixture){0};
    leaf_world_init(&f->w, 5);
    (void)leaf_world_add(&f->w, product);
    leaf_world_grant(&f->w, &(struct world_bundle){.version = 1, .grants = &one, .grant_count = 1});
    leaf_world_policies(&f->w, policies);
    f->queries = world_queries(&f->w);
}

static void teardown(struct fixture *f)
{
    world_queries_done(&f->w, f->queries);
}

/* The first page of what is asked, in f->reader until page_reader_done(). */
static void read_page(struct fixture *f, struct query_params p, bool hurry)
{
    const struct serving_right right = {.serving = &f->w.serving,
                                        .product =
                                            product_set_find(&f->w.serving.products, "orders", 1),
                                        .grant = &f->w.serving.grants->grants[0]};
    struct query_request request;

    assert_int_equal(query_request_build(&p, QUERY_SCAN, &right, world_seal_key, &request, &f->err),
                     SF_OK);
    if (f->consumer != NULL) {
        (void)snprintf(request.consumer, sizeof(request.consumer), "%s", f->consumer);
    }
    page_reader_init(&f->reader, queries_get_options(f->queries), &request);
    f->reader.hurry = hurry;
    do {
        assert_int_equal(page_read(&f->reader, &f->err), SF_OK);
    } while (!f->reader.page_done);
}

static void add_person(struct sf_buf *lines, unsigned key_size, int n)
{
    sf_buf_printf(lines, "{\"op\":\"upsert\",\"row\":{\"id\":\"%0*d\",\"n\":%d}}\n", (int)key_size,
                  n, n);
}

static void write_people(struct fixture *f, struct sf_buf *lines)
{
    leaf_world_write(&f->w, leaf_world_table(&f->w, "people"), sf_buf_cstr(lines));
    sf_buf_clear(lines);
}

/* Keys of many lengths: no cursor tells one of them, and the rows do not come in their order. */
static void cursors_and_order_tell_nothing_of_hidden_keys(void **state)
{
    char cursor[QUERY_CURSOR_MAX] = "";
    bool seen[PEOPLE] = {false};
    unsigned rising = 0;
    int last = -1;
    size_t size = 0;
    struct sf_buf lines = {0};
    struct fixture f;
    (void)state;

    setup(&f, redacted);
    for (int i = 0; i < PEOPLE; i++) {
        add_person(&lines, 2 + (unsigned)(PEOPLE - i), i); /* 00..39 is the first key */
    }
    write_people(&f, &lines);
    sf_buf_done(&lines);
    for (unsigned i = 0; i < PEOPLE; i++) {
        int n = -1;

        read_page(&f, (struct query_params){.table = "people", .limit = 1, .cursor = cursor},
                  false);
        assert_int_equal(f.reader.page.rows, 1);
        assert_int_equal(
            sscanf((const char *)f.reader.page.data.data, "{\"id\":\"***\",\"n\":%d}", &n), 1);
        assert_true(n >= 0 && n < PEOPLE && !seen[n]);
        seen[n] = true;
        rising += n > last;
        last = n;
        (void)snprintf(cursor, sizeof(cursor), "%s", f.reader.page.cursor);
        page_reader_done(&f.reader);
        assert_true(size == 0 || strlen(cursor) == size);
        size = strlen(cursor);
    }
    assert_in_range(rising, PEOPLE / 4, PEOPLE * 3 / 4);
    teardown(&f);
}

static void two_domains_have_no_order_to_compare(void **state)
{
    struct sf_buf lines = {0};
    struct sf_buf first = {0};
    struct fixture f;
    (void)state;

    setup(&f, redacted);
    for (int i = 0; i < PEOPLE; i++) {
        add_person(&lines, 4, i);
    }
    write_people(&f, &lines);
    read_page(&f, (struct query_params){.table = "people"}, false);
    sf_buf_slice(&first, f.reader.page.data);
    page_reader_done(&f.reader);
    read_page(&f, (struct query_params){.table = "people"}, false);
    assert_true(sf_slice_equal(f.reader.page.data, sf_buf_view(&first)));
    page_reader_done(&f.reader);
    f.consumer = "support";
    read_page(&f, (struct query_params){.table = "people"}, false);
    assert_int_equal(f.reader.page.data.size, first.size);
    assert_false(sf_slice_equal(f.reader.page.data, sf_buf_view(&first)));
    page_reader_done(&f.reader);
    sf_buf_done(&first);
    sf_buf_done(&lines);
    teardown(&f);
}

/* More rows than a slice looks at: the page waits for the end of the walk, or the next request
 * would begin where this one did. */
static void a_page_in_a_hurry_gets_somewhere(void **state)
{
    struct sf_buf lines = {0};
    struct fixture f;
    (void)state;

    setup(&f, redacted);
    for (int n = 1; n <= 2 * QUERY_SLICE_ROWS; n++) {
        add_person(&lines, 6, n);
        if (n % 512 == 0) {
            write_people(&f, &lines);
        }
    }
    sf_buf_done(&lines);
    read_page(&f, (struct query_params){.table = "people", .pages = 1}, true);
    assert_true(f.reader.page.rows > 0);
    page_reader_done(&f.reader);
    teardown(&f);
}

/* A page that ends for lack of time may end at a row that is not shown. */
static void a_cursor_at_a_hidden_row_tells_nothing_of_its_key(void **state)
{
    struct sf_buf lines = {0};
    size_t sizes[2];
    (void)state;

    for (unsigned i = 0; i < SF_COUNT(sizes); i++) {
        struct fixture f;

        setup(&f, filtered);
        for (int n = 1; n <= QUERY_SLICE_ROWS; n++) {
            add_person(&lines, i == 0 ? 20 : 90, -n);
            if (n % 512 == 0) {
                write_people(&f, &lines);
            }
        }
        add_person(&lines, 100, 7); /* 0...07 stands behind -0...01 */
        write_people(&f, &lines);
        read_page(&f, (struct query_params){.table = "people", .pages = 1}, true);
        assert_int_equal(f.reader.page.rows, 0);
        sizes[i] = strlen(f.reader.page.cursor);
        page_reader_done(&f.reader);
        teardown(&f);
    }
    sf_buf_done(&lines);
    assert_true(sizes[0] > 0);
    assert_int_equal(sizes[0], sizes[1]);
}

static int setup_all(void **state)
{
    (void)state;
    return sf_crypto_init(NULL) == SF_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cursors_and_order_tell_nothing_of_hidden_keys),
        cmocka_unit_test(two_domains_have_no_order_to_compare),
        cmocka_unit_test(a_page_in_a_hurry_gets_somewhere),
        cmocka_unit_test(a_cursor_at_a_hidden_row_tells_nothing_of_its_key),
    };

    return cmocka_run_group_tests_name("hidden keys", tests, setup_all, NULL);
}
