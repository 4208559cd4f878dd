#include "leaf/leaf_config.h"

#include <stdio.h>
#include <string.h>

#include "common/base/str.h"
#include "common/contract/contract.h"

static const struct sf_setting settings[] = {
    {.key = "data", .type = SF_SETTING_TEXT, .doc = "Directory of the leaf; one process owns it."},
    {.key = "domain", .type = SF_SETTING_TEXT, .doc = "Domain that the leaf serves."},
    {.key = "hub",
     .type = SF_SETTING_TEXT,
     .doc = "HTTP address of the hub to join, http://HOST:PORT; kept after joining."},
    {.key = "join-token-file",
     .type = SF_SETTING_TEXT,
     .doc = "File with the one-time token for joining."},
    {.key = "http",
     .type = SF_SETTING_TEXT,
     .default_text = "127.0.0.1:8081",
     .doc = "Address for HTTP; only 127.0.0.1 until TLS is set up."},
    {.key = "nats-port",
     .type = SF_SETTING_NUMBER,
     .default_text = "0",
     .max = 65535,
     .doc = "Port of the leaf's nats-server; 0: a free one."},
    {.key = "nats-server",
     .type = SF_SETTING_TEXT,
     .doc = "Path of nats-server 2.15.1 or newer; by default it is looked for."},
    {.key = "log-level",
     .type = SF_SETTING_TEXT,
     .default_text = "info",
     .doc = "error, warn, info or debug."},
    {.key = "log-format",
     .type = SF_SETTING_TEXT,
     .default_text = "logfmt",
     .doc = "logfmt or json."},
    {.key = "log-file", .type = SF_SETTING_TEXT, .doc = "File for the log; by default stderr."},
    {.key = "body-max",
     .type = SF_SETTING_SIZE,
     .default_text = "16MiB",
     .min = INT64_C(64) * 1024,
     .max = INT64_C(64) * 1024 * 1024,
     .doc = "Largest body of one request; larger ones are answered 413."},
    {.key = "inflated-max",
     .type = SF_SETTING_SIZE,
     .default_text = "64MiB",
     .min = INT64_C(64) * 1024,
     .max = INT64_C(256) * 1024 * 1024,
     .doc = "Largest compressed body once it is inflated; larger ones are answered 413."},
    {.key = "pending-max",
     .type = SF_SETTING_SIZE,
     .default_text = "256MiB",
     .min = INT64_C(1024) * 1024,
     .max = INT64_C(64) << 30,
     .doc = "Bodies of all requests under way; beyond it the answer is 429."},
    {.key = "connections-max",
     .type = SF_SETTING_NUMBER,
     .default_text = "1000",
     .min = 1,
     .max = 100000,
     .doc = "HTTP connections at a time."},
    {.key = "cache",
     .type = SF_SETTING_SIZE,
     .default_text = "64MiB",
     .min = INT64_C(1024) * 1024,
     .max = INT64_C(1) << 40,
     .doc = "Cache of stored rows."},
    {.key = "disk-reserve",
     .type = SF_SETTING_SIZE,
     .default_text = "0",
     .min = 0,
     .max = INT64_C(1) << 50,
     .doc = "Below this much free disk ingest is refused; 0: the larger of 5 % and 512 MiB."},
};

/* SHEAF_ variables that belong to the tools around us. */
static const char *const ignored[] = {"SHEAF_NATS_SERVER",  "SHEAF_FUZZ_SECONDS",
                                      "SHEAF_CRASH_ROUNDS", "SHEAF_DEV_DIR",
                                      "SHEAF_CONTEXT",      NULL};

static enum sf_code read_address(const char *text, struct leaf_config *c, struct sf_error *err)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    size_t n = colon == NULL ? 0 : (size_t)(colon - text);

    if (colon == NULL || n >= sizeof(c->http_address) ||
        sf_parse_u64(sf_slice_text(colon + 1), &port) != SF_PARSE_OK || port > UINT16_MAX) {
        return SF_RAISE(err, SF_INVALID, "--http must be ADDRESS:PORT");
    }
    memcpy(c->http_address, text, n);
    c->http_address[n] = '\0';
    c->http_port = (uint16_t)port;
    if (strcmp(c->http_address, "127.0.0.1") != 0) {
        return SF_RAISE(err, SF_INVALID, "--http %s: without TLS only 127.0.0.1 is served", text);
    }
    return SF_OK;
}

static enum sf_code read_log(struct leaf_config *c, struct sf_error *err)
{
    const char *format = sf_config_text(c->values, "log-format");
    enum sf_code code =
        sf_log_level_parse(sf_config_text(c->values, "log-level"), &c->log.level, err);

    c->log.path = sf_config_text(c->values, "log-file");
    c->log.format = strcmp(format, "json") == 0 ? SF_LOG_JSON : SF_LOG_LOGFMT;
    if (code == SF_OK && strcmp(format, "json") != 0 && strcmp(format, "logfmt") != 0) {
        code = SF_RAISE(err, SF_INVALID, "--log-format must be logfmt or json");
    }
    return code;
}

static enum sf_code read_names(struct leaf_config *c, struct sf_error *err)
{
    c->data_dir = sf_config_text(c->values, "data");
    c->domain = sf_config_text(c->values, "domain");
    c->hub_url = sf_config_text(c->values, "hub");
    c->join_token_file = sf_config_text(c->values, "join-token-file");
    c->nats_server = sf_config_text(c->values, "nats-server");
    if (c->data_dir == NULL || c->domain == NULL) {
        return SF_RAISE(err, SF_INVALID, "--data and --domain are required");
    }
    if (!sf_name_is_product(sf_slice_text(c->domain))) {
        return SF_RAISE(err, SF_INVALID, "--domain must be lower-case letters, digits and '-'");
    }
    return SF_OK;
}

enum sf_code leaf_config_read(int argc, const char *const *argv, const char *const *environment,
                              struct leaf_config *ret, struct sf_error *err)
{
    const struct sf_config_source source = {
        .table = settings,
        .table_count = SF_COUNT(settings),
        .argc = argc,
        .argv = argv,
        .environment = environment,
        .ignored = ignored,
    };
    struct leaf_config c = {0};
    enum sf_code code = sf_config_parse(&source, &c.values, err);

    if (code != SF_OK) {
        return code;
    }
    code = read_names(&c, err);
    if (code == SF_OK) {
        code = read_address(sf_config_text(c.values, "http"), &c, err);
    }
    if (code == SF_OK) {
        code = read_log(&c, err);
    }
    if (code != SF_OK) {
        leaf_config_done(&c);
        return code;
    }
    c.nats_port = (uint16_t)sf_config_number(c.values, "nats-port");
    c.body_bytes_max = (size_t)sf_config_number(c.values, "body-max");
    c.inflated_bytes_max = (size_t)sf_config_number(c.values, "inflated-max");
    c.pending_bytes_max = (size_t)sf_config_number(c.values, "pending-max");
    c.connections_max = (size_t)sf_config_number(c.values, "connections-max");
    c.cache_bytes = (size_t)sf_config_number(c.values, "cache");
    c.disk_reserve_bytes = (uint64_t)sf_config_number(c.values, "disk-reserve");
    *ret = c;
    return SF_OK;
}

void leaf_config_done(struct leaf_config *c)
{
    sf_config_free(c->values);
    *c = (struct leaf_config){0};
}

void leaf_config_help(struct sf_buf *out)
{
    sf_config_help(settings, SF_COUNT(settings), out);
}
