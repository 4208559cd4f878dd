/*
 * What a leaf does with its head record before it takes the store into use: docs/adr/0022.
 *
 *   Threads   Where store_open() is called, before anything is submitted. Blocks.
 */
#pragma once

#include "leaf/store/head_record.h"

/*
 * Compares @s with the record in file @path. One that never held anything has none (*lack is empty)
 * and gets its first one, unless it is open for reading.
 *   SF_CORRUPT  SHEAF-E0609: the store is behind, or it cannot be known: the record is missing or
 *               damaged. @lack, unless NULL, names lanes and seqs, and is the caller's.
 *   SF_IO, SF_NOMEM, and SF_CONFLICT (SHEAF-E0607): a newer version wrote it.
 */
enum sf_code head_file_check(struct store *s, const char *path, struct head_lack *lack,
                             struct sf_error *err) SF_MUST_CHECK;

/*
 * Goes on with what is there: begins an epoch above all that @path tells of and at least
 * @epoch_min, durably, and writes a new record. What store_raise_epoch() and sf_file_write() say.
 */
enum sf_code head_file_accept(struct store *s, const char *path, uint32_t epoch_min,
                              struct sf_error *err) SF_MUST_CHECK;
