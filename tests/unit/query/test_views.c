/*
 * Views against a model: random rows, masks, filters, writes and deletes; every port of rows and
 * changes gives what a naive reference gives, which knows nothing but the texts of the values.
 */
#include "tests/lib/cmocka.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/str.h"
#include "common/sys/encoding.h"
#include "leaf/publish/message.h"
#include "leaf/query/params.h"
#include "leaf/store/as_of.h"
#include "proto/errors.h"
#include "tests/lib/policies.h"
#include "tests/lib/rows.h"
#include "tests/unit/query/query_world.h"

static const char product[] =
    "sheaf: product/v1\nproduct: sales/orders\nversion: 1.0.0\nowner: t\ndescription: d\ntables:\n"
    "  people:\n    kind: state\n    key: [id]\n    fields:\n"
    "      id: {number: 1, type: string, required: true}\n"
    "      email: {number: 2, type: string, class: pii}\n"
    "      city: {number: 3, type: string}\n"
    "      age: {number: 4, type: int32}\n"
    "      note: {number: 5, type: string, class: secret}\n";

enum field { ID, EMAIL, CITY, AGE, NOTE, FIELDS };
enum { KEYS = 9, WRITES = 60, TEXT = 48 };

static const char *const names[FIELDS] = {"id", "email", "city", "age", "note"};

/* --- the reference ---------------------------------------------------------------------------- */

/* One value as it stands in JSON without its quotes; "" and null differ. */
struct cell {
    bool null;
    char text[TEXT];
};

struct person {
    bool there; /* a delete is a person who is not */
    struct cell cells[FIELDS];
};

struct write {
    unsigned key;
    struct person person;
};

struct config {
    const char *masks[FIELDS]; /* NULL: no rule */
    unsigned filter;           /* of filters */
    bool columns;              /* the grant has id, city and age only */
};

static const char *const mask_menu[FIELDS][6] = {
    [ID] = {NULL, NULL, NULL, "hash", "redact", "omit"},
    [EMAIL] = {NULL, "keep_domain", "redact", "hash", "constant('x')", "\"null\""},
    [CITY] = {NULL, NULL, "redact", "keep_first(1)", "omit", "hash"},
    [AGE] = {NULL, NULL, NULL, "bucket(10)", "\"null\"", "omit"},
    [NOTE] = {NULL, NULL, "redact", "hash", "keep_last(2)", "\"null\""},
};

static int number(const char *text)
{
    uint64_t n = 0;

    assert_int_equal(sf_parse_u64(sf_slice_text(text), &n), SF_PARSE_OK);
    return (int)n;
}

static bool is_null(const struct person *p, enum field f)
{
    return p->cells[f].null;
}

static bool all(const struct person *p)
{
    (void)p;
    return true;
}

static bool is_old(const struct person *p)
{
    return !is_null(p, AGE) && number(p->cells[AGE].text) >= 30;
}

static bool is_near(const struct person *p)
{
    return !is_null(p, CITY) &&
           (strcmp(p->cells[CITY].text, "Oslo") == 0 || strcmp(p->cells[CITY].text, "Bergen") == 0);
}

static bool is_known(const struct person *p)
{
    return !is_null(p, EMAIL) && !is_null(p, AGE) && number(p->cells[AGE].text) < 50;
}

static bool is_first(const struct person *p)
{
    return strcmp(p->cells[ID].text, "k5") < 0;
}

static const struct {
    const char *text;
    bool (*holds)(const struct person *p);
} filters[] = {
    {NULL, all},
    {"age >= 30", is_old},
    {"city IN ('Oslo', 'Bergen') AND caller.domain = 'billing'", is_near},
    {"email IS NOT NULL AND age < 50", is_known},
    {"id < 'k5'", is_first},
};

static bool is_shown(const struct config *c, const struct person *p)
{
    return p->there && filters[c->filter].holds(p);
}

/* The mask that stands in force: without a rule, what is closed is omitted. */
static const char *mask_of(const struct config *c, enum field f)
{
    if (c->columns && (f == EMAIL || f == NOTE)) {
        return "omit";
    }
    if (c->masks[f] == NULL && (f == EMAIL || f == NOTE)) {
        return "omit";
    }
    return c->masks[f] == NULL ? "" : c->masks[f];
}

static bool is_hidden(const struct config *c, enum field f)
{
    return strcmp(mask_of(c, f), "omit") == 0;
}

/* As docs/reference/masks.md has it, under the key of billing. */
static void hash_text(const struct leaf_world *w, const char *text, char ret[TEXT])
{
    const struct sf_slice key_parts[] = {SF_LITERAL("sheaf mask v1"), sf_slice_of("", 1),
                                         SF_LITERAL("billing")};
    uint8_t key[SF_HASH256_SIZE];
    uint8_t hash[16];
    struct sf_hash h;

    sf_hash256_keyed(sf_seed_bytes(&w->domain).data, key_parts, 3, key);
    sf_hash_init_keyed(&h, 16, key);
    sf_hash_add(&h, SF_LITERAL("s"));
    sf_hash_add(&h, sf_slice_text(text));
    sf_hash_end(&h, hash, 16);
    sf_encode(SF_HEX, sf_slice_of(hash, 16), ret);
}

static struct cell seen(const struct leaf_world *w, const struct config *c, enum field f,
                        const struct cell *cell)
{
    const char *mask = mask_of(c, f);
    struct cell ret = *cell;
    const size_t n = strlen(cell->text);

    if (strcmp(mask, "constant('x')") == 0) {
        return (struct cell){.text = "x"};
    }
    if (cell->null || strcmp(mask, "\"null\"") == 0) {
        return (struct cell){.null = true};
    }
    if (strcmp(mask, "redact") == 0) {
        (void)snprintf(ret.text, TEXT, "***");
    } else if (strcmp(mask, "hash") == 0) {
        hash_text(w, cell->text, ret.text);
    } else if (strcmp(mask, "keep_domain") == 0) {
        (void)snprintf(ret.text, TEXT, "***%s", strchr(cell->text, '@'));
    } else if (strcmp(mask, "keep_first(1)") == 0) {
        (void)snprintf(ret.text, TEXT, "%c***", n > 1 ? cell->text[0] : '*');
    } else if (strcmp(mask, "keep_last(2)") == 0) {
        (void)snprintf(ret.text, TEXT, "***%s", n > 2 ? cell->text + n - 2 : "**");
    } else if (strcmp(mask, "bucket(10)") == 0) {
        (void)snprintf(ret.text, TEXT, "%d", number(cell->text) / 10 * 10);
    }
    return ret;
}

static void add_cell(const struct cell *cell, enum field f, struct sf_buf *out)
{
    if (cell->null) {
        sf_buf_text(out, "null");
    } else if (f == AGE) {
        sf_buf_text(out, cell->text);
    } else {
        sf_buf_printf(out, "\"%s\"", cell->text);
    }
}

/* @only: FIELDS for all that is seen. */
static void add_object(const struct leaf_world *w, const struct config *c, const struct person *p,
                       enum field only, struct sf_buf *out)
{
    const char *before = "{";

    for (enum field f = 0; f < FIELDS; f++) {
        struct cell cell = seen(w, c, f, &p->cells[f]);

        if (is_hidden(c, f) || (only != FIELDS && f != only)) {
            continue;
        }
        sf_buf_printf(out, "%s\"%s\":", before, names[f]);
        add_cell(&cell, f, out);
        before = ",";
    }
    sf_buf_text(out, before[0] == '{' ? "{}" : "}");
}

/* --- the world -------------------------------------------------------------------------------- */

struct fixture {
    struct leaf_world w;
    struct queries *queries;
    struct rows_random random;
    struct config config;
    struct write writes[WRITES];
    unsigned count;
    unsigned trimmed;
    uint64_t policy_version;

    struct query *query;
    struct sf_buf text; /* of all pages */
    char cursor[QUERY_CURSOR_MAX];
    bool ended;
    uint64_t rows;
    uint64_t examined;
    struct sf_error err;
    struct sf_buf wanted;
};

static const struct served_table *people(const struct fixture *f)
{
    return leaf_world_table(&f->w, "people");
}

static void setup(struct fixture *f, uint64_t seed)
{
    static const struct world_grant one = {.id = "G-1"};

    *f = (struct fixture){.random = {seed}};
    leaf_world_init(&f->w, seed);
    (void)leaf_world_add(&f->w, product);
    f->w.serving.mask_secret = &f->w.domain;
    leaf_world_grant(&f->w, &(struct world_bundle){.version = 1, .grants = &one, .grant_count = 1});
    f->queries = world_queries(&f->w);
}

static void teardown(struct fixture *f)
{
    sf_buf_done(&f->text);
    sf_buf_done(&f->wanted);
    world_queries_done(&f->w, f->queries);
}

static void choose_config(struct fixture *f)
{
    struct sf_buf text = {0};

    for (enum field i = 0; i < FIELDS; i++) {
        f->config.masks[i] = mask_menu[i][rows_below(&f->random, 6)];
        if (f->config.masks[i] != NULL) {
            sf_buf_printf(&text,
                          "---\nsheaf: policy/v1\nname: mask-%s\nmatch: {field: %s}\nmask: %s\n",
                          names[i], names[i], f->config.masks[i]);
        }
    }
    f->config.filter = (unsigned)rows_below(&f->random, SF_COUNT(filters));
    if (filters[f->config.filter].text != NULL) {
        sf_buf_printf(&text, "---\nsheaf: policy/v1\nname: rows\nmatch: all\nfilter: \"%s\"\n",
                      filters[f->config.filter].text);
    }
    f->config.columns = rows_below(&f->random, 4) == 0;
    leaf_world_policies(&f->w, text.size == 0 ? "" : sf_buf_cstr(&text));
    sf_buf_done(&text);
}

static void random_person(struct rows_random *r, unsigned key, struct person *ret)
{
    static const char *const cities[] = {"Oslo", "Bergen", "Malmo", "O"};

    *ret = (struct person){.there = rows_below(r, 4) != 0};
    (void)snprintf(ret->cells[ID].text, TEXT, "k%u", key);
    ret->cells[EMAIL].null = rows_below(r, 4) == 0;
    (void)snprintf(ret->cells[EMAIL].text, TEXT, "canary%u@x%u.no", key,
                   (unsigned)rows_below(r, 3));
    ret->cells[CITY].null = rows_below(r, 6) == 0;
    (void)snprintf(ret->cells[CITY].text, TEXT, "%s", cities[rows_below(r, 4)]);
    ret->cells[AGE].null = rows_below(r, 6) == 0;
    (void)snprintf(ret->cells[AGE].text, TEXT, "%u", 20 + (unsigned)rows_below(r, 40));
    ret->cells[NOTE].null = rows_below(r, 3) == 0;
    (void)snprintf(ret->cells[NOTE].text, TEXT, "%u", (unsigned)rows_below(r, 2000));
}

static bool exists(const struct fixture *f, unsigned key, unsigned at)
{
    while (at-- > 0) {
        if (f->writes[at].key == key) {
            return f->writes[at].person.there;
        }
    }
    return false;
}

static void write_some(struct fixture *f, unsigned count)
{
    struct sf_buf line = {0};

    for (unsigned i = 0; i < count && f->count < WRITES;) {
        struct write *w = &f->writes[f->count];
        const char *before = "{";

        w->key = (unsigned)rows_below(&f->random, KEYS);
        random_person(&f->random, w->key, &w->person);
        if (!w->person.there && !exists(f, w->key, f->count)) {
            continue; /* A delete of nothing is no change. */
        }
        sf_buf_clear(&line);
        sf_buf_printf(&line, "{\"op\":\"%s\",\"row\":", w->person.there ? "upsert" : "delete");
        for (enum field k = 0; k < (w->person.there ? FIELDS : 1); k++) {
            sf_buf_printf(&line, "%s\"%s\":", before, names[k]);
            add_cell(&w->person.cells[k], k, &line);
            before = ",";
        }
        sf_buf_text(&line, "}}\n");
        leaf_world_write(&f->w, people(f), sf_buf_cstr(&line));
        f->count++;
        i++;
    }
    sf_buf_done(&line);
}

/* The person of @key behind the first @at writes, or NULL. */
static const struct person *person_at(const struct fixture *f, unsigned key, unsigned at)
{
    while (at-- > 0) {
        if (f->writes[at].key == key) {
            return f->writes[at].person.there ? &f->writes[at].person : NULL;
        }
    }
    return NULL;
}

/* --- asking ----------------------------------------------------------------------------------- */

static void on_page(void *data, const struct query_page *page, const struct sf_error *err)
{
    struct fixture *f = data;

    if (err != NULL) {
        f->err = *err;
        f->ended = true;
        return;
    }
    sf_buf_slice(&f->text, page->data);
    f->examined = page->examined;
    f->rows += page->rows;
    f->ended = page->is_last;
    (void)snprintf(f->cursor, sizeof(f->cursor), "%s", page->cursor);
}

static enum sf_code run(struct fixture *f, enum query_op op, struct query_params p, bool marked)
{
    static const char *const columns[] = {"id", "city", "age"};
    struct grant grant = f->w.serving.grants->grants[0];
    const struct serving_right right = {.serving = &f->w.serving,
                                        .product =
                                            product_set_find(&f->w.serving.products, "orders", 1),
                                        .grant = &grant};
    struct query_request request;

    if (f->config.columns) {
        grant.columns = columns;
        grant.column_count = 3;
    }
    f->err = (struct sf_error){0};
    if (query_request_build(&p, op, &right, world_seal_key, &request, &f->err) != SF_OK) {
        return f->err.code;
    }
    request.grant_id[0] = '\0'; /* One that is of this test only is not asked for again. */
    request.marked = marked;
    f->ended = false;
    f->rows = 0;
    assert_int_equal(query_start(f->queries, &request, on_page, f, &f->query, &f->err), SF_OK);
    for (;;) {
        rt_sim_run(&f->w.stores.sim);
        if (f->ended) {
            break;
        }
        query_next(f->query);
    }
    query_close(SF_TAKE(f->query));
    return f->err.code;
}

#define ASK(op, ...)                                                                               \
    (sf_buf_clear(&f->text), run(f, (op), (struct query_params){__VA_ARGS__}, false))

/* Takes out "ts":"...", of every line. */
static void drop_times(struct sf_buf *text)
{
    char *at;

    sf_buf_byte(text, '\0');
    text->size--;
    at = (char *)text->data;
    while (at != NULL && (at = strstr(at, "\"ts\":\"")) != NULL) {
        char *end = strstr(at, "Z\",") + 3;

        memmove(at, end, strlen(end) + 1);
        text->size -= (size_t)(end - at);
    }
}

static void assert_same(struct fixture *f, const char *port)
{
    const char *got = f->text.size == 0 ? "" : sf_buf_cstr(&f->text);
    const char *wanted = f->wanted.size == 0 ? "" : sf_buf_cstr(&f->wanted);

    if (strcmp(got, wanted) != 0) {
        fail_msg("%s: masks %s %s %s %s %s, filter %u, columns %d\ngot:\n%s\nwanted:\n%s", port,
                 mask_of(&f->config, ID), mask_of(&f->config, EMAIL), mask_of(&f->config, CITY),
                 mask_of(&f->config, AGE), mask_of(&f->config, NOTE), f->config.filter,
                 f->config.columns, got, wanted);
    }
    sf_buf_clear(&f->wanted);
}

/* --- the ports -------------------------------------------------------------------------------- */

static void want_rows(struct fixture *f, unsigned at, enum field only, bool reverse)
{
    for (unsigned i = 0; i < KEYS; i++) {
        const struct person *p = person_at(f, reverse ? KEYS - 1 - i : i, at);

        if (p != NULL && is_shown(&f->config, p)) {
            add_object(&f->w, &f->config, p, only, &f->wanted);
            sf_buf_byte(&f->wanted, '\n');
        }
    }
}

/* --- orders ----------------------------------------------------------------------------------- */

enum { LINES = KEYS + 1 };

/* The lines of @text, which are ended by zeros in it; returns how many. */
static size_t lines_of(struct sf_buf *text, char *ret[LINES])
{
    size_t count = 0;

    for (size_t i = 0, begin = 0; i < text->size; i++) {
        if (text->data[i] == '\n') {
            assert_true(count < LINES);
            text->data[i] = '\0';
            ret[count++] = (char *)text->data + begin;
            begin = i + 1;
        }
    }
    return count;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines of @text, sorted. */
static void sort_lines(struct sf_buf *text)
{
    struct sf_buf sorted = {0};
    char *lines[LINES];
    const size_t count = lines_of(text, lines);

    qsort(lines, count, sizeof(lines[0]), by_text);
    for (size_t i = 0; i < count; i++) {
        sf_buf_printf(&sorted, "%s\n", lines[i]);
    }
    sf_buf_done(text);
    *text = sorted;
}

/* Rows come in the order of their keys to whoever sees these; to others in one that is the same
 * for all requests, and nothing else is asked of it here. */
static void assert_rows(struct fixture *f, const char *port)
{
    if (*mask_of(&f->config, ID) != '\0') {
        sort_lines(&f->text);
        sort_lines(&f->wanted);
    }
    assert_same(f, port);
}

/* That the text is @before from its end, or as it is. */
static void assert_order(struct fixture *f, const struct sf_buf *before, bool reverse)
{
    struct sf_buf copies[2] = {{0}, {0}};
    char *one[LINES];
    char *two[LINES];
    size_t count;

    sf_buf_slice(&copies[0], sf_buf_view(before));
    sf_buf_slice(&copies[1], sf_buf_view(&f->text));
    count = lines_of(&copies[0], one);
    assert_int_equal(lines_of(&copies[1], two), count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(two[reverse ? count - 1 - i : i], one[i]);
    }
    sf_buf_done(&copies[0]);
    sf_buf_done(&copies[1]);
}

static void check_scans(struct fixture *f)
{
    struct sf_buf first = {0};
    size_t cursor_size = 0;
    char as_of[32];
    unsigned at;

    want_rows(f, f->count, FIELDS, false);
    assert_int_equal(ASK(QUERY_SCAN), SF_OK);
    sf_buf_slice(&first, sf_buf_view(&f->text));
    assert_rows(f, "scan");
    assert_int_equal(f->examined, f->rows); /* of hidden rows not even the number */
    want_rows(f, f->count, FIELDS, true);
    assert_int_equal(ASK(QUERY_SCAN, .reverse = true), SF_OK);
    assert_order(f, &first, true);
    assert_rows(f, "reverse");
    want_rows(f, f->count, FIELDS, false);
    assert_int_equal(ASK(QUERY_SCAN, .limit = 2), SF_OK);
    while (*f->cursor != '\0') {
        /* Keys are of one length or two; a cursor is of one length when they are not seen. */
        assert_true(cursor_size == 0 || *mask_of(&f->config, ID) == '\0' ||
                    strlen(f->cursor) == cursor_size);
        cursor_size = strlen(f->cursor);
        assert_int_equal(
            run(f, QUERY_SCAN, (struct query_params){.cursor = f->cursor, .limit = 2}, false),
            SF_OK);
    }
    assert_order(f, &first, false);
    assert_rows(f, "cursor");
    sf_buf_done(&first);
    at = f->trimmed + (unsigned)rows_below(&f->random, f->count - f->trimmed + 1);
    (void)snprintf(as_of, sizeof(as_of), "1:%u", at);
    want_rows(f, at, FIELDS, false);
    assert_int_equal(ASK(QUERY_SCAN, .as_of = as_of), SF_OK);
    assert_rows(f, "as_of");
    for (enum field i = 0; i < FIELDS; i++) {
        const enum sf_code code = ASK(QUERY_SCAN, .select = names[i]);

        if (is_hidden(&f->config, i)) {
            assert_int_equal(code, SF_INVALID);
            assert_int_equal(f->err.number, SHEAF_E_FIELD_UNKNOWN);
        } else {
            assert_int_equal(code, SF_OK);
            want_rows(f, f->count, i, false);
            assert_rows(f, "select");
        }
    }
}

static bool meets(const struct cell *cell, enum field field, const char *op, const char *value)
{
    int order;

    if (strcmp(op, "IS NULL") == 0) {
        return cell->null;
    }
    if (cell->null) {
        return false;
    }
    order = field == AGE ? number(cell->text) - number(value) : strcmp(cell->text, value);
    return strcmp(op, "=") == 0 ? order == 0 : order < 0;
}

/* Filters of the consumer's go by what is seen. */
static void check_where(struct fixture *f)
{
    static const char *const values[FIELDS] = {"k3", "***@x1.no", "O***", "30", "***"};
    static const char *const ops[] = {"=", "<", "IS NULL"};

    for (enum field i = 0; i < FIELDS; i++) {
        const char *op = ops[rows_below(&f->random, 3)];
        char where[64];
        char number[32];
        unsigned count = 0;
        enum sf_code code;

        (void)snprintf(where, sizeof(where), "%s %s %s%s%s", names[i], op,
                       op[0] == 'I' || i == AGE ? "" : "'", op[0] == 'I' ? "" : values[i],
                       op[0] == 'I' || i == AGE ? "" : "'");
        code = ASK(QUERY_SCAN, .where = where);
        if (is_hidden(&f->config, i)) {
            assert_int_equal(code, SF_INVALID);
            assert_int_equal(f->err.number, SHEAF_E_BAD_REFERENCE);
            continue;
        }
        assert_int_equal(code, SF_OK);
        for (unsigned k = 0; k < KEYS; k++) {
            const struct person *p = person_at(f, k, f->count);
            struct cell cell;

            if (p == NULL || !is_shown(&f->config, p)) {
                continue;
            }
            cell = seen(&f->w, &f->config, i, &p->cells[i]);
            if (meets(&cell, i, op, values[i])) {
                add_object(&f->w, &f->config, p, FIELDS, &f->wanted);
                sf_buf_byte(&f->wanted, '\n');
                count++;
            }
        }
        assert_rows(f, where);
        (void)snprintf(number, sizeof(number), "{\"count\":%u}\n", count);
        sf_buf_text(&f->wanted, number);
        assert_int_equal(ASK(QUERY_SCAN, .where = where, .count = true), SF_OK);
        assert_same(f, "count where");
    }
}

static void check_count_and_get(struct fixture *f)
{
    unsigned count = 0;

    for (unsigned k = 0; k < KEYS; k++) {
        const struct person *p = person_at(f, k, f->count);
        char key[8];
        enum sf_code code;

        (void)snprintf(key, sizeof(key), "k%u", k);
        code = ASK(QUERY_GET, .key = key);
        if (*mask_of(&f->config, ID) != '\0') {
            assert_int_equal(code, SF_DENIED); /* Whether there is such a row or not. */
            assert_string_equal(f->err.text,
                                "'key': you do not see the key of table 'people', or not as it is; "
                                "'where' goes by what you see");
        } else if (p == NULL || !is_shown(&f->config, p)) {
            assert_int_equal(code, SF_ABSENT);
            assert_string_equal(f->err.text, "table 'people'");
        } else {
            assert_int_equal(code, SF_OK);
            add_object(&f->w, &f->config, p, FIELDS, &f->wanted);
            sf_buf_byte(&f->wanted, '\n');
            assert_same(f, "get");
        }
        count += p != NULL && is_shown(&f->config, p);
    }
    sf_buf_printf(&f->wanted, "{\"count\":%u}\n", count);
    assert_int_equal(ASK(QUERY_SCAN, .count = true), SF_OK);
    assert_same(f, "count");
}

/* What the writes behind @after are in the view. */
static void want_changes(struct fixture *f, unsigned after)
{
    for (unsigned i = after; i < f->count; i++) {
        const struct write *w = &f->writes[i];
        const struct person *before = person_at(f, w->key, i);
        const bool is = is_shown(&f->config, &w->person);
        const bool was = before != NULL && is_shown(&f->config, before);

        if (!is && !was && (filters[f->config.filter].text != NULL || before == NULL)) {
            continue;
        }
        sf_buf_printf(&f->wanted, "{\"seq\":%u,\"op\":\"%s\",\"key\":", i + 1,
                      is ? "upsert" : "delete");
        add_object(&f->w, &f->config, &w->person, ID, &f->wanted);
        if (is) {
            sf_buf_text(&f->wanted, ",\"row\":");
            add_object(&f->w, &f->config, &w->person, FIELDS, &f->wanted);
        }
        sf_buf_text(&f->wanted, "}\n");
    }
}

static void check_changes(struct fixture *f)
{
    const unsigned after = f->trimmed + (unsigned)rows_below(&f->random, f->count - f->trimmed + 1);
    char position[32];

    (void)snprintf(position, sizeof(position), "1:%u", after);
    want_changes(f, after);
    assert_int_equal(ASK(QUERY_CHANGES, .after = position), SF_OK);
    drop_times(&f->text);
    assert_same(f, "changes");
    (void)snprintf(position, sizeof(position), "1:%u", f->count);
    assert_string_equal(f->cursor, position);
    for (unsigned k = 0; k < KEYS; k++) {
        const struct person *p = person_at(f, k, f->count);

        if (p != NULL && is_shown(&f->config, p)) {
            unsigned seq = f->count;

            while (f->writes[seq - 1].key != k) {
                seq--;
            }
            sf_buf_printf(&f->wanted, "{\"seq\":%u,\"op\":\"snapshot\",\"key\":", seq);
            add_object(&f->w, &f->config, p, ID, &f->wanted);
            sf_buf_text(&f->wanted, ",\"row\":");
            add_object(&f->w, &f->config, p, FIELDS, &f->wanted);
            sf_buf_text(&f->wanted, "}\n");
        }
    }
    sf_buf_clear(&f->text);
    assert_int_equal(run(f, QUERY_SCAN, (struct query_params){0}, true), SF_OK);
    assert_rows(f, "snapshot");
}

/* What the feed of the audience sends: the same changes, without a gap that is none. */
static void check_feed(struct fixture *f)
{
    static const char *const columns[] = {"id", "city", "age"};
    struct grant grant = f->w.serving.grants->grants[0];
    struct served_view *view = NULL;
    struct message_walk walk = {0};
    struct message m;
    uint64_t at = f->trimmed;
    uint64_t prev = f->trimmed;

    if (f->config.columns) {
        grant.columns = columns;
        grant.column_count = 3;
    }
    assert_int_equal(serving_view(&f->w.serving, people(f), &grant, NULL, &view, NULL), SF_OK);
    const struct message_spec spec = {
        .lane = {.domain = "sales", .product = "orders", .table = "people", .major = 1},
        .audience = "aud1",
        .subject = "dp.sales.orders.people.v1.0.aud1",
        .contract = "1.0.0",
        .policy = "7",
        .view = view,
        .leaf_key = &f->w.leaf,
    };

    message_init(&m);
    sf_buf_clear(&f->text);
    while (at < f->count) {
        if (!message_walk_goes_on(&walk, at)) {
            assert_int_equal(
                message_walk_begin(&walk, &spec, f->w.stores.store, people(f)->lane, at, NULL),
                SF_OK);
        }
        assert_int_equal(message_fill(&m, &spec, &walk, prev, NULL), SF_OK);
        assert_true(m.looked > at && m.looked <= f->count && m.last <= m.looked);
        sf_buf_slice(&f->text, sf_buf_view(&m.body));
        if (m.first != 0) {
            assert_true(m.prev == prev && m.first > prev && m.last >= m.first);
            prev = m.last;
        }
        at = m.looked;
    }
    message_walk_end(&walk);
    message_done(&m);
    served_view_unref(view);
    drop_times(&f->text);
    want_changes(f, f->trimmed);
    assert_same(f, "feed");
}

static void every_port_gives_what_the_reference_gives(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct fixture f;

        setup(&f, seed);
        while (f.count < WRITES) {
            write_some(&f, 12);
            if (rows_below(&f.random, 4) == 0) {
                store_world_trim(&f.w.stores, people(&f)->lane);
                f.trimmed = f.count;
                write_some(&f, 6);
            }
            for (unsigned i = 0; i < 4; i++) {
                choose_config(&f);
                check_scans(&f);
                check_where(&f);
                check_count_and_get(&f);
                check_changes(&f);
                check_feed(&f);
            }
        }
        teardown(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_port_gives_what_the_reference_gives),
    };

    return cmocka_run_group_tests_name("views", tests, NULL, NULL);
}
