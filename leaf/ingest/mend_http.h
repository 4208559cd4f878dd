/*
 * The quarantine of a table over HTTP, beyond listing it (leaf/query): for its owner.
 *
 *   GET    .../quarantine/N        the entry, and what the contract in force says of it now
 *   POST   .../quarantine/N        fix: the body is the record as it should have been
 *   POST   .../quarantine/replay   all entries, or by: entry, code, field, older_than, newer_than,
 *                                  after, until, limit; overwrite=true
 *   DELETE .../quarantine[/N]      drops them; the same parameters
 *
 *   Threads   Loop thread. A client that leaves does not undo its request.
 */
#pragma once

#include "common/sys/http_server.h"
#include "leaf/ingest/mend.h"

/* What the request is about. */
struct mend_http {
    struct mender *mender;
    struct sf_rt *rt;
    struct store *store;
    const struct served_table *table;
    const char *user;
    const char *entry; /* the part of the path behind "quarantine", or NULL */
};

/* Answers @r, now or later. */
void mend_http(const struct mend_http *what, struct sf_http_request *r);

/* mend_show.c: the answer to GET. */
void mend_show_http(const struct mend_http *what, uint64_t qseq, struct sf_http_request *r);
/* A bare number from 1 on; false otherwise. */
bool mend_http_entry(const char *text, uint64_t *ret);
