/*
 * Keeps the head record (head_record.h) up to date: written as a whole and synced, at most once in
 * HEAD_KEEPER_NS and never more than a tenth of the time, when a commit has come since.
 *
 * So it costs no commit anything, and lags by that time: what was answered in the last moment
 * before a tail is lost cannot be missed by it. The hub hears of heads too (leaf/uplink).
 *
 *   Threads   Loop; files are written on SF_POOL_QUERY.
 *   Errors    A record that cannot be written is logged, counted and tried again with the next: the
 *             store itself is whole.
 */
#pragma once

#include "leaf/store/store.h"

#define HEAD_KEEPER_NS SF_NS_PER_S

struct head_keeper;

/* @path is copied. Writes a first record soon. SF_NOMEM. */
enum sf_code head_keeper_new(struct sf_rt *rt, struct store *s, const char *path,
                             struct head_keeper **ret, struct sf_error *err) SF_MUST_CHECK;
/* Whether a record is being written: not to be freed yet. */
bool head_keeper_is_busy(const struct head_keeper *k);
/* Writes the last record, here and now, then frees. NULL is fine. */
void head_keeper_free(struct head_keeper *k);

struct head_keeper_stats {
    uint64_t written;
    uint64_t failures;
    int64_t written_us; /* wall clock of the newest; 0: none yet */
};
struct head_keeper_stats head_keeper_stats(const struct head_keeper *k);
