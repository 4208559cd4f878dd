/* The table of all commands, and the functions behind it. */
#pragma once

#include "cli/cli.h"

/* Ends with a NULL path. */
const struct command *commands_table(void);
/* Flags of every command; ends with a NULL name. */
const struct flag *commands_globals(void);
/* --as of @c names the product, D/P, and not only who acts. */
bool commands_as_is_product(const struct command *c);

/* Each runs one command and returns the exit code. */
int cmd_dev(struct cli *cli);
int cmd_dev_stop(struct cli *cli);
int cmd_publish(struct cli *cli);
int cmd_status(struct cli *cli);
int cmd_read(struct cli *cli);
int cmd_sub(struct cli *cli);
int cmd_product_init(struct cli *cli);
int cmd_product_lint(struct cli *cli);
int cmd_product_apply(struct cli *cli);
int cmd_product_load(struct cli *cli);
int cmd_product_ls(struct cli *cli);
int cmd_product_show(struct cli *cli);
int cmd_product_export(struct cli *cli);
int cmd_product_diff(struct cli *cli);
int cmd_product_stats(struct cli *cli);
int cmd_product_profile(struct cli *cli);
int cmd_product_checks(struct cli *cli);
int cmd_product_test(struct cli *cli);
int cmd_product_history(struct cli *cli);
int cmd_product_deprecate(struct cli *cli);
int cmd_product_retire(struct cli *cli);
int cmd_product_activate(struct cli *cli);
int cmd_product_rm(struct cli *cli);
int cmd_product_restore(struct cli *cli);
int cmd_product_quarantine_ls(struct cli *cli);
int cmd_product_quarantine_show(struct cli *cli);
int cmd_product_quarantine_fix(struct cli *cli);
int cmd_product_quarantine_replay(struct cli *cli);
int cmd_product_quarantine_drop(struct cli *cli);
int cmd_access_request(struct cli *cli);
int cmd_access_ls(struct cli *cli);
int cmd_access_show(struct cli *cli);
int cmd_access_approve(struct cli *cli);
int cmd_access_deny(struct cli *cli);
int cmd_access_revoke(struct cli *cli);
int cmd_access_explain(struct cli *cli);
int cmd_access_preview(struct cli *cli);
int cmd_policy_lint(struct cli *cli);
int cmd_policy_test(struct cli *cli);
int cmd_policy_diff(struct cli *cli);
int cmd_policy_apply(struct cli *cli);
int cmd_policy_ls(struct cli *cli);
int cmd_policy_show(struct cli *cli);
int cmd_policy_history(struct cli *cli);
int cmd_policy_rollback(struct cli *cli);
int cmd_policy_rm(struct cli *cli);
int cmd_audit_ls(struct cli *cli);
int cmd_audit_verify(struct cli *cli);
int cmd_leaf_check(struct cli *cli);
int cmd_leaf_backup(struct cli *cli);
int cmd_leaf_restore(struct cli *cli);
int cmd_token_create(struct cli *cli);
int cmd_leaf_ls(struct cli *cli);
int cmd_leaf_show(struct cli *cli);
int cmd_leaf_drain(struct cli *cli);
int cmd_doctor(struct cli *cli);
int cmd_errors_ls(struct cli *cli);
int cmd_errors_show(struct cli *cli);
int cmd_completion(struct cli *cli);
int cmd_version(struct cli *cli);
int cmd_help(struct cli *cli);
