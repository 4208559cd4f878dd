/*
 * A body of application/json as records: the elements of an array, or one object. Splits by
 * brackets and quotes only, so that the whole is never a tree in memory and an element is the bytes
 * as they came; whether an element is JSON is for its reader to say.
 *
 *   Memory    Elements point into the text.
 *   Threads   Pure.
 */
#pragma once

#include "common/base/attr.h"
#include "common/base/error.h"
#include "common/base/slice.h"

/* A zeroed struct is ready for a text. */
struct sf_json_items {
    uint64_t index; /* of the element returned last, from 1 */
    bool in_array;
    bool ended;
};

/*
 * The next element, without the white space around it; @text moves on and holds all of the body at
 * first. SF_ABSENT: the end. SF_INVALID (E0201): neither an array nor an object, a comma or bracket
 * is missing, or something follows the end.
 */
enum sf_code sf_json_items_next(struct sf_json_items *it, struct sf_slice *text,
                                struct sf_slice *ret, struct sf_error *err) SF_MUST_CHECK;
