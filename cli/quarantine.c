#include "cli/quarantine.h"

#include <inttypes.h>

#include "common/base/str.h"
#include "proto/errors.h"

enum sf_code quarantine_open(struct cli *cli, struct quarantine *ret, struct sf_error *err)
{
    enum sf_code code;

    *ret = (struct quarantine){.cli = cli};
    code = product_ref_parse(cli->args.positional[0], &ret->ref, err);
    code = code == SF_OK ? api_open(cli, &ret->api, err) : code;
    code = code == SF_OK ? api_act(&ret->api, ret->ref.domain, err) : code;
    code = code == SF_OK ? catalog_fill_table(&ret->api, &ret->ref, err) : code;
    if (code == SF_OK) {
        catalog_table_path(&ret->ref, &ret->path);
        sf_buf_text(&ret->path, "/quarantine");
        code = sf_buf_check(&ret->path, "path", err);
    }
    return code;
}

void quarantine_done(struct quarantine *q)
{
    sf_buf_done(&q->path);
    api_done(&q->api);
}

enum sf_code quarantine_filter(struct quarantine *q, struct sf_buf *path, bool *ret_any,
                               struct sf_error *err)
{
    static const struct {
        const char *flag;
        const char *parameter;
    } names[] = {
        {"code", "code"},
        {"field", "field"},
        {"older-than", "older_than"},
        {"newer-than", "newer_than"},
    };

    sf_buf_byte(path, '?');
    for (size_t i = 0; i < SF_COUNT(names); i++) {
        const char *value = args_value(&q->cli->args, names[i].flag);

        if (value != NULL) {
            *ret_any = true;
            sf_buf_printf(path, "%s=", names[i].parameter);
            api_escape(path, value);
            sf_buf_byte(path, '&');
        }
    }
    return sf_buf_check(path, "path", err);
}

enum sf_code quarantine_number(const struct cli *cli, unsigned i, uint64_t *ret,
                               struct sf_error *err)
{
    const char *text = cli->args.positional[i];

    return sf_parse_u64(sf_slice_text(text), ret) == SF_PARSE_OK && *ret > 0
               ? SF_OK
               : SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                            "'%s' is not the number of an entry (qseq)", text);
}

enum sf_code quarantine_call(struct quarantine *q, const char *method, const char *more,
                             const struct sf_json **ret, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf path = {0};
    enum sf_code code;

    sf_buf_slice(&path, sf_buf_view(&q->path));
    sf_buf_text(&path, more);
    if (sf_buf_cstr(&path) == NULL) {
        return sf_buf_check(&path, "path", err);
    }
    code = api_leaf(&q->api, &(struct api_call){.method = method, .path = (const char *)path.data},
                    err);
    return code == SF_OK ? api_json(&q->api, ret, err) : code;
}

enum sf_code quarantine_get(struct quarantine *q, uint64_t *ret_qseq, const struct sf_json **ret,
                            struct sf_error *err)
{
    char more[32];
    enum sf_code code = quarantine_number(q->cli, 1, ret_qseq, err);

    (void)snprintf(more, sizeof(more), "/%" PRIu64, *ret_qseq);
    return code == SF_OK ? quarantine_call(q, "GET", more, ret, err) : code;
}

void quarantine_print_errors(struct cli *cli, const struct sf_json *errors)
{
    for (struct sf_json_iter it = sf_json_iter(errors); sf_json_next(&it);) {
        const char *code = sf_json_text_of(it.value, "code");
        const char *field = "";
        const char *detail = "";
        uint64_t qseq = 0;

        (void)sf_json_as_uint(sf_json_get(it.value, "qseq"), &qseq);
        (void)sf_json_as_text(sf_json_get(it.value, "field"), &field);
        (void)sf_json_as_text(sf_json_get(it.value, "detail"), &detail);
        (void)fprintf(cli->err, "  %" PRIu64 ": %s%s%s: %s\n", qseq, code,
                      field[0] != '\0' ? " " : "", field, detail);
    }
}
