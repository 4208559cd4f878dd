/*
 * How a server program that cannot start or go on says why: number, title, cause, next step, as the
 * command line tool does.
 */
#pragma once

#include <stdio.h>

#include "common/base/error.h"

/*
 * Writes @err, which @program met, to @out, and answers its exit code. An error without a number is
 * one of usage, of files, or internal, by its code.
 */
int sf_complain(FILE *out, const char *program, const struct sf_error *err);
