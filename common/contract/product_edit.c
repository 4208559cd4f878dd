#include "common/contract/product_edit.h"

#include <stdio.h>
#include <string.h>

#include "common/base/time.h"
#include "common/contract/product_file.h"
#include "common/contract/product_print.h"
#include "proto/errors.h"

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Takes a line, its end included, off the front of @rest. */
static struct sf_slice take_line(struct sf_slice *rest)
{
    const uint8_t *end = memchr(rest->data, '\n', rest->size);
    const size_t n = end == NULL ? rest->size : (size_t)(end - rest->data) + 1;
    struct sf_slice line = sf_slice_of(rest->data, n);

    *rest = sf_slice_of(rest->data + n, rest->size - n);
    return line;
}

/* Whether @line begins the value of @key at the top level; *ret_at: behind the colon. */
static bool is_key(struct sf_slice line, const char *key, size_t *ret_at)
{
    const size_t n = strlen(key);

    *ret_at = n + 1;
    return line.size > n && memcmp(line.data, key, n) == 0 && line.data[n] == ':';
}

/* The line with another plain value; a comment behind it stays. */
static void put_value(struct sf_slice line, size_t at, const char *value, struct sf_buf *out)
{
    while (at < line.size && (line.data[at] == ' ' || line.data[at] == '\t')) {
        at++;
    }
    sf_buf_append(out, line.data, at);
    while (at < line.size && !is_blank(line.data[at])) {
        at++;
    }
    sf_buf_text(out, value);
    sf_buf_append(out, line.data + at, line.size - at);
}

static void put_status(const struct sf_product *life, struct sf_buf *out)
{
    sf_buf_printf(out, "status: %s\n", sf_status_name(life->status));
}

static void put_lines(struct sf_slice yaml, const struct sf_product *life, struct sf_buf *out)
{
    bool has_status = false;
    bool in_deprecated = false;
    struct sf_slice rest = yaml;
    char version[40];
    size_t at;

    (void)snprintf(version, sizeof(version), "%u.%u.%u", life->version.major, life->version.minor,
                   life->version.patch);
    for (struct sf_slice look = yaml; look.size > 0;) {
        has_status |= is_key(take_line(&look), "status", &at);
    }
    while (rest.size > 0) {
        struct sf_slice line = take_line(&rest);

        if (in_deprecated && is_blank(line.data[0])) {
            continue; /* goes on below the key */
        }
        in_deprecated = is_key(line, "deprecated", &at);
        if (in_deprecated) {
            continue;
        }
        if (is_key(line, "version", &at)) {
            put_value(line, at, version, out);
        } else if (is_key(line, "status", &at)) {
            put_value(line, at, sf_status_name(life->status), out);
        } else {
            sf_buf_slice(out, line);
            continue;
        }
        if (line.data[line.size - 1] != '\n') {
            sf_buf_byte(out, '\n');
        }
        if (is_key(line, "version", &at) && !has_status) {
            put_status(life, out);
        }
        if (is_key(line, "status", &at) || !has_status) {
            sf_product_print_deprecated(life, out);
        }
    }
}

static enum sf_code parse(struct sf_slice yaml, struct sf_product **ret, struct sf_error *err)
{
    struct sf_issues issues;
    enum sf_code code;

    sf_issues_init(&issues, "product.yaml", yaml);
    code = sf_product_parse(&issues, ret, err);
    sf_issues_done(&issues);
    return code;
}

enum sf_code sf_product_edit(struct sf_slice yaml, const struct sf_product_edit *edit,
                             struct sf_buf *out, struct sf_error *err)
{
    SF_CLEANUP(sf_product_freep) struct sf_product *wanted = NULL;
    SF_CLEANUP(sf_product_freep) struct sf_product *got = NULL;
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    enum sf_code code = parse(yaml, &wanted, err);

    if (code != SF_OK) {
        return code;
    }
    wanted->version = edit->version;
    wanted->status = edit->status;
    wanted->has_since = edit->has_since;
    wanted->since_days = edit->since_days;
    wanted->has_sunset = edit->has_sunset;
    wanted->sunset_days = edit->sunset_days;
    wanted->successor = edit->successor;
    wanted->deprecation_note = edit->note;
    put_lines(yaml, wanted, &text);
    code = sf_buf_check(&text, "product file", err);
    if (code == SF_OK) {
        code = parse(sf_buf_view(&text), &got, err);
    }
    if (code == SF_NOMEM) {
        return code;
    }
    if (code != SF_OK || !sf_product_equal(wanted, got)) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_VALUE,
                          "the lines of %s/%s's file cannot be edited one by one", wanted->domain,
                          wanted->name);
    }
    sf_buf_slice(out, sf_buf_view(&text));
    return sf_buf_check(out, "product file", err);
}
