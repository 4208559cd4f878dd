#include "common/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"

static const struct {
    const char *name;
    const char *text;
    bool transient;
} codes[] = {
#define X(code_name, is_transient, code_text)                                                      \
    [SF_##code_name] = {.name = "SF_" #code_name, .text = (code_text), .transient = (is_transient)},
    SF_CODES(X)
#undef X
};

const char *sf_code_name(enum sf_code code)
{
    return codes[code].name;
}

const char *sf_code_text(enum sf_code code)
{
    return codes[code].text;
}

bool sf_code_is_transient(enum sf_code code)
{
    return codes[code].transient;
}

enum sf_code sf_error_set(struct sf_error *err, enum sf_code code, uint16_t number,
                          const char *where, const char *fmt, ...)
{
    va_list args;

    sf_assert(code != SF_OK);
    if (err != NULL) {
        err->code = code;
        err->number = number;
        err->where = where;
        va_start(args, fmt);
        (void)vsnprintf(err->text, sizeof(err->text), fmt, args);
        va_end(args);
    }
    return code;
}

enum sf_code sf_error_wrap(struct sf_error *err, const char *fmt, ...)
{
    char inner[sizeof(err->text)];
    va_list args;
    int n;

    memcpy(inner, err->text, sizeof(inner));
    va_start(args, fmt);
    n = vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof(err->text)) {
        (void)snprintf(err->text + n, sizeof(err->text) - (size_t)n, ": %s", inner);
    }
    return err->code;
}
