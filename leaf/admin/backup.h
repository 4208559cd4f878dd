/*
 * A backup of a leaf while it works: a job (job.h).
 *
 *   CHECKPOINT --> COPY --> VERIFY --> FINISH
 *
 * A checkpoint of the store (links to its tables, made at once) is copied into
 * <repository>/<time>.part, files that the newest backup there has already become links to it. The
 * copy is opened and checked as a whole; only then gets it its list (BACKUP) and its name. So
 * whatever has a list has been read back, and what was cut off is a .part that the next backup
 * removes.
 *
 *   Holds     the rows, log, quarantine, contracts, cursors and idempotency keys of one moment; its
 *             heads; unless told otherwise keys, identity and credentials.
 *   Limits    One backup per repository at a time (a lock in it). Refused when the file system of
 *             the repository has less room than the store takes, and 64 MiB.
 *   Errors    SF_CORRUPT (SHEAF-E0612): the copy is not good; what is damaged stands in the report.
 *             SF_IO (SHEAF-E0601): no room. SF_CONFLICT (SHEAF-E0606): another backup runs there.
 */
#pragma once

#include "leaf/admin/job.h"
#include "leaf/store/store.h"

struct backup_options {
    struct sf_rt *rt;
    struct kv *kv;          /* of the store, open */
    const char *data_dir;   /* of the leaf */
    const char *repository; /* made when its parent exists */
    const char *domain;
    const char *mesh; /* "" when not joined */
    int64_t wall_us;  /* now: names the backup */
    bool without_keys;
};

/* A job "Backup". Texts are copied. */
enum sf_code backup_job_new(const struct backup_options *options, struct job **ret,
                            struct sf_error *err) SF_MUST_CHECK;

/* In the data directory while a backup is made. */
#define BACKUP_CHECKPOINT "checkpoint"
