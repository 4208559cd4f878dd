/* Completion of command lines in shells: the scripts, and what they ask for at each key. */
#pragma once

#include "cli/cli.h"

/* `sheaf __complete WORD...`: what the last word, which may be empty, could be; a line each, with a
 * tab and a note where there is one. @argv is without program and "__complete". */
int complete_run(FILE *out, int argc, char **argv);
int cmd_completion(struct cli *cli);
