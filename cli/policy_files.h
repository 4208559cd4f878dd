/*
 * Files of policies as this tool reads them: checked together, with all that is wrong shown.
 */
#pragma once

#include "cli/cli.h"
#include "common/policy/policy.h"

struct policy_file {
    const char *path; /* of argv */
    const char
        *name; /* as the hub and explanations call it: without what only this machine knows */
    struct sf_buf text;
};

struct policy_files {
    struct policy_file files[ARGS_MAX];
    size_t count;
    struct sf_policy_set *set; /* of all of them; owned */
    bool shown;                /* the errors are on stderr already */
};

/* Reads the files that the command line names. SF_INVALID with shown, E0804. In every case done
 * with policy_files_done(). */
enum sf_code policy_files_read(struct cli *cli, struct policy_files *ret,
                               struct sf_error *err) SF_MUST_CHECK;
void policy_files_done(struct policy_files *f);
/* What to end with after a failure of policy_files_read(). */
int policy_files_fail(struct cli *cli, const struct policy_files *f, const struct sf_error *err);
