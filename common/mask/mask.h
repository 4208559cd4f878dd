/*
 * Masks: what stands in the place of a field's value for those who may not see it, as a policy
 * writes them, the table they leave, and a flat program that masks encoded rows.
 *
 *     {with: keep_last(4)}     hash     bucket(0.50)     truncate(month)     constant('n/a')
 *
 * docs/reference/masks.md says what each one does, to which types, and which is stricter.
 *
 *   Memory    A struct sf_mask is a value; the text of a constant lives in the arena it was read
 *             into. A program borrows nothing. Running allocates nothing.
 *   Threads   Pure functions; any number of threads may run one program.
 *   Limits    SF_MASK_*_MAX below; more is an error of the text.
 *   Errors    Closed: a value that cannot be masked is null, bytes that are no row are dropped.
 *             Nothing is ever passed on because masking it failed.
 */
#pragma once

#include "common/contract/contract.h"
#include "common/wire/issues.h"
#include "common/wire/yaml.h"

enum sf_mask_kind {
    SF_MASK_NONE, /* the value as it is */
    SF_MASK_BUCKET,
    SF_MASK_ROUND,
    SF_MASK_TRUNCATE,
    SF_MASK_KEEP_FIRST,
    SF_MASK_KEEP_LAST,
    SF_MASK_KEEP_DOMAIN,
    SF_MASK_HASH,
    SF_MASK_REDACT,
    SF_MASK_CONSTANT,
    SF_MASK_NULL,
    SF_MASK_OMIT,
};

enum sf_mask_part {
    SF_MASK_HOUR,
    SF_MASK_DAY,
    SF_MASK_MONTH,
    SF_MASK_QUARTER,
    SF_MASK_YEAR,
};

enum {
    SF_MASK_TEXT_MAX = 1024, /* bytes of a mask as written */
    SF_MASK_KEEP_MAX = 64,   /* characters */
    SF_MASK_LONGER_MAX = 65535,
    SF_MASK_DIGITS_MAX = 38,
    SF_MASK_HASH_SIZE = 16, /* bytes; twice as many hexadecimal digits are seen */
};

/* Zeroed: none. Members of other kinds are 0. */
struct sf_mask {
    enum sf_mask_kind kind;
    enum sf_mask_part part; /* truncate */
    uint32_t keep;          /* keep_first, keep_last: characters that are seen */
    uint32_t longer;        /* and only of values of more characters than these */
    int32_t digits;         /* round: behind the point; negative: before it */
    uint8_t scale;          /* bucket: digits of step behind the point, the last not 0 */
    __int128 step;          /* bucket: above 0 */
    struct sf_slice text;   /* constant */
};

/* --- as written ------------------------------------------------------------------------------- */

/* Reads the source of @issues, one mask. SF_INVALID: reported there (E0103). SF_NOMEM. */
enum sf_code sf_mask_parse(struct sf_issues *issues, struct sf_arena *arena, struct sf_mask *ret,
                           struct sf_error *err) SF_MUST_CHECK;
/* The same of a node: the text of a mask, or {with: it}. False: reported, or issues->failed. */
bool sf_mask_read(struct sf_issues *issues, const struct sf_yaml_node *node, struct sf_arena *arena,
                  struct sf_mask *ret) SF_MUST_CHECK;
/* Appends the canonical text, which parses to the same mask; nothing for none. */
void sf_mask_print(const struct sf_mask *m, struct sf_buf *out);

/* --- about a field ---------------------------------------------------------------------------- */

enum { SF_MASK_WHY_SIZE = 160 };

/* Whether the field can be masked so; else @why says why not, as the rest of a sentence that begins
 * with the mask: "is for strings, not for date". */
bool sf_mask_fits(const struct sf_mask *m, const struct sf_field *f,
                  char why[SF_MASK_WHY_SIZE]) SF_MUST_CHECK;
/* sf_mask_fits(), reported at @place (E0103). */
bool sf_mask_check(struct sf_issues *issues, struct sf_place place, const struct sf_mask *m,
                   const struct sf_field *f) SF_MUST_CHECK;
/* The index of the field called @name in @t, or -1 and reported (E0107): also for a value inside a
 * field, which has no mask of its own. */
int32_t sf_mask_field(struct sf_issues *issues, struct sf_place place, const struct sf_table *t,
                      struct sf_slice name);

/* Masks of one level hide alike; the higher, the stricter. */
unsigned sf_mask_level(enum sf_mask_kind kind);
/*
 * The mask that hides what either hides, both of which fit @f: one of the two where that does it,
 * else the least strict that does. Commutative, associative, idempotent; fits @f.
 */
struct sf_mask sf_mask_combine(const struct sf_field *f, const struct sf_mask *a,
                               const struct sf_mask *b);
/* Whether masking what was masked so changes nothing. */
bool sf_mask_is_idempotent(const struct sf_mask *m);

/* --- about a table ---------------------------------------------------------------------------- */

/*
 * What a consumer sees of @t: one mask for each field, in their order, all of which fit. Fields,
 * types, and the rules that hold for what is masked, also inside lists and structs; a table whose
 * key is not seen whole (as it is, or hashed) is an event table; how repetitions are told is the
 * producer's and gone. Borrows from
 * @t. NULL: no memory in @arena.
 */
const struct sf_table *sf_mask_table(const struct sf_table *t, const struct sf_mask *masks,
                                     struct sf_arena *arena) SF_MUST_CHECK;

/* --- running ---------------------------------------------------------------------------------- */

struct sf_mask_program;

/* BLAKE2b of SF_MASK_HASH_SIZE bytes over the parts, under the key of one consumer domain. */
struct sf_mask_hasher {
    void (*hash)(const void *context, const struct sf_slice *parts, size_t count,
                 uint8_t ret[SF_MASK_HASH_SIZE]);
    const void *context;
};

struct sf_mask_outcome {
    size_t size;   /* bytes of the masked row */
    size_t nulled; /* values that could not be masked and are null */
};

/* One mask for each field of @t, all of which fit. SF_NOMEM. */
enum sf_code sf_mask_compile(const struct sf_table *t, const struct sf_mask *masks,
                             struct sf_mask_program **ret, struct sf_error *err) SF_MUST_CHECK;
void sf_mask_program_free(struct sf_mask_program *p);
SF_DEFINE_CLEANUP(struct sf_mask_program, sf_mask_program_free)

/* Whether it needs a hasher. */
bool sf_mask_hashes(const struct sf_mask_program *p);
/* Bytes the masked form of a row of @size takes at most. */
size_t sf_mask_room(const struct sf_mask_program *p, size_t size);
/*
 * Writes the masked row, canonical by sf_mask_table() when @row is by its own, to @out, which has
 * room and does not overlap @row. Fields that are not of the table are left out. False: the bytes
 * are no row of the table; the row is to be dropped and counted, whatever is in @out. @hasher may
 * be NULL when it hashes nothing.
 */
bool sf_mask_run(const struct sf_mask_program *p, struct sf_slice row,
                 const struct sf_mask_hasher *hasher, uint8_t *out,
                 struct sf_mask_outcome *ret) SF_MUST_CHECK;
