#include "cli/commands.h"

#include <string.h>

static const struct flag globals[] = {
    {"output", 'o', "FORMAT", "table, json, ndjson, csv, yaml, name (SHEAF_OUTPUT)"},
    {"as", 0, "DOMAIN[/USER]", "who acts; may be left out when there is no doubt"},
    {"role", 0, "A,B", "its roles, which policies may ask for"},
    {"data", 0, "DIR", "state of the mesh that runs here (SHEAF_DEV_DIR)"},
    {"timeout", 0, "TIME", "longest wait for an answer; 30s by default"},
    {"quiet", 'q', NULL, "results and errors only"},
    {"verbose", 'v', NULL, "say what is done"},
    {"yes", 'y', NULL, "do not ask for confirmation"},
    {"no-input", 0, NULL, "never ask; what would need an answer fails"},
    {"no-color", 0, NULL, "no colours (NO_COLOR)"},
    {"help", 'h', NULL, "this text"},
    {"version", 0, NULL, "the version, instead of all else"},
    {NULL, 0, NULL, NULL},
};

static const struct flag dev_flags[] = {
    {"leaf", 0, "DOMAIN", "run a leaf for this domain; may be repeated"},
    {"detach", 'd', NULL, "go on in the background"},
    {"port", 0, "PORT", "first HTTP port to try; 8080 by default"},
    {"nats-port", 0, "PORT", "first NATS port to try; 4222 by default"},
    {NULL, 0, NULL, NULL},
};

static const struct flag load_flags[] = {
    {"format", 0, "FORMAT", "csv, ndjson or json; by the file's name when left out"},
    {"on-invalid", 0, "WHAT", "quarantine (default) or reject: store nothing of that batch"},
    {"batch", 0, "ROWS", "records per request; 4000 by default"},
    {"strict", 0, NULL, "exit 3 when records went to quarantine"},
    {"again", 0, NULL, "from the start, also when an earlier load broke off"},
    {NULL, 0, NULL, NULL},
};

static const struct flag read_flags[] = {
    {"limit", 0, "N", "rows at most; 1000 by default, 0 for all"},
    {"key", 0, "KEY", "one row; repeat it for each part of a composite key"},
    {"from", 0, "KEY", "first key, or seq of an event table (inclusive)"},
    {"to", 0, "KEY", "where to stop (exclusive)"},
    {"prefix", 0, "KEY", "keys that begin so"},
    {"select", 0, "A,B", "these fields only"},
    {"where", 0, "EXPR", "rows for which it is true: \"country = 'NO' AND amount > 100\""},
    {"as-of", 0, "WHEN", "rows as they were: EPOCH:SEQ, 2026-11-20T08:00:00Z, or 1h ago"},
    {"reverse", 0, NULL, "from the last row to the first"},
    {"only-count", 0, NULL, "how many rows, instead of the rows"},
    {NULL, 0, NULL, NULL},
};

static const struct flag sub_flags[] = {
    {"since", 0, "WHERE", "new (default), all, snapshot, a time back like 1h, or EPOCH:SEQ"},
    {"or-snapshot", 0, NULL, "begin anew with the rows when the position is no longer held"},
    {"count", 0, "N", "end after N changes"},
    {NULL, 0, NULL, NULL},
};

static const struct flag init_flags[] = {
    {"from", 0, "FILE", "infer the contract from this data"},
    {"out", 0, "FILE", "where to write; D/P/product.yaml by default, - for stdout"},
    {NULL, 0, NULL, NULL},
};

static const struct flag apply_flags[] = {
    {"dry-run", 'n', NULL, "check only"},
    {NULL, 0, NULL, NULL},
};

static const struct flag checks_flags[] = {
    {"history", 0, NULL, "verdicts that changed, newest first"},
    {NULL, 0, NULL, NULL},
};

static const struct flag deprecate_flags[] = {
    {"sunset", 0, "DAY", "day after which it may be gone, 2027-03-01"},
    {"successor", 0, "D/P@MAJOR", "what to read instead"},
    {"note", 0, "TEXT", "a word to those who read it"},
    {NULL, 0, NULL, NULL},
};

static const struct flag rm_flags[] = {
    {"keep", 0, "TIME", "how long it can be brought back; its retention, or 30d, by default"},
    {"note", 0, "TEXT", "why, for the audit log"},
    {NULL, 0, NULL, NULL},
};

static const struct flag product_ls_flags[] = {
    {"all", 0, NULL, "removed ones as well"},
    {NULL, 0, NULL, NULL},
};

static const struct flag quarantine_flags[] = {
    {"code", 0, "CODE", "with this code: SHEAF-E0204"},
    {"field", 0, "FIELD", "whose first error is of this field"},
    {"older-than", 0, "TIME", "that came longer ago: 2d, 12h"},
    {"newer-than", 0, "TIME", "that came since: 2d, 12h"},
    {"summary", 0, NULL, "count them by code and field instead"},
    {"limit", 0, "N", "records at most; 1000 by default, 0 for all"},
    {NULL, 0, NULL, NULL},
};

static const struct flag quarantine_fix_flags[] = {
    {"set", 0, "FIELD=VALUE", "give the field this value; may be repeated"},
    {"unset", 0, "FIELD", "take the field away; may be repeated"},
    {"file", 0, "FILE", "the whole record, as it should have been; else EDITOR is asked"},
    {"overwrite", 0, NULL, "also when the row was written after the record came"},
    {NULL, 0, NULL, NULL},
};

static const struct flag quarantine_replay_flags[] = {
    {"all", 0, NULL, "all there are"},
    {"code", 0, "CODE", "with this code: SHEAF-E0204"},
    {"field", 0, "FIELD", "whose first error is of this field"},
    {"older-than", 0, "TIME", "that came longer ago: 2d, 12h"},
    {"newer-than", 0, "TIME", "that came since: 2d, 12h"},
    {"overwrite", 0, NULL, "also over rows written after the record came"},
    {NULL, 0, NULL, NULL},
};

static const struct flag quarantine_drop_flags[] = {
    {"all", 0, NULL, "all there are"},
    {"code", 0, "CODE", "with this code: SHEAF-E0204"},
    {"field", 0, "FIELD", "whose first error is of this field"},
    {"older-than", 0, "TIME", "that came longer ago: 2d, 12h"},
    {"newer-than", 0, "TIME", "that came since: 2d, 12h"},
    {NULL, 0, NULL, NULL},
};

static const struct flag request_flags[] = {
    {"purpose", 0, "TEXT", "what the data is for"},
    {"for", 0, "TIME", "how long: 90d, 12h"},
    {"columns", 0, "A,B", "ask for these fields only"},
    {NULL, 0, NULL, NULL},
};

static const struct flag access_ls_flags[] = {
    {"pending", 0, NULL, "only requests that wait for a decision"},
    {NULL, 0, NULL, NULL},
};

static const struct flag decide_flags[] = {
    {"note", 0, "TEXT", "a word to those who asked"},
    {"for", 0, "TIME", "another duration than was asked for"},
    {"columns", 0, "A,B", "grant these fields only"},
    {NULL, 0, NULL, NULL},
};

static const struct flag deny_flags[] = {
    {"note", 0, "TEXT", "a word to those who asked"},
    {NULL, 0, NULL, NULL},
};

static const struct flag revoke_flags[] = {
    {"note", 0, "TEXT", "why, for the audit log"},
    {NULL, 0, NULL, NULL},
};

static const struct flag explain_flags[] = {
    {"who", 0, "DOMAIN[/ROLE]", "who asks"},
    {"what", 0, "D/P[.TABLE][.FIELD]", "the product, or a part: sales/orders.email"},
    {"purpose", 0, "TEXT", "of the grant; that of the active one by default"},
    {NULL, 0, NULL, NULL},
};

static const struct flag preview_flags[] = {
    {"purpose", 0, "TEXT", "as if its grant had this purpose"},
    {"limit", 0, "N", "rows at most; 10 by default, up to 1000"},
    {NULL, 0, NULL, NULL},
};

static const struct flag policy_test_flags[] = {
    {"product", 0, "FILE", "a product file that tests are about, instead of the hub's; repeatable"},
    {NULL, 0, NULL, NULL},
};

static const struct flag audit_ls_flags[] = {
    {"after", 0, "N", "events behind number N"},
    {"limit", 0, "N", "events at most; 1000 by default, 0 for all"},
    {NULL, 0, NULL, NULL},
};

static const struct flag leaf_check_flags[] = {
    {"dir", 0, "DIR", "the directory of a leaf that is stopped, instead of one that runs"},
    {"rebuild", 0, NULL, "with --dir: make the newest rows again from the log first"},
    {"accept-loss", 0, NULL, "with --dir: go on with what is there, in a new epoch"},
    {"head-record", 0, "FILE", "with --dir: the head record, when it is not DIR/heads"},
    {NULL, 0, NULL, NULL},
};

static const struct flag leaf_backup_flags[] = {
    {"without-keys", 0, NULL, "leave out keys, identity and credentials"},
    {NULL, 0, NULL, NULL},
};

static const struct flag leaf_restore_flags[] = {
    {"dir", 0, "DIR", "the directory to make; empty when it is there"},
    {"no-hub", 0, NULL, "do not ask the hub what it has seen of this leaf"},
    {"head-record", 0, "FILE", "where to keep the head record, when not in DIR/heads"},
    {NULL, 0, NULL, NULL},
};

static const struct flag status_flags[] = {
    {"watch", 'w', NULL, "again and again, until interrupted"},
    {"interval", 0, "TIME", "how often with --watch; 2s by default"},
    {"exit-when-healthy", 0, NULL, "watch, and end once everything is up"},
    {NULL, 0, NULL, NULL},
};

static const struct flag leaf_show_flags[] = {
    {"settings", 0, NULL, "its settings: values in force and where they come from"},
    {NULL, 0, NULL, NULL},
};

static const struct flag leaf_drain_flags[] = {
    {"undo", 0, NULL, "serve again"},
    {NULL, 0, NULL, NULL},
};

static const struct flag token_flags[] = {
    {"key", 0, "FILE", "sign with this key file, for a mesh that does not run here"},
    {"mesh", 0, "ID", "with --key: the id of that mesh"},
    {"for", 0, "D/P", "for requests over NATS about that product: the roles alone (Sheaf-Roles)"},
    {NULL, 0, NULL, NULL},
};

static const struct command table[] = {
    {"dev", GROUP_START, "Run a hub and leaves on this machine", "", 0, 0,
     "sheaf dev --leaf sales --leaf marketing -d\n"
     "sheaf dev --data ./mesh --leaf sales",
     dev_flags, cmd_dev},
    {"dev stop", GROUP_START, "Stop the mesh that runs here; its data stays", "", 0, 0,
     "sheaf dev stop", NULL, cmd_dev_stop},
    {"publish", GROUP_START, "Make a product of a file: contract, apply, load", "FILE", 1, 1,
     "sheaf publish orders.csv --as sales/orders", load_flags, cmd_publish},
    {"status", GROUP_START, "Hub, leaves and products on one screen", "", 0, 0,
     "sheaf status\nsheaf status --watch\nsheaf status -o json", status_flags, cmd_status},
    {"doctor", GROUP_START, "Check what a mesh on this machine needs, and how to mend it", "", 0, 0,
     "sheaf doctor", NULL, cmd_doctor},

    {"read", GROUP_USE, "Read rows of a product", "D/P[@MAJOR][.TABLE]", 1, 1,
     "sheaf read sales/orders --as marketing --limit 10\n"
     "sheaf read sales/orders --key O-1001\n"
     "sheaf read sales/orders --where \"country = 'NO'\" --only-count\n"
     "sheaf read sales/orders --limit 0 -o csv > orders.csv",
     read_flags, cmd_read},
    {"sub", GROUP_USE, "Follow the changes of a product as NDJSON", "D/P[@MAJOR][.TABLE]", 1, 1,
     "sheaf sub sales/orders --as marketing\n"
     "sheaf sub sales/orders --since all --count 100\n"
     "sheaf sub sales/orders --since snapshot > copy.ndjson",
     sub_flags, cmd_sub},

    {"product init", GROUP_PRODUCT, "Write a product.yaml, inferred from data", "", 0, 0,
     "sheaf product init --from orders.csv --as sales/orders", init_flags, cmd_product_init},
    {"product lint", GROUP_PRODUCT, "Check a product file", "[FILE]", 0, 1,
     "sheaf product lint\nsheaf product lint sales/orders/product.yaml", NULL, cmd_product_lint},
    {"product diff", GROUP_PRODUCT, "Show what a product file would change, and for whom", "[FILE]",
     0, 1, "sheaf product diff sales/orders/product.yaml", NULL, cmd_product_diff},
    {"product apply", GROUP_PRODUCT, "Bring a product file into force", "FILE", 1, 1,
     "sheaf product apply sales/orders/product.yaml", apply_flags, cmd_product_apply},
    {"product load", GROUP_PRODUCT, "Load records of a file into a product", "FILE", 1, 1,
     "sheaf product load orders.csv --as sales/orders", load_flags, cmd_product_load},
    {"product ls", GROUP_PRODUCT, "List products", "", 0, 0, "sheaf product ls", product_ls_flags,
     cmd_product_ls},
    {"product show", GROUP_PRODUCT, "Show a product with its tables and fields", "D/P[@MAJOR]", 1,
     1, "sheaf product show sales/orders", NULL, cmd_product_show},
    {"product export", GROUP_PRODUCT, "Print the contract as proto or yaml", "D/P[@MAJOR] FORMAT",
     2, 2, "sheaf product export sales/orders proto > orders.proto", NULL, cmd_product_export},
    {"product stats", GROUP_PRODUCT, "Show what is known of the values of each field",
     "D/P[@MAJOR][.TABLE]", 1, 1, "sheaf product stats sales/orders", NULL, cmd_product_stats},
    {"product profile", GROUP_PRODUCT, "Look at every row, for statistics of all fields",
     "D/P[@MAJOR][.TABLE]", 1, 1, "sheaf product profile sales/orders --as marketing", NULL,
     cmd_product_profile},
    {"product checks", GROUP_PRODUCT, "Show whether the checks of the contract hold",
     "D/P[@MAJOR][.TABLE]", 1, 1,
     "sheaf product checks sales/orders\nsheaf product checks sales/orders --history", checks_flags,
     cmd_product_checks},
    {"product test", GROUP_PRODUCT, "Run the checks on every row; exit 3 when one fails",
     "D/P[@MAJOR][.TABLE]", 1, 1, "sheaf product test sales/orders", NULL, cmd_product_test},
    {"product history", GROUP_PRODUCT, "List the versions of a product", "D/P", 1, 1,
     "sheaf product history sales/orders", NULL, cmd_product_history},
    {"product deprecate", GROUP_PRODUCT, "Tell readers to move on; all goes on working",
     "D/P[@MAJOR]", 1, 1, "sheaf product deprecate sales/orders@1 --successor sales/orders@2",
     deprecate_flags, cmd_product_deprecate},
    {"product retire", GROUP_PRODUCT, "Take no records and no new readers any more", "D/P[@MAJOR]",
     1, 1, "sheaf product retire sales/orders@1", deprecate_flags, cmd_product_retire},
    {"product activate", GROUP_PRODUCT, "Bring a draft, deprecated or retired version back",
     "D/P[@MAJOR]", 1, 1, "sheaf product activate sales/orders@1", NULL, cmd_product_activate},
    {"product rm", GROUP_PRODUCT, "Take a retired version out of the mesh", "D/P@MAJOR", 1, 1,
     "sheaf product rm sales/orders@1 --keep 30d --note \"replaced by 2\"", rm_flags,
     cmd_product_rm},
    {"product restore", GROUP_PRODUCT, "Bring a removed version back while its rows are kept",
     "D/P@MAJOR", 1, 1, "sheaf product restore sales/orders@1", NULL, cmd_product_restore},
    {"product quarantine ls", GROUP_PRODUCT, "List records that violated the contract",
     "D/P[@MAJOR][.TABLE]", 1, 1,
     "sheaf product quarantine ls sales/orders\n"
     "sheaf product quarantine ls sales/orders --summary\n"
     "sheaf product quarantine ls sales/orders --code SHEAF-E0204 --older-than 7d",
     quarantine_flags, cmd_product_quarantine_ls},
    {"product quarantine show", GROUP_PRODUCT, "Show a quarantined record, what is wrong marked",
     "D/P[@MAJOR][.TABLE] QSEQ", 2, 2, "sheaf product quarantine show sales/orders 17", NULL,
     cmd_product_quarantine_show},
    {"product quarantine fix", GROUP_PRODUCT, "Mend a quarantined record and store it",
     "D/P[@MAJOR][.TABLE] QSEQ", 2, 2,
     "sheaf product quarantine fix sales/orders 17 --set amount=12.50\n"
     "sheaf product quarantine fix sales/orders 17 --file mended.json",
     quarantine_fix_flags, cmd_product_quarantine_fix},
    {"product quarantine replay", GROUP_PRODUCT,
     "Try quarantined records against the contract again", "D/P[@MAJOR][.TABLE] [QSEQ ...]", 1,
     ARGS_MAX,
     "sheaf product quarantine replay sales/orders --all\n"
     "sheaf product quarantine replay sales/orders --code SHEAF-E0203",
     quarantine_replay_flags, cmd_product_quarantine_replay},
    {"product quarantine drop", GROUP_PRODUCT, "Delete quarantined records",
     "D/P[@MAJOR][.TABLE] [QSEQ ...]", 1, ARGS_MAX,
     "sheaf product quarantine drop sales/orders 17 18\n"
     "sheaf product quarantine drop sales/orders --older-than 30d --yes",
     quarantine_drop_flags, cmd_product_quarantine_drop},

    {"access request", GROUP_ACCESS, "Ask to read a product of another domain", "D/P[@MAJOR]", 1, 1,
     "sheaf access request sales/orders --as marketing --purpose churn --for 90d", request_flags,
     cmd_access_request},
    {"access ls", GROUP_ACCESS, "List requests and grants", "", 0, 0,
     "sheaf access ls\nsheaf access ls --pending --as sales", access_ls_flags, cmd_access_ls},
    {"access show", GROUP_ACCESS, "Show a request (AR-n) or a grant (G-n)", "ID", 1, 1,
     "sheaf access show AR-1\nsheaf access show G-1", NULL, cmd_access_show},
    {"access approve", GROUP_ACCESS, "Grant what was asked for, signed by the owner", "AR-N", 1, 1,
     "sheaf access approve AR-1 --as sales --note \"ok for Q4\"", decide_flags, cmd_access_approve},
    {"access deny", GROUP_ACCESS, "Refuse a request, signed by the owner", "AR-N", 1, 1,
     "sheaf access deny AR-1 --as sales --note \"ask for fewer columns\"", deny_flags,
     cmd_access_deny},
    {"access revoke", GROUP_ACCESS, "Take a grant back, at once", "G-N", 1, 1,
     "sheaf access revoke G-1 --as sales --note \"purpose ended\"", revoke_flags,
     cmd_access_revoke},
    {"access explain", GROUP_ACCESS, "Say what a domain sees of a product, and which rule says so",
     "", 0, 0, "sheaf access explain --who marketing --what sales/orders.email", explain_flags,
     cmd_access_explain},

    {"access preview", GROUP_ACCESS, "Show rows of your product as another domain would get them",
     "D/P[@MAJOR][.TABLE]", 1, 1,
     "sheaf access preview sales/orders --as marketing\n"
     "sheaf access preview sales/orders --as marketing --role analyst --limit 3",
     preview_flags, cmd_access_preview},

    {"policy lint", GROUP_POLICY, "Check files of policies", "FILE...", 1, ARGS_MAX,
     "sheaf policy lint policies/pii.yaml", NULL, cmd_policy_lint},
    {"policy test", GROUP_POLICY, "Run the tests written beside policies", "FILE...", 1, ARGS_MAX,
     "sheaf policy test policies/pii.yaml --product product.yaml", policy_test_flags,
     cmd_policy_test},
    {"policy diff", GROUP_POLICY, "Show who would gain or lose which columns and rows", "FILE...",
     1, ARGS_MAX, "sheaf policy diff policies/pii.yaml", NULL, cmd_policy_diff},
    {"policy apply", GROUP_POLICY, "Put policies in force, for all domains at once", "FILE...", 1,
     ARGS_MAX, "sheaf policy apply policies/pii.yaml", apply_flags, cmd_policy_apply},
    {"policy ls", GROUP_POLICY, "List the policies of the platform", "", 0, 0, "sheaf policy ls",
     NULL, cmd_policy_ls},
    {"policy show", GROUP_POLICY, "Show a policy as it was written", "NAME", 1, 1,
     "sheaf policy show pii-default", NULL, cmd_policy_show},
    {"policy history", GROUP_POLICY, "List the versions of the policies", "", 0, 0,
     "sheaf policy history", NULL, cmd_policy_history},
    {"policy rollback", GROUP_POLICY, "Put the policies of an earlier version in force", "VERSION",
     1, 1, "sheaf policy rollback 3", apply_flags, cmd_policy_rollback},
    {"policy rm", GROUP_POLICY, "Take policies out of force", "NAME...", 1, ARGS_MAX,
     "sheaf policy rm pii-default", apply_flags, cmd_policy_rm},
    {"policy explain", GROUP_POLICY, "The same as access explain", "", 0, 0,
     "sheaf policy explain --who marketing --what sales/orders.email", explain_flags,
     cmd_access_explain},

    {"leaf ls", GROUP_OPERATE, "List the leaves of the mesh", "", 0, 0, "sheaf leaf ls", NULL,
     cmd_leaf_ls},
    {"leaf show", GROUP_OPERATE, "Show how a leaf is, or its settings", "", 0, 0,
     "sheaf leaf show --as sales\nsheaf leaf show --as sales --settings", leaf_show_flags,
     cmd_leaf_show},
    {"leaf drain", GROUP_OPERATE, "Take nothing new, send the rest, say when to stop", "", 0, 0,
     "sheaf leaf drain --as sales\nsheaf leaf drain --as sales --undo", leaf_drain_flags,
     cmd_leaf_drain},
    {"leaf check", GROUP_OPERATE, "Verify all that a leaf has stored", "", 0, 0,
     "sheaf leaf check --as sales\n"
     "sheaf leaf check --dir /var/lib/sheaf/sales\n"
     "sheaf leaf check --dir /var/lib/sheaf/sales --accept-loss",
     leaf_check_flags, cmd_leaf_check},
    {"leaf backup", GROUP_OPERATE, "Back up a leaf while it works; the copy is checked", "DIR", 1,
     1, "sheaf leaf backup /var/backups/sales --as sales", leaf_backup_flags, cmd_leaf_backup},
    {"leaf restore", GROUP_OPERATE, "Make the directory of a leaf from a backup", "BACKUP", 1, 1,
     "sheaf leaf restore /var/backups/sales --dir /var/lib/sheaf/sales", leaf_restore_flags,
     cmd_leaf_restore},
    {"audit ls", GROUP_OPERATE, "List what happened in the mesh", "", 0, 0,
     "sheaf audit ls\nsheaf audit ls --after 100 -o ndjson", audit_ls_flags, cmd_audit_ls},
    {"audit verify", GROUP_OPERATE, "Verify the audit log: numbers, chain, signatures", "", 0, 0,
     "sheaf audit verify", NULL, cmd_audit_verify},
    {"errors ls", GROUP_OTHER, "List all errors by number", "", 0, 0, "sheaf errors ls", NULL,
     cmd_errors_ls},
    {"errors show", GROUP_OTHER, "What an error means and what to do", "CODE", 1, 1,
     "sheaf errors show E0401", NULL, cmd_errors_show},
    {"completion", GROUP_OTHER, "Print the completion for a shell: bash, zsh or fish", "SHELL", 1,
     1,
     "sheaf completion bash > ~/.local/share/bash-completion/completions/sheaf\n"
     "sheaf completion zsh > ~/.zfunc/_sheaf\n"
     "sheaf completion fish > ~/.config/fish/completions/sheaf.fish",
     NULL, cmd_completion},
    {"token create", GROUP_OTHER, "Print a token for other tools, good for ten minutes", "", 0, 0,
     "sheaf token create --as sales\n"
     "sheaf token create --as platform --key hub/keys/platform.seed --mesh mabc",
     token_flags, cmd_token_create},
    {"version", GROUP_OTHER, "Print the version", "", 0, 0, "sheaf version", NULL, cmd_version},
    {"help", GROUP_OTHER, "Help on a command, on exit-codes, the whole reference, or a manual page",
     "[COMMAND | exit-codes | reference | man]", 0, 3,
     "sheaf help access request\nsheaf help exit-codes", NULL, cmd_help},
    {NULL, GROUP_OTHER, NULL, NULL, 0, 0, NULL, NULL, NULL},
};

const struct command *commands_table(void)
{
    return table;
}

const struct flag *commands_globals(void)
{
    return globals;
}

bool commands_as_is_product(const struct command *c)
{
    static const char *const paths[] = {"publish", "product init", "product load"};

    for (size_t i = 0; i < SF_COUNT(paths); i++) {
        if (strcmp(c->path, paths[i]) == 0) {
            return true;
        }
    }
    return false;
}
