#include "proto/errors.h"

#include <stddef.h>

static const struct sheaf_error_info errors[] = {
#define X(symbol, error_number, http, exit_code_, title_, next_)                                   \
    {.number = (error_number),                                                                     \
     .http_status = (http),                                                                        \
     .exit_code = (exit_code_),                                                                    \
     .title = (title_),                                                                            \
     .next = (next_)},
    SHEAF_ERRORS(X)
#undef X
};

enum { ERROR_COUNT = sizeof(errors) / sizeof(errors[0]) };

const struct sheaf_error_info *sheaf_error_at(unsigned i)
{
    return i < ERROR_COUNT ? &errors[i] : NULL;
}

const struct sheaf_error_info *sheaf_error_info(uint16_t number)
{
    const struct sheaf_error_info *internal = &errors[0];

    for (unsigned i = 0; i < ERROR_COUNT; i++) {
        if (errors[i].number == number) {
            return &errors[i];
        }
        if (errors[i].number == SHEAF_E_INTERNAL) {
            internal = &errors[i];
        }
    }
    return internal;
}
