#include "proto/join.h"

#include <stdio.h>
#include <string.h>

size_t join_signed_bytes(const struct join_texts *t, char ret[JOIN_TEXT_MAX])
{
    const char *parts[] = {t->mesh,     t->domain,     t->token, t->domain_key,
                           t->leaf_key, t->serve_user, t->user};
    size_t size = 0;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        size_t n = strlen(parts[i]);

        if (memchr(parts[i], '\n', n) != NULL || n + 1 > JOIN_TEXT_MAX - size) {
            return 0;
        }
        memcpy(ret + size, parts[i], n);
        size += n;
        ret[size++] = '\n';
    }
    return size;
}
