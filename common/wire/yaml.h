/*
 * A strict reader of YAML 1.2 files that people write: a tree that knows the place of every node.
 *
 * Refused, each with its place: syntax errors, duplicate keys, keys that are not plain text,
 * anchors, aliases, merge keys, tags, directives, bytes that are not UTF-8, and what passes a
 * limit.
 *
 *   Memory    The tree lives in the arena given and borrows nothing of the text.
 *   Limits    1 MiB of text, depth 32, 100,000 nodes.
 *   Errors    What is wrong with the text goes to the issues.
 */
#pragma once

#include "common/base/arena.h"
#include "common/wire/issues.h"

enum {
    SF_YAML_BYTES_MAX = 1024 * 1024,
    SF_YAML_DEPTH_MAX = 32,
    SF_YAML_NODES_MAX = 100000,
};

enum sf_yaml_kind { SF_YAML_SCALAR, SF_YAML_LIST, SF_YAML_MAP };

struct sf_yaml_node {
    enum sf_yaml_kind kind;
    bool plain; /* a scalar that stands without quotes, so that it may be a number, true or null */
    struct sf_place place;
    struct sf_slice text; /* of a scalar, NUL-terminated */
    const char *key;      /* of a child of a map, NUL-terminated; NULL elsewhere */
    struct sf_place key_place;
    struct sf_yaml_node *first; /* children of a list or map, in the order of the text */
    struct sf_yaml_node *next;
    size_t count; /* children */
};

/*
 * Reads @text, which is issues->source, into documents linked by next; *ret is NULL when there is
 * none. An empty document is a plain scalar without text. SF_OK: the text was read to its end; what
 * was refused on the way (a duplicate key ...) is among the issues and left out, so that the caller
 * goes on, reports its own, and asks sf_issues_check() at the end. SF_INVALID: reading stopped; the
 * reason is among the issues and in @err. SF_NOMEM.
 */
enum sf_code sf_yaml_read(struct sf_arena *arena, struct sf_issues *issues,
                          struct sf_yaml_node **ret, struct sf_error *err) SF_MUST_CHECK;

/* The child of a map with this key, or NULL. */
const struct sf_yaml_node *sf_yaml_get(const struct sf_yaml_node *map, const char *key);
/* Nothing, ~ or null, without quotes. */
bool sf_yaml_is_null(const struct sf_yaml_node *n);

/*
 * Typed reads for parsers of strict files. Each reports an issue naming @what (SHEAF-E0103) and
 * returns false when the node is something else.
 */
bool sf_yaml_expect(struct sf_issues *issues, const struct sf_yaml_node *n, enum sf_yaml_kind kind,
                    const char *what) SF_MUST_CHECK;
bool sf_yaml_bool(struct sf_issues *issues, const struct sf_yaml_node *n, const char *what,
                  bool *ret) SF_MUST_CHECK;
bool sf_yaml_u32(struct sf_issues *issues, const struct sf_yaml_node *n, const char *what,
                 uint32_t *ret) SF_MUST_CHECK;
/* Any scalar that is not null, as text. */
bool sf_yaml_text(struct sf_issues *issues, const struct sf_yaml_node *n, const char *what,
                  const char **ret) SF_MUST_CHECK;
/* The index of the scalar among @count @names; else an issue with the names and a suggestion. */
bool sf_yaml_choice(struct sf_issues *issues, const struct sf_yaml_node *n,
                    const struct sf_allowed *names, const char *what, size_t *ret) SF_MUST_CHECK;
/* Reports each key of the map that is not among @names (SHEAF-E0102), with a suggestion. Keys that
 * begin with "x-" are anybody's. */
void sf_yaml_check_keys(struct sf_issues *issues, const struct sf_yaml_node *map,
                        const char *const *names, size_t count);
