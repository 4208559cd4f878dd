/*
 * Operational errors: the world refuses to help.
 *
 * Three kinds of failure, three channels. A bug in our code is sf_assert(). A refusal of the world
 * is an enum sf_code, returned, with a struct sf_error filled: this file. An answer that the domain
 * expects (contract violated, denied, key absent) is a value in the module's own result type.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base/attr.h"

/* X(name, transient, text). A transient code may succeed when the same call is made later. */
#define SF_CODES(X)                                                                                \
    X(OK, false, "success")                                                                        \
    X(NOMEM, true, "out of memory")                                                                \
    X(INVALID, false, "invalid input")                                                             \
    X(ABSENT, false, "no such thing")                                                              \
    X(DENIED, false, "not allowed")                                                                \
    X(CONFLICT, false, "state does not allow it")                                                  \
    X(BUSY, true, "a limit was reached")                                                           \
    X(TIMEOUT, true, "deadline passed")                                                            \
    X(UNAVAILABLE, true, "peer or service unreachable")                                            \
    X(IO, false, "storage failed")                                                                 \
    X(CORRUPT, false, "stored data failed a check")                                                \
    X(CLOSED, false, "object is closing")

enum sf_code {
#define X(name, transient, text) SF_##name,
    SF_CODES(X)
#undef X
};

/*
 * What went wrong, for one human reader. Lives on the caller's stack and owns nothing.
 * @text is one line, lower case, without a full stop; it names the thing and never holds the value
 * of a row.
 */
struct sf_error {
    enum sf_code code;
    uint16_t number;   /* SHEAF-E<number> of proto/errors.h; 0: none given where it was raised. */
    const char *where; /* "path/file.c:123", static storage. */
    char text[360];    /* May be cut at its end. */
};

const char *sf_code_name(enum sf_code code);
const char *sf_code_text(enum sf_code code);
bool sf_code_is_transient(enum sf_code code);

#define SF_TEXT_OF_(x) #x
#define SF_TEXT_OF(x)  SF_TEXT_OF_(x)

/*
 * Fills @err if it is not NULL and returns @code, so that a failure is one line:
 *     return SF_RAISE(err, SF_BUSY, "%zu writes already queued", n);
 * SF_RAISE_E also gives the number of the error as users know it (proto/errors.h).
 */
#define SF_RAISE(err, code, ...)                                                                   \
    sf_error_code((code),                                                                          \
                  sf_error_set((err), (code), 0, __FILE__ ":" SF_TEXT_OF(__LINE__), __VA_ARGS__))
#define SF_RAISE_E(err, code, number, ...)                                                         \
    sf_error_code((code), sf_error_set((err), (code), (number), __FILE__ ":" SF_TEXT_OF(__LINE__), \
                                       __VA_ARGS__))

enum sf_code sf_error_set(struct sf_error *err, enum sf_code code, uint16_t number,
                          const char *where, const char *fmt, ...) SF_PRINTF(5, 6);

/* @code, which is what @set is too, but here the compiler sees that it is not SF_OK. */
static inline enum sf_code sf_error_code(enum sf_code code, enum sf_code set)
{
    (void)set;
    return code;
}

/* Puts context in front of the text while the error travels up. Returns the code. @err not NULL. */
enum sf_code sf_error_wrap(struct sf_error *err, const char *fmt, ...) SF_PRINTF(2, 3);
