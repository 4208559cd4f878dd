/* Private to natsd: what is done on a query thread, because it blocks. */
#pragma once

#include "common/bus/natsd.h"

/* What "@binary --version" prints. SF_UNAVAILABLE (E0702): it does not run. */
enum sf_code sf_natsd_ask_version(const char *binary, char *ret, size_t size,
                                  struct sf_error *err) SF_MUST_CHECK;
/* Whether a nats-server greets at @port of 127.0.0.1 within a second. */
bool sf_natsd_greets(uint16_t port);
