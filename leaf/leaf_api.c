/*
 * The HTTP interface of the leaf: who calls, and where a request goes. The routes are in
 * leaf_routes.c.
 *
 * All of /v1 wants a token of this leaf's domain. Products of other domains are read by asking
 * their leaf in this domain's name.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/str.h"
#include "common/identity/token.h"
#include "leaf/ingest/mend_http.h"
#include "leaf/ingest/stream_http.h"
#include "leaf/leaf_private.h"
#include "leaf/leaf_routes.h"
#include "leaf/query/describe.h"
#include "leaf/query/preview_http.h"
#include "leaf/query/query_http.h"
#include "leaf/serving/deprecation.h"
#include "leaf/serving/http_answer.h"
#include "proto/errors.h"

/* --- who calls -------------------------------------------------------------------------------- */

static bool find_key(void *data, const char *issuer, struct sf_public_key *ret)
{
    const struct leaf *leaf = data;

    if (strcmp(issuer, leaf->config->domain) != 0) {
        return false;
    }
    *ret = leaf->identity.keys.domain.public_key;
    return true;
}

static enum sf_code authenticate(struct leaf *leaf, const struct sf_http_request *r,
                                 struct sf_token *ret, struct sf_error *err)
{
    const struct sf_token_check check = {
        .find_key = find_key,
        .data = leaf,
        .audience = leaf->identity.mesh.mesh,
        .now_s = sf_steady_us(&leaf->clock) / SF_US_PER_S,
        .cache = leaf->tokens,
    };
    const char *header = sf_http_header_of(r, "Authorization");
    enum sf_token_verdict verdict = sf_token_verify(&check, sf_token_of_header(header), ret);

    return verdict == SF_TOKEN_GOOD ? SF_OK : sf_token_raise(SF_TOKEN_HTTP, verdict, err);
}

enum { PARTS_MAX = 8 };

/* --- where it goes ---------------------------------------------------------------------------- */

struct route {
    struct leaf *leaf;
    struct sf_http_request *request;
    const char *user; /* below /v1 only, as is read.caller */
    char product[64];
    const char *domain;
    bool is_get;
    struct http_read read;
};

static void not_found(struct sf_http_request *r)
{
    struct sf_error err;

    (void)SF_RAISE_E(&err, SF_ABSENT, SHEAF_E_NO_SUCH_PATH, "%s", sf_http_path(r));
    http_problem(r, &err);
}

/* @allow: the methods that the path has. */
static void wrong_method(struct sf_http_request *r, const char *allow)
{
    const struct sf_http_header header = {"Allow", allow};
    struct sf_error err;

    (void)SF_RAISE_E(&err, SF_INVALID, SHEAF_E_METHOD_NOT_ALLOWED, "%s %s", sf_http_method(r),
                     sf_http_path(r));
    http_problem_with(r, &err, &header, 1);
}

/* P or P@MAJOR. */
static enum sf_code read_product(struct route *route, const char *text, struct sf_error *err)
{
    const char *at = strchr(text, '@');
    const size_t n = at == NULL ? strlen(text) : (size_t)(at - text);
    uint64_t major = 0;

    if (!sf_name_is_product(sf_slice_text(route->domain)) ||
        !sf_name_is_product(sf_slice_of(text, n)) ||
        (at != NULL &&
         (sf_parse_u64(sf_slice_text(at + 1), &major) != SF_PARSE_OK || major > UINT32_MAX))) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                          "the path must name a product: D/P or D/P@MAJOR");
    }
    memcpy(route->product, text, n);
    route->product[n] = '\0';
    route->read.product = route->product;
    route->read.major = (uint32_t)major;
    return SF_OK;
}

static bool is_own(const struct route *route)
{
    return strcmp(route->domain, route->leaf->config->domain) == 0;
}

static void describe(struct route *route)
{
    struct leaf *leaf = route->leaf;
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    struct serving_right right;
    struct sf_error err;
    enum sf_code code;

    if (!is_own(route)) {
        query_http_relay_document(&leaf->relay, route->domain, "describe", &route->read,
                                  route->request);
        return;
    }
    code = serving_decide(&leaf->serving, &(struct serving_caller){0}, route->product,
                          route->read.major, &right, &err);
    if (code == SF_OK) {
        deprecation_tell_of(route->request, right.product->contract);
        code = query_describe(&right, &out, &err);
    }
    if (code != SF_OK) {
        http_problem(route->request, &err);
        return;
    }
    http_json_tagged(route->request, &out);
}

static bool owns_or_refused(const struct route *route)
{
    struct sf_error err;

    if (is_own(route)) {
        return true;
    }
    (void)SF_RAISE_E(&err, SF_DENIED, SHEAF_E_NOT_OWNER, "product %s/%s", route->domain,
                     route->product);
    http_problem(route->request, &err);
    return false;
}

static void change_life(const struct route *route, bool restore)
{
    if (owns_or_refused(route)) {
        leaf_life_http(route->leaf, route->request,
                       &(struct leaf_life_order){
                           .product = route->product,
                           .major = route->read.major,
                           .restore = restore,
                           .user = route->user,
                       });
    }
}

static enum sf_code find_own_product(const struct route *route, const struct served_product **ret,
                                     struct sf_error *err)
{
    struct serving_right right;
    enum sf_code code;

    if (!is_own(route)) {
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_NOT_OWNER, "product %s/%s", route->domain,
                          route->product);
    }
    code = serving_decide(&route->leaf->serving, &(struct serving_caller){0}, route->product,
                          route->read.major, &right, err);
    *ret = code == SF_OK ? right.product : NULL;
    return code;
}

static enum sf_code find_table(const struct route *route, const struct served_table **ret,
                               struct sf_error *err)
{
    const struct served_product *product;
    enum sf_code code = find_own_product(route, &product, err);

    if (code != SF_OK) {
        return code;
    }
    *ret = served_product_table(product, route->read.table);
    return *ret == NULL
               ? SF_RAISE_E(err, SF_ABSENT, SHEAF_E_TABLE_UNKNOWN, "table '%s'", route->read.table)
               : SF_OK;
}

/* Into a table, or with none in the path into those that the records name. */
static void ingest(struct route *route)
{
    struct ingest_target to = {.user = route->user};
    struct sf_error err;
    enum sf_code code = route->read.table != NULL ? find_table(route, &to.table, &err)
                                                  : find_own_product(route, &to.product, &err);

    if (code != SF_OK) {
        http_problem(route->request, &err);
        return;
    }
    if (ingest_stream_http_wants(route->request)) {
        ingest_stream_http(route->leaf->ingest, &to, route->request);
    } else {
        ingest_http(route->leaf->ingest, &to, route->request);
    }
}

static void read_rows(struct route *route, enum query_op op)
{
    struct leaf *leaf = route->leaf;

    route->read.op = op;
    if (is_own(route)) {
        query_http(leaf->queries, &route->read, route->request);
    } else {
        query_http_relay(&leaf->relay, route->domain, &route->read, route->request);
    }
}

static void preview(struct route *route)
{
    if (owns_or_refused(route)) {
        query_http_preview(route->leaf->queries, &route->read, route->request);
    }
}

static void quarantine(struct route *route)
{
    struct leaf *leaf = route->leaf;
    struct mend_http mend = {
        .mender = leaf->mender,
        .rt = leaf->rt,
        .store = leaf->store,
        .user = route->user,
        .entry = sf_http_part(route->request, 6),
    };
    const struct served_table *table;
    struct sf_error err;

    if (find_table(route, &table, &err) != SF_OK) {
        http_problem(route->request, &err);
        return;
    }
    if (route->is_get && mend.entry == NULL) {
        query_http_quarantine(leaf->queries, &route->read, route->request);
        return;
    }
    mend.table = table;
    mend_http(&mend, route->request);
}

/* Statistics of other domains' products are asked of their leaf; checks are their owner's. */
static void quality(struct route *route, enum leaf_route id)
{
    const enum quality_op op = id == ROUTE_STATS      ? QUALITY_STATS
                               : id == ROUTE_PROFILE  ? QUALITY_PROFILE
                               : id == ROUTE_VERDICTS ? QUALITY_CHECKS
                                                      : QUALITY_TEST;
    const struct served_table *table;
    struct sf_error err;

    if (!is_own(route) && (op == QUALITY_STATS || op == QUALITY_PROFILE)) {
        query_http_relay_document(&route->leaf->relay, route->domain,
                                  op == QUALITY_STATS ? "stats" : "profile", &route->read,
                                  route->request);
    } else if (find_table(route, &table, &err) != SF_OK) {
        http_problem(route->request, &err);
    } else {
        deprecation_tell_of(route->request, table->product->contract);
        quality_http(route->leaf->quality, op, table, route->request);
    }
}

static void openapi(struct sf_http_request *r)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};

    sf_routes_openapi(leaf_routes(), &out);
    http_json(r, 200, &out);
}

/* Takes the path apart for the routes below /v1/products/D/P; false: it was answered. */
static bool read_path(struct route *route)
{
    const char *table = sf_http_part(route->request, 4);
    struct sf_error err;

    route->domain = sf_http_part(route->request, 2);
    if (read_product(route, sf_http_part(route->request, 3), &err) != SF_OK) {
        http_problem(route->request, &err);
        return false;
    }
    if (sf_http_part_count(route->request) > 5) {
        if (!sf_name_is_table(sf_slice_text(table))) {
            not_found(route->request);
            return false;
        }
        route->read.table = table;
        route->read.key = sf_http_part(route->request, 6);
    }
    return true;
}

static void apply(struct route *route)
{
    if (owns_or_refused(route)) {
        leaf_apply_http(route->leaf, route->request, route->user);
    }
}

static void serve(struct route *route, enum leaf_route id)
{
    struct leaf *leaf = route->leaf;
    struct sf_http_request *r = route->request;

    switch (id) {
    case ROUTE_LIVEZ:
        leaf_livez_http(r);
        return;
    case ROUTE_READYZ:
        leaf_readyz_http(leaf, r);
        return;
    case ROUTE_METRICS:
        leaf_metrics_http(leaf, r);
        return;
    case ROUTE_OPENAPI:
        openapi(r);
        return;
    case ROUTE_STATUS:
        leaf_status_http(leaf, r);
        return;
    case ROUTE_SETTINGS:
        leaf_settings_http(leaf, r);
        return;
    case ROUTE_CHECK_START:
    case ROUTE_CHECK:
    case ROUTE_CHECK_STOP:
    case ROUTE_BACKUP_START:
    case ROUTE_BACKUP:
    case ROUTE_BACKUP_STOP:
        (void)leaf_admin_http(leaf, r); /* only such routes lead here */
        return;
    case ROUTE_DRAIN_START:
    case ROUTE_DRAIN:
    case ROUTE_DRAIN_STOP:
        leaf_drain_http(leaf, r);
        return;
    case ROUTE_PRODUCTS:
        leaf_products_http(leaf, r);
        return;
    case ROUTE_PRODUCT:
        describe(route);
        return;
    case ROUTE_PRODUCT_APPLY:
        apply(route);
        return;
    case ROUTE_PRODUCT_REMOVE:
        change_life(route, /* restore= */ false);
        return;
    case ROUTE_PRODUCT_RESTORE:
        change_life(route, /* restore= */ true);
        return;
    case ROUTE_RECORDS_POST_ALL:
    case ROUTE_RECORDS_POST:
        ingest(route);
        return;
    case ROUTE_RECORDS:
        read_rows(route, QUERY_SCAN);
        return;
    case ROUTE_RECORD:
        read_rows(route, QUERY_GET);
        return;
    case ROUTE_CHANGES:
        read_rows(route, QUERY_CHANGES);
        return;
    case ROUTE_PREVIEW:
        preview(route);
        return;
    case ROUTE_STATS:
    case ROUTE_PROFILE:
    case ROUTE_VERDICTS:
    case ROUTE_TEST:
        quality(route, id);
        return;
    case ROUTE_QUARANTINE:
    case ROUTE_QUARANTINE_DROP:
    case ROUTE_ENTRY:
    case ROUTE_ENTRY_POST:
    case ROUTE_ENTRY_DROP:
        quarantine(route);
        return;
    }
}

/* NULL: it was answered. */
static const struct sf_route *find_route(struct sf_http_request *r)
{
    const char *parts[PARTS_MAX];
    const size_t count = sf_http_part_count(r);
    const struct sf_route *found = NULL;
    char allow[64];

    if (count > SF_COUNT(parts)) {
        not_found(r);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        parts[i] = sf_http_part(r, i);
    }
    switch (sf_route_find(leaf_routes(), sf_http_method(r), parts, count, &found, allow)) {
    case SF_ROUTE_FOUND:
        break;
    case SF_ROUTE_NO_PATH:
        not_found(r);
        break;
    case SF_ROUTE_NO_METHOD:
        wrong_method(r, allow);
        break;
    }
    return found;
}

static enum sf_code check_parameters(const struct sf_route *route, const struct sf_http_request *r,
                                     struct sf_error *err)
{
    const char *name;
    const char *value;
    enum sf_code code = SF_OK;

    for (size_t i = 0; code == SF_OK && sf_http_query_at(r, i, &name, &value); i++) {
        code = sf_route_check_parameter(route, name, err);
        if (code == SF_OK && sf_http_query(r, name) != value) {
            code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'%s' is given twice", name);
        }
    }
    return code;
}

bool leaf_api_takes_pieces(const struct sf_http_request *r, void *data)
{
    (void)data;
    return ingest_stream_http_wants(r);
}

void leaf_api_handle(struct sf_http_request *r, void *data)
{
    struct leaf *leaf = data;
    const char *first = sf_http_part(r, 0);
    struct sf_token token; /* of /v1 only */
    struct route route = {.leaf = leaf,
                          .request = r,
                          .is_get = strcmp(sf_http_method(r), "GET") == 0,
                          .user = token.subject,
                          .read.caller = &token};
    const struct sf_route *found;
    struct sf_error err;

    if (first != NULL && strcmp(first, "v1") == 0 && authenticate(leaf, r, &token, &err) != SF_OK) {
        http_problem(r, &err);
        return;
    }
    found = find_route(r);
    if (found == NULL) {
        return;
    }
    if (check_parameters(found, r, &err) != SF_OK) {
        http_problem(r, &err);
    } else if (found->id >= ROUTE_PRODUCT && !route.is_get && leaf_drain_refuses(leaf, r)) {
        return;
    } else if (found->id < ROUTE_PRODUCT || read_path(&route)) {
        serve(&route, (enum leaf_route)found->id);
    }
}
