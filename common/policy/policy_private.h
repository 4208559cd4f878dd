/* What the files of this directory share: a rule, and a set of them with its index. */
#pragma once

#include "common/base/map.h"
#include "common/policy/policy.h"

/* Names, ascending, each once. */
struct sf_policy_names {
    const char *const *items;
    size_t count;
};

/* What a rule is about; what is 0 or empty asks nothing. All conditions must hold. */
struct sf_policy_match {
    struct sf_policy_names domains;
    struct sf_policy_names products; /* "sales/orders", or "orders" of any domain */
    struct sf_policy_names tags;     /* of the product or the field */
    struct sf_policy_names fields;
    uint32_t classes; /* bits: 1 << enum sf_class */
    uint32_t types;   /* bits: 1 << enum sf_type */
    uint32_t statuses;
};

/* Whom a rule is not about; what is empty asks nothing. All conditions must hold. */
struct sf_policy_except {
    struct sf_policy_names domains;
    struct sf_policy_names roles;
    struct sf_policy_names purposes;
};

enum sf_policy_does { SF_POLICY_MASKS, SF_POLICY_FILTERS, SF_POLICY_DENIES, SF_POLICY_REQUIRES };

/* What a rule requires of products; what is 0, NULL or empty is not required. */
struct sf_policy_demands {
    bool owner;
    bool support;
    bool tags;
    uint32_t description; /* characters at least */
    uint32_t field_descriptions;
    bool fields_have_class;
    bool pii_fields_have_class;
    const char *product_name_text; /* patterns */
    struct sf_pattern *product_name;
    const char *field_name_text;
    struct sf_pattern *field_name;
    uint32_t types; /* bits: 1 << enum sf_type */
    int64_t retention_min_us;
    int64_t retention_max_us;
};

struct sf_policy {
    const char *name;
    struct sf_place name_place;
    enum sf_policy_origin origin;
    const char *file;
    uint32_t line;       /* of what it does */
    const char *product; /* of an owner's rule: "sales/orders", else NULL */
    struct sf_policy_match match;
    const struct sf_policy_except *excepts; /* any of them */
    size_t except_count;
    int64_t expires_us; /* INT64_MAX: never */
    enum sf_policy_does does;
    struct sf_mask mask;
    struct sf_slice filter;
    struct sf_policy_demands demands;
    bool warns; /* a demand that is not met is told, not refused */
    const struct sf_policy_case *cases;
    size_t case_count;
    struct sf_policy *next; /* in the order they were added */
};

struct sf_policy_bucket {
    const struct sf_policy **rules;
    size_t count;
    size_t capacity;
};

enum { SF_POLICY_BITS = 32 };

/* Each rule stands under the values of one of its conditions, that with the shortest buckets. */
struct sf_policy_set {
    struct sf_arena arena; /* owns the rules, but for their patterns */
    struct sf_policy *first;
    struct sf_policy **last;
    struct sf_map names; /* of platform rules, and "product:name" of owners': -> struct sf_policy */
    struct sf_map domains;  /* -> struct sf_policy_bucket, as those below */
    struct sf_map products; /* by name, without domain */
    struct sf_map tags;
    struct sf_map roles;  /* those that exceptions name -> a policy that does */
    bool filters_by_role; /* by any */
    struct sf_map fields;
    struct sf_policy_bucket classes[SF_POLICY_BITS];
    struct sf_policy_bucket types[SF_POLICY_BITS];
    struct sf_policy_bucket rest;
    size_t count;
};

/* --- policy_match.c --------------------------------------------------------------------------- */

/* A product and, of it, a table, as rules see them. */
struct sf_policy_target {
    const struct sf_product *product;
    const struct sf_table *table;
    char name[2 * 48 + 2]; /* "sales/orders" */
};

void sf_policy_target_init(struct sf_policy_target *t, const struct sf_product *product,
                           const struct sf_table *table);
bool sf_policy_names_have(const struct sf_policy_names *names, const char *name);
/* 1 << what stands for the class of @f and of all inside it. */
uint32_t sf_policy_class_bits(const struct sf_field *f);
uint32_t sf_policy_type_bit(enum sf_type type);
/* Whether the conditions on the product hold; those on its tags may hold by a field. */
bool sf_policy_is_about(const struct sf_policy *p, const struct sf_policy_target *t);
/* Whether all hold for @f, when those on the product do. */
bool sf_policy_is_about_field(const struct sf_policy *p, const struct sf_policy_target *t,
                              const struct sf_field *f);
bool sf_policy_is_about_table(const struct sf_policy *p, const struct sf_policy_target *t);
/* Whether the rule names the class or the field, so that it stands for the safe default. */
bool sf_policy_names_field(const struct sf_policy *p, const struct sf_field *f);
bool sf_policy_excepts(const struct sf_policy *p, const struct sf_policy_subject *s);
/* Whether it excepts some of those who have no roles, and not others. */
bool sf_policy_parts(const struct sf_policy *p);

/* --- policy_set.c ----------------------------------------------------------------------------- */

/* Takes over @p, which lives in the set's arena. SF_NOMEM: the set is of no more use. */
enum sf_code sf_policy_set_put(struct sf_policy_set *s, struct sf_policy *p,
                               struct sf_error *err) SF_MUST_CHECK;
void sf_policy_free_patterns(struct sf_policy *p);
/* "sales/orders:name" of an owner's rule, the name of the platform's; NULL: no memory. */
const char *sf_policy_full_name(const struct sf_policy *p, struct sf_arena *arena);

/* Rules that may be about @t: a few too many, but none missing; by origin and name, each once. */
struct sf_policy_rules {
    const struct sf_policy **items; /* in the arena given */
    size_t count;
};
enum sf_code sf_policy_find(const struct sf_policy_set *const sets[2],
                            const struct sf_policy_target *t, struct sf_arena *arena,
                            struct sf_policy_rules *ret, struct sf_error *err) SF_MUST_CHECK;

/* --- policy_keys.c ---------------------------------------------------------------------------- */

enum { SF_POLICY_KEYS_MAX = 16 };

/* Names of the keys of the map @of, at most SF_POLICY_KEYS_MAX. */
size_t sf_policy_key_names(const char *of, const char *ret[SF_POLICY_KEYS_MAX]);

/* --- policy_file.c, policy_read.c, policy_read_demands.c, policy_cases.c -------------------- */

/* What reads documents. */
struct sf_policy_reader {
    struct sf_issues *issues;
    struct sf_arena *arena; /* of the set */
    const char *product;    /* of the file that the policies stand in, or NULL: the platform's */
    uint32_t line_offset;   /* to be added to lines of the text */
    bool failed;            /* out of memory */
};

/* Reports the keys of @node that the map @of has not. */
void sf_policy_check_keys(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                          const char *of);
/* A single text or a list of them, as names; false: reported. @is_name may be NULL: any text. */
bool sf_policy_read_names(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                          const char *what, bool (*is_name)(struct sf_slice name),
                          struct sf_policy_names *ret) SF_MUST_CHECK;
/* The same of words of enums: bits 1 << (@first + index); words that are NULL are skipped. */
bool sf_policy_read_bits(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                         const char *what, const char *const *words, size_t count,
                         uint32_t *ret) SF_MUST_CHECK;
bool sf_policy_read_types(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                          uint32_t *ret) SF_MUST_CHECK;
/* "sales/orders", or "orders" of any domain. */
bool sf_policy_is_product(struct sf_slice name);
/* Text of the arena; false: reported. */
bool sf_policy_read_text(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                         const char *what, const char **ret) SF_MUST_CHECK;
/* Reads the map @node into the zeroed @p; what is wrong is among the issues. */
void sf_policy_read(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                    struct sf_policy *p);
void sf_policy_read_demands(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                            struct sf_policy_demands *ret);
void sf_policy_read_cases(struct sf_policy_reader *r, const struct sf_yaml_node *node,
                          struct sf_policy *p);
