/*
 * Which messages of a stream are stored: ranges of their seqs, ascending, apart from each other.
 * Stored as a source's cursor, with what tells the stream from another of its name. Pure.
 *
 *   Limits   SEQ_RANGES_MAX ranges.
 */
#pragma once

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/slice.h"

enum { SEQ_RANGES_MAX = 512, SEQ_STREAM_MAX = 128 };

struct seq_range {
    uint64_t from;
    uint64_t to; /* inclusive */
};

struct seq_set {
    struct seq_range ranges[SEQ_RANGES_MAX];
    size_t count;
};

bool seq_set_has(const struct seq_set *s, uint64_t seq);
/* Adds @range; false when there are too many ranges, and then nothing is changed. */
bool seq_set_add(struct seq_set *s, struct seq_range range);
/* The highest seq in it; 0: it is empty. */
uint64_t seq_set_highest(const struct seq_set *s);

/* Failure is sticky in @ret. @stream: at most SEQ_STREAM_MAX - 1 characters. */
void seq_set_encode(const struct seq_set *s, const char *stream, struct sf_buf *ret);
/* SF_CORRUPT: these are not such bytes. */
enum sf_code seq_set_decode(struct sf_slice bytes, struct seq_set *ret,
                            char ret_stream[SEQ_STREAM_MAX], struct sf_error *err) SF_MUST_CHECK;
