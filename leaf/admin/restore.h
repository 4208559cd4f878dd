/*
 * A data directory out of a backup.
 *
 *   READ --> COPY --> OPEN --> VERIFY --> CLOSE --> FINISH
 *
 * While it is made the directory holds the mark RESTORING, with which no leaf starts; one that was
 * cut off is begun again. The restored store is in a new epoch, so that seqs given again are not
 * taken for those of before, and what the hub allowed at the time of the backup is not believed
 * (leaf_mesh.c): others are answered again when the hub's present bundle has come.
 *
 *   Threads   One, with a loop of its own; blocks.
 *   Errors    SF_CORRUPT (SHEAF-E0612): a file of the backup is damaged. SF_CONFLICT
 *             (SHEAF-E0606): the directory is in use or not empty. SF_ABSENT: no backup there.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/wire/json.h"
#include "leaf/store/checker.h"

struct rt_uv;

struct restore_options {
    struct rt_uv *uv;        /* a loop that does not run */
    const char *backup;      /* a backup, or a repository: then its newest one */
    const char *data_dir;    /* to be made; empty when it is there */
    const char *head_record; /* NULL: <data_dir>/heads */
    /*
     * What the hub last heard of this domain: the object of GET /v1/status, or NULL. The new epoch
     * is above all that it names, and what the backup lacks of it is told as missing.
     */
    const struct sf_json *known;
    void (*on_progress)(void *data, const char *phase, uint64_t done, uint64_t total);
    void *data;
};

/* Restores. @report gets a JSON object: what was restored, where each lane stands, what is missing.
 */
enum sf_code restore_run(const struct restore_options *options, struct sf_json_writer *report,
                         struct sf_error *err) SF_MUST_CHECK;

#define RESTORE_MARK "RESTORING"
