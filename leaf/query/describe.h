/*
 * describe: a product as the caller may see it, as JSON.
 *
 * {"apiVersion","kind":"Product","product","version","major","status","description","owner",
 *  "tables":[{"name","kind","key":[],"position":"EPOCH:SEQ","rows","quarantined",
 *             "fields":[{"name","number","type","required","class","description","unit"}]}]}
 * Other domains see the fields of their view, and no count of what was refused.
 */
#pragma once

#include "common/wire/json.h"
#include "leaf/serving/serving.h"

/* SF_NOMEM. */
enum sf_code query_describe(const struct serving_right *right, struct sf_buf *out,
                            struct sf_error *err) SF_MUST_CHECK;
/* The same as one item of a list, without apiVersion. */
enum sf_code query_describe_item(const struct serving_right *right, struct sf_json_writer *w,
                                 struct sf_error *err) SF_MUST_CHECK;
