#include "common/bus/natsd_config.h"

#include <stdio.h>

#include "common/wire/json.h"

/* A string of the configuration language: its escapes are those of JSON. */
static void put_string(struct sf_buf *b, const char *text)
{
    sf_json_put_string(b, sf_slice_text(text));
}

static void put_setting(struct sf_buf *b, const char *name, const char *text)
{
    sf_buf_printf(b, "%s: ", name);
    put_string(b, text);
    sf_buf_text(b, "\n");
}

static void put_common(struct sf_buf *b, const char *name, const char *log_path,
                       uint16_t client_port, uint16_t monitor_port)
{
    sf_buf_text(b, "# Written before every start: what is changed here is lost.\n");
    put_setting(b, "server_name", name);
    sf_buf_printf(b, "listen: \"127.0.0.1:%u\"\n", client_port);
    if (monitor_port != 0) {
        sf_buf_printf(b, "http: \"127.0.0.1:%u\"\n", monitor_port);
    }
    put_setting(b, "log_file", log_path);
    sf_buf_text(b, "logfile_size_limit: 32MB\nlogfile_max_num: 3\n");
    /* One slow reader must not slow the producers of its accounts: it loses, and sees its gap. */
    sf_buf_text(b, "no_fast_producer_stall: true\nmax_pending: 32MB\nwrite_deadline: \"5s\"\n");
}

void sf_natsd_config_hub(const struct sf_natsd_hub *c, struct sf_buf *ret)
{
    put_common(ret, c->name, c->log_path, c->client_port, c->monitor_port);
    sf_buf_text(ret, "max_payload: 8MB\n");
    put_setting(ret, "operator", c->operator_jwt);
    put_setting(ret, "system_account", c->system_account);
    sf_buf_text(ret, "resolver: { type: cache, dir: ");
    put_string(ret, c->cache_dir);
    sf_buf_text(ret, ", limit: 100000, ttl: \"1h\", timeout: \"2s\" }\n");
    /* Every account: an early leaf would wait for a lookup, and a restarted cluster for itself. */
    sf_buf_text(ret, "resolver_preload {\n");
    for (size_t i = 0; i < c->account_count; i++) {
        sf_buf_printf(ret, "  %s: \"%s\"\n", c->accounts[i].account, c->accounts[i].jwt);
    }
    sf_buf_text(ret, "}\n");
    sf_buf_printf(ret, "leafnodes { listen: \"127.0.0.1:%u\", compression: off }\n",
                  c->leafnode_port);
    sf_buf_text(ret, "jetstream { store_dir: ");
    put_string(ret, c->jetstream_dir);
    sf_buf_text(ret, ", domain: hub, sync_interval: always, max_mem: 64MB, max_file: 64GB }\n");
}

/*
 * What an app of the domain may not publish: what the hub delivers into the account (an app would
 * speak for another domain), what goes to the hub (the leaf process asks for it), and the owner's
 * stream. Acks of durables ($JS.ACK) and ingest (in.>) stay possible. Nor may it hear requests: it
 * could answer for the leaf, and take records that were never stored.
 */
static void put_app(struct sf_buf *b, const char *nkey)
{
    sf_buf_printf(b,
                  "      { nkey: %s, permissions: {\n"
                  "          publish: { deny: [\"dp.>\", \"out.>\", \"ingest.>\", \"mesh.>\", "
                  "\"own.>\"] },\n"
                  "          subscribe: { deny: [\"q.>\", \"in.>\"] } } }\n",
                  nkey);
}

static void put_accounts(struct sf_buf *b, const struct sf_natsd_leaf *c)
{
    sf_buf_printf(b, "accounts {\n  \"%s\": { users: [\n      { nkey: %s }\n", c->domain,
                  c->process_user);
    for (size_t i = 0; i < c->app_user_count; i++) {
        put_app(b, c->app_users[i]);
    }
    sf_buf_printf(b, "  ]%s }\n  \"%s.serve\": { users: [ { nkey: %s } ] }\n",
                  c->jetstream_dir == NULL ? "" : ", jetstream: enabled", c->domain,
                  c->process_serve_user);
    sf_buf_printf(b, "  SYS: { users: [ { nkey: %s } ] }\n}\nsystem_account: SYS\n",
                  c->system_user);
}

/* Its own domain: the hub's streams are not this server's. */
static void put_jetstream(struct sf_buf *b, const struct sf_natsd_leaf *c)
{
    if (c->jetstream_dir == NULL) {
        return;
    }
    sf_buf_text(b, "jetstream { store_dir: ");
    put_string(b, c->jetstream_dir);
    sf_buf_printf(b, ", domain: \"%s\", sync_interval: always, max_mem: 64MB, max_file: %llu }\n",
                  c->domain, (unsigned long long)c->jetstream_bytes_max);
}

static void put_remote(struct sf_buf *b, const struct sf_natsd_leaf *c, const char *account,
                       const char *creds_path)
{
    sf_buf_text(b, "    { urls: [");
    put_string(b, c->hub_url);
    sf_buf_printf(b, "], account: \"%s\", credentials: ", account);
    put_string(b, creds_path);
    sf_buf_text(b, ", compression: off");
}

/*
 * What stays between the leaf and its own apps. The hub can speak and listen in any account:
 * without this it could ask as the owner (q.D.>), write as the owner (in.>), hear records as they
 * come in, the owner's stream (own.>) and the answers to the owner's apps, which nobody behind the
 * hub ever waits for (_INBOX.>). Streams of the account are the leaf's own.
 */
static void put_fence(struct sf_buf *b, const struct sf_natsd_leaf *c)
{
    const char *js = c->jetstream_dir == NULL ? "" : ", \"$JS.>\"";

    sf_buf_printf(b,
                  ",\n      deny_exports: [\"own.>\", \"in.>\", \"q.%s.>\", \"_INBOX.>\"%s],\n"
                  "      deny_imports: [\"own.>\", \"in.>\", \"q.%s.>\"%s]",
                  c->domain, js, c->domain, js);
}

void sf_natsd_config_leaf(const struct sf_natsd_leaf *c, struct sf_buf *ret)
{
    char serve[128];

    put_common(ret, c->name, c->log_path, c->client_port, c->monitor_port);
    /* Above the payload of the accounts and below the hub's: only the offender's link is cut. */
    sf_buf_text(ret, "max_payload: 4160KB\n");
    put_accounts(ret, c);
    put_jetstream(ret, c);
    if (c->hub_url == NULL) {
        return;
    }
    (void)snprintf(serve, sizeof(serve), "%s.serve", c->domain);
    sf_buf_text(ret, "leafnodes {\n  reconnect: \"250ms\"\n  remotes: [\n");
    put_remote(ret, c, c->domain, c->creds_path);
    put_fence(ret, c);
    sf_buf_text(ret, " }\n");
    put_remote(ret, c, serve, c->serve_creds_path);
    sf_buf_text(ret, " }\n  ]\n}\n");
}
