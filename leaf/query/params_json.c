/* The part of params.h that reads the JSON object of a request. */
#include "leaf/query/follow.h"
#include "leaf/query/params.h"
#include "proto/errors.h"

/* In the order in which a request that is wrong is told them. */
enum member {
    TABLE,
    MAJOR,
    KEY,
    FROM,
    TO,
    PREFIX,
    LIMIT,
    PAGES,
    CURSOR,
    SELECT,
    AFTER,
    FORMAT,
    WHERE,
    REVERSE,
    COUNT,
    FOLLOW,
    SNAPSHOT,
    SECONDS,
    AS_OF,
    SINCE,
    FLOW,
    WINDOW,
    MEMBERS
};

static const char *const member_names[] = {[TABLE] = "table",
                                           [MAJOR] = "major",
                                           [KEY] = "key",
                                           [FROM] = "from",
                                           [TO] = "to",
                                           [PREFIX] = "prefix",
                                           [LIMIT] = "limit",
                                           [PAGES] = "pages",
                                           [CURSOR] = "cursor",
                                           [SELECT] = "select",
                                           [AFTER] = "after",
                                           [FORMAT] = "format",
                                           [WHERE] = "where",
                                           [REVERSE] = "reverse",
                                           [COUNT] = "count",
                                           [FOLLOW] = "follow",
                                           [SNAPSHOT] = "snapshot",
                                           [SECONDS] = "seconds",
                                           [AS_OF] = "as_of",
                                           [SINCE] = "since",
                                           [FLOW] = "flow",
                                           [WINDOW] = "window",
                                           [MEMBERS] = NULL};

#define BIT(member) (UINT64_C(1) << (member))

static bool must_encode(uint8_t c)
{
    return c == ',' || c == '%' || c < 0x20;
}

/* Percent-encoded; @to NULL: only counts. Returns the bytes. */
static size_t encode_part(struct sf_slice part, char *to)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0;

    for (size_t i = 0; i < part.size; i++) {
        const uint8_t c = part.data[i];

        if (to != NULL && must_encode(c)) {
            to[n] = '%';
            to[n + 1] = digits[c >> 4];
            to[n + 2] = digits[c & 15];
        } else if (to != NULL) {
            to[n] = (char)c;
        }
        n += must_encode(c) ? 3 : 1;
    }
    return n;
}

static bool part_of(const struct sf_json *v, struct sf_slice *ret)
{
    return sf_json_as_slice(v, ret) || sf_json_as_number_text(v, ret);
}

/* An array of texts and numbers as one text joined by commas; the parts are percent-encoded. */
static enum sf_code read_list(const struct sf_json *body, enum member member,
                              struct sf_arena *arena, const char **ret, struct sf_error *err)
{
    const char *name = member_names[member];
    const struct sf_json *v = sf_json_get(body, name);
    struct sf_slice part;
    size_t size = 0;
    char *to;

    if (sf_json_kind(v) == SF_JSON_NULL) {
        return SF_OK;
    }
    if (sf_json_kind(v) != SF_JSON_ARRAY) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST, "'%s' must be an array", name);
    }
    for (struct sf_json_iter it = sf_json_iter(v); sf_json_next(&it);) {
        if (!part_of(it.value, &part)) {
            return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_REQUEST,
                              "'%s' must hold strings or numbers", name);
        }
        size += encode_part(part, NULL) + 1;
    }
    to = sf_arena_alloc(arena, size + 1);
    if (to == NULL) {
        return SF_RAISE(err, SF_NOMEM, "request");
    }
    *ret = to;
    for (struct sf_json_iter it = sf_json_iter(v); sf_json_next(&it);) {
        (void)part_of(it.value, &part);
        to += encode_part(part, to);
        *to++ = ',';
    }
    to[size > 0 ? -1 : 0] = '\0';
    return SF_OK;
}

/* Most requests have two or three members: only those that are @given are looked up. */
static enum sf_code read_texts(const struct sf_json *body, uint64_t given, struct query_params *p,
                               struct sf_error *err)
{
    const struct {
        enum member member;
        const char **to;
    } texts[] = {{TABLE, &p->table},   {FROM, &p->from},     {TO, &p->to},
                 {PREFIX, &p->prefix}, {CURSOR, &p->cursor}, {AFTER, &p->after},
                 {FORMAT, &p->format}, {WHERE, &p->where},   {AS_OF, &p->as_of},
                 {SINCE, &p->since},   {FLOW, &p->flow}};
    enum sf_code code = SF_OK;

    for (size_t i = 0; code == SF_OK && i < SF_COUNT(texts); i++) {
        if ((given & BIT(texts[i].member)) != 0) {
            code = sf_json_read_text(body, member_names[texts[i].member], SF_JSON_OPTIONAL,
                                     texts[i].to, err);
        }
    }
    return code;
}

static enum sf_code read_numbers(const struct sf_json *body, uint64_t given, struct query_params *p,
                                 struct sf_error *err)
{
    int64_t major = 0;
    int64_t limit = 0;
    int64_t pages = 0;
    int64_t seconds = 0;
    int64_t window = 0;
    const struct {
        enum member member;
        struct sf_json_range range;
        int64_t *to;
    } numbers[] = {{MAJOR, {0, UINT32_MAX}, &major},
                   {LIMIT, {0, INT64_MAX}, &limit},
                   {PAGES, {0, INT64_MAX}, &pages},
                   {SECONDS, {1, QUERY_SECONDS_MAX}, &seconds},
                   {WINDOW, {1, FOLLOW_WINDOW_MAX}, &window}};
    enum sf_code code = SF_OK;

    for (size_t i = 0; code == SF_OK && i < SF_COUNT(numbers); i++) {
        if ((given & BIT(numbers[i].member)) != 0) {
            code = sf_json_read_int(body, member_names[numbers[i].member], SF_JSON_OPTIONAL,
                                    numbers[i].range, numbers[i].to, err);
        }
    }
    p->major = (uint32_t)major;
    p->limit = (uint64_t)limit;
    p->pages = (uint64_t)pages;
    p->seconds = (uint64_t)seconds;
    p->window = (uint32_t)window;
    return code;
}

static enum sf_code read_flags(const struct sf_json *body, uint64_t given, struct query_params *p,
                               struct sf_error *err)
{
    const struct {
        enum member member;
        bool *to;
    } flags[] = {
        {REVERSE, &p->reverse}, {COUNT, &p->count}, {FOLLOW, &p->follow}, {SNAPSHOT, &p->snapshot}};
    enum sf_code code = SF_OK;

    for (size_t i = 0; code == SF_OK && i < SF_COUNT(flags); i++) {
        if ((given & BIT(flags[i].member)) != 0) {
            code = sf_json_read_bool(body, member_names[flags[i].member], SF_JSON_OPTIONAL,
                                     flags[i].to, err);
        }
    }
    return code;
}

enum sf_code query_params_from_json(const struct sf_json *body, struct sf_arena *arena,
                                    struct query_params *ret, struct sf_error *err)
{
    struct query_params p = {0};
    uint64_t given = 0;
    enum sf_code code = sf_json_match_names(body, member_names, &given, err);

    code = code == SF_OK ? read_texts(body, given, &p, err) : code;
    code = code == SF_OK ? read_numbers(body, given, &p, err) : code;
    code = code == SF_OK ? read_flags(body, given, &p, err) : code;
    if (code == SF_OK && (given & BIT(KEY)) != 0) {
        code = read_list(body, KEY, arena, &p.key, err);
    }
    if (code == SF_OK && (given & BIT(SELECT)) != 0) {
        code = read_list(body, SELECT, arena, &p.select, err);
    }
    if (code == SF_OK) {
        p.is_plain_get = p.key != NULL && (given & ~(BIT(TABLE) | BIT(MAJOR) | BIT(KEY))) == 0;
        *ret = p;
    }
    return code;
}
