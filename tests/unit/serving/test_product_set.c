#include "tests/lib/cmocka.h"

#include "common/base/alloc.h"
#include "proto/errors.h"
#include "tests/lib/leaf_world.h"

#define PRODUCT(name, version, status, kind)                                                       \
    "sheaf: product/v1\nproduct: " name "\nversion: " version "\nstatus: " status                  \
    "\ntables:\n  t:\n" kind "    fields:\n      id: {number: 1, type: string, required: true}\n"

#define STATE "    kind: state\n    key: [id]\n"
#define EVENT "    kind: event\n"

static enum sf_code add(struct leaf_world *w, uint32_t id, const char *yaml, struct sf_error *err)
{
    *err = (struct sf_error){0};
    return product_set_add(&w->serving.products, id, sf_slice_text(yaml), err);
}

static uint32_t found(const struct leaf_world *w, const char *name, uint32_t major)
{
    const struct served_product *p = product_set_find(&w->serving.products, name, major);

    return p == NULL ? 0 : p->contract_id;
}

static void a_version_supersedes_those_of_its_major_only(void **state)
{
    struct leaf_world w;
    const struct served_product *p;
    size_t at = 0;
    (void)state;

    leaf_world_init(&w, 1);
    (void)leaf_world_add(&w, PRODUCT("sales/a", "1.0.0", "active", STATE)); /* 1 */
    (void)leaf_world_add(&w, PRODUCT("sales/b", "1.0.0", "active", STATE)); /* 2 */
    (void)leaf_world_add(&w, PRODUCT("sales/a", "1.1.0", "active", STATE)); /* 3 */
    (void)leaf_world_add(&w, PRODUCT("sales/a", "2.0.0", "draft", STATE));  /* 4 */
    (void)leaf_world_add(&w, PRODUCT("sales/a", "1.2.0", "active", STATE)); /* 5 */
    p = product_set_next(&w.serving.products, &at);
    assert_int_equal(p->contract_id, 2);
    p = product_set_next(&w.serving.products, &at);
    assert_int_equal(p->contract_id, 4);
    p = product_set_next(&w.serving.products, &at);
    assert_int_equal(p->contract_id, 5);
    assert_int_equal(p->contract->version.minor, 2);
    assert_null(product_set_next(&w.serving.products, &at));
    assert_int_equal(w.serving.products.version_count, 5);
    assert_int_equal(w.serving.products.contract_id_highest, 5);
    leaf_world_done(&w);
}

static void a_removed_major_is_hidden_until_it_is_restored(void **state)
{
    struct product_removal removal = {.product = "a", .major = 2, .purge_us = 77};
    struct leaf_world w;
    size_t at = 0;
    (void)state;

    leaf_world_init(&w, 1);
    (void)leaf_world_add(&w, PRODUCT("sales/a", "1.0.0", "active", STATE)); /* 1 */
    (void)leaf_world_add(&w, PRODUCT("sales/a", "2.0.0", "active", STATE)); /* 2 */
    assert_int_equal(product_set_remove(&w.serving.products, &removal, NULL), SF_OK);
    assert_int_equal(found(&w, "a", 2), 0);
    assert_int_equal(found(&w, "a", 0), 1);
    assert_int_equal(product_set_next(&w.serving.products, &at)->contract_id, 1);
    assert_null(product_set_next(&w.serving.products, &at));
    removal.purged = true;
    assert_int_equal(product_set_remove(&w.serving.products, &removal, NULL), SF_OK);
    assert_int_equal(w.serving.products.removal_count, 1);
    assert_true(product_set_removal(&w.serving.products, "a", 2)->purged);
    product_set_restore(&w.serving.products, "a", 2);
    product_set_restore(&w.serving.products, "a", 7);
    assert_int_equal(found(&w, "a", 0), 2);
    assert_null(product_set_removal(&w.serving.products, "a", 2));
    leaf_world_done(&w);
}

static void a_removal_that_room_was_made_for_needs_no_memory(void **state)
{
    struct product_removal removal = {.product = "a", .major = 1, .purge_us = 77};
    struct leaf_world w;
    (void)state;

    leaf_world_init(&w, 1);
    (void)leaf_world_add(&w, PRODUCT("sales/a", "1.0.0", "active", STATE));
    sf_alloc_fail_after(0, true);
    assert_int_equal(product_set_make_room(&w.serving.products, NULL), SF_NOMEM);
    assert_int_equal(product_set_remove(&w.serving.products, &removal, NULL), SF_NOMEM);
    sf_alloc_fail_after(-1, false);
    assert_int_equal(found(&w, "a", 1), 1);
    assert_int_equal(product_set_make_room(&w.serving.products, NULL), SF_OK);
    sf_alloc_fail_after(0, true);
    assert_int_equal(product_set_remove(&w.serving.products, &removal, NULL), SF_OK);
    sf_alloc_fail_after(-1, false);
    assert_int_equal(found(&w, "a", 1), 0);
    leaf_world_done(&w);
}

static void a_removal_is_stored_byte_for_byte(void **state)
{
    static const uint8_t wanted[] = {0, 0, 0, 0, 0, 0, 1, 2, 1};
    uint8_t key[PRODUCT_REMOVAL_KEY_MAX];
    uint8_t value[PRODUCT_REMOVAL_VALUE_BYTES];
    struct product_removal back;
    struct sf_slice k = sf_slice_of(key, product_removal_key("web-orders", 12, key));
    struct sf_error err;
    (void)state;

    assert_memory_equal(k.data, "removed/web-orders@12", k.size);
    product_removal_value(258, true, value);
    assert_memory_equal(value, wanted, sizeof(wanted));
    assert_int_equal(product_removal_read(k, sf_slice_of(value, 9), &back, NULL), SF_OK);
    assert_string_equal(back.product, "web-orders");
    assert_true(back.major == 12 && back.purge_us == 258 && back.purged);
    assert_int_equal(product_removal_read(k, sf_slice_of(value, 8), &back, &err), SF_CORRUPT);
    assert_int_equal(err.number, SHEAF_E_STORE_CORRUPT);
    value[8] = 2;
    assert_int_equal(product_removal_read(k, sf_slice_of(value, 9), &back, &err), SF_CORRUPT);
    value[8] = 0;
    for (size_t n = 0; n < k.size - 1; n++) {
        assert_int_equal(
            product_removal_read(sf_slice_of(key, n), sf_slice_of(value, 9), &back, &err),
            SF_CORRUPT);
    }
}

static void versions_of_a_major_share_lanes_and_majors_do_not(void **state)
{
    struct leaf_world w;
    const struct served_product *one;
    const struct served_product *newer;
    const struct served_product *two;
    (void)state;

    leaf_world_init(&w, 1);
    one = leaf_world_add(&w, PRODUCT("sales/a", "1.0.0", "active", STATE));
    newer = leaf_world_add(&w, PRODUCT("sales/a", "1.0.1", "active", STATE));
    two = leaf_world_add(&w, PRODUCT("sales/a", "2.0.0", "active", EVENT));
    assert_ptr_equal(one->tables[0].lane, newer->tables[0].lane);
    assert_ptr_not_equal(one->tables[0].lane, two->tables[0].lane);
    assert_true(one->superseded);
    assert_string_equal(store_lane_name(two->tables[0].lane)->product, "sales/a");
    assert_int_equal(store_lane_name(two->tables[0].lane)->major, 2);
    assert_int_equal(store_lane_name(two->tables[0].lane)->kind, STORE_EVENT);
    assert_ptr_equal(newer->tables[0].product, newer);
    leaf_world_done(&w);
}

static void without_a_major_the_highest_active_one_is_meant(void **state)
{
    struct leaf_world w;
    (void)state;

    leaf_world_init(&w, 1);
    assert_int_equal(found(&w, "a", 0), 0);
    (void)leaf_world_add(&w, PRODUCT("sales/a", "1.0.0", "draft", STATE)); /* 1 */
    assert_int_equal(found(&w, "a", 0), 1);
    (void)leaf_world_add(&w, PRODUCT("sales/a", "3.0.0", "draft", STATE)); /* 2 */
    assert_int_equal(found(&w, "a", 0), 2);
    (void)leaf_world_add(&w, PRODUCT("sales/a", "1.0.1", "active", STATE)); /* 3 */
    assert_int_equal(found(&w, "a", 0), 3);
    (void)leaf_world_add(&w, PRODUCT("sales/a", "2.0.0", "active", STATE)); /* 4 */
    assert_int_equal(found(&w, "a", 0), 4);
    (void)leaf_world_add(&w, PRODUCT("sales/a", "2.0.1", "retired", STATE)); /* 5 */
    assert_int_equal(found(&w, "a", 0), 3);
    assert_int_equal(found(&w, "a", 1), 3);
    assert_int_equal(found(&w, "a", 2), 5);
    assert_int_equal(found(&w, "a", 3), 2);
    assert_int_equal(found(&w, "a", 4), 0);
    assert_int_equal(found(&w, "sales/a", 0), 0);
    leaf_world_done(&w);
}

static void a_product_of_another_domain_or_none_at_all_is_refused(void **state)
{
    struct leaf_world w;
    struct sf_error err;
    (void)state;

    leaf_world_init(&w, 1);
    assert_int_equal(add(&w, 1, PRODUCT("billing/a", "1.0.0", "active", STATE), &err), SF_INVALID);
    assert_int_equal(err.number, SHEAF_E_NOT_OWNER);
    assert_string_equal(err.text, "product billing/a is not of domain sales");
    assert_int_equal(add(&w, 1, "sheaf: product/v1\n", &err), SF_INVALID);
    assert_int_equal(add(&w, 1, "", &err), SF_INVALID);
    assert_int_equal(w.serving.products.version_count, 0);
    assert_int_equal(w.serving.products.contract_id_highest, 0);
    leaf_world_done(&w);
}

static void a_table_keeps_its_kind_within_a_major(void **state)
{
    struct leaf_world w;
    struct sf_error err;
    (void)state;

    leaf_world_init(&w, 1);
    (void)leaf_world_add(&w, PRODUCT("sales/a", "1.0.0", "active", STATE));
    assert_int_equal(add(&w, 2, PRODUCT("sales/a", "1.1.0", "active", EVENT), &err), SF_CONFLICT);
    assert_int_equal(found(&w, "a", 1), 1);
    assert_int_equal(add(&w, 2, PRODUCT("sales/a", "2.0.0", "active", EVENT), &err), SF_OK);
    leaf_world_done(&w);
}

static void a_table_is_named_unless_it_is_the_only_one(void **state)
{
    struct leaf_world w;
    const struct served_product *orders;
    const struct served_product *single;
    (void)state;

    leaf_world_init(&w, 1);
    orders = leaf_world_add(&w, world_orders);
    single = leaf_world_add(&w, PRODUCT("sales/a", "1.0.0", "active", STATE));
    assert_null(served_product_table(orders, NULL));
    assert_null(served_product_table(orders, ""));
    assert_null(served_product_table(orders, "order"));
    assert_string_equal(served_product_table(orders, "clicks")->contract->name, "clicks");
    assert_ptr_equal(served_product_table(single, NULL), &single->tables[0]);
    assert_ptr_equal(served_product_table(single, ""), &single->tables[0]);
    assert_null(served_product_table(single, "u"));
    leaf_world_done(&w);
}

static void keys_of_contracts_sort_as_their_ids(void **state)
{
    uint8_t low[PRODUCT_KEY_BYTES];
    uint8_t high[PRODUCT_KEY_BYTES];
    (void)state;

    product_set_key(0x00ff, low);
    product_set_key(0x0100, high);
    assert_memory_equal(low, "contract/\0\0\0\xff", PRODUCT_KEY_BYTES);
    assert_true(memcmp(low, high, PRODUCT_KEY_BYTES) < 0);
}

static void out_of_memory_leaves_the_set_as_it_was(void **state)
{
    struct leaf_world w;
    struct sf_error err;
    (void)state;

    leaf_world_init(&w, 1);
    (void)leaf_world_add(&w, world_orders);
    for (long n = 0;; n++) {
        enum sf_code code;

        sf_alloc_fail_after(n, false);
        code = add(&w, 2, world_orders_newer, &err);
        if (sf_alloc_faults() == 0) {
            assert_int_equal(code, SF_OK);
            break;
        }
        if (code == SF_OK) { /* Something that may be missing was. */
            fail_msg("fault %ld went by", n);
        }
        assert_int_equal(code, SF_NOMEM);
        assert_int_equal(found(&w, "orders", 1), 1);
        assert_int_equal(w.serving.products.version_count, 1);
        assert_false(w.serving.products.versions[0]->superseded);
    }
    sf_alloc_fail_after(-1, false);
    assert_int_equal(found(&w, "orders", 1), 2);
    assert_true(
        sf_slice_equal(w.serving.products.versions[1]->yaml, sf_slice_text(world_orders_newer)));
    leaf_world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_version_supersedes_those_of_its_major_only),
        cmocka_unit_test(a_removed_major_is_hidden_until_it_is_restored),
        cmocka_unit_test(a_removal_that_room_was_made_for_needs_no_memory),
        cmocka_unit_test(a_removal_is_stored_byte_for_byte),
        cmocka_unit_test(versions_of_a_major_share_lanes_and_majors_do_not),
        cmocka_unit_test(without_a_major_the_highest_active_one_is_meant),
        cmocka_unit_test(a_product_of_another_domain_or_none_at_all_is_refused),
        cmocka_unit_test(a_table_keeps_its_kind_within_a_major),
        cmocka_unit_test(a_table_is_named_unless_it_is_the_only_one),
        cmocka_unit_test(keys_of_contracts_sort_as_their_ids),
        cmocka_unit_test(out_of_memory_leaves_the_set_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
