/* Bringing a contract into force: the domain's leaf asks the hub, and takes it when accepted. */
#pragma once

#include "cli/api.h"
#include "cli/product_source.h"

struct apply_result {
    bool changed;
    char version[40];
};

/* SF_CONFLICT (E0110, E0111): not compatible. Findings of the hub go to stderr. */
enum sf_code product_apply(struct api *a, const struct product_ref *r, struct sf_slice yaml,
                           bool dry_run, struct apply_result *ret,
                           struct sf_error *err) SF_MUST_CHECK;
void product_apply_report(struct cli *cli, const struct product_ref *r,
                          const struct apply_result *result, bool dry_run);
