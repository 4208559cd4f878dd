/* What the rules about a table make of it for one caller: the strictest of each, and why. */
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/policy/policy_private.h"

/* A view and what it lives in. */
struct box {
    struct sf_policy_view view;
    struct sf_arena arena;
};

struct decider {
    const struct sf_policy_input *in;
    struct sf_policy_target target;
    struct sf_policy_rules rules;
    struct box *box;
    struct sf_mask *masks;
    struct sf_policy_cause *causes;
    struct sf_policy_filter *filters;
    bool failed; /* no memory */
};

static const struct sf_mask omit = {.kind = SF_MASK_OMIT};

void sf_policy_view_free(struct sf_policy_view *v)
{
    struct box *box = (struct box *)v;

    if (v == NULL) {
        return;
    }
    for (size_t i = 0; i < v->filter_count; i++) {
        sf_expr_free(v->filters[i].expr);
    }
    sf_arena_done(&box->arena);
    sf_free(box);
}

/* --- causes ----------------------------------------------------------------------------------- */

static struct sf_policy_cause because(struct decider *d, const struct sf_policy *p,
                                      const char *note)
{
    struct sf_policy_cause c = {.by = SF_POLICY_BY_RULE, .origin = p->origin, .line = p->line};

    c.policy = sf_arena_strdup(&d->box->arena, p->name);
    c.file = sf_arena_strdup(&d->box->arena, p->file);
    c.note = note == NULL ? NULL : sf_arena_strdup(&d->box->arena, note);
    d->failed |= c.policy == NULL || c.file == NULL || (note != NULL && c.note == NULL);
    return c;
}

/* A rule that is in force; what becomes of it later bounds the view. */
static bool in_force(struct decider *d, const struct sf_policy *p)
{
    if (p->expires_us <= d->in->now_us) {
        return false;
    }
    if (p->expires_us < d->box->view.until_us) {
        d->box->view.until_us = p->expires_us;
    }
    return true;
}

/* --- masks ------------------------------------------------------------------------------------ */

static bool same_mask(const struct sf_mask *a, const struct sf_mask *b)
{
    return a->kind == b->kind && a->part == b->part && a->keep == b->keep &&
           a->longer == b->longer && a->digits == b->digits && a->scale == b->scale &&
           a->step == b->step && sf_slice_equal(a->text, b->text);
}

/* The mask of the rule for the field: its own, or omit and why. */
static struct sf_mask mask_for(const struct sf_policy *p, const struct sf_field *f,
                               char why[SF_MASK_WHY_SIZE])
{
    return sf_mask_fits(&p->mask, f, why) ? p->mask : omit;
}

static bool masks_field(struct decider *d, const struct sf_policy *p, const struct sf_field *f)
{
    return p->does == SF_POLICY_MASKS && p->expires_us > d->in->now_us &&
           sf_policy_is_about_field(p, &d->target, f) && !sf_policy_excepts(p, &d->in->subject);
}

/* The first rule whose mask is what the field has; else the strictest, which another one joined. */
static void explain_mask(struct decider *d, const struct sf_field *f, const struct sf_mask *mask,
                         struct sf_policy_cause *ret)
{
    const struct sf_policy *strictest = NULL;
    char strictest_why[SF_MASK_WHY_SIZE + 32] = "together with another rule";
    unsigned level = 0;

    for (size_t i = 0; i < d->rules.count; i++) {
        const struct sf_policy *p = d->rules.items[i];
        char why[SF_MASK_WHY_SIZE] = "";
        struct sf_mask m;

        if (!masks_field(d, p, f)) {
            continue;
        }
        m = mask_for(p, f, why);
        if (same_mask(&m, mask)) {
            *ret = because(d, p, why[0] == '\0' ? NULL : why);
            return;
        }
        if (strictest == NULL || sf_mask_level(m.kind) > level) {
            strictest = p;
            level = sf_mask_level(m.kind);
        }
    }
    if (strictest != NULL) {
        *ret = because(d, strictest, strictest_why);
    }
}

static void decide_field(struct decider *d, size_t at)
{
    const struct sf_field *f = &d->in->table->fields[at];
    struct sf_mask mask = {.kind = SF_MASK_NONE};
    bool named = false;

    for (size_t i = 0; i < d->rules.count; i++) {
        const struct sf_policy *p = d->rules.items[i];
        char why[SF_MASK_WHY_SIZE];
        struct sf_mask m;

        if (p->does != SF_POLICY_MASKS || !sf_policy_is_about_field(p, &d->target, f) ||
            !in_force(d, p)) {
            continue;
        }
        named |= sf_policy_names_field(p, f);
        d->box->view.parts |= sf_policy_parts(p);
        if (!sf_policy_excepts(p, &d->in->subject)) {
            m = mask_for(p, f, why);
            mask = sf_mask_combine(f, &mask, &m);
        }
    }
    if (mask.kind != SF_MASK_NONE) {
        explain_mask(d, f, &mask, &d->causes[at]);
    }
    if (mask.kind != SF_MASK_OMIT && !named && !sf_class_is_open(sf_field_class(f))) {
        mask = omit;
        d->causes[at] = (struct sf_policy_cause){.by = SF_POLICY_BY_DEFAULT};
    }
    d->masks[at] = mask;
}

static bool has_column(const struct sf_policy_input *in, const char *name)
{
    for (size_t i = 0; i < in->column_count; i++) {
        if (strcmp(in->columns[i], name) == 0) {
            return true;
        }
    }
    return in->column_count == 0;
}

static void decide_fields(struct decider *d)
{
    for (size_t i = 0; i < d->in->table->field_count; i++) {
        decide_field(d, i);
        if (d->masks[i].kind != SF_MASK_OMIT && !has_column(d->in, d->in->table->fields[i].name)) {
            d->masks[i] = omit;
            d->causes[i] = (struct sf_policy_cause){.by = SF_POLICY_BY_COLUMNS};
        }
        if (d->masks[i].kind == SF_MASK_CONSTANT) {
            d->masks[i].text = sf_arena_slice(&d->box->arena, d->masks[i].text);
            d->failed |= d->masks[i].text.data == NULL && d->masks[i].text.size > 0;
        }
        d->box->view.hashes |= d->masks[i].kind == SF_MASK_HASH;
    }
}

/* --- rows ------------------------------------------------------------------------------------- */

static void deny(struct decider *d, const struct sf_policy *p, const char *note)
{
    if (!d->box->view.denied) {
        d->box->view.denied = true;
        d->box->view.denied_by = because(d, p, note);
    }
}

/* A filter over the table; of equal ones the first stays. A filter that cannot be applied denies.
 */
static enum sf_code add_filter(struct decider *d, const struct sf_policy *p, struct sf_error *err)
{
    SF_CLEANUP(sf_issues_done) struct sf_issues issues = {0};
    SF_CLEANUP(sf_buf_done) struct sf_buf text = {0};
    SF_CLEANUP(sf_expr_freep) struct sf_expr *expr = NULL;
    struct sf_policy_view *v = &d->box->view;
    struct sf_error why = {0};
    enum sf_code code;

    sf_issues_init(&issues, p->file, p->filter);
    code = sf_expr_parse(&issues, d->in->table, &expr, &why);
    if (code == SF_INVALID) {
        deny(d, p, issues.first->text);
        return SF_OK;
    }
    if (code != SF_OK) {
        return SF_RAISE(err, code, "policy %s", p->name);
    }
    sf_expr_print(expr, &text);
    if (sf_buf_check(&text, "filter", err) != SF_OK) {
        return err->code;
    }
    for (size_t i = 0; i < v->filter_count; i++) {
        if (sf_slice_equal(sf_buf_view(&text), sf_slice_text(d->filters[i].text))) {
            return SF_OK;
        }
    }
    v->callers |= sf_expr_callers(expr);
    d->filters[v->filter_count] =
        (struct sf_policy_filter){.text = sf_arena_strndup(&d->box->arena, text.data, text.size),
                                  .cause = because(d, p, NULL)};
    d->failed |= d->filters[v->filter_count].text == NULL;
    d->filters[v->filter_count++].expr = SF_TAKE(expr);
    return SF_OK;
}

static int compare_filters(const void *a, const void *b)
{
    return strcmp(((const struct sf_policy_filter *)a)->text,
                  ((const struct sf_policy_filter *)b)->text);
}

static enum sf_code decide_rows(struct decider *d, struct sf_error *err)
{
    enum sf_code code = SF_OK;

    for (size_t i = 0; i < d->rules.count && code == SF_OK; i++) {
        const struct sf_policy *p = d->rules.items[i];

        if ((p->does != SF_POLICY_FILTERS && p->does != SF_POLICY_DENIES) ||
            !sf_policy_is_about_table(p, &d->target) || !in_force(d, p)) {
            continue;
        }
        d->box->view.parts |= sf_policy_parts(p);
        if (sf_policy_excepts(p, &d->in->subject)) {
            continue;
        }
        if (p->does == SF_POLICY_DENIES) {
            deny(d, p, NULL);
        } else {
            code = add_filter(d, p, err);
        }
    }
    if (code == SF_OK && !d->failed && d->box->view.filter_count > 1) {
        qsort(d->filters, d->box->view.filter_count, sizeof(*d->filters), compare_filters);
    }
    return code;
}

static void close_all(struct decider *d)
{
    for (size_t i = 0; i < d->in->table->field_count; i++) {
        d->masks[i] = omit;
        d->causes[i] = d->box->view.denied_by;
    }
    d->box->view.hashes = false;
}

/* --- the canonical text ----------------------------------------------------------------------- */

static void print_subject(const struct decider *d, struct sf_buf *out)
{
    const struct sf_policy_subject *s = &d->in->subject;
    const struct sf_policy_view *v = &d->box->view;

    if (v->hashes || (v->callers & SF_EXPR_CALLER_DOMAIN) != 0) {
        sf_buf_printf(out, "domain %s\n", s->domain);
    }
    if ((v->callers & SF_EXPR_CALLER_PURPOSE) != 0) {
        sf_buf_printf(out, "purpose %s\n", s->purpose == NULL ? "" : s->purpose);
    }
    for (size_t i = 0; (v->callers & SF_EXPR_CALLER_ROLE) != 0 && i < s->role_count; i++) {
        sf_buf_printf(out, "role %s\n", s->roles[i]);
    }
}

static enum sf_code print_view(struct decider *d, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf out = {0};
    struct sf_policy_view *v = &d->box->view;

    sf_buf_text(&out, v->denied ? "deny\n" : "");
    for (size_t i = 0; i < v->field_count && !v->denied; i++) {
        if (d->masks[i].kind != SF_MASK_OMIT) {
            sf_buf_printf(&out, "%u ", d->in->table->fields[i].number);
            sf_mask_print(&d->masks[i], &out);
            sf_buf_byte(&out, '\n');
        }
    }
    for (size_t i = 0; i < v->filter_count && !v->denied; i++) {
        sf_buf_printf(&out, "filter %s\n", d->filters[i].text);
    }
    if (!v->denied) {
        print_subject(d, &out);
    }
    if (sf_buf_check(&out, "view", err) != SF_OK) {
        return err->code;
    }
    v->canon = sf_arena_slice(&d->box->arena, sf_buf_view(&out));
    d->failed |= v->canon.data == NULL && out.size > 0;
    return SF_OK;
}

/* --- deciding --------------------------------------------------------------------------------- */

static enum sf_code decide(struct decider *d, struct sf_error *err)
{
    const struct sf_policy_set *const sets[2] = {d->in->platform, d->in->owner};
    struct sf_policy_view *v = &d->box->view;
    enum sf_code code;

    if (strcmp(d->in->subject.domain, d->in->product->domain) != 0) {
        code = sf_policy_find(sets, &d->target, &d->box->arena, &d->rules, err);
        if (code != SF_OK) {
            return code;
        }
        d->filters = sf_arena_calloc(&d->box->arena, d->rules.count + 1, sizeof(*d->filters));
        if (d->filters == NULL) {
            return SF_RAISE(err, SF_NOMEM, "view of %s", d->target.name);
        }
        v->filters = d->filters;
        decide_fields(d);
        code = decide_rows(d, err);
        if (code != SF_OK) {
            return code;
        }
        v->parts |=
            v->hashes || (v->callers & (SF_EXPR_CALLER_DOMAIN | SF_EXPR_CALLER_PURPOSE)) != 0;
        if (v->denied) {
            close_all(d);
        }
    }
    if (d->failed) {
        return SF_RAISE(err, SF_NOMEM, "view of %s", d->target.name);
    }
    return print_view(d, err);
}

enum sf_code sf_policy_decide(const struct sf_policy_input *in, struct sf_policy_view **ret,
                              struct sf_error *err)
{
    struct decider d = {.in = in, .box = sf_calloc(1, sizeof(*d.box))};
    struct sf_error local;
    enum sf_code code;

    if (d.box == NULL) {
        return SF_RAISE(err, SF_NOMEM, "view of %s", in->product->name);
    }
    sf_arena_init(&d.box->arena, 0);
    sf_policy_target_init(&d.target, in->product, in->table);
    d.masks = sf_arena_calloc(&d.box->arena, in->table->field_count, sizeof(*d.masks));
    d.causes = sf_arena_calloc(&d.box->arena, in->table->field_count, sizeof(*d.causes));
    d.box->view = (struct sf_policy_view){.field_count = in->table->field_count,
                                          .masks = d.masks,
                                          .causes = d.causes,
                                          .until_us = INT64_MAX};
    code = d.masks == NULL || d.causes == NULL
               ? SF_RAISE(err, SF_NOMEM, "view of %s", d.target.name)
               : decide(&d, err == NULL ? &local : err);
    if (code == SF_OK && d.failed) {
        code = SF_RAISE(err, SF_NOMEM, "view of %s", d.target.name);
    }
    if (code != SF_OK) {
        sf_policy_view_free(&d.box->view);
        return code;
    }
    *ret = &d.box->view;
    return SF_OK;
}
