/*
 * Warnings about a product that is valid: pii in a key, nobody named, nothing described, a class
 * missing where a name suggests one.
 */
#pragma once

#include "common/contract/contract.h"
#include "common/wire/issues.h"

/* Adds warnings to @issues, without places: the file the product was read from may be gone. */
void sf_product_lint(const struct sf_product *p, struct sf_issues *issues);
/* Whether a field of this name usually holds personal data: email, phone, iban, birth_date ... */
bool sf_name_suggests_pii(struct sf_slice name);
