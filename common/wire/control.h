/*
 * Control messages (proto/sheaf/v1/control.proto) decoded into an arena, so that they need no
 * release of their own.
 *
 *     Sheaf__V1__Decision *d = SF_CONTROL_UNPACK(decision, &arena, bytes);
 *
 * NULL: not such a message, or no memory: sf_control_why(). The message lives as long as the arena.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/base/slice.h"
#include "control.pb-c.h"

#define SF_CONTROL_UNPACK(name, arena, bytes)                                                      \
    ((__typeof__(sheaf__v1__##name##__unpack(NULL, 0, NULL)))sf_control_unpack(                    \
        &sheaf__v1__##name##__descriptor, (arena), (bytes)))

static inline void *sf_control_take(void *data, size_t size)
{
    return sf_arena_alloc(data, size);
}

static inline void sf_control_keep(void *data, void *memory)
{
    (void)data; /* the arena frees as a whole */
    (void)memory;
}

static inline ProtobufCMessage *sf_control_unpack(const ProtobufCMessageDescriptor *type,
                                                  struct sf_arena *arena, struct sf_slice bytes)
{
    ProtobufCAllocator allocator = {
        .alloc = sf_control_take,
        .free = sf_control_keep,
        .allocator_data = arena,
    };

    return protobuf_c_message_unpack(type, &allocator, bytes.size, bytes.data);
}

/* Why SF_CONTROL_UNPACK() gave NULL: SF_NOMEM, or SF_INVALID. */
static inline enum sf_code sf_control_why(const struct sf_arena *arena)
{
    return arena->missed ? SF_NOMEM : SF_INVALID;
}

static inline struct sf_slice sf_control_slice(ProtobufCBinaryData data)
{
    return sf_slice_of(data.data, data.len);
}

/* Borrows @s. */
static inline ProtobufCBinaryData sf_control_data(struct sf_slice s)
{
    return (ProtobufCBinaryData){.len = s.size, .data = (uint8_t *)(uintptr_t)s.data};
}

/* @s where protobuf-c, which has no const, wants a text that it only reads. */
static inline char *sf_control_text(const char *s)
{
    return (char *)(uintptr_t)s;
}
