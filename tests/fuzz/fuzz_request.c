/*
 * Bodies of requests: whatever JSON somebody sends is a request or an error with a number. First
 * byte: op and who asks. A cursor nobody sealed is never good, and a filter prints to an equal one.
 */
#include <string.h>

#include "common/base/arena.h"
#include "common/sys/crypto.h"
#include "leaf/query/params.h"
#include "proto/errors.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/leaf_world.h"

static const uint8_t seal_key[SF_SEAL_KEY_SIZE] = {5};

static struct leaf_world *world(void)
{
    static struct leaf_world w;
    static bool ready;

    if (!ready) {
        fuzz_check(sf_crypto_init(NULL) == SF_OK);
        leaf_world_init(&w, 1);
        (void)leaf_world_add(&w, world_orders);
        ready = true;
    }
    return &w;
}

/* The same filter again, as it prints. */
static void check_filter(const struct query_request *r, enum query_op op,
                         const struct serving_right *right, const char *table)
{
    struct sf_buf text = {0};
    struct query_request again;
    struct query_params p = {.table = table, .reverse = r->reverse};

    sf_expr_print(r->where, &text);
    p.where = sf_buf_cstr(&text);
    fuzz_check(p.where != NULL);
    if (strlen(p.where) <= SF_EXPR_TEXT_MAX &&
        query_request_build(&p, op, right, seal_key, &again, NULL) == SF_OK) {
        fuzz_check(memcmp(again.shape, r->shape, sizeof(r->shape)) == 0);
        query_request_done(&again);
    }
    sf_buf_done(&text);
}

static void check_body(const struct sf_json *body, enum query_op op, const struct grant *grant,
                       struct sf_arena *arena)
{
    const struct serving_right right = {
        .serving = &world()->serving,
        .product = product_set_find(&world()->serving.products, "orders", 1),
        .grant = grant};
    struct sf_buf findings = {0};
    struct query_params p;
    struct query_request r;
    struct sf_error err = {0};
    enum sf_code code = query_params_from_json(body, arena, &p, &err);

    if (code == SF_OK) {
        p.findings = &findings;
        code = query_request_build(&p, op, &right, seal_key, &r, &err);
    }
    if (code != SF_OK) {
        fuzz_check(err.number != 0 && err.text[0] != '\0');
    } else {
        fuzz_check(op != QUERY_SCAN || p.cursor == NULL || *p.cursor == '\0');
        if (r.where != NULL) {
            check_filter(&r, op, &right, p.table);
        }
        query_request_done(&r);
    }
    sf_buf_done(&findings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const columns[] = {"order_id", "note"};
    static const struct grant some = {
        .id = "G-1", .consumer = "billing", .columns = columns, .column_count = 2};
    struct sf_json_doc *doc = NULL;
    struct sf_arena arena;

    if (size == 0) {
        return 0;
    }
    (void)world();
    sf_arena_init(&arena, 0);
    if (sf_json_parse(sf_slice_of(data + 1, size - 1), &doc, NULL) == SF_OK) {
        check_body(sf_json_root(doc), (enum query_op)(data[0] % 3), data[0] & 0x40 ? &some : NULL,
                   &arena);
    }
    sf_json_free(doc);
    sf_arena_done(&arena);
    return 0;
}
