/* policy diff, apply, rm and rollback: one request, which says what it changes for whom. */
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/policy_files.h"
#include "common/base/str.h"
#include "common/identity/token.h"
#include "proto/errors.h"

/* --- the answer ------------------------------------------------------------------------------- */

struct counts {
    size_t loses;
    size_t gains;
    size_t changes;
};

static struct counts count_effects(const struct sf_json *effects)
{
    struct counts n = {0};

    for (struct sf_json_iter it = sf_json_iter(effects); sf_json_next(&it);) {
        const char *change = sf_json_text_of(it.value, "change");

        n.loses += strcmp(change, "loses") == 0;
        n.gains += strcmp(change, "gains") == 0;
        n.changes += strcmp(change, "changes") == 0;
    }
    return n;
}

static void print_effect(struct print *p, const struct sf_json *v)
{
    const bool rows = sf_json_kind(sf_json_get(v, "field")) != SF_JSON_STRING;

    print_row(p);
    print_json(p, "product", sf_json_get(v, "product"));
    print_json(p, "consumer", sf_json_get(v, "consumer"));
    print_json(p, "change", sf_json_get(v, "change"));
    print_format_text(p, "what", "%s%s%s", sf_json_text_of(v, "table"), rows ? " (rows)" : ".",
                      rows ? "" : sf_json_text_of(v, "field"));
    print_json(p, "before", sf_json_get(v, "before"));
    print_json(p, "after", sf_json_get(v, "after"));
    print_json(p, "policy", sf_json_get(v, "policy"));
}

static void tell_findings(struct cli *cli, const struct sf_json *root)
{
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(root, "findings")); sf_json_next(&it);) {
        bool refuses = false;

        (void)sf_json_as_bool(sf_json_get(it.value, "refuses"), &refuses);
        cli_note(cli, "%s: %s (policy %s)%s", sf_json_text_of(it.value, "product"),
                 sf_json_text_of(it.value, "text"), sf_json_text_of(it.value, "policy"),
                 refuses ? "; its next version is refused with that" : "");
    }
}

/* More than the hub tells of. */
static void tell_left_out(struct cli *cli, const struct sf_json *root, const char *name,
                          const char *what)
{
    uint64_t count = 0;

    (void)sf_json_as_uint(sf_json_get(root, name), &count);
    if (count > 0) {
        cli_warn(cli, "%lu more %s are not shown", (unsigned long)count, what);
    }
}

static void tell_laggards(struct cli *cli, const struct sf_json *root)
{
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(root, "laggards")); sf_json_next(&it);) {
        const char *domain = "?";

        (void)sf_json_as_text(it.value, &domain);
        cli_warn(cli, "the leaf of %s has not said yet that it serves by them", domain);
    }
}

static enum sf_code print_change(struct cli *cli, const struct sf_json *root, struct sf_error *err)
{
    const struct sf_json *effects = sf_json_get(root, "effects");
    const struct counts n = count_effects(effects);
    bool changed = false;
    bool dry_run = false;
    uint64_t version = 0;

    (void)sf_json_as_bool(sf_json_get(root, "changed"), &changed);
    (void)sf_json_as_bool(sf_json_get(root, "dry_run"), &dry_run);
    (void)sf_json_as_uint(sf_json_get(root, "version"), &version);
    print_begin(&cli->print, PRINT_LIST, "PolicyChange");
    for (struct sf_json_iter it = sf_json_iter(effects); sf_json_next(&it);) {
        print_effect(&cli->print, it.value);
    }
    print_member_uint(&cli->print, "version", version);
    if (print_end(&cli->print, err) != SF_OK) {
        return err->code;
    }
    tell_left_out(cli, root, "effects_left_out", "gains, losses and changes");
    tell_findings(cli, root);
    tell_left_out(cli, root, "findings_left_out", "lacks of products");
    if (!changed) {
        cli_line(cli, "nothing changes: version %lu says the same", (unsigned long)version);
        return SF_OK;
    }
    cli_line(cli, "%s%zu applied, %zu removed: %zu loses, %zu gains, %zu changes",
             dry_run ? "would be: " : "", sf_json_count(sf_json_get(root, "applied")),
             sf_json_count(sf_json_get(root, "removed")), n.loses, n.gains, n.changes);
    if (!dry_run) {
        cli_did(cli, "version %lu of the policies is in force", (unsigned long)version);
        tell_laggards(cli, root);
    }
    return SF_OK;
}

/* --- the request ------------------------------------------------------------------------------ */

struct change {
    const struct policy_files *files; /* or NULL */
    const char *const *remove;
    unsigned remove_count;
    bool rollback;
    uint64_t rollback_to;
    bool dry_run;
};

static void write_body(const struct change *c, struct sf_buf *body)
{
    struct sf_json_writer w = {.out = body};

    sf_json_object_begin(&w);
    if (c->files != NULL) {
        sf_json_key(&w, "files");
        sf_json_array_begin(&w);
        for (size_t i = 0; i < c->files->count; i++) {
            sf_json_object_begin(&w);
            sf_json_member_text(&w, "file", c->files->files[i].name);
            sf_json_member_slice(&w, "text", sf_buf_view(&c->files->files[i].text));
            sf_json_object_end(&w);
        }
        sf_json_array_end(&w);
    }
    if (c->remove_count > 0) {
        sf_json_key(&w, "remove");
        sf_json_array_begin(&w);
        for (unsigned i = 0; i < c->remove_count; i++) {
            sf_json_text(&w, c->remove[i]);
        }
        sf_json_array_end(&w);
    }
    if (c->rollback) {
        sf_json_member_uint(&w, "rollback_to", c->rollback_to);
    }
    sf_json_member_bool(&w, "dry_run", c->dry_run);
    sf_json_object_end(&w);
}

static enum sf_code send(struct cli *cli, struct api *a, const struct change *c,
                         struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    const struct sf_json *root = NULL;
    enum sf_code code = api_open(cli, a, err);

    code = code == SF_OK ? api_act(a, SF_TOKEN_PLATFORM, err) : code;
    write_body(c, &body);
    code = code == SF_OK ? sf_buf_check(&body, "policies", err) : code;
    if (code == SF_OK) {
        code = api_hub(a,
                       &(struct api_call){.method = "POST",
                                          .path = "/v1/policies/change",
                                          .content_type = "application/json",
                                          .body = sf_buf_view(&body)},
                       err);
    }
    code = code == SF_OK ? api_json(a, &root, err) : code;
    return code == SF_OK ? print_change(cli, root, err) : code;
}

static int run(struct cli *cli, const struct change *c)
{
    struct api api = {0};
    struct sf_error err;
    enum sf_code code = send(cli, &api, c, &err);

    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}

static int run_files(struct cli *cli, bool dry_run)
{
    struct policy_files files;
    struct sf_error err;
    enum sf_code code = policy_files_read(cli, &files, &err);
    int status = code == SF_OK ? run(cli, &(struct change){.files = &files, .dry_run = dry_run})
                               : policy_files_fail(cli, &files, &err);

    policy_files_done(&files);
    return status;
}

int cmd_policy_diff(struct cli *cli)
{
    return run_files(cli, /* dry_run= */ true);
}

int cmd_policy_apply(struct cli *cli)
{
    return run_files(cli, args_has(&cli->args, "dry-run"));
}

int cmd_policy_rm(struct cli *cli)
{
    return run(cli, &(struct change){.remove = cli->args.positional,
                                     .remove_count = cli->args.positional_count,
                                     .dry_run = args_has(&cli->args, "dry-run")});
}

int cmd_policy_rollback(struct cli *cli)
{
    const char *text = cli->args.positional[0];
    struct change c = {.rollback = true, .dry_run = args_has(&cli->args, "dry-run")};
    struct sf_error err;

    if (sf_parse_u64(sf_slice_text(text), &c.rollback_to) != SF_PARSE_OK) {
        (void)SF_RAISE_E(&err, SF_INVALID, SHEAF_E_USAGE,
                         "'%.40s' is no version: see 'sheaf policy history'", text);
        return cli_fail(cli, &err);
    }
    return run(cli, &c);
}
