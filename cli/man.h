/* The manual page sheaf(1), in mdoc, from the table of commands. */
#pragma once

#include <stdio.h>

#include "cli/args.h"

void man_page(FILE *out, const struct command *commands, const struct flag *flags);
