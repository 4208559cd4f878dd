/* The printer's tables. For cli/print.c alone, which says what they look like. */
#pragma once

#include "cli/print.h"

/* Keeps a cell of the row under way until its neighbours' widths are known. */
void print_table_hold(struct print *p, enum print_cell_kind kind, struct sf_slice text);
/* Writes the rows held; the first time it chooses the layout and writes the header. */
void print_table_flush(struct print *p);

/* What went wrong first is kept; SF_OK changes nothing. */
void print_fail(struct print *p, enum sf_code code);
void print_put(struct print *p, struct sf_slice bytes);
