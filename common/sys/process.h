/*
 * A child process that is kept running until it is stopped, and that dies with us.
 *
 * It is started through a shim: this program, which asks the kernel for a signal at its parent's
 * death and then becomes the child. So also after kill -9 of the parent the child is gone within
 * milliseconds, and the pid stays the one that is watched.
 *
 *   Threads   Loop thread, which has to be the main thread: the kernel signals at the death of the
 *             thread that started the child.
 *   Order     before_start, on_up, on_down, before_start ... Callbacks never run inside a call of
 *             this file, except before_start and on_up inside nothing but the loop.
 *   Limits    Restarts wait backoff_min_ns, doubled up to backoff_max_ns, plus up to a quarter of
 *             jitter; a run of stable_ns starts again at the minimum.
 */
#pragma once

#include "common/base/attr.h"
#include "common/base/error.h"
#include "common/sys/rt.h"

struct rt_uv;
struct sf_process;

/* First thing in every main(): does not return when this process was started as the shim. */
void sf_process_shim(int argc, char **argv);

struct sf_process_exit {
    int status;             /* of exit(); 127: the program could not be executed; -1: by signal */
    int signal;             /* 0: by exit() */
    uint64_t ran_ns;        /* 0: it did not start, see error */
    uint64_t restart_in_ns; /* meaningless when stopping */
    bool stopping;          /* sf_process_stop() was called */
    struct sf_error error;  /* code SF_OK, or why before_start or the start failed */
};

struct sf_process_options {
    const char *const *argv; /* ends with NULL, copied; argv[0] has a slash or is found in PATH */
    const char *directory;   /* to run in, copied; NULL: ours */
    const char *log_path;    /* stdout and stderr are appended to it, copied; NULL: ours */
    uint64_t grace_ns;       /* between SIGTERM and SIGKILL; 0: 5 s */
    uint64_t backoff_min_ns; /* 0: 100 ms */
    uint64_t backoff_max_ns; /* 0: 5 s */
    uint64_t stable_ns;      /* 0: 10 s */
    /* Before every start, to write configuration. A failure counts as a failed start. May be NULL.
     */
    enum sf_code (*before_start)(struct sf_process *p, void *data, struct sf_error *err);
    void (*on_up)(struct sf_process *p, int pid, void *data); /* it was started; may be NULL */
    /* It ended or could not be started. May be NULL. */
    void (*on_down)(struct sf_process *p, const struct sf_process_exit *e, void *data);
    void *data;
};

/* Starts nothing yet. SF_NOMEM. */
enum sf_code sf_process_new(struct rt_uv *rt, const struct sf_process_options *options,
                            struct sf_process **ret, struct sf_error *err) SF_MUST_CHECK;
/* On a later turn the child is started. Once. */
void sf_process_start(struct sf_process *p);
/* Ends the child that runs (SIGTERM, then SIGKILL) and starts it again without a wait. */
void sf_process_restart(struct sf_process *p);
/* Sends @number to the child that runs; nothing otherwise. */
void sf_process_signal(struct sf_process *p, int number);
/* 0: none runs. */
int sf_process_pid(const struct sf_process *p);

/*
 * Ends it for good: SIGTERM, after the grace SIGKILL. @on_stopped runs once, on a later turn, when
 * the child is gone and on_down was told; sf_process_free() may be called inside it.
 */
void sf_process_stop(struct sf_process *p, void (*on_stopped)(struct sf_process *p, void *data),
                     void *data);
/* Only when never started, or stopped. NULL is fine. */
void sf_process_free(struct sf_process *p);
