/* What the commands have to know about a product before they can ask for its rows. */
#pragma once

#include "cli/api.h"
#include "cli/product_ref.h"

/*
 * Fills r->table when it was not named: the only table of the product, as the leaf describes it.
 * SF_INVALID, E0303: it has several; names them. SF_DENIED, E0416: none that who asks may see. Else
 * as api_leaf().
 */
enum sf_code catalog_fill_table(struct api *a, struct product_ref *r,
                                struct sf_error *err) SF_MUST_CHECK;
/*
 * Appends "email (pii), phone (pii)": fields of the table that @has_field does not know, with their
 * classes, as the hub's catalog has them. Nothing when the hub does not answer.
 */
void catalog_left_out(struct api *a, const struct product_ref *r,
                      bool (*has_field)(void *data, const char *name), void *data,
                      struct sf_buf *ret);
/*
 * Why another domain's product gave no answer (@code, @err: E0705): without a grant requests reach
 * nobody, which looks the same. Asks the hub, and makes E0401 or E0302 of it where that is so. A
 * denial is left with the command that asks for access as its next step.
 */
enum sf_code catalog_explain(struct api *a, const struct product_ref *r, enum sf_code code,
                             struct sf_error *err) SF_MUST_CHECK;
/* A note when the leaf's last answer, or @product (the hub's document, or NULL), says that the
 * version is deprecated or retired. */
void catalog_note_end(struct api *a, const struct product_ref *r, const struct sf_json *product);
/* The file as it was applied, of the hub's document. SF_DENIED, E0415: who asks is shown its view
 * of the product only. */
enum sf_code catalog_file(const struct sf_json *product, struct sf_slice *ret,
                          struct sf_error *err) SF_MUST_CHECK;
/* Appends "/v1/products/D/P[@MAJOR]/TABLE". */
void catalog_table_path(const struct product_ref *r, struct sf_buf *ret);
