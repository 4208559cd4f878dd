/*
 * A product as a .proto file whose messages decode stored rows: package
 * sheaf.<domain>.<product>.v<major>, one message per table. '-' becomes '_'.
 */
#pragma once

#include "common/base/buf.h"
#include "common/contract/contract.h"

/* Appends the file. Check @out with sf_buf_check(). */
void sf_product_export_proto(const struct sf_product *p, struct sf_buf *out);
