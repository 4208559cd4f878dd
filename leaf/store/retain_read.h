/*
 * Inside leaf/store: what retention reads before it drops something. On a query thread; a batch of
 * keys at a time, so that neither the thread nor the commit that follows is held for long.
 */
#pragma once

#include "leaf/store/upkeep.h"

enum { RETAIN_READ_CHANGES = 20000 }; /* looked at in one go */

struct retain_keys {
    struct sf_slice keys[UPKEEP_KEYS_MAX]; /* into bytes */
    uint64_t qseqs[UPKEEP_KEYS_MAX];
    size_t count;
    struct sf_buf bytes;
    bool more; /* call again, from where it came to */
};

void retain_keys_done(struct retain_keys *k);

/* Keys deleted by changes of (*at, to]; moves *at on. */
enum sf_code retain_read_deletes(struct store *s, struct store_lane *lane, uint64_t *at,
                                 uint64_t to, struct retain_keys *ret,
                                 struct sf_error *err) SF_MUST_CHECK;
/* The oldest rejects of the lane that came before @before_us. */
enum sf_code retain_read_rejects(struct store *s, struct store_lane *lane, int64_t before_us,
                                 struct retain_keys *ret, struct sf_error *err) SF_MUST_CHECK;
/* Answers stored before @before_us, from the key @at on, which moves on; empty: from the start. */
enum sf_code retain_read_answers(struct store *s, int64_t before_us, struct sf_buf *at,
                                 struct retain_keys *ret, struct sf_error *err) SF_MUST_CHECK;
