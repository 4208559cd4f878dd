/* Whether bytes are UTF-8, and how many characters they are. Pure; no heap. */
#pragma once

#include "common/base/slice.h"

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. NUL bytes are characters. */
bool sf_utf8_is_valid(struct sf_slice s);
/* Characters (code points) of a valid text. */
size_t sf_utf8_count(struct sf_slice s);
/* Bytes of the valid character that begins @s, 1..4; 0 when there is none. */
size_t sf_utf8_char_size(struct sf_slice s);
