/* GET .../{table}/preview: rows as another domain would get them, for the owner's eyes. */
#include "leaf/query/preview_http.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/contract/contract.h"
#include "leaf/query/http_page.h"
#include "leaf/query/params.h"
#include "leaf/serving/http_answer.h"
#include "proto/errors.h"

struct preview {
    struct sf_http_request *request;
    struct query *query;
    struct sf_buf document; /* up to the rows */
    struct sf_json_writer json;
};

static void preview_free(struct preview *p)
{
    if (p->query != NULL) {
        query_close(p->query);
    }
    sf_buf_done(&p->document);
    sf_free(p);
}

static void on_abort(struct sf_http_request *r, void *data)
{
    (void)r;
    preview_free(data);
}

static void on_page(void *data, const struct query_page *page, const struct sf_error *err)
{
    struct preview *p = data;
    struct sf_json_writer *w = &p->json;
    char position[QUERY_POSITION];

    if (err != NULL) {
        http_problem(p->request, err);
    } else {
        (void)query_position_text(page->shown_epoch, page->last_seq, position);
        sf_json_member_text(w, "position", position);
        sf_json_key(w, "items");
        http_page_items(w, page->data);
        sf_json_object_end(w);
        http_json(p->request, 200, &p->document);
    }
    preview_free(p);
}

static enum sf_code read_roles(const char *text, struct served_roles *ret, struct sf_error *err)
{
    while (text != NULL && *text != '\0') {
        const size_t n = strcspn(text, ",");
        struct sf_token_role role = {0};

        if (n == 0 || n >= sizeof(role.text) || ret->count >= SF_TOKEN_ROLES_MAX) {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                              "'role' must be at most %d names of at most %zu characters: a,b",
                              SF_TOKEN_ROLES_MAX, sizeof(role.text) - 1);
        }
        memcpy(role.text, text, n);
        served_roles_add(ret, &role);
        text += n + (text[n] == ',');
    }
    return SF_OK;
}

static enum sf_code read_who(const struct serving *s, const struct sf_http_request *r,
                             struct serving_as *ret, struct sf_error *err)
{
    ret->domain = sf_http_query(r, "as");
    ret->purpose = sf_http_query(r, "purpose");
    if (ret->domain == NULL || !sf_name_is_product(sf_slice_text(ret->domain)) ||
        strcmp(ret->domain, s->domain) == 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'as' must be another domain");
    }
    return read_roles(sf_http_query(r, "role"), &ret->roles, err);
}

static enum sf_code read_limit(const struct sf_http_request *r, uint64_t *ret, struct sf_error *err)
{
    enum sf_code code = query_params_number("limit", sf_http_query(r, "limit"), ret, err);

    if (code == SF_OK && *ret > PREVIEW_ROWS_MAX) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'limit' must be at most %d",
                          PREVIEW_ROWS_MAX);
    }
    *ret = *ret == 0 ? PREVIEW_ROWS : *ret;
    return code;
}

/* Who, and what it sees and why: of the very view that the rows go through. */
static void write_head(const struct serving_as *as, const struct query_request *q,
                       struct sf_json_writer *w)
{
    sf_json_object_begin(w);
    sf_json_member_text(w, "apiVersion", "sheaf/v1");
    sf_json_member_text(w, "kind", "Preview");
    sf_json_member_text(w, "as", as->domain);
    sf_json_key(w, "roles");
    sf_json_array_begin(w);
    for (size_t i = 0; i < as->roles.count; i++) {
        sf_json_text(w, as->roles.items[i].text);
    }
    sf_json_array_end(w);
    sf_json_member_text(w, "purpose", *as->grant.purpose == '\0' ? NULL : as->grant.purpose);
    sf_json_member_text(w, "grant", as->granted == NULL ? NULL : as->granted->id);
    sf_json_member_text(w, "table", q->table->contract->name);
    sf_json_member_text(w, "view", q->view_name);
    sf_policy_view_write(q->served->decision, q->table->contract, SF_POLICY_FOR_OWNER, w);
}

static enum sf_code start(struct queries *qs, const struct http_read *what,
                          struct sf_http_request *r, struct preview *p, struct sf_error *err)
{
    const struct queries_options *o = queries_get_options(qs);
    struct query_params params = {.table = what->table, .major = what->major, .pages = 1};
    struct serving_as as = {0};
    struct serving_right right;
    struct query_request request;
    enum sf_code code = read_who(o->serving, r, &as, err);

    code = code == SF_OK ? read_limit(r, &params.limit, err) : code;
    if (code == SF_OK) {
        code = serving_decide_as(o->serving, &as, what->product, what->major, &right, err);
    }
    if (code == SF_OK) {
        code = query_request_build(&params, QUERY_SCAN, &right, o->seal_key, &request, err);
    }
    if (code == SF_OK) {
        write_head(&as, &request, &p->json);
        code = query_start(qs, &request, on_page, p, &p->query, err);
    }
    return code;
}

void query_http_preview(struct queries *qs, const struct http_read *what, struct sf_http_request *r)
{
    struct preview *p = sf_calloc(1, sizeof(*p));
    struct sf_error err;
    enum sf_code code = p == NULL ? SF_RAISE(&err, SF_NOMEM, "preview") : SF_OK;

    if (p != NULL) {
        p->request = r;
        p->json.out = &p->document;
        code = start(qs, what, r, p, &err);
    }
    if (code == SF_OK) {
        sf_http_set_hooks(r, &(struct sf_http_hooks){.on_abort = on_abort, .data = p});
        return;
    }
    http_problem(r, &err);
    if (p != NULL) {
        preview_free(p);
    }
}
