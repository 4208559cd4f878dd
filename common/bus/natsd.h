/*
 * Supervisor of an embedded nats-server: finds the binary, refuses one that is too old, writes its
 * configuration before every start, says when it takes connections, starts it again when it dies.
 *
 *   Threads   Loop thread. The version is asked of the binary by a child process.
 *   Order     on_up and on_down alternate, starting with on_up. on_failed runs at most once and
 *             nothing after it: too old (E0703), its port is taken (E0701), or the first five
 * starts did not bring it up (E0708). Once it was up it is started again for ever. Memory Options
 * are copied. Limits    Restart with backoff from 100 ms to 5 s; a run of 10 s resets it. Without
 * an answer on its port within 10 s a start counts as failed. Close     SIGTERM to the server,
 * SIGKILL after 5 s; then the callback, once.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/sys/rt.h"

/* The oldest nats-server with the fixes of security and of `sync always` that Sheaf needs. */
#define SF_NATSD_VERSION_MIN "2.15.1"

struct rt_uv;
struct sf_natsd;

struct sf_natsd_options {
    const char *binary;      /* path given by the user; NULL: looked for, see sf_natsd_find() */
    const char *config_path; /* written before each start, mode 0600 */
    const char *output_path; /* what it says before it opens its log; NULL: with ours */
    const char *wipe_dir;    /* emptied before each start (cache of the resolver); NULL: none */
    uint16_t client_port;    /* of the configuration, on 127.0.0.1: up when it answers */
    /* Appends the configuration to @ret, in the state of this moment. */
    enum sf_code (*configure)(void *data, struct sf_buf *ret, struct sf_error *err);
    void (*on_up)(void *data);
    void (*on_down)(void *data); /* it is started again */
    void (*on_failed)(void *data, const struct sf_error *err);
    void *data;
};

/*
 * Writes the path of the binary: @given, or SHEAF_NATS_SERVER, or nats-server in ".deps/bin" or
 * "bin" beside the directory of this program or above it, or in PATH. SF_ABSENT (E0702): nowhere;
 * the error says where it was looked for.
 */
enum sf_code sf_natsd_find(const char *given, char *ret, size_t size,
                           struct sf_error *err) SF_MUST_CHECK;
/* Whether "nats-server: v2.15.1" or "2.15.1" is new enough. SF_UNAVAILABLE (E0703), SF_INVALID. */
enum sf_code sf_natsd_check_version(const char *text, struct sf_error *err) SF_MUST_CHECK;

/* Starts in the background. SF_ABSENT (E0702), SF_INVALID, SF_NOMEM. */
enum sf_code sf_natsd_start(struct rt_uv *rt, const struct sf_natsd_options *o,
                            struct sf_natsd **ret, struct sf_error *err) SF_MUST_CHECK;
void sf_natsd_close(struct sf_natsd *d, void (*closed)(void *data), void *data);
/* Process id of the server, for tests and status; 0: not running. */
int sf_natsd_pid(const struct sf_natsd *d);
/* Version of the binary, "2.15.1"; "" before it is known. */
const char *sf_natsd_version(const struct sf_natsd *d);
