/*
 * The JetStream streams that the leaf takes records from: their file, their connections.
 *
 * One source:
 *
 *            not in the file any more, or changed          what it was storing is stored
 *   TAKING ------------------------------------> ENDING -------------------------------> CUTTING
 *                                                                  connection closed        |
 *                                                          freed <--------------------------+
 *
 * When SIGHUP has the file read again, those that are new or changed begin once none is ending:
 * two of one name would have one cursor.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/identity/creds.h"
#include "leaf/ingest/source_file.h"
#include "leaf/leaf_private.h"
#include "proto/errors.h"

enum { CREDS_BYTES_MAX = 64 * 1024 };

struct leaf_source {
    struct sf_list link;
    struct leaf_sources *all;
    struct sources_file *file; /* one of its references */
    size_t at;                 /* in the file's list */
    struct source *source;
    struct sf_task gone;
    struct sf_bus *bus; /* its own connection; NULL: the leaf's */
};

/* A file as it was read; lives as long as a source that it names. */
struct sources_file {
    size_t references;
    struct sf_arena arena;
    struct source_list list;
    uint8_t creds_hashes[SOURCES_MAX][SF_HASH256_SIZE]; /* of the files that entries name */
    bool failed[SOURCES_MAX]; /* did not start, and waits for the next SIGHUP */
};

struct leaf_sources {
    struct leaf *leaf;
    struct sf_list taking;     /* struct leaf_source, in the order of the file */
    struct sf_list ending;     /* also CUTTING */
    struct sources_file *file; /* as read last */
    bool stopping;
};

static const struct source_entry *entry_of(const struct leaf_source *s)
{
    return &s->file->list.entries[s->at];
}

/* --- the file --------------------------------------------------------------------------------- */

static void file_release(struct sources_file *f)
{
    if (f != NULL && --f->references == 0) {
        sf_arena_done(&f->arena);
        sf_free(f);
    }
}

/* A JWT and the seed of its user; @ret_hash is of the file. */
static enum sf_code read_creds(const char *path, struct sf_arena *arena, struct sf_seed *ret_user,
                               const char **ret_jwt, uint8_t ret_hash[SF_HASH256_SIZE],
                               struct sf_error *err)
{
    struct sf_buf text = {0};
    struct sf_slice jwt;
    struct sf_slice bytes;
    enum sf_code code = sf_file_read(path, CREDS_BYTES_MAX, &text, err);

    if (code != SF_OK) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_FILE_UNREADABLE, "credentials %s", path);
    }
    if (code == SF_OK) {
        bytes = sf_buf_view(&text);
        sf_hash256(&bytes, 1, ret_hash);
        code = sf_creds_parse(bytes, &jwt, ret_user, err);
        code = code == SF_OK ? SF_OK : sf_error_wrap(err, "credentials %s", path);
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

/* That all credentials are there, so that nothing is ended for a file that cannot be followed. */
static enum sf_code check_creds(struct sources_file *f, struct sf_error *err)
{
    enum sf_code code = SF_OK;

    for (size_t i = 0; code == SF_OK && i < f->list.count; i++) {
        struct sf_seed user = {0};
        const char *jwt;

        if (f->list.entries[i].creds != NULL) {
            code = read_creds(f->list.entries[i].creds, &f->arena, &user, &jwt, f->creds_hashes[i],
                              err);
            sf_seed_done(&user);
        }
        if (code != SF_OK) {
            (void)sf_error_wrap(err, "source '%s'", f->list.entries[i].spec.name);
        }
    }
    return code;
}

/* @report gets what is wrong with the file. */
static enum sf_code read_file(const struct leaf *leaf, struct sources_file **ret,
                              struct sf_buf *report, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    const char *path = leaf->config->sources;
    struct sources_file *f = sf_calloc(1, sizeof(*f));
    struct sf_issues issues;
    enum sf_code code;

    if (f == NULL) {
        return SF_RAISE(err, SF_NOMEM, "sources");
    }
    f->references = 1;
    sf_arena_init(&f->arena, 0);
    code = sf_file_read(path, SF_YAML_BYTES_MAX, &text, err);
    if (code != SF_OK) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_FILE_UNREADABLE, "--sources %s", path);
    } else {
        sf_issues_init(&issues, path, sf_buf_view(&text));
        code = source_file_read(&f->arena, &issues, leaf->config->domain, &f->list, err);
        if (code == SF_INVALID) {
            sf_issues_render(&issues, report);
        }
        sf_issues_done(&issues);
    }
    code = code == SF_OK ? check_creds(f, err) : code;
    if (code != SF_OK) {
        file_release(f);
        return code;
    }
    *ret = f;
    return SF_OK;
}

/* --- one source ------------------------------------------------------------------------------- */

static void on_bus_state(struct sf_bus *bus, bool is_connected)
{
    struct leaf_source *s = bus->data;

    (void)is_connected;
    if (s->source != NULL) {
        source_bus_changed(s->source);
    }
}

static enum sf_code connect(struct leaf_source *s, struct sf_error *err)
{
    const struct source_entry *e = entry_of(s);
    const struct leaf *leaf = s->all->leaf;
    uint8_t hash[SF_HASH256_SIZE];
    struct sf_seed user = {0};
    const char *urls[] = {e->url};
    struct sf_bus_nats_options options = {
        .urls = urls,
        .url_count = 1,
        .name = e->spec.consumer,
        .in_bytes_max = leaf->config->nats_pending_bytes_max,
        .out_bytes_max = leaf->config->nats_pending_bytes_max,
    };
    enum sf_code code = SF_OK;

    if (e->creds != NULL) {
        code = read_creds(e->creds, &s->file->arena, &user, &options.jwt, hash, err);
        options.user = &user;
    }
    if (code == SF_OK) {
        code = sf_bus_nats_open(leaf->rt, &options, &s->bus, err);
    }
    if (code == SF_OK) {
        s->bus->on_state = on_bus_state;
        s->bus->data = s;
    }
    sf_seed_done(&user);
    return code;
}

static void source_gone(struct sf_task *t);

/* Takes the entry @at of the newest file; on failure nothing is left but perhaps a connection. */
static enum sf_code start_source(struct leaf_sources *all, size_t at, struct sf_error *err)
{
    struct leaf *leaf = all->leaf;
    struct leaf_source *s = sf_calloc(1, sizeof(*s));
    struct source_options o = {
        .rt = leaf->rt,
        .bus = leaf->own,
        .ingest = leaf->ingest,
        .store = leaf->store,
        .serving = &leaf->serving,
        .metrics = &leaf->metrics,
    };
    enum sf_code code;

    if (s == NULL) {
        return SF_RAISE(err, SF_NOMEM, "sources");
    }
    s->all = all;
    s->file = all->file;
    s->file->references++;
    s->at = at;
    s->gone.run = source_gone;
    sf_list_push(&all->taking, &s->link);
    code = entry_of(s)->url == NULL ? SF_OK : connect(s, err);
    if (code == SF_OK) {
        o.bus = s->bus == NULL ? leaf->own : s->bus;
        code = source_new(&o, &entry_of(s)->spec, &s->source, err);
    }
    return code == SF_OK ? SF_OK : sf_error_wrap(err, "source '%s'", entry_of(s)->spec.name);
}

static void source_free_entry(struct leaf_source *s)
{
    sf_list_remove(&s->link);
    file_release(s->file);
    sf_free(s);
}

/* --- ending ----------------------------------------------------------------------------------- */

static void start_missing(struct leaf_sources *all);

static void bus_closed(void *data)
{
    struct leaf_source *s = data;
    struct leaf_sources *all = s->all;

    all->leaf->closing--;
    source_free_entry(s);
    start_missing(all);
}

/* Its connection, if it has one, and then itself. */
static void cut(struct leaf_source *s)
{
    struct leaf_sources *all = s->all;
    struct sf_bus *bus = SF_TAKE(s->bus);

    if (bus == NULL) {
        source_free_entry(s);
        start_missing(all);
        return;
    }
    bus->on_state = NULL;
    all->leaf->closing++; /* a leaf that stops waits for it */
    sf_bus_nats_close(bus, bus_closed, s);
}

static void source_gone(struct sf_task *t)
{
    struct leaf_source *s = SF_CONTAINER_OF(t, struct leaf_source, gone);

    s->all->leaf->closing--;
    cut(s);
}

static void end_source(struct leaf_source *s)
{
    struct leaf_sources *all = s->all;

    sf_list_remove(&s->link);
    sf_list_push(&all->ending, &s->link);
    all->leaf->closing++;
    if (s->source != NULL) {
        source_close(SF_TAKE(s->source), &s->gone);
    } else {
        sf_rt_post(all->leaf->rt, &s->gone);
    }
}

/* --- what the file wants ---------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_entry(const struct sources_file *f, size_t i, const struct sources_file *g,
                       size_t k)
{
    const struct source_entry *a = &f->list.entries[i];
    const struct source_entry *b = &g->list.entries[k];

    return same_text(a->spec.name, b->spec.name) && same_text(a->spec.product, b->spec.product) &&
           a->spec.major == b->spec.major && same_text(a->spec.table, b->spec.table) &&
           same_text(a->spec.stream, b->spec.stream) &&
           same_text(a->spec.consumer, b->spec.consumer) &&
           same_text(a->spec.filter, b->spec.filter) && same_text(a->spec.type, b->spec.type) &&
           a->spec.has_envelope == b->spec.has_envelope && a->spec.only_new == b->spec.only_new &&
           a->spec.max_ack_pending == b->spec.max_ack_pending && same_text(a->url, b->url) &&
           same_text(a->creds, b->creds) &&
           memcmp(f->creds_hashes[i], g->creds_hashes[k], SF_HASH256_SIZE) == 0;
}

/* The place in the newest file of what @s takes; its count: it is not there so. */
static size_t place_of(const struct leaf_source *s)
{
    const struct sources_file *f = s->all->file;
    size_t i = 0;

    while (i < f->list.count && !same_entry(s->file, s->at, f, i)) {
        i++;
    }
    return i;
}

static struct leaf_source *find(const struct leaf_sources *all, const char *name)
{
    for (struct sf_list *at = all->taking.next; at != &all->taking; at = at->next) {
        struct leaf_source *s = SF_CONTAINER_OF(at, struct leaf_source, link);

        if (strcmp(entry_of(s)->spec.name, name) == 0) {
            return s;
        }
    }
    return NULL;
}

/* Once none is ending. What does not start is told, and tried again with the next SIGHUP. */
static void start_missing(struct leaf_sources *all)
{
    struct sources_file *file = all->file;
    struct sf_error err;

    if (all->stopping || !sf_list_empty(&all->ending)) {
        return;
    }
    for (size_t i = 0; i < file->list.count; i++) {
        const char *name = file->list.entries[i].spec.name;
        struct leaf_source *s;

        if (file->failed[i] || find(all, name) != NULL || start_source(all, i, &err) == SF_OK) {
            continue;
        }
        sf_log(SF_LOG_ERROR, "leaf.source_not_started", SF_F_ERROR(&err));
        file->failed[i] = true;
        s = find(all, name);
        if (s != NULL) { /* perhaps with a connection */
            end_source(s);
        }
    }
}

/* The first line of what is wrong with the file, or why it cannot be read. */
static void say_refused(struct sf_buf *report, const struct sf_error *err)
{
    const char *text = report->size == 0 ? NULL : sf_buf_cstr(report);
    struct sf_error first = *err;

    if (text != NULL) {
        (void)snprintf(first.text, sizeof(first.text), "%.*s", (int)strcspn(text, "\n"), text);
    }
    sf_log(SF_LOG_ERROR, "leaf.sources_refused", SF_F_ERROR(&first));
}

void leaf_sources_reload(struct leaf *leaf)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf report = {0};
    struct leaf_sources *all = leaf->sources;
    struct sources_file *fresh = NULL;
    size_t kept = 0;
    size_t ended = 0;
    struct sf_error err;

    if (all == NULL || all->stopping) {
        return;
    }
    if (read_file(leaf, &fresh, &report, &err) != SF_OK) {
        say_refused(&report, &err);
        return;
    }
    file_release(all->file);
    all->file = fresh;
    for (struct sf_list *at = all->taking.next, *next; at != &all->taking; at = next) {
        struct leaf_source *s = SF_CONTAINER_OF(at, struct leaf_source, link);

        next = at->next;
        if (place_of(s) < fresh->list.count) {
            kept++;
        } else {
            ended++;
            end_source(s);
        }
    }
    sf_log(SF_LOG_INFO, "leaf.sources_read", SF_F_TEXT("file", leaf->config->sources),
           SF_F_UINT("sources", fresh->list.count), SF_F_UINT("kept", kept),
           SF_F_UINT("ended", ended));
    start_missing(all);
}

/* --- life ------------------------------------------------------------------------------------- */

enum sf_code leaf_sources_start(struct leaf *leaf, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf report = {0};
    struct leaf_sources *all;
    enum sf_code code;

    if (leaf->config->sources == NULL) {
        return SF_OK;
    }
    all = sf_calloc(1, sizeof(*all));
    if (all == NULL) {
        return SF_RAISE(err, SF_NOMEM, "sources");
    }
    all->leaf = leaf;
    sf_list_init(&all->taking);
    sf_list_init(&all->ending);
    leaf->sources = all;
    code = read_file(leaf, &all->file, &report, err);
    if (report.size > 0) {
        (void)fwrite(report.data, 1, report.size, stderr);
    }
    for (size_t i = 0; code == SF_OK && i < all->file->list.count; i++) {
        code = start_source(all, i, err);
    }
    return code;
}

void leaf_sources_bus_changed(struct leaf *leaf)
{
    const struct leaf_sources *all = leaf->sources;

    if (all == NULL) {
        return;
    }
    for (struct sf_list *at = all->taking.next; at != &all->taking; at = at->next) {
        struct leaf_source *s = SF_CONTAINER_OF(at, struct leaf_source, link);

        if (s->bus == NULL && s->source != NULL) {
            source_bus_changed(s->source);
        }
    }
}

void leaf_sources_close(struct leaf *leaf)
{
    struct leaf_sources *all = leaf->sources;

    if (all == NULL) {
        return;
    }
    all->stopping = true;
    while (!sf_list_empty(&all->taking)) {
        end_source(SF_CONTAINER_OF(all->taking.next, struct leaf_source, link));
    }
}

void leaf_sources_done(struct leaf *leaf)
{
    struct leaf_sources *all = leaf->sources;

    if (all == NULL) {
        return;
    }
    sf_assert(sf_list_empty(&all->taking) && sf_list_empty(&all->ending));
    file_release(all->file);
    sf_free(SF_TAKE(leaf->sources));
}

static void write_source(const struct leaf_source *s, struct sf_json_writer *w)
{
    const struct source_entry *e = entry_of(s);
    struct source_status status = {.state = "off", .error = ""};

    if (s->source != NULL) {
        source_status(s->source, &status);
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
    const struct leaf_sources *all = leaf->sources;

    sf_json_array_begin(w);
    for (struct sf_list *at = all == NULL ? NULL : all->taking.next;
         at != NULL && at != &all->taking; at = at->next) {
        write_source(SF_CONTAINER_OF(at, struct leaf_source, link), w);
    }
    sf_json_array_end(w);
}
