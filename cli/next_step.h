/* Next steps as they are typed: what proto/errors.h leaves open is filled in where it is known.
 * Pure. */
#pragma once

#include "cli/cli.h"

/* @next with the product of the command in the place of "D/P", and who acts in that of "DOMAIN";
 * what is not known stays. Cut at CLI_NEXT_MAX. */
void next_step_fill(const struct cli *cli, const char *next, char ret[CLI_NEXT_MAX]);
