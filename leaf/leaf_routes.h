/*
 * The HTTP interface of the leaf as a table: leaf_api.c goes by it, /openapi.json is made of it,
 * and docs/reference/http-leaf.md has a section for each route.
 */
#pragma once

#include "common/wire/routes.h"

enum leaf_route {
    ROUTE_LIVEZ,
    ROUTE_READYZ,
    ROUTE_METRICS,
    ROUTE_OPENAPI,
    ROUTE_STATUS,
    ROUTE_SETTINGS,
    ROUTE_CHECK_START,
    ROUTE_CHECK,
    ROUTE_CHECK_STOP,
    ROUTE_BACKUP_START,
    ROUTE_BACKUP,
    ROUTE_BACKUP_STOP,
    ROUTE_DRAIN_START,
    ROUTE_DRAIN,
    ROUTE_DRAIN_STOP,
    ROUTE_PRODUCTS,
    ROUTE_PRODUCT,
    ROUTE_PRODUCT_APPLY,
    ROUTE_PRODUCT_REMOVE,
    ROUTE_PRODUCT_RESTORE,
    ROUTE_RECORDS_POST_ALL,
    ROUTE_RECORDS_POST,
    ROUTE_RECORDS,
    ROUTE_RECORD,
    ROUTE_CHANGES,
    ROUTE_PREVIEW,
    ROUTE_STATS,
    ROUTE_PROFILE,
    ROUTE_VERDICTS,
    ROUTE_TEST,
    ROUTE_QUARANTINE,
    ROUTE_QUARANTINE_DROP,
    ROUTE_ENTRY,
    ROUTE_ENTRY_POST,
    ROUTE_ENTRY_DROP,
};

/* Ids are enum leaf_route. */
const struct sf_routes *leaf_routes(void);
