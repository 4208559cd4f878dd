#include "leaf/query/as_of.h"

#include <string.h>

#include "common/base/time.h"
#include "leaf/store/as_of.h"
#include "proto/errors.h"

static bool read_pair(const char *text, struct query_point *ret)
{
    const char *colon = strchr(text, ':');
    uint64_t epoch;

    if (colon == NULL ||
        sf_parse_u64(sf_slice_of(text, (size_t)(colon - text)), &epoch) != SF_PARSE_OK ||
        epoch > UINT32_MAX || sf_parse_u64(sf_slice_text(colon + 1), &ret->seq) != SF_PARSE_OK) {
        return false;
    }
    ret->kind = QUERY_AT_POSITION;
    ret->epoch = (uint32_t)epoch;
    return true;
}

static bool read_time(const char *text, struct query_point *ret)
{
    if (sf_time_parse(sf_slice_text(text), &ret->us) != SF_PARSE_OK) {
        return false;
    }
    ret->kind = QUERY_AT_TIME;
    return true;
}

enum sf_code query_point_parse(const char *name, const char *text, struct query_point *ret,
                               struct sf_error *err)
{
    *ret = (struct query_point){0};
    if (text == NULL || read_pair(text, ret) || read_time(text, ret)) {
        return SF_OK;
    }
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                      "'%s' must be a position, EPOCH:SEQ, or a time like 2026-11-20T08:00:00Z",
                      name);
}

enum sf_code query_time_parse(const char *name, const char *text, struct query_point *ret,
                              struct sf_error *err)
{
    *ret = (struct query_point){0};
    if (text == NULL || read_time(text, ret)) {
        return SF_OK;
    }
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                      "'%s' must be a time like 2026-11-20T08:00:00Z", name);
}

enum sf_code query_point_find(const struct query_point *point,
                              const struct store_snapshot *snapshot, const struct store_lane *lane,
                              const struct store_head *head, uint32_t *ret_epoch, uint64_t *ret_seq,
                              struct sf_error *err)
{
    enum sf_code code = SF_OK;

    switch (point->kind) {
    case QUERY_AT_NOW:
        *ret_seq = head->seq;
        break;
    case QUERY_AT_POSITION:
        *ret_seq = point->seq;
        *ret_epoch = point->epoch;
        return store_check_position(snapshot, lane, point->epoch, point->seq, err);
    case QUERY_AT_TIME:
        code = store_find_time(snapshot, lane, point->us, ret_seq, err);
        break;
    case QUERY_AT_SEQ:
        *ret_seq = point->seq;
        break;
    }
    return code == SF_OK ? store_epoch_at(snapshot, lane, *ret_seq, ret_epoch, err) : code;
}
