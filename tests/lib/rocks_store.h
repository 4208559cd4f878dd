/*
 * A store in RocksDB's files, in a directory of its own, with one lane "sales/orders@1.orders".
 *
 *   Threads   One.
 */
#pragma once

#include <limits.h>

#include "tests/lib/store_world.h"
#include "tests/lib/tmpdir.h"

struct rocks_store {
    struct rt_sim sim;
    struct tmpdir tmp;
    char path[PATH_MAX];
    const char *boot; /* of the machine, as the next opening has it; NULL: not known */
    struct kv *kv;
    struct store *store;
    struct store_lane *lane;
};

void rocks_store_init(struct rocks_store *r);
void rocks_store_done(struct rocks_store *r);
enum sf_code rocks_store_open(struct rocks_store *r, struct sf_error *err) SF_MUST_CHECK;
void rocks_store_close(struct rocks_store *r);
/* One commit of @count rows with keys that are numbered from @from on. */
void rocks_store_put(struct rocks_store *r, int from, int count);
/* Looks from now on at what a killed process leaves behind; the store is closed. */
void rocks_store_kill(struct rocks_store *r);
/* In a new life of the machine it opens with @rows rows, takes more, and is whole; closed again. */
void rocks_store_assert_opens(struct rocks_store *r, int rows);

/* Copies the files of a store that is open, as a killed process leaves them behind. */
void rocks_store_copy(const char *from, const char *to);
/* The newest write-ahead log of the store at @path; @ret has PATH_MAX bytes. */
void rocks_store_wal(const char *path, char *ret);
