/*
 * The file that names the sources of a leaf:
 *
 *     sheaf: sources/v1
 *     sources:
 *       shop:
 *         into: orders.orders      # P[@MAJOR][.TABLE]; without a table records name theirs
 *         stream: SHOP
 *         filter: shop.orders.>
 *         url: nats://127.0.0.1:4222
 *         creds: /etc/sheaf/shop.creds
 *
 *   Memory    The arena holds everything.
 *   Errors    What is wrong with the file goes to the issues, all of it, with places.
 *   Limits    SOURCES_MAX.
 */
#pragma once

#include "common/wire/yaml.h"
#include "leaf/ingest/source.h"

enum { SOURCES_MAX = 64 };

struct source_entry {
    struct source_spec spec;
    const char *url;   /* NULL: the leaf's own server, in its domain's account */
    const char *creds; /* path of a credentials file; NULL: none */
};

struct source_list {
    struct source_entry entries[SOURCES_MAX];
    size_t count;
};

/* @issues holds the text; @domain is what consumers are named after. SF_INVALID, SF_NOMEM. */
enum sf_code source_file_read(struct sf_arena *arena, struct sf_issues *issues, const char *domain,
                              struct source_list *ret, struct sf_error *err) SF_MUST_CHECK;
