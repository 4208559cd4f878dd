/* One child of `sheaf dev`: the hub or a leaf. Private to dev_*.c. */
#pragma once

#include "cli/cli.h"
#include "cli/context.h"
#include "common/sys/process.h"

enum { DEV_NAME_MAX = 64, DEV_URL_MAX = 64 };

/*
 *   WAITING --start--> STARTING --probe says ready--> READY
 *                         ^                             |
 *                         +---------- it ended ---------+          any --stop--> ENDING --> STOPPED
 *
 *   STARTING --port in use--> ENDING --other ports--> WAITING
 */
enum dev_node_state { DEV_WAITING, DEV_STARTING, DEV_READY, DEV_ENDING, DEV_STOPPED };

struct dev_node {
    char domain[DEV_NAME_MAX]; /* "" for the hub */
    char data[CLI_PATH_MAX];
    char log[CLI_PATH_MAX + 32];
    char token_path[CLI_PATH_MAX + 32]; /* of a leaf */
    uint16_t http;
    uint16_t nats;
    uint16_t leafnode; /* of the hub */
    enum dev_node_state state;
    struct sf_process *process; /* NULL before its first start */
    unsigned failures;          /* ends since it was last ready */
    unsigned moves;             /* to other ports */
    bool is_moving;             /* ends, to be started on other ports */
    bool was_ready;             /* ever */
};

/* Path of a program of ours: beside this one, or where a build directory has it. E0804. */
enum sf_code dev_node_program(const char *name, char ret[CLI_PATH_MAX],
                              struct sf_error *err) SF_MUST_CHECK;

struct dev_node_callbacks {
    void (*on_down)(struct sf_process *p, const struct sf_process_exit *e, void *data);
    void (*on_up)(struct sf_process *p, int pid, void *data);
    void *data;
};
/* Makes its directories, then its process, and starts it. */
enum sf_code dev_node_start(struct dev_node *n, struct rt_uv *uv, uint16_t hub_http,
                            const struct dev_node_callbacks *callbacks,
                            struct sf_error *err) SF_MUST_CHECK;
/* The error that the node's log ends with, or its last line; "" when there is none. */
void dev_node_last_words(const struct dev_node *n, char *ret, size_t size);
