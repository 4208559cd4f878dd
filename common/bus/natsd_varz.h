/* What running nats-servers say of themselves, asked over a connection to the SYS account. */
#pragma once

#include "common/bus/bus.h"

struct sf_natsd_varz {
    char version[32];
    char server_name[64];
    bool has_jetstream;
    bool is_sync_always;
    int64_t max_payload_bytes;
};

/* One question and its answers; lives in its owner until done has run or it is cancelled. */
struct sf_natsd_varz_call {
    /*
     * SF_OK, and @servers, which answered (each server of a cluster does). SF_TIMEOUT: none did.
     * @servers is valid during the callback.
     */
    void (*done)(struct sf_natsd_varz_call *call, enum sf_code code,
                 const struct sf_natsd_varz *servers, size_t count);
    void *data;
    void *private;
};

/* Waits @window_ns for answers, or until @expected (0: unknown) have come. SF_NOMEM, as publish. */
enum sf_code sf_natsd_varz_ask(struct sf_rt *rt, struct sf_bus *sys,
                               struct sf_natsd_varz_call *call, size_t expected, uint64_t window_ns,
                               struct sf_error *err) SF_MUST_CHECK;
void sf_natsd_varz_cancel(struct sf_natsd_varz_call *call);
/* Version floor (E0703), and with @needs_durable that JetStream syncs every write (E0706). */
enum sf_code sf_natsd_varz_check(const struct sf_natsd_varz *v, bool needs_durable,
                                 struct sf_error *err) SF_MUST_CHECK;
