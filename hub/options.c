#include "hub/options.h"

#include <stdio.h>
#include <string.h>

#include "common/base/str.h"
#include "common/settings/variables.h"
#include "proto/errors.h"

static const char *const LEVELS[] = {"error", "warn", "info", "debug", NULL};
static const char *const FORMATS[] = {"logfmt", "json", NULL};

static bool cut_address(const char *text, char address[64], uint16_t *ret_port)
{
    const char *colon = strrchr(text, ':');
    const size_t n = colon == NULL ? 0 : (size_t)(colon - text);
    uint64_t port;

    if (n == 0 || n >= 64 || sf_parse_u64(sf_slice_text(colon + 1), &port) != SF_PARSE_OK ||
        port > UINT16_MAX) {
        return false;
    }
    memcpy(address, text, n);
    address[n] = '\0';
    *ret_port = (uint16_t)port;
    return true;
}

static const char *check_http(const char *text)
{
    char address[64];
    uint16_t port;

    return cut_address(text, address, &port) ? NULL : "ADDRESS:PORT";
}

static const struct sf_setting SETTINGS[] = {
    SF_SETTINGS_OWN,
    {.key = "data",
     .type = SF_SETTING_TEXT,
     .min = 1,
     .max = 3900,
     .doc = "Directory of the hub: keys, event log, configuration. Required."},
    {.key = "http",
     .type = SF_SETTING_TEXT,
     .default_text = "127.0.0.1:8080",
     .check = check_http,
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
    {.key = "bundle-life",
     .type = SF_SETTING_DURATION,
     .default_text = "1h",
     .min = 5000,
     .max = INT64_C(24) * 3600 * 1000,
     .doc = "For how long a leaf that cannot reach the hub goes on serving other domains."},
    {.key = "domain-requests-max",
     .type = SF_SETTING_NUMBER,
     .default_text = "64",
     .min = 4,
     .max = 1024,
     .doc = "Requests of one domain under way at a time, over NATS and over HTTP; further ones are "
            "refused."},
    {.key = "nats-server", .type = SF_SETTING_TEXT, .doc = "Path of the nats-server to start."},
    {.key = "log-format",
     .type = SF_SETTING_TEXT,
     .default_text = "logfmt",
     .choices = FORMATS,
     .reloadable = true,
     .doc = "logfmt or json."},
    {.key = "log-level",
     .type = SF_SETTING_TEXT,
     .default_text = "info",
     .choices = LEVELS,
     .reloadable = true,
     .doc = "error, warn, info or debug."},
    {.key = "log-file", .type = SF_SETTING_TEXT, .doc = "File for the log; by default stderr."},
};

static enum sf_code usage(struct sf_error *err, const char *text)
{
    return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE, "%s", text);
}

static enum sf_code parse_log(struct options *o, struct sf_error *err)
{
    const struct sf_config *values = o->settings.config;

    o->log.path = sf_config_text(values, "log-file");
    o->log.format =
        strcmp(sf_config_text(values, "log-format"), "json") == 0 ? SF_LOG_JSON : SF_LOG_LOGFMT;
    return sf_log_level_parse(sf_config_text(values, "log-level"), &o->log.level, err);
}

static enum sf_code print_help(struct options *o)
{
    struct sf_buf text = {0};

    sf_buf_text(&text,
                "sheaf-hub: the hub of a mesh; it is stopped by SIGTERM or SIGINT.\n\n"
                "usage: sheaf-hub --data DIR [flags]\n       sheaf-hub --config FILE [flags]\n\n");
    sf_config_help(SETTINGS, SF_COUNT(SETTINGS), &text);
    (void)fwrite(text.data, 1, text.size, stdout);
    sf_buf_done(&text);
    o->help = true;
    return SF_OK;
}

static enum sf_code print_man(struct options *o)
{
    struct sf_buf text = {0};

    sf_settings_man(
        &(struct sf_settings_page){
            .title = "SHEAF-HUB",
            .program = "sheaf-hub",
            .summary = "records products, grants and decisions of a mesh",
            .description = "The hub keeps the log of what was decided, makes NATS accounts of it, "
                           "and tells each leaf whom to serve. It runs a nats-server of its own.",
            .table = SETTINGS,
            .count = SF_COUNT(SETTINGS),
        },
        &text);
    (void)fwrite(text.data, 1, text.size, stdout);
    sf_buf_done(&text);
    o->help = true;
    return SF_OK;
}

static enum sf_code fill(struct options *o, struct sf_error *err)
{
    const struct sf_config *values = o->settings.config;

    (void)cut_address(sf_config_text(values, "http"), o->address, &o->hub.http_port); /* checked */
    o->hub.data_dir = sf_config_text(values, "data");
    o->hub.nats_port = (uint16_t)sf_config_number(values, "nats-port");
    o->hub.leafnode_port = (uint16_t)sf_config_number(values, "leafnode-port");
    o->hub.bundle_life_us = sf_config_number(values, "bundle-life") * INT64_C(1000);
    o->hub.domain_requests_max = (size_t)sf_config_number(values, "domain-requests-max");
    o->hub.nats_server = sf_config_text(values, "nats-server");
    o->check_only = sf_config_switch(values, "check-config");
    if (o->hub.data_dir == NULL) {
        return usage(err, "data is required: --data DIR, or in the file");
    }
    return parse_log(o, err);
}

static enum sf_code read_from(const struct sf_config_source *source, struct options *ret,
                              struct sf_buf *report, struct sf_error *err)
{
    enum sf_code code;

    *ret = (struct options){.source = *source};
    code = sf_settings_read(source, &ret->settings, report, err);
    if (code == SF_OK) {
        code = fill(ret, err);
    }
    if (code == SF_INVALID && err != NULL && err->number == 0) {
        err->number = SHEAF_E_USAGE;
    }
    if (code != SF_OK) {
        options_done(ret);
    }
    return code;
}

enum sf_code options_parse(int argc, const char *const *argv, const char *const *environment,
                           struct options *ret, struct sf_buf *report, struct sf_error *err)
{
    const struct sf_config_source source = {
        .table = SETTINGS,
        .table_count = SF_COUNT(SETTINGS),
        .argc = argc - 1,
        .argv = argv + 1,
        .environment = environment,
        .others = sf_settings_variables,
    };

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        *ret = (struct options){0};
        return print_help(ret);
    }
    if (argc == 2 && strcmp(argv[1], "--man") == 0) {
        *ret = (struct options){0};
        return print_man(ret);
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        *ret = (struct options){.help = true};
        (void)printf("sheaf-hub %s\n", SHEAF_VERSION);
        return SF_OK;
    }
    return read_from(&source, ret, report, err);
}

enum sf_code options_reread(const struct options *o, struct options *ret, struct sf_buf *report,
                            struct sf_error *err)
{
    return read_from(&o->source, ret, report, err);
}

void options_done(struct options *o)
{
    sf_settings_done(&o->settings);
}
