/*
 * Questions that `sheaf dev` asks its children over HTTP, on a thread of the query pool because
 * they block. Private to dev_*.c.
 */
#pragma once

#include "cli/cli.h"
#include "common/sys/rt.h"

enum dev_question {
    DEV_ASK_HUB,   /* is it ready, and which mesh is it? */
    DEV_ASK_TOKEN, /* a join token for the domain, unless it has joined: written to token_path */
    DEV_ASK_LEAF,  /* is it ready, and has it reported to the hub? */
};

struct dev_probe {
    struct sf_work work; /* done: on the loop */
    enum dev_question question;
    char base[64];               /* of who is asked: "http://127.0.0.1:8080" */
    char hub[64];                /* of the hub */
    char hub_data[CLI_PATH_MAX]; /* where the platform key is */
    char domain[64];
    char token_path[CLI_PATH_MAX + 32];
    char mesh[64];     /* DEV_ASK_HUB: answer; DEV_ASK_TOKEN: given */
    char hub_key[64];  /* DEV_ASK_HUB: answer */
    enum sf_code code; /* the answer: SF_OK is yes */
    struct sf_error error;
};

/* Runs the question; @done on the loop. @p is borrowed until then. */
void dev_probe_start(struct sf_rt *rt, struct dev_probe *p, void (*done)(struct sf_task *t));
