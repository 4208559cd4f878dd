/*
 * Statistics as one JSON object, of the fields that the caller may see.
 *
 * {"apiVersion","kind":"TableStats","product","version","table","position","head","rows",
 *  "counted":when all rows were last counted,"loose":bounds, distinct and top may be of rows that
 * are gone, "freshness":{"event","event_age_us","commit","commit_age_us"},
 *  "fields":[{"name","type","values","nulls","distinct","min","max","mean","deviation",
 *             "top":[{"value","count","over"}]}]}
 *
 * A mean or a deviation that no double holds is null.
 */
#pragma once

#include "common/wire/json.h"
#include "leaf/quality/collector.h"
#include "leaf/serving/served_view.h"

enum { STATS_TOP = 10 };

struct stats_page {
    const struct served_table *table;
    const struct served_view *view; /* what the caller sees: of fields seen as they are stored */
    const struct collected *found;
    int64_t now_us;
};
/* SF_NOMEM. */
enum sf_code stats_write(const struct stats_page *page, struct sf_buf *out,
                         struct sf_error *err) SF_MUST_CHECK;
