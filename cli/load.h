/* Loading the records of a file into a table over HTTP, batch by batch. */
#pragma once

#include "cli/api.h"
#include "cli/product_ref.h"

enum { LOAD_ERRORS_SHOWN = 10 };

struct load_error {
    uint64_t line; /* of the file; of a JSON array: number of the element */
    char code[16];
    char field[PRODUCT_NAME_MAX];
    char detail[200];
};

struct load_result {
    uint64_t accepted;
    uint64_t duplicates; /* of those accepted: repetitions that were left out */
    uint64_t unchanged;  /* and rows that stood there as they were */
    uint64_t quarantined;
    uint64_t epoch;
    uint64_t last_seq;
    double seconds;
    uint64_t resumed;   /* records that an earlier run had stored */
    uint64_t resumable; /* of a failure: records of the file stored, in all runs */
    bool interrupted;   /* by a signal; what is there stays, and the same command goes on */
    struct load_error errors[LOAD_ERRORS_SHOWN]; /* the first ones */
    unsigned error_count;
};

/*
 * Loads @path into the table @r names, as who acts in @a, with the flags of product load. Acked
 * batches are stored whatever happens to later ones: on failure *ret tells what was stored, and the
 * same command goes on behind that (load_journal.h). A leaf that is busy, or away after the first
 * batch, is waited for.
 */
enum sf_code load_file(struct api *a, const struct product_ref *r, const char *path,
                       struct load_result *ret, struct sf_error *err) SF_MUST_CHECK;
/* Tells why a load did not end, what it stored and how to go on; the exit code. */
int load_failed(struct cli *cli, const struct product_ref *r, const struct load_result *result,
                const struct sf_error *err);
/* The lines that tell what came of it, and the exit code. */
int load_report(struct cli *cli, const struct product_ref *r, const struct load_result *result);
