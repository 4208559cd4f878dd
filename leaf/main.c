#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/settings/complain.h"
#include "common/sys/crypto.h"
#include "common/sys/memory.h"
#include "common/sys/process.h"
#include "leaf/leaf.h"
#include "leaf/leaf_tool.h"
#include "proto/errors.h"

enum { PAUSE_MS = 1000 }; /* between two starts on a full disk */

static int print_man(void)
{
    struct sf_buf text = {0};

    leaf_config_man(&text);
    (void)fwrite(text.data, 1, text.size, stdout);
    sf_buf_done(&text);
    return 0;
}

static int print_help(void)
{
    struct sf_buf text = {0};

    sf_buf_text(&text, "sheaf-leaf keeps the data products of one domain and serves them.\n\n"
                       "USAGE\n  sheaf-leaf --data DIR --domain NAME [--hub URL "
                       "--join-token-file FILE] [SETTINGS]\n"
                       "  sheaf-leaf --config FILE [SETTINGS]\n\nSETTINGS\n");
    leaf_config_help(&text);
    (void)fwrite(text.data, 1, text.size, stdout);
    sf_buf_done(&text);
    return 0;
}

static int fail(const struct sf_error *err)
{
    return sf_complain(stderr, "sheaf-leaf", err);
}

/* What is wrong with the configuration file stands in @report. */
static int fail_config(struct sf_buf *report, const struct sf_error *err)
{
    if (report->size == 0) {
        (void)fail(err);
    } else {
        (void)fwrite(report->data, 1, report->size, stderr);
    }
    sf_buf_done(report);
    return 2;
}

static int print_config(const struct leaf_config *config)
{
    struct sf_buf text = {0};

    sf_settings_print(&config->settings, &text);
    (void)fwrite(text.data, 1, text.size, stdout);
    sf_buf_done(&text);
    return 0;
}

static int run(const struct leaf_config *config)
{
    struct leaf *leaf;
    struct sf_error err;

    if (sf_crypto_init(&err) != SF_OK || sf_log_open(&config->log, &err) != SF_OK) {
        return fail(&err);
    }
    leaf_wait_for_space(config);
    if (leaf_new(config, &leaf, &err) != SF_OK) {
        if (err.number != SHEAF_E_DISK_FULL) {
            return fail(&err);
        }
        sf_log(SF_LOG_WARN, "leaf.no_space_to_start", SF_F_ERROR(&err));
        (void)poll(NULL, 0, PAUSE_MS);
        return LEAF_AGAIN;
    }
    return leaf_run(leaf);
}

/* In this process' place: the supervisor sees no end, and nothing of before is left. */
static void start_again(char **argv)
{
    (void)execv("/proc/self/exe", argv);
    perror("sheaf-leaf: cannot start again");
}

int main(int argc, char **argv)
{
    extern char **environ;
    struct leaf_config config;
    struct sf_buf report = {0};
    struct sf_error err;
    int status;

    sf_process_shim(argc, argv);
    sf_memory_setup();
    if (leaf_tool_is_one(argc - 1, (const char *const *)argv + 1)) {
        status = leaf_tool_run(argc - 1, (const char *const *)argv + 1, &err);
        return err.code == SF_OK ? status : fail(&err);
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return print_help();
        }
        if (strcmp(argv[i], "--man") == 0) {
            return print_man();
        }
        if (strcmp(argv[i], "--version") == 0) {
            (void)printf("sheaf-leaf %s\n", SHEAF_VERSION);
            return 0;
        }
    }
    if (leaf_config_read(argc - 1, (const char *const *)argv + 1, (const char *const *)environ,
                         &config, &report, &err) != SF_OK) {
        return fail_config(&report, &err);
    }
    status = config.check_only ? print_config(&config) : run(&config);
    leaf_config_done(&config);
    if (status == LEAF_AGAIN) {
        start_again(argv);
    }
    return status;
}
