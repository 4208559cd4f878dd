/*
 * The part of the product file that says how input is cleaned: trim, case, missing and parse of a
 * field. Used by the readers of product files and by the printer only.
 */
#pragma once

#include "common/contract/clean.h"
#include "common/contract/product_field.h"

/*
 * Reads them of the map @node into f->clean and f->parse; @f has its type, its rules and its
 * default. Of a list only parse, into its @item.
 */
void sf_product_read_clean(struct sf_product_reader *r, const struct sf_yaml_node *node,
                           struct sf_field *f, struct sf_field *item);
