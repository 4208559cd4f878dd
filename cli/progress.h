/*
 * One line that says how far a long command is: on a terminal redrawn at most ten times a second
 * after the first second, elsewhere a line every 10 s, with -q nothing.
 */
#pragma once

#include "cli/cli.h"

struct progress {
    struct cli *cli;
    const char *what; /* "loading orders.csv" */
    uint64_t started_ns;
    uint64_t drawn_ns; /* 0: not yet */
};

void progress_start(struct progress *p, struct cli *cli, const char *what);
void progress_show(struct progress *p, uint64_t done, uint64_t total, uint64_t rows);
/*
 * The line on a terminal of @columns: @what, a bar for @share of 1, and @tail. What does not fit is
 * left out, the bar first, then @what; it never wraps.
 */
void progress_line(FILE *out, const char *what, double share, const char *tail, unsigned columns);
/* Takes the line away again. */
void progress_end(struct progress *p);
double progress_seconds(const struct progress *p);
