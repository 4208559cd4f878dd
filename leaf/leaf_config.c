#include "leaf/leaf_config.h"

#include <stdio.h>
#include <string.h>

#include "common/base/str.h"
#include "common/contract/contract.h"
#include "common/settings/variables.h"
#include "common/sys/rt.h"

enum { FEEDS_MOST = 65536, QUERIES_MOST = 4096, FOLLOWS_MOST = 65536 };

#define MIB (INT64_C(1) << 20)

static const char *const level_names[] = {"error", "warn", "info", "debug", NULL};
static const char *const format_names[] = {"logfmt", "json", NULL};

static const char *check_domain(const char *text)
{
    return sf_name_is_product(sf_slice_text(text)) ? NULL : "lower-case letters, digits and '-'";
}

/* ADDRESS:PORT, cut in two; without TLS nothing but this machine is served. */
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

    if (!cut_address(text, address, &port)) {
        return "ADDRESS:PORT";
    }
    return strcmp(address, "127.0.0.1") == 0 ? NULL
                                             : "on 127.0.0.1, and without TLS only that is served";
}

static const struct sf_setting settings[] = {
    SF_SETTINGS_OWN,
    {.key = "data", .type = SF_SETTING_TEXT, .doc = "Directory of the leaf; one process owns it."},
    {.key = "domain",
     .type = SF_SETTING_TEXT,
     .check = check_domain,
     .doc = "Domain that the leaf serves."},
    {.key = "head-record",
     .type = SF_SETTING_TEXT,
     .doc = "File in which heads are kept beside the store, best on another disk; by default "
            "'heads' in the data directory."},
    {.key = "hub",
     .type = SF_SETTING_TEXT,
     .doc = "HTTP address of the hub to join, http://HOST:PORT; kept after joining."},
    {.key = "join-token-file",
     .type = SF_SETTING_TEXT,
     .doc = "File with the one-time token for joining."},
    {.key = "http",
     .type = SF_SETTING_TEXT,
     .default_text = "127.0.0.1:8081",
     .check = check_http,
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
     .choices = level_names,
     .reloadable = true,
     .doc = "error, warn, info or debug."},
    {.key = "log-format",
     .type = SF_SETTING_TEXT,
     .default_text = "logfmt",
     .choices = format_names,
     .reloadable = true,
     .doc = "logfmt or json."},
    {.key = "log-file", .type = SF_SETTING_TEXT, .doc = "File for the log; by default stderr."},
    {.key = "memory",
     .type = SF_SETTING_SIZE,
     .default_text = "0",
     .max = INT64_C(1) << 40,
     .doc =
         "Cap on the memory of the leaf, divided among the sizes below that are not set; 0: none."},
    {.key = "body-max",
     .type = SF_SETTING_SIZE,
     .default_text = "16MiB",
     .min = INT64_C(64) * 1024,
     .max = INT64_C(64) * 1024 * 1024,
     .reloadable = true,
     .doc = "Largest body of one request; larger ones are answered 413."},
    {.key = "inflated-max",
     .type = SF_SETTING_SIZE,
     .default_text = "64MiB",
     .min = INT64_C(64) * 1024,
     .max = INT64_C(256) * 1024 * 1024,
     .doc = "Largest compressed body once it is inflated; larger ones are answered 413."},
    {.key = "quarantine-max",
     .type = SF_SETTING_SIZE,
     .default_text = "256MiB",
     .min = MIB,
     .max = INT64_C(1) << 50,
     .doc = "What may lie in quarantine per product and major version; beyond it requests with "
            "invalid records are answered 507."},
    {.key = "quarantine-keep",
     .type = SF_SETTING_DURATION,
     .default_text = "720h",
     .max = INT64_C(100) * 365 * 24 * 3600 * 1000,
     .doc = "How long a record stays in quarantine, or as long as its product's retention when "
            "that is shorter; 0: for ever."},
    {.key = "retain-every",
     .type = SF_SETTING_DURATION,
     .default_text = "1m",
     .min = 1000,
     .max = INT64_C(3600) * 1000,
     .doc = "Longest time between two looks for what is older than promised."},
    {.key = "dedupe-max",
     .type = SF_SETTING_NUMBER,
     .default_text = "10000000",
     .min = 1000,
     .max = INT64_C(10000000000),
     .doc = "Records that a table with dedupe remembers within its window; beyond it requests are "
            "answered 507."},
    {.key = "pending-max",
     .type = SF_SETTING_SIZE,
     .default_text = "256MiB",
     .min = INT64_C(1024) * 1024,
     .max = INT64_C(64) << 30,
     .reloadable = true,
     .doc = "Bodies of all requests under way, and their records; beyond it the answer is 429."},
    {.key = "sources",
     .type = SF_SETTING_TEXT,
     .doc = "File (YAML) that names JetStream streams to take records from."},
    {.key = "jetstream-max",
     .type = SF_SETTING_SIZE,
     .default_text = "0",
     .max = INT64_C(1) << 50,
     .doc = "Disk space for JetStream streams of the domain's apps on the leaf's nats-server; 0: "
            "it runs without JetStream."},
    {.key = "streams-max",
     .type = SF_SETTING_NUMBER,
     .default_text = "64",
     .min = 1,
     .max = 10000,
     .doc = "Bodies taken in batches at a time; beyond it the answer is 429."},
    {.key = "stream-batch-records",
     .type = SF_SETTING_NUMBER,
     .default_text = "10000",
     .min = 1,
     .max = 1000000,
     .doc = "Records of one batch of such a body, at most."},
    {.key = "stream-batch-bytes",
     .type = SF_SETTING_SIZE,
     .default_text = "4MiB",
     .min = INT64_C(64) * 1024,
     .max = 64 * MIB,
     .doc = "Such a batch ends with the record that reaches this."},
    {.key = "answers-max",
     .type = SF_SETTING_SIZE,
     .default_text = "128MiB",
     .min = MIB,
     .max = INT64_C(64) << 30,
     .reloadable = true,
     .doc = "Answers that clients have not read yet; beyond it the answer is 429."},
    {.key = "commit-queue-max",
     .type = SF_SETTING_SIZE,
     .default_text = "64MiB",
     .min = MIB,
     .max = INT64_C(16) << 30,
     .doc = "Rows waiting for a commit; beyond it the answer is 429."},
    {.key = "nats-pending-max",
     .type = SF_SETTING_SIZE,
     .default_text = "64MiB",
     .min = 4 * MIB,
     .max = INT64_C(4) << 30,
     .doc = "Messages waiting in one connection to nats-server, in each direction."},
    {.key = "queries-max",
     .type = SF_SETTING_NUMBER,
     .default_text = "256",
     .min = 8,
     .max = QUERIES_MOST,
     .reloadable = true,
     .doc = "Requests for rows and changes under way; beyond it the answer is 429."},
    {.key = "follows-max",
     .type = SF_SETTING_NUMBER,
     .default_text = "256",
     .min = 8,
     .max = FOLLOWS_MOST,
     .reloadable = true,
     .doc = "Streams of changes under way to clients; beyond it the answer is 429."},
    {.key = "feeds-max",
     .type = SF_SETTING_NUMBER,
     .default_text = "4096",
     .min = 1,
     .max = FEEDS_MOST,
     .doc = "Streams of changes published: one per table and audience."},
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
     .reloadable = true,
     .doc = "Cache of stored rows."},
    {.key = "get-cache",
     .type = SF_SETTING_SIZE,
     .default_text = "32MiB",
     .max = INT64_C(1) << 40,
     .reloadable = true,
     .doc = "Answers to requests for one row that stand ready for the next such request; 0: none."},
    {.key = "positions",
     .type = SF_SETTING_SIZE,
     .default_text = "32MiB",
     .min = INT64_C(1024) * 1024,
     .max = INT64_C(64) << 30,
     .doc =
         "Where the newest changes of keys stand, 16 bytes for each key: what an update need not "
         "look up."},
    {.key = "write-buffer",
     .type = SF_SETTING_SIZE,
     .default_text = "192MiB",
     .min = 8 * MIB,
     .max = INT64_C(64) << 30,
     .doc = "Rows and log in memory before they are written to tables on disk."},
    {.key = "disk-reserve",
     .type = SF_SETTING_SIZE,
     .default_text = "0",
     .min = 0,
     .max = INT64_C(1) << 50,
     .doc = "Below this much free disk ingest is refused; 0: the larger of 5 % and 512 MiB."},
};

/* --- what the memory is for ------------------------------------------------------------------- */

/*
 * Of the cap, what the program itself takes is kept aside; the rest is divided. Bodies count twice
 * in the worst case (as they came, and as the rows of them that wait for their commit), and so do
 * pages; what is measured against the cap: tests/integration/test_limits.py.
 */
enum {
    MEMORY_LEAST_MIB = 192,
    MEMORY_OWN_MIB = 64,
    PART_CACHE = 16, /* percent of the rest */
    PART_GET_CACHE = 4,
    PART_WRITE_BUFFER = 20,
    PART_POSITIONS = 3,
    PART_PENDING = 15,
    PART_COMMIT_QUEUE = 10,
    PART_INFLATED = 5, /* one for each query thread */
    PART_ANSWERS = 10,
    PART_NATS = 2, /* two connections, two directions */
    PART_QUERIES = 10,
    QUERY_BYTES = 1280 * 1024, /* a page, the rows it is made of, a copy on its way out */
};

static int64_t clamp(int64_t value, int64_t min, int64_t max)
{
    return value < min ? min : value > max ? max : value;
}

static void derive(struct sf_config *values, const char *key, int64_t number)
{
    const struct sf_setting *s = sf_setting_find(settings, SF_COUNT(settings), sf_slice_text(key));

    if (s->type == SF_SETTING_SIZE && number > MIB) {
        number -= number % MIB; /* as a person would write it */
    }
    sf_config_derive(values, key, clamp(number, s->min, s->max));
}

static enum sf_code divide_memory(struct leaf_config *c, struct sf_error *err)
{
    struct sf_config *values = c->settings.config;
    const int64_t memory = sf_config_number(values, "memory");
    const int64_t part = (memory - MEMORY_OWN_MIB * MIB) / 100;

    c->memory_bytes = (uint64_t)memory;
    if (memory == 0) {
        return SF_OK;
    }
    if (memory < MEMORY_LEAST_MIB * MIB) {
        return SF_RAISE(err, SF_INVALID, "memory: at least %dMiB are needed, or 0 for no cap",
                        MEMORY_LEAST_MIB);
    }
    derive(values, "cache", part * PART_CACHE);
    derive(values, "get-cache", part * PART_GET_CACHE);
    derive(values, "write-buffer", part * PART_WRITE_BUFFER);
    derive(values, "positions", part * PART_POSITIONS);
    derive(values, "pending-max", part * PART_PENDING);
    derive(values, "commit-queue-max", part * PART_COMMIT_QUEUE);
    derive(values, "inflated-max", part * PART_INFLATED);
    derive(values, "answers-max", part * PART_ANSWERS);
    derive(values, "nats-pending-max", part * PART_NATS);
    derive(values, "queries-max", part * PART_QUERIES / QUERY_BYTES);
    derive(values, "body-max", clamp(part * PART_PENDING / 2, 0, 16 * MIB));
    return SF_OK;
}

/* --- the settings as a struct ----------------------------------------------------------------- */

static enum sf_code read_log(struct leaf_config *c, struct sf_error *err)
{
    const struct sf_config *values = c->settings.config;

    c->log.path = sf_config_text(values, "log-file");
    c->log.format =
        strcmp(sf_config_text(values, "log-format"), "json") == 0 ? SF_LOG_JSON : SF_LOG_LOGFMT;
    return sf_log_level_parse(sf_config_text(values, "log-level"), &c->log.level, err);
}

static enum sf_code read_names(struct leaf_config *c, struct sf_error *err)
{
    const struct sf_config *values = c->settings.config;

    c->data_dir = sf_config_text(values, "data");
    c->domain = sf_config_text(values, "domain");
    c->head_record = sf_config_text(values, "head-record");
    c->hub_url = sf_config_text(values, "hub");
    c->join_token_file = sf_config_text(values, "join-token-file");
    c->nats_server = sf_config_text(values, "nats-server");
    c->nats_port = (uint16_t)sf_config_number(values, "nats-port");
    (void)cut_address(sf_config_text(values, "http"), c->http_address, &c->http_port); /* checked */
    if (c->data_dir == NULL || c->domain == NULL) {
        return SF_RAISE(err, SF_INVALID,
                        "data and domain are required: --data and --domain, or in the file");
    }
    return SF_OK;
}

static void read_limits(struct leaf_config *c)
{
    const struct sf_config *values = c->settings.config;

    c->cache_bytes = (size_t)sf_config_number(values, "cache");
    c->get_cache_bytes = (size_t)sf_config_number(values, "get-cache");
    c->write_buffer_bytes = (size_t)sf_config_number(values, "write-buffer");
    c->positions_bytes = (size_t)sf_config_number(values, "positions");
    c->body_bytes_max = (size_t)sf_config_number(values, "body-max");
    c->inflated_bytes_max = (size_t)sf_config_number(values, "inflated-max");
    c->quarantine_bytes_max = (uint64_t)sf_config_number(values, "quarantine-max");
    c->dedupe_max = (uint64_t)sf_config_number(values, "dedupe-max");
    c->pending_bytes_max = (size_t)sf_config_number(values, "pending-max");
    c->sources = sf_config_text(values, "sources");
    c->jetstream_bytes_max = (uint64_t)sf_config_number(values, "jetstream-max");
    c->streams_max = (size_t)sf_config_number(values, "streams-max");
    c->stream_batch_records = (uint64_t)sf_config_number(values, "stream-batch-records");
    c->stream_batch_bytes = (size_t)sf_config_number(values, "stream-batch-bytes");
    c->answers_bytes_max = (size_t)sf_config_number(values, "answers-max");
    c->commit_queue_bytes_max = (size_t)sf_config_number(values, "commit-queue-max");
    c->nats_pending_bytes_max = (size_t)sf_config_number(values, "nats-pending-max");
    c->connections_max = (size_t)sf_config_number(values, "connections-max");
    c->queries_max = (size_t)sf_config_number(values, "queries-max");
    c->follows_max = (size_t)sf_config_number(values, "follows-max");
    c->feeds_max = (size_t)sf_config_number(values, "feeds-max");
    c->disk_reserve_bytes = (uint64_t)sf_config_number(values, "disk-reserve");
    c->quarantine_keep_us = sf_config_number(values, "quarantine-keep") * 1000;
    c->retain_every_ns = (uint64_t)sf_config_number(values, "retain-every") * SF_NS_PER_MS;
}

static enum sf_code read_from(const struct sf_config_source *source, struct leaf_config *ret,
                              struct sf_buf *report, struct sf_error *err)
{
    struct leaf_config c = {.source = *source};
    enum sf_code code = sf_settings_read(source, &c.settings, report, err);

    if (code != SF_OK) {
        return code;
    }
    code = read_names(&c, err);
    if (code == SF_OK) {
        code = read_log(&c, err);
    }
    if (code == SF_OK) {
        code = divide_memory(&c, err);
    }
    if (code != SF_OK) {
        leaf_config_done(&c);
        return code;
    }
    c.check_only = sf_config_switch(c.settings.config, "check-config");
    read_limits(&c);
    *ret = c;
    return SF_OK;
}

enum sf_code leaf_config_read(int argc, const char *const *argv, const char *const *environment,
                              struct leaf_config *ret, struct sf_buf *report, struct sf_error *err)
{
    const struct sf_config_source source = {
        .table = settings,
        .table_count = SF_COUNT(settings),
        .argc = argc,
        .argv = argv,
        .environment = environment,
        .others = sf_settings_variables,
    };

    return read_from(&source, ret, report, err);
}

enum sf_code leaf_config_reread(const struct leaf_config *c, struct leaf_config *ret,
                                struct sf_buf *report, struct sf_error *err)
{
    return read_from(&c->source, ret, report, err);
}

void leaf_config_done(struct leaf_config *c)
{
    sf_settings_done(&c->settings);
    *c = (struct leaf_config){0};
}

void leaf_config_help(struct sf_buf *out)
{
    sf_config_help(settings, SF_COUNT(settings), out);
}

void leaf_config_man(struct sf_buf *out)
{
    sf_settings_man(
        &(struct sf_settings_page){
            .title = "SHEAF-LEAF",
            .program = "sheaf-leaf",
            .summary = "keeps the data products of one domain and serves them",
            .description =
                "A leaf checks records against their contract, keeps the rows, publishes "
                "changes and answers requests. It runs a nats-server of its own.",
            .table = settings,
            .count = SF_COUNT(settings),
        },
        out);
}
