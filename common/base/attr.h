/* Compiler attributes and scope-bound cleanup. Includes nothing; everything may include it. */
#pragma once

#define SF_MUST_CHECK   __attribute__((warn_unused_result))
#define SF_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define SF_CLEANUP(fn)  __attribute__((cleanup(fn)))

/* Defines fn##p(type **), the form SF_CLEANUP() wants, from fn(type *). */
#define SF_DEFINE_CLEANUP(type, fn)                                                                \
    static inline void fn##p(type **owner)                                                         \
    {                                                                                              \
        fn(*owner);                                                                                \
    }

/* Moves ownership out of a pointer variable: its value, with NULL left behind. */
#define SF_TAKE(pointer)                                                                           \
    ({                                                                                             \
        __typeof__(pointer) *sf_take_from_ = &(pointer);                                           \
        __typeof__(pointer) sf_taken_ = *sf_take_from_;                                            \
        *sf_take_from_ = 0;                                                                        \
        sf_taken_;                                                                                 \
    })

#define SF_COUNT(array) (sizeof(array) / sizeof((array)[0]))
