/*
 * The checksum of RocksDB's write-ahead log, by the processor's instruction: RocksDB as Debian
 * builds it for x86-64 takes tables, which was an eighth of what the commit thread did.
 *
 * The library calls its function through the symbol, and the program's own comes first. Where that
 * is not so - a library without the symbol, or one that is linked into the program - RocksDB's
 * stays, which computes the same. ADR 56.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* rocksdb::crc32c::Extend(): CRC-32C of @size bytes behind those that @crc is of. */
uint32_t rocks_crc_extend(uint32_t crc, const char *bytes,
                          size_t size) __asm__("_ZN7rocksdb6crc32c6ExtendEjPKcm");
/* A log that others could not read is never written: asserts what is called by that name. */
void rocks_crc_check(void);
