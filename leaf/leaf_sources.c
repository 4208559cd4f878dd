/* The JetStream streams that the leaf takes records from: their file, their connections. */
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/identity/creds.h"
#include "leaf/ingest/source_file.h"
#include "leaf/leaf_private.h"
#include "proto/errors.h"

enum { CREDS_BYTES_MAX = 64 * 1024 };

struct leaf_source {
    struct source *source;
    struct sf_bus *bus; /* its own connection; NULL: the leaf's */
};

struct leaf_sources {
    struct sf_arena arena;
    struct source_list list;
    struct leaf_source sources[SOURCES_MAX]; /* as in list */
    struct leaf *leaf;
};

static enum sf_code read_file(struct leaf_sources *s, const char *path, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    SF_CLEANUP(sf_buf_done) struct sf_buf report = {0};
    struct sf_issues issues;
    enum sf_code code = sf_file_read(path, SF_YAML_BYTES_MAX, &text, err);

    if (code != SF_OK) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_FILE_UNREADABLE, "--sources %s", path);
    }
    sf_issues_init(&issues, path, sf_buf_view(&text));
    code = source_file_read(&s->arena, &issues, s->leaf->config->domain, &s->list, err);
    if (code == SF_INVALID) {
        sf_issues_render(&issues, &report);
        (void)fwrite(report.data, 1, report.size, stderr);
    }
    sf_issues_done(&issues);
    return code;
}

static void on_bus_state(struct sf_bus *bus, bool is_connected)
{
    struct leaf_source *s = bus->data;

    (void)is_connected;
    if (s->source != NULL) {
        source_bus_changed(s->source);
    }
}

/* A JWT and the seed of its user. */
static enum sf_code read_creds(const char *path, struct sf_arena *arena, struct sf_seed *ret_user,
                               const char **ret_jwt, struct sf_error *err)
{
    struct sf_buf text = {0};
    struct sf_slice jwt;
    enum sf_code code = sf_file_read(path, CREDS_BYTES_MAX, &text, err);

    if (code != SF_OK) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_FILE_UNREADABLE, "credentials %s", path);
    }
    if (code == SF_OK) {
        code = sf_creds_parse(sf_buf_view(&text), &jwt, ret_user, err);
    }
    if (code == SF_OK) {
        *ret_jwt = sf_arena_strndup(arena, jwt.data, jwt.size);
        code = *ret_jwt == NULL ? SF_RAISE(err, SF_NOMEM, "credentials") : SF_OK;
    }
    if (text.data != NULL) {
        sf_wipe(text.data, text.capacity);
    }
    sf_buf_done(&text);
    return code;
}

static enum sf_code connect(struct leaf_sources *s, size_t i, struct sf_error *err)
{
    const struct source_entry *e = &s->list.entries[i];
    struct sf_seed user = {0};
    const char *urls[] = {e->url};
    struct sf_bus_nats_options options = {
        .urls = urls,
        .url_count = 1,
        .name = e->spec.consumer,
        .in_bytes_max = s->leaf->config->nats_pending_bytes_max,
        .out_bytes_max = s->leaf->config->nats_pending_bytes_max,
    };
    enum sf_code code = SF_OK;

    if (e->creds != NULL) {
        code = read_creds(e->creds, &s->arena, &user, &options.jwt, err);
        options.user = &user;
    }
    if (code == SF_OK) {
        code = sf_bus_nats_open(s->leaf->rt, &options, &s->sources[i].bus, err);
    }
    if (code == SF_OK) {
        s->sources[i].bus->on_state = on_bus_state;
        s->sources[i].bus->data = &s->sources[i];
    }
    sf_seed_done(&user);
    return code;
}

static enum sf_code start_source(struct leaf_sources *s, size_t i, struct sf_error *err)
{
    struct leaf *leaf = s->leaf;
    struct source_options o = {
        .rt = leaf->rt,
        .bus = leaf->own,
        .ingest = leaf->ingest,
        .store = leaf->store,
        .serving = &leaf->serving,
        .metrics = &leaf->metrics,
    };
    enum sf_code code = s->list.entries[i].url == NULL ? SF_OK : connect(s, i, err);

    if (code == SF_OK) {
        o.bus = s->sources[i].bus == NULL ? leaf->own : s->sources[i].bus;
        code = source_new(&o, &s->list.entries[i].spec, &s->sources[i].source, err);
    }
    return code == SF_OK ? SF_OK : sf_error_wrap(err, "source '%s'", s->list.entries[i].spec.name);
}

enum sf_code leaf_sources_start(struct leaf *leaf, struct sf_error *err)
{
    struct leaf_sources *s;
    enum sf_code code;

    if (leaf->config->sources == NULL) {
        return SF_OK;
    }
    s = sf_calloc(1, sizeof(*s));
    if (s == NULL) {
        return SF_RAISE(err, SF_NOMEM, "sources");
    }
    sf_arena_init(&s->arena, 0);
    s->leaf = leaf;
    leaf->sources = s;
    code = read_file(s, leaf->config->sources, err);
    for (size_t i = 0; code == SF_OK && i < s->list.count; i++) {
        code = start_source(s, i, err);
    }
    return code;
}

void leaf_sources_bus_changed(struct leaf *leaf)
{
    for (size_t i = 0; leaf->sources != NULL && i < leaf->sources->list.count; i++) {
        struct leaf_source *s = &leaf->sources->sources[i];

        if (s->bus == NULL && s->source != NULL) {
            source_bus_changed(s->source);
        }
    }
}

void leaf_sources_close(struct leaf *leaf)
{
    for (size_t i = 0; leaf->sources != NULL && i < leaf->sources->list.count; i++) {
        source_close(SF_TAKE(leaf->sources->sources[i].source));
    }
}

size_t leaf_sources_close_buses(struct leaf *leaf, void (*closed)(void *data))
{
    size_t count = 0;

    for (size_t i = 0; leaf->sources != NULL && i < leaf->sources->list.count; i++) {
        struct sf_bus *bus = SF_TAKE(leaf->sources->sources[i].bus);

        if (bus != NULL) {
            count++;
            sf_bus_nats_close(bus, closed, leaf);
        }
    }
    return count;
}

void leaf_sources_done(struct leaf *leaf)
{
    if (leaf->sources != NULL) {
        sf_arena_done(&leaf->sources->arena);
        sf_free(SF_TAKE(leaf->sources));
    }
}

static void write_source(const struct source_entry *e, const struct source *source,
                         struct sf_json_writer *w)
{
    struct source_status status = {.state = "off", .error = ""};

    if (source != NULL) {
        source_status(source, &status);
    }
    sf_json_object_begin(w);
    sf_json_member_text(w, "name", e->spec.name);
    sf_json_member_text(w, "stream", e->spec.stream);
    sf_json_member_text(w, "product", e->spec.product);
    sf_json_member_text(w, "table", e->spec.table);
    sf_json_member_text(w, "state", status.state);
    sf_json_member_text(w, "error", status.error);
    sf_json_member_uint(w, "stored", status.stored);
    sf_json_member_uint(w, "repeated", status.repeated);
    sf_json_member_uint(w, "poison", status.poison);
    sf_json_member_uint(w, "pending", status.pending);
    sf_json_member_uint(w, "last_seq", status.last_seq);
    sf_json_object_end(w);
}

void leaf_sources_write(const struct leaf *leaf, struct sf_json_writer *w)
{
    const struct leaf_sources *s = leaf->sources;

    sf_json_array_begin(w);
    for (size_t i = 0; s != NULL && i < s->list.count; i++) {
        write_source(&s->list.entries[i], s->sources[i].source, w);
    }
    sf_json_array_end(w);
}
