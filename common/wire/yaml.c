#include "common/wire/yaml.h"

#include <libfyaml.h>

#include "common/base/map.h"
#include "common/base/str.h"
#include "common/base/utf8.h"
#include "proto/errors.h"

/*
 * One pass over libfyaml's events. An open list or map is a level; a scalar inside a map is first
 * a key, then a value:
 *
 *     level.key == NULL --scalar--> key is set --any node--> child added, key is NULL again
 */
struct level {
    struct sf_yaml_node *node;
    struct sf_yaml_node **link; /* where the next child is hung */
    const char *key;            /* of the value that comes next */
    struct sf_place key_place;
    bool key_refused;   /* the value is read, but not hung */
    struct sf_map keys; /* seen so far, for maps */
};

struct reader {
    struct sf_arena *arena;
    struct sf_issues *issues;
    struct sf_yaml_node **document; /* where the next document is hung */
    struct level levels[SF_YAML_DEPTH_MAX];
    size_t depth;
    size_t node_count;
    struct fy_token_iter *chunks;
    struct sf_buf text; /* of the scalar at hand */
    bool stopped;       /* the text was not read to its end */
    bool failed;        /* out of memory */
};

static const struct sf_place whole_file = {0};

static void stop_without_memory(struct reader *r)
{
    r->stopped = true;
    r->failed = true;
}

static bool is_quoted(struct fy_event *event)
{
    struct fy_token *token = event->type == FYET_SCALAR ? event->scalar.value : NULL;
    enum fy_scalar_style style = token == NULL ? FYSS_ANY : fy_token_scalar_style(token);

    return style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED;
}

/* Lines and columns of libfyaml count from 0. */
static struct sf_place place_of(struct fy_event *event, struct sf_place fallback)
{
    const struct fy_mark *start = fy_event_start_mark(event);
    const struct fy_mark *end = fy_event_end_mark(event);
    struct sf_place place = fallback;

    if (start != NULL) {
        place.line = (uint32_t)start->line + 1;
        place.column = (uint32_t)start->column + 1;
        place.width = 1;
        if (end != NULL && end->line == start->line && end->column > start->column) {
            place.width = (uint32_t)(end->column - start->column);
        }
        if (is_quoted(event)) {
            place.column--; /* libfyaml's marks are inside the quotes */
            place.width += end != NULL && end->line == start->line ? 2 : 0;
        }
    }
    return place;
}

static struct level *top(struct reader *r)
{
    return r->depth == 0 ? NULL : &r->levels[r->depth - 1];
}

/* Hangs a node into what is open; the root is a document of its own. */
static void hang(struct reader *r, struct sf_yaml_node *node)
{
    struct level *level = top(r);

    if (level == NULL) {
        *r->document = node;
        r->document = &node->next;
        return;
    }
    node->key = level->key;
    node->key_place = level->key_place;
    level->key = NULL;
    if (level->key_refused) {
        level->key_refused = false;
        return;
    }
    *level->link = node;
    level->link = &node->next;
    level->node->count++;
}

static struct sf_yaml_node *new_node(struct reader *r, struct fy_event *event,
                                     enum sf_yaml_kind kind)
{
    struct level *level = top(r);
    struct sf_place place = place_of(event, level != NULL ? level->key_place : whole_file);
    struct sf_yaml_node *node;

    if (r->node_count++ == SF_YAML_NODES_MAX) {
        sf_issues_error(r->issues, place, SHEAF_E_BAD_VALUE, "more than %d values in one file",
                        SF_YAML_NODES_MAX);
        r->stopped = true;
        return NULL;
    }
    node = sf_arena_calloc(r->arena, 1, sizeof(*node));
    if (node == NULL) {
        stop_without_memory(r);
        return NULL;
    }
    node->kind = kind;
    node->place = place;
    return node;
}

static bool is_key_next(struct reader *r)
{
    struct level *level = top(r);

    return level != NULL && level->node->kind == SF_YAML_MAP && level->key == NULL;
}

static void refuse_key(struct reader *r, struct sf_place place)
{
    struct level *level = top(r);

    sf_issues_error(r->issues, place, SHEAF_E_YAML_SYNTAX, "a key must be plain text");
    level->key = "";
    level->key_place = place;
    level->key_refused = true;
}

static void take_key(struct reader *r, struct fy_event *event, struct sf_slice text)
{
    struct level *level = top(r);
    struct sf_place place = place_of(event, level->node->place);

    level->key_place = place;
    level->key =
        sf_arena_strndup(r->arena, text.size == 0 ? "" : (const char *)text.data, text.size);
    if (level->key == NULL) {
        stop_without_memory(r);
        return;
    }
    if (memchr(level->key, '\0', text.size) != NULL || text.size == 0) {
        refuse_key(r, place);
        return;
    }
    if (text.size == 2 && memcmp(level->key, "<<", 2) == 0) {
        sf_issues_error(r->issues, place, SHEAF_E_YAML_SYNTAX, "merge keys are not allowed");
        level->key_refused = true;
        return;
    }
    if (sf_map_find(&level->keys, text) != NULL) {
        sf_issues_error(r->issues, place, SHEAF_E_DUPLICATE_KEY, "duplicate key '%s'", level->key);
        level->key_refused = true;
        return;
    }
    if (sf_map_put(&level->keys, text, level->node) != SF_OK) {
        stop_without_memory(r);
    }
}

/*
 * The text of a scalar into r->text. Not by fy_token_get_text(): in libfyaml 0.7.12 it returns
 * bytes nobody wrote for folded text whose lines are indented further behind an empty one.
 */
static bool read_scalar(struct reader *r, struct fy_token *token)
{
    const struct fy_iter_chunk *chunk = NULL;
    enum fy_scalar_style style;
    int failed = 0;

    sf_buf_clear(&r->text);
    if (token == NULL) {
        return true;
    }
    fy_token_iter_start(token, r->chunks);
    while ((chunk = fy_token_iter_chunk_next(r->chunks, chunk, &failed)) != NULL) {
        sf_buf_append(&r->text, chunk->str, chunk->len);
    }
    fy_token_iter_finish(r->chunks);
    style = fy_token_scalar_style(token);
    if (failed != 0 && r->text.size == 0 && (style == FYSS_LITERAL || style == FYSS_FOLDED)) {
        failed = 0; /* what an empty block at the end of the file gives */
    }
    return failed == 0 && r->text.failed == SF_OK;
}

static void on_scalar(struct reader *r, struct fy_event *event)
{
    struct fy_token *token = event->scalar.value;
    struct sf_slice text;
    struct sf_yaml_node *node;
    char *copy;

    if (!read_scalar(r, token)) {
        stop_without_memory(r);
        return;
    }
    text = sf_buf_view(&r->text);
    if (is_key_next(r)) {
        take_key(r, event, text);
        return;
    }
    node = new_node(r, event, SF_YAML_SCALAR);
    if (node == NULL) {
        return;
    }
    copy = sf_arena_strndup(r->arena, text.size == 0 ? "" : (const char *)text.data, text.size);
    if (copy == NULL) {
        stop_without_memory(r);
        return;
    }
    node->text = sf_slice_of(copy, text.size);
    node->plain = token == NULL || fy_token_scalar_style(token) == FYSS_PLAIN;
    if (node->plain && text.size == 0 && top(r) != NULL) {
        node->place =
            top(r)->key_place; /* libfyaml 0.8 marks what is behind the key, 0.7 nothing */
    }
    hang(r, node);
}

static void on_start(struct reader *r, struct fy_event *event, enum sf_yaml_kind kind)
{
    struct sf_yaml_node *node;
    struct level *level;

    if (is_key_next(r)) {
        /* A list or map as a key: what follows cannot be told apart, so reading ends here. */
        refuse_key(r, place_of(event, top(r)->node->place));
        r->stopped = true;
        return;
    }
    node = new_node(r, event, kind);
    if (node == NULL) {
        return;
    }
    if (r->depth == SF_YAML_DEPTH_MAX) {
        sf_issues_error(r->issues, node->place, SHEAF_E_YAML_SYNTAX,
                        "lists and maps are nested deeper than %d", SF_YAML_DEPTH_MAX);
        r->stopped = true;
        return;
    }
    hang(r, node);
    level = &r->levels[r->depth++];
    *level = (struct level){.node = node, .link = &node->first, .key_place = node->place};
}

static void on_end(struct reader *r)
{
    sf_map_done(&top(r)->keys);
    r->depth--;
}

static void refuse_decoration(struct reader *r, struct fy_event *event, const char *what)
{
    sf_issues_error(r->issues, place_of(event, whole_file), SHEAF_E_YAML_SYNTAX,
                    "%s are not allowed", what);
}

/* Anchors and tags change what a text means at another place than where it stands. */
static void check_decoration(struct reader *r, struct fy_event *event, struct fy_token *anchor,
                             struct fy_token *tag)
{
    if (anchor != NULL) {
        refuse_decoration(r, event, "anchors");
    }
    if (tag != NULL) {
        refuse_decoration(r, event, "tags");
    }
}

static void on_event(struct reader *r, struct fy_event *event)
{
    switch (event->type) {
    case FYET_SCALAR:
        check_decoration(r, event, event->scalar.anchor, event->scalar.tag);
        on_scalar(r, event);
        break;
    case FYET_SEQUENCE_START:
        check_decoration(r, event, event->sequence_start.anchor, event->sequence_start.tag);
        on_start(r, event, SF_YAML_LIST);
        break;
    case FYET_MAPPING_START:
        check_decoration(r, event, event->mapping_start.anchor, event->mapping_start.tag);
        on_start(r, event, SF_YAML_MAP);
        break;
    case FYET_SEQUENCE_END:
    case FYET_MAPPING_END:
        on_end(r);
        break;
    case FYET_ALIAS:
        refuse_decoration(r, event, "aliases");
        r->stopped = true;
        break;
    case FYET_NONE:
    case FYET_STREAM_START:
    case FYET_STREAM_END:
    case FYET_DOCUMENT_START:
    case FYET_DOCUMENT_END:
        break;
    }
}

/* The first thing libfyaml complained about; what it says afterwards follows from it. */
static void report_syntax(struct reader *r, struct fy_diag *diag)
{
    void *at = NULL;
    struct fy_diag_error *error = fy_diag_errors_iterate(diag, &at);
    struct sf_place place = {0};

    if (error == NULL || error->line < 0) {
        sf_issues_error(r->issues, place, SHEAF_E_YAML_SYNTAX, "not valid YAML");
        return;
    }
    place = (struct sf_place){(uint32_t)error->line, (uint32_t)error->column, 1};
    sf_issues_error(r->issues, place, SHEAF_E_YAML_SYNTAX, "%s", error->msg);
}

/* Why the first character of @rest may not stand in this @column; NULL when it may. */
static const char *refusal(struct sf_slice rest, uint32_t column)
{
    uint8_t c = rest.data[0];

    if (c == '%' && column == 1) {
        /* They could change the version of YAML, and libfyaml's time is quadratic in their length.
         */
        return "directives are not allowed";
    }

    if (sf_utf8_char_size(rest) == 0) {
        return "not valid UTF-8";
    }
    if (c == '\r') {
        /* YAML would end a line here, editors and we would not. */
        return rest.size > 1 && rest.data[1] == '\n' ? NULL : "a line ends with CR alone";
    }
    return c == 0x7f || (c < ' ' && c != '\t' && c != '\n') ? "control characters are not allowed"
                                                            : NULL;
}

static bool check_text(struct sf_issues *issues)
{
    struct sf_place place = {.line = 1, .column = 1, .width = 1};
    struct sf_slice rest = issues->source;

    if (rest.size > SF_YAML_BYTES_MAX) {
        sf_issues_error(issues, whole_file, SHEAF_E_YAML_SYNTAX, "the file is larger than 1 MiB");
        return false;
    }
    while (rest.size > 0) {
        const char *why = refusal(rest, place.column);
        size_t size;

        if (why != NULL) {
            sf_issues_error(issues, place, SHEAF_E_YAML_SYNTAX, "%s", why);
            return false;
        }
        place.column = rest.data[0] == '\n' ? 1 : place.column + 1;
        place.line += rest.data[0] == '\n';
        size = sf_utf8_char_size(rest);
        rest = sf_slice_of(rest.data + size, rest.size - size);
    }
    return true;
}

static void read_events(struct reader *r, struct fy_parser *parser, struct fy_diag *diag)
{
    while (!r->stopped) {
        struct fy_event *event = fy_parser_parse(parser);

        if (event == NULL) {
            break;
        }
        on_event(r, event);
        fy_parser_event_free(parser, event);
    }
    if (!r->stopped && fy_parser_get_stream_error(parser)) {
        report_syntax(r, diag);
        r->stopped = true;
    }
    while (r->depth > 0) {
        on_end(r);
    }
}

/* Some complaints are printed although they are collected: nobody may write to our stderr. */
static void discard(struct fy_diag *diag, void *user, const char *text, size_t size)
{
    (void)diag;
    (void)user;
    (void)text;
    (void)size;
}

static bool read_text(struct reader *r)
{
    struct fy_diag_cfg diag_cfg;
    struct fy_parse_cfg cfg = {0};
    struct fy_diag *diag;
    struct fy_parser *parser;
    bool started;

    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    diag_cfg.output_fn = discard;
    diag = fy_diag_create(&diag_cfg);
    if (diag == NULL) {
        return false;
    }
    fy_diag_set_collect_errors(diag, true);
    cfg.flags = FYPCF_QUIET | FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE |
                FYPCF_ALLOW_DUPLICATE_KEYS; /* we find them, with a place */
    cfg.diag = diag;
    parser = fy_parser_create(&cfg);
    r->chunks = fy_token_iter_create(NULL);
    started = parser != NULL && r->chunks != NULL &&
              fy_parser_set_string(parser, (const char *)r->issues->source.data,
                                   r->issues->source.size) == 0;
    if (started) {
        read_events(r, parser, diag);
    }
    fy_token_iter_destroy(r->chunks);
    fy_parser_destroy(parser);
    fy_diag_destroy(diag);
    sf_buf_done(&r->text);
    return started && !r->failed;
}

enum sf_code sf_yaml_read(struct sf_arena *arena, struct sf_issues *issues,
                          struct sf_yaml_node **ret, struct sf_error *err)
{
    struct sf_yaml_node *first = NULL;
    struct reader r = {.arena = arena, .issues = issues, .document = &first};

    if (!check_text(issues)) {
        return sf_issues_check(issues, err);
    }
    if (issues->source.size > 0 && !read_text(&r)) {
        return SF_RAISE(err, SF_NOMEM, "%s: out of memory while reading YAML", issues->file);
    }
    if (r.stopped) {
        return sf_issues_check(issues, err);
    }
    *ret = first;
    return SF_OK;
}

const struct sf_yaml_node *sf_yaml_get(const struct sf_yaml_node *map, const char *key)
{
    for (const struct sf_yaml_node *n = map->first; n != NULL; n = n->next) {
        if (strcmp(n->key, key) == 0) {
            return n;
        }
    }
    return NULL;
}

bool sf_yaml_is_null(const struct sf_yaml_node *n)
{
    return n->kind == SF_YAML_SCALAR && n->plain &&
           (n->text.size == 0 || sf_slice_equal(n->text, SF_LITERAL("~")) ||
            sf_slice_equal(n->text, SF_LITERAL("null")));
}

static const char *kind_text(const struct sf_yaml_node *n)
{
    if (sf_yaml_is_null(n)) {
        return "nothing";
    }
    switch (n->kind) {
    case SF_YAML_SCALAR:
        return "a single value";
    case SF_YAML_LIST:
        return "a list";
    case SF_YAML_MAP:
        return "a map";
    }
    return "";
}

bool sf_yaml_expect(struct sf_issues *issues, const struct sf_yaml_node *n, enum sf_yaml_kind kind,
                    const char *what)
{
    static const char *const wanted[] = {"a single value", "a list", "a map"};

    if (n->kind == kind && !sf_yaml_is_null(n)) {
        return true;
    }
    sf_issues_error(issues, n->place, SHEAF_E_BAD_VALUE, "%s must be %s, not %s", what,
                    wanted[kind], kind_text(n));
    return false;
}

bool sf_yaml_bool(struct sf_issues *issues, const struct sf_yaml_node *n, const char *what,
                  bool *ret)
{
    bool yes = n->kind == SF_YAML_SCALAR && n->plain && sf_slice_equal(n->text, SF_LITERAL("true"));
    bool no = n->kind == SF_YAML_SCALAR && n->plain && sf_slice_equal(n->text, SF_LITERAL("false"));

    if (!yes && !no) {
        sf_issues_error(issues, n->place, SHEAF_E_BAD_VALUE, "%s must be true or false", what);
        return false;
    }
    *ret = yes;
    return true;
}

bool sf_yaml_u32(struct sf_issues *issues, const struct sf_yaml_node *n, const char *what,
                 uint32_t *ret)
{
    uint64_t value = 0;

    if (n->kind != SF_YAML_SCALAR || !n->plain || sf_parse_u64(n->text, &value) != SF_PARSE_OK ||
        value > UINT32_MAX) {
        sf_issues_error(issues, n->place, SHEAF_E_BAD_VALUE,
                        "%s must be a whole number, 0 to 4294967295", what);
        return false;
    }
    *ret = (uint32_t)value;
    return true;
}

bool sf_yaml_text(struct sf_issues *issues, const struct sf_yaml_node *n, const char *what,
                  const char **ret)
{
    if (!sf_yaml_expect(issues, n, SF_YAML_SCALAR, what)) {
        return false;
    }
    if (memchr(n->text.data, '\0', n->text.size) != NULL) {
        sf_issues_error(issues, n->place, SHEAF_E_BAD_VALUE, "%s must not hold a NUL character",
                        what);
        return false;
    }
    *ret = (const char *)n->text.data;
    return true;
}

bool sf_yaml_choice(struct sf_issues *issues, const struct sf_yaml_node *n,
                    const struct sf_allowed *names, const char *what, size_t *ret)
{
    struct sf_allowed allowed = *names;

    if (!sf_yaml_expect(issues, n, SF_YAML_SCALAR, what)) {
        return false;
    }
    for (size_t i = 0; i < names->count; i++) {
        if (sf_slice_equal(n->text, sf_slice_text(names->names[i]))) {
            *ret = i;
            return true;
        }
    }
    allowed.given = n->text;
    sf_issues_error(issues, n->place, SHEAF_E_BAD_VALUE, "unknown %s '%.*s'", what,
                    SF_SLICE_ARG(n->text));
    sf_issues_allowed(issues, allowed);
    return false;
}

void sf_yaml_check_keys(struct sf_issues *issues, const struct sf_yaml_node *map,
                        const char *const *names, size_t count)
{
    for (const struct sf_yaml_node *n = map->first; n != NULL; n = n->next) {
        bool known = strncmp(n->key, "x-", 2) == 0;

        for (size_t i = 0; i < count && !known; i++) {
            known = strcmp(n->key, names[i]) == 0;
        }
        if (!known) {
            sf_issues_error(issues, n->key_place, SHEAF_E_UNKNOWN_KEY, "unknown key '%s'", n->key);
            sf_issues_allowed(issues, (struct sf_allowed){names, count, sf_slice_text(n->key)});
        }
    }
}
