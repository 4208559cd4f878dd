/*
 * That a version is on its way out, told with every answer about it: one header over NATS, and over
 * HTTP that one and what RFC 9745 and RFC 8594 have for it.
 *
 *   Threads   Loop thread.
 */
#pragma once

#include "common/contract/contract.h"
#include "common/sys/http_server.h"

enum { DEPRECATION_TEXT = 256 };

/*
 * The value of Sheaf-Deprecated, with what the product file says of it:
 * "status=deprecated; since=2026-11-20; sunset=2027-03-01; successor=sales/orders@2". False, and
 * "": it is neither deprecated nor retired.
 */
bool deprecation_text(const struct sf_product *p, char ret[DEPRECATION_TEXT]);
/*
 * The headers of the answer to @r, whatever it is: Sheaf-Deprecated, Deprecation, Sunset and Link.
 * @text may come from another leaf: with bytes that it cannot have, it is not passed on. "" or
 * NULL: none.
 */
void deprecation_tell(struct sf_http_request *r, const char *text);
/* The same of a product of this leaf. */
void deprecation_tell_of(struct sf_http_request *r, const struct sf_product *p);
