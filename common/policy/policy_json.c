/* A decision as JSON, alike wherever one is explained. */
#include "common/policy/policy_private.h"

static void write_cause(struct sf_json_writer *w, const struct sf_policy_cause *c)
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
        sf_json_member_text(w, "of", c->origin == SF_POLICY_PLATFORM ? "platform" : "owner");
        sf_json_key(w, "place");
        sf_json_printf(w, "%s:%u", c->file, c->line);
    }
    if (c->note != NULL) {
        sf_json_member_text(w, "note", c->note);
    }
}

static void write_field(struct sf_json_writer *w, const struct sf_field *f,
                        const struct sf_mask *mask, const struct sf_policy_cause *cause)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};

    sf_buf_text(&text, mask->kind == SF_MASK_NONE ? "clear" : "");
    sf_mask_print(mask, &text);
    sf_json_object_begin(w);
    sf_json_member_text(w, "field", f->name);
    sf_json_member_text(w, "class", f->class == SF_CLASS_NONE ? NULL : sf_class_name(f->class));
    sf_json_member_slice(w, "sees", sf_buf_view(&text));
    write_cause(w, cause);
    sf_json_object_end(w);
}

void sf_policy_view_write(const struct sf_policy_view *v, const struct sf_table *t,
                          struct sf_json_writer *w)
{
    sf_json_member_bool(w, "denied", v->denied);
    if (v->denied) {
        sf_json_key(w, "denied_by");
        sf_json_object_begin(w);
        write_cause(w, &v->denied_by);
        sf_json_object_end(w);
    }
    sf_json_key(w, "filters");
    sf_json_array_begin(w);
    for (size_t i = 0; i < v->filter_count; i++) {
        sf_json_object_begin(w);
        sf_json_member_text(w, "filter", v->filters[i].text);
        write_cause(w, &v->filters[i].cause);
        sf_json_object_end(w);
    }
    sf_json_array_end(w);
    sf_json_key(w, "fields");
    sf_json_array_begin(w);
    for (size_t i = 0; i < t->field_count; i++) {
        write_field(w, &t->fields[i], &v->masks[i], &v->causes[i]);
    }
    sf_json_array_end(w);
}
