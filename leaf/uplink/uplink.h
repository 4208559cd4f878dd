/*
 * Uplink: the leaf's lease with the hub, and its way to the bundle.
 *
 * Asks mesh.poll for ever. The hub answers at once when it has a newer bundle than the one named,
 * else after its hold time; so one poll is lease, long poll and acknowledgement in one. A bundle is
 * acknowledged only when it survives a restart: a grant that was taken back must not come back.
 *
 * A link that is only just coming up, or was lost a moment ago, is no reason to refuse a call: it
 * waits until the hub has answered a poll, for UPLINK_LINK_NS at most.
 *
 *   Threads   Loop thread.
 *   Limits    One poll and one other call at a time.
 *   Close     Cancels.
 */
#pragma once

#include "common/bus/bus.h"
#include "common/sys/metrics.h"
#include "control.pb-c.h"

#define UPLINK_POLL_TIMEOUT_NS (3 * SF_NS_PER_S) /* the hub holds for 2 s */
#define UPLINK_RETRY_NS        (250 * SF_NS_PER_MS)
#define UPLINK_CALL_TIMEOUT_NS (10 * SF_NS_PER_S)
/* A link lost for longer is down: calls are refused at once. And how long a call waits for one. */
#define UPLINK_LINK_NS (10 * SF_NS_PER_S)

struct uplink;

struct uplink_options {
    struct sf_rt *rt;
    struct sf_bus *serve; /* borrowed */
    const char *domain;
    struct sf_metrics *metrics;
    /* A Signed bundle came. True: it is in force now as *ret_version; false: refused, and the
     * next poll waits UPLINK_RETRY_NS. */
    bool (*on_bundle)(void *data, struct sf_slice signed_bundle, uint64_t *ret_version);
    /* Whether the bundle in force is being stored: polls wait for uplink_stored(). NULL: never. */
    bool (*is_storing)(void *data);
    /* Whether the hub answers and this leaf has the bundle it has: told when that changes, from
     * false on. NULL: nobody asks. */
    void (*on_answers)(void *data, bool answers);
    /* The hub lets another leaf of this domain go on: this one stops, @why says why. May free
     * nothing here. NULL: it is ignored. */
    void (*on_fenced)(void *data, const char *why);
    /* Fills heads, versions and so on; what it points to stays until the next call. The version in
     * force is filled in; one that could not be stored is replaced by the one that is. */
    void (*fill_poll)(void *data, Sheaf__V1__PollRequest *poll);
    void *data;
};

/* Starts polling. SF_NOMEM. */
enum sf_code uplink_new(const struct uplink_options *options, uint64_t have_version,
                        struct uplink **ret, struct sf_error *err) SF_MUST_CHECK;
void uplink_free(struct uplink *u);
/* Whether the hub answered a poll within the last seconds; and when, 0: never. */
bool uplink_is_up(const struct uplink *u);
/* The bus is back: polls now. What was asked before went to a server that is gone. */
void uplink_wake(struct uplink *u);
/* The bundle is stored, or could not be. */
void uplink_stored(struct uplink *u);

/* @reply is valid during the call; NULL with @err. */
typedef void (*uplink_apply_cb)(void *data, const Sheaf__V1__ApplyReply *reply,
                                const struct sf_error *err);
struct uplink_apply {
    struct sf_slice yaml;
    const char *applied_by;
    bool dry_run;
};
/*
 * Asks the hub to take up a product. @cb runs once, later: SF_UNAVAILABLE E0704 when the hub does
 * not answer, or the link has not come up. SF_UNAVAILABLE E0704 at once: it has been down for
 * longer. SF_BUSY: another call is under way. SF_NOMEM.
 */
enum sf_code uplink_apply_product(struct uplink *u, const struct uplink_apply *apply,
                                  uplink_apply_cb cb, void *data,
                                  struct sf_error *err) SF_MUST_CHECK;
/* @reply is valid during the call; NULL with @err. */
typedef void (*uplink_life_cb)(void *data, const Sheaf__V1__LifeReply *reply,
                               const struct sf_error *err);
/* A major is to leave the mesh, or to come back. */
struct uplink_life {
    const char *product;
    uint32_t major;
    bool restore;
    int64_t keep_us;
    const char *reason;
    const char *changed_by;
};
/* As uplink_apply_product(). */
enum sf_code uplink_change_life(struct uplink *u, const struct uplink_life *life, uplink_life_cb cb,
                                void *data, struct sf_error *err) SF_MUST_CHECK;
/* Forgets the call under way: its callback does not run. */
void uplink_call_cancel(struct uplink *u);
