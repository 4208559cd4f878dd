/*
 * How much of an event a caller reads (docs/adr/0057): the platform all of each; a domain all of
 * those that are about itself, about a request or grant that it made or has to decide, or about the
 * mesh; of the others what the catalog shows it, and that there was one.
 *
 *   Threads   Loop thread.
 */
#pragma once

#include "hub/api/call.h"

enum audit_part {
    AUDIT_WHOLE,  /* as it is stored */
    AUDIT_DETAIL, /* who did what, without the payload */
    AUDIT_KIND,   /* when, and of what kind */
};

/* @arena for what is looked into. Without memory (arena->missed) the least. */
enum audit_part audit_part_of(const struct call *c, const Sheaf__V1__Event *e,
                              struct sf_arena *arena);
