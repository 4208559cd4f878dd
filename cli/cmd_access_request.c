
#include "cli/api.h"
#include "cli/catalog.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/product_ref.h"
#include "common/base/str.h"
#include "proto/errors.h"

struct request {
    struct product_ref product;
    const char *purpose;
    int64_t duration_us;
    struct columns columns;
    struct sf_arena arena;
    struct sf_buf seen;   /* "5 of 6 columns" */
    struct sf_buf unseen; /* ", without email (pii)" */
    struct sf_buf masked; /* and what else is not as it is stored */
};

static enum sf_code read_flags(struct cli *cli, struct request *r, struct sf_error *err)
{
    const char *duration = args_value(&cli->args, "for");
    enum sf_code code = product_ref_parse(cli->args.positional[0], &r->product, err);

    if (code != SF_OK) {
        return code;
    }
    r->purpose = args_value(&cli->args, "purpose");
    if (r->purpose == NULL || r->purpose[0] == '\0') {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "say with --purpose \"...\" what the data is for");
    }
    if (duration == NULL) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "say with --for how long, like --for 90d");
    }
    if (sf_parse_duration(sf_slice_text(duration), &r->duration_us) != SF_PARSE_OK ||
        r->duration_us <= 0) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "--for wants a time like 90d or 12h, not '%s'", duration);
    }
    return columns_split(args_value(&cli->args, "columns"), &r->arena, &r->columns, err);
}

static void add_field(struct request *r, const struct sf_json *f, unsigned *seen)
{
    const char *name = sf_json_text_of(f, "field");
    const char *class = sf_json_text_of(f, "class");
    const char *sees = sf_json_text_of(f, "sees");

    if (r->columns.count > 0 && !columns_have(&r->columns, name)) {
        return;
    }
    if (strcmp(sees, "omit") == 0) {
        sf_buf_printf(&r->unseen, "%s%s%s%s%s", r->unseen.size == 0 ? ", without " : ", ", name,
                      *class == '\0' ? "" : " (", class, *class == '\0' ? "" : ")");
    } else {
        (*seen)++;
        if (strcmp(sees, "clear") != 0) {
            sf_buf_printf(&r->masked, "%s%s (%s)", r->masked.size == 0 ? ", masked: " : ", ", name,
                          sees);
        }
    }
}

/* What the policies in force and the columns asked for would let through. */
static void preview(const struct sf_json *explanation, struct request *r)
{
    unsigned all = 0;
    unsigned seen = 0;

    for (struct sf_json_iter t = sf_json_iter(sf_json_get(explanation, "tables"));
         sf_json_next(&t);) {
        for (struct sf_json_iter f = sf_json_iter(sf_json_get(t.value, "fields"));
             sf_json_next(&f);) {
            all++;
            add_field(r, f.value, &seen);
        }
        for (struct sf_json_iter f = sf_json_iter(sf_json_get(t.value, "filters"));
             sf_json_next(&f);) {
            const char *filter = sf_json_text_of(f.value, "filter");

            sf_buf_printf(&r->masked, ", rows %s %s", *filter == '\0' ? "by policy" : "where",
                          *filter == '\0' ? sf_json_text_of(f.value, "policy") : filter);
        }
    }
    sf_buf_printf(&r->seen, "%u of %u columns", seen, all);
    sf_buf_slice(&r->seen, sf_buf_view(&r->unseen));
    sf_buf_slice(&r->seen, sf_buf_view(&r->masked));
}

static enum sf_code explain(struct api *a, struct request *r, const char *product,
                            struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf path = {0};
    const struct sf_json *root = NULL;
    enum sf_code code;

    sf_buf_text(&path, "/v1/explain?who=");
    api_escape(&path, a->who.domain);
    sf_buf_text(&path, "&product=");
    api_escape(&path, product);
    sf_buf_text(&path, "&purpose=");
    api_escape(&path, r->purpose);
    code = sf_buf_cstr(&path) == NULL ? sf_buf_check(&path, "path", err)
                                      : api_get_hub(a, sf_buf_cstr(&path), &root, err);
    if (code == SF_OK) {
        preview(root, r);
    }
    return code;
}

static void write_body(const struct request *r, struct sf_buf *body)
{
    struct sf_json_writer w = {.out = body};
    char product[PRODUCT_REF_TEXT_MAX];

    product_ref_text(&r->product, product);
    sf_json_object_begin(&w);
    sf_json_member_text(&w, "product", product);
    sf_json_member_text(&w, "purpose", r->purpose);
    sf_json_member_int(&w, "duration_us", r->duration_us);
    if (r->columns.count > 0) {
        sf_json_key(&w, "columns");
        sf_json_array_begin(&w);
        for (size_t i = 0; i < r->columns.count; i++) {
            sf_json_text(&w, r->columns.names[i]);
        }
        sf_json_array_end(&w);
    }
    sf_json_object_end(&w);
}

static enum sf_code print_result(struct cli *cli, struct api *a, struct request *r,
                                 struct sf_error *err)
{
    const struct sf_json *root = NULL;
    const char *id = "?";
    const char *state = "?";
    enum sf_code code = api_json(a, &root, err);

    if (code != SF_OK) {
        return code;
    }
    (void)sf_json_as_text(sf_json_get(root, "id"), &id);
    (void)sf_json_as_text(sf_json_get(root, "state"), &state);
    cli_line(cli, "request %s %s · decided by: %s · you would see: %s", id, state,
             r->product.domain, sf_buf_cstr(&r->seen));
    if (cli->print.format == PRINT_TABLE) {
        cli_note(cli, "next:  sheaf access approve %s --as %s", id, r->product.domain);
        return SF_OK;
    }
    print_begin(&cli->print, PRINT_OBJECT, "AccessRequest");
    print_answer_members(&cli->print, root);
    return print_end(&cli->print, err);
}

static enum sf_code run(struct cli *cli, struct api *a, struct request *r, struct sf_error *err)
{
    char path[PRODUCT_REF_TEXT_MAX + 16];
    char text[PRODUCT_REF_TEXT_MAX];
    struct sf_buf body = {0};
    const struct sf_json *product = NULL;
    enum sf_code code = read_flags(cli, r, err);

    code = code == SF_OK ? api_open(cli, a, err) : code;
    code = code == SF_OK ? api_act(a, NULL, err) : code;
    if (code != SF_OK) {
        return code;
    }
    product_ref_text(&r->product, text);
    (void)snprintf(path, sizeof(path), "/v1/products/%s", text);
    code = api_get_hub(a, path, &product, err);
    if (code != SF_OK) {
        return code;
    }
    catalog_note_end(a, &r->product, product);
    code = explain(a, r, text, err);
    if (code != SF_OK) {
        return code;
    }
    write_body(r, &body);
    code = sf_buf_check(&body, "request", err);
    if (code == SF_OK) {
        code = api_hub(a,
                       &(struct api_call){.method = "POST",
                                          .path = "/v1/access/requests",
                                          .content_type = "application/json",
                                          .body = sf_buf_view(&body)},
                       err);
    }
    sf_buf_done(&body);
    return code == SF_OK ? print_result(cli, a, r, err) : code;
}

int cmd_access_request(struct cli *cli)
{
    struct api api = {0};
    struct request r = {.seen = {0}};
    struct sf_error err;
    enum sf_code code = SF_OK;

    sf_arena_init(&r.arena, 0);
    code = run(cli, &api, &r, &err);
    sf_buf_done(&r.seen);
    sf_buf_done(&r.unseen);
    sf_buf_done(&r.masked);
    sf_arena_done(&r.arena);
    api_done(&api);
    return code == SF_OK ? CLI_OK : cli_fail(cli, &err);
}
