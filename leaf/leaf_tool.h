/*
 * What sheaf-leaf does with the data directory of a leaf that does not run.
 *
 *     sheaf-leaf check --data DIR [--rebuild] [--accept-loss] [--json]
 *     sheaf-leaf restore --data DIR --from BACKUP [--known FILE] [--json]
 *
 * The result goes to standard output, as text or as one JSON object.
 */
#pragma once

#include "common/base/error.h"

/* Whether the first argument names one of them. */
bool leaf_tool_is_one(int argc, const char *const *argv);
/* Runs it; @argv without the program's name. The exit code: 0 fine, 8 damage or loss was found,
 * else that of *err, which is set then. */
int leaf_tool_run(int argc, const char *const *argv, struct sf_error *err);
