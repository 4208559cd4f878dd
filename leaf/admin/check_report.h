/*
 * What a check found, as JSON and as a job that a running leaf does (job.h).
 *
 *   {"phase":"check","done":9,"total":20,"lanes":1,"frames":2,"changes":..,"rows":..,
 *    "quarantined":..,"small":..,"damages":0,"damage":["sales/orders@1.orders, seq 6: ..."]}
 */
#pragma once

#include "leaf/admin/job.h"
#include "leaf/store/checker.h"

enum { CHECK_STEP_ITEMS = 256 };

/* The members above, into an open object. */
void check_report(const struct store_checker_progress *p, struct sf_json_writer *w);
/* A member @name: an array of the lines of @text. */
void check_report_lines(struct sf_json_writer *w, const char *name, struct sf_slice text);

/* A job "Check" over @s, which it does not own: the leaf ends it before it closes the store. */
enum sf_code check_job_new(struct store *s, struct job **ret, struct sf_error *err) SF_MUST_CHECK;
