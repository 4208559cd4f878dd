/*
 * The first byte says what the rest is: r records of the store, each a size of key, a size of value
 * and both; what is read is written as it was. l a history of bundles, four bytes each: which of 16
 * decisions the next one has, the time, and whether the leaf starts again. Whatever the history,
 * what a bundle had and a later one has not is never taken again before its end; and all of it
 * survives a restart.
 */
#include <string.h>

#include "common/base/alloc.h"
#include "leaf/serving/ended.h"
#include "tests/fuzz/fuzz.h"

enum { DECISIONS = 16, MAX = 6, ROOM = 64 };

/* --- records ---------------------------------------------------------------------------------- */

static void check_record(struct sf_slice key, struct sf_slice value)
{
    struct ended e;
    struct sf_arena arena;
    struct store_put *puts;
    size_t count;

    ended_init(&e);
    sf_arena_init(&arena, 0);
    if (ended_read(&e, key, value, NULL) == SF_OK) {
        ended_loaded(&e);
        for (size_t i = 0; i < e.count; i++) {
            fuzz_check(ended_has(&e, e.items[i].hash));
            e.items[i].stored = false;
        }
        e.floor_stored = e.count > 0;
        fuzz_check(ended_puts(&e, &arena, &puts, &count, NULL) == SF_OK && count == 1);
        fuzz_check(sf_slice_equal(puts[0].key, key) && sf_slice_equal(puts[0].value, value));
    }
    ended_done(&e);
    sf_arena_done(&arena);
}

static void check_records(struct sf_slice input)
{
    while (input.size > 0) {
        const size_t key = fuzz_take_byte(&input);
        const size_t value = fuzz_take_byte(&input);
        const struct sf_slice k = fuzz_take(&input, key);

        check_record(k, fuzz_take(&input, value));
    }
}

/* --- histories -------------------------------------------------------------------------------- */

struct history {
    struct ended e;
    struct ended_decision disk[ROOM]; /* what the store has */
    size_t disk_count;
    int64_t disk_floor_us;
    struct grant_decision decisions[2][DECISIONS];
    struct grant_set sets[2]; /* the last, and the next */
    int64_t now_us;
    bool ended[DECISIONS]; /* the model */
};

static struct grant_decision decision(unsigned n)
{
    return (struct grant_decision){.hash = {(uint8_t)n},
                                   .until_us = 40 + 20 * (n % 4),
                                   .decided_us = (int64_t)(n * 7 % DECISIONS),
                                   .audience = n % 2 == 0 ? "even" : "odd"};
}

static void put_on_disk(struct history *h, const struct store_put *put)
{
    struct ended e;
    size_t at = 0;

    if (put->key.size == sizeof(ENDED_FLOOR) - 1) {
        h->disk_floor_us = (int64_t)sf_read_be64(put->value.data);
        return;
    }
    while (at < h->disk_count && memcmp(h->disk[at].hash, put->key.data + sizeof(ENDED_PREFIX) - 1,
                                        SF_HASH256_SIZE) != 0) {
        at++;
    }
    if (put->remove) {
        fuzz_check(at < h->disk_count);
        h->disk[at] = h->disk[--h->disk_count];
        return;
    }
    ended_init(&e);
    fuzz_check(ended_read(&e, put->key, put->value, NULL) == SF_OK);
    fuzz_check(at < ROOM);
    h->disk[at] = e.items[0];
    h->disk_count += at == h->disk_count;
    ended_done(&e);
}

static void store(struct history *h)
{
    struct sf_arena arena;
    struct store_put *puts;
    size_t count;

    sf_arena_init(&arena, 0);
    fuzz_check(ended_puts(&h->e, &arena, &puts, &count, NULL) == SF_OK);
    for (size_t i = 0; i < count; i++) {
        put_on_disk(h, &puts[i]);
    }
    ended_stored(&h->e);
    sf_arena_done(&arena);
}

static void restart(struct history *h)
{
    ended_done(&h->e);
    h->e.max = MAX;
    h->e.floor_us = h->disk_floor_us;
    h->e.items = sf_calloc(h->disk_count + 1, sizeof(h->disk[0]));
    fuzz_check(h->e.items != NULL);
    memcpy(h->e.items, h->disk, h->disk_count * sizeof(h->disk[0]));
    h->e.count = h->disk_count;
    h->e.capacity = h->disk_count + 1;
    ended_loaded(&h->e);
}

/* The next bundle has those of @which: each is held back, or in force. */
static void take(struct history *h, unsigned which)
{
    struct grant_set *last = &h->sets[0];
    struct grant_set *next = &h->sets[1];

    next->decisions = h->decisions[1];
    next->decision_count = 0;
    for (unsigned n = 0; n < DECISIONS; n++) {
        struct grant_decision d = decision(n);

        if ((which >> n & 1) == 0) {
            continue;
        }
        d.held = ended_has(&h->e, d.hash) || ended_is_below(&h->e, &d, last);
        d.in_force = !d.held;
        fuzz_check(d.held || !h->ended[n] || d.until_us <= h->now_us);
        next->decisions[next->decision_count++] = d;
    }
    fuzz_check(ended_learn(&h->e, last, next, h->now_us, NULL) == SF_OK);
    fuzz_check(ended_count(&h->e) <= MAX + next->decision_count);
    for (size_t i = 0; i < last->decision_count; i++) {
        const struct grant_decision *d = &last->decisions[i];

        h->ended[d->hash[0]] |= d->in_force && grant_set_decision(next, d->hash) == NULL;
    }
    memcpy(h->decisions[0], h->decisions[1], sizeof(h->decisions[0]));
    last->decisions = h->decisions[0];
    last->decision_count = next->decision_count;
}

static void check_history(struct sf_slice input)
{
    struct history h = {.disk_floor_us = INT64_MIN};

    ended_init(&h.e);
    h.e.max = MAX;
    while (input.size >= 4) {
        const unsigned low = fuzz_take_byte(&input);
        const unsigned high = fuzz_take_byte(&input);

        h.now_us += fuzz_take_byte(&input) % 8;
        take(&h, low | high << 8);
        store(&h);
        if (fuzz_take_byte(&input) % 2 == 0) {
            restart(&h);
        }
    }
    ended_done(&h.e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sf_slice input = sf_slice_of(data, size);

    switch (fuzz_take_byte(&input)) {
    case 'r':
        check_records(input);
        break;
    case 'l':
        check_history(input);
        break;
    default:
        break;
    }
    return 0;
}
