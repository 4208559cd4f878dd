/*
 * The walk over members that must be fast: for record.c alone, everything else uses json.h.
 * The one other place that knows yyjson.
 */
#pragma once

#include <yyjson.h>

#include "common/wire/json.h"

static inline yyjson_val *sf_json_yy(const struct sf_json *v)
{
    return (yyjson_val *)(uintptr_t)v;
}

static inline const struct sf_json *sf_json_of_yy(const yyjson_val *v)
{
    return (const struct sf_json *)(const void *)v;
}

/*
 * As sf_json_read(), without the check of depth and without words: NULL when @text is no JSON or
 * memory ran out (then *ret_code is SF_NOMEM, else SF_INVALID).
 */
const struct sf_json *sf_json_read_quick(struct sf_json_reader *r, struct sf_slice text,
                                         enum sf_code *ret_code);
/* Whether a value holds more than SF_JSON_DEPTH_MAX levels. */
bool sf_json_is_deep(const struct sf_json *v);

static inline enum sf_json_kind sf_json_kind_inline(const struct sf_json *v)
{
    static const uint8_t kinds[8] = {
        [YYJSON_TYPE_NULL] = SF_JSON_NULL,  [YYJSON_TYPE_BOOL] = SF_JSON_BOOL,
        [YYJSON_TYPE_NUM] = SF_JSON_NUMBER, [YYJSON_TYPE_RAW] = SF_JSON_NUMBER,
        [YYJSON_TYPE_STR] = SF_JSON_STRING, [YYJSON_TYPE_ARR] = SF_JSON_ARRAY,
        [YYJSON_TYPE_OBJ] = SF_JSON_OBJECT,
    };

    return v == NULL ? SF_JSON_ABSENT
                     : (enum sf_json_kind)kinds[unsafe_yyjson_get_type(sf_json_yy(v))];
}

/* The characters of a string or of a number. */
static inline struct sf_slice sf_json_chars(const struct sf_json *v)
{
    yyjson_val *y = sf_json_yy(v);

    return sf_slice_of(y->uni.str, unsafe_yyjson_get_len(y));
}

static inline bool sf_json_next_inline(struct sf_json_iter *it)
{
    yyjson_val *key;
    yyjson_val *value;

    if (it->left == 0) {
        return false;
    }
    key = sf_json_yy(it->at);
    value = key + 1;
    it->left--;
    it->key = sf_slice_of(key->uni.str, unsafe_yyjson_get_len(key));
    it->value = sf_json_of_yy(value);
    it->at = sf_json_of_yy(unsafe_yyjson_get_next(value));
    return true;
}
