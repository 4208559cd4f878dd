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

/* One document per entry; all numbers have three digits. */
static const char *const documents[] = {
#define X(symbol, error_number, http, exit_code_, title_, next_)                                   \
    "{\"type\":\"about:blank\",\"title\":\"" title_ "\",\"status\":" #http ",\"detail\":\"" title_ \
    "\",\"code\":\"SHEAF-E0" #error_number "\",\"next\":\"" next_ "\"}",
    SHEAF_ERRORS(X)
#undef X
};

const char *sheaf_error_document_of(uint16_t number)
{
    return documents[sheaf_error_info(number) - errors];
}

const char *sheaf_error_document(unsigned status)
{
    static const uint16_t numbers[] = {SHEAF_E_BAD_REQUEST, SHEAF_E_TOO_LARGE, SHEAF_E_BUSY,
                                       SHEAF_E_INTERNAL};

    for (unsigned k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++) {
        for (unsigned i = 0; i < ERROR_COUNT; i++) {
            if (errors[i].number == numbers[k] && errors[i].http_status == status) {
                return documents[i];
            }
        }
    }
    return NULL;
}

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
