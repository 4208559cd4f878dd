/* The table that masks leave. */
#include "common/contract/check.h"
#include "common/mask/mask_private.h"

/* An end of the range, masked like the values: every mask here keeps their order. */
static bool mask_bound(const struct sf_field *f, const struct sf_mask *m, struct sf_arena *arena,
                       const struct sf_value *bound, struct sf_value *ret)
{
    struct sf_mask_grid grid;
    struct sf_value v = *bound;
    char why[SF_MASK_WHY_SIZE];
    uint8_t *wide;

    *ret = (struct sf_value){0};
    if (!bound->present) {
        return true;
    }
    if (m->kind == SF_MASK_TRUNCATE) {
        *ret =
            (struct sf_value){.present = true, .i = sf_mask_truncate(m->part, f->type, bound->i)};
        return true;
    }
    wide = sf_arena_alloc(arena, SF_DECIMAL_WIDE_SIZE);
    if (wide == NULL) {
        return false;
    }
    if (sf_mask_grid_of(m, f, &grid, why) && sf_mask_number(&grid, f->type, &v, wide)) {
        *ret = v;
    }
    return true;
}

/* How long a masked string is. */
static void set_lengths(const struct sf_mask *m, struct sf_field *ret)
{
    const uint32_t stars = (uint32_t)strlen(SF_MASK_STARS);

    if (m->kind == SF_MASK_HASH) {
        ret->min_length = ret->max_length = 2 * SF_MASK_HASH_SIZE;
    } else if (m->kind == SF_MASK_REDACT) {
        ret->min_length = ret->max_length = stars;
    } else if (m->kind == SF_MASK_KEEP_DOMAIN) {
        ret->min_length = stars;
    } else if (m->kind == SF_MASK_KEEP_FIRST || m->kind == SF_MASK_KEEP_LAST) {
        ret->min_length = ret->max_length = m->keep + stars;
    }
}

static bool bare_field(const struct sf_field *f, struct sf_arena *arena, struct sf_field *ret);

static const struct sf_field *bare_item(const struct sf_field *item, struct sf_arena *arena)
{
    struct sf_field *ret = sf_arena_calloc(arena, 1, sizeof(*ret));

    return ret != NULL && bare_field(item, arena, ret) ? ret : NULL;
}

static const struct sf_table *bare_shape(const struct sf_table *shape, struct sf_arena *arena)
{
    struct sf_table *ret = sf_arena_calloc(arena, 1, sizeof(*ret));
    struct sf_field *fields = sf_arena_calloc(arena, shape->field_count + 1, sizeof(*fields));

    if (ret == NULL || fields == NULL) {
        return NULL;
    }
    *ret = *shape;
    ret->fields = fields;
    for (size_t i = 0; i < shape->field_count; i++) {
        if (!bare_field(&shape->fields[i], arena, &fields[i])) {
            return NULL;
        }
    }
    return ret;
}

/* What a field is, as deep as structs go, without what its values are like: rules and examples. */
static bool bare_field(const struct sf_field *f, struct sf_arena *arena, struct sf_field *ret)
{
    *ret = (struct sf_field){
        .number = f->number,
        .name = f->name,
        .type = f->type,
        .precision = f->precision,
        .scale = f->scale,
        .required = f->required,
        .class = f->class,
        .description = f->description,
        .unit = f->unit,
        .tags = f->tags,
        .tag_count = f->tag_count,
    };
    if (f->item != NULL) {
        ret->item = bare_item(f->item, arena);
    }
    if (f->shape != NULL) {
        ret->shape = bare_shape(f->shape, arena);
    }
    return (f->item == NULL || ret->item != NULL) && (f->shape == NULL || ret->shape != NULL);
}

static bool mask_field(const struct sf_field *f, const struct sf_mask *m, struct sf_arena *arena,
                       struct sf_field *ret)
{
    bool keeps_order =
        m->kind == SF_MASK_BUCKET || m->kind == SF_MASK_ROUND || m->kind == SF_MASK_TRUNCATE;

    if (m->kind == SF_MASK_NONE) {
        *ret = *f;
        return true;
    }
    if (!bare_field(f, arena, ret)) {
        return false;
    }
    ret->type = sf_mask_type(m, f);
    ret->required = f->required && !sf_mask_may_fail(m, f);
    if (ret->type != f->type) {
        ret->precision = ret->scale = 0;
    }
    if (ret->type == SF_TYPE_STRING) {
        ret->unit = NULL;
    }
    set_lengths(m, ret);
    return !keeps_order || (mask_bound(f, m, arena, &f->min, &ret->min) &&
                            mask_bound(f, m, arena, &f->max, &ret->max));
}

static bool key_is_seen(const struct sf_table *t, const struct sf_mask *masks)
{
    for (size_t i = 0; i < t->key_count; i++) {
        enum sf_mask_kind kind = masks[t->key[i]].kind;

        if (kind != SF_MASK_NONE && kind != SF_MASK_HASH) {
            return false;
        }
    }
    return true;
}

/* The checks of fields that are seen as they are. @at: where fields are now. */
static bool keep_checks(const struct sf_table *t, const struct sf_mask *masks, const uint16_t *at,
                        struct sf_arena *arena, struct sf_table *ret)
{
    struct sf_check *checks = sf_arena_calloc(arena, t->check_count + 1, sizeof(*checks));

    if (checks == NULL) {
        return false;
    }
    for (size_t i = 0; i < t->check_count; i++) {
        struct sf_check check = t->checks[i];
        bool seen = true;

        for (size_t k = 0; k < check.field_count; k++) {
            seen = seen && masks[check.fields[k]].kind == SF_MASK_NONE;
            check.fields[k] = at[check.fields[k]];
        }
        if (seen) {
            checks[ret->check_count++] = check;
        }
    }
    ret->checks = checks;
    return true;
}

static bool keep_key(const struct sf_table *t, const struct sf_mask *masks, const uint16_t *at,
                     struct sf_arena *arena, struct sf_table *ret)
{
    uint16_t *key = sf_arena_calloc(arena, t->key_count + 1, sizeof(*key));

    if (key == NULL) {
        return false;
    }
    if (!key_is_seen(t, masks)) {
        ret->kind = SF_TABLE_EVENT;
        return true;
    }
    for (size_t i = 0; i < t->key_count; i++) {
        key[i] = at[t->key[i]];
    }
    ret->key = key;
    ret->key_count = t->key_count;
    return true;
}

const struct sf_table *sf_mask_table(const struct sf_table *t, const struct sf_mask *masks,
                                     struct sf_arena *arena)
{
    struct sf_table *ret = sf_arena_calloc(arena, 1, sizeof(*ret));
    struct sf_field *fields = sf_arena_calloc(arena, t->field_count + 1, sizeof(*fields));
    uint16_t *at = sf_arena_calloc(arena, t->field_count + 1, sizeof(*at));

    if (ret == NULL || fields == NULL || at == NULL) {
        return NULL;
    }
    *ret = (struct sf_table){
        .name = t->name,
        .kind = t->kind,
        .fields = fields,
        .event_time = -1,
        .reserved = t->reserved,
        .reserved_count = t->reserved_count,
        .description = t->description,
    };
    for (size_t i = 0; i < t->field_count; i++) {
        at[i] = (uint16_t)ret->field_count;
        if (masks[i].kind == SF_MASK_OMIT) {
            continue;
        }
        if (!mask_field(&t->fields[i], &masks[i], arena, &fields[ret->field_count++])) {
            return NULL;
        }
    }
    if (t->event_time >= 0 && (masks[t->event_time].kind == SF_MASK_NONE ||
                               masks[t->event_time].kind == SF_MASK_TRUNCATE)) {
        ret->event_time = at[t->event_time];
    }
    return keep_key(t, masks, at, arena, ret) && keep_checks(t, masks, at, arena, ret) ? ret : NULL;
}
