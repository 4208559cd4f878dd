/*
 * The parts of the product file reader: fields and their types and rules, and what has no effect
 * yet. Used by product_*.c only.
 *
 *   Memory    Fields live in the product's arena; a compiled pattern is owned by the field and
 * freed by sf_product_free(), also when reading fails. Errors    What is wrong goes to the issues;
 * the field is then unfit for use, but safe to free.
 */
#pragma once

#include "common/contract/contract.h"
#include "common/wire/yaml.h"

/* What all parts of the reader share. */
struct sf_product_reader {
    struct sf_issues *issues;
    struct sf_arena *arena; /* of the product */
    bool failed;            /* out of memory */
    unsigned depth;         /* structs that are being read */
    size_t field_count;     /* of the table, with those inside structs */
};

/* Reads the keys "fields" and "reserved" of the map @node, a table's or a struct's, into the zeroed
 * @table. @what it is: "table", "struct". */
void sf_product_read_fields(struct sf_product_reader *r, const struct sf_yaml_node *node,
                            const char *what, struct sf_table *table);
/* Reads the map @node, whose key is the field's name, into the zeroed @f. */
void sf_product_read_field(struct sf_product_reader *r, const struct sf_yaml_node *node,
                           struct sf_field *f);

/*
 * The type that @node names, into @f; of a list also f->item, for which number and name are set.
 * Returns what rules and fields are for: @f, or the item. NULL, and type 0, when it is no type.
 */
struct sf_field *sf_product_read_type(struct sf_product_reader *r, const struct sf_yaml_node *node,
                                      struct sf_field *f);
/* Rules, parse and default of the field @node, whose type is read: of @item, which is @f itself or
 * its elements, and of a list as a whole. */
void sf_product_read_rules(struct sf_product_reader *r, const struct sf_yaml_node *node,
                           struct sf_field *f, struct sf_field *item);

/* Text of the arena and lists of it; *ret is untouched when the node is not that. */
void sf_product_read_text(struct sf_product_reader *r, const struct sf_yaml_node *node,
                          const char *what, const char **ret);
void sf_product_read_texts(struct sf_product_reader *r, const struct sf_yaml_node *node,
                           const char *what, const char *const **ret, size_t *ret_count);
/* A field number that protobuf allows. */
bool sf_product_read_number(struct sf_product_reader *r, const struct sf_yaml_node *node,
                            uint32_t *ret) SF_MUST_CHECK;
/* Takes domain/product or domain/product@major off the front of *rest; false when it is not there.
 */
bool sf_product_take_name(struct sf_slice *rest) SF_MUST_CHECK;
/* status, compatibility and deprecated of the file @root. */
void sf_product_read_life(struct sf_product_reader *r, const struct sf_yaml_node *root,
                          struct sf_product *p);
/* policies: what each says is read by common/policy. @node may be NULL. */
void sf_product_read_policies(struct sf_product_reader *r, const struct sf_yaml_node *node,
                              struct sf_product *p);
/* Checks the shape of the keys of the file @root that have no effect in this release. */
void sf_product_check_shapes(struct sf_product_reader *r, const struct sf_yaml_node *root);
