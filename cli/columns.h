/* "a,b": lists of fields as flags take them. */
#pragma once

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/wire/json.h"

struct columns {
    const char **names; /* in the arena */
    size_t count;
};

/* Splits @text (NULL: no columns). SF_INVALID, E0106: not a field's name. SF_NOMEM. */
enum sf_code columns_split(const char *text, struct sf_arena *arena, struct columns *ret,
                           struct sf_error *err) SF_MUST_CHECK;
/* Those of a JSON array of texts. SF_NOMEM. */
enum sf_code columns_of_json(const struct sf_json *array, struct sf_arena *arena,
                             struct columns *ret, struct sf_error *err) SF_MUST_CHECK;
bool columns_have(const struct columns *c, const char *name);
