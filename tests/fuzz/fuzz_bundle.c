/*
 * The first byte says what the rest is: r a bundle as it comes; p changes of a good one, each a
 * place (two bytes) and what stands there then; s the payload of one that the hub has signed, so
 * that the readers behind the signature are reached. No changed one is taken; and whatever the hub
 * signs, each grant has the owner's consent.
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

/* Whether the bundle is taken. */
static bool check(struct sf_slice bundle)
{
    const struct grant_trust trust = leaf_world_trust(&keys()->w, 0);
    struct grant_set *set = NULL;
    enum sf_code code = grant_set_open(bundle, &trust, &set, NULL);

    fuzz_check((code == SF_OK) == (set != NULL));
    fuzz_check(code == SF_OK || code == SF_INVALID || code == SF_BUSY || code == SF_TIMEOUT ||
               code == SF_DENIED);
    for (size_t i = 0; set != NULL && i < set->grant_count; i++) {
        check_grant(&set->grants[i]);
    }
    grant_set_unref(set);
    return code == SF_OK;
}

static void check_changed(struct sf_slice input, struct sf_buf *bytes)
{
    const struct sf_slice good = sf_buf_view(&keys()->good);

    sf_buf_slice(bytes, good);
    while (input.size >= 3) {
        size_t at = fuzz_take_byte(&input);

        at = (at << 8 | fuzz_take_byte(&input)) % good.size;
        bytes->data[at] = fuzz_take_byte(&input);
    }
    fuzz_check(check(sf_buf_view(bytes)) == sf_slice_equal(sf_buf_view(bytes), good));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sf_slice input = sf_slice_of(data, size);
    struct sf_buf bytes = {0};

    switch (fuzz_take_byte(&input)) {
    case 'r':
        (void)check(input);
        break;
    case 'p':
        check_changed(input, &bytes);
        break;
    case 's':
        fuzz_check(sf_signed_make(SIGN_BUNDLE, input, &keys()->w.hub, &bytes, NULL) == SF_OK);
        (void)check(sf_buf_view(&bytes));
        break;
    default:
        break;
    }
    sf_buf_done(&bytes);
    return 0;
}
