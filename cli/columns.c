#include "cli/columns.h"

#include <string.h>

#include "common/contract/contract.h"
#include "proto/errors.h"

static enum sf_code make_room(struct sf_arena *arena, size_t count, struct columns *ret,
                              struct sf_error *err)
{
    *ret = (struct columns){.names = sf_arena_calloc(arena, count + 1, sizeof(*ret->names))};
    return ret->names != NULL ? SF_OK : SF_RAISE(err, SF_NOMEM, "columns");
}

enum sf_code columns_split(const char *text, struct sf_arena *arena, struct columns *ret,
                           struct sf_error *err)
{
    size_t commas = 0;
    enum sf_code code = SF_OK;

    for (const char *at = text; at != NULL && *at != '\0'; at++) {
        commas += *at == ',';
    }
    code = make_room(arena, text == NULL ? 0 : commas + 1, ret, err);
    while (code == SF_OK && text != NULL) {
        size_t n = strcspn(text, ",");

        if (!sf_name_is_table(sf_slice_of(text, n))) {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_NAME,
                              "'%.*s' is not the name of a field", (int)n, text);
        }
        ret->names[ret->count] = sf_arena_strndup(arena, text, n);
        if (ret->names[ret->count++] == NULL) {
            return SF_RAISE(err, SF_NOMEM, "columns");
        }
        text = text[n] == ',' ? text + n + 1 : NULL;
    }
    return code;
}

enum sf_code columns_of_json(const struct sf_json *array, struct sf_arena *arena,
                             struct columns *ret, struct sf_error *err)
{
    enum sf_code code = make_room(arena, sf_json_count(array), ret, err);

    for (struct sf_json_iter it = sf_json_iter(array); code == SF_OK && sf_json_next(&it);) {
        const char *name = "";

        (void)sf_json_as_text(it.value, &name);
        ret->names[ret->count] = sf_arena_strdup(arena, name);
        if (ret->names[ret->count++] == NULL) {
            code = SF_RAISE(err, SF_NOMEM, "columns");
        }
    }
    return code;
}

bool columns_have(const struct columns *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}
