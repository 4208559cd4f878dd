/*
 * The HTTP interface of the leaf: who calls, and where a request goes.
 *
 *   GET  /livez, /readyz, /metrics       for anyone on this machine
 *   GET  /v1/status                      LeafStatus
 *   GET  /v1/settings                    SettingList
 *   POST, GET, DELETE /v1/leaf/check     Check: verify all that is stored
 *   POST, GET, DELETE /v1/leaf/backup    Backup
 *   GET  /v1/products                    ProductList
 *   PUT  /v1/products/D/P                apply a product file (?dry_run=1)
 *   GET  /v1/products/D/P[@MAJOR]        Product
 *   DELETE /v1/products/D/P@MAJOR        Removed (?keep=30d&reason=...)
 *   POST /v1/products/D/P@MAJOR/restore  Restored
 *   POST /v1/products/D/P[@MAJOR]/records
 *   POST /v1/products/D/P[@MAJOR]/T/records
 *   GET  /v1/products/D/P[@MAJOR]/T/records[/KEY], /changes, /quarantine
 *   GET  /v1/products/D/P[@MAJOR]/T/quarantine/N
 *   POST /v1/products/D/P[@MAJOR]/T/quarantine/N
 *   POST /v1/products/D/P[@MAJOR]/T/quarantine/replay
 *   DELETE /v1/products/D/P[@MAJOR]/T/quarantine
 *   DELETE /v1/products/D/P[@MAJOR]/T/quarantine/N
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
#include "leaf/query/describe.h"
#include "leaf/query/query_http.h"
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

static enum sf_code authenticate(struct leaf *leaf, struct sf_http_request *r, struct sf_token *ret,
                                 struct sf_error *err)
{
    const struct sf_token_check check = {
        .find_key = find_key,
        .data = leaf,
        .mesh = leaf->identity.mesh.mesh,
        .now_s = sf_rt_wall_us(leaf->rt) / SF_US_PER_S,
        .cache = leaf->tokens,
    };
    const char *header = sf_http_header_of(r, "Authorization");
    enum sf_token_verdict verdict = sf_token_verify(&check, sf_token_of_header(header), ret);

    return verdict == SF_TOKEN_GOOD ? SF_OK : sf_token_raise(verdict, err);
}

/* --- where it goes ---------------------------------------------------------------------------- */

struct route {
    struct leaf *leaf;
    struct sf_http_request *request;
    char user[64];
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

static void wrong_method(struct sf_http_request *r)
{
    struct sf_error err;

    (void)SF_RAISE_E(&err, SF_INVALID, SHEAF_E_METHOD_NOT_ALLOWED, "%s %s", sf_http_method(r),
                     sf_http_path(r));
    http_problem(r, &err);
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
        query_http_relay_describe(&leaf->relay, route->domain, &route->read, route->request);
        return;
    }
    code = serving_decide(&leaf->serving, &(struct serving_caller){0}, route->product,
                          route->read.major, &right, &err);
    if (code == SF_OK) {
        code = query_describe(&right, &out, &err);
    }
    if (code != SF_OK) {
        http_problem(route->request, &err);
        return;
    }
    http_json(route->request, 200, &out);
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

/* /v1/products/D/P */
static void product_route(struct route *route)
{
    const char *method = sf_http_method(route->request);

    if (route->is_get) {
        describe(route);
    } else if (strcmp(method, "DELETE") == 0) {
        change_life(route, /* restore= */ false);
    } else if (strcmp(method, "PUT") != 0) {
        wrong_method(route->request);
    } else if (owns_or_refused(route)) {
        leaf_apply_http(route->leaf, route->request, route->user);
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

/* /v1/products/D/P/WHAT: what is done with a product as a whole. */
static void whole_route(struct route *route)
{
    const char *what = sf_http_part(route->request, 4);
    const bool records = strcmp(what, "records") == 0;

    if (!records && strcmp(what, "restore") != 0) {
        not_found(route->request);
    } else if (strcmp(sf_http_method(route->request), "POST") != 0) {
        wrong_method(route->request);
    } else if (records) {
        ingest(route);
    } else {
        change_life(route, /* restore= */ true);
    }
}

/* /v1/products/D/P/T/WHAT[/KEY] */
static void table_route(struct route *route)
{
    const size_t parts = sf_http_part_count(route->request);
    const char *what = sf_http_part(route->request, 5);

    route->read.table = sf_http_part(route->request, 4);
    if (!sf_name_is_table(sf_slice_text(route->read.table))) {
        not_found(route->request);
        return;
    }
    if (strcmp(what, "records") == 0 && parts == 6 &&
        strcmp(sf_http_method(route->request), "POST") == 0) {
        ingest(route);
    } else if (strcmp(what, "quarantine") == 0) {
        quarantine(route);
    } else if (!route->is_get) {
        wrong_method(route->request);
    } else if (strcmp(what, "records") == 0) {
        route->read.key = sf_http_part(route->request, 6);
        read_rows(route, parts == 7 ? QUERY_GET : QUERY_SCAN);
    } else if (strcmp(what, "changes") == 0 && parts == 6) {
        read_rows(route, QUERY_CHANGES);
    } else {
        not_found(route->request);
    }
}

static void products_route(struct route *route)
{
    const size_t parts = sf_http_part_count(route->request);
    struct sf_error err;

    if (parts == 2 && route->is_get) {
        leaf_products_http(route->leaf, route->request);
        return;
    }
    if (parts < 4 || parts > 7) {
        not_found(route->request);
        return;
    }
    route->domain = sf_http_part(route->request, 2);
    if (read_product(route, sf_http_part(route->request, 3), &err) != SF_OK) {
        http_problem(route->request, &err);
    } else if (parts == 4) {
        product_route(route);
    } else if (parts == 5) {
        whole_route(route);
    } else {
        table_route(route);
    }
}

static void v1_route(struct leaf *leaf, struct sf_http_request *r)
{
    const char *what = sf_http_part(r, 1);
    struct route route = {
        .leaf = leaf, .request = r, .is_get = strcmp(sf_http_method(r), "GET") == 0};
    struct sf_token token;
    struct sf_error err;

    if (authenticate(leaf, r, &token, &err) != SF_OK) {
        http_problem(r, &err);
        return;
    }
    (void)snprintf(route.user, sizeof(route.user), "%s", token.subject); /* the hub knows whose */
    if (what != NULL && strcmp(what, "products") == 0) {
        products_route(&route);
    } else if (what != NULL && strcmp(what, "status") == 0 && sf_http_part_count(r) == 2 &&
               route.is_get) {
        leaf_status_http(leaf, r);
    } else if (what != NULL && strcmp(what, "settings") == 0 && sf_http_part_count(r) == 2 &&
               route.is_get) {
        leaf_settings_http(leaf, r);
    } else if (what == NULL || strcmp(what, "leaf") != 0 || !leaf_admin_http(leaf, r)) {
        not_found(r);
    }
}

bool leaf_api_takes_pieces(const struct sf_http_request *r, void *data)
{
    (void)data;
    return ingest_stream_http_wants(r);
}

void leaf_api_handle(struct sf_http_request *r, void *data)
{
    struct leaf *leaf = data;
    const char *path = sf_http_path(r);
    const char *first = sf_http_part(r, 0);

    if (first != NULL && strcmp(first, "v1") == 0) {
        v1_route(leaf, r);
    } else if (strcmp(path, "/livez") == 0) {
        leaf_livez_http(r);
    } else if (strcmp(path, "/readyz") == 0) {
        leaf_readyz_http(leaf, r);
    } else if (strcmp(path, "/metrics") == 0) {
        leaf_metrics_http(leaf, r);
    } else {
        not_found(r);
    }
}
