#include "leaf/store/rocks_crc.h"

#include "common/base/assert.h"
#include "common/sys/crc32c.h"

__attribute__((visibility("default"), weak)) uint32_t rocks_crc_extend(uint32_t crc,
                                                                       const char *bytes,
                                                                       size_t size)
{
    return sf_crc32c(crc, sf_slice_of(bytes, size));
}

void rocks_crc_check(void)
{
    sf_assert(rocks_crc_extend(0, "123456789", 9) == 0xe3069283u);
}
