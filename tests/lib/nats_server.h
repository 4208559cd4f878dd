/*
 * A real nats-server in a test: started from a configuration file, dead when the test is. The
 * binary is SHEAF_NATS_SERVER. All functions fail the test on what they cannot do.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct nats_server {
    pid_t pid; /* 0: not running */
    uint16_t port;
    char config_path[4096];
    char log_path[4096]; /* printed (its end) when it does not come up; "": none */
};

/* A free port below 32768; each call another one. */
uint16_t nats_server_port(void);
/* Starts it and waits until it greets at @port. */
void nats_server_start(struct nats_server *s);
/* Sends SIGKILL or SIGTERM and waits for the end. Fine when it is not running. */
void nats_server_kill(struct nats_server *s);
void nats_server_stop(struct nats_server *s);
void nats_server_signal(const struct nats_server *s, int number);
