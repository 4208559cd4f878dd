/* leaf ls, show and drain: the leaves of the mesh, what one says of itself, and stopping it well.
 */
#include <inttypes.h>
#include <string.h>

#include "cli/api.h"
#include "cli/commands.h"
#include "common/base/time.h"
#include "common/identity/token.h"
#include "proto/errors.h"

enum { DRAIN_POLL_MS = 200 };

/* --- ls --------------------------------------------------------------------------------------- */

static const struct sf_json *find_leaf(const struct sf_json *leaves, const char *domain)
{
    for (struct sf_json_iter it = sf_json_iter(leaves); sf_json_next(&it);) {
        const char *name = "";

        if (sf_json_as_text(sf_json_get(it.value, "domain"), &name) && strcmp(name, domain) == 0) {
            return it.value;
        }
    }
    return NULL;
}

/* Whether the leaf serves by what the hub has decided; the numbers of it are for programs. */
static void print_grants(struct print *p, const struct sf_json *known)
{
    int64_t bundle = -1;
    int64_t in_force = -1;

    (void)sf_json_as_int(sf_json_get(known, "bundle"), &bundle);
    (void)sf_json_as_int(sf_json_get(known, "bundle_in_force"), &in_force);
    print_text(p, "grants",
               in_force < 0         ? NULL
               : bundle == in_force ? "up to date"
                                    : "on their way");
    if (p->format != PRINT_TABLE) {
        print_json(p, "bundle", sf_json_get(known, "bundle_in_force"));
    }
}

/* What the hub knows of a leaf, and where it is when it runs on this machine. */
static void print_leaf(struct print *p, const char *domain, const struct sf_json *known,
                       const struct context_process *here)
{
    print_row(p);
    print_text(p, "domain", domain);
    if (known == NULL) {
        print_text(p, "state", "unknown");
    } else {
        print_json(p, "state", sf_json_get(known, "state"));
    }
    print_json(p, "version", sf_json_get(known, "version"));
    print_json(p, "nats_server", sf_json_get(known, "nats_server"));
    print_grants(p, known);
    print_text(p, "http", here == NULL ? NULL : here->http);
    print_text(p, "nats", here == NULL ? NULL : here->nats);
}

static enum sf_code list(struct cli *cli, struct api *a, struct sf_error *err)
{
    const struct sf_json *root = NULL;
    const struct sf_json *leaves = NULL;
    enum sf_code code = api_open(cli, a, err);

    code = code == SF_OK ? api_act(a, SF_TOKEN_PLATFORM, err) : code;
    if (code == SF_OK) {
        code = api_get_hub(a, "/v1/status", &root, err);
        if (code == SF_UNAVAILABLE || code == SF_TIMEOUT) {
            cli_note(cli, "the hub does not answer: states are unknown");
            cli->next[0] = '\0';
            code = SF_OK;
        }
    }
    if (code != SF_OK) {
        return code;
    }
    leaves = root == NULL ? NULL : sf_json_get(root, "leaves");
    print_begin(&cli->print, PRINT_LIST, "LeafList");
    for (struct sf_json_iter it = sf_json_iter(leaves); sf_json_next(&it);) {
        const char *domain = sf_json_text_of(it.value, "domain");

        print_leaf(&cli->print, domain, it.value, context_leaf(&a->context, domain));
    }
    for (size_t i = 0; i < a->context.leaf_count; i++) {
        const struct context_process *here = &a->context.leaves[i];

        if (find_leaf(leaves, here->domain) == NULL) {
            print_leaf(&cli->print, here->domain, NULL, here);
        }
    }
    return print_end(&cli->print, err);
}

int cmd_leaf_ls(struct cli *cli)
{
    struct api api = {0};
    struct sf_error err;
    enum sf_code code = list(cli, &api, &err);

    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}

/* --- show ------------------------------------------------------------------------------------- */

static enum sf_code open_leaf(struct cli *cli, struct api *a, struct sf_error *err)
{
    enum sf_code code = api_open(cli, a, err);

    return code == SF_OK ? api_act(a, NULL, err) : code;
}

static enum sf_code show_settings(struct cli *cli, struct api *a, struct sf_error *err)
{
    const struct sf_json *root = NULL;
    enum sf_code code = api_get_leaf(a, "/v1/settings", &root, err);

    if (code != SF_OK) {
        return code;
    }
    print_begin(&cli->print, PRINT_LIST, "SettingList");
    for (struct sf_json_iter it = sf_json_iter(sf_json_get(root, "items")); sf_json_next(&it);) {
        print_row(&cli->print);
        print_json(&cli->print, "name", sf_json_get(it.value, "name"));
        print_json(&cli->print, "value", sf_json_get(it.value, "value"));
        print_json(&cli->print, "origin", sf_json_get(it.value, "origin"));
        print_json(&cli->print, "after_restart", sf_json_get(it.value, "after_restart"));
    }
    return print_end(&cli->print, err);
}

static void print_uptime(struct print *p, const struct sf_json *root)
{
    char text[SF_DURATION_TEXT_SIZE] = "";
    int64_t us = 0;

    (void)sf_json_as_int(sf_json_get(root, "uptime_us"), &us);
    (void)sf_format_duration(us / SF_US_PER_SEC * SF_US_PER_SEC, text);
    print_text(p, "uptime", text);
}

/* Of people only what is wrong is wanted. */
static void print_held_back(struct print *p, const struct sf_json *hub)
{
    const struct sf_json *held = sf_json_get(hub, "held_back");

    if (p->format != PRINT_TABLE || sf_json_count(held) > 0) {
        print_uint(p, "held_back", sf_json_count(held));
    }
    if (p->format != PRINT_TABLE) {
        print_json(p, "policy_version", sf_json_get(hub, "policy_version"));
        print_json(p, "hub_policy_version", sf_json_get(hub, "hub_policy_version"));
    }
}

static enum sf_code show_status(struct cli *cli, struct api *a, struct sf_error *err)
{
    const struct context_process *here = context_leaf(&a->context, a->who.domain);
    struct print *p = &cli->print;
    const struct sf_json *root = NULL;
    const struct sf_json *hub;
    enum sf_code code = api_get_leaf(a, "/v1/status", &root, err);

    if (code != SF_OK) {
        return code;
    }
    hub = sf_json_get(root, "hub");
    print_begin(p, PRINT_OBJECT, "Leaf");
    print_row(p);
    print_json(p, "domain", sf_json_get(root, "domain"));
    print_json(p, "mesh", sf_json_get(root, "mesh"));
    print_json(p, "version", sf_json_get(root, "version"));
    print_uptime(p, root);
    print_text(p, "http", here == NULL ? NULL : here->http);
    print_json(p, "nats", sf_json_get(sf_json_get(root, "nats"), "url"));
    print_json(p, "nats_server", sf_json_get(sf_json_get(root, "nats"), "server"));
    print_json(p, "nats_state", sf_json_get(sf_json_get(root, "nats"), "state"));
    print_json(p, "hub", sf_json_get(hub, "state"));
    if (p->format != PRINT_TABLE) {
        print_json(p, "bundle", sf_json_get(hub, "bundle"));
    }
    print_json(p, "bundle_in_force", sf_json_get(hub, "bundle_in_force"));
    print_json(p, "grants", sf_json_get(hub, "grants"));
    print_held_back(p, hub);
    print_json(p, "store", sf_json_get(sf_json_get(root, "store"), "state"));
    print_json(p, "draining", sf_json_get(root, "draining"));
    print_uint(p, "products", sf_json_count(sf_json_get(root, "products")));
    return print_end(p, err);
}

int cmd_leaf_show(struct cli *cli)
{
    struct api api = {0};
    struct sf_error err;
    enum sf_code code = open_leaf(cli, &api, &err);

    if (code == SF_OK) {
        code = args_has(&cli->args, "settings") ? show_settings(cli, &api, &err)
                                                : show_status(cli, &api, &err);
    }
    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}

/* --- drain ------------------------------------------------------------------------------------ */

struct drain {
    char state[16];
    int64_t writes;
    int64_t behind;
};

static enum sf_code ask(struct api *a, const char *method, struct drain *ret, struct sf_error *err)
{
    const struct sf_json *root = NULL;
    const char *state = "";
    enum sf_code code =
        api_leaf(a, &(struct api_call){.method = method, .path = "/v1/leaf/drain"}, err);

    code = code == SF_OK ? api_json(a, &root, err) : code;
    if (code == SF_OK) {
        (void)sf_json_as_text(sf_json_get(root, "state"), &state);
        (void)snprintf(ret->state, sizeof(ret->state), "%s", state);
        (void)sf_json_as_int(sf_json_get(root, "writes_pending"), &ret->writes);
        (void)sf_json_as_int(sf_json_get(root, "feeds_behind"), &ret->behind);
    }
    return code;
}

/* Until all is written and sent, or --timeout has passed. */
static enum sf_code wait_drained(struct cli *cli, struct api *a, struct drain *d,
                                 struct sf_error *err)
{
    uint64_t waited_ms = 0;
    enum sf_code code = SF_OK;

    while (code == SF_OK && strcmp(d->state, "draining") == 0) {
        if (waited_ms > cli->timeout_ms) {
            return SF_RAISE_E(err, SF_TIMEOUT, SHEAF_E_DRAINING,
                              "%" PRId64 " writes and %" PRId64 " streams are not done yet",
                              d->writes, d->behind);
        }
        cli_wait(DRAIN_POLL_MS);
        waited_ms += DRAIN_POLL_MS;
        code = ask(a, "GET", d, err);
    }
    return code;
}

static void print_drain(struct cli *cli, const struct api *a, const struct drain *d)
{
    if (cli->print.format != PRINT_TABLE) {
        print_begin(&cli->print, PRINT_OBJECT, "Drain");
        print_row(&cli->print);
        print_text(&cli->print, "domain", a->who.domain);
        print_text(&cli->print, "state", d->state);
        print_int(&cli->print, "writes_pending", d->writes);
        print_int(&cli->print, "feeds_behind", d->behind);
    } else if (strcmp(d->state, "drained") == 0) {
        cli_did(cli, "leaf %s takes nothing new, and all it had is written and sent",
                a->who.domain);
        cli_line(cli, "it is safe to stop it; to go on: sheaf leaf drain --as %s --undo",
                 a->who.domain);
    } else {
        cli_did(cli, "leaf %s serves", a->who.domain);
    }
}

int cmd_leaf_drain(struct cli *cli)
{
    struct api api = {0};
    struct drain d = {0};
    struct sf_error err;
    enum sf_code code = open_leaf(cli, &api, &err);

    if (code == SF_OK) {
        code = ask(&api, args_has(&cli->args, "undo") ? "DELETE" : "POST", &d, &err);
    }
    code = code == SF_OK ? wait_drained(cli, &api, &d, &err) : code;
    if (code == SF_OK) {
        print_drain(cli, &api, &d);
        code = cli->print.format == PRINT_TABLE ? SF_OK : print_end(&cli->print, &err);
    }
    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}
