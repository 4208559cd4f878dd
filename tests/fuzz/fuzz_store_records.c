/*
 * The first byte chooses a small record of the store: anchor, head, state or reject; the rest
 * is its bytes. What decodes stays within them, and a record of fixed size encodes to the same.
 */
#include <string.h>

#include "leaf/store/keyspace.h"
#include "tests/fuzz/fuzz.h"

static void try_anchor(struct sf_slice s)
{
    uint8_t again[KEYSPACE_ANCHOR_BYTES];
    struct store_anchor a;

    if (keyspace_anchor_decode(s, &a, NULL) != SF_OK) {
        return;
    }
    fuzz_check(a.cleared <= a.seq);
    keyspace_anchor_encode(&a, again);
    fuzz_check(s.size == sizeof(again) && memcmp(s.data, again, s.size) == 0);
}

static void try_head(struct sf_slice s)
{
    uint8_t again[KEYSPACE_HEAD_BYTES];
    struct store_head h;

    if (keyspace_head_decode(s, &h, NULL) == SF_OK) {
        keyspace_head_encode(&h, again);
        fuzz_check(s.size == sizeof(again) && memcmp(s.data, again, s.size) == 0);
    }
}

static void try_state(struct sf_slice s)
{
    uint8_t again[KEYSPACE_STATE_HEADER];
    struct keyspace_state state;
    struct sf_slice row;

    if (keyspace_state_decode(s, &state, &row, NULL) == SF_OK) {
        keyspace_state_encode(&state, again);
        fuzz_check(memcmp(s.data, again, sizeof(again)) == 0);
        fuzz_check(row.data == s.data + sizeof(again) && row.size == s.size - sizeof(again));
    }
}

static void try_reject(struct sf_slice s)
{
    struct store_quarantined q;

    if (keyspace_reject_decode(s, &q, NULL) == SF_OK) {
        fuzz_check(q.code_count <= STORE_REJECT_CODES_MAX);
        fuzz_check(q.field.data >= s.data && q.raw.data + q.raw.size == s.data + s.size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sf_slice rest = size == 0 ? (struct sf_slice){0} : sf_slice_of(data + 1, size - 1);

    if (size == 0) {
        return 0;
    }
    switch (data[0]) {
    case 'a':
        try_anchor(rest);
        break;
    case 'h':
        try_head(rest);
        break;
    case 's':
        try_state(rest);
        break;
    default:
        try_reject(rest);
        break;
    }
    return 0;
}
