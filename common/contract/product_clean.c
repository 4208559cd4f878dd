#include "common/contract/product_clean.h"

#include <string.h>

#include "common/base/time.h"
#include "proto/errors.h"

static bool is_number(enum sf_type type)
{
    return type == SF_TYPE_INT32 || type == SF_TYPE_INT64 || type == SF_TYPE_FLOAT ||
           type == SF_TYPE_DOUBLE || type == SF_TYPE_DECIMAL || type == SF_TYPE_DECIMAL_WIDE;
}

static bool is_time(enum sf_type type)
{
    return type == SF_TYPE_DATE || type == SF_TYPE_TIMESTAMP;
}

/* --- parse ------------------------------------------------------------------------------------ */

static void refuse_format(struct sf_product_reader *r, const struct sf_yaml_node *node)
{
    sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                    "parse names a whole date, each part once, with %%Y %%y %%m %%d %%e %%b "
                    "%%j %%H %%I %%p %%M %%S %%f %%z");
}

/* One format of a date or timestamp; NULL with an issue. */
static const char *read_format(struct sf_product_reader *r, const struct sf_yaml_node *node,
                               const struct sf_field *f)
{
    struct sf_time_parts parts = {0};
    const char *format = NULL;

    sf_product_read_text(r, node, "parse", &format);
    if (format == NULL || strcmp(format, SF_PARSE_ISO) == 0) {
        return format;
    }
    if (strcmp(format, SF_PARSE_UNIX) == 0 || strcmp(format, SF_PARSE_UNIX_MS) == 0) {
        if (f->type == SF_TYPE_TIMESTAMP) {
            return format;
        }
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE, "%s is for timestamps", format);
        return NULL;
    }
    if (!sf_time_format_is_valid(format, &parts)) {
        refuse_format(r, node);
        return NULL;
    }
    if (f->type == SF_TYPE_DATE && parts.time) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "parse of a date must not read a time of day");
        return NULL;
    }
    return format;
}

static bool is_word(const char *format)
{
    return strchr(format, '%') == NULL;
}

/* A single format stays in f->parse; lists and words go to the cleaning. */
static void read_formats(struct sf_product_reader *r, const struct sf_yaml_node *node,
                         struct sf_field *f, struct sf_clean *c)
{
    const bool is_list = node->kind == SF_YAML_LIST;
    const size_t count = is_list ? node->count : 1;
    const char **formats;
    size_t n = 0;

    if (count == 0 || count > SF_PARSE_FORMATS_MAX) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE, "parse has 1 to %d formats",
                        SF_PARSE_FORMATS_MAX);
        return;
    }
    formats = (const char **)sf_arena_calloc(r->arena, count, sizeof(*formats));
    if (formats == NULL) {
        r->failed = true;
        return;
    }
    for (const struct sf_yaml_node *at = is_list ? node->first : node; at != NULL;
         at = is_list ? at->next : NULL) {
        const char *format = read_format(r, at, f);

        for (size_t i = 0; format != NULL && i < n; i++) {
            if (strcmp(formats[i], format) == 0) {
                sf_issues_error(r->issues, at->place, SHEAF_E_DUPLICATE_KEY,
                                "'%s' stands twice in parse", format);
            }
        }
        if (format != NULL) {
            formats[n++] = format;
        }
    }
    if (n == 1 && !is_word(formats[0])) {
        f->parse = formats[0];
    } else {
        c->formats = formats;
        c->format_count = n;
    }
}

static void read_style(struct sf_product_reader *r, const struct sf_yaml_node *node,
                       struct sf_clean *c)
{
    const char *texts[SF_NUMBER_STYLE_COUNT - 1];
    struct sf_allowed allowed = {texts, SF_COUNT(texts), {0}};
    size_t choice = 0;

    for (size_t i = 0; i < SF_COUNT(texts); i++) {
        texts[i] = sf_number_style_text((enum sf_number_style)(i + 1));
    }
    if (sf_yaml_choice(r->issues, node, &allowed, "parse", &choice)) {
        c->number_style = (enum sf_number_style)(choice + 1);
    }
}

static void read_parse(struct sf_product_reader *r, const struct sf_yaml_node *node,
                       struct sf_field *f, struct sf_clean *c)
{
    if (node == NULL) {
        return;
    }
    if (is_time(f->type)) {
        read_formats(r, node, f, c);
    } else if (is_number(f->type)) {
        read_style(r, node, c);
    } else {
        sf_issues_error(r->issues, node->key_place, SHEAF_E_BAD_VALUE,
                        "parse is for dates, timestamps and numbers, not for %s",
                        sf_type_name(f->type));
    }
}

/* --- trim and case ---------------------------------------------------------------------------- */

static void read_trim(struct sf_product_reader *r, const struct sf_yaml_node *node,
                      struct sf_clean *c)
{
    if (node != NULL && !sf_yaml_bool(r->issues, node, "trim", &c->trim)) {
        c->trim = false;
    }
}

static void read_case(struct sf_product_reader *r, const struct sf_yaml_node *node,
                      const struct sf_field *f, struct sf_clean *c)
{
    static const char *const names[] = {"lower", "upper"};
    struct sf_allowed allowed = {names, 2, {0}};
    size_t choice = 0;

    if (node == NULL || !sf_yaml_choice(r->issues, node, &allowed, "case", &choice)) {
        return;
    }
    if (f->type != SF_TYPE_STRING) {
        sf_issues_error(r->issues, node->key_place, SHEAF_E_BAD_VALUE,
                        "case is for strings, not for %s", sf_type_name(f->type));
        return;
    }
    c->letters = choice == 0 ? SF_CASE_LOWER : SF_CASE_UPPER;
}

/* --- missing ---------------------------------------------------------------------------------- */

static void read_missing_text(struct sf_product_reader *r, const struct sf_yaml_node *node,
                              struct sf_clean *c, const char **texts)
{
    const char *text = NULL;
    struct sf_slice trimmed;

    if (!sf_yaml_text(r->issues, node, "missing", &text)) {
        return;
    }
    if (node->text.size > SF_MISSING_TEXT_BYTES_MAX) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "a text of missing has at most %d bytes", SF_MISSING_TEXT_BYTES_MAX);
        return;
    }
    trimmed = node->text;
    if (c->trim && sf_clean_trim(&trimmed)) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "'%s' never comes: white space at its ends is trimmed before", text);
        return;
    }
    for (size_t i = 0; i < c->missing_count; i++) {
        if (strcmp(texts[i], text) == 0) {
            sf_issues_error(r->issues, node->place, SHEAF_E_DUPLICATE_KEY,
                            "'%s' stands twice in missing", text);
            return;
        }
    }
    text = sf_arena_strdup(r->arena, text);
    r->failed |= text == NULL;
    texts[c->missing_count++] = text == NULL ? "" : text;
}

static void read_missing_texts(struct sf_product_reader *r, const struct sf_yaml_node *node,
                               struct sf_clean *c)
{
    const char **texts;

    if (!sf_yaml_expect(r->issues, node, SF_YAML_LIST, "missing")) {
        return;
    }
    if (node->count == 0 || node->count > SF_MISSING_TEXTS_MAX) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE, "missing has 1 to %d texts",
                        SF_MISSING_TEXTS_MAX);
        return;
    }
    texts = (const char **)sf_arena_calloc(r->arena, node->count, sizeof(*texts));
    if (texts == NULL) {
        r->failed = true;
        return;
    }
    for (const struct sf_yaml_node *n = node->first; n != NULL; n = n->next) {
        read_missing_text(r, n, c, texts);
    }
    c->missing_texts = texts;
}

/* What becomes of them. The word null may stand without quotes, though it is nothing to YAML then.
 */
static bool read_as(struct sf_product_reader *r, const struct sf_yaml_node *node, size_t *ret)
{
    static const char *const names[] = {"default", "null", "refuse"};
    struct sf_allowed allowed = {names, SF_COUNT(names), {0}};

    if (node->kind == SF_YAML_SCALAR && sf_slice_equal(node->text, SF_LITERAL("null"))) {
        *ret = SF_MISSING_NULL;
        return true;
    }
    return sf_yaml_choice(r->issues, node, &allowed, "as", ret);
}

/* A list of texts, or {texts: [...], as: default | null | refuse}. */
static void read_missing(struct sf_product_reader *r, const struct sf_yaml_node *node,
                         const struct sf_field *f, struct sf_clean *c)
{
    static const char *const keys[] = {"texts", "as"};
    const struct sf_yaml_node *n;
    size_t choice = 0;

    if (node == NULL) {
        return;
    }
    if (node->kind != SF_YAML_MAP) {
        read_missing_texts(r, node, c);
        return;
    }
    sf_yaml_check_keys(r->issues, node, keys, SF_COUNT(keys));
    n = sf_yaml_get(node, "texts");
    if (n == NULL) {
        sf_issues_error(r->issues, node->key_place, SHEAF_E_MISSING_KEY, "missing has no texts");
    } else {
        read_missing_texts(r, n, c);
    }
    n = sf_yaml_get(node, "as");
    if (n == NULL || !read_as(r, n, &choice)) {
        return;
    }
    c->missing = (enum sf_missing)choice;
    if (c->missing == SF_MISSING_DEFAULT && !f->default_value.present) {
        sf_issues_error(r->issues, n->place, SHEAF_E_BAD_VALUE, "field '%s' has no default",
                        f->name);
    } else if (c->missing == SF_MISSING_NULL && f->required) {
        sf_issues_error(r->issues, n->place, SHEAF_E_BAD_VALUE,
                        "field '%s' is required, so a missing value is refused: as: refuse",
                        f->name);
    }
}

/* --- the whole -------------------------------------------------------------------------------- */

/* A value that the contract itself names must be one that can come. */
static void check_value(struct sf_product_reader *r, const struct sf_yaml_node *node,
                        const struct sf_clean *c, const struct sf_value *v, const char *what)
{
    struct sf_slice text = v->s;
    bool changed = c->trim && sf_clean_trim(&text);
    bool recased = false;

    if (!v->present || node == NULL) {
        return;
    }
    if (sf_clean_case(c->letters, r->arena, &text, &recased) != SF_OK) {
        r->failed = true;
        return;
    }
    if (changed || recased) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "%s '%.*s' never comes: it would be stored as '%.*s'", what,
                        SF_SLICE_ARG(v->s), SF_SLICE_ARG(text));
    }
}

static void check_values(struct sf_product_reader *r, const struct sf_yaml_node *node,
                         const struct sf_field *f, const struct sf_clean *c)
{
    const struct sf_yaml_node *list = sf_yaml_get(node, "enum");
    const struct sf_yaml_node *at = list == NULL ? NULL : list->first;

    if (f->type != SF_TYPE_STRING) {
        return;
    }
    for (size_t i = 0; i < f->enum_count && at != NULL; i++, at = at->next) {
        check_value(r, at, c, &f->enum_values[i], "enum value");
    }
    check_value(r, sf_yaml_get(node, "default"), c, &f->default_value, "default");
}

/* Lists, structs and json are not cleaned; elements of a list may have one format. */
static bool may_be_cleaned(struct sf_product_reader *r, const struct sf_yaml_node *node,
                           const struct sf_field *f)
{
    static const char *const keys[] = {"trim", "case", "missing", "parse"};
    const size_t count = f->type == SF_TYPE_LIST ? SF_COUNT(keys) - 1 : SF_COUNT(keys);
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        const struct sf_yaml_node *n = sf_yaml_get(node, keys[i]);

        any = any || n != NULL;
        if (n != NULL && (f->type == SF_TYPE_JSON || !sf_type_is_scalar(f->type))) {
            sf_issues_error(r->issues, n->key_place, SHEAF_E_BAD_VALUE,
                            "%s is for single values, not for %s", keys[i], sf_type_name(f->type));
            return false;
        }
    }
    return any;
}

static void read_item_parse(struct sf_product_reader *r, const struct sf_yaml_node *node,
                            struct sf_field *item)
{
    const char *format;

    if (node == NULL) {
        return;
    }
    if (!is_time(item->type)) {
        sf_issues_error(r->issues, node->key_place, SHEAF_E_BAD_VALUE,
                        "parse of a list is for dates and timestamps, not for %s",
                        sf_type_name(item->type));
        return;
    }
    format = read_format(r, node, item);
    if (format != NULL && is_word(format)) {
        refuse_format(r, node);
    } else {
        item->parse = format;
    }
}

void sf_product_read_clean(struct sf_product_reader *r, const struct sf_yaml_node *node,
                           struct sf_field *f, struct sf_field *item)
{
    struct sf_clean c = {0};
    struct sf_clean *kept;
    const bool any = may_be_cleaned(r, node, f);

    if (f->type == SF_TYPE_LIST) {
        read_item_parse(r, sf_yaml_get(node, "parse"), item);
        return;
    }
    if (!any) {
        return;
    }
    read_trim(r, sf_yaml_get(node, "trim"), &c);
    read_case(r, sf_yaml_get(node, "case"), f, &c);
    read_missing(r, sf_yaml_get(node, "missing"), f, &c);
    read_parse(r, sf_yaml_get(node, "parse"), f, &c);
    check_values(r, node, f, &c);
    if (!c.trim && c.letters == SF_CASE_ANY && c.missing_count == 0 &&
        c.number_style == SF_NUMBER_PLAIN && c.format_count == 0) {
        return;
    }
    kept = sf_arena_alloc(r->arena, sizeof(*kept));
    if (kept == NULL) {
        r->failed = true;
        return;
    }
    *kept = c;
    f->clean = kept;
}
