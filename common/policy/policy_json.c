/* A decision told: as JSON and in words, alike wherever one is explained. */
#include "common/policy/policy_private.h"

static const char *origin_name(enum sf_policy_origin origin)
{
    return origin == SF_POLICY_PLATFORM ? "platform" : "owner";
}

/* The platform's rules are read by every member; what an owner's say may be its own affair. */
static bool is_open(const struct sf_policy_cause *c, enum sf_policy_reader_is reader)
{
    return reader == SF_POLICY_FOR_OWNER || c->origin == SF_POLICY_PLATFORM;
}

static void write_cause(struct sf_json_writer *w, const struct sf_policy_cause *c, const char *note)
{
    static const char *const by[] = {
        [SF_POLICY_BY_NOTHING] = "nothing",
        [SF_POLICY_BY_DEFAULT] = "default",
        [SF_POLICY_BY_COLUMNS] = "columns",
        [SF_POLICY_BY_RULE] = "policy",
    };

    sf_json_member_text(w, "by", by[c->by]);
    if (c->by == SF_POLICY_BY_RULE) {
        sf_json_member_text(w, "policy", c->policy);
        sf_json_member_text(w, "of", origin_name(c->origin));
        sf_json_key(w, "place");
        sf_json_printf(w, "%s:%u", c->file, c->line);
    }
    if (note != NULL) {
        sf_json_member_text(w, "note", note);
    }
}

static void write_filter(struct sf_json_writer *w, const struct sf_policy_filter *f,
                         enum sf_policy_reader_is reader)
{
    sf_json_object_begin(w);
    if (is_open(&f->cause, reader)) {
        sf_json_member_text(w, "filter", f->text);
    }
    write_cause(w, &f->cause, f->cause.note);
    sf_json_object_end(w);
}

/* What a rule of the owner's says may be told: a note quotes a filter that cannot be applied. */
static bool tells_notes(const struct sf_policy_view *v, enum sf_policy_reader_is reader)
{
    return !v->denied || is_open(&v->denied_by, reader);
}

void sf_policy_rows_write(const struct sf_policy_view *v, enum sf_policy_reader_is reader,
                          struct sf_json_writer *w)
{
    sf_json_member_bool(w, "denied", v->denied);
    if (v->denied) {
        sf_json_key(w, "denied_by");
        sf_json_object_begin(w);
        write_cause(w, &v->denied_by, tells_notes(v, reader) ? v->denied_by.note : NULL);
        sf_json_object_end(w);
    }
    sf_json_key(w, "filters");
    sf_json_array_begin(w);
    for (size_t i = 0; i < v->filter_count; i++) {
        write_filter(w, &v->filters[i], reader);
    }
    sf_json_array_end(w);
}

void sf_policy_field_write(const struct sf_policy_view *v, size_t at,
                           enum sf_policy_reader_is reader, struct sf_json_writer *w)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};

    sf_buf_text(&text, v->masks[at].kind == SF_MASK_NONE ? "clear" : "");
    sf_mask_print(&v->masks[at], &text);
    sf_json_member_slice(w, "sees", sf_buf_view(&text));
    if (text.failed != SF_OK) {
        w->out->failed = text.failed;
    }
    write_cause(w, &v->causes[at], tells_notes(v, reader) ? v->causes[at].note : NULL);
}

void sf_policy_view_write(const struct sf_policy_view *v, const struct sf_table *t,
                          enum sf_policy_reader_is reader, struct sf_json_writer *w)
{
    sf_policy_rows_write(v, reader, w);
    sf_json_key(w, "fields");
    sf_json_array_begin(w);
    for (size_t i = 0; i < t->field_count; i++) {
        const struct sf_field *f = &t->fields[i];

        sf_json_object_begin(w);
        sf_json_member_text(w, "field", f->name);
        sf_json_member_text(w, "class", f->class == SF_CLASS_NONE ? NULL : sf_class_name(f->class));
        sf_policy_field_write(v, i, reader, w);
        sf_json_object_end(w);
    }
    sf_json_array_end(w);
}

void sf_policy_cause_print(const struct sf_policy_cause *c, const struct sf_field *f,
                           struct sf_buf *out)
{
    switch (c->by) {
    case SF_POLICY_BY_NOTHING:
        sf_buf_text(out, "nothing hides it");
        return;
    case SF_POLICY_BY_DEFAULT:
        sf_buf_printf(out, "it is of class %s, and no policy says what others see in its place",
                      sf_class_name(sf_field_class(f)));
        return;
    case SF_POLICY_BY_COLUMNS:
        sf_buf_text(out, "it is not among the columns of the grant");
        return;
    case SF_POLICY_BY_RULE:
        sf_buf_printf(out, "policy %s of the %s hides it (%s:%u)", c->policy,
                      origin_name(c->origin), c->file, c->line);
        return;
    }
}
