#include "leaf/ingest/source_file.h"

#include <stdio.h>
#include <string.h>

#include "common/base/str.h"
#include "common/contract/contract.h"
#include "proto/errors.h"

struct file {
    struct sf_arena *arena;
    struct sf_issues *issues;
    const char *domain;
    bool no_memory;
};

static void complain(struct file *f, const struct sf_yaml_node *n, const char *text)
{
    sf_issues_error(f->issues, n->place, SHEAF_E_BAD_VALUE, "%s", text);
}

static char *copy(struct file *f, const char *text, size_t size)
{
    char *kept = sf_arena_alloc(f->arena, size + 1);

    if (kept == NULL) {
        f->no_memory = true;
        return NULL;
    }
    memcpy(kept, text, size);
    kept[size] = '\0';
    return kept;
}

/* P[@MAJOR][.TABLE] */
static void read_into(struct file *f, const struct sf_yaml_node *n, struct source_spec *ret)
{
    const char *text;
    const char *dot;
    const char *at;
    size_t end;
    uint64_t major = 0;

    if (!sf_yaml_text(f->issues, n, "into", &text)) {
        return;
    }
    dot = strchr(text, '.');
    end = dot == NULL ? strlen(text) : (size_t)(dot - text);
    at = memchr(text, '@', end);
    if (at != NULL &&
        (sf_parse_u64(sf_slice_of(at + 1, end - (size_t)(at + 1 - text)), &major) != SF_PARSE_OK ||
         major == 0 || major > UINT32_MAX)) {
        complain(f, n, "'into' must be PRODUCT[@MAJOR][.TABLE]");
        return;
    }
    ret->major = (uint32_t)major;
    ret->product = copy(f, text, at == NULL ? end : (size_t)(at - text));
    ret->table = dot == NULL ? NULL : dot + 1;
    if (ret->product != NULL && (!sf_name_is_product(sf_slice_text(ret->product)) ||
                                 (dot != NULL && !sf_name_is_table(sf_slice_text(dot + 1))))) {
        complain(f, n, "'into' must be PRODUCT[@MAJOR][.TABLE]");
    }
}

static void read_name(struct file *f, const struct sf_yaml_node *n, const char *what,
                      const char **ret)
{
    if (sf_yaml_text(f->issues, n, what, ret) && !sf_js_name_is_valid(*ret)) {
        complain(f, n, "must be at most 63 letters, digits, '-' and '_'");
    }
}

static void read_format(struct file *f, const struct sf_yaml_node *n, struct source_spec *ret)
{
    static const char *const names[] = {"ndjson", "json", "csv"};
    static const char *const types[] = {"application/x-ndjson", "application/json", "text/csv"};
    const struct sf_allowed allowed = {.names = names, .count = SF_COUNT(names), .given = n->text};
    size_t i;

    if (sf_yaml_choice(f->issues, n, &allowed, "format", &i)) {
        ret->type = types[i];
    }
}

static void read_envelope(struct file *f, const struct sf_yaml_node *n, struct source_spec *ret)
{
    static const char *const names[] = {"none", "change"};
    const struct sf_allowed allowed = {.names = names, .count = SF_COUNT(names), .given = n->text};
    size_t i;

    if (sf_yaml_choice(f->issues, n, &allowed, "envelope", &i)) {
        ret->has_envelope = i == 1;
    }
}

static void read_start(struct file *f, const struct sf_yaml_node *n, struct source_spec *ret)
{
    static const char *const names[] = {"all", "new"};
    const struct sf_allowed allowed = {.names = names, .count = SF_COUNT(names), .given = n->text};
    size_t i;

    if (sf_yaml_choice(f->issues, n, &allowed, "start", &i)) {
        ret->only_new = i == 1;
    }
}

static void read_filter(struct file *f, const struct sf_yaml_node *n, struct source_spec *ret)
{
    if (sf_yaml_text(f->issues, n, "filter", &ret->filter) &&
        (n->text.size == 0 || n->text.size > 200 || strpbrk(ret->filter, " \t\r\n") != NULL)) {
        complain(f, n, "'filter' must be a subject of at most 200 characters");
    }
}

static void read_limit(struct file *f, const struct sf_yaml_node *n, struct source_spec *ret)
{
    uint32_t value;

    if (sf_yaml_u32(f->issues, n, "max_ack_pending", &value)) {
        ret->max_ack_pending = value;
    }
}

static void read_member(struct file *f, const struct sf_yaml_node *n, struct source_entry *ret)
{
    struct source_spec *spec = &ret->spec;

    if (strcmp(n->key, "into") == 0) {
        read_into(f, n, spec);
    } else if (strcmp(n->key, "stream") == 0) {
        read_name(f, n, "stream", &spec->stream);
    } else if (strcmp(n->key, "consumer") == 0) {
        read_name(f, n, "consumer", &spec->consumer);
    } else if (strcmp(n->key, "filter") == 0) {
        read_filter(f, n, spec);
    } else if (strcmp(n->key, "format") == 0) {
        read_format(f, n, spec);
    } else if (strcmp(n->key, "envelope") == 0) {
        read_envelope(f, n, spec);
    } else if (strcmp(n->key, "start") == 0) {
        read_start(f, n, spec);
    } else if (strcmp(n->key, "max_ack_pending") == 0) {
        read_limit(f, n, spec);
    } else if (strcmp(n->key, "url") == 0) {
        (void)!sf_yaml_text(f->issues, n, "url", &ret->url);
    } else if (strcmp(n->key, "creds") == 0) {
        (void)!sf_yaml_text(f->issues, n, "creds", &ret->creds);
    }
}

/* sheaf-DOMAIN-NAME, unless the file says otherwise. */
static void name_consumer(struct file *f, struct source_spec *spec)
{
    char name[256];

    if (spec->consumer == NULL) {
        (void)snprintf(name, sizeof(name), "sheaf-%s-%s", f->domain, spec->name);
        name[SF_JS_NAME_MAX - 1] = '\0';
        spec->consumer = copy(f, name, strlen(name));
    }
}

static void read_entry(struct file *f, const struct sf_yaml_node *n, struct source_entry *ret)
{
    static const char *const keys[] = {"into",   "stream",  "consumer",        "filter",
                                       "format", "start",   "max_ack_pending", "url",
                                       "creds",  "envelope"};

    if (!sf_js_name_is_valid(n->key)) {
        sf_issues_error(f->issues, n->key_place, SHEAF_E_BAD_VALUE,
                        "the name of a source has at most 63 letters, digits, '-' and '_'");
    }
    if (!sf_yaml_expect(f->issues, n, SF_YAML_MAP, "a source")) {
        return;
    }
    sf_yaml_check_keys(f->issues, n, keys, SF_COUNT(keys));
    *ret = (struct source_entry){.spec = {.name = n->key,
                                          .type = "application/x-ndjson",
                                          .max_ack_pending = SOURCE_ACK_PENDING}};
    for (const struct sf_yaml_node *m = n->first; m != NULL; m = m->next) {
        read_member(f, m, ret);
    }
    if (sf_yaml_get(n, "into") == NULL || sf_yaml_get(n, "stream") == NULL) {
        complain(f, n, "'into' and 'stream' are required");
    }
    if (ret->creds != NULL && ret->url == NULL) {
        complain(f, n, "'creds' are for a server that 'url' names");
    }
    name_consumer(f, &ret->spec);
}

static void read_root(struct file *f, const struct sf_yaml_node *root, struct source_list *ret)
{
    static const char *const keys[] = {"sheaf", "sources"};
    const struct sf_yaml_node *sources = sf_yaml_get(root, "sources");
    const struct sf_yaml_node *kind = sf_yaml_get(root, "sheaf");

    sf_yaml_check_keys(f->issues, root, keys, SF_COUNT(keys));
    if (kind == NULL || !sf_slice_equal(kind->text, SF_LITERAL("sources/v1"))) {
        complain(f, kind == NULL ? root : kind, "'sheaf' must be sources/v1");
    }
    if (sources == NULL || sf_yaml_is_null(sources) ||
        !sf_yaml_expect(f->issues, sources, SF_YAML_MAP, "'sources'")) {
        return;
    }
    for (const struct sf_yaml_node *n = sources->first; n != NULL; n = n->next) {
        if (ret->count == SOURCES_MAX) {
            complain(f, n, "there are too many sources");
            return;
        }
        read_entry(f, n, &ret->entries[ret->count++]);
    }
}

enum sf_code source_file_read(struct sf_arena *arena, struct sf_issues *issues, const char *domain,
                              struct source_list *ret, struct sf_error *err)
{
    struct file f = {.arena = arena, .issues = issues, .domain = domain};
    struct sf_yaml_node *root = NULL;
    enum sf_code code = sf_yaml_read(arena, issues, &root, err);

    ret->count = 0;
    if (code != SF_OK) {
        return code;
    }
    if (root == NULL || !sf_yaml_expect(issues, root, SF_YAML_MAP, "the file of sources")) {
        return root == NULL ? SF_OK : sf_issues_check(issues, err);
    }
    read_root(&f, root, ret);
    return f.no_memory ? SF_RAISE(err, SF_NOMEM, "file of sources") : sf_issues_check(issues, err);
}
