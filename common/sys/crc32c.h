/*
 * CRC-32C (Castagnoli), by the processor's instruction where it has one. Pure; any thread.
 */
#pragma once

#include <stdint.h>

#include "common/base/slice.h"

/* Of @bytes behind those that @crc is of; 0: behind nothing. */
uint32_t sf_crc32c(uint32_t crc, struct sf_slice bytes);
/* The same without the instruction: about a twentieth as fast. */
uint32_t sf_crc32c_portable(uint32_t crc, struct sf_slice bytes);
