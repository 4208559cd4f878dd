/*
 * Policies: rules about what other domains see, written as documents, and what they decide for one
 * table and one caller.
 *
 *     sheaf: policy/v1
 *     name: pii-default
 *     match: {class: [pii]}
 *     except: {purpose: [fraud]}
 *     mask: keep_domain
 *
 * docs/reference/policies.md is the format in full. Rules of the platform and of the owner count
 * alike, the strictest wins, and their order never matters: masks combine (mask.h), all filters
 * must hold, one deny is enough. Fields of class pii and secret are omitted unless a rule that
 * names their class or the field says what stands there instead. The owning domain is never bound.
 *
 *   Memory    A set and a view own all they hold; a view borrows nothing of the sets it came from.
 *   Threads   Built by one thread; read-only afterwards, by any.
 *   Limits    SF_POLICY_*_MAX. A decision costs what the rules that could match cost, however many
 *             others the set holds.
 *   Errors    Closed: a rule that cannot be applied (a filter over a field that is not there)
 * denies the table, a mask that does not fit omits the field.
 */
#pragma once

#include "common/contract/contract.h"
#include "common/expr/expr.h"
#include "common/mask/mask.h"
#include "common/wire/json.h"

enum {
    SF_POLICY_SET_MAX = 20000,   /* policies in one set */
    SF_POLICY_VALUES_MAX = 1000, /* values of one condition */
};

enum sf_policy_origin { SF_POLICY_PLATFORM, SF_POLICY_OWNER };

/* --- sets ------------------------------------------------------------------------------------- */

struct sf_policy_set;

/* An empty set, or NULL: no memory. */
struct sf_policy_set *sf_policy_set_new(void) SF_MUST_CHECK;
void sf_policy_set_free(struct sf_policy_set *s);
SF_DEFINE_CLEANUP(struct sf_policy_set, sf_policy_set_free)

/*
 * Adds the documents of issues->source, which stand in file issues->file from line @first_line on
 * (1: all of it), as rules of the platform. SF_INVALID: all that is wrong is among the issues (a
 * name that the set has already is E0105), and nothing was added. SF_BUSY: SF_POLICY_SET_MAX.
 * SF_NOMEM.
 */
enum sf_code sf_policy_set_add(struct sf_policy_set *s, struct sf_issues *issues,
                               uint32_t first_line, struct sf_error *err) SF_MUST_CHECK;
/* Adds the policies of the product file as rules of its owner, for this product only. SF_INVALID:
 * the text names the first that is wrong, and nothing was added. SF_NOMEM. */
enum sf_code sf_policy_set_add_product(struct sf_policy_set *s, const struct sf_product *p,
                                       struct sf_error *err) SF_MUST_CHECK;
size_t sf_policy_set_count(const struct sf_policy_set *s);

/* Whether the platform's policy of this name may decide what others see of products of @domain. */
bool sf_policy_set_binds(const struct sf_policy_set *s, const char *name, const char *domain);

/* Whether it may make a difference to a decision that who asks has @role. */
bool sf_policy_set_asks_role(const struct sf_policy_set *s, const char *role);

/* One policy of a file: its text with the comments before it, without the line of dashes. */
struct sf_policy_document {
    const char *name;
    struct sf_slice text; /* of issues->source */
    uint32_t line;        /* of the file that it begins on */
};

/* Checks the documents of issues->source as sf_policy_set_add() does, and tells them apart; pieces
 * in @arena. */
enum sf_code sf_policy_split(struct sf_issues *issues, struct sf_arena *arena,
                             struct sf_policy_document **ret, size_t *ret_count,
                             struct sf_error *err) SF_MUST_CHECK;
/* Checks the policies of a product file, which is issues->source and @p, likewise; what cannot be
 * applied to @p is a warning. */
enum sf_code sf_policy_check_file(struct sf_issues *issues, const struct sf_product *p,
                                  struct sf_error *err) SF_MUST_CHECK;

/* A key of the format, for documentation. */
struct sf_policy_key {
    const char *of; /* "policy", "match", "except", "require", "tests" */
    const char *name;
    const char *value;
    const char *text;
};
/* NULL behind the last. */
const struct sf_policy_key *sf_policy_key_at(size_t i);

/* --- decisions -------------------------------------------------------------------------------- */

/* Who asks, as its credentials say. All borrowed. */
struct sf_policy_subject {
    const char *domain;
    const char *const *roles; /* of the user; none for a domain as a whole */
    size_t role_count;
    bool every_role;     /* instead: all that rules except, to learn what some user may see */
    const char *purpose; /* of the grant, or NULL */
};

struct sf_policy_input {
    const struct sf_policy_set *platform; /* these two may be NULL: none */
    const struct sf_policy_set *owner;
    const struct sf_product *product;
    const struct sf_table *table; /* of it */
    struct sf_policy_subject subject;
    const char *const *columns; /* of the grant; none: all that policy lets */
    size_t column_count;
    int64_t now_us; /* for what expires */
};

enum sf_policy_by {
    SF_POLICY_BY_NOTHING, /* nothing hides it */
    SF_POLICY_BY_DEFAULT, /* its class, and no rule says otherwise */
    SF_POLICY_BY_COLUMNS, /* it is not among the grant's columns */
    SF_POLICY_BY_RULE,
};

/* What made a decision. The strictest of several; of equals the first by origin and name. */
struct sf_policy_cause {
    enum sf_policy_by by;
    enum sf_policy_origin origin; /* of a rule, as what follows */
    const char *policy;           /* its name */
    const char *file;
    uint32_t line;
    const char *note; /* why a rule did more than it says ("hash is ..."), or NULL */
};

struct sf_policy_filter {
    struct sf_expr *expr; /* over the unmasked row */
    const char *text;     /* canonical */
    struct sf_policy_cause cause;
};

/* What one caller sees of one table. */
struct sf_policy_view {
    bool denied; /* nothing of the table; then all masks omit */
    struct sf_policy_cause denied_by;
    size_t field_count;                     /* of the table */
    const struct sf_mask *masks;            /* one for each field, in their order; all fit */
    const struct sf_policy_cause *causes;   /* likewise */
    const struct sf_policy_filter *filters; /* all must be true of a row; ordered by text */
    size_t filter_count;
    unsigned callers;      /* enum sf_expr_callers: what the filters ask about who asks */
    bool hashes;           /* a mask is hash, so that the caller's domain matters */
    bool parts;            /* rules may tell callers of other domains and purposes apart, who have
                              no roles and the same columns; false: they all get this view. The
                              same for all of them */
    int64_t until_us;      /* decide anew then: a rule expires; INT64_MAX: never */
    struct sf_slice canon; /* all of the above that the bytes a caller gets depend on: views are
                              equal when these are; their hash names the view */
};

/* Decides. SF_NOMEM. */
enum sf_code sf_policy_decide(const struct sf_policy_input *in, struct sf_policy_view **ret,
                              struct sf_error *err) SF_MUST_CHECK;
void sf_policy_view_free(struct sf_policy_view *v);
SF_DEFINE_CLEANUP(struct sf_policy_view, sf_policy_view_free)

/* Names in the arena given. */
struct sf_policy_roles {
    const char *const *items;
    size_t count;
};
/* The roles that rules about the table except, ascending; of others nobody gets more. SF_NOMEM. */
enum sf_code sf_policy_roles_about(const struct sf_policy_input *in, struct sf_arena *arena,
                                   struct sf_policy_roles *ret, struct sf_error *err) SF_MUST_CHECK;

/* Who reads what is decided: constants in rules of the owner are not for other domains. */
enum sf_policy_reader_is { SF_POLICY_FOR_OWNER, SF_POLICY_FOR_OTHERS };

/* What is decided and why, as members of an object: denied, filters, fields. */
void sf_policy_view_write(const struct sf_policy_view *v, const struct sf_table *t,
                          enum sf_policy_reader_is reader, struct sf_json_writer *w);
/* Of that the members about rows: denied, filters; and those about one field: sees, and why. */
void sf_policy_rows_write(const struct sf_policy_view *v, enum sf_policy_reader_is reader,
                          struct sf_json_writer *w);
void sf_policy_field_write(const struct sf_policy_view *v, size_t at,
                           enum sf_policy_reader_is reader, struct sf_json_writer *w);
/* Why a field is hidden: "policy p of the platform hides it (pii.yaml:3)". */
void sf_policy_cause_print(const struct sf_policy_cause *c, const struct sf_field *f,
                           struct sf_buf *out);

/* --- requirements ----------------------------------------------------------------------------- */

/* What a product lacks, or a rule that cannot be applied to it. */
struct sf_policy_breach {
    struct sf_policy_cause cause;
    bool refuses; /* else a warning */
    const char *text;
};

/* What rules of @policies (or NULL) have against @p, by name of policy; all in @arena. SF_NOMEM. */
enum sf_code sf_policy_check_product(const struct sf_policy_set *policies,
                                     const struct sf_product *p, int64_t now_us,
                                     struct sf_arena *arena, struct sf_policy_breach **ret,
                                     size_t *ret_count, struct sf_error *err) SF_MUST_CHECK;

/* --- cases ------------------------------------------------------------------------------------ */

/* A test written beside a policy: who asks for what, and what is to come of it. */
struct sf_policy_case {
    struct sf_policy_subject who;
    const char *product; /* "sales/orders" */
    const char *table;   /* or NULL: the only one */
    const char *field;   /* or NULL: the table */
    const char *expect;  /* a mask, "clear"; of a table "denied", "all rows", "filter ..." */
    const char *file;
    uint32_t line;
};

/* The cases of all policies of @s, one after another: NULL behind the last. */
const struct sf_policy_case *sf_policy_case_at(const struct sf_policy_set *s, size_t i);
/* Whether the view is what the case expects; else @got says what it is. */
bool sf_policy_case_holds(const struct sf_policy_case *c, const struct sf_table *table,
                          const struct sf_policy_view *v, struct sf_buf *got) SF_MUST_CHECK;
