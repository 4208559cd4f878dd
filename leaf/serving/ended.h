/*
 * What has ended: decisions of this domain that a bundle had and a later one has no more although
 * their own end is still to come. Each is known by the hash of what the domain signed, until that
 * end, so that no bundle brings it back; a new decision has another hash.
 *
 *   Threads   Loop thread. Pure: whoever owns it stores the puts and reads them back.
 *   Limits    ENDED_MAX. When they are full the oldest quarter, by the time of the decision, is
 *             given up for a floor: what was decided until then and is not in force has ended.
 */
#pragma once

#include "common/base/arena.h"
#include "leaf/serving/grant_set.h"
#include "leaf/store/store.h"

enum { ENDED_MAX = 65536, ENDED_AUDIENCE_BYTES = 32 };

/* Keys of small values (STORE_META): each decision, and the floor. */
#define ENDED_PREFIX "ended/"
#define ENDED_FLOOR  "ended"

struct ended_decision {
    uint8_t hash[SF_HASH256_SIZE];
    int64_t until_us; /* and no longer */
    int64_t decided_us;
    char audience[ENDED_AUDIENCE_BYTES]; /* it shared; "": none, or a name that is too long */
    bool stored;
    bool past; /* to be forgotten, also by the store */
};

struct ended {
    struct ended_decision *items; /* by hash */
    size_t count;
    size_t capacity;
    size_t max;       /* 0: ENDED_MAX */
    int64_t floor_us; /* INT64_MIN: there is none */
    bool floor_stored;
};

void ended_init(struct ended *e);
void ended_done(struct ended *e);

bool ended_has(const struct ended *e, const uint8_t *hash);
/* Whether @d is of the floor's time and @last, which may be NULL, does not have it in force. */
bool ended_is_below(const struct ended *e, const struct grant_decision *d,
                    const struct grant_set *last);
/* What @last had and @next has not has ended, and what @next holds back. @last NULL: it had none.
 * What is over by @now_us is forgotten. SF_NOMEM: nothing is changed. */
enum sf_code ended_learn(struct ended *e, const struct grant_set *last,
                         const struct grant_set *next, int64_t now_us,
                         struct sf_error *err) SF_MUST_CHECK;
/* How many are remembered, without the floor. */
size_t ended_count(const struct ended *e);

/* What differs from what is stored, made in @arena; and that it is stored now. SF_NOMEM. */
enum sf_code ended_puts(const struct ended *e, struct sf_arena *arena, struct store_put **ret,
                        size_t *ret_count, struct sf_error *err) SF_MUST_CHECK;
void ended_stored(struct ended *e);
/* Takes in a value of the store, of a key that begins with ENDED_PREFIX or is ENDED_FLOOR.
 * SF_CORRUPT E0605; SF_NOMEM. After the last one ended_loaded(). */
enum sf_code ended_read(struct ended *e, struct sf_slice key, struct sf_slice value,
                        struct sf_error *err) SF_MUST_CHECK;
void ended_loaded(struct ended *e);
