#include "common/bus/nats_calls.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"

/* A request under way. */
struct nats_call {
    struct nats_calls *all;
    struct sf_bus_call *owner;
    struct sf_timer timer;
    uint32_t slot;
};

struct call_slot {
    struct nats_call *call; /* NULL: free */
    uint32_t generation;    /* of the last call here, so that a late answer finds nobody */
    uint32_t next_free;     /* slot + 1; 0: none */
};

void nats_calls_done(struct nats_calls *cs)
{
    sf_free(SF_TAKE(cs->slots));
}

static enum sf_code take_slot(struct nats_calls *cs, uint32_t *ret, struct sf_error *err)
{
    if (cs->free_slot == 0) {
        if (cs->slot_count == NATS_CALLS_MAX) {
            return SF_RAISE(err, SF_BUSY, "%d requests under way", NATS_CALLS_MAX);
        }
        if (cs->slot_count == cs->slot_capacity) {
            uint32_t capacity = cs->slot_capacity == 0 ? 64 : cs->slot_capacity * 2;
            struct call_slot *slots = sf_realloc(cs->slots, capacity, sizeof(slots[0]));

            if (slots == NULL) {
                return SF_RAISE(err, SF_NOMEM, "request");
            }
            cs->slots = slots;
            cs->slot_capacity = capacity;
        }
        cs->slots[cs->slot_count++] = (struct call_slot){0};
        cs->free_slot = cs->slot_count;
    }
    *ret = cs->free_slot - 1;
    cs->free_slot = cs->slots[*ret].next_free;
    return SF_OK;
}

/* Afterwards its owner may start another one with the same struct. */
static void call_free(struct nats_call *call)
{
    struct nats_calls *cs = call->all;
    struct call_slot *slot = &cs->slots[call->slot];

    sf_rt_timer_stop(cs->rt, &call->timer);
    call->owner->private = NULL;
    slot->call = NULL;
    slot->next_free = cs->free_slot;
    cs->free_slot = call->slot + 1;
    sf_free(call);
}

static void end_call(struct nats_call *call, enum sf_bus_outcome outcome,
                     const struct sf_bus_msg *m)
{
    struct sf_bus_call *owner = call->owner;

    call_free(call);
    owner->done(owner, outcome, m);
}

static void on_timer(struct sf_timer *t)
{
    end_call(SF_CONTAINER_OF(t, struct nats_call, timer), SF_BUS_TIMED_OUT, NULL);
}

enum sf_code nats_calls_add(struct nats_calls *cs, struct sf_bus_call *owner, char id[NATS_CALL_ID],
                            struct sf_error *err)
{
    struct nats_call *call = sf_alloc(sizeof(*call));
    uint32_t slot = 0;
    enum sf_code code =
        call == NULL ? SF_RAISE(err, SF_NOMEM, "request") : take_slot(cs, &slot, err);

    if (code != SF_OK) {
        sf_free(call);
        return code;
    }
    *call =
        (struct nats_call){.all = cs, .owner = owner, .timer = {.fire = on_timer}, .slot = slot};
    owner->private = call;
    cs->slots[slot].call = call;
    (void)snprintf(id, NATS_CALL_ID, "%u-%u", slot, ++cs->slots[slot].generation);
    return SF_OK;
}

void nats_calls_sent(struct nats_calls *cs, struct sf_bus_call *owner, uint64_t timeout_ns)
{
    struct nats_call *call = owner->private;

    sf_rt_timer_start(cs->rt, &call->timer, timeout_ns);
}

void nats_calls_cancel(struct nats_calls *cs, struct sf_bus_call *owner)
{
    (void)cs;
    if (owner->private != NULL) {
        call_free(owner->private);
    }
}

static bool is_no_responders(const struct sf_bus_msg *m)
{
    const char *status = m->data.size != 0 ? NULL : sf_bus_msg_header(m, "Status");

    return status != NULL && strcmp(status, "503") == 0;
}

void nats_calls_answer(struct nats_calls *cs, const char *id, const struct sf_bus_msg *m)
{
    uint32_t slot;
    uint32_t generation;

    if (sscanf(id, "%u-%u", &slot, &generation) != 2 || slot >= cs->slot_count ||
        cs->slots[slot].call == NULL || cs->slots[slot].generation != generation) {
        return;
    }
    if (is_no_responders(m)) {
        end_call(cs->slots[slot].call, SF_BUS_NO_RESPONDERS, NULL);
    } else {
        end_call(cs->slots[slot].call, SF_BUS_ANSWERED, m);
    }
}

void nats_calls_end(struct nats_calls *cs)
{
    for (uint32_t i = 0; i < cs->slot_count; i++) {
        if (cs->slots[i].call != NULL) {
            end_call(cs->slots[i].call, SF_BUS_DISCONNECTED, NULL);
        }
    }
}
