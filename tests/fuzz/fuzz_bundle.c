/*
 * The first byte says what the rest is: r a bundle as it comes; s the payload of one that the hub
 * has signed, so that the readers behind the signature are reached. As it comes none is taken but
 * what the hub signed; and whatever the hub signs, each grant has the owner's consent.
 */
#include <string.h>

#include "common/identity/signed.h"
#include "proto/subjects.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/leaf_world.h"

static const struct world_grant grants[] = {
    {.id = "G-1", .columns = {"order_id", "amount"}},
    {.id = "G-2", .account = "OTHER", .consumer = "fraud", .audience = "aud2"}};

struct keys {
    struct leaf_world w;
    struct sf_buf good;
};

static struct keys *keys(void)
{
    static struct keys k;
    const struct world_bundle b = {.version = 5,
                                   .expires_us = INT64_MAX,
                                   .grants = grants,
                                   .grant_count = SF_COUNT(grants),
                                   .policies = "sheaf: policy/v1\nname: notes\n"
                                               "match: {field: note}\nmask: redact\n"};

    if (k.good.size == 0) {
        fuzz_check(sf_crypto_init(NULL) == SF_OK);
        leaf_world_init(&k.w, 1);
        leaf_world_sign(&k.w, &b, &k.good);
    }
    return &k;
}

static void check_grant(const struct grant *g)
{
    const bool is_all = strcmp(g->consumer, "fraud") == 0;

    fuzz_check(is_all || strcmp(g->consumer, "billing") == 0);
    fuzz_check(strcmp(g->product, "orders") == 0 && g->major == 1);
    fuzz_check(g->column_count == (is_all ? 0 : 2));
    fuzz_check(is_all || strcmp(g->columns[0], "order_id") == 0);
    fuzz_check(is_all || strcmp(g->columns[1], "amount") == 0);
}

static void check(struct sf_slice bundle, bool is_of_hub)
{
    const struct keys *k = keys();
    const struct grant_trust trust = leaf_world_trust(&k->w, 0);
    struct grant_set *set = NULL;
    enum sf_code code = grant_set_open(bundle, &trust, &set, NULL);

    fuzz_check((code == SF_OK) == (set != NULL));
    fuzz_check(code != SF_OK || is_of_hub || sf_slice_equal(bundle, sf_buf_view(&k->good)));
    fuzz_check(code == SF_OK || code == SF_INVALID || code == SF_BUSY ||
               code == (is_of_hub ? SF_TIMEOUT : SF_DENIED));
    for (size_t i = 0; set != NULL && i < set->grant_count; i++) {
        check_grant(&set->grants[i]);
    }
    grant_set_unref(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sf_slice input = sf_slice_of(data, size);
    struct sf_buf bytes = {0};

    switch (fuzz_take_byte(&input)) {
    case 'r':
        check(input, /* is_of_hub= */ false);
        break;
    case 's':
        fuzz_check(sf_signed_make(SIGN_BUNDLE, input, &keys()->w.hub, &bytes, NULL) == SF_OK);
        check(sf_buf_view(&bytes), /* is_of_hub= */ true);
        break;
    default:
        break;
    }
    sf_buf_done(&bytes);
    return 0;
}
