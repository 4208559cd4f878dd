#include "cli/catalog.h"

#include <stdio.h>
#include <string.h>

#include "proto/errors.h"
#include "proto/subjects.h"

enum { LIST_MAX = 240 };

static void product_path(const struct product_ref *r, struct sf_buf *ret)
{
    char text[PRODUCT_REF_TEXT_MAX];

    product_ref_text(r, text);
    sf_buf_printf(ret, "/v1/products/%s", text);
}

void catalog_table_path(const struct product_ref *r, struct sf_buf *ret)
{
    product_path(r, ret);
    sf_buf_printf(ret, "/%s", r->table);
}

static enum sf_code choose_table(const struct sf_json *tables, struct product_ref *r,
                                 struct sf_error *err)
{
    char list[LIST_MAX] = "";
    const char *name = "";

    for (struct sf_json_iter it = sf_json_iter(tables); sf_json_next(&it);) {
        size_t used = strlen(list);

        (void)sf_json_as_text(sf_json_get(it.value, "name"), &name);
        (void)snprintf(list + used, sizeof(list) - used, "%s%s", used == 0 ? "" : ", ", name);
    }
    if (sf_json_count(tables) == 0) {
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_POLICY_DENIES, "all tables of %s/%s", r->domain,
                          r->product);
    }
    if (sf_json_count(tables) != 1) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_TABLE_UNKNOWN,
                          "say which table of %s/%s, as %s/%s.TABLE; it has: %s", r->domain,
                          r->product, r->domain, r->product, list);
    }
    (void)snprintf(r->table, sizeof(r->table), "%s", name);
    return SF_OK;
}

enum sf_code catalog_fill_table(struct api *a, struct product_ref *r, struct sf_error *err)
{
    struct sf_buf path = {0};
    const struct sf_json *root = NULL;
    enum sf_code code = SF_OK;

    if (r->table[0] != '\0') {
        return SF_OK;
    }
    product_path(r, &path);
    if (sf_buf_cstr(&path) == NULL) {
        code = sf_buf_check(&path, "path", err);
    } else {
        code = api_get_leaf(a, sf_buf_cstr(&path), &root, err);
    }
    sf_buf_done(&path);
    return code == SF_OK ? choose_table(sf_json_get(root, "tables"), r, err) : code;
}

void catalog_left_out(struct api *a, const struct product_ref *r,
                      bool (*has_field)(void *data, const char *name), void *data,
                      struct sf_buf *ret)
{
    struct sf_buf path = {0};
    const struct sf_json *root = NULL;
    struct sf_error err;

    product_path(r, &path);
    if (sf_buf_cstr(&path) == NULL || api_get_hub(a, sf_buf_cstr(&path), &root, &err) != SF_OK) {
        sf_buf_done(&path);
        return;
    }
    sf_buf_done(&path);
    for (struct sf_json_iter t = sf_json_iter(sf_json_get(root, "tables")); sf_json_next(&t);) {
        const char *table = sf_json_text_of(t.value, "name");

        if (strcmp(table, r->table) != 0) {
            continue;
        }
        for (struct sf_json_iter f = sf_json_iter(sf_json_get(t.value, "fields"));
             sf_json_next(&f);) {
            const char *name = "";
            const char *class = "";

            (void)sf_json_as_text(sf_json_get(f.value, "name"), &name);
            (void)sf_json_as_text(sf_json_get(f.value, "class"), &class);
            if (!has_field(data, name)) {
                sf_buf_printf(ret, "%s%s%s%s%s", ret->size == 0 ? "" : ", ", name,
                              class[0] != '\0' ? " (" : "", class, class[0] != '\0' ? ")" : "");
            }
        }
    }
}

static void say_how_to_ask(struct api *a, const struct product_ref *r)
{
    (void)snprintf(a->cli->next, sizeof(a->cli->next),
                   "sheaf access request %s/%s --as %s --purpose TEXT --for 90d", r->domain,
                   r->product, a->who.domain);
}

enum sf_code catalog_explain(struct api *a, const struct product_ref *r, enum sf_code code,
                             struct sf_error *err)
{
    struct sf_error found = *err;
    struct sf_buf path = {0};
    const struct sf_json *root = NULL;
    bool granted = true;
    enum sf_code asked = SF_OK;

    if (err->number == SHEAF_E_DENIED) {
        say_how_to_ask(a, r);
        return code;
    }
    if ((err->number != SHEAF_E_LEAF_UNREACHABLE && err->number != SHEAF_E_NO_ANSWER) ||
        strcmp(a->who.domain, r->domain) == 0) {
        return code;
    }
    product_path(r, &path);
    asked =
        sf_buf_cstr(&path) == NULL ? SF_NOMEM : api_get_hub(a, sf_buf_cstr(&path), &root, &found);
    sf_buf_done(&path);
    if (asked == SF_ABSENT) {
        *err = found;
        return asked;
    }
    a->cli->next[0] = '\0';
    if (asked == SF_OK && sf_json_as_bool(sf_json_get(root, "granted"), &granted) && !granted) {
        say_how_to_ask(a, r);
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_DENIED, "%s has no grant for %s/%s",
                          a->who.domain, r->domain, r->product);
    }
    return code;
}

enum sf_code catalog_file(const struct sf_json *product, struct sf_slice *ret, struct sf_error *err)
{
    const char *seen_by = "*";
    const char *name = "";

    (void)sf_json_as_text(sf_json_get(product, "seen_by"), &seen_by);
    (void)sf_json_as_text(sf_json_get(product, "product"), &name);
    if (strcmp(seen_by, "*") != 0) {
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_WRONG_ACTOR,
                          "the file of %s is for its owner and the platform; %s sees a view of it",
                          name, seen_by);
    }
    (void)sf_json_as_slice(sf_json_get(product, "contract"), ret);
    return SF_OK;
}

/* The member of "status=deprecated; sunset=2027-03-01", or "". */
static void member_of(const char *text, const char *name, char *ret, size_t size)
{
    const size_t n = strlen(name);

    *ret = '\0';
    while (*text != '\0') {
        const size_t length = strcspn(text, ";");

        if (length > n && strncmp(text, name, n) == 0 && text[n] == '=') {
            (void)snprintf(ret, size, "%.*s", (int)(length - n - 1), text + n + 1);
        }
        text += length;
        text += strspn(text, "; ");
    }
}

static void note(struct api *a, const struct product_ref *r, const char *status, const char *sunset,
                 const char *successor)
{
    char text[PRODUCT_REF_TEXT_MAX];

    product_ref_text(r, text);
    cli_note(a->cli, "%s is %s%s%s%s%s", text, status, *sunset == '\0' ? "" : " until ", sunset,
             *successor == '\0' ? "" : "; read ", successor);
}

void catalog_note_end(struct api *a, const struct product_ref *r, const struct sf_json *product)
{
    const char *told =
        product == NULL ? sf_http_answer_header(&a->answer, HEADER_DEPRECATED) : NULL;
    const char *words[3] = {"", "", ""};
    char parts[3][160];

    if (told != NULL) {
        member_of(told, "status", parts[0], sizeof(parts[0]));
        member_of(told, "sunset", parts[1], sizeof(parts[1]));
        member_of(told, "successor", parts[2], sizeof(parts[2]));
        note(a, r, parts[0], parts[1], parts[2]);
    } else if (product != NULL) {
        (void)sf_json_as_text(sf_json_get(product, "status"), &words[0]);
        (void)sf_json_as_text(sf_json_get(product, "sunset"), &words[1]);
        (void)sf_json_as_text(sf_json_get(product, "successor"), &words[2]);
        if (strcmp(words[0], "deprecated") == 0 || strcmp(words[0], "retired") == 0) {
            note(a, r, words[0], words[1], words[2]);
        }
    }
}
