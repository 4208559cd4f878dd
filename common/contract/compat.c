#include "common/contract/compat.h"

#include <string.h>

#include "common/contract/compat_private.h"
#include "common/contract/product_file.h"
#include "proto/errors.h"

/*
 * Every difference breaks in none, one or more of three directions (enum sf_breaks), and the mode
 * that the new version declares says which of them are refused. A new optional field breaks
 * nothing; a new enum value breaks consumers that do not know it; a missing one breaks producers
 * that still send it.
 */

/* --- notes ------------------------------------------------------------------------------------ */

static const char *keep(struct sf_compat *c, const char *text)
{
    char *copy = sf_arena_strdup(&c->arena, text);

    c->failed |= copy == NULL;
    return copy == NULL ? "" : copy;
}

const char *sf_compat_keep(struct sf_compat *c, struct sf_buf *text)
{
    const char *kept = sf_buf_cstr(text) == NULL ? "" : keep(c, (const char *)text->data);

    c->failed |= text->failed != SF_OK;
    sf_buf_done(text);
    return kept;
}

static void add_note(const struct sf_compat_subject *s, const struct sf_change_note *note)
{
    struct sf_compat *c = s->c;
    struct sf_change_note *at;
    char *path;

    if (c->count == c->capacity) {
        size_t capacity = c->capacity == 0 ? 16 : c->capacity * 2;
        struct sf_change_note *notes = sf_arena_calloc(&c->arena, capacity, sizeof(*notes));

        if (notes == NULL) {
            c->failed = true;
            return;
        }
        if (c->count > 0) {
            memcpy(notes, c->notes, c->count * sizeof(*notes));
        }
        c->notes = notes;
        c->capacity = capacity;
    }
    path = s->field == NULL ? sf_arena_strdup(&c->arena, s->table)
                            : sf_arena_printf(&c->arena, "%s.%s", s->table, s->field);
    c->failed |= path == NULL;
    at = &c->notes[c->count++];
    *at = *note;
    at->path = path == NULL ? "" : path;
    at->before = keep(c, note->before);
    at->after = keep(c, note->after);
    at->breaking = (note->breaks & c->refused) != 0;
    at->against = c->against == NULL ? "" : c->against;
    c->breaking_count += at->breaking;
}

void sf_compat_breaking(const struct sf_compat_subject *s, unsigned breaks, const char *what,
                        const char *before, const char *after)
{
    add_note(s, &(struct sf_change_note){
                    .what = what, .before = before, .after = after, .breaks = breaks});
}

void sf_compat_harmless(const struct sf_compat_subject *s, const char *what, const char *before,
                        const char *after)
{
    add_note(s, &(struct sf_change_note){.what = what, .before = before, .after = after});
}

bool sf_compat_same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* --- tables ----------------------------------------------------------------------------------- */

/* "a, b" of the key, in the arena. */
static const char *key_text(struct sf_compat *c, const struct sf_table *t)
{
    struct sf_buf text = {0};

    for (size_t i = 0; i < t->key_count; i++) {
        sf_buf_printf(&text, "%s%s", i == 0 ? "" : ", ", t->fields[t->key[i]].name);
    }
    return t->key_count == 0 ? "none" : sf_compat_keep(c, &text);
}

static const char *event_time_text(const struct sf_table *t)
{
    return t->event_time < 0 ? "none" : t->fields[t->event_time].name;
}

static void compare_table(struct sf_compat *c, const struct sf_table *before,
                          const struct sf_table *after)
{
    struct sf_compat_subject s = {c, before->name, NULL, false};
    const char *from = key_text(c, before);
    const char *to = key_text(c, after);

    if (before->kind != after->kind) {
        sf_compat_breaking(&s, STORAGE, "kind", before->kind == SF_TABLE_STATE ? "state" : "event",
                           after->kind == SF_TABLE_STATE ? "state" : "event");
    }
    if (strcmp(from, to) != 0) {
        sf_compat_breaking(&s, STORAGE, "key", from, to);
    }
    if (strcmp(event_time_text(before), event_time_text(after)) != 0) {
        sf_compat_harmless(&s, "event_time", event_time_text(before), event_time_text(after));
    }
    if (before->dedupe != after->dedupe || before->dedupe_within_us != after->dedupe_within_us) {
        sf_compat_harmless(&s, "dedupe", before->dedupe == SF_DEDUPE_NONE ? "none" : "a window",
                           after->dedupe == SF_DEDUPE_NONE ? "none" : "a window");
    }
    if (before->skip_unchanged != after->skip_unchanged) {
        sf_compat_harmless(&s, "unchanged", before->skip_unchanged ? "skip" : "store",
                           after->skip_unchanged ? "skip" : "store");
    }
    sf_compat_reserved(&s, before, after);
    sf_compat_checks(c, before, after);
    sf_compat_fields(c, before->name, before, after);
}

static void compare_products(struct sf_compat *c, const struct sf_product *before,
                             const struct sf_product *after)
{
    for (size_t i = 0; i < before->table_count; i++) {
        const struct sf_table *t = &before->tables[i];
        const struct sf_table *other = sf_product_table(after, t->name);

        if (other == NULL) {
            sf_compat_breaking(&(struct sf_compat_subject){c, t->name, NULL, false}, BOTH,
                               "table removed", "table", "");
        } else {
            compare_table(c, t, other);
        }
    }
    for (size_t i = 0; i < after->table_count; i++) {
        if (sf_product_table(before, after->tables[i].name) == NULL) {
            sf_compat_harmless(&(struct sf_compat_subject){c, after->tables[i].name, NULL, false},
                               "table added", "", "table");
        }
    }
    sf_compat_policies(c, before, after);
}

static const struct sf_change_note *first_breaking(const struct sf_compat *c)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->notes[i].breaking) {
            return &c->notes[i];
        }
    }
    return NULL;
}

/* --- modes ------------------------------------------------------------------------------------ */

/* What the mode refuses, against the newest version or against the ones before it. */
static unsigned refused_by(enum sf_compat_mode mode, bool is_newest)
{
    switch (mode) {
    case SF_COMPAT_FULL_TRANSITIVE:
        return BOTH | STORAGE;
    case SF_COMPAT_FULL:
        return is_newest ? BOTH | STORAGE : STORAGE;
    case SF_COMPAT_BACKWARD_TRANSITIVE:
        return BACKWARD | STORAGE;
    case SF_COMPAT_BACKWARD:
        return is_newest ? BACKWARD | STORAGE : STORAGE;
    case SF_COMPAT_FORWARD_TRANSITIVE:
        return FORWARD | STORAGE;
    case SF_COMPAT_FORWARD:
        return is_newest ? FORWARD | STORAGE : STORAGE;
    case SF_COMPAT_NONE:
        return STORAGE;
    }
    return BOTH | STORAGE;
}

/* --- the check -------------------------------------------------------------------------------- */

static bool is_noted(const struct sf_compat *c, const struct sf_change_note *n, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (c->notes[i].breaking && sf_compat_same(c->notes[i].path, n->path) &&
            sf_compat_same(c->notes[i].what, n->what)) {
            return true;
        }
    }
    return false;
}

/* Of an older version only what is refused counts, and only where a newer one does not say it. */
static void drop_repeated(struct sf_compat *c, size_t from)
{
    size_t to = from;

    c->breaking_count = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (i < from || (c->notes[i].breaking && !is_noted(c, &c->notes[i], to))) {
            struct sf_change_note kept = c->notes[i];

            c->breaking_count += kept.breaking;
            if (i >= from) {
                c->notes[to++] = kept;
            }
        }
    }
    c->count = to;
}

static void compare_with(struct sf_compat *c, const struct sf_product *before,
                         const struct sf_product *after, bool is_newest)
{
    size_t from = c->count;

    c->refused = refused_by(after->compatibility, is_newest);
    c->against = is_newest ? NULL
                           : sf_arena_printf(&c->arena, "%u.%u.%u", before->version.major,
                                             before->version.minor, before->version.patch);
    c->failed |= !is_newest && c->against == NULL;
    compare_products(c, before, after);
    if (!is_newest) {
        drop_repeated(c, from);
    }
}

enum sf_code sf_compat_check(const struct sf_product *const *before, size_t count,
                             const struct sf_product *after, struct sf_compat *ret,
                             struct sf_error *err)
{
    const struct sf_product *newest = before[count - 1];
    const struct sf_change_note *first;

    *ret = (struct sf_compat){0};
    sf_arena_init(&ret->arena, 0);
    ret->same_major = newest->version.major == after->version.major;
    compare_with(ret, newest, after, /* is_newest= */ true);
    for (size_t i = count - 1; i > 0 && newest->version.major == after->version.major; i--) {
        compare_with(ret, before[i - 1], after, /* is_newest= */ false);
    }
    if (ret->failed) {
        return SF_RAISE(err, SF_NOMEM, "comparing versions of %s/%s", after->domain, after->name);
    }
    if (sf_version_compare(&after->version, &newest->version) <= 0) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_VERSION_NOT_HIGHER,
                          "version %u.%u.%u is not higher than %u.%u.%u, which is in force",
                          after->version.major, after->version.minor, after->version.patch,
                          newest->version.major, newest->version.minor, newest->version.patch);
    }
    first = first_breaking(ret);
    if (first != NULL && ret->same_major && first->what == sf_compat_not_reserved) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_BREAKING_CHANGE,
                          "%s is removed: its number %s and its name must not come back as another "
                          "field, reserve both in its table or struct: %s",
                          first->path, first->before, first->after);
    }
    if (first != NULL && after->version.major == newest->version.major) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_BREAKING_CHANGE,
                          "%zu breaking change%s need%s version %u.0.0; the first: %s: %s %s%s%s",
                          ret->breaking_count, ret->breaking_count == 1 ? "" : "s",
                          ret->breaking_count == 1 ? "s" : "", newest->version.major + 1,
                          first->path, first->what, first->before, sf_change_arrow(first),
                          first->after);
    }
    return SF_OK;
}

void sf_compat_done(struct sf_compat *c)
{
    sf_arena_done(&c->arena);
    *c = (struct sf_compat){0};
}

const char *sf_change_arrow(const struct sf_change_note *n)
{
    return n->before[0] != '\0' && n->after[0] != '\0' ? " -> " : "";
}

static const char *verdict(const struct sf_change_note *n)
{
    if (n->breaking) {
        return "BREAKING";
    }
    return n->breaks != 0 ? "breaking, allowed" : "ok";
}

void sf_compat_render(const struct sf_compat *c, struct sf_buf *out)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct sf_change_note *n = &c->notes[i];
        const char *mark = n->before[0] == '\0' ? "+" : n->after[0] == '\0' ? "-" : "~";

        sf_buf_printf(out, "  %s %s  %s %s%s%s", mark, n->path, n->what, n->before,
                      sf_change_arrow(n), n->after);
        sf_buf_printf(out, "  %s%s%s\n", verdict(n), n->against[0] == '\0' ? "" : " since ",
                      n->against);
    }
}
