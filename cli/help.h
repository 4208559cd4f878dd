/* Help texts, made of the table of commands. */
#pragma once

#include "cli/args.h"

#include <stdio.h>

/* What `sheaf` alone prints: the commands of the daily loop. */
void help_overview(FILE *out, const struct command *commands);
/* Every command by group: `sheaf --help` and `sheaf help`. */
void help_all(FILE *out, const struct command *commands, const struct flag *globals);
/* The commands that begin with @noun: `sheaf access --help`. */
void help_noun(FILE *out, const struct command *commands, const char *noun);
void help_command(FILE *out, const struct command *c, const struct flag *globals);
/* docs/reference/cli.md: every command with its flags and examples, as Markdown. */
void help_reference(FILE *out, const struct command *commands, const struct flag *globals);
/* What variable number @i of the environment says, and its name; NULL behind the last. */
const char *help_environment(size_t i, const char **ret_name);
/* Exit code number @i of the table: its text and *@code (may be NULL); NULL behind the last. */
const char *help_exit_code(size_t i, int *code);
/* Exit codes, and which errors end with which. */
void help_exit_codes(FILE *out);
