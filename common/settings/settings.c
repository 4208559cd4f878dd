#include "common/settings/settings.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/sys/file.h"
#include "common/wire/yaml.h"
#include "proto/errors.h"

enum { ORIGIN_SIZE = 256, TEXTS_MAX = 4 * 1024 * 1024, SETTINGS_MAX = 256 };

/* --- the file --------------------------------------------------------------------------------- */

struct file {
    const struct sf_config_source *source;
    struct sf_arena *texts;
    struct sf_issues issues;
    struct sf_config_entry entries[SETTINGS_MAX];
    size_t entry_count;
};

static void check_keys(struct file *f, const struct sf_yaml_node *root)
{
    const char *names[SETTINGS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < f->source->table_count && count < SETTINGS_MAX; i++) {
        if (!f->source->table[i].not_in_file) {
            names[count++] = f->source->table[i].key;
        }
    }
    sf_yaml_check_keys(&f->issues, root, names, count);
}

/* One "key: value" of a setting that is known. */
static enum sf_code take_value(struct file *f, const struct sf_setting *s,
                               const struct sf_yaml_node *n, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf why = {0};
    struct sf_config_entry *e = &f->entries[f->entry_count];
    const char *text;

    if (!sf_yaml_text(&f->issues, n, s->key, &text)) {
        return SF_OK;
    }
    if (!sf_setting_check(s, text, &why)) {
        const char *shown = sf_buf_cstr(&why);

        sf_issues_error(&f->issues, n->place, SHEAF_E_BAD_VALUE, "%s",
                        shown == NULL ? "value not allowed" : shown);
        return SF_OK;
    }
    *e = (struct sf_config_entry){
        .key = s->key, .text = sf_arena_strdup(f->texts, text), .line = n->place.line};
    if (e->text == NULL) {
        return SF_RAISE(err, SF_NOMEM, "settings");
    }
    f->entry_count++;
    return SF_OK;
}

static enum sf_code take_file(struct file *f, const struct sf_yaml_node *root, struct sf_error *err)
{
    enum sf_code code = SF_OK;

    if (root == NULL || sf_yaml_is_null(root) ||
        !sf_yaml_expect(&f->issues, root, SF_YAML_MAP, "the configuration")) {
        return SF_OK;
    }
    if (root->next != NULL) {
        sf_issues_error(&f->issues, root->next->place, SHEAF_E_BAD_VALUE,
                        "a configuration is one document");
    }
    check_keys(f, root);
    for (const struct sf_yaml_node *n = root->first; code == SF_OK && n != NULL; n = n->next) {
        const struct sf_setting *s =
            sf_setting_find(f->source->table, f->source->table_count, sf_slice_text(n->key));

        if (s != NULL && !s->not_in_file && f->entry_count < SETTINGS_MAX) {
            code = take_value(f, s, n, err);
        }
    }
    return code;
}

static enum sf_code parse_file(struct file *f, const char *path, struct sf_slice text,
                               struct sf_buf *report, struct sf_error *err)
{
    struct sf_arena arena;
    struct sf_yaml_node *root = NULL;
    enum sf_code code;

    sf_arena_init(&arena, (size_t)TEXTS_MAX * 4);
    sf_issues_init(&f->issues, path, text);
    code = sf_yaml_read(&arena, &f->issues, &root, err);
    if (code == SF_OK) {
        code = take_file(f, root, err);
    }
    if (code == SF_OK) {
        code = sf_issues_check(&f->issues, err);
    }
    if (code == SF_INVALID) {
        sf_issues_render(&f->issues, report);
    }
    sf_issues_done(&f->issues);
    sf_arena_done(&arena);
    return code;
}

static enum sf_code read_file(struct file *f, const char *path, struct sf_buf *report,
                              struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    struct sf_error why;
    enum sf_code code = sf_file_read(path, SF_YAML_BYTES_MAX, &text, &why);

    if (code == SF_NOMEM) {
        return SF_RAISE(err, SF_NOMEM, "%s", path);
    }
    if (code != SF_OK) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_FILE_UNREADABLE, "%s", why.text);
    }
    return parse_file(f, path, sf_buf_view(&text), report, err);
}

/* --- all of them ------------------------------------------------------------------------------ */

/* Flags and environment name the file; then all is read again, over what the file says. */
static enum sf_code read_with_file(const struct sf_config_source *source, struct sf_settings *s,
                                   struct sf_buf *report, struct sf_error *err)
{
    struct file *f = sf_calloc(1, sizeof(*f));
    struct sf_config_source with = *source;
    struct sf_config *config = NULL;
    enum sf_code code;

    if (f == NULL) {
        return SF_RAISE(err, SF_NOMEM, "settings");
    }
    f->source = source;
    f->texts = &s->texts;
    code = read_file(f, s->path, report, err);
    with.entries = f->entries;
    with.entry_count = f->entry_count;
    if (code == SF_OK) {
        code = sf_config_parse(&with, &config, err);
    }
    if (code == SF_OK) {
        sf_config_free(s->config);
        s->config = config;
    }
    sf_free(f);
    return code;
}

enum sf_code sf_settings_read(const struct sf_config_source *source, struct sf_settings *ret,
                              struct sf_buf *report, struct sf_error *err)
{
    struct sf_settings s = {0};
    enum sf_code code = sf_config_parse(source, &s.config, err);

    if (code != SF_OK) {
        return code;
    }
    sf_arena_init(&s.texts, TEXTS_MAX);
    s.path = sf_config_text(s.config, "config");
    if (s.path != NULL) {
        code = read_with_file(source, &s, report, err);
    }
    if (code != SF_OK) {
        sf_settings_done(&s);
        return code;
    }
    *ret = s;
    return SF_OK;
}

void sf_settings_done(struct sf_settings *s)
{
    sf_config_free(s->config);
    sf_arena_done(&s->texts);
    *s = (struct sf_settings){0};
}

/* --- what they are ---------------------------------------------------------------------------- */

static const char *origin_name(enum sf_setting_origin origin)
{
    static const char *const names[] = {
        [SF_ORIGIN_UNSET] = "unset",
        [SF_ORIGIN_DEFAULT] = "default",
        [SF_ORIGIN_DERIVED] = "memory",
        [SF_ORIGIN_FILE] = "file",
        [SF_ORIGIN_ENVIRONMENT] = "environment",
        [SF_ORIGIN_FLAG] = "flag",
    };

    return names[origin];
}

/* Where the value stands: "leaf.yaml:3", or how it came otherwise. */
static void origin_text(const struct sf_settings *s, const struct sf_config_item *item,
                        char ret[ORIGIN_SIZE])
{
    if (item->origin == SF_ORIGIN_FILE) {
        (void)snprintf(ret, ORIGIN_SIZE, "%s:%u", s->path, item->line);
    } else {
        (void)snprintf(ret, ORIGIN_SIZE, "%s", origin_name(item->origin));
    }
}

void sf_settings_print(const struct sf_settings *s, struct sf_buf *out)
{
    size_t name_width = 0;
    size_t value_width = 0;

    for (size_t i = 0; i < sf_config_count(s->config); i++) {
        const struct sf_config_item item = sf_config_item(s->config, i);
        const size_t name = strlen(item.setting->key);
        const size_t value = item.text == NULL ? 1 : strlen(item.text);

        name_width = name > name_width ? name : name_width;
        value_width = value > value_width ? value : value_width;
    }
    for (size_t i = 0; i < sf_config_count(s->config); i++) {
        const struct sf_config_item item = sf_config_item(s->config, i);
        char origin[ORIGIN_SIZE];

        if (!item.setting->not_in_file) {
            origin_text(s, &item, origin);
            sf_buf_printf(out, "%-*s  %-*s  %s\n", (int)name_width, item.setting->key,
                          (int)value_width, item.text == NULL ? "-" : item.text, origin);
        }
    }
}

static bool is_same(const struct sf_config_item *a, const struct sf_config_item *b)
{
    return (a->text == NULL && b->text == NULL) ||
           (a->text != NULL && b->text != NULL && strcmp(a->text, b->text) == 0);
}

void sf_settings_write(const struct sf_settings *started, const struct sf_settings *latest,
                       struct sf_json_writer *w)
{
    sf_json_array_begin(w);
    for (size_t i = 0; i < sf_config_count(started->config); i++) {
        const struct sf_config_item old = sf_config_item(started->config, i);
        const struct sf_config_item item = sf_config_item(latest->config, i);
        const bool waits = !old.setting->reloadable && !is_same(&old, &item);
        const struct sf_config_item *now = waits ? &old : &item;
        char origin[ORIGIN_SIZE];

        if (old.setting->not_in_file) {
            continue;
        }
        origin_text(waits ? started : latest, now, origin);
        sf_json_object_begin(w);
        sf_json_member_text(w, "name", now->setting->key);
        sf_json_member_text(w, "value", now->text);
        sf_json_member_text(w, "origin", origin);
        sf_json_member_text(w, "default", now->setting->default_text);
        sf_json_member_bool(w, "reloadable", now->setting->reloadable);
        if (waits) {
            sf_json_member_text(w, "after_restart", item.text);
        }
        sf_json_object_end(w);
    }
    sf_json_array_end(w);
}

void sf_settings_compare(const struct sf_settings *a, const struct sf_settings *b,
                         sf_settings_cb changed, void *data)
{
    for (size_t i = 0; i < sf_config_count(a->config); i++) {
        const struct sf_config_item from = sf_config_item(a->config, i);
        const struct sf_config_item to = sf_config_item(b->config, i);

        if (!is_same(&from, &to)) {
            changed(data, from.setting, from.text, to.text);
        }
    }
}
