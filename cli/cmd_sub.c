/* sub D/P: finds where to start and whom to believe, then follows. */
#include <string.h>
#include <time.h>

#include "cli/catalog.h"
#include "cli/commands.h"
#include "cli/sub.h"
#include "common/base/str.h"
#include "common/identity/nkey.h"
#include "common/sys/encoding.h"
#include "common/sys/file.h"
#include "proto/errors.h"

enum { KEY_FILE_MAX = 256 };

/* The nkey that the leaf made for apps of its domain. */
static enum sf_code read_app_key(const struct context_process *leaf, struct sf_seed *ret,
                                 struct sf_error *err)
{
    char path[CLI_PATH_MAX];
    struct sf_buf text = {0};
    enum sf_nkey_kind kind = SF_NKEY_USER;
    enum sf_code code = sf_crypto_init(err);

    (void)snprintf(path, sizeof(path), "%s/keys/app.nk", leaf->data);
    code = code == SF_OK ? sf_file_read(path, KEY_FILE_MAX, &text, err) : code;
    while (code == SF_OK && text.size > 0 && text.data[text.size - 1] <= ' ') {
        text.size--;
    }
    code = code == SF_OK ? sf_nkey_parse_seed(sf_buf_view(&text), &kind, ret, err) : code;
    sf_wipe(text.data, text.size);
    sf_buf_done(&text);
    return code == SF_OK ? SF_OK : sf_error_wrap(err, "key of the apps of %s", leaf->domain);
}

/* The key of one's own leaf is beside its data: one's own stream needs no hub. */
static enum sf_code read_own_leaf_key(const struct context_process *leaf, struct sf_public_key *ret,
                                      struct sf_error *err)
{
    char path[CLI_PATH_MAX];
    struct sf_seed seed = {0};
    enum sf_code code = sf_crypto_init(err);

    (void)snprintf(path, sizeof(path), "%s/keys/leaf.seed", leaf->data);
    code = code == SF_OK ? sf_seed_load(path, &seed, err) : code;
    if (code == SF_OK) {
        *ret = seed.public_key;
    }
    sf_seed_done(&seed);
    return code == SF_OK ? SF_OK : sf_error_wrap(err, "key of the leaf of %s", leaf->domain);
}

static enum sf_code read_leaf_key(struct api *a, const char *owner, struct sf_public_key *ret,
                                  struct sf_error *err)
{
    char path[128];
    const struct sf_json *domain = NULL;
    const char *text = "";
    enum sf_code code = SF_OK;

    if (strcmp(owner, a->who.domain) == 0) {
        return read_own_leaf_key(context_leaf(&a->context, owner), ret, err);
    }
    (void)snprintf(path, sizeof(path), "/v1/domains/%s", owner);
    code = api_get_hub(a, path, &domain, err);
    if (code != SF_OK) {
        return code;
    }
    (void)sf_json_as_text(sf_json_get(domain, "leaf_key"), &text);
    code = sf_decode_exact(SF_BASE64, sf_slice_text(text), ret->bytes, SF_PUBLIC_KEY_SIZE, err);
    return code == SF_OK ? SF_OK : sf_error_wrap(err, "key of the leaf of %s", owner);
}

/* The table as the owner describes it: fills in what was left out, and where the lane stands. */
static enum sf_code find_table(const struct sf_json *product, struct product_ref *r,
                               struct follow *ret_head, struct sf_error *err)
{
    const struct sf_json *found = NULL;
    const char *position = "";
    int64_t major = 0;
    size_t matches = 0;

    for (struct sf_json_iter it = sf_json_iter(sf_json_get(product, "tables"));
         sf_json_next(&it);) {
        const char *name = "";

        (void)sf_json_as_text(sf_json_get(it.value, "name"), &name);
        if (r->table[0] == '\0' || strcmp(r->table, name) == 0) {
            found = it.value;
            matches++;
        }
    }
    if (sf_json_count(sf_json_get(product, "tables")) == 0) {
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_POLICY_DENIES, "all tables of %s/%s", r->domain,
                          r->product);
    }
    if (matches != 1) {
        return SF_RAISE_E(err, matches == 0 ? SF_ABSENT : SF_INVALID, SHEAF_E_TABLE_UNKNOWN,
                          "%s/%s: %s", r->domain, r->product,
                          matches == 0 ? r->table : "say which table, as D/P.TABLE");
    }
    const char *name = sf_json_text_of(found, "name");
    (void)snprintf(r->table, sizeof(r->table), "%s", name);
    (void)sf_json_as_int(sf_json_get(product, "major"), &major);
    r->major = (uint32_t)major;
    (void)sf_json_as_text(sf_json_get(found, "position"), &position);
    ret_head->known = follow_parse_position(position, &ret_head->epoch, &ret_head->at);
    return ret_head->known
               ? SF_OK
               : SF_RAISE_E(err, SF_INVALID, SHEAF_E_INTERNAL, "%s/%s.%s has no position",
                            r->domain, r->product, r->table);
}

/* new, all, snapshot, 1h, EPOCH:SEQ */
static enum sf_code read_since(const struct args *args, const struct follow *head,
                               struct sub_options *o, struct sf_error *err)
{
    const char *since = args_value(args, "since");
    struct timespec now;
    int64_t back_us = 0;

    o->start = *head;
    o->snapshot = args_has(args, "or-snapshot") ? SUB_SNAPSHOT_WHEN_GONE : SUB_SNAPSHOT_NEVER;
    if (since == NULL || strcmp(since, "new") == 0) {
        return SF_OK;
    }
    if (strcmp(since, "all") == 0 || strcmp(since, "snapshot") == 0) {
        o->start.at = 0;
        if (strcmp(since, "snapshot") == 0) {
            o->snapshot = SUB_SNAPSHOT_FIRST;
        }
        return SF_OK;
    }
    if (follow_parse_position(since, &o->start.epoch, &o->start.at)) {
        return SF_OK;
    }
    if (sf_parse_duration(sf_slice_text(since), &back_us) != SF_PARSE_OK) {
        return SF_RAISE_E(
            err, SF_INVALID, SHEAF_E_USAGE,
            "--since wants new, all, snapshot, a time like 1h, or EPOCH:SEQ, not '%s'", since);
    }
    (void)clock_gettime(CLOCK_REALTIME, &now);
    o->start.at = 0;
    o->since_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 - back_us;
    return SF_OK;
}

/* What check_grant needs; the main thread does not touch it meanwhile. */
struct grant_check {
    struct api *api;
    const struct product_ref *product;
};

static enum sf_code check_grant(void *data, struct sf_error *err)
{
    const struct grant_check *g = data;
    enum sf_code code = api_act(g->api, g->api->who.domain, err); /* a fresh token */

    if (code != SF_OK) {
        return code;
    }
    code = SF_RAISE_E(err, SF_UNAVAILABLE, SHEAF_E_LEAF_UNREACHABLE, "no answer");
    return catalog_explain(g->api, g->product, code, err);
}

static enum sf_code run(struct cli *cli, struct api *a, struct sf_error *err)
{
    struct sub_options o = {.count = 0};
    struct product_ref *r = &o.product;
    struct grant_check grant = {.api = a, .product = r};
    struct follow head = {.known = false};
    struct sf_seed key = {0};
    const struct context_process *leaf = NULL;
    const struct sf_json *product = NULL;
    char key_text[SF_NKEY_TEXT_MAX];
    char path[PRODUCT_REF_TEXT_MAX + 16];
    char text[PRODUCT_REF_TEXT_MAX];
    enum sf_code code = product_ref_parse(cli->args.positional[0], r, err);

    code = code == SF_OK ? args_u64(&cli->args, "count", 0, &o.count, err) : code;
    code = code == SF_OK ? api_open(cli, a, err) : code;
    code = code == SF_OK ? api_act(a, r->domain, err) : code;
    if (code != SF_OK) {
        return code;
    }
    product_ref_text(r, text);
    (void)snprintf(path, sizeof(path), "/v1/products/%s", text);
    code = api_get_leaf(a, path, &product, err);
    if (code != SF_OK) {
        return catalog_explain(a, r, code, err);
    }
    catalog_note_end(a, r, NULL);
    code = find_table(product, r, &head, err);
    code = code == SF_OK ? read_since(&cli->args, &head, &o, err) : code;
    code = code == SF_OK ? read_leaf_key(a, r->domain, &o.leaf_key, err) : code;
    leaf = context_leaf(&a->context, a->who.domain);
    code = code == SF_OK ? read_app_key(leaf, &key, err) : code;
    if (code != SF_OK) {
        return code;
    }
    sf_nkey_format(SF_NKEY_USER, &key.public_key, key_text);
    o.check_grant = check_grant;
    o.data = &grant;
    o.user = &key;
    o.user_text = key_text;
    o.nats_url = leaf->nats;
    o.is_own = strcmp(a->who.domain, r->domain) == 0;
    cli_verbose(cli, "following %s/%s.%s as %s from %u:%llu", r->domain, r->product, r->table,
                a->who.domain, o.start.epoch, (unsigned long long)o.start.at);
    print_begin(&cli->print, PRINT_LIST, "ChangeList");
    code = sub_run(cli, &o, err);
    sf_seed_done(&key);
    return code;
}

int cmd_sub(struct cli *cli)
{
    struct api api = {0};
    struct sf_error err;
    struct sf_error print_error;
    enum sf_code code = run(cli, &api, &err);

    api_done(&api);
    if (code == SF_OK || code == SF_CLOSED) {
        if (print_end(&cli->print, &print_error) != SF_OK) {
            return cli_fail(cli, &print_error);
        }
        return code == SF_OK ? CLI_OK : CLI_INTERRUPTED;
    }
    return cli_fail(cli, &err);
}
