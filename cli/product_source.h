/*
 * Product files as this tool reads and writes them: read and checked with all their issues shown,
 * or inferred from a file of data.
 */
#pragma once

#include "cli/cli.h"
#include "cli/product_ref.h"
#include "common/contract/contract.h"

/*
 * Reads and lints the file; errors and warnings are printed to stderr with their places. *ret_text
 * gets its bytes. SF_INVALID: there are errors, all shown; @err is not to be printed again. E0804:
 * the file cannot be read.
 */
struct product_source {
    struct sf_product *product; /* owned */
    struct sf_buf text;
    size_t warning_count;
    bool shown; /* the errors are on stderr already */
};
enum sf_code product_source_read(struct cli *cli, const char *path, struct product_source *ret,
                                 struct sf_error *err) SF_MUST_CHECK;
void product_source_done(struct product_source *s);

struct inferred {
    struct sf_product *product; /* owned */
    struct sf_buf text;         /* product.yaml with the reasons as comments */
    uint64_t rows;
    size_t columns;
};
/* The contract that the records of @path suggest for @r. SF_INVALID, E0108 and E02xx. */
enum sf_code product_infer(const char *path, const char *format, const struct product_ref *r,
                           struct inferred *ret, struct sf_error *err) SF_MUST_CHECK;
void inferred_done(struct inferred *i);
/* "key order_id, event time ordered_at, email is pii" */
void inferred_text(const struct inferred *i, struct sf_buf *ret);

/*
 * Writes a product file, with the directories above it. A file that is there and says something
 * else is replaced only after cli_confirm(). *ret_written: false when it said the same already.
 */
enum sf_code product_file_write(struct cli *cli, const char *path, struct sf_slice text,
                                bool *ret_written, struct sf_error *err) SF_MUST_CHECK;
