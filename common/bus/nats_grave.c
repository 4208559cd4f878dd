#include "common/bus/nats_grave.h"

enum { MESSAGE_BYTES = 512 }; /* beside its data */

void nats_grave_put(struct nats_grave *g, natsMsg *msg)
{
    if (msg == NULL) {
        return;
    }
    g->msgs[g->count++] = msg;
    g->bytes += MESSAGE_BYTES + (size_t)natsMsg_GetDataLength(msg);
    if (g->count == NATS_GRAVE_MESSAGES || g->bytes >= NATS_GRAVE_BYTES) {
        nats_grave_empty(g);
    }
}

void nats_grave_empty(struct nats_grave *g)
{
    for (size_t i = 0; i < g->count; i++) {
        natsMsg_Destroy(g->msgs[i]);
    }
    g->count = 0;
    g->bytes = 0;
}
