#include "tests/lib/masks.h"

#include "common/base/assert.h"
#include "common/contract/value.h"
#include "common/sys/crypto.h"

static void keyed_hash(const void *context, const struct sf_slice *parts, size_t count,
                       uint8_t ret[SF_MASK_HASH_SIZE])
{
    uint8_t key[SF_HASH_KEY_SIZE];
    struct sf_hash h;

    (void)context;
    for (size_t i = 0; i < sizeof(key); i++) {
        key[i] = (uint8_t)i;
    }
    sf_hash_init_keyed(&h, SF_MASK_HASH_SIZE, key);
    for (size_t i = 0; i < count; i++) {
        sf_hash_add(&h, parts[i]);
    }
    sf_hash_end(&h, ret, SF_MASK_HASH_SIZE);
}

const struct sf_mask_hasher masks_hasher = {.hash = keyed_hash};

struct sf_mask masks_of(const char *text, struct sf_arena *arena)
{
    struct sf_mask mask;
    struct sf_issues issues;
    enum sf_code code;

    sf_issues_init(&issues, "mask", sf_slice_text(text));
    code = sf_mask_parse(&issues, arena, &mask, NULL);
    sf_assert(code == SF_OK);
    sf_issues_done(&issues);
    return mask;
}

static struct sf_slice constant_of(struct rows_random *r, const struct sf_field *f,
                                   struct sf_arena *arena)
{
    struct sf_value v = rows_random_value(r, f, arena);
    struct sf_slice text = {0};
    struct sf_buf out = {0};

    if (f->type == SF_TYPE_STRING) {
        return v.s.size > 60 ? SF_LITERAL("it's") : v.s;
    }
    if (sf_type_is_scalar(f->type) && f->type != SF_TYPE_JSON) {
        sf_value_format(f, &v, &out);
        text = sf_arena_slice(arena, sf_buf_view(&out));
        sf_buf_done(&out);
    }
    return text;
}

struct sf_mask masks_random(struct rows_random *r, const struct sf_field *f, struct sf_arena *arena)
{
    char why[SF_MASK_WHY_SIZE];
    struct sf_mask m = {0};

    if (rows_below(r, 4) == 0) {
        return m;
    }
    do {
        m = (struct sf_mask){.kind = (enum sf_mask_kind)(1 + rows_below(r, SF_MASK_OMIT))};
        if (m.kind == SF_MASK_BUCKET) {
            static const uint32_t steps[] = {2, 5, 7, 10, 1000, 86400, 25, 3, 1000003};

            m.step = steps[rows_below(r, SF_COUNT(steps))];
            m.step *= rows_below(r, 8) == 0 ? INT64_C(1000000007) : 1;
            m.scale = (uint8_t)(m.step % 10 == 0 ? 0 : rows_below(r, 4));
        } else if (m.kind == SF_MASK_ROUND) {
            m.digits = (int32_t)rows_below(r, 24) - 15;
        } else if (m.kind == SF_MASK_TRUNCATE) {
            m.part = (enum sf_mask_part)rows_below(r, SF_MASK_YEAR + 1);
        } else if (m.kind == SF_MASK_KEEP_FIRST || m.kind == SF_MASK_KEEP_LAST) {
            m.keep = 1 + (uint32_t)rows_below(r, rows_below(r, 8) == 0 ? SF_MASK_KEEP_MAX : 5);
            m.longer = m.keep + (uint32_t)(rows_below(r, 2) == 0 ? rows_below(r, 12) : 0);
        } else if (m.kind == SF_MASK_CONSTANT) {
            m.text = constant_of(r, f, arena);
        }
    } while (!sf_mask_fits(&m, f, why));
    return m;
}
