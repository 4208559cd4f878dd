#include "leaf/serving/served_view.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/sys/encoding.h"
#include "leaf/rowcodec/key.h"
#include "leaf/rowcodec/row.h"
#include "proto/errors.h"

/* --- roles ------------------------------------------------------------------------------------ */

void served_roles_add(struct served_roles *roles, const struct sf_token_role *role)
{
    size_t at = 0;

    sf_assert(roles->count < SF_TOKEN_ROLES_MAX);
    while (at < roles->count && strcmp(roles->items[at].text, role->text) < 0) {
        at++;
    }
    if (at < roles->count && strcmp(roles->items[at].text, role->text) == 0) {
        return;
    }
    memmove(&roles->items[at + 1], &roles->items[at],
            (roles->count - at) * sizeof(roles->items[0]));
    roles->items[at] = *role;
    roles->count++;
}

/* --- making ----------------------------------------------------------------------------------- */

static void hash_value(const void *context, const struct sf_slice *parts, size_t count,
                       uint8_t ret[SF_MASK_HASH_SIZE])
{
    sf_hash_prepared_parts(context, parts, count, ret);
}

static struct sf_slice copy_text(struct sf_arena *arena, const char *text, bool *ok)
{
    char *copy = text == NULL ? NULL : sf_arena_strdup(arena, text);

    *ok = *ok && (text == NULL || copy != NULL);
    return sf_slice_text(copy);
}

/* Whether some field is seen otherwise than it is stored: what is only left out needs no program,
 * as nothing but the columns is rendered. */
static bool masks_values(const struct sf_policy_view *d)
{
    for (size_t i = 0; i < d->field_count; i++) {
        if (d->masks[i].kind != SF_MASK_NONE && d->masks[i].kind != SF_MASK_OMIT) {
            return true;
        }
    }
    return false;
}

static enum sf_code apply_decision(struct served_view *v, const struct served_view_spec *spec,
                                   struct sf_error *err)
{
    const struct sf_table *t = v->table->contract;
    const struct sf_policy_view *d = v->decision;
    bool ok = true;

    if (d->denied) {
        return SF_RAISE_E(err, SF_DENIED, SHEAF_E_POLICY_DENIES, "table '%s': policy %s of the %s",
                          t->name, d->denied_by.policy,
                          d->denied_by.origin == SF_POLICY_PLATFORM ? "platform" : "owner");
    }
    sf_assert(d->field_count == t->field_count);
    v->seen = sf_mask_table(t, d->masks, &v->arena);
    v->caller.domain = copy_text(&v->arena, spec->domain, &ok);
    v->caller.purpose = copy_text(&v->arena, spec->purpose, &ok);
    if (spec->roles != NULL) {
        v->roles = *spec->roles;
    }
    if (v->roles.count > 0) {
        v->caller.role = sf_slice_text(v->roles.items[0].text);
    }
    if (v->seen == NULL || !ok) {
        return SF_RAISE(err, SF_NOMEM, "view of table '%s'", t->name);
    }
    for (size_t i = 0; i < t->key_count; i++) {
        enum sf_mask_kind kind = d->masks[t->key[i]].kind;

        v->key_is_masked = v->key_is_masked || (kind != SF_MASK_NONE && kind != SF_MASK_OMIT);
    }
    if (!masks_values(d)) {
        return SF_OK;
    }
    sf_assert(!d->hashes || spec->hash_key != NULL);
    if (spec->hash_key != NULL) {
        memcpy(v->hash_key, spec->hash_key, sizeof(v->hash_key));
        sf_hash_prepare(&v->hash_ready, SF_MASK_HASH_SIZE, v->hash_key);
    }
    v->hasher = (struct sf_mask_hasher){.hash = hash_value, .context = &v->hash_ready};
    return sf_mask_compile(t, d->masks, &v->masks, err);
}

/*
 * Of the table's name and the columns' numbers; and, where rows are not seen as they are stored, of
 * what was decided and of whom it is about.
 */
static enum sf_code make_name(const struct served_view *v, const struct row_view *columns,
                              char ret[SERVING_VIEW_NAME], struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf more = {0};
    uint8_t hash[SF_HASH128_SIZE];
    uint8_t key[SF_HASH128_SIZE];
    struct sf_slice parts[3];
    struct sf_hash h;
    enum sf_code code;

    row_view_canonical(columns, &more);
    code = sf_buf_check(&more, "view", err);
    if (code != SF_OK) {
        return code;
    }
    parts[0] = sf_slice_text(v->table->contract->name);
    parts[1] = sf_buf_view(&more);
    if (!served_view_is_plain(v)) {
        sf_hash_init(&h, sizeof(key));
        sf_hash_field(&h, v->decision->canon);
        sf_hash_field(&h, v->decision->callers != 0 ? v->caller.domain : sf_slice_text(NULL));
        sf_hash_field(&h, v->decision->callers != 0 ? v->caller.purpose : sf_slice_text(NULL));
        sf_hash_field(&h, v->decision->hashes ? sf_slice_of(v->hash_key, sizeof(v->hash_key))
                                              : sf_slice_text(NULL));
        sf_hash_end(&h, key, sizeof(key));
        parts[2] = sf_slice_of(key, sizeof(key));
    }
    sf_hash128(parts, served_view_is_plain(v) ? 2 : 3, hash);
    sf_encode(SF_BASE32_LOWER, sf_slice_of(hash, sizeof(hash)), ret);
    return SF_OK;
}

static void view_free(struct served_view *v)
{
    row_view_free(v->columns);
    sf_mask_program_free(v->masks);
    sf_policy_view_free(v->decision);
    sf_wipe(v->hash_key, sizeof(v->hash_key));
    sf_wipe(&v->hash_ready, sizeof(v->hash_ready));
    sf_arena_done(&v->arena);
    sf_free(v);
}

enum sf_code served_view_new(const struct served_view_spec *spec, struct served_view **ret,
                             struct sf_error *err)
{
    SF_CLEANUP(served_view_unrefp) struct served_view *v = sf_calloc(1, sizeof(*v));
    enum sf_code code = SF_OK;

    if (v == NULL) {
        sf_policy_view_free(spec->decision);
        return SF_RAISE(err, SF_NOMEM, "view of table '%s'", spec->table->contract->name);
    }
    v->refs = 1;
    v->serial = spec->serial;
    v->table = spec->table;
    v->seen = spec->table->contract;
    v->decision = spec->decision;
    v->counts = spec->counts;
    sf_arena_init(&v->arena, 0);
    if (v->decision != NULL) {
        code = apply_decision(v, spec, err);
    }
    if (code == SF_OK) {
        code = row_view_build(v->seen, &(struct row_view_options){.stored = spec->table->contract},
                              &v->columns, err);
    }
    if (code == SF_OK) {
        code = make_name(v, v->columns, v->name, err);
    }
    if (code == SF_OK) {
        *ret = SF_TAKE(v);
    }
    return code;
}

struct served_view *served_view_ref(struct served_view *v)
{
    v->refs++;
    return v;
}

void served_view_unref(struct served_view *v)
{
    if (v != NULL && --v->refs == 0) {
        view_free(v);
    }
}

/* --- what is seen of the table ---------------------------------------------------------------- */

bool served_view_shows_field(const struct served_view *v, size_t field)
{
    return v->decision == NULL || v->decision->masks[field].kind == SF_MASK_NONE;
}

bool served_view_shows_key(const struct served_view *v, size_t parts)
{
    const struct sf_table *t = v->table->contract;

    for (size_t i = 0; i < parts && i < t->key_count; i++) {
        if (!served_view_shows_field(v, t->key[i])) {
            return false;
        }
    }
    return true;
}

static bool is_masked_alike(const struct sf_mask *a, const struct sf_mask *b)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf first = {0};
    SF_CLEANUP(sf_buf_done) struct sf_buf second = {0};

    if (a->kind != b->kind) {
        return false;
    }
    sf_mask_print(a, &first);
    sf_mask_print(b, &second);
    return first.failed == SF_OK && second.failed == SF_OK &&
           sf_slice_equal(sf_buf_view(&first), sf_buf_view(&second));
}

bool served_view_is_within(const struct served_view *v, const struct served_view *now)
{
    const struct sf_policy_view *a = v->decision;
    const struct sf_policy_view *b = now->decision;

    if (a == NULL || b == NULL) {
        return a == NULL && b == NULL;
    }
    for (size_t i = 0; i < a->field_count; i++) {
        const struct sf_field *f = &v->table->contract->fields[i];
        const int32_t at = sf_table_field_by_number(now->table->contract, f->number);

        if (a->masks[i].kind != SF_MASK_OMIT &&
            (at < 0 || !is_masked_alike(&a->masks[i], &b->masks[at]))) {
            return false;
        }
    }
    for (size_t i = 0; i < a->filter_count && i < b->filter_count; i++) {
        if (strcmp(a->filters[i].text, b->filters[i].text) != 0) {
            return false;
        }
    }
    return a->filter_count == b->filter_count &&
           memcmp(v->hash_key, now->hash_key, sizeof(v->hash_key)) == 0;
}

enum sf_code served_view_select(const struct served_view *v, const struct sf_slice *names,
                                size_t count, struct row_view **ret, char name[SERVING_VIEW_NAME],
                                struct sf_error *err)
{
    const struct row_view_options options = {
        .names = names, .name_count = count, .stored = v->table->contract};
    SF_CLEANUP(row_view_freep) struct row_view *view = NULL;
    enum sf_code code = row_view_build(v->seen, &options, &view, err);

    if (code == SF_OK) {
        code = make_name(v, view, name, err);
    }
    if (code == SF_OK) {
        *ret = SF_TAKE(view);
    }
    return code;
}

/* --- rows ------------------------------------------------------------------------------------- */

static void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static enum sf_expr_result run_filter(const struct served_view *v, const struct sf_expr *filter,
                                      struct sf_slice row)
{
    enum sf_expr_result result = sf_expr_run(filter, row, &v->caller);
    struct sf_expr_caller caller = v->caller;

    if (v->roles.count < 2 || (sf_expr_callers(filter) & SF_EXPR_CALLER_ROLE) == 0) {
        return result;
    }
    for (size_t i = 1; result != SF_EXPR_TRUE && i < v->roles.count; i++) {
        caller.role = sf_slice_text(v->roles.items[i].text);
        result = sf_expr_run(filter, row, &caller);
    }
    return result;
}

bool served_view_admits(const struct served_view *v, struct sf_slice row)
{
    for (size_t i = 0; v->decision != NULL && i < v->decision->filter_count; i++) {
        enum sf_expr_result result = run_filter(v, v->decision->filters[i].expr, row);

        if (result == SF_EXPR_TRUE) {
            continue;
        }
        if (v->counts != NULL) {
            count(result == SF_EXPR_FALSE  ? &v->counts->hidden
                  : result == SF_EXPR_NULL ? &v->counts->nulls
                                           : &v->counts->errors);
        }
        return false;
    }
    return true;
}

/* False: @row is none. */
static bool mask(const struct served_view *v, struct sf_slice row, struct sf_buf *scratch,
                 enum sf_code *code, struct sf_error *err)
{
    struct sf_mask_outcome outcome;
    uint8_t *out;
    bool ok;

    sf_buf_clear(scratch);
    out = sf_buf_reserve(scratch, sf_mask_room(v->masks, row.size) + 1);
    *code = sf_buf_check(scratch, "row", err);
    if (*code != SF_OK) {
        return false;
    }
    ok = sf_mask_run(v->masks, row, &v->hasher, out, &outcome);
    if (ok) {
        scratch->size = outcome.size;
    }
    if (v->counts != NULL && ok && outcome.nulled > 0) {
        atomic_fetch_add_explicit(&v->counts->unmasked, outcome.nulled, memory_order_relaxed);
    } else if (v->counts != NULL && !ok) {
        count(&v->counts->errors);
    }
    return ok;
}

enum sf_code served_view_row(const struct served_view *v, struct sf_slice row,
                             struct sf_buf *scratch, bool *shown, struct sf_slice *ret,
                             struct sf_error *err)
{
    enum sf_code code = SF_OK;

    *ret = row;
    *shown = served_view_admits(v, row);
    if (*shown && v->masks != NULL) {
        *shown = mask(v, row, scratch, &code, err);
        *ret = sf_buf_view(scratch);
    }
    return code;
}

/* --- keys ------------------------------------------------------------------------------------- */

/* A row that has the fields of the key only, masked. */
static enum sf_code mask_key(const struct served_view *v, struct sf_slice key,
                             struct sf_arena *arena, struct sf_buf *ret, struct sf_error *err)
{
    const struct sf_table *t = v->table->contract;
    SF_CLEANUP(sf_buf_done) struct sf_buf row = {0};
    struct sf_value *values = sf_arena_calloc(arena, t->field_count, sizeof(*values));
    enum sf_code code;

    if (values == NULL) {
        return SF_RAISE(err, SF_NOMEM, "key");
    }
    code = key_decode(t, key, values, arena, err);
    if (code == SF_OK) {
        code = row_encode(t, values, &row, err);
    }
    if (code == SF_OK && !mask(v, sf_buf_view(&row), ret, &code, err) && code == SF_OK) {
        code = SF_RAISE(err, SF_CORRUPT, "key of table '%s'", t->name);
    }
    return code;
}

static enum sf_code render_masked(const struct served_view *v, const struct row_view *columns,
                                  struct sf_slice row, struct sf_buf *out, struct sf_error *err)
{
    const struct sf_table *t = v->table->contract;
    const char *before = "{";
    enum sf_code code = SF_OK;

    for (size_t i = 0; code == SF_OK && i < t->key_count; i++) {
        const uint32_t number = t->fields[t->key[i]].number;
        struct sf_value value;
        int32_t at;

        if (!row_view_has(columns, number)) {
            continue;
        }
        at = sf_table_field_by_number(v->seen, number);
        sf_assert(at >= 0); /* a column is seen */
        code = row_get(v->seen, row, (size_t)at, &value, err);
        if (code == SF_OK) {
            sf_buf_printf(out, "%s\"%s\":", before, v->seen->fields[at].name);
            row_render_value_json(&v->seen->fields[at], &value, out);
            before = ",";
        }
    }
    sf_buf_text(out, before[0] == '{' ? "{}" : "}");
    return code;
}

enum sf_code served_view_key_json(const struct served_view *v, const struct row_view *columns,
                                  struct sf_slice key, struct sf_buf *out, struct sf_error *err)
{
    SF_CLEANUP(sf_arena_done) struct sf_arena arena = {0};
    SF_CLEANUP(sf_buf_done) struct sf_buf row = {0};
    enum sf_code code;

    if (!v->key_is_masked) {
        return key_render_json(columns, key, out, err);
    }
    code = mask_key(v, key, &arena, &row, err);
    return code == SF_OK ? render_masked(v, columns, sf_buf_view(&row), out, err) : code;
}
