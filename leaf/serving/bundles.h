/*
 * Bundles: what this leaf has taken from the hub, kept for the next start, with all that must not
 * come back when the hub forgets it: decisions that have ended, newer policies, later versions.
 *
 *          a good one           stored
 *   IDLE ------------> STORING --------> IDLE, acknowledged with the next poll
 *     ^                  |
 *     +---- not stored --+   in force all the same, never acknowledged; the hub sends it again
 *
 * A bundle is stored in one write with what follows from it: what the one before had and it has not
 * (ended.h), and while its policies are older than some that were in force, the bundle that had
 * those. So whoever knows the acknowledgement knows that all of it survives a restart.
 *
 *   Threads   Loop thread.
 *   Order     One write at a time: no bundle is taken while one is being stored.
 *   Limits    A bundle as it comes, twice; ENDED_MAX.
 */
#pragma once

#include "common/base/buf.h"
#include "leaf/serving/ended.h"
#include "leaf/serving/serving.h"

struct bundles {
    struct store *store;
    struct serving *serving;       /* gets them in force */
    void (*on_stored)(void *data); /* stored, or not; or NULL */
    void *data;                    /* private from here on */
    struct ended ended;
    struct grant_set *last;  /* taken last, whether it is in force or not */
    uint64_t version;        /* of the newest ever taken */
    uint64_t version_stored; /* of the one that survives a restart; 0: none */
    struct sf_buf record;    /* of the newest, as it is stored */
    struct sf_buf policies;  /* the bundle whose policies are in force; empty: the newest */
    bool storing;
    struct store_write write;
    struct sf_arena arena; /* of its puts */
};

/* Before bundles_load(); the fields above are set behind it. */
void bundles_init(struct bundles *b);
void bundles_done(struct bundles *b);
/*
 * Reads what is stored, and puts the newest bundle in force if it is still good by the time of
 * @serving. One of another epoch is from before a restore: of it nothing is in force, as what was
 * granted then may have been taken back since. SF_CORRUPT E0605, SF_NOMEM, or what the store says.
 */
enum sf_code bundles_load(struct bundles *b, const struct grant_trust *trust, int64_t known_us,
                          struct sf_error *err) SF_MUST_CHECK;
/*
 * Takes a bundle: it is in force, and being stored. @trust says whom it is checked against; what it
 * is compared with is filled in here. SF_BUSY: one is being stored. SF_NOMEM and as
 * grant_set_open(): nothing has changed in what is served.
 */
enum sf_code bundles_take(struct bundles *b, struct sf_slice bytes, const struct grant_trust *trust,
                          struct sf_error *err) SF_MUST_CHECK;
