#include "hub/governance/blast.h"

const char *blast_kind_name(enum blast_kind kind)
{
    static const char *const names[] = {"loses", "gains", "changes"};

    return names[kind];
}

static const char *mask_text(const struct sf_mask *m, struct sf_arena *arena)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};

    sf_buf_text(&text, m->kind == SF_MASK_NONE ? "clear" : "");
    sf_mask_print(m, &text);
    return text.failed != SF_OK ? NULL : sf_arena_strndup(arena, text.data, text.size);
}

static const char *rows_text(const struct sf_policy_view *v, struct sf_arena *arena)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};

    sf_buf_text(&text, v->denied ? "denied" : v->filter_count == 0 ? "all rows" : "filter ");
    for (size_t i = 0; i < v->filter_count && !v->denied; i++) {
        sf_buf_printf(&text, "%s%s", i == 0 ? "" : " AND ", v->filters[i].text);
    }
    return text.failed != SF_OK ? NULL : sf_arena_strndup(arena, text.data, text.size);
}

/* What hides more decides; NULL: no rule does. */
static const char *policy_of(const struct sf_policy_cause *first,
                             const struct sf_policy_cause *second, struct sf_arena *arena,
                             bool *failed)
{
    const struct sf_policy_cause *c = first->by == SF_POLICY_BY_RULE ? first : second;
    const char *name = c->by != SF_POLICY_BY_RULE ? NULL : sf_arena_strdup(arena, c->policy);

    *failed |= c->by == SF_POLICY_BY_RULE && name == NULL;
    return name;
}

/* Whether all filters of @a hold in @b too. */
static bool filters_within(const struct sf_policy_view *a, const struct sf_policy_view *b)
{
    for (size_t i = 0; i < a->filter_count; i++) {
        bool found = false;

        for (size_t n = 0; n < b->filter_count && !found; n++) {
            found = strcmp(a->filters[i].text, b->filters[n].text) == 0;
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static enum blast_kind compare_rows(const struct sf_policy_view *before,
                                    const struct sf_policy_view *after)
{
    if (before->denied || after->denied) {
        return after->denied ? BLAST_LOSES : BLAST_GAINS;
    }
    return filters_within(before, after)   ? BLAST_LOSES
           : filters_within(after, before) ? BLAST_GAINS
                                           : BLAST_CHANGES;
}

static const struct sf_policy_cause nobody;

static const struct sf_policy_cause *rows_cause(const struct sf_policy_view *v)
{
    return v->denied ? &v->denied_by : v->filter_count > 0 ? &v->filters[0].cause : &nobody;
}

struct blast {
    const struct sf_table *table;
    const struct sf_policy_view *before;
    const struct sf_policy_view *after;
    struct sf_arena *arena;
    struct blast_effect *effects; /* one for each field and the rows */
    size_t count;
    bool failed;
};

static void add(struct blast *b, const struct blast_effect *e)
{
    b->failed |= e->before == NULL || e->after == NULL;
    b->effects[b->count++] = *e;
}

static void add_rows(struct blast *b)
{
    struct blast_effect e = {.before = rows_text(b->before, b->arena),
                             .after = rows_text(b->after, b->arena)};

    if (e.before != NULL && e.after != NULL && strcmp(e.before, e.after) == 0) {
        return;
    }
    e.kind = compare_rows(b->before, b->after);
    e.policy = policy_of(rows_cause(b->after), rows_cause(b->before), b->arena, &b->failed);
    add(b, &e);
}

static void add_field(struct blast *b, size_t at)
{
    const struct sf_field *f = &b->table->fields[at];
    const struct sf_mask both = sf_mask_combine(f, &b->before->masks[at], &b->after->masks[at]);
    struct blast_effect e = {.field = sf_arena_strdup(b->arena, f->name),
                             .before = mask_text(&b->before->masks[at], b->arena),
                             .after = mask_text(&b->after->masks[at], b->arena)};
    const char *strictest = mask_text(&both, b->arena);

    b->failed |= e.field == NULL || e.before == NULL || e.after == NULL || strictest == NULL;
    if (b->failed || strcmp(e.before, e.after) == 0) {
        return;
    }
    e.kind = strcmp(strictest, e.after) == 0    ? BLAST_LOSES
             : strcmp(strictest, e.before) == 0 ? BLAST_GAINS
                                                : BLAST_CHANGES;
    e.policy = policy_of(&b->after->causes[at], &b->before->causes[at], b->arena, &b->failed);
    add(b, &e);
}

enum sf_code blast_compare(const struct sf_policy_input *before,
                           const struct sf_policy_input *after, struct sf_arena *arena,
                           struct blast_effect **ret, size_t *ret_count, struct sf_error *err)
{
    SF_CLEANUP(sf_policy_view_freep) struct sf_policy_view *old = NULL;
    SF_CLEANUP(sf_policy_view_freep) struct sf_policy_view *new = NULL;
    struct blast b = {.table = after->table, .arena = arena};
    enum sf_code code = sf_policy_decide(before, &old, err);

    *ret_count = 0;
    if (code == SF_OK) {
        code = sf_policy_decide(after, &new, err);
    }
    if (code != SF_OK) {
        return code;
    }
    if (sf_slice_equal(old->canon, new->canon)) {
        return SF_OK;
    }
    b.before = old;
    b.after = new;
    b.effects = sf_arena_calloc(arena, b.table->field_count + 1, sizeof(*b.effects));
    if (b.effects == NULL) {
        return SF_RAISE(err, SF_NOMEM, "effects of policies");
    }
    add_rows(&b);
    for (size_t i = 0; i < b.table->field_count && !old->denied && !new->denied; i++) {
        add_field(&b, i);
    }
    if (b.failed) {
        return SF_RAISE(err, SF_NOMEM, "effects of policies");
    }
    *ret = b.effects;
    *ret_count = b.count;
    return SF_OK;
}
