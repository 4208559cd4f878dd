/*
 * The program, and one pass over the encoded row.
 *
 * One instruction for each field that is seen, ascending; what has none does not leave. Fields that
 * are seen as they are and stand beside each other are copied in one piece.
 */
#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/base/utf8.h"
#include "common/contract/value.h"
#include "common/contract/wire_value.h"
#include "common/mask/mask_private.h"

enum op {
    OP_KEEP,
    OP_NULL,
    OP_FIXED,  /* the same bytes for every value */
    OP_ALWAYS, /* and when there is none */
    OP_HASH,
    OP_NUMBER,
    OP_TRUNCATE,
    OP_CHARACTERS, /* keep_first, keep_last */
    OP_DOMAIN,
};

struct instruction {
    uint32_t number;
    uint8_t op;    /* enum op */
    uint8_t wire;  /* enum sf_pb_wire of what comes in */
    uint16_t what; /* index of its detail; kept and null fields have none */
};

struct detail {
    struct sf_mask mask; /* without the text of a constant */
    struct sf_mask_grid grid;
    struct sf_field field; /* number, type, precision and scale */
    enum sf_type type;     /* of what goes out */
    struct sf_slice fixed; /* tag and value */
    uint8_t tag[SF_PB_TAG_MAX];
    size_t tag_size;
};

struct sf_mask_program {
    struct sf_arena arena; /* owns the rest */
    struct instruction *code;
    size_t code_count;
    struct detail *details;
    size_t detail_count;
    size_t growth; /* bytes a masked row is larger at most */
    bool hashes;
};

/* --- compiling -------------------------------------------------------------------------------- */

static enum op op_of(enum sf_mask_kind kind)
{
    switch (kind) {
    case SF_MASK_NONE:
        return OP_KEEP;
    case SF_MASK_BUCKET:
    case SF_MASK_ROUND:
        return OP_NUMBER;
    case SF_MASK_TRUNCATE:
        return OP_TRUNCATE;
    case SF_MASK_KEEP_FIRST:
    case SF_MASK_KEEP_LAST:
        return OP_CHARACTERS;
    case SF_MASK_KEEP_DOMAIN:
        return OP_DOMAIN;
    case SF_MASK_HASH:
        return OP_HASH;
    case SF_MASK_REDACT:
        return OP_FIXED;
    case SF_MASK_CONSTANT:
        return OP_ALWAYS;
    case SF_MASK_NULL:
    case SF_MASK_OMIT:
        break;
    }
    return OP_NULL;
}

/* The bytes of a redacted field, or of a constant. */
static bool make_fixed(const struct sf_field *f, const struct sf_mask *m, struct sf_arena *arena,
                       struct detail *d)
{
    struct sf_field out = {.number = f->number, .type = d->type};
    struct sf_field iso = *f;
    struct sf_value v = {.present = true, .s = SF_LITERAL(SF_MASK_STARS)};
    uint8_t *bytes;

    iso.parse = NULL;
    if (m->kind == SF_MASK_CONSTANT && sf_value_parse(&iso, m->text, arena, &v) != SF_PARSE_OK) {
        return false; /* it fits, so there is no memory */
    }
    bytes = sf_arena_alloc(arena, sf_wire_bound(&out, &v));
    if (bytes == NULL) {
        return false;
    }
    d->fixed = sf_slice_of(bytes, (size_t)(sf_wire_put(bytes, &out, &v) - bytes));
    return true;
}

/* Bytes the masked field takes at most, with its tag. */
static size_t room_of(const struct detail *d)
{
    const size_t head = SF_PB_TAG_MAX + SF_PB_VARINT_MAX;

    if (d->fixed.size > 0) {
        return d->fixed.size;
    }
    if (d->mask.kind == SF_MASK_HASH) {
        return head + 2 * SF_MASK_HASH_SIZE;
    }
    return head + SF_DECIMAL_WIDE_SIZE + 4 * d->mask.keep; /* a character has four bytes at most */
}

static bool add_detail(struct sf_mask_program *p, const struct sf_field *f, const struct sf_mask *m,
                       enum op op)
{
    struct detail *d = &p->details[p->detail_count++];
    char why[SF_MASK_WHY_SIZE];
    enum sf_pb_wire wire;

    d->mask = *m;
    d->mask.text = sf_slice_of(NULL, 0);
    d->type = sf_mask_type(m, f);
    d->field = (struct sf_field){
        .number = f->number, .type = f->type, .precision = f->precision, .scale = f->scale};
    wire = sf_wire_of(d->type);
    d->tag_size = (size_t)(sf_pb_put_varint(d->tag, sf_pb_tag(f->number, wire)) - d->tag);
    if (op == OP_NUMBER) {
        bool fits = sf_mask_grid_of(m, f, &d->grid, why);

        sf_assert(fits);
    }
    if ((op == OP_FIXED || op == OP_ALWAYS) && !make_fixed(f, m, &p->arena, d)) {
        return false;
    }
    p->growth += room_of(d);
    p->hashes = p->hashes || op == OP_HASH;
    return true;
}

static bool build(struct sf_mask_program *p, const struct sf_table *t, const struct sf_mask *masks)
{
    p->code = sf_arena_calloc(&p->arena, t->field_count + 1, sizeof(*p->code));
    p->details = sf_arena_calloc(&p->arena, t->field_count + 1, sizeof(*p->details));
    if (p->code == NULL || p->details == NULL) {
        return false;
    }
    for (size_t i = 0; i < t->field_count; i++) {
        const struct sf_field *f = &t->fields[i];
        enum op op = op_of(masks[i].kind);

        if (masks[i].kind == SF_MASK_OMIT) {
            continue;
        }
        p->code[p->code_count++] = (struct instruction){.number = f->number,
                                                        .op = (uint8_t)op,
                                                        .wire = (uint8_t)sf_wire_of(f->type),
                                                        .what = (uint16_t)p->detail_count};
        if (op != OP_KEEP && op != OP_NULL && !add_detail(p, f, &masks[i], op)) {
            return false;
        }
    }
    return true;
}

enum sf_code sf_mask_compile(const struct sf_table *t, const struct sf_mask *masks,
                             struct sf_mask_program **ret, struct sf_error *err)
{
    SF_CLEANUP(sf_mask_program_freep) struct sf_mask_program *p = sf_calloc(1, sizeof(*p));

    if (p == NULL) {
        return SF_RAISE(err, SF_NOMEM, "masks of table '%s': out of memory", t->name);
    }
    sf_arena_init(&p->arena, 0);
    if (!build(p, t, masks)) {
        return SF_RAISE(err, SF_NOMEM, "masks of table '%s': out of memory", t->name);
    }
    *ret = SF_TAKE(p);
    return SF_OK;
}

void sf_mask_program_free(struct sf_mask_program *p)
{
    if (p != NULL) {
        sf_arena_done(&p->arena);
        sf_free(p);
    }
}

bool sf_mask_hashes(const struct sf_mask_program *p)
{
    return p->hashes;
}

size_t sf_mask_room(const struct sf_mask_program *p, size_t size)
{
    return size + p->growth;
}

/* --- values ----------------------------------------------------------------------------------- */

static uint8_t *put_tag(uint8_t *p, const struct detail *d)
{
    memcpy(p, d->tag, d->tag_size);
    return p + d->tag_size;
}

static uint8_t *put(uint8_t *p, struct sf_slice s)
{
    if (s.size > 0) {
        memcpy(p, s.data, s.size);
    }
    return p + s.size;
}

/*
 * What is hashed: a letter for the kind of value, then the value, so that equal values hash alike
 * whatever the width of their type. docs/reference/masks.md has the same.
 */
static size_t hash_head(const struct sf_field *f, const struct sf_value *v, uint8_t *ret,
                        struct sf_slice *rest)
{
    uint8_t *p = ret + 1;

    *rest = sf_slice_of(NULL, 0);
    switch (f->type) {
    case SF_TYPE_BOOL:
        ret[0] = 'b';
        *p++ = (uint8_t)v->i;
        return 2;
    case SF_TYPE_INT32:
    case SF_TYPE_INT64:
    case SF_TYPE_DATE:
    case SF_TYPE_TIMESTAMP:
        ret[0] = f->type == SF_TYPE_DATE ? 'd' : f->type == SF_TYPE_TIMESTAMP ? 't' : 'i';
        return (size_t)(sf_pb_put_fixed64(p, (uint64_t)v->i) - ret);
    case SF_TYPE_FLOAT:
    case SF_TYPE_DOUBLE:
        ret[0] = 'f';
        return (size_t)(sf_wire_put_double(p, v->d) - ret);
    case SF_TYPE_DECIMAL:
    case SF_TYPE_DECIMAL_WIDE:
        ret[0] = 'n';
        *p++ = f->scale;
        sf_decimal_wide_put(f->type == SF_TYPE_DECIMAL ? v->i : sf_decimal_wide_get(v->s.data), p);
        return 2 + SF_DECIMAL_WIDE_SIZE;
    case SF_TYPE_STRING:
    case SF_TYPE_BYTES:
    case SF_TYPE_UUID:
    case SF_TYPE_JSON:
    case SF_TYPE_LIST:
    case SF_TYPE_STRUCT:
        break;
    }
    ret[0] = f->type == SF_TYPE_STRING  ? 's'
             : f->type == SF_TYPE_BYTES ? 'x'
             : f->type == SF_TYPE_UUID  ? 'u'
                                        : 'j';
    *rest = v->s;
    return 1;
}

static uint8_t *put_hash(const struct detail *d, const struct sf_value *v,
                         const struct sf_mask_hasher *hasher, uint8_t *p)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t head[2 + SF_DECIMAL_WIDE_SIZE];
    uint8_t hash[SF_MASK_HASH_SIZE];
    struct sf_slice parts[2];

    parts[0] = sf_slice_of(head, hash_head(&d->field, v, head, &parts[1]));
    hasher->hash(hasher->context, parts, SF_COUNT(parts), hash);
    p = put_tag(p, d);
    *p++ = 2 * SF_MASK_HASH_SIZE;
    for (size_t i = 0; i < SF_MASK_HASH_SIZE; i++) {
        *p++ = (uint8_t)digits[hash[i] >> 4];
        *p++ = (uint8_t)digits[hash[i] & 15];
    }
    return p;
}

/* The first or last @count characters of a valid text. */
static struct sf_slice end_of(struct sf_slice s, uint32_t count, bool first)
{
    size_t at = first ? 0 : s.size;

    for (; first && count > 0; count--) {
        at += sf_utf8_char_size(sf_slice_of(s.data + at, s.size - at));
    }
    for (; count > 0; count--) {
        do {
            at--;
        } while ((s.data[at] & 0xc0) == 0x80);
    }
    return first ? sf_slice_of(s.data, at) : sf_slice_of(s.data + at, s.size - at);
}

/* Always keep + 3 characters: a value that is too short is as many stars, so that a second pass
 * finds what it would have made. */
static uint8_t *put_characters(const struct detail *d, struct sf_slice s, uint8_t *p)
{
    static const uint8_t stars[SF_MASK_KEEP_MAX] = {[0 ... SF_MASK_KEEP_MAX - 1] = '*'};
    bool first = d->mask.kind == SF_MASK_KEEP_FIRST;
    struct sf_slice seen = sf_utf8_count(s) > d->mask.longer ? end_of(s, d->mask.keep, first)
                                                             : sf_slice_of(stars, d->mask.keep);

    p = put_tag(p, d);
    p = sf_pb_put_varint(p, seen.size + strlen(SF_MASK_STARS));
    p = first ? put(p, seen) : p;
    p = put(p, SF_LITERAL(SF_MASK_STARS));
    return first ? p : put(p, seen);
}

/* '@' and what stands behind the last one, when it can be the name of a host; else nothing. */
static struct sf_slice domain_of(struct sf_slice s)
{
    size_t at = s.size;

    while (at > 0 && s.data[at - 1] != '@') {
        uint8_t c = s.data[--at];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '-')) {
            return sf_slice_of(NULL, 0);
        }
    }
    return at == 0 || at == s.size ? sf_slice_of(NULL, 0)
                                   : sf_slice_of(s.data + at - 1, s.size - at + 1);
}

static uint8_t *put_domain(const struct detail *d, struct sf_slice s, uint8_t *p)
{
    struct sf_slice domain = domain_of(s);

    p = put_tag(p, d);
    p = sf_pb_put_varint(p, domain.size + strlen(SF_MASK_STARS));
    return put(put(p, SF_LITERAL(SF_MASK_STARS)), domain);
}

static uint8_t *put_number(const struct detail *d, struct sf_value *v, uint8_t *p, size_t *nulled)
{
    uint8_t wide[SF_DECIMAL_WIDE_SIZE];

    if (!sf_mask_number(&d->grid, d->field.type, v, wide)) {
        ++*nulled;
        return p;
    }
    return sf_wire_put_bare(put_tag(p, d), d->type, v);
}

/* Reads the value at the walk and writes the masked one; NULL: it is none of the field. */
static uint8_t *mask_value(const struct detail *d, enum op op, struct sf_pb_reader *r,
                           const struct sf_mask_hasher *hasher, uint8_t *p, size_t *nulled)
{
    struct sf_value v;

    if (!sf_wire_get(&d->field, r, &v)) {
        return NULL;
    }
    switch (op) {
    case OP_FIXED:
    case OP_ALWAYS:
        return put(p, d->fixed);
    case OP_HASH:
        return put_hash(d, &v, hasher, p);
    case OP_NUMBER:
        return put_number(d, &v, p, nulled);
    case OP_TRUNCATE:
        v.i = sf_mask_truncate(d->mask.part, d->type, v.i);
        return sf_wire_put_bare(put_tag(p, d), d->type, &v);
    case OP_CHARACTERS:
        return sf_utf8_is_valid(v.s) ? put_characters(d, v.s, p) : NULL;
    case OP_DOMAIN:
        return put_domain(d, v.s, p);
    case OP_KEEP:
    case OP_NULL:
        break;
    }
    return NULL;
}

/* --- the pass --------------------------------------------------------------------------------- */

/* Where the pass is: what it reads, and how far that is copied. */
struct pass {
    const struct sf_mask_program *program;
    const struct instruction *next;
    const struct instruction *end;
    const struct sf_mask_hasher *hasher;
    const uint8_t *kept; /* from here on to the walk, fields are to be copied */
    uint8_t *out;
    size_t nulled;
};

/* Copies what was passed over and is seen, up to @to. */
static inline void flush(struct pass *s, const uint8_t *to)
{
    if (to != s->kept) {
        memcpy(s->out, s->kept, (size_t)(to - s->kept));
        s->out += to - s->kept;
        s->kept = to;
    }
}

/* The fields before @number that the row does not have; @at: where the walk is. */
static inline void pass_absent(struct pass *s, uint32_t number, const uint8_t *at)
{
    for (; s->next < s->end && s->next->number < number; s->next++) {
        if (s->next->op == OP_ALWAYS) {
            flush(s, at);
            s->out = put(s->out, s->program->details[s->next->what].fixed);
        }
    }
}

/* The field the walk is at. */
static inline bool pass_field(struct pass *s, struct sf_wire_walk *w)
{
    const struct instruction *i = s->next;

    pass_absent(s, w->number, w->start);
    i = s->next;
    if (i == s->end || i->number != w->number) { /* not seen */
        flush(s, w->start);
        if (!sf_wire_skip(w)) {
            return false;
        }
        s->kept = w->r.p;
        return true;
    }
    s->next++;
    if (w->wire != (enum sf_pb_wire)i->wire) {
        return false;
    }
    if (i->op == OP_KEEP) {
        return sf_wire_skip(w);
    }
    flush(s, w->start);
    if (i->op == OP_NULL) {
        if (!sf_wire_skip(w)) {
            return false;
        }
    } else {
        s->out = mask_value(&s->program->details[i->what], (enum op)i->op, &w->r, s->hasher, s->out,
                            &s->nulled);
    }
    s->kept = w->r.p;
    return s->out != NULL;
}

bool sf_mask_run(const struct sf_mask_program *p, struct sf_slice row,
                 const struct sf_mask_hasher *hasher, uint8_t *out, struct sf_mask_outcome *ret)
{
    struct sf_wire_walk w = {.r = sf_pb_reader_of(row)};
    struct pass s = {
        .program = p,
        .next = p->code,
        .end = p->code + p->code_count,
        .hasher = hasher,
        .kept = row.data,
        .out = out,
    };

    sf_assert(hasher != NULL || !p->hashes);
    *ret = (struct sf_mask_outcome){0};
    while (sf_wire_next(&w)) {
        if (!pass_field(&s, &w)) {
            return false;
        }
    }
    if (!sf_pb_at_end(&w.r)) {
        return false;
    }
    pass_absent(&s, UINT32_MAX, w.r.end);
    flush(&s, w.r.end);
    *ret = (struct sf_mask_outcome){.size = (size_t)(s.out - out), .nulled = s.nulled};
    return true;
}
