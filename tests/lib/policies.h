/* Products, sets of policies and random ones, for tests of decisions. */
#pragma once

#include "common/policy/policy.h"
#include "tests/lib/rows.h"

/* Of texts that are right. */
struct sf_product *policies_product(const char *yaml);
struct sf_policy_set *policies_set(const char *yaml);
/* What the file's issues are, rendered; "" for none. Of "f.yaml". Free with sf_buf_done(). */
void policies_issues(const char *yaml, struct sf_buf *out);

/* A product with fields of all classes, and one policy about it that can be read. */
extern const char policies_customers[];
void policies_random(struct rows_random *r, unsigned number, struct sf_buf *out);
