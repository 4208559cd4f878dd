#include "leaf/quality/sketch.h"

#include <math.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/decimal.h"
#include "common/contract/value.h"
#include "proto/errors.h"

void sketch_done(struct sketch *s)
{
    sf_free(s->memory);
    *s = (struct sketch){0};
}

/* --- what a field's values are ------------------------------------------------------------------
 */

static bool is_bytes(enum sf_type type)
{
    switch (type) {
    case SF_TYPE_STRING:
    case SF_TYPE_BYTES:
    case SF_TYPE_UUID:
    case SF_TYPE_DECIMAL_WIDE:
    case SF_TYPE_JSON:
    case SF_TYPE_LIST:
    case SF_TYPE_STRUCT:
        return true;
    case SF_TYPE_BOOL:
    case SF_TYPE_INT32:
    case SF_TYPE_INT64:
    case SF_TYPE_FLOAT:
    case SF_TYPE_DOUBLE:
    case SF_TYPE_DECIMAL:
    case SF_TYPE_DATE:
    case SF_TYPE_TIMESTAMP:
        return false;
    }
    return false;
}

static bool is_floating(enum sf_type type)
{
    return type == SF_TYPE_FLOAT || type == SF_TYPE_DOUBLE;
}

bool sketch_has_moments(const struct sf_field *f)
{
    return f->type == SF_TYPE_INT32 || f->type == SF_TYPE_INT64 || is_floating(f->type) ||
           f->type == SF_TYPE_DECIMAL || f->type == SF_TYPE_DECIMAL_WIDE;
}

bool sketch_has_bounds(const struct sf_field *f)
{
    return f->type != SF_TYPE_JSON && f->type != SF_TYPE_LIST && f->type != SF_TYPE_STRUCT &&
           f->type != SF_TYPE_BOOL;
}

static double wide_number(const uint8_t bytes[SF_DECIMAL_WIDE_SIZE])
{
    double n = (double)(int8_t)bytes[0];

    for (size_t i = 1; i < SF_DECIMAL_WIDE_SIZE; i++) {
        n = n * 256 + bytes[i];
    }
    return n;
}

/* Up to 10^22 a double holds them exactly. */
static double ten_to(unsigned n)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                  1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

    return n < SF_COUNT(tens) ? tens[n] : pow(10, n);
}

double sketch_number(const struct sf_field *f, const struct sf_value *v)
{
    if (is_floating(f->type)) {
        return v->d;
    }
    if (f->type == SF_TYPE_DECIMAL_WIDE) {
        return wide_number(v->s.data) / ten_to(f->scale);
    }
    return f->type == SF_TYPE_DECIMAL ? (double)v->i / ten_to(f->scale) : (double)v->i;
}

/* --- hash ---------------------------------------------------------------------------------------
 */

/* The finalizer of MurmurHash3 (Appleby, public domain): every bit of the input moves every bit. */
static uint64_t mix(uint64_t h)
{
    h ^= h >> 33;
    h *= UINT64_C(0xff51afd7ed558ccd);
    h ^= h >> 33;
    h *= UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ h >> 33;
}

static uint64_t hash_bytes(struct sf_slice s)
{
    uint64_t h = mix(s.size);
    size_t at = 0;
    uint64_t word = 0;

    for (; at + 8 <= s.size; at += 8) {
        memcpy(&word, s.data + at, 8);
        h = mix(h ^ word) + UINT64_C(0x9e3779b97f4a7c15);
    }
    word = 0;
    for (size_t i = 0; at + i < s.size; i++) {
        word |= (uint64_t)s.data[at + i] << (8 * i);
    }
    return mix(h ^ word);
}

uint64_t sketch_hash(const struct sf_value *v, const struct sf_field *f)
{
    uint64_t bits = 0;

    if (is_bytes(f->type)) {
        return hash_bytes(v->s);
    }
    if (is_floating(f->type)) {
        memcpy(&bits, &v->d, sizeof(bits));
    } else {
        bits = (uint64_t)v->i;
    }
    return mix(bits + UINT64_C(0x9e3779b97f4a7c15));
}

/* --- different values ---------------------------------------------------------------------------
 */

enum { REGISTER_BITS = 12 };

static void count_hash(struct sketch_memory *m, uint64_t hash)
{
    const size_t at = hash >> (64 - REGISTER_BITS);
    const uint64_t rest = hash << REGISTER_BITS;
    const uint8_t rank = (uint8_t)(rest == 0 ? 64 - REGISTER_BITS + 1 : __builtin_clzll(rest) + 1);

    if (m->registers[at] < rank) {
        m->registers[at] = rank;
    }
}

uint64_t sketch_distinct(const struct sketch *s)
{
    const double m = SKETCH_REGISTERS;
    double sum = 0;
    double estimate;
    size_t zeros = 0;

    if (s->memory == NULL) {
        return 0;
    }
    for (size_t i = 0; i < SKETCH_REGISTERS; i++) {
        sum += ldexp(1, -s->memory->registers[i]);
        zeros += s->memory->registers[i] == 0;
    }
    estimate = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    if (estimate <= 2.5 * m && zeros > 0) {
        estimate = m * log(m / (double)zeros);
    }
    if (!s->loose && estimate > (double)s->values) {
        return s->values; /* all it has seen is there */
    }
    return (uint64_t)llround(estimate);
}

/* --- kept values --------------------------------------------------------------------------------
 */

/* What stands in the bytes behind @at->size is nothing: to clear them took longer than the rest. */
static void keep(struct sketch_value *at, const struct sf_value *v, const struct sf_field *f)
{
    const bool has_bytes = is_bytes(f->type);
    const size_t n = v->s.size < SKETCH_BYTES_MAX ? v->s.size : SKETCH_BYTES_MAX;

    at->present = true;
    at->cut = has_bytes && v->s.size > SKETCH_BYTES_MAX;
    at->size = has_bytes ? (uint8_t)n : 0;
    at->i = has_bytes || is_floating(f->type) ? 0 : v->i;
    at->d = !has_bytes && is_floating(f->type) ? v->d : 0;
    if (at->size > 0) {
        memcpy(at->bytes, v->s.data, n);
    }
}

struct sf_value sketch_value_of(const struct sketch_value *v)
{
    return (struct sf_value){
        .present = v->present,
        .i = v->i,
        .d = v->d,
        .s = sf_slice_of(v->bytes, v->size),
    };
}

static void widen(struct sketch *s, const struct sf_field *f, const struct sf_value *v)
{
    const struct sf_value min = sketch_value_of(&s->min);
    const struct sf_value max = sketch_value_of(&s->max);

    if (!min.present || sf_value_compare(f->type, v, &min) < 0) {
        keep(&s->min, v, f);
    }
    if (!max.present || sf_value_compare(f->type, v, &max) > 0) {
        keep(&s->max, v, f);
    }
}

/* SKETCH_PLACES: it has none. All are looked at, so that they are compared side by side. */
static size_t place_of(const struct sketch_memory *m, uint64_t hash)
{
    size_t found = SKETCH_PLACES;

    for (size_t i = SKETCH_PLACES; i-- > 0;) {
        found = m->hashes[i] == hash ? i : found;
    }
    return found < m->place_count ? found : SKETCH_PLACES;
}

static size_t least_of(const struct sketch_memory *m)
{
    size_t least = 0;

    for (size_t i = 1; i < m->place_count; i++) {
        least = m->counts[i] < m->counts[least] ? i : least;
    }
    return least;
}

/* Gives the value its place, when needed that of the one that came least often. */
static void place(struct sketch_memory *m, uint64_t hash, const struct sf_value *v,
                  const struct sf_field *f)
{
    size_t at = place_of(m, hash);

    if (at == SKETCH_PLACES) {
        at = m->place_count < SKETCH_PLACES ? m->place_count++ : least_of(m);
        m->hashes[at] = hash;
        m->places[at].over = m->counts[at];
        keep(&m->places[at].value, v, f);
    }
    m->counts[at]++;
}

static void unplace(struct sketch_memory *m, uint64_t hash)
{
    const size_t at = place_of(m, hash);

    if (at < SKETCH_PLACES && m->counts[at] > 0) {
        m->counts[at]--;
    }
}

/* Of values that come as often the order must not be that in which they came: of rows that are read
 * in the order of their keys it would tell the keys of who does not see them. */
static bool stands_before(const struct sketch_memory *m, size_t a, size_t b)
{
    return m->counts[a] != m->counts[b] ? m->counts[a] > m->counts[b] : m->hashes[a] < m->hashes[b];
}

size_t sketch_top(const struct sketch *s, struct sketch_top *ret, size_t max)
{
    const struct sketch_memory *m = s->memory;
    size_t order[SKETCH_PLACES];
    size_t n = 0;

    for (size_t i = 0; m != NULL && i < m->place_count; i++) {
        size_t at = n;

        if (m->counts[i] == 0) {
            continue;
        }
        for (; at > 0 && stands_before(m, i, order[at - 1]); at--) {
            order[at] = order[at - 1];
        }
        order[at] = i;
        n++;
    }
    n = n < max ? n : max;
    for (size_t i = 0; i < n; i++) {
        const struct sketch_place *p = &m->places[order[i]];

        ret[i] = (struct sketch_top){&p->value, m->counts[order[i]], p->over};
    }
    return n;
}

/* --- adding and removing ------------------------------------------------------------------------
 */

enum sf_code sketch_add(struct sketch *s, const struct sf_field *f, const struct sf_value *v,
                        struct sf_error *err)
{
    uint64_t hash;

    if (!v->present) {
        s->nulls++;
        return SF_OK;
    }
    if (s->memory == NULL) {
        s->memory = sf_calloc(1, sizeof(*s->memory));
        if (s->memory == NULL) {
            return SF_RAISE(err, SF_NOMEM, "statistics of a field");
        }
    }
    s->values++;
    if (sketch_has_moments(f)) {
        const double n = sketch_number(f, v);
        const double count = (double)s->values;
        const double delta = n - s->mean;

        /* A difference may be beyond a double where the mean is not. */
        s->mean += isfinite(delta) ? delta / count : n / count - s->mean / count;
        s->m2 += delta * (n - s->mean);
    }
    if (sketch_has_bounds(f)) {
        widen(s, f, v);
    }
    hash = sketch_hash(v, f);
    count_hash(s->memory, hash);
    place(s->memory, hash, v, f);
    return SF_OK;
}

void sketch_remove(struct sketch *s, const struct sf_field *f, const struct sf_value *v)
{
    if (!v->present) {
        s->nulls -= s->nulls > 0;
        return;
    }
    if (s->values == 0) {
        return;
    }
    s->values--;
    s->loose = true;
    if (s->values == 0) {
        s->mean = 0;
        s->m2 = 0;
    } else if (sketch_has_moments(f)) {
        const double n = sketch_number(f, v);
        const double before = s->mean;

        s->mean = before - (n - before) / (double)s->values;
        s->m2 -= (n - before) * (n - s->mean);
        s->m2 = s->m2 < 0 ? 0 : s->m2;
    }
    if (s->memory != NULL) {
        unplace(s->memory, sketch_hash(v, f));
    }
}

double sketch_deviation(const struct sketch *s)
{
    return s->values == 0 ? 0 : sqrt(s->m2 / (double)s->values);
}

/* --- as it is stored ----------------------------------------------------------------------------
 */

enum { FLAG_LOOSE = 1, FLAG_MEMORY = 2, FLAG_PRESENT = 1, FLAG_CUT = 2 };

static void put_double(struct sf_buf *out, double d)
{
    uint64_t bits;

    memcpy(&bits, &d, sizeof(bits));
    sf_buf_be64(out, bits);
}

static void put_value(struct sf_buf *out, const struct sketch_value *v)
{
    sf_buf_byte(out, (uint8_t)((v->present ? FLAG_PRESENT : 0) | (v->cut ? FLAG_CUT : 0)));
    if (v->present) {
        sf_buf_byte(out, v->size);
        sf_buf_append(out, v->bytes, v->size);
        sf_buf_be64(out, (uint64_t)v->i);
        put_double(out, v->d);
    }
}

void sketch_encode(const struct sketch *s, struct sf_buf *out)
{
    sf_buf_byte(out,
                (uint8_t)((s->loose ? FLAG_LOOSE : 0) | (s->memory != NULL ? FLAG_MEMORY : 0)));
    sf_buf_be64(out, s->values);
    sf_buf_be64(out, s->nulls);
    put_double(out, s->mean);
    put_double(out, s->m2);
    put_value(out, &s->min);
    put_value(out, &s->max);
    if (s->memory == NULL) {
        return;
    }
    sf_buf_append(out, s->memory->registers, SKETCH_REGISTERS);
    sf_buf_byte(out, (uint8_t)s->memory->place_count);
    for (size_t i = 0; i < s->memory->place_count; i++) {
        const struct sketch_place *p = &s->memory->places[i];

        sf_buf_be64(out, s->memory->hashes[i]);
        sf_buf_be64(out, s->memory->counts[i]);
        sf_buf_be64(out, p->over);
        put_value(out, &p->value);
    }
}

static bool take(struct sf_slice *bytes, size_t n, const uint8_t **ret)
{
    if (bytes->size < n) {
        return false;
    }
    *ret = bytes->data;
    *bytes = sf_slice_of(bytes->data + n, bytes->size - n);
    return true;
}

static bool take_u64(struct sf_slice *bytes, uint64_t *ret)
{
    const uint8_t *at;

    if (!take(bytes, 8, &at)) {
        return false;
    }
    *ret = sf_read_be64(at);
    return true;
}

/* Infinite, or no number, when it is beyond what a double holds. */
static bool take_moment(struct sf_slice *bytes, double *ret)
{
    uint64_t bits;

    if (!take_u64(bytes, &bits)) {
        return false;
    }
    memcpy(ret, &bits, sizeof(*ret));
    return true;
}

static bool take_double(struct sf_slice *bytes, double *ret)
{
    return take_moment(bytes, ret) && isfinite(*ret);
}

static bool take_value(struct sf_slice *bytes, struct sketch_value *ret)
{
    const uint8_t *at;
    uint64_t i;

    *ret = (struct sketch_value){0};
    if (!take(bytes, 1, &at) || *at > (FLAG_PRESENT | FLAG_CUT)) {
        return false;
    }
    ret->present = (*at & FLAG_PRESENT) != 0;
    ret->cut = (*at & FLAG_CUT) != 0;
    if (!ret->present) {
        return !ret->cut;
    }
    if (!take(bytes, 1, &at) || *at > SKETCH_BYTES_MAX) {
        return false;
    }
    ret->size = *at;
    if (!take(bytes, ret->size, &at)) {
        return false;
    }
    memcpy(ret->bytes, at, ret->size);
    if (!take_u64(bytes, &i) || !take_double(bytes, &ret->d)) {
        return false;
    }
    ret->i = (int64_t)i;
    return true;
}

static bool take_memory(struct sf_slice *bytes, struct sketch_memory *ret)
{
    const uint8_t *at;

    if (!take(bytes, SKETCH_REGISTERS, &at)) {
        return false;
    }
    memcpy(ret->registers, at, SKETCH_REGISTERS);
    if (!take(bytes, 1, &at) || *at > SKETCH_PLACES) {
        return false;
    }
    ret->place_count = *at;
    for (size_t i = 0; i < SKETCH_REGISTERS; i++) {
        if (ret->registers[i] > 64 - REGISTER_BITS + 1) {
            return false;
        }
    }
    for (size_t i = 0; i < ret->place_count; i++) {
        struct sketch_place *p = &ret->places[i];

        if (!take_u64(bytes, &ret->hashes[i]) || !take_u64(bytes, &ret->counts[i]) ||
            !take_u64(bytes, &p->over) || !take_value(bytes, &p->value) || !p->value.present) {
            return false;
        }
    }
    return true;
}

enum sf_code sketch_decode(struct sf_slice *bytes, struct sketch *ret, struct sf_error *err)
{
    const uint8_t *at = NULL;
    bool good = take(bytes, 1, &at) && *at <= (FLAG_LOOSE | FLAG_MEMORY);
    const uint8_t flags = good ? *at : 0;

    good = good && take_u64(bytes, &ret->values) && take_u64(bytes, &ret->nulls) &&
           take_moment(bytes, &ret->mean) && take_moment(bytes, &ret->m2) &&
           take_value(bytes, &ret->min) && take_value(bytes, &ret->max);
    good = good && ret->m2 >= 0;
    ret->loose = (flags & FLAG_LOOSE) != 0;
    if (good && (flags & FLAG_MEMORY) != 0) {
        ret->memory = sf_calloc(1, sizeof(*ret->memory));
        if (ret->memory == NULL) {
            return SF_RAISE(err, SF_NOMEM, "statistics of a field");
        }
        good = take_memory(bytes, ret->memory);
    }
    if (!good) {
        sketch_done(ret);
        return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_CORRUPT, "stored statistics of a field");
    }
    return SF_OK;
}
