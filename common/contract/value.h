/*
 * Text to value and back, by the type of a field: what product files, CSV cells and the command
 * line hold. JSON tokens have types of their own and are converted in common/contract/record.h.
 *
 *   Order    Pure functions.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/str.h"
#include "common/contract/contract.h"

/*
 * Reads @text as a value of @f's type: bool is true or false, bytes are base64, dates and
 * timestamps are ISO or, with f->parse, in that format; a float is rounded to the nearest float.
 * Strings are borrowed from @text, bytes and uuids live in @scratch. *ret is present on SF_PARSE_OK
 * and untouched otherwise. SF_PARSE_RANGE also stands for no memory in @scratch. Never json, list
 * and struct: SF_PARSE_SYNTAX.
 */
enum sf_parse sf_value_parse(const struct sf_field *f, struct sf_slice text,
                             struct sf_arena *scratch, struct sf_value *ret) SF_MUST_CHECK;
/* Appends the text sf_value_parse() would read, without f->parse: "2026-11-20", "59.90". @v is
 * present. */
void sf_value_format(const struct sf_field *f, const struct sf_value *v, struct sf_buf *out);

/* Order of two present values of @type: below 0, 0, above 0. Of json, lists and structs only 0
 * means something. */
int sf_value_compare(enum sf_type type, const struct sf_value *a, const struct sf_value *b);

/* 8-4-4-4-12 hexadecimal digits in any case to 16 bytes, and back in lower case (36 characters). */
bool sf_uuid_parse(struct sf_slice text, uint8_t ret[16]) SF_MUST_CHECK;
void sf_uuid_format(const uint8_t uuid[16], char ret[37]);
