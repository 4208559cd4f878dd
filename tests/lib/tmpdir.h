/* A directory of a test's own, below $TMPDIR or /tmp, removed with all it holds. */
#pragma once

#include <limits.h>

struct tmpdir {
    char path[PATH_MAX];
};

/* Fails the test when it cannot be made. */
void tmpdir_init(struct tmpdir *t);
/* "<path>/<name>" in @ret, which has PATH_MAX bytes; returns @ret. */
char *tmpdir_join(const struct tmpdir *t, const char *name, char *ret);
/* Kept, and its path printed, when TEST_KEEP_TMP is set. */
void tmpdir_done(struct tmpdir *t);
