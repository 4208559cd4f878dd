/* Paths into lists and structs: a.b, l[1].c, len(l). What a slot reads when it is no field itself.
 */
#include "common/contract/wire_value.h"
#include "common/expr/expr_private.h"
#include "proto/errors.h"

/* --- building --------------------------------------------------------------------------------- */

void sf_expr_report_field(struct sf_expr_build *b, const struct sf_table *table, const char *what,
                          struct sf_token t, struct sf_slice name)
{
    const char **names = sf_arena_alloc(&b->expr->arena, table->field_count * sizeof(*names));

    sf_issues_error(b->issues, sf_expr_place(b->issues, t.from, t.to), SHEAF_E_BAD_REFERENCE,
                    "%s '%s' has no field '%.*s'", what, table->name,
                    (int)(name.size > 64 ? 64 : name.size), (const char *)name.data);
    if (names == NULL) {
        b->nomem = true;
        return;
    }
    for (size_t i = 0; i < table->field_count; i++) {
        names[i] = table->fields[i].name;
    }
    sf_issues_allowed(b->issues, (struct sf_allowed){names, table->field_count, name});
}

void sf_slot_set_type(struct sf_slot *s, const struct sf_field *f)
{
    s->type = f->type;
    s->precision = f->precision;
    s->scale = f->scale;
    s->limit = f->type == SF_TYPE_DECIMAL ? (int64_t)sf_wide_power(f->precision) : 0;
}

static bool same_path(const struct sf_slot *a, const struct sf_slot *b)
{
    if (a->number != b->number || a->step_count != b->step_count || a->is_length != b->is_length) {
        return false;
    }
    for (size_t i = 0; i < a->step_count; i++) {
        if (a->steps[i].number != b->steps[i].number) {
            return false; /* where one is a member, the other is too: they begin alike */
        }
    }
    return true;
}

/* Copies what the slot borrows; the names of a contract do not outlive it. */
static bool keep_slot(struct sf_arena *arena, struct sf_slot *s)
{
    struct sf_path_step *steps = sf_arena_calloc(arena, s->step_count, sizeof(*steps));

    s->name = sf_arena_strdup(arena, s->name);
    if (s->name == NULL || (steps == NULL && s->step_count > 0)) {
        return false;
    }
    for (size_t i = 0; i < s->step_count; i++) {
        steps[i] = s->steps[i];
        if (steps[i].name != NULL) {
            steps[i].name = sf_arena_strdup(arena, steps[i].name);
            if (steps[i].name == NULL) {
                return false;
            }
        }
    }
    s->steps = steps;
    return true;
}

/* Where the slot of a path stands among those before @count, by number; new ones go behind. */
static size_t place_slot(struct sf_slot *slots, size_t count, const struct sf_slot *s, bool *found)
{
    size_t at = 0;

    for (; at < count && slots[at].number <= s->number; at++) {
        if (same_path(&slots[at], s)) {
            *found = true;
            return at;
        }
    }
    *found = false;
    return at;
}

bool sf_expr_settle_slots(struct sf_expr_build *b, const struct sf_slot *of_nodes)
{
    struct sf_expr *e = b->expr;
    struct sf_slot *slots = sf_arena_calloc(&e->arena, b->node_count, sizeof(*slots));
    uint32_t *numbers = sf_arena_calloc(&e->arena, b->node_count, sizeof(*numbers));

    if (slots == NULL || numbers == NULL) {
        b->nomem = true;
        return false;
    }
    for (uint16_t i = 1; i < b->node_count; i++) {
        bool found = false;
        size_t at;

        if (b->nodes[i].op != SF_NODE_FIELD || b->nodes[i].which != 1) {
            continue;
        }
        at = place_slot(slots, e->slot_count, &of_nodes[i], &found);
        if (!found) {
            memmove(&slots[at + 1], &slots[at], (e->slot_count - at) * sizeof(*slots));
            slots[at] = of_nodes[i];
            e->slot_count++;
        }
    }
    for (uint16_t i = 1; i < b->node_count; i++) {
        bool found = false;

        if (b->nodes[i].op == SF_NODE_FIELD && b->nodes[i].which == 1) {
            b->nodes[i].slot = (uint16_t)place_slot(slots, e->slot_count, &of_nodes[i], &found);
        }
    }
    for (size_t i = 0; i < e->slot_count; i++) {
        b->nomem |= !keep_slot(&e->arena, &slots[i]);
        slots[i].is_plain = slots[i].step_count == 0 &&
                            (i == 0 || slots[i - 1].number != slots[i].number) &&
                            (i + 1 == e->slot_count || slots[i + 1].number != slots[i].number);
        if (i == 0 || slots[i].number != slots[i - 1].number) {
            numbers[e->number_count++] = slots[i].number;
        }
    }
    e->slots = slots;
    e->numbers = numbers;
    return !b->nomem;
}

/* --- running ---------------------------------------------------------------------------------- */

/* A value on the wire: what stands behind its tag, and the tag. */
struct place {
    struct sf_pb_reader r;
    enum sf_pb_wire wire;
    const uint8_t *tag; /* NULL: an element of a packed list */
};

enum found { FOUND_VALUE, FOUND_NOTHING, FOUND_NO_ROW };

/* The bytes of a list or struct, as struct sf_value has them. */
static bool enter(const struct sf_path_step *s, struct place *at, struct sf_slice *ret)
{
    size_t tag_size = (size_t)(at->r.p - at->tag);

    if (at->wire != SF_PB_BYTES) {
        return false;
    }
    if (s->type == SF_TYPE_STRUCT || sf_wire_of(s->item) != SF_PB_BYTES) {
        return sf_pb_get_bytes(&at->r, ret);
    }
    if (!sf_pb_skip(&at->r, SF_PB_BYTES) || !sf_wire_skip_more(at->tag, tag_size, &at->r)) {
        return false;
    }
    *ret = sf_slice_of(at->tag, (size_t)(at->r.p - at->tag));
    return true;
}

static enum found find_member(struct sf_slice bytes, uint32_t number, struct place *ret)
{
    struct sf_wire_walk w = {.r = sf_pb_reader_of(bytes)};

    while (sf_wire_next(&w)) {
        if (w.number >= number) {
            *ret = (struct place){w.r, w.wire, w.start};
            return w.number == number ? FOUND_VALUE : FOUND_NOTHING;
        }
        if (!sf_wire_skip(&w)) {
            return FOUND_NO_ROW;
        }
    }
    return sf_pb_at_end(&w.r) ? FOUND_NOTHING : FOUND_NO_ROW;
}

/* Moves to the next element; false at the end, or when there is none. */
static bool next_element(enum sf_type item, struct sf_pb_reader *r, struct place *ret)
{
    uint32_t number;

    if (sf_pb_at_end(r)) {
        return false;
    }
    *ret = (struct place){.r = *r, .wire = sf_wire_of(item), .tag = r->p};
    if (ret->wire == SF_PB_BYTES && !sf_pb_get_tag(&ret->r, &number, &ret->wire)) {
        return false;
    }
    *r = ret->r;
    return sf_pb_skip(r, ret->wire);
}

static enum found find_element(struct sf_slice bytes, enum sf_type item, uint32_t wanted,
                               struct place *ret)
{
    struct sf_pb_reader r = sf_pb_reader_of(bytes);

    for (uint32_t at = 1; next_element(item, &r, ret); at++) {
        if (at == wanted) {
            return FOUND_VALUE;
        }
    }
    return sf_pb_at_end(&r) ? FOUND_NOTHING : FOUND_NO_ROW;
}

static bool count_elements(struct sf_slice bytes, enum sf_type item, struct sf_cell *ret)
{
    struct sf_pb_reader r = sf_pb_reader_of(bytes);
    struct place unused;

    for (ret->i = 0; next_element(item, &r, &unused); ret->i++) {
    }
    ret->null = false;
    return sf_pb_at_end(&r);
}

void sf_slot_absent(const struct sf_slot *s, size_t step, struct sf_cell *ret)
{
    ret->i = 0;
    /* A list that is not there has no elements; anything else is null, and so is what is in it. No
     * element is a list. */
    ret->null = !s->is_length || step + 1 != s->step_count;
}

static bool read_path(const struct sf_slot *s, struct place at, struct sf_cell *ret)
{
    for (size_t step = 0;; step++) {
        const struct sf_path_step *next = &s->steps[step + 1];
        struct sf_slice bytes;
        enum found found;

        if (step + 1 == s->step_count && !s->is_length) {
            return sf_slot_read(s, at.wire, &at.r, ret);
        }
        if (!enter(&s->steps[step], &at, &bytes)) {
            return false;
        }
        if (step + 1 == s->step_count) {
            return count_elements(bytes, s->steps[step].item, ret);
        }
        found = next->name == NULL ? find_element(bytes, s->steps[step].item, next->number, &at)
                                   : find_member(bytes, next->number, &at);
        if (found != FOUND_VALUE) {
            sf_slot_absent(s, step + 1, ret);
            return found == FOUND_NOTHING;
        }
    }
}

bool sf_expr_read_paths(const struct sf_slot *slots, size_t count, const uint8_t *tag,
                        enum sf_pb_wire wire, struct sf_pb_reader r, struct sf_cell *ret)
{
    for (size_t i = 0; i < count; i++) {
        struct place at = {.r = r, .wire = wire, .tag = tag};

        if (slots[i].step_count == 0 ? !sf_slot_read(&slots[i], wire, &at.r, &ret[i])
                                     : !read_path(&slots[i], at, &ret[i])) {
            return false;
        }
    }
    return true;
}
