#include "hub/options.h"

#include <stdio.h>
#include <string.h>

#include "common/base/str.h"
#include "proto/errors.h"

static const struct sf_setting SETTINGS[] = {
    {.key = "data",
     .type = SF_SETTING_TEXT,
     .min = 1,
     .max = 3900,
     .doc = "Directory of the hub: keys, event log, configuration. Required."},
    {.key = "http",
     .type = SF_SETTING_TEXT,
     .default_text = "127.0.0.1:8080",
     .doc = "Address and port of HTTP; port 0 takes any free one."},
    {.key = "nats-port",
     .type = SF_SETTING_NUMBER,
     .default_text = "4222",
     .min = 0,
     .max = 65535,
     .doc = "Port of nats-server for clients, on loopback; 0 takes any free one."},
    {.key = "leafnode-port",
     .type = SF_SETTING_NUMBER,
     .default_text = "7422",
     .min = 0,
     .max = 65535,
     .doc = "Port of nats-server for leaves, on loopback; 0 takes any free one."},
    {.key = "nats-server", .type = SF_SETTING_TEXT, .doc = "Path of the nats-server to start."},
    {.key = "log-format",
     .type = SF_SETTING_TEXT,
     .default_text = "logfmt",
     .doc = "logfmt or json."},
    {.key = "log-level",
     .type = SF_SETTING_TEXT,
     .default_text = "info",
     .doc = "error, warn, info or debug."},
};

/* SHEAF_ variables that belong to leaves and to the tools around us. */
static const char *const IGNORED[] = {
    "SHEAF_DOMAIN",          "SHEAF_HUB",          "SHEAF_LEAF",
    "SHEAF_JOIN_TOKEN_FILE", "SHEAF_FUZZ_SECONDS", "SHEAF_CRASH_ROUNDS",
    "SHEAF_DEV_DIR",         "SHEAF_CONTEXT",      NULL};

static enum sf_code usage(struct sf_error *err, const char *text)
{
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "%s", text);
}

static enum sf_code parse_http(struct options *o, const char *text, struct sf_error *err)
{
    const char *colon = strrchr(text, ':');
    uint64_t port = 0;
    size_t n;

    if (colon == NULL || sf_parse_u64(sf_slice_text(colon + 1), &port) != SF_PARSE_OK ||
        port > 65535) {
        return usage(err, "--http must be ADDRESS:PORT");
    }
    n = (size_t)(colon - text);
    if (n == 0 || n >= sizeof(o->address)) {
        return usage(err, "--http must be ADDRESS:PORT");
    }
    memcpy(o->address, text, n);
    o->address[n] = '\0';
    o->hub.http_port = (uint16_t)port;
    return SF_OK;
}

static enum sf_code parse_log(struct options *o, struct sf_error *err)
{
    const char *format = sf_config_text(o->config, "log-format");

    if (strcmp(format, "json") == 0) {
        o->log.format = SF_LOG_JSON;
    } else if (strcmp(format, "logfmt") != 0) {
        return usage(err, "--log-format must be logfmt or json");
    }
    if (sf_log_level_parse(sf_config_text(o->config, "log-level"), &o->log.level, err) != SF_OK) {
        return usage(err, "--log-level must be error, warn, info or debug");
    }
    return SF_OK;
}

static enum sf_code print_help(struct options *o)
{
    struct sf_buf text = {0};

    sf_buf_text(&text, "sheaf-hub: the hub of a mesh; it is stopped by SIGTERM or SIGINT.\n\n"
                       "usage: sheaf-hub --data DIR [flags]\n\n");
    sf_config_help(SETTINGS, SF_COUNT(SETTINGS), &text);
    (void)fwrite(text.data, 1, text.size, stdout);
    sf_buf_done(&text);
    o->help = true;
    return SF_OK;
}

static enum sf_code fill(struct options *o, struct sf_error *err)
{
    enum sf_code code = parse_http(o, sf_config_text(o->config, "http"), err);

    o->hub.data_dir = sf_config_text(o->config, "data");
    o->hub.nats_port = (uint16_t)sf_config_number(o->config, "nats-port");
    o->hub.leafnode_port = (uint16_t)sf_config_number(o->config, "leafnode-port");
    o->hub.nats_server = sf_config_text(o->config, "nats-server");
    if (code == SF_OK && o->hub.data_dir == NULL) {
        return usage(err, "--data DIR is missing");
    }
    return code == SF_OK ? parse_log(o, err) : code;
}

enum sf_code options_parse(int argc, const char *const *argv, const char *const *environment,
                           struct options *ret, struct sf_error *err)
{
    const struct sf_config_source source = {
        .table = SETTINGS,
        .table_count = SF_COUNT(SETTINGS),
        .argc = argc - 1,
        .argv = argv + 1,
        .environment = environment,
        .ignored = IGNORED,
    };
    enum sf_code code;

    *ret = (struct options){0};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        return print_help(ret);
    }
    code = sf_config_parse(&source, &ret->config, err);
    if (code == SF_OK) {
        code = fill(ret, err);
    }
    if (code == SF_INVALID && err != NULL) {
        err->number = SHEAF_E_USAGE;
    }
    if (code != SF_OK) {
        options_done(ret);
    }
    return code;
}

void options_done(struct options *o)
{
    sf_config_free(o->config);
    o->config = NULL;
}
