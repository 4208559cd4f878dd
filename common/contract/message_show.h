/*
 * A message that does not keep the contract, as the JSON record it would be: for people, and to be
 * mended. What a value is by its number and type in the contract is written so; a number that the
 * contract does not know becomes a member "#17". It reads what may be no message at all, so it
 * never fails: it only stops.
 *
 *   Threads   Pure.
 *   Limits    Structs as deep as the contract has them.
 */
#pragma once

#include "common/base/buf.h"
#include "common/contract/contract.h"

/*
 * Appends a JSON object. Returns the bytes of @message that are in it: all, or those before the
 * place where it is no message. Members that came twice stand there twice. Failure is the buffer's.
 */
size_t sf_message_show(const struct sf_table *t, struct sf_slice message, struct sf_buf *out);
