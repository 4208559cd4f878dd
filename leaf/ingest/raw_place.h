/*
 * Where in the raw bytes of a record the cause of a violation stands, for people who look at it.
 * It reads what may be no JSON and no CSV at all, so it never fails: it only does not find.
 *
 *   Threads   Pure.
 */
#pragma once

#include "leaf/ingest/batch.h"

struct raw_place {
    bool found;
    size_t at; /* offset in the raw bytes */
    size_t size;
};

struct raw_place raw_place_find(const struct sf_table *table, const struct store_quarantined *entry,
                                const struct sf_violation *v);
