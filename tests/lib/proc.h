/*
 * Children of a test: real programs, their output in a file, dead when the test is.
 *
 * All functions fail the test on what they cannot do; a wait that passes its deadline fails it with
 * the end of the log printed.
 */
#pragma once

#include <stdbool.h>

struct proc {
    int pid; /* 0: not running */
    char log_path[4096];
    char name[64];
};

struct proc_options {
    const char *const *argv;        /* ends with NULL; argv[0] is a path */
    const char *const *environment; /* NAME=VALUE to add, ends with NULL; NULL: none */
    const char *directory;          /* NULL: ours */
    const char *log_path;           /* stdout and stderr go there, appended */
};

void proc_start(struct proc *p, const struct proc_options *options);
/* Waits until a whole line containing @text is in the log. */
void proc_wait_line(struct proc *p, const char *text, unsigned deadline_ms);
/* The log so far, NUL-terminated, to be freed with sf_free(). */
char *proc_log(const struct proc *p);
void proc_signal(const struct proc *p, int number);
/* Waits for its end: exit status, or minus the signal. */
int proc_wait_exit(struct proc *p, unsigned deadline_ms);
/* kill -9, and waits. Harmless when it has ended. */
void proc_kill(struct proc *p);

/* Polls @condition every few ms until it is true; fails the test, naming @what, at the deadline. */
void wait_until(bool (*condition)(void *data), void *data, const char *what, unsigned deadline_ms);
