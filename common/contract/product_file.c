#include "common/contract/product_file.h"

#include "common/base/alloc.h"
#include "common/base/str.h"
#include "common/base/time.h"
#include "common/contract/check.h"
#include "common/contract/product_field.h"
#include "common/contract/validate.h"
#include "common/wire/yaml.h"
#include "proto/errors.h"

enum { VERSION_PART_MAX = 999999, PRODUCT_BYTES_MAX = 64 * 1024 * 1024 };

static const char *const top_keys[] = {
    "sheaf", "product",     "version",   "status",  "compatibility", "deprecated",
    "owner", "description", "tags",      "support", "tables",        "slo",
    "ports", "inputs",      "transform", "access",  "policies",      "resources",
};
static const char *const table_keys[] = {"kind",     "key",    "event_time",
                                         "reserved", "fields", "description",
                                         "checks",   "dedupe", "unchanged"};

/* --- small texts ------------------------------------------------------------------------------ */

bool sf_version_parse(struct sf_slice text, struct sf_version *ret)
{
    uint32_t parts[3] = {0};
    size_t at = 0;

    for (size_t i = 0; i < 3; i++) {
        size_t start = at;
        uint64_t value = 0;

        while (at < text.size && text.data[at] >= '0' && text.data[at] <= '9') {
            at++;
        }
        if (at == start || (at - start > 1 && text.data[start] == '0') ||
            sf_parse_u64(sf_slice_of(text.data + start, at - start), &value) != SF_PARSE_OK ||
            value > VERSION_PART_MAX) {
            return false;
        }
        parts[i] = (uint32_t)value;
        if (i < 2 && (at == text.size || text.data[at++] != '.')) {
            return false;
        }
    }
    if (at != text.size) {
        return false;
    }
    *ret = (struct sf_version){parts[0], parts[1], parts[2]};
    return true;
}

int sf_version_compare(const struct sf_version *a, const struct sf_version *b)
{
    if (a->major != b->major) {
        return a->major < b->major ? -1 : 1;
    }
    if (a->minor != b->minor) {
        return a->minor < b->minor ? -1 : 1;
    }
    return (a->patch > b->patch) - (a->patch < b->patch);
}

/* 0..100 with % behind it. */
static bool is_percentage(struct sf_slice text)
{
    double value = 0;

    return text.size > 1 && text.data[text.size - 1] == '%' &&
           sf_parse_double(sf_slice_of(text.data, text.size - 1), &value) == SF_PARSE_OK &&
           value >= 0 && value <= 100;
}

static void read_duration(struct sf_product_reader *r, const struct sf_yaml_node *node,
                          const char *what, int64_t *ret)
{
    int64_t us = 0;

    if (node == NULL) {
        return;
    }
    if (node->kind != SF_YAML_SCALAR || sf_parse_duration(node->text, &us) != SF_PARSE_OK ||
        us == 0) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "%s must be a span of time: 30s, 15m, 12h, 90d", what);
        return;
    }
    *ret = us;
}

static void read_email(struct sf_product_reader *r, const struct sf_yaml_node *node,
                       const char **ret)
{
    const char *email = NULL;

    if (node == NULL) {
        return;
    }
    sf_product_read_text(r, node, "email", &email);
    if (email != NULL && !sf_format_matches(SF_FORMAT_EMAIL, sf_slice_text(email))) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE, "'%s' is not an e-mail address",
                        email);
        return;
    }
    *ret = email;
}

/* --- tables ----------------------------------------------------------------------------------- */

struct table_reader {
    struct sf_product_reader *r;
    const struct sf_yaml_node *node;
    struct sf_table *table;
};

/* Tells the fields that @given may be one of, behind an issue about it. */
static void suggest_field(struct sf_product_reader *r, const struct sf_table *table,
                          struct sf_slice given)
{
    const char **names =
        (const char **)sf_arena_calloc(r->arena, table->field_count, sizeof(*names));

    if (names == NULL) {
        r->failed = true;
        return;
    }
    for (size_t i = 0; i < table->field_count; i++) {
        names[i] = table->fields[i].name;
    }
    /* A list of hundreds helps nobody; a suggestion does. */
    if (table->field_count <= 20 || sf_text_nearest(given, names, table->field_count) != NULL) {
        sf_issues_allowed(r->issues, (struct sf_allowed){names, table->field_count, given});
    }
}

/* The field a name in key or event_time speaks of, or -1 with an issue. */
static int32_t find_field(struct table_reader *t, const struct sf_yaml_node *node, const char *what)
{
    int32_t index;

    if (!sf_yaml_expect(t->r->issues, node, SF_YAML_SCALAR, what)) {
        return -1;
    }
    index = sf_table_field_index(t->table, node->text);
    if (index >= 0) {
        return index;
    }
    sf_issues_error(t->r->issues, node->place, SHEAF_E_BAD_REFERENCE, "%s '%.*s' is no field", what,
                    SF_SLICE_ARG(node->text));
    suggest_field(t->r, t->table, node->text);
    return -1;
}

static void check_key_field(struct table_reader *t, const struct sf_yaml_node *node,
                            const struct sf_field *f)
{
    if (f->type != 0 && !sf_type_may_be_key(f->type)) {
        sf_issues_error(t->r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "key field '%s' must not be a %s", f->name, sf_type_name(f->type));
    }
    if (!f->required) {
        sf_issues_error(t->r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "key field '%s' must be required", f->name);
    }
}

static void read_key(struct table_reader *t)
{
    const struct sf_yaml_node *node = sf_yaml_get(t->node, "key");
    uint16_t *key;
    size_t count = 0;

    if (node == NULL || !sf_yaml_expect(t->r->issues, node, SF_YAML_LIST, "key")) {
        return;
    }
    if (node->count == 0 || node->count > SF_KEY_FIELDS_MAX) {
        sf_issues_error(t->r->issues, node->place, SHEAF_E_BAD_VALUE, "a key has 1 to %d fields",
                        SF_KEY_FIELDS_MAX);
        return;
    }
    key = sf_arena_calloc(t->r->arena, node->count, sizeof(*key));
    if (key == NULL) {
        t->r->failed = true;
        return;
    }
    for (const struct sf_yaml_node *n = node->first; n != NULL; n = n->next) {
        int32_t index = find_field(t, n, "key");

        if (index < 0) {
            continue;
        }
        check_key_field(t, n, &t->table->fields[index]);
        for (size_t i = 0; i < count; i++) {
            if (key[i] == (uint16_t)index) {
                sf_issues_error(t->r->issues, n->place, SHEAF_E_DUPLICATE_KEY,
                                "'%s' stands twice in key", t->table->fields[index].name);
            }
        }
        key[count++] = (uint16_t)index;
    }
    t->table->key = key;
    t->table->key_count = count;
}

static void read_event_time(struct table_reader *t)
{
    const struct sf_yaml_node *node = sf_yaml_get(t->node, "event_time");
    int32_t index;

    if (node == NULL) {
        return;
    }
    index = find_field(t, node, "event_time");
    if (index >= 0 && t->table->fields[index].type != SF_TYPE_DATE &&
        t->table->fields[index].type != SF_TYPE_TIMESTAMP && t->table->fields[index].type != 0) {
        sf_issues_error(t->r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "event_time '%s' must be a date or timestamp",
                        t->table->fields[index].name);
        return;
    }
    t->table->event_time = index;
}

/* Without a kind, a key says what the table is. */
static void read_kind(struct table_reader *t)
{
    static const char *const names[] = {"state", "event"};
    struct sf_allowed allowed = {names, 2, {0}};
    const struct sf_yaml_node *node = sf_yaml_get(t->node, "kind");
    const struct sf_yaml_node *key = sf_yaml_get(t->node, "key");
    size_t choice = key != NULL ? 0 : 1;

    if (node != NULL && !sf_yaml_choice(t->r->issues, node, &allowed, "kind", &choice)) {
        return;
    }
    t->table->kind = choice == 0 ? SF_TABLE_STATE : SF_TABLE_EVENT;
    if (node != NULL && choice == 0 && key == NULL) {
        sf_issues_error(t->r->issues, node->place, SHEAF_E_MISSING_KEY,
                        "state table '%s' has no key", t->node->key);
    }
    if (node != NULL && choice == 1 && key != NULL) {
        sf_issues_error(t->r->issues, key->key_place, SHEAF_E_BAD_VALUE,
                        "an event table has no key: its rows are never replaced");
    }
}

static void suggest_for_check(struct sf_product_reader *r, const struct sf_table *table,
                              const struct sf_check_error *why)
{
    struct sf_allowed metrics = {.given = why->given};

    switch (why->names) {
    case SF_CHECK_NAMES_NONE:
        return;
    case SF_CHECK_NAMES_METRICS:
        metrics.names = sf_check_metric_names(&metrics.count);
        sf_issues_allowed(r->issues, metrics);
        return;
    case SF_CHECK_NAMES_FIELDS:
        suggest_field(r, table, why->given);
        return;
    }
}

static void read_check(struct sf_product_reader *r, const struct sf_yaml_node *node,
                       const char *text, const struct sf_table *table, struct sf_check *ret)
{
    struct sf_check_error why;

    if (!sf_check_parse(text, table, ret, &why)) {
        struct sf_place place = node->place;

        place.column += (uint32_t)why.at;
        place.width = place.width > why.at ? place.width - (uint32_t)why.at : 1;
        sf_issues_error(r->issues, place, SHEAF_E_BAD_VALUE, "check '%s': %s", text, why.what);
        suggest_for_check(r, table, &why);
    }
}

static void read_checks(struct sf_product_reader *r, const struct sf_yaml_node *node,
                        struct sf_table *table)
{
    const char *const *texts = NULL;
    const struct sf_yaml_node *n;
    struct sf_check *checks;
    size_t count = 0;

    if (node == NULL) {
        return;
    }
    sf_product_read_texts(r, node, "checks", &texts, &count);
    checks = sf_arena_calloc(r->arena, count + 1, sizeof(*checks));
    if (checks == NULL) {
        r->failed = true;
        return;
    }
    n = node->first;
    for (size_t i = 0; i < count && n != NULL; i++, n = n->next) {
        /* What is no text has its issue already. */
        if (texts[i] != NULL) {
            read_check(r, n, texts[i], table, &checks[i]);
        }
    }
    table->checks = checks;
    table->check_count = count;
}

/* Fields that are the same in a record and its repetition. */
static void read_dedupe_fields(struct table_reader *t, const struct sf_yaml_node *node)
{
    uint16_t *fields = sf_arena_calloc(t->r->arena, node->count, sizeof(*fields));
    size_t count = 0;

    if (fields == NULL) {
        t->r->failed |= node->count > 0;
        return;
    }
    for (const struct sf_yaml_node *n = node->first; n != NULL; n = n->next) {
        const int32_t index = find_field(t, n, "dedupe");
        size_t at = count;

        for (size_t i = 0; index >= 0 && i < count; i++) {
            if (fields[i] == (uint16_t)index) {
                sf_issues_error(t->r->issues, n->place, SHEAF_E_DUPLICATE_KEY,
                                "'%s' stands twice in dedupe", t->table->fields[index].name);
            }
        }
        if (index < 0) {
            continue;
        }
        for (; at > 0 && fields[at - 1] > (uint16_t)index; at--) {
            fields[at] = fields[at - 1];
        }
        fields[at] = (uint16_t)index;
        count++;
    }
    t->table->dedupe = SF_DEDUPE_FIELDS;
    t->table->dedupe_fields = fields;
    t->table->dedupe_field_count = count;
}

static void read_dedupe_by(struct table_reader *t, const struct sf_yaml_node *node)
{
    static const char *const names[] = {"content", "key"};
    struct sf_allowed allowed = {names, SF_COUNT(names), {0}};
    size_t choice = 0;

    if (node->kind == SF_YAML_LIST && node->count > 0) {
        read_dedupe_fields(t, node);
        return;
    }
    if (node->kind != SF_YAML_SCALAR) {
        sf_issues_error(t->r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "by is content, key, or a list of fields");
        return;
    }
    if (!sf_yaml_choice(t->r->issues, node, &allowed, "by", &choice)) {
        return;
    }
    t->table->dedupe = choice == 0 ? SF_DEDUPE_CONTENT : SF_DEDUPE_KEY;
    if (choice == 1 && t->table->kind == SF_TABLE_EVENT) {
        sf_issues_error(t->r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "an event table has no key: name content, or fields");
    }
}

/* {by: content | key | [fields], within: 1h} */
static void read_dedupe(struct table_reader *t)
{
    static const char *const keys[] = {"by", "within"};
    const struct sf_yaml_node *node = sf_yaml_get(t->node, "dedupe");
    const struct sf_yaml_node *n;

    if (node == NULL || !sf_yaml_expect(t->r->issues, node, SF_YAML_MAP, "dedupe")) {
        return;
    }
    sf_yaml_check_keys(t->r->issues, node, keys, SF_COUNT(keys));
    n = sf_yaml_get(node, "by");
    if (n == NULL) {
        sf_issues_error(t->r->issues, node->key_place, SHEAF_E_MISSING_KEY, "dedupe has no by");
    } else {
        read_dedupe_by(t, n);
    }
    n = sf_yaml_get(node, "within");
    if (n == NULL) {
        sf_issues_error(t->r->issues, node->key_place, SHEAF_E_MISSING_KEY, "dedupe has no within");
        return;
    }
    read_duration(t->r, n, "within", &t->table->dedupe_within_us);
    if (t->table->dedupe_within_us > SF_DEDUPE_WITHIN_MAX_US ||
        (t->table->dedupe_within_us > 0 && t->table->dedupe_within_us < SF_US_PER_SEC)) {
        sf_issues_error(t->r->issues, n->place, SHEAF_E_BAD_VALUE, "within is between 1s and 30d");
    }
}

static void read_unchanged(struct table_reader *t)
{
    static const char *const names[] = {"store", "skip"};
    struct sf_allowed allowed = {names, SF_COUNT(names), {0}};
    const struct sf_yaml_node *node = sf_yaml_get(t->node, "unchanged");
    size_t choice = 0;

    if (node == NULL || !sf_yaml_choice(t->r->issues, node, &allowed, "unchanged", &choice)) {
        return;
    }
    if (t->table->kind == SF_TABLE_EVENT) {
        sf_issues_error(t->r->issues, node->key_place, SHEAF_E_BAD_VALUE,
                        "unchanged is for state tables: events replace nothing");
        return;
    }
    t->table->skip_unchanged = choice == 1;
}

static void read_table(struct sf_product_reader *r, const struct sf_yaml_node *node,
                       struct sf_table *table)
{
    struct table_reader t = {.r = r, .node = node, .table = table};
    const struct sf_yaml_node *description;

    table->event_time = -1;
    table->name = sf_arena_strdup(r->arena, node->key);
    r->failed |= table->name == NULL;
    if (!sf_name_is_table(sf_slice_text(node->key))) {
        sf_issues_error(r->issues, node->key_place, SHEAF_E_BAD_NAME,
                        "table name '%s' is not [a-z][a-z0-9_]*, at most 63 characters", node->key);
    }
    if (!sf_yaml_expect(r->issues, node, SF_YAML_MAP, "a table")) {
        return;
    }
    sf_yaml_check_keys(r->issues, node, table_keys, SF_COUNT(table_keys));
    description = sf_yaml_get(node, "description");
    if (description != NULL) {
        sf_product_read_text(r, description, "description", &table->description);
    }
    r->field_count = 0;
    sf_product_read_fields(r, node, "table", table);
    read_kind(&t);
    if (table->field_count > 0 && !r->failed) {
        read_key(&t);
        read_event_time(&t);
        read_dedupe(&t);
        read_unchanged(&t);
    }
    read_checks(r, sf_yaml_get(node, "checks"), table);
}

static void read_tables(struct sf_product_reader *r, const struct sf_yaml_node *node,
                        struct sf_product *p)
{
    struct sf_table *tables;

    if (!sf_yaml_expect(r->issues, node, SF_YAML_MAP, "tables")) {
        return;
    }
    if (node->count == 0 || node->count > SF_TABLES_MAX) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE, "a product has 1 to %d tables",
                        SF_TABLES_MAX);
        return;
    }
    tables = sf_arena_calloc(r->arena, node->count, sizeof(*tables));
    if (tables == NULL) {
        r->failed = true;
        return;
    }
    p->tables = tables;
    for (const struct sf_yaml_node *n = node->first; n != NULL && !r->failed; n = n->next) {
        read_table(r, n, &tables[p->table_count++]);
    }
}

/* --- the product ------------------------------------------------------------------------------ */

static void read_name(struct sf_product_reader *r, const struct sf_yaml_node *node,
                      struct sf_product *p)
{
    struct sf_slice rest;
    size_t domain = 0;

    if (!sf_yaml_expect(r->issues, node, SF_YAML_SCALAR, "product")) {
        return;
    }
    rest = node->text;
    while (domain < rest.size && rest.data[domain] != '/') {
        domain++;
    }
    rest = sf_slice_of(rest.data + domain, rest.size - domain);
    if (rest.size == 0 || !sf_name_is_product(sf_slice_of(node->text.data, domain)) ||
        !sf_name_is_product(sf_slice_of(rest.data + 1, rest.size - 1))) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_NAME,
                        "product is DOMAIN/NAME, both [a-z][a-z0-9-]*, at most 48 characters");
        return;
    }
    p->domain = sf_arena_strndup(r->arena, node->text.data, domain);
    p->name = sf_arena_strndup(r->arena, rest.data + 1, rest.size - 1);
    r->failed |= p->domain == NULL || p->name == NULL;
}

static void read_version(struct sf_product_reader *r, const struct sf_yaml_node *node,
                         struct sf_product *p)
{
    if (!sf_yaml_expect(r->issues, node, SF_YAML_SCALAR, "version")) {
        return;
    }
    if (!sf_version_parse(node->text, &p->version)) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "version must be MAJOR.MINOR.PATCH, such as 1.2.0");
    } else if (p->version.major == 0) {
        /* Major 0 stands for "the highest active" wherever a major may be left out. */
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "the first version of a product is 1.0.0; a draft has 'status: draft'");
    }
}

static void read_access(struct sf_product_reader *r, const struct sf_yaml_node *node,
                        struct sf_product *p)
{
    static const char *const keys[] = {"default", "approvers"};
    static const char *const names[] = {"request", "open", "closed"};
    struct sf_allowed allowed = {names, SF_COUNT(names), {0}};
    const struct sf_yaml_node *n;
    size_t choice = SF_ACCESS_REQUEST;

    if (node == NULL || !sf_yaml_expect(r->issues, node, SF_YAML_MAP, "access")) {
        return;
    }
    sf_yaml_check_keys(r->issues, node, keys, SF_COUNT(keys));
    n = sf_yaml_get(node, "default");
    if (n != NULL && sf_yaml_choice(r->issues, n, &allowed, "access", &choice)) {
        p->access = (enum sf_access)choice;
    }
    n = sf_yaml_get(node, "approvers");
    if (n != NULL) {
        sf_product_read_texts(r, n, "approvers", &p->approvers, &p->approver_count);
    }
}

static void read_slo(struct sf_product_reader *r, const struct sf_yaml_node *node,
                     struct sf_product *p)
{
    static const char *const keys[] = {"freshness", "availability", "retention"};
    const struct sf_yaml_node *n;

    if (node == NULL || !sf_yaml_expect(r->issues, node, SF_YAML_MAP, "slo")) {
        return;
    }
    sf_yaml_check_keys(r->issues, node, keys, SF_COUNT(keys));
    read_duration(r, sf_yaml_get(node, "freshness"), "freshness", &p->slo_freshness_us);
    read_duration(r, sf_yaml_get(node, "retention"), "retention", &p->slo_retention_us);
    n = sf_yaml_get(node, "availability");
    if (n != NULL) {
        sf_product_read_text(r, n, "availability", &p->slo_availability);
        if (p->slo_availability != NULL && !is_percentage(n->text)) {
            sf_issues_error(r->issues, n->place, SHEAF_E_BAD_VALUE,
                            "availability must be a percentage, such as 99.5%%");
        }
    }
}

static void read_support(struct sf_product_reader *r, const struct sf_yaml_node *node,
                         struct sf_product *p)
{
    static const char *const keys[] = {"email"};

    if (node != NULL && sf_yaml_expect(r->issues, node, SF_YAML_MAP, "support")) {
        sf_yaml_check_keys(r->issues, node, keys, SF_COUNT(keys));
        read_email(r, sf_yaml_get(node, "email"), &p->support_email);
    }
}

static void read_sheaf(struct sf_product_reader *r, const struct sf_yaml_node *node)
{
    static const char *const names[] = {"product/v1"};
    struct sf_allowed allowed = {names, 1, {0}};
    size_t choice = 0;

    /* The one version there is; what else stands here is among the issues. */
    (void)!sf_yaml_choice(r->issues, node, &allowed, "format", &choice);
}

static const struct sf_yaml_node *require_top(struct sf_product_reader *r,
                                              const struct sf_yaml_node *root, const char *key)
{
    const struct sf_yaml_node *n = sf_yaml_get(root, key);

    if (n == NULL) {
        sf_issues_error(r->issues, (struct sf_place){0}, SHEAF_E_MISSING_KEY,
                        "the key '%s' is missing", key);
    }
    return n;
}

static void read_product(struct sf_product_reader *r, const struct sf_yaml_node *root,
                         struct sf_product *p)
{
    const struct {
        const char *key;
        const char **ret;
    } texts[] = {{"owner", &p->owner}, {"description", &p->description}};
    const struct sf_yaml_node *n;

    sf_yaml_check_keys(r->issues, root, top_keys, SF_COUNT(top_keys));
    n = require_top(r, root, "sheaf");
    if (n != NULL) {
        read_sheaf(r, n);
    }
    n = require_top(r, root, "product");
    if (n != NULL) {
        read_name(r, n, p);
    }
    n = require_top(r, root, "version");
    if (n != NULL) {
        read_version(r, n, p);
    }
    sf_product_read_life(r, root, p);
    for (size_t i = 0; i < SF_COUNT(texts); i++) {
        n = sf_yaml_get(root, texts[i].key);
        if (n != NULL) {
            sf_product_read_text(r, n, texts[i].key, texts[i].ret);
        }
    }
    n = sf_yaml_get(root, "tags");
    if (n != NULL) {
        sf_product_read_texts(r, n, "tags", &p->tags, &p->tag_count);
    }
    read_support(r, sf_yaml_get(root, "support"), p);
    n = require_top(r, root, "tables");
    if (n != NULL) {
        read_tables(r, n, p);
    }
    read_slo(r, sf_yaml_get(root, "slo"), p);
    read_access(r, sf_yaml_get(root, "access"), p);
    sf_product_read_policies(r, sf_yaml_get(root, "policies"), p);
    sf_product_check_shapes(r, root);
}

static void check_documents(struct sf_issues *issues, const struct sf_yaml_node *root)
{
    if (root == NULL) {
        sf_issues_error(issues, (struct sf_place){0}, SHEAF_E_MISSING_KEY, "the file is empty");
    } else if (root->next != NULL) {
        sf_issues_error(issues, root->next->place, SHEAF_E_YAML_SYNTAX,
                        "a product file has one document");
    }
}

enum sf_code sf_product_parse(struct sf_issues *issues, struct sf_product **ret,
                              struct sf_error *err)
{
    SF_CLEANUP(sf_product_freep) struct sf_product *p = sf_calloc(1, sizeof(*p));
    struct sf_product_reader r = {.issues = issues};
    struct sf_yaml_node *root = NULL;
    struct sf_arena tree;
    enum sf_code code;

    if (p == NULL) {
        return SF_RAISE(err, SF_NOMEM, "%s: out of memory", issues->file);
    }
    sf_arena_init(&p->arena, PRODUCT_BYTES_MAX);
    sf_arena_init(&tree, PRODUCT_BYTES_MAX);
    r.arena = &p->arena;
    code = sf_yaml_read(&tree, issues, &root, err);
    if (code == SF_OK) {
        check_documents(issues, root);
    }
    if (code == SF_OK && root != NULL &&
        sf_yaml_expect(issues, root, SF_YAML_MAP, "a product file")) {
        read_product(&r, root, p);
    }
    sf_arena_done(&tree);
    if (r.failed) {
        return SF_RAISE(err, SF_NOMEM, "%s: out of memory", issues->file);
    }
    if (code == SF_OK) {
        code = sf_issues_check(issues, err);
    }
    if (code == SF_OK) {
        *ret = SF_TAKE(p);
    }
    return code;
}
