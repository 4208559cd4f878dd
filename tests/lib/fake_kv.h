/*
 * kv.h in memory, with a disk that can fail, fill up and lose what was not synced.
 *
 * The disk outlives the kv that has it open, so a test opens it again after a crash.
 *
 *   Threads   One.
 *   Memory    Never shrinks until fake_disk_done(): values of old versions stay where they are.
 */
#pragma once

#include "leaf/store/kv.h"

struct fake_entry;

struct fake_disk {
    /* Knobs. Each counts down with the calls it is about; 0: off. */
    unsigned fail_write_in; /* the n-th write from now fails */
    unsigned fail_read_in;  /* the n-th get, multi-get, snapshot, iterator or move of one */
    unsigned fail_flush_in;
    unsigned fail_sync_in;  /* the end of the n-th sync that was pending */
    bool fail_on;           /* and so do all that follow */
    enum sf_code fail_code; /* with this; SF_OK means SF_IO */
    bool fail_applies;      /* a write that fails has reached the disk nevertheless */
    bool killed;            /* closing flushes nothing, as when the process was killed */
    bool cold;              /* nothing is in memory: get_from_memory is SF_BUSY */
    /* Writes of two batches are left pending until fake_disk_end_sync(), or the next write. */
    bool hold_syncs;
    void (*on_held)(void *data); /* may be NULL; told of each */
    void *on_held_data;
    uint64_t free_bytes;
    uint64_t total_bytes;
    struct fake_disk *copy_to; /* an empty disk: where a checkpoint goes; its path means nothing */

    /* Counters. */
    uint64_t writes; /* that succeeded; also the number of the newest */
    uint64_t syncs;
    uint64_t reads;
    uint64_t flushes;
    uint64_t keys_read;   /* asked for by multi-get */
    uint64_t open_things; /* iterators, snapshots, batches not freed */

    /* Private. */
    struct kv_pending *pending;
    uint64_t pending_number; /* of the write that it is about */
    uint64_t hidden;         /* snapshots show no write behind it; 0: all */
    bool half_written;
    bool open;
    uint64_t durable; /* writes up to here survive a power cut, volatile ones apart */
    uint64_t flushed; /* volatile ones up to here survive a kill */
    uint64_t moved[KV_FAMILY_COUNT]; /* of this family up to here, by kv_ops.flush */
    struct {
        struct fake_entry **entries; /* in key order */
        size_t count;
        size_t capacity;
    } families[KV_FAMILY_COUNT];
};

/* Free space is plenty. */
void fake_disk_init(struct fake_disk *d);
void fake_disk_done(struct fake_disk *d);

/* SF_CONFLICT (SHEAF-E0606): open already. SF_NOMEM. */
enum sf_code fake_kv_open(struct fake_disk *d, struct kv **ret, struct sf_error *err) SF_MUST_CHECK;

/* The sync that is pending ends, if there is one. */
void fake_disk_end_sync(struct fake_disk *d);

/*
 * Drops what a power cut drops: writes behind number @kept, which is at least d->durable, and
 * volatile ones behind number @flushed, which is at least d->flushed. With @kept = d->writes it is
 * a killed process. The disk is closed.
 */
void fake_disk_crash(struct fake_disk *d, uint64_t kept, uint64_t flushed);

/* The newest value, for tests that damage it: pointer and size, or NULL when absent. */
uint8_t *fake_disk_value(struct fake_disk *d, enum kv_family f, struct sf_slice key, size_t *size);
/* The @i-th key of a family that is there, in order; false behind the last. */
bool fake_disk_key(const struct fake_disk *d, enum kv_family f, size_t i, struct sf_slice *ret);
/* Takes a key away as if it had never been there. */
void fake_disk_forget(struct fake_disk *d, enum kv_family f, struct sf_slice key);
