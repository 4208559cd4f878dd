/* SIGHUP: the configuration file and that of sources are read again, the log opened anew. What is
 * wrong changes nothing. */
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "leaf/leaf_private.h"
#include "leaf/serving/http_answer.h"

/* The first line of what is wrong with the file: its place, and what. */
static void say_refused(struct sf_buf *report, const struct sf_error *err)
{
    const char *text = report->size == 0 ? NULL : sf_buf_cstr(report);
    struct sf_error first = *err;

    if (text != NULL) {
        (void)snprintf(first.text, sizeof(first.text), "%.*s", (int)strcspn(text, "\n"), text);
    }
    sf_log(SF_LOG_ERROR, "leaf.settings_refused", SF_F_ERROR(&first));
}

static void say_change(void *data, const struct sf_setting *s, const char *from, const char *to)
{
    size_t *changes = data;

    ++*changes;
    if (s->reloadable) {
        sf_log(SF_LOG_INFO, "leaf.setting_changed", SF_F_TEXT("setting", s->key),
               SF_F_TEXT("from", from), SF_F_TEXT("to", to));
    } else {
        sf_log(SF_LOG_WARN, "leaf.setting_needs_restart", SF_F_TEXT("setting", s->key),
               SF_F_TEXT("from", from), SF_F_TEXT("to", to));
    }
}

static void take_over(struct leaf *leaf, struct leaf_config *fresh)
{
    size_t changes = 0;
    struct sf_error err;

    if (sf_log_open(&(struct sf_log_options){.level = fresh->log.level,
                                             .format = fresh->log.format,
                                             .path = leaf->config->log.path},
                    &err) != SF_OK) {
        sf_log(SF_LOG_WARN, "leaf.log_not_reopened", SF_F_ERROR(&err));
    }
    sf_settings_compare(&leaf->limits->settings, &fresh->settings, say_change, &changes);
    if (leaf->reread != NULL) {
        leaf_config_done(leaf->reread);
        sf_free(leaf->reread);
    }
    leaf->reread = fresh;
    leaf->limits = fresh;
    leaf_limits_apply(leaf);
    sf_log(SF_LOG_INFO, "leaf.settings_read", SF_F_TEXT("file", fresh->settings.path),
           SF_F_UINT("changes", changes));
}

static void reload(struct leaf *leaf)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf report = {0};
    struct leaf_config *fresh = sf_calloc(1, sizeof(*fresh));
    struct sf_error err = {0};
    enum sf_code code = SF_NOMEM;

    if (fresh != NULL) {
        code = leaf_config_reread(leaf->config, fresh, &report, &err);
    }
    if (code != SF_OK) {
        sf_free(fresh);
        say_refused(&report, &err);
        return;
    }
    take_over(leaf, fresh);
}

/* Who took the file away wants other hashes from now on. */
static void reload_masks(struct leaf *leaf)
{
    bool changed = false;
    struct sf_error err;

    if (identity_reload_masks(&leaf->identity, &changed, &err) != SF_OK) {
        sf_log(SF_LOG_ERROR, "leaf.mask_key_unread", SF_F_ERROR(&err));
        return;
    }
    if (changed) {
        serving_keys_changed(&leaf->serving);
        leaf_serving_changed(leaf);
        sf_log(SF_LOG_INFO, "leaf.mask_key_changed");
    }
}

void leaf_reload(struct leaf *leaf)
{
    sf_notify_reloading();
    reload(leaf);
    leaf_sources_reload(leaf);
    reload_masks(leaf);
    leaf_notify_ready(leaf);
}

void leaf_reload_done(struct leaf *leaf)
{
    if (leaf->reread != NULL) {
        leaf_config_done(leaf->reread);
        sf_free(leaf->reread);
    }
}

void leaf_settings_http(struct leaf *leaf, struct sf_http_request *r)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf body = {0};
    struct sf_json_writer w = {.out = &body};

    sf_json_object_begin(&w);
    sf_json_member_text(&w, "apiVersion", "sheaf/v1");
    sf_json_member_text(&w, "kind", "SettingList");
    sf_json_member_text(&w, "file", leaf->config->settings.path);
    sf_json_key(&w, "items");
    sf_settings_write(&leaf->config->settings, &leaf->limits->settings, &w);
    sf_json_object_end(&w);
    http_json(r, 200, &body);
}
