/* Assertions against our own bugs. Checked in every build; never used on input or on I/O. */
#pragma once

_Noreturn void sf_assert_failed(const char *expression, const char *file, int line);

#define sf_assert(expression)                                                                      \
    ((expression) ? (void)0 : sf_assert_failed(#expression, __FILE__, __LINE__))
