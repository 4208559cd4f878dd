/* Files of documents, and the policies of a product file, into a set. */
#include "common/base/alloc.h"
#include "common/policy/policy_private.h"
#include "proto/errors.h"

enum { FILE_BYTES_MAX = 64 * 1024 * 1024 };

static const char *keep_file(struct sf_policy_reader *r)
{
    const char *file = sf_arena_strdup(r->arena, r->issues->file);

    r->failed |= file == NULL;
    return file;
}

/* Rules read, by the order of the text; what is wrong with them is among the issues. */
static struct sf_policy *read_all(struct sf_policy_reader *r, const struct sf_yaml_node *first,
                                  bool skip_empty)
{
    const char *file = keep_file(r);
    struct sf_policy *head = NULL;
    struct sf_policy **link = &head;

    for (const struct sf_yaml_node *n = first; n != NULL && !r->failed; n = n->next) {
        struct sf_policy *p;

        if (skip_empty && n->kind == SF_YAML_SCALAR && n->plain && n->text.size == 0) {
            continue;
        }
        p = sf_arena_calloc(r->arena, 1, sizeof(*p));
        if (p == NULL) {
            r->failed = true;
            break;
        }
        p->file = file;
        *link = p;
        link = &p->next;
        sf_policy_read(r, n, p);
    }
    return head;
}

static void free_all(struct sf_policy *p)
{
    for (; p != NULL; p = p->next) {
        sf_policy_free_patterns(p);
    }
}

const char *sf_policy_full_name(const struct sf_policy *p, struct sf_arena *arena)
{
    return p->product == NULL ? p->name : sf_arena_printf(arena, "%s:%s", p->product, p->name);
}

/* Names that stand twice: here, or here and in the set. */
static void check_names(struct sf_policy_reader *r, const struct sf_policy_set *s,
                        struct sf_policy *head)
{
    struct sf_map seen = {0};

    for (struct sf_policy *p = head; p != NULL && !r->failed; p = p->next) {
        const char *name = p->name == NULL ? NULL : sf_policy_full_name(p, r->arena);

        if (p->name == NULL) {
            continue;
        }
        if (name == NULL) {
            r->failed = true;
            break;
        }
        if (sf_map_get(&seen, name) != NULL || sf_map_get(&s->names, name) != NULL) {
            sf_issues_error(r->issues, p->name_place, SHEAF_E_DUPLICATE_KEY,
                            "policy '%s' stands twice", p->name);
        } else {
            r->failed |= sf_map_put(&seen, sf_slice_text(name), p) != SF_OK;
        }
    }
    sf_map_done(&seen);
}

static enum sf_code put_all(struct sf_policy_set *s, struct sf_policy *head, struct sf_error *err)
{
    size_t count = 0;

    for (struct sf_policy *p = head; p != NULL; p = p->next) {
        count++;
    }
    if (s->count + count > SF_POLICY_SET_MAX) {
        free_all(head);
        return SF_RAISE_E(err, SF_BUSY, SHEAF_E_LIMIT, "a set holds at most %d policies",
                          SF_POLICY_SET_MAX);
    }
    while (head != NULL) {
        struct sf_policy *p = head;
        enum sf_code code;

        head = p->next;
        p->next = NULL;
        code = sf_policy_set_put(s, p, err);
        if (code != SF_OK) {
            free_all(head);
            return code;
        }
    }
    return SF_OK;
}

/* Reads what stands in @first and puts it into @s when nothing is wrong. */
static enum sf_code add_all(struct sf_policy_set *s, struct sf_policy_reader *r,
                            const struct sf_yaml_node *first, struct sf_error *err)
{
    struct sf_policy *head = read_all(r, first, r->product == NULL);
    enum sf_code code;

    check_names(r, s, head);
    if (r->failed) {
        free_all(head);
        return SF_RAISE(err, SF_NOMEM, "%s: out of memory", r->issues->file);
    }
    code = sf_issues_check(r->issues, err);
    if (code != SF_OK) {
        free_all(head);
        return code;
    }
    return put_all(s, head, err);
}

enum sf_code sf_policy_set_add(struct sf_policy_set *s, struct sf_issues *issues,
                               uint32_t first_line, struct sf_error *err)
{
    struct sf_policy_reader r = {
        .issues = issues, .arena = &s->arena, .line_offset = first_line - 1};
    SF_CLEANUP(sf_arena_done) struct sf_arena tree = {0};
    struct sf_yaml_node *root = NULL;
    enum sf_code code;

    sf_arena_init(&tree, FILE_BYTES_MAX);
    code = sf_yaml_read(&tree, issues, &root, err);
    return code == SF_OK ? add_all(s, &r, root, err) : code;
}

/* --- of a product ----------------------------------------------------------------------------- */

static const char *name_of(struct sf_policy_set *s, const struct sf_product *p)
{
    return sf_arena_printf(&s->arena, "%s/%s", p->domain, p->name);
}

/* One policy as the contract keeps it: on one line, which is that of the product file. */
static enum sf_code add_one(struct sf_policy_set *s, const struct sf_product *p,
                            const struct sf_product_policy *text, struct sf_error *err)
{
    struct sf_policy_reader r = {
        .arena = &s->arena, .product = name_of(s, p), .line_offset = text->line - 1};
    SF_CLEANUP(sf_issues_done) struct sf_issues issues = {0};
    SF_CLEANUP(sf_arena_done) struct sf_arena tree = {0};
    struct sf_yaml_node *root = NULL;
    enum sf_code code;

    if (r.product == NULL) {
        return SF_RAISE(err, SF_NOMEM, "policies of %s/%s", p->domain, p->name);
    }
    sf_arena_init(&tree, FILE_BYTES_MAX);
    sf_issues_init(&issues, r.product, sf_slice_text(text->text));
    r.issues = &issues;
    code = sf_yaml_read(&tree, &issues, &root, err);
    if (code == SF_OK) {
        code = add_all(s, &r, root, err);
    }
    return code;
}

enum sf_code sf_policy_set_add_product(struct sf_policy_set *s, const struct sf_product *p,
                                       struct sf_error *err)
{
    enum sf_code code = SF_OK;

    for (size_t i = 0; i < p->policy_count && code == SF_OK; i++) {
        code = add_one(s, p, &p->policies[i], err);
    }
    return code;
}

/* What cannot be applied to the product that it stands in. */
static enum sf_code warn_of_misfits(struct sf_issues *issues, const struct sf_policy_set *s,
                                    const struct sf_product *p, struct sf_arena *arena,
                                    struct sf_error *err)
{
    struct sf_policy_breach *misfits;
    size_t count;
    enum sf_code code =
        sf_policy_check_product(s, p, /* now_us= */ INT64_MIN, arena, &misfits, &count, err);

    for (size_t i = 0; i < count && code == SF_OK; i++) {
        const struct sf_policy *policy = s->first;

        while (strcmp(policy->name, misfits[i].cause.policy) != 0) {
            policy = policy->next;
        }
        sf_issues_warning(issues, policy->name_place, "%s", misfits[i].text);
    }
    return code;
}

enum sf_code sf_policy_check_file(struct sf_issues *issues, const struct sf_product *p,
                                  struct sf_error *err)
{
    SF_CLEANUP(sf_policy_set_freep) struct sf_policy_set *s = sf_policy_set_new();
    struct sf_policy_reader r = {.issues = issues};
    SF_CLEANUP(sf_arena_done) struct sf_arena tree = {0};
    const struct sf_yaml_node *policies;
    struct sf_yaml_node *root = NULL;
    enum sf_code code;

    sf_arena_init(&tree, FILE_BYTES_MAX);
    if (s == NULL) {
        return SF_RAISE(err, SF_NOMEM, "%s: out of memory", issues->file);
    }
    r.arena = &s->arena;
    r.product = name_of(s, p);
    if (r.product == NULL) {
        return SF_RAISE(err, SF_NOMEM, "%s: out of memory", issues->file);
    }
    code = sf_yaml_read(&tree, issues, &root, err);
    if (code != SF_OK) {
        return code;
    }
    policies = root == NULL ? NULL : sf_yaml_get(root, "policies");
    code = policies == NULL ? sf_issues_check(issues, err) : add_all(s, &r, policies->first, err);
    return code == SF_OK ? warn_of_misfits(issues, s, p, &tree, err) : code;
}

/* --- telling documents apart ------------------------------------------------------------------ */

/* Where each line begins. */
struct lines {
    struct sf_slice text;
    size_t at;     /* of the line at hand */
    uint32_t line; /* counted from 1 */
};

static void next_line(struct lines *l)
{
    const uint8_t *from = l->text.data + l->at;
    const uint8_t *end = memchr(from, '\n', l->text.size - l->at);

    l->at = end == NULL ? l->text.size : (size_t)(end - l->text.data) + 1;
    l->line++;
}

static bool is_dashes(const struct lines *l)
{
    return sf_slice_starts_with(sf_slice_of(l->text.data + l->at, l->text.size - l->at),
                                SF_LITERAL("---"));
}

/* The documents with a map, each from behind its line of dashes (or from that line on, when the
 * document begins there) to the next. */
static size_t cut(struct sf_slice text, const struct sf_yaml_node *first,
                  struct sf_policy_document *docs)
{
    struct lines l = {.text = text, .line = 1};
    size_t count = 0;

    for (const struct sf_yaml_node *n = first; n != NULL; n = n->next) {
        struct sf_policy_document doc = {.text = sf_slice_of(text.data + l.at, 0), .line = l.line};
        size_t end;

        /* Up to the map, comments and dashes; what stands before the last dashes is not of it. */
        while (l.line < n->place.line && l.at < text.size) {
            const bool dashes = is_dashes(&l);

            next_line(&l);
            if (dashes) {
                doc.text.data = text.data + l.at;
                doc.line = l.line;
            }
        }
        if (l.at < text.size && is_dashes(&l)) {
            doc.text.data = text.data + l.at;
            doc.line = l.line;
        }
        do {
            next_line(&l);
        } while (l.at < text.size && !is_dashes(&l));
        end = l.at;
        doc.text.size = end - (size_t)(doc.text.data - text.data);
        if (n->kind == SF_YAML_MAP) {
            docs[count++] = doc;
        }
    }
    return count;
}

enum sf_code sf_policy_split(struct sf_issues *issues, struct sf_arena *arena,
                             struct sf_policy_document **ret, size_t *ret_count,
                             struct sf_error *err)
{
    SF_CLEANUP(sf_policy_set_freep) struct sf_policy_set *s = sf_policy_set_new();
    struct sf_policy_reader r = {.issues = issues};
    SF_CLEANUP(sf_arena_done) struct sf_arena tree = {0};
    struct sf_yaml_node *root = NULL;
    size_t count = 0;
    enum sf_code code;

    sf_arena_init(&tree, FILE_BYTES_MAX);
    if (s == NULL) {
        return SF_RAISE(err, SF_NOMEM, "%s: out of memory", issues->file);
    }
    r.arena = &s->arena;
    code = sf_yaml_read(&tree, issues, &root, err);
    if (code == SF_OK) {
        code = add_all(s, &r, root, err);
    }
    if (code != SF_OK) {
        return code;
    }
    for (const struct sf_yaml_node *n = root; n != NULL; n = n->next) {
        count++;
    }
    *ret = sf_arena_calloc(arena, count + 1, sizeof(**ret));
    if (*ret == NULL) {
        return SF_RAISE(err, SF_NOMEM, "%s: out of memory", issues->file);
    }
    *ret_count = cut(issues->source, root, *ret);
    count = 0;
    for (const struct sf_policy *p = s->first; p != NULL; p = p->next) {
        (*ret)[count].name = sf_arena_strdup(arena, p->name);
        if ((*ret)[count++].name == NULL) {
            return SF_RAISE(err, SF_NOMEM, "%s: out of memory", issues->file);
        }
    }
    return SF_OK;
}
