/* policy lint and test: what can be told of files of policies before they are applied. */
#include <time.h>

#include "cli/api.h"
#include "cli/catalog.h"
#include "cli/commands.h"
#include "cli/policy_files.h"
#include "cli/product_source.h"
#include "common/contract/product_file.h"
#include "common/identity/token.h"
#include "proto/errors.h"

/* --- lint ------------------------------------------------------------------------------------- */

int cmd_policy_lint(struct cli *cli)
{
    struct policy_files files;
    struct sf_error err;
    enum sf_code code = policy_files_read(cli, &files, &err);
    size_t count = code == SF_OK ? sf_policy_set_count(files.set) : 0;
    int status = code == SF_OK ? CLI_OK : policy_files_fail(cli, &files, &err);

    if (code == SF_OK) {
        cli_did(cli, "%zu polic%s in %zu file%s %s valid", count, count == 1 ? "y" : "ies",
                files.count, files.count == 1 ? "" : "s", count == 1 ? "is" : "are");
    }
    if (cli->print.format != PRINT_TABLE && (code == SF_OK || files.shown)) {
        print_begin(&cli->print, PRINT_OBJECT, "LintResult");
        print_row(&cli->print);
        print_bool(&cli->print, "valid", code == SF_OK);
        print_uint(&cli->print, "policies", count);
        if (cli_end(cli) != CLI_OK) {
            status = CLI_FAILURE;
        }
    }
    policy_files_done(&files);
    return status;
}

/* --- test ------------------------------------------------------------------------------------- */

enum { PRODUCTS_MAX = 256 };

/* The product that a case is about, of a file or of the hub. */
struct tested {
    struct sf_product *product;     /* owned */
    struct sf_policy_set *policies; /* owned: its owner's */
};

struct tests {
    struct cli *cli;
    struct api api;
    bool connected;
    struct tested products[PRODUCTS_MAX];
    size_t count;
    size_t failed;
    size_t run;
};

static void tests_done(struct tests *t)
{
    for (size_t i = 0; i < t->count; i++) {
        sf_product_free(t->products[i].product);
        sf_policy_set_free(t->products[i].policies);
    }
    api_done(&t->api);
}

static enum sf_code keep(struct tests *t, struct sf_product *p, struct sf_error *err)
{
    struct tested *x = &t->products[t->count];

    if (t->count == PRODUCTS_MAX) {
        sf_product_free(p);
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY, "tests of more than %d products",
                          PRODUCTS_MAX);
    }
    t->count++;
    *x = (struct tested){.product = p, .policies = sf_policy_set_new()};
    return x->policies == NULL ? SF_RAISE(err, SF_NOMEM, "policies")
                               : sf_policy_set_add_product(x->policies, p, err);
}

static enum sf_code read_products(struct tests *t, struct sf_error *err)
{
    const char *path;

    for (unsigned i = 0; (path = args_value_at(&t->cli->args, "product", i)) != NULL; i++) {
        struct product_source source = {0};
        enum sf_code code = product_source_read(t->cli, path, &source, err);

        if (code == SF_OK) {
            code = keep(t, SF_TAKE(source.product), err);
        }
        product_source_done(&source);
        if (code != SF_OK) {
            return code;
        }
    }
    return SF_OK;
}

static enum sf_code connect(struct tests *t, struct sf_error *err)
{
    enum sf_code code = SF_OK;

    if (!t->connected) {
        t->connected = true;
        code = api_open(t->cli, &t->api, err);
        code = code == SF_OK ? api_act(&t->api, SF_TOKEN_PLATFORM, err) : code;
    }
    return code;
}

static enum sf_code ask_hub(struct tests *t, const char *name, struct sf_error *err)
{
    const struct sf_json *root = NULL;
    struct sf_product *p = NULL;
    struct sf_issues issues;
    struct sf_slice text = {0};
    char path[2 * PRODUCT_NAME_MAX + 32];
    enum sf_code code = connect(t, err);

    (void)snprintf(path, sizeof(path), "/v1/products/%s", name);
    code = code == SF_OK ? api_get_hub(&t->api, path, &root, err) : code;
    code = code == SF_OK ? catalog_file(root, &text, err) : code;
    if (code != SF_OK) {
        return code;
    }
    sf_issues_init(&issues, name, text);
    code = sf_product_parse(&issues, &p, err);
    sf_issues_done(&issues);
    return code == SF_OK ? keep(t, p, err) : code;
}

/* Products of files count before those of the hub. */
static enum sf_code product_of(struct tests *t, const char *name, const struct tested **ret,
                               struct sf_error *err)
{
    enum sf_code code = SF_OK;

    for (unsigned round = 0; round < 2 && code == SF_OK; round++) {
        for (size_t i = 0; i < t->count; i++) {
            const struct sf_product *p = t->products[i].product;
            char text[PRODUCT_REF_TEXT_MAX];

            (void)snprintf(text, sizeof(text), "%s/%s", p->domain, p->name);
            if (strcmp(text, name) == 0) {
                *ret = &t->products[i];
                return SF_OK;
            }
        }
        code = round == 0 ? ask_hub(t, name, err) : code;
    }
    return code == SF_OK ? SF_RAISE_E(err, SF_ABSENT, SHEAF_E_PRODUCT_UNKNOWN, "%.130s", name)
                         : code;
}

/* The table of a case: its own, or the one that has the field, or the only one. */
static const struct sf_table *table_of(const struct sf_policy_case *c, const struct sf_product *p)
{
    if (c->table != NULL) {
        return sf_product_table(p, c->table);
    }
    for (size_t i = 0; c->field != NULL && i < p->table_count; i++) {
        if (sf_table_field_index(&p->tables[i], sf_slice_text(c->field)) >= 0) {
            return &p->tables[i];
        }
    }
    return p->tables;
}

static void print_case(struct tests *t, const struct sf_policy_case *c, bool holds, const char *got)
{
    struct print *p = &t->cli->print;

    t->run++;
    t->failed += !holds;
    print_row(p);
    print_format_text(p, "place", "%s:%u", c->file, c->line);
    print_format_text(p, "who", "%s%s%s", c->who.domain, c->who.role_count > 0 ? "/" : "",
                      c->who.role_count > 0 ? c->who.roles[0] : "");
    print_format_text(p, "what", "%s%s%s%s%s", c->product, c->table == NULL ? "" : ".",
                      c->table == NULL ? "" : c->table, c->field == NULL ? "" : ".",
                      c->field == NULL ? "" : c->field);
    print_text(p, "expected", c->expect);
    print_text(p, "got", got);
    print_text(p, "result", holds ? "pass" : "FAIL");
}

static enum sf_code run_case(struct tests *t, const struct sf_policy_set *set,
                             const struct sf_policy_case *c, struct sf_error *err)
{
    SF_CLEANUP(sf_policy_view_freep) struct sf_policy_view *v = NULL;
    SF_CLEANUP(sf_buf_done) struct sf_buf got = {0};
    const struct tested *x = NULL;
    struct sf_policy_input in = {.platform = set, .subject = c->who};
    bool holds;
    enum sf_code code = product_of(t, c->product, &x, err);

    if (code != SF_OK) {
        return sf_error_wrap(err, "%s:%u", c->file, c->line);
    }
    in.owner = x->policies;
    in.product = x->product;
    in.table = table_of(c, x->product);
    in.now_us = (int64_t)time(NULL) * 1000000;
    if (in.table == NULL) {
        return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_TABLE_UNKNOWN, "%s:%u: %s has no table %s",
                          c->file, c->line, c->product, c->table);
    }
    code = sf_policy_decide(&in, &v, err);
    if (code != SF_OK) {
        return code;
    }
    holds = sf_policy_case_holds(c, in.table, v, &got);
    print_case(t, c, holds, got.size == 0 ? "" : sf_buf_cstr(&got));
    return SF_OK;
}

static enum sf_code run_all(struct tests *t, const struct sf_policy_set *set, struct sf_error *err)
{
    const struct sf_policy_case *c;
    enum sf_code code = read_products(t, err);

    print_begin(&t->cli->print, PRINT_LIST, "PolicyTestResult");
    for (size_t i = 0; code == SF_OK && (c = sf_policy_case_at(set, i)) != NULL; i++) {
        code = run_case(t, set, c, err);
    }
    return code == SF_OK ? print_end(&t->cli->print, err) : code;
}

int cmd_policy_test(struct cli *cli)
{
    struct tests t = {.cli = cli};
    struct policy_files files;
    struct sf_error err;
    enum sf_code code = policy_files_read(cli, &files, &err);
    int status;

    if (code != SF_OK) {
        status = policy_files_fail(cli, &files, &err);
        policy_files_done(&files);
        return status;
    }
    code = run_all(&t, files.set, &err);
    if (code != SF_OK) {
        print_done(&cli->print);
        status = cli_fail(cli, &err);
    } else {
        cli_line(cli, "%zu of %zu tests pass", t.run - t.failed, t.run);
        if (t.run == 0) {
            cli_note(cli, "a policy has its tests beside it, under 'tests'");
        }
        status = t.failed == 0 ? CLI_OK : CLI_INVALID;
    }
    tests_done(&t);
    policy_files_done(&files);
    return status;
}
