/* Tests that stand beside a policy: reading them, and whether one holds. */
#include "common/policy/policy_private.h"
#include "proto/errors.h"

/* --- reading ---------------------------------------------------------------------------------- */

/* domain or domain/role */
static void read_who(struct sf_policy_reader *r, const struct sf_yaml_node *n,
                     struct sf_policy_case *c)
{
    const char *text;
    const char *slash;
    const char **roles;

    if (!sf_policy_read_text(r, n, "who", &text)) {
        return;
    }
    slash = strchr(text, '/');
    c->who.domain =
        sf_arena_strndup(r->arena, text, slash == NULL ? strlen(text) : (size_t)(slash - text));
    r->failed |= c->who.domain == NULL;
    if (c->who.domain != NULL && (!sf_name_is_product(sf_slice_text(c->who.domain)) ||
                                  (slash != NULL && slash[1] == '\0'))) {
        sf_issues_error(r->issues, n->place, SHEAF_E_BAD_VALUE, "who is DOMAIN or DOMAIN/ROLE");
        return;
    }
    if (slash == NULL) {
        return;
    }
    roles = sf_arena_calloc(r->arena, 1, sizeof(*roles));
    if (roles == NULL) {
        r->failed = true;
        return;
    }
    roles[0] = slash + 1;
    c->who.roles = roles;
    c->who.role_count = 1;
}

/* domain/product[.table][.field]; one name behind the product is looked up as both. */
static void read_what(struct sf_policy_reader *r, const struct sf_yaml_node *n,
                      struct sf_policy_case *c)
{
    const char *text;
    char *slash;
    char *dot;
    char *second;

    if (!sf_policy_read_text(r, n, "what", &text)) {
        return;
    }
    c->product = text;
    slash = strchr(text, '/');
    dot = slash == NULL ? NULL : strchr(slash, '.');
    if (dot != NULL) {
        *dot = '\0';
    }
    if (slash == NULL || !sf_policy_is_product(sf_slice_text(text))) {
        sf_issues_error(r->issues, n->place, SHEAF_E_BAD_VALUE,
                        "what is DOMAIN/PRODUCT, DOMAIN/PRODUCT.FIELD or "
                        "DOMAIN/PRODUCT.TABLE.FIELD");
        return;
    }
    if (dot == NULL) {
        return;
    }
    second = strchr(dot + 1, '.');
    if (second == NULL) {
        c->field = dot + 1;
        return;
    }
    *second = '\0';
    c->table = dot + 1;
    c->field = second + 1;
}

static void read_case(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                      struct sf_policy_case *c)
{
    static const char *const needed[] = {"who", "what", "expect"};
    const struct sf_yaml_node *n;

    c->file = r->issues->file;
    c->line = node->place.line + r->line_offset;
    if (!sf_yaml_expect(r->issues, node, SF_YAML_MAP, "a test")) {
        return;
    }
    sf_policy_check_keys(r, node, "tests");
    for (size_t i = 0; i < SF_COUNT(needed); i++) {
        if (sf_yaml_get(node, needed[i]) == NULL) {
            sf_issues_error(r->issues, node->place, SHEAF_E_MISSING_KEY, "the test has no %s",
                            needed[i]);
            return;
        }
    }
    read_who(r, sf_yaml_get(node, "who"), c);
    read_what(r, sf_yaml_get(node, "what"), c);
    /* The mask null is written like the value null. */
    n = sf_yaml_get(node, "expect");
    if (sf_slice_equal(n->text, SF_LITERAL("null"))) {
        c->expect = "null";
    } else {
        (void)!sf_policy_read_text(r, n, "expect", &c->expect);
    }
    n = sf_yaml_get(node, "purpose");
    if (n != NULL) {
        (void)!sf_policy_read_text(r, n, "purpose", &c->who.purpose);
    }
}

void sf_policy_read_cases(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                          struct sf_policy *p)
{
    struct sf_policy_case *cases;

    if (!sf_yaml_expect(r->issues, node, SF_YAML_LIST, "tests")) {
        return;
    }
    cases = sf_arena_calloc(r->arena, node->count + 1, sizeof(*cases));
    if (cases == NULL) {
        r->failed = true;
        return;
    }
    p->cases = cases;
    for (const struct sf_yaml_node *n = node->first; n != NULL; n = n->next) {
        read_case(r, n, &cases[p->case_count++]);
    }
}

/* --- running ---------------------------------------------------------------------------------- */

const struct sf_policy_case *sf_policy_case_at(const struct sf_policy_set *s, size_t i)
{
    for (const struct sf_policy *p = s->first; p != NULL; p = p->next) {
        if (i < p->case_count) {
            return &p->cases[i];
        }
        i -= p->case_count;
    }
    return NULL;
}

static bool is_got(const struct sf_policy_case *c, size_t from, const struct sf_buf *got)
{
    return sf_slice_equal(sf_slice_of(got->data + from, got->size - from),
                          sf_slice_text(c->expect));
}

/* "all rows", or "filter a; filter b". One of several is enough to hold. */
static bool rows_hold(const struct sf_policy_case *c, const struct sf_policy_view *v,
                      struct sf_buf *got)
{
    bool holds = false;

    for (size_t i = 0; i < v->filter_count; i++) {
        size_t from;

        sf_buf_text(got, i == 0 ? "" : "; ");
        from = got->size;
        sf_buf_printf(got, "filter %s", v->filters[i].text);
        holds |= is_got(c, from, got);
    }
    if (v->filter_count == 0) {
        sf_buf_text(got, "all rows");
    }
    return holds || is_got(c, 0, got);
}

/* The mask as it is written again: keep_last( 4 ) is keep_last(4). */
static void print_expected(const char *text, struct sf_buf *out)
{
    struct sf_issues issues;
    struct sf_arena arena;
    struct sf_mask m;

    sf_arena_init(&arena, 0);
    sf_issues_init(&issues, "expect", sf_slice_text(text));
    if (sf_mask_parse(&issues, &arena, &m, NULL) == SF_OK) {
        sf_mask_print(&m, out);
    } else {
        sf_buf_text(out, text);
    }
    sf_issues_done(&issues);
    sf_arena_done(&arena);
}

bool sf_policy_case_holds(const struct sf_policy_case *c, const struct sf_table *table,
                          const struct sf_policy_view *v, struct sf_buf *got)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf expected = {0};
    int32_t at;

    if (c->field == NULL && v->denied) {
        sf_buf_text(got, "denied");
        return is_got(c, 0, got);
    }
    if (c->field == NULL) {
        return rows_hold(c, v, got);
    }
    at = sf_table_field_index(table, sf_slice_text(c->field));
    if (at < 0) {
        sf_buf_printf(got, "no field of table '%s'", table->name);
        return false;
    }
    if (v->masks[at].kind == SF_MASK_NONE) {
        sf_buf_text(got, "clear");
    }
    sf_mask_print(&v->masks[at], got);
    if (v->denied) {
        sf_buf_clear(got);
        sf_buf_text(got, "denied");
    }
    print_expected(c->expect, &expected);
    return sf_slice_equal(sf_buf_view(&expected), sf_buf_view(got));
}
