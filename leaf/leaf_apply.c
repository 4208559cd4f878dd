/* Products: loading those stored, and applying one that came by HTTP (PUT /v1/products/D/P). */
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/contract/lint.h"
#include "common/contract/product_file.h"
#include "common/wire/problem.h"
#include "leaf/leaf_private.h"
#include "leaf/serving/http_answer.h"
#include "leaf/store/read.h"
#include "proto/errors.h"

/*
 *            hub accepts               durable
 *   ASKING -------------> STORING -------------> answered
 *      |                     |
 *      +--- refused, away ---+--- store failed --> answered with a problem
 */
struct apply {
    struct leaf *leaf;
    struct sf_http_request *request; /* NULL once the client has left */
    struct sf_buf yaml;
    struct sf_product *product;
    bool dry_run;
    bool changed;
    bool storing;
    struct sf_buf warnings; /* lines */
    uint32_t contract_id;
    uint8_t key[PRODUCT_KEY_BYTES];
    struct store_put put;
    struct store_write write;
};

/* --- loading ---------------------------------------------------------------------------------- */

enum sf_code leaf_products_load(struct leaf *leaf, struct sf_error *err)
{
    SF_CLEANUP(store_snapshot_freep) struct store_snapshot *snapshot = NULL;
    SF_CLEANUP(store_small_freep) struct store_small *it = NULL;
    struct sf_slice key;
    struct sf_slice yaml;
    bool more;
    enum sf_code code = store_snapshot_new(leaf->store, &snapshot, err);

    if (code == SF_OK) {
        code = store_small_new(snapshot, STORE_META, sf_slice_text(PRODUCT_KEY_PREFIX), &it, err);
    }
    while (code == SF_OK) {
        code = store_small_next(it, &key, &yaml, NULL, &more, err);
        if (code != SF_OK || !more) {
            break;
        }
        if (key.size != PRODUCT_KEY_BYTES) {
            return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "contract key of %zu bytes",
                              key.size);
        }
        code = product_set_add(&leaf->serving.products,
                               sf_read_be32(key.data + PRODUCT_KEY_BYTES - 4), yaml, err);
    }
    return code;
}

/* --- answering -------------------------------------------------------------------------------- */

static void apply_free(struct apply *a)
{
    if (a->leaf->apply == a) {
        a->leaf->apply = NULL;
    }
    sf_product_free(a->product);
    sf_buf_done(&a->yaml);
    sf_buf_done(&a->warnings);
    sf_free(a);
}

static void answer_problem(struct apply *a, const struct sf_error *err)
{
    if (a->request != NULL) {
        http_problem(a->request, err);
    }
    apply_free(a);
}

/* A problem whose detail names every finding, one per line. */
static void answer_findings(struct apply *a, uint16_t number, const char *first, struct sf_buf *all)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    struct sf_json_writer w = {.out = &body};
    struct sf_error err;

    if (sf_buf_check(all, "findings", &err) != SF_OK) {
        answer_problem(a, &err); /* Rather than some of them. */
        return;
    }
    (void)sf_error_set(&err, SF_INVALID, number, __FILE__, "%s", first);
    sf_problem_begin(&w, &err);
    sf_json_member_slice(&w, "findings", sf_buf_view(all));
    sf_json_object_end(&w);
    if (a->request != NULL) {
        http_problem_document(a->request, &err, &body);
    }
    apply_free(a);
}

static void answer_applied(struct apply *a)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    struct sf_json_writer w = {.out = &body};
    const struct sf_product *p = a->product;

    sf_json_object_begin(&w);
    sf_json_member_text(&w, "apiVersion", "sheaf/v1");
    sf_json_member_text(&w, "kind", "Applied");
    sf_json_key(&w, "product");
    sf_json_printf(&w, "%s/%s", p->domain, p->name);
    sf_json_key(&w, "version");
    sf_json_printf(&w, "%u.%u.%u", p->version.major, p->version.minor, p->version.patch);
    sf_json_member_bool(&w, "changed", a->changed);
    sf_json_member_bool(&w, "dry_run", a->dry_run);
    sf_json_member_slice(&w, "warnings", sf_buf_view(&a->warnings));
    sf_json_object_end(&w);
    if (a->request != NULL) {
        http_json(a->request, 200, &body);
    }
    apply_free(a);
}

/* --- storing ---------------------------------------------------------------------------------- */

static void contract_stored(struct store_write *w, const struct sf_error *err)
{
    struct apply *a = w->data;
    struct leaf *leaf = a->leaf;
    struct sf_error failed;

    if (err != NULL) {
        answer_problem(a, err);
        return;
    }
    if (product_set_add(&leaf->serving.products, a->contract_id, sf_buf_view(&a->yaml), &failed) !=
        SF_OK) {
        sf_log(SF_LOG_ERROR, "leaf.contract_not_taken_up", SF_F_ERROR(&failed));
        answer_problem(a, &failed);
        return;
    }
    sf_log(SF_LOG_INFO, "leaf.product_applied", SF_F_TEXT("product", a->product->name),
           SF_F_UINT("major", a->product->version.major), SF_F_UINT("contract_id", a->contract_id));
    leaf_serving_changed(leaf);
    leaf_retain_changed(leaf);
    answer_applied(a);
}

static void store_contract(struct apply *a)
{
    struct leaf *leaf = a->leaf;
    const struct served_product *now =
        product_set_find(&leaf->serving.products, a->product->name, a->product->version.major);
    struct sf_error err;

    if (now != NULL && sf_slice_equal(now->yaml, sf_buf_view(&a->yaml))) {
        answer_applied(a); /* This very file stands already. */
        return;
    }
    a->contract_id = leaf->serving.products.contract_id_highest + 1;
    product_set_key(a->contract_id, a->key);
    a->put = (struct store_put){
        .space = STORE_META,
        .key = sf_slice_of(a->key, sizeof(a->key)),
        .value = sf_buf_view(&a->yaml),
    };
    a->write = (struct store_write){.data = a, .puts = &a->put, .put_count = 1};
    if (store_submit(leaf->store, &a->write, contract_stored, &err) != SF_OK) {
        answer_problem(a, &err);
        return;
    }
    a->storing = true;
}

void leaf_apply_cancel(struct leaf *leaf)
{
    if (leaf->apply != NULL && !leaf->apply->storing) {
        apply_free(leaf->apply);
    }
}

static void hub_answered(void *data, const Sheaf__V1__ApplyReply *reply, const struct sf_error *err)
{
    struct apply *a = data;
    SF_CLEANUP(sf_buf_done) struct sf_buf findings = {0};
    uint16_t number = 0;
    const char *first = "";

    if (err != NULL) {
        answer_problem(a, err);
        return;
    }
    for (size_t i = 0; i < reply->n_findings; i++) {
        const Sheaf__V1__Finding *f = reply->findings[i];

        if (!f->is_error) {
            char code[24] = "";

            if (f->number != 0) {
                (void)snprintf(code, sizeof(code), "[SHEAF-E%04u]", f->number);
            }
            sf_buf_printf(&findings, "warning%s: %s\n", code, f->text);
            sf_buf_printf(&a->warnings, "warning%s: %s\n", code, f->text);
            continue;
        }
        sf_buf_printf(&findings, "error[SHEAF-E%04u]: %s\n", f->number, f->text);
        if (number == 0) {
            number = (uint16_t)f->number;
            first = f->text;
        }
    }
    if (!reply->accepted) {
        answer_findings(a, number == 0 ? SHEAF_E_INTERNAL : number, first, &findings);
        return;
    }
    a->changed = reply->changed;
    if (a->dry_run) {
        answer_applied(a);
        return;
    }
    store_contract(a);
}

/* --- starting --------------------------------------------------------------------------------- */

static void on_abort(struct sf_http_request *r, void *data)
{
    struct apply *a = data;

    (void)r;
    a->request = NULL; /* It goes on: the hub may have taken it up. */
}

/* Reads the file; false: answered with what is wrong, and @a is gone. */
static bool read_product(struct apply *a)
{
    struct sf_issues issues;
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    struct sf_error err;
    enum sf_code code;

    sf_issues_init(&issues, "product.yaml", sf_buf_view(&a->yaml));
    code = sf_product_parse(&issues, &a->product, &err);
    if (code == SF_OK) {
        sf_product_lint(a->product, &issues);
    }
    sf_issues_render(&issues, &text);
    sf_issues_done(&issues);
    if (code == SF_INVALID) {
        answer_findings(a, err.number, err.text, &text);
        return false;
    }
    if (code != SF_OK) {
        answer_problem(a, &err);
        return false;
    }
    sf_buf_slice(&a->warnings, sf_buf_view(&text));
    return true;
}

static bool is_of_path(const struct apply *a, const struct sf_http_request *r)
{
    return strcmp(a->product->domain, sf_http_part(r, 2)) == 0 &&
           strcmp(a->product->name, sf_http_part(r, 3)) == 0;
}

/* Before the hub is told: what it took up and this leaf could not would keep it from starting. */
static enum sf_code check_leaf(const struct leaf *leaf, struct sf_error *err)
{
    if (leaf->uplink == NULL) {
        return SF_RAISE_E(err, SF_UNAVAILABLE, SHEAF_E_HUB_UNREACHABLE,
                          "this leaf has not joined a mesh");
    }
    if (leaf->serving.products.version_count >= PRODUCT_VERSIONS_MAX) {
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_BUSY,
                          "this leaf has %d versions of products, the "
                          "most it holds",
                          PRODUCT_VERSIONS_MAX);
    }
    return SF_OK;
}

static void refuse_second(const struct apply *first, struct sf_http_request *r)
{
    const struct sf_product *p = first->product;
    struct sf_error err;

    (void)SF_RAISE_E(&err, SF_BUSY, SHEAF_E_BUSY, "%s/%s %u.%u.%u is being applied: %s", p->domain,
                     p->name, p->version.major, p->version.minor, p->version.patch,
                     first->storing ? "it is being stored" : "the hub has not answered yet");
    http_problem(r, &err);
}

void leaf_apply_http(struct leaf *leaf, struct sf_http_request *r, const char *user)
{
    const char *dry_run = sf_http_query(r, "dry_run");
    struct sf_error err;
    struct apply *a;

    if (leaf->apply != NULL) {
        refuse_second(leaf->apply, r);
        return;
    }
    a = sf_calloc(1, sizeof(*a));
    if (a == NULL) {
        (void)SF_RAISE(&err, SF_NOMEM, "product");
        http_problem(r, &err);
        return;
    }
    a->leaf = leaf;
    a->request = r;
    a->dry_run = dry_run != NULL && strcmp(dry_run, "1") == 0;
    leaf->apply = a;
    sf_buf_slice(&a->yaml, sf_http_body(r));
    if (sf_buf_check(&a->yaml, "product", &err) != SF_OK) {
        answer_problem(a, &err);
        return;
    }
    if (!read_product(a)) {
        return;
    }
    if (!is_of_path(a, r)) {
        (void)SF_RAISE_E(&err, SF_INVALID, SHEAF_E_BAD_REQUEST, "the file describes %s/%s",
                         a->product->domain, a->product->name);
        answer_problem(a, &err);
        return;
    }
    if (check_leaf(leaf, &err) != SF_OK) {
        answer_problem(a, &err);
        return;
    }
    sf_http_set_hooks(r, &(struct sf_http_hooks){.on_abort = on_abort, .data = a});
    const struct uplink_apply what = {
        .yaml = sf_buf_view(&a->yaml), .applied_by = user, .dry_run = a->dry_run};

    if (uplink_apply_product(leaf->uplink, &what, hub_answered, a, &err) != SF_OK) {
        sf_http_set_hooks(r, &(struct sf_http_hooks){0});
        answer_problem(a, &err);
    }
}
