/*
 * What is known of a load that has not ended: a small file beside the mesh's state, written before
 * the first record is sent, so that the same command goes on where it was broken off.
 *
 * Each batch is sent with the idempotency key LOAD-FIRST, LOAD being random and FIRST the records
 * before it. So a batch that was stored but whose answer was lost is not stored again, and the
 * journal may lag behind: it says where to go on, the keys say what is there.
 *
 *   Errors   SF_INVALID, E0801: the load that broke off was of another state of the file, or had
 *            other flags.
 */
#pragma once

#include "cli/api.h"
#include "cli/product_ref.h"

struct load_journal {
    char path[1200]; /* of the journal; "": it cannot be written */
    char id[40];     /* of the load */
    const char *file;
    uint64_t file_bytes;
    int64_t file_mtime_ns;
    const char *on_invalid; /* of the load's flags */
    const char *format;     /* "": by the file's name */
    uint64_t batch_rows;
    uint64_t records; /* acknowledged */
    uint64_t accepted;
    uint64_t quarantined;
    uint64_t written_ns;
    bool resumed; /* there was one */
};

struct load_flags {
    const char *on_invalid;
    const char *format; /* or NULL */
    uint64_t batch_rows;
    bool again; /* from the start, whatever there is */
};

/* Looks for a journal of this file and table, or begins one. Texts are borrowed. */
enum sf_code load_journal_open(struct api *a, const struct product_ref *r, const char *path,
                               const struct load_flags *flags, struct load_journal *ret,
                               struct sf_error *err) SF_MUST_CHECK;
/* Once a second at most, unless @now: the file on disk. Failures are told in the next start only.
 */
void load_journal_note(struct load_journal *j, bool now);
/* The load has ended: there is nothing to go on with. */
void load_journal_end(struct load_journal *j);
