/* One document, node by node, to a rule. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/time.h"
#include "common/base/utf8.h"
#include "common/policy/policy_private.h"
#include "proto/errors.h"

/* --- pieces ----------------------------------------------------------------------------------- */

void sf_policy_check_keys(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                          const char *of)
{
    const char *names[SF_POLICY_KEYS_MAX];

    sf_yaml_check_keys(r->issues, node, names, sf_policy_key_names(of, names));
}

bool sf_policy_read_text(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                         const char *what, const char **ret)
{
    const char *text;

    if (!sf_yaml_text(r->issues, node, what, &text)) {
        return false;
    }
    *ret = sf_arena_strdup(r->arena, text);
    r->failed |= *ret == NULL;
    return *ret != NULL;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The values of a condition: a single one, or the children of a list. False: reported. */
static bool values_of(struct sf_policy_reader *r, const struct sf_yaml_node *node, const char *what,
                      const struct sf_yaml_node **ret_first, size_t *ret_count)
{
    if (node->kind != SF_YAML_LIST) {
        *ret_first = node;
        *ret_count = 1;
        return sf_yaml_expect(r->issues, node, SF_YAML_SCALAR, what);
    }
    if (node->count == 0 || node->count > SF_POLICY_VALUES_MAX) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE, "%s has 1 to %d values", what,
                        SF_POLICY_VALUES_MAX);
        return false;
    }
    *ret_first = node->first;
    *ret_count = node->count;
    return true;
}

bool sf_policy_read_names(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                          const char *what, bool (*is_name)(struct sf_slice name),
                          struct sf_policy_names *ret)
{
    const struct sf_yaml_node *n;
    const char **items;
    size_t count;
    size_t kept = 0;
    bool fine = true;

    if (!values_of(r, node, what, &n, &count)) {
        return false;
    }
    items = sf_arena_calloc(r->arena, count, sizeof(*items));
    if (items == NULL) {
        r->failed = true;
        return false;
    }
    for (size_t i = 0; i < count; i++, n = n->next) {
        if (!sf_policy_read_text(r, n, what, &items[i])) {
            fine = false;
        } else if (n->text.size == 0 || (is_name != NULL && !is_name(n->text))) {
            sf_issues_error(r->issues, n->place, SHEAF_E_BAD_NAME, "'%.*s' is no %s",
                            SF_SLICE_ARG(n->text), what);
            fine = false;
        }
    }
    if (!fine) {
        return false;
    }
    qsort(items, count, sizeof(*items), compare_texts);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || strcmp(items[kept - 1], items[i]) != 0) {
            items[kept++] = items[i];
        }
    }
    *ret = (struct sf_policy_names){items, kept};
    return true;
}

bool sf_policy_read_bits(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                         const char *what, const char *const *words, size_t count, uint32_t *ret)
{
    const struct sf_allowed allowed = {words, count, {0}};
    const struct sf_yaml_node *n;
    size_t values;
    bool fine = true;

    if (!values_of(r, node, what, &n, &values)) {
        return false;
    }
    for (size_t i = 0; i < values; i++, n = n->next) {
        size_t choice = 0;

        if (sf_yaml_choice(r->issues, n, &allowed, what, &choice)) {
            *ret |= 1U << choice;
        } else {
            fine = false;
        }
    }
    return fine;
}

/* Names of types, each once; the bits are those of enum sf_type. */
bool sf_policy_read_types(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                          uint32_t *ret)
{
    const char *words[SF_TYPE_STRUCT];
    enum sf_type types[SF_TYPE_STRUCT];
    size_t count = 0;
    uint32_t bits = 0;

    for (unsigned t = SF_TYPE_BOOL; t <= SF_TYPE_STRUCT; t++) {
        if (t != SF_TYPE_DECIMAL_WIDE) {
            types[count] = (enum sf_type)t;
            words[count++] = sf_type_name((enum sf_type)t);
        }
    }
    if (!sf_policy_read_bits(r, node, "type", words, count, &bits)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        *ret |= (bits & 1U << i) != 0 ? 1U << types[i] : 0;
    }
    return true;
}

static bool read_classes(struct sf_policy_reader *r, const struct sf_yaml_node *node, uint32_t *ret)
{
    const char *words[SF_CLASS_SECRET];
    uint32_t bits = 0;

    for (unsigned c = SF_CLASS_PUBLIC; c <= SF_CLASS_SECRET; c++) {
        words[c - 1] = sf_class_name((enum sf_class)c);
    }
    if (!sf_policy_read_bits(r, node, "class", words, SF_COUNT(words), &bits)) {
        return false;
    }
    *ret = bits << 1;
    return true;
}

static bool read_statuses(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                          uint32_t *ret)
{
    const char *words[SF_STATUS_RETIRED + 1];

    for (unsigned s = 0; s < SF_COUNT(words); s++) {
        words[s] = sf_status_name((enum sf_status)s);
    }
    return sf_policy_read_bits(r, node, "status", words, SF_COUNT(words), ret);
}

/* --- match and except ------------------------------------------------------------------------- */

bool sf_policy_is_product(struct sf_slice name)
{
    const uint8_t *slash = memchr(name.data, '/', name.size);
    struct sf_slice domain =
        sf_slice_of(name.data, slash == NULL ? 0 : (size_t)(slash - name.data));

    if (slash == NULL) {
        return sf_name_is_product(name);
    }
    return sf_name_is_product(domain) &&
           sf_name_is_product(sf_slice_of(slash + 1, name.size - domain.size - 1));
}

static bool read_condition(struct sf_policy_reader *r, const struct sf_yaml_node *n,
                           struct sf_policy_match *m)
{
    if (strcmp(n->key, "class") == 0) {
        return read_classes(r, n, &m->classes);
    }
    if (strcmp(n->key, "type") == 0) {
        return sf_policy_read_types(r, n, &m->types);
    }
    if (strcmp(n->key, "status") == 0) {
        return read_statuses(r, n, &m->statuses);
    }
    if (strcmp(n->key, "tag") == 0) {
        return sf_policy_read_names(r, n, "tag", NULL, &m->tags);
    }
    if (strcmp(n->key, "field") == 0) {
        return sf_policy_read_names(r, n, "field", sf_name_is_table, &m->fields);
    }
    if (strcmp(n->key, "domain") == 0) {
        return sf_policy_read_names(r, n, "domain", sf_name_is_product, &m->domains);
    }
    return strcmp(n->key, "product") != 0 ||
           sf_policy_read_names(r, n, "product", sf_policy_is_product, &m->products);
}

static void read_match(struct sf_policy_reader *r, const struct sf_yaml_node *root,
                       struct sf_policy *p)
{
    const struct sf_yaml_node *node = sf_yaml_get(root, "match");

    if (node == NULL) {
        /* An owner's policy is about its product at least. */
        if (r->product == NULL) {
            sf_issues_error(r->issues, root->place, SHEAF_E_MISSING_KEY,
                            "the policy has no match: name conditions, or all");
        }
        return;
    }
    if (node->kind == SF_YAML_SCALAR && sf_slice_equal(node->text, SF_LITERAL("all"))) {
        return;
    }
    if (!sf_yaml_expect(r->issues, node, SF_YAML_MAP, "match")) {
        return;
    }
    sf_policy_check_keys(r, node, "match");
    if (node->count == 0) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "match is empty: name a condition, or write all");
    }
    for (const struct sf_yaml_node *n = node->first; n != NULL; n = n->next) {
        /* What is wrong is among the issues. */
        (void)!read_condition(r, n, &p->match);
    }
    if (r->product != NULL && (p->match.domains.count > 0 || p->match.products.count > 0)) {
        sf_issues_error(
            r->issues, node->place, SHEAF_E_BAD_VALUE,
            "a policy of a product is about that product: leave domain and product out");
    }
}

/* Without "owner", who is never bound. True: other domains are named too. */
static bool drop_owner(struct sf_policy_reader *r, struct sf_policy_names *names)
{
    const char **items = sf_arena_calloc(r->arena, names->count, sizeof(*items));
    size_t kept = 0;

    if (items == NULL) {
        r->failed = true;
        return false;
    }
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], "owner") != 0) {
            items[kept++] = names->items[i];
        }
    }
    *names = (struct sf_policy_names){items, kept};
    return kept > 0;
}

/* False: it is about nobody who could be bound. */
static bool read_except(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                        struct sf_policy_except *ret)
{
    bool counts = node->first != NULL;

    if (!sf_yaml_expect(r->issues, node, SF_YAML_MAP, "except")) {
        return false;
    }
    sf_policy_check_keys(r, node, "except");
    if (node->first == NULL) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "except is empty: name a condition, or leave it out");
    }
    for (const struct sf_yaml_node *n = node->first; n != NULL; n = n->next) {
        if (strcmp(n->key, "consumer_domain") == 0) {
            counts &= sf_policy_read_names(r, n, "domain", sf_name_is_product, &ret->domains) &&
                      drop_owner(r, &ret->domains);
        } else if (strcmp(n->key, "roles") == 0) {
            counts &= sf_policy_read_names(r, n, "role", NULL, &ret->roles);
        } else if (strcmp(n->key, "purposes") == 0) {
            counts &= sf_policy_read_names(r, n, "purpose", NULL, &ret->purposes);
        } else {
            counts = false;
        }
    }
    return counts;
}

static void read_excepts(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                         struct sf_policy *p)
{
    const bool is_list = node != NULL && node->kind == SF_YAML_LIST;
    struct sf_policy_except *excepts;

    if (node == NULL) {
        return;
    }
    excepts = sf_arena_calloc(r->arena, is_list ? node->count + 1 : 1, sizeof(*excepts));
    if (excepts == NULL) {
        r->failed = true;
        return;
    }
    p->excepts = excepts;
    if (!is_list) {
        p->except_count += read_except(r, node, &excepts[0]);
        return;
    }
    for (const struct sf_yaml_node *n = node->first; n != NULL; n = n->next) {
        struct sf_policy_except e = {0};

        if (read_except(r, n, &e)) {
            excepts[p->except_count++] = e;
        }
    }
}

/* --- what it does ----------------------------------------------------------------------------- */

/* Where @inner, a place in the text of @node, stands in the file: to the column when that text
 * stands there as it is, else the node. */
static struct sf_place place_inside(const struct sf_yaml_node *node, struct sf_place inner)
{
    const uint32_t quotes = node->plain ? 0 : 1;
    struct sf_place place = node->place;

    if (inner.line == 1 && place.width == sf_utf8_count(node->text) + 2 * quotes) {
        place.column += quotes + inner.column - 1;
        place.width = inner.width;
    }
    return place;
}

static void read_filter(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                        struct sf_policy *p)
{
    SF_CLEANUP(sf_issues_done) struct sf_issues inner = {0};
    const char *text;
    struct sf_error err;

    if (!sf_policy_read_text(r, node, "filter", &text)) {
        return;
    }
    p->filter = sf_slice_text(text);
    sf_issues_init(&inner, r->issues->file, p->filter);
    if (sf_expr_check(&inner, &err) == SF_NOMEM) {
        r->failed = true;
    }
    for (const struct sf_issue *i = inner.first; i != NULL; i = i->next) {
        sf_issues_error(r->issues, place_inside(node, i->place), i->number, "%s", i->text);
        if (r->issues->latest != NULL) {
            r->issues->latest->allowed =
                i->allowed == NULL ? NULL : sf_arena_strdup(&r->issues->arena, i->allowed);
            r->issues->latest->meant =
                i->meant == NULL ? NULL : sf_arena_strdup(&r->issues->arena, i->meant);
        }
    }
}

static void read_effect(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                        struct sf_policy *p)
{
    bool deny = true;

    p->line = node->key_place.line + r->line_offset;
    switch (p->does) {
    case SF_POLICY_MASKS:
        r->failed |= !sf_mask_read(r->issues, node, r->arena, &p->mask) && r->issues->failed;
        break;
    case SF_POLICY_FILTERS:
        read_filter(r, node, p);
        break;
    case SF_POLICY_DENIES:
        if (sf_yaml_bool(r->issues, node, "deny", &deny) && !deny) {
            sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                            "deny is true, or the policy is left out: nothing else allows");
        }
        break;
    case SF_POLICY_REQUIRES:
        if (r->product != NULL) {
            sf_issues_error(r->issues, node->key_place, SHEAF_E_BAD_VALUE,
                            "a product requires nothing of itself: require is the platform's");
        }
        sf_policy_read_demands(r, node, &p->demands);
        break;
    }
}

/* Exactly one of four. */
static void read_effects(struct sf_policy_reader *r, const struct sf_yaml_node *root,
                         struct sf_policy *p)
{
    static const char *const names[] = {"mask", "filter", "deny", "require"};
    const struct sf_yaml_node *found = NULL;

    for (const struct sf_yaml_node *n = root->first; n != NULL; n = n->next) {
        for (size_t i = 0; i < SF_COUNT(names); i++) {
            if (strcmp(n->key, names[i]) != 0) {
                continue;
            }
            if (found != NULL) {
                sf_issues_error(r->issues, n->key_place, SHEAF_E_BAD_VALUE,
                                "the policy has %s already: one policy does one thing", found->key);
                continue;
            }
            found = n;
            p->does = (enum sf_policy_does)i;
            read_effect(r, n, p);
        }
    }
    if (found == NULL) {
        sf_issues_error(r->issues, root->place, SHEAF_E_MISSING_KEY,
                        "the policy does nothing: it needs mask, filter, deny or require");
    }
}

/* --- the rest --------------------------------------------------------------------------------- */

static void read_head(struct sf_policy_reader *r, const struct sf_yaml_node *root,
                      struct sf_policy *p)
{
    static const char *const formats[] = {"policy/v1"};
    const struct sf_allowed allowed = {formats, 1, {0}};
    const struct sf_yaml_node *n = sf_yaml_get(root, "sheaf");
    const char *text;
    size_t choice;

    if (n != NULL) {
        /* The one version there is; what else stands here is among the issues. */
        (void)!sf_yaml_choice(r->issues, n, &allowed, "format", &choice);
    } else if (r->product == NULL) {
        sf_issues_error(r->issues, root->place, SHEAF_E_MISSING_KEY,
                        "the policy begins with sheaf: policy/v1");
    }
    n = sf_yaml_get(root, "description");
    if (n != NULL) {
        (void)!sf_yaml_text(r->issues, n, "description", &text);
    }
    n = sf_yaml_get(root, "name");
    if (n == NULL) {
        sf_issues_error(r->issues, root->place, SHEAF_E_MISSING_KEY, "the policy has no name");
        return;
    }
    p->name_place = n->place;
    if (!sf_policy_read_text(r, n, "name", &p->name) || sf_name_is_product(n->text)) {
        return;
    }
    sf_issues_error(r->issues, n->place, SHEAF_E_BAD_NAME,
                    "the name of a policy is [a-z][a-z0-9-]*, at most 48 characters");
}

static void read_expires(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                         struct sf_policy *p)
{
    int32_t days;

    p->expires_us = INT64_MAX;
    if (node == NULL || !sf_yaml_expect(r->issues, node, SF_YAML_SCALAR, "expires")) {
        return;
    }
    if (sf_date_parse(node->text, &days) == SF_PARSE_OK) {
        p->expires_us = (days + INT64_C(1)) * SF_US_PER_DAY;
    } else if (sf_time_parse(node->text, &p->expires_us) != SF_PARSE_OK) {
        sf_issues_error(r->issues, node->place, SHEAF_E_BAD_VALUE,
                        "expires is a date or a time: 2027-06-30, 2027-06-30T12:00:00Z");
    }
}

static void read_breach(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                        struct sf_policy *p)
{
    static const char *const words[] = {"refuse", "warn"};
    const struct sf_allowed allowed = {words, SF_COUNT(words), {0}};
    size_t choice = 0;

    if (node == NULL || !sf_yaml_choice(r->issues, node, &allowed, "breach", &choice)) {
        return;
    }
    p->warns = choice == 1;
    if (p->does != SF_POLICY_REQUIRES) {
        sf_issues_error(r->issues, node->key_place, SHEAF_E_BAD_VALUE,
                        "breach is for require only");
    }
}

void sf_policy_read(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                    struct sf_policy *p)
{
    p->origin = r->product == NULL ? SF_POLICY_PLATFORM : SF_POLICY_OWNER;
    p->product = r->product;
    p->line = node->place.line + r->line_offset;
    if (!sf_yaml_expect(r->issues, node, SF_YAML_MAP, "a policy")) {
        return;
    }
    sf_policy_check_keys(r, node, "policy");
    read_head(r, node, p);
    read_match(r, node, p);
    read_excepts(r, sf_yaml_get(node, "except"), p);
    read_effects(r, node, p);
    read_breach(r, sf_yaml_get(node, "breach"), p);
    read_expires(r, sf_yaml_get(node, "expires"), p);
    if (sf_yaml_get(node, "tests") != NULL) {
        sf_policy_read_cases(r, sf_yaml_get(node, "tests"), p);
    }
    if (p->does == SF_POLICY_REQUIRES && p->except_count > 0) {
        sf_issues_error(r->issues, sf_yaml_get(node, "except")->key_place, SHEAF_E_BAD_VALUE,
                        "require is about products, not about who asks: it has no except");
    }
}
