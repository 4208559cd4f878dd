#include "proto/message.h"

#include <stdio.h>

size_t message_signed_bytes(const struct message_texts *t, char ret[MESSAGE_TEXT_MAX])
{
    /* Names hold no line feed, and their lengths are bounded (DESIGN 1): it always fits. */
    return (size_t)snprintf(
        ret, MESSAGE_TEXT_MAX, "%s\n%s\n%s\n%u\n%u\n%s\n%u\n%llu\n%llu\n%llu\n%llu\n%s\n",
        t->lane.domain, t->lane.product, t->lane.table, t->lane.major, t->lane.partition,
        t->audience, t->epoch, (unsigned long long)t->first, (unsigned long long)t->last,
        (unsigned long long)t->prev, (unsigned long long)t->head, t->payload_hash);
}
