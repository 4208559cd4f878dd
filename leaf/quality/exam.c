#include "leaf/quality/exam.h"

#include <math.h>
#include <string.h>

#include "common/base/alloc.h"
#include "leaf/rowcodec/row.h"

/* Three standard errors of a sketch. */
#define DOUBT 0.05

/* --- sets of hashes ------------------------------------------------------------------------------
 */

struct hash_set {
    const struct sf_check *check;
    uint64_t *slots; /* 0: free */
    size_t capacity; /* a power of two */
    size_t count;
    uint64_t values; /* added: rows whose fields are all there */
    bool full;       /* no room: it says nothing */
};

struct exam {
    const struct sf_table *table;
    size_t bytes;
    struct sf_value *values; /* scratch */
    size_t value_count;
    size_t set_count;
    struct hash_set sets[];
};

static void put(uint64_t *slots, size_t capacity, uint64_t hash, size_t *count)
{
    size_t at = (size_t)hash & (capacity - 1);

    while (slots[at] != 0 && slots[at] != hash) {
        at = (at + 1) & (capacity - 1);
    }
    *count += slots[at] == 0;
    slots[at] = hash;
}

static enum sf_code grow(struct exam *e, struct hash_set *set, struct sf_error *err)
{
    const size_t capacity = set->capacity == 0 ? 1024 : set->capacity * 2;
    uint64_t *slots;
    size_t count = 0;

    if (e->bytes + capacity * sizeof(*slots) > EXAM_BYTES_MAX) {
        set->full = true;
        return SF_OK;
    }
    slots = sf_calloc(capacity, sizeof(*slots));
    if (slots == NULL) {
        return SF_RAISE(err, SF_NOMEM, "check");
    }
    for (size_t i = 0; i < set->capacity; i++) {
        if (set->slots[i] != 0) {
            put(slots, capacity, set->slots[i], &count);
        }
    }
    e->bytes += (capacity - set->capacity) * sizeof(*slots);
    sf_free(set->slots);
    set->slots = slots;
    set->capacity = capacity;
    return SF_OK;
}

static enum sf_code add_hash(struct exam *e, struct hash_set *set, uint64_t hash,
                             struct sf_error *err)
{
    enum sf_code code = SF_OK;

    set->values++;
    if (!set->full && set->count * 4 >= set->capacity * 3) {
        code = grow(e, set, err);
    }
    if (code == SF_OK && !set->full) {
        put(set->slots, set->capacity, hash == 0 ? 1 : hash, &set->count);
    }
    return code;
}

/* --- an examination ------------------------------------------------------------------------------
 */

static bool needs_set(const struct sf_check *c)
{
    return c->metric == SF_CHECK_DUPLICATES || c->metric == SF_CHECK_DISTINCT;
}

enum sf_code exam_new(const struct sf_table *table, struct exam **ret, struct sf_error *err)
{
    size_t count = 0;
    struct exam *e;

    *ret = NULL;
    for (size_t i = 0; i < table->check_count; i++) {
        count += needs_set(&table->checks[i]);
    }
    if (count == 0) {
        return SF_OK;
    }
    e = sf_calloc(1, sizeof(*e) + count * sizeof(e->sets[0]));
    if (e == NULL) {
        return SF_RAISE(err, SF_NOMEM, "checks");
    }
    e->table = table;
    for (size_t i = 0; i < table->check_count; i++) {
        if (needs_set(&table->checks[i])) {
            e->sets[e->set_count++].check = &table->checks[i];
        }
    }
    *ret = e;
    return SF_OK;
}

void exam_free(struct exam *e)
{
    if (e != NULL) {
        for (size_t i = 0; i < e->set_count; i++) {
            sf_free(e->sets[i].slots);
        }
        sf_free(e->values);
        sf_free(e);
    }
}

/* *ret_hash of the fields together; false: one of them is null. */
static bool hash_fields(const struct exam *e, const struct sf_check *c, const struct sf_table *of,
                        uint64_t *ret_hash)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < c->field_count; i++) {
        const struct sf_field *f = &e->table->fields[c->fields[i]];
        const int32_t at = sf_table_field_by_number(of, f->number);

        if (at < 0 || !e->values[at].present) {
            return false;
        }
        hash = hash * UINT64_C(0x9e3779b97f4a7c15) + sketch_hash(&e->values[at], &of->fields[at]);
    }
    *ret_hash = hash;
    return true;
}

enum sf_code exam_add(struct exam *e, const struct sf_table *of, struct sf_slice row,
                      struct sf_error *err)
{
    enum sf_code code;

    if (e->value_count < of->field_count) {
        struct sf_value *values = sf_realloc(e->values, of->field_count, sizeof(*values));

        if (values == NULL) {
            return SF_RAISE(err, SF_NOMEM, "checks");
        }
        e->values = values;
        e->value_count = of->field_count;
    }
    code = row_decode(of, row, e->values, err);
    for (size_t i = 0; code == SF_OK && i < e->set_count; i++) {
        uint64_t hash;

        if (hash_fields(e, e->sets[i].check, of, &hash)) {
            code = add_hash(e, &e->sets[i], hash, err);
        }
    }
    return code;
}

/* --- judging
 * -------------------------------------------------------------------------------------- */

static const struct hash_set *set_of(const struct exam *e, const struct sf_check *c)
{
    for (size_t i = 0; e != NULL && i < e->set_count; i++) {
        if (e->sets[i].check == c && !e->sets[i].full) {
            return &e->sets[i];
        }
    }
    return NULL;
}

/* Whether the fields of @c hold the whole key: then no two rows have the same. */
static bool holds_key(const struct sf_check *c, const struct sf_table *t)
{
    for (size_t k = 0; k < t->key_count; k++) {
        bool found = false;

        for (size_t i = 0; i < c->field_count; i++) {
            found |= c->fields[i] == t->key[k];
        }
        if (!found) {
            return false;
        }
    }
    return t->key_count > 0;
}

struct number {
    double value;
    bool known;
    bool estimated;
};

static struct number duplicates_of(const struct sf_check *c, const struct check_facts *facts)
{
    const struct hash_set *set = set_of(facts->exam, c);
    const struct sketch *s = &facts->stats->fields[c->fields[0]];
    double distinct;

    if (holds_key(c, facts->table)) {
        return (struct number){0, true, false};
    }
    if (set != NULL) {
        return (struct number){(double)(set->values - set->count), true, false};
    }
    if (c->field_count > 1) {
        return (struct number){0, false, false};
    }
    distinct = (double)sketch_distinct(s);
    return (struct number){distinct < (double)s->values ? (double)s->values - distinct : 0, true,
                           true};
}

static struct number distinct_of(const struct sf_check *c, const struct check_facts *facts)
{
    const struct hash_set *set = set_of(facts->exam, c);

    if (set != NULL) {
        return (struct number){(double)set->count, true, false};
    }
    return (struct number){(double)sketch_distinct(&facts->stats->fields[c->fields[0]]), true,
                           true};
}

/* Least or greatest value of the field of a check. */
static struct sf_value extreme_of(const struct sf_check *c, const struct check_facts *facts)
{
    const struct sketch *s = &facts->stats->fields[c->fields[0]];

    return sketch_value_of(c->metric == SF_CHECK_MIN ? &s->min : &s->max);
}

static struct number bound_of(const struct sf_check *c, const struct check_facts *facts)
{
    const struct sketch *s = &facts->stats->fields[c->fields[0]];
    const struct sf_value v = extreme_of(c, facts);

    if (!v.present || s->values == 0) {
        return (struct number){0, false, false};
    }
    return (struct number){sketch_number(&facts->table->fields[c->fields[0]], &v), true,
                           facts->loose};
}

static struct number measure(const struct sf_check *c, const struct check_facts *facts)
{
    const struct table_stats *s = facts->stats;

    switch (c->metric) {
    case SF_CHECK_ROWS:
        return (struct number){(double)s->rows, true, false};
    case SF_CHECK_INVALID:
        return (struct number){(double)facts->quarantined, true, false};
    case SF_CHECK_NULLS:
        return (struct number){(double)s->fields[c->fields[0]].nulls, true, false};
    case SF_CHECK_DUPLICATES:
        return duplicates_of(c, facts);
    case SF_CHECK_DISTINCT:
        return distinct_of(c, facts);
    case SF_CHECK_MIN:
    case SF_CHECK_MAX:
        return bound_of(c, facts);
    case SF_CHECK_MEAN:
        return (struct number){s->fields[c->fields[0]].mean, s->fields[c->fields[0]].values > 0,
                               false};
    }
    return (struct number){0, false, false};
}

/* Whether the verdict is the same wherever the number is that @value stands for. */
static bool is_beyond_doubt(const struct sf_check *c, double value, double doubt)
{
    const bool holds = sf_check_holds(c, value);

    return sf_check_holds(c, value - doubt) == holds && sf_check_holds(c, value + doubt) == holds;
}

/*
 * min and max: compared digit by digit where a double does not hold all that the field can. When
 * the row of the value may be gone, the true one is it or further inside: a verdict is what holds
 * for all of these.
 */
static enum check_status judge_bound(const struct sf_check *c, const struct check_facts *facts,
                                     double value)
{
    const struct sf_value extreme = extreme_of(c, facts);
    const int order = c->is_exact
                          ? sf_check_compare(c, &facts->table->fields[c->fields[0]], &extreme)
                          : (value > c->value) - (value < c->value);
    const bool holds = sf_check_holds_at(c, order);
    const int inside = c->metric == SF_CHECK_MAX ? -1 : 1;

    for (int o = order; facts->loose && o != 2 * inside; o += inside) {
        if (sf_check_holds_at(c, o) != holds) {
            return CHECK_UNKNOWN;
        }
    }
    return holds ? CHECK_PASS : CHECK_FAIL;
}

struct check_result check_judge(const struct sf_check *check, const struct check_facts *facts)
{
    struct number n = measure(check, facts);
    double of = (double)facts->stats->rows;
    double doubt = n.value * DOUBT;

    if (check->metric == SF_CHECK_INVALID) {
        of += n.value; /* records that came: those taken and those refused */
    }
    if (check->metric == SF_CHECK_DUPLICATES && n.estimated) {
        doubt = (double)facts->stats->fields[check->fields[0]].values * DOUBT;
    }
    if (check->percent) {
        n.known = n.known && of > 0;
        n.value = of > 0 ? 100 * n.value / of : 0;
        doubt = of > 0 ? 100 * doubt / of : 0;
    }
    if (!n.known || !isfinite(n.value)) {
        return (struct check_result){.status = CHECK_UNKNOWN};
    }
    if (check->metric == SF_CHECK_MIN || check->metric == SF_CHECK_MAX) {
        return (struct check_result){judge_bound(check, facts, n.value), true, n.value,
                                     n.estimated};
    }
    if (n.estimated && !is_beyond_doubt(check, n.value, doubt)) {
        return (struct check_result){CHECK_UNKNOWN, true, n.value, true};
    }
    return (struct check_result){sf_check_holds(check, n.value) ? CHECK_PASS : CHECK_FAIL, true,
                                 n.value, n.estimated};
}

const char *check_status_name(enum check_status status)
{
    static const char *const names[] = {"pass", "fail", "unknown"};

    return names[status];
}
