/* The part of json.h that reads request bodies and says what is wrong with them. */
#include "common/base/alloc.h"
#include "common/wire/json.h"
#include "proto/errors.h"

enum { NAMES_MAX = 64 };

/* Whether there is a member to look at: *ret is NULL when it may be missing and is. */
static enum sf_code find_member(const struct sf_json *object, const char *name,
                                enum sf_json_need need, const struct sf_json **ret,
                                struct sf_error *err)
{
    const struct sf_json *v = sf_json_get(object, name);
    enum sf_json_kind kind = sf_json_kind(v);

    if (kind == SF_JSON_ABSENT || kind == SF_JSON_NULL) {
        if (need == SF_JSON_REQUIRED) {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'%s' is missing", name);
        }
        v = NULL;
    }
    *ret = v;
    return SF_OK;
}

enum sf_code sf_json_read_text(const struct sf_json *object, const char *name,
                               enum sf_json_need need, const char **ret, struct sf_error *err)
{
    const struct sf_json *v;
    enum sf_code code = find_member(object, name, need, &v, err);

    if (code == SF_OK && v != NULL && !sf_json_as_text(v, ret)) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'%s' must be a string", name);
    }
    return code;
}

enum sf_code sf_json_read_bool(const struct sf_json *object, const char *name,
                               enum sf_json_need need, bool *ret, struct sf_error *err)
{
    const struct sf_json *v;
    enum sf_code code = find_member(object, name, need, &v, err);

    if (code == SF_OK && v != NULL && !sf_json_as_bool(v, ret)) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'%s' must be true or false", name);
    }
    return code;
}

enum sf_code sf_json_read_int(const struct sf_json *object, const char *name,
                              enum sf_json_need need, struct sf_json_range range, int64_t *ret,
                              struct sf_error *err)
{
    const struct sf_json *v;
    enum sf_code code = find_member(object, name, need, &v, err);
    int64_t value;

    if (code != SF_OK || v == NULL) {
        return code;
    }
    if (!sf_json_as_int(v, &value) || value < range.min || value > range.max) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "'%s' must be a whole number from %lld to %lld", name,
                          (long long)range.min, (long long)range.max);
    }
    *ret = value;
    return SF_OK;
}

enum sf_code sf_json_read_value(const struct sf_json *object, const char *name,
                                enum sf_json_need need, enum sf_json_kind kind,
                                const struct sf_json **ret, struct sf_error *err)
{
    const struct sf_json *v;
    enum sf_code code = find_member(object, name, need, &v, err);

    if (code != SF_OK || v == NULL) {
        return code;
    }
    if (sf_json_kind(v) != kind) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'%s' must be %s", name,
                          sf_json_kind_text(kind));
    }
    *ret = v;
    return SF_OK;
}

static enum sf_code raise_unknown(struct sf_slice key, const char *const *names,
                                  struct sf_error *err)
{
    struct sf_buf known = {0};
    enum sf_code code;

    for (size_t i = 0; names[i] != NULL; i++) {
        sf_buf_printf(&known, "%s%s", i == 0 ? "" : ", ", names[i]);
    }
    code = sf_buf_check(&known, "names", err);
    if (code == SF_OK) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "'%.*s' is not known here; known: %.*s",
                          (int)(key.size > 64 ? 64 : key.size), (const char *)key.data,
                          SF_SLICE_ARG(sf_buf_view(&known)));
    }
    sf_buf_done(&known);
    return code;
}

enum sf_code sf_json_check_names(const struct sf_json *v, const char *const *names,
                                 struct sf_error *err)
{
    uint64_t seen;

    return sf_json_match_names(v, names, &seen, err);
}

enum sf_code sf_json_match_names(const struct sf_json *v, const char *const *names, uint64_t *ret,
                                 struct sf_error *err)
{
    uint64_t seen = 0;

    if (sf_json_kind(v) != SF_JSON_OBJECT) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "a JSON object is expected");
    }
    for (struct sf_json_iter it = sf_json_iter(v); sf_json_next(&it);) {
        size_t i = 0;

        while (i < NAMES_MAX && names[i] != NULL &&
               !sf_slice_equal(it.key, sf_slice_text(names[i]))) {
            i++;
        }
        if (i == NAMES_MAX || names[i] == NULL) {
            return raise_unknown(it.key, names, err);
        }
        if ((seen >> i & 1) != 0) {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'%s' is given twice",
                              names[i]);
        }
        seen |= (uint64_t)1 << i;
    }
    *ret = seen;
    return SF_OK;
}
