/*
 * How many values of each field were cleaned since the leaf started, by what: for the metrics, and
 * for whoever keeps statistics of tables. Only requests that were stored count.
 *
 *   Threads   Loop thread.
 *   Limits    One entry per field that declares something, of each table that got records.
 */
#pragma once

#include "common/base/map.h"
#include "common/contract/clean.h"
#include "common/sys/metrics.h"
#include "leaf/serving/product_set.h"

struct cleaned {
    struct sf_metrics *metrics; /* borrowed */
    struct sf_map tables;       /* by lane: struct cleaned_table, owned */
};

void cleaned_init(struct cleaned *c, struct sf_metrics *metrics);
void cleaned_done(struct cleaned *c);

/* Adds @counts, one per field of the table. Without memory they are not counted. */
void cleaned_add(struct cleaned *c, const struct served_table *table,
                 const struct sf_clean_counts *counts);
/* Of a field by its name, over all versions of the major; NULL: nothing was cleaned. */
const struct sf_clean_counts *cleaned_of(const struct cleaned *c, const struct served_table *table,
                                         const char *field);

/* Appends {"FIELD":{"trimmed":N,...},...} of the fields and steps that are not 0. */
void cleaned_write(const struct sf_table *table, const struct sf_clean_counts *counts,
                   struct sf_buf *out);
bool cleaned_any(const struct sf_table *table, const struct sf_clean_counts *counts);
